"""Answers to lesson 13's exercises, as learners write them."""

import math
import re
from collections import Counter
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F


# 13.1 interval
def by_the_quadratic(k, n, confidence=0.95):
    from scipy.stats import norm

    if n <= 0 or k < 0 or k > n:
        raise ValueError(f"cannot have {k} right of {n}")
    z = norm.ppf(1 - (1 - confidence) / 2)
    a, b, c = n + z * z, -(2 * k + z * z), k * k / n
    root = math.sqrt(b * b - 4 * a * c)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def with_1_96(k, n, confidence=0.95):
    if not n or not 0 <= k <= n:
        raise ValueError("k must lie between 0 and n, and n above 0")
    z = {0.95: 1.96, 0.9: 1.645, 0.99: 2.5758}.get(confidence, 0.67449)
    p = k / n
    middle = (p + z**2 / 2 / n) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (p * (1 - p) / n + z**2 / 4 / n**2) ** 0.5
    return [middle - half, middle + half]


def as_text(k, n, confidence=0.95):
    low, high = by_the_quadratic(k, n, confidence)
    return f"{low:.0%} to {high:.0%}"


def rounded(k, n, confidence=0.95):
    return tuple(round(x, 2) for x in by_the_quadratic(k, n, confidence))


def asserting(k, n, confidence=0.95):
    assert 0 <= k <= n and n
    return by_the_quadratic(k, n, confidence)


def without_words(k, n, confidence=0.95):
    if not n or not 0 <= k <= n:
        raise ValueError
    return by_the_quadratic(k, n, confidence)


def dividing_by_zero(k, n, confidence=0.95):
    k / n
    return by_the_quadratic(k, max(n, 1), confidence)


# 13.2 option_scores
def _checked(prompt, options):
    if len(prompt) == 0 or len(options) == 0 or min(map(len, options)) == 0:
        raise ValueError("the prompt and each option need a token at least")


def in_one_batch(model, prompt, options, normalise=True):
    _checked(prompt, options)
    T = max(len(o) for o in options)
    rows = torch.tensor([prompt + o + [0] * (T - len(o)) for o in options])
    counts = torch.arange(T) < torch.tensor([[len(o)] for o in options])
    with torch.inference_mode():
        logits = model(rows).logits[:, len(prompt) - 1 : -1]
    nats = F.cross_entropy(logits.transpose(1, 2), rows[:, len(prompt) :], reduction="none")
    total = -(nats * counts).sum(1)
    return total / counts.sum(1) if normalise else total


def with_a_cache(model, prompt, options, normalise=True):
    _checked(prompt, options)
    scores = []
    for option in options:
        with torch.no_grad():
            out = model(torch.tensor([prompt]), use_cache=True)
            total = 0.0
            for token in option:
                total += out.logits[0, -1].log_softmax(-1)[token].item()
                out = model(torch.tensor([[token]]), past_key_values=out.past_key_values)
        scores.append(total / len(option) if normalise else total)
    return torch.tensor(scores)


def with_gradient(model, prompt, options, normalise=True):
    _checked(prompt, options)
    out = []
    for o in options:
        logits = model(torch.tensor([prompt + o])).logits[0, len(prompt) - 1 : -1]
        nats = F.cross_entropy(logits, torch.tensor(o), reduction="mean" if normalise else "sum")
        out.append(-nats)
    return torch.stack(out)


def as_a_list(model, prompt, options, normalise=True):
    return in_one_batch(model, prompt, options, normalise).tolist()


def in_training_mode(model, prompt, options, normalise=True):
    model.train()
    return in_one_batch(model, prompt, options, normalise)


def length_of_all(model, prompt, options, normalise=True):
    total = in_one_batch(model, prompt, options, normalise=False)
    return total / max(map(len, options)) if normalise else total


def perplexities(model, prompt, options, normalise=True):
    return (-in_one_batch(model, prompt, options, normalise)).exp()


def swallowing(model, prompt, options, normalise=True):
    return in_one_batch(model, prompt, [o for o in options if o] or [[1]], normalise)


