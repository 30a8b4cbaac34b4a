"""Exercise 16.4, `recall_at_k`: its oracle, inputs, mistakes and hints."""

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import top_k_accuracy_score

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal


def _recall_at_k(similarity, k):
    """scikit-learn's, with the right column moved to the front of its row, where it loses ties.

    ("The labels with the highest indices will be chosen first", says scikit-learn.) It takes fewer
    than three columns for something else: lower ones are added.
    """
    places = torch.arange(len(similarity))
    own_first = similarity.detach().gather(1, (places[:, None] + places) % len(places))
    return _library(own_first, torch.zeros(len(places)), k)


def _library(similarity, right, k):
    scores = F.pad(similarity, (0, 3), value=similarity.min().item() - 1)
    with warnings.catch_warnings():  # of a k that is not smaller than the number of columns
        warnings.simplefilter("ignore")
        labels = np.arange(scores.shape[1])
        return top_k_accuracy_score(right.numpy(), scores.numpy(), k=k, labels=labels)


def _ties_by_place(similarity, k):
    """`top_k_accuracy_score` as it is; where all rows are the same, `topk` comes to the same."""
    return _library(similarity, torch.arange(len(similarity)), k)


def _ties_won(similarity, k):
    return ((similarity > similarity.diagonal()[:, None]).sum(1) < k).double().mean().item()


def _recall(
    table=lambda x: x, rank=lambda k: k, result=lambda share, N, k: share, found=_recall_at_k
):
    """Recall with one step replaced."""

    def mutant(similarity, k):
        share = found(table(similarity), rank(k)) if rank(k) else 0.0
        return result(share, len(similarity), k)

    return mutant


def _own_along_the_rows(similarity, k):
    return ((similarity >= similarity.diagonal()).sum(1) <= k).double().mean().item()


def _values_for_indices(similarity, k):
    rows = torch.arange(len(similarity))[:, None]
    return (similarity.topk(min(k, len(rows))).values == rows).any(1).float().mean().item()


def _cut_below_all(similarity, k):
    rows = torch.arange(len(similarity))[:, None]
    best = similarity.topk(min(k, len(rows) - 1)).indices
    return (best == rows).any(1).double().mean().item()


def _equal_ones_counted_once(similarity, k):
    """The place of the right number among the different ones of its row."""
    places = [
        sorted({*row}, reverse=True).index(row[i]) for i, row in enumerate(similarity.tolist())
    ]
    return np.mean([place < k for place in places]).item()


def _exactly_at_k(similarity, k):
    return _recall()(similarity, k) - _recall(rank=lambda k: k - 1)(similarity, k)


def _all_rows(*row):
    """A model that makes the same of every question."""
    return torch.tensor([row for _ in row])


