"""Exercise 5.2, `DecoderBlock`: its oracle, inputs, mistakes and hints."""

import torch
from torch import nn

from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.lesson05.common import FLOAT32, gradient_said, weigh


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


def _side_by_side(second_norm):
    def steps(self, y, look):
        y = self.norm1(y + self.attend(y) + look(y))
        return getattr(self, second_norm)(y + self.feed_forward(y))

    return steps


def _cross_first(self, y, look):
    y = self.norm2(y + look(y))
    y = self.norm1(y + self.attend(y))
    return self.norm3(y + self.feed_forward(y))


def _cross_first_norms_in_order(self, y, look):
    y = self.norm1(y + look(y))
    y = self.norm2(y + self.attend(y))
    return self.norm3(y + self.feed_forward(y))


def _cross_reads_the_input(self, y, look):
    attended = self.norm1(y + self.attend(y))
    y = self.norm2(attended + look(y))
    return self.norm3(y + self.feed_forward(y))


def _cross_added_to_the_input(self, y, look):
    a = self.norm1(y + self.attend(y))
    b = self.norm2(y + look(a))
    return self.norm3(b + self.feed_forward(b))


def _feed_forward_of_a(self, y, look):
    a = self.norm1(y + self.attend(y))
    b = self.norm2(a + look(a))
    return self.norm3(b + self.feed_forward(a))


def _pre_norm(self, y, look):
    y = y + self.attend(self.norm1(y))
    y = y + look(self.norm2(y))
    return y + self.feed_forward(self.norm3(y))


def _norms(first, second, third):
    """The three steps with these numbers of norms (0: none)."""

    def steps(self, y, look):
        norm1, norm2, norm3 = (
            getattr(self, f"norm{i}") if i else nn.Identity() for i in (first, second, third)
        )
        y = norm1(y + self.attend(y))
        y = norm2(y + look(y))
        return norm3(y + self.feed_forward(y))

    return steps


def _residuals(first=True, second=True, third=True):
    """The three steps with some of the residual connections left out."""

    def steps(self, y, look):
        y = self.norm1(first * y + self.attend(y))
        y = self.norm2(second * y + look(y))
        return self.norm3(third * y + self.feed_forward(y))

    return steps


def _normed_before_the_residual(self, y, look):
    y = y + self.norm1(self.attend(y))
    y = y + self.norm2(look(y))
    return y + self.norm3(self.feed_forward(y))


def _added_in_place(self, y, look):
    y = self.norm1(y + self.attend(y))
    y = self.norm2(y + look(y))
    y += self.feed_forward(y)
    return self.norm3(y)


def _without_feed_forward(norm3):
    def steps(self, y, look):
        y = self.norm1(y + self.attend(y))
        y = self.norm2(y + look(y))
        return self.norm3(y) if norm3 else y

    return steps


def _without_memory(self, y, look):
    y = self.norm1(y + self.attend(y))
    return self.norm3(y + self.feed_forward(y))


def _modules_swapped(self, y, memory, mask=None):
    future, hidden = self.future(y.shape[1]), self.hidden(mask)
    y = self.norm1(y + self.cross_attention(y, y, y, attn_mask=future)[0])
    y = self.norm2(y + self.self_attention(y, memory, memory, key_padding_mask=hidden)[0])
    return self.norm3(y + self.feed_forward(y))


def _block_output(answer, sizes, y, memory, mask=None, trains=False):
    """What the block makes of its input; with `trains`, whether a gradient comes back as well."""
    block = weigh(answer(*sizes), like=_DecoderBlock(*sizes))
    masks = () if mask is None else (mask,)
    with torch.no_grad():
        result = block(y, memory, *masks)
    if trains:
        memory = memory.clone().requires_grad_()
        gradient = gradient_said(block, block(y, memory, *masks))
        reached = memory.grad is not None and bool((memory.grad != 0).any())
        return {"result": result, "gradient": gradient, "the memory gets a gradient": reached}
    return result


def _block_case(sizes, B, T, S, real=None, trains=False):
    """Random y and memory; `real` says how many words of each source are no padding."""
    d_model = sizes[0]
    mask = None if real is None else torch.arange(S) < torch.tensor(real)[:, None]
    label = f"DecoderBlock{sizes} on y of shape {(B, T, d_model)}, memory {(B, S, d_model)}, "
    label += "mask None" if mask is None else f"mask {mask.int().tolist()}"
    label += ", and the gradient" if trains else ""
    seed = 100 * T + S
    y, memory = normal(seed, B, T, d_model), normal(seed + 1, B, S, d_model)
    return Case(sizes, y, memory, mask, trains, label=label)


