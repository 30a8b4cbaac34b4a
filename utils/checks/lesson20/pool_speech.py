"""Exercise 20.2, `pool_speech`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, real_tokens
from utils.checks.engine.probes import learned


def _pool_speech(states, mask, queries):
    queries = queries.expand(len(states), -1, -1)
    return F.scaled_dot_product_attention(queries, states, states, attn_mask=mask[:, None])


def _pool(
    scale=lambda C, T: C**-0.5,
    hide=lambda scores, mask: scores.masked_fill(~mask[:, None], -torch.inf),
    share=lambda scores: scores.softmax(-1),
    finish=lambda weights, states, mask: weights @ states,
):
    """Pooling with one step replaced."""

    def mutant(states, mask, queries):
        scores = queries @ states.mT * scale(states.shape[-1], states.shape[1])  # (B, n, T)
        return finish(share(hide(scores, mask)), states, mask)

    return mutant


def _hidden_after(weights, states, mask):
    return (weights * mask[:, None]) @ states


def _plain_mean(states, mask, queries):
    mean = (states * mask[..., None]).sum(1, keepdim=True) / mask.sum(1)[:, None, None]
    return mean.expand(-1, len(queries), -1) + 0 * queries.sum()


def _largest_only(scores):
    return F.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype) + 0 * scores.softmax(-1)


def _case(seed, B, T, C, n, *lengths):
    states = normal(seed, B, T, C).requires_grad_()
    queries = normal(seed + 30, n, C).requires_grad_()
    label = f"pool_speech(states {(B, T, C)}, mask of {list(lengths)} real slices, "
    return Case(states, real_tokens(T, *lengths), queries, label=label + f"queries {(n, C)})")


def _by_hand():
    states = torch.tensor([[[2.0], [4.0], [9.0]]]).requires_grad_()
    return Case(states, real_tokens(3, 2), torch.zeros(1, 1).requires_grad_())


pool_speech = Exercise(
    number="20.2",
    name="pool_speech",
    oracle=_pool_speech,
    compared_with="`F.scaled_dot_product_attention`",
    probe=learned,
    tolerance=Tolerance(absolute=2e-5, relative=1e-4),
    cases=lambda: [
        _case(1, 3, 7, 5, 2, 7, 4, 1),
        _by_hand(),
        _case(2, 2, 6, 4, 3, 6, 6),
        _case(3, 1, 9, 8, 1, 5),
        _case(4, 4, 5, 16, 6, 1, 2, 3, 4),
        _case(5, 2, 30, 64, 4, 30, 11),
    ],
    mistakes=[
        Mistake(
            "mask_forgotten",
            "The silence behind a clip is looked at, too. Scores of slices whose mask is False "
            "become minus infinity before the softmax.",
            _pool(hide=lambda scores, mask: scores),
        ),
        Mistake(
            "mask_turned_round",
            "You hide the real slices and look at the rest. The mask is True where one is real.",
            _pool(
                hide=lambda scores, mask: torch.where(
                    mask.all(1)[:, None, None], scores, scores.masked_fill(mask[:, None], -1e9)
                )
            ),
        ),
        Mistake(
            "hidden_after_the_softmax",
            "The weights of the silence are set to 0 *after* the softmax, so that the others no "
            "longer sum to 1. Hide it before.",
            _pool(hide=lambda scores, mask: scores, finish=_hidden_after),
        ),
        Mistake(
            "scores_set_to_zero",
            "The scores of the silence are set to 0, and exp(0) is 1: it still gets weight. Minus "
            "infinity gives none.",
            _pool(hide=lambda scores, mask: scores * mask[:, None]),
        ),
        Mistake(
            "no_scale",
            "The scores are not divided by the root of the width C.",
            _pool(scale=lambda C, T: 1.0),
        ),
        Mistake(
            "divided_by_the_width",
            "The scores are divided by C, and should be divided by its root.",
            _pool(scale=lambda C, T: 1 / C),
        ),
        Mistake(
            "scaled_by_the_length",
            "The scores are divided by the root of T, the number of slices. It is C, the width.",
            _pool(scale=lambda C, T: T**-0.5),
        ),
        Mistake(
            "softmax_over_queries",
            "The softmax runs over the queries. For each query it is the *slices* that share.",
            _pool(share=lambda scores: scores.softmax(1).nan_to_num()),
        ),
        Mistake(
            "plain_mean",
            "You take the plain mean of the real slices. The queries should weigh them.",
            _plain_mean,
        ),
        Mistake(
            "sum_over_real",
            "Softmax weights sum to 1 already: do not divide by the number of slices again.",
            _pool(
                finish=lambda weights, states, mask: (weights @ states) / mask.sum(1)[:, None, None]
            ),
        ),
        Mistake(
            "largest_only",
            "You take the one slice with the largest score. A softmax weighs them all, and lets "
            "the query learn.",
            _pool(share=_largest_only),
        ),
    ],
    hints=[
        "It is attention: `queries` ask, `states` are both keys and values.",
        "`queries @ states.transpose(1, 2)` gives `(B, n, T)`; `mask[:, None]` is `(B, 1, T)`.",
    ],
)
