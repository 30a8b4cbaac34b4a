"""Answers to lesson 02: right ones in an unusual style, and mistakes that nobody listed."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def causal_loops(T):
    mask = torch.zeros(T, T, dtype=torch.bool)
    for i in range(T):
        mask[i, : i + 1] = True
    return mask


def padding_loops(ids, pad_id):
    rows = [[[[token != pad_id for token in row]]] for row in ids.tolist()]
    return torch.tensor(rows)


def masked_attention_loops(q, k, v, mask):
    front = q.shape[:-2]
    mask = mask.expand(*front, q.shape[-2], k.shape[-2])
    if front:
        parts = zip(q, k, v, mask, strict=True)
        return torch.stack([masked_attention_loops(*part) for part in parts])
    rows = []
    for query, allowed in zip(q, mask, strict=True):
        row = torch.zeros(v.shape[-1])
        if allowed.any():
            row = ((k[allowed] @ query) / k.shape[-1] ** 0.5).softmax(0) @ v[allowed]
        rows.append(row)
    return torch.stack(rows)


def masked_attention_by_hand(q, k, v, mask):
    q, k, v = q.double(), k.double(), v.double()
    s = torch.einsum("...id,...jd->...ij", q, k) * q.size(-1) ** -0.5
    e = torch.exp(s - s.amax(-1, keepdim=True).detach()) * mask
    return e / e.sum(-1, keepdim=True).clamp(min=1e-300) @ v


def masked_attention_bias(q, k, v, mask):
    bias = torch.where(mask, 0.0, float("-inf"))
    out = (q.div(math.sqrt(k.shape[-1])).matmul(k.mT) + bias).softmax(dim=-1).matmul(v)
    return torch.where(out.isnan(), 0.0, out)


def masked_attention_finite(q, k, v, mask):
    scores = (q @ k.mT) / math.sqrt(q.shape[-1])
    scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    return (scores.softmax(-1) * mask) @ v


def split_loops(x, n_heads):
    B, T, d_model = x.shape
    d_head = d_model // n_heads
    out = torch.empty(B, n_heads, T, d_head)
    for h in range(n_heads):
        out[:, h] = x[:, :, h * d_head : (h + 1) * d_head]
    return out


def merge_loops(x):
    B, n_heads, T, d_head = x.shape
    out = torch.zeros(B, T, n_heads * d_head)
    for b in range(B):
        for t in range(T):
            out[b, t] = torch.cat([x[b, h, t] for h in range(n_heads)])
    return out


class Heads(nn.Module):
    """The part of `MultiHeadAttention` that is given."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)


class HeadByHead(Heads):
    def forward(self, x, mask=None):
        B, T, d_model = x.shape
        d_head = d_model // self.n_heads
        mask = torch.ones(1, 1, T, T).bool() if mask is None else mask
        mask = mask.expand(B, self.n_heads, T, T)
        q, k, v = self.w_q(x), self.w_k(x), self.w_v(x)
        out = 0
        for h in range(self.n_heads):  # the sum over heads of what each writes
            c = slice(h * d_head, (h + 1) * d_head)
            found = masked_attention_finite(q[..., c], k[..., c], v[..., c], mask[:, h])
            out = out + found @ self.w_o.weight[:, c].T
        return out + self.w_o.bias


class HeadsEinsum(Heads):
    def forward(self, x, mask=None):
        H = self.n_heads
        q, k, v = (w(x).view(*x.shape[:2], H, -1) for w in (self.w_q, self.w_k, self.w_v))
        scores = torch.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(mask.logical_not(), float("-inf"))
        weights = torch.nan_to_num(scores.softmax(-1))
        out = torch.einsum("bhij,bjhd->bihd", weights, v)
        return self.w_o(out.flatten(2))


class HeadsFused(Heads):
    def forward(self, x, mask=None):
        split = [
            F.linear(x, w.weight, w.bias).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for w in (self.w_q, self.w_k, self.w_v)
        ]
        out = F.scaled_dot_product_attention(*split, attn_mask=mask)
        return self.w_o(out.transpose(1, 2).reshape(x.shape))


def leaks_word_by_word(attend, T, d_model):
    x = torch.ones(1, T, d_model)
    before, word = attend(x), torch.arange(T)[:, None]
    for j in range(T - 1, 0, -1):
        after = attend(torch.where(word == j, torch.rand(d_model), x))
        if any(not torch.allclose(after[0, i], before[0, i], 1e-4) for i in range(j)):
            return torch.tensor(True)
    return torch.tensor(False)


