"""Lesson 02: masks and heads. Answers take and return PyTorch tensors; True means allowed."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks import hint, progress  # noqa: F401  (a lesson calls them as checks.hint)
from utils.checks.compare import Tolerance
from utils.checks.engine import Case, Exercise, Lesson, Mistake
from utils.checks.probes import fill, in_training, with_slopes

LESSON = Lesson("02", "Masks and heads", "02_masks_and_heads")


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _everything(T_q, T_k):
    return torch.ones(T_q, T_k, dtype=torch.bool)


# --- 2.1 causal_mask ------------------------------------------------------------------------


def _causal_mask(T):
    return nn.Transformer.generate_square_subsequent_mask(T) == 0


causal_mask = Exercise(
    number="2.1",
    name="causal_mask",
    oracle=_causal_mask,
    compared_with="`nn.Transformer.generate_square_subsequent_mask(T) == 0`",
    cases=lambda: [Case(4), Case(2), Case(1), Case(5)],
    mistakes=[
        Mistake(
            "future_instead_of_past",
            "The triangle is the wrong one: yours lets each word see itself and what comes *after* "
            "it. Query `i` may see key `j` if `j <= i`: the lower triangle, `tril`.",
            lambda T: _everything(T, T).triu(),
        ),
        Mistake(
            "true_where_hidden",
            "The triangle is right but turned round: yours is True where a key is *hidden*. "
            "In this course True means allowed: `~mask` turns it over.",
            lambda T: _everything(T, T).triu(1),
        ),
        Mistake(
            "nobody_sees_itself",
            "No word sees itself, and the first sees nothing at all. The diagonal belongs to the "
            "mask: `j <= i`, not `j < i`.",
            lambda T: _everything(T, T).tril(-1),
        ),
        Mistake(
            "one_word_ahead",
            "Every word sees one word ahead, which is the very word it has to predict. "
            "The last key that query `i` may see is `i` itself: `tril()` without a number.",
            lambda T: _everything(T, T).tril(1),
        ),
        Mistake(
            "everything_allowed",
            "Everything is allowed. Half of the table has to become False: the keys after the "
            "query. (`tril` returns a new tensor; it does not change the one that it is called "
            "on.)",
            lambda T: _everything(T, T),
        ),
        Mistake(
            "nothing_allowed",
            "Everything is hidden: all entries are False. Keys up to the query itself are True.",
            lambda T: ~_everything(T, T),
        ),
        Mistake(
            "only_itself",
            "Every word sees itself and nothing else. It may look at all words before it, too.",
            lambda T: torch.eye(T, dtype=torch.bool),
        ),
        Mistake(
            "numbers_for_bool",
            "The triangle is right, but it consists of numbers, and `~mask` needs True and False: "
            "give `torch.ones` the argument `dtype=torch.bool`, or end with `.bool()`.",
            lambda T: torch.ones(T, T).tril(),
        ),
        Mistake(
            "additive",
            "That is a mask to be *added* to the scores (0 and `-inf`), which some libraries use. "
            "Ours is True and False: the `-inf` comes in exercise 2.3.",
            lambda T: nn.Transformer.generate_square_subsequent_mask(T),
        ),
        Mistake(
            "axes_for_batch_and_heads",
            "The table is right, but it has axes for batch and heads in front. Plain `(T, T)` is "
            "wanted: broadcasting adds axes on the left by itself.",
            lambda T: _everything(T, T).tril()[None, None],
        ),
    ],
    hints=[
        "Row `i` is a query, column `j` a key. Write down the row of the third word of four: "
        "which of its columns are True?",
        "`torch.ones(T, T, dtype=torch.bool)` allows everything. One half of it has to go.",
        "`.tril()` keeps the lower triangle and the diagonal. (Or compare "
        "`torch.arange(T)[None, :]` with `torch.arange(T)[:, None]`.)",
    ],
)

# --- 2.2 padding_mask -----------------------------------------------------------------------


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


def _additive_padding(ids, pad_id):
    return torch.zeros(ids.shape).masked_fill(ids == pad_id, -torch.inf)[:, None, None, :]


padding_mask = Exercise(
    number="2.2",
    name="padding_mask",
    oracle=_padding_mask,
    compared_with="`torch.ne(ids, pad_id)` as `(B, 1, 1, T)`",
    cases=lambda: [
        Case(torch.tensor([[5, 0, 7, 3, 3], [3, 3, 8, 2, 6]]), 3),
        Case(torch.tensor([[4, 9, 0], [1, 0, 0]]), pad_id=0),
        Case(torch.tensor([[2, 2]]), 2),
        Case(torch.tensor([[1, 0, 5], [2, 8, 4], [6, 0, 3]]), 7),
        Case(torch.tensor([[9, 4, 9, 1], [9, 9, 9, 9], [0, 4, 4, 9]], dtype=torch.int32), 9),
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

# --- 2.3 masked_attention -------------------------------------------------------------------


def _masked_attention(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _hidden(scores, mask):
    return scores.masked_fill(~mask, -torch.inf)


def _softmax(scores, mask):
    """The softmax, with 0 in place of the nan of an empty row."""
    return scores.softmax(-1).nan_to_num(0.0)


def _over(axis):
    return lambda scores, mask: scores.softmax(axis).nan_to_num(0.0)


def _exponentials(scores, mask):
    e = scores.exp()
    return (e / e.sum(-1, keepdim=True)).masked_fill(~mask.any(-1, keepdim=True), 0.0)


def _root_of(size):
    return lambda q, k, v: math.sqrt(size(q, k, v))


_root_of_d_head = _root_of(lambda q, k, v: q.shape[-1])


def _attend(
    scale=_root_of_d_head,
    hide=_hidden,
    normalise=_softmax,
    afterwards=lambda weights, mask: weights,
    mix=lambda weights, v: weights @ v,
    finish=lambda out, q: out,
):
    """Masked attention with one step replaced: how it scales, hides, normalises or mixes."""

    def mutant(q, k, v, mask):
        scores = q @ k.transpose(-2, -1) / scale(q, k, v)
        weights = normalise(hide(scores, mask), mask)
        return finish(mix(afterwards(weights, mask), v), q)

    return mutant


def _unmasked(scores, mask):
    return scores


def _times_infinity(scores, mask):
    return scores + (~mask).float() * -torch.inf


def _zeroed(values, mask):
    return values.masked_fill(~mask, 0.0)


def _transposed_mask(q, k, v, mask):
    return _masked_attention(q, k, v, mask.transpose(-2, -1))


def _qkv(seed, *front, T_q, T_k, d_head, d_v, louder=1):
    """Random q, k and v with the axes `front` before their last two."""
    q = louder * _normal(seed, *front, T_q, d_head)
    return q, _normal(100 + seed, *front, T_k, d_head), _normal(200 + seed, *front, T_k, d_v)


def _padded_on_both_sides():
    real = torch.tensor([[True] * 5 + [False] * 2, [False] * 3 + [True] * 4])
    return real[:, None, None, :]


def _left_padded():
    """Causal, and the second sequence starts with two paddings: its first two rows are empty."""
    real = torch.tensor([[True, True, True, True], [False, False, True, True]])
    return _everything(4, 4).tril() & real[:, None, None, :]


def _small_attention():
    return Case(
        torch.tensor([[1.0, 0.0], [0.5, 1.0]]),
        torch.tensor([[2.0, 1.0], [-1.0, 1.0], [0.0, -1.0]]),
        torch.tensor([[1.0], [5.0], [-2.0]]),
        torch.tensor([[True, False, True], [True, True, False]]),
    )


def _with_slopes(answer, q, k, v, mask):
    return with_slopes(lambda q, k, v: answer(q, k, v, mask), q, k, v)


def _loud_hidden_key(loudness):
    """A hidden key whose score is far above the others'."""
    mask = torch.tensor([[True, True, False], [True, False, True]])
    k = torch.tensor([[0.0], [1.0], [float(loudness)]])
    return Case(torch.tensor([[1.0], [-0.1]]), k, torch.tensor([[1.0], [2.0], [6.0]]), mask)


