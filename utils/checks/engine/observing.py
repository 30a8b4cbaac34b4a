"""Watch an answer: call it on every case, see what it does besides, and call it again."""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from utils.checks.engine import wording
from utils.checks.engine.compare import (
    ChangesInput,
    Raised,
    Tolerance,
    as_array,
    difference,
)
from utils.checks.engine.inputs import other_numbers
from utils.checks.engine.outcome import Outcome
from utils.checks.engine.sandbox import (
    TooSlow,
    call_with_limit,
    ends_python,
    learners_line,
    quiet,
    reseed,
)

if TYPE_CHECKING:
    from utils.checks.engine.exercise import Case, Exercise

EXACT = Tolerance(0.0, 0.0)


def unwrapped(answer: Any) -> Any:
    """The answer itself, where `torch.compile` has wrapped it (compiling takes a minute)."""
    for name in "_torchdynamo_orig_callable", "_orig_mod":
        inside = vars(answer).get(name) if hasattr(answer, "__dict__") else None
        inside = inside or (getattr(answer, name, None) if is_compiled(answer) else None)
        if inside is not None:
            return inside
    return answer


def is_compiled(answer: Any) -> bool:
    """True for a module that `torch.compile` has wrapped (without importing torch)."""
    return type(answer).__name__ == "OptimizedModule"


def trusted(exercise: "Exercise", implementation: Callable, cases: Sequence["Case"]) -> list[Any]:
    """What an oracle or a mutant returns, or raises, for each case."""
    results = []
    with quiet():
        for case in cases:
            reseed()
            try:
                results.append(exercise.probe(implementation, *case.args, **case.kwargs))
            except Exception as error:
                results.append(Raised(error))
    return results


def observe(exercise: "Exercise", answer: Callable) -> list[Any] | Outcome:
    """The answer's result for each case, or an outcome that needs no comparison."""
    cases = exercise.cases()
    results: list[Any] = []
    with quiet() as printed:
        try:
            call_with_limit(lambda: _run(exercise, answer, cases, results), exercise.seconds)
        except NotImplementedError:
            if wording.stub_left_behind(wording.source(answer)):
                said = "There is code of yours, and `raise NotImplementedError` still stands in it."
                return Outcome("not_written", message=f"{said} Delete that line.")
            return Outcome("not_written", message="Not written yet.")
        except TooSlow:
            return _too_slow(exercise, len(results))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if ends_python(error):
                said = "It tries to end Python itself."
            else:
                said = "It raises something that only Python itself should raise."
            return Outcome("raised", message=said, evidence=learners_line(error))
    return _manners(exercise, results, cases, printed.getvalue()) or results


def _run(exercise: "Exercise", answer: Callable, cases: Sequence["Case"], results: list) -> None:
    for case in cases:
        reseed()
        try:
            results.append(exercise.probe(answer, *case.args, **case.kwargs))
        except Exception as error:
            if type(error) is NotImplementedError and not str(error):
                raise  # the stub; PyTorch raises the same type, with a message
            results.append(Raised(error))


def later_calls(exercise: "Exercise", answer: Callable) -> Outcome | None:
    """Call an answer that was right so far again: other numbers of the same shapes, then the first.

    Returns:
        None if it is still right; an outcome if it keeps something from one call to the next.
    """
    results = later_results(exercise, answer)
    return results if isinstance(results, Outcome) else later_verdict(exercise, results)


def later_results(exercise: "Exercise", answer: Callable) -> list[Any] | Outcome:
    """What an answer gives for other numbers, and then for the first case again."""
    _, cases = _other_cases(exercise)
    results: list[Any] = []
    with other_numbers(), quiet():  # probes draw weights from the same numbers
        try:
            call_with_limit(lambda: _run(exercise, answer, cases, results), exercise.seconds)
        except TooSlow:
            return _too_slow(exercise, 0)
    with quiet():
        first = [exercise.cases()[0]]
        call_with_limit(lambda: _run(exercise, answer, first, results), exercise.seconds)
    return results


