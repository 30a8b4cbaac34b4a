"""What several exercises of lesson 14 share: a tiny Llama, and what is left on it afterwards."""

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from utils.checks.engine.compare import Seen, Tolerance
from utils.checks.engine.inputs import seeded
from utils.checks.engine.probes import same
from utils.checks.lesson08.common import hugging_face

LAYERS, HEADS, D_HEAD, D_MODEL, VOCAB = 3, 4, 4, 16, 16
CLOSE = Tolerance(absolute=2e-5, relative=1e-4)
HOOKS = "hooks left on the model"
HOOKS_AFTER_AN_ERROR = "hooks left on the model after an error"
TABLES = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"


def tiny() -> nn.Module:
    """A random Llama of three layers, made anew."""
    return copy.deepcopy(_made_once())


@functools.cache
def _made_once() -> nn.Module:
    model = copy.deepcopy(hugging_face(LAYERS))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.mul_(0.5)
        # Hugging Face hangs hooks of its own on a model that is first asked for these
        model(torch.zeros(1, 1).long(), output_hidden_states=True, output_attentions=True)
    return model


def drawn(seed: int, B: int, T: int) -> torch.Tensor:
    """Token ids (B, T): others among `other_numbers`."""
    lots = torch.Generator().manual_seed(seeded(seed))
    return torch.randint(VOCAB, (B, T), generator=lots)


def hooks(model: nn.Module, before: nn.Module) -> int:
    """How many hooks hang on a model and its parts that did not before."""

    def count(whole: nn.Module) -> int:
        return sum(len(getattr(part, table)) for part in whole.modules() for table in TABLES)

    return count(model) - count(before)


def untouched(model: nn.Module, before: nn.Module) -> str:
    """What a call did to the model besides its work, in a sentence."""
    if any(
        a.training != b.training for a, b in zip(model.modules(), before.modules(), strict=True)
    ):
        return "its mode has changed"
    theirs = before.state_dict()
    now = model.state_dict()
    if set(now) != set(theirs) or not all(same(now[k], theirs[k]) for k in now):
        return "its weights have changed"
    for part in model.modules():
        forward = vars(part).get("forward")
        if forward and getattr(forward, "__func__", None) is not type(part).forward:
            return "its forward has been replaced"
    return "as it was"


def fails_inside(model: nn.Module) -> nn.Module:
    """The model, whose last feed-forward net stops with an error."""

    class Fails(nn.Module):
        def forward(self, x):
            raise ZeroDivisionError("a test of what happens after an error")

    model.model.layers[-1].mlp = Fails()
    return model


def within(manager: Callable, model: nn.Module, run: Callable, *rest: Any) -> Any:
    """What a run gives inside a context manager, and what is left when it has ended.

    Args:
        manager: the answer; called with the model and `rest`.
        model: a fresh one.
        run: of the model, inside.
        *rest: the manager's other arguments.

    Returns:
        `Seen`: the result inside, the result afterwards, hooks left, also after an error inside.
    """
    before = copy.deepcopy(model)
    opened = manager(model, *rest)
    if opened is None:
        return None
    with opened:
        inside = run(model)
        once_more = run(model)
    found = Seen({"result": inside, "a second run inside": once_more})
    found["the model without it, afterwards"] = run(model)
    found |= {HOOKS: hooks(model, before), "the model": untouched(model, before)}
    broken = copy.deepcopy(before)
    try:
        with manager(broken, *rest):
            raise ZeroDivisionError("a test of what happens after an error")
    except ZeroDivisionError:
        found["an error inside"] = "goes through"
    else:
        found["an error inside"] = "is swallowed"
    found[HOOKS_AFTER_AN_ERROR] = hooks(broken, before)
    found["the model after an error"] = untouched(broken, before)
    return found


@contextlib.contextmanager
def ending(
    handles: list[Any], remove: bool = True, whatever_happens: bool = True, swallow: bool = False
) -> Iterator[None]:
    """How a mutant's `with` ends: are its hooks taken away, and what becomes of an error?"""
    failed = False
    try:
        yield
    except ZeroDivisionError:
        failed = True
        if not swallow:
            raise
    finally:
        if remove and (whatever_happens or not failed):
            for handle in handles:
                handle.remove()


def logits(ids: torch.Tensor) -> Callable[[nn.Module], torch.Tensor]:
    """A run that gives the logits of some ids."""

    @torch.no_grad()
    def run(model: nn.Module) -> torch.Tensor:
        return model(ids, use_cache=False).logits

    return run


def there(what: str, index: int, count: int) -> None:
    """Refuse a layer, head or position that is not there.

    Raises:
        ValueError: `index` does not lie in 0 … count - 1.
    """
    if not 0 <= index < count:
        raise ValueError(f"there is no {what} {index}: they are numbered 0 to {count - 1}")
