"""Exercise 10.3, `ask`: its oracle, inputs, mistakes and hints."""

import inspect

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson10.common import UNKNOWN, Server, delta, drawn, message, refusal, talk

AN_ERROR = "the client's own error"


def _ask(client, model, messages, **options):
    if not messages:
        raise ValueError("the conversation is empty: there is nothing to answer")
    made = client.chat.completions.create(model=model, messages=messages, **options)
    return made.choices[0].message.content or ""


def _refuse(messages):
    if not messages:
        raise ValueError("the conversation is empty: there is nothing to answer")


def _asked(
    refuse=_refuse,
    prepare=lambda messages: messages,
    model=lambda model: model,
    options=lambda options: options,
    back=lambda made: made.choices[0].message.content or "",
):
    """Asking with one step replaced."""

    def mutant(client, name, messages, **given):
        refuse(messages)
        made = client.chat.completions.create(
            model=model(name), messages=prepare(messages), **options(given)
        )
        return back(made)

    return mutant


def _asserted(messages):
    assert messages


def _without_a_sentence(messages):
    if not messages:
        raise ValueError


def _joined(messages):
    return [message("user", "\n".join(m["content"] for m in messages))]


def _sent_first(client, model, messages, **options):
    text = _asked(refuse=lambda messages: None)(client, model, messages, **options)
    _refuse(messages)
    return text


def _streamed(client, model, messages, **options):
    _refuse(messages)
    made = client.chat.completions.create(model=model, messages=messages, stream=True, **options)
    return "".join(c.choices[0].delta.content or "" for c in made if c.choices)


def _completed(client, model, messages, **options):
    _refuse(messages)
    prompt = "\n".join(m["content"] for m in messages)
    return client.completions.create(model=model, prompt=prompt, **options).choices[0].text


def _responded(client, model, messages, **options):
    _refuse(messages)
    return client.responses.create(model=model, input=messages).output_text


def _twice(client, model, messages, **options):
    _ask(client, model, messages, **options)
    return _ask(client, model, messages, **options)


def _swallowed(client, model, messages, **options):
    _refuse(messages)
    try:
        return _ask(client, model, messages, **options)
    except Exception:
        return ""


def _only_known(options):
    return {key: options[key] for key in options if key in ("max_tokens", "temperature")}


def _watched(answer, model, messages, options, replies):
    """The text that comes back, and what arrived at the server."""
    texts = [delta(text) for text in replies[:1] if text]
    server = Server(replies, texts)
    client = server.client()
    if not messages:
        return refusal(
            lambda: answer(client, model, messages, **options),
            requests_sent=lambda: len(server.requests),
        )
    if model == UNKNOWN:
        try:
            answer(client, model, messages, **options)
        except NotImplementedError:
            raise
        except Exception:
            return Seen({"result": AN_ERROR})
        return Seen({"result": "no error"})
    text = answer(client, model, messages, **options)
    if text is None or inspect.isgenerator(text):
        return text
    streamed = any(body.get("stream") for _, body in server.requests)
    return Seen({"result": text, "streamed": streamed} | server.seen(options))


def _case(messages, reply, model="smol", *others, said="", **options):
    texts = [f"{name}={value!r}" for name, value in options.items()]
    label = ", ".join(["client", repr(model), repr(messages), *texts])
    label = f"ask({label})"
    label += f"\n# {said}" if said else f"\n# where the server answers {reply!r}"
    return Case(model, messages, options, [reply, *others], label=label)


