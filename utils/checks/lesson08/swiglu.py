"""Exercise 8.2, `SwiGLU`: its oracle, inputs, mistakes and hints."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.engine.compare import show
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import call_text, made, normal
from utils.checks.lesson04.common import MODULES, habits
from utils.checks.lesson08.common import seen


class _SwiGLU(nn.Module):
    """The stand-in: the learner's layers, Hugging Face's forward."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.gate = nn.Linear(d_model, d_ff, bias=False)
        self.up = nn.Linear(d_model, d_ff, bias=False)
        self.down = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x):
        from transformers.activations import ACT2FN
        from transformers.models.llama.modeling_llama import LlamaMLP

        theirs = SimpleNamespace(
            gate_proj=self.gate, up_proj=self.up, down_proj=self.down, act_fn=ACT2FN["silu"]
        )
        return LlamaMLP.forward(theirs, x)


def _mlp(forward):
    """A feed-forward layer that does something else."""
    return type("Mutant", (_SwiGLU,), {"forward": forward})


def _gated_by(activation):
    return _mlp(lambda self, x: self.down(activation(self.gate(x)) * self.up(x)))


def _fed_forward(cls, build, x, forward_only=False):
    module = made(cls, build, _SwiGLU)
    larger, again = (normal(9, 100, build["d_model"]),), {"with fewer vectors": (2 * x[:1],)}
    return seen(module, x, larger=larger, forward_only=forward_only, again=again)


def _swiglu_case(d_model, d_ff, x, forward_only=False):
    build = {"d_model": d_model, "d_ff": d_ff}
    given = f"x={show(x)}" if x.numel() <= 12 else f"x of shape {tuple(x.shape)}"
    label = f"{call_text('SwiGLU', build)} with weights of the check's own, of {given}"
    return Case(build, x, forward_only, label=label)


