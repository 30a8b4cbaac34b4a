"""Thirty learners at once on one small machine: every right answer stays right (slow).

Each has a kernel of their own, with lesson 01's imports, answers and checks; the rest of the lesson
would only need its memory thirty times.
"""

import asyncio
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
LEARNERS = 30

pytestmark = pytest.mark.skipif(
    os.environ.get("COURSE_SLOW") != "1", reason="slow: run by `make variants`"
)


async def run(home: Path) -> list[str]:
    """One learner's exercises of lesson 01, answered rightly: what the checks wrote."""
    notebook = nbformat.read(ROOT / "solutions/01_attention.ipynb", as_version=4)
    imports, *code = (cell for cell in notebook.cells if cell.cell_type == "code")
    notebook.cells = [
        imports,
        *(c for c in code if {"answer", "check"} & {*c.metadata.get("tags", [])}),
    ]
    home.mkdir()
    client = NotebookClient(
        notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": home}}
    )
    await client.async_execute(env=os.environ | {"COURSE_HOME": str(home), "OMP_NUM_THREADS": "1"})
    checks = [c for c in notebook.cells if "check" in c.metadata.get("tags", [])]
    return ["".join(o.get("text", "") for o in cell.outputs) + str(cell.outputs) for cell in checks]


def test_every_right_answer_stays_right(tmp_path):
    async def room():
        return await asyncio.gather(*(run(tmp_path / str(n)) for n in range(LEARNERS)))

    said = asyncio.run(room())
    assert len(said) == LEARNERS and all(len(checks) == 5 for checks in said)
    wrong = [text for checks in said for text in checks if ": right" not in text]
    assert not wrong, wrong[:3]
