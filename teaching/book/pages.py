"""A lesson as a page of the book: solutions and the answers to predictions are folded away."""

import copy
import re

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from teaching.lessons import EXERCISE, asks_for_a_prediction, is_prose, paragraphs, tags

SEEN = '<details class="seen"><summary>Read what was seen</summary>\n\n{}\n\n</details>'


def page(solved: NotebookNode, stubs: dict[str, str], stem: str) -> NotebookNode:
    """The executed lesson as MyST-NB shall show it.

    Args:
        solved: the notebook from solutions/.
        stubs: the source of each cell of the learner's notebook, by the cell's id.
        stem: the lesson's name.
    """
    notebook, cells = copy.deepcopy(solved), []
    asked = told = False  # a prediction was asked for; what happens was told, in a fold
    for cell in notebook.cells:
        if is_prose(cell):
            asks, ends = asks_for_a_prediction(cell), re.search(r"^##", cell.source, re.M)
            cell.source = with_targets(folded(cell.source) if told else cell.source)
            asked, told = asks or asked and not told and not ends, False
        elif "answer" in tags(cell):
            cells.append(new_code_cell(stubs[cell.id], id=f"{cell.id}-stub"))
            fold(cell, "input", "Show a solution", "Hide the solution")
        elif asked and cell.outputs:
            fold(cell, "output", "Show what happens", "Hide what happens")
            told = True
        link_pages(cell)
        cells.append(cell)
    title, *rest = cells[0].source.split("\n", 1)
    cells[0].source = "\n".join([title, "", links(stem), *rest])
    notebook.cells = cells
    return notebook


def fold(cell: NotebookNode, part: str, show: str, hide: str) -> None:
    """Let MyST-NB put the cell's "input" or "output" into a `<details>`."""
    cell.metadata["tags"] = [*tags(cell), f"hide-{part}"]
    cell.metadata["mystnb"] = {"code_prompt_show": show, "code_prompt_hide": hide}


def folded(text: str) -> str:
    """Text whose first paragraph, which says what was to be seen, is folded away."""
    first, *rest = paragraphs(text)
    return text if first.startswith("#") else "\n\n".join([SEEN.format(first), *rest])


def with_targets(text: str) -> str:
    """Text in which each exercise can be linked to, as `#exercise-1.3`."""
    return EXERCISE.sub(lambda found: f"(exercise-{found['number']})=\n{found[0]}", text)


def links(stem: str) -> str:
    """What stands below a lesson's title."""
    notebook = f"{{download}}`Download the notebook <../notebooks/{stem}.ipynb>`"
    return f"{{.tools}}\n{notebook} [Known mistakes](../mistakes/{stem}.md)"


def link_pages(cell: NotebookNode) -> None:
    """Let links to notebooks in HTML outputs (the table of progress) lead to pages of the book."""
    for output in cell.get("outputs", []):
        if html := output.get("data", {}).get("text/html"):
            output.data["text/html"] = re.sub(r'href="(\w+)\.ipynb"', r'href="\1.html"', html)
