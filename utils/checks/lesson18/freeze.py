"""Exercise 18.6, `freeze`: its oracle, inputs, mistakes and hints."""

import copy

import torch
from torch import nn

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import fill, same


def _freeze(model):
    return model.requires_grad_(False).eval()


def _frozen(parameters=lambda model: model.parameters(), mode=lambda model: model.eval()):
    """Freezing with one step replaced."""

    def mutant(model):
        for parameter in parameters(model):
            parameter.requires_grad_(False)
        mode(model)
        return model

    return mutant


def _own_and_childrens(model):
    for module in (model, *model.children()):
        yield from module.parameters(recurse=False)


def _of_linear_layers(model):
    for module in model.modules():
        if isinstance(module, nn.Linear):
            yield from module.parameters()


def _weights_only(model):
    return (p for name, p in model.named_parameters() if "weight" in name)


def _only_the_top(model):
    model.training = False


def _turned_over(model):
    for parameter in model.parameters():
        parameter.requires_grad = not parameter.requires_grad
    return model.eval()


def _if_the_first_learns(model):
    if next(model.parameters()).requires_grad:
        model.requires_grad_(False)
    return model.eval()


def _not_returned(model):
    _freeze(model)


def _cut_off(model):
    model.forward = torch.no_grad()(model.forward)
    return _freeze(model)


class _Mixed(nn.Module):
    """A parameter of its own, and modules inside modules."""

    def __init__(self):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(3))
        self.first = nn.Linear(3, 4)
        self.rest = nn.Sequential(nn.LayerNorm(4), nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2)))

    def forward(self, x):
        return self.rest(self.first(x + self.start))


def _with_batch_norm():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1))


def _after_freezing(answer, build, width, trained=True, frozen=()):
    """What can be seen of a model after it was frozen."""
    model = fill(build()).train(trained)
    for name, part in [*model.named_parameters(), *model.named_modules()]:
        if name in frozen and isinstance(part, nn.Module):
            part.training = False
        elif name in frozen:
            part.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    returned = answer(model)
    said = f"a {type(returned).__name__}"
    if returned is None:
        said = "nothing: is the `return` missing?"
    elif isinstance(returned, nn.Module):
        said = "the model itself" if returned is model else "another model"
    after = model.state_dict()
    changed = [n for n in before if n not in after or not same(before[n], after[n])]
    if changed:  # in another dtype it could not be called as before
        return "a model whose weights have changed: other numbers, or another dtype"
    found = {
        "result": said,
        "parameters that still learn": [n for n, p in model.named_parameters() if p.requires_grad],
        "modules in training mode": [n or "all" for n, m in model.named_modules() if m.training],
    }
    x = normal(1, 4, width).requires_grad_()
    out = (returned if isinstance(returned, nn.Module) else model)(x)
    if out.requires_grad:
        out.sin().sum().backward()
    reached = x.grad is not None and bool((x.grad != 0).any())
    return Seen(found | {"a gradient comes through to the input": reached})


def _freeze_case(build, width, said, trained=True, frozen=()):
    mode = "training" if trained else "evaluation"
    label = f"freeze(model): {said}, in {mode} mode"
    already = ", ".join(name or "the outermost module alone" for name in frozen)
    label += f"; frozen already, or in evaluation mode: {already}" if frozen else ""
    return Case(build, width, trained, frozen, label=label)


