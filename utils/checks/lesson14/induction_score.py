"""Exercise 14.3, `induction_score`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_sentence
from utils.checks.lesson14.common import CLOSE


def _usable(attention, period):
    if not 1 <= period < attention.shape[-1]:
        raise ValueError(f"period {period}: nothing is repeated in {attention.shape[-1]} tokens")


def _induction_score(attention, period):
    _usable(attention, period)
    places = torch.diagonal(attention, offset=1 - period, dim1=-2, dim2=-1)  # from t = period - 1
    return places[..., 1:].mean((0, -1))


def _scored(
    back=lambda period: period - 1,
    start=lambda T, period: period,
    end=lambda T, period: T,
    attention=lambda a: a,
    reduce=lambda w: w.mean((0, 2)),
    refuse=_usable,
):
    """The score with one step replaced."""

    def mutant(weights, period):
        refuse(weights, period)
        T = weights.shape[-1]
        t = torch.arange(max(start(T, period), back(period), 0), end(T, period))
        s = (t - back(period)).clamp(0, T - 1)
        return reduce(attention(weights)[:, :, t, s])  # (B, n_heads, places)

    return mutant


def _whole_rows(weights, period):
    _usable(weights, period)
    return weights[:, :, period:].amax(-1).mean((0, 2))


def _first_half_looked_at(weights, period):
    _usable(weights, period)
    return weights[:, :, period:, :period].sum(-1).mean((0, 2))


def _case(seed, B, H, T, period):
    mask = torch.ones(T, T).tril().bool()
    weights = (2 * normal(seed, B, H, T, T)).masked_fill(~mask, -torch.inf).softmax(-1)
    label = f"induction_score(attention of shape {(B, H, T, T)}, period={period})"
    return Case(weights, period, label=label)


def _refused(T, period):
    label = f"induction_score(attention of shape {(1, 2, T, T)}, period={period})"
    return Case(torch.ones(1, 2, T, T) / T, period, label=label, raises=ValueError)


KNOWN = [[[[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.2, 0.7, 0.1, 0], [0.1, 0.2, 0.3, 0.4]]]]

induction_score = Exercise(
    number="14.3",
    name="induction_score",
    oracle=_induction_score,
    compared_with="`torch.diagonal` of each head, averaged",
    probe=with_sentence,
    tolerance=CLOSE,
    cases=lambda: [
        _case(1, 2, 3, 8, 4),
        Case(torch.tensor(KNOWN), 2),  # the example of the task
        _case(2, 1, 2, 10, 5),
        _case(3, 3, 5, 9, 3),
        _case(4, 1, 1, 7, 4),
        _case(5, 2, 4, 6, 1),
        _case(6, 1, 2, 5, 4),
        _case(7, 2, 9, 50, 25),
        _refused(4, 4),
        _refused(4, 0),
        _refused(4, 7),
    ],
    mistakes=[
        Mistake(
            "same_token",
            "You look at the weight on the same token, one period before. An induction head looks "
            "at the one *after* it: t − period + 1.",
            _scored(back=lambda p: p),
        ),
        Mistake(
            "two_after_it",
            "You look two tokens after the earlier one. It is one: t − period + 1.",
            _scored(back=lambda p: p - 2),
        ),
        Mistake(
            "one_before_it",
            "The sign of the 1 is turned: you look *before* the earlier token, at t − period − 1. "
            "It is t − period + 1.",
            _scored(back=lambda p: p + 1),
        ),
        Mistake(
            "one_place_too_many",
            "You begin at t = period − 1. Only from t = period on has the token been there before.",
            _scored(start=lambda T, p: p - 1),
        ),
        Mistake(
            "first_repeated_place_missed",
            "You begin at t = period + 1. At t = period the token is there for the second time "
            "already.",
            _scored(start=lambda T, p: min(p + 1, T - 1)),
        ),
        Mistake(
            "last_place_missed",
            "The last place is left out.",
            _scored(end=lambda T, p: max(T - 1, p + 1)),
        ),
        Mistake(
            "last_place_only",
            "Only the last place is looked at. Take the mean over all from t = period on.",
            _scored(start=lambda T, p: T - 1),
        ),
        Mistake(
            "one_period_only",
            "You stop after the second time. If the sequence goes on, so do the places.",
            _scored(end=lambda T, p: min(T, 2 * p)),
        ),
        Mistake(
            "transposed",
            "Rows and columns are exchanged: `attention[..., t, s]` is what t gives to s.",
            _scored(attention=lambda a: a.transpose(-1, -2)),
        ),
        Mistake(
            "added_up",
            "You add up the weights. Asked for is their mean.",
            _scored(reduce=lambda w: w.sum((0, 2))),
        ),
        Mistake(
            "largest",
            "You take the largest weight of all places. Asked for is their mean.",
            _scored(reduce=lambda w: w.amax((0, 2))),
        ),
        Mistake(
            "each_text_alone",
            "The batch is left over: average over it, so that each head has one number.",
            _scored(reduce=lambda w: w.mean(2)),
        ),
        Mistake(
            "first_text_only",
            "Only the first text of the batch counts. Average over all of them.",
            _scored(reduce=lambda w: w[0].mean(1)),
        ),
        Mistake(
            "heads_averaged",
            "You average over the heads, and keep the batch. Each head needs a number of its own.",
            _scored(reduce=lambda w: w.mean((1, 2))),
        ),
        Mistake(
            "one_number",
            "You average over everything. Each head needs a number of its own.",
            _scored(reduce=lambda w: w.mean()),
        ),
        Mistake(
            "largest_of_each_row",
            "You take the largest weight of each row, wherever it lies. It is the one at "
            "t − period + 1 that counts.",
            _whole_rows,
        ),
        Mistake(
            "whole_first_half",
            "You add up what goes to the whole first period. Only one place of it counts.",
            _first_half_looked_at,
        ),
        Mistake(
            "period_not_checked",
            "All is right but one thing: with a period of 0, or of the whole length, nothing is "
            "repeated. Raise a `ValueError` with a sentence.",
            _scored(refuse=lambda a, p: None),
        ),
    ],
    hints=[
        "The places are `t = torch.arange(period, T)`, and each looks at `t - period + 1`.",
        "`attention[:, :, t, t - period + 1]` picks one weight for each place: (B, n_heads, "
        "places). Average over all but the heads: `.mean((0, 2))`.",
        "`if not 1 <= period < attention.shape[-1]: raise ValueError(…)` with a sentence.",
    ],
)
