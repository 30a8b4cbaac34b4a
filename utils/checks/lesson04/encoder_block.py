"""Exercise 4.3, `EncoderBlock`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.engine.compare import Seen, show
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import call_text, made, normal, real_tokens
from utils.checks.lesson04.common import MODULES, blank, habits, turned, watched
from utils.checks.lesson04.feed_forward import FeedForward
from utils.checks.lesson04.layer_norm import LayerNorm


class _EncoderBlock(nn.Module):
    """The stand-in: the learner's parts, put together by `nn.TransformerEncoderLayer`."""

    def __init__(self, d_model, n_heads, d_ff, norm_first=False, eps=1e-5):
        super().__init__()
        self.attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.feed_forward = FeedForward.oracle(d_model, d_ff)
        self.norm1 = LayerNorm.oracle(d_model, eps)
        self.norm2 = LayerNorm.oracle(d_model, eps)
        self.norm_first = norm_first
        layer = nn.TransformerEncoderLayer(
            d_model,
            n_heads,
            d_ff,
            dropout=0.0,
            activation=F.gelu,
            layer_norm_eps=eps,
            batch_first=True,
            norm_first=norm_first,
            device="meta",  # it has no weights of its own, and is given the block's at each call
        )
        self._library = (layer,)  # in a tuple, so that it is not counted among the block's parts

    def forward(self, x, mask=None):
        parts = {
            "self_attn": self.attention,
            "linear1": self.feed_forward.linear1,
            "linear2": self.feed_forward.linear2,
            "norm1": self.norm1,
            "norm2": self.norm2,
        }
        weights = {
            f"{part}.{name}": parameter
            for part, module in parts.items()
            for name, parameter in module.named_parameters()
        }
        hidden = None if mask is None else ~mask
        options = {"src_key_padding_mask": hidden}
        return torch.func.functional_call(self._library[0], weights, (x,), options)


def _hide_padding(mask):
    return {} if mask is None else {"key_padding_mask": ~mask}


def _post_norm(block, x, attend):
    x = block.norm1(x + attend(x))
    return block.norm2(x + block.feed_forward(x))


def _pre_norm(block, x, attend):
    x = x + attend(block.norm1(x))
    return x + block.feed_forward(block.norm2(x))


def _block(post=_post_norm, pre=_pre_norm, masked=_hide_padding):
    """An encoder block with one of its two formulas, or what it does with the mask, replaced."""

    class Mutant(_EncoderBlock):
        def forward(self, x, mask=None):
            def attend(q, k=None):
                k = q if k is None else k
                return self.attention(q, k, k, need_weights=False, **masked(mask))[0]

            return (pre if self.norm_first else post)(self, x, attend)

    return Mutant


class _NanAtPadding(_EncoderBlock):
    """What comes out when the padding's own queries may look at nothing."""

    def forward(self, x, mask=None):
        out = super().forward(x, mask)
        return out if mask is None else out.masked_fill(~mask[..., None], torch.nan)


def _pre_residual_after_norm(block, x, attend):
    x = block.norm1(x)
    x = block.norm2(x + attend(x))
    return x + block.feed_forward(x)


def _post_norm_inside(block, x, attend):
    x = x + block.norm1(attend(x))
    return x + block.norm2(block.feed_forward(x))


def _pre_norm_on_queries(block, x, attend):
    x = x + attend(block.norm1(x), x)
    return x + block.feed_forward(block.norm2(x))


def _in_both(norms=(1, 2), adds=(1, 1), halves=(1, 1), second_adds_to="z", second_reads="z"):
    """Both formulas with the same mistake; z is what the first half has made of x.

    Args:
        norms: the numbers of the norms of both halves; 0 for none.
        adds: 0 where a half replaces x.
        halves: 0 for a half that is left out.
        second_adds_to: "x" or "z".
        second_reads: "x" or "z".
    """

    def formula(pre):
        def steps(block, x, attend):
            first, second = (getattr(block, f"norm{i}") if i else nn.Identity() for i in norms)
            z = x
            if halves[0]:
                z = adds[0] * x + attend(first(x)) if pre else first(adds[0] * x + attend(x))
            if not halves[1]:
                return z
            kept, read = (x if word == "x" else z for word in (second_adds_to, second_reads))
            if pre:
                return adds[1] * kept + block.feed_forward(second(read))
            return second(adds[1] * kept + block.feed_forward(read))

        return steps

    return _block(post=formula(False), pre=formula(True))


