"""Exercise 10.6, `run_code`: its oracle, inputs, mistakes and hints."""

import random
import subprocess
import sys
import tempfile

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson10 import run_code_mutants as mutants
from utils.checks.lesson10.run_code_mutants import of_these, ran, streams
from utils.checks.lesson10.run_code_probe import watched


def _run_code(code, seconds=2):
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-X", "utf8", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                cwd=folder,
            )
        except subprocess.TimeoutExpired as error:
            return "time", (error.stdout or b"").decode("utf-8", "replace")[:2000]
    status = "error" if done.returncode else "ok"
    return status, done.stdout.decode("utf-8", "replace")[:2000]


# It ends by itself, even when its folder is gone, so that no answer leaves anything running.
SPIN = """import os, threading, time
def beat():
    try:
        for i in range(34):
            with open(PATH, "a") as file: file.write(".")
            time.sleep(0.05)
    finally:
        os._exit(0)
threading.Thread(target=beat).start()
print("working", flush=True)
while True: pass"""
SLEEP = "import time\ntime.sleep(1.5)"
FOLDER = "import os\nprint(len(os.listdir()))\nopen('left_behind.txt', 'w').close()"
ORDER = """import sys
print("a", flush=True)
print("b", file=sys.stderr, flush=True)
print("c", flush=True)"""


def _drawn(seed):
    a, b = (random.Random(seeded(seed)).randint(10, 99) for _ in range(2))
    return f"a, b = {a}, {b}\nfor i in range(3):\n    print(a * b + i)"


