"""Exercise 4.5 (stretch), `load_minilm`: its oracle, inputs, mistakes and hints."""

import contextlib
import copy
import functools

import torch
from torch import nn
from transformers import BertConfig, BertModel

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import real_tokens, seeded
from utils.checks.engine.probes import fill, same
from utils.checks.lesson04.common import blank
from utils.checks.lesson04.encoder_block import EncoderBlock
from utils.checks.lesson04.layer_norm import LayerNorm


class _Encoder(nn.Module):
    """The lesson's encoder, of the stand-ins."""

    def __init__(self, vocab_size, max_T, d_model, n_heads, d_ff, n_layers):
        super().__init__()
        self.word = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(max_T, d_model)
        self.segment = nn.Embedding(2, d_model)
        self.norm = LayerNorm.oracle(d_model, eps=1e-12)
        self.blocks = nn.ModuleList(
            EncoderBlock.oracle(d_model, n_heads, d_ff, eps=1e-12) for _ in range(n_layers)
        )

    def forward(self, ids, mask=None):
        T = ids.shape[1]
        x = self.norm(self.word(ids) + self.position.weight[:T] + self.segment.weight[0])
        states = [x]
        for block in self.blocks:
            x = block(x, mask)
            states.append(x)
        return states


EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "word.weight",
    "embeddings.position_embeddings.weight": "position.weight",
    "embeddings.token_type_embeddings.weight": "segment.weight",
    "embeddings.LayerNorm.weight": "norm.weight",
    "embeddings.LayerNorm.bias": "norm.bias",
}
LAYER = {
    "attention.output.dense": "attention.out_proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "feed_forward.linear1",
    "output.dense": "feed_forward.linear2",
    "output.LayerNorm": "norm2",
}
QKV = ("query", "key", "value")


def _translated(state, n_layers, layer=LAYER, order=QKV, join=torch.cat):
    """The weights under the names that the lesson's encoder has for them."""
    new = {ours: state[theirs] for theirs, ours in EMBEDDINGS.items()}
    for i in range(n_layers):
        theirs, ours = f"encoder.layer.{i}.", f"blocks.{i}."
        for kind in "weight", "bias":
            for their_part, our_part in layer.items():
                new[f"{ours}{our_part}.{kind}"] = state[f"{theirs}{their_part}.{kind}"]
            parts = [state[f"{theirs}attention.self.{part}.{kind}"] for part in order]
            new[f"{ours}attention.in_proj_{kind}"] = join(parts)
    return new


def _load_minilm(encoder, state):
    encoder.load_state_dict(_translated(state, len(encoder.blocks)))
    return encoder


def _loader(change=lambda name, tensor: tensor, strict=True, **options):
    """Load with one step replaced; `change` returns None for a weight that is forgotten."""

    def mutant(encoder, state):
        new = _translated(state, len(encoder.blocks), **options)
        new = {name: change(name, tensor) for name, tensor in new.items()}
        new = {name: tensor for name, tensor in new.items() if tensor is not None}
        encoder.load_state_dict(new, strict=strict)
        return encoder

    return mutant


def _emptying(encoder, state):
    _load_minilm(encoder, state)
    state.clear()
    return encoder


def _norm1_twice(encoder, state):
    new = _translated(state, len(encoder.blocks))
    new |= {n.replace("norm1", "norm2"): tensor for n, tensor in new.items() if "norm1" in n}
    encoder.load_state_dict(new)
    return encoder


def _forgetting(*endings):
    return _loader(lambda name, tensor: None if name.endswith(endings) else tensor, strict=False)


def _first_layer_everywhere(encoder, state):
    moved = dict(state)
    for name in state:
        if name.startswith("encoder.layer."):
            rest = name.split(".", 3)[3]
            moved[name] = state[f"encoder.layer.0.{rest}"]
    return _load_minilm(encoder, moved)


def _silent(encoder, state):
    with contextlib.suppress(KeyError):
        _load_minilm(encoder, state)
    return encoder


def _not_returned(encoder, state):
    _load_minilm(encoder, state)


def _hugging_faces_names(encoder, state):
    encoder.load_state_dict(state, strict=False)
    return encoder