def _run_block(cls, build, x, mask=None, again=False, slopes=True):
    block = made(cls, build, _EncoderBlock)
    others = {}
    if again:
        longer = torch.cat([x, 1 - x], dim=1)
        real = real_tokens(longer.shape[1], *range(1, len(x) + 1))
        others = {
            "without a mask": (x,),
            "with x twice as long and a mask": (longer, real),
            "with x twice as long and no mask": (longer,),
        }
    masks = () if mask is None else (mask,)
    found = watched(block, x, *masks, keep=lambda out, x, mask=None: blank(out, mask), again=others)
    if slopes or not isinstance(found, Seen):
        return found
    return Seen({key: value for key, value in found.items() if "gradient to" not in key})


LARGE = [[[20.0, -40.0, 10.0], [40.0, 20.0, -20.0], [-60.0, 80.0, 40.0]]]


def _block_case(x, mask=None, slopes=True, **build):
    build = {"d_model": x.shape[-1]} | build
    given = f"x={show(x)}" if x.numel() <= 12 else f"x of shape {tuple(x.shape)}"
    label = f"{call_text('EncoderBlock', build)} with weights of the check's own, of {given}"
    label += ", no mask" if mask is None else f",\nmask with rows of {mask.sum(1).tolist()} words"
    again = x.shape == (2, 5, 6) or (len(x) == 2 and mask is None)
    masks = () if mask is None else (mask,)
    return Case(build, x, *masks, again=again, slopes=slopes, label=label)


