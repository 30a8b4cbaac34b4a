"""Lesson 05: the decoder and cross-attention. Answers take and return PyTorch tensors."""

import random
import warnings

import torch
from torch import nn
from transformers import GenerationConfig, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput
from transformers.models.bart.modeling_bart import shift_tokens_right

from utils.checks import hint, progress  # noqa: F401  (a lesson calls them as checks.hint)
from utils.checks.compare import Tolerance
from utils.checks.engine import Case, Exercise, Lesson, Mistake
from utils.checks.probes import fill

LESSON = Lesson("05", "The decoder and cross-attention", "05_decoder")
FLOAT32 = Tolerance(absolute=1e-4, relative=1e-4)


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def _weigh(module: nn.Module, like: nn.Module) -> nn.Module:
    """Fill a module; norms and biases stay near their usual values, or they drown the rest."""
    for name, parameter in fill(module, like, scale=0.8).named_parameters():
        if parameter.ndim == 1:
            usual = float("norm" in name and name.endswith("weight"))
            parameter.copy_(usual + 0.4 * (parameter - usual))
    return module


def _gradient(module: nn.Module, result: torch.Tensor) -> str:
    """Whether the module could be trained: what happens when the gradient is taken."""
    if not (isinstance(result, torch.Tensor) and result.requires_grad):
        return "no gradient reaches the weights"
    try:
        result.square().sum().backward()
    except RuntimeError as error:
        if "inplace" not in str(error):
            raise
        return "no gradient: a tensor was changed in place"
    without = [name for name, p in module.named_parameters() if p.grad is None]
    return f"no gradient reaches {without[0]}" if without else "the gradient reaches every weight"


# --- 5.1 shift_right ------------------------------------------------------------------------


def _shift_right(targets, bos_id):
    return shift_tokens_right(targets, -100, bos_id)


def _column(targets, token):
    return torch.full_like(targets[:, :1], token)


def _first_row_overwritten(targets, bos_id):
    shifted = _shift_right(targets, 0)
    shifted[0] = bos_id
    return shifted


