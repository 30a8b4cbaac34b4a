# %% [markdown]
r"""
# 11 · Fine-tuning

A model that others have trained can do what they wanted. In this lesson it learns what *you* want: somebody says "could you make the kitchen bright?", and the model writes `lamp.on(kitchen)`, and in a drawn house a lamp goes on. It could not do that before. A minute later it can, for sentences that it has never seen, with an adapter of less than a hundredth of its size.

That is half of the lesson. The other half is the bill. You will measure what the model has forgotten meanwhile, and pay a part of it back. And you will give the old model a fair chance: the same task, with examples in the prompt and no training at all.

**Needs:** the loss of a language model (lesson 7), SmolLM2's layers (lesson 8). **Takes:** about 90 minutes. **Exercises:** 11.1 to 11.5.
"""

# %%
import copy
import math
import random
import tempfile
import time
import warnings
from pathlib import Path

import peft
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from scipy.stats import binomtest
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from utils import data, house, models, plots
from utils.checks import lesson11 as checks
from utils.progress import bar

transformers.logging.disable_progress_bar()
torch.set_num_threads(1)

# %%
folder = models.path("SmolLM2-135M-Instruct")
tokenizer = AutoTokenizer.from_pretrained(folder)
base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
base.requires_grad_(False)  # its own weights will never change in this lesson
END = tokenizer.convert_tokens_to_ids("<|im_end|>")

# %% [markdown]
r"""
## 1 A house that listens

The house has fifteen rooms. What is said to it is to become a **call**: `lamp.on(kitchen)`, `lamp.off(hall)`, or `none` if nobody has asked for anything. (It is how models use tools: a program reads the call and does the work. Large models are fine-tuned for it in just this way.)
"""

# %%
fig, ax = plots.figure(height=2.6)
house.draw(ax, on={"kitchen", "library"})
plots.show(fig, "A house with fifteen rooms on three floors; kitchen and library are lit.")

# %% [markdown]
r"""
We have 162 wordings of a wish, 118 sentences that wish for nothing of the kind, and twelve rooms for training. Three things will be tested apart, because a model may have learned one and not another:

- **new wordings**: sentences that were not trained on, in known rooms;
- **new rooms**: rooms that no training sentence names, in wordings of which most (44 of 54) stand among the training sentences;
- **new nonsense**: other sentences that want no lamp. Some are traps: "turn the volume up", "my lamp shop opens at nine".

The sentences of the first and the last kind were written after everything else in this lesson had been settled, on others. Had they been used for choosing the settings, they would no longer tell how good the result is.
"""

# %%
held_out = house.held_out()
for kind, pairs in held_out.items():
    print(f"{kind}, {len(pairs)}:")
    for sentence, call in pairs[::18]:
        print(f"   {sentence:<52} {call}")

# %% [markdown]
r"""
The model writes the call as three words, `lamp on kitchen`, and we put the dots and brackets in. Why? Look at the tokens:
"""

# %%
print(tokenizer.tokenize("the kitchen -> lamp.on(kitchen)"))
print(tokenizer.tokenize("the kitchen -> lamp on kitchen"))


def as_call(line):
    """'lamp on kitchen' -> 'lamp.on(kitchen)'; anything else stays as it is."""
    words = line.split()
    return f"{words[0]}.{words[1]}({words[2]})" if len(words) == 3 else line


def as_line(call):
    """'lamp.on(kitchen)' -> 'lamp on kitchen'."""
    return call.replace(".", " ").replace("(", " ").replace(")", "")


# %% [markdown]
r"""
After a space, `kitchen` is the very token that stands in the sentence, so the model can copy it; after a bracket it is another, without the space (lesson 6). It is the same for `on`. A task is easier to learn if its answers are made of the tokens of its questions.

## 2 What is learned, and what is not

Fine-tuning on examples of what one wants is called **supervised fine-tuning**, SFT. The loss is lesson 7's: predict the next token. There is one difference. The prompt is given, the answer is to be learned; that the model should also learn to *write* our sentences about dark cellars, nobody asked. So each token gets a **label**. It is the token itself where something is to be learned, and `-100` where not: a number that the losses of PyTorch and Hugging Face leave out.

### Exercise 11.1 · `mask_prompt_labels` ★ · 6 minutes

- `prompt` and `answer`: lists of token ids
- returns `(ids, labels)`, two lists of ints of the same length: the prompt and the answer; and `-100` for each token of the prompt, then the answer
- a label stands *at* its token; shifting is the loss's business
- the lists that were given stay as they are; the prompt may be empty; an empty answer is a `ValueError` (with a sentence), for there would be nothing to learn

By hand: the prompt `[5, 6, 7]` and the answer `[8, 2]` give `([5, 6, 7, 8, 2], [-100, -100, -100, 8, 2])`.
"""


