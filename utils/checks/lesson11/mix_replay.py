"""Exercise 11.4, `mix_replay`: its oracle, inputs, mistakes and hints."""

import itertools
import random

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded
from utils.checks.lesson11.common import asserted, drawn_ids, refused, speechless


def _refuse(replay, every):
    if every < 1 or len(replay) == 0:
        raise ValueError("replay needs at least one batch, and `every` at least 1")


def _mix_replay(task, replay, every):
    _refuse(replay, every)
    mixed, left, again = [], iter(task), itertools.cycle(replay)
    while group := [*itertools.islice(left, every)]:
        mixed.extend(group)
        if len(group) == every:
            mixed.append(next(again))
    return mixed


def _after_each_group(i, n, every):
    return (i + 1) % every == 0


def _mixed(
    due=_after_each_group,
    choose=lambda replay, k: [replay[k % len(replay)]],
    keep=lambda batch, due: [batch],
    join=lambda batch, replayed: batch + replayed,
    finish=lambda mixed: mixed,
    refuse=_refuse,
):
    """Mixing with one step replaced; `choose` is given how many were replayed before."""

    def mutant(task, replay, every):
        refuse(replay, every)
        mixed, k = [], 0
        for i, batch in enumerate(task):
            now = due(i, len(task), every)
            mixed += join(keep(batch, now), choose(replay, k) if now else [])
            k += now
        return finish(mixed)

    return mutant


def _groups(task, every):
    return [task[i : i + every] for i in range(0, len(task), every)]


def _zipped(task, replay, every):
    _refuse(replay, every)
    whole = [group for group in _groups(task, every) if len(group) == every]
    return [x for group, one in zip(whole, replay, strict=False) for x in [*group, one]]


