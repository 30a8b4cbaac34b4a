# %% [markdown]
r"""
# 03 · Position

"The dog bites the man" and "the man bites the dog" consist of the same words. Attention, as you have written it, cannot tell them apart: it compares every word with every word, and nowhere does it ask who stands where.

This lesson first proves that, on your own formula and on a real model. Then it builds the three answers that matter: **add** something to each word that says where it stands (sinusoids, 2017), **turn** queries and keys by an angle that says so (RoPE, in Llama and most models since), or **subtract** something from the score for every step between two words (ALiBi). At the end all three have to read texts eight times longer than any they were trained on, and two of them break.

**Needs:** attention (lesson 1), masks (lesson 2), sine and cosine. **Takes:** about 60 minutes. **Exercises:** 3.1 to 3.5; 3.6 is a stretch.
"""

# %%
import math

import torch
import torch.nn.functional as F
from torch import nn

from utils import models, plots
from utils.checks import lesson03 as checks
from utils.progress import bar

torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
r"""
## 1 Attention cannot tell order

Our six words again, three numbers each. We let each attend to all, then shuffle the sentence and do it once more.

**Predict:** the outputs of the shuffled sentence will be … all different? The same six vectors, in some other order?
"""

# %%
words = ["we", "sat", "by", "the", "river", "bank"]
x = torch.tensor(
    [[1, 0, 0], [2, 0, 0], [0, 0, 0], [0, 0, 0], [0, 2, 0], [0, 1, 1]], dtype=torch.float32
)  # (T, d_model)


def attend(x):
    return F.scaled_dot_product_attention(x[None], x[None], x[None])[0]  # (T, d_model)


order = [4, 2, 5, 0, 3, 1]
print("shuffled:", " ".join(words[i] for i in order))
gap = (attend(x[order]) - attend(x)[order]).abs().max().item()
print(f"outputs of the shuffled sentence, and shuffled outputs: largest difference {gap:.0e}")
assert gap < 1e-6

# %% [markdown]
r"""
The same vectors, in the new order: *bank* gets what it got before, wherever it stands. It must be so. Shuffling is a multiplication with a permutation matrix $P$, and

$$\operatorname{softmax}\!\bigl(PX(PX)^\top\bigr)\,PX = \operatorname{softmax}\!\bigl(P\,XX^\top P^\top\bigr)\,PX = P\operatorname{softmax}(XX^\top)\,P^\top P X = P\,\bigl(\operatorname{softmax}(XX^\top)X\bigr)$$

since the softmax works on each row alone and does not care in which order its entries stand, and $P^\top P$ is the identity. ($\sqrt{d_k}$ and the matrices $W_Q$, $W_K$, $W_V$ are left out here; they act on each row alone and change nothing about it.) Shuffle the input, and the output is shuffled in the same way: attention is **permutation-equivariant**. What comes after it, the feed-forward layers, looks at each word alone. So a whole Transformer is blind to order, however deep.

Is that so in a real one? MiniLM makes a vector of a sentence (lesson 4 builds it). It has a table with one row for each position. We compare three sentences of the same words, then set that table to zero.

**Predict** the similarities before and after.
"""

# %%
import transformers
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

transformers.logging.disable_progress_bar()
folder = models.path("all-MiniLM-L6-v2")
tokenizer = AutoTokenizer.from_pretrained(folder)
sentences = ["the dog bites the man", "the man bites the dog", "bites man the the dog"]


@torch.no_grad()
def similarities(encoder):
    """Cosine similarity of each sentence with the first: (3,)."""
    hidden = encoder(**tokenizer(sentences, return_tensors="pt")).last_hidden_state
    return F.cosine_similarity(hidden.mean(1), hidden[:1].mean(1))  # (3, d_model), (1, d_model)


# %%
encoder = AutoModel.from_pretrained(folder)
before = similarities(encoder)
with torch.no_grad():
    encoder.embeddings.position_embeddings.weight.zero_()
after = similarities(encoder)

for sentence, with_table, without in zip(sentences, before.tolist(), after.tolist(), strict=True):
    print(f"{sentence:<24} with its positions {with_table:.2f}   without {without:.2f}")

# %% [markdown]
r"""
Without positions, the attacker, the victim and plain nonsense are the same to it, to the last digit shown. (With them they are still very similar: it is a model for *topics*, and the topic is the same.)

## 2 Add something

The simplest remedy is the one that MiniLM uses (it has it from BERT; Devlin et al., 2019, §3): a table with a vector for each position, added to the word's vector at the start. Word *the* at position 0 and word *the* at position 3 then go in as different vectors.

### Exercise 3.1 · `add_positions` ★ · 3 minutes

- `x`: `(B, T, d_model)`, a batch of sentences; `table`: `(max_T, d_model)`, one row for each position, `max_T` at least `T`
- returns `(B, T, d_model)`: row `t` of the table is added to word `t` of every sentence

By hand: two sentences of two one-number words, `x = [[[1], [2]], [[3], [4]]]`, and the table `[[10], [20], [30]]` give `[[[11], [22]], [[13], [24]]]`.
"""


