# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
r"""
# 14 · Looking inside

*Why did it say that?* The model will not tell you: what it writes about itself is text like any other. But you have something that no student of a brain has ever had. Every number in it lies open, you can stop it at any place, exchange one state for another, switch off a single head, and run it again.

You will find the head that knows how to repeat, watch *Paris* climb from rank four thousand to the top, and make the model name the capital of a country that nobody asked about, by moving 64 numbers. And you will learn to distrust the prettiest pictures: you switch off what they show, and what happens is something else.

**Needs:** attention and its heads (lesson 2), the Llama (lesson 8). **Takes:** about 120 minutes. **Exercises:** 14.1 to 14.6.
"""

# %%
import contextlib
import math
import random
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from sklearn.linear_model import LogisticRegression
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from utils import inside, models, plots
from utils.checks import lesson14 as checks
from utils.progress import bar

transformers.logging.disable_progress_bar()
transformers.logging.set_verbosity_error()
torch.set_num_threads(1)

# %%
folder = models.path("SmolLM2-135M-Instruct")
kind = dict(dtype=torch.float32, attn_implementation="eager")  # which works the weights out
model = AutoModelForCausalLM.from_pretrained(folder, **kind).eval().requires_grad_(False)
tokenizer = AutoTokenizer.from_pretrained(folder)
N_LAYERS, N_HEADS = model.config.num_hidden_layers, model.config.num_attention_heads
print(N_LAYERS, "blocks with", N_HEADS, "heads each")


# %%
def encode(text):
    return tokenizer(text, return_tensors="pt").input_ids  # (1, T)


def token_id(word):
    """The one token that a word is, with its space in front."""
    (number,) = tokenizer(" " + word).input_ids
    return number


# %% [markdown]
r"""
## 1 The stream, and what it would say

Between the blocks of a Transformer flows the **residual stream**: a vector for each position, to which every block adds something (lesson 4). To look at it one uses **hooks**. A function that is registered at a module is called whenever that module has run, and sees what went in and what came out.

A hook that stays is a nuisance: it is called for ever, also by cells that know nothing of it, and also if the run that it was meant for broke off half-way. So it is removed in `finally`, whatever happens.

### Exercise 14.1 · `activations` ★★ · 12 minutes

- `model`: a Llama of Hugging Face's, whose blocks are `model.model.layers`; `ids`: `(B, T)`
- returns `(n_layers, B, T, d_model)`: what each block puts out, the lowest first, without anything that a gradient would need
- `handle = block.register_forward_hook(hook)` calls `hook(module, inputs, output)`; `handle.remove()` ends it. Afterwards none of your hooks is left, not even after an error in the model, and the error goes on to whoever called

By hand: with 30 blocks and the ids of *The capital of France is* (1, 5) the result is `(30, 1, 5, 576)`.

Hugging Face has a record of its own, `output_hidden_states=True`. Compare before you rely on it: it begins with the embeddings, and its *last* entry has gone through the final norm.
"""


# %% tags=["answer"]
def activations(model, ids):
    """What each block puts out: (B, T) -> (n_layers, B, T, d_model)."""
    ### BEGIN SOLUTION
    kept, handles = [], []
    try:
        for block in model.model.layers:
            handle = block.register_forward_hook(lambda module, inputs, output: kept.append(output))
            handles.append(handle)
        with torch.no_grad():
            model(ids)
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(kept)
    ### END SOLUTION


# %% tags=["check"]
activations = checks.activations(activations)

# %% [markdown]
r"""
The model turns the stream into words at one place only, its end: final norm, then head. Nothing forbids to do that earlier. What *would* it say, if it had to speak after block 10? This is the **logit lens** (nostalgebraist, 2020).

### Exercise 14.2 · `logit_lens` ★ · 5 minutes

- `hidden`: states of any block, `(..., d_model)`, with any axes in front
- returns logits `(..., vocab_size)`: what `model.model.norm` and `model.lm_head` make of them
"""


# %% tags=["answer"]
def logit_lens(model, hidden):
    """What the model would say of states of any block: (..., d_model) -> (..., V)."""
    ### BEGIN SOLUTION
    return model.lm_head(model.model.norm(hidden))
    ### END SOLUTION


# %% tags=["check"]
logit_lens = checks.logit_lens(logit_lens)

# %% [markdown]
r"""
**Proved equal**: your states are Hugging Face's, and through the lens the last of them gives the model's own logits, to the last bit. Then the lens, block by block. **Predict:** at which of the 30 blocks is *Paris* on top?
"""

# %%
ids = encode("The capital of France is")
states = activations(model, ids)
with torch.no_grad():
    official = model(ids, output_hidden_states=True)
assert torch.equal(states[:-1], torch.stack(official.hidden_states[1:-1]))
assert torch.equal(logit_lens(model, states[-1]), official.logits)
twice = logit_lens(model, official.hidden_states[-1])  # their last entry is normed already
print(
    tuple(states.shape),
    f"normed twice, logits are off by up to {(twice - official.logits).abs().max():.0f}",
)

# %%
for layer in (0, 5, 10, 15, 20, 23, 25, 26, 27, 28, 29):
    p = logit_lens(model, states[layer, 0, -1]).softmax(-1)
    words = [repr(tokenizer.decode(i)) for i in p.topk(4).indices]
    print(f"block {layer:>2}: p(Paris) = {p[token_id('Paris')]:.3f}  ", *words)

# %% [markdown]
r"""
At the very last; one block earlier it stands third, and before that there is not a capital in sight, but spaces and commas. Is it always so? Twelve prompts, and the rank of the right word: 1 is the top of 49,152.
"""

# %%
FACTS = {
    "The capital of France is": "Paris", "The opposite of hot is": "cold",
    "The opposite of big is": "small", "One, two, three, four,": "five",
    "Monday, Tuesday, Wednesday,": "Thursday", "January, February, March,": "April",
    "The sun rises in the": "east", "Grass and leaves are": "green",
    "The largest planet is": "Jupiter", "Once upon a": "time",
    "The Mona Lisa was painted by Leonardo da": "Vinci", "Romeo and": "Juliet",
}  # fmt: skip

# %%
ranks = []
for prompt, answer in FACTS.items():
    ids = encode(prompt)
    stream = torch.cat([model.model.embed_tokens(ids)[None], activations(model, ids)])[:, 0, -1]
    logits = logit_lens(model, stream)  # (n_layers + 1, V)
    ranks.append((logits > logits[:, [token_id(answer)]]).sum(1) + 1)
ranks = torch.stack(ranks)  # (12, n_layers + 1)
print(f"Paris: rank {ranks[0, 0]:,} to {ranks[0, -1]}")

