"""Exercise 19.4, `word_error_rate`: its oracle, inputs, mistakes and hints."""

import random

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.engine.probes import with_sentence


def _usable(references, hypotheses):
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references and {len(hypotheses)} hypotheses")
    if not any(r.split() for r in references):
        raise ValueError("the references have no word to be wrong about")


def _word_error_rate(references, hypotheses):
    import jiwer

    _usable(references, hypotheses)
    pairs = [(r, h) for r, h in zip(references, hypotheses, strict=True) if r.split()]
    found = jiwer.process_words([r for r, _ in pairs], [h for _, h in pairs])
    errors = found.substitutions + found.deletions + found.insertions
    empty = sum(
        len(h.split()) for r, h in zip(references, hypotheses, strict=True) if not r.split()
    )
    return (errors + empty) / sum(len(r.split()) for r in references)


def _distance(a, b, insert=1, delete=1, change=1):
    row = [j * insert for j in range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        old, row[0] = row[0], i * delete
        for j, y in enumerate(b, 1):
            old, row[j] = (
                row[j],
                min(row[j] + delete, row[j - 1] + insert, old + (0 if x == y else change)),
            )
    return row[-1]


def _two_ways(r, h, left_out):
    """The table with only two of the three neighbours; the borders are right."""
    table = {(i, 0): i for i in range(len(r) + 1)} | {(0, j): j for j in range(len(h) + 1)}
    for i, x in enumerate(r, 1):
        for j, y in enumerate(h, 1):
            ways = {
                "insertion": table[i, j - 1] + 1,
                "deletion": table[i - 1, j] + 1,
                "change": table[i - 1, j - 1] + (x != y),
            }
            table[i, j] = min(price for name, price in ways.items() if name != left_out)
    return table[len(r), len(h)]


def _rate(
    split=str.split,
    distance=_distance,
    divide=lambda r, h: len(r),
    total=lambda errors, sizes: sum(errors) / sum(sizes),
    refuse=_usable,
):
    """The rate with one step replaced."""

    def mutant(references, hypotheses):
        refuse(references, hypotheses)
        pairs = [(split(r), split(h)) for r, h in zip(references, hypotheses, strict=False)]
        errors = [distance(r, h) for r, h in pairs]
        return total(errors, [divide(r, h) for r, h in pairs])

    return mutant


def _place_by_place(r, h):
    return sum(a != b for a, b in zip(r, h, strict=False)) + abs(len(r) - len(h))


def _place_by_place_cut(r, h):
    return sum(a != b for a, b in zip(r, h, strict=False))


def _as_bags(r, h):
    return len(set(r) - set(h))


def _mean_of_rates(errors, sizes):
    return sum(e / max(s, 1) for e, s in zip(errors, sizes, strict=True)) / len(errors)


def _drawn(seed, n, longest):
    lots = random.Random(seeded(seed))
    shape = random.Random(seed)
    words = "the cat sat on a red mat and slept well".split()
    refs = [" ".join(lots.choices(words, k=shape.randint(2, longest))) for _ in range(n)]
    hyps = []
    for ref in refs:
        out = []
        for word in ref.split():
            what = lots.random()
            out += [] if what < 0.15 else [lots.choice(words)] if what < 0.3 else [word]
            out += [lots.choice(words)] if lots.random() < 0.15 else []
        hyps.append(" ".join(out))
    return Case(refs, hyps)


word_error_rate = Exercise(
    number="19.4",
    name="word_error_rate",
    oracle=_word_error_rate,
    compared_with="`jiwer`",
    probe=with_sentence,
    tolerance=Tolerance(absolute=1e-9, relative=1e-9),
    cases=lambda: [
        Case(["the cat sat down"], ["a cat sat"]),
        Case(["one two three", "four"], ["one three", "four five six"]),
        Case(["a b c d"], ["b c d e"]),
        Case(["go"], ["go go go go go"]),
        Case(["is it real"], [""]),
        Case(["all right"], ["all right"]),
        Case(["", "yes"], ["you", "yes"]),
        Case(["a  b", " c "], ["a b", "c"]),
        Case(["a a b b c"], ["a b a b c c"]),
        Case(["a b", "c"], ["a", "b c"]),
        Case(["The cat"], ["the cat"]),
        _drawn(1, 6, 9),
        _drawn(2, 3, 20),
        Case(["a", "b"], ["a"], raises=ValueError),
        Case([""], ["a"], raises=ValueError),
        Case([], [], raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "mean_of_the_rates",
            "You average the sentences' rates. Add up all errors and divide by all reference "
            "words, so that a long sentence counts for more.",
            _rate(total=_mean_of_rates),
        ),
        Mistake(
            "divided_by_the_hypothesis",
            "You divide by the words that were *written*. It is the reference's words: who writes "
            "more must not look better.",
            _rate(divide=lambda r, h: len(h), total=lambda e, s: sum(e) / max(sum(s), 1)),
        ),
        Mistake(
            "divided_by_the_longer",
            "You divide by the longer of the two. It is always the reference.",
            _rate(divide=lambda r, h: max(len(r), len(h))),
        ),
        Mistake(
            "insertions_ignored",
            "Words too many cost nothing with you. Each of them is an error.",
            _rate(distance=lambda r, h: _distance(r, h, insert=0)),
        ),
        Mistake(
            "deletions_ignored",
            "Missing words cost nothing with you. Each of them is an error.",
            _rate(distance=lambda r, h: _distance(r, h, delete=0)),
        ),
        Mistake(
            "substitutions_count_twice",
            "A wrong word counts as two errors with you. It is one: a substitution.",
            _rate(distance=lambda r, h: _distance(r, h, change=2)),
        ),
        Mistake(
            "no_insertion_in_the_table",
            "Inside the table you never insert: the neighbour with one word less of what was "
            "*written* is missing from the minimum.",
            _rate(distance=lambda r, h: _two_ways(r, h, "insertion")),
        ),
        Mistake(
            "no_deletion_in_the_table",
            "Inside the table you never delete: the neighbour with one word less of what was "
            "*said* is missing from the minimum.",
            _rate(distance=lambda r, h: _two_ways(r, h, "deletion")),
        ),
        Mistake(
            "place_by_place",
            "You compare place by place: after one missing word everything is wrong. Find the "
            "*cheapest* way from one to the other (edit distance).",
            _rate(distance=_place_by_place),
        ),
        Mistake(
            "place_by_place_cut_off",
            "You compare place by place, and only as far as the shorter reaches. Find the cheapest "
            "way from one to the other (edit distance).",
            _rate(distance=_place_by_place_cut),
        ),
        Mistake(
            "words_as_a_set",
            "You look whether each word occurs somewhere. Order and number count too.",
            _rate(distance=_as_bags),
        ),
        Mistake(
            "letters",
            "You count letters. It is the words: `split()`.",
            _rate(split=list),
        ),
        Mistake(
            "split_at_each_space",
            "Two spaces make an empty word with you: `split()` without an argument does not.",
            _rate(split=lambda text: text.split(" ")),
        ),
        Mistake(
            "never_above_1",
            "You cut off at 1. With many words too many the rate is larger than 1.",
            _rate(total=lambda e, s: min(1.0, sum(e) / sum(s))),
        ),
        Mistake(
            "accuracy",
            "That is the share of what is right. The rate counts the errors.",
            _rate(total=lambda e, s: 1 - sum(e) / sum(s)),
        ),
        Mistake(
            "sentences_counted",
            "You count sentences that are not quite right. Count words.",
            _rate(distance=lambda r, h: float(r != h), divide=lambda r, h: 1),
        ),
        Mistake(
            "percent",
            "You return percent. Asked for is a share.",
            _rate(total=lambda e, s: 100 * sum(e) / sum(s)),
        ),
        Mistake(
            "lengths_not_compared",
            "All is right but one thing: two references and one hypothesis need a `ValueError` "
            "with a sentence; `zip` drops what is left over in silence.",
            _rate(refuse=lambda r, h: _usable(r, r)),
        ),
    ],
    hints=[
        "For two lists of words fill a table: entry (i, j) is the cheapest way from the first i "
        "words to the first j. It is the least of three: left + 1, above + 1, diagonal + (0 or 1).",
        "The first row and the first column count 0, 1, 2, …: nothing but insertions or deletions.",
        "Add up the distances of all pairs, and divide by the number of all reference words.",
    ],
)