def _normalised_again(scores, mask):
    weights = scores.softmax(-1) * mask
    return (weights / weights.sum(-1, keepdim=True)).nan_to_num(0.0)


masked_attention = Exercise(
    number="2.3",
    name="masked_attention",
    oracle=_masked_attention,
    compared_with="`F.scaled_dot_product_attention` and its gradients",
    probe=_with_slopes,
    cases=lambda: [
        # no row of this mask is empty and none is full: turned round, it has no empty row either
        Case(*_qkv(1, 2, 3, T_q=4, T_k=6, d_head=5, d_v=2), _everything(4, 6).tril(1)),
        _small_attention(),
        Case(
            torch.tensor([[1.0, 2.0], [0.0, 1.0]]),
            torch.tensor([[1.0, 0.0], [-1.0, 1.0]]),
            torch.tensor([[1.0, 2.0], [3.0, 7.0]]),
            torch.tensor([[False, False], [True, True]]),
        ),
        Case(*_qkv(2, 2, 3, T_q=4, T_k=7, d_head=5, d_v=6), _padded_on_both_sides()),
        Case(*_qkv(3, 2, 3, T_q=4, T_k=4, d_head=5, d_v=5), _left_padded()),
        Case(*_qkv(4, 3, T_q=4, T_k=5, d_head=2, d_v=3), _everything(4, 5).tril(1)),
        Case(*_qkv(5, 1, 2, T_q=1, T_k=3, d_head=3, d_v=2), torch.tensor([[True, False, True]])),
        Case(*_qkv(6, T_q=3, T_k=3, d_head=4, d_v=2, louder=100), _everything(3, 3).tril()),
        _loud_hidden_key(20),
        _loud_hidden_key(300),
    ],
    tolerance=Tolerance(absolute=1e-5, relative=1e-4),
    mistakes=[
        Mistake(
            "mask_ignored",
            "The mask has no effect: every query looks at every key. Before the softmax, set the "
            "scores of hidden keys to `-inf`. (`masked_fill` returns a new tensor: keep it.)",
            _attend(hide=_unmasked),
        ),
        Mistake(
            "mask_inverted",
            "You hide what is allowed and allow what is hidden. True means allowed, and "
            "`masked_fill` fills where its mask is True: give it `~mask`.",
            _attend(hide=lambda scores, mask: _hidden(scores, ~mask)),
        ),
        Mistake(
            "mask_after_softmax",
            "You set the hidden *weights* to 0 after the softmax. Then a row no longer sums to 1, "
            "and what it sums to tells of the keys that were to be hidden. Hide the *scores*, with "
            "`-inf`, before it.",
            _attend(hide=_unmasked, afterwards=_zeroed),
        ),
        Mistake(
            "zero_for_minus_infinity",
            "Hidden scores become 0, and e⁰ = 1 is not nothing: those keys still get weight. "
            "Fill with `-torch.inf`, whose exponential is 0.",
            _attend(hide=_zeroed),
        ),
        Mistake(
            "mask_added",
            "You add the mask as it is: allowed scores grow by 1, and nothing is hidden. What has "
            "to be added is 0 for allowed and `-inf` for hidden; `masked_fill` is simpler.",
            _attend(hide=lambda scores, mask: scores + mask),
        ),
        Mistake(
            "minus_infinity_times_zero",
            "Everything is `nan`: 0 times infinity is not 0 but `nan`. Do not multiply the mask by "
            "`-inf`: `masked_fill(~mask, -torch.inf)` touches only what is hidden.",
            _attend(hide=_times_infinity, normalise=lambda scores, mask: scores.softmax(-1)),
        ),
        Mistake(
            "nan_swept_away",
            "Every output is 0: all weights were `nan`, and the zeros cover it up. Look at the "
            "scores before the softmax. A mask *multiplied* by `-inf` does this (0 times infinity "
            "is `nan`); `masked_fill(~mask, -torch.inf)` does not.",
            _attend(hide=_times_infinity),
        ),
        Mistake(
            "nan_for_an_empty_row",
            "Right, but for a query that may look at nothing: its softmax is 0 / 0, which is "
            "`nan`. Such a query gets zeros: `weights.nan_to_num(0.0)`, or a `masked_fill`. "
            "(Multiplying by 0 does not help: `nan * 0` is `nan`.)",
            _attend(normalise=lambda scores, mask: scores.softmax(-1)),
        ),
        Mistake(
            "nan_in_the_gradients",
            "The result is right, but its gradients are `nan`: you sweep the `nan` away *after* "
            "it has met the values, and on the way back `nan * 0` is `nan`. Make the *weights* of "
            "an empty row 0, before `weights @ v`.",
            _attend(
                normalise=lambda scores, mask: scores.softmax(-1),
                finish=lambda out, q: out.nan_to_num(0.0),
            ),
        ),
        Mistake(
            "normalised_again",
            "You let the softmax run over all keys, set the hidden weights to 0 and divide each "
            "row by its sum again. If a hidden key has a large score, it has left nothing to "
            "divide. Hide the *scores*, before the softmax.",
            _attend(hide=_unmasked, normalise=_normalised_again),
        ),
        Mistake(
            "scale_by_number_of_queries",
            "You divide by the root of the number of queries. It is the number of *components* "
            "that makes scores large: `q.shape[-1]`.",
            _attend(scale=_root_of(lambda q, k, v: q.shape[-2])),
        ),
        Mistake(
            "detached",
            "The numbers are right, but no gradient gets through: is there a `detach`, a "
            "`.data`, a `no_grad` or a way through NumPy?",
            lambda q, k, v, mask: _masked_attention(q, k, v, mask).detach(),
        ),
        Mistake(
            "large_number_for_minus_infinity",
            "Right, but for a query that may look at nothing: filled with one and the same finite "
            "number, its scores are all equal and it looks at *everything*. Fill with "
            "`-torch.inf`, and turn the `nan` of such rows into zeros.",
            _attend(hide=lambda scores, mask: scores.masked_fill(~mask, -1e9)),
        ),
        Mistake(
            "mask_transposed",
            "The mask is transposed: its rows are queries and its columns keys, as in the scores.",
            _transposed_mask,
        ),
        Mistake(
            "no_scale",
            "The scores are not scaled: divide `q @ k.transpose(-2, -1)` by √d_head.",
            _attend(scale=lambda q, k, v: 1.0),
        ),
        Mistake(
            "scale_by_d_head",
            "You divide by d_head; it is the root of it, `math.sqrt(q.shape[-1])`.",
            _attend(scale=lambda q, k, v: q.shape[-1]),
        ),
        Mistake(
            "multiplied_by_scale",
            "You *multiply* by √d_head: the scores grow even larger. Divide.",
            _attend(scale=lambda q, k, v: 1 / math.sqrt(q.shape[-1])),
        ),
        Mistake(
            "scaled_after_softmax",
            "You divide by √d_head after the softmax: the weights of a row no longer sum to 1. "
            "Scale the scores, then hide, then normalise.",
            _attend(
                scale=lambda q, k, v: 1.0,
                finish=lambda out, q: out / math.sqrt(q.shape[-1]),
            ),
        ),
        Mistake(
            "scale_by_d_v",
            "You take the width of `v`. The sum that grows runs over the components of `q` and "
            "`k`: d_head is `q.shape[-1]`.",
            _attend(scale=_root_of(lambda q, k, v: v.shape[-1])),
        ),
        Mistake(
            "scale_by_number_of_keys",
            "You divide by the root of the number of keys. It is the number of *components* that "
            "makes scores large: `q.shape[-1]`.",
            _attend(scale=_root_of(lambda q, k, v: k.shape[-2])),
        ),
        Mistake(
            "scale_by_axis_1",
            "`shape[1]` is the width of a plain table only. With batch and heads in front it is "
            "the number of heads: the width is `q.shape[-1]`.",
            _attend(scale=_root_of(lambda q, k, v: q.shape[1])),
        ),
        Mistake(
            "softmax_over_queries",
            "The softmax runs over the queries. Each query shares its weight out among the keys, "
            "and keys are the last axis: `softmax(-1)`.",
            _attend(normalise=_over(-2)),
        ),
        Mistake(
            "softmax_over_axis_1",
            "`softmax(1)` is right for a plain table only. With batch and heads in front, axis 1 "
            "is the heads: the keys are the last axis, `softmax(-1)`.",
            _attend(normalise=_over(1)),
        ),
        Mistake(
            "no_softmax",
            "There is no softmax: the scores themselves are used as weights.",
            _attend(hide=_unmasked, normalise=lambda scores, mask: scores, afterwards=_zeroed),
        ),
        Mistake(
            "no_max_subtracted",
            "Right until the scores grow: `exp` overflows to `inf`, and `inf / inf` is `nan`. "
            "PyTorch's own `softmax(-1)` subtracts each row's maximum first.",
            _attend(normalise=_exponentials),
        ),
        Mistake(
            "weights_returned",
            "You return the weights. They still have to mix the values: `weights @ v`.",
            _attend(mix=lambda weights, v: weights),
        ),
    ],
    hints=[
        "Scores, scale, *hide*, softmax, mix: lesson 01 with one step more. Which score makes the "
        "exponential 0?",
        "With axes in front, `k.transpose(-2, -1)` has shape `(..., d_head, T_k)`, and the scores "
        "have shape `(..., T_q, T_k)`, to which the mask broadcasts.",
        "`scores.masked_fill(~mask, -torch.inf).softmax(-1)`, and what does `nan_to_num(0.0)` do?",
    ],
)