# %%
fig, ax = plots.figure(height=3)
for row, answer in zip(ranks, FACTS.values(), strict=True):
    ax.plot(row, color=plots.SKY, linewidth=1)
    if row[-1] > 20:
        ax.text(N_LAYERS + 0.2, row[-1], answer, va="center")
ax.plot(ranks.float().median(0).values, color=plots.BLUE)
ax.plot(ranks[0], color=plots.RED)
ax.set(yscale="log", xlabel="after block (0: embedding)", ylabel="rank (1: on top)")
ax.set_title("the right word’s rank; red: Paris, dark: the median of the twelve")
ax.invert_yaxis()
plots.show(
    fig,
    "Up to block 20 the right words stand around rank 1,000 and hardly move; then most climb to "
    "the top, or near it, within ten blocks. Two, green and Juliet, do not.",
)
assert (
    ranks[0, 0] > 2000
    and ranks[0, -1] == 1
    and ranks[:, -1].float().median() < 3 < ranks[:, 20].float().median()
)

# %% [markdown]
r"""
For twenty blocks hardly anything happens, seen through the lens. Then most of the words rise within ten. (Not all: after *Romeo and* the model does not think of Juliet.) It is tempting to say that the model "does not know yet" at block 20. Careful: the lens reads what the *end* of the model would understand. What the middle writes in a language of its own, the lens does not see; section 6 will show a place where the answer is there and the lens does not find it.

## 2 Where heads look

A head's attention weights can be drawn. First all 270 of them together: what share goes to the first token of the text?
"""


# %%
@torch.no_grad()
def attention_maps(ids):
    """The weights of all heads: (B, T) -> (n_layers, B, n_heads, T, T)."""
    return torch.stack(model(ids, output_attentions=True).attentions)


TEXTS = [
    "The lighthouse keeper had lived alone on the island for eleven years, and every morning he "
    "climbed the hundred and forty steps.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
    "def add(a, b):\n    return a + b\n\nprint(add(2, 3))",
]
sink = torch.stack(
    [attention_maps(encode(t))[:, 0, :, 1:, 0].mean((1, 2)) for t in TEXTS]
)  # (3, n_layers)
even = [(1 / torch.arange(2, encode(t).shape[1] + 1)).mean().item() for t in TEXTS]
print("share of the first token:", [f"{x:.0%}" for x in sink.mean(1)])
print("if all got the same:     ", [f"{x:.0%}" for x in even])
assert sink.mean(1).min() > 0.4 and max(even) < 0.2

# %%
lengths = activations(model, encode(TEXTS[0]))[:, 0].norm(dim=-1)  # (n_layers, T)
fig, axes = plots.figure(2, height=2.7)
for row in sink:
    axes[0].plot(row, color=plots.SKY, linewidth=1)
axes[0].plot(sink.mean(0), color=plots.BLUE)
axes[0].axhline(np.mean(even), color=plots.GREY, linewidth=1)
axes[0].text(29, np.mean(even), "even", color=plots.GREY, ha="right", va="bottom")
axes[0].set(xlabel="block", title="attention that goes to the first token", ylim=(0, 1))
axes[1].plot(lengths[:, 0], color=plots.RED, label="first token")
axes[1].plot(lengths[:, 1:].mean(1), color=plots.BLUE, label="the others, mean")
axes[1].set(xlabel="block", yscale="log", title="length of the state")
axes[1].legend(loc="lower left", bbox_to_anchor=(0.4, 0.45))
plots.show(
    fig,
    "Left, more than half of all attention goes to the first token in most blocks. Right, its state "
    "is five times as long as the others' up to block 8, and about a hundred times from block 11 on.",
)

# %% [markdown]
r"""
More than half of all attention goes to a token that says nothing: `The`, `Phot`, `def`. It is called the **attention sink** (Xiao et al., 2024, §3). Weights must add up to 1; a head that finds nothing to fetch must look somewhere, and the first token, which everyone can see, has become the place for that. Its state grows up to a hundred times as long as the others'; and where it is no longer than they are, in blocks 9 and 10, the sink is gone a block later. They go together; which is the cause of which, our picture does not tell.

For you it means: a heat map of attention is mostly a picture of the sink. Now single heads.
"""

# %%
SENTENCE = "The capital of France is Paris. The capital of Italy is"
words = [tokenizer.decode(i) for i in encode(SENTENCE)[0]]
maps = attention_maps(encode(SENTENCE))
SHOWN = {(11, 1): "the token before", (18, 8): "the sink", (18, 6): "what followed last time"}
fig, axes = plots.figure(2, height=7.2, rows=2)
for ax, ((layer, head), title) in zip(axes.flat, SHOWN.items(), strict=False):
    plots.heatmap(ax, maps[layer, 0, head], words, words, f"block {layer}, head {head}: {title}",
                  limits=(0, 1), digits=None)  # fmt: skip
    ax.tick_params(axis="x", rotation=90)
axes[1, 1].barh(range(len(words)), maps[16, 0, 0, -1], color=plots.RED)
axes[1, 1].set_yticks(range(len(words)), words)
axes[1, 1].invert_yaxis()
axes[1, 1].set(title="block 16, head 0: where the last “is” looks", xlim=(0, 1))
plots.show(
    fig,
    "Three heads: a line beside the diagonal; all on the first token; from a repeated word to "
    "what followed it the first time. And a fourth, from the last word only: nearly all on Italy.",
)

# %% [markdown]
r"""
How pretty they are, and how quickly one has a story. The fourth picture is of the kind that stands in many papers: from the word that is to be explained, the model "looks at" *Italy*. It must be the head that fetches the capital! We will see.

## 3 A head that repeats

The third is a type: at *capital*, for the second time, it looks at *of*, which followed *capital* the first time. It is called an **induction head** (Elhage et al., 2021; Olsson et al., 2022, §2): *what came after this last time?*

To test it, take the meaning away. Tokens drawn by lot, and then the same once more. In the first half nothing can be known; in the second, everything.

**Predict** the loss in both halves. (A fair guess among 49,152 tokens has ln V = 10.8.)
"""

# %%
PERIOD = 25
half = torch.randint(1000, 49_152, (3, PERIOD), generator=torch.Generator().manual_seed(0))
repeated = torch.cat([half, half], 1)  # (3, 50)


@torch.no_grad()
def token_losses(ids):
    logits = model(ids).logits[:, :-1]
    return F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")  # (B, T - 1)


# %%
def halves(losses):
    """Mean loss of the first half, and of what can be known in the second."""
    return losses[:, : PERIOD - 1].mean().item(), losses[:, PERIOD:].mean().item()


