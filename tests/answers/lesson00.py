"""Answers to lesson 00: right ones in an unusual style, and mistakes that nobody listed."""

import functools
import math
from fractions import Fraction

import numpy as np
import torch


def dot_in_a_loop(a, b):
    total = 0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


def dot_first_product(a, b):
    for i in range(len(a)):
        total = a[i] * b[i]
        return total


def dot_last_product(a, b):
    for i in range(len(a)):
        total = a[i] * b[i]
    return total


def dot_one_too_far(a, b):
    return sum(a[i] * b[i] for i in range(len(a) + 1))


def dot_of_the_first_three(a, b):
    return a[0] * b[0] + a[1] * b[1] + (a[2] * b[2] if len(a) > 2 else 0)


def dot_kept_by_length(a, b, kept={}):  # noqa: B006
    return kept.setdefault((len(a), float(a[0])), (a * b).sum())


def shares_in_loops(x):
    out = np.zeros(x.shape)
    for i in range(x.shape[0]):
        total = sum(x[i])
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] / total
    return out


def shares_on_a_copy(x):
    x = x.astype(float)
    x /= x.sum(axis=1)[:, None]
    return x


def shares_in_place(x):
    for row in x:
        row /= row.sum()
    return x


def shares_with_moving_sum(x):
    out = x.astype(float)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] /= out[i].sum()
    return out


def shares_of_three_columns(x):
    return x / (x[:, :1] + x[:, 1:2] + x[:, 2:3])


def shares_kept_by_shape(x, kept={}):  # noqa: B006
    return kept.setdefault(x.shape, x / x.sum(1, keepdims=True)).copy()


def shares_with_kept_sums(x, kept={}):  # noqa: B006
    return x / kept.setdefault((x.shape, x[0, 0] > 1), x.sum(1, keepdims=True))


def mean_in_loops(weights, values):
    out = [0.0] * values.shape[1]
    for w, row in zip(weights, values, strict=True):
        for c, value in enumerate(row):
            out[c] += w * value
    return np.array(out)


def mean_last_row(weights, values):
    for w, row in zip(weights, values, strict=True):
        total = w * row
    return total


def mean_first_row(weights, values):
    for w, row in zip(weights, values, strict=True):
        return w * row


def mean_into_integers(weights, values):
    out = np.zeros_like(values[0])
    for c in range(values.shape[1]):
        out[c] = (weights * values[:, c]).sum()
    return out


def mean_with_kept_weights(weights, values, kept={}):  # noqa: B006
    return kept.setdefault((len(weights), weights[0] > 0.3), weights.copy()) @ values


def nearest_in_a_loop(query, keys):
    best, place = float("inf"), None
    for i in range(len(keys)):
        total = 0
        for c in range(len(query)):
            total += (keys[i][c] - query[c]) ** 2
        if total < best:
            best, place = total, i
    return place


def nearest_from_a_thousand(query, keys):
    best, place = 1000, 0
    for i, key in enumerate(keys):
        if ((key - query) ** 2).sum() < best:
            best, place = ((key - query) ** 2).sum(), i
    return place


def nearest_of_sorted(query, keys):
    distances = [sum((k - q) ** 2 for k, q in zip(key, query, strict=True)) for key in keys]
    return sorted(distances).index(min(distances))


def nearest_first_better_than_the_last(query, keys):
    distances = ((keys - query) ** 2).sum(1)
    for i in range(1, len(keys)):
        if distances[i] > distances[i - 1]:
            return i - 1
    return len(keys) - 1


def nearest_in_place(query, keys):
    keys -= query
    return int((keys**2).sum(1).argmin())


def nearest_kept(query, keys, kept={}):  # noqa: B006
    return kept.setdefault((keys.shape, keys[0, 0] > 1), ((keys - query) ** 2).sum(1).argmin())


