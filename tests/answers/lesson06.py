"""Answers to lesson 06: right ones in an unusual style, and mistakes that nobody listed."""

import functools
import itertools
import operator
import re
import unicodedata
from collections import Counter, defaultdict

import regex

PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def counted_with_a_defaultdict(words):
    counts = defaultdict(int)
    for word in words:
        for i in range(len(word) - 1):
            counts[word[i], word[i + 1]] += words[word]
    return counts


def counted_by_repetition(words):
    return Counter(
        p for word, n in words.items() for p in itertools.pairwise(word) for _ in range(n)
    )


def counted_as_lists(words):
    return [(pair, n) for pair, n in counted_with_a_defaultdict(words).items()]


def counted_with_shares(words):
    counts = counted_with_a_defaultdict(words)
    total = sum(counts.values())
    return {pair: n / total for pair, n in counts.items()}


def counted_kept(words, kept={}):  # noqa: B006
    kept.update(counted_with_a_defaultdict(words))
    return dict(kept)


def counted_without_the_rare(words):
    return {pair: n for pair, n in counted_with_a_defaultdict(words).items() if n > 1}


def merged_recursively(ids, pair, new_id):
    ids = list(ids)
    if len(ids) < 2:
        return ids
    if tuple(ids[:2]) == tuple(pair):
        return [new_id, *merged_recursively(ids[2:], pair, new_id)]
    return [ids[0], *merged_recursively(ids[1:], pair, new_id)]


def merged_through_text(ids, pair, new_id):
    text = "," + ",,".join(map(str, ids)) + ","
    text = text.replace(f",{pair[0]},,{pair[1]},", f",{new_id},")
    return [int(part) for part in re.findall(r"\d+", text)]


def merged_with_an_iterator(ids, pair, new_id):
    out, waiting = [], None
    for i in ids:
        if waiting is not None and (waiting, i) == pair:
            out.append(new_id)
            waiting = None
        else:
            if waiting is not None:
                out.append(waiting)
            waiting = i
    return out + ([] if waiting is None else [waiting])


def merged_with_is(ids, pair, new_id):
    out, i = [], 0
    while i < len(ids):
        if i + 1 < len(ids) and ids[i] is pair[0] and ids[i + 1] is pair[1]:
            out.append(new_id)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


def merged_in_place(ids, pair, new_id):
    i = 0
    while i + 1 < len(ids):
        if (ids[i], ids[i + 1]) == pair:
            ids[i : i + 2] = [new_id]
        i += 1
    return ids


def merged_to_a_tuple(ids, pair, new_id):
    return tuple(merged_recursively(ids, pair, new_id))


def merged_in_lists_only(ids, pair, new_id):
    out, i = [], 0
    while i < len(ids):
        here = ids[i : i + 2] == list(pair)
        out.append(new_id if here else ids[i])
        i += 2 if here else 1
    return out


def merged_in_one_string(ids, pair, new_id):
    text = " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new_id))
    return list(map(int, text.split()))


def merged_through_bytes(ids, pair, new_id):
    return [i % 256 for i in merged_recursively(ids, pair, new_id)]


def trained_piece_by_piece(pieces, n_merges):
    """Without counting words: slower, and the same."""
    words = [list(piece.encode()) for piece in pieces]
    merges = []
    for new_id in range(256, 256 + n_merges):
        counts = Counter(pair for word in words for pair in itertools.pairwise(word))
        if not counts:
            return merges
        merges.append(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[0][0])
        words = [merged_recursively(word, merges[-1], new_id) for word in words]
    return merges


def trained_to_lists(pieces, n_merges):
    return [list(pair) for pair in trained_piece_by_piece(pieces, n_merges)]


def trained_unsorted_ties(pieces, n_merges):
    words = [list(piece.encode()) for piece in pieces]
    merges = []
    for new_id in range(256, 256 + n_merges):
        counts = Counter(pair for word in words for pair in itertools.pairwise(word))
        if not counts:
            return merges
        merges.append(max(counts, key=lambda pair: (counts[pair], pair[0])))
        words = [merged_recursively(word, merges[-1], new_id) for word in words]
    return merges


def trained_stopping_late(pieces, n_merges):
    return (trained_piece_by_piece(pieces, n_merges) + [(0, 0)] * n_merges)[:n_merges]


def trained_once(pieces, n_merges, kept=[]):  # noqa: B006
    if not kept:
        kept.extend(trained_piece_by_piece(pieces, n_merges))
    return list(kept)


def encoded_merge_by_merge(pieces, merges):
    """All merges in turn over the whole piece: for learned merges the same as by rank."""
    found = []
    for piece in pieces:
        ids = list(piece.encode())
        while True:
            ranks = [merges.index(p) for p in itertools.pairwise(ids) if p in merges]
            if not ranks:
                break
            ids = merged_recursively(ids, merges[min(ranks)], 256 + min(ranks))
        found.extend(ids)
    return found


def encoded_replacing(pieces, merges):
    """A loop over the merges from the first to the last, each applied everywhere."""
    found = []
    for piece in pieces:
        ids = list(piece.encode())
        for i, pair in enumerate(merges):
            ids = merged_recursively(ids, pair, 256 + i)
        found += ids
    return found


def encoded_to_a_tuple(pieces, merges):
    return tuple(encoded_replacing(pieces, merges))


