"""Lesson 06: tokens. Answers take and return Python's own lists, dicts and strings."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson06.common import SIGN, library, merges_of
from utils.checks.lesson06.count_pairs import count_pairs
from utils.checks.lesson06.decode import decode
from utils.checks.lesson06.encode import encode
from utils.checks.lesson06.merge import merge
from utils.checks.lesson06.split_pieces import split_pieces
from utils.checks.lesson06.train_bpe import train_bpe

__all__ = [
    "SIGN",
    "count_pairs",
    "decode",
    "encode",
    "hint",
    "inputs",
    "library",
    "merge",
    "merges_of",
    "preview",
    "progress",
    "recall",
    "solution",
    "split_pieces",
    "train_bpe",
]

LESSON = Lesson("06", "Tokens", "06_tokens")
