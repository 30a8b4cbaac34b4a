"""Exercise 15.5 (stretch), `code_tokens`: its oracle, inputs, mistakes and hints."""

import io
import re
import tokenize

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake

# Python 3.12 and later take an f-string apart, 3.11 does not. The cases hold none, so that a plain
# answer is right on all; the stand-in puts them together again, in case the lesson meets one.
_F_STARTS, _F_ENDS = (getattr(tokenize, f"FSTRING_{end}", -1) for end in ("START", "END"))
_REPLACED = {
    tokenize.NUMBER: "<number>",
    tokenize.STRING: "<string>",
    _F_ENDS: "<string>",
    tokenize.INDENT: "<indent>",
    tokenize.DEDENT: "<dedent>",
    tokenize.NEWLINE: "<newline>",
}
_LEFT_OUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER, _F_STARTS}


def _code_tokens(source):
    found, depth = [], 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        depth -= token.type == _F_ENDS
        if depth == 0 and token.type not in _LEFT_OUT:
            found.append(_REPLACED.get(token.type, token.string))
        depth += token.type == _F_STARTS
    return found


def _in_a_list(answer, source):
    """What is returned, and whether in a list: a tuple would pass for one."""
    found = answer(source)
    if not isinstance(found, list | tuple):
        return found
    return Seen({"result": found, "type": type(found).__name__})


def _read(keep=(), drop=(), as_text=(), also=None, word=lambda token: token.string):
    """The tokens with some kinds kept, left out, or not replaced."""
    replaced = {kind: said for kind, said in _REPLACED.items() if kind not in as_text}
    replaced |= also or {}
    left_out = (_LEFT_OUT | set(drop)) - set(keep)

    def mutant(source):
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        return [replaced.get(t.type, word(t)) for t in tokens if t.type not in left_out]

    return mutant


_PLAIN = """\
def Area(r):  # of a circle
    # two digits are enough

    return 3.14 * r ** 2

print(Area(2), "cm # squared")
"""
_NESTED = """\
while x <= 10:
    for y in range(x):
        if y % 2 == 0 and not done:
            total += y
    else:
        x -= 1
    # the end of a round
break_here = 'no newline at the end'"""
_CLASS = '''\
class Shape(Base):
    """It has
    two lines.
    """

    SIDES = [
        1,  # one

        2,
    ]

    @property
    def name(self) -> str: return r'\\d' b"x"


    def __len__(self):
        if self.n > \\
                0x1F:
            return -1_000
        return ...
'''

