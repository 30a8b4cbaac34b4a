"""Exercise 16.3, `family`: its oracle, inputs, mistakes and hints."""

import re

from utils.checks.engine.exercise import Case, Exercise, Mistake


def _family(name, suffixes):
    return re.sub(rf"(-({'|'.join(map(re.escape, suffixes))}))+\Z", "", name)


def _words(change):
    """A mistake in which words stay."""
    return lambda name, suffixes: "-".join(change(name.split("-"), suffixes))


def _all_trailing(words, suffixes):
    while words and words[-1] in suffixes:
        words = words[:-1]
    return words


def _up_to_the_first_suffix(words, suffixes):
    cut = [i for i, word in enumerate(words) if word in suffixes and i > 0]
    return words[: min(cut, default=len(words))]


def _one_suffix(words, suffixes):
    return words[:-1] if len(words) > 1 and words[-1] in suffixes else words


def _once_each(name, suffixes):
    for suffix in suffixes:
        name = name.removesuffix(f"-{suffix}")
    return name


def _while_it_ends_so(cut):
    def mutant(name, suffixes):
        while ends := [s for s in sorted(suffixes) if name.endswith(s) and name != s]:
            name = cut(name, ends[0])
        return name

    return mutant


class _Sorted(set):
    """A set that is gone through in order, so that what is found does not hang on a hash."""

    def __iter__(self):
        return iter(sorted(super().__iter__()))


def _family_case(name, *suffixes):
    written = ", ".join(f'"{suffix}"' for suffix in suffixes)
    said = f'family("{name}", {{{written}}})' if suffixes else f'family("{name}", set())'
    return Case(name, _Sorted(suffixes), label=said)


family = Exercise(
    number="16.3",
    name="family",
    oracle=_family,
    compared_with="one `re.sub`, anchored at the end,",
    cases=lambda: [
        _family_case("door-lock-off-takeoff-alert-outline", "off", "alert", "outline"),
        _family_case("robot-off-outline", "off", "outline"),
        _family_case("account-off-outline", "off", "outline"),
        _family_case("account-off-outline", "outline"),
        _family_case("account-outline-off", "off", "outline"),
        _family_case("bell-off-outline-off", "off", "outline"),
        _family_case("bulb-off-outline-off-outline-off-outline", "off", "outline"),
        _family_case("power-off-button", "off", "outline"),
        _family_case("playoff", "off"),
        _family_case("off", "off", "outline"),
        _family_case("off-off", "off"),
        _family_case("robot-off"),
        _family_case("robot-outline", "out", "line"),
        _family_case("numeric-10-plus-1", "1", "10", "plus"),
        _family_case("numeric-100", "1", "0", "10"),
        _family_case("check-off", "off", "check"),
        _family_case("box-cutter-off", "off", "box"),
        _family_case("lightbulb-group", "off", "outline"),
        _family_case("home", "off"),
        _family_case("bell-plus", "minus", "plus"),
        _family_case("home-city-plus", "plus"),
        _family_case("arrow-up-left-thin", "left", "thin"),
        _family_case("many-to-many", "many"),
        _family_case("off-road-off", "off"),
        _family_case("print-offset", "off"),
        _family_case("under-line", "off", "outline"),
        _family_case("picture-in-picture-off", "off"),
    ],
    mistakes=[
        Mistake(
            "only_one_suffix_taken",
            "Only one word is taken away. There may be several at the end, as in "
            "`account-off-outline`: go on until the last word is no suffix.",
            _words(_one_suffix),
        ),
        Mistake(
            "words_anywhere",
            "You take the words away wherever they stand. Only those at the *end* are suffixes: "
            "the `off` of `power-off-button` stays.",
            _words(lambda words, suffixes: [word for word in words if word not in suffixes]),
        ),
        Mistake(
            "words_anywhere_but_first",
            "The first word stays, as it should, but in the middle words are taken away as well. "
            "Only those at the *end* are suffixes: the `off` of `power-off-button` stays.",
            _words(lambda words, suffixes: words[:1] + [w for w in words[1:] if w not in suffixes]),
        ),
        Mistake(
            "part_of_a_word",
            "You take away part of a word: `playoff` becomes `play`. Only whole words count: split "
            "at the hyphens, or look for the hyphen too.",
            _while_it_ends_so(lambda name, suffix: name.removesuffix(suffix).rstrip("-")),
        ),
        Mistake(
            "hyphen_left_behind",
            "A hyphen stays at the end. Take it away together with the word: "
            '`name.removesuffix("-" + suffix)`.',
            _while_it_ends_so(lambda name, suffix: name.removesuffix(suffix)),
        ),
        Mistake(
            "nothing_left",
            "Where every word is a suffix, nothing is left. The first word always stays: go on "
            "only while there are more than one, `len(words) > 1`.",
            _words(_all_trailing),
        ),
        Mistake(
            "cut_at_the_first_suffix",
            "You cut at the first suffix that you meet from the left. Begin at the right: the "
            "`off` of `power-off-button` has a word behind it, so it stays.",
            _words(_up_to_the_first_suffix),
        ),
        Mistake(
            "first_word_only",
            "You keep the first word only. `box-cutter-off` belongs to `box-cutter`: take away the "
            "words at the end that are in `suffixes`, and no others.",
            _words(lambda words, suffixes: words[:1]),
        ),
        Mistake(
            "last_word_always_taken",
            "The last word is taken away whatever it is. First see whether it is in `suffixes`, "
            "and go on as long as that holds.",
            lambda name, suffixes: name.rpartition("-")[0] or name,
        ),
        Mistake(
            "each_suffix_tried_once",
            "You go through the suffixes once. If `off` is tried before `outline`, the `off` of "
            "`account-off-outline` stays, and a set has no order. Look at the last word of the "
            "name, again and again.",
            _once_each,
        ),
        Mistake(
            "characters_stripped",
            "`rstrip` takes away *characters*, as long as they occur in its argument, not words. "
            "Split at the hyphens, and compare whole words.",
            lambda name, suffixes: name.rstrip("-" + "".join(sorted(suffixes))),
        ),
        Mistake(
            "list_of_words",
            'The words are right, but in a list. Join them again: `"-".join(words)`.',
            lambda name, suffixes: _family(name, suffixes).split("-"),
        ),
    ],
    hints=[
        'Split the name at its hyphens: `words = name.split("-")`.',
        "Look at the last word: while it is in `suffixes` and is not the only one, drop it.",
        '`while len(words) > 1 and words[-1] in suffixes: words.pop()`, then `"-".join(words)`.',
    ],
)