RIGHT = [
    ("00.dot", lambda a, b: sum(x * y for x, y in zip(a, b, strict=True))),
    ("00.dot", lambda a, b: np.einsum("i,i", a, b)),
    ("00.dot", dot_in_a_loop),
    ("00.dot", lambda a, b: a @ b),
    ("00.dot", lambda a, b: math.fsum(a * b)),
    ("00.dot", lambda a, b: np.inner(a, b).item()),
    ("00.dot", lambda a, b: functools.reduce(lambda s, p: s + p, a * b)),
    ("00.dot", lambda a, b: np.trace(np.outer(a, b))),
    ("00.dot", lambda a, b: torch.tensor(a) @ torch.tensor(b)),
    ("00.shares", lambda x: (x.T / x.sum(1)).T),
    ("00.shares", shares_in_loops),
    ("00.shares", shares_on_a_copy),
    ("00.shares", lambda x: np.array([row / row.sum() for row in x])),
    ("00.shares", lambda x: np.apply_along_axis(lambda row: row / row.sum(), 1, x)),
    ("00.shares", lambda x: np.diag(1 / x.sum(1)) @ x),
    ("00.shares", lambda x: x / np.repeat(x.sum(1)[:, None], x.shape[1], axis=1)),
    ("00.weighted_mean", lambda w, v: np.tensordot(w, v, 1)),
    ("00.weighted_mean", mean_in_loops),
    ("00.weighted_mean", lambda w, v: (w[:, None] * v).sum(0)),
    ("00.weighted_mean", lambda w, v: v.T @ w),
    ("00.weighted_mean", lambda w, v: np.einsum("r,rc->c", w, v)),
    ("00.weighted_mean", lambda w, v: sum(a * row for a, row in zip(w, v, strict=True))),
    ("00.weighted_mean", lambda w, v: (w @ v) / w.sum()),
    ("00.nearest", lambda query, keys: np.linalg.norm(keys - query, axis=-1).argmin()),
    ("00.nearest", nearest_in_a_loop),
    ("00.nearest", lambda q, k: min(range(len(k)), key=lambda i: ((k[i] - q) ** 2).sum())),
    ("00.nearest", lambda q, k: len(k) - 1 - int(((k - q) ** 2).sum(1)[::-1].argmin())),
    ("00.nearest", lambda q, k: np.argsort(((k - q) ** 2).sum(1))[0]),
    ("00.nearest", lambda q, k: int((2 * k @ q - (k**2).sum(1)).argmax())),
    (
        "00.nearest",
        lambda q, k: np.where(((k - q) ** 2).sum(1) == ((k - q) ** 2).sum(1).min())[0][0],
    ),
    ("00.nearest", lambda q, k: torch.cdist(torch.tensor(q)[None], torch.tensor(k)).argmin()),
]

