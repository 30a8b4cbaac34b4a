"""What several exercises of lesson 17 share: masks, and how a block that looks is watched."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from utils.checks.engine.compare import Seen, Tolerance
from utils.checks.engine.inputs import call_text, normal, real_tokens, seeded
from utils.checks.engine.probes import in_training, of_its_own_accord

MEANS = Tolerance(absolute=1e-5, relative=1e-4)

FLOAT32 = Tolerance(absolute=1e-4, relative=1e-4)


def words(T: int, *lengths: int) -> torch.Tensor:
    """As `real_tokens`; inside `other_numbers` the rows have other lengths."""
    if seeded(0):
        lengths = tuple(T + 1 - n if n else T for n in lengths)
    return real_tokens(T, *lengths)


class InSteps:
    """The block with every step a method of its own, so that a mistake can replace one."""

    def hidden(self, mask):
        """True where a patch must not be seen."""
        return None if mask is None else ~mask

    def look(self, x, image, hidden):
        """The attention itself."""
        return self.cross_attention(x, image, image, key_padding_mask=hidden)[0]

    def steps(self, text, look):
        """Both halves of the block."""
        x = text + look(self.norm1(text))
        return x + self.feed_forward(self.norm2(x))

    def forward(self, text, image, image_mask=None):
        """The block, of its steps."""
        return self.steps(text, lambda x: self.look(x, image, self.hidden(image_mask)))


def looking_at_words(self, x, image, hidden):
    """A mistake: the words look at one another."""
    return self.cross_attention(x, x, x)[0]


def dropping(self, x, image, hidden):
    """A mistake: a dropout of one's own."""
    return nn.functional.dropout(InSteps.look(self, x, image, hidden), 0.1)


def leaving_training(self, x, image, hidden):
    """A mistake: evaluation mode, set inside `forward`."""
    self.eval()
    return InSteps.look(self, x, image, hidden)


def watched(make: Callable, text: torch.Tensor, image: torch.Tensor, mask=None, **gates) -> Any:
    """What a block does in training: result, gradients, and later calls with other masks.

    Args:
        make: makes the block; called twice.
        text: (B, T, d).
        image: (B, N, d).
        mask: (B, N) or None.
        **gates: what to put into its gates.

    Returns:
        As `in_training`, and what comes out with another mask and without one, or with fewer
        patches, and with other weights; a sentence instead if the block draws at random, changes
        its mode or its weights.
    """
    masks = () if mask is None else (mask,)
    if said := of_its_own_accord(make(), text, image, *masks):
        return said
    block = make()
    with torch.no_grad():
        for name, value in gates.items():
            getattr(block, name).fill_(value)
    found = in_training(block, text, image, *masks)
    if not isinstance(found, Seen):
        return found
    image = image.clamp(-2, 2)  # without the large numbers of the padding
    later = {"with the first patch alone": (image[:, :1],)}
    if mask is not None:
        later = {"with another image_mask": (image, mask.flip(1)), "without image_mask": (image,)}
    with torch.no_grad():
        for said, again in later.items():
            found[f"called again, {said}"] = block(text, *again)
        for parameter in block.parameters():
            parameter.add_(0.1)
        found["called again, with other weights"] = block(text, image, *masks)
    return found


def look_inputs(B, T, N, d_model, real):
    """Random text and image; `real` says how many tokens of each image are no padding.

    The padding holds large numbers, so that a score of -100 does not hide it.
    """
    seed = 100 * T + N
    text, image = normal(seed, B, T, d_model), normal(seed + 1, B, N, d_model)
    said = f"\nblock(torch.randn({B}, {T}, {d_model}), torch.randn({B}, {N}, {d_model})"
    if real is None:
        return f"{said})", (text, image, None)
    mask = words(N, *real)
    image = torch.where(mask[..., None], image, 100 * image)
    return f"{said}, torch.tensor({mask.tolist()}))", (text, image, mask)


def build(sizes):
    """The sizes of a block as the arguments that it is made with."""
    return dict(zip(("d_model", "n_heads", "d_ff"), sizes, strict=True))


def block_text(name, sizes):
    """How a block is made, as Python."""
    return f"block = {call_text(name, build(sizes))}"
