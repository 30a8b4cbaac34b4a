"""Answers to lesson 16: right ones in an unusual style, and mistakes that nobody listed."""

import functools
import itertools
import math
import re

import numpy as np
import torch
import torch.nn.functional as F


def similarity_loops(a, b):
    table = torch.zeros(len(a), len(b))
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            lengths = x.dot(x).sqrt() * y.dot(y).sqrt()
            if lengths > 0:
                table[i, j] = x.dot(y) / lengths
    return table


def similarity_of_products(a, b):
    a, b = a.double(), b.double()
    lengths = a.norm(dim=1)[:, None] * b.norm(dim=1)[None, :]
    return torch.einsum("id,jd->ij", a, b) / lengths.clamp(min=1e-8)


def similarity_row_by_row(a, b):
    return torch.stack([F.cosine_similarity(row, b, dim=-1) for row in a])


def similarity_from_distances(a, b):
    """Of unit vectors the squared distance is 2 - 2 cos; a row of zeros is put right."""
    a, b = F.normalize(a), F.normalize(b)
    squares = (a[:, None] - b[None]).pow(2).sum(-1)
    return (a.pow(2).sum(1, keepdim=True) + b.pow(2).sum(1) - squares) / 2


def similarity_of_safe_roots(a, b):
    squares = a.pow(2).sum(1, keepdim=True) * b.pow(2).sum(1)
    return a @ b.T * squares.clamp(min=1e-16).rsqrt()


def similarity_of_small_additions(a, b):
    a, b = (x / (x.norm(dim=-1, keepdim=True) + 1e-8) for x in (a, b))
    return F.linear(a, b)


def similarity_with_nan_replaced(a, b):
    return (a @ b.T / (a.norm(dim=-1)[:, None] * b.norm(dim=-1))).nan_to_num()


def similarity_where(a, b):
    lengths = a.norm(dim=-1)[:, None] * b.norm(dim=-1)
    return torch.where(lengths > 0, a @ b.T / lengths, 0.0)


def similarity_clamped_after_the_root(a, b):
    a, b = (x / x.pow(2).sum(-1, keepdim=True).sqrt().clamp(min=1e-8) for x in (a, b))
    return a @ b.T


def similarity_of_detached_lengths(a, b):
    with torch.no_grad():
        lengths = a.norm(dim=-1)[:, None] * b.norm(dim=-1)
    return a @ b.T / lengths.clamp(min=1e-8)


def similarity_in_numpy(a, b):
    a, b = a.numpy(), b.numpy()
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return torch.from_numpy(a @ b.T / np.maximum(lengths, 1e-8))


def similarity_changed_afterwards(a, b):
    a, b = F.normalize(a), F.normalize(b)
    table = a @ b.T
    a += 1
    return table


def by_shape(function, name_of=lambda *given: tuple(x.shape for x in given)):
    """An answer that returns what it found the first time for these shapes."""
    results = {}
    return lambda *given: results.setdefault(name_of(*given), function(*given))


def similarity_with_two_mistakes(a, b):
    return b @ a.T


def similarity_rescaled(a, b):
    return (F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T + 1) / 2


def similarity_with_large_epsilon(a, b):
    return a @ b.T / (a.norm(dim=-1)[:, None] * b.norm(dim=-1) + 0.1)


def info_nce_loops(image, text, log_scale):
    logits = similarity_of_products(image, text) * log_scale.exp()
    total = 0.0
    for i in range(len(logits)):
        total = total + logits[i].logsumexp(0) - logits[i, i]
        total = total + logits[:, i].logsumexp(0) - logits[i, i]
    return total / (2 * len(logits))


def info_nce_one_table(image, text, log_scale):
    logits = (F.normalize(image) * torch.exp(log_scale)).matmul(F.normalize(text).mT)
    losses = logits.log_softmax(0).diagonal() + logits.log_softmax(1).diagonal()
    return -losses.mean() / 2


def info_nce_soft_targets(image, text, log_scale):
    logits = log_scale.exp() * F.cosine_similarity(image[:, None], text[None], dim=-1)
    both = torch.cat([logits, logits.T])
    return F.cross_entropy(both, torch.eye(len(image)).repeat(2, 1))


