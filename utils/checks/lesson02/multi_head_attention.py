"""Exercise 2.6, `MultiHeadAttention`: its oracle, inputs, mistakes and hints."""

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.engine.compare import Tolerance
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import fill, in_training
from utils.checks.lesson02.common import everything
from utils.checks.lesson02.masked_attention import (
    attention_with,
    hide_scores,
    masked_attention,
    root_of,
    softmax_over,
    unmasked,
    zeroed,
)
from utils.checks.lesson02.merge_heads import merge_by_reshape, merge_heads, merge_interleaved
from utils.checks.lesson02.split_heads import split_by_reshape, split_heads, split_interleaved


class _MultiHeadAttention(nn.Module):
    """The learner's module with PyTorch's own forward."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)

    def forward(self, x, mask=None):
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


def _heads(
    project=_project,
    split=split_heads.oracle,
    attend=masked_attention.oracle,
    merge=merge_heads.oracle,
    finish=lambda self, out, x: self.w_o(out),
    n_heads=lambda self: self.n_heads,
    default=everything,
):
    """Multi-head attention with one step replaced."""

    class Mutant(_MultiHeadAttention):
        def forward(self, x, mask=None):
            if mask is None:
                mask = default(x.shape[1], x.shape[1])
            q, k, v = (split(y, n_heads(self)) for y in project(self, x))
            return finish(self, merge(attend(q, k, v, mask)), x)

    return Mutant


def _times_weight(self, x, turned=False):
    """The projections as plain matrix products, without their biases."""
    weights = (w.weight for w in (self.w_q, self.w_k, self.w_v))
    return tuple(x @ (w if turned else w.T) for w in weights)


def _left_padded_sentences():
    real = torch.tensor([[True, True, True, True], [False, False, True, True]])
    return real[:, None, None, :] & everything(4, 4).tril()


def _mask_for_each_head():
    narrow = everything(4, 4).tril()
    return torch.stack([narrow, narrow.triu(-1)])[None].expand(2, 2, 4, 4)


def _forward(answer, d_model, n_heads, x, mask):
    """What the learner's module makes of x, with known weights in it."""
    module = answer(d_model, n_heads)
    if not isinstance(module, nn.Module):
        raise TypeError("this is not the class: called with (d_model, n_heads), it makes no module")
    fill(module, like=_MultiHeadAttention(d_model, n_heads), scale=0.3)
    return in_training(module, x) if mask is None else in_training(module, x, mask)


def _real_words():
    """Which of four words are real; the first always is, so that causal rows are not empty."""
    rows = [[True, True, True, False], [True, True, True, True], [True, False, False, False]]
    return torch.tensor(rows)[:, None, None, :]


def _module_case(d_model, n_heads, x, mask, said):
    label = f"MultiHeadAttention({d_model}, {n_heads}) on x of shape {tuple(x.shape)}, {said}"
    return Case(d_model, n_heads, x, mask, label=label)


