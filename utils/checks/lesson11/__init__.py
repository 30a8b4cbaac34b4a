"""Lesson 11: fine-tuning. Answers take lists of tokens, batches and matrices; one is a module."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson11.lora_linear import LoRALinear
from utils.checks.lesson11.mask_prompt_labels import mask_prompt_labels
from utils.checks.lesson11.merge_lora import merge_lora
from utils.checks.lesson11.mix_replay import mix_replay
from utils.checks.lesson11.pack_batch import pack_batch

__all__ = [
    "LoRALinear",
    "hint",
    "inputs",
    "mask_prompt_labels",
    "merge_lora",
    "mix_replay",
    "pack_batch",
    "preview",
    "progress",
    "recall",
    "solution",
]

LESSON = Lesson("11", "Fine-tuning", "11_fine_tuning")
