"""Exercise 3.5, `alibi_bias`: its oracle, inputs, mistakes and hints."""

import numpy as np
import torch
from transformers.models.bloom.modeling_bloom import build_alibi_tensor

from utils.checks.engine.compare import Tolerance, is_tensor
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson03.sinusoidal import with_dtype


def _alibi_bias(n_heads, T):
    """BLOOM's slope * j, moved along each row until its diagonal is 0 (the softmax allows it)."""
    by_key = build_alibi_tensor(torch.ones(1, T, dtype=torch.long), n_heads, torch.float32)
    return by_key - by_key.transpose(1, 2)


def _biases(
    slope=lambda h, n_heads: 2.0 ** (-8 * (h + 1) / n_heads),
    distance=lambda i, j: i - j,
    bias=lambda slope, distance: -slope * distance,
):
    """The biases with one step replaced."""

    def mutant(n_heads, T):
        h, t = torch.arange(n_heads), torch.arange(T)
        return bias(slope(h, n_heads)[:, None, None], distance(t[:, None], t[None, :]))

    return mutant


def _visible(answer, n_heads, T):
    """The biases with 0 for what a causal mask hides, whatever stood there, and their dtype."""

    def lower(n_heads, T):
        result = answer(n_heads, T)
        if isinstance(result, np.ndarray) and result.ndim >= 2:
            return np.tril(result)
        return result.tril() if is_tensor(result) and result.ndim >= 2 else result

    return with_dtype(lower, n_heads, T)


alibi_bias = Exercise(
    number="3.5",
    name="alibi_bias",
    oracle=_alibi_bias,
    compared_with="BLOOM's biases in `transformers`, where j ≤ i,",
    probe=_visible,
    cases=lambda: [
        Case(2, 3),
        Case(1, 2),
        Case(4, 5),
        Case(4, 4),
        Case(8, 3),
        Case(16, 6),
        Case(2, 1),
        Case(2, 300),
    ],
    tolerance=Tolerance(absolute=1e-5, relative=1e-4),
    mistakes=[
        Mistake(
            "far_words_preferred",
            "The sign is the wrong way round: the bias grows with the distance, so far words are "
            "preferred. For j ≤ i it is never positive: minus the slope times `i - j`. (If you "
            "wrote `-slope * (j - i)`, query and key are swapped.)",
            _biases(bias=lambda slope, distance: slope * distance),
        ),
        Mistake(
            "heads_counted_from_zero",
            "Your first head has slope 1: the exponent counts from 1. Head `h` of 0, 1, 2, … has "
            "`2 ** (-8 * (h + 1) / n_heads)`.",
            _biases(slope=lambda h, n_heads: 2.0 ** (-8 * h / n_heads)),
        ),
        Mistake(
            "slopes_for_eight_heads",
            "The slopes 1/2, 1/4, 1/8, … are those of 8 heads. With n heads they run to 1/256 in "
            "n steps: `2 ** (-8 * (h + 1) / n_heads)`.",
            _biases(slope=lambda h, n_heads: 2.0 ** -(h + 1.0)),
        ),
        Mistake(
            "eight_forgotten",
            "The 8 of the exponent is missing: `2 ** (-8 * (h + 1) / n_heads)`. The last head then "
            "has the slope 1/256.",
            _biases(slope=lambda h, n_heads: 2.0 ** (-(h + 1) / n_heads)),
        ),
        Mistake(
            "exponent_without_minus",
            "The exponent needs its minus: your slopes grow above 1. They must shrink, from head "
            "to head.",
            _biases(slope=lambda h, n_heads: 2.0 ** (8 * (h + 1) / n_heads)),
        ),
        Mistake(
            "one_slope_for_all_heads",
            "All heads have the first head's slope. Each has its own, so that some look near and "
            "others far.",
            _biases(slope=lambda h, n_heads: (2.0 ** (-8 / n_heads)) * torch.ones(n_heads)),
        ),
        Mistake(
            "slopes_reversed",
            "The slopes are in reversed order: head 0 has the largest, the last head 1/256.",
            _biases(slope=lambda h, n_heads: 2.0 ** (-8 * (n_heads - h) / n_heads)),
        ),
        Mistake(
            "no_slope",
            "The distance is there, but no slope: multiply it by the slope of each head.",
            _biases(slope=lambda h, n_heads: torch.ones(n_heads)),
        ),
        Mistake(
            "distance_squared",
            "You square the distance. The bias of ALiBi is *linear*: slope times `i - j`.",
            _biases(distance=lambda i, j: (i - j) ** 2),
        ),
        Mistake(
            "diagonal_not_zero",
            "The distances are one too large: a word's distance from itself is 0, and so is its "
            "bias.",
            _biases(distance=lambda i, j: i - j + 1),
        ),
        Mistake(
            "not_divided_by_the_number_of_heads",
            "The exponent is -8 * (h + 1) / n_heads; yours is not divided by the number of heads.",
            _biases(slope=lambda h, n_heads: 2.0 ** (-8.0 * (h + 1))),
        ),
        Mistake(
            "exponent_rounded",
            "`//` rounds the exponent down to a whole number. Divide with `/`.",
            _biases(slope=lambda h, n_heads: 2.0 ** (-8 * (h + 1) // n_heads).float()),
        ),
        Mistake(
            "only_the_key_position",
            "You have slope · j, without the query's position. The softmax would not notice (each "
            "row is off by a constant, and BLOOM stores it like that), but here the diagonal "
            "shall be 0: `-slope * (i - j)`.",
            _biases(distance=lambda i, j: 0 * i - j),
        ),
        Mistake(
            "only_the_query_position",
            "The bias depends on the query's position alone: it is the same along a row, and the "
            "softmax cancels it. It has to be the distance of the two, `i - j`.",
            _biases(distance=lambda i, j: i - 0 * j),
        ),
        Mistake(
            "float64_returned",
            "The numbers are right, but in float64, as NumPy makes them. Scores are in float32, "
            "and attention refuses a bias of another kind: end with `.float()`.",
            lambda n_heads, T: _alibi_bias(n_heads, T).double(),
        ),
        Mistake(
            "heads_last",
            "The heads stand on the last axis. They come first: `(n_heads, T, T)`.",
            _biases(bias=lambda slope, distance: (-slope * distance).permute(1, 2, 0)),
        ),
    ],
    hints=[
        "Two parts: a slope for each head, and a table of distances that all heads share.",
        "`t[:, None] - t[None, :]` with `t = torch.arange(T)` has `i - j` at `[i, j]`.",
        "Slopes of shape `(n_heads, 1, 1)` times distances `(T, T)` give `(n_heads, T, T)`.",
    ],
)
