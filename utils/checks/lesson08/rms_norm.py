"""Exercise 8.1, `RMSNorm`: its oracle, inputs, mistakes and hints."""

from types import SimpleNamespace

import torch
from torch import nn

from utils.checks.engine.compare import show
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import call_text, made, normal
from utils.checks.engine.probes import fill
from utils.checks.lesson04.common import MODULES, habits
from utils.checks.lesson08.common import seen


class _RMSNorm(nn.Module):
    """The stand-in: the learner's parameter, Hugging Face's forward."""

    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x):
        from transformers.models.llama.modeling_llama import LlamaRMSNorm

        theirs = SimpleNamespace(weight=self.weight, variance_epsilon=self.eps)
        return LlamaRMSNorm.forward(theirs, x)


def _mean_of_squares(x):
    return x.pow(2).mean(-1, keepdim=True)


def _variance(x):
    return x.var(-1, keepdim=True, unbiased=False)


def _centred(x):
    return x - x.mean(-1, keepdim=True)


def _norm(
    widen=lambda x: x.float(),
    centre=lambda x: x,
    size=_mean_of_squares,
    divide=lambda x, size, eps: x * torch.rsqrt(size + eps),
    finish=lambda x, weight, dtype: weight * x.to(dtype),
):
    """RMS normalisation with one step replaced."""

    class Mutant(_RMSNorm):
        def forward(self, x):
            wide = widen(x)
            normed = divide(centre(wide), size(wide), self.eps)
            return finish(normed, self.weight, x.dtype)

    return Mutant


def _over(*axes):
    return _norm(size=lambda x: x.pow(2).mean(axes, keepdim=True))


def _normed(cls, build, x, ones=False):
    """What `seen` sees; in 16 bits, where gradients are rough, only the way forward."""
    norm = made(cls, build, _RMSNorm)
    if ones:
        nn.init.ones_(norm.weight)
    larger = normal(9, 20, 20, build["d_model"]).to(x.dtype)
    again = {"with fewer vectors": (2 * x[:1],)} if x.ndim > 1 else {}
    half = x.dtype != torch.float32
    return seen(norm.to(x.dtype), x, larger=(larger,), forward_only=half, again=again)


def _norm_case(x, ones=False, **build):
    build = {"d_model": x.shape[-1]} | build
    weight = torch.ones(x.shape[-1]) if ones else fill(_RMSNorm(**build)).weight
    label = f"{call_text('RMSNorm', build)} of x of shape {tuple(x.shape)}"
    if x.numel() <= 12:
        numbers = show(x).replace("\n", "\n  ")
        label = f"{call_text('RMSNorm', build)} of\nx={numbers},\nwhere weight={show(weight)}"
    label += "" if x.dtype == torch.float32 else f", x and weight in {x.dtype}"
    return Case(build, x, ones, label=label)


# In 16 bits: no number here comes to lie near the middle between two that 16 bits can hold, so
# every right way of computing gives the very same bits.
_LARGE = [[300.0, -400.0, 250.0, 100.0, 350.0], [90.0, 500.0, -310.0, 275.0, 20.0]]

