"""Exercise 11.3, `LoRALinear`: what the bank's mistakes are made of."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn


def refuse(linear, r):
    """Refuse what the task says."""
    if not isinstance(linear, nn.Linear):
        raise ValueError(f"LoRA here is for nn.Linear, and this is a {type(linear).__name__}")
    if not 1 <= r <= min(linear.weight.shape):
        raise ValueError(f"rank {r}: it must be from 1 to {min(linear.weight.shape)}")


def fits(linear, r):
    """True if nothing has to be refused."""
    return isinstance(linear, nn.Linear) and 1 <= r <= min(linear.weight.shape)


def random_A(linear, r):
    """(r, in_features), as `peft` draws it."""
    A = linear.weight.new_empty(r, linear.weight.shape[-1])
    nn.init.kaiming_uniform_(A, a=math.sqrt(5))
    return A


def zero_A(linear, r):
    """(r, in_features)."""
    return linear.weight.new_zeros(r, linear.weight.shape[-1])


def zero_B(linear, r):
    """(out_features, r)."""
    return linear.weight.new_zeros(linear.weight.shape[0], r)


def random_B(linear, r):
    """(out_features, r), not zeros."""
    return torch.randn_like(zero_B(linear, r))


def frozen(linear):
    """The layer itself, of which nothing wants a gradient."""
    return linear.requires_grad_(False)


def weight_frozen(linear):
    """Only the weight is frozen."""
    linear.weight.requires_grad_(False)
    return linear


def copied(linear):
    """A copy of the layer."""
    return copy.deepcopy(linear).requires_grad_(False)


def another(linear):
    """A new layer with weights of its own."""
    return nn.Linear(linear.weight.shape[1], linear.weight.shape[0]).to(linear.weight)


def emptied(linear):
    """The layer, whose own weight has been overwritten."""
    nn.init.zeros_(linear.weight)
    return linear.requires_grad_(False)


def on_the_cpu(matrix):
    """A parameter on the processor, wherever the layer is."""
    on_the_cpu = matrix.device.type == "cpu"
    return nn.Parameter(matrix if on_the_cpu else torch.zeros(matrix.shape))


def change(self, x):
    """What A and then B make of x."""
    return x @ self.A.T @ self.B.T


def forward(self, x):
    """As the task has it."""
    return self.linear(x) + self.scale * change(self, x)


def lora(
    forward=forward,
    A=random_A,
    B=zero_B,
    keep=nn.Parameter,
    freeze=frozen,
    scale=lambda alpha, r: alpha / r,
    refuse=refuse,
):
    """A LoRALinear with one step replaced."""

    class Mutant(nn.Module):
        def __init__(self, linear, r, alpha):
            super().__init__()
            refuse(linear, r)
            self.linear = freeze(linear)
            self.scale = scale(alpha, r)
            self.A, self.B = keep(A(linear, r)), keep(B(linear, r))

        def forward(self, x):
            return forward(self, x)

    return Mutant


def base_without_gradient(self, x):
    """The layer is computed under `no_grad`, so x gets no gradient through it."""
    with torch.no_grad():
        out = self.linear(x)
    return out + self.scale * change(self, x)


def bias_again(self, x):
    """The bias is added once more."""
    return forward(self, x) + (0 if self.linear.bias is None else self.linear.bias)


def bias_lost(self, x):
    """The bias is left out."""
    return F.linear(x, self.linear.weight) + self.scale * change(self, x)


def relu_between(self, x):
    """ReLU between A and B."""
    return self.linear(x) + self.scale * (F.relu(x @ self.A.T) @ self.B.T)


def only_below(linear, r):
    """Refuse a rank below 1 only."""
    if r < 1:
        raise ValueError(f"rank {r} is below 1")
    refuse(linear, min(r, *linear.weight.shape) if isinstance(linear, nn.Linear) else r)


def only_above(linear, r):
    """Refuse a rank above the smaller side only."""
    refuse(linear, max(r, 1))


def larger_side(linear, r):
    """Refuse a rank above the larger side only."""
    refuse(linear, 1)
    if not 1 <= r <= max(linear.weight.shape):
        raise ValueError(f"rank {r} is too large")


def in_features_only(linear, r):
    """Look at one side only."""
    refuse(linear, 1)
    if not 1 <= r <= linear.in_features:
        raise ValueError(f"rank {r} is too large")


def out_features_only(linear, r):
    """Look at the other side only."""
    refuse(linear, 1)
    if not 1 <= r <= linear.out_features:
        raise ValueError(f"rank {r} is too large")


def full_rank_too(linear, r):
    """Refuse a rank of the smaller side too."""
    refuse(linear, r)
    if r == min(linear.weight.shape):
        raise ValueError(f"rank {r} is too large")


def rank_only(linear, r):
    """Take any module that has a weight."""
    if not 1 <= r <= min(linear.weight.shape[0], linear.weight.shape[-1]):
        raise ValueError(f"rank {r} is too large")


def layer_only(linear, r):
    """Take any rank."""
    if not isinstance(linear, nn.Linear):
        raise ValueError("this is no nn.Linear")