# %% tags=["answer"]
def mask_prompt_labels(prompt, answer):
    """The ids of prompt and answer, and labels that leave the prompt out."""
    ### BEGIN SOLUTION
    if not answer:
        raise ValueError("the answer is empty: there is nothing to learn")
    return prompt + answer, [-100] * len(prompt) + answer
    ### END SOLUTION


# %% tags=["check"]
mask_prompt_labels = checks.mask_prompt_labels(mask_prompt_labels)


# %%
def row(sentence, call):
    """One example: the ids, and the labels of the answer with its end."""
    prompt = tokenizer(f"{sentence} ->").input_ids
    return mask_prompt_labels(prompt, tokenizer(" " + as_line(call)).input_ids + [END])


ids, labels = row("could you make the hall bright?", "lamp.on(hall)")
for i, label in zip(ids, labels, strict=True):
    print(f"{tokenizer.decode([i])!r:<12} {label}")

# %% [markdown]
r"""
The end mark is part of the answer. A model that is never shown where an answer ends goes on talking.

### Exercise 11.2 · `pack_batch` ★★ · 8 minutes

Rows of different lengths become two tensors.

- `rows`: a list of `(ids, labels)`; `pad`: the id that fills up short rows
- returns `(ids, labels)`, both `(B, T)` and int64, `T` the length of the longest row, the rows in their order; short rows are filled up on the **right**, the ids with `pad`, the labels with `-100`
- the rows stay as they are; no rows at all is a `ValueError` (with a sentence)

By hand: the rows `([5, 8, 2], [-100, 8, 2])` and `([6, 2], [-100, 2])` with `pad = 2` give the ids `[[5, 8, 2], [6, 2, 2]]` and the labels `[[-100, 8, 2], [-100, 2, -100]]`. Mind the last row: the 2 that ends the answer is learned, the 2 that only fills up is not.
"""


# %% tags=["answer"]
def pack_batch(rows, pad):
    """Rows of (ids, labels) as two tensors, (B, T) each; padding is never learned."""
    ### BEGIN SOLUTION
    if not rows:
        raise ValueError("there are no rows to make a batch of")
    T = max(len(ids) for ids, _ in rows)
    ids = [ids + [pad] * (T - len(ids)) for ids, _ in rows]
    labels = [labels + [-100] * (T - len(labels)) for _, labels in rows]
    return torch.tensor(ids), torch.tensor(labels)  # (B, T) each
    ### END SOLUTION


# %% tags=["check"]
pack_batch = checks.pack_batch(pack_batch)

# %% [markdown]
r"""
No attention mask is needed: the padding stands on the right, and nothing looks to the right (lesson 2).

Now the loss. SmolLM2's head has 49,152 rows, and only a few positions of a batch have a label. So let us ask the head at those places only. It is the same number, for less work:
"""


# %%
def predicted(model, ids, labels):
    """Logits (n, vocab_size) at the n places that have a label, and those labels (n,)."""
    hidden = model.model(ids[:, :-1], use_cache=False).last_hidden_state  # (B, T - 1, d_model)
    wanted = labels[:, 1:] != -100  # position t predicts token t + 1
    return model.lm_head(hidden[wanted]), labels[:, 1:][wanted]


def sft_loss(model, ids, labels):
    return F.cross_entropy(*predicted(model, ids, labels))


ids, labels = pack_batch([row(*pair) for pair in held_out["new wordings"][:4]], pad=END)
with torch.no_grad():
    ours, theirs = sft_loss(base, ids, labels), base(ids, labels=labels).loss
print(tuple(ids.shape), f"ours {ours:.3f}, Hugging Face {theirs:.3f}")
assert abs(ours - theirs) < 1e-4, "your loss should be Hugging Face's"

# %% [markdown]
r"""
## 3 Before

What counts is the whole call, with its end, written greedily. To know that, nothing has to be written: greedy writing gives *exactly* this answer if and only if every token of the answer is the likeliest after those before it. One pass over a batch tells.
"""


# %%
@torch.no_grad()
def exactly_right(model, rows):
    """One bool for each row: would greedy writing give exactly its answer?"""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))  # little padding
    right = torch.zeros(len(rows), dtype=torch.bool)
    for start in range(0, len(rows), 9):
        part = order[start : start + 9]
        ids, labels = pack_batch([rows[i] for i in part], pad=END)
        logits, answer = predicted(model, ids, labels)
        hit = torch.ones_like(labels[:, 1:], dtype=torch.bool)
        hit[labels[:, 1:] != -100] = logits.argmax(-1) == answer
        right[part] = hit.all(1)
    return right