first, second = halves(token_losses(repeated))
elsewhere = torch.randint(1000, 49_152, (3, PERIOD), generator=torch.Generator().manual_seed(1))
unseen = halves(token_losses(torch.cat([half, elsewhere], 1)))[1]
print(f"first half {first:.1f}, second half {second:.1f} (other tokens in its place: {unseen:.1f})")
assert first > 12 and second < 5

# %% [markdown]
r"""
(In the first half it is worse than a fair guess, for it expects language.) It has never seen this sequence, no weight has changed, and after one reading it can go on. That is **in-context learning** in its smallest form. Which heads do it?

### Exercise 14.3 · `induction_score` ★★ · 10 minutes

In a sequence that repeats after `period` tokens, the token at place t stood at t − period before, and what followed it there is at t − period + 1.

- `attention`: `(B, n_heads, T, T)`; row t has the weights *from* t; at t = period a token is there for the second time
- returns `(n_heads,)`: the weight from t to t − period + 1, a mean over all t ≥ period and over the batch
- a period below 1, or of the whole length T or more, is a `ValueError` (with a sentence): nothing is repeated

By hand: T = 4, period 2: the places are t = 2 (it should look at 1) and t = 3 (at 2). With the rows 2: `[0.2, 0.7, 0.1, 0]` and 3: `[0.1, 0.2, 0.3, 0.4]` the score is (0.7 + 0.3) / 2 = 0.5.
"""


# %% tags=["answer"]
def induction_score(attention, period):
    """Mean weight on what followed last time: (B, n_heads, T, T) -> (n_heads,)."""
    ### BEGIN SOLUTION
    T = attention.shape[-1]
    if not 1 <= period < T:
        raise ValueError(f"with a period of {period} nothing is repeated in {T} tokens")
    t = torch.arange(period, T)
    return attention[:, :, t, t - period + 1].mean((0, 2))  # (B, n_heads, places) before the mean
    ### END SOLUTION


# %% tags=["check"]
induction_score = checks.induction_score(induction_score)

# %%
maps = attention_maps(repeated)
scores = torch.stack([induction_score(layer, PERIOD) for layer in maps])  # (n_layers, n_heads)
before = maps.diagonal(-1, dim1=-2, dim2=-1).mean((1, 3))  # the same for "one token back"
ranked = [divmod(i, N_HEADS) for i in scores.flatten().argsort(descending=True).tolist()]
best = ranked[:8]
print("induction:", *(f"{layer}.{head} {scores[layer, head]:.2f}" for layer, head in sorted(best)))
assert best[0] == (18, 6) and scores[18, 6] > 0.7 and scores.median() < 0.05

# %%
fig, axes = plots.figure(2, height=2.8)
for ax, table, title in ((axes[0], before, "looks one token back"), (axes[1], scores, "induction")):
    picture = ax.imshow(table.T, vmin=0, vmax=1, aspect="auto")
    ax.set(xlabel="block", title=title, yticks=range(N_HEADS))
axes[0].set_ylabel("head")
fig.colorbar(picture, ax=axes, label="score")
plots.show(
    fig,
    "Score of every head: those that look one token back stand in blocks 1 to 22, the "
    "induction heads in blocks 17 to 24, above the strongest of them.",
)

# %% [markdown]
r"""
A few heads of 270, all above block 16, and the first of them reaches 0.9. But do they *matter*? A score says where a head looks. To know what it does, switch it off.

### Exercise 14.4 · `ablate_heads` ★★★ · 15 minutes

A context manager: `with ablate_heads(model, [(18, 6), (17, 4)]): …`. Within the `with` the named heads put out zeros; afterwards all is as it was.

- `heads`: a list of `(layer, head)`, numbered from 0, perhaps several in one layer, perhaps none
- what goes into `layer.self_attn.o_proj` is `(B, T, n_heads · d_head)`, head beside head: there a head's part is set to 0. `register_forward_pre_hook(hook)` calls `hook(module, inputs)` *before* the module, and the tuple that the hook returns goes in
- `d_head` is `model.config.head_dim`; afterwards the model's weights are as they were
- a layer or head that is not there, negative ones too, is a `ValueError` (with a sentence), and no hook is left
- no hook is left after the `with`, nor after an error inside it, which goes on to whoever called

Mind the loop: a function made in a loop sees the loop's *last* values when it is called. Let another function make the hook, or bind the value with `functools.partial`.
"""


# %% tags=["answer"]
@contextlib.contextmanager
def ablate_heads(model, heads):
    """Within `with`, these heads, a list of (layer, head), put out zeros."""
    ### BEGIN SOLUTION
    config, handles = model.config, []
    for layer, head in heads:
        if not 0 <= layer < config.num_hidden_layers or not 0 <= head < config.num_attention_heads:
            raise ValueError(f"there is no head {head} in a layer {layer} of this model")

    def silence(head, module, inputs):
        x = inputs[0].clone()  # (B, T, n_heads * d_head)
        x[..., head * config.head_dim : (head + 1) * config.head_dim] = 0
        return (x,)

    try:
        for layer, head in heads:
            output = model.model.layers[layer].self_attn.o_proj
            handles.append(output.register_forward_pre_hook(partial(silence, head)))
        yield
    finally:
        for handle in handles:
            handle.remove()
    ### END SOLUTION


# %% tags=["check"]
ablate_heads = checks.ablate_heads(ablate_heads)

# %% [markdown]
r"""
**Predict:** without these eight of 270 heads, what is the loss of the second half? And without eight *other* heads of the same layers, drawn by lot? That is the control: that a damaged model is worse is no news.
"""


# %%
def others(heads, lots):
    """As many other heads of the same layers, by lot."""
    chosen = []
    for layer in sorted({layer for layer, _ in heads}):
        rest = [(layer, h) for h in range(N_HEADS) if (layer, h) not in heads]
        chosen += lots.sample(rest, sum(layer == at for at, _ in heads))
    return chosen


def second_without(heads):
    with ablate_heads(model, heads):
        return halves(token_losses(repeated))[1]


lots = random.Random(0)
draws = [others(best, lots) for _ in range(4)]
without, control = second_without(best), [second_without(heads) for heads in draws]
print(f"second half {second:.1f}; without the eight {without:.1f}; "
      f"without eight others {', '.join(f'{x:.1f}' for x in control)}")  # fmt: skip
assert without - second > 3 * (max(control) - second) and without - second > 5

# %% [markdown]
r"""
Eight heads, and most of its ability to repeat: the loss is nearly where tokens that were never there would leave it. Eight others cost a fraction of that. Do they also matter where people write? In a text some pairs of tokens have stood before, and most have not.
"""

