"""Exercise 17.4, `GatedCrossAttention`: its oracle, inputs, mistakes and hints."""

import torch
from torch import nn
from transformers.models.mllama.configuration_mllama import MllamaTextConfig
from transformers.models.mllama.modeling_mllama import MllamaCrossAttentionDecoderLayer

from utils.checks.engine.compare import Seen
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import made
from utils.checks.lesson17.common import (
    FLOAT32,
    InSteps,
    block_text,
    build,
    dropping,
    leaving_training,
    look_inputs,
    looking_at_words,
    watched,
)


class _Looks(nn.Module):
    """Puts `nn.MultiheadAttention` where Llama's layer has its own attention."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, hidden_states, cross_attention_states, attention_mask, **rest):
        image = cross_attention_states
        return self.attention(hidden_states, image, image, key_padding_mask=attention_mask)


class _GatedCrossAttention(nn.Module):
    """The gated layer of Llama 3.2 Vision, working with the learner's submodules and gates."""

    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.cross_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, d_ff), nn.GELU(), nn.Linear(d_ff, d_model)
        )
        self.gate_attention = nn.Parameter(torch.zeros(1))
        self.gate_feed_forward = nn.Parameter(torch.zeros(1))
        with torch.device("meta"):
            config = MllamaTextConfig(
                hidden_size=d_model,
                intermediate_size=d_ff,
                num_attention_heads=n_heads,
                num_key_value_heads=n_heads,
            )
            layer = MllamaCrossAttentionDecoderLayer(config, layer_idx=0)
        layer.input_layernorm, layer.cross_attn = self.norm1, _Looks(self.cross_attention)
        layer.post_attention_layernorm, layer.mlp = self.norm2, self.feed_forward
        layer.cross_attn_attn_gate = self.gate_attention
        layer.cross_attn_mlp_gate = self.gate_feed_forward
        self._layer = (layer,)  # in a tuple, so that no weight is registered under two names

    def forward(self, text, image, image_mask=None):
        hidden = None if image_mask is None else ~image_mask
        (layer,) = self._layer
        return layer(text, image, hidden, attention_mask=None, full_text_row_masked_out_mask=None)


class _GatedInSteps(InSteps):
    """The gated block with every step a method of its own, so that a mistake can replace one."""

    def gates(self):
        return torch.tanh(self.gate_attention), torch.tanh(self.gate_feed_forward)

    def steps(self, text, look):
        first, second = self.gates()
        x = text + first * look(self.norm1(text))
        return x + second * self.feed_forward(self.norm2(x))


def _gated(**methods):
    """A gated block with some of its steps replaced."""
    return type("GatedCrossAttention", (_GatedInSteps, _GatedCrossAttention), methods)


def _gates(of=torch.tanh, first="gate_attention", second="gate_feed_forward"):
    return _gated(gates=lambda self: (of(getattr(self, first)), of(getattr(self, second))))


def _gate_on_the_residual(self, text, look):
    first, second = self.gates()
    x = (1 - first) * text + first * look(self.norm1(text))
    return (1 - second) * x + second * self.feed_forward(self.norm2(x))


def _gate_over_everything(self, text, look):
    first, second = self.gates()
    x = first * (text + look(self.norm1(text)))
    return second * (x + self.feed_forward(self.norm2(x)))


def _gate_inside(self, text, look):
    first, second = self.gates()
    x = text + look(first * self.norm1(text))
    return x + self.feed_forward(second * self.norm2(x))


def _tanh_of_the_step(self, text, look):
    x = text + self.gate_attention * torch.tanh(look(self.norm1(text)))
    return x + self.gate_feed_forward * torch.tanh(self.feed_forward(self.norm2(x)))


def _gated_without_residuals(self, text, look):
    first, second = self.gates()
    x = first * look(self.norm1(text))
    return second * self.feed_forward(self.norm2(x))


def _gated_without_norms(self, text, look):
    first, second = self.gates()
    x = text + first * look(text)
    return x + second * self.feed_forward(x)


def _one_residual(first, second):
    """The steps with only one of the residual connections."""

    def steps(self, text, look):
        gate1, gate2 = self.gates()
        x = first * text + gate1 * look(self.norm1(text))
        return second * x + gate2 * self.feed_forward(self.norm2(x))

    return steps


def _open_at_the_start(self, **sizes):
    _GatedCrossAttention.__init__(self, **sizes)
    self.gate_attention, self.gate_feed_forward = (nn.Parameter(torch.ones(1)) for _ in range(2))


