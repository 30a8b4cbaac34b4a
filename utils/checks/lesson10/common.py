"""What several exercises of lesson 10 share: conversations, refusals, and a server to ask."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from utils.checks.engine.compare import Seen
from utils.checks.engine.inputs import seeded

WORDS = "river lamp seven green why bread under north paper slow tell moon".split()  # noqa: SIM905
ACCIDENTS = IndexError, KeyError, AttributeError, NameError, StopIteration
SENTENCE, RAISES = "ValueError with a sentence", "what it raises"
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
UNKNOWN = "no-such-model"  # the server refuses to work with it


def message(role: str, content: str) -> dict[str, str]:
    """One message."""
    return {"role": role, "content": content}


def drawn(seed: int, n: int) -> str:
    """A few words: others among `other_numbers`."""
    return " ".join(random.Random(seeded(seed)).choices(WORDS, k=n))


def talk(seed: int, n: int, system: str | None = None, longest: int = 3) -> list[dict[str, str]]:
    """A conversation of n messages, user and assistant in turn, after a system message if given."""
    lengths = random.Random(seed)  # the same lengths among `other_numbers`
    said = [
        message(("user", "assistant")[i % 2], drawn(100 * seed + i, lengths.randint(1, longest)))
        for i in range(n)
    ]
    return said if system is None else [message("system", system), *said]


def fault(messages: list[dict[str, str]]) -> str:
    """What is wrong with a conversation, in a sentence, or nothing."""
    rest = messages[1:] if messages and messages[0]["role"] == "system" else messages
    if not rest:
        return "there is no message of a user's in this conversation"
    for i, one in enumerate(rest):
        expected = ("user", "assistant")[i % 2]
        if one["role"] != expected:
            return f"a message of {one['role']!r} where it is the {expected}'s turn"
    return ""


def refusal(call: Callable[[], Any], **besides: Callable[[], Any]) -> Seen:
    """What a call raises that has to be refused; an accident counts as nothing.

    Args:
        call: makes the call.
        **besides: what else is looked at afterwards; underscores in its names stand for spaces.
    """
    try:
        given = call()
        raised = "no ValueError" if given else f"no ValueError: it returns {given!r}"
    except NotImplementedError:
        raise
    except ValueError as error:
        short = len(str(error).split()) < 2
        raised = "ValueError without a sentence" if short else SENTENCE
    except ACCIDENTS:
        raised = "no ValueError"
    except Exception as error:
        raised = type(error).__name__
    found = {name.replace("_", " "): look() for name, look in besides.items()}
    return Seen({RAISES: raised} | found)


def delta(content: str | None, **more: Any) -> dict:
    """An event that brings a piece of text."""
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None} | more]}


ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}


class Server:
    """An OpenAI-compatible server that lives in this process, and keeps what it was asked.

    Args:
        replies: the text of each choice.
        events: what it sends when it is asked to stream.
    """

    def __init__(self, replies: list[str | None], events: list[dict]) -> None:
        self.replies, self.events = replies, events
        self.requests: list[tuple[str, dict]] = []
        self.sent = 0  # events of the last stream

    def client(self) -> Any:
        """An `openai.OpenAI` that talks to this server."""
        import httpx
        import openai

        http_client = httpx.Client(transport=httpx.MockTransport(self._answer))
        return openai.OpenAI(
            base_url="http://server/v1", api_key="none", max_retries=0, http_client=http_client
        )

    def _answer(self, request: Any) -> Any:
        import httpx

        path = request.url.path.removeprefix("/v1")
        body = json.loads(request.content or b"{}")
        self.requests.append((path, body))
        kinds = {
            "/chat/completions": self._chat,
            "/completions": self._text,
            "/responses": self._response,
        }
        if path not in kinds or body.get("model") == UNKNOWN:
            said = {"error": {"message": f"not found: {path} {body.get('model')}", "code": 404}}
            return httpx.Response(404, json=said)
        if body.get("stream"):
            headers = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=headers, stream=stream_of(self._lines()))
        return httpx.Response(200, json={"id": "1", "created": 0} | kinds[path](body))

    def _chat(self, body: dict) -> dict:
        choices = [
            {"index": i, "finish_reason": "stop", "message": message("assistant", text)}
            for i, text in enumerate(self.replies)
        ]
        usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
        said = {"object": "chat.completion", "choices": choices, "usage": usage}
        return said | {"model": body.get("model")}

    def _text(self, body: dict) -> dict:
        choices = [{"index": i, "text": text or ""} for i, text in enumerate(self.replies)]
        return {"object": "text_completion", "model": body.get("model"), "choices": choices}

    def _response(self, body: dict) -> dict:
        content = [{"type": "output_text", "text": self.replies[0] or "", "annotations": []}]
        output = [{"type": "message", "role": "assistant", "id": "2", "content": content}]
        return {"object": "response", "model": body.get("model"), "output": output}

    def _lines(self) -> Iterator[bytes]:
        self.sent = 0
        for event in self.events:
            self.sent += 1
            whole = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
            yield f"data: {json.dumps(whole | event)}\n\n".encode()
        yield b"data: [DONE]\n\n"

    def seen(self, options: dict) -> dict[str, Any]:
        """What arrived, for `Seen`; `stream` is left out."""
        path, body = self.requests[-1] if self.requests else ("", {})
        rest = {key: body[key] for key in body if key not in ("model", "messages", "stream")}
        return {
            "requests sent": len(self.requests),
            "where the request goes": path,
            "the model that is asked for": body.get("model"),
            "the messages that arrive": body.get("messages"),
            "the options that arrive": {key: rest[key] for key in rest if key in options},
            "options that nobody asked for": any(key not in options for key in rest),
        }


def stream_of(chunks: Iterator[bytes]) -> Any:
    """A body that httpx reads bit by bit."""
    import httpx

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(chunks)

    return Body()
