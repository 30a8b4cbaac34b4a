"""Lesson 17: fusion. Answers take and return PyTorch tensors; the last one takes lists."""

import random
from collections import Counter

import torch
import torch.nn.functional as F
from torch import nn
from transformers.models.mllama.configuration_mllama import MllamaTextConfig
from transformers.models.mllama.modeling_mllama import MllamaCrossAttentionDecoderLayer

from utils.checks import hint, progress  # noqa: F401  (a lesson calls them as checks.hint)
from utils.checks.compare import Tolerance
from utils.checks.engine import Case, Exercise, Lesson, Mistake
from utils.checks.probes import fill, with_slopes

LESSON = Lesson("17", "Fusion", "17_fusion")
MEANS = Tolerance(absolute=1e-5, relative=1e-4)
FLOAT32 = Tolerance(absolute=1e-4, relative=1e-4)


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _tenths(seed: int, *shape: int) -> torch.Tensor:
    """Random numbers with one digit after the point, for cases that are written out."""
    return (10 * _normal(seed, *shape)).round() / 10


def _real(T: int, *lengths: int) -> torch.Tensor:
    """A mask (B, T): True for the first so many tokens of each row."""
    return torch.arange(T) < torch.tensor(lengths)[:, None]


# --- 17.1 early_fusion ----------------------------------------------------------------------


def _early_fusion(text, image, kinds, text_mask):
    tokens = torch.cat([text + kinds[0], image + kinds[1]], dim=1)
    return tokens, torch.cat([text_mask, text_mask.new_ones(image.shape[:2])], dim=1)


def _side_by_side(first, second):
    return torch.cat([first, second], dim=1)


def _swapped(first, second):
    return _side_by_side(second, first)


def _early(
    kinds=lambda kinds: kinds,
    tokens=_side_by_side,
    mask=_side_by_side,
    text=lambda text, text_mask: text,
    result=lambda tokens, mask: (tokens, mask),
):
    """Early fusion with one step replaced."""

    def mutant(text_, image, kinds_, text_mask):
        kind = kinds(kinds_)
        words, patches = text(text_ + kind[0], text_mask), image + kind[1]
        seen = torch.ones(image.shape[:2], dtype=torch.bool)
        return result(tokens(words, patches), mask(text_mask, seen))

    return mutant


def _early_output(answer, text, image, kinds, text_mask, slopes=False):
    """The answer's result; with `slopes`, the tokens and what text, image and kinds learn."""
    if not slopes:
        return answer(text, image, kinds, text_mask)

    def tokens(*numbers):
        out = answer(*numbers, text_mask)
        return out[0] if isinstance(out, tuple | list) else out

    return with_slopes(tokens, text, image, kinds)


def _early_case(seed, mask, N, d, slopes=False):
    B, T = mask.shape
    numbers = _tenths(seed, B, T, d), _tenths(seed + 1, B, N, d), _tenths(seed + 2, 2, d)
    if not slopes:
        return Case(*numbers, mask)
    label = f"the gradient of early_fusion for text of shape {(B, T, d)}, image {(B, N, d)}"
    return Case(*numbers, mask, slopes, label=label)


