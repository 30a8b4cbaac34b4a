"""The atlas of mistakes: every exercise's known mistakes, as its check names them."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from utils.checks.engine.exercise import Exercise, Lesson

INDEX = """\
# Atlas of mistakes

{exercises} exercises, and {mistakes:,} ways to get them wrong that their checks know by \
name. Each mistake is a small function that makes it; an answer that does the same on every \
input is told so, in the words below. Teachers find here what will go wrong in a room. \
Learners find spoilers.

| lesson | exercises | known mistakes |
| --- | ---: | ---: |
{rows}

```{{toctree}}
:hidden:

{stems}
```
"""
EXERCISE = """\
## {number} `{name}`

[To the exercise](#exercise-{number})

<details><summary>{n_hints}</summary>

{hints}

</details>
<details><summary>{n_mistakes}</summary>

{mistakes}

</details>
"""


def pages(lessons: Sequence["Lesson"], exercises: Sequence["Exercise"]) -> dict[str, str]:
    """The atlas: a page for each lesson, folded by exercise, and one that lists them."""
    files, rows = {}, []
    for lesson in lessons:
        own = [exercise for exercise in exercises if exercise.lesson == lesson.number]
        title = f"{lesson.number} · {lesson.title}"
        head = f"# Mistakes in {title}\n\n[To the lesson](../lessons/{lesson.notebook}.ipynb)\n"
        files[f"mistakes/{lesson.notebook}.md"] = "\n".join([head, *map(_exercise, own)])
        known = sum(len(exercise.mistakes) for exercise in own)
        rows.append(f"| [{title}]({lesson.notebook}.md) | {len(own)} | {known} |")
    files["mistakes/index.md"] = INDEX.format(
        exercises=len(exercises),
        mistakes=sum(len(exercise.mistakes) for exercise in exercises),
        rows="\n".join(rows),
        stems="\n".join(lesson.notebook for lesson in lessons),
    )
    return files


def _exercise(exercise: "Exercise") -> str:
    mistakes = [f"**{m.name.replace('_', ' ')}**: {m.hint}" for m in exercise.mistakes]
    return EXERCISE.format(
        number=exercise.number,
        name=exercise.name,
        n_hints=_count(exercise.hints, "hint"),
        hints="\n".join(f"1. {as_markdown(hint)}" for hint in exercise.hints),
        n_mistakes=_count(mistakes, "known mistake"),
        mistakes="\n".join(f"- {as_markdown(mistake)}" for mistake in mistakes),
    )


def _count(things: Sequence, name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def as_markdown(text: str) -> str:
    """A panel's words as Markdown: `code` and *stress* are kept, every other sign means itself."""
    parts = re.split(r"(`[^`]+`)", " ".join(text.split()))
    parts[::2] = [_plain(part) for part in parts[::2]]
    return "".join(parts)


def _plain(text: str) -> str:
    pieces = re.split(r"(\*\*\w[^*]*\*\*|\*\w[^*]*\*)", text)
    pieces[::2] = [re.sub(r"([\\`*_{}\[\]<>$|~#&])", r"\\\1", piece) for piece in pieces[::2]]
    return "".join(pieces)
