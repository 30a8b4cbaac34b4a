"""Exercise 10.5 (stretch), `read_events`: its oracle, inputs, mistakes and hints."""

import json

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson10 import read_events_mutants as mutants
from utils.checks.lesson10.common import END, ROLE, USAGE, delta, drawn, stream_of
from utils.checks.lesson10.read_events_mutants import events


def _read_events(lines):
    """The client's own decoder, fed with the same bytes."""
    import httpx
    import openai

    def body():
        for line in lines:
            yield line.rstrip(b"\r\n") + b"\n"
            if line.startswith(b"data:") and line[5:].strip() == b"[DONE]":
                return  # the client would read what follows, and throw it away

    headers = {"content-type": "text/event-stream"}
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, headers=headers, stream=stream_of(body()))
    )
    client = openai.OpenAI(
        base_url="http://server/v1", api_key="none", http_client=httpx.Client(transport=transport)
    )
    for chunk in client.chat.completions.create(model="m", messages=[], stream=True):
        for choice in (getattr(chunk, "choices", None) or [])[:1]:
            if choice.delta.content:
                yield choice.delta.content


def _watched(answer, lines, how):
    """The pieces, when the first came, and how far was read in the end."""
    read = []

    def arriving():
        for line in lines:
            read.append(line)
            yield line

    given = answer(list(lines) if how == "a list" else arriving())
    if given is None or isinstance(given, str) or not hasattr(given, "__iter__"):
        return given
    pieces, places = [], []
    for piece in given:
        pieces.append(piece)
        places.append(len(read))
    if how == "a list":
        return Seen({"result": pieces})
    holding = [i for i, line in enumerate(lines) if line.startswith(b"data")]
    second = [*holding, len(lines)][min(2, len(holding))]
    done = [i for i, line in enumerate(lines) if line.strip().endswith(b"[DONE]")]
    return Seen(
        {
            "result": pieces,
            "the first piece comes as soon as it is there": not pieces or places[0] <= second,
            "nothing is read after [DONE]": not done or len(read) <= done[0] + 2,  # an empty line
        }
    )


def _line(event, end=b"", gap=b" ", ascii_only=True, compact=False):
    separators = (",", ":") if compact else None
    text = json.dumps(event, ensure_ascii=ascii_only, separators=separators)
    return b"data:" + gap + text.encode() + end


def _bare(text):
    return {"choices": [{"delta": {"content": text}}]}


def _lines(all_events, end=b"", after=(), **how):
    lines = []
    for event in all_events:
        lines += [_line(event, end, **how), end]
    return [*lines, b"data: [DONE]" + end, end, *after]


def _case(lines, how="a generator"):
    shown = f"lines = {lines}" if len(repr(lines)) < 700 else f"{len(lines)} lines"
    called = "lines" if how == "a list" else "iter(lines)"
    return Case(lines, how, label=f"{shown}\n[*read_events({called})]")


