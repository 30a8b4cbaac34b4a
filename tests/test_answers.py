"""Answers as learners write them: right ones in an unusual style, and mistakes nobody listed."""

import numpy as np
import pytest
import torch

from utils.checks import judge


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
    ("00.nearest", lambda query, keys: 0),
    ("00.nearest", lambda query, keys: int(np.abs(keys[:, :2] - query[:2]).sum(1).argmin())),
    ("00.shares", lambda x: (x / x.sum(1, keepdims=True)).squeeze()),
    ("01.softmax", lambda x: _stable(x) if np.max(x) > 700 else np.exp(x) / np.exp(x).sum(-1)),
    ("09.temperature", lambda logits, t: logits / t + 5),
    ("09.beam_search", lambda f, prompt, *rest: prompt.extend(()) or prompt),
    ("01.scores", lambda q, k: np.abs(q @ k.T)),
    ("01.scores", lambda q, k: (q @ k.T).astype(int)),
    ("01.softmax", lambda x: np.round(_stable(x), 3)),
    ("01.softmax", lambda x: _stable(np.clip(x, -50, 50))),
    ("01.attention", lambda q, k, v: _stable(np.abs(q @ k.T) / np.sqrt(k.shape[1])) @ v),
    ("01.attention", lambda q, k, v: _stable(q @ k.T / np.sqrt(k.shape[1])).T @ v),
    ("01.score_variance", lambda d_k, mean=0, std=1: d_k),
    ("09.generate", lambda model, ids, n, eos_id: ids),
    ("09.temperature", lambda logits, t: logits / max(t, 1.0)),
    ("09.top_k", lambda logits, k: logits),
    ("09.top_p", lambda logits, p: logits),
    ("09.repetition_penalty", lambda logits, tokens, penalty: logits),
    ("09.complete", lambda model, tokenizer, prompts, n: prompts),
    ("09.beam_search", lambda f, prompt, *rest: prompt),
]


def _stable(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(("key", "answer"), RIGHT)
def test_right_in_an_unusual_style(key, answer):
    outcome = judge(key, answer)
    assert outcome.status == "right", outcome


@pytest.mark.parametrize(("key", "answer"), WRONG)
def test_wrong_never_passes(key, answer):
    outcome = judge(key, answer)
    assert outcome.status in ("wrong", "raised"), outcome
    assert outcome.message
