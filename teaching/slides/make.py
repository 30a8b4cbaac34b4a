"""Makes a deck of slides of every lesson: `python -m teaching.slides.make FOLDER [LESSON ...]`."""

import argparse
import shutil
import sys
from html import escape
from importlib.util import find_spec
from pathlib import Path

from nbconvert import SlidesExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from teaching.lessons import ROOT, solved, stems, stubs
from teaching.slides.deck import deck

REVEAL = ("dist/reset.css", "dist/reveal.css", "dist/reveal.js", "dist/theme", "plugin/notes")
INDEX = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Slides</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 1.1rem/1.7 sans-serif; margin: 2rem auto;
max-width: 40rem; padding: 0 1rem }}</style>
<h1>Slides</h1>
<p>Arrows turn the pages, S opens the speaker's notes, O shows all slides.</p>
<ul>
{}
</ul></html>
"""


def exporter() -> SlidesExporter:
    """nbconvert's exporter of slides, with the course's template and reveal.js beside the decks."""
    made = SlidesExporter(
        extra_template_basedirs=[str(ROOT / "teaching/slides/template")],
        template_name="course_slides",
        reveal_url_prefix="reveal",
        reveal_theme="white",
    )
    made.register_preprocessor(CoalesceStreamsPreprocessor(), enabled=True)
    return made


def copy_libraries(folder: Path) -> None:
    """Copy reveal.js and MathJax out of the packages that bring them."""
    package = Path(find_spec("sphinx_revealjs").origin).parent / "_static/revealjs"
    mathjax = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax/tex-svg.js"
    for name in REVEAL:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (package / name).is_dir():
            shutil.copytree(package / name, folder / name, dirs_exist_ok=True)
        else:
            shutil.copy(package / name, folder / name)
    shutil.copy(mathjax, folder)


def main(folder: Path, only: list[str]) -> None:
    """Write the decks, what they need, and a page that lists them.

    Raises:
        SystemExit: a lesson in `only` is not there.
    """
    chosen = [stem for stem in stems() if not only or {stem, stem[:2]} & set(only)]
    if not chosen:
        sys.exit(f"There is no lesson {', '.join(only)}. There are: {', '.join(stems())}.")
    for old in set(folder.glob("*.html")) - {folder / f"{stem}.html" for stem in stems()}:
        old.unlink()
    copy_libraries(folder / "reveal")
    to_html, items = exporter(), []
    for stem in stems():
        notebook, file = solved(stem), folder / f"{stem}.html"
        title = notebook.cells[0].source.split("\n")[0].removeprefix("# ")
        if stem in chosen:
            notebook.metadata["title"] = title
            html, _ = to_html.from_notebook_node(deck(notebook, stubs(stem)))
            file.write_text(html, "utf-8")
        if file.exists():
            items.append(f'<li><a href="{file.name}">{escape(title)}</a></li>')
    (folder / "index.html").write_text(INDEX.format("\n".join(items)), "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the decks go")
    parser.add_argument("lessons", nargs="*", help='only these ("04"); otherwise all')
    arguments = parser.parse_args()
    main(arguments.folder, arguments.lessons)
