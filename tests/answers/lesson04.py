"""Answers to lesson 04: right ones in an unusual style, and mistakes that nobody listed."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks import lesson04

OURS = {  # lesson 04: BERT's names and the course's
    "embeddings.word_embeddings": "word",
    "embeddings.position_embeddings": "position",
    "embeddings.token_type_embeddings": "segment",
    "embeddings.LayerNorm": "norm",
    "encoder.layer": "blocks",
    "attention.output.dense": "attention.out_proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "feed_forward.linear1",
    "output.LayerNorm": "norm2",
    "output.dense": "feed_forward.linear2",
}


def with_forward(base, forward):
    """The class that the notebook gives, with a learner's forward."""
    return type("Answer", (base,), {"forward": forward})


def layer_norm(forward):
    return with_forward(lesson04.LayerNorm.oracle, forward)


def feed_forward(forward):
    return with_forward(lesson04.FeedForward.oracle, forward)


def encoder_block(forward):
    return with_forward(lesson04.EncoderBlock.oracle, forward)


def layer_norm_by_rows(self, x):
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        mean = sum(row) / len(row)
        var = sum((a - mean) ** 2 for a in row) / len(row)
        rows.append((row - mean) / (var + self.eps) ** 0.5 * self.weight + self.bias)
    return torch.stack(rows).view_as(x)


def layer_norm_rsqrt(self, x):
    centred = x - x.mean(dim=-1)[..., None]
    scale = torch.rsqrt(centred.square().mean(-1, keepdim=True) + self.eps)
    return torch.addcmul(self.bias, self.weight, centred * scale)


def layer_norm_in_place_on_a_copy(self, x):
    x = x.double()
    x -= x.mean(-1, keepdim=True)
    x /= (x.pow(2).mean(-1, keepdim=True) + self.eps).sqrt()
    return (x * self.weight + self.bias).float()


def layer_norm_eps_at_the_end(self, x):
    var = x.var(-1, keepdim=True, unbiased=False)
    return self.weight * (x - x.mean(-1, keepdim=True)) / torch.sqrt(var) + self.eps + self.bias


def layer_norm_of_everything(self, x):
    return self.weight * (x - x.mean()) / (x.var(unbiased=False) + self.eps).sqrt() + self.bias


def layer_norm_unbiased_without_bias(self, x):
    return (
        self.weight * (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + self.eps) ** 0.5
    )


def gelu_by_hand(self, x):
    h = self.linear1(x)
    return self.linear2(0.5 * h * (1 + torch.erf(h / math.sqrt(2))))


def feed_forward_einsum(self, x):
    h = F.gelu(torch.einsum("...i,oi->...o", x, self.linear1.weight) + self.linear1.bias)
    return h @ self.linear2.weight.T + self.linear2.bias


def feed_forward_sentence_by_sentence(self, x):
    return torch.stack([self.linear2(nn.GELU()(self.linear1(row))) for row in x.double().float()])


def block_with_one_path(self, x, mask=None):
    hidden = None if mask is None else mask.logical_not()
    residual = x
    if self.norm_first:
        x = self.norm1(x)
    x = residual + self.attention(query=x, key=x, value=x, key_padding_mask=hidden)[0]
    if not self.norm_first:
        x = self.norm1(x)
    residual = x
    if self.norm_first:
        x = self.norm2(x)
    x = residual + self.feed_forward(x)
    return x if self.norm_first else self.norm2(x)


def block_with_attention_by_hand(self, x, mask=None):
    def attend(x):
        weight, bias = self.attention.in_proj_weight, self.attention.in_proj_bias
        parts = F.linear(x, weight, bias).chunk(3, dim=-1)
        q, k, v = (p.unflatten(-1, (self.attention.num_heads, -1)).transpose(1, 2) for p in parts)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
        return self.attention.out_proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

    if not self.norm_first:
        x = self.norm1(attend(x) + x)
        return self.norm2(self.feed_forward(x) + x)
    x = attend(self.norm1(x)) + x
    return self.feed_forward(self.norm2(x)) + x


def block_that_drops_the_padding(self, x, mask=None):
    """One sentence at a time, cut to its real words."""
    if mask is None:
        return block_with_one_path(self, x)
    out = torch.zeros_like(x)
    for i, real in enumerate(mask):
        out[i, real] = block_with_one_path(self, x[i : i + 1, real])[0]
    return out


