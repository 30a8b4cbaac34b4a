"""Answers to lesson 20: right ones in an unusual style, and mistakes that nobody listed."""

import itertools
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F

SENTENCE = "what was given does not fit together here"


def splice_in_a_loop(ids, table, image_id, image_tokens, sound_id, sound_tokens):
    images, sounds, rows = list(image_tokens), list(sound_tokens), []
    for token in ids.tolist():
        if token in (image_id, sound_id):
            kind = images if token == image_id else sounds
            if not kind:
                raise ValueError(SENTENCE)
            rows.append(kind.pop(0))
        else:
            rows.append(table[token])
    if images or sounds:
        raise ValueError(SENTENCE)
    return torch.stack(rows)


def splice_by_counting(ids, table, image_id, image_tokens, sound_id, sound_tokens):
    x = table[ids].clone()
    for place, tokens in {image_id: image_tokens, sound_id: sound_tokens}.items():
        here = torch.nonzero(ids == place).squeeze(1)
        if here.numel() != tokens.shape[0]:
            raise ValueError(f"{here.numel()} placeholders and {tokens.shape[0]} soft tokens")
        x = x.index_copy(0, here, tokens)
    return x


def splice_with_cat(ids, table, image_id, image_tokens, sound_id, sound_tokens):
    if (ids == image_id).sum() != len(image_tokens) or (ids == sound_id).sum() != len(sound_tokens):
        raise ValueError(SENTENCE)
    bank = torch.cat([table, image_tokens, sound_tokens])
    ids = ids.clone()
    ids[ids == image_id] = len(table) + torch.arange(len(image_tokens))
    sounds = len(table) + len(image_tokens) + torch.arange(len(sound_tokens))
    where = torch.tensor([], dtype=torch.long)
    original = (ids == sound_id).nonzero().flatten()
    ids[original] = sounds
    return F.embedding(torch.cat([where, ids]), bank)


def splice_writing_into_the_table(ids, table, image_id, image_tokens, sound_id, sound_tokens):
    splice_in_a_loop(ids, table, image_id, image_tokens, sound_id, sound_tokens)
    for place, tokens in ((image_id, image_tokens), (sound_id, sound_tokens)):
        for token in tokens:
            table[place] = token
    return table[ids]


def splice_of_one_image(ids, table, image_id, image_tokens, sound_id, sound_tokens):
    x = splice_in_a_loop(ids, table, image_id, image_tokens, sound_id, sound_tokens)
    x[ids == image_id] = image_tokens.mean(0) if len(image_tokens) else 0.0
    return x


def splice_without_sentence(ids, table, image_id, image_tokens, sound_id, sound_tokens):
    if (ids == image_id).sum() != len(image_tokens) or (ids == sound_id).sum() != len(sound_tokens):
        raise ValueError
    return splice_in_a_loop(ids, table, image_id, image_tokens, sound_id, sound_tokens)


def splice_with_a_batch(*given):
    return splice_in_a_loop(*given)[None]


def pool_by_einsum(states, mask, queries):
    scores = torch.einsum("btc,nc->bnt", states, queries) / states.size(-1) ** 0.5
    scores = scores + torch.zeros(mask.shape).masked_fill(~mask, float("-inf")).unsqueeze(1)
    return torch.einsum("bnt,btc->bnc", F.softmax(scores, dim=2), states)


def pool_row_by_row(states, mask, queries):
    rows = []
    for clip, real in zip(states, mask, strict=True):
        clip = clip[real]  # (length, C)
        rows.append((queries @ clip.T / clip.shape[1] ** 0.5).softmax(1) @ clip)
    return torch.stack(rows)


def pool_with_exp(states, mask, queries):
    scores = queries @ states.mT / states.shape[2] ** 0.5
    scores = torch.where(mask[:, None], scores, torch.full_like(scores, -1e9))
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    return weights / weights.sum(-1, keepdim=True) @ states


def pool_of_the_longest(states, mask, queries):
    longest = int(mask.sum(1).max())
    return pool_by_einsum(states[:, :longest], torch.ones_like(mask[:, :longest]), queries)


def pool_first_query_only(states, mask, queries):
    return pool_by_einsum(states, mask, queries[:1])


def pool_detached(states, mask, queries):
    return pool_by_einsum(states.detach(), mask, queries)


def pool_normalised(states, mask, queries):
    return pool_by_einsum(F.normalize(states, dim=-1), mask, F.normalize(queries, dim=-1))


