"""Mistakes of exercise 10.5 as code: reading with one step replaced."""

import json


def data(line):
    """What stands behind `data:`, or None."""
    text = line.decode("utf-8").rstrip("\r\n")
    return text[5:].strip() if text.startswith("data:") else None


def text(value):
    """The text of an event, or None."""
    choices = json.loads(value).get("choices")
    return choices[0]["delta"].get("content") if choices else None


SKIP = object()


def text_or_skip(value):
    """The text of an event, or `SKIP` if it has no choices."""
    return text(value) if json.loads(value).get("choices") else SKIP


def events(
    prepare=lambda lines: lines,
    data=data,
    done=lambda value: value == "[DONE]",
    text=text,
    keep=bool,
    change=lambda text: text,
    gather=lambda pieces: pieces,
):
    """Reading with one step replaced."""

    def pieces(lines):
        for line in prepare(lines):
            value = data(line)
            if not value:
                continue
            if done(value):
                return
            piece = text(value)
            if keep(piece):
                yield change(piece)

    def mutant(lines):
        yield from gather(pieces(lines))

    return mutant


def until_an_empty_line(lines):
    """The lines before the first empty one."""
    for line in lines:
        if not line.strip():
            return
        yield line


def with_a_space(line):
    """Only behind `data: `, with its space."""
    text = line.decode("utf-8").rstrip("\r\n")
    return text.removeprefix("data: ") if text.startswith("data: ") else None


def six_characters(line):
    """Cut off six characters."""
    text = line.decode("utf-8").rstrip("\r\n")
    return text[6:] if text.startswith("data:") else None


def anywhere(line):
    """Behind `data:`, wherever it stands."""
    text = line.decode("utf-8").rstrip("\r\n")
    return text.split("data:", 1)[1].strip() if "data:" in text else None


def split_everywhere(line):
    """Behind the last `data:` of the line."""
    text = line.decode("utf-8").rstrip("\r\n")
    return text.split("data:")[-1].strip() if text.startswith("data:") else None


def line_ends_kept(line):
    """With the end of the line."""
    text = line.decode("utf-8")
    return text.removeprefix("data:").removeprefix(" ") if text.startswith("data:") else None


def as_latin(line):
    """Read as Latin-1."""
    text = line.decode("latin-1").rstrip("\r\n")
    return text[5:].strip() if text.startswith("data:") else None


def only_ascii(line):
    """Without what is not ASCII."""
    text = line.decode("ascii", "ignore").rstrip("\r\n")
    return text[5:].strip() if text.startswith("data:") else None


def everything(line):
    """Every line."""
    return line.decode("utf-8").removeprefix("data:").strip()


def choices_expected(value):
    """Take the first choice without a look whether there is one."""
    return json.loads(value)["choices"][0]["delta"].get("content")


def choices_key_expected(value):
    """Take `choices` in square brackets."""
    choices = json.loads(value)["choices"]
    return choices[0]["delta"].get("content") if choices else None


def content_expected(value):
    """Take `content` in square brackets."""
    choices = json.loads(value).get("choices")
    return choices[0]["delta"]["content"] if choices else None


def done_passed_over(value):
    """Read on behind `[DONE]`."""
    return "" if value == "[DONE]" else text(value)


def so_far(pieces):
    """All the text so far, again and again."""
    text = ""
    for piece in pieces:
        text += piece
        yield text