# --- 2.4 split_heads ------------------------------------------------------------------------


def _split_heads(x, n_heads):
    return torch.stack(x.chunk(n_heads, dim=-1), dim=1)


def _counting(*shape):
    return torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape)


def _viewed(*order):
    """The last axis as (n_heads, d_head), and the four axes in another order."""
    return lambda x, n: x.reshape(*x.shape[:2], n, -1).permute(order)


def _split_by_reshape(x, n_heads):
    B, T, d_model = x.shape
    return x.reshape(B, n_heads, T, d_model // n_heads)


def _split_interleaved(x, n_heads):
    return x.unflatten(-1, (-1, n_heads)).permute(0, 3, 1, 2)


split_heads = Exercise(
    number="2.4",
    name="split_heads",
    oracle=_split_heads,
    compared_with="`torch.stack(x.chunk(n_heads, dim=-1), dim=1)`",
    cases=lambda: [
        Case(_normal(1, 2, 5, 12), 3),
        Case(_counting(1, 3, 4), 2),
        Case(_counting(1, 2, 2), 1),
        Case(_counting(3, 1, 4), 4),
        Case(_normal(2, 3, 3, 9), 3),
    ],
    mistakes=[
        Mistake(
            "heads_not_moved",
            "The last axis is split, but the heads still stand after the words: "
            "`(B, T, n_heads, d_head)`. Swap axes 1 and 2 with `transpose`.",
            _viewed(0, 1, 2, 3),
        ),
        Mistake(
            "reshaped_into_place",
            "The shape is right, the numbers are not: `view` never moves a number, so your head 0 "
            "holds all of the first words and nothing of the last. Split the *last* axis first, "
            "`(B, T, n_heads, d_head)`, and then `transpose(1, 2)`.",
            _split_by_reshape,
        ),
        Mistake(
            "interleaved",
            "Head h gets every `n_heads`-th component. It should get neighbours, components "
            "`h * d_head` to `(h + 1) * d_head - 1`: view the last axis as `(n_heads, d_head)`, "
            "not as `(d_head, n_heads)`.",
            _split_interleaved,
        ),
        Mistake(
            "n_heads_for_d_head",
            "You took `n_heads` for the width of a head, and so made `d_head` heads. The last axis "
            "becomes `(n_heads, d_head)`, with `d_head = d_model // n_heads`.",
            lambda x, n: x.unflatten(-1, (-1, n)).transpose(1, 2),
        ),
        Mistake(
            "words_last",
            "Your words stand last: `(B, n_heads, d_head, T)`. Swap axes 1 and 2 only, so that "
            "each head is a table `(T, d_head)`.",
            _viewed(0, 2, 3, 1),
        ),
        Mistake(
            "heads_before_batch",
            "The heads stand before the batch: `(n_heads, B, T, d_head)`. They belong on axis 1.",
            _viewed(2, 0, 1, 3),
        ),
        Mistake(
            "batch_and_heads_in_one",
            "Batch and heads share one axis, `(B * n_heads, T, d_head)`. Here they keep one each.",
            lambda x, n: _split_heads(x, n).flatten(0, 1),
        ),
        Mistake(
            "list_of_heads",
            "That is one tensor for each head. One tensor with an axis for the heads is wanted: "
            "`torch.stack(..., dim=1)` would make it of these.",
            lambda x, n: list(x.chunk(n, dim=-1)),
        ),
        Mistake(
            "wrong_axes_swapped",
            "The shape is right, the numbers are not: you swapped words and width before cutting. "
            "Cut the last axis first, `(B, T, n_heads, d_head)`, and then swap axes 1 and 2.",
            lambda x, n: _split_by_reshape(x.transpose(1, 2).reshape(x.shape), n),
        ),
    ],
    hints=[
        "Each word's `d_model` numbers are cut into `n_heads` pieces of `d_head` neighbours. "
        "Which axis is that?",
        "`x.view(B, T, n_heads, d_head)` cuts the last axis. Now the heads stand after the words.",
        "`.transpose(1, 2)` swaps words and heads.",
    ],
)

# --- 2.5 merge_heads ------------------------------------------------------------------------


def _merge_heads(x):
    return torch.cat(x.unbind(dim=1), dim=-1)


def _merge_interleaved(x):
    return x.permute(0, 2, 3, 1).flatten(2)


def _merge_by_reshape(x):
    B, n_heads, T, d_head = x.shape
    return x.reshape(B, T, n_heads * d_head)


merge_heads = Exercise(
    number="2.5",
    name="merge_heads",
    oracle=_merge_heads,
    compared_with="`torch.cat(x.unbind(dim=1), dim=-1)`",
    cases=lambda: [
        Case(_normal(1, 2, 3, 5, 4)),
        Case(_counting(1, 2, 3, 2)),
        Case(_counting(1, 1, 2, 2)),
        Case(_counting(3, 4, 1, 1)),
        Case(_normal(2, 3, 3, 3, 3)),
        Case(_normal(3, 2, 5, 3, 4).transpose(1, 2)),
    ],
    mistakes=[
        Mistake(
            "reshaped_without_transpose",
            "The shape is right, the numbers are not: without `transpose(1, 2)` your first word is "
            "made of several words of head 0. Move the heads back behind the words, then flatten.",
            _merge_by_reshape,
        ),
        Mistake(
            "interleaved",
            "The components of the heads alternate. Head 0 comes first as a whole, then head 1: "
            "the heads' axis stands *before* `d_head` when you flatten.",
            _merge_interleaved,
        ),
        Mistake(
            "heads_added",
            "You add the heads up. They are laid side by side: each keeps its own place.",
            lambda x: x.sum(1),
        ),
        Mistake(
            "heads_averaged",
            "You average the heads. They are laid side by side: each keeps its own place.",
            lambda x: x.mean(1),
        ),
        Mistake(
            "not_flattened",
            "The heads are back behind the words, but in an axis of their own: join the last two "
            "with `flatten(2)`.",
            lambda x: x.transpose(1, 2),
        ),
        Mistake(
            "words_joined_to_width",
            "You joined words and width: `(B, n_heads, T * d_head)`. Swap heads and words first.",
            lambda x: x.flatten(2),
        ),
        Mistake(
            "heads_one_after_another",
            "You put the heads one after another along the *words*: `(B, n_heads * T, d_head)`. "
            "A word keeps its place and gets all its heads side by side.",
            lambda x: x.flatten(1, 2),
        ),
        Mistake(
            "heads_among_the_words",
            "You joined heads and words into one axis: `(B, T * n_heads, d_head)`. After the "
            "transpose join the *last* two axes, `flatten(2)`.",
            lambda x: x.transpose(1, 2).flatten(1, 2),
        ),
        Mistake(
            "words_last",
            "Your words stand last: `(B, d_model, T)`. They belong on axis 1.",
            lambda x: x.transpose(2, 3).flatten(1, 2),
        ),
        Mistake(
            "words_last_reshaped",
            "The shape is right, but you swapped words and width where heads and words change "
            "places: `transpose(1, 2)`.",
            lambda x: _merge_by_reshape(x.transpose(2, 3)),
        ),
    ],
    hints=[
        "Walk back: `split_heads` viewed and then transposed. What undoes the transpose?",
        "After `x.transpose(1, 2)` the shape is `(B, T, n_heads, d_head)`: join the last two axes.",
        "`.flatten(2)` joins all axes from axis 2 on. (`view` refuses here: after a transpose the "
        "numbers do not lie in order. `reshape` copies them.)",
    ],
)

# --- 2.6 MultiHeadAttention -----------------------------------------------------------------


class _MultiHeadAttention(nn.Module):
    """The learner's module with PyTorch's own forward."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)

    def forward(self, x, mask=None):
        B, T, d_model = x.shape
        if mask is not None:  # PyTorch's is True where a key is hidden, one table for each head
            mask = ~mask.expand(B, self.n_heads, T, T).reshape(B * self.n_heads, T, T)
        projections = self.w_q, self.w_k, self.w_v
        words = x.transpose(0, 1)  # (T, B, d_model)
        out, _ = F.multi_head_attention_forward(
            query=words,
            key=words,
            value=words,
            embed_dim_to_check=d_model,
            num_heads=self.n_heads,
            in_proj_weight=torch.cat([w.weight for w in projections]),
            in_proj_bias=torch.cat([w.bias for w in projections]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.w_o.weight,
            out_proj_bias=self.w_o.bias,
            training=self.training,
            need_weights=False,
            attn_mask=mask,
        )
        return out.transpose(0, 1)


def _project(self, x):
    return self.w_q(x), self.w_k(x), self.w_v(x)


def _heads(
    project=_project,
    split=_split_heads,
    attend=_masked_attention,
    merge=_merge_heads,
    finish=lambda self, out, x: self.w_o(out),
    n_heads=lambda self: self.n_heads,
    default=_everything,
):
    """Multi-head attention with one step replaced."""

    class Mutant(_MultiHeadAttention):
        def forward(self, x, mask=None):
            if mask is None:
                mask = default(x.shape[1], x.shape[1])
            q, k, v = (split(y, n_heads(self)) for y in project(self, x))
            return finish(self, merge(attend(q, k, v, mask)), x)

    return Mutant


def _times_weight(self, x, turned=False):
    """The projections as plain matrix products, without their biases."""
    weights = (w.weight for w in (self.w_q, self.w_k, self.w_v))
    return tuple(x @ (w if turned else w.T) for w in weights)


def _left_padded_sentences():
    real = torch.tensor([[True, True, True, True], [False, False, True, True]])
    return real[:, None, None, :] & _everything(4, 4).tril()


def _mask_for_each_head():
    narrow = _everything(4, 4).tril()
    return torch.stack([narrow, narrow.triu(-1)])[None].expand(2, 2, 4, 4)


def _forward(answer, d_model, n_heads, x, mask):
    """What the learner's module makes of x, with known weights in it."""
    module = answer(d_model, n_heads)
    if not isinstance(module, nn.Module):
        raise TypeError("this is not the class: called with (d_model, n_heads), it makes no module")
    fill(module, like=_MultiHeadAttention(d_model, n_heads), scale=0.3)
    return in_training(module, x) if mask is None else in_training(module, x, mask)


def _real_words():
    """Which of four words are real; the first always is, so that causal rows are not empty."""
    rows = [[True, True, True, False], [True, True, True, True], [True, False, False, False]]
    return torch.tensor(rows)[:, None, None, :]


def _module_case(d_model, n_heads, x, mask, said):
    label = f"MultiHeadAttention({d_model}, {n_heads}) on x of shape {tuple(x.shape)}, {said}"
    return Case(d_model, n_heads, x, mask, label=label)


MultiHeadAttention = Exercise(
    number="2.6",
    name="MultiHeadAttention",
    oracle=_MultiHeadAttention,
    compared_with="`nn.MultiheadAttention` with your weights",
    probe=_forward,
    cases=lambda: [
        _module_case(12, 3, _normal(1, 2, 5, 12), _everything(5, 5).tril(), "mask causal (5, 5)"),
        _module_case(12, 3, _normal(2, 2, 5, 12), None, "no mask"),
        _module_case(
            8, 2, _normal(3, 3, 4, 8), _real_words(), "mask for padding of shape (3, 1, 1, 4)"
        ),
        _module_case(
            8,
            4,
            _normal(4, 3, 4, 8),
            _real_words() & _everything(4, 4).tril(),
            "mask causal and for padding, of shape (3, 1, 4, 4)",
        ),
        _module_case(2, 1, _normal(5, 1, 2, 2), None, "no mask"),
        _module_case(4, 2, _normal(6, 1, 2, 4), _everything(2, 2).tril(), "mask causal (2, 2)"),
        _module_case(4, 2, _normal(7, 3, 1, 4), None, "no mask"),
        _module_case(
            6,
            3,
            _normal(8, 2, 4, 6),
            _left_padded_sentences(),
            "mask in which the first two words of one sentence may look at nothing",
        ),
        _module_case(
            4, 2, _normal(9, 2, 4, 4), _mask_for_each_head(), "a mask of its own for each head"
        ),
    ],
    tolerance=Tolerance(absolute=1e-5, relative=1e-4),
    mistakes=[
        Mistake(
            "one_big_head",
            "That is one head of width `d_model`: `n_heads` has no effect. Call `split_heads` "
            "before the attention and `merge_heads` after it.",
            _heads(n_heads=lambda self: 1),
        ),
        Mistake(
            "scaled_by_d_model",
            "The scores are divided by √d_model. Each head adds up only `d_head` products: divide "
            "by the root of its own width, as your `masked_attention` does on split heads.",
            _heads(attend=_attend(scale=_root_of(lambda q, k, v: q.shape[-1] * q.shape[1]))),
        ),
        Mistake(
            "no_scale",
            "The scores are not scaled: divide by √d_head.",
            _heads(attend=_attend(scale=lambda q, k, v: 1.0)),
        ),
        Mistake(
            "no_output_projection",
            "`w_o` is missing: the heads lie side by side and nothing has mixed them yet. "
            "Return `self.w_o(...)` of the merged heads.",
            _heads(finish=lambda self, out, x: out),
        ),
        Mistake(
            "split_by_reshape",
            "The heads are split with `view` straight to `(B, n_heads, T, d_head)`, which mixes "
            "the words up. Use your `split_heads` of 2.4.",
            _heads(split=_split_by_reshape),
        ),
        Mistake(
            "merged_by_reshape",
            "The heads are merged without moving them back behind the words. "
            "Use your `merge_heads` of 2.5.",
            _heads(merge=_merge_by_reshape),
        ),
        Mistake(
            "reshaped_both_ways",
            "The heads are split and merged with `view` alone. Splitting and merging undo each "
            "other, but in between the words are mixed up: `transpose(1, 2)` is missing in both.",
            _heads(split=_split_by_reshape, merge=_merge_by_reshape),
        ),
        Mistake(
            "interleaved",
            "Your heads take every `n_heads`-th component. Trained weights expect neighbours: "
            "view the last axis as `(n_heads, d_head)`.",
            _heads(split=_split_interleaved, merge=_merge_interleaved),
        ),
        Mistake(
            "w_k_for_values",
            "The values are made with `w_k`: they have their own `w_v`.",
            _heads(project=lambda self, x: (self.w_q(x), self.w_k(x), self.w_k(x))),
        ),
        Mistake(
            "w_q_for_keys",
            "The keys are made with `w_q`: they have their own `w_k`.",
            _heads(project=lambda self, x: (self.w_q(x), self.w_q(x), self.w_v(x))),
        ),
        Mistake(
            "queries_and_keys_swapped",
            "Queries and keys are swapped: `w_q` makes what a word asks with, `w_k` what it is "
            "found by.",
            _heads(project=lambda self, x: (self.w_k(x), self.w_q(x), self.w_v(x))),
        ),
        Mistake(
            "keys_and_values_swapped",
            "Keys and values are swapped: `masked_attention(q, k, v, mask)` wants the keys before "
            "the values.",
            _heads(project=lambda self, x: (self.w_q(x), self.w_v(x), self.w_k(x))),
        ),
        Mistake(
            "biases_forgotten",
            "The projections are made without their biases. Call the layer, `self.w_q(x)`, in "
            "place of a product with its weight.",
            _heads(project=_times_weight),
        ),
        Mistake(
            "weight_not_transposed",
            "`x @ self.w_q.weight` is not what the layer does: PyTorch keeps the weight as "
            "`(out, in)`, and adds a bias. Call the layer, `self.w_q(x)`.",
            _heads(project=lambda self, x: _times_weight(self, x, turned=True)),
        ),
        Mistake(
            "values_not_projected",
            "The heads mix `x` itself. The values are `self.w_v(x)`.",
            _heads(project=lambda self, x: (self.w_q(x), self.w_k(x), x)),
        ),
        Mistake(
            "nothing_projected",
            "`x` itself serves as queries, keys and values. Each has a projection of its own: "
            "`self.w_q(x)`, `self.w_k(x)`, `self.w_v(x)`.",
            _heads(project=lambda self, x: (x, x, x)),
        ),
        Mistake(
            "mask_ignored",
            "The mask has no effect: hand it on to `masked_attention`.",
            _heads(attend=_attend(hide=_unmasked)),
        ),
        Mistake(
            "mask_inverted",
            "What is allowed is hidden and what is hidden allowed. True means allowed, both here "
            "and in `masked_attention`: hand the mask on as it is.",
            _heads(attend=_attend(hide=lambda scores, mask: _hidden(scores, ~mask))),
        ),
        Mistake(
            "mask_after_softmax",
            "The hidden *weights* are set to 0 after the softmax, and a row no longer sums to 1. "
            "Hide the scores, before it.",
            _heads(attend=_attend(hide=_unmasked, afterwards=_zeroed)),
        ),
        Mistake(
            "nan_for_an_empty_row",
            "Right, but for a word that may look at nothing: its softmax is 0 / 0, `nan`. Your "
            "`masked_attention` of 2.3 takes care of that; use it.",
            _heads(attend=_attend(normalise=lambda scores, mask: scores.softmax(-1))),
        ),
        Mistake(
            "large_number_for_minus_infinity",
            "Right, but for a word that may look at nothing: filled with one and the same finite "
            "number, its scores are all equal and it looks at everything. Your `masked_attention` "
            "of 2.3 takes care of that; use it.",
            _heads(attend=_attend(hide=lambda scores, mask: scores.masked_fill(~mask, -1e9))),
        ),
        Mistake(
            "first_heads_mask",
            "Every head gets the mask of the *first*. A mask may differ from head to head: hand "
            "it on as it is.",
            _heads(
                attend=lambda q, k, v, mask: _masked_attention(
                    q, k, v, mask[:, :1] if mask.ndim == 4 else mask
                )
            ),
        ),
        Mistake(
            "causal_by_default",
            "Without a mask you take the causal one. `None` means that everything is allowed.",
            _heads(default=lambda T, _: _everything(T, T).tril()),
        ),
        Mistake(
            "softmax_over_queries",
            "The softmax runs over the queries; the keys are the last axis.",
            _heads(attend=_attend(normalise=_over(-2))),
        ),
        Mistake(
            "softmax_over_heads",
            "The softmax runs over the heads. Each head shares its own weight out among the keys, "
            "the last axis.",
            _heads(attend=_attend(normalise=_over(1))),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but not all weights would learn: is there a `detach`, a "
            "`.data`, a `no_grad`, or a way through NumPy?",
            _heads(finish=lambda self, out, x: self.w_o(out.detach())),
        ),
        Mistake(
            "no_gradient_at_all",
            "The numbers are right, but no gradient gets through: is there a `detach`, a `.data`, "
            "a `no_grad`, or a way through NumPy?",
            _heads(finish=lambda self, out, x: self.w_o(out).detach()),
        ),
        Mistake(
            "input_added",
            "You add the input to the output. Such a residual connection comes in lesson 04; here "
            "only what the heads have found is returned.",
            _heads(finish=lambda self, out, x: x + self.w_o(out)),
        ),
    ],
    hints=[
        "Project, split, attend, merge, project. You have written the three in the middle.",
        "`split_heads(self.w_q(x), self.n_heads)` has shape `(B, n_heads, T, d_head)`; the same "
        "for keys and values, each with its own projection.",
        "Without a mask everything is allowed: `torch.ones(T, T, dtype=torch.bool)`. And at the "
        "end `self.w_o(merge_heads(...))`.",
    ],
)

# --- 2.7 leaks_future (stretch) -------------------------------------------------------------


def _leaks_future(attend, T, d_model):
    """A derivative by a later input that is not 0; and, where there are none, other outputs."""
    x = torch.randn(1, T, d_model)
    with torch.no_grad():
        differs = _probing()(attend, T, d_model)
    try:
        slopes = torch.autograd.functional.jacobian(attend, x).abs().amax((0, 2, 3, 5))  # (T, T)
    except RuntimeError:  # the layer has no derivatives
        return differs
    return differs or bool((slopes.nan_to_num().triu(1) > 1e-5 * slopes.nan_to_num().max()).any())


def _mixing(weights):
    """A layer whose output i is the sum of `weights[i, j]` times input j."""
    return lambda x: weights @ x


def _attending(mask):
    return lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=mask)


