"""Exercise 18.1, `Projector`: its oracle, inputs, mistakes and hints."""

import functools

import torch
import torch.nn.functional as F
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig
from transformers.models.llava.modeling_llava import LlavaMultiModalProjector

from utils.checks.engine.compare import Tolerance, show_call
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import call_text, made, normal
from utils.checks.engine.probes import in_training, of_its_own_accord


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


def _leaving_training(self, x):
    self.eval()
    return _Projector.forward(self, x)


def _writing(self, x):
    self.linear_2.bias.data.zero_()
    return _Projector.forward(self, x)


def _projector_output(cls, build, features, identity=False):
    """What the projector returns in training, with known weights, and what the weights learn."""
    if said := of_its_own_accord(made(cls, build, _Projector), features):
        return said
    projector = made(cls, build, _Projector)
    if identity:
        with torch.no_grad():
            for name, parameter in projector.named_parameters():
                parameter.copy_(torch.eye(2) if name.endswith("weight") else torch.zeros(2))
    return in_training(projector, features)


def _projector_case(d_model, features, identity=False):
    build = {"d_vision": features.shape[-1], "d_model": d_model}
    label = f"projector = {call_text('Projector', build)}  # "
    label += "both layers are the identity" if identity else "the check gives it weights of its own"
    given = f"torch.randn{tuple(features.shape)}"
    if features.numel() <= 12:
        given = " ".join(show_call(features).split())
    return Case(build, features, identity, label=f"{label}\nprojector({given})")


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
        _projector_case(2, torch.tensor([[[-1.0, 2.0]]]), identity=True),
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
            "You take the mean over axis 1, and one vector is left of a whole picture. Each "
            "of them becomes a soft token of its own: return `(B, N, d_model)`.",
            _projector(lambda self, x: _Projector.forward(self, x).mean(1)),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but the projector would not learn: is there a `no_grad`, a "
            "`detach` or a `.data`? The projector is the part that is trained.",
            _projector(lambda self, x: _Projector.forward(self, x).detach()),
        ),
        Mistake(
            "features_detached",
            "The numbers are right, but no gradient reaches `features`: is there a `detach`, or a "
            "new tensor made of their numbers? The encoder in front of the projector is trained "
            "through it.",
            _projector(lambda self, x: _Projector.forward(self, x.detach())),
        ),
        Mistake(
            "draws_at_random",
            "Two calls with the same inputs return two results: is there a dropout? LLaVA's "
            "projector has none.",
            _projector(lambda self, x: F.dropout(_Projector.forward(self, x), 0.1)),
        ),
        Mistake(
            "leaves_training_mode",
            "After a call the projector, or a part of it, is in evaluation mode, in the middle of "
            "training. Leave `eval()` and `train()` to whoever trains it.",
            _projector(_leaving_training),
        ),
        Mistake(
            "changes_its_weights",
            "A call changes the projector's own weights, and only the optimiser may do that. "
            "Compute with them, and write nothing into `.data` or into a parameter.",
            _projector(_writing),
        ),
    ],
    hints=[
        "Three steps: a linear layer, a bend, a linear layer. Each vector goes through alone.",
        "`self.linear_1(features)` has shape `(B, N, d_model)` already. `F.gelu` keeps it, and so "
        "does `self.linear_2`.",
        "`F.gelu(self.linear_1(features))`, and then through the other layer.",
    ],
)
