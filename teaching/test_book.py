"""The web book and the slides, as `make book` and `make slides` left them in build/.

They are read from the disk and opened in Chromium with no network: `make test-teaching`.
"""

import functools
import http.server
import re
import shutil
import threading
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import sync_playwright

from teaching.book import front, gather, glossary, mistakes, pages
from teaching.lessons import EXERCISE, ROOT, is_prose, paragraphs, solved, stems, stubs, tags
from teaching.slides.deck import SENTENCE, deck

BOOK, SLIDES = ROOT / "build/book", ROOT / "build/slides"
GLOSSARY = (ROOT / "teaching/book/glossary.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted(path for path in BOOK.rglob("*.html") if "_static" not in path.parts)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
FLAGS = ["--no-sandbox", "--disable-gpu", OFFLINE]
OWN = ("file:", "data:", "blob:")
SIZES = {"desk": (1280, 900), "phone": (390, 844), "room": (1280, 720)}

every_lesson = pytest.mark.parametrize("stem", stems())


def test_both_are_built():
    """First of all, for what follows looks at what is there."""
    for command, folder in (("book", BOOK), ("slides", SLIDES)):
        assert (folder / "index.html").is_file(), f"run `make {command}` first"


# --- what the book is made of ---------------------------------------------------------------


def answers(stem):
    return [cell for cell in solved(stem).cells if "answer" in tags(cell)]


def bodies(stem):
    """The lines of a lesson's solutions that its learners do not see."""
    lines = []
    for cell in answers(stem):
        stub = set(map(str.strip, stubs(stem)[cell.id].splitlines()))
        lines += [line.strip() for line in cell.source.splitlines() if line.strip() not in stub]
    return [line for line in lines if len(line) > 25 and "SOLUTION" not in line]


def lesson(*cells):
    return new_notebook(cells=[new_markdown_cell("# 01 · Title\n\nWords."), *cells])


def printing(source, text):
    cell = new_code_cell(source, execution_count=1)
    cell.outputs = [new_output("stream", text=text)]
    return cell


def test_what_follows_a_prediction_is_folded():
    told = new_markdown_cell("It is *four*.\n\nFour is even.")
    asks = new_markdown_cell("A sum. **Predict** it.")
    made = pages.page(lesson(asks, printing("print(4)", "4"), told), {}, "01_x").cells
    assert tags(made[2]) == ["hide-output"]
    assert made[3].source.startswith('<details class="seen">')
    assert re.search(r"It is \*four\*\.\s+</details>\s+Four is even\.", made[3].source)


@pytest.mark.parametrize("asked", ["No question.", "**Predict** it.\n\n## 2 Another section"])
def test_what_follows_no_prediction_is_open(asked):
    told = new_markdown_cell("It is four.")
    made = pages.page(lesson(new_markdown_cell(asked), printing("4", "4"), told), {}, "01_x").cells
    assert tags(made[2]) == [] and made[3].source == "It is four."


def test_an_answer_is_a_stub_and_a_folded_solution():
    cell = new_code_cell("def f():\n    return 1", metadata={"tags": ["answer"]})
    made = pages.page(lesson(cell), {cell.id: "def f():\n    raise"}, "01_x").cells
    assert made[1].source == "def f():\n    raise"
    assert made[2].source == cell.source and tags(made[2]) == ["answer", "hide-input"]


def test_paragraphs_keep_together_what_belongs_together():
    fence, formula = "```\na\n\nb\n```", "$$a\n\nb$$"
    assert paragraphs(f"One.\n\n{fence}\n\nTwo.\n\n{formula}\n\n- a\n\n  b") == [
        "One.",
        fence,
        "Two.",
        formula,
        "- a\n\n  b",
    ]


def test_words_of_a_panel_mean_themselves_in_markdown():
    assert mistakes.as_markdown("`a_b*c` is *not* x_1 * [y]\n<z> $3") == (
        r"`a_b*c` is *not* x\_1 \* \[y\] \<z\> \$3"
    )


def test_a_lesson_that_the_readme_does_not_list_is_named():
    with pytest.raises(ValueError, match="differ in 99_new. A row reads"):
        front.page("{lessons}", README, [*stems(), "99_new"], {})


def test_a_readme_without_an_opening_is_refused():
    with pytest.raises(ValueError, match="should begin with a title"):
        front.opening("Words.\n")


@pytest.mark.parametrize(
    "row, message",
    [("| a | b | c | 99 |", "a: there is no lesson 99"), ("| a | b | 01 |", "a row is")],
)
def test_a_row_of_the_glossary_that_is_wrong_is_named(row, message):
    with pytest.raises(ValueError, match=message):
        glossary.page(f"{glossary.HEAD}\n| --- |\n{row}\n", stems())


def test_a_glossary_without_its_table_is_refused():
    with pytest.raises(ValueError, match="has no table"):
        glossary.page("# Glossary\n", stems())


def test_gathered_files_replace_the_old_ones(tmp_path):
    gather.write({"a/old.md": b"1", "same.md": b"2"}, tmp_path)
    (tmp_path / "same.md").touch()
    before = (tmp_path / "same.md").stat().st_mtime_ns
    gather.write({"new.md": b"3", "same.md": b"2"}, tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.md")) == ["new.md", "same.md"]
    assert (tmp_path / "same.md").stat().st_mtime_ns == before


def test_terms_stand_in_the_lesson_that_introduces_them():
    rows = glossary.rows(GLOSSARY)
    assert len(rows) >= 60 and len({row["term"] for row in rows}) == len(rows)
    for row in rows:
        (stem,) = [stem for stem in stems() if stem.startswith(row["lesson"])]
        cells = [cell.source for cell in solved(stem).cells if is_prose(cell)]
        text = re.sub(r"[*\s]+", " ", " ".join(cells)).lower()
        assert re.sub(r"@k$", " at k", row["term"].lower()) in text or row["term"].lower() in text


# --- the book, read -------------------------------------------------------------------------


class Page(HTMLParser):
    """The links, ids and pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.ids, self.alts = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = {name: value or "" for name, value in attributes}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag != "a":
            self.loaded += [given[name] for name in ("href", "src") if name in given]
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        self.alts += [given.get("alt", "")] if tag == "img" else []


@functools.cache
def parsed(path):
    return Page(path.read_text("utf-8"))


def test_every_lesson_has_its_page_its_mistakes_and_its_notebook_to_download():
    built = {path.relative_to(BOOK).as_posix() for path in PAGES}
    for stem in stems():
        assert {f"lessons/{stem}.html", f"mistakes/{stem}.html"} <= built
        assert f"lessons/{stem}.html" in parsed(BOOK / "index.html").links
        links = parsed(BOOK / f"lessons/{stem}.html").links
        (link,) = [link for link in links if link.endswith(".ipynb")]
        downloaded = (BOOK / "lessons" / link).read_bytes()
        assert downloaded == (ROOT / f"notebooks/{stem}.ipynb").read_bytes()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(BOOK).as_posix())
def test_links_lead_somewhere_and_nothing_is_fetched(path):
    page = parsed(path)
    for link in page.loaded:
        assert not urlsplit(link).netloc, link
    for link in page.links + page.loaded:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        assert target.is_file(), link
        if parts.fragment and target.suffix == ".html":
            assert unquote(parts.fragment) in parsed(target).ids | {"top"}, link


def test_the_atlas_names_every_exercise():
    for stem in stems():
        text = (BOOK / f"mistakes/{stem}.html").read_text("utf-8")
        prose = "\n\n".join(cell.source for cell in solved(stem).cells if is_prose(cell))
        tasks = EXERCISE.findall(prose)
        assert tasks and len(re.findall("<h2>", text)) == len(tasks)
        for number, _ in tasks:
            place = f"exercise-{number.replace('.', '[-.]')}"
            assert re.search(rf'href="\.\./lessons/{stem}\.html#{place}"', text)
        assert text.count("known mistake") >= len(tasks)


# --- the book, looked at --------------------------------------------------------------------

# What is wrong with a page once its formulas are drawn; formulas left as text have no container.
FAULTS = r"""async () => {
  await MathJax.startup.promise;
  const all = query => [...document.querySelectorAll(query)];
  const shown = all('.math').filter(e => !e.querySelector('mjx-container'));
  return {
    unrendered: shown.map(e => e.textContent),
    'wrong formulas': all('[data-mml-node=merror]').map(e => e.outerHTML.slice(0, 200)),
    'without alt': all('img').filter(e => !e.alt.trim()).map(e => e.src.slice(0, 100)),
    broken: all('img').filter(e => !e.naturalWidth).map(e => e.src.slice(0, 100)),
    sideways: document.documentElement.scrollWidth > innerWidth ? [document.title] : [],
  };
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_):
        pass


class Browser:
    """Opens pages, and keeps what they ask for from elsewhere and what goes wrong in them."""

    def __init__(self, chromium):
        self.chromium, self.went_wrong = chromium, []

    def open(self, path, size="desk", scheme="light"):
        width, height = SIZES[size]
        context = self.chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.on("request", lambda asked: self._keep(asked.url, not asked.url.startswith(OWN)))
        page.on("requestfailed", lambda asked: self._keep(f"{asked.url[:200]} failed", True))
        page.on("pageerror", lambda error: self._keep(str(error), True))
        page.goto(path.as_uri())
        return page

    def _keep(self, said, wrong):
        self.went_wrong += [said] if wrong else []


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def browser(chromium):
    browser = Browser(chromium)
    yield browser
    for context in chromium.contexts:
        context.close()
    assert browser.went_wrong == []


@pytest.mark.parametrize("size, scheme", [("desk", "light"), ("desk", "dark"), ("phone", "light")])
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(BOOK).as_posix())
def test_a_page_can_be_read(browser, path, size, scheme):
    page = browser.open(path, size, scheme)
    has_formulas = page.locator(".math").count() > 0
    if not has_formulas:
        page.evaluate("window.MathJax ??= {}; MathJax.startup ??= {promise: null}")
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    assert not any((faults := page.evaluate(FAULTS)).values()), faults
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, re.findall(r"\d+", colour)[:3])) > 380
    assert bright == (scheme == "light"), colour


