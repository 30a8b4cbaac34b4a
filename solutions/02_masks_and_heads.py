# %% [markdown]
r"""
# 02 · Masks and heads

In lesson 1 every word looked at every other word, with one pair of eyes. A real model needs two things more. It must be able to **not** look: at words that are still to come, and at padding that is no word at all. And it must be able to look **in several ways at once**.

Both are a few lines. They are also where home-made Transformers break without an error: a mask turned round, a `transpose` left out, and the model trains on, only worse. Or, as you will see at the end, far too well.

This lesson and all that follow use PyTorch. What you write is `nn.MultiheadAttention`, and you will prove it, with its own weights.

**Needs:** the four lines of attention (lesson 1), PyTorch tensors and `nn.Module`. **Takes:** about 60 minutes. **Exercises:** 2.1 to 2.6; 2.7 is a stretch.
"""

# %%
import math

import torch
import torch.nn.functional as F
from torch import nn

from utils import models, plots
from utils.checks import lesson02 as checks
from utils.progress import bar

torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
r"""
## 1 Why hide anything?

A language model learns by guessing the next word. Give it "we sat by the river bank", and it can practise on five places in parallel: *sat* from *we*; *by* from *we sat*; and so on up to *bank*. They are not five guesses one after the other. In training the whole text is known, so each place is handed the *true* words before it, whatever was guessed there, and one pass through the model computes all five. A recurrent network has to walk through the text word by word; that attention need not was a chief reason for the Transformer (Vaswani et al., 2017, §1 and §4).

But it only works if the word at each place knows nothing of the words after it. If *the* may look at *river*, the guess "what comes after *the*?" is no guess.

Here are our six words again, three numbers each (action, water, money). First the honest way, with a loop: word `t` attends to the words up to itself, and to no other.
"""

# %%
words = ["we", "sat", "by", "the", "river", "bank"]
x = torch.tensor(
    [[1, 0, 0], [2, 0, 0], [0, 0, 0], [0, 0, 0], [0, 2, 0], [0, 1, 1]], dtype=torch.float32
)  # (T, d_model)

honest = torch.zeros(6, 3)
for t in range(6):
    past = x[: t + 1]  # (t + 1, 3)
    weights = (past @ x[t] / math.sqrt(3)).softmax(-1)  # (t + 1,)
    honest[t] = weights @ past

print(honest)

# %% [markdown]
r"""
Right, and slow: one small product for each word, where lesson 1 needed one large one for all. We would like to compute the whole table of scores at once, and then cross out what is not allowed. That is what a **mask** is: a table of yes and no, as large as the table of scores.

In this course a mask is **True where attention is allowed**. Remember that sentence; section 4 shows that not everybody agrees.

### Exercise 2.1 · `causal_mask` ★ · 3 minutes

Write the mask that lets every word see itself and what came before.

- `T`: the number of words
- returns `(T, T)`, dtype `torch.bool`: entry `[i, j]` is True if query `i` may look at key `j`

By hand, for `T = 3`: `[[True, False, False], [True, True, False], [True, True, True]]`.
"""


# %% tags=["answer"]
def causal_mask(T):
    """Who may look at whom if nobody may look ahead: T -> (T, T) bool, True is allowed."""
    ### BEGIN SOLUTION
    return torch.ones(T, T, dtype=torch.bool).tril()
    ### END SOLUTION


# %% tags=["check"]
causal_mask = checks.causal_mask(causal_mask)

# %% [markdown]
r"""
Now, how does one cross out a score? The softmax that comes next makes $e^s / \sum e^s$ of it. The only score whose exponential is exactly 0 is $-\infty$. So put $-\infty$ there, and the softmax does the rest: the weight is 0, and the weights that remain still sum to 1.
"""

# %%
scores = x @ x.T / math.sqrt(3)  # (T, T)
hidden = scores.masked_fill(~causal_mask(6), -torch.inf)
weights = hidden.softmax(-1)

print("the row of *by*:", hidden[2].tolist())
print("its weights:    ", [round(w, 3) for w in weights[2].tolist()])
print("equal to the loop:", torch.allclose(weights @ x, honest))

# %%
fig, axes = plots.figure(2, height=3.3, sharey=True)
plots.heatmap(axes[0], scores.softmax(-1), words, words, "everybody sees everybody", limits=(0, 1))
plots.heatmap(axes[1], weights, words, words, "nobody sees the future", limits=(0, 1))
axes[0].set_ylabel("query")
plots.show(
    fig,
    "Left a full table of weights; right only the lower triangle is filled, and rows still sum to 1.",
)

