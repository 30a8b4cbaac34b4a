"""`python -m utils.update`: the newest course, and nothing of the learner's lost."""

import subprocess

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from utils.update import CannotUpdate, update


def git(folder, *command):
    name = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    run = subprocess.run(
        ["git", "-C", str(folder), *name, *command], capture_output=True, text=True, check=True
    )
    return run.stdout


def write(folder, source):
    (folder / "notebooks").mkdir(exist_ok=True)
    cell = new_code_cell(source, id="answer")
    nbformat.write(new_notebook(cells=[cell]), folder / "notebooks/01_attention.ipynb")


def answer(path):
    return nbformat.read(path, as_version=4).cells[0].source


@pytest.fixture
def author(tmp_path):
    folder = tmp_path / "author"
    folder.mkdir()
    git(folder, "init", "--quiet")
    write(folder, "raise NotImplementedError")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


@pytest.fixture
def learner(author, tmp_path):
    git(tmp_path, "clone", "--quiet", str(author), "learner")
    return tmp_path / "learner"


def test_both_changed_the_same_cell(author, learner):
    write(learner, "return q @ k.T  # mine")
    (learner / "notebooks/notes.ipynb").write_text("my own notebook, not the course's")
    write(author, "raise NotImplementedError  # the author's")
    git(author, "commit", "--quiet", "-am", "second")
    (copy,) = update(learner)
    assert answer(copy) == "return q @ k.T  # mine"
    assert answer(learner / "notebooks/01_attention.ipynb").endswith("# the author's")
    assert (learner / "notebooks/notes.ipynb").read_text().startswith("my own")
    assert update(learner) == []


def test_a_staged_change_is_kept_too(author, learner):
    write(learner, "return q @ k.T  # mine")
    git(learner, "add", "notebooks")
    write(author, "raise NotImplementedError  # the author's")
    git(author, "commit", "--quiet", "-am", "second")
    (copy,) = update(learner)
    assert answer(copy).endswith("# mine")


def test_nothing_changes_where_git_cannot_pull(author, learner):
    write(learner, "return q @ k.T  # mine")
    author.rename(author.with_name("gone"))
    with pytest.raises(CannotUpdate, match="Your notebooks are as they were"):
        update(learner)
    assert answer(learner / "notebooks/01_attention.ipynb").endswith("# mine")


def test_a_folder_that_git_does_not_know(tmp_path):
    (tmp_path / "notebooks").mkdir()
    with pytest.raises(CannotUpdate, match="download the new version beside it"):
        update(tmp_path)
