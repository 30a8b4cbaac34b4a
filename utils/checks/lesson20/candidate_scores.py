"""Exercise 20.5, `candidate_scores`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Seen, Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.engine.probes import with_sentence

VOCAB = 11


class Decoder:
    """`decode(ids)`: logits (B, T, V) of a small causal model; it counts its calls."""

    def __init__(self, seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeded(seed))
            self.table, self.head = 2 * torch.randn(VOCAB, 6), 2 * torch.randn(6, VOCAB)
        self.calls = 0

    def __call__(self, ids):
        """Logits (B, T, V): what came before counts, the later the more."""
        self.calls += 1
        x, state, states = self.table[ids], torch.zeros(len(ids), 6), []
        for t in range(ids.shape[1]):
            state = torch.tanh(0.6 * state.roll(1, -1) + x[:, t])
            states.append(state)
        return torch.stack(states, 1) @ self.head


class Uniform(Decoder):
    """All tokens equally likely."""

    def __call__(self, ids):
        """Logits (B, T, V), all alike."""
        self.calls += 1
        return torch.full((*ids.shape, VOCAB), 3.0)


def _usable(begin, candidates):
    if not len(begin) or not len(candidates) or not all(len(c) for c in candidates):
        raise ValueError("a beginning and candidates are needed, each with a token at least")


def _candidate_scores(decode, begin, candidates):
    """Step by step: each candidate by itself, each token by itself."""
    _usable(begin, candidates)
    if not isinstance(decode, Decoder):  # in the notebook it stands in for an answer
        return _scores()(decode, begin, candidates)
    scores = []
    for candidate in candidates:
        ids, total = list(begin), 0.0
        for token in candidate:
            last = decode(torch.tensor([ids]))[0, -1:]
            total -= F.cross_entropy(last, torch.tensor([token]), reduction="sum").item()
            ids.append(token)
        scores.append(total)
    return scores


def _scores(
    offset=-1,
    log=lambda logits: logits.log_softmax(-1),
    add=sum,
    rows=lambda begin, one, longest: [*begin, *one, *[0] * (longest - len(one))],
    tokens=lambda one, longest: one,
    refuse=_usable,
    finish=list,
):
    """The scores with one step replaced."""

    def mutant(decode, begin, candidates):
        refuse(begin, candidates)
        longest = max(map(len, candidates))
        ids = torch.tensor([rows(begin, one, longest) for one in candidates])
        log_p, first = log(decode(ids)), len(begin) + offset
        found = []
        for i, one in enumerate(candidates):
            one = tokens(one, longest)
            places = [min(first + j, ids.shape[1] - 1) for j in range(len(one))]
            found.append(
                add([log_p[i, t, token].item() for t, token in zip(places, one, strict=True)])
            )
        return finish(found)

    return mutant


def _one_by_one(decode, begin, candidates):
    _usable(begin, candidates)
    return [_scores()(decode, begin, [one])[0] for one in candidates]


def _of_everything(decode, begin, candidates):
    """The beginning counted, too."""
    _usable(begin, candidates)
    return [
        _scores()(decode, begin[:1], [[*begin[1:], *one]])[0] if len(begin) > 1 else
        _scores()(decode, begin, [one])[0]
        for one in candidates
    ]  # fmt: skip


def _of_everything_at_once(decode, begin, candidates):
    _usable(begin, candidates)
    return _scores()(decode, begin[:1], [[*begin[1:], *one] for one in candidates])


def _only_longest(decode, begin, candidates):
    """Padded in front of the candidate: the beginning moves away."""
    return _scores(rows=lambda begin, one, longest: [*[0] * (longest - len(one)), *begin, *one])(
        decode, begin, candidates
    )


def _begin_forgotten(decode, begin, candidates):
    _usable(begin, candidates)
    return _scores()(decode, begin[-1:], candidates)


def _probe(answer, seed, uniform, begin, candidates):
    decode = (Uniform if uniform else Decoder)(seed)
    was = [list(begin), [list(c) for c in candidates]]
    scores = with_sentence(answer, decode, begin, candidates)
    if not isinstance(scores, list):
        return scores
    times = "once" if answer is _candidate_scores or decode.calls == 1 else f"{decode.calls} times"
    harmed = "as they were" if was == [begin, candidates] else "changed"
    return Seen({"result": scores, "decode was called": times, "begin and candidates": harmed})


def _case(seed, begin, candidates, uniform=False, **raises):
    label = f"candidate_scores(decode, {begin}, {candidates})"
    return Case(seed, uniform, list(begin), candidates, label=label, **raises)


candidate_scores = Exercise(
    number="20.5",
    name="candidate_scores",
    oracle=_candidate_scores,
    compared_with="the model asked step by step, one token after the other",
    probe=_probe,
    tolerance=Tolerance(absolute=1e-4, relative=1e-5),
    cases=lambda: [
        _case(1, [1, 2, 5], [[3, 4], [5], [6, 0, 8, 7], [3, 9]]),
        _case(2, [7], [[3, 4, 5], [0, 0], [4]]),
        _case(3, [2, 2], [[1, 9, 10]]),
        _case(4, [1, 3], [[4, 5, 6], [7]], uniform=True),
        _case(5, [10, 0, 4, 4], [[2], [3], [4]]),
        _case(6, [1], [[8, 0], [8], [8, 0, 0]]),
        _case(7, [], [[1]], raises=ValueError),
        _case(8, [1], [], raises=ValueError),
        _case(9, [1], [[2], []], raises=ValueError),
    ],
    mistakes=[
        Mistake(
            "off_by_one",
            "You read each token's probability at its *own* place. What stands at place t "
            "predicts the token at t + 1: look one place earlier.",
            _scores(offset=0),
        ),
        Mistake(
            "two_places_early",
            "You look two places before each token; one is right.",
            _scores(offset=-2),
        ),
        Mistake(
            "logits_summed",
            "The raw logits are summed. A log-probability is `log_softmax` of them.",
            _scores(log=lambda logits: logits),
        ),
        Mistake(
            "probabilities_summed",
            "Probabilities are summed. It is their *logarithms* whose sum is the logarithm of the "
            "whole.",
            _scores(log=lambda logits: logits.softmax(-1)),
        ),
        Mistake(
            "mean_for_sum",
            "You take the mean over the tokens. The log-probability of the whole is the sum.",
            _scores(add=lambda found: sum(found) / len(found)),
        ),
        Mistake(
            "first_token_only",
            "Only the first token of each candidate counts in yours.",
            _scores(add=lambda found: found[0]),
        ),
        Mistake(
            "last_token_only",
            "Only the last token of each candidate counts in yours.",
            _scores(add=lambda found: found[-1]),
        ),
        Mistake(
            "padding_counted",
            "The padding behind the shorter candidates is counted, too.",
            _scores(tokens=lambda one, longest: [*one, *[0] * (longest - len(one))]),
        ),
        Mistake(
            "beginning_counted",
            "The tokens of `begin` are counted, too. They are given, and no part of the candidate.",
            _of_everything_at_once,
        ),
        Mistake(
            "beginning_forgotten",
            "Only the last token of `begin` stands before the candidates. All of it belongs there.",
            _begin_forgotten,
        ),
        Mistake(
            "softmax_over_candidates",
            "The softmax runs over the candidates (the batch). It runs over the vocabulary.",
            _scores(log=lambda logits: logits.log_softmax(0)),
        ),
        Mistake(
            "padded_in_front",
            "The padding stands in front, so that the beginning has moved. Pad on the right.",
            _only_longest,
        ),
        Mistake(
            "sign_turned",
            "These are losses: the log-probabilities with their sign turned round. Likelier should "
            "be larger.",
            _scores(finish=lambda found: [-x for x in found]),
        ),
        Mistake(
            "probabilities_returned",
            "The result should be log-probabilities; these are probabilities.",
            _scores(finish=lambda found: [torch.tensor(x).exp().item() for x in found]),
        ),
        Mistake(
            "one_call_each",
            "The scores are right, but `decode` is called once for each candidate. One padded "
            "batch is enough, and much faster.",
            _one_by_one,
        ),
        Mistake(
            "empty_accepted",
            "No candidate, an empty one or an empty beginning should be a ValueError with a "
            "sentence.",
            lambda decode, begin, candidates: (
                _scores(refuse=lambda *a: None)(decode, begin, candidates)
                if begin and candidates
                else [0.0]
            ),
        ),
    ],
    hints=[
        "Build rows `[*begin, *candidate, *padding]` of one length; give `decode` all of them.",
        "After `log_softmax(dim=-1)`, the first token of a candidate is predicted at the place of "
        "the last token of `begin`: `len(begin) - 1`.",
    ],
)
