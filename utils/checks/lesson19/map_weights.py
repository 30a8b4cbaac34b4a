"""Exercise 19.2, `map_weights`: its oracle, inputs, mistakes and hints."""

import functools

import torch
from torch import nn

from utils.checks.engine.compare import ChangesInput, Seen, Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal, seeded

D, HEADS, FF = 6, 3, 10
REST = {
    "self_attn.out_proj": "self_attn.out_proj",
    "self_attn_layer_norm": "norm1",
    "final_layer_norm": "norm2",
    "fc1": "linear1",
    "fc2": "linear2",
}


def _weights(seed):
    """The state dict of one of Hugging Face's encoder layers, all numbers drawn."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer

    config = WhisperConfig(d_model=D, encoder_attention_heads=HEADS, encoder_ffn_dim=FF)
    shapes = {k: v.shape for k, v in WhisperEncoderLayer(config).state_dict().items()}
    return {k: 0.5 * normal(seed + i, *s) for i, (k, s) in enumerate(sorted(shapes.items()))}


def _joined(theirs, order="qkv", key_bias=torch.zeros):
    parts = [theirs[f"self_attn.{x}_proj.weight"] for x in order]
    given = {x: theirs[f"self_attn.{x}_proj.bias"] for x in "qv"}
    biases = [given[x] if x in given else key_bias(len(given["q"])) for x in order]
    return {
        "self_attn.in_proj_weight": torch.cat(parts),
        "self_attn.in_proj_bias": torch.cat(biases),
    }


def _map_weights(theirs):
    ours = _joined(theirs)
    for old, new in REST.items():
        for kind in "weight", "bias":
            ours[f"{new}.{kind}"] = theirs[f"{old}.{kind}"]
    return ours


def _mapped(joined=_joined, rest=REST, change=lambda ours: ours):
    def mutant(theirs):
        ours = joined(theirs)
        for old, new in rest.items():
            for kind in "weight", "bias":
                ours[f"{new}.{kind}"] = theirs[f"{old}.{kind}"]
        return change(ours)

    return mutant


def _turned(ours):
    return {k: v.T if v.ndim == 2 and v.shape[0] == v.shape[1] else v for k, v in ours.items()}


def _joined_along_the_inputs(theirs):
    found = _joined(theirs)
    parts = [theirs[f"self_attn.{x}_proj.weight"].T for x in "qkv"]
    return found | {"self_attn.in_proj_weight": torch.cat(parts)}


def _scaled_queries(theirs):
    found = _joined(theirs)
    weight = found["self_attn.in_proj_weight"].clone()
    weight[:D] *= (D // HEADS) ** -0.5
    return found | {"self_attn.in_proj_weight": weight}


@functools.cache
def _hugging_face():
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer

    config = WhisperConfig(
        d_model=D, encoder_attention_heads=HEADS, encoder_ffn_dim=FF, dropout=0.0
    )
    config._attn_implementation = "eager"
    return WhisperEncoderLayer(config).eval()


def _probe(answer, seed):
    theirs = _weights(seeded(seed))
    given = {k: v.clone() for k, v in theirs.items()}
    ours = answer(given)
    if not isinstance(ours, dict):
        return ours
    layer = nn.TransformerEncoderLayer(
        D, HEADS, FF, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    wanted = set(layer.state_dict())
    found = Seen({"names": sorted(ours)})
    if set(given) != set(theirs) or any(not torch.equal(given[k], theirs[k]) for k in theirs):
        raise ChangesInput
    if set(ours) != wanted:
        return found
    fitting = layer.state_dict()
    odd = {k: tuple(v.shape) for k, v in ours.items() if v.shape != fitting[k].shape}
    found["shapes that do not fit"] = odd
    if odd:
        return found
    # a bias of the keys changes no attention (every query adds the same to all of its scores)
    found["self_attn.in_proj_bias"] = ours["self_attn.in_proj_bias"]
    layer.load_state_dict(ours)
    with torch.no_grad():
        found["the layer's output"] = layer(normal(99, 2, 5, D))
    return found


def _oracle_probe(seed):
    """What Hugging Face's own layer gives with these weights."""
    layer = _hugging_face()
    layer.load_state_dict(_weights(seeded(seed)))
    with torch.no_grad():
        out = layer(normal(99, 2, 5, D), attention_mask=None)
    return out[0] if isinstance(out, tuple) else out


