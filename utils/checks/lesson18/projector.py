"""Exercise 18.1, `Projector`: its oracle, inputs, mistakes and hints."""

import functools

import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from utils.checks.engine.compare import Tolerance, show
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import fill, in_training


@functools.cache
def _llava(d_vision, d_model):
    """LLaVA's settings; of its two models the projector asks only for their width."""
    return LlavaConfig(
        vision_config=CLIPVisionConfig(hidden_size=d_vision, num_attention_heads=1),
        text_config=LlamaConfig(hidden_size=d_model, num_attention_heads=1, head_dim=2),
        vision_feature_layer=-1,
        projector_hidden_act="gelu",
    )


class _Projector(LlavaMultiModalProjector):
    """The stand-in: LLaVA's own projector, made from two sizes as the learner's is."""

    def __init__(self, d_vision, d_model):
        super().__init__(_llava(d_vision, d_model))

    def forward(self, features):
        return super().forward(features)


def _projector(forward):
    """A projector that does something else."""
    return type("Projector", (_Projector,), {"forward": forward})


def _with(activation):
    return _projector(lambda self, x: self.linear_2(activation(self.linear_1(x))))


def _with_residual(self, x):
    hidden = self.linear_1(x)
    return hidden + self.linear_2(F.gelu(hidden))


def _projector_output(cls, build, features):
    """What the projector returns in training, with known weights, and what the weights learn."""
    if isinstance(cls, nn.Module):
        raise TypeError(f"pass the class `{type(cls).__name__}` itself, not an object that it made")
    projector = fill(cls(**build), like=_Projector(**build))
    return in_training(projector, features)


def _projector_case(d_model, features):
    build = {"d_vision": features.shape[-1], "d_model": d_model}
    given = f"features of shape {tuple(features.shape)}"
    if features.numel() <= 12:
        given = f"features={' '.join(show(features).split())}"
    label = f"Projector(d_vision={build['d_vision']}, d_model={d_model}) with weights of the "
    return Case(build, features, label=f"{label}check's own, of {given}")


Projector = Exercise(
    number="18.1",
    name="Projector",
    oracle=_Projector,
    compared_with="`LlavaMultiModalProjector` of Hugging Face's LLaVA",
    probe=_projector_output,
    tolerance=Tolerance(absolute=2e-5, relative=2e-5),  # the two GELUs differ by 5e-4 at most
    cases=lambda: [
        _projector_case(4, 2 * normal(1, 2, 3, 5)),
        _projector_case(7, 2 * normal(2, 1, 5, 3)),
        _projector_case(3, 2 * normal(3, 3, 3, 3)),
        _projector_case(2, torch.tensor([[[1.0, -2.0, 0.5]]])),
        _projector_case(5, torch.tensor([[[0.0, 0.0], [9.0, -6.0]]])),
    ],
    mistakes=[
        Mistake(
            "no_activation",
            "There is nothing between the two layers, and two linear layers in a row are only one. "
            "Put GELU between them: `F.gelu`.",
            _with(lambda x: x),
        ),
        Mistake(
            "relu",
            "That is ReLU. LLaVA's projector bends its numbers with GELU: `F.gelu`.",
            _with(F.relu),
        ),
        Mistake(
            "silu",
            "That is SiLU, which the language model has in its own layers. The projector bends its "
            "numbers with GELU: `F.gelu`.",
            _with(F.silu),
        ),
        Mistake(
            "tanh_gelu",
            "That is the approximation of GELU with `tanh`. It differs by less than a thousandth, "
            "but LLaVA's projector has the exact one: `F.gelu(x)` without `approximate`.",
            _with(lambda x: F.gelu(x, approximate="tanh")),
        ),
        Mistake(
            "quick_gelu",
            "`x * sigmoid(1.702 * x)` is what CLIP has in place of GELU. LLaVA's projector has the "
            "exact one: `F.gelu`.",
            _with(lambda x: x * torch.sigmoid(1.702 * x)),
        ),
        Mistake(
            "activation_at_the_end",
            "GELU comes after the second layer. It belongs *between* the two.",
            _projector(lambda self, x: F.gelu(self.linear_2(self.linear_1(x)))),
        ),
        Mistake(
            "activation_at_the_end_too",
            "After the second layer comes another GELU, so nothing far below 0 can be passed on, "
            "and word embeddings are as often negative as positive. The result of `linear_2` is "
            "the end.",
            _projector(lambda self, x: F.gelu(self.linear_2(F.gelu(self.linear_1(x))))),
        ),
        Mistake(
            "activation_at_the_beginning",
            "GELU is applied to the features themselves. It belongs *between* the two layers.",
            _projector(lambda self, x: self.linear_2(self.linear_1(F.gelu(x)))),
        ),
        Mistake(
            "second_layer_left_out",
            "The shape is right already, but `self.linear_2` is not used: it comes after GELU.",
            _projector(lambda self, x: F.gelu(self.linear_1(x))),
        ),
        Mistake(
            "first_layer_only",
            "Only `self.linear_1` is used. GELU and `self.linear_2` are still to come.",
            _projector(lambda self, x: self.linear_1(x)),
        ),
        Mistake(
            "second_layer_twice",
            "`self.linear_2` is used twice. Each layer is used once, with GELU between them.",
            _projector(
                lambda self, x: self.linear_2(F.gelu(self.linear_2(F.gelu(self.linear_1(x)))))
            ),
        ),
        Mistake(
            "residual_added",
            "You add what went into the second layer to its result. A projector has no residual "
            "connection: it carries the features over into another space. Return what `linear_2` "
            "gives.",
            _projector(_with_residual),
        ),
        Mistake(
            "result_normalised",
            "You bring every soft token to length 1. Word embeddings have lengths of their own, "
            "and the projector has to learn them: return what `linear_2` gives.",
            _projector(lambda self, x: F.normalize(_Projector.forward(self, x), dim=-1)),
        ),
        Mistake(
            "averaged_over_the_patches",
            "You take the mean over the patches, and one vector is left of a whole picture. Every "
            "patch becomes a soft token of its own: return `(B, N, d_model)`.",
            _projector(lambda self, x: _Projector.forward(self, x).mean(1)),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but the projector would not learn: is there a `no_grad`, a "
            "`detach` or a `.data`? The projector is the part that is trained.",
            _projector(lambda self, x: _Projector.forward(self, x).detach()),
        ),
    ],
    hints=[
        "Three steps: a linear layer, a bend, a linear layer. Every patch goes through on its own.",
        "`self.linear_1(features)` has shape `(B, N, d_model)` already. `F.gelu` keeps it, and so "
        "does `self.linear_2`.",
        "`F.gelu(self.linear_1(features))`, and then through the other layer.",
    ],
)
