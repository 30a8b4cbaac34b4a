"""Exercise 14.6, `steer`: its oracle, inputs, mistakes and hints."""

import contextlib

import torch
from torch import nn

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import with_sentence
from utils.checks.lesson14.common import (
    CLOSE,
    D_MODEL,
    LAYERS,
    drawn,
    ending,
    logits,
    there,
    tiny,
    within,
)


def _usable(model, layer, vector):
    there("layer", layer, len(model.model.layers))
    if vector.shape != (model.config.hidden_size,):
        raise ValueError(
            f"the vector has shape {tuple(vector.shape)}: ({model.config.hidden_size},) is needed"
        )


class _Shifted(nn.Module):
    """A feed-forward net with a bias at its end, which the block adds to the stream."""

    def __init__(self, inside, bias):
        super().__init__()
        self.inside, self.bias = inside, bias

    def forward(self, x):
        return self.inside(x) + self.bias


@contextlib.contextmanager
def _steer(model, layer, vector):
    """The block's last sum gets a bias meanwhile."""
    _usable(model, layer, vector)
    block = model.model.layers[layer]
    before = block.mlp
    block.mlp = _Shifted(before, vector)
    try:
        yield
    finally:
        block.mlp = before


def _hooked(
    change=lambda x, v: x + v,
    part=lambda layer: layer,
    pre=False,
    layers=lambda layer: [layer],
    remove=True,
    whatever_happens=True,
    swallow=False,
    refuse=_usable,
):
    """Added by a hook, with one step replaced."""

    @contextlib.contextmanager
    def mutant(model, layer, vector):
        refuse(model, layer, vector)

        def hook(module, inputs, output=None):
            return (change(inputs[0], vector),) if pre else change(output, vector)

        handles = []
        for i in layers(layer):
            target = part(model.model.layers[i % LAYERS])
            add = target.register_forward_pre_hook if pre else target.register_forward_hook
            handles.append(add(hook))

        with ending(handles, remove, whatever_happens, swallow):
            yield

    return mutant


def _at(place):
    def change(x, v):
        x = x.clone()
        x[:, place] += v
        return x

    return change


def _layer_alone(model, layer, vector):
    there("layer", layer, len(model.model.layers))


def _vector_alone(model, layer, vector):
    there("layer", max(layer, 0), len(model.model.layers))
    _usable(model, 0, vector)


def _probe(answer, layer, vector, ids):
    return with_sentence(within, answer, tiny(), logits(ids), layer, vector)


def _case(seed, layer, B=2, T=5, size=1.0):
    label = f"with steer(model, {layer}, {size} * torch.randn({D_MODEL})): model(ids)"
    return Case(layer, size * normal(seed, D_MODEL), drawn(seed, B, T), label=label)


def _refused(layer, *shape):
    label = f"with steer(model, {layer}, torch.ones{shape}): model(ids)"
    return Case(layer, torch.ones(shape), drawn(1, 1, 3), label=label, raises=ValueError)


steer = Exercise(
    number="14.6",
    name="steer",
    oracle=_steer,
    compared_with="the same model with a bias at the end of that block",
    probe=_probe,
    tolerance=CLOSE,
    cases=lambda: [
        _case(1, 1),
        _case(2, 0, B=1, T=1),
        _case(3, 2, T=4),
        _case(4, 1, B=3, size=5.0),
        _case(5, 0, size=0.1),
        _case(6, 2, size=0.0),
        _refused(LAYERS, D_MODEL),
        _refused(-1, D_MODEL),
        _refused(0, D_MODEL - 1),
        _refused(0, 1),
        _refused(0, 1, D_MODEL),
    ],
    mistakes=[
        Mistake(
            "hooks_not_removed",
            "Your hook stays on the model, which goes on being steered. Remove it after the "
            "`yield`.",
            _hooked(remove=False),
        ),
        Mistake(
            "hooks_left_after_an_error",
            "Right, but after an error inside the `with` your hook is still there: `try: yield`, "
            "`finally:` remove it.",
            _hooked(whatever_happens=False),
        ),
        Mistake(
            "error_swallowed",
            "An error inside the `with` ends with you. Use `try … finally` without `except`.",
            _hooked(swallow=True),
        ),
        Mistake(
            "last_position_only",
            "Only the last position is steered. Add the vector at every position.",
            _hooked(change=_at(-1)),
        ),
        Mistake(
            "first_position_only",
            "Only the first position is steered. Add the vector at every position.",
            _hooked(change=_at(0)),
        ),
        Mistake(
            "replaced",
            "You put the vector in place of the state. Add it.",
            _hooked(change=lambda x, v: v.expand_as(x).clone()),
        ),
        Mistake(
            "subtracted",
            "You subtract the vector: that steers the other way.",
            _hooked(change=lambda x, v: x - v),
        ),
        Mistake(
            "what_goes_in",
            "You add the vector to what goes *into* the block. Add it to its output.",
            _hooked(pre=True),
        ),
        Mistake(
            "all_layers",
            "You steer every layer. Only the one that is named.",
            _hooked(layers=lambda layer: range(LAYERS)),
        ),
        Mistake(
            "from_there_on",
            "You steer all layers from the named one on. The stream carries the vector upwards by "
            "itself: once is enough.",
            _hooked(layers=lambda layer: range(layer, LAYERS)),
        ),
        Mistake(
            "next_layer",
            "You steer the layer above: layers are numbered from 0.",
            _hooked(layers=lambda layer: [layer + 1]),
        ),
        Mistake(
            "brought_to_length_1",
            "You bring the vector to length 1. Its length is the strength: add it as it is.",
            _hooked(change=lambda x, v: x + torch.nn.functional.normalize(v, dim=0)),
        ),
        Mistake(
            "state_rescaled",
            "You bring the steered state back to its old length. Only add.",
            _hooked(
                change=lambda x, v: (
                    (x + v) * x.norm(dim=-1, keepdim=True) / (x + v).norm(dim=-1, keepdim=True)
                )
            ),
        ),
        Mistake(
            "multiplied",
            "You multiply the state by the vector. Add it.",
            _hooked(change=lambda x, v: x * v),
        ),
        Mistake(
            "nothing_returned",
            "Nothing changes: a hook that returns nothing leaves the output as it was. `return "
            "output + vector`.",
            _hooked(change=lambda x, v: x),
        ),
        Mistake(
            "vector_not_checked",
            "All is right but one thing: a vector of another size (1, for instance, which PyTorch "
            "stretches in silence) needs a `ValueError` with a sentence.",
            _hooked(refuse=_layer_alone),
        ),
        Mistake(
            "negative_layer_accepted",
            "All is right but one thing: −1 is no layer. Python takes it for the last one in "
            "silence: raise a `ValueError` with a sentence.",
            _hooked(refuse=_vector_alone),
        ),
    ],
    hints=[
        "A forward hook may return something: that is what goes on. "
        "`hook(module, inputs, output)` returns `output + vector`.",
        "Check layer and vector, register, `try: yield`, `finally: handle.remove()`.",
    ],
)
