"""What several exercises of lesson 05 share."""

import torch
from torch import nn

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.probes import fill

FLOAT32 = Tolerance(absolute=1e-4, relative=1e-4)


@torch.no_grad()
def weigh(module: nn.Module, like: nn.Module) -> nn.Module:
    """Fill a module; norms and biases stay near their usual values, or they drown the rest."""
    for name, parameter in fill(module, like, scale=0.8).named_parameters():
        if parameter.ndim == 1:
            usual = float("norm" in name and name.endswith("weight"))
            parameter.copy_(usual + 0.4 * (parameter - usual))
    return module
