"""Exercise 14.1, `activations`: its oracle, inputs, mistakes and hints."""

import copy

import torch
from torch import nn

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.lesson14.common import (
    CLOSE,
    HOOKS,
    HOOKS_AFTER_AN_ERROR,
    drawn,
    fails_inside,
    hooks,
    tiny,
    untouched,
)


@torch.no_grad()
def _activations(model, ids):
    """Hugging Face's own record, with the final norm away meanwhile."""
    norm, model.model.norm = model.model.norm, nn.Identity()
    try:
        states = model.model(ids, output_hidden_states=True, use_cache=False).hidden_states
    finally:
        model.model.norm = norm
    return torch.stack(states[1:])


def _hooked(
    parts=lambda model: model.model.layers,
    take=lambda inputs, output: output.detach(),
    pre=False,
    stack=torch.stack,
    remove=True,
    whatever_happens=True,
    grad=False,
    passes=True,
):
    """Recorded by hooks, with one step replaced."""

    def mutant(model, ids):
        found, handles = [], []

        def hook(module, inputs, output=None):
            found.append(take(inputs, output))

        for part in parts(model):
            add = part.register_forward_pre_hook if pre else part.register_forward_hook
            handles.append(add(hook))
        failed = None
        try:
            with torch.set_grad_enabled(grad):
                model(ids, use_cache=False)
        except ZeroDivisionError as error:
            failed = error
        if remove and (failed is None or whatever_happens):
            for handle in handles:
                handle.remove()
        if failed is not None and passes:
            raise failed
        return stack(found)

    return mutant


def _theirs(slice_of):
    @torch.no_grad()
    def mutant(model, ids):
        states = model(ids, output_hidden_states=True, use_cache=False).hidden_states
        return torch.stack(slice_of(states))

    return mutant


def _logits_too(model, ids):
    found = _activations(model, ids)
    return found, model(ids).logits


def _probe(answer, ids):
    model = tiny()
    before = copy.deepcopy(model)
    out = answer(model, ids)
    if not isinstance(out, torch.Tensor):
        return out
    found = Seen({"result": out.detach(), "keeps a graph": out.requires_grad})
    found |= {HOOKS: hooks(model, before), "the model": untouched(model, before)}
    broken = fails_inside(tiny())
    whole = copy.deepcopy(broken)
    try:
        answer(broken, ids)
        found["an error in the model"] = "is swallowed"
    except ZeroDivisionError:
        found["an error in the model"] = "goes through"
    found[HOOKS_AFTER_AN_ERROR] = hooks(broken, whole)
    return found


def _case(seed, B, T):
    return Case(drawn(seed, B, T), label=f"activations(model, torch.randint(16, ({B}, {T})))")


activations = Exercise(
    number="14.1",
    name="activations",
    oracle=_activations,
    compared_with="Hugging Face's `output_hidden_states` (the last one without the final norm)",
    probe=_probe,
    tolerance=CLOSE,
    cases=lambda: [_case(1, 2, 5), _case(2, 1, 1), _case(3, 3, 7), _case(4, 1, 12)],
    mistakes=[
        Mistake(
            "hooks_not_removed",
            "Your hooks stay on the model. Every later run calls them again, and keeps what it "
            "finds: call `handle.remove()` for each.",
            _hooked(remove=False),
        ),
        Mistake(
            "hooks_left_after_an_error",
            "Right, but after an error in the model your hooks are still there. Put the run into "
            "`try:` and the removing into `finally:`.",
            _hooked(whatever_happens=False),
        ),
        Mistake(
            "error_swallowed",
            "An error in the model ends with you, and whoever called never hears of it. Use "
            "`try … finally` without `except`.",
            _hooked(passes=False, stack=lambda found: torch.stack(found)),
        ),
        Mistake(
            "embeddings_counted",
            "There is one entry too many: Hugging Face's list begins with the embeddings, which "
            "no block has written.",
            _theirs(lambda states: states),
        ),
        Mistake(
            "last_one_normed",
            "The last entry has gone through the final norm: in Hugging Face's list it is so. Ask "
            "the last block itself, by a hook.",
            _theirs(lambda states: states[1:]),
        ),
        Mistake(
            "what_goes_in",
            "You record what goes *into* each block: the list is one block late. Take what comes "
            "out: `register_forward_hook`, its third argument.",
            _hooked(take=lambda inputs, output: inputs[0].detach(), stack=torch.stack),
        ),
        Mistake(
            "attention_only",
            "You record what attention puts out. The block adds it to the stream, and the "
            "feed-forward net's after it: hook the blocks, `model.model.layers`.",
            _hooked(
                parts=lambda m: [layer.self_attn for layer in m.model.layers],
                take=lambda inputs, output: output[0].detach(),
            ),
        ),
        Mistake(
            "feed_forward_only",
            "You record what the feed-forward net puts out, and not the stream: hook the blocks, "
            "`model.model.layers`.",
            _hooked(parts=lambda m: [layer.mlp for layer in m.model.layers]),
        ),
        Mistake(
            "last_layer_only",
            "Only the last block is recorded. Hook all of them.",
            _hooked(parts=lambda m: m.model.layers[-1:]),
        ),
        Mistake(
            "last_layer_each_time",
            "Every entry is the last block's. Did a hook write into a variable that the next one "
            "overwrites?",
            _hooked(stack=lambda found: torch.stack([found[-1]] * len(found))),
        ),
        Mistake(
            "batch_first",
            "The first axis must be the layer: `torch.stack(found)` puts it there.",
            _hooked(stack=lambda found: torch.stack(found, dim=1)),
        ),
        Mistake(
            "joined",
            "`torch.cat` joins the layers along the batch. `torch.stack` gives them an axis of "
            "their own.",
            _hooked(stack=torch.cat),
        ),
        Mistake(
            "last_position_only",
            "Only the last position is kept. Keep all of them: (n_layers, B, T, d_model).",
            _hooked(take=lambda inputs, output: output[:, -1].detach()),
        ),
        Mistake(
            "first_text_only",
            "Only the first text of the batch is kept.",
            _hooked(take=lambda inputs, output: output[0].detach()),
        ),
        Mistake(
            "keeps_a_graph",
            "The numbers are right, but they hold on to everything that a gradient would need. "
            "Run under `torch.no_grad()`.",
            _hooked(take=lambda inputs, output: output, grad=True),
        ),
        Mistake(
            "lowest_last",
            "Your layers come in reverse order. The first entry belongs to block 0.",
            _hooked(stack=lambda found: torch.stack(found[::-1])),
        ),
        Mistake(
            "changes_only",
            "You return what each block *adds*. Asked for is the stream after it.",
            _hooked(take=lambda inputs, output: (output - inputs[0]).detach()),
        ),
    ],
    hints=[
        "`handle = layer.register_forward_hook(hook)`, where `hook(module, inputs, output)` puts "
        "`output` into a list. The blocks are `model.model.layers`.",
        "Run the model under `torch.no_grad()`; then `torch.stack(found)` makes one tensor of the "
        "list.",
        "`try: model(ids)`, `finally: for handle in handles: handle.remove()`: so the hooks go "
        "even if the run fails.",
    ],
)
