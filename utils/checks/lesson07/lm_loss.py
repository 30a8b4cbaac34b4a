"""Exercise 7.2, `lm_loss`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, tenths
from utils.checks.engine.probes import with_slopes
from utils.checks.lesson07.common import TRAINED, tokens


def _lm_loss(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _loss(
    log_p=lambda logits: logits.log_softmax(-1),
    pick=lambda log_p, targets: log_p.gather(-1, targets[..., None])[..., 0],
    reduce=lambda picked: -picked.mean(),
):
    """The loss with one step replaced."""
    return lambda logits, targets: reduce(pick(log_p(logits), targets))


def _own_softmax(logits):
    powers = logits.exp()
    return (powers / powers.sum(-1, keepdim=True)).log()


def _own_logsumexp(logits):
    return logits - logits.exp().sum(-1, keepdim=True).log()


def _shifted_again(logits, targets):
    return _lm_loss(logits[:, :-1], targets[:, 1:])


def _reshaped(logits, targets):
    B, T, V = logits.shape
    return F.cross_entropy(logits.reshape(B, V, T), targets)


def _one_hot_mean(logits, targets):
    return -(logits.log_softmax(-1) * F.one_hot(targets, logits.shape[-1])).mean()


def _flattened_one_way(logits, targets):
    return F.cross_entropy(logits.transpose(0, 1).flatten(0, 1), targets.flatten())


def _probe(answer, logits, targets):
    return with_slopes(lambda x: answer(x, targets), logits, names=["logits"])


def _case(seed, B, T, V, size=1.0):
    logits, targets = size * normal(seed, B, T, V), tokens(seed + 1, V, B, T)
    label = f"lm_loss(\n    logits={size} * torch.randn{B, T, V},\n"
    label += f"    targets=torch.tensor({targets.tolist()}))"
    return Case(logits, targets, label=label)


def _known(logits, targets):
    return Case(torch.tensor(logits), torch.tensor(targets))


lm_loss = Exercise(
    number="7.2",
    name="lm_loss",
    oracle=_lm_loss,
    compared_with="`F.cross_entropy`",
    probe=_probe,
    tolerance=TRAINED,
    cases=lambda: [
        _case(1, 2, 3, 5),
        _known([[[0.0, 0.0]]], [[1]]),
        _known([[[2.0, -1.0, 0.5]]], [[0]]),
        _known([[[1.0, 3.0, 0.0], [0.5, -2.0, 1.0]]], [[2, 1]]),
        Case(tenths(3, 2, 1, 4), tokens(4, 4, 2, 1)),
        _known([[[1000.0, 0.0], [0.0, 1000.0]]], [[0, 1]]),
        _known([[[1000.0, 0.0, 999.0]]], [[1]]),
        _known([[[-1000.0, -1001.0, -1003.0]]], [[1]]),
        _case(5, 3, 4, 6, size=30.0),
        _case(7, 4, 4, 4),
        _case(9, 5, 2, 300),
        _case(11, 1, 3, 70_000),
    ],
    mistakes=[
        Mistake(
            "sum_for_mean",
            "You add up the losses of all positions. Take their mean: otherwise a larger batch "
            "would count as a worse model.",
            _loss(reduce=lambda picked: -picked.sum()),
        ),
        Mistake(
            "sum_over_the_sequence",
            "You add up along each row and take the mean over rows only. It is the mean over all "
            "B·T positions.",
            _loss(reduce=lambda picked: -picked.sum(1).mean()),
        ),
        Mistake(
            "not_averaged",
            "You return one loss for every position. `.mean()` makes one number of them.",
            _loss(reduce=lambda picked: -picked),
        ),
        Mistake(
            "one_for_each_row",
            "You return one loss for every row. Take the mean over both axes: `.mean()` without "
            "arguments.",
            _loss(reduce=lambda picked: -picked.mean(1)),
        ),
        Mistake(
            "a_number",
            "The number is right, but it is Python's, and nothing can be learned through it. "
            "Return the tensor as it is, without `.item()` or `float`.",
            lambda logits, targets: _lm_loss(logits, targets).item(),
        ),
        Mistake(
            "sign_lost",
            "The sign is missing: a log-probability is at most 0, and the loss is its negative.",
            _loss(reduce=lambda picked: picked.mean()),
        ),
        Mistake(
            "softmax_left_out",
            "You pick the logits themselves. They have no common scale: turn them into "
            "log-probabilities first, `logits.log_softmax(-1)`.",
            _loss(log_p=lambda logits: logits),
        ),
        Mistake(
            "probabilities",
            "You take the mean of the *probabilities*. Cross-entropy takes their logarithm: "
            "`log_softmax` in place of `softmax`.",
            _loss(log_p=lambda logits: logits.softmax(-1)),
        ),
        Mistake(
            "softmax_twice",
            "The softmax is taken twice. `F.cross_entropy` and `log_softmax` do it themselves: "
            "give them the plain logits.",
            _loss(log_p=lambda logits: logits.softmax(-1).log_softmax(-1)),
        ),
        Mistake(
            "softmax_over_positions",
            "Your softmax runs over the positions. It is the words of the vocabulary that compete "
            "with each other, the last axis: `log_softmax(-1)`.",
            _loss(log_p=lambda logits: logits.log_softmax(1)),
        ),
        Mistake(
            "softmax_over_the_batch",
            "Your softmax runs over the rows of the batch. The vocabulary is the last axis: "
            "`log_softmax(-1)`.",
            _loss(log_p=lambda logits: logits.log_softmax(0)),
        ),
        Mistake(
            "log_of_softmax",
            "Small logits come out right, but with large ones the softmax rounds a probability to "
            "0, and its logarithm is minus infinity. `log_softmax` does both in one safe step.",
            _loss(log_p=lambda logits: logits.softmax(-1).log()),
        ),
        Mistake(
            "exponentials_overflow",
            "Small logits come out right, but `exp` of a large one is infinite in 32 bits, and "
            "infinity divided by itself is `nan`. `log_softmax` subtracts the largest first.",
            _loss(log_p=_own_softmax),
        ),
        Mistake(
            "logsumexp_overflows",
            "Small logits come out right, but `exp` of a large one is infinite in 32 bits, and so "
            "is the logarithm of the sum. `torch.logsumexp` subtracts the largest first.",
            _loss(log_p=_own_logsumexp),
        ),
        Mistake(
            "small_number_added",
            "You add a small number inside the logarithm to keep it finite. That caps the loss "
            "where the model is most wrong: use `log_softmax`, which needs no such help.",
            _loss(log_p=lambda logits: (logits.softmax(-1) + 1e-9).log()),
        ),
        Mistake(
            "bits",
            "Your loss is in bits. Take the natural logarithm, in nats: `log_softmax`, without "
            "dividing by ln 2.",
            _loss(reduce=lambda picked: -picked.mean() / torch.tensor(2.0).log()),
        ),
        Mistake(
            "shifted_again",
            "You shift the targets once more. `get_batch` has done it: `targets[b, t]` is the "
            "token after position t already.",
            _shifted_again,
        ),
        Mistake(
            "mean_over_the_vocabulary",
            "You divide by B·T·V: the mean also counts the words that are not the target. Add up "
            "over the vocabulary, then take the mean over positions.",
            _one_hot_mean,
        ),
        Mistake(
            "reshaped_for_transposed",
            "`F.cross_entropy` wants `(B, V, T)`, but a reshape only cuts the numbers up anew. "
            "Swap the axes, `logits.transpose(1, 2)`, or flatten B and T in both.",
            _reshaped,
        ),
        Mistake(
            "rows_mixed_up",
            "The logits are flattened in another order than the targets, so positions get the "
            "targets of others. Flatten both the same way.",
            _flattened_one_way,
        ),
        Mistake(
            "last_position_only",
            "Only the last position of each row counts. Every position predicts its next token: "
            "use them all.",
            lambda logits, targets: _lm_loss(logits[:, -1:], targets[:, -1:]),
        ),
        Mistake(
            "perplexity",
            "You return the exponential of the loss, the perplexity, which comes later. Leave out "
            "the last `exp`.",
            lambda logits, targets: _lm_loss(logits, targets).exp(),
        ),
        Mistake(
            "all_words_summed",
            "You add up the log-probabilities of all words. Only the target's counts: pick it with "
            "`gather`.",
            _loss(pick=lambda log_p, targets: log_p.sum(-1)),
        ),
    ],
    hints=[
        "`log_p = logits.log_softmax(-1)` holds the log-probability of every word at every "
        "position. Only the target's is wanted.",
        "`gather(-1, index)` picks along the last axis and wants an index of as many axes: "
        "`targets.unsqueeze(-1)`, `(B, T, 1)`.",
        "`-log_p.gather(-1, targets.unsqueeze(-1)).mean()`.",
    ],
)
