"""Exercise 5.2, `DecoderBlock`: its oracle, inputs, mistakes and hints."""

import torch
from torch import nn

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import call_text, made, normal, real_tokens
from utils.checks.lesson04.common import habits, turned, watched
from utils.checks.lesson05.common import FLOAT32


class _DecoderBlock(nn.Module):
    """`nn.TransformerDecoderLayer`, working with the submodules that the learner's class has."""

    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.self_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model)
        )
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.norm3 = nn.LayerNorm(d_model)
        layer = nn.TransformerDecoderLayer(
            d_model, n_heads, d_ff, dropout=0.0, batch_first=True, device="meta"
        )
        layer.self_attn, layer.multihead_attn = self.self_attention, self.cross_attention
        layer.linear1, layer.linear2 = self.feed_forward[0], self.feed_forward[2]
        layer.norm1, layer.norm2, layer.norm3 = self.norm1, self.norm2, self.norm3
        self._layer = (layer,)  # in a tuple, so that no weight is registered under two names

    def forward(self, y, memory, mask=None):
        future = nn.Transformer.generate_square_subsequent_mask(
            y.shape[1], device=y.device, dtype=y.dtype
        )
        hidden = None if mask is None else ~mask
        (layer,) = self._layer
        return layer(y, memory, tgt_mask=future, memory_key_padding_mask=hidden)


class _BlockInSteps(_DecoderBlock):
    """The block with every step a method of its own, so that a mistake can replace one."""

    def future(self, T):
        return torch.ones(T, T, dtype=torch.bool).triu(1)

    def hidden(self, mask):
        return None if mask is None else ~mask

    def attend(self, y):
        return self.self_attention(y, y, y, attn_mask=self.future(y.shape[1]))[0]

    def look(self, y, memory, hidden):
        return self.cross_attention(y, memory, memory, key_padding_mask=hidden)[0]

    def steps(self, y, look):
        y = self.norm1(y + self.attend(y))
        y = self.norm2(y + look(y))
        return self.norm3(y + self.feed_forward(y))

    def forward(self, y, memory, mask=None):
        return self.steps(y, lambda y: self.look(y, memory, self.hidden(mask)))


def _block(**methods):
    """A block with some of its steps replaced."""
    return type("DecoderBlock", (_BlockInSteps,), methods)


def _three_steps(norms=(1, 2, 3), adds=(1, 1, 1), asks="a", second_adds_to="a"):
    """The three steps with one thing else; y is the block's input, a and b the first two results.

    Args:
        norms: the numbers of the norms; 0 for none.
        adds: 0 where a step replaces what it should be added to.
        asks: "a" or "y", from which the cross-attention's queries come.
        second_adds_to: "a" or "y".
    """

    def steps(self, y, look):
        first, second, third = (getattr(self, f"norm{i}") if i else nn.Identity() for i in norms)
        a = first(adds[0] * y + self.attend(y))
        kept, asked = (y if word == "y" else a for word in (second_adds_to, asks))
        b = second(adds[1] * kept + look(asked))
        return third(adds[2] * b + self.feed_forward(b))

    return steps


def _reading(*names, causal=False, module="cross_attention"):
    """A cross-attention with these for query, key and value."""

    def look(self, y, memory, hidden):
        q, k, v = ({"y": y, "memory": memory}[name] for name in names)
        future = self.future(y.shape[1]) if causal else None
        attention = getattr(self, module)
        return attention(q, k, v, key_padding_mask=hidden, attn_mask=future)[0]

    return look


def _side_by_side(self, y, look):
    y = self.norm1(y + self.attend(y) + look(y))
    return self.norm3(y + self.feed_forward(y))


def _cross_first(self, y, look):
    y = self.norm2(y + look(y))
    y = self.norm1(y + self.attend(y))
    return self.norm3(y + self.feed_forward(y))


def _pre_norm(self, y, look):
    y = y + self.attend(self.norm1(y))
    y = y + look(self.norm2(y))
    return y + self.feed_forward(self.norm3(y))


def _normed_before_the_residual(self, y, look):
    y = y + self.norm1(self.attend(y))
    y = y + self.norm2(look(y))
    return y + self.norm3(self.feed_forward(y))


def _without_feed_forward(self, y, look):
    y = self.norm1(y + self.attend(y))
    return self.norm2(y + look(y))


def _large():
    """Three words, so far apart that scores of hundreds come out."""
    return torch.tensor(
        [[[1.0, -2, 1], [2, 1, -1], [-3, 4, 2]], [[-1, 2, 1], [1, 1, -3], [3, -4, -2]]]
    )


