"""Exercise 12.1, `sequence_log_prob`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded
from utils.checks.engine.probes import with_slopes
from utils.checks.lesson12.common import SUMS


def _sequence_log_prob(logits, labels):
    nats = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-100, reduction="none")
    return -nats.sum(1)


def _sum(
    log_p=lambda logits: logits.log_softmax(-1),
    pick=lambda log_p, labels: log_p.gather(-1, labels.clamp(min=0)[..., None])[..., 0],
    counts=lambda labels: labels != -100,
    reduce=lambda picked, counts: picked.where(counts, 0).sum(1),
):
    """The log-probability of a sequence with one step replaced."""
    return lambda logits, labels: reduce(pick(log_p(logits), labels), counts(labels))


def _shifted(logits, labels):
    return _sequence_log_prob(logits[:, :-1], labels[:, 1:])


def _last_entry_for_masked(log_p, labels):
    V = log_p.shape[-1]
    return log_p.gather(-1, labels.where(labels != -100, V - 1)[..., None])[..., 0]


def _probe(answer, logits, labels):
    return with_slopes(lambda x: answer(x, labels), logits, names=["logits"])


def _case(seed, B, T, V, left_out, size=1.0):
    lots = torch.Generator().manual_seed(seeded(seed))
    labels = torch.randint(V, (B, T), generator=lots)
    for row, places in enumerate(left_out):
        labels[row, list(places)] = -100
    label = f"sequence_log_prob(\n    logits={size} * torch.randn{B, T, V},\n"
    label += f"    labels=torch.tensor({labels.tolist()}))"
    return Case(size * normal(seed, B, T, V), labels, label=label)


def _turned(seed, B, T, V):
    """Not in one piece of memory, as a slice of a longer text is not."""
    lots = torch.Generator().manual_seed(seeded(seed))
    labels = torch.randint(V, (T, B), generator=lots).T
    labels[0, 0] = -100
    label = f"sequence_log_prob(\n    logits=torch.randn{T, B, V}.transpose(0, 1),\n"
    label += f"    labels=torch.tensor({labels.T.tolist()}).T)"
    return Case(normal(seed, T, B, V).transpose(0, 1), labels, label=label)


def _known(logits, labels):
    return Case(torch.tensor(logits), torch.tensor(labels))


sequence_log_prob = Exercise(
    number="12.1",
    name="sequence_log_prob",
    oracle=_sequence_log_prob,
    compared_with="`F.cross_entropy` with `ignore_index=-100`, added up",
    probe=_probe,
    tolerance=SUMS,
    cases=lambda: [
        _known([[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]], [[0, 1, -100]]),
        _known([[[2.0, -1.0, 0.5]]], [[1]]),
        _known([[[1.0, 3.0, 0.0], [0.5, -2.0, 1.0]]], [[-100, 2]]),
        _known([[[1.0, 3.0, 0.0], [0.5, -2.0, 1.0]]], [[0, 0]]),
        _known([[[1000.0, 0.0, 990.0], [0.0, 1000.0, 1.0]]], [[2, 1]]),
        _known([[[-1000.0, -1001.0, -1003.0]]], [[1]]),
        _known([[[1.0, 2.0], [0.0, 1.0]], [[0.5, 0.0], [2.0, 0.0]]], [[-100, -100], [1, 0]]),
        _case(1, 3, 4, 5, [(0, 1), (0,), (0, 3)]),
        _case(2, 4, 4, 4, [(), (0, 2), (3,), (1,)]),
        _case(3, 2, 6, 7, [(0, 1, 2), (5,)], size=8.0),
        _case(5, 2, 3, 300, [(0,), ()]),
        _case(6, 1, 3, 70_000, [(0,)]),
        _turned(7, 3, 4, 5),
    ],
    mistakes=[
        Mistake(
            "mean_for_sum",
            "You take the mean over the tokens that count. An answer's probability is a product, "
            "so its logarithm is a *sum*: longer answers are less likely.",
            _sum(reduce=lambda x, c: x.where(c, 0).sum(1) / c.sum(1).clamp(min=1)),
        ),
        Mistake(
            "mean_over_all_positions",
            "You take the mean over all positions, those with -100 included. Add up, and count "
            "only what has a label.",
            _sum(reduce=lambda x, c: x.where(c, 0).mean(1)),
        ),
        Mistake(
            "all_rows_summed",
            "You add up everything. Each answer needs a number of its own: sum along axis 1 only.",
            _sum(reduce=lambda x, c: x.where(c, 0).sum()),
        ),
        Mistake(
            "summed_over_the_batch",
            "Your sum runs over the rows of the batch. The tokens of an answer lie along axis 1.",
            _sum(reduce=lambda x, c: x.where(c, 0).sum(0)),
        ),
        Mistake(
            "not_summed",
            "You return a number for every token. Add them up along axis 1.",
            _sum(reduce=lambda x, c: x.where(c, 0)),
        ),
        Mistake(
            "masked_count_as_token_0",
            "Where the label is -100 you count token 0. `clamp` only makes `gather` possible "
            "there; what it picks has to be set to 0 before the sum.",
            _sum(counts=lambda labels: torch.ones_like(labels, dtype=torch.bool)),
        ),
        Mistake(
            "masked_count_as_the_last_token",
            "Where the label is -100 you count the last token of the vocabulary. Nothing counts "
            "there: set it to 0 before the sum.",
            _sum(
                pick=_last_entry_for_masked,
                counts=lambda labels: torch.ones_like(labels, dtype=torch.bool),
            ),
        ),
        Mistake(
            "token_0_left_out",
            "You leave out labels of 0 as well. Token 0 is a token; only -100 means that nothing "
            "counts.",
            _sum(counts=lambda labels: labels > 0),
        ),
        Mistake(
            "shifted_again",
            "You shift once more. Here `logits[:, t]` predicts `labels[:, t]` already.",
            _shifted,
        ),
        Mistake(
            "sign_turned",
            "You return the loss, which is positive. A log-probability is at most 0.",
            _sum(reduce=lambda x, c: -x.where(c, 0).sum(1)),
        ),
        Mistake(
            "logits_summed",
            "You add up the logits themselves. Only `log_softmax` makes log-probabilities of them.",
            _sum(log_p=lambda logits: logits),
        ),
        Mistake(
            "probabilities_summed",
            "You add up probabilities. It is their logarithms that add up: `log_softmax`.",
            _sum(log_p=lambda logits: logits.softmax(-1)),
        ),
        Mistake(
            "probability_returned",
            "You return the probability of the answer; asked for is its logarithm. (For a long "
            "answer the probability is 0 in 32 bits.)",
            _sum(reduce=lambda x, c: x.where(c, 0).sum(1).exp()),
        ),
        Mistake(
            "log_of_softmax",
            "Small logits come out right, but with large ones the softmax rounds to 0, and its "
            "logarithm is minus infinity. `log_softmax` does both in one safe step.",
            _sum(log_p=lambda logits: logits.softmax(-1).log()),
        ),
        Mistake(
            "softmax_twice",
            "You put probabilities into `log_softmax`: the softmax is taken twice. It wants the "
            "logits themselves.",
            _sum(log_p=lambda logits: logits.softmax(-1).log_softmax(-1)),
        ),
        Mistake(
            "softmax_over_positions",
            "Your softmax runs over the positions. The tokens of the vocabulary compete: "
            "`log_softmax(-1)`.",
            _sum(log_p=lambda logits: logits.log_softmax(1)),
        ),
        Mistake(
            "likeliest_for_label",
            "You take the likeliest token at each place, whatever the label says. Pick the label's "
            "with `gather`.",
            _sum(pick=lambda log_p, labels: log_p.max(-1).values),
        ),
        Mistake(
            "bits",
            "Your sum is in bits. Log-probabilities are natural logarithms here.",
            _sum(reduce=lambda x, c: x.where(c, 0).sum(1) / torch.tensor(2.0).log()),
        ),
    ],
    hints=[
        "`logits.log_softmax(-1)` has a log-probability for every token of the vocabulary. "
        "Pick the label's, leave out what has -100, add up along the row.",
        "`gather` refuses an index of -100: `labels.clamp(min=0)[..., None]` makes it possible, "
        "and `.where(labels != -100, 0)` sets those places to 0 afterwards.",
        "`picked = log_p.gather(-1, labels.clamp(min=0)[..., None])[..., 0]`, then "
        "`picked.where(labels != -100, 0).sum(1)`.",
    ],
)
