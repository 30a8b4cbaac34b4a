"""What `make` does before the course opens: which Python, a half-made one, a moved folder."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


@pytest.fixture
def course(tmp_path):
    """A course of one package and no requirements, so that setting it up takes seconds."""
    folder = tmp_path / "course"
    (folder / "utils").mkdir(parents=True)
    (folder / "utils/__init__.py").touch()
    for name in "Makefile", "pyproject.toml":
        shutil.copy(ROOT / name, folder)
    (folder / "requirements.txt").touch()
    return folder


# What an outer `make test` hands on, such as another VENV, is none of the inner one's business.
OUTER = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "VENV", "PYTHON")
OWN = {name: value for name, value in os.environ.items() if name not in OUTER}


def make(folder, *arguments):
    command = ["make", "-C", str(folder), f"PYTHON={sys.executable}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=OWN)


def test_another_python_is_told_before_anything_is_made(course):
    old = course / "python3.10"
    old.write_text("#!/bin/sh\n[ $1 = --version ] && echo Python 3.10.12\nexit 1\n")
    old.chmod(0o755)
    run = make(course, f"PYTHON={old}", ".venv/learner")
    assert run.returncode and "needs Python 3.11, 3.12 or 3.13" in run.stdout
    assert "is Python 3.10.12" in run.stdout and "make lab PYTHON=python3.12" in run.stdout
    assert not (course / ".venv").exists()


def test_a_python_that_is_not_there(course):
    run = make(course, "PYTHON=python-of-nobody", ".venv/learner")
    assert run.returncode and "make lab PYTHON=python3.12" in run.stdout


def test_a_half_made_environment_is_made_afresh(course):
    (course / ".venv/bin").mkdir(parents=True)
    (course / ".venv/bin/python").write_text("the Python of an earlier try")
    assert make(course, ".venv/learner").returncode == 0
    assert make(course, ".venv/learner").stdout.count("is up to date.") == 1


@pytest.mark.parametrize("waiting_for", [".venv/bin/python", ".venv/made"])
def test_interrupted_and_asked_again(course, waiting_for):
    """Killed while the environment is made, and while pip is at work."""
    command = ["make", "-C", str(course), f"PYTHON={sys.executable}", ".venv/learner"]
    run = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=OWN,
    )
    until = time.monotonic() + 60
    while not (course / waiting_for).exists() and time.monotonic() < until:
        time.sleep(0.005)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (course / ".venv/learner").exists()
    again = make(course, ".venv/learner")
    assert again.returncode == 0, again.stderr
    found = subprocess.run([course / ".venv/bin/python", "-c", "import utils"], cwd="/")
    assert found.returncode == 0


def test_a_renamed_folder_is_set_up_again(course):
    assert make(course, ".venv/learner").returncode == 0
    moved = course.with_name("moved")
    course.rename(moved)
    again = make(moved, ".venv/learner")
    assert again.returncode == 0, again.stderr
    code = "import utils; print(utils.__file__)"
    run = subprocess.run([moved / ".venv/bin/python", "-c", code], capture_output=True, cwd="/")
    assert run.stdout.decode().strip() == str(moved / "utils/__init__.py")
