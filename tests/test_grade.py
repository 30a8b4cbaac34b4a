"""Grading: what is handed in is judged by this repository's checks, whatever it tries."""

import csv
import json
import time

import nbformat
import pytest

from utils import grade

NOTEBOOK = grade.NOTEBOOKS / "01_attention.ipynb"
RIGHT = "def scores(q, k):\n    return q @ k.T"


def handed_in(path, answer=RIGHT, name="scores", more=(), change=lambda book: None):
    """The learner's notebook of lesson 01 with one answer, further cells in front, and a change."""
    book = nbformat.read(NOTEBOOK, 4)
    cell = next(c for c in book.cells if c.source.startswith(f"def {name}("))
    cell.source = answer
    book.cells[:0] = [nbformat.v4.new_code_cell(source) for source in more]
    change(book)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)
    return path


def row(path, name="scores"):
    return {line["name"]: line for line in grade.grade(path)}[name]


def edited_check(book):
    for cell in book.cells:
        if "checks.scores" in cell.source:
            cell.source = "checks.scores = lambda answer: print('right')"


HOSTILE = {
    "check cell edited": dict(answer="def scores(q, k):\n    return q", change=edited_check),
    "asks the oracle": dict(
        answer="def scores(q, k):\n    from utils.checks import lesson01\n"
        "    return lesson01.scores.oracle(q, k)"
    ),
    "asks by importlib": dict(
        answer="import importlib\ndef scores(q, k):\n"
        "    return importlib.import_module('utils.checks').judge"
    ),
    "patches the engine": dict(
        answer="def scores(q, k):\n    return q",
        more=["from utils.checks.engine import naming\nnaming.verdict = lambda *a: 1"],
    ),
    "patches a library": dict(
        answer="np.allclose = lambda *a, **k: True\ndef scores(q, k):\n    return q"
    ),
    "exits": dict(answer="def scores(q, k):\n    raise SystemExit(0)"),
    "exits hard": dict(answer="import os\ndef scores(q, k):\n    os._exit(0)"),
    "loops in a call": dict(answer="def scores(q, k):\n    while True: pass"),
    "loops in its cell": dict(answer="def scores(q, k):\n    return q\nwhile True: pass"),
    "fills memory": dict(answer="def scores(q, k):\n    return np.ones((40000, 40000, 40)) @ q"),
    "prints a lot": dict(
        answer="def scores(q, k):\n    for _ in range(10**5): print('x' * 100)\n    return q"
    ),
    "sets strict": dict(
        answer="def scores(q, k):\n    return q",
        more=["import os\nos.environ['COURSE_STRICT'] = '0'"],
    ),
    "opens files": dict(answer="def scores(q, k):\n    open('/tmp/x', 'w')\n    return q @ k.T"),
    "crashes Python": dict(answer="import ctypes\ndef scores(q, k):\n    ctypes.string_at(0)"),
    "syntax error": dict(answer="def scores(q, k)\n    return q"),
    "renamed": dict(answer="def my_scores(q, k):\n    return q @ k.T"),
    "its own equal": dict(
        answer="class Same(np.ndarray):\n    def __sub__(self, o): return 0 * o\n"
        "def scores(q, k):\n    return q.view(Same)"
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_no_hostile_answer_is_right_and_the_others_are_judged(tmp_path, case):
    start = time.monotonic()
    rows = {
        line["name"]: line for line in grade.grade(handed_in(tmp_path / "a.ipynb", **HOSTILE[case]))
    }
    assert time.monotonic() - start < 200
    assert rows["scores"]["status"] != "right" and rows["scores"]["points"] == "0", rows["scores"]
    assert {line["status"] for name, line in rows.items() if name != "scores"} <= {
        "not_written",
        "stopped",
    }
    assert len(rows) == 5


def test_right_wrong_and_not_written(tmp_path):
    assert row(handed_in(tmp_path / "a.ipynb"))["status"] == "right"
    wrong = row(handed_in(tmp_path / "b.ipynb", "def scores(q, k):\n    return q @ q.T"))
    assert (wrong["status"], wrong["mistake"]) == ("wrong", "queries_with_queries")
    assert {line["status"] for line in grade.grade(NOTEBOOK)} == {"not_written"}


def test_helpers_of_the_learners_own_are_found(tmp_path):
    own = ["def turned(q, k):\n    return q @ k.T", "1 / 0", "while True: pass"]
    answer = "def scores(q, k):\n    return turned(q, k)"
    path = handed_in(tmp_path / "a.ipynb", answer, more=own)
    assert row(path)["status"] == "right"


def test_what_keeps_state_is_seen(tmp_path):
    kept = "kept = []\ndef scores(q, k):\n    kept.append(q @ k.T)\n    return kept[0]"
    assert row(handed_in(tmp_path / "a.ipynb", kept))["status"] == "wrong"


def test_broken_files_and_strange_notebooks_are_told(tmp_path):
    (tmp_path / "broken.ipynb").write_text('{"cells": [')
    assert "no notebook that can be read" in grade.grade(tmp_path / "broken.ipynb")[0]["message"]
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "empty.ipynb")
    assert "no notebook of this course" in grade.grade(tmp_path / "empty.ipynb")[0]["message"]


def test_the_table(tmp_path, capsys):
    handed_in(tmp_path / "in/ann/lesson.ipynb")
    handed_in(tmp_path / "in/bob.ipynb", "def scores(q, k):\n    return q")
    assert grade.main([str(tmp_path / "in"), "--out", str(tmp_path / "grades.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "grades.csv").open(encoding="utf-8")))
    assert [r["points"] for r in rows if r["name"] == "scores"] == ["1", "0"]
    assert {r["learner"] for r in rows} == {"ann", "bob"} and list(rows[0]) == grade.COLUMNS
    assert "1.1      1 right, 1 wrong" in capsys.readouterr().out


def test_a_wrong_folder_is_told(tmp_path, capsys):
    assert grade.main([str(tmp_path / "none")]) == 1 and "no folder" in capsys.readouterr().err
    assert grade.main([str(tmp_path)]) == 1 and "no notebook" in capsys.readouterr().err


def test_results_travel_unchanged():
    import numpy as np
    import torch

    given = [None, True, 3, 2.5, float("inf"), "text", (1, [2]), {"a": np.float64(3)}, {1, 2}]
    given += [np.arange(6).reshape(2, 3), torch.tensor([[1.5, 2]]), torch.tensor(True), np.bool_(1)]
    back = grade.decoded(json.loads(json.dumps(grade.encoded(given))))
    assert [type(x) for x in back] == [type(x) for x in given]
    assert repr(back) == repr(given)
