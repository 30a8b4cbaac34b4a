"""What several exercises of lesson 07 share: a small language model, and numbers for results."""

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from utils.checks.engine.compare import Seen, Tolerance, difference, is_tensor
from utils.checks.engine.inputs import seeded
from utils.checks.engine.probes import fill

TRAINED = Tolerance(absolute=1e-5, relative=1e-4)  # sums in 32 bits, with room
NUMBER = "a Python number"


def tokens(seed: int, vocab_size: int, *shape: int) -> torch.Tensor:
    """Random token numbers, int64 of this shape: others inside `other_numbers`."""
    return torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(seeded(seed)))


class LanguageModel(nn.Module):
    """Predicts the next token from the last one alone: (B, T) -> (B, T, vocab_size).

    It keeps, of each call, which of its modules were in training mode and whether PyTorch
    remembered the way back (`calls`).
    """

    def __init__(self, vocab_size: int, d_model: int, dropout: float = 0.0):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, d_model)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(d_model, vocab_size)
        self.calls: list[tuple[list[str], bool]] = []

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """The logits of the next token at every position."""
        logits = self.out(self.dropout(self.tokens(ids)))
        self.calls.append((in_training_mode(self), logits.requires_grad))
        return logits


def known_model(vocab_size: int, d_model: int, dropout: float = 0.0) -> LanguageModel:
    """A `LanguageModel` with the check's weights, in training mode."""
    return fill(LanguageModel(vocab_size, d_model, dropout)).train()


def in_training_mode(model: nn.Module) -> list[str]:
    """Which modules of a model are in training mode."""
    return [name or "the model itself" for name, part in model.named_modules() if part.training]


def seen_number(got: Any, wanted: float) -> Any:
    """A number, and whether it is one of Python's or, though right, in a tensor.

    Args:
        got: what an answer returned.
        wanted: the oracle's number.

    Returns:
        `Seen`; what is neither a number nor a tensor or array of one number comes back unchanged.
    """
    if isinstance(got, bool | np.bool_):
        return got
    if isinstance(got, numbers.Number):
        return Seen({"result": got, "type of the result": NUMBER})
    if is_tensor(got) and got.ndim == 0 and got.dtype != torch.bool:
        value = got.item()
        kind = NUMBER if difference(value, wanted, TRAINED) else "a torch tensor of shape ()"
        return Seen({"result": value, "type of the result": kind})
    if isinstance(got, np.ndarray) and got.ndim == 0 and got.dtype.kind in "fi":
        return Seen({"result": got.item(), "type of the result": NUMBER})
    return got


def returning_a_number(oracle: Callable) -> Callable:
    """A probe for functions that return a Python number."""

    def probe(answer: Callable, *inputs: Any) -> Any:
        got = answer(*inputs)
        return seen_number(got, oracle(*inputs) if is_tensor(got) else 0.0)

    return probe
