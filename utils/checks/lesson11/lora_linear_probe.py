"""Exercise 11.3, `LoRALinear`: its oracle, and how an answer is looked at."""

import math

import torch
from torch import nn

from utils.checks.engine.compare import Seen, difference, show
from utils.checks.engine.exercise import Case
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import same
from utils.checks.lesson04.common import MODULES
from utils.checks.lesson08.common import seen
from utils.checks.lesson11.common import peft_layer, refused
from utils.checks.lesson11.lora_linear_mutants import refuse


class LoRA(nn.Module):
    """The stand-in: the learner's parameters, `peft`'s forward."""

    def __init__(self, linear, r, alpha):
        super().__init__()
        refuse(linear, r)
        self.linear = linear.requires_grad_(False)
        self.scale = alpha / r
        self.A = nn.Parameter(torch.empty_like(linear.weight[:r]))  # (r, in_features)
        self.B = nn.Parameter(torch.zeros_like(linear.weight[:, :r]))  # (out_features, r)
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        # in a list, so that its parameters have no second names here
        self._theirs = [peft_layer(self.linear, self.A, self.B, self.scale)]

    def forward(self, x):
        """What `peft` makes of x (..., in_features)."""
        (theirs,) = self._theirs
        theirs.base_layer, theirs.scaling["default"] = self.linear, self.scale
        theirs.lora_A["default"].weight, theirs.lora_B["default"].weight = self.A, self.B
        return theirs(x)


NOT_KEPT = "there is no `self.linear`"


def _layer(weight, bias):
    linear = nn.Linear(*weight.shape[::-1], bias=bias is not None, dtype=weight.dtype)
    linear.weight = nn.Parameter(weight.clone())
    if bias is not None:
        linear.bias = nn.Parameter(bias.clone())
    return linear


def _made(cls, linear, r, alpha):
    """An object of the learner's class; memory that was not filled is full of nan."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        module = cls(linear, r, alpha)
    finally:
        torch.use_deterministic_algorithms(before)
    if not isinstance(module, nn.Module):
        raise TypeError(f"what the class makes is a {type(module).__name__}, not an `nn.Module`")
    return module


UNFILLED = "memory that nobody has filled"


def _beginnings(module, other):
    """How A and B begin, told from two objects."""
    A, B = module.A.detach(), module.B.detach()
    kind = "the same in every new object" if same(A, other.A.detach()) else "random numbers"
    if len(A) > 1 and kind == "random numbers" and same(A, A[:1].expand_as(A)):
        kind = "equal rows"
    kind = "large numbers" if A.abs().max() > 10 else kind
    kind = kind if A.any() else "zeros"
    of_B = "others" if B.any() else "zeros"
    return {
        "A at first": UNFILLED if A.isnan().any() else kind,
        "B at first": UNFILLED if B.isnan().any() else of_B,
    }


def _built(module, linear, weight, bias):
    """What `__init__` has made: names, shapes, the layer that was given, dtypes, the scale."""
    kept = getattr(module, "linear", None)
    of_layer = "the layer that was given"
    if kept is not linear:
        copy = isinstance(kept, nn.Linear) and difference(kept.weight, weight, MODULES) is None
        of_layer = "a copy of the layer" if copy else "another layer"
        of_layer = NOT_KEPT if kept is None else of_layer
    unchanged = same(linear.weight, weight) and (bias is None or same(linear.bias, bias))
    named = sorted(module.named_parameters())
    shapes = ", ".join(f"{name} {tuple(p.shape)}" for name, p in named)
    return {
        "the parameters": shapes,
        "`self.linear`": of_layer,
        "the weights of the layer": "unchanged" if unchanged else "others",
        "parameters that want a gradient": ", ".join(name for name, p in named if p.requires_grad),
        "parts in evaluation mode": [
            name or "the module itself" for name, m in module.named_modules() if not m.training
        ],
        "dtypes": ", ".join(f"{name} {p.dtype}" for name, p in named if name in ("A", "B")),
    }


def _used(cls, weight, bias, r, alpha, A, B, x):
    """What `__init__` makes, and what comes out with an A and a B of the check's own."""
    linear = _layer(weight, bias)
    if isinstance(cls, nn.Module):
        raise TypeError(f"pass the class `{type(cls).__name__}` itself, not an object of it")
    module = _made(cls, linear, r, alpha)
    found = _built(module, linear, weight, bias)
    oracle = _built(LoRA(linear2 := _layer(weight, bias), r, alpha), linear2, weight, bias)
    if any(found[key] != oracle[key] for key in ("the parameters", "`self.linear`", "dtypes")):
        return Seen(found)  # with these nothing can be computed that tells more
    found["`self.scale`"] = _number(getattr(module, "scale", None))
    other = _made(cls, _layer(weight, bias), r, alpha)
    found |= _beginnings(module, other)
    if UNFILLED in found.values():
        if found["A at first"] == UNFILLED:
            del found["B at first"]  # often neither is filled
        return Seen(found)
    with torch.no_grad():
        gap = difference(other(x.clone()), _layer(weight, bias)(x), MODULES)
    with torch.no_grad():
        module.A.copy_(A)
        module.B.copy_(B)
    half = weight.dtype == torch.bfloat16
    larger = (normal(9, 20, 20, weight.shape[1]).to(x.dtype),)
    again = {"with fewer vectors": (2 * x[:1],)} if x.ndim > 1 else {}
    out = seen(module, x, larger=larger, forward_only=half, again=again)
    if not isinstance(out, Seen):
        return out
    if out["what the call does besides"] == "nothing":
        found["the layer's own output at first"] = "another one" if gap else "the same"
    return Seen(found | out)


