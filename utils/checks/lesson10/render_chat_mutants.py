"""Mistakes of exercise 10.1 as code: the page with one step replaced."""

from utils.checks.lesson10.common import SYSTEM, fault, message


def refuse(messages):
    """Refuse what the task says."""
    if said := fault(messages):
        raise ValueError(said)


def with_default(messages):
    """The conversation with a system message in front."""
    return messages if messages[0]["role"] == "system" else [message("system", SYSTEM), *messages]


def written(role, content):
    """One message as the page has it."""
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


def chat(
    refuse=refuse,
    prepare=with_default,
    write=written,
    between="",
    prompt="<|im_start|>assistant\n",
    when=lambda add: add,
    finish=lambda text: text,
):
    """The page with one step replaced."""

    def mutant(messages, add_generation_prompt=True):
        refuse(messages)
        page = between.join(write(m["role"], m["content"]) for m in prepare(messages))
        return finish(page + (prompt if when(add_generation_prompt) else ""))

    return mutant


def last_left_open(messages, add_generation_prompt=True):
    """The page without the last `<|im_end|>`."""
    refuse(messages)
    page = "".join(written(m["role"], m["content"]) for m in with_default(messages))
    page = page.removesuffix("<|im_end|>\n")
    return page + ("\n<|im_start|>assistant\n" if add_generation_prompt else "")


def prompt_after_the_user(messages, add_generation_prompt=True):
    """The assistant's turn only where it is."""
    add = add_generation_prompt and (not messages or messages[-1]["role"] == "user")
    return chat()(messages, add)


def answered_refused(messages, add_generation_prompt=True):
    """No turn for the assistant after its own."""
    page = chat()(messages, add_generation_prompt)
    if add_generation_prompt and messages[-1]["role"] != "user":
        raise ValueError("the last message must be the user's")
    return page


def asserted(messages):
    """Refuse with `assert`."""
    assert not fault(messages)


def without_a_sentence(messages):
    """Refuse without a word."""
    if fault(messages):
        raise ValueError


def refuse_but(allowed):
    """Refusing everything but one kind of fault."""

    def most(messages):
        if not allowed(messages):
            refuse(messages)

    return most


def roles(messages):
    """The roles, in order."""
    return [m["role"] for m in messages]


def known_roles(messages):
    """True if there is no other role than three."""
    return {*roles(messages)} <= {"system", "user", "assistant"}


def out_of_turn(messages):
    """True if the roles are known, and perhaps out of turn."""
    return known_roles(messages) and "user" in roles(messages)


def an_answer_first(messages):
    """True if it is only the assistant who begins."""
    rest = [m for m in messages if m["role"] != "system"]
    return bool(rest) and roles(rest)[0] == "assistant" and not fault(rest[1:])


def user_last(messages):
    """Refuse a conversation that is answered."""
    refuse(messages)
    if messages[-1]["role"] != "user":
        raise ValueError("the last message must be the user's")


def default_if_empty(messages):
    """SmolLM2's own in place of an empty system message."""
    if messages[0]["role"] == "system" and not messages[0]["content"].strip():
        messages = messages[1:]
    return with_default(messages)