def block_with_a_last_norm(self, x, mask=None):
    x = block_with_one_path(self, x, mask)
    return self.norm2(x) if self.norm_first else x


def block_with_padding_set_to_zero(self, x, mask=None):
    return block_with_one_path(self, x if mask is None else x * mask[..., None])


def block_that_hides_queries_too(self, x, mask=None):
    hidden = None
    if mask is not None:
        both = mask[:, :, None] & mask[:, None, :]
        hidden = ~both.repeat_interleave(self.attention.num_heads, dim=0)
    if self.norm_first:
        n = self.norm1(x)
        x = x + self.attention(n, n, n, attn_mask=hidden)[0]
        return x + self.feed_forward(self.norm2(x))
    x = self.norm1(x + self.attention(x, x, x, attn_mask=hidden)[0])
    return self.norm2(x + self.feed_forward(x))


def block_without_none(self, x, mask):
    return block_with_one_path(self, x, mask)


def mean_pool_of_sentence_transformers(hidden, mask):
    wide = mask.unsqueeze(-1).expand(hidden.size()).float()
    return torch.sum(hidden * wide, 1) / torch.clamp(wide.sum(1), min=1e-9)


def mean_pool_matrix(hidden, mask):
    weights = mask.float() / mask.float().sum(1, keepdim=True)
    return (weights[:, None] @ hidden)[:, 0]


def mean_pool_first_n(hidden, mask):
    return torch.stack([h[: m.sum()].mean(0) for h, m in zip(hidden, mask, strict=True)])


def renamed(encoder, state):
    new = {}
    for name, tensor in state.items():
        for theirs, ours in OURS.items():
            name = name.replace(theirs, ours)
        if not name.startswith(("pooler", "embeddings")):
            new[name] = tensor
    for i in range(len(encoder.blocks)):
        for kind in "weight", "bias":
            start = f"blocks.{i}.attention."
            parts = [new.pop(f"{start}self.{part}.{kind}") for part in ("query", "key", "value")]
            new[f"{start}in_proj_{kind}"] = torch.cat(parts)
    return new


def load_renamed(encoder, state):
    encoder.load_state_dict(renamed(encoder, state))
    return encoder


def load_by_parameters(encoder, state):
    new = renamed(encoder, state)
    for name, parameter in encoder.named_parameters():
        parameter.data = new[name]
    return encoder


@torch.no_grad()
def load_by_copying(encoder, state):
    for part, name in (
        (encoder.word, "word_embeddings"),
        (encoder.position, "position_embeddings"),
        (encoder.segment, "token_type_embeddings"),
        (encoder.norm, "LayerNorm"),
    ):
        part.weight.copy_(state[f"embeddings.{name}.weight"])
    encoder.norm.bias.copy_(state["embeddings.LayerNorm.bias"])
    d = encoder.word.embedding_dim
    for i, block in enumerate(encoder.blocks):
        layer = f"encoder.layer.{i}."
        for j, part in enumerate(("query", "key", "value")):
            rows = slice(j * d, (j + 1) * d)
            block.attention.in_proj_weight[rows] = state[f"{layer}attention.self.{part}.weight"]
            block.attention.in_proj_bias[rows] = state[f"{layer}attention.self.{part}.bias"]
        for module, name in (
            (block.attention.out_proj, "attention.output.dense"),
            (block.norm1, "attention.output.LayerNorm"),
            (block.feed_forward.linear1, "intermediate.dense"),
            (block.feed_forward.linear2, "output.dense"),
            (block.norm2, "output.LayerNorm"),
        ):
            module.weight.copy_(state[f"{layer}{name}.weight"])
            module.bias.copy_(state[f"{layer}{name}.bias"])
    return encoder


def load_without_saying_what_is_missing(encoder, state):
    there = encoder.state_dict()
    new = {name: tensor for name, tensor in renamed(encoder, state).items() if name in there}
    encoder.load_state_dict(new, strict=False)
    return encoder


def load_zero_biases(encoder, state):
    new = renamed(encoder, state)
    zeroed = {n: torch.zeros_like(t) if n.endswith("bias") else t for n, t in new.items()}
    encoder.load_state_dict(zeroed)
    return encoder


def load_as_it_is(encoder, state):
    encoder.load_state_dict(state)
    return encoder


def search_sorted(query, vectors, k):
    return sorted(range(len(vectors)), key=lambda i: -vectors[i] @ query / vectors[i].norm())[:k]


