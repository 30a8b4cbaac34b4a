"""Exercise 17.3, `CrossAttentionFusion`: its oracle, inputs, mistakes and hints."""

import torch
from torch import nn

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


class _Silent(nn.Module):
    """Stands for a decoder layer's self-attention and finds nothing: the layer adds zeros."""

    def forward(self, query, key, value, **rest):
        """The block, of its steps."""
        return torch.zeros_like(query), None


class _CrossAttentionFusion(nn.Module):
    """`nn.TransformerDecoderLayer` without its self-attention, with the learner's submodules."""

    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.cross_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, d_ff), nn.GELU(), nn.Linear(d_ff, d_model)
        )
        layer = nn.TransformerDecoderLayer(
            d_model,
            n_heads,
            d_ff,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
            device="meta",
        )
        layer.self_attn, layer.norm1 = _Silent(), nn.Identity()
        layer.multihead_attn, layer.norm2 = self.cross_attention, self.norm1
        layer.linear1, layer.linear2 = self.feed_forward[0], self.feed_forward[2]
        layer.norm3 = self.norm2
        self._layer = (layer,)  # in a tuple, so that no weight is registered under two names

    def forward(self, text, image, image_mask=None):
        """The block, of its steps."""
        hidden = None if image_mask is None else ~image_mask
        (layer,) = self._layer
        return layer(text, image, memory_key_padding_mask=hidden)


def _block(**methods):
    """A block with some of its steps replaced."""
    return type("CrossAttentionFusion", (InSteps, _CrossAttentionFusion), methods)


def _image_asks(self, text, image, image_mask=None):
    x = image + self.cross_attention(self.norm1(image), text, text)[0]
    return x + self.feed_forward(self.norm2(x))


def _queries_from_the_image(self, x, image, hidden):
    return self.cross_attention(image, x, x, key_padding_mask=hidden)[0]


def _values_from_the_text(self, x, image, hidden):
    return self.cross_attention(x, image, x, key_padding_mask=hidden)[0]


def _image_normed(self, x, image, hidden):
    image = self.norm1(image)
    return self.cross_attention(x, image, image, key_padding_mask=hidden)[0]


def _image_detached(self, x, image, hidden):
    image = image.detach()
    return self.cross_attention(x, image, image, key_padding_mask=hidden)[0]


def _post_norm(self, text, look):
    x = self.norm1(text + look(text))
    return self.norm2(x + self.feed_forward(x))


def _norms(first, second):
    """The two steps with these numbers of norms (0: none)."""

    def steps(self, text, look):
        """Both halves of the block."""
        norm1, norm2 = (getattr(self, f"norm{i}") if i else nn.Identity() for i in (first, second))
        x = text + look(norm1(text))
        return x + self.feed_forward(norm2(x))

    return steps


def _residuals(first=True, second=True):
    """The two steps with some of the residual connections left out."""

    def steps(self, text, look):
        """Both halves of the block."""
        x = first * text + look(self.norm1(text))
        return second * x + self.feed_forward(self.norm2(x))

    return steps


def _residual_of_the_normed(self, text, look):
    normed = self.norm1(text)
    x = normed + look(normed)
    return x + self.feed_forward(self.norm2(x))


def _side_by_side_steps(self, text, look):
    return text + look(self.norm1(text)) + self.feed_forward(self.norm2(text))


def _without_feed_forward(self, text, look):
    return text + look(self.norm1(text))


def _residual_from_the_text(self, text, look):
    return text + self.feed_forward(self.norm2(text + look(self.norm1(text))))


def _norm_on_the_image_alone(self, text, image, image_mask=None):
    hidden, normed = self.hidden(image_mask), self.norm1(image)
    return self.steps(text, lambda x: self.look(text, normed, hidden))


def _padding_set_to_zero(self, text, image, image_mask=None):
    real = 1 if image_mask is None else image_mask[..., None]
    return self.steps(text, lambda x: self.look(x, image * real, None))


def _weights_too(self, text, image, image_mask=None):
    return self.steps(text, lambda x: self.look(x, image, self.hidden(image_mask))), None


