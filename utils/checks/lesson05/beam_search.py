"""Exercise 5.5 (stretch), `beam_search`: its oracle, inputs, mistakes and hints."""

import functools

import torch

from utils.checks.engine.exercise import Exercise, Mistake
from utils.checks.lesson05.writing import (
    BOS,
    EOS,
    RandomModel,
    WrittenModel,
    case_of,
    in_use,
    numbered,
    written_by,
)


def _beam_search(model, source, n_beams, bos_id, eos_id, max_T):
    options = {}
    if n_beams > 1:
        options = {"num_beams": n_beams, "length_penalty": 0.0, "early_stopping": "never"}
    return written_by(model, source, bos_id, eos_id, max_T, **options)[0].tolist()


def _beams(
    score=lambda logits: logits.log_softmax(-1),
    length=lambda tokens: 1,
    per_beam=False,
    stores=True,
    extends=False,
    unended=True,
    last_only=False,
    stops_at=None,
    pick=max,
    width=lambda n: n,
    counts=lambda n: n,
    result=lambda tokens, bos_id, eos_id: tokens,
    prunes=True,
    reverse=True,
):
    """Beam search with one step replaced."""

    @torch.no_grad()
    def mutant(model, source, n_beams, bos_id, eos_id, max_T):
        n_beams, memory = width(n_beams), model.encode(source)
        running, finished = [(0.0, [])], []
        for step in range(1, max_T + 1):
            candidates = []
            for total, tokens in running:
                logits = model.decode(torch.tensor([[bos_id, *tokens]]), memory, source)[0, -1]
                start = 0.0 if last_only else total
                own = [(start + x, tokens + [i]) for i, x in enumerate(score(logits).tolist())]
                own = own if prunes else sorted(own, reverse=True)[:n_beams]
                candidates += [max(own)] if per_beam and step > 1 else own
            places = len(candidates) if not prunes else n_beams
            candidates = sorted(candidates, reverse=reverse)[: 2 * places]
            for total, tokens in candidates[: counts(places)]:
                ends = tokens[-1] == eos_id and stores and not extends
                if ends or (unended and step == max_T):
                    finished.append((total / length(tokens), tokens))
            best = candidates[:places]
            running = [c for c in best if extends or c[1][-1] != eos_id]
            if not running or (stops_at and len(finished) >= stops_at(n_beams)):
                break
        return result(pick(finished)[1], bos_id, eos_id)

    return mutant


def _switching(model, *arguments):
    model.eval()
    return _beam_search(model, *arguments)


def _beam_case(
    source, n_beams, max_T, end=0.0, eos_id=EOS, bos_id=BOS, vocab_size=9, spread=2.0, ids=None
):
    model = RandomModel(vocab_size, end, spread, eos_id, ids)
    return case_of("beam_search", model, source, n_beams, bos_id, eos_id, max_T)


BY_HAND = {  # a third each, and a trifle more for 2 so that there are no ties
    (): {4: 0.6, 5: 0.4},
    (4,): {2: 1 / 3 + 2e-4, 3: 1 / 3 - 1e-4, 6: 1 / 3 - 2e-4},
    (5,): {2: 1.0},
    (4, 3): {2: 1.0},
    (4, 6): {2: 1.0},
}


