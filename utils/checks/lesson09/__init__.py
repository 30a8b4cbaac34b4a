"""Lesson 09: generation with Hugging Face. Answers take and return PyTorch tensors."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson09.beam_search import beam_search
from utils.checks.lesson09.complete import complete
from utils.checks.lesson09.generate import generate
from utils.checks.lesson09.repetition_penalty import repetition_penalty
from utils.checks.lesson09.sample import sample
from utils.checks.lesson09.temperature import temperature
from utils.checks.lesson09.top_k import top_k
from utils.checks.lesson09.top_p import top_p

__all__ = [
    "beam_search",
    "complete",
    "generate",
    "hint",
    "inputs",
    "preview",
    "progress",
    "recall",
    "repetition_penalty",
    "sample",
    "solution",
    "temperature",
    "top_k",
    "top_p",
]

LESSON = Lesson("09", "Generation with Hugging Face", "09_generation")