@every_lesson
def test_solutions_and_predicted_outputs_wait_and_panels_do_not(browser, stem):
    page = browser.open(BOOK / f"lessons/{stem}.html")
    solutions = page.locator(".cell.tag_answer details.above-input")
    panels = page.locator(".cell.tag_check [role=status]:visible")
    assert solutions.count() == panels.count() == len(answers(stem))
    squeezed = re.sub(r"\s+", " ", page.locator("article").inner_text())
    given_away = [line for line in bodies(stem) if re.sub(r"\s+", " ", line) in squeezed]
    prose = "\n".join(cell.source for cell in solved(stem).cells if "answer" not in tags(cell))
    assert [line for line in given_away if line not in prose] == []
    predicted = page.locator("details.below-input")
    assert predicted.count() >= 1
    assert not predicted.locator(".cell_output:visible").count()
    for fold in predicted.all():
        fold.locator("summary").click()
    assert predicted.locator(".cell_output:visible").count() == predicted.count()
    assert page.locator("details.seen:not([open])").count() == 0
    assert page.locator(".cell.tag_answer details[open]").count() == 0


def test_pictures_keep_their_sentences():
    for stem in stems():
        outputs = [output for cell in solved(stem).cells for output in cell.get("outputs", [])]
        alts = [o.metadata["image/png"]["alt"] for o in outputs if "image/png" in o.get("data", {})]
        assert parsed(BOOK / f"lessons/{stem}.html").alts == alts