# %%
NATURAL = [
    "Amalberga met Zerkowitz in Trondheim. Years later Zerkowitz still wrote to Amalberga, and when "
    "Amalberga left Trondheim, Zerkowitz followed Amalberga to the south.",
    "Preheat the oven to 220 degrees. Mix the flour with the salt, then rub in the butter. Add the "
    "grated cheese, mix the flour with the milk, and roll the dough out. Bake it in the oven for "
    "twelve minutes. Serve the scones warm, with the butter and the grated cheese.",
]

# %%
texts, old = [encode(text) for text in NATURAL], []
for ids in texts:
    pairs = list(zip(ids[0, :-1].tolist(), ids[0, 1:].tolist(), strict=True))
    old += [pair in pairs[:i] for i, pair in enumerate(pairs)]
old = torch.tensor(old)
for name, heads in (
    ("all heads", []),
    ("without the eight", best),
    ("without eight others", draws[0]),
):
    with ablate_heads(model, heads):
        losses = torch.cat([token_losses(ids)[0] for ids in texts])
    print(
        f"{name:<21} {(~old).sum()} new pairs {losses[~old].mean():.2f}, {old.sum()} seen before {losses[old].mean():.2f}"
    )

# %% [markdown]
r"""
What is new costs as much as before; what had stood there before becomes a surprise again. (The texts were written to repeat themselves, and the pairs are few: take the direction from this, and not the size.)

## 4 Why two layers

Look at the two pictures once more: the heads that look one token back begin lower, the induction heads stand higher. That is no accident. To find *what followed this token last time*, a head must find a place whose **predecessor** was this token. For that the place must know its predecessor, and somebody must have written it there: a head further down. Two heads in two layers, one after the other (Elhage et al., 2021). If this is right, two things follow. Without the head that writes the predecessors, the induction heads must lose their way. And a model of one layer must have a hard time. (Not an impossible one: a much larger layer can do it in other ways.)

Both can be tried, the first at once in SmolLM2: we switch off the head of the left picture that is strongest above block 12. For the second we train two models of attention only, without feed-forward nets, one of one layer and one of two (two seeds), and random tokens that begin again after 4 to 20.

**Predict** what repeating costs SmolLM2 without that head, and without its neighbour. And both curves of the loss: how far down, and in which shape? (ln 48 is 3.9, a fair guess. Who knows only *which* tokens belong to the period, and not their order, pays ln of the period.)
"""


# %%
for off in ((16, 0), (16, 1), (11, 1), (2, 1)):
    with ablate_heads(model, [off]):
        left = torch.stack([induction_score(x, PERIOD) for x in attention_maps(repeated)])
        loss = halves(token_losses(repeated))[1]
    print(f"without {off[0]}.{off[1]} (one token back: {before[off]:.2f}) the second half costs {loss:.1f}; "
          f"scores of 17.4 {left[17, 4]:.2f}, 18.6 {left[18, 6]:.2f}")  # fmt: skip
    assert (loss > second + 3) == (off == (16, 0))

# %%
VOCAB, LENGTH = 48, 40


class Attention(nn.Module):
    """A pre-LN attention layer, causal; it keeps its weights to be looked at."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads, self.norm = n_heads, nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm(x)).view(B, T, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (C // self.n_heads) ** -0.5  # (B, n_heads, T, T)
        hidden = torch.ones(T, T).triu(1).bool()
        self.weights = scores.masked_fill(hidden, -torch.inf).softmax(-1)
        return x + self.out((self.weights @ v).transpose(1, 2).flatten(2))  # (B, T, d_model)


# %%
class AttentionOnly(nn.Module):
    """A GPT without feed-forward nets: ids (B, T) -> logits (B, T, VOCAB)."""

    def __init__(self, n_layers, d_model=64, n_heads=4):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCAB, d_model), nn.Embedding(LENGTH, d_model)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.1)
        self.layers = nn.Sequential(*(Attention(d_model, n_heads) for _ in range(n_layers)))
        self.norm, self.head = nn.LayerNorm(d_model), nn.Linear(d_model, VOCAB)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        return self.head(self.norm(self.layers(x)))


# %%
def repeats_of(periods, lots):
    """Random tokens that begin again after a period: periods (B,) -> ids (B, LENGTH)."""
    tokens = torch.randint(VOCAB, (len(periods), LENGTH), generator=lots)
    return tokens.gather(1, torch.arange(LENGTH) % periods[:, None])


def second_time(net, ids, periods):
    """The mean loss of those tokens that can be known."""
    nats = F.cross_entropy(net(ids[:, :-1]).transpose(1, 2), ids[:, 1:], reduction="none")
    return nats[torch.arange(1, LENGTH) > periods[:, None]].mean()


# %%
def train(n_layers, seed, steps, peak=3e-3):
    torch.manual_seed(seed)
    lots, net, curve = torch.Generator().manual_seed(seed), AttentionOnly(n_layers), []
    optimizer = torch.optim.Adam(net.parameters())
    for i in bar(range(steps), f"{n_layers} layer(s), seed {seed}"):
        optimizer.param_groups[0]["lr"] = peak * min(1, (i + 1) / 50, 2 * (1.02 - i / steps))
        periods = torch.randint(4, 21, (24,), generator=lots)
        loss = second_time(net, repeats_of(periods, lots), periods)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    return net, curve


# %% tags=["nbval-ignore-output"]
two = [train(2, seed, steps=360) for seed in (0, 1)]
one = [train(1, seed=0, steps=600)]
places = {period: LENGTH - 1 - period for period in range(4, 21)}  # that can be known
order_unknown = sum(n * math.log(p) for p, n in places.items()) / sum(places.values())
print(f"knowing the tokens of the period, but not their order: {order_unknown:.2f}")
for name, runs in (("two layers", two), ("one layer", one)):
    print(name, [f"{np.mean(curve[-40:]):.2f}" for _, curve in runs])
assert all(np.mean(curve[-40:]) < 0.5 for _, curve in two) and np.mean(one[0][1][-40:]) > 1.7


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def at_period(net, period):
    periods = torch.full((128,), period)
    return second_time(net, repeats_of(periods, torch.Generator().manual_seed(7)), periods).item()


fig, axes = plots.figure(2, height=2.8)
for runs, colour, name in ((two, plots.BLUE, "two layers"), (one, plots.ORANGE, "one layer")):
    for i, (net, curve) in enumerate(runs):
        smooth = np.convolve(curve, np.ones(10) / 10, "valid")
        axes[0].plot(smooth, color=colour, label=None if i else name)
        axes[1].plot(range(3, 32), [at_period(net, p) for p in range(3, 32)], color=colour)
axes[0].axhline(math.log(VOCAB), color=plots.GREY, linewidth=1)
axes[0].set(xlabel="step", ylabel="loss, second time", ylim=(0, 4.6), title="in training")
axes[1].axvspan(4, 20, color=plots.GREY, alpha=0.15)
axes[1].set(xlabel="period (grey: trained on)", ylim=(0, 4.6), title="afterwards")
axes[0].legend()
plots.show(
    fig,
    "Left, the loss of two layers drops suddenly to nearly nothing, that of one layer stays "
    "above two. Right, two layers also do periods they never saw, one layer does not.",
)

# %% tags=["nbval-ignore-output"]
for net, _ in two:
    ids = repeats_of(torch.full((128,), 12), torch.Generator().manual_seed(8))
    with torch.no_grad():
        net(ids)
    weights = [layer.weights for layer in net.layers]  # two of (128, n_heads, T, T)
    back = [w.diagonal(-1, dim1=-2, dim2=-1).mean((0, 2)).max().item() for w in weights]
    again = [induction_score(w, 12).max().item() for w in weights]
    print(f"best head one token back: layer 1 {back[0]:.2f}, layer 2 {back[1]:.2f}; "
          f"induction: layer 1 {again[0]:.2f}, layer 2 {again[1]:.2f}")  # fmt: skip
    assert back[0] > 3 * back[1] and again[1] > 5 * again[0]
    cut = []
    for head in range(4):  # the first layer's heads, one after the other, put out nothing
        whole = net.layers[0].out.weight.data.clone()
        net.layers[0].out.weight.data[:, 16 * head : 16 * head + 16] = 0
        cut.append(round(at_period(net, 12), 2))
        net.layers[0].out.weight.data = whole
    print(f"   loss {at_period(net, 12):.2f}; without each head of layer 1: {cut}")
    assert max(cut) > 3 * sorted(cut)[-2]  # all hangs on one of them

# %% [markdown]
r"""
In SmolLM2 one head, 16.0, carries the load: without it the induction heads of blocks 17 and 18 look elsewhere, and repeating loses more than half of what it lost without all eight. Its neighbour, and two heads with the same picture further down, hardly matter.

