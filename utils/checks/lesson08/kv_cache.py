"""Exercise 8.5, `KVCache`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal


class _KVCache:
    """The stand-in: Hugging Face's cache for one layer."""

    def __init__(self):
        from transformers import DynamicCache

        self.k = self.v = None
        self.theirs = DynamicCache()

    def add(self, k, v):
        self.k, self.v = self.theirs.update(k, v, 0)
        return self.k, self.v

    @property
    def length(self):
        return self.theirs.get_seq_length()


def _behind(old, new):
    return new if old is None else torch.cat([old, new], dim=2)


def _along(axis):
    return lambda old, new: new if old is None else torch.cat([old, new], dim=axis)


def _in_front(old, new):
    return new if old is None else torch.cat([new, old], dim=2)


def _cache(
    join_k=_behind,
    join_v=_behind,
    keep=lambda self, k, v: (k, v),
    back=lambda k, v, new_k, new_v: (k, v),
    length=lambda self: 0 if self.k is None else self.k.shape[2],
):
    """A cache with one step replaced."""

    class Mutant:
        def __init__(self):
            self.k = self.v = None
            self.adds = 0

        def add(self, k, v):
            self.adds += 1
            all_k, all_v = join_k(self.k, k), join_v(self.v, v)
            self.k, self.v = keep(self, all_k, all_v)
            return back(all_k, all_v, k, v)

        @property
        def length(self):
            return length(self)

    return Mutant


def _only_kept_at_first(self, k, v):
    return (k, v) if self.k is None else (self.k, self.v)


class _Shared(_cache()):
    """Keys and values that belong to the class, and so to every object."""

    both = [None, None]

    def __init__(self):
        pass

    k = property(lambda self: self.both[0])

    def add(self, k, v):
        self.both[:] = _behind(self.both[0], k), _behind(self.both[1], v)
        return tuple(self.both)


class _Method(_cache()):
    def length(self):
        return self.k.shape[2]


class _Room:
    """Room for a fixed number of positions."""

    def __init__(self):
        self.k = self.v = None
        self.length = 0

    def add(self, k, v):
        if self.k is None:
            self.k, self.v = (x.new_zeros(*x.shape[:2], 1024, x.shape[3]) for x in (k, v))
        end = self.length + k.shape[2]
        self.k[:, :, self.length : end], self.v[:, :, self.length : end] = k, v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]


class _Float32(_cache()):
    def add(self, k, v):
        return super().add(k.float(), v.float())


def _shares(cls):
    """True if a second cache holds what the first one was given."""
    sizes, one = [], torch.ones(1, 1, 1, 1)
    for cache in cls(), cls():
        try:
            sizes.append(cache.add(one, one)[0].numel())
        except NotImplementedError:
            raise
        except Exception:  # seen below, with the learner's line
            return False
    return sizes[1] > sizes[0]


def _length(cache):
    length = cache.length
    return "a method, not a number" if callable(length) else length


def _length_at_first(cache):
    try:
        return _length(cache)
    except (AttributeError, TypeError):  # of None, in whatever words
        return "none, it stops with an error"


def _after(place, k):
    return f"after {place + 1} call{'s' * bool(place)} of `add`, with {k.shape[2]} new positions"


def _used(cls, keys, values, new=False):
    """What a cache returns and how long it is, after each of some calls; a second one beside it."""
    if _shares(cls):
        return Seen({"result": "none", "two caches": "share what they keep"})
    cache, beside, found, before = cls(), cls(), Seen(), []
    if new:
        found["`length` of a new cache"] = _length_at_first(cache)
    for i, (k, v) in enumerate(zip(keys, values, strict=True)):
        both = cache.add(k, v)
        beside.add(-k, -v)
        if not (isinstance(both, tuple | list) and len(both) == 2):
            return both
        if not all(isinstance(x, torch.Tensor) for x in both):
            return both[0] if both[0] is None else list(both)
        found["result" if i == 0 else f"k and v {_after(i, k)}"] = tuple(both)
        found[f"`length` {_after(i, k)}"] = _length(cache)
        found[f"dtype {_after(i, k)}"] = [str(x.dtype) for x in both]
        before.append([x.clone() for x in both])
        if i == 0:
            first = both
    found["what the first call of `add` returned, at the end"] = tuple(first)
    found["two caches"] = "each keeps its own"
    return found


def _cache_case(seed, B, n_kv_heads, d_head, *lengths, dtype=torch.float32, new=False):
    keys, values = (
        [normal(s + 10 * i, B, n_kv_heads, T, d_head).to(dtype) for i, T in enumerate(lengths)]
        for s in (100 * seed, 100 * seed + 5_000)
    )
    said = f"torch.randn({B}, {n_kv_heads}, T, {d_head}" + (
        ")" if dtype == torch.float32 else f", dtype={dtype})"
    )
    times = f"in {lengths}" if len(lengths) > 1 else f"in ({lengths[0]},)"
    label = f"cache = KVCache()\nfor T {times}:\n    cache.add({said}, {said})"
    return Case(keys, values, new, label=label)


