"""Answers to lesson 09: right ones in an unusual style, and mistakes that nobody listed."""

import random

import numpy as np
import torch
import torch.nn.functional as F


def top_p_loop(logits, p):
    out = torch.full_like(logits, -torch.inf)
    for row in range(len(logits)):
        probs, held = logits[row].softmax(0), 0.0
        for token in probs.argsort(descending=True).tolist():
            out[row, token] = logits[row, token]
            held += probs[token].item()
            if held >= p:
                break
    return out


def top_k_scatter(logits, k):
    best = logits.topk(k)
    return torch.full_like(logits, -torch.inf).scatter(-1, best.indices, best.values)


def penalty_gather(logits, tokens, penalty):
    seen = logits.gather(1, tokens)
    return logits.scatter(1, tokens, torch.where(seen < 0, seen * penalty, seen / penalty))


@torch.no_grad()
def generate_with_cache(model, ids, max_new_tokens, eos_id):
    cache, new = None, ids
    for _ in range(max_new_tokens):
        out = model(new, past_key_values=cache, use_cache=True)
        cache, new = out.past_key_values, out.logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, new], dim=1)
        if new.item() == eos_id:
            break
    return ids


def complete_row_by_row(model, tokenizer, prompts, max_new_tokens):
    tokenizer.padding_side = "left"
    inputs = tokenizer(prompts, return_tensors="pt", padding=True)
    out = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1)
    n = inputs["attention_mask"].shape[1]
    return [tokenizer.decode(row[n:], skip_special_tokens=True).strip() for row in out]


