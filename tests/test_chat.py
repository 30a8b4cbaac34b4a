"""The chat window: what is said in it, what a saved notebook keeps, and what an error leaves."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from utils import chat

REPLY = """from utils import chat
def reply(messages):
    yield f"{len(messages)} "
    yield "<so far>"
talk = chat.window(reply, system="Be brief.", examples=["Hello?", "  ", "And you?"])"""


def test_a_notebook_that_a_program_runs_says_the_examples_and_keeps_no_widget():
    notebook = new_notebook(cells=[new_code_cell(REPLY), new_code_cell("print(talk.messages)")])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    window, said = notebook.cells
    (shown,) = window.outputs
    assert set(shown.data) == {"text/html", "text/plain"}
    assert shown.data["text/plain"].splitlines() == [
        "user: Hello?", "assistant: 2 <so far>", "user: And you?", "assistant: 4 <so far>",
    ]  # fmt: skip
    assert "&lt;so far&gt;" in shown.data["text/html"] and "Be brief" not in shown.data["text/html"]
    assert said.outputs[0].text.startswith("[{'role': 'system', 'content': 'Be brief.'}")
    nbformat.validate(notebook)


@pytest.fixture
def pages(monkeypatch):
    """What was shown, page after page, without a kernel."""
    shown = []

    class Handle:
        def update(self, page, raw):
            shown.append(page["text/plain"])

    monkeypatch.setattr("IPython.display.display", lambda page, **_: Handle())
    return shown


def test_pieces_show_as_they_come(pages):
    chat.Window(lambda messages: iter(["a", "b"])).say("go")
    assert pages[:2] == ["user: go\nassistant: a", "user: go\nassistant: ab"]


def test_an_answer_that_was_interrupted_stays_as_far_as_it_came(pages):
    def reply(messages):
        yield "half"
        raise KeyboardInterrupt

    talk = chat.Window(reply)
    talk.say("Hello?")
    assert [m["content"] for m in talk.messages] == ["Hello?", "half"]
    assert pages[-1].endswith("assistant: half\ntrouble: The answer was interrupted.")


def test_what_got_no_answer_can_be_said_again(pages):
    def reply(messages):
        yield "half"
        if len(pages) < 3:
            raise ConnectionError("gone")

    talk = chat.Window(reply, system="Be brief.")
    talk.say("Hello?")
    assert [m["role"] for m in talk.messages] == ["system"]
    assert "“Hello?” got no answer, and can be said again: ConnectionError: gone" in pages[-1]
    pages += [""] * 3
    talk.say("Hello?")
    assert [m["content"] for m in talk.messages] == ["Be brief.", "Hello?", "half"]


def test_an_answer_without_text_is_an_answer(pages):
    talk = chat.Window(lambda messages: iter(()))
    talk.say("Hello?")
    assert [m["role"] for m in talk.messages] == ["user", "assistant"]
