"""What several exercises of lesson 17 share."""

import torch

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.inputs import normal

MEANS = Tolerance(absolute=1e-5, relative=1e-4)

FLOAT32 = Tolerance(absolute=1e-4, relative=1e-4)


def tenths(seed: int, *shape: int) -> torch.Tensor:
    """Random numbers with one digit after the point, for cases that are written out."""
    return (10 * normal(seed, *shape)).round() / 10
