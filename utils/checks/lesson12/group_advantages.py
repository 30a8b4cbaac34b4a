"""Exercise 12.4, `group_advantages`: its oracle, inputs, mistakes and hints."""

import numpy as np
import torch

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded

NEARLY = Tolerance(absolute=1e-4, relative=1e-3)  # a small number under the line is no mistake


def _group_advantages(rewards):
    from scipy.stats import zscore

    r = rewards.double().numpy()
    equal = np.ptp(r, axis=1) < 1e-6
    with np.errstate(all="ignore"):
        scores = zscore(np.where(equal[:, None], np.arange(r.shape[1]), r), axis=1)
    return torch.from_numpy(np.where(equal[:, None], 0.0, scores)).float()


def _scaled(
    centre=lambda r: r.mean(1, keepdim=True),
    spread=lambda r: r.std(1, keepdim=True, correction=0),
    divide=lambda above, s: torch.where(s > 1e-6, above / s.clamp(min=1e-6), 0.0),
):
    """The advantages with one step replaced."""

    def mutant(rewards):
        rewards = rewards.float()
        return divide(rewards - centre(rewards), spread(rewards))

    return mutant


def _in_place(rewards):
    rewards -= rewards.mean(1, keepdim=True)
    return _scaled()(rewards)


def _ranks(rewards):
    return _scaled()(rewards.float().argsort(1).argsort(1))


def _smallest_to_largest(rewards):
    r = rewards.float()
    low, high = r.min(1, keepdim=True).values, r.max(1, keepdim=True).values
    return torch.where(high > low, (r - low) / (high - low).clamp(min=1e-6), 0.0)


def _probe(answer, rewards, signs_alone=False):
    got = answer(rewards)
    if not isinstance(got, torch.Tensor) or not got.is_floating_point():
        return got
    if got.shape == rewards.shape:  # 1e-6 added to a spread of 0 leaves a little: no mistake
        equal = (rewards == rewards[:, :1]).all(1, keepdim=True)
        got = got.masked_fill(equal & (got.abs() < 0.01), 0)
    return got.sign().float() if signs_alone else got.float()  # any float will do


def _ones(seed, P, G, dtype):
    lots = torch.Generator().manual_seed(seeded(seed))
    rewards = torch.randint(2, (P, G), generator=lots)
    rewards[:, 0], rewards[:, 1] = 0, 1
    return Case(rewards.to(dtype))


