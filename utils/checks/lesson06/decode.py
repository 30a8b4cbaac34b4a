"""Exercise 6.5, `decode`: its oracle, inputs, mistakes and hints."""

from tokenizers import decoders

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.probes import with_sentence
from utils.checks.lesson06.common import SIGN

BYTES = [bytes([b]) for b in range(256)]


def _known(ids, vocab):
    for i in ids:
        if not 0 <= i < len(vocab):
            raise ValueError(f"the vocabulary has ids 0 to {len(vocab) - 1}, not {i}")
    return ids


def _decode(ids, vocab):
    tokens = ["".join(SIGN[b] for b in vocab[i]) for i in _known(ids, vocab)]
    return decoders.ByteLevel().decode(tokens) if tokens else ""


def _text(
    known=_known,
    together=lambda tokens: b"".join(tokens).decode("utf-8", "replace"),
    finish=lambda text: text,
):
    """Decoding with one step replaced."""

    def mutant(ids, vocab):
        return finish(together([vocab[i] for i in known(ids, vocab)]))

    return mutant


def _joined(errors, encoding="utf-8"):
    return lambda tokens: b"".join(tokens).decode(encoding, errors)


def _checked_above(ids, vocab):
    if any(i >= len(vocab) for i in ids):
        raise ValueError("an id is not in the vocabulary")
    return ids


def _what_is_there(ids, vocab):
    return [i for i in ids if 0 <= i < len(vocab)]


def _case(text, *more, cut=()):
    """A text in bytes, with some of them joined to larger tokens, and where to cut it."""
    vocab = [*BYTES, *more]
    ids, rest = [], text.encode("utf-8") if isinstance(text, str) else text
    while rest:
        best = max((t for t in vocab if rest.startswith(t)), key=len)
        ids.append(vocab.index(best))
        rest = rest[len(best) :]
    said = f"decode({ids}, vocab), where vocab[0] to vocab[255] are the bytes"
    said += "".join(f"\nand vocab[{256 + i}] = {token}" for i, token in enumerate(more))
    return Case(ids, vocab, label=said)


def _refused(ids, *more):
    said = f"decode({ids}, vocab) with {256 + len(more)} ids: ValueError is expected"
    return Case(ids, [*BYTES, *more], raises=ValueError, label=said)


decode = Exercise(
    number="6.5",
    name="decode",
    oracle=_decode,
    compared_with="the `tokenizers` library's byte-level decoder",
    probe=with_sentence,
    cases=lambda: [
        _case("a héron, 日本 🙂 ", b" h", b"\xe6\x97", b"\xa5\xe6", b"\xf0\x9f", b" "),
        _case("hi"),
        _case("é"),
        _case("日本", b"\xe6\x97", b"\xa5\xe6"),
        _case(""),
        _case("👩‍👩‍👧 family", b"\xf0\x9f\x91"),
        _case(b"half a character: \xe6\x97"),
        _case(b"\xff and \xc3("),
        _case(b"\xff\xff"),
        _case("h\0i"),
        _case("  two spaces  \n", b"  "),
        _refused([104, 256]),
        _refused([104, -1]),
        _refused([-257], b"x"),
        _refused([257], b"x"),
    ],
    mistakes=[
        Mistake(
            "token_by_token",
            "You decode each token on its own, and half a character is no text: `日` that was cut "
            "into two tokens becomes two �. Join the *bytes* of all tokens, then decode once.",
            _text(together=lambda tokens: "".join(t.decode("utf-8", "replace") for t in tokens)),
        ),
        Mistake(
            "token_by_token_ignored",
            "You decode each token on its own and drop what is half a character: `日` that was cut "
            "into two tokens disappears. Join the bytes first.",
            _text(together=lambda tokens: "".join(t.decode("utf-8", "ignore") for t in tokens)),
        ),
        Mistake(
            "stops_at_half_a_character",
            "A model may stop in the middle of a character, and a decoder must not fail then: "
            '`errors="replace"` writes � for what is no text.',
            _text(together=_joined("strict")),
        ),
        Mistake(
            "drops_half_a_character",
            'What is no text disappears in silence. `errors="replace"` shows that something was '
            "there: �.",
            _text(together=_joined("ignore")),
        ),
        Mistake(
            "written_as_backslashes",
            'What is no text comes out as `\\xe6`. `errors="replace"` writes �.',
            _text(together=_joined("backslashreplace")),
        ),
        Mistake(
            "latin_1",
            "Every byte becomes a character of its own: that is Latin-1. The bytes are UTF-8.",
            _text(together=_joined("strict", "latin-1")),
        ),
        Mistake(
            "joined_by_spaces",
            "There is a space between the tokens. Spaces are in the tokens already.",
            _text(together=lambda tokens: b" ".join(tokens).decode("utf-8", "replace")),
        ),
        Mistake(
            "stripped",
            "Spaces at the beginning and the end get lost. They are part of the text.",
            _text(finish=str.strip),
        ),
        Mistake(
            "negative_ids_taken",
            "The id -1 is taken for the last of the vocabulary, for Python counts from the end. "
            "No token has a negative id: raise `ValueError`.",
            _text(known=_checked_above),
        ),
        Mistake(
            "ids_not_checked",
            "All is well while every id is in the vocabulary. One that is too large ends in "
            "Python's bare IndexError, and -1 is taken for the last token. Raise `ValueError` with "
            "a sentence for both.",
            _text(known=lambda ids, vocab: ids),
        ),
        Mistake(
            "unknown_ids_passed_over",
            "An id outside the vocabulary is passed over in silence. Somebody used the wrong "
            "tokenizer and will never know: raise `ValueError`.",
            _text(known=_what_is_there),
        ),
        Mistake(
            "bytes_returned",
            'You return bytes. They are UTF-8: `.decode("utf-8", errors="replace")` makes text of '
            "them.",
            _text(together=lambda tokens: b"".join(tokens)),
        ),
        Mistake(
            "list_of_texts",
            "You return a list. Everything together is one text.",
            _text(together=lambda tokens: [t.decode("utf-8", "replace") for t in tokens]),
        ),
    ],
    hints=[
        "First ids to bytes, `vocab[i]` for each; then *all* bytes to text, once.",
        '`b"".join(...)` joins bytes; `.decode("utf-8", errors="replace")` makes text of them.',
        "Before that: `if not 0 <= i < len(vocab): raise ValueError(...)` for every id.",
    ],
)
