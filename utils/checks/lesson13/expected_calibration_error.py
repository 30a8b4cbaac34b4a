"""Exercise 13.3, `expected_calibration_error`: its oracle, inputs, mistakes and hints."""

import numpy as np
import torch

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.engine.probes import with_sentence


def _usable(confidence, correct):
    if len(confidence) != len(correct):
        raise ValueError(f"{len(confidence)} confidences for {len(correct)} answers")
    if not len(confidence):
        raise ValueError("there is no answer to judge by")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("a confidence lies between 0 and 1")


def _expected_calibration_error(confidence, correct, bins=10):
    from sklearn.calibration import calibration_curve

    _usable(confidence, correct)
    p, hit = confidence.double().numpy(), correct.double().numpy()
    right, sure = calibration_curve(hit, p, n_bins=bins)
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    counts = np.bincount(np.searchsorted(edges, p), minlength=bins)
    return float((counts[counts > 0] / len(p) * np.abs(right - sure)).sum())


def _binned(
    place=lambda p, bins: (p * bins).ceil().long().clamp(min=1) - 1,
    sure=lambda p, b, bins: p.mean(),
    gap=lambda acc, sure: (acc - sure).abs(),
    total=lambda gaps, counts, bins: (gaps * counts / counts.sum()).sum(),
    refuse=_usable,
    n_bins=lambda bins: bins,
):
    """The calibration error with one step replaced."""

    def mutant(confidence, correct, bins=10):
        refuse(confidence, correct)
        p, hit, bins = confidence.double(), correct.double(), n_bins(bins)
        index = place(p, bins)
        gaps, counts = [], []
        for b in range(bins):
            here = index == b
            if here.any():
                gaps.append(gap(hit[here].mean(), sure(p[here], b, bins)))
                counts.append(here.sum())
        gaps, counts = torch.stack(gaps), torch.stack(counts)
        return float(total(gaps, counts, bins))

    return mutant


def _in_one_heap(confidence, correct, bins=10):
    _usable(confidence, correct)
    return float((confidence.double().mean() - correct.double().mean()).abs())


def _brier(confidence, correct, bins=10):
    _usable(confidence, correct)
    return float(((confidence.double() - correct.double()) ** 2).mean())


def _each_alone(confidence, correct, bins=10):
    _usable(confidence, correct)
    return float((confidence.double() - correct.double()).abs().mean())


def _equally_full(confidence, correct, bins=10):
    _usable(confidence, correct)
    order = confidence.argsort()
    parts = zip(
        confidence[order].double().tensor_split(bins),
        correct[order].double().tensor_split(bins),
        strict=True,
    )
    return float(sum(len(p) * (p.mean() - hit.mean()).abs() for p, hit in parts if len(p))) / len(
        confidence
    )


def _nan_in_empty_bins(confidence, correct, bins=10):
    _usable(confidence, correct)
    p, hit, found = confidence.double(), correct.double(), 0.0
    place = (p * bins).ceil().clamp(min=1)
    for b in range(1, bins + 1):
        here = place == b
        found += float(here.sum() * (hit[here].mean() - p[here].mean()).abs()) / len(p)
    return found


def _ones_lost(confidence, correct, bins=10):
    """As a loop with `<` at the upper edge leaves it, and the lower one counted."""
    _usable(confidence, correct)
    p, hit, found = confidence.double(), correct.double(), 0.0
    for b in range(bins):
        here = (p >= b / bins) & (p < (b + 1) / bins)
        if here.any():
            found += float(here.sum() * (hit[here].mean() - p[here].mean()).abs()) / len(p)
    return found


def _zeros_lost(confidence, correct, bins=10):
    _usable(confidence, correct)
    p, hit, found = confidence.double(), correct.double(), 0.0
    for b in range(bins):
        here = (p > b / bins) & (p <= (b + 1) / bins)
        if here.any():
            found += float(here.sum() * (hit[here].mean() - p[here].mean()).abs()) / len(p)
    return found


def _in_range_not_asked(confidence, correct):
    _usable(confidence.clamp(0, 1), correct)


def _drawn(seed, n, bins=None):
    """Confidences between the edges of 20 bins, and answers that go with them a little."""
    lots = torch.Generator().manual_seed(seeded(seed))
    steps = torch.randint(20, (n,), generator=lots)
    confidence = (steps + 0.1 + 0.8 * torch.rand(n, generator=lots)) / 20
    correct = torch.rand(n, generator=lots) < 0.2 + 0.5 * confidence
    return Case(confidence, correct) if bins is None else Case(confidence, correct, bins)


def _known(confidence, correct, *bins, **raises):
    return Case(torch.tensor(confidence), torch.tensor(correct), *bins, **raises)


