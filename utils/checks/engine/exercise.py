"""What a check does with an answer: judge it, name its mistake, show the outcome.

An exercise is data: an oracle that the world trusts, inputs on which it is compared, and a bank of
mistakes, each a wrong implementation with the hint that it deserves. An answer that fails is
compared with every wrong implementation; the one that it equals names the mistake.
"""

import ast
import functools
import inspect
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from utils.checks import panel, store
from utils.checks.engine.compare import (
    Raised,
    Tolerance,
    as_array,
    difference,
    is_tensor,
    largest_difference,
    like,
    show_call,
)
from utils.checks.engine.sandbox import TooSlow, call_with_limit, learners_line, quiet

Status = Literal["right", "not_written", "wrong", "raised"]


class CheckFailed(AssertionError):
    """Raised instead of going on when `COURSE_STRICT=1` and an answer is not right."""


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        status: right, not_written, wrong or raised.
        mistake: the name of the mistake, where it is a known one.
        message: one or two sentences for the learner; `code` stands in backticks.
        evidence: preformatted lines: the smallest case that differs, or the learner's own line.
        stand_in: right, yet the lesson cannot go on with it (a tensor where it needs an array).
    """

    status: Status
    mistake: str | None = None
    message: str = ""
    evidence: str = ""
    stand_in: bool = False


@dataclass(frozen=True)
class Mistake:
    """A mistake that learners make: its name, the hint it deserves, and code that makes it."""

    name: str
    hint: str
    mutant: Callable


class Case:
    """One call that an answer is tried on: `Case(q, k, label="square")`."""

    def __init__(self, *args: Any, label: str = "", **kwargs: Any) -> None:
        self.args, self.kwargs, self.label = args, kwargs, label


@dataclass(frozen=True)
class Lesson:
    """What the course's map says of a lesson; one in each `lessonNN` module."""

    number: str
    title: str
    notebook: str


def call(answer: Callable, *args: Any, **kwargs: Any) -> Any:
    """The default probe: call the answer."""
    return answer(*args, **kwargs)