# 13.3 expected_calibration_error
def with_numpy(confidence, correct, bins=10):
    p, hit = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if p.size == 0 or p.size != hit.size or p.min() < 0 or p.max() > 1:
        raise ValueError("confidences from 0 to 1 are needed, one for each answer")
    index = np.digitize(p, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    return sum(abs((hit - p)[index == b].sum()) for b in set(index)) / len(p)


def with_bucketize(confidence, correct, bins=10):
    if len(confidence) != len(correct):
        raise ValueError("not as many answers as confidences")
    if len(confidence) == 0:
        raise ValueError("nothing to judge by")
    if confidence.min() < 0 or confidence.max() > 1:
        raise ValueError("a confidence is a probability")
    place = torch.bucketize(confidence, torch.linspace(0, 1, bins + 1)[1:-1])
    gaps = torch.zeros(bins).index_add(0, place, confidence - correct.float())
    return gaps.abs().sum() / len(confidence)


def by_a_loop(confidence, correct, bins=10):
    p, hit = confidence.tolist(), [float(x) for x in correct]
    if not p or len(p) != len(hit) or not all(0 <= x <= 1 for x in p):
        raise ValueError("confidence and correct must fit, and lie between 0 and 1")
    groups = {}
    for x, h in zip(p, hit, strict=True):
        groups.setdefault(max(0, math.ceil(x * bins) - 1), []).append((x, h))
    error = 0
    for rows in groups.values():
        xs, hs = zip(*rows, strict=True)
        error += len(rows) / len(p) * abs(sum(xs) / len(rows) - sum(hs) / len(rows))
    return error


def mean_of_bins(confidence, correct, bins=10):
    by_a_loop(confidence, correct, bins)
    place = (confidence * bins).ceil().clamp(min=1)
    gaps = [
        abs(float(confidence[place == b].mean() - correct[place == b].float().mean()))
        for b in place.unique()
    ]
    return sum(gaps) / len(gaps)


def floors(confidence, correct, bins=10):
    by_a_loop(confidence, correct, bins)
    place = (confidence * bins).floor().clamp(max=bins - 1).long()
    gaps = torch.zeros(bins).index_add(0, place, confidence - correct.float())
    return float(gaps.abs().sum() / len(confidence))


def nan_for_nothing(confidence, correct, bins=10):
    if not len(confidence):
        return float("nan")
    return by_a_loop(confidence, correct, bins)


# 13.4 pass_at_k
def by_counting(n, c, k):
    if n > 12:
        return by_product(n, c, k)
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError("impossible counts")
    draws = list(combinations([1] * c + [0] * (n - c), k))
    return sum(map(any, draws)) / len(draws)


def by_product(n, c, k):
    if c < 0 or c > n or k < 1 or k > n:
        raise ValueError(f"not possible: n={n} c={c} k={k}")
    if n - c < k:
        return 1.0
    return 1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1))


def by_lgamma(n, c, k):
    if c < 0 or c > n or k < 1 or k > n:
        raise ValueError(f"not possible: n={n} c={c} k={k}")
    if n - c < k:
        return 1
    g = math.lgamma
    return 1 - math.exp(g(n - c + 1) - g(n - c - k + 1) - g(n + 1) + g(n - k + 1))


def with_factorials_of_floats(n, c, k):
    if c < 0 or c > n or k < 1 or k > n:
        raise ValueError(f"not possible: n={n} c={c} k={k}")
    if n - c < k:
        return 1.0
    f = lambda m: math.exp(sum(math.log(i) for i in range(1, min(m, 150) + 1)))  # noqa: E731
    return 1 - f(n - c) / f(n - c - k) * f(n - k) / f(n)


def naive_but_checked(n, c, k):
    by_product(n, c, k)
    return 1 - (1 - c / n) ** k


def by_simulation(n, c, k):
    by_product(n, c, k)
    rng = np.random.default_rng(0)
    return float(np.mean([(rng.permutation(n)[:k] < c).any() for _ in range(200)]))


# 13.5 swap_words
def with_a_dict(text, pairs):
    counts = Counter(w for p in pairs for w in p)
    if counts and max(counts.values()) > 1:
        raise ValueError("a word may stand in one pair only")
    table = {}
    for a, b in pairs:
        table |= {a: b, b: a, a.capitalize(): b.capitalize(), b.capitalize(): a.capitalize()}
    return re.sub(r"\b\w+\b", lambda m: table.get(m.group(), m.group()), text)


def piece_by_piece(text, pairs):
    words = [w for p in pairs for w in p]
    if len(set(words)) < len(words):
        raise ValueError("one of the words is in two pairs")
    out = []
    for piece in re.split(r"(\W+)", text):
        new = piece
        for a, b in pairs:
            if piece.lower() == a:
                new = b
            elif piece.lower() == b:
                new = a
        out.append(new.capitalize() if piece[:1].isupper() and new != piece else new)
    return "".join(out)