early_fusion = Exercise(
    number="17.1",
    name="early_fusion",
    oracle=_early_fusion,
    compared_with="`torch.cat`",
    probe=_early_output,
    cases=lambda: [
        _early_case(10, _real(3, 3, 1), 2, 2),
        _early_case(20, _real(5, 2, 5, 4), 4, 3),
        _early_case(30, _real(2, 1, 2, 2), 2, 3),
        _early_case(40, _real(4, 3).flip(1), 4, 4),
        _early_case(50, _real(1, 1), 3, 2),
        _early_case(60, _real(3, 2, 3, 0, 1, 2), 1, 4),
        _early_case(70, _real(3, 3, 2), 2, 4, slopes=True),
    ],
    mistakes=[
        Mistake(
            "kinds_not_learned",
            "The numbers are right, but no gradient reaches `kinds`: the two vectors would never "
            "be learned. Is there a `detach`, or a new tensor made of their numbers?",
            _early(kinds=lambda kinds: kinds.detach()),
        ),
        Mistake(
            "image_first",
            "The image stands in front. Text first, then the image, in the tokens and in the mask: "
            "`torch.cat([text, image], dim=1)`.",
            _early(tokens=_swapped, mask=_swapped),
        ),
        Mistake(
            "mask_for_the_other_order",
            "The tokens are text, image, but the mask is in the order image, text. No error tells "
            "you so: the model would read padding and overlook real words. Join both in the same "
            "order.",
            _early(mask=_swapped),
        ),
        Mistake(
            "tokens_for_the_other_order",
            "The mask is in the order text, image, but the tokens are image, text. No error tells "
            "you so: the model would take image tokens for padding. Join both in the same order, "
            "text first.",
            _early(tokens=_swapped),
        ),
        Mistake(
            "kinds_swapped",
            "The kinds are swapped: `kinds[0]` is for the text, `kinds[1]` for the image.",
            _early(kinds=lambda kinds: kinds.flip(0)),
        ),
        Mistake(
            "kinds_forgotten",
            "`kinds` is not used, so nothing says which token is a word and which a piece of the "
            "image. Add `kinds[0]` to every text token and `kinds[1]` to every image token.",
            _early(kinds=torch.zeros_like),
        ),
        Mistake(
            "text_kind_for_both",
            "`kinds[0]` is added to the text *and* to the image, so it tells them apart no longer. "
            "The image gets `kinds[1]`.",
            _early(kinds=lambda kinds: kinds[[0, 0]]),
        ),
        Mistake(
            "image_kind_forgotten",
            "Only the text gets its kind. Add `kinds[1]` to every image token as well.",
            _early(kinds=lambda kinds: kinds * torch.tensor([[1], [0]])),
        ),
        Mistake(
            "text_kind_forgotten",
            "Only the image gets its kind. Add `kinds[0]` to every text token as well.",
            _early(kinds=lambda kinds: kinds * torch.tensor([[0], [1]])),
        ),
        Mistake(
            "mask_upside_down",
            "The mask is True for padding. It is True where attention is *allowed*: join "
            "`text_mask` as it is with True for every image token.",
            _early(mask=lambda text, seen: ~_side_by_side(text, seen)),
        ),
        Mistake(
            "text_mask_upside_down",
            "The image's half of the mask is right, the text's half is turned over: `text_mask` is "
            "True for real words already, so take it as it is, without `~`.",
            _early(mask=lambda text, seen: _side_by_side(~text, seen)),
        ),
        Mistake(
            "mask_without_the_image",
            "The mask is as long as the text only. There is one entry for each token, so N more, "
            "all True, for the image: `torch.ones(B, N, dtype=torch.bool)`.",
            _early(mask=lambda text, seen: text),
        ),
        Mistake(
            "image_masked_out",
            "The image's half of the mask is False, so nobody may look at the picture. It is True "
            "for every image token: `torch.ones`, not `torch.zeros`.",
            _early(mask=lambda text, seen: _side_by_side(text, ~seen)),
        ),
        Mistake(
            "mask_of_numbers",
            "The mask holds the numbers 1 and 0. It has to be bool: `torch.ones` makes floats when "
            "it is not asked otherwise, so give it `dtype=torch.bool`.",
            _early(mask=lambda text, seen: _side_by_side(text, seen).float()),
        ),
        Mistake(
            "mask_not_returned",
            "You return the tokens without their mask. Return both: `return tokens, mask`.",
            _early(result=lambda tokens, mask: tokens),
        ),
        Mistake(
            "mask_before_tokens",
            "Both are right, but the mask comes first. Return the tokens first: "
            "`return tokens, mask`.",
            _early(result=lambda tokens, mask: (mask, tokens)),
        ),
        Mistake(
            "image_ignored",
            "The image is not there: you return the text and its mask alone. Join the two along "
            "the tokens: `torch.cat([text, image], dim=1)`.",
            _early(tokens=lambda words, patches: words, mask=lambda text, seen: text),
        ),
        Mistake(
            "padding_set_to_zero",
            "You set the padding to 0. That hides nothing, since 0 is a token like another; the "
            "mask alone says what counts. Leave the tokens as they are.",
            _early(text=lambda words, mask: words * mask[..., None]),
        ),
        Mistake(
            "joined_along_the_batch",
            "`torch.cat` joins along the batch unless it is told otherwise, and then the image is "
            "another *example*. Join along the tokens: `dim=1`.",
            _early(
                tokens=lambda words, patches: torch.cat([words, patches]),
                mask=lambda text, seen: torch.cat([text, seen]),
            ),
        ),
    ],
    hints=[
        "Three steps: add to each token what kind it is, join the tokens, join the masks in the "
        "same order.",
        "`text + kinds[0]` has shape `(B, T, d)`. The image's half of the mask has shape `(B, N)`: "
        "`torch.ones(B, N, dtype=torch.bool)`.",
        "`torch.cat([text + kinds[0], image + kinds[1]], dim=1)` are the tokens. The mask is made "
        "by another `torch.cat` with `dim=1`.",
    ],
)