@dataclass(eq=False)
class Exercise:
    """One exercise and its check. Calling it with an answer is what the learner's cell does.

    Attributes:
        number: as in the notebook: lesson, dot, place ("1.3").
        name: what the learner writes; with the lesson's number the key ("01.attention").
        oracle: the trusted implementation, with the signature of the answer. It stands in for
            an answer that is not right, so that the notebook runs on.
        compared_with: how the oracle is called in a message.
        cases: makes the inputs afresh; the first is the plain one on which every mistake that
            can be seen there is told from every other.
        mistakes: the bank.
        hints: shown one at a time by `hint`.
        probe: turns an answer and a case into something to compare (default: the call).
        tolerance: how far numbers may be apart.
        seconds: the time that an answer may take over all cases.
    """

    number: str
    name: str
    oracle: Callable
    compared_with: str
    cases: Callable[[], Sequence[Case]]
    mistakes: Sequence[Mistake]
    hints: Sequence[str]
    probe: Callable = call
    tolerance: Tolerance = field(default_factory=Tolerance)
    seconds: float = 10.0

    @property
    def lesson(self) -> str:
        """The lesson's number with two digits."""
        return f"{int(self.number.split('.')[0]):02d}"

    @property
    def key(self) -> str:
        """The name under which `judge` finds this exercise."""
        return f"{self.lesson}.{self.name}"

    def __call__(self, answer: Any) -> Any:
        """Show what the check says of an answer.

        Args:
            answer: the function or class that the learner wrote.

        Returns:
            The answer itself if it is right, otherwise the oracle, so that the lesson goes on.

        Raises:
            CheckFailed: the answer is not right and `COURSE_STRICT=1`.
        """
        if answer is self.oracle:
            outcome = Outcome(
                "not_written",
                message=f"`{self.name}` is the course's stand-in from an earlier check, not your "
                "answer. Run the cell with your answer again, then this one.",
            )
        else:
            outcome = self.judge(answer)
        strict = os.environ.get("COURSE_STRICT") == "1"
        panel.show(outcome_panel(self, outcome))
        if strict and outcome.status != "right":
            raise CheckFailed(f"{self.key}: {outcome.status}. {outcome.message}")
        if not strict and outcome.status != "not_written":
            store.record(self.key, outcome.status, outcome.mistake, _source(answer))
        goes_on = outcome.status == "right" and not outcome.stand_in
        return answer if goes_on else self.oracle

    def judge(self, answer: Any) -> Outcome:
        """What the check says of an answer, without showing or keeping it."""
        if not callable(answer):
            return Outcome(
                "wrong",
                "not_callable",
                f"The check wants `{self.name}` itself, and got a {type(answer).__name__}. "
                f"Pass the name without brackets or arguments.",
            )
        observed = self._observe(answer)
        return observed if isinstance(observed, Outcome) else self._verdict(observed)

    @functools.cached_property
    def expected(self) -> list[Any]:
        """The oracle's result for each case."""
        return self._results(self.oracle)

    def _results(self, implementation: Callable) -> list[Any]:
        """A trusted implementation's result, or what it raised, for each case."""
        results = []
        with quiet():
            for case in self.cases():
                try:
                    results.append(self.probe(implementation, *case.args, **case.kwargs))
                except Exception as error:
                    results.append(Raised(error))
        return results

    def _observe(self, answer: Callable) -> list[Any] | Outcome:
        """The answer's result for each case, or an outcome that needs no comparison."""
        cases, results = self.cases(), []

        def run() -> None:
            for case in cases:
                try:
                    results.append(self.probe(answer, *case.args, **case.kwargs))
                except Exception as error:
                    if type(error) is NotImplementedError and not str(error):
                        raise  # the stub; PyTorch raises the same type, with a message
                    results.append(Raised(error))

        with quiet() as printed:
            try:
                call_with_limit(run, self.seconds)
            except NotImplementedError:
                if _stub_left_behind(_source(answer)):
                    said = "There is code of yours, and `raise NotImplementedError` still stands "
                    return Outcome("not_written", message=said + "in it. Delete that line.")
                return Outcome("not_written", message="Not written yet.")
            except KeyboardInterrupt:
                raise
            except TooSlow:
                return Outcome(
                    "wrong",
                    "too_slow",
                    f"It had not returned after {self.seconds:.0f} seconds and was stopped. "
                    "Is there a loop whose condition never becomes false?",
                    f"calling {self.describe(len(results))}",
                )
            except BaseException as error:
                return Outcome(
                    "raised",
                    message="It tries to end Python itself.",
                    evidence=learners_line(error),
                )
        return self._manners(results, cases, printed.getvalue()) or results

    def _manners(self, results: list[Any], cases: Sequence[Case], printed: str) -> Outcome | None:
        """Mistakes that can be made in any exercise: returning nothing, harming the inputs."""
        if all(r is None for r in results) and any(e is not None for e in self.expected):
            if printed.strip():
                said = "It prints its result and returns `None`. Write `return` where it prints."
                return Outcome(
                    "wrong", "prints", said, f"it printed: {printed.strip().splitlines()[0][:120]}"
                )
            return Outcome("wrong", "returns_none", "It returns `None`: is the `return` missing?")
        exact = Tolerance(0.0, 0.0)
        for case, fresh in zip(cases, self.cases(), strict=True):
            given = zip(
                [*case.args, *case.kwargs.values()],
                [*fresh.args, *fresh.kwargs.values()],
                strict=True,
            )
            if any(_is_data(new) and difference(old, new, exact) for old, new in given):
                return Outcome(
                    "wrong",
                    "changes_input",
                    "It changes what it was given: whoever called it would find other numbers "
                    "afterwards. Make a new one (`x = x - m` in place of `x -= m`), or work on a "
                    "copy.",
                )
        return None

    def _verdict(self, results: list[Any]) -> Outcome:
        """Compare an answer's results with the oracle's, then with each mutant's."""
        differences = self._differences(results, self.expected)
        wrong = [i for i, said in enumerate(differences) if said]
        if not wrong:
            stand_in = self._tensors_for_arrays(results)
            return Outcome("right", message=self._right(results), stand_in=stand_in)
        if container := self._other_container(results):
            return container
        smallest_first = sorted(wrong, key=lambda i: _size(self.cases()[i]))
        if all(isinstance(result, Raised) for result in results):
            return self._raised(results, smallest_first[0])
        named = self._name_mistake(results, wrong)
        if named:
            return named
        for i in smallest_first:
            if isinstance(results[i], Raised):
                return self._raised(results, i)
        shown = smallest_first[0]
        return Outcome(
            "wrong",
            message="The result differs from "
            f"{self.compared_with} ({len(wrong)} of {len(results)} inputs). "
            "The smallest that differs:",
            evidence=f"{self.describe(shown)}\n{differences[shown]}",
        )

    def _right(self, results: list[Any]) -> str:
        largest = largest_difference(results, self.expected)
        found = f"max difference {largest:.0e}" if largest else "identical"
        said = f"Compared with {self.compared_with} on {len(results)} inputs: {found}."
        if self._tensors_for_arrays(results):
            said += (
                " It returns a torch tensor, and this lesson goes on in NumPy, with the course's "
                "own version: `.numpy()` at the end of yours lets it take part."
            )
        return said

    def _tensors_for_arrays(self, results: list[Any]) -> bool:
        pairs = zip(results, self.expected, strict=True)
        return any(is_tensor(r) and isinstance(e, np.ndarray) for r, e in pairs)

    def _other_container(self, results: list[Any]) -> Outcome | None:
        """The right numbers in a list, or in the other library's kind of array."""
        inside = [like(got, wanted) for got, wanted in zip(results, self.expected, strict=True)]
        if any(self._differences(inside, self.expected)):
            return None
        wanted = "np.array(...)"
        if any(map(is_tensor, self.expected)):
            wanted = "torch.tensor(...)` or `torch.stack(...)"
        elif any(isinstance(e, list) for e in self.expected):
            wanted = ".tolist()"
        got = next(r for r, i in zip(results, inside, strict=True) if r is not i)
        return Outcome(
            "wrong",
            "another_type",
            f"The numbers are right, but of type {type(got).__name__}, and the lesson cannot go on "
            f"with that: return what `{wanted}` makes of them.",
        )

    def _raised(self, results: list[Any], index: int) -> Outcome:
        return Outcome(
            "raised",
            message="It stops with an error. The smallest call that shows it, and your line:",
            evidence=f"{self.describe(index)}\n{learners_line(results[index].error)}",
        )

    def _name_mistake(self, results: list[Any], wrong: list[int]) -> Outcome | None:
        """The mistake whose mutant the answer equals: everywhere, or on part of what is wrong."""
        telling = [i for i in wrong if not isinstance(results[i], Raised)]
        partly: dict[str, list[int]] = {}
        for mistake in self.mistakes:
            theirs = self._mutant_results[mistake.name]
            agrees = [said is None for said in self._differences(results, theirs)]
            if all(agrees) and telling:
                return Outcome("wrong", mistake.name, mistake.hint)
            partly[mistake.name] = [i for i in telling if agrees[i] and _tells(self.expected[i])]
            if 0 in telling and not agrees[0]:  # on the plain inputs it is something else
                partly[mistake.name] = []
        best = max(partly, key=lambda name: len(partly[name]), default=None)
        if best is None or 2 * len(partly[best]) < len(wrong) or not partly[best]:
            return None
        if sum(len(cases) == len(partly[best]) for cases in partly.values()) > 1:
            return None
        hint = next(m.hint for m in self.mistakes if m.name == best)
        if len(partly[best]) == len(wrong):
            return Outcome("wrong", best, hint)
        some = f"(It fits {len(partly[best])} of {len(wrong)} inputs that come out wrong: there may"
        return Outcome("wrong", best, f"{hint} {some} be something else besides.)")

    @functools.cached_property
    def _mutant_results(self) -> dict[str, list[Any]]:
        return {mistake.name: self._results(mistake.mutant) for mistake in self.mistakes}

    def _differences(self, got: list[Any], expected: list[Any]) -> list[str | None]:
        pairs = zip(got, expected, strict=True)
        return [difference(g, e, self.tolerance) for g, e in pairs]

    def describe(self, index: int) -> str:
        """How case number `index` calls the answer, with small inputs written out."""
        case = self.cases()[index]
        if case.label:
            return case.label
        names = [*inspect.signature(self.oracle).parameters]
        given = [*zip(names, case.args, strict=False), *case.kwargs.items()]
        texts = [f"{name}={show_call(value)}" for name, value in given]
        line = f"{self.name}({', '.join(texts)})"
        if len(line) <= 80 and "\n" not in line:
            return line
        lines = [text.replace("\n", "\n" + " " * (text.find("[") + 4)) for text in texts]
        return f"{self.name}(\n    " + ",\n    ".join(lines) + ")"