# %%
def say(name, right):
    """Print a count with its 95% interval (Wilson), and return the share."""
    k, n = int(right.sum()), len(right)
    low, high = binomtest(k, n).proportion_ci(method="wilson")
    print(f"   {name:<14}{k:>3} of {n}   {k / n:>4.0%}  ({low:.0%} to {high:.0%})")
    return k / n


def score(model, kinds):
    return {k: say(k, exactly_right(model, [row(*pair) for pair in held_out[k]])) for k in kinds}


# %%
before = score(base, ["new wordings"])

# %% [markdown]
r"""
Nothing, of course: how should it know what we want? That is no fair rival. The fair one is told. Six examples go in front of each sentence, and the model goes on in the same manner, **few-shot**. It costs no training. (The examples are read once; their keys and values are kept, lesson 8.)

**Predict** how many of 54.
"""

# %%
EXAMPLES = [
    ("please turn on the light in the kitchen", "lamp.on(kitchen)"),
    ("what is the capital of France?", "none"),
    ("nobody is in the office any more", "lamp.off(office)"),
    ("it is too dark in the hall", "lamp.on(hall)"),
    ("could you make the attic dark?", "lamp.off(attic)"),
    ("the garage needs new curtains", "none"),
]
shown = "".join(f"{sentence} -> {as_line(call)}\n" for sentence, call in EXAMPLES)
NEWLINE = tokenizer("\n").input_ids[0]  # here an answer ends with its line


# %%
@torch.no_grad()
def right_after_examples(pairs, n=9):
    """As exactly_right, with the examples in front."""
    pairs, right = sorted(pairs, key=lambda pair: len(pair[0])), []
    prefix = base.model(tokenizer(shown, return_tensors="pt").input_ids, use_cache=True)
    for start in range(0, len(pairs), n):
        rows = [row(*pair) for pair in pairs[start : start + n]]
        ids, labels = (x.where(x != END, NEWLINE) for x in pack_batch(rows, pad=END))
        cache = copy.deepcopy(prefix.past_key_values)
        cache.batch_repeat_interleave(len(rows))
        hidden = base.model(ids[:, :-1], past_key_values=cache).last_hidden_state
        wanted = labels[:, 1:] != -100
        hit = torch.ones_like(wanted)
        hit[wanted] = base.lm_head(hidden[wanted]).argmax(-1) == labels[:, 1:][wanted]
        right += hit.all(1).tolist()
    return torch.tensor(right)


rival = {kind: say(kind, right_after_examples(pairs)) for kind, pairs in held_out.items()}

# %% [markdown]
r"""
From six lines of text it takes the form, the rooms and some of the meaning. That is remarkable. (Which six lines, matters a good deal. These were not searched for. Twelve lines, eight of them nonsense, gave us 0, 0 and 54: always *none*, which is always free to be had. 64 of the training sentences gave 33, 33 and 6.)

A sceptic has another rival: **no language model at all**. Count words and pairs of words in the 352 sentences that section 6 will train on, weigh them (logistic regression, from scikit-learn), and let a list of the fifteen rooms do the rest. **Predict** whether that is better or worse than the six examples.
"""


# %%
import re

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

ROOM = re.compile(rf"\b({'|'.join(house.ROOMS + house.NEW_ROOMS)})\b")
taught = house.requests(4 * 88, seed=0)
counting = make_pipeline(
    TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=30, max_iter=2000)
).fit(
    [ROOM.sub("room", sentence) for sentence, _ in taught],
    [call.partition("(")[0] for _, call in taught],  # "lamp.on", "lamp.off" or "none"
)


# %%
def by_counting(sentence):
    """The call that counted words and a list of rooms give."""
    room, word = ROOM.search(sentence), counting.predict([ROOM.sub("room", sentence)])[0]
    return f"{word}({room[1]})" if room and word != "none" else word


counted = {
    kind: say(kind, torch.tensor([by_counting(sentence) == call for sentence, call in pairs]))
    for kind, pairs in held_out.items()
}

