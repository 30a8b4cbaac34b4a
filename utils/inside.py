"""Many changes inside a Llama in one batch: what a lesson on its inner life would wait for else.

Every function takes a model of Hugging Face's Llama kind, in evaluation mode, and leaves nothing on
it. Heads are numbered from 0 within their layer.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


def block_inputs(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """What goes into each block: ids (B, T) -> (n_layers, B, T, d_model)."""
    with torch.no_grad():
        states = model(ids, output_hidden_states=True, use_cache=False, logits_to_keep=1)
    return torch.stack(states.hidden_states[:-1])


@torch.no_grad()
def run_from(model: nn.Module, hidden: torch.Tensor, first: int) -> torch.Tensor:
    """The blocks from `first` on: states (B, T, d_model) -> logits of the last place (B, V)."""
    T = hidden.shape[1]
    mask = torch.full((T, T), -torch.inf).triu(1)[None, None]  # (1, 1, T, T)
    turned = model.model.rotary_emb(hidden, torch.arange(T)[None])
    for block in model.model.layers[first:]:
        hidden = block(hidden, attention_mask=mask, position_embeddings=turned)
    return model.lm_head(model.model.norm(hidden[:, -1]))


@torch.no_grad()
def head_outputs(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """What every head puts out, before `o_proj`: (n_layers, B, n_heads, T, d_head)."""
    kept, hooks = [], []
    try:
        for block in model.model.layers:
            hook = block.self_attn.o_proj.register_forward_pre_hook(
                lambda module, inputs: kept.append(inputs[0])
            )
            hooks.append(hook)
        model.model(ids, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    n_heads = model.config.num_attention_heads
    return torch.stack(kept).unflatten(-1, (n_heads, -1)).transpose(2, 3)


@contextlib.contextmanager
def head_replaced(model: nn.Module, layer: int, head: int, new: torch.Tensor) -> Iterator[None]:
    """Within `with`, one head puts out `new` (T, d_head) for every text."""

    def put(module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        x = inputs[0].unflatten(-1, (model.config.num_attention_heads, -1)).clone()
        x[:, :, head] = new  # (B, T, n_heads, d_head)
        return (x.flatten(-2),)

    hook = model.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(put)
    try:
        yield
    finally:
        hook.remove()


def each_head_replaced(
    model: nn.Module, hidden: torch.Tensor, layer: int, new: torch.Tensor
) -> torch.Tensor:
    """Replace the output of one head of a layer, and of the next in another run, as one batch.

    Args:
        model: the model.
        hidden: what goes into the layer, for one text: (1, T, d_model), as `block_inputs` has it.
        layer: whose heads are meant.
        new: what head h puts out in run h: (n_heads, T, d_head).

    Returns:
        Logits of the last place: (n_heads, V).
    """
    n_heads = model.config.num_attention_heads
    every = torch.arange(n_heads)

    def put(module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        x = inputs[0].unflatten(-1, (n_heads, -1)).clone()  # (n_heads, T, n_heads, d_head)
        x[every, :, every] = new
        return (x.flatten(-2),)

    hook = model.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(put)
    try:
        return run_from(model, hidden.expand(n_heads, -1, -1), layer)
    finally:
        hook.remove()


def patch_each_position(
    model: nn.Module, source: torch.Tensor, target: torch.Tensor, layer: int
) -> torch.Tensor:
    """Patch a block's output at one position, and at the next in another run, as one batch.

    Args:
        model: the model.
        source: what the block puts out for the source's text: (T, d_model).
        target: the same for the target's.
        layer: the block.

    Returns:
        Logits of the last place, row p with position p taken from the source: (T, V).
    """
    T = len(target)
    hidden = target.repeat(T, 1, 1)  # (T, T, d_model)
    hidden[range(T), range(T)] = source
    return run_from(model, hidden, layer + 1)
