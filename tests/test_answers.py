"""Answers as learners write them: right ones in an unusual style, and mistakes nobody listed.

Each module in `answers/` has two lists of (key, answer), `RIGHT` and `WRONG`. A wrong answer may
have a third part: the name that its mistake must get, or None where any name would mislead.
"""

import importlib.util
import re
from collections import Counter
from pathlib import Path

import pytest

from utils.checks import catalogue, judge, lessons


def _module(path: Path):
    spec = importlib.util.spec_from_file_location(f"answers_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PATHS = sorted((Path(__file__).parent / "answers").glob("lesson*.py"))
MODULES = [_module(path) for path in PATHS]
RIGHT = [pair for module in MODULES for pair in module.RIGHT]
WRONG = [pair for module in MODULES for pair in module.WRONG]


def test_every_lesson_has_answers():
    assert [path.stem[-2:] for path in PATHS] == [lesson.number for lesson in lessons()]
    for path, module in zip(PATHS, MODULES, strict=True):
        assert {row[0][:2] for row in module.RIGHT + module.WRONG} == {path.stem[-2:]}


def test_every_exercise_has_enough_answers():
    right, wrong = (Counter(row[0] for row in rows) for rows in (RIGHT, WRONG))
    for key in (exercise.key for exercise in catalogue()):
        assert right[key] >= 3, f"{key} has {right[key]} right answers, and needs 3 at least"
        assert wrong[key] >= 4, f"{key} has {wrong[key]} wrong answers, and needs 4 at least"


@pytest.mark.parametrize(("key", "answer"), RIGHT)
def test_right_in_an_unusual_style(key, answer):
    outcome = judge(key, answer)
    assert outcome.status == "right", outcome


@pytest.mark.parametrize("row", WRONG, ids=lambda row: row[0])
def test_wrong_never_passes(row):
    key, answer, *name = row
    outcome = judge(key, answer)
    assert outcome.status in ("wrong", "raised"), outcome
    assert outcome.message
    assert not name or outcome.mistake == name[0], outcome
    if outcome.status == "wrong":  # nothing of a probe shows; an error is quoted as it is
        assert not re.search(r"Seen|Raised\(|NoneType", outcome.message + outcome.evidence), outcome
