"""Exercise 12.3, `dpo_loss`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_sentence, with_slopes
from utils.checks.lesson12.common import SUMS, preferred

NAMES = ["policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected"]


def _dpo_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    if beta <= 0:
        raise ValueError("beta must be above 0")
    chosen = policy_chosen - reference_chosen.detach()
    return preferred(beta * (chosen - (policy_rejected - reference_rejected.detach())))


def _dpo(
    margin=lambda pc, pr, rc, rr: (pc - rc) - (pr - rr),
    loss=lambda margin, beta: preferred(beta * margin),
    constant=(True, True),
    refuses=True,
):
    """The loss with one step replaced."""

    def mutant(pc, pr, rc, rr, beta):
        if refuses and beta <= 0:
            raise ValueError("beta must be above 0")
        rc, rr = (x.detach() if c else x for x, c in zip((rc, rr), constant, strict=True))
        return loss(margin(pc, pr, rc, rr), beta)

    return mutant


def _beta_in(margin):
    """The loss of a margin that has beta in it already."""

    def mutant(pc, pr, rc, rr, beta):
        inside = _dpo(lambda *four: margin(*four, beta), loss=lambda found, _: preferred(found))
        return inside(pc, pr, rc, rr, beta)

    return mutant


def _each_alone(pc, pr, rc, rr, beta):
    if beta <= 0:
        raise ValueError("beta must be above 0")
    return preferred(beta * (pc - rc.detach())) + preferred(beta * (rr.detach() - pr))


def _probe(answer, pc, pr, rc, rr, beta):
    def of_tensors(*four):
        return with_sentence(answer, *four, beta)

    found = with_slopes(of_tensors, pc, pr, rc, rr, names=NAMES)
    if not isinstance(found, Seen):
        return found
    return Seen(found | {"dtype": str(found["result"].dtype)})  # small steps need float64


def _known(*numbers, beta, raises=None):
    return Case(*(torch.tensor(x) for x in numbers), beta, raises=raises)


def _double(case):
    return Case(*(x.double() for x in case.args[:4]), case.args[4])


def _drawn(seed, n, beta, size):
    four = [size * normal(seed + i, n) - 20 for i in range(4)]
    return Case(*four, beta, label=f"dpo_loss(*({size} * torch.randn(4, {n}) - 20), beta={beta})")


dpo_loss = Exercise(
    number="12.3",
    name="dpo_loss",
    oracle=_dpo_loss,
    compared_with="`F.binary_cross_entropy_with_logits` of the margin, and its gradients",
    probe=_probe,
    tolerance=SUMS,
    cases=lambda: [
        _known([-10.0], [-12.0], [-11.0], [-11.0], beta=0.5),
        _known([-3.0, -7.5], [-4.0, -1.0], [-3.0, -7.5], [-4.0, -1.0], beta=0.1),
        _known([-10.0], [-9.0], [-8.0], [-12.0], beta=0.25),
        _known(
            [-5.0, -6.0, -9.0],
            [-5.5, -8.0, -7.0],
            [-6.0, -6.5, -8.0],
            [-5.0, -9.0, -7.25],
            beta=0.3,
        ),
        _known([-900.0, -20.0], [-100.0, -21.0], [-100.0, -22.0], [-900.0, -20.0], beta=1.0),
        _known([-100.0], [-900.0], [-900.0], [-100.0], beta=2.0),
        _drawn(1, 6, 0.1, 3.0),
        _drawn(11, 32, 0.7, 2.0),
        _double(_known([-10.0, -7.0], [-12.0, -9.0], [-11.0, -8.5], [-11.0, -8.0], beta=0.5)),
        _known([-10.0], [-12.0], [-11.0], [-11.0], beta=0.0, raises=ValueError),
        _known([-10.0], [-12.0], [-11.0], [-11.0], beta=-0.1, raises=ValueError),
    ],  # fmt: skip
    mistakes=[
        Mistake(
            "swapped",
            "Chosen and rejected are swapped: your loss makes the rejected answers likelier.",
            _dpo(margin=lambda pc, pr, rc, rr: (pr - rr) - (pc - rc)),
        ),
        Mistake(
            "beta_forgotten",
            "`beta` is not used. It multiplies the whole margin, inside the sigmoid.",
            _dpo(loss=lambda margin, beta: preferred(margin)),
        ),
        Mistake(
            "beta_outside",
            "`beta` stands in front of the loss. It belongs inside the sigmoid, where it says how "
            "soon a pair counts as decided.",
            _dpo(loss=lambda margin, beta: beta * preferred(margin)),
        ),
        Mistake(
            "divided_by_beta",
            "You divide by `beta`. Multiply: the smaller it is, the further the model may move.",
            _dpo(loss=lambda margin, beta: preferred(margin / beta)),
        ),
        Mistake(
            "beta_twice",
            "`beta` multiplies twice: once is enough, on the margin.",
            _dpo(loss=lambda margin, beta: preferred(beta * beta * margin)),
        ),
        Mistake(
            "beta_on_the_chosen_only",
            "`beta` multiplies the first bracket only. It multiplies the difference of both.",
            _beta_in(lambda pc, pr, rc, rr, beta: beta * (pc - rc) - (pr - rr)),
        ),
        Mistake(
            "beta_on_the_policy_only",
            "`beta` multiplies the policy's numbers only. It multiplies the whole margin, the "
            "reference's part included.",
            _beta_in(lambda pc, pr, rc, rr, beta: beta * (pc - pr) - (rc - rr)),
        ),
        Mistake(
            "each_answer_alone",
            "You take a sigmoid of each answer alone. Only their difference counts: one sigmoid, "
            "of the margin.",
            _each_alone,
        ),
        Mistake(
            "reference_left_out",
            "The reference is left out, so at the start the loss is not ln 2. What counts is how "
            "much *more* likely an answer is than for the reference.",
            _dpo(margin=lambda pc, pr, rc, rr: pc - pr),
        ),
        Mistake(
            "reference_added",
            "The reference has the wrong sign, or the two references are mixed up. Subtract the "
            "chosen answer's from the chosen, and the rejected one's from the rejected.",
            _dpo(margin=lambda pc, pr, rc, rr: (pc + rc) - (pr + rr)),
        ),
        Mistake(
            "brackets_added",
            "You add the two brackets. Their difference is wanted: chosen minus rejected.",
            _dpo(margin=lambda pc, pr, rc, rr: (pc - rc) + (pr - rr)),
        ),
        Mistake(
            "chosen_alone",
            "Only the chosen answer counts in your loss. The rejected one belongs into the margin, "
            "with a minus.",
            _dpo(margin=lambda pc, pr, rc, rr: pc - rc),
        ),
        Mistake(
            "exponentials",
            "You take ratios of probabilities. The margin is made of their logarithms: no `exp`.",
            _dpo(margin=lambda pc, pr, rc, rr: (pc - rc).exp() - (pr - rr).exp()),
        ),
        Mistake(
            "divided_log_probs",
            "You divide log-probabilities. The logarithm of a ratio is their *difference*.",
            _dpo(margin=lambda pc, pr, rc, rr: pc / rc - pr / rr),
        ),
        Mistake(
            "log_of_sigmoid",
            "Small margins come out right, but with a large one infinity comes in (the sigmoid "
            "rounds to 0, or `exp` overflows). `F.logsigmoid` does all in one safe step.",
            _dpo(loss=lambda margin, beta: -(beta * margin).sigmoid().log().mean()),
        ),
        Mistake(
            "summed",
            "You add up over the pairs. Take the mean.",
            _dpo(loss=lambda margin, beta: -F.logsigmoid(beta * margin).sum()),
        ),
        Mistake(
            "not_averaged",
            "You return a loss for every pair. `.mean()` makes one number of them.",
            _dpo(loss=lambda margin, beta: -F.logsigmoid(beta * margin)),
        ),
        Mistake(
            "sign_lost",
            "The sign is missing: ln σ is at most 0, and the loss is its negative.",
            _dpo(loss=lambda margin, beta: F.logsigmoid(beta * margin).mean()),
        ),
        Mistake(
            "no_logarithm",
            "You return a probability. The loss is minus its logarithm: `F.logsigmoid`.",
            _dpo(loss=lambda margin, beta: (beta * margin).sigmoid().mean()),
        ),
        Mistake(
            "mean_first",
            "You take the mean of the margins before the sigmoid. Each pair has its own loss; the "
            "mean comes last.",
            _dpo(loss=lambda margin, beta: -F.logsigmoid(beta * margin.mean())),
        ),
        Mistake(
            "gradient_to_the_reference",
            "A gradient flows into the reference's numbers, as if the reference could be moved as "
            "well. It is a constant: `.detach()`.",
            _dpo(constant=(False, False)),
        ),
        Mistake(
            "gradient_to_reference_chosen",
            "A gradient still flows into `reference_chosen`. Both of the reference's inputs are "
            "constants: `.detach()` this one too.",
            _dpo(constant=(False, True)),
        ),
        Mistake(
            "gradient_to_reference_rejected",
            "A gradient still flows into `reference_rejected`. Both of the reference's inputs are "
            "constants: `.detach()` this one too.",
            _dpo(constant=(True, False)),
        ),
        Mistake(
            "always_float32",
            "The numbers are right, but they come back in float32 where float64 was given, and the "
            "small steps below need all its digits. Leave the dtype as it is.",
            lambda *inputs: _dpo()(*(x.float() for x in inputs[:4]), inputs[4]),
        ),
        Mistake(
            "zero_allowed",
            "You refuse a negative `beta` and take 0, with which nothing is learned: refuse "
            "`beta <= 0`.",
            lambda pc, pr, rc, rr, beta: _dpo(refuses=beta < 0)(pc, pr, rc, rr, beta),
        ),
        Mistake(
            "any_beta",
            "You take any `beta`. At 0 nothing is learned, and below 0 the opposite of what was "
            "preferred: raise a ValueError with a sentence.",
            _dpo(refuses=False),
        ),
    ],
    hints=[
        "Two brackets: how much likelier is the chosen answer than it was for the reference, and "
        "how much likelier the rejected one? The margin is the first minus the second.",
        "Then it is `reward_loss` again, with `beta` times the margin in place of a difference of "
        "scores. The reference is a constant: `.detach()` its numbers.",
        "`-F.logsigmoid(beta * ((policy_chosen - reference_chosen.detach()) - (policy_rejected - "
        "reference_rejected.detach()))).mean()`, behind the refusal of `beta <= 0`.",
    ],
)
