"""Exercise 0.1, `dot`: its oracle, inputs, mistakes and hints."""

import numpy as np

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal_array


def _unfinished(step):
    """A loop that goes wrong at one step: (sum so far, product) -> sum so far."""

    def mutant(a, b):
        total = 0.0
        for x, y in zip(a, b, strict=True):
            total = step(total, x * y)
        return total

    return mutant


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
        Case(np.array([1.0, 0.5, 0.25]), np.array([1.0, 0.5, 2.0])),
        Case(np.array([0.0, 0.0]), np.array([0.0, 0.0])),
        Case(normal_array(3, 12), normal_array(4, 12)),
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
        Mistake(
            "first_product_only",
            "Only the first product is left: does the `return` stand inside the loop?",
            lambda a, b: (a * b)[0],
        ),
        Mistake(
            "last_product_only",
            "Only the last product is left: in the loop add to the sum, `+=`, do not replace it.",
            _unfinished(lambda total, product: product),
        ),
        Mistake(
            "last_product_missing",
            "The last product is missing: how far does your loop count?",
            lambda a, b: (a * b)[:-1].sum(),
        ),
        Mistake(
            "cut_to_an_integer",
            "You cut the result to a whole number; a dot product keeps its fraction.",
            lambda a, b: int((a * b).sum()),
        ),
        Mistake(
            "table",
            "You multiply every number of `a` with every number of `b`, which is the *outer* "
            "product. Multiply only numbers at the same place, and add up.",
            lambda a, b: np.outer(a, b),
        ),
        Mistake(
            "not_a_number_but_an_array",
            "The number is right, but it stands in an array of shape `(1,)`. Return the number "
            "itself.",
            lambda a, b: np.array([(a * b).sum()]),
        ),
        Mistake(
            "differences",
            "You add up *differences*. Multiply the numbers that stand at the same place.",
            lambda a, b: (a - b).sum(),
        ),
        Mistake(
            "length_of_the_products",
            "You take the length of the vector of products (or a root at the end). Just add up "
            "the products.",
            lambda a, b: np.linalg.norm(a * b),
        ),
    ],
    hints=[
        "What does `a * b` give, for two arrays of the same length?",
        "Arrays have a method `.sum()`.",
    ],
)
