"""`checks.solution` and `checks.recall`: what a learner may ask to see again."""

import importlib

import pytest

from utils import checks
from utils.checks import lesson01 as lesson
from utils.checks import remembered, store


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("exercise", checks.catalogue(), ids=lambda e: e.key)
def test_every_exercise_has_its_solution(exercise):
    found = remembered.solution(exercise.lesson, exercise.number, exercise.name)
    assert isinstance(found, remembered.Folded)
    assert exercise.name in found.code and "NotImplementedError" not in found.code
    assert "SOLUTION" not in found.code
    compile(found.code, "solution", "exec")


@pytest.mark.parametrize("own", checks.lessons(), ids=lambda own: own.number)
def test_every_lesson_hands_on_all_help(own):
    module = importlib.import_module(f"utils.checks.lesson{own.number}")
    for name in ("hint", "inputs", "preview", "progress", "recall", "solution"):
        assert getattr(module, name, None) is getattr(checks, name), name
        assert name in module.__all__


def test_it_is_folded_and_escaped_in_a_notebook(capsys):
    found = remembered.Folded("1.1 a", "x < 1 & y")
    assert found._repr_html_().startswith("<details><summary>1.1 a")
    assert "x &lt; 1 &amp; y" in found._repr_html_() and repr(found) == "1.1 a\n\nx < 1 & y"


def test_a_solution_that_was_shown_is_kept_and_counts_as_right_with_a_mark(capsys):
    lesson.solution("1.1")
    assert "def scores" in capsys.readouterr().out
    assert store.results() == {} and remembered.shown() == {"01.scores"}
    store.record("01.scores", "right", None, "def scores(q, k): ...")
    row = next(line for line in repr(checks.progress()).splitlines() if line.startswith("01"))
    assert "☑" in row and "1/5" in row


def test_shown_after_it_was_right_leaves_no_mark():
    store.record("01.scores", "right", None, "a")
    checks.solution("1.1")
    assert remembered.shown() == set() and store.results() == {"01.scores": "right"}


def test_recall_gives_the_last_different_answers_back(capsys):
    for source, status in (
        ("one", "wrong"),
        ("two", "wrong"),
        ("one", "raised"),
        ("three", "right"),
    ):
        store.record("01.scores", status, None, source)
    store.record("01.softmax", "right", None, "another exercise")
    lesson.recall("01.scores")
    said = capsys.readouterr().out
    assert said.index("three") < said.index("one") < said.index("two")
    assert said.count("one") == 1 and "another exercise" not in said and "raised" in said


def test_nothing_kept_and_no_such_exercise_are_told(capsys):
    checks.recall("1.1")
    assert "No answer to it has been checked yet" in capsys.readouterr().out
    for ask in (checks.recall, checks.solution):
        ask("99.9")
        assert "No such exercise" in capsys.readouterr().out
    assert store.results() == {} and remembered.shown() == set()


def test_without_the_sources_it_says_where_they_are(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(remembered, "SOLUTIONS", tmp_path)
    checks.solution("1.1")
    assert "in the course's repository" in capsys.readouterr().out