def _masked_too_late(mask):
    return lambda x: _zeroed((x @ x.transpose(-2, -1)).softmax(-1), mask) @ x


def _one_leak(T, i, j, weight=0.5):
    """Each word stays as it is, but for output i, which takes up some of input j."""
    weights = torch.eye(T)
    weights[i, j] = weight
    return _mixing(weights)


def _running_mean(T):
    return _everything(T, T).tril() / torch.arange(1, T + 1)[:, None]


def _noisy(layer):
    """As on many machines: two runs do not agree to the last bit."""
    return lambda x: layer(x) * (1 + 1e-7 * torch.randn(1))


def _one_component(x):
    """A leak through the last component alone."""
    return x + 0.5 * x[:, -1:] * (torch.arange(x.shape[-1]) == x.shape[-1] - 1)


def _normed_attention(x):
    """As in most models: the words are normalised first, so adding 1 to all of them is lost."""
    return _attending(None)(F.layer_norm(x, x.shape[-1:]))


def _with_batch(x):
    assert x.ndim == 3 and x.shape[0] == 1, (
        f"this layer takes (1, T, d_model), not {tuple(x.shape)}"
    )
    return x


def _layers(T):
    return {
        "causal attention": _attending(_everything(T, T).tril()),
        "attention without a mask": _attending(_everything(T, T)),
        "attention that sees one word ahead": _attending(_everything(T, T).tril(1)),
        "attention masked after the softmax": _masked_too_late(_everything(T, T).tril()),
        "tanh of each word": torch.tanh,
        "the words unchanged": _mixing(torch.eye(T)),
        "running mean of the words so far": _mixing(_running_mean(T)),
        "each word's predecessor": _mixing(torch.ones(T, T).tril(-1).triu(-1)),
        "each word's successor": _mixing(torch.ones(T, T).triu(1).tril(1)),
        "mean of all words": _mixing(torch.ones(T, T) / T),
        "always 1": torch.ones_like,
        "causal attention, with noise in the last digit": _noisy(
            _attending(_everything(T, T).tril())
        ),
        "attention to normalised words": _normed_attention,
        "the last word leaks through one component": _one_component,
        "a layer that takes (1, T, d_model) only": _with_batch,
    }


