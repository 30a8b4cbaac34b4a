"""Grade handed-in notebooks: `python -m utils.grade SUBMISSIONS --out grades.csv`.

SUBMISSIONS holds notebooks of any name, in folders per learner if you like. Of a notebook only
answers are run, and what they need: imports, constants, and functions in the learner's own cells.
Each notebook runs in a process of its own, with limits of time, memory and file sizes. That process
only *observes* what the answers give; results travel as data, and this process judges them by its
own oracles. So an edited check cell, another `utils` or `COURSE_STRICT` have no effect.

An answer could still look up the oracle instead of computing. One that names what only a cheat
needs (`oracle`, `sys`, `os` ...) gets the status "read it": a person should.
"""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import csv
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import types
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.checks import lessons
from utils.checks.engine import naming, observing
from utils.checks.engine.compare import Raised, Seen, as_array, is_tensor
from utils.checks.engine.exercise import Exercise
from utils.checks.engine.outcome import Outcome
from utils.checks.engine.sandbox import TooSlow, call_with_limit, own_session, quiet
from utils.progress import bar

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
COLUMNS = ["learner", "lesson", "exercise", "name", "points", "status", "mistake", "message"]
SECONDS, GIGABYTES, MEGABYTES = 300, 6, 500  # of a notebook: on the clock, memory, a file
SUSPICIOUS = set(
    "utils checks engine oracle judge catalogue ctypes gc inspect os subprocess sys importlib "
    "builtins multiprocessing socket signal resource threading pickle "
    "__class__ __subclasses__ __dict__ __builtins__ __globals__ __import__ "
    "eval exec open globals getattr setattr vars compile exit quit".split()
)
LIBRARIES = {"torch", "np", "F", "nn", "math", "transformers"}
ALLOWED = {"10": {"subprocess", "sys", "os", "signal", "resource", "open"}}  # run_code needs them


def submissions(folder: Path) -> list[tuple[str, Path]]:
    """(learner, notebook) for each notebook below a folder.

    The learner is the first folder below it, or the file's name where there is none.

    Raises:
        ValueError: no such folder, or no notebook in it.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}. Give the one with the notebooks.")
    files = sorted(p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    if not files:
        raise ValueError(f"There is no notebook (.ipynb) in {folder}.")
    parts = [path.relative_to(folder).parts for path in files]
    return [(p[0] if len(p) > 1 else Path(p[0]).stem, f) for p, f in zip(parts, files, strict=True)]


def grade(path: Path) -> list[dict[str, str]]:
    """The rows of one notebook, without the learner: a row for each exercise of its lesson."""
    try:
        cells = _code_cells(path)
        lesson = _lesson_of(cells)
    except ValueError as error:
        return [{"status": "unreadable", "message": str(error), "points": "0"}]
    exercises = _exercises(lesson)
    told = {line["name"]: line for line in _observed(path, lesson)}
    end = told.pop("", {"message": ""})["message"]
    rows = []
    for name, exercise in exercises.items():
        line = told.get(name, {"status": "stopped" if end else "missing", "message": end})
        outcome = _judged(exercise, line)
        text = " ".join(f"{outcome.message} {outcome.evidence}".split())[:300]
        rows.append(
            {
                "lesson": lesson,
                "exercise": exercise.number,
                "name": name,
                "points": str(int(outcome.status == "right")),
                "status": outcome.status,
                "mistake": outcome.mistake or "",
                "message": text,
            }
        )
    return rows


def _judged(exercise: Any, line: dict) -> Outcome:
    """The verdict of this process on what the other one has seen."""
    if line["status"] != "seen":
        status = (
            "wrong" if line["status"] == "right" else line["status"]
        )  # that is not theirs to say
        return Outcome(status, line.get("mistake"), line.get("message", ""))
    try:
        results, later = decoded(line["results"]), decoded(line["later"])
        if not (len(results) == len(exercise.expected) and isinstance(later, list)):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        return Outcome("read it", message="What came back from it cannot be read.")
    outcome = own_session(lambda: naming.verdict(exercise, results))
    if outcome.status == "right":
        outcome = own_session(lambda: observing.later_verdict(exercise, later)) or outcome
    return outcome


def _observed(path: Path, lesson: str) -> Iterator[dict]:
    """What a process of its own tells of a notebook, line by line; "" is the name of its end."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as told:
        command = [sys.executable, "-m", "utils.grade", "--observe", lesson, str(path.resolve())]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COURSE_STRICT")}
        environment |= {"OMP_NUM_THREADS": "1", "COURSE_HOME": scratch, "HF_HUB_OFFLINE": "1"}
        environment["PYTHONPATH"] = str(NOTEBOOKS.parent)
        null = subprocess.DEVNULL
        child = subprocess.Popen(
            [*command, str(told.fileno())], cwd=scratch, env=environment, stdin=null, stdout=null,
            stderr=null, pass_fds=[told.fileno()], start_new_session=True,
        )  # fmt: skip
        try:
            child.wait(timeout=SECONDS)
            end = "" if child.returncode == 0 else f"the process ended ({child.returncode})"
        except subprocess.TimeoutExpired:
            end = f"not done after {SECONDS} seconds"
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)  # and whatever it has started
            child.wait()
        told.seek(0)
        for text in told.read(MEGABYTES << 20).splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                line = json.loads(text)
                if isinstance(line["name"], str) and isinstance(line["status"], str):
                    yield line
        yield {"name": "", "status": "end", "message": end}


