"""Exercise 5.3, `Seq2Seq`: its oracle, inputs, mistakes and hints."""

import torch
from torch import nn

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import call_text, made, normal, seeded
from utils.checks.lesson04.common import blank, habits, watched
from utils.checks.lesson05.common import FLOAT32
from utils.checks.lesson05.decoder_block import DecoderBlock


class _Seq2Seq(nn.Module):
    """PyTorch's encoder and its decoder layers, under the names that the learner's class has."""

    def __init__(self, vocab_size, d_model=96, n_heads=4, d_ff=192, n_layers=2, max_T=64, pad_id=0):
        super().__init__()
        self.pad_id = pad_id
        self.tokens = nn.Embedding(vocab_size, d_model)
        self.positions = nn.Embedding(max_T, d_model)
        layer = nn.TransformerEncoderLayer(d_model, n_heads, d_ff, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.decoder = nn.ModuleList(
            DecoderBlock.oracle(d_model, n_heads, d_ff) for _ in range(n_layers)
        )
        self.out = nn.Linear(d_model, vocab_size)

    def embed(self, ids):
        return self.tokens(ids) + self.positions.weight[: ids.shape[1]]

    def encode(self, source):
        return self.encoder(self.embed(source), src_key_padding_mask=source == self.pad_id)

    def decode(self, y, memory, source):
        x = self.embed(y)
        for block in self.decoder:
            x = block(x, memory, source != self.pad_id)
        return self.out(x)

    def forward(self, source, y):
        return self.decode(y, self.encode(source), source)


class _ModelInSteps(_Seq2Seq):
    """The model with every step a method of its own, so that a mistake can replace one."""

    def read(self, source):
        return self.embed(source)

    def hidden(self, source):
        return source == self.pad_id

    def encode(self, source):
        return self.encoder(self.read(source), src_key_padding_mask=self.hidden(source))

    def write(self, y):
        return self.embed(y)

    def real(self, y, source):
        return source != self.pad_id

    def blocks(self, x, memory, mask):
        for block in self.decoder:
            x = block(x, memory, mask)
        return x

    def head(self, x):
        return self.out(x)

    def decode(self, y, memory, source):
        return self.head(self.blocks(self.write(y), memory, self.real(y, source)))


def _model(**methods):
    """A model with some of its steps replaced."""
    return type("Seq2Seq", (_ModelInSteps,), methods)


def _causal_encoder(self, source):
    T = source.shape[1]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    hidden = source == self.pad_id
    return self.encoder(self.embed(source), mask=future, src_key_padding_mask=hidden)


def _tied(self, x):
    return x @ self.tokens.weight.T


def _summed(self, x, memory, mask):
    return sum(block(x, memory, mask) for block in self.decoder)


def _memory_rewritten(self, x, memory, mask):
    for block in self.decoder:
        memory = block(memory, x, mask)
    return memory


def _kept(self, source):
    self.memory = _ModelInSteps.encode(self, source)
    return self.memory


def _from_what_was_kept(self, y, memory, source):
    return _ModelInSteps.decode(self, y, self.memory, source)


def _part(cls, build, part, source, y=None, again=False):
    """What is seen of `encode`, of `decode` with some memory, or of the whole model."""
    model = made(cls, build, _Seq2Seq, gentle=True)
    shorter, d_model = source[:, :-1], build["d_model"]
    if part == "model":
        others = {"with a shorter source": (shorter, y), "with a shorter y": (source, y[:, :-1])}
        return watched(model, source, y, again=others if again else None)
    model.__class__ = type("Model", (cls,), {"forward": getattr(cls, part)})
    if part == "encode":
        others = {"with a shorter source": (shorter,)}
        keep = lambda out, ids: blank(out, ids != build["pad_id"])  # noqa: E731
        return watched(model, source, keep=keep, again=others if again else None)
    model.encode(source.flip(1))  # what this leaves behind must not be found by `decode`
    memory = normal(7, *source.shape, d_model)  # not what this source would give
    others = {
        "with another memory": (y, -memory, source),
        "with another source": (y, memory, source.roll(1, dims=1)),
        "with one word in y": (y[:, :1], memory, source),
        "with a shorter source": (y, memory[:, :-1], shorter),
    }
    found = watched(model, y, memory, source, again=others if again else None)
    if not isinstance(found, Seen):
        return found
    return Seen({key.replace("input 2", "memory"): value for key, value in found.items()})


def _side_case(part, source, y=None, n_layers=2, pad_id=0, vocab_size=10):
    build = {"vocab_size": vocab_size, "d_model": 4, "n_heads": 2, "d_ff": 6}
    build |= {"n_layers": n_layers, "max_T": 8, "pad_id": pad_id}
    if seeded(0):  # other numbers: the rows of the source in another order
        source = source[1:] + source[:1]
    source, ids = torch.tensor(source), None if y is None else torch.tensor(y)
    called = f"{part}(source=torch.tensor({source.tolist()})"
    if part != "encode":
        called = f"{part}(y=torch.tensor({y}), memory, source=torch.tensor({source.tolist()})"
    if part == "model":
        called = f"model(source=torch.tensor({source.tolist()}), y=torch.tensor({y})"
    called = called if part == "model" else f"model.{called}"
    label = f"{called}),\nwhere model = {call_text('Seq2Seq', build)}, with the check's weights"
    return Case(build, part, source, ids, again=len(source) == 2 and n_layers == 2, label=label)


Seq2Seq = Exercise(
    number="5.3",
    name="Seq2Seq",
    oracle=_Seq2Seq,
    compared_with="`nn.TransformerEncoder` and `nn.TransformerDecoderLayer` with the same weights",
    probe=_part,
    tolerance=FLOAT32,
    cases=lambda: [
        _side_case("decode", [[5, 3, 8, 4, 0], [7, 6, 9, 0, 0]], [[1, 6, 4], [1, 9, 3]]),
        _side_case("encode", [[5, 3, 8, 4, 0], [7, 6, 9, 0, 0]]),
        _side_case("decode", [[4, 7, 3], [0, 6, 3]], [[1, 5, 8], [1, 3, 3]], 3, pad_id=3),
        _side_case("encode", [[4, 7, 3, 3], [0, 6, 3, 3], [9, 5, 8, 3]], n_layers=3, pad_id=3),
        _side_case("decode", [[5, 8, 0]], [[1, 3]], n_layers=1),
        _side_case("encode", [[5, 8, 0]], n_layers=1),
        _side_case("model", [[5, 8, 4, 6, 0], [7, 3, 0, 0, 0]], [[1, 4, 3, 9], [1, 6, 8, 5]]),
        # as long as the table of positions, and padding with a large number
        _side_case(
            "model",
            [[5, 8, 4, 6, 7, 257, 299, 299], [256, 3, 9, 8, 0, 1, 2, 4]],
            [[1, 4, 3, 9, 299, 0, 2, 2], [1, 256, 8, 5, 7, 7, 258, 6]],
            n_layers=1,
            pad_id=299,
            vocab_size=300,
        ),
    ],
    mistakes=[
        *habits(_Seq2Seq, "encode", "decode"),
        Mistake(
            "encoder_sees_padding",
            "The encoder looks at padding: a word's meaning would change with the length of its "
            "neighbours in the batch. Pass `src_key_padding_mask=source == self.pad_id`.",
            _model(hidden=lambda self, source: None),
        ),
        Mistake(
            "encoder_mask_upside_down",
            "The encoder sees only padding. `src_key_padding_mask` is True where a word is "
            "*ignored*: `source == self.pad_id`.",
            _model(hidden=lambda self, source: source != self.pad_id),
        ),
        Mistake(
            "decoder_sees_padding",
            "The encoder hides the padding, but the decoder looks at it again: `memory` has a row "
            "for every padding token. Pass `source != self.pad_id` to every block.",
            _model(real=lambda self, y, source: None),
        ),
        Mistake(
            "decoder_mask_upside_down",
            "The decoder sees only the padding of the source. `DecoderBlock` wants True for *real* "
            "words: `source != self.pad_id`.",
            _model(real=lambda self, y, source: source == self.pad_id),
        ),
        Mistake(
            "both_see_padding",
            "Padding is hidden nowhere. The encoder wants `src_key_padding_mask`, True for "
            "padding; the blocks of the decoder want `mask`, True for real words.",
            _model(hidden=lambda self, source: None, real=lambda self, y, source: None),
        ),
        Mistake(
            "padding_is_not_always_0",
            "You compare with 0. That is the default; the padding of this model is `self.pad_id`.",
            _model(
                hidden=lambda self, source: source == 0, real=lambda self, y, source: source != 0
            ),
        ),
        Mistake(
            "mask_made_from_y",
            "The decoder's mask is made from `y`. What is hidden in the cross-attention is the "
            "padding of the *source*: `source != self.pad_id`.",
            _model(real=lambda self, y, source: y != self.pad_id),
        ),
        Mistake(
            "encoder_skipped",
            "The memory is the embedded source: the encoder never ran. "
            "Pass the embeddings through `self.encoder`.",
            _model(encode=lambda self, source: self.embed(source)),
        ),
        Mistake(
            "causal_encoder",
            "The encoder has a causal mask. The source is complete before anything is written, so "
            "its words may look both ways; only the decoder is causal.",
            _model(encode=_causal_encoder),
        ),
        Mistake(
            "no_positions",
            "The words have no positions: use `self.embed`, which adds them, not `self.tokens`.",
            _model(
                read=lambda self, source: self.tokens(source), write=lambda self, y: self.tokens(y)
            ),
        ),
        Mistake(
            "no_positions_in_the_encoder",
            "The source has no positions: in `encode` use `self.embed(source)`, not "
            "`self.tokens(source)`.",
            _model(read=lambda self, source: self.tokens(source)),
        ),
        Mistake(
            "no_positions_in_the_decoder",
            "`y` has no positions: in `decode` use `self.embed(y)`, not `self.tokens(y)`.",
            _model(write=lambda self, y: self.tokens(y)),
        ),
        Mistake(
            "source_read_again",
            "`decode` encodes the source once more. Use the `memory` that it is given: whoever "
            "writes reads the source once and decodes many times.",
            _model(
                decode=lambda self, y, memory, source: _ModelInSteps.decode(
                    self, y, self.encode(source), source
                )
            ),
        ),
        Mistake(
            "memory_kept",
            "`decode` uses a memory that `encode` has left in `self`: it may belong to another "
            "source. Use the `memory` that is given.",
            _model(encode=_kept, decode=_from_what_was_kept),
        ),
        Mistake(
            "decoder_reads_the_source",
            "The decoder embeds `source`. It reads the source through `memory` already; what it "
            "embeds is what has been written so far, `y`.",
            _model(
                decode=lambda self, y, memory, source: self.out(
                    self.blocks(self.embed(source), memory, source != self.pad_id)
                )
            ),
        ),
        Mistake(
            "blocks_not_chained",
            "Only the last block counts: every block gets the embeddings, or you call just one. "
            "Each takes what the one before it returned: `x = block(x, memory, mask)`.",
            _model(blocks=lambda self, x, memory, mask: self.decoder[-1](x, memory, mask)),
        ),
        Mistake(
            "first_block_only",
            "Only the first block is used. Is the `return` inside the loop?",
            _model(blocks=lambda self, x, memory, mask: self.decoder[0](x, memory, mask)),
        ),
        Mistake(
            "blocks_added_up",
            "Every block gets the embeddings and their results are added. They form a chain: "
            "`x = block(x, memory, mask)`.",
            _model(blocks=_summed),
        ),
        Mistake(
            "blocks_left_out",
            "`y` goes from the embedding straight to `self.out`. The blocks in `self.decoder` come "
            "between.",
            _model(blocks=lambda self, x, memory, mask: x),
        ),
        Mistake(
            "y_and_memory_swapped",
            "`y` and `memory` are swapped when you call a block: the decoder's own words come "
            "first, `block(x, memory, mask)`.",
            _model(blocks=_memory_rewritten),
        ),
        Mistake(
            "softmax_at_the_end",
            "You return probabilities. Return the logits of `self.out`: the loss takes the softmax "
            "itself.",
            _model(head=lambda self, x: self.out(x).softmax(-1)),
        ),
        Mistake(
            "log_softmax_at_the_end",
            "You return log-probabilities. Return the plain logits of `self.out`: the loss does "
            "the rest.",
            _model(head=lambda self, x: self.out(x).log_softmax(-1)),
        ),
        Mistake(
            "output_layer_forgotten",
            "You return the last block's vectors. `self.out` turns each of them into one logit "
            "for every word of the vocabulary.",
            _model(head=lambda self, x: x),
        ),
        Mistake(
            "embedding_for_output",
            "You use the embedding as output layer. Many models do; this one has a layer of its "
            "own, `self.out`.",
            _model(head=_tied),
        ),
        Mistake(
            "last_position_only",
            "Only the logits of the last position are left. In training every position predicts "
            "its next word: return all of them, `(B, T, vocab_size)`.",
            _model(head=lambda self, x: self.out(x[:, -1])),
        ),
    ],
    hints=[
        "`encode` is one call: `self.encoder` on the embedded source, with its padding hidden.",
        "`self.encoder(…, src_key_padding_mask=…)` wants `(B, S)`, True for padding. "
        "`DecoderBlock` wants the opposite, True for real words.",
        "`decode`: `x = self.embed(y)`, then `x = block(x, memory, mask)` for every block, then "
        "`self.out(x)`.",
    ],
)
