"""What several exercises of lesson 15 share (lesson 16 takes `learned` from here)."""

from collections.abc import Callable
from typing import Any

import torch

from utils.checks.engine.compare import Seen, Tolerance
from utils.checks.engine.probes import with_slopes

MODULES = Tolerance(absolute=1e-4, relative=1e-4)  # two layers' rounding in 32 bits, with room

LOGARITHMS = Tolerance(absolute=1e-4, relative=1e-4)


def learned(answer: Callable, *inputs: Any) -> Seen | Any:
    """The answer's result, with the gradient to every input that asks for one.

    An answer that goes through NumPy has no gradient, and that is what is said of it: PyTorch's own
    complaint would advise the learner to `detach`.
    """
    asking = [i for i, x in enumerate(inputs) if isinstance(x, torch.Tensor) and x.requires_grad]
    if not asking:
        return answer(*inputs)

    def of_these(*tensors):
        given = dict(enumerate(inputs)) | dict(zip(asking, tensors, strict=True))
        return answer(*given.values())

    names = [f"input {i + 1}" for i in asking]
    try:
        return with_slopes(of_these, *(inputs[i] for i in asking), names=names)
    except RuntimeError as error:
        if "Can't call numpy()" not in str(error):
            raise
    found = of_these(*(inputs[i].detach().clone() for i in asking))
    if not isinstance(found, torch.Tensor):
        return found
    return Seen({"result": found} | {f"gradient to {name}": None for name in names})


def learned_or_nan(answer: Callable, *inputs: Any) -> Seen | Any:
    """As `learned`; one nan in a gradient makes all of them nan, for training ends there."""
    found = learned(answer, *inputs)
    slopes = [key for key in found if "gradient" in key] if isinstance(found, Seen) else []
    if any(isinstance(found[key], torch.Tensor) and found[key].isnan().any() for key in slopes):
        return Seen(found | {key: found["result"].new_full((), torch.nan) for key in slopes})
    return found