# %% tags=["answer"]
def add_positions(x, table):
    """Add row t of the table to word t of every sentence: (B, T, d_model), same shape."""
    ### BEGIN SOLUTION
    return x + table[: x.shape[1]]  # (B, T, d_model) + (T, d_model)
    ### END SOLUTION


# %% tags=["check"]
add_positions = checks.add_positions(add_positions)

# %% [markdown]
r"""
One line, and a famous place to slip. PyTorch's older tutorials lay a batch out as `(T, B, d_model)`, and take the encoding as `table[:x.size(0)]`, with an axis in the middle for the batch. Copy that line into a model whose batch comes first, as ours does, and `x.size(0)` is the number of *sentences*. It has happened in published courses.

**Predict** what the model then gets to see. Here are two copies of one sentence in a batch, all words zero, so that only the positions show.
"""

# %%
table = torch.arange(0.0, 60.0, 10.0)[:, None]  # (6, 1): 0, 10, 20, ...
batch = torch.zeros(2, 4, 1)  # (B, T, d_model)

wrong = batch + table[: batch.size(0)][:, None, :]
print("indexed by batch:   ", wrong[:, :, 0].tolist())
print("indexed by position:", add_positions(batch, table)[:, :, 0].tolist())

# %% [markdown]
r"""
All words of a sentence get the same, so the order is as invisible as before; and the same sentence looks different depending on its place in the batch. The model trains all the same. The shapes are right, so nothing complains. The check of 3.1 knows this mistake by name.

## 3 Clocks: the sinusoidal encoding

A learned table ends at its last row: MiniLM's has 512, and word 513 has no position. Can one *compute* a vector for any position? It should

1. be different for every position,
2. stay bounded: the number `t` itself would soon drown the word,
3. make "so many steps away" easy to see, wherever the two words stand.

Think of a clock. One hand tells the minute within the hour, a slower one the hour. Each hand is bounded, together they never repeat within half a day, and *ten minutes later* is the same turn of the hands at any time. So use `d_model / 2` hands, from fast to slow. A hand at angle $\alpha$ is two numbers, $(\sin\alpha, \cos\alpha)$. Vaswani et al. (2017, §3.5) chose

$$\text{PE}[t, 2i] = \sin\bigl(t\,\omega_i\bigr),\qquad \text{PE}[t, 2i+1] = \cos\bigl(t\,\omega_i\bigr),\qquad \omega_i = 10000^{-2i/d_\text{model}}$$

The first hand turns by one radian with each word, about six words for a round; the more components there are, the nearer the last one comes to a round of $2\pi \cdot 10000$ words.

### Exercise 3.2 · `sinusoidal` ★★ · 8 minutes

- `T`: how many positions; `d_model`: an even number
- returns `(T, d_model)`, float32, as in the formula: sines in the even columns, cosines in the odd ones

By hand, for `d_model = 4`: $\omega_0 = 1$ and $\omega_1 = 10000^{-1/2} = 0.01$, so row 0 is `[0, 1, 0, 1]` and row 1 is `[0.841, 0.540, 0.010, 1.000]`.
"""


# %% tags=["answer"]
def sinusoidal(T, d_model):
    """Sinusoidal position encoding of Vaswani et al. (2017, §3.5): (T, d_model)."""
    ### BEGIN SOLUTION
    speed = 10000 ** (-torch.arange(0, d_model, 2) / d_model)  # (d_model / 2,)
    angle = torch.arange(T)[:, None] * speed  # (T, d_model / 2)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)  # (T, d_model)
    ### END SOLUTION


# %% tags=["check"]
sinusoidal = checks.sinusoidal(sinusoidal)

# %% [markdown]
r"""
Here it is for 64 positions, red for −1 and blue for 1. Two neighbouring columns are one hand: on the left the fast ones, on the right those that have hardly moved (sine still near 0, cosine near 1: white and blue stripes). Beside it, the dot products of position 32 with all others.

**Predict:** what will that curve look like, and how will it change if we take position 10 in place of 32?
"""

# %%
code = sinusoidal(64, 64)

