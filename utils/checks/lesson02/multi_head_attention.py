"""Exercise 2.6, `MultiHeadAttention`: its oracle, inputs, mistakes and hints."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.engine.compare import Raised, Seen, Tolerance, difference
from utils.checks.engine.exercise import Case, Exercise, Mistake
from utils.checks.engine.inputs import normal
from utils.checks.engine.probes import fill, in_training, same
from utils.checks.lesson02.common import (
    attention_with,
    everything,
    hide_scores,
    root_of,
    softmax_over,
    unmasked,
    zeroed,
)
from utils.checks.lesson02.masked_attention import masked_attention
from utils.checks.lesson02.merge_heads import merge_by_reshape, merge_interleaved
from utils.checks.lesson02.multi_head_attention_mutants import (
    OfPyTorch,
    always_causal,
    evaluating,
    heads,
    not_transposed,
    without_biases,
    writing,
)
from utils.checks.lesson02.split_heads import split_by_reshape, split_interleaved


def _left_padded_sentences():
    real = torch.tensor([[True, True, True, True], [False, False, True, True]])
    return real[:, None, None, :] & everything(4, 4).tril()


def _mask_for_each_head():
    narrow = everything(4, 4).tril()
    return torch.stack([narrow, narrow.triu(-1)])[None].expand(2, 2, 4, 4)


def _forward(answer, d_model, n_heads, x, mask, identity=False):
    """What the learner's module makes of x, with known weights in it, and what it does besides."""
    module, new = (_with_weights(answer, d_model, n_heads, identity) for _ in range(2))
    found = in_training(module, x) if mask is None else in_training(module, x, mask)
    if not isinstance(found, Seen):
        return found
    if not all(map(same, *([p.data for p in m.parameters()] for m in (new, module)))):
        return WRITES
    found |= {f"called again, {said}": out for said, out in _later(module, new, x)}
    return DRAWS if _draws(module, d_model) else found


def _with_weights(answer, d_model, n_heads, identity):
    if not isinstance(answer, type):
        raise TypeError("pass the class itself, not an object that it made")
    module = answer(d_model, n_heads)
    if not isinstance(module, nn.Module):
        raise TypeError("this is not the class: called with (d_model, n_heads), it makes no module")
    fill(module, like=OfPyTorch(d_model, n_heads), scale=0.3)
    if identity:
        for layer in module.w_q, module.w_k, module.w_v, module.w_o:
            layer.load_state_dict({"weight": torch.eye(d_model), "bias": torch.zeros(d_model)})
    return module


@torch.no_grad()
def _later(module, new, x):
    """Whether a module that has seen x does what a new one does with other lengths and batches."""
    T, d_model = x.shape[1] + 3, x.shape[2]
    for said, words, *mask in (
        (f"with 2 sentences of {T} words and no mask", normal(91, 2, T, d_model)),
        ("with the same, and a causal mask", normal(91, 2, T, d_model), everything(T, T).tril()),
        ("with 4 sentences of 1 word and no mask", normal(93, 4, 1, d_model)),
    ):
        outs = []
        for called in copy.deepcopy(new).train(), module:
            try:
                outs.append(called(words, *mask))
            except Exception as error:
                outs.append(Raised(error))
        if not difference(outs[1], outs[0], Tolerance(absolute=1e-5, relative=1e-4)):
            yield said, "the result of a new object"
        else:
            stops = isinstance(outs[1], Raised)
            yield said, f"it stops with {outs[1]}" if stops else "another result"


WRITES = "a call changes the weights"
DRAWS = "two calls with the same x give different results"


@torch.no_grad()
def _draws(module, d_model):
    """True if the result of a call in training mode depends on random numbers."""
    x, outs = normal(94, 1, 40, d_model), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        try:
            outs.append(module.train()(x))
        except Exception:  # another matter, and seen elsewhere
            return False
    return same(outs[0], outs[1]) and not same(outs[0], outs[2])


def _real_words():
    """Which of four words are real; the first always is, so that causal rows are not empty."""
    rows = [[True, True, True, False], [True, True, True, True], [True, False, False, False]]
    return torch.tensor(rows)[:, None, None, :]


def _module_case(d_model, n_heads, x, mask, said="", **build):
    call = "(x)" if mask is None else "(x, mask)"
    label = f"MultiHeadAttention({d_model}, {n_heads}){call}, x of shape {tuple(x.shape)}"
    label += f", mask {said} {tuple(mask.shape)}" if mask is not None else said
    return Case(d_model, n_heads, x, mask, label=label, **build)


def _by_hand(n_heads):
    x, said = torch.tensor([[[1.0, 2.0], [1.0, 2.0]]]), " (two equal words), all weights identity"
    return _module_case(2, n_heads, x, None, said, identity=True)


