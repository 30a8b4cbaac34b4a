"""Exercise 3.2, `sinusoidal`: its oracle, inputs, mistakes and hints."""

import torch
from transformers.models.distilbert.modeling_distilbert import create_sinusoidal_embeddings

from utils.checks.engine.compare import Seen, Tolerance, is_tensor
from utils.checks.engine.exercise import Case, Exercise, Mistake


def _sinusoidal(T, d_model):
    return create_sinusoidal_embeddings(T, d_model, torch.empty(T, d_model))


def with_dtype(answer, *args):
    """The result and its dtype: a table in float64 makes float64 of what it is added to."""
    result = answer(*args)
    if not is_tensor(result):
        return result
    kind = result.dtype if result.is_floating_point() else torch.float32  # others are seen anyway
    return Seen({"result": result, "dtype": str(kind)})


def in_turn(sines, cosines):
    """Sines and cosines by turns along the last axis."""
    return torch.stack([sines, cosines], dim=-1).flatten(-2)


def _overlapping(sines, cosines):
    return torch.cat([sines, cosines[:, -1:], torch.zeros_like(sines)[:, 1:]], dim=-1)


def _waves(
    speed=lambda i, d_model: 10000.0 ** (-2 * i / d_model),
    cosines_speed=None,
    start=0,
    angle=lambda t, speed: t * speed,
    layout=in_turn,
):
    """The table of sines and cosines with one step replaced."""

    def mutant(T, d_model):
        t, i = torch.arange(start, T + start)[:, None], torch.arange(d_model // 2)
        sines = angle(t, speed(i, d_model)).sin()
        return layout(sines, angle(t, (cosines_speed or speed)(i, d_model)).cos())

    return mutant


sinusoidal = Exercise(
    number="3.2",
    name="sinusoidal",
    oracle=_sinusoidal,
    compared_with="the paper's formula in 64 bits, as DistilBERT has it,",
    probe=with_dtype,
    cases=lambda: [
        Case(2, 6),
        Case(2, 4),
        Case(3, 4),
        Case(6, 6),
        Case(5, 12),
        Case(1, 4),
        Case(4, 2),
        Case(50, 8),
        Case(300, 4),
        Case(5000, 2),
    ],
    tolerance=Tolerance(absolute=5e-5, relative=1e-5),
    mistakes=[
        Mistake(
            "sines_first_then_cosines",
            "All sines come first and then all cosines. Many libraries do that, and it serves as "
            "well; here they take turns as in the paper: sines in columns 0, 2, 4, and so on, "
            "each cosine right after its sine.",
            _waves(layout=lambda s, c: torch.cat([s, c], dim=-1)),
        ),
        Mistake(
            "sines_and_cosines_swapped",
            "Sines and cosines are swapped: the even columns hold the sines. Row 0 reads "
            "0, 1, 0, 1.",
            _waves(layout=lambda s, c: in_turn(c, s)),
        ),
        Mistake(
            "only_sines",
            "All columns are sines. The odd columns, `[:, 1::2]`, hold the cosines.",
            _waves(layout=lambda s, c: s.repeat_interleave(2, dim=-1)),
        ),
        Mistake(
            "columns_overlap",
            "The columns of one pair are overwritten by the next. Pair `i` fills the columns "
            "`2 * i` and `2 * i + 1`, not `i` and `i + 1`.",
            _waves(layout=_overlapping),
        ),
        Mistake(
            "two_forgotten",
            "The 2 of the exponent is missing: pair `i` goes with `2 * i / d_model`, so that the "
            "exponents run from 0 nearly to 1.",
            _waves(speed=lambda i, d_model: 10000.0 ** (-i / d_model)),
        ),
        Mistake(
            "two_counted_twice",
            "The 2 is counted twice. If your `i` runs 0, 2, 4, and so on, it is the paper's 2i "
            "already: divide it by `d_model` as it is.",
            _waves(speed=lambda i, d_model: 10000.0 ** (-4 * i / d_model)),
        ),
        Mistake(
            "cosines_with_their_own_frequency",
            "The sines are right, but each cosine turns a little slower than its sine. The two "
            "columns of a pair share one exponent, `2 * i / d_model`; column `2 * i + 1` does not "
            "get an exponent of its own.",
            _waves(cosines_speed=lambda i, d_model: 10000.0 ** (-(2 * i + 1) / d_model)),
        ),
        Mistake(
            "two_times_the_column",
            "You put the number of the *column* in place of `i`, and multiply by 2 once more. "
            "Columns `2 * i` and `2 * i + 1` are a pair and share the exponent `2 * i / d_model`.",
            _waves(
                speed=lambda i, d_model: 10000.0 ** (-4 * i / d_model),
                cosines_speed=lambda i, d_model: 10000.0 ** (-2 * (2 * i + 1) / d_model),
            ),
        ),
        Mistake(
            "positions_from_one",
            "You count the positions from 1. Row 0 belongs to position 0: sines 0, cosines 1.",
            _waves(start=1),
        ),
        Mistake(
            "multiplied_for_divided",
            "You multiply `t` by the power of 10000 where the formula divides: the waves must get "
            "slower from pair to pair. Mind the sign of the exponent.",
            _waves(speed=lambda i, d_model: 10000.0 ** (2 * i / d_model)),
        ),
        Mistake(
            "one_frequency_for_all",
            "All pairs turn at the same speed, so position 44 looks like position 0 (44 radians "
            "are nearly 7 full turns). Divide `t` by `10000 ** (2 * i / d_model)`, with `/` in the "
            "exponent and not `//`.",
            _waves(speed=lambda i, d_model: torch.ones(len(i))),
        ),
        Mistake(
            "base_1000",
            "A zero is missing: the paper's base is 10000, yours is 1000.",
            _waves(speed=lambda i, d_model: 1000.0 ** (-2 * i / d_model)),
        ),
        Mistake(
            "base_e",
            "You take `exp` of the exponent, so the base is e. Write `10000 ** (...)`, or multiply "
            "the exponent by the logarithm of 10000 first.",
            _waves(speed=lambda i, d_model: torch.exp(-2 * i / d_model)),
        ),
        Mistake(
            "last_pair_at_10000",
            "Your last pair has the divisor 10000 exactly: you divide by `d_model / 2 - 1`. Some "
            "libraries do that; the paper's exponent is `2 * i / d_model`.",
            _waves(speed=lambda i, d_model: 10000.0 ** (-i / max(d_model // 2 - 1, 1))),
        ),
        Mistake(
            "degrees",
            "You take the angles for degrees. `torch.sin` wants radians, and the formula gives "
            "them: nothing to convert.",
            _waves(angle=lambda t, speed: torch.deg2rad(t * speed)),
        ),
        Mistake(
            "float64_returned",
            "The numbers are right, but in float64, as NumPy makes them. Words are in float32, and "
            "added to them this makes float64 of everything, which no layer of theirs takes: end "
            "with `.float()`.",
            lambda T, d_model: _sinusoidal(T, d_model).double(),
        ),
        Mistake(
            "transposed",
            "Rows and columns are swapped: a *row* is a position, so the shape is `(T, d_model)`.",
            _waves(layout=lambda s, c: in_turn(s, c).T),
        ),
    ],
    hints=[
        "There are d_model / 2 speeds, one for each pair of columns. Make them first.",
        "`t` of shape `(T, 1)` divided by `10000 ** (2 * i / d_model)` of shape `(d_model / 2,)` "
        "gives all angles, `(T, d_model / 2)`.",
        "Fill an empty table in two steps: `table[:, 0::2] = angle.sin()`, and `1::2` for cosines.",
    ],
)
