"""The check of every exercise, and what the engine makes of whatever a learner may hand it."""

import ast
import functools
import inspect
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import jupytext
import numpy as np
import pytest
import torch

from utils import checks
from utils.checks import panel, store
from utils.checks.engine.compare import Raised, Tolerance
from utils.checks.engine.exercise import Case, CheckFailed, Exercise, Mistake
from utils.checks.engine.inputs import normal_array
from utils.checks.engine.wording import outcome_panel

ROOT = Path(__file__).parents[1]
CHANGEABLE = ("list", "dict", "set", "ndarray", "Tensor")
CATALOGUE = checks.catalogue()
MISTAKES = [(e, m) for e in CATALOGUE for m in e.mistakes]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A progress file of its own for each test, and no strictness from outside."""
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    monkeypatch.setattr(checks, "_hints_shown", {})
    monkeypatch.setattr(store, "_said", set())
    return tmp_path / "home"


# --- every exercise of the course -----------------------------------------------------------


@functools.cache
def answers(path: Path) -> dict:
    """What a lesson's answer cells define; nothing else is run but imports and constants."""
    cells = [c for c in jupytext.read(path).cells if c.cell_type == "code"]
    space = {"__name__": "lesson"}
    for cell in cells:
        if "answer" in cell.metadata.get("tags", []):
            tree = ast.parse(cell.source)
        else:
            body = ast.parse(re.sub(r"(?m)^\s*[%!].*", "", cell.source)).body
            tree = ast.Module([n for n in body if is_import_or_constant(n)], [])
        exec(compile(tree, path.name, "exec"), space)
    return space


def is_import_or_constant(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign):
        name = statement.targets[0]
        return isinstance(name, ast.Name) and name.id.isupper() and is_literal(statement.value)
    return isinstance(statement, ast.Import | ast.ImportFrom)


def is_literal(value: ast.expr) -> bool:
    return not any(isinstance(n, ast.Name | ast.Call) for n in ast.walk(value))


def written(exercise: Exercise, folder: str, kind: str) -> object:
    (path,) = (ROOT / folder).glob(f"{exercise.lesson}_*.{kind}")
    return answers(path)[exercise.name]


def by_key(exercise: Exercise) -> str:
    return exercise.key


@pytest.mark.parametrize("exercise", CATALOGUE, ids=by_key)
def test_the_learners_stub_is_not_written(exercise):
    stub = written(exercise, "notebooks", "ipynb")
    assert checks.judge(exercise.key, stub).status == "not_written"


@pytest.mark.parametrize("exercise", CATALOGUE, ids=by_key)
def test_the_solution_and_the_oracle_are_right(exercise):
    for answer in written(exercise, "solutions", "py"), exercise.oracle:
        outcome = checks.judge(exercise.key, answer)
        assert outcome.status == "right", outcome


@pytest.mark.parametrize("exercise", CATALOGUE, ids=by_key)
def test_the_stand_in_can_be_called_as_the_answer(exercise):
    ours, theirs = (
        [(p.name, p.default) for p in inspect.signature(called).parameters.values()]
        for called in (exercise.oracle, written(exercise, "notebooks", "ipynb"))
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("exercise", "mistake"), MISTAKES, ids=[f"{e.key}-{m.name}" for e, m in MISTAKES]
)
def test_a_mistake_is_named(exercise, mistake):
    outcome = checks.judge(exercise.number, mistake.mutant)
    assert (outcome.status, outcome.mistake) == ("wrong", mistake.name), outcome
    assert mistake.hint in outcome.message


@pytest.mark.parametrize("exercise", CATALOGUE, ids=by_key)
def test_mistakes_and_hints_are_enough_and_all_different(exercise):
    assert len(exercise.hints) >= 1, "an exercise has a hint"
    assert len(exercise.mistakes) >= 4, "an exercise knows four mistakes"
    for words in ([m.name for m in exercise.mistakes], [m.hint for m in exercise.mistakes]):
        assert len(set(words)) == len(words), "two mistakes of the same name or with the same hint"


@pytest.mark.parametrize("lesson", checks.lessons(), ids=lambda lesson: lesson.number)
def test_a_lesson_knows_enough_mistakes(lesson):
    least = {"00": 0, "01": 10, "09": 10}.get(lesson.number, 8)
    known = sum(e.lesson == lesson.number for e, _ in MISTAKES)
    assert known >= least, f"the lesson's exercises know {known} mistakes, of at least {least}"


