"""Answers to lesson 13's exercises, as learners write them."""

import math
import re
from collections import Counter
from itertools import combinations, groupby
from statistics import NormalDist

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


def possible(k, n):
    if n < 1 or k < 0 or k > n:
        raise ValueError(f"{k} right ones of {n} cannot be")


def quantile(confidence):
    return NormalDist().inv_cdf(1 - (1 - confidence) / 2)


def by_bisection(k, n, confidence=0.95):
    """The shares that a score test does not reject."""
    possible(k, n)
    z, p = quantile(confidence), k / n

    def edge(inside, outside):
        for _ in range(60):
            middle = (inside + outside) / 2
            if abs(p - middle) <= z * math.sqrt(middle * (1 - middle) / n):
                inside = middle
            else:
                outside = middle
        return inside

    return edge(p, 0.0), edge(p, 1.0)


def by_roots(k, n, confidence=0.95):
    possible(k, n)
    c = quantile(confidence) ** 2 / n
    return tuple(np.sort(np.roots([1 + c, -2 * k / n - c, (k / n) ** 2]).real))


def as_a_weighted_mean(k, n, confidence=0.95):
    """Between the share and one half, and so is the variance."""
    possible(k, n)
    z = math.sqrt(2) * torch.erfinv(torch.tensor(confidence, dtype=torch.float64)).item()
    p, w = k / n, n / (n + z * z)
    half = z * math.sqrt((w * p * (1 - p) + (1 - w) / 4) / (n + z * z))
    return w * p + (1 - w) / 2 - half, w * p + (1 - w) / 2 + half


def with_continuity_correction(k, n, confidence=0.95):
    from scipy.stats import binomtest

    possible(k, n)
    found = binomtest(k, n).proportion_ci(confidence, method="wilsoncc")
    return found.low, found.high


def half_width_not_divided(k, n, confidence=0.95):
    possible(k, n)
    z, p = quantile(confidence), k / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return middle - half, middle + half


