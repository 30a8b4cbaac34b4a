"""Where a class stands: `python -m utils.class_view FOLDER [--names] [--once]`.

FOLDER holds a folder for each learner with their progress file in it (on a hub, their
`COURSE_HOME`), or copies of these files. Every five seconds it is read again and shown: for each
exercise how many are right and how many are stuck, and which mistakes were made last. Nothing is
sent, and no learner's file is changed. Names are shown only if they are asked for.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from utils.checks import catalogue

SECONDS = 5


@dataclass
class Standing:
    """What the checks of one exercise have said to one learner: best status, last mistake."""

    status: str = ""
    mistake: str | None = None
    tries: int = 0


def read(folder: Path) -> dict[str, dict[str, Standing]]:
    """Where each learner stands: learner -> exercise's key -> `Standing`.

    Lines that cannot be read (half-written, or damaged) are passed over.

    Raises:
        ValueError: there is no such folder, or no progress file in it.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}. Give the one that holds the learners'.")
    files = sorted({*folder.glob("*/progress.jsonl"), *folder.glob("*.jsonl")})
    if not files:
        raise ValueError(
            f"There is no progress file in {folder}. Each learner's COURSE_HOME should be a "
            "folder in it, with a file progress.jsonl once a check was run."
        )
    return {_learner(file): _standings(file) for file in files}


def _learner(file: Path) -> str:
    return file.parent.name if file.name == "progress.jsonl" else file.stem


def _standings(file: Path) -> dict[str, Standing]:
    found: dict[str, Standing] = {}
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            entry = json.loads(line)
            key, status, mistake = entry["key"], entry["status"], entry.get("mistake")
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        if not (isinstance(key, str) and isinstance(status, str)) or status == "shown":
            continue  # "shown": a solution was looked at, and nothing was checked
        one = found.setdefault(key, Standing())
        one.tries += 1
        if one.status != "right":  # once right, it stays right
            one.status, one.mistake = status, mistake if isinstance(mistake, str) else None
    return found


def table(room: dict[str, dict[str, Standing]], names: bool = False) -> Iterator[str]:
    """Lines of text: a head, and one for each exercise that somebody has tried.

    Args:
        room: as `read` gives it.
        names: also who is stuck, and after how many tries.
    """
    yield f"{len(room)} learners                       right  stuck  not begun  most often"
    for exercise in catalogue():
        tried = {who: own[exercise.key] for who, own in room.items() if exercise.key in own}
        if not tried:
            continue
        stuck = {who: one for who, one in tried.items() if one.status != "right"}
        mistakes = Counter(_said(one) for one in stuck.values())
        often = ", ".join(f"{n} × {name}" for name, n in mistakes.most_common(3))
        title = f"{exercise.number} {exercise.name}"
        counts = f"{len(tried) - len(stuck):5}  {len(stuck):5}  {len(room) - len(tried):9}"
        yield f"{title:<32} {counts}  {often}".rstrip()
        if names and stuck:
            yield "    " + ", ".join(f"{who} ({one.tries})" for who, one in sorted(stuck.items()))


def _said(one: Standing) -> str:
    if one.status == "raised":
        return "an error"
    return (one.mistake or "no known mistake").replace("_", " ")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="holds a folder for each learner")
    parser.add_argument("--names", action="store_true", help="say who is stuck")
    parser.add_argument("--once", action="store_true", help="show it once, and end")
    asked = parser.parse_args(arguments)
    try:
        while True:
            page = "\n".join(table(read(asked.folder), asked.names))
            print(page if asked.once else f"\033[2J\033[H{page}", flush=True)
            if asked.once:
                return 0
            time.sleep(SECONDS)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