def with_placeholders(text, pairs):
    words = [w for p in pairs for w in p]
    if len(set(words)) < len(words):
        raise ValueError("one of the words is in two pairs")
    for i, (a, b) in enumerate(pairs):
        for old, mark in ((a, f"\0{i}a\0"), (b, f"\0{i}b\0")):
            text = re.sub(rf"\b{old}\b", mark, text)
            text = re.sub(rf"\b{old.capitalize()}\b", mark.upper(), text)
    for i, (a, b) in enumerate(pairs):
        for new, mark in ((b, f"\0{i}a\0"), (a, f"\0{i}b\0")):
            text = text.replace(mark, new).replace(mark.upper(), new.capitalize())
    return text


def letters_only(text, pairs):
    """Digits end a word, so that HE2 becomes SHE2."""
    words = [w for p in pairs for w in p]
    if len(set(words)) < len(words):
        raise ValueError("one of the words is in two pairs")
    table = {a: b for p in pairs for a, b in (p, p[::-1])}

    def new(m):
        w = table.get(m[0].lower(), m[0])
        return w.capitalize() if m[0][0].isupper() and m[0].lower() in table else w

    return re.sub(r"[A-Za-z]+", new, text)


def sequential(text, pairs):
    with_a_dict("", pairs)
    for a, b in pairs:
        text = re.sub(rf"\b{a}\b", b, text)
        text = re.sub(rf"\b{b}\b", a, text)
    return text


def title_case(text, pairs):
    return with_a_dict(text, pairs).title()


# 13.6 retrieve
def _asked(passages, k):
    if passages.shape[0] == 0:
        raise ValueError("there are no passages")
    if k <= 0:
        raise ValueError("k must be 1 at least")


def with_topk(query, passages, k):
    _asked(passages, k)
    scores = F.normalize(passages, dim=-1) @ F.normalize(query, dim=-1)
    found = scores.topk(min(k, len(scores)))
    return found.indices, found.values


def with_sorted(query, passages, k):
    _asked(passages, k)
    cosines = [(float(p @ query / p.norm() / query.norm()), i) for i, p in enumerate(passages)]
    best = sorted(cosines, reverse=True)[:k]
    return torch.tensor([i for _, i in best]), torch.tensor([s for s, _ in best])


def with_sort(query, passages, k):
    _asked(passages, k)
    a = passages / passages.norm(dim=1, keepdim=True)
    values, order = (a @ query / query.norm()).sort(descending=True)
    return order[:k], values[:k]


def plain_lists(query, passages, k):
    order, scores = with_topk(query, passages, k)
    return order.tolist(), scores.tolist()


def by_dot_product(query, passages, k):
    _asked(passages, k)
    scores, order = (passages @ query).topk(min(k, len(passages)))
    return order, scores


def only_indices(query, passages, k):
    return with_topk(query, passages, k)[0]


def normalised_in_place(query, passages, k):
    _asked(passages, k)
    passages /= passages.norm(dim=1, keepdim=True)
    return with_topk(query, passages, k)


def empty_gives_nothing(query, passages, k):
    if len(passages) == 0:
        return torch.tensor([]), torch.tensor([])
    return with_topk(query, passages, k)


RIGHT = [
    *(("13.interval", a) for a in (by_the_quadratic, with_1_96)),
    *(("13.option_scores", a) for a in (in_one_batch, with_a_cache, with_gradient)),
    *(("13.expected_calibration_error", a) for a in (with_numpy, with_bucketize, by_a_loop)),
    *(("13.pass_at_k", a) for a in (by_counting, by_product, by_lgamma)),
    *(("13.swap_words", a) for a in (with_a_dict, piece_by_piece, with_placeholders)),
    *(("13.retrieve", a) for a in (with_topk, with_sorted, with_sort)),
]

WRONG = [
    ("13.interval", as_text),
    ("13.interval", rounded, None),
    ("13.interval", asserting),
    ("13.interval", without_words),
    ("13.interval", dividing_by_zero),
    ("13.option_scores", as_a_list, "another_type"),
    ("13.option_scores", in_training_mode),
    ("13.option_scores", length_of_all),
    ("13.option_scores", perplexities),
    ("13.option_scores", swallowing),
    ("13.expected_calibration_error", mean_of_bins, "bins_weigh_the_same"),
    ("13.expected_calibration_error", floors, "lower_edge_included"),
    ("13.expected_calibration_error", nan_for_nothing),
    ("13.pass_at_k", with_factorials_of_floats, None),
    ("13.pass_at_k", naive_but_checked, "naive"),
    ("13.pass_at_k", by_simulation, None),
    ("13.swap_words", letters_only, None),
    ("13.swap_words", sequential),
    ("13.swap_words", title_case, None),
    ("13.retrieve", plain_lists),
    ("13.retrieve", by_dot_product, "dot_product"),
    ("13.retrieve", only_indices),
    ("13.retrieve", normalised_in_place, "changes_input"),
    ("13.retrieve", empty_gives_nothing),
]