In the small models, for a hundred steps both learn the same, *which* tokens are about. Then the curve of the two-layer models falls off a cliff: the two layers have found each other. The one-layer model comes down to where counting leads and creeps from there; "never" is not what we have shown. Inside the two-layer models stands what the theory demanded and nobody put there: a head that looks one token back, in layer 1, without which all is lost, and induction in layer 2. (Beyond the periods of the training they get worse, and the zigzag there we cannot explain.) Olsson et al. (2022, §4) saw the same cliff in the training of large models, at the moment when they learn to use their context.

## 5 A pretty picture, and something else behind it

Now the promised test. Head 16.0 looked from *is* straight at *Italy*. We take eighteen countries whose capitals the model knows. Which heads look from *is* at the country with at least half of their attention? And how many nats does the right capital lose without each? "Without" can mean two things: the head puts out **zeros**, or what it **usually** puts out, its mean over these countries at each place, so that all it loses is what it knows about *this* one.
"""

# %%
CAPITALS = dict(
    France="Paris", Italy="Rome", Japan="Tokyo", Germany="Berlin", Spain="Madrid", China="Beijing",
    Russia="Moscow", Greece="Athens", Austria="Vienna", Ireland="Dublin", Cuba="Havana",
    Sweden="Stockholm", Norway="Oslo", Kenya="Nairobi", Portugal="Lisbon", Hungary="Budapest",
    Syria="Damascus", Canada="Ottawa", Denmark="Copenhagen", England="London", Scotland="Edinburgh",
    Israel="Jerusalem", Ukraine="Kiev", Chile="Santiago",
)  # fmt: skip
looked_at, fresh = list(CAPITALS)[:6], list(CAPITALS)[6:]  # heads were chosen with the first six


# %%
def capital_of(*countries):
    """Prompts of five tokens, the country at position 3: (B, 5)."""
    return torch.cat([encode(f"The capital of {country} is") for country in countries])


@torch.no_grad()
def knows(ids, countries):
    """Mean ln p of the right capitals."""
    log_p = model(ids, logits_to_keep=1).logits[:, -1].log_softmax(-1)  # (B, V)
    return log_p[range(len(ids)), [token_id(CAPITALS[c]) for c in countries]].mean().item()


# %%
ids = capital_of(*fresh)
looks = attention_maps(ids)[:, :, :, -1, 3].mean(1)  # (n_layers, n_heads): from "is" to the country
usual = inside.head_outputs(model, ids).mean(1)  # (n_layers, n_heads, T, d_head)
whole, lost = knows(ids, fresh), {}
strong = (looks > 0.5).nonzero().tolist()
for layer, head in [*strong, (11, 7)]:
    with inside.head_replaced(model, layer, head, usual[layer, head]):
        lost[layer, head] = whole - knows(ids, fresh)
    print(
        f"{layer:>2}.{head} looks with {looks[layer, head]:.2f}; without what it knows {lost[layer, head]:z.2f} nats"
    )

# %%
zeros = {}
for layer, head in ((16, 0), (23, 4), (24, 4), (11, 7)):
    with ablate_heads(model, [(layer, head)]):
        zeros[layer, head] = whole - knows(ids, fresh)
    print(f"{layer}.{head} with zeros: {zeros[layer, head]:.2f} nats lost")
assert looks[16, 0] > 0.6 and max(abs(lost[16, 0]), abs(zeros[16, 0])) < 0.3 < 0.8 < lost[23, 4]
assert zeros[11, 7] > 0.2 and abs(lost[11, 7]) < 0.1

# %% [markdown]
r"""
There is your head, 16.0: four fifths of its attention lie on the country, and the capital loses hardly anything without it. **Attention is not explanation** (Jain and Wallace, 2019, §4, for models before the Transformer). You know from section 4 what it does: it looks one token back, the country happens to stand before *is*, and repeating depends on it. Nothing behind *this* use of it, and everything behind another. So it is with most of the list: they look, and it makes no difference; one even makes the right answer a little likelier by its absence.

Head 11.7 is another lesson. It hardly looks at the country (we found it by switching off all heads in turn), and yet something is lost when it puts out zeros. With what it *usually* puts out nothing is lost: it carries nothing about *this* country. Zeros are a blow which the later blocks have never met. So whenever an ablation hurts, ask whether the head's *information* was missed or only its usual presence.

And 23.4 passes both tests. We look at it more closely.

## 6 Moving a thought

To switch off shows what is needed. To **move** shows what is carried. Run the model on *The capital of France is*, keep a state; run it on *The capital of Italy is*, put that state in its place, and see whether the answer changes (causal tracing: Meng et al., 2022, §2; Wang et al., 2023).