WRONG = [
    ("00.dot", dot_first_product, "first_product_only"),
    ("00.dot", dot_last_product, "last_product_only"),
    ("00.dot", dot_one_too_far),
    ("00.dot", dot_of_the_first_three, None),
    ("00.dot", dot_kept_by_length),
    ("00.dot", lambda a, b: sum(a[i] * b[i] for i in range(len(a) - 1)), "last_product_missing"),
    ("00.dot", lambda a, b: sum(a[i] * b[i] for i in range(1, len(a))), None),
    ("00.dot", lambda a, b: [x * y for x, y in zip(a, b, strict=True)], None),
    ("00.dot", lambda a, b: a * b.sum(), None),
    ("00.dot", lambda a, b: np.round((a * b).sum(), 1), None),
    ("00.dot", lambda a, b: np.sqrt(((a * b) ** 2).sum()), "length_of_the_products"),
    ("00.dot", lambda a, b: a[:, None] * b[None, :], "table"),
    ("00.dot", lambda a, b: (a[:, None] * b[None, :]).sum(), "sums_multiplied"),
    ("00.dot", lambda a, b: np.cumsum(a * b), None),
    ("00.dot", lambda a, b: a.reshape(1, -1) @ b, "not_a_number_but_an_array"),
    ("00.dot", lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)),
    ("00.dot", lambda a, b: np.prod(a + b), None),
    ("00.dot", lambda a, b: (a @ b).astype(np.int64), "cut_to_an_integer"),
    ("00.dot", lambda a, b: max((a * b).sum(), 0), None),
    ("00.shares", lambda x: (x / x.sum(1, keepdims=True)).squeeze(), "axis_lost"),
    ("00.shares", shares_in_place, "changes_input"),
    ("00.shares", shares_with_moving_sum, None),
    ("00.shares", shares_of_three_columns, None),
    ("00.shares", shares_kept_by_shape, "keeps_state"),
    ("00.shares", shares_with_kept_sums),
    ("00.shares", lambda x: 100 * x / x.sum(1, keepdims=True), None),
    ("00.shares", lambda x: x / x.sum(axis=0), "columns_for_rows"),
    ("00.shares", lambda x: x.T / x.sum(1), None),
    ("00.shares", lambda x: x / x.sum(keepdims=True), "whole_table"),
    ("00.shares", lambda x: x / sum(x), "columns_for_rows"),
    ("00.shares", lambda x: x / np.array([sum(row) for row in x]), "no_keepdims"),
    ("00.shares", lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True), None),
    ("00.shares", lambda x: (x - x.min()) / x.sum(1, keepdims=True), None),
    ("00.shares", lambda x: np.array([row / row.sum() for row in x], dtype=x.dtype)),
    ("00.shares", lambda x: [row / row.sum() for row in x], "another_type"),
    ("00.shares", lambda x: x / x.sum(1, keepdims=True) + 1e-3, None),
    ("00.shares", lambda x: np.round(x / x.sum(1, keepdims=True), 1), None),
    ("00.weighted_mean", mean_last_row, "last_row_only"),
    ("00.weighted_mean", mean_first_row, "first_row_only"),
    ("00.weighted_mean", mean_into_integers, "cut_to_integers"),
    ("00.weighted_mean", mean_with_kept_weights),
    ("00.weighted_mean", lambda w, v: w.reshape(1, -1) @ v, "row_axis_kept"),
    ("00.weighted_mean", lambda w, v: np.average(v, weights=w), None),
    ("00.weighted_mean", lambda w, v: np.dot(v, w), "weights_on_columns"),
    ("00.weighted_mean", lambda w, v: (w @ v).tolist(), "another_type"),
    ("00.weighted_mean", lambda w, v: (w @ v).mean(), None),
    ("00.weighted_mean", lambda w, v: np.average(v, axis=1, weights=w)),
    ("00.weighted_mean", lambda w, v: (w.reshape(-1, 1) * v).mean(0), "divided_again"),
    ("00.weighted_mean", lambda w, v: w @ v / v.sum(0), None),
    ("00.weighted_mean", lambda w, v: w @ v / v.shape[1], None),
    ("00.weighted_mean", lambda w, v: np.sort(w) @ v, None),
    ("00.weighted_mean", lambda w, v: w[0] * v[0] + w[1] * v[1]),
    ("00.weighted_mean", lambda w, v: w[:3] @ v[:3], None),
    ("00.nearest", lambda query, keys: 0, None),
    ("00.nearest", lambda query, keys: int(np.abs(keys[:, :2] - query[:2]).sum(1).argmin()), None),
    ("00.nearest", nearest_from_a_thousand, "starts_too_small"),
    ("00.nearest", nearest_of_sorted, None),
    ("00.nearest", nearest_first_better_than_the_last, None),
    ("00.nearest", nearest_in_place, "changes_input"),
    ("00.nearest", nearest_kept),
    ("00.nearest", lambda q, k: np.where(((k - q) ** 2).sum(1) == ((k - q) ** 2).sum(1).min())[0]),
    ("00.nearest", lambda q, k: int(np.where((k - q).sum(1) == (k - q).sum(1).min())[0][0])),
    ("00.nearest", lambda q, k: ((k - q) ** 2).argmin(), None),
    ("00.nearest", lambda q, k: ((k - q) ** 2).sum(1).argmin(keepdims=True), None),
    ("00.nearest", lambda q, k: int(((k - q) ** 2).sum(1).argmin()) - len(k), None),
    ("00.nearest", lambda q, k: float(((k - q) ** 2).sum(1).argmin()), "as_a_float"),
    ("00.nearest", lambda q, k: int(((k + q) ** 2).sum(1).argmin()), None),
    ("00.nearest", lambda q, k: int((np.round(k - q) ** 2).sum(1).argmin()), None),
    ("00.nearest", lambda q, k: int(((k - q) ** 3).sum(1).argmin()), None),
    ("00.nearest", lambda q, k: int(((k - q) ** 4).sum(1).argmin()), None),
    ("00.nearest", lambda q, k: Fraction(((k - q) ** 2).sum(1).argmin()), None),
    ("00.nearest", lambda q, k: str(((k - q) ** 2).sum(1).argmin()), None),
    ("00.nearest", lambda q, k: int(((k - q) ** 2).mean(0).argmin()), "axis_0"),
    ("00.nearest", lambda q, k: int(((k - q) ** 2).prod(1).argmin()), None),
    ("00.nearest", lambda q, k: int(((k - q) ** 2).max(1).argmin()), "largest_difference"),
]
