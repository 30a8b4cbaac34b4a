# %% [markdown]
r"""
# 05 · The decoder and cross-attention

An encoder reads. To *write*, and to write something that depends on what was read, takes a second stack: the **decoder**. It looks back at what it has written so far, and across at what the encoder has read. With it the Transformer of 2017 is complete.

You will build the decoder's block, and settle a question on the way: one often sees its two attentions drawn side by side, in one formula. In the paper they come one after the other. You build both and find out what the difference is. Then you train a small translator, from dates as people write them ("third of may nineteen eighty-four") to dates as machines like them (`1984-05-03`), in under a minute, and watch where it looks.

**Needs:** attention, masks and heads (lessons 1 and 2), what positions are for (lesson 3), an encoder block (lesson 4). **Takes:** about 90 minutes. **Exercises:** 5.1 to 5.4; 5.5 is a stretch.
"""

# %%
import re

import torch
import torch.nn.functional as F
from torch import nn

from utils import data, plots
from utils.checks import lesson05 as checks
from utils.progress import bar

torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
r"""
## 1 What the decoder reads

A translator is trained on pairs. The encoder gets the source, all of it. The decoder has to write the target, one token after the other, and like every model that writes it guesses the next token from those before it. In training we know the target. So we need not let the model write and see how far it gets; we hand it the *right* beginning every time, and ask for the next token at all places at once (lesson 2, section 1). This is called **teacher forcing** (Williams and Zipser, 1989).

But what comes before the first token? And must the model not see the token that it is to guess? Both are settled by one small shift: put a special token *bos* ("beginning of sentence") in front, and drop the last.

| place | 0 | 1 | 2 | 3 |
| --- | --- | --- | --- | --- |
| the decoder reads | bos | 1 | 9 | 8 |
| it has to write | 1 | 9 | 8 | eos |

### Exercise 5.1 · `shift_right` ★ · 4 minutes

- `targets`: `(B, T)`, token numbers; `bos_id`: a token number
- returns `(B, T)`: bos in the first column, then the targets without their last column

By hand: `[[5, 6, 7], [8, 9, 2]]` with `bos_id = 1` gives `[[1, 5, 6], [1, 8, 9]]`.
"""


# %% tags=["answer"]
def shift_right(targets, bos_id):
    """What the decoder reads while it learns to write the targets: (B, T) -> (B, T)."""
    ### BEGIN SOLUTION
    bos = torch.full_like(targets[:, :1], bos_id)  # (B, 1)
    return torch.cat([bos, targets[:, :-1]], dim=1)
    ### END SOLUTION


# %% tags=["check"]
shift_right = checks.shift_right(shift_right)

# %% [markdown]
r"""
If you forget the shift, the decoder reads the very token that it has to write, at the same place. The causal mask allows a word to see itself. So the loss falls to zero, and the model has learned to copy and nothing else: the bug of lesson 2, in other clothes.

## 2 Looking across

So far queries, keys and values came from one text. In **cross-attention** the *queries* come from the decoder, and the *keys and values* from the encoder's result, the **memory**. Every word that is being written asks every word that was read. The table of weights is no longer square:
"""

# %%
torch.manual_seed(0)
d_model, n_heads = 8, 2
memory = torch.randn(1, 5, d_model)  # (B, S, d_model): five words were read
y = torch.randn(1, 3, d_model)  # (B, T, d_model): three words are written so far

cross = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
out, weights = cross(query=y, key=memory, value=memory)
print("out    ", tuple(out.shape), "one vector for each word that is written")
print("weights", tuple(weights.shape), "each of 3 words shares its attention among 5")

