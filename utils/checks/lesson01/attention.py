"""Exercise 1.4, `attention`: its oracle, inputs, mistakes and hints."""

import numpy as np
import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal_array
from utils.checks.lesson01.softmax import softmax, softmax_over


def _attention(q, k, v):
    tensors = (torch.as_tensor(np.asarray(x, dtype=float)) for x in (q, k, v))
    return F.scaled_dot_product_attention(*tensors).numpy()


def _variant(scale=lambda q, k, v: np.sqrt(k.shape[1]), normalise=softmax.oracle, mix=None):
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
        Case(normal_array(1, 3, 5), normal_array(2, 4, 5), normal_array(3, 4, 2)),
        Case(normal_array(4, 4, 3), normal_array(5, 4, 3), normal_array(6, 4, 2)),
        Case(normal_array(7, 2, 3), normal_array(8, 3, 3), normal_array(9, 3, 4)),
        Case(normal_array(10, 1, 2), normal_array(11, 2, 2), normal_array(12, 2, 1)),
        Case(
            np.array([[0.0, 0.0]]), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[10.0], [20.0]])
        ),
        Case(normal_array(16, 5, 1), normal_array(17, 1, 1), normal_array(18, 1, 3)),
        Case(normal_array(19, 3, 16), normal_array(20, 12, 16), normal_array(21, 12, 16)),
        Case(60 * normal_array(13, 2, 5), 60 * normal_array(14, 3, 5), normal_array(15, 3, 2)),
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
            _variant(normalise=softmax_over(0)),
        ),
        Mistake(
            "softmax_over_everything",
            "The softmax runs over the whole table: each *row* must sum to 1 on its own.",
            _variant(normalise=softmax_over(None)),
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
            "queries_and_keys_swapped",
            "Queries and keys are swapped in the scores: row `i` has to be query `i`, "
            "`scores(q, k)`, that is `q @ k.T`.",
            lambda q, k, v: softmax.oracle(k @ q.T / np.sqrt(k.shape[1])) @ v,
        ),
        Mistake(
            "k_not_transposed",
            "`k` is not transposed: every query has to meet every key, `q @ k.T`.",
            lambda q, k, v: softmax.oracle(q @ k / np.sqrt(k.shape[1])) @ v,
        ),
    ],
    hints=[
        "Four steps: scores, scale, softmax, mix. You have written two of them.",
        "d_k is the width of a key: `k.shape[1]`.",
        "The mix is one matrix product: `(T_q, T_k) @ (T_k, d_v)`.",
    ],
)
