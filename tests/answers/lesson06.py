"""Answers to lesson 06: right ones in an unusual style, and mistakes that nobody listed."""

import codecs
import functools
import heapq
import itertools
import operator
import re
import unicodedata
from collections import Counter, defaultdict

import numpy as np
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


def counted_by_sorting(words):
    pairs = sorted((pair, n) for word, n in words.items() for pair in itertools.pairwise(word))
    groups = itertools.groupby(pairs, key=operator.itemgetter(0))
    return {pair: sum(n for _, n in group) for pair, group in groups}


def counted_by_adding_counters(words):
    def of_one(item):
        word, n = item
        return Counter({pair: n * k for pair, k in Counter(zip(word, word[1:])).items()})  # noqa: B905

    return functools.reduce(operator.add, map(of_one, words.items()), Counter())


def counted_with_numpy(words):
    counts = {}
    for word, n in words.items():
        if len(word) < 2:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(np.array(word), 2)
        for pair, k in zip(*np.unique(windows, axis=0, return_counts=True), strict=True):
            counts[tuple(pair)] = counts.get(tuple(pair), 0) + n * k
    return counts


def counted_and_overwritten(words):
    return {pair: n for word, n in words.items() for pair in itertools.pairwise(word)}


def counted_beginning_with_1(words):
    counts = {}
    for word, n in words.items():
        for pair in itertools.pairwise(word):
            if pair in counts:
                counts[pair] += n
            else:
                counts[pair] = 1
    return counts


def counted_with_zeros(words):
    """A row for every pair that could be."""
    counts = {pair: 0 for word in words for pair in itertools.product(word, repeat=2)}
    return counts | counted_with_a_defaultdict(words)


def trained_on_text(pieces, n_merges):
    """Every id is a character, so `str.replace` merges."""
    words = Counter(piece.encode().decode("latin-1") for piece in pieces)
    merges = []
    for new_id in range(256, 256 + n_merges):
        counts = Counter()
        for word, n in words.items():
            for i in range(1, len(word)):
                counts[word[i - 1 : i + 1]] += n
        if not counts:
            break
        best = max(sorted(counts), key=counts.get)
        words = Counter({word.replace(best, chr(new_id)): n for word, n in words.items()})
        merges.append((ord(best[0]), ord(best[1])))
    return merges


def trained_with_a_heap(pieces, n_merges):
    """Only the words that hold the pair are counted anew."""
    words = [[list(word), n] for word, n in Counter(piece.encode() for piece in pieces).items()]
    counts, places, merges = Counter(), defaultdict(set), []
    for place, (word, n) in enumerate(words):
        for pair in itertools.pairwise(word):
            counts[pair] += n
            places[pair].add(place)
    heap = [(-n, pair) for pair, n in counts.items()]
    heapq.heapify(heap)
    while heap and len(merges) < n_merges:
        n, best = heapq.heappop(heap)
        if n == 0 or counts[best] != -n:  # counted anew since
            continue
        merges.append(best)
        touched = set()
        for place in places.pop(best):
            word, n = words[place]
            counts.subtract({p: n * k for p, k in Counter(itertools.pairwise(word)).items()})
            touched.update(itertools.pairwise(word))
            words[place][0] = word = merged_with_an_iterator(word, best, 255 + len(merges))
            for pair in itertools.pairwise(word):
                counts[pair] += n
                places[pair].add(place)
                touched.add(pair)
        for pair in touched:
            heapq.heappush(heap, (-counts[pair], pair))
    return merges


class Trainer:
    def __init__(self, pieces):
        self.words = [list(piece.encode("utf8")) for piece in pieces]
        self.merges = []

    def step(self):
        """One merge more, unless no pair is left."""
        found = [pair for word in self.words for pair in itertools.pairwise(word)]
        if not found:
            return False
        pairs, counts = np.unique(np.array(found), axis=0, return_counts=True)
        best = tuple(pairs[counts.argmax()])  # they are sorted, and the first of the largest is it
        self.words = [
            merged_with_an_iterator(word, best, 256 + len(self.merges)) for word in self.words
        ]
        self.merges.append(best)
        return True


def trained_by_an_object(pieces, n_merges):
    trainer = Trainer(pieces)
    while len(trainer.merges) < n_merges and trainer.step():
        pass
    return trainer.merges


