"""Lesson 12: preferences and rewards. Answers are functions of PyTorch tensors."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson12.dpo_loss import dpo_loss
from utils.checks.lesson12.group_advantages import group_advantages
from utils.checks.lesson12.grpo_loss import grpo_loss
from utils.checks.lesson12.kl_penalty import kl_penalty
from utils.checks.lesson12.reward_loss import reward_loss
from utils.checks.lesson12.sequence_log_prob import sequence_log_prob

__all__ = [
    "dpo_loss",
    "group_advantages",
    "grpo_loss",
    "hint",
    "inputs",
    "kl_penalty",
    "preview",
    "progress",
    "recall",
    "reward_loss",
    "sequence_log_prob",
    "solution",
]

LESSON = Lesson("12", "Preferences and rewards", "12_preferences")
