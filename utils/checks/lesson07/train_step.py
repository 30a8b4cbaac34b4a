"""Exercise 7.5, `train_step`: its oracle, inputs, mistakes and hints."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.engine.compare import Seen, is_tensor
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.lesson07.common import (
    TRAINED,
    known_model,
    seen_number,
    tokens,
)


def _loss(logits, y):
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def _clip(model, max_norm):
    return nn.utils.clip_grad_norm_(model.parameters(), max_norm)


def _train_step(model, optimizer, x, y, max_norm):
    optimizer.zero_grad()
    loss = _loss(model(x), y)
    loss.backward()
    _clip(model, max_norm)
    optimizer.step()
    return loss.item()


def _step(
    forget=lambda model: model.zero_grad(),
    loss_of=lambda model, x, y: _loss(model(x), y),
    clip=_clip,
    step=lambda model, optimizer: optimizer.step(),
    end=lambda model, x, y, loss, clipped: loss.item(),
):
    """One step with a part of it replaced."""

    def mutant(model, optimizer, x, y, max_norm):
        forget(model)
        loss = loss_of(model, x, y)
        loss.backward()
        clipped = clip(model, max_norm)
        step(model, optimizer)
        return end(model, x, y, loss, clipped)

    return mutant


def _each_alone(model, max_norm):
    for parameter in model.parameters():
        nn.utils.clip_grad_norm_(parameter, max_norm)


def _always_scaled(model, max_norm):
    norm = nn.utils.get_total_norm([p.grad for p in model.parameters()])
    for parameter in model.parameters():
        parameter.grad.mul_(max_norm / norm)


def _twice(model, optimizer):
    optimizer.step()
    optimizer.step()


def _by_hand(model, optimizer):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= optimizer.param_groups[0]["lr"] * parameter.grad


def _without_dropout(model, x, y):
    model.eval()
    loss = _loss(model(x), y)
    model.train()
    return loss


def _left_in_evaluation(model, x, y, loss, clipped):
    model.eval()
    return loss.item()


def _evaluation_from_the_start(model, x, y):
    model.eval()
    return _loss(model(x), y)


def _forgotten_at_the_end(model, x, y, loss, clipped):
    model.zero_grad()
    return loss.item()


@torch.no_grad()
def _loss_afterwards(model, x, y, loss, clipped):
    return _loss(model(x), y).item()


_OPTIMIZERS = {
    "torch.optim.SGD(model.parameters(), lr=0.5)": lambda model: torch.optim.SGD(
        model.parameters(), lr=0.5
    ),
    "torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)": lambda model: torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9
    ),
    "torch.optim.AdamW with two groups, one without weight decay": lambda model: torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.1},
            {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=0.02,
        eps=1e-4,
    ),
}
_SGD, _MOMENTUM, _ADAMW = _OPTIMIZERS


def _several_steps(answer, build, optimizer, batches, max_norm, stale):
    """The losses of several steps in a row, and the weights after each."""
    model = known_model(*build)
    optimizer = _OPTIMIZERS[optimizer](model)
    for i, parameter in enumerate(model.parameters()):
        parameter.grad = normal(50 + i, *parameter.shape) if stale else None
    found, returned = {}, []
    for k, (x, y) in enumerate(batches, start=1):
        torch.manual_seed(k)  # for the dropout
        expected = _expected_loss(model, x, y, k)
        loss = answer(model, optimizer, x, y, max_norm)
        if k == 1 and loss is not None:
            first = seen_number(loss, expected)
            if not isinstance(first, Seen):
                return first
            found |= first
        returned.append(loss)
        if k > 1:
            value = loss.item() if is_tensor(loss) and loss.ndim == 0 else loss
            found[f"loss returned at step {k}"] = value
        for name, parameter in model.named_parameters():
            found[f"{name} after step {k}"] = parameter.detach().clone()
        found[f"all in training mode after step {k}"] = all(m.training for m in model.modules())
        model.train()
    return None if all(loss is None for loss in returned) else Seen({"result": None} | found)


def _expected_loss(model, x, y, seed):
    """The loss that this step should return; nothing of the model or the random state changes."""
    modes = {module: module.training for module in model.modules()}
    with torch.random.fork_rng(), torch.no_grad():
        loss = _loss(model.train()(x), y).item()
    for module, mode in modes.items():
        module.training = mode
    return loss


def _case(seed, build, optimizer, shapes, max_norm, stale=False):
    batches = [
        (tokens(seed + 10 * i, build[0], *shape), tokens(seed + 10 * i + 1, build[0], *shape))
        for i, shape in enumerate(shapes)
    ]
    calls = "one call" if len(shapes) == 1 else f"{len(shapes)} calls"
    label = f"{calls} of train_step(model, optimizer, x, y, max_norm={max_norm}),\n"
    label += f"where optimizer = {optimizer},\nmodel is an embedding of {build[0]} tokens"
    label += f"{f', a dropout of {build[2]}' if len(build) > 2 else ''} and a linear layer,\n"
    label += f"and x and y have the shapes {', '.join(map(str, shapes))}"
    label += "; gradients of something else are left in the model" if stale else ""
    return Case(build, optimizer, batches, max_norm, stale, label=label)


train_step = Exercise(
    number="7.5",
    name="train_step",
    oracle=_train_step,
    compared_with="`F.cross_entropy`, `clip_grad_norm_` and the optimizer itself",
    probe=_several_steps,
    tolerance=TRAINED,
    cases=lambda: [
        _case(1, (7, 4), _SGD, [(2, 3), (3, 2), (2, 3)], 0.25, stale=True),
        _case(2, (7, 4), _SGD, [(2, 3)], 0.25),
        _case(3, (5, 3), _SGD, [(1, 1), (1, 2)], 100.0),
        _case(4, (6, 4), _MOMENTUM, [(3, 4), (2, 5), (3, 4), (4, 1)], 1e6),
        _case(5, (6, 4), _MOMENTUM, [(3, 4)] * 4, 0.1, stale=True),
        _case(6, (9, 5), _ADAMW, [(2, 6), (4, 3), (2, 6)], 0.05, stale=True),
        _case(7, (9, 5), _ADAMW, [(2, 6), (4, 3)], math.inf),
        _case(8, (8, 16, 0.5), _SGD, [(2, 5), (3, 4), (2, 5)], 0.5),
        _case(9, (70_000, 2), _SGD, [(2, 3)], 0.1),
    ],
    mistakes=[
        Mistake(
            "old_gradients_kept",
            "Gradients left from before are added to the new ones: `backward` adds up. Begin with "
            "`optimizer.zero_grad()`.",
            _step(forget=lambda model: None),
        ),
        Mistake(
            "forgotten_at_the_end_only",
            "You forget the gradients at the end of a step only, so what was in the model before "
            "the first step is still counted. Begin with `optimizer.zero_grad()`.",
            _step(forget=lambda model: None, end=_forgotten_at_the_end),
        ),
        Mistake(
            "nothing_learned",
            "The weights are the same after the step as before. Are `loss.backward()` and "
            "`optimizer.step()` there, with their brackets, and `zero_grad` *before* both?",
            _step(step=lambda model, optimizer: None),
        ),
        Mistake(
            "not_clipped",
            "The gradients are not clipped when the optimizer uses them. Call "
            "`nn.utils.clip_grad_norm_(model.parameters(), max_norm)` between `backward` and "
            "`step`.",
            _step(clip=lambda model, max_norm: None),
        ),
        Mistake(
            "each_parameter_clipped_alone",
            "You clip every parameter on its own, which turns the step into another direction. One "
            "call with `model.parameters()` takes all of them together.",
            _step(clip=_each_alone),
        ),
        Mistake(
            "values_clipped",
            "You cut off single numbers (`clip_grad_value_`). It is the length of all gradients "
            "together that may be at most `max_norm`: `clip_grad_norm_`.",
            _step(clip=lambda model, m: nn.utils.clip_grad_value_(model.parameters(), m)),
        ),
        Mistake(
            "always_scaled",
            "You bring the gradients to length `max_norm` even where they are shorter. Clipping "
            "only ever makes them shorter.",
            _step(clip=_always_scaled),
        ),
        Mistake(
            "max_norm_not_used",
            "You clip at 1, whatever `max_norm` says. Pass it on.",
            _step(clip=lambda model, max_norm: _clip(model, 1.0)),
        ),
        Mistake(
            "two_steps",
            "You take two steps of the optimizer. One is enough.",
            _step(step=_twice),
        ),
        Mistake(
            "step_by_hand",
            "You subtract the gradient yourself. The optimizer has a memory and rules of its own: "
            "`optimizer.step()`.",
            _step(step=_by_hand),
        ),
        Mistake(
            "uphill",
            "Your loss has a minus too many, so the step goes uphill and the true loss would grow.",
            _step(loss_of=lambda model, x, y: -_loss(model(x), y)),
        ),
        Mistake(
            "loss_after_the_step",
            "You return the loss *after* the step, which takes a second pass through the model. "
            "Return the one that you have computed already.",
            _step(end=_loss_afterwards),
        ),
        Mistake(
            "length_of_the_gradient_returned",
            "You return what `clip_grad_norm_` gives, the length of the gradients. Return the "
            "loss.",
            _step(end=lambda model, x, y, loss, clipped: clipped.item()),
        ),
        Mistake(
            "perplexity_returned",
            "You return the exponential of the loss. Return the loss itself.",
            _step(end=lambda model, x, y, loss, clipped: math.exp(loss.item())),
        ),
        Mistake(
            "returns_tensor",
            "You return the loss as a tensor, and with it all that the way back needs, which fills "
            "the memory. `loss.item()` is the bare number.",
            _step(end=lambda model, x, y, loss, clipped: loss),
        ),
        Mistake(
            "sum_for_mean",
            "The loss is added up over all positions. It is their mean, as in `lm_loss`.",
            _step(loss_of=lambda model, x, y: _loss(model(x), y) * y.numel()),
        ),
        Mistake(
            "inputs_for_targets",
            "You compare the model's output with `x`, so it learns to copy. The targets are `y`.",
            _step(loss_of=lambda model, x, y: _loss(model(x), x)),
        ),
        Mistake(
            "inputs_and_targets_swapped",
            "`x` and `y` are swapped: the model reads `x` and predicts `y`.",
            _step(loss_of=lambda model, x, y: _loss(model(y), x)),
        ),
        Mistake(
            "shifted_again",
            "You shift the targets once more. `get_batch` has done it: `y[b, t]` is the token "
            "after position t already.",
            _step(loss_of=lambda model, x, y: _loss(model(x)[:, :-1], y[:, 1:])),
        ),
        Mistake(
            "softmax_first",
            "You take a softmax of the logits first. `lm_loss` does it itself.",
            _step(loss_of=lambda model, x, y: _loss(model(x).softmax(-1), y)),
        ),
        Mistake(
            "without_dropout",
            "You put the model into evaluation mode for the step, and so train it without its "
            "dropout. It is in training mode: leave it there.",
            _step(loss_of=_without_dropout),
        ),
        Mistake(
            "evaluation_mode",
            "You put the model into evaluation mode, and it stays there, without dropout. It is in "
            "training mode: leave it there.",
            _step(loss_of=_evaluation_from_the_start),
        ),
        Mistake(
            "left_in_evaluation_mode",
            "The step is right, but afterwards the model is in evaluation mode, so that the next "
            "one trains without dropout. Leave out `model.eval()`.",
            _step(end=_left_in_evaluation),
        ),
    ],
    hints=[
        "Five things in this order: forget, loss, backward, clip, step. Then return the loss.",
        "`optimizer.zero_grad()` forgets; `nn.utils.clip_grad_norm_(model.parameters(), max_norm)` "
        "clips, after `loss.backward()` and before `optimizer.step()`.",
        "`loss = lm_loss(model(x), y)` is computed once; at the end return `loss.item()`.",
    ],
)
