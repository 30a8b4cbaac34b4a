"""What several exercises of lesson 04 share."""

import torch

from utils.checks.engine.compare import Tolerance

MODULES = Tolerance(absolute=1e-5, relative=1e-4)  # a layer's rounding in 32 bits, with room


def blank(hidden, mask):
    """Zeros where there is padding: which number stands there does not matter, only that one does.

    A nan stays: in the next block it would reach the real words, since 0 times nan is nan.
    """
    if mask is None or not isinstance(hidden, torch.Tensor) or hidden.shape[:2] != mask.shape:
        return hidden
    return hidden.masked_fill(~mask[..., None] & ~hidden.isnan(), 0)
