"""Lesson 18: a multimodal language model. Answers take and return PyTorch tensors."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson18.answer_ids import answer_ids
from utils.checks.lesson18.caption_labels import caption_labels
from utils.checks.lesson18.freeze import freeze
from utils.checks.lesson18.projector import Projector
from utils.checks.lesson18.splice_embeddings import splice_embeddings
from utils.checks.lesson18.word_loss import word_loss

__all__ = [
    "Projector",
    "answer_ids",
    "caption_labels",
    "freeze",
    "hint",
    "inputs",
    "preview",
    "progress",
    "recall",
    "solution",
    "splice_embeddings",
    "word_loss",
]

LESSON = Lesson("18", "A multimodal language model", "18_multimodal_lm")