EncoderBlock = Exercise(
    number="4.3",
    name="EncoderBlock",
    oracle=_EncoderBlock,
    compared_with="`nn.TransformerEncoderLayer` with the same weights",
    probe=_run_block,
    tolerance=MODULES,
    cases=lambda: [
        _block_case(normal(1, 2, 5, 6) + 0.5, real_tokens(5, *turned(3, 4)), n_heads=2, d_ff=7),
        _block_case(
            normal(2, 2, 5, 6) + 0.5,
            real_tokens(5, *turned(4, 2)),
            n_heads=2,
            d_ff=7,
            norm_first=True,
        ),
        _block_case(2 * normal(3, 2, 3, 4), n_heads=2, d_ff=5, eps=0.3),
        _block_case(2 * normal(4, 2, 3, 4), n_heads=2, d_ff=5, norm_first=True, eps=0.3),
        _block_case(normal(5, 3, 3, 3), real_tokens(3, *turned(2, 1, 2)), n_heads=1, d_ff=3),
        _block_case(
            normal(6, 2, 3, 3), real_tokens(3, *turned(1, 2)), n_heads=3, d_ff=3, norm_first=True
        ),
        _block_case(torch.tensor([[[1.0, -2.0, 0.5]]]), n_heads=1, d_ff=4),
        _block_case(torch.tensor([[[1.0, -2.0, 0.5]]]), n_heads=1, d_ff=4, norm_first=True),
        # so large that minus infinity, or a billion, hides the padding, and minus 100 does not (and
        # that slopes of the flat softmax, which should be 0, are the processor's rounding)
        _block_case(torch.tensor(LARGE), real_tokens(3, 2), slopes=False, n_heads=1, d_ff=4),
    ],
    mistakes=[
        *habits(_EncoderBlock),
        Mistake(
            "norm_first_ignored",
            "`self.norm_first` is not asked: your block normalises after each sum (post-LN) "
            "always. With `norm_first=True` the norm comes before attention and before the "
            "feed-forward layer, and the sums stay as they are.",
            _block(pre=_post_norm),
        ),
        Mistake(
            "always_norm_first",
            "Your block always normalises first (pre-LN). With `norm_first=False` it is "
            "`x = norm1(x + attention(x))`, then the same with `norm2` and the feed-forward layer.",
            _block(post=_pre_norm),
        ),
        Mistake(
            "norm_first_the_wrong_way_round",
            "Both formulas are right, but each stands in the other's place: `norm_first=True` is "
            "the one in which attention gets `norm1(x)`.",
            _block(post=_pre_norm, pre=_post_norm),
        ),
        Mistake(
            "normed_stream",
            "With `norm_first=True` you write `x = norm1(x)` and add to *that*. The stream itself "
            "stays as it is, only attention gets to see it normalised: "
            "`x = x + attention(norm1(x))`.",
            _block(pre=_pre_residual_after_norm),
        ),
        Mistake(
            "norm_before_the_sum",
            "With `norm_first=False` you normalise what attention and the feed-forward layer "
            "return, and then add. Add first, then normalise: `norm1(x + attention(x))`.",
            _block(post=_post_norm_inside),
        ),
        Mistake(
            "only_queries_normed",
            "With `norm_first=True` only the queries are normalised: keys and values must come "
            "from `norm1(x)` as well. Put `norm1(x)` in a variable and pass it three times.",
            _block(pre=_pre_norm_on_queries),
        ),
        Mistake(
            "no_residual_around_attention",
            "What attention returns *replaces* `x`. It has to be added to it: "
            "`x + attention(...)`.",
            _in_both(adds=(0, 1)),
        ),
        Mistake(
            "no_residual_around_feed_forward",
            "What the feed-forward layer returns *replaces* `x`. It has to be added to it: "
            "`x + feed_forward(...)`.",
            _in_both(adds=(1, 0)),
        ),
        Mistake(
            "no_residuals",
            "Nothing is added to `x`: attention and the feed-forward layer replace it. "
            "Both have to be added, `x + ...`.",
            _in_both(adds=(0, 0)),
        ),
        Mistake(
            "residual_from_the_input",
            "The second sum adds the block's *input*. By then `x` is what the attention half has "
            "made of it, and that is what the feed-forward layer's result is added to.",
            _in_both(second_adds_to="x"),
        ),
        Mistake(
            "feed_forward_of_the_input",
            "The feed-forward layer works on the block's *input*, beside attention rather than "
            "after it. Give it what the attention half has made of `x`.",
            _in_both(second_reads="x"),
        ),
        Mistake(
            "feed_forward_left_out",
            "The second half is left out: after attention comes the feed-forward layer, with a sum "
            "and `norm2` of its own.",
            _in_both(halves=(1, 0)),
        ),
        Mistake(
            "attention_left_out",
            "The first half is left out: before the feed-forward layer the words look at one "
            "another, with a sum and `norm1` of its own.",
            _in_both(halves=(0, 1)),
        ),
        Mistake(
            "norm1_used_twice",
            "`norm1` is used in both halves. The feed-forward half has a norm of its own, `norm2`.",
            _in_both(norms=(1, 1)),
        ),
        Mistake(
            "norms_swapped",
            "The norms are swapped: `norm1` belongs to attention, `norm2` to the feed-forward "
            "layer.",
            _in_both(norms=(2, 1)),
        ),
        Mistake(
            "norms_left_out",
            "There are no norms: `norm1` belongs to attention, `norm2` to the feed-forward layer.",
            _in_both(norms=(0, 0)),
        ),
        Mistake(
            "norm1_left_out",
            "`norm1` is not used: each half has a norm of its own, and this one belongs to "
            "attention.",
            _in_both(norms=(0, 2)),
        ),
        Mistake(
            "norm2_left_out",
            "`norm2` is not used: each half has a norm of its own, and this one belongs to the "
            "feed-forward layer.",
            _in_both(norms=(1, 0)),
        ),
        Mistake(
            "mask_ignored",
            "The mask does not reach attention, so the words look at the padding. "
            "Pass `key_padding_mask=~mask`.",
            _block(masked=lambda mask: {}),
        ),
        Mistake(
            "mask_the_wrong_way_round",
            "The mask is the wrong way round: ours is True for real words, while "
            "`key_padding_mask` is True for what is to be *ignored*. Pass `~mask`.",
            _block(masked=lambda mask: {} if mask is None else {"key_padding_mask": mask}),
        ),
        Mistake(
            "mask_of_numbers",
            "A mask of numbers is *added* to the scores, and a 1 hides nothing: it even makes the "
            "padding louder. Leave it bool, `~mask`.",
            _block(
                masked=lambda mask: {} if mask is None else {"key_padding_mask": 1.0 - 1.0 * mask}
            ),
        ),
        Mistake(
            "nan_at_the_padding",
            "Where there is padding, `nan` comes out: there a query may look at nothing at all. In "
            "the next block the `nan` reaches the real words, since 0 times `nan` is `nan`. Hide "
            "the padding's keys only: `key_padding_mask=~mask`.",
            _NanAtPadding,
        ),
        Mistake(
            "mask_as_attn_mask",
            "`attn_mask` says which query may see which key, `(T, T)` for all sentences alike. "
            "That some *words* of each sentence are padding, `(B, T)`, goes in "
            "`key_padding_mask`.",
            _block(masked=lambda mask: {} if mask is None else {"attn_mask": ~mask}),
        ),
    ],
    hints=[
        "Two halves, and each adds something to `x`: first what attention returns, then what the "
        "feed-forward layer returns. Only the place of the norms depends on `self.norm_first`.",
        "`self.attention(q, k, v, key_padding_mask=hidden, need_weights=False)` returns a pair; "
        "the result of shape `(B, T, d_model)` is its `[0]`. `hidden` is `None` or `~mask`.",
        "`x = self.norm1(x + attended)` when the norm comes last. When it comes first, attention "
        "gets `n = self.norm1(x)` three times, and `x = x + attended`.",
    ],
)
