"""Exercise 8.4, `map_weights`: its oracle, inputs, mistakes and hints."""

import torch
from torch import nn

from utils.checks.engine.compare import Seen, Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import seeded
from utils.checks.lesson08.common import angles, hugging_face
from utils.checks.lesson08.grouped_query_attention import GroupedQueryAttention
from utils.checks.lesson08.map_weights_mutants import (
    fixed_number_of_layers,
    head_needed,
    key_error,
    nameless,
    old_names_left,
    renamed,
    renaming,
    swapped,
)
from utils.checks.lesson08.rms_norm import RMSNorm
from utils.checks.lesson08.swiglu import SwiGLU


class _Block(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, d_ff):
        super().__init__()
        self.norm1 = RMSNorm.oracle(d_model)
        self.attention = GroupedQueryAttention.oracle(d_model, n_heads, n_kv_heads)
        self.norm2 = RMSNorm.oracle(d_model)
        self.feed_forward = SwiGLU.oracle(d_model, d_ff)

    def forward(self, x, cos, sin):
        x = x + self.attention(self.norm1(x), cos, sin)
        return x + self.feed_forward(self.norm2(x))


class _Llama(nn.Module):
    """The lesson's Llama, of the stand-ins, as large as the tiny one of Hugging Face's."""

    def __init__(self, n_layers):
        super().__init__()
        self.tokens = nn.Embedding(16, 16)
        self.blocks = nn.ModuleList(_Block(16, 4, 2, 24) for _ in range(n_layers))
        self.norm = RMSNorm.oracle(16)

    def forward(self, ids):
        x = self.tokens(ids)
        cos, sin = angles(0, ids.shape[1], 4, base=10_000.0)
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.norm(x) @ self.tokens.weight.T


def _map_weights(state):
    return renamed(state)


def _layout(tensor):
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def _source(tensor, state):
    """Which of their tensors one of ours is: its name, or what else it is."""
    if not isinstance(tensor, torch.Tensor):
        return f"a {type(tensor).__name__}"
    for name, theirs in state.items():  # the same memory: `detach` makes a new object, no copy
        if _layout(tensor) == _layout(theirs):
            return name
    for name, theirs in state.items():
        if tensor.ndim == 2 and tensor.ndim == theirs.ndim and torch.equal(tensor.T, theirs):
            return f"{name}, transposed"
        if tensor.shape == theirs.shape and torch.equal(tensor.float(), theirs.float()):
            kind = "" if tensor.dtype == theirs.dtype else f" in {tensor.dtype}"
            return f"a copy of {name}{kind}"
    return "other numbers"


def _logits(new, n_layers):
    """What the lesson's Llama makes of these weights; None where they do not fit."""
    ours = _Llama(n_layers)
    try:
        ours.load_state_dict(new)
    except (RuntimeError, TypeError, AttributeError):
        return None
    return ours(torch.tensor([[3, 1, 4, 1, 5]]))


@torch.no_grad()
def _mapped(answer, state, n_layers, unknown=None):
    """How an answer's names and tensors differ from those that our Llama has, and its logits."""
    try:
        new = answer(state)
    except ValueError as error:
        if unknown is None or unknown in str(error):
            raise
        return "a ValueError in which the name does not occur"
    except NotImplementedError:
        raise
    except Exception:
        if unknown is None:
            raise
        return "another type of error"
    if not isinstance(new, dict):
        return new
    right = renamed({name: x for name, x in state.items() if name != unknown})
    sources = {ours: _source(tensor, state) for ours, tensor in new.items()}
    if unknown is not None:
        return "a dict with it" if unknown in sources.values() else "a dict without it"
    found = Seen({"result": "a dict"})
    found["names missing from it"] = [name for name in right if name not in new]
    found["names in it that our Llama has not"] = sorted(str(n) for n in new if n not in right)
    found["entries with something else in them"] = [
        f"{name}: {sources[name]}"
        for name, tensor in right.items()
        if name in new and sources[name] != _source(tensor, state)
    ]
    if state["model.norm.weight"].dtype != torch.float32:
        return found
    if answer is _map_weights:
        model = hugging_face(n_layers, seed=seeded(3))
        found["logits with these weights"] = model(torch.tensor([[3, 1, 4, 1, 5]])).logits
    else:
        found["logits with these weights"] = _logits(new, n_layers)
    return found