def pool_no_scale_and_no_mask(states, mask, queries):
    return (queries @ states.mT).softmax(-1) @ states


def hear_by_norms(found, words, scale):
    unit = words / words.norm(dim=-1, keepdim=True)
    scores = scale * (found / found.norm(dim=-1, keepdim=True)) @ unit.transpose(0, 1)
    weights = torch.softmax(scores, 2)
    return torch.matmul(weights, words), weights


def hear_in_a_list(found, words, scale):
    cosines = F.cosine_similarity(found.unsqueeze(2), words[None, None], dim=3)
    weights = F.softmax(cosines * scale, -1)
    return [weights @ words, weights]


def hear_with_einsum(found, words, scale):
    f, w = F.normalize(found, p=2, dim=2), F.normalize(words, p=2, dim=1)
    weights = torch.einsum("bnd,wd->bnw", f, w).mul(scale).softmax(dim=-1)
    return torch.einsum("bnw,wd->bnd", weights, words), weights


def hear_mean_of_found(found, words, scale):
    weights = hear_by_norms(found, words, scale)[1]
    return found * weights.amax(-1, keepdim=True), weights


def hear_top_three(found, words, scale):
    weights = hear_by_norms(found, words, scale)[1]
    least = weights.topk(min(3, weights.shape[-1]), dim=-1).values[..., -1:]
    weights = weights * (weights >= least)
    weights = weights / weights.sum(-1, keepdim=True)
    return weights @ words, weights


def hear_scaled_twice(found, words, scale):
    return hear_by_norms(found, words, scale * scale)


def hear_hard(found, words, scale):
    weights = hear_by_norms(found, words, scale)[1]
    return words[weights.argmax(-1)], weights


def refuse_with_torch(weights, threshold):
    best, place = weights.max(dim=1)
    return [int(p) if b >= threshold else None for b, p in zip(best, place, strict=True)]


def refuse_with_numpy(weights, threshold):
    w = weights.numpy()
    found = w.argmax(axis=1).tolist()
    for i, row in enumerate(w):
        if row.max() < threshold:
            found[i] = None
    return found


def refuse_by_sorting(weights, threshold):
    found = []
    for row in weights.tolist():
        best = sorted(range(len(row)), key=lambda i: -row[i])[0]
        found.append(None if row[best] < threshold else best)
    return found


def refuse_any_above(weights, threshold):
    rows = weights.tolist()
    return [next((i for i, w in enumerate(row) if w >= threshold), None) for row in rows]


def refuse_all_or_none(weights, threshold):
    if (weights.amax(1) < threshold).any():
        return [None] * len(weights)
    return weights.argmax(1).tolist()


def refuse_as_text(weights, threshold):
    return ["None" if x is None else x for x in refuse_with_torch(weights, threshold)]


def refuse_with_tensors(weights, threshold):
    best, place = weights.max(dim=1)
    return [p if b >= threshold else None for b, p in zip(best, place, strict=True)]


def refuse_prints(weights, threshold):
    print(refuse_with_torch(weights, threshold))


def scores_by_gather(decode, begin, candidates):
    if not begin or not candidates or min(map(len, candidates)) == 0:
        raise ValueError(SENTENCE)
    rows = [torch.tensor([*begin, *one]) for one in candidates]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=1)
    log_p = F.log_softmax(decode(ids), dim=-1)[:, :-1]  # place t predicts t + 1
    each = log_p.gather(2, ids[:, 1:, None]).squeeze(2)  # (B, T - 1)
    places = torch.arange(ids.shape[1] - 1)
    length = torch.tensor([len(row) for row in rows])[:, None]
    counts = (places >= len(begin) - 1) & (places < length - 1)
    return each.masked_fill(~counts, 0.0).sum(1).tolist()


def scores_by_cross_entropy(decode, begin, candidates):
    if len(begin) == 0 or len(candidates) == 0 or any(len(one) == 0 for one in candidates):
        raise ValueError(SENTENCE)
    longest = max(len(one) for one in candidates)
    ids = torch.tensor([begin + one + [2] * (longest - len(one)) for one in candidates])
    labels = torch.full_like(ids, -100)
    for i, one in enumerate(candidates):
        labels[i, len(begin) : len(begin) + len(one)] = torch.tensor(one)
    logits = decode(ids)[:, :-1].transpose(1, 2)
    loss = F.cross_entropy(logits, labels[:, 1:], reduction="none")
    return (-loss.sum(1)).tolist()