MultiHeadAttention = Exercise(
    number="2.6",
    name="MultiHeadAttention",
    oracle=OfPyTorch,
    compared_with="`nn.MultiheadAttention` with your weights",
    probe=_forward,
    cases=lambda: [
        _module_case(12, 3, normal(1, 2, 5, 12), everything(5, 5).tril(), "causal"),
        _module_case(12, 3, normal(2, 2, 5, 12), None),
        _by_hand(1),
        _by_hand(2),
        _module_case(8, 2, normal(3, 3, 4, 8), _real_words(), "for padding"),
        _module_case(
            8,
            4,
            normal(4, 3, 4, 8),
            _real_words() & everything(4, 4).tril(),
            "causal and for padding",
        ),
        _module_case(2, 1, normal(5, 1, 2, 2), None),
        _module_case(4, 2, normal(6, 1, 2, 4), everything(2, 2).tril(), "causal"),
        _module_case(4, 2, normal(7, 3, 1, 4), None),
        _module_case(
            6,
            3,
            normal(8, 2, 4, 6),
            _left_padded_sentences(),
            "in which the first two words of one sentence may look at nothing",
        ),
        _module_case(4, 2, normal(9, 2, 4, 4), _mask_for_each_head(), "of its own for each head"),
        _module_case(4, 2, normal(10, 2, 4, 4), _mask_for_each_head()[0], "for each head"),
        _module_case(4, 2, normal(11, 2, 3, 4), everything(1, 3).cumsum(1) < 3, "for keys"),
        _module_case(2, 2, normal(12, 1, 70, 2), None),
    ],
    tolerance=Tolerance(absolute=1e-5, relative=1e-4),
    mistakes=[
        Mistake(
            "one_big_head",
            "That is one head of width `d_model`: `n_heads` has no effect. Call `split_heads` "
            "before the attention and `merge_heads` after it.",
            heads(n_heads=lambda self: 1),
        ),
        Mistake(
            "scaled_by_d_model",
            "The scores are divided by √d_model. Each head adds up only `d_head` products: divide "
            "by the root of its own width, as your `masked_attention` does on split heads.",
            heads(attend=attention_with(scale=root_of(lambda q, k, v: q.shape[-1] * q.shape[1]))),
        ),
        Mistake(
            "no_scale",
            "The scores are not scaled: divide by √d_head.",
            heads(attend=attention_with(scale=lambda q, k, v: 1.0)),
        ),
        Mistake(
            "no_output_projection",
            "`w_o` is missing: the heads lie side by side and nothing has mixed them yet. "
            "Return `self.w_o(...)` of the merged heads.",
            heads(finish=lambda self, out, x: out),
        ),
        Mistake(
            "split_by_reshape",
            "The heads are split with `view` straight to `(B, n_heads, T, d_head)`, which mixes "
            "the words up. Use your `split_heads` of 2.4.",
            heads(split=split_by_reshape),
        ),
        Mistake(
            "merged_by_reshape",
            "The heads are merged without moving them back behind the words. "
            "Use your `merge_heads` of 2.5.",
            heads(merge=merge_by_reshape),
        ),
        Mistake(
            "reshaped_both_ways",
            "The heads are split and merged with `view` alone. Splitting and merging undo each "
            "other, but in between the words are mixed up: `transpose(1, 2)` is missing in both.",
            heads(split=split_by_reshape, merge=merge_by_reshape),
        ),
        Mistake(
            "interleaved",
            "Your heads take every `n_heads`-th component. Trained weights expect neighbours: "
            "view the last axis as `(n_heads, d_head)`.",
            heads(split=split_interleaved, merge=merge_interleaved),
        ),
        Mistake(
            "w_k_for_values",
            "The values are made with `w_k`: they have their own `w_v`.",
            heads(project=lambda self, x: (self.w_q(x), self.w_k(x), self.w_k(x))),
        ),
        Mistake(
            "w_q_for_keys",
            "The keys are made with `w_q`: they have their own `w_k`.",
            heads(project=lambda self, x: (self.w_q(x), self.w_q(x), self.w_v(x))),
        ),
        Mistake(
            "queries_and_keys_swapped",
            "Queries and keys are swapped: `w_q` makes what a word asks with, `w_k` what it is "
            "found by.",
            heads(project=lambda self, x: (self.w_k(x), self.w_q(x), self.w_v(x))),
        ),
        Mistake(
            "keys_and_values_swapped",
            "Keys and values are swapped: `masked_attention(q, k, v, mask)` wants the keys before "
            "the values.",
            heads(project=lambda self, x: (self.w_q(x), self.w_v(x), self.w_k(x))),
        ),
        Mistake(
            "biases_forgotten",
            "The projections are made without their biases. Call the layer, `self.w_q(x)`, in "
            "place of a product with its weight.",
            heads(project=without_biases),
        ),
        Mistake(
            "weight_not_transposed",
            "`x @ self.w_q.weight` is not what the layer does: PyTorch keeps the weight as "
            "`(out, in)`, transposed. Call the layer, `self.w_q(x)`.",
            heads(project=not_transposed),
        ),
        Mistake(
            "values_not_projected",
            "The heads mix `x` itself. The values are `self.w_v(x)`.",
            heads(project=lambda self, x: (self.w_q(x), self.w_k(x), x)),
        ),
        Mistake(
            "nothing_projected",
            "`x` itself serves as queries, keys and values. Each has a projection of its own: "
            "`self.w_q(x)`, `self.w_k(x)`, `self.w_v(x)`.",
            heads(project=lambda self, x: (x, x, x)),
        ),
        Mistake(
            "mask_ignored",
            "The mask has no effect: hand it on to `masked_attention`.",
            heads(attend=attention_with(hide=unmasked)),
        ),
        Mistake(
            "mask_inverted",
            "What is allowed is hidden and what is hidden allowed. True means allowed, both here "
            "and in `masked_attention`: hand the mask on as it is.",
            heads(attend=attention_with(hide=lambda scores, mask: hide_scores(scores, ~mask))),
        ),
        Mistake(
            "mask_after_softmax",
            "The hidden *weights* are set to 0 after the softmax, and a row no longer sums to 1. "
            "Hide the scores, before it.",
            heads(attend=attention_with(hide=unmasked, afterwards=zeroed)),
        ),
        Mistake(
            "nan_for_an_empty_row",
            "Right, but for a word that may look at nothing: its softmax is 0 / 0, `nan`. Your "
            "`masked_attention` of 2.3 takes care of that; use it.",
            heads(attend=attention_with(normalise=lambda scores, mask: scores.softmax(-1))),
        ),
        Mistake(
            "large_number_for_minus_infinity",
            "Right, but for a word that may look at nothing: filled with one and the same finite "
            "number, its scores are all equal and it looks at everything. Your `masked_attention` "
            "of 2.3 takes care of that; use it.",
            heads(attend=attention_with(hide=lambda scores, mask: scores.masked_fill(~mask, -1e9))),
        ),
        Mistake(
            "first_heads_mask",
            "Every head gets the mask of the *first*. A mask may differ from head to head: hand "
            "it on as it is.",
            heads(
                attend=lambda q, k, v, mask: masked_attention.oracle(
                    q, k, v, mask[:, :1] if mask.ndim == 4 else mask
                )
            ),
        ),
        Mistake(
            "causal_by_default",
            "Without a mask you take the causal one. `None` means that everything is allowed.",
            heads(default=lambda T, _: everything(T, T).tril()),
        ),
        Mistake(
            "always_causal",
            "You hide what comes later, whatever the mask says. Hand on the `mask` that you are "
            "given, and without one hide nothing.",
            heads(attend=always_causal),
        ),
        Mistake(
            "random_in_forward",
            "Two calls with the same `x` give different results, so something is drawn at random "
            "in `forward`, such as a dropout. Nothing of the kind is asked for here.",
            heads(finish=lambda self, out, x: F.dropout(self.w_o(out), 0.5, self.training)),
        ),
        Mistake(
            "weights_changed",
            "A call changes the module's own weights: each later one finds others. `forward` only "
            "uses them; changing them is the optimizer's work.",
            heads(finish=writing),
        ),
        Mistake(
            "leaves_training_mode",
            "A call takes the module out of training mode: is there a `self.eval()` in `forward`? "
            "Which mode holds is for the one who calls to say.",
            heads(finish=evaluating),
        ),
        Mistake(
            "softmax_over_queries",
            "The softmax runs over the queries; the keys are the last axis.",
            heads(attend=attention_with(normalise=softmax_over(-2))),
        ),
        Mistake(
            "softmax_over_heads",
            "The softmax runs over the heads. Each head shares its own weight out among the keys, "
            "the last axis.",
            heads(attend=attention_with(normalise=softmax_over(1))),
        ),
        Mistake(
            "input_added",
            "You add the input to the output. Such a residual connection comes in lesson 04; here "
            "only what the heads have found is returned.",
            heads(finish=lambda self, out, x: x + self.w_o(out)),
        ),
    ],
    hints=[
        "Project, split, attend, merge, project. You have written the three in the middle.",
        "`splitheads(self.w_q(x), self.n_heads)` has shape `(B, n_heads, T, d_head)`; the same "
        "for keys and values, each with its own projection.",
        "Without a mask everything is allowed: `torch.ones(T, T, dtype=torch.bool)`. And at the "
        "end `self.w_o(mergeheads(...))`.",
    ],
)
