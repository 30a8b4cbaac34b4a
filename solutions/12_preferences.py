# %% [markdown]
r"""
# 12 · Preferences and rewards

So far somebody always showed the model the answer. But who could write down the best answer to *comfort a friend*, or the proof that nobody has found? Often one can do less, and it is enough: say which of two answers is **better**, or check whether one is **right**. In this lesson a model learns from no more than that.

It is how assistants such as ChatGPT are made: pretraining, then examples, then preferences and rewards. You will run each step at a size that fits on your machine. And you will see the trap in it, in one picture: a model that is rewarded by a judge learns to please the *judge*. Its score climbs, while its answers go wrong.

**Needs:** the loss of a language model (lesson 7), LoRA (lesson 11). **Takes:** about 110 minutes. **Exercises:** 12.1 to 12.6.
"""

# %%
import copy
import math
import re

import peft
import torch
import torch.nn.functional as F
import transformers
from scipy.stats import binomtest
from torch import nn
from torch.distributions import Categorical, kl_divergence
from transformers import AutoModelForCausalLM, AutoTokenizer

from utils import data, house, models, plots
from utils.checks import lesson12 as checks
from utils.progress import bar

transformers.logging.disable_progress_bar()
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

# %% [markdown]
r"""
## 1 How an assistant is made

| step | what it learns from | where |
| --- | --- | --- |
| pretraining | texts; predict the next token | lesson 7, in small |
| supervised fine-tuning (SFT) | examples of good answers | lesson 11 |
| reward model | pairs of answers, and which a person prefers | section 3 |
| reinforcement | a score for each answer that the model tries: from the reward model (PPO: Ouyang et al., 2022, §3), or from a rule that checks it (GRPO: Shao et al., 2024, §4.1) | sections 5 and 6 |
| or, without the last two: DPO | the same pairs, directly (Rafailov et al., 2023, §4) | section 4 |

For ChatGPT's predecessor 40 people wrote and compared answers (Ouyang et al., §3.4). We have none. So our judges will be rules, which has an advantage for a lesson: we know the truth, and can hold it beside what is optimised. Nobody who trains on people's opinions can do that.

## 2 A model that is half right

A small model with a small job: to sort six digits. `314159>` is to become `113459.`. It is a Transformer like all before it, of two layers, and it gets its supervised training from no more than 200 examples: enough to learn what is wanted, and not enough to do it well.

For that it needs the probability of a whole answer.

### Exercise 12.1 · `sequence_log_prob` ★★ · 10 minutes

How likely a model thinks an answer: the sum of the log-probabilities of its tokens.

- `logits`: `(B, T, V)`; `labels`: `(B, T)`. They are aligned already: `logits[:, t]` predicts `labels[:, t]`
- where a label is `-100` (prompt, padding) nothing is counted; a row of nothing else gives 0; the labels stay as they are
- returns `(B,)`, through which a gradient reaches the logits; write it with `log_softmax`, for logits may be 1000. The logits may be a slice of a larger tensor, for which `view` does not work (`reshape` does)

By hand: with `V = 2`, logits of zeros and the labels `[[0, 1, -100]]` two tokens count, each with ln ½: −1.386.
"""


# %% tags=["answer"]
def sequence_log_prob(logits, labels):
    """ln p(answer) for each row: (B, T, V), (B, T) -> (B,)."""
    ### BEGIN SOLUTION
    counts = labels != -100
    picked = logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]  # (B, T)
    return picked.where(counts, 0).sum(1)
    ### END SOLUTION


# %% tags=["check"]
sequence_log_prob = checks.sequence_log_prob(sequence_log_prob)

# %% [markdown]
r"""
The task, as tensors. An answer has seven tokens, six digits and a point that ends it. A thousand prompts are held out, and no training ever sees them.
"""

# %%
CHARS, ARROW, POINT, N = "0123456789>.", 10, 11, 6


def draw_prompts(n, generator):
    return F.pad(torch.randint(10, (n, N), generator=generator), (0, 1), value=ARROW)  # (n, 7)


def solution(prompts):
    return F.pad(prompts[:, :N].sort(1).values, (0, 1), value=POINT)  # (n, 7)


def right(prompts, answers):
    """1.0 where an answer is right, 0.0 where it is not: (n,)."""
    return (answers == solution(prompts)).all(1).float()


def number(prompts):
    return (prompts[:, :N] * 10 ** torch.arange(N)).sum(1)


HELD_OUT = draw_prompts(1000, torch.Generator().manual_seed(999))


# %%
def fresh(n, generator):
    """n prompts of which none is held out."""
    prompts = draw_prompts(n + n // 8 + 8, generator)
    return prompts[~torch.isin(number(prompts), number(HELD_OUT))][:n]


def as_text(prompt, answer):
    written = "".join(CHARS[i] for i in answer).split(".")[0]
    return "".join(CHARS[i] for i in prompt) + written


# %%
prompts = fresh(2, torch.Generator().manual_seed(0))
print(*(as_text(*pair) for pair in zip(prompts, solution(prompts), strict=True)))


# %%
class Sorter(nn.Module):
    """A small GPT: ids (B, T) -> (B, T, n_out)."""

    def __init__(self, n_out, d_model=64, n_layers=2, n_heads=4):
        super().__init__()
        self.tokens = nn.Embedding(len(CHARS), d_model)
        self.positions = nn.Embedding(2 * N + 2, d_model)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.1)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                d_model, n_heads, 4 * d_model, dropout=0, activation="gelu",
                batch_first=True, norm_first=True,
            ) for _ in range(n_layers)
        )  # fmt: skip
        self.norm, self.head = nn.LayerNorm(d_model), nn.Linear(d_model, n_out)

    def forward(self, ids):
        T = ids.shape[1]
        x = self.tokens(ids) + self.positions.weight[:T]  # (B, T, d_model)
        mask = nn.Transformer.generate_square_subsequent_mask(T)
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=True)
        return self.head(self.norm(x))