def test_the_book_can_be_searched(chromium):
    """From a server on this machine: from the disk, Chromium shows no excerpts."""
    handler = functools.partial(Quiet, directory=str(BOOK))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/search.html?q=softmax")
        page.wait_for_function("document.querySelectorAll('ul.search li p.context').length >= 5")
        page.close()
        server.shutdown()


# --- slides ---------------------------------------------------------------------------------


def test_a_first_sentence():
    assert SENTENCE.match("By Ba et al. (2016, e.g. here). Then")[0].endswith("here).")
    assert SENTENCE.match("Is it 2.5 or *three?* We see.")[0] == "Is it 2.5 or *three?*"


def test_a_solution_is_no_part_of_its_slide_and_prose_goes_to_the_notes():
    cell = new_code_cell("secret", metadata={"tags": ["answer"]})
    words = new_markdown_cell("## 1 Section\n\nFirst. Second.\n\nThird.")
    made = deck(lesson(new_code_cell("import this"), words, cell), {cell.id: "stub"}).cells
    kinds = [(c.metadata["slideshow"]["slide_type"], c.source) for c in made]
    assert ("-", "First.") in kinds and ("notes", "Third.") in kinds and ("-", "stub") in kinds
    assert "import this" not in [source for _, source in kinds]


def test_no_slide_is_a_heading_alone():
    words = new_markdown_cell("## 1 Section\n\n### Exercise 1.1 · `f` ★ · 5 minutes\n\nWrite f.")
    made = deck(lesson(new_code_cell("import this"), words), {}).cells
    kinds = [c.metadata["slideshow"]["slide_type"] for c in made if c.source.startswith("##")]
    assert kinds == ["slide", "-"]


