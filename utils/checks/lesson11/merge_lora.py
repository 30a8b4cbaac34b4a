"""Exercise 11.5, `merge_lora`: its oracle, inputs, mistakes and hints."""

import torch
from torch import nn

from utils.checks.engine.compare import ChangesInput, Seen, show_call
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import tenths
from utils.checks.engine.probes import same
from utils.checks.lesson11 import merge_lora_mutants as m
from utils.checks.lesson11.common import asserted, refused, speechless

NAMES = "weight", "A", "B"


def _looked_at(merge, weight, A, B, scale, fine=False):
    """The merged matrix, and what besides; of shapes that do not fit the refusal.

    Args:
        merge: the answer.
        weight: the frozen weight.
        A: a parameter that wants a gradient.
        B: another.
        scale: of the change.
        fine: look at the change alone, whose digits drown in the weight's.
    """
    inputs = nn.Parameter(weight.clone(), requires_grad=False), *map(_asking, (A, B))
    if not m.fit(weight, A, B):
        return refused(lambda: merge(*inputs, scale))
    merged = merge(*inputs, scale)
    if not all(same(x.detach(), y) for x, y in zip(inputs, (weight, A, B), strict=True)):
        raise ChangesInput
    if not isinstance(merged, torch.Tensor):
        return merged
    place = merged.untyped_storage().data_ptr() if merged.layout == torch.strided else None
    found = {
        "result": merged.detach().clone(),
        "dtype": str(merged.dtype),
        "wants a gradient": merged.requires_grad,
        "a new tensor": place != inputs[0].untyped_storage().data_ptr(),
    }
    if fine and merged.shape == weight.shape:
        found["the result minus `weight`"] = merged.detach().double() - weight.double()
    return Seen(found)


def _asking(x):
    return nn.Parameter(x.clone())


def _case(weight, A, B, scale, label="", fine=False):
    small = weight.numel() <= 12 and A.numel() <= 12 and B.numel() <= 12
    if not label and small:
        texts = [show_call(x).replace("\n", " ") for x in (weight, A, B)]
        given = zip((*NAMES, "scale"), [*texts, scale], strict=True)
        label = "merge_lora(\n    " + ",\n    ".join(f"{k}={v}" for k, v in given) + ")"
    if not label:
        texts = [f"{name} {tuple(x.shape)}" for name, x in zip("AB", (A, B), strict=True)]
        label = f"merge_lora of weight {tuple(weight.shape)}, {', '.join(texts)}, scale={scale}"
        label += "" if weight.dtype == torch.float32 else f", in {weight.dtype}"
    return Case(weight, A, B, scale, fine, label=label)


def _drawn(seed, n_out, n_in, r, scale, dtype=torch.float32):
    made = tenths(seed, n_out, n_in), tenths(seed + 50, r, n_in), tenths(seed + 90, n_out, r)
    return _case(*(x.to(dtype) for x in made), scale)


def _half(dtype):
    """So short numbers that float32 adds them exactly, and 16 bits do not."""
    A = torch.tensor([[1 / 512, 3 / 1024, 1.0], [1 / 1024, 1 / 256, 5 / 256]])
    weight = torch.tensor([[1.0, 1.0, 3.0], [-1.0, 65 / 64, 2.0]])
    B = torch.tensor([[1.0, 1.0], [-3.0, 2.0]])
    texts = [
        f"{name}=torch.tensor({x.tolist()}).to({dtype})"
        for name, x in zip(NAMES, (weight, A, B), strict=True)
    ]
    label = "merge_lora(\n    " + ",\n    ".join([*texts, "scale=2"]) + ")"
    return _case(*(x.to(dtype) for x in (weight, A, B)), 2, label)


def _cancelled(dtype, factors, largest, scale):
    """Weight and change cancel each other but for digits that 16 bits cannot hold."""
    draw = torch.Generator().manual_seed(7)
    A, B = (
        (torch.randint(-largest, largest, size, generator=draw) / 8).to(factors)
        for size in ((4, 6), (5, 4))
    )
    return _case(-(scale * (B.float() @ A.float())).to(dtype), A, B, scale)


def _fine():
    weight = torch.full((2, 3), 2.0**30, dtype=torch.float64)
    A, B = torch.tensor([[1.0, 2.0, 3.0]]).double(), torch.tensor([[1.0], [-2.0]]).double()
    texts = "torch.full((2, 3), 2.0**30)", show_call(A.float()), show_call(B.float())
    texts = [f"{name}={text}.double()" for name, text in zip(NAMES, texts, strict=True)]
    label = "merge_lora(\n    " + ",\n    ".join([*texts, "scale=0.5"]) + ")"
    return _case(weight, A, B, 0.5, label, fine=True)


