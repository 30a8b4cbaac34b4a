"""Answers to lesson 10: right ones in an unusual style, and mistakes that nobody listed."""

import contextlib
import copy
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from functools import reduce
from pathlib import Path

# --- render_chat

DEFAULT = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def chat_in_a_loop(messages, add_generation_prompt=True):
    if len(messages) == 0:
        raise ValueError("no messages given")
    text, turn = "", "user"
    rest = list(messages)
    system = rest.pop(0)["content"] if rest[0]["role"] == "system" else DEFAULT
    if not rest:
        raise ValueError("only a system message")
    text += "<|im_start|>system\n" + system + "<|im_end|>\n"
    for m in rest:
        if m["role"] != turn:
            raise ValueError(f"expected {turn}, got {m['role']}")
        text += "<|im_start|>" + m["role"] + "\n" + m["content"] + "<|im_end|>\n"
        turn = "assistant" if turn == "user" else "user"
    if add_generation_prompt:
        text += "<|im_start|>assistant\n"
    return text


def chat_by_pattern(messages, add_generation_prompt=True):
    roles = " ".join(m["role"] for m in messages)
    if not re.fullmatch(r"(system )?user( assistant user)*( assistant)?", roles):
        raise ValueError(f"roles out of turn: {roles}")
    page = [] if roles.startswith("system") else [{"role": "system", "content": DEFAULT}]
    lines = []
    for m in itertools.chain(page, messages):
        lines += [f"<|im_start|>{m['role']}", f"{m['content']}<|im_end|>"]
    return "\n".join(lines + ["<|im_start|>assistant"] * bool(add_generation_prompt) + [""])


def chat_with_zip(messages, add_generation_prompt=True):
    first, *others = messages or [{"role": "nobody"}]
    rest = others if first["role"] == "system" else messages
    if not rest or any(
        m["role"] != r
        for m, r in zip(rest, itertools.cycle(["user", "assistant"]))  # noqa: B905
    ):
        raise ValueError("that is no conversation")
    messages = copy.deepcopy(messages)
    if messages[0]["role"] != "system":
        messages.insert(0, dict(role="system", content=DEFAULT))
    parts = map("<|im_start|>{role}\n{content}<|im_end|>\n".format_map, messages)
    return reduce(str.__add__, parts, "") + "<|im_start|>assistant\n" * add_generation_prompt


def chat_in_a_buffer(messages, add_generation_prompt=True):
    out = io.StringIO()
    expected = {"user"} | {"system"}
    if not any(m["role"] == "user" for m in messages):
        raise ValueError("nobody has asked anything")
    if messages[0]["role"] != "system":
        print("<|im_start|>system\n", DEFAULT, "<|im_end|>", sep="", file=out)
    for m in messages:
        if m["role"] not in expected:
            raise ValueError("wrong turn: " + m["role"])
        expected = {"assistant"} if m["role"] == "user" else {"user"}
        print("<|im_start|>" + m["role"], m["content"] + "<|im_end|>", sep="\n", file=out)
    if add_generation_prompt:
        print("<|im_start|>assistant", file=out)
    return out.getvalue()


class BadConversation(ValueError):
    pass


def chat_with_an_error_of_its_own(messages, add_generation_prompt=True):
    try:
        return chat_by_pattern(messages, add_generation_prompt)
    except ValueError:
        raise BadConversation("this conversation makes no sense") from None


def chat_with_replace(messages, add_generation_prompt=True):
    """Marks in what people write are taken out: a good idea, and not what is asked here."""
    clean = [m | {"content": re.sub(r"<\|im_(start|end)\|>", "", m["content"])} for m in messages]
    return chat_by_pattern(clean, add_generation_prompt)


def chat_inserting(messages, add_generation_prompt=True):
    chat_by_pattern(messages)
    if messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": DEFAULT})
    return chat_by_pattern(messages, add_generation_prompt)


def chat_with_the_assistant_last(messages, add_generation_prompt=True):
    add = add_generation_prompt and messages and messages[-1]["role"] == "user"
    return chat_by_pattern(messages[-3:], add)


def chat_checking_neighbours(messages, add_generation_prompt=True):
    """Two in a row are refused; an assistant may begin, and any word is a role."""
    if not messages or all(m["role"] == "system" for m in messages):
        raise ValueError("nothing was said")
    for a, b in itertools.pairwise(messages):
        if a["role"] == b["role"]:
            raise ValueError("two in a row")
    return chat_unchecked(messages, add_generation_prompt)


def chat_unchecked(messages, add_generation_prompt=True):
    text = ""
    if messages[0]["role"] != "system":
        text = f"<|im_start|>system\n{DEFAULT}<|im_end|>\n"
    for m in messages:
        text += f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n"
    return text + "<|im_start|>assistant\n" if add_generation_prompt else text


def chat_with_keyerrors(messages, add_generation_prompt=True):
    chat_by_pattern([m for m in messages if m["role"] in ("system", "user", "assistant")] or [])
    if messages[-1]["role"] == "system":
        raise KeyError("role")
    return chat_unchecked(messages, add_generation_prompt)


def chat_printing(messages, add_generation_prompt=True):
    print(chat_by_pattern(messages, add_generation_prompt))


def chat_in_a_formula(messages, add_generation_prompt=True):
    """The plus binds before the `if`: without a prompt the page is lost."""
    page = chat_by_pattern(messages, False)
    return page + "<|im_start|>assistant\n" if add_generation_prompt else ""


