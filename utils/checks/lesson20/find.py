"""Exercise 20.6, `find`: its oracle, inputs, mistakes and hints."""

import numpy as np
import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal


def _find(query, gallery):
    from sklearn.metrics.pairwise import cosine_similarity

    near = cosine_similarity(query[None].numpy(), gallery.numpy())[0]
    return np.argsort(-near, kind="stable").tolist()


def _found(
    near=lambda q, g: F.normalize(g, dim=-1) @ F.normalize(q, dim=-1),
    order=lambda near: near.argsort(descending=True, stable=True),
    finish=lambda order, near: order.tolist(),
):
    """The search with one step replaced."""

    def mutant(query, gallery):
        s = near(query, gallery)
        return finish(order(s), s)

    return mutant


def _last_of_equals(near):
    return len(near) - 1 - near.flip(0).argsort(descending=True, stable=True)


def _ranks(order, near):
    return order.argsort().tolist()


# Cosines of exactly 0 and 1: equal rows of other numbers may differ in the last bit.
_EQUALS = torch.tensor([[0.0, 2.0], [5.0, 0.0], [0.0, -1.0], [2.0, 0.0], [0.0, 4.0], [5.0, 0.0]])


def _case(seed, G, C):
    """Rows of very different lengths."""
    gallery = normal(seed, G, C) * (0.3 + normal(seed + 40, G, 1).abs() * 4)
    return Case(2 * normal(seed + 20, C), gallery, label=f"find(query ({C},), gallery {(G, C)})")


find = Exercise(
    number="20.6",
    name="find",
    oracle=_find,
    compared_with="scikit-learn's `cosine_similarity`, sorted",
    cases=lambda: [
        _case(1, 9, 4),
        Case(torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 2.0], [5.0, 5.0], [3.0, 0.0]])),
        Case(torch.tensor([1.0, 0.0]), torch.tensor([[-1.0, 0.0], [0.0, 0.0], [2.0, 0.0]])),
        Case(torch.tensor([0.0, 0.0]), torch.tensor([[-1.0, 0.0], [0.0, 0.0], [2.0, 0.0]])),
        Case(torch.tensor([2.0, 1.0]), torch.tensor([[4.0, 4.0]])),
        Case(torch.tensor([3.0, 0.0]), _EQUALS.clone()),
        Case(
            torch.tensor([3.0, 0.0]),
            _EQUALS.repeat(40, 1),
            label="find(query, 240 rows)",
        ),
        _case(2, 30, 8),
        _case(3, 6, 2),
        _case(4, 200, 64),
    ],
    mistakes=[
        Mistake(
            "dot_products",
            "You sort by dot products, so that long rows come first. Sort by the cosine.",
            _found(near=lambda q, g: g @ q),
        ),
        Mistake(
            "distances",
            "You sort by distance. The length of a row should not matter: sort by the cosine.",
            _found(near=lambda q, g: -(g - q).norm(dim=-1)),
        ),
        Mistake(
            "farthest_first",
            "The order is turned round: the largest cosine comes first.",
            _found(order=lambda near: near.argsort(stable=True)),
        ),
        Mistake(
            "sign_ignored",
            "A row that points the opposite way counts as near. Do not take the absolute value.",
            _found(near=lambda q, g: (F.normalize(g, dim=-1) @ F.normalize(q, dim=-1)).abs()),
        ),
        Mistake(
            "normalised_over_the_rows",
            "The gallery is normalised over its rows (`dim=0`). Each row is a vector: `dim=-1`.",
            _found(near=lambda q, g: F.normalize(g, dim=0) @ F.normalize(q, dim=-1)),
        ),
        Mistake(
            "last_of_equals",
            "Of equal rows the one that stands first should come first: `stable=True`.",
            _found(order=_last_of_equals),
        ),
        Mistake(
            "the_best_only",
            "Only the best row comes back. Wanted are all of them, in order.",
            _found(finish=lambda order, near: order[:1].tolist()),
        ),
        Mistake(
            "ranks",
            "You return the rank of each row. Wanted are the rows' places, the nearest first.",
            _found(finish=_ranks),
        ),
        Mistake(
            "cosines_returned",
            "You return the cosines in order. Wanted are the places of the rows.",
            _found(finish=lambda order, near: near[order].tolist()),
        ),
    ],
    hints=[
        "`F.normalize(gallery, dim=-1) @ F.normalize(query, dim=-1)` holds all the cosines.",
        "`argsort(descending=True, stable=True)`, then `.tolist()`.",
    ],
)
