"""A chat window in a notebook, and a readable trace of what was said in it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from html import escape

Message = dict[str, str]
COLOURS = {"user": "#e6f1f8", "assistant": "#f3f3f3", "trouble": "#fdeee3"}


class Window:
    """A conversation that shows itself and grows; `messages` is what has been said."""

    def __init__(self, reply: Callable[[list[Message]], Iterable[str]], system: str = "") -> None:
        from IPython.display import display

        self.reply = reply
        self.messages: list[Message] = [{"role": "system", "content": system}] if system else []
        self._handle = display(self._page(), raw=True, display_id=True)

    def _page(self, trouble: str = "") -> dict[str, str]:
        """What has been said, as HTML and as text: a saved notebook keeps both."""
        said = [(m["role"], m["content"]) for m in self.messages if m["role"] != "system"]
        said += [("trouble", trouble)] if trouble else []
        style = "color:#111;padding:6px 10px;margin:4px 0;border-radius:8px;white-space:pre-wrap"
        plain_text = 'class="mathjax_ignore tex2jax_ignore"'  # $x$ stays as it was typed
        html = "".join(
            f'<div {plain_text} style="{style};background:{COLOURS[role]}">'
            f"<b>{role}</b><br>{escape(text)}</div>"
            for role, text in said
        )
        plain = "\n".join(f"{role}: {text}" for role, text in said) or "(nothing said yet)"
        return {"text/html": html or "<i>(nothing said yet)</i>", "text/plain": plain}

    def say(self, text: str) -> None:
        """Say something, and show the answer while it comes.

        Args:
            text: the user's message; an empty one is passed over.
        """
        if not text.strip():
            return
        before = len(self.messages)
        self.messages.append({"role": "user", "content": text.strip()})
        answer = {"role": "assistant", "content": ""}
        try:
            for piece in self.reply(list(self.messages)):
                if not answer["content"]:
                    self.messages.append(answer)
                answer["content"] += piece
                self._handle.update(self._page(), raw=True)
        except (Exception, KeyboardInterrupt) as error:  # whatever happens, the window stays
            if isinstance(error, KeyboardInterrupt) and answer["content"]:
                trouble = "The answer was interrupted."  # what has been read stays
            else:
                del self.messages[before:]  # it was not answered: it can be said again
                why = f"{type(error).__name__}: {error}".removesuffix(": ")
                trouble = f"“{text.strip()}” got no answer, and can be said again: {why}"
            self._handle.update(self._page(trouble), raw=True)
        else:
            if not answer["content"]:
                self.messages.append(answer)
            self._handle.update(self._page(), raw=True)


def window(
    reply: Callable[[list[Message]], Iterable[str]],
    system: str = "",
    examples: Sequence[str] = (),
) -> Window:
    """Open a chat window under the cell.

    Args:
        reply: is given the conversation so far, and yields pieces of the answer.
        system: the system message, which is not shown.
        examples: what is said where nobody can type, as when a notebook is run from top to bottom
            by a program: then there is no line to type in.

    Returns:
        The window; `window.messages` is the conversation.
    """
    talk = Window(reply, system)
    if not somebody_is_there():
        for text in examples:
            talk.say(text)
        return talk

    import ipywidgets as widgets
    from IPython.display import display

    line = widgets.Text(placeholder="say something", layout=widgets.Layout(width="80%"))
    button = widgets.Button(description="send")

    def send(_: object) -> None:
        text, line.value = line.value, ""
        button.disabled = True
        try:
            talk.say(text)
        finally:
            button.disabled = False

    with warnings.catch_warnings():  # a change of the value would also send what is half typed
        warnings.simplefilter("ignore", DeprecationWarning)
        line.on_submit(send)
    button.on_click(send)
    display(widgets.HBox([line, button]))
    return talk


def somebody_is_there() -> bool:
    """True if a person's front end runs the cell: a program that runs notebooks takes no input."""
    from IPython import get_ipython

    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))