expected_calibration_error = Exercise(
    number="13.3",
    name="expected_calibration_error",
    oracle=_expected_calibration_error,
    compared_with="scikit-learn's `calibration_curve`, weighted",
    probe=with_sentence,
    tolerance=Tolerance(absolute=1e-5, relative=1e-4),
    cases=lambda: [
        _known([0.95, 0.91, 0.93, 0.35], [True, False, True, True]),
        _known([0.95, 0.95, 0.25], [True, False, False]),  # the example of the task
        _known([1.0, 1.0, 0.75], [True, False, True], 4),
        _known([0.0, 0.0, 0.7], [True, False, True], 4),
        _known([0.25, 0.2, 0.5, 0.55], [False, True, False, True], 4),
        _known([0.75, 0.5, 0.25, 0.9], [1, 0, 1, 1], 4),
        _known([0.8, 0.6, 0.3], [True, True, True], 2),
        _known([0.8, 0.6, 0.3], [False, False, False], 1),
        _known([0.42], [1.0]),
        _drawn(1, 40),
        _drawn(2, 300),
        _drawn(3, 60, 5),
        _drawn(4, 90, 20),
        Case(torch.rand(0), torch.rand(0) > 0.5, raises=ValueError),
        _known([0.5, 0.6], [True], raises=ValueError),
        _known([0.5, 1.5], [True, False], raises=ValueError),
        _known([-0.25, 0.5], [True, False], raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "bins_weigh_the_same",
            "Every bin counts the same with you. Weigh each by how many answers lie in it.",
            _binned(total=lambda gaps, counts, bins: gaps.mean()),
        ),
        Mistake(
            "empty_bins_counted",
            "You divide by the number of all bins, the empty ones included. They count nothing: "
            "weigh each bin by its share of the answers.",
            _binned(total=lambda gaps, counts, bins: gaps.sum() / bins),
        ),
        Mistake(
            "not_divided_by_n",
            "The weight of a bin is its share of all answers: its count divided by N.",
            _binned(total=lambda gaps, counts, bins: (gaps * counts).sum()),
        ),
        Mistake(
            "bins_added_up",
            "You add up the gaps without weights. Weigh each by its bin's share of the answers.",
            _binned(total=lambda gaps, counts, bins: gaps.sum()),
        ),
        Mistake(
            "largest_gap",
            "That is the largest gap of any bin (the maximum calibration error). Asked for is the "
            "mean, weighted.",
            _binned(total=lambda gaps, counts, bins: gaps.max()),
        ),
        Mistake(
            "middle_of_the_bin",
            "You compare with the middle of the bin. It is the mean of the confidences in it that "
            "counts.",
            _binned(sure=lambda p, b, bins: torch.tensor((b + 0.5) / bins, dtype=torch.float64)),
        ),
        Mistake(
            "sign_kept",
            "Too sure in one bin and not sure enough in another cancel each other with you. Take "
            "the absolute value of each gap.",
            _binned(gap=lambda acc, sure: acc - sure),
        ),
        Mistake(
            "squared",
            "You square the gaps. Asked for is their absolute value.",
            _binned(gap=lambda acc, sure: (acc - sure) ** 2),
        ),
        Mistake(
            "no_bins",
            "You compare the mean confidence with the share of right answers, all in one heap: "
            "then a model that is too sure here and not enough there seems perfect. Do it for each "
            "bin.",
            _in_one_heap,
        ),
        Mistake(
            "brier_score",
            "That is the Brier score, the mean square of confidence minus result. Asked for is "
            "the gap of each bin.",
            _brier,
        ),
        Mistake(
            "each_answer_alone",
            "You take the gap of each answer by itself. A single answer is right or wrong, and "
            "0.7 is neither: means of a bin are compared.",
            _each_alone,
        ),
        Mistake(
            "equally_full_bins",
            "Your bins hold equally many answers. Asked for are bins of equal *width*.",
            _equally_full,
        ),
        Mistake(
            "nan_in_empty_bins",
            "The mean of an empty bin is nan, and so is everything that it is added to. Leave "
            "empty bins out: `if here.any():`.",
            _nan_in_empty_bins,
        ),
        Mistake(
            "lower_edge_included",
            "An answer at the edge of two bins belongs to the lower one: `low < confidence <= "
            "high`. Yours lands in the upper one.",
            _binned(place=lambda p, bins: (p * bins).long().clamp(max=bins - 1)),
        ),
        Mistake(
            "confidence_of_1_lost",
            "Edges count for the upper bin with you, and a confidence of exactly 1 is in no bin "
            "at all: it belongs to the last, `low < confidence <= high`.",
            _ones_lost,
        ),
        Mistake(
            "confidence_of_0_lost",
            "A confidence of exactly 0 is in no bin with you. It belongs to the first.",
            _zeros_lost,
        ),
        Mistake(
            "always_ten_bins",
            "`bins` is not used: there are always ten.",
            _binned(n_bins=lambda bins: 10),
        ),
        Mistake(
            "any_confidence_accepted",
            "All is right but one thing: a confidence below 0 or above 1 is none, and needs a "
            "`ValueError` with a sentence.",
            _binned(
                place=lambda p, bins: (p * bins).ceil().long().clamp(min=1, max=bins) - 1,
                refuse=_in_range_not_asked,
            ),
        ),
    ],
    hints=[
        "Go through the bins: `low, high = b / bins, (b + 1) / bins`, and `here = (confidence > "
        "low) & (confidence <= high)`; in the first bin a confidence of 0 belongs to it as well.",
        "For a bin with answers: the share that is right, minus the mean confidence, absolute, "
        "times `here.sum() / len(confidence)`. Add these up.",
        "`correct[here].float().mean()` is the share that is right. Look at the inputs first: "
        "empty, of different lengths, outside 0 … 1 are a `ValueError` each.",
    ],
)
