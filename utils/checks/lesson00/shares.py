"""Exercise 0.2, `shares`: its oracle, inputs, mistakes and hints."""

import numpy as np

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded


def _positive(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seeded(seed)).uniform(0.5, 3.0, size=shape)


def _whole_table(x):
    """The shares written into an array of the table's own dtype."""
    out = np.zeros_like(x)
    out[...] = x / x.sum(axis=1, keepdims=True)
    return out


def _exponentials(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


shares = Exercise(
    number="0.2",
    name="shares",
    oracle=lambda x: np.asarray(x) / np.sum(x, axis=1, keepdims=True),
    compared_with="`x / np.sum(x, axis=1, keepdims=True)`",
    cases=lambda: [
        Case(_positive(1, 2, 3)),
        Case(_positive(2, 3, 3)),
        Case(np.array([[1.0, 3.0], [2.0, 2.0]])),
        Case(np.array([[1, 3], [2, 2], [5, 1]])),
        Case(np.array([[1.0, 4.0, 3.0]])),
        Case(np.array([[2.0], [5.0]])),
        Case(1e6 * _positive(3, 5, 12)),
        Case(np.array([[0.01, 0.03], [300.0, 100.0]])),
    ],
    mistakes=[
        Mistake(
            "columns_for_rows",
            "Your *columns* sum to 1; each *row* must. Which axis does the sum run along?",
            lambda x: x / x.sum(axis=0, keepdims=True),
        ),
        Mistake(
            "whole_table",
            "You divide by the sum of the whole table. Each row has a sum of its own.",
            lambda x: x / x.sum(),
        ),
        Mistake(
            "no_keepdims",
            "The row sums have lost their axis: NumPy lays them along the columns. Either it stops "
            "with an error, or, on a square table, it divides by the wrong row's sum. "
            "`keepdims=True` keeps the axis.",
            lambda x: x / x.sum(axis=1),
        ),
        Mistake(
            "divided_by_largest",
            "You divide by the row's largest entry; divide by its sum.",
            lambda x: x / x.max(axis=1, keepdims=True),
        ),
        Mistake(
            "divided_by_mean",
            "Your rows sum to the number of columns: you divide by the mean in place of the sum.",
            lambda x: x / x.mean(axis=1, keepdims=True),
        ),
        Mistake(
            "divided_by_length",
            "You divide by the *length* of each row, the root of the sum of its squares. Divide by "
            "the sum of its entries.",
            lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
        ),
        Mistake(
            "divided_by_how_many",
            "You divide by *how many* columns there are. Divide each row by its sum.",
            lambda x: x / x.shape[1],
        ),
        Mistake(
            "first_rows_sum",
            "All rows are divided by the *first* row's sum. Each row has a sum of its own.",
            lambda x: x / x[0].sum(),
        ),
        Mistake(
            "exponentials",
            "You take exponentials first: that is the softmax, which comes in lesson 1. Here the "
            "numbers are positive already: only divide.",
            _exponentials,
        ),
        Mistake(
            "cut_to_integers",
            "For a table of whole numbers the shares are cut down to 0: the array that you write "
            "into is made for integers (`np.zeros_like(x)`). Make it with `np.zeros(x.shape)`.",
            _whole_table,
        ),
        Mistake(
            "whole_division",
            "`//` divides without a rest and leaves 0 of every share. Divide with `/`.",
            lambda x: x // x.sum(axis=1, keepdims=True),
        ),
        Mistake(
            "upside_down",
            "It is upside down: you divide the sum by the entries.",
            lambda x: x.sum(axis=1, keepdims=True) / x,
        ),
        Mistake(
            "sums_returned",
            "You return the row sums. Now divide the table by them.",
            lambda x: x.sum(axis=1, keepdims=True),
        ),
        Mistake(
            "rounded",
            "The shares are rounded; return them as they are.",
            lambda x: np.round(x / x.sum(axis=1, keepdims=True), 2),
        ),
        Mistake(
            "axis_lost",
            "The numbers are right, but a table with one row (or one column) has lost an axis. Is "
            "there a `squeeze`?",
            lambda x: (x / x.sum(axis=1, keepdims=True)).squeeze(),
        ),
    ],
    hints=[
        "`x.sum(axis=1)` adds up along each row.",
        "`x.sum(axis=1, keepdims=True)` has shape `(R, 1)`, which divides each row by its own sum.",
    ],
)
