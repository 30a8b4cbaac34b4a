"""Exercise 4.6, `search`: its oracle, inputs, mistakes and hints."""

import numpy as np
import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal


def _similarity(query, vectors):
    return F.cosine_similarity(query, vectors, dim=-1)


def _top(scores=_similarity, extra=0, **options):
    """The k best by some measure."""

    def mutant(query, vectors, k):
        k = min(k + extra, len(vectors))
        return scores(query, vectors).topk(k, **options).indices.tolist()

    return mutant


def _by_value(query, vectors, k):
    found = _similarity(query, vectors).tolist()
    return [found.index(value) for value in sorted(found, reverse=True)[:k]]


def _row_numbers(answer, query, vectors, k):
    """The row numbers, with one number for rows that are the same: either may come first."""
    found = answer(query, vectors, k)
    if not isinstance(found, list | tuple | torch.Tensor | np.ndarray) or not len(found):
        return found
    numbers = [x.item() if hasattr(x, "item") and x.ndim == 0 else x for x in found]
    if not all(type(x) is int and 0 <= x < len(vectors) for x in numbers):
        return found
    if len(set(numbers)) < len(numbers):
        return f"a row stands there more than once: {numbers}"
    rows = vectors.tolist()
    numbers = [rows.index(rows[i]) for i in numbers]
    if isinstance(found, list | tuple):
        return numbers
    return torch.tensor(numbers) if isinstance(found, torch.Tensor) else np.array(numbers)


def _of_lengths(seed, n, d):
    """Vectors whose lengths differ widely, most of them turned a little to one side."""
    lengths = torch.logspace(-1, 1.5, n)[torch.randperm(n, generator=_generator(seed))]
    return F.normalize(normal(seed, n, d) + 0.3, dim=-1) * lengths[:, None]


def _generator(seed):
    return torch.Generator().manual_seed(seed)