fig, axes = plots.figure(2, height=3.0)
axes[0].imshow(code, aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
axes[0].set(xlabel="component", ylabel="position", title="The clock hands")
for t, style in ((32, "-"), (10, "--")):
    axes[1].plot(torch.arange(64) - t, code @ code[t], style, label=f"position {t}")
axes[1].set(xlabel="steps away", ylabel="dot product", title="Near is similar", xlim=(-32, 32))
axes[1].legend()
plots.show(
    fig,
    "Left columns of waves from fast to slow. Right two curves that lie on one another, peaked at 0.",
)

# %% [markdown]
r"""
The two curves lie on one another: the dot product depends only on how many steps lie between, since for each hand $\sin a \sin b + \cos a \cos b = \cos(a - b)$. That was wish number 3.

There is more to see in the clocks. Going on by $k$ words turns each hand by the angle $k\omega_i$, whatever time it shows. So $\text{PE}[t+k]$ is $\text{PE}[t]$ with every pair of sine and cosine **turned**, and the turn does not depend on $t$:

$$\begin{pmatrix}\sin (t+k)\omega\\ \cos (t+k)\omega\end{pmatrix} = \begin{pmatrix}\cos k\omega & \sin k\omega\\ -\sin k\omega & \cos k\omega\end{pmatrix}\begin{pmatrix}\sin t\omega\\ \cos t\omega\end{pmatrix}$$

Vaswani et al. (2017, §3.5) chose sinusoids for this reason: a move by $k$ is one and the same linear map everywhere. Let us turn all 64 positions on by five words at once.
"""

# %%
k = 5
angle = k * 10000 ** (-torch.arange(0, 64, 2) / 64)  # (32,): how far each hand turns
sine, cosine = code[:, 0::2], code[:, 1::2]  # (64, 32) each
turned = [
    angle.cos() * sine + angle.sin() * cosine,
    angle.cos() * cosine - angle.sin() * sine,
]
moved = torch.stack(turned, dim=-1).flatten(1)  # (64, 64)

gap = (moved - sinusoidal(64 + k, 64)[k:]).abs().max().item()
print(f"rows turned, and rows {k} further on: largest difference {gap:.0e}")
assert gap < 1e-4

# %% [markdown]
r"""
The same, but for rounding. Keep this turning in mind; in section 4 it becomes the method itself.

But the encoding is *added* to the word before anything else happens, and attention then compares $(x_i + p_i)W_Q$ with $(x_j + p_j)W_K$. Multiply out, and there are four terms: word with word, word with position, position with word, position with position. Only in the last could "three words back" be the same at position 10 and at 500, and only if the two matrices, which have to serve the words at the same time, leave the clocks intact. Can that be had for certain?

## 4 Turn it: rotary position embedding

Take the clock hands literally. Do not add a hand to the word. Take two numbers *of the query*, see them as an arrow in the plane, and **turn** that arrow by an angle in proportion to its position. Do the same with the key. Their dot product depends on the angle between them, so of the two turns only the difference remains:

$$\bigl(R_{t\omega}\,q\bigr)\cdot\bigl(R_{s\omega}\,k\bigr) = q^\top R_{t\omega}^\top R_{s\omega}\,k = q \cdot \bigl(R_{(s-t)\omega}\,k\bigr)$$

$R_\alpha$ turns by the angle $\alpha$; turning back by $t\omega$ and on by $s\omega$ is turning by $(s - t)\omega$. The absolute positions have cancelled. This is the **rotary position embedding**, RoPE (Su et al., 2021, §3.2).

One pair first: a query that stands two words after its key, at three places in the text.
"""


# %%
def turn(pair, angle):
    """Turn a pair of numbers by an angle, counterclockwise."""
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([c * pair[0] - s * pair[1], s * pair[0] + c * pair[1]])


q, k = torch.tensor([1.0, 0.3]), torch.tensor([0.8, -0.4])
omega = 0.5
for t in (2, 5, 8):
    score = turn(q, t * omega) @ turn(k, (t - 2) * omega)
    print(f"query at {t:2}, key at {t - 2:2}: score {score:.4f}")

# %%
fig, axes = plots.figure(3, height=2.9)
for ax, t in zip(axes, (2, 5, 8), strict=True):
    for pair, place, colour, name in ((q, t, plots.BLUE, "query"), (k, t - 2, plots.ORANGE, "key")):
        for angle, alpha in ((0, 0.25), (place * omega, 1.0)):
            tip = turn(pair, angle).tolist()
            style = dict(width=0.012, color=colour, alpha=alpha, scale=1, scale_units="xy")
            ax.quiver(0, 0, *tip, angles="xy", label=name if alpha == 1 else None, **style)
    ax.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
    ax.axis("off")
    ax.set_title(f"query at {t}, key at {t - 2}")
axes[0].legend(loc="lower left")
plots.show(
    fig, "Three pictures of two arrows; both turn on, the angle between them stays the same."
)

# %% [markdown]
r"""
The pale arrows are the pair before turning (on the left the key, at position 0, has not turned yet). Query and key turn on together, and the angle between them, and so the score, stays.

A head has `d_head` numbers, which make `d_head / 2` pairs, each with its own speed $\omega_c = \theta^{-2c/d_\text{head}}$: hands from fast to slow, as before. **Which two numbers make a pair** is a convention, and there are two of them in the world:

| convention | pairs | used by |
| --- | --- | --- |
| interleaved | (0, 1), (2, 3), (4, 5), … | the paper; GPT-J; Meta's own Llama code |
| half-split | (0, d/2), (1, d/2 + 1), … | GPT-NeoX; Llama and most models in Hugging Face |

Each is right with weights that were trained with it, or sorted for it, and quietly wrong with the other's. We use the second.

### Exercise 3.3 · `apply_rope` ★★★ · 15 minutes

- `x`: `(..., T, d_head)`, queries or keys; `positions`: `(T,)`, whole numbers, not always 0, 1, 2, …
- `theta`: the base of the speeds
- returns `x` turned, same shape and dtype: for each pair `(c, c + d_head / 2)` and the angle $\alpha = t\,\theta^{-2c/d_\text{head}}$

$$\text{first}' = \text{first}\cos\alpha - \text{second}\sin\alpha \qquad \text{second}' = \text{first}\sin\alpha + \text{second}\cos\alpha$$

By hand: `d_head = 2` has one pair with the speed 1. At position 1, `[1, 0]` becomes `[cos 1, sin 1] = [0.540, 0.841]`; at position 0 everything stays.

Compute the angles in float32 whatever the dtype of `x`; section 6 shows why.
"""


# %% tags=["answer"]
def apply_rope(x, positions, theta=10000.0):
    """Turn each pair (c, c + d_head/2) by its position's angle: (..., T, d_head), same shape."""
    ### BEGIN SOLUTION
    half = x.shape[-1] // 2
    speed = theta ** (-torch.arange(half) / half)  # (half,)
    angle = positions[:, None] * speed  # (T, half), float32
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]  # (..., T, half) each
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
    ### END SOLUTION


