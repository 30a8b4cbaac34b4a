"""Answers to lesson 14's exercises, as learners write them."""

import contextlib
import copy
import functools

import torch
import torch.nn.functional as F
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


def with_einsum(model, hidden):
    head = model.get_output_embeddings().weight
    return torch.einsum("...d,vd->...v", model.model.norm(hidden), head)


def through_a_model_without_blocks(model, hidden):
    short = copy.copy(model.model)
    short._modules = {**short._modules, "layers": nn.ModuleList()}
    rows = short(inputs_embeds=hidden.reshape(-1, 1, hidden.shape[-1]), use_cache=False)[0]
    return model.lm_head(rows).view(*hidden.shape[:-1], -1)


def last_layer_only(model, hidden):
    return as_the_model(model, hidden[-1])


def left_flat(model, hidden):
    return as_the_model(model, hidden.reshape(-1, hidden.shape[-1]))


def through_the_blocks_again(model, hidden):
    rows = hidden.reshape(1, -1, hidden.shape[-1])
    return model(inputs_embeds=rows).logits.reshape(*hidden.shape[:-1], -1)


def with_a_head_turned_round(model, hidden):
    return model.model.norm(hidden) @ model.lm_head.weight


def likeness_to_each_word(model, hidden):
    normed = model.model.norm(hidden).unsqueeze(-2)
    return F.cosine_similarity(normed, model.lm_head.weight, dim=-1)


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


def repeats(attention, period):
    if not 0 < period < attention.shape[-1]:
        raise ValueError("nothing is repeated with this period")


def with_gather(attention, period):
    repeats(attention, period)
    rows = attention[:, :, period:]
    index = torch.arange(1, 1 + rows.shape[2])[None, None, :, None]
    return rows.gather(-1, index.expand(*rows.shape[:3], 1)).flatten(2).mean(-1).mean(0)


def with_a_smaller_square(attention, period):
    """Rows from `period` on, columns from 1 on: what is wanted is their diagonal."""
    repeats(attention, period)
    part = attention[..., period:, 1:]
    places = part.shape[-2]
    return torch.einsum("bhtt->h", part[..., :places]) / (places * len(attention))


def how_often_it_is_the_largest(attention, period):
    repeats(attention, period)
    t = torch.arange(period, attention.shape[-1])
    return (attention[:, :, t].argmax(-1) == t - period + 1).float().mean((0, 2))


def divided_by_all_places(attention, period):
    repeats(attention, period)
    t = torch.arange(period, attention.shape[-1])
    return attention[:, :, t, t - period + 1].sum((0, 2)) / attention[:, 0, 0].numel()


def every_row_with_every_place(attention, period):
    repeats(attention, period)
    t = torch.arange(period, attention.shape[-1])
    return attention[:, :, t][..., t - period + 1].mean((0, 2, 3))


def every_earlier_time(attention, period):
    repeats(attention, period)
    T = attention.shape[-1]
    back = torch.arange(T)[:, None] - torch.arange(T)
    wanted = (back % period == (period - 1) % period) & (back >= period - 1)
    wanted &= torch.arange(T)[:, None] >= period
    return (attention * wanted).sum((0, 2, 3)) / (len(attention) * (T - period))


def two_whole_periods_at_least(attention, period):
    if period < 1 or 2 * period > attention.shape[-1]:
        raise ValueError("the second time is not complete")
    return with_gather(attention, period)


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


def with_where(model, source, target, layer, position):
    _fitting(model, source, target, layer, position)
    here, outputs = torch.arange(source.shape[1])[:, None] == position, []

    def hook(module, inputs, output):
        outputs.append(output)
        return torch.where(here, outputs[0], output)

    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.callback(model.model.layers[layer].register_forward_hook(hook).remove)
        return [model(ids).logits for ids in (source, target)][1]


class Patch:
    """Reads at its first call, and writes at the second."""

    def __init__(self, position):
        self.position, self.state = position, None

    def __call__(self, module, inputs, output):
        before, state, after = output.tensor_split([self.position, self.position + 1], dim=1)
        if self.state is None:
            self.state = state
        return torch.cat([before, self.state, after], dim=1)


@torch.no_grad()
def with_an_object(model, source, target, layer, position):
    _fitting(model, source, target, layer, position)
    handle = model.model.layers[layer].register_forward_hook(Patch(position))
    try:
        model(source)
        return model(target).logits
    finally:
        handle.remove()


def patched(model, target, layer, change):
    """The target's logits, with something done to what a block puts out."""

    def hook(module, inputs, output):
        output = output.clone()
        change(output)
        return output

    handle = model.model.layers[layer].register_forward_hook(hook)
    try:
        with torch.no_grad():
            return model(target).logits
    finally:
        handle.remove()