def observe(lesson: str, path: Path, told: int) -> None:
    """In the process of its own: run the answers, and write a line for each of what they give."""
    _limit()
    course = {c["id"]: c for c in _code_cells(next(NOTEBOOKS.glob(f"{lesson}_*.ipynb")))}
    exercises = _exercises(lesson)
    scope: dict[str, Any] = {"__name__": "__main__"}
    stream = os.fdopen(os.dup(told), "w", encoding="utf-8")
    for cell in course.values():
        if not {"answer", "check"} & set(cell["metadata"].get("tags", [])):
            _prepare(_source(cell), scope, ours=True)
    for cell in _code_cells(path):
        text, name = _source(cell), _defines(_source(cell), exercises)
        if name is None:
            if cell.get("id") not in course:
                _prepare(text, scope)  # a helper of the learner's own
            continue
        line = _answer(text, name, exercises[name], scope, ALLOWED.get(lesson, set()))
        goes_on = line.pop("goes on", False)
        stream.write(json.dumps({"name": name, **line}) + "\n")
        stream.flush()
        if not goes_on:
            scope[name] = exercises[name].oracle  # what follows builds on a right one
    os._exit(0)


def _answer(text: str, name: str, exercise: Any, scope: dict, allowed: set[str]) -> dict:
    try:
        if found := _suspicious(text) - allowed:
            return {"status": "read it", "message": f"it names {', '.join(sorted(found))}"}
        _run(compile(text, "answer", "exec"), scope)
        answer = observing.unwrapped(scope[name])
        results = own_session(lambda: observing.observe(exercise, answer))
        later: Any = []
        if not isinstance(results, Outcome):
            later = own_session(lambda: observing.later_results(exercise, answer))
        for outcome in (results, later):
            if isinstance(outcome, Outcome):
                return {
                    "status": outcome.status,
                    "mistake": outcome.mistake,
                    "message": f"{outcome.message} {outcome.evidence}",
                }
        goes_on = own_session(lambda: naming.verdict(exercise, results)).status == "right"
        told = {"status": "seen", "results": encoded(results), "later": encoded(later)}
        return {**told, "goes on": goes_on}
    except SyntaxError as error:
        return {"status": "raised", "message": f"SyntaxError in line {error.lineno}: {error.msg}"}
    except TooSlow:
        return {"status": "wrong", "mistake": "too_slow", "message": "The cell does not end."}
    except BaseException as error:
        return {"status": "raised", "message": f"{type(error).__name__}: {error}"[:300]}


def _limit() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        for kind, most in (
            (resource.RLIMIT_AS, GIGABYTES << 30),
            (resource.RLIMIT_CPU, SECONDS),
            (resource.RLIMIT_FSIZE, MEGABYTES << 20),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(kind, (most, most))


def _run(code: types.CodeType, scope: dict) -> None:
    def inside():
        exec(code, scope)

    with quiet():
        call_with_limit(inside, 20.0)


def _prepare(text: str, scope: dict, ours: bool = False) -> None:
    """Run what of a cell later answers may need; where that fails, they will say so themselves."""
    with contextlib.suppress(Exception, TooSlow):
        _run(_prepared(text, ours), scope)


def _code_cells(path: Path) -> list[dict]:
    try:
        cells = json.loads(Path(path).read_text("utf-8"))["cells"]
        return [c for c in cells if c["cell_type"] == "code" and _source(c) is not None]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"This is no notebook that can be read ({type(error).__name__})."
        ) from error


def _source(cell: dict) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _exercises(lesson: str) -> dict[str, Exercise]:
    module = importlib.import_module(f"utils.checks.lesson{lesson}")  # and no other: it is quick
    return {e.name: e for e in vars(module).values() if isinstance(e, Exercise)}


def _lesson_of(cells: list[dict]) -> str:
    """The lesson whose learner's notebook shares the most cells with this one.

    Raises:
        ValueError: it shares none.
    """
    ids, shared = {c.get("id") for c in cells}, Counter()
    for lesson in lessons():
        own = {c["id"] for c in _code_cells(NOTEBOOKS / f"{lesson.notebook}.ipynb")}
        shared[lesson.number] = len(ids & own)
    number, most = shared.most_common(1)[0]
    if not most:
        raise ValueError("It is no notebook of this course: no cell of it is known.")
    return number


def _defines(text: str, exercises: dict) -> str | None:
    """The exercise that a cell answers: the last function or class in it with such a name."""
    found = re.findall(r"^(?:def|class)\s+(\w+)", text, re.M)
    return next((name for name in reversed(found) if name in exercises), None)


