"""Mistakes of exercise 10.6 as code: running with one step replaced.

What they have in common with the oracle is run once and remembered, so that a wrong answer does not
wait for a second of each mistake's; what a mistake does otherwise is done.
"""

import contextlib
import functools
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from utils.checks.lesson10.run_code_probe import WAITS

FLAGS = "-I", "-X", "utf8"
PIPE, STDOUT, NO_INPUT = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL


@functools.cache
def _once(code, flags=FLAGS, errors=STDOUT):
    """The exit code (None if the time was up), stdout and stderr of a program."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, *flags, "-c", code],
                stdin=NO_INPUT,
                stdout=PIPE,
                stderr=errors,
                timeout=20,  # so that it ends as it should where the machine is busy
                cwd=folder,
            )
        except subprocess.TimeoutExpired:
            return None, b"", b""
    return done.returncode, done.stdout, done.stderr or b""


def once(code, seconds, **how):
    """As `_once`; of the programs that take too long it is told, not done."""
    late = "while True" in code or "time.sleep" in code
    return (None, b"", b"") if late else _once(code, **how)


def status_of(returncode, output):
    """The status that the task asks for."""
    return "time" if returncode is None else "error" if returncode else "ok"


def text_of(output):
    """The output that the task asks for."""
    return output.decode("utf-8", "replace")[:2000]


def ran(run=once, status=status_of, text=text_of, finish=lambda status, output: (status, output)):
    """Running with one step replaced."""

    def mutant(code, seconds=2):
        returncode, output, _ = run(code, seconds)
        return finish(status(returncode, output), text(output))

    return mutant


def with_flags(*flags):
    """Other options of Python's, for the programs that can tell."""
    return of_these(lambda code, s: once(code, s, flags=flags), "sys.flags", "é", "xe9")


def streams(join):
    """The two streams apart, then joined."""

    def run(code, seconds):
        returncode, out, err = once(code, seconds, errors=PIPE)
        return returncode, join(out, err), b""

    return run


def of_these(run, *parts):
    """Another way to run the programs that contain one of these; the others as usual."""
    return lambda code, seconds: (run if any(p in code for p in parts) else once)(code, seconds)


def finished(*command, shell=False, **how):
    """The outcome of a command that takes no time."""
    how = {"stdin": NO_INPUT, "stdout": PIPE, "stderr": STDOUT} | how
    done = subprocess.run(command[0] if shell else command, shell=shell, timeout=20, **how)
    return done.returncode, done.stdout, b""


def with_the_keyboard(code, seconds):
    """The program may read what is typed."""
    return finished(sys.executable, *FLAGS, "-c", code, stdin=None)


def in_the_notebooks_folder(code, seconds):
    """No folder of its own."""
    return finished(sys.executable, *FLAGS, "-c", code)


def in_a_folder_that_stays(code, seconds):
    """A folder of its own that nobody removes."""
    return finished(sys.executable, *FLAGS, "-c", code, cwd=tempfile.mkdtemp())


def in_one_folder_for_all(code, seconds):
    """The same folder every time."""
    folder = Path(tempfile.gettempdir()) / "sandbox"
    folder.mkdir(exist_ok=True)
    return finished(sys.executable, *FLAGS, "-c", code, cwd=folder)


def beside_its_own_file(code, seconds):
    """The program is written into the folder that it works in."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "program.py").write_text(code, encoding="utf-8")
        return finished(sys.executable, *FLAGS, "program.py", cwd=folder)


def from_a_file_that_stays(code, seconds):
    """The program is written into a file beside its folder."""
    with tempfile.NamedTemporaryFile("w", suffix=".py", delete=False) as file:
        file.write(code)
    with tempfile.TemporaryDirectory() as folder:
        return finished(sys.executable, *FLAGS, file.name, cwd=folder)


def through_a_shell(code, seconds):
    """The program is part of a command that a shell reads."""
    if "time.sleep" in code:
        return once(code, seconds)
    return finished(f'{sys.executable} -I -X utf8 -c "{code}"', shell=True)


def not_killed(code, seconds):
    """The time is up, and the program goes on."""
    process = subprocess.Popen(
        [sys.executable, *FLAGS, "-c", code], stdin=NO_INPUT, stdout=PIPE, stderr=STDOUT
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=seconds)
    return None, b"", b""


def waits_before_reading(code, seconds):
    """The pipe is full, the program waits, and so does whoever started it."""
    return None, b"", b""


def another_python(code, seconds):
    """Whatever Python is found first."""
    return 0, b"False\n", b""


def waits_without_a_limit(code, seconds=2):
    """`wait()` without a word about time, before anything is read."""
    return WAITS if "60_000" in code else ran(run=of_these(no_time_limit, "time.sleep"))(code)


def no_time_limit(code, seconds):
    """As long as it takes."""
    return 0, b"working\n" if "working" in code else b"", b""


def moves_the_notebook(code, seconds=2):
    """`os.chdir` in place of `cwd`, for the process that starts the program."""
    os.chdir(tempfile.gettempdir())
    return ran()(code, seconds)


def raises_at_timeout(code, seconds=2):
    """The error that says that the time is up goes on to the caller."""
    status, output = ran()(code, seconds)
    if status == "time":
        raise subprocess.TimeoutExpired("python", seconds)
    return status, output


def as_it_is_at_timeout(nothing=None):
    """`error.stdout`, which is made of bytes or nothing even with `text=True`."""

    def mutant(code, seconds=2):
        status, output = ran()(code, seconds)
        return status, output if status != "time" else b"" if "working" in code else nothing

    return mutant


def raises_at_errors(code, seconds=2):
    """`check=True`: an exit code other than 0 becomes an error."""
    status, output = ran()(code, seconds)
    if status == "error":
        raise subprocess.CalledProcessError(1, "python")
    return status, output


def in_this_process(code, seconds=2):
    """`exec`."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(code, {})
    except Exception as error:
        return "error", f"{printed.getvalue()}{type(error).__name__}: {error}\n"
    return "ok", printed.getvalue()