def beam_search_walking_down(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
    running, finished = [([], 0.0)], []
    for _ in range(max_new_tokens):
        options = [
            (t + [i], s + x) for t, s in running for i, x in enumerate(f(prompt + t).tolist())
        ]
        running = []
        for tokens, score in sorted(options, key=lambda pair: -pair[1]):
            (finished if tokens[-1] == eos_id else running).append((tokens, score))
            if len(running) == n_beams:
                break
    return prompt + max(finished + running, key=lambda c: c[1] / len(c[0]) ** length_penalty)[0]


@torch.no_grad()
def generate_looking_ahead(model, input_ids, max_new_tokens, eos_id):
    ids, n = input_ids.clone(), 0
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    while n < max_new_tokens:
        ids = torch.hstack([ids, logits[0, -1].topk(1).indices[None]])
        n += 1
        if ids[0][-1] == eos_id:
            return ids
        logits = model(ids).logits
    return ids


def generate_with_a_list(model, input_ids, max_new_tokens, eos_id):
    tokens = input_ids[0].tolist()
    for _ in range(max_new_tokens):
        probs = model(torch.tensor([tokens])).logits[0, -1].softmax(0)
        tokens.append(int(probs.argmax()))
        if tokens[-1] == eos_id:
            break
    return torch.tensor([tokens])


def generate_comparing_with_is(model, input_ids, max_new_tokens, eos_id):
    ids = input_ids
    for _ in range(max_new_tokens):
        token = model(ids).logits[:, -1].argmax(-1, keepdim=True)
        ids = torch.cat([ids, token], dim=1)
        if token.item() is eos_id:
            break
    return ids


def generate_in_bytes(model, input_ids, max_new_tokens, eos_id):
    ids = generate_with_a_list(model, input_ids, max_new_tokens, eos_id)
    return ids.to(torch.uint8).long()


def generate_in_16_bits(model, input_ids, max_new_tokens, eos_id):
    ids = generate_with_a_list(model, input_ids, max_new_tokens, eos_id)
    return ids.to(torch.uint16).long()


def generate_stopping_at_15(model, input_ids, max_new_tokens, eos_id):
    return generate_with_a_list(model, input_ids, max_new_tokens, 15)


def generate_falsy_end(model, input_ids, max_new_tokens, eos_id):
    return generate_with_a_list(model, input_ids, max_new_tokens, eos_id or -1)


def generate_kept_by_length(model, input_ids, max_new_tokens, eos_id, kept={}):  # noqa: B006
    key = input_ids.shape[1], max_new_tokens, eos_id
    return kept.setdefault(key, generate_with_a_list(model, input_ids, max_new_tokens, eos_id))


def generate_with_cache_kept(model, input_ids, max_new_tokens, eos_id, first={}):  # noqa: B006
    ids = input_ids
    for step in range(max_new_tokens):
        logits = (
            model(ids).logits[:, -1]
            if step
            else first.setdefault((ids.shape[1], max_new_tokens, eos_id), model(ids).logits[:, -1])
        )
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
        if ids[0, -1] == eos_id:
            break
    return ids


def generate_as_a_row(model, input_ids, max_new_tokens, eos_id):
    return generate_with_a_list(model, input_ids, max_new_tokens, eos_id)[0]


def generate_floats(model, input_ids, max_new_tokens, eos_id):
    return generate_with_a_list(model, input_ids, max_new_tokens, eos_id).float()


def generate_in_training_mode(model, input_ids, max_new_tokens, eos_id):
    model.train()
    return generate_with_a_list(model, input_ids, max_new_tokens, eos_id)


def generate_last_logit(model, input_ids, max_new_tokens, eos_id):
    ids = input_ids
    for _ in range(max_new_tokens):
        ids = torch.cat([ids, model(ids).logits[:, :, -1].argmax(-1, keepdim=True)], dim=1)
    return ids


def temperature_kept(logits, t, kept={}):  # noqa: B006
    return kept.setdefault((logits.shape, t), logits / t)


def top_k_loop(logits, k):
    rows = []
    for row in logits:
        best = sorted(range(len(row)), key=lambda i: -row[i].item())[:k]
        rows.append([x.item() if i in best else -torch.inf for i, x in enumerate(row)])
    return torch.tensor(rows)


def top_k_by_rank(logits, k):
    rank = logits.argsort(-1, descending=True).argsort(-1)
    return torch.where(rank < k, logits, torch.tensor(-torch.inf))


def top_k_in_place(logits, k):
    logits[logits < logits.topk(k).values[:, -1:]] = -torch.inf
    return logits


def top_k_kept_threshold(logits, k, kept={}):  # noqa: B006
    kth = kept.setdefault(
        (logits.shape, k, logits.min().item() > -3), logits.topk(k).values[:, -1:]
    )
    return logits.masked_fill(logits < kth, -torch.inf)


def top_k_as_bytes(logits, k):
    places = logits.topk(k).indices.to(torch.uint8).long()
    return torch.full_like(logits, -torch.inf).scatter(1, places, logits.gather(1, places))


def _nucleus(logits, p, fill=-torch.inf, crossing=True, cut=None):
    ranked, order = logits.sort(descending=True)
    probs = ranked.softmax(-1)
    held = probs.cumsum(-1)
    drop = (held - probs >= p) if crossing else (held > p)
    return logits.masked_fill(drop.gather(-1, order.argsort(-1)), fill)


def top_p_ascending(logits, p):
    ranked, order = logits.sort(descending=False)
    drop = ranked.softmax(-1).cumsum(-1) <= 1 - p
    drop[:, -1] = False
    return logits.masked_fill(drop.scatter(1, order, drop), -torch.inf)


def top_p_threshold(logits, p):
    probs = logits.softmax(-1).sort(descending=True).values
    count = (probs.cumsum(-1) < p).sum(-1, keepdim=True)  # (B, 1)
    least = probs.gather(-1, count)
    return logits.masked_fill(logits.softmax(-1) < least, -torch.inf)


def top_p_shifted_mask(logits, p):
    ranked, order = torch.sort(logits, descending=True)
    remove = ranked.softmax(dim=-1).cumsum(dim=-1) > p
    remove[..., 1:] = remove[..., :-1].clone()
    remove[..., 0] = False
    out = logits.clone()
    for row in range(len(out)):
        out[row, order[row][remove[row]]] = -torch.inf
    return out


def top_p_first_row_order(logits, p):
    ranked, order = torch.sort(logits, descending=True)
    remove = ranked.softmax(-1).cumsum(-1) - ranked.softmax(-1) >= p
    out = logits.clone()
    for row in range(len(out)):
        out[row, order[0][remove[row]]] = -torch.inf
    return out


def penalty_loops(logits, tokens, penalty):
    out = logits.clone()
    for b, row in enumerate(tokens.tolist()):
        for token in set(row):
            out[b, token] = (
                out[b, token] * penalty if out[b, token] < 0 else out[b, token] / penalty
            )
    return out


def penalty_set_of_tensors(logits, tokens, penalty):
    out = logits.clone()
    for b in range(len(tokens)):
        for token in set(tokens[b]):
            out[b, token] = (
                out[b, token] * penalty if out[b, token] < 0 else out[b, token] / penalty
            )
    return out


def penalty_all_rows(logits, tokens, penalty):
    out = logits.clone()
    out[:, tokens] = torch.where(
        out[:, tokens] < 0, out[:, tokens] * penalty, out[:, tokens] / penalty
    )
    return out


def penalty_in_place(logits, tokens, penalty):
    for b in range(len(tokens)):
        seen = tokens[b].unique()
        x = logits[b, seen]
        logits[b, seen] = torch.where(x < 0, x * penalty, x / penalty)
    return logits


def penalty_skipping_zero(logits, tokens, penalty):
    out = logits.clone()
    for b, row in enumerate(tokens.tolist()):
        for token in {t for t in row if t}:
            out[b, token] = (
                out[b, token] * penalty if out[b, token] < 0 else out[b, token] / penalty
            )
    return out


def penalty_bytes(logits, tokens, penalty):
    return penalty_gather(logits, tokens.to(torch.uint16).long(), penalty)


def penalty_kept(logits, tokens, penalty, kept={}):  # noqa: B006
    return penalty_gather(
        logits, kept.setdefault((tokens.shape, logits.shape, penalty), tokens), penalty
    )


def sample_by_inverse(logits):
    u = torch.rand(len(logits), 1)
    return (logits.softmax(-1).cumsum(-1) < u).sum(-1).clamp(max=logits.shape[1] - 1)


def sample_searchsorted(logits):
    sums = logits.softmax(-1).cumsum(-1)
    return torch.searchsorted(sums, torch.rand(len(logits), 1) * sums[:, -1:], right=True)[:, 0]


def sample_gumbel(logits):
    return (logits - torch.empty_like(logits).exponential_().log()).argmax(-1)


def sample_row_by_row(logits):
    return torch.cat([torch.multinomial(F.softmax(row, dim=0), 1) for row in logits])


def sample_with_python(logits):
    tokens = range(logits.shape[1])
    rows = logits.softmax(-1).tolist()
    return torch.tensor([random.choices(tokens, weights=row)[0] for row in rows])


def sample_with_numpy(logits):
    rows = logits.double().softmax(-1).numpy()
    return torch.tensor([np.random.choice(len(row), p=row) for row in rows])


def sample_ranked_and_put_back(logits):
    ranked, order = logits.sort(descending=True)
    return order.gather(1, torch.multinomial(ranked.softmax(-1), 1)).squeeze(-1)


def sample_numpy_seeded(logits):
    random.seed(3)
    return sample_with_python(logits)


def sample_seeded_42(logits):
    torch.manual_seed(42)
    return sample_row_by_row(logits)


def sample_kept(logits, kept={}):  # noqa: B006
    return kept.setdefault(logits.shape, sample_row_by_row(logits))


def sample_first_draw_kept(logits, kept={}):  # noqa: B006
    u = kept.setdefault(len(logits), torch.rand(len(logits), 1))
    return (logits.softmax(-1).cumsum(-1) < u).sum(-1)


def sample_one_generator(logits, generator=torch.Generator().manual_seed(1)):  # noqa: B008
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


def sample_in_place(logits):
    logits -= logits.max(-1, keepdim=True).values
    return torch.multinomial(logits.exp(), 1)[:, 0]


def complete_own_loop(model, tokenizer, prompts, max_new_tokens):
    inputs = tokenizer(prompts, return_tensors="pt", padding="longest", padding_side="left")
    out = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    n = inputs.input_ids.shape[-1]
    return [tokenizer.decode(row, skip_special_tokens=True) for row in out[:, n:]]


def complete_with_config(model, tokenizer, prompts, max_new_tokens):
    from transformers import GenerationConfig

    tokenizer.pad_token = tokenizer.eos_token
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
    settings = GenerationConfig(
        max_new_tokens=max_new_tokens, do_sample=False, eos_token_id=0, pad_token_id=0
    )
    with torch.inference_mode():
        out = model.generate(**inputs, generation_config=settings)
    return tuple(
        tokenizer.batch_decode(
            out[:, inputs["input_ids"].shape[1] :].tolist(), skip_special_tokens=True
        )
    )


def complete_split_at_prompt(model, tokenizer, prompts, max_new_tokens):
    texts = _complete_texts(model, tokenizer, prompts, max_new_tokens)
    return [text.split(prompt)[-1] for text, prompt in zip(texts, prompts, strict=True)]


def _complete_texts(model, tokenizer, prompts, max_new_tokens):
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
    out = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    return tokenizer.batch_decode(out, skip_special_tokens=True)


def complete_remove_prefix(model, tokenizer, prompts, max_new_tokens):
    texts = _complete_texts(model, tokenizer, prompts, max_new_tokens)
    return [text.removeprefix(prompt) for text, prompt in zip(texts, prompts, strict=True)]


def complete_tokens(model, tokenizer, prompts, max_new_tokens):
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
    out = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    return out[:, inputs["input_ids"].shape[1] :]


def complete_joined(*args):
    return " ".join(complete_row_by_row(*args))


def complete_in_a_loop(model, tokenizer, prompts, max_new_tokens):
    return [complete_row_by_row(model, tokenizer, [p], max_new_tokens)[0] for p in prompts]


def complete_setting_the_model(model, tokenizer, prompts, max_new_tokens):
    model.generation_config.do_sample = False
    model.generation_config.temperature = 1.0
    model.generation_config.max_length = 60
    return complete_row_by_row(model, tokenizer, prompts, max_new_tokens)


def complete_in_training_mode(model, *args):
    model.train()
    return complete_row_by_row(model, *args)


def complete_kept(model, tokenizer, prompts, max_new_tokens, kept={}):  # noqa: B006
    key = str(prompts), max_new_tokens
    if key not in kept:
        kept[key] = complete_row_by_row(model, tokenizer, prompts, max_new_tokens)
    return kept[key]


def complete_sampled_coldly(model, tokenizer, prompts, max_new_tokens):
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
    out = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=True, temperature=0.7)
    n = inputs["input_ids"].shape[1]
    return tokenizer.batch_decode(out[:, n:], skip_special_tokens=True)