def _suspicious(text: str) -> set[str]:
    """Names in a text that an honest answer does not need, and writing into a library."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        names = [a.name for a in getattr(node, "names", []) if isinstance(a, ast.alias)]
        names += [getattr(node, "id", None), getattr(node, "module", None)]
        attribute = getattr(node, "attr", "")
        names += [attribute] if attribute.startswith("__") and attribute != "__init__" else []
        found |= {part for name in names if name for part in name.split(".")} & SUSPICIOUS
        stored = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if stored and isinstance(node.value, ast.Name) and node.value.id in LIBRARIES:
            found.add(f"{node.value.id}.{attribute} =")
    return found


def _prepared(text: str, ours: bool = False) -> types.CodeType:
    """Of a cell: imports, constants, functions and classes, and nothing that is run at once."""

    def keep(node: ast.stmt) -> bool:
        if isinstance(node, ast.ImportFrom) and "checks" in (node.module or ""):
            return False
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            return True
        if not isinstance(node, ast.Assign):
            return False
        with contextlib.suppress(ValueError, TypeError, SyntaxError, RecursionError):
            ast.literal_eval(node.value)
            return all(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)
        return False

    try:
        body = ast.parse(text).body if ours or not _suspicious(text) else []
    except (SyntaxError, ValueError, RecursionError):
        body = []
    return compile(ast.Module([node for node in body if keep(node)], []), "prepared", "exec")


def encoded(value: Any) -> Any:
    """A result as JSON: numbers, text, tensors, arrays, and containers of these; else its type."""
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float) and not isinstance(value, np.generic):
        return {"float": repr(value)}
    if isinstance(value, Raised):
        return {"raised": type(value.error).__name__, "said": str(value.error)[:300]}
    if isinstance(value, dict):
        kind = "seen" if isinstance(value, Seen) else "dict"
        return {kind: [[encoded(k), encoded(v)] for k, v in value.items()]}
    if isinstance(value, list | tuple | set | frozenset):
        kind = next(t for t in (list, tuple, frozenset, set) if isinstance(value, t)).__name__
        return {kind: [encoded(v) for v in value]}
    if is_tensor(value) or isinstance(value, np.ndarray | np.generic):
        array = as_array(value)
        if array is not None and array.dtype.kind in "biufc":
            kind = str(value.dtype) if is_tensor(value) else array.dtype.str
            data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
            scalar = isinstance(value, np.generic)
            return {
                "array": data,
                "as": array.dtype.str,
                "shape": array.shape,
                "kind": kind,
                "scalar": scalar,
            }
    return {"other": type(value).__name__, "said": repr(value)[:200]}


_KINDS = set("float raised seen dict list tuple set frozenset array other".split())


class Unknown:
    """Stands for a result that does not travel: it equals nothing that is expected."""

    def __init__(self, said: str) -> None:
        self.said = said

    def __repr__(self) -> str:
        return self.said


def decoded(value: Any) -> Any:
    """The inverse of `encoded`, without running anything that was sent.

    Raises:
        ValueError, TypeError, KeyError: it is not what `encoded` gives.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    (kind,) = _KINDS & set(value)
    inside = value[kind]
    if kind == "float":
        return float(inside)
    if kind == "raised":
        known = getattr(__import__("builtins"), inside, RuntimeError)
        fits = isinstance(known, type) and issubclass(known, Exception)
        kind_of_error = known if fits else RuntimeError
        try:
            return Raised(kind_of_error(value["said"]))
        except TypeError:  # it wants other arguments, as UnicodeDecodeError does
            return Raised(kind_of_error.__new__(kind_of_error))
    if kind in ("seen", "dict"):
        return (Seen if kind == "seen" else dict)((decoded(k), decoded(v)) for k, v in inside)
    if kind == "array":
        array = np.frombuffer(base64.b64decode(inside), np.dtype(value["as"])).reshape(
            value["shape"]
        )
        if value["kind"].startswith("torch."):
            return torch.tensor(array).to(getattr(torch, value["kind"].split(".")[1]))
        return array[()] if value["scalar"] else array.copy()
    if kind == "other":
        return Unknown(f"{value['other']} {value['said']}")
    return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](
        map(decoded, inside)
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["--observe"]:
        observe(arguments[1], Path(arguments[2]), int(arguments[3]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("submissions", type=Path, help="a folder of notebooks")
    parser.add_argument("--out", type=Path, default=Path("grades.csv"), help="the table to write")
    asked = parser.parse_args(arguments)
    try:
        found = submissions(asked.submissions)
        with asked.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            counts: dict[str, Counter] = {}
            for learner, path in bar(found, "grading"):
                for row in grade(path):
                    writer.writerow({"learner": learner, **row})
                    counts.setdefault(row.get("exercise", path.name), Counter())[row["status"]] += 1
                file.flush()
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for exercise, count in sorted(counts.items()):
        print(f"{exercise:<8}", ", ".join(f"{n} {status}" for status, n in count.most_common()))
    print(f"{len(found)} notebooks; the table is {asked.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
