"""Exercise 6.4, `encode`: its oracle, inputs, mistakes and hints."""

import random

from tokenizers import Tokenizer, pre_tokenizers

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson06.common import from_merges, joined, signs


def _encode(pieces, merges):
    tokenizer = Tokenizer(from_merges(merges))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer.encode(" ".join(signs(piece) for piece in pieces)).ids


def _by_rank(ids, merges):
    """Byte-pair encoding of one piece: of all pairs that can be merged, the one learned first."""
    rank = {pair: i for i, pair in reversed([*enumerate(merges)])}
    while len(ids) > 1:
        best = min(zip(ids, ids[1:], strict=False), key=lambda pair: rank.get(pair, len(merges)))
        if best not in rank:
            break
        ids = joined(ids, best, 256 + rank[best])
    return list(ids)


def _each_piece(
    encode_piece=_by_rank,
    as_bytes=lambda piece: piece.encode("utf-8"),
    prepare=lambda pieces: pieces,
    finish=lambda ids: ids,
):
    """Encoding with one step replaced."""

    def mutant(pieces, merges):
        found = []
        for piece in prepare(pieces):
            found += encode_piece(list(as_bytes(piece)), merges)
        return finish(found)

    return mutant


def _latest_first(ids, merges):
    return _by_rank_of(ids, merges, lambda rank: -rank)


def _by_rank_of(ids, merges, order):
    rank = {pair: i for i, pair in enumerate(merges)}
    while pairs := [pair for pair in zip(ids, ids[1:], strict=False) if pair in rank]:
        best = min(pairs, key=lambda pair: order(rank[pair]))
        ids = joined(ids, best, 256 + rank[best])
    return list(ids)


def _from_the_left(ids, merges):
    """Whatever pair comes first in the text is merged."""
    rank = {pair: i for i, pair in enumerate(merges)}
    at = 0
    while at < len(ids) - 1:
        pair = tuple(ids[at : at + 2])
        ids = [*ids[:at], 256 + rank[pair], *ids[at + 2 :]] if pair in rank else ids
        at = 0 if pair in rank else at + 1
    return list(ids)


def _longest_match(ids, merges):
    """The longest token of the vocabulary that fits, again and again."""
    vocab = [bytes([b]) for b in range(256)]
    for a, b in merges:
        vocab.append(vocab[a] + vocab[b])
    known = {token: i for i, token in reversed([*enumerate(vocab)])}
    text, found = bytes(ids), []
    while text:
        n = next(n for n in range(len(text), 0, -1) if text[:n] in known)
        found.append(known[text[:n]])
        text = text[n:]
    return found


def _one_pass_from_the_left(ids, merges):
    rank = {pair: i for i, pair in enumerate(merges)}
    out = []
    for i in ids:
        if out and (out[-1], i) in rank:
            out[-1] = 256 + rank[out[-1], i]
        else:
            out.append(i)
    return out


def _first_occurrences(ids, merges):
    for k, pair in enumerate(merges):
        for i in range(len(ids) - 1):
            if tuple(ids[i : i + 2]) == pair:
                ids = [*ids[:i], 256 + k, *ids[i + 2 :]]
                break
    return list(ids)


def _one_merge(ids, merges):
    for k, pair in enumerate(merges):
        if pair in zip(ids, ids[1:], strict=False):
            return joined(ids, pair, 256 + k)
    return list(ids)


def _numbered_from(first):
    def piece(ids, merges):
        return [i if i < 256 else i - 256 + first for i in _by_rank(ids, merges)]

    return piece


HELLO = [(104, 101), (108, 108), (256, 257), (258, 111)]  # he, ll, hell, hello
TIMES = [(98, 99), (97, 98), (257, 99), (32, 97)]  # bc, ab, abc, " a"


def _case(seed, letters, n, merges, longest=8):
    draw = random.Random(seeded(seed))
    pieces = ["".join(draw.choices(letters, k=draw.randint(1, longest))) for _ in range(n)]
    return Case(pieces, merges)


