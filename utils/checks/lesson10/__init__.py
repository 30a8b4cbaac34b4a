"""Lesson 10: chat and applications. Answers take and return messages, text and iterators."""

from utils.checks import hint, inputs, preview, progress, recall, solution
from utils.checks.engine.exercise import Lesson
from utils.checks.lesson10.ask import ask
from utils.checks.lesson10.read_events import read_events
from utils.checks.lesson10.render_chat import render_chat
from utils.checks.lesson10.run_code import run_code
from utils.checks.lesson10.stream import stream
from utils.checks.lesson10.trim_history import trim_history

__all__ = [
    "ask",
    "hint",
    "inputs",
    "preview",
    "progress",
    "read_events",
    "recall",
    "render_chat",
    "run_code",
    "solution",
    "stream",
    "trim_history",
]

LESSON = Lesson("10", "Chat and applications", "10_chat")
