"""Exercise 7.6, `perplexity`: its oracle, inputs, mistakes and hints."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson07.common import (
    TRAINED,
    LanguageModel,
    in_training_mode,
    known_model,
    seen_number,
    tokens,
)


def _losses(model, batches):
    """The loss of every target, one tensor of the shape of y for each batch."""
    return [F.cross_entropy(model(x).transpose(1, 2), y, reduction="none") for x, y in batches]


def _perplexity(model, batches):
    was = model.training
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(x).flatten(0, 1) for x, _ in batches])
    model.train(was)
    targets = torch.cat([y.flatten() for _, y in batches])
    return F.cross_entropy(logits, targets).exp().item()


def _all(losses):
    return torch.cat([loss.flatten() for loss in losses])


def _measured(
    combine=lambda losses: _all(losses).mean().exp(),
    before=lambda model: model.eval(),
    after=lambda model, was: model.train(was),
    gradients=False,
    batches_of=lambda batches: batches,
):
    """The measure with one step replaced."""

    def mutant(model, batches):
        was = model.training
        before(model)
        with torch.set_grad_enabled(gradients):
            losses = _losses(model, batches_of(batches))
        after(model, was)
        return float(combine(losses))

    return mutant


def _outermost_only(model):
    model.training = False


def _gradients_left_off(model, batches):
    was = model.training
    torch.set_grad_enabled(False)
    losses = _losses(model.eval(), batches)
    model.train(was)
    return _all(losses).mean().exp().item()


@torch.no_grad()
def _mode_put_back_too_soon(model, batches):
    was, losses = model.training, []
    model.eval()
    for batch in batches:
        losses += _losses(model, [batch])
        model.train(was)
    return _all(losses).mean().exp().item()


def _watched(answer, build, batches, training):
    """The perplexity, how the model was called, and how it was left."""
    model = build()
    expected = _perplexity(model.train(training), batches)
    model.calls.clear()
    torch.manual_seed(0)
    try:
        got = answer(model, batches)
    finally:
        still_on = torch.is_grad_enabled()
        torch.set_grad_enabled(True)
    found = seen_number(got, expected)
    if not isinstance(found, Seen):
        return found
    afterwards = in_training_mode(model)
    by_hand = sorted({name for names, _ in model.calls for name in names})
    return Seen(
        found
        | {
            "in training mode while the model was called": by_hand,
            "PyTorch remembers the way back": any(back for _, back in model.calls),
            "in training mode afterwards": afterwards,
            "gradients switched on afterwards": still_on,
            "parameters that learn": sum(p.requires_grad for p in model.parameters()),
            "gradients in the model": sum(p.grad is not None for p in model.parameters()),
        }
    )


class _Table(LanguageModel):
    """A model with known losses: token 0 leaves the next one at 1/2, token 1 at 1/4."""

    def __init__(self):
        super().__init__(4, 4)
        table = torch.tensor([[1 / 2, 1 / 6, 1 / 6, 1 / 6], [0.25] * 4, [0.25] * 4, [0.25] * 4])
        with torch.no_grad():
            self.tokens.weight.copy_(table.log())
            self.out.weight.copy_(torch.eye(4))
            self.out.bias.zero_()


def _by_hand_case(training):
    batches = [(torch.tensor([[0]]), torch.tensor([[0]]))]
    batches.append((torch.tensor([[1, 1, 1]]), torch.tensor([[0, 2, 3]])))
    label = "perplexity of two batches, one with 1 target and loss ln 2,\n"
    label += "one with 3 targets and loss ln 4 each, " + _mode(training)
    return Case(_Table, batches, training, label=label)


def _mode(training):
    return f"of a model in {'training' if training else 'evaluation'} mode"


def _uniform(vocab_size):
    model = LanguageModel(vocab_size, 2)
    for parameter in model.out.parameters():
        nn.init.zeros_(parameter)
    return model


def _case(seed, vocab_size, shapes, training, d_model=6, dropout=0.5, uniform=False):
    batches = [
        (tokens(seed + 10 * i, vocab_size, *shape), tokens(seed + 10 * i + 1, vocab_size, *shape))
        for i, shape in enumerate(shapes)
    ]
    label = f"perplexity(model, batches): batches of the shapes {', '.join(map(str, shapes))},\n"
    label += f"{_mode(training)}, with {vocab_size} tokens"
    label += " that are all equally likely to it" if uniform else f" and a dropout of {dropout}"
    build = lambda: (  # noqa: E731
        _uniform(vocab_size) if uniform else known_model(vocab_size, d_model, dropout)
    )
    return Case(build, batches, training, label=label)


perplexity = Exercise(
    number="7.6",
    name="perplexity",
    oracle=_perplexity,
    compared_with="`F.cross_entropy` on all targets at once",
    probe=_watched,
    tolerance=TRAINED,
    cases=lambda: [
        _case(1, 9, [(2, 3), (1, 7), (4, 2)], training=True),
        _by_hand_case(training=True),
        _by_hand_case(training=False),
        _case(2, 7, [(2, 4), (3, 1)], training=False, uniform=True),
        _case(3, 9, [(2, 3), (1, 7), (4, 2)], training=False),
        _case(4, 12, [(3, 5)], training=True),
        _case(5, 5, [(1, 1), (1, 1), (2, 9)], training=False, dropout=0.0),
        _case(6, 30, [(8, 16), (8, 16), (3, 16), (1, 2)], training=True, dropout=0.1),
        _case(7, 70_000, [(2, 3), (1, 2)], training=False, d_model=2),
    ],
    mistakes=[
        Mistake(
            "mean_of_the_batches",
            "You take the mean of the batches' means, so a batch of few tokens counts as much as "
            "one of many. Add up all losses and divide by the number of all targets.",
            _measured(combine=lambda losses: torch.stack([x.mean() for x in losses]).mean().exp()),
        ),
        Mistake(
            "mean_of_perplexities",
            "You take each batch's perplexity and then their mean. `exp` comes once, at the end, "
            "of the mean loss over all targets.",
            _measured(combine=lambda losses: torch.stack([x.mean().exp() for x in losses]).mean()),
        ),
        Mistake(
            "exp_of_each_loss",
            "You take `exp` of every token's loss, and then the mean. It is the other way round: "
            "`exp` of the mean loss.",
            _measured(combine=lambda losses: _all(losses).exp().mean()),
        ),
        Mistake(
            "weighted_by_rows",
            "You weight the batches by their number of rows. A longer row has more targets: weight "
            "by `y.numel()`.",
            _measured(
                combine=lambda losses: (
                    sum(x.mean() * len(x) for x in losses) / sum(map(len, losses))
                ).exp()
            ),
        ),
        Mistake(
            "divided_by_rows",
            "You add up the losses of all targets and divide by the number of rows. Divide by the "
            "number of targets, `y.numel()` of each batch.",
            _measured(combine=lambda losses: math.exp(_all(losses).sum() / sum(map(len, losses)))),
        ),
        Mistake(
            "divided_by_batches",
            "You add up the losses of all targets and divide by the number of batches. Divide by "
            "the number of targets, `y.numel()` of each batch.",
            _measured(combine=lambda losses: math.exp(_all(losses).sum() / len(losses))),
        ),
        Mistake(
            "means_over_targets",
            "You add up the batches' mean losses and divide by the number of targets. Multiply "
            "each mean by its `y.numel()` first.",
            _measured(
                combine=lambda losses: (sum(x.mean() for x in losses) / len(_all(losses))).exp()
            ),
        ),
        Mistake(
            "not_divided",
            "You take `exp` of the sum of all losses. Divide it by the number of targets first.",
            _measured(combine=lambda losses: math.exp(_all(losses).sum())),
        ),
        Mistake(
            "loss_returned",
            "You return the mean loss. The perplexity is `exp` of it.",
            _measured(combine=lambda losses: _all(losses).mean()),
        ),
        Mistake(
            "power_of_2",
            "You raise 2 to the power of the loss, which is in nats: the perplexity is `exp` of "
            "it.",
            _measured(combine=lambda losses: 2 ** _all(losses).mean()),
        ),
        Mistake(
            "upside_down",
            "You take `exp` of minus the mean loss, the probability that a token gets. The "
            "perplexity is `exp` of the loss itself.",
            _measured(combine=lambda losses: (-_all(losses).mean()).exp()),
        ),
        Mistake(
            "first_batch_only",
            "Only the first batch counts. Is the `return` inside the loop?",
            _measured(batches_of=lambda batches: batches[:1]),
        ),
        Mistake(
            "last_batch_only",
            "Only the last batch counts. Add to the total inside the loop: `total += …`.",
            _measured(batches_of=lambda batches: batches[-1:]),
        ),
        Mistake(
            "total_not_added_up",
            "You divide the last batch's losses by the number of all targets: add them up inside "
            "the loop, `total += …` in place of `total = …`.",
            _measured(combine=lambda losses: (losses[-1].sum() / len(_all(losses))).exp()),
        ),
        Mistake(
            "count_not_added_up",
            "You divide the losses of all batches by the number of the last one's targets: count "
            "inside the loop, `count += y.numel()`.",
            _measured(combine=lambda losses: math.exp(_all(losses).sum() / losses[-1].numel())),
        ),
        Mistake(
            "inputs_for_targets",
            "You compare the model's output with `x`. The targets are `y`.",
            _measured(batches_of=lambda batches: [(x, x) for x, _ in batches]),
        ),
        Mistake(
            "dropout_on",
            "The model is in training mode while you measure it, so its dropout throws numbers "
            "away. Call `model.eval()` first, and put the mode back at the end.",
            _measured(before=lambda model: None, after=lambda model, was: None),
        ),
        Mistake(
            "only_the_outermost_in_evaluation_mode",
            "You set `training` on the model alone, and the modules inside, dropout among them, "
            "keep their mode. `model.eval()` goes through all of them.",
            _measured(
                before=_outermost_only, after=lambda model, was: setattr(model, "training", was)
            ),
        ),
        Mistake(
            "left_in_evaluation_mode",
            "The number is right, but you leave the model in evaluation mode, and training would "
            "go on without dropout. Keep `was = model.training`, and put it back with "
            "`model.train(was)`.",
            _measured(after=lambda model, was: None),
        ),
        Mistake(
            "always_back_to_training_mode",
            "The number is right, but you always put the model into training mode afterwards, and "
            "it may have been in evaluation mode. Keep `was = model.training`, and put it back "
            "with `model.train(was)`.",
            _measured(after=lambda model, was: model.train()),
        ),
        Mistake(
            "mode_put_back_too_soon",
            "Only the first batch is measured in evaluation mode: you put the mode back inside the "
            "loop. Do it once, after the last batch.",
            _mode_put_back_too_soon,
        ),
        Mistake(
            "way_back_remembered",
            "The number is right, but PyTorch remembers the way back through the model, which "
            "takes memory and time. Call it inside `with torch.no_grad():`.",
            _measured(gradients=True),
        ),
        Mistake(
            "gradients_left_off",
            "The number is right, but gradients stay switched off, and nothing could be trained "
            "afterwards. `with torch.no_grad():` switches them on again at its end.",
            _gradients_left_off,
        ),
        Mistake(
            "returns_tensor",
            "The number is right, but in a tensor. `.item()` makes a Python number of it.",
            lambda model, batches: torch.tensor(_perplexity(model, batches)),
        ),
    ],
    hints=[
        "Go through the batches and keep two totals: the losses of all targets, and how many "
        "targets there were.",
        "`lm_loss` is a batch's mean: times `y.numel()` it is its sum. Call the model inside "
        "`with torch.no_grad():`, after `model.eval()`.",
        "Keep `was = model.training` before `model.eval()`, call `model.train(was)` after the "
        "loop, and return `math.exp(total / count)`.",
    ],
)
