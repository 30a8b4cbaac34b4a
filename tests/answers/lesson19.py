"""Answers to lesson 19: right ones in an unusual style, and mistakes that nobody listed."""

import difflib
import functools
import itertools
import re

import jiwer
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SENTENCE = "what was given does not fit together here"


def refuses(mel, positions):
    T = mel.shape[-1]
    if T % 2 or len(positions) < T // 2:
        raise ValueError(SENTENCE)
    return T // 2


def stem_by_permuting(mel, conv1, conv2, positions):
    n = refuses(mel, positions)
    x = nn.GELU()(conv1(mel))
    x = nn.functional.gelu(conv2(x), approximate="none").permute(0, 2, 1)
    return torch.add(x, positions[None, :n])


def stem_with_erf(mel, conv1, conv2, positions):
    n = refuses(mel, positions)

    def exact(x):
        return x * 0.5 * (1 + torch.erf(x / 2**0.5))

    return torch.einsum("bct->btc", exact(conv2(exact(conv1(mel))))) + positions.narrow(0, 0, n)


def stem_row_by_row(mel, conv1, conv2, positions):
    n = refuses(mel, positions)
    rows = [F.gelu(conv2(F.gelu(conv1(one[None]))))[0].T + positions[:n] for one in mel]
    return torch.stack(rows)


def stem_of_fixed_length(mel, conv1, conv2, positions):
    refuses(mel, positions)
    x = F.gelu(conv2(F.gelu(conv1(mel)))).mT
    return x + positions[: x.shape[0]]


def stem_without_gelu_and_last_positions(mel, conv1, conv2, positions):
    n = refuses(mel, positions)
    return conv2(F.gelu(conv1(mel))).mT + positions[-n:]


def stem_in_place(mel, conv1, conv2, positions):
    n = refuses(mel, positions)
    with torch.no_grad():
        positions += 0
        conv1.bias += 0.1
    return F.gelu(conv2(F.gelu(conv1(mel)))).mT + positions[:n]


def stem_detached(mel, conv1, conv2, positions):
    return stem_by_permuting(mel.detach(), conv1, conv2, positions)


def stem_that_asserts(mel, conv1, conv2, positions):
    assert mel.shape[-1] % 2 == 0 and len(positions) >= mel.shape[-1] // 2
    return stem_by_permuting(mel, conv1, conv2, positions)


def stem_that_raises_without_words(mel, conv1, conv2, positions):
    if mel.shape[-1] % 2 or len(positions) < mel.shape[-1] // 2:
        raise ValueError
    return stem_by_permuting(mel, conv1, conv2, positions)


NAMES = {
    "self_attn.out_proj": "self_attn.out_proj",
    "self_attn_layer_norm": "norm1",
    "final_layer_norm": "norm2",
    "fc1": "linear1",
    "fc2": "linear2",
}


def weights_by_replacing(theirs):
    ours = {}
    for key, value in theirs.items():
        if ".q_proj" in key or ".k_proj" in key or ".v_proj" in key:
            continue
        for old, new in NAMES.items():
            key = key.replace(old, new)
        ours[key] = value.clone()
    q, k, v = (theirs[f"self_attn.{name}_proj.weight"] for name in "qkv")
    ours["self_attn.in_proj_weight"] = torch.vstack((q, k, v))
    bias = theirs["self_attn.q_proj.bias"]
    ours["self_attn.in_proj_bias"] = torch.hstack(
        (bias, bias.new_zeros(k.shape[0]), theirs["self_attn.v_proj.bias"])
    )
    return ours


def weights_with_get(theirs):
    ours = {"self_attn.in_proj_weight": [], "self_attn.in_proj_bias": []}
    for name in "qkv":
        weight = theirs[f"self_attn.{name}_proj.weight"]
        bias = theirs.get(f"self_attn.{name}_proj.bias", torch.zeros(len(weight)))
        ours["self_attn.in_proj_weight"].append(weight)
        ours["self_attn.in_proj_bias"].append(bias)
    ours = {key: torch.cat(parts) for key, parts in ours.items()}
    for old, new in NAMES.items():
        ours |= {f"{new}.{kind}": theirs[f"{old}.{kind}"] for kind in ("weight", "bias")}
    return ours


def weights_joined_beside(theirs):
    ours = weights_with_get(theirs)
    joined = [theirs[f"self_attn.{name}_proj.weight"] for name in "qkv"]
    return {**ours, "self_attn.in_proj_weight": torch.cat(joined, dim=1)}


