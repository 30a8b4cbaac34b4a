"""Exercise 1.2, `softmax`: its oracle, inputs, mistakes and hints."""

import numpy as np
import scipy.special

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal_array


def _softmax(x):
    return scipy.special.softmax(np.asarray(x, dtype=float), axis=-1)


def softmax_over(axis):
    """The softmax over an axis of one's choice: (..., n) -> (..., n)."""
    return lambda x: scipy.special.softmax(x, axis=axis)


def _no_keepdims(x):
    e = np.exp(x - x.max(axis=-1))
    return e / e.sum(axis=-1)


def _no_keepdims_in_sum(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1)


def _shifted(shift):
    def mutant(x):
        e = np.exp(x - shift(x))
        return e / e.sum(axis=-1, keepdims=True)

    return mutant


def _into_integers(x):
    out = np.zeros_like(x)
    out[...] = _softmax(x)
    return out


def _mixed_axes(max_axis, sum_axis):
    def mutant(x):
        e = np.exp(x - x.max(axis=max_axis, keepdims=True))
        return e / e.sum(axis=sum_axis, keepdims=True)

    return mutant


def _divided_by_largest(x):
    return np.exp(x - x.max(axis=-1, keepdims=True))


softmax = Exercise(
    number="1.2",
    name="softmax",
    oracle=_softmax,
    compared_with="`scipy.special.softmax`",
    cases=lambda: [
        Case(normal_array(1, 2, 3)),
        Case(normal_array(2, 3, 3)),
        Case(normal_array(3, 4)),
        Case(normal_array(4, 2, 3, 4)),
        Case(np.array([[1000.0, 1001.0, 1002.0]])),
        Case(np.array([[1000.0, 1001.0], [-1000.0, -1001.0]])),
        Case(np.array([[0.0, 800.0]])),
        Case(np.array([[800.0, 0.0]])),
        Case(np.array([[0.0, 0.0, 0.0, 3000.0], [-3000.0, 0.0, 1.0, 1.0]])),
        Case(np.array([[-1000.0, -1001.0]])),
        Case(np.array([1, 2, 3])),
        Case(np.array([0.0, 0.0])),
        Case(np.array([1000.0, 1000.0])),
        Case(normal_array(5, 5, 1)),
        Case(3 * normal_array(6, 2, 300)),
        Case(normal_array(7, 2, 1, 3, 2)),
    ],
    mistakes=[
        Mistake(
            "no_max_subtracted",
            "Right until the scores grow: `np.exp(1000)` overflows to `inf`, and `inf / inf` is "
            "`nan`. Subtract each row's largest entry first; the result stays the same.",
            lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
        ),
        Mistake(
            "softmax_over_columns",
            "The softmax runs down the columns: each *row* must sum to 1. The last axis is "
            "`axis=-1`.",
            softmax_over(0),
        ),
        Mistake(
            "softmax_over_everything",
            "Yours sums to 1 over the whole array: each *row* must sum to 1. "
            "Give `max` and `sum` `axis=-1`.",
            softmax_over(None),
        ),
        Mistake(
            "axis_1_for_last",
            "`axis=1` is the last axis of a table only. For a vector, or a stack of tables, "
            "the last axis is `axis=-1`.",
            softmax_over(1),
        ),
        Mistake(
            "no_keepdims",
            "`keepdims=True` is missing: the row sums have shape `(T,)`, and NumPy lays them along "
            "the *columns*. On a square table that gives no error, only wrong numbers.",
            _no_keepdims,
        ),
        Mistake(
            "no_keepdims_and_no_max",
            "`keepdims=True` is missing: the row sums have shape `(T,)`, and NumPy lays them along "
            "the *columns*. And large scores will overflow until you subtract each row's largest.",
            lambda x: np.exp(x) / np.exp(x).sum(axis=-1),
        ),
        Mistake(
            "mean_subtracted",
            "You subtract the row's *mean*: the largest score can still lie far above it and "
            "overflow. Subtract the row's largest.",
            _shifted(lambda x: x.mean(axis=-1, keepdims=True)),
        ),
        Mistake(
            "largest_size_subtracted",
            "You subtract the largest *absolute* score. In a row of large negative scores that "
            "makes all of them smaller still, and `0 / 0` is `nan`. Subtract the largest score.",
            _shifted(lambda x: np.abs(x).max(axis=-1, keepdims=True)),
        ),
        Mistake(
            "first_subtracted",
            "You subtract the row's *first* entry: the largest can still overflow.",
            _shifted(lambda x: x[..., :1]),
        ),
        Mistake(
            "subtracted_only_if_large",
            "You subtract only where scores are large and positive. Large *negative* ones give "
            "`0 / 0`. Subtract each row's largest always; it costs nothing.",
            lambda x: _shifted(lambda x: np.maximum(x.max(axis=-1, keepdims=True), 0.0))(x),
        ),
        Mistake(
            "no_keepdims_in_sum",
            "The maximum keeps its axis, the sum does not: `sum(axis=-1)` needs `keepdims=True` "
            "as well, or each *column* is divided by some row's sum.",
            _no_keepdims_in_sum,
        ),
        Mistake(
            "max_of_everything",
            "You subtract the largest entry of the whole array. A row far below it then becomes "
            "`exp(-2000) = 0` everywhere, and `0 / 0` is `nan`. Each row needs its own maximum.",
            _shifted(np.max),
        ),
        Mistake(
            "min_subtracted",
            "You subtract the row's *smallest* entry: the largest then still overflows. "
            "Subtract the largest.",
            _shifted(lambda x: x.min(axis=-1, keepdims=True)),
        ),
        Mistake(
            "max_over_columns",
            "You subtract each *column's* largest entry. That changes the differences within a "
            "row. The maximum runs along the row: `axis=-1`.",
            _mixed_axes(0, -1),
        ),
        Mistake(
            "sum_over_columns",
            "The maximum is each row's, but you divide by the sum of each *column*: `axis=-1` in "
            "both.",
            _mixed_axes(-1, 0),
        ),
        Mistake(
            "sum_of_everything",
            "The maximum is each row's, but you divide by the sum of the whole array. `sum` needs "
            "`axis=-1, keepdims=True` as well.",
            _mixed_axes(-1, None),
        ),
        Mistake(
            "nan_hidden",
            "You turn `nan` into a number: the row no longer sums to 1, and its largest score gets "
            "nothing. Do not let it overflow: subtract each row's largest first.",
            lambda x: np.nan_to_num(np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)),
        ),
        Mistake(
            "cut_to_integers",
            "For whole numbers as scores the shares are cut down to 0: the array that you write "
            "into is made for integers (`np.zeros_like(x)`). Make it with `np.zeros(x.shape)`.",
            _into_integers,
        ),
        Mistake(
            "not_divided",
            "These are the exponentials. Now divide each row by its sum.",
            lambda x: np.exp(x),
        ),
        Mistake(
            "divided_by_how_many",
            "You divide by *how many* entries a row has. Divide by the sum of its exponentials.",
            lambda x: _divided_by_largest(x) / x.shape[-1],
        ),
        Mistake(
            "hardmax",
            "You give everything to the largest score. The softmax gives every score its share.",
            lambda x: np.where(x == x.max(axis=-1, keepdims=True), 1.0, 0.0),
        ),
        Mistake(
            "no_exp",
            "You divide by the row's sum without `np.exp` before: negative scores give negative "
            "weights.",
            lambda x: x / x.sum(axis=-1, keepdims=True),
        ),
        Mistake(
            "sign_flipped",
            "The order is turned round: the largest score gets the smallest weight. "
            "Is there a minus too many?",
            lambda x: scipy.special.softmax(-x, axis=-1),
        ),
        Mistake(
            "divided_by_largest",
            "Your largest weight is 1 and the rows sum to more than 1: "
            "divide by the row's *sum* of exponentials.",
            _divided_by_largest,
        ),
        Mistake(
            "log_softmax",
            "These are the *logarithms* of the weights: take `np.exp` of them.",
            lambda x: scipy.special.log_softmax(x, axis=-1),
        ),
        Mistake(
            "sigmoid",
            "That is the sigmoid of each entry on its own; the weights of a row must share a sum "
            "of 1.",
            scipy.special.expit,
        ),
    ],
    hints=[
        "Three steps: make it positive, add up each row, divide.",
        "`x.max(axis=-1, keepdims=True)` has shape `(T, 1)`, so that it can be subtracted "
        "from every entry of its row.",
        "`e = np.exp(x - x.max(axis=-1, keepdims=True))`, and then?",
    ],
)