code_tokens = Exercise(
    number="15.5",
    name="code_tokens",
    oracle=_code_tokens,
    compared_with="Python's `tokenize`",
    probe=_in_a_list,
    cases=lambda: [
        Case(_PLAIN, label=f"code_tokens(source), where source is\n{_PLAIN}"),
        Case("x = 1\n"),
        Case("if x:\n    y = 3  # three\n"),
        Case("if A:\n    b = 'c'\n"),
        Case(_NESTED, label=f"code_tokens(source), where source is\n{_NESTED}"),
        Case(_CLASS, label=f"code_tokens(source), where source is\n{_CLASS}"),
        Case("naïve = x[1:-1] ** 2.5e-3 // 0xFF; y = 3j if (n := len(s)) != 0 else {'#': s}\n"),
        Case("try:\n\tf(a)  # tabs\nfinally:\n\tg(b)\n"),
        Case("# only a comment\n\n"),
        Case("row = [0, 'a']  # 1\n" * 70, label="code_tokens(\"row = [0, 'a']  # 1\\n\" * 70)"),
        Case(""),
    ],
    mistakes=[
        Mistake(
            "split_at_blanks",
            "You split at the blanks, so `Area(r):` stays one word. Python knows better where its "
            "words end: `tokenize.generate_tokens(io.StringIO(source).readline)`.",
            str.split,
        ),
        Mistake(
            "single_characters",
            "These are single characters. The words of Python come from "
            "`tokenize.generate_tokens(io.StringIO(source).readline)`.",
            list,
        ),
        Mistake(
            "words_and_signs",
            "A pattern for words and signs takes `3.14` and `**` apart, looks into strings and "
            "comments, and does not see the indentation. Ask Python itself: "
            "`tokenize.generate_tokens`.",
            lambda source: re.findall(r"\w+|[^\w\s]", source),
        ),
        Mistake(
            "nothing_replaced",
            "You give the text of every token, comments and all. Leave out the kinds that mean "
            "nothing, and write `<number>`, `<string>`, `<indent>`, `<dedent>` and `<newline>` "
            "for these kinds.",
            _read(keep=_LEFT_OUT, as_text=_REPLACED),
        ),
        Mistake(
            "names_replaced",
            "You replace the names as well, and nobody can say any more what the program does. "
            "Names stay as they are written.",
            _read(also={tokenize.NAME: "<name>"}),
        ),
        Mistake(
            "comments_kept",
            "The comments are still there. They do nothing when the program runs: leave out "
            "tokens of the kind `tokenize.COMMENT`.",
            _read(keep=[tokenize.COMMENT]),
        ),
        Mistake(
            "strings_kept",
            "The texts of the strings are still there, and each would be a word of its own. Write "
            "`<string>` for tokens of the kind `tokenize.STRING`.",
            _read(as_text=[tokenize.STRING]),
        ),
        Mistake(
            "numbers_kept",
            "The numbers are still there, and there are endlessly many. Write `<number>` for "
            "tokens of the kind `tokenize.NUMBER`.",
            _read(as_text=[tokenize.NUMBER]),
        ),
        Mistake(
            "layout_lost",
            "The layout is lost: in Python indentation and the ends of lines mean something. "
            "Write `<indent>`, `<dedent>` and `<newline>` for these kinds.",
            _read(drop=[tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE]),
        ),
        Mistake(
            "layout_as_text",
            "Indentation and ends of lines come out as blanks, line breaks or empty strings. "
            "Write `<indent>`, `<dedent>` and `<newline>` for these kinds.",
            _read(as_text=[tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE]),
        ),
        Mistake(
            "dedent_missing",
            "There are `<indent>`s, but nothing says where a block ends. Write `<dedent>` for "
            "tokens of the kind `tokenize.DEDENT`.",
            _read(drop=[tokenize.DEDENT]),
        ),
        Mistake(
            "dedent_as_empty_string",
            "The end of a block comes out as an empty string, for that is its text. Write "
            "`<dedent>` for tokens of the kind `tokenize.DEDENT`.",
            _read(as_text=[tokenize.DEDENT]),
        ),
        Mistake(
            "newlines_missing",
            "The ends of the lines are missing. Leave out `tokenize.NL`, the line break that means "
            "nothing, but keep `tokenize.NEWLINE` as `<newline>`: it ends a statement.",
            _read(drop=[tokenize.NEWLINE]),
        ),
        Mistake(
            "blank_lines_counted",
            "You write `<newline>` after blank lines and comments too. `tokenize` has two kinds: "
            "`NEWLINE` ends a statement, `NL` means nothing. Leave out `NL`.",
            _read(keep=[tokenize.NL], also={tokenize.NL: "<newline>"}),
        ),
        Mistake(
            "line_breaks_kept",
            "There are line breaks among the words, where a line is blank or holds only a comment. "
            "They are of the kind `tokenize.NL` and mean nothing: leave them out.",
            _read(keep=[tokenize.NL]),
        ),
        Mistake(
            "end_marker_kept",
            "There is an empty string at the end. It is the mark for the end of the file, of the "
            "kind `tokenize.ENDMARKER`: leave it out.",
            _read(keep=[tokenize.ENDMARKER]),
        ),
        Mistake(
            "encoding_kept",
            "The first word is `utf-8`, which stands nowhere in the source. `tokenize.tokenize` "
            "says so of the bytes: leave out `tokenize.ENCODING`, or take `generate_tokens`.",
            lambda source: ["utf-8", *_code_tokens(source)],
        ),
        Mistake(
            "lower_case",
            "You write all words in small letters. In Python `Area` and `area` are two names: "
            "leave them as they are.",
            _read(word=lambda token: token.string.lower()),
        ),
        Mistake(
            "kinds_for_words",
            "You give the *kind* of every token. Names and operators stay as they are written, "
            "`token.string`; only numbers, strings and the layout are replaced.",
            _read(
                as_text=_REPLACED,
                word=lambda token: tokenize.tok_name[token.type],
            ),
        ),
        Mistake(
            "one_string",
            "You join the words to one string. Return the list.",
            lambda source: " ".join(_code_tokens(source)),
        ),
        Mistake(
            "tuple_for_list",
            "The words are right, but in a tuple. Return a list: `list(words)`, or square "
            "brackets.",
            lambda source: tuple(_code_tokens(source)),
        ),
        Mistake(
            "each_word_once",
            "Every word stands there only once. A program repeats its words, and how often and "
            "where says what it does: return a list of all tokens, in their order.",
            lambda source: list(dict.fromkeys(_code_tokens(source))),
        ),
        Mistake(
            "kinds_with_their_text",
            "You return pairs. One string for each token is wanted: `<number>` and the like for "
            "five kinds, `token.string` for names and signs.",
            lambda source: [(word, word) for word in _code_tokens(source)],
        ),
    ],
    hints=[
        "Each token of `tokenize.generate_tokens(io.StringIO(source).readline)` has a `type` and a "
        "`string`. Print them for two lines of Python before you write anything.",
        "Two collections do it: a dict from kinds to what is written for them, "
        '`{tokenize.NUMBER: "<number>", …}`, and a set of the kinds that are left out.',
        "In the loop: skip a token if `token.type` is in the set; otherwise append "
        "`replaced.get(token.type, token.string)`.",
    ],
)