# %%
def answer_logits(model, prompts, answers):
    """The logits that predict the answer: (B, 7, 12)."""
    return model(torch.cat([prompts, answers], 1)[:, :-1])[:, N:]


@torch.no_grad()
def sample(model, prompts, generator=None):
    """Answers (B, 7), drawn or without a generator greedy, and which of their tokens count."""
    ids, done = prompts, torch.zeros(len(prompts), dtype=torch.bool)
    for _ in range(N + 1):
        p = model(ids)[:, -1].softmax(-1)  # (B, 12)
        new = torch.multinomial(p, 1, generator=generator)[:, 0] if generator else p.argmax(-1)
        new = new.where(~done, POINT)
        done = done | (new == POINT)
        ids = torch.cat([ids, new[:, None]], 1)
    answers = ids[:, N + 1 :]
    ended = (answers == POINT).long()
    return answers, ended.cumsum(1) - ended == 0


# %%
def learn_from_examples(seed, n_examples=200, steps=200):
    """Supervised fine-tuning, from nothing."""
    torch.manual_seed(seed)
    lots = torch.Generator().manual_seed(seed)
    examples, model = fresh(n_examples, lots), Sorter(len(CHARS))
    optimizer = torch.optim.Adam(model.parameters())
    for i in bar(range(steps), "examples"):
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1, (i + 1) / 50, 1.02 - i / steps)
        prompts = examples[torch.randint(n_examples, (64,), generator=lots)]
        answers = solution(prompts)
        loss = -sequence_log_prob(answer_logits(model, prompts, answers), answers).mean() / (N + 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def share_right(model, generator=None):
    """The share of held-out prompts that are answered right, greedily or by drawing."""
    answers, _ = sample(model, HELD_OUT, generator)
    return right(HELD_OUT, answers).mean().item()


# %% tags=["nbval-ignore-output"]
sft = learn_from_examples(seed=0)
before = share_right(sft, torch.Generator().manual_seed(1))
answers, _ = sample(sft, HELD_OUT[:4], torch.Generator().manual_seed(0))
print(f"right in {before:.0%} of 1,000 held-out cases:")
print(*(as_text(*pair) for pair in zip(HELD_OUT[:4], answers, strict=True)))
assert 0.35 < before < 0.85, "200 examples should make it half right"

# %% [markdown]
r"""
## 3 Which of two is better?

Give the model a prompt twice, and it draws two answers. A judge says which is better: the one with more tokens in their places. (Pairs that are equally good, and most are, are left out.) And like people the judge errs: once in ten times it says the opposite.

From such pairs a **reward model** learns to give *one* answer a score. Bradley and Terry (1952) have a model of comparisons that fits. Think of players: each has a strength $s$, and $a$ wins against $b$ with the probability $\sigma(s_a - s_b)$. Who has won is known; find the strengths under which that was likely.

### Exercise 12.2 · `reward_loss` ★ · 6 minutes

- `chosen`, `rejected`: `(N,)`, the scores of the preferred answers and of the others
- returns the mean of $-\ln \sigma(\text{chosen} - \text{rejected})$, a tensor of shape `()` with a gradient
- scores may lie 1000 apart: `F.logsigmoid`

By hand: equal scores give ln 2 = 0.693 (a coin); 2 against 0 gives 0.127.
"""


# %% tags=["answer"]
def reward_loss(chosen, rejected):
    """How badly two rows of scores explain who was preferred: (N,), (N,) -> ()."""
    ### BEGIN SOLUTION
    return -F.logsigmoid(chosen - rejected).mean()
    ### END SOLUTION


# %% tags=["check"]
reward_loss = checks.reward_loss(reward_loss)


# %%
def judged_pairs(model, n, generator):
    """Prompts, preferred answers, the others, and whether the judge was right."""
    prompts = fresh(n, generator)
    a, b = (sample(model, prompts, generator)[0] for _ in range(2))  # (n, 7) each
    good_a, good_b = ((x == solution(prompts)).sum(1) for x in (a, b))
    errs = torch.rand(n, generator=generator) < 0.1
    first = (good_a > good_b) ^ errs  # the judge says: a
    pick = first[:, None]
    differ = good_a != good_b  # equally good pairs are left out
    return [x[differ] for x in (prompts, a.where(pick, b), b.where(pick, a), ~errs)]


def score(reward_model, prompts, answers):
    """One number for each answer, read off at its end: (B,)."""
    return reward_model(torch.cat([prompts, answers], 1))[:, -1, 0]


# %% [markdown]
r"""
The reward model is the language model with another head, one number in place of twelve logits (Ouyang et al., §3.5, do the same with a large one).
"""


# %%
def learn_from_pairs(model, seed, n=2000, steps=90):
    """A reward model from a judge's opinions on a model's own answers."""
    torch.manual_seed(seed)
    lots = torch.Generator().manual_seed(seed)
    prompts, chosen, rejected, _ = judged_pairs(model, n, lots)
    judge = Sorter(n_out=1)
    body = {k: v for k, v in model.state_dict().items() if not k.startswith("head")}
    judge.load_state_dict(body, strict=False)
    optimizer = torch.optim.Adam(judge.parameters())
    for i in bar(range(steps), "pairs"):
        optimizer.param_groups[0]["lr"] = 1e-3 * min(1, (i + 1) / 20, 1.02 - i / steps)
        j = torch.randint(len(prompts), (64,), generator=lots)
        better, worse = score(judge, prompts[j], chosen[j]), score(judge, prompts[j], rejected[j])
        loss = reward_loss(better, worse)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return judge.requires_grad_(False)


# %% [markdown]
r"""
**Predict** in how many of new pairs the reward model will agree with the truth. (A coin agrees with half. The judge itself, with nine of ten.)
"""

# %% tags=["nbval-ignore-output"]
reward_model = learn_from_pairs(sft, seed=50)
prompts, chosen, rejected, fair = judged_pairs(sft, 1000, torch.Generator().manual_seed(7))
agrees = score(reward_model, prompts, chosen) > score(reward_model, prompts, rejected)
other = prompts.roll(1, 0)  # each answer behind somebody else's question
blind = (score(reward_model, other, chosen) > score(reward_model, other, rejected)) == fair
print(f"{len(prompts)} new pairs: it agrees with the judge in {agrees.float().mean():.0%}, "
      f"with the truth in {(agrees == fair).float().mean():.0%}, without seeing the question in {blind.float().mean():.0%}")  # fmt: skip
assert (agrees == fair).float().mean() > 0.6, "better than a coin"

# %% [markdown]
r"""
Better than a coin, and far from perfect. That is what reward models are like: the one of Ouyang et al. agrees with people who had no part in its training in 69.6% of pairs (§4.1), and people do not always agree with each other either. The last number is a control: the same pairs behind *another* question. A good part of what this judge knows it knows without the question: some answers look better than others, whatever was asked. We will let a model be taught by it in section 6. Remember both numbers.

## 4 Without a reward model

Rafailov et al. (2023, §4) noticed that one can do without. Write π for the model that learns, and β for the price of moving away from where it began. If a model is to earn a reward without moving away too far from a **reference** (itself, before), then the best such model can be written down; and solved for the reward, that is

$$r(x, y) = \beta \ln \frac{\pi(y \mid x)}{\pi_{\text{ref}}(y \mid x)} + \text{something that depends on } x \text{ only.}$$

So the model *is* a reward model: how much likelier has it made an answer than the reference does? Put this into Bradley and Terry's loss. Only the difference of two answers to the same $x$ counts, and so the something goes away.

### Exercise 12.3 · `dpo_loss` ★★★ · 12 minutes

Direct preference optimisation.

- `policy_chosen`, `policy_rejected`, `reference_chosen`, `reference_rejected`: `(N,)`, the log-probabilities of whole answers, under the model that learns and under the reference
- returns the mean of $-\ln\sigma\big(\beta\,[(\text{policy} - \text{reference})_{\text{chosen}} - (\text{policy} - \text{reference})_{\text{rejected}}]\big)$, shape `()`
- the reference is a constant: no gradient flows into its numbers; the result has the inputs' dtype
- a `ValueError` (with a sentence) if `beta` is not above 0: nothing would be learned

By hand: policy −10 and −12, reference −11 and −11, `beta = 0.5`: 0.5 · (1 + 1) = 1, and the loss is −ln σ(1) = 0.313.
"""


# %% tags=["answer"]
def dpo_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    """The loss of direct preference optimisation: four times (N,) -> ()."""
    ### BEGIN SOLUTION
    if beta <= 0:
        raise ValueError(f"beta is {beta}: it must be above 0, or nothing is learned")
    chosen = policy_chosen - reference_chosen.detach()
    rejected = policy_rejected - reference_rejected.detach()
    return -F.logsigmoid(beta * (chosen - rejected)).mean()
    ### END SOLUTION


# %% tags=["check"]
dpo_loss = checks.dpo_loss(dpo_loss)

# %% [markdown]
r"""
Two things that must hold. At the start the model is the reference, both brackets are 0, and the loss is ln 2, whatever the numbers. And its gradient, which the paper gives in words (§4: push the chosen up and the rejected down, the more, the more the model ranks them wrongly), must agree with what small steps show:
"""

# %%
p, r = torch.tensor([-5.0, -7.0]).double(), torch.tensor([-6.0, -4.0]).double()
print(f"at the start {dpo_loss(p, r, p, r, beta=0.1):.6f}, ln 2 = {math.log(2):.6f}")
four = [p.requires_grad_(), r.requires_grad_(), p.detach() - 0.5, r.detach() - 2]
slope = torch.autograd.grad(dpo_loss(*four, beta=0.1), four[:2])
step = 1e-6 * torch.tensor([1.0, 0.0]).double()
up, down = (dpo_loss(four[0] + sign * step, *four[1:], beta=0.1) for sign in (1, -1))
print(
    f"the first chosen answer: gradient {slope[0][0]:.6f}, by small steps {(up - down) / 2e-6:.6f}"
)
print(f"the first rejected one:  gradient {slope[1][0]:.6f}")
assert abs(slope[0][0] - (up - down) / 2e-6) < 1e-8, "the gradient should be what small steps show"

# %% [markdown]
r"""
Now in earnest, with SmolLM2. It is a talker: ask it something, and it goes on for as long as it may. We prefer **one sentence**. The pairs come from the model itself. It answers some questions; *chosen* is its answer up to the end of the first sentence, followed by the end mark; *rejected* is the same with up to six more tokens. (Only questions with a long enough answer give a pair.)
"""

# %%
folder = models.path("SmolLM2-135M-Instruct")
tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
base.requires_grad_(False)
END = tokenizer.convert_tokens_to_ids("<|im_end|>")
VOCAB = tokenizer.get_vocab()  # raw pieces: Ġ stands for a space, Ċ for a new line
CLOSES = {i for piece, i in VOCAB.items() if piece[-1] in ".!?"}
OPENS = {i for piece, i in VOCAB.items() if piece[0] in "ĠĊ"} | {END}


def page(question, extra=""):
    return f"<|im_start|>user\n{question}{extra}<|im_end|>\n<|im_start|>assistant\n"


def first_sentence(ids):
    """How many tokens the first sentence has, once the token after it is known; else None."""
    ends = (i for i in range(2, len(ids)) if ids[i - 1] in CLOSES and ids[i] in OPENS)
    return next(ends, None)


# %% [markdown]
r"""
`answer` is lesson 9's greedy loop for many questions at once: padding on the left, a cache, and a row that leaves the batch as soon as all is known about it. `log_probs` after it puts pairs into rows, with labels of -100 for prompt and padding (lesson 11), and asks your `sequence_log_prob`. The two answers of a pair differ only in how they end, so one row of logits serves for both.
"""


# %%
@torch.no_grad()
def answer(model, questions, extra="", more=1, n=28):
    """Greedy answers; a row leaves the batch `more` tokens after its first sentence."""
    batch = tokenizer([page(q, extra) for q in questions], return_tensors="pt", padding=True)
    mask, rows, written = batch.attention_mask, list(range(len(questions))), [[] for _ in questions]
    out = model(**batch, position_ids=(mask.cumsum(1) - 1).clamp(min=0), logits_to_keep=1)
    for _ in range(n):
        new = out.logits[:, -1].argmax(-1)  # (rows left,)
        for row, token in zip(rows, new.tolist(), strict=True):
            written[row].append(token)
        go = [i for i, row in enumerate(rows) if written[row][-1] != END
              and len(written[row]) < (first_sentence(written[row]) or n) + more]  # fmt: skip
        if not go:
            break
        rows, mask = [rows[i] for i in go], F.pad(mask[go], (0, 1), value=1)
        out.past_key_values.batch_select_indices(torch.tensor(go))
        out = model(new[go][:, None], attention_mask=mask, past_key_values=out.past_key_values,
                    position_ids=mask.sum(1, keepdim=True) - 1)  # fmt: skip
    return written


# %%
questions = data.everyday_questions()["training"]
own = answer(base, questions[:21], more=6)
ends = [first_sentence(ids) for ids in own]
pairs = [
    (tokenizer(page(question)).input_ids, ids[:end] + [END], ids[: end + 6])
    for question, ids, end in zip(questions, own, ends, strict=False)
    if end and ids[end] != END
][:16]
print(len(pairs), "pairs, such as")
print("+", repr(tokenizer.decode(pairs[0][1])), "\n-", repr(tokenizer.decode(pairs[0][2])))


# %%
def log_probs(model, batch):
    """ln p of the chosen and of the rejected answers of some pairs: (B,) and (B,)."""
    T = max(len(prompt + rejected) for prompt, _, rejected in batch)

    def padded(row, filler):
        return row + [filler] * (T - len(row))

    texts = torch.tensor([padded(prompt + rejected, END) for prompt, _, rejected in batch])
    labels = [
        torch.tensor([padded([-100] * len(pair[0]) + pair[which], -100) for pair in batch])
        for which in (1, 2)
    ]  # (B, T) each
    first = min(len(prompt) for prompt, *_ in batch)  # the head is asked from here on
    hidden = model.model(texts, use_cache=False).last_hidden_state[:, first - 1 : -1]
    logits = model.lm_head(hidden)
    return [sequence_log_prob(logits, rows[:, first:]) for rows in labels]


with torch.no_grad():  # the reference never changes: once is enough
    reference = [log_probs(base, pairs[i : i + 2]) for i in range(0, 16, 2)]

# %% [markdown]
r"""
What learns is a LoRA adapter (lesson 11, now from `peft`) on the queries and values of the upper half, with eight steps of two pairs each. What is printed for a step is about its own two pairs, so it goes up and down.
"""

# %%
PLACES = peft.LoraConfig(
    r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], layers_to_transform=list(range(15, 30))
)


