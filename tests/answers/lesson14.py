"""Answers to lesson 14's exercises, as learners write them."""

import contextlib
import functools

import torch
from torch import nn


# 14.1 activations
def with_an_exit_stack(model, ids):
    kept = {}
    with contextlib.ExitStack() as stack, torch.no_grad():
        for i, layer in enumerate(model.model.layers):
            handle = layer.register_forward_hook(
                lambda module, inputs, output, i=i: kept.__setitem__(i, output)
            )
            stack.callback(handle.remove)
        model(ids)
    return torch.stack([kept[i] for i in range(len(model.model.layers))])


def without_hooks(model, ids):
    """All but the last from Hugging Face, the last from one hook."""
    last = []
    handle = model.model.layers[-1].register_forward_hook(lambda m, i, o: last.append(o))
    try:
        with torch.inference_mode():
            states = model(ids, output_hidden_states=True).hidden_states
    finally:
        handle.remove()
    return torch.stack([*states[1:-1], last[0]]).clone()


def through_the_next_input(model, ids):
    """What goes into the next block, and into the final norm at the end."""
    found, handles = [], []

    def hook(module, inputs):
        found.append(inputs[0].detach().clone())

    try:
        for part in [*model.model.layers[1:], model.model.norm]:
            handles.append(part.register_forward_pre_hook(hook))
        model(ids)
    finally:
        [h.remove() for h in handles]
    return torch.stack(found)


def as_a_list(model, ids):
    return [*with_an_exit_stack(model, ids)]


def all_from_hugging_face(model, ids):
    with torch.no_grad():
        return torch.stack(model(ids, output_hidden_states=True).hidden_states[1:])


def cleared_by_hand(model, ids):
    """Takes away other people's hooks? There are none; but after an error its own stay."""
    out = []
    for layer in model.model.layers:
        layer.register_forward_hook(lambda m, i, o: out.append(o.detach()))
    model(ids)
    for layer in model.model.layers:
        layer._forward_hooks.clear()
    return torch.stack(out)


def leaves_evaluation(model, ids):
    model.train()
    return with_an_exit_stack(model, ids)


# 14.2 logit_lens
def as_the_model(model, hidden):
    return model.lm_head(model.model.norm(hidden))


def by_hand(model, hidden):
    scaled = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + 1e-5)
    return (scaled * model.model.norm.weight) @ model.model.embed_tokens.weight.T


def row_by_row(model, hidden):
    flat = hidden.reshape(-1, hidden.shape[-1])
    rows = [model.lm_head(model.model.norm(x)) for x in flat]
    return torch.stack(rows).reshape(*hidden.shape[:-1], -1)


def without_epsilon_and_weights(model, hidden):
    return model.lm_head(hidden / hidden.norm(dim=-1, keepdim=True))


def needs_a_batch(model, hidden):
    return as_the_model(model, hidden)[:, -1]


# 14.3 induction_score
def _checked(attention, period):
    if period < 1 or period >= attention.size(-1):
        raise ValueError("the period must lie between 1 and the length")


def with_diagonal(attention, period):
    _checked(attention, period)
    stripes = attention.diagonal(1 - period, -2, -1)[..., 1:]
    return stripes.mean(-1).mean(0)


def with_loops(attention, period):
    _checked(attention, period)
    B, H, T, _ = attention.shape
    total = torch.zeros(H)
    for b in range(B):
        for t in range(period, T):
            total += attention[b, :, t, t - period + 1]
    return total / (B * (T - period))


def with_a_mask(attention, period):
    _checked(attention, period)
    t = torch.arange(attention.shape[-1])
    wanted = (t[:, None] - t == period - 1) & (t[:, None] >= period)
    return attention[..., wanted].mean(dim=(0, 2))


def as_floats(attention, period):
    return with_diagonal(attention, period).tolist()


def whole_diagonal(attention, period):
    _checked(attention, period)
    return attention.diagonal(1 - period, -2, -1).mean(-1).mean(0)


def the_token_itself(attention, period):
    _checked(attention, period)
    return attention.diagonal(-period, -2, -1).mean(-1).mean(0)


# 14.4 ablate_heads
def _all_there(model, heads):
    L, H = model.config.num_hidden_layers, model.config.num_attention_heads
    bad = [(a, b) for a, b in heads if a not in range(L) or b not in range(H)]
    if bad:
        raise ValueError(f"there is no head {bad[0]} in this model")