# %% [markdown]
r"""
Two masks, and each has its place. *Self*-attention in the decoder is causal. *Cross*-attention needs no causal mask, for the whole source was there before the first word was written; but the source's padding must be hidden. (And padding in the target? It stands on the right, in every real word's future, so the causal mask hides it. Only the *loss* must leave it out. Our targets will all have the same length.)

## 3 In sequence or side by side?

Here is a formula for the decoder's layer that one finds quoted:

$$\operatorname{LayerNorm}\bigl(y + \operatorname{MaskedMHA}(y, y, y) + \operatorname{MHA}(y, x, x)\bigr)$$

Both attentions get the same $y$, and their results are added in one go: they stand **side by side**. And here is the paper (Vaswani et al., 2017, §3.1 and Figure 1), with the feed-forward half that the formula leaves out:

$$a = \operatorname{LayerNorm}\bigl(y + \operatorname{MaskedMHA}(y, y, y)\bigr)$$
$$b = \operatorname{LayerNorm}\bigl(a + \operatorname{MHA}(a, x, x)\bigr)$$
$$\text{out} = \operatorname{LayerNorm}\bigl(b + \operatorname{FFN}(b)\bigr)$$

The attentions stand **in sequence**, each with its own sum and norm.
"""

# %%
fig, axes = plots.figure(1, rows=2, height=3.2)
paper = ["+self-attention", "norm1", "+cross-attention", "norm2", "+feed-forward", "norm3"]
plots.stream(axes[0], "in sequence (Vaswani et al., 2017)", paper)
both = "+self-attention, and cross-attention"
plots.stream(axes[1], "side by side", [both, "norm1", "+feed-forward", "norm2"])
plots.show(fig, "In sequence: three loops with a norm after each. Side by side: two loops.")

# %% [markdown]
r"""
What is the difference? **Predict:** change the *first* word that was written. In which of the two do the cross-attention weights of the *last* word change?
"""

# %%
own = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
norm = nn.LayerNorm(d_model)
hidden = ~torch.ones(3, 3, dtype=torch.bool).tril()  # True is hidden


def last_words_weights(y, in_sequence):
    """How the last word shares its cross-attention among the source: (S,)."""
    asks = norm(y + own(y, y, y, attn_mask=hidden)[0]) if in_sequence else y
    return cross(asks, memory, memory)[1][0, -1]


other = y.clone()
other[:, 0] = torch.randn(d_model)  # another first word
for in_sequence in (True, False):
    before, after = last_words_weights(y, in_sequence), last_words_weights(other, in_sequence)
    print(f"in sequence: {in_sequence!s:<6} weights changed: {not torch.equal(before, after)}")

# %% [markdown]
r"""
In sequence, the question that goes across to the source is asked by $a$, which already knows what was written before. Side by side it is asked by $y$, a single word that knows nothing but itself and its place. So within one layer what is looked up cannot depend on what has been written. (Over several layers it can: the second layer's $y$ knows the first layer's results.) Whether that *matters* is a question for an experiment; it comes in section 7. The sequential one is the Transformer, and it is what PyTorch's `nn.TransformerDecoderLayer` computes. You write that.

### Exercise 5.2 · `DecoderBlock` ★★ · 15 minutes

The constructor is given. Write `forward`, post-LN, in sequence, as in the paper's formula.

- `y`: `(B, T, d_model)`, what is written so far; `memory`: `(B, S, d_model)`
- `mask`: `(B, S)` bool, True for real source words; `None`: all are real
- returns `(B, T, d_model)`

Remember that in `nn.MultiheadAttention` both `attn_mask` and `key_padding_mask` are True where something is **hidden**, and that it returns a pair. Make the masks bool: a mask of numbers is *added* to the scores.
"""


# %% tags=["answer"]
class DecoderBlock(nn.Module):
    """One layer of the 2017 decoder: (B, T, d_model), (B, S, d_model) -> (B, T, d_model)."""

    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.self_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model)
        )
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.norm3 = nn.LayerNorm(d_model)

    def forward(self, y, memory, mask=None):
        ### BEGIN SOLUTION
        T = y.shape[1]
        future = ~torch.ones(T, T, dtype=torch.bool).tril()
        padding = None if mask is None else ~mask  # (B, S)
        own, _ = self.self_attention(y, y, y, attn_mask=future, need_weights=False)
        y = self.norm1(y + own)
        found, _ = self.cross_attention(
            y, memory, memory, key_padding_mask=padding, need_weights=False
        )
        y = self.norm2(y + found)
        return self.norm3(y + self.feed_forward(y))
        ### END SOLUTION


# %% tags=["check"]
DecoderBlock = checks.DecoderBlock(DecoderBlock)

# %% [markdown]
r"""
**Built once, proved equal.** In the open, with your weights in PyTorch's layer:
"""

