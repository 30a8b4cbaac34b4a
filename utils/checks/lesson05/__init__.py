"""Lesson 05: the decoder and cross-attention. Answers take and return PyTorch tensors."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson05.beam_search import beam_search
from utils.checks.lesson05.decoder_block import DecoderBlock
from utils.checks.lesson05.greedy_decode import greedy_decode
from utils.checks.lesson05.seq2seq import Seq2Seq
from utils.checks.lesson05.shift_right import shift_right

__all__ = [
    "DecoderBlock",
    "Seq2Seq",
    "beam_search",
    "greedy_decode",
    "hint",
    "inputs",
    "preview",
    "progress",
    "recall",
    "shift_right",
    "solution",
]

LESSON = Lesson("05", "The decoder and cross-attention", "05_decoder")