# %% [markdown]
r"""
Look at the first row on the right: *we* has nobody but itself, so all of its attention, a weight of 1, goes there. And *bank*, the last word, has lost nothing.
"""

# %% [markdown]
r"""
## 2 Padding is not a word

The second thing to hide is duller and causes more bugs. Sentences have different lengths, a tensor has not, so short sentences are filled up with a **padding** token. Nobody must look at it.

### Exercise 2.2 · `padding_mask` ★ · 3 minutes

- `ids`: `(B, T)`, numbers of tokens; `pad_id`: the number that stands for padding
- returns `(B, 1, 1, T)`, dtype `torch.bool`: True where there is a real token

By hand: `ids = [[7, 8, 0], [5, 0, 0]]` with `pad_id = 0` gives `[True, True, False]` for the first sentence and `[True, False, False]` for the second.

Why this shape? The table of scores will be `(B, n_heads, T, T)`: sentence, head, query, key. The two axes of length 1 are stretched over heads and queries: whoever asks, whichever head, this *key* is hidden.
"""


# %% tags=["answer"]
def padding_mask(ids, pad_id):
    """Which keys are real tokens: (B, T) -> (B, 1, 1, T) bool, True is allowed."""
    ### BEGIN SOLUTION
    return (ids != pad_id)[:, None, None, :]
    ### END SOLUTION


# %% tags=["check"]
padding_mask = checks.padding_mask(padding_mask)

# %% [markdown]
r"""
Masks combine with `&`: allowed is what all of them allow. Broadcasting does the work, `(T, T)` with `(B, 1, 1, T)` gives `(B, 1, T, T)`.

**Predict** before you look at the third picture: which rows of the causal mask lose something when padding is hidden too, and is any row left with nothing?
"""

# %%
ids = torch.tensor([[11, 12, 13, 0, 0]])  # three words and two paddings
causal, padding = causal_mask(5), padding_mask(ids, pad_id=0)
both = causal & padding  # (1, 1, 5, 5)
print(tuple(causal.shape), "&", tuple(padding.shape), "->", tuple(both.shape))

names = ["a", "b", "c", "pad", "pad"]
fig, axes = plots.figure(3, height=2.6, sharey=True)
tables = {"causal": causal, "padding": padding[0, 0].expand(5, 5), "both": both[0, 0]}
for ax, (title, table) in zip(axes, tables.items(), strict=True):
    plots.heatmap(ax, table.int(), names, names, title, limits=(0, 1), digits=0)
axes[0].set_ylabel("query")
plots.show(
    fig, "Three masks: a lower triangle, three full columns, and the triangle without pad columns."
)

# %% [markdown]
r"""
Only the rows of the paddings themselves lose something, and none is empty. With padding on the right a causal mask already protects every real word: padding lies in its future. Padding on the *left* (lesson 9) needs its mask. So does every model without a causal mask (lesson 4).
"""

# %% [markdown]
r"""
## 3 Attention with a mask

If sentences are padded on the left, the first row of a causal table may look at one word only, and that word is padding: nothing is allowed. What does the recipe make of a row with nothing in it?

**Predict:** the softmax of three times $-\infty$?
"""

# %%
nothing = torch.full((3,), -torch.inf)
print("all -inf:", nothing.softmax(-1).tolist())
print("all -1e9:", [round(w, 3) for w in torch.full((3,), -1e9).softmax(-1).tolist()])

# %% [markdown]
r"""
$0/0$: not a number. And NaN spreads: whatever it is multiplied with or added to becomes NaN as well, up to the loss and from there into all weights. One padded row, and the training is over.

Much code writes $-10^9$ in place of $-\infty$. It gives no NaN. But a query that may look at nothing then looks at *everything*, in equal shares. The better answer for a query that may look at nothing is: nothing, a row of zeros. PyTorch's own `F.scaled_dot_product_attention` does so too.

### Exercise 2.3 · `masked_attention` ★★ · 9 minutes

Scaled dot-product attention with a mask, for any number of leading axes.

- `q`: `(..., T_q, d_head)`, `k`: `(..., T_k, d_head)`, `v`: `(..., T_k, d_v)`
- `mask`: bool, True is allowed; any shape that broadcasts to `(..., T_q, T_k)`
- returns `(..., T_q, d_v)`; zeros for a query that may look at nothing

By hand: `q = [[0]]`, `k = [[1], [2], [3]]`, `v = [[10], [20], [60]]`. All scores are 0. With the mask `[[True, True, False]]` the result is `[[15]]`, with `[[False, False, False]]` it is `[[0]]`.

`k.transpose(-2, -1)` swaps the last two axes, however many stand before.
"""


