"""Exercise 20.3, `hear`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Seen, Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_slopes


def _hear(found, words, scale):
    cosines = F.cosine_similarity(found[:, :, None], words, dim=-1)  # (B, n, W)
    weights = F.softmax(scale * cosines, dim=-1)
    return torch.einsum("bnw,wd->bnd", weights, words), weights


def _heard(
    query=lambda found: F.normalize(found, dim=-1),
    key=lambda words: F.normalize(words, dim=-1),
    value=lambda words: words,
    share=lambda scores: scores.softmax(-1),
    score=lambda cosines, scale: scale * cosines,
    finish=lambda soft, weights, scores: (soft, weights),
):
    """Hearing with one step replaced."""

    def mutant(found, words, scale):
        scores = score(query(found) @ key(words).mT, scale)
        weights = share(scores)
        return finish(weights @ value(words), weights, scores)

    return mutant


def _nearest(scores):
    return F.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype) + 0 * scores.softmax(-1)


def _probe(answer, found, words, scale):
    """Both parts of the pair, and the slope of each to what was found."""
    kept = {}

    def both(found, words):
        out = answer(found, words, scale)
        if not (isinstance(out, tuple | list) and len(out) == 2):
            kept["other"] = out
            return out
        kept["weights"] = out[1]
        return out[0]

    seen = with_slopes(both, found, words, names=("found", "words"))
    if "other" in kept or not isinstance(seen, Seen):
        return kept.get("other", seen)
    parts = {"soft tokens" if key == "result" else key: value for key, value in seen.items()}
    weights = kept["weights"]
    parts["weights"] = weights.detach() if isinstance(weights, torch.Tensor) else weights
    return Seen(parts)


def _case(seed, B, n, W, d_model, scale):
    """Vectors of very different lengths, so that lengths show."""
    found = normal(seed, B, n, d_model) * (0.5 + normal(seed + 60, B, n, 1).abs() * 3)
    words = normal(seed + 20, W, d_model) * (0.5 + normal(seed + 40, W, 1).abs() * 2)
    label = f"hear(found {(B, n, d_model)}, words {(W, d_model)}, scale={scale})"
    return Case(found, words, scale, label=label)


hear = Exercise(
    number="20.3",
    name="hear",
    oracle=_hear,
    compared_with="`F.cosine_similarity` and a weighted mean",
    probe=_probe,
    tolerance=Tolerance(absolute=3e-5, relative=2e-4),
    cases=lambda: [
        _case(1, 2, 3, 7, 5, 4.0),
        _case(2, 4, 1, 5, 6, 2),
        _case(3, 1, 2, 1, 4, 20),
        _case(4, 3, 4, 30, 16, 20),
        _case(5, 2, 2, 4, 9, 1.0),
    ],
    mistakes=[
        Mistake(
            "dot_products",
            "The scores are dot products, so long vectors win. For a cosine both sides are "
            "normalised first (`F.normalize(..., dim=-1)`).",
            _heard(query=lambda x: x, key=lambda x: x),
        ),
        Mistake(
            "words_not_normalised",
            "What was found is normalised, the words are not: long words win. A cosine needs both.",
            _heard(key=lambda x: x),
        ),
        Mistake(
            "found_not_normalised",
            "The words are normalised, what was found is not. A cosine needs both.",
            _heard(query=lambda x: x),
        ),
        Mistake(
            "mean_of_normalised_words",
            "The mean is one of normalised words. The language model knows them in their full "
            "length: weigh `words` as they are.",
            _heard(value=lambda x: F.normalize(x, dim=-1)),
        ),
        Mistake(
            "scale_forgotten",
            "`scale` is not used: the weights are nearly equal.",
            _heard(score=lambda cosines, scale: cosines),
        ),
        Mistake(
            "divided_by_the_scale",
            "The cosines are divided by `scale`, and should be multiplied.",
            _heard(score=lambda cosines, scale: cosines / scale),
        ),
        Mistake(
            "nearest_word",
            "You take the nearest word alone. The soft token is the *weighted mean* of all words.",
            _heard(share=_nearest),
        ),
        Mistake(
            "softmax_over_places",
            "The softmax runs over the n vectors. For each of them it is the *words* that share.",
            _heard(share=lambda scores: scores.softmax(1)),
        ),
        Mistake(
            "scores_for_weights",
            "The second part should be the weights, after the softmax; these are the scores.",
            _heard(finish=lambda soft, weights, scores: (soft, scores)),
        ),
        Mistake(
            "logarithms_for_weights",
            "The second part holds logarithms of the weights. Return the weights.",
            _heard(finish=lambda soft, weights, scores: (soft, weights.log())),
        ),
        Mistake(
            "pair_exchanged",
            "The pair is the wrong way round: soft tokens first, then the weights.",
            _heard(finish=lambda soft, weights, scores: (weights, soft)),
        ),
        Mistake(
            "no_weights",
            "Only the soft tokens come back. The weights are wanted, too: a pair.",
            _heard(finish=lambda soft, weights, scores: soft),
        ),
        Mistake(
            "soft_token_normalised",
            "The soft token is normalised at the end. It should stay as long as the mean is.",
            _heard(finish=lambda soft, weights, scores: (F.normalize(soft, dim=-1), weights)),
        ),
    ],
    hints=[
        "The dot product of two normalised vectors is their cosine.",
        "`(B, n, d_model) @ (d_model, W)` scores each word; `weights @ words` is the mean.",
    ],
)
