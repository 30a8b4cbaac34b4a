"""What several exercises of lesson 06 share: byte-level BPE with one step replaced at a time."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tokenizers import Tokenizer, pre_tokenizers, trainers
from tokenizers.models import BPE

Pair = tuple[int, int]

# The 256 signs that byte-level BPE writes for bytes (Radford et al. 2019, §2.2, and their code):
# printable bytes stand for themselves, the others for the signs from 256 on.
_PRINTABLE = {*range(33, 127), *range(161, 173), *range(174, 256)}
_REST = (b for b in range(256) if b not in _PRINTABLE)
SIGN = {b: chr(b) for b in _PRINTABLE} | {b: chr(256 + i) for i, b in enumerate(_REST)}


def signs(piece: str) -> str:
    """The bytes of a piece, one sign each, as the `tokenizers` library writes them."""
    return "".join(SIGN[b] for b in piece.encode("utf-8"))


def library(pieces: Iterable[str], n_merges: int) -> Tokenizer:
    """Byte-level BPE trained by the `tokenizers` library; ids 0 to 255 are the bytes themselves."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # no sign of a byte is white space
    trainer = trainers.BpeTrainer(
        vocab_size=256 + n_merges,
        special_tokens=[SIGN[b] for b in range(256)],
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(map(signs, pieces))], trainer)
    return tokenizer


def merges_of(tokenizer: Tokenizer) -> list[Pair]:
    """The merges of a trained tokenizer as pairs of ids."""
    model = json.loads(tokenizer.to_str())["model"]
    return [(model["vocab"][a], model["vocab"][b]) for a, b in model["merges"]]


def from_merges(merges: Sequence[Pair]) -> BPE:
    """The library's BPE with these merges: ids 0 to 255 are bytes, 256 + i is merge i."""
    strings = [SIGN[b] for b in range(256)]
    for a, b in merges:
        strings.append(strings[a] + strings[b])
    vocab = {string: i for i, string in enumerate(strings)}
    return BPE(vocab=vocab, merges=[(strings[a], strings[b]) for a, b in merges])


def counted_pairs(words: dict[tuple[int, ...], int]) -> Counter[Pair]:
    """How often each pair of neighbours occurs."""
    counts: Counter[Pair] = Counter()
    for word, n in words.items():
        for pair in itertools.pairwise(word):
            counts[pair] += n
    return counts


def joined(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    """The ids with every occurrence of a pair, from the left, made one."""
    out, i = [], 0
    while i < len(ids):
        here = tuple(ids[i : i + 2]) == tuple(pair)
        out.append(new_id if here else ids[i])
        i += 2 if here else 1
    return out


def trained(
    as_bytes: Callable = lambda piece: tuple(piece.encode("utf-8")),
    prepare: Callable = lambda pieces: pieces,
    count: Callable = counted_pairs,
    best: Callable = lambda counts: min(counts, key=lambda pair: (-counts[pair], pair)),
    merge: Callable = joined,
    first_id: int = 256,
    finish: Callable = lambda merges: merges,
) -> Callable:
    """Training with one step replaced."""

    def mutant(pieces: list[str], n_merges: int) -> list[Pair]:
        words = Counter(as_bytes(piece) for piece in prepare(pieces))
        merges: list[Pair] = []
        while len(merges) < n_merges and (counts := count(words)):
            pair = best(counts)
            merged: Counter = Counter()
            for word, n in words.items():
                merged[tuple(merge(word, pair, first_id + len(merges)))] += n
            merges.append(pair)
            words = merged
        return finish(merges)

    return mutant