# %%
torch.manual_seed(0)
mine = DecoderBlock(48, n_heads=6, d_ff=96)
theirs = nn.TransformerDecoderLayer(48, 6, 96, dropout=0.0, batch_first=True)
names = {"self_attention": "self_attn", "cross_attention": "multihead_attn"}
names |= {"feed_forward.0": "linear1", "feed_forward.2": "linear2"}
renamed = {}
for name, weight in mine.state_dict().items():
    for own_name, their_name in names.items():
        name = name.replace(own_name, their_name)
    renamed[name] = weight
theirs.load_state_dict(renamed)

y, memory = torch.randn(4, 7, 48), torch.randn(4, 9, 48)
future = nn.Transformer.generate_square_subsequent_mask(7)
gap = (mine(y, memory) - theirs(y, memory, tgt_mask=future)).abs().max().item()
print(f"largest difference {gap:.0e}")
assert gap < 1e-5

# %% [markdown]
r"""
## 4 The whole Transformer

Encoder, decoder, embeddings, an output layer: that is all of it. For the encoder we take PyTorch's, which you proved equal to yours in lesson 4. Here is the whole, the encoder on the left and the decoder on the right, with two layers each. Look for the one road from left to right.
"""

# %%
fig, ax = plots.figure(height=4.6)
arrow = dict(arrowstyle="-|>", color=plots.BLACK)
grey = dict.fromkeys(("embed", "out"), "lightgrey")
colours = grey | {"cross-attention": plots.ORANGE, "feed-forward": plots.YELLOW}
encoder = ["embed", *["self-attention", "feed-forward"] * 2]
decoder = ["embed", *["causal self-attention", "cross-attention", "feed-forward"] * 2, "out"]
for x, names, reads in ((0, encoder, "source: (B, S)"), (5, decoder, "target so far: (B, T)")):
    for y, name in enumerate(names):
        ax.barh(y, 2.8, 0.6, x - 1.4, color=colours.get(name, plots.SKY))
        ax.text(x, y, name, ha="center", va="center")
    ax.annotate("", (x, len(names) - 0.1), (x, -0.9), arrowprops=arrow, zorder=0)
    ax.text(x, -1, reads, ha="center", va="top")
ax.plot([0, 2.5, 2.5], [5, 5, 2], color=plots.ORANGE)
for y in (2, 5):  # into every layer of the decoder
    ax.annotate("", (3.6, y), (2.5, y), arrowprops=arrow | {"color": plots.ORANGE, "linewidth": 2})
ax.text(0.1, 5.1, "memory: (B, S, d_model)", color=plots.RED, va="bottom")
ax.text(5, 8, "logits: (B, T, vocab_size)", ha="center", va="bottom")
ax.set(xlim=(-1.6, 7), ylim=(-1.6, 8.4))
ax.axis("off")
plots.show(fig, "The encoder's memory goes into the cross-attention of both decoder layers.")

# %% [markdown]
r"""
The memory is what comes out at the *top* of the encoder, and every layer of the decoder gets that same memory. (Each box but the grey ones has its sum and its norm; they are left out here.)

### Exercise 5.3 · `Seq2Seq` ★★ · 12 minutes

Write `encode` and `decode`. The rest is given.

- `encode(source)`: token numbers `(B, S)` → memory `(B, S, d_model)`. Embed, then `self.encoder(x, src_key_padding_mask=…)`, which is True where a source token is **padding** (`self.pad_id`).
- `decode(y, memory, source)`: token numbers `(B, T)` → logits `(B, T, vocab_size)`. Embed, go through every block of `self.decoder` in turn, each with the memory and the mask of *real* source tokens, then through `self.out`.

Nothing is masked in `y` but the future, and that your block does. Use the `memory` that you are given; do not read the source again.
"""


