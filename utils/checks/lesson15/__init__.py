"""Lesson 15: images, sound, video and code as sequences. Answers work with PyTorch tensors."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson15.code_tokens import code_tokens
from utils.checks.lesson15.log_mel import log_mel
from utils.checks.lesson15.patchify import patchify
from utils.checks.lesson15.sequence_classifier import SequenceClassifier
from utils.checks.lesson15.tubelets import tubelets

__all__ = [
    "SequenceClassifier",
    "code_tokens",
    "hint",
    "inputs",
    "log_mel",
    "patchify",
    "preview",
    "progress",
    "recall",
    "solution",
    "tubelets",
]

LESSON = Lesson("15", "Everything is a sequence", "15_everything_is_a_sequence")