def outcome_panel(exercise: Exercise, outcome: Outcome) -> panel.Panel:
    """The panel that shows an outcome."""
    title = {
        "right": "right",
        "not_written": "not written yet",
        "wrong": "not right yet",
        "raised": "stops with an error",
    }[outcome.status]
    if outcome.status == "wrong" and outcome.mistake:
        title += f" ({outcome.mistake.replace('_', ' ')})"
    message = outcome.message if outcome.message != "Not written yet." else ""
    if outcome.status == "not_written":
        message = message or "The lesson goes on with the course's own version until you write it."
    stuck = outcome.status in ("wrong", "raised")
    return panel.Panel(
        tone=outcome.status,
        title=f"{exercise.number} {exercise.name}: {title}",
        message=message,
        evidence=outcome.evidence,
        note=f'Stuck? `checks.hint("{exercise.number}")`. Below, `{exercise.name}` is the '
        "course's own version, until yours is right."
        if stuck
        else "",
    )


def _source(answer: Any) -> str:
    """The answer's source code, kept with the result so that it cannot be lost."""
    try:
        return inspect.getsource(answer)
    except (OSError, TypeError):
        return ""


def _stub_left_behind(source: str) -> bool:
    """True if a function holds `raise NotImplementedError` and other statements besides."""
    try:
        tree = ast.parse(textwrap.dedent(source))
    except SyntaxError:
        return False
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            body = [n for n in function.body if not _is_docstring(n)]
            stub = any("NotImplementedError" in ast.unparse(n) for n in body)
            if stub and len(body) > 1:
                return True
    return False


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _tells(expected: Any) -> bool:
    """True if two results cannot well be the same by chance: more than one yes, no or count."""
    array = as_array(expected)
    return array is None or array.dtype.kind == "f" or array.size > 2


def _is_data(value: Any) -> bool:
    """True for what can be compared, so that a change in it can be seen: no functions, models."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return all(_is_data(item) for item in value)
    return as_array(value) is not None or isinstance(value, str | set)


def _size(case: Case) -> int:
    """How many numbers a case hands over (to find the smallest)."""
    total = 0
    for value in [*case.args, *case.kwargs.values()]:
        array = as_array(value)
        total += array.size if array is not None else len(str(value))
    return total
