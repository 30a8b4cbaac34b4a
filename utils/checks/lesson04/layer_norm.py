"""Exercise 4.1, `LayerNorm`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.engine.compare import show
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import call_text, made, normal
from utils.checks.engine.probes import fill
from utils.checks.lesson04.common import MODULES, habits, watched


class _LayerNorm(nn.Module):
    """The stand-in: the learner's parameters, PyTorch's function."""

    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


def _variance(x, dim, keepdim):
    return x.var(dim, keepdim=keepdim, unbiased=False)


def _mean_of_squares(x, dim, keepdim):
    return x.pow(2).mean(dim, keepdim=keepdim)


def _norm(
    dim=-1,
    keepdim=(True, True),
    centred=True,
    variance=_variance,
    divisor=lambda var, eps: torch.sqrt(var + eps),
    affine=lambda x, weight, bias: weight * x + bias,
):
    """Layer normalisation with one step replaced."""

    class Mutant(_LayerNorm):
        def forward(self, x):
            mean = x.mean(dim, keepdim=keepdim[0]) if centred else 0
            scale = divisor(variance(x, dim, keepdim[1]), self.eps)
            return affine((x - mean) / scale, self.weight, self.bias)

    return Mutant


def _brackets_missing():
    class Mutant(_LayerNorm):
        def forward(self, x):
            root = torch.sqrt(_variance(x, -1, True) + self.eps)
            return self.weight * x - x.mean(-1, keepdim=True) / root + self.bias

    return Mutant


def _whole_tensor():
    class Mutant(_LayerNorm):
        def forward(self, x):
            root = torch.sqrt(x.var(unbiased=False) + self.eps)
            return self.weight * (x - x.mean()) / root + self.bias

    return Mutant


def _normed(cls, build, x, slopes_of_inputs=True):
    again = {"with fewer vectors": (2 * x[:1],)}
    norm = made(cls, build, _LayerNorm)
    return watched(norm, x, again=again, slopes_of_inputs=slopes_of_inputs)


def _norm_case(x, slopes_of_inputs=True, **build):
    build = {"d_model": x.shape[-1]} | build
    like = fill(_LayerNorm(**build))
    label = f"{call_text('LayerNorm', build)} of x of shape {tuple(x.shape)}"
    if x.numel() <= 12:
        numbers = show(x).replace("\n", "\n  ")
        label = f"{call_text('LayerNorm', build)} of\nx={numbers},\n"
        label += f"where weight={show(like.weight)} and bias={show(like.bias)}"
    return Case(build, x, slopes_of_inputs, label=label)


LayerNorm = Exercise(
    number="4.1",
    name="LayerNorm",
    oracle=_LayerNorm,
    compared_with="`F.layer_norm`",
    probe=_normed,
    tolerance=MODULES,
    cases=lambda: [
        _norm_case(0.5 * normal(1, 2, 3, 5) + 0.3, eps=0.1),
        _norm_case(2 * normal(2, 3, 4) - 1),
        _norm_case(normal(3, 3, 3) + 0.5, eps=1e-3),
        _norm_case(normal(4, 3, 3, 3) + 0.5),
        _norm_case(torch.tensor([[1.0, 2.0, 6.0]]), eps=0.5),
        _norm_case(0.01 * normal(5, 1, 1, 4)),
        _norm_case(torch.tensor([[1.0, 3.0], [5.0, 5.0]]), eps=1e-12),
        _norm_case(torch.tensor([[2.0, 2.0, 2.0, 2.0], [-4.0, -4.0, -4.0, -4.0]])),
        # so far from 0 that 32 bits hold the result, but not the gradient
        _norm_case(
            torch.tensor([[8192.0, 8193.0], [-8193.0, -8192.0], [0.0, 3.0]]), slopes_of_inputs=False
        ),
    ],
    mistakes=[
        Mistake(
            "unbiased_variance",
            "Your variance divides by `d_model - 1`, as `x.var` and `x.std` do when they are not "
            "asked otherwise. Here the plain mean of the squares is meant: `unbiased=False`.",
            _norm(variance=lambda x, dim, keepdim: x.var(dim, keepdim=keepdim)),
        ),
        *habits(_LayerNorm),
        Mistake(
            "multiplied_by_the_root",
            "You multiply by the root of the variance. Divide by it.",
            _norm(divisor=lambda var, eps: 1 / torch.sqrt(var + eps)),
        ),
        Mistake(
            "weight_and_bias_exchanged",
            "Weight and bias are exchanged: multiply by `weight`, then add `bias`.",
            _norm(affine=lambda x, weight, bias: bias * x + weight),
        ),
        Mistake(
            "brackets_missing",
            "Only the mean is divided by the root: put brackets round `x - mean`.",
            _brackets_missing(),
        ),
        Mistake(
            "mean_of_everything",
            "You take mean and variance over the whole tensor. Each word has its own: `x.mean(-1, "
            "keepdim=True)`.",
            _whole_tensor(),
        ),
        Mistake(
            "eps_outside_the_root",
            "You add `eps` to the standard deviation. It belongs under the root: "
            "`torch.sqrt(var + self.eps)`.",
            _norm(divisor=lambda var, eps: var.sqrt() + eps),
        ),
        Mistake(
            "unbiased_and_eps_outside_the_root",
            "Two things: `x.std` divides by `d_model - 1` (take `x.var` with `unbiased=False`), "
            "and `eps` belongs under the root, `torch.sqrt(var + self.eps)`.",
            _norm(
                variance=lambda x, dim, keepdim: x.var(dim, keepdim=keepdim),
                divisor=lambda var, eps: var.sqrt() + eps,
            ),
        ),
        Mistake(
            "unbiased_and_eps_left_out",
            "Two things: `x.std` divides by `d_model - 1` (take `x.var` with `unbiased=False`), "
            "and `eps` is left out; it belongs under the root, `torch.sqrt(var + self.eps)`.",
            _norm(
                variance=lambda x, dim, keepdim: x.var(dim, keepdim=keepdim),
                divisor=lambda var, eps: var.sqrt(),
            ),
        ),
        Mistake(
            "eps_left_out",
            "`eps` is left out. A row of equal numbers has variance 0, and 0 / 0 is `nan`: "
            "add `self.eps` to the variance.",
            _norm(divisor=lambda var, eps: var.sqrt()),
        ),
        Mistake(
            "eps_always_the_same",
            "You add 1e-5, whatever `eps` was asked for. It was kept in `self.eps`.",
            _norm(divisor=lambda var, eps: torch.sqrt(var + 1e-5)),
        ),
        Mistake(
            "over_the_sequence",
            "You normalise each component over the words. Each *word* is normalised on its own, "
            "over its components: the last axis, `-1`.",
            _norm(dim=-2),
        ),
        Mistake(
            "axis_1_for_last",
            "Axis 1 is the last one of a table only; in `(B, T, d_model)` it counts the words. "
            "The last axis is always `-1`.",
            _norm(dim=1),
        ),
        Mistake(
            "over_the_batch",
            "You normalise over axis 0, across the batch: a sentence would then depend on its "
            "neighbours. Each word is normalised on its own, over the last axis, `-1`.",
            _norm(dim=0),
        ),
        Mistake(
            "over_words_and_components",
            "You take one mean and one variance for the whole sentence. Each *word* has its own: "
            "only the last axis, `-1`.",
            _norm(dim=(-2, -1)),
        ),
        Mistake(
            "no_keepdim",
            "`keepdim=True` is missing: the means have shape `(B, T)`, and PyTorch lays them along "
            "the *components*. On square shapes that gives no error, only wrong numbers.",
            _norm(keepdim=(False, False)),
        ),
        Mistake(
            "no_keepdim_in_the_variance",
            "The mean keeps its axis, the variance does not: `x.var` needs `keepdim=True` as well, "
            "or it is laid along the components.",
            _norm(keepdim=(True, False)),
        ),
        Mistake(
            "mean_not_subtracted",
            "You divide by the standard deviation but do not subtract the mean first: `x - mean`.",
            _norm(centred=False),
        ),
        Mistake(
            "rms_norm",
            "That is RMSNorm, which newer models use: it divides by the root of the mean square. "
            "Here subtract the mean first, and divide by the root of the variance.",
            _norm(centred=False, variance=_mean_of_squares),
        ),
        Mistake(
            "mean_square_for_variance",
            "You divide by the root of the mean of `x²`. The variance is the mean of "
            "`(x - mean)²`.",
            _norm(variance=_mean_of_squares),
        ),
        Mistake(
            "difference_of_squares",
            "Right until the numbers grow: the mean of `x²` minus the square of the mean takes two "
            "large numbers from one another, and the digits that count are lost. "
            "Take the mean of `(x - mean)²`, or `x.var`.",
            _norm(
                variance=lambda x, dim, keepdim: (
                    x.pow(2).mean(dim, keepdim=keepdim) - x.mean(dim, keepdim=keepdim).pow(2)
                )
            ),
        ),
        Mistake(
            "sum_for_mean",
            "You add up the squares without dividing by `d_model`: the variance is their *mean*.",
            _norm(
                variance=lambda x, dim, keepdim: (
                    x.shape[-1] * x.var(dim, keepdim=keepdim, unbiased=False)
                )
            ),
        ),
        Mistake(
            "variance_not_rooted",
            "You divide by the variance. Divide by its root, so that each word comes out with "
            "variance 1.",
            _norm(divisor=lambda var, eps: var + eps),
        ),
        Mistake(
            "weight_and_bias_not_used",
            "The word is normalised, but `self.weight` and `self.bias` are not used: multiply by "
            "the one, then add the other.",
            _norm(affine=lambda x, weight, bias: x),
        ),
        Mistake(
            "weight_not_used",
            "`self.weight` is not used: multiply by it before you add the bias.",
            _norm(affine=lambda x, weight, bias: x + bias),
        ),
        Mistake(
            "bias_not_used",
            "`self.bias` is not used: add it at the very end.",
            _norm(affine=lambda x, weight, bias: weight * x),
        ),
        Mistake(
            "bias_before_weight",
            "You add the bias first and multiply afterwards, so the weight stretches the bias too. "
            "Multiply first, then add.",
            _norm(affine=lambda x, weight, bias: weight * (x + bias)),
        ),
    ],
    hints=[
        "Four steps for each word: subtract its mean, divide by the root of its variance, "
        "multiply by `self.weight`, add `self.bias`.",
        "`x.mean(-1, keepdim=True)` has shape `(B, T, 1)`, and so has "
        "`x.var(-1, keepdim=True, unbiased=False)`.",
        "`self.weight * (x - mean) / torch.sqrt(var + self.eps)`, and then?",
    ],
)
