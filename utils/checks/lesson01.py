"""Lesson 01: attention, by hand. Answers take and return NumPy arrays."""

import itertools

import numpy as np
import scipy.special
import torch
import torch.nn.functional as F

from utils.checks import hint, progress  # noqa: F401  (a lesson calls them as checks.hint)
from utils.checks.engine import Case, Exercise, Lesson, Mistake

LESSON = Lesson("01", "Attention, by hand", "01_attention")


def _normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


# --- 1.1 scores -----------------------------------------------------------------------------


def _scores(q, k):
    return np.einsum("id,jd->ij", q, k)


def _cosine(q, k):
    lengths = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(k, axis=1)[None, :]
    return q @ k.T / lengths


scores = Exercise(
    number="1.1",
    name="scores",
    oracle=_scores,
    compared_with="`np.einsum('id,jd->ij', q, k)`",
    cases=lambda: [
        Case(_normal(1, 2, 3), _normal(2, 4, 3)),
        Case(_normal(3, 3, 3), _normal(4, 3, 3)),
        Case(_normal(5, 1, 2), _normal(6, 2, 2)),
        Case(np.array([[1.0, 0.0, 2.0]]), np.array([[3.0, 1.0, 1.0], [0.0, 5.0, 0.0]])),
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

# --- 1.2 softmax ----------------------------------------------------------------------------


def _softmax(x):
    return scipy.special.softmax(np.asarray(x, dtype=float), axis=-1)


def _over(axis):
    return lambda x: scipy.special.softmax(x, axis=axis)


def _no_keepdims(x):
    e = np.exp(x - x.max(axis=-1))
    return e / e.sum(axis=-1)


def _no_keepdims_in_sum(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1)


def _shifted(shift):
    def mutant(x):
        e = np.exp(x - shift(x))
        return e / e.sum(axis=-1, keepdims=True)

    return mutant


def _divided_by_largest(x):
    return np.exp(x - x.max(axis=-1, keepdims=True))


softmax = Exercise(
    number="1.2",
    name="softmax",
    oracle=_softmax,
    compared_with="`scipy.special.softmax`",
    cases=lambda: [
        Case(_normal(1, 2, 3)),
        Case(_normal(2, 3, 3)),
        Case(_normal(3, 4)),
        Case(_normal(4, 2, 3, 4)),
        Case(np.array([[1000.0, 1001.0, 1002.0]])),
        Case(np.array([[1000.0, 1001.0], [-1000.0, -1001.0]])),
        Case(np.array([[0.0, 800.0]])),
        Case(np.array([[800.0, 0.0]])),
        Case(np.array([[0.0, 0.0, 0.0, 3000.0], [-3000.0, 0.0, 1.0, 1.0]])),
        Case(np.array([[-1000.0, -1001.0]])),
        Case(np.array([1, 2, 3])),
    ],
    mistakes=[
        Mistake(
            "no_max_subtracted",
            "Right until the scores grow: `np.exp(1000)` overflows to `inf`, and `inf / inf` is "
            "`nan`. Subtract each row's largest entry first; the result stays the same.",
            lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
        ),
        Mistake(
            "softmax_over_columns",
            "The softmax runs down the columns: each *row* must sum to 1. The last axis is "
            "`axis=-1`.",
            _over(0),
        ),
        Mistake(
            "softmax_over_everything",
            "Yours sums to 1 over the whole array: each *row* must sum to 1. "
            "Give `max` and `sum` `axis=-1`.",
            _over(None),
        ),
        Mistake(
            "axis_1_for_last",
            "`axis=1` is the last axis of a table only. For a vector, or a stack of tables, "
            "the last axis is `axis=-1`.",
            _over(1),
        ),
        Mistake(
            "no_keepdims",
            "`keepdims=True` is missing: the row sums have shape `(T,)`, and NumPy lays them along "
            "the *columns*. On a square table that gives no error, only wrong numbers.",
            _no_keepdims,
        ),
        Mistake(
            "no_keepdims_and_no_max",
            "`keepdims=True` is missing: the row sums have shape `(T,)`, and NumPy lays them along "
            "the *columns*. And large scores will overflow until you subtract each row's largest.",
            lambda x: np.exp(x) / np.exp(x).sum(axis=-1),
        ),
        Mistake(
            "mean_subtracted",
            "You subtract the row's *mean*: the largest score can still lie far above it and "
            "overflow. Subtract the row's largest.",
            _shifted(lambda x: x.mean(axis=-1, keepdims=True)),
        ),
        Mistake(
            "largest_size_subtracted",
            "You subtract the largest *absolute* score. In a row of large negative scores that "
            "makes all of them smaller still, and `0 / 0` is `nan`. Subtract the largest score.",
            _shifted(lambda x: np.abs(x).max(axis=-1, keepdims=True)),
        ),
        Mistake(
            "first_subtracted",
            "You subtract the row's *first* entry: the largest can still overflow.",
            _shifted(lambda x: x[..., :1]),
        ),
        Mistake(
            "subtracted_only_if_large",
            "You subtract only where scores are large and positive. Large *negative* ones give "
            "`0 / 0`. Subtract each row's largest always; it costs nothing.",
            lambda x: _shifted(lambda x: np.maximum(x.max(axis=-1, keepdims=True), 0.0))(x),
        ),
        Mistake(
            "no_keepdims_in_sum",
            "The maximum keeps its axis, the sum does not: `sum(axis=-1)` needs `keepdims=True` "
            "as well, or each *column* is divided by some row's sum.",
            _no_keepdims_in_sum,
        ),
        Mistake(
            "max_of_everything",
            "You subtract the largest entry of the whole array. A row far below it then becomes "
            "`exp(-2000) = 0` everywhere, and `0 / 0` is `nan`. Each row needs its own maximum.",
            _shifted(np.max),
        ),
        Mistake(
            "min_subtracted",
            "You subtract the row's *smallest* entry: the largest then still overflows. "
            "Subtract the largest.",
            _shifted(lambda x: x.min(axis=-1, keepdims=True)),
        ),
        Mistake(
            "no_exp",
            "You divide by the row's sum without `np.exp` before: negative scores give negative "
            "weights.",
            lambda x: x / x.sum(axis=-1, keepdims=True),
        ),
        Mistake(
            "sign_flipped",
            "The order is turned round: the largest score gets the smallest weight. "
            "Is there a minus too many?",
            lambda x: scipy.special.softmax(-x, axis=-1),
        ),
        Mistake(
            "divided_by_largest",
            "Your largest weight is 1 and the rows sum to more than 1: "
            "divide by the row's *sum* of exponentials.",
            _divided_by_largest,
        ),
        Mistake(
            "log_softmax",
            "These are the *logarithms* of the weights: take `np.exp` of them.",
            lambda x: scipy.special.log_softmax(x, axis=-1),
        ),
        Mistake(
            "sigmoid",
            "That is the sigmoid of each entry on its own; the weights of a row must share a sum "
            "of 1.",
            scipy.special.expit,
        ),
    ],
    hints=[
        "Three steps: make it positive, add up each row, divide.",
        "`x.max(axis=-1, keepdims=True)` has shape `(T, 1)`, so that it can be subtracted "
        "from every entry of its row.",
        "`e = np.exp(x - x.max(axis=-1, keepdims=True))`, and then?",
    ],
)

# --- 1.3 score_variance ---------------------------------------------------------------------


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

# --- 1.4 attention --------------------------------------------------------------------------


def _attention(q, k, v):
    tensors = (torch.as_tensor(np.asarray(x, dtype=float)) for x in (q, k, v))
    return F.scaled_dot_product_attention(*tensors).numpy()


def _variant(scale=lambda q, k, v: np.sqrt(k.shape[1]), normalise=_softmax, mix=None):
    """Attention with one step replaced: how it scales, normalises or mixes."""

    def mutant(q, k, v):
        weights = normalise(q @ k.T / scale(q, k, v))
        return mix(weights, q, k, v) if mix else weights @ v

    return mutant


def _unstable(x):
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


attention = Exercise(
    number="1.4",
    name="attention",
    oracle=_attention,
    compared_with="`F.scaled_dot_product_attention`",
    cases=lambda: [
        Case(_normal(1, 3, 5), _normal(2, 4, 5), _normal(3, 4, 2)),
        Case(_normal(4, 4, 3), _normal(5, 4, 3), _normal(6, 4, 2)),
        Case(_normal(7, 2, 3), _normal(8, 3, 3), _normal(9, 3, 4)),
        Case(_normal(10, 1, 2), _normal(11, 2, 2), _normal(12, 2, 1)),
        Case(60 * _normal(13, 2, 5), 60 * _normal(14, 3, 5), _normal(15, 3, 2)),
    ],
    mistakes=[
        Mistake(
            "no_scale",
            "The scores are not scaled: divide `q @ k.T` by √d_k before the softmax.",
            _variant(scale=lambda q, k, v: 1.0),
        ),
        Mistake(
            "scale_by_d_k",
            "You divide by d_k; the scores' *standard deviation* is √d_k, so divide by the root.",
            _variant(scale=lambda q, k, v: k.shape[1]),
        ),
        Mistake(
            "scale_by_length",
            "You divide by the root of the number of words, `k.shape[0]`. What makes the scores "
            "large is the number of *components* that are added up: `k.shape[1]`.",
            _variant(scale=lambda q, k, v: np.sqrt(k.shape[0])),
        ),
        Mistake(
            "scale_by_number_of_queries",
            "You divide by the root of the number of queries. What makes the scores large is the "
            "number of *components* that are added up: `k.shape[1]`.",
            _variant(scale=lambda q, k, v: np.sqrt(q.shape[0])),
        ),
        Mistake(
            "not_normalised",
            "The exponentials are not divided by their sum: the weights of a row must sum to 1.",
            _variant(normalise=lambda x: np.exp(x - x.max(axis=-1, keepdims=True))),
        ),
        Mistake(
            "scale_by_number_of_words",
            "You divide by the number of words. Divide by the root of the number of "
            "*components* of a key, `k.shape[1]`.",
            _variant(scale=lambda q, k, v: k.shape[0]),
        ),
        Mistake(
            "scale_by_d_v",
            "You take the width of `v`. The sum that grows runs over the components of `q` and "
            "`k`: d_k is `k.shape[1]`.",
            _variant(scale=lambda q, k, v: np.sqrt(v.shape[1])),
        ),
        Mistake(
            "multiplied_by_scale",
            "You *multiply* by √d_k: the scores grow even larger. Divide.",
            _variant(scale=lambda q, k, v: 1 / np.sqrt(k.shape[1])),
        ),
        Mistake(
            "scaled_after_softmax",
            "You divide by √d_k after the softmax: the weights of a row no longer sum to 1. "
            "Scale the scores, then normalise.",
            _variant(
                scale=lambda q, k, v: 1.0,
                mix=lambda w, q, k, v: w @ v / np.sqrt(k.shape[1]),
            ),
        ),
        Mistake(
            "softmax_over_queries",
            "The softmax runs over the queries: each *row* must sum to 1, yours sums down the "
            "columns.",
            _variant(normalise=_over(0)),
        ),
        Mistake(
            "softmax_over_everything",
            "The softmax runs over the whole table: each *row* must sum to 1 on its own.",
            _variant(normalise=_over(None)),
        ),
        Mistake(
            "no_softmax",
            "There is no softmax: the output is a sum of values with weights that may be negative "
            "and do not add up to 1.",
            _variant(normalise=lambda x: x),
        ),
        Mistake(
            "no_max_subtracted",
            "Right until the scores grow: there is an `np.exp` that overflows. "
            "Use your `softmax` of 1.2.",
            _variant(normalise=_unstable),
        ),
        Mistake(
            "weights_applied_to_k",
            "The weights mix the *keys*. Keys are only for finding; what is handed over are the "
            "values `v`.",
            _variant(mix=lambda w, q, k, v: w @ k),
        ),
        Mistake(
            "weights_applied_to_q",
            "The weights mix the *queries*. What is handed over are the values `v`.",
            _variant(mix=lambda w, q, k, v: w @ q),
        ),
        Mistake(
            "weights_transposed",
            "The weights are transposed: row `i` of the output mixes the values with row `i` of "
            "the weights, `weights @ v`.",
            _variant(mix=lambda w, q, k, v: w.T @ v),
        ),
        Mistake(
            "weights_returned",
            "You return the weights. They still have to mix the values: `weights @ v`.",
            _variant(mix=lambda w, q, k, v: w),
        ),
        Mistake(
            "k_not_transposed",
            "`k` is not transposed: every query has to meet every key, `q @ k.T`.",
            lambda q, k, v: _softmax(q @ k / np.sqrt(k.shape[1])) @ v,
        ),
    ],
    hints=[
        "Four steps: scores, scale, softmax, mix. You have written two of them.",
        "d_k is the width of a key: `k.shape[1]`.",
        "The mix is one matrix product: `(T_q, T_k) @ (T_k, d_v)`.",
    ],
)

# --- 1.5 softmax_jacobian (stretch) ---------------------------------------------------------


def _softmax_jacobian(p):
    x = torch.as_tensor(p, dtype=torch.float64).log()  # -inf for a weight of 0
    return torch.autograd.functional.jacobian(lambda x: x.softmax(-1), x).numpy()


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
