"""Exercise 17.2, `late_fusion`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import tenths
from utils.checks.engine.probes import with_slopes
from utils.checks.lesson17.common import MEANS, words
from utils.checks.lesson17.early_fusion import early_fusion


def _late_fusion(text, image, text_mask):
    rows = text_mask.flatten().nonzero().squeeze(1)  # the words' in a table of all B * T
    count = text_mask.sum(1)
    starts = count.cumsum(0) - count
    question = F.embedding_bag(rows, text.flatten(0, 1), starts, mode="mean")
    return torch.cat([question, image.mean(1)], dim=1)


def _column(mask):
    return mask[..., None].float()  # (B, T, 1)


def _late(
    total=lambda text, column: (text * column).sum(1),
    count=lambda text, column: column.sum(1).clamp(min=1),
    question=None,
    picture=lambda image: image.mean(1),
    join=lambda question, picture: torch.cat([question, picture], dim=1),
):
    """Late fusion with one step replaced."""

    def mutant(text, image, text_mask):
        column = _column(text_mask)
        if question is None:
            return join(total(text, column) / count(text, column), picture(image))
        return join(question(text, text_mask), picture(image))

    return mutant


def _largest_real(text, mask):
    largest = text.masked_fill(~mask[..., None], -torch.inf).amax(1)
    return largest.masked_fill(~mask.any(1, keepdim=True), 0)


def _padding_for_words(text, image, text_mask):
    return _late_fusion(text, image, ~text_mask)


def _zero_divided_by_zero(text, mask):
    mean = (text * _column(mask)).sum(1) / _column(mask).sum(1)
    return torch.where(mask.any(1, keepdim=True), mean, 0)


def _mean_of_all(text, image, text_mask):
    tokens, mask = early_fusion.oracle(text, image, torch.zeros(2, text.shape[2]), text_mask)
    return (tokens * _column(mask)).sum(1) / _column(mask).sum(1)


def _late_output(answer, text, image, text_mask):
    """The answer's result and its gradients, unless there is a nan already."""
    found = with_slopes(lambda text, image: answer(text, image, text_mask), text, image)
    return found["result"] if isinstance(found, Seen) and found["result"].isnan().any() else found


def _late_case(seed, mask, N, d):
    """Random tokens; the padding holds large numbers."""
    text = tenths(seed, *mask.shape, d) + 0.5
    text = torch.where(mask[..., None], text, 40 * text)
    return Case(text, tenths(seed + 1, len(mask), N, d), mask)