def _writing(self):
    for gate in self.gate_attention, self.gate_feed_forward:
        gate.data = gate.data.tanh()
    return self.gate_attention, self.gate_feed_forward


def _gated_output(answer, sizes, gates, *inputs):
    """As for the block without gates; with `gates` None these are as `__init__` leaves them."""

    def block():
        return made(answer, build(sizes), _GatedCrossAttention, gentle=True)

    if gates is None:
        block()  # complains if there are other parameters
        fresh = answer(**build(sizes))
        gates = fresh.gate_attention.item(), fresh.gate_feed_forward.item()
    found = watched(block, *inputs, gate_attention=gates[0], gate_feed_forward=gates[1])
    if gates == (0.0, 0.0) and isinstance(found, Seen):
        found["the text itself, to the last bit"] = torch.equal(found["result"], inputs[0])
    return found


def _gated_case(sizes, gates, B, T, N, real=None):
    said, inputs = look_inputs(B, T, N, sizes[0], real)
    label = block_text("GatedCrossAttention", sizes) + "  # the check gives it weights of its own"
    if gates is not None:
        label += f"\nblock.gate_attention.data.fill_({gates[0]})"
        label += f"\nblock.gate_feed_forward.data.fill_({gates[1]})"
    return Case(sizes, gates, *inputs, label=label + said)


