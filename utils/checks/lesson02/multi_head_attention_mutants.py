"""What the mistakes of exercise 2.6 are made of: PyTorch's module, and one step replaced."""

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.lesson02.common import everything
from utils.checks.lesson02.masked_attention import masked_attention
from utils.checks.lesson02.merge_heads import merge_heads
from utils.checks.lesson02.split_heads import split_heads


class OfPyTorch(nn.Module):
    """The learner's module with PyTorch's own forward."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)

    def forward(self, x, mask=None):
        """Self-attention to what the mask allows: (B, T, d_model), same shape."""
        B, T, d_model = x.shape
        if mask is not None:  # PyTorch's is True where a key is hidden, one table for each head
            mask = ~mask.expand(B, self.n_heads, T, T).reshape(B * self.n_heads, T, T)
        projections = self.w_q, self.w_k, self.w_v
        words = x.transpose(0, 1)  # (T, B, d_model)
        out, _ = F.multi_head_attention_forward(
            query=words,
            key=words,
            value=words,
            embed_dim_to_check=d_model,
            num_heads=self.n_heads,
            in_proj_weight=torch.cat([w.weight for w in projections]),
            in_proj_bias=torch.cat([w.bias for w in projections]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.w_o.weight,
            out_proj_bias=self.w_o.bias,
            training=self.training,
            need_weights=False,
            attn_mask=mask,
        )
        return out.transpose(0, 1)


def _project(self, x):
    return self.w_q(x), self.w_k(x), self.w_v(x)


def heads(
    project=_project,
    split=split_heads.oracle,
    attend=masked_attention.oracle,
    merge=merge_heads.oracle,
    finish=lambda self, out, x: self.w_o(out),
    n_heads=lambda self: self.n_heads,
    default=everything,
):
    """Multi-head attention with one step replaced."""

    class Mutant(OfPyTorch):
        def forward(self, x, mask=None):
            if mask is None:
                mask = default(x.shape[1], x.shape[1])
            q, k, v = (split(y, n_heads(self)) for y in project(self, x))
            return finish(self, merge(attend(q, k, v, mask)), x)

    return Mutant


def without_biases(self, x):
    """The projections as plain products."""
    return tuple(x @ w.weight.T for w in (self.w_q, self.w_k, self.w_v))


def not_transposed(self, x):
    """The projections with the weights as they are stored."""
    return tuple(x @ w.weight + w.bias for w in (self.w_q, self.w_k, self.w_v))


def always_causal(q, k, v, mask):
    """Attention that hides what comes later, whatever the mask."""
    return masked_attention.oracle(q, k, v, everything(*q.shape[-2:-1], k.shape[-2]).tril())


def evaluating(self, out, x):
    """The output, from a module put into evaluation mode."""
    self.eval()
    return self.w_o(out)


def writing(self, out, x):
    """The output, from a module that changes a weight at each call."""
    out = self.w_o(out)
    with torch.no_grad():
        self.w_o.weight.mul_(0.9)
    return out
