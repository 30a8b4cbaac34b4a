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
        Case(1, 0.0, 2.0),
        Case(4),
        Case(3, mean=1.0),
        Case(2, std=3.0),
        Case(3, 1.5, 0.0),
        Case(10, 1, 2),
    ],
    mistakes=[
        Mistake(
            "standard_deviation",
            "That is the standard deviation, the root of what is asked. It grows with √d_k, the "
            "variance with d_k.",
            lambda d_k, mean=0.0, std=1.0: np.sqrt(d_k * std**2 * (std**2 + 2 * mean**2)),
        ),
        Mistake(
            "d_k_squared",
            "You multiply by d_k². Variances of independent terms add up: d_k terms, d_k times "
            "the variance of one.",
            lambda d_k, mean=0.0, std=1.0: d_k**2 * std**2 * (std**2 + 2 * mean**2),
        ),
        Mistake(
            "d_k_forgotten",
            "That is the variance of one product; a score is the sum of d_k of them.",
            lambda d_k, mean=0.0, std=1.0: std**2 * (std**2 + 2 * mean**2),
        ),
        Mistake(
            "mean_ignored",
            "Right when the mean is 0. Otherwise Var(ab) = E[a²]E[b²] − (E[a]E[b])², and "
            "E[a²] = std² + mean².",
            lambda d_k, mean=0.0, std=1.0: d_k * std**4,
        ),
        Mistake(
            "mean_not_subtracted",
            "You have E[a²]E[b²], the mean of the *square*. The variance subtracts the square of "
            "the mean: (E[a]E[b])² = mean⁴.",
            lambda d_k, mean=0.0, std=1.0: d_k * (std**2 + mean**2) ** 2,
        ),
        Mistake(
            "variance_of_one_factor",
            "You use std² once. Both factors vary: with mean 0, Var(ab) = std² · std².",
            lambda d_k, mean=0.0, std=1.0: d_k * std**2,
        ),
        Mistake(
            "standard_case_only",
            "Right for mean 0 and standard deviation 1 only. The variance depends on both.",
            lambda d_k, mean=0.0, std=1.0: d_k,
        ),
        Mistake(
            "std_not_squared",
            "E[a²] = std² + mean²: the *variance* is the square of the standard deviation.",
            lambda d_k, mean=0.0, std=1.0: d_k * ((std + mean**2) ** 2 - mean**4),
        ),
        Mistake(
            "mean_squared_subtracted",
            "You take E[a²] as std² − mean². From Var(a) = E[a²] − E[a]² follows "
            "E[a²] = std² + mean².",
            lambda d_k, mean=0.0, std=1.0: d_k * ((std**2 - mean**2) ** 2 - mean**4),
        ),
        Mistake(
            "one_mixed_term",
            "Multiply out (std² + mean²)²: the mixed term std² · mean² stands there *twice*.",
            lambda d_k, mean=0.0, std=1.0: d_k * (std**4 + std**2 * mean**2),
        ),
        Mistake(
            "brackets_forgotten",
            "d_k multiplies only the first part. The variance of one product is the whole "
            "difference: put brackets around it.",
            lambda d_k, mean=0.0, std=1.0: d_k * (std**2 + mean**2) ** 2 - mean**4,
        ),
        Mistake(
            "variances_added",
            "You add the variances of the two factors. In a *product* they multiply: with mean 0, "
            "Var(ab) = std² · std².",
            lambda d_k, mean=0.0, std=1.0: d_k * 2 * std**2,
        ),
        Mistake(
            "formula_for_the_whole_score",
            "You multiply E[a²]E[b²] by d_k and (E[a]E[b])² by d_k². Take the variance of *one* "
            "product first; d_k of these add up.",
            lambda d_k, mean=0.0, std=1.0: d_k * (std**2 + mean**2) ** 2 - d_k**2 * mean**4,
        ),
        Mistake(
            "mean_squared_for_fourth_power",
            "You subtract mean². The mean of a product is E[a]E[b] = mean², and the variance "
            "subtracts the *square* of that: mean⁴.",
            lambda d_k, mean=0.0, std=1.0: d_k * ((std**2 + mean**2) ** 2 - mean**2),
        ),
    ],
    hints=[
        "The terms q_c · k_c are independent of one another: their variances add up.",
        "For one term, Var(ab) = E[a²b²] − (E[ab])², and independence splits each mean into two.",
        "E[a²] = std² + mean². With mean 0 and std 1 everything must shrink to d_k.",
    ],
)
