"""Exercise 1.1, `scores`: its oracle, inputs, mistakes and hints."""

import numpy as np
import scipy.special

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal_array


def _scores(q, k):
    return np.einsum("id,jd->ij", q, k)


def _cosine(q, k):
    lengths = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(k, axis=1)[None, :]
    return q @ k.T / lengths


def _differences(q, k):
    return q[:, None, :] - k[None, :, :]  # (T_q, T_k, d_k)


scores = Exercise(
    number="1.1",
    name="scores",
    oracle=_scores,
    compared_with="`np.einsum('id,jd->ij', q, k)`",
    cases=lambda: [
        Case(normal_array(1, 2, 3), normal_array(2, 4, 3)),
        Case(normal_array(3, 3, 3), normal_array(4, 3, 3)),
        Case(normal_array(5, 1, 2), normal_array(6, 2, 2)),
        Case(np.array([[1.0, 0.0, 2.0]]), np.array([[3.0, 1.0, 1.0], [0.0, 5.0, 0.0]])),
        Case(normal_array(7, 4, 7), normal_array(8, 3, 7)),
        Case(normal_array(9, 3, 2), normal_array(10, 1, 2)),
        Case(normal_array(11, 12, 1), normal_array(12, 12, 1)),
    ],
    mistakes=[
        Mistake(
            "k_not_transposed",
            "`k` is not transposed: `q @ k` multiplies the *numbers* of `q` with the *words* of "
            "`k`. Every query has to meet every key: `k.T` turns the keys into columns.",
            lambda q, k: q @ k,
        ),
        Mistake(
            "queries_and_keys_swapped",
            "Rows and columns are swapped: entry `[i, j]` has to be query `i` with key `j`; "
            "yours is key `i` with query `j`.",
            lambda q, k: k @ q.T,
        ),
        Mistake(
            "row_by_row",
            "Query `i` meets only key `i`. Every query has to meet every key, "
            "so the result is a table of shape `(T_q, T_k)`.",
            lambda q, k: (q * k).sum(axis=1),
        ),
        Mistake(
            "not_summed",
            "`q * k` multiplies but does not add up. A dot product is the *sum* of the products.",
            lambda q, k: q * k,
        ),
        Mistake(
            "scaled_already",
            "You divide by √d_k already. That is right in the end, and comes in exercise 1.4; here "
            "the plain dot products are wanted.",
            lambda q, k: q @ k.T / np.sqrt(k.shape[1]),
        ),
        Mistake(
            "mean_for_sum",
            "You take the mean of the products; a dot product is their sum.",
            lambda q, k: q @ k.T / k.shape[1],
        ),
        Mistake(
            "cosine",
            "You divide by the lengths of the vectors: that is the cosine. Attention keeps the "
            "lengths; a long key may call louder.",
            _cosine,
        ),
        Mistake(
            "queries_with_queries",
            "You compare the queries with themselves: `k` is not used.",
            lambda q, k: q @ q.T,
        ),
        Mistake(
            "keys_with_keys",
            "You compare the keys with themselves: `q` is not used.",
            lambda q, k: k @ k.T,
        ),
        Mistake(
            "last_product_only",
            "Only the product of the last components is left: add up over all of them "
            "(`+=`, not `=`).",
            lambda q, k: np.outer(q[:, -1], k[:, -1]),
        ),
        Mistake(
            "first_product_only",
            "Only the product of the first components is there: does the `return` (or the line "
            "that stores) stand inside the innermost loop?",
            lambda q, k: np.outer(q[:, 0], k[:, 0]),
        ),
        Mistake(
            "first_query_only",
            "Only the first query's row is there. Every query needs a row of its own.",
            lambda q, k: q[0] @ k.T,
        ),
        Mistake(
            "negative_distances",
            "You measure closeness, as in the café. From here on fit is a *dot product*: multiply "
            "number by number, and add up.",
            lambda q, k: -(_differences(q, k) ** 2).sum(-1),
        ),
        Mistake(
            "squared_distances",
            "You add up squared differences: that is a distance. A dot product adds up *products*.",
            lambda q, k: (_differences(q, k) ** 2).sum(-1),
        ),
        Mistake(
            "softmax_already",
            "You have made shares of the scores already. That is exercise 1.2; here the plain dot "
            "products are wanted.",
            lambda q, k: scipy.special.softmax(q @ k.T, axis=-1),
        ),
        Mistake(
            "sign_lost",
            "A dot product may be negative; yours never is.",
            lambda q, k: np.abs(q @ k.T),
        ),
        Mistake(
            "cut_to_integers",
            "The scores are cut to whole numbers. Make the table for floats: `np.zeros(...)` "
            "without a `dtype`.",
            lambda q, k: (q @ k.T).astype(int),
        ),
        Mistake(
            "axis_lost",
            "The numbers are right, but with one query the table has lost an axis: its shape is "
            "`(1, T_k)`. Is there a `squeeze`?",
            lambda q, k: (q @ k.T).squeeze(),
        ),
    ],
    hints=[
        "Write it for one query and one key first: `sum(q[0, c] * k[0, c] for c in ...)`.",
        "Two loops around it fill a table of shape `(T_q, T_k)`.",
        "A matrix product takes rows of the left with columns of the right. Your keys are rows.",
    ],
)