recall_at_k = Exercise(
    number="16.4",
    name="recall_at_k",
    oracle=_recall_at_k,
    compared_with="scikit-learn's `top_k_accuracy_score`, with ties lost,",
    cases=lambda: [
        Case(normal(270, 13, 13) + torch.eye(13), 3),
        Case(torch.full((4, 4), 0.5), 1),
        Case(torch.full((4, 4), 0.5), 3),
        Case(_all_rows(0.9, 0.5, 0.5, 0.5, 0.1), 2),
        Case(torch.tensor([[0.5, 0.9, 0.9], [0.1, 0.6, 0.2], [0.3, 0.3, 0.4]]), 2),
        Case(torch.tensor([[0.3, 0.8, 0.6], [0.5, 0.7, 0.2], [0.4, 0.9, 0.1]]), 2),
        Case(torch.tensor([[0.9, 0.1], [0.8, 0.3]]), 1),
        Case(torch.tensor([[0.9, 0.1], [0.8, 0.3]]), 2),
        Case(torch.tensor([[0.1, 0.9], [0.2, 0.6]]), 1),
        Case(normal(2, 9, 9) - 4, 1),
        Case(normal(3, 11, 11) + 0.5 * torch.eye(11), 5),
        Case(normal(4, 8, 8).double(), 2),
        Case(torch.tensor([[-0.5, 0.4, 0.2], [0.7, -0.1, 0.3], [0.6, -0.2, 0.5]]), 5),
        Case(torch.full((2, 2), 0.5), 2),
        Case(torch.tensor([[0.5, 0.4998], [0.3, 0.3001]]), 1),
        Case(torch.tensor([[0.2]]), 1),
        Case(normal(5, 300, 300) + 0.3 * torch.eye(300), 7),
    ],
    mistakes=[
        Mistake(
            "ties_won",
            "In yours a tie is a hit: a model that gives all pairs the same number, and knows "
            "nothing, has 100%. Count the columns that are *at least* as large, `>=`. The right "
            "one is then counted too, so there may be `k`: `<= k`.",
            _ties_won,
        ),
        Mistake(
            "ties_by_place",
            "Right, but for ties. Between equal numbers `topk`, `argsort` and `sorted` go by their "
            "places, so a model that gives all pairs the same number is now lucky, now not. "
            "Here a tie is a miss: count the columns that are at least as large, `>=`.",
            _ties_by_place,
        ),
        Mistake(
            "ties_won_and_one_too_many",
            "You accept one rank too many, and ties are hits. With `<= k` the right column has to "
            "be counted itself: `>=`, not `>`.",
            _recall(rank=lambda k: k + 1, found=_ties_won),
        ),
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
            _own_along_the_rows,
        ),
        Mistake(
            "divided_by_k",
            "You divide by `k` as well: a mean over all `k` places. There is only one right column "
            "in a row: ask first whether it is among the `k`, `.any(1)`, then take the mean.",
            _recall(result=lambda share, N, k: share / min(k, N), found=_ties_by_place),
        ),
        Mistake(
            "smallest_for_largest",
            "You look among the `k` *smallest*. Alike is what has a large cosine: the `k` largest.",
            _recall(table=lambda x: -x, found=_ties_by_place),
        ),
        Mistake(
            "one_rank_too_many",
            "You accept one rank too many. Found means that fewer than `k` *other* columns are at "
            "least as large: `< k`, or `<= k` if the right one is counted too.",
            _recall(rank=lambda k: k + 1),
        ),
        Mistake(
            "one_rank_too_few",
            "You accept one rank too few. `>=` counts the right column itself as well, so "
            "there may be as many as `k`: `<= k`, not `< k`.",
            _recall(rank=lambda k: k - 1),
        ),
        Mistake(
            "first_only",
            "Only the very best column counts, whatever `k` is. It is enough that the right one is "
            "among the `k` best.",
            _recall(rank=lambda k: 1, found=_ties_by_place),
        ),
        Mistake(
            "k_cut_too_short",
            "Where `k` is N or more, everything is found, and you cut it to N - 1. `topk` can give "
            "N columns: `min(k, len(similarity))`. (And a tie is a miss: count with `>=`.)",
            _cut_below_all,
        ),
        Mistake(
            "nothing_where_k_is_large",
            "Where `k` is N or more, everything is looked at, so everything is found: 1, not 0.",
            lambda similarity, k: _recall_at_k(similarity, k) if k < len(similarity) else 0.0,
        ),
        Mistake(
            "equal_ones_counted_once",
            "You count equal numbers as one place. Two others that are larger take two places, "
            "also if they are equal; and one that is as large as the right one is before it.",
            _equal_ones_counted_once,
        ),
        Mistake(
            "exactly_at_rank_k",
            "You count the rows whose right column is exactly at rank `k`. The better ranks count "
            "as well.",
            _exactly_at_k,
        ),
        Mistake(
            "not_averaged",
            "That is one number for each row. Recall is one number for all: take the mean.",
            lambda similarity, k: (
                (similarity >= similarity.diagonal()[:, None]).sum(1) <= k
            ).float(),
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
            "No row ever finds its column: 0 for everything. If you compare the *values* of `topk` "
            "with the numbers of the columns: its `.indices` are those numbers.",
            _values_for_indices,
        ),
    ],
    hints=[
        "Row `i` is right with column `i`, so the right numbers lie on the diagonal, "
        "`similarity.diagonal()`.",
        "How many columns of a row are at least as large as its right one? That one itself is "
        "among them, so it is found if they are not more than `k`.",
        "`(similarity >= own[:, None]).sum(1)`, where `own` is the diagonal, has shape `(N,)`. "
        "Compare it with `k` and take the mean.",
    ],
)