def scores_in_a_loop(decode, begin, candidates):
    if not (begin and candidates and all(candidates)):
        raise ValueError(SENTENCE)
    T = len(begin) + max(len(one) for one in candidates)
    ids = torch.zeros(len(candidates), T, dtype=torch.long)
    for row, one in zip(ids, candidates, strict=True):
        row[: len(begin) + len(one)] = torch.tensor([*begin, *one])
    log_p, scores = decode(ids).log_softmax(2), []
    for i, one in enumerate(candidates):
        total = 0.0
        for j in range(len(one)):
            total += float(log_p[i, len(begin) + j - 1, one[j]])
        scores.append(total)
    return scores


def scores_as_a_tensor(decode, begin, candidates):
    return torch.tensor(scores_by_gather(decode, begin, candidates))


def scores_with_the_shortest_length(decode, begin, candidates):
    if not (begin and candidates and all(candidates)):
        raise ValueError(SENTENCE)
    shortest = min(map(len, candidates))
    return scores_by_gather(decode, begin, [one[:shortest] for one in candidates])


def scores_extending_begin(decode, begin, candidates):
    scores = scores_by_gather(decode, begin, candidates)
    begin += candidates[0]
    return scores


def scores_normalised_over_candidates(decode, begin, candidates):
    scores = torch.tensor(scores_by_gather(decode, begin, candidates))
    return scores.log_softmax(0).tolist()


def scores_by_perplexity(decode, begin, candidates):
    scores = scores_by_gather(decode, begin, candidates)
    return [float(np.exp(-s / len(c))) for s, c in zip(scores, candidates, strict=True)]


def find_by_sorted(query, gallery):
    def cosine(i):
        length = float(gallery[i].norm() * query.norm())
        return float(gallery[i] @ query) / length if length else 0.0

    return sorted(range(len(gallery)), key=cosine, reverse=True)


def find_with_numpy(query, gallery):
    q, g = query.double().numpy(), gallery.double().numpy()
    lengths = np.maximum(np.linalg.norm(g, axis=1) * np.linalg.norm(q), 1e-12)
    return np.argsort(-(g @ q) / lengths, kind="stable").tolist()


def find_by_cosine_similarity(query, gallery):
    near = F.cosine_similarity(gallery, query[None], dim=1)
    return torch.sort(near, descending=True, stable=True).indices.tolist()


def find_without_stable(query, gallery):
    near = F.cosine_similarity(gallery, query[None], dim=1)
    return near.sort(descending=False, stable=True).indices.flip(0).tolist()


def find_the_best_five(query, gallery):
    return find_by_sorted(query, gallery)[:5]


def find_as_a_tensor(query, gallery):
    return torch.tensor(find_by_sorted(query, gallery))


def find_centred(query, gallery):
    return find_by_cosine_similarity(query - gallery.mean(0), gallery - gallery.mean(0))


def find_query_normalised_only(query, gallery):
    return (gallery @ F.normalize(query, dim=0)).argsort(descending=True, stable=True).tolist()


def partners_by_counter(truths):
    groups = sorted(Counter(truths).items(), key=lambda pair: -pair[1])
    if groups and groups[0][1] * 2 > len(truths):
        raise ValueError(SENTENCE)
    order = [i for truth, _ in groups for i in range(len(truths)) if truths[i] == truth]
    turn = groups[0][1] if groups else 0
    turned = order[turn:] + order[:turn]
    return [turned[order.index(i)] for i in range(len(truths))]


def partners_by_search(truths):
    """Backtracking, the rarest choices first."""
    n = len(truths)
    if any(2 * truths.count(t) > n for t in truths):
        raise ValueError(SENTENCE)
    partners, taken = [None] * n, [False] * n

    def augment(i, seen):
        for j in range(n):
            if truths[j] == truths[i] or j in seen:
                continue
            seen.add(j)
            if not taken[j] or augment(partners.index(j), seen):
                if partners[i] is not None:
                    taken[partners[i]] = False
                partners[i], taken[j] = j, True
                return True
        return False

    owner = {}

    def kuhn(i, seen):
        for j in range(n):
            if truths[j] != truths[i] and j not in seen:
                seen.add(j)
                if j not in owner or kuhn(owner[j], seen):
                    owner[j] = i
                    return True
        return False

    for i in range(n):
        kuhn(i, set())
    for j, i in owner.items():
        partners[i] = j
    return partners


