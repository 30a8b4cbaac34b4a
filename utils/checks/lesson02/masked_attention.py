"""Exercise 2.3, `masked_attention`: its oracle, inputs, mistakes and hints."""

import math

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_slopes
from utils.checks.lesson02.common import (
    attention_with,
    everything,
    hide_scores,
    root_of,
    softmax_over,
    unmasked,
    zeroed,
)


def _masked_attention(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _exponentials(scores, mask):
    e = scores.exp()
    return (e / e.sum(-1, keepdim=True)).nan_to_num(0.0)


def _zeros_hidden(scores, mask):
    """The scores times the mask, and whatever is 0 then is hidden."""
    scores = scores * mask
    return scores.masked_fill(scores == 0, -torch.inf)


def _always_causal(scores, mask):
    return hide_scores(scores, everything(*scores.shape[-2:]).tril())


def _times_infinity(scores, mask):
    return scores + (~mask).float() * -torch.inf


def _transposed_mask(q, k, v, mask):
    return _masked_attention(q, k, v, mask.transpose(-2, -1))


def _qkv(seed, *front, T_q, T_k, d_head, d_v, louder=1):
    """Random q, k and v with the axes `front` before their last two."""
    q = louder * normal(seed, *front, T_q, d_head)
    return q, normal(100 + seed, *front, T_k, d_head), normal(200 + seed, *front, T_k, d_v)


def _padded_on_both_sides():
    real = torch.tensor([[True] * 5 + [False] * 2, [False] * 3 + [True] * 4])
    return real[:, None, None, :]


def _left_padded():
    """Causal, and the second sequence starts with two paddings: its first two rows are empty."""
    real = torch.tensor([[True, True, True, True], [False, False, True, True]])
    return everything(4, 4).tril() & real[:, None, None, :]


def _by_hand(*allowed):
    q, k = torch.tensor([[0.0]]), torch.tensor([[1.0], [2.0], [3.0]])
    return Case(q, k, torch.tensor([[10.0], [20.0], [60.0]]), torch.tensor([allowed]))


def _low_allowed_score():
    """The allowed score is far below 0: so is a fill that is only a little negative."""
    q, k = torch.tensor([[1.0]]), torch.tensor([[-600.0], [0.0]])
    return Case(q, k, torch.tensor([[1.0], [6.0]]), torch.tensor([[True, False]]))


def _small_attention():
    return Case(
        torch.tensor([[1.0, 0.0], [0.5, 1.0]]),
        torch.tensor([[2.0, 1.0], [-1.0, 1.0], [0.0, -1.0]]),
        torch.tensor([[1.0], [5.0], [-2.0]]),
        torch.tensor([[True, False, True], [True, True, False]]),
    )


def _with_slopes(answer, q, k, v, mask):
    return with_slopes(lambda q, k, v: answer(q, k, v, mask), q, k, v)


def _loud_hidden_key(loudness):
    """A hidden key whose score is far above the others'."""
    mask = torch.tensor([[True, True, False], [True, False, True]])
    k = torch.tensor([[0.0], [1.0], [float(loudness)]])
    return Case(torch.tensor([[1.0], [-0.1]]), k, torch.tensor([[1.0], [2.0], [6.0]]), mask)


def _normalised_again(scores, mask):
    weights = scores.softmax(-1) * mask
    return (weights / weights.sum(-1, keepdim=True)).nan_to_num(0.0)


masked_attention = Exercise(
    number="2.3",
    name="masked_attention",
    oracle=_masked_attention,
    compared_with="`F.scaled_dot_product_attention` and its gradients",
    probe=_with_slopes,
    cases=lambda: [
        # no row of this mask is empty and none is full: turned round, it has no empty row either
        Case(*_qkv(1, 2, 3, T_q=4, T_k=6, d_head=5, d_v=2), everything(4, 6).tril(1)),
        _by_hand(True, True, False),
        _by_hand(False, False, False),
        _small_attention(),
        Case(
            torch.tensor([[1.0, 2.0], [0.0, 1.0]]),
            torch.tensor([[1.0, 0.0], [-1.0, 1.0]]),
            torch.tensor([[1.0, 2.0], [3.0, 7.0]]),
            torch.tensor([[False, False], [True, True]]),
        ),
        Case(*_qkv(2, 2, 3, T_q=4, T_k=7, d_head=5, d_v=6), _padded_on_both_sides()),
        Case(*_qkv(3, 2, 3, T_q=4, T_k=4, d_head=5, d_v=5), _left_padded()),
        Case(*_qkv(4, 3, T_q=4, T_k=5, d_head=2, d_v=3), everything(4, 5).tril(1)),
        Case(*_qkv(5, 1, 2, T_q=1, T_k=3, d_head=3, d_v=2), torch.tensor([[True, False, True]])),
        Case(*_qkv(6, T_q=3, T_k=3, d_head=4, d_v=2, louder=100), everything(3, 3).tril()),
        # masks that change from call to call: of each sentence, each head, each key; and one
        Case(*_qkv(7, 3, T_q=4, T_k=5, d_head=2, d_v=3), normal(8, 3, 4, 5) > 0),
        Case(*_qkv(9, 3, 3, T_q=2, T_k=4, d_head=3, d_v=2), normal(10, 3, 2, 4) > 0),
        Case(*_qkv(11, 2, 1, 2, T_q=2, T_k=3, d_head=2, d_v=2), normal(12, 2, 1, 2, 1, 3) > 0),
        Case(*_qkv(13, 2, T_q=2, T_k=5, d_head=3, d_v=4), normal(14, 1, 5) > -0.5),
        Case(*_qkv(15, 2, T_q=3, T_k=2, d_head=3, d_v=4), torch.tensor([[True]])),
        _low_allowed_score(),
        _loud_hidden_key(20),
        _loud_hidden_key(300),
    ],
    tolerance=Tolerance(absolute=1e-5, relative=1e-4),
    mistakes=[
        Mistake(
            "mask_ignored",
            "The mask has no effect: every query looks at every key. Before the softmax, set the "
            "scores of hidden keys to `-inf`. (`masked_fill` returns a new tensor: keep it.)",
            attention_with(hide=unmasked),
        ),
        Mistake(
            "mask_inverted",
            "You hide what is allowed and allow what is hidden. True means allowed, and "
            "`masked_fill` fills where its mask is True: give it `~mask`.",
            attention_with(hide=lambda scores, mask: hide_scores(scores, ~mask)),
        ),
        Mistake(
            "mask_after_softmax",
            "You set the hidden *weights* to 0 after the softmax. Then a row no longer sums to 1, "
            "and what it sums to tells of the keys that were to be hidden. Hide the *scores*, with "
            "`-inf`, before it.",
            attention_with(hide=unmasked, afterwards=zeroed),
        ),
        Mistake(
            "zero_for_minus_infinity",
            "Hidden scores become 0, and e⁰ = 1 is not nothing: those keys still get weight. "
            "Fill with `-torch.inf`, whose exponential is 0.",
            attention_with(hide=zeroed),
        ),
        Mistake(
            "mask_added",
            "You add the mask as it is: allowed scores grow by 1, and nothing is hidden. What has "
            "to be added is 0 for allowed and `-inf` for hidden; `masked_fill` is simpler.",
            attention_with(hide=lambda scores, mask: scores + mask),
        ),
        Mistake(
            "minus_infinity_times_zero",
            "Everything is `nan`: 0 times infinity is not 0 but `nan`. Do not multiply the mask by "
            "`-inf`: `masked_fill(~mask, -torch.inf)` touches only what is hidden.",
            attention_with(hide=_times_infinity, normalise=lambda scores, mask: scores.softmax(-1)),
        ),
        Mistake(
            "nan_swept_away",
            "Every output is 0: all weights were `nan`, and the zeros cover it up. Look at the "
            "scores before the softmax. A mask *multiplied* by `-inf` does this (0 times infinity "
            "is `nan`); `masked_fill(~mask, -torch.inf)` does not.",
            attention_with(hide=_times_infinity),
        ),
        Mistake(
            "nan_for_an_empty_row",
            "Right, but for a query that may look at nothing: its softmax is 0 / 0, which is "
            "`nan`. Such a query gets zeros: `weights.nan_to_num(0.0)`, or a `masked_fill`. "
            "(Multiplying by 0 does not help: `nan * 0` is `nan`.)",
            attention_with(normalise=lambda scores, mask: scores.softmax(-1)),
        ),
        Mistake(
            "nan_in_the_gradients",
            "The result is right, but its gradients are `nan`: you sweep the `nan` away *after* "
            "it has met the values, and on the way back `nan * 0` is `nan`. Make the *weights* of "
            "an empty row 0, before `weights @ v`.",
            attention_with(
                normalise=lambda scores, mask: scores.softmax(-1),
                finish=lambda out, q: out.nan_to_num(0.0),
            ),
        ),
        Mistake(
            "normalised_again",
            "You let the softmax run over all keys, set the hidden weights to 0 and divide each "
            "row by its sum again. If a hidden key has a large score, it has left nothing to "
            "divide. Hide the *scores*, before the softmax.",
            attention_with(hide=unmasked, normalise=_normalised_again),
        ),
        Mistake(
            "large_number_for_minus_infinity",
            "Right, but for a query that may look at nothing: filled with one and the same finite "
            "number, its scores are all equal and it looks at *everything*. Fill with "
            "`-torch.inf`, and turn the `nan` of such rows into zeros.",
            attention_with(hide=lambda scores, mask: scores.masked_fill(~mask, -1e9)),
        ),
        Mistake(
            "fill_not_low_enough",
            "Right, until an allowed score is lower than the number that you fill with: then it is "
            "the hidden keys that get the weight. Only `-torch.inf` is below every score.",
            attention_with(
                hide=lambda scores, mask: scores.masked_fill(~mask, -100.0), afterwards=zeroed
            ),
        ),
        Mistake(
            "nan_in_the_gradients_of_scores",
            "The result is right, but its gradients are `nan` where a query may look at nothing: "
            "you *add* `-inf`, and what is added lets the `nan` of an empty row back through to "
            "`q` and `k`. `masked_fill(~mask, -torch.inf)` stops it.",
            attention_with(
                hide=lambda scores, mask: scores + torch.where(mask, 0.0, -torch.inf),
            ),
        ),
        Mistake(
            "true_scores_of_0_hidden",
            "You multiply the scores by the mask and then hide every score that is 0. An allowed "
            "score may be 0 too, and is then hidden with the others. Hide where the *mask* is "
            "False: `masked_fill(~mask, -torch.inf)`.",
            attention_with(hide=_zeros_hidden),
        ),
        Mistake(
            "always_causal",
            "You hide what comes later, whatever the mask says. Take the `mask` that you are "
            "given.",
            attention_with(hide=_always_causal),
        ),
        Mistake(
            "mask_transposed",
            "The mask is transposed: its rows are queries and its columns keys, as in the scores.",
            _transposed_mask,
        ),
        Mistake(
            "no_scale",
            "The scores are not scaled: divide `q @ k.transpose(-2, -1)` by √d_head.",
            attention_with(scale=lambda q, k, v: 1.0),
        ),
        Mistake(
            "scale_by_d_head",
            "You divide by d_head; it is the root of it, `math.sqrt(q.shape[-1])`.",
            attention_with(scale=lambda q, k, v: q.shape[-1]),
        ),
        Mistake(
            "multiplied_by_scale",
            "You *multiply* by √d_head: the scores grow even larger. Divide.",
            attention_with(scale=lambda q, k, v: 1 / math.sqrt(q.shape[-1])),
        ),
        Mistake(
            "scaled_after_softmax",
            "You divide by √d_head after the softmax: the weights of a row no longer sum to 1. "
            "Scale the scores, then hide, then normalise.",
            attention_with(
                scale=lambda q, k, v: 1.0,
                finish=lambda out, q: out / math.sqrt(q.shape[-1]),
            ),
        ),
        Mistake(
            "scale_by_d_v",
            "You take the width of `v`. The sum that grows runs over the components of `q` and "
            "`k`: d_head is `q.shape[-1]`.",
            attention_with(scale=root_of(lambda q, k, v: v.shape[-1])),
        ),
        Mistake(
            "scale_by_number_of_keys",
            "You divide by the root of the number of keys. It is the number of *components* that "
            "makes scores large: `q.shape[-1]`.",
            attention_with(scale=root_of(lambda q, k, v: k.shape[-2])),
        ),
        Mistake(
            "softmax_over_queries",
            "The softmax runs over the queries. Each query shares its weight out among the keys, "
            "and keys are the last axis: `softmax(-1)`.",
            attention_with(normalise=softmax_over(-2)),
        ),
        Mistake(
            "softmax_over_axis_1",
            "`softmax(1)` is right for a plain table only. With batch and heads in front, axis 1 "
            "is the heads: the keys are the last axis, `softmax(-1)`.",
            attention_with(normalise=softmax_over(1)),
        ),
        Mistake(
            "no_softmax",
            "There is no softmax: the scores themselves are used as weights.",
            attention_with(hide=unmasked, normalise=lambda scores, mask: scores, afterwards=zeroed),
        ),
        Mistake(
            "no_softmax_after_hiding",
            "The hidden scores are `-inf`, but no softmax makes 0 of them: they meet the values as "
            "they are. Between hiding and mixing stands `softmax(-1)`.",
            attention_with(normalise=lambda scores, mask: scores),
        ),
        Mistake(
            "no_max_subtracted",
            "Right until the scores grow: `exp` overflows to `inf`, `inf / inf` is `nan`, and the "
            "sweep makes 0 of it, as if the query might look at nothing. PyTorch's own "
            "`softmax(-1)` subtracts each row's maximum first.",
            attention_with(normalise=_exponentials),
        ),
        Mistake(
            "weights_returned",
            "You return the weights. They still have to mix the values: `weights @ v`.",
            attention_with(mix=lambda weights, v: weights),
        ),
    ],
    hints=[
        "Scores, scale, *hide*, softmax, mix: lesson 01 with one step more. Which score makes the "
        "exponential 0?",
        "With axes in front, `k.transpose(-2, -1)` has shape `(..., d_head, T_k)`, and the scores "
        "have shape `(..., T_q, T_k)`, to which the mask broadcasts.",
        "`scores.masked_fill(~mask, -torch.inf).softmax(-1)`, and what does `nan_to_num(0.0)` do?",
    ],
)