# %%
def dpo(seed, rate, steps=8, beta=0.1):
    """DPO on the pairs; returns the model, and each step's loss and moved log-probabilities."""
    torch.manual_seed(seed)
    twin = copy.deepcopy(base, {id(p): p for p in base.parameters()})  # shares all weights
    model, history = peft.inject_adapter_in_model(PLACES, twin).eval(), []
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters)
    for i in bar(torch.randperm(8)[:steps].tolist(), "DPO"):
        optimizer.param_groups[0]["lr"] = rate * min(1, (len(history) + 1) / 3)
        now = log_probs(model, pairs[2 * i : 2 * i + 2])
        loss = dpo_loss(*now, *reference[i], beta)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        history.append(
            (loss.item(), *((x - y).mean().item() for x, y in zip(now, reference[i], strict=True)))
        )
    return model, history


# %% [markdown]
r"""
**Predict:** of 54 new questions, how many get exactly one sentence: before; when the question ends with *Answer in one sentence.*; and after those eight steps? And, since nothing is free: what happens to the facts in the answers?
"""

# %% tags=["nbval-ignore-output"]
tuned, moved = dpo(seed=0, rate=1.5e-3)
for loss, chosen, rejected in moved:
    print(f"loss {loss:.2f}   chosen {chosen:+6.2f}   rejected {rejected:+6.2f}")