def later_verdict(exercise: "Exercise", results: list[Any]) -> Outcome | None:
    """What `later_results` say: None if all are right."""
    changed, cases = _other_cases(exercise)
    with other_numbers():
        expected = trusted(exercise, exercise.oracle, cases)
    expected.append(exercise.expected[0])
    for place, (got, wanted) in enumerate(zip(results, expected, strict=True)):
        said = difference(got, wanted, exercise.tolerance)
        if said:
            index = changed[place] if place < len(changed) else 0
            return wording.keeps_state(exercise, index, said)
    return None


def _other_cases(exercise: "Exercise") -> tuple[list[int], list["Case"]]:
    """The cases that have other numbers inside `other_numbers`, and their places."""
    first = exercise.cases()
    with other_numbers():
        other = exercise.cases()
    changed = [i for i, case in enumerate(other) if _differs(case, first[i])]
    return changed, [other[i] for i in changed]


def _differs(case: "Case", other: "Case") -> bool:
    pairs = zip(case.given, other.given, strict=True)
    return any(is_data(a) and difference(a, b, EXACT) for a, b in pairs)


def _too_slow(exercise: "Exercise", place: int) -> Outcome:
    return Outcome(
        "wrong",
        "too_slow",
        f"It had not returned after {exercise.seconds:.0f} seconds of computing and was stopped. "
        "Is there a loop whose condition never becomes false?",
        f"calling {wording.describe(exercise, place)}",
    )


def _manners(
    exercise: "Exercise", results: list[Any], cases: Sequence["Case"], printed: str
) -> Outcome | None:
    """Mistakes that can be made in any exercise: returning nothing, harming the inputs."""
    if strange := _kind_of_function(results, exercise.expected):
        return strange
    pairs = zip(results, exercise.expected, strict=True)
    asked = [(r, e) for r, e in pairs if not isinstance(e, Raised)]  # refusals tell nothing here
    if all(r is None for r, _ in asked) and any(e is not None for _, e in asked):
        if printed.strip():
            said = "It prints its result and returns `None`. Write `return` where it prints."
            return Outcome(
                "wrong", "prints", said, f"it printed: {printed.strip().splitlines()[0][:120]}"
            )
        return Outcome("wrong", "returns_none", "It returns `None`: is the `return` missing?")
    harmed = any(isinstance(r, Raised) and _is_about_inputs(r.error) for r in results)
    for case, fresh in zip(cases, exercise.cases(), strict=True):
        harmed |= _differs(case, fresh)
    if harmed:
        return Outcome(
            "wrong",
            "changes_input",
            "It changes what it was given: whoever called it would find something else in it "
            "afterwards. Make a new one (`x = x - m` in place of `x -= m`, `a + [b]` in place of "
            "`a.append(b)`), or work on a copy.",
        )
    return None


def _is_about_inputs(error: BaseException) -> bool:
    """True for autograd's complaint about a leaf, and for what a probe found itself."""
    return isinstance(error, ChangesInput) or "leaf Variable" in str(error)


def _kind_of_function(results: list[Any], expected: list[Any]) -> Outcome | None:
    """`yield` for `return`, and `async`: what comes back is neither the result nor an error."""
    coroutines = [r for r in results if inspect.iscoroutine(r)]
    for coroutine in coroutines:
        coroutine.close()  # or Python warns that nobody awaited it
    if coroutines:
        return Outcome(
            "wrong",
            "async_function",
            "It is an `async` function: a call only makes a coroutine, and nothing is computed. "
            "Write `def` without `async`.",
        )
    wanted = any(inspect.isgenerator(e) for e in expected)
    if not wanted and any(map(inspect.isgenerator, results)):
        return Outcome(
            "wrong",
            "generator",
            "What comes back is a generator: is there a `yield` in place of `return`, or round "
            "brackets around a `for`? Return the finished result.",
        )
    return None


def is_data(value: Any) -> bool:
    """True for what can be compared, so that a change in it can be seen: no functions, models."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return all(is_data(item) for item in value)
    return as_array(value) is not None or isinstance(value, str | set)