def _looked_at(answer, seed):
    found = _probe(answer, seed)
    if answer is _map_weights and isinstance(found, Seen):
        found["the layer's output"] = _oracle_probe(seed)
    return found


map_weights = Exercise(
    number="19.2",
    name="map_weights",
    oracle=_map_weights,
    compared_with="Hugging Face's own layer with these weights",
    probe=_looked_at,
    tolerance=Tolerance(absolute=2e-5, relative=1e-4),
    cases=lambda: [
        Case(seed, label="map_weights(the state dict of a WhisperEncoderLayer)")
        for seed in (1, 200)
    ],
    mistakes=[
        Mistake(
            "key_bias_not_zero",
            "The keys have no bias in Whisper: their part of `in_proj_bias` is zeros.",
            _mapped(joined=lambda t: _joined(t, key_bias=torch.ones)),
        ),
        Mistake(
            "order_k_q_v",
            "PyTorch joins in the order q, k, v. Yours begins with k.",
            _mapped(joined=lambda t: _joined(t, order="kqv")),
        ),
        Mistake(
            "order_q_v_k",
            "PyTorch joins in the order q, k, v. Yours has v before k.",
            _mapped(joined=lambda t: _joined(t, order="qvk")),
        ),
        Mistake(
            "joined_matrices_transposed",
            "The three matrices are transposed before you join them. Both libraries keep "
            "(out, in): join them as they are, along axis 0.",
            _mapped(joined=_joined_along_the_inputs),
        ),
        Mistake(
            "square_matrices_transposed",
            "Square matrices are transposed. Both libraries keep (out, in).",
            _mapped(change=_turned),
        ),
        Mistake(
            "norms_exchanged",
            "The two norms are exchanged: `self_attn_layer_norm` is the first, `final_layer_norm` "
            "the second.",
            _mapped(rest=REST | {"self_attn_layer_norm": "norm2", "final_layer_norm": "norm1"}),
        ),
        Mistake(
            "queries_scaled",
            "You scale the queries. PyTorch divides by √d_head itself.",
            _mapped(joined=_scaled_queries),
        ),
        Mistake(
            "key_bias_missing",
            "`in_proj_bias` has to be as long as `in_proj_weight`: zeros where the keys' bias "
            "would stand.",
            _mapped(
                change=lambda ours: {k: v for k, v in ours.items() if k != "self_attn.in_proj_bias"}
            ),
        ),
        Mistake(
            "key_bias_skipped",
            "`in_proj_bias` is too short: put zeros where the keys' bias would stand, between q's "
            "and v's.",
            _mapped(joined=lambda t: _joined(t, key_bias=lambda n: torch.zeros(0))),
        ),
        Mistake(
            "not_joined",
            "PyTorch keeps queries, keys and values in one matrix: `self_attn.in_proj_weight`.",
            lambda theirs: {k.replace("_layer_norm", "_norm"): v for k, v in theirs.items()},
        ),
        Mistake(
            "first_norm_missing",
            "`norm1` is missing: it is Hugging Face's `self_attn_layer_norm`.",
            _mapped(change=lambda ours: {k: v for k, v in ours.items() if "norm1" not in k}),
        ),
    ],
    hints=[
        '`torch.cat([theirs[f"self_attn.{x}_proj.weight"] for x in "qkv"])` is '
        "`self_attn.in_proj_weight`. For the bias put `torch.zeros` in the place of k's.",
        "The rest is renaming: out_proj stays, `self_attn_layer_norm` → `norm1`, "
        "`final_layer_norm` → `norm2`, `fc1` → `linear1`, `fc2` → `linear2`.",
    ],
)
