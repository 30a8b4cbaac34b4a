"""What the mistakes of exercise 8.3 are made of: the stand-in, and one step replaced."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.lesson08.common import rotate


class OfHuggingFace(nn.Module):
    """The stand-in: the learner's layers, Hugging Face's rotation and attention."""

    def __init__(self, d_model, n_heads, n_kv_heads):
        super().__init__()
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        self.d_head = d_model // n_heads
        self.q = nn.Linear(d_model, d_model, bias=False)
        self.k = nn.Linear(d_model, n_kv_heads * self.d_head, bias=False)
        self.v = nn.Linear(d_model, n_kv_heads * self.d_head, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x, cos, sin, cache=None):
        """Attention of T new positions to all so far: (B, T, d_model), same shape."""
        from transformers.models.llama import modeling_llama as llama

        q, k, v = (layer(x).unflatten(-1, (-1, self.d_head)) for layer in (self.q, self.k, self.v))
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        wide = (torch.cat([c, c], dim=-1)[None] for c in (cos, sin))
        q, k = llama.apply_rotary_pos_emb(q, k, *wide)
        if cache is not None:
            k, v = cache.add(k, v)
        groups = SimpleNamespace(
            num_key_value_groups=self.n_heads // self.n_kv_heads, training=False
        )
        mask = torch.zeros_like(q[0, 0] @ k[0, 0].mT).masked_fill(~last_of_all(q, k), -torch.inf)
        out, _ = llama.eager_attention_forward(groups, q, k, v, mask, scaling=self.d_head**-0.5)
        return self.out(out.flatten(2))


def last_of_all(q, k):
    """True where a query may look: the T queries are the last T of the S positions."""
    T, S = q.shape[-2], k.shape[-2]
    return torch.ones(T, S, dtype=torch.bool).tril(S - T)


def first_of_all(q, k):
    """The mask of `is_causal=True`: the queries taken for the *first* positions."""
    return torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()


def project(self, x):
    """Queries, keys and values, each by its own layer."""
    return self.q(x), self.k(x), self.v(x)


def split(x, d_head):
    """(B, T, heads * d_head) as (B, heads, T, d_head)."""
    return x.unflatten(-1, (-1, d_head)).transpose(1, 2)


def split_by_reshape(x, d_head):
    """The heads by a view alone, which mixes the words up."""
    return x.reshape(len(x), -1, x.shape[1], d_head)


def split_interleaved(x, d_head):
    """Each head takes every so-many-th component."""
    return x.unflatten(-1, (d_head, -1)).permute(0, 3, 1, 2)


def turn(q, k, v, cos, sin):
    """Queries and keys rotated."""
    return rotate(q, cos, sin), rotate(k, cos, sin), v


def turned_by(rotation):
    """Queries and keys rotated in another way."""
    return lambda q, k, v, cos, sin: (rotation(q, cos, sin), rotation(k, cos, sin), v)


def neighbours(x, cos, sin):
    """The rotation of pairs of neighbours, i with i + 1."""
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)


def remember(cache, k, v, cos, sin):
    """All keys and values so far."""
    return (k, v) if cache is None else cache.add(k, v)


def spread(x, times):
    """Each head for so many neighbouring query heads."""
    return x.repeat_interleave(times, dim=1)


def attend(q, k, v, mask):
    """Scaled dot-product attention."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def merge(out):
    """(B, heads, T, d_head) as (B, T, heads * d_head)."""
    return out.transpose(1, 2).flatten(2)


def merge_by_reshape(out):
    """The heads merged by a view alone."""
    return out.reshape(len(out), out.shape[2], -1)


def attention(
    project=project,
    split=split,
    turn=turn,
    before=lambda k, v, times: (k, v),
    remember=remember,
    spread=(spread, spread),
    mask=lambda q, k, cache: last_of_all(q, k),
    attend=attend,
    merge=merge,
    finish=lambda self, out, x: self.out(out),
):
    """Grouped-query attention with one step replaced."""

    class Mutant(OfHuggingFace):
        def forward(self, x, cos, sin, cache=None):
            q, k, v = (split(y, self.d_head) for y in project(self, x))
            q, k, v = turn(q, k, v, cos, sin)
            k, v = before(k, v, self.n_heads // self.n_kv_heads)
            k, v = remember(cache, k, v, cos, sin)
            times = self.n_heads // k.shape[1]
            k, v = (by(y, times) for by, y in zip(spread, (k, v), strict=True))
            return finish(self, merge(attend(q, k, v, mask(q, k, cache))), x)

    return Mutant


def scaled(root):
    """Attention with another scale."""
    return lambda q, k, v, mask: F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, scale=root(q) ** -0.5
    )


def weights_over(axis):
    """Attention whose softmax runs over another axis."""

    def attend(q, k, v, mask):
        scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf)
        return scores.softmax(axis).nan_to_num(0.0) @ v

    return attend


def hidden_afterwards(q, k, v, mask):
    """Attention whose weights are hidden after the softmax."""
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return weights.masked_fill(~mask, 0.0) @ v


def turned_after_the_cache(cache, k, v, cos, sin):
    """The keys rotated when they come out of the cache."""
    k, v = (k, v) if cache is None else cache.add(k, v)
    return rotate(k, cos, sin), v


def tiled(x, times):
    """The heads round and round."""
    return x.repeat(1, times, 1, 1)


def only_first_head(x, times):
    """The first head for all."""
    return x[:, :1].expand(-1, x.shape[1] * times, -1, -1)


def added_then_ignored(cache, k, v, cos, sin):
    """The cache filled, and not asked."""
    if cache is not None:
        cache.add(k, v)
    return k, v