### Exercise 14.5 · `patch_activation` ★★★ · 15 minutes

- `source`, `target`: ids `(1, T)`, of the same length
- returns the logits `(1, T, V)` of the *target's* run, in which what block `layer` puts out at `position` (and only there) has been replaced by what it puts out there in the *source's* run
- a forward hook may return something: then that goes on in place of the output
- texts of different lengths, a layer or a position that is not there (negative ones too) are a `ValueError` (with a sentence). No hook is left, whatever happens, and nothing that a gradient would need

Two things that must hold: a text patched with itself changes nothing, to the last bit. And at the last block only the logits at `position` can change.
"""


# %% tags=["answer"]
def patch_activation(model, source, target, layer, position):
    """Logits (1, T, V) of the target's run with one state taken from the source's."""
    ### BEGIN SOLUTION
    if source.shape != target.shape:
        raise ValueError(f"{tuple(source.shape)} and {tuple(target.shape)}: the lengths differ")
    if not 0 <= layer < len(model.model.layers) or not 0 <= position < target.shape[1]:
        raise ValueError(f"there is no layer {layer} or no position {position}")
    state = activations(model, source)[layer, :, position]  # (1, d_model)

    def put(module, inputs, output):
        output = output.clone()
        output[:, position] = state
        return output

    handle = model.model.layers[layer].register_forward_hook(put)
    try:
        with torch.no_grad():
            return model(target).logits
    finally:
        handle.remove()
    ### END SOLUTION


# %% tags=["check"]
patch_activation = checks.patch_activation(patch_activation)


# %%
def lead(logits, a, b):
    """Logit of word a less logit of word b."""
    return logits[..., token_id(a)] - logits[..., token_id(b)]


source, target = capital_of("France"), capital_of("Italy")
with torch.no_grad():
    ends = [lead(model(ids).logits[0, -1], "Paris", "Rome") for ids in (target, source)]


def recovered(logits, a, b, ends):
    """0: the target's own answer; 1: the source's; by the lead of word a over word b."""
    return (lead(logits, a, b) - ends[0]) / (ends[1] - ends[0])


for layer, position in ((5, 3), (20, 3), (20, 4), (26, 3), (26, 4)):
    logits = patch_activation(model, source, target, layer, position)[0, -1]
    share = recovered(logits, "Paris", "Rome", ends)
    print(f"block {layer:>2}, {['', '', '', 'country', 'is'][position]:<8} recovered {share:z5.2f}, "
          f"it says {tokenizer.decode(logits.argmax())!r}")  # fmt: skip
same = patch_activation(model, target, target, 12, 3)
assert torch.equal(same, model(target).logits)

# %% [markdown]
r"""
A single state of 576 numbers, moved at block 5 or at block 20, and the capital of Italy is Paris. (At the lowest blocks that is little more than exchanging the word.) At block 26 the state of *is* does it, and there the lens gives *Paris* less than a hundredth. Now at all blocks and all positions, which makes 150 runs. `utils.inside` runs a block's positions as one batch, and only from that block on; it gives what your function gives, as a test holds. And once more with another kind of text, in which the answer is a *name*.
"""


# %%
def patch_map(source, target, a, b, layers):
    """The share recovered, by block and position: (len(layers), T)."""
    theirs, ours = activations(model, source)[:, 0], activations(model, target)[:, 0]
    with torch.no_grad():
        ends = [lead(model(ids).logits[0, -1], a, b) for ids in (target, source)]
    rows = [inside.patch_each_position(model, theirs[i], ours[i], i) for i in layers]
    return recovered(torch.stack(rows), a, b, ends)


# %%
capital = patch_map(source, target, "Paris", "Rome", range(N_LAYERS))  # (30, 5)
GIVING = "When Mary and John went to the shop, {} gave the bag to"
gave = [encode(GIVING.format(who)) for who in ("John", "Mary")]  # source, target
name = patch_map(*gave, "Mary", "John", range(0, N_LAYERS, 2))  # (15, 14)
assert capital[:, :3].abs().max() < 0.01 and capital[15, 3] > 0.8 > 0.2 > capital[27, 3]
assert capital[27, 4] > 0.8

# %%
fig, axes = plots.figure(2, height=4.2, width_ratios=(1, 2.2))
for ax, table, ids, step in ((axes[0], capital, target, 1), (axes[1], name, gave[1], 2)):
    picture = ax.imshow(table, vmin=-1, vmax=1, cmap="RdBu", aspect="auto")
    ax.set_xticks(range(ids.shape[1]), [tokenizer.decode(i) for i in ids[0]], rotation=90)
    ax.set_yticks(range(0, len(table), 10 // step), range(0, N_LAYERS, 10))
axes[0].set(ylabel="state after block", title="Italy, from France")
axes[1].set(title="“Mary gave”, patched with states from “John gave”")
fig.colorbar(picture, ax=axes, label="recovered")
plots.show(
    fig,
    "Which state carries the answer. Left: the country's, up to block 22, then the last "
    "one's. Right: the second name's, up to about block 20, then the last one's.",
)

# %% [markdown]
r"""
You see a thought travel. Up to block 22 all that matters stands where the country stands; from 23 on it stands where the answer will be. (The lens reads late.) In between something carried it from one place to the other, and only attention can do that: one head or several, in block 23. Is it one? We move the output of a single head at the last place, 64 numbers; first with the six countries that we may look at, over many layers; then, with the head fixed, for eighteen others.
"""


# %%
def move_heads(of, to, layers):
    """Logits (len(layers), n_heads, V) for `to`, with each head's last output in turn from `of`."""
    source, target = capital_of(of), capital_of(to)
    states, theirs = inside.block_inputs(model, target), inside.head_outputs(model, source)[:, 0]
    ours = inside.head_outputs(model, target)[:, 0]  # (n_layers, n_heads, T, d_head)
    ours[:, :, -1] = theirs[:, :, -1]
    return torch.stack([inside.each_head_replaced(model, states[i], i, ours[i]) for i in layers])


# %%
def share_moved(of, to, layers):
    """The share recovered by each head, and the logits."""
    a, b, logits = CAPITALS[of], CAPITALS[to], move_heads(of, to, layers)
    with torch.no_grad():
        ends = [lead(model(capital_of(country)).logits[0, -1], a, b) for country in (to, of)]
    return recovered(logits, a, b, ends), logits