def leaks_gradient(attend, T, d_model):
    for i in range(T - 1):
        x = torch.randn(1, T, d_model, requires_grad=True)
        out = attend(x)[0, i].square().sum()
        if out.requires_grad:
            (slope,) = torch.autograd.grad(out, x, allow_unused=True)
            if slope is not None and slope[:, i + 1 :].abs().max() > 0:
                return True
    return False


def leaks_backwards_in_one_copy(attend, T, d_model):
    x = torch.randn(1, T, d_model)
    before, y = attend(x).clone(), x.clone()
    largest = 0.0
    for t in range(T - 1, 0, -1):  # from the back, what has changed stays behind the cut
        y[:, t] += 1.0 + torch.rand(d_model)
        largest = max(largest, (attend(y) - before)[:, :t].abs().max().item())
    return largest > 1e-5 * before.abs().max().item()


def masked_attention_where_mask(q, k, v, mask):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return scores.masked_fill(mask, -torch.inf).softmax(-1) @ v


def masked_attention_clipped_root(q, k, v, mask):
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).clamp(-1, 1)
    return scores.masked_fill(~mask, -torch.inf).softmax(-1).nan_to_num(0.0) @ v


class HeadsReversed(Heads):
    def forward(self, x, mask=None):
        q, k, v = (split_loops(w(x), self.n_heads) for w in (self.w_q, self.w_k, self.w_v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.w_o(merge_loops(out.flip(1)))


class HeadsNeedMask(HeadsFused):
    def forward(self, x, mask):
        return super().forward(x, mask)


def leaks_by_prefix_of_outputs(attend, T, d_model):
    x = torch.randn(1, T, d_model)
    y = x.clone()
    y[:, -1] = 0
    return bool((attend(x)[:, 0] != attend(y)[:, 0]).any())


def leaks_below_a_coarse_tolerance(attend, T, d_model):
    x = torch.randn(1, T, d_model)
    before = attend(x)
    for t in range(1, T):
        y = x.clone()
        y[:, t:] = torch.randn(1, T - t, d_model)
        if not torch.allclose(attend(y)[:, :t], before[:, :t], atol=0.1):
            return True
    return False


def masked_attention_log_of_mask(q, k, v, mask):
    s = q @ k.mT / math.sqrt(q.shape[-1]) + mask.float().log()
    return s.softmax(-1).nan_to_num(0.0) @ v


def masked_attention_logsumexp(q, k, v, mask):
    s = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~mask, -torch.inf)
    total = torch.logsumexp(s, -1, keepdim=True)
    return torch.where(mask, (s - torch.where(total.isinf(), 0.0, total)).exp(), 0.0) @ v


def masked_attention_filled(fill):
    def answer(q, k, v, mask):
        s = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~mask, fill)
        return (s.softmax(-1) * mask) @ v

    return answer


def masked_attention_zeros_hidden(q, k, v, mask):
    s = q @ k.mT / math.sqrt(q.shape[-1]) * mask
    return s.masked_fill(s == 0, -torch.inf).softmax(-1).nan_to_num(0.0) @ v


def masked_attention_three_axes(q, k, v, mask):
    return masked_attention_by_hand(q, k, v, mask.unsqueeze(1) if mask.ndim == 3 else mask).float()


def masked_attention_no_maximum(q, k, v, mask):
    e = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~mask, -torch.inf).exp()
    return (e / e.sum(-1, keepdim=True)).nan_to_num(0.0) @ v


def masked_attention_no_softmax(q, k, v, mask):
    return (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~mask, -torch.inf) @ v


def masked_attention_in_place(q, k, v, mask):
    weights = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~mask, -torch.inf).softmax(-1)
    weights[weights.isnan()] = 0.0
    return weights @ v


ONCE = torch.ones(40, 40, dtype=torch.bool).tril()


def causal_40(T):
    return ONCE[:T, :T]


def padding_kept(ids, pad_id, kept={}):  # noqa: B006
    return kept.setdefault((ids.shape, pad_id), (ids != pad_id)[:, None, None, :])


def padding_is_not(ids, pad_id):
    return torch.tensor([[[[token is not pad_id for token in row]]] for row in ids.tolist()])


def split_kept(x, n_heads, kept={}):  # noqa: B006
    return kept.setdefault((x.shape, n_heads), split_loops(x, n_heads))


