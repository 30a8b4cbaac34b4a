"""Exercise 12.6, `grpo_loss`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded
from utils.checks.engine.probes import with_sentence, with_slopes
from utils.checks.lesson12.common import SUMS


def _grpo_loss(log_probs, old_log_probs, advantages, mask, clip=0.2):
    """By the sign of the advantage: a good answer is paid up to 1 + clip, and so on."""
    if not mask.any():
        raise ValueError("no token counts")
    A = advantages[mask.nonzero()[:, 0]]  # (tokens that count,)
    ratio = (log_probs[mask] - old_log_probs[mask].detach()).exp()
    paid = torch.where(A >= 0, ratio.clamp(max=1 + clip), ratio.clamp(min=1 - clip))
    return -(paid * A).mean()


def _loss(
    ratio=lambda new, old: (new - old).exp(),
    gain=lambda r, A, clip: torch.minimum(r * A, r.clamp(1 - clip, 1 + clip) * A),
    spread=lambda A, mask: A[:, None].expand(mask.shape),
    reduce=lambda gain, mask: -gain[mask].mean(),
    constant=True,
    refuses=True,
    safe=True,
):
    """The loss with one step replaced."""

    def mutant(log_probs, old_log_probs, advantages, mask, clip=0.2):
        if refuses and not mask.any():
            raise ValueError("no token counts")
        old = old_log_probs.detach() if constant else old_log_probs
        if safe:
            log_probs, old = log_probs.where(mask, 0), old.where(mask, 0)
        return reduce(gain(ratio(log_probs, old), spread(advantages, mask), clip), mask)

    return mutant


def _mean_of_means(gain, mask):
    per_answer = gain.where(mask, 0).sum(1) / mask.sum(1).clamp(min=1)
    return -per_answer.mean()


def _probe(answer, log_probs, old, advantages, mask, clip=None):
    def of_tensors(new, old):
        given = (new, old, advantages, mask)
        return with_sentence(answer, *given, *([] if clip is None else [clip]))

    return with_slopes(of_tensors, log_probs, old, names=["log_probs", "old_log_probs"])


def _known(new, old, advantages, mask, *clip, raises=None):
    new, old = torch.tensor(new).log(), torch.tensor(old).log()
    return Case(new, old, torch.tensor(advantages), torch.tensor(mask), *clip, raises=raises)


def _drawn(seed, B, T, *clip, apart=0.4, outside=None, old_outside=None):
    lots = torch.Generator().manual_seed(seeded(seed))
    mask = torch.rand(B, T, generator=lots) < 0.6
    mask[:, 0] = True
    mask[0, 1:] = False  # answers of different lengths
    old = -normal(seed + 1, B, T).abs() - 0.1
    new = old + apart * normal(seed + 2, B, T)
    if outside is not None:
        new = new.where(mask, outside)
        old = old.where(mask, outside if old_outside is None else old_outside)
    label = f"# {B} answers of up to {T} tokens" + (f", {outside} elsewhere" if outside else "")
    return Case(new, old, normal(seed + 3, B), mask, *clip, label=f"{label}\ngrpo_loss(…)")


grpo_loss = Exercise(
    number="12.6",
    name="grpo_loss",
    oracle=_grpo_loss,
    compared_with="the rule by the sign of the advantage, and its gradients",
    probe=_probe,
    tolerance=SUMS,
    cases=lambda: [
        _known([[0.5, 0.7]], [[0.5, 0.5]], [1.0], [[True, True]]),
        _known([[0.5, 0.3]], [[0.5, 0.3]], [2.0], [[True, True]]),
        _known([[0.5, 0.2]], [[0.5, 0.5]], [1.0], [[True, True]]),
        _known([[0.5, 0.7]], [[0.5, 0.5]], [-1.0], [[True, True]]),
        _known([[0.5, 0.2]], [[0.5, 0.5]], [-1.0], [[True, True]]),
        _known([[0.55, 0.9]], [[0.5, 0.3]], [1.0], [[True, False]]),
        _known(
            [[0.58, 0.9], [0.2, 0.3], [0.1, 0.8]],
            [[0.5, 0.3], [0.3, 0.3], [0.2, 0.75]],
            [1.0, -0.5, 0.0],
            [[True, False], [True, True], [True, True]],
        ),
        _known([[0.7, 0.5]], [[0.5, 0.5]], [1.0], [[True, True]], 0.5),
        _known(
            [[0.3, 0.7], [0.4, 0.2]], [[0.5, 0.5]] * 2, [1.0, 2.0], [[False] * 2, [False, True]]
        ),
        _drawn(1, 3, 4),
        _drawn(11, 4, 4, 0.1),
        _drawn(21, 5, 7, 0.3, apart=0.8),
        _drawn(31, 3, 5, outside=-1000.0),
        _drawn(41, 4, 3, outside=torch.nan),
        _drawn(51, 2, 6, outside=-torch.inf),
        _drawn(61, 2, 5, outside=-1.0, old_outside=-200.0),  # the ratio overflows there
        _known([[0.5, 0.7]], [[0.5, 0.5]], [1.0], [[False, False]], raises=ValueError),
    ],  # fmt: skip
    mistakes=[
        Mistake(
            "maximum",
            "You take the larger of the two. The smaller one is wanted: a gain is never paid "
            "beyond the clip, and a loss always.",
            _loss(gain=lambda r, A, clip: torch.maximum(r * A, r.clamp(1 - clip, 1 + clip) * A)),
        ),
        Mistake(
            "smaller_ratio",
            "You take the smaller of the two *ratios*. It is the smaller of the two products with "
            "A, which is another one where A is negative.",
            _loss(gain=lambda r, A, clip: torch.minimum(r, r.clamp(1 - clip, 1 + clip)) * A),
        ),
        Mistake(
            "always_clipped",
            "You always use the clipped ratio. Where a bad answer has become likelier, the plain "
            "one must count, or nothing pushes it back: take the minimum of both.",
            _loss(gain=lambda r, A, clip: r.clamp(1 - clip, 1 + clip) * A),
        ),
        Mistake(
            "never_clipped",
            "Nothing is clipped. Take the minimum of ratio · A and clipped ratio · A.",
            _loss(gain=lambda r, A, clip: r * A),
        ),
        Mistake(
            "clipped_above_only",
            "You clip at 1 + clip only. For a bad answer the limit is 1 − clip.",
            _loss(gain=lambda r, A, clip: torch.minimum(r * A, r.clamp(max=1 + clip) * A)),
        ),
        Mistake(
            "clipped_below_only",
            "You clip at 1 − clip only. For a good answer the limit is 1 + clip.",
            _loss(gain=lambda r, A, clip: torch.minimum(r * A, r.clamp(min=1 - clip) * A)),
        ),
        Mistake(
            "product_clipped",
            "You clip ratio · A. Only the ratio is clipped; then it is multiplied by A.",
            _loss(gain=lambda r, A, clip: torch.minimum(r * A, (r * A).clamp(1 - clip, 1 + clip))),
        ),
        Mistake(
            "advantage_clipped",
            "You clip the advantage. It is the ratio that is clipped: `ratio.clamp(1 - clip, 1 + "
            "clip)`.",
            _loss(gain=lambda r, A, clip: torch.minimum(r * A, r * A.clamp(1 - clip, 1 + clip))),
        ),
        Mistake(
            "clip_fixed",
            "You clip at 0.2, whatever `clip` says.",
            _loss(gain=lambda r, A, clip: torch.minimum(r * A, r.clamp(0.8, 1.2) * A)),
        ),
        Mistake(
            "sign_lost",
            "The sign is missing: a loss falls when the gain rises.",
            _loss(reduce=lambda gain, mask: gain[mask].mean()),
        ),
        Mistake(
            "ratio_turned_round",
            "Your ratio is old over new. It is new over old: exp(log_probs − old_log_probs).",
            _loss(ratio=lambda new, old: (old - new).exp()),
        ),
        Mistake(
            "ratio_without_exp",
            "You use the difference of the log-probabilities. The ratio is its `exp`.",
            _loss(ratio=lambda new, old: new - old),
        ),
        Mistake(
            "ratio_of_log_probs",
            "You divide log-probabilities. The ratio of the probabilities is the `exp` of their "
            "difference.",
            _loss(ratio=lambda new, old: (new / old).nan_to_num(0, 0, 0)),
        ),
        Mistake(
            "mask_ignored",
            "You count all tokens. Only those where `mask` is True belong to the answer.",
            _loss(reduce=lambda gain, mask: -gain.mean(), safe=False),
        ),
        Mistake(
            "divided_by_all_positions",
            "You add up the right tokens but divide by all positions. Divide by the number of "
            "tokens that count.",
            _loss(reduce=lambda gain, mask: -gain.where(mask, 0).mean()),
        ),
        Mistake(
            "mask_turned_round",
            "You count the tokens where `mask` is False. True are those that count.",
            _loss(reduce=lambda gain, mask: -gain[~mask].mean(), safe=False),
        ),
        Mistake(
            "mean_of_means",
            "You take a mean for each answer first. (Shao et al. do.) Here every token counts the "
            "same: one mean over all tokens of the batch.",
            _loss(reduce=_mean_of_means),
        ),
        Mistake(
            "summed",
            "You add up over the tokens. Take their mean.",
            _loss(reduce=lambda gain, mask: -gain[mask].sum()),
        ),
        Mistake(
            "not_averaged",
            "You return a number for every token. `.mean()` over those with `mask` makes one of "
            "them.",
            _loss(reduce=lambda gain, mask: -gain[mask]),
        ),
        Mistake(
            "gradient_to_the_old",
            "A gradient flows into `old_log_probs`. They are constants, from when the answers were "
            "drawn: `.detach()`.",
            _loss(constant=False),
        ),
        Mistake(
            "multiplied_with_the_mask",
            "You multiply with the mask, and NaN times 0 is NaN, and infinity times 0 too. Pick "
            "the tokens that count *first*: `log_probs[mask]`.",
            _loss(reduce=lambda gain, mask: -(gain * mask).sum() / mask.sum(), safe=False),
        ),
        Mistake(
            "picked_too_late",
            "The result is right, but NaN or infinity outside the mask comes back through the "
            "gradient. Pick the tokens that count *before* you compute: `log_probs[mask]`.",
            _loss(safe=False),
        ),
        Mistake(
            "no_refusal",
            "A batch in which no token counts has no mean. Raise a ValueError with a sentence.",
            _loss(refuses=False),
        ),
    ],
    hints=[
        "Pick the tokens that count first, from both log-probabilities, and give each the "
        "advantage of its answer: `advantages[:, None].expand(mask.shape)[mask]`.",
        "The ratio is `exp` of the difference. Of ratio · A and the clipped ratio "
        "(`clamp(1 - clip, 1 + clip)`) · A the smaller one counts; the loss is minus the mean.",
        "`gain = torch.minimum(ratio * A, ratio.clamp(1 - clip, 1 + clip) * A)`, then "
        "`-gain.mean()`, with `old_log_probs.detach()` and a ValueError if not `mask.any()`.",
    ],
)
