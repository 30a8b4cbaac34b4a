"""Exercise 2.2, `padding_mask`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded


def _padding_mask(ids, pad_id):
    return torch.ne(ids, pad_id)[:, None, None, :]


def _as_keys(real):
    """A mistake in what counts as real, with the axes done right."""
    return lambda ids, pad_id: real(ids, pad_id)[:, None, None, :]


def _as_long_as_real(ids, pad_id):
    lengths = (ids != pad_id).sum(-1, keepdim=True)
    return torch.arange(ids.shape[1]) < lengths


def _between_queries_and_keys(ids, pad_id):
    real = ids != pad_id
    return real[:, None, :, None] & real[:, None, None, :]


def _drawn(seed, *shape):
    """Small ids, of which about a third are 1; other ones in a later call."""
    return torch.randint(3, shape, generator=torch.Generator().manual_seed(seeded(seed)))


def _additive_padding(ids, pad_id):
    return torch.zeros(ids.shape).masked_fill(ids == pad_id, -torch.inf)[:, None, None, :]


padding_mask = Exercise(
    number="2.2",
    name="padding_mask",
    oracle=_padding_mask,
    compared_with="`torch.ne(ids, pad_id)` as `(B, 1, 1, T)`",
    cases=lambda: [
        Case(torch.tensor([[5, 0, 7, 3, 3], [3, 3, 8, 2, 6]]), 3),
        Case(torch.tensor([[7, 8, 0], [5, 0, 0]]), 0),
        Case(torch.tensor([[2, 2]]), 2),
        Case(torch.tensor([[1, 0, 5], [2, 8, 4], [6, 0, 3]]), 7),
        Case(torch.tensor([[9, 4, 9, 1], [9, 9, 9, 9], [0, 4, 4, 9]], dtype=torch.int32), 9),
        # 80 is 50256 in 8 bits, 115792 in 16, and 50250 in half precision
        Case(torch.tensor([[50250, 80, 50256], [115792, 7, 50256]]), 50256),
        Case(_drawn(1, 3, 4), 1),
    ],
    mistakes=[
        Mistake(
            "true_where_hidden",
            "It is turned round: yours is True for the padding. True means allowed, so the real "
            "tokens are True: `ids != pad_id`.",
            _as_keys(lambda ids, pad_id: ids == pad_id),
        ),
        Mistake(
            "no_axes_added",
            "The right tokens, in shape `(B, T)`. The scores have shape `(B, n_heads, T_q, T_k)`: "
            "put an axis for the heads and one for the queries before the keys, "
            "`[:, None, None, :]`.",
            lambda ids, pad_id: ids != pad_id,
        ),
        Mistake(
            "one_axis_missing",
            "One axis is missing: in `(B, 1, T)` broadcasting takes B for the *heads*. "
            "`(B, 1, 1, T)` has one axis for the heads and one for the queries.",
            lambda ids, pad_id: (ids != pad_id)[:, None, :],
        ),
        Mistake(
            "queries_hidden",
            "`(B, 1, T, 1)` hides the *queries* that are padding; real words still look at "
            "padding. It is the keys that must not be seen, and keys are the last axis.",
            lambda ids, pad_id: (ids != pad_id)[:, None, :, None],
        ),
        Mistake(
            "axes_in_front",
            "The new axes stand before the batch: in `(1, 1, B, T)` the batch lies where the "
            "queries belong. Put them *between* batch and keys: `[:, None, None, :]`.",
            lambda ids, pad_id: (ids != pad_id)[None, None],
        ),
        Mistake(
            "zero_for_pad_id",
            "You compare with 0. Which number means padding differs from tokenizer to tokenizer: "
            "compare with `pad_id`.",
            _as_keys(lambda ids, pad_id: ids != 0),
        ),
        Mistake(
            "greater_for_unequal",
            "You keep the numbers *above* `pad_id`. That is right only where padding is 0; "
            "elsewhere smaller numbers are words as well: `!=`.",
            _as_keys(lambda ids, pad_id: ids > pad_id),
        ),
        Mistake(
            "all_after_the_first_pad",
            "Everything after the first padding is hidden. Rows may be padded on the left, and "
            "then the words come after it: look at each token by itself.",
            _as_keys(lambda ids, pad_id: (ids != pad_id).long().cumprod(-1).bool()),
        ),
        Mistake(
            "counted_from_the_left",
            "You count the real tokens and allow that many from the left. In a row that is padded "
            "on the left these are the padding: look at each token by itself.",
            _as_keys(_as_long_as_real),
        ),
        Mistake(
            "square",
            "You made a table of queries and keys. In it the rows of padding queries are empty, "
            "and the softmax of nothing is `nan`. Mask the keys only: `(B, 1, 1, T)`.",
            _between_queries_and_keys,
        ),
        Mistake(
            "expanded_over_queries",
            "Right in every entry, but copied for each query. Leave that axis at length 1, "
            "`(B, 1, 1, T)`: broadcasting repeats it without storing it.",
            lambda ids, pad_id: _padding_mask(ids, pad_id).expand(-1, 1, ids.shape[1], -1),
        ),
        Mistake(
            "numbers_for_bool",
            "The right tokens, but as numbers: `~mask` needs True and False. A comparison such as "
            "`ids != pad_id` gives them by itself.",
            lambda ids, pad_id: _padding_mask(ids, pad_id).float(),
        ),
        Mistake(
            "additive",
            "That is a mask to be *added* to the scores (0 and `-inf`). Ours is True and False.",
            _additive_padding,
        ),
    ],
    hints=[
        "Which tokens are real? One comparison answers it for the whole batch, in shape `(B, T)`.",
        "The scores have shape `(B, n_heads, T_q, T_k)`. Whether a key is padding depends on the "
        "sequence and on the key, not on the head or the query.",
        "Indexing with `None` adds an axis of length 1: `[:, None, None, :]`.",
    ],
)
