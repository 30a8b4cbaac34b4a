"""Exercise 2.5, `merge_heads`: its oracle, inputs, mistakes and hints."""

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import counted, normal
from utils.checks.engine.probes import with_slopes


def _merge_heads(x):
    return torch.cat(x.unbind(dim=1), dim=-1)


def merge_interleaved(x):
    """A mistake: the components of the heads alternate."""
    return x.permute(0, 2, 3, 1).flatten(2)


def merge_by_reshape(x):
    """A mistake: reshaped without the transpose."""
    B, n_heads, T, d_head = x.shape
    return x.reshape(B, T, n_heads * d_head)


merge_heads = Exercise(
    number="2.5",
    name="merge_heads",
    oracle=_merge_heads,
    compared_with="`torch.cat(x.unbind(dim=1), dim=-1)` and its gradient",
    probe=with_slopes,
    cases=lambda: [
        Case(normal(1, 2, 3, 5, 4)),
        Case(torch.tensor([[[[1.0, 2.0], [5.0, 6.0]], [[3.0, 4.0], [7.0, 8.0]]]])),
        Case(counted(1, 2, 3, 2)),
        Case(counted(1, 1, 2, 2)),
        Case(counted(3, 4, 1, 1)),
        Case(normal(2, 3, 3, 3, 3)),
        Case(normal(3, 2, 4, 3, 5).transpose(1, 2)),
    ],
    mistakes=[
        Mistake(
            "reshaped_without_transpose",
            "The shape is right, the numbers are not: without `transpose(1, 2)` your first word is "
            "made of several words of head 0. Move the heads back behind the words, then flatten.",
            merge_by_reshape,
        ),
        Mistake(
            "interleaved",
            "The components of the heads alternate. Head 0 comes first as a whole, then head 1: "
            "the heads' axis stands *before* `d_head` when you flatten.",
            merge_interleaved,
        ),
        Mistake(
            "heads_added",
            "You add the heads up. They are laid side by side: each keeps its own place.",
            lambda x: x.sum(1),
        ),
        Mistake(
            "heads_averaged",
            "You average the heads. They are laid side by side: each keeps its own place.",
            lambda x: x.mean(1),
        ),
        Mistake(
            "not_flattened",
            "The heads are back behind the words, but in an axis of their own: join the last two "
            "with `flatten(2)`.",
            lambda x: x.transpose(1, 2),
        ),
        Mistake(
            "words_joined_to_width",
            "You joined words and width: `(B, n_heads, T * d_head)`. Swap heads and words first.",
            lambda x: x.flatten(2),
        ),
        Mistake(
            "heads_one_after_another",
            "You put the heads one after another along the *words*: `(B, n_heads * T, d_head)`. "
            "A word keeps its place and gets all its heads side by side.",
            lambda x: x.flatten(1, 2),
        ),
        Mistake(
            "heads_among_the_words",
            "You joined heads and words into one axis: `(B, T * n_heads, d_head)`. After the "
            "transpose join the *last* two axes, `flatten(2)`.",
            lambda x: x.transpose(1, 2).flatten(1, 2),
        ),
        Mistake(
            "words_last",
            "Your words stand last: `(B, d_model, T)`. They belong on axis 1.",
            lambda x: x.transpose(2, 3).flatten(1, 2),
        ),
        Mistake(
            "words_last_reshaped",
            "The shape is right, but you swapped words and width where heads and words change "
            "places: `transpose(1, 2)`.",
            lambda x: x.transpose(2, 3).reshape(x.shape[0], x.shape[2], -1),
        ),
    ],
    hints=[
        "Walk back: `split_heads` viewed and then transposed. What undoes the transpose?",
        "After `x.transpose(1, 2)` the shape is `(B, T, n_heads, d_head)`: join the last two axes.",
        "`.flatten(2)` joins all axes from axis 2 on. (`view` refuses here: after a transpose the "
        "numbers do not lie in order. `reshape` copies them.)",
    ],
)