read_events = Exercise(
    number="10.5",
    name="read_events",
    oracle=_read_events,
    compared_with="the `openai` client, given the same lines",
    probe=_watched,
    cases=lambda: [
        _case(
            [
                _line(ROLE),
                b"",
                _line(delta("Hel")),
                b"",
                b": a comment",
                b"",
                _line(delta(" lo ")),
                b"",
                b"event: message",
                _line(delta(" ")),
                b"",
                _line(USAGE),
                b"",
                _line(delta(None)),
                b"",
                _line(delta("\n")),
                b"",
                _line(END),
                b"",
                b"data: [DONE]",
                b"",
                _line(delta("too late")),
                b"",
            ]
        ),
        _case([_line(_bare("Hel")), b"", b": a comment", b"data: [DONE]"]),
        _case([_line(_bare("Hel")), b"", b": a comment", b"data: [DONE]"], "a list"),
        _case(_lines([_bare(" " + w) for w in drawn(40, 5).split()], b"\n")),
        _case(_lines([_bare("a"), USAGE, _bare(" b"), _bare("c ")], b"\r\n", gap=b"")),
        _case(_lines([_bare("x"), _bare("  y")], b"\n", gap=b"", compact=True)),
        _case(_lines([ROLE, delta("a"), END, delta("b")])),
        _case(_lines([{"id": "7"}, _bare("a"), {"usage": {"total_tokens": 3}}, _bare("b")])),
        _case(_lines([_bare("é"), _bare("日🙂"), _bare("ß")], ascii_only=False)),
        _case(_lines([_bare("é"), _bare("日🙂"), _bare("ß")])),
        _case(_lines([_bare("data: x"), _bare("[DONE]"), _bare(": no"), _bare('"q" \\ {}')])),
        _case([b": " + _line(_bare("no")), *_lines([_bare("a"), _bare("a"), _bare("0")])]),
        _case(
            [
                b"event: ping",
                b"dataset: {",
                b"data: {}",
                b"",
                *_lines([_bare("a")], after=[b"data: {", b"", b"x"]),
            ]
        ),
        _case([b"data:[DONE]\r\n", b"\r\n", b"data: {", b""]),
        _case([b": hello", b"", b"data: [DONE]"]),
        _case(_lines([ROLE, END, USAGE])),
        _case([]),
        _case([_line(_bare("cut")), b"", _line(_bare(" off")), b""], "a list"),
        _case(_lines([_bare(c) for c in str(3**400)])),
    ],
    mistakes=[
        Mistake(
            "ends_at_an_empty_line",
            "You stop at the first empty line. An empty line ends one event, and more follow: "
            "pass over it with `continue`.",
            events(prepare=mutants.until_an_empty_line),
        ),
        Mistake(
            "empty_pieces",
            "Events without text come out as empty pieces. Yield only where there is some: "
            "`if text:`.",
            events(
                text=mutants.text_or_skip,
                keep=lambda piece: piece is not mutants.SKIP,
                change=lambda piece: piece or "",
            ),
        ),
        Mistake(
            "none_yielded",
            "Events without text come out as `None` or as empty pieces. Yield only where there is "
            "some: `if text:`.",
            events(text=mutants.text_or_skip, keep=lambda piece: piece is not mutants.SKIP),
        ),
        Mistake(
            "only_none_passed_over",
            'An event may bring an empty piece, `""`, and not only `None`. Ask `if text:`, which '
            "passes over both.",
            events(keep=lambda piece: piece is not None),
        ),
        Mistake(
            "choices_expected",
            "An event may have no choices, or an empty list of them, and `[0]` stops with an error "
            'there. Take `event.get("choices")` and ask whether there is something in it.',
            events(text=mutants.choices_expected),
        ),
        Mistake(
            "choices_key_expected",
            'An event may lack `"choices"` altogether, and square brackets stop with an error '
            'there. Take `event.get("choices")`.',
            events(text=mutants.choices_key_expected),
        ),
        Mistake(
            "content_expected",
            'A `delta` may have no `"content"`, as the last one usually has not. Take '
            '`delta.get("content")`.',
            events(text=mutants.content_expected),
        ),
        Mistake(
            "done_is_parsed",
            "`[DONE]` is no JSON, and `json.loads` stops with an error there. Look for it first, "
            "and `return`.",
            events(done=lambda value: False),
        ),
        Mistake(
            "done_passed_over",
            "You pass over `[DONE]` and read on. It is the end, whatever follows: `return`.",
            events(done=lambda value: False, text=mutants.done_passed_over),
        ),
        Mistake(
            "done_yielded",
            "`[DONE]` comes out as if it were text. It only says that this is the end: `return` "
            "there.",
            events(
                text=lambda value: value if value == "[DONE]" else mutants.text(value),
                done=lambda value: False,
            ),
        ),
        Mistake(
            "done_inside_a_text",
            "You end at a text that contains `[DONE]`. It is the end only where it is all that "
            "stands behind `data:`; compare with `==`.",
            events(done=lambda value: "[DONE]" in value),
        ),
        Mistake(
            "space_expected",
            "You look for `data: ` with a space, and it may be missing. Look for `data:` and strip "
            "what follows.",
            events(data=mutants.with_a_space),
        ),
        Mistake(
            "six_characters_cut",
            "You cut off six characters, and where no space follows the colon one of them is the "
            "first brace. Cut five and strip the rest.",
            events(data=mutants.six_characters),
        ),
        Mistake(
            "line_ends_kept",
            "The line may still have its `\\n` or `\\r\\n`, and then `[DONE]` is not found. Strip "
            "it first.",
            events(data=mutants.line_ends_kept),
        ),
        Mistake(
            "data_anywhere",
            "You take every line that contains `data:`, and a comment may contain it. Ask whether "
            "the line *begins* with it: `startswith`.",
            events(data=mutants.anywhere),
        ),
        Mistake(
            "split_at_every_data",
            "You split at `data:` wherever it stands, and a text may contain it. Cut off the first "
            "five characters only.",
            events(data=mutants.split_everywhere),
        ),
        Mistake(
            "not_utf8",
            "The bytes are UTF-8, and you read them as Latin-1: letters with accents come out as "
            'two signs. `line.decode("utf-8")`.',
            events(data=mutants.as_latin),
        ),
        Mistake(
            "only_ascii",
            'Letters beyond ASCII are lost. The bytes are UTF-8: `line.decode("utf-8")`.',
            events(data=mutants.only_ascii),
        ),
        Mistake(
            "comments_parsed",
            "You take every line that is not empty for JSON. Only those that begin with `data:` "
            "hold any; pass over the others.",
            events(data=mutants.everything),
        ),
        Mistake(
            "stripped",
            "You strip the pieces, and words run together. Strip the line if you like, but not the "
            "text in it.",
            events(keep=lambda piece: piece, change=str.strip),
        ),
        Mistake(
            "spaces_dropped",
            "A piece that is nothing but blanks is lost, and words run together. A space is text: "
            "ask `if text:`, without `strip`.",
            events(keep=lambda piece: piece and piece.strip()),
        ),
        Mistake(
            "collected_first",
            "The pieces are right, but you read all lines before you hand on the first. Yield each "
            "inside the loop, as it comes.",
            events(gather=lambda pieces: [*pieces]),
        ),
        Mistake(
            "lines_read_first",
            "You make a list of all lines before you look at the first (`list(lines)`): it is full "
            "when the connection ends, and nobody sees a word before. Go through `lines` itself.",
            lambda lines: events()(iter(list(lines))),
        ),
        Mistake(
            "joined",
            "You yield the whole text as one piece. `yield` belongs inside the loop.",
            events(gather=lambda pieces: ["".join(pieces)]),
        ),
        Mistake(
            "returns_a_string",
            "You return the whole text as one string. `yield` each piece inside the loop.",
            lambda lines: "".join(events()(lines)),
        ),
        Mistake(
            "text_so_far",
            "You yield all the text so far, again and again. Yield only what is new.",
            events(gather=mutants.so_far),
        ),
    ],
    hints=[
        "Line by line: decode it, strip the ends, and pass over whatever does not begin with "
        "`data:`.",
        "What follows is `[DONE]`, at which you `return`, or JSON: `event = json.loads(line[5:])`.",
        'Then `choices = event.get("choices")`, and if there is something in it '
        '`text = choices[0]["delta"].get("content")`; `if text: yield text`.',
    ],
)