DecoderBlock = Exercise(
    number="5.2",
    name="DecoderBlock",
    oracle=_DecoderBlock,
    compared_with="`nn.TransformerDecoderLayer`",
    probe=_block_output,
    tolerance=FLOAT32,
    cases=lambda: [
        _block_case((4, 2, 6), 2, 3, 5, real=[3, 4]),
        _block_case((4, 2, 6), 2, 3, 5),
        _block_case((6, 2, 4), 3, 4, 4, real=[2, 3, 4]),
        _block_case((8, 4, 6), 1, 4, 4),
        _block_case((4, 2, 6), 1, 1, 2),
        _block_case((4, 2, 6), 3, 4, 2, real=[2, 1, 2], trains=True),
        _block_case((4, 2, 6), 1, 3, 4, real=[2]),
    ],
    mistakes=[
        Mistake(
            "side_by_side",
            "You add both attentions to the same `y` in one step. They come one after the other: "
            "first `norm1(y + self-attention)`, and the *result* of that asks the memory, in "
            "`norm2(y + cross-attention)`.",
            _block(steps=_side_by_side("norm3")),
        ),
        Mistake(
            "residual_from_the_input",
            "The second sum starts from the block's input `y`. Each step goes on from the result "
            "of the one before: `norm2(a + cross-attention)`, with `a` from `norm1`.",
            _block(steps=_cross_added_to_the_input),
        ),
        Mistake(
            "feed_forward_reads_too_early",
            "The feed-forward part reads the result of `norm1`. It comes last: it reads, and is "
            "added to, the result of `norm2`.",
            _block(steps=_feed_forward_of_a),
        ),
        Mistake(
            "mask_of_numbers",
            "Your causal mask holds the numbers 0 and 1, and PyTorch *adds* numbers to the scores: "
            "the future even becomes more likely. Make it bool: "
            "`torch.ones(T, T, dtype=torch.bool).triu(1)`.",
            _block(future=lambda self, T: torch.ones(T, T).triu(1)),
        ),
        Mistake(
            "memory_detached",
            "The numbers are right, but no gradient reaches the memory: is there a `detach`? The "
            "encoder learns through it.",
            _block(
                look=lambda self, y, memory, hidden: self.cross_attention(
                    y, memory.detach(), memory.detach(), key_padding_mask=hidden
                )[0]
            ),
        ),
        Mistake(
            "side_by_side_with_norms_1_and_2",
            "Both attentions are added to the same `y` under one norm, and `norm3` is left over. "
            "There are three steps, each with its own residual and its own norm: self-attention, "
            "cross-attention, feed-forward.",
            _block(steps=_side_by_side("norm2")),
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
            "memory_not_used",
            "The cross-attention reads `y` again and the memory is never used. Only the queries "
            "come from `y`; keys and values are `memory`.",
            _block(look=lambda self, y, memory, hidden: self.cross_attention(y, y, y)[0]),
        ),
        Mistake(
            "no_masks",
            "Nothing is hidden anywhere. The self-attention needs a causal mask as `attn_mask`, "
            "the cross-attention `key_padding_mask=~mask` where there is a mask.",
            _block(future=lambda self, T: None, hidden=lambda self, mask: None),
        ),
        Mistake(
            "keys_and_values_from_y",
            "The cross-attention takes its keys and values from `y`, which does not even fit the "
            "source's mask unless both happen to have the same length. Keys and values are "
            "`memory`.",
            _block(
                look=lambda self, y, memory, hidden: self.cross_attention(
                    y, y, y, key_padding_mask=hidden
                )[0]
            ),
        ),
        Mistake(
            "values_from_y",
            "The cross-attention finds places in the memory but takes the values from `y`. "
            "Keys *and* values are `memory`.",
            _block(
                look=lambda self, y, memory, hidden: self.cross_attention(
                    y, memory, y, key_padding_mask=hidden
                )[0]
            ),
        ),
        Mistake(
            "queries_from_memory",
            "The cross-attention asks the wrong way round: the queries come from the memory. "
            "The decoder asks, so the queries are `y`, keys and values `memory`.",
            _block(
                look=lambda self, y, memory, hidden: self.cross_attention(
                    memory, y, y, key_padding_mask=hidden
                )[0]
            ),
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
            _block(
                look=lambda self, y, memory, hidden: self.cross_attention(
                    y,
                    memory,
                    memory,
                    key_padding_mask=hidden,
                    attn_mask=self.future(y.shape[1]),
                )[0]
            ),
        ),
        Mistake(
            "cross_attention_reads_the_blocks_input",
            "The queries of the cross-attention are the block's *input*. They should know what the "
            "self-attention has found: take the result of `norm1`.",
            _block(steps=_cross_reads_the_input),
        ),
        Mistake(
            "cross_attention_first",
            "The cross-attention comes before the self-attention. First the words of `y` look at "
            "one another, then at the memory.",
            _block(steps=_cross_first),
        ),
        Mistake(
            "cross_attention_first_with_norm1",
            "You look at the memory first and at `y` second. It is the other way round: "
            "self-attention with `norm1`, then cross-attention with `norm2`.",
            _block(steps=_cross_first_norms_in_order),
        ),
        Mistake(
            "attentions_swapped",
            "The two modules are swapped: `self.cross_attention` reads `y`, and "
            "`self.self_attention` reads the memory.",
            _block(forward=_modules_swapped),
        ),
        Mistake(
            "self_attention_used_twice",
            "The memory is read with `self.self_attention` as well, and `self.cross_attention` "
            "learns nothing. Each has its own weights.",
            _block(
                look=lambda self, y, memory, hidden: self.self_attention(
                    y, memory, memory, key_padding_mask=hidden
                )[0]
            ),
        ),
        Mistake(
            "no_residual_around_self_attention",
            "After the self-attention `y` is replaced, not added to: `norm1(y + …)`.",
            _block(steps=_residuals(first=False)),
        ),
        Mistake(
            "no_residual_around_cross_attention",
            "After the cross-attention only what the memory said is left; what `y` knew is gone. "
            "Add: `norm2(y + …)`.",
            _block(steps=_residuals(second=False)),
        ),
        Mistake(
            "no_residual_around_feed_forward",
            "The feed-forward part replaces `y`. Add to it: `norm3(y + self.feed_forward(y))`.",
            _block(steps=_residuals(third=False)),
        ),
        Mistake(
            "no_residuals",
            "No step keeps `y`: each one must *add* to it, `norm1(y + …)`, and so on.",
            _block(steps=_residuals(False, False, False)),
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
            _block(steps=_norms(1, 1, 1)),
        ),
        Mistake(
            "norms_1_and_2_swapped",
            "`norm1` and `norm2` are swapped: `norm1` belongs to the self-attention.",
            _block(steps=_norms(2, 1, 3)),
        ),
        Mistake(
            "norms_2_and_3_swapped",
            "`norm2` and `norm3` are swapped: `norm2` belongs to the cross-attention, `norm3` "
            "comes last.",
            _block(steps=_norms(1, 3, 2)),
        ),
        Mistake(
            "last_norm_missing",
            "The last norm is missing: return `norm3(y + self.feed_forward(y))`.",
            _block(steps=_norms(1, 2, 0)),
        ),
        Mistake(
            "no_norms",
            "The norms are left out. After each addition comes one: `norm1`, `norm2`, `norm3`.",
            _block(steps=_norms(0, 0, 0)),
        ),
        Mistake(
            "feed_forward_left_out",
            "The feed-forward part is missing. After the two attentions comes "
            "`norm3(y + self.feed_forward(y))`.",
            _block(steps=_without_feed_forward(norm3=True)),
        ),
        Mistake(
            "feed_forward_and_its_norm_left_out",
            "The third step is missing: the block ends with `norm2`. There is still "
            "`norm3(y + self.feed_forward(y))` to come.",
            _block(steps=_without_feed_forward(norm3=False)),
        ),
        Mistake(
            "cross_attention_left_out",
            "The memory is never looked at: the step with `self.cross_attention` and `norm2` is "
            "missing.",
            _block(steps=_without_memory),
        ),
        Mistake(
            "changed_in_place",
            "The numbers are right, but `y += …` writes over a tensor that the gradient still "
            "needs, and training would stop with an error. Write `y = y + …`.",
            _block(steps=_added_in_place),
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