MultiHeadAttention = Exercise(
    number="2.6",
    name="MultiHeadAttention",
    oracle=_MultiHeadAttention,
    compared_with="`nn.MultiheadAttention` with your weights",
    probe=_forward,
    cases=lambda: [
        _module_case(12, 3, normal(1, 2, 5, 12), everything(5, 5).tril(), "mask causal (5, 5)"),
        _module_case(12, 3, normal(2, 2, 5, 12), None, "no mask"),
        _module_case(
            8, 2, normal(3, 3, 4, 8), _real_words(), "mask for padding of shape (3, 1, 1, 4)"
        ),
        _module_case(
            8,
            4,
            normal(4, 3, 4, 8),
            _real_words() & everything(4, 4).tril(),
            "mask causal and for padding, of shape (3, 1, 4, 4)",
        ),
        _module_case(2, 1, normal(5, 1, 2, 2), None, "no mask"),
        _module_case(4, 2, normal(6, 1, 2, 4), everything(2, 2).tril(), "mask causal (2, 2)"),
        _module_case(4, 2, normal(7, 3, 1, 4), None, "no mask"),
        _module_case(
            6,
            3,
            normal(8, 2, 4, 6),
            _left_padded_sentences(),
            "mask in which the first two words of one sentence may look at nothing",
        ),
        _module_case(
            4, 2, normal(9, 2, 4, 4), _mask_for_each_head(), "a mask of its own for each head"
        ),
    ],
    tolerance=Tolerance(absolute=1e-5, relative=1e-4),
    mistakes=[
        Mistake(
            "one_big_head",
            "That is one head of width `d_model`: `n_heads` has no effect. Call `split_heads` "
            "before the attention and `merge_heads` after it.",
            _heads(n_heads=lambda self: 1),
        ),
        Mistake(
            "scaled_by_d_model",
            "The scores are divided by √d_model. Each head adds up only `d_head` products: divide "
            "by the root of its own width, as your `masked_attention` does on split heads.",
            _heads(attend=attention_with(scale=root_of(lambda q, k, v: q.shape[-1] * q.shape[1]))),
        ),
        Mistake(
            "no_scale",
            "The scores are not scaled: divide by √d_head.",
            _heads(attend=attention_with(scale=lambda q, k, v: 1.0)),
        ),
        Mistake(
            "no_output_projection",
            "`w_o` is missing: the heads lie side by side and nothing has mixed them yet. "
            "Return `self.w_o(...)` of the merged heads.",
            _heads(finish=lambda self, out, x: out),
        ),
        Mistake(
            "split_by_reshape",
            "The heads are split with `view` straight to `(B, n_heads, T, d_head)`, which mixes "
            "the words up. Use your `split_heads` of 2.4.",
            _heads(split=split_by_reshape),
        ),
        Mistake(
            "merged_by_reshape",
            "The heads are merged without moving them back behind the words. "
            "Use your `merge_heads` of 2.5.",
            _heads(merge=merge_by_reshape),
        ),
        Mistake(
            "reshaped_both_ways",
            "The heads are split and merged with `view` alone. Splitting and merging undo each "
            "other, but in between the words are mixed up: `transpose(1, 2)` is missing in both.",
            _heads(split=split_by_reshape, merge=merge_by_reshape),
        ),
        Mistake(
            "interleaved",
            "Your heads take every `n_heads`-th component. Trained weights expect neighbours: "
            "view the last axis as `(n_heads, d_head)`.",
            _heads(split=split_interleaved, merge=merge_interleaved),
        ),
        Mistake(
            "w_k_for_values",
            "The values are made with `w_k`: they have their own `w_v`.",
            _heads(project=lambda self, x: (self.w_q(x), self.w_k(x), self.w_k(x))),
        ),
        Mistake(
            "w_q_for_keys",
            "The keys are made with `w_q`: they have their own `w_k`.",
            _heads(project=lambda self, x: (self.w_q(x), self.w_q(x), self.w_v(x))),
        ),
        Mistake(
            "queries_and_keys_swapped",
            "Queries and keys are swapped: `w_q` makes what a word asks with, `w_k` what it is "
            "found by.",
            _heads(project=lambda self, x: (self.w_k(x), self.w_q(x), self.w_v(x))),
        ),
        Mistake(
            "keys_and_values_swapped",
            "Keys and values are swapped: `masked_attention(q, k, v, mask)` wants the keys before "
            "the values.",
            _heads(project=lambda self, x: (self.w_q(x), self.w_v(x), self.w_k(x))),
        ),
        Mistake(
            "biases_forgotten",
            "The projections are made without their biases. Call the layer, `self.w_q(x)`, in "
            "place of a product with its weight.",
            _heads(project=_times_weight),
        ),
        Mistake(
            "weight_not_transposed",
            "`x @ self.w_q.weight` is not what the layer does: PyTorch keeps the weight as "
            "`(out, in)`, and adds a bias. Call the layer, `self.w_q(x)`.",
            _heads(project=lambda self, x: _times_weight(self, x, turned=True)),
        ),
        Mistake(
            "values_not_projected",
            "The heads mix `x` itself. The values are `self.w_v(x)`.",
            _heads(project=lambda self, x: (self.w_q(x), self.w_k(x), x)),
        ),
        Mistake(
            "nothing_projected",
            "`x` itself serves as queries, keys and values. Each has a projection of its own: "
            "`self.w_q(x)`, `self.w_k(x)`, `self.w_v(x)`.",
            _heads(project=lambda self, x: (x, x, x)),
        ),
        Mistake(
            "mask_ignored",
            "The mask has no effect: hand it on to `masked_attention`.",
            _heads(attend=attention_with(hide=unmasked)),
        ),
        Mistake(
            "mask_inverted",
            "What is allowed is hidden and what is hidden allowed. True means allowed, both here "
            "and in `masked_attention`: hand the mask on as it is.",
            _heads(attend=attention_with(hide=lambda scores, mask: hide_scores(scores, ~mask))),
        ),
        Mistake(
            "mask_after_softmax",
            "The hidden *weights* are set to 0 after the softmax, and a row no longer sums to 1. "
            "Hide the scores, before it.",
            _heads(attend=attention_with(hide=unmasked, afterwards=zeroed)),
        ),
        Mistake(
            "nan_for_an_empty_row",
            "Right, but for a word that may look at nothing: its softmax is 0 / 0, `nan`. Your "
            "`masked_attention` of 2.3 takes care of that; use it.",
            _heads(attend=attention_with(normalise=lambda scores, mask: scores.softmax(-1))),
        ),
        Mistake(
            "large_number_for_minus_infinity",
            "Right, but for a word that may look at nothing: filled with one and the same finite "
            "number, its scores are all equal and it looks at everything. Your `masked_attention` "
            "of 2.3 takes care of that; use it.",
            _heads(
                attend=attention_with(hide=lambda scores, mask: scores.masked_fill(~mask, -1e9))
            ),
        ),
        Mistake(
            "first_heads_mask",
            "Every head gets the mask of the *first*. A mask may differ from head to head: hand "
            "it on as it is.",
            _heads(
                attend=lambda q, k, v, mask: masked_attention.oracle(
                    q, k, v, mask[:, :1] if mask.ndim == 4 else mask
                )
            ),
        ),
        Mistake(
            "causal_by_default",
            "Without a mask you take the causal one. `None` means that everything is allowed.",
            _heads(default=lambda T, _: everything(T, T).tril()),
        ),
        Mistake(
            "softmax_over_queries",
            "The softmax runs over the queries; the keys are the last axis.",
            _heads(attend=attention_with(normalise=softmax_over(-2))),
        ),
        Mistake(
            "softmax_over_heads",
            "The softmax runs over the heads. Each head shares its own weight out among the keys, "
            "the last axis.",
            _heads(attend=attention_with(normalise=softmax_over(1))),
        ),
        Mistake(
            "no_gradient",
            "The numbers are right, but not all weights would learn: is there a `detach`, a "
            "`.data`, a `no_grad`, or a way through NumPy?",
            _heads(finish=lambda self, out, x: self.w_o(out.detach())),
        ),
        Mistake(
            "no_gradient_at_all",
            "The numbers are right, but no gradient gets through: is there a `detach`, a `.data`, "
            "a `no_grad`, or a way through NumPy?",
            _heads(finish=lambda self, out, x: self.w_o(out).detach()),
        ),
        Mistake(
            "input_added",
            "You add the input to the output. Such a residual connection comes in lesson 04; here "
            "only what the heads have found is returned.",
            _heads(finish=lambda self, out, x: x + self.w_o(out)),
        ),
    ],
    hints=[
        "Project, split, attend, merge, project. You have written the three in the middle.",
        "`split_heads(self.w_q(x), self.n_heads)` has shape `(B, n_heads, T, d_head)`; the same "
        "for keys and values, each with its own projection.",
        "Without a mask everything is allowed: `torch.ones(T, T, dtype=torch.bool)`. And at the "
        "end `self.w_o(merge_heads(...))`.",
    ],
)