def search_in_numpy(query, vectors, k):
    unit = (vectors / vectors.norm(dim=-1, keepdim=True)).numpy()
    return [*(unit @ query.numpy()).argsort()[::-1][:k]]


def search_by_distance_of_unit_vectors(query, vectors, k):
    gaps = F.normalize(vectors, dim=1) - F.normalize(query, dim=0)
    return gaps.norm(dim=1).topk(k, largest=False).indices.tolist()


def normed(self, x, mean=None, var=None):
    mean = x.mean(-1, keepdim=True) if mean is None else mean
    var = x.var(-1, keepdim=True, unbiased=False) if var is None else var
    return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias


def layer_norm_with_statistics_of_data(self, x):
    return normed(self, x, x.data.mean(-1, keepdim=True), x.data.var(-1, True, keepdim=True))


def layer_norm_without_gradient_through_the_variance(self, x):
    return normed(self, x, var=x.detach().var(-1, keepdim=True, unbiased=False))


def layer_norm_that_remembers(self, x):
    if not hasattr(self, "mean"):
        self.mean = x.mean(-1, keepdim=True)
    return normed(self, x, mean=self.mean if self.mean.shape[:-1] == x.shape[:-1] else None)


def layer_norm_with_another_mean_for_evaluation(self, x):
    self.kept = getattr(self, "kept", 0.0) * 0.9 + 0.1 * x.mean().item()
    return normed(self, x, mean=None if self.training else self.kept)


def after(forward, step):
    """The same result; `step` is done with the module before it is returned."""

    def changed(self, *inputs):
        out = forward(self, *inputs)
        step(self)
        return out

    return changed


def ff(self, x):
    return self.linear2(F.gelu(self.linear1(x)))


def feed_forward_with_cached_h(self, x):
    if not hasattr(self, "h"):
        self.h = self.linear1(x)
    return self.linear2(F.gelu(self.h))


def block_with(hide=lambda mask: None if mask is None else ~mask, change=lambda attended: attended):
    """The block, with something else for the mask or for what attention returns."""

    def forward(self, x, mask=None):
        def attend(x):
            return change(self.attention(x, x, x, key_padding_mask=hide(mask))[0])

        if self.norm_first:
            x = x + attend(self.norm1(x))
            return x + self.feed_forward(self.norm2(x))
        x = self.norm1(x + attend(x))
        return self.norm2(x + self.feed_forward(x))

    return forward


def added(number):
    return lambda mask: None if mask is None else torch.zeros(mask.shape).masked_fill(~mask, number)


def block_that_keeps_its_first_mask(self, x, mask=None):
    if not hasattr(self, "hidden"):
        self.hidden = None if mask is None else ~mask
    return block_with(lambda mask: self.hidden)(self, x, mask)


def block_that_uses_the_last_mask_for_none(self, x, mask=None):
    self.kept = mask if mask is not None else getattr(self, "kept", None)
    fits = self.kept is not None and self.kept.shape == x.shape[:2]
    return block_with()(self, x, self.kept if fits else None)


def block_as_long_as_the_first(self, x, mask=None):
    self.T = getattr(self, "T", x.shape[1])
    return block_with()(self, x[:, : self.T], None if mask is None else mask[:, : self.T])


def mean_pool_with_the_first_mask(hidden, mask, kept={}):  # noqa: B006
    mask = kept.setdefault(mask.shape, mask)
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def load_frozen(encoder, state):
    return load_renamed(encoder, state).requires_grad_(False)


def load_and_empty_a_bias(encoder, state):
    load_renamed(encoder, state)
    state["embeddings.LayerNorm.bias"].zero_()
    return encoder


def load_by_the_beginning_of_a_name(encoder, state):
    new = renamed(encoder, state)
    for i in range(len(encoder.blocks)):
        for name, tensor in state.items():
            if name.startswith(f"encoder.layer.{i}") and name.endswith(".output.dense.bias"):
                part = "attention.out_proj" if "attention" in name else "feed_forward.linear2"
                new[f"blocks.{i}.{part}.bias"] = tensor
    encoder.load_state_dict(new)
    return encoder


def load_what_was_read_first(encoder, state, kept={}):  # noqa: B006
    encoder.load_state_dict(kept.setdefault(len(state), renamed(encoder, state)))
    return encoder


def search_as_tensor(query, vectors, k):
    return F.cosine_similarity(query[None], vectors).topk(k).indices


