"""Exercise 9.4, `top_p`: its oracle, inputs, mistakes and hints."""

import torch
from transformers import TopPLogitsWarper

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.lesson09.common import INF, one_fill


def _oracle(logits, p):
    return TopPLogitsWarper(p)(None, logits)


def _sorted_mass(logits, descending=True):
    """Logits in order, the order, and the mass ranked before each and including each."""
    ordered, order = logits.sort(descending=descending)
    probs = ordered.softmax(-1)
    including = probs.cumsum(-1)
    return ordered, order, including - probs, including


def _cut(logits, drop, order):
    return logits.masked_fill(drop.scatter(-1, order, drop), -INF)


def _drops_crossing(logits, p):
    _, order, _, including = _sorted_mass(logits)
    return _cut(logits, including >= p, order)


def _keeps_one_more(logits, p):
    _, order, before, _ = _sorted_mass(logits)
    drop = before >= p
    drop = torch.cat([torch.zeros_like(drop[:, :1]), drop[:, :-1]], dim=1)
    return _cut(logits, drop, order)


def _keeps_tail(logits, p):
    _, order, before, _ = _sorted_mass(logits)
    return _cut(logits, before < p, order)


def _not_put_back(logits, p):
    _, _, before, _ = _sorted_mass(logits)
    return logits.masked_fill(before >= p, -INF)


def _gathered(logits, p):
    _, order, before, _ = _sorted_mass(logits)
    return logits.masked_fill((before >= p).gather(-1, order), -INF)


def _sorted_returned(logits, p):
    ordered, _, before, _ = _sorted_mass(logits)
    return ordered.masked_fill(before >= p, -INF)


def _ascending(logits, p):
    _, order, before, _ = _sorted_mass(logits, descending=False)
    return _cut(logits, before >= p, order)


def _not_sorted(logits, p):
    probs = logits.softmax(-1)
    return logits.masked_fill(probs.cumsum(-1) - probs >= p, -INF)


def _softmax_forgotten(logits, p):
    ordered, order = logits.sort(descending=True)
    return _cut(logits, ordered.cumsum(-1) - ordered >= p, order)


def _softmax_over_batch(logits, p):
    ordered, order = logits.sort(descending=True)
    probs = ordered.softmax(0)
    return _cut(logits, probs.cumsum(-1) - probs >= p, order)


def _top_p_logits():
    probs = torch.tensor(
        [
            [0.05, 0.40, 0.10, 0.25, 0.04, 0.16],
            [0.30, 0.03, 0.07, 0.02, 0.48, 0.10],
            [0.92, 0.02, 0.01, 0.03, 0.015, 0.005],
        ]
    )
    return probs.log() + torch.tensor([[1.0], [-2.0], [0.5]])  # rows of logits, not log-probs


