"""Exercise 18.3, `word_loss`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded
from utils.checks.engine.probes import with_slopes


def _word_loss(soft_tokens, words, targets, scale):
    if soft_tokens.shape[:2].numel() * words.numel() > 100_000:  # too slow to train with
        cosines = F.normalize(soft_tokens, dim=-1) @ F.normalize(words, dim=-1).T
    else:
        cosines = F.cosine_similarity(soft_tokens[:, :, None], words, dim=-1)
    return F.cross_entropy((scale * cosines).flatten(0, 1), targets.flatten())


def _loss(
    soft=lambda x: F.normalize(x, dim=-1),
    word=lambda x: F.normalize(x, dim=-1),
    scaled=lambda x, scale: scale * x,
    keep=lambda x: x,
    aims=lambda targets: targets,
    reduction="mean",
):
    """The loss with one step replaced."""

    def mutant(soft_tokens, words, targets, scale):
        logits = scaled(soft(soft_tokens) @ word(words).T, scale)
        kept, aimed = keep(logits), keep(aims(targets))
        return F.cross_entropy(kept.flatten(0, 1), aimed.flatten(), reduction=reduction)

    return mutant


def _distance_to_the_word(soft_tokens, words, targets, scale):
    return F.mse_loss(soft_tokens, words[targets])


def _right_word_only(soft_tokens, words, targets, scale):
    return -scale * F.cosine_similarity(soft_tokens, words[targets], dim=-1).mean()


def _only_the_batch_competes(soft_tokens, words, targets, scale):
    words = words[targets.flatten()]
    cosines = F.cosine_similarity(soft_tokens.flatten(0, 1)[:, None], words, dim=-1)
    return F.cross_entropy(scale * cosines, torch.arange(len(words)))


def _exponentials(soft_tokens, words, targets, scale):
    """A softmax of one's own: too large for float32 beyond e to the 88."""
    cosines = F.normalize(soft_tokens, dim=-1) @ F.normalize(words, dim=-1).T
    powers = (scale * cosines).exp()
    right = powers.gather(-1, targets[..., None])[..., 0]
    return -(right / powers.sum(-1)).log().mean()


def _log_of_softmax(soft_tokens, words, targets, scale):
    cosines = F.normalize(soft_tokens, dim=-1) @ F.normalize(words, dim=-1).T
    shares = (scale * cosines).softmax(-1)
    return -shares.gather(-1, targets[..., None]).log().mean()


def _loss_and_slope(answer, soft_tokens, words, targets, scale):
    names = ["soft_tokens", "words"]
    return with_slopes(lambda x, w: answer(x, w, targets, scale), soft_tokens, words, names=names)


def _loss_case(B, N, V, d, scale, size=1.0):
    seed = 1000 * B + 100 * N + 10 * V + d
    soft_tokens, words = size * normal(seed, B, N, d), normal(seed + 1, V, d)
    targets = torch.randint(V, (B, N), generator=torch.Generator().manual_seed(seeded(seed)))
    label = f"word_loss(\n    soft_tokens={size} * torch.randn{B, N, d}, words=torch.randn{V, d},"
    label += f"\n    targets=torch.tensor({targets.tolist()}), scale={scale})"
    return Case(soft_tokens, words, targets, scale, label=label)


def _known_case(soft_tokens, words, targets, scale):
    return Case(torch.tensor(soft_tokens), torch.tensor(words), torch.tensor(targets), scale)


