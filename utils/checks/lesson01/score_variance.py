"""Exercise 1.3, `score_variance`: its oracle, inputs, mistakes and hints."""

import itertools

import numpy as np

from utils.checks.engine.exercise import Case, Exercise, Mistake


def _score_variance(d_k, mean=0.0, std=1.0):
    """Count out every case: each component is mean - std or mean + std, like a coin."""
    if d_k > 6:  # too many cases; the lesson only needs a number to go on with
        return d_k * _score_variance(1, mean, std)
    coin = [mean - std, mean + std]
    vectors = np.array([*itertools.product(coin, repeat=d_k)])
    return float(np.var(vectors @ vectors.T))


score_variance = Exercise(
    number="1.3",
    name="score_variance",
    oracle=_score_variance,
    compared_with="a count of all 4^d_k outcomes",
    cases=lambda: [
        Case(3, 0.5, 2.0),
        Case(1, 0.0, 1.0),
        Case(2, 0.0, 3.0),
        Case(4, -1.0, 0.5),
        Case(5, 2.0, 1.0),
    ],
    mistakes=[
        Mistake(
            "standard_deviation",
            "That is the standard deviation, the root of what is asked. It grows with √d_k, the "
            "variance with d_k.",
            lambda d, m, s: np.sqrt(d * s**2 * (s**2 + 2 * m**2)),
        ),
        Mistake(
            "d_k_squared",
            "You multiply by d_k². Variances of independent terms add up: d_k terms, d_k times "
            "the variance of one.",
            lambda d, m, s: d**2 * s**2 * (s**2 + 2 * m**2),
        ),
        Mistake(
            "d_k_forgotten",
            "That is the variance of one product; a score is the sum of d_k of them.",
            lambda d, m, s: s**2 * (s**2 + 2 * m**2),
        ),
        Mistake(
            "mean_ignored",
            "Right when the mean is 0. Otherwise Var(ab) = E[a²]E[b²] − (E[a]E[b])², and "
            "E[a²] = std² + mean².",
            lambda d, m, s: d * s**4,
        ),
        Mistake(
            "mean_not_subtracted",
            "You have E[a²]E[b²], the mean of the *square*. The variance subtracts the square of "
            "the mean: (E[a]E[b])² = mean⁴.",
            lambda d, m, s: d * (s**2 + m**2) ** 2,
        ),
        Mistake(
            "variance_of_one_factor",
            "You use std² once. Both factors vary: with mean 0, Var(ab) = std² · std².",
            lambda d, m, s: d * s**2,
        ),
        Mistake(
            "formula_for_the_whole_score",
            "You multiply E[a²]E[b²] by d_k and (E[a]E[b])² by d_k². Take the variance of *one* "
            "product first; d_k of these add up.",
            lambda d, m, s: d * (s**2 + m**2) ** 2 - d**2 * m**4,
        ),
        Mistake(
            "mean_squared_for_fourth_power",
            "You subtract mean². The mean of a product is E[a]E[b] = mean², and the variance "
            "subtracts the *square* of that: mean⁴.",
            lambda d, m, s: d * ((s**2 + m**2) ** 2 - m**2),
        ),
    ],
    hints=[
        "The terms q_c · k_c are independent of one another: their variances add up.",
        "For one term, Var(ab) = E[a²b²] − (E[ab])², and independence splits each mean into two.",
        "E[a²] = std² + mean². With mean 0 and std 1 everything must shrink to d_k.",
    ],
)
