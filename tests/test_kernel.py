"""What shows only in a real kernel: the source of answers, and figures as viewers get them."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, LatexExporter
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).parents[1]
FIGURE = """from utils import plots
fig, ax = plots.figure()
ax.plot([1, 2], [3, 4]); ax.set(title="a title", xlabel="steps"); ax.text(1, 3, "here")
plots.show(fig, "A line that rises from 3 to 4 & ends <there>.")"""
ALT = "A line that rises from 3 to 4 & ends <there>."


def run(folder, *cells):
    """The notebook of these cells, executed in a folder."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in cells])
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    return tmp_path / "home"


def test_lesson_00_finds_the_requirements_from_any_folder(tmp_path):
    lesson = nbformat.read(ROOT / "notebooks/00_start_here.ipynb", as_version=4)
    first = next(cell.source for cell in lesson.cells if cell.cell_type == "code")
    (cell,) = run(tmp_path, first).cells
    assert "torch" in cell.outputs[0].text


def test_the_source_of_a_class_is_kept(home, tmp_path):
    answer = """import torch
from torch import nn
from utils.checks import lesson04 as checks

class FeedForward(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)

    def forward(self, x):
        return self.linear2(torch.relu(self.linear1(x)))  # my own line"""
    run(tmp_path, answer, "FeedForward = checks.FeedForward(FeedForward)")
    (line,) = (home / "progress.jsonl").read_text().splitlines()
    source = json.loads(line)["source"]
    assert source.startswith("class FeedForward(nn.Module):") and "# my own line" in source


def test_the_stub_left_behind_in_a_class_is_told(home, tmp_path):
    answer = """from torch import nn
from utils.checks import lesson18 as checks

class Projector(nn.Module):
    def __init__(self, d_vision, d_model):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(d_vision, d_model), nn.Linear(d_model, d_model)

    def forward(self, features):
        hidden = self.linear_1(features)
        raise NotImplementedError"""
    notebook = run(tmp_path, answer, "Projector = checks.Projector(Projector)")
    assert "Delete that line" in json.dumps(notebook.cells[1].outputs)


def test_a_figure_is_stored_once_with_its_sentence(tmp_path):
    (cell,) = run(tmp_path, FIGURE).cells
    picture, sentence = cell.outputs
    assert set(picture.data) == {"image/png", "text/plain"}
    assert picture.data["text/plain"] == picture.metadata["image/png"]["alt"] == ALT
    assert sentence.data["text/plain"] == f"Figure: {ALT}"
    assert "A line that rises from 3 to 4 &amp; ends &lt;there&gt;." in sentence.data["text/html"]


def test_a_figure_survives_export(tmp_path):
    notebook = run(tmp_path, FIGURE)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert page.count('src="data:image/png;base64') == 1
    assert "Figure: A line that rises from 3 to 4 &amp; ends &lt;there&gt;." in page
    text, resources = LatexExporter().from_notebook_node(notebook)
    (name,) = resources["outputs"]
    assert name in text and "includegraphics" in text and "A line that rises" in text


def test_a_readers_dark_style_does_not_reach_the_figures(tmp_path):
    def png(*before):
        cell = run(tmp_path, *before, FIGURE).cells[-1]
        return cell.outputs[0].data["image/png"]

    light = png()
    assert png("import matplotlib.pyplot as plt; plt.style.use('dark_background')") == light
    (tmp_path / "matplotlibrc").write_text("text.color: white\naxes.labelcolor: white\n")
    assert png() == light
