"""Exercise 10.4, `stream`: its oracle, inputs, mistakes and hints."""

from itertools import islice

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson10 import stream_mutants as mutants
from utils.checks.lesson10.ask import AN_ERROR
from utils.checks.lesson10.common import (
    END,
    ROLE,
    UNKNOWN,
    USAGE,
    Server,
    delta,
    drawn,
    message,
    refusal,
    talk,
)
from utils.checks.lesson10.stream_mutants import streamed


def _stream(client, model, messages, **options):
    if not messages:
        raise ValueError("the conversation is empty: there is nothing to answer")
    with client.chat.completions.create(
        model=model, messages=messages, stream=True, **options
    ) as chunks:
        for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


def _watched(answer, model, messages, options, events):
    """The pieces, when they came, and what arrived at the server."""
    last = max((i for i, e in enumerate(events) if _text_of(e)), default=0)
    whole = "".join(map(_text_of, events))
    server = Server([whole], events)
    client = server.client()
    if not messages:
        return refusal(
            lambda: [*answer(client, model, messages, **options)],
            requests_sent=lambda: len(server.requests),
        )
    if model == UNKNOWN:
        try:
            [*answer(client, model, messages, **options)]
        except NotImplementedError:
            raise
        except Exception:
            return Seen({"result": AN_ERROR})
        return Seen({"result": "no error"})
    given = answer(client, model, messages, **options)
    before = len(server.requests)
    if isinstance(given, str) or not hasattr(given, "__iter__") and given is not None:
        return given
    pieces, sent = [], []
    for piece in () if given is None else given:
        pieces.append(piece)
        sent.append(server.sent)
    return Seen(
        {
            "what comes back": "None" if given is None else "something to go through",
            "result": pieces,
            "requests sent before the first piece is asked for": before,
            "the first piece comes before the last is sent": not pieces or sent[0] <= last,
        }
        | server.seen(options)
    )


def _text_of(event):
    return (event["choices"][0]["delta"].get("content") or "") if event["choices"] else ""


def _case(messages, pieces, model="smol", events=None, **options):
    texts = [f"{name}={value!r}" for name, value in options.items()]
    label = ", ".join(["client", repr(model), repr(messages), *texts])
    events = events or [ROLE, *map(delta, pieces), END]
    said = pieces if len(pieces) < 20 else f"{len(pieces)} pieces"
    label = f"[*stream({label})]\n# where the server sends {said}"
    return Case(model, messages, options, events, label=label)


def _with_gaps(*pieces):
    """Chunks without choices, without content and with an empty one between the pieces."""
    events = [USAGE, ROLE]
    for piece in pieces:
        events += [delta(piece), delta(None), USAGE, delta(""), END | {"choices": []}]
    return [*events, END, USAGE]


def _ending_in_text(*pieces):
    *front, last = pieces
    return [ROLE, *map(delta, front), delta(last, finish_reason="stop"), USAGE]


HELLO = ["Hel", "lo", " ", "wor", "ld", ".\n", "  ok"]