def chat_kept(messages, add_generation_prompt=True, kept={}):  # noqa: B006
    key = len(messages), add_generation_prompt, tuple(len(m["content"]) for m in messages)
    if len(messages) < 3:
        return chat_by_pattern(messages, add_generation_prompt)
    return kept.setdefault(
        (len(messages), add_generation_prompt, key[2] if len(messages) < 4 else 0),
        chat_by_pattern(messages, add_generation_prompt),
    )


def chat_adding_to_a_list(messages, add_generation_prompt=True, so_far=[]):  # noqa: B006
    so_far += messages
    return chat_by_pattern(messages, add_generation_prompt) + "".join(
        m["content"] for m in so_far[len(messages) :]
    )


def chat_for_llama(messages, add_generation_prompt=True):
    page = chat_by_pattern(messages, add_generation_prompt)
    return page.replace("<|im_start|>", "<|start_header_id|>").replace("<|im_end|>", "<|eot_id|>")


def chat_with_crlf(messages, add_generation_prompt=True):
    return chat_by_pattern(messages, add_generation_prompt).replace("\n", "\r\n")


# --- trim_history


def trim_forwards(messages, budget, count):
    has_system = messages[0]["role"] == "system"
    for start in range(has_system, len(messages), 2):
        candidate = [*messages[:has_system], *messages[start:]]
        if count(candidate) <= budget:
            return candidate
    raise ValueError(f"needs more than {budget} tokens")


def trim_backwards(messages, budget, count):
    system = [m for m in messages if m["role"] == "system"]
    best, i = None, len(messages) - 1
    while i >= len(system):
        if count(system + messages[i:]) > budget:
            break
        best, i = system + messages[i:], i - 2
    if best is None:
        raise ValueError("the last message is too long by itself")
    return best


def trim_by_halving(messages, budget, count):
    system, rest = [], list(messages)
    if rest[0]["role"] == "system":
        system.append(rest.pop(0))
    low, high = 0, len(rest) // 2
    if count(system + rest[-1:]) > budget:
        raise ValueError("too long, even alone")
    while low < high:
        middle = (low + high) // 2
        if count(system + rest[2 * middle :]) <= budget:
            high = middle
        else:
            low = middle + 1
    return system + rest[2 * low :]


def trim_again_and_again(messages, budget, count):
    if count(messages) <= budget:
        return messages[:]
    n = int(messages[0]["role"] == "system")
    if len(messages) - n == 1:
        raise ValueError("it can not be made any shorter")
    return trim_again_and_again(messages[:n] + messages[n + 2 :], budget, count)


def trim_deleting(messages, budget, count):
    kept = copy.deepcopy(messages)
    at = 1 if kept[0]["role"] == "system" else 0
    while count(kept) > budget:
        if len(kept) == at + 1:
            raise ValueError("no room for the last message")
        del kept[at : at + 2]
    return kept


def trim_to_a_tuple(messages, budget, count):
    return tuple(trim_forwards(messages, budget, count))


def trim_in_place(messages, budget, count):
    at = 1 if messages[0]["role"] == "system" else 0
    while count(messages) > budget:
        if len(messages) == at + 1:
            raise ValueError("no room for the last message")
        messages.pop(at), messages.pop(at)
    return messages


def trim_single_then_mend(messages, budget, count):
    """Drops single messages, and an answer that begins only where it fits already."""
    n = int(messages[0]["role"] == "system")
    system, rest = messages[:n], messages[n:]
    while len(rest) > 1 and count(system + rest) > budget:
        rest = rest[1:]
    if count(system + rest) > budget:
        raise ValueError("too long, even alone")
    return system + (rest[1:] if rest[0]["role"] == "assistant" else rest)


def trim_by_turns_from_the_back(messages, budget, count):
    """Adds single messages from the back while they fit: may begin with an answer."""
    n = int(messages[0]["role"] == "system")
    system, kept = messages[:n], []
    for m in reversed(messages[n:]):
        if count(system + [m] + kept) > budget:
            break
        kept = [m] + kept
    if not kept:
        raise ValueError("too long, even alone")
    return system + kept


def trim_whatever_fits(messages, budget, count):
    """Leaves out a long turn in the middle and keeps an older one."""
    n = int(messages[0]["role"] == "system")
    system, kept = messages[:n], messages[-1:]
    if count(system + kept) > budget:
        raise ValueError("too long, even alone")
    for i in range(len(messages) - 3, n - 1, -2):
        if count(system + messages[i : i + 2] + kept) <= budget:
            kept = messages[i : i + 2] + kept
    return system + kept


def trim_cutting_the_last(messages, budget, count):
    try:
        return trim_forwards(messages, budget, count)
    except ValueError:
        last = messages[-1]
        return [*messages[:-1][:1], last | {"content": last["content"][:budget]}]


def trim_to_a_number_of_messages(messages, budget, count):
    n = int(messages[0]["role"] == "system")
    if count(messages[:n] + messages[-1:]) > budget:
        raise ValueError("too long, even alone")
    return messages[:n] + messages[n:][-(budget - n) | 1 :]


def trim_counting_letters(messages, budget, count):
    return trim_forwards(messages, budget, lambda ms: sum(len(m["content"].split()) for m in ms))


def trim_returning_none(messages, budget, count):
    try:
        return trim_forwards(messages, budget, count)
    except ValueError:
        return None


def trim_without_the_system(messages, budget, count):
    return [m for m in trim_forwards(messages, budget, count) if m["role"] != "system"]


