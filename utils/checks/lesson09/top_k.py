"""Exercise 9.3, `top_k`: its oracle, inputs, mistakes and hints."""

import torch
from transformers import (
    TopKLogitsWarper,
)

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson09.common import INF


def _kth(logits, k):
    return logits.topk(k).values[:, -1:]


def _topk_logits():
    return torch.tensor(
        [
            [1.0, 3.0, -1.0, 2.0, 0.0, 2.5, -2.0],
            [-3.0, 0.5, 4.0, -1.0, 1.5, 0.25, 3.5],
            [-5.0, -4.0, -1.0, -2.0, -3.0, -6.0, -0.5],
        ]
    )


top_k = Exercise(
    number="9.3",
    name="top_k",
    oracle=lambda logits, k: TopKLogitsWarper(k)(None, logits),
    compared_with="`TopKLogitsWarper`",
    cases=lambda: [
        Case(_topk_logits(), 3),
        Case(_topk_logits(), 2),
        Case(_topk_logits(), 1),
        Case(torch.tensor([[1.0, 3.0, 2.0]]), 2),
    ],
    mistakes=[
        Mistake(
            "zero_for_minus_infinity",
            "You set the others to 0. A logit of 0 is no probability of 0 (e⁰ = 1), and may be "
            "the largest. Set them to `-inf`.",
            lambda logits, k: logits.masked_fill(logits < _kth(logits, k), 0.0),
        ),
        Mistake(
            "large_number_for_minus_infinity",
            "You set the others to a large negative number. The lesson counts on `-inf`, whose "
            "probability is exactly 0 whatever else happens to the logits.",
            lambda logits, k: logits.masked_fill(logits < _kth(logits, k), -1e9),
        ),
        Mistake(
            "order_for_rank",
            "`argsort` says *which token* stands at each rank, not which rank a token has: compare "
            "the logits with the k-th largest instead.",
            lambda logits, k: logits.masked_fill(logits.argsort(descending=True) >= k, -INF),
        ),
        Mistake(
            "sorted_returned",
            "You return the logits in sorted order: column 5 is no longer token 5.",
            lambda logits, k: logits.sort(descending=True).values.masked_fill(
                torch.arange(logits.shape[-1]) >= k, -INF
            ),
        ),
        Mistake(
            "probabilities_returned",
            "You return probabilities. Return logits; the softmax comes once, at the very end.",
            lambda logits, k: logits.masked_fill(logits < _kth(logits, k), -INF).softmax(-1),
        ),
        Mistake(
            "one_too_many",
            "You keep k + 1 tokens.",
            lambda logits, k: logits.masked_fill(
                logits < _kth(logits, min(k + 1, logits.shape[-1])), -INF
            ),
        ),
        Mistake(
            "one_too_few",
            "You keep k − 1 tokens: the k-th itself stays, so compare with `<`, not `<=`.",
            lambda logits, k: logits.masked_fill(logits <= _kth(logits, k), -INF),
        ),
        Mistake(
            "over_the_batch",
            "You take the k largest of the whole batch. Each row has its own k.",
            lambda logits, k: logits.masked_fill(
                logits < logits.flatten().topk(k).values[-1], -INF
            ),
        ),
        Mistake(
            "first_rows_threshold",
            "All rows are cut at the first row's k-th largest. Each row has its own.",
            lambda logits, k: logits.masked_fill(logits < _kth(logits, k)[0], -INF),
        ),
        Mistake(
            "keeps_the_smallest",
            "You keep the k *least* likely tokens.",
            lambda logits, k: logits.masked_fill(
                logits > logits.topk(k, largest=False).values[:, -1:], -INF
            ),
        ),
        Mistake(
            "drops_the_best",
            "It is the other way round: you drop the k best and keep the rest.",
            lambda logits, k: logits.masked_fill(logits >= _kth(logits, k), -INF),
        ),
        Mistake(
            "values_only",
            "You return the k values alone. Which tokens do they belong to? Return all "
            "`vocab_size` logits, with the others at `-inf`.",
            lambda logits, k: logits.topk(k).values,
        ),
    ],
    hints=[
        "`logits.topk(k).values` is sorted: its last column is each row's k-th largest logit.",
        "Keep the columns' axis: `[:, -1:]`, not `[:, -1]`, so that each row meets its own.",
        "`logits.masked_fill(condition, -torch.inf)`.",
    ],
)
