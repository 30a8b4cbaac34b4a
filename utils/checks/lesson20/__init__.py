"""Lesson 20: everything at once. Answers take and return PyTorch tensors, or lists where said."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson20.candidate_scores import candidate_scores
from utils.checks.lesson20.find import find
from utils.checks.lesson20.hear import hear
from utils.checks.lesson20.other_partners import other_partners
from utils.checks.lesson20.pool_speech import pool_speech
from utils.checks.lesson20.refuse import refuse
from utils.checks.lesson20.splice_two import splice_two

__all__ = [
    "candidate_scores",
    "find",
    "hear",
    "hint",
    "inputs",
    "other_partners",
    "pool_speech",
    "preview",
    "progress",
    "recall",
    "refuse",
    "solution",
    "splice_two",
]

LESSON = Lesson("20", "Everything at once", "20_everything_at_once")
