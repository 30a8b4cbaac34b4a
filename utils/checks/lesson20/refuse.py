"""Exercise 20.4, `refuse`: its oracle, inputs, mistakes and hints."""

import numpy as np
import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal


def _refuse(weights, threshold):
    array = np.asarray(weights)
    enough = array.max(1) >= np.float32(threshold)
    return [int(i) if ok else None for i, ok in zip(array.argmax(1), enough, strict=True)]


def _of(keep, place=lambda row: row.index(max(row)), other=None):
    def mutant(weights, threshold):
        rows = weights.tolist()
        return [place(row) if keep(row, threshold) else other for row in rows]

    return mutant


def _largest(row, threshold):
    return max(row) >= threshold


def _last_of_equals(row):
    return len(row) - 1 - row[::-1].index(max(row))


def _drops(weights, threshold):
    return [row.index(max(row)) for row in weights.tolist() if max(row) >= threshold]


def _margin(row, threshold):
    first, *rest = sorted(row, reverse=True)
    return first - (rest[0] if rest else 0.0) >= threshold


def _case(seed, B, W, threshold):
    weights = (2.5 * normal(seed, B, W)).softmax(-1)
    return Case(weights, threshold, label=f"refuse(weights {(B, W)}, {threshold})")


def _probe(answer, weights, threshold):
    """A place is a number; one that is still a tensor is none."""
    found = answer(weights, threshold)
    if not isinstance(found, list):
        return found
    if any(isinstance(x, torch.Tensor | np.generic) for x in found):
        kind = next(type(x).__name__ for x in found if isinstance(x, torch.Tensor | np.generic))
        raise TypeError(f"an entry is a {kind}: a place should be an int (int(x), or .tolist())")
    return found


refuse = Exercise(
    number="20.4",
    name="refuse",
    oracle=_refuse,
    compared_with="`np.argmax`",
    probe=_probe,
    cases=lambda: [
        Case(
            torch.tensor(
                [
                    [0.125, 0.75, 0.125],
                    [0.25, 0.5, 0.25],
                    [0.375, 0.25, 0.375],
                    [0.0, 0.375, 0.625],
                    [0.625, 0.0, 0.375],
                ]
            ),
            0.5,
        ),
        Case(torch.tensor([[0.7, 0.3], [0.5, 0.5]]), 0.6),
        Case(torch.tensor([[0.7, 0.3], [0.5, 0.5]]), 0.5),
        Case(torch.tensor([[0.25, 0.25, 0.25, 0.25]]), 0.25),
        Case(torch.tensor([[1.0], [1.0]]), 1.0),
        Case(torch.tensor([[0.5, 0.25, 0.25]]), 0.0),
        Case(torch.tensor([[0.25, 0.75], [0.5, 0.5]]), 0.25),
        _case(4, 8, 5, 0.05),
        _case(1, 12, 6, 0.5),
        _case(2, 9, 75, 0.3),
        _case(3, 1, 2, 0.99),
    ],
    mistakes=[
        Mistake(
            "at_the_threshold_refused",
            "A weight that is exactly the threshold is not *below* it: it is accepted.",
            _of(lambda row, t: max(row) > t),
        ),
        Mistake(
            "turned_round",
            "You refuse the sure ones and accept the others: refuse where the largest weight lies "
            "*below* the threshold.",
            _of(lambda row, t: max(row) < t),
        ),
        Mistake(
            "never_refuses",
            "Where the largest weight lies below the threshold the entry should be `None`.",
            _of(lambda row, t: True),
        ),
        Mistake(
            "minus_one",
            "A refusal is `None`, not -1: -1 is the last word of the list.",
            _of(_largest, other=-1),
        ),
        Mistake(
            "zero_for_refusal",
            "A refusal is `None`, not 0: 0 is the first word of the list.",
            _of(_largest, other=0),
        ),
        Mistake(
            "place_0_lost",
            "Place 0 is refused as well: is there an `or None`, or an `if place`? 0 counts as "
            "false. Ask for the weight, not for the place.",
            lambda weights, threshold: [i or None for i in _refuse(weights, threshold)],
        ),
        Mistake(
            "refusals_left_out",
            "Refused rows are missing. The list has one entry a row, `None` for a refusal.",
            _drops,
        ),
        Mistake(
            "last_of_equals",
            "If several weights are the largest, the *first* of them counts.",
            _of(_largest, place=_last_of_equals),
        ),
        Mistake(
            "weights_returned",
            "You return the largest weight. Wanted is its place in the row.",
            _of(_largest, place=max),
        ),
        Mistake(
            "least_likely",
            "You give the place of the *smallest* weight.",
            _of(_largest, place=lambda row: row.index(min(row))),
        ),
        Mistake(
            "first_above_the_threshold",
            "You take the first weight that reaches the threshold. It is the *largest* of the row "
            "that counts; the threshold only says whether it is large enough.",
            lambda weights, threshold: [
                next((i for i, w in enumerate(row) if w >= threshold), None)
                for row in weights.tolist()
            ],
        ),
        Mistake(
            "lead_over_the_second",
            "You compare the lead over the second word with the threshold. It is the largest "
            "weight itself that counts.",
            _of(_margin),
        ),
    ],
    hints=[
        "`weights.max(dim=-1)` gives the largest weights and their places.",
        "`x if condition else None` inside a list comprehension, one entry a row.",
    ],
)
