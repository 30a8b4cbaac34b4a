"""Exercise 14.4, `ablate_heads`: its oracle, inputs, mistakes and hints."""

import contextlib
import copy

import torch

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.probes import with_sentence
from utils.checks.lesson14.common import (
    CLOSE,
    D_HEAD,
    HEADS,
    LAYERS,
    drawn,
    ending,
    hooks,
    logits,
    there,
    tiny,
    within,
)


def _all_there(model, heads):
    for layer, head in heads:
        there("layer", layer, len(model.model.layers))
        there("head", head, model.config.num_attention_heads)


@contextlib.contextmanager
def _ablate_heads(model, heads):
    """The columns of the output matrix that read a head's output are 0 meanwhile."""
    _all_there(model, heads)
    d_head, kept = model.config.head_dim, []
    try:
        with torch.no_grad():
            for layer, head in heads:
                weight = model.model.layers[layer].self_attn.o_proj.weight
                kept.append((weight, weight.clone()))
                weight[:, head * d_head : (head + 1) * d_head] = 0
        yield
    finally:
        with torch.no_grad():
            for weight, before in reversed(kept):
                weight.copy_(before)


def _hooked(
    places=lambda model, head: slice(head * D_HEAD, (head + 1) * D_HEAD),
    value=lambda x: 0.0,
    before=True,
    part=lambda layer: layer.self_attn.o_proj,
    chosen=lambda heads: heads,
    layer_of=lambda layer: layer,
    remove=True,
    whatever_happens=True,
    swallow=False,
    refuse=_all_there,
    late=False,
):
    """Head outputs set to 0 by hooks, with one step replaced."""

    @contextlib.contextmanager
    def mutant(model, heads):
        refuse(model, heads)
        handles, last = [], {}

        def hook(place):
            def change(module, inputs, output=None):
                x = (inputs[0] if before else output).clone()
                x[..., last["place"] if late else place] = value(x)
                return (x,) if before else x

            return change

        for layer, head in chosen(heads):
            layers = model.model.layers
            target = part(layers[layer_of(layer) % len(layers)])
            last["place"] = places(model, head)
            add = target.register_forward_pre_hook if before else target.register_forward_hook
            handles.append(add(hook(last["place"])))

        with ending(handles, remove, whatever_happens, swallow):
            yield

    return mutant


@contextlib.contextmanager
def _for_good(model, heads):
    _all_there(model, heads)
    with torch.no_grad():
        for layer, head in heads:
            weight = model.model.layers[layer].self_attn.o_proj.weight
            weight[:, head * D_HEAD : (head + 1) * D_HEAD] = 0
    yield


@contextlib.contextmanager
def _rows(model, heads):
    with _hooked(before=False)(model, heads):
        yield


