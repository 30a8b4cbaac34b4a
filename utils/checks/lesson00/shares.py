"""Exercise 0.2, `shares`: its oracle, inputs, mistakes and hints."""

import numpy as np

from utils.checks.engine.exercise import Case, Exercise, Mistake


def _positive(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 3.0, size=shape)


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
    ],
    hints=[
        "`x.sum(axis=1)` adds up along each row.",
        "`x.sum(axis=1, keepdims=True)` has shape `(R, 1)`, which divides each row by its own sum.",
    ],
)
