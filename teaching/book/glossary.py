"""The glossary: from the table in glossary.md to entries that a page can link to."""

import re

ROW = re.compile(
    r"^\| (?P<term>[^|]+) \| (?P<chinese>[^|]+) \| (?P<says>.+) \| (?P<lesson>\d\d) \|$"
)
HEAD = "| term | 中文 | in this course | lesson |"


def rows(text: str) -> list[dict[str, str]]:
    """The rows of the table of terms: term, chinese, says, lesson.

    Raises:
        ValueError: there is no such table, or a row does not have its form; says which.
    """
    lines = text.splitlines()
    if HEAD not in lines:
        raise ValueError(f"teaching/book/glossary.md has no table that begins with {HEAD}")
    found = []
    for line in lines[lines.index(HEAD) + 2 :]:
        if not line.startswith("|"):
            break
        if not (row := ROW.match(line)):
            raise ValueError(f"glossary.md: a row is {HEAD}, as in | … | 01 |, and not {line}")
        found.append(row.groupdict())
    return found


def page(text: str, stems: list[str]) -> str:
    """The page: the table's rows, sorted, as a Sphinx glossary; all else as it is.

    Args:
        text: glossary.md.
        stems: the lessons' names.

    Raises:
        ValueError: the table is not as it should be, or a lesson that it names is not there.
    """
    lessons = {stem[:2]: stem for stem in stems}
    entries = []
    for row in sorted(rows(text), key=lambda row: row["term"].lower()):
        if row["lesson"] not in lessons:
            raise ValueError(f"glossary.md: {row['term']}: there is no lesson {row['lesson']}.")
        link = f"[Lesson {row['lesson']}](lessons/{lessons[row['lesson']]}.ipynb)"
        chinese = f'<span lang="zh">{row["chinese"]}</span>'
        entries.append(f"{row['term']}\n  {chinese} · {row['says']} {link}\n")
    glossary = "\n".join(["```{glossary}", *entries, "```"])
    table = re.compile(re.escape(HEAD) + r"\n(\|.*\n?)+")
    return table.sub(lambda _: f"{glossary}\n", text)
