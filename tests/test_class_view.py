"""The teacher's view of a class."""

import json
import time

import pytest

from utils import class_view


def write(folder, *entries, tail=b""):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"time": "2026-01-01T10:00:00", "source": "", **e}) for e in entries]
    (folder / "progress.jsonl").write_bytes("\n".join(lines).encode() + b"\n" + tail)


def entry(key, status, mistake=None):
    return {"key": key, "status": status, "mistake": mistake}


@pytest.fixture
def room(tmp_path):
    write(
        tmp_path / "ann",
        entry("01.scores", "wrong", "k_not_transposed"),
        entry("01.scores", "right"),
    )
    write(
        tmp_path / "bob",
        entry("01.scores", "wrong", "k_not_transposed"),
        entry("01.softmax", "raised"),
    )
    write(tmp_path / "eve", entry("01.scores", "wrong"), tail=b'{"key": "01.scores", "sta')
    return tmp_path


def test_counts_and_no_names(room, capsys):
    assert class_view.main([str(room), "--once"]) == 0
    said = capsys.readouterr().out
    head, scores, softmax = said.splitlines()
    assert head.startswith("3 learners")
    assert scores.split()[:5] == ["1.1", "scores", "1", "2", "0"]
    assert "1 × k not transposed" in scores and "1 × no known mistake" in scores
    assert softmax.split()[:5] == ["1.2", "softmax", "0", "1", "2"] and "1 × an error" in softmax
    assert not any(name in said for name in ("ann", "bob", "eve"))


def test_names_if_asked_for(room, capsys):
    class_view.main([str(room), "--once", "--names"])
    assert "bob (1), eve (1)" in capsys.readouterr().out


def test_once_right_stays_right(tmp_path):
    write(tmp_path / "ann", entry("01.scores", "right"), entry("01.scores", "wrong", "cosine"))
    assert class_view.read(tmp_path)["ann"]["01.scores"].status == "right"


def test_damaged_files_harm_nobody(room):
    (room / "bad").mkdir()
    (room / "bad/progress.jsonl").write_bytes(b'\xff\xfe\n[1]\n{"key": 3, "status": []}\nnull\n')
    assert class_view.read(room)["bad"] == {}
    (room / "copy.jsonl").write_bytes((room / "ann/progress.jsonl").read_bytes())
    assert "copy" in class_view.read(room), "a copied file is named after itself"


@pytest.mark.parametrize("name", ["none", "."])
def test_a_wrong_folder_is_told(tmp_path, capsys, name):
    assert class_view.main([str(tmp_path / name), "--once"]) == 1
    said = capsys.readouterr().err
    assert "There is no folder" in said if name == "none" else "COURSE_HOME" in said


def test_two_hundred_learners_in_a_second(tmp_path):
    for i in range(200):
        keys = ("01.scores", "01.softmax", "01.attention", "02.causal_mask")
        write(tmp_path / f"learner{i}", *(entry(k, "wrong", "x") for k in keys for _ in range(10)))
    class_view.catalogue()  # loads the lessons, once
    start = time.process_time()
    lines = list(class_view.table(class_view.read(tmp_path)))
    assert len(lines) == 5 and time.process_time() - start < 1
