"""Exercise 4.2, `FeedForward`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.engine.compare import Tolerance, show
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import call_text, made, normal
from utils.checks.lesson04.common import habits, watched


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


def _fed_forward(cls, build, x):
    again = {"with fewer vectors": (2 * x[:1],)}
    return watched(made(cls, build, _FeedForward), x, again=again)


def _feed_forward_case(d_model, d_ff, x):
    build = {"d_model": d_model, "d_ff": d_ff}
    given = f"x={show(x)}" if x.numel() <= 12 else f"x of shape {tuple(x.shape)}"
    label = f"{call_text('FeedForward', build)} with weights of the check's own, of {given}"
    return Case(build, x, label=label)


FeedForward = Exercise(
    number="4.2",
    name="FeedForward",
    oracle=_FeedForward,
    compared_with="`nn.Sequential(linear1, nn.GELU(), linear2)`",
    probe=_fed_forward,
    tolerance=Tolerance(absolute=1e-5, relative=1e-5),  # the two GELUs differ by 5e-4 at most
    cases=lambda: [
        _feed_forward_case(4, 7, 2 * normal(1, 2, 3, 4)),
        _feed_forward_case(3, 3, 2 * normal(2, 2, 4, 3)),
        _feed_forward_case(5, 20, 3 * normal(3, 1, 6, 5)),
        _feed_forward_case(2, 5, torch.tensor([[[1.0, -2.0]]])),
        _feed_forward_case(2, 4, torch.tensor([[0.0, 0.0], [60.0, -40.0]])),
    ],
    mistakes=[
        *habits(_FeedForward),
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
            "half_left_out",
            "A factor ½ is missing: the probability in GELU is `0.5 * (1 + erf(...))`. Or take "
            "`F.gelu`.",
            _with(lambda x: 2 * F.gelu(x)),
        ),
        Mistake(
            "probability_without_x",
            "That is the probability alone. GELU is `x` *times* it: `F.gelu`.",
            _with(torch.special.ndtr),
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