def partners_turned_by_half(truths):
    order = sorted(range(len(truths)), key=lambda i: truths[i])
    if any(2 * truths.count(t) > len(truths) for t in truths):
        raise ValueError(SENTENCE)
    half = len(truths) // 2
    return [order[(order.index(i) + half) % len(order)] for i in range(len(truths))]


def partners_reversed(truths):
    order = sorted(range(len(truths)), key=lambda i: truths[i])
    if any(2 * truths.count(t) > len(truths) for t in truths):
        raise ValueError(SENTENCE)
    found = [0] * len(truths)
    for a, b in zip(order, reversed(order), strict=True):
        found[a] = b
    return found


def partners_next(truths):
    if any(2 * truths.count(t) > len(truths) for t in truths):
        raise ValueError(SENTENCE)
    return [(i + 1) % len(truths) for i in range(len(truths))]


def partners_by_trying(truths):
    """All orders: too many."""
    n = len(truths)
    if any(2 * truths.count(t) > n for t in truths):
        raise ValueError(SENTENCE)
    for order in itertools.permutations(range(n)):
        if all(truths[j] != truths[i] for i, j in enumerate(order)):
            return list(order)
    return []


def partners_half_is_too_many(truths):
    if any(2 * truths.count(t) >= len(truths) for t in truths):
        raise ValueError(SENTENCE)
    return partners_by_counter(truths)


def partners_in_a_tuple(truths):
    return tuple(partners_by_counter(truths))


def partners_sorting_the_input(truths):
    found = partners_by_counter(truths)
    truths.sort()
    return found


RIGHT = [
    ("20.splice_two", splice_in_a_loop),
    ("20.splice_two", splice_by_counting),
    ("20.splice_two", splice_with_cat),
    ("20.pool_speech", pool_by_einsum),
    ("20.pool_speech", pool_row_by_row),
    ("20.pool_speech", pool_with_exp),
    ("20.hear", hear_by_norms),
    ("20.hear", hear_with_einsum),
    ("20.hear", hear_in_a_list),
    ("20.refuse", refuse_with_torch),
    ("20.refuse", refuse_with_numpy),
    ("20.refuse", refuse_by_sorting),
    ("20.candidate_scores", scores_by_gather),
    ("20.candidate_scores", scores_by_cross_entropy),
    ("20.candidate_scores", scores_in_a_loop),
    ("20.find", find_by_sorted),
    ("20.find", find_with_numpy),
    ("20.find", find_by_cosine_similarity),
    ("20.other_partners", partners_by_counter),
    ("20.other_partners", partners_by_search),
    ("20.other_partners", partners_turned_by_half),
]

WRONG = [
    ("20.splice_two", splice_writing_into_the_table),
    ("20.splice_two", splice_of_one_image, None),
    ("20.splice_two", splice_without_sentence),
    ("20.splice_two", splice_with_a_batch),
    ("20.pool_speech", pool_of_the_longest, None),
    ("20.pool_speech", pool_first_query_only),
    ("20.pool_speech", pool_detached),
    ("20.pool_speech", pool_normalised, None),
    ("20.pool_speech", pool_no_scale_and_no_mask, None),
    ("20.pool_speech", torch.no_grad()(pool_by_einsum), "no_gradient_arrives"),
    ("20.hear", hear_mean_of_found, None),
    ("20.hear", hear_top_three, None),
    ("20.hear", hear_scaled_twice, None),
    ("20.hear", hear_hard),
    ("20.refuse", refuse_any_above),
    ("20.refuse", refuse_all_or_none, None),
    ("20.refuse", refuse_as_text),
    ("20.refuse", refuse_with_tensors),
    ("20.refuse", refuse_prints),
    ("20.candidate_scores", scores_as_a_tensor),
    ("20.candidate_scores", scores_with_the_shortest_length, None),
    ("20.candidate_scores", scores_extending_begin),
    ("20.candidate_scores", scores_normalised_over_candidates, None),
    ("20.candidate_scores", scores_by_perplexity, None),
    ("20.find", find_without_stable),
    ("20.find", find_the_best_five),
    ("20.find", find_as_a_tensor),
    ("20.find", find_centred, None),
    ("20.find", find_query_normalised_only),
    ("20.other_partners", partners_reversed, None),
    ("20.other_partners", partners_next),
    ("20.other_partners", partners_half_is_too_many),
    ("20.other_partners", partners_by_trying),
    ("20.other_partners", partners_in_a_tuple),
    ("20.other_partners", partners_sorting_the_input),
]
