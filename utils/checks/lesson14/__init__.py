"""Lesson 14: looking inside."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson14.ablate_heads import ablate_heads
from utils.checks.lesson14.activations import activations
from utils.checks.lesson14.induction_score import induction_score
from utils.checks.lesson14.logit_lens import logit_lens
from utils.checks.lesson14.patch_activation import patch_activation
from utils.checks.lesson14.steer import steer

__all__ = [
    "ablate_heads",
    "activations",
    "hint",
    "induction_score",
    "inputs",
    "logit_lens",
    "patch_activation",
    "preview",
    "progress",
    "recall",
    "solution",
    "steer",
]

LESSON = Lesson("14", "Looking inside", "14_looking_inside")
