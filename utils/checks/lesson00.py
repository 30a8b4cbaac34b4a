"""Lesson 00: start here. Three warm-ups in NumPy that lesson 01 builds on."""

import numpy as np

from utils.checks import hint, preview, progress  # noqa: F401  (a lesson calls checks.hint)
from utils.checks.engine import Case, Exercise, Lesson, Mistake

LESSON = Lesson("00", "Start here", "00_start_here")


def _normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def _positive(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 3.0, size=shape)


# --- 0.1 dot --------------------------------------------------------------------------------

dot = Exercise(
    number="0.1",
    name="dot",
    oracle=lambda a, b: float(np.dot(a, b)),
    compared_with="`np.dot`",
    cases=lambda: [
        Case(np.array([1.0, 2.0, 3.0]), np.array([4.0, 0.0, -1.0])),
        Case(np.array([2.0, 5.0]), np.array([3.0, 1.0])),
        Case(_normal(1, 6), _normal(2, 6)),
        Case(np.array([1.0, -3.0]), np.array([2.0, 1.0])),
        Case(np.array([3.0]), np.array([-2.0])),
    ],
    mistakes=[
        Mistake(
            "not_summed",
            "`a * b` multiplies number by number. The dot product adds these products up.",
            lambda a, b: a * b,
        ),
        Mistake(
            "sums_multiplied",
            "You add up first and multiply then. Multiply number by number, then add up.",
            lambda a, b: a.sum() * b.sum(),
        ),
        Mistake(
            "mean",
            "You take the mean of the products; the dot product is their sum.",
            lambda a, b: (a * b).mean(),
        ),
        Mistake(
            "added",
            "You add the two vectors up; their numbers have to be *multiplied* with each other.",
            lambda a, b: (a + b).sum(),
        ),
        Mistake(
            "with_itself",
            "You multiply `a` with itself: `b` is not used.",
            lambda a, b: (a * a).sum(),
        ),
        Mistake(
            "sign_lost",
            "A dot product may be negative; yours never is.",
            lambda a, b: abs((a * b).sum()),
        ),
    ],
    hints=[
        "What does `a * b` give, for two arrays of the same length?",
        "Arrays have a method `.sum()`.",
    ],
)

# --- 0.2 shares -----------------------------------------------------------------------------

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

# --- 0.3 weighted_mean ----------------------------------------------------------------------

weighted_mean = Exercise(
    number="0.3",
    name="weighted_mean",
    oracle=lambda weights, values: np.average(values, axis=0, weights=weights),
    compared_with="`np.average(values, axis=0, weights=weights)`",
    cases=lambda: [
        Case(np.array([0.2, 0.3, 0.5]), _normal(3, 3, 2)),
        Case(np.array([0.1, 0.6, 0.3]), _normal(4, 3, 3)),
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

_SIZES = [(2, 3), (7, 4), (5, 1), (3, 5), (9, 2), (6, 6), (4, 3), (8, 5)]  # keys, numbers in each

# --- 0.4 nearest (stretch) ------------------------------------------------------------------


def _cosine_nearest(query, keys):
    return int(np.argmax(keys @ query / np.linalg.norm(keys, axis=1)))


def _by(distance):
    """Nearest by another distance, from the differences `(R, n)` to `(R,)`."""
    return lambda query, keys: int(np.argmin(distance(np.asarray(keys) - query)))


def _nearest(query, keys):
    return _by(lambda d: (d**2).sum(axis=1))(query, keys)


nearest = Exercise(
    number="0.4",
    name="nearest",
    oracle=_nearest,
    compared_with="`np.argmin` of the squared distances",
    cases=lambda: [
        Case(np.array([1.0, 1.0]), np.array([[2.0, 2.0], [9.0, 0.0], [1.0, 0.5], [1.9, 1.2]])),
        Case(np.array([0.0, 0.0]), np.array([[3.0, 0.0], [2.0, 2.0]])),  # not Manhattan
        Case(np.array([0.0, 0.0]), np.array([[3.0, -3.0], [1.0, 0.0]])),  # not the sum's square
        Case(np.array([0.0, 0.0, 0.0]), np.array([[2.5, 0.0, 0.0], [2.0, 2.0, 2.0]])),
        Case(np.array([0.0]), np.array([[-40.0], [90.0], [-30.0]])),  # all far away
        Case(np.array([5.0, 5.0, 5.0]), np.array([[1.0, 1.0, 1.0]])),
        *[
            Case(3 * _normal(i, n), 3 * _normal(i + 50, rows, n))
            for i, (rows, n) in enumerate(_SIZES)
        ],
    ],
    mistakes=[
        Mistake(
            "largest_dot_product",
            "You take the key with the largest dot product: a long key wins although it is far "
            "off. Here the *distance* counts.",
            lambda query, keys: int(np.argmax(keys @ query)),
        ),
        Mistake(
            "farthest",
            "That is the farthest key: take the smallest distance.",
            lambda query, keys: int(np.argmax(((keys - query) ** 2).sum(axis=1))),
        ),
        Mistake(
            "cosine",
            "You compare directions only; a key in the same direction can still be far off.",
            _cosine_nearest,
        ),
        Mistake(
            "not_squared",
            "The differences are added up as they are, so that −3 and +3 cancel. Square them.",
            _by(lambda d: d.sum(axis=1)),
        ),
        Mistake(
            "squared_after_the_sum",
            "You add up first and square then, so that −3 and +3 cancel. Square each difference.",
            _by(lambda d: d.sum(axis=1) ** 2),
        ),
        Mistake(
            "absolute_differences",
            "You add up absolute differences. Here their *squares* count.",
            _by(lambda d: np.abs(d).sum(axis=1)),
        ),
        Mistake(
            "largest_difference",
            "You look at the largest difference alone. Add up the squares of all.",
            _by(lambda d: np.abs(d).max(axis=1)),
        ),
        Mistake(
            "axis_0",
            "You add up down the columns, over the keys. The sum runs along each row: `axis=1`.",
            _by(lambda d: (d**2).sum(axis=0)),
        ),
        Mistake(
            "counted_from_1",
            "Your count starts at 1; the first row has the number 0.",
            lambda query, keys: _nearest(query, keys) + 1,
        ),
        Mistake(
            "distances_returned",
            "You return all distances; the *place* of the smallest is wanted: `np.argmin`.",
            lambda query, keys: ((keys - query) ** 2).sum(axis=1),
        ),
        Mistake(
            "distance_returned",
            "You return the distance; its *place* among the keys is wanted: `np.argmin`.",
            lambda query, keys: float(((keys - query) ** 2).sum(axis=1).min()),
        ),
        Mistake(
            "key_returned",
            "You return the key itself; its *place* among the keys is wanted.",
            lambda query, keys: keys[_nearest(query, keys)],
        ),
    ],
    hints=[
        "`keys - query` subtracts the query from every row.",
        "Square it, and add up along each row: one squared distance for each key.",
        "`np.argmin` says where the smallest is.",
    ],
)