@contextlib.contextmanager
def one_hook_a_layer(model, heads):
    _all_there(model, heads)
    d = model.config.hidden_size // model.config.num_attention_heads

    def off(which, module, inputs):
        (x,) = inputs
        x = x.unflatten(-1, (-1, d)).clone()
        x[..., which, :] = 0
        return x.flatten(-2)

    with contextlib.ExitStack() as stack:
        for layer in {a for a, _ in heads}:
            which = [b for a, b in heads if a == layer]
            o_proj = model.model.layers[layer].self_attn.o_proj
            hook = o_proj.register_forward_pre_hook(functools.partial(off, which))
            stack.callback(hook.remove)
        yield


@contextlib.contextmanager
def by_multiplying(model, heads):
    _all_there(model, heads)
    handles = []
    try:
        for layer, head in heads:
            keep = torch.ones(model.config.num_attention_heads)
            keep[head] = 0
            keep = keep.repeat_interleave(model.model.layers[layer].self_attn.head_dim)
            handles.append(
                model.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(
                    lambda module, inputs, keep=keep: (inputs[0] * keep,)
                )
            )
        yield model
    finally:
        for handle in handles:
            handle.remove()


class as_a_class:  # noqa: N801
    """A context manager written as a class."""

    def __init__(self, model, heads):
        _all_there(model, heads)
        self.inner = one_hook_a_layer(model, heads)

    def __enter__(self):
        return self.inner.__enter__()

    def __exit__(self, *error):
        return self.inner.__exit__(*error)