beam_search = Exercise(
    number="5.5",
    name="beam_search",
    oracle=_beam_search,
    compared_with='`generate(num_beams=…, early_stopping="never")`, token for token,',
    probe=functools.partial(in_use, reads_once=False),
    cases=lambda: numbered(
        "5.5",
        [
            _beam_case([[3, 5, 6, 0]], 4, 6, end=0.5, vocab_size=7, spread=1.5),
            _beam_case([[4, 4, 0, 0]], 3, 6, vocab_size=7),
            _beam_case([[4, 5, 5, 3]], 4, 5, vocab_size=8),
            _beam_case([[4, 7]], 2, 3, end=-9.0),
            _beam_case([[3, 8, 5]], 2, 1),
            _beam_case([[7, 4, 4]], 1, 4, end=1.0),
            _beam_case([[7, 3, 0]], 3, 5, end=-9.0, eos_id=5),
            _beam_case([[4, 6]], 2, 3, end=0.5, eos_id=4, vocab_size=8, spread=1.0),
            _beam_case([[6, 6, 6]], 2, 3, bos_id=4, vocab_size=6, spread=1.5),
            _beam_case([[5, 6]], 3, 3, end=-1.5, vocab_size=6, spread=1.5),
            _beam_case([[6, 4, 5]], 2, 3, vocab_size=6, spread=1.5),
            _beam_case([[5, 7, 4]], 3, 5, end=0.5, bos_id=2, eos_id=0, vocab_size=8),
            _beam_case([[4, 5]], 2, 4, end=-2.0, vocab_size=6, spread=1.0),
            _beam_case([[6, 5]], 2, 4, end=-0.5, bos_id=0, vocab_size=7, spread=1.5),
            _beam_case(
                [[5, 300]],
                3,
                4,
                end=0.5,
                bos_id=301,
                eos_id=299,
                vocab_size=320,
                spread=1.5,
                ids=[3, 257, 280, 299, 300],
            ),
            case_of("beam_search", WrittenModel({3: BY_HAND}), [[3]], 2, BOS, EOS, 3),
        ],
    ),
    mistakes=[
        Mistake(
            "mode_changed",
            "What is written is right, but afterwards the model is in evaluation mode, and a "
            "training that goes on would not notice. Leave its mode to whoever calls.",
            _switching,
        ),
        Mistake(
            "n_from_each_beam",
            "You keep the `n_beams` best of *each* beam, so there are more at every step. All "
            "candidates of all beams compete for `n_beams` places: sort them together, once.",
            _beams(prunes=False),
        ),
        Mistake(
            "keeps_the_worst",
            "You sort the candidates upwards and keep the *least* likely. The best sums are the "
            "largest: `sorted(candidates, reverse=True)`.",
            _beams(reverse=False),
        ),
        Mistake(
            "greedy",
            "That is greedy search: only one continuation is ever kept. Keep the `n_beams` best.",
            lambda model, source, n_beams, bos_id, eos_id, max_T: _beam_search(
                model, source, 1, bos_id, eos_id, max_T
            ),
        ),
        Mistake(
            "probabilities_added",
            "You add probabilities. A sentence's probability is a *product*; add logarithms, "
            "`log_softmax`.",
            _beams(score=lambda logits: logits.softmax(-1)),
        ),
        Mistake(
            "logits_added",
            "You add the logits as they are. Logits of different steps have no common scale: take "
            "`log_softmax` first.",
            _beams(score=lambda logits: logits),
        ),
        Mistake(
            "length_normalised",
            "You divide by the length. Lesson 09 will; here the plain sum of log-probabilities "
            "decides.",
            _beams(length=len),
        ),
        Mistake(
            "each_beam_keeps_one",
            "Each beam keeps its own best continuation. All continuations of all beams compete for "
            "the places: two of the best may come from one beam.",
            _beams(per_beam=True),
        ),
        Mistake(
            "last_step_only",
            "Only the newest log-probability counts: what the beam has cost before is forgotten. "
            "Add it to the beam's sum.",
            _beams(last_only=True),
        ),
        Mistake(
            "finished_dropped",
            "A sentence that ends is thrown away. Put it aside, and let it compete at the end.",
            _beams(stores=False),
        ),
        Mistake(
            "only_ended_ones_compete",
            "Sentences that have not ended at `max_T` are forgotten. They compete too: after the "
            "last step every one of the n_beams best is finished.",
            _beams(unended=False),
        ),
        Mistake(
            "goes_on_after_the_end",
            "Finished sentences are continued after `eos_id`. Put them aside instead.",
            _beams(extends=True),
        ),
        Mistake(
            "stops_at_the_first_end",
            "You stop at the first finished sentence. A running one may still be better.",
            _beams(stops_at=lambda n: 1),
        ),
        Mistake(
            "stops_when_n_have_ended",
            "You stop as soon as n_beams sentences are finished. A running one may still be "
            "better: go on to `max_T`, or until no running sum beats the best finished one.",
            _beams(stops_at=lambda n: n),
        ),
        Mistake(
            "all_that_end_count",
            "Every candidate that ends is put aside, also one that is not among the `n_beams` "
            "best. First keep the best, then see which of them have ended.",
            _beams(counts=lambda n: 2 * n),
        ),
        Mistake(
            "one_beam_too_many",
            "You keep one beam more than `n_beams`.",
            _beams(width=lambda n: n + 1),
        ),
        Mistake(
            "end_hard_coded",
            "You look for the token 2, whatever `eos_id` is.",
            lambda model, source, n_beams, bos_id, eos_id, max_T: _beams()(
                model, source, n_beams, bos_id, 2, max_T
            ),
        ),
        Mistake(
            "beginning_hard_coded",
            "You begin with the token 1, whatever `bos_id` is.",
            lambda model, source, n_beams, bos_id, eos_id, max_T: _beams()(
                model, source, n_beams, 1, eos_id, max_T
            ),
        ),
        Mistake(
            "worst_returned",
            "You return the worst of the finished sentences. Log-probabilities are negative; the "
            "best sum is the one nearest to 0.",
            _beams(pick=min),
        ),
        Mistake(
            "bos_kept",
            "The sentence is right, but it begins with `bos_id`. Return only the new tokens.",
            _beams(result=lambda tokens, bos_id, eos_id: [bos_id, *tokens]),
        ),
        Mistake(
            "end_cut_off",
            "The sentence is right, but `eos_id` is missing at its end. Keep it where it was "
            "written.",
            _beams(result=lambda tokens, bos_id, eos_id: [t for t in tokens if t != eos_id]),
        ),
    ],
    hints=[
        "Keep two lists: `running` and `finished`, both of (sum of log-probabilities, new tokens).",
        "One step: extend every running beam by every token, sort, keep the n_beams best.",
        "Of these, those that have ended (or all, after the last step) are finished; the others "
        "run on. When nothing runs any more, `max(finished)` wins.",
    ],
)
