"""Exercise 11.5, `merge_lora`: its oracle, and what the bank's mistakes are made of."""

import torch
from torch import nn

from utils.checks.lesson11.common import peft_layer


def fit(weight, A, B):
    """True if B times A has the shape of the weight."""
    return A.shape[0] == B.shape[1] and (B.shape[0], A.shape[1]) == tuple(weight.shape)


def refuse(weight, A, B):
    """Refuse what does not fit."""
    if not fit(weight, A, B):
        raise ValueError(f"B {tuple(B.shape)} times A {tuple(A.shape)} is no {tuple(weight.shape)}")


def wide(weight):
    """float32, or the weight's dtype if that is wider."""
    return torch.promote_types(weight.dtype, torch.float32)


def merge_lora(weight, A, B, scale):
    """`peft` merges, in float32 at least; the result is rounded once."""
    refuse(weight, A, B)
    kind = wide(weight)
    with torch.no_grad():
        linear = nn.Linear(*weight.shape[::-1], bias=False, device="meta")
        linear.weight = nn.Parameter(weight.to(kind, copy=True), requires_grad=False)
        theirs = peft_layer(linear, *(x.detach().to(kind, copy=True) for x in (A, B)), scale)
        theirs.merge(safe_merge=True)
        return linear.weight.detach().to(weight.dtype)


def merged(
    product=lambda A, B: B @ A,
    add=lambda weight, change, scale: weight + scale * change,
    wide=wide,
    finish=lambda merged, weight: merged.to(weight.dtype),
    refuse=refuse,
):
    """Merging with one step replaced."""

    def mutant(weight, A, B, scale):
        refuse(weight, A, B)
        with torch.no_grad():
            kind = wide(weight)
            change = product(A.to(kind), B.to(kind))
            return finish(add(weight.to(kind), change, scale), weight)

    return mutant


def added(add):
    """Merging with another way to add."""
    return merged(add=add)


def with_gradient(weight, A, B, scale):
    """The result wants a gradient."""
    refuse(weight, A, B)
    kind = wide(weight)
    return (weight.to(kind) + scale * (B.to(kind) @ A.to(kind))).to(weight.dtype)


def rounded_twice(weight, A, B, scale):
    """The change is rounded, and then the sum."""
    refuse(weight, A, B)
    kind = wide(weight)
    with torch.no_grad():
        return weight + (scale * (B.to(kind) @ A.to(kind))).to(weight.dtype)


def as_they_are(finish):
    """Nothing is widened, so PyTorch chooses the precision."""

    def mutant(weight, A, B, scale):
        refuse(weight, A, B)
        with torch.no_grad():
            return finish(weight + scale * (B @ A), weight)

    return mutant


def only_the_inner_side(weight, A, B):
    """As PyTorch does: what can be stretched to fit, is."""
    if A.shape[0] != B.shape[1]:
        raise ValueError("A and B have another rank")


def when_pytorch_complains(weight, A, B):
    """Refuse what PyTorch refuses."""
    try:
        weight + torch.empty_like(B) @ torch.empty_like(A)
    except RuntimeError as error:
        raise ValueError("the shapes do not fit") from error


def kept_where_nothing_changes(weight, A, B, scale):
    """With a scale of 0, the weight itself."""
    return weight.detach() if scale == 0 else merge_lora(weight, A, B, scale)