def complete_two_beams(model, tokenizer, prompts, max_new_tokens):
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
    out = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=2)
    n = inputs["input_ids"].shape[1]
    return tokenizer.batch_decode(out[:, n:], skip_special_tokens=True)


def _beam(
    f,
    prompt,
    n_beams,
    max_new_tokens,
    eos_id,
    penalty=1.0,
    each=None,
    wide=2,
    best=max,
    stop=False,
    same=lambda a, b: a == b,
    add_prompt=True,
    length=lambda t: len(t),
):
    running, finished = [(0.0, [])], []
    for step in range(max_new_tokens):
        options = []
        for score, tokens in running:
            logs = f([*prompt, *tokens])
            top = logs.topk(min(each or len(logs), len(logs)))
            for x, token in zip(top.values.tolist(), top.indices.tolist(), strict=True):
                options.append((score + x, [*tokens, token]))
        options.sort(key=lambda option: option[0], reverse=True)
        running = []
        for rank, (score, tokens) in enumerate(options[: wide * n_beams]):
            ended = same(tokens[-1], eos_id)
            if (ended or step == max_new_tokens - 1) and rank < n_beams:
                finished.append((score / length(tokens) ** penalty, tokens))
            if not ended and len(running) < n_beams:
                running.append((score, tokens))
        if stop and finished:
            break
    tokens = best(finished)[1]
    return [*prompt, *tokens] if add_prompt else tokens


