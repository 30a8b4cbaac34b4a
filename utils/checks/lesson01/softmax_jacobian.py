"""Exercise 1.5 (stretch), `softmax_jacobian`: its oracle, inputs, mistakes and hints."""

import numpy as np
import torch
from scipy.special import softmax as _softmax

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded


def _softmax_jacobian(p):
    x = torch.as_tensor(p, dtype=torch.float64).log()  # -inf for a weight of 0
    return torch.autograd.functional.jacobian(lambda x: x.softmax(-1), x).numpy()


def _shares(seed, T):
    """Random weights that sum to 1: (T,)."""
    return np.random.default_rng(seeded(seed)).dirichlet(np.ones(T))


softmax_jacobian = Exercise(
    number="1.5",
    name="softmax_jacobian",
    oracle=_softmax_jacobian,
    compared_with="`torch.autograd.functional.jacobian`",
    cases=lambda: [
        Case(np.array([0.2, 0.3, 0.5])),
        Case(np.array([0.25, 0.75])),
        Case(np.array([0.1, 0.2, 0.3, 0.4])),
        Case(np.array([1.0, 0.0, 0.0])),
        Case(np.array([0.5, 0.0, 0.5, 0.0])),
        Case(np.array([0.25, 0.25, 0.25, 0.25])),
        Case(np.array([1.0])),
        Case(_shares(1, 5)),
        Case(_shares(2, 40)),
    ],
    mistakes=[
        Mistake(
            "only_the_diagonal",
            "Raising one score also takes weight from all the others: the entries off the diagonal "
            "are −p_i p_j, not 0.",
            lambda p: np.diag(p * (1 - p)),
        ),
        Mistake(
            "diagonal_forgotten",
            "Off the diagonal it is right. On it one more p_i comes from the score's own "
            "exponential: p_i − p_i².",
            lambda p: -np.outer(p, p),
        ),
        Mistake(
            "sign_off_diagonal",
            "The sign off the diagonal is wrong: if one score rises, the other weights fall.",
            lambda p: np.diag(p) + np.outer(p, p),
        ),
        Mistake(
            "vector",
            "That is only the diagonal, as a vector. Every weight depends on every score: the "
            "result is a table of shape `(T, T)`.",
            lambda p: p * (1 - p),
        ),
        Mistake(
            "ones_for_p",
            "On the diagonal stands p_i(1 − p_i), not 1 − p_i²: the diagonal matrix to start from "
            "is `np.diag(p)`, not `np.eye(T)`.",
            lambda p: np.eye(len(p)) - np.outer(p, p),
        ),
        Mistake(
            "sign_turned",
            "All signs are turned round: a score that rises lifts its own weight.",
            lambda p: np.outer(p, p) - np.diag(p),
        ),
        Mistake(
            "product_in_place_of_a_table",
            "`p * p` and `p @ p` do not make a table: every p_i has to meet every p_j, "
            "`np.outer(p, p)`.",
            lambda p: np.diag(p) - p * p,
        ),
        Mistake(
            "factor_forgotten",
            "The factor p_i is missing: the entry is p_i(δ_ij − p_j), and yours is δ_ij − p_j.",
            lambda p: np.eye(len(p)) - p,
        ),
        Mistake(
            "delta_forgotten",
            "You use p_i(1 − p_j) everywhere. The 1 stands there only if i = j; off the diagonal "
            "it is −p_i p_j.",
            lambda p: np.outer(p, 1 - p),
        ),
        Mistake(
            "softmax_again",
            "You put `p` through a softmax once more. `p` holds the weights already.",
            lambda p: np.diag(_softmax(p)) - np.outer(_softmax(p), _softmax(p)),
        ),
        Mistake(
            "diagonal_replaced",
            "On the diagonal stands p_i alone. Even there p_i · p_i is subtracted: p_i − p_i².",
            lambda p: np.diag(p + p**2) - np.outer(p, p),
        ),
        Mistake(
            "outer_product_forgotten",
            "That is only the diagonal matrix of the weights. An outer product is still to be "
            "subtracted.",
            lambda p: np.diag(p),
        ),
        Mistake(
            "divides_by_a_weight",
            "Right until a weight is 0: your formula divides by it. Multiply it out first.",
            lambda p: np.outer(p, p) * (np.eye(len(p)) / p[:, None] - 1),
        ),
    ],
    hints=[
        "Write p_i = e_i / S with S the sum of all e_j, and use the quotient rule.",
        "If i = j the numerator changes as well; if not, only the sum S does.",
        "As matrices: a diagonal one minus an outer product.",
    ],
)