run_code = Exercise(
    number="10.6",
    name="run_code",
    oracle=_run_code,
    compared_with="what the operating system reports",
    probe=watched,
    seconds=6.0,
    cases=lambda: [
        Case(_drawn(1)),
        Case("print(6 * 7)"),
        Case("1 / 0", None, "last line"),
        Case("print('  two  \\n')"),
        Case("print('é日🙂')"),
        Case("import sys\nprint('so far')\nsys.exit(3)"),
        Case("import sys\nprint('a warning', file=sys.stderr)\nsys.exit(0)"),
        Case("import os\nprint('x', flush=True)\nos._exit(7)"),
        Case("import os\nos.kill(os.getpid(), 9)", None, "status"),
        Case(ORDER),
        Case("print(input())", None, "typed"),
        Case("print(*range(60_000))"),
        Case("print('é' * 3000)"),
        Case("print('x' * 1999)"),
        Case('print("it\'s", \'"two"\', "$HOME", r\'\\n\')  # `a` comment %s {x}'),
        Case("if __name__ == '__main__':\n    print('main')"),
        Case("print(run_code)", None, "last line"),
        Case("print('a'", None, "last line"),
        Case("import sys\nprint(sys.flags.isolated, 'utf8' in sys._xoptions)"),
        Case(f"import sys\nprint(sys.prefix == {sys.prefix!r})"),
        Case("import sys\nsys.stdout.buffer.write(b'caf\\xe9')", None, "beginning"),
        Case(FOLDER, None, "folder", label=f"run_code({FOLDER!r})  # twice"),
        Case(
            SPIN,
            1,
            "limit",
            label="run_code('while True: pass', seconds=1)\n"
            "# (the check ends the program after 1.7 seconds, if nobody else does)",
        ),
        Case(SLEEP, 0.6, "limit", label=f"run_code({SLEEP!r}, seconds=0.6)"),
        Case(""),
    ],
    mistakes=[
        Mistake(
            "in_this_process",
            "The program runs inside your notebook (`exec`, `eval`), where it can reach and break "
            "everything. Start a process of its own: `subprocess.run([sys.executable, …])`.",
            mutants.in_this_process,
        ),
        Mistake(
            "errors_not_seen",
            "What goes to standard error is missing from the output. Join it to the rest: "
            "`stderr=subprocess.STDOUT`.",
            ran(run=streams(lambda out, err: out)),
        ),
        Mistake(
            "errors_behind",
            "All errors stand behind everything else, whenever they came. To keep the order let "
            "both go into one pipe: `stderr=subprocess.STDOUT`.",
            ran(run=streams(lambda out, err: out + err)),
        ),
        Mistake(
            "errors_in_front",
            "All errors stand in front of everything else, whenever they came. To keep the order "
            "let both go into one pipe: `stderr=subprocess.STDOUT`.",
            ran(run=streams(lambda out, err: err + out)),
        ),
        Mistake(
            "one_of_the_two_streams",
            "You return either what was printed or the errors. Both belong into the output, in "
            "order: `stderr=subprocess.STDOUT`.",
            ran(run=streams(lambda out, err: err or out)),
        ),
        Mistake(
            "no_time_limit",
            "You wait until the program ends, or for another time than was asked for, and one in a "
            "loop never ends. Give `timeout=seconds` to `subprocess.run`.",
            ran(run=of_these(mutants.no_time_limit, "time.sleep")),
        ),
        Mistake(
            "timeout_raised",
            "When the time is up `subprocess.run` raises `TimeoutExpired`, and you let it through. "
            'Catch it and return `"time"`.',
            mutants.raises_at_timeout,
        ),
        Mistake(
            "error_for_time",
            'A program whose time is up gets the status `"error"`. It is `"time"`.',
            ran(finish=lambda s, output: ("error" if s == "time" else s, output)),
        ),
        Mistake(
            "another_word_for_time",
            'The word for a program whose time is up is `"time"`.',
            ran(finish=lambda s, output: ("timeout" if s == "time" else s, output)),
        ),
        Mistake(
            "none_at_the_limit",
            "When the time is up and nothing was printed, the output is `None` in yours. It is a "
            'string in every case: `""`.',
            ran(finish=lambda s, output: (s, None if s == "time" else output)),
        ),
        Mistake(
            "bytes_at_the_limit",
            "When the time is up the output is made of bytes, or `None`: so it is in "
            '`error.stdout`, even with `text=True`. Return `"time", ""`, or decode it.',
            mutants.as_it_is_at_timeout(),
        ),
        Mistake(
            "bytes_at_the_limit_if_any",
            "When the time is up the output is made of bytes: so it is in `error.stdout`, even "
            'with `text=True`. Return `"time", ""`, or decode it.',
            mutants.as_it_is_at_timeout(""),
        ),
        Mistake(
            "not_killed",
            "The program still runs after its time is up. `subprocess.run` kills it by itself; "
            "with `Popen` you have to: `process.kill()`.",
            ran(run=of_these(mutants.not_killed, "while True")),
        ),
        Mistake(
            "waits_before_reading",
            "A program that prints much gets no further in yours: a pipe holds some 64,000 bytes, "
            "and you wait for the end before you read. `communicate` or `subprocess.run` reads "
            "along.",
            ran(run=of_these(mutants.waits_before_reading, "60_000")),
        ),
        Mistake(
            "waits_without_a_limit",
            "You wait until the program ends (`wait()`), without a limit and before you read: one "
            "that prints much waits for you, too. `communicate(timeout=seconds)` reads along.",
            mutants.waits_without_a_limit,
        ),
        Mistake(
            "exit_code_for_the_status",
            'You return the exit code. The status is a word: `"ok"` for 0, `"error"` for any '
            "other.",
            ran(status=lambda code, output: "time" if code is None else code),
        ),
        Mistake(
            "always_ok",
            'Every program that ends is `"ok"` in yours. Look at `returncode`: only 0 is.',
            ran(status=lambda code, output: "time" if code is None else "ok"),
        ),
        Mistake(
            "only_exit_code_1",
            'Only exit code 1 is an `"error"` in yours. Every code other than 0 is one.',
            ran(status=lambda code, output: mutants.status_of(code and code == 1, output)),
        ),
        Mistake(
            "killed_is_ok",
            'A program that was killed has a *negative* exit code, and is `"ok"` in yours. Only '
            "0 is.",
            ran(status=lambda code, output: mutants.status_of(code and code > 0, output)),
        ),
        Mistake(
            "errors_raised",
            "You let an exit code other than 0 become an error of your own (`check=True`). Return "
            '`"error"`.',
            mutants.raises_at_errors,
        ),
        Mistake(
            "not_cut",
            "The output is not cut: a program may print without end. Keep the first 2,000 "
            "characters, `[:2000]`.",
            ran(text=lambda output: output.decode("utf-8", "replace")),
        ),
        Mistake(
            "end_kept",
            "You keep the last 2,000 characters. Keep the first, `[:2000]`.",
            ran(text=lambda output: output.decode("utf-8", "replace")[-2000:]),
        ),
        Mistake(
            "bytes_counted",
            "You cut after 2,000 *bytes*, and `é` takes two of them. Decode first, then cut.",
            ran(text=lambda output: output[:2000].decode("utf-8", "replace")),
        ),
        Mistake(
            "returns_bytes",
            'The output is made of bytes. Decode it: `.decode("utf-8", "replace")`.',
            ran(text=lambda output: output[:2000]),
        ),
        Mistake(
            "strict_decoding",
            "A program may print bytes that are no UTF-8, and decoding stops with an error there. "
            'Say `.decode("utf-8", "replace")`, or `errors="replace"`.',
            ran(text=lambda output: output.decode("utf-8")[:2000]),
        ),
        Mistake(
            "stripped",
            "You strip the output. Return it as it came, with the new line at its end.",
            ran(text=lambda output: mutants.text_of(output).strip()),
        ),
        Mistake(
            "keyboard_read",
            "The program reads from your own standard input, and would wait for somebody to type. "
            "Give it none: `stdin=subprocess.DEVNULL`.",
            ran(run=of_these(mutants.with_the_keyboard, "input()")),
        ),
        Mistake(
            "in_the_notebooks_folder",
            "The program works in the folder of your notebook, and can overwrite what is there. "
            "Give it an empty one: `with tempfile.TemporaryDirectory() as folder`, `cwd=folder`.",
            ran(run=of_these(mutants.in_the_notebooks_folder, "left_behind")),
        ),
        Mistake(
            "one_folder_for_all",
            "A second program finds what the first has left. Make a new folder for each: "
            "`with tempfile.TemporaryDirectory() as folder`.",
            ran(run=of_these(mutants.in_one_folder_for_all, "left_behind")),
        ),
        Mistake(
            "program_in_its_folder",
            "The folder is not empty when the program starts: the program itself lies in it. Hand "
            'the code over without a file, behind `"-c"`, or put the file elsewhere.',
            ran(run=of_these(mutants.beside_its_own_file, "left_behind")),
        ),
        Mistake(
            "notebook_moved",
            "You go into another folder (`os.chdir`) and take the whole notebook with you. Give "
            "the folder to the program alone: `cwd=folder`.",
            mutants.moves_the_notebook,
        ),
        Mistake(
            "folder_left_behind",
            "Something is left behind when the program has ended: a folder or a file. "
            "`with tempfile.TemporaryDirectory() as folder` removes what is in it.",
            ran(run=of_these(mutants.in_a_folder_that_stays, "left_behind")),
        ),
        Mistake(
            "through_a_shell",
            "A shell reads the program first, and stumbles over quotes, `$` and backquotes. Give a "
            'list without `shell=True`: `[sys.executable, …, "-c", code]`.',
            ran(run=mutants.through_a_shell),
        ),
        Mistake(
            "another_python",
            "You start whatever Python is found first, and it may be another than the notebook's. "
            "`sys.executable` is the one that runs here.",
            ran(run=of_these(mutants.another_python, "sys.prefix")),
        ),
        Mistake(
            "not_isolated",
            "The program still sees your settings and your installed folders: `-I` is missing.",
            ran(run=mutants.with_flags("-X", "utf8")),
        ),
        Mistake(
            "not_utf8",
            "On some machines it would print in another encoding: `-X utf8` is missing (`-I` makes "
            "Python deaf to `PYTHONIOENCODING`).",
            ran(run=mutants.with_flags("-I")),
        ),
        Mistake(
            "neither_isolated_nor_utf8",
            "Two options are missing behind `sys.executable`: `-I` keeps your settings out, and "
            "`-X utf8` makes it print UTF-8 everywhere.",
            ran(run=mutants.with_flags()),
        ),
    ],
    hints=[
        '`subprocess.run([sys.executable, "-I", "-X", "utf8", "-c", code], …)` runs it. Four more '
        "arguments say where its input and output are, how long it may take, and in which folder.",
        "`stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, "
        "timeout=seconds, cwd=folder`, all inside `with tempfile.TemporaryDirectory() as folder`.",
        'Around it `try … except subprocess.TimeoutExpired: return "time", ""`; then '
        '`"error" if done.returncode else "ok"`, and `done.stdout.decode("utf-8", '
        '"replace")[:2000]`.',
    ],
)
