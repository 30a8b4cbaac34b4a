"""Compare what an answer returned with the oracle, and find the mistake that explains it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from utils.checks.engine import wording
from utils.checks.engine.compare import (
    Raised,
    Seen,
    as_array,
    difference,
    is_tensor,
    largest_difference,
    like,
)
from utils.checks.engine.outcome import Outcome
from utils.checks.engine.sandbox import learners_line

if TYPE_CHECKING:
    from utils.checks.engine.exercise import Exercise


def verdict(exercise: "Exercise", results: list[Any]) -> Outcome:
    """Compare an answer's results with the oracle's, then with each mutant's."""
    differences = _differences(exercise, results, exercise.expected)
    wrong = [i for i, said in enumerate(differences) if said]
    if not wrong:
        tensors = _tensors_for_arrays(exercise, results)
        return Outcome("right", message=_right(exercise, results, tensors), stand_in=tensors)
    if mistake := _explaining_everything(exercise, results, wrong):
        return Outcome("wrong", mistake.name, mistake.hint)
    if container := _other_container(exercise, results):
        return container
    cases = exercise.cases()
    smallest_first = sorted(wrong, key=lambda i: size(cases[i]))
    # a call that should go through tells more than one that should be refused
    calls_first = sorted(smallest_first, key=lambda i: isinstance(exercise.expected[i], Raised))
    if all(isinstance(result, Raised) for result in results):
        return _raised(exercise, results, calls_first[0])
    if stale := _stale(exercise, results, wrong):
        return wording.result_of_before(exercise, *stale)
    raised = next((i for i in calls_first if isinstance(results[i], Raised)), None)
    perhaps = _explaining_a_part(exercise, results, wrong)
    if raised is not None and not perhaps:
        return _raised(exercise, results, raised)
    shown = smallest_first[0]
    if _results_alone_are_right(exercise, results, wrong) and (
        outcome := wording.beside_the_result(exercise, shown, results[shown], differences)
    ):
        return outcome
    difference_said = wording.with_names(exercise, differences[shown])
    evidence = f"{wording.describe(exercise, shown)}\n{difference_said}"
    if perhaps:
        mistake, explained = perhaps
        part = f"{explained} of the {len(wrong)} inputs that come out wrong"
        if explained == len(wrong):
            part = "the inputs that come out wrong, though not those that come out right"
        said = f"*Perhaps* this is it, for it explains {part}: {mistake.hint} The smallest that "
        said += "differs:"
        return Outcome("wrong", message=said, evidence=evidence)
    said = f"The result differs from {exercise.compared_with} ({len(wrong)} of {len(results)} "
    return Outcome("wrong", message=f"{said}inputs). The smallest that differs:", evidence=evidence)


def _right(exercise: "Exercise", results: list[Any], tensors: bool) -> str:
    largest = largest_difference(results, exercise.expected)
    found = f"max difference {largest:.0e}" if largest else "identical"
    said = f"Compared with {exercise.compared_with} on {len(results)} inputs: {found}."
    if tensors:
        said += (
            " It returns a torch tensor, and this lesson goes on in NumPy, with the course's "
            "own version: `.numpy()` at the end of yours lets it take part."
        )
    return said


def _tensors_for_arrays(exercise: "Exercise", results: list[Any]) -> bool:
    pairs = zip(results, exercise.expected, strict=True)
    return any(is_tensor(r) and isinstance(e, np.ndarray) for r, e in pairs)


def _other_container(exercise: "Exercise", results: list[Any]) -> Outcome | None:
    """The right numbers in a list, or in the other library's kind of array."""
    plain = [
        e.get("result", e) if isinstance(e, Seen) and not isinstance(r, Seen) else e
        for r, e in zip(results, exercise.expected, strict=True)
    ]
    inside = [like(got, wanted) for got, wanted in zip(results, plain, strict=True)]
    if any(_differences(exercise, inside, plain)):
        return None
    got = next((r for r, i in zip(results, inside, strict=True) if r is not i), None)
    if got is None:
        return None
    wanted = "np.array(...)"
    if any(map(is_tensor, plain)):
        wanted = "torch.tensor(...)` or `torch.stack(...)"
    elif any(isinstance(e, list) for e in plain):
        wanted = "list(...)" if isinstance(got, tuple) else ".tolist()"
    return Outcome(
        "wrong",
        "another_type",
        f"The numbers are right, but of type {type(got).__name__}, and the lesson cannot go on "
        f"with that: return what `{wanted}` makes of them.",
    )