def _rest_lost(task, replay, every):
    _refuse(replay, every)
    return _mix_replay(task[: len(task) // every * every], replay, every)


def _at_the_end(task, replay, every):
    _refuse(replay, every)
    n = len(task) // every
    return task + [replay[k % len(replay)] for k in range(n)]


def _all_at_the_end(task, replay, every):
    _refuse(replay, every)
    return task + replay


def _nested(task, replay, every):
    _refuse(replay, every)
    out = []
    for k, group in enumerate(_groups(task, every)):
        out += [group, replay[k % len(replay)]] if len(group) == every else [group]
    return out


def _by_place_in_the_task(task, replay, every):
    _refuse(replay, every)
    out = []
    for i, batch in enumerate(task):
        out += [batch, replay[i % len(replay)]] if (i + 1) % every == 0 else [batch]
    return out


def _every_one_more(i, n, every):
    return (i + 1) % (every + 1) == 0


def _roles_swapped(task, replay, every):
    return _mix_replay(replay, task, every) if task else list(replay)


def _only_every_checked(replay, every):
    if every < 1:
        raise ValueError("`every` must be at least 1")


def _only_replay_checked(replay, every):
    if not replay:
        raise ValueError("there is nothing to replay")


def _one_at_most(replay, k):
    return [replay[k]] if k < len(replay) else []


def _watched(mix, task, replay, every):
    """The mixed list; where there is nothing to mix in, or no sense in `every`, the refusal."""
    if every < 1 or not replay:
        return refused(lambda: mix(task, replay, every))
    mixed = mix(task, replay, every)
    if not isinstance(mixed, list):
        return mixed
    return Seen({"result": mixed, "a new list": mixed is not task and mixed is not replay})


def _names(letter, n):
    return [f"{letter}{i}" for i in range(1, n + 1)]


def _drawn(seed, n, m, every):
    return Case(drawn_ids(seed, n), drawn_ids(seed + 50, m), every)


def _of_words(seed, n, m, every):
    """Few different ones: many batches are equal to one another."""
    draw = random.Random(seeded(seed))
    return Case(draw.choices("abc", k=n), draw.choices("bcd", k=m), every)


def _of_tensors(seed, n, m, every):
    task = [normal(10 * seed + i, 2) for i in range(n)]
    replay = [normal(10 * seed + 50 + i, 2) for i in range(m)]
    label = f"mix_replay(task, replay, every={every}) of {n} and {m} tensors of shape (2,)"
    return Case(task, replay, every, label=label)


mix_replay = Exercise(
    number="11.4",
    name="mix_replay",
    oracle=_mix_replay,
    compared_with="`itertools.islice` and `itertools.cycle`",
    probe=_watched,
    cases=lambda: [
        Case(_names("t", 11), _names("r", 3), 2),
        Case(_names("t", 5), _names("r", 2), 2),  # the example of the task
        Case(_names("t", 4), _names("r", 2), 1),
        Case(_names("t", 6), _names("r", 4), 3),
        Case(_names("t", 8), _names("r", 1), 3),
        Case(_names("t", 3), _names("r", 2), 4),
        Case(_names("t", 3), _names("r", 2), 3),
        Case([], _names("r", 2), 2),
        _drawn(1, 100, 7, 3),
        _drawn(2, 40, 5, 4),
        _drawn(3, 24, 8, 24),
        _of_words(4, 30, 5, 2),
        Case([0, None, [], "", {}, 0], [None, 0], 2),
        Case([[[1, 2], [1, 2]], [[3], [-100]], [[1, 2], [1, 2]]], [[[5], [5]], [[6], [6]]], 1),
        _of_tensors(5, 5, 2, 2),
        Case(_names("t", 4), _names("r", 2), 0),
        Case(_names("t", 4), _names("r", 2), -1),
        Case(_names("t", 4), _names("r", 2), -2),
        Case(_names("t", 4), [], 2),
        Case(_names("t", 2), [], 3),
    ],
    mistakes=[
        Mistake(
            "replay_first",
            "The replay comes *before* each group of the task. First `every` batches of the task, "
            "then one of replay.",
            _mixed(
                due=lambda i, n, every: i % every == 0 and i + every <= n,
                join=lambda batch, replayed: replayed + batch,
            ),
        ),
        Mistake(
            "replay_after_the_first_of_a_group",
            "The replay comes after the *first* batch of each group. Wait until `every` batches "
            "have gone by: `(i + 1) % every == 0`.",
            _mixed(due=lambda i, n, every: i % every == 0),
        ),
        Mistake(
            "replay_ends",
            "When the replay has come to its end, no more comes. Begin it again: "
            "`replay[k % len(replay)]` for the k-th time.",
            _mixed(choose=_one_at_most),
        ),
        Mistake(
            "zip_cuts",
            "`zip` ends with the shorter of the two lists, and the rest of the task is lost. Go "
            "through the whole task and let the replay begin again.",
            _zipped,
        ),
        Mistake(
            "rest_of_the_task_lost",
            "The incomplete group at the end of the task is lost. It belongs into the list too, "
            "only without a replay after it.",
            _rest_lost,
        ),
        Mistake(
            "always_the_first",
            "It is always the first batch of replay. Take one after the other: count how many "
            "there were, and take that count modulo `len(replay)`.",
            _mixed(choose=lambda replay, k: replay[:1]),
        ),
        Mistake(
            "counted_from_1",
            "The replay begins with its second batch. The first place of a list is 0: count the "
            "batches of replay that came *before*.",
            _mixed(choose=lambda replay, k: [replay[(k + 1) % len(replay)]]),
        ),
        Mistake(
            "counted_in_the_task",
            "You count the replay with the place in the task, so batches of it are passed over. "
            "Count how many were replayed: `i // every`.",
            _by_place_in_the_task,
        ),
        Mistake(
            "from_the_end",
            "The replay comes in the reverse order. Take it from the front: `replay[0]` first.",
            _mixed(choose=lambda replay, k: [replay[-1 - k % len(replay)]]),
        ),
        Mistake(
            "all_of_replay_each_time",
            "After each group comes the whole replay. One batch of it is enough, the next one each "
            "time.",
            _mixed(choose=lambda replay, k: replay),
        ),
        Mistake(
            "replay_at_the_end",
            "The replay comes in one piece at the end. Spread it: one batch after each group of "
            "`every`.",
            _at_the_end,
        ),
        Mistake(
            "joined",
            "You join the two lists. Spread the replay over the task: one batch of it after each "
            "group of `every`.",
            _all_at_the_end,
        ),
        Mistake(
            "task_replaced",
            "The replay takes the place of a batch of the task, and that one is lost. Add it "
            "*after* the group.",
            _mixed(keep=lambda batch, due: [] if due else [batch]),
        ),
        Mistake(
            "replay_after_the_rest",
            "After the incomplete group at the end comes a replay too. Only a whole group of "
            "`every` has one after it.",
            _mixed(due=lambda i, n, every: (i + 1) % every == 0 or i == n - 1),
        ),
        Mistake(
            "not_at_the_very_end",
            "A whole group at the end of the task has no replay after it. It is a group like the "
            "others.",
            _mixed(due=lambda i, n, every: (i + 1) % every == 0 and i < n - 1),
        ),
        Mistake(
            "one_too_late",
            "You wait one batch too long: after every `every + 1` batches. Count from 1: "
            "`(i + 1) % every == 0`.",
            _mixed(due=_every_one_more),
        ),
        Mistake(
            "passed_over_once",
            "With `i % every == 0` and `i > 0` the replay comes one batch too late. `i` counts "
            "from 0, so after batch `i` there have been `i + 1`.",
            _mixed(due=lambda i, n, every: i > 0 and i % every == 0),
        ),
        Mistake(
            "roles_swapped",
            "The two lists have changed their parts: the task is mixed into the replay. Go through "
            "`task`, and add from `replay`.",
            _roles_swapped,
        ),
        Mistake(
            "nested",
            "The groups are lists inside the list. One flat list is wanted: `extend` in place of "
            "`append`, or `+=`.",
            _nested,
        ),
        Mistake(
            "replay_in_a_list",
            "Each batch of replay is wrapped in a list of its own. Add the batch itself: "
            "`append(batch)`, not `append([batch])`.",
            _mixed(choose=lambda replay, k: [[replay[k % len(replay)]]]),
        ),
        Mistake(
            "nothing_refused",
            "All is right but the refusals: an `every` below 1 and an empty replay need a "
            "`ValueError` with a sentence, before anything else.",
            _mixed(refuse=lambda replay, every: None),
        ),
        Mistake(
            "empty_replay_not_refused",
            "All is right but one thing: an empty `replay` needs a `ValueError` with a sentence, "
            "for there is nothing to mix in.",
            _mixed(refuse=_only_every_checked),
        ),
        Mistake(
            "every_not_refused",
            "All is right but one thing: an `every` below 1 needs a `ValueError` with a sentence.",
            _mixed(refuse=_only_replay_checked),
        ),
        Mistake(
            "refused_with_assert",
            "What makes no sense is refused, but with an `AssertionError`. Write "
            '`raise ValueError("…")`: `assert` is switched off by `python -O`.',
            _mixed(refuse=lambda replay, every: asserted(len(replay) > 0 and every >= 1)),
        ),
        Mistake(
            "refused_without_a_sentence",
            "What makes no sense is refused, but without a word. Say what is wrong: "
            '`raise ValueError("…")` with a sentence.',
            _mixed(refuse=lambda replay, every: speechless(len(replay) > 0 and every >= 1)),
        ),
    ],
    hints=[
        "Go through the task with `enumerate` and append each batch to a new list. After batch "
        "number `i`, counted from 0, there have been `i + 1`.",
        "A group is whole where `(i + 1) % every == 0`: then one batch of replay comes after it.",
        "The replays are numbered 0, 1, 2, … by `i // every`; "
        "`replay[(i // every) % len(replay)]` begins again at the end.",
    ],
)