def weights_popped(theirs):
    ours = weights_with_get(theirs)
    theirs.pop("fc1.weight")
    return ours


def weights_with_theirs_besides(theirs):
    return {**theirs, **weights_with_get(theirs)}


def weights_without_biases(theirs):
    return {k: v for k, v in weights_with_get(theirs).items() if not k.endswith("bias")}


def weights_fc_exchanged(theirs):
    ours = weights_with_get(theirs)
    for kind in ("weight", "bias"):
        a, b = f"linear1.{kind}", f"linear2.{kind}"
        ours[a], ours[b] = ours[b], ours[a]
    return ours


def weights_printed(theirs):
    print(weights_with_get(theirs).keys())


def transcribe_recursively(model, features, prompt, stop, suppressed=(), n=60):
    if not prompt:
        raise ValueError(SENTENCE)
    if n == 0:
        return []
    scores = model(features, torch.tensor([prompt])).detach()[0][-1].clone()
    for token in suppressed:
        scores[token] = float("-inf")
    token = int(scores.argmax())
    if token == stop:
        return []
    rest = transcribe_recursively(model, features, [*prompt, token], stop, suppressed, n - 1)
    return [token, *rest]


def transcribe_by_sorting(model, features, prompt, stop, suppressed=(), n=60):
    if len(prompt) == 0:
        raise ValueError(SENTENCE)
    written, forbidden = [], set(suppressed)
    with torch.inference_mode():
        while len(written) < n:
            order = model(features, torch.tensor([prompt + written]))[0, -1].argsort(
                descending=True
            )
            token = next(t for t in order.tolist() if t not in forbidden)
            if token == stop:
                return written
            written.append(token)
    return written


def transcribe_with_tensors(model, features, prompt, stop, suppressed=(), n=60):
    if not prompt:
        raise ValueError(SENTENCE)
    ids, allowed = torch.tensor([prompt]), None
    for _ in range(n):
        with torch.no_grad():
            logits = model(features, ids)[:, -1]
        if allowed is None:
            allowed = torch.ones(logits.shape[-1], dtype=torch.bool)
            allowed[list(suppressed)] = False
        token = logits.masked_fill(~allowed, -torch.inf).argmax(-1, keepdim=True)
        if token.item() == stop:
            break
        ids = torch.cat([ids, token], dim=1)
    return ids[0, len(prompt) :].tolist()


def transcribe_growing_the_prompt(model, features, prompt, stop, suppressed=(), n=60):
    if not prompt:
        raise ValueError(SENTENCE)
    start = len(prompt)
    for _ in range(n):
        logits = model(features, torch.tensor([prompt]))[0, -1].detach().clone()
        logits[list(suppressed)] = -torch.inf
        token = logits.argmax().item()
        if token == stop:
            break
        prompt.append(token)
    return prompt[start:]


def transcribe_stop_may_not_come_first(model, features, prompt, stop, suppressed=(), n=60):
    if not prompt:
        raise ValueError(SENTENCE)
    written = transcribe_by_sorting(model, features, prompt, -1, suppressed, n)
    return written[: written.index(stop)] if stop in written[1:] else written


def transcribe_by_chance(model, features, prompt, stop, suppressed=(), n=60):
    if not prompt:
        raise ValueError(SENTENCE)
    ids = list(prompt)
    for _ in range(n):
        weights = model(features, torch.tensor([ids]))[0, -1].detach().softmax(-1)
        weights[list(suppressed)] = 0
        token = torch.multinomial(weights, 1).item()
        if token == stop:
            break
        ids.append(token)
    return ids[len(prompt) :]


def transcribe_as_a_tensor(*given, **more):
    return torch.tensor(transcribe_by_sorting(*given, **more))


def rate_recursively(references, hypotheses):
    if len(references) != len(hypotheses):
        raise ValueError(SENTENCE)

    def distance(a, b):
        @functools.cache
        def from_here(i, j):
            if i == len(a) or j == len(b):
                return len(a) - i + len(b) - j
            if a[i] == b[j]:
                return from_here(i + 1, j + 1)
            return 1 + min(from_here(i + 1, j + 1), from_here(i + 1, j), from_here(i, j + 1))

        return from_here(0, 0)

    pairs = [(a.split(), b.split()) for a, b in zip(references, hypotheses, strict=True)]
    n = sum(len(a) for a, _ in pairs)
    if n == 0:
        raise ValueError(SENTENCE)
    return sum(distance(a, b) for a, b in pairs) / n


