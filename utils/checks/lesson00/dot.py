"""Exercise 0.1, `dot`: its oracle, inputs, mistakes and hints."""

import numpy as np

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal_array

dot = Exercise(
    number="0.1",
    name="dot",
    oracle=lambda a, b: float(np.dot(a, b)),
    compared_with="`np.dot`",
    cases=lambda: [
        Case(np.array([1.0, 2.0, 3.0]), np.array([4.0, 0.0, -1.0])),
        Case(np.array([2.0, 5.0]), np.array([3.0, 1.0])),
        Case(normal_array(1, 6), normal_array(2, 6)),
        Case(np.array([1.0, -3.0]), np.array([2.0, 1.0])),
        Case(np.array([3.0]), np.array([-2.0])),
    ],
    mistakes=[
        Mistake(
            "not_summed",
            "`a * b` multiplies number by number. The dot product adds these products up.",
            lambda a, b: a * b,
        ),
        Mistake(
            "sums_multiplied",
            "You add up first and multiply then. Multiply number by number, then add up.",
            lambda a, b: a.sum() * b.sum(),
        ),
        Mistake(
            "mean",
            "You take the mean of the products; the dot product is their sum.",
            lambda a, b: (a * b).mean(),
        ),
        Mistake(
            "added",
            "You add the two vectors up; their numbers have to be *multiplied* with each other.",
            lambda a, b: (a + b).sum(),
        ),
        Mistake(
            "with_itself",
            "You multiply `a` with itself: `b` is not used.",
            lambda a, b: (a * a).sum(),
        ),
        Mistake(
            "sign_lost",
            "A dot product may be negative; yours never is.",
            lambda a, b: abs((a * b).sum()),
        ),
    ],
    hints=[
        "What does `a * b` give, for two arrays of the same length?",
        "Arrays have a method `.sum()`.",
    ],
)