# --- 17.2 late_fusion -----------------------------------------------------------------------


def _late_fusion(text, image, text_mask):
    words = text_mask.flatten().nonzero().squeeze(1)  # their rows in a table of all B * T words
    count = text_mask.sum(1)
    starts = count.cumsum(0) - count
    question = F.embedding_bag(words, text.flatten(0, 1), starts, mode="mean")
    return torch.cat([question, image.mean(1)], dim=1)


def _column(mask):
    return mask[..., None].float()  # (B, T, 1)


def _late(
    total=lambda text, column: (text * column).sum(1),
    count=lambda text, column: column.sum(1).clamp(min=1),
    question=None,
    picture=lambda image: image.mean(1),
    join=lambda question, picture: torch.cat([question, picture], dim=1),
):
    """Late fusion with one step replaced."""

    def mutant(text, image, text_mask):
        column = _column(text_mask)
        if question is None:
            return join(total(text, column) / count(text, column), picture(image))
        return join(question(text, text_mask), picture(image))

    return mutant


def _largest_real(text, mask):
    largest = text.masked_fill(~mask[..., None], -torch.inf).amax(1)
    return largest.masked_fill(~mask.any(1, keepdim=True), 0)


def _padding_for_words(text, image, text_mask):
    return _late_fusion(text, image, ~text_mask)


def _zero_divided_by_zero(text, mask):
    mean = (text * _column(mask)).sum(1) / _column(mask).sum(1)
    return torch.where(mask.any(1, keepdim=True), mean, 0)


def _mean_of_all(text, image, text_mask):
    tokens, mask = _early_fusion(text, image, torch.zeros(2, text.shape[2]), text_mask)
    return (tokens * _column(mask)).sum(1) / _column(mask).sum(1)


def _late_output(answer, text, image, text_mask, slopes=False):
    """The answer's result; with `slopes`, the gradients too, unless there is a nan already."""
    if not slopes:
        return answer(text, image, text_mask)
    found = with_slopes(lambda text, image: answer(text, image, text_mask), text, image)
    if isinstance(found, list) and isinstance(found[0], torch.Tensor) and found[0].isnan().any():
        return found[0]
    return found


def _late_case(seed, mask, N, d, slopes=False):
    """Random tokens; the padding holds large numbers."""
    text = _tenths(seed, *mask.shape, d) + 0.5
    text = torch.where(mask[..., None], text, 40 * text)
    label = ""
    if slopes:
        label = f"the gradient of late_fusion for text of shape {tuple(text.shape)}, "
        label += f"image {(len(mask), N, d)}, text_mask={mask.tolist()}"
    rest = (slopes,) if slopes else ()
    return Case(text, _tenths(seed + 1, len(mask), N, d), mask, *rest, label=label)


