"""Exercise 0.4 (stretch), `nearest`: its oracle, inputs, mistakes and hints."""

import numpy as np

from utils.checks.engine.compare import as_array
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal_array

SIZES = [(2, 3), (7, 4), (5, 1), (3, 5), (9, 2), (6, 6), (4, 3), (8, 5)]  # keys, numbers in each


def _squared(query, keys):
    """Squared distance of every key: (n,), (R, n) -> (R,)."""
    return ((keys - query) ** 2).sum(axis=1)


def _cosine_nearest(query, keys):
    return int(np.argmax(keys @ query / np.linalg.norm(keys, axis=1)))


def _by(distance):
    """Nearest by another distance, from the differences `(R, n)` to `(R,)`."""
    return lambda query, keys: int(np.argmin(distance(np.asarray(keys) - query)))


def _nearest(query, keys):
    return int(_squared(query, keys).argmin())


def _either_of_two(answer, query, keys):
    """The answer's row; where several are equally near, the first of them stands for each."""
    row = answer(query, keys)
    squared, said = _squared(query, keys), as_array(row)
    whole = said is not None and said.ndim == 0 and said.dtype.kind in "iu"
    if whole and 0 <= row < len(keys) and squared[int(row)] == squared.min():
        return int(squared.argmin())
    return row


def _best_not_updated(query, keys):
    found, best = 0, _squared(query, keys[:1])[0]
    for i, distance in enumerate(_squared(query, keys)):
        if distance < best:
            found = i
    return found


def _starts_too_small(query, keys):
    found, best = 0, 1e10
    for i, distance in enumerate(_squared(query, keys)):
        if distance < best:
            found, best = i, distance
    return found


nearest = Exercise(
    number="0.4",
    name="nearest",
    oracle=_nearest,
    compared_with="`np.argmin` of the squared distances",
    probe=_either_of_two,
    cases=lambda: [
        Case(np.array([1.0, 1.0]), np.array([[2.0, 2.0], [9.0, 0.0], [1.0, 0.5], [1.9, 1.2]])),
        Case(np.array([1.0, 1.0]), np.array([[2.0, 2.0], [9.0, 0.0], [1.0, 0.5]])),
        Case(np.array([0.0, 0.0]), np.array([[3.0, 0.0], [2.0, 2.0]])),  # not Manhattan
        Case(np.array([0.0, 0.0]), np.array([[3.0, -3.0], [1.0, 0.0]])),  # not the sum's square
        Case(np.array([0.0, 0.0, 0.0]), np.array([[2.5, 0.0, 0.0], [2.0, 2.0, 2.0]])),
        Case(np.array([0.0]), np.array([[-40.0], [90.0], [-30.0]])),  # all far away
        Case(np.array([0.0]), np.array([[4e8], [3e8]])),  # further than any "large number"
        Case(np.array([0.0, 1.0]), np.array([[3.0, 1.0], [0.0, -1.0], [2.0, 1.0]])),  # a draw
        Case(np.array([2.0, 2.0]), np.array([[2.0, 2.0], [2.0, 2.0]])),
        Case(np.array([5.0, 5.0, 5.0]), np.array([[1.0, 1.0, 1.0]])),
        Case(np.array([0.0, 0.0]), np.array([[2.1, 0.0], [1.5, 1.5]])),  # not fourth powers
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
            lambda query, keys: int(np.argmax(_squared(query, keys))),
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
            _squared,
        ),
        Mistake(
            "distance_returned",
            "You return the distance; its *place* among the keys is wanted: `np.argmin`.",
            lambda query, keys: float(_squared(query, keys).min()),
        ),
        Mistake(
            "row_in_an_array",
            "The row is right, but it stands in an array, as `np.where` gives it, with as many as "
            "are equally near. Return one number: `np.argmin`.",
            lambda query, keys: np.where(_squared(query, keys) == _squared(query, keys).min())[0],
        ),
        Mistake(
            "order_returned",
            "You return the whole order, the nearest first. Its first entry is the answer.",
            lambda query, keys: np.argsort(_squared(query, keys)),
        ),
        Mistake(
            "query_ignored",
            "You look for the smallest *key*: subtract the query first.",
            lambda query, keys: int((keys**2).sum(axis=1).argmin()),
        ),
        Mistake(
            "lengths_compared",
            "You compare the *lengths* of query and key. Subtract number by number, and square.",
            lambda query, keys: int(
                np.abs(np.linalg.norm(keys, axis=1) - np.linalg.norm(query)).argmin()
            ),
        ),
        Mistake(
            "first_number_only",
            "You compare only the first number of each key. All of them count.",
            _by(lambda d: d[:, 0] ** 2),
        ),
        Mistake(
            "starts_too_small",
            "Your search begins with a best distance that a key can exceed. Begin with the first "
            "key's, or with `float('inf')`.",
            _starts_too_small,
        ),
        Mistake(
            "best_not_updated",
            "A nearer key is taken, but the best distance is not lowered to its own: later keys "
            "are compared with the old one.",
            _best_not_updated,
        ),
        Mistake(
            "as_a_float",
            "The row is right, but it is a float; a row's number is an integer.",
            lambda query, keys: float(_nearest(query, keys)),
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
