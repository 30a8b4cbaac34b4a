"""Lesson 13: evaluation and limits."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson13.expected_calibration_error import expected_calibration_error
from utils.checks.lesson13.interval import interval
from utils.checks.lesson13.option_scores import option_scores
from utils.checks.lesson13.pass_at_k import pass_at_k
from utils.checks.lesson13.retrieve import retrieve
from utils.checks.lesson13.swap_words import swap_words

__all__ = [
    "expected_calibration_error",
    "hint",
    "inputs",
    "interval",
    "option_scores",
    "pass_at_k",
    "preview",
    "progress",
    "recall",
    "retrieve",
    "solution",
    "swap_words",
]

LESSON = Lesson("13", "Evaluation and limits", "13_evaluation")
