"""A lesson in JupyterLab, in a real browser: Run All, answers, panels and figures.

With `COURSE_SCREENSHOTS=FOLDER` the panels and a figure are kept there as pictures.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import nbformat
import psutil
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LESSON = "notebooks/01_attention.ipynb"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync"
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # keep every cell in the page
}

MICROPHONE = nbformat.v4.new_notebook(
    metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    cells=[
        nbformat.v4.new_code_cell(
            "from utils import microphone\nmine = microphone.record(seconds=2)"
        ),
        nbformat.v4.new_code_cell("None"),
    ],
)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(BROWSERS)} is installed"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="playwright is not installed"
    ),
]

READY = """async name => {
  while (!window.jupyterapp) await new Promise(done => setTimeout(done, 100));
  const app = window.jupyterapp;
  await app.restored;
  const widget = await app.commands.execute('docmanager:open', {path: name, factory: 'Notebook'});
  await widget.context.ready;
  await widget.sessionContext.ready;
  await widget.sessionContext.session.kernel.info;
  app.shell.activateById(widget.id);
  window.notebook = widget;
  return true;
}"""
RUN_ALL = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }"
FINISHED = """() => {
  const cells = window.notebook.content.model.sharedModel.toJSON().cells;
  const stopped = cells.some(c => (c.outputs ?? []).some(o => o.output_type === 'error'));
  return window.notebook.sessionContext.session.kernel.status === 'idle'
    && (stopped || cells.every(c => c.cell_type !== 'code' || c.execution_count));
}"""
CELLS = "() => window.notebook.content.model.sharedModel.toJSON().cells"
RUN = """async ([index, source]) => {
  const content = window.notebook.content;
  if (source !== null) content.widgets[index].model.sharedModel.setSource(source);
  content.deselectAll();
  content.activeCellIndex = index;
  await window.jupyterapp.commands.execute('notebook:run-cell');
  return true;
}"""
THEME = """async name => {
  const app = window.jupyterapp;
  await app.commands.execute('apputils:change-theme', {theme: name});
  while (document.body.dataset.jpThemeName !== name)
    await new Promise(done => setTimeout(done, 50));
  return true;
}"""
# Every element with text of its own: what its colour and its background are once all layers are
# painted on each other, and the contrast of the two (WCAG 2.2, success criterion 1.4.3).
CONTRASTS = """root => {
  const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const paint = colour => { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); };
  const luminance = () => {
    const linear = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const own = e => [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('').trim();
  return [root, ...root.querySelectorAll('*')].filter(own).map(element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(getComputedStyle(e));
    paint('white');
    layers.forEach(style => paint(style.backgroundColor));
    const below = luminance();
    paint(getComputedStyle(element).color);
    const [dark, light] = [below, luminance()].sort((a, b) => a - b);
    return [own(element), (light + 0.05) / (dark + 0.05)];
  });
}"""


class Notebook:
    """The notebook that is open in the page, as someone who works in it sees it."""

    def __init__(self, page):
        self.page = page

    def do(self, script, argument):
        """Run a script to its end (`evaluate` alone would wait for ever)."""
        self.page.wait_for_function(script, arg=argument, timeout=60_000)

    def cells(self):
        return self.page.evaluate(CELLS)

    def index(self, tag, text):
        """The place of the cell with this tag that holds this text."""
        (found,) = [
            i
            for i, cell in enumerate(self.cells())
            if tag in cell["metadata"].get("tags", []) and text in cell["source"]
        ]
        return found

    def answer(self, name, body, more=""):
        """Write and run an answer, then its check; return the panels below it."""
        cell = self.index("answer", f"def {name}(")
        head = self.cells()[cell]["source"].split("\n")[0]
        self.do(RUN, [cell, f"{head}\n    {body}"])
        check = self.index("check", f"checks.{name}(")
        self.do(RUN, [check, f"{name} = checks.{name}({name}){more}"])
        return self.panels(check)

    def panels(self, index):
        cell = self.page.locator(".jp-Notebook .jp-Cell").nth(index)
        return cell.locator(".jp-RenderedHTMLCommon [role=status]")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a JupyterLab of our own, with nobody's settings."""
    base = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, base / "notebooks")
    nbformat.write(MICROPHONE, base / "notebooks/microphone.ipynb")
    for name, value in SETTINGS.items():
        file = base / f"config/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    folders = {
        "COURSE_HOME": "home",
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
    }
    environment = {k: v for k, v in os.environ.items() if k != "COURSE_STRICT"}
    environment |= {name: str(base / folder) for name, folder in folders.items()}
    environment["OMP_NUM_THREADS"] = "1"  # two threads crawl where something else is running
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    options += ["--ServerApp.port_retries=0", "--IdentityProvider.token="]
    options += ["--LabApp.expose_app_in_browser=True", f"--notebook-dir={base}"]
    address = f"http://127.0.0.1:{port}"
    with (base / "log").open("w") as log:
        lab = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=log, stderr=log
        )
    try:
        for _ in range(600):
            assert lab.poll() is None, (base / "log").read_text()
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.1)
        yield address
    finally:
        kernels = psutil.Process(lab.pid).children(recursive=True) if lab.poll() is None else []
        lab.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            lab.wait(timeout=15)  # it ends its kernels itself
        for process in psutil.wait_procs(kernels, timeout=5)[1]:
            process.kill()
        lab.kill()
        lab.wait()


