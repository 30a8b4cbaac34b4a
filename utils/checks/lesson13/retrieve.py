"""Exercise 13.6, `retrieve`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_sentence


def _usable(passages, k):
    if not len(passages):
        raise ValueError("the index is empty: there is no passage to find")
    if k < 1:
        raise ValueError(f"k is {k}: at least one passage must be asked for")


def _retrieve(query, passages, k):
    from sklearn.metrics.pairwise import cosine_similarity

    _usable(passages, k)
    near = torch.from_numpy(cosine_similarity(query[None].numpy(), passages.numpy())[0])
    order = near.argsort(descending=True)[:k]
    return order, near[order]


def _found(
    similarity=lambda q, p: F.cosine_similarity(q[None], p),
    order=lambda s: s.argsort(descending=True),
    cut=lambda order, k: order[:k],
    finish=lambda order, s: (order, s[order]),
    refuse=_usable,
):
    """The search with one step replaced."""

    def mutant(query, passages, k):
        refuse(passages, k)
        s = similarity(query, passages)
        return finish(cut(order(s), k), s)

    return mutant


def _columns(q, p):
    return F.normalize(p, dim=0) @ F.normalize(q, dim=0)


def _centred(q, p):
    return F.cosine_similarity((q - p.mean(0))[None], p - p.mean(0))


def _topk_of_too_many(query, passages, k):
    _usable(passages, k)
    found = F.cosine_similarity(query[None], passages).topk(k)
    return found.indices, found.values


def _case(seed, N, d, k):
    """Vectors of very different lengths, as those of texts are not, so that lengths show."""
    lengths = 0.5 + normal(seed + 40, N, 1).abs() * 3
    return Case(3 * normal(seed, d), normal(seed + 20, N, d) * lengths, k)


retrieve = Exercise(
    number="13.6",
    name="retrieve",
    oracle=_retrieve,
    compared_with="scikit-learn's `cosine_similarity`, sorted",
    probe=with_sentence,
    tolerance=Tolerance(absolute=1e-5, relative=1e-5),
    cases=lambda: [
        _case(1, 7, 4, 3),
        Case(torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 2.0], [3.0, 0.0], [1.0, 1.0]]), 2),
        _case(2, 5, 3, 1),
        _case(3, 6, 2, 6),
        _case(4, 40, 16, 5),
        _case(5, 300, 384, 10),
        _case(6, 1, 3, 1),
        _case(7, 4, 3, 9),
        Case(torch.ones(3), torch.ones(0, 3), 2, raises=ValueError),
        Case(torch.ones(3), torch.ones(2, 3), 0, raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "dot_product",
            "You take the dot product, by which a long vector wins whatever it says. Divide by "
            "both lengths: the cosine.",
            _found(similarity=lambda q, p: p @ q),
        ),
        Mistake(
            "passages_not_normalised",
            "Only the query is brought to length 1. The passages need it as well, or long ones "
            "win.",
            _found(similarity=lambda q, p: p @ F.normalize(q, dim=0)),
        ),
        Mistake(
            "query_not_normalised",
            "The order is right, but the scores are no cosines: the query is not brought to "
            "length 1.",
            _found(similarity=lambda q, p: F.normalize(p, dim=1) @ q),
        ),
        Mistake(
            "columns_normalised",
            "You bring the *columns* of the passages to length 1. A passage is a row: `dim=1`.",
            _found(similarity=_columns),
        ),
        Mistake(
            "farthest_first",
            "You return the passages that are *least* alike: sort in descending order.",
            _found(order=lambda s: s.argsort()),
        ),
        Mistake(
            "euclid",
            "You sort by the distance between the points. Asked for is the cosine of the angle.",
            _found(
                similarity=lambda q, p: (p - q).norm(dim=1),
                order=lambda s: s.argsort(),
            ),
        ),
        Mistake(
            "cosine_distance",
            "You return 1 − cosine. The scores are the cosines themselves, the best first.",
            _found(finish=lambda order, s: (order, 1 - s[order])),
        ),
        Mistake(
            "sign_lost",
            "You take the absolute value: then the opposite counts as much as the same.",
            _found(similarity=lambda q, p: F.cosine_similarity(q[None], p).abs()),
        ),
        Mistake(
            "squared",
            "Your similarity is divided by the squares of the lengths: a root is missing.",
            _found(similarity=lambda q, p: p @ q / (p.pow(2).sum(1) * q.pow(2).sum())),
        ),
        Mistake(
            "mean_taken_off",
            "You take the mean off first. The cosine is that of the vectors as they are.",
            _found(similarity=_centred),
        ),
        Mistake(
            "indices_only",
            "You return the indices alone. It is `(indices, scores)`.",
            _found(finish=lambda order, s: order),
        ),
        Mistake(
            "scores_first",
            "You return the scores first. It is `(indices, scores)`.",
            _found(finish=lambda order, s: (s[order], order)),
        ),
        Mistake(
            "scores_not_sorted",
            "The indices are right, but the scores are those of the first passages: pick them "
            "with the indices.",
            _found(finish=lambda order, s: (order, s[: len(order)])),
        ),
        Mistake(
            "all_returned",
            "You return all passages. Asked for are the k best.",
            _found(cut=lambda order, k: order),
        ),
        Mistake(
            "best_left_out",
            "The best passage is left out: `[1 : k + 1]` is for a query that stands in the index "
            "itself.",
            _found(cut=lambda order, k: order[1 : k + 1]),
        ),
        Mistake(
            "one_too_few",
            "One passage is missing: k of them, so `[:k]`.",
            _found(cut=lambda order, k: order[: max(1, k - 1)]),
        ),
        Mistake(
            "as_probabilities",
            "You run a softmax over the scores. Asked for are the cosines.",
            _found(similarity=lambda q, p: F.cosine_similarity(q[None], p).softmax(0)),
        ),
        Mistake(
            "more_than_there_are",
            "Right, but `topk` stops with an error where k is larger than the index. Give all of "
            "them then: `topk(min(k, len(passages)))`.",
            _topk_of_too_many,
        ),
        Mistake(
            "k_of_0_accepted",
            "All is right but one thing: with k = 0 nothing is asked for. Raise a `ValueError` "
            "with a sentence.",
            _found(refuse=lambda passages, k: _usable(passages, 1)),
        ),
    ],
    hints=[
        "`F.cosine_similarity(query[None], passages)` has all N cosines; `F.normalize` and `@` do "
        "as well.",
        "`scores.topk(min(k, len(passages)))` has values and indices, the best first.",
        "First: `if not len(passages) or k < 1: raise ValueError(…)`, with a sentence.",
    ],
)