assert abs(moved[0][0] - math.log(2)) < 1e-5 and moved[-1][0] < 0.6, "the loss should begin at ln 2, and fall"


# %%
def one_sentence(ids):
    end = first_sentence(ids)
    return end is not None and ids[end] == END and "\n" not in tokenizer.decode(ids).strip()


def facts(answers, known):
    """How many answers have the word that a right one must have."""
    return sum(
        any(re.search(rf"\b{word}", tokenizer.decode(ids), re.IGNORECASE) for word in words)
        for ids, words in zip(answers, known, strict=True)
        if words
    )


asked, known = zip(*data.everyday_questions()["held out"], strict=True)
runs = {
    "before": (base, ""),
    "asked for it": (base, " Answer in one sentence."),
    "DPO": (tuned, ""),
}

# %% tags=["nbval-ignore-output"]
short = {}
for name, (model, extra) in runs.items():
    said = answer(model, asked, extra)
    short[name] = k = sum(map(one_sentence, said))
    low, high = binomtest(k, len(asked)).proportion_ci(method="wilson")
    print(f"{name:<13} one sentence {k:>2} of {len(asked)} ({low:.0%} to {high:.0%}), "
          f"facts {facts(said, known)} of {sum(map(bool, known))}:  {tokenizer.decode(said[21])!r}")  # fmt: skip