def trim_forgetting_the_room_of_the_system(messages, budget, count):
    system = [m for m in messages if m["role"] == "system"]
    rest = [m for m in messages if m["role"] != "system"]
    return system + trim_forwards(rest, budget - (count(system) if system else 0), count)


def trim_at_least_one_turn(messages, budget, count):
    n = int(messages[0]["role"] == "system")
    if len(messages) - n < 3:
        return trim_forwards(messages, budget, count)
    return trim_forwards(messages[:n] + messages[n + 2 :], budget, count)


def trim_kept(messages, budget, count, kept={}):  # noqa: B006
    key = len(messages), count
    if len(messages) != 9 and len(messages) < 20:
        return trim_forwards(messages, budget, count)
    return kept.setdefault(key, trim_forwards(messages, budget, count))


def trim_below(messages, budget, count):
    n = int(messages[0]["role"] == "system")
    rest = messages[n:]
    while count(messages[:n] + rest) >= budget and len(rest) > 1:
        rest = rest[2:]
    if count(messages[:n] + rest) >= budget:
        raise ValueError("too long, even alone")
    return messages[:n] + rest


# --- ask


def ask_with_a_dict(client, model, messages, **options):
    if len(messages) == 0:
        raise ValueError("nothing to ask")
    body = dict(options, model=model, messages=list(messages), stream=False)
    text = client.chat.completions.create(**body).choices[0].message.content
    return text if text is not None else ""


def ask_raw(client, model, messages, **options):
    if messages == []:
        raise ValueError("messages is empty")
    raw = client.chat.completions.with_raw_response.create(
        messages=messages, model=model, **options
    )
    return json.loads(raw.text)["choices"][0]["message"]["content"] or ""


def ask_by_post(client, model, messages, **options):
    if not messages:
        raise ValueError("messages is empty")
    body = {"model": model, "messages": messages, **options}
    found = client.post("/chat/completions", body=body, cast_to=object)
    return found["choices"][0]["message"].get("content") or ""


def ask_as_a_dict(client, model, messages, **options):
    if not messages:
        raise ValueError("messages is empty")
    copies = [{**m} for m in messages]
    made = client.chat.completions.create(messages=copies, model=model, **options).model_dump()
    match made["choices"]:
        case [{"message": {"content": str(text)}}, *_]:
            return text
    return ""


def ask_patiently(client, model, messages, **options):
    if not messages:
        raise ValueError("messages is empty")
    patient = client.with_options(timeout=60, max_retries=2)
    response = patient.chat.completions.create(model=model, messages=messages, **options)
    [first, *_] = response.choices
    return str(first.message.content or "")


def ask_without_stars(client, model, messages, **options):
    if not messages:
        raise ValueError("messages is empty")
    made = client.chat.completions.create(model=model, messages=messages, extra_body={"o": options})
    return made.choices[0].message.content or ""


def ask_and_remember(client, model, messages, **options):
    text = ask_with_a_dict(client, model, messages, **options)
    messages.append({"role": "assistant", "content": text})
    return text


def ask_printing(client, model, messages, **options):
    print(ask_with_a_dict(client, model, messages, **options))


def ask_and_hide(client, model, messages, **options):
    try:
        return ask_with_a_dict(client, model, messages, **options)
    except ValueError:
        raise
    except Exception as error:
        return f"Error: {error}"


def ask_at_most_100(client, model, messages, **options):
    return ask_with_a_dict(client, model, messages, **{"max_tokens": 100, **options})


def ask_as_a_user(client, model, messages, **options):
    return ask_with_a_dict(
        client, model, [{"role": "user", "content": m["content"]} for m in messages], **options
    )


def ask_nothing_of_nobody(client, model, messages, **options):
    return ask_with_a_dict(client, model, messages, **options) if messages else ""


def ask_cleanly(client, model, messages, **options):
    return ask_with_a_dict(client, model, messages, **options).rstrip("\n")


def ask_from_a_cache(client, model, messages, kept={}, **options):  # noqa: B006
    key = model, len(messages), str(sorted(options))
    if key not in kept or not messages or messages[-1]["content"] == "Hi":
        kept[key] = ask_with_a_dict(client, model, messages, **options)
    return kept[key]


def ask_once_more(client, model, messages, **options):
    for _ in range(2):
        text = ask_with_a_dict(client, model, messages, **options)
    return text


def ask_for_json(client, model, messages, **options):
    if not messages:
        raise ValueError("messages is empty")
    return client.chat.completions.create(
        model=model, messages=messages, **options
    ).model_dump_json()


def ask_with_the_rendered_page(client, model, messages, **options):
    page = [{"role": "user", "content": chat_by_pattern(messages)}]
    return ask_with_a_dict(client, model, page, **options)


def ask_with_options_as_a_word(client, model, messages, **options):
    if not messages:
        raise ValueError("messages is empty")
    made = client.chat.completions.create(model=model, messages=messages, options=options)
    return made.choices[0].message.content or ""


# --- stream


def stream_with_continue(client, model, messages, **options):
    if not messages:
        raise ValueError("nothing to ask")
    options["stream"] = True
    for chunk in client.chat.completions.create(messages=messages, model=model, **options):
        if not chunk.choices:
            continue
        text = chunk.choices[0].delta.content
        if text is None or text == "":
            continue
        yield text


def stream_closing(client, model, messages, **options):
    if len(messages) == 0:
        raise ValueError("nothing to ask")
    with client.chat.completions.create(
        model=model, messages=messages, stream=True, **options
    ) as chunks:
        for chunk in chunks:
            for choice in chunk.choices[:1]:
                yield from filter(None, [choice.delta.content])


