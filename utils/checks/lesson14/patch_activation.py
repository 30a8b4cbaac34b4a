"""Exercise 14.5, `patch_activation`: its oracle, inputs, mistakes and hints."""

import copy

import torch
from torch import nn

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.probes import with_sentence
from utils.checks.lesson14.common import (
    CLOSE,
    HOOKS,
    HOOKS_AFTER_AN_ERROR,
    LAYERS,
    drawn,
    fails_inside,
    hooks,
    there,
    tiny,
    untouched,
)


def _usable(model, source, target, layer, position):
    if source.shape != target.shape:
        raise ValueError(
            f"source {tuple(source.shape)} and target {tuple(target.shape)} are of different "
            "lengths: no position of one belongs to a position of the other"
        )
    there("layer", layer, len(model.model.layers))
    there("position", position, target.shape[1])


def _cut(model, layers, norm):
    """A model of some of the layers, with or without the final norm; the weights are shared."""
    part = copy.copy(model.model)
    part._modules = dict(part._modules) | {"layers": nn.ModuleList(layers)}
    if not norm:
        part._modules["norm"] = nn.Identity()
    part.config = copy.copy(part.config)
    part.config.num_hidden_layers = len(layers)
    return part


@torch.no_grad()
def _patch_activation(model, source, target, layer, position):
    """The model cut in two: the lower part runs both texts, the upper one what was put together."""
    _usable(model, source, target, layer, position)
    lower = _cut(model, model.model.layers[: layer + 1], norm=False)
    upper = _cut(model, model.model.layers[layer + 1 :], norm=True)
    states = [lower(ids, use_cache=False).last_hidden_state for ids in (source, target)]
    states[1][:, position] = states[0][:, position]
    return model.lm_head(upper(inputs_embeds=states[1], use_cache=False).last_hidden_state)


def _hooked(
    part=lambda layer: layer,
    first=lambda output: output,
    again=lambda output, new: new,
    pre=False,
    where=lambda position, T: position,
    layer_of=lambda layer: layer,
    turned=False,
    finish=lambda logits: logits,
    remove=True,
    whatever_happens=True,
    refuse=_usable,
    mix=lambda old, new: new,
    grad=False,
):
    """Patched by hooks, with one step replaced."""

    def mutant(model, source, target, layer, position):
        refuse(model, source, target, layer, position)
        if turned:
            source, target = target, source
        block = part(model.model.layers[layer_of(layer) % len(model.model.layers)])
        add = block.register_forward_pre_hook if pre else block.register_forward_hook
        kept = {}
        place = where(position, target.shape[1])

        def keep(module, inputs, output=None):
            kept["state"] = first(inputs[0] if pre else output).clone()

        def patch(module, inputs, output=None):
            given = inputs[0] if pre else output
            new = first(given).clone()
            new[:, place] = mix(new[:, place], kept["state"][:, place])
            return (new,) if pre else again(output, new)

        with torch.set_grad_enabled(grad):
            handles = [add(keep)]
            try:
                model(source, use_cache=False)
            finally:
                handles.pop().remove()
            handles.append(add(patch))
            failed = None
            try:
                logits = model(target, use_cache=False).logits
            except ZeroDivisionError as error:
                failed = error
            if remove and (failed is None or whatever_happens):
                handles.pop().remove()
            if failed:
                raise failed
        return finish(logits)

    return mutant


def _left_at_the_first_run(model, source, target, layer, position):
    """The hook that reads the source stays."""
    _usable(model, source, target, layer, position)
    out = _patch_activation(model, source, target, layer, position)
    model.model.layers[layer].register_forward_hook(lambda module, inputs, output: None)
    return out


def _everywhere(model, source, target, layer, position):
    _usable(model, source, target, layer, position)
    return _hooked(where=lambda position, T: slice(None))(model, source, target, layer, position)


def _unpatched(model, source, target, layer, position):
    _usable(model, source, target, layer, position)
    with torch.no_grad():
        return model(target, use_cache=False).logits


def _attention(**steps):
    return _hooked(
        part=lambda layer: layer.self_attn,
        first=lambda output: output[0],
        again=lambda output, new: (new, *output[1:]),
        **steps,
    )


class _FailsLater(nn.Module):
    """Runs once, and stops with an error from then on."""

    def __init__(self, inside):
        super().__init__()
        self.inside, self.runs = inside, 0

    def forward(self, *inputs):
        self.runs += 1
        if self.runs > 1:
            raise ZeroDivisionError("a test of what happens after an error")
        return self.inside(*inputs)


def _probe(answer, source, target, layer, position, breaks=False):
    model = tiny()
    before = copy.deepcopy(model)
    out = with_sentence(answer, model, source, target, layer, position)
    if not isinstance(out, torch.Tensor):
        return out
    found = Seen({"result": out.detach(), "keeps a graph": out.requires_grad})
    found |= {HOOKS: hooks(model, before), "the model": untouched(model, before)}
    if not breaks:
        return found
    later = tiny()
    later.lm_head = _FailsLater(later.lm_head)
    left = 0
    for broken in fails_inside(tiny()), later:
        whole = copy.deepcopy(broken)
        try:
            answer(broken, source, target, layer, position)
        except ZeroDivisionError:
            left = max(left, hooks(broken, whole))
    found[HOOKS_AFTER_AN_ERROR] = left
    return found