@pytest.mark.parametrize("exercise", CATALOGUE, ids=by_key)
def test_the_oracle_raises_only_where_the_task_says_so(exercise):
    for case, expected in zip(exercise.cases(), exercise.expected, strict=True):
        raised = type(expected.error) if isinstance(expected, Raised) else None
        assert raised == case.raises, (case.label, expected)


def handed_on(value):
    """What is in a value that an answer could change: lists, dicts, sets, arrays and tensors."""
    if isinstance(value, list | tuple | set | dict):
        inside = value.values() if isinstance(value, dict) else value
        yield from (found for item in inside for found in handed_on(item))
    if not isinstance(value, tuple) and type(value).__name__ in CHANGEABLE:
        yield value


@pytest.mark.parametrize("exercise", CATALOGUE, ids=by_key)
def test_what_an_answer_changes_no_other_answer_finds(exercise):
    once, again = (
        [value for case in exercise.cases() for value in handed_on(case.given)] for _ in range(2)
    )
    assert not {id(value) for value in once} & {id(value) for value in again}


@pytest.mark.parametrize("exercise", CATALOGUE, ids=by_key)
def test_a_mistake_is_more_than_an_error(exercise):
    """A mutant that fails everywhere makes no mistake of a learner's: it is broken itself."""
    for name, results in exercise.mutant_results.items():
        assert not all(isinstance(result, Raised) for result in results), (name, results[0])


def test_keys_and_numbers_are_unique():
    for names in ([e.key for e in CATALOGUE], [e.number for e in CATALOGUE]):
        assert len(set(names)) == len(names)
    assert {e.lesson for e in CATALOGUE} <= {lesson.number for lesson in checks.lessons()}


def test_an_unknown_key_lists_the_known_ones():
    with pytest.raises(KeyError, match="no exercise '77.7'") as caught:
        checks.judge("77.7", abs)
    assert all(e.key in str(caught.value) for e in CATALOGUE)


# --- the engine, on a small exercise --------------------------------------------------------


def toy(**changes) -> Exercise:
    """Double an array. The first input is plain, the second has signs, the third is large."""
    parts = {
        "number": "0.1",
        "name": "double",
        "oracle": lambda x: 2 * x,
        "compared_with": "`2 * x`",
        "cases": lambda: [
            Case(np.array([1.0, 2.0, 4.0])),
            Case(np.array([[-1.0, 3.0], [-2.0, 5.0]])),
            Case(np.array([1e3, 7.0, 2.0, 3.0])),
            Case(normal_array(1, 2, 5)),
        ],
        "mistakes": [
            Mistake("tripled", "That is three times.", lambda x: 3 * x),
            Mistake("sign_lost", "Keep the sign.", lambda x: 2 * abs(x)),
        ],
        "hints": ["Add it to itself."],
        "seconds": 1.0,
    }
    return Exercise(**parts | changes)


def in_place(x):
    x *= 2
    return x


def printing(x):
    print(2 * x)


def silent(x):
    x + x


def unfinished(x):
    """Twice x."""
    y = 2 * x  # noqa: F841
    raise NotImplementedError


def endless(x):
    while True:
        pass


def raising(x):
    return 2 * x + missing  # noqa: F821


def raising_later(x):
    return 2 * np.linalg.norm(x, axis=2 - x.ndim) if x.ndim > 1 else [2 * x][x.size - 3]


def one_argument_too_many(x, y):
    return 2 * x


def not_for_integers(x):
    return torch.softmax(torch.ones(2, dtype=torch.long), -1)


def yielding(x):
    yield 2 * x


async def asynchronous(x):
    return 2 * x


def raising_what_python_raises(x):
    raise GeneratorExit


def remembering(x, kept=[]):  # noqa: B006
    kept.append(2 * x)
    return kept[0].copy()


def remembering_by_shape(x, kept={}):  # noqa: B006
    return kept.setdefault(x.shape, 2 * x).copy()


def counting_its_calls(x, calls=[]):  # noqa: B006
    calls.append(x)
    return 2 * x + (len(calls) > 4)


def deep(x):
    return deep(x)


def scribble(x):
    random.random(), np.random.rand(), torch.rand(1)
    print("noise")
    print("noise", file=sys.stderr)
    return 2 * x


