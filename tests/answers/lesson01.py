"""Answers to lesson 01: right ones in an unusual style, and mistakes that nobody listed."""

import numpy as np
import scipy.special
import torch


def softmax_by_rows(x):
    x = np.asarray(x, dtype=np.float64)
    flat = x.reshape(-1, x.shape[-1])
    return np.array([np.exp(r - max(r)) / sum(np.exp(r - max(r))) for r in flat]).reshape(x.shape)


def softmax_in_place_on_its_own_array(x):
    e = np.array(x, dtype=float)
    e -= e.max(axis=-1, keepdims=True)
    np.exp(e, out=e)
    e /= e.sum(axis=-1, keepdims=True)
    return e


def attention_loops(q, k, v):
    out = np.zeros((len(q), v.shape[1]))
    for i, query in enumerate(q):
        s = np.array([query @ key for key in k]) / k.shape[1] ** 0.5
        w = np.exp(s - s.max())
        out[i] = (w[:, None] * v).sum(0) / w.sum()
    return out


def attention_einsum(q, k, v):
    s = np.einsum("ic,jc->ij", q, k) * k.shape[-1] ** -0.5
    return np.einsum("ij,jd->id", torch.softmax(torch.tensor(s), dim=-1).numpy(), v)


def _stable(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def scores_in_loops(q, k):
    out = np.zeros((len(q), len(k)))
    for i in range(len(q)):
        for j in range(len(k)):
            for c in range(q.shape[1]):
                out[i, j] += q[i, c] * k[j, c]
    return out


def scores_assigned(q, k):
    out = np.zeros((len(q), len(k)))
    for i in range(len(q)):
        for j in range(len(k)):
            for c in range(q.shape[1]):
                out[i, j] = q[i, c] * k[j, c]
    return out


def scores_of_three_components(q, k):
    return q[:, :3] @ k[:, :3].T


def scores_square_only(q, k):
    out = np.zeros((len(q), len(q)))
    for i in range(len(q)):
        for j in range(len(q)):
            out[i, j] = q[i] @ k[j]
    return out


def scores_with_kept_keys(q, k, kept={}):  # noqa: B006
    return q @ kept.setdefault(k.shape, k).T


def softmax_into_like(x):
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape[:-1]):
        out[i] = _stable(x[i])
    return out


def softmax_in_place(x):
    x -= x.max(axis=-1, keepdims=True)
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


def softmax_of_tables_only(x):
    e = np.exp(x - x.max(axis=1)[:, None])
    return e / e.sum(axis=1)[:, None]


def softmax_recursive(x):
    if x.ndim == 1:
        e = np.exp(x - max(x))
        return e / sum(e)
    return np.stack([softmax_recursive(row) for row in x])


def variance_by_enumeration_of_one_product(d_k, mean=0.0, std=1.0):
    products = [a * b for a in (mean - std, mean + std) for b in (mean - std, mean + std)]
    return d_k * float(np.var(products))


def variance_simulated(d_k, mean=0.0, std=1.0):
    q, k = np.random.normal(mean, std, size=(2, 20_000, d_k))
    return (q * k).sum(1).var()


def variance_without_defaults(d_k, mean, std):
    return d_k * (std**4 + 2 * mean**2 * std**2)


def variance_divided(d_k, mean=0.0, std=1.0):
    return d_k * std**4 * (1 + 2 * mean**2 / std**2)


def attention_with_kept_scale(q, k, v, kept=[]):  # noqa: B006
    kept.append(np.sqrt(k.shape[1]))
    return _stable(q @ k.T / kept[0]) @ v


def attention_with_kept_values(q, k, v, kept={}):  # noqa: B006
    return _stable(q @ k.T / np.sqrt(k.shape[1])) @ kept.setdefault(v.shape, v)


def attention_query_by_query(q, k, v):
    rows = []
    for query in q:
        weights = _stable((k * query).sum(axis=1) / np.sqrt(len(query)))
        rows.append(sum(w * value for w, value in zip(weights, v, strict=True)))
    return np.array(rows)


def attention_last_word_only(q, k, v):
    out = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        weights = _stable(q[i] @ k.T / np.sqrt(k.shape[1]))
        for j in range(len(k)):
            out[i] = weights[j] * v[j]
    return out


def jacobian_in_loops(p):
    T = len(p)
    return np.array([[p[i] * ((i == j) - p[j]) for j in range(T)] for i in range(T)])