def info_nce_variant(image, text, log_scale, how):
    if how == "text detached":
        text = text.detach()
    if how == "not normalised, not scaled":
        logits = image @ text.T
    else:
        logits = log_scale.exp() * F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T
    targets = torch.arange(len(logits))
    if how == "all look for the first":
        targets = torch.zeros(len(logits), dtype=torch.long)
    if how == "binary":
        return F.binary_cross_entropy_with_logits(logits, torch.eye(len(logits)))
    if how == "for each image":
        return F.cross_entropy(logits, targets, reduction="none")
    if how == "both in one softmax":
        return -logits.flatten().log_softmax(0).view_as(logits).diagonal().mean()
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2


def info_nce_wrong(how):
    return functools.partial(info_nce_variant, how=how)


def recall_of_those_at_least_as_similar(similarity, k):
    return ((similarity >= similarity.diagonal()[:, None]).sum(1) <= k).float().mean().item()


def recall_of_the_others(similarity, k):
    hits = 0
    for i, row in enumerate(similarity.tolist()):
        hits += sum(x >= row[i] for j, x in enumerate(row) if j != i) < k
    return hits / len(similarity)


def recall_of_the_beaten(similarity, k):
    N = len(similarity)
    return ((similarity < similarity.diagonal()[:, None]).sum(1) >= N - k).double().mean()


def recall_above_the_next(similarity, k):
    if k >= len(similarity):
        return 1.0
    next_best = similarity.topk(k + 1, dim=1).values[:, k]
    return (similarity.diag() > next_best).float().mean()


def recall_in_numpy(similarity, k):
    x = similarity.numpy()
    return np.mean((x >= np.diag(x)[:, None]).sum(1) <= k)


def recall_with_ties_won(similarity, k):
    smallest = similarity.topk(min(k, len(similarity)), dim=1).values[:, -1]
    return (similarity.diagonal() >= smallest).float().mean().item()


def recall_with_ties_halved(similarity, k):
    own = similarity.diagonal()[:, None]
    rank = (similarity > own).sum(1) + ((similarity == own).sum(1) - 1) / 2
    return (rank < k).float().mean().item()


def recall_of_one_byte(similarity, k):
    ahead = (similarity >= similarity.diagonal()[:, None]).sum(1).to(torch.uint8)
    return (ahead <= k).float().mean().item()


def recall_without_the_last(similarity, k):
    best = similarity.topk(min(k, len(similarity) - 1), dim=1).indices
    return (best == torch.arange(len(similarity))[:, None]).any(1).float().mean().item()


def recall_too_many(similarity, k):
    return ((similarity > similarity.diagonal()[:, None]).sum(1) <= k).float().mean().item()


def recall_sorted(similarity, k):
    hits = 0
    for i, row in enumerate(similarity.tolist()):
        best = sorted(range(len(row)), key=row.__getitem__, reverse=True)
        hits += i in best[:k]
    return hits / len(similarity)


def recall_topk(similarity, k):
    best = similarity.topk(min(k, len(similarity)), dim=1).indices
    return (best == torch.arange(len(similarity))[:, None]).any(1).float().mean()


def recall_ranks(similarity, k):
    order = similarity.numpy().argsort(1)[:, ::-1]
    ranks = (order == np.arange(len(order))[:, None]).argmax(1)
    return np.mean(ranks < k)


def recall_topk_only(similarity, k):
    best = similarity.topk(k, dim=1).indices
    return (best == torch.arange(len(similarity))[:, None]).any(1).float().mean().item()


def recall_hits(similarity, k):
    own = similarity.diagonal()[:, None]
    return ((similarity > own).sum(1) < k).float()


def recall_forgets_any(similarity, k):
    best = similarity.topk(min(k, len(similarity)), dim=1).indices
    return (best == torch.arange(len(similarity))[:, None]).float().mean().item()


def recall_own_along_the_columns(similarity, k):
    return ((similarity > similarity.diagonal()).sum(1) < k).float().mean().item()


def zero_shot_loops(images, prompts):
    classes = []
    for own in prompts:
        total = torch.zeros(images.shape[1])
        for prompt in own:
            total += prompt / prompt.norm()
        classes.append(total / total.norm())
    answers = []
    for image in images:
        scores = [float(image.dot(vector)) for vector in classes]
        answers.append(scores.index(max(scores)))
    return torch.tensor(answers)


def zero_shot_sums(images, prompts):
    classes = F.normalize(F.normalize(prompts.double(), dim=-1).sum(dim=1), dim=1)
    return torch.einsum("bd,cd->bc", images.double(), classes).max(dim=1).indices


def zero_shot_nearest(images, prompts):
    classes = F.normalize(F.normalize(prompts, dim=-1).mean(1), dim=-1)
    return torch.cdist(F.normalize(images, dim=-1), classes).argmin(1)


