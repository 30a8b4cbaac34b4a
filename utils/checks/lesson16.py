"""Lesson 16: a shared space. Answers take and return PyTorch tensors; 16.3 works on names."""

import re
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import top_k_accuracy_score
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from utils.checks import hint, progress  # noqa: F401  (a lesson calls them as checks.hint)
from utils.checks.compare import Tolerance
from utils.checks.engine import Case, Exercise, Lesson, Mistake
from utils.checks.probes import with_slopes

LESSON = Lesson("16", "A shared space", "16_shared_space")
FLOAT32 = Tolerance(absolute=1e-5, relative=1e-4)


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _learned(answer, *inputs):
    """The answer's result, with its gradients where the inputs are such as are being learned."""
    return with_slopes(answer, *inputs) if inputs[0].requires_grad else answer(*inputs)


def _unit(x, dim=-1):
    return F.normalize(x, dim=dim)


# --- 16.1 similarity ------------------------------------------------------------------------


def _similarity(a, b):
    if len(a) * b.numel() > 100_000:  # every pair of rows side by side would be slow to train with
        return _unit(a) @ _unit(b).T
    return F.cosine_similarity(a[:, None], b[None], dim=-1)


def _product(of_a, of_b=None):
    """The matrix product of the rows after something has been done to them."""
    return lambda a, b: of_a(a) @ (of_b or of_a)(b).T