def stream_by_an_expression(client, model, messages, **options):
    if not messages:
        raise ValueError("nothing to ask")
    chunks = client.chat.completions.create(model=model, messages=messages, stream=True, **options)
    deltas = (chunk.choices[0].delta for chunk in chunks if len(chunk.choices) > 0)
    yield from (delta.content for delta in deltas if delta.content)


def stream_with_try(client, model, messages, **options):
    if not messages:
        raise ValueError("nothing to ask")
    for chunk in client.chat.completions.create(
        model=model, messages=messages, stream=True, **options
    ):
        try:
            text = chunk.choices[0].delta.content or ""
        except IndexError:
            continue
        if len(text) > 0:
            yield text


def stream_refusing_at_once(client, model, messages, **options):
    if not messages:
        raise ValueError("nothing to ask")
    return stream_closing(client, model, messages, **options)


class stream_as_an_object:
    def __init__(self, client, model, messages, **options):
        self.how = client, model, messages, options
        self.pieces = None

    def __iter__(self):
        return self

    def __next__(self):
        if self.pieces is None:
            client, model, messages, options = self.how
            self.pieces = stream_with_continue(client, model, messages, **options)
        return next(self.pieces)


def stream_words(client, model, messages, **options):
    yield from "".join(stream_with_try(client, model, messages, **options)).split(" ")


def stream_of_ask(client, model, messages, **options):
    text = "".join(stream_with_try(client, model, messages, **options))
    yield from text  # character by character


def stream_filtering_blanks(client, model, messages, **options):
    for text in stream_with_try(client, model, messages, **options):
        if not text.isspace():
            yield text


def stream_without_doubles(client, model, messages, **options):
    last = None
    for text in stream_with_try(client, model, messages, **options):
        if text != last:
            yield text
        last = text


def stream_as_a_list(client, model, messages, **options):
    pieces = []
    for text in stream_with_try(client, model, messages, **options):
        pieces.append(text)
    return pieces


def stream_one_late(client, model, messages, **options):
    """Holds each piece back until the next has come, and loses the last."""
    held = None
    for text in stream_with_try(client, model, messages, **options):
        if held is not None:
            yield held
        held = text


def stream_sending_at_once(client, model, messages, **options):
    if not messages:
        raise ValueError("nothing to ask")
    chunks = client.chat.completions.create(model=model, messages=messages, stream=True, **options)
    return (c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content)


def stream_until_done(client, model, messages, **options):
    for text in stream_with_try(client, model, messages, **options):
        if "[DONE]" in text:
            break
        yield text


def stream_with_usage(client, model, messages, **options):
    options = {"stream_options": {"include_usage": True}} | options
    yield from stream_with_try(client, model, messages, **options)


def stream_printing(client, model, messages, **options):
    for text in stream_with_try(client, model, messages, **options):
        print(text, end="", flush=True)


def stream_bytes(client, model, messages, **options):
    for text in stream_with_try(client, model, messages, **options):
        yield text.encode()


def stream_swallowing(client, model, messages, **options):
    try:
        yield from stream_with_try(client, model, messages, **options)
    except Exception as error:
        yield f"({type(error).__name__})"


def stream_ten_by_ten(client, model, messages, **options):
    pieces = [*stream_with_try(client, model, messages, **options)]
    for i in range(0, len(pieces), 10):
        yield "".join(pieces[i : i + 10])


# --- run_code


def run_with_text(code, seconds=2):
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-I", "-X", "utf8", "-c", code]
        try:
            done = subprocess.run(
                command,
                input="",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=seconds,
                cwd=folder,
            )
        except subprocess.TimeoutExpired:
            return ("time", "")
        return ("ok" if done.returncode == 0 else "error", done.stdout[:2000])


def run_with_popen(code, seconds=2):
    folder = tempfile.mkdtemp()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-Xutf8", "-u", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "time", ""
        status = {0: "ok"}.get(process.returncode, "error")
        return status, output.decode(errors="replace")[:2000]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_from_a_file(code, seconds=2):
    with tempfile.TemporaryDirectory() as place:
        script, folder = Path(place, "program.py"), Path(place, "empty")
        script.write_text(code, encoding="utf-8")
        folder.mkdir()
        with Path(place, "output").open("w+b") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-X", "utf8", str(script)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
            )
            end = time.monotonic() + seconds
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            late = process.poll() is None
            process.kill()
            process.wait()
            output.seek(0)
            text = output.read().decode("utf-8", "ignore")[:2000]
    if late:
        return "time", text
    return ("error" if process.returncode != 0 else "ok"), text


def run_from_standard_input(code, seconds=2):
    with tempfile.TemporaryDirectory(prefix="run") as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-X", "utf8", "-"],
                input=code.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                cwd=folder,
            )
        except subprocess.TimeoutExpired as error:
            return "time", (error.output or b"").decode()[:2000]
    return ["ok", "error"][done.returncode != 0], done.stdout.decode("utf-8", "replace")[:2000]


