"""Lesson 16: a shared space. Answers take and return PyTorch tensors; 16.3 works on names."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson16.family import family
from utils.checks.lesson16.info_nce import info_nce
from utils.checks.lesson16.recall_at_k import recall_at_k
from utils.checks.lesson16.similarity import similarity
from utils.checks.lesson16.zero_shot import zero_shot

__all__ = [
    "family",
    "hint",
    "info_nce",
    "inputs",
    "preview",
    "progress",
    "recall",
    "recall_at_k",
    "similarity",
    "solution",
    "zero_shot",
]

LESSON = Lesson("16", "A shared space", "16_shared_space")
