"""Put into words what was found: the call, the source, the panel."""

import ast
import inspect
import linecache
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.checks import panel
from utils.checks.engine.compare import (
    Seen,
    as_array,
    differing_parts,
    show_call,
    written_out,
)
from utils.checks.engine.outcome import Outcome
from utils.checks.engine.probes import CHANGED_IN_PLACE, TRAINING_MODE

if TYPE_CHECKING:
    from utils.checks.engine.exercise import Exercise

STATE = (
    "Something is kept from one call to the next (in `self`, in a global name, in a default "
    "argument, in a cache), and a later call finds it in place of its own inputs. Compute "
    "everything from what this call was given."
)


def describe(exercise: "Exercise", index: int) -> str:
    """How case number `index` calls the answer: as Python that can be pasted, where it can be."""
    case = exercise.cases()[index]
    names = [*inspect.signature(exercise.oracle).parameters]
    given = [*zip(names, case.args, strict=False), *case.kwargs.items()]
    if case.label:
        line = case.label
    else:
        texts = [f"{name}={show_call(value)}" for name, value in given]
        line = f"{exercise.name}({', '.join(texts)})"
        if len(line) > 80 or "\n" in line:
            lines = [text.replace("\n", "\n" + " " * (text.find("[") + 4)) for text in texts]
            line = f"{exercise.name}(\n    " + ",\n    ".join(lines) + ")"
    whole = not case.label and all(written_out(value) for value in case.given)
    if whole or not _takes(exercise.oracle, case):
        return line
    kept = f'checks.inputs("{exercise.number}", {index})'
    return f"{line}\n# the same inputs: {exercise.name}(*{kept})"


def _takes(oracle: Any, case: Any) -> bool:
    """True if a case's inputs are just what the answer itself is called with."""
    if isinstance(oracle, type) or case.kwargs:
        return False
    parameters = inspect.signature(oracle).parameters.values()
    needed = sum(p.default is p.empty for p in parameters)
    data = all(as_array(v) is not None or isinstance(v, str | list | int) for v in case.args)
    return data and needed <= len(case.args) <= len(parameters)


def keeps_state(exercise: "Exercise", index: int, said: str) -> Outcome:
    """For an answer that is right when it is called once."""
    return Outcome(
        "wrong",
        "keeps_state",
        "It is right for the first numbers, and for others of the same shapes it is not. Either it "
        f"is right for some numbers only, or this: {STATE}",
        f"a later call, with other numbers of the same shapes: {describe(exercise, index)}\n{said}",
    )


def result_of_before(exercise: "Exercise", earlier: int, later: int) -> Outcome:
    """For an answer that returned an earlier call's result."""
    return Outcome(
        "wrong",
        "keeps_state",
        f"The second of these two calls returns the result of the first. {STATE}",
        f"first:  {describe(exercise, earlier)}\nthen:   {describe(exercise, later)}",
    )


def beside_the_result(
    exercise: "Exercise", index: int, got: Any, differences: list[str | None]
) -> Outcome | None:
    """For an answer whose results are right everywhere, but not what a probe saw besides."""
    expected = exercise.expected[index]
    if not (isinstance(got, Seen) and isinstance(expected, Seen)):
        return None
    parts = differing_parts(got, expected, exercise.tolerance)
    evidence = f"{describe(exercise, index)}\n{with_names(exercise, differences[index])}"
    if "result" not in parts and any(part.startswith("called again") for part in parts):
        said = f"The first call is right, and a later one is not. {STATE}"
        return Outcome("wrong", "keeps_state", said, evidence)
    if parts == [TRAINING_MODE]:
        said = "The numbers are right, but afterwards the module is no longer in training mode: is "
        said += "there a `self.eval()` inside `forward`? Whoever calls a model decides its mode."
        return Outcome("wrong", "leaves_training_mode", said, evidence)
    if not all(part.startswith("gradient to ") for part in parts):
        return None
    if any(got.get(part) == CHANGED_IN_PLACE for part in parts if isinstance(got.get(part), str)):
        said = "The numbers are right, but PyTorch finds no way back through them: a tensor that "
        said += "it needs for the gradient is changed in place (`x -= m`, `x[0] = …`). Make a new "
        said += "one: `x = x - m`."
        return Outcome("wrong", "changed_in_place", said, evidence)
    missing = [p for p in parts if as_array(got.get(p)) is None and expected[p] is not None]
    names = ", ".join(f"`{part.removeprefix('gradient to ')}`" for part in (missing or parts)[:4])
    names = with_names(exercise, names)
    if missing:
        said = "The numbers are right, but nothing can be learned through them: no gradient "
        said += f"arrives at {names}. Is there a `detach`, a `.data`, an `.item()`, a `no_grad`, "
        said += "or a way through NumPy?"
        return Outcome("wrong", "no_gradient_arrives", said, evidence)
    slopes = [as_array(got.get(part)) for part in parts]
    if any(
        slope is not None and slope.dtype.kind == "f" and np.isnan(slope).any() for slope in slopes
    ):
        said = (
            f"The numbers are right, but the gradient that arrives at {names} is `nan`: somewhere "
        )
        said += "the way back computes 0/0 or 0 times infinity, perhaps behind a `where` or a "
        said += "`nan_to_num` that covers it up on the way forward."
        return Outcome("wrong", "gradient_is_nan", said, evidence)
    said = f"The numbers are right, but the gradient that arrives at {names} is not. Is a part of "
    said += "the way back cut off by a `detach`, a `.data` or a `no_grad`?"
    return Outcome("wrong", "another_gradient", said, evidence)


def with_names(exercise: "Exercise", text: str) -> str:
    """A probe's "input 1" as the task calls it."""
    called = exercise.oracle
    parameters = inspect.signature(getattr(called, "forward", called)).parameters
    names = [name for name in parameters if name != "self"]
    for i, name in enumerate(names, start=1):
        text = text.replace(f"input {i}", name)
    return text


def outcome_panel(exercise: "Exercise", outcome: Outcome, preview: bool = False) -> panel.Panel:
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
    if outcome.status == "not_written" and not preview:
        message = message or "The lesson goes on with the course's own version until you write it."
    note = ""
    if outcome.status in ("wrong", "raised"):
        note = f'Stuck? `checks.hint("{exercise.number}")`.'
        if not preview:
            note += f" Below, `{exercise.name}` is the course's own version, until yours is right."
    return panel.Panel(
        tone=outcome.status,
        title=f"{exercise.number} {exercise.name}: {title}",
        message=message,
        evidence=outcome.evidence,
        note=note,
    )


def source(answer: Any) -> str:
    """The answer's source code, kept with the result so that it cannot be lost."""
    try:
        if not isinstance(answer, type):
            return inspect.getsource(answer)
        return _source_of_class(answer) or inspect.getsource(answer)
    except (OSError, TypeError):
        return ""


def _source_of_class(cls: type) -> str:
    """A class's source by way of its methods: in a notebook Python finds it by no other."""
    for method in vars(cls).values():
        code = getattr(inspect.unwrap(method) if callable(method) else None, "__code__", None)
        if code is None:
            continue
        lines = linecache.getlines(code.co_filename)
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            inside = isinstance(node, ast.ClassDef) and node.name == cls.__name__
            if inside and node.lineno <= code.co_firstlineno <= node.end_lineno:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                return "".join(lines[first - 1 : node.end_lineno])
    return ""


def stub_left_behind(text: str) -> bool:
    """True if a function holds `raise NotImplementedError` and other statements besides."""
    try:
        tree = ast.parse(textwrap.dedent(text))
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
