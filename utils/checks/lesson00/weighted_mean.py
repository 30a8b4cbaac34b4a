"""Exercise 0.3, `weighted_mean`: its oracle, inputs, mistakes and hints."""

import numpy as np

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal_array, seeded


def _weights(seed: int, R: int) -> np.ndarray:
    """Random weights that sum to 1: (R,)."""
    return np.random.default_rng(seeded(seed)).dirichlet(np.ones(R))


def _whole_numbers(weights, values):
    """Added up in an array of the table's own dtype."""
    out = np.zeros_like(values[0])
    for c in range(values.shape[1]):
        out[c] = weights @ values[:, c]
    return out


weighted_mean = Exercise(
    number="0.3",
    name="weighted_mean",
    oracle=lambda weights, values: np.average(values, axis=0, weights=weights),
    compared_with="`np.average(values, axis=0, weights=weights)`",
    cases=lambda: [
        Case(_weights(1, 3), normal_array(3, 3, 2)),
        Case(_weights(2, 3), normal_array(4, 3, 3)),
        Case(np.array([0.25, 0.75]), np.array([[0.0, 4.0], [8.0, 0.0]])),
        Case(np.array([0.25, 0.75]), np.array([[4, 1], [2, 3]])),
        Case(np.array([0.5, 0.5]), np.array([[2.0], [4.0]])),
        Case(np.array([0.0, 1.0, 0.0]), np.array([[1.0, 2.0], [3.0, 5.0], [8.0, 13.0]])),
        Case(np.array([1.0]), np.array([[7.0, -2.0, 4.0]])),
        Case(_weights(3, 9), normal_array(5, 9, 12)),
    ],
    mistakes=[
        Mistake(
            "weights_ignored",
            "That is the plain mean: every row counts the same. Let each count by its weight.",
            lambda weights, values: values.mean(axis=0),
        ),
        Mistake(
            "not_summed",
            "The rows are weighted, but not added up yet.",
            lambda weights, values: weights[:, None] * values,
        ),
        Mistake(
            "weights_on_columns",
            "The weights are laid along the *columns*, as `values @ weights` does. They belong to "
            "the rows, `weights @ values`; are the arguments in the order of the task?",
            lambda weights, values: values @ weights,
        ),
        Mistake(
            "rows_summed",
            "The rows are weighted, and then you add up *along* each row. Add up the rows "
            "themselves: `axis=0`.",
            lambda weights, values: (weights[:, None] * values).sum(axis=1),
        ),
        Mistake(
            "no_axis_added",
            "`weights * values` lays the weights along the columns (and stops where there are not "
            "as many). `weights[:, None]` is one weight for each row.",
            lambda weights, values: (weights * values).sum(axis=0),
        ),
        Mistake(
            "divided_again",
            "The weights sum to 1 already: dividing by their number as well makes it too small.",
            lambda weights, values: weights @ values / len(weights),
        ),
        Mistake(
            "summed_to_one_number",
            "You have added up everything. One number for each *column* is wanted.",
            lambda weights, values: (weights[:, None] * values).sum(),
        ),
        Mistake(
            "first_row_only",
            "Only the first row is there: does the `return` stand inside the loop?",
            lambda weights, values: weights[0] * values[0],
        ),
        Mistake(
            "last_row_only",
            "Only the last row is left: in the loop add to the sum, `+=`, do not replace it.",
            lambda weights, values: weights[-1] * values[-1],
        ),
        Mistake(
            "heaviest_row",
            "You return the row with the largest weight alone. Every row counts, by its weight.",
            lambda weights, values: values[weights.argmax()],
        ),
        Mistake(
            "weights_reversed",
            "The weights meet the rows in reverse order: the first weight belongs to the first "
            "row.",
            lambda weights, values: weights[::-1] @ values,
        ),
        Mistake(
            "weights_squared",
            "The weights are multiplied in twice. Once is enough.",
            lambda weights, values: weights**2 @ values,
        ),
        Mistake(
            "row_axis_kept",
            "The numbers are right, but in a table with one row: `(1, C)`. Wanted is `(C,)`.",
            lambda weights, values: weights[None] @ values,
        ),
        Mistake(
            "cut_to_integers",
            "For a table of whole numbers the means are cut: the array that you write into is made "
            "for integers (`np.zeros_like`). Make it with `np.zeros(...)`.",
            _whole_numbers,
        ),
    ],
    hints=[
        "For the first column: `weights[0] * values[0, 0] + weights[1] * values[1, 0] + …`.",
        "A vector times a matrix, `weights @ values`, does this for every column.",
    ],
)