# %% [markdown]
r"""
Far better: these are the numbers to beat. It has seen 352 sentences and not six, of course, and it was *given* the list of rooms. But the task is narrow, and for a narrow task somebody should always ask what counting words would do.

## 4 A small change to a large matrix

One could train all 134.5 million weights. Then Adam keeps two more numbers for each, and what you get is a second model of the same size. **LoRA** (Hu et al., 2021, §4.1) trains something else. A linear layer's matrix $W$ is frozen, and beside it stands a product of two thin ones:

$$y = W x + \frac{\alpha}{r}\, B A x \qquad A: r \times d_{\text{in}}, \quad B: d_{\text{out}} \times r$$

With a rank of $r = 8$ the pair has 2% of the numbers of a 576 × 1536 matrix. The change can only move the output within 8 directions. That this suffices is an observation: what fine-tuning changes has, it seems, few directions (§7.2, for a model a thousand times as large as ours).

$B$ begins with zeros, so the first output is exactly that of the old layer. $A$ begins with random numbers. **Think:** why not both with zeros?

### Exercise 11.3 · `LoRALinear` ★★★ · 15 minutes

- `linear`: an `nn.Linear`, kept itself (no copy) as `self.linear` and frozen (no parameter of it wants a gradient); `self.scale` is `alpha / r`
- `self.A`: a parameter `(r, in_features)`, small random numbers (such as `nn.init.kaiming_uniform_(A, a=math.sqrt(5))`, as `peft` does); `self.B`: a parameter `(out_features, r)`, zeros; both with the dtype and on the device of the layer's weight, and there are no other parameters
- `forward(x)`: the layer's output, plus `scale` times what `A` and then `B` make of `x`, for `x` of any shape `(..., in_features)`
- a `ValueError` (with a sentence) if `linear` is no `nn.Linear`, and if the rank is below 1 or above the smaller side of the matrix

By hand: `r = 1`, `alpha = 2`, the layer is the identity on two numbers, `A = [[1, 1]]`, `B = [[1], [0]]`. Then `x = [3, 4]` becomes `[3, 4] + 2 · 7 · [1, 0] = [17, 4]`.
"""


# %% tags=["answer"]
class LoRALinear(nn.Module):
    """A frozen linear layer and a learned change of rank r: (..., in) -> (..., out)."""

    def __init__(self, linear, r, alpha):
        super().__init__()
        ### BEGIN SOLUTION
        if not isinstance(linear, nn.Linear):
            raise ValueError(f"LoRA here is for nn.Linear, and this is a {type(linear).__name__}")
        if not 1 <= r <= min(linear.weight.shape):
            raise ValueError(f"rank {r}: it must be from 1 to {min(linear.weight.shape)}")
        self.linear, self.scale = linear.requires_grad_(False), alpha / r
        self.A = nn.Parameter(torch.empty_like(linear.weight[:r]))  # (r, in_features)
        self.B = nn.Parameter(torch.zeros_like(linear.weight[:, :r]))  # (out_features, r)
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)
        ### END SOLUTION


# %% tags=["check"]
LoRALinear = checks.LoRALinear(LoRALinear)

# %% [markdown]
r"""
(Both zeros: the gradient of each is a product with the other, so both would be zero, and stay so for ever.)

It goes into all seven linear layers of the upper fifteen blocks. Those below are left alone, and so the backward pass can end half way down, which saves a third of the time. The `twin` is a copy that *shares* the frozen weights with the original; so `base` stays as it is, and four models fit into the room of little more than one.
"""


# %%
def twin(model):
    """A copy that shares the frozen parameters with the original."""
    return copy.deepcopy(model, {id(p): p for p in model.parameters() if not p.requires_grad})


def add_lora(model, r=8, alpha=16, layers=range(15, 30)):
    """A twin of the model with a LoRALinear for every linear layer of these blocks."""
    model = twin(model)
    for i in layers:
        for part in (model.model.layers[i].self_attn, model.model.layers[i].mlp):
            for name, child in list(part.named_children()):
                if name.endswith("_proj"):
                    setattr(part, name, LoRALinear(child, r, alpha))
    return model


def adapter(model):
    """What was trained, and nothing else, by name."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


# %% [markdown]
r"""
**Predict** how much a logit changes when 105 layers have been replaced. And how many percent of the weights will be trained?
"""

# %%
fresh = add_lora(base)
text = tokenizer("The lamp in the hall", return_tensors="pt").input_ids
with torch.no_grad():
    gap = (fresh(text).logits - base(text).logits).abs().max().item()
trained, total = sum(p.numel() for p in adapter(fresh).values()), base.num_parameters()
print("largest change of a logit:", gap)
print(f"to be trained: {trained:,} beside {total:,}, {trained / total:.2%}")
assert gap == 0.0 and trained / total < 0.01, "at first LoRA changes nothing, and it has few parameters"

# %% [markdown]
r"""
Not small: *zero*. It is the cheapest test of an adapter there is.

## 5 What will it cost?