late_fusion = Exercise(
    number="17.2",
    name="late_fusion",
    oracle=_late_fusion,
    compared_with="`F.embedding_bag` (the mean of each row's words) and `torch.mean`",
    probe=_late_output,
    tolerance=MEANS,
    cases=lambda: [  # no two have masks of the same shape
        _late_case(10, words(3, 2, 3), 4, 2),
        _late_case(20, words(5, 2, 5, 4), 3, 4),
        _late_case(30, words(4, 1, 3, 4).flip(1), 4, 4),
        _late_case(40, words(2, 2), 1, 3),
        Case(
            torch.tensor([[[2.0], [4.0], [9.0]]]),
            torch.tensor([[[1.0], [3.0]]]),
            torch.tensor([[True, True, False]]),
        ),
        _late_case(50, words(2, 1, 0), 2, 1),
        _late_case(60, words(4, 3, 0, 2, 4), 5, 3),
    ],
    mistakes=[
        Mistake(
            "nan_for_the_empty_question",
            "Right, except for a question without a single word: 0 / 0 is `nan`, and one `nan` "
            "spoils every weight in the next step of training. Divide by at least 1: "
            "`count.clamp(min=1)`.",
            _late(count=lambda text, column: column.sum(1)),
        ),
        Mistake(
            "nan_in_the_gradient",
            "The numbers are right, but not the gradient: you divide 0 by 0 and put a 0 in its "
            "place afterwards (`torch.where`, `nan_to_num`?), and the way back still goes through "
            "the `nan`. Divide by `count.clamp(min=1)`, so that it never arises.",
            _late(question=_zero_divided_by_zero),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but no gradient comes back: is there a `detach`, a `no_grad`, "
            "or a way through NumPy?",
            lambda *args: _late_fusion(*args).detach(),
        ),
        Mistake(
            "padding_in_the_mean",
            "The padding is in the mean of the text: `text_mask` is not used. Multiply by the mask "
            "before you sum, and divide by the number of real words.",
            _late(question=lambda text, mask: text.mean(1)),
        ),
        Mistake(
            "padding_in_the_sum",
            "You divide by the number of real words, but the padding is still in the sum. Multiply "
            "by the mask first: `(text * m).sum(1)`.",
            _late(total=lambda text, column: text.sum(1)),
        ),
        Mistake(
            "divided_by_all_tokens",
            "The padding is set to 0 but still counted: you divide by T. Divide by the number of "
            "real words, `text_mask.sum(1)`.",
            _late(count=lambda text, column: text.shape[1]),
        ),
        Mistake(
            "one_count_for_all",
            "You divide by the number of real words in the whole batch. Each question has its own: "
            "`text_mask.sum(1, keepdim=True)`.",
            _late(count=lambda text, column: column.sum().clamp(min=1)),
        ),
        Mistake(
            "sum_of_the_words",
            "The text's half is the *sum* of the real words. Divide it by their number, so that a "
            "long question has no longer a vector than a short one.",
            _late(count=lambda text, column: 1),
        ),
        Mistake(
            "sum_of_the_image",
            "The image's half is the *sum* of its tokens. Take their mean: `image.mean(1)`.",
            _late(picture=lambda image: image.sum(1)),
        ),
        Mistake(
            "image_first",
            "The image stands in front. The text's mean comes first, then the image's.",
            _late(join=lambda question, picture: torch.cat([picture, question], dim=1)),
        ),
        Mistake(
            "largest_for_mean",
            "You take the largest number in each component. The *mean* is wanted, for the words "
            "and for the image.",
            _late(question=_largest_real, picture=lambda image: image.amax(1)),
        ),
        Mistake(
            "mean_over_the_width",
            "The means run over the components, and leave one number for each token. Take them "
            "over the tokens, axis 1, so that a vector of `d` numbers is left.",
            _late(
                question=lambda text, mask: text.mean(-1) * mask,
                picture=lambda image: image.mean(-1),
            ),
        ),
        Mistake(
            "first_token_only",
            "The text's half is its first token. That is a summary only in a model that was "
            "trained for it (`<cls>`); here take the mean of all real words.",
            _late(question=lambda text, mask: text[:, 0]),
        ),
        Mistake(
            "added_instead_of_joined",
            "You add the two means, and nobody can take them apart again. Put them side by side: "
            "`torch.cat([question, picture], dim=1)` has shape `(B, 2d)`.",
            _late(join=torch.add),
        ),
        Mistake(
            "stacked_instead_of_joined",
            "`torch.stack` makes a new axis, and the result has shape `(B, 2, d)`. Join along the "
            "components: `torch.cat` with `dim=1` gives `(B, 2d)`.",
            _late(join=lambda question, picture: torch.stack([question, picture], dim=1)),
        ),
        Mistake(
            "one_mean_for_all_tokens",
            "You take one mean over words and image tokens together, so the larger crowd drowns "
            "the other. Take two means, and put them side by side.",
            _mean_of_all,
        ),
        Mistake(
            "mask_upside_down",
            "You take the mean of the *padding*. `text_mask` is True for real words.",
            _padding_for_words,
        ),
    ],
    hints=[
        "Two means, side by side. For the words: a sum in which padding adds nothing, divided by "
        "the number of real words. What if that number is 0?",
        "`m = text_mask[..., None].float()` has shape `(B, T, 1)`. `(text * m).sum(1)` has shape "
        "`(B, d)`, and `m.sum(1)` has shape `(B, 1)`.",
        "`(text * m).sum(1) / m.sum(1).clamp(min=1)` is the text's half, `image.mean(1)` the "
        "image's; `torch.cat([…, …], dim=1)` joins them.",
    ],
)
