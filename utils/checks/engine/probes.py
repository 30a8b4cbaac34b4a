"""Ways to look at an answer written in PyTorch: its gradients too, and its weights made known."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from utils.checks.engine.compare import ChangesInput, Seen

TRAINING_MODE = "modules no longer in training mode"
CHANGED_IN_PLACE = "none: a tensor that the way back needs was changed in place"


def with_slopes(
    answer: Callable, *tensors: torch.Tensor, names: Sequence[str] = (), **rest: Any
) -> Any:
    """The answer's result and its gradients, so that a broken way back shows.

    An answer that goes through NumPy has no gradient, and that is what is said of it: PyTorch's own
    complaint would advise the learner to `detach`.

    Args:
        answer: a function of tensors that returns one.
        *tensors: float tensors, all of which get gradients.
        names: how the task calls them, where they are not the answer's first arguments.
        **rest: other arguments.

    Returns:
        `Seen`: the result and the gradient to each tensor; the result alone if it is no tensor.

    Raises:
        ChangesInput: the answer changed a tensor that it was given.
    """
    names = names or [f"input {i}" for i in range(1, len(tensors) + 1)]
    leaves = [x.detach().clone().requires_grad_() for x in tensors]
    given = [leaf.clone() for leaf in leaves]  # no leaves: an in-place step is seen, not refused
    try:
        out = answer(*given, **rest)
    except RuntimeError as error:
        if "Can't call numpy()" not in str(error):
            raise
        out = answer(*(x.detach().clone() for x in tensors), **rest)
    else:
        _unharmed(given, leaves)
    if not isinstance(out, torch.Tensor):
        return out
    return Seen({"result": out.detach()} | _gradients(out, dict(zip(names, leaves, strict=True))))


def _unharmed(given: list[Any], before: list[Any]) -> None:
    for new, old in zip(given, before, strict=True):
        if not isinstance(old, torch.Tensor):
            continue
        if not same(new, old) or new.requires_grad != old.requires_grad:  # `detach_` is a change
            raise ChangesInput


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """True if two tensors have the same shape, dtype and numbers (nan equals nan)."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(((a == b) | (a.isnan() & b.isnan())).all())