@pytest.mark.parametrize(
    ("answer", "status", "mistake", "said"),
    [
        (lambda x: x + x, "right", None, "identical"),
        (lambda x: (x + x).astype(np.float32), "right", None, ""),
        (lambda x: 3 * x, "wrong", "tripled", "That is three times."),
        (lambda x: 3 * abs(x), "wrong", None, "*Perhaps* this is it, for it explains 2 of"),
        (lambda x: 2 * abs(x) + (x > 900), "wrong", None, "entry [0, 0]: expected -2, got 2"),
        (in_place, "wrong", "changes_input", "copy"),
        (printing, "wrong", "prints", "[2. 4. 8.]"),
        (silent, "wrong", "returns_none", "`return`"),
        (endless, "wrong", "too_slow", "was stopped"),
        (raising, "raised", None, "return 2 * x + missing"),
        (raising_later, "raised", None, "if x.ndim > 1 else"),
        (one_argument_too_many, "raised", None, "missing 1 required positional argument: 'y'"),
        (not_for_integers, "raised", None, "return torch.softmax("),
        (deep, "raised", None, "return deep(x)"),
        (lambda x: sys.exit(), "raised", None, "SystemExit"),
        (3, "wrong", "not_callable", "int"),
        (np.array([2.0, 4.0, 8.0]), "wrong", "not_callable", "ndarray"),
        (lambda x: 2 * x > 0, "wrong", None, "got dtype bool"),
        (lambda x: (2 * x).astype(complex), "wrong", None, "got dtype complex128"),
        (lambda x: (2 * x).tolist(), "wrong", "another_type", "of type list"),
        (lambda x: (3 * x).tolist(), "wrong", None, "got a list"),
        (lambda x: [y for y in 2 * x] + [1], "wrong", None, "got a list"),
        (lambda x: torch.from_numpy(2 * x), "right", None, "goes on in NumPy"),
        (unfinished, "not_written", None, "Delete that line"),
        (lambda x: 2 * x * np.nan, "wrong", None, "nan"),
        (lambda x: (2 * x)[..., None], "wrong", None, "got shape (3, 1)"),
        (lambda x: 2 * x + (x > 4), "wrong", None, "entry [1, 1]: expected 10, got 11"),
        (lambda x: torch.eye(3).to_sparse(), "wrong", None, "got"),
        (lambda x: (y for y in 2 * x), "wrong", "generator", "`yield`"),
        (yielding, "wrong", "generator", "`yield`"),
        (asynchronous, "wrong", "async_function", "without `async`"),
        (raising_what_python_raises, "raised", None, "GeneratorExit"),
        (remembering, "wrong", "keeps_state", "kept from one call to the next"),
        (remembering_by_shape, "wrong", "keeps_state", "a later call"),
        (counting_its_calls, "wrong", "keeps_state", "a later call"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_engine_answers(answer, status, mistake, said):
    outcome = toy().judge(answer)
    assert (outcome.status, outcome.mistake) == (status, mistake), outcome
    shown = repr(outcome_panel(toy(), outcome))
    assert said in shown
    assert str(ROOT / "utils") not in shown
    assert 'File "' not in shown


def test_a_loop_that_catches_everything_is_given_up():
    over = False

    def stubborn(x):
        while not over:
            try:  # noqa: SIM105  (as a learner would write it)
                time.sleep(0.001)
            except:  # noqa: E722
                pass

    began = time.monotonic()
    outcome = toy().judge(stubborn)
    over = True
    assert outcome.mistake == "too_slow"
    assert time.monotonic() - began < 8  # it sleeps: five times its second of computing
    assert toy().judge(lambda x: 2 * x).status == "right"


def test_a_busy_machine_makes_nobody_too_slow():
    """The limit counts the answer's own CPU time: here the clock runs ten times as fast."""

    def right(x):
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            sum(range(1000))
        return 2 * x

    burn = "import time; end = time.time() + 60\nwhile time.time() < end: pass"
    busy = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(8)]
    try:
        assert toy(seconds=0.6).judge(right).status == "right"
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    "settings",
    [
        "torch.set_default_dtype(torch.float64), torch.set_grad_enabled(False), "
        "torch.use_deterministic_algorithms(True), torch.set_float32_matmul_precision('medium'), "
        "torch.set_num_threads(2), numpy.seterr(all='raise'), warnings.simplefilter('error'), "
        "numpy.set_printoptions(precision=1, threshold=2)",
        "torch.set_default_device('meta'), torch.inference_mode().__enter__()",
    ],
)
def test_the_learners_session_does_not_change_the_verdict(settings):
    """Made before the first check of a session; then every oracle is still right."""
    code = "import warnings, numpy, torch\nfrom utils import checks\n" + settings
    code += "\nfor e in checks.catalogue():\n    said = checks.judge(e.key, e.oracle)\n"
    code += "    assert said.status == 'right', (e.key, said)\nprint('all right')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "all right", run.stderr[-2000:]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_names_do_not_depend_on_the_order_of_a_set(seed):
    code = "from utils import checks\nfor e in checks.catalogue():\n"
    code += "    if not any(isinstance(v, set | dict | str | list) for v in e.cases()[0].given):\n"
    code += "        continue\n    for m in e.mistakes:\n"
    code += "        said = checks.judge(e.key, m.mutant)\n"
    code += "        assert said.mistake == m.name, (e.key, m.name, said)\nprint('all named')"
    environment = os.environ | {"PYTHONHASHSEED": seed}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert run.stdout.strip() == "all named", run.stderr[-2000:]


def test_an_async_answer_leaves_no_warning_behind():
    code = "from utils import checks\nasync def scores(q, k): return q\n"
    code += "print(checks.judge('1.1', scores).mistake)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout.strip(), run.stderr) == ("async_function", "")


def test_settings_are_put_back():
    torch.set_default_dtype(torch.float64)
    try:
        assert toy().judge(lambda x: 2 * x).status == "right"
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_compiled_answer_is_judged_by_the_function_inside():
    assert toy().judge(torch.compile(lambda x: 3 * x)).mistake == "tripled"
    assert toy().judge(torch.compile(lambda x: 2 * x)).status == "right"


def test_a_float_does_not_pass_for_an_integer():
    count = toy(oracle=lambda x: x.size)
    assert count.judge(lambda x: x.size).status == "right"
    assert "dtype float64" in count.judge(lambda x: float(x.size)).evidence


def test_the_tolerance_decides():
    close = toy(tolerance=Tolerance(absolute=0.1, relative=0.0))
    assert close.judge(lambda x: 2 * x + 0.09).status == "right"
    assert close.judge(lambda x: 2 * x + 0.11).status == "wrong"


def test_judging_leaves_no_trace(capfd, home):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    for answer in scribble, raising, endless:
        toy().judge(answer)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert before == after
    assert capfd.readouterr() == ("", "")
    assert not home.exists()


def test_a_check_gives_back_the_answer_or_the_oracle(capsys):
    exercise, right = toy(), lambda x: x + x
    assert exercise(right) is right
    for wrong in endless, raising, 3, lambda x: 3 * x:
        assert exercise(wrong) is exercise.oracle
    assert exercise(lambda x: torch.from_numpy(2 * x)) is exercise.oracle  # the lesson needs NumPy
    assert "stand-in" not in capsys.readouterr().out
    exercise(lambda x: 3 * x)
    assert "0.1 double: not right yet (tripled)" in capsys.readouterr().out


def test_strict_mode_raises_and_keeps_nothing(monkeypatch, home):
    monkeypatch.setenv("COURSE_STRICT", "1")
    exercise = toy()
    exercise(lambda x: 2 * x)
    for wrong in raising, 3, lambda x: 3 * x, exercise.oracle:
        with pytest.raises(CheckFailed, match=r"00\.double"):
            exercise(wrong)
    assert not home.exists()


def test_the_stand_in_is_not_taken_for_an_answer(capsys):
    exercise = toy()
    stand_in = exercise(lambda x: 3 * x)
    assert exercise(stand_in) is exercise.oracle
    assert "stand-in" in capsys.readouterr().out
    assert store.results() == {"00.double": "wrong"}


# --- the progress file, and hints -----------------------------------------------------------


def test_right_is_not_lost_by_a_later_wrong():
    exercise = toy()
    for answer in raising, lambda x: 3 * x, lambda x: 2 * x, raising, lambda x: 3 * x:
        exercise(answer)
    assert store.results() == {"00.double": "right"}


def test_the_source_of_an_answer_is_kept(home):
    toy()(raising)
    (line,) = (home / "progress.jsonl").read_text().splitlines()
    assert "return 2 * x + missing" in json.loads(line)["source"]


def test_what_was_done_before_the_lessons_were_renumbered_is_kept(home):
    store.record("14.patchify", "right", None, "")
    store.record("15.similarity", "wrong", None, "")
    store.record("16.similarity", "right", None, "")  # done again under its new number
    store.record("17.freeze", "right", None, "")
    assert store.results() == {
        "15.patchify": "right",
        "16.similarity": "right",
        "18.freeze": "right",
    }
    assert not store._MOVED.keys() & {e.key for e in CATALOGUE}
    assert set(store._MOVED.values()) <= {e.key for e in CATALOGUE}


def test_a_damaged_progress_file_still_serves(home):
    store.record("01.scores", "right", None, "")
    damage = [b"\xff\xfe\x00", b"3", b"null", b"[]", b"{}", b'"key"', b"", b'{"key": ["a"],']
    damage += [b'{"key": ["a"], "status": "right"}', b'{"key": "01.softmax", "status": [1]}']
    damage += [b'{"key": "01.softmax", "sta']
    with (home / "progress.jsonl").open("ab") as file:
        file.write(b"\n".join(damage))  # the last line is cut short
    store.record("01.attention", "wrong", "no_scale", "")
    assert store.results() == {"01.scores": "right", "01.attention": "wrong"}
    assert "✓" in repr(checks.progress()) and "◐" in checks.progress()._repr_html_()


def test_two_processes_write_at_once(home):
    code = "from utils.checks import store\n"
    code += "for i in range(200): store.record(f'{NAME}.{i}', 'right', None, 'x' * 5000)"
    writers = [
        subprocess.Popen([sys.executable, "-c", f"NAME = {name}\n{code}"]) for name in (1, 2)
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    lines = (home / "progress.jsonl").read_text().splitlines()
    assert len({json.loads(line)["key"] for line in lines}) == 400


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "file" / "home"))
    right = toy()
    for _ in range(2):
        assert right(abs_twice := lambda x: x + x) is abs_twice
    shown = capsys.readouterr().out
    assert shown.count("Progress not kept") == 1 and shown.count("double: right") == 2
    assert store.results() == {}
    assert "○" in repr(checks.progress())