Before we train, we have to know what there is to lose, or we will never miss it. Two measures: the perplexity (lesson 7) on five paragraphs of ordinary English, which were written for this course and have nothing to do with lamps; and two ordinary questions.
"""


# %%
@torch.no_grad()
def perplexity(model, texts=house.PARAGRAPHS):
    """exp(mean loss per token) on some texts."""
    total, n = 0.0, 0
    for text in texts:
        ids = tokenizer(text, return_tensors="pt").input_ids
        logits, labels = predicted(model, ids, ids)
        total, n = total + F.cross_entropy(logits, labels, reduction="sum").item(), n + len(labels)
    return math.exp(total / n)


@torch.no_grad()
def write(model, text, n=9):
    """Go on greedily until the end mark, at most n tokens."""
    batch = tokenizer(text, return_tensors="pt")
    out = model.generate(**batch, max_new_tokens=n, do_sample=False, pad_token_id=END)
    return tokenizer.decode(out[0, batch.input_ids.shape[1] :], skip_special_tokens=True).strip()


# %%
def chat(model):
    """Two ordinary questions, in SmolLM2's chat template (lesson 10)."""
    for question in ("What is the capital of France?", "Name three animals."):
        page = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
        print(f"   {question} {write(model, page, 16)!r}")


cost = {"before": perplexity(base)}
print(f"perplexity on ordinary text: {cost['before']:.1f}")
chat(base)

# %% [markdown]
r"""
## 6 Training

Batches of four sentences: pairs of opposites ("make the hall bright", "make the hall dark"), and after every three pairs two sentences that want nothing. The optimizer is Adam with a large rate for the few weights that move.
"""


# %%
def train(model, batches, rates, said):
    """One step of Adam for each batch and its learning rate; returns the losses."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
    losses = []
    for rows, rate in zip(bar(batches, said), rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        loss = sft_loss(model, *pack_batch(rows, pad=END))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


examples = [row(*pair) for pair in taught]
task = [examples[i : i + 4] for i in range(0, len(examples), 4)]
for sentence, call in taught[:8]:
    print(f"{sentence:<52} {call}")

# %% [markdown]
r"""
60 batches, less than half a minute. (`first_slips` says what goes wrong first in the answers.) **Predict** two numbers before you run the cell: of 54 new wordings how many will be right; and where will the perplexity go, which was about 16?
"""


# %%
@torch.no_grad()
def first_slips(model, wishes):
    """How many answers go wrong first in: lamp, on or off, what follows; and how many nowhere."""
    ids, labels = pack_batch([row(*pair) for pair in wishes], pad=END)
    logits, answer = predicted(model, ids, labels)
    wanted = labels[:, 1:] != -100  # (B, T - 1)
    hit = torch.ones_like(wanted)
    hit[wanted] = logits.argmax(-1) == answer
    place = (~hit).int().argmax(1) - wanted.int().argmax(1)  # in the answer, from 0
    place = place.clamp(max=2).where(~hit.all(1), 3).tolist()
    kinds = "not seen as a wish", "on for off", "another room or form", "right"
    return {kind: place.count(i) for i, kind in enumerate(kinds)}


# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
tuned = add_lora(base)
RATE, FIRST = 3e-3, 60
losses = train(tuned, task[:FIRST], [RATE / 3, RATE * 2 / 3] + [RATE] * (FIRST - 2), "fine-tuning")

# %% tags=["nbval-ignore-output"]
print(f"loss {losses[0]:.2f} -> {sum(losses[-5:]) / 5:.2f}")
first = score(tuned, held_out)
print("new wordings:", first_slips(tuned, held_out["new wordings"]))
cost["fine-tuned"] = perplexity(tuned)
print(f"perplexity on ordinary text: {cost['before']:.1f} -> {cost['fine-tuned']:.1f}")
chat(tuned)
assert first["new wordings"] > 0.2, "it should have learned something"
assert cost["fine-tuned"] > 1.5 * cost["before"], "and forgotten something"

# %% [markdown]
r"""
It has learned, from nothing. How much? Look at what goes wrong first: the room hardly ever; *on* and *off* are confused more often, though less often than a coin would; and many a wish in new words is not seen as a wish at all. And it has *forgotten*: ordinary text surprises it more than it did by far, and a question about animals is to it one more sentence that asks for no lamp. Nothing in the training said that it should still be able to talk, so nothing kept it from unlearning it; and our rate is large, so it went far. Its name is **catastrophic forgetting**, and it is as old as neural networks (McCloskey and Cohen, 1989).

Note what you would have seen without the second measure: a loss that falls and a score that rises.

## 7 Replay

The oldest cure is still among the best: between the new, practise the old. We do not have SmolLM2's training data; but *some* ordinary text will do, and Python's reference (lesson 7) is at hand. That the paragraphs of the test are about soup and harbours, and the replayed ones about operators, makes it a fair test.

### Exercise 11.4 · `mix_replay` ★★ · 8 minutes