def zero_shot_variant(images, prompts, how):
    unit = functools.partial(F.normalize, dim=-1)
    cosines = torch.einsum("bd,cpd->bpc", unit(images), unit(prompts))
    classes = unit(unit(prompts).mean(1))
    if how == "vote":
        return cosines.argmax(2).mode(1).values
    if how == "best dot product":
        return torch.einsum("bd,cpd->bcp", images, prompts).amax(2).argmax(1)
    best = (unit(images) @ classes.T).argmax(1)
    return {
        "list": best.tolist(),
        "float": best.float(),
        "squeezed": best.squeeze(),
        "ordered": (unit(images) @ classes.T).argsort(1),
    }[how]


def zero_shot_wrong(how):
    return functools.partial(zero_shot_variant, how=how)


def family_recursive(name, suffixes):
    front, hyphen, last = name.rpartition("-")
    return family_recursive(front, suffixes) if hyphen and last in suffixes else name


def family_takewhile(name, suffixes):
    first, *others = name.split("-")
    gone = len(list(itertools.takewhile(suffixes.__contains__, reversed(others))))
    return "-".join([first, *others[: len(others) - gone]])


def family_removesuffix(name, suffixes):
    before = None
    while name != before:
        before = name
        for suffix in suffixes:
            name = name.removesuffix("-" + suffix)
    return name


def family_regular_expression(name, suffixes):
    either = "|".join(sorted(suffixes)) or "(?!)"
    return re.fullmatch(rf"(.+?)(?:-(?:{either}))*", name)[1]


def family_replace(name, suffixes):
    for suffix in sorted(suffixes):
        name = name.replace("-" + suffix, "")
    return name


def family_without_hyphen(name, suffixes):
    changed = True
    while changed:
        changed = False
        for suffix in sorted(suffixes):
            if name.endswith(suffix):
                name, changed = name[: -len(suffix)].strip("-"), True
    return name


def family_pattern_anywhere(name, suffixes):
    return re.sub(f"-({'|'.join(sorted(suffixes))})", "", name)


def family_tuple(name, suffixes):
    words = name.split("-")
    gone = []
    while len(words) > 1 and words[-1] in suffixes:
        gone.append(words.pop())
    return "-".join(words), gone


def family_stops_at_two(name, suffixes):
    words = name.split("-")
    while len(words) > 2 and words[-1] in suffixes:
        words.pop()
    return "-".join(words)


def family_once(name, suffixes):
    for suffix in sorted(suffixes):
        name = name.removesuffix("-" + suffix)
    return name


def family_three_times(name, suffixes):
    for _ in range(3):
        name = re.sub(f"-({'|'.join(suffixes) or '(?!)'})$", "", name)
    return name


def family_ends_of_words(name, suffixes):
    words = name.split("-")
    while len(words) > 1 and words[-1].endswith(tuple(suffixes)):
        words.pop()
    return "-".join(words)


def family_first_may_go(name, suffixes):
    words = name.split("-")
    while words[-1] in suffixes:
        words.pop()
    return "-".join(words)


RIGHT = [
    ("16.similarity", similarity_loops),
    ("16.similarity", similarity_of_products),
    ("16.similarity", similarity_row_by_row),
    ("16.similarity", similarity_from_distances),
    ("16.similarity", similarity_of_safe_roots),
    ("16.similarity", similarity_of_small_additions),
    ("16.info_nce", info_nce_loops),
    ("16.info_nce", info_nce_one_table),
    ("16.info_nce", info_nce_soft_targets),
    ("16.info_nce", lambda i, t, s: info_nce_variant(i, t, s, "")),
    ("16.recall_at_k", recall_of_those_at_least_as_similar),
    ("16.recall_at_k", recall_of_the_others),
    ("16.recall_at_k", recall_of_the_beaten),
    ("16.recall_at_k", recall_above_the_next),
    ("16.recall_at_k", recall_in_numpy),
    ("16.zero_shot", zero_shot_loops),
    ("16.zero_shot", zero_shot_sums),
    ("16.zero_shot", zero_shot_nearest),
    ("16.zero_shot", lambda *x: zero_shot_variant(*x, "ordered")[:, -1]),
    ("16.family", family_recursive),
    ("16.family", family_takewhile),
    ("16.family", family_removesuffix),
    ("16.family", family_regular_expression),
]

