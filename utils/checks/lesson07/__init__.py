"""Lesson 07: training a GPT. Answers work with PyTorch; two, on numbers that come out of it."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson07.bits_per_byte import bits_per_byte
from utils.checks.lesson07.get_batch import get_batch
from utils.checks.lesson07.init_weights import init_weights
from utils.checks.lesson07.lm_loss import lm_loss
from utils.checks.lesson07.perplexity import perplexity
from utils.checks.lesson07.power_law import power_law
from utils.checks.lesson07.train_step import train_step
from utils.checks.lesson07.warmup_cosine import warmup_cosine

__all__ = [
    "bits_per_byte",
    "get_batch",
    "hint",
    "init_weights",
    "inputs",
    "lm_loss",
    "perplexity",
    "power_law",
    "preview",
    "progress",
    "recall",
    "solution",
    "train_step",
    "warmup_cosine",
]

LESSON = Lesson("07", "Train a GPT", "07_gpt")
