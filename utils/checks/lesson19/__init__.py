"""Lesson 19: it hears."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson19.conv_stem import conv_stem
from utils.checks.lesson19.ctc_collapse import ctc_collapse
from utils.checks.lesson19.dtw_path import dtw_path
from utils.checks.lesson19.map_weights import map_weights
from utils.checks.lesson19.transcribe import transcribe
from utils.checks.lesson19.word_error_rate import word_error_rate

__all__ = [
    "conv_stem",
    "ctc_collapse",
    "dtw_path",
    "hint",
    "inputs",
    "map_weights",
    "preview",
    "progress",
    "recall",
    "solution",
    "transcribe",
    "word_error_rate",
]

LESSON = Lesson("19", "It hears", "19_it_hears")