def _gradients(out: torch.Tensor, sources: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The gradient of a sum over a result, to each of its sources; None where none arrives."""
    found = dict.fromkeys((f"gradient to {name}" for name in sources), None)
    if not out.requires_grad:
        return found
    asking = {key: x for key, x in zip(found, sources.values(), strict=True) if x.requires_grad}
    try:
        slopes = torch.autograd.grad(
            out.double().cos().sum(), [*asking.values()], allow_unused=True
        )
    except RuntimeError as error:
        if "inplace" not in str(error):
            raise
        return dict.fromkeys(found, CHANGED_IN_PLACE)
    return found | dict(zip(asking, slopes, strict=True))


def in_training(
    module: nn.Module,
    *inputs: Any,
    keep: Callable = lambda out, *inputs: out,
    slopes_of_inputs: bool = True,
) -> Seen | Any:
    """What a module returns while it is trained, what is learned from that, and a second call.

    Args:
        module: put into training mode.
        *inputs: for its `forward`.
        keep: called with each result and its inputs (to blank what does not matter).
        slopes_of_inputs: False where they drown in rounding.

    Returns:
        `Seen`: the result, its dtype, the gradients to float inputs and to parameters, which
        modules were taken out of training mode, and what comes out when the module is called
        again: with other inputs, then with the first ones. The result alone if it is no tensor.

    Raises:
        ChangesInput: the module changed what it was given.
    """
    module.train()
    leaves = [x.detach().clone().requires_grad_() if _is_float(x) else x for x in inputs]
    given = [x.clone() if isinstance(x, torch.Tensor) else x for x in leaves]
    out = module(*given)
    _unharmed(given, leaves)
    if not isinstance(out, torch.Tensor):
        return out
    kept = keep(out, *inputs)
    sources = {f"input {i}": x for i, x in enumerate(leaves, start=1) if _is_float(x)}
    found = Seen({"result": kept.detach(), "dtype": str(out.dtype)})
    sources = sources if slopes_of_inputs else {}
    found |= _gradients(kept, sources | dict(module.named_parameters()))
    found[TRAINING_MODE] = [
        name or "the module itself" for name, part in module.named_modules() if not part.training
    ]
    with torch.no_grad():
        for said, again in ("other", [_varied(x) for x in inputs]), ("the first", inputs):
            later = module(*(x.clone() if isinstance(x, torch.Tensor) else x for x in again))
            found[f"called again, with {said} inputs"] = (
                keep(later, *again) if isinstance(later, torch.Tensor) else later
            )
    return found


def _is_float(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.is_floating_point()


def _varied(x: Any) -> Any:
    """Another input of the same kind: the rows in reverse order, float numbers changed besides."""
    if not isinstance(x, torch.Tensor) or x.ndim == 0:
        return x
    return -0.5 * x.flip(0) if x.is_floating_point() else x.flip(0)


def learned(answer: Callable, *inputs: Any) -> Seen | Any:
    """As `with_slopes`, with the gradient to every input that asks for one."""
    asking = [i for i, x in enumerate(inputs) if isinstance(x, torch.Tensor) and x.requires_grad]
    if not asking:
        return answer(*inputs)

    def of_these(*tensors):
        given = dict(enumerate(inputs)) | dict(zip(asking, tensors, strict=True))
        return answer(*given.values())

    names = [f"input {i + 1}" for i in asking]
    return with_slopes(of_these, *(inputs[i] for i in asking), names=names)


def learned_or_nan(answer: Callable, *inputs: Any) -> Seen | Any:
    """As `learned`; one nan in a gradient makes all of them nan, for training ends there."""
    found = learned(answer, *inputs)
    slopes = [key for key in found if "gradient" in key] if isinstance(found, Seen) else []
    if any(isinstance(found[key], torch.Tensor) and found[key].isnan().any() for key in slopes):
        return Seen(found | {key: found["result"].new_full((), torch.nan) for key in slopes})
    return found


def of_its_own_accord(block: nn.Module, *inputs: torch.Tensor) -> str:
    """What a module does besides its work, in training: a sentence, or nothing."""
    before = [p.detach().clone() for p in block.parameters()]
    block.train()
    results = []
    with torch.no_grad():
        for reseeded in True, False, True:
            if reseeded:
                torch.manual_seed(0)
            results.append(block(*(x.clone() for x in inputs)))
    if not all(map(same, before, (p.detach() for p in block.parameters()))):
        return "a module whose weights have changed"
    if not all(module.training for module in block.modules()):
        return "a module that has left training mode"
    if not all(isinstance(result, torch.Tensor) for result in results):
        return ""
    random = same(results[0], results[2]) and not same(results[0], results[1])
    return "another result each time, with the same inputs" if random else ""


def with_sentence(answer: Callable, *inputs: Any, **rest: Any) -> Any:
    """An answer's result; a refusal without a sentence is none.

    Raises:
        TypeError: the answer raised a ValueError that says nothing.
    """
    try:
        return answer(*inputs, **rest)
    except ValueError as error:
        if len(str(error).split()) < 2:
            raise TypeError("your ValueError has no sentence that says what is wrong") from error
        raise


@torch.no_grad()
def fill(module: nn.Module, like: nn.Module | None = None, scale: float = 0.5) -> nn.Module:
    """Give every parameter random numbers that depend on its name and shape only.

    Two modules with the same names get the same weights, in whatever order they were made; biases
    and norms are drawn as well, so that forgetting one shows.

    Args:
        module: changed in place, put into evaluation mode, and returned.
        like: a module that has the names and shapes that `module` should have.
        scale: standard deviation of the numbers (norm weights get 1 added).

    Raises:
        ValueError: `module` has not the parameters of `like`.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"what the class makes is a {type(module).__name__}, not an `nn.Module`: leave the "
            "line `class …(nn.Module):` and `__init__` as they were"
        )
    if like is not None:
        _same_parameters(module, like)
    for name, parameter in module.named_parameters():
        draw = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        parameter.copy_(torch.randn(parameter.shape, generator=draw) * scale)
        if parameter.ndim == 1 and name.endswith("weight"):
            parameter.add_(1.0)
    return module.eval()


def _same_parameters(module: nn.Module, like: nn.Module) -> None:
    wanted = {name: tuple(p.shape) for name, p in like.named_parameters()}
    found = {name: tuple(p.shape) for name, p in module.named_parameters()}
    if wanted == found:
        return
    said = [f"{name} is missing" for name in wanted if name not in found]
    said += [f"{name} is not expected" for name in found if name not in wanted]
    said += [
        f"{name} has shape {found[name]} instead of {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    raise ValueError(
        "the parameters are not those that __init__ makes in the notebook: "
        f"{'; '.join(said[:3])}. Leave __init__ as it was."
    )