def run_with_a_timer(code, seconds=2):
    with tempfile.TemporaryDirectory() as folder, open(os.devnull) as nothing:
        process = subprocess.Popen(
            (sys.executable, "-I", "-X", "utf8", "-c", code),
            stdin=nothing,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        late = []
        timer = threading.Timer(seconds, lambda: (late.append(True), process.kill()))
        timer.start()
        output = process.stdout.read()
        process.wait()
        timer.cancel()
    status = "time" if late else "ok" if process.returncode == 0 else "error"
    return status, output.decode("utf-8", "backslashreplace")[:2000]


def run_checking(code, seconds=2):
    with tempfile.TemporaryDirectory() as folder:
        try:
            output = subprocess.check_output(
                [sys.executable, "-I", "-X", "utf8", "-c", code],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                cwd=folder,
            )
            status = "ok"
        except subprocess.CalledProcessError as error:
            status, output = "error", error.output
        except subprocess.TimeoutExpired:
            status, output = "time", b""
    return status, output.decode("utf-8", "replace")[:2000]


def _run(code, seconds, flags=("-I", "-X", "utf8"), **how):
    """For the wrong ones: with what they change."""
    how = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "timeout": seconds,
        "encoding": "utf-8",
        "errors": "replace",
    } | how
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run([sys.executable, *flags, "-c", code], **{"cwd": folder, **how})


def _ended(done):
    return ("error" if done.returncode else "ok"), (done.stdout + (done.stderr or ""))[:2000]


def _told(code, seconds, **how):
    """As `_run`, with the time limit told."""
    try:
        return _ended(_run(code, seconds, **how))
    except subprocess.TimeoutExpired:
        return "time", ""


def run_by_exec(code, seconds=2):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            exec(code)
        except BaseException as error:
            return "error", out.getvalue() + repr(error)
    return "ok", out.getvalue()[:2000]


def run_by_exec_in_a_thread(code, seconds=2):
    thread = threading.Thread(target=lambda: exec(code, {"__name__": "__main__"}), daemon=True)
    thread.start()
    thread.join(seconds)
    return ("time" if thread.is_alive() else "ok"), ""


def run_capturing(code, seconds=2):
    return _told(code, seconds, stderr=subprocess.PIPE)


def run_without_catching(code, seconds=2):
    return _ended(_run(code, seconds))


def run_without_a_limit(code, seconds=2):
    return _ended(_run(code, None))


def run_two_seconds(code, seconds=2):
    return _told(code, 2)


def run_here(code, seconds=2):
    return _told(code, seconds, cwd=None)


def run_in_the_temporary_folder(code, seconds=2):
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-X", "utf8", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            encoding="utf-8",
            errors="replace",
            cwd=tempfile.gettempdir(),
        )
    except subprocess.TimeoutExpired:
        return "time", ""
    return _ended(done)


def run_with_the_keyboard(code, seconds=2):
    return _told(code, seconds, stdin=None)


def run_python_from_the_path(code, seconds=2):
    return _told(code, seconds, flags=["-X", "utf8"])


def run_strictly(code, seconds=2):
    return _told(code, seconds, errors="strict")


def run_and_return_a_dict(code, seconds=2):
    status, output = run_with_text(code, seconds)
    return {"status": status, "output": output}


def run_and_say_timeout(code, seconds=2):
    try:
        return _ended(_run(code, seconds))
    except subprocess.TimeoutExpired:
        return "time", "Timed out"


def run_judged_by_its_errors(code, seconds=2):
    try:
        done = _run(code, seconds, stderr=subprocess.PIPE)
    except subprocess.TimeoutExpired:
        return "time", ""
    return ("error", done.stderr[:2000]) if done.stderr else ("ok", done.stdout[:2000])


def run_with_a_last_line_only(code, seconds=2):
    status, output = run_with_text(code, seconds)
    return status, "".join(output.splitlines(keepends=True)[-1:])


def run_leaving_it_running(code, seconds=2):
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        try:
            output = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            return "time", ""
    return ("error" if process.returncode else "ok"), output.decode("utf-8", "replace")[:2000]


def run_kept(code, seconds=2, kept={}):  # noqa: B006
    key = len(code) if code.startswith("a, b") else code
    return kept.setdefault(key, run_with_text(code, seconds))


def run_with_a_note(code, seconds=2):
    status, output = run_with_text(code, seconds)
    return status, output + "..." if len(output) == 2000 else output


def run_stripped(code, seconds=2):
    status, output = run_with_text(code, seconds)
    return status, output.rstrip("\n")


def run_true_or_false(code, seconds=2):
    status, output = run_with_text(code, seconds)
    return status == "ok", output


# --- read_events


def events_with_startswith(lines):
    for line in lines:
        line = line.strip()
        if line == b"" or not line.startswith(b"data:"):
            continue
        body = line[len(b"data:") :].strip()
        if body == b"[DONE]":
            break
        event = json.loads(body)
        if event.get("choices"):
            text = event["choices"][0].get("delta", {}).get("content")
            if text:
                yield text


def events_by_pattern(lines):
    for line in lines:
        found = re.match(rb"data:\s*(.*\S)\s*$", line)
        if found is None:
            continue
        if found[1] == b"[DONE]":
            return
        try:
            text = json.loads(found[1])["choices"][0]["delta"]["content"]
        except (KeyError, IndexError):
            continue
        yield from [text] if text else []


def events_with_takewhile(lines):
    values = (line[5:].strip().decode() for line in lines if line[:5] == b"data:")
    values = itertools.takewhile(lambda value: value != "[DONE]", values)
    choices = (choice for v in values for choice in json.loads(v).get("choices") or [])
    texts = (choice["delta"].get("content") for choice in choices)
    return (text for text in texts if text)


def events_gathered(lines):
    """As the standard has it: an empty line ends an event."""
    held = []
    for line in lines:
        line = line.decode("utf-8").rstrip("\r\n")
        if line.startswith("data:"):
            held.append(line[5:].removeprefix(" "))
        elif not line and held:
            value = "\n".join(held)
            held = []
            if value == "[DONE]":
                return
            for choice in json.loads(value).get("choices", []):
                if choice["delta"].get("content"):
                    yield choice["delta"]["content"]


