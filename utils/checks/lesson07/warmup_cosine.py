"""Exercise 7.4, `warmup_cosine`: its oracle, inputs, mistakes and hints."""

import math

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson07.common import returning_a_number


def _warmup_cosine(step, warmup, total):
    from transformers import get_cosine_schedule_with_warmup  # takes long to import

    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    return float(get_cosine_schedule_with_warmup(optimizer, warmup, total).lr_lambdas[0](step))


def _schedule(
    rise=lambda step, warmup: step / warmup,
    fall=lambda share: 0.5 * (1 + math.cos(math.pi * share)),
    share=lambda step, warmup, total: (step - warmup) / (total - warmup),
):
    """The schedule with one part replaced."""

    def mutant(step, warmup, total):
        if step < warmup:
            return rise(step, warmup)
        return fall(share(step, warmup, total))

    return mutant


def _product(step, warmup, total):
    rise = min(1.0, step / warmup) if warmup else 1.0
    return rise * 0.5 * (1 + math.cos(math.pi * step / total))


def _no_guard(step, warmup, total):
    return step / warmup if step <= warmup else _schedule()(step, warmup, total)


def _minimum(step, warmup, total):
    return min(step / warmup, _schedule(rise=lambda step, warmup: 1.0)(step, warmup, total))


def _drawn(seed, warmup, total, falling):
    """A step within the rise or within the fall: another one inside `other_numbers`."""
    generator = torch.Generator().manual_seed(seeded(seed))
    low, high = (warmup + 1, total) if falling else (1, warmup)
    return Case(torch.randint(low, high, (), generator=generator).item(), warmup, total)