late_fusion = Exercise(
    number="17.2",
    name="late_fusion",
    oracle=_late_fusion,
    compared_with="`F.embedding_bag` (the mean of each row's words) and `torch.mean`",
    probe=_late_output,
    tolerance=MEANS,
    cases=lambda: [
        _late_case(10, _real(3, 2, 3), 4, 2),
        _late_case(20, _real(5, 2, 5, 4), 3, 4),
        _late_case(30, _real(4, 1, 3, 4).flip(1), 4, 4),
        _late_case(40, _real(2, 2), 1, 3),
        _late_case(50, _real(2, 1, 0), 2, 1),
        _late_case(60, _real(4, 3, 0, 2, 4), 5, 3),
        _late_case(70, _real(4, 3, 1, 2), 2, 3, slopes=True),
        _late_case(80, _real(3, 2, 0), 2, 3, slopes=True),
    ],
    mistakes=[
        Mistake(
            "nan_for_the_empty_question",
            "Right, except for a question without a single word: 0 / 0 is `nan`, and one `nan` "
            "spoils every weight in the next step of training. Divide by at least 1: "
            "`count.clamp(min=1)`.",
            _late(count=lambda text, column: column.sum(1)),
        ),
        Mistake(
            "nan_in_the_gradient",
            "The numbers are right, but not the gradient: you divide 0 by 0 and put a 0 in its "
            "place afterwards (`torch.where`, `nan_to_num`?), and the way back still goes through "
            "the `nan`. Divide by `count.clamp(min=1)`, so that it never arises.",
            _late(question=_zero_divided_by_zero),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but no gradient comes back: is there a `detach`, a `no_grad`, "
            "or a way through NumPy?",
            lambda *args: _late_fusion(*args).detach(),
        ),
        Mistake(
            "padding_in_the_mean",
            "The padding is in the mean of the text: `text_mask` is not used. Multiply by the mask "
            "before you sum, and divide by the number of real words.",
            _late(question=lambda text, mask: text.mean(1)),
        ),
        Mistake(
            "padding_in_the_sum",
            "You divide by the number of real words, but the padding is still in the sum. Multiply "
            "by the mask first: `(text * m).sum(1)`.",
            _late(total=lambda text, column: text.sum(1)),
        ),
        Mistake(
            "divided_by_all_tokens",
            "The padding is set to 0 but still counted: you divide by T. Divide by the number of "
            "real words, `text_mask.sum(1)`.",
            _late(count=lambda text, column: text.shape[1]),
        ),
        Mistake(
            "one_count_for_all",
            "You divide by the number of real words in the whole batch. Each question has its own: "
            "`text_mask.sum(1, keepdim=True)`.",
            _late(count=lambda text, column: column.sum().clamp(min=1)),
        ),
        Mistake(
            "sum_of_the_words",
            "The text's half is the *sum* of the real words. Divide it by their number, so that a "
            "long question has no longer a vector than a short one.",
            _late(count=lambda text, column: 1),
        ),
        Mistake(
            "sum_of_the_image",
            "The image's half is the *sum* of its tokens. Take their mean: `image.mean(1)`.",
            _late(picture=lambda image: image.sum(1)),
        ),
        Mistake(
            "image_first",
            "The image stands in front. The text's mean comes first, then the image's.",
            _late(join=lambda question, picture: torch.cat([picture, question], dim=1)),
        ),
        Mistake(
            "largest_for_mean",
            "You take the largest number in each component. The *mean* is wanted, for the words "
            "and for the image.",
            _late(question=_largest_real, picture=lambda image: image.amax(1)),
        ),
        Mistake(
            "mean_over_the_width",
            "The means run over the components, and leave one number for each token. Take them "
            "over the tokens, axis 1, so that a vector of `d` numbers is left.",
            _late(
                question=lambda text, mask: text.mean(-1) * mask,
                picture=lambda image: image.mean(-1),
            ),
        ),
        Mistake(
            "first_token_only",
            "The text's half is its first token. That is a summary only in a model that was "
            "trained for it (`[CLS]`); here take the mean of all real words.",
            _late(question=lambda text, mask: text[:, 0]),
        ),
        Mistake(
            "added_instead_of_joined",
            "You add the two means, and nobody can take them apart again. Put them side by side: "
            "`torch.cat([question, picture], dim=1)` has shape `(B, 2d)`.",
            _late(join=torch.add),
        ),
        Mistake(
            "stacked_instead_of_joined",
            "`torch.stack` makes a new axis, and the result has shape `(B, 2, d)`. Join along the "
            "components: `torch.cat` with `dim=1` gives `(B, 2d)`.",
            _late(join=lambda question, picture: torch.stack([question, picture], dim=1)),
        ),
        Mistake(
            "one_mean_for_all_tokens",
            "You take one mean over words and image tokens together, so the larger crowd drowns "
            "the other. Take two means, and put them side by side.",
            _mean_of_all,
        ),
        Mistake(
            "mask_upside_down",
            "You take the mean of the *padding*. `text_mask` is True for real words.",
            _padding_for_words,
        ),
    ],
    hints=[
        "Two means, side by side. For the words: a sum in which padding adds nothing, divided by "
        "the number of real words. What if that number is 0?",
        "`m = text_mask[..., None].float()` has shape `(B, T, 1)`. `(text * m).sum(1)` has shape "
        "`(B, d)`, and `m.sum(1)` has shape `(B, 1)`.",
        "`(text * m).sum(1) / m.sum(1).clamp(min=1)` is the text's half, `image.mean(1)` the "
        "image's; `torch.cat([…, …], dim=1)` joins them.",
    ],
)

# --- 17.3 CrossAttentionFusion --------------------------------------------------------------


class _Silent(nn.Module):
    """Stands for a decoder layer's self-attention and finds nothing: the layer adds zeros."""

    def forward(self, query, key, value, **rest):
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
        hidden = None if image_mask is None else ~image_mask
        (layer,) = self._layer
        return layer(text, image, memory_key_padding_mask=hidden)


class _InSteps:
    """The block with every step a method of its own, so that a mistake can replace one."""

    def hidden(self, mask):
        return None if mask is None else ~mask

    def look(self, x, image, hidden):
        return self.cross_attention(x, image, image, key_padding_mask=hidden)[0]

    def steps(self, text, look):
        x = text + look(self.norm1(text))
        return x + self.feed_forward(self.norm2(x))

    def forward(self, text, image, image_mask=None):
        return self.steps(text, lambda x: self.look(x, image, self.hidden(image_mask)))