def merge_kept(x, kept={}):  # noqa: B006
    return kept.setdefault(x.shape, x.transpose(1, 2).flatten(2))


class KeepsFirstMask(HeadsFused):
    def forward(self, x, mask=None):
        self.mask = getattr(self, "mask", mask)
        return super().forward(x, self.mask)


class KeepsLastMask(HeadsFused):
    def forward(self, x, mask=None):
        self.mask = getattr(self, "mask", None) if mask is None else mask
        return super().forward(x, self.mask)


class KeepsLength(HeadsFused):
    def forward(self, x, mask=None):
        self.all = getattr(self, "all", torch.ones(x.shape[1], x.shape[1], dtype=torch.bool))
        return super().forward(x, self.all if mask is None else mask)


class KeepsBatch(Heads):
    def forward(self, x, mask=None):
        self.B, d_head = getattr(self, "B", len(x)), x.shape[-1] // self.n_heads
        q, k, v = (
            w(x).view(self.B, -1, self.n_heads, d_head).transpose(1, 2)
            for w in (self.w_q, self.w_k, self.w_v)
        )
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.w_o(out.transpose(1, 2).flatten(2))


class HeadsOf40(HeadsEinsum):
    def forward(self, x, mask=None):
        everything = torch.ones(40, 40, dtype=torch.bool)
        return super().forward(x, everything[: x.shape[1], : x.shape[1]] if mask is None else mask)


class HeadsThreeAxes(HeadsFused):
    def forward(self, x, mask=None):
        mask = mask.unsqueeze(1) if mask is not None and mask.ndim == 3 else mask
        return super().forward(x, mask)


class HeadsEvaluating(HeadsEinsum):
    def forward(self, x, mask=None):
        self.eval()
        return super().forward(x, mask)


class HeadsDropping(HeadsEinsum):
    def __init__(self, d_model, n_heads):
        super().__init__(d_model, n_heads)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x, mask=None):
        return self.dropout(super().forward(x, mask))


class HeadsDrawnAnew(HeadsFused):
    def forward(self, x, mask=None):
        nn.init.xavier_uniform_(self.w_q.weight)
        return super().forward(x, mask)


class HeadsWriting(HeadsFused):
    def forward(self, x, mask=None):
        out = super().forward(x, mask)
        with torch.no_grad():
            self.w_o.bias.add_(0.1)
        return out


class HeadsOfAConstant(HeadsFused):
    def forward(self, x, mask=None):
        return super().forward(x.detach(), mask)


class HeadsTimesWeight(Heads):
    def forward(self, x, mask=None):
        q, k, v = (
            (x @ w.weight + w.bias).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for w in (self.w_q, self.w_k, self.w_v)
        )
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.w_o(out.transpose(1, 2).flatten(2))


class HeadsCausal(Heads):
    def forward(self, x, mask=None):
        q, k, v = (split_loops(w(x), self.n_heads) for w in (self.w_q, self.w_k, self.w_v))
        return self.w_o(merge_loops(F.scaled_dot_product_attention(q, k, v, is_causal=True)))


class HeadsOfOneWidth(Heads):
    """Wrong in the scale alone, which two equal words do not show: nothing is kept."""

    def forward(self, x, mask=None):
        q, k, v = (split_loops(w(x), self.n_heads) for w in (self.w_q, self.w_k, self.w_v))
        scale = x.shape[-1] ** -0.5
        return self.w_o(
            merge_loops(F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale))
        )


def leaks(new=torch.randn_like, same=torch.allclose, cuts=lambda T: range(1, T)):
    """The task's way with one step replaced."""

    def answer(attend, T, d_model):
        x = torch.randn(1, T, d_model)
        before = attend(x)
        for t in cuts(T):
            y = x.clone()
            y[:, t:] = new(x[:, t:])
            if not same(attend(y)[:, :t], before[:, :t]):
                return True
        return False

    return answer


def leaks_prefix(attend, T, d_model):
    x = torch.randn(1, T, d_model)
    whole = attend(x)
    return any(not torch.allclose(attend(x[:, :t]), whole[:, :t]) for t in range(1, T))


def leaks_only_the_output_before(attend, T, d_model):
    """Looks at one output for each cut: together these are all places that a leak can reach."""
    x = torch.randn(1, T, d_model)
    before = attend(x)
    for t in range(1, T):
        y = torch.cat([x[:, :t], torch.randn(1, T - t, d_model)], dim=1)
        if not torch.allclose(attend(y)[:, t - 1], before[:, t - 1], atol=1e-6):
            return True
    return False