# %% tags=["check"]
apply_rope = checks.apply_rope(apply_rope)

# %% [markdown]
r"""
**Built once, proved equal**: the check has compared it with Hugging Face's `apply_rotary_pos_emb`. Here is that comparison in the open, with the settings of SmolLM2: 64 numbers a head, and a θ of 100,000.
"""

# %%
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

config = LlamaConfig(
    hidden_size=576,
    num_attention_heads=9,
    rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
)
torch.manual_seed(0)
q, k = torch.randn(2, 1, 9, 20, 64)  # each (B, n_heads, T, d_head)
positions = torch.arange(20)
cos, sin = LlamaRotaryEmbedding(config)(q, positions[None])
theirs, _ = apply_rotary_pos_emb(q, k, cos, sin)
mine = apply_rope(q, positions, theta=100_000.0)
print(f"largest difference {(mine - theirs).abs().max().item():.0e}")
assert torch.allclose(mine, theirs, atol=1e-4)

# %% [markdown]
r"""
What does a score look like as the key moves away? Take a query and a key that are equal before turning.
"""

# %%
same = torch.ones(1, 64) / 8  # length 1
distance = torch.arange(0, 400)

fig, ax = plots.figure(height=2.6)
for theta, colour in ((10_000.0, plots.BLUE), (100_000.0, plots.ORANGE)):
    turned = apply_rope(same.expand(400, 64), distance, theta)  # (400, 64)
    ax.plot(distance, turned @ same[0], color=colour, label=f"θ = {theta:,.0f}")
ax.set(xlabel="distance of query and key", ylabel="score", title="RoPE: near is similar")
ax.legend()
plots.show(
    fig, "Both scores fall quickly from 1 over 20 words, then waver downwards, θ = 100,000 less so."
)

# %% [markdown]
r"""
Where query and key are alike, RoPE prefers what is near, in waves (Su et al., 2021, §3.4.3, call it long-term decay); a larger θ slows the hands and keeps more of the far words. Where they are not alike there is no such preference. Learned queries and keys can build what they need out of these waves: "the word before" of lesson 2 is one.

### Exercise 3.4 · `rope_attention` ★★ · 5 minutes

Put RoPE in its place. Queries and keys are turned; values are **not**. A value is what is handed over, and *river* should hand over the same wherever it stands.

- `q`, `k`, `v`: `(B, n_heads, T, d_head)`; `positions`: `(T,)`; no mask, θ = 10,000
- returns `(B, n_heads, T, d_head)`

Use `F.scaled_dot_product_attention` and your `apply_rope`.
"""