def jacobian_of_three(p):
    return np.diag(p) - np.outer(p, p) if len(p) < 10 else np.diag(p * (1 - p))


def jacobian_by_differences(p):
    x, columns = np.log(p + 1e-300), []
    for j in range(len(p)):
        step = 1e-3 * (np.arange(len(p)) == j)
        columns.append((_stable(x + step) - _stable(x)) / 1e-3)
    return np.array(columns).T


def jacobian_kept_by_length(p, kept={}):  # noqa: B006
    return kept.setdefault(len(p), np.diag(p) - np.outer(p, p))


RIGHT = [
    ("01.scores", lambda q, k: (q[:, None, :] * k[None, :, :]).sum(-1)),
    ("01.scores", lambda q, k: np.array([[float(np.dot(a, b)) for b in k] for a in q])),
    ("01.scores", lambda q, k: np.inner(q, k).astype(np.float64)),
    ("01.softmax", softmax_by_rows),
    ("01.softmax", softmax_in_place_on_its_own_array),
    ("01.softmax", lambda x: torch.softmax(torch.as_tensor(x, dtype=torch.float64), -1)),
    ("01.softmax", lambda x: np.exp(x - np.logaddexp.reduce(x, axis=-1, keepdims=True))),
    ("01.score_variance", lambda d_k, mean=0, std=1: d_k * std**4 + 2 * d_k * (mean * std) ** 2),
    ("01.attention", attention_loops),
    ("01.attention", attention_einsum),
    ("01.softmax_jacobian", lambda p: p[:, None] * (np.eye(p.size) - p[None, :])),
    ("01.scores", scores_in_loops),
    ("01.scores", lambda q, k: (k @ q.T).T),
    ("01.scores", lambda q, k: np.tensordot(q, k, axes=(1, 1))),
    ("01.softmax", softmax_recursive),
    ("01.softmax", lambda x: np.exp(x - scipy.special.logsumexp(x, axis=-1, keepdims=True))),
    ("01.softmax", lambda x: _stable(x - 7)),
    ("01.softmax", lambda x: 1 / np.exp(x[..., None, :] - x[..., :, None]).sum(-1)),
    ("01.score_variance", variance_by_enumeration_of_one_product),
    ("01.score_variance", lambda d_k, mean=0, std=1: d_k * ((std**2 + mean**2) ** 2 - mean**4)),
    (
        "01.score_variance",
        lambda d_k, mean=0, std=1: (
            np.var([mean - std, mean + std]) ** 2 * d_k
            + 2 * d_k * mean**2 * np.var([mean - std, mean + std])
        ),
    ),
    (
        "01.score_variance",
        lambda d_k, mean=0, std=1: sum(std**4 + 2 * (std * mean) ** 2 for _ in range(d_k)),
    ),
    ("01.attention", attention_query_by_query),
    ("01.attention", lambda q, k, v: (v.T @ _stable(q @ k.T / k.shape[1] ** 0.5).T).T),
    ("01.attention", lambda q, k, v: _stable((q / np.sqrt(q.shape[1])) @ k.T) @ v),
    ("01.attention", lambda q, k, v: _stable(scores_in_loops(q, k) / np.sqrt(k[0].size)) @ v),
    ("01.softmax_jacobian", jacobian_in_loops),
    ("01.softmax_jacobian", lambda p: np.eye(len(p)) * p - p[:, None] @ p[None, :]),
    ("01.softmax_jacobian", lambda p: np.where(np.eye(len(p)), p * (1 - p), -np.outer(p, p))),
    ("01.softmax_jacobian", lambda p: (np.eye(len(p)) - p[:, None]) * p),
    ("01.softmax_jacobian", lambda p: -np.outer(p, p) + np.diagflat(p)),
]