# Each slide with all that waits for a key: what reaches beyond its edge, and how small it became.
EVERY_SLIDE = r"""async () => {
  await MathJax.startup.promise;
  while (!Reveal.isReady()) await new Promise(done => setTimeout(done, 50));
  const found = [], UNSEEN = 'mjx-assistive-mml, .notes, details:not([open]) > :not(summary)';
  for (const slide of Reveal.getSlides()) {
    const at = Reveal.getIndices(slide);
    Reveal.slide(at.h, at.v, 99);
    const beyond = [slide, ...slide.querySelectorAll('*')].filter(e => {
      if (e.parentElement.closest('pre') || e.closest(UNSEEN)) return false;
      const box = e.getBoundingClientRect();
      return box.width > 1 && box.height > 1
        && (box.right > 1281 || box.bottom > 721 || box.left < -1 || box.top < -1);
    });
    const [section] = slide.querySelectorAll('.section');
    const bare = !slide.querySelector('img')
      && slide.innerText.trim() === (section?.innerText ?? '').trim();
    found.push({at: `${at.h}.${at.v}`, words: slide.innerText, bare,
                zoom: +(slide.style.zoom || 1),
                beyond: beyond.slice(0, 3).map(e => e.outerHTML.slice(0, 80))});
  }
  return found;
}"""


@every_lesson
def test_every_slide_fits(browser, stem):
    page = browser.open(SLIDES / f"{stem}.html", "room")
    slides = page.evaluate(EVERY_SLIDE)
    assert [(s["at"], s["beyond"]) for s in slides if s["beyond"]] == []
    assert [(s["at"], s["zoom"]) for s in slides if s["zoom"] < 0.6] == []
    assert [s["at"] for s in slides if s["bare"]] == []
    assert page.locator("[data-mml-node=merror]").count() == 0
    assert page.evaluate("[...document.images].filter(e => !e.alt.trim()).length") == 0
    shown = re.sub(r"\s+", " ", " ".join(s["words"] for s in slides))
    prose = "\n".join(cell.source for cell in solved(stem).cells if "answer" not in tags(cell))
    hidden = [line for line in bodies(stem) if line not in prose]
    assert [line for line in hidden if re.sub(r"\s+", " ", line) in shown] == []
    assert page.locator("details:not([open])").count() == len(answers(stem))
    waiting = [cell for cell in deck(solved(stem), stubs(stem)).cells if cell.metadata.get("later")]
    assert page.locator(".fragment").count() == len(waiting) >= 1