search = Exercise(
    number="4.6",
    name="search",
    oracle=lambda query, vectors, k: _similarity(query, vectors).topk(k).indices.tolist(),
    compared_with="`F.cosine_similarity` and `topk`",
    probe=_row_numbers,
    cases=lambda: [
        Case(3 * normal(36, 4), _of_lengths(37, 9, 4), 5),
        Case(normal(3, 6), _of_lengths(4, 30, 6), 5),
        Case(0.1 * normal(5, 5), _of_lengths(6, 5, 5), 1),
        Case(normal(7, 3), _of_lengths(8, 6, 3), 6),
        Case(
            torch.tensor([2.0, 1.0]),
            torch.tensor([[9.0, -9.0], [0.2, 0.1], [-4.0, -2.1], [3.0, 3.0]]),
            2,
        ),
        Case(normal(10, 4), _of_lengths(11, 300, 4), 290),
        Case(
            torch.tensor([1.0, 0.0]),
            torch.tensor([[-5.0, 0], [-1, 1], [-1, 3], [-2, -1], [-3, 1], [-1, -2]]),
            3,
        ),
        Case(
            torch.tensor([1.0, 1.0]),
            torch.tensor([[1.0, 0], [2, 2.1], [1, 0], [2, 2.1], [-1, 0], [-2, 0], [-3, 1]]),
            3,
        ),
        Case(
            torch.tensor([1.0, 0.0]),
            torch.tensor([[10.0, 0.4], [10, 0.1], [10, 0.7], [-1, 0.5], [3, -3]]),
            3,
        ),
        Case(torch.tensor([1.0, 0.0]), torch.tensor([[2.0, 2.0], [3.0, 0.0], [-5.0, 0.0]]), 2),
    ],
    mistakes=[
        Mistake(
            "equal_rows_found_once",
            "Two texts with the same similarity are taken for one (`index` of a value, or a dict "
            "with the similarities as keys?), so one row stands there twice. `topk` keeps track "
            "of the rows by itself.",
            _by_value,
        ),
        Mistake(
            "negatives_cut_off",
            "Negative cosines are all taken for 0 or left out. A text may be the best there is and "
            "still point away from the query: keep the order among them.",
            _top(lambda query, vectors: _similarity(query, vectors).clamp(min=0)),
        ),
        Mistake(
            "rounded",
            "You round the similarities before you compare them: near ones become equal.",
            _top(lambda query, vectors: (_similarity(query, vectors) * 100).round()),
        ),
        Mistake(
            "dot_product",
            "You rank by the dot product, so long vectors win by their length. Divide by the "
            "lengths of the vectors: `F.normalize(vectors, dim=-1)`, or `F.cosine_similarity`.",
            _top(lambda query, vectors: vectors @ query),
        ),
        Mistake(
            "distance",
            "You rank by distance, which depends on how long the vectors are. Only the angle "
            "counts here: `F.cosine_similarity`.",
            _top(lambda query, vectors: -(vectors - query).norm(dim=-1)),
        ),
        Mistake(
            "normalised_over_columns",
            "You normalise the *columns* of `vectors`. Each row is a text: its length is the norm "
            "over the last axis, `dim=-1`.",
            _top(lambda query, vectors: F.normalize(vectors, dim=0) @ query),
        ),
        Mistake(
            "divided_by_squared_length",
            "You divide by the *square* of each vector's length, so short vectors win. Divide by "
            "the length itself, the root of the sum of squares.",
            _top(lambda query, vectors: vectors @ query / vectors.pow(2).sum(-1)),
        ),
        Mistake(
            "size_of_the_cosine",
            "You drop the sign of the cosine: what points the opposite way counts as similar. "
            "Keep the sign.",
            _top(lambda query, vectors: _similarity(query, vectors).abs()),
        ),
        Mistake(
            "least_similar",
            "You return the *least* similar rows. A cosine near 1 means similar: take the largest.",
            _top(largest=False),
        ),
        Mistake(
            "worst_first",
            "The right rows, but the best comes last. Sort the other way round.",
            lambda query, vectors, k: _top()(query, vectors, k)[::-1],
        ),
        Mistake(
            "sorted_by_number",
            "The right rows, but in the order of their numbers. The best comes first.",
            lambda query, vectors, k: sorted(_top()(query, vectors, k)),
        ),
        Mistake(
            "similarities_returned",
            "You return the similarities. Which rows do they belong to? "
            "`topk` has `.values` and `.indices`.",
            lambda query, vectors, k: _similarity(query, vectors).topk(k).values.tolist(),
        ),
        Mistake(
            "topk_pair_returned",
            "You return both that `topk` finds, the similarities and the row numbers. Only the "
            "row numbers are wanted: `.indices`.",
            lambda query, vectors, k: _similarity(query, vectors).topk(k),
        ),
        Mistake(
            "counted_from_1",
            "The right rows, but you count them from 1. Row numbers begin with 0.",
            lambda query, vectors, k: [i + 1 for i in _top()(query, vectors, k)],
        ),
        Mistake(
            "vectors_returned",
            "You return the vectors found. Their row numbers are wanted, so that the texts can be "
            "looked up.",
            lambda query, vectors, k: vectors[_top()(query, vectors, k)],
        ),
        Mistake(
            "all_rows",
            "You return all rows, ranked. Only the first `k` are wanted.",
            _top(extra=10**6),
        ),
        Mistake(
            "one_too_many",
            "You return k + 1 rows.",
            _top(extra=1),
        ),
        Mistake(
            "one_too_few",
            "You return k − 1 rows: one is missing at the end.",
            _top(extra=-1),
        ),
        Mistake(
            "best_left_out",
            "You leave out the best row. Here the query is not among the vectors, so the first one "
            "found counts.",
            lambda query, vectors, k: _top(extra=1)(query, vectors, k)[1:],
        ),
    ],
    hints=[
        "One number for each row of `vectors`: the cosine of its angle with `query`.",
        "`F.cosine_similarity(query, vectors, dim=-1)` has shape `(N,)`.",
        "`.topk(k)` finds the largest, best first; it has `.values` and `.indices`.",
    ],
)
