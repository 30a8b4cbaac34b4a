"""Answers to lesson 09: right ones in an unusual style, and mistakes that nobody listed."""

import torch


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


RIGHT = [
    ("09.generate", generate_with_cache),
    ("09.temperature", lambda logits, t: logits.double() * (1 / t)),
    ("09.temperature", lambda logits, t: torch.einsum("bv,->bv", logits, torch.tensor(1 / t))),
    ("09.top_k", top_k_scatter),
    ("09.top_p", top_p_loop),
    ("09.repetition_penalty", penalty_gather),
    ("09.complete", complete_row_by_row),
    ("09.beam_search", beam_search_walking_down),
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
]