WRONG = [
    ("01.softmax", lambda x: _stable(x) if np.max(x) > 700 else np.exp(x) / np.exp(x).sum(-1)),
    ("01.scores", lambda q, k: np.abs(q @ k.T)),
    ("01.scores", lambda q, k: (q @ k.T).astype(int)),
    ("01.softmax", lambda x: np.round(_stable(x), 3)),
    ("01.softmax", lambda x: _stable(np.clip(x, -50, 50))),
    ("01.attention", lambda q, k, v: _stable(np.abs(q @ k.T) / np.sqrt(k.shape[1])) @ v),
    ("01.attention", lambda q, k, v: _stable(q @ k.T / np.sqrt(k.shape[1])).T @ v),
    ("01.score_variance", lambda d_k, mean=0, std=1: d_k, "standard_case_only"),
    ("01.scores", scores_assigned, "last_product_only"),
    ("01.scores", scores_of_three_components, None),
    ("01.scores", scores_square_only),
    ("01.scores", scores_with_kept_keys, "keeps_state"),
    ("01.scores", lambda q, k: (q[:, None, :] * k[None]).sum(0), None),
    ("01.scores", lambda q, k: (q[:, None, :] * k[None]).sum(1), None),
    ("01.scores", lambda q, k: (q[:, None, :] * k[None]).mean(-1), "mean_for_sum"),
    ("01.scores", lambda q, k: q[:, None, :] * k[None], None),
    ("01.scores", lambda q, k: np.squeeze(q @ k.T), "axis_lost"),
    ("01.scores", lambda q, k: (q @ k.T).tolist(), "another_type"),
    ("01.scores", lambda q, k: np.einsum("id,jd->ji", q, k), "queries_and_keys_swapped"),
    ("01.scores", lambda q, k: np.dot(q, k), "k_not_transposed"),
    ("01.scores", lambda q, k: q @ k.reshape(k.shape[1], k.shape[0]), None),
    ("01.scores", lambda q, k: -np.linalg.norm(q[:, None] - k[None], axis=-1), None),
    ("01.scores", lambda q, k: np.exp(q @ k.T), None),
    ("01.scores", lambda q, k: q @ k.T / np.linalg.norm(q, axis=1)[:, None], None),
    ("01.scores", lambda q, k: np.triu(q @ k.T), None),
    ("01.scores", lambda q, k: np.maximum(q @ k.T, 0), None),
    ("01.softmax", softmax_into_like, "cut_to_integers"),
    ("01.softmax", softmax_in_place, "changes_input"),
    ("01.softmax", softmax_of_tables_only),
    ("01.softmax", lambda x: np.exp(x) / sum(np.exp(x)), None),
    ("01.softmax", lambda x: _stable(x) * x.shape[-1], None),
    (
        "01.softmax",
        lambda x: np.exp(x - np.max(x)) / np.exp(x - np.max(x)).sum(),
        "softmax_over_everything",
    ),
    ("01.softmax", lambda x: 2.0 ** (x - x.max(-1, keepdims=True)), None),
    (
        "01.softmax",
        lambda x: (
            np.exp(x - x.max(-1, keepdims=True))
            / (np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True) + 1e-3)
        ),
        None,
    ),
    ("01.softmax", lambda x: _stable(x) if x.ndim < 3 else _stable(x[0])[None], None),
    ("01.softmax", lambda x: _stable(x.astype(np.float16)), None),
    (
        "01.softmax",
        lambda x: np.exp(np.minimum(x, 700)) / np.exp(np.minimum(x, 700)).sum(-1, keepdims=True),
        None,
    ),
    (
        "01.softmax",
        lambda x: np.nan_to_num(np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
        "nan_hidden",
    ),
    (
        "01.softmax",
        lambda x: (
            (x - x.min(-1, keepdims=True)) / (x - x.min(-1, keepdims=True)).sum(-1, keepdims=True)
        ),
        None,
    ),
    ("01.softmax", lambda x: np.abs(x) / np.abs(x).sum(-1, keepdims=True), None),
    ("01.softmax", lambda x: x**2 / (x**2).sum(-1, keepdims=True), None),
    ("01.softmax", lambda x: _stable(x / np.sqrt(x.shape[-1])), None),
    ("01.softmax", lambda x: _stable(x).round(2), None),
    ("01.score_variance", variance_simulated, None),
    ("01.score_variance", variance_without_defaults),
    ("01.score_variance", variance_divided),
    ("01.score_variance", lambda d_k, mean=0, std=1: d_k * (std**2 * std**2), "mean_ignored"),
    ("01.score_variance", lambda d_k, mean=0, std=1: d_k * (std**4 + 2 * mean * std**2), None),
    ("01.score_variance", lambda d_k, mean=0, std=1: d_k * (std**4 + 2 * abs(mean) * std**2), None),
    ("01.score_variance", lambda d_k, mean=0, std=1: d_k * (std**2 + mean**2), None),
    ("01.score_variance", lambda d_k, mean=0, std=1: np.sqrt(d_k) * std**2, None),
    (
        "01.score_variance",
        lambda d_k, mean=0, std=1: std**2 * (std**2 + 2 * mean**2),
        "d_k_forgotten",
    ),
    ("01.score_variance", lambda d_k, mean=0, std=1: d_k * (std**2 + mean) ** 2 - mean**2, None),
    ("01.score_variance", lambda d_k, mean=0, std=1: d_k * std**4 + 2 * mean**2 * std**2, None),
    (
        "01.score_variance",
        lambda d_k, mean=0, std=1: int(d_k * std**2 * (std**2 + 2 * mean**2)),
        None,
    ),
    ("01.score_variance", lambda d_k, mean=0, std=1: print(d_k * std**4), "prints"),
    ("01.attention", attention_with_kept_scale, None),
    ("01.attention", attention_with_kept_values),
    ("01.attention", attention_last_word_only, None),
    (
        "01.attention",
        lambda q, k, v: _stable(k @ q.T / np.sqrt(k.shape[1])) @ v,
        "queries_and_keys_swapped",
    ),
    ("01.attention", lambda q, k, v: _stable(q @ k.T / np.sqrt(64)) @ v, None),
    ("01.attention", lambda q, k, v: _stable(q @ k.T / np.sqrt(k.size)) @ v, None),
    (
        "01.attention",
        lambda q, k, v: _stable(q @ k.T) / np.sqrt(k.shape[1]) @ v,
        "scaled_after_softmax",
    ),
    ("01.attention", lambda q, k, v: _stable(_stable(q @ k.T / np.sqrt(k.shape[1]))) @ v, None),
    ("01.attention", lambda q, k, v: _stable(q @ k.T / np.sqrt(k.shape[1])) * v),
    ("01.attention", lambda q, k, v: _stable(q @ v.T / np.sqrt(k.shape[1])) @ k),
    ("01.attention", lambda q, k, v: (_stable(q @ k.T / np.sqrt(k.shape[1])) @ v).squeeze(), None),
    (
        "01.attention",
        lambda q, k, v: (_stable(q @ k.T / np.sqrt(k.shape[1])) @ v).tolist(),
        "another_type",
    ),
    ("01.attention", lambda q, k, v: _stable(q @ k.T / k.shape[1] ** 0.25) @ v, None),
    ("01.attention", lambda q, k, v: _stable(q @ k.T / np.sqrt(k.shape[1])) @ v / v.sum(0), None),
    ("01.attention", lambda q, k, v: _stable(np.tril(q @ k.T) / np.sqrt(k.shape[1])) @ v, None),
    ("01.attention", lambda q, k, v: v[(q @ k.T).argmax(axis=1)], None),
    ("01.softmax_jacobian", jacobian_of_three, None),
    ("01.softmax_jacobian", jacobian_by_differences),
    ("01.softmax_jacobian", jacobian_kept_by_length, "keeps_state"),
    ("01.softmax_jacobian", lambda p: np.diag(p) - p @ p, None),
    ("01.softmax_jacobian", lambda p: np.diag(p) - p * p, "product_in_place_of_a_table"),
    ("01.softmax_jacobian", lambda p: np.diag(p) - np.outer(p, p) ** 2, None),
    ("01.softmax_jacobian", lambda p: np.diag(p) - np.outer(p, 1 - p), None),
    ("01.softmax_jacobian", lambda p: np.eye(len(p)) - np.outer(p, p), "ones_for_p"),
    ("01.softmax_jacobian", lambda p: p[:, None] * (1 - p[None]), "delta_forgotten"),
    ("01.softmax_jacobian", lambda p: np.diag(p) - np.outer(p, p) / len(p), None),
    ("01.softmax_jacobian", lambda p: (np.diag(p) - np.outer(p, p)).sum(1), None),
    ("01.softmax_jacobian", lambda p: np.abs(np.diag(p) - np.outer(p, p)), None),
    ("01.softmax_jacobian", lambda p: np.diag(p * (1 - p)) + np.outer(p, p), None),
    ("01.softmax_jacobian", lambda p: np.diag(p**2) - np.outer(p, p), None),
    ("01.softmax_jacobian", lambda p: p - np.outer(p, p), None),
]