def _unfit(*sizes):
    texts = [f"{name}=torch.ones{size}" for name, size in zip(NAMES, sizes, strict=True)]
    label = f"merge_lora({', '.join(texts)}, scale=2)"
    return _case(*(torch.ones(size) for size in sizes), 2, label)


merge_lora = Exercise(
    number="11.5",
    name="merge_lora",
    oracle=m.merge_lora,
    compared_with="`peft`'s merge, in float32 at least",
    probe=_looked_at,
    cases=lambda: [
        _drawn(1, 5, 7, 3, 1.5),
        _case(torch.eye(2), torch.ones(1, 2), torch.eye(2, 1), 2),  # the example of the task
        _drawn(2, 3, 4, 1, 0.25),
        _drawn(3, 4, 4, 4, 2.0),
        _drawn(4, 6, 6, 2, 3),
        _drawn(5, 2, 3, 2, -0.5),
        _drawn(6, 1, 1, 1, 2.0),
        _drawn(7, 3, 5, 2, 0),
        _drawn(8, 9, 8, 4, 0.5, torch.float64),
        _fine(),
        _half(torch.bfloat16),
        _half(torch.float16),
        _cancelled(torch.bfloat16, torch.bfloat16, 60, 0.5),
        _cancelled(torch.float16, torch.float16, 60, 0.5),
        _cancelled(torch.bfloat16, torch.float32, 1000, 1),
        _unfit((3, 4), (2, 4), (3, 1)),
        _unfit((3, 4), (2, 5), (3, 2)),
        _unfit((4, 3), (2, 4), (3, 2)),
        _unfit((3, 4), (2, 4), (1, 2)),
        _unfit((3, 4), (2, 1), (3, 2)),
        _unfit((1, 4), (2, 4), (3, 2)),
        _unfit((3, 1), (2, 4), (3, 2)),
    ],
    mistakes=[
        Mistake(
            "scale_left_out",
            "`scale` is left out. The layer multiplied what `A` and `B` make by it: add "
            "`scale * (B @ A)`.",
            m.added(lambda weight, change, scale: weight + change),
        ),
        Mistake(
            "divided_by_scale",
            "You divide by `scale`. It is a factor already, alpha / r: multiply by it.",
            m.added(lambda weight, change, scale: weight + change / scale),
        ),
        Mistake(
            "scale_on_everything",
            "The weight is multiplied by `scale` too. Only the change is: "
            "`weight + scale * (B @ A)`.",
            m.added(lambda weight, change, scale: scale * (weight + change)),
        ),
        Mistake(
            "scale_on_the_weight",
            "`scale` is on the weight and not on the change. It is the other way round: "
            "`weight + scale * (B @ A)`.",
            m.added(lambda weight, change, scale: scale * weight + change),
        ),
        Mistake(
            "scaled_twice",
            "The change is multiplied by `scale` twice. Once is meant.",
            m.added(lambda weight, change, scale: weight + scale**2 * change),
        ),
        Mistake(
            "only_the_change",
            "You return the change alone. Add it to `weight`.",
            m.added(lambda weight, change, scale: scale * change),
        ),
        Mistake(
            "only_the_weight",
            "You return the weight as it was, so the adapter is lost. Add `scale * (B @ A)`.",
            m.added(lambda weight, change, scale: weight.clone()),
        ),
        Mistake(
            "subtracted",
            "You subtract the change: that takes an adapter out again. Add it.",
            m.added(lambda weight, change, scale: weight - scale * change),
        ),
        Mistake(
            "averaged",
            "You take a mean of the weight and the change. The layer added the two: take the sum.",
            m.added(lambda weight, change, scale: (weight + scale * change) / 2),
        ),
        Mistake(
            "blended",
            "`torch.lerp` goes from one matrix towards the other, and takes away from the weight. "
            "The layer added the two: take the sum.",
            m.added(lambda weight, change, scale: weight + scale * (change - weight)),
        ),
        Mistake(
            "multiplied",
            "You multiply the weight by the change. The layer added the two: take the sum.",
            m.added(lambda weight, change, scale: weight * (1 + scale * change)),
        ),
        Mistake(
            "transposed",
            "The result is transposed. `nn.Linear` keeps its weight as "
            "`(out_features, in_features)`: leave it so.",
            m.merged(finish=lambda merged, weight: merged.to(weight.dtype).T),
        ),
        Mistake(
            "A_times_B",
            "You multiply the wrong way round: `A @ B`. `x` meets `A` first and then `B`, and so "
            "the matrix is `B @ A`, of the shape of the weight.",
            m.merged(product=lambda A, B: A @ B),
        ),
        Mistake(
            "change_transposed",
            "The change is transposed. `B @ A` has the shape of the weight already: no `.T` is "
            "needed.",
            m.merged(product=lambda A, B: (B @ A).T),
        ),
        Mistake(
            "gradient_kept",
            "The numbers are right, but the result still wants a gradient. Merging is no training: "
            "compute under `torch.no_grad()`, or return `.detach()`.",
            m.with_gradient,
        ),
        Mistake(
            "rounded_twice",
            "Right in float32. In half precision you round the change first and the sum once more: "
            "add in float32, and turn only the sum into `weight.dtype`.",
            m.rounded_twice,
        ),
        Mistake(
            "nothing_widened",
            "Right in float32. In half precision every step loses digits: turn `weight`, `A` and "
            "`B` into float32 first, and the sum into `weight.dtype` at the end.",
            m.as_they_are(lambda merged, weight: merged),
        ),
        Mistake(
            "only_the_end_cast",
            "Right in float32. `.to(weight.dtype)` at the end is good, but in half precision the "
            "digits are lost before: turn `weight`, `A` and `B` into float32 first.",
            m.as_they_are(lambda merged, weight: merged.to(weight.dtype)),
        ),
        Mistake(
            "all_in_the_dtype_of_the_weight",
            "Right in float32. You turn `A` and `B` into the dtype of the weight, and in half "
            "precision they lose digits: turn all three into float32 first.",
            m.merged(wide=lambda weight: weight.dtype),
        ),
        Mistake(
            "stays_in_float32",
            "The numbers are right, but for a weight in half precision they stay in float32. Give "
            "back the dtype of `weight`: `.to(weight.dtype)`.",
            m.merged(finish=lambda merged, weight: merged),
        ),
        Mistake(
            "always_float32",
            "The numbers are right, but they always come back in float32. Give back the dtype of "
            "`weight`: `.to(weight.dtype)`.",
            m.merged(finish=lambda merged, weight: merged.float()),
        ),
        Mistake(
            "float64_cut_to_float32",
            "Right up to float32. A float64 weight loses digits on the way through float32: widen "
            "with `torch.promote_types(weight.dtype, torch.float32)`, or use float64.",
            m.merged(wide=lambda weight: torch.float32),
        ),
        Mistake(
            "same_tensor_where_nothing_changes",
            "With a `scale` of 0 you return the very tensor that was given, so a change to one "
            "changes the other. Return a new one in every case.",
            m.kept_where_nothing_changes,
        ),
        Mistake(
            "shapes_not_checked",
            "All is right but one thing: shapes that do not fit need a `ValueError` with a "
            "sentence of yours. Compare `B.shape[1]` with `A.shape[0]`, and the outer sides with "
            "`weight.shape`.",
            m.merged(refuse=lambda weight, A, B: None),
        ),
        Mistake(
            "only_the_rank_checked",
            "You compare the rank of `A` with that of `B`, but not the outer sides with "
            "`weight.shape`. A side of 1 would be stretched in silence: compare all of them.",
            m.merged(refuse=m.only_the_inner_side),
        ),
        Mistake(
            "stretched_to_fit",
            "You refuse what PyTorch refuses, but it stretches a side of 1 in silence "
            "(broadcasting). Compare the shapes yourself, before you add.",
            m.merged(refuse=m.when_pytorch_complains),
        ),
        Mistake(
            "refused_with_assert",
            "Shapes that do not fit are refused, but with an `AssertionError`. Write "
            '`raise ValueError("…")`: `assert` is switched off by `python -O`.',
            m.merged(refuse=lambda weight, A, B: asserted(m.fit(weight, A, B))),
        ),
        Mistake(
            "refused_without_a_sentence",
            "Shapes that do not fit are refused, but without a word. Say what is wrong: "
            '`raise ValueError("…")` with a sentence.',
            m.merged(refuse=lambda weight, A, B: speechless(m.fit(weight, A, B))),
        ),
    ],
    hints=[
        "The layer adds `scale` times what `A` and then `B` make of `x`. Written as one matrix, "
        "that change is `scale * (B @ A)`, of the shape of `weight`.",
        "Check the shapes first: `A.shape[0] == B.shape[1]`, and "
        "`(B.shape[0], A.shape[1]) == tuple(weight.shape)`.",
        "Under `torch.no_grad()`, turn all three into `torch.promote_types(weight.dtype, "
        "torch.float32)`, add with `+` (not `+=`), and turn the sum into `weight.dtype`.",
    ],
)