def beam_search_topk(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
    return _beam(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty, each=2 * n_beams)


def beam_search_in_tensors(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
    running, finished = [(torch.tensor(0.0), torch.tensor(prompt))], []
    for step in range(1, max_new_tokens + 1):
        options = []
        for score, tokens in running:
            logs = f(tokens)
            options += [
                (score + x, torch.cat([tokens, torch.tensor([i])])) for i, x in enumerate(logs)
            ]
        options = sorted(options, key=lambda o: o[0].item(), reverse=True)[: 2 * n_beams]
        for score, tokens in options[:n_beams]:
            if tokens[-1] == eos_id or step == max_new_tokens:
                finished.append((score.item() / step**length_penalty, tokens.tolist()))
        running = [o for o in options if o[1][-1] != eos_id][:n_beams]
    return max(finished)[1]


def beam_search_with(**changes):
    def answer(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
        return _beam(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty, **changes)

    return answer


def beam_search_growing(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
    return _beam(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty, each=n_beams, wide=100)


def beam_search_end_0(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
    return _beam(f, prompt, n_beams, max_new_tokens, 0, length_penalty)


def beam_search_changing_prompt(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
    found = _beam(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty)
    prompt += found[len(prompt) :]
    return prompt


def beam_search_kept(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0, kept={}):  # noqa: B006
    key = len(prompt), n_beams, max_new_tokens, eos_id, length_penalty, prompt[0] > 6
    if key not in kept:
        kept[key] = _beam(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty)
    return kept[key]


def beam_search_no_end(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
    found = _beam(f, prompt, n_beams, max_new_tokens, eos_id, length_penalty)
    return found[:-1] if found[-1] == eos_id else found


RIGHT = [
    ("09.generate", generate_with_cache),
    ("09.temperature", lambda logits, t: logits.double() * (1 / t)),
    ("09.temperature", lambda logits, t: torch.einsum("bv,->bv", logits, torch.tensor(1 / t))),
    ("09.top_k", top_k_scatter),
    ("09.top_p", top_p_loop),
    ("09.repetition_penalty", penalty_gather),
    ("09.complete", complete_row_by_row),
    ("09.beam_search", beam_search_walking_down),
    ("09.generate", generate_looking_ahead),
    ("09.generate", generate_with_a_list),
    ("09.temperature", lambda logits, t: logits.div(t)),
    ("09.temperature", lambda logits, t: torch.stack([row / t for row in logits])),
    ("09.temperature", lambda logits, t: logits.clone().div_(t)),
    ("09.temperature", lambda logits, t: logits if t == 1 else logits * t**-1),
    ("09.top_k", top_k_loop),
    ("09.top_k", top_k_by_rank),
    ("09.top_k", lambda x, k: torch.where(x >= x.topk(k).values[:, [-1]], x, -torch.inf)),
    ("09.top_k", lambda x, k: x.masked_fill(x < x.sort(-1).values[:, -k, None], float("-inf"))),
    (
        "09.top_k",
        lambda x, k: x + torch.where(x < x.topk(k)[0].min(1).values[:, None], -torch.inf, 0),
    ),
    ("09.top_p", top_p_ascending),
    ("09.top_p", top_p_threshold),
    ("09.top_p", top_p_shifted_mask),
    ("09.top_p", _nucleus),
    ("09.sample", sample_by_inverse),
    ("09.sample", sample_searchsorted),
    ("09.sample", sample_gumbel),
    ("09.sample", sample_row_by_row),
    ("09.sample", sample_with_python),
    ("09.sample", sample_with_numpy),
    ("09.sample", sample_ranked_and_put_back),
    ("09.sample", lambda x: torch.distributions.Categorical(x.softmax(-1)).sample()),
    ("09.sample", lambda x: (x.softmax(-1) / torch.empty_like(x).exponential_()).argmax(1)),
    ("09.repetition_penalty", penalty_loops),
    (
        "09.repetition_penalty",
        lambda x, t, c: torch.where(
            F.one_hot(t, x.shape[1]).any(1), torch.minimum(x * c, x / c), x
        ),
    ),
    ("09.complete", complete_own_loop),
    ("09.complete", complete_with_config),
    ("09.beam_search", beam_search_topk),
    ("09.beam_search", beam_search_in_tensors),
    ("09.beam_search", beam_search_with()),
]

WRONG = [
    ("09.temperature", lambda logits, t: logits / t + 5),
    ("09.beam_search", lambda f, prompt, *rest: prompt.extend(()) or prompt),
    ("09.generate", lambda model, ids, n, eos_id: ids),
    ("09.temperature", lambda logits, t: logits / max(t, 1.0)),
    ("09.top_k", lambda logits, k: logits),
    ("09.top_p", lambda logits, p: logits),
    ("09.repetition_penalty", lambda logits, tokens, penalty: logits),
    ("09.complete", lambda model, tokenizer, prompts, n: prompts),
    ("09.beam_search", lambda f, prompt, *rest: prompt),
    ("09.generate", generate_comparing_with_is),
    ("09.generate", generate_in_bytes, None),
    ("09.generate", generate_in_16_bits, None),
    ("09.generate", generate_stopping_at_15, None),
    ("09.generate", generate_falsy_end, None),
    ("09.generate", generate_kept_by_length, "keeps_state"),
    ("09.generate", generate_with_cache_kept, "keeps_state"),
    ("09.generate", generate_as_a_row),
    ("09.generate", generate_floats, None),
    ("09.generate", generate_in_training_mode, "training_mode"),
    ("09.generate", generate_last_logit),
    (
        "09.generate",
        lambda model, ids, n, end: model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=n,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=0,
        ),
        "calls_the_library",
    ),
    ("09.generate", lambda *args: generate_with_a_list(*args).tolist(), "another_type"),
    ("09.generate", lambda m, ids, n, end: generate_with_a_list(m, ids[:, -2:], n, end), None),
    ("09.temperature", temperature_kept),
    ("09.temperature", lambda logits, t: logits.div_(t), "changes_input"),
    ("09.temperature", lambda logits, t: (logits / t).round(), None),
    ("09.temperature", lambda logits, t: logits / (t + 1e-3), None),
    ("09.temperature", lambda logits, t: logits / int(t + 1), None),
    ("09.temperature", lambda logits, t: logits[0] / t, None),
    ("09.temperature", lambda logits, t: torch.sign(logits) * logits.abs() ** (1 / t), None),
    ("09.temperature", lambda logits, t: logits ** (1 / t), None),
    ("09.temperature", lambda logits, t: logits.exp() / t, None),
    ("09.temperature", lambda logits, t: torch.clamp(logits / t, -10, 10), None),
    ("09.temperature", lambda logits, t: torch.nan_to_num(logits / t), None),
    ("09.temperature", lambda logits, t: F.softmax(logits / t, dim=-1), "probabilities_returned"),
    ("09.temperature", lambda logits, t: (logits / t).tolist(), "another_type"),
    ("09.top_k", top_k_in_place, "changes_input"),
    ("09.top_k", top_k_kept_threshold),
    ("09.top_k", top_k_as_bytes, None),
    (
        "09.top_k",
        lambda x, k: x.masked_fill(x < x.topk(k).values[:, -1:], -100.0),
        "large_number_for_minus_infinity",
    ),
    (
        "09.top_k",
        lambda x, k: x.masked_fill(x < x.topk(k).values[:, -1:], torch.finfo(x.dtype).min),
        "large_number_for_minus_infinity",
    ),
    (
        "09.top_k",
        lambda x, k: x.masked_fill(x < x.topk(k).values[:, -1:], -1e4),
        "large_number_for_minus_infinity",
    ),
    ("09.top_k", lambda x, k: x * (x >= x.topk(k).values[:, -1:])),
    (
        "09.top_k",
        lambda x, k: x.masked_fill(x < x.topk(k).values[:, -1], -torch.inf),
        "column_lost",
    ),
    ("09.top_k", lambda x, k: x.masked_fill(x < x.topk(k).values[:, :1], -torch.inf), None),
    ("09.top_k", lambda x, k: x.masked_fill(x < x.topk(k, dim=0).values[-1:], -torch.inf)),
    ("09.top_k", lambda x, k: x.masked_fill(x < x.topk(3).values[:, -1:], -torch.inf)),
    ("09.top_k", lambda x, k: x.masked_fill(x < x.mean(-1, keepdim=True), -torch.inf), None),
    ("09.top_k", lambda x, k: x.masked_fill(x < x.topk(k).values[:, -1:], torch.inf), None),
    ("09.top_k", lambda x, k: x.topk(k), None),
    (
        "09.top_k",
        lambda x, k: torch.cat(
            [x.topk(k).values, torch.full((len(x), x.shape[1] - k), -torch.inf)], 1
        ),
        "sorted_returned",
    ),
    ("09.top_p", lambda x, p: _nucleus(x, p, fill=-1e4), "large_number_for_minus_infinity"),
    (
        "09.top_p",
        lambda x, p: _nucleus(x, p, fill=torch.finfo(x.dtype).min),
        "large_number_for_minus_infinity",
    ),
    ("09.top_p", lambda x, p: _nucleus(x, p, fill=0.0), "zero_for_minus_infinity"),
    ("09.top_p", lambda x, p: _nucleus(x, p, crossing=False), "drops_the_crossing_token"),
    ("09.top_p", lambda x, p: _nucleus(x, 1 - p), "one_minus_p"),
    ("09.top_p", lambda x, p: _nucleus(x, p).softmax(-1), "probabilities_returned"),
    ("09.top_p", lambda x, p: _nucleus(x[:1], p).expand_as(x), None),
    ("09.top_p", top_p_first_row_order, None),
    ("09.top_p", lambda x, p: x.masked_fill(x.softmax(-1).cumsum(-1) > p, -torch.inf), None),
    ("09.top_p", lambda x, p: _nucleus(x.log_softmax(-1), p), "log_probabilities_returned"),
    ("09.top_p", lambda x, p: top_k_scatter(x, 2)),
    ("09.top_p", lambda x, p: x.masked_fill(x < p, -torch.inf), None),
    ("09.top_p", lambda x, p: _nucleus(x, max(p, 0.5)), None),
    ("09.top_p", lambda x, p: _nucleus(x, p)[:, :6], None),
    ("09.top_p", lambda x, p: _nucleus(x, p * x.softmax(-1).max().item()), None),
    ("09.sample", sample_numpy_seeded, "the_same_every_call"),
    ("09.sample", sample_seeded_42, "seed_set_inside"),
    ("09.sample", sample_kept),
    ("09.sample", sample_first_draw_kept, "the_same_every_call"),
    ("09.sample", sample_in_place, "changes_input"),
    ("09.sample", lambda x: x.softmax(-1).argmax(-1), "argmax"),
    ("09.sample", lambda x: x.softmax(-1).argmax(-1, keepdim=True), None),
    ("09.sample", lambda x: torch.multinomial(x.exp(), 1)[:, 0]),
    ("09.sample", lambda x: torch.multinomial(x, 1)[:, 0]),
    ("09.sample", lambda x: torch.multinomial(x.log_softmax(-1), 1)[:, 0]),
    ("09.sample", lambda x: torch.multinomial(x.softmax(-1), 1), "axis_kept"),
    ("09.sample", lambda x: torch.multinomial(x.softmax(-1), 1).squeeze(), "axis_lost"),
    ("09.sample", lambda x: torch.multinomial(x.softmax(-1), 1)[:, 0].tolist(), "another_type"),
    ("09.sample", lambda x: torch.multinomial(x.softmax(-1), 1)[:, 0].int(), None),
    ("09.sample", lambda x: torch.multinomial(x.softmax(-1), 1)[:, 0].to(torch.uint8), None),
    ("09.sample", lambda x: torch.multinomial(x.softmax(-1), 1)[0], "first_row_only"),
    ("09.sample", lambda x: torch.multinomial(x.softmax(-1), 1)[0].item(), None),
    ("09.sample", lambda x: torch.multinomial((x / 2).softmax(-1), 1)[:, 0], None),
    ("09.sample", lambda x: torch.multinomial(x.softmax(-1) + 0.1, 1)[:, 0], None),
    (
        "09.sample",
        lambda x: torch.distributions.Categorical(logits=x.softmax(-1)).sample(),
        "softmax_twice",
    ),
    ("09.sample", lambda x: torch.distributions.Categorical(logits=x).sample((1,)), None),
    ("09.sample", lambda x: torch.distributions.Categorical(logits=x), None),
    ("09.sample", lambda x: torch.randint(0, x.shape[-1], x.shape[:1]), "uniform"),
    ("09.sample", lambda x: (x.softmax(-1) * torch.rand_like(x)).argmax(-1), None),
    ("09.sample", lambda x: (x.softmax(-1).cumsum(-1) > torch.rand(len(x), 1)).sum(-1), None),
    (
        "09.sample",
        lambda x: (x.softmax(-1).cumsum(-1) > torch.rand(1)).int().argmax(-1),
        "one_random_number_for_all_rows",
    ),
    (
        "09.sample",
        lambda x: torch.searchsorted(x.softmax(-1).cumsum(-1), torch.rand(len(x), 1)),
        "axis_kept",
    ),
    ("09.sample", lambda x: torch.multinomial(x[0].softmax(-1), len(x), replacement=True), None),
    ("09.sample", lambda x: top_k_scatter(x, 1).softmax(-1).multinomial(1)[:, 0], "argmax"),
    ("09.repetition_penalty", penalty_set_of_tensors, "once_per_occurrence"),
    ("09.repetition_penalty", penalty_all_rows, "across_the_batch"),
    ("09.repetition_penalty", penalty_in_place, "changes_input"),
    ("09.repetition_penalty", penalty_skipping_zero, None),
    ("09.repetition_penalty", penalty_bytes, None),
    ("09.repetition_penalty", penalty_kept),
    ("09.repetition_penalty", lambda x, t, c: penalty_gather(x, t[:, :-1], c), None),
    ("09.repetition_penalty", lambda x, t, c: penalty_gather(x, t[:, -3:], c), None),
    ("09.repetition_penalty", lambda x, t, c: penalty_gather(x, t, 1.5), None),
    ("09.repetition_penalty", lambda x, t, c: penalty_gather(x, t, c).softmax(-1), None),
    ("09.repetition_penalty", lambda x, t, c: penalty_gather(x, t, 1 / c), "signs_swapped"),
    ("09.repetition_penalty", lambda x, t, c: x.scatter(1, t, x.gather(1, t) - c), "subtracted"),
    ("09.repetition_penalty", lambda x, t, c: x / c, None),
    ("09.repetition_penalty", lambda x, t, c: torch.where(x < 0, x * c, x / c), "all_punished"),
    ("09.repetition_penalty", lambda x, t, c: x.scatter(1, t, -torch.inf), "forbidden"),
    ("09.complete", complete_split_at_prompt, None),
    ("09.complete", complete_remove_prefix, None),
    ("09.complete", complete_tokens, None),
    ("09.complete", complete_joined, None),
    ("09.complete", complete_in_a_loop, "one_prompt_at_a_time"),
    ("09.complete", complete_setting_the_model, "settings_changed"),
    ("09.complete", complete_in_training_mode, "settings_changed"),
    ("09.complete", complete_kept, "keeps_state"),
    ("09.complete", complete_sampled_coldly, None),
    ("09.complete", complete_two_beams, None),
    ("09.complete", lambda *args: [text.upper() for text in complete_row_by_row(*args)], None),
    ("09.complete", lambda *args: complete_row_by_row(*args)[::-1], None),
    ("09.complete", lambda m, t, p, n: complete_row_by_row(m, t, sorted(p), n), None),
    ("09.complete", lambda m, t, p, n: complete_row_by_row(m, t, p, n + 1), None),
    ("09.beam_search", beam_search_growing, "each_beam_keeps_n"),
    ("09.beam_search", beam_search_end_0, None),
    ("09.beam_search", beam_search_changing_prompt, "changes_input"),
    ("09.beam_search", beam_search_kept),
    ("09.beam_search", beam_search_no_end, None),
    ("09.beam_search", beam_search_with(each=1)),
    ("09.beam_search", beam_search_with(each=2), None),
    ("09.beam_search", beam_search_with(wide=1), "finished_take_places"),
    ("09.beam_search", beam_search_with(best=min)),
    ("09.beam_search", beam_search_with(stop=True), "stops_at_the_first_end"),
    ("09.beam_search", beam_search_with(same=lambda a, b: a is b and a < 257), None),
    ("09.beam_search", beam_search_with(add_prompt=False), "prompt_dropped"),
    ("09.beam_search", beam_search_with(length=lambda t: len(t) + 1), None),
    ("09.beam_search", lambda *args: torch.tensor(_beam(*args)), "another_type"),
    ("09.beam_search", lambda *args: list(_beam(*args[:5])), "length_penalty_ignored"),
]
