"""Exercise 10.1, `render_chat`: its oracle, inputs, mistakes and hints."""

import functools

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson10 import render_chat_mutants as mutants
from utils.checks.lesson10.common import SYSTEM, drawn, fault, message, refusal, talk
from utils.checks.lesson10.render_chat_mutants import chat


@functools.cache
def _tokenizer():
    from transformers import AutoTokenizer

    from utils import models

    return AutoTokenizer.from_pretrained(models.path("SmolLM2-135M-Instruct"))


def _render_chat(messages, add_generation_prompt=True):
    if said := fault(messages):
        raise ValueError(said)
    return _tokenizer().apply_chat_template(
        messages, tokenize=False, add_generation_prompt=add_generation_prompt
    )


def _watched(answer, messages, *rest, **options):
    """The page; for a conversation that has to be refused, what is raised."""
    if fault(messages):
        return refusal(lambda: answer(messages, *rest, **options))
    text = answer(messages, *rest, **options)
    return Seen({"result": text}) if isinstance(text, str) else text


def _bad(*roles):
    return Case([message(role, f"text {i}") for i, role in enumerate(roles)])


render_chat = Exercise(
    number="10.1",
    name="render_chat",
    oracle=_render_chat,
    compared_with="`tokenizer.apply_chat_template`",
    probe=_watched,
    cases=lambda: [
        Case(talk(1, 3, drawn(10, 3))),
        Case([message("user", "Hi")]),
        Case([message("user", "Hi")], False),
        Case([message("user", "Hi"), message("assistant", "Hello.")], add_generation_prompt=False),
        Case([message("system", "Be brief."), message("user", "Hi")], add_generation_prompt=False),
        Case([message("system", ""), message("user", "")]),
        Case(
            [message("system", "  \n"), message("user", "  Hi \n\n"), message("assistant", "\t")]
            + [message("user", "a\nb\n")]
        ),
        Case(talk(2, 9)),
        Case([message("user", "Hi"), message("assistant", "Hello.")]),
        Case(talk(4, 4, drawn(12, 2)), True),
        Case(talk(3, 6, drawn(11, 2)), False),
        Case([message("system", SYSTEM), message("user", "Who are you?")]),
        Case(
            [
                message("user", "<|im_start|>user\nHi<|im_end|>\n"),
                message("assistant", "{x} %s \\n"),
            ],
            False,
        ),
        Case(
            [
                message("user", "É 日本 🙂"),
                message("assistant", "no"),
                message("user", "<b>&amp;</b>"),
            ]
        ),
        Case([]),
        _bad("system"),
        _bad("assistant"),
        _bad("assistant", "user"),
        _bad("system", "assistant", "user"),
        _bad("user", "user"),
        _bad("user", "assistant", "assistant"),
        _bad("user", "assistant", "user", "user"),
        _bad("user", "system", "user"),
        _bad("user", "system"),
        _bad("user", "assistant", "system", "user"),
        _bad("system", "system", "user"),
        _bad("tool"),
        _bad("User"),
        _bad("user", "bot", "user"),
        _bad("system", "user", "assistant", "human"),
        _bad("developer", "user"),
        _bad("system", "user", "assistant", "function"),
    ],
    mistakes=[
        Mistake(
            "no_generation_prompt",
            "The assistant's turn is missing at the end. With `add_generation_prompt` the text "
            "ends with `<|im_start|>assistant` and a new line.",
            chat(when=lambda add: False),
        ),
        Mistake(
            "always_a_generation_prompt",
            "The assistant's turn stands at the end even where `add_generation_prompt` is false.",
            chat(when=lambda add: True),
        ),
        Mistake(
            "generation_prompt_the_other_way_round",
            "The assistant's turn comes where nobody wants it, and is missing where it is wanted. "
            "Is there a `not` too many?",
            chat(when=lambda add: not add),
        ),
        Mistake(
            "generation_prompt_only_after_the_user",
            "After an answer you leave out the assistant's turn. It is asked for with "
            "`add_generation_prompt`, whoever spoke last.",
            mutants.prompt_after_the_user,
        ),
        Mistake(
            "generation_prompt_closed",
            "You close the assistant's turn at once with `<|im_end|>`, so there is nothing left to "
            "say. End with `<|im_start|>assistant` and a new line.",
            chat(prompt="<|im_start|>assistant\n<|im_end|>\n"),
        ),
        Mistake(
            "generation_prompt_without_a_new_line",
            "A new line is missing at the very end, after `<|im_start|>assistant`. The model would "
            "begin with it.",
            chat(prompt="<|im_start|>assistant"),
        ),
        Mistake(
            "no_default_system_message",
            "Where the conversation brings no system message, SmolLM2's own has to stand in front.",
            chat(prepare=lambda messages: messages),
        ),
        Mistake(
            "two_system_messages",
            "SmolLM2's own system message stands in front even where the conversation brings one. "
            'Look first whether `messages[0]["role"]` is `"system"`.',
            chat(prepare=lambda messages: [message("system", SYSTEM), *messages]),
        ),
        Mistake(
            "system_message_replaced",
            "You put SmolLM2's own system message in place of the one that the conversation "
            "brings. It is only for those without.",
            chat(
                prepare=lambda messages: [
                    message("system", SYSTEM),
                    *(m for m in messages if m["role"] != "system"),
                ]
            ),
        ),
        Mistake(
            "system_message_dropped",
            "The system message of the conversation does not arrive on the page.",
            chat(
                prepare=lambda messages: (
                    messages[1:]
                    if messages[0]["role"] == "system"
                    else mutants.with_default(messages)
                )
            ),
        ),
        Mistake(
            "default_for_an_empty_system_message",
            "A system message that is empty or all blanks is one all the same: take it as it is. "
            "SmolLM2's own stands in only where there is none.",
            chat(prepare=mutants.default_if_empty),
        ),
        Mistake(
            "no_new_line_after_the_end",
            "A new line is missing after each `<|im_end|>`.",
            chat(write=lambda role, content: mutants.written(role, content)[:-1]),
        ),
        Mistake(
            "no_new_line_after_the_role",
            "After the role comes a new line, not a space.",
            chat(write=lambda role, content: f"<|im_start|>{role} {content}<|im_end|>\n"),
        ),
        Mistake(
            "nothing_after_the_role",
            "A new line is missing between the role and the content.",
            chat(write=lambda role, content: f"<|im_start|>{role}{content}<|im_end|>\n"),
        ),
        Mistake(
            "new_line_before_the_end",
            "There is a new line before `<|im_end|>` that nobody wrote. It follows the content at "
            "once.",
            chat(write=lambda role, content: mutants.written(role, content + "\n")),
        ),
        Mistake(
            "never_closed",
            "The messages are not closed: `<|im_end|>` is missing after the content.",
            chat(write=lambda role, content: f"<|im_start|>{role}\n{content}\n"),
        ),
        Mistake(
            "last_message_left_open",
            "The last message is not closed. Every message of the conversation ends with "
            "`<|im_end|>` and a new line; only the assistant's turn to come stays open.",
            mutants.last_left_open,
        ),
        Mistake(
            "an_empty_line_between",
            "There is an empty line between the messages: each brings its own new line, so join "
            "them with nothing between.",
            chat(between="\n"),
        ),
        Mistake(
            "start_mark_doubled",
            "The text begins with one `<|im_start|>` too many. Nothing stands before the first "
            "message.",
            chat(finish=lambda text: "<|im_start|>" + text),
        ),
        Mistake(
            "contents_stripped",
            "You strip the contents. Take them as they are, with the blanks and new lines at their "
            "ends.",
            chat(write=lambda role, content: mutants.written(role, content.strip())),
        ),
        Mistake(
            "page_stripped",
            "You strip the page, and its last new line is gone. It belongs there: "
            "`<|im_start|>assistant` and a new line.",
            chat(finish=str.strip),
        ),
        Mistake(
            "roles_in_capitals",
            "The roles have a capital letter on your page. They stand there as they are in the "
            "messages.",
            chat(write=lambda role, content: mutants.written(role.capitalize(), content)),
        ),
        Mistake(
            "last_message_only",
            "Only the last message is on the page, and the model would know nothing of what was "
            "said before. Write all of them.",
            chat(prepare=lambda messages: mutants.with_default(messages[-1:])),
        ),
        Mistake(
            "returns_a_list",
            'You return the messages one by one. Join them into one string: `"".join(…)`.',
            chat(finish=lambda text: text.split("<|im_start|>")[1:]),
        ),
        Mistake(
            "returns_tokens",
            "You return numbers of tokens. The text is asked for: `tokenize=False`.",
            chat(finish=lambda text: _tokenizer()(text, add_special_tokens=False).input_ids),
        ),
        Mistake(
            "nothing_refused",
            "The pages are right, but you take any conversation. One that is empty, has an unknown "
            'role or has roles out of turn is to be refused: `raise ValueError("…")`.',
            chat(refuse=lambda messages: None),
        ),
        Mistake(
            "roles_out_of_turn",
            "The pages are right, but you take roles out of turn: after the system message user "
            "and assistant alternate, and the user begins.",
            chat(refuse=mutants.refuse_but(mutants.out_of_turn)),
        ),
        Mistake(
            "order_not_looked_at",
            "The pages are right, but you look only at which roles there are, not at their order: "
            "after the system message user and assistant alternate, and the user begins.",
            chat(refuse=mutants.refuse_but(lambda ms: ms and mutants.known_roles(ms))),
        ),
        Mistake(
            "answer_refused_before_a_turn",
            "You refuse a conversation that ends with the assistant's message where its turn is "
            "asked for. It has a page like any other.",
            mutants.answered_refused,
        ),
        Mistake(
            "assistant_may_begin",
            "The pages are right, but you let the assistant begin. The first message after the "
            "system's is the user's.",
            chat(refuse=mutants.refuse_but(mutants.an_answer_first)),
        ),
        Mistake(
            "unknown_roles",
            "The pages are right, but you take roles that do not exist. There are three: system, "
            "user, assistant.",
            chat(refuse=mutants.refuse_but(lambda messages: not mutants.known_roles(messages))),
        ),
        Mistake(
            "empty_conversation",
            "The pages are right, but an empty conversation is not refused with a `ValueError`.",
            chat(
                refuse=mutants.refuse_but(lambda messages: not messages),
                prepare=lambda messages: mutants.with_default(messages) if messages else [],
            ),
        ),
        Mistake(
            "system_message_alone",
            "The pages are right, but a conversation that has only a system message is not "
            "refused. Somebody has to have said something.",
            chat(refuse=mutants.refuse_but(lambda messages: mutants.roles(messages) == ["system"])),
        ),
        Mistake(
            "answered_conversation_refused",
            "You refuse a conversation that ends with the assistant's message. It is complete, and "
            "has a page like any other.",
            chat(refuse=mutants.user_last),
        ),
        Mistake(
            "refused_with_assert",
            "The right conversations are refused, but with an `AssertionError`. Write "
            '`raise ValueError("…")`: `assert` is switched off by `python -O`.',
            chat(refuse=mutants.asserted),
        ),
        Mistake(
            "refused_without_a_sentence",
            "The right conversations are refused, but without a word. Say what is wrong: "
            '`raise ValueError("…")` with a sentence.',
            chat(refuse=mutants.without_a_sentence),
        ),
    ],
    hints=[
        "One message is `f\"<|im_start|>{m['role']}\\n{m['content']}<|im_end|>\\n\"`; join all of "
        "them with nothing between.",
        "If the first is no system message, go on with a new list, `[default, *messages]`. After "
        "it the roles are user, assistant, user, …: check them one by one.",
        "The role that message i after the system message must have is "
        '`("user", "assistant")[i % 2]`; if it has another, `raise ValueError("…")`. Behind the '
        'last comes `"<|im_start|>assistant\\n"`, if it is asked for.',
    ],
)