similarity = Exercise(
    number="16.1",
    name="similarity",
    oracle=_similarity,
    compared_with="`F.cosine_similarity(a[:, None], b[None], dim=-1)`",
    probe=_learned,
    tolerance=FLOAT32,
    cases=lambda: [
        Case(_normal(1, 2, 4), _normal(2, 3, 4)),
        Case(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0], [-6.0, -8.0]])),
        Case(torch.tensor([[2.0, 1.0, 2.0], [0.0, 0.0, 0.0]]), torch.tensor([[1.0, -2.0, 2.0]])),
        Case(_normal(3, 3, 3), _normal(4, 3, 3)),
        Case(_normal(5, 4, 6), 2 * _normal(6, 4, 6) + 1),
        Case(
            _normal(7, 3, 5).requires_grad_(),
            _normal(8, 2, 5).requires_grad_(),
            label="similarity(a, b) of shapes (3, 5) and (2, 5), and its gradients:\n"
            "[result, [gradient of a, gradient of b]]",
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
            _product(lambda x: _unit(x, dim=0)),
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
            _product(_unit, lambda x: x),
        ),
        Mistake(
            "only_b_normalised",
            "The rows of `b` are normalised, those of `a` are not: divide these by their lengths "
            "as well.",
            _product(lambda x: x, _unit),
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
            "no_gradient",
            "The numbers are right, but no gradient comes through, so the towers could not learn "
            "from them: is there a `detach`, a `no_grad`, or a `torch.tensor(...)` of numbers?",
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

# --- 16.2 info_nce --------------------------------------------------------------------------


def _info_nce(image, text, log_scale):
    return image_text_contrastive_loss(log_scale.exp() * _similarity(image, text))


def _rows(logits, reduction="mean"):
    targets = torch.arange(len(logits))
    return F.cross_entropy(logits, targets, reduction=reduction)


def _two_ways(loss):
    """The mean of a loss over the rows and over the columns."""
    return lambda logits: (loss(logits) + loss(logits.T)) / 2


def _nce(
    unit=_unit,
    scale=lambda log_scale: log_scale.exp(),
    loss=image_text_contrastive_loss,
    pair=lambda image, text: (image, text),
):
    """The contrastive loss with one step replaced."""

    def mutant(image, text, log_scale):
        image, text = pair(unit(image), unit(text))
        return loss(scale(log_scale) * image @ text.T)

    return mutant


def _log_of_softmax_by_hand(logits):
    e = logits.exp()
    return -(e / e.sum(1, keepdim=True)).diagonal().log().mean()


info_nce = Exercise(
    number="16.2",
    name="info_nce",
    oracle=_info_nce,
    compared_with="the loss of Hugging Face's CLIP, `image_text_contrastive_loss`,",
    probe=_learned,
    tolerance=FLOAT32,
    cases=lambda: [
        Case(_normal(1, 3, 4), _normal(2, 3, 4), torch.tensor(1.3)),
        Case(
            torch.tensor([[3.0, 4.0], [0.0, 2.0]]),
            torch.tensor([[1.0, 0.0], [2.0, 2.0]]),
            torch.tensor(0.5),
        ),
        Case(_normal(3, 4, 4), 3 * _normal(4, 4, 4), torch.tensor(-0.4)),
        Case(_normal(5, 6, 3), _normal(6, 6, 3), torch.tensor(4.6)),
        Case(_normal(7, 5, 7), _normal(8, 5, 7) + 1, torch.tensor(0.0)),
        Case(_normal(9, 1, 3), _normal(10, 1, 3), torch.tensor(1.0)),
        Case(
            _normal(11, 4, 3).requires_grad_(),
            _normal(12, 4, 3).requires_grad_(),
            torch.tensor(0.9).requires_grad_(),
            label="info_nce(image, text, log_scale) of shapes (4, 3), (4, 3) and (), and its "
            "gradients:\n[loss, [gradient of image, of text, of log_scale]]",
        ),
    ],
    mistakes=[
        Mistake(
            "rows_only",
            "Only one direction counts: each image looks for its text. Each text has to look for "
            "its image as well: take the loss of the table and of its transpose, and their mean.",
            _nce(loss=_rows),
        ),
        Mistake(
            "columns_only",
            "Only one direction counts: each text looks for its image. Each image has to look for "
            "its text as well: take the loss of the table and of its transpose, and their mean.",
            _nce(loss=lambda logits: _rows(logits.T)),
        ),
        Mistake(
            "not_normalised",
            "The vectors are not normalised, so the loss could fall just because they grow. Take "
            "cosines: `similarity(image, text)`.",
            _nce(unit=lambda x: x),
        ),
        Mistake(
            "log_scale_for_scale",
            "You multiply by `log_scale` itself. It is the *logarithm* of the scale: "
            "`log_scale.exp()`.",
            _nce(scale=lambda log_scale: log_scale),
        ),
        Mistake(
            "exponential_twice",
            "The exponential is taken twice. Multiply by `log_scale.exp()` and leave the rest to "
            "`F.cross_entropy`.",
            _nce(scale=lambda log_scale: log_scale.exp().exp()),
        ),
        Mistake(
            "scaled_twice",
            "The scale comes in twice, so the cosines are multiplied by its square. Is it in both "
            "vectors? Multiply the table once.",
            _nce(scale=lambda log_scale: (2 * log_scale).exp()),
        ),
        Mistake(
            "divided_by_the_scale",
            "You divide by the scale. It is one over the temperature already: multiply.",
            _nce(scale=lambda log_scale: (-log_scale).exp()),
        ),
        Mistake(
            "no_scale",
            "`log_scale` is not used. Cosines lie between -1 and 1, too close together for a "
            "confident softmax: multiply them by `log_scale.exp()`.",
            _nce(scale=lambda log_scale: 1.0),
        ),
        Mistake(
            "not_halved",
            "The two directions are added. Take their mean: divide by 2.",
            _nce(loss=lambda logits: _rows(logits) + _rows(logits.T)),
        ),
        Mistake(
            "summed_over_the_batch",
            "You add up over the batch, so the loss grows with its size. `F.cross_entropy` takes "
            "the mean by itself, without `reduction`.",
            _nce(loss=_two_ways(lambda logits: _rows(logits, reduction="sum"))),
        ),
        Mistake(
            "softmax_before_cross_entropy",
            "`F.cross_entropy` contains the softmax, and you apply one before it. Give it the "
            "logits as they are.",
            _nce(loss=_two_ways(lambda logits: _rows(logits.softmax(1)))),
        ),
        Mistake(
            "right_pairs_only",
            "Only the right pairs count, and nothing pushes the wrong ones apart: all vectors "
            "could become the same. `F.cross_entropy` compares each right one with its whole row.",
            _nce(loss=lambda logits: -logits.diagonal().mean()),
        ),
        Mistake(
            "images_with_images",
            "The images are compared with themselves; the texts are not used. The table is image "
            "times text.",
            _nce(pair=lambda image, text: (image, image)),
        ),
        Mistake(
            "sign_turned",
            "The sign is turned round: training would push the right pairs apart. The loss is the "
            "*negative* logarithm, as `F.cross_entropy` gives it.",
            lambda image, text, log_scale: -_info_nce(image, text, log_scale),
        ),
        Mistake(
            "overflow",
            "Right, until the scale grows: with 100 the exponentials become `inf`, and `inf / inf` "
            "is `nan`. `F.cross_entropy` works with logarithms and stays finite.",
            _nce(loss=_two_ways(_log_of_softmax_by_hand)),
        ),
        Mistake(
            "logarithm_of_zero",
            "Right, until the scale grows: then a probability becomes 0, and its logarithm is "
            "`-inf`. Use `log_softmax` or `F.cross_entropy` in place of `softmax` and `log`.",
            _nce(loss=_two_ways(lambda logits: -logits.softmax(1).diagonal().log().mean())),
        ),
        Mistake(
            "scale_not_learned",
            "The loss is right, but no gradient reaches `log_scale`, so the temperature would stay "
            "as it is: no `.item()`, `.detach()` or `math.exp` on it, `log_scale.exp()` only.",
            lambda image, text, log_scale: _info_nce(image, text, log_scale.detach()),
        ),
        Mistake(
            "image_not_learned",
            "The loss is right, but no gradient reaches `image`: that tower would stay as it is. "
            "Is there a `detach` or a `no_grad` on its way?",
            _nce(pair=lambda image, text: (image.detach(), text)),
        ),
        Mistake(
            "text_not_learned",
            "The loss is right, but no gradient reaches `text`: that tower would stay as it is. "
            "Is there a `detach` or a `no_grad` on its way?",
            _nce(pair=lambda image, text: (image, text.detach())),
        ),
        Mistake(
            "no_gradient",
            "The loss is right, but no gradient comes through, so nothing could be learned: is "
            "there a `detach`, a `no_grad`, or a `torch.tensor(...)` of numbers?",
            lambda image, text, log_scale: _info_nce(image, text, log_scale).detach(),
        ),
        Mistake(
            "number_for_tensor",
            "The loss is right, but as a plain number, which has no `backward`. Return the tensor "
            "itself, without `.item()`.",
            lambda image, text, log_scale: _info_nce(image, text, log_scale).item(),
        ),
    ],
    hints=[
        "`log_scale.exp() * similarity(image, text)` is a table of logits, `(N, N)`. In which "
        "column does row `i` have its right answer?",
        "The right columns are `torch.arange(N)`. `F.cross_entropy(logits, targets)` lets each "
        "image choose its text; `logits.T` does the other direction.",
        "`(F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2`.",
    ],
)

# --- 16.3 family ----------------------------------------------------------------------------


def _family(name, suffixes):
    return re.sub(rf"(-({'|'.join(map(re.escape, suffixes))}))+\Z", "", name)


def _words(change):
    """A mistake in which words stay."""
    return lambda name, suffixes: "-".join(change(name.split("-"), suffixes))


def _all_trailing(words, suffixes):
    while words and words[-1] in suffixes:
        words = words[:-1]
    return words


def _up_to_the_first_suffix(words, suffixes):
    cut = [i for i, word in enumerate(words) if word in suffixes and i > 0]
    return words[: min(cut, default=len(words))]


def _one_suffix(words, suffixes):
    return words[:-1] if len(words) > 1 and words[-1] in suffixes else words


def _once_each(name, suffixes):
    for suffix in suffixes:
        name = name.removesuffix(f"-{suffix}")
    return name


def _while_it_ends_so(cut):
    def mutant(name, suffixes):
        while ends := [s for s in sorted(suffixes) if name.endswith(s) and name != s]:
            name = cut(name, ends[0])
        return name

    return mutant


def _family_case(name, *suffixes):
    written = ", ".join(f'"{suffix}"' for suffix in suffixes)
    return Case(name, set(suffixes), label=f'family("{name}", {{{written}}})')


family = Exercise(
    number="16.3",
    name="family",
    oracle=_family,
    compared_with="one `re.sub`, anchored at the end,",
    cases=lambda: [
        _family_case("door-lock-off-takeoff-alert-outline", "off", "alert", "outline"),
        _family_case("account-off-outline", "off", "outline"),
        _family_case("account-outline-off", "off", "outline"),
        _family_case("bell-off-outline-off", "off", "outline"),
        _family_case("power-off-button", "off"),
        _family_case("playoff", "off"),
        _family_case("off", "off"),
        _family_case("check-off", "off", "check"),
        _family_case("box-cutter-off", "off", "box"),
        _family_case("lightbulb-group", "off", "outline"),
        _family_case("home", "off"),
        _family_case("bell-plus", "minus", "plus"),
        _family_case("many-to-many", "many"),
        _family_case("off-road-off", "off"),
        _family_case("print-offset", "off"),
        _family_case("under-line", "off", "outline"),
        _family_case("picture-in-picture-off", "off"),
    ],
    mistakes=[
        Mistake(
            "only_one_suffix_taken",
            "Only one word is taken away. There may be several at the end, as in "
            "`account-off-outline`: go on until the last word is no suffix.",
            _words(_one_suffix),
        ),
        Mistake(
            "words_anywhere",
            "You take the words away wherever they stand. Only those at the *end* are suffixes: "
            "the `off` of `power-off-button` stays.",
            _words(lambda words, suffixes: [word for word in words if word not in suffixes]),
        ),
        Mistake(
            "words_anywhere_but_first",
            "The first word stays, as it should, but in the middle words are taken away as well. "
            "Only those at the *end* are suffixes: the `off` of `power-off-button` stays.",
            _words(lambda words, suffixes: words[:1] + [w for w in words[1:] if w not in suffixes]),
        ),
        Mistake(
            "part_of_a_word",
            "You take away part of a word: `playoff` becomes `play`. Only whole words count: split "
            "at the hyphens, or look for the hyphen too.",
            _while_it_ends_so(lambda name, suffix: name.removesuffix(suffix).rstrip("-")),
        ),
        Mistake(
            "hyphen_left_behind",
            "A hyphen stays at the end. Take it away together with the word: "
            '`name.removesuffix("-" + suffix)`.',
            _while_it_ends_so(lambda name, suffix: name.removesuffix(suffix)),
        ),
        Mistake(
            "nothing_left",
            "Where every word is a suffix, nothing is left. The first word always stays: go on "
            "only while there are more than one, `len(words) > 1`.",
            _words(_all_trailing),
        ),
        Mistake(
            "cut_at_the_first_suffix",
            "You cut at the first suffix that you meet from the left. Begin at the right: the "
            "`off` of `power-off-button` has a word behind it, so it stays.",
            _words(_up_to_the_first_suffix),
        ),
        Mistake(
            "first_word_only",
            "You keep the first word only. `box-cutter-off` belongs to `box-cutter`: take away the "
            "words at the end that are in `suffixes`, and no others.",
            _words(lambda words, suffixes: words[:1]),
        ),
        Mistake(
            "last_word_always_taken",
            "The last word is taken away whatever it is. First see whether it is in `suffixes`, "
            "and go on as long as that holds.",
            lambda name, suffixes: name.rpartition("-")[0] or name,
        ),
        Mistake(
            "each_suffix_tried_once",
            "You go through the suffixes once. If `off` is tried before `outline`, the `off` of "
            "`account-off-outline` stays, and a set has no order. Look at the last word of the "
            "name, again and again.",
            _once_each,
        ),
        Mistake(
            "characters_stripped",
            "`rstrip` takes away *characters*, as long as they occur in its argument, not words. "
            "Split at the hyphens, and compare whole words.",
            lambda name, suffixes: name.rstrip("-" + "".join(sorted(suffixes))),
        ),
        Mistake(
            "list_of_words",
            'The words are right, but in a list. Join them again: `"-".join(words)`.',
            lambda name, suffixes: _family(name, suffixes).split("-"),
        ),
    ],
    hints=[
        'Split the name at its hyphens: `words = name.split("-")`.',
        "Look at the last word: while it is in `suffixes` and is not the only one, drop it.",
        '`while len(words) > 1 and words[-1] in suffixes: words.pop()`, then `"-".join(words)`.',
    ],
)

# --- 16.4 recall_at_k -----------------------------------------------------------------------


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
        Case(_normal(270, 13, 13) + torch.eye(13), 3),
        Case(torch.tensor([[0.3, 0.8, 0.6], [0.5, 0.7, 0.2], [0.4, 0.9, 0.1]]), 2),
        Case(torch.tensor([[0.1, 0.9], [0.2, 0.6]]), 1),
        Case(_normal(2, 9, 9) - 4, 1),
        Case(_normal(3, 11, 11) + 0.5 * torch.eye(11), 5),
        Case(_normal(4, 8, 8).double(), 2),
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

# --- 16.5 zero_shot -------------------------------------------------------------------------


def _zero_shot(images, prompts):
    classes = F.normalize(prompts, dim=-1).mean(1)
    return F.cosine_similarity(images[:, None], classes[None], dim=-1).argmax(-1)


def _classifier(
    prompt=_unit,
    together=lambda prompts: prompts.mean(1),
    whole=_unit,
    decide=lambda cosines: cosines.argmax(1),
):
    """The zero-shot classifier with one step replaced."""

    def mutant(images, prompts):
        return decide(_unit(images) @ whole(together(prompt(prompts))).T)

    return mutant


def _each_prompt(decide):
    """Decide on the cosines with every single prompt, (B, n_classes, n_prompts)."""
    return lambda images, prompts: decide(
        torch.einsum("bd,cpd->bcp", _unit(images), _unit(prompts))
    )


def _prompts(seed, *shape):
    """Vectors of very different lengths."""
    return _normal(seed, *shape) * _normal(seed + 100, *shape[:-1], 1).exp()


def _one_decimal(x):
    return (10 * x).round() / 10


zero_shot = Exercise(
    number="16.5",
    name="zero_shot",
    oracle=_zero_shot,
    compared_with="the largest `F.cosine_similarity` with the mean of `F.normalize(prompts)`",
    cases=lambda: [
        Case(_prompts(206, 8, 4), _prompts(1206, 5, 3, 4)),
        Case(_one_decimal(_normal(74, 3, 2)), _one_decimal(_prompts(1074, 3, 2, 2))),
        Case(_prompts(421, 3, 3), _prompts(1421, 3, 3, 3)),
        Case(_prompts(195, 6, 5), _prompts(1195, 4, 1, 5)),
        Case(_prompts(312, 1, 4), _prompts(1312, 6, 2, 4)),
        Case(_prompts(47, 20, 6), _prompts(1047, 9, 4, 6)),
    ],
    mistakes=[
        Mistake(
            "prompts_not_normalised",
            "The prompts go into the mean with the lengths they happen to have, so a long one "
            "drowns the others. Normalise each of them before the mean.",
            _classifier(prompt=lambda x: x),
        ),
        Mistake(
            "mean_not_normalised",
            "The mean over the prompts is not normalised. A mean of unit vectors is shorter than "
            "1, and shortest where the prompts disagree, which puts that class behind: normalise "
            "again. (The mean of the cosines with each prompt comes to the same mistake.)",
            _classifier(whole=lambda x: x),
        ),
        Mistake(
            "no_prompt_normalised",
            "Neither the prompts nor their mean are normalised, so the longest class wins too "
            "often: normalise before the mean and again after it.",
            _classifier(prompt=lambda x: x, whole=lambda x: x),
        ),
        Mistake(
            "normalised_over_the_prompts",
            "`F.normalize` takes axis 1 when it is not told otherwise, and in `(n_classes, "
            "n_prompts, d)` that counts the prompts. Each vector is to get length 1: `dim=-1`.",
            _classifier(prompt=lambda x: F.normalize(x, dim=1)),
        ),
        Mistake(
            "first_prompt_only",
            "Only the first prompt of each class is used. Take the mean over all of them, "
            "`.mean(1)`.",
            _classifier(together=lambda prompts: prompts[:, 0]),
        ),
        Mistake(
            "best_single_prompt",
            "The best single prompt decides. One that is off may then win for its class: take the "
            "mean vector of each class first.",
            _each_prompt(lambda cosines: cosines.amax(2).argmax(1)),
        ),
        Mistake(
            "prompts_for_classes",
            "You number the prompts one after the other, and return the number of the best prompt. "
            "The number of a *class* is wanted: one vector for each class, the mean over axis 1.",
            _each_prompt(lambda cosines: cosines.flatten(1).argmax(1)),
        ),
        Mistake(
            "mean_over_the_classes",
            "You take the mean over the *classes*, which leaves one vector for each prompt. "
            "In `(n_classes, n_prompts, d)` the prompts are axis 1.",
            _classifier(together=lambda prompts: prompts.mean(0)),
        ),
        Mistake(
            "image_for_each_class",
            "You look for the best image of each class. Each image looks for its class: the "
            "`argmax` along the classes.",
            _classifier(decide=lambda cosines: cosines.argmax(0)),
        ),
        Mistake(
            "scores_for_classes",
            "These are the cosines. Return the number of the best class for each image: "
            "`.argmax(-1)`.",
            _classifier(decide=lambda cosines: cosines),
        ),
        Mistake(
            "best_score_for_class",
            "That is *how* alike the best class is. Which one it is says `argmax`, not `max`.",
            _classifier(decide=lambda cosines: cosines.amax(1)),
        ),
        Mistake(
            "least_alike",
            "You take the class that is *least* like the image: `argmax`, not `argmin`.",
            _classifier(decide=lambda cosines: cosines.argmin(1)),
        ),
    ],
    hints=[
        "Make one vector of length 1 for each class first: `(n_classes, d)`. What is done to the "
        "prompts before the mean, and what after it?",
        "`F.normalize(prompts, dim=-1).mean(1)` has shape `(n_classes, d)`, but its rows are "
        "shorter than 1.",
        "`similarity(images, classes)` normalises both and has shape `(B, n_classes)`; `argmax` "
        "along its last axis is the answer.",
    ],
)
