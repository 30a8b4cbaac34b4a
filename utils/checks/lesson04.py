"""Lesson 04: the encoder. Answers take and return PyTorch tensors."""

import copy
import functools

import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, BertModel

from utils.checks import hint, progress  # noqa: F401  (a lesson calls them as checks.hint)
from utils.checks.compare import Tolerance, show
from utils.checks.engine import Case, Exercise, Lesson, Mistake
from utils.checks.probes import fill, in_training

LESSON = Lesson("04", "The encoder", "04_encoder")
MODULES = Tolerance(absolute=1e-5, relative=1e-4)  # a layer's rounding in 32 bits, with room


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _real(T: int, *lengths: int) -> torch.Tensor:
    """A mask (B, T): True for the first so many tokens of each row."""
    return torch.arange(T) < torch.tensor(lengths)[:, None]


def _made(cls, build, like):
    """An object of the learner's class with known weights."""
    if isinstance(cls, nn.Module):
        name = type(cls).__name__
        raise TypeError(f"pass the class `{name}` itself, not an object that it made")
    return fill(cls(**build), like=like(**build))


def _call_text(name, build):
    return f"{name}({', '.join(f'{key}={value}' for key, value in build.items())})"


def _blank(hidden, mask):
    """Zeros where there is padding: which number stands there does not matter, only that one does.

    A nan stays: in the next block it would reach the real words, since 0 times nan is nan.
    """
    if mask is None or not isinstance(hidden, torch.Tensor) or hidden.shape[:2] != mask.shape:
        return hidden
    return hidden.masked_fill(~mask[..., None] & ~hidden.isnan(), 0)


# --- 4.1 LayerNorm --------------------------------------------------------------------------


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


def _after_norm(change):
    class Mutant(_LayerNorm):
        def forward(self, x):
            return change(super().forward(x))

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


def _norm_case(x, **build):
    build = {"d_model": x.shape[-1]} | build
    like = fill(_LayerNorm(**build))
    label = f"{_call_text('LayerNorm', build)} of x of shape {tuple(x.shape)}"
    if x.numel() <= 12:
        numbers = show(x).replace("\n", "\n  ")
        label = f"{_call_text('LayerNorm', build)} of\nx={numbers},\n"
        label += f"where weight={show(like.weight)} and bias={show(like.bias)}"
    return Case(build, x, label=label)


