"""Lesson 17: fusion. Answers take and return PyTorch tensors; the last one takes lists."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson17.cross_attention_fusion import CrossAttentionFusion
from utils.checks.lesson17.early_fusion import early_fusion
from utils.checks.lesson17.gated_cross_attention import GatedCrossAttention
from utils.checks.lesson17.late_fusion import late_fusion
from utils.checks.lesson17.question_only_accuracy import question_only_accuracy

__all__ = [
    "CrossAttentionFusion",
    "GatedCrossAttention",
    "early_fusion",
    "hint",
    "inputs",
    "late_fusion",
    "preview",
    "progress",
    "question_only_accuracy",
    "recall",
    "solution",
]

LESSON = Lesson("17", "Fusion", "17_fusion")