def _case(seed, T, layer, position, breaks=False):
    label = f"patch_activation(model, source, target, layer={layer}, position={position})"
    label += f"  # both of shape (1, {T})"
    return Case(drawn(seed, 1, T), drawn(seed + 50, 1, T), layer, position, breaks, label=label)


def _refused(T, other, layer, position):
    label = f"patch_activation(model, source, target, layer={layer}, position={position})"
    label += f"  # source (1, {T}), target (1, {other})"
    return Case(drawn(7, 1, T), drawn(8, 1, other), layer, position, label=label, raises=ValueError)


def _same(seed, T, layer, position):
    ids = drawn(seed, 1, T)
    label = f"patch_activation(model, ids, ids, layer={layer}, position={position})"
    return Case(ids, ids.clone(), layer, position, label=label)


patch_activation = Exercise(
    number="14.5",
    name="patch_activation",
    oracle=_patch_activation,
    compared_with="the model cut in two after that block",
    probe=_probe,
    tolerance=CLOSE,
    cases=lambda: [
        _case(1, 7, 1, 3, breaks=True),
        _case(2, 5, 0, 2, breaks=True),
        _case(3, 6, 2, 5),
        _case(4, 6, 1, 0),
        _case(5, 1, 0, 0),
        _case(6, 9, 2, 4),
        _case(12, 8, 0, 6),
        _same(11, 6, 1, 2),
        _refused(5, 6, 1, 2),
        _refused(6, 5, 0, 0),
        _refused(5, 5, LAYERS, 2),
        _refused(5, 5, 0, 5),
        _refused(5, 5, -1, 2),
        _refused(5, 5, 1, -1),
    ],
    mistakes=[
        Mistake(
            "the_other_way_round",
            "Source and target are exchanged: the run that goes on is the *target's*, with one "
            "state taken from the source's.",
            _hooked(turned=True),
        ),
        Mistake(
            "all_positions",
            "You put all positions of the source there. From then on it is the source's run: only "
            "`position` is to be replaced.",
            _everywhere,
        ),
        Mistake(
            "last_position",
            "You replace the last position, whatever `position` is.",
            _hooked(where=lambda position, T: T - 1),
        ),
        Mistake(
            "first_position",
            "You replace the first position, whatever `position` is.",
            _hooked(where=lambda position, T: 0),
        ),
        Mistake(
            "next_position",
            "You replace the neighbour: positions are numbered from 0.",
            _hooked(where=lambda position, T: (position + 1) % T),
        ),
        Mistake(
            "position_before",
            "You replace the position before. They are numbered from 0.",
            _hooked(where=lambda position, T: max(position - 1, 0)),
        ),
        Mistake(
            "up_to_the_position",
            "You replace all positions up to `position`. Only that one.",
            _hooked(where=lambda position, T: slice(0, position + 1)),
        ),
        Mistake(
            "what_goes_in",
            "You replace what goes *into* the block. It is its output that is asked for: a forward "
            "hook, and not a pre-hook.",
            _hooked(pre=True),
        ),
        Mistake(
            "next_layer",
            "You patch one block higher: layers are numbered from 0.",
            _hooked(layer_of=lambda layer: layer + 1),
        ),
        Mistake(
            "attention_only",
            "You replace what attention puts out, and not what the block puts out.",
            _attention(),
        ),
        Mistake(
            "feed_forward_only",
            "You replace what the feed-forward net puts out, and not what the block puts out.",
            _hooked(part=lambda layer: layer.mlp),
        ),
        Mistake(
            "added",
            "You add the source's state to the target's. It is to *replace* it.",
            _hooked(mix=lambda old, new: old + new),
        ),
        Mistake(
            "not_patched",
            "What comes out is the target's own run: nothing was replaced. Does your hook `return` "
            "the changed output?",
            _unpatched,
        ),
        Mistake(
            "last_logits_only",
            "You return the logits of the last position. Asked for are those of all.",
            _hooked(finish=lambda logits: logits[:, -1]),
        ),
        Mistake(
            "hooks_not_removed",
            "Your hook stays on the model, and patches every later run too. Remove it.",
            _hooked(remove=False),
        ),
        Mistake(
            "hook_of_the_source_left",
            "The hook that reads the source's state stays on the model. Remove it as well.",
            _left_at_the_first_run,
        ),
        Mistake(
            "hooks_left_after_an_error",
            "Right, but after an error in the model your hook is still there: `try … finally`.",
            _hooked(whatever_happens=False),
        ),
        Mistake(
            "keeps_a_graph",
            "The numbers are right, but they hold on to all that a gradient would need: "
            "`torch.no_grad()`.",
            _hooked(grad=True),
        ),
        Mistake(
            "lengths_not_compared",
            "All is right but one thing: source and target of different lengths need a "
            "`ValueError` with a sentence, even if `position` is in both.",
            _hooked(
                refuse=lambda m, source, target, layer, position: _usable(
                    m, target, target, layer, position
                )
            ),
        ),
    ],
    hints=[
        "The source's state is what you have from `activations(model, source)[layer]`, at "
        "`position`.",
        "In the target's run a forward hook on `model.model.layers[layer]` makes a copy of its "
        "output, writes the state into `[:, position]`, and *returns* the copy.",
        "Check lengths, layer and position first; run under `torch.no_grad()`; remove the hook in "
        "`finally`.",
    ],
)