assert short["DPO"] > short["before"] + 15

# %% [markdown]
r"""
Sixteen pairs and eight steps, and mostly it keeps to one sentence. But look at the line in the middle before you celebrate. Asking for it in the prompt does as well, and costs nothing. (Facts are few, 21, and a few more or fewer may be luck; but with three seeds of ours DPO never had more of them than before. And every answer is cut after 28 tokens: a longer first sentence counts against all three.) What one can ask for, one should ask for. A second rival is as humbling: plain fine-tuning (lesson 11) on the 16 *chosen* answers alone, at the same rate and for as many steps, gave us 52 and 51 of 54 with two seeds, and lost no facts. Where one can show the better answer, one should show it. DPO is for what nobody manages to say or to show, where all one has is which of two is better.

What did it cost elsewhere? The perplexity on ordinary paragraphs (lesson 11) tells. And there is something to see in the printed steps, too: DPO looks only at the *difference*. **Predict** what happens to both log-probabilities at a rate ten times as large, within four steps:
"""


# %%
@torch.no_grad()
def perplexity(model):
    """exp(mean loss per token) on two paragraphs of ordinary English."""
    texts = [tokenizer(text, return_tensors="pt").input_ids for text in house.PARAGRAPHS[:2]]
    nats = [
        F.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="sum").item()
        for ids in texts
    ]
    return math.exp(sum(nats) / sum(ids.shape[1] - 1 for ids in texts))


# %% tags=["nbval-ignore-output"]
broken, wild = dpo(seed=0, rate=1.5e-2, steps=4)
for name, model in (("before", base), ("DPO", tuned), ("ten times the rate", broken)):
    (said,) = answer(model, asked[:1], n=12)
    print(f"{name:<19} perplexity {perplexity(model):9.1f}   {tokenizer.decode(said)!r}")
print("its loss, step by step:", *(f"{loss:.3f}" for loss, _, _ in wild))

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(2, height=2.6)
for ax, curve, title in zip(
    axes, (moved, wild), ("the rate as above", "ten times the rate"), strict=True
):
    ax.plot([row[1] for row in curve], color=plots.BLUE, label="chosen")
    ax.plot([row[2] for row in curve], color=plots.ORANGE, label="rejected")
    ax.axhline(0, color=plots.GREY, linewidth=1)
    ax.set(xlabel="step", title=title)
    ax.xaxis.get_major_locator().set_params(integer=True)
axes[0].set_ylabel("log-probability, moved by")
axes[0].legend()
plots.show(fig, "Left, the chosen answers rise and the rejected fall. Right, both fall in the end.")
assert wild[-1][1] < 0 and wild[-1][2] < wild[-1][1], "both should fall in the end, the rejected further"

# %% [markdown]
r"""
(Each point is measured before its step, on the two pairs of that step.) At the modest rate the perplexity has risen a little. At the large one, on the right (mind its other scale), *both* fall in the end: the chosen answers, too, have become far less likely than they were, only the rejected ones still less. The loss is content with that; it is the lowest of all. The model is broken: what it writes is rubbish. So watch the chosen log-probability when you run DPO, and never the loss alone. And even that can look well too long, for the same thing happens on the left, out of sight. What both answers of a pair *share* cancels in the loss, so nothing holds it: taken apart, the chosen answers' rise was all due to the end mark (9 nats more), while the sentence before it, the same in both answers, had become less likely by 4.6. (The paper is silent on it; Pal et al., 2024, explain that it happens where the two answers differ little, and propose a cure.)

## 5 A reward that can be checked

Back to the sorter. Whether digits are sorted can be checked by a rule, as the result of a sum can, or a program by its tests. Then no judge is needed, and no pairs. Let the model try, and make likelier what was rewarded: **reinforcement learning**.

One question remains: rewarded, compared with what? To an easy prompt most answers are right by themselves. GRPO (Shao et al., 2024, §4.1.1) has a simple reply: draw a **group** of answers to the *same* prompt, and compare each with its group.

### Exercise 12.4 · `group_advantages` ★★ · 8 minutes

- `rewards`: `(P, G)`, the rewards of `G` answers to each of `P` prompts; they may be integers or bools
- returns `(P, G)`: the reward minus the mean of its own group, divided by the standard deviation of its own group (with `G` in the denominator)
- where all rewards of a group are equal there is nothing to learn: zeros, and no NaN (rounding can leave a spread of 1e-8 even there: take all below 1e-6 as equal)

By hand: `[[1, 0, 0, 1], [1, 1, 1, 1]]` gives `[[1, -1, -1, 1], [0, 0, 0, 0]]`.
"""


