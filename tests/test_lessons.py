"""The form of every lesson, and that its two editions are in step with its source."""

import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from utils import checks

ROOT = Path(__file__).parents[1]
STEMS = sorted(path.stem for path in (ROOT / "solutions").glob("*.py"))
TAGS = {"answer", "check", "solution", "nbval-ignore-output"}
MARKS = ("### BEGIN SOLUTION", "### END SOLUTION")
TASK = re.compile(
    r"^### Exercise (?P<number>\d+\.\d+) · `(?P<name>\w+)` ★{1,3} · (1 minute|\d+ minutes)"
    r"(?P<stretch> · stretch)?$",
    re.MULTILINE,
)

every_lesson = pytest.mark.parametrize("stem", STEMS)


def source(stem):
    return jupytext.read(ROOT / f"solutions/{stem}.py").cells


def edition(folder, stem):
    return nbformat.read(ROOT / folder / f"{stem}.ipynb", as_version=4)


def tags(cell):
    return cell.metadata.get("tags", [])


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def prose(cells):
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def without_code(text):
    """Markdown without fenced code, code spans and formulas."""
    return re.sub(r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$", "", text, flags=re.DOTALL)


def headings(cells, level):
    text = re.sub(r"```.*?```", "", prose(cells), flags=re.DOTALL)
    return re.findall(rf"^{'#' * level} (.+)$", text, re.MULTILINE)


def exercises(stem):
    return [e for e in checks.catalogue() if e.lesson == stem[:2]]


# --- form -----------------------------------------------------------------------------------


def test_the_lessons_are_those_that_the_checks_know():
    known = [lesson.notebook for lesson in checks.lessons()]
    assert known == STEMS, "utils/checks/lessonNN/ and solutions/*.py should be of the same lessons"
    for folder in "solutions", "notebooks":
        made = sorted(path.stem for path in (ROOT / folder).glob("*.ipynb"))
        assert made == STEMS, (
            f"{folder}/ should hold a notebook of each solutions/*.py: `make build`"
        )
    for lesson in checks.lessons():
        assert lesson.notebook.startswith(f"{lesson.number}_")


@every_lesson
def test_headings(stem):
    (lesson,) = [lesson for lesson in checks.lessons() if lesson.notebook == stem]
    cells = source(stem)
    assert cells[0].source.startswith("# "), "a lesson begins with its title"
    assert headings(cells, 1) == [f"{lesson.number} · {lesson.title}"]
    *sections, summary, further = headings(cells, 2)
    numbers = [section.split()[0] for section in sections]
    assert numbers == [str(i + 1) for i in range(len(sections))], "sections are numbered from 1 on"
    assert (summary, further) == ("Summary", "Further reading"), "a lesson ends with these two"


@every_lesson
def test_the_first_cell_says_what_the_lesson_takes(stem):
    head, own = source(stem)[0].source, [e.number for e in exercises(stem)]
    if stem.startswith("00"):
        return
    assert "**Takes:**" in head and "**Exercises:**" in head, (
        'the first cell should end with "**Needs:** … **Takes:** … **Exercises:** 4.1 to 4.6"'
    )
    named = re.findall(r"\d+\.\d+", head.partition("**Exercises:**")[2])
    ends = named[0], max(named, key=lambda number: int(number.split(".")[1]))
    assert ends == (own[0], own[-1]), "the exercises named there are not the lesson's"


@every_lesson
def test_size(stem):
    cells = source(stem)
    least, most = (15, 40) if stem.startswith("00") else (40, 80)
    assert least <= len(cells) <= most, f"a lesson has {least} to {most} cells"
    sizes = {}
    for cell in code(cells):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        lines = [line for line in lines if line.strip() not in MARKS]
        sizes[cell.source] = len(lines)
        limit = 40 if any(line.startswith("class ") for line in lines) else 20
        assert len(lines) <= limit, f"{len(lines)} lines, {limit} are allowed:\n{cell.source}"
    assert statistics.median(sizes.values()) <= 8, "half the code cells have at most 8 lines"


@every_lesson
def test_an_exercise_is_a_task_an_answer_and_a_check(stem):
    cells = source(stem)
    tasks = [
        (i, *task.group("number", "name"))
        for i, c in enumerate(cells)
        for task in TASK.finditer(c.source)
        if c.cell_type == "markdown"
    ]
    known = [(e.number, e.name) for e in exercises(stem)]
    assert [task[1:] for task in tasks] == known, (
        "the tasks (### Exercise 4.7 · `name` ★★ · 8 minutes) should be the exercises of "
        f"utils/checks/lesson{stem[:2]}/, numbered in the order of the text"
    )
    assert len(headings(cells, 3)) >= len(tasks) == prose(cells).count("### Exercise ")
    for i, _, name in tasks:
        answer, check = cells[i + 1], cells[i + 2]
        said = f"after the task `{name}`: "
        assert (tags(answer), tags(check)) == (["answer"], ["check"]), (
            said + "a cell tagged answer, then one tagged check"
        )
        assert re.search(rf"^(def|class) {name}\b", answer.source, re.MULTILINE), said + "its def"
        assert all(answer.source.count(mark) >= 1 for mark in MARKS), said + " and ".join(MARKS)
        line = f"{name} = checks.{name}({name})"
        assert check.source.startswith(line), f"{said}the check cell begins with {line}"
    for tag in "answer", "check":
        assert sum(tag in tags(cell) for cell in cells) == len(tasks)


@every_lesson
def test_enough_exercises_besides_a_stretch(stem):
    stretches = [task["stretch"] for task in TASK.finditer(prose(source(stem)))]
    enough = stem.startswith("00") or stretches.count(None) >= 3
    assert enough, "a lesson has at least three exercises besides those marked as stretch"


@every_lesson
def test_tags(stem):
    for folder in "solutions", "notebooks":
        for cell in edition(folder, stem).cells:
            assert set(tags(cell)) <= TAGS, (
                f"the tags are {TAGS}; here {tags(cell)}:\n{cell.source}"
            )
    assert not any("solution" in tags(cell) for cell in edition("notebooks", stem).cells)


@every_lesson
def test_the_solutions_have_been_run(stem):
    for cell in code(edition("solutions", stem).cells):
        assert cell.execution_count, cell.source
        assert not any(o.output_type == "error" or o.get("name") == "stderr" for o in cell.outputs)


@every_lesson
def test_the_learners_edition_gives_nothing_away(stem):
    cells = code(edition("notebooks", stem).cells)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    for cell in cells:
        assert not any(mark in cell.source for mark in MARKS)
        assert ("raise NotImplementedError" in cell.source) == ("answer" in tags(cell))


@every_lesson
@pytest.mark.parametrize("folder", ["solutions", "notebooks"])
def test_metadata(folder, stem):
    notebook = edition(folder, stem)
    assert notebook.metadata.get("kernelspec", {}).get("name") == "python3"
    metadata = json.dumps([notebook.metadata, *(cell.metadata for cell in notebook.cells)])
    assert not re.search(r"\d{4}-\d\d-\d\dT", metadata)


@every_lesson
def test_outputs_name_no_folder_of_a_machine(stem):
    for cell in code(edition("solutions", stem).cells):
        text = re.sub(r"base64,[\w+/=]+", "", json.dumps(cell.outputs))
        text = re.sub(r'"image/png": "[^"]*"', "", text)
        found = re.search(r"(/root|/home|/Users|/tmp|/var|ipykernel_|[A-Z]:\\\\)[\w/\\.-]*", text)
        assert not found, f"{found[0]} in the output of:\n{cell.source}"


@every_lesson
def test_outputs_hold_nobodys_progress(stem):
    """Only the lesson's own exercises are ticked off in its table: it was run in an empty home."""
    for cell in code(edition("solutions", stem).cells):
        for output in cell.outputs if "progress()" in cell.source else []:
            for line in output.get("data", {}).get("text/plain", "").splitlines():
                other = re.match(r"\d\d  ", line) and not line.startswith(stem[:2])
                assert not (other and re.search("[✓☑◐]", line)), f"somebody's progress: {line}"


@every_lesson
def test_pictures_are_plain_and_have_their_sentence(stem):
    for cell in code(edition("solutions", stem).cells):
        for i, output in enumerate(cell.outputs):
            data = output.get("data", {})
            assert "application/vnd.jupyter.widget-view+json" not in data, cell.source
            assert "<img" not in "".join(data.get("text/html", "")), cell.source
            if "image/png" in data:
                alt = output.metadata["image/png"]["alt"]
                assert len(alt.split()) >= 5, alt
                assert cell.outputs[i + 1].data["text/plain"] == f"Figure: {alt}"


# --- links ----------------------------------------------------------------------------------


def links(text):
    """The targets of a text's links and pictures that should be files."""
    text = without_code(text)
    found = re.findall(r"\]\(<?([^)\s>]+)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    found += re.findall(r"^\[[^\]]+\]: *(\S+)", text, re.MULTILINE)
    return [target for target in found if not re.match(r"[a-z]+:|#", target)]


@every_lesson
@pytest.mark.parametrize("folder", ["solutions", "notebooks"])
def test_links_in_lessons_lead_somewhere(folder, stem):
    for target in links(prose(edition(folder, stem).cells)):
        assert (ROOT / folder / target.split("#")[0]).exists(), target


def test_links_in_documents_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md")]:
        for target in links(page.read_text("utf-8")):
            assert (page.parent / target.split("#")[0]).exists(), f"{page}: {target}"


def test_make_lab_opens_a_notebook_that_is_there():
    (named,) = re.findall(r"jupyter lab .* (\S+\.ipynb)$", (ROOT / "Makefile").read_text(), re.M)
    assert (ROOT / named).is_file()


def test_the_readmes_commands_are_the_makefiles():
    """Every `make` target, `python -m` module and notebook that the README names is there."""
    readme, makefile = (ROOT / "README.md").read_text("utf-8"), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\bmake ([a-z]+)\b", " ".join(re.findall(r"`[^`]+`", readme))))
    known = {"lab", "test", "update", "build", "models", "clean", "variants", "book", "slides"}
    assert known >= targets >= {"test"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target
    for module in re.findall(r"python -m (utils\.\w+)", readme):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_the_readme_lists_the_lessons():
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README.md")
    rows = [line for line in readme.read_text("utf-8").splitlines() if line.startswith("|")]
    listed = [
        (row, name) for row in rows for name in re.findall(r"\(notebooks/(\w+)\.ipynb\)", row)
    ]
    assert [name for _, name in listed] == STEMS, "the README should have a row for each lesson"
    for (row, _), lesson in zip(listed, checks.lessons(), strict=True):
        assert lesson.number in row and lesson.title in row, f"{lesson.title} is not in: {row}"


# --- editions in step -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory):
    """Both editions made anew, as the Makefile makes them (but nothing is run)."""
    folder = tmp_path_factory.mktemp("rebuilt")
    shutil.copytree(ROOT / "solutions", folder / "solutions")
    shutil.copy(ROOT / "pyproject.toml", folder)
    made = [str(folder / f"solutions/{stem}.ipynb") for stem in STEMS]
    config = str(ROOT / "solutions/learner_edition.json")
    run = [sys.executable, "-m"]
    learners = ["jupyter", "nbconvert", "--log-level", "WARN", "--to", "notebook"]
    learners += ["--config", config, "--output-dir", str(folder / "notebooks"), *made]
    subprocess.run(run + learners, check=True)
    sources = [notebook.replace(".ipynb", ".py") for notebook in made]
    subprocess.run([*run, "jupytext", "--quiet", "--to", "ipynb", *sources], check=True)
    return folder


@every_lesson
def test_the_solution_is_in_step_with_its_source(rebuilt, stem):
    new = nbformat.read(rebuilt / f"solutions/{stem}.ipynb", as_version=4).cells
    old = edition("solutions", stem).cells
    assert [(c.cell_type, c.source, tags(c)) for c in old] == [
        (c.cell_type, c.source, tags(c)) for c in new
    ], f"solutions/{stem}.ipynb is not what solutions/{stem}.py says: run `make build`."


@every_lesson
def test_the_learners_edition_is_in_step(rebuilt, stem):
    new = json.loads((rebuilt / f"notebooks/{stem}.ipynb").read_text("utf-8"))
    old = json.loads((ROOT / f"notebooks/{stem}.ipynb").read_text("utf-8"))
    assert old == new, f"notebooks/{stem}.ipynb is not made from solutions/: run `make build`."
