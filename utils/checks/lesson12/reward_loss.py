"""Exercise 12.2, `reward_loss`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_slopes
from utils.checks.lesson12.common import SUMS, preferred


def _reward_loss(chosen, rejected):
    return preferred(chosen - rejected)


def _probe(answer, chosen, rejected):
    return with_slopes(answer, chosen, rejected, names=["chosen", "rejected"])


def _known(chosen, rejected):
    return Case(torch.tensor(chosen), torch.tensor(rejected))


def _softmax_over_batch(chosen, rejected):
    return -(chosen - rejected).log_softmax(0).mean()


reward_loss = Exercise(
    number="12.2",
    name="reward_loss",
    oracle=_reward_loss,
    compared_with="`F.binary_cross_entropy_with_logits` of the differences",
    probe=_probe,
    tolerance=SUMS,
    cases=lambda: [
        _known([1.0], [1.0]),
        _known([2.0], [0.0]),
        _known([0.0], [1.5]),
        _known([1.0, -0.5, 2.0], [0.5, 0.25, -1.0]),
        _known([-400.0, 3.0], [600.0, 2.5]),
        _known([600.0], [-400.0]),
        Case(normal(1, 7), normal(2, 7), label="reward_loss(torch.randn(7), torch.randn(7))"),
        Case(4 * normal(3, 64), normal(4, 64), label="reward_loss(4 * torch.randn(64), …)"),
    ],
    mistakes=[
        Mistake(
            "swapped",
            "Chosen and rejected are swapped: your loss falls when the *rejected* answer gets the "
            "higher score.",
            lambda c, r: preferred(r - c),
        ),
        Mistake(
            "log_of_sigmoid",
            "With scores far apart something becomes infinite: the sigmoid rounds to 0, or "
            "`exp` is too large for 32 bits. `F.logsigmoid` does both in one safe step.",
            lambda c, r: -(c - r).sigmoid().log().mean(),
        ),
        Mistake(
            "summed",
            "You add up over the pairs. Take the mean, or a larger batch would count as a worse "
            "model.",
            lambda c, r: -F.logsigmoid(c - r).sum(),
        ),
        Mistake(
            "not_averaged",
            "You return a loss for every pair. `.mean()` makes one number of them.",
            lambda c, r: -F.logsigmoid(c - r),
        ),
        Mistake(
            "sign_lost",
            "The sign is missing: ln σ is at most 0, and the loss is its negative.",
            lambda c, r: F.logsigmoid(c - r).mean(),
        ),
        Mistake(
            "no_logarithm",
            "You return the probability that the chosen one wins. The loss is minus its logarithm.",
            lambda c, r: (c - r).sigmoid().mean(),
        ),
        Mistake(
            "one_minus_probability",
            "You return the probability that the *rejected* one wins. The loss is minus the "
            "logarithm of the other.",
            lambda c, r: (r - c).sigmoid().mean(),
        ),
        Mistake(
            "each_alone",
            "You take the sigmoid of each score alone. Only the difference of the two counts: a "
            "score has no meaning by itself.",
            lambda c, r: -(F.logsigmoid(c) + F.logsigmoid(-r)).mean(),
        ),
        Mistake(
            "difference_of_logsigmoids",
            "You subtract after the sigmoid. Subtract the scores first: σ of the *difference*.",
            lambda c, r: -(F.logsigmoid(c) - F.logsigmoid(r)).mean(),
        ),
        Mistake(
            "mean_first",
            "You take the mean of the differences before the sigmoid. Each pair has its own loss; "
            "the mean comes last.",
            lambda c, r: -F.logsigmoid((c - r).mean()),
        ),
        Mistake(
            "mean_before_the_logarithm",
            "You take the logarithm of the mean probability. It is the mean of the logarithms.",
            lambda c, r: -(c - r).sigmoid().mean().log(),
        ),
        Mistake(
            "hinge",
            "You pay for a margin below 1 and nothing above. Bradley and Terry's loss is "
            "−ln σ of the difference.",
            lambda c, r: (1 - (c - r)).clamp(min=0).mean(),
        ),
        Mistake(
            "plain_difference",
            "You return the mean difference. That would push scores apart for ever: −ln σ of it "
            "stops where the pair is decided.",
            lambda c, r: (r - c).mean(),
        ),
        Mistake(
            "squared",
            "You square the difference, so equal scores would be the best. −ln σ of it is wanted.",
            lambda c, r: ((c - r) ** 2).mean(),
        ),
        Mistake(
            "softmax_over_the_batch",
            "Your softmax lets the pairs compete with each other. Each pair is decided between its "
            "own two answers.",
            _softmax_over_batch,
        ),
        Mistake(
            "ratio",
            "You divide the scores. It is their difference that counts: a score may be negative.",
            lambda c, r: -F.logsigmoid(c / r).mean(),
        ),
    ],
    hints=[
        "The chosen answer wins with probability σ(chosen − rejected). The loss is minus the "
        "logarithm of that, averaged over the pairs.",
        "`F.logsigmoid(x)` is ln σ(x), safe for large numbers.",
        "`-F.logsigmoid(chosen - rejected).mean()`.",
    ],
)