- `task`, `replay`: two lists (of batches, whatever those are); `every`: a whole number
- returns a new list (always): the task in its order, and after each group of `every` batches one of `replay`, in order, beginning again when it comes to its end; after an incomplete group at the end comes none
- a `ValueError` (with a sentence) if `every` is below 1 or `replay` is empty

By hand: the task `t1 … t5`, the replay `r1, r2` and `every = 2` give `t1, t2, r1, t3, t4, r2, t5`.
"""


# %% tags=["answer"]
def mix_replay(task, replay, every):
    """The batches of a task, with one of replay after every few of them."""
    ### BEGIN SOLUTION
    if every < 1 or not replay:
        raise ValueError("replay needs at least one batch, and `every` at least 1")
    mixed = []
    for i, batch in enumerate(task):
        mixed.append(batch)
        if (i + 1) % every == 0:
            mixed.append(replay[(i // every) % len(replay)])
    return mixed
    ### END SOLUTION


# %% tags=["check"]
mix_replay = checks.mix_replay(mix_replay)

# %% [markdown]
r"""
In a replayed batch *every* token is a label, as in pretraining: here the text itself is what should not be forgotten.
"""

# %%
paragraphs = [p for page in data.python_topics().values() for p in page.split("\n\n")]
paragraphs = [p for p in paragraphs if 200 < len(p) < 600 and "::=" not in p and ">>>" not in p]
random.Random(0).shuffle(paragraphs)
pieces = [tokenizer(p).input_ids[:28] for p in paragraphs[:24]]
replay = [[(ids, ids) for ids in pieces[i : i + 3]] for i in range(0, 24, 3)]
print(len(replay), "batches of three pieces, such as:", tokenizer.decode(pieces[0]))

# %% [markdown]
r"""
The training goes on where it stopped, with 28 more batches of the task, a batch of replay after every four, and a rate that falls to zero. **Predict** again: better or worse at the task? And the perplexity?
"""

# %% tags=["nbval-ignore-output"]
mixed = mix_replay(task[FIRST:], replay, every=4)
cured = twin(tuned)
train(cured, mixed, [RATE * (1 - i / len(mixed)) for i in range(len(mixed))], "with replay")
after = score(cured, list(held_out))
cost["with replay"] = perplexity(cured)
print("perplexity on ordinary text:", {name: round(value, 1) for name, value in cost.items()})
chat(cured)
assert after["new wordings"] > 0.45, "nearly half of the new wordings should be right"
assert cost["with replay"] < 0.75 * cost["fine-tuned"], "replay should bring much of it back"
assert after["new wordings"] < counted["new wordings"] + 0.15, "wishes can be counted as well"
assert after["new nonsense"] > counted["new nonsense"], "nonsense cannot"

# %% tags=["nbval-ignore-output"]
fig, (left, right) = plots.figure(2, height=2.8)
places = torch.arange(3)
for shift, shares, colour, name in (
    (-0.27, rival, plots.GREY, "six examples"), (0, counted, plots.SKY, "counted words"),
    (0.27, after, plots.BLUE, "fine-tuned, with replay"),
):  # fmt: skip
    bars = left.bar(places + shift, shares.values(), 0.26, color=colour, label=name)
    left.bar_label(bars, [f"{share:.0%}" for share in shares.values()], fontsize=7)
left.set_xticks(places, [kind.replace(" ", "\n") for kind in held_out])
left.set(ylim=(0, 1.7), ylabel="share exactly right", title="three kinds, 54 sentences each")
left.set_yticks([0, 0.5, 1])
left.legend()
bars = right.bar(list(cost), cost.values(), color=[plots.GREY, plots.RED, plots.BLUE])
right.bar_label(bars, fmt="%.0f")
right.set(title="perplexity on ordinary text", ylim=(0, 1.15 * max(cost.values())))
plots.show(
    fig, "Left: the fine-tuned model is right far more often than the six examples; counted words do "
    "as well on wishes and worse on nonsense. Right: perplexity rises steeply with fine-tuning and falls with replay.",
)

# %% [markdown]
r"""
It is far above the six examples. Beside the counted words it is no better on wishes, and better where no wish is made: to know that *my lamp shop opens at nine* asks for nothing, it helps to have read a great deal. And most of what was forgotten has come back. Most, not all: the perplexity is still above the old one. Read the two answers as well; a fluent and false one (*Paris, located on the French Riviera*, wrote ours) does not show in any number here.

Is it the replay, or only the falling rate, the small steps of the end? **Predict**, and try: `again = twin(tuned)`, then `train(again, task[FIRST:], [RATE * (1 - i / 28) for i in range(28)], "no replay")` and `score(again, held_out)`, half a minute. (We got 38, 45 and 45 right, and a perplexity of 49; with the rate as it was, 32, 40, 21 and 77; and with the seven batches of replay *alone*, no lamp among them, 36, 42, 38 and 20. So the falling rate brings the score, and the replay the perplexity.)