encode = Exercise(
    number="6.4",
    name="encode",
    oracle=_encode,
    compared_with="the `tokenizers` library with the same merges",
    cases=lambda: [
        _case(1, ["a", "b", "c", " a", "h", "e", "l", "é"], 30, [*TIMES, (97, 97), (195, 169)]),
        Case(["hello"], HELLO),
        Case(["hell", "o"], HELLO),
        Case(["abc"], TIMES),
        Case(["ab", "c"], TIMES),
        Case(["abc"], [(97, 98), (98, 99), (97, 257)]),
        Case([" abc", "abc"], TIMES),
        Case(["aaaa", "aaa"], [(97, 97), (256, 97)]),
        Case([], HELLO),
        Case(["日本"], []),
        Case(["é", "É"], [(195, 169)]),
        Case(["🙂🙃"], [(240, 159), (256, 153), (257, 130)]),
        Case(["\ud800"], HELLO, raises=UnicodeEncodeError),
        _case(2, ["a", "b"], 20, [(97, 98), (256, 256), (98, 97), (257, 97), (97, 97)], longest=14),
        _case(3, ["a", "b", "c"], 20, [(98, 97), (97, 98), (257, 256), (99, 99), (256, 99)]),
    ],
    mistakes=[
        Mistake(
            "from_the_left",
            "You merge whatever pair comes first in the *text*. Of all pairs that are there, the "
            "one that was *learned* first goes first: the smallest rank.",
            _each_piece(_from_the_left),
        ),
        Mistake(
            "longest_match",
            "You look for the longest token that fits, from the left. Byte-pair encoding replays "
            "the merges in the order in which they were learned, which can give shorter ones.",
            _each_piece(_longest_match),
        ),
        Mistake(
            "latest_first",
            "You apply the merge that was learned *last* first. It is the one with the smallest "
            "rank.",
            _each_piece(_latest_first),
        ),
        Mistake(
            "one_pass_from_the_left",
            "One walk from the left is not enough: a merge that was learned earlier may wait "
            "further right, and takes its id first. Look at all pairs before each merge.",
            _each_piece(_one_pass_from_the_left),
        ),
        Mistake(
            "one_merge_only",
            "You merge once and stop. Go on until no pair of neighbours is among the merges.",
            _each_piece(_one_merge),
        ),
        Mistake(
            "first_occurrence_only",
            "Each merge is applied at its first occurrence only. Your `merge` takes all of them.",
            _each_piece(_first_occurrences),
        ),
        Mistake(
            "merged_across_pieces",
            "You merge across the edges of pieces. Encode each piece on its own, and lay the ids "
            "one after the other.",
            _each_piece(prepare=lambda pieces: ["".join(pieces)]),
        ),
        Mistake(
            "characters_for_bytes",
            'You start from characters. It starts from bytes: `list(piece.encode("utf-8"))`.',
            _each_piece(as_bytes=lambda piece: map(ord, piece)),
        ),
        Mistake(
            "latin_1",
            "You encode as Latin-1, which has one byte for `é` and none for `日`. UTF-8 has bytes "
            'for everything: `piece.encode("utf-8")`.',
            _each_piece(as_bytes=lambda piece: piece.encode("latin-1")),
        ),
        Mistake(
            "half_a_character_ignored",
            "A lone surrogate such as `\\ud800` is half a character and has no bytes. You drop it "
            "in silence, and it never comes back. Let Python's error through.",
            _each_piece(as_bytes=lambda piece: piece.encode("utf-8", "ignore")),
        ),
        Mistake(
            "half_a_character_replaced",
            "A lone surrogate such as `\\ud800` is half a character and has no bytes. You put a "
            "question mark in its place. Let Python's error through.",
            _each_piece(as_bytes=lambda piece: piece.encode("utf-8", "replace")),
        ),
        Mistake(
            "half_a_character_let_through",
            "You write bytes for half a character, which no decoder takes back. Let Python's "
            'error through: `encode("utf-8")` without `surrogatepass`.',
            _each_piece(as_bytes=lambda piece: piece.encode("utf-8", "surrogatepass")),
        ),
        Mistake(
            "spaces_lost",
            "Spaces get lost. A space is a byte like any other: do not `strip` or `split`.",
            _each_piece(prepare=lambda pieces: [piece.strip() for piece in pieces]),
        ),
        Mistake(
            "rank_for_id",
            "You write the rank of a merge where its id belongs. Merge `i` makes the id `256 + i`.",
            _each_piece(_numbered_from(0)),
        ),
        Mistake(
            "ids_from_257",
            "The ids of your merges are one too high: merge 0 makes the id 256.",
            _each_piece(_numbered_from(257)),
        ),
        Mistake(
            "list_of_lists",
            "You return one list for each piece. Lay the ids of all pieces in one list.",
            lambda pieces, merges: [_by_rank(list(p.encode("utf-8")), merges) for p in pieces],
        ),
        Mistake(
            "bytes_only",
            "These are the bytes. The merges are still to be applied.",
            _each_piece(lambda ids, merges: list(ids)),
        ),
    ],
    hints=[
        "Training told in which order pairs were merged; encoding a new text replays it. "
        "`rank = {pair: i for i, pair in enumerate(merges)}` says which of two pairs comes first.",
        'For one piece: start from `list(piece.encode("utf-8"))`. Among its neighbours look for '
        "the pair of the smallest rank: "
        '`min(zip(ids, ids[1:]), key=lambda pair: rank.get(pair, float("inf")))`.',
        "If it is no merge, the piece is done. Otherwise "
        "`ids = merge(ids, pair, 256 + rank[pair])`, and look again.",
    ],
)
