"""Code that a model wrote runs apart: nothing that it does reaches us, and each limit holds."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from utils import runner


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("print(6 * 7)", "ok", "42"),
        ("print('é日🙂')", "ok", "é日🙂"),
        ("", "ok", ""),
        ("import random, re, math, collections, itertools; print('fine')", "ok", "fine"),
        ("import os; os._exit(0)", "ok", ""),
        ("1 / 0", "error", "ZeroDivisionError"),
        ("def f(:", "error", "SyntaxError"),
        ("import sys; sys.exit(3)", "error", ""),
        ("input()", "error", "EOFError"),
        ("while True: pass", "time", ""),
        ("import time; time.sleep(60)", "time", ""),
        ("x = [0] * 10**10", "memory", "MemoryError"),
        ("while True: print('x' * 1000)", "output", "xxx"),
        ("import os\nwhile True: os.fork()", "error", "PermissionError"),
        ("import subprocess; subprocess.run(['ls'])", "error", "PermissionError"),
        ("import os; os.system('ls')", "error", "PermissionError"),
        ("import os; os.kill(os.getppid(), 9)", "error", "PermissionError"),
        ("open('there', 'w').write('x')", "error", "PermissionError"),
        ("import os; os.open('there', os.O_CREAT)", "error", "PermissionError"),
        ("import pathlib; pathlib.Path('there').touch()", "error", "PermissionError"),
        ("import os; os.remove('/tmp/nothing')", "error", "PermissionError"),
        ("import socket; socket.socket()", "error", "PermissionError"),
        ("import urllib.request as u; u.urlopen('http://127.0.0.1')", "error", "Error"),
        ("import ctypes", "error", "PermissionError"),
        ("print(status)", "error", "NameError"),
    ],
)
def test_what_becomes_of_a_run(code, status, said):
    start = time.monotonic()
    ran = runner.run(code, seconds=1)
    assert ran.status == status, ran
    assert said in ran.output
    assert len(ran.output.encode()) <= 20 << 10
    assert time.monotonic() - start < 30


def test_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    runner.run("print('x' * 100)")
    runner.run("while True: pass", seconds=1)
    assert list(tmp_path.iterdir()) == [] and not Path("there").exists()


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process gets a new parent here")
def test_it_goes_with_the_kernel(tmp_path):
    code = "from utils import runner; runner.run('import time; time.sleep(500)', seconds=100)"
    kernel = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    while not list(tmp_path.glob("course-run-*/output")):
        time.sleep(0.05)
    (child,) = psutil.Process(kernel.pid).children()
    time.sleep(0.5)
    kernel.kill()
    kernel.wait()
    child.wait(timeout=10)
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_refused_in_words():
    with pytest.raises(TypeError, match="give the program as a string"):
        runner.run(None)
    for limits in ({"seconds": 0}, {"megabytes": -1}, {"kilobytes": 1.5}):
        with pytest.raises(ValueError, match="whole numbers from 1"):
            runner.run("", **limits)
