"""Exercise 12.5, `kl_penalty`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_slopes
from utils.checks.lesson12.common import SUMS


def _kl_penalty(log_probs, reference_log_probs):
    d = reference_log_probs.detach() - log_probs
    return torch.expm1(d) - d


def _estimate(formula=lambda d: torch.expm1(d) - d, constant=True):
    """The estimate with another formula of d = reference - policy."""

    def mutant(log_probs, reference):
        return formula((reference.detach() if constant else reference) - log_probs)

    return mutant


def _probe(answer, log_probs, reference):
    names = ["log_probs", "reference_log_probs"]
    return with_slopes(answer, log_probs, reference, names=names)


def _known(log_probs, reference):
    return Case(torch.tensor(log_probs).log(), torch.tensor(reference).log())


def _drawn(seed, B, T, apart):
    """Log-probabilities of drawn tokens, the reference's not far from the model's."""
    log_probs = -normal(seed, B, T).abs() - 0.05
    reference = (log_probs + apart * normal(seed + 1, B, T)).clamp(max=-0.01)
    label = f"# {B} × {T} log-probabilities, at most {apart} or so apart\nkl_penalty(…)"
    return Case(log_probs, reference, label=label)


kl_penalty = Exercise(
    number="12.5",
    name="kl_penalty",
    oracle=_kl_penalty,
    compared_with="`torch.expm1`, which is exp(d) − 1 without rounding",
    probe=_probe,
    tolerance=SUMS,
    cases=lambda: [
        _known([[0.5]], [[0.25]]),
        _known([[0.5]], [[0.5]]),
        _known([[0.25, 0.5]], [[0.5, 0.25]]),
        _known([[0.9, 0.1, 0.3], [0.2, 0.6, 0.05]], [[0.3, 0.4, 0.3], [0.25, 0.01, 0.5]]),
        _known([[0.9, 0.04]], [[0.0003, 0.8]]),  # far apart
        _drawn(1, 2, 3, 0.5),
        _drawn(3, 3, 5, 0.1),
        _drawn(5, 4, 4, 1.0),
        _drawn(7, 1, 40, 2.0),
    ],
    mistakes=[
        Mistake(
            "turned_round",
            "Your d has the wrong sign, and the mean is another divergence. d is the reference's "
            "log-probability minus the model's.",
            _estimate(lambda d: torch.expm1(-d) + d),
        ),
        Mistake(
            "plain_difference",
            "You return the plain difference, whose mean is right too, but which is often "
            "negative and spreads more. Wanted: exp(d) − d − 1.",
            _estimate(lambda d: -d),
        ),
        Mistake(
            "reference_minus_model",
            "You return d itself. Wanted: exp(d) − d − 1.",
            _estimate(lambda d: d),
        ),
        Mistake(
            "half_the_square",
            "You return half the square of the difference, which is near the right number only "
            "where both nearly agree. Wanted: exp(d) − d − 1.",
            _estimate(lambda d: d**2 / 2),
        ),
        Mistake(
            "one_not_subtracted",
            "The −1 is missing: where both agree the penalty must be 0.",
            _estimate(lambda d: d.exp() - d),
        ),
        Mistake(
            "d_not_subtracted",
            "The −d is missing. Without it the mean is 0 and not the divergence.",
            _estimate(lambda d: torch.expm1(d)),
        ),
        Mistake(
            "d_added",
            "You add d. It is subtracted: exp(d) − d − 1.",
            _estimate(lambda d: torch.expm1(d) + d),
        ),
        Mistake(
            "ratio",
            "You return the ratio of the probabilities. Wanted: exp(d) − d − 1.",
            _estimate(lambda d: d.exp()),
        ),
        Mistake(
            "absolute_difference",
            "You return the size of the difference. It is never negative either, but its mean is "
            "not the divergence. Wanted: exp(d) − d − 1.",
            _estimate(lambda d: d.abs()),
        ),
        Mistake(
            "negative_cut_off",
            "You cut off what is negative. That changes the mean. exp(d) − d − 1 is never "
            "negative by itself.",
            _estimate(lambda d: (-d).clamp(min=0)),
        ),
        Mistake(
            "weighted_with_the_probability",
            "You weigh each token with its probability. Tokens that are drawn from the model come "
            "with that weight already: likely ones are drawn often.",
            lambda lp, ref: lp.exp() * (lp - ref.detach()),
        ),
        Mistake(
            "penalty_weighted",
            "You weigh the penalty with the token's probability. Tokens that are drawn from the "
            "model come with that weight already.",
            lambda lp, ref: lp.exp() * _kl_penalty(lp, ref),
        ),
        Mistake(
            "probabilities_for_logarithms",
            "You take the inputs for probabilities. They are log-probabilities: d is their "
            "difference, without another logarithm or `exp`.",
            lambda lp, ref: _estimate()(lp.exp(), ref.exp()),
        ),
        Mistake(
            "mean_returned",
            "You return the mean. The mask comes later, so each token keeps its own number.",
            lambda lp, ref: _kl_penalty(lp, ref).mean(),
        ),
        Mistake(
            "summed_over_tokens",
            "You add up along the tokens. Each token keeps its own number, `(B, T)`.",
            lambda lp, ref: _kl_penalty(lp, ref).sum(1),
        ),
        Mistake(
            "sign_lost",
            "Your penalty is negative. It must grow as the two move apart: exp(d) − d − 1.",
            lambda lp, ref: -_kl_penalty(lp, ref),
        ),
        Mistake(
            "gradient_to_the_reference",
            "A gradient flows into the reference's numbers, as if it could be moved as well. It is "
            "a constant: `.detach()`.",
            _estimate(constant=False),
        ),
    ],
    hints=[
        "d is how much likelier the *reference* thinks the token: `reference_log_probs - "
        "log_probs`. Everything else is exp(d) − d − 1.",
        "By hand: 0.5 against 0.25 gives d = ln 0.25 − ln 0.5 = −0.693, and 0.5 + 0.693 − 1. The "
        "reference is a constant: `.detach()`.",
        "`d = reference_log_probs.detach() - log_probs`, then `d.exp() - d - 1`.",
    ],
)
