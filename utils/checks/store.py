"""What the learner has done so far: one line of JSON for each check, in a file that only grows.

A crash can damage no more than the line being written, and nothing written before is touched.
The file also keeps the source of each answer: it is found there if a notebook is lost.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_data_dir

from utils.checks.panel import Panel, show

_said = set()

# Lessons 14 to 17 became 15 to 18: what was done under the old keys is found under the new ones.
_MOVED = {
    f"{old}.{name}": f"{old + 1}.{name}"
    for old, names in {
        14: "patchify SequenceClassifier log_mel tubelets code_tokens",
        15: "similarity info_nce family recall_at_k zero_shot",
        16: "early_fusion late_fusion CrossAttentionFusion GatedCrossAttention "
        "question_only_accuracy",
        17: "Projector splice_embeddings word_loss answer_ids caption_labels freeze",
    }.items()
    for name in names.split()
}


def folder() -> Path:
    """The learner's data folder: `COURSE_HOME`, or the place that the system has for it."""
    chosen = os.environ.get("COURSE_HOME")
    return Path(chosen).expanduser() if chosen else Path(user_data_dir("attention-course", False))


def record(key: str, status: str, mistake: str | None, source: str) -> None:
    """Add one result. Where the folder cannot be written, say so once and go on."""
    line = {"key": key, "status": status, "mistake": mistake, "source": source}
    line["time"] = time.strftime("%Y-%m-%dT%H:%M:%S")
    path = folder() / "progress.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=5), open(path, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a crash cut the last line short: start a new one
                    file.write(b"\n")
            file.write(json.dumps(line).encode() + b"\n")
    except (OSError, Timeout) as error:
        if path not in _said:
            _said.add(path)
            text = f"Your progress could not be kept in {path.parent} ({error}). "
            text += "The check itself worked. Set COURSE_HOME to a folder that you may write to."
            show(Panel("hint", "Progress not kept", text))


def entries() -> Iterator[dict]:
    """What was recorded, in its order, each with "key" and "status", under today's keys.

    Lines that cannot be read are passed over.
    """
    try:
        lines = (folder() / "progress.jsonl").read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
            key, status = entry["key"], entry["status"]
        except (ValueError, TypeError, KeyError):
            continue
        if isinstance(key, str) and isinstance(status, str):
            yield {**entry, "key": _MOVED.get(key, key)}


def results() -> dict[str, str]:
    """The best status so far of each exercise that was tried: key -> "right", "wrong", "raised"."""
    best: dict[str, str] = {}
    for entry in entries():
        if entry["status"] != "shown" and best.get(entry["key"]) != "right":
            best[entry["key"]] = entry["status"]
    return best