def _state_case(n_layers, said="", unknown=None, head=True, order=list, dtype=None, **options):
    state = dict(hugging_face(n_layers, seed=seeded(3)).state_dict())
    if not head:
        del state["lm_head.weight"]
    if unknown:
        state[unknown] = torch.ones(16) * seeded(1)
    state = {name: state[name].to(dtype or torch.float32) for name in order(state)}
    label = f"a Llama with {n_layers} layer{'s' * (n_layers > 1)}{said}"
    return Case(state, n_layers, unknown, label=label, **options)


def _numbered(cases):
    """The cases with labels that can be run."""
    for i, case in enumerate(cases):
        case.label = f'# {case.label}\nmap_weights(checks.inputs("8.4", {i})[0])'
    return cases


def _unknown_case(name):
    return _state_case(1, f" and {name!r} in it", unknown=name, raises=ValueError)


map_weights = Exercise(
    number="8.4",
    name="map_weights",
    oracle=_map_weights,
    compared_with="the names of our Llama and the logits of `LlamaForCausalLM`",
    probe=_mapped,
    tolerance=Tolerance(absolute=1e-4, relative=1e-4),
    cases=lambda: _numbered(
        [
            _state_case(2),
            _state_case(12),  # layer 1 against 10 and 11
            _state_case(2, " and no lm_head.weight", head=False),
            _state_case(3, ", the names in reverse", order=lambda state: [*state][::-1]),
            _state_case(1),
            _state_case(1, " in bfloat16", dtype=torch.bfloat16),
            _unknown_case("model.layers.0.self_attn.q_proj.bias"),
            _unknown_case("model.layers.0.self_attn.rotary_emb.inv_freq"),
            _unknown_case("model.norm.weight_scale"),
            _unknown_case("model.layers.0.self_attn.q_proj.weight_scale"),
            _unknown_case("layers.0.input_layernorm.weight"),
            _unknown_case("lm_head.bias"),
            _unknown_case("vision.model.norm.weight"),
            _unknown_case("transformer.h.0.attn.c_attn.weight"),
        ]
    ),
    mistakes=[
        Mistake(
            "gate_and_up_swapped",
            "`gate` and `up` are swapped: `mlp.gate_proj` is our `feed_forward.gate`, "
            "`mlp.up_proj` our `feed_forward.up`. They have the same shape, so nothing would "
            "complain.",
            swapped("mlp.gate_proj", "mlp.up_proj"),
        ),
        Mistake(
            "norms_swapped",
            "The two norms of a block are swapped: `input_layernorm` is `norm1`, "
            "`post_attention_layernorm` is `norm2`. They have the same shape, so nothing would "
            "complain.",
            swapped("input_layernorm", "post_attention_layernorm"),
        ),
        Mistake(
            "keys_and_values_swapped",
            "`k` and `v` are swapped. They have the same shape, so nothing would complain: "
            "`k_proj` is `attention.k`, `v_proj` is `attention.v`.",
            swapped("self_attn.k_proj", "self_attn.v_proj"),
        ),
        Mistake(
            "queries_and_keys_swapped",
            "`q` and `k` are swapped: `q_proj` is `attention.q`, `k_proj` is `attention.k`.",
            swapped("self_attn.q_proj", "self_attn.k_proj"),
        ),
        Mistake(
            "queries_and_output_swapped",
            "`q` and `out` are swapped. They have the same shape, so nothing would complain: "
            "`q_proj` is `attention.q`, `o_proj` is `attention.out`.",
            swapped("self_attn.q_proj", "self_attn.o_proj"),
        ),
        Mistake(
            "transposed",
            "The matrices are transposed. That was GPT-2's way; Llama's are kept as `nn.Linear` "
            "keeps them, so hand the tensors on as they are.",
            renaming(tensor=lambda x: x.T if x.ndim == 2 else x),
        ),
        Mistake(
            "copies",
            "The names are right, but there are copies among the tensors, which costs memory. "
            "Put the same tensors into the new dict.",
            renaming(tensor=lambda x: x.clone()),
        ),
        Mistake(
            "lm_head_kept",
            "`lm_head.weight` is still there. Our head is the embedding table itself, so it is "
            "left out.",
            renaming(head="lm_head.weight"),
        ),
        Mistake(
            "lm_head_renamed",
            "`lm_head.weight` is still there, under another name. Our head is the embedding table "
            "itself, so it is left out.",
            renaming(head="head.weight"),
        ),
        Mistake(
            "lm_head_required",
            "Right while `lm_head.weight` is there. In a file of a tied model it is missing: leave "
            "it out *if* you meet it.",
            head_needed,
        ),
        Mistake(
            "one_digit_only",
            "Right for ten layers. Of the number of a layer you take one digit only, so layer 11 "
            'becomes 1: `\\d+`, or `name.split(".")[2]`.',
            renaming(number=lambda i: i[0]),
        ),
        Mistake(
            "last_digit_only",
            "Right for ten layers. Of the number of a layer you take the last digit only, so layer "
            '11 becomes 1: `\\d+`, or `name.split(".")[2]`.',
            renaming(number=lambda i: i[-1]),
        ),
        Mistake(
            "layers_from_1",
            "Your blocks count from 1. Both sides count from 0: the number stays as it is.",
            renaming(number=lambda i: int(i) + 1),
        ),
        Mistake(
            "one_block_for_all",
            "Every layer is renamed to block 0, and each overwrites the one before. Take the "
            "layer's number over into the new name.",
            renaming(number=lambda i: 0),
        ),
        Mistake(
            "two_layers_only",
            "Only the first two layers are renamed. A Llama may have any number: go through the "
            "names that `state` has.",
            fixed_number_of_layers,
        ),
        Mistake(
            "final_norm_missing",
            "The norm behind the last block is missing: `model.norm.weight` is our `norm.weight`.",
            renaming(top={"model.embed_tokens": "tokens"}),
        ),
        Mistake(
            "embeddings_missing",
            "The embedding table is missing: `model.embed_tokens.weight` is our `tokens.weight`.",
            renaming(top={"model.norm": "norm"}),
        ),
        Mistake(
            "model_left_in_front",
            "Your names still begin with `model.`: cut it off.",
            renaming(change=lambda ours: f"model.{ours}"),
        ),
        Mistake(
            "layers_for_blocks",
            "Your names begin with `layers.`. In our Llama they are `blocks.`.",
            renaming(change=lambda ours: ours.replace("blocks.", "layers.")),
        ),
        Mistake(
            "weight_cut_off",
            "Your names have lost their ending `.weight`.",
            renaming(change=lambda ours: ours.removesuffix(".weight")),
        ),
        Mistake(
            "old_names_left",
            "Hugging Face's names are still there, beside ours. Begin with an empty dict.",
            old_names_left,
        ),
        Mistake(
            "unknown_names_dropped",
            "Right while all names are known. One that is in neither list is left out without a "
            "word, and the model would be wrong without anybody noticing: raise a `ValueError` "
            "that says which it is.",
            renaming(unknown=lambda name: None),
        ),
        Mistake(
            "unknown_names_kept",
            "Right while all names are known. One that is in neither list is taken over: raise a "
            "`ValueError` that says which it is.",
            renaming(unknown=lambda name: name),
        ),
        Mistake(
            "another_error",
            "Right while all names are known. For one that is in neither list it stops, but with "
            "an error of another type, such as a `KeyError`: raise a `ValueError` that says which "
            "name it is.",
            renaming(unknown=key_error),
        ),
        Mistake(
            "name_not_said",
            "It refuses an unknown name, but does not say which it is: put the name into the "
            "`ValueError`'s sentence.",
            renaming(unknown=nameless),
        ),
    ],
    hints=[
        "A table with our name for each of theirs does most of it: two entries outside the "
        "layers, nine inside.",
        '`name.split(".", 3)` of `model.layers.11.mlp.up_proj.weight` gives `"model"`, '
        '`"layers"`, `"11"` and the rest; the number stays, the rest is looked up.',
        'For a layer: `new[f"blocks.{i}.{LAYER[rest]}"] = tensor`. Skip `lm_head.weight`, and '
        'where no table has the name: `raise ValueError(f"unknown weight {name}")`.',
    ],
)
