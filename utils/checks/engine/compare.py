"""Say whether two results are the same, and if not, where they first differ."""

import numbers
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

_KIND = {"b": "bool", "i": "integer", "u": "integer", "f": "float", "c": "complex"}


class ChangesInput(Exception):
    """Raised by a probe that saw the answer change what it was given."""


@dataclass(frozen=True)
class Raised:
    """Stands for a result when the call raised: two are the same if the type of error is."""

    error: BaseException

    def __str__(self) -> str:
        text = " ".join(str(self.error).split())[:200]
        return type(self.error).__name__ + (f" ({text})" if text else "")


class Seen(dict):
    """What a probe saw of one call: "result", and besides it gradients, types, later calls.

    Its keys are words for the learner ("gradient to q"); its own brackets never show.
    """


@dataclass(frozen=True)
class Tolerance:
    """Numbers are the same if |got - expected| <= absolute + relative * |expected|."""

    absolute: float = 1e-6
    relative: float = 1e-5


def is_tensor(value: Any) -> bool:
    """True for a torch tensor (without importing torch)."""
    return type(value).__module__.split(".")[0] == "torch" and hasattr(value, "detach")


def as_array(value: Any) -> np.ndarray | None:
    """A NumPy array for an array, a (dense) tensor or a number; None for anything else."""
    if is_tensor(value):
        try:
            value = value.detach().cpu()
            return value.float().numpy() if str(value.dtype) == "torch.bfloat16" else value.numpy()
        except (TypeError, RuntimeError, NotImplementedError):  # sparse, meta, ...
            return None
    if isinstance(value, np.ndarray | np.generic | numbers.Number):
        return np.asarray(value)
    return None


def show(value: Any, limit: int = 12) -> str:
    """A short text for a value: the numbers where there are few, else type, shape and dtype."""
    array = as_array(value)
    if array is None:
        try:
            text = repr(value)
        except Exception:
            text = f"a {type(value).__name__}"
        return text if len(text) <= 200 else text[:197] + "..."
    if array.ndim == 0:
        return f"{array.item():.6g}" if array.dtype.kind == "f" else str(array.item())
    if array.size > limit:
        return f"{type(value).__name__} of shape {array.shape}, dtype {array.dtype}"
    text = np.array2string(array, precision=4, suppress_small=True, separator=", ")
    return re.sub(r"\n\s*\n+", "\n", text)  # no empty lines between the tables of an array


def _brief(value: Any) -> str:
    return _brief(value.get("result")) if isinstance(value, Seen) else show(value)


def written_out(value: Any) -> bool:
    """True if `show_call` writes a value out as Python, so that it can be pasted and run."""
    array = as_array(value)
    if array is None:
        return isinstance(value, str | list | tuple | dict | None) and len(repr(value)) <= 200
    return array.size <= 12


def show_call(value: Any) -> str:
    """As `show`, written as Python that makes the value again, where it is small."""
    array = as_array(value)
    if array is None or not written_out(value) or not (is_tensor(value) or array.ndim):
        return show(value)
    maker = "torch" if is_tensor(value) else "np"
    text = show(value) if array.ndim else show(array[None])[1:-1]
    text = re.sub(r"\b(inf|nan)\b", rf"{maker}.\1", text)
    kind = str(value.dtype).removeprefix("torch.")
    if array.size == 0:
        return f"{maker}.zeros({array.shape})"
    usual = {"torch": ("float32", "int64", "bool"), "np": ("float64", "int64", "bool")}[maker]
    tail = "" if kind in usual else f", dtype={maker}.{kind}"
    return f"{'torch.tensor' if is_tensor(value) else 'np.array'}({text}{tail})"


def like(got: Any, expected: Any) -> Any:
    """`got` as the kind of array or list that `expected` is; unchanged if it cannot be made one."""
    if isinstance(expected, list) and isinstance(got, tuple):
        return list(got)
    if isinstance(expected, list) and isinstance(array := as_array(got), np.ndarray) and array.ndim:
        return array.tolist()
    if as_array(expected) is None or type(got) is type(expected):
        return got
    try:
        if is_tensor(expected):
            import torch

            return torch.as_tensor(np.asarray(got))
        inside = np.asarray(got) if not isinstance(got, str | bytes) else got
        return inside if getattr(inside, "dtype", np.dtype(object)).kind in "biufc" else got
    except (ValueError, TypeError, RuntimeError):
        return got