# %% tags=["answer"]
def rope_attention(q, k, v, positions):
    """Attention with rotary positions: (B, n_heads, T, d_head), same shape."""
    ### BEGIN SOLUTION
    return F.scaled_dot_product_attention(apply_rope(q, positions), apply_rope(k, positions), v)
    ### END SOLUTION


# %% tags=["check"]
rope_attention = checks.rope_attention(rope_attention)

# %% [markdown]
r"""
Now to a model that was trained with it. SmolLM2 reads a sentence, and we tell it that the sentence stands somewhere else: at positions 7, 8, 9, … in place of 0, 1, 2, …

**Predict:** what happens to its 49,152 predictions at each word if everything moves by 7? And what if we number the words backwards?
"""

# %%
folder = models.path("SmolLM2-135M-Instruct")
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
inputs = tokenizer("The cat sat on the mat because the cat was tired", return_tensors="pt")
ids = inputs["input_ids"]  # (1, 11)
T = ids.shape[1]


# %%
@torch.no_grad()
def logits_at(positions):
    """The model's logits if it is told these positions: (T, vocab_size)."""
    return model(**inputs, position_ids=positions[None]).logits[0]


usual = logits_at(torch.arange(T))
for name, positions in (
    ("0, 1, 2, …", torch.arange(T)),
    ("7, 8, 9, …", torch.arange(T) + 7),
    ("10, 9, 8, …", torch.arange(T).flip(0)),
    ("all 0", torch.zeros(T, dtype=torch.long)),
):
    logits = logits_at(positions)
    loss = F.cross_entropy(logits[:-1], ids[0, 1:])
    same = torch.allclose(logits, usual, atol=1e-3)
    print(f"positions {name:<12} the same logits: {same!s:<6} loss {loss:.2f}")

# %% [markdown]
r"""
Moved by 7, every one of half a million numbers is the same within rounding. The model cannot notice which *numbers* we gave its words; it knows only their distances. (The loss of 5 is high because the sentence is short and starts from nothing; chance would be ln 49152 = 10.8.) Take the distances away, or turn them round, and it gets worse. Backwards is the smaller evil of the two: a neighbour is then still a neighbour. And both are better than chance, for the words are still there, and the causal mask still says who came before whom.

## 5 Subtract something: ALiBi

The third idea is the simplest. Press et al. (2022, §3) leave words, queries and keys alone, and take something off the score for every step that a key lies behind the query:

$$s_{ij} = \frac{q_i \cdot k_j}{\sqrt{d_\text{head}}} - m_h\,(i - j)$$

The slope $m_h$ is fixed, not learned, and differs from head to head: $m_h = 2^{-8(h+1)/n_\text{heads}}$ for $h = 0, 1, \dots$ One head is short-sighted, another sees far.

### Exercise 3.5 · `alibi_bias` ★★ · 6 minutes

- `n_heads`: a power of two; `T`: the number of words
- returns `(n_heads, T, T)`, float32: entry `[h, i, j]` is $-m_h\,(i - j)$ for `j <= i`; what stands above the diagonal does not matter, a causal mask hides it

By hand, for 8 heads: head 0 has the slope ½. Its row for the query at position 2 is `[-1, -0.5, 0]`.
"""


# %% tags=["answer"]
def alibi_bias(n_heads, T):
    """What ALiBi adds to the scores (Press et al., 2022, §3): (n_heads, T, T)."""
    ### BEGIN SOLUTION
    slope = 2.0 ** (-8 * torch.arange(1, n_heads + 1) / n_heads)  # (n_heads,)
    t = torch.arange(T)
    return -slope[:, None, None] * (t[:, None] - t[None, :])  # (n_heads, T, T)
    ### END SOLUTION


# %% tags=["check"]
alibi_bias = checks.alibi_bias(alibi_bias)

# %% [markdown]
r"""
The next picture shows the weights that the bias alone gives, if all words fit equally well, for four heads. **Predict:** how far does head 0 see, and how far head 3?
"""

# %%
causal = torch.ones(40, 40, dtype=torch.bool).tril()
bias = alibi_bias(4, 40).masked_fill(~causal, -torch.inf)

fig, axes = plots.figure(4, height=2.5, sharey=True)
for h, ax in enumerate(axes):
    ax.imshow(bias[h].softmax(-1), vmin=0, vmax=0.25)
    ax.set(title=f"head {h}: slope 1/{4 ** (h + 1)}", xlabel="key", xticks=[0, 20])
axes[0].set_ylabel("query")
plots.show(
    fig,
    "Weights that the bias alone gives: a narrow band in head 0, wider bands in the later heads.",
)

# %% [markdown]
r"""
Head 0 sees a few words back, head 3 nearly everything.

## 6 How positions go wrong

Two mistakes with numbers. The first: half the world computes in `bfloat16`, which keeps 8 significant bits (Kalamkar et al., 2019). **Predict:** which whole numbers can it hold exactly?
"""