group_advantages = Exercise(
    number="12.4",
    name="group_advantages",
    oracle=_group_advantages,
    compared_with="`scipy.stats.zscore` of each group",
    probe=_probe,
    tolerance=NEARLY,
    cases=lambda: [
        Case(torch.tensor([[1.0, 0, 0, 1], [1, 1, 1, 1]])),
        Case(torch.tensor([[1.0, 0, 0, 0], [0, 2, 4, 6]])),
        Case(torch.tensor([[3.0, 1.0]])),
        Case(torch.tensor([[0.0, 0, 0], [5, 5, 5]])),
        Case(torch.tensor([[0.1, 0.1, 0.1], [0.7, 0.7, 0.7], [0.1, 0.2, 0.6]])),
        Case(torch.tensor([[0.1] * 9])),
        Case(torch.tensor([[2.0], [-1.0]])),
        Case(  # close together, and not equal
            torch.tensor([[0.5, 0.502, 0.5, 0.502]]),
            signs_alone=True,
            label="group_advantages(torch.tensor([[0.5, 0.502, 0.5, 0.502]])).sign()",
        ),
        Case(torch.tensor([[1, 0, 0], [2, 2, 5]])),
        _ones(1, 3, 5, torch.bool),
        _ones(2, 4, 8, torch.int64),
        Case(torch.tensor([[100.0, 101, 103, 104], [-7, -3, 0, 4]])),
        Case(normal(3, 5, 8), label="group_advantages(torch.randn(5, 8))"),
        Case(3 * normal(4, 4, 4) + 2, label="group_advantages(3 * torch.randn(4, 4) + 2)"),
        Case(normal(5, 16, 3), label="group_advantages(torch.randn(16, 3))"),
    ],
    mistakes=[
        Mistake(
            "mean_of_the_batch",
            "You subtract the mean of the whole batch. An answer is compared with its own group "
            "only: a mean for each row, `rewards.mean(1, keepdim=True)`.",
            _scaled(centre=lambda r: r.mean()),
        ),
        Mistake(
            "spread_of_the_batch",
            "You divide by the spread of the whole batch. Each group has its own: "
            "`std(1, keepdim=True, ...)`.",
            _scaled(spread=lambda r: r.std(correction=0)),
        ),
        Mistake(
            "the_whole_batch",
            "Mean and spread are those of the whole batch. Compare each answer with its own group: "
            "along axis 1.",
            _scaled(centre=lambda r: r.mean(), spread=lambda r: r.std(correction=0)),
        ),
        Mistake(
            "across_prompts",
            "You compare answers to different prompts: your mean runs along axis 0. A group is a "
            "row.",
            _scaled(
                centre=lambda r: r.mean(0, keepdim=True),
                spread=lambda r: r.std(0, keepdim=True, correction=0),
            ),
        ),
        Mistake(
            "divided_by_G_minus_1",
            "Your standard deviation divides by G − 1, PyTorch's default. Here it is G: "
            "`std(..., correction=0)`.",
            _scaled(spread=lambda r: r.std(1, keepdim=True) if r.shape[1] > 1 else r * 0),
        ),
        Mistake(
            "divided_by_G_minus_1_of_one",
            "Your standard deviation divides by G − 1, PyTorch's default (0 / 0 for a group of "
            "one). Here it is G: `std(..., correction=0)`.",
            _scaled(
                spread=lambda r: r.std(1, keepdim=True), divide=lambda above, s: above / (s + 1e-6)
            ),
        ),
        Mistake(
            "not_divided",
            "The division by the group's standard deviation is missing.",
            _scaled(divide=lambda above, s: above),
        ),
        Mistake(
            "variance",
            "You divide by the variance. It is its root, the standard deviation.",
            _scaled(spread=lambda r: r.var(1, keepdim=True, correction=0)),
        ),
        Mistake(
            "mean_not_subtracted",
            "The group's mean is not subtracted: then every rewarded answer counts as good, "
            "however easy the prompt is.",
            _scaled(centre=lambda r: 0),
        ),
        Mistake(
            "nan_for_equal_rewards",
            "Where all rewards of a group are equal you divide 0 by 0. Nothing is to be learned "
            "from such a group: give zeros.",
            _scaled(divide=lambda above, s: above / s),
        ),
        Mistake(
            "tiny_spread",
            "Nine rewards of 0.1 are equal, but rounding leaves a spread of 1e-8, and by that you "
            "divide. Give zeros where the spread is below 1e-6.",
            _scaled(divide=lambda above, s: torch.where(s == 0, 0.0, above / s)),
        ),
        Mistake(
            "little_added_to_the_spread",
            "Where all rewards are equal, rounding may leave a spread of 1e-8, and what you add to "
            "it is no larger. Give zeros where the spread is below 1e-6.",
            _scaled(divide=lambda above, s: above / (s + 1e-8)),
        ),
        Mistake(
            "much_added_to_the_spread",
            "What you add to the standard deviation is so large that it changes the advantages. "
            "1e-6 is enough, or treat equal rewards by themselves.",
            _scaled(divide=lambda above, s: above / (s + 0.1)),
        ),
        Mistake(
            "sign_turned",
            "The sign is turned: your worst answers get the highest advantage.",
            _scaled(divide=lambda above, s: torch.where(s > 1e-6, -above / s.clamp(min=1e-6), 0)),
        ),
        Mistake(
            "median",
            "You subtract the median. It is the mean of the group.",
            _scaled(centre=lambda r: r.median(1, keepdim=True).values),
        ),
        Mistake(
            "ranks",
            "You scale the ranks of the rewards. It is the rewards themselves that count.",
            _ranks,
        ),
        Mistake(
            "smallest_to_largest",
            "You scale each group to 0 … 1. An advantage is the distance from the group's mean, "
            "in standard deviations: half of them are negative.",
            _smallest_to_largest,
        ),
        Mistake(
            "softmax",
            "You take a softmax over the group. Subtract the mean and divide by the standard "
            "deviation.",
            lambda rewards: rewards.float().softmax(1),
        ),
        Mistake(
            "absolute_values",
            "Your advantages have lost their sign. Worse than the group is negative.",
            lambda rewards: _scaled()(rewards).abs(),
        ),
    ],
    hints=[
        "A group is a row: its mean and its standard deviation run along axis 1, with "
        "`keepdim=True` so that they can be subtracted and divided by.",
        "`rewards.std(1, keepdim=True, correction=0)` divides by G. Integers and bools have no "
        "mean: `rewards.float()` first.",
        "`torch.where(spread > 1e-6, above / spread.clamp(min=1e-6), 0)` gives zeros where all "
        "rewards are equal.",
    ],
)
