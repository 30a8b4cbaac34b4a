"""What the web book and the slides ask of a lesson's cells."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
EXERCISE = re.compile(r"^### Exercise (?P<number>\d+\.\d+) · `(?P<name>\w+)`", re.MULTILINE)


def stems() -> list[str]:
    """The lessons' names, in order: those of the notebooks in solutions/."""
    return sorted(path.stem for path in (ROOT / "solutions").glob("*.ipynb"))


def solved(stem: str) -> NotebookNode:
    """A lesson with its solutions and outputs."""
    return nbformat.read(ROOT / f"solutions/{stem}.ipynb", as_version=4)


def stubs(stem: str) -> dict[str, str]:
    """What a learner finds in the cells of a lesson, by the cells' ids."""
    learners = nbformat.read(ROOT / f"notebooks/{stem}.ipynb", as_version=4)
    return {cell.id: cell.source for cell in learners.cells}


def tags(cell: NotebookNode) -> list[str]:
    """The cell's tags."""
    return cell.metadata.get("tags", [])


def is_prose(cell: NotebookNode) -> bool:
    """Whether the cell is text."""
    return cell.cell_type == "markdown"


def asks_for_a_prediction(cell: NotebookNode) -> bool:
    """Whether the reader is asked, below the cell's last heading, what the next cells will show."""
    return is_prose(cell) and "**Predict" in re.split(r"^#+ ", cell.source, flags=re.M)[-1]


def paragraphs(text: str) -> list[str]:
    """The blocks of a Markdown text; a fenced block, a formula or a list with gaps is one."""
    blocks, fence = [], ""
    for block in re.split(r"\n{2,}(?![ \t])", text.strip()):
        if fence:
            blocks[-1] += f"\n\n{block}"
        else:
            blocks.append(block)
        for mark in re.findall(r"^(?:```|\$\$)|\$\$$", block, re.MULTILINE):
            fence = "" if fence == mark else fence or mark
    return blocks
