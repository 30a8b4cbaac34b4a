"""Exercise 6.6 (stretch), `split_pieces`: its oracle, inputs, mistakes and hints."""

import regex
from tokenizers import pre_tokenizers

from utils.checks.engine.exercise import Case, Exercise, Mistake

# The pattern of GPT-2's tokenizer (Radford et al. 2019, in their code).
GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def _split_pieces(text):
    steps = [pre_tokenizers.Digits(individual_digits=True)]
    steps += [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    found = pre_tokenizers.Sequence(steps).pre_tokenize_str(text)
    return [text[start:end] for _, (start, end) in found]


def _pieces(digits=r"(\p{N})", pattern=GPT2, prepare=lambda text: text, finish=lambda p: p):
    """Splitting with one step replaced."""

    def mutant(text):
        text = prepare(text)
        parts = regex.split(digits, text) if digits else [text]
        return finish([piece for part in parts for piece in regex.findall(pattern, part)])

    return mutant


def _digits_after(text):
    """GPT-2's pieces first, the digits taken out of them afterwards."""
    found = regex.findall(GPT2, text)
    return [part for piece in found for part in regex.split(r"(\p{N})", piece) if part]


split_pieces = Exercise(
    number="6.6",
    name="split_pieces",
    oracle=_split_pieces,
    compared_with="SmolLM2's own two pre-tokenizers",
    cases=lambda: [
        Case("it's 17 apples, they're 2.50 each;  don't\n\n  x1 = y[23]"),
        Case("in 1984"),
        Case("a  b"),
        Case("a  17"),
        Case("I'll go"),
        Case("I'd go at 3 o'clock"),
        Case("un héron naïf"),
        Case(""),
        Case("   "),
        Case("tail  "),
        Case("x_1+=2"),
        Case("½ and ² and ٣"),
        Case("a ½½ b"),
        Case("第七 三百"),
        Case("cafe\u0301 1"),
        Case("日本 2024年 🙂🙂!"),
        Case("def f(x):\n    return x\n"),
        Case("Don'T SHOUT'S"),
        Case("no. 5,000,000"),
        Case("tab\there\r\nthere"),
    ],
    mistakes=[
        Mistake(
            "digits_together",
            "Digits stay together: `1984` is one piece, as it is for GPT-2. SmolLM2 takes every "
            "digit for itself, before anything else.",
            _pieces(digits=""),
        ),
        Mistake(
            "numbers_together",
            "You take out whole numbers. Every *digit* is a piece of its own: `(\\p{N})`, without "
            "`+`.",
            _pieces(digits=r"(\p{N}+)"),
        ),
        Mistake(
            "digits_taken_out_later",
            "GPT-2's pattern comes first in yours, and then the digits. The other way round: it "
            "shows in `a  17`, whose two spaces are one piece, since the digit behind them has "
            "been taken out before.",
            _digits_after,
        ),
        Mistake(
            "digits_lost",
            "The digits are gone: `split` keeps what it splits at only if the pattern stands in "
            "round brackets, `(\\p{N})`.",
            _pieces(digits=r"\p{N}"),
        ),
        Mistake(
            "only_0_to_9",
            "Numbers are more than 0 to 9: `½` and `٣` are numbers as well. `\\p{N}` knows them, "
            "`[0-9]` does not.",
            _pieces(digits="([0-9])"),
        ),
        Mistake(
            "only_decimal_digits",
            "`\\d` knows decimal digits only; `½` and `²` are numbers as well: `\\p{N}`.",
            _pieces(digits=r"(\d)"),
        ),
        Mistake(
            "words_for_numbers_cut",
            "`三` is a letter to Unicode, although it means three, and Python's `isnumeric` takes "
            "it for a number. Ask for `\\p{N}`.",
            _pieces(digits=r"(\p{N}|[一二三四五六七八九十百千万])"),
        ),
        Mistake(
            "contractions_not_cut",
            "`it's` is to be cut before the apostrophe, `it` and `'s`. Use GPT-2's whole pattern.",
            _pieces(pattern=GPT2.split("|", 1)[1].split("re)|", 1)[1]),
        ),
        Mistake(
            "contractions_in_capitals",
            "You ignore case, and `SHOUT'S` is cut at `'S`. GPT-2's pattern knows small letters "
            "only.",
            _pieces(pattern="(?i)" + GPT2),
        ),
        Mistake(
            "spaces_lost",
            "Spaces are gone. They belong to the pieces: every character of the text has to be in "
            "one of them.",
            _pieces(finish=lambda pieces: [p.strip() for p in pieces if p.strip()]),
        ),
        Mistake(
            "split_at_spaces",
            "That is `split`: punctuation stays with the words, and the spaces are gone.",
            str.split,
        ),
        Mistake(
            "spaces_apart",
            "The space before a word is a piece of its own. It belongs to the word: ` ?` in front "
            "of the letters.",
            _pieces(pattern=GPT2.replace(" ?", "")),
        ),
        Mistake(
            "lower_case",
            "You make everything small. Then nobody gets the text back.",
            _pieces(prepare=str.lower),
        ),
        Mistake(
            "empty_pieces",
            "There are empty pieces among yours. `split` makes them at the edges: leave them out.",
            lambda text: [
                piece
                for part in regex.split(r"(\p{N})", text)
                for piece in (regex.findall(GPT2, part) or [part])
            ],
        ),
    ],
    hints=[
        "Two steps, one after the other: first take every digit out of the text, then apply "
        "GPT-2's pattern to each part.",
        '`regex.split(r"(\\p{N})", text)` gives the parts; the brackets keep the digits.',
        "For each part `regex.findall(PATTERN, part)`; all of them in one list.",
    ],
)
