"""Exercise 7.7, `bits_per_byte`: its oracle, inputs, mistakes and hints."""

import math
import random

import numpy as np
import torch

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded
from utils.checks.lesson07.common import returning_a_number

LN2 = math.log(2)
WORDS = ["the", " river", " counted", " boats", ".", "\n", " Größe", "日", " 😀", "  ", " é", " İ"]


def _bits_per_byte(nats, text):
    bits = nats.detach().numpy().astype(np.float64) / np.log(2)
    return float(bits.sum() / len(text.encode("utf-8")))


def _measure(
    bits=lambda nats: nats / LN2,
    count=lambda text: len(text.encode("utf-8")),
    ratio=lambda bits, n: bits.sum().item() / n,
):
    """The measure with one step replaced, in 64 bits."""
    return lambda nats, text: float(ratio(bits(nats.double()), count(text)))


def _known(nats, text):
    return Case(torch.tensor(nats), text)


def _drawn(seed, n, words=WORDS):
    """The losses of n tokens, and a text that they may stand for."""
    draw = random.Random(seeded(seed))
    text = "x" + "".join(draw.choices(words, k=n))
    label = f"bits_per_byte(nats, text) with {n} tokens and {len(text.encode())} bytes"
    return Case(normal(seed, n).exp(), text, label=label if n > 12 else "")


bits_per_byte = Exercise(
    number="7.7",
    name="bits_per_byte",
    oracle=_bits_per_byte,
    compared_with="NumPy in 64 bits",
    probe=returning_a_number(_bits_per_byte),
    tolerance=Tolerance(absolute=1e-6, relative=3e-5),  # 3,000 numbers added in 32 bits
    cases=lambda: [
        _known([1.5, 0.25, 3.0, 0.5], " river 日 sat"),
        _known([2 * LN2, LN2], "abc"),
        _known([2 * LN2, LN2], "日"),
        _known([0.7], "boats"),
        _known([0.0, 0.0], "abc"),
        _known([2.0, 2.0, 2.0], "aaa"),
        _known([0.5, 1.0, 4.0], "\n    x "),
        _known([12.0, 0.01], "Größe!"),
        _known([3.0, 1.0], "😀"),
        _drawn(1, 8),
        _drawn(2, 300),
        _drawn(3, 3000),
        _drawn(4, 2000, words=["a", "bc", " d"]),
    ],
    mistakes=[
        Mistake(
            "nats_for_bits",
            "Your result is in nats. A bit is ln 2 = 0.693 nats: divide by `math.log(2)`.",
            _measure(bits=lambda nats: nats),
        ),
        Mistake(
            "multiplied_by_ln_2",
            "You multiply by ln 2. There are *more* bits than nats, one nat being 1.44 bits: "
            "divide by ln 2.",
            _measure(bits=lambda nats: nats * LN2),
        ),
        Mistake(
            "divided_by_ln_2_twice",
            "You divide by ln 2 twice. Once turns nats into bits.",
            _measure(bits=lambda nats: nats / LN2**2),
        ),
        Mistake(
            "divided_by_2",
            "You divide by 2. From nats to bits it is ln 2, 0.693: `math.log(2)`.",
            _measure(bits=lambda nats: nats / 2),
        ),
        Mistake(
            "logarithm_to_base_10",
            "You divide by the logarithm of 2 to base 10. The nats are natural: `math.log(2)`.",
            _measure(bits=lambda nats: nats / math.log10(2)),
        ),
        Mistake(
            "divided_by_ln_10",
            "You divide by ln 10, which makes decimal digits of nats. For bits it is ln 2: "
            "`math.log(2)`.",
            _measure(bits=lambda nats: nats / math.log(10)),
        ),
        Mistake(
            "logarithm_of_a_loss",
            "You take the logarithm of the losses. They are logarithms already: to change the base "
            "only divide, by ln 2.",
            _measure(bits=lambda nats: nats.log2()),
        ),
        Mistake(
            "bits_per_token",
            "You divide by the number of *tokens*, and that is what differs between tokenizers. "
            "Divide by the number of all bytes.",
            _measure(ratio=lambda bits, n: bits.mean()),
        ),
        Mistake(
            "bits_per_character",
            "You count characters. Some have more than one byte, `日` three of them: "
            '`len(text.encode("utf-8"))`.',
            _measure(count=len),
        ),
        Mistake(
            "ascii_only",
            "You count the characters of ASCII only. In UTF-8 the others have two to four bytes "
            'each: `text.encode("utf-8")`.',
            _measure(count=lambda text: len(text.encode("ascii", "ignore"))),
        ),
        Mistake(
            "utf_16",
            "You count the bytes of UTF-16, which has two or four for each character, and two more "
            "at the beginning. Count those of UTF-8.",
            _measure(count=lambda text: len(text.encode("utf-16"))),
        ),
        Mistake(
            "utf_32",
            "You count four bytes for every character. In UTF-8 it is one to four: "
            '`len(text.encode("utf-8"))`.',
            _measure(count=lambda text: 4 * len(text)),
        ),
        Mistake(
            "written_out_bytes_counted",
            "`str` or `repr` of the bytes has a `b`, quotes and backslashes, and you count those "
            "too. Take `len` of the bytes themselves.",
            _measure(count=lambda text: len(str(text.encode()))),
        ),
        Mistake(
            "bits_per_word",
            "You divide by the number of words. Divide by the number of all bytes.",
            _measure(count=lambda text: len(text.split())),
        ),
        Mistake(
            "mean_loss_for_sum",
            "You divide the *mean* loss by the bytes. All the nats belong on top: `.sum()`.",
            _measure(ratio=lambda bits, n: bits.mean() / n),
        ),
        Mistake(
            "bytes_per_bit",
            "Your fraction is upside down: the bits belong on top, the bytes below.",
            _measure(ratio=lambda bits, n: n / bits.sum().item()),
        ),
        Mistake(
            "bits_per_bit",
            "You count eight bits for every byte. Divide by the number of bytes alone.",
            _measure(count=lambda text: 8 * len(text.encode())),
        ),
        Mistake(
            "perplexity",
            "You take a power at the end. Bits per byte is no perplexity: leave out `exp` and "
            "`2 **`.",
            _measure(bits=lambda nats: nats, ratio=lambda nats, n: (nats.sum() / n).exp()),
        ),
        Mistake(
            "ends_stripped",
            "You strip white space off the ends of the text. Every space and line end is a byte "
            "that the model had to predict: count them all.",
            _measure(count=lambda text: len(text.strip().encode())),
        ),
        Mistake(
            "spaces_not_counted",
            "You leave out spaces. A space is a byte of the text as any other.",
            _measure(count=lambda text: len(text.replace(" ", "").encode())),
        ),
        Mistake(
            "each_character_once",
            "A character that occurs again is counted once only. Is there a set? Every occurrence "
            "counts.",
            _measure(count=lambda text: len("".join(set(text)).encode())),
        ),
        Mistake(
            "returns_tensor",
            "The number is right, but in a tensor. `.item()` makes a Python number of it.",
            lambda nats, text: torch.tensor(_bits_per_byte(nats, text)),
        ),
    ],
    hints=[
        "Two totals: all the nats, and all the bytes of the text.",
        '`text.encode("utf-8")` is the text as bytes, and `len` counts them. A nat is 1 / ln 2 '
        "bits.",
        '`nats.sum().item() / math.log(2) / len(text.encode("utf-8"))`.',
    ],
)