def rate_with_numpy(references, hypotheses):
    if len(references) != len(hypotheses) or not any(r.split() for r in references):
        raise ValueError(SENTENCE)
    errors = total = 0
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        r, h = reference.split(), hypothesis.split()
        table = np.add.outer(np.arange(len(r) + 1), np.arange(len(h) + 1))
        for i, j in itertools.product(range(1, len(r) + 1), range(1, len(h) + 1)):
            change = table[i - 1, j - 1] + (r[i - 1] != h[j - 1])
            table[i, j] = min(change, table[i - 1, j] + 1, table[i, j - 1] + 1)
        errors, total = errors + table[-1, -1], total + len(r)
    return float(errors / total)


def rate_by_difflib(references, hypotheses):
    if len(references) != len(hypotheses) or not any(r.split() for r in references):
        raise ValueError(SENTENCE)
    errors = 0
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        a, b = reference.split(), hypothesis.split()
        for kind, i, k, j, m in difflib.SequenceMatcher(None, a, b, False).get_opcodes():
            errors += max(k - i, m - j) if kind != "equal" else 0
    return errors / sum(len(r.split()) for r in references)


def rate_in_small_letters(references, hypotheses):
    def lower(texts):
        return [text.lower() for text in texts]

    return rate_recursively(lower(references), lower(hypotheses))


def rate_of_joined_texts(references, hypotheses):
    if len(references) != len(hypotheses) or not any(r.split() for r in references):
        raise ValueError(SENTENCE)
    return rate_recursively([" ".join(references)], [" ".join(hypotheses)])


def rate_rounded(references, hypotheses):
    return round(rate_recursively(references, hypotheses), 1)


def rate_of_nothing_is_zero(references, hypotheses):
    if len(references) != len(hypotheses):
        raise ValueError(SENTENCE)
    return rate_recursively(references, hypotheses) if any(references) else 0.0


def rate_by_jiwer(references, hypotheses):
    if len(references) != len(hypotheses) or not any(r.split() for r in references):
        raise ValueError(SENTENCE)
    return jiwer.wer(references, hypotheses)


def path_forwards(cost):
    if cost.ndim != 2 or cost.numel() == 0:
        raise ValueError(SENTENCE)
    n, m = cost.shape
    best = {}
    for i, j in itertools.product(range(n), range(m)):
        before = [best[c] for c in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if c in best]
        price, way = min(before, default=(0.0, []))
        best[i, j] = (price + cost[i, j].item(), [*way, (i, j)])
    return best[n - 1, m - 1][1]


def path_by_recursion(cost):
    if cost.ndim != 2 or 0 in cost.shape:
        raise ValueError(SENTENCE)

    @functools.cache
    def to(i, j):
        if i < 0 or j < 0:
            return float("inf"), ()
        if (i, j) == (0, 0):
            return float(cost[0, 0]), ((0, 0),)
        price, way = min(to(i - 1, j - 1), to(i - 1, j), to(i, j - 1))
        return price + float(cost[i, j]), (*way, (i, j))

    return list(to(cost.shape[0] - 1, cost.shape[1] - 1)[1])


def path_with_numpy(cost):
    if cost.ndim != 2 or 0 in cost.shape:
        raise ValueError(SENTENCE)
    c = cost.numpy().astype(float)
    n, m = c.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0
    for i, j in np.ndindex(n, m):
        total[i + 1, j + 1] = c[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    i, j, path = n, m, []
    while i and j:
        path.insert(0, (i - 1, j - 1))
        step = np.argmin([total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]])
        i, j = i - (step < 2), j - (step != 1)
    return [(int(i), int(j)) for i, j in path]


def path_of_the_least_in_each_row(cost):
    if cost.ndim != 2 or 0 in cost.shape:
        raise ValueError(SENTENCE)
    return [(i, j) for i, j in enumerate(cost.argmin(1).tolist())]


def path_greedy_from_the_end(cost):
    if cost.ndim != 2 or 0 in cost.shape:
        raise ValueError(SENTENCE)
    i, j = cost.shape[0] - 1, cost.shape[1] - 1
    path = [(i, j)]
    while (i, j) != (0, 0):
        ways = [(a, b) for a, b in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if min(a, b) >= 0]
        i, j = min(ways, key=lambda cell: cost[cell].item())
        path.append((i, j))
    return path[::-1]


