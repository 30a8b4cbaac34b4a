"""Lesson 04: the encoder. Answers take and return PyTorch tensors."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson04.encoder_block import EncoderBlock
from utils.checks.lesson04.feed_forward import FeedForward
from utils.checks.lesson04.layer_norm import LayerNorm
from utils.checks.lesson04.load_minilm import load_minilm
from utils.checks.lesson04.mean_pool import mean_pool
from utils.checks.lesson04.search import search

__all__ = [
    "EncoderBlock",
    "FeedForward",
    "LayerNorm",
    "hint",
    "inputs",
    "load_minilm",
    "mean_pool",
    "preview",
    "progress",
    "recall",
    "search",
    "solution",
]

LESSON = Lesson("04", "The encoder", "04_encoder")
