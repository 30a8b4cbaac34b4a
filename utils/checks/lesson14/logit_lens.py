"""Exercise 14.2, `logit_lens`: its oracle, inputs, mistakes and hints."""

import copy

import torch
import torch.nn.functional as F

from utils.checks.engine.compare import ChangesInput, Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.lesson14.common import CLOSE, D_MODEL, tiny, untouched


def _logit_lens(model, hidden):
    norm = model.model.norm
    normed = F.rms_norm(hidden, hidden.shape[-1:], norm.weight, norm.variance_epsilon)
    return F.linear(normed, model.lm_head.weight)


def _read(of):
    return lambda model, hidden: of(model, hidden, model.model.norm, model.lm_head)


def _layer_norm(m, x, norm, head):
    return head(F.layer_norm(x, x.shape[-1:], norm.weight, None, norm.variance_epsilon))


def _last_layer_left_alone(m, x, norm, head):
    """For (n_layers, ...) as `activations` gives it, as if its last entry were normed already."""
    if x.ndim < 2:
        return head(norm(x))
    return head(torch.cat([norm(x[:-1]), x[-1:]]))


def _probe(answer, hidden):
    model = tiny()
    before = copy.deepcopy(model)
    given = hidden.clone()
    with torch.no_grad():
        out = answer(model, given)
    if not torch.equal(given, hidden):
        raise ChangesInput
    if not isinstance(out, torch.Tensor):
        return out
    return Seen({"result": out, "the model": untouched(model, before)})


def _case(seed, *shape, size=1.0):
    text = ", ".join(map(str, (*shape, D_MODEL)))
    label = f"logit_lens(model, {size} * torch.randn({text}))"
    return Case(size * normal(seed, *shape, D_MODEL), label=label)


logit_lens = Exercise(
    number="14.2",
    name="logit_lens",
    oracle=_logit_lens,
    compared_with="`F.rms_norm` and `F.linear` with the model's weights",
    probe=_probe,
    tolerance=CLOSE,
    cases=lambda: [
        _case(1, 3, 2, 5),
        _case(2),
        _case(3, 4, size=8.0),
        _case(4, 2, 3, size=0.1),
        _case(5, 3, 1, 1),
        _case(6, 1, 2, 3, 4),
    ],
    mistakes=[
        Mistake(
            "norm_skipped",
            "The final norm is left out. The stream grows from layer to layer, and the head was "
            "trained on what the norm makes of it.",
            _read(lambda m, x, norm, head: head(x)),
        ),
        Mistake(
            "normed_twice",
            "The final norm is applied twice.",
            _read(lambda m, x, norm, head: head(norm(norm(x)))),
        ),
        Mistake(
            "norm_after_the_head",
            "The norm comes before the head, as at the end of the model.",
            _read(lambda m, x, norm, head: F.rms_norm(head(x), (head.out_features,))),
        ),
        Mistake(
            "norm_without_its_weights",
            "You bring the states to size 1, but without the norm's weights: use the model's own "
            "norm, `model.model.norm`.",
            _read(lambda m, x, norm, head: head(F.rms_norm(x, x.shape[-1:], eps=1e-5))),
        ),
        Mistake(
            "mean_taken_off",
            "Your norm takes off the mean. This model's, RMSNorm, does not (lesson 8): use "
            "`model.model.norm`.",
            _read(_layer_norm),
        ),
        Mistake(
            "norm_of_a_block",
            "That is the norm at the entrance of a block. The final one is `model.model.norm`.",
            _read(lambda m, x, norm, head: head(m.model.layers[-1].input_layernorm(x))),
        ),
        Mistake(
            "last_one_left_alone",
            "You take the last layer's states for normed. As `activations` gives them they are "
            "not: all go through the norm.",
            _read(_last_layer_left_alone),
        ),
        Mistake(
            "probabilities",
            "You return probabilities. Asked for are the logits.",
            _read(lambda m, x, norm, head: head(norm(x)).softmax(-1)),
        ),
        Mistake(
            "log_probabilities",
            "You return log-probabilities. Asked for are the logits.",
            _read(lambda m, x, norm, head: head(norm(x)).log_softmax(-1)),
        ),
        Mistake(
            "likeliest_tokens",
            "You return the likeliest token. Asked for are the logits of all tokens.",
            _read(lambda m, x, norm, head: head(norm(x)).argmax(-1)),
        ),
        Mistake(
            "last_position_only",
            "Only the last position comes out. Keep every axis but the last as it is.",
            _read(lambda m, x, norm, head: head(norm(x if x.ndim < 2 else x[..., -1, :]))),
        ),
        Mistake(
            "normalised_over_everything",
            "Your norm takes its mean over all positions. Each position has its own: over the last "
            "axis.",
            _read(lambda m, x, norm, head: head(norm.weight * x / (x.pow(2).mean() + 1e-5).sqrt())),
        ),
    ],
    hints=[
        "It is what the model does at its own end: `model.model.norm`, then `model.lm_head`.",
        "Both work on the last axis, whatever stands before it.",
    ],
)