# %% tags=["answer"]
def group_advantages(rewards):
    """How much better than its own group each answer is: (P, G) -> (P, G)."""
    ### BEGIN SOLUTION
    rewards = rewards if rewards.is_floating_point() else rewards.float()
    above = rewards - rewards.mean(1, keepdim=True)
    spread = rewards.std(1, keepdim=True, correction=0)  # (P, 1)
    return torch.where(spread > 1e-6, above / spread.clamp(min=1e-6), 0)
    ### END SOLUTION


# %% tags=["check"]
group_advantages = checks.group_advantages(group_advantages)

# %% [markdown]
r"""
A model that only chases reward may run off to anywhere. What holds it is the reference: a penalty for moving away, the **Kullback–Leibler divergence** $\mathrm{KL}(\pi \,\|\, \pi_{\text{ref}})$, the mean over the model's own tokens of $\ln \pi - \ln \pi_{\text{ref}}$. For a single token that difference may well be negative, and so it is a noisy estimate. Schulman (2020) found one with the same mean that is never below 0, and Shao et al. (§4.1.1) use it: with $d = \ln \pi_{\text{ref}} - \ln \pi$ for the token that was drawn, $e^d - d - 1$.

### Exercise 12.5 · `kl_penalty` ★★ · 8 minutes

- `log_probs`, `reference_log_probs`: `(B, T)`, of the tokens that were drawn from the model
- returns `(B, T)`, that estimate for each token; 0 where both agree, never negative
- the gradient flows into `log_probs` only

By hand: `log_probs` ln 0.5 and the reference ln 0.25: d = −0.693, and 0.5 + 0.693 − 1 = 0.193.
"""


# %% tags=["answer"]
def kl_penalty(log_probs, reference_log_probs):
    """An estimate of KL(model || reference) for each token: (B, T), (B, T) -> (B, T)."""
    ### BEGIN SOLUTION
    d = reference_log_probs.detach() - log_probs
    return d.exp() - d - 1
    ### END SOLUTION


# %% tags=["check"]
kl_penalty = checks.kl_penalty(kl_penalty)

# %% [markdown]
r"""
**Proved equal**, to PyTorch's own divergence: over all tokens, each weighted with its probability, the estimates must add up to it exactly; and drawn ones, nearly.
"""

# %%
torch.manual_seed(0)
p, q = (torch.randn(2, 12).double() * 0.7).log_softmax(-1)
exact = kl_divergence(Categorical(logits=p), Categorical(logits=q))
print(f"exact {exact:.4f}, all tokens weighted {(p.exp() * kl_penalty(p, q)).sum():.4f}")
drawn = Categorical(logits=p).sample((100_000,))
plain, ours = p[drawn] - q[drawn], kl_penalty(p[drawn], q[drawn])
print(f"drawn: the plain difference {plain.mean():.3f} ± {plain.std():.2f}, "
      f"this estimate {ours.mean():.3f} ± {ours.std():.2f}")  # fmt: skip
assert abs((p.exp() * kl_penalty(p, q)).sum() - exact) < 1e-12 and ours.std() < plain.std(), "the same mean, with less spread"

# %%
logits = p.clone().requires_grad_()
log_p = logits.log_softmax(-1)
estimate = (log_p.exp().detach() * kl_penalty(log_p, q)).sum()  # the drawn tokens are constants
turned = (q.exp() * (q - log_p)).sum()  # KL(reference || model)
through_ours, other_way_round = (
    torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (estimate, turned)
)
print("the gradient through the estimate is that of KL(reference || model):",
      torch.allclose(through_ours, other_way_round))  # fmt: skip
assert torch.allclose(through_ours, other_way_round), "it should be the gradient of the other divergence"

# %% [markdown]
r"""
The same mean, and half the spread or little more. There is a catch, which few texts mention: what training uses is not the mean but its *gradient*, with the drawn tokens held fixed, and that is the gradient of the divergence with its sides exchanged. Both are 0 only where model and reference agree, so either holds the model back; but it is not the number that stands in the formula.

Now the loss. Answers are expensive to draw, so each batch of them is used for more than one step. After the first step the model is no longer the one that drew them, and the **ratio** of the two probabilities, new over old, puts that right: a token that the new model would draw twice as often as the old one did counts twice. Where the ratio has moved by more than a fifth in the wanted direction, it is **clipped**, and there the gradient stops: enough from this batch (Schulman et al., 2017, §3; GRPO took it over).

### Exercise 12.6 · `grpo_loss` ★★★ · 15 minutes

- `log_probs`, `old_log_probs`: `(B, T)`, of the drawn tokens, now and when they were drawn (constants: no gradient flows into those); `advantages`: `(B,)`, one for each answer; `mask`: `(B, T)`, True at the tokens that count
- ratio = exp(`log_probs` − `old_log_probs`); for each token −min(ratio · A, clipped ratio · A), the ratio clipped to 1 − `clip` … 1 + `clip`
- returns the mean over all tokens with `mask`, shape `()` (Shao et al. take a mean for each answer first). What stands elsewhere may be anything, NaN included, and must reach neither the result nor the gradient
- no token with `mask` in the whole batch is a `ValueError` (with a sentence); a row without one is fine

By hand: one answer of two tokens, A = 1, old ln 0.5 twice, now ln 0.5 and ln 0.7. The ratios are 1 and 1.4, the second is clipped to 1.2: −(1 + 1.2) / 2 = −1.1.
"""


# %% tags=["answer"]
def grpo_loss(log_probs, old_log_probs, advantages, mask, clip=0.2):
    """The clipped loss of GRPO: (B, T), (B, T), (B,), (B, T) -> ()."""
    ### BEGIN SOLUTION
    if not mask.any():
        raise ValueError("no token counts in this batch: the mask is False everywhere")
    advantages = advantages[:, None].expand(mask.shape)[mask]  # (tokens that count,)
    ratio = (log_probs[mask] - old_log_probs.detach()[mask]).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -gain.mean()
    ### END SOLUTION


