"""What exercises of lesson 04 share, and those of lesson 05 that are modules too."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.engine.compare import Raised, Seen, Tolerance, difference
from utils.checks.engine.exercise import Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.engine.probes import in_training, same

NOTHING_KEPT = "what a new object returns"
MODULES = Tolerance(absolute=1e-5, relative=1e-4)  # a layer's rounding in 32 bits, with room


def blank(hidden, mask):
    """Zeros where there is padding: which number stands there does not matter, only that one does.

    A nan stays: in the next block it would reach the real words, since 0 times nan is nan.
    """
    if mask is None or not isinstance(hidden, torch.Tensor) or hidden.shape[:2] != mask.shape:
        return hidden
    return hidden.masked_fill(~mask[..., None] & ~hidden.isnan(), 0)


def turned(*lengths: int) -> tuple[int, ...]:
    """These lengths; inside `other_numbers` the last comes first, so that a kept mask shows."""
    return lengths if seeded(0) == 0 else (lengths[-1], *lengths[:-1])


def watched(
    module: nn.Module,
    *inputs: Any,
    keep: Callable = lambda out, *inputs: out,
    again: Mapping[str, Sequence] | None = None,
    slopes_of_inputs: bool = True,
) -> Seen | Any:
    """What `in_training` sees, and more: what a call does besides, evaluation mode, later calls.

    Args:
        module: put into training mode.
        *inputs: for its `forward`.
        keep: as in `in_training`.
        again: what is other about further inputs, and they: first for an object that has not been
            called yet, so that a plain mistake is not taken for something kept, then for this one.
        slopes_of_inputs: as in `in_training`.

    Returns:
        `Seen`; of a module that draws random numbers, changes its weights or leaves training mode
        only what tells that, so that each of these has one name.
    """
    unused = copy.copy(module)  # what a call keeps in `self` does not reach this one
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    found = in_training(module, *inputs, keep=keep, slopes_of_inputs=slopes_of_inputs)
    if not isinstance(found, Seen):
        return found
    result, away = found.pop("result"), found.pop("modules no longer in training mode")
    besides = "nothing"
    if any(not same(weight, before[name]) for name, weight in module.named_parameters()):
        besides = "it changes weights"
    elif away:
        besides = "it puts the module, or a part of it, into evaluation mode"
    elif _draws(module, inputs):
        result, besides = "another one at each call", "it draws random numbers"
    if besides != "nothing":
        only = Seen({"result": result, "what the call does besides": besides})
        if away:  # later calls are right: nothing may look as if it were kept
            only |= {key: value for key, value in found.items() if key.startswith("called again")}
            only |= {f"called again, {said}": NOTHING_KEPT for said in again or {}}
        return only
    found = Seen({"result": result, "what the call does besides": besides} | found)
    found["in evaluation mode"] = _later(module.eval(), inputs, keep)
    module.train()
    for said, others in (again or {}).items():
        found[said] = _later(copy.copy(unused).train(), others, keep)
        kept = difference(_later(module, others, keep), found[said], MODULES)
        found[f"called again, {said}"] = "something else" if kept else NOTHING_KEPT
    return found


def _draws(module: nn.Module, inputs: Sequence) -> bool:
    """True if the result depends on the random seed, and on nothing else that changes."""
    results = []
    for seed in 1, 1, 2:
        torch.manual_seed(seed)
        results.append(_later(module, inputs))
    if not all(isinstance(result, torch.Tensor) for result in results):
        return False
    return same(results[0], results[1]) and not same(results[0], results[2])


def _later(module: nn.Module, inputs: Sequence, keep: Callable = lambda out, *inputs: out) -> Any:
    given = [x.clone() if isinstance(x, torch.Tensor) else x for x in inputs]
    try:
        out = module(*given)
    except Exception as error:
        # of one type, so that a mistake has one name, whatever it stops with
        return Raised(RuntimeError(f"{type(error).__name__}: {error}"))
    return keep(out.detach(), *inputs) if isinstance(out, torch.Tensor) else out


def habits(oracle: type, *methods: str) -> list[Mistake]:
    """Mistakes that can be made in every module: what a call does beside its sum.

    Args:
        oracle: the exercise's class.
        *methods: those that the learner writes (default: `forward`).
    """

    def mutant(change):
        def made(method):
            return lambda self, *args, **kwargs: change(
                self, getattr(oracle, method)(self, *args, **kwargs)
            )

        return type("Mutant", (oracle,), {name: made(name) for name in methods or ("forward",)})

    def scaled(self, out):
        for weight in self.parameters():
            weight.data.mul_(0.9)
        return out

    return [
        Mistake(
            "random",
            "Two calls with the same inputs give different results. Is there a dropout of your "
            "own? Here nothing is random: leave it out.",
            mutant(lambda self, out: F.dropout(out, 0.5)),
        ),
        Mistake(
            "leaves_training_mode",
            "The numbers are right, but afterwards the module, or a part of it, is in evaluation "
            "mode. Leave out `.eval()`: whoever trains or uses the module chooses the mode.",
            mutant(lambda self, out: (self.eval(), out)[1]),
        ),
        Mistake(
            "changes_weights",
            "The numbers are right, but the call changes the weights, so the next one finds "
            "others. Work with new tensors: only training changes a parameter.",
            mutant(scaled),
        ),
        Mistake(
            "another_dtype",
            "The numbers are right, but in float64. What comes next has float32 weights and would "
            "stop with an error: give back the dtype that came in.",
            mutant(lambda self, out: out.double()),
        ),
    ]
