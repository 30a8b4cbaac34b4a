"""Exercise 15.2, `SequenceClassifier`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F
from transformers import ViTConfig, ViTForImageClassification

from utils.checks.engine.compare import Raised, Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import call_text, made, normal
from utils.checks.engine.probes import in_training
from utils.checks.lesson15.common import MODULES
from utils.checks.lesson15.sequence_classifier_mutants import (
    Given,
    class_token_behind,
    classifier,
    words_with_positions,
)


class _SequenceClassifier(Given):
    """Hugging Face's ViT on the learner's parameters: a row of N pixels with d_in channels."""

    def __init__(
        self, d_in, length, n_classes, d_model=64, n_heads=4, n_layers=2, d_ff=128, dropout=0.0
    ):
        super().__init__(d_in, length, n_classes, d_model, n_heads, n_layers, d_ff, dropout)
        config = ViTConfig(
            image_size=(1, length),
            patch_size=(1, 1),
            num_channels=d_in,
            hidden_size=d_model,
            num_attention_heads=n_heads,
            num_hidden_layers=n_layers,
            intermediate_size=d_ff,
            hidden_act="gelu",
            layer_norm_eps=1e-5,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            num_labels=n_classes,
        )
        with torch.device("meta"):  # it has no weights of its own
            self._vit = (ViTForImageClassification(config),)  # in a tuple: not registered

    def _weights(self):
        """The learner's parameters under the names that they have in the ViT."""
        patches = "vit.embeddings.patch_embeddings.projection"
        modules = {"vit.layernorm": self.norm, "classifier": self.head}
        weights = {
            "vit.embeddings.cls_token": self.cls,
            "vit.embeddings.position_embeddings": self.position,
            f"{patches}.weight": self.embed.weight[..., None, None],
            f"{patches}.bias": self.embed.bias,
        }
        for i, layer in enumerate(self.encoder.layers):
            name, attention = f"vit.layers.{i}", layer.self_attn
            modules |= {
                f"{name}.layernorm_before": layer.norm1,
                f"{name}.layernorm_after": layer.norm2,
                f"{name}.mlp.fc1": layer.linear1,
                f"{name}.mlp.fc2": layer.linear2,
                f"{name}.attention.o_proj": attention.out_proj,
            }
            parts = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
            for letter, weight, bias in zip("qkv", *parts, strict=True):
                weights[f"{name}.attention.{letter}_proj.weight"] = weight
                weights[f"{name}.attention.{letter}_proj.bias"] = bias
        for name, module in modules.items():
            weights |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
        return weights

    def forward(self, tokens):
        (vit,) = self._vit
        vit.train(self.training)
        pixels = tokens.transpose(1, 2)[:, :, None]  # (B, d_in, 1, N)
        return torch.func.functional_call(vit, self._weights(), (pixels,)).logits


def _classified(cls, build, tokens, training=True):
    """The logits with known weights; in training (without dropout) what is learned as well."""
    model = made(cls, build, Given)
    weights = [p.detach().clone() for p in model.parameters()]
    if training:
        found = in_training(model, tokens)
    else:
        with torch.no_grad():
            found, still = model(tokens.clone()), not model.training
    if not isinstance(found, Seen | torch.Tensor):
        return found
    if not all(map(torch.equal, weights, model.parameters())):
        return Seen({"weights after a call": "changed", "result": torch.zeros(())})
    with torch.no_grad():
        if not _one_result(model.train(training), tokens):
            return Seen(_GOOD | {_TWICE: "two results", "result": torch.zeros(())})
    if not training:
        return Seen(_GOOD | {"result": found, "still in evaluation mode": still})
    found["still in training mode"] = not found.pop("modules no longer in training mode")
    with torch.no_grad():
        found["called again, with one row"] = _result_of(model, tokens[:1])
        for parameter in model.parameters():
            parameter.mul_(0.8)
        found["called again, after its weights have changed"] = _result_of(model, tokens)
    return Seen(_GOOD | found)


_TWICE = "two calls with the same tokens"
_GOOD = {"weights after a call": "as before", _TWICE: "one result"}


def _one_result(model, tokens):
    """False if chance plays a part: a dropout where there is none, or in evaluation."""
    many = tokens.repeat(16, 1, 1)
    results = [_result_of(model, many) for _ in range(2)]
    tensors = all(isinstance(result, torch.Tensor) for result in results)
    return not tensors or torch.allclose(*results, rtol=1e-3, atol=1e-4, equal_nan=True)


def _result_of(model, tokens):
    try:
        return model(tokens.clone())
    except Exception as error:
        return Raised(error)


def _classifier_case(seed, B, training=True, **build):
    build |= {"dropout": 0.0 if training else 0.5}
    shape = B, build["length"], build["d_in"]
    label = f"{call_text('SequenceClassifier', build)}\nin "
    label += "training" if training else "evaluation"
    label += f", with weights of the check's own, on tokens of shape {shape}"
    return Case(build, normal(seed, *shape), training, label=label)


