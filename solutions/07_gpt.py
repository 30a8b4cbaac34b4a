# %% [markdown]
r"""
# 07 · Train a GPT

Everything is there by now: attention with a causal mask, positions, blocks, tokens. What is missing is the step that turns these parts into something that writes. In this lesson you train a language model from nothing, on text and code that lie on your own machine, in half a minute.

A loss that goes down is no proof of anything. So you will measure the model against rivals which know nothing, count tokens, or count pairs, and against SmolLM2, which has read half the internet. You will see why a model with the right architecture and the wrong first numbers does not learn, watch it write at four moments of its life, and save it so that `from_pretrained` loads it like any model in the world. At the end you predict how good a model will be that does not exist yet.

**Needs:** causal attention and its mask (lesson 2), a Transformer's block (lesson 4), what a token is (lesson 6). **Takes:** about 100 minutes. **Exercises:** 7.1 to 7.7; 7.8 is a stretch.
"""

# %%
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from utils import data, models, plots
from utils.checks import lesson07 as checks
from utils.progress import bar

transformers.logging.disable_progress_bar()
transformers.logging.set_verbosity_error()  # it has much to say of models that are not on its list
torch.set_num_threads(1)  # for so small a model one thread is as fast as two, and steadier

# %% [markdown]
r"""
## 1 Something to read

A GPT is trained on text, and the text need not come from far. Python carries its own language reference with it, for `help("if")`, and the sources of its library. The one is prose, the other code. A model that gets both learns both in one set of weights, without being told which is which: the simplest way there is to join two kinds of data.
"""

# %%
topics = data.python_topics()
modules = data.python_modules(largest=10_000)
print(len(topics), "pages of reference,", len(modules), "modules of at most 10,000 bytes\n")
print(topics["if"][:330])
print("\n".join(modules["bisect"].splitlines()[3:17]))

# %% [markdown]
r"""
To know whether the model has learned the language or only *these pages*, some of them must be kept from it: the **held-out** part. Every tenth page and every tenth module is put aside.

That seems clean. Is it? **Predict** what share of the long lines on the held-out pages also stands on a page that is trained on.
"""


# %% tags=["nbval-ignore-output"]
def long_lines(texts):
    """The lines of some texts that are long enough not to be alike by chance."""
    return [line for text in texts for line in text.splitlines() if len(line.strip()) >= 40]


def seen_before(held_out, training):
    """The share of long lines of the held-out texts that occur in training, too."""
    known = set(long_lines(training))
    lines = long_lines(held_out)
    return sum(line in known for line in lines) / max(1, len(lines))


held_out = {"text": list(topics)[::10], "code": list(modules)[::10]}
text_held = [topics[name] for name in held_out["text"]]
code_held = [modules[name] for name in held_out["code"]]
text_train = [page for name, page in topics.items() if name not in held_out["text"]]
code_train = [source for name, source in modules.items() if name not in held_out["code"]]

print(f"text: {seen_before(text_held, text_train):.1%} of the long lines were seen before")
print(f"code: {seen_before(code_held, code_train):.1%}")
for name in held_out["text"]:
    print(f"   {name:<14} {seen_before([topics[name]], text_train):.0%}")
print("the page on else is the page on if:", topics["else"] == topics["if"])

# %% [markdown]
r"""
More than a tenth of the text has leaked, and one page wholly. The reference says things twice: ask it for help on `else`, and it gives the page on `if`, word for word. A model that had learned the one by heart would be praised for understanding the other.

So look for yourself before you believe in a split. Here every *paragraph* of the held-out pages is taken out of the training text, wherever it stands:
"""

# %% tags=["nbval-ignore-output"]
secret = {paragraph.strip() for page in text_held for paragraph in page.split("\n\n")}
text_train = [
    "\n\n".join(part for part in page.split("\n\n") if part.strip() not in secret)
    for page in text_train
]
leaks = seen_before(text_held, text_train), seen_before(code_held, code_train)
print(f"seen before now: {leaks[0]:.1%} of the text, {leaks[1]:.1%} of the code")
training = "\n\n".join(text_train + code_train)
print(f"{len(training.encode()):,} bytes to train on")
assert max(leaks) < 0.05

# %% [markdown]
r"""
(What is left in the code are lines that all programs share. Larger models have it harder: they are tested on texts of which nobody knows any more whether they were in the training data. Remember it when SmolLM2 enters below.)

## 2 Tokens and batches

The tokenizer is the one that you wrote in lesson 6, now from the library: bytes, and merges learned from the **training text only**. How many tokens? Each has its row in the embedding table, which has to be learned; with so little text the table must be small. We take 512, one of them an **end-of-text** token that will stand before each text.
"""