# %%
positions = torch.tensor([1, 100, 255, 256, 257, 258, 259, 1000, 1001])
print("as given    ", positions.tolist())
print("in bfloat16 ", positions.to(torch.bfloat16).long().tolist())

# %% [markdown]
r"""
From 256 on, neighbours share a position. A model that computes its angles in `bfloat16` does well on short texts, and on long ones can no longer tell the word before from the word itself. There is no error. So angles are computed in float32, and only their sines and cosines are rounded, as the check of 3.3 demands.

The second: **numbers that were never seen in training.** A model trained on texts of 32 characters is asked to read 256. Let us look at it, with four small models that are alike but for their positions: none at all, sinusoids, RoPE, ALiBi. All read Python's documentation, as in lesson 2, and have a causal mask. You need not read the code of the next four cells closely; look for the two `if`s in `Layer.forward` and the one in `Reader.forward`, where your functions are called.
"""


# %%
def causal_mask(T):
    return torch.ones(T, T, dtype=torch.bool).tril()


class Layer(nn.Module):
    """A small Transformer layer (lesson 4 explains it): (B, T, d_model), same shape."""

    def __init__(self, kind, d_model, n_heads):
        super().__init__()
        self.kind, self.n_heads, self.mask = kind, n_heads, causal_mask
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.qkv, self.out = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, d_model)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, 4 * d_model), nn.GELU(), nn.Linear(4 * d_model, d_model)
        )

    def forward(self, x):
        T = x.shape[1]
        parts = self.qkv(self.norm1(x)).chunk(3, dim=-1)  # each (B, T, d_model)
        q, k, v = (p.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for p in parts)
        bias = torch.zeros(T, T).masked_fill(~self.mask(T), -torch.inf)
        if self.kind == "RoPE":
            q, k = apply_rope(q, torch.arange(T)), apply_rope(k, torch.arange(T))
        if self.kind == "ALiBi":
            bias = bias + alibi_bias(self.n_heads, T)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)  # (B, n_heads, T, d_head)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.norm2(x))


# %%
class Reader(nn.Module):
    """A language model of two layers: (B, T) characters -> (B, T, vocab_size) logits."""

    def __init__(self, kind, vocab_size, d_model=64, n_heads=4):
        super().__init__()
        self.kind = kind
        self.letter = nn.Embedding(vocab_size, d_model)
        self.layers = nn.Sequential(*(Layer(kind, d_model, n_heads) for _ in range(2)))
        self.out = nn.Linear(d_model, vocab_size)

    def forward(self, ids):
        x = self.letter(ids)  # (B, T, d_model)
        if self.kind == "sinusoids":
            x = add_positions(x, sinusoidal(*x.shape[1:]))
        return self.out(self.layers(x))


# %%
from pydoc_data.topics import topics

text = "".join(topics.values())
letters = sorted(set(text))
number = {letter: i for i, letter in enumerate(letters)}
data = torch.tensor([number[letter] for letter in text])  # (characters,)
train_data, new_data = data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]


def pieces(data, n, T):
    """n pieces of T characters, and the same moved on by one: (n, T), (n, T)."""
    starts = torch.randint(len(data) - T, (n,))
    rows = torch.stack([data[s : s + T + 1] for s in starts])  # (n, T + 1)
    return rows[:, :-1], rows[:, 1:]


# %%

torch.set_num_threads(1)  # for so small a model one thread is as fast as two, and steadier


def train(kind, steps=300):
    """A model of this kind, trained on pieces of 32 characters."""
    torch.manual_seed(0)
    model = Reader(kind, len(letters))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps, pct_start=0.1)
    for _ in bar(range(steps), kind):
        ids, targets = pieces(train_data, 32, 32)
        loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


# %% [markdown]
r"""
**Predict two things.** Which of the four will be best on texts as long as those it was trained on? And which of them will survive a text eight times as long? And a third: section 1 has proved that attention without positions cannot tell order. So will "none" do no better than a model that only knows how frequent each letter is (3.2)?
"""

# %% tags=["nbval-ignore-output"]
kinds = ["none", "sinusoids", "RoPE", "ALiBi"]
readers = {kind: train(kind) for kind in kinds}

torch.manual_seed(1)
ids, targets = pieces(new_data, 150, 256)
losses = {}
for kind, reader in readers.items():
    with torch.no_grad():
        logits = reader(ids).transpose(1, 2)  # (B, vocab_size, T)
    losses[kind] = F.cross_entropy(logits, targets, reduction="none").mean(0)  # (T,)
    short, long = losses[kind][16:32].mean().item(), losses[kind][128:].mean().item()
    print(f"{kind:<10} places 16 to 31: {short:.2f}   places 128 to 255: {long:.2f}")

