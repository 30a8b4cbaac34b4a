"""Exercise 0.4 (stretch), `nearest`: its oracle, inputs, mistakes and hints."""

import numpy as np

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal_array
from utils.checks.lesson00.weighted_mean import SIZES


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
            Case(3 * normal_array(i, n), 3 * normal_array(i + 50, rows, n))
            for i, (rows, n) in enumerate(SIZES)
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