warmup_cosine = Exercise(
    number="7.4",
    name="warmup_cosine",
    oracle=_warmup_cosine,
    compared_with="`get_cosine_schedule_with_warmup` of Hugging Face",
    probe=returning_a_number(_warmup_cosine),
    cases=lambda: [
        Case(6, 4, 12),
        *(Case(step, 4, 12) for step in (0, 2, 4, 8, 12)),
        *(Case(step, 4, 12) for step in (1, 3, 5, 11)),
        *(Case(step, 0, 10) for step in (0, 1, 3, 10)),
        *(Case(step, 1, 8) for step in (0, 1, 2)),
        *(Case(step, 7, 8) for step in (6, 7, 8)),
        *(Case(step, 100, 1000) for step in (99, 100, 101, 300, 999, 1000)),
        *(_drawn(seed, 300, 2000, falling=False) for seed in (1, 2)),
        *(_drawn(seed, 300, 2000, falling=True) for seed in (3, 4, 5)),
        _drawn(6, 2000, 70_000, falling=True),
    ],
    mistakes=[
        Mistake(
            "no_warmup",
            "The rise is missing: before step `warmup` the factor is `step / warmup`.",
            lambda step, warmup, total: _schedule()(step, 0, total),
        ),
        Mistake(
            "flat_before_the_fall",
            "Before step `warmup` your factor is 1 already. It rises from 0 there: "
            "`step / warmup`.",
            _schedule(rise=lambda step, warmup: 1.0),
        ),
        Mistake(
            "zero_before_the_fall",
            "Before step `warmup` your factor is 0. It rises in a straight line there: "
            "`step / warmup`. (Is that a `//`?)",
            _schedule(rise=lambda step, warmup: 0.0),
        ),
        Mistake(
            "rise_one_step_early",
            "Your rise is one step ahead: at step 0 the factor is 0, not `1 / warmup`.",
            _schedule(rise=lambda step, warmup: (step + 1) / warmup),
        ),
        Mistake(
            "rise_along_total",
            "You divide by `total` during the rise. It is over at step `warmup`: `step / warmup`.",
            lambda step, warmup, total: (
                step / total if step < warmup else _schedule()(step, warmup, total)
            ),
        ),
        Mistake(
            "rise_is_curved",
            "Your rise is part of a cosine. It is a straight line: `step / warmup`.",
            _schedule(rise=lambda step, warmup: 0.5 * (1 - math.cos(math.pi * step / warmup))),
        ),
        Mistake(
            "fall_from_step_0",
            "Your cosine starts at step 0, so the factor jumps at the end of the rise. It starts "
            "at step `warmup`: use `(step - warmup) / (total - warmup)`.",
            _schedule(share=lambda step, warmup, total: step / total),
        ),
        Mistake(
            "fall_too_long",
            "Your fall takes `total` steps, so it has not reached 0 at the end. It has only "
            "`total - warmup` of them: divide by that.",
            _schedule(share=lambda step, warmup, total: (step - warmup) / total),
        ),
        Mistake(
            "fall_not_shifted",
            "You divide by `total - warmup`, but count the steps of the fall from 0. They start "
            "at `warmup`: `step - warmup`.",
            _schedule(share=lambda step, warmup, total: step / (total - warmup)),
        ),
        Mistake(
            "both_at_once",
            "You multiply the rise with a cosine that starts at step 0. First comes the rise "
            "alone, and from step `warmup` on the cosine alone.",
            _product,
        ),
        Mistake(
            "straight_fall",
            "Your fall is a straight line. It goes along half a cosine: "
            "`0.5 * (1 + cos(π · share))`.",
            _schedule(fall=lambda share: 1 - share),
        ),
        Mistake(
            "cosine_below_zero",
            "Your factor falls to -1: a cosine goes from 1 to -1. Add 1 and take half of it.",
            _schedule(fall=lambda share: math.cos(math.pi * share)),
        ),
        Mistake(
            "not_halved",
            "Your fall starts at 2: 1 + cos lies between 0 and 2. Take half of it.",
            _schedule(fall=lambda share: 1 + math.cos(math.pi * share)),
        ),
        Mistake(
            "quarter_of_a_cosine",
            "Your fall is a quarter of a cosine. Half of one also flattens out at the end: "
            "`0.5 * (1 + cos(π · share))`.",
            _schedule(fall=lambda share: math.cos(math.pi / 2 * share)),
        ),
        Mistake(
            "whole_cosine",
            "You go through a whole cosine, so the factor comes back to 1 at the end. Half of it, "
            "π in place of 2π, ends at 0.",
            _schedule(fall=lambda share: 0.5 * (1 + math.cos(2 * math.pi * share))),
        ),
        Mistake(
            "cosine_upside_down",
            "Your fall rises: it starts at 0 and ends at 1. Write `1 + cos`, not `1 - cos`.",
            _schedule(fall=lambda share: 0.5 * (1 - math.cos(math.pi * share))),
        ),
        Mistake(
            "degrees",
            "Your angle goes to 180, but `cos` takes radians: π is half a circle.",
            _schedule(fall=lambda share: 0.5 * (1 + math.cos(180 * share))),
        ),
        Mistake(
            "pi_forgotten",
            "Your cosine stops short: without π the angle ends at 1, far from half a circle. "
            "`math.cos(math.pi * share)`.",
            _schedule(fall=lambda share: 0.5 * (1 + math.cos(share))),
        ),
        Mistake(
            "half_of_1_alone",
            "Only the 1 is halved, not the cosine: put brackets round the sum, `0.5 * (1 + cos)`.",
            _schedule(fall=lambda share: 0.5 * 1 + math.cos(math.pi * share)),
        ),
        Mistake(
            "brackets_missing",
            "`step - warmup / total - warmup` divides only `warmup` by `total`. Put brackets round "
            "both differences: `(step - warmup) / (total - warmup)`.",
            _schedule(share=lambda step, warmup, total: step - warmup / total - warmup),
        ),
        Mistake(
            "ends_at_a_tenth",
            "Your fall ends at a tenth. Some recipes do that; here it ends at 0.",
            _schedule(fall=lambda share: 0.1 + 0.45 * (1 + math.cos(math.pi * share))),
        ),
        Mistake(
            "ends_one_step_early",
            "Your fall is over one step early. It reaches 0 at step `total`: divide by "
            "`total - warmup`, without the - 1.",
            _schedule(share=lambda step, warmup, total: (step - warmup) / (total - 1 - warmup)),
        ),
        Mistake(
            "divides_by_zero",
            "The numbers are right, but `warmup` may be 0, and then you divide by it. Ask "
            "`if step < warmup` first: with `warmup = 0` that is never true.",
            _no_guard,
        ),
        Mistake(
            "smaller_of_both",
            "The numbers are right, but `warmup` may be 0, and you work out `step / warmup` for "
            "every step. Do it only `if step < warmup`.",
            _minimum,
        ),
        Mistake(
            "returns_tensor",
            "The factor is right, but after the rise it is in a tensor. `math.cos` works on plain "
            "numbers, or `.item()` makes one of it.",
            _schedule(fall=lambda share: torch.tensor(0.5 * (1 + math.cos(math.pi * share)))),
        ),
        Mistake(
            "always_returns_tensor",
            "The factor is right, but in a tensor. `.item()` makes a plain number of it.",
            lambda step, warmup, total: torch.tensor(_schedule()(step, warmup, total)),
        ),
    ],
    hints=[
        "Two cases: `if step < warmup`, the straight line; otherwise the cosine.",
        "How far the fall has come, from 0 to 1: `share = (step - warmup) / (total - warmup)`.",
        "The fall is `0.5 * (1 + math.cos(math.pi * share))`, the rise `step / warmup`.",
    ],
)