freeze = Exercise(
    number="18.6",
    name="freeze",
    oracle=_freeze,
    compared_with="`model.requires_grad_(False).eval()`",
    probe=_after_freezing,
    cases=lambda: [
        _freeze_case(_Mixed, 3, "a module with a parameter of its own and modules in modules"),
        _freeze_case(_with_batch_norm, 2, "two linear layers with a `BatchNorm1d`"),
        _freeze_case(lambda: nn.Linear(2, 3), 2, "one linear layer"),
        _freeze_case(
            lambda: nn.Sequential(nn.Linear(2, 2), nn.Dropout()),
            2,
            "nn.Sequential(nn.Linear(2, 2), nn.Dropout())",
        ),
        _freeze_case(_Mixed, 3, "a module with modules in modules", trained=False),
        _freeze_case(
            _Mixed, 3, "a module with modules in modules", frozen=("start", "rest.1.1.weight")
        ),
        _freeze_case(
            _with_batch_norm, 2, "linear layers with a `BatchNorm1d`", frozen=("0.weight", "")
        ),
        _freeze_case(_with_batch_norm, 2, "linear layers with a `BatchNorm1d`", frozen=("3.bias",)),
    ],
    mistakes=[
        Mistake(
            "evaluation_mode_only",
            "Evaluation mode is on, but all parameters still learn: `eval()` has nothing to do "
            "with gradients, and `model.requires_grad = False` (without the underscore) only "
            "makes a new attribute. Call `requires_grad_(False)` on every parameter.",
            _frozen(parameters=lambda model: ()),
        ),
        Mistake(
            "still_in_training_mode",
            "Nothing learns any more, but the model is still in training mode: dropout throws "
            "numbers away, and a `BatchNorm` goes on counting. Call `model.eval()`, with its "
            "brackets.",
            _frozen(mode=lambda model: None),
        ),
        Mistake(
            "train_called",
            "You put the model into *training* mode: dropout throws numbers away. Call "
            "`model.eval()`.",
            _frozen(mode=lambda model: model.train()),
        ),
        Mistake(
            "only_the_outermost_in_evaluation_mode",
            "You set `training` on the model alone, and the modules inside, dropout among them, "
            "are still in training mode. `model.eval()` goes through all of them.",
            _frozen(mode=_only_the_top),
        ),
        Mistake(
            "nested_ones_left",
            "The parameters of the modules *inside* the modules still learn. `model.parameters()` "
            "goes all the way down.",
            _frozen(parameters=_own_and_childrens),
        ),
        Mistake(
            "only_its_own_parameters",
            "Only the parameters that belong to the model directly are frozen, not those of its "
            "submodules. `model.parameters()`, without `recurse=False`, gives all.",
            _frozen(parameters=lambda model: model.parameters(recurse=False)),
        ),
        Mistake(
            "first_parameter_only",
            "Only the first parameter is frozen. Is the `return` inside the loop?",
            _frozen(parameters=lambda model: [next(model.parameters())]),
        ),
        Mistake(
            "linear_layers_only",
            "Only linear layers are frozen. Norms and parameters of other kinds learn too: go "
            "through `model.parameters()`.",
            _frozen(parameters=_of_linear_layers),
        ),
        Mistake(
            "weights_only",
            "Only what has `weight` in its name is frozen, and biases still learn. Freeze "
            "everything in `model.parameters()`.",
            _frozen(parameters=_weights_only),
        ),
        Mistake(
            "nothing_flows_through",
            "No gradient comes through the model any more (a `no_grad` or a `detach` in its "
            "`forward`?), so the projector in front of it would never learn. Frozen means only "
            "that its own parameters do not change: `requires_grad_(False)`.",
            _cut_off,
        ),
        Mistake(
            "weights_changed",
            "The weights are not what they were: other numbers, or another dtype (is there a "
            "`.half()`?). Frozen means that they stay as they are: touch only `requires_grad` and "
            "the mode.",
            lambda model: _freeze(model.half()),
        ),
        Mistake(
            "turned_over",
            "What was frozen before learns again: you turn `requires_grad` over. Set it to False, "
            "whatever it was.",
            _turned_over,
        ),
        Mistake(
            "only_if_the_first_learns",
            "You look at one parameter, and freeze the model only if that one learns, but a part "
            "of it may be frozen already. Freeze every parameter, whatever it was.",
            _if_the_first_learns,
        ),
        Mistake(
            "not_returned",
            "The model is frozen, but it is not returned: `return model`.",
            _not_returned,
        ),
        Mistake(
            "copy_frozen",
            "You freeze a copy and return that: the model that you were given still learns, and "
            "a copy of a language model takes its memory twice. Work on `model` itself.",
            lambda model: _freeze(copy.deepcopy(model)),
        ),
    ],
    hints=[
        "Three things: no parameter may learn, dropout must be off, and the model comes back.",
        "`model.parameters()` gives every parameter, however deep inside. Each has "
        "`requires_grad_`, with an underscore at the end.",
        "`parameter.requires_grad_(False)` in a loop, then `model.eval()`, then `return model`.",
    ],
)
