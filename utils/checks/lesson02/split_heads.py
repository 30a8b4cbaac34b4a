"""Exercise 2.4, `split_heads`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import counted, normal
from utils.checks.engine.probes import with_slopes


def _split_heads(x, n_heads):
    return torch.stack(x.chunk(n_heads, dim=-1), dim=1)


def _with_slopes(answer, x, n_heads):
    return with_slopes(lambda x: answer(x, n_heads), x)


def _viewed(*order):
    """The last axis as (n_heads, d_head), and the four axes in another order."""
    return lambda x, n: x.reshape(*x.shape[:2], n, -1).permute(order)


def split_by_reshape(x, n_heads):
    """A mistake: reshaped into place, without the transpose."""
    B, T, d_model = x.shape
    return x.reshape(B, n_heads, T, d_model // n_heads)


def split_interleaved(x, n_heads):
    """A mistake: head h gets every n_heads-th component."""
    return x.unflatten(-1, (-1, n_heads)).permute(0, 3, 1, 2)


split_heads = Exercise(
    number="2.4",
    name="split_heads",
    oracle=_split_heads,
    compared_with="`torch.stack(x.chunk(n_heads, dim=-1), dim=1)` and its gradient",
    probe=_with_slopes,
    cases=lambda: [
        Case(normal(1, 2, 5, 12), 3),
        Case(1 + counted(1, 2, 4), 2),
        Case(counted(1, 3, 4), 2),
        Case(counted(1, 2, 2), 1),
        Case(counted(3, 1, 4), 4),
        Case(normal(2, 3, 3, 9), 3),
        Case(normal(3, 2, 70, 2), 2),
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
            split_by_reshape,
        ),
        Mistake(
            "interleaved",
            "Head h gets every `n_heads`-th component. It should get neighbours, components "
            "`h * d_head` to `(h + 1) * d_head - 1`: view the last axis as `(n_heads, d_head)`, "
            "not as `(d_head, n_heads)`.",
            split_interleaved,
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
            lambda x, n: split_by_reshape(x.transpose(1, 2).reshape(x.shape), n),
        ),
    ],
    hints=[
        "Each word's `d_model` numbers are cut into `n_heads` pieces of `d_head` neighbours. "
        "Which axis is that?",
        "`x.view(B, T, n_heads, d_head)` cuts the last axis. Now the heads stand after the words.",
        "`.transpose(1, 2)` swaps words and heads.",
    ],
)