WRONG = [
    ("16.similarity", similarity_with_two_mistakes),
    ("16.similarity", similarity_rescaled),
    ("16.similarity", similarity_with_large_epsilon),
    ("16.similarity", similarity_with_nan_replaced, "nan_gradient_of_zeros"),
    ("16.similarity", similarity_where, "nan_gradient_of_zeros"),
    ("16.similarity", similarity_clamped_after_the_root, "nan_gradient_of_zeros"),
    ("16.similarity", similarity_of_detached_lengths, "length_detached"),
    ("16.similarity", similarity_in_numpy, "no_gradient"),
    ("16.similarity", similarity_changed_afterwards, "changed_in_place"),
    ("16.similarity", lambda a, b: similarity_loops(a.detach(), b), "no_gradient_arrives"),
    ("16.similarity", by_shape(similarity_of_products), "keeps_state"),
    ("16.similarity", lambda a, b: similarity_loops(a, b).tolist()),
    ("16.similarity", lambda a, b: torch.tensor(similarity_loops(a, b).tolist())),
    ("16.similarity", lambda a, b: F.normalize(a @ b.T, dim=-1)),
    ("16.info_nce", info_nce_wrong("text detached")),
    ("16.info_nce", info_nce_wrong("not normalised, not scaled")),
    ("16.info_nce", info_nce_wrong("all look for the first")),
    ("16.info_nce", info_nce_wrong("binary")),
    ("16.info_nce", info_nce_wrong("for each image")),
    (
        "16.info_nce",
        lambda i, t, s: info_nce_variant(i, t, s.clamp(max=math.log(100)), ""),
        "scale_cut_off",
    ),
    ("16.info_nce", torch.no_grad()(info_nce_loops), "no_gradient"),
    ("16.info_nce", by_shape(info_nce_one_table), "keeps_state"),
    (
        "16.info_nce",
        by_shape(info_nce_one_table, lambda image, _, s: (image.shape, s.item())),
        "keeps_state",
    ),
    ("16.info_nce", info_nce_wrong("both in one softmax")),
    ("16.info_nce", lambda i, t, s: info_nce_variant(i, t, torch.tensor(s.item()), "")),
    ("16.info_nce", lambda i, t, s: info_nce_variant(i, t, s * 0 + math.log(1 / 0.07), "")),
    ("16.recall_at_k", recall_topk_only),
    ("16.recall_at_k", recall_sorted, "ties_by_place"),
    ("16.recall_at_k", recall_topk, "ties_by_place"),
    ("16.recall_at_k", recall_ranks, "ties_by_place"),
    ("16.recall_at_k", recall_with_ties_won, "ties_won"),
    ("16.recall_at_k", lambda *given: recall_hits(*given).mean().double(), "ties_won"),
    ("16.recall_at_k", recall_with_ties_halved, None),
    ("16.recall_at_k", recall_of_one_byte, None),
    ("16.recall_at_k", recall_without_the_last, "k_cut_too_short"),
    ("16.recall_at_k", recall_too_many, "ties_won_and_one_too_many"),
    ("16.recall_at_k", recall_hits, None),
    ("16.recall_at_k", recall_forgets_any, "divided_by_k"),
    ("16.recall_at_k", recall_own_along_the_columns),
    ("16.recall_at_k", lambda similarity, k: k / len(similarity)),
    ("16.zero_shot", lambda *x: zero_shot_variant(*x, "ordered")[:, -1].int(), "int32_for_int64"),
    ("16.zero_shot", lambda *x: zero_shot_sums(*x).to(torch.uint8).long(), None),
    ("16.zero_shot", by_shape(zero_shot_sums), "keeps_state"),
    ("16.zero_shot", lambda *x: zero_shot_sums(*x)[:, None], None),
    ("16.zero_shot", zero_shot_wrong("vote")),
    ("16.zero_shot", zero_shot_wrong("best dot product")),
    ("16.zero_shot", zero_shot_wrong("list")),
    ("16.zero_shot", zero_shot_wrong("float")),
    ("16.zero_shot", zero_shot_wrong("squeezed")),
    ("16.family", family_once, "each_suffix_tried_once"),
    ("16.family", family_three_times, None),
    ("16.family", by_shape(family_takewhile, lambda name, _: name), "keeps_state"),
    ("16.family", by_shape(family_takewhile, lambda name, suffixes: len(name)), "keeps_state"),
    ("16.family", lambda name, _: family_takewhile(name, {"off", "outline"}), None),
    ("16.family", family_ends_of_words, None),
    ("16.family", family_replace),
    ("16.family", family_without_hyphen),
    ("16.family", family_pattern_anywhere),
    ("16.family", family_tuple),
    ("16.family", family_stops_at_two),
    ("16.family", family_first_may_go),
]