@contextlib.contextmanager
def _values(model, heads):
    """The values of a key/value head, which two query heads share."""
    with _hooked(
        before=False,
        part=lambda layer: layer.self_attn.v_proj,
        places=lambda model, head: slice(head // 2 * D_HEAD, (head // 2 + 1) * D_HEAD),
    )(model, heads):
        yield


@contextlib.contextmanager
def _queries(model, heads):
    """A head whose queries are 0 still attends, evenly."""
    with _hooked(before=False, part=lambda layer: layer.self_attn.q_proj)(model, heads):
        yield


def _probe(answer, heads, ids):
    model = tiny()
    before = copy.deepcopy(model)
    try:
        return with_sentence(within, answer, model, logits(ids), heads)
    except ValueError as error:
        if hooks(model, before):
            said = (
                "it refuses, but hooks of the pairs before are on the model: check all pairs first"
            )
            raise RuntimeError(said) from error
        raise


def _case(seed, heads, B=2, T=6):
    return Case(heads, drawn(seed, B, T), label=f"with ablate_heads(model, {heads}): model(ids)")


def _refused(*heads):
    label = f"with ablate_heads(model, {list(heads)}): model(ids)"
    return Case(list(heads), drawn(9, 1, 3), label=label, raises=ValueError)


ablate_heads = Exercise(
    number="14.4",
    name="ablate_heads",
    oracle=_ablate_heads,
    compared_with="the same model with those columns of its output matrix set to 0",
    probe=_probe,
    tolerance=CLOSE,
    cases=lambda: [
        _case(1, [(1, 2), (0, 1)]),
        _case(2, [(1, 2)]),
        _case(3, [(0, 0)]),
        _case(4, [(2, 3)], B=1, T=9),
        _case(5, [(0, 1), (0, 3), (2, 0)]),
        _case(6, []),
        _case(7, [(1, h) for h in range(HEADS)]),
        _case(8, [(2, 1), (2, 1)]),
        _refused((LAYERS, 0)),
        _refused((0, HEADS)),
        _refused((1, 1), (0, -1)),
        _refused((-1, 0)),
    ],
    mistakes=[
        Mistake(
            "hooks_not_removed",
            "Your hooks stay on the model, and the heads stay off. After the `yield`, call "
            "`handle.remove()` for each.",
            _hooked(remove=False),
        ),
        Mistake(
            "hooks_left_after_an_error",
            "Right, but after an error inside the `with` your hooks are still there. Put the "
            "`yield` into `try:` and the removing into `finally:`.",
            _hooked(whatever_happens=False),
        ),
        Mistake(
            "error_swallowed",
            "An error inside the `with` ends with you. Use `try … finally` without `except`.",
            _hooked(swallow=True),
        ),
        Mistake(
            "weights_changed_for_good",
            "You change the weights, and they stay changed. Use a hook, or put them back in "
            "`finally`.",
            _for_good,
        ),
        Mistake(
            "output_rows",
            "You set columns of what `o_proj` puts *out* to 0. There the heads are mixed already: "
            "change what goes in, by a forward *pre*-hook.",
            _rows,
        ),
        Mistake(
            "whole_layer",
            "You set everything that goes into `o_proj` to 0: all heads of the layer. A head has "
            "d_head columns, from `head * d_head`.",
            _hooked(places=lambda model, head: slice(None)),
        ),
        Mistake(
            "one_column",
            "You set one column to 0. A head has d_head of them, from `head * d_head`.",
            _hooked(places=lambda model, head: head),
        ),
        Mistake(
            "next_head",
            "You switch off the neighbour: heads are numbered from 0, and head h begins at "
            "`h * d_head`.",
            _hooked(
                places=lambda model, head: slice(
                    (head + 1) % HEADS * D_HEAD, ((head + 1) % HEADS + 1) * D_HEAD
                )
            ),
        ),
        Mistake(
            "every_so_many_columns",
            "You take every n_heads-th column. The columns of a head lie side by side: "
            "`head * d_head` to `(head + 1) * d_head`.",
            _hooked(places=lambda model, head: slice(head, None, HEADS)),
        ),
        Mistake(
            "last_head_only",
            "All hooks of yours switch off the same head, the last one: a function made in a loop "
            "sees the loop's *last* values. Give the values to a function that makes the hook.",
            _hooked(late=True),
        ),
        Mistake(
            "first_pair_only",
            "Only the first pair is switched off.",
            _hooked(chosen=lambda heads: heads[:1]),
        ),
        Mistake(
            "next_layer",
            "You switch the head off one layer higher: layers are numbered from 0.",
            _hooked(layer_of=lambda layer: layer + 1),
        ),
        Mistake(
            "values_of_a_shared_head",
            "You set the values to 0, and two heads share them here (lesson 8): both are off. "
            "Change what goes into `o_proj`.",
            _values,
        ),
        Mistake(
            "queries",
            "With queries of 0 a head still looks, evenly at everything. Change what goes into "
            "`o_proj`.",
            _queries,
        ),
        Mistake(
            "mean_in_place_of_0",
            "You put a mean in place of the head's output. Asked for is 0.",
            _hooked(value=lambda x: x.mean()),
        ),
        Mistake(
            "negative_numbers_accepted",
            "All is right but one thing: −1 is no layer and no head. Python takes it for the last "
            "one in silence: raise a `ValueError` with a sentence.",
            _hooked(
                refuse=lambda model, heads: _all_there(
                    model,
                    [(layer % LAYERS if layer < 0 else layer, max(h, 0)) for layer, h in heads],
                ),
                layer_of=lambda layer: layer % LAYERS,
            ),
        ),
        Mistake(
            "head_not_checked",
            "All is right but one thing: a slice beyond the last column is empty, and nothing "
            "complains. Raise a `ValueError` (with a sentence) for a head that is not there.",
            _hooked(
                refuse=lambda model, heads: _all_there(model, [(layer, 0) for layer, _ in heads])
            ),
        ),
    ],
    hints=[
        "What goes into `layer.self_attn.o_proj` is (B, T, n_heads · d_head), head beside head. "
        "`register_forward_pre_hook(hook)` calls `hook(module, inputs)` before it, and what that "
        "returns goes in.",
        "Make a copy (`x = inputs[0].clone()`), set `x[..., head * d_head : (head + 1) * d_head]` "
        "to 0, and return `(x,)`. Make the hook in a function of its own, which gets `head`.",
        "Check all layers and heads, register, then `try: yield`, `finally:` remove every handle.",
    ],
)