def leaks_kept(attend, T, d_model, kept={}):  # noqa: B006
    return kept.setdefault((T, d_model), leaks()(attend, T, d_model))


def leaks_last_round_decides(attend, T, d_model):
    x, found = torch.randn(1, T, d_model), None
    before = attend(x)
    for t in range(1, T):
        y = torch.cat([x[:, :t], torch.randn(1, T - t, d_model)], dim=1)
        found = not torch.allclose(attend(y)[:, :t], before[:, :t], atol=1e-6)
    return found


RIGHT = [
    ("02.causal_mask", causal_loops),
    ("02.causal_mask", lambda T: torch.arange(T)[None, :] <= torch.arange(T)[:, None]),
    ("02.causal_mask", lambda T: ~torch.ones(T, T).triu(diagonal=1).bool()),
    ("02.padding_mask", padding_loops),
    ("02.padding_mask", lambda ids, pad_id: ~(ids == pad_id).reshape(len(ids), 1, 1, -1)),
    ("02.padding_mask", lambda ids, pad_id: ids.ne(pad_id).unsqueeze(1).unsqueeze(2)),
    ("02.masked_attention", masked_attention_loops),
    ("02.masked_attention", masked_attention_by_hand),
    ("02.masked_attention", masked_attention_finite),
    ("02.split_heads", split_loops),
    ("02.split_heads", lambda x, n: torch.stack(x.split(x.shape[2] // n, 2)).transpose(0, 1)),
    ("02.split_heads", lambda x, n: x.mT.unflatten(1, (n, -1)).mT),
    ("02.merge_heads", merge_loops),
    ("02.merge_heads", lambda x: x.swapaxes(1, 2).contiguous().view(len(x), x.shape[2], -1)),
    ("02.merge_heads", lambda x: x.mT.flatten(1, 2).mT),
    ("02.MultiHeadAttention", HeadByHead),
    ("02.MultiHeadAttention", HeadsEinsum),
    ("02.MultiHeadAttention", HeadsFused),
    ("02.leaks_future", leaks_word_by_word),
    ("02.leaks_future", leaks_gradient),
    ("02.leaks_future", leaks_backwards_in_one_copy),
    ("02.causal_mask", lambda T: torch.eye(T).cumsum(0) > 0),
    ("02.causal_mask", lambda T: torch.tensor([[j <= i for j in range(T)] for i in range(T)])),
    ("02.padding_mask", lambda ids, pad_id: (ids - pad_id).bool()[:, None, None, :]),
    ("02.padding_mask", lambda ids, pad_id: torch.where(ids == pad_id, False, True)[:, None, None]),
    ("02.masked_attention", F.scaled_dot_product_attention),
    ("02.masked_attention", masked_attention_logsumexp),
    ("02.masked_attention", masked_attention_filled(-1e9)),
    (
        "02.split_heads",
        lambda x, n: x.unfold(-1, x.shape[-1] // n, x.shape[-1] // n).swapaxes(1, 2),
    ),
    ("02.merge_heads", lambda x: torch.einsum("bhtd->bthd", x).flatten(-2)),
    ("02.leaks_future", leaks(torch.zeros_like)),
    ("02.leaks_future", leaks(lambda words: words + 10 * torch.rand_like(words))),
    ("02.leaks_future", leaks_only_the_output_before),
]

WRONG = [
    ("02.causal_mask", lambda T: torch.ones(T, T).tril().triu().bool().flip(0)),
    ("02.causal_mask", lambda T: torch.ones(T, T, dtype=torch.bool).tril().flip(1)),
    ("02.causal_mask", lambda T: torch.ones(T, T, dtype=torch.bool).tril()[1:]),
    ("02.padding_mask", lambda ids, pad_id: (ids != pad_id).any(0)[None, None, None, :]),
    ("02.padding_mask", lambda ids, pad_id: (ids != ids[:, -1:])[:, None, None, :]),
    ("02.masked_attention", masked_attention_where_mask),
    ("02.masked_attention", masked_attention_clipped_root),
    ("02.split_heads", lambda x, n: x.unflatten(-1, (n, -1)).transpose(1, 2).flip(1)),
    ("02.split_heads", lambda x, n: x.view(x.shape[0], n, -1, x.shape[2] // n).flip(3)),
    ("02.merge_heads", lambda x: x.transpose(1, 2).view(x.shape[0], x.shape[2], -1)),
    ("02.merge_heads", lambda x: x.transpose(1, 2).flatten(2).flip(-1)),
    ("02.MultiHeadAttention", HeadsReversed),
    ("02.MultiHeadAttention", HeadsNeedMask),
    ("02.leaks_future", leaks_by_prefix_of_outputs),
    ("02.leaks_future", leaks_below_a_coarse_tolerance),
    ("02.causal_mask", causal_40, None),
    ("02.causal_mask", lambda T: torch.arange(T).byte()[:, None] >= torch.arange(T).byte(), None),
    ("02.causal_mask", lambda T: torch.ones(T, T).tril().triu(-2).bool(), None),
    ("02.padding_mask", padding_kept, "keeps_state"),
    ("02.padding_mask", padding_is_not, None),
    ("02.padding_mask", lambda ids, pad_id: (ids.byte() != pad_id % 256)[:, None, None], None),
    ("02.padding_mask", lambda ids, pad_id: (ids.half() != pad_id)[:, None, None], None),
    ("02.masked_attention", masked_attention_log_of_mask, "nan_in_the_gradients_of_scores"),
    ("02.masked_attention", masked_attention_filled(-100.0), "fill_not_low_enough"),
    ("02.masked_attention", masked_attention_filled(-500.0), "fill_not_low_enough"),
    ("02.masked_attention", masked_attention_zeros_hidden, "true_scores_of_0_hidden"),
    ("02.masked_attention", masked_attention_three_axes, None),
    ("02.masked_attention", masked_attention_no_maximum, "no_max_subtracted"),
    ("02.masked_attention", masked_attention_no_softmax, "no_softmax_after_hiding"),
    ("02.masked_attention", masked_attention_in_place, "changed_in_place"),
    ("02.masked_attention", torch.no_grad()(masked_attention_finite), "no_gradient_arrives"),
    (
        "02.masked_attention",
        lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        "always_causal",
    ),
    ("02.split_heads", lambda x, n: split_loops(x.detach(), n), "no_gradient_arrives"),
    ("02.split_heads", split_kept, "keeps_state"),
    ("02.merge_heads", torch.no_grad()(merge_loops), "no_gradient_arrives"),
    ("02.merge_heads", merge_kept, "keeps_state"),
    ("02.MultiHeadAttention", KeepsFirstMask, "keeps_state"),
    ("02.MultiHeadAttention", KeepsLastMask, "keeps_state"),
    ("02.MultiHeadAttention", KeepsLength, "keeps_state"),
    ("02.MultiHeadAttention", KeepsBatch, "keeps_state"),
    ("02.MultiHeadAttention", HeadsOf40, None),
    ("02.MultiHeadAttention", HeadsThreeAxes, None),
    ("02.MultiHeadAttention", HeadsEvaluating, "leaves_training_mode"),
    ("02.MultiHeadAttention", HeadsDropping, "random_in_forward"),
    ("02.MultiHeadAttention", HeadsDrawnAnew, "weights_changed"),
    ("02.MultiHeadAttention", HeadsWriting, "weights_changed"),
    ("02.MultiHeadAttention", HeadsOfAConstant, "no_gradient_arrives"),
    ("02.MultiHeadAttention", HeadsTimesWeight, "weight_not_transposed"),
    ("02.MultiHeadAttention", HeadsCausal, "always_causal"),
    ("02.MultiHeadAttention", HeadsOfOneWidth, "scaled_by_d_model"),
    ("02.MultiHeadAttention", Heads(12, 3)),
    ("02.leaks_future", leaks(torch.neg), "sign_changed"),
    ("02.leaks_future", leaks(lambda words: words.flip(1)), None),
    ("02.leaks_future", leaks(lambda words: words + 1), "all_components_shifted_alike"),
    ("02.leaks_future", leaks(lambda words: 2 * words), "words_multiplied"),
    ("02.leaks_future", leaks(same=lambda a, b: torch.allclose(a, b, atol=0.1)), "too_much_room"),
    ("02.leaks_future", leaks(same=lambda a, b: bool((a - b).max() < 1e-5)), None),
    ("02.leaks_future", leaks(same=lambda a, b: torch.allclose(a.sum(), b.sum())), None),
    ("02.leaks_future", leaks(cuts=lambda T: range(1, min(T, 10))), None),
    ("02.leaks_future", leaks_prefix),
    ("02.leaks_future", leaks_kept, None),
    ("02.leaks_future", leaks_last_round_decides, "last_word_only"),
]