def _raised(exercise: "Exercise", results: list[Any], index: int) -> Outcome:
    error = results[index].error
    said = "It stops with an error. The smallest call that shows it, and your line:"
    wanted = exercise.expected[index]
    if isinstance(wanted, Raised):
        kind = type(wanted.error)
        whose = "with a sentence of yours" if kind is ValueError else "(Python's own)"
        said = f"A `{kind.__name__}` {whose} is asked for here, and "
        unsaid = isinstance(error.__cause__, kind)  # `with_sentence` found the right one, but mute
        said += "yours has no sentence" if unsaid else "it stops with another error"
        said += ". The smallest call that shows it, and your line:"
    elif not learners_line(error).startswith("line ") and not isinstance(error, TypeError):
        said = "It runs, but what it returns cannot be used. The smallest call that shows it:"
    evidence = f"{wording.describe(exercise, index)}\n{learners_line(error)}"
    return Outcome("raised", message=said, evidence=evidence)


def _explaining_everything(exercise: "Exercise", results: list[Any], wrong: list[int]):
    """The mistake whose mutant gives the answer's result for *every* input, right or wrong."""
    by_errors_alone = all(isinstance(results[i], Raised) for i in wrong)
    for mistake in exercise.mistakes:
        theirs = exercise.mutant_results[mistake.name]
        if any(_differences(exercise, results, theirs)):
            continue
        # many mistakes end in the same type of error: then its words must be the same as well
        if not by_errors_alone or all(str(results[i]) == str(theirs[i]) for i in wrong):
            return mistake
    return None


def _explaining_a_part(exercise: "Exercise", results: list[Any], wrong: list[int]):
    """The mistake that explains most of the wrong inputs, two and half of them at least.

    Returns:
        The mistake and how many inputs it explains; None if there is none, or two are as good.
    """
    explained = {}
    for mistake in exercise.mistakes:
        theirs = exercise.mutant_results[mistake.name]
        agrees = [said is None for said in _differences(exercise, results, theirs)]
        if 0 in wrong and not agrees[0]:  # on the plain inputs it is something else
            continue
        explained[mistake.name] = sum(
            agrees[i] and not isinstance(results[i], Raised) and _tells(exercise.expected[i])
            for i in wrong
        )
    most = max(explained.values(), default=0)
    best = [m for m in exercise.mistakes if explained.get(m.name) == most]
    return (best[0], most) if most >= 2 and 2 * most >= len(wrong) and len(best) == 1 else None


def _results_alone_are_right(exercise: "Exercise", results: list[Any], wrong: list[int]) -> bool:
    """True if a probe has seen something besides, and the results themselves are right."""
    return all(
        isinstance(results[i], Seen)
        and isinstance(exercise.expected[i], Seen)
        and not difference(
            results[i]["result"], exercise.expected[i].get("result"), exercise.tolerance
        )
        for i in wrong
        if not isinstance(results[i], Seen) or "result" in results[i]
    )


def _plain(result: Any) -> Any:
    """A result without what a probe has seen besides."""
    return result.get("result") if isinstance(result, Seen) else result


def _stale(exercise: "Exercise", results: list[Any], wrong: list[int]) -> tuple[int, int] | None:
    """(earlier, later): the later input got the earlier one's result, as all wrong ones did."""
    found, expected = [], [_plain(result) for result in exercise.expected]
    for i in wrong:
        got = _plain(results[i])
        if isinstance(got, Raised) or isinstance(expected[i], Raised):
            return None
        if not (_tells(expected[i]) and _tells(got)):
            return None
        same = [not difference(got, earlier, exercise.tolerance) for earlier in expected[:i]]
        if not any(same) or not difference(got, expected[i], exercise.tolerance):
            return None
        found.append((same.index(True), i))
    number = as_array(expected[found[0][1]])
    alone = len(found) == 1 and number is not None and number.size == 1
    return None if alone else found[0]  # one single number may be the same by chance


def _differences(exercise: "Exercise", got: list[Any], expected: list[Any]) -> list[str | None]:
    pairs = zip(got, expected, strict=True)
    return [difference(g, e, exercise.tolerance) for g, e in pairs]


def _tells(expected: Any) -> bool:
    """True if two results cannot well be the same by chance.

    A few counts can, and a 0 or a 1 alone or in a list: what a constant answer gives.
    """
    if isinstance(expected, list):
        return not all(isinstance(x, int) and x in (0, 1) for x in expected)
    array = as_array(expected)
    if array is None or array.size > 2:
        return True
    return array.dtype.kind == "f" and not (array.size == 1 and array.item() in (0, 1))


def size(case: Any) -> int:
    """How many numbers a case hands over (to find the smallest)."""
    total = 0
    for value in case.given:
        array = as_array(value)
        total += array.size if array is not None else len(str(value))
    return total