def path_of_the_dearest_and_backwards(cost):
    return path_forwards(-cost)[::-1]


def path_that_empties_the_cost(cost):
    path = path_forwards(cost)
    cost[0, 0] = 9e9
    return path


def path_as_a_tensor(cost):
    return torch.tensor(path_forwards(cost))


def collapse_by_groupby(ids, blank):
    return [symbol for symbol, _ in itertools.groupby(ids) if symbol != blank]


def collapse_in_a_loop(ids, blank):
    found, last = [], None
    for symbol in ids:
        if symbol != last:
            found.append(symbol)
        last = symbol
    return list(filter(blank.__ne__, found))


def collapse_by_places(ids, blank):
    return [x for i, x in enumerate(ids) if x != blank and (i == 0 or ids[i - 1] != x)]


def collapse_with_torch(ids, blank):
    if not len(ids):
        return []
    x = torch.unique_consecutive(torch.tensor(ids))
    return x[x != blank].tolist()


def collapse_by_dict(ids, blank):
    return [x for x in dict.fromkeys(ids) if x != blank]


def collapse_cheating_at_the_start(ids, blank):
    return [x for i, x in enumerate(ids) if x != blank and ids[i - 1] != x]


def collapse_identity(ids, blank):
    return [x for x, y in zip(ids, [None, *ids], strict=False) if x is not y and x != blank]


def collapse_as_text(ids, blank):
    return " ".join(str(x) for x in collapse_by_groupby(ids, blank))


def collapse_in_place(ids, blank):
    ids[:] = collapse_by_groupby(ids, blank)
    return ids


def collapse_and_sort(ids, blank):
    return sorted(collapse_by_groupby(ids, blank))


def weights_of_a_layer(theirs):
    """PyTorch's own layer is made and filled, and says its names itself."""
    d, ff = theirs["fc2.weight"].shape
    layer = nn.TransformerEncoderLayer(d, 1, ff)
    attention = layer.self_attn
    parts = layer.norm1, layer.norm2, layer.linear1, layer.linear2, attention.out_proj
    names = "self_attn_layer_norm", "final_layer_norm", "fc1", "fc2", "self_attn.out_proj"
    with torch.no_grad():
        for part, name in zip(parts, names, strict=True):
            for kind in ("weight", "bias"):
                getattr(part, kind).copy_(theirs[f"{name}.{kind}"])
        for i, x in enumerate("qkv"):
            rows = slice(i * d, (i + 1) * d)
            attention.in_proj_weight[rows] = theirs[f"self_attn.{x}_proj.weight"]
            attention.in_proj_bias[rows] = theirs.get(f"self_attn.{x}_proj.bias", 0.0)
    return layer.state_dict()


def weights_by_patterns(theirs):
    whole = {"self_attn.k_proj.bias": torch.zeros_like(theirs["fc2.bias"]), **theirs}
    ours = {}
    for name in whole:
        new = re.sub(r"^fc(?=\d)", "linear", name)
        new = re.sub(r"^self_attn(?=_layer)|^final(?=_layer)", "norm", new)
        new = new.replace("norm_layer_norm", "norm1" if "self_attn" in name else "norm2")
        if not re.search(r"\.[qkv]_proj\.", name):
            ours[new] = whole[name]
    for kind in ("weight", "bias"):
        three = torch.stack([whole[f"self_attn.{x}_proj.{kind}"] for x in "qkv"])
        ours[f"self_attn.in_proj_{kind}"] = three.flatten(0, 1)
    return ours


def weights_with_numpy(theirs):
    arrays = {name: tensor.numpy() for name, tensor in theirs.items()}
    q, k, v = (arrays[f"self_attn.{x}_proj.weight"] for x in "qkv")
    bias = np.zeros(3 * len(q), dtype=q.dtype)
    bias[: len(q)] = arrays["self_attn.q_proj.bias"]
    bias[-len(v) :] = arrays["self_attn.v_proj.bias"]
    ours = {"self_attn.in_proj_weight": np.r_[q, k, v], "self_attn.in_proj_bias": bias}
    for (old, new), kind in itertools.product(NAMES.items(), ("weight", "bias")):
        ours[f"{new}.{kind}"] = arrays[f"{old}.{kind}"]
    return {name: torch.from_numpy(array) for name, array in ours.items()}


