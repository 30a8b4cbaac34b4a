"""Exercise 9.6, `repetition_penalty`: its oracle, inputs, mistakes and hints."""

import torch
from transformers import RepetitionPenaltyLogitsProcessor

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded
from utils.checks.lesson09.common import INF


def _seen(logits, tokens):
    return torch.zeros_like(logits, dtype=torch.bool).scatter(1, tokens, True)


def _penalised(logits, penalty):
    return torch.where(logits < 0, logits * penalty, logits / penalty)


def _repetition_penalty(logits, tokens, penalty):
    return RepetitionPenaltyLogitsProcessor(penalty)(tokens, logits.clone())


def _count(logits, tokens):
    ones = torch.ones_like(tokens, dtype=logits.dtype)
    return torch.zeros_like(logits).scatter_add(1, tokens, ones)


def _per_occurrence(logits, tokens, penalty):
    count = _count(logits, tokens)
    return torch.where(logits < 0, logits * penalty**count, logits / penalty**count)


def _places(logits, tokens):
    """True at the places 0, 1, ..., T - 1 of the vocabulary."""
    return (torch.arange(logits.shape[1]) < tokens.shape[1]).expand_as(logits)


def _drawn_case(seed, B, T, vocab_size, penalty, least=0):
    generator = torch.Generator().manual_seed(seeded(seed))
    tokens = torch.randint(least, vocab_size, (B, T), generator=generator)
    return Case(normal(seed, B, vocab_size), tokens, penalty)


def _penalty_case(penalty):
    logits = torch.tensor(
        [[4.0, -4.0, 1.0, -1.0, 2.0, 3.0, 0.5], [-2.0, 1.5, -0.5, 2.5, -3.0, 0.75, -1.25]]
    )
    return Case(logits, torch.tensor([[1, 0, 0, 2], [5, 4, 3, 3]]), penalty)


repetition_penalty = Exercise(
    number="9.6",
    name="repetition_penalty",
    oracle=_repetition_penalty,
    compared_with="`RepetitionPenaltyLogitsProcessor`",
    cases=lambda: [
        _penalty_case(1.5),
        _penalty_case(1.2),
        Case(torch.tensor([[4.0, -4.0, 1.0]]), torch.tensor([[0, 1, 1]]), 2.0),
        Case(torch.tensor([[0.0, -INF, 2.0, -0.5]]), torch.tensor([[0, 1, 3]]), 1.5),
        Case(torch.tensor([[4.0, -4.0, 1.0]]), torch.tensor([[2]]), 1.3),
        _drawn_case(1, 2, 3, 5, 1.4),
        _drawn_case(2, 2, 3, 5, 1.4),
        _drawn_case(3, 3, 40, 300, 1.1),
        _drawn_case(4, 2, 6, 70_000, 1.2, least=65_536),
    ],
    mistakes=[
        Mistake(
            "divided_always",
            "You divide every logit. Dividing a *negative* one brings it nearer to 0 and so makes "
            "the token more likely: multiply there.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x / c, x),
        ),
        Mistake(
            "multiplied_always",
            "You multiply every logit. That punishes negative ones and rewards positive ones: "
            "divide those.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x * c, x),
        ),
        Mistake(
            "negatives_left_alone",
            "Negative logits of seen tokens stay as they are. They are punished too: multiply.",
            lambda x, tokens, c: torch.where(_seen(x, tokens) & (x > 0), x / c, x),
        ),
        Mistake(
            "first_rows_tokens",
            "Every row is punished for the tokens of the *first* row. Each row has its own.",
            lambda x, tokens, c: torch.where(_seen(x, tokens)[:1], _penalised(x, c), x),
        ),
        Mistake(
            "signs_swapped",
            "The two cases are swapped: you make seen tokens *more* likely. "
            "Positive: divide; negative: multiply.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), torch.where(x < 0, x / c, x * c), x),
        ),
        Mistake(
            "once_per_occurrence",
            "A token that was seen twice is punished twice. Keskar et al. (2019) punish a token "
            "once, however often it was seen.",
            _per_occurrence,
        ),
        Mistake(
            "subtracted",
            "You subtract the penalty; the rule divides or multiplies by it.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x - c, x),
        ),
        Mistake(
            "probability_divided",
            "You subtract log(penalty), which divides the token's *odds* by the penalty. A cleaner "
            "rule, but not the one that libraries use: they act on the logit itself.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x - torch.tensor(c).log(), x),
        ),
        Mistake(
            "unseen_punished",
            "You punish the tokens that were *not* seen.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x, _penalised(x, c)),
        ),
        Mistake(
            "all_punished",
            "You punish all tokens, seen or not.",
            lambda x, tokens, c: _penalised(x, c),
        ),
        Mistake(
            "last_token_only",
            "You punish only the last token. All of `tokens` have been seen.",
            lambda x, tokens, c: torch.where(_seen(x, tokens[:, -1:]), _penalised(x, c), x),
        ),
        Mistake(
            "first_token_only",
            "You punish only the first token of each row. All of `tokens` have been seen.",
            lambda x, tokens, c: torch.where(_seen(x, tokens[:, :1]), _penalised(x, c), x),
        ),
        Mistake(
            "only_what_came_twice",
            "You punish only tokens that occur twice. Once is enough.",
            lambda x, tokens, c: torch.where(_count(x, tokens) > 1, _penalised(x, c), x),
        ),
        Mistake(
            "places_for_tokens",
            "You punish the places 0, 1, 2, … of the vocabulary, not the tokens that stand there "
            "in `tokens`.",
            lambda x, tokens, c: torch.where(_places(x, tokens), _penalised(x, c), x),
        ),
        Mistake(
            "forbidden",
            "You forbid seen tokens altogether. The penalty only makes them less likely.",
            lambda x, tokens, c: x.masked_fill(_seen(x, tokens), -INF),
        ),
        Mistake(
            "on_probabilities",
            "You divide *probabilities*. The rule acts on the logits; the softmax comes once, at "
            "the very end.",
            lambda x, tokens, c: torch.where(_seen(x, tokens), x.softmax(-1) / c, x.softmax(-1)),
        ),
        Mistake(
            "on_log_probabilities",
            "You take log-probabilities first. All of them are negative, so the rule acts another "
            "way: apply it to the logits as they are.",
            lambda x, tokens, c: torch.where(
                _seen(x, tokens), _penalised(x.log_softmax(-1), c), x.log_softmax(-1)
            ),
        ),
        Mistake(
            "across_the_batch",
            "A token that one row has seen is punished in the other row too.",
            lambda x, tokens, c: torch.where(
                _seen(x, tokens.flatten()[None].expand(len(x), -1)), _penalised(x, c), x
            ),
        ),
    ],
    hints=[
        "Which tokens were seen? A loop over the rows of `tokens`, or `scatter` into a mask.",
        "`torch.where(logits < 0, logits * penalty, logits / penalty)`, for the seen ones.",
    ],
)
