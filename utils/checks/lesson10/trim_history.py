"""Exercise 10.2, `trim_history`: its oracle, inputs, mistakes and hints."""

import operator

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson10.common import drawn, message, refusal, talk
from utils.checks.lesson10.render_chat_mutants import chat


def _parts(messages):
    """The system message, alone in a list, and the rest."""
    first = 1 if messages[0]["role"] == "system" else 0
    return messages[:first], messages[first:]


def _all_that_fit(messages, budget, count):
    """Every conversation without some of its oldest turns that is within the budget."""
    system, rest = _parts(messages)
    shorter = [system + rest[i:] for i in range(0, len(rest), 2)]
    return [one for one in shorter if count(one) <= budget]


def _too_long(budget):
    return ValueError(f"even the last message does not fit into {budget} tokens: shorten it")


def _trim_history(messages, budget, count):
    fitting = _all_that_fit(messages, budget, count)
    if not fitting:
        raise ValueError(f"even the last message does not fit into {budget} tokens: shorten it")
    return max(fitting, key=len)


def _trim(
    fits=operator.le,
    counted=lambda count, system, rest: count(system + rest),
    shorter=lambda rest: rest[2:],
    least=1,
    at_the_end=_too_long,
    back=lambda system, rest: system + rest,
):
    """Trimming with one step replaced."""

    def mutant(messages, budget, count):
        system, rest = _parts(messages)
        while not fits(counted(count, system, rest), budget):
            if len(shorter(rest)) < least:
                error = at_the_end(budget)
                if error:
                    raise error
                break
            rest = shorter(rest)
        return back(system, rest)

    return mutant


def _one_message_at_a_time(messages, budget, count):
    system, rest = _parts(messages)
    while count(system + rest) > budget:
        if len(rest) < 2:
            raise _too_long(budget)
        rest = rest[1:]
    return system + rest


def _from_the_newest(rest):
    """Without the newest whole turn before the last message."""
    return rest[:-3] + rest[-1:] if len(rest) > 2 else []


def _last_turn_off(rest):
    return rest[:-2]


def _one_turn_more(messages, budget, count):
    kept = _trim()(messages, budget, count)
    system, rest = _parts(kept)
    return kept if len(kept) == len(messages) or len(rest) < 3 else system + rest[2:]


def _system_lost(messages, budget, count):
    return _trim()(_parts(messages)[1], budget, count)


def _system_lost_when_short(messages, budget, count):
    rest = messages
    while count(rest) > budget:
        if len(rest) < 3:
            raise _too_long(budget)
        rest = rest[2:]
    return rest


def _always_only_the_last(messages, budget, count):
    return _trim_history(_parts(messages)[0] + messages[-1:], budget, count)


def _only_the_last(messages, budget, count):
    fits = count(messages) <= budget
    return [*messages] if fits else _always_only_the_last(messages, budget, count)


def _one_turn_at_most(messages, budget, count):
    system, rest = _parts(messages)
    if count(messages) > budget and len(rest) > 2:
        rest = rest[2:]
    if len(rest) == 1 and count(system + rest) > budget:
        raise _too_long(budget)
    return system + rest


def _alone(count, system, rest):
    return sum(count([one]) for one in system + rest)


def _system_in_every_case(messages, budget, count):
    system, rest = messages[:1], messages[1:]
    if len(messages) == 1:
        system, rest = [], messages
    while count(system + rest) > budget:
        if len(rest) < 3:
            raise _too_long(budget)
        rest = rest[2:]
    return system + rest


def _same_list(messages, budget, count):
    return messages if count(messages) <= budget else _trim_history(messages, budget, count)


def _watched(answer, messages, budget, count):
    """What is kept; where nothing fits, what is raised."""
    if not _all_that_fit(messages, budget, count):
        return refusal(lambda: answer(messages, budget, count))
    kept = answer(messages, budget, count)
    if kept is None:
        return None
    return Seen({"result": kept, "a new list": kept is not messages})