@contextlib.contextmanager
def late_binding(model, heads):
    _all_there(model, heads)
    d, handles = 4, []

    for layer, head in heads:

        def hook(module, inputs):
            x = inputs[0].clone()
            x[..., head * d : head * d + d] = 0  # noqa: B023
            return (x,)

        o_proj = model.model.layers[layer].self_attn.o_proj
        handles.append(o_proj.register_forward_pre_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def registered_outside_try(model, heads):
    """Refuses half-way: the hooks before the bad pair stay."""
    handles = []
    for layer, head in heads:
        _all_there(model, [(layer, head)])
        handles.append(
            model.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(
                lambda m, i, h=head: (i[0].index_fill(-1, torch.arange(4 * h, 4 * h + 4), 0),)
            )
        )
    try:
        yield
    finally:
        [h.remove() for h in handles]


@contextlib.contextmanager
def always_the_first(model, heads):
    with one_hook_a_layer(model, [(layer, 0) for layer, _ in heads]):
        _all_there(model, heads)
        yield


def no_manager(model, heads):
    _all_there(model, heads)


# 14.5 patch_activation
def _fitting(model, source, target, layer, position):
    if source.shape != target.shape:
        raise ValueError("source and target have different lengths")
    if layer not in range(model.config.num_hidden_layers):
        raise ValueError(f"no layer {layer}")
    if position not in range(source.shape[1]):
        raise ValueError(f"no position {position}")


@torch.no_grad()
def with_one_batch(model, source, target, layer, position):
    """Both texts in one run: row 0 is copied into row 1."""
    _fitting(model, source, target, layer, position)

    def copy_over(module, inputs, output):
        output = output.clone()
        output[1, position] = output[0, position]
        return output

    handle = model.model.layers[layer].register_forward_hook(copy_over)
    try:
        return model(torch.cat([source, target])).logits[1:]
    finally:
        handle.remove()


def with_activations(model, source, target, layer, position):
    _fitting(model, source, target, layer, position)
    state = with_an_exit_stack(model, source)[layer, :, position]

    def hook(module, inputs, output):
        return output.index_copy(1, torch.tensor([position]), state[:, None])

    handle = model.model.layers[layer].register_forward_hook(hook)
    try:
        with torch.no_grad():
            return model(target).logits
    finally:
        handle.remove()


@torch.no_grad()
def block_by_block(model, source, target, layer, position):
    _fitting(model, source, target, layer, position)
    state = with_an_exit_stack(model, source)[layer]
    hidden = with_an_exit_stack(model, target)[layer].clone()
    hidden[:, position] = state[:, position]
    places = torch.arange(target.shape[1])[None]
    angles = model.model.rotary_emb(hidden, places)
    mask = torch.full((target.shape[1],) * 2, -torch.inf).triu(1)[None, None]
    for block in model.model.layers[layer + 1 :]:
        hidden = block(hidden, position_embeddings=angles, attention_mask=mask, position_ids=places)
    return model.lm_head(model.model.norm(hidden))


def hook_forgets_to_return(model, source, target, layer, position):
    _fitting(model, source, target, layer, position)
    state = with_an_exit_stack(model, source)[layer, 0, position]

    def hook(module, inputs, output):
        output = output.clone()
        output[0, position] = state

    handle = model.model.layers[layer].register_forward_hook(hook)
    with torch.no_grad():
        out = model(target).logits
    handle.remove()
    return out


def swapped(model, source, target, layer, position):
    return with_one_batch(model, target, source, layer, position)


def shorter_is_fine(model, source, target, layer, position):
    n = min(source.shape[1], target.shape[1])
    return with_one_batch(model, source[:, :n], target[:, :n], layer, position)


# 14.6 steer
@contextlib.contextmanager
def steer_plainly(model, layer, vector):
    if layer < 0 or layer >= len(model.model.layers):
        raise ValueError(f"layer {layer} is not there")
    if vector.ndim != 1 or len(vector) != model.config.hidden_size:
        raise ValueError("the vector must have d_model numbers")
    handle = model.model.layers[layer].register_forward_hook(lambda m, i, o: o + vector)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def steer_through_the_bias(model, layer, vector):
    if not 0 <= layer < len(model.model.layers) or tuple(vector.shape) != (16,):
        raise ValueError("there is no such layer, or the vector does not fit")
    down = model.model.layers[layer].mlp.down_proj
    before = down.bias
    down.bias = nn.Parameter(vector.clone(), requires_grad=False)
    try:
        yield model
    finally:
        down.bias = before


@contextlib.contextmanager
def steer_in_place(model, layer, vector):
    """Writes into the block's output, which is the same by the hook's rules."""
    if not 0 <= layer < len(model.model.layers) or tuple(vector.shape) != (16,):
        raise ValueError("there is no such layer, or the vector does not fit")

    def hook(module, inputs, output):
        output.add_(vector)

    handle = model.model.layers[layer].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def steer_for_ever(model, layer, vector):
    with contextlib.suppress(IndexError):
        model.model.layers[layer].register_forward_hook(lambda m, i, o: o + vector)
    yield


@contextlib.contextmanager
def steer_asserting(model, layer, vector):
    assert 0 <= layer < len(model.model.layers) and vector.shape == (16,)
    with steer_plainly(model, layer, vector):
        yield


RIGHT = [
    *(("14.activations", a) for a in (with_an_exit_stack, without_hooks, through_the_next_input)),
    *(("14.logit_lens", a) for a in (as_the_model, by_hand, row_by_row)),
    *(("14.induction_score", a) for a in (with_diagonal, with_loops, with_a_mask)),
    *(("14.ablate_heads", a) for a in (one_hook_a_layer, by_multiplying, as_a_class)),
    *(("14.patch_activation", a) for a in (with_one_batch, with_activations, block_by_block)),
    *(("14.steer", a) for a in (steer_plainly, steer_through_the_bias, steer_in_place)),
]

WRONG = [
    ("14.activations", as_a_list),
    ("14.activations", all_from_hugging_face, "last_one_normed"),
    ("14.activations", cleared_by_hand),
    ("14.activations", leaves_evaluation),
    ("14.logit_lens", without_epsilon_and_weights, None),
    ("14.logit_lens", needs_a_batch),
    ("14.induction_score", as_floats),
    ("14.induction_score", whole_diagonal, "one_place_too_many"),
    ("14.induction_score", the_token_itself, "same_token"),
    ("14.ablate_heads", late_binding, "last_head_only"),
    ("14.ablate_heads", always_the_first),
    ("14.ablate_heads", no_manager),
    ("14.ablate_heads", registered_outside_try),
    ("14.patch_activation", hook_forgets_to_return),
    ("14.patch_activation", swapped, "the_other_way_round"),
    ("14.patch_activation", shorter_is_fine, None),
    ("14.steer", steer_for_ever),
    ("14.steer", steer_asserting),
]