top_p = Exercise(
    number="9.4",
    name="top_p",
    oracle=_oracle,
    compared_with="`TopPLogitsWarper`",
    probe=one_fill(_oracle),
    cases=lambda: [
        Case(_top_p_logits(), 0.75),
        Case(_top_p_logits(), 0.5),
        Case(_top_p_logits(), 0.9),
        Case(torch.tensor([[0.2, 0.5, 0.3]]).log(), 0.6),
        Case(torch.tensor([[0.2, 0.5, 0.3]]).log() + 3, 0.6),
        Case(torch.tensor([[0.2, 0.5, 0.3]]).log(), 0.01),  # the best always stays
        Case(torch.tensor([[-INF, 1.0, -INF, 0.5, -1.0]]), 0.7),  # after top_k
        Case(normal(1, 2, 6), 0.6),
        Case(normal(2, 2, 6), 0.6),
        Case(4 * normal(10, 3, 300), 0.85),
        Case(0.5 * normal(4, 2, 12), 0.2),
    ],
    mistakes=[
        Mistake(
            "drops_the_crossing_token",
            "You drop the token that carries the sum across p. It belongs to the nucleus: drop a "
            "token only if those ranked *before* it hold p already.",
            _drops_crossing,
        ),
        Mistake(
            "keeps_one_more",
            "You keep one token more than needed: the one that crosses p is the last to stay.",
            _keeps_one_more,
        ),
        Mistake(
            "keeps_the_tail",
            "You drop the nucleus and keep the tail: the comparison is the wrong way round.",
            _keeps_tail,
        ),
        Mistake(
            "not_put_back",
            "The mask is in *sorted* order, the logits are in the vocabulary's: you cut the wrong "
            "tokens. Put the mask back with `scatter(-1, order, drop)`.",
            _not_put_back,
        ),
        Mistake(
            "gather_for_scatter",
            "The mask goes back the wrong way: `gather` with `order` (or `scatter` with its "
            "argsort) applies the order once more. `scatter(-1, order, drop)` undoes it.",
            _gathered,
        ),
        Mistake(
            "sorted_returned",
            "You return the logits in sorted order: column 5 is no longer token 5. "
            "Put them back into the vocabulary's order.",
            _sorted_returned,
        ),
        Mistake(
            "sorted_ascending",
            "You sort from the least likely up, and so collect p from the tail. "
            "Sort with `descending=True`.",
            _ascending,
        ),
        Mistake(
            "zero_for_minus_infinity",
            "You set the others to 0, but e⁰ = 1. Set them to `-inf`.",
            lambda logits, p: logits.masked_fill(_oracle(logits, p) == -INF, 0.0),
        ),
        Mistake(
            "not_sorted",
            "You add up in the order of the vocabulary. The nucleus is collected from the most "
            "likely token down: sort first.",
            _not_sorted,
        ),
        Mistake(
            "softmax_forgotten",
            "You add up *logits*. p is a probability: take the softmax before `cumsum`.",
            _softmax_forgotten,
        ),
        Mistake(
            "softmax_over_the_batch",
            "The softmax runs over the rows of the batch: the vocabulary is the last axis, `-1`.",
            _softmax_over_batch,
        ),
        Mistake(
            "first_rows_nucleus",
            "All rows are cut as the first one. Each row has a nucleus of its own.",
            lambda logits, p: logits.masked_fill(_oracle(logits, p)[:1] == -INF, -INF),
        ),
        Mistake(
            "one_minus_p",
            "You collect 1 − p, not p. (1 − p belongs to a sum from the *least* likely token up.)",
            lambda logits, p: _oracle(logits, 1 - p),
        ),
        Mistake(
            "probabilities_returned",
            "You return probabilities. Return logits; the softmax comes once, at the very end.",
            lambda logits, p: _oracle(logits, p).softmax(-1),
        ),
        Mistake(
            "probabilities_zeroed",
            "You return probabilities with zeros. Return logits, the others at `-inf`; the softmax "
            "comes once, at the very end.",
            lambda logits, p: logits.softmax(-1).masked_fill(_oracle(logits, p) == -INF, 0.0),
        ),
        Mistake(
            "log_probabilities_returned",
            "The nucleus is right, but you return log-probabilities. Return the logits themselves.",
            lambda logits, p: logits.log_softmax(-1).masked_fill(_oracle(logits, p) == -INF, -INF),
        ),
        Mistake(
            "large_number_for_minus_infinity",
            "You set the others to a large negative number. The lesson counts on `-inf`, whose "
            "probability is exactly 0 whatever else happens to the logits.",
            lambda logits, p: logits.masked_fill(_oracle(logits, p) == -INF, -1e9),
        ),
        Mistake(
            "share_of_the_largest",
            "You keep the tokens that have at least p times the *largest* probability, another "
            "rule (min-p). Here their probabilities are added up until they hold p.",
            lambda logits, p: logits.masked_fill(
                logits.softmax(-1) < p * logits.softmax(-1).max(-1, keepdim=True).values, -INF
            ),
        ),
        Mistake(
            "threshold_on_single_tokens",
            "You compare each token's own probability with p. The nucleus is about their *sum*.",
            lambda logits, p: logits.masked_fill(logits.softmax(-1) < p, -INF),
        ),
    ],
    hints=[
        "Sort the logits, take the softmax, and `cumsum` says how much has been collected.",
        "`before = cumsum − probs` is the mass ranked before each token. Who is dropped?",
        "The mask belongs to sorted positions. `drop.scatter(-1, order, drop)` puts it back.",
    ],
)