KVCache = Exercise(
    number="8.5",
    name="KVCache",
    oracle=_KVCache,
    compared_with="Hugging Face's `DynamicCache`",
    probe=_used,
    cases=lambda: [
        _cache_case(1, 3, 4, 5, 2, 2, 2),
        _cache_case(2, 2, 3, 4, 5, 1, new=True),
        _cache_case(3, 1, 1, 1, 1, 1),
        _cache_case(4, 2, 2, 2, 2, 2),
        _cache_case(5, 3, 1, 2, 1, 1, 1, 1, 3, 1),
        _cache_case(6, 1, 2, 4, 7, 2, 5, dtype=torch.bfloat16),
        _cache_case(7, 1, 1, 2, *[1] * 20),
        _cache_case(8, 1, 1, 1, 1023, 1, 1, 2),
        _cache_case(10, 1, 1, 1, 9000, 1),
        _cache_case(9, 2, 5, 3, 4),
    ],
    mistakes=[
        Mistake(
            "shared_between_caches",
            "A second cache holds what was given to the first. Every layer has a cache of its own: "
            "keep `k` and `v` in `self`, not in the class or in a global name.",
            _Shared,
        ),
        Mistake(
            "along_the_heads",
            "The new keys and values are joined along axis 1, as if they were further heads. The "
            "axis of positions is `dim=2`.",
            _cache(_along(1), _along(1)),
        ),
        Mistake(
            "along_the_batch",
            "The new keys and values are joined along axis 0 (that is where `torch.cat` joins when "
            "it is not asked otherwise), as if they were further rows. The axis of positions is "
            "`dim=2`.",
            _cache(_along(0), _along(0)),
        ),
        Mistake(
            "along_d_head",
            "The new keys and values are joined along the last axis, so the heads get wider. The "
            "axis of positions is `dim=2`, the last but one.",
            _cache(_along(3), _along(3)),
        ),
        Mistake(
            "new_in_front",
            "The new positions come before the old ones. They belong behind: "
            "`torch.cat([self.k, k], dim=2)`.",
            _cache(_in_front, _in_front),
        ),
        Mistake(
            "returns_only_the_new",
            "All is kept, but `add` returns only what it was given. Return everything so far, "
            "`self.k` and `self.v`.",
            _cache(back=lambda k, v, new_k, new_v: (new_k, new_v)),
        ),
        Mistake(
            "returns_the_old",
            "`add` returns what was there before, without the new positions. Join first, then "
            "return `self.k` and `self.v`.",
            _cache(
                back=lambda k, v, new_k, new_v: (
                    (k, v)
                    if k.shape == new_k.shape
                    else (k[:, :, : -new_k.shape[2]], v[:, :, : -new_v.shape[2]])
                )
            ),
        ),
        Mistake(
            "only_the_last_kept",
            "Each call overwrites what was kept: only the newest positions are left. Join them "
            "behind the old ones.",
            _cache(lambda old, new: new, lambda old, new: new),
        ),
        Mistake(
            "joined_but_not_kept",
            "What `add` returns is joined rightly, but not kept: after the second call the cache "
            "still holds only the first. Put the result into `self.k` and `self.v`.",
            _cache(keep=_only_kept_at_first),
        ),
        Mistake(
            "values_not_joined",
            "The keys grow, and the values do not: only the newest are there. Join `v` in the same "
            "way as `k`.",
            _cache(join_v=lambda old, new: new),
        ),
        Mistake(
            "keys_not_joined",
            "The values grow, and the keys do not: only the newest are there. Join `k` in the same "
            "way as `v`.",
            _cache(
                join_k=lambda old, new: new,
                length=lambda self: 0 if self.k is None else self.v.shape[2],
            ),
        ),
        Mistake(
            "keys_returned_twice",
            "`add` returns the keys twice. The second is `self.v`.",
            _cache(back=lambda k, v, *new: (k, k)),
        ),
        Mistake(
            "returned_the_wrong_way_round",
            "`add` returns the values before the keys. The order is `k, v`.",
            _cache(back=lambda k, v, *new: (v, k)),
        ),
        Mistake(
            "length_counts_calls",
            "`length` counts the calls of `add`. One call may bring many positions: it is the size "
            "of `self.k` along axis 2.",
            _cache(length=lambda self: self.adds),
        ),
        Mistake(
            "length_of_the_batch",
            "`length` is the number of rows (`len` of a tensor is its first axis). The positions "
            "are axis 2: `self.k.shape[2]`.",
            _cache(length=lambda self: 0 if self.k is None else len(self.k)),
        ),
        Mistake(
            "length_of_the_heads",
            "`length` is the number of heads. The positions are axis 2: `self.k.shape[2]`.",
            _cache(length=lambda self: 0 if self.k is None else self.k.shape[1]),
        ),
        Mistake(
            "length_of_d_head",
            "`length` is the width of a head. The positions are axis 2: `self.k.shape[2]`.",
            _cache(length=lambda self: 0 if self.k is None else self.k.shape[-1]),
        ),
        Mistake(
            "no_length_at_first",
            "A new cache has no `length` yet: `self.k` is still `None`, and `None` has no shape. "
            "It is 0 as long as nothing was added.",
            _cache(length=lambda self: self.k.shape[2]),
        ),
        Mistake(
            "length_is_a_method",
            "`length` is a method here, and has to be called. Leave the line `@property` above it: "
            "then `cache.length` is the number.",
            _Method,
        ),
        Mistake(
            "room_for_a_fixed_number",
            "There is room for 1,024 positions only, and a text may get longer. Let the cache grow "
            "with `torch.cat`.",
            _Room,
        ),
        Mistake(
            "always_float32",
            "The numbers are right, but they come back in float32. A cache keeps what it is given "
            "as it is: real models have bfloat16 in it, half the memory.",
            _Float32,
        ),
    ],
    hints=[
        "At the first call there is nothing yet to join to: keep `k` and `v` as they are.",
        "At every other call: `self.k = torch.cat([self.k, k], dim=2)`, and the same for `v`.",
        "`add` ends with `return self.k, self.v`; `length` is `0 if self.k is None else "
        "self.k.shape[2]`.",
    ],
)