@functools.cache
def _bert(d_model, n_heads, d_ff, n_layers, seed):
    """A small BERT with weights drawn widely enough that every one of them shows."""
    config = BertConfig(
        vocab_size=11,
        max_position_embeddings=7,
        hidden_size=d_model,
        num_attention_heads=n_heads,
        intermediate_size=d_ff,
        num_hidden_layers=n_layers,
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        bert = fill(BertModel(config))
        torch.manual_seed(seed)
        for weight in bert.parameters():
            weight += 0.1 * torch.randn(weight.shape)
    return bert


def _hidden_states(answer, *shape, without=()):
    """The hidden states of the loaded encoder, and for the oracle those of BERT itself.

    With names in `without`, each is taken out of the state in turn, and the result is a word: was
    every such state refused?
    """
    bert, encoder = _bert(*shape), fill(_Encoder(11, 7, *shape[:-1]))
    state = {name: tensor.clone() for name, tensor in bert.state_dict().items()}
    for start in without:
        kept = {name: tensor for name, tensor in state.items() if not name.startswith(start)}
        try:
            answer(encoder, kept)
        except NotImplementedError:
            raise
        except Exception:  # any error is a refusal
            continue
        return "loaded, although a weight was missing"
    if without:
        return "refused"
    state["embeddings.position_ids"] = torch.arange(7)[None]  # as in the published file
    ids, mask = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 0, 0]]), real_tokens(5, 5, 3)
    if answer is _load_minilm:
        found = bert(ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        return [blank(hidden, mask) for hidden in found]
    before = {name: tensor.clone() for name, tensor in state.items()}
    loaded = answer(encoder, state)
    if not isinstance(loaded, nn.Module):
        return loaded
    if set(state) != set(before) or not all(same(state[name], before[name]) for name in before):
        return "`state` is not what it was before: whoever called it still needs it"
    if loaded is not encoder:
        return "what is returned is another encoder than the one that was given"
    if not all(weight.requires_grad for weight in encoder.parameters()):
        return "some weights can no longer learn: their `requires_grad` is False"
    return [blank(hidden, mask) for hidden in loaded(ids, mask)]


def _all_names():
    """Every weight that an encoder needs, by BERT's name; and a whole layer."""
    names = [name for name in _bert(4, 1, 5, 2, 0).state_dict() if not name.startswith("pooler")]
    return (*names, "encoder.layer.1.")


def _load_case(d_model, n_heads, d_ff, n_layers, **options):
    label = f"an encoder with d_model={d_model}, n_heads={n_heads}, d_ff={d_ff} and {n_layers} "
    label += "layers; then all its hidden states, the embeddings' first"
    if options:
        label = f"a `state` with a weight missing, for example {options['without'][0]!r}"
    return Case(d_model, n_heads, d_ff, n_layers, seeded(0), label=label, **options)


load_minilm = Exercise(
    number="4.5",
    name="load_minilm",
    oracle=_load_minilm,
    compared_with="the hidden states of `BertModel`",
    probe=_hidden_states,
    tolerance=Tolerance(absolute=1e-4, relative=1e-4),
    cases=lambda: [
        _load_case(6, 2, 9, 2),
        _load_case(4, 2, 4, 3),
        _load_case(4, 2, 3, 11),  # the name of layer 10 begins like that of layer 1
        _load_case(4, 1, 5, 2, without=("encoder.layer.1.output.dense.bias", *_all_names())),
    ],
    mistakes=[
        Mistake(
            "nothing_loaded",
            "The encoder is as random as before: nothing is loaded. Is `load_state_dict` called at "
            "the end, with a dict whose keys are *our* names? (`strict=False` takes only weights "
            "whose names are the same, and passes over the rest.)",
            _hugging_faces_names,
        ),
        Mistake(
            "missing_weights_accepted",
            "All is well while `state` is complete. With a weight missing, it goes on without it "
            "and says nothing: take each with `state[name]`, and end with "
            "`encoder.load_state_dict(new)`, without `strict=False`.",
            _silent,
        ),
        Mistake(
            "state_changed",
            "`state` is not afterwards what it was (`pop`, a new entry, a step in place?): whoever "
            "called the function would find it changed. Read with `state[name]`, and build a new "
            "dict.",
            _emptying,
        ),
        Mistake(
            "loaded_into_another_encoder",
            "What you return is another encoder than the one you were given: load the weights into "
            "that one, and return it.",
            lambda encoder, state: _load_minilm(copy.deepcopy(encoder), state),
        ),
        Mistake(
            "frozen",
            "Afterwards there are weights that can no longer learn: is there a "
            "`requires_grad = False`, or an `nn.Parameter` made without a gradient? "
            "`load_state_dict` only changes the numbers.",
            lambda encoder, state: _load_minilm(encoder, state).requires_grad_(False),
        ),
        Mistake(
            "norm1_twice",
            "Both norms of a block get the weights of `attention.output.LayerNorm`. The second "
            "norm's are in `output.LayerNorm`.",
            _norm1_twice,
        ),
        Mistake(
            "key_before_query",
            "Query and key are swapped. In `in_proj_weight` and `in_proj_bias` the order is query, "
            "key, value.",
            _loader(order=("key", "query", "value")),
        ),
        Mistake(
            "query_three_times",
            "The query's weights stand for all three. Stack query, key and value on top of one "
            "another.",
            _loader(order=("query", "query", "query")),
        ),
        Mistake(
            "interleaved",
            "The rows of query, key and value take turns. They belong on top of one another, "
            "first all of query: `torch.cat`, not `torch.stack`.",
            _loader(join=lambda parts: torch.stack(parts, dim=1).flatten(0, 1)),
        ),
        Mistake(
            "norms_swapped",
            "The two norms of a block are swapped: `attention.output.LayerNorm` is `norm1`, "
            "`output.LayerNorm` is `norm2`.",
            _loader(
                layer=LAYER | {"attention.output.LayerNorm": "norm2", "output.LayerNorm": "norm1"}
            ),
        ),
        Mistake(
            "feed_forward_layers_swapped",
            "The feed-forward layers are swapped: `intermediate.dense` is `linear1`, "
            "`output.dense` is `linear2`.",
            _loader(
                layer=LAYER
                | {
                    "intermediate.dense": "feed_forward.linear2",
                    "output.dense": "feed_forward.linear1",
                }
            ),
        ),
        Mistake(
            "first_layer_in_all_blocks",
            "Every block gets the weights of layer 0. Is the number fixed in a name? "
            'It has to be the block\'s own, `f"encoder.layer.{i}."`.',
            _first_layer_everywhere,
        ),
        Mistake(
            "biases_not_copied",
            "The biases are not copied, only the weights. Each name ending in `.weight` in a layer "
            "has a partner ending in `.bias`.",
            _forgetting("bias"),
        ),
        Mistake(
            "in_proj_bias_not_copied",
            "`in_proj_bias` is not filled: the biases of query, key and value are stacked just "
            "like the weights.",
            _forgetting("in_proj_bias"),
        ),
        Mistake(
            "segment_table_not_copied",
            "The table of segments is not copied. We use only its first row, but that row is added "
            "to every word: `embeddings.token_type_embeddings.weight` is our `segment.weight`.",
            _forgetting("segment.weight"),
        ),
        Mistake(
            "embedding_norm_not_copied",
            "The norm after the embeddings is not copied: `embeddings.LayerNorm` is our `norm`.",
            _loader(
                lambda name, tensor: None if name.startswith("norm.") else tensor, strict=False
            ),
        ),
        Mistake(
            "encoder_not_returned",
            "The weights are loaded, but the encoder is not returned: `return encoder`.",
            _not_returned,
        ),
        Mistake(
            "load_result_returned",
            "You return what `load_state_dict` returns, which is only a report about names. "
            "Load on one line, and `return encoder` on the next.",
            lambda encoder, state: encoder.load_state_dict(_translated(state, len(encoder.blocks))),
        ),
    ],
    hints=[
        "Print `encoder.state_dict().keys()` and `state.keys()` next to one another. Build a dict "
        "`new` with our names, and end with `encoder.load_state_dict(new)`.",
        "Most weights only change their name. Query, key and value become one: `torch.cat` of "
        "their three weights has shape `(3 * d_model, d_model)`.",
        "For block `i` the names begin with `encoder.layer.{i}.` there and with `blocks.{i}.` "
        "here: `attention.output.dense` → `attention.out_proj`, `attention.output.LayerNorm` → "
        "`norm1`, `intermediate.dense` → `feed_forward.linear1`, and so on.",
    ],
)
