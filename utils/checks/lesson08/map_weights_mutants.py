"""What the mistakes of exercise 8.4 are made of: the table of names, and one step replaced."""

import re

LAYER = {
    "input_layernorm": "norm1",
    "self_attn.q_proj": "attention.q",
    "self_attn.k_proj": "attention.k",
    "self_attn.v_proj": "attention.v",
    "self_attn.o_proj": "attention.out",
    "post_attention_layernorm": "norm2",
    "mlp.gate_proj": "feed_forward.gate",
    "mlp.up_proj": "feed_forward.up",
    "mlp.down_proj": "feed_forward.down",
}
TOP = {"model.embed_tokens": "tokens", "model.norm": "norm"}


def refuse(name):
    """What the task demands for an unknown name."""
    raise ValueError(f"not a weight of a Llama: {name}")


def renaming(
    layer=LAYER,
    top=TOP,
    number=lambda i: i,
    unknown=lambda name: refuse(name),
    change=lambda ours: ours,
    tensor=lambda tensor: tensor,
    head=None,
):
    """Renaming with one step replaced."""

    def mutant(state):
        new = {}
        for name, value in state.items():
            stem, ours = name.removesuffix(".weight"), None
            inside = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
            if name == "lm_head.weight":
                ours = head
            elif inside and inside[2] in LAYER:
                part = layer.get(inside[2])
                ours = part and f"blocks.{number(inside[1])}.{part}.weight"
            elif stem in TOP and name.endswith(".weight"):
                ours = top.get(stem) and f"{top[stem]}.weight"
            else:
                ours = unknown(name)
            if ours:
                new[change(ours)] = tensor(value)
        return new

    return mutant


renamed = renaming()


def swapped(one, other):
    """Two names inside the layers swapped."""
    return renaming(LAYER | {one: LAYER[other], other: LAYER[one]})


def fixed_number_of_layers(state):
    """Only the first two layers."""
    few = {}
    for name, value in state.items():
        inside = re.match(r"model\.layers\.(\d+)\.", name)
        if not inside or int(inside[1]) < 2:
            few[name] = value
    return renamed(few)


def key_error(name):
    """Another type of error."""
    raise KeyError(name)


def nameless(name):
    """An error that does not say which name."""
    raise ValueError("an unknown name")


def old_names_left(state):
    """Both lists of names in one dict."""
    return state | renamed(state)


def head_needed(state):
    """Stops where there is no head."""
    left = dict(state)
    del left["lm_head.weight"]
    return renamed(left)