def _block_output(cls, build, y, memory, mask=None, again=False):
    block = made(cls, build, _DecoderBlock, gentle=True)
    others = {}
    if again:
        longer = torch.cat([memory, 1 - memory], dim=1)
        real = real_tokens(longer.shape[1], *range(1, len(y) + 1))
        long_y = y.repeat(1, 44, 1).cumsum(1).sin()
        others = {
            "without a mask": (y, memory),
            "with a memory twice as long and a mask": (y, longer, real),
            f"with {long_y.shape[1]} words in y and no mask": (long_y, longer),
        }
    masks = () if mask is None else (mask,)
    return watched(block, y, memory, *masks, again=others)


def _block_case(seed, B, T, S, d_model, n_heads, d_ff, lengths=(), **again):
    """Random y and memory; `lengths` says how many words of each source are no padding."""
    build = {"d_model": d_model, "n_heads": n_heads, "d_ff": d_ff}
    label = f"{call_text('DecoderBlock', build)} with weights of the check's own,\n"
    label += f"y of shape {(B, T, d_model)}, memory of shape {(B, S, d_model)}, "
    label += f"mask with rows of {[*lengths]} words" if lengths else "no mask"
    y, memory = normal(seed, B, T, d_model), normal(seed + 1, B, S, d_model)
    masks = (real_tokens(S, *turned(*lengths)),) if lengths else ()
    return Case(build, y, memory, *masks, label=label, **again)


