"""Exercise 11.3, `LoRALinear`: its inputs, mistakes and hints."""

import math

import torch
from torch import nn

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson04.common import MODULES, habits
from utils.checks.lesson11 import lora_linear_mutants as mutants
from utils.checks.lesson11.common import asserted, speechless
from utils.checks.lesson11.lora_linear_mutants import change, lora
from utils.checks.lesson11.lora_linear_probe import (
    LoRA,
    drawn_case,
    exact_case,
    known_case,
    looked_at,
    refused_case,
)

LoRALinear = Exercise(
    number="11.3",
    name="LoRALinear",
    oracle=LoRA,
    compared_with="`peft`'s LoRA layer with your `A` and `B`",
    probe=looked_at,
    tolerance=MODULES,
    cases=lambda: [
        drawn_case(1, 3, 5, 2, 6, 2, 4),
        known_case(  # of the task
            torch.eye(2), None, 1, 2, torch.tensor([3.0, 4.0]), torch.ones(1, 2), torch.eye(2, 1)
        ),
        drawn_case(2, 6, 4, 3, 16, 5, bias=False),
        drawn_case(3, 4, 4, 4, 2),
        drawn_case(4, 7, 3, 1, 5, 3),
        drawn_case(5, 2, 9, 2, 3, 2, 1, 3),
        drawn_case(6, 1, 3, 1, 2, 2),
        drawn_case(7, 5, 4, 2, 8, 3, dtype=torch.float64),
        exact_case(8),
        Case("how large", 8, 16, label="LoRALinear(nn.Linear(200, 8), r=8, alpha=16).A"),
        Case("where", 2, 4, label='LoRALinear(nn.Linear(4, 3, device="meta"), r=2, alpha=4)'),
        refused_case(nn.Linear(4, 3), 0, 8, "nn.Linear(4, 3)"),
        refused_case(nn.Linear(4, 3), -1, 8, "nn.Linear(4, 3)"),
        refused_case(nn.Linear(5, 3), 4, 8, "nn.Linear(5, 3)"),
        refused_case(nn.Linear(3, 5), 4, 8, "nn.Linear(3, 5)"),
        refused_case(nn.Linear(6, 2), 9, 8, "nn.Linear(6, 2)"),
        refused_case(nn.Embedding(4, 3), 2, 8, "nn.Embedding(4, 3)"),
        refused_case(nn.Conv1d(4, 4, 4), 2, 8, "nn.Conv1d(4, 4, 4)"),
        refused_case(nn.Identity(), 2, 8, "nn.Identity()"),
    ],
    mistakes=[
        *habits(LoRA),
        Mistake(
            "A_and_B_zero",
            "`A` and `B` both begin with zeros. The gradient of each is a product with the other, "
            "so both stay zero for ever: begin `A` with small random numbers.",
            lora(A=mutants.zero_A),
        ),
        Mistake(
            "A_and_B_random",
            "`B` begins with random numbers, so the layer is another one before anything was "
            "learned. Begin `B` with zeros.",
            lora(B=mutants.random_B),
        ),
        Mistake(
            "A_zero_and_B_random",
            "That would learn as well, but the task has it the other way round, as `peft` does: "
            "`A` begins with small random numbers, `B` with zeros.",
            lora(A=mutants.zero_A, B=mutants.random_B),
        ),
        Mistake(
            "A_not_filled",
            "`torch.empty` only takes a piece of memory, and any numbers may stand in it. Fill `A` "
            "with small random ones: `nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))`.",
            lora(A=lambda linear, r: torch.empty_like(mutants.zero_A(linear, r))),
        ),
        Mistake(
            "B_not_filled",
            "`B` is a piece of memory in which any numbers may stand. Make it of zeros: "
            "`torch.zeros_like(linear.weight[:, :r])`.",
            lora(B=lambda linear, r: torch.empty_like(mutants.zero_B(linear, r))),
        ),
        Mistake(
            "A_always_the_same",
            "`A` begins with the same numbers in every new object. Draw random ones, and set no "
            "seed inside: equal rows would learn the same.",
            lora(A=lambda linear, r: torch.full_like(mutants.zero_A(linear, r), 0.01)),
        ),
        Mistake(
            "A_too_large",
            "`A` begins with large numbers, so the first steps of `B` would throw the layer about. "
            "Draw small ones: `nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))`.",
            lora(A=lambda linear, r: 1000 * (1 + mutants.random_A(linear, r).abs())),
        ),
        Mistake(
            "A_not_small",
            "`A` begins with numbers of size 1. In a layer of hundreds of inputs these add up, and "
            "the first steps of `B` would throw it about. Draw small ones: "
            "`nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))`.",
            lora(A=lambda linear, r: torch.randn_like(mutants.random_A(linear, r))),
        ),
        Mistake(
            "A_of_equal_rows",
            "The rows of `A` are equal, and would learn the same: the change has rank 1, whatever "
            "`r` is. Draw each number for itself.",
            lora(A=lambda linear, r: mutants.random_A(linear, 1).repeat(r, 1)),
        ),
        Mistake(
            "scale_left_out",
            "The change is added as it is. Multiply it by `self.scale`, which is `alpha / r`.",
            lora(forward=lambda self, x: self.linear(x) + change(self, x)),
        ),
        Mistake(
            "scaled_twice",
            "The change is multiplied by the scale twice. Once is meant.",
            lora(forward=lambda self, x: self.linear(x) + self.scale**2 * change(self, x)),
        ),
        Mistake(
            "scale_upside_down",
            "`self.scale` is `r / alpha`. It is the other way round: `alpha / r`.",
            lora(scale=lambda alpha, r: r / alpha),
        ),
        Mistake(
            "scale_without_r",
            "`self.scale` is `alpha` alone. Divide by the rank: `alpha / r`.",
            lora(scale=lambda alpha, r: alpha),
        ),
        Mistake(
            "scale_without_alpha",
            "`self.scale` is `1 / r`. `alpha` belongs above: `alpha / r`.",
            lora(scale=lambda alpha, r: 1 / r),
        ),
        Mistake(
            "scale_by_the_root",
            "You divide `alpha` by the root of `r`. There is a variant that does (rsLoRA); here "
            "the scale is `alpha / r`.",
            lora(scale=lambda alpha, r: alpha / math.sqrt(r)),
        ),
        Mistake(
            "scale_rounded_down",
            "`alpha // r` cuts off what stands after the point. Divide with `/`.",
            lora(scale=lambda alpha, r: alpha // r),
        ),
        Mistake(
            "scale_on_everything",
            "You multiply the output of the layer by the scale too. Only the change is multiplied: "
            "`self.linear(x) + self.scale * (...)`.",
            lora(forward=lambda self, x: self.scale * (self.linear(x) + change(self, x))),
        ),
        Mistake(
            "scale_is_learned",
            "The scale is an `nn.Parameter`, so training changes it. It is a plain number: "
            "`self.scale = alpha / r`.",
            lora(scale=lambda alpha, r: nn.Parameter(torch.tensor(alpha / r))),
        ),
        Mistake(
            "base_not_frozen",
            "The layer is not frozen: all its weights would be trained too, and that is what LoRA "
            "saves. `linear.requires_grad_(False)` freezes it.",
            lora(freeze=lambda linear: linear),
        ),
        Mistake(
            "bias_not_frozen",
            "The weight is frozen, and the bias is not. `linear.requires_grad_(False)` freezes "
            "every parameter of the layer.",
            lora(freeze=mutants.weight_frozen),
        ),
        Mistake(
            "A_and_B_frozen",
            "`A` and `B` are frozen too, so nothing can be learned. Freeze the layer only: "
            "`linear.requires_grad_(False)`.",
            lora(keep=lambda matrix: nn.Parameter(matrix, requires_grad=False)),
        ),
        Mistake(
            "A_and_B_transposed",
            "`A` and `B` have their axes the other way round. Make `A` `(r, in_features)` and `B` "
            "`(out_features, r)`, and transpose them in `forward`: `x @ self.A.T @ self.B.T`.",
            lora(
                forward=lambda self, x: self.linear(x) + self.scale * (x @ self.A @ self.B),
                keep=lambda matrix: nn.Parameter(matrix.T.contiguous()),
            ),
        ),
        Mistake(
            "A_and_B_swapped",
            "`A` and `B` have changed their names. `A` comes first and is `(r, in_features)`; `B` "
            "is `(out_features, r)`.",
            lora(
                forward=lambda self, x: self.linear(x) + self.scale * (x @ self.B.T @ self.A.T),
                A=mutants.zero_B,
                B=mutants.random_A,
            ),
        ),
        Mistake(
            "no_parameters",
            "`self.A` and `self.B` are no parameters, so no optimizer finds them. Wrap them: "
            "`nn.Parameter(...)`.",
            lora(keep=lambda matrix: matrix),
        ),
        Mistake(
            "always_float32",
            "`A` and `B` are float32, whatever the layer is, and a layer in bfloat16 would stop "
            "with an error. Give them the dtype of `linear.weight`.",
            lora(keep=lambda matrix: nn.Parameter(matrix.float())),
        ),
        Mistake(
            "always_on_the_cpu",
            "`A` and `B` are made on the processor, wherever the layer is. Make them on "
            "`linear.weight.device`, or with `torch.empty_like` and `torch.zeros_like`.",
            lora(keep=mutants.on_the_cpu),
        ),
        Mistake(
            "layer_copied",
            "`self.linear` is a copy of the layer. The point is that the large matrix is kept only "
            "once: keep the very layer that was given.",
            lora(freeze=mutants.copied),
        ),
        Mistake(
            "another_layer",
            "`self.linear` is a new layer, with other weights. Keep the one that was given: "
            "`self.linear = linear`.",
            lora(freeze=mutants.another),
        ),
        Mistake(
            "layer_overwritten",
            "The weights of the layer are no longer what they were. It is finished: only `A` and "
            "`B` are filled here.",
            lora(freeze=mutants.emptied),
        ),
        Mistake(
            "only_the_change",
            "The output of the layer itself is lost. Add the change to it: `self.linear(x) + ...`.",
            lora(forward=lambda self, x: self.scale * change(self, x)),
        ),
        Mistake(
            "no_change",
            "What comes out does not depend on `A` and `B`: are they left out, or multiplied once "
            "and for all in `__init__`? Compute the change in `forward`.",
            lora(forward=lambda self, x: self.linear(x)),
        ),
        Mistake(
            "subtracted",
            "The change is subtracted. Add it.",
            lora(forward=lambda self, x: self.linear(x) - self.scale * change(self, x)),
        ),
        Mistake(
            "bias_twice",
            "The bias is added twice: it is in `self.linear(x)` already.",
            lora(forward=mutants.bias_again),
        ),
        Mistake(
            "bias_lost",
            "The bias of the layer is left out. Call the layer itself: `self.linear(x)`.",
            lora(forward=mutants.bias_lost),
        ),
        Mistake(
            "relu_between",
            "There is a ReLU between `A` and `B`. Without it the change is one matrix, and can be "
            "merged in the end: leave it out.",
            lora(forward=mutants.relu_between),
        ),
        Mistake(
            "base_without_gradient",
            "The numbers are right, but you compute the layer under `no_grad`, so what comes "
            "before it gets no gradient. Only its *weights* are frozen: leave `no_grad` out.",
            lora(forward=mutants.base_without_gradient),
        ),
        Mistake(
            "x_detached",
            "The numbers are right, but `x` is detached on its way through `A` and `B`, so what "
            "comes before gets a wrong gradient. Leave `detach` out.",
            lora(forward=lambda self, x: self.linear(x) + self.scale * change(self, x.detach())),
        ),
        Mistake(
            "rank_not_checked",
            "All is right but one thing: a rank below 1, or above the smaller side of the matrix, "
            "needs a `ValueError` with a sentence.",
            lora(refuse=mutants.layer_only),
        ),
        Mistake(
            "rank_not_checked_above",
            "All is right but one thing: a rank above the smaller side of the matrix needs a "
            "`ValueError` too.",
            lora(refuse=mutants.only_below),
        ),
        Mistake(
            "rank_not_checked_below",
            "All is right but one thing: a rank below 1 needs a `ValueError` too.",
            lora(refuse=mutants.only_above),
        ),
        Mistake(
            "compared_with_the_larger_side",
            "You compare the rank with the larger side of the matrix. A product through `r` has "
            "at most the rank of the *smaller* side: `min(linear.weight.shape)`.",
            lora(refuse=mutants.larger_side),
        ),
        Mistake(
            "compared_with_in_features",
            "You compare the rank with `in_features` only. Take the smaller of both sides: "
            "`min(linear.in_features, linear.out_features)`.",
            lora(refuse=mutants.in_features_only),
        ),
        Mistake(
            "compared_with_out_features",
            "You compare the rank with `out_features` only. Take the smaller of both sides: "
            "`min(linear.in_features, linear.out_features)`.",
            lora(refuse=mutants.out_features_only),
        ),
        Mistake(
            "full_rank_refused",
            "A rank that equals the smaller side of the matrix is allowed: refuse only what is "
            "above, with `>`.",
            lora(refuse=mutants.full_rank_too),
        ),
        Mistake(
            "any_layer_taken",
            "All is right but one thing: what is no `nn.Linear` needs a `ValueError` with a "
            "sentence. Ask with `isinstance(linear, nn.Linear)`.",
            lora(refuse=mutants.rank_only),
        ),
        Mistake(
            "nothing_refused",
            "All is right but the refusals: what is no `nn.Linear`, and a rank below 1 or above "
            "the smaller side, need a `ValueError` with a sentence.",
            lora(refuse=lambda linear, r: None),
        ),
        Mistake(
            "refused_with_assert",
            "What does not fit is refused, but with an `AssertionError`. Write "
            '`raise ValueError("…")`: `assert` is switched off by `python -O`.',
            lora(refuse=lambda linear, r: asserted(mutants.fits(linear, r))),
        ),
        Mistake(
            "refused_without_a_sentence",
            "What does not fit is refused, but without a word. Say what is wrong: "
            '`raise ValueError("…")` with a sentence.',
            lora(refuse=lambda linear, r: speechless(mutants.fits(linear, r))),
        ),
    ],
    hints=[
        "Refuse first. Then keep the layer, frozen: `self.linear = linear.requires_grad_(False)`; "
        "and the number `self.scale = alpha / r`.",
        "`torch.empty_like(linear.weight[:r])` has the shape of `A`, and "
        "`torch.zeros_like(linear.weight[:, :r])` that of `B`, both with dtype and device of the "
        "weight. Wrap them in `nn.Parameter`, and fill `A`.",
        "In `forward`, `x @ self.A.T` is `(..., r)`, and `@ self.B.T` makes it "
        "`(..., out_features)`: multiply by the scale and add it to `self.linear(x)`.",
    ],
)
