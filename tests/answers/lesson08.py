"""Answers to lesson 08: right ones in an unusual style, and mistakes that nobody listed."""

import re
import struct

import numpy as np
import torch
import torch.nn.functional as F

from utils.checks import lesson08


def rotate(x, cos, sin):
    """As the lesson gives it."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def with_forward(base, forward):
    """The class that the notebook gives, with a learner's forward."""
    return type("Answer", (base,), {"forward": forward})


def rms_norm(forward):
    return with_forward(lesson08.RMSNorm.oracle, forward)


def swiglu(forward):
    return with_forward(lesson08.SwiGLU.oracle, forward)


def grouped(forward):
    return with_forward(lesson08.GroupedQueryAttention.oracle, forward)


# --- 8.1 RMSNorm ----------------------------------------------------------------------------


def rms_by_rows(self, x):
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        wide = row.float()
        mean_square = sum(a * a for a in wide) / len(wide)
        rows.append((wide / torch.sqrt(mean_square + self.eps)).to(x.dtype) * self.weight)
    return torch.stack(rows).view_as(x)


def rms_from_the_length(self, x):
    length = torch.linalg.vector_norm(x.double(), dim=-1, keepdim=True)
    root = (length**2 / x.shape[-1] + self.eps) ** 0.5
    return (x / root).type_as(x) * self.weight


def rms_by_matmul(self, x):
    wide = x.float()
    squares = (wide.unsqueeze(-2) @ wide.unsqueeze(-1)).squeeze(-1)
    return torch.mul((wide * (squares / x.shape[-1] + self.eps).rsqrt()).to(x), self.weight)


def rms_only_the_root_is_wide(self, x):
    scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)
    return (x * scale).to(x.dtype) * self.weight


def rms_of_pytorch_in_float32(self, x):
    return F.rms_norm(x.float(), (x.shape[-1],), None, self.eps).to(x.dtype) * self.weight


def rms_of_pytorch(self, x):
    return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def rms_as_naively(self, x):
    return self.weight * x / torch.sqrt((x**2).mean(-1, keepdim=True) + self.eps)


def rms_wide_for_float16_only(self, x):
    wide = x.float() if x.dtype == torch.float16 else x
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
    return (wide * scale).to(x.dtype) * self.weight


def rms_squares_before_they_are_wide(self, x):
    scale = torch.rsqrt(x.pow(2).float().mean(-1, keepdim=True) + self.eps)
    return (x.float() * scale).to(x.dtype) * self.weight


def rms_root_cast_too_early(self, x):
    scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps).to(x.dtype)
    return x * scale * self.weight


def rms_never_cast_back(self, x):
    wide = x.float()
    return wide / torch.sqrt((wide**2).mean(-1, keepdim=True) + self.eps) * self.weight


def rms_clamped(self, x):
    wide = x.float()
    scale = wide.pow(2).mean(-1, keepdim=True).clamp(min=self.eps).rsqrt()
    return (wide * scale).to(x.dtype) * self.weight


def rms_with_its_first_root(self, x):
    wide = x.float()
    if not hasattr(self, "root"):
        self.root = (wide.pow(2).mean(-1, keepdim=True) + self.eps).sqrt()
    return (wide / self.root).to(x.dtype) * self.weight


def rms_without_gradient(self, x):
    wide = x.float()
    with torch.no_grad():
        root = (wide.pow(2).mean(-1, keepdim=True) + self.eps).sqrt()
    return (wide / root).to(x.dtype) * self.weight


def rms_in_place(self, x):
    x /= torch.sqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
    return x * self.weight


def rms_centred(self, x):
    wide = x.float() - x.float().mean(-1, keepdim=True)
    root = (wide.pow(2).mean(-1, keepdim=True) + self.eps).sqrt()
    return (wide / root).to(x.dtype) * self.weight


def rms_dropped_out(self, x):
    return F.dropout(rms_only_the_root_is_wide(self, x), 0.1)


# --- 8.2 SwiGLU -----------------------------------------------------------------------------


def swiglu_by_hand(self, x):
    gate = self.gate(x)
    return self.down(gate / (1 + torch.exp(-gate)) * self.up(x))


def swiglu_in_one_product(self, x):
    both = x @ torch.cat([self.gate.weight, self.up.weight]).T
    gate, up = both.chunk(2, dim=-1)
    return (F.silu(gate) * up) @ self.down.weight.T


def swiglu_with_glu(self, x):
    gate = self.gate(x)
    return self.down(F.glu(torch.cat([self.up(x) * gate, gate], dim=-1), dim=-1))


def swiglu_with_tanh(self, x):
    gate = self.gate(x)
    return self.down(0.5 * gate * (1 + torch.tanh(gate / 2)) * self.up(x))