def search_in_bytes(query, vectors, k):
    return search_as_tensor(query, vectors, k).to(torch.uint8).tolist()


def search_in_what_was_normalised_first(query, vectors, k, kept={}):  # noqa: B006
    return (kept.setdefault(vectors.shape, F.normalize(vectors)) @ query).topk(k).indices.tolist()


def layer_norm_by_a_centring_matrix(self, x):
    """A matrix takes the mean off, as in statistics."""
    d = x.shape[-1]
    x = x @ (torch.eye(d) - torch.full((d, d), 1 / d))
    var = torch.einsum("...d,...d->...", x, x)[..., None] / d
    return x / (var + self.eps).sqrt() * self.weight + self.bias


class LayerNormByVmap(nn.Module):
    """Written out whole: a function of one vector, mapped over all of them."""

    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps

    def unit(self, vector):
        vector = vector - vector.mean()
        return vector / (vector.dot(vector) / len(vector) + self.eps).sqrt()

    def forward(self, x):
        units = torch.vmap(self.unit)(x.flatten(0, -2)).unflatten(0, x.shape[:-1])
        return units * self.weight + self.bias


def layer_norm_by_mean_deviation(self, x):
    x = x - x.mean(-1, keepdim=True)
    return self.weight * x / (x.abs().mean(-1, keepdim=True) + self.eps) + self.bias


def layer_norm_with_one_plus_weight(self, x):
    """As in Gemma, whose weights are kept as what they are more than 1."""
    var, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
    return (1 + self.weight) * (x - mean) / (var + self.eps).sqrt() + self.bias


RIGHT = [
    ("04.LayerNorm", layer_norm(layer_norm_by_rows)),
    ("04.LayerNorm", layer_norm(layer_norm_rsqrt)),
    ("04.FeedForward", feed_forward(gelu_by_hand)),
    ("04.FeedForward", feed_forward(feed_forward_einsum)),
    ("04.FeedForward", feed_forward(feed_forward_sentence_by_sentence)),
    ("04.EncoderBlock", encoder_block(block_with_one_path)),
    ("04.EncoderBlock", encoder_block(block_with_attention_by_hand)),
    ("04.EncoderBlock", encoder_block(block_that_drops_the_padding)),
    ("04.mean_pool", mean_pool_of_sentence_transformers),
    ("04.mean_pool", mean_pool_matrix),
    ("04.mean_pool", lambda hidden, mask: hidden.where(mask[..., None] > 0, torch.nan).nanmean(1)),
    # the stand-in is not compared with itself but with BERT, so here it is tried as an answer
    ("04.load_minilm", lambda encoder, state: lesson04.load_minilm.oracle(encoder, state)),
    ("04.load_minilm", load_renamed),
    ("04.load_minilm", load_by_parameters),
    ("04.load_minilm", load_by_copying),
    ("04.search", search_sorted),
    ("04.search", search_in_numpy),
    ("04.search", search_by_distance_of_unit_vectors),
    ("04.search", lambda q, vectors, k: (F.normalize(vectors) @ q).topk(k)[1].tolist()),
    ("04.EncoderBlock", encoder_block(block_with(added(-torch.inf)))),
    ("04.EncoderBlock", encoder_block(block_with(added(-1e9)))),
    ("04.FeedForward", feed_forward(lambda self, x: ff(self, x.double().float()))),
    ("04.LayerNorm", layer_norm(layer_norm_by_a_centring_matrix)),
    ("04.LayerNorm", LayerNormByVmap),
]