shift_right = Exercise(
    number="5.1",
    name="shift_right",
    oracle=_shift_right,
    compared_with="`shift_tokens_right` of Hugging Face's BART",
    cases=lambda: [
        Case(torch.tensor([[5, 6, 7, 2], [8, 4, 2, 9]]), 1),
        Case(torch.tensor([[5, 3, 6], [4, 8, 7], [6, 9, 2]]), 1),
        Case(torch.tensor([[4], [6], [5]]), 3),
        Case(torch.tensor([[7, 4, 6, 5, 2]]), 0),
        Case(torch.tensor([[9, 8], [7, 6], [5, 4], [8, 9]]), 2),
    ],
    mistakes=[
        Mistake(
            "not_shifted",
            "The targets come back as they are: at every place the decoder would read the very "
            "word that it should write. Put `bos_id` in front and leave the last column out.",
            lambda targets, bos_id: targets.clone(),
        ),
        Mistake(
            "shifted_left",
            "You shift to the *left*: the decoder would read the word after the one it should "
            "write. `bos_id` comes first, and the last column goes.",
            lambda targets, bos_id: torch.cat([targets[:, 1:], _column(targets, bos_id)], dim=1),
        ),
        Mistake(
            "one_too_long",
            "The rows are longer by one than the targets. The last column is written but never "
            "read: keep only `targets[:, :-1]` behind `bos_id`.",
            lambda targets, bos_id: torch.cat([_column(targets, bos_id), targets], dim=1),
        ),
        Mistake(
            "bos_missing",
            "The last column is gone, but nothing stands in front. Put a column of `bos_id` before "
            "the targets, so that the shape stays `(B, T)`.",
            lambda targets, bos_id: targets[:, :-1],
        ),
        Mistake(
            "rolled_round",
            "`roll` brings the last token round to the front. What the decoder reads first is "
            "`bos_id`, not the end of the answer: write it over the first column.",
            lambda targets, bos_id: targets.roll(1, dims=1),
        ),
        Mistake(
            "first_token_overwritten",
            "`bos_id` replaces the first token, and the others have not moved. It has to *push* "
            "them to the right: the first token goes to column 1.",
            lambda targets, bos_id: torch.cat([_column(targets, bos_id), targets[:, 1:]], dim=1),
        ),
        Mistake(
            "bos_at_the_end",
            "`bos_id` stands at the end. It is what the decoder reads *first*: put it in front.",
            lambda targets, bos_id: torch.cat([targets[:, :-1], _column(targets, bos_id)], dim=1),
        ),
        Mistake(
            "shifted_along_the_batch",
            "You shift from one sentence to the next: row 1 reads the words of row 0. Shift along "
            "the words: `dim=1`.",
            lambda targets, bos_id: torch.cat([torch.full_like(targets[:1], bos_id), targets[:-1]]),
        ),
        Mistake(
            "bos_fills_a_row",
            "`bos_id` fills the first *row*. It belongs into the first *column*, `[:, 0]`, once "
            "for each sentence.",
            _first_row_overwritten,
        ),
        Mistake(
            "shifted_twice",
            "You shift by two places: the decoder would never see the newest word. One `bos_id` in "
            "front is enough.",
            lambda targets, bos_id: _shift_right(_shift_right(targets, bos_id), bos_id),
        ),
        Mistake(
            "bos_id_ignored",
            "There is a 0 in front, whatever `bos_id` is. Fill the first column with `bos_id`.",
            lambda targets, bos_id: _shift_right(targets, 0),
        ),
        Mistake(
            "floats_for_tokens",
            "The numbers are right but they are floats, which no embedding accepts. "
            "`torch.zeros` and `torch.full` with a float make them; `torch.full_like(targets, …)` "
            "keeps whole numbers.",
            lambda targets, bos_id: _shift_right(targets, bos_id).float(),
        ),
    ],
    hints=[
        "Write one row on paper: the targets are `a b c <end>`. What has been written before each "
        "of them?",
        "The result has the shape of the targets: one column comes in front, the last one goes.",
        "`torch.full_like(targets[:, :1], bos_id)` is the new column; `torch.cat([…, …], dim=1)` "
        "puts it before `targets[:, :-1]`.",
    ],
)

# --- 5.2 DecoderBlock -----------------------------------------------------------------------


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
    block = _weigh(answer(*sizes), like=_DecoderBlock(*sizes))
    masks = () if mask is None else (mask,)
    with torch.no_grad():
        result = block(y, memory, *masks)
    if trains:
        memory = memory.clone().requires_grad_()
        gradient = _gradient(block, block(y, memory, *masks))
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
    y, memory = _normal(seed, B, T, d_model), _normal(seed + 1, B, S, d_model)
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

# --- 5.3 Seq2Seq ----------------------------------------------------------------------------