def encoded_ascii(pieces, merges):
    return encoded_replacing(
        [piece.encode("ascii", "replace").decode() for piece in pieces], merges
    )


def encoded_with_an_end(pieces, merges):
    return [*encoded_replacing(pieces, merges), 0]


def encoded_refusing_everything(pieces, merges):
    for piece in pieces:
        if "\ud800" in piece:
            raise ValueError("half a character")
    return encoded_replacing(pieces, merges)


def refuse(ids, vocab):
    for i in ids:
        if i < 0 or i >= len(vocab):
            raise ValueError("unknown id")


def decoded_with_sum(ids, vocab):
    refuse(ids, vocab)
    return str(functools.reduce(operator.add, (vocab[i] for i in ids), b""), "utf-8", "replace")


def decoded_into_a_bytearray(ids, vocab):
    refuse(ids, vocab)
    data = bytearray()
    for i in ids:
        data.extend(vocab[i])
    return data.decode(errors="replace")


def decoded_checking_late(ids, vocab):
    try:
        return b"".join(vocab[i] for i in ids if i >= 0 or refuse([i], vocab)).decode(
            "utf-8", "replace"
        )
    except IndexError:
        raise ValueError("unknown id") from None


def decoded_with_surrogates(ids, vocab):
    refuse(ids, vocab)
    return b"".join(vocab[i] for i in ids).decode("utf-8", "surrogateescape")


def decoded_refusing_with_key_error(ids, vocab):
    if any(i < 0 or i >= len(vocab) for i in ids):
        raise KeyError("unknown id")
    return decoded_with_sum(ids, vocab)


def decoded_with_question_marks(ids, vocab):
    return decoded_with_sum(ids, vocab).replace("\ufffd", "?")


def split_by_hand(text):
    pieces, rest = [], ""
    for character in text:
        if character.isnumeric() and regex.fullmatch(r"\p{N}", character):
            pieces += [*regex.findall(PATTERN, rest), character]
            rest = ""
        else:
            rest += character
    return pieces + regex.findall(PATTERN, rest)


def split_with_finditer(text):
    parts = [m[0] for m in regex.finditer(r"\p{N}|\P{N}+", text)]
    return [piece.group() for part in parts for piece in regex.finditer(PATTERN, part)]


def split_in_one_pattern(text):
    return regex.findall(PATTERN.replace(r" ?\p{N}+", r"\p{N}"), text)


def split_words(text):
    return re.findall(r"\w+|\W", text)


def split_by(is_digit):
    def split(text):
        pieces, rest = [], ""
        for character in text:
            if is_digit(character):
                pieces += [*regex.findall(PATTERN, rest), character]
                rest = ""
            else:
                rest += character
        return pieces + regex.findall(PATTERN, rest)

    return split


def split_to_a_tuple(text):
    return tuple(split_by_hand(text))


RIGHT = [
    ("06.count_pairs", counted_with_a_defaultdict),
    ("06.count_pairs", counted_by_repetition),
    ("06.merge", merged_recursively),
    ("06.merge", merged_with_an_iterator),
    ("06.merge", merged_through_text),
    ("06.train_bpe", trained_piece_by_piece),
    ("06.encode", encoded_merge_by_merge),
    ("06.encode", encoded_replacing),
    ("06.decode", decoded_with_sum),
    ("06.decode", decoded_into_a_bytearray),
    ("06.decode", decoded_checking_late),
    ("06.split_pieces", split_by_hand),
    ("06.split_pieces", split_with_finditer),
]

WRONG = [
    ("06.count_pairs", counted_as_lists),
    ("06.count_pairs", counted_with_shares, None),
    ("06.count_pairs", counted_kept),
    ("06.count_pairs", counted_without_the_rare, None),
    ("06.count_pairs", lambda words: counted_by_repetition(words).most_common()),
    ("06.merge", merged_with_is),
    ("06.merge", merged_in_place, "changes_input"),
    ("06.merge", merged_to_a_tuple, "another_type"),
    ("06.merge", merged_through_bytes, None),
    ("06.merge", merged_in_lists_only, "lists_only"),
    ("06.merge", merged_in_one_string, None),
    ("06.train_bpe", trained_unsorted_ties, None),
    ("06.train_bpe", trained_stopping_late, None),
    ("06.train_bpe", trained_once),
    ("06.train_bpe", trained_to_lists, "lists_for_pairs"),
    (
        "06.train_bpe",
        lambda p, n: trained_piece_by_piece([x.lower() for x in p], n),
        "small_letters",
    ),
    ("06.train_bpe", lambda pieces, n_merges: trained_piece_by_piece(pieces, n_merges)[::-1]),
    ("06.encode", encoded_to_a_tuple, "another_type"),
    ("06.encode", encoded_ascii),
    ("06.encode", encoded_with_an_end, None),
    ("06.encode", encoded_refusing_everything, None),
    ("06.decode", decoded_with_surrogates),
    ("06.decode", decoded_refusing_with_key_error),
    ("06.decode", decoded_with_question_marks, None),
    ("06.split_pieces", split_in_one_pattern),
    ("06.split_pieces", split_words),
    ("06.split_pieces", split_by(str.isdigit)),
    ("06.split_pieces", split_by(str.isnumeric)),
    ("06.split_pieces", lambda text: split_by_hand(unicodedata.normalize("NFC", text)), None),
    ("06.split_pieces", split_to_a_tuple, "another_type"),
]