# %% tags=["answer"]
def masked_attention(q, k, v, mask):
    """Attention to what the mask allows: (..., T_q, d_head) and so on -> (..., T_q, d_v)."""
    ### BEGIN SOLUTION
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (..., T_q, T_k)
    weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
    weights = weights.masked_fill(~mask, 0.0)  # a row with nothing in it is NaN until here
    return weights @ v  # (..., T_q, d_v)
    ### END SOLUTION


# %% tags=["check"]
masked_attention = checks.masked_attention(masked_attention)

# %% [markdown]
r"""
One question that comes up here: why not let the softmax run over everything, and multiply the *weights* by the mask? Because the rows then no longer sum to 1; what was hidden has still taken its share away. (Divide each row by its sum again, and it is right on paper. But if a hidden score is much larger than the others, it has taken so much that what remains is rounded to 0, and 0/0 it is again.) Hide first, then normalise.
"""

# %% [markdown]
r"""
## 4 Two polarities

Here is the trap that was promised. Who may be seen is said in opposite ways, even within one library:

| who | name of the argument | True (or 1) means |
| --- | --- | --- |
| this course | `mask` (bool) | may be **seen** |
| `F.scaled_dot_product_attention` | `attn_mask` (bool) | may be **seen** |
| Hugging Face tokenizers and models | `attention_mask` (0 or 1) | may be **seen** |
| `nn.MultiheadAttention`, `nn.Transformer…Layer` | `attn_mask`, `key_padding_mask` (bool) | is **hidden** |
| both of PyTorch's, given floats | `attn_mask` (float) | nothing: the number is **added** to the score |

**Predict:** what does `nn.MultiheadAttention` let each word see if you hand it our causal mask as it is? And what will the output of the last word be?
"""

# %%
torch.manual_seed(0)
attention = nn.MultiheadAttention(embed_dim=4, num_heads=1, batch_first=True)
four = torch.randn(1, 4, 4)  # (B, T, d_model)
mask = causal_mask(4)

for name, attn_mask in (("mask ", mask), ("~mask", ~mask)):
    out, weights = attention(four, four, four, attn_mask=attn_mask)
    seen = [[j for j in range(4) if weights[0, i, j] > 0] for i in range(4)]
    quick, _ = attention(four, four, four, attn_mask=attn_mask, need_weights=False)
    print(f"attn_mask={name}: the four words see {seen}")
    print("    a NaN in the output:", out.isnan().any().item(), end="")
    print("; with need_weights=False:", quick.isnan().any().item())

# %% [markdown]
r"""
With the mask as it is, every word sees *only the future*, and the last word nothing at all. There is no error and no warning. If you are lucky, the last word's NaN gives it away. If you ask the module for no weights, as one does to save time, it takes another road inside, that word gets zeros, and nothing at all shows that the model is reading its sentences from the wrong end. The tilde `~` turns the mask round.

Whenever you meet a mask, ask two questions: what does True mean, and which axis is hidden? Then test it as this cell did, on four words.
"""

# %% [markdown]
r"""
## 5 Why more than one head?

The result of attention is *one* weighted mean. A mean forgets who was who. Take the word *chased*, which would like to know who chased and who was chased. Give *cat* and *dog* one number each, and suppose that *chased* looks at both with half of its attention; or that it has two heads, one that looks at the word before and one that looks at the word after. (How a head can know what is before and after is lesson 3.)
"""

# %%
cat, dog = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])

for subject, object_, text in ((cat, dog, "cat chased dog"), (dog, cat, "dog chased cat")):
    one_head = 0.5 * subject + 0.5 * object_  # looks at both neighbours
    two_heads = torch.cat([subject, object_])  # one looks back, one looks ahead
    print(f"{text}   one head {one_head.tolist()}   two heads {two_heads.tolist()}")

# %% [markdown]
r"""
With one such head the two sentences are the same. With two, each keeps its own place in the output, and nothing is mixed up.

So: several attentions side by side, each with its own queries, keys and values, and their results laid next to one another. To keep the cost the same, each gets only a part of the width: `d_head = d_model / n_heads`. Heads do not share out the *words*, as is sometimes thought: every head sees all of them. What is shared out is the **width**.
"""