GatedCrossAttention = Exercise(
    number="17.4",
    name="GatedCrossAttention",
    oracle=_GatedCrossAttention,
    compared_with="the gated layer of Llama 3.2 Vision (`MllamaCrossAttentionDecoderLayer`)",
    probe=_gated_output,
    tolerance=FLOAT32,
    cases=lambda: [
        _gated_case((4, 2, 6), (1.2, -0.6), 2, 3, 5, real=[3, 4]),
        _gated_case((6, 3, 4), (-0.4, 0.9), 2, 3, 5),
        _gated_case((6, 2, 4), (0.7, 1.5), 3, 4, 4, real=[2, 3, 4]),
        _gated_case((8, 4, 6), (2.0, 0.5), 1, 4, 4),
        _gated_case((6, 2, 6), None, 3, 5, 4),
        _gated_case((4, 2, 6), (1.1, 0.4), 3, 4, 2, real=[2, 1, 2]),
        _gated_case((8, 2, 6), (0.0, 0.0), 2, 5, 6),
        _gated_case((4, 2, 6), (20.0, 20.0), 1, 3, 3, real=[2]),
        _gated_case((4, 2, 6), (0.6, -1.3), 1, 1, 2),
    ],
    mistakes=[
        Mistake(
            "gate_without_gradient",
            "The numbers are right, but the gates would never learn: is there a `math.tanh`, an "
            "`.item()`, a `.data` or a `detach`? `torch.tanh(self.gate_attention)` keeps the way "
            "back.",
            _gates(of=lambda gate: torch.tanh(gate.detach())),
        ),
        Mistake(
            "gate_without_tanh",
            "You multiply by the gate itself, which may grow without end. Its `tanh` stays between "
            "-1 and 1: `torch.tanh(self.gate_attention)`.",
            _gates(of=lambda gate: gate),
        ),
        Mistake(
            "sigmoid_for_tanh",
            "The sigmoid of 0 is a half: the new block would start half open, and disturb a "
            "language model that was good before. `torch.tanh` of 0 is 0: it starts shut.",
            _gates(of=torch.sigmoid),
        ),
        Mistake(
            "one_plus_tanh",
            "`1 + tanh` of a gate at 0 is 1: the block starts wide open. Multiply by "
            "`torch.tanh(self.gate_attention)` alone, which starts at 0.",
            _gates(of=lambda gate: 1 + torch.tanh(gate)),
        ),
        Mistake(
            "gates_not_used",
            "The gates are not used: this is the block of 17.3. Multiply what each step adds by "
            "the `tanh` of its gate.",
            _gated(gates=lambda self: (1, 1)),
        ),
        Mistake(
            "gate_on_the_residual",
            "You mix: the wider the gate opens, the less of the text is left. The text passes "
            "through whole, and the gate weighs only what is added: "
            "`text + torch.tanh(gate) * attention`.",
            _gated(steps=_gate_on_the_residual),
        ),
        Mistake(
            "gate_over_everything",
            "The gate is multiplied with the text as well, so at 0 nothing at all comes out. Only "
            "what is *added* is weighed: `text + torch.tanh(gate) * attention`.",
            _gated(steps=_gate_over_everything),
        ),
        Mistake(
            "gate_inside_the_step",
            "The gate weighs what goes *into* a step. Attention and feed-forward answer something "
            "even to zeros, so the block would not start shut. Weigh what comes out.",
            _gated(steps=_gate_inside),
        ),
        Mistake(
            "tanh_of_the_step",
            "The `tanh` is taken of what the step returns. Take it of the gate: "
            "`torch.tanh(self.gate_attention) * attention`.",
            _gated(steps=_tanh_of_the_step),
        ),
        Mistake(
            "one_gate_for_both",
            "`gate_attention` is used for both steps. The feed-forward part has its own: "
            "`self.gate_feed_forward`.",
            _gates(second="gate_attention"),
        ),
        Mistake(
            "gates_swapped",
            "The gates are swapped: `gate_attention` weighs the attention, `gate_feed_forward` the "
            "feed-forward part.",
            _gates(first="gate_feed_forward", second="gate_attention"),
        ),
        Mistake(
            "only_attention_gated",
            "Only the attention is gated. The feed-forward part is new too, and would disturb the "
            "text from the start: multiply it by `torch.tanh(self.gate_feed_forward)`.",
            _gated(gates=lambda self: (torch.tanh(self.gate_attention), 1)),
        ),
        Mistake(
            "only_feed_forward_gated",
            "Only the feed-forward part is gated. Multiply what the attention found by "
            "`torch.tanh(self.gate_attention)`.",
            _gated(gates=lambda self: (1, torch.tanh(self.gate_feed_forward))),
        ),
        Mistake(
            "no_residual_around_attention",
            "After the attention only what the image said is left; the words are gone. Add to "
            "`text` as it came in.",
            _gated(steps=_one_residual(0, 1)),
        ),
        Mistake(
            "no_residual_around_feed_forward",
            "The feed-forward part replaces `x`. Add to it, through its gate.",
            _gated(steps=_one_residual(1, 0)),
        ),
        Mistake(
            "no_residuals",
            "No step keeps what came in, so at gates of 0 only zeros come out. Each one must *add* "
            "to it: `text + torch.tanh(gate) * attention`, and the same with `x`.",
            _gated(steps=_gated_without_residuals),
        ),
        Mistake(
            "no_norms",
            "The norms are left out. The attention reads `self.norm1(text)`, the feed-forward part "
            "`self.norm2(x)`, as in 17.3.",
            _gated(steps=_gated_without_norms),
        ),
        Mistake(
            "image_ignored",
            "The words look at one another, and the image is never used. Only the query is "
            "`norm1(text)`; key and value are `image`.",
            _gated(look=looking_at_words),
        ),
        Mistake(
            "mask_forgotten",
            "`image_mask` is not used: the words look at padding. Pass "
            "`key_padding_mask=~image_mask` where there is a mask.",
            _gated(hidden=lambda self, mask: None),
        ),
        Mistake(
            "mask_upside_down",
            "The words look at the padding and nowhere else. `key_padding_mask` is True where a "
            "key is *ignored*, `image_mask` is True for real tokens: pass `~image_mask`.",
            _gated(hidden=lambda self, mask: mask),
        ),
        Mistake(
            "gates_open_at_the_start",
            "The gates do not start at 0, so the new block disturbs the language model on the "
            "first day. Leave `__init__` as it was: `torch.zeros(1)`.",
            _gated(__init__=_open_at_the_start),
        ),
        Mistake(
            "draws_at_random",
            "Two calls with the same inputs return two results: is there a dropout? This block has "
            "none. Leave it out, and leave `__init__` as it was.",
            _gated(look=dropping),
        ),
        Mistake(
            "leaves_training_mode",
            "After a call the block, or a part of it, is in evaluation mode, in the middle of "
            "training. Leave `eval()` and `train()` to whoever trains it.",
            _gated(look=leaving_training),
        ),
        Mistake(
            "changes_its_weights",
            "A call changes the block's own weights or gates, and only the optimiser may do that. "
            "Compute with them, and write nothing into `.data` or into a parameter.",
            _gated(gates=_writing),
        ),
    ],
    hints=[
        "Take your block of 17.3. Where must a factor stand, so that at 0 the text comes out as it "
        "went in?",
        "`torch.tanh(self.gate_attention)` has shape `(1,)` and weighs what the attention returns, "
        "before it is added.",
        "`x = text + torch.tanh(self.gate_attention) * attention`, and then the same form with "
        "`self.gate_feed_forward`.",
    ],
)