render_chat = chat()  # it refuses what is no conversation, as the notebook's own does
COUNTS = {
    text: eval(text)
    for text in (
        "len",
        "lambda messages: sum(len(m['content'].split()) for m in messages)",
        "lambda messages: sum(len(m['content']) + 4 for m in messages)",
        "lambda messages: 3 + sum(len(m['content'].split()) for m in messages)",
        "lambda messages: len({w for m in messages for w in m['content'].split()})",
        "lambda messages: len(render_chat(messages))",
    )
}
MESSAGES, WORDS, SIGNS, WORDS_AND_3, DIFFERENT_WORDS, PAGE = COUNTS


def _case(messages, budget, count=MESSAGES):
    shown = ",\n    ".join(map(str, messages))
    call = f"trim_history(\n    [{shown}],\n    {budget}, "
    how = f"\n    {count}" if len(count) > 20 else count
    given = [dict(one) for one in messages]  # afresh: an answer may change what it is given
    return Case(given, budget, COUNTS[count], label=f"{call}{how})")


def _named(*names):
    """Messages of these names: "s" is the system's, "u1" a user's, "a1" the assistant's."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [message(roles[name[0]], name if name != "s" else "system") for name in names]


LONG = _named("s", "u1", "a1", "u2", "a2", "u3")
SHORT = LONG[1:]
UNEVEN = [
    message("system", "one two"),
    *[message("user", "a b c d e f"), message("assistant", "g")],
    *[message("user", "h"), message("assistant", "i j k l m n o")],
    *[message("user", "p q"), message("assistant", "r s t")],
    message("user", "u v"),
]


def _drawn(seed, n, room, system=None, count=WORDS):
    """A conversation of n messages with room for so many words of the newest `room` messages."""
    messages = talk(seed, n, system)
    kept = messages[len(messages) - room :] if system is None else [messages[0], *messages[-room:]]
    return _case(messages, COUNTS[count](kept), count)


trim_history = Exercise(
    number="10.2",
    name="trim_history",
    oracle=_trim_history,
    compared_with="trying every number of whole turns",
    probe=_watched,
    cases=lambda: [
        _drawn(1, 9, 5, drawn(50, 2)),
        _case(LONG, 4),
        *[_case(LONG, room) for room in (2, 3, 5, 6, 7, 1)],
        *[_case(SHORT, room) for room in (1, 2, 3, 4, 5, 100, 0)],
        *[_case(UNEVEN, room, WORDS) for room in (24, 23, 17, 16, 9, 8, 4, 3)],
        *[_case(UNEVEN[1:], room, WORDS) for room in (22, 21, 15, 7, 2, 1)],
        *[_case(UNEVEN, room, WORDS_AND_3) for room in (27, 26, 20, 19, 12, 11, 7, 6)],
        _case(UNEVEN, 40, SIGNS),
        *[_case(UNEVEN, room, PAGE) for room in (400, 180, 60)],
        _case([*LONG[:5], message("user", "a1 u1")], 4, DIFFERENT_WORDS),
        _case(_named("u1", "a1", "u1", "a1", "u1", "a1", "u1"), 2, DIFFERENT_WORDS),
        _case(_named("u1"), 1),
        _case(_named("s", "u1"), 2),
        _case(_named("s", "u1"), 1),
        _case(_named("u1"), 0),
        _drawn(2, 21, 9),
        _drawn(3, 41, 41, drawn(51, 3)),
        _drawn(4, 31, 1, drawn(52, 4), WORDS_AND_3),
        _case(talk(5, 101, "Be brief."), 32),
    ],
    mistakes=[
        Mistake(
            "system_message_dropped",
            "The system message is gone. Set it aside first, drop turns from the rest, and put it "
            "in front again.",
            _system_lost,
        ),
        Mistake(
            "system_message_goes_first",
            "The system message is dropped as if it belonged to the oldest turn. Set it aside "
            "first, and drop turns from the rest.",
            _system_lost_when_short,
        ),
        Mistake(
            "first_message_always_kept",
            "You keep the first message whatever its role. Only a *system* message stays: look at "
            '`messages[0]["role"]`.',
            _system_in_every_case,
        ),
        Mistake(
            "half_a_turn",
            "You drop single messages, so that an answer may stay whose question is gone. Drop two "
            "at a time: a user's message and the answer to it.",
            _one_message_at_a_time,
        ),
        Mistake(
            "newest_turns_dropped",
            "You drop the newest turns and keep the oldest. What was said last matters most: drop "
            "from the front.",
            _trim(shorter=_from_the_newest),
        ),
        Mistake(
            "last_message_dropped",
            "You drop from the end, and with it the message that is to be answered. Drop from the "
            "front, after the system message.",
            _trim(shorter=_last_turn_off),
        ),
        Mistake(
            "one_turn_too_many",
            "You drop one turn more than is needed. Count again after each turn, and stop as soon "
            "as it fits.",
            _one_turn_more,
        ),
        Mistake(
            "exactly_the_budget_refused",
            "A conversation that takes exactly the budget fits: drop while `count(...) > budget`, "
            "not `>=`.",
            _trim(fits=operator.lt),
        ),
        Mistake(
            "too_long_in_silence",
            "Where even the system message and the last message are too much, you return something "
            'too long. Say so: `raise ValueError("…")`.',
            _trim(at_the_end=lambda budget: None),
        ),
        Mistake(
            "only_the_last_message_kept",
            "If it does not fit you drop everything but the last message. Drop only as many turns "
            "as needed.",
            _only_the_last,
        ),
        Mistake(
            "always_only_the_last_message",
            "You always keep the last message alone, even where all of it fits. Drop only as many "
            "turns as needed.",
            _always_only_the_last,
        ),
        Mistake(
            "one_turn_at_most",
            "You drop one turn and look no further. Go on until it fits: `while` in place of `if`.",
            _one_turn_at_most,
        ),
        Mistake(
            "system_message_not_counted",
            "You count without the system message, and it takes tokens too: "
            "`count(system + rest)`.",
            _trim(counted=lambda count, system, rest: count(rest)),
        ),
        Mistake(
            "counted_one_by_one",
            "You add up the counts of single messages. A conversation may take more or fewer "
            "tokens than its parts: count what you would return, as a whole.",
            _trim(counted=_alone),
        ),
        Mistake(
            "last_turn_always_kept",
            "You keep the last turn before the last message, even where there is no room for it. "
            "Only the last message itself has to stay.",
            _trim(least=3),
        ),
        Mistake(
            "system_message_behind",
            "The system message stands at the end. It comes first: `system + rest`.",
            _trim(back=lambda system, rest: rest + system),
        ),
        Mistake(
            "turned_round",
            "The messages come out in the reverse order.",
            _trim(back=lambda system, rest: system + rest[::-1]),
        ),
        Mistake(
            "texts_returned",
            "You return the texts of the messages. Return the messages themselves, with their "
            "roles.",
            _trim(back=lambda system, rest: [m["content"] for m in system + rest]),
        ),
        Mistake(
            "same_list",
            "Where nothing has to be dropped you return the very list that was given. Whoever adds "
            "a message to one would find it in both: return a copy, `list(messages)`.",
            _same_list,
        ),
        Mistake(
            "refused_with_assert",
            "What cannot fit is refused, but with an `AssertionError`. Write "
            '`raise ValueError("…")`: `assert` is switched off by `python -O`.',
            _trim(at_the_end=lambda budget: AssertionError()),
        ),
        Mistake(
            "refused_without_a_sentence",
            "What cannot fit is refused, but without a word. Say what is wrong: "
            '`raise ValueError("…")` with a sentence.',
            _trim(at_the_end=lambda budget: ValueError()),
        ),
    ],
    hints=[
        'Set the system message aside: `first = 1 if messages[0]["role"] == "system" else 0`, '
        "then `system, rest = messages[:first], messages[first:]`.",
        "The oldest turn is the first two messages of `rest`: `rest = rest[2:]`, as long as "
        "`count(system + rest) > budget`.",
        'Inside the loop, before you drop: `if len(rest) < 3: raise ValueError("…")`, for only '
        "the last message is left. In the end `return system + rest`.",
    ],
)