# %%
fig, axes = plots.figure(2, height=2.2, width_ratios=[6.4, 8.4])
plots.blocks(axes[0], 4, 6, 2, "x @ w_q: (T, d_model)")
plots.blocks(axes[1], 4, 6, 2, "three heads: (n_heads, T, d_head)", apart=True)
plots.show(
    fig, "A table of 4 words by 6 numbers is cut into three tables of 4 words by 2 numbers each."
)

# %% [markdown]
r"""
In memory, a row of `x @ w_q` is the first head's numbers, then the second's, then the third's. Two steps take them apart: first see the last axis as two, `(B, T, n_heads, d_head)`, then move the heads' axis before the words'. It is tempting to do it in one, with a single `view(B, n_heads, T, d_head)`; the number of entries is right, so PyTorch does not complain.

**Predict** what that does to word 0. Here word 0 is 0…5, word 1 is 10…15, and so on.
"""

# %%
numbers = torch.tensor([[10 * t + c for c in range(6)] for t in range(4)])[None]  # (1, 4, 6)
print("view alone, head 0:", numbers.view(1, 3, 4, 2)[0, 0].tolist())
print("what we want:      ", numbers[0, :, :2].tolist())

# %% [markdown]
r"""
`view` alone reads on in memory order: "head 0" consists of word 0, cut into three, and the beginning of word 1. Words and heads are stirred into one another. A model with this bug trains, and is bad.

### Exercise 2.4 · `split_heads` ★★ · 5 minutes

- `x`: `(B, T, d_model)`; `n_heads`: how many heads, a divisor of `d_model`
- returns `(B, n_heads, T, d_head)`: head `h` holds the components from `h * d_head` up to `(h + 1) * d_head` of every word

By hand: one sentence of two words, `[[[1, 2, 3, 4], [5, 6, 7, 8]]]`, and two heads give head 0 `[[1, 2], [5, 6]]` and head 1 `[[3, 4], [7, 8]]`.
"""