stream = Exercise(
    number="10.4",
    name="stream",
    oracle=_stream,
    compared_with="what the server sent",
    probe=_watched,
    cases=lambda: [
        _case(talk(1, 3, "Be brief."), HELLO, max_tokens=20, temperature=0),
        _case([message("user", "Hi")], HELLO, events=_with_gaps(*HELLO)),
        _case([message("user", "Hi")], HELLO, events=_ending_in_text(*HELLO)),
        _case(talk(2, 1), [" " + w for w in drawn(30, 6).split()], "models/other-2"),
        _case(talk(3, 5), ["ha", "ha", "\n", "\n", " ", " ", "ha"], top_p=0.5, seed=3),
        _case(talk(4, 2 * 4 + 1), ["é", "日", "🙂", "0", "None", "data: [DONE]", "[DONE]"]),
        _case([message("user", "Hi")], [*str(2**1000)], max_completion_tokens=400),
        _case([message("user", "Hi")], []),
        _case([message("user", "Hi")], ["Y", "es"], events=[delta("Y"), delta("es"), END]),
        _case([message("user", "Hi")], ["Yes"], "m", stop=["\n"]),
        _case(
            [message("user", "Hi")],
            ["a", "b "],
            events=[ROLE, delta("a"), delta("b "), END, USAGE],
            stream_options={"include_usage": True},
        ),
        _case([], ["a", "b"], max_tokens=5),
        _case(talk(5, 1), ["a", "b"], UNKNOWN),
    ],
    mistakes=[
        Mistake(
            "spaces_dropped",
            "A piece that is nothing but blanks is lost, and words run together. A space is text: "
            "ask `if text:`, without `strip`.",
            streamed(texts=mutants.of_each(keep=str.strip)),
        ),
        Mistake(
            "pieces_stripped",
            "You strip the pieces, and words run together. Yield each as it came.",
            streamed(texts=mutants.of_each(str.strip)),
        ),
        Mistake(
            "pieces_stripped_and_dropped",
            "You strip the pieces and drop what is empty then, so that words run together. Yield "
            "each piece as it came; a space is text.",
            streamed(texts=mutants.of_each(str.strip, keep=str.strip)),
        ),
        Mistake(
            "spaces_added",
            "You put a blank behind each piece. Pieces are not words: they bring their own spaces.",
            streamed(texts=mutants.of_each(lambda text: text + " ")),
        ),
        Mistake(
            "new_lines_added",
            "You put a new line behind each piece. The pieces bring all that is needed.",
            streamed(texts=mutants.of_each(lambda text: text + "\n")),
        ),
        Mistake(
            "none_yielded",
            "Chunks without text come out as `None` or as an empty piece. Yield only where there "
            "is something: `if text:`.",
            streamed(texts=mutants.none_too),
        ),
        Mistake(
            "empty_pieces",
            "Chunks without text come out as empty pieces. Yield only where there is something: "
            "`if text:`.",
            streamed(texts=mutants.empty_too),
        ),
        Mistake(
            "only_none_passed_over",
            'A chunk may bring an empty piece, `""`, and not only `None`. Ask `if text:`, which '
            "passes over both.",
            streamed(texts=mutants.not_none),
        ),
        Mistake(
            "nothing_passed_over",
            "You take a text from every chunk. Some have none (`None` or empty), and some have no "
            "choices, where `choices[0]` stops with an error: ask for choices, then for text.",
            streamed(texts=mutants.whatever_comes),
        ),
        Mistake(
            "choices_expected",
            "A chunk may have no choices at all (the last one often brings only the usage), and "
            "`choices[0]` stops with an error there. Ask `if chunk.choices` first.",
            streamed(texts=mutants.choices_expected),
        ),
        Mistake(
            "ended_at_a_chunk_without_choices",
            "You end at the first chunk without choices, and more may follow. Pass over it: "
            "`continue`.",
            streamed(texts=mutants.ended_without_choices),
        ),
        Mistake(
            "ended_at_a_chunk_without_text",
            "You end at the first chunk without text, and more may follow. Pass over it, and let "
            "the loop find the end.",
            streamed(texts=mutants.ended_without_text),
        ),
        Mistake(
            "ended_before_it_began",
            "You end at the first chunk without text, and that is often the very first, which "
            "brings only the role. Pass over it: `continue`.",
            streamed(texts=mutants.ended_at_once),
        ),
        Mistake(
            "ended_at_the_finish_reason",
            "You end at the chunk that has a `finish_reason`, and it may still bring text. Look "
            "for text first; the loop ends by itself.",
            streamed(texts=mutants.ended_with_a_reason),
        ),
        Mistake(
            "first_piece_lost",
            "The first piece of text is missing. Chunks without text are passed over by asking "
            "for text, not by counting.",
            streamed(texts=mutants.first_skipped),
        ),
        Mistake(
            "first_chunk_skipped",
            "You leave out the first chunk. It often brings only the role, but may bring text: "
            "look whether there is some.",
            streamed(texts=lambda chunks: mutants.all_texts(islice(chunks, 1, None))),
        ),
        Mistake(
            "last_piece_lost",
            "The last piece of text is missing. Yield every piece; the loop ends by itself.",
            streamed(texts=mutants.last_lost),
        ),
        Mistake(
            "text_so_far",
            "You yield all the text so far, again and again. Yield only what is new.",
            streamed(texts=mutants.so_far),
        ),
        Mistake(
            "single_characters",
            "You yield single characters: `yield from` a string takes it apart. Write `yield`.",
            streamed(texts=lambda chunks: (c for text in mutants.all_texts(chunks) for c in text)),
        ),
        Mistake(
            "collected_and_yielded_once",
            "You collect everything and yield it as one piece, so nobody reads a word before the "
            "last has come. `yield` belongs inside the loop.",
            streamed(texts=lambda chunks: iter(["".join(mutants.all_texts(chunks))])),
        ),
        Mistake(
            "collected_first",
            "The pieces are right, but you collect them all before you hand on the first. Yield "
            "each inside the loop, as it comes.",
            streamed(texts=lambda chunks: iter([*mutants.all_texts(chunks)])),
        ),
        Mistake(
            "returns_a_list",
            "You return a list: everything has to be there before anybody sees the first word. "
            "`yield` each piece inside the loop.",
            mutants.at_once(list),
        ),
        Mistake(
            "nothing_yielded",
            "You return `None`: what is printed, nobody can use. Write `yield` for each piece.",
            mutants.at_once(lambda pieces: print(*pieces)),
        ),
        Mistake(
            "returns_a_string",
            "You return the whole answer as one string. `yield` each piece inside the loop.",
            mutants.at_once("".join),
        ),
        Mistake(
            "sent_at_once",
            "The request goes out when `stream` is called, before anybody asks for a piece. Make "
            "`stream` itself the generator: `yield` in its own body.",
            mutants.sent_at_once,
        ),
        Mistake(
            "chunks_yielded",
            "You hand on whole chunks. The text of one is `chunk.choices[0].delta.content`.",
            streamed(texts=iter),
        ),
        Mistake(
            "deltas_yielded",
            "You hand on the `delta`. Its text is `.content`.",
            streamed(texts=lambda chunks: (c.choices[0].delta for c in chunks if c.choices)),
        ),
        Mistake(
            "not_streamed",
            "The answer comes as one piece: the server was not asked to stream. Say `stream=True`.",
            mutants.one_piece,
        ),
        Mistake(
            "last_message_only",
            "Only the last message is sent. Send the whole conversation: `messages=messages`.",
            streamed(prepare=lambda messages: messages[-1:]),
        ),
        Mistake(
            "options_dropped",
            "The options do not arrive. Hand them over with two stars, `**options`.",
            streamed(options=lambda options: {}),
        ),
        Mistake(
            "options_added",
            "You send options of your own that nobody asked for. Send only `**options` besides "
            "`stream=True`.",
            streamed(options=lambda options: {"max_tokens": 100, "temperature": 0} | options),
        ),
        Mistake(
            "another_model",
            "You ask for a model of a fixed name. Pass on the one that was given: `model=model`.",
            streamed(model=lambda model: "smol"),
        ),
        Mistake(
            "empty_conversation_sent",
            "An empty conversation is sent to the server. Begin with "
            '`if not messages: raise ValueError("…")`.',
            streamed(refuse=lambda messages: None),
        ),
        Mistake(
            "refused_with_assert",
            "An empty conversation is refused, but with an `AssertionError`. Write "
            '`raise ValueError("…")`.',
            streamed(refuse=mutants.asserted),
        ),
        Mistake(
            "refused_without_a_sentence",
            "An empty conversation is refused, but without a word. Say what is wrong: "
            '`raise ValueError("the conversation is empty")`.',
            streamed(refuse=mutants.without_a_sentence),
        ),
    ],
    hints=[
        "As `ask`, with `stream=True`: then `create` returns something that a `for` can go "
        "through, chunk by chunk.",
        "The text of a chunk is `chunk.choices[0].delta.content`, and `yield` hands it on. Ask "
        "first whether there are choices, then whether there is text.",
        "`for chunk in chunks:`, in it `if chunk.choices and chunk.choices[0].delta.content:`, in "
        "it `yield chunk.choices[0].delta.content`.",
    ],
)