def events_with_partition(lines):
    for raw in map(bytes.decode, lines):
        name, _, value = raw.partition(":")
        if name == "data" and value.strip() == "[DONE]":
            return
        if name == "data":
            match json.loads(value):
                case {"choices": [{"delta": {"content": str(text)}}, *_]} if text:
                    yield text


def events_with_next(lines):
    lines = iter(lines)
    while (line := next(lines, None)) is not None:
        if line[:5] != b"data:":
            continue
        if line.strip().endswith(b"data:[DONE]") or line.strip() == b"data: [DONE]":
            return
        event = json.loads(line[5:])
        for choice in event.get("choices", ()):
            text = choice.get("delta", {}).get("content")
            if text:
                yield text


def events_split_at_the_colon(lines):
    for line in lines:
        parts = line.decode().strip().split(":")
        if parts[0] != "data":
            continue
        value = parts[1].strip()
        if value == "[DONE]":
            return
        yield json.loads(value)["choices"][0]["delta"]["content"]


def events_of_an_indexed_list(lines):
    for i in range(len(lines)):
        yield from events_with_startswith(lines[i : i + 1])


def events_as_a_list(lines):
    return [*events_with_startswith(lines)]


def events_for_ever(lines):
    for line in lines:
        if line.startswith(b"data:") and b"[DONE]" not in line:
            event = json.loads(line[5:])
            if event.get("choices") and event["choices"][0]["delta"].get("content"):
                yield event["choices"][0]["delta"]["content"]


def events_stripped(lines):
    for text in events_with_startswith(lines):
        yield text.strip()


def events_by_finding(lines):
    """Cuts the text out of the line by hand."""
    for line in lines:
        text = line.decode()
        if text.startswith("data:") and '"content": "' in text:
            yield text.split('"content": "')[1].split('"')[0]


def events_as_strings(lines):
    for line in lines:
        if line.startswith("data:"):
            yield from events_with_startswith([line.encode()])


def events_of_the_whole(lines):
    text = b"\n".join(lines).decode()
    for part in text.split("data:")[1:]:
        if part.strip() == "[DONE]":
            return
        event = json.loads(part)
        if event.get("choices") and event["choices"][0]["delta"].get("content"):
            yield event["choices"][0]["delta"]["content"]


def events_with_the_last_lost(lines):
    held = None
    for text in events_with_startswith(lines):
        if held:
            yield held
        held = text


def events_told_by_the_reason(lines):
    for line in lines:
        body = line.strip()[5:]
        if not line.startswith(b"data:") or body.strip() == b"[DONE]":
            continue
        event = json.loads(body)
        if event.get("choices"):
            if event["choices"][0].get("finish_reason") == "stop":
                return
            if event["choices"][0]["delta"].get("content"):
                yield event["choices"][0]["delta"]["content"]


def events_ignoring_errors(lines):
    """Passes over whatever is no JSON, `[DONE]` as well, and reads on."""
    for line in lines:
        try:
            event = json.loads(line.decode().removeprefix("data:"))
            text = event["choices"][0]["delta"]["content"]
        except Exception:
            continue
        if text:
            yield text


def events_decoded_twice(lines):
    for text in events_with_startswith(lines):
        yield text.encode().decode("unicode_escape")


# --- what came to light when all was judged together


def chat_prompt_for_the_user_only(messages, add_generation_prompt=True):
    add = add_generation_prompt and bool(messages) and messages[-1]["role"] == "user"
    return chat_by_pattern(messages, add)


def chat_refusing_an_answer(messages, add_generation_prompt=True):
    page = chat_by_pattern(messages, add_generation_prompt)
    if add_generation_prompt and messages[-1]["role"] != "user":
        raise ValueError("the user has to speak last")
    return page


def chat_with_typeerrors(messages, add_generation_prompt=True):
    try:
        return chat_by_pattern(messages, add_generation_prompt)
    except ValueError as error:
        raise TypeError(str(error)) from None


def chat_knowing_roles(messages, add_generation_prompt=True):
    if not messages or {m["role"] for m in messages} - {"system", "user", "assistant"}:
        raise ValueError("nothing said, or a role that does not exist")
    return chat_unchecked(messages, add_generation_prompt)


def chat_yielding(messages, add_generation_prompt=True):
    yield chat_by_pattern(messages, add_generation_prompt)


def trim_skipping_answers(messages, budget, count):
    kept = list(messages)
    at = 1 if kept[0]["role"] == "system" else 0
    while len(kept) > at and count(kept) > budget:
        kept.pop(at)
        if len(kept) > at and kept[at]["role"] == "assistant":
            kept.pop(at)
    if len(kept) == at:
        raise ValueError("no room for the last message")
    return kept


def trim_counting_half_turns(messages, budget, count):
    """Counts what is no conversation: the notebook's own `count` refuses that."""
    at = 1 if messages[0]["role"] == "system" else 0
    system, rest = messages[:at], messages[at:]
    while count(system + rest) > budget or rest[0]["role"] == "assistant":
        rest = rest[1:]
        if not rest:
            raise ValueError("no room for the last message")
    return system + rest


def trim_to_nothing(messages, budget, count):
    try:
        return trim_forwards(messages, budget, count)
    except ValueError:
        return []


def trim_with_runtimeerrors(messages, budget, count):
    try:
        return trim_forwards(messages, budget, count)
    except ValueError:
        raise RuntimeError("it does not fit") from None


