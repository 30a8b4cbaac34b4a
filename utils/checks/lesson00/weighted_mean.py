"""Exercise 0.3, `weighted_mean`: its oracle, inputs, mistakes and hints."""

import numpy as np

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal_array

weighted_mean = Exercise(
    number="0.3",
    name="weighted_mean",
    oracle=lambda weights, values: np.average(values, axis=0, weights=weights),
    compared_with="`np.average(values, axis=0, weights=weights)`",
    cases=lambda: [
        Case(np.array([0.2, 0.3, 0.5]), normal_array(3, 3, 2)),
        Case(np.array([0.1, 0.6, 0.3]), normal_array(4, 3, 3)),
        Case(np.array([0.25, 0.75]), np.array([[0.0, 4.0], [8.0, 0.0]])),
        Case(np.array([0.25, 0.75]), np.array([[4, 1], [2, 3]])),
        Case(np.array([0.5, 0.5]), np.array([[2.0], [4.0]])),
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
    ],
    hints=[
        "For the first column: `weights[0] * values[0, 0] + weights[1] * values[1, 0] + …`.",
        "A vector times a matrix, `weights @ values`, does this for every column.",
    ],
)
SIZES = [(2, 3), (7, 4), (5, 1), (3, 5), (9, 2), (6, 6), (4, 3), (8, 5)]  # keys, numbers in each
