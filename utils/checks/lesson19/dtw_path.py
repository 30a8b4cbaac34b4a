"""Exercise 19.5, `dtw_path`: its oracle, inputs, mistakes and hints."""

import itertools

import torch

from utils.checks.engine.compare import Seen, Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_sentence

STEPS = ((1, 1), (1, 0), (0, 1))


def _usable(cost):
    if cost.ndim != 2 or 0 in cost.shape:
        raise ValueError(f"the cost has shape {tuple(cost.shape)}: a table with entries is needed")


def _paths(cost, steps=STEPS, diagonal=1):
    """The cheapest path to the last cell, and its price: of each cell the best way is kept."""
    n, m = cost.shape
    cost, best, before = cost.tolist(), {}, {}
    for i, j in itertools.product(range(n), range(m)):
        ways = [(i - a, j - b) for a, b in steps if (i - a, j - b) in best]
        if (i, j) == (0, 0):
            best[i, j] = cost[i][j]
        elif ways:  # to some cells no step may lead
            prices = {way: best[way] + cost[i][j] for way in ways}
            if (i - 1, j - 1) in prices:
                prices[i - 1, j - 1] += (diagonal - 1) * cost[i][j]
            before[i, j] = min(prices, key=prices.get)
            best[i, j] = prices[before[i, j]]
    path = [(n - 1, m - 1)]
    while path[-1] in before:
        path.append(before[path[-1]])
    return best[n - 1, m - 1], tuple(path[::-1])


def _dtw_path(cost):
    _usable(cost)
    return list(_paths(cost)[1])


def _of(path):
    def mutant(cost):
        _usable(cost)
        return path(cost)

    return mutant


def _greedy(cost):
    """At each step to the cheapest neighbour."""
    (n, m), path = cost.shape, [(0, 0)]
    while path[-1] != (n - 1, m - 1):
        i, j = path[-1]
        ways = [(i + a, j + b) for a, b in STEPS if i + a < n and j + b < m]
        path.append(min(ways, key=lambda cell: cost[cell].item()))
    return path


def _row_by_row(cost):
    return [(i, int(j)) for i, j in enumerate(cost.argmin(1))]


def _column_by_column(cost):
    return [(int(i), j) for j, i in enumerate(cost.argmin(0))]


def _diagonal_only(cost):
    n, m = cost.shape
    return [(min(k, n - 1), min(k, m - 1)) for k in range(max(n, m))]


def _probe(answer, cost):
    """Among equally cheap paths any will do: what is compared is its price, and its form."""
    before = cost.clone()
    path = with_sentence(answer, cost)
    try:
        cells = [(int(i), int(j)) for i, j in path]
    except (TypeError, ValueError):
        return path
    if not isinstance(path, list):
        return path
    n, m = before.shape
    found = Seen(
        {"begins at": cells[0] if cells else None, "ends at": cells[-1] if cells else None}
    )
    moves = {(c - a, d - b) for (a, b), (c, d) in zip(cells, cells[1:], strict=False)}
    found["steps other than (1, 1), (1, 0), (0, 1)"] = sorted(moves - set(STEPS))
    inside = all(0 <= i < n and 0 <= j < m for i, j in cells)
    price = sum(before[cell].item() for cell in cells) if inside else float("inf")
    found["price of the path"] = price
    found["the cost"] = "as it was" if torch.equal(cost, before) else "changed"
    return found


def _known(rows):
    return Case(torch.tensor(rows))


def _case(seed, n, m):
    return Case(normal(seed, n, m), label=f"dtw_path(torch.randn({n}, {m}))")


dtw_path = Exercise(
    number="19.5",
    name="dtw_path",
    oracle=_dtw_path,
    compared_with="all paths, tried out",
    probe=_probe,
    tolerance=Tolerance(absolute=1e-4, relative=1e-5),
    cases=lambda: [
        _case(1, 4, 7),
        _known([[0.0, 5.0, 9.0], [4.0, 1.0, 7.0], [9.0, 6.0, 2.0]]),
        _known([[1.0, 1.0, 1.0, 9.0], [9.0, 9.0, 1.0, 1.0]]),
        _known([[-1.0, -2.0, 3.0, -1.0], [2.0, -5.0, -4.0, 0.0], [1.0, 0.0, 8.0, -3.0]]),
        _known([[3.0, -1.0, 2.0]]),
        _known([[3.0], [1.0], [2.0]]),
        _known([[2.0]]),
        _case(2, 6, 5),
        _case(3, 3, 20),
        _case(4, 9, 9),
        Case(torch.zeros(0, 3), raises=ValueError),
        Case(torch.zeros(3), raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "greedy",
            "You always step to the cheapest neighbour. A dear step now may open a cheap way "
            "later: keep the price of the best way to *every* cell.",
            _of(_greedy),
        ),
        Mistake(
            "row_by_row",
            "You take the cheapest entry of each row by itself. The path must not go backwards, "
            "and it begins and ends in the corners.",
            _of(_row_by_row),
        ),
        Mistake(
            "column_by_column",
            "You take the cheapest entry of each column by itself. The path must not go backwards, "
            "and it begins and ends in the corners.",
            _of(_column_by_column),
        ),
        Mistake(
            "no_diagonal",
            "The diagonal step (1, 1) is missing.",
            _of(lambda cost: [*_paths(cost, ((1, 0), (0, 1)))[1]]),
        ),
        Mistake(
            "diagonal_counted_twice",
            "A step along the diagonal costs you twice the cell. Some books do that; here the sum "
            "counts each cell of the path once.",
            _of(lambda cost: list(_paths(cost, diagonal=2)[1])),
        ),
        Mistake(
            "dearest",
            "Your path is the *dearest*: take the smallest of the three prices.",
            _of(lambda cost: [*_paths(-cost)[1]]),
        ),
        Mistake(
            "backwards",
            "The path is the right one, but backwards: you walk back from the end, so turn it "
            "round.",
            _of(lambda cost: [*_paths(cost)[1]][::-1]),
        ),
        Mistake(
            "first_cell_missing",
            "(0, 0) is missing: the way back ends *at* the first cell.",
            _of(lambda cost: [*_paths(cost)[1]][1:] or [(0, 0)]),
        ),
        Mistake(
            "last_cell_missing",
            "The last cell is missing: the way back begins *at* it.",
            _of(lambda cost: [*_paths(cost)[1]][:-1] or [(0, 0)]),
        ),
        Mistake(
            "exchanged",
            "Rows and columns are exchanged: a pair is (row, column).",
            _of(lambda cost: [(j, i) for i, j in _paths(cost)[1]]),
        ),
        Mistake(
            "counted_from_1",
            "You count from 1. The first cell is (0, 0).",
            _of(lambda cost: [(i + 1, j + 1) for i, j in _paths(cost)[1]]),
        ),
        Mistake(
            "straight_along_the_diagonal",
            "You go along the diagonal whatever the costs are.",
            _of(_diagonal_only),
        ),
    ],
    hints=[
        "Fill a table `total` of the same shape: `total[i, j]` is `cost[i, j]` plus the least of "
        "`total[i - 1, j - 1]`, `total[i - 1, j]` and `total[i, j - 1]`.",
        "The first row and column have one way only: a running sum. (A border of infinity saves "
        "the special cases.)",
        "Then walk back from the last cell: go to whichever of the three neighbours is cheapest, "
        "until you are at (0, 0), and turn the list round.",
    ],
)