A cheaper cure comes first: **smaller steps**. At a third of the rate, falling from the start, the same 88 batches without any replay gave us 33, 42 and 47 right at a perplexity of 25, nearly what replay achieves; another seed 35, 43, 43 at 26, and with replay 36, 42, 43 at 18. So do both.

How sure are these numbers? The intervals above are about the 54 sentences. They are not about the *training*: another seed gives another model, and with so short a training it may be ten points better or worse. Set `torch.manual_seed(1)` and `seed=1` in section 6 and see. Whoever reports one run has measured luck, too.

**Does masking the prompt matter?** Here is one more experiment for you: put `[(ids, ids) for ids, _ in examples]` in place of `examples`, and train again. (Leave `row` alone, for the scores use it.) The scores moved up and down with our two seeds, and told nothing. The perplexity did: 34 and 28 without the mask, after replay, where with it we had 23 twice. What is learned about prompts is unlearned elsewhere; and where prompts are long and answers short, most of the loss would be about the prompts.

## 8 One matrix again

An adapter costs a little time at every step: three products in place of one. But a sum of matrices is a matrix. When the training is over, the change can be **merged**, and nothing is left of LoRA but a model with other numbers.

### Exercise 11.5 · `merge_lora` ★★ · 8 minutes

- `weight`: `(out_features, in_features)`, `A`: `(r, in_features)`, `B`: `(out_features, r)`, `scale`: a number
- returns a **new** tensor, the weight plus `scale` times the product of `B` and `A`, with the dtype of `weight`; without a gradient
- for a weight in half precision the sum is made in float32, and rounded once at the end; a weight in float64 stays in float64
- the given weight stays as it is: a cell that is run twice must not merge twice
- shapes that do not fit are a `ValueError` (with a sentence)

By hand: the identity of size 2, `A = [[1, 1]]`, `B = [[1], [0]]` and `scale = 2` give `[[3, 2], [0, 1]]`.
"""


# %% tags=["answer"]
def merge_lora(weight, A, B, scale):
    """The one matrix that does what a weight and its adapter do together."""
    ### BEGIN SOLUTION
    if A.shape[0] != B.shape[1] or (B.shape[0], A.shape[1]) != tuple(weight.shape):
        raise ValueError(f"B {tuple(B.shape)} times A {tuple(A.shape)} is no {tuple(weight.shape)}")
    with torch.no_grad():
        wide = torch.promote_types(weight.dtype, torch.float32)
        return (weight.to(wide) + scale * (B.to(wide) @ A.to(wide))).to(weight.dtype)
    ### END SOLUTION


# %% tags=["check"]
merge_lora = checks.merge_lora(merge_lora)


# %%
def merged(model):
    """A twin in which every LoRALinear has become a plain linear layer."""
    model = twin(model)
    parts = [(m, name, c) for m in model.modules() for name, c in m.named_children()
             if isinstance(c, LoRALinear)]  # fmt: skip
    if not parts:
        raise ValueError("no LoRALinear here: was it merged already, or the class defined anew?")
    for module, name, child in parts:
        linear = copy.copy(child.linear)
        linear._parameters = dict(linear._parameters)  # its own, so that `base` keeps its weight
        weight = merge_lora(child.linear.weight, child.A, child.B, child.scale)
        linear.weight = nn.Parameter(weight, requires_grad=False)
        setattr(module, name, linear)
    return model


# %%
plain = merged(cured)
with torch.no_grad():
    one, other = plain(text).logits, cured(text).logits
gap = (one - other).abs().max().item()
size = one.abs().max().item()
print("merged and unmerged give the same, to a ten-thousandth of the logits' size:", gap < 1e-4 * size)
assert gap < 1e-4 * size, "merged, the model should answer as before"
try:
    merged(plain)
except ValueError as error:
    print("ValueError:", error)

# %% [markdown]
r"""
What do you give to somebody who has SmolLM2 already? Only what was trained:
"""

# %%
with tempfile.TemporaryDirectory() as place:
    save_file(adapter(cured), Path(place) / "adapter.safetensors")
    bytes_of_it = (Path(place) / "adapter.safetensors").stat().st_size
print(f"the adapter: {bytes_of_it / 1e6:.1f} MB; the model: {4 * total / 1e6:.0f} MB in float32")

# %% tags=["nbval-ignore-output"]
def speed(model, n=7):
    """Tokens per CPU second."""
    start = time.process_time()
    model.generate(text, attention_mask=torch.ones_like(text), max_new_tokens=n, min_new_tokens=n,
                   do_sample=False, pad_token_id=END)  # fmt: skip
    return n / (time.process_time() - start)


runs = [(speed(cured), speed(plain)) for _ in range(2)]
for name, found in zip(("unmerged", "merged"), zip(*runs, strict=True), strict=True):
    print(f"{name:<9} {' '.join(f'{rate:.1f}' for rate in found)} tokens/s")

# %% [markdown]
r"""
The adapter is a hundredth of the model, so one model can have a hundred of them, one for every house. That is the case for *not* merging. Merged, it writes perhaps a little faster; with so few tokens the difference drowns in the noise of the measurement.