# %% tags=["answer"]
def split_heads(x, n_heads):
    """Share out the width among heads: (B, T, d_model) -> (B, n_heads, T, d_head)."""
    ### BEGIN SOLUTION
    B, T, d_model = x.shape
    x = x.view(B, T, n_heads, d_model // n_heads)  # (B, T, n_heads, d_head)
    return x.transpose(1, 2)  # (B, n_heads, T, d_head)
    ### END SOLUTION


# %% tags=["check"]
split_heads = checks.split_heads(split_heads)

# %% [markdown]
r"""
### Exercise 2.5 · `merge_heads` ★ · 4 minutes

The way back: lay the heads' results next to one another again.

- `x`: `(B, n_heads, T, d_head)`
- returns `(B, T, d_model)`, so that `merge_heads(split_heads(x, n_heads))` is `x`

By hand: head 0 `[[1, 2], [5, 6]]` and head 1 `[[3, 4], [7, 8]]` give `[[[1, 2, 3, 4], [5, 6, 7, 8]]]`.

(After a `transpose`, `view` may refuse: the numbers no longer stand in order in memory. `reshape` and `flatten` copy where they must.)
"""


# %% tags=["answer"]
def merge_heads(x):
    """Heads side by side again: (B, n_heads, T, d_head) -> (B, T, d_model)."""
    ### BEGIN SOLUTION
    return x.transpose(1, 2).flatten(2)  # (B, T, n_heads, d_head) -> (B, T, d_model)
    ### END SOLUTION


# %% tags=["check"]
merge_heads = checks.merge_heads(merge_heads)

# %% [markdown]
r"""
## 6 Multi-head attention

Everything is there. Multi-head attention (Vaswani et al., 2017, §3.2.2) is

$$\operatorname{MultiHead}(x) = \operatorname{merge}\bigl(\operatorname{attention}(q_h, k_h, v_h)\text{ for each head } h\bigr)\,W_O$$

with $q = xW_Q$, $k = xW_K$, $v = xW_V$, each split into heads. (In code each of these is an `nn.Linear`, which also adds a bias, and keeps its matrix transposed: `w_q(x)` is `x @ w_q.weight.T + w_q.bias`.) The last matrix, $W_O$, is new: without it head 3 could only ever write into its own third of the output. $W_O$ lets every head write anywhere.

### Exercise 2.6 · `MultiHeadAttention` ★★★ · 11 minutes

The constructor is given: four `nn.Linear`. Write `forward`, with your `split_heads`, `masked_attention` and `merge_heads`.

- `x`: `(B, T, d_model)`
- `mask`: bool, broadcasts to `(B, n_heads, T, T)`, True is allowed; `None` means that everything is
- returns `(B, T, d_model)`

By hand: if all four matrices were the identity and all biases 0, two equal words `[[[1, 2], [1, 2]]]` would come out as they went in, with one head or with two. And something to think about: by what are the scores divided now, √d_model or √d_head?
"""


# %% tags=["answer"]
class MultiHeadAttention(nn.Module):
    """Self-attention with several heads: (B, T, d_model) -> (B, T, d_model)."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)

    def forward(self, x, mask=None):
        ### BEGIN SOLUTION
        q, k, v = (split_heads(w(x), self.n_heads) for w in (self.w_q, self.w_k, self.w_v))
        if mask is None:
            mask = torch.ones(1, dtype=torch.bool)
        out = masked_attention(q, k, v, mask)  # (B, n_heads, T, d_head)
        return self.w_o(merge_heads(out))  # (B, T, d_model)
        ### END SOLUTION


# %% tags=["check"]
MultiHeadAttention = checks.MultiHeadAttention(MultiHeadAttention)

# %% [markdown]
r"""
**Built once, proved equal.** Once more in the open: PyTorch's module gets your module's weights, and both get the same sentences. PyTorch keeps the three input matrices stacked in one, and wants its mask the other way round.
"""

# %%
torch.manual_seed(0)
mine = MultiHeadAttention(d_model=48, n_heads=6)
theirs = nn.MultiheadAttention(48, 6, batch_first=True)
with torch.no_grad():
    theirs.in_proj_weight.copy_(torch.cat([mine.w_q.weight, mine.w_k.weight, mine.w_v.weight]))
    theirs.in_proj_bias.copy_(torch.cat([mine.w_q.bias, mine.w_k.bias, mine.w_v.bias]))
    theirs.out_proj.load_state_dict(mine.w_o.state_dict())

batch, mask = torch.randn(4, 10, 48), causal_mask(10)
a, b = mine(batch, mask), theirs(batch, batch, batch, attn_mask=~mask)[0]
print(f"largest difference {(a - b).abs().max().item():.0e}")
assert torch.allclose(a, b, atol=1e-5)

# %% [markdown]
r"""
So from now on we use PyTorch's. What do more heads *cost*? **Predict**, for a width of 48, how the number of parameters changes from 1 head to 6 to 48.
"""

# %%
for n_heads in (1, 6, 48):
    module = nn.MultiheadAttention(48, n_heads, bias=False)
    d_head = 48 // n_heads
    weights = sum(p.numel() for p in module.parameters())
    print(
        f"{n_heads:2} × d_head {d_head:2}: {weights} weights; {n_heads * d_head} products a pair of words"
    )

# %% [markdown]
r"""
The weights are the same, and so are the multiplications: more heads, but each thinner. Heads are a way to *divide* a width, not to add to it. (What does grow is the memory for the tables of scores, one for each head.) Too thin is no good either: with `d_head = 1` a query and a key are single numbers, and all a head can ask for is "more" or "less".
"""

# %% [markdown]
r"""
## 7 What real heads look at

Two real models read one sentence. SmolLM2 is a language model, so it has a causal mask. MiniLM is an *encoder* (lesson 4), which reads whole sentences and has no causal mask; it puts a token `[CLS]` before the sentence and `[SEP]` behind it. Of their 270 and 72 heads we look for the ones that do four simple things most consistently.
"""

# %%
import transformers
from transformers import AutoModel, AutoTokenizer

transformers.logging.disable_progress_bar()
sentence = "The cat sat on the mat because the cat was tired"


@torch.no_grad()
def attention_of(name):
    """The words of the sentence, and every head's weights: (n_layers, n_heads, T, T)."""
    folder = models.path(name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    inputs = tokenizer(sentence, return_tensors="pt")
    pieces = [tokenizer.decode([i]).strip() for i in inputs["input_ids"][0].tolist()]
    return pieces, torch.cat(model(**inputs, output_attentions=True).attentions)


# %%
smol_words, smol = attention_of("SmolLM2-135M-Instruct")
mini_words, mini = attention_of("all-MiniLM-L6-v2")
print(tuple(smol.shape), tuple(mini.shape))
for name, weights in (("SmolLM2", smol), ("MiniLM", mini)):
    future, first = weights.triu(1).sum() / weights.sum(), weights[..., 0].mean()
    open_ = (weights.amax((0, 1)) > 0).float()  # (T, T): who may look at whom
    equal = (open_[:, 0] / open_.sum(-1)).mean()  # the first one's part, if all got the same
    print(f"{name}: {future:.0%} of all attention goes to the future,", end=" ")
    print(f"{first:.0%} to the first token (in equal shares {equal:.0%})")


# %%
def strongest(weights, score):
    """(layer, head) of the largest score, with score(weights) of shape (n_layers, n_heads)."""
    layer, head = divmod(score.argmax().item(), weights.shape[1])
    return layer, head, weights[layer, head]


def along(weights, offset):
    """Mean weight on the word at this offset: -1 is the one before, 0 the word itself."""
    return weights.diagonal(offset, -2, -1).mean(-1)


chosen = [
    ("SmolLM2: the word before", smol_words, strongest(smol, along(smol, -1))),
    ("SmolLM2: itself", smol_words, strongest(smol, along(smol, 0))),
    ("SmolLM2: cat to cat", smol_words, strongest(smol, smol[:, :, 8, 1])),
    ("MiniLM: the word before", mini_words, strongest(mini, along(mini, -1))),
    ("MiniLM: the word after", mini_words, strongest(mini, along(mini, 1))),
    ("MiniLM: cat to cat", mini_words, strongest(mini, mini[:, :, 2, 9] + mini[:, :, 9, 2])),
]

# %%
fig, axes = plots.figure(3, rows=2, height=6.4)
for ax, (title, names, (layer, head, table)) in zip(axes.flat, chosen, strict=True):
    title = f"{title}\n(layer {layer}, head {head})"
    plots.heatmap(ax, table, names, names, title, limits=(0, 1), digits=None)
    ax.tick_params(axis="x", rotation=90)
for ax in axes[:, 0]:
    ax.set_ylabel("query")
plots.show(
    fig,
    "Six heads. SmolLM2's stay on or below the diagonal; one of MiniLM's looks at the following word, "
    "which no causal head can.",
)

# %% [markdown]
r"""
Above the diagonal SmolLM2's heads are empty: that is the mask at work, and the 0% above says the same. MiniLM's use the whole square, and one of them looks mostly at the word *after*, a thing that SmolLM2 cannot learn.

What is that dark first column? A row must sum to 1. A head that finds nothing to take up, as "cat to cat" does in most rows, has to put its weight somewhere, and models learn to put it on the first token: an *attention sink*, as in lesson 1 (Xiao et al., 2024, §3.1). Over all heads it takes 63% of SmolLM2's attention and 48% of MiniLM's. If every word shared its attention equally among all that it may see, the first token would get 27% and 8%.

Heads that look at a fixed neighbour have been found in other Transformers too (Clark et al., 2019, §3; Voita et al., 2019, §5). We searched for ours, though, among 342 heads with one sentence. That they exist is shown. That they *matter* is not: Michel et al. (2019, §3) could remove most heads of a trained model, one at a time, and lost next to nothing.
"""

# %% [markdown]
r"""
## 8 A loss that is too good

Now the experiment that this lesson has been heading for. The smallest language model there is: an embedding for each character and each position, *one* layer of attention, and a matrix that guesses the next character. It reads Python's own documentation, which every machine with Python has.

We train it twice. Once with the causal mask. And once with the mask that you get from `tril(1)` in place of `tril()`: a single diagonal too many, so that each character may see the one that comes next.
"""

# %% tags=["nbval-ignore-output"]
from pydoc_data.topics import topics

text = "".join(topics.values())
letters = sorted(set(text))
number = {letter: i for i, letter in enumerate(letters)}
data = torch.tensor([number[letter] for letter in text])  # (characters,)
train_data, new_data = data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]
print(topics["for"][:300])


# %%
class Tiny(nn.Module):
    """A language model of one layer: (B, T) characters -> (B, T, vocab_size) logits."""

    def __init__(self, mask, d_model=64, n_heads=4):
        super().__init__()
        self.mask = mask  # (T, T), True is allowed
        self.letter = nn.Embedding(len(letters), d_model)
        self.place = nn.Embedding(len(mask), d_model)
        self.attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.out = nn.Linear(d_model, len(letters))

    def forward(self, ids):
        T = ids.shape[1]
        x = self.letter(ids) + self.place.weight[:T]  # (B, T, d_model)
        seen, _ = self.attention(x, x, x, attn_mask=~self.mask[:T, :T], need_weights=False)
        return self.out(x + seen)


# %%
torch.set_num_threads(1)  # for so small a model one thread is as fast as two, and steadier
T = 32


def batch_of(n, data):
    """n pieces of a text, and each piece moved on by one character: (n, T), (n, T)."""
    starts = torch.randint(len(data) - T - 1, (n,))
    pieces = torch.stack([data[s : s + T + 1] for s in starts])  # (n, T + 1)
    return pieces[:, :-1], pieces[:, 1:]


def train(mask, steps=600):
    """A trained model, and its loss at each step."""
    torch.manual_seed(0)
    model, losses = Tiny(mask), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in bar(range(steps), "training"):
        ids, targets = batch_of(32, train_data)
        loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


# %% [markdown]
r"""
A model that has learned nothing has a loss of $\ln(\text{number of letters})$, about 4.6. Knowing how frequent each letter is brings it to about 3.2.

**Predict:** where will each of the two be after 600 steps? Write down two numbers.
"""

# %% tags=["nbval-ignore-output"]
causal, off_by_one = causal_mask(T), torch.ones(T, T, dtype=torch.bool).tril(1)
honest_model, honest_losses = train(causal)
leaky_model, leaky_losses = train(off_by_one)

assert 1.5 < sum(honest_losses[-50:]) / 50 < 2.6
assert sum(leaky_losses[-50:]) / 50 < 0.2

# %%
fig, ax = plots.figure(height=2.9)
ax.plot(honest_losses, color=plots.BLUE, label="tril(): no look ahead")
ax.plot(leaky_losses, color=plots.RED, label="tril(1): one character ahead")
ax.set(xlabel="step", ylabel="loss (nats a character)", ylim=(0, 5))
ax.set_title("One diagonal too many")
ax.legend()
plots.show(fig, "The honest loss falls slowly to about 2.1; the leaky one to 0.2 in 100 steps.")

# %% [markdown]
r"""
Almost zero, for a model of one layer, after a hundred steps. It has learned one thing: to copy the character to its right. Anyone who sees only the red curve might think they have made a discovery.

A careful person would now look at the *validation* loss, on text that was not trained on: the last tenth of it, which we have kept back. **Predict:** will it give the leak away?
"""

# %% tags=["nbval-ignore-output"]
torch.manual_seed(1)
ids, targets = batch_of(500, new_data)
validation = {}
for name, model in (("tril()", honest_model), ("tril(1)", leaky_model)):
    with torch.no_grad():
        logits = model(ids).transpose(1, 2)  # (B, vocab_size, T)
    validation[name] = F.cross_entropy(logits, targets, reduction="none").mean(0)  # (T,)
    print(f"{name:<8} loss on new text: {validation[name].mean():.2f}")
assert validation["tril(1)"].mean() < 0.2 < 1.5 < validation["tril()"].mean()

# %% [markdown]
r"""
It does not. The validation loss is computed with the same mask, so **it leaks, too**. A gap between training and validation betrays a model that has learned its text by heart; here there is next to none, for copying works on any text.

Why not *quite* zero? There is one place in each piece where copying does not help. **Predict** where.
"""

# %% tags=["nbval-ignore-output"]
losses = validation["tril(1)"]  # (T,): the leaky model's, for each place
assert losses[:-1].mean() < 0.05 and losses[-1] > 1.5
fig, ax = plots.figure(height=2.4)
ax.bar(range(T), losses, color=plots.RED)
ax.set(xlabel="place in the piece", ylabel="loss", title="Where the leaky model still has to guess")
plots.show(fig, "The loss is 0 at every place but the last, where it is about 2.7.")
print(f"the last place {losses[-1]:.1f}, divided by {T} places: {losses[-1] / T:.2f}")


# %% [markdown]
r"""
The last character of a piece has nothing to its right to copy. There the model must guess, and that one place accounts for all that is left of its loss: the level on which the red curve runs on.

When a model *writes*, it always stands at the last place. **Predict** what the leaky one will write.
"""


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def write(model, beginning, n=60):
    """Sample n characters after a beginning."""
    torch.manual_seed(0)
    ids = torch.tensor([[number[letter] for letter in beginning]])  # (1, t)
    for _ in range(n):
        probs = model(ids[:, -T:])[0, -1].softmax(-1)  # (vocab_size,)
        ids = torch.cat([ids, torch.multinomial(probs, 1)[None]], dim=1)
    return "".join(letters[i] for i in ids[0].tolist())


print("HONEST", repr(write(honest_model, "The function ")))
print("LEAKY ", repr(write(leaky_model, "The function ")))

# %% [markdown]
r"""
The honest model writes something with the rhythm of English. The leaky one begins with rubbish. (Later it recovers a little: once 32 characters are there, it stands at place 31, the one place where it had to guess in training.) The honest loss was more than twenty times as high, and it belongs to the better model.

**A loss that is too good is a bug until it is proved otherwise.** This one was glaring. A leak in one head out of many, or through one position out of a thousand, lowers the loss only a little, looks like a good idea that worked, and gets published. So do not wait for the loss: test for leaks directly.

### Exercise 2.7 · `leaks_future` ★★★ · 11 minutes · stretch

Find out whether a layer lets anything flow from later words to earlier outputs. You can only call it. Change a later input, and watch the outputs before it.

- `attend`: any function from `(1, T, d_model)` to `(1, T, d_model)`; `T`, `d_model`: its sizes (it takes exactly `T` words)
- returns True if any output depends on an input that comes after it, else False

By hand: the layer that returns its input does not leak. The layer that returns `x.flip(1)` does: its first output is the last input. The layer that subtracts the mean over all words does, too.

Put *random* words there: a layer that normalises would not notice if you add the same number to a whole word. And compare with `torch.allclose`: two runs of the same layer need not agree to the last digit.
"""


# %% tags=["answer"]
def leaks_future(attend, T, d_model):
    """True if some output of the layer depends on a later input."""
    ### BEGIN SOLUTION
    x = torch.randn(1, T, d_model)
    before = attend(x)
    for t in range(1, T):
        changed = x.clone()
        changed[:, t:] = torch.randn(1, T - t, d_model)
        if not torch.allclose(attend(changed)[:, :t], before[:, :t], atol=1e-6):
            return True
    return False
    ### END SOLUTION


# %% tags=["check"]
leaks_future = checks.leaks_future(leaks_future)

# %%
layer = nn.MultiheadAttention(8, 2, batch_first=True)
masks = {"tril()": causal_mask(6), "tril(1)": torch.ones(6, 6).bool().tril(1)}
masks["the wrong polarity"] = ~causal_mask(6)
leaks = {}
for name, mask in masks.items():

    def attend(x, hidden=~mask):
        return layer(x, x, x, attn_mask=hidden, need_weights=False)[0]

    leaks[name] = leaks_future(attend, T=6, d_model=8)
    print(f"{name:<20} leaks: {leaks[name]}")
assert list(leaks.values()) == [False, True, True]

# %% [markdown]
r"""
A few lines, and no loss curve can fool you any more. Put such a test next to every model you write.

## Summary

1. A mask hides by putting $-\infty$ in place of a score, *before* the softmax; the rows that remain still sum to 1. A row with nothing left must give zeros, not NaN.
2. True means *allowed* in `F.scaled_dot_product_attention` and *hidden* in `nn.MultiheadAttention`. Test which, on four words.
3. Heads divide the width, not the words: `view` to `(B, T, n_heads, d_head)`, **then** `transpose`. They cost no extra weights, and each can keep something that one mean would mix up.
4. Scores are divided by √d_head, and $W_O$ lets every head write anywhere. Your module equals `nn.MultiheadAttention`.
5. A loss that is too good is a bug: perturb the future, and watch the past.

**Next:** lesson 3. Shuffle the words of a sentence, and attention does not notice; something has to be done about that.

## Further reading

- Vaswani et al., 2017, "Attention is all you need": §3.2.2, multi-head attention; §3.2.3, the three uses of attention, and masking with −∞.
- Xiao et al., 2024, "Efficient streaming language models with attention sinks": §3.1.
- Clark et al., 2019, "What does BERT look at? An analysis of BERT's attention": §3, neighbours and separators.
- Voita et al., 2019, "Analyzing multi-head self-attention: specialized heads do the heavy lifting, the rest can be pruned": §5, what single heads do.
- Michel, Levy and Neubig, 2019, "Are sixteen heads really better than one?": §3, how many can be taken away.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