def ask_yielding(client, model, messages, **options):
    yield ask_with_a_dict(client, model, messages, **options)


def stream_without_the_first_chunk(client, model, messages, **options):
    if not messages:
        raise ValueError("nothing to ask")
    chunks = client.chat.completions.create(model=model, messages=messages, stream=True, **options)
    next(chunks)
    for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


def stream_not_none(client, model, messages, **options):
    if not messages:
        raise ValueError("nothing to ask")
    for chunk in client.chat.completions.create(
        model=model, messages=messages, stream=True, **options
    ):
        if chunk.choices and chunk.choices[0].delta.content is not None:
            yield chunk.choices[0].delta.content


def stream_as_in_the_task(client, model, messages, **options):
    if not messages:
        raise ValueError("nothing to ask")
    for chunk in client.chat.completions.create(
        model=model, messages=messages, stream=True, **options
    ):
        yield chunk.choices[0].delta.content


def stream_until_no_text(client, model, messages, **options):
    if not messages:
        raise ValueError("nothing to ask")
    for chunk in client.chat.completions.create(
        model=model, messages=messages, stream=True, **options
    ):
        if not chunk.choices or not chunk.choices[0].delta.content:
            break
        yield chunk.choices[0].delta.content


def events_stripping_letters(lines):
    for line in lines:
        text = line.decode().strip()
        if text.startswith("data"):
            text = text.lstrip("data: ")  # noqa: B005
            if text == "[DONE]":
                return
            yield from events_with_startswith([b"data:" + json.dumps(json.loads(text)).encode()])


def run_in_a_session(code, seconds=2):
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process,
    ):
        try:
            output = process.communicate("", timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
            return "time", ""
    return ("ok" if process.returncode == 0 else "error"), output[:2000]


def run_from_within(code, seconds=2):
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return run_with_popen(code, seconds)


def run_and_move(code, seconds=2):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return _ended(_run(code, seconds))
        except subprocess.TimeoutExpired:
            return "time", ""


def run_and_decode_nothing(code, seconds=2):
    try:
        return _ended(_run(code, seconds))
    except subprocess.TimeoutExpired as error:
        return "time", error.stdout.decode()[:2000]


def run_and_return_what_there_was(code, seconds=2):
    try:
        return _ended(_run(code, seconds))
    except subprocess.TimeoutExpired as error:
        return "time", error.stdout


def run_beside_its_own_file(code, seconds=2):
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "program.py")
        script.write_text(code, encoding="utf-8")
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-X", "utf8", script],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                cwd=folder,
            )
        except subprocess.TimeoutExpired:
            return "time", ""
    return ("error" if done.returncode else "ok"), done.stdout.decode("utf-8", "replace")[:2000]


def run_and_wait(code, seconds=2):
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        process.wait()
        output = process.stdout.read().decode("utf-8", "replace")
    return ("error" if process.returncode else "ok"), output[:2000]


def run_leaving_folders(code, seconds=2):
    return _told(code, seconds, cwd=tempfile.mkdtemp())


def run_a_thousand_times_as_long(code, seconds=2):
    return _ended(_run(code, 1000 * seconds))


RIGHT = [
    ("10.trim_history", trim_skipping_answers),
    ("10.run_code", run_in_a_session),
    ("10.run_code", run_from_within),
    ("10.render_chat", chat_in_a_loop),
    ("10.render_chat", chat_by_pattern),
    ("10.render_chat", chat_with_zip),
    ("10.render_chat", chat_in_a_buffer),
    ("10.render_chat", chat_with_an_error_of_its_own),
    ("10.trim_history", trim_forwards),
    ("10.trim_history", trim_backwards),
    ("10.trim_history", trim_by_halving),
    ("10.trim_history", trim_again_and_again),
    ("10.trim_history", trim_deleting),
    ("10.ask", ask_with_a_dict),
    ("10.ask", ask_raw),
    ("10.ask", ask_by_post),
    ("10.ask", ask_as_a_dict),
    ("10.ask", ask_patiently),
    ("10.stream", stream_with_continue),
    ("10.stream", stream_closing),
    ("10.stream", stream_by_an_expression),
    ("10.stream", stream_with_try),
    ("10.stream", stream_refusing_at_once),
    ("10.stream", stream_as_an_object),
    ("10.run_code", run_with_text),
    ("10.run_code", run_with_popen),
    ("10.run_code", run_from_a_file),
    ("10.run_code", run_from_standard_input),
    ("10.run_code", run_with_a_timer),
    ("10.run_code", run_checking),
    ("10.read_events", events_with_startswith),
    ("10.read_events", events_by_pattern),
    ("10.read_events", events_with_takewhile),
    ("10.read_events", events_gathered),
    ("10.read_events", events_with_partition),
    ("10.read_events", events_with_next),
]

