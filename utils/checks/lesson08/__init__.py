"""Lesson 08: Llama. Answers are modules and functions on tensors; the last one reads bytes."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson08.dequantize_q4_1 import dequantize_q4_1
from utils.checks.lesson08.generate import generate
from utils.checks.lesson08.grouped_query_attention import GroupedQueryAttention
from utils.checks.lesson08.kv_cache import KVCache
from utils.checks.lesson08.map_weights import map_weights
from utils.checks.lesson08.rms_norm import RMSNorm
from utils.checks.lesson08.swiglu import SwiGLU

__all__ = [
    "GroupedQueryAttention",
    "KVCache",
    "RMSNorm",
    "SwiGLU",
    "dequantize_q4_1",
    "generate",
    "hint",
    "inputs",
    "map_weights",
    "preview",
    "progress",
    "recall",
    "solution",
]

LESSON = Lesson("08", "Llama from scratch", "08_llama")