def swiglu_row_by_row(self, x):
    return torch.stack([self.down(self.up(row) * torch.nn.SiLU()(self.gate(row))) for row in x])


def swiglu_with_a_quotient(self, x):
    gate, e = self.gate(x), self.gate(x).exp()
    return self.down(gate * (e / (1 + e)) * self.up(x))


SWIGLU_WRONG = {
    "gate_and_up_swapped": lambda self, x: self.down(F.silu(self.up(x)) * self.gate(x)),
    "sigmoid_gate": lambda self, x: self.down(F.glu(torch.cat([self.up(x), self.gate(x)], -1))),
    "random": lambda self, x: F.dropout(self.down(F.silu(self.gate(x)) * self.up(x)), 0.1),
    "no_gradient_arrives": lambda self, x: F.linear(
        F.silu(self.gate(x)) * self.up(x), self.down.weight.data
    ),
    "residual_added_already": lambda self, x: self.down(F.silu(self.gate(x)) * self.up(x)).add(x),
    "silu_of_the_product": lambda self, x: self.down(F.silu(self.up(x) * self.gate(x))),
}
SWIGLU_NAMELESS = [
    lambda self, x: self.down(F.glu(torch.cat([self.gate(x), self.up(x)], dim=-1))),
    lambda self, x: self.down(F.hardswish(self.gate(x)) * self.up(x)),
    lambda self, x: self.down(F.mish(self.gate(x)) * self.up(x)),
    lambda self, x: self.down(F.silu(self.gate(x) + self.up(x))),
    lambda self, x: self.down(F.gelu(self.up(x)) * self.gate(x)),
    lambda self, x: self.down(F.silu(x @ self.gate.weight) * self.up(x)),
    lambda self, x: self.down(F.silu(self.gate(x)) * self.up(x) if self.training else self.up(x)),
]


# --- 8.3 GroupedQueryAttention --------------------------------------------------------------


def heads(self, x):
    layers = (self.q, self.n_heads), (self.k, self.n_kv_heads), (self.v, self.n_kv_heads)
    return (layer(x).view(*x.shape[:2], n, self.d_head).transpose(1, 2) for layer, n in layers)


