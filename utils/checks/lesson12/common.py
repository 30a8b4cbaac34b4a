"""What several exercises of lesson 12 share: tolerances, refusals, and preferences as a loss."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Tolerance

SUMS = Tolerance(absolute=1e-5, relative=1e-4)  # sums in 32 bits, with room


def preferred(margin: torch.Tensor) -> torch.Tensor:
    """The mean of -ln sigmoid(margin), as PyTorch has it: () from (N,)."""
    return F.binary_cross_entropy_with_logits(margin, torch.ones_like(margin))


def with_sentence(answer: Callable, *inputs: object) -> object:
    """An answer's result; a refusal without a sentence is none.

    Raises:
        TypeError: the answer raised a ValueError that says nothing.
    """
    try:
        return answer(*inputs)
    except ValueError as error:
        if len(str(error).split()) < 2:
            raise TypeError("your ValueError has no sentence that says what is wrong") from error
        raise
