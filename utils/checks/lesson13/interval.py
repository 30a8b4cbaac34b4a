"""Exercise 13.1, `interval`: its oracle, inputs, mistakes and hints."""

import math
from statistics import NormalDist

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.probes import with_sentence


def _possible(k, n):
    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is not possible")


def _interval(k, n, confidence=0.95):
    from scipy.stats import binomtest

    _possible(k, n)
    low, high = binomtest(k, n).proportion_ci(confidence, method="wilson")
    return float(low), float(high)


def _probe(answer, *given):
    found = with_sentence(answer, *given)
    two = getattr(found, "shape", None) == (2,)  # an array or a tensor can be unpacked as well
    return tuple(found.tolist()) if two else found


def _two_sided(confidence):
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _wilson(
    z=_two_sided,
    share=lambda k, n: k / n,
    size=lambda n: n,
    shift=lambda z, n: z**2 / (2 * n),
    divisor=lambda z, n: 1 + z**2 / n,
    root=lambda p, z, n: math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)),
    finish=lambda low, high: (low, high),
    refuse=_possible,
):
    """Wilson's interval with one step replaced."""

    def mutant(k, n, confidence=0.95):
        refuse(k, n)
        p, n, quantile = share(k, n), size(n), z(confidence)
        centre = (p + shift(quantile, n)) / divisor(quantile, n)
        half = quantile * root(p, quantile, n) / divisor(quantile, n)
        return finish(centre - half, centre + half)

    return mutant


def _usual(k, n, confidence=0.95):
    _possible(k, n)
    p, z = k / n, _two_sided(confidence)
    half = z * math.sqrt(p * (1 - p) / n)
    return p - half, p + half


def _usual_cut_off(k, n, confidence=0.95):
    low, high = _usual(k, n, confidence)
    return max(low, 0.0), min(high, 1.0)


def _two_added(k, n, confidence=0.95):
    _possible(k, n)
    return _usual(k + 2, n + 4, confidence)


def _exact(k, n, confidence=0.95):
    from scipy.stats import binomtest

    _possible(k, n)
    return tuple(map(float, binomtest(k, n).proportion_ci(confidence, method="exact")))


