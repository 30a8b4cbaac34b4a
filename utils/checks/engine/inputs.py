"""What exercises make their inputs of: seeded numbers, masks of given lengths, known weights."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from utils.checks.engine.probes import fill

_OTHER = contextvars.ContextVar("other numbers", default=0)


@contextlib.contextmanager
def other_numbers() -> Iterator[None]:
    """Inside, every seed stands for other numbers: cases of the same shapes, but not the same."""
    token = _OTHER.set(7919)
    try:
        yield
    finally:
        _OTHER.reset(token)


def seeded(seed: int) -> int:
    """The seed to draw from: inside `other_numbers` another one."""
    return seed + _OTHER.get()


def normal(seed: int, *shape: int) -> torch.Tensor:
    """Random numbers of mean 0 and standard deviation 1, float32 of this shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seeded(seed)))


def normal_array(seed: int, *shape: int) -> np.ndarray:
    """As `normal`, for lessons in NumPy: float64."""
    return np.random.default_rng(seeded(seed)).normal(size=shape)


def tenths(seed: int, *shape: int) -> torch.Tensor:
    """As `normal`, with one digit after the point, for cases that are written out."""
    return (10 * normal(seed, *shape)).round() / 10


def counted(*shape: int) -> torch.Tensor:
    """0.0, 1.0, 2.0, ... in this shape: each number says where it came from."""
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


def real_tokens(T: int, *lengths: int) -> torch.Tensor:
    """A mask (B, T): True for the first so many tokens of each row."""
    return torch.arange(T) < torch.tensor(lengths)[:, None]


def made(
    cls: Callable, build: Mapping[str, Any], like: Callable, gentle: bool = False
) -> nn.Module:
    """An object of the learner's class with known weights.

    Args:
        cls: the learner's class.
        build: the arguments that it is made with.
        like: the oracle's class: what `cls` makes must have its parameters.
        gentle: keep norms and biases near their usual values, where they would drown the rest.

    Raises:
        TypeError: `cls` is not a class but an object.
        ValueError: the parameters have other names or shapes.
    """
    if isinstance(cls, nn.Module):
        name = type(cls).__name__
        raise TypeError(f"pass the class `{name}` itself, not an object that it made")
    module = fill(cls(**build), like(**build), scale=0.8 if gentle else 0.5)
    with torch.no_grad():
        for name, parameter in module.named_parameters() if gentle else ():
            if parameter.ndim == 1:
                usual = float("norm" in name and name.endswith("weight"))
                parameter.copy_(usual + 0.4 * (parameter - usual))
    return module


def call_text(name: str, build: Mapping[str, Any]) -> str:
    """How an object is made, as Python: `LayerNorm(d_model=4)`."""
    return f"{name}({', '.join(f'{key}={value}' for key, value in build.items())})"