# %% tags=["answer"]
class Seq2Seq(nn.Module):
    """The Transformer of 2017, in small: source (B, S) and y (B, T) -> logits (B, T, vocab_size)."""

    def __init__(self, vocab_size, d_model=96, n_heads=4, d_ff=192, n_layers=2, max_T=64, pad_id=0):
        super().__init__()
        self.pad_id = pad_id
        self.tokens = nn.Embedding(vocab_size, d_model)
        self.positions = nn.Embedding(max_T, d_model)
        layer = nn.TransformerEncoderLayer(d_model, n_heads, d_ff, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.decoder = nn.ModuleList(DecoderBlock(d_model, n_heads, d_ff) for _ in range(n_layers))
        self.out = nn.Linear(d_model, vocab_size)

    def embed(self, ids):
        return self.tokens(ids) + self.positions.weight[: ids.shape[1]]  # (B, T, d_model)

    def encode(self, source):
        ### BEGIN SOLUTION
        return self.encoder(self.embed(source), src_key_padding_mask=source == self.pad_id)
        ### END SOLUTION

    def decode(self, y, memory, source):
        ### BEGIN SOLUTION
        x = self.embed(y)
        for block in self.decoder:
            x = block(x, memory, source != self.pad_id)
        return self.out(x)  # (B, T, vocab_size)
        ### END SOLUTION

    def forward(self, source, y):
        return self.decode(y, self.encode(source), source)


# %% tags=["check"]
Seq2Seq = checks.Seq2Seq(Seq2Seq)

# %% [markdown]
r"""
Why are there two methods? In training they run together. In writing, the source is read *once*, and then the decoder runs again for every token.

## 5 Something to translate

People write dates in many ways. Here are some, with their translations; a rule makes as many as we like, one of nine forms for a day between 1950 and 2049.
"""

# %%
pairs = data.written_dates(30_000, seed=1)
for text, iso in pairs[:8]:
    print(f"{text:<50}{iso}")

# %%
PAD, BOS, EOS = 0, 1, 2
characters = sorted(set("".join(text + iso for text, iso in pairs)))
number = {character: i + 3 for i, character in enumerate(characters)}
vocab_size = len(characters) + 3


def to_batch(pairs):
    """Texts as numbers, padded on the right, and dates with an end token: (B, S), (B, 11)."""
    longest = max(len(text) for text, _ in pairs)
    sources = [[number[c] for c in text] + [PAD] * (longest - len(text)) for text, _ in pairs]
    targets = [[number[c] for c in iso] + [EOS] for _, iso in pairs]
    return torch.tensor(sources), torch.tensor(targets)


def to_text(tokens):
    """The characters of a row of token numbers, up to the end token."""
    return "".join(characters[i - 3] for i in tokens if i >= 3)


known = {text for text, _ in pairs}
new = [pair for pair in data.written_dates(2_000, seed=2) if pair[0] not in known][:1_000]
days = {iso for _, iso in pairs}
print(f"{vocab_size} tokens; {len(new)} texts to test with, none of which is in training")
print(f"({sum(iso in days for _, iso in new)} of their days are, but written in another way)")

# %% [markdown]
r"""
It is not a toy in every respect: the model must find out by itself that *may* is 05 wherever it stands, that "24-aug-88" is 1988 and "24-aug-08" is 2008, that *twenty-first* is one number and *twenty twenty-one* a year.

**Predict:** how many of 1,000 new texts will be translated right to the last character after a training of under a minute?
"""

# %%
torch.set_num_threads(1)  # for so small a model one thread is as fast as two, and steadier


def train(model, steps, seed=0):
    """Train on random batches of 32 pairs; returns the loss at each step."""
    order, losses = torch.Generator().manual_seed(seed), []
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps, pct_start=0.15)
    for _ in bar(range(steps), "training"):
        chosen = torch.randint(len(pairs), (32,), generator=order).tolist()
        source, targets = to_batch([pairs[i] for i in chosen])
        logits = model(source, shift_right(targets, BOS))  # (B, 11, vocab_size)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
model = Seq2Seq(vocab_size, d_model=64, d_ff=128)
print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
losses = train(model, steps=800)
model = model.eval()

# %% [markdown]
r"""
## 6 Writing

### Exercise 5.4 · `greedy_decode` ★★ · 12 minutes

Let it write: begin with bos, and take the likeliest next token again and again, for all rows of the batch together.

- `model`: has `encode(source)` and `decode(y, memory, source)`, as above; `source`: `(B, S)`
- read the source **once**: call `encode` before the loop and never in it. What was read does not change while you write.
- stop when *every* row has written `eos_id`, or after `max_T` new tokens. A row that has ended goes on with `eos_id` until the others are done.
- returns `(B, n)`: the new tokens, without bos

By hand: if row 0 would write 5, 2 and row 1 would write 6, 7, 2, with `eos_id = 2`, the result is `[[5, 2, 2], [6, 7, 2]]`.
"""