def trained_with_ties_by_bytes(pieces, n_merges):
    """The smallest *text* wins a tie, and not the smallest ids."""
    vocab = [bytes([b]) for b in range(256)]
    words, merges = [list(piece.encode()) for piece in pieces], []
    for new_id in range(256, 256 + n_merges):
        counts = Counter(pair for word in words for pair in itertools.pairwise(word))
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], vocab[pair[0]], vocab[pair[1]]))
        merges.append(best)
        vocab.append(vocab[best[0]] + vocab[best[1]])
        words = [merged_recursively(word, best, new_id) for word in words]
    return merges


def trained_losing_the_counts(pieces, n_merges):
    """After the first merge every word counts once."""
    words, merges = Counter(tuple(piece.encode()) for piece in pieces), []
    for new_id in range(256, 256 + n_merges):
        counts = counted_with_a_defaultdict(words)
        if not counts:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        words = Counter(tuple(merged_recursively(word, merges[-1], new_id)) for word in words)
    return merges


def trained_from_the_right(pieces, n_merges):
    words, merges = [list(piece.encode()) for piece in pieces], []
    for new_id in range(256, 256 + n_merges):
        counts = Counter(pair for word in words for pair in itertools.pairwise(word))
        if not counts:
            break
        merges.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        turned = merges[-1][::-1]
        words = [merged_recursively(word[::-1], turned, new_id)[::-1] for word in words]
    return merges


def trained_to_a_size_of_vocabulary(pieces, n_merges):
    return trained_piece_by_piece(pieces, n_merges - 256)


def encoded_on_text(pieces, merges):
    def replayed(text):
        for i, (a, b) in enumerate(merges):
            if (pair := chr(a) + chr(b)) in text:
                return replayed(text.replace(pair, chr(256 + i)))
        return text

    return [ord(c) for piece in pieces for c in replayed(piece.encode().decode("latin-1"))]


def encoded_with_a_cache(pieces, merges):
    new_ids = dict(zip(merges, itertools.count(256), strict=False))

    @functools.cache
    def tokens(word):
        there = [(new_ids[pair], pair) for pair in itertools.pairwise(word) if pair in new_ids]
        if not there:
            return word
        new_id, pair = min(there)
        return tokens(tuple(merged_recursively(word, pair, new_id)))

    return [*itertools.chain.from_iterable(tokens(tuple(piece.encode())) for piece in pieces)]


def encoded_by_bytes(pieces, merges):
    """As tiktoken does: two tokens become one if their bytes together are in the vocabulary."""
    vocab = [bytes([b]) for b in range(256)]
    for a, b in merges:
        vocab.append(vocab[a] + vocab[b])
    found = []
    for piece in pieces:
        parts = [bytes([b]) for b in piece.encode()]
        while there := [i for i in range(len(parts) - 1) if parts[i] + parts[i + 1] in vocab]:
            i = min(there, key=lambda i: vocab.index(parts[i] + parts[i + 1]))  # noqa: B023
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        found += map(vocab.index, parts)
    return found


def encoded_from_the_right(pieces, merges):
    rank, found = {pair: i for i, pair in enumerate(merges)}, []
    for piece in pieces:
        ids = list(piece.encode())
        while there := [
            (rank[pair], -i) for i, pair in enumerate(itertools.pairwise(ids)) if pair in rank
        ]:
            best, i = min(there)
            ids[-i : 2 - i] = [256 + best]
        found += ids
    return found


def encoded_without_short_pieces(pieces, merges):
    """What is down to one id never comes to the line that keeps it."""
    rank, found = {pair: i for i, pair in enumerate(merges)}, []
    for piece in pieces:
        ids = list(piece.encode())
        while len(ids) > 1:
            best = min(itertools.pairwise(ids), key=lambda pair: rank.get(pair, len(rank)))
            if best not in rank:
                found += ids
                break
            ids = merged_recursively(ids, best, 256 + rank[best])
    return found


def encoded_staying_where_it_is(pieces, merges):
    """A walk from the left that merges what it meets, everywhere, and does not go back."""
    rank, found = {pair: i for i, pair in enumerate(merges)}, []
    for piece in pieces:
        ids, i = list(piece.encode()), 0
        while i + 1 < len(ids):
            pair = ids[i], ids[i + 1]
            if pair in rank:
                ids = merged_recursively(ids, pair, 256 + rank[pair])
            else:
                i += 1
        found += ids
    return found


