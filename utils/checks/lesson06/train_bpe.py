"""Exercise 6.3, `train_bpe`: its oracle, inputs, mistakes and hints."""

import random

import numpy as np

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson06.common import counted_pairs, library, merges_of, trained


def _train_bpe(pieces, n_merges):
    return merges_of(library(pieces, n_merges))


def _pairs_of_ints(answer, pieces, n_merges):
    """The merges as tuples of plain integers, whatever kind of pairs they are."""
    found = answer(pieces, n_merges)
    if not isinstance(found, list):
        return found
    return [_plain(pair) if isinstance(pair, tuple) else {"no tuple": pair} for pair in found]


def _plain(pair):
    return tuple(int(i) if isinstance(i, int | np.integer) else i for i in pair)


def _most(better):
    """Another idea of which pair is the best."""
    return lambda counts: min(counts, key=lambda pair: better(counts[pair], pair))


def _first_seen(counts):
    return max(counts, key=counts.get)


def _last_seen(counts):
    top = max(counts.values())
    return [pair for pair in counts if counts[pair] == top][-1]


def _once(words):
    return counted_pairs(dict.fromkeys(words, 1))


def _twice_at_least(words):
    return {pair: n for pair, n in counted_pairs(words).items() if n > 1}


def _not_updated(pieces, n_merges):
    """The commonest pairs of the bytes: counted once, and nothing is ever merged."""
    words = {}
    for piece in pieces:
        word = tuple(piece.encode("utf-8"))
        words[word] = words.get(word, 0) + 1
    counts = counted_pairs(words)
    return sorted(counts, key=lambda pair: (-counts[pair], pair))[:n_merges]


def _merged_once(word, pair, new_id):
    for i in range(len(word) - 1):
        if word[i : i + 2] == pair:
            return (*word[:i], new_id, *word[i + 2 :])
    return word


def _words(seed, letters, n, n_merges, longest=7):
    draw = random.Random(seeded(seed))
    pieces = ["".join(draw.choices(letters, k=draw.randint(1, longest))) for _ in range(n)]
    return Case(pieces, n_merges, label=f"train_bpe({n} pieces, {n_merges}), pieces={pieces[:6]}…")


train_bpe = Exercise(
    number="6.3",
    name="train_bpe",
    oracle=_train_bpe,
    compared_with="the `tokenizers` library, trained on the same pieces,",
    probe=_pairs_of_ints,
    cases=lambda: [
        _words(1, ["a", "b", "c", " a", "é", "日"], 40, 12),
        Case(["low", "low", "lower", "lowest"], 3),
        Case(["ab", "ab", "cd", "cd"], 2),
        Case(["ba", "ab"], 1),
        Case(["aaaa", "aaa"], 3),
        Case(["ab", "c"], 5),
        Case([], 4),
        Case(["x"], 4),
        Case(["é", "é", "ü"], 2),
        Case(["Ab", "AB", "ab", "aB", "Ab"], 3),
        Case([" the", " then", "the", " the"], 4),
        _words(2, ["a", "b"], 60, 25, longest=12),
        _words(3, ["🙂", "日", "本", " "], 40, 20),
    ],
    mistakes=[
        Mistake(
            "characters_for_bytes",
            "You split the pieces into characters. It starts from *bytes*: "
            '`piece.encode("utf-8")`, so `é` is two of them and no character is ever unknown.',
            trained(as_bytes=lambda piece: tuple(map(ord, piece))),
        ),
        Mistake(
            "merged_across_pieces",
            "The pieces are glued together, and pairs are counted across their edges. Each piece "
            "is a word of its own.",
            trained(prepare=lambda pieces: ["".join(pieces)]),
        ),
        Mistake(
            "spaces_lost",
            "The spaces at the beginning of pieces get lost, and with them the difference between "
            "the beginning of a word and its middle. Do not `strip` or `split`.",
            trained(prepare=lambda pieces: [piece.strip() for piece in pieces]),
        ),
        Mistake(
            "ties_by_first_seen",
            "Among equally frequent pairs you take the one that was seen first, so the result "
            "depends on the order of the text. The smallest pair wins: "
            "`min(counts, key=lambda pair: (-counts[pair], pair))`.",
            trained(best=_first_seen),
        ),
        Mistake(
            "ties_by_last_seen",
            "Among equally frequent pairs you take the one that was seen last. The smallest pair "
            "wins: `min(counts, key=lambda pair: (-counts[pair], pair))`.",
            trained(best=_last_seen),
        ),
        Mistake(
            "ties_by_largest",
            "Among equally frequent pairs you take the largest: `max` of `(count, pair)` does "
            "that. The smallest wins: `min` of `(-count, pair)`.",
            trained(best=_most(lambda n, pair: (-n, -pair[0], -pair[1]))),
        ),
        Mistake(
            "rarest_first",
            "You merge the *rarest* pair. The most frequent one is merged.",
            trained(best=_most(lambda n, pair: (n, pair))),
        ),
        Mistake(
            "counted_only_once",
            "You count once and take the most frequent pairs of *bytes*. After each merge "
            "everything must be counted anew, for the new id makes new pairs.",
            _not_updated,
        ),
        Mistake(
            "repetitions_ignored",
            "Every piece counts once, however often it occurs. Frequent words have to weigh more: "
            "count the pieces with `Counter`.",
            trained(count=_once),
        ),
        Mistake(
            "first_occurrence_only",
            "Within a word only the first occurrence of the pair is merged. Use your `merge`.",
            trained(merge=_merged_once),
        ),
        Mistake(
            "new_ids_from_0",
            "Your new ids begin at 0, and those are bytes already. The first new id is 256.",
            trained(first_id=0),
        ),
        Mistake(
            "new_ids_from_257",
            "Your new ids begin at 257: 256 stays empty. Merge number `i`, counted from 0, makes "
            "the id `256 + i`.",
            trained(first_id=257),
        ),
        Mistake(
            "nothing_put_back",
            "Every round finds the same pair again: the merged words are never put back. Go on "
            "with the new words in the next round.",
            trained(merge=lambda word, pair, new_id: word),
        ),
        Mistake(
            "lists_for_pairs",
            "The pairs are lists. Make them tuples: a list can be no key of a dict, and `encode` "
            "will look them up in one.",
            trained(finish=lambda merges: [list(pair) for pair in merges]),
        ),
        Mistake(
            "small_letters",
            "You make everything small. `A` is another byte than `a`.",
            trained(prepare=lambda pieces: [piece.lower() for piece in pieces]),
        ),
        Mistake(
            "stops_at_1",
            "You stop when no pair occurs twice. As long as there is any pair at all, it is "
            "merged, until there are `n_merges`.",
            trained(count=_twice_at_least),
        ),
        Mistake(
            "one_merge_missing",
            "One merge is missing: there are to be `n_merges` of them.",
            lambda pieces, n_merges: trained()(pieces, n_merges - 1),
        ),
        Mistake(
            "ids_for_pairs",
            "You return the new ids. The *pairs* that were merged are wanted, in their order.",
            trained(finish=lambda merges: [256 + i for i in range(len(merges))]),
        ),
    ],
    hints=[
        "Count the pieces first, as tuples of bytes: "
        '`words = Counter(tuple(piece.encode("utf-8")) for piece in pieces)`. Most words occur '
        "often, and need be merged only once.",
        "Each round: `counts = count_pairs(words)`; stop if it is empty; "
        "`best = min(counts, key=lambda pair: (-counts[pair], pair))`.",
        "Then merge it in every word: a new dict, in which `tuple(merge(word, best, 256 + i))` "
        "keeps the old word's count.",
    ],
)