RMSNorm = Exercise(
    number="8.1",
    name="RMSNorm",
    oracle=_RMSNorm,
    compared_with="Hugging Face's `LlamaRMSNorm`",
    probe=_normed,
    tolerance=MODULES,
    cases=lambda: [
        _norm_case(0.5 * normal(1, 2, 3, 5) + 0.3, eps=0.1),
        _norm_case(2 * normal(2, 3, 4) - 1),
        _norm_case(torch.tensor([3.0, 4.0]), ones=True, eps=0),
        _norm_case(normal(3, 3, 3) + 0.5, eps=1e-2),
        _norm_case(normal(4, 3, 3, 3) + 0.5),
        _norm_case(0.002 * normal(5, 2, 1, 4)),
        _norm_case(torch.tensor([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])),
        _norm_case(normal(6, 2, 2, 1), eps=0.5),
        _norm_case(torch.tensor(_LARGE, dtype=torch.float16)),
        _norm_case(torch.tensor([[4.0, -4.0, 4.0]], dtype=torch.bfloat16)),
        _norm_case(torch.tensor([[0.625, 2.125]], dtype=torch.bfloat16)),
    ],
    mistakes=[
        *habits(_RMSNorm),
        Mistake(
            "layer_norm",
            "That is LayerNorm: it subtracts the mean first. RMSNorm leaves the mean alone and "
            "divides by the root of the mean of the squares of `x` itself.",
            _norm(centre=_centred, size=_variance),
        ),
        Mistake(
            "mean_subtracted",
            "You divide by the right root, but you subtract the mean of `x` before. RMSNorm leaves "
            "the mean where it is.",
            _norm(centre=_centred),
        ),
        Mistake(
            "variance_for_mean_square",
            "You divide by the root of the *variance*, in which the mean is subtracted. Here the "
            "mean of the plain squares is meant: `x.pow(2).mean(-1, keepdim=True)`.",
            _norm(size=_variance),
        ),
        Mistake(
            "unbiased_variance_for_mean_square",
            "`x.var` subtracts the mean and divides by `d_model - 1`. Take the mean of the plain "
            "squares: `x.pow(2).mean(-1, keepdim=True)`.",
            _norm(size=lambda x: x.var(-1, keepdim=True)),
        ),
        Mistake(
            "standard_deviation",
            "You divide by the standard deviation, in which the mean is subtracted. Divide by the "
            "root of the mean of the plain squares, with `eps` under the root.",
            _norm(
                size=lambda x: x.std(-1, keepdim=True), divide=lambda x, std, eps: x / (std + eps)
            ),
        ),
        Mistake(
            "divided_by_d_model_minus_1",
            "You divide the sum of the squares by `d_model - 1`. Here it is their plain mean.",
            _norm(
                size=lambda x: (
                    x.pow(2).sum(-1, keepdim=True) / (x.shape[-1] - 1)
                    if x.shape[-1] > 1
                    else x.pow(2) * torch.inf
                )
            ),
        ),
        Mistake(
            "squares_in_half_precision",
            "Right in float32. In float16 the square of 300 is 90,000, which is more than float16 "
            "can hold, so the mean becomes `inf`: turn `x` into float32 first, and the normalised "
            "numbers back into `x.dtype`.",
            _norm(widen=lambda x: x),
        ),
        Mistake(
            "squares_in_bfloat16",
            "Right in float32 and in float16. bfloat16 does not overflow, but it keeps two or "
            "three digits only: turn `x` into float32 first, whatever its dtype is.",
            _norm(widen=lambda x: x.float() if x.dtype == torch.float16 else x),
        ),
        Mistake(
            "stays_in_float32",
            "Right in float32. Of a float16 `x` you return float32, and whatever comes next has "
            "float16 weights: turn the normalised numbers back into the dtype that `x` had.",
            _norm(finish=lambda x, weight, dtype: weight * x),
        ),
        Mistake(
            "weight_before_the_cast",
            "Right in float32. In 16 bits the last digit differs: you multiply by `weight` first "
            "and turn back into `x`'s dtype afterwards. Llama's code turns back first, then "
            "multiplies.",
            _norm(finish=lambda x, weight, dtype: (weight * x).to(dtype)),
        ),
        Mistake(
            "always_float16",
            "Right for a float16 `x`. You turn the normalised numbers into float16 whatever came "
            "in, and other dtypes lose their digits or their range: turn them into `x.dtype`.",
            _norm(finish=lambda x, weight, dtype: weight * x.half()),
        ),
        Mistake(
            "eps_outside_the_root",
            "You add `eps` to the root. It belongs under it: `torch.sqrt(mean_square + self.eps)`.",
            _norm(divide=lambda x, size, eps: x / (size.sqrt() + eps)),
        ),
        Mistake(
            "eps_left_out",
            "`eps` is left out. A vector of zeros then gives 0 / 0, `nan`: add `self.eps` under "
            "the root.",
            _norm(divide=lambda x, size, eps: x / size.sqrt()),
        ),
        Mistake(
            "eps_always_the_same",
            "You add 1e-5, whatever `eps` was asked for. It was kept in `self.eps`.",
            _norm(divide=lambda x, size, eps: x / (size + 1e-5).sqrt()),
        ),
        Mistake(
            "eps_of_hugging_face",
            "You add 1e-6, whatever `eps` was asked for. It was kept in `self.eps`.",
            _norm(divide=lambda x, size, eps: x / (size + 1e-6).sqrt()),
        ),
        Mistake(
            "sum_for_mean",
            "You add up the squares without dividing by `d_model`: that is the length of the "
            "vector. Take their *mean*.",
            _norm(size=lambda x: x.pow(2).sum(-1, keepdim=True)),
        ),
        Mistake(
            "length_for_root_of_mean",
            "`F.normalize` divides by the length of the vector, the root of the *sum* of its "
            "squares. RMSNorm takes their mean, with `eps` under the root.",
            _norm(
                size=lambda x: x.norm(dim=-1, keepdim=True),
                divide=lambda x, size, eps: x / size.clamp(min=1e-12),
            ),
        ),
        Mistake(
            "mean_of_absolute_values",
            "You divide by the mean of the absolute values. Square first, take the mean, then the "
            "root.",
            _norm(
                size=lambda x: x.abs().mean(-1, keepdim=True),
                divide=lambda x, size, eps: x / (size + eps),
            ),
        ),
        Mistake(
            "square_of_the_mean",
            "You square the mean. It is the other way round: the mean of the *squares*.",
            _norm(size=lambda x: x.mean(-1, keepdim=True).pow(2)),
        ),
        Mistake(
            "root_left_out",
            "You divide by the mean square itself. Divide by its root, so that the numbers come "
            "out with a mean square of 1.",
            _norm(divide=lambda x, size, eps: x / (size + eps)),
        ),
        Mistake(
            "multiplied_by_the_root",
            "You multiply by the root. Divide by it (`torch.rsqrt` is 1 over the root).",
            _norm(divide=lambda x, size, eps: x * (size + eps).sqrt()),
        ),
        Mistake(
            "weight_not_used",
            "`self.weight` is not used: multiply the normalised numbers by it.",
            _norm(finish=lambda x, weight, dtype: x.to(dtype)),
        ),
        Mistake(
            "one_plus_weight",
            "You multiply by `1 + weight`, as Gemma does. Llama's weight starts at 1 and is the "
            "factor itself.",
            _norm(finish=lambda x, weight, dtype: (1 + weight) * x.to(dtype)),
        ),
        Mistake(
            "weight_added",
            "You add `weight`. It is a factor: multiply.",
            _norm(finish=lambda x, weight, dtype: weight + x.to(dtype)),
        ),
        Mistake(
            "weight_before_the_norm",
            "You multiply `x` by `weight` before you take the squares, so the weight takes part in "
            "its own normalisation. Normalise first, multiply last.",
            type(
                "Mutant",
                (_RMSNorm,),
                {
                    "forward": lambda self, x: _norm(
                        finish=lambda x, w, dtype: x.to(dtype)
                    ).forward(self, x * self.weight)
                },
            ),
        ),
        Mistake(
            "over_the_sequence",
            "You take the mean over the words. Each *word* is normalised on its own, over its "
            "components: the last axis, `-1`.",
            _over(-2),
        ),
        Mistake(
            "axis_1_for_last",
            "Axis 1 is the last one of a table only; in `(B, T, d_model)` it counts the words. "
            "The last axis is always `-1`.",
            _over(1),
        ),
        Mistake(
            "over_words_and_components",
            "You take one mean for the whole text. Each *word* has its own: only the last axis, "
            "`-1`.",
            _over(-2, -1),
        ),
        Mistake(
            "mean_of_everything",
            "You take one mean over the whole tensor. Each word has its own: "
            "`x.pow(2).mean(-1, keepdim=True)`.",
            _norm(size=lambda x: x.pow(2).mean()),
        ),
        Mistake(
            "no_keepdim",
            "`keepdim=True` is missing: the means have shape `(B, T)`, and PyTorch lays them along "
            "the *components*. On square shapes that gives no error, only wrong numbers.",
            _norm(size=lambda x: x.pow(2).mean(-1)),
        ),
        Mistake(
            "statistics_detached",
            "The numbers are right, but the root takes no part in the gradient: there is a "
            "`detach` or a `no_grad` around it. It depends on `x` as well, so let it learn.",
            _norm(size=lambda x: _mean_of_squares(x.detach())),
        ),
    ],
    hints=[
        "Three steps for each word: the mean of its squares, divide by the root of that (and "
        "`eps`), multiply by `self.weight`.",
        "Begin with `wide = x.float()`. `wide.pow(2).mean(-1, keepdim=True)` has shape "
        "`(..., 1)`, and `torch.rsqrt` is 1 over the root.",
        "`wide * torch.rsqrt(mean_square + self.eps)` is still in float32: `.to(x.dtype)` before "
        "you multiply by `self.weight`.",
    ],
)