# %%
SCANNED = range(16, N_LAYERS)
pairs = zip(looked_at[::2], looked_at[1::2], strict=True)
shares = torch.stack([share_moved(of, to, SCANNED)[0] for of, to in pairs]).mean(0)  # (14, n_heads)
by_size = shares.flatten().abs().argsort(descending=True).tolist()
layer, head = divmod(by_size[0], N_HEADS)
rest = shares.flatten()[by_size[1:]].abs().max()
print(f"{layer + 16}.{head}: {shares[layer, head]:.2f}; no other head moves more than {rest:.1f}")
assert (layer + 16, head) == (23, 4) and shares[layer, head] > 0.7

# %%
moved, says = [], []
with torch.no_grad():
    own = model(capital_of(*fresh)).logits[:, -1].argmax(-1).tolist()
unmoved = sum(
    token == token_id(CAPITALS[country]) for token, country in zip(own, fresh, strict=True)
)
print(f"before anything is moved, {unmoved} of {len(fresh)} are answered with their own capital")
for to, of in zip(fresh, fresh[1:] + fresh[:1], strict=True):
    share, logits = share_moved(of, to, [23])
    moved.append(share[0])
    says.append(logits[0].argmax(-1) == token_id(CAPITALS[of]))  # on top of all 49,152 tokens
moved, says = torch.stack(moved), torch.stack(says)  # (18, n_heads)
rest = says.sum() - says[:, 4].sum()
print(f"head 23.4 moved: {says[:, 4].sum()} of {len(fresh)} name the other country's capital, "
      f"recovered {moved[:, 4].mean():.2f} on average")  # fmt: skip
print(f"each other head of block 23 moved: {rest} of {8 * len(fresh)}")
assert says[:, 4].sum() >= 9 and rest <= 8 and moved[:, 4].mean() > 0.6

# %% [markdown]
r"""
One head of the 126 that we tried carries it. What does it write? Send its output alone through its part of `o_proj` and through the lens. And: does the same head carry the *name* in our other text?
"""

# %%
d_head = model.config.head_dim
mixing = model.model.layers[23].self_attn.o_proj.weight  # (d_model, n_heads * d_head)
mixing = mixing[:, 4 * d_head : 5 * d_head]
for country in fresh[:6]:
    said = inside.head_outputs(model, capital_of(country))[23, 0, 4, -1]  # (d_head,)
    top = logit_lens(model, mixing @ said).topk(4).indices
    print(f"{country:<8}", *(repr(tokenizer.decode(i)) for i in top))
new, theirs = (inside.head_outputs(model, ids)[23, 0, 4] for ids in (gave[1], gave[0]))
new[-1] = theirs[-1]
with torch.no_grad(), inside.head_replaced(model, 23, 4, new):
    logits = model(gave[1]).logits[0, -1]
with torch.no_grad():
    ends = [lead(model(ids).logits[0, -1], "Mary", "John") for ids in (gave[1], gave[0])]
print(f"who gave the bag: the same head recovers {recovered(logits, 'Mary', 'John', ends):z.2f}")

# %% [markdown]
r"""
So "it carries the capital" says too much. It carries *the country*, and things that belong to it, the capital sometimes among them; what comes after makes the answer of it. And it does so for countries: of who gave the bag it carries nothing. One sentence about one head took three experiments, and each cut the sentence down.

## 7 A probe, and its control

Another way to ask what a state holds: train a **probe**, a linear classifier on states, and see whether it can read a property off. Our sentences are of the kind *The keys near the school*. Is the subject, *key* or *keys*, in the plural? We read at the *last* word, which does not say.

A probe learns, so it may learn something that the model does not use. Hewitt and Liang (2019, §2) therefore ask a **control**: labels that mean nothing, tossed once for each word (all *keys* heads, all *dogs* tails). A probe that can read the control as well has learned words by heart.
"""

# %%
SUBJECTS = ("key book dog boy girl car tree house teacher doctor student friend window letter "
            "picture horse bird cat chair table").split()  # fmt: skip
LAST = "garden street door wall river road school bed lake bridge".split()
lots, rows = random.Random(0), []
for subject in SUBJECTS:
    for plural in (0, 1):
        for _ in range(5):  # what stands last says nothing about the number of the subject
            end = f"{lots.choice(['near', 'behind', 'by'])} the {lots.choice(LAST) + lots.choice(['', 's'])}"
            rows.append((f"{subject}{'s' * plural}", plural, end))
ids = torch.cat([encode(f"The {word} {end}") for word, _, end in rows])  # (200, 5)
last = torch.cat([model.model.embed_tokens(ids)[None], activations(model, ids)])
last = last[:, :, -1]  # (31, 200, d_model)
words, number = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


# %%
def probe(x, labels, test):
    """Accuracy of a linear probe on what it was trained on, and on what it was not."""
    x = (x - x[~test].mean(0)) / (x[~test].std(0) + 1e-6)
    fitted = LogisticRegression(max_iter=1000).fit(x[~test], labels[~test])
    return fitted.score(x[~test], labels[~test]), fitted.score(x[test], labels[test])


# %% tags=["nbval-ignore-output"]
PROBED, results = (0, 1, 2, 4, 6, 9, 12, 15, 18, 21, 24, 27, 30), []
for seed in bar(range(3), "probes"):
    draw = np.random.default_rng(seed)
    some = np.concatenate([draw.permutation(5) < 2 for _ in range(40)])  # two in five of each word
    new = np.isin(
        words, [w + s for w in draw.choice(SUBJECTS, 6, replace=False) for s in ("", "s")]
    )
    coin = dict(zip(dict.fromkeys(words), draw.permutation(40) % 2, strict=True))
    control, noise = np.array([coin[w] for w in words]), draw.integers(2, size=200)
    tasks = ((number, some), (number, new), (control, some), (noise, some))
    results.append([[probe(last[i].numpy(), *task) for task in tasks] for i in PROBED])
results = np.array(results).mean(0)  # (layers, tasks, train and test)
assert results[0, 0, 1] < 0.7 and results[-1, 0, 1] > 0.9 and results[-1, 1, 1] > 0.85
assert (
    results[-1, 0, 1] - results[-1, 2, 1] > 0.1
    and results[-1, 3, 0] > 0.9 > 0.65 > results[-1, 3, 1]
)

# %% tags=["nbval-ignore-output"]
fig, ax = plots.figure(height=2.9)
curves = ((results[:, 0, 1], plots.BLUE, "-", "number of the subject"),
          (results[:, 1, 1], plots.SKY, "-", "the same, words never seen"),
          (results[:, 2, 1], plots.ORANGE, "-", "control: a coin for each word"),
          (results[:, 3, 0], plots.RED, "--", "pure noise, on its training set"),
          (results[:, 3, 1], plots.PINK, "--", "pure noise, held out"))  # fmt: skip
for curve, colour, style, label in curves:
    ax.plot(PROBED, curve, style, color=colour, label=label)