# %% tags=["check"]
grpo_loss = checks.grpo_loss(grpo_loss)

# %% [markdown]
r"""
(Why the *minimum*? For a good answer the gain must not be paid beyond the clip. For a bad one, with a negative A, the minimum is the worse of the two: an answer that has become *likelier* although it is bad is always pushed down, with no clip to stop it.)
"""


# %%
def grpo_step(model, start, optimizer, reward, beta, lots, n_prompts, group=8):
    """Draw, compare, two steps; returns the mean reward, the true share, and the penalty."""
    prompts = fresh(n_prompts, lots).repeat_interleave(group, 0)
    answers, mask = sample(model, prompts, lots)
    rewards = reward(prompts, answers)
    advantages = group_advantages(rewards.view(n_prompts, group)).flatten()

    def log_prob(m):
        logits = answer_logits(m, prompts, answers)
        return logits.log_softmax(-1).gather(-1, answers[..., None])[..., 0]  # (B, 7)

    with torch.no_grad():
        old, reference = log_prob(model), log_prob(start)
    for again in range(2):
        new = log_prob(model)
        assert again or (new == old).all(), "at first the ratio should be exactly 1"
        kl = kl_penalty(new, reference)[mask].mean()
        optimizer.zero_grad()
        (grpo_loss(new, old, advantages, mask) + beta * kl).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return rewards.mean().item(), right(prompts, answers).mean().item(), kl.item()


# %%
def grpo(start, reward, steps, beta=0.0, seed=0, n_prompts=16, lr=4e-4):
    """Reinforce a copy of a model; returns it, and what grpo_step said at each step."""
    model, lots = copy.deepcopy(start), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    history = [
        grpo_step(model, start, optimizer, reward, beta, lots, n_prompts)
        for _ in bar(range(steps), f"seed {seed}")
    ]
    return model, torch.tensor(history)  # (steps, 3)


# %% [markdown]
r"""
First with the true reward: 1 if the answer is right, 0 if not. No example is shown any more. **Predict** how far the model gets from where the 200 examples left it, once with drawn answers and once with greedy ones.
"""

# %% tags=["nbval-ignore-output"]
taught, _ = grpo(sft, right, steps=36, n_prompts=32)
for name, model in (("before", sft), ("after", taught)):
    drawn = share_right(model, torch.Generator().manual_seed(1))
    print(f"{name:<7} right: drawn {drawn:.0%}, greedy {share_right(model):.0%}")
assert drawn > before + 0.05, "rewards should make more answers right"

# %% [markdown]
r"""
Without a single new example, by trying and being told *yes* or *no*. (Compare the columns. A part of the gain is only that the model draws less wildly, for its greedy answers were better from the start; lesson 9. And 200 more steps on the *old* 200 examples gave us 76% drawn, but only 80% greedy: it is the greedy gain that the rewards brought.) The large models that think aloud before they answer a mathematical question were trained in this way, with a rule that checks the result (DeepSeek-AI, 2025, §2.2). It works where the model is right *sometimes*: in a group of eight wrong answers all advantages are zero.

## 6 What you reward is what you get

Mostly there is no rule. There is a judge, or a reward model that has learned from one: ours, from section 3, which agreed with the truth in some seven pairs of ten. We let its score be the reward; the steps are smaller than above, for large ones alone do harm, as you will see. We, but not the model, keep an eye on the truth. Once without a penalty, once with `BETA` times the KL (it is 1 here; a larger one holds the model more, and lets it learn less). And a control: rewards **by lot**, which mean nothing. What they do to the model is the harm of moving at all.

**Predict** the share of right answers after 20 steps: without the penalty, with it, and by lot.
"""


# %%
def learned(prompts, answers):
    return score(reward_model, prompts, answers)


def by_lot(prompts, answers):
    return torch.rand(len(answers), generator=lots)


# %% tags=["nbval-ignore-output"]
BETA, gentle, lots = 1.0, {"steps": 20, "lr": 1e-4}, torch.Generator().manual_seed(77)
free = [grpo(sft, learned, seed=seed, **gentle) for seed in (0, 1)]
held = [grpo(sft, learned, seed=seed, beta=BETA, **gentle) for seed in (0, 1)]
drifted = [grpo(sft, by_lot, **gentle)]

# %% tags=["nbval-ignore-output"]
named = {"no penalty": free, "KL penalty": held, "by lot": drifted}
ends = {}
for name, runs in ({"before": [(sft, torch.zeros(3, 3))]} | named).items():
    for model, history in runs:
        said, _ = sample(model, HELD_OUT, torch.Generator().manual_seed(1))
        reward, truth = learned(HELD_OUT, said).mean().item(), right(HELD_OUT, said).mean().item()
        ends.setdefault(name, []).append((reward, truth))
        print(f"{name:<11} right {truth:>4.0%}, reward {reward:5.2f}, KL {history[-3:, 2].mean():.2f}   ",
              *(as_text(*pair) for pair in zip(HELD_OUT[:2], said, strict=False)))  # fmt: skip

# %%
truth = {name: [truth for _, truth in found] for name, found in ends.items()}
assert max(truth["no penalty"]) < truth["by lot"][0], "the judge does more harm than chance"
assert min(truth["KL penalty"]) > max(truth["no penalty"]) + 0.15, "the penalty holds it"

