"""Checks: each lesson's exercises, and what can be asked about them.

`judge` and `catalogue` are for tests and for whoever grades; `hint` and `progress` for learners.
"""

import importlib
import pkgutil
from collections.abc import Callable
from html import escape

from utils.checks import remembered, store
from utils.checks.engine.exercise import CheckFailed, Exercise, Lesson
from utils.checks.engine.outcome import Outcome
from utils.checks.engine.wording import outcome_panel
from utils.checks.panel import Panel, printable, show

__all__ = [
    "CheckFailed",
    "Outcome",
    "catalogue",
    "hint",
    "inputs",
    "judge",
    "lessons",
    "preview",
    "progress",
    "recall",
    "solution",
]

_hints_shown: dict[str, int] = {}


def _modules() -> list:
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name.startswith("lesson"))
    return [importlib.import_module(f"utils.checks.{name}") for name in names]


def lessons() -> list[Lesson]:
    """Every lesson of the course, in order."""
    return [module.LESSON for module in _modules()]


def catalogue() -> list[Exercise]:
    """Every exercise in the order of the course, with its key, number, oracle and mistakes."""
    found = [e for module in _modules() for e in vars(module).values() if isinstance(e, Exercise)]
    return sorted(found, key=lambda e: [int(part) for part in e.number.split(".")])


def _find(name: str) -> Exercise:
    """The exercise with this key ("01.attention"), number ("1.3") or, if only one has it, name.

    Raises:
        KeyError: there is none; the message lists those there are.
    """
    exercises = catalogue()
    for exercise in exercises:
        if name in (exercise.key, exercise.number):
            return exercise
    if len(named := [e for e in exercises if e.name == name]) == 1:
        return named[0]
    known = ", ".join(f"{e.number} ({e.key})" for e in exercises)
    raise KeyError(f"There is no exercise {name!r}. There are: {known}.")


def judge(key: str, answer: object) -> Outcome:
    """What the check of an exercise says of an answer: silent, and nothing is kept.

    Args:
        key: "01.attention", or the number "1.3".
        answer: a function or class.

    Raises:
        KeyError: no exercise has this key.
    """
    return _find(key).judge(answer)


def preview(key: str, answer: object) -> None:
    """Show what the check would say of an answer; nothing is kept and strict mode is not asked."""
    exercise = _find(key)
    show(outcome_panel(exercise, exercise.judge(answer), preview=True))


def inputs(number: str, index: int) -> tuple:
    """The inputs of one case of an exercise, as a check's message names them.

    Args:
        number: the exercise ("1.4").
        index: which of its cases, counted from 0.

    Raises:
        KeyError: no exercise has this number.
        IndexError: the exercise has fewer cases.
    """
    return _find(number).cases()[index].args


def hint(number: str) -> None:
    """Show the next hint for an exercise ("1.3"); after the last, begin again."""
    try:
        exercise = _find(str(number))
    except KeyError as error:
        show(Panel("hint", "No such exercise", error.args[0]))
        return
    shown = _hints_shown.get(exercise.key, 0) % len(exercise.hints)
    _hints_shown[exercise.key] = shown + 1
    title = f"{exercise.number} {exercise.name}: hint {shown + 1} of {len(exercise.hints)}"
    show(Panel("hint", title, exercise.hints[shown]))


def solution(number: str) -> None:
    """Show the solution of an exercise ("1.3"), folded; that it was shown is kept."""

    def found(e: Exercise) -> remembered.Folded | Panel:
        answer = remembered.solution(e.lesson, e.number, e.name)
        if isinstance(answer, remembered.Folded):
            remembered.seen(e.key)
        return answer

    _show(number, found)


def recall(number: str) -> None:
    """Show the last answers to an exercise ("1.3") that were checked: they are kept for you."""
    _show(number, lambda e: remembered.recall(e.key, e.number, e.name))


def _show(number: str, what: Callable) -> None:
    try:
        show(what(_find(str(number))))
    except KeyError as error:
        show(Panel("hint", "No such exercise", error.args[0]))


class Progress:
    """The way through the course, as a table in a notebook and as lines of text elsewhere."""

    _SYMBOL = {"right": "✓", "wrong": "◐", "raised": "◐"}

    def __init__(self) -> None:
        best, helped = store.results(), remembered.shown()
        self.rows = []
        for lesson in lessons():
            own = [e for e in catalogue() if e.lesson == lesson.number]
            marks = [(e, self._symbol(best.get(e.key, ""), e.key in helped)) for e in own]
            self.rows.append((lesson, marks))

    def _symbol(self, status: str, helped: bool) -> str:
        return "☑" if status == "right" and helped else self._SYMBOL.get(status, "○")

    def __repr__(self) -> str:
        lines = ["✓ right   ☑ right, the solution seen before   ◐ tried   ○ not yet"]
        for lesson, marks in self.rows:
            symbols = "".join(symbol for _, symbol in marks)
            done = f"{symbols.count('✓') + symbols.count('☑')}/{len(marks)}"
            lines.append(f"{lesson.number}  {lesson.title:<36} {symbols:<10} {done}")
        return printable("\n".join(lines))

    def _repr_html_(self) -> str:
        rows = []
        for lesson, marks in self.rows:
            cells = " ".join(
                f'<span style="white-space:nowrap">{symbol} {escape(e.name)}</span>'
                for e, symbol in marks
            )
            done = sum(symbol in "✓☑" for _, symbol in marks)
            rows.append(
                f'<tr><td style="text-align:left"><a href="{lesson.notebook}.ipynb">'
                f"{lesson.number} {escape(lesson.title)}</a></td>"
                f'<td style="text-align:left">{cells}</td><td>{done}/{len(marks)}</td></tr>'
            )
        left = '<th style="text-align:left">'
        legend = "✓ right &nbsp; ☑ right, the solution seen before &nbsp; ◐ tried &nbsp; ○ not yet"
        head = f"<tr>{left}Lesson</th>{left}{legend}</th><th></th></tr>"
        return f"<table>{head}{''.join(rows)}</table>"


def progress() -> Progress:
    """The way through the course: what is right, what was tried, what is still to come."""
    return Progress()