WRONG = [
    ("04.LayerNorm", layer_norm(layer_norm_in_place_on_a_copy)),
    ("04.LayerNorm", layer_norm(layer_norm_eps_at_the_end)),
    ("04.LayerNorm", layer_norm(layer_norm_of_everything)),
    ("04.LayerNorm", layer_norm(layer_norm_unbiased_without_bias)),
    ("04.LayerNorm", nn.LayerNorm(4)),
    ("04.FeedForward", feed_forward(lambda self, x: self.linear2(F.elu(self.linear1(x))))),
    ("04.FeedForward", feed_forward(lambda self, x: x + self.linear2(self.linear1(x).relu()))),
    ("04.FeedForward", feed_forward(lambda self, x: F.dropout(gelu_by_hand(self, x), 0.1))),
    ("04.EncoderBlock", encoder_block(block_with_a_last_norm)),
    ("04.EncoderBlock", encoder_block(block_with_padding_set_to_zero)),
    ("04.EncoderBlock", encoder_block(block_that_hides_queries_too)),
    ("04.EncoderBlock", encoder_block(block_without_none)),
    ("04.mean_pool", mean_pool_first_n),
    ("04.mean_pool", lambda hidden, mask: (hidden * mask[..., None]).amax(1)),
    ("04.mean_pool", lambda hidden, mask: hidden[mask].mean(0)),
    ("04.load_minilm", load_without_saying_what_is_missing),
    ("04.load_minilm", load_zero_biases),
    ("04.load_minilm", load_as_it_is),
    ("04.search", lambda query, vectors, k: (vectors @ query / vectors.norm()).topk(k).indices),
    ("04.search", lambda query, vectors, k: F.cosine_similarity(query, vectors, dim=-1).argmax()),
    ("04.search", lambda query, vectors, k: (vectors @ query / vectors.norm(1, -1)).topk(k)[1]),
    (
        "04.LayerNorm",
        layer_norm(layer_norm_without_gradient_through_the_variance),
        "another_gradient",
    ),
    ("04.LayerNorm", layer_norm(layer_norm_with_statistics_of_data)),
    ("04.LayerNorm", layer_norm(layer_norm_that_remembers), "keeps_state"),
    ("04.LayerNorm", layer_norm(layer_norm_with_another_mean_for_evaluation), None),
    ("04.LayerNorm", layer_norm(torch.no_grad()(normed)), "no_gradient_arrives"),
    ("04.LayerNorm", layer_norm(lambda self, x: F.dropout(normed(self, x), 0.2)), "random"),
    ("04.LayerNorm", layer_norm(after(normed, nn.Module.eval)), "leaves_training_mode"),
    (
        "04.LayerNorm",
        layer_norm(after(normed, lambda self: self.weight.data.mul_(0.5))),
        "changes_weights",
    ),
    (
        "04.LayerNorm",
        layer_norm(
            lambda self, x: (
                self.weight * (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True) + self.bias
            )
        ),
        "unbiased_and_eps_left_out",
    ),
    ("04.FeedForward", feed_forward(feed_forward_with_cached_h), "keeps_state"),
    ("04.FeedForward", feed_forward(lambda self, x: ff(self, x.detach())), "no_gradient_arrives"),
    (
        "04.FeedForward",
        feed_forward(after(ff, lambda self: self.linear1.eval())),
        "leaves_training_mode",
    ),
    (
        "04.FeedForward",
        feed_forward(lambda self, x: F.dropout(ff(self, x), 0.1, self.training)),
        "random",
    ),
    ("04.EncoderBlock", encoder_block(block_with(added(-100.0))), None),
    ("04.EncoderBlock", encoder_block(block_that_keeps_its_first_mask), "keeps_state"),
    ("04.EncoderBlock", encoder_block(block_that_uses_the_last_mask_for_none), "keeps_state"),
    ("04.EncoderBlock", encoder_block(block_as_long_as_the_first), "keeps_state"),
    (
        "04.EncoderBlock",
        encoder_block(block_with(change=lambda attended: attended.detach())),
        "no_gradient_arrives",
    ),
    ("04.EncoderBlock", encoder_block(block_with(change=F.dropout)), "random"),
    (
        "04.EncoderBlock",
        encoder_block(after(block_with(), lambda self: self.attention.eval())),
        "leaves_training_mode",
    ),
    ("04.mean_pool", mean_pool_with_the_first_mask, "keeps_state"),
    ("04.mean_pool", lambda h, m: (h * m[..., None]).sum(1) // m.sum(1, keepdim=True), None),
    (
        "04.mean_pool",
        lambda h, m: (h * m[..., None]).sum(1) / m.sum(1).max(),
        "divided_by_the_longest",
    ),
    ("04.load_minilm", load_frozen, "frozen"),
    ("04.load_minilm", load_and_empty_a_bias, "state_changed"),
    ("04.load_minilm", load_by_the_beginning_of_a_name, None),
    ("04.load_minilm", load_what_was_read_first, "keeps_state"),
    ("04.search", search_as_tensor, "another_type"),
    ("04.search", search_in_bytes, None),
    ("04.search", search_in_what_was_normalised_first, "keeps_state"),
    ("04.LayerNorm", layer_norm(layer_norm_by_mean_deviation), None),
    ("04.LayerNorm", layer_norm(layer_norm_with_one_plus_weight), None),
]