def _number(scale):
    """`self.scale`, which may be a tensor of one number."""
    return scale.item() if isinstance(scale, torch.Tensor) and scale.numel() == 1 else scale


def looked_at(cls, kind, *given):
    """What an object is and does, what is refused, or where A and B are."""
    if kind == "used":
        return _used(cls, *given)
    if kind == "refused":
        return refused(lambda: cls(*given))
    if kind == "how large":
        A = getattr(_made(cls, nn.Linear(200, 8), *given), "A", None)
        return "large" if isinstance(A, torch.Tensor) and A.std() > 0.3 else "small, if at all"
    module = _made(cls, nn.Linear(4, 3, device="meta"), *given)
    both = [getattr(module, name, None) for name in "AB"]
    if not all(isinstance(x, torch.Tensor) for x in both):
        return "A on meta, B on meta"  # that they are missing shows elsewhere
    return ", ".join(f"{name} on {x.device}" for name, x in zip("AB", both, strict=True))


def known_case(weight, bias, r, alpha, x, A=None, B=None):
    """A layer with these weights, called with x."""
    n_out, n_in = weight.shape
    A = (normal(70 + n_out, r, n_in) / 2 if A is None else A).to(weight.dtype)
    B = (normal(80 + n_in, n_out, r) / 4 if B is None else B).to(weight.dtype)
    more = "" if bias is not None else ", bias=False"
    more += "" if weight.dtype == torch.float32 else f", dtype={weight.dtype}"
    label = f"LoRALinear(nn.Linear({n_in}, {n_out}{more}), r={r}, alpha={alpha})"
    if max(y.numel() for y in (weight, A, B, x)) <= 4:
        numbers = zip(("the layer's weight", "A", "B", "x"), (weight, A, B, x), strict=True)
        label += " of x, where\n" + "\n".join(f"{k} = {_in_a_line(y)}" for k, y in numbers)
    else:
        label += f" of x of shape {tuple(x.shape)},\nwith A and B of the check's own"
    return Case("used", weight, bias, r, alpha, A, B, x, label=label)


def _in_a_line(y):
    return " ".join(show(y).split())


def drawn_case(seed, n_out, n_in, r, alpha, *shape, bias=True, dtype=torch.float32):
    """A layer with random weights, called with random x (*shape, n_in)."""
    weight, given = normal(seed, n_out, n_in) / 2, normal(seed + 20, n_out)
    x = normal(seed + 40, *shape, n_in)
    given = given.to(dtype) if bias else None
    return known_case(weight.to(dtype), given, r, alpha, x.to(dtype))


def exact_case(seed):
    """In 16 bits, with numbers so short that every way of computing gives the same bits."""
    sizes = (3, 4), (3,), (2, 4), (3, 2), (2, 4)
    weight, bias, A, B, x = (
        normal(seed + i, *size).round().clamp(-2, 2).bfloat16() for i, size in enumerate(sizes)
    )
    return known_case(weight, bias, 2, 1, x, A, B)


def refused_case(linear, r, alpha, text):
    """What has to be refused; `text` is how the layer is made."""
    return Case("refused", linear, r, alpha, label=f"LoRALinear({text}, r={r}, alpha={alpha})")