def decoded_token_by_token(ids, vocab, final=True):
    """As a program that streams: the decoder keeps half a character until the rest is there."""
    refuse(ids, vocab)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return "".join([decoder.decode(vocab[i]) for i in ids] + [decoder.decode(b"", final)])


def decoded_without_the_end(ids, vocab):
    return decoded_token_by_token(ids, vocab, final=False)


def decoded_all_or_nothing(ids, vocab):
    refuse(ids, vocab)
    try:
        return b"".join(vocab[i] for i in ids).decode()
    except UnicodeDecodeError:
        return "\ufffd"


def decoded_with_one_id_too_many(ids, vocab):
    if any(i < 0 or i > len(vocab) for i in ids):
        raise ValueError("unknown id")
    return b"".join(vocab[i] for i in ids).decode("utf-8", "replace")


def decoded_refusing_nothing_at_all(ids, vocab):
    if not ids:
        raise ValueError("there is nothing to decode")
    return decoded_with_sum(ids, vocab)


def split_in_one_pattern_that_looks_ahead(text):
    parts = r"'(?:[sdmt]|ll|ve|re)", r" ?\p{L}+", r"\p{N}", r" ?[^\s\p{L}\p{N}]+"
    return regex.findall("|".join((*parts, r"\s+(?=\p{N})", r"\s+(?!\S)", r"\s+")), text)


def split_by_category(text):
    pieces = []
    for number, run in itertools.groupby(text, lambda c: unicodedata.category(c)[0] == "N"):
        part = "".join(run)
        pieces += part if number else regex.findall(PATTERN, part)
    return pieces


def split_recursively(text):
    digit = regex.search(r"\p{N}", text)
    if digit is None:
        return regex.findall(PATTERN, text)
    i = digit.start()
    return regex.findall(PATTERN, text[:i]) + [text[i]] + split_recursively(text[i + 1 :])


def split_without_blank_parts(text):
    parts = [part for part in regex.split(r"(\p{N})", text) if part.strip()]
    return [piece for part in parts for piece in regex.findall(PATTERN, part)]


def split_line_by_line(text):
    return [piece for line in text.splitlines(keepends=True) for piece in split_by_hand(line)]


def split_with_digits_in_front(text):
    return regex.findall(r"\p{N}|" + PATTERN, text)


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
    ("06.count_pairs", counted_by_sorting),
    ("06.count_pairs", counted_by_adding_counters),
    ("06.count_pairs", counted_with_numpy),
    ("06.train_bpe", trained_on_text),
    ("06.train_bpe", trained_with_a_heap),
    ("06.train_bpe", trained_by_an_object),
    ("06.encode", encoded_on_text),
    ("06.encode", encoded_with_a_cache),
    ("06.decode", decoded_token_by_token),
    ("06.split_pieces", split_in_one_pattern_that_looks_ahead),
    ("06.split_pieces", split_by_category),
    ("06.split_pieces", split_recursively),
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
    ("06.count_pairs", counted_and_overwritten, None),
    ("06.count_pairs", counted_beginning_with_1, None),
    ("06.count_pairs", counted_with_zeros, None),
    ("06.train_bpe", trained_with_ties_by_bytes, None),
    ("06.train_bpe", trained_losing_the_counts, None),
    ("06.train_bpe", trained_from_the_right, None),
    ("06.train_bpe", trained_to_a_size_of_vocabulary, None),
    ("06.encode", encoded_by_bytes, None),
    ("06.encode", encoded_from_the_right, None),
    ("06.encode", encoded_without_short_pieces, None),
    ("06.encode", encoded_staying_where_it_is, None),
    ("06.decode", decoded_without_the_end, None),
    ("06.decode", decoded_all_or_nothing, None),
    ("06.decode", decoded_with_one_id_too_many),
    ("06.decode", decoded_refusing_nothing_at_all),
    ("06.split_pieces", split_without_blank_parts, None),
    ("06.split_pieces", split_line_by_line, None),
    ("06.split_pieces", split_with_digits_in_front, None),
]