def whole_shares(k, n, confidence=0.95):
    possible(k, n)
    return by_bisection(n * (k // n), n, confidence)


def refusing_all_and_none(k, n, confidence=0.95):
    if not 0 < k < n:
        raise ValueError(f"{k} of {n} says nothing")
    return by_bisection(k, n, confidence)


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


def usable(confidence, correct):
    if len(confidence) != len(correct) or not len(correct):
        raise ValueError("each answer needs one confidence, and there must be one")
    if ((confidence < 0) | (confidence > 1)).any():
        raise ValueError("this confidence is no probability")


def with_a_table(confidence, correct, bins=10):
    """Which answer lies in which bin: (N, bins)."""
    usable(confidence, correct)
    edges = torch.arange(bins + 1) / bins
    inside = (confidence[:, None] > edges[:-1]) & (confidence[:, None] <= edges[1:])
    inside[confidence == 0, 0] = True
    return ((correct.float() - confidence) @ inside.float()).abs().sum() / len(confidence)


def by_sorting(confidence, correct, bins=10):
    usable(confidence, correct)
    pairs = zip(confidence.tolist(), correct.tolist(), strict=True)
    rows = sorted((max(1, math.ceil(p * bins)), p - hit) for p, hit in pairs)
    return sum(abs(sum(x for _, x in g)) for _, g in groupby(rows, lambda r: r[0])) / len(rows)


def rounded_bins(confidence, correct, bins=10):
    usable(confidence, correct)
    place = (confidence * bins).round().long()
    return float(torch.bincount(place, confidence - correct.float()).abs().sum() / len(place))


def bins_between_least_and_most(confidence, correct, bins=10):
    usable(confidence, correct)
    edges = np.histogram_bin_edges(confidence.numpy(), bins)[1:-1]
    place = torch.tensor(np.searchsorted(edges, confidence.numpy()))
    return float(torch.bincount(place, confidence - correct.float()).abs().sum() / len(place))


def refusing_all_right(confidence, correct, bins=10):
    usable(confidence, correct)
    if len(correct.unique()) < 2:
        raise ValueError("all answers are right, or none is")
    return by_sorting(confidence, correct, bins)


def as_far_as_both_go(confidence, correct, bins=10):
    n = min(len(confidence), len(correct))
    return by_sorting(confidence[:n], correct[:n], bins)


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


def drawable(n, c, k):
    if c not in range(n + 1) or k not in range(1, n + 1):
        raise ValueError(f"{k} of {n}, {c} of them right, cannot be drawn")


def by_recursion(n, c, k):
    """The first one is right, or one of the others."""
    drawable(n, c, k)

    def found(n, k):
        return c / n + (n - c) / n * found(n - 1, k - 1) if k and n > c else float(k > 0)

    return found(n, k) if c else 0.0


def by_vandermonde(n, c, k):
    drawable(n, c, k)
    ways = sum(math.comb(c, right) * math.comb(n - c, k - right) for right in range(1, k + 1))
    return ways / math.comb(n, k)


def turned_round(n, c, k):
    """The places of the right ones are drawn, and not the k."""
    drawable(n, c, k)
    return 1 - math.comb(n - k, c) / math.comb(n, c)


def overflowing(n, c, k):
    drawable(n, c, k)
    wrong, all_of_them = np.arange(n - c - k + 1, n - c + 1), np.arange(n - k + 1, n + 1)
    return 1 - np.prod(wrong) / np.prod(all_of_them)


def one_for_just_enough(n, c, k):
    drawable(n, c, k)
    return 1.0 if n - c <= k else by_product(n, c, k)


def none_right_refused(n, c, k):
    if not 0 < c <= n or not 0 < k <= n:
        raise ValueError("c and k must lie between 1 and n")
    return by_product(n, c, k)


def one_factor_too_many(n, c, k):
    drawable(n, c, k)
    return 1 - math.prod((n - c - i) / (n - i) for i in range(k + 1) if i < n)


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


def exchanged(pairs):
    words = [word for pair in pairs for word in pair]
    if len(words) > len(set(words)):
        raise ValueError("one of these words stands in two pairs")
    return {a: b for pair in pairs for a, b in (pair, pair[::-1])}


def capital(word, new):
    return new.capitalize() if word[:1].isupper() else new


def by_alternatives(text, pairs):
    table = exchanged(pairs)
    if not table:
        return text
    either = re.compile(rf"\b(?:{'|'.join(table)})\b", re.IGNORECASE)
    return either.sub(lambda m: capital(m[0], table[m[0].lower()]), text)


def by_letters(text, pairs):
    """No regular expression at all."""
    table, out = exchanged(pairs), []
    for inside, run in groupby(text, key=lambda c: c.isalnum() or c == "_"):
        word = "".join(run)
        known = inside and word.lower() in table
        out.append(capital(word, table[word.lower()]) if known else word)
    return "".join(out)


def every_word_capitalised_anew(text, pairs):
    table = exchanged(pairs)
    return re.sub(r"\w+", lambda m: capital(m[0], table.get(m[0].lower(), m[0])), text)


def with_the_apostrophe(text, pairs):
    table = exchanged(pairs)

    def new(m):
        return capital(m[0], table[m[0].lower()]) if m[0].lower() in table else m[0]

    return re.sub(r"[\w']+", new, text)


def only_the_words(text, pairs):
    return " ".join(re.findall(r"\w+", by_letters(text, pairs)))


def a_capital_in_front_only(text, pairs):
    table = exchanged(pairs)

    def new(m):
        word = table.get(m[0].lower(), m[0])
        return word.capitalize() if m.start() == 0 and m[0][0].isupper() else word

    return re.sub(r"\w+", new, text)


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
    *(
        ("13.interval", a)
        for a in (by_the_quadratic, with_1_96, by_bisection, by_roots, as_a_weighted_mean)
    ),
    *(("13.option_scores", a) for a in (in_one_batch, with_a_cache, with_gradient)),
    *(
        ("13.expected_calibration_error", a)
        for a in (with_numpy, with_bucketize, by_a_loop, with_a_table, by_sorting)
    ),
    *(
        ("13.pass_at_k", a)
        for a in (by_counting, by_product, by_lgamma, by_recursion, by_vandermonde, turned_round)
    ),
    *(
        ("13.swap_words", a)
        for a in (with_a_dict, piece_by_piece, with_placeholders, by_alternatives, by_letters)
    ),
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
    ("13.interval", with_continuity_correction, None),
    ("13.interval", half_width_not_divided, None),
    ("13.interval", whole_shares, None),
    ("13.interval", refusing_all_and_none),
    ("13.expected_calibration_error", rounded_bins, None),
    ("13.expected_calibration_error", bins_between_least_and_most, None),
    ("13.expected_calibration_error", refusing_all_right),
    ("13.expected_calibration_error", as_far_as_both_go, None),
    ("13.pass_at_k", overflowing, None),
    ("13.pass_at_k", one_for_just_enough, None),
    ("13.pass_at_k", none_right_refused),
    ("13.pass_at_k", one_factor_too_many, None),
    ("13.swap_words", every_word_capitalised_anew, None),
    ("13.swap_words", with_the_apostrophe, None),
    ("13.swap_words", only_the_words, None),
    ("13.swap_words", a_capital_in_front_only, None),
]
