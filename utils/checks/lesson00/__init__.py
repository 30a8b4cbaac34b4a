"""Lesson 00: start here. Three warm-ups in NumPy that lesson 01 builds on."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson00.dot import dot
from utils.checks.lesson00.nearest import nearest
from utils.checks.lesson00.shares import shares
from utils.checks.lesson00.weighted_mean import weighted_mean

__all__ = [
    "dot",
    "hint",
    "inputs",
    "nearest",
    "preview",
    "progress",
    "recall",
    "shares",
    "solution",
    "weighted_mean",
]

LESSON = Lesson("00", "Start here", "00_start_here")
