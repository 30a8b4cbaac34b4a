"""Lesson 01: attention, by hand. Answers take and return NumPy arrays."""

from utils.checks import hint, inputs, preview, progress, recall, solution  # noqa: F401
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson01.attention import attention
from utils.checks.lesson01.score_variance import score_variance
from utils.checks.lesson01.scores import scores
from utils.checks.lesson01.softmax import softmax
from utils.checks.lesson01.softmax_jacobian import softmax_jacobian

__all__ = [
    "hint",
    "inputs",
    "preview",
    "progress",
    "scores",
    "softmax",
    "score_variance",
    "attention",
    "softmax_jacobian",
]

LESSON = Lesson("01", "Attention, by hand", "01_attention")