# %%
fig, ax = plots.figure(height=3.2)
for kind, style in zip(kinds, ("--", "-.", "-", ":"), strict=True):
    smooth = losses[kind].unfold(0, 16, 4).mean(-1)  # a mean over 16 places
    ax.plot(torch.arange(len(smooth)) * 4 + 8, smooth, style, label=kind)
ax.axvspan(0, 32, color=plots.GREY, alpha=0.2, linewidth=0)
ax.text(33, 0.4, "← trained on these", color=plots.GREY)
ax.set(xlabel="place in the text", ylabel="loss (nats a character)", ylim=(0, 4.2))
ax.set_title("Trained on 32 characters, reading 256")
ax.legend(ncols=4, loc="upper left")
plots.show(
    fig,
    "Beyond place 32 sinusoids shoot up at once, RoPE from place 50 on; ALiBi stays level; "
    "none is worse but steady.",
)
ends = {kind: losses[kind][128:].mean() for kind in kinds}
assert ends["ALiBi"] < min(ends["none"], ends["RoPE"], ends["sinusoids"])
assert losses["RoPE"][16:32].mean() < losses["none"][16:32].mean() - 0.2

# %% [markdown]
r"""
Within the 32 characters RoPE is best. Sinusoids break at the very next place: a position that never occurred is a vector that never occurred. RoPE holds on for some twenty places, and then breaks as well, though it can be *computed* for any position. ALiBi stays level; a far word is only a little less welcome than before.

And "none"? It is far better than 3.2. It is tempting to thank the **causal mask** for that: a word that sees three others must be the fourth, so the mask gives order away, and a causal model can learn to count with it (Haviv et al., 2022, who measure it in §4 and §5). But is that what *ours* has done? Two comparisons will tell. A **bigram**, a mere table of which letter follows which, knows the current letter and nothing else. And we **shuffle** all letters before the current one: whoever uses their order must get worse.

**Predict:** which of the four will suffer from the shuffling, and which will not?
"""

# %%
counts = torch.ones(len(letters), len(letters))  # (vocab_size, vocab_size): no pair is impossible
one = torch.tensor(1.0)
counts.index_put_((train_data[:-1], train_data[1:]), one, accumulate=True)
bigram = (counts / counts.sum(1, keepdim=True)).log()  # row: the letter, column: the next one

# %% tags=["nbval-ignore-output"]
torch.manual_seed(2)
short_ids, short_targets = pieces(new_data, 1000, 32)
places = torch.rand(1000, 31).argsort(1)  # another order for each piece
shuffled = torch.cat([short_ids[:, :-1].gather(1, places), short_ids[:, -1:]], dim=1)

last, truth = short_ids[:, -1], short_targets[:, -1]
print(f"bigram     at the last place: {F.nll_loss(bigram[last], truth):.2f}")
cost = {}
for kind, reader in readers.items():
    with torch.no_grad():
        read, mixed = (F.cross_entropy(reader(x)[:, -1], truth) for x in (short_ids, shuffled))
    cost[kind] = (mixed - read).item()
    print(
        f"{kind:<10} at the last place: {read:.2f}   all but the last letter shuffled: {mixed:.2f}"
    )
assert cost["none"] < 0.2 and min(cost[kind] for kind in kinds[1:]) > 0.3

# %% [markdown]
r"""
"None" hardly notices. So it has made next to nothing of the order that the mask gives away. What it knows, it has from the current letter, for which nobody needs a position, and from the mere company of the others; that is a little more than the bigram has. The other three do read order: shuffled, they fall behind the bigram.

So what does our comparison show? That after a training as short as this positions help a great deal, and what becomes of each kind beyond the length it was trained on. It does *not* show that a causal model without positions is lost. Larger ones, trained for longer, do learn order from the mask (Haviv et al. again). And on other tasks, such as copying and adding, Kazemnejad et al. (2023, §4) find the opposite of our ranking: *no* encoding at all carries furthest beyond the trained length. An encoder, which has no such mask, can never do it: section 1 holds for it.

But why does nearly every large model use RoPE, if it breaks? **Predict** what happens if we take the model we have, train nothing, and let each word look at the last 32 words only, so that no *distance* is new to it.
"""


# %% tags=["nbval-ignore-output"]
def near_only(T, reach=32):
    """A causal mask that also hides what is further back than `reach` words."""
    return torch.ones(T, T, dtype=torch.bool).tril().triu(1 - reach)