SwiGLU = Exercise(
    number="8.2",
    name="SwiGLU",
    oracle=_SwiGLU,
    compared_with="Hugging Face's `LlamaMLP` with your weights",
    probe=_fed_forward,
    tolerance=MODULES,
    cases=lambda: [
        _swiglu_case(4, 7, normal(1, 2, 3, 4)),
        _swiglu_case(3, 3, normal(2, 2, 4, 3)),
        _swiglu_case(5, 20, 0.8 * normal(3, 1, 6, 5)),
        _swiglu_case(2, 5, torch.tensor([[[1.0, -2.0]]])),
        _swiglu_case(2, 4, torch.tensor([[0.0, 0.0], [0.5, -1.5]])),
        _swiglu_case(1, 1, torch.tensor([[-3.0], [2.0]])),
        # the exponential of these is too large for float32
        _swiglu_case(2, 6, torch.tensor([[400.0, -100.0], [-300.0, 500.0]]), forward_only=True),
    ],
    mistakes=[
        *habits(_SwiGLU),
        Mistake(
            "gate_and_up_swapped",
            "SiLU bends the wrong one of the two: it is `gate` that goes through SiLU, and `up` "
            "that is multiplied as it is.",
            _mlp(lambda self, x: self.down(self.gate(x) * F.silu(self.up(x)))),
        ),
        Mistake(
            "sigmoid_gate",
            "That is GLU, whose gate is a plain sigmoid. SwiGLU's is SiLU, `x * sigmoid(x)`: "
            "`F.silu`.",
            _gated_by(torch.sigmoid),
        ),
        Mistake(
            "gelu_gate",
            "That is GEGLU, whose gate is GELU (Gemma has it). Llama's gate is SiLU: `F.silu`.",
            _gated_by(F.gelu),
        ),
        Mistake(
            "tanh_gelu_gate",
            "That is GEGLU with the approximation of GELU by `tanh`. Llama's gate is SiLU: "
            "`F.silu`.",
            _gated_by(lambda x: F.gelu(x, approximate="tanh")),
        ),
        Mistake(
            "relu_gate",
            "That is ReGLU, whose gate is ReLU. Llama's gate is SiLU: `F.silu`.",
            _gated_by(F.relu),
        ),
        Mistake(
            "tanh_gate",
            "The gate goes through `tanh`. Llama's gate is SiLU: `F.silu`.",
            _gated_by(torch.tanh),
        ),
        Mistake(
            "softmax_gate",
            "The gate goes through a softmax, so its components compete with one another. SiLU "
            "bends each number on its own: `F.silu`.",
            _gated_by(lambda x: x.softmax(-1)),
        ),
        Mistake(
            "sigmoid_of_minus_x",
            "The sign in the exponential is the wrong way round: SiLU is `x / (1 + exp(-x))`, or "
            "simply `F.silu(x)`.",
            _gated_by(lambda x: x * torch.sigmoid(-x)),
        ),
        Mistake(
            "quick_gelu_gate",
            "`x * sigmoid(1.702 * x)` is an approximation of GELU. SiLU has no factor: "
            "`x * sigmoid(x)`, `F.silu`.",
            _gated_by(lambda x: x * torch.sigmoid(1.702 * x)),
        ),
        Mistake(
            "no_activation",
            "There is no activation: the gate is multiplied as it is. Bend it with `F.silu` first.",
            _gated_by(lambda x: x),
        ),
        Mistake(
            "exponential_overflows",
            "Right until the numbers grow: `exp` of 100 is more than float32 can hold, and "
            "infinity divided by infinity is `nan`. Take `F.silu`, or `x * torch.sigmoid(x)`.",
            _gated_by(lambda x: x * x.exp() / (1 + x.exp())),
        ),
        Mistake(
            "silu_on_both",
            "SiLU is applied to `gate` *and* to `up`. Only `gate` goes through it.",
            _mlp(lambda self, x: self.down(F.silu(self.gate(x)) * F.silu(self.up(x)))),
        ),
        Mistake(
            "silu_of_the_product",
            "You multiply first and bend the product. SiLU bends `gate` alone; then comes the "
            "product with `up`.",
            _mlp(lambda self, x: self.down(F.silu(self.gate(x) * self.up(x)))),
        ),
        Mistake(
            "silu_twice",
            "The gate goes through SiLU twice. Once is meant.",
            _gated_by(lambda x: F.silu(F.silu(x))),
        ),
        Mistake(
            "sum_for_product",
            "You add the two. The gate lets through a part of `up`: multiply, component by "
            "component.",
            _mlp(lambda self, x: self.down(F.silu(self.gate(x)) + self.up(x))),
        ),
        Mistake(
            "up_left_out",
            "`up` is left out, so this is an ordinary feed-forward layer. Multiply by `self.up(x)` "
            "before `down`.",
            _mlp(lambda self, x: self.down(F.silu(self.gate(x)))),
        ),
        Mistake(
            "gate_left_out",
            "`gate` is left out, so this is an ordinary feed-forward layer: `up` bends itself. "
            "Multiply `F.silu(self.gate(x))` by `self.up(x)`.",
            _mlp(lambda self, x: self.down(F.silu(self.up(x)))),
        ),
        Mistake(
            "gate_for_up",
            "Both factors come from `gate`. The second one is `self.up(x)`.",
            _mlp(lambda self, x: self.down(F.silu(self.gate(x)) * self.gate(x))),
        ),
        Mistake(
            "up_for_gate",
            "Both factors come from `up`. The one that goes through SiLU is `self.gate(x)`.",
            _mlp(lambda self, x: self.down(F.silu(self.up(x)) * self.up(x))),
        ),
        Mistake(
            "down_before_the_product",
            "Each of the two goes through `down` on its own. Multiply them while they are `d_ff` "
            "wide, then go `down` once.",
            _mlp(lambda self, x: self.down(F.silu(self.gate(x))) * self.down(self.up(x))),
        ),
        Mistake(
            "down_left_out",
            "`down` is left out: it takes the `d_ff` numbers back to `d_model`.",
            _mlp(lambda self, x: F.silu(self.gate(x)) * self.up(x)),
        ),
        Mistake(
            "silu_after_down",
            "After `down` comes another SiLU, so nothing far below 0 can be passed on. What `down` "
            "returns is the end.",
            _mlp(lambda self, x: F.silu(self.down(F.silu(self.gate(x)) * self.up(x)))),
        ),
        Mistake(
            "silu_only_at_the_end",
            "SiLU comes after `down`. It belongs on `gate`, before the product.",
            _mlp(lambda self, x: F.silu(self.down(self.gate(x) * self.up(x)))),
        ),
        Mistake(
            "silu_at_the_beginning",
            "SiLU is applied to `x` itself. It belongs on what `gate` makes of it.",
            _mlp(lambda self, x: self.down(self.gate(F.silu(x)) * self.up(x))),
        ),
        Mistake(
            "residual_added_already",
            "You add `x` already. The block does that, around this layer; here only the layers "
            "are wanted.",
            _mlp(lambda self, x: x + self.down(F.silu(self.gate(x)) * self.up(x))),
        ),
    ],
    hints=[
        "Two ways up, side by side, one way down. Where they meet, they are multiplied component "
        "by component.",
        "`self.gate(x)` and `self.up(x)` both have shape `(B, T, d_ff)`. Only the first goes "
        "through SiLU: `F.silu`.",
        "`F.silu(self.gate(x)) * self.up(x)`, and then back to `d_model` with `self.down`.",
    ],
)