ask = Exercise(
    number="10.3",
    name="ask",
    oracle=_ask,
    compared_with="what went over the wire",
    probe=_watched,
    cases=lambda: [
        _case(talk(1, 3, "Be brief."), f" {drawn(20, 4)}.\n", max_tokens=20, temperature=0),
        _case([message("user", "Hi")], "Hello!"),
        _case([message("user", "Hi")], None),
        _case([message("user", "Hi")], "", max_tokens=1),
        _case([message("user", drawn(21, 2))], drawn(22, 3), "models/other-2"),
        _case(talk(2, 5), "é日🙂 \n\nok\n", temperature=0.7, top_p=0.9, seed=4),
        _case(talk(3, 1), "None", "smol", "second", n=2, stop=["\n"], said="two choices, 'None'"),
        _case(talk(4, 9, "  Speak\nlike a pirate. "), "0", max_completion_tokens=300),
        _case([message("user", " \n")], "  ", "m", user="u", presence_penalty=-0.5),
        _case([], "Hello!", max_tokens=5, said="an empty conversation"),
        _case(talk(5, 1), "Hello!", UNKNOWN, said="a model that the server does not have"),
    ],
    mistakes=[
        Mistake(
            "last_message_only",
            "Only the last message is sent, and the model knows nothing of what was said before. "
            "Send the whole conversation: `messages=messages`.",
            _asked(prepare=lambda messages: messages[-1:]),
        ),
        Mistake(
            "messages_joined",
            "You make one message out of all, and who said what is lost. The list goes to the "
            "server as it is: `messages=messages`.",
            _asked(prepare=_joined),
        ),
        Mistake(
            "system_message_left_out",
            "The system message does not arrive. Send the whole list, `messages=messages`.",
            _asked(prepare=lambda messages: [m for m in messages if m["role"] != "system"]),
        ),
        Mistake(
            "system_message_added",
            "You put a system message in front that nobody asked for. Send `messages` as it is.",
            _asked(
                prepare=lambda messages: [
                    message("system", "You are a helpful assistant."),
                    *messages,
                ]
            ),
        ),
        Mistake(
            "options_dropped",
            "The options do not arrive: `max_tokens`, `temperature` and the others have to go on "
            "to the server. Hand them over with two stars, `**options`.",
            _asked(options=lambda options: {}),
        ),
        Mistake(
            "some_options_dropped",
            "Only `max_tokens` and `temperature` go on to the server. Hand over whatever there is: "
            "`**options`.",
            _asked(options=_only_known),
        ),
        Mistake(
            "options_added",
            "You send options of your own that nobody asked for. Let the server decide what the "
            "caller left open: only `**options`.",
            _asked(options=lambda options: {"max_tokens": 100, "temperature": 0} | options),
        ),
        Mistake(
            "another_model",
            "You ask for a model of a fixed name. Pass on the one that was given: `model=model`.",
            _asked(model=lambda model: "smol"),
        ),
        Mistake(
            "whole_response",
            "You return the whole response. The text is in it, at `.choices[0].message.content`.",
            _asked(back=lambda made: made),
        ),
        Mistake(
            "choices_returned",
            "You return the list of choices. Take the first, `[0]`, and from it "
            "`.message.content`.",
            _asked(back=lambda made: made.choices),
        ),
        Mistake(
            "choice_returned",
            "You return the first choice. The text is one step further in: `.message.content`.",
            _asked(back=lambda made: made.choices[0]),
        ),
        Mistake(
            "message_returned",
            "You return the message. Its text is `.content`.",
            _asked(back=lambda made: made.choices[0].message),
        ),
        Mistake(
            "last_choice",
            "You take the last choice where there are several. The first is `choices[0]`.",
            _asked(back=lambda made: made.choices[-1].message.content or ""),
        ),
        Mistake(
            "all_choices",
            "You join the texts of all choices. Return the first alone, `choices[0]`.",
            _asked(back=lambda made: "".join(c.message.content or "" for c in made.choices)),
        ),
        Mistake(
            "none_for_no_text",
            'A server may answer with no text at all: `content` is `None`. Return `""` then, for '
            'whoever calls `ask` expects a string: `… or ""`.',
            _asked(back=lambda made: made.choices[0].message.content),
        ),
        Mistake(
            "the_word_none",
            'Where the server sends no text, you return the word `"None"`: `str(None)` makes it. '
            'Return `""`.',
            _asked(back=lambda made: str(made.choices[0].message.content)),
        ),
        Mistake(
            "stripped",
            "You strip the text. Return it as it came: a blank or a new line at an end may matter.",
            _asked(back=lambda made: (made.choices[0].message.content or "").strip()),
        ),
        Mistake(
            "streamed",
            "You ask for a stream and join the pieces. Here the answer comes at once: leave out "
            "`stream=True` (the next exercise is about it).",
            _streamed,
        ),
        Mistake(
            "completions_for_chat",
            "You call `client.completions`, which goes on with a text and knows no roles. A chat "
            "is at `client.chat.completions`.",
            _completed,
        ),
        Mistake(
            "responses_for_chat",
            "You call `client.responses`, an API that OpenAI has and most other servers have not. "
            "Call `client.chat.completions.create`.",
            _responded,
        ),
        Mistake(
            "asked_twice",
            "Two requests go out for one answer, and each costs time and money. Call `create` "
            "once and keep what it returns.",
            _twice,
        ),
        Mistake(
            "errors_swallowed",
            "Where the server refuses, you hide it: the caller cannot tell a refusal from an "
            "answer. Leave out the `try`, and let the client's error through.",
            _swallowed,
        ),
        Mistake(
            "empty_conversation_sent",
            "An empty conversation is sent to the server. There is nothing to answer: begin with "
            '`if not messages: raise ValueError("…")`.',
            _asked(refuse=lambda messages: None),
        ),
        Mistake(
            "refused_too_late",
            "An empty conversation is refused, but only after the server was asked. Look before "
            "you send.",
            _sent_first,
        ),
        Mistake(
            "refused_with_assert",
            "An empty conversation is refused, but with an `AssertionError`. Write "
            '`raise ValueError("…")`: `assert` is switched off by `python -O`.',
            _asked(refuse=_asserted),
        ),
        Mistake(
            "refused_without_a_sentence",
            "An empty conversation is refused, but without a word. Say what is wrong: "
            '`raise ValueError("the conversation is empty")`.',
            _asked(refuse=_without_a_sentence),
        ),
    ],
    hints=[
        "One call does it: `client.chat.completions.create(model=…, messages=…, …)`.",
        "The options go on with two stars, `**options`. The text of what comes back is at "
        "`.choices[0].message.content`, and it may be `None`.",
        'First `if not messages: raise ValueError("the conversation is empty")`; in the end '
        '`return response.choices[0].message.content or ""`.',
    ],
)