def attention(
    attend=lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True),
    mask=lambda T, S, cache: torch.ones(T, S, dtype=torch.bool).tril(S - T),
    add=lambda cache, k, v: cache.add(k, v),
    repeat=lambda x, times: x,
    turn=lambda q, k, v, cos, sin: (rotate(q, cos, sin), rotate(k, cos, sin), v),
    merge=lambda out: out.transpose(1, 2).flatten(2),
):
    """A learner's forward with one part written in another way."""

    def forward(self, x, cos, sin, cache=None):
        q, k, v = turn(*heads(self, x), cos, sin)
        if cache is not None:
            k, v = add(cache, k, v)
        k, v = (repeat(y, self.n_heads // self.n_kv_heads) for y in (k, v))
        return self.out(merge(attend(q, k, v, mask(x.shape[1], k.shape[2], cache))))

    return forward


def in_groups(q, k, v, mask):
    B, H, T, d_head = q.shape
    q = q.view(B, k.shape[1], -1, T, d_head)
    scores = torch.einsum("bhgtd,bhsd->bhgts", q, k) / d_head**0.5
    weights = scores.masked_fill(~mask, -1e9).softmax(-1)
    return torch.einsum("bhgts,bhsd->bhgtd", weights, v).reshape(B, H, T, d_head)


def head_by_head(q, k, v, mask):
    times = q.shape[1] // k.shape[1]
    outs = [
        F.scaled_dot_product_attention(q[:, h], k[:, h // times], v[:, h // times], mask)
        for h in range(q.shape[1])
    ]
    return torch.stack(outs, dim=1)


def query_by_query(q, k, v, mask):
    T, S, outs = q.shape[2], k.shape[2], []
    for i in range(T):
        seen = S - T + i + 1
        outs.append(
            F.scaled_dot_product_attention(
                q[:, :, i : i + 1], k[:, :, :seen], v[:, :, :seen], enable_gqa=True
            )
        )
    return torch.cat(outs, dim=2)


def causal_where_square(q, k, v, mask):
    if q.shape[2] == k.shape[2]:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)


def always_is_causal(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def is_causal_for_more_than_one(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1, enable_gqa=True)


def mask_from_positions(T, S, cache):
    return torch.arange(S) <= torch.arange(S - T, S)[:, None]


def mask_from_the_length(T, S, cache):
    past = cache.length - T if cache else 0
    old = torch.ones(T, past, dtype=torch.bool)
    return torch.cat([old, torch.ones(T, T, dtype=torch.bool).tril()], dim=1)


def mask_without_a_cache_only(T, S, cache):
    return torch.ones(T, S, dtype=torch.bool).tril() if cache is None else None


def mask_for_64(T, S, cache):
    return torch.ones(64, 64, dtype=torch.bool).tril()[S - T : S, :S]


def with_a_kept_mask(self, x, cos, sin, cache=None):
    def mask(T, S, _):
        if not hasattr(self, "mask"):
            self.mask = torch.ones(T, S, dtype=torch.bool).tril(S - T)
        return self.mask

    return attention(mask=mask)(self, x, cos, sin, cache)


def with_a_kept_cache(self, x, cos, sin, cache=None):
    if cache is not None:
        self.cache = getattr(self, "cache", cache)
    return attention()(self, x, cos, sin, cache and self.cache)


def repeated_first(self, x, cos, sin, cache=None):
    q, k, v = heads(self, x)
    times, T = self.n_heads // self.n_kv_heads, x.shape[1]
    q, k, v = rotate(q, cos, sin), rotate(k, cos, sin).repeat_interleave(times, 1), v
    v = v.repeat_interleave(times, 1)
    if cache is not None:
        k, v = cache.add(k, v)
    mask = torch.ones(T, k.shape[2], dtype=torch.bool).tril(k.shape[2] - T)
    out = F.scaled_dot_product_attention(q, k, v, mask)
    return self.out(out.transpose(1, 2).flatten(2))


# --- 8.4 map_weights ------------------------------------------------------------------------

INSIDE = {
    "input_layernorm": "norm1",
    "post_attention_layernorm": "norm2",
    "self_attn.q_proj": "attention.q",
    "self_attn.k_proj": "attention.k",
    "self_attn.v_proj": "attention.v",
    "self_attn.o_proj": "attention.out",
    "mlp.gate_proj": "feed_forward.gate",
    "mlp.up_proj": "feed_forward.up",
    "mlp.down_proj": "feed_forward.down",
}
OUTSIDE = {"model.embed_tokens.weight": "tokens.weight", "model.norm.weight": "norm.weight"}
REPLACED = [
    ("model.embed_tokens.", "tokens."),
    ("model.norm.", "norm."),
    ("model.layers.", "blocks."),
    ("input_layernorm", "norm1"),
    ("post_attention_layernorm", "norm2"),
    ("self_attn.o_proj", "attention.out"),
    ("self_attn", "attention"),
    ("mlp", "feed_forward"),
    ("_proj", ""),
]
OURS = r"(tokens|norm|blocks\.\d+\.(norm[12]|attention\.(q|k|v|out)|feed_forward\.(gate|up|down)))"


def mapped_by_a_table(state):
    layers = {int(name.split(".")[2]) for name in state if name.startswith("model.layers.")}
    table = OUTSIDE | {"lm_head.weight": None}
    for i in layers:
        for theirs, ours in INSIDE.items():
            table[f"model.layers.{i}.{theirs}.weight"] = f"blocks.{i}.{ours}.weight"
    if unknown := [name for name in state if name not in table]:
        raise ValueError(f"unknown names: {unknown}")
    return {table[name]: tensor for name, tensor in state.items() if table[name]}


def mapped_by(pattern, head="lm_head.weight"):
    def map_weights(state):
        new = {}
        for name, tensor in state.items():
            found = re.match(pattern, name)
            if name in OUTSIDE:
                new[OUTSIDE[name]] = tensor
            elif found and found[2] in INSIDE:
                new[f"blocks.{found[1]}.{INSIDE[found[2]]}.weight"] = tensor
            elif not name.startswith(head):
                raise ValueError(f"no place for {name}")
        return new

    return map_weights


def mapped_by_replacing(state):
    new = {}
    for name, tensor in state.items():
        ours = name
        for theirs, by in REPLACED:
            ours = ours.replace(theirs, by)
        if name == "lm_head.weight":
            continue
        if not re.fullmatch(OURS + r"\.weight", ours):
            raise ValueError(f"{name} has no place in our Llama")
        new[ours] = tensor
    return new


def mapped_by_matching(state):
    new = {}
    for name, tensor in state.items():
        match name.split("."):
            case ["lm_head", "weight"]:
                continue
            case ["model", "embed_tokens", "weight"]:
                ours = "tokens"
            case ["model", "norm", "weight"]:
                ours = "norm"
            case ["model", "layers", i, *rest, "weight"] if ".".join(rest) in INSIDE:
                ours = f"blocks.{i}.{INSIDE['.'.join(rest)]}"
            case _:
                raise ValueError(name)
        new[ours + ".weight"] = tensor
    return new


def mapped_with_a_key_error_turned(state):
    new = {}
    for name, tensor in state.items():
        try:
            if name.startswith("model.layers."):
                _, _, i, rest = name.split(".", 3)
                if not rest.endswith(".weight"):
                    raise KeyError(rest)
                new[f"blocks.{i}.{INSIDE[rest.removesuffix('.weight')]}.weight"] = tensor
            elif name != "lm_head.weight":
                new[OUTSIDE[name]] = tensor
        except KeyError as error:
            raise ValueError(f"unknown weight {name}") from error
    return new


def mapped_and_detached(state):
    return {name: tensor.detach() for name, tensor in reversed(mapped_by_a_table(state).items())}


def mapped_by_replacing_alone(state):
    new = {}
    for name, tensor in state.items():
        for theirs, ours in REPLACED:
            name = name.replace(theirs, ours)
        if name != "lm_head.weight":
            new[name] = tensor
    return new


def mapped_layer_by_layer(state):
    new, i = {ours: state[theirs] for theirs, ours in OUTSIDE.items()}, 0
    while f"model.layers.{i}.input_layernorm.weight" in state:
        for theirs, ours in INSIDE.items():
            new[f"blocks.{i}.{ours}.weight"] = state[f"model.layers.{i}.{theirs}.weight"]
        i += 1
    return new


def mapped_for_30_layers(state):
    new = {ours: state[theirs] for theirs, ours in OUTSIDE.items()}
    for i in range(30):
        for theirs, ours in INSIDE.items():
            new[f"blocks.{i}.{ours}.weight"] = state[f"model.layers.{i}.{theirs}.weight"]
    return new


def mapped_by_looking_up(state):
    new = {}
    for name, tensor in state.items():
        if name in OUTSIDE:
            new[OUTSIDE[name]] = tensor
        elif name != "lm_head.weight":
            part = name.split(".")
            new[f"blocks.{part[2]}.{INSIDE['.'.join(part[3:-1])]}.weight"] = tensor
    return new


def mapped_with_match_for_fullmatch(state):
    new = {}
    for name, tensor in state.items():
        inside = re.match(r"model\.layers\.(\d+)\.(.+)\.weight", name)
        if inside and inside[2] in INSIDE:
            new[f"blocks.{inside[1]}.{INSIDE[inside[2]]}.weight"] = tensor
        elif name.startswith("model.norm.weight"):
            new["norm.weight"] = tensor
        elif name == "model.embed_tokens.weight":
            new["tokens.weight"] = tensor
        elif name != "lm_head.weight":
            raise ValueError(name)
    return new


def mapped_in_place(state):
    for name in list(state):
        state.update(mapped_by_a_table({name: state.pop(name)}))
    return state


def mapped_and_widened(state):
    return {name: tensor.float() for name, tensor in mapped_by_a_table(state).items()}


def mapped_to_half(state):
    return {name: tensor.half() for name, tensor in mapped_by_a_table(state).items()}


def mapped_without_the_head(state):
    state = dict(state)
    state.pop("lm_head.weight")
    return mapped_by_a_table(state)


def mapped_with_two_digits(state):
    new = mapped_by_a_table(state)
    return {re.sub(r"\d+", lambda i: f"{int(i[0]):02d}", name): x for name, x in new.items()}


# --- 8.5 KVCache ----------------------------------------------------------------------------


class Kept:
    """What the notebook gives, and the simplest way to write the rest."""

    def __init__(self):
        self.k = self.v = None

    def add(self, k, v):
        self.k = k if self.k is None else torch.cat([self.k, k], dim=2)
        self.v = v if self.v is None else torch.cat([self.v, v], dim=2)
        return self.k, self.v

    @property
    def length(self):
        return 0 if self.k is None else self.k.shape[2]


class KeptInLists(Kept):
    def __init__(self):
        self.k, self.v = [], []

    def add(self, k, v):
        self.k.append(k)
        self.v.append(v)
        return [torch.cat(self.k, dim=-2), torch.cat(self.v, dim=-2)]

    @property
    def length(self):
        return sum(k.shape[-2] for k in self.k)


class KeptInOneTensor(Kept):
    def add(self, k, v):
        new = torch.stack([k, v])
        self.both = new if self.k is None else torch.cat([self.both, new], dim=3)
        self.k, self.v = self.both
        return self.k, self.v


class KeptInGrowingRoom(Kept):
    def __init__(self):
        self.k, self.v, self.length = None, None, 0

    def add(self, k, v):
        end = self.length + k.shape[2]
        if self.k is None:
            self.k, self.v = k[:, :, :1].clone(), v[:, :, :1].clone()
        while end > self.k.shape[2]:
            self.k, self.v = (torch.cat([x, x], dim=2) for x in (self.k, self.v))
        self.k[:, :, self.length : end], self.v[:, :, self.length : end] = k, v
        self.length = end
        return self.k[:, :, :end], self.v[:, :, :end]

    length = None


class KeptAndDetached(Kept):
    def add(self, k, v):
        return super().add(k.detach(), v.detach())


class KeptAsModule(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.k = self.v = None

    add, length = Kept.add, Kept.length


class KeptInTheClass(Kept):
    kept = [], []

    def __init__(self):
        pass

    def add(self, k, v):
        for kept, new in zip(self.kept, (k, v), strict=True):
            kept.append(new)
        return tuple(torch.cat(kept, dim=2) for kept in self.kept)

    length = property(lambda self: sum(k.shape[2] for k in self.kept[0]))


class KeptInAGlobal(Kept):
    def add(self, k, v, both={}):  # noqa: B006
        for name, new in (("k", k), ("v", v)):
            both[name] = torch.cat([both[name], new], dim=2) if name in both else new
        self.k, self.v = both["k"], both["v"]
        return self.k, self.v


class KeptWithoutProperty(Kept):
    def length(self):
        return 0 if self.k is None else self.k.shape[2]


class KeptWithoutLengthAtFirst(Kept):
    length = property(lambda self: self.k.size(2))


class KeptValuesOnce(Kept):
    def add(self, k, v):
        self.k = k if self.k is None else torch.cat([self.k, k], dim=2)
        self.v = v if self.v is None else self.v
        return self.k, self.v


class KeptFirstTwice(Kept):
    def add(self, k, v):
        if self.k is None:
            self.k, self.v = k, v
        return super().add(k, v)


class KeptInRoomFor2048(Kept):
    def __init__(self):
        self.k, self.v, self.n = None, None, 0

    def add(self, k, v):
        if self.k is None:
            self.k, self.v = (x.new_zeros(*x.shape[:2], 2048, x.shape[3]) for x in (k, v))
        end = self.n + k.shape[2]
        self.k[:, :, self.n : end], self.v[:, :, self.n : end] = k, v
        self.n = end
        return self.k[:, :, :end], self.v[:, :, :end]

    length = property(lambda self: self.n)


class KeptFromZeros(Kept):
    def add(self, k, v):
        if self.k is None:
            self.k, self.v = (torch.zeros(*x.shape[:2], 0, x.shape[3]) for x in (k, v))
        return super().add(k, v)


class KeptSinceTheLastPrompt(Kept):
    def add(self, k, v):
        if k.shape[2] > 1:
            self.k = self.v = None
        return super().add(k, v)


class KeptKeysOnly(Kept):
    def add(self, k, v):
        return super().add(k, v)[0]


class KeptInOneStack(Kept):
    def add(self, k, v):
        return torch.stack(super().add(k, v))


# --- 8.6 generate ---------------------------------------------------------------------------


def written(
    give=lambda model, new, caches: model(new, caches),
    pick=lambda logits: logits[:, -1:].argmax(-1),
    new=lambda ids, token: token,
    first=lambda ids: ids,
    finish=lambda ids: ids,
):
    """A learner's loop with one part written in another way."""

    def answer(model, ids, n_new):
        caches, given = model.new_caches(), first(ids)
        for _ in range(n_new):
            token = pick(give(model, given, caches))
            ids = torch.cat([ids, token], dim=1)
            given = new(ids, token)
        return finish(ids)

    return answer


@torch.inference_mode()
def written_into_room(model, ids, n_new):
    B, T = ids.shape
    out = torch.empty(B, T + n_new, dtype=ids.dtype)
    out[:, :T], caches, start = ids, model.new_caches(), 0
    for t in range(T, T + n_new):
        out[:, t] = model(out[:, start:t], caches)[:, -1].argmax(-1)
        start = t
    return out


def written_by_the_length(model, ids, n_new):
    caches = model.new_caches()
    for _ in range(n_new):
        logits = model(ids[:, caches[0].length :], caches=caches)
        ids = torch.hstack([ids, logits[:, -1].topk(1).indices])
    return ids


def written_recursively(model, ids, n_new):
    caches = model.new_caches()

    def rest(new, n):
        if n == 0:
            return []
        token = model(new, caches)[:, -1:].argmax(dim=-1)
        return [token, *rest(token, n - 1)]

    return torch.cat([ids, *rest(ids, n_new)], dim=1)


def written_with_the_prompt_apart(model, ids, n_new):
    caches = model.new_caches()
    logits = model(ids, caches)
    for i in range(n_new):
        token = logits[:, -1].max(-1).indices[:, None]
        ids = torch.cat([ids, token], dim=1)
        if i + 1 < n_new:
            logits = model(token, caches)
    return ids


def written_through_lists(model, ids, n_new):
    model.eval()
    rows, new, caches = ids.tolist(), ids, model.new_caches()
    with torch.no_grad():
        for _ in range(n_new):
            best = model(new, caches)[:, -1].softmax(-1).argmax(-1).tolist()
            rows = [[*row, token] for row, token in zip(rows, best, strict=True)]
            new = torch.tensor(best)[:, None]
    return torch.tensor(rows)


def written_row_by_row(model, ids, n_new):
    return torch.cat([written()(model, row[None], n_new) for row in ids])


def written_with_kept_caches(model, ids, n_new, caches=[]):  # noqa: B006
    if not caches:
        caches += model.new_caches()
    return written(give=lambda model, new, _: model(new, caches))(model, ids, n_new)


def written_up_to_0(model, ids, n_new):
    caches, new = model.new_caches(), ids
    for _ in range(n_new):
        new = model(new, caches)[:, -1:].argmax(-1)
        ids = torch.cat([ids, new], dim=1)
        if (new == 0).any():
            break
    return ids


def written_after_half_the_prompt(model, ids, n_new):
    caches = model.new_caches()
    if ids.shape[1] > 1:
        model(ids[:, :-1], caches)
    new = ids[:, -1:]
    for _ in range(n_new):
        new = model(new, caches)[:, -1:].argmax(-1)
        ids = torch.cat([ids, new], dim=1)
    return ids


def written_with_one_call_more(model, ids, n_new):
    caches = model.new_caches()
    logits = model(ids, caches)
    for _ in range(n_new):
        token = logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, token], dim=1)
        logits = model(token, caches)
    return ids


# --- 8.7 dequantize_q4_1 --------------------------------------------------------------------


def checked(block):
    if len(block) != 20:
        raise ValueError("a block has 20 bytes")


def q4_1(
    scales=lambda block: np.frombuffer(block[:4], "<f2").astype(np.float32),
    nibbles=lambda q: np.concatenate([q & 15, q >> 4]),
    weight=lambda d, m, q: d * q + m,
    check=checked,
):
    """A learner's dequantisation with one part written in another way."""

    def answer(block):
        check(block)
        d, m = scales(block)
        return weight(d, m, nibbles(np.frombuffer(block[4:20], np.uint8)))

    return answer


def q4_1_in_a_loop(block):
    checked(block)
    (d, m), out = struct.unpack("<2e", block[:4]), np.zeros(32, np.float32)
    for j, byte in enumerate(block[4:]):
        out[j], out[j + 16] = d * (byte % 16) + m, d * (byte // 16) + m
    return out


def q4_1_in_hexadecimal(block):
    checked(block)
    (d, m), digits = struct.unpack_from("<ee", block), block[4:].hex()
    return np.array([int(c, 16) * d + m for c in digits[1::2] + digits[::2]], "float32")


def q4_1_by_a_table(block):
    if len(block) - 4 != 16:
        raise ValueError(len(block))
    d, m = np.frombuffer(block, "<f2", 2).astype(np.float32)
    q = np.frombuffer(block, np.uint8, offset=4)
    return (np.arange(16, dtype=np.float32) * d + m)[np.r_[q & 15, q >> 4]]


def q4_1_with_a_struct_error_turned(block):
    try:
        d, m, *q = struct.unpack("<ee16B", block)
    except struct.error as error:
        raise ValueError("not a block") from error
    high, low = np.divmod(q, 16)
    return np.float32(d) * np.r_[low, high].astype("f4") + np.float32(m)


def q4_1_in_bits(block):
    checked(block)
    bits = np.unpackbits(np.frombuffer(block[4:], np.uint8), bitorder="little")
    q = (bits.reshape(16, 2, 4) * [1, 2, 4, 8]).sum(-1).T.ravel()
    d, m = np.frombuffer(block[:4], "<f2").astype("f4")
    return (q * d + m).astype("f4")


def refused_if_shorter(block):
    if len(block) < 20:
        raise ValueError


def refused_with_an_assertion(block):
    assert len(block) == 20


RIGHT = [
    ("08.RMSNorm", rms_norm(rms_by_rows)),
    ("08.RMSNorm", rms_norm(rms_from_the_length)),
    ("08.RMSNorm", rms_norm(rms_by_matmul)),
    ("08.RMSNorm", rms_norm(rms_only_the_root_is_wide)),
    ("08.RMSNorm", rms_norm(rms_of_pytorch_in_float32)),
    ("08.SwiGLU", swiglu(swiglu_by_hand)),
    ("08.SwiGLU", swiglu(swiglu_in_one_product)),
    ("08.SwiGLU", swiglu(swiglu_with_glu)),
    ("08.SwiGLU", swiglu(swiglu_with_tanh)),
    ("08.SwiGLU", swiglu(swiglu_row_by_row)),
    ("08.GroupedQueryAttention", grouped(attention())),
    ("08.GroupedQueryAttention", grouped(attention(in_groups))),
    ("08.GroupedQueryAttention", grouped(attention(head_by_head))),
    ("08.GroupedQueryAttention", grouped(attention(query_by_query))),
    ("08.GroupedQueryAttention", grouped(attention(causal_where_square))),
    ("08.GroupedQueryAttention", grouped(attention(mask=mask_from_positions))),
    ("08.GroupedQueryAttention", grouped(attention(mask=mask_from_the_length))),
    (
        "08.GroupedQueryAttention",
        grouped(attention(repeat=lambda x, times: x.repeat_interleave(times, dim=1))),
    ),
    ("08.map_weights", mapped_by_a_table),
    ("08.map_weights", mapped_by_replacing),
    ("08.map_weights", mapped_by_matching),
    ("08.map_weights", mapped_with_a_key_error_turned),
    ("08.map_weights", mapped_and_detached),
    ("08.KVCache", Kept),
    ("08.KVCache", KeptInLists),
    ("08.KVCache", KeptInOneTensor),
    ("08.KVCache", KeptInGrowingRoom),
    ("08.KVCache", KeptAndDetached),
    ("08.KVCache", KeptAsModule),
    ("08.generate", written()),
    ("08.generate", written_into_room),
    ("08.generate", written_by_the_length),
    ("08.generate", written_recursively),
    ("08.generate", written_with_the_prompt_apart),
    ("08.generate", written_through_lists),
    ("08.dequantize_q4_1", q4_1()),
    ("08.dequantize_q4_1", q4_1_in_a_loop),
    ("08.dequantize_q4_1", q4_1_in_hexadecimal),
    ("08.dequantize_q4_1", q4_1_by_a_table),
    ("08.dequantize_q4_1", q4_1_with_a_struct_error_turned),
    ("08.dequantize_q4_1", q4_1_in_bits),
]

WRONG = [
    ("08.RMSNorm", rms_norm(rms_of_pytorch), "weight_before_the_cast"),
    ("08.RMSNorm", rms_norm(rms_as_naively), "squares_in_half_precision"),
    ("08.RMSNorm", rms_norm(rms_wide_for_float16_only), "squares_in_bfloat16"),
    ("08.RMSNorm", rms_norm(rms_squares_before_they_are_wide), "squares_in_half_precision"),
    ("08.RMSNorm", rms_norm(rms_root_cast_too_early), None),
    ("08.RMSNorm", rms_norm(rms_never_cast_back), "stays_in_float32"),
    ("08.RMSNorm", rms_norm(rms_clamped), None),
    ("08.RMSNorm", rms_norm(rms_with_its_first_root), "keeps_state"),
    ("08.RMSNorm", rms_norm(rms_without_gradient), "statistics_detached"),
    ("08.RMSNorm", rms_norm(rms_in_place), "changes_input"),
    ("08.RMSNorm", rms_norm(rms_centred), "layer_norm"),
    ("08.RMSNorm", rms_norm(rms_dropped_out), "random"),
    *[("08.SwiGLU", swiglu(forward), name) for name, forward in SWIGLU_WRONG.items()],
    *[("08.SwiGLU", swiglu(forward), None) for forward in SWIGLU_NAMELESS],
    ("08.SwiGLU", swiglu(swiglu_with_a_quotient), "exponential_overflows"),
    ("08.GroupedQueryAttention", grouped(attention(always_is_causal)), "is_causal_with_a_cache"),
    (
        "08.GroupedQueryAttention",
        grouped(attention(is_causal_for_more_than_one)),
        "is_causal_but_for_one_word",
    ),
    (
        "08.GroupedQueryAttention",
        grouped(attention(mask=mask_without_a_cache_only)),
        "no_mask_with_a_cache",
    ),
    (
        "08.GroupedQueryAttention",
        grouped(attention(repeat=lambda x, times: torch.cat([x] * times, dim=1))),
        "tiled",
    ),
    ("08.GroupedQueryAttention", grouped(repeated_first), "repeated_before_an_empty_cache"),
    ("08.GroupedQueryAttention", grouped(attention(mask=mask_for_64)), None),
    ("08.GroupedQueryAttention", grouped(with_a_kept_mask), "keeps_state"),
    ("08.GroupedQueryAttention", grouped(with_a_kept_cache), "keeps_state"),
    (
        "08.GroupedQueryAttention",
        grouped(attention(add=lambda cache, k, v: cache.add(k.detach(), v.detach()))),
        "no_gradient_arrives",
    ),
    (
        "08.GroupedQueryAttention",
        grouped(attention(add=lambda cache, k, v: (cache.add(k, v), cache.add(k, v))[1])),
        None,
    ),
    (
        "08.GroupedQueryAttention",
        grouped(attention(add=lambda cache, k, v: cache.add(k, v)[::-1])),
        None,
    ),
    (
        "08.GroupedQueryAttention",
        grouped(attention(mask=lambda T, S, cache: torch.eye(T, S, dtype=torch.bool))),
        None,
    ),
    (
        "08.GroupedQueryAttention",
        grouped(attention(mask=lambda T, S, cache: torch.ones(T, T, dtype=torch.bool).tril())),
        None,
    ),
    (
        "08.GroupedQueryAttention",
        grouped(
            attention(turn=lambda q, k, v, c, s: (rotate(q, c, -s), rotate(k, c, -s), v)),
        ),
        None,
    ),
    (
        "08.GroupedQueryAttention",
        grouped(attention(merge=lambda out: out.permute(0, 2, 3, 1).flatten(2))),
        None,
    ),
    ("08.map_weights", mapped_by(r"model\.layers\.(\d+)\.(.+)\.weight"), None),
    ("08.map_weights", mapped_by(r"(?:model\.)?layers\.(\d+)\.(.+)\.weight$"), None),
    ("08.map_weights", mapped_by(r"model\.layers\.(\d+)\.(.+)\.weight$", "lm_head."), None),
    ("08.map_weights", mapped_by_replacing_alone, "unknown_names_kept"),
    ("08.map_weights", mapped_layer_by_layer, "unknown_names_dropped"),
    ("08.map_weights", mapped_for_30_layers, None),
    ("08.map_weights", mapped_by_looking_up, None),
    ("08.map_weights", mapped_with_match_for_fullmatch, None),
    ("08.map_weights", mapped_in_place, "changes_input"),
    ("08.map_weights", mapped_and_widened),
    ("08.map_weights", mapped_to_half, None),
    ("08.map_weights", mapped_without_the_head, "lm_head_required"),
    ("08.map_weights", mapped_with_two_digits, None),
    ("08.map_weights", lambda state: list(mapped_by_a_table(state)), None),
    ("08.KVCache", KeptInTheClass, "shared_between_caches"),
    ("08.KVCache", KeptInAGlobal, "shared_between_caches"),
    ("08.KVCache", KeptWithoutProperty, "length_is_a_method"),
    ("08.KVCache", KeptWithoutLengthAtFirst, "no_length_at_first"),
    ("08.KVCache", KeptValuesOnce, None),
    ("08.KVCache", KeptFirstTwice, None),
    ("08.KVCache", KeptInRoomFor2048, None),
    ("08.KVCache", KeptFromZeros, "always_float32"),
    ("08.KVCache", KeptSinceTheLastPrompt, None),
    ("08.KVCache", KeptKeysOnly, None),
    ("08.KVCache", KeptInOneStack, None),
    ("08.generate", written(new=lambda ids, token: ids), "whole_text_again"),
    (
        "08.generate",
        written(give=lambda model, new, caches: model(new), new=lambda ids, token: ids),
        "without_a_cache",
    ),
    ("08.generate", written(give=lambda model, new, caches: model(new)), "context_lost"),
    ("08.generate", written(new=lambda ids, token: ids[:, -2:]), None),
    ("08.generate", written(give=lambda model, new, c: model(new, [c[0]] * len(c))), None),
    ("08.generate", written(finish=lambda ids: ids.short()), None),
    ("08.generate", written(finish=lambda ids: ids.tolist()), "another_type"),
    ("08.generate", written_row_by_row, None),
    ("08.generate", written_with_kept_caches, "caches_of_an_earlier_call"),
    ("08.generate", written_up_to_0, None),
    ("08.generate", written_after_half_the_prompt, None),
    ("08.generate", written_with_one_call_more, "one_call_too_many"),
    (
        "08.dequantize_q4_1",
        q4_1(nibbles=lambda q: np.stack([q & 15, q >> 4], axis=-1).ravel()),
        "interleaved",
    ),
    ("08.dequantize_q4_1", q4_1(nibbles=lambda q: np.stack([q & 15, q >> 4])), None),
    ("08.dequantize_q4_1", q4_1(nibbles=lambda q: np.r_[q & 15, q << 4]), None),
    ("08.dequantize_q4_1", q4_1(weight=lambda d, m, q: d * (q - 8) + m), None),
    ("08.dequantize_q4_1", q4_1(weight=lambda d, m, q: d * q / 15 + m), None),
    ("08.dequantize_q4_1", q4_1(weight=lambda d, m, q: torch.tensor(d * q + m))),
    ("08.dequantize_q4_1", q4_1(weight=lambda d, m, q: (d * q + m).tolist()), "another_type"),
    ("08.dequantize_q4_1", q4_1(scales=lambda block: np.frombuffer(block[:4], "<i2")), None),
    ("08.dequantize_q4_1", q4_1(scales=lambda block: struct.unpack(">ee", block[:4]))),
    ("08.dequantize_q4_1", q4_1(check=lambda block: None), "length_not_checked"),
    ("08.dequantize_q4_1", q4_1(check=refused_if_shorter), None),
    ("08.dequantize_q4_1", q4_1(check=refused_with_an_assertion), "another_error"),
]
