"""An exercise as data: an oracle that the world trusts, inputs, and a bank of mistakes.

Calling an exercise is what the learner's check cell does; `judge` is the same without showing or
keeping anything. How an answer is watched stands in `observing`, how its mistake is found in
`naming`, how both are put into words in `wording`.
"""

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from utils.checks import panel, store
from utils.checks.engine import naming, observing, wording
from utils.checks.engine.compare import Tolerance
from utils.checks.engine.outcome import Outcome
from utils.checks.engine.sandbox import own_session


class CheckFailed(AssertionError):
    """Raised instead of going on when `COURSE_STRICT=1` and an answer is not right."""


@dataclass(frozen=True)
class Mistake:
    """A mistake that learners make: its name, the hint it deserves, and code that makes it."""

    name: str
    hint: str
    mutant: Callable


def _own(value: Any) -> Any:
    """A copy of lists, dicts and sets: what one answer changes in them, no other finds."""
    if type(value) in (list, tuple, set):
        return type(value)(map(_own, value))
    return {key: _own(item) for key, item in value.items()} if type(value) is dict else value


class Case:
    """One call that an answer is tried on: `Case(q, k, label="square")`.

    `raises` is the type of error that the task demands for these inputs; everywhere else the oracle
    must return something (a test holds it: or an answer that fails in the same way would pass).
    """

    def __init__(
        self, *args: Any, label: str = "", raises: type[Exception] | None = None, **kwargs: Any
    ) -> None:
        self.args, self.kwargs = tuple(map(_own, args)), _own(kwargs)
        self.label, self.raises = label, raises

    @property
    def given(self) -> list[Any]:
        """Everything that is handed over."""
        return [*self.args, *self.kwargs.values()]


@dataclass(frozen=True)
class Lesson:
    """What the course's map says of a lesson; one in each `lessonNN` package."""

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
        seconds: the CPU time that an answer may take over all cases.
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

    @functools.cached_property
    def expected(self) -> list[Any]:
        """The oracle's result for each case."""
        return own_session(lambda: observing.trusted(self, self.oracle, self.cases()))

    @functools.cached_property
    def mutant_results(self) -> dict[str, list[Any]]:
        """Each mistake's result for each case."""
        return own_session(
            lambda: {
                mistake.name: observing.trusted(self, mistake.mutant, self.cases())
                for mistake in self.mistakes
            }
        )

    def judge(self, answer: Any) -> Outcome:
        """What the check says of an answer, without showing or keeping it."""
        answer = observing.unwrapped(answer)
        if not callable(answer):
            return Outcome(
                "wrong",
                "not_callable",
                f"The check wants `{self.name}` itself, and got a {type(answer).__name__}. "
                f"Pass the name without brackets or arguments.",
            )

        def look() -> Outcome:
            observed = observing.observe(self, answer)
            if isinstance(observed, Outcome):
                return observed
            outcome = naming.verdict(self, observed)
            if outcome.status == "right":
                return observing.later_calls(self, answer) or outcome
            return outcome

        return own_session(look)

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
        panel.show(wording.outcome_panel(self, outcome))
        if strict and outcome.status != "right":
            raise CheckFailed(f"{self.key}: {outcome.status}. {outcome.message}")
        if not strict and outcome.status != "not_written":
            store.record(self.key, outcome.status, outcome.mistake, wording.source(answer))
        goes_on = outcome.status == "right" and not outcome.stand_in
        return answer if goes_on else self.oracle
