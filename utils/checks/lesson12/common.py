"""What several exercises of lesson 12 share: tolerances, and preferences as a loss."""

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Tolerance

SUMS = Tolerance(absolute=1e-5, relative=1e-4)  # sums in 32 bits, with room


def preferred(margin: torch.Tensor) -> torch.Tensor:
    """The mean of -ln sigmoid(margin), as PyTorch has it: () from (N,)."""
    return F.binary_cross_entropy_with_logits(margin, torch.ones_like(margin))
