"""Writes what Sphinx makes the web book of: `python -m teaching.book.gather FOLDER`.

Everything comes from somewhere else: the lessons from solutions/, the notebooks to download from
notebooks/, the opening and the list of lessons from README.md, the mistakes from the checks.
"""

import argparse
import base64
import sys
from pathlib import Path

import nbformat

from teaching.book import front, glossary, mistakes, pages
from teaching.lessons import ROOT, solved, stems, stubs


def gathered() -> dict[str, bytes]:
    """Every file of the book's source, by its name.

    Raises:
        ValueError: README.md or the glossary does not fit the lessons; says what to mend.
    """
    from utils import checks  # loads torch, and takes some seconds

    files: dict[str, str | bytes] = {}
    pictures: dict[str, tuple[str, str]] = {}
    for stem in stems():
        if picture := front.largest_picture(solved(stem)):
            png, alt = picture
            files[f"pictures/{stem}.png"] = base64.b64decode(png)
            pictures[stem] = (f"pictures/{stem}.png", alt)
        files[f"notebooks/{stem}.ipynb"] = (ROOT / f"notebooks/{stem}.ipynb").read_bytes()
        page = pages.page(solved(stem), stubs(stem), stem)
        files[f"lessons/{stem}.ipynb"] = nbformat.writes(page)
    readme = (ROOT / "README.md").read_text("utf-8")
    own = ROOT / "teaching/book"
    opening = (own / "front.md").read_text("utf-8")
    files["index.md"] = front.page(opening, readme, stems(), pictures)
    files["glossary.md"] = glossary.page((own / "glossary.md").read_text("utf-8"), stems())
    files |= mistakes.pages(checks.lessons(), checks.catalogue())
    return {
        name: text if isinstance(text, bytes) else text.encode() for name, text in files.items()
    }


def write(files: dict[str, bytes], folder: Path) -> None:
    """Make a folder hold these files and no others; what has not changed keeps its date."""
    for path in [*folder.rglob("*")]:
        if path.is_file() and path.relative_to(folder).as_posix() not in files:
            path.unlink()
    for name, content in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that nothing else is kept in")
    try:
        write(gathered(), parser.parse_args().folder)
    except ValueError as error:
        sys.exit(f"The book cannot be made: {error}")