interval = Exercise(
    number="13.1",
    name="interval",
    oracle=_interval,
    compared_with="SciPy's `binomtest(k, n).proportion_ci(method='wilson')`",
    probe=_probe,
    tolerance=Tolerance(absolute=2e-5, relative=0),  # 1.96 is good enough for 1.95996
    cases=lambda: [
        Case(8, 10),
        Case(0, 10),
        Case(20, 20),
        Case(1, 1),
        Case(54, 100),
        Case(30, 50, 0.9),
        Case(3, 7, 0.5),
        Case(999, 1000, 0.99),
        Case(700_000, 1_000_000),
        Case(0, 0, raises=ValueError),
        Case(11, 10, 0.99, raises=ValueError),
        Case(-1, 10, raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "textbook_interval",
            "That is the textbook's interval, p ± z·√(p(1 − p)/n). Where all or none are right it "
            "has no width at all, and elsewhere it can reach below 0. Wilson's moves the centre "
            "and adds under the root.",
            _usual,
        ),
        Mistake(
            "textbook_interval_cut_off",
            "That is the textbook's interval, cut off at 0 and 1. For 20 of 20 it claims that "
            "nothing but 100% is possible. Use Wilson's formula.",
            _usual_cut_off,
        ),
        Mistake(
            "two_added",
            "You add two right and two wrong ones and take the textbook's formula (Agresti and "
            "Coull). It is close to Wilson's, but not the same.",
            _two_added,
        ),
        Mistake(
            "exact_interval",
            "That is the interval of Clopper and Pearson, which is wider. Asked for is Wilson's.",
            _exact,
        ),
        Mistake(
            "one_sided",
            "Your z leaves out 5% on one side. An interval leaves out half of it on each: "
            "`inv_cdf((1 + confidence) / 2)`, which is 1.96 for 95%.",
            _wilson(z=lambda c: NormalDist().inv_cdf(c)),
        ),
        Mistake(
            "always_95_percent",
            "Right for 95%, but `confidence` is not used: z is "
            "`NormalDist().inv_cdf((1 + confidence) / 2)`.",
            _wilson(z=lambda c: _two_sided(0.95)),
        ),
        Mistake(
            "z_left_out",
            "There is no z in it: that is one standard error to each side, which covers two "
            "thirds and not 95%.",
            _wilson(z=lambda c: 1.0),
        ),
        Mistake(
            "not_divided",
            "Centre and half width are both divided by 1 + z²/n. Yours are not.",
            _wilson(divisor=lambda z, n: 1),
        ),
        Mistake(
            "centre_not_moved",
            "The centre is p + z²/(2n), divided by 1 + z²/n: without the second term it is drawn "
            "towards 0 and not towards one half.",
            _wilson(shift=lambda z, n: 0),
        ),
        Mistake(
            "moved_twice_as_far",
            "The centre is moved by z²/n. It is half of that: z²/(2n).",
            _wilson(shift=lambda z, n: z**2 / n),
        ),
        Mistake(
            "nothing_added_under_the_root",
            "Under the root z²/(4n²) is added. Without it the interval has no width where all are "
            "right.",
            _wilson(root=lambda p, z, n: math.sqrt(p * (1 - p) / n)),
        ),
        Mistake(
            "n_not_squared",
            "What is added under the root is z²/(4n²): the n is squared.",
            _wilson(root=lambda p, z, n: math.sqrt(p * (1 - p) / n + z**2 / (4 * n))),
        ),
        Mistake(
            "no_root",
            "The root is missing: p(1 − p)/n is a variance, and its root the standard error.",
            _wilson(root=lambda p, z, n: p * (1 - p) / n + z**2 / (4 * n**2)),
        ),
        Mistake(
            "n_forgotten",
            "Under the root p(1 − p) is not divided by n. The more examples, the narrower.",
            _wilson(root=lambda p, z, n: math.sqrt(p * (1 - p) + z**2 / (4 * n**2))),
        ),
        Mistake(
            "n_minus_1",
            "You divide by n − 1 somewhere. Wilson's formula has n throughout.",
            _wilson(root=lambda p, z, n: math.sqrt(p * (1 - p) / max(n - 1, 1) + (z / n) ** 2 / 4)),
        ),
        Mistake(
            "percent",
            "You return percent. Asked for are shares, between 0 and 1.",
            _wilson(finish=lambda low, high: (100 * low, 100 * high)),
        ),
        Mistake(
            "the_other_way_round",
            "Your upper end comes first. Return `(low, high)`.",
            _wilson(finish=lambda low, high: (high, low)),
        ),
        Mistake(
            "centre_and_half_width",
            "You return the centre and half the width. Asked for are the two ends.",
            _wilson(finish=lambda low, high: ((low + high) / 2, (high - low) / 2)),
        ),
        Mistake(
            "of_the_wrong_ones",
            "That is the interval for the wrong answers: n − k in place of k.",
            _wilson(share=lambda k, n: 1 - k / n),
        ),
        Mistake(
            "impossible_counts_accepted",
            "All is right but one thing: 11 of 10 and −1 of 10 are not possible, and need a "
            "`ValueError` with a sentence.",
            _wilson(
                refuse=lambda k, n: _possible(0, n),
                root=lambda p, z, n: math.sqrt(abs(p * (1 - p) / n + z**2 / (4 * n**2))),
            ),
        ),
    ],
    hints=[
        "z for a confidence of 95% is 1.96: `statistics.NormalDist().inv_cdf((1 + confidence) / "
        "2)` has it for every confidence.",
        "Write the three parts apart: the centre (p + z²/(2n)), half the width z·√(p(1 − p)/n + "
        "z²/(4n²)), and 1 + z²/n, by which both are divided.",
        "Before all that: `if n < 1 or not 0 <= k <= n: raise ValueError(…)` with a sentence.",
    ],
)
