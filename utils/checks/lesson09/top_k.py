"""Exercise 9.3, `top_k`: its oracle, inputs, mistakes and hints."""

import torch
from transformers import TopKLogitsWarper

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.lesson09.common import INF, one_fill


def _kth(logits, k):
    return logits.topk(k).values[:, -1:]


def _oracle(logits, k):
    return TopKLogitsWarper(k)(None, logits)


def _column_lost(logits, k):
    return logits.masked_fill(logits < logits.topk(k).values[:, -1], -INF)


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
    oracle=_oracle,
    compared_with="`TopKLogitsWarper`",
    probe=one_fill(_oracle),
    cases=lambda: [
        Case(_topk_logits(), 3),
        Case(_topk_logits(), 2),
        Case(_topk_logits(), 1),
        Case(torch.tensor([[1.0, 3.0, 2.0]]), 2),
        Case(torch.tensor([[1.0, 3.0, 2.0, 0.5]]), 4),  # nothing to cut
        Case(torch.tensor([[0.5, 2.0, 1.0], [3.0, 2.5, -1.0], [0.0, -0.5, 4.0]]), 2),
        Case(torch.tensor([[-INF, 1.0, -INF, 0.5, -1.0, -INF]]), 2),  # after top_p
        Case(torch.tensor([[-INF, 1.0, -INF, 0.5, -INF]]), 3),
        Case(normal(1, 2, 6), 3),
        Case(normal(2, 2, 6), 3),
        Case(30 * normal(3, 3, 400), 290),
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
            "column_lost",
            "`[:, -1]` has lost the columns' axis: the k-th largest logits, one for each row, are "
            "laid along the *vocabulary* (where both happen to be as many; else it stops). Keep "
            "the axis: `[:, -1:]`.",
            _column_lost,
        ),
        Mistake(
            "probabilities_zeroed",
            "You return probabilities with zeros. Return logits, the others at `-inf`; the softmax "
            "comes once, at the very end.",
            lambda logits, k: logits.softmax(-1).masked_fill(logits < _kth(logits, k), 0.0),
        ),
        Mistake(
            "places_returned",
            "You return the *places* of the k largest. Return all `vocab_size` logits, with the "
            "others at `-inf`.",
            lambda logits, k: logits.topk(k).indices,
        ),
        Mistake(
            "first_k_columns",
            "You keep the first k tokens of the vocabulary. Keep the k with the largest logits.",
            lambda logits, k: logits.masked_fill(torch.arange(logits.shape[1]) >= k, -INF),
        ),
        Mistake(
            "largest_by_size",
            "You compare *absolute* values: a large negative logit is an unlikely token.",
            lambda logits, k: logits.masked_fill(logits.abs() < _kth(logits.abs(), k), -INF),
        ),
        Mistake(
            "k_as_threshold",
            "You keep the logits that are at least k. k is a *number of tokens*: compare with the "
            "k-th largest logit.",
            lambda logits, k: logits.masked_fill(logits < k, -INF),
        ),
        Mistake(
            "log_probabilities_returned",
            "You take the softmax's logarithm first. The choice is right, but return the logits "
            "themselves.",
            lambda logits, k: logits.log_softmax(-1).masked_fill(logits < _kth(logits, k), -INF),
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