word_loss = Exercise(
    number="18.3",
    name="word_loss",
    oracle=_word_loss,
    compared_with="`F.cross_entropy` on `F.cosine_similarity`",
    probe=_loss_and_slope,
    tolerance=Tolerance(absolute=1e-5, relative=1e-4),
    cases=lambda: [  # no two have a shape in common
        _loss_case(2, 3, 5, 4, scale=2.0),
        _loss_case(3, 2, 4, 6, scale=0.5),
        _loss_case(1, 4, 7, 3, scale=10.0),
        _loss_case(1, 5, 3, 3, scale=3.0),
        _loss_case(2, 4, 6, 5, scale=4.0, size=100.0),
        _loss_case(4, 1, 3, 8, scale=1.0, size=0.1),
        _loss_case(3, 5, 300, 2, scale=90),
        _known_case([[[3.0, 0.0]]], [[2.0, 0.0], [0.0, 5.0]], [[0]], 1),
        _known_case([[[0.0, 2.0], [3.0, 0.0]]], [[1.0, 0], [0, 4], [-1, 0]], [[1, 2]], 100),
    ],
    mistakes=[
        Mistake(
            "nothing_normalised",
            "You take plain dot products. The cosine wants both sides at length 1 first: "
            "`F.normalize(x, dim=-1)` for the soft tokens and for the words.",
            _loss(soft=lambda x: x, word=lambda x: x),
        ),
        Mistake(
            "words_not_normalised",
            "The soft tokens are at length 1, the words are not, so long word embeddings win. "
            "Normalise `words` too.",
            _loss(word=lambda x: x),
        ),
        Mistake(
            "soft_tokens_not_normalised",
            "The words are at length 1, the soft tokens are not: a longer soft token is a surer "
            "one, whatever its direction. Normalise `soft_tokens` too.",
            _loss(soft=lambda x: x),
        ),
        Mistake(
            "normalised_along_the_tokens",
            "`F.normalize` works along axis 1 unless it is told otherwise, and in `(B, N, d)` that "
            "counts the soft tokens. Say `dim=-1`.",
            _loss(soft=lambda x: F.normalize(x, dim=1)),
        ),
        Mistake(
            "scale_forgotten",
            "`scale` is not used. Cosines lie between -1 and 1, and a softmax of such small "
            "numbers is nearly flat: multiply them by `scale`.",
            _loss(scaled=lambda x, scale: x),
        ),
        Mistake(
            "divided_by_the_scale",
            "You divide by `scale`, as by a temperature. Here it multiplies: `scale * cosine`.",
            _loss(scaled=lambda x, scale: x / scale),
        ),
        Mistake(
            "sum_for_mean",
            "You add up the losses of all soft tokens. Take their mean: `F.cross_entropy` does so "
            "unless it is told otherwise.",
            _loss(reduction="sum"),
        ),
        Mistake(
            "softmax_first",
            "You take the softmax, and `F.cross_entropy` takes another. Give it the plain logits.",
            _loss(scaled=lambda x, scale: (scale * x).softmax(-1)),
        ),
        Mistake(
            "exponentials_too_large",
            "Right for small scales, but at a scale of 100 the exponentials are larger than any "
            "float32, and the loss is `nan` or `inf`. `F.cross_entropy` takes the plain logits and "
            "is safe.",
            _exponentials,
        ),
        Mistake(
            "logarithm_of_the_softmax",
            "Right for small scales, but at a scale of 100 the softmax of a wrong word is 0, and "
            "its logarithm minus infinity. `F.cross_entropy` (or `log_softmax`) on the plain "
            "logits is safe.",
            _log_of_softmax,
        ),
        Mistake(
            "first_soft_token_only",
            "Only the first soft token of each picture is judged. All N have a word that they "
            "should be.",
            _loss(keep=lambda x: x[:, :1]),
        ),
        Mistake(
            "targets_shifted",
            "The targets have moved by one place. Nothing is predicted ahead here: soft token i "
            "should be word `targets[b, i]` itself.",
            _loss(aims=lambda targets: targets.roll(-1, dims=1)),
        ),
        Mistake(
            "squared_distance",
            "You measure the squared distance to the right word, and the other words do not count. "
            "Let all V words compete: logits `(B, N, V)`, then cross-entropy.",
            _distance_to_the_word,
        ),
        Mistake(
            "right_word_only",
            "You only pull towards the right word, and no other word pushes away. Let all V words "
            "compete: logits `(B, N, V)`, then cross-entropy.",
            _right_word_only,
        ),
        Mistake(
            "only_the_batch_competes",
            "As in CLIP, only the right words of this batch compete, and a word that stands there "
            "twice is right and wrong at once. Here all V words of `words` are the classes, and "
            "`targets` says which is right.",
            _only_the_batch_competes,
        ),
        Mistake(
            "number_for_tensor",
            "You return a plain Python number, and `backward` needs the tensor: leave out "
            "`.item()` or `float(…)`.",
            lambda *given: _word_loss(*given).item(),
        ),
        Mistake(
            "no_gradient",
            "The loss is right, but no gradient reaches the soft tokens, so nothing can be learned "
            "from it: is there a `detach`, a `.data`, a `no_grad`?",
            lambda *given: _word_loss(*given).detach(),
        ),
    ],
    hints=[
        "It is a classification with V classes: which of the words is this soft token most like? "
        "Every soft token of every picture is one example.",
        "With both sides normalised, `soft @ words.T` holds all cosines, `(B, N, V)`. Times "
        "`scale`, these are the logits.",
        "`F.cross_entropy` wants `(examples, classes)` and `(examples,)`: "
        "`logits.flatten(0, 1)` and `targets.flatten()`.",
    ],
)
