"""Exercise 19.6, `ctc_collapse`: its oracle, inputs, mistakes and hints."""

import itertools
import random

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded


def _ctc_collapse(ids, blank):
    return [token for token, _ in itertools.groupby(ids) if token != blank]


def _blanks_first(ids, blank):
    return [token for token, _ in itertools.groupby(x for x in ids if x != blank)]


def _repeats_kept(ids, blank):
    return [x for x in ids if x != blank]


def _blanks_kept(ids, blank):
    return [token for token, _ in itertools.groupby(ids)]


def _each_once(ids, blank):
    return [x for x in dict.fromkeys(ids) if x != blank]


def _zero_for_blank(ids, blank):
    return _ctc_collapse(ids, 0)


def _last_run_lost(ids, blank):
    runs = [token for token, _ in itertools.groupby(ids)]
    return [x for x in runs[:-1] if x != blank]


def _first_run_lost(ids, blank):
    return [b for a, b in itertools.pairwise(ids) if a != b and b != blank]


def _pairs_only(ids, blank):
    """Two of a kind become one, three become two."""
    out, i = [], 0
    while i < len(ids):
        i += 2 if i + 1 < len(ids) and ids[i] == ids[i + 1] else 1
        if ids[i - 1] != blank:
            out.append(ids[i - 1])
    return out


def _stops_at_the_blank(ids, blank):
    return _ctc_collapse(itertools.takewhile(lambda x: x != blank, ids), blank)


def _drawn(seed, n, highest):
    lots = random.Random(seeded(seed))
    return [lots.choice([lots.randrange(highest), highest]) for _ in range(n)]


ctc_collapse = Exercise(
    number="19.6",
    name="ctc_collapse",
    oracle=_ctc_collapse,
    compared_with="`itertools.groupby`",
    cases=lambda: [
        Case([10, 3, 3, 10, 3, 7, 7], 10),
        Case([10, 3, 3, 10, 3, 7, 7, 7, 10, 10], 10),
        Case([5, 5, 5], 10),
        Case([10, 10], 10),
        Case([], 10),
        Case([1, 10, 1, 10, 1], 10),
        Case([0, 0, 2, 0, 2, 2], 0),
        Case([4], 4),
        Case([7, 8, 7, 8], 9),
        Case([300, 300, 301, 300, 301, 301], 301),
        Case(torch.tensor([300, 300, 301, 300, 300]).tolist(), 301),  # equal, but not the same
        Case(_drawn(1, 30, 5), 5),
        Case(_drawn(2, 60, 3), 3),
    ],
    mistakes=[
        Mistake(
            "blanks_removed_first",
            "You remove the blanks before you merge. Then *3 blank 3* becomes one 3: the blank is "
            "there to keep two equal symbols apart. Merge first.",
            _blanks_first,
        ),
        Mistake(
            "repeats_kept",
            "Repeats are not merged: a symbol that sounds for five slices is still one symbol.",
            _repeats_kept,
        ),
        Mistake(
            "blanks_kept",
            "The blanks are still there. Remove them after merging.",
            _blanks_kept,
        ),
        Mistake(
            "each_symbol_once",
            "Each symbol comes only once with you. Only *neighbours* that are equal are merged.",
            _each_once,
        ),
        Mistake(
            "zero_for_blank",
            "You take 0 for the blank. It is the argument `blank`.",
            _zero_for_blank,
        ),
        Mistake(
            "last_run_lost",
            "The last run is lost: after the loop there is still one to be added.",
            _last_run_lost,
        ),
        Mistake(
            "first_run_lost",
            "The first symbol is lost: it has no predecessor to differ from.",
            _first_run_lost,
        ),
        Mistake(
            "only_pairs_merged",
            "You merge two of a kind, but three of a kind become two. Compare each symbol with the "
            "one before it.",
            _pairs_only,
        ),
        Mistake(
            "stops_at_the_blank",
            "You stop at the first blank. It separates, it does not end.",
            _stops_at_the_blank,
        ),
    ],
    hints=[
        "Go through the ids and remember the one before: a symbol counts if it differs from that.",
        "And if it is not the blank. (Remember the blank too, as the one before.)",
    ],
)