def _hidden_leaks(T):
    return {
        "word 1 leaks into output 0": _one_leak(T, 0, 1),
        "the last word leaks into the last output but one": _one_leak(T, T - 2, T - 1),
        "the last word leaks into output 0": _one_leak(T, 0, T - 1),
        "the last word but one leaks into output 1": _one_leak(T, 1, T - 2),
        "word 1 leaks into output 0, weight 0.01": _one_leak(T, 0, 1, 0.01),
        "the past, and nothing else": _one_leak(T, T - 1, 0),
        "large outputs, causal": _mixing(1e4 * _running_mean(T)),
        "small outputs, mean of all words": _mixing(0.01 * torch.ones(T, T) / T),
    }


def _detected(answer, layers, T, d_model):
    """What the answer says of each layer."""
    said = {name: answer(layer, T, d_model) for name, layer in layers(T).items()}
    return None if all(value is None for value in said.values()) else said


def _probing(
    cuts=lambda T: range(1, T),
    changed=lambda t: slice(t, None),
    compared=lambda t: slice(None, t),
    fresh=True,
    size=1.0,
    change=None,
    same=lambda a, b: torch.allclose(a, b, rtol=1e-4, atol=1e-6),
):
    """The detector with one step replaced: where it changes the input, and where it looks."""

    def mutant(attend, T, d_model):
        x = torch.randn(1, T, d_model)
        before, y = attend(x), x.clone()
        for t in cuts(T):
            y = x.clone() if fresh else y
            old = x[:, changed(t)]
            y[:, changed(t)] = change(old) if change else old + size * torch.randn_like(old)
            if not same(attend(y)[:, compared(t)], before[:, compared(t)]):
                return True
        return False

    return mutant


