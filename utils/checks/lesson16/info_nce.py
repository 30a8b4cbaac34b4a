"""Exercise 16.2, `info_nce`: its oracle, inputs, mistakes and hints."""

import math

import torch
import torch.nn.functional as F
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import learned
from utils.checks.lesson16.common import FLOAT32, unit_length
from utils.checks.lesson16.similarity import similarity


def _info_nce(image, text, log_scale):
    return image_text_contrastive_loss(log_scale.exp() * similarity.oracle(image, text))


def _rows(logits, reduction="mean"):
    targets = torch.arange(len(logits))
    return F.cross_entropy(logits, targets, reduction=reduction)


def _two_ways(loss):
    """The mean of a loss over the rows and over the columns."""
    return lambda logits: (loss(logits) + loss(logits.T)) / 2


def _nce(
    unit=unit_length,
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
    probe=learned,
    tolerance=FLOAT32,
    cases=lambda: [
        Case(normal(1, 3, 4), normal(2, 3, 4), torch.tensor(1.3)),
        Case(
            torch.tensor([[3.0, 4.0], [0.0, 2.0]]),
            torch.tensor([[1.0, 0.0], [2.0, 2.0]]),
            torch.tensor(0.5),
        ),
        Case(
            torch.tensor([[2.0, 0.0], [0.0, 3.0]]),
            torch.tensor([[1.0, 0.0], [0.0, 5.0]]),
            torch.tensor(0.0),
        ),
        Case(normal(3, 4, 4), 3 * normal(4, 4, 4), torch.tensor(-0.4)),
        Case(normal(5, 6, 3), normal(6, 6, 3), torch.tensor(4.6)),
        Case(normal(13, 6, 3), normal(14, 6, 3), torch.tensor(5.0)),
        Case(normal(7, 5, 7), normal(8, 5, 7) + 1, torch.tensor(0.0)),
        Case(normal(9, 1, 3), normal(10, 1, 3), torch.tensor(1.0)),
        Case(normal(15, 300, 8), normal(16, 300, 8), torch.tensor(2.0)),
        Case(
            normal(11, 4, 3).requires_grad_(),
            normal(12, 4, 3).requires_grad_(),
            torch.tensor(0.9).requires_grad_(),
        ),
        Case(
            normal(17, 5, 4).requires_grad_(),
            normal(18, 5, 4).requires_grad_(),
            torch.tensor(4.7).requires_grad_(),
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
            "scale_cut_off",
            "Right, until the scale passes 100: there you cut it off. CLIP does so as well, but "
            "outside the loss, and so does `train` below. Here multiply by `log_scale.exp()`, "
            "however large it is.",
            _nce(scale=lambda log_scale: log_scale.clamp(max=math.log(100)).exp()),
        ),
        Mistake(
            "first_is_right",
            "Every row takes column 0 for its right answer. The right answer of row `i` is `i`: "
            "`torch.arange(len(logits))`.",
            _nce(loss=_two_ways(lambda x: F.cross_entropy(x, torch.zeros(len(x)).long()))),
        ),
        Mistake(
            "yes_or_no_for_each_pair",
            "You ask of every pair by itself whether it belongs together. Here each row is *one* "
            "question with N answers: `F.cross_entropy`, not a binary one.",
            _nce(loss=lambda x: F.binary_cross_entropy_with_logits(x, torch.eye(len(x)))),
        ),
        Mistake(
            "a_loss_for_each_row",
            "You return a loss for each row. One number is wanted, the mean: `F.cross_entropy` "
            "without `reduction`.",
            _nce(loss=lambda x: (_rows(x, "none") + _rows(x.T, "none")) / 2),
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
            "there a `detach`, a `no_grad`, a `torch.tensor(...)`, or a way through NumPy?",
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
