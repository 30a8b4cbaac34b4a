"""Lesson 01: attention, by hand. Answers take and return NumPy arrays."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson01.attention import attention
from utils.checks.lesson01.score_variance import score_variance
from utils.checks.lesson01.scores import scores
from utils.checks.lesson01.softmax import softmax
from utils.checks.lesson01.softmax_jacobian import softmax_jacobian

__all__ = [
    "attention",
    "hint",
    "inputs",
    "preview",
    "progress",
    "recall",
    "score_variance",
    "scores",
    "softmax",
    "softmax_jacobian",
    "solution",
]

LESSON = Lesson("01", "Attention, by hand", "01_attention")