def test_hints_come_one_by_one_and_begin_again(capsys):
    exercise = CATALOGUE[0]
    for text in [*exercise.hints, exercise.hints[0]]:
        checks.hint(exercise.number)
        assert text in capsys.readouterr().out.replace("\n  ", "\n")


def test_a_hint_can_be_asked_for_by_name(capsys):
    checks.hint(CATALOGUE[0].name)
    assert CATALOGUE[0].hints[0] in capsys.readouterr().out.replace("\n  ", "\n")


def test_a_coincidence_names_no_mistake():
    nearest = toy(
        oracle=lambda x: int(x.argmin()),
        mistakes=[Mistake("largest", "Take the smallest.", lambda x: int(x.argmax()))],
    )
    assert nearest.judge(lambda x: int(x.argmax())).mistake == "largest"
    assert nearest.judge(lambda x: 2).mistake is None  # right once, and once like the mutant


def test_stress_and_code_in_a_panel():
    shown = panel.Panel("wrong", "t", "Each *row* of `a * b` must; 2 * 3 * 4.")
    assert "<em>row</em> of <code>a * b</code> must; 2 * 3 * 4." in shown._repr_html_()


def test_a_console_without_our_signs_is_no_error():
    code = "from utils import checks\nprint(checks.progress())\nchecks.hint('1.2')\n"
    code += "checks.preview('1.1', lambda q, k: q @ q.T)"
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert run.returncode == 0, run.stderr.decode("cp1252")
    said = run.stdout.decode("cp1252")
    assert "+ right   ? right, the solution seen before   ~ tried   - not yet" in said
    assert "x 1.1 scores: not right yet" in said


def test_preview_does_not_speak_of_a_stand_in(capsys):
    checks.preview("1.1", lambda q, k: q @ q.T)
    assert "course's own version" not in capsys.readouterr().out


def test_a_hint_for_no_exercise_is_a_sentence(capsys):
    checks.hint("77.7")
    assert "There is no exercise '77.7'" in capsys.readouterr().out


def test_preview_shows_and_keeps_nothing(capsys, home, monkeypatch):
    monkeypatch.setenv("COURSE_STRICT", "1")
    exercise = CATALOGUE[0]
    checks.preview(exercise.key, exercise.mistakes[0].mutant)
    assert exercise.mistakes[0].hint in capsys.readouterr().out.replace("\n  ", "\n")
    assert not home.exists()


def test_a_refusal_without_a_sentence_is_told():
    exercise = next(e for e in CATALOGUE if e.number == "19.4")

    def answer(references, hypotheses):
        try:
            return exercise.oracle(references, hypotheses)
        except ValueError:
            raise ValueError("unequal") from None

    outcome = exercise.judge(answer)
    assert outcome.status == "raised" and "yours has no sentence" in outcome.message
