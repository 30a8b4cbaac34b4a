"""Answers to lesson 03: right ones in an unusual style, and mistakes that nobody listed."""

import math

import numpy as np
import torch
import torch.nn.functional as F

# --- right ----------------------------------------------------------------------------------


def add_positions_loop(x, table):
    out = torch.empty_like(x)
    for b in range(x.size(0)):
        for t in range(x.size(1)):
            out[b, t] = x[b, t] + table[t]
    return out


def add_positions_module(x, table):
    layer = torch.nn.Embedding.from_pretrained(table)
    places = torch.arange(x.shape[1]).expand(x.shape[0], -1)
    return x + layer(places)


def add_positions_product(x, table):
    B, T, d_model = x.shape
    return torch.baddbmm(x, torch.eye(T, len(table)).expand(B, -1, -1), table.expand(B, -1, -1))


def sinusoidal_loop(T, d_model):
    table = torch.zeros(T, d_model)
    for t in range(T):
        for i in range(d_model // 2):
            angle = t / 10000 ** (2 * i / d_model)
            table[t, 2 * i], table[t, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return table


def sinusoidal_exp(T, d_model):
    rate = torch.exp(torch.arange(0, d_model, 2) * -(math.log(10000.0) / d_model))
    table = torch.zeros(T, d_model)
    table[:, 0::2] = torch.sin(torch.arange(T).unsqueeze(1) * rate)
    table[:, 1::2] = torch.cos(torch.arange(T).unsqueeze(1) * rate)
    return table


def sinusoidal_complex(T, d_model):
    speeds = torch.logspace(0, -2 * (d_model // 2 - 1) / d_model * 4, d_model // 2)
    turned = torch.polar(torch.ones(T, d_model // 2), torch.outer(torch.arange(T) + 0.0, speeds))
    return torch.view_as_real(turned).flip(-1).reshape(T, d_model)


def sinusoidal_shifted_sine(T, d_model):
    c = torch.arange(d_model, dtype=torch.float64)
    speeds = 10000 ** (-(c - c % 2) / d_model)
    return torch.sin(torch.arange(T)[:, None] * speeds + (c % 2) * math.pi / 2).float()


def rope_rotate_half(x, positions, theta=10000.0):
    d = x.shape[-1]
    inv_freq = 1.0 / theta ** (torch.arange(0, d, 2).float() / d)
    freqs = torch.outer(positions.float(), inv_freq)
    angles = torch.cat((freqs, freqs), dim=-1)
    a, b = x.chunk(2, dim=-1)
    return (x * angles.cos() + torch.cat((-b, a), dim=-1) * angles.sin()).type_as(x)


def rope_complex(x, positions, theta=10000.0):
    half = x.shape[-1] // 2
    numbers = torch.complex(x[..., :half].float(), x[..., half:].float())
    angle = torch.outer(positions.float(), theta ** (-torch.arange(half) / half))
    turned = numbers * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([turned.real, turned.imag], dim=-1).to(x.dtype)


def rope_loop(x, positions, theta=10000.0):
    half, out = x.shape[-1] // 2, x.clone()
    for t, p in enumerate(positions.tolist()):
        for c in range(half):
            cos, sin = math.cos(p * theta ** (-c / half)), math.sin(p * theta ** (-c / half))
            out[..., t, c] = x[..., t, c] * cos - x[..., t, c + half] * sin
            out[..., t, c + half] = x[..., t, c] * sin + x[..., t, c + half] * cos
    return out


def rope_matrices(x, positions, theta=10000.0):
    half = x.shape[-1] // 2
    angle = positions[:, None].double() * torch.exp(
        -math.log(theta) * torch.arange(half).double() / half
    )
    cos, sin = torch.diag_embed(angle.cos()), torch.diag_embed(angle.sin())
    turn = torch.cat([torch.cat([cos, -sin], dim=-1), torch.cat([sin, cos], dim=-1)], dim=-2)
    return torch.einsum("tij,...tj->...ti", turn, x.double()).to(x.dtype)


def rope_attention_by_hand(q, k, v, positions):
    q, k = rope_rotate_half(q, positions), rope_rotate_half(k, positions)
    return torch.softmax(q @ k.mT / math.sqrt(q.size(-1)), dim=-1) @ v


def rope_attention_einsum(q, k, v, positions):
    q, k = rope_complex(q.double(), positions), rope_complex(k.double(), positions)
    scores = torch.einsum("bhic,bhjc->bhij", q, k) * q.shape[-1] ** -0.5
    return torch.einsum("bhij,bhjc->bhic", scores.softmax(-1), v.double())


def rope_attention_turning_only_keys(q, k, v, positions):
    heads = []
    for h in range(q.shape[1]):
        rows = []
        for i, p in enumerate(positions.tolist()):
            keys = rope_loop(k[:, h], positions - p)  # the query stays, the keys come to it
            rows.append(F.scaled_dot_product_attention(q[:, h, i : i + 1], keys, v[:, h]))
        heads.append(torch.cat(rows, dim=1))
    return torch.stack(heads, dim=1)


def rope_attention_from_position_500(q, k, v, positions):
    q, k = rope_matrices(q, positions + 500), rope_matrices(k, positions + 500)
    return F.scaled_dot_product_attention(q, k, v)


def alibi_masked(n_heads, T):
    slopes = torch.tensor([2 ** (-8 * h / n_heads) for h in range(1, n_heads + 1)])
    distance = torch.arange(T)[None, :] - torch.arange(T)[:, None]
    hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
    return (slopes.view(-1, 1, 1) * distance).masked_fill(hidden, -torch.inf)


def alibi_loop(n_heads, T):
    start = ratio = 2 ** (-(2 ** -(math.log2(n_heads) - 3)))
    bias = torch.full((n_heads, T, T), torch.nan)
    for h in range(n_heads):
        for i in range(T):
            for j in range(i + 1):
                bias[h, i, j] = start * ratio**h * (j - i)
    return bias


def alibi_einsum(n_heads, T):
    slopes = torch.logspace(-8 / n_heads, -8, n_heads, base=2, dtype=torch.float64)
    t = torch.arange(T, dtype=torch.float64)
    return torch.einsum("h,ij->hij", slopes, -(t[:, None] - t[None, :]).abs()).float()


def alibi_cumulative(n_heads, T):
    steps = torch.ones(T, T).tril(-1)
    distance = steps.flip(-1).cumsum(-1).flip(-1)
    return -torch.stack([distance / 256 ** ((h + 1) / n_heads) for h in range(n_heads)])


def invariant_loop(encode, q, k):
    p, r = torch.arange(len(q)), torch.arange(len(k))
    before = encode(q, p) @ encode(k, r).T
    for shift in [*range(1, 20), 100, 1000]:
        after = encode(q, p + shift) @ encode(k, r + shift).T
        if (after - before).abs().max() > 1e-3:
            return False
    return True


def invariant_stacked(encode, q, k):
    tables = [
        torch.einsum("id,jd->ij", encode(q, torch.arange(s, s + len(q))), k_turned)
        for s in (0, 1, 2, 11, 35)
        for k_turned in [encode(k, torch.arange(s, s + len(k)))]
    ]
    return torch.isclose(torch.stack(tables), tables[0], atol=1e-4).all()


def invariant_backwards(encode, q, k):
    def scores(p):
        return encode(q, torch.arange(len(q)) + p) @ encode(k, torch.arange(len(k)) + p).mT

    return bool(max((scores(101) - scores(p)).norm() for p in (2, 13, 60)) < 1e-3)


def invariant_word_by_word(encode, q, k):
    for i in range(len(q)):
        for j in range(len(k)):
            seen = [
                float(
                    encode(q[i : i + 1], torch.tensor([i + s]))[0]
                    @ encode(k[j : j + 1], torch.tensor([j + s]))[0]
                )
                for s in range(0, 45)
            ]
            if max(seen) - min(seen) > 1e-3:
                return False
    return True


# --- wrong ----------------------------------------------------------------------------------


def rope_neighbours_backwards(x, positions, theta=10000.0):
    half = x.shape[-1] // 2
    angle = -positions[:, None] * theta ** (-torch.arange(half) / half)
    a, b = x[..., 0::2], x[..., 1::2]
    turned = a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()
    return torch.stack(turned, dim=-1).flatten(-2).to(x.dtype)


def rope_minus_in_the_second_line(x, positions, theta=10000.0):
    half = x.shape[-1] // 2
    angle = positions[:, None] * theta ** (-torch.arange(half) / half)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin - b * cos], dim=-1)


def rope_shared_cosines(x, positions, theta=10000.0):
    d = x.shape[-1]
    angle = positions[:, None] * theta ** (-torch.arange(d) / d)  # one speed per component
    a, b = x.chunk(2, dim=-1)
    return x * angle.cos().to(x.dtype) + torch.cat([-b, a], -1) * angle.sin().to(x.dtype)


def rope_attention_turned_scores(q, k, v, positions):
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    distance = (positions[:, None] - positions[None, :]).float()
    return (weights * distance.cos()) @ v


def rope_attention_everything(q, k, v, positions):
    q, k, v = (rope_rotate_half(x, positions) for x in (q, k, v))
    return (q @ k.mT).softmax(-1) @ v


def invariant_mean(encode, q, k):
    def mean(s):
        return (encode(q, torch.arange(len(q)) + s) @ encode(k, torch.arange(len(k)) + s).T).mean()

    return all(abs(mean(0) - mean(s)) < 1e-4 for s in (1, 2, 3, 50))


def invariant_first_shift_decides(encode, q, k):
    def scores(s):
        return encode(q, torch.arange(len(q)) + s) @ encode(k, torch.arange(len(k)) + s).T

    for s in (5, 10, 20):
        return torch.allclose(scores(0), scores(s), atol=1e-4)


def invariant_opposite(encode, q, k):
    def scores(s):
        return encode(q, torch.arange(len(q)) + s) @ encode(k, torch.arange(len(k)) - s).T

    return all(torch.allclose(scores(0), scores(s), atol=1e-4) for s in (1, 7, 30))


def add_positions_kept(x, table, kept={}):  # noqa: B006
    rows = kept.setdefault((x.shape, table.shape), table.detach().clone())
    return x + table[: x.shape[1]] - (table.detach() - rows)[: x.shape[1]]


def sinusoidal_kept(T, d_model, kept={}):  # noqa: B006
    return kept.setdefault(d_model, sinusoidal_loop(T, d_model))[:T]


def rope_kept(x, positions, theta=10000.0, kept={}):  # noqa: B006
    where = kept.setdefault((x.shape, theta, x.dtype), positions)
    return rope_rotate_half(x, where, theta)


def rope_positions_squared(x, positions, theta=10000.0):
    return rope_rotate_half(x, positions**2, theta)


def rope_rounded_exponent(x, positions, theta=10000.0):
    half = x.shape[-1] // 2
    angle = positions[:, None] * theta ** (-torch.arange(half) // half)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def rope_half_detached(x, positions, theta=10000.0):
    half = x.shape[-1] // 2
    angle = positions[:, None] * theta ** (-torch.arange(half) / half)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b.detach() * sin, a * sin + b * cos], dim=-1)


def rope_views_overwritten(x, positions, theta=10000.0):
    half, out = x.shape[-1] // 2, x.clone()
    angle = positions[:, None] * theta ** (-torch.arange(half) / half)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = out[..., :half], out[..., half:]
    out[..., :half] = a * cos - b * sin
    out[..., half:] = a * sin + b * cos  # a is a view: it has been overwritten
    return out


def rope_attention_kept(q, k, v, positions, kept={}):  # noqa: B006
    return rope_attention_by_hand(q, k, v, kept.setdefault(q.shape, positions))


def rope_attention_learns_no_values(q, k, v, positions):
    return rope_attention_by_hand(q, k, v.detach(), positions)


def alibi_numpy(n_heads, T):
    t, h = np.arange(T), np.arange(1, n_heads + 1)
    slopes = 2.0 ** (-8 * h / n_heads)
    return -slopes[:, None, None] * (t[:, None] - t)


def alibi_bytes(n_heads, T):
    t = torch.arange(T).byte()
    slopes = torch.tensor([2 ** (-8 * h / n_heads) for h in range(1, n_heads + 1)])
    return -slopes.view(-1, 1, 1) * (t[:, None] - t)


def invariant(shifts=(1, 7, 30), same=None, of=lambda p: p):
    """The task's way with one step replaced."""
    same = same or (lambda a, b: torch.allclose(a, b, atol=1e-4))

    def answer(encode, q, k):
        def scores(s):
            there = encode(k, of(torch.arange(len(k)) + s))
            return encode(q, of(torch.arange(len(q)) + s)) @ there.T

        return all(same(scores(0), scores(s)) for s in shifts)

    return answer


RIGHT = [
    ("03.add_positions", add_positions_loop),
    ("03.add_positions", add_positions_product),
    ("03.sinusoidal", sinusoidal_loop),
    ("03.sinusoidal", sinusoidal_exp),
    ("03.sinusoidal", sinusoidal_complex),
    ("03.sinusoidal", sinusoidal_shifted_sine),
    ("03.apply_rope", rope_rotate_half),
    ("03.apply_rope", rope_complex),
    ("03.apply_rope", rope_loop),
    ("03.apply_rope", rope_matrices),
    ("03.rope_attention", rope_attention_by_hand),
    ("03.rope_attention", rope_attention_einsum),
    ("03.rope_attention", rope_attention_turning_only_keys),
    ("03.rope_attention", rope_attention_from_position_500),
    ("03.alibi_bias", alibi_masked),
    ("03.alibi_bias", alibi_loop),
    ("03.alibi_bias", alibi_einsum),
    ("03.alibi_bias", alibi_cumulative),
    ("03.relative_shift_invariant", invariant_loop),
    ("03.relative_shift_invariant", invariant_stacked),
    ("03.relative_shift_invariant", invariant_backwards),
    ("03.relative_shift_invariant", invariant_word_by_word),
    ("03.add_positions", lambda x, table: torch.stack([s + table[: len(s)] for s in x])),
    ("03.sinusoidal", lambda T, d_model: sinusoidal_exp(T, d_model).double().float()),
    ("03.apply_rope", lambda x, p, theta=10000.0: rope_complex(x, torch.arange(99999)[p], theta)),
    ("03.alibi_bias", lambda n_heads, T: torch.from_numpy(alibi_numpy(n_heads, T)).float()),
    ("03.relative_shift_invariant", invariant((1, 3, 8, 1000))),
    ("03.relative_shift_invariant", lambda *given: np.bool_(invariant(range(1, 40))(*given))),
]

WRONG = [
    ("03.add_positions", add_positions_module),
    ("03.add_positions", lambda x, table: x + table[torch.arange(x.shape[1]) // 2]),
    ("03.add_positions", lambda x, table: x + table[: x.shape[2]]),
    ("03.add_positions", lambda x, table: x + table.mean(0)),
    ("03.sinusoidal", lambda T, d_model: sinusoidal_loop(T, d_model).flip(1)),
    ("03.sinusoidal", lambda T, d_model: sinusoidal_loop(T, d_model).round(decimals=2)),
    ("03.apply_rope", rope_neighbours_backwards),
    ("03.apply_rope", rope_minus_in_the_second_line),
    ("03.apply_rope", rope_shared_cosines),
    ("03.rope_attention", rope_attention_turned_scores),
    ("03.rope_attention", rope_attention_everything),
    ("03.alibi_bias", lambda n_heads, T: alibi_loop(2 * n_heads, T)[:n_heads]),
    ("03.alibi_bias", lambda n_heads, T: alibi_masked(n_heads, T).softmax(-1)),
    ("03.relative_shift_invariant", invariant_mean),
    ("03.relative_shift_invariant", invariant_first_shift_decides),
    ("03.relative_shift_invariant", invariant_opposite),
    ("03.add_positions", add_positions_kept),
    ("03.add_positions", lambda x, table: x.detach() + table[: x.shape[1]], "no_gradient_arrives"),
    ("03.add_positions", lambda x, table: x + table[: len(x)], "number_of_sentences_for_length"),
    ("03.add_positions", lambda x, table: x + table[torch.arange(x.shape[1]).byte().long()], None),
    ("03.sinusoidal", lambda T, d_model: sinusoidal_exp(T, d_model).double(), "float64_returned"),
    ("03.sinusoidal", lambda T, d_model: sinusoidal_exp(512, d_model)[:T], None),
    ("03.sinusoidal", sinusoidal_kept, "keeps_state"),
    ("03.apply_rope", lambda x, positions, theta=10000.0: x, "nothing_turned"),
    ("03.apply_rope", rope_positions_squared, "positions_squared"),
    ("03.apply_rope", rope_rounded_exponent, "exponent_rounded"),
    ("03.apply_rope", torch.no_grad()(rope_rotate_half), "no_gradient_arrives"),
    ("03.apply_rope", rope_half_detached, "another_gradient"),
    ("03.apply_rope", rope_views_overwritten, "first_overwritten"),
    ("03.apply_rope", rope_kept),
    ("03.apply_rope", lambda x, p, theta=10000.0: rope_rotate_half(x, p.short(), theta), None),
    ("03.apply_rope", lambda x, p, theta=10000.0: rope_rotate_half(x.double(), p, theta), None),
    ("03.rope_attention", rope_attention_kept, "keeps_state"),
    ("03.rope_attention", rope_attention_learns_no_values, "no_gradient_arrives"),
    ("03.rope_attention", torch.no_grad()(rope_attention_by_hand), "no_gradient_arrives"),
    ("03.alibi_bias", alibi_numpy, "another_type"),
    ("03.alibi_bias", lambda *n: torch.from_numpy(alibi_numpy(*n)), "float64_returned"),
    ("03.alibi_bias", alibi_bytes, None),
    ("03.relative_shift_invariant", invariant(of=lambda p: p.float()), None),
    ("03.relative_shift_invariant", invariant(of=lambda p: p.tolist()), None),
    ("03.relative_shift_invariant", invariant((30,)), "last_shift_only"),
    (
        "03.relative_shift_invariant",
        invariant(same=lambda a, b: torch.allclose(a, b, atol=0.1)),
        "too_much_room",
    ),
]