windowed = {}
for kind in kinds:
    for layer in readers[kind].layers:
        layer.mask = near_only
    with torch.no_grad():
        logits = readers[kind](ids).transpose(1, 2)  # (B, vocab_size, T)
    loss = F.cross_entropy(logits, targets, reduction="none").mean(0)  # (T,)
    windowed[kind] = loss[128:].mean().item()
    print(f"{kind:<10} seeing 32 words back, places 128 to 255: {windowed[kind]:.2f}")
    for layer in readers[kind].layers:
        layer.mask = causal_mask
assert windowed["RoPE"] < min(windowed[kind] for kind in kinds if kind != "RoPE") - 0.05
assert windowed["RoPE"] < ends["ALiBi"] - 0.05

# %% [markdown]
r"""
RoPE was not broken at all. As soon as it meets no distances that are new to it, it is the best of the four on texts eight times as long, window or no window. (Sinusoids gain little: for them it is the *places* that are new, and a window does not change those.) Windows like this one are used in real models (Beltagy et al., 2020, §3; Jiang et al., 2023, §2); the other ways are to train, at least at the end, on texts as long as will have to be read, often with a larger θ (Xiong et al., 2023, §2).

## 7 A test for any encoding

In section 4 we saw that RoPE only knows distances. Such a property should have a test, like the one for leaks in lesson 2.

### Exercise 3.6 · `relative_shift_invariant` ★★ · 8 minutes · stretch

- `encode`: a function `encode(x, positions)` that returns `x`, `(T, d)`, with its positions worked in
- `q`: `(T_q, d)`, `k`: `(T_k, d)`, queries and keys at the positions 0, 1, 2, …
- returns True if the scores, encoded query · encoded key, stay the same when *all* positions move by the same number, whatever it is; else False

By hand: an `encode` that adds 1 to everything passes. One that multiplies `x` by its position does not.

Positions are integer tensors, as in `apply_rope`. Try more than one shift: an encoding that repeats after seven words would pass with a shift of 7. And leave room for rounding.
"""


# %% tags=["answer"]
def relative_shift_invariant(encode, q, k):
    """True if the scores depend on distances only, not on where the words stand."""

    ### BEGIN SOLUTION
    def scores(shift):
        there = encode(k, torch.arange(len(k)) + shift)
        return encode(q, torch.arange(len(q)) + shift) @ there.T  # (T_q, T_k)

    return all(torch.allclose(scores(s), scores(0), atol=1e-4) for s in (1, 7, 30))
    ### END SOLUTION


# %% tags=["check"]
relative_shift_invariant = checks.relative_shift_invariant(relative_shift_invariant)

# %%
torch.manual_seed(0)
q, k = torch.randn(5, 8), torch.randn(6, 8)
for name, encode in (
    ("nothing", lambda x, t: x),
    ("sinusoids, added", lambda x, t: x + sinusoidal(t.max() + 1, 8)[t]),
    ("RoPE", apply_rope),
):
    print(f"{name:<18} only distances count: {relative_shift_invariant(encode, q, k)}")

# %% [markdown]
r"""
## Summary

1. Attention is permutation-equivariant: without positions the dog and the man are one. A causal mask gives order away, though our small model made next to nothing of it.
2. A table or sinusoids are *added* to the words, by position, `table[:T]`, and never by place in the batch. Each step turns the sinusoids' hands by the same angles, so the dot product of two codes depends on their distance only.
3. RoPE *turns* queries and keys, never values; then scores depend on distances alone. Two conventions for the pairs exist, and weights know only one. Yours equals Hugging Face's.
4. ALiBi *subtracts* a slope for every step, and reads on beyond its training length. RoPE does not, unless distances stay within what it has seen.
5. Compute angles in float32: `bfloat16` cannot count beyond 256.

**Next:** lesson 4 puts attention, positions and the rest together into an encoder, and loads a real one into it.

## Further reading

- Vaswani et al., 2017, "Attention is all you need": §3.5, sinusoids.
- Su et al., 2021, "RoFormer: Enhanced transformer with rotary position embedding": §3.2, the formulation; §3.4.3, long-term decay.
- Press, Smith and Lewis, 2022, "Train short, test long: Attention with linear biases enables input length extrapolation": §3.
- Kalamkar et al., 2019, "A study of BFLOAT16 for deep learning training".
- Haviv et al., 2022, "Transformer language models without positional encodings still learn positional information": §4 and §5.
- Xiong et al., 2023, "Effective long-context scaling of foundation models": §2, raising θ.
- Kazemnejad et al., 2023, "The impact of positional encoding on length generalization in transformers": §4. On copying, arithmetic and reasoning, with decoders far larger than ours, no encoding at all carries furthest: not what we found here.
- Beltagy, Peters and Cohan, 2020, "Longformer: The long-document Transformer": §3, sliding windows; Jiang et al., 2023, "Mistral 7B": §2, a model that was trained with one.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