# %% tags=["answer"]
@torch.no_grad()
def greedy_decode(model, source, bos_id, eos_id, max_T):
    """The likeliest token at each step: source (B, S) -> new tokens (B, n), n at most max_T."""
    ### BEGIN SOLUTION
    memory = model.encode(source)
    y = torch.full_like(source[:, :1], bos_id)  # (B, 1)
    ended = torch.zeros(len(source), dtype=torch.bool)
    for _ in range(max_T):
        token = model.decode(y, memory, source)[:, -1].argmax(-1)  # (B,)
        token = token.masked_fill(ended, eos_id)
        y = torch.cat([y, token[:, None]], dim=1)
        ended |= token == eos_id
        if ended.all():
            break
    return y[:, 1:]
    ### END SOLUTION


# %% tags=["check"]
greedy_decode = checks.greedy_decode(greedy_decode)


# %%
def exact_match(model):
    """Share of the new texts that come out right to the last character, and those that do not."""
    source, targets = to_batch(new)
    written = [to_text(row) for row in greedy_decode(model, source, BOS, EOS, max_T=12).tolist()]
    wrong = [(*pair, w) for pair, w in zip(new, written, strict=True) if pair[1] != w]
    return 1 - len(wrong) / len(new), wrong


# %% tags=["nbval-ignore-output"]
right, wrong = exact_match(model)
print(f"{right:.1%} of {len(new)} new texts are right to the last character; some that are not:")
for text, iso, written in wrong[:5]:
    print(f"   {text:<50}{iso}   written: {written}")
assert right > 0.95

# %% [markdown]
r"""
Now look at *where it looked*. We ask the last block's cross-attention for its weights while one date is being written. (A *hook* is called whenever a module runs: the first turns the weights on, the second keeps them.)

**Predict:** while the model writes the 8 and the 4 of `1984-05-03`, where in "third of may nineteen eighty-four" will it look? And while it writes the dash?
"""

# %%
seen = {}


def ask_for_weights(module, args, kwargs):
    return args, kwargs | {"need_weights": True, "average_attn_weights": False}


def keep_weights(module, args, result):
    seen["weights"] = result[1]  # (B, n_heads, T, S)


def where_it_looks(model, text):
    """What the model writes for a text, and its last block's mean cross-attention: (T, S)."""
    source, _ = to_batch([(text, "")])
    tokens = greedy_decode(model, source, BOS, EOS, max_T=12)
    last = model.decoder[-1].cross_attention
    hooks = [
        last.register_forward_pre_hook(ask_for_weights, with_kwargs=True),
        last.register_forward_hook(keep_weights),
    ]
    with torch.no_grad():
        model(source, shift_right(tokens, BOS))
    for hook in hooks:
        hook.remove()
    return to_text(tokens[0].tolist()), seen["weights"][0].mean(0)


# %%
examples = ["third of may nineteen eighty-four", "august 24, 2008"]
fig, axes = plots.figure(1, rows=2, height=6.0)
for ax, text in zip(axes, examples, strict=True):
    iso, table = where_it_looks(model, text)
    read = list(text.replace(" ", "␣"))
    plots.heatmap(ax, table[: len(iso)], list(iso), read, text, limits=(0, 1), digits=None)
    ax.tick_params(axis="x", rotation=0)
    ax.set(ylabel="written", xlabel="read")
plots.show(
    fig,
    "Most digits look at the part of the text that they come from, although the order is turned "
    "round; the dashes, and digits that can be guessed, look nowhere in particular.",
)
iso, table = where_it_looks(model, examples[0])
assert iso == "1984-05-03"
to_year = table[:4, examples[0].index("nineteen") :].sum(1)  # how much of it goes to the year
assert to_year.mean() > 0.5