LayerNorm = Exercise(
    number="4.1",
    name="LayerNorm",
    oracle=_LayerNorm,
    compared_with="`F.layer_norm`",
    probe=lambda cls, build, x: in_training(_made(cls, build, _LayerNorm), x),
    tolerance=MODULES,
    cases=lambda: [
        _norm_case(0.5 * _normal(1, 2, 3, 5) + 0.3, eps=0.1),
        _norm_case(2 * _normal(2, 3, 4) - 1),
        _norm_case(_normal(3, 3, 3) + 0.5, eps=1e-3),
        _norm_case(_normal(4, 3, 3, 3) + 0.5),
        _norm_case(torch.tensor([[1.0, 2.0, 6.0]]), eps=0.5),
        _norm_case(0.01 * _normal(5, 1, 1, 4)),
        _norm_case(torch.tensor([[2.0, 2.0, 2.0, 2.0], [-4.0, -4.0, -4.0, -4.0]])),
        _norm_case(torch.tensor([[8192.0, 8193.0], [-8193.0, -8192.0], [0.0, 3.0]])),
    ],
    mistakes=[
        Mistake(
            "unbiased_variance",
            "Your variance divides by `d_model - 1`, as `x.var` and `x.std` do when they are not "
            "asked otherwise. Here the plain mean of the squares is meant: `unbiased=False`.",
            _norm(variance=lambda x, dim, keepdim: x.var(dim, keepdim=keepdim)),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but weight and bias would not learn: is there a `detach`, a "
            "`.data`, a `no_grad`, or a way through NumPy?",
            _after_norm(lambda y: y.detach()),
        ),
        Mistake(
            "another_dtype",
            "The numbers are right, but in float64. What comes next has float32 weights and would "
            "stop with an error: give back the dtype that came in.",
            _after_norm(lambda y: y.double()),
        ),
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

# --- 4.2 FeedForward ------------------------------------------------------------------------


class _FeedForward(nn.Module):
    """The stand-in: the learner's layers in PyTorch's own chain."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)

    def forward(self, x):
        return nn.Sequential(self.linear1, nn.GELU(), self.linear2)(x)


def _mlp(forward):
    """A feed-forward layer that does something else."""
    return type("Mutant", (_FeedForward,), {"forward": forward})


def _with(activation):
    return _mlp(lambda self, x: self.linear2(activation(self.linear1(x))))


def _feed_forward_case(d_model, d_ff, x):
    build = {"d_model": d_model, "d_ff": d_ff}
    given = f"x={show(x)}" if x.numel() <= 12 else f"x of shape {tuple(x.shape)}"
    label = f"{_call_text('FeedForward', build)} with weights of the check's own, of {given}"
    return Case(build, x, label=label)


FeedForward = Exercise(
    number="4.2",
    name="FeedForward",
    oracle=_FeedForward,
    compared_with="`nn.Sequential(linear1, nn.GELU(), linear2)`",
    probe=lambda cls, build, x: in_training(_made(cls, build, _FeedForward), x),
    tolerance=Tolerance(absolute=1e-5, relative=1e-5),  # the two GELUs differ by 5e-4 at most
    cases=lambda: [
        _feed_forward_case(4, 7, 2 * _normal(1, 2, 3, 4)),
        _feed_forward_case(3, 3, 2 * _normal(2, 2, 4, 3)),
        _feed_forward_case(5, 20, 3 * _normal(3, 1, 6, 5)),
        _feed_forward_case(2, 5, torch.tensor([[[1.0, -2.0]]])),
        _feed_forward_case(2, 4, torch.tensor([[0.0, 0.0], [60.0, -40.0]])),
    ],
    mistakes=[
        Mistake(
            "tanh_gelu",
            "That is the approximation of GELU with `tanh`, which GPT-2 uses. It differs from the "
            "exact one by less than a thousandth, but this encoder was trained with the exact one: "
            "`F.gelu(x)` without `approximate`.",
            _with(lambda x: F.gelu(x, approximate="tanh")),
        ),
        Mistake(
            "relu",
            "That is ReLU, as in the paper of 2017. This encoder bends its numbers with GELU: "
            "`F.gelu`.",
            _with(F.relu),
        ),
        Mistake(
            "silu",
            "That is SiLU, `x * sigmoid(x)`. GELU multiplies `x` with the probability that a "
            "normal number is smaller: `F.gelu`.",
            _with(F.silu),
        ),
        Mistake(
            "quick_gelu",
            "`x * sigmoid(1.702 * x)` only comes near to GELU. Take the exact one: `F.gelu`.",
            _with(lambda x: x * torch.sigmoid(1.702 * x)),
        ),
        Mistake(
            "erf_without_root_of_two",
            "In GELU the argument of `erf` is `x / √2`: "
            "`0.5 * x * (1 + torch.erf(x / math.sqrt(2)))`, or simply `F.gelu(x)`.",
            _with(lambda x: 0.5 * x * (1 + torch.erf(x))),
        ),
        Mistake(
            "sigmoid",
            "That is the sigmoid. Between the two layers stands GELU: `F.gelu`.",
            _with(torch.sigmoid),
        ),
        Mistake(
            "tanh",
            "That is `tanh`. Between the two layers stands GELU: `F.gelu`.",
            _with(torch.tanh),
        ),
        Mistake(
            "no_activation",
            "There is nothing between the two layers, and two linear layers in a row are only one. "
            "Put GELU between them.",
            _with(lambda x: x),
        ),
        Mistake(
            "activation_twice",
            "GELU is applied twice between the two layers. Once is meant.",
            _with(lambda x: F.gelu(F.gelu(x))),
        ),
        Mistake(
            "activation_at_the_end",
            "GELU comes after the second layer. It belongs *between* the two.",
            _mlp(lambda self, x: F.gelu(self.linear2(self.linear1(x)))),
        ),
        Mistake(
            "activation_at_the_end_too",
            "After the second layer comes another GELU, so nothing far below 0 can be passed on. "
            "The result of `linear2` is the end.",
            _mlp(lambda self, x: F.gelu(self.linear2(F.gelu(self.linear1(x))))),
        ),
        Mistake(
            "activation_at_the_beginning",
            "GELU is applied to `x` itself. It belongs *between* the two layers.",
            _mlp(lambda self, x: self.linear2(self.linear1(F.gelu(x)))),
        ),
        Mistake(
            "residual_added_already",
            "You add `x` already. That is right in the end, and the block of 4.3 does it; here "
            "only the layers are wanted.",
            _mlp(lambda self, x: x + _FeedForward.forward(self, x)),
        ),
        Mistake(
            "second_layer_left_out",
            "The second layer is left out: `linear2` takes the `d_ff` numbers back to `d_model`.",
            _mlp(lambda self, x: F.gelu(self.linear1(x))),
        ),
        Mistake(
            "layers_swapped",
            "`linear2` comes first. With `d_ff` different from `d_model` that stops with an error; "
            "where they are the same it is only wrong. First `linear1`, which widens.",
            _mlp(lambda self, x: self.linear1(F.gelu(self.linear2(x)))),
        ),
    ],
    hints=[
        "Three steps: widen, bend, narrow.",
        "`self.linear1(x)` has shape `(B, T, d_ff)`. GELU changes each number on its own: "
        "`F.gelu` keeps the shape.",
        "`F.gelu(self.linear1(x))`, and then back to `d_model` with the other layer.",
    ],
)

# --- 4.3 EncoderBlock -----------------------------------------------------------------------


class _EncoderBlock(nn.Module):
    """The stand-in: the learner's parts, put together by `nn.TransformerEncoderLayer`."""

    def __init__(self, d_model, n_heads, d_ff, norm_first=False, eps=1e-5):
        super().__init__()
        self.attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.feed_forward = _FeedForward(d_model, d_ff)
        self.norm1 = _LayerNorm(d_model, eps)
        self.norm2 = _LayerNorm(d_model, eps)
        self.norm_first = norm_first
        layer = nn.TransformerEncoderLayer(
            d_model,
            n_heads,
            d_ff,
            dropout=0.0,
            activation=F.gelu,
            layer_norm_eps=eps,
            batch_first=True,
            norm_first=norm_first,
            device="meta",  # it has no weights of its own, and is given the block's at each call
        )
        self._library = (layer,)  # in a tuple, so that it is not counted among the block's parts

    def forward(self, x, mask=None):
        parts = {
            "self_attn": self.attention,
            "linear1": self.feed_forward.linear1,
            "linear2": self.feed_forward.linear2,
            "norm1": self.norm1,
            "norm2": self.norm2,
        }
        weights = {
            f"{part}.{name}": parameter
            for part, module in parts.items()
            for name, parameter in module.named_parameters()
        }
        hidden = None if mask is None else ~mask
        options = {"src_key_padding_mask": hidden}
        return torch.func.functional_call(self._library[0], weights, (x,), options)


def _hide_padding(mask):
    return {} if mask is None else {"key_padding_mask": ~mask}


def _post_norm(block, x, attend):
    x = block.norm1(x + attend(x))
    return block.norm2(x + block.feed_forward(x))


def _pre_norm(block, x, attend):
    x = x + attend(block.norm1(x))
    return x + block.feed_forward(block.norm2(x))


def _block(post=_post_norm, pre=_pre_norm, masked=_hide_padding):
    """An encoder block with one of its two formulas, or what it does with the mask, replaced."""

    class Mutant(_EncoderBlock):
        def forward(self, x, mask=None):
            def attend(q, k=None):
                k = q if k is None else k
                return self.attention(q, k, k, need_weights=False, **masked(mask))[0]

            return (pre if self.norm_first else post)(self, x, attend)

    return Mutant


class _NanAtPadding(_EncoderBlock):
    """What comes out when the padding's own queries may look at nothing."""

    def forward(self, x, mask=None):
        out = super().forward(x, mask)
        return out if mask is None else out.masked_fill(~mask[..., None], torch.nan)


def _pre_residual_after_norm(block, x, attend):
    x = block.norm1(x)
    x = block.norm2(x + attend(x))
    return x + block.feed_forward(x)


def _post_norm_inside(block, x, attend):
    x = x + block.norm1(attend(x))
    return x + block.norm2(block.feed_forward(x))


def _pre_norm_on_queries(block, x, attend):
    x = x + attend(block.norm1(x), x)
    return x + block.feed_forward(block.norm2(x))


def _post_without_first_residual(block, x, attend):
    x = block.norm1(attend(x))
    return block.norm2(x + block.feed_forward(x))


def _pre_without_first_residual(block, x, attend):
    x = attend(block.norm1(x))
    return x + block.feed_forward(block.norm2(x))


def _pre_without_second_residual(block, x, attend):
    return block.feed_forward(block.norm2(x + attend(block.norm1(x))))


def _post_one_norm(block, x, attend):
    x = block.norm1(x + attend(x))
    return block.norm1(x + block.feed_forward(x))


def _pre_one_norm(block, x, attend):
    x = x + attend(block.norm1(x))
    return x + block.feed_forward(block.norm1(x))


def _post_norms_swapped(block, x, attend):
    x = block.norm2(x + attend(x))
    return block.norm1(x + block.feed_forward(x))


def _pre_norms_swapped(block, x, attend):
    x = x + attend(block.norm2(x))
    return x + block.feed_forward(block.norm1(x))


def _no_norms(block, x, attend):
    x = x + attend(x)
    return x + block.feed_forward(x)


def _post_without_norm1(block, x, attend):
    x = x + attend(x)
    return block.norm2(x + block.feed_forward(x))


def _pre_without_norm1(block, x, attend):
    x = x + attend(x)
    return x + block.feed_forward(block.norm2(x))


def _pre_without_norm2(block, x, attend):
    x = x + attend(block.norm1(x))
    return x + block.feed_forward(x)


def _post_parallel(block, x, attend):
    return block.norm2(block.norm1(x + attend(x)) + block.feed_forward(x))


def _pre_parallel(block, x, attend):
    return x + attend(block.norm1(x)) + block.feed_forward(block.norm2(x))


def _post_residual_from_input(block, x, attend):
    return block.norm2(x + block.feed_forward(block.norm1(x + attend(x))))


def _pre_residual_from_input(block, x, attend):
    return x + block.feed_forward(block.norm2(x + attend(block.norm1(x))))


def _in_either(name, said, post, pre):
    """The mistake in both formulas, and in one of them only."""
    only_post, only_pre = f"{name}_in_post_ln", f"{name}_in_pre_ln"
    return [
        Mistake(name, said, _block(post, pre)),
        Mistake(only_post, f"{said} With `norm_first=True` yours is right.", _block(post)),
        Mistake(only_pre, f"{said} With `norm_first=False` yours is right.", _block(pre=pre)),
    ]


def _run_block(cls, build, x, mask=None):
    block = _made(cls, build, _EncoderBlock)
    masks = () if mask is None else (mask,)
    return in_training(block, x, *masks, keep=lambda out: _blank(out, mask))


def _block_case(x, mask=None, **build):
    build = {"d_model": x.shape[-1]} | build
    given = f"x={show(x)}" if x.numel() <= 12 else f"x of shape {tuple(x.shape)}"
    label = f"{_call_text('EncoderBlock', build)} with weights of the check's own, of {given}"
    label += ", no mask" if mask is None else f",\nmask with rows of {mask.sum(1).tolist()} words"
    return Case(build, x, label=label) if mask is None else Case(build, x, mask, label=label)


EncoderBlock = Exercise(
    number="4.3",
    name="EncoderBlock",
    oracle=_EncoderBlock,
    compared_with="`nn.TransformerEncoderLayer` with the same weights",
    probe=_run_block,
    tolerance=MODULES,
    cases=lambda: [
        _block_case(_normal(1, 2, 5, 6) + 0.5, _real(5, 3, 4), n_heads=2, d_ff=7),
        _block_case(_normal(2, 2, 5, 6) + 0.5, _real(5, 4, 2), n_heads=2, d_ff=7, norm_first=True),
        _block_case(2 * _normal(3, 2, 3, 4), n_heads=2, d_ff=5, eps=0.3),
        _block_case(2 * _normal(4, 2, 3, 4), n_heads=2, d_ff=5, norm_first=True, eps=0.3),
        _block_case(_normal(5, 3, 3, 3), _real(3, 2, 1, 2), n_heads=1, d_ff=3),
        _block_case(_normal(6, 3, 3, 3), _real(3, 1, 2, 2), n_heads=3, d_ff=3, norm_first=True),
        _block_case(torch.tensor([[[1.0, -2.0, 0.5]]]), n_heads=1, d_ff=4),
        _block_case(torch.tensor([[[1.0, -2.0, 0.5]]]), n_heads=1, d_ff=4, norm_first=True),
    ],
    mistakes=[
        Mistake(
            "norm_first_ignored",
            "`self.norm_first` is not asked: your block normalises after each sum (post-LN) "
            "always. With `norm_first=True` the norm comes before attention and before the "
            "feed-forward layer, and the sums stay as they are.",
            _block(pre=_post_norm),
        ),
        Mistake(
            "always_norm_first",
            "Your block always normalises first (pre-LN). With `norm_first=False` it is "
            "`x = norm1(x + attention(x))`, then the same with `norm2` and the feed-forward layer.",
            _block(post=_pre_norm),
        ),
        Mistake(
            "norm_first_the_wrong_way_round",
            "Both formulas are right, but each stands in the other's place: `norm_first=True` is "
            "the one in which attention gets `norm1(x)`.",
            _block(post=_pre_norm, pre=_post_norm),
        ),
        Mistake(
            "normed_stream",
            "With `norm_first=True` you write `x = norm1(x)` and add to *that*. The stream itself "
            "stays as it is, only attention gets to see it normalised: "
            "`x = x + attention(norm1(x))`.",
            _block(pre=_pre_residual_after_norm),
        ),
        Mistake(
            "norm_before_the_sum",
            "With `norm_first=False` you normalise what attention and the feed-forward layer "
            "return, and then add. Add first, then normalise: `norm1(x + attention(x))`.",
            _block(post=_post_norm_inside),
        ),
        Mistake(
            "only_queries_normed",
            "With `norm_first=True` only the queries are normalised: keys and values must come "
            "from `norm1(x)` as well. Put `norm1(x)` in a variable and pass it three times.",
            _block(pre=_pre_norm_on_queries),
        ),
        *_in_either(
            "no_residual_around_attention",
            "What attention returns *replaces* `x`. It has to be added to it: "
            "`x + attention(...)`.",
            _post_without_first_residual,
            _pre_without_first_residual,
        ),
        *_in_either(
            "no_residual_around_feed_forward",
            "What the feed-forward layer returns *replaces* `x`. It has to be added to it: "
            "`x + feed_forward(...)`.",
            lambda block, x, attend: block.norm2(block.feed_forward(block.norm1(x + attend(x)))),
            _pre_without_second_residual,
        ),
        *_in_either(
            "no_residuals",
            "Nothing is added to `x`: attention and the feed-forward layer replace it. "
            "Both have to be added, `x + ...`.",
            lambda block, x, attend: block.norm2(block.feed_forward(block.norm1(attend(x)))),
            lambda block, x, attend: block.feed_forward(block.norm2(attend(block.norm1(x)))),
        ),
        *_in_either(
            "residual_from_the_input",
            "The second sum adds the block's *input*. By then `x` is what the attention half has "
            "made of it, and that is what the feed-forward layer's result is added to.",
            _post_residual_from_input,
            _pre_residual_from_input,
        ),
        *_in_either(
            "feed_forward_of_the_input",
            "The feed-forward layer works on the block's *input*, beside attention rather than "
            "after it. Give it what the attention half has made of `x`.",
            _post_parallel,
            _pre_parallel,
        ),
        *_in_either(
            "feed_forward_left_out",
            "The second half is left out: after attention comes the feed-forward layer, with a sum "
            "and `norm2` of its own.",
            lambda block, x, attend: block.norm1(x + attend(x)),
            lambda block, x, attend: x + attend(block.norm1(x)),
        ),
        *_in_either(
            "attention_left_out",
            "The first half is left out: before the feed-forward layer the words look at one "
            "another, with a sum and `norm1` of its own.",
            lambda block, x, attend: block.norm2(x + block.feed_forward(x)),
            lambda block, x, attend: x + block.feed_forward(block.norm2(x)),
        ),
        *_in_either(
            "norm1_used_twice",
            "`norm1` is used in both halves. The feed-forward half has a norm of its own, `norm2`.",
            _post_one_norm,
            _pre_one_norm,
        ),
        *_in_either(
            "norms_swapped",
            "The norms are swapped: `norm1` belongs to attention, `norm2` to the feed-forward "
            "layer.",
            _post_norms_swapped,
            _pre_norms_swapped,
        ),
        *_in_either(
            "norms_left_out",
            "There are no norms: `norm1` belongs to attention, `norm2` to the feed-forward layer.",
            _no_norms,
            _no_norms,
        ),
        *_in_either(
            "norm1_left_out",
            "`norm1` is not used: each half has a norm of its own, and this one belongs to "
            "attention.",
            _post_without_norm1,
            _pre_without_norm1,
        ),
        *_in_either(
            "norm2_left_out",
            "`norm2` is not used: each half has a norm of its own, and this one belongs to the "
            "feed-forward layer.",
            lambda block, x, attend: (
                (half := block.norm1(x + attend(x))) + block.feed_forward(half)
            ),
            _pre_without_norm2,
        ),
        Mistake(
            "mask_ignored",
            "The mask does not reach attention, so the words look at the padding. "
            "Pass `key_padding_mask=~mask`.",
            _block(masked=lambda mask: {}),
        ),
        Mistake(
            "mask_the_wrong_way_round",
            "The mask is the wrong way round: ours is True for real words, while "
            "`key_padding_mask` is True for what is to be *ignored*. Pass `~mask`.",
            _block(masked=lambda mask: {} if mask is None else {"key_padding_mask": mask}),
        ),
        Mistake(
            "mask_of_numbers",
            "A mask of numbers is *added* to the scores, and a 1 hides nothing: it even makes the "
            "padding louder. Leave it bool, `~mask`.",
            _block(
                masked=lambda mask: {} if mask is None else {"key_padding_mask": 1.0 - 1.0 * mask}
            ),
        ),
        Mistake(
            "mask_of_numbers_not_turned_round",
            "A mask of numbers is *added* to the scores, so the padding is only a little quieter "
            "than the words, not hidden. Leave it bool, and turn it round: `~mask`.",
            _block(masked=lambda mask: {} if mask is None else {"key_padding_mask": 1.0 * mask}),
        ),
        Mistake(
            "nan_at_the_padding",
            "Where there is padding, `nan` comes out: there a query may look at nothing at all. In "
            "the next block the `nan` reaches the real words, since 0 times `nan` is `nan`. Hide "
            "the padding's keys only: `key_padding_mask=~mask`.",
            _NanAtPadding,
        ),
        Mistake(
            "mask_as_attn_mask",
            "`attn_mask` says which query may see which key, `(T, T)` for all sentences alike. "
            "That some *words* of each sentence are padding, `(B, T)`, goes in "
            "`key_padding_mask`.",
            _block(masked=lambda mask: {} if mask is None else {"attn_mask": ~mask}),
        ),
    ],
    hints=[
        "Two halves, and each adds something to `x`: first what attention returns, then what the "
        "feed-forward layer returns. Only the place of the norms depends on `self.norm_first`.",
        "`self.attention(q, k, v, key_padding_mask=hidden, need_weights=False)` returns a pair; "
        "the result of shape `(B, T, d_model)` is its `[0]`. `hidden` is `None` or `~mask`.",
        "`x = self.norm1(x + attended)` when the norm comes last. When it comes first, attention "
        "gets `n = self.norm1(x)` three times, and `x = x + attended`.",
    ],
)

# --- 4.4 mean_pool --------------------------------------------------------------------------


def _mean_pool(hidden, mask):
    rows = zip(hidden, mask, strict=True)
    return torch.stack([tokens[real.bool()].mean(0) for tokens, real in rows])


def _column(mask, hidden):
    return mask[..., None].to(hidden.dtype)  # (B, T, 1)


def _pooled(total=lambda h, m: (h * m).sum(1), count=lambda h, m: m.sum(1)):
    """Sum and number of the real tokens, with one of the two replaced."""

    def mutant(hidden, mask):
        column = _column(mask, hidden)
        return total(hidden, column) / count(hidden, column)

    return mutant


def _padding_counted_as_real(hidden, mask):
    return _mean_pool(hidden, mask == 0)


def _best_of_each(hidden, mask):
    return hidden.masked_fill(~mask.bool()[..., None], -torch.inf).amax(1)


def _last_real(hidden, mask):
    return torch.stack([row[real.bool()][-1] for row, real in zip(hidden, mask, strict=True)])


def _without_first_and_last(hidden, mask):
    rows = zip(hidden, mask, strict=True)
    return torch.stack([tokens[real.bool()][1:-1].mean(0) for tokens, real in rows])


def _padded(seed, mask, d_model):
    """Hidden states whose padding holds large numbers."""
    hidden = _normal(seed, *mask.shape, d_model)
    return torch.where(mask.bool()[..., None], hidden + 0.5, 40 * hidden)


def _pool_case(seed, mask, d_model):
    return Case(_padded(seed, mask, d_model), mask)


mean_pool = Exercise(
    number="4.4",
    name="mean_pool",
    oracle=_mean_pool,
    compared_with="the mean of each text's real tokens, one text at a time",
    tolerance=MODULES,
    cases=lambda: [
        _pool_case(1, _real(5, 5, 3, 4), 4),
        _pool_case(2, _real(6, 2, 6).long(), 3),
        _pool_case(3, _real(3, 1, 3, 2), 3),
        _pool_case(4, _real(3, 2, 1, 3).long(), 3),
        _pool_case(5, _real(5, 3, 4).flip(1), 3),
        Case(
            torch.tensor([[[1.0, 2.0], [3.0, 6.0], [90.0, -70.0]]]),
            torch.tensor([[1, 1, 0]]),
        ),
        _pool_case(6, _real(1, 1, 1, 1, 1), 3),
        _pool_case(7, _real(6, 2, 4), 3),
        Case(torch.tensor([[[0.0, 2.0], [2.0, 4.0]]]), torch.tensor([[True, True]])),
        _pool_case(8, _real(4, 3).long(), 2),
    ],
    mistakes=[
        Mistake(
            "padding_in_the_mean",
            "The padding is in the mean: `mask` is not used. Multiply by the mask before you sum, "
            "and divide by the number of real tokens.",
            lambda hidden, mask: hidden.mean(1),
        ),
        Mistake(
            "cut_at_the_longest",
            "You cut all texts after the longest one and take the mean of what is left. Shorter "
            "texts still have padding there.",
            lambda hidden, mask: hidden[:, : int(mask.sum(1).max())].mean(1),
        ),
        Mistake(
            "mask_as_row_numbers",
            "`hidden[i][mask[i]]` picks the real tokens only if the mask is bool. With ones and "
            "zeros it takes them for row numbers, and picks rows 1 and 0 again and again: "
            "`mask.bool()` first.",
            lambda hidden, mask: torch.stack(
                [tokens[real].mean(0) for tokens, real in zip(hidden, mask, strict=True)]
            ),
        ),
        Mistake(
            "zeros_not_counted",
            "You count the numbers that are not 0, and a real token may hold a 0. Count with the "
            "mask: `mask.sum(1)`.",
            _pooled(count=lambda h, m: ((h * m) != 0).sum(1)),
        ),
        Mistake(
            "axis_lost",
            "The numbers are right, but for a batch of one text the axis of the batch is lost: is "
            "there a `squeeze`?",
            lambda hidden, mask: _mean_pool(hidden, mask).squeeze(0),
        ),
        Mistake(
            "axis_kept",
            "The numbers are right, but there is an axis too many: without `keepdim` in the sum "
            "over the tokens the result is `(B, d_model)`.",
            lambda hidden, mask: _mean_pool(hidden, mask)[:, None],
        ),
        Mistake(
            "first_texts_count",
            "You divide every text by the *first* text's number of tokens. Each has its own.",
            _pooled(count=lambda h, m: m.sum(1)[:1]),
        ),
        Mistake(
            "padding_in_the_sum",
            "You divide by the number of real tokens, but the padding is still in the sum. "
            "Multiply by the mask first.",
            _pooled(total=lambda h, m: h.sum(1)),
        ),
        Mistake(
            "divided_by_length",
            "The padding is set to 0 but still counted: you divide by T. Divide by the number of "
            "real tokens, `mask.sum(1)`.",
            _pooled(count=lambda h, m: h.shape[1]),
        ),
        Mistake(
            "not_divided",
            "That is the sum of the real tokens. Divide it by their number, so that a long text "
            "has no longer a vector than a short one.",
            _pooled(count=lambda h, m: 1),
        ),
        Mistake(
            "one_count_for_all",
            "You divide by the number of real tokens of the whole batch. Each text has its own: "
            "sum the mask over axis 1 only.",
            _pooled(count=lambda h, m: m.sum()),
        ),
        Mistake(
            "one_vector_for_the_batch",
            "You pool the tokens of all texts together. Each text gets a vector of its own: "
            "the result has shape `(B, d_model)`.",
            lambda hidden, mask: hidden[mask.bool()].mean(0),
        ),
        Mistake(
            "mask_the_wrong_way_round",
            "You take the mean of the *padding*. The mask is true, or 1, for real tokens.",
            _padding_counted_as_real,
        ),
        Mistake(
            "first_token_only",
            "You return the first token's vector. Some models are trained for that (`[CLS]`); this "
            "one wants the mean over all real tokens.",
            lambda hidden, mask: hidden[:, 0],
        ),
        Mistake(
            "last_token_only",
            "You return the last token's vector, which may even be padding. Take the mean over all "
            "real tokens.",
            lambda hidden, mask: hidden[:, -1],
        ),
        Mistake(
            "last_real_token_only",
            "You return the last real token's vector. Take the mean over all real tokens.",
            _last_real,
        ),
        Mistake(
            "first_and_last_left_out",
            "You leave out the first and the last real token. They are special tokens, but this "
            "model was trained with them in the mean: the mask alone decides.",
            _without_first_and_last,
        ),
        Mistake(
            "largest_for_mean",
            "You take the largest of the real tokens in each component. The *mean* is asked.",
            _best_of_each,
        ),
        Mistake(
            "mean_over_the_width",
            "The mean runs over the components and leaves one number for each token. Take it over "
            "the tokens, axis 1.",
            lambda hidden, mask: hidden.mean(-1),
        ),
        Mistake(
            "normalised_already",
            "The mean is right, but you scale it to length 1 already. That comes with the search; "
            "here the plain mean is wanted.",
            lambda hidden, mask: F.normalize(_mean_pool(hidden, mask), dim=-1),
        ),
        Mistake(
            "mask_along_the_width",
            "The mask is laid along the *components*. On square shapes that gives no error, only "
            "wrong numbers: give it an axis at the end, `mask[..., None]`.",
            lambda hidden, mask: (hidden * mask).sum(1) / mask.sum(1, keepdim=True),
        ),
        Mistake(
            "count_along_the_width",
            "The numbers of tokens are laid along the *components*. Keep an axis for them, "
            "`mask.sum(1, keepdim=True)`, so that each text is divided by its own.",
            lambda hidden, mask: (hidden * _column(mask, hidden)).sum(1) / mask.sum(1),
        ),
    ],
    hints=[
        "A sum over the real tokens, divided by their number. What must a padded token be "
        "multiplied by, so that it adds nothing?",
        "`mask[..., None]` has shape `(B, T, 1)` and meets every component of `hidden`.",
        "`(hidden * m).sum(1)` has shape `(B, d_model)`, and `m.sum(1)` has shape `(B, 1)`.",
    ],
)

# --- 4.6 search -----------------------------------------------------------------------------


def _similarity(query, vectors):
    return F.cosine_similarity(query, vectors, dim=-1)


def _top(scores=_similarity, extra=0, **options):
    """The k best by some measure."""

    def mutant(query, vectors, k):
        k = min(k + extra, len(vectors))
        return scores(query, vectors).topk(k, **options).indices.tolist()

    return mutant


def _by_value(query, vectors, k):
    found = _similarity(query, vectors).tolist()
    return [found.index(value) for value in sorted(found, reverse=True)[:k]]


def _row_numbers(answer, query, vectors, k):
    """A list of ints for a list or a vector of whole numbers; anything else as it is."""
    found = answer(query, vectors, k)
    if hasattr(found, "tolist") and getattr(found, "ndim", 0) == 1:
        found = found.tolist()
    if not isinstance(found, list | tuple):
        return found
    found = [x.item() if hasattr(x, "item") and x.ndim == 0 else x for x in found]
    if not all(type(x) is int and 0 <= x < len(vectors) for x in found):
        return found
    if len(set(found)) < len(found):
        return f"a row stands there more than once: {found}"
    rows = vectors.tolist()  # of rows that are the same, either may come first
    return [rows.index(rows[i]) for i in found]


def _of_lengths(seed, n, d):
    """Vectors whose lengths differ widely, most of them turned a little to one side."""
    lengths = torch.logspace(-1, 1.5, n)[torch.randperm(n, generator=_generator(seed))]
    return F.normalize(_normal(seed, n, d) + 0.3, dim=-1) * lengths[:, None]


def _generator(seed):
    return torch.Generator().manual_seed(seed)


search = Exercise(
    number="4.6",
    name="search",
    oracle=lambda query, vectors, k: _similarity(query, vectors).topk(k).indices.tolist(),
    compared_with="`F.cosine_similarity` and `topk`",
    probe=_row_numbers,
    cases=lambda: [
        Case(3 * _normal(36, 4), _of_lengths(37, 9, 4), 5),
        Case(_normal(3, 6), _of_lengths(4, 30, 6), 5),
        Case(0.1 * _normal(5, 5), _of_lengths(6, 5, 5), 1),
        Case(_normal(7, 3), _of_lengths(8, 6, 3), 6),
        Case(
            torch.tensor([2.0, 1.0]),
            torch.tensor([[9.0, -9.0], [0.2, 0.1], [-4.0, -2.1], [3.0, 3.0]]),
            2,
        ),
        Case(torch.tensor([1.0, 0.0]), torch.tensor([[-5.0, 0.0], [-1.0, 1.0], [-1.0, 3.0]]), 3),
        Case(torch.tensor([1.0, 1.0]), torch.tensor([[1.0, 0], [2.0, 2.1], [1, 0], [2, 2.1]]), 3),
        Case(torch.tensor([1.0, 0.0]), torch.tensor([[10.0, 0.4], [10.0, 0.1], [10.0, 0.7]]), 2),
    ],
    mistakes=[
        Mistake(
            "equal_rows_found_once",
            "Two texts with the same similarity are taken for one (`index` of a value, or a dict "
            "with the similarities as keys?), so one row stands there twice. `topk` keeps track "
            "of the rows by itself.",
            _by_value,
        ),
        Mistake(
            "negatives_cut_off",
            "Negative cosines are all taken for 0 or left out. A text may be the best there is and "
            "still point away from the query: keep the order among them.",
            _top(lambda query, vectors: _similarity(query, vectors).clamp(min=0)),
        ),
        Mistake(
            "rounded",
            "You round the similarities before you compare them: near ones become equal.",
            _top(lambda query, vectors: (_similarity(query, vectors) * 100).round()),
        ),
        Mistake(
            "dot_product",
            "You rank by the dot product, so long vectors win by their length. Divide by the "
            "lengths of the vectors: `F.normalize(vectors, dim=-1)`, or `F.cosine_similarity`.",
            _top(lambda query, vectors: vectors @ query),
        ),
        Mistake(
            "distance",
            "You rank by distance, which depends on how long the vectors are. Only the angle "
            "counts here: `F.cosine_similarity`.",
            _top(lambda query, vectors: -(vectors - query).norm(dim=-1)),
        ),
        Mistake(
            "normalised_over_columns",
            "You normalise the *columns* of `vectors`. Each row is a text: its length is the norm "
            "over the last axis, `dim=-1`.",
            _top(lambda query, vectors: F.normalize(vectors, dim=0) @ query),
        ),
        Mistake(
            "divided_by_squared_length",
            "You divide by the *square* of each vector's length, so short vectors win. Divide by "
            "the length itself, the root of the sum of squares.",
            _top(lambda query, vectors: vectors @ query / vectors.pow(2).sum(-1)),
        ),
        Mistake(
            "size_of_the_cosine",
            "You drop the sign of the cosine: what points the opposite way counts as similar. "
            "Keep the sign.",
            _top(lambda query, vectors: _similarity(query, vectors).abs()),
        ),
        Mistake(
            "least_similar",
            "You return the *least* similar rows. A cosine near 1 means similar: take the largest.",
            _top(largest=False),
        ),
        Mistake(
            "worst_first",
            "The right rows, but the best comes last. Sort the other way round.",
            lambda query, vectors, k: _top()(query, vectors, k)[::-1],
        ),
        Mistake(
            "sorted_by_number",
            "The right rows, but in the order of their numbers. The best comes first.",
            lambda query, vectors, k: sorted(_top()(query, vectors, k)),
        ),
        Mistake(
            "similarities_returned",
            "You return the similarities. Which rows do they belong to? "
            "`topk` has `.values` and `.indices`.",
            lambda query, vectors, k: _similarity(query, vectors).topk(k).values.tolist(),
        ),
        Mistake(
            "topk_pair_returned",
            "You return both that `topk` finds, the similarities and the row numbers. Only the "
            "row numbers are wanted: `.indices`.",
            lambda query, vectors, k: _similarity(query, vectors).topk(k),
        ),
        Mistake(
            "counted_from_1",
            "The right rows, but you count them from 1. Row numbers begin with 0.",
            lambda query, vectors, k: [i + 1 for i in _top()(query, vectors, k)],
        ),
        Mistake(
            "vectors_returned",
            "You return the vectors found. Their row numbers are wanted, so that the texts can be "
            "looked up.",
            lambda query, vectors, k: vectors[_top()(query, vectors, k)],
        ),
        Mistake(
            "all_rows",
            "You return all rows, ranked. Only the first `k` are wanted.",
            _top(extra=10**6),
        ),
        Mistake(
            "one_too_many",
            "You return k + 1 rows.",
            _top(extra=1),
        ),
        Mistake(
            "one_too_few",
            "You return k − 1 rows: one is missing at the end.",
            _top(extra=-1),
        ),
        Mistake(
            "best_left_out",
            "You leave out the best row. Here the query is not among the vectors, so the first one "
            "found counts.",
            lambda query, vectors, k: _top(extra=1)(query, vectors, k)[1:],
        ),
    ],
    hints=[
        "One number for each row of `vectors`: the cosine of its angle with `query`.",
        "`F.cosine_similarity(query, vectors, dim=-1)` has shape `(N,)`.",
        "`.topk(k)` finds the largest, best first; it has `.values` and `.indices`.",
    ],
)

# --- 4.5 load_minilm (stretch) --------------------------------------------------------------


class _Encoder(nn.Module):
    """The lesson's encoder, of the stand-ins."""

    def __init__(self, vocab_size, max_T, d_model, n_heads, d_ff, n_layers):
        super().__init__()
        self.word = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(max_T, d_model)
        self.segment = nn.Embedding(2, d_model)
        self.norm = _LayerNorm(d_model, eps=1e-12)
        self.blocks = nn.ModuleList(
            _EncoderBlock(d_model, n_heads, d_ff, eps=1e-12) for _ in range(n_layers)
        )

    def forward(self, ids, mask=None):
        T = ids.shape[1]
        x = self.norm(self.word(ids) + self.position.weight[:T] + self.segment.weight[0])
        states = [x]
        for block in self.blocks:
            x = block(x, mask)
            states.append(x)
        return states


EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "word.weight",
    "embeddings.position_embeddings.weight": "position.weight",
    "embeddings.token_type_embeddings.weight": "segment.weight",
    "embeddings.LayerNorm.weight": "norm.weight",
    "embeddings.LayerNorm.bias": "norm.bias",
}
LAYER = {
    "attention.output.dense": "attention.out_proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "feed_forward.linear1",
    "output.dense": "feed_forward.linear2",
    "output.LayerNorm": "norm2",
}
QKV = ("query", "key", "value")


def _translated(state, n_layers, layer=LAYER, order=QKV, join=torch.cat):
    """The weights under the names that the lesson's encoder has for them."""
    new = {ours: state[theirs] for theirs, ours in EMBEDDINGS.items()}
    for i in range(n_layers):
        theirs, ours = f"encoder.layer.{i}.", f"blocks.{i}."
        for kind in "weight", "bias":
            for their_part, our_part in layer.items():
                new[f"{ours}{our_part}.{kind}"] = state[f"{theirs}{their_part}.{kind}"]
            parts = [state[f"{theirs}attention.self.{part}.{kind}"] for part in order]
            new[f"{ours}attention.in_proj_{kind}"] = join(parts)
    return new


def _load_minilm(encoder, state):
    encoder.load_state_dict(_translated(state, len(encoder.blocks)))
    return encoder


def _loader(change=lambda name, tensor: tensor, strict=True, **options):
    """Load with one step replaced; `change` returns None for a weight that is forgotten."""

    def mutant(encoder, state):
        new = _translated(state, len(encoder.blocks), **options)
        new = {name: change(name, tensor) for name, tensor in new.items()}
        new = {name: tensor for name, tensor in new.items() if tensor is not None}
        encoder.load_state_dict(new, strict=strict)
        return encoder

    return mutant


def _emptying(encoder, state):
    _load_minilm(encoder, state)
    state.clear()
    return encoder


def _norm1_twice(encoder, state):
    new = _translated(state, len(encoder.blocks))
    new |= {n.replace("norm1", "norm2"): tensor for n, tensor in new.items() if "norm1" in n}
    encoder.load_state_dict(new)
    return encoder


def _forgetting(*endings):
    return _loader(lambda name, tensor: None if name.endswith(endings) else tensor, strict=False)


def _other_layer(which):
    """Each layer gets the weights of another one."""

    def mutant(encoder, state):
        n = len(encoder.blocks)
        moved = dict(state)
        for i in range(n):
            source = f"encoder.layer.{which(i, n)}."
            for name in [name for name in state if name.startswith(source)]:
                moved[f"encoder.layer.{i}.{name.removeprefix(source)}"] = state[name]
        return _load_minilm(encoder, moved)

    return mutant


def _interleaved(parts):
    return torch.stack(parts, dim=1).flatten(0, 1)


def _transposed(name, tensor):
    in_proj = "in_proj_weight" in name
    if in_proj:
        return torch.cat([part.T for part in tensor.chunk(3)])
    return tensor.T if "out_proj.weight" in name else tensor


def _what_is_there(encoder, state):
    """Take what is found, and say nothing of what is not."""
    there = encoder.state_dict()
    for theirs, ours in EMBEDDINGS.items():
        there[ours] = state.get(theirs, there[ours])
    for i in range(len(encoder.blocks)):
        for kind in "weight", "bias":
            for their_part, our_part in LAYER.items():
                ours = f"blocks.{i}.{our_part}.{kind}"
                there[ours] = state.get(f"encoder.layer.{i}.{their_part}.{kind}", there[ours])
            ours = f"blocks.{i}.attention.in_proj_{kind}"
            names = [f"encoder.layer.{i}.attention.self.{p}.{kind}" for p in QKV]
            pairs = zip(names, there[ours].chunk(3), strict=True)
            there[ours] = torch.cat([state.get(name, old) for name, old in pairs])
    encoder.load_state_dict(there)
    return encoder


def _not_returned(encoder, state):
    _load_minilm(encoder, state)


def _load_result(encoder, state):
    return encoder.load_state_dict(_translated(state, len(encoder.blocks)))


def _hugging_faces_names(encoder, state):
    encoder.load_state_dict(state, strict=False)
    return encoder


@functools.cache
def _bert(d_model, n_heads, d_ff, n_layers):
    """A small BERT with weights drawn widely enough that every one of them shows."""
    config = BertConfig(
        vocab_size=11,
        max_position_embeddings=7,
        hidden_size=d_model,
        num_attention_heads=n_heads,
        intermediate_size=d_ff,
        num_hidden_layers=n_layers,
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        return fill(BertModel(config))


def _hidden_states(answer, shape, without=()):
    """The hidden states of the loaded encoder, and for the oracle those of BERT itself.

    With names in `without`, each is taken out of the state in turn, and the result is a word: was
    every such state refused?
    """
    bert, encoder = _bert(*shape), fill(_Encoder(11, 7, *shape))
    state = {name: tensor.clone() for name, tensor in bert.state_dict().items()}
    for start in without:
        kept = {name: tensor for name, tensor in state.items() if not name.startswith(start)}
        try:
            answer(encoder, kept)
        except NotImplementedError:
            raise
        except Exception:  # any error is a refusal
            continue
        return "loaded, although a weight was missing"
    if without:
        return "refused"
    state["embeddings.position_ids"] = torch.arange(7)[None]  # as in the published file
    ids, mask = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 0, 0]]), _real(5, 5, 3)
    if answer is _load_minilm:
        found = bert(ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
    else:
        names = set(state)
        loaded = answer(encoder, state)
        if not isinstance(loaded, nn.Module):
            return loaded
        if set(state) != names:
            return "`state` has other names than before: whoever called it still needs it"
        if loaded is not encoder:
            return "what is returned is another encoder than the one that was given"
        found = loaded(ids, mask)
    return [_blank(hidden, mask) for hidden in found]


def _all_names():
    """Every weight that an encoder needs, by BERT's name; and a whole layer."""
    names = [name for name in _bert(4, 1, 5, 2).state_dict() if not name.startswith("pooler")]
    return (*names, "encoder.layer.1.")


def _load_case(d_model, n_heads, d_ff, n_layers, **options):
    label = f"an encoder with d_model={d_model}, n_heads={n_heads}, d_ff={d_ff} and {n_layers} "
    label += "layers; then all its hidden states, the embeddings' first"
    if options:
        label = f"a `state` with a weight missing, for example {options['without'][0]!r}"
    return Case((d_model, n_heads, d_ff, n_layers), label=label, **options)


load_minilm = Exercise(
    number="4.5",
    name="load_minilm",
    oracle=_load_minilm,
    compared_with="the hidden states of `BertModel`",
    probe=_hidden_states,
    tolerance=Tolerance(absolute=1e-4, relative=1e-4),
    cases=lambda: [
        _load_case(6, 2, 9, 2),
        _load_case(4, 2, 4, 3),
        _load_case(4, 1, 5, 2, without=("encoder.layer.1.output.dense.bias", *_all_names())),
    ],
    mistakes=[
        Mistake(
            "nothing_loaded",
            "The encoder is as random as before: nothing is loaded. Is `load_state_dict` called at "
            "the end, with a dict whose keys are *our* names? (`strict=False` takes only weights "
            "whose names are the same, and passes over the rest.)",
            _hugging_faces_names,
        ),
        Mistake(
            "embeddings_only",
            "Only the embeddings are loaded, the blocks are as random as before. Go through "
            "`range(len(encoder.blocks))` and fill `new` for each.",
            _loader(
                lambda name, tensor: None if name.startswith("blocks.") else tensor, strict=False
            ),
        ),
        Mistake(
            "missing_weights_accepted",
            "All is well while `state` is complete. With a weight missing, it goes on without it "
            "and says nothing: take each with `state[name]`, and end with "
            "`encoder.load_state_dict(new)`, without `strict=False`.",
            _what_is_there,
        ),
        Mistake(
            "state_emptied",
            "You take weights out of `state` (`pop`?), or put others in: whoever called the "
            "function would find it changed. Read with `state[name]`, and build a new dict.",
            _emptying,
        ),
        Mistake(
            "loaded_into_another_encoder",
            "The weights are right, but in another encoder: load them into the `encoder` that you "
            "are given, and return it.",
            lambda encoder, state: _load_minilm(copy.deepcopy(encoder), state),
        ),
        Mistake(
            "norm1_twice",
            "Both norms of a block get the weights of `attention.output.LayerNorm`. The second "
            "norm's are in `output.LayerNorm`.",
            _norm1_twice,
        ),
        Mistake(
            "key_before_query",
            "Query and key are swapped. In `in_proj_weight` and `in_proj_bias` the order is query, "
            "key, value.",
            _loader(order=("key", "query", "value")),
        ),
        Mistake(
            "value_before_key",
            "Key and value are swapped. In `in_proj_weight` and `in_proj_bias` the order is query, "
            "key, value.",
            _loader(order=("query", "value", "key")),
        ),
        Mistake(
            "value_first",
            "The three are in reverse. In `in_proj_weight` and `in_proj_bias` the order is query, "
            "key, value.",
            _loader(order=("value", "key", "query")),
        ),
        Mistake(
            "query_three_times",
            "The query's weights stand for all three. Stack query, key and value on top of one "
            "another.",
            _loader(order=("query", "query", "query")),
        ),
        Mistake(
            "interleaved",
            "The rows of query, key and value take turns. They belong on top of one another, "
            "first all of query: `torch.cat`, not `torch.stack`.",
            _loader(join=_interleaved),
        ),
        Mistake(
            "transposed",
            "The attention weights are transposed. Both sides keep a linear layer as "
            "`(outputs, inputs)`: copy them as they are.",
            _loader(_transposed),
        ),
        Mistake(
            "norms_swapped",
            "The two norms of a block are swapped: `attention.output.LayerNorm` is `norm1`, "
            "`output.LayerNorm` is `norm2`.",
            _loader(
                layer=LAYER | {"attention.output.LayerNorm": "norm2", "output.LayerNorm": "norm1"}
            ),
        ),
        Mistake(
            "feed_forward_layers_swapped",
            "The feed-forward layers are swapped: `intermediate.dense` is `linear1`, "
            "`output.dense` is `linear2`.",
            _loader(
                layer=LAYER
                | {
                    "intermediate.dense": "feed_forward.linear2",
                    "output.dense": "feed_forward.linear1",
                }
            ),
        ),
        Mistake(
            "layers_reversed",
            "The layers are loaded in reverse: `encoder.layer.0` is the first block.",
            _other_layer(lambda i, n: n - 1 - i),
        ),
        Mistake(
            "first_layer_in_all_blocks",
            "Every block gets the weights of layer 0. Is the number fixed in a name? "
            'It has to be the block\'s own, `f"encoder.layer.{i}."`.',
            _other_layer(lambda i, n: 0),
        ),
        Mistake(
            "biases_not_copied",
            "The biases are not copied, only the weights. Each name ending in `.weight` in a layer "
            "has a partner ending in `.bias`.",
            _forgetting("bias"),
        ),
        Mistake(
            "in_proj_bias_not_copied",
            "`in_proj_bias` is not filled: the biases of query, key and value are stacked just "
            "like the weights.",
            _forgetting("in_proj_bias"),
        ),
        Mistake(
            "position_table_not_copied",
            "The table of positions is not copied: "
            "`embeddings.position_embeddings.weight` is our `position.weight`.",
            _forgetting("position.weight"),
        ),
        Mistake(
            "segment_table_not_copied",
            "The table of segments is not copied. We use only its first row, but that row is added "
            "to every word: `embeddings.token_type_embeddings.weight` is our `segment.weight`.",
            _forgetting("segment.weight"),
        ),
        Mistake(
            "embedding_norm_not_copied",
            "The norm after the embeddings is not copied: `embeddings.LayerNorm` is our `norm`.",
            _loader(
                lambda name, tensor: None if name.startswith("norm.") else tensor, strict=False
            ),
        ),
        Mistake(
            "out_proj_not_copied",
            "Attention's last layer is not copied: `attention.output.dense` is our "
            "`attention.out_proj`.",
            _forgetting("out_proj.weight", "out_proj.bias"),
        ),
        Mistake(
            "encoder_not_returned",
            "The weights are loaded, but the encoder is not returned: `return encoder`.",
            _not_returned,
        ),
        Mistake(
            "load_result_returned",
            "You return what `load_state_dict` returns, which is only a report about names. "
            "Load on one line, and `return encoder` on the next.",
            _load_result,
        ),
    ],
    hints=[
        "Print `encoder.state_dict().keys()` and `state.keys()` next to one another. Build a dict "
        "`new` with our names, and end with `encoder.load_state_dict(new)`.",
        "Most weights only change their name. Query, key and value become one: `torch.cat` of "
        "their three weights has shape `(3 * d_model, d_model)`.",
        "For block `i` the names begin with `encoder.layer.{i}.` there and with `blocks.{i}.` "
        "here: `attention.output.dense` → `attention.out_proj`, `attention.output.LayerNorm` → "
        "`norm1`, `intermediate.dense` → `feed_forward.linear1`, and so on.",
    ],
)
