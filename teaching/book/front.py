"""The front page: README.md's opening and its list of lessons, each with a picture."""

import re

from nbformat import NotebookNode

ROW = re.compile(
    r"^\| \[(?P<title>.+?)\]\(notebooks/(?P<stem>\w+)\.ipynb\)"
    r" \| (?P<minutes>\d+) \| (?P<build>.+?) \| (?P<proved>.+?) \|$",
    re.MULTILINE,
)
CARD = """\
:::{{container}} card
{picture}

**[{title}](lessons/{stem}.ipynb)** · {minutes} minutes

{build}

Proved equal to {proved}
:::
"""


def largest_picture(notebook: NotebookNode) -> tuple[str, str] | None:
    """The lesson's picture with most in it: of all PNG outputs the one with most bytes.

    Returns:
        The picture in base 64 and its alt text; None if the lesson has no picture.
    """
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    found = [
        (output.data["image/png"], output.metadata["image/png"]["alt"])
        for output in outputs
        if "image/png" in output.get("data", {})
    ]
    return max(found, key=lambda picture: len(picture[0]), default=None)


def page(template: str, readme: str, stems: list[str], pictures: dict[str, tuple[str, str]]) -> str:
    """The front page.

    Args:
        template: front.md; `{opening}` and `{lessons}` stand where README's words shall come.
        readme: README.md.
        stems: the lessons' names.
        pictures: of each lesson that has one: its file and its alt text.

    Raises:
        ValueError: README's table does not list the lessons.
    """
    rows = {row["stem"]: row for row in ROW.finditer(readme)}
    if list(rows) != stems:
        odd = ", ".join(sorted(set(rows) ^ set(stems))) or "the order"
        raise ValueError(
            f"README.md's table of lessons and solutions/ differ in {odd}. A row reads: "
            "| [NN Title](notebooks/NN_name.ipynb) | minutes | you build | proved equal to |"
        )
    cards = []
    for stem, row in rows.items():
        file, alt = pictures.get(stem, ("", ""))
        picture = f"![{alt}]({file})" if file else ""
        words = row.groupdict() | {"build": row["build"][0].upper() + row["build"][1:]}
        cards.append(CARD.format(picture=picture, **words))
    grid = "\n".join(["::::{container} cards", *cards, "::::"])
    return template.replace("{opening}", opening(readme)).replace("{lessons}", grid)


def opening(readme: str) -> str:
    """README's title and what stands between it and its first picture.

    Raises:
        ValueError: README.md does not begin with a title, or has no picture below it.
    """
    found = re.match(r"(# .+?)\n\n!\[", readme, re.DOTALL)
    if not found:
        raise ValueError("README.md should begin with a title (# …), some words, and a picture.")
    return found[1]
