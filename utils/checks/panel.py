"""How an outcome looks: a small panel in a notebook, the same words as plain text elsewhere."""

import html
import re
import sys
from dataclasses import dataclass

_TONES = {  # symbol, colour of the edge (seen on light and dark, and by colour-blind readers)
    "right": ("✓", "#009e73"),
    "not_written": ("○", "#8a8a8a"),
    "wrong": ("✗", "#d55e00"),
    "raised": ("!", "#d55e00"),
    "hint": ("?", "#0072b2"),
}


@dataclass(frozen=True)
class Panel:
    """A title, a message with `code` in backticks, preformatted evidence, and a last note.

    Attributes:
        tone: right, not_written, wrong, raised or hint.
    """

    tone: str
    title: str
    message: str = ""
    evidence: str = ""
    note: str = ""

    def __repr__(self) -> str:
        lines = [f"{_TONES[self.tone][0]} {self.title}"]
        lines += [f"  {line}" for line in self.message.splitlines()]
        lines += [f"    {line}" for line in self.evidence.splitlines()]
        lines += [f"  {line}" for line in self.note.splitlines()]
        return printable("\n".join(lines))

    def _repr_html_(self) -> str:
        symbol, colour = _TONES[self.tone]
        parts = [f"<strong>{symbol} {html.escape(self.title, quote=False)}</strong>"]
        if self.message:
            parts.append(f'<div style="margin-top:4px">{_code(self.message)}</div>')
        if self.evidence:
            parts.append(
                '<pre style="margin:6px 0 0;padding:0;background:none;color:inherit;'
                f'white-space:pre-wrap">{html.escape(self.evidence, quote=False)}</pre>'
            )
        if self.note:
            parts.append(f'<div style="margin-top:6px">{_code(self.note)}</div>')
        return (
            f'<div role="status" style="border-left:5px solid {colour};padding:6px 12px;'
            f'margin:4px 0;max-width:46em;line-height:1.45">{"".join(parts)}</div>'
        )


def _code(text: str) -> str:
    """Text as HTML: what stands in backticks as code, what stands in asterisks stressed."""
    parts = re.split(r"`([^`]+)`", html.escape(text, quote=False))
    parts[1::2] = [f"<code>{part}</code>" for part in parts[1::2]]
    parts[::2] = [re.sub(r"\*(\w[^*]*)\*", r"<em>\1</em>", part) for part in parts[::2]]
    return "".join(parts)


def printable(text: str) -> str:
    """Text with plain signs where what is printed to has no others (a Windows console, a file)."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(str.maketrans({"✓": "+", "✗": "x", "○": "-", "◐": "~"}))
        return text.encode(encoding, "replace").decode(encoding)
    return text


def show(thing: object) -> None:
    """Display in a notebook, print elsewhere."""
    try:
        from IPython import get_ipython
    except ImportError:
        get_ipython = None
    if get_ipython and get_ipython():
        from IPython.display import display

        display(thing)
    else:
        print(repr(thing))