def _writing(self, x, image, hidden):
    self.norm1.weight.data.fill_(1.0)
    return InSteps.look(self, x, image, hidden)


def _fusion_output(answer, sizes, *inputs):
    return watched(lambda: made(answer, build(sizes), _CrossAttentionFusion, gentle=True), *inputs)


def _fusion_case(sizes, B, T, N, real=None):
    said, inputs = look_inputs(B, T, N, sizes[0], real)
    label = block_text("CrossAttentionFusion", sizes) + "  # the check gives it weights of its own"
    return Case(sizes, *inputs, label=label + said)


CrossAttentionFusion = Exercise(
    number="17.3",
    name="CrossAttentionFusion",
    oracle=_CrossAttentionFusion,
    compared_with="`nn.TransformerDecoderLayer` without its self-attention",
    probe=_fusion_output,
    tolerance=FLOAT32,
    cases=lambda: [
        _fusion_case((4, 2, 6), 2, 3, 5, real=[3, 4]),
        _fusion_case((6, 3, 4), 2, 3, 5),
        _fusion_case((6, 2, 4), 3, 4, 4, real=[2, 3, 4]),
        _fusion_case((8, 4, 6), 1, 4, 4),
        _fusion_case((4, 2, 6), 1, 1, 2),
        _fusion_case((4, 2, 6), 3, 4, 2, real=[2, 1, 2]),
        _fusion_case((4, 2, 6), 1, 3, 4, real=[2]),
    ],
    mistakes=[
        Mistake(
            "image_detached",
            "The numbers are right, but no gradient reaches the image: is there a `detach`? "
            "Whatever makes the image tokens learns through it.",
            _block(look=_image_detached),
        ),
        Mistake(
            "image_asks_the_words",
            "The image asks and the words answer, so the result has N tokens. It is the words that "
            "ask: the queries are `norm1(text)`, keys and values are `image`, and everything is "
            "added to `text`.",
            _block(forward=_image_asks),
        ),
        Mistake(
            "queries_from_the_image",
            "Query and key have changed places: the image asks, the words answer. That fits only "
            "where T and N happen to be equal. The words ask: "
            "`self.cross_attention(self.norm1(text), image, image)`.",
            _block(look=_queries_from_the_image),
        ),
        Mistake(
            "image_ignored",
            "The words look at one another, and the image is never used. Only the query is "
            "`norm1(text)`; key and value are `image`.",
            _block(look=looking_at_words),
        ),
        Mistake(
            "values_from_the_text",
            "The words find places in the image but take the values from the text, which fits only "
            "where T and N happen to be equal. Key *and* value are `image`.",
            _block(look=_values_from_the_text),
        ),
        Mistake(
            "norm_on_the_image",
            "The image goes through `norm1` as well. Here only the words do: the image tokens come "
            "in as they are.",
            _block(look=_image_normed),
        ),
        Mistake(
            "norm_on_the_image_alone",
            "`norm1` is applied to the image in place of the words. It is the other way round: the "
            "queries are `self.norm1(text)`, and `image` comes in as it is.",
            _block(forward=_norm_on_the_image_alone),
        ),
        Mistake(
            "norm_after_the_step",
            "You add first and norm afterwards, as the paper of 2017 did. This block norms what "
            "goes *into* a step: `text + attention(norm1(text))`, so that `text` itself passes "
            "through untouched.",
            _block(steps=_post_norm),
        ),
        Mistake(
            "no_residual_around_attention",
            "After the attention only what the image said is left; the words are gone. Add: "
            "`text + attention`.",
            _block(steps=_residuals(first=False)),
        ),
        Mistake(
            "no_residual_around_feed_forward",
            "The feed-forward part replaces `x`. Add to it: "
            "`x + self.feed_forward(self.norm2(x))`.",
            _block(steps=_residuals(second=False)),
        ),
        Mistake(
            "no_residuals",
            "No step keeps what came in: each one must *add* to it, `text + attention` and "
            "`x + feed_forward`.",
            _block(steps=_residuals(first=False, second=False)),
        ),
        Mistake(
            "normed_text_in_the_residual",
            "You add to `norm1(text)` (is `text` overwritten with it?). Norm only what the "
            "attention reads, and add to `text` as it came in.",
            _block(steps=_residual_of_the_normed),
        ),
        Mistake(
            "text_not_normed",
            "The words ask without going through `norm1`. The query is `self.norm1(text)`.",
            _block(steps=_norms(0, 2)),
        ),
        Mistake(
            "feed_forward_reads_unnormed",
            "The feed-forward part reads `x` as it is. It reads `self.norm2(x)`.",
            _block(steps=_norms(1, 0)),
        ),
        Mistake(
            "norm1_used_twice",
            "`norm1` is used for both steps. The feed-forward part has its own: `self.norm2`.",
            _block(steps=_norms(1, 1)),
        ),
        Mistake(
            "norms_swapped",
            "The norms are swapped: `norm1` belongs to the attention, `norm2` to the feed-forward "
            "part.",
            _block(steps=_norms(2, 1)),
        ),
        Mistake(
            "side_by_side",
            "Both steps read `text` and are added together. They come one after the other: the "
            "feed-forward part reads what the attention has made, `self.norm2(x)`.",
            _block(steps=_side_by_side_steps),
        ),
        Mistake(
            "residual_from_the_text",
            "The feed-forward part is added to `text`, and what the attention found is lost on the "
            "way. Add it to `x`: `x + self.feed_forward(self.norm2(x))`.",
            _block(steps=_residual_from_the_text),
        ),
        Mistake(
            "feed_forward_forgotten",
            "The second step is missing: `x + self.feed_forward(self.norm2(x))`.",
            _block(steps=_without_feed_forward),
        ),
        Mistake(
            "mask_forgotten",
            "`image_mask` is not used: the words look at padding. Pass "
            "`key_padding_mask=~image_mask` where there is a mask.",
            _block(hidden=lambda self, mask: None),
        ),
        Mistake(
            "mask_upside_down",
            "The words look at the padding and nowhere else. `key_padding_mask` is True where a "
            "key is *ignored*, `image_mask` is True for real tokens: pass `~image_mask`.",
            _block(hidden=lambda self, mask: mask),
        ),
        Mistake(
            "padding_set_to_zero",
            "You set the padding to 0, and that hides nothing: a token of zeros is looked at like "
            "any other. Leave `image` as it is, and pass `key_padding_mask=~image_mask`.",
            _block(forward=_padding_set_to_zero),
        ),
        Mistake(
            "returns_a_pair",
            "You return a pair. Return the words alone, `(B, T, d_model)`: of what the attention "
            "returns, keep the first part, and after `return` write no comma.",
            _block(forward=_weights_too),
        ),
        Mistake(
            "draws_at_random",
            "Two calls with the same inputs return two results: is there a dropout? This block has "
            "none. Leave it out, and leave `__init__` as it was.",
            _block(look=dropping),
        ),
        Mistake(
            "leaves_training_mode",
            "After a call the block, or a part of it, is in evaluation mode, in the middle of "
            "training. Leave `eval()` and `train()` to whoever trains it.",
            _block(look=leaving_training),
        ),
        Mistake(
            "changes_its_weights",
            "A call changes the block's own weights, and only the optimiser may do that. Compute "
            "with them, and write nothing into `.data` or into a parameter.",
            _block(look=_writing),
        ),
    ],
    hints=[
        "Two steps of the same form: `x + something(norm(x))`. In the first, the words ask and the "
        "image answers.",
        "`self.cross_attention(query, key, value, key_padding_mask=hidden)[0]` has the shape of "
        "the query, `(B, T, d)`. `hidden` is `~image_mask`, or None if there is no mask.",
        "`x = text + self.cross_attention(self.norm1(text), image, image, "
        "key_padding_mask=hidden)[0]`, and then the same form with `self.norm2` and "
        "`self.feed_forward`.",
    ],
)
