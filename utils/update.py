"""Bring the newest version of the course and lose nothing: `python -m utils.update`.

A notebook that you worked in cannot be merged with its new version: git would leave its marks in
the middle of the file, and no editor opens it any more. So yours are first kept as copies in
`my-notebooks/`, which git passes over, then put back as they came, and then git pulls.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


class CannotUpdate(Exception):
    """The course stays as it was; the message says why and what to do."""


def update(root: Path = ROOT) -> list[Path]:
    """Keep changed notebooks as copies, then pull.

    Args:
        root: the course's folder.

    Returns:
        The copies; none if no notebook was changed.

    Raises:
        CannotUpdate: there is no git, or git could not pull; everything is as it was before.
    """
    changed = _changed(root)
    folder = root / "my-notebooks" / time.strftime("%Y-%m-%d_%H%M%S")
    copies = [_copy(root / name, folder) for name in changed]
    if changed:
        _git(root, "checkout", "HEAD", "--", *changed)
    try:
        _git(root, "pull", "--ff-only", "--quiet")
    except CannotUpdate:
        for name, copy in zip(changed, copies, strict=True):
            shutil.copy2(copy, root / name)
        raise
    return copies


def _changed(root: Path) -> list[str]:
    """Notebooks that are not as git knows them (new ones of the reader's own are not touched)."""
    lines = _git(root, "status", "--porcelain", "-uno", "-z", "--", "notebooks").split("\0")
    names = [line[3:] for line in lines if line[:2].strip() and line.endswith(".ipynb")]
    return [name for name in names if (root / name).is_file()]


def _copy(notebook: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy2(notebook, folder))


def _git(root: Path, *command: str) -> str:
    try:
        run = subprocess.run(
            ["git", "-C", str(root), *command], capture_output=True, text=True, encoding="utf-8"
        )
    except FileNotFoundError:
        raise CannotUpdate(
            "There is no git on this machine. Download the new version beside this folder, and "
            "copy your notebooks over."
        ) from None
    if run.returncode:
        raise CannotUpdate(
            f"git {command[0]} said: {run.stderr.strip()}\nYour notebooks are as they were. If "
            "this folder was not made by `git clone`, download the new version beside it."
        )
    return run.stdout


def main() -> int:
    """Update, and say where the copies are."""
    try:
        copies = update()
    except CannotUpdate as error:
        print(error, file=sys.stderr)
        return 1
    print("The course is up to date.")
    if copies:
        print(f"Your notebooks are kept in {copies[0].parent}:")
        print(*(f"  {copy.name}" for copy in copies), sep="\n")
        print("They open as they are; to go on in the new version, copy your answers over.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
