"""Exercise 16.1, `similarity`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import learned_or_nan
from utils.checks.lesson16.common import FLOAT32, unit_length


def _similarity(a, b):
    if len(a) * b.numel() > 100_000:  # every pair of rows side by side would be slow to train with
        return unit_length(a) @ unit_length(b).T
    return F.cosine_similarity(a[:, None], b[None], dim=-1)


def _product(of_a, of_b=None):
    """The matrix product of the rows after something has been done to them."""
    return lambda a, b: of_a(a) @ (of_b or of_a)(b).T


similarity = Exercise(
    number="16.1",
    name="similarity",
    oracle=_similarity,
    compared_with="`F.cosine_similarity(a[:, None], b[None], dim=-1)`",
    probe=learned_or_nan,
    tolerance=FLOAT32,
    cases=lambda: [
        Case(normal(1, 2, 4), normal(2, 3, 4)),
        Case(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0], [6.0, 8.0]])),
        Case(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0], [-6.0, -8.0]])),
        Case(torch.tensor([[2.0, 1.0, 2.0], [0.0, 0.0, 0.0]]), torch.tensor([[1.0, -2.0, 2.0]])),
        Case(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 2.0]])),
        Case(normal(3, 3, 3), normal(4, 3, 3)),
        Case(normal(5, 4, 6), 2 * normal(6, 4, 6) + 1),
        Case(
            normal(7, 3, 5).requires_grad_(),
            normal(8, 2, 5).requires_grad_(),
        ),
        Case(
            torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]).requires_grad_(),
            torch.tensor([[1.0, -2.0, 2.0], [0.0, 0.0, 0.0], [3.0, 1.0, 0.0]]).requires_grad_(),
        ),
    ],
    mistakes=[
        Mistake(
            "not_normalised",
            "These are plain dot products: a long vector scores high wherever it points. Divide "
            "every row by its length first: `F.normalize(a, dim=-1)`.",
            _product(lambda x: x),
        ),
        Mistake(
            "normalised_along_the_batch",
            "You normalise each *column*, so the numbers of one vector depend on its neighbours in "
            "the batch. Each row is a vector: `dim=-1`.",
            _product(lambda x: unit_length(x, dim=0)),
        ),
        Mistake(
            "one_length_for_all",
            "You divide the whole table by one length. Every row has its own: "
            "`a.norm(dim=-1, keepdim=True)`.",
            _product(lambda x: x / x.norm()),
        ),
        Mistake(
            "no_keepdim",
            "The lengths have lost their axis, and PyTorch lays them along the *columns*. In a "
            "square table that gives no error, only wrong numbers: `keepdim=True`.",
            _product(lambda x: x / x.norm(dim=-1)),
        ),
        Mistake(
            "only_a_normalised",
            "The rows of `a` are normalised, those of `b` are not: divide these by their lengths "
            "as well.",
            _product(unit_length, lambda x: x),
        ),
        Mistake(
            "only_b_normalised",
            "The rows of `b` are normalised, those of `a` are not: divide these by their lengths "
            "as well.",
            _product(lambda x: x, unit_length),
        ),
        Mistake(
            "root_forgotten",
            "You divide by the sum of the squares. A vector's length is the *root* of that sum, "
            "`a.norm(dim=-1, keepdim=True)`.",
            _product(lambda x: x / x.pow(2).sum(-1, keepdim=True).clamp(min=1e-12)),
        ),
        Mistake(
            "sum_of_absolute_values",
            "You divide by the sum of the absolute values. For the cosine take the ordinary "
            "length, the root of the sum of the squares: `F.normalize` does so without `p=1`.",
            _product(lambda x: F.normalize(x, p=1, dim=-1)),
        ),
        Mistake(
            "transposed",
            "Rows and columns are exchanged: entry `[i, j]` is row `i` of `a` with row `j` of `b`, "
            "so the result is `(N, M)`.",
            lambda a, b: _similarity(b, a),
        ),
        Mistake(
            "paired_rows_only",
            "Row `i` of `a` meets only row `i` of `b`. Every row has to meet every row: a table "
            "`(N, M)`, which a matrix product gives.",
            lambda a, b: F.cosine_similarity(a, b, dim=-1),
        ),
        Mistake(
            "distance",
            "That is a distance: it is smallest where two vectors are most alike. The cosine is "
            "largest there, a dot product.",
            lambda a, b: torch.cdist(a, b),
        ),
        Mistake(
            "one_minus_the_cosine",
            "You take the cosine from 1, which makes a distance of it. Return the cosine itself: 1 "
            "where two vectors point the same way.",
            lambda a, b: 1 - _similarity(a, b),
        ),
        Mistake(
            "divided_by_zero",
            "Right, but for a row of zeros you divide 0 by 0, and that is `nan`. Keep the divisor "
            "above zero, as in `.clamp(min=1e-12)`, or let `F.normalize` do it.",
            _product(lambda x: x / x.norm(dim=-1, keepdim=True)),
        ),
        Mistake(
            "nan_gradient_of_zeros",
            "The numbers are right, but the gradient of a row of zeros is `nan`: a 0 / 0 or a root "
            "of 0 still stands there, and a `where`, a `nan_to_num` or a `clamp` after it comes "
            "too late for the way back. `F.normalize`, or `x.norm(dim=-1, "
            "keepdim=True).clamp(min=1e-12)` as divisor, is safe.",
            _product(lambda x: x / x.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-12)),
        ),
        Mistake(
            "length_detached",
            "The numbers are right, but the gradient is not: the lengths are cut off from it. They "
            "depend on the vectors as well: no `detach` and no `no_grad` on the divisor.",
            _product(lambda x: x / x.norm(dim=-1, keepdim=True).clamp(min=1e-12).detach()),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but no gradient comes through, so the towers could not learn "
            "from them: is there a `detach`, a `no_grad`, a `torch.tensor(...)` of numbers, or a "
            "way through NumPy?",
            lambda a, b: _similarity(a, b).detach(),
        ),
    ],
    hints=[
        "The cosine of two vectors is the dot product of the two after each has been divided by "
        "its length.",
        "`F.normalize(a, dim=-1)` keeps the shape `(N, d)` and gives each row the length 1.",
        "Every row of `a` with every row of `b` is one matrix product, `(N, d) @ (d, M)`: which of "
        "the two has to be transposed?",
    ],
)
