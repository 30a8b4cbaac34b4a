"""Exercise 16.5, `zero_shot`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.lesson16.common import unit_length


def _zero_shot(images, prompts):
    classes = F.normalize(prompts, dim=-1).mean(1)
    return F.cosine_similarity(images[:, None], classes[None], dim=-1).argmax(-1)


def _classifier(
    prompt=unit_length,
    together=lambda prompts: prompts.mean(1),
    whole=unit_length,
    decide=lambda cosines: cosines.argmax(1),
):
    """The zero-shot classifier with one step replaced."""

    def mutant(images, prompts):
        return decide(unit_length(images) @ whole(together(prompt(prompts))).T)

    return mutant


def _each_prompt(decide):
    """Decide on the cosines with every single prompt, (B, n_classes, n_prompts)."""
    return lambda images, prompts: decide(
        torch.einsum("bd,cpd->bcp", unit_length(images), unit_length(prompts))
    )


def _numbers(answer, images, prompts):
    """The classes, and what kind of integers they are."""
    found = answer(images, prompts)
    if not isinstance(found, torch.Tensor):
        return found
    return Seen({"result": found, "dtype": str(found.dtype)})


def _prompts(seed, *shape):
    """Vectors of very different lengths."""
    return normal(seed, *shape) * normal(seed + 100, *shape[:-1], 1).exp()


def _one_decimal(x):
    return (10 * x).round() / 10


zero_shot = Exercise(
    number="16.5",
    name="zero_shot",
    oracle=_zero_shot,
    compared_with="the largest `F.cosine_similarity` with the mean of `F.normalize(prompts)`",
    probe=_numbers,
    cases=lambda: [
        Case(_prompts(206, 8, 4), _prompts(1206, 5, 3, 4)),
        Case(
            torch.tensor([[1.0, 0.0]]),
            torch.tensor([[[0.0, 9.0], [1.0, 0.0]], [[2.0, 1.0], [2.0, 1.0]]]),
        ),
        Case(_one_decimal(normal(74, 3, 2)), _one_decimal(_prompts(1074, 3, 2, 2))),
        Case(_prompts(421, 3, 3), _prompts(1421, 3, 3, 3)),
        Case(_prompts(195, 6, 5), _prompts(1195, 4, 1, 5)),
        Case(_prompts(312, 1, 4), _prompts(1312, 6, 2, 4)),
        Case(_prompts(47, 20, 6), _prompts(1047, 9, 4, 6)),
        Case(_prompts(48, 5, 3), _prompts(1048, 1, 2, 3)),
        Case(_prompts(49, 40, 8), _prompts(1049, 300, 3, 8)),
    ],
    mistakes=[
        Mistake(
            "prompts_not_normalised",
            "The prompts go into the mean with the lengths they happen to have, so a long one "
            "drowns the others. Normalise each of them before the mean.",
            _classifier(prompt=lambda x: x),
        ),
        Mistake(
            "mean_not_normalised",
            "The mean over the prompts is not normalised. A mean of unit vectors is shorter than "
            "1, and shortest where the prompts disagree, which puts that class behind: normalise "
            "again. (The mean of the cosines with each prompt comes to the same mistake.)",
            _classifier(whole=lambda x: x),
        ),
        Mistake(
            "no_prompt_normalised",
            "Neither the prompts nor their mean are normalised, so the longest class wins too "
            "often: normalise before the mean and again after it.",
            _classifier(prompt=lambda x: x, whole=lambda x: x),
        ),
        Mistake(
            "normalised_over_the_prompts",
            "`F.normalize` takes axis 1 when it is not told otherwise, and in `(n_classes, "
            "n_prompts, d)` that counts the prompts. Each vector is to get length 1: `dim=-1`.",
            _classifier(prompt=lambda x: F.normalize(x, dim=1)),
        ),
        Mistake(
            "normalised_over_the_classes",
            "You normalise along axis 0, over the classes. Each vector is to get length 1: "
            "`dim=-1`.",
            _classifier(prompt=lambda x: F.normalize(x, dim=0)),
        ),
        Mistake(
            "first_prompt_only",
            "Only the first prompt of each class is used. Take the mean over all of them, "
            "`.mean(1)`.",
            _classifier(together=lambda prompts: prompts[:, 0]),
        ),
        Mistake(
            "best_single_prompt",
            "The best single prompt decides. One that is off may then win for its class: take the "
            "mean vector of each class first.",
            _each_prompt(lambda cosines: cosines.amax(2).argmax(1)),
        ),
        Mistake(
            "prompts_for_classes",
            "You number the prompts one after the other, and return the number of the best prompt. "
            "The number of a *class* is wanted: one vector for each class, the mean over axis 1.",
            _each_prompt(lambda cosines: cosines.flatten(1).argmax(1)),
        ),
        Mistake(
            "mean_over_the_classes",
            "You take the mean over the *classes*, which leaves one vector for each prompt. "
            "In `(n_classes, n_prompts, d)` the prompts are axis 1.",
            _classifier(together=lambda prompts: prompts.mean(0)),
        ),
        Mistake(
            "image_for_each_class",
            "You look for the best image of each class. Each image looks for its class: the "
            "`argmax` along the classes.",
            _classifier(decide=lambda cosines: cosines.argmax(0)),
        ),
        Mistake(
            "scores_for_classes",
            "These are the cosines. Return the number of the best class for each image: "
            "`.argmax(-1)`.",
            _classifier(decide=lambda cosines: cosines),
        ),
        Mistake(
            "best_score_for_class",
            "That is *how* alike the best class is. Which one it is says `argmax`, not `max`.",
            _classifier(decide=lambda cosines: cosines.amax(1)),
        ),
        Mistake(
            "least_alike",
            "You take the class that is *least* like the image. The one with the largest cosine "
            "wins (of distances, the smallest).",
            _classifier(decide=lambda cosines: cosines.argmin(1)),
        ),
        Mistake(
            "int32_for_int64",
            "The classes are right, but not of type int64, which is what PyTorch indexes with: "
            "leave what `argmax` returns as it is.",
            _classifier(decide=lambda cosines: cosines.argmax(1).int()),
        ),
        Mistake(
            "scaled_to_probabilities",
            "These are probabilities. Return the number of the best class for each image: "
            "`.argmax(-1)`.",
            _classifier(decide=lambda cosines: cosines.softmax(1)),
        ),
        Mistake(
            "batch_of_one_squeezed",
            "For a single image the batch is gone: is there a `squeeze()`? Keep the shape `(B,)`.",
            _classifier(decide=lambda cosines: cosines.argmax(1).squeeze()),
        ),
        Mistake(
            "vote_of_the_prompts",
            "You let the prompts vote. Take the mean of each class's vectors first, then look for "
            "the class.",
            _each_prompt(lambda cosines: cosines.argmax(1).mode(1).values),
        ),
    ],
    hints=[
        "Make one vector of length 1 for each class first: `(n_classes, d)`. What is done to the "
        "prompts before the mean, and what after it?",
        "`F.normalize(prompts, dim=-1).mean(1)` has shape `(n_classes, d)`, but its rows are "
        "shorter than 1.",
        "`similarity(images, classes)` normalises both and has shape `(B, n_classes)`; `argmax` "
        "along its last axis is the answer.",
    ],
)
