"""What a learner may ask to see again: an exercise's solution, and their own last answers."""

import html
import re
from dataclasses import dataclass
from pathlib import Path

from utils.checks import store
from utils.checks.panel import Panel, printable

SOLUTIONS = Path(__file__).parents[2] / "solutions"
_MARKS = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.M)


@dataclass(frozen=True)
class Folded:
    """Python code under a line that has to be opened in a notebook; plain text elsewhere."""

    title: str
    code: str

    def __repr__(self) -> str:
        return printable(f"{self.title}\n\n{self.code}")

    def _repr_html_(self) -> str:
        code = html.escape(self.code, quote=False)
        return (
            f"<details><summary>{html.escape(self.title, quote=False)}</summary>"
            f'<pre style="margin:6px 0 0;padding:0;background:none;color:inherit">{code}</pre>'
            "</details>"
        )


def solution(lesson: str, number: str, name: str) -> Folded | Panel:
    """The answer cell of an exercise, as it stands in the lesson's source.

    Args:
        lesson: two digits.
        number: the exercise's ("1.3").
        name: what is written in it.
    """
    for source in sorted(SOLUTIONS.glob(f"{lesson}_*.py")):
        cells = re.split(r"^# %%", source.read_text("utf-8"), flags=re.M)
        for cell in cells:
            head, _, code = cell.partition("\n")
            if '"answer"' in head and re.search(rf"^(def|class) {re.escape(name)}\b", code, re.M):
                return Folded(f"{number} {name}: the solution", _MARKS.sub("", code).strip())
    said = f"`solutions/{lesson}_….py` is not here: the solutions are in the course's repository."
    return Panel("hint", f"{number} {name}: no solution found", said)


def recall(key: str, number: str, name: str, n: int = 3) -> Folded | Panel:
    """The last different answers to an exercise that were checked, the newest first.

    Args:
        key: of the exercise ("01.attention").
        number: the exercise's ("1.4").
        name: what is written in it.
        n: how many, at most.
    """
    found: dict[str, str] = {}  # source -> heading; a later check of the same answer moves it on
    for entry in store.entries():
        if entry["key"] == key and isinstance(entry.get("source"), str) and entry["source"]:
            found.pop(entry["source"], None)
            found[entry["source"]] = f"# {entry.get('time', '')}: {entry['status']}"
    if not found:
        said = f"No answer to it has been checked yet; answers are kept in {store.folder()}."
        return Panel("hint", f"{number} {name}: nothing kept", said)
    newest = list(found.items())[: -n - 1 : -1]
    code = "\n\n".join(f"{heading}\n{source.strip()}" for source, heading in newest)
    return Folded(f"{number} {name}: your last answers", code)


def seen(key: str) -> None:
    """Keep that the solution of an exercise was shown."""
    store.record(key, "shown", None, "")


def shown() -> set[str]:
    """Keys of the exercises whose solution was shown before they were right."""
    right, found = set(), set()
    for entry in store.entries():
        if entry["status"] == "right":
            right.add(entry["key"])
        elif entry["status"] == "shown" and entry["key"] not in right:
            found.add(entry["key"])
    return found
