"""Exercise 13.5, `swap_words`: its oracle, inputs, mistakes and hints."""

import re

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.probes import with_sentence

GENDER = [("he", "she"), ("man", "woman")]


def _each_once(pairs):
    words = [word for pair in pairs for word in pair]
    for word in words:
        if words.count(word) > 1:
            raise ValueError(f"{word!r} stands in two pairs: what should it become?")


def _table(pairs):
    return {a: b for pair in pairs for a, b in (pair, pair[::-1])}


def _as_was(word, new):
    return new[0].upper() + new[1:] if word[0].isupper() else new


def _swap_words(text, pairs):
    _each_once(pairs)
    table = _table(pairs)
    return re.sub(r"\w+", lambda m: _as_was(m[0], table.get(m[0].lower(), m[0])), text)


def _passed(
    pattern=r"\w+",
    table=_table,
    key=lambda word: word.lower(),
    capital=_as_was,
    count=0,
    before=lambda text: text,
    refuse=_each_once,
):
    """One pass over the words with one step replaced."""

    def mutant(text, pairs):
        refuse(pairs)
        known = table(pairs)

        def new(match):
            word = match[0]
            return capital(word, known[key(word)]) if key(word) in known else word

        return re.sub(pattern, new, before(text), count=count)

    return mutant


def _one_after_the_other(text, pairs):
    _each_once(pairs)
    for a, b in pairs:
        for old, new in ((a, b), (b, a)):
            text = re.sub(
                rf"\b{old}\b", lambda m, new=new: _as_was(m[0], new), text, flags=re.IGNORECASE
            )
    return text


def _inside_words(text, pairs):
    _each_once(pairs)
    known = _table(pairs)
    either = "|".join(sorted(map(re.escape, known), key=len, reverse=True))
    if not either:
        return text
    return re.sub(either, lambda m: _as_was(m[0], known[m[0].lower()]), text, flags=re.IGNORECASE)


def _split(text, pairs):
    _each_once(pairs)
    known = _table(pairs)
    return " ".join(
        _as_was(word, known[word.lower()]) if word.lower() in known else word
        for word in text.split()
    )


def _split_at_spaces(text, pairs):
    _each_once(pairs)
    known = _table(pairs)
    return " ".join(
        _as_was(word, known[word.lower()]) if word.lower() in known else word
        for word in text.split(" ")
    )


def _only_the_first_pair(text, pairs):
    _each_once(pairs)
    return _swap_words(text, pairs[:1])


def _replaced(text, pairs):
    _each_once(pairs)
    for a, b in pairs:
        text = text.replace(a, b)
    return text


swap_words = Exercise(
    number="13.5",
    name="swap_words",
    oracle=_swap_words,
    compared_with="`re.sub`, all words in one pass",
    probe=with_sentence,
    cases=lambda: [
        Case("She thinks he is late, and he thinks she is the theme.", GENDER),
        Case("He asked whether she knew.", [("he", "she")]),
        Case("the man and the woman", GENDER),
        Case("The nurse said that he was there.", GENDER),
        Case("Woman, man, Man, woman!", GENDER),
        Case("she's  here,\nand he'll come\tlater", GENDER),
        Case('(he) "she" he-goat woman/man', GENDER),
        Case("A manual for the shed: handle with care.", GENDER),
        Case("Emily met Jamal. Then Jamal met Emily.", [("emily", "jamal"), ("greg", "aisha")]),
        Case("Greg saw Aisha, and Emily saw Greg", [("emily", "jamal"), ("greg", "aisha")]),
        Case("McHe and iPhone stay, HE2 too", GENDER),
        Case("", GENDER),
        Case("Mané and he, he_man and _she_", GENDER),
        Case("nothing to do", []),
        Case("her book", [("his", "her"), ("him", "her")], raises=ValueError),
        Case("a cat", [("her", "his"), ("man", "woman"), ("her", "him")], raises=ValueError),
        Case("he and he", [("he", "she"), ("they", "he")], raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "one_after_the_other",
            "All words of a pair come out the same: *he* becomes *she*, and then that *she* "
            "becomes *he* again (or only *she* is replaced). Go over the text once, and look each "
            "word up.",
            _one_after_the_other,
        ),
        Mistake(
            "one_direction",
            "You replace the first word of a pair by the second, but not the second by the first.",
            _passed(table=dict),
        ),
        Mistake(
            "inside_words",
            "You replace inside words: the *he* in *the* too. Whole words only: `\\w+`, or `\\b` "
            "on both sides.",
            _inside_words,
        ),
        Mistake(
            "str_replace",
            "`str.replace` works inside words (*the* becomes *tshe*), in one direction, and misses "
            "capitals. Go over the words once with `re.sub`.",
            _replaced,
        ),
        Mistake(
            "capitals_missed",
            "A word with a capital is not found: look up `word.lower()`.",
            _passed(key=lambda word: word),
        ),
        Mistake(
            "capitals_lost",
            "A word that began with a capital must begin with one afterwards.",
            _passed(capital=lambda word, new: new),
        ),
        Mistake(
            "everything_in_capitals",
            "You write the whole new word in capitals. Only its first letter becomes one.",
            _passed(capital=lambda word, new: new.upper() if word[0].isupper() else new),
        ),
        Mistake(
            "text_in_lower_case",
            "The whole text comes back in lower case. Only look words up in lower case; what is "
            "not in a pair stays as it is.",
            _passed(before=str.lower),
        ),
        Mistake(
            "punctuation_and_spaces",
            "`split()` loses double spaces and new lines, and leaves *late,* with its comma, so "
            "that it is not found. Go over the words with `re.sub`.",
            _split,
        ),
        Mistake(
            "punctuation",
            "Split at spaces, a word keeps its comma, and *he,* is not found. Go over the words "
            "with `re.sub`.",
            _split_at_spaces,
        ),
        Mistake(
            "only_the_first_word",
            "Only the first word of the text is looked at: `count=1` stops there.",
            _passed(count=1),
        ),
        Mistake(
            "only_the_first_pair",
            "Only the first pair is used.",
            _only_the_first_pair,
        ),
        Mistake(
            "ambiguous_pairs_accepted",
            "All is right but one thing: a word that stands in two pairs (*her* for *his* and for "
            "*him*) needs a `ValueError` with a sentence, for nobody knows what it should become.",
            _passed(refuse=lambda pairs: None),
        ),
    ],
    hints=[
        "Make a dict with both directions first: `{a: b, b: a, …}`.",
        '`re.sub(r"\\w+", new, text)` calls `new(match)` for each word, `match[0]`, and puts in '
        "what it returns; so the text is gone over once only.",
        "Look up `word.lower()`; if the word began with a capital, so does the new one: "
        "`new[0].upper() + new[1:]`.",
    ],
)
