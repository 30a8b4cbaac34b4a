"""Exercise 13.4, `pass_at_k`: its oracle, inputs, mistakes and hints."""

import math

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.probes import with_sentence


def _possible(n, c, k):
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"n={n}, c={c}, k={k}: c lies in 0 … n and k in 1 … n")


def _pass_at_k(n, c, k):
    from scipy.stats import hypergeom

    _possible(n, c, k)
    return float(hypergeom.sf(0, n, c, k))


def _estimate(of, refuse=_possible):
    """A formula, after the numbers were looked at."""

    def mutant(n, c, k):
        refuse(n, c, k)
        return of(n, c, k)

    return mutant


def _unbiased(n, c, k):
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def _k_may_be_anything(n, c, k):
    _possible(n, c, 1)
    if k < 1:
        raise ValueError(f"k is {k}: at least one must be drawn")


def _one_factor_short(n, c, k):
    return 1 - math.prod((n - c - i) / (n - i) for i in range(k - 1))


def _zero_where_none_is_left(n, c, k):
    return 0.0 if n - c < k else _unbiased(n, c, k)


pass_at_k = Exercise(
    number="13.4",
    name="pass_at_k",
    oracle=_pass_at_k,
    compared_with="SciPy's hypergeometric distribution",
    probe=with_sentence,
    tolerance=Tolerance(absolute=1e-8, relative=1e-8),
    cases=lambda: [
        Case(4, 1, 2),
        Case(10, 3, 4),
        Case(10, 3, 1),
        Case(5, 2, 4),
        Case(6, 6, 1),
        Case(6, 0, 3),
        Case(6, 1, 6),
        Case(1, 1, 1),
        Case(1, 0, 1),
        Case(7, 3, 5),
        Case(200, 3, 100),
        Case(2000, 20, 300),
        Case(10, 3, 11, raises=ValueError),
        Case(10, 11, 2, raises=ValueError),
        Case(10, -1, 2, raises=ValueError),
        Case(10, 3, 0, raises=ValueError),
        Case(0, 0, 1, raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "naive",
            "1 − (1 − c/n)^k draws with replacement, as if the same answer could come twice. It is "
            "too low on average (Chen et al., 2021, §2.1). Draw k *different* ones: "
            "1 − C(n − c, k) / C(n, k).",
            _estimate(lambda n, c, k: 1 - (1 - c / n) ** k),
        ),
        Mistake(
            "share_right",
            "You return c / n, whatever k is: that is pass@1.",
            _estimate(lambda n, c, k: c / n),
        ),
        Mistake(
            "k_times_the_share",
            "k·c/n, cut off at 1, counts a draw with two right answers twice.",
            _estimate(lambda n, c, k: min(1.0, k * c / n)),
        ),
        Mistake(
            "all_wrong",
            "That is the probability that *none* of the k is right. Subtract it from 1.",
            _estimate(lambda n, c, k: math.comb(n - c, k) / math.comb(n, k)),
        ),
        Mistake(
            "all_right",
            "That is the probability that *all* k are right. One right answer is enough.",
            _estimate(lambda n, c, k: math.comb(c, k) / math.comb(n, k)),
        ),
        Mistake(
            "one_wrong_is_enough",
            "C(c, k) counts the draws of nothing but *right* answers. It is the draws of nothing "
            "but wrong ones that fail: C(n − c, k).",
            _estimate(lambda n, c, k: 1 - math.comb(c, k) / math.comb(n, k)),
        ),
        Mistake(
            "exactly_one",
            "That is the probability of exactly one right answer. Two right ones pass as well.",
            _estimate(lambda n, c, k: c * math.comb(n - c, k - 1) / math.comb(n, k)),
        ),
        Mistake(
            "one_factor_short",
            "Your product has k − 1 factors. k answers are drawn, one after the other: k factors.",
            _estimate(_one_factor_short),
        ),
        Mistake(
            "zero_where_too_few_are_wrong",
            "Where fewer than k answers are wrong, one of any k must be right: 1 and not 0.",
            _estimate(_zero_where_none_is_left),
        ),
        Mistake(
            "whole_numbers",
            "`//` divides without a remainder: the quotient is 0 or 1. Write `/`.",
            _estimate(lambda n, c, k: float(1 - math.comb(n - c, k) // math.comb(n, k))),
        ),
        Mistake(
            "denominator_without_k",
            "You divide by C(n, c). The draws that are possible are C(n, k).",
            _estimate(lambda n, c, k: 1 - math.comb(n - c, k) / math.comb(n, c)),
        ),
        Mistake(
            "percent",
            "You return percent. Asked for is a probability, between 0 and 1.",
            _estimate(lambda n, c, k: 100 * _unbiased(n, c, k)),
        ),
        Mistake(
            "k_of_0_accepted",
            "All is right but one thing: with k = 0 nothing is drawn. Raise a `ValueError` (with a "
            "sentence) there: k lies in 1 … n.",
            _estimate(_unbiased, refuse=lambda n, c, k: _possible(n, c, k) if k else None),
        ),
        Mistake(
            "k_above_n_accepted",
            "All is right but one thing: from n answers no more than n can be drawn. Raise a "
            "`ValueError` (with a sentence) where k > n; from so few samples pass@k is not known.",
            _estimate(
                lambda n, c, k: 1.0 if k > n else _unbiased(n, c, k), refuse=_k_may_be_anything
            ),
        ),
    ],
    hints=[
        "Turn it round: how likely is it that all k are wrong? Then subtract from 1.",
        "`math.comb(n, k)` counts the ways to draw k of n, `math.comb(n - c, k)` those with "
        "nothing but wrong ones; it is 0 where fewer than k are wrong.",
        "`if not 0 <= c <= n or not 1 <= k <= n: raise ValueError(…)`, then "
        "`1 - math.comb(n - c, k) / math.comb(n, k)`.",
    ],
)