def _block(**methods):
    """A block with some of its steps replaced."""
    return type("CrossAttentionFusion", (_InSteps, _CrossAttentionFusion), methods)


def _image_asks(self, text, image, image_mask=None):
    x = image + self.cross_attention(self.norm1(image), text, text)[0]
    return x + self.feed_forward(self.norm2(x))


def _queries_from_the_image(self, x, image, hidden):
    return self.cross_attention(image, x, x, key_padding_mask=hidden)[0]


def _self_attention(self, x, image, hidden):
    return self.cross_attention(x, x, x)[0]


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
        norm1, norm2 = (getattr(self, f"norm{i}") if i else nn.Identity() for i in (first, second))
        x = text + look(norm1(text))
        return x + self.feed_forward(norm2(x))

    return steps


def _residuals(first=True, second=True):
    """The two steps with some of the residual connections left out."""

    def steps(self, text, look):
        x = first * text + look(self.norm1(text))
        return second * x + self.feed_forward(self.norm2(x))

    return steps


def _residuals_of_the_normed(first=True, second=True):
    """The two steps, added to what the norm returned."""

    def steps(self, text, look):
        normed = self.norm1(text)
        x = (normed if first else text) + look(normed)
        normed = self.norm2(x)
        return (normed if second else x) + self.feed_forward(normed)

    return steps


def _side_by_side_steps(self, text, look):
    return text + look(self.norm1(text)) + self.feed_forward(self.norm2(text))


def _without_feed_forward(self, text, look):
    return text + look(self.norm1(text))


def _made(cls, like, sizes):
    """An object of the learner's class with known weights; norms and biases near the usual."""
    if isinstance(cls, nn.Module):
        name = type(cls).__name__
        raise TypeError(f"pass the class `{name}` itself, not an object that it made")
    block = fill(cls(*sizes), like(*sizes), scale=0.8)
    with torch.no_grad():
        for name, parameter in block.named_parameters():
            if parameter.ndim == 1:
                usual = float("norm" in name and name.endswith("weight"))
                parameter.copy_(usual + 0.4 * (parameter - usual))
    return block


def _gradient(block, result):
    """Whether the block could be trained: what happens when the gradient is taken."""
    if not (isinstance(result, torch.Tensor) and result.requires_grad):
        return "no gradient reaches the weights"
    result.square().sum().backward()
    without = [name for name, p in block.named_parameters() if p.grad is None]
    return f"no gradient reaches {without[0]}" if without else "the gradient reaches every weight"


def _looked_at(block, text, image, image_mask=None, trains=False):
    """What the block makes of its input; with `trains`, whether a gradient comes back as well."""
    masks = () if image_mask is None else (image_mask,)
    with torch.no_grad():
        result = block(text, image, *masks)
    if not trains:
        return result
    image = image.clone().requires_grad_()
    gradient = _gradient(block, block(text, image, *masks))
    reached = image.grad is not None and bool((image.grad != 0).any())
    return {"result": result, "gradient": gradient, "the image gets a gradient": reached}


def _fusion_output(answer, sizes, *inputs, **rest):
    return _looked_at(_made(answer, _CrossAttentionFusion, sizes), *inputs, **rest)


def _look_inputs(B, T, N, d_model, real):
    """Random text and image; `real` says how many tokens of each image are no padding."""
    mask = None if real is None else _real(N, *real)
    said = f"text of shape {(B, T, d_model)}, image {(B, N, d_model)}, "
    said += "without image_mask" if mask is None else f"image_mask {mask.int().tolist()}"
    seed = 100 * T + N
    return said, (_normal(seed, B, T, d_model), _normal(seed + 1, B, N, d_model), mask)


def _fusion_case(sizes, B, T, N, real=None, trains=False):
    said, inputs = _look_inputs(B, T, N, sizes[0], real)
    label = f"CrossAttentionFusion{sizes} on {said}" + (", and the gradient" if trains else "")
    return Case(sizes, *inputs, trains=trains, label=label)


