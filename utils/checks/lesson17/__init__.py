"""Lesson 17: fusion. Answers take and return PyTorch tensors; the last one takes lists."""

from utils.checks import hint, inputs, preview, progress, recall, solution  # noqa: F401
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson17.cross_attention_fusion import CrossAttentionFusion
from utils.checks.lesson17.early_fusion import early_fusion
from utils.checks.lesson17.gated_cross_attention import GatedCrossAttention
from utils.checks.lesson17.late_fusion import late_fusion
from utils.checks.lesson17.question_only_accuracy import question_only_accuracy

__all__ = [
    "hint",
    "inputs",
    "preview",
    "progress",
    "early_fusion",
    "late_fusion",
    "CrossAttentionFusion",
    "GatedCrossAttention",
    "question_only_accuracy",
]

LESSON = Lesson("17", "Fusion", "17_fusion")
