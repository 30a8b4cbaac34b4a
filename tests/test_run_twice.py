"""Every cell of a lesson can be run twice in a row (slow: run by `make variants`)."""

import copy
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
STEMS = sorted(path.stem for path in (ROOT / "solutions").glob("*.py"))

pytestmark = pytest.mark.skipif(
    os.environ.get("COURSE_SLOW") != "1", reason="slow: run by `make variants`"
)


@pytest.mark.parametrize("stem", STEMS)
def test_every_cell_can_be_run_twice(stem, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_STRICT", "1")
    notebook = nbformat.read(ROOT / f"solutions/{stem}.ipynb", as_version=4)
    twice = []
    for cell in notebook.cells:
        again = copy.deepcopy(cell)
        again.id = f"{cell.id[:40]}-again"
        # a check hands its answer back, and is then run with the same answer once more
        twice += [cell, again] if cell.cell_type == "code" else [cell]
    notebook.cells = twice
    NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