class _Seq2Seq(nn.Module):
    """PyTorch's encoder and its decoder layers, under the names that the learner's class has."""

    def __init__(self, vocab_size, d_model=96, n_heads=4, d_ff=192, n_layers=2, max_T=64, pad_id=0):
        super().__init__()
        self.pad_id = pad_id
        self.tokens = nn.Embedding(vocab_size, d_model)
        self.positions = nn.Embedding(max_T, d_model)
        layer = nn.TransformerEncoderLayer(d_model, n_heads, d_ff, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.decoder = nn.ModuleList(_DecoderBlock(d_model, n_heads, d_ff) for _ in range(n_layers))
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


def _side(answer, sizes, part, source, y=None):
    """What the encoder, or the decoder with some memory, makes of its input."""
    trusted = _Seq2Seq(**sizes)
    model = _weigh(answer(**sizes), like=trusted)
    if part == "encode":
        memory, padding = model.encode(source), source == sizes["pad_id"]
        if isinstance(memory, torch.Tensor) and memory.shape[:-1] == source.shape:
            memory = memory.masked_fill(padding[..., None], 0.0)  # what stands there is not read
        return memory
    if part == "decode":
        memory = _normal(7, *source.shape, sizes["d_model"])  # not what this source would give
        return model.decode(y, memory, source)
    for result in (model.encode(source), model(source, y)):
        if not isinstance(result, torch.Tensor):
            return result
    return _gradient(model, model(source, y))


def _side_case(part, source, y=None, n_layers=2, pad_id=0):
    sizes = {"vocab_size": 10, "d_model": 4, "n_heads": 2, "d_ff": 6}
    sizes |= {"n_layers": n_layers, "max_T": 8, "pad_id": pad_id}
    label = {
        "encode": f"encode(source={source})",
        "decode": f"decode(y={y}, memory, source={source})",
        "gradient": f"the gradient of model(source={source}, y={y})",
    }[part]
    label += f", padding is {pad_id}, {n_layers} layer" + "s" * (n_layers > 1)
    ids = None if y is None else torch.tensor(y)
    return Case(sizes, part, torch.tensor(source), ids, label=label)


Seq2Seq = Exercise(
    number="5.3",
    name="Seq2Seq",
    oracle=_Seq2Seq,
    compared_with="`nn.TransformerEncoder` and `nn.TransformerDecoderLayer` with the same weights",
    probe=_side,
    tolerance=FLOAT32,
    cases=lambda: [
        _side_case("decode", [[5, 3, 8, 4, 0], [7, 6, 9, 0, 0]], [[1, 6, 4], [1, 9, 3]]),
        _side_case("encode", [[5, 3, 8, 4, 0], [7, 6, 9, 0, 0]]),
        _side_case("decode", [[4, 7, 3], [0, 6, 3]], [[1, 5, 8], [1, 3, 3]], 3, pad_id=3),
        _side_case("encode", [[4, 7, 3, 3], [0, 6, 3, 3], [9, 5, 8, 3]], n_layers=3, pad_id=3),
        _side_case("decode", [[5, 8, 0]], [[1]], n_layers=1),
        _side_case("encode", [[5, 0]], n_layers=1),
        _side_case("gradient", [[5, 8, 4, 6, 0], [7, 3, 0, 0, 0]], [[1, 4, 3, 9], [1, 6, 8, 5]]),
    ],
    mistakes=[
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
        Mistake(
            "no_gradient_in_the_encoder",
            "The numbers are right, but no gradient reaches the encoder, so it would never learn. "
            "Leave out `torch.no_grad` and `detach`: whoever only generates can add it outside.",
            _model(encode=lambda self, source: _ModelInSteps.encode(self, source).detach()),
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

# --- 5.4 greedy_decode ----------------------------------------------------------------------

PAD, BOS, EOS = 0, 1, 2


class Writer(PreTrainedModel, GenerationMixin):
    """Any model with `encode` and `decode`, reading one batch of sources, for `generate`."""

    config_class = PreTrainedConfig
    main_input_name = "input_ids"

    def __init__(self, model, source: torch.Tensor, eos_id: int) -> None:
        super().__init__(PreTrainedConfig())
        memory = model.encode(source)

        def logits(y):
            beams = len(y) // len(source)
            return model.decode(
                y, memory.repeat_interleave(beams, 0), source.repeat_interleave(beams, 0)
            )

        self.logits = logits  # a function, so that the model's weights are not registered here
        self.anchor = nn.Parameter(torch.zeros(1, device=source.device))  # says where to compute
        self.generation_config = GenerationConfig(
            eos_token_id=eos_id, pad_token_id=eos_id, use_cache=False
        )

    def forward(self, input_ids, **_):
        """Logits after every token so far: (B, T) -> (B, T, vocab_size)."""
        return CausalLMOutput(logits=self.logits(input_ids))


@torch.no_grad()
def _written(model, source, bos_id, eos_id, max_T, **options):
    """What Hugging Face's `generate` writes, without the first token."""
    y = torch.full_like(source[:, :1], bos_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokens = Writer(model, source, eos_id).generate(
            y,
            attention_mask=torch.ones_like(y),
            do_sample=False,
            max_new_tokens=max_T,
            **options,
        )
    return tokens[:, 1:]


def _greedy_decode(model, source, bos_id, eos_id, max_T):
    return _written(model, source, bos_id, eos_id, max_T)


def _greedy_loop(
    first=lambda bos_id, eos_id: bos_id,
    context=lambda y: y,
    position=-1,
    pick=lambda logits: logits.argmax(-1, keepdim=True),
    after_end=lambda token, eos_id: eos_id,
    steps=lambda n: n,
    stops=torch.all,
    kept=slice(1, None),
):
    """The greedy loop with one step replaced."""

    @torch.no_grad()
    def mutant(model, source, bos_id, eos_id, max_T):
        memory = model.encode(source)
        y = torch.full_like(source[:, :1], first(bos_id, eos_id))
        ended = torch.zeros_like(y, dtype=torch.bool)
        for _ in range(steps(max_T)):
            token = pick(model.decode(context(y), memory, source)[:, position])
            token = torch.where(ended, after_end(token, eos_id), token)
            y = torch.cat([y, token], dim=1)
            ended = ended | (token == eos_id)
            if stops(ended):
                break
        return y[:, kept]

    return mutant


class _RandomModel(nn.Module):
    """Encoder and decoder whose logits are drawn at random for every source and beginning.

    No two beginnings share their logits and there are no ties, so that every step that goes wrong
    shows; `end` is added to the logit of the end token.
    """

    def __init__(self, vocab_size, end, spread, eos_id=EOS):
        super().__init__()
        self.vocab_size, self.end, self.spread, self.eos_id = vocab_size, end, spread, eos_id

    def encode(self, source):
        return source.float()[..., None]

    def decode(self, y, memory, source):
        if not len(y) == len(memory) == len(source):
            raise ValueError(
                f"y has {len(y)} rows, memory {len(memory)} and source {len(source)}: "
                "every row of y needs its own row of the others"
            )
        sources = [[int(x) for x in row if x != PAD] for row in memory[..., 0].tolist()]
        rows = [
            [self._logits(words, tokens[: t + 1]) for t in range(len(tokens))]
            for words, tokens in zip(sources, y.tolist(), strict=True)
        ]
        return torch.tensor(rows)

    def forward(self, source, y):
        return self.decode(y, self.encode(source), source)

    def _logits(self, words, tokens):
        draw = random.Random(f"{words} {tokens}")
        shift = draw.gauss(0, 2)
        logits = [draw.gauss(shift, self.spread) for _ in range(self.vocab_size)]
        logits[self.eos_id] += self.end
        logits[PAD] -= 12  # a trained model writes neither of these
        logits[BOS] -= 12
        return logits


def _greedy_case(source, max_T, end=0.0, eos_id=EOS, bos_id=BOS, vocab_size=9, spread=2.0):
    label = f"greedy_decode(a random model, source={source}, "
    label += f"bos_id={bos_id}, eos_id={eos_id}, max_T={max_T})"
    model = _RandomModel(vocab_size, end, spread, eos_id)
    return Case(model, torch.tensor(source), bos_id, eos_id, max_T, label=label)


greedy_decode = Exercise(
    number="5.4",
    name="greedy_decode",
    oracle=_greedy_decode,
    compared_with="`generate(do_sample=False)`, token for token,",
    cases=lambda: [
        _greedy_case([[8, 6, 7, 7, 0], [7, 5, 4, 8, 3], [7, 3, 0, 0, 0]], 5),
        _greedy_case([[4, 6, 0], [5, 3, 7]], 4),
        _greedy_case([[7, 5, 0, 0], [3, 0, 0, 0], [4, 8, 6, 3], [6, 6, 5, 0]], 8, end=2.0),
        _greedy_case([[5]], 1),
        _greedy_case([[6, 4]], 3, end=-9.0),
        _greedy_case([[3, 8, 0], [4, 5, 6]], 6, end=-9.0, eos_id=7),
        _greedy_case([[3, 8, 0], [4, 5, 6], [6, 6, 3]], 6, end=1.5, eos_id=5),
        _greedy_case([[3, 8, 0], [4, 5, 6]], 5, end=1.0, bos_id=4),
        _greedy_case([[8, 3, 0], [5, 5, 6]], 5, end=1.0, bos_id=6, eos_id=3),
    ],
    mistakes=[
        Mistake(
            "bos_kept",
            "The first token of every row is `bos_id`. You gave it to the decoder, it did not "
            "write it: return `y[:, 1:]`.",
            _greedy_loop(kept=slice(None)),
        ),
        Mistake(
            "goes_on_after_the_end",
            "A row that has written `eos_id` writes other tokens afterwards, while it waits for "
            "the rest of the batch. Remember who has ended, and give them `eos_id` only: "
            "`torch.where(ended, eos_id, token)`.",
            _greedy_loop(after_end=lambda token, eos_id: token),
        ),
        Mistake(
            "end_hard_coded",
            "You look for the token 2, whatever `eos_id` is.",
            lambda model, source, bos_id, eos_id, max_T: _greedy_loop()(
                model, source, bos_id, 2, max_T
            ),
        ),
        Mistake(
            "beginning_hard_coded",
            "You begin with the token 1, whatever `bos_id` is.",
            lambda model, source, bos_id, eos_id, max_T: _greedy_loop()(
                model, source, 1, eos_id, max_T
            ),
        ),
        Mistake(
            "end_ignored",
            "Nothing happens when a row writes `eos_id`: all rows go on to `max_T`. A row that has "
            "ended gets only `eos_id`, and when all have ended, stop. (All in the *same* step is "
            "rare: remember who has ended before.)",
            _greedy_loop(after_end=lambda token, eos_id: token, stops=lambda ended: False),
        ),
        Mistake(
            "never_stops_early",
            "The rows are right, but too long: when every row has written `eos_id`, stop, before "
            "`max_T` is reached.",
            _greedy_loop(stops=lambda ended: False),
        ),
        Mistake(
            "stops_at_the_first_end",
            "You stop when *one* row has written `eos_id`, and cut the others short. Stop when all "
            "have: `ended.all()`.",
            _greedy_loop(stops=torch.any),
        ),
        Mistake(
            "only_the_first_row_stops_it",
            "You look at the first row only to know whether to stop. Stop when *every* row has "
            "written `eos_id`.",
            _greedy_loop(stops=lambda ended: ended[0]),
        ),
        Mistake(
            "padded_with_0",
            "After a row's end you write 0. Here it is `eos_id` again.",
            _greedy_loop(after_end=lambda token, eos_id: 0),
        ),
        Mistake(
            "first_position",
            "You take the logits at the *first* position. Each position predicts the token after "
            "it; the newest comes from the last, `logits[:, -1]`.",
            _greedy_loop(position=0),
        ),
        Mistake(
            "history_lost",
            "Only the newest token is given to the decoder: it has forgotten what it has written. "
            "Give it all tokens so far, from `bos_id` on.",
            _greedy_loop(context=lambda y: y[:, -1:]),
        ),
        Mistake(
            "one_token_too_few",
            "One token is missing. `max_T` counts the new tokens; `bos_id` is not one of them.",
            _greedy_loop(steps=lambda n: n - 1),
        ),
        Mistake(
            "last_column_dropped",
            "The last column is missing. Leave out `bos_id` at the front, nothing at the end: "
            "`y[:, 1:]`.",
            _greedy_loop(kept=slice(1, -1)),
        ),
        Mistake(
            "one_token_too_many",
            "One token too many where no row ends early: the loop runs `max_T` times.",
            _greedy_loop(steps=lambda n: n + 1),
        ),
        Mistake(
            "starts_with_0",
            "You start with 0, the padding. The decoder begins with `bos_id`.",
            _greedy_loop(first=lambda bos_id, eos_id: 0),
        ),
        Mistake(
            "starts_with_eos",
            "You start with `eos_id`. Some models begin so, this one begins with `bos_id`.",
            _greedy_loop(first=lambda bos_id, eos_id: eos_id),
        ),
        Mistake(
            "least_likely",
            "You take the *least* likely token: `argmax`, not `argmin`.",
            _greedy_loop(pick=lambda logits: logits.argmin(-1, keepdim=True)),
        ),
        Mistake(
            "sampled",
            "You draw the next token at random. Greedy takes the most likely one: `argmax`.",
            _greedy_loop(pick=lambda logits: torch.multinomial(logits.softmax(-1), 1)),
        ),
    ],
    hints=[
        "Encode once. Then begin with a column of `bos_id`, `(B, 1)`, and make it longer by one "
        "token in every round.",
        "`model.decode(y, memory, source)[:, -1].argmax(-1, keepdim=True)` is the next column, "
        "`(B, 1)`.",
        "Keep `ended`, `(B, 1)` and bool: `token = torch.where(ended, eos_id, token)`, then "
        "`ended = ended | (token == eos_id)`, and `break` if `ended.all()`.",
    ],
)

# --- 5.5 beam_search (stretch) --------------------------------------------------------------


def _beam_search(model, source, n_beams, bos_id, eos_id, max_T):
    options = {}
    if n_beams > 1:
        options = {"num_beams": n_beams, "length_penalty": 0.0, "early_stopping": "never"}
    return _written(model, source, bos_id, eos_id, max_T, **options)[0].tolist()


def _beams(
    score=lambda logits: logits.log_softmax(-1),
    length=lambda tokens: 1,
    per_beam=False,
    stores=True,
    extends=False,
    unended=True,
    last_only=False,
    stops_at=None,
    pick=max,
    width=lambda n: n,
    counts=lambda n: n,
    result=lambda tokens, bos_id, eos_id: tokens,
):
    """Beam search with one step replaced."""

    @torch.no_grad()
    def mutant(model, source, n_beams, bos_id, eos_id, max_T):
        n_beams, memory = width(n_beams), model.encode(source)
        running, finished = [(0.0, [])], []
        for step in range(1, max_T + 1):
            candidates = []
            for total, tokens in running:
                logits = model.decode(torch.tensor([[bos_id, *tokens]]), memory, source)[0, -1]
                start = 0.0 if last_only else total
                own = [(start + x, tokens + [i]) for i, x in enumerate(score(logits).tolist())]
                candidates += [max(own)] if per_beam and step > 1 else own
            candidates = sorted(candidates, reverse=True)[: 2 * n_beams]
            for total, tokens in candidates[: counts(n_beams)]:
                ends = tokens[-1] == eos_id and stores and not extends
                if ends or (unended and step == max_T):
                    finished.append((total / length(tokens), tokens))
            running = [c for c in candidates if extends or c[1][-1] != eos_id][:n_beams]
            if not running or (stops_at and len(finished) >= stops_at(n_beams)):
                break
        return result(pick(finished)[1], bos_id, eos_id)

    return mutant


def _beam_case(source, n_beams, max_T, end=0.0, eos_id=EOS, bos_id=BOS, vocab_size=9, spread=2.0):
    label = f"beam_search(a random model, source={source}, n_beams={n_beams}, "
    label += f"bos_id={bos_id}, eos_id={eos_id}, max_T={max_T})"
    model = _RandomModel(vocab_size, end, spread, eos_id)
    return Case(model, torch.tensor(source), n_beams, bos_id, eos_id, max_T, label=label)


beam_search = Exercise(
    number="5.5",
    name="beam_search",
    oracle=_beam_search,
    compared_with='`generate(num_beams=…, early_stopping="never")`, token for token,',
    cases=lambda: [
        _beam_case([[3, 5, 6, 0]], 4, 6, end=0.5, vocab_size=7, spread=1.5),
        _beam_case([[4, 4, 0, 0]], 3, 6, vocab_size=7),
        _beam_case([[4, 5, 5, 3]], 4, 6, vocab_size=8),
        _beam_case([[4, 7]], 2, 3, end=-9.0),
        _beam_case([[3, 8, 5]], 2, 1),
        _beam_case([[7, 4, 4]], 1, 4, end=1.0),
        _beam_case([[7, 3, 0]], 3, 5, end=-9.0, eos_id=5),
        _beam_case([[4, 6]], 2, 3, end=0.5, eos_id=4, vocab_size=8, spread=1.0),
        _beam_case([[6, 6, 6]], 2, 3, bos_id=4, vocab_size=6, spread=1.5),
        _beam_case([[5, 6]], 3, 3, end=-1.5, vocab_size=6, spread=1.5),
        _beam_case([[6, 4, 5]], 2, 3, vocab_size=6, spread=1.5),
    ],
    mistakes=[
        Mistake(
            "greedy",
            "That is greedy search: only one continuation is ever kept. Keep the `n_beams` best.",
            lambda model, source, n_beams, bos_id, eos_id, max_T: _beam_search(
                model, source, 1, bos_id, eos_id, max_T
            ),
        ),
        Mistake(
            "probabilities_added",
            "You add probabilities. A sentence's probability is a *product*; add logarithms, "
            "`log_softmax`.",
            _beams(score=lambda logits: logits.softmax(-1)),
        ),
        Mistake(
            "logits_added",
            "You add the logits as they are. Logits of different steps have no common scale: take "
            "`log_softmax` first.",
            _beams(score=lambda logits: logits),
        ),
        Mistake(
            "length_normalised",
            "You divide by the length. Lesson 09 will; here the plain sum of log-probabilities "
            "decides.",
            _beams(length=len),
        ),
        Mistake(
            "each_beam_keeps_one",
            "Each beam keeps its own best continuation. All continuations of all beams compete for "
            "the places: two of the best may come from one beam.",
            _beams(per_beam=True),
        ),
        Mistake(
            "last_step_only",
            "Only the newest log-probability counts: what the beam has cost before is forgotten. "
            "Add it to the beam's sum.",
            _beams(last_only=True),
        ),
        Mistake(
            "finished_dropped",
            "A sentence that ends is thrown away. Put it aside, and let it compete at the end.",
            _beams(stores=False),
        ),
        Mistake(
            "only_ended_ones_compete",
            "Sentences that have not ended at `max_T` are forgotten. They compete too: after the "
            "last step every one of the n_beams best is finished.",
            _beams(unended=False),
        ),
        Mistake(
            "goes_on_after_the_end",
            "Finished sentences are continued after `eos_id`. Put them aside instead.",
            _beams(extends=True),
        ),
        Mistake(
            "stops_at_the_first_end",
            "You stop at the first finished sentence. A running one may still be better.",
            _beams(stops_at=lambda n: 1),
        ),
        Mistake(
            "stops_when_n_have_ended",
            "You stop as soon as n_beams sentences are finished. A running one may still be "
            "better: go on to `max_T`, or until no running sum beats the best finished one.",
            _beams(stops_at=lambda n: n),
        ),
        Mistake(
            "all_that_end_count",
            "Every candidate that ends is put aside, also one that is not among the `n_beams` "
            "best. First keep the best, then see which of them have ended.",
            _beams(counts=lambda n: 2 * n),
        ),
        Mistake(
            "one_beam_too_many",
            "You keep one beam more than `n_beams`.",
            _beams(width=lambda n: n + 1),
        ),
        Mistake(
            "end_hard_coded",
            "You look for the token 2, whatever `eos_id` is.",
            lambda model, source, n_beams, bos_id, eos_id, max_T: _beams()(
                model, source, n_beams, bos_id, 2, max_T
            ),
        ),
        Mistake(
            "beginning_hard_coded",
            "You begin with the token 1, whatever `bos_id` is.",
            lambda model, source, n_beams, bos_id, eos_id, max_T: _beams()(
                model, source, n_beams, 1, eos_id, max_T
            ),
        ),
        Mistake(
            "worst_returned",
            "You return the worst of the finished sentences. Log-probabilities are negative; the "
            "best sum is the one nearest to 0.",
            _beams(pick=min),
        ),
        Mistake(
            "bos_kept",
            "The sentence is right, but it begins with `bos_id`. Return only the new tokens.",
            _beams(result=lambda tokens, bos_id, eos_id: [bos_id, *tokens]),
        ),
        Mistake(
            "end_cut_off",
            "The sentence is right, but `eos_id` is missing at its end. Keep it where it was "
            "written.",
            _beams(result=lambda tokens, bos_id, eos_id: [t for t in tokens if t != eos_id]),
        ),
    ],
    hints=[
        "Keep two lists: `running` and `finished`, both of (sum of log-probabilities, new tokens).",
        "One step: extend every running beam by every token, sort, keep the n_beams best.",
        "Of these, those that have ended (or all, after the last step) are finished; the others "
        "run on. When nothing runs any more, `max(finished)` wins.",
    ],
)
