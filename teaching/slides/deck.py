"""Slides from a lesson, by rule: no slide is made by hand, and no lesson holds marks for them.

A heading begins a slide and each further code cell another, below it. Shown are the first sentence
under a heading, formulas, lists and tables with the words that lead to them, tasks and questions
("Predict"); other prose becomes speaker notes. What comes out after a question waits for the next
key, a solution for a click.
"""

import re
from collections.abc import Mapping

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from teaching.lessons import EXERCISE, is_prose, paragraphs, tags

SHOWN = re.compile(r"\$\$|- |\d+\. |\||```|>|!\[|\*\*Needs")
SENTENCE = re.compile(r".+?(?<!et al)(?<!e\.g)(?<!i\.e)[.?!:][*\")]*(?=\s+[^a-z\s]|$)", re.DOTALL)


class Deck:
    """Collects a lesson's cells as nbconvert's slides exporter wants them."""

    def __init__(self, stubs: Mapping[str, str]) -> None:
        """Begin with no slide.

        Args:
            stubs: the source of each cell of the learner's notebook, by the cell's id.
        """
        self.stubs = stubs
        self.cells: list[NotebookNode] = []
        self.section = ""  # the heading that the slides below it repeat
        self.heading = self.task = self.full = False
        self.asked = self.told = False  # a prediction was asked for; what happens was told

    def add(self, cell: NotebookNode, kind: str = "-") -> None:
        """Put a cell on the slide, or begin a slide with it ("slide", "subslide"; or "notes")."""
        cell.metadata["slideshow"] = {"slide_type": kind}
        self.cells.append(cell)

    def make_room(self) -> None:
        """Begin a slide below, unless there is nothing yet below this one's heading and words."""
        if self.full:
            self.add(new_markdown_cell(f'<p class="section">{self.section}</p>'), "subslide")
            self.full = False

    def prose(self, text: str) -> None:
        """Divide a text between the slide and its notes."""
        self.asked, self.told = self.asked and not self.told, False
        blocks = paragraphs(text)
        for block, following in zip(blocks, [*blocks[1:], ""], strict=True):
            if found := re.match(r"(##?#?) +(.+)", block):
                below = "-" if self.heading else "subslide"  # no slide with a heading alone
                self.add(new_markdown_cell(block), below if found[1] == "###" else "slide")
                self.task = bool(EXERCISE.match(block))
                self.section = self.section if self.task else re.sub(r"[`*]", "", found[2])
                self.heading, self.asked, self.full = True, False, False
                continue
            if "**Predict" in block:
                self.make_room()
                self.add(new_markdown_cell(block[block.index("**Predict") :]))
                self.asked = True
            elif self.task or SHOWN.match(block):
                self.make_room()
                self.add(new_markdown_cell(block))
            elif sentences := [found[0].strip() for found in SENTENCE.finditer(block)]:
                leads = block.endswith(":") and bool(SHOWN.match(following))
                said = sentences[:1] * self.heading + sentences[-1:] * leads
                if said:
                    self.make_room()
                    self.add(new_markdown_cell(" ".join(dict.fromkeys(said))))
            if not self.task:
                self.add(new_markdown_cell(block), "notes")
            self.heading = False

    def code(self, cell: NotebookNode) -> None:
        """Put a code cell on a slide of its own, or below a heading, its words or a question.

        Of a cell that shows a picture only the picture is shown.
        """
        self.make_room()
        if "answer" in tags(cell):
            cell.metadata["solution"], cell.source = cell.source, self.stubs[cell.id]
            cell.outputs = []
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            cell.metadata["transient"] = {"remove_source": True}
        cell.metadata["later"] = self.asked and bool(cell.outputs)
        self.told |= cell.metadata["later"]
        self.add(cell)
        self.task, self.heading, self.full = False, False, True


def deck(notebook: NotebookNode, stubs: Mapping[str, str]) -> NotebookNode:
    """The lesson as a notebook for nbconvert's slides exporter. It is changed in place.

    Left out are the first cell of code (imports), the checks, and the table of progress.

    Args:
        notebook: the notebook from solutions/.
        stubs: the source of each cell of the learner's notebook, by the cell's id.
    """
    made = Deck(stubs)
    imports = next(cell for cell in notebook.cells if not is_prose(cell))
    for cell in notebook.cells:
        left_out = cell is imports or "check" in tags(cell) or cell.source == "checks.progress()"
        if is_prose(cell):
            made.prose(cell.source)
        elif not left_out:
            made.code(cell)
    notebook.cells = made.cells
    return notebook
