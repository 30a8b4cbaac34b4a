"""Lesson 03: position. Answers take and return torch tensors."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson03.add_positions import add_positions
from utils.checks.lesson03.alibi_bias import alibi_bias
from utils.checks.lesson03.apply_rope import apply_rope
from utils.checks.lesson03.relative_shift_invariant import relative_shift_invariant
from utils.checks.lesson03.rope_attention import rope_attention
from utils.checks.lesson03.sinusoidal import sinusoidal

__all__ = [
    "add_positions",
    "alibi_bias",
    "apply_rope",
    "hint",
    "inputs",
    "preview",
    "progress",
    "recall",
    "relative_shift_invariant",
    "rope_attention",
    "sinusoidal",
    "solution",
]

LESSON = Lesson("03", "Position", "03_position")