# %% [markdown]
r"""
Nobody told it that *may* belongs to 05. From pairs alone, it has learned to turn the order round, year first, and to look each part up where it stands. The dash is pale: it always stands in the same place, so there is nothing to look up. So is the 9 of 1984, and for the same reason: between 1950 and 2049 a year that begins with 1 goes on with 9, always. (The month's 0 is pale as well: three months in four begin with it.) The 8 and the 4 of 1984 are looked up, in *eighty* and in *four*. This picture is where attention comes from: Bahdanau et al. (2015, Figure 3) drew it for English and French, two years before the Transformer. They called it an **alignment**.

Look closer at the month. On our run the 8 of *august* was read off its *a* and its *g*, and the *t* and *h* of *third* were enough for the 3. But do not press the picture too hard: a place in the memory is no longer one letter. The encoder has let the letters look at one another, and what a word means may have been gathered at its end, or on the space behind it.

Now your own dates. Try one that does not exist, one that leaves something out, one in a form that it has never seen.
"""

# %% tags=["nbval-ignore-output"]
for text in ["31st of february 2001", "fifth of may", "2001 march 7", "christmas 1999", "Q3 2001"]:
    try:
        print(f"{text:<26}{where_it_looks(model, text)[0]}")
    except KeyError as letter:
        print(f"{text:<26}has {letter}, which it has never seen")

# %% [markdown]
r"""
It translates a day that does not exist, to the letter. It invents the year that you left out. It stumbles over an order of words that it has never seen, and gives Christmas a date of its own. And all of it in the same tone: nothing in its training ever was "I do not know". Remember that when you talk to larger models (lesson 13).

## 7 Does the order of the attentions matter?

Section 3 left a question. It showed a difference: in sequence, what is looked up may depend on what has been written; side by side, within one layer, it cannot. So take a task in which it *must*, as small as one can make it.

The source is a row of eight symbols, 0 to 7, drawn by lot. The first two symbols of the target are given, drawn by lot, too. From then on, the next symbol is looked up: it stands in the source at the place that the symbol **two steps back** names,

$$x_t = \text{source}[x_{t-2}]$$

By hand: with the source `5 2 7 0 …`, the target `1 3` goes on with source[1] = 2, then source[3] = 0, then source[2] = 7, and so on.
"""


# %%
def riddles(n, back):
    """n sources (n, 8), and targets (n, 8) that look each symbol up, `back` steps after it."""
    source, x = torch.randint(8, (n, 8)), torch.randint(8, (n, back))
    while x.shape[1] < 8:
        x = torch.cat([x, source.gather(1, x[:, -back, None])], dim=1)  # one more column
    return source, x


torch.manual_seed(0)
source, x = riddles(4000, back=2)
print("source", source[0].tolist(), "  target", x[0].tolist())
commonest = source.mode(1).values[:, None]  # (n, 1)
lazy = (x[:, 2:] == commonest).float().mean().item()
print(f"always saying the source's commonest symbol is right in {lazy:.0%}")


# %%
class SideBySide(DecoderBlock):
    """The commonly quoted formula: both attentions get the same y, under one norm."""

    def forward(self, y, memory, mask=None):
        T = y.shape[1]
        future = ~torch.ones(T, T, dtype=torch.bool).tril()
        padding = None if mask is None else ~mask
        own, _ = self.self_attention(y, y, y, attn_mask=future, need_weights=False)
        found, _ = self.cross_attention(
            y, memory, memory, key_padding_mask=padding, need_weights=False
        )
        y = self.norm1(y + own + found)
        return self.norm2(y + self.feed_forward(y))