ax.axhline(0.5, color=plots.GREY, linewidth=1)
ax.set(xlabel="after block (0: embedding)", ylabel="accuracy", ylim=(0.35, 1.03))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(
    fig,
    "Held out, the subject's number is read off at 0.9 after four blocks, worse around block 9, and "
    "nearly always at the end, the control less well; noise reaches 1 in training, chance held out.",
)

# %% [markdown]
r"""
The embedding of *school* cannot know what *key* was, and the probe is at chance there. Higher up the number has been carried to the last word, and works for nouns that the probe never saw. (Why it is harder to read around block 9 we do not know.) The control lies clearly lower: the distance between blue and orange is what Hewitt and Liang call *selectivity*. And the red line is a warning. With 576 numbers for each of 120 sentences a linear probe learns **pure noise** almost without error, if one asks it about what it was trained on.

## 8 Stretch: steering

If a direction in the stream means something, one can push along it. Take eight cheerful sentences and eight sad ones, the mean of their states at one block, and the difference of the means.

### Exercise 14.6 · `steer` ★★ · 8 minutes

A context manager once more: within `with steer(model, layer, vector):` the vector is added to what that block puts out, at every position.

- `vector`: `(d_model,)`, added as it is; its length is the strength
- a layer that is not there (negative ones too), or a vector of another shape, is a `ValueError` (with a sentence)
- no hook is left afterwards, nor after an error inside, which goes on to whoever called
"""


# %% tags=["answer"]
@contextlib.contextmanager
def steer(model, layer, vector):
    """Within `with`, `vector` (d_model,) is added to what a block puts out, everywhere."""
    ### BEGIN SOLUTION
    if not 0 <= layer < len(model.model.layers):
        raise ValueError(f"there is no layer {layer} in this model")
    if vector.shape != (model.config.hidden_size,):
        raise ValueError(f"the vector is {tuple(vector.shape)}, not ({model.config.hidden_size},)")
    block = model.model.layers[layer]
    handle = block.register_forward_hook(lambda module, inputs, output: output + vector)
    try:
        yield
    finally:
        handle.remove()
    ### END SOLUTION


# %% tags=["check"]
steer = checks.steer(steer)

# %%
HAPPY = ["I am so happy today, everything is wonderful.", "What a beautiful day, I love it!",
         "The film was excellent and we enjoyed every minute.", "She smiled, for the news was great.",
         "This is the best meal I have ever had.", "We laughed and danced all night, it was perfect.",
         "The hotel was lovely and the staff were friendly.", "Everyone loved the amazing concert."]  # fmt: skip
SAD = ["I am so sad today, everything is terrible.", "What an ugly day, I hate it!",
       "The film was awful and we regretted every minute.", "She cried, for the news was bad.",
       "This is the worst meal I have ever had.", "We argued and wept all night, it was horrible.",
       "The hotel was dirty and the staff were rude.", "Everyone hated the disgusting concert."]  # fmt: skip
LAYER = 18
means = [
    torch.stack([activations(model, encode(s))[LAYER, 0, 1:].mean(0) for s in group]).mean(0)
    for group in (HAPPY, SAD)
]  # over all tokens but the first, the sink: (d_model,) each
direction = means[0] - means[1]
chance = torch.randn(direction.shape, generator=torch.Generator().manual_seed(0))
chance *= direction.norm() / chance.norm()  # the control: as long, in no direction in particular

# %%
OPPOSITES = [("The holiday was a complete", "success", "failure"), ("The new law is", "fair", "wrong"),
             ("When she saw the dog she was filled with", "joy", "fear"),
             ("The children were", "proud", "afraid"), ("If he tries again he will", "succeed", "fail"),
             ("The town was full of", "hope", "violence")]  # fmt: skip
PLAIN = encode(
    "The train leaves the station at seven in the morning and arrives in the city two hours later."
)


def effect(vector):
    """Mean lead of the happy word, and the loss on a plain text, with a vector added."""
    with steer(model, LAYER, vector), torch.no_grad():
        leads = [lead(model(encode(p)).logits[0, -1], a, b).item() for p, a, b in OPPOSITES]
        return np.mean(leads), token_losses(PLAIN).mean().item()


print("strength   lead of the happy word, loss on a plain text;  random vector: lead, loss")
table = {s: (*effect(s * direction), *effect(s * chance)) for s in (-2, 0, 2, 8)}
for strength, row in table.items():
    print(f"{strength:+8}   {row[0]:21.1f} {row[1]:23.1f} {row[2]:22.1f} {row[3]:5.1f}")
assert (
    table[2][0] - table[-2][0] > 4 > abs(table[2][2] - table[-2][2])
    and table[8][1] > table[0][1] + 2
)

# %% [markdown]
r"""
A push of twice the difference turns the six prompts from one side to the other on average, and none of their words was used to find it; a random vector of the same length does nothing of the kind. (Inside the `with`, `model.generate` writes with the push; try it, and see that sampled texts are a weaker witness than the table.) Pushed too hard the text breaks, and *that* any vector can do. So steering, too, needs its two controls: does it do more than chance, and what does it cost elsewhere?

See how far you are:
"""

# %% tags=["nbval-ignore-output"]
checks.progress()

# %% [markdown]
r"""
## Summary

1. Hooks read and change a model while it runs, and are removed whatever happens.
2. The logit lens says what a state would mean at the model's end; the middle may know more than the lens can read.
3. Where a head looks is no explanation. Switch it off, against random heads, and against its own usual output: zeros alone mislead.
4. Induction takes two steps in two layers: a head that writes each token's predecessor, and heads that find it; without the first the others are lost. A layer of this size does not learn it in our time, two learn it all at once.
5. To move a state from one run into another shows what it carries. One head carries the country to the place of the answer; a probe needs a control, and so does steering.

**Next:** [lesson 15](15_everything_is_a_sequence.ipynb) leaves text. Pictures, sounds and code become sequences, and the same Transformer reads them.

## Further reading

- Elhage et al., 2021, "A mathematical framework for transformer circuits": one layer, two layers, and why. Olsson et al., 2022, "In-context learning and induction heads": §2 and §4.
- Wang et al., 2023, "Interpretability in the wild": the heads behind *Mary gave the bag to*, one by one, in GPT-2. Meng et al., 2022, "Locating and editing factual associations in GPT": §2.
- Jain and Wallace, 2019, "Attention is not explanation": §4; and the answer, Wiegreffe and Pinter, 2019, "Attention is not not explanation".
- Hewitt and Liang, 2019, "Designing and interpreting probes with control tasks": §2.
- Xiao et al., 2024, "Efficient streaming language models with attention sinks": §3.
"""
