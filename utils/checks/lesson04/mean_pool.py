"""Exercise 4.4, `mean_pool`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, real_tokens
from utils.checks.lesson04.common import MODULES, turned


def _mean_pool(hidden, mask):
    rows = zip(hidden, mask, strict=True)
    return torch.stack([tokens[real.bool()].mean(0) for tokens, real in rows])


def _column(mask, hidden):
    return mask[..., None].to(hidden.dtype)  # (B, T, 1)


def _pooled(total=lambda h, m: (h * m).sum(1), count=lambda h, m: m.sum(1)):
    """Sum and number of the real tokens, with one of the two replaced."""

    def mutant(hidden, mask):
        column = _column(mask, hidden)
        return total(hidden, column) / count(hidden, column)

    return mutant


def _padding_counted_as_real(hidden, mask):
    return _mean_pool(hidden, mask == 0)


def _best_of_each(hidden, mask):
    return hidden.masked_fill(~mask.bool()[..., None], -torch.inf).amax(1)


def _last_real(hidden, mask):
    return torch.stack([row[real.bool()][-1] for row, real in zip(hidden, mask, strict=True)])


def _without_first_and_last(hidden, mask):
    rows = zip(hidden, mask, strict=True)
    return torch.stack([tokens[real.bool()][1:-1].mean(0) for tokens, real in rows])


def _padded(seed, mask, d_model):
    """Hidden states whose padding holds large numbers."""
    hidden = normal(seed, *mask.shape, d_model)
    return torch.where(mask.bool()[..., None], hidden + 0.5, 40 * hidden)


def _pool_case(seed, mask, d_model):
    return Case(_padded(seed, mask, d_model), mask)


mean_pool = Exercise(
    number="4.4",
    name="mean_pool",
    oracle=_mean_pool,
    compared_with="the mean of each text's real tokens, one text at a time",
    tolerance=MODULES,
    cases=lambda: [
        _pool_case(1, real_tokens(5, *turned(5, 3, 4)), 4),
        _pool_case(2, real_tokens(6, *turned(2, 6)).long(), 3),
        _pool_case(3, real_tokens(3, *turned(1, 3, 2)), 3),
        _pool_case(4, real_tokens(4, *turned(2, 1, 3, 4)).long(), 4),
        _pool_case(5, real_tokens(5, *turned(3, 4)).flip(1), 3),
        Case(
            torch.tensor([[[1.0, 2.0], [3.0, 6.0], [90.0, -70.0]]]),
            torch.tensor([[1, 1, 0]]),
        ),
        Case(torch.tensor([[[2.0], [4.0], [9.0]]]), torch.tensor([[1, 1, 0]])),
        _pool_case(6, real_tokens(1, 1, 1, 1, 1), 3),
        _pool_case(7, real_tokens(7, *turned(2, 4)), 3),
        Case(torch.tensor([[[0.0, 2.0], [2.0, 4.0]]]), torch.tensor([[True, True]])),
        _pool_case(8, real_tokens(4, 3).long(), 2),
        _pool_case(9, real_tokens(300, *turned(257, 300)), 2),
    ],
    mistakes=[
        Mistake(
            "padding_in_the_mean",
            "The padding is in the mean: `mask` is not used. Multiply by the mask before you sum, "
            "and divide by the number of real tokens.",
            lambda hidden, mask: hidden.mean(1),
        ),
        Mistake(
            "cut_at_the_longest",
            "You cut all texts after the longest one and take the mean of what is left. Shorter "
            "texts still have padding there.",
            lambda hidden, mask: hidden[:, : int(mask.sum(1).max())].mean(1),
        ),
        Mistake(
            "mask_as_row_numbers",
            "`hidden[i][mask[i]]` picks the real tokens only if the mask is bool. With ones and "
            "zeros it takes them for row numbers, and picks rows 1 and 0 again and again: "
            "`mask.bool()` first.",
            lambda hidden, mask: torch.stack(
                [tokens[real].mean(0) for tokens, real in zip(hidden, mask, strict=True)]
            ),
        ),
        Mistake(
            "zeros_not_counted",
            "You count the numbers that are not 0, and a real token may hold a 0. Count with the "
            "mask: `mask.sum(1)`.",
            _pooled(count=lambda h, m: ((h * m) != 0).sum(1)),
        ),
        Mistake(
            "axis_lost",
            "The numbers are right, but for a batch of one text the axis of the batch is lost: is "
            "there a `squeeze`?",
            lambda hidden, mask: _mean_pool(hidden, mask).squeeze(0),
        ),
        Mistake(
            "axis_kept",
            "The numbers are right, but there is an axis too many: without `keepdim` in the sum "
            "over the tokens the result is `(B, d_model)`.",
            lambda hidden, mask: _mean_pool(hidden, mask)[:, None],
        ),
        Mistake(
            "first_texts_count",
            "You divide every text by the *first* text's number of tokens. Each has its own.",
            _pooled(count=lambda h, m: m.sum(1)[:1]),
        ),
        Mistake(
            "padding_in_the_sum",
            "You divide by the number of real tokens, but the padding is still in the sum. "
            "Multiply by the mask first.",
            _pooled(total=lambda h, m: h.sum(1)),
        ),
        Mistake(
            "divided_by_length",
            "The padding is set to 0 but still counted: you divide by T. Divide by the number of "
            "real tokens, `mask.sum(1)`.",
            _pooled(count=lambda h, m: h.shape[1]),
        ),
        Mistake(
            "divided_by_the_longest",
            "You divide every text by the number of real tokens of the *longest* one. Each has its "
            "own number.",
            _pooled(count=lambda h, m: m.sum(1).max()),
        ),
        Mistake(
            "not_divided",
            "That is the sum of the real tokens. Divide it by their number, so that a long text "
            "has no longer a vector than a short one.",
            _pooled(count=lambda h, m: 1),
        ),
        Mistake(
            "one_count_for_all",
            "You divide by the number of real tokens of the whole batch. Each text has its own: "
            "sum the mask over axis 1 only.",
            _pooled(count=lambda h, m: m.sum()),
        ),
        Mistake(
            "one_vector_for_the_batch",
            "You pool the tokens of all texts together. Each text gets a vector of its own: "
            "the result has shape `(B, d_model)`.",
            lambda hidden, mask: hidden[mask.bool()].mean(0),
        ),
        Mistake(
            "mask_the_wrong_way_round",
            "You take the mean of the *padding*. The mask is true, or 1, for real tokens.",
            _padding_counted_as_real,
        ),
        Mistake(
            "first_token_only",
            "You return the first token's vector. Some models are trained for that (`[CLS]`); this "
            "one wants the mean over all real tokens.",
            lambda hidden, mask: hidden[:, 0],
        ),
        Mistake(
            "last_token_only",
            "You return the last token's vector, which may even be padding. Take the mean over all "
            "real tokens.",
            lambda hidden, mask: hidden[:, -1],
        ),
        Mistake(
            "last_real_token_only",
            "You return the last real token's vector. Take the mean over all real tokens.",
            _last_real,
        ),
        Mistake(
            "first_and_last_left_out",
            "You leave out the first and the last real token. They are special tokens, but this "
            "model was trained with them in the mean: the mask alone decides.",
            _without_first_and_last,
        ),
        Mistake(
            "largest_for_mean",
            "You take the largest of the real tokens in each component. The *mean* is asked.",
            _best_of_each,
        ),
        Mistake(
            "mean_over_the_width",
            "The mean runs over the components and leaves one number for each token. Take it over "
            "the tokens, axis 1.",
            lambda hidden, mask: hidden.mean(-1),
        ),
        Mistake(
            "normalised_already",
            "The mean is right, but you scale it to length 1 already. That comes with the search; "
            "here the plain mean is wanted.",
            lambda hidden, mask: F.normalize(_mean_pool(hidden, mask), dim=-1),
        ),
        Mistake(
            "mask_along_the_width",
            "The mask is laid along the *components*. On square shapes that gives no error, only "
            "wrong numbers: give it an axis at the end, `mask[..., None]`.",
            lambda hidden, mask: (hidden * mask).sum(1) / mask.sum(1, keepdim=True),
        ),
        Mistake(
            "count_along_the_width",
            "The numbers of tokens are laid along the *components*. Keep an axis for them, "
            "`mask.sum(1, keepdim=True)`, so that each text is divided by its own.",
            lambda hidden, mask: (hidden * _column(mask, hidden)).sum(1) / mask.sum(1),
        ),
    ],
    hints=[
        "A sum over the real tokens, divided by their number. What must a padded token be "
        "multiplied by, so that it adds nothing?",
        "`mask[..., None]` has shape `(B, T, 1)` and meets every component of `hidden`.",
        "`(hidden * m).sum(1)` has shape `(B, d_model)`, and `m.sum(1)` has shape `(B, 1)`.",
    ],
)