def weights_with_zeros_at_the_end(theirs):
    q, v = (theirs[f"self_attn.{x}_proj.bias"] for x in "qv")
    bias = torch.cat([q, v, torch.zeros_like(q)])
    return weights_with_get(theirs) | {"self_attn.in_proj_bias": bias}


def weights_with_one_zero(theirs):
    """A single zero in the place of k's bias, as if it were stretched."""
    q, v = (theirs[f"self_attn.{x}_proj.bias"] for x in "qv")
    bias = torch.cat([q, torch.zeros(1), v])
    return weights_with_get(theirs) | {"self_attn.in_proj_bias": bias}


def weights_row_by_row(theirs):
    """A row of q, one of k, one of v, and so on."""
    three = torch.stack([theirs[f"self_attn.{x}_proj.weight"] for x in "qkv"], dim=1)
    return weights_with_get(theirs) | {"self_attn.in_proj_weight": three.flatten(0, 1)}


def weights_with_norm_biases_exchanged(theirs):
    ours = weights_with_get(theirs)
    return ours | {"norm1.bias": ours["norm2.bias"], "norm2.bias": ours["norm1.bias"]}


RIGHT = [
    ("19.conv_stem", stem_by_permuting),
    ("19.conv_stem", stem_with_erf),
    ("19.conv_stem", stem_row_by_row),
    ("19.map_weights", weights_by_replacing),
    ("19.map_weights", weights_with_get),
    ("19.transcribe", transcribe_recursively),
    ("19.transcribe", transcribe_by_sorting),
    ("19.transcribe", transcribe_with_tensors),
    ("19.word_error_rate", rate_recursively),
    ("19.word_error_rate", rate_with_numpy),
    ("19.word_error_rate", rate_by_jiwer),
    ("19.dtw_path", path_forwards),
    ("19.dtw_path", path_by_recursion),
    ("19.dtw_path", path_with_numpy),
    ("19.ctc_collapse", collapse_by_groupby),
    ("19.ctc_collapse", collapse_in_a_loop),
    ("19.ctc_collapse", collapse_by_places),
    ("19.ctc_collapse", collapse_with_torch),
    ("19.map_weights", weights_of_a_layer),
    ("19.map_weights", weights_by_patterns),
    ("19.map_weights", weights_with_numpy),
]

WRONG = [
    ("19.conv_stem", stem_of_fixed_length),
    ("19.conv_stem", stem_without_gelu_and_last_positions),
    ("19.conv_stem", stem_in_place),
    ("19.conv_stem", stem_detached, "no_gradient_arrives"),
    ("19.conv_stem", stem_that_asserts),
    ("19.conv_stem", stem_that_raises_without_words),
    ("19.map_weights", weights_joined_beside),
    ("19.map_weights", weights_popped),
    ("19.map_weights", weights_with_theirs_besides),
    ("19.map_weights", weights_without_biases),
    ("19.map_weights", weights_fc_exchanged),
    ("19.map_weights", weights_printed),
    ("19.transcribe", transcribe_growing_the_prompt),
    ("19.transcribe", transcribe_stop_may_not_come_first, None),
    ("19.transcribe", transcribe_by_chance),
    ("19.transcribe", transcribe_as_a_tensor),
    ("19.word_error_rate", rate_by_difflib, None),
    ("19.word_error_rate", rate_in_small_letters, None),
    ("19.word_error_rate", rate_of_joined_texts, None),
    ("19.word_error_rate", rate_rounded, None),
    ("19.word_error_rate", rate_of_nothing_is_zero),
    ("19.dtw_path", path_of_the_least_in_each_row),
    ("19.dtw_path", path_greedy_from_the_end),
    ("19.dtw_path", path_of_the_dearest_and_backwards),
    ("19.dtw_path", path_that_empties_the_cost),
    ("19.dtw_path", path_as_a_tensor),
    ("19.ctc_collapse", collapse_by_dict),
    ("19.ctc_collapse", collapse_cheating_at_the_start, None),
    ("19.ctc_collapse", collapse_identity, None),
    ("19.ctc_collapse", collapse_as_text),
    ("19.ctc_collapse", collapse_in_place),
    ("19.ctc_collapse", collapse_and_sort),
    ("19.map_weights", weights_with_zeros_at_the_end, None),
    ("19.map_weights", weights_with_one_zero, None),
    ("19.map_weights", weights_row_by_row, None),
    ("19.map_weights", weights_with_norm_biases_exchanged, None),
]