def _first_component(words):
    new = words.clone()
    new[..., 0] += 1 + torch.rand(1)
    return new


def _inputs_with_outputs(attend, T, d_model):
    x = torch.randn(1, T, d_model)
    return not torch.allclose(attend(x), x)


leaks_future = Exercise(
    number="2.7",
    name="leaks_future",
    oracle=_leaks_future,
    compared_with="`torch.autograd.functional.jacobian`, and new words at every place,",
    probe=_detected,
    cases=lambda: [
        Case(_layers, 5, 3, label="leaks_future(layer, T=5, d_model=3), for several layers"),
        Case(_hidden_leaks, 6, 2, label="leaks_future(layer, T=6, d_model=2), for several layers"),
        Case(_layers, 2, 4, label="leaks_future(layer, T=2, d_model=4), for several layers"),
    ],
    mistakes=[
        Mistake(
            "past_changed",
            "You change the *earlier* words and look at the later outputs: that they differ is "
            "what attention is for. Change the words from `t` on, and look at the outputs before.",
            _probing(changed=lambda t: slice(None, t), compared=lambda t: slice(t, None)),
        ),
        Mistake(
            "first_word_changed",
            "You change the first word and look at all outputs. They may all depend on it, for it "
            "is the past of all. Change *later* words, and look at the outputs before them.",
            _probing(
                cuts=lambda T: [0], changed=lambda t: slice(1), compared=lambda t: slice(None)
            ),
        ),
        Mistake(
            "all_outputs_compared",
            "You compare all outputs. A word may change its own output and those after it: "
            "compare only the outputs *before* the change, `[:, :t]`.",
            _probing(compared=lambda t: slice(None)),
        ),
        Mistake(
            "own_output_compared",
            "One output too many: a word may change its own. If the words from `t` on are new, "
            "compare `[:, :t]`, which ends before `t`.",
            _probing(compared=lambda t: slice(t + 1)),
        ),
        Mistake(
            "last_output_before_t_left_out",
            "One output too few: `[:, :t]` ends before `t` by itself. A leak of one word ahead "
            "slips through yours.",
            _probing(compared=lambda t: slice(t - 1)),
        ),
        Mistake(
            "only_the_neighbour",
            "You change word `t` and look at output `t - 1` alone. A leak may reach further back: "
            "look at all outputs before `t`.",
            _probing(changed=lambda t: slice(t, t + 1), compared=lambda t: slice(t - 1, t)),
        ),
        Mistake(
            "last_word_only",
            "You change only the last word. A leak may come from any word after the first: "
            "let `t` run over `range(1, T)`.",
            _probing(cuts=lambda T: [T - 1]),
        ),
        Mistake(
            "first_cut_only",
            "It finds a leak only where output 0 is touched. Is there a `return False` inside the "
            "loop, or do you ask that *all* outputs differ? One different output is enough for "
            "True, and False can be said only when every `t` has been tried.",
            _probing(cuts=lambda T: [1]),
        ),
        Mistake(
            "middle_cut_only",
            "You cut the words once, in the middle. A leak within one of the halves slips through: "
            "try every `t` in `range(1, T)`.",
            _probing(cuts=lambda T: [T // 2]),
        ),
        Mistake(
            "last_cut_missing",
            "The loop ends one too early: `range(1, T)` goes up to `T - 1`, the last word.",
            _probing(cuts=lambda T: range(1, T - 1)),
        ),
        Mistake(
            "all_components_shifted_alike",
            "You add the same number to every component of a word. A layer that normalises its "
            "words first takes that away again, and you see nothing. Put *random* words there.",
            _probing(change=lambda words: words + 1),
        ),
        Mistake(
            "words_multiplied",
            "You multiply the words by a number. A layer that normalises its words first takes "
            "that away again, and you see nothing. Put *random* words there.",
            _probing(change=lambda words: 3 * words),
        ),
        Mistake(
            "one_component_changed",
            "You change only the first component of a word. A leak through another one slips "
            "through: change the whole word.",
            _probing(change=_first_component),
        ),
        Mistake(
            "no_room_for_rounding",
            "Two runs of the same layer need not agree to the last digit, and yours takes that "
            "for a leak. Compare with `torch.allclose`.",
            _probing(same=torch.equal),
        ),
        Mistake(
            "cuts_from_2",
            "Your `t` starts at 2: a leak of word 1 into output 0 slips through.",
            _probing(cuts=lambda T: range(2, T)),
        ),
        Mistake(
            "copy_not_fresh",
            "Changes pile up: when the words from 2 on are tried, word 1 is still changed from the "
            "round before. Start each round from a fresh `x.clone()`.",
            _probing(fresh=False),
        ),
        Mistake(
            "inverted",
            "The answer is turned round: True means that something leaks.",
            lambda attend, T, d_model: not _leaks_future(attend, T, d_model),
        ),
        Mistake(
            "always_false",
            "It says False of every layer, even of attention without a mask. Is anything changed "
            "at all? Words are on axis 1: `y[:, t:] = …`, not `y[t:] = …`. And is the change "
            "large enough for `allclose` to see?",
            _probing(size=0.0),
        ),
        Mistake(
            "always_true",
            "It says True of every layer, even of one that answers 1 to everything. Are you "
            "comparing two results of `attend`, for inputs that agree up to `t`?",
            lambda attend, T, d_model: True,
        ),
        Mistake(
            "inputs_compared_with_outputs",
            "You compare the outputs with the inputs. Compare two *outputs*: of `x`, and of a copy "
            "in which later words are different.",
            _inputs_with_outputs,
        ),
    ],
    hints=[
        "If nothing leaks, new words from position `t` on cannot change any output before `t`.",
        "`before = attend(x)` once. Then for each `t` from 1 to `T - 1` a copy, `y = x.clone()`, "
        "with other random words in `y[:, t:]`.",
        "Compare `attend(y)[:, :t]` with `before[:, :t]` by `torch.allclose`. One difference is "
        "enough for True; False only after the loop.",
    ],
)
