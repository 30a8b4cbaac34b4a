"""Exercise 9.2, `temperature`: its oracle, inputs, mistakes and hints."""

import torch
from transformers import TemperatureLogitsWarper

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, tenths
from utils.checks.lesson09.common import INF


def _logits_2x5():
    return torch.tensor([[2.0, -1.0, 0.5, 0.0, 3.0], [-0.5, 1.5, -2.0, 1.0, 0.25]])


temperature = Exercise(
    number="9.2",
    name="temperature",
    oracle=lambda logits, t: TemperatureLogitsWarper(t)(None, logits),
    compared_with="`TemperatureLogitsWarper`",
    cases=lambda: [
        Case(_logits_2x5(), 0.5),
        Case(_logits_2x5(), 2.0),
        Case(_logits_2x5(), 0.8),
        Case(torch.tensor([[2.0, 0.0]]), 2.0),
        Case(torch.tensor([[2.0, -3.0, 1.0]]), 1.0),
        Case(torch.tensor([[1.0, -INF, -2.0, -INF]]), 0.25),  # after top_k
        Case(tenths(1, 2, 4), 1.6),
        Case(tenths(2, 2, 4), 0.4),
        Case(100 * normal(3, 3, 300), 0.01),
    ],
    mistakes=[
        Mistake(
            "multiplied",
            "You multiply by the temperature, so that heat *sharpens*. Divide.",
            lambda logits, t: logits * t,
        ),
        Mistake(
            "after_softmax",
            "You divide the *probabilities*. Dividing all of them by the same number changes none "
            "of their ratios; it is the logits that have to be divided.",
            lambda logits, t: logits.softmax(-1) / t,
        ),
        Mistake(
            "probabilities_returned",
            "You return probabilities. Return logits: the softmax comes once, at the very end.",
            lambda logits, t: (logits / t).softmax(-1),
        ),
        Mistake(
            "log_softmax",
            "The probabilities come out right, but these are not the logits divided by `t`: each "
            "row is shifted by a constant. The repetition penalty (9.6) looks at the *signs* of "
            "logits, so only divide.",
            lambda logits, t: (logits / t).log_softmax(-1),
        ),
        Mistake(
            "log_softmax_divided",
            "The probabilities come out right, but you divide the log-probabilities. Divide the "
            "logits as they are.",
            lambda logits, t: logits.log_softmax(-1) / t,
        ),
        Mistake(
            "root",
            "You divide by the root of the temperature. That is for d_k; here divide by `t`.",
            lambda logits, t: logits / t**0.5,
        ),
        Mistake(
            "no_effect",
            "The temperature has no effect on the probabilities. If you divide after the softmax "
            "and normalise again, or add or subtract it, it cancels.",
            lambda logits, t: logits,
        ),
        Mistake(
            "subtracted",
            "You subtract the temperature from every logit. The softmax does not see that: it "
            "cancels. Divide.",
            lambda logits, t: logits - t,
        ),
        Mistake(
            "shifted",
            "The probabilities come out right, but each row is shifted: its largest logit is 0. "
            "The softmax does that itself; only divide.",
            lambda logits, t: (logits - logits.max(-1, keepdim=True).values) / t,
        ),
        Mistake(
            "not_below_1",
            "Temperatures below 1 have no effect: they should sharpen.",
            lambda logits, t: logits / max(t, 1.0),
        ),
        Mistake(
            "whole_division",
            "`//` rounds down to whole numbers. Divide with `/`.",
            lambda logits, t: logits // t,
        ),
        Mistake(
            "squared",
            "You divide by the temperature twice.",
            lambda logits, t: logits / t**2,
        ),
        Mistake(
            "probabilities_to_the_power",
            "You raise the probabilities to the power 1 / t. They are in the right proportions, "
            "but no logits any more, and do not sum to 1: divide the logits.",
            lambda logits, t: logits.softmax(-1) ** (1 / t),
        ),
    ],
    hints=["High temperature makes large differences small.", "It is one division."],
)