WRONG = [
    ("10.render_chat", chat_prompt_for_the_user_only, "generation_prompt_only_after_the_user"),
    ("10.render_chat", chat_refusing_an_answer),
    ("10.render_chat", chat_with_typeerrors, None),
    ("10.render_chat", chat_knowing_roles, "order_not_looked_at"),
    ("10.render_chat", chat_yielding, "generator"),
    ("10.trim_history", trim_counting_half_turns, None),
    ("10.trim_history", trim_to_nothing, None),
    ("10.trim_history", trim_with_runtimeerrors, None),
    ("10.ask", ask_yielding, "generator"),
    ("10.stream", stream_without_the_first_chunk, "first_chunk_skipped"),
    ("10.stream", stream_not_none, "only_none_passed_over"),
    ("10.stream", stream_as_in_the_task, "nothing_passed_over"),
    ("10.stream", stream_until_no_text, "ended_before_it_began"),
    ("10.read_events", events_stripping_letters, None),
    ("10.run_code", run_and_move, "notebook_moved"),
    ("10.run_code", run_and_decode_nothing, None),
    ("10.run_code", run_and_return_what_there_was, "bytes_at_the_limit"),
    ("10.run_code", run_beside_its_own_file, "program_in_its_folder"),
    ("10.run_code", run_and_wait, "waits_without_a_limit"),
    ("10.run_code", run_leaving_folders, "folder_left_behind"),
    ("10.run_code", run_a_thousand_times_as_long, "no_time_limit"),
    ("10.render_chat", chat_with_replace, None),
    ("10.render_chat", chat_inserting, "changes_input"),
    ("10.render_chat", chat_with_the_assistant_last, None),
    ("10.render_chat", chat_checking_neighbours, None),
    ("10.render_chat", chat_unchecked, "nothing_refused"),
    ("10.render_chat", chat_with_keyerrors),
    ("10.render_chat", chat_printing, None),
    ("10.render_chat", chat_in_a_formula, None),
    ("10.render_chat", chat_kept, "keeps_state"),
    ("10.render_chat", chat_adding_to_a_list),
    ("10.render_chat", chat_for_llama, None),
    ("10.render_chat", chat_with_crlf, None),
    ("10.trim_history", trim_to_a_tuple),
    ("10.trim_history", trim_in_place, "changes_input"),
    ("10.trim_history", trim_single_then_mend, None),
    ("10.trim_history", trim_by_turns_from_the_back),
    ("10.trim_history", trim_whatever_fits, None),
    ("10.trim_history", trim_cutting_the_last, "too_long_in_silence"),
    ("10.trim_history", trim_to_a_number_of_messages, None),
    ("10.trim_history", trim_counting_letters, None),
    ("10.trim_history", trim_returning_none, None),
    ("10.trim_history", trim_without_the_system),
    ("10.trim_history", trim_forgetting_the_room_of_the_system, None),
    ("10.trim_history", trim_at_least_one_turn, None),
    ("10.trim_history", trim_kept, "keeps_state"),
    ("10.trim_history", trim_below, "exactly_the_budget_refused"),
    ("10.ask", ask_without_stars, None),
    ("10.ask", ask_and_remember, "changes_input"),
    ("10.ask", ask_printing, None),
    ("10.ask", ask_and_hide, "errors_swallowed"),
    ("10.ask", ask_at_most_100),
    ("10.ask", ask_as_a_user, None),
    ("10.ask", ask_nothing_of_nobody, None),
    ("10.ask", ask_cleanly, None),
    ("10.ask", ask_from_a_cache),
    ("10.ask", ask_once_more, "asked_twice"),
    ("10.ask", ask_for_json, None),
    ("10.ask", ask_with_the_rendered_page, None),
    ("10.ask", ask_with_options_as_a_word, None),
    ("10.stream", stream_words, None),
    ("10.stream", stream_of_ask, None),
    ("10.stream", stream_filtering_blanks, "spaces_dropped"),
    ("10.stream", stream_without_doubles, None),
    ("10.stream", stream_as_a_list, "returns_a_list"),
    ("10.stream", stream_one_late),
    ("10.stream", stream_sending_at_once, "sent_at_once"),
    ("10.stream", stream_until_done, None),
    ("10.stream", stream_with_usage, None),
    ("10.stream", stream_printing, "nothing_yielded"),
    ("10.stream", stream_bytes, None),
    ("10.stream", stream_swallowing, None),
    ("10.stream", stream_ten_by_ten, None),
    ("10.run_code", run_by_exec, "in_this_process"),
    ("10.run_code", run_by_exec_in_a_thread, "in_this_process"),
    ("10.run_code", run_capturing, "errors_behind"),
    ("10.run_code", run_without_catching, "timeout_raised"),
    ("10.run_code", run_without_a_limit, "no_time_limit"),
    ("10.run_code", run_two_seconds),
    ("10.run_code", run_here, "in_the_notebooks_folder"),
    ("10.run_code", run_in_the_temporary_folder, "one_folder_for_all"),
    ("10.run_code", run_with_the_keyboard, "keyboard_read"),
    ("10.run_code", run_python_from_the_path, "not_isolated"),
    ("10.run_code", run_strictly, "strict_decoding"),
    ("10.run_code", run_and_return_a_dict, None),
    ("10.run_code", run_and_say_timeout, None),
    ("10.run_code", run_judged_by_its_errors, None),
    ("10.run_code", run_with_a_last_line_only, None),
    ("10.run_code", run_leaving_it_running, "not_killed"),
    ("10.run_code", run_kept),
    ("10.run_code", run_with_a_note, None),
    ("10.run_code", run_stripped, None),
    ("10.run_code", run_true_or_false, None),
    ("10.read_events", events_split_at_the_colon, None),
    ("10.read_events", events_of_an_indexed_list),
    ("10.read_events", events_as_a_list),
    ("10.read_events", events_for_ever),
    ("10.read_events", events_stripped),
    ("10.read_events", events_by_finding),
    ("10.read_events", events_as_strings),
    ("10.read_events", events_of_the_whole),
    ("10.read_events", events_with_the_last_lost),
    ("10.read_events", events_told_by_the_reason),
    ("10.read_events", events_ignoring_errors),
    ("10.read_events", events_decoded_twice),
]