# %% tags=["nbval-ignore-output"]
colours = {"before": "black", "no penalty": plots.RED, "KL penalty": plots.BLUE, "by lot": plots.ORANGE}
fig, axes = plots.figure(2, height=3, sharey=True)
for name, runs in named.items():
    for _, history in runs:
        smooth = history[:, 1].unfold(0, 5, 1).mean(-1)  # over five batches: (16,)
        axes[0].plot(range(5, 21), smooth, color=colours[name])
for name, found in ends.items():
    axes[1].plot(*zip(*found, strict=True), "o", color=colours[name], label=name)
axes[0].axhline(before, color=plots.GREY, linewidth=1)
axes[0].set(xlabel="step", xticks=range(5, 21, 5), title="meant: the share of right answers", ylim=(0, 1))
axes[1].set(xlabel="learned reward, on held-out prompts", title="optimised against meant")
axes[1].legend(loc="lower left")
plots.show(
    fig,
    "Left, the share of right answers over the steps: without a penalty it falls far below that of "
    "rewards by lot, with a penalty it stays. Right, where each run ends: the highest learned "
    "rewards have the fewest right answers. Two seeds each, by lot one.",
)

# %% [markdown]
r"""
This is **reward hacking**, and nothing in it is a slip. By the number that is optimised all is well, better than ever. By the truth few answers are left that are right, far fewer than after rewards that mean nothing. And they *look* like answers: six digits, nearly always in order. They are not the digits of the question, and that is just what this judge hardly looks at. What would have told you? Not the reward. The KL says that the model has gone somewhere, and not whether it is a good place. Only a look at the answers, or a measure of the truth that nobody optimised.

Has the model found something that no one had ever shown the judge? It need not. Take the *old* model, and train nothing: draw n answers to each question, and keep the one that the judge likes best. **Predict** the share of right ones for n = 1, 4, 16 and 64.
"""

# %% tags=["nbval-ignore-output"]
drawing, few = torch.Generator().manual_seed(2), HELD_OUT[:150]
many = torch.stack([sample(sft, few, drawing)[0] for _ in range(64)])  # (64, 150, 7)
liked = torch.stack([learned(few, answers) for answers in many])  # (64, 150)
good = torch.stack([right(few, answers) for answers in many])
best_of = {}
for n in (1, 4, 16, 64):
    best = liked[:n].argmax(0, keepdim=True)
    best_of[n] = good.gather(0, best).mean().item()
    print(f"best of {n:>2}: reward {liked.gather(0, best).mean():5.2f}, right {best_of[n]:.0%}")
assert best_of[64] < best_of[4] - 0.15, "more choice should do harm in the end"

# %% [markdown]
r"""
With a little choice the judge helps, or does no harm: among few answers it tells better from worse. With much choice it picks what it overrates. That is Goodhart's law: when a measure becomes a target, it ceases to be a good measure. Gao et al. (2023, §3) measured both, choice and training, for language models with better judges than ours; there, too, the truth rises for a while before it falls.

The penalty keeps the model where choice is small. It is no cure for a bad judge: with it little is lost here, and nothing is gained, where the true reward did gain. A better judge, new opinions on the *new* model's answers, and stopping early all help; the leash only limits the damage.

## 7 What was not run

- **PPO**, with which InstructGPT was made, has one more model, a *critic*, which estimates what reward is to be expected at each token; GRPO puts the mean of the group in its place (Shao et al., 2024, §4.1.1). The clipped loss is the same.
- **People.** Our judge is a rule with noise. Real ones disagree with each other, get tired, like long answers and confident ones, and what they like is what the model becomes (Singhal et al., 2023, on length; Sharma et al., 2023, on flattery).
- **Size.** Everything here has one task. In the large, rewards for helpfulness, harmlessness and truth pull in different directions, and how they are weighed is a decision, not a discovery.

See how far you are:
"""

# %% tags=["nbval-ignore-output"]
checks.progress()

# %% [markdown]
r"""
## Summary

1. Assistants are made in steps: pretraining, examples, preferences or rewards. Each later step needs less to be written down, and more to be watched.
2. Bradley and Terry's loss turns "this one is better" into scores. DPO uses the model itself as the score; at the start its loss is ln 2, and its chosen answers should not become less likely.
3. GRPO compares an answer with its own group, moves by clipped steps, and is held by a KL penalty. With a reward that checks the truth it needs no more examples.
4. A learned reward tells better from worse among a few answers. Whoever optimises it, by training or only by choosing among many, finds what it overrates. Keep a measure of the truth that nobody optimises.
5. What can be asked for in the prompt needs no training. Measure that rival first.

**Next:** [lesson 13](13_evaluation.ipynb) asks how one measures what a model can do, and whether one may believe it.

## Further reading

- Ouyang et al., 2022, "Training language models to follow instructions with human feedback": §3, the three steps; §4, what came of them.
- Rafailov et al., 2023, "Direct preference optimization: your language model is secretly a reward model": §4.
- Shao et al., 2024, "DeepSeekMath": §4.1, GRPO; DeepSeek-AI, 2025, "DeepSeek-R1": what it led to.
- Gao, Schulman and Hilton, 2023, "Scaling laws for reward model overoptimization": §3, the same with large reward models.
- Schulman, 2020, "Approximating KL divergence": a short note on the three estimators; Schulman et al., 2017, "Proximal policy optimization algorithms": §3, the clipped loss.
- Bradley and Terry, 1952, "Rank analysis of incomplete block designs: I. The method of paired comparisons".
- Pal et al., 2024, "Smaug: fixing failure modes of preference optimisation with DPO-positive".
- Singhal et al., 2023, "A long way to go: investigating length correlations in RLHF"; Sharma et al., 2023, "Towards understanding sycophancy in language models".
"""