def difference(got: Any, expected: Any, tolerance: Tolerance) -> str | None:
    """Describe the first difference between a result and the expected one.

    Args:
        got: what an answer returned.
        expected: what the oracle returned: number, string, array, tensor, or a list, tuple or
            dict of these.
        tolerance: how far numbers may be apart.

    Returns:
        None if they are the same, otherwise a sentence. NaN equals NaN; an integer may stand where
        an equal float is expected but not the other way round; bool is neither.
    """
    if isinstance(expected, Raised) or isinstance(got, Raised):
        both = isinstance(expected, Raised) and isinstance(got, Raised)
        if both and type(got.error) is type(expected.error):
            return None
        if not isinstance(expected, Raised):
            return f"expected {_brief(expected)}, and it stops with {got}"
        does = f"raises {got}" if isinstance(got, Raised) else f"returns {_brief(got)}"
        return f"expected it to raise {type(expected.error).__name__}, and it {does}"
    if isinstance(expected, Seen):
        if not isinstance(got, Seen):
            if "result" not in expected:
                return f"it returns {_brief(got)}, and that is not what is asked for"
            return difference(got, expected["result"], tolerance)
        for key in differing_parts(got, expected, tolerance):
            if key.startswith("gradient") and isinstance(got.get(key), str):
                return f"{key}: {got[key]}"
            said = difference(got.get(key), expected[key], tolerance)
            return said if key == "result" else f"{key}: {said}"
        return None
    if isinstance(expected, dict):
        if not isinstance(got, dict) or set(got) != set(expected):
            return f"expected a dict with {sorted(expected)}, got {show(got)}"
        pairs = [(f"[{key!r}]", got[key], expected[key]) for key in expected]
        return _first(pairs, tolerance)
    if isinstance(expected, list | tuple):
        if isinstance(expected, list) and isinstance(got, tuple):
            return f"expected a list, got a tuple: {show(got)}"
        if not isinstance(got, list | tuple):
            return f"expected {show(expected)}, got a {type(got).__name__}: {show(got)}"
        if len(got) != len(expected) and len(repr(expected)) > 200:
            pairs = [(f"[{i}]", g, e) for i, (g, e) in enumerate(zip(got, expected, strict=False))]
            said = _first(pairs, tolerance)
            counts = f"expected {len(expected)} entries, got {len(got)}"
            return f"{counts}; {said}" if said else counts
        if len(got) != len(expected):
            return f"expected {show(expected)}, got {show(got)}"
        pairs = [(f"[{i}]", g, e) for i, (g, e) in enumerate(zip(got, expected, strict=True))]
        return _first(pairs, tolerance)
    wanted, found = as_array(expected), as_array(got)
    if got is None and expected is not None:
        return f"expected {_brief(expected)}, and there is none"
    if wanted is None:
        same = type(got) is type(expected) and got == expected
        return None if same else f"expected {show(expected)}, got {show(got)}"
    if found is None or (is_tensor(expected) and not is_tensor(got)):
        return f"expected type {type(expected).__name__}, got a {type(got).__name__}: {show(got)}"
    return _array_difference(found, wanted, tolerance)


def differing_parts(got: Seen, expected: Seen, tolerance: Tolerance) -> list[str]:
    """The keys under which two looks at a call differ; no gradient is as good as one of zeros."""
    return [
        key
        for key in expected
        if not (key.startswith("gradient") and _both_nothing(got.get(key), expected[key]))
        and difference(got.get(key), expected[key], tolerance)
    ]


def _both_nothing(slope: Any, other: Any) -> bool:
    """True for two gradients of which one is missing and the other nothing but zeros."""
    arrays = [as_array(x) for x in (slope, other) if x is not None]
    return len(arrays) < 2 and not any(array is None or array.any() for array in arrays)


def largest_difference(got: Any, expected: Any) -> float:
    """The largest |got - expected| over all numbers (0.0 where there are none)."""
    if isinstance(expected, Seen) and not isinstance(got, Seen):
        return largest_difference(got, expected["result"])
    if isinstance(expected, dict):
        return max((largest_difference(got.get(k), expected[k]) for k in expected), default=0.0)
    if isinstance(expected, list | tuple):
        pairs = zip(got, expected, strict=True)
        return max((largest_difference(g, e) for g, e in pairs), default=0.0)
    wanted, found = as_array(expected), as_array(got)
    if wanted is None or found is None or wanted.size == 0 or wanted.dtype.kind not in "fiu":
        return 0.0
    with np.errstate(invalid="ignore"):
        gap = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
    return float(np.nanmax(np.where(np.isfinite(gap), gap, 0.0)))


def _first(pairs: list[tuple[str, Any, Any]], tolerance: Tolerance) -> str | None:
    for where, got, expected in pairs:
        said = difference(got, expected, tolerance)
        if said:
            return f"at {where}: {said}"
    return None


def _array_difference(got: np.ndarray, expected: np.ndarray, tolerance: Tolerance) -> str | None:
    if got.shape != expected.shape:
        return f"expected shape {expected.shape}, got shape {got.shape}"
    kinds = _KIND.get(got.dtype.kind, "other"), _KIND.get(expected.dtype.kind, "other")
    if kinds[0] != kinds[1] and kinds != ("integer", "float"):
        return f"expected {kinds[1]} numbers (dtype {expected.dtype}), got dtype {got.dtype}"
    if expected.dtype.kind not in "fc":
        wrong = got != expected
    else:
        with np.errstate(invalid="ignore"):
            close = np.isclose(
                got, expected, tolerance.relative, tolerance.absolute, equal_nan=True
            )
        wrong = ~close
    if not wrong.any():
        return None
    first = np.unravel_index(np.argmax(wrong), wrong.shape)
    if not first:
        return f"expected {show(expected)}, got {show(got)}"
    where = ", ".join(str(i) for i in first)
    said = f"entry [{where}]: expected {show(expected[first])}, got {show(got[first])}"
    if expected.size <= 12:
        said += f"\nexpected {show(expected)}\ngot      {show(got)}"
    return said
