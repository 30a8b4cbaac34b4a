"""Lesson 02: masks and heads. Answers take and return PyTorch tensors; True means allowed."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson02.causal_mask import causal_mask
from utils.checks.lesson02.leaks_future import leaks_future
from utils.checks.lesson02.masked_attention import masked_attention
from utils.checks.lesson02.merge_heads import merge_heads
from utils.checks.lesson02.multi_head_attention import MultiHeadAttention
from utils.checks.lesson02.padding_mask import padding_mask
from utils.checks.lesson02.split_heads import split_heads

__all__ = [
    "MultiHeadAttention",
    "causal_mask",
    "hint",
    "inputs",
    "leaks_future",
    "masked_attention",
    "merge_heads",
    "padding_mask",
    "preview",
    "progress",
    "recall",
    "solution",
    "split_heads",
]

LESSON = Lesson("02", "Masks and heads", "02_masks_and_heads")
