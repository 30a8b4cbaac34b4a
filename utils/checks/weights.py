"""Weights for checks of modules: the learner's and the library's get the same numbers."""

import zlib

import torch
from torch import nn


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
