"""Exercise 20.7, `other_partners`: its oracle, inputs, mistakes and hints."""

import random

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.engine.probes import with_sentence


def _usable(truths):
    most = max((truths.count(t) for t in truths), default=0)
    if 2 * most > len(truths):
        raise ValueError(f"one answer stands {most} times among {len(truths)}: too often")
    return most


def _other_partners(truths):
    """A perfect matching of items with items of other answers, found by SciPy."""
    import numpy as np
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    _usable(truths)
    if not truths:
        return []
    allowed = np.array([[a != b for b in truths] for a in truths])
    return maximum_bipartite_matching(csr_matrix(allowed), perm_type="column").tolist()


def _less_than_half(truths):
    most = max(map(truths.count, truths))
    if 2 * most >= len(truths):
        raise ValueError(f"one answer stands {most} times among {len(truths)}: too often")
    return most


def _turned(by, sort=True, refuse=_usable):
    def mutant(truths):
        most = refuse(truths) or 1
        order = list(range(len(truths)))
        if sort:
            order.sort(key=lambda i: str(truths[i]))
        partners = [0] * len(truths)
        for i, place in enumerate(order):
            partners[place] = order[(i + by(most)) % len(order)]
        return partners

    return mutant


def _first_that_differs(truths):
    _usable(truths)
    return [next(j for j, u in enumerate(truths) if u != t) for t in truths]


def _greedily(truths):
    """The first one that is free and differs; anything that is free where none does."""
    _usable(truths)
    free, partners = list(range(len(truths))), []
    for truth in truths:
        j = next((j for j in free if truths[j] != truth), free[0])
        free.remove(j)
        partners.append(j)
    return partners


def _greedily_given_up(truths):
    """As above, and an error where none is left."""
    _usable(truths)
    free, partners = list(range(len(truths))), []
    for truth in truths:
        left = [j for j in free if truths[j] != truth]
        if not left:
            raise ValueError("no free item with another answer is left")
        free.remove(left[0])
        partners.append(left[0])
    return partners


def _by_rank(truths):
    """The turned row as it is: partner i is given to item i, not to the i-th of the sorted row."""
    most = _usable(truths)
    order = sorted(range(len(truths)), key=lambda i: str(truths[i]))
    return order[most:] + order[:most]


def _shuffled(truths):
    _usable(truths)
    order = list(range(len(truths)))
    random.Random(0).shuffle(order)
    return order


def _other_answers(truths):
    return [truths[j] for j in _other_partners(truths)]


def _probe(answer, truths):
    """Any such order will do: what is compared is what it must fulfil."""
    given = list(truths)
    partners = with_sentence(answer, given)
    if not isinstance(partners, list):
        return partners
    for p in partners:
        if not isinstance(p, int) or isinstance(p, bool):
            raise TypeError(f"an entry is a {type(p).__name__}: a place should be an int")
    n = len(truths)
    inside = all(0 <= p < n for p in partners)
    pairs = list(zip(partners, truths, strict=False)) if inside else []
    return Seen(
        {
            "entries": len(partners),
            "places that do not exist": sorted(p for p in partners if not 0 <= p < n),
            "items used twice": sorted({p for p in partners if partners.count(p) > 1}),
            "partners with the same answer": sum(truths[p] == t for p, t in pairs),
            "truths": "as they were" if given == truths else "changed",
        }
    )


def _drawn(seed, n, answers):
    lots = random.Random(seeded(seed))
    truths = lots.choices(answers, k=n)
    most = max(truths, key=truths.count)
    while 2 * truths.count(most) > n:  # possible, but not easy
        truths[truths.index(most)] = next(a for a in answers if a != most)
        most = max(truths, key=truths.count)
    return Case(truths)


other_partners = Exercise(
    number="20.7",
    name="other_partners",
    oracle=_other_partners,
    compared_with="what the task demands of a control",
    probe=_probe,
    cases=lambda: [
        Case(["one", "one", "two", "one", "two", "three", "two", "one"]),
        Case(["one", "two", "one", "two"]),
        Case(["red", "blue"]),
        Case([]),
        Case(["a", "a", "a", "b", "c", "d"]),
        Case(["d", "c", "b", "a", "a", "a"]),
        Case(["b", "a", "a", "c", "a", "b", "c", "b", "c"]),
        _drawn(1, 12, ["one", "two", "three", "four"]),
        _drawn(2, 36, ["red", "blue", "green"]),
        _drawn(3, 10, ["x", "y"]),
        Case(["one", "one", "two"], raises=ValueError),
        Case(["one"], raises=ValueError),
        Case(["a", "a", "b", "a"], raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "turned_by_one",
            "Sorted and turned by *one* place, most items meet one of their own answer. Turn by "
            "as many as the commonest answer has items.",
            _turned(lambda most: 1),
        ),
        Mistake(
            "not_sorted",
            "Turned by one place without sorting: neighbours may have the same answer.",
            _turned(lambda most: 1, sort=False),
        ),
        Mistake(
            "not_sorted_but_turned_far",
            "The items must be *sorted* by their answers before they are turned.",
            _turned(lambda most: most, sort=False),
        ),
        Mistake(
            "turned_too_far",
            "Turned by one place more than the commonest answer has items, the row comes round "
            "to its own answer again where that answer makes up a half.",
            _turned(lambda most: most + 1),
        ),
        Mistake(
            "used_twice",
            "Some items are used more than once, others never. Each may be used once only.",
            _first_that_differs,
        ),
        Mistake(
            "greedy",
            "Taking the first free item that differs can leave a bad one over for the last.",
            _greedily,
        ),
        Mistake(
            "greedy_gives_up",
            "Taking the first free item that differs leaves a bad one over for the last, and you "
            "call that impossible. For a, a, a, b, c, d the first three can have the last three, "
            "and the other way round.",
            _greedily_given_up,
        ),
        Mistake(
            "given_by_rank",
            "The turned row is right, but its entry i is for the i-th item of the *sorted* row. "
            "You give it to item i of the list: `partners[order[i]] = ...`.",
            _by_rank,
        ),
        Mistake(
            "shuffled",
            "A plain shuffle: some items meet an item with their own answer, or themselves. That "
            "is the control which the cheat passes.",
            _shuffled,
        ),
        Mistake(
            "answers_for_places",
            "You return other *answers*. Wanted are the places of the partners.",
            _other_answers,
        ),
        Mistake(
            "half_refused",
            "Where one answer makes up exactly a half, it is still possible: refuse only what is "
            "more than half.",
            lambda truths: (
                _turned(lambda most: most, refuse=_less_than_half)(truths) if truths else []
            ),
        ),
        Mistake(
            "impossible_accepted",
            "Where one answer makes up more than half, it is impossible: a ValueError with a "
            "sentence.",
            _turned(lambda most: most, refuse=lambda t: max(map(t.count, t), default=0)),
        ),
    ],
    hints=[
        "Sort the places by their answers: items with one answer then stand side by side, and the "
        "largest group has a certain size.",
        "Turn the sorted row by that size: nobody lands in their own group any more, unless the "
        "group is larger than a half.",
    ],
)
