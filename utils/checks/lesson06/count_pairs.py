"""Exercise 6.1, `count_pairs`: its oracle, inputs, mistakes and hints."""

import itertools
import random
from collections import Counter

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson06.common import counted_pairs


def _count_pairs(words):
    return dict(counted_pairs(words))


def _counting(pairs, times=lambda n: n):
    """Counting with another idea of which pairs a word holds, or how often it counts."""

    def mutant(words):
        counts = Counter()
        for word, n in words.items():
            for pair in pairs(word):
                counts[pair] += times(n)
        return dict(counts)

    return mutant


def _without_overlap(word):
    i = 0
    while i + 1 < len(word):
        yield word[i], word[i + 1]
        i += 2 if i + 2 < len(word) and word[i] == word[i + 1] == word[i + 2] else 1


def _across_words(words):
    counts = Counter()
    for pair in itertools.pairwise([i for word, n in words.items() for i in word * n]):
        counts[pair] += 1
    return dict(counts)


def _made(answer, words):
    """The answer's dict, whatever kind of dict it is."""
    found = answer(words)
    return dict(found) if isinstance(found, dict) else found


def _random_words(seed, ids, n):
    draw = random.Random(seeded(seed))
    words = {tuple(draw.choices(ids, k=draw.randint(0, 6))): draw.randint(1, 5) for _ in range(n)}
    return Case(words, label=f"count_pairs({words})" if n < 6 else f"count_pairs of {n} words")


count_pairs = Exercise(
    number="6.1",
    name="count_pairs",
    oracle=_count_pairs,
    compared_with="`itertools.pairwise` and `collections.Counter`",
    probe=_made,
    cases=lambda: [
        _random_words(1, [97, 98, 99, 300], 12),
        Case({(97, 98, 99): 3, (98, 99): 2}),
        Case({(97, 97, 97): 2}),
        Case({(5, 5, 5, 5, 5): 1, (5, 5): 4}),
        Case({(7,): 9}),
        Case({}),
        Case({(): 3, (1, 2): 1, (2, 1): 6}),
        _random_words(2, [70_000, 70_001, 256, 257], 9),
    ],
    mistakes=[
        Mistake(
            "counts_ignored",
            "Each word counts once, however often it occurs. Its number is the value in the dict: "
            "add `n`, not 1.",
            _counting(itertools.pairwise, times=lambda n: 1),
        ),
        Mistake(
            "pairs_across_words",
            "The end of one word and the beginning of the next are no pair: words stand in a dict "
            "in no order that means anything. Count within each word.",
            _across_words,
        ),
        Mistake(
            "overlap_skipped",
            "In `(a, a, a)` the pair `(a, a)` stands twice, at 0 and at 1. You count it once. "
            "(Merging will take it once; counting takes every place.)",
            _counting(_without_overlap),
        ),
        Mistake(
            "order_ignored",
            "`(1, 2)` and `(2, 1)` are two different pairs: do not sort them.",
            _counting(lambda word: (tuple(sorted(pair)) for pair in itertools.pairwise(word))),
        ),
        Mistake(
            "last_pair_missing",
            "The last pair of every word is missing: the loop ends one too early.",
            _counting(lambda word: itertools.pairwise(word[:-1])),
        ),
        Mistake(
            "first_pair_only",
            "Only the first pair of every word is counted. Is the `return`, or the counting, "
            "outside the inner loop?",
            _counting(lambda word: [word[:2]] if len(word) > 1 else []),
        ),
        Mistake(
            "pairs_do_not_overlap",
            "You cut the word into pairs, positions 0 and 1, then 2 and 3. Every neighbourhood "
            "counts: 0 and 1, 1 and 2, 2 and 3.",
            _counting(lambda word: zip(word[::2], word[1::2], strict=False)),
        ),
        Mistake(
            "gap_between",
            "Your pairs leave one out in between: `word[i]` with `word[i + 2]`. Neighbours are "
            "`word[i]` and `word[i + 1]`.",
            _counting(lambda word: zip(word, word[2:], strict=False)),
        ),
        Mistake(
            "all_pairs",
            "You count every two ids of a word, also far apart. Only neighbours are a pair.",
            _counting(lambda word: itertools.combinations(word, 2)),
        ),
        Mistake(
            "once_in_each_word",
            "A pair that stands twice in a word counts twice. You ask only *whether* it is there.",
            _counting(lambda word: set(itertools.pairwise(word))),
        ),
        Mistake(
            "round_the_end",
            "The last id of a word makes a pair with its first. A word is no circle: stop before.",
            _counting(lambda word: zip(word, word[1:] + word[:1], strict=True)),
        ),
        Mistake(
            "single_ids",
            "You count single ids. It is *pairs* of neighbours that can be merged.",
            _counting(lambda word: word),
        ),
        Mistake(
            "words_counted_twice",
            "Every count is twice too high. Is it added once outside and once inside the loop?",
            _counting(itertools.pairwise, times=lambda n: 2 * n),
        ),
    ],
    hints=[
        "Which neighbours are there in one word, `(a, b, c)`? Two pairs: `(a, b)` and `(b, c)`.",
        "`zip(word, word[1:])` goes through the neighbours of a word.",
        "Each pair of a word that occurs `n` times adds `n`: "
        "`counts[pair] = counts.get(pair, 0) + n`.",
    ],
)