DecoderBlock = Exercise(
    number="5.2",
    name="DecoderBlock",
    oracle=_DecoderBlock,
    compared_with="`nn.TransformerDecoderLayer`",
    probe=_block_output,
    tolerance=FLOAT32,
    cases=lambda: [
        _block_case(1, 2, 3, 5, 4, 2, 6, lengths=(3, 4), again=True),
        _block_case(3, 2, 3, 5, 4, 2, 6, again=True),
        _block_case(5, 3, 4, 4, 6, 2, 4, lengths=(2, 3, 4)),
        _block_case(7, 1, 4, 4, 8, 4, 6),
        _block_case(9, 1, 1, 2, 4, 2, 6),
        _block_case(11, 3, 4, 2, 4, 2, 6, lengths=(2, 1, 2)),
        _block_case(13, 1, 3, 4, 4, 2, 6, lengths=(2,)),
        # so large that minus infinity, or a billion, hides a word, and minus 100 does not
        Case(
            {"d_model": 3, "n_heads": 1, "d_ff": 4},
            12 * _large(),
            -20 * _large().flip(1),
            real_tokens(3, 2, 1),
            label="DecoderBlock(d_model=3, n_heads=1, d_ff=4) with weights of the check's own,\n"
            'y, memory and mask are `checks.inputs("5.2", 7)[1:]`',
        ),
        _block_case(15, 1, 41, 70, 4, 2, 6, lengths=(66,)),
    ],
    mistakes=[
        *habits(_DecoderBlock),
        Mistake(
            "side_by_side",
            "You add both attentions to the same `y` in one step. They come one after the other: "
            "first `norm1(y + self-attention)`, and the *result* of that asks the memory, in "
            "`norm2(y + cross-attention)`.",
            _block(steps=_side_by_side),
        ),
        Mistake(
            "residual_from_the_input",
            "The second sum starts from the block's input `y`. Each step goes on from the result "
            "of the one before: `norm2(a + cross-attention)`, with `a` from `norm1`.",
            _block(steps=_three_steps(second_adds_to="y")),
        ),
        Mistake(
            "mask_of_numbers",
            "Your causal mask holds the numbers 0 and 1, and PyTorch *adds* numbers to the scores: "
            "the future even becomes more likely. Make it bool: "
            "`torch.ones(T, T, dtype=torch.bool).triu(1)`.",
            _block(future=lambda self, T: torch.ones(T, T).triu(1)),
        ),
        Mistake(
            "no_causal_mask",
            "The self-attention sees the future: every word of `y` reads the words after it, which "
            "it is meant to guess. Pass `attn_mask`, True above the diagonal.",
            _block(future=lambda self, T: None),
        ),
        Mistake(
            "causal_mask_upside_down",
            "The causal mask is upside down. `nn.MultiheadAttention` *ignores* where the mask is "
            "True, so it must be True above the diagonal: `triu(1)` of ones.",
            _block(future=lambda self, T: torch.ones(T, T, dtype=torch.bool).tril()),
        ),
        Mistake(
            "a_word_may_not_see_itself",
            "The causal mask hides the diagonal too, so the first word has nothing left to look at "
            "and becomes `nan`. A word may see itself: start one above the diagonal, `triu(1)`.",
            _block(future=lambda self, T: torch.ones(T, T, dtype=torch.bool).triu()),
        ),
        Mistake(
            "one_future_word_seen",
            "Every word sees the one after it: the mask starts one diagonal too high. "
            "`triu(1)` hides all that comes later.",
            _block(future=lambda self, T: torch.ones(T, T, dtype=torch.bool).triu(2)),
        ),
        Mistake(
            "no_masks",
            "Nothing is hidden anywhere. The self-attention needs a causal mask as `attn_mask`, "
            "the cross-attention `key_padding_mask=~mask` where there is a mask.",
            _block(future=lambda self, T: None, hidden=lambda self, mask: None),
        ),
        Mistake(
            "keys_and_values_from_y",
            "The cross-attention takes its keys and values from `y`, and the memory is never used. "
            "Only the queries come from `y`; keys and values are `memory`.",
            _block(look=_reading("y", "y", "y")),
        ),
        Mistake(
            "values_from_y",
            "The cross-attention finds places in the memory but takes the values from `y`. "
            "Keys *and* values are `memory`.",
            _block(look=_reading("y", "memory", "y")),
        ),
        Mistake(
            "queries_from_memory",
            "The cross-attention asks the wrong way round: the queries come from the memory. "
            "The decoder asks, so the queries are `y`, keys and values `memory`.",
            _block(look=_reading("memory", "y", "y")),
        ),
        Mistake(
            "source_padding_seen",
            "The mask is not used: the cross-attention looks at padding. Pass "
            "`key_padding_mask=~mask` where there is a mask.",
            _block(hidden=lambda self, mask: None),
        ),
        Mistake(
            "source_mask_upside_down",
            "The cross-attention looks at the padding and nowhere else. `key_padding_mask` is True "
            "where a key is *ignored*, your `mask` is True for real words: pass `~mask`.",
            _block(hidden=lambda self, mask: mask),
        ),
        Mistake(
            "causal_mask_on_the_memory",
            "The cross-attention has a causal mask. The whole source is there before the first "
            "word is written: hide only its padding.",
            _block(look=_reading("y", "memory", "memory", causal=True)),
        ),
        Mistake(
            "cross_attention_reads_the_blocks_input",
            "The queries of the cross-attention are the block's *input*. They should know what the "
            "self-attention has found: take the result of `norm1`.",
            _block(steps=_three_steps(asks="y")),
        ),
        Mistake(
            "cross_attention_first",
            "The cross-attention comes before the self-attention. First the words of `y` look at "
            "one another, then at the memory.",
            _block(steps=_cross_first),
        ),
        Mistake(
            "self_attention_used_twice",
            "The memory is read with `self.self_attention` as well, and `self.cross_attention` "
            "learns nothing. Each has its own weights.",
            _block(look=_reading("y", "memory", "memory", module="self_attention")),
        ),
        Mistake(
            "no_residual_around_self_attention",
            "After the self-attention `y` is replaced, not added to: `norm1(y + …)`.",
            _block(steps=_three_steps(adds=(0, 1, 1))),
        ),
        Mistake(
            "no_residual_around_cross_attention",
            "After the cross-attention only what the memory said is left; what `y` knew is gone. "
            "Add: `norm2(y + …)`.",
            _block(steps=_three_steps(adds=(1, 0, 1))),
        ),
        Mistake(
            "no_residual_around_feed_forward",
            "The feed-forward part replaces `y`. Add to it: `norm3(y + self.feed_forward(y))`.",
            _block(steps=_three_steps(adds=(1, 1, 0))),
        ),
        Mistake(
            "norm_before_the_step",
            "You norm before each step (pre-LN). That is a good block too, but this one is built "
            "like the paper's: add first, then norm, `norm1(y + attention(y))`.",
            _block(steps=_pre_norm),
        ),
        Mistake(
            "norm_inside_the_residual",
            "You norm what a step returns and add it afterwards. Add first: `norm1(y + …)`, not "
            "`y + norm1(…)`.",
            _block(steps=_normed_before_the_residual),
        ),
        Mistake(
            "norm1_used_throughout",
            "`norm1` is used for all three steps. Each has its own: `norm1`, `norm2`, `norm3`.",
            _block(steps=_three_steps(norms=(1, 1, 1))),
        ),
        Mistake(
            "last_norm_missing",
            "The last norm is missing: return `norm3(y + self.feed_forward(y))`.",
            _block(steps=_three_steps(norms=(1, 2, 0))),
        ),
        Mistake(
            "feed_forward_left_out",
            "The third step is missing: the block ends with `norm2`. There is still "
            "`norm3(y + self.feed_forward(y))` to come.",
            _block(steps=_without_feed_forward),
        ),
    ],
    hints=[
        "Three steps, each of the form `y = norm(y + something(y))`: self-attention, "
        "cross-attention, feed-forward.",
        "`self.self_attention(y, y, y, attn_mask=future)[0]`, where `future` is `(T, T)` and True "
        "above the diagonal: `torch.ones(T, T, dtype=torch.bool).triu(1)`.",
        "`self.cross_attention(y, memory, memory, key_padding_mask=hidden)[0]`, where `hidden` is "
        "`~mask`, or None if there is no mask.",
    ],
)