SequenceClassifier = Exercise(
    number="15.2",
    name="SequenceClassifier",
    oracle=_SequenceClassifier,
    compared_with="Hugging Face's `ViTForImageClassification` with your weights",
    probe=_classified,
    tolerance=MODULES,
    cases=lambda: [
        _classifier_case(1, 2, d_in=3, length=5, n_classes=4, d_model=8, n_heads=2, d_ff=6),
        _classifier_case(2, 3, False, d_in=6, length=4, n_classes=2, d_model=8, n_heads=4, d_ff=5),
        _classifier_case(
            3, 4, d_in=4, length=3, n_classes=4, d_model=4, n_heads=2, n_layers=1, d_ff=4
        ),
        _classifier_case(
            4, 1, d_in=2, length=2, n_classes=3, d_model=4, n_heads=1, n_layers=1, d_ff=4
        ),
        _classifier_case(
            5, 3, d_in=5, length=1, n_classes=2, d_model=6, n_heads=3, n_layers=3, d_ff=7
        ),
        _classifier_case(6, 2, False, d_in=4, length=16, n_classes=10),
    ],
    mistakes=[
        Mistake(
            "no_positions",
            "`self.position` is not used. Without it the encoder cannot tell one order of the "
            "tokens from another: add it to the sequence, class token included, before the "
            "encoder.",
            classifier(sequence=lambda self, x: torch.cat([self.classes(x), x], dim=1)),
        ),
        Mistake(
            "class_token_last",
            "The class token stands behind the tokens. Put it in front, `torch.cat([cls, x], "
            "dim=1)`, where `self.position` has a place for it and `x[:, 0]` reads it.",
            classifier(sequence=class_token_behind, read=lambda self, x: self.norm(x[:, -1])),
        ),
        Mistake(
            "class_token_last_but_first_read",
            "The class token stands behind the tokens, and then you read `x[:, 0]`, which is the "
            "first token of the input. Put the class token in front: `torch.cat([cls, x], dim=1)`.",
            classifier(sequence=class_token_behind),
        ),
        Mistake(
            "last_token_read",
            "You read the last token. The answer is collected by the class token, which stands in "
            "front: `x[:, 0]`.",
            classifier(read=lambda self, x: self.norm(x[:, -1])),
        ),
        Mistake(
            "first_word_read",
            "You read `x[:, 1]`, the first token of the input. The class token has place 0: "
            "`x[:, 0]`.",
            classifier(read=lambda self, x: self.norm(x[:, 1])),
        ),
        Mistake(
            "mean_of_all_tokens",
            "You take the mean of all tokens. That works too, in other models; here the class "
            "token alone is read: `x[:, 0]`.",
            classifier(read=lambda self, x: self.norm(x.mean(1))),
        ),
        Mistake(
            "mean_after_the_norm",
            "You normalise all tokens and take the mean of them (or of their logits). That works "
            "too, in other models; here the class token alone is read: `x[:, 0]`.",
            classifier(read=lambda self, x: self.norm(x).mean(1)),
        ),
        Mistake(
            "mean_without_the_class_token",
            "You take the mean of the input's tokens and leave out the class token. It is the "
            "class token that is read: `x[:, 0]`.",
            classifier(read=lambda self, x: self.norm(x[:, 1:].mean(1))),
        ),
        Mistake(
            "no_class_token",
            "`self.cls` is not used, and `x[:, 0]` is then the first token of the input. Put "
            "`self.cls.expand(len(x), -1, -1)` in front of the tokens with `torch.cat`.",
            classifier(sequence=lambda self, x: x + self.position[:, 1:]),
        ),
        Mistake(
            "zeros_for_the_class_token",
            "A row of zeros stands in the class token's place, and `self.cls` is not used. Put "
            "the learned one there: `self.cls.expand(len(x), -1, -1)`.",
            classifier(classes=lambda self, x: torch.zeros_like(x[:, :1])),
        ),
        Mistake(
            "class_token_without_position",
            "Only the input's tokens get a position. The class token has one too, the first: put "
            "it in front *before* you add `self.position`.",
            classifier(sequence=words_with_positions(1, None)),
        ),
        Mistake(
            "positions_off_by_one",
            "The first position goes to the first token of the input. It belongs to the class "
            "token: put that in front *before* you add the whole of `self.position`.",
            classifier(sequence=words_with_positions(0, -1)),
        ),
        Mistake(
            "positions_twice",
            "The positions are added twice. Add `self.position` once, to the whole sequence, "
            "class token included.",
            classifier(
                sequence=lambda self, x: torch.cat([self.classes(x), x], 1) + 2 * self.position
            ),
        ),
        Mistake(
            "positions_after_the_encoder",
            "The positions come too late: the encoder has not seen them. Add `self.position` "
            "before it.",
            classifier(
                sequence=lambda self, x: torch.cat([self.classes(x), x], 1),
                encode=lambda self, x: self.encoder(x) + self.position,
            ),
        ),
        Mistake(
            "class_token_sees_no_other",
            "Every input gets the same answer: in the encoder the class token sees no token of "
            "its own sequence. It was made with `batch_first=True`, so it takes `(B, 1 + N, "
            "d_model)`, without a `transpose`; and there is no causal mask here.",
            classifier(encode=lambda self, x: self.encoder(x.transpose(0, 1)).transpose(0, 1)),
        ),
        Mistake(
            "encoder_skipped",
            "The tokens never go through `self.encoder`, so the class token knows nothing of them "
            "and every input gets the same answer.",
            classifier(encode=lambda self, x: x),
        ),
        Mistake(
            "no_final_norm",
            "`self.norm` is not used. In a pre-norm encoder nothing has normalised the sum that "
            "comes out at the end: apply `self.norm` before `self.head`.",
            classifier(read=lambda self, x: x[:, 0]),
        ),
        Mistake(
            "norm_before_the_encoder",
            "You normalise before the encoder. `self.norm` is the last step before `self.head`: "
            "inside the encoder each layer has norms of its own.",
            classifier(
                encode=lambda self, x: self.encoder(self.norm(x)), read=lambda self, x: x[:, 0]
            ),
        ),
        Mistake(
            "head_on_every_token",
            "Every token gets logits. The whole sequence gets one answer, `(B, n_classes)`: read "
            "the class token, `x[:, 0]`, before the head.",
            classifier(read=lambda self, x: self.norm(x)),
        ),
        Mistake(
            "axis_kept",
            "The numbers are right, but there is an axis too many: `x[:, :1]` keeps the axis of "
            "the tokens. With `x[:, 0]` the logits are `(B, n_classes)`.",
            classifier(read=lambda self, x: self.norm(x[:, :1])),
        ),
        Mistake(
            "softmax_at_the_end",
            "You return probabilities. `F.cross_entropy` wants the logits and takes the softmax "
            "itself: return what `self.head` gives.",
            classifier(finish=lambda self, logits: logits.softmax(-1)),
        ),
        Mistake(
            "log_softmax_at_the_end",
            "You return logarithms of probabilities. `F.cross_entropy` wants the logits: return "
            "what `self.head` gives.",
            classifier(finish=lambda self, logits: logits.log_softmax(-1)),
        ),
        Mistake(
            "class_for_logits",
            "You return the number of the best class. No gradient passes through an `argmax`: "
            "return the logits, `(B, n_classes)`.",
            classifier(finish=lambda self, logits: logits.argmax(-1)),
        ),
        Mistake(
            "dropout_of_your_own",
            "There is chance in your `forward`, even with `dropout=0.0`. Is there a dropout of "
            "your own? The encoder's layers have theirs.",
            classifier(finish=lambda self, logits: F.dropout(logits, 0.5, self.training)),
        ),
        Mistake(
            "dropout_in_evaluation",
            "In evaluation, too, two calls with the same tokens give two results. What in your "
            "`forward` draws by lot: an `F.dropout` without `self.training`, a `torch.randn`? "
            "Leave it out: the encoder's layers have their dropout.",
            classifier(finish=lambda self, logits: F.dropout(logits, 0.5)),
        ),
        Mistake(
            "weights_changed",
            "Your `forward` changes the model's own weights. Is there a `.data`, a `copy_` or an "
            "operation in place on a parameter? Make a new tensor: only the optimizer changes "
            "weights.",
            classifier(encode=lambda self, x: self.encoder(x + 0 * self.position.data.mul_(0.9))),
        ),
        Mistake(
            "training_in_forward",
            "Your `forward` puts the model into training mode, and in evaluation dropout stays on. "
            "Leave out `self.train()`: whoever uses the model sets its mode.",
            classifier(encode=lambda self, x: self.train().encoder(x)),
        ),
        Mistake(
            "evaluation_in_forward",
            "Your `forward` puts the model into evaluation mode, and from then on it trains "
            "without dropout. Leave out `self.eval()`: whoever uses the model sets its mode.",
            classifier(encode=lambda self, x: self.eval().encoder(x)),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but the weights would not learn: is there a `detach`, a "
            "`.data` or a `no_grad`?",
            classifier(finish=lambda self, logits: logits.detach()),
        ),
    ],
    hints=[
        "Five steps: embed the tokens, put the class token in front, add the positions, encode, "
        "and read the class token. `self.norm` and `self.head` come last.",
        "`self.cls` has shape `(1, 1, d_model)`, and each sequence of the batch needs it: "
        "`self.cls.expand(len(x), -1, -1)` has shape `(B, 1, d_model)`.",
        "`x = torch.cat([…, x], dim=1)` has shape `(B, 1 + N, d_model)`, as `self.position` has. "
        "After the encoder the class token is `x[:, 0]`.",
    ],
)
