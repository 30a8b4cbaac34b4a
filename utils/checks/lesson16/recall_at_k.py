"""Exercise 16.4, `recall_at_k`: its oracle, inputs, mistakes and hints."""

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import top_k_accuracy_score

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal


def _recall_at_k(similarity, k):
    """scikit-learn takes fewer than three columns for something else: lower ones are added."""
    scores = F.pad(similarity.detach(), (0, 3), value=similarity.min().item() - 1)
    labels = np.arange(scores.shape[1])
    with warnings.catch_warnings():  # of a k that is not smaller than the number of columns
        warnings.simplefilter("ignore")
        return top_k_accuracy_score(labels[: len(scores)], scores.numpy(), k=k, labels=labels)


def _recall(table=lambda x: x, rank=lambda k: k, result=lambda share, N, k: share):
    """Recall with one step replaced."""

    def mutant(similarity, k):
        share = _recall_at_k(table(similarity), rank(k)) if rank(k) else 0.0
        return result(share, len(similarity), k)

    return mutant


def _share_below(similarity, own, k):
    return ((similarity > own).sum(1) < k).double().mean().item()


def _values_for_indices(similarity, k):
    rows = torch.arange(len(similarity))[:, None]
    return (similarity.topk(k).values == rows).any(1).float().mean().item()


def _exactly_at_k(similarity, k):
    return _recall()(similarity, k) - _recall(rank=lambda k: k - 1)(similarity, k)


recall_at_k = Exercise(
    number="16.4",
    name="recall_at_k",
    oracle=_recall_at_k,
    compared_with="scikit-learn's `top_k_accuracy_score`",
    cases=lambda: [
        Case(normal(270, 13, 13) + torch.eye(13), 3),
        Case(torch.tensor([[0.3, 0.8, 0.6], [0.5, 0.7, 0.2], [0.4, 0.9, 0.1]]), 2),
        Case(torch.tensor([[0.1, 0.9], [0.2, 0.6]]), 1),
        Case(normal(2, 9, 9) - 4, 1),
        Case(normal(3, 11, 11) + 0.5 * torch.eye(11), 5),
        Case(normal(4, 8, 8).double(), 2),
        Case(torch.tensor([[-0.5, 0.4, 0.2], [0.7, -0.1, 0.3], [0.6, -0.2, 0.5]]), 5),
        Case(torch.tensor([[0.2]]), 1),
    ],
    mistakes=[
        Mistake(
            "columns_for_rows",
            "You rank each *column*. Each row looks for its own column: compare along `dim=1`.",
            _recall(table=lambda x: x.T),
        ),
        Mistake(
            "own_laid_along_the_rows",
            "`similarity.diagonal()` has shape `(N,)`, and PyTorch lays it along every row, so a "
            "number is compared with the right one of *another* row. `[:, None]` makes a column of "
            "it.",
            lambda similarity, k: _share_below(similarity, similarity.diagonal(), k),
        ),
        Mistake(
            "divided_by_k",
            "You divide by `k` as well: a mean over all `k` places. There is only one right column "
            "in a row: ask first whether it is among the `k`, `.any(1)`, then take the mean.",
            _recall(result=lambda share, N, k: share / min(k, N)),
        ),
        Mistake(
            "smallest_for_largest",
            "You look among the `k` *smallest*. Alike is what has a large cosine: the `k` largest.",
            _recall(table=lambda x: -x),
        ),
        Mistake(
            "one_rank_too_many",
            "You accept one rank too many. Found means that fewer than `k` columns are larger: "
            "`< k`, not `<= k`.",
            _recall(rank=lambda k: k + 1),
        ),
        Mistake(
            "one_rank_too_few",
            "You accept one rank too few. Does the right column count as larger than itself? Use "
            "`>` rather than `>=`, and ask for fewer than `k`.",
            _recall(rank=lambda k: k - 1),
        ),
        Mistake(
            "first_only",
            "Only the very best column counts, whatever `k` is. It is enough that the right one is "
            "among the `k` best.",
            _recall(rank=lambda k: 1),
        ),
        Mistake(
            "exactly_at_rank_k",
            "You count the rows whose right column is exactly at rank `k`. The better ranks count "
            "as well.",
            _exactly_at_k,
        ),
        Mistake(
            "count_for_share",
            "That is how many rows find their column. The share is wanted: divide by the number of "
            "rows, or take the `mean`.",
            _recall(result=lambda share, N, k: round(share * N)),
        ),
        Mistake(
            "percent",
            "That is per cent. A share between 0 and 1 is wanted.",
            _recall(result=lambda share, N, k: 100 * share),
        ),
        Mistake(
            "misses_for_hits",
            "You give the share of the rows that do *not* find their column. Take it from 1.",
            _recall(result=lambda share, N, k: 1 - share),
        ),
        Mistake(
            "values_for_indices",
            "No row ever finds its column. Do you compare the *values* of `topk` with the numbers "
            "of the columns? Its `.indices` are those numbers.",
            _values_for_indices,
        ),
    ],
    hints=[
        "Row `i` is right with column `i`, so the right numbers lie on the diagonal, "
        "`similarity.diagonal()`.",
        "How many columns of a row are larger than its right one? It is found if they are fewer "
        "than `k`.",
        "`(similarity > own[:, None]).sum(1)`, where `own` is the diagonal, has shape `(N,)`. "
        "Compare it with `k` and take the mean.",
    ],
)