# %%
def solve(block, n_layers, back, steps=150, seed=0):
    """Share of right symbols in new riddles, after a training on fresh ones."""
    torch.manual_seed(seed)
    model = Seq2Seq(8, d_model=32, n_heads=2, d_ff=64, n_layers=n_layers, pad_id=-1)
    model.decoder = nn.ModuleList(block(32, 2, 64) for _ in range(n_layers))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in bar(range(steps), "training"):
        source, x = riddles(64, back)
        logits = model(source, x[:, :-1])[:, back - 1 :]  # (B, 8 - back, 8): none for the given
        loss = F.cross_entropy(logits.flatten(0, 1), x[:, back:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    source, x = riddles(1000, back)
    with torch.no_grad():
        guesses = model(source, x[:, :-1])[:, back - 1 :].argmax(-1)  # (B, 8 - back)
    return (guesses == x[:, back:]).float().mean().item()


# %% [markdown]
r"""
We train four small models, 150 steps each. The first two are the question; the other two make sure that we understand the answer. In the third the symbol *one* step back names the place, so the query has it in hand already. The fourth has two layers.

**Predict** the four shares. Which of the models can do it, and which cannot?
"""

# %% tags=["nbval-ignore-output"]
right_at = {}
for name, block, n_layers, back in (
    ("in sequence", DecoderBlock, 1, 2),
    ("side by side", SideBySide, 1, 2),
    ("side by side, one step back", SideBySide, 1, 1),
    ("side by side, two layers", SideBySide, 2, 2),
):
    right_at[name] = solve(block, n_layers, back)
    print(f"{name:<30}{right_at[name]:.0%} right")
assert right_at.pop("side by side") < 0.6
assert min(right_at.values()) > 0.9

# %% [markdown]
r"""
In sequence it is solved. Side by side it is hardly better than the lazy guess, and the last two lines say why. It is not that this block cannot look up: if the query *has* the symbol that names the place, it does so perfectly. But here that symbol is one place further back. Self-attention must fetch it first, and only then can cross-attention ask with it. **Cross-attention must ask with a query that self-attention has already filled.** Side by side, both are asked at once, and what self-attention has found comes too late, after the look-up. A second layer mends it: there the query is filled by the first.

(It need not stay at that level for ever. Try `steps=1000`: a source of eight symbols is so short that one can carry all of it along, and pick from it afterwards in the feed-forward network. With a long source that way is closed.)

For our dates none of this matters: what has to be looked up depends on the *place* alone, since the sixth character is always the first digit of the month. In a translation between languages it does ("which word of the source have I not yet translated?"). So the side-by-side formula is not a wrong Transformer but a different one, and a weaker one, layer for layer. Do not call it the 2017 decoder, and do not load the one's weights into the other.

## 8 Beam search

Greedy decoding takes the likeliest token each time, and can miss the likeliest *sentence*. Lesson 9 looks at that closely. **Beam search** keeps the `n_beams` best beginnings:

1. extend every running beam by every token, and add up log-probabilities;
2. sort the candidates, and keep the best `n_beams`;
3. those of them that end with eos are *finished*: put them aside with their sum. The others run on;
4. repeat until nothing runs any more, or `max_T` tokens are written; then what still runs is finished, too.

At the end the finished one with the largest sum wins. Do not stop earlier: a beam that still runs may overtake one that has finished. (Lesson 9 divides the sums by the length, and then it takes a little more care. All our dates are equally long.)

### Exercise 5.5 · `beam_search` ★★★ · 25 minutes · stretch

- `model`, `bos_id`, `eos_id`, `max_T` as in 5.4; `source`: `(1, S)`, one text; `n_beams`: how many beginnings are kept
- returns a list of token numbers: the best sentence found, without bos, with eos if it was written

By hand: after bos the model gives 4 a probability of 0.6 and 5 one of 0.4; after 4 the tokens 2, 3 and 6 get a third each; after 5 comes 2 for certain. With `eos_id = 2`, greedy writes 4 and ends with at most 0.6 · ⅓ = 0.2. Two beams find `[5, 2]`, with 0.4.
"""


# %% tags=["answer"]
@torch.no_grad()
def beam_search(model, source, n_beams, bos_id, eos_id, max_T):
    """Likeliest sentence found with n_beams beams: source (1, S) -> list of new tokens."""
    ### BEGIN SOLUTION
    memory = model.encode(source)
    running, finished = [(0.0, [])], []  # (sum of log-probabilities, new tokens)
    for step in range(1, max_T + 1):
        candidates = []
        for score, tokens in running:
            y = torch.tensor([[bos_id, *tokens]])
            log_probs = model.decode(y, memory, source)[0, -1].log_softmax(-1)  # (vocab_size,)
            candidates += [(score + x, [*tokens, i]) for i, x in enumerate(log_probs.tolist())]
        best = sorted(candidates, reverse=True)[:n_beams]
        finished += [c for c in best if c[1][-1] == eos_id or step == max_T]
        running = [c for c in best if c[1][-1] != eos_id]
    return max(finished)[1]
    ### END SOLUTION


# %% tags=["check"]
beam_search = checks.beam_search(beam_search)

# %% [markdown]
r"""
**Predict:** of the texts that greedy decoding got wrong, how many will three beams mend? For each of them we also ask the model how likely it thinks its own answer, and how likely the truth.
"""


# %%
@torch.no_grad()
def probability(model, text, iso):
    """What the model thinks of a translation: a number between 0 and 1."""
    source, targets = to_batch([(text, iso)])
    logs = model(source, shift_right(targets, BOS)).log_softmax(-1)  # (1, 11, vocab_size)
    return logs.gather(-1, targets[..., None]).sum().exp().item()


# %% tags=["nbval-ignore-output"]
mended = 0
print(f"{'':<50}{'truth':<18}{'greedy':<18}three beams")
for text, iso, greedy in wrong[:20]:
    found = to_text(beam_search(model, to_batch([(text, iso)])[0], 3, BOS, EOS, max_T=12))
    mended += found == iso
    said = [f"{w} {probability(model, text, w):.2f}" if len(w) == 10 else w for w in (iso, greedy)]
    print(f"{text:<50}{said[0]:<18}{said[1]:<18}{found}")
print(f"{mended} of {len(wrong[:20])} mended")

# %% tags=["nbval-ignore-output"]
in_words = sum(len(re.findall("[0-9]+", text)) < 2 for text, _, _ in wrong)  # day, year or both
one_digit = sum(sum(a != b for a, b in zip(iso, said, strict=False)) == 1 for _, iso, said in wrong)
in_disorder = sum(sorted(iso) == sorted(said) for _, iso, said in wrong)
print(f"{len(wrong)} errors: {in_words} where a number is spelled out in words,")
print(
    f"{one_digit} with a single wrong digit, {in_disorder} with the right digits in a wrong order"
)
assert in_words > 0.7 * len(wrong)

# %% [markdown]
r"""
The numbers tell two kinds of mistakes apart. In nearly every line the model thinks its wrong answer *likelier* than the truth. Often it hesitates, and the truth comes close behind; but no search can mend that, for search finds what the model believes. Only where the truth has the larger number, and greedy still missed it, did the model know better than it wrote; there beams can find it. Here that is rare: on one of our machines they mended none of 6, on another 2 of 13. **Search mends errors of searching, not errors of knowing** (Stahlberg and Byrne, 2019, take the two apart for large translators, and find that their models often think *no* translation at all the likeliest).

And *what* does it not know? Nearly all of its errors are where a number is spelled out in words, though only three of the nine forms do that. Mostly one digit is wrong. Now and then all the digits are right and stand in a wrong order, 78 for *eighty-seven*; or it is the number that sounds alike, 30 for *thirteenth*.

## Summary

1. The decoder reads the target moved right by one, and learns every place at once (teacher forcing).
2. Cross-attention: queries from what is written, keys and values from what was read. Self-attention needs the causal mask, cross-attention the source's padding mask.
3. The paper's decoder has its attentions in sequence, each with its own sum and norm; the formula that puts them side by side is another model. Yours equals `nn.TransformerDecoderLayer`.
4. A translator of fewer than 200,000 parameters learns to read dates in under a minute, and its cross-attention draws the alignment.
5. It answers everything, the impossible included; beam search finds what the model believes, not what is true.

**Next:** Part I is complete: you have written every piece of the 2017 Transformer. (Ours differs in details: learned positions in place of sinusoids, no dropout, embeddings not multiplied by √d_model, an output layer of its own.) Part II drops the encoder and keeps the decoder; lesson 6 begins with what a model reads, tokens.

## Further reading

- Vaswani et al., 2017, "Attention is all you need": §3.1 and Figure 1, all of whose boxes you have now built.
- Bahdanau, Cho and Bengio, 2015, "Neural machine translation by jointly learning to align and translate": §3, and the alignments of Figure 3.
- Sutskever, Vinyals and Le, 2014, "Sequence to sequence learning with neural networks": §3.2, beam search in translation.
- Stahlberg and Byrne, 2019, "On NMT search errors and model errors: Cat got your tongue?"
- Williams and Zipser, 1989, "A learning algorithm for continually running fully recurrent neural networks": where teacher forcing has its name from.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