@pytest.fixture(scope="module")
def launch():
    """Starts a Chromium with more flags; one Playwright for all tests, for there can be no two."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield lambda *flags: playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*FLAGS.split(), *flags]
        )


@pytest.fixture(scope="module")
def notebook(server, launch):
    """Lesson 01, opened and run from top to bottom untouched."""
    browser = launch()
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{server}/lab/workspaces/{uuid.uuid4().hex}")
    notebook = Notebook(page)
    notebook.do(READY, LESSON)
    page.evaluate(RUN_ALL)
    page.wait_for_function(FINISHED, timeout=120_000, polling=250)
    yield notebook
    browser.close()


def test_run_all_untouched_reaches_the_end(notebook):
    cells = notebook.cells()
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"] == []
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
    checks = [i for i, cell in enumerate(cells) if "check" in cell["metadata"].get("tags", [])]
    assert len(checks) >= 4
    for index in checks:
        assert "not written yet" in notebook.panels(index).inner_text()


def test_answers_are_judged(notebook):
    wrong = notebook.answer("scores", "return q @ q.T").inner_text()
    assert "1.1 scores: not right yet (queries with queries)" in wrong
    assert "You compare the queries with themselves: k is not used." in wrong
    assert "1.1 scores: right" in notebook.answer("scores", "return q @ k.T").inner_text()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_panels_and_figures_can_be_read(notebook, theme):
    page = notebook.page
    notebook.do(THEME, theme)
    panels = {
        "not-written": notebook.answer("scores", "raise NotImplementedError"),
        "right": notebook.answer(
            "softmax",
            "return (e := np.exp(x - x.max(-1, keepdims=True))) / e.sum(-1, keepdims=True)",
        ),
        "raised": notebook.answer("score_variance", "return d_k * missing"),
        "wrong": notebook.answer("attention", "return 2 * v[:1] + np.zeros((len(q), 1))"),
        "hint": notebook.answer("softmax_jacobian", "return p", '\nchecks.hint("1.5")').last,
    }
    progress = page.locator(".jp-RenderedHTMLCommon table").last
    contrasts = {n: p.evaluate(CONTRASTS) for n, p in {**panels, "progress": progress}.items()}
    assert all(contrasts.values())
    low = {n: [c for c in found if c[1] < 4.5] for n, found in contrasts.items()}
    figures = page.locator(".jp-RenderedImage img")
    sentences = page.locator(".jp-RenderedHTMLCommon .figure-sentence")
    keep({**panels, "progress": progress, "figure": figures.nth(1)}, theme)
    assert not any(low.values()), low
    assert figures.count() >= 5
    assert figures.count() == sentences.count() == page.locator(".jp-RenderedImage").count()
    for sentence in sentences.all():  # heard by a screen reader, not seen
        assert sentence.inner_text().startswith("Figure: ")
        box = sentence.bounding_box()
        assert box["width"] <= 1 and box["height"] <= 1


def keep(elements, theme):
    """Write a picture of each element to `COURSE_SCREENSHOTS`, if that is set."""
    folder = os.environ.get("COURSE_SCREENSHOTS")
    for name, element in elements.items() if folder else ():
        Path(folder).mkdir(parents=True, exist_ok=True)
        element.screenshot(path=Path(folder) / f"{name}-{theme.split()[-1].lower()}.png")


SAID = "e => /heard|[.]$/.test(e.textContent) && !/Nothing/.test(e.textContent)"
HEARD = "print(len(mine.wave), round(float(abs(mine.wave).max(initial=0)), 2), mine.error)"


def record(server, browser):
    """Press the microphone's button: what the page says then, and what Python has."""
    try:
        page = browser.new_page(viewport={"width": 1000, "height": 500})
        page.goto(f"{server}/lab/workspaces/{uuid.uuid4().hex}")
        notebook = Notebook(page)
        notebook.do(READY, "notebooks/microphone.ipynb")
        notebook.do(RUN, [0, None])
        page.get_by_role("button", name="Record", exact=True).click(timeout=30_000)
        said = page.locator(".jp-OutputArea [role=status]").last
        page.wait_for_function(SAID, arg=said.element_handle(), timeout=30_000)
        keep({"microphone": page.locator(".jp-Notebook .jp-Cell").first}, "Light")
        notebook.do(RUN, [1, HEARD])
        (output,) = notebook.cells()[1]["outputs"]
        return said.text_content(), "".join(output["text"]).strip().split(maxsplit=2)
    finally:
        browser.close()


def test_a_voice_is_recorded(server, launch):
    """Chromium's fake microphone plays a file of human speech."""
    wav = NOTEBOOKS.parent / "utils/recordings/sense_and_sensibility_0930.wav"
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    fake.append(f"--use-file-for-fake-audio-capture={wav}")
    said, (length, loudest, *error) = record(server, launch(*fake))
    assert "heard. Now run the next cell." in said
    assert 24_000 < int(length) < 40_000 and float(loudest) > 0.05 and not error


def test_a_microphone_that_is_refused_says_what_to_do(server, launch):
    browser = launch("--use-fake-device-for-media-stream", "--deny-permission-prompts")
    said, (length, _, *error) = record(server, browser)
    assert length == "0" and error == [said]
    assert "Allow the microphone for this page" in said
