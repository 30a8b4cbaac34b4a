"""Ways to look at an answer written in PyTorch: its gradients too, and its weights made known."""

import zlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def with_slopes(answer: Callable, *tensors: torch.Tensor, **rest: Any) -> Any:
    """The answer's result and its gradients, so that a broken way back shows.

    Args:
        answer: a function of tensors that returns one.
        *tensors: float tensors, all of which get gradients.
        **rest: other arguments.

    Returns:
        [result, gradients of a sum over it]; the result alone if it is no tensor.
    """
    tensors = [x.clone().requires_grad_() for x in tensors]
    out = answer(*tensors, **rest)
    if not isinstance(out, torch.Tensor):
        return out
    if not out.requires_grad:
        return [out, "no gradient"]
    slopes = torch.autograd.grad(out.cos().sum(), tensors, allow_unused=True)
    return [out.detach(), list(slopes)]


def in_training(
    module: nn.Module, *inputs: Any, keep: Callable = lambda out: out
) -> dict[str, Any] | Any:
    """What a module returns while it is trained, and what its weights learn from that.

    Args:
        module: put into training mode.
        *inputs: for its `forward`.
        keep: applied to the result first (to blank what does not matter).

    Returns:
        {"result", "dtype", "gradients" by parameter}; the result alone if it is no tensor.
    """
    out = module.train()(*inputs)
    if not isinstance(out, torch.Tensor):
        return out
    out = keep(out)
    found = {"result": out.detach(), "dtype": str(out.dtype), "gradients": "none"}
    if out.requires_grad:
        out.double().cos().sum().backward()
        learned = {name: p.grad for name, p in module.named_parameters()}
        found["gradients"] = learned
    return found


@torch.no_grad()
def fill(module: nn.Module, like: nn.Module | None = None, scale: float = 0.5) -> nn.Module:
    """Give every parameter random numbers that depend on its name and shape only.

    Two modules with the same names get the same weights, in whatever order they were made; biases
    and norms are drawn as well, so that forgetting one shows.

    Args:
        module: changed in place, put into evaluation mode, and returned.
        like: a module that has the names and shapes that `module` should have.
        scale: standard deviation of the numbers (norm weights get 1 added).

    Raises:
        ValueError: `module` has not the parameters of `like`.
    """
    if like is not None:
        _same_parameters(module, like)
    for name, parameter in module.named_parameters():
        draw = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        parameter.copy_(torch.randn(parameter.shape, generator=draw) * scale)
        if parameter.ndim == 1 and name.endswith("weight"):
            parameter.add_(1.0)
    return module.eval()


def _same_parameters(module: nn.Module, like: nn.Module) -> None:
    wanted = {name: tuple(p.shape) for name, p in like.named_parameters()}
    found = {name: tuple(p.shape) for name, p in module.named_parameters()}
    if wanted == found:
        return
    said = [f"{name} is missing" for name in wanted if name not in found]
    said += [f"{name} is not expected" for name in found if name not in wanted]
    said += [
        f"{name} has shape {found[name]} instead of {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    raise ValueError(
        "the parameters are not those that __init__ makes in the notebook: "
        f"{'; '.join(said[:3])}. Leave __init__ as it was."
    )