**The library** for this is `peft`. It finds the layers by name, and its LoRA is yours: with your `A` and `B` it gives your logits.
"""

# %%
warnings.simplefilter("ignore", FutureWarning)  # peft uses a name that transformers is changing
projections = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj".split()
config = peft.LoraConfig(
    r=8, lora_alpha=16, layers_to_transform=list(range(15, 30)), target_modules=projections
)
theirs = peft.get_peft_model(twin(base), config).eval()
for name, module in cured.named_modules():
    if isinstance(module, LoRALinear):
        layer = theirs.base_model.model.get_submodule(name)
        layer.lora_A["default"].weight.data.copy_(module.A)
        layer.lora_B["default"].weight.data.copy_(module.B)
with torch.no_grad():
    gap = (theirs(text).logits - cured(text).logits).abs().max().item()
theirs.print_trainable_parameters()
print("peft's logits are yours, to a ten-thousandth of their size:", gap < 1e-4 * size)
assert gap < 1e-4 * size, "peft should give what yours gives"

# %% [markdown]
r"""
## 9 The house hears you

Put in your own sentences, in words as different from the printed ones as you can; be rude, be polite, want nothing. The model writes a call, the call is obeyed, and whatever is no call for a room of this house changes nothing.
"""

# %% tags=["nbval-ignore-output"]
SENTENCES = [
    "could you make the kitchen bright?",
    "the cat is in the library and wants to see her mouse",
    "how are you today?",
    "I am going to bed, so forget about the kitchen",
    "please turn the hall light on",
]
lit, moments = set(), []
for sentence in SENTENCES:
    call = as_call(write(plain, f"{sentence} ->"))
    lit = house.obey(call, lit)
    moments.append(set(lit))
    print(f"{sentence:<56} {call}")

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(2, height=2.2)
for ax, on, name in zip(axes, (moments[0], moments[-1]), ("after the first", "after the last"), strict=True):
    house.draw(ax, on)
    ax.set_title(name)
lights = ", ".join(sorted(moments[-1])) or "no room"
plots.show(fig, f"The house after the first sentence and after the last: lit in the end: {lights}.")

# %% [markdown]
r"""
Whatever you typed, a model that could not do it an hour ago has turned it into a call. (The first of our sentences is a wording from the training, the others are not.) Into the right one? The intervals above are about *our* sentences, not about yours. A reader of this lesson, who wrote 25 of his own, had 11 of 14 wishes right, and of ten sentences that want nothing, chosen to be hard, only 2: *do not turn on the light in the hall* turned it on. Try that, and *the kitchen is on fire*; it has learned words, not what fire is.

See how far you are:
"""

# %% tags=["nbval-ignore-output"]
checks.progress()

# %% [markdown]
r"""
## Summary

1. Supervised fine-tuning is next-token prediction on examples of what one wants; labels of -100 say what is given and not learned.
2. LoRA freezes the model and learns a product of two thin matrices beside each. At the beginning it changes nothing, exactly; in the end it can be merged, exactly but for rounding.
3. Test new wordings, new cases and refusals apart, on sentences that no setting was chosen on, and beside rivals: one who is told and not trained, and one that only counts words.
4. A model forgets what it is not asked for. Measure something else than the task, before and after, or you will never know.
5. Small steps forget less, and replay of ordinary text pays most of the rest back.

**Next:** in [12 · Preferences and rewards](12_preferences.ipynb) nobody shows the model an answer. It is only told which of two is better.

## Further reading

- Hu et al., 2021, "LoRA: low-rank adaptation of large language models": §4.1 the method, §7.2 how few directions suffice.
- Biderman et al., 2024, "LoRA learns less and forgets less": §4, beside full fine-tuning.
- Kirkpatrick et al., 2017, "Overcoming catastrophic forgetting in neural networks": another cure, and McCloskey and Cohen, 1989, for the diagnosis.
- Schick et al., 2023, "Toolformer": models that learn to call tools.
- Hugging Face, "PEFT" and "TRL": the libraries in which one does this with larger models.
"""