# %%
tokenizer = Tokenizer(BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size=512,
    special_tokens=["<|endoftext|>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
tokenizer.train_from_iterator([training], trainer)
EOT, VOCAB = 0, tokenizer.get_vocab_size()


def to_ids(text):
    """The ids of a text, end-of-text in front: (N,)."""
    return torch.tensor([EOT, *tokenizer.encode(text).ids])


# %% tags=["nbval-ignore-output"]
train_ids = torch.cat([to_ids(text) for text in text_train + code_train])
print(f"{len(train_ids):,} tokens of {len(training.encode()) / len(train_ids):.2f} bytes on average")
print([tokenizer.decode([i]) for i in to_ids("    return self.value\n").tolist()])

# %% [markdown]
r"""
A batch is a handful of pieces, cut out at random places. The target at each position is the token that comes next. So one piece of `T + 1` tokens gives `T` questions and their answers, and thanks to the causal mask all of them are asked at once (lesson 2).

### Exercise 7.1 · `get_batch` ★ · 6 minutes

- `ids`: `(N,)`, a long text; `generator`: a `torch.Generator`
- draw the places with **one** call, `torch.randint(len(ids) - T, (batch_size,), generator=generator)`
- for each place `i`: the input is `ids[i : i + T]`, the targets are `ids[i + 1 : i + T + 1]`
- returns `(x, y)`, both `(batch_size, T)`; if the text has not even `T + 1` tokens, raise a `ValueError` whose sentence says so

By hand: `ids = [10, 11, 12, 13, 14]`, `T = 3` and the places 1 and 0 give `x = [[11, 12, 13], [10, 11, 12]]` and `y = [[12, 13, 14], [11, 12, 13]]`.
"""


# %% tags=["answer"]
def get_batch(ids, batch_size, T, generator):
    """Random pieces of a text, and the next token at each position: (B, T) and (B, T)."""
    ### BEGIN SOLUTION
    if len(ids) <= T:
        raise ValueError(f"a piece takes {T + 1} tokens, and the text has {len(ids)}")
    places = torch.randint(len(ids) - T, (batch_size,), generator=generator)
    pieces = ids[places[:, None] + torch.arange(T + 1)]  # (B, T + 1)
    return pieces[:, :-1], pieces[:, 1:]
    ### END SOLUTION


# %% tags=["check"]
get_batch = checks.get_batch(get_batch)

# %%
x, y = get_batch(train_ids, batch_size=2, T=10, generator=torch.Generator().manual_seed(2))
print(tuple(x.shape), tuple(y.shape))
for i in range(4):
    print(repr(tokenizer.decode(x[0, : i + 1].tolist())), "->", repr(tokenizer.decode([y[0, i]])))

# %% [markdown]
r"""
## 3 The model

Here is a whole GPT. You have built each of its parts, so it is given. Compare it with the decoder of lesson 5: no cross-attention, for there is no other text to look at; and the norm stands *before* each half, as in GPT-2 (Radford et al., 2019, §2.3), not behind it (lesson 4 showed why).
"""


# %%
class Block(nn.Module):
    """One pre-norm layer with causal attention: (B, T, d_model) -> (B, T, d_model)."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.norm1 = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)  # all three projections in one matrix
        self.out = nn.Linear(d_model, d_model)  # writes to the stream
        self.norm2 = nn.LayerNorm(d_model)
        self.up = nn.Linear(d_model, 4 * d_model)
        self.down = nn.Linear(4 * d_model, d_model)  # writes to the stream

    def attention(self, x):
        B, T, C = x.shape
        qkv = self.qkv(x).view(B, T, 3 * self.n_heads, -1).transpose(1, 2)  # (B, 3 heads, T, d_head)
        q, k, v = qkv.chunk(3, dim=1)  # (B, n_heads, T, d_head) each
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(found.transpose(1, 2).reshape(B, T, C))  # (B, T, C)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


# %%
class GPT(nn.Module):
    """A GPT-2 in small: ids (B, T) -> logits (B, T, vocab_size)."""

    def __init__(self, vocab_size, d_model, n_heads, n_layers, max_T):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, d_model)
        self.positions = nn.Embedding(max_T, d_model)
        self.blocks = nn.ModuleList(Block(d_model, n_heads) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model)

    def forward(self, ids):
        length, longest = ids.shape[1], len(self.positions.weight)
        if length > longest:
            raise ValueError(f"{length} tokens are too many for {longest} positions: cut the text")
        if ids.min() < 0 or ids.max() >= len(self.tokens.weight):
            raise ValueError(f"ids go from 0 to {len(self.tokens.weight) - 1}: another tokenizer's?")
        x = self.tokens(ids) + self.positions.weight[:length]  # (B, T, d_model)
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.tokens.weight.T  # (B, T, vocab_size)


# %% [markdown]
r"""
The last line is worth a look. The output layer has no weights of its own: the logit of a token is the dot product of what the model has come to think with that token's *embedding*. The head is **tied** to the table (Press and Wolf, 2017), as in GPT-2 and in SmolLM2. It saves one of the largest matrices of a small model.
"""

# %%
T, D_MODEL, N_HEADS, N_LAYERS = 64, 128, 4, 2


def new_gpt(seed=0):
    """A GPT of the size that we train, with PyTorch's own random weights."""
    torch.manual_seed(seed)
    return GPT(VOCAB, D_MODEL, N_HEADS, N_LAYERS, T)


print(f"{sum(p.numel() for p in new_gpt().parameters()):,} parameters")
for bad in (torch.zeros(1, 80, dtype=torch.int64), torch.tensor([[600]])):
    try:
        new_gpt()(bad)
    except ValueError as error:
        print("ValueError:", error)

# %% [markdown]
r"""
## 4 The loss, before anything is learned

### Exercise 7.2 · `lm_loss` ★★ · 8 minutes

How surprised is the model by the right tokens? The mean of $-\ln p(\text{target})$ over all `B·T` positions.

- `logits`: `(B, T, V)`; `targets`: `(B, T)`, already shifted by `get_batch`
- returns a tensor of shape `()`, in nats
- write it with `log_softmax` (or `logsumexp`), not with `softmax` and `log`: logits may be 1000

By hand: with `V = 2`, logits `[[[0, 0]]]` and target `[[1]]` the model thinks that both are equally likely, and the loss is ln 2 = 0.693.
"""


# %% tags=["answer"]
def lm_loss(logits, targets):
    """Mean cross-entropy in nats: (B, T, V), (B, T) -> ()."""
    ### BEGIN SOLUTION
    log_p = logits.log_softmax(-1)  # (B, T, V)
    return -log_p.gather(-1, targets[..., None]).mean()
    ### END SOLUTION


# %% tags=["check"]
lm_loss = checks.lm_loss(lm_loss)

# %% [markdown]
r"""
A model that knows nothing should give each of the 512 tokens the same probability. Then its loss is $\ln 512 = 6.24$.

**Predict:** what is the loss of a new model with the random weights that PyTorch gives it? Near 6.24, somewhat above, or far above?
"""

# %% tags=["nbval-ignore-output"]
x, y = get_batch(train_ids, batch_size=64, T=T, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    logits = new_gpt()(x)  # (B, T, VOCAB)
start = lm_loss(logits, y).item()
same = (logits.argmax(-1) == x).float().mean().item()
print(f"loss {start:.1f}; it expects the token that it has just read at {same:.0%} of positions")
print(f"the logit of that token: {logits.gather(-1, x[..., None]).mean():.0f} on average")
assert start > 50 and same > 0.9

# %% [markdown]
r"""
Far above: it is not ignorant, it is *sure of something wrong*. PyTorch draws embeddings with standard deviation 1. The stream carries the embedding of the current token up to the head, the head compares it with all embeddings, and by far the most similar one is itself. Its 128 squares make a dot product of about 128; the last norm shrinks the stream, in which the position's vector lies beside the token's, by about √2, and some 90 are left. So the new model is certain that every token repeats itself. Before it can learn anything it has to unlearn that.

GPT-2 starts small: all matrices with standard deviation 0.02, as Hugging Face's code and nanoGPT have it (OpenAI's has 0.01 for the positions). And those that write to the stream smaller still (Radford et al., 2019, §2.3): each of the `n_layers` blocks adds two contributions, and the variances of independent contributions add up, so that a sum of `2 · n_layers` of them grows by the root of that number. Dividing by the root in advance keeps the stream the same size for any depth.

### Exercise 7.3 · `init_weights` ★★ · 8 minutes

Change the weights of a GPT, in place:

- all matrices (the `weight` of every `nn.Linear` and both embeddings): normal, mean 0, standard deviation `std`
- except `out.weight` and `down.weight` in each block: standard deviation `std / sqrt(2 * n_layers)`, where `n_layers` is `len(model.blocks)`
- all biases 0; the norms: weight 1, bias 0
- changes the parameters that are there (an optimizer made earlier would not know new ones) and returns the model; the seed is the caller's business
"""


# %% tags=["answer"]
@torch.no_grad()
def init_weights(model, std=0.02):
    """Give a GPT the weights that GPT-2 begins with; changes and returns the model."""
    ### BEGIN SOLUTION
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
        elif parameter.ndim == 1:
            parameter.fill_(1)
        elif name.endswith(("out.weight", "down.weight")):
            parameter.normal_(0, std / math.sqrt(2 * len(model.blocks)))
        else:
            parameter.normal_(0, std)
    return model
    ### END SOLUTION


# %% tags=["check"]
init_weights = checks.init_weights(init_weights)

# %% [markdown]
r"""
The smallest GPT-2 has a width of 768. A dot product of narrower vectors has fewer terms, and what keeps its size is a standard deviation that goes with $1/\sqrt{d_{\text{model}}}$. For our 128 that makes $0.02 \cdot \sqrt{768/128} = 0.049$.
"""


# %% tags=["nbval-ignore-output"]
def gpt2_std(d_model):
    """GPT-2's standard deviation, carried over to another width."""
    return 0.02 * math.sqrt(768 / d_model)


with torch.no_grad():
    for std in (0.02, gpt2_std(D_MODEL)):
        loss = lm_loss(init_weights(new_gpt(), std)(x), y).item()
        print(f"std {std:.3f}: loss {loss:.2f}, ln 512 = {math.log(VOCAB):.2f}")
        assert abs(loss - math.log(VOCAB)) < 0.3

# %% [markdown]
r"""
Both know nothing, and know that; 0.02 even a little better. **Predict** which of the three first weights learns best, PyTorch's, 0.02, or 0.049. Section 7 trains them all.

## 5 One step

Two small things stand between a loss and a training. The first is the learning rate. A large step in the beginning, when the gradients point anywhere, does harm; so it is warmed up. At the end, small steps let the model settle; so it falls, along half a cosine (Loshchilov and Hutter, 2017, §3, without the restarts).

### Exercise 7.4 · `warmup_cosine` ★ · 6 minutes

The factor for the learning rate at a `step`, counted from 0: a straight line from 0 at step 0 to 1 at step `warmup`, and from there half a cosine down to 0 at step `total`. Returns a float. `warmup` may be 0.

By hand, with `warmup = 4` and `total = 12`: step 0 gives 0, step 2 gives 0.5, step 4 gives 1, step 8 gives 0.5, step 12 gives 0.
"""


# %% tags=["answer"]
def warmup_cosine(step, warmup, total):
    """What the learning rate is multiplied by at a step."""
    ### BEGIN SOLUTION
    if step < warmup:
        return step / warmup
    done = (step - warmup) / (total - warmup)
    return 0.5 * (1 + math.cos(math.pi * done))
    ### END SOLUTION


# %% tags=["check"]
warmup_cosine = checks.warmup_cosine(warmup_cosine)

# %%
STEPS, WARMUP = 500, 50
fig, ax = plots.figure(height=2.2)
ax.plot([warmup_cosine(step, WARMUP, STEPS) for step in range(STEPS + 1)])
ax.set(xlabel="step", ylabel="factor", title="The learning rate: warm up, then settle")
plots.show(fig, "The factor rises in a line from 0 to 1 and falls along half a cosine to 0.")

# %% [markdown]
r"""
The second is the length of the gradient. Now and then a batch is so strange that its gradient is many times as long as usual, and one step along it throws the model far off. **Clipping** shortens it: all gradients *together* are one long vector, and if that is longer than `max_norm`, all are scaled down by the same factor (Pascanu et al., 2013, §3.2). The direction stays.

### Exercise 7.5 · `train_step` ★★ · 10 minutes

One step of training, in this order:

- forget old gradients (some may be left from elsewhere)
- the loss, `lm_loss(model(x), y)`, and its gradients
- clip them with `nn.utils.clip_grad_norm_` so that their common length is at most `max_norm`
- one step of the optimizer
- returns the loss *before* the step, as a Python float

The model is in training mode and stays in it.
"""


# %% tags=["answer"]
def train_step(model, optimizer, x, y, max_norm):
    """One step of training; returns the loss before it."""
    ### BEGIN SOLUTION
    optimizer.zero_grad()
    loss = lm_loss(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% tags=["check"]
train_step = checks.train_step(train_step)

# %% [markdown]
r"""
Before every long training comes a short one: **learn a single batch by heart**. If a model with more than enough weights cannot bring the loss on four short pieces close to zero, something is broken, and one finds out in two seconds and not after an hour. **Predict** how many steps it takes.
"""

# %% tags=["nbval-ignore-output"]
few, answers = get_batch(train_ids, batch_size=4, T=32, generator=torch.Generator().manual_seed(0))
model = init_weights(new_gpt(), gpt2_std(D_MODEL))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
heart = [train_step(model, optimizer, few, answers, max_norm=1.0) for _ in range(31)]
print("   ".join(f"step {step}: {heart[step]:.2f}" for step in range(0, 31, 5)))
assert heart[-1] < 0.2

# %% [markdown]
r"""
Twenty steps, and it knows 128 tokens by heart. It has learned nothing that is worth knowing, but the machinery works: loss, gradient, step.

## 6 What counts as good?

The loss on the *training* batches tells how well the model knows what it has seen. What counts is the held-out text. And the mean has to be taken over *tokens*. The pieces of a text are rarely all of the same length, and a short last piece must not count as much as a long one. The exponential of that mean is called **perplexity**: among how many equally likely tokens is the model undecided?

### Exercise 7.6 · `perplexity` ★★ · 10 minutes

The exponential of the mean loss per token, over **all** targets of **all** batches.

- `batches`: a list of `(x, y)`, each `(B, T)`, with other `B` and `T` from batch to batch
- without gradients, and with the model in evaluation mode (dropout, if it has any, must be off); afterwards the model is in the mode in which it was before
- returns a float

By hand: one batch with a single target and the loss ln 2, and one with three targets and the loss ln 4 at each. The mean per token is (ln 2 + 3 ln 4) / 4, and the perplexity is $2^{7/4} = 3.36$.
"""


# %% tags=["answer"]
def perplexity(model, batches):
    """exp(mean loss per token) of a model over batches of (x, y)."""
    ### BEGIN SOLUTION
    was_training = model.training
    model.eval()
    nats, count = 0.0, 0
    with torch.no_grad():
        for x, y in batches:
            nats += lm_loss(model(x), y).item() * y.numel()
            count += y.numel()
    model.train(was_training)
    return math.exp(nats / count)
    ### END SOLUTION


# %% tags=["check"]
perplexity = checks.perplexity(perplexity)


# %% [markdown]
r"""
A text is cut into windows of `T` tokens, with a shorter one at the end. For each kind a sample of about 4,000 characters, a piece from the middle of every held-out text:
"""

# %%
def sample(texts, size=4_000):
    """As many characters from the middle of each text, about `size` in all."""
    share = size // len(texts)
    return "\n\n".join(text[max(0, len(text) - share) // 2 :][:share] for text in texts)


SAMPLES = {"text": sample(text_held), "code": sample(code_held)}


def windows(ids, T):
    """A text as batches of (x, y): all whole windows of T tokens, and what is left over."""
    x, y = ids[:-1], ids[1:]
    whole = len(x) // T * T
    batches = [(x[:whole].view(-1, T), y[:whole].view(-1, T)), (x[None, whole:], y[None, whole:])]
    return [(x, y) for x, y in batches if x.numel()]


for kind, text in SAMPLES.items():
    batches = windows(to_ids(text), T)
    model = init_weights(new_gpt(), gpt2_std(D_MODEL))
    print(f"{kind}: {[tuple(x.shape) for x, _ in batches]}, new model: {perplexity(model, batches):.0f}")

# %% [markdown]
r"""
A new model hesitates among all 512 tokens. (That it comes out above 512 is no slip: it is not quite even, and uneven at the wrong places costs more than knowing nothing.)

Perplexity has one trap, and papers have fallen into it. It is *per token*, and tokens are what the tokenizer says. A model with longer tokens has fewer and harder questions to answer. Two models with different tokenizers cannot be compared by it at all. But both read the same **bytes**. So count all the nats that a text costs, turn them into bits, and divide by its bytes. That is also the size to which the model could compress the text, and a number of bits per byte says at once how good that is: a file as it lies on the disk has eight.

### Exercise 7.7 · `bits_per_byte` ★ · 5 minutes

- `nats`: `(N,)`, the loss of each token of a text; `text`: the whole text, a string
- returns a float: the sum in bits (one bit is ln 2 nats) divided by the number of bytes of the text in UTF-8

By hand: `nats = [ln 4, ln 2]` and `text = "abc"` give (2 + 1) / 3 = 1.0. With `text = "日"`, which is three bytes, too.
"""


# %% tags=["answer"]
def bits_per_byte(nats, text):
    """What a text costs a model: bits for each byte of it."""
    ### BEGIN SOLUTION
    return nats.sum().item() / math.log(2) / len(text.encode("utf-8"))
    ### END SOLUTION


# %% tags=["check"]
bits_per_byte = checks.bits_per_byte(bits_per_byte)

# %% [markdown]
r"""
Now the rivals. Three of them need no neural network:

- **uniform**: every token is equally likely, always;
- **unigram**: each token as often as it occurs in the training text, whatever stands before it;
- **bigram**: count which token follows which. It knows one token of context, and knows it perfectly. A pair that was never counted must not get the probability 0, so each row is mixed with a little of the unigram.
"""

# %%
unigram = torch.bincount(train_ids, minlength=VOCAB) + 1.0  # (VOCAB,)
unigram = unigram / unigram.sum()
pairs = torch.zeros(VOCAB, VOCAB)
pairs.index_put_((train_ids[:-1], train_ids[1:]), torch.tensor(1.0), accumulate=True)
bigram = (pairs + 10 * unigram) / (pairs.sum(1, keepdim=True) + 10)  # (VOCAB, VOCAB), rows sum to 1

ladder = {}
for kind, text in SAMPLES.items():
    x, y = to_ids(text)[:-1], to_ids(text)[1:]  # (N,)
    ladder[kind] = {
        "uniform": bits_per_byte(torch.full(y.shape, math.log(VOCAB)), text),
        "unigram": bits_per_byte(-unigram[y].log(), text),
        "bigram": bits_per_byte(-bigram[x, y].log(), text),
    }
    print(kind, {name: round(bits, 2) for name, bits in ladder[kind].items()})

# %% [markdown]
r"""
Even "uniform" is below 8: the tokenizer alone has compressed the text. The bigram is the one to beat. It is a table of 262,144 numbers, it was "trained" by counting, in a moment, and a neural network of nearly twice as many weights that does no better has not earned its electricity.

## 7 Training

The loop puts your functions together. At a few steps it stops to be measured and to write a little: it is given the beginning of a sentence, and the beginning of a function, and draws one token after the other from its own probabilities (a little sharpened; lesson 9 is about drawing).
"""


# %%
@torch.no_grad()
def cost(model, text):
    """Bits per byte of a text, for a model that uses our tokenizer."""
    nats = [F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="none")
            for x, y in windows(to_ids(text), T)]  # fmt: skip
    return bits_per_byte(torch.cat(nats), text)


@torch.no_grad()
def write(model, prompt, n, temperature=0.7, seed=1):
    """Go on with a prompt for n tokens."""
    ids, lots = to_ids(prompt)[None], torch.Generator().manual_seed(seed)  # (1, N)
    for _ in range(n):
        p = (model(ids[:, -T:])[:, -1] / temperature).softmax(-1)  # (1, VOCAB)
        ids = torch.cat([ids, torch.multinomial(p, 1, generator=lots)], dim=1)
    return tokenizer.decode(ids[0].tolist())


# %%
PROMPTS = "The value of the", "def __init__(self"


def train(model, until=STEPS, moments=(), seed=0):
    """Train up to a step; returns the losses, and at each moment both costs and two samples."""
    lots, losses, seen = torch.Generator().manual_seed(seed), [], {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, WARMUP, STEPS)
    )
    for step in bar(range(until + 1), "training"):
        if step in moments:
            costs = {kind: cost(model, text) for kind, text in SAMPLES.items()}
            seen[step] = costs, [write(model, prompt, 40) for prompt in PROMPTS]
        if step < until:
            x, y = get_batch(train_ids, 16, T, lots)
            losses.append(train_step(model, optimizer, x, y, max_norm=1.0))
            schedule.step()
    return losses, seen


# %% [markdown]
r"""
Three models get the same data in the same order: one with PyTorch's own weights and one with 0.02, each for a quarter of the steps, and one with 0.049, all the way. (The two cells take half a minute and more.)

**Predict:** which of them is better than the bigram when it stops?
"""

# %% tags=["nbval-ignore-output"]
default_losses, default_seen = train(new_gpt(), until=125, moments=(125,))
small_losses, small_seen = train(init_weights(new_gpt(), 0.02), until=125, moments=(125,))

# %% tags=["nbval-ignore-output"]
gpt = init_weights(new_gpt(), gpt2_std(D_MODEL))
losses, seen = train(gpt, moments=(0, 50, 125, 500))
gpt = gpt.eval()
for kind, rungs in ladder.items():
    rungs["PyTorch's weights,\n125 steps"] = default_seen[125][0][kind]
    rungs["0.02, 125 steps"] = small_seen[125][0][kind]
    rungs["yours, 125 steps"] = seen[125][0][kind]
    rungs["yours, 500 steps"] = seen[500][0][kind]
    print(kind, {name.replace("\n", " "): round(bits, 2) for name, bits in rungs.items()})
    after_125 = [run[125][0][kind] for run in (default_seen, small_seen, seen)]
    assert after_125[0] > rungs["unigram"] - 0.3 and after_125[1] > after_125[2] - 0.1
    assert seen[500][0][kind] < rungs["bigram"] - 0.1

# %% tags=["nbval-ignore-output"]
fig, ax = plots.figure(height=3)
ax.plot(default_losses, color=plots.ORANGE, label="PyTorch's first weights")
ax.plot(small_losses, color=plots.GREEN, label="0.02")
ax.plot(losses, color=plots.BLUE, label="0.049")
ax.axhline(math.log(VOCAB), color=plots.GREY, linewidth=1)
ax.text(STEPS, math.log(VOCAB) + 0.15, "ln 512: knows nothing", color=plots.GREY, ha="right")
ax.set(xlabel="step", ylabel="loss on the batch (nats)", ylim=(2.5, 9))
ax.legend()
plots.show(
    fig, "From 85, out of the picture, PyTorch's weights come down to the line that the other two "
    "begin at, and stay far above them; 0.02 falls later than 0.049.",
)

# %% [markdown]
r"""
The orange curve begins at 85, far outside the picture. It spends its first fifty steps on coming to where the others *began*. Same architecture, same data, same optimizer: only the first numbers differ. And who looks at the curve only from step 50 on sees nothing wrong: the loss goes down all the time. (The spikes near step 30 are steps that went too far although the gradients are clipped. Adam divides each number's gradient by its usual size, so clipping bounds what goes into the optimizer and not what comes out.) Print the loss of step 0, and compare it with $\ln V$: the test costs nothing, and it finds *this*.

It does not find everything. The green model passed it as well as the blue one, and after the same steps it is behind. (How far, depends a great deal on the seed, here the 0 in `new_gpt(seed=0)`. Try 2.) ln V is what a good start has; not all that has it is a good start. Which start is the best, only training tells.

And what does yours write? **Look** for the moment at which words appear, and the one at which the code looks like code.
"""

# %% tags=["nbval-ignore-output"]
for step, (costs, samples) in seen.items():
    print(f"--- after {step} steps: {costs['text']:.2f} bits a byte of text, {costs['code']:.2f} of code")
    print(*samples, sep="\n\n", end="\n\n")

# %% [markdown]
r"""
Noise; then the commonest pieces in any order; then words and half-words; in the end it sounds like a manual and looks like Python from a distance, and means nothing. It has seen each page of its training text not even twice.

## 8 The ladder

One rung is missing: a model that has had everything. SmolLM2 has nearly 300 times as many weights and was trained on two trillion tokens (Allal et al., 2025). It has its own tokenizer, so bits per byte are the only fair measure. (It is the version that was taught to chat afterwards, and its weights were squeezed, lesson 8; both cost it a little.) It reads the same characters, in windows of 32 of *its* tokens, which hold about as many bytes as 64 of ours. (It could read far more at once. Ours could not.)

**Predict:** where does it stand?
"""

# %% tags=["nbval-ignore-output"]
its_folder = models.path("SmolLM2-135M-Instruct")
smollm, its_tokenizer = (
    AutoModelForCausalLM.from_pretrained(its_folder, dtype=torch.float32),
    AutoTokenizer.from_pretrained(its_folder),
)
for kind, text in SAMPLES.items():
    ids = torch.tensor([its_tokenizer.bos_token_id, *its_tokenizer(text).input_ids])
    with torch.no_grad():
        nats = [F.cross_entropy(smollm(x).logits.flatten(0, 1), y.flatten(), reduction="none")
                for x, y in windows(ids, T // 2)]  # fmt: skip
    bits = ladder[kind]["SmolLM2"] = bits_per_byte(torch.cat(nats), text)
    print(f"{kind}: {bits:.2f} bits per byte in {len(ids):,} of its tokens")
    assert ladder[kind]["SmolLM2"] < 0.75 * ladder[kind]["yours, 500 steps"]

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(2, height=3.2, sharey=True)
order = sorted(ladder["text"], key=ladder["text"].get, reverse=True)
for ax, kind in zip(axes, ladder, strict=True):
    rungs = {name: ladder[kind][name] for name in order}
    colours = [plots.BLUE if "yours" in name else plots.GREY for name in rungs]
    bars = ax.barh(list(rungs), rungs.values(), color=colours)
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.set(title=f"held-out {kind}", xlabel="bits per byte", xlim=(0, 5.8))
axes[0].invert_yaxis()
plots.show(
    fig, "Bits per byte of eight models: after 500 steps yours is below the bigram on text and on "
    "code, after 125 it is not; SmolLM2 is far below all others.",
)

# %% [markdown]
r"""
Your model has climbed past the bigram, on text and on code, with one set of weights for both. Of the way from the unigram to SmolLM2 it has gone more than half. (And some of that last stretch may be memory: the Python documentation is on the web, and nobody can say for certain that SmolLM2 has not read these very pages. Our split is clean for *our* model only.)

## 9 A model like any other

So far your model lives in your notebook. On the hub, and in a hundred programs, a model is a **folder**: its configuration, its weights, its tokenizer. Yours is a GPT-2 in every part, so it can be saved as one. Two things are to be done: the names, and a habit of GPT-2's code, which stores the matrices of its linear layers transposed.
"""


# %%
NAMES = {
    "tokens": "wte", "positions": "wpe", "blocks": "h", "norm1": "ln_1", "norm2": "ln_2",
    "norm": "ln_f", "qkv": "attn.c_attn", "out": "attn.c_proj", "up": "mlp.c_fc",
    "down": "mlp.c_proj",
}  # fmt: skip


def as_gpt2(model):
    """The same model as Hugging Face's GPT2LMHeadModel."""
    config = GPT2Config(
        vocab_size=VOCAB, n_positions=T, n_embd=D_MODEL, n_layer=N_LAYERS, n_head=N_HEADS,
        bos_token_id=EOT, eos_token_id=EOT, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
    )  # fmt: skip
    theirs, weights = GPT2LMHeadModel(config), {}
    for name, weight in model.state_dict().items():
        renamed = ".".join(NAMES.get(part, part) for part in name.split("."))
        transposed = weight.ndim == 2 and "blocks" in name  # not the embeddings
        weights[f"transformer.{renamed}"] = weight.T if transposed else weight
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert missing == ["lm_head.weight"] and not unexpected  # the head is the table, in theirs too
    return theirs.eval()


# %%
def save(model, folder):
    """Write a model and its tokenizer in Hugging Face's form, into a folder that is new."""
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists: choose another name, so that nothing gets lost")
    as_gpt2(model).save_pretrained(folder)
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )
    wrapped.save_pretrained(folder)


place = tempfile.TemporaryDirectory()  # gone when the notebook is closed: name a folder to keep it
folder = Path(place.name) / "my-gpt"
save(gpt, folder)
print(*sorted(file.name for file in folder.iterdir()))
try:
    save(gpt, folder)
except FileExistsError as error:
    print("FileExistsError: my-gpt", str(error).split("my-gpt")[1])

# %% [markdown]
r"""
**Built once, proved equal.** Loaded from the folder with the library's own classes, it must give the logits that your code gives.
"""

# %%
mine_again = AutoModelForCausalLM.from_pretrained(folder)
x, y = get_batch(train_ids, batch_size=4, T=T, generator=torch.Generator().manual_seed(1))
with torch.no_grad():
    logits, its = gpt(x), mine_again(x, labels=x)
gap = (its.logits - logits).abs().max().item()
print(type(mine_again).__name__, "differs from yours by at most 1e-4:", gap < 1e-4)
same = torch.isclose(its.loss, lm_loss(logits[:, :-1], x[:, 1:]), atol=1e-4)
print("its own loss, with labels=x, is yours of x[:, 1:]:", same.item())
assert gap < 1e-4 and same

# %% [markdown]
r"""
(Look at the last line. Hugging Face's models take `labels` and shift them **themselves**: they want the ids as they are. Hand them our `y`, and the targets are shifted twice; the model learns to predict the token after next, and the loss goes down quite nicely.)

## 10 The example that everyone meets first

Look for "how to use GPT-2" and you will find these lines, in a thousand places. Now you can read every one of them, and they run on the model that you have trained. (With a hub at hand, put `name = "gpt2"`, and the same cell loads the real one.)
"""

# %% tags=["nbval-ignore-output"]
name = folder

tokenizer_of_it = AutoTokenizer.from_pretrained(name)
model = AutoModelForCausalLM.from_pretrained(name)
inputs = tokenizer_of_it("The value of the", return_tensors="pt")
torch.manual_seed(0)
outputs = model.generate(
    **inputs, max_new_tokens=40, do_sample=True, temperature=0.7, top_k=50,
    pad_token_id=tokenizer_of_it.eos_token_id,
)  # fmt: skip
print(tokenizer_of_it.decode(outputs[0]))

# %% [markdown]
r"""
- `AutoTokenizer.from_pretrained` reads `tokenizer.json`: the merges of section 2. It is looked up by the folder's configuration, hence *Auto*. (Your `write` puts an end-of-text in front of the prompt; this one, like GPT-2's, does not.)
- `AutoModelForCausalLM` reads `config.json`, sees `"model_type": "gpt2"`, builds a `GPT2LMHeadModel` of that size and fills in `model.safetensors`. *Causal LM* means: with a causal mask and a head that predicts the next token.
- The tokenizer's call gives `input_ids` `(1, T)` and an `attention_mask` that says which of them are not padding: none is, here. `return_tensors="pt"` means PyTorch.
- `generate` is the loop in your `write`: run the model, take the last position's logits, divide by the temperature, keep the `top_k` largest, draw, append. It also keeps the keys and values of what it has read (lesson 8), and stops at `eos_token_id`.
- `pad_token_id` is only there because GPT-2 has no padding token, and `generate` likes to have one.
- `outputs` are ids, prompt included, and `decode` makes bytes and then text of them.

One thing it will not do for you: this model has 64 positions. Ask for more and the library's code fails inside its embedding, in words that do not mention the length. Yours said it clearly in section 3.

Is your code slower than the library's? Both train on the same batches, in turns, five steps each, seven rounds. CPU time is measured, not the clock, so that another program does not count.
"""


# %% tags=["nbval-ignore-output"]
def tokens_per_second(model, logits_of, steps=5):
    """Training speed in tokens per CPU second, over a few steps."""
    optimizer, lots = torch.optim.AdamW(model.parameters()), torch.Generator().manual_seed(0)
    start = time.process_time()
    for _ in range(steps):
        x, y = get_batch(train_ids, 16, T, lots)
        optimizer.zero_grad()
        lm_loss(logits_of(x), y).backward()
        optimizer.step()
    return steps * 16 * T / (time.process_time() - start)


yours, theirs = new_gpt(), as_gpt2(gpt).train()
runs = [(tokens_per_second(yours, yours), tokens_per_second(theirs, lambda x: theirs(x).logits))
        for _ in range(7)]  # fmt: skip
for name, *speeds in zip(("yours", "GPT2LMHeadModel"), *runs, strict=True):
    print(f"{name:<16}{sorted(speeds)[3]:>7,.0f} tokens/s ({min(speeds):,.0f} to {max(speeds):,.0f})")
ratio = sorted(mine / library for mine, library in runs)
print(f"yours is {ratio[3]:.2f} times as fast (from {ratio[0]:.2f} to {ratio[-1]:.2f})")
assert ratio[3] > 0.9

# %% [markdown]
r"""
At least as fast. There is no secret speed in a library's model; it is the same matrix products, and yours carries no options that you do not use.

## 11 How good would a larger one be?

The most expensive question of the field: before millions are spent on a large model, how good will it be? Kaplan et al. (2020, §3) found that the loss follows the number of weights with astonishing regularity, along a straight line if both axes are logarithmic: $L = a \cdot N^{-b}$. A **scaling law**. Train small, draw the line, read off the large.

We try it in miniature. Six models of one layer, from 872 weights to 28,272 in that layer (the embeddings do not count, as in the paper), each trained for the same number of steps on the same text, wider ones at a smaller rate. They read single *bytes*, for which less has to be learned by heart. You fit the line through the five smaller ones and predict the sixth.

### Exercise 7.8 · `power_law` ★★ · 8 minutes · stretch

Fit $\text{loss} = a \cdot n^{-b}$: a straight line by least squares through the points $(\ln n, \ln \text{loss})$.

- `n`, `loss`: NumPy arrays `(K,)` of positive numbers
- returns `(a, b)`, two floats

By hand: `n = [1, 10, 100]` and `loss = [4, 2, 1]`. Each factor of ten halves the loss, so `a = 4` and `b` = log₁₀ 2 = 0.301.
"""


# %% tags=["answer"]
def power_law(n, loss):
    """a and b of loss = a * n ** -b, by least squares on the logarithms."""
    ### BEGIN SOLUTION
    slope, height = np.polyfit(np.log(n), np.log(loss), deg=1)
    return float(np.exp(height)), -float(slope)
    ### END SOLUTION


# %% tags=["check"]
power_law = checks.power_law(power_law)


# %%
def as_bytes(text):
    return torch.tensor(list(text.encode("ascii", "ignore")))  # (N,), 0 to 127


byte_ids, held_bytes = as_bytes("\n\n".join(text_train)), as_bytes("\n\n".join(text_held))


def tiny(d_model, steps=400, seed=0):
    """Train a model of one layer on bytes; returns its weights and its held-out loss in bits."""
    torch.manual_seed(seed)
    model = init_weights(GPT(128, d_model, max(1, d_model // 16), 1, T), gpt2_std(d_model))
    lots = torch.Generator().manual_seed(seed)
    lr = 1e-2 * math.sqrt(32 / d_model)  # wider models want smaller steps
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, 30, steps)
    )
    for _ in bar(range(steps), f"d_model {d_model}"):
        train_step(model, optimizer, *get_batch(byte_ids, 16, T, lots), max_norm=1.0)
        schedule.step()
    bits = math.log2(perplexity(model, windows(held_bytes, T)))
    return sum(p.numel() for p in model.blocks.parameters()), bits


# %% tags=["nbval-ignore-output"]
sizes, bits = zip(*[tiny(d_model) for d_model in (8, 12, 16, 24, 32)], strict=True)
a, b = power_law(np.array(sizes), np.array(bits))
fitted = [a * n**-b for n in sizes]
for n, found, line in zip(sizes, bits, fitted, strict=True):
    print(f"{n:>6,} weights: {found:.3f} bits a byte, on the line {line:.3f} ({found / line - 1:+.1%})")
print(f"L = {a:.2f} · N^-{b:.4f}")
assert max(abs(found / line - 1) for found, line in zip(bits, fitted, strict=True)) < 0.05

# %% [markdown]
r"""
The points lie on the line within a percent or two. With more than twice the weights of the largest, how good will the sixth be? Write down your prediction (and the line's), and try it:
"""

# %% tags=["nbval-ignore-output"]
sixth, found = tiny(48)
predicted = a * sixth**-b
print(f"{sixth:,} weights: predicted {predicted:.3f}, found {found:.3f} ({found / predicted - 1:+.1%})")
assert abs(found / predicted - 1) < 0.06

fig, ax = plots.figure(height=3)
line = torch.logspace(2.8, 4.8, 50)
ax.plot(line, a * line**-b, color=plots.GREY, linewidth=1, label="fitted to the five")
ax.plot(sizes, bits, "o", color=plots.BLUE, label="trained first")
ax.plot(sixth, found, "D", color=plots.ORANGE, label="the sixth, tried afterwards")
ax.set(xscale="log", yscale="log", xlabel="weights of the layer", ylabel="bits per byte")
ax.set_yticks([3.0, 3.25, 3.5, 3.75, 4.0], ["3.00", "3.25", "3.50", "3.75", "4.00"])
ax.minorticks_off()
ax.legend()
plots.show(fig, "Five points near a straight line in log-log, and a sixth to its right, close to it.")

# %% [markdown]
r"""
Not bad for five points and ten seconds. Now be as suspicious as you would be of somebody else's plot.

- **One seed.** Here the prediction is off by half a percent. Put `seed=1` or `seed=2` into both calls of `tiny`: the sixth model has come out several percent below the line. And what the line promised for the sixth was only a few percent better than the fifth.
- **A straight line** in such a plot ends at a loss of 0, and text cannot be predicted without any loss. Somewhere it has to bend. (Hoffmann et al., 2022, §3.3, add a constant.)
- **What is counted.** At the smallest size the embeddings, which are left out, have more weights than the layer. Counted in, they would give another exponent.

Hoffmann et al. (2022, §3) found that the first such laws had advised too large models trained on too little text, and blamed the learning rate schedules of the small runs; Porian et al. (2024, §3) repeated both and found other reasons: which weights are counted, how long the warm-up is, how each size is tuned. A straight line is a fine thing to have found. It is not a law of nature.

See how far you are:
"""

# %% tags=["nbval-ignore-output"]
checks.progress()

# %% [markdown]
r"""
## Summary

1. A GPT is blocks with a causal mask between a table of embeddings and the same table as head. Training it is: random pieces, the next token as target, cross-entropy, a clipped step, a rate that warms up and falls.
2. Print the loss at step 0. It should be ln V, and if it is not, the first weights are wrong; that it is does not yet make them good.
3. Look for held-out lines in the training text before you believe in a split.
4. Compare models in bits per byte, and with rivals that can only count. Mean over tokens, not over batches.
5. A model is a folder: configuration, weights, tokenizer. What you trained loads with the same lines as any other.

**Next:** in [08 · Llama from scratch](08_llama.ipynb) four parts of your GPT are exchanged, and then real weights go in.

## Further reading

- Radford et al., 2019, "Language models are unsupervised multitask learners": GPT-2; §2.3 has its changes to the Transformer, initialisation included.
- Kaplan et al., 2020, "Scaling laws for neural language models": §3; Hoffmann et al., 2022, "Training compute-optimal large language models": §3, for how it had to be mended; Porian et al., 2024, "Resolving discrepancies in compute-optimal scaling of language models", for why.
- Press and Wolf, 2017, "Using the output embedding to improve language models": the tied head.
- Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent neural networks": §3.2, clipping.
- Karpathy, "nanoGPT": a GPT-2 trained in full, in two files that you can read now.
"""