def a_component_for_a_position(model, source, target, layer, position):
    _fitting(model, source, target, layer, position)
    state = with_an_exit_stack(model, source)[layer]

    def change(output):
        output[..., position] = state[..., position]

    return patched(model, target, layer, change)


def with_states_of_hugging_face(model, source, target, layer, position):
    """Their last entry is normed."""
    _fitting(model, source, target, layer, position)
    with torch.no_grad():
        states = model(source, output_hidden_states=True).hidden_states[1:]

    def change(output):
        output[:, position] = states[layer][:, position]

    return patched(model, target, layer, change)


def another_word_put_there(model, source, target, layer, position):
    _fitting(model, source, target, layer, position)
    ids = target.clone()
    ids[:, position] = source[:, position]
    with torch.no_grad():
        return model(ids).logits


def counted_from_the_end(model, source, target, layer, position):
    _fitting(model, source, target, layer, abs(position))
    state = with_an_exit_stack(model, source)[layer, 0, position]

    def change(output):
        output[0, position] = state

    return patched(model, target, layer, change)


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


def _fits(model, layer, vector):
    if layer not in range(len(model.model.layers)) or vector.shape != (model.config.hidden_size,):
        raise ValueError("there is no such layer, or the vector does not fit")


class SteerAsAClass(contextlib.AbstractContextManager):
    def __init__(self, model, layer, vector):
        _fits(model, layer, vector)
        self.block, self.vector = model.model.layers[layer], vector

    def __enter__(self):
        self.handle = self.block.register_forward_hook(self.add)
        return self

    def add(self, module, inputs, output):
        return torch.add(output, self.vector)

    def __exit__(self, *error):
        self.handle.remove()


def the_handle(model, layer, vector):
    """What `register_forward_hook` returns is a context manager itself."""
    _fits(model, layer, vector)
    return model.model.layers[layer].register_forward_hook(lambda m, i, o: o + vector)


def steer_by(hook, part=lambda model, layer: model.model.layers[layer], fits=_fits):
    @contextlib.contextmanager
    def steer(model, layer, vector):
        fits(model, layer, vector)
        handle = part(model, layer).register_forward_hook(
            lambda module, inputs, output: hook(output, vector)
        )
        try:
            yield
        finally:
            handle.remove()

    return steer


def first_text_only(output, vector):
    """As in many a recipe, from the days when a block put out a tuple."""
    output[0] += vector
    return output


def last_axis_only(model, layer, vector):
    if layer not in range(len(model.model.layers)) or vector.shape[-1] != model.config.hidden_size:
        raise ValueError("there is no such layer, or the vector does not fit")


RIGHT = [
    *(("14.activations", a) for a in (with_an_exit_stack, without_hooks, through_the_next_input)),
    *(
        ("14.logit_lens", a)
        for a in (as_the_model, by_hand, row_by_row, with_einsum, through_a_model_without_blocks)
    ),
    *(
        ("14.induction_score", a)
        for a in (with_diagonal, with_loops, with_a_mask, with_gather, with_a_smaller_square)
    ),
    *(("14.ablate_heads", a) for a in (one_hook_a_layer, by_multiplying, as_a_class)),
    *(
        ("14.patch_activation", a)
        for a in (with_one_batch, with_activations, block_by_block, with_where, with_an_object)
    ),
    *(
        ("14.steer", a)
        for a in (steer_plainly, steer_through_the_bias, steer_in_place, SteerAsAClass, the_handle)
    ),
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
    ("14.logit_lens", last_layer_only, None),
    ("14.logit_lens", left_flat, None),
    ("14.logit_lens", through_the_blocks_again, None),
    ("14.logit_lens", with_a_head_turned_round, None),
    ("14.logit_lens", likeness_to_each_word, None),
    ("14.induction_score", how_often_it_is_the_largest, None),
    ("14.induction_score", divided_by_all_places, None),
    ("14.induction_score", every_row_with_every_place, None),
    ("14.induction_score", every_earlier_time, None),
    ("14.induction_score", two_whole_periods_at_least),
    ("14.patch_activation", a_component_for_a_position, None),
    ("14.patch_activation", with_states_of_hugging_face, None),
    ("14.patch_activation", another_word_put_there, None),
    ("14.patch_activation", counted_from_the_end, None),
    ("14.steer", steer_by(lambda o, v: (o[0] + v, *o[1:]))),  # a tuple, as it was once
    ("14.steer", steer_by(first_text_only), None),
    ("14.steer", steer_by(lambda o, v: o + v * o.norm(dim=-1, keepdim=True)), None),
    ("14.steer", steer_by(torch.add, lambda model, layer: model.model.embed_tokens), None),
    ("14.steer", steer_by(torch.add, fits=last_axis_only), None),
]