CrossAttentionFusion = Exercise(
    number="17.3",
    name="CrossAttentionFusion",
    oracle=_CrossAttentionFusion,
    compared_with="`nn.TransformerDecoderLayer` without its self-attention",
    probe=_fusion_output,
    tolerance=FLOAT32,
    cases=lambda: [
        _fusion_case((4, 2, 6), 2, 3, 5, real=[3, 4]),
        _fusion_case((4, 2, 6), 2, 3, 5),
        _fusion_case((6, 2, 4), 3, 4, 4, real=[2, 3, 4]),
        _fusion_case((8, 4, 6), 1, 4, 4),
        _fusion_case((4, 2, 6), 1, 1, 2),
        _fusion_case((4, 2, 6), 3, 4, 2, real=[2, 1, 2], trains=True),
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
            _block(look=_self_attention),
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
            _block(steps=_residuals_of_the_normed(second=False)),
        ),
        Mistake(
            "normed_in_both_residuals",
            "Both steps add to what the norm returned. Norm only what a step *reads*; what it is "
            "added to stays as it came in: `text + …`, then `x + …`.",
            _block(steps=_residuals_of_the_normed()),
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

# --- 17.4 GatedCrossAttention ---------------------------------------------------------------


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


class _GatedInSteps(_InSteps):
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


def _attention_gate_only(self):
    return torch.tanh(self.gate_attention), 1


def _feed_forward_gate_only(self):
    return 1, torch.tanh(self.gate_feed_forward)


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


def _gated_output(answer, sizes, gates, text, image, image_mask=None, trains=False):
    """As for the block without gates; with `gates` None as `__init__` leaves it."""
    if gates is not None:
        block = _made(answer, _GatedCrossAttention, sizes)
        with torch.no_grad():
            block.gate_attention.fill_(gates[0])
            block.gate_feed_forward.fill_(gates[1])
        return _looked_at(block, text, image, image_mask, trains)
    _made(answer, _GatedCrossAttention, sizes)  # complains if there are other parameters
    torch.manual_seed(1)
    block = answer(*sizes).eval()
    masks = () if image_mask is None else (image_mask,)
    out = block(text, image, *masks)
    if not isinstance(out, torch.Tensor):
        return out
    found = {"result": out, "the text itself": torch.equal(out, text), "the gates learn": False}
    if out.requires_grad:
        out.square().sum().backward()
        slopes = [block.gate_attention.grad, block.gate_feed_forward.grad]
        found["the gates learn"] = all(s is not None and bool((s != 0).any()) for s in slopes)
    return found


def _gated_case(sizes, gates, B, T, N, real=None, trains=False):
    said, inputs = _look_inputs(B, T, N, sizes[0], real)
    how = "as made by __init__" if gates is None else f"with the gates at {gates[0]} and {gates[1]}"
    label = f"GatedCrossAttention{sizes}, {how}, on {said}"
    label += ", and the gradient" if trains else ""
    return Case(sizes, gates, *inputs, trains=trains, label=label)


GatedCrossAttention = Exercise(
    number="17.4",
    name="GatedCrossAttention",
    oracle=_GatedCrossAttention,
    compared_with="the gated layer of Llama 3.2 Vision (`MllamaCrossAttentionDecoderLayer`)",
    probe=_gated_output,
    tolerance=FLOAT32,
    cases=lambda: [
        _gated_case((4, 2, 6), (1.2, -0.6), 2, 3, 5, real=[3, 4]),
        _gated_case((4, 2, 6), (-0.4, 0.9), 2, 3, 5),
        _gated_case((6, 2, 4), (0.7, 1.5), 3, 4, 4, real=[2, 3, 4]),
        _gated_case((8, 4, 6), (2.0, 0.5), 1, 4, 4),
        _gated_case((4, 2, 6), None, 2, 3, 4),
        _gated_case((4, 2, 6), (1.1, 0.4), 3, 4, 2, real=[2, 1, 2], trains=True),
        _gated_case((4, 2, 6), (0.0, 0.0), 1, 2, 3),
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
            _gated(gates=_attention_gate_only),
        ),
        Mistake(
            "only_feed_forward_gated",
            "Only the feed-forward part is gated. Multiply what the attention found by "
            "`torch.tanh(self.gate_attention)`.",
            _gated(gates=_feed_forward_gate_only),
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
            _gated(look=_self_attention),
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

# --- 17.5 question_only_accuracy ------------------------------------------------------------


def _most_common(answers):
    return Counter(answers).most_common(1)[0][0]


def _question_only_accuracy(train_questions, train_answers, test_questions, test_answers):
    counts = {question: Counter() for question in train_questions}
    for question, answer in zip(train_questions, train_answers, strict=True):
        counts[question][answer] += 1
    unseen = Counter(train_answers)
    guesses = [counts.get(question, unseen).most_common(1)[0][0] for question in test_questions]
    right = [guess == answer for guess, answer in zip(guesses, test_answers, strict=True)]
    return sum(right) / len(right)


def _blind(
    pick=_most_common,
    otherwise=_most_common,
    known=lambda question, table: question in table,
    skips=False,
    score=lambda right: sum(right) / len(right),
):
    """The guesser that sees no image, with one step replaced."""

    def mutant(train_questions, train_answers, test_questions, test_answers):
        table = {}
        for question, answer in zip(train_questions, train_answers, strict=True):
            table.setdefault(question, []).append(answer)
        unseen, right = otherwise(train_answers), []
        for question, answer in zip(test_questions, test_answers, strict=True):
            if known(question, table):
                right.append(pick(table[question]) == answer)
            elif not skips:
                right.append(unseen == answer)
        return score(right)

    return mutant


def _first_of_the_alphabet(answers):
    counts = Counter(answers)
    return min(counts, key=lambda answer: (-counts[answer], answer))


def _last_of_a_tie(answers):
    counts = Counter(answers)
    return max(reversed(counts), key=counts.get)


def _in_the_order_of_a_set(answers):
    return max(set(answers), key=answers.count)


def _counted_on_the_test(train_questions, train_answers, test_questions, test_answers):
    return _question_only_accuracy(test_questions, test_answers, test_questions, test_answers)


def _counted_on_both(train_questions, train_answers, test_questions, test_answers):
    questions, answers = train_questions + test_questions, train_answers + test_answers
    return _question_only_accuracy(questions, answers, test_questions, test_answers)


def _unseen_from_the_test(train_questions, train_answers, test_questions, test_answers):
    mutant = _blind(otherwise=lambda answers: _most_common(test_answers))
    return mutant(train_questions, train_answers, test_questions, test_answers)


def _measured_on_the_training(train_questions, train_answers, test_questions, test_answers):
    return _question_only_accuracy(train_questions, train_answers, train_questions, train_answers)


TIES = (
    "cat dog, red blue, left right, kite ball, bus train, oak elm, salt pepper, tea milk, "
    "north south, hat scarf, bread rice, wood stone"
)


def _ties():
    """Each question has two answers, once each; from the share one can tell all the guesses."""
    pairs = [pair.split() for pair in TIES.split(", ")]
    asked = [f"{first} or {second}?" for first, second in pairs]
    often = [i for i in range(len(pairs)) for _ in range(2**i)]
    train = [q for q in asked for _ in range(2)], [answer for pair in pairs for answer in pair]
    return *train, [asked[i] for i in often], [pairs[i][0] for i in often]


def _ties_case():
    questions, answers, *test = _ties()
    label = f"{len(questions) // 2} questions, each a tie: train_questions={questions[:4]} and so "
    label += f"on,\ntrain_answers={answers[:4]} and so on"
    return Case(questions, answers, *test, label=label)


QUIZ = {
    "what colour is the car?": ("red", "white", "blue"),
    "is it raining?": ("no", "yes"),
    "how many dogs are there?": ("2", "1", "no", "3"),
    "is the man alone?": ("yes", "no"),
    "what is he holding?": ("phone", "no", "cup"),
    "is the door open?": ("no", "yes"),
    "what is on the sign?": ("red", "2", "no", "yes", "phone"),
}


def _quiz_case(seed, n_train, n_test, n_unseen=2, first=((), (), (), ())):
    """Questions drawn at random; the last few kinds of them never come in training."""
    draw = random.Random(seed)
    questions = [*QUIZ]

    def some(n, among):
        asked = [among[int(draw.random() * len(among))] for _ in range(n)]
        answers = [QUIZ[q][int(draw.random() ** 1.3 * len(QUIZ[q]))] for q in asked]
        return asked, answers

    drawn = *some(n_train, questions[: len(questions) - n_unseen]), *some(n_test, questions)
    given = [[*before, *new] for before, new in zip(first, drawn, strict=True)]
    label = f"{len(given[0])} questions in training, {len(given[2])} in the test, some of them "
    label += "never seen before"
    return Case(*given, label=label)


question_only_accuracy = Exercise(
    number="17.5",
    name="question_only_accuracy",
    oracle=_question_only_accuracy,
    compared_with="`collections.Counter.most_common`, question by question",
    cases=lambda: [
        _quiz_case(3578, 40, 211, first=_ties()),
        _quiz_case(505, 31, 47),
        _quiz_case(860, 60, 101),
        _quiz_case(1160, 12, 37),
        _ties_case(),
        Case(["how many?", "how many?", "which?"], ["2", "1", "cat"], ["how many?"], ["2"]),
        Case(["which?", "which?"], ["cat", "dog"], ["which?"], ["cat"]),
        Case(["how many?"] * 3, ["2", "1", "1"], ["how many?", "who?"], ["1", "1"]),
        Case(["a?", "b?", "b?"], ["no", "no", "yes"], ["c?", "d?", "e?"], ["yes", "no", "yes"]),
        Case(["a?", "b?"], ["white", "black"], ["c?", "a?"], ["white", "white"]),
    ],
    mistakes=[
        Mistake(
            "counted_on_the_test",
            "You count the answers of the *test* and then guess them: whoever has seen the answers "
            "guesses well. Count `train_questions` and `train_answers`; the test is only for "
            "marking.",
            _counted_on_the_test,
        ),
        Mistake(
            "counted_on_both",
            "The answers of the test are counted together with those of the training, so they leak "
            "into the guesses. Count the training alone.",
            _counted_on_both,
        ),
        Mistake(
            "measured_on_the_training",
            "You mark the guesses on the training questions, from which they were made. Mark them "
            "on `test_questions` and `test_answers`.",
            _measured_on_the_training,
        ),
        Mistake(
            "unseen_counted_wrong",
            "A question that never came in training is counted as wrong, or gets a guess that is "
            "never right. Guess the most common answer of all the training for it.",
            _blind(otherwise=lambda answers: None),
        ),
        Mistake(
            "unseen_answered_with_the_last",
            "For a question that never came in training you guess the *last* answer of the "
            "training. Guess the most common of them all: `Counter(train_answers).most_common(1)`.",
            _blind(otherwise=lambda answers: answers[-1]),
        ),
        Mistake(
            "unseen_answered_from_the_test",
            "For a question that never came in training you guess what is most common in the "
            "*test*: that is looking at the solutions. Count `train_answers`.",
            _unseen_from_the_test,
        ),
        Mistake(
            "unseen_left_out",
            "Questions that never came in training are left out, also of the number that you "
            "divide by. Each test question counts: guess the most common answer of all the "
            "training.",
            _blind(skips=True),
        ),
        Mistake(
            "one_answer_for_all",
            "You guess one answer for every question, the most common of all. Each question has "
            "its own: count the answers for each question text separately.",
            _blind(known=lambda question, table: False),
        ),
        Mistake(
            "last_answer_seen",
            "You remember the *last* answer that each question had in training (does "
            "`guess[question] = answer` overwrite the one before?). Count them, and take the most "
            "common.",
            _blind(pick=lambda answers: answers[-1]),
        ),
        Mistake(
            "first_answer_seen",
            "You remember the *first* answer that each question had in training. Count them all, "
            "and take the most common.",
            _blind(pick=lambda answers: answers[0]),
        ),
        Mistake(
            "ties_by_the_alphabet",
            "Right, except in a tie: you take the answer that comes first in the alphabet (is "
            "there a `sorted`, or `np.unique`?). Take the one that came first in training, as "
            "`Counter(…).most_common(1)` does.",
            _blind(pick=_first_of_the_alphabet, otherwise=_first_of_the_alphabet),
        ),
        Mistake(
            "ties_to_the_later_answer",
            "Right, except in a tie: you take the answer that came later in training (is there a "
            "`>=`?). Take the one that came first, as `Counter(…).most_common(1)` does.",
            _blind(pick=_last_of_a_tie, otherwise=_last_of_a_tie),
        ),
        Mistake(
            "ties_in_the_order_of_a_set",
            "Right, except in a tie: there the order of a `set` decides, and that is another one "
            "each time Python starts, so your share would not repeat. "
            "`Counter(…).most_common(1)` takes the answer that came first in training.",
            _blind(pick=_in_the_order_of_a_set, otherwise=_in_the_order_of_a_set),
        ),
        Mistake(
            "percent",
            "You return percent. The share is a number between 0 and 1: do not multiply by 100.",
            _blind(score=lambda right: 100 * sum(right) / len(right)),
        ),
        Mistake(
            "number_of_right_answers",
            "You return how many are right. Divide by the number of test questions.",
            _blind(score=sum),
        ),
        Mistake(
            "share_of_wrong_answers",
            "You return the share of *wrong* answers. Count the guesses that are equal to the "
            "answer.",
            _blind(score=lambda right: 1 - sum(right) / len(right)),
        ),
    ],
    hints=[
        "First learn, from the training alone: which answers did each question text have, and how "
        "often? Then guess for each test question, and count the right guesses.",
        "`collections.Counter(answers).most_common(1)[0][0]` is the most common answer; in a tie "
        "it is the one that came first.",
        "Keep a dict with a `Counter` for each question, and one more `Counter` for all answers: "
        "`counts.get(question, everything)` is the one to ask.",
    ],
)
