# %% [markdown]
r"""
# 08 · Llama from scratch

The architecture that most open language models share is called Llama, after the first that had it. It is a GPT in which four parts were exchanged. In this lesson you write it, in about a hundred lines, and then pour the weights of a real model into it: SmolLM2, 135 million numbers that others have trained. If your lines are right, *your* code says that the capital of France is Paris.

And if they are not quite right? It may say so all the same. You will change the model in nine ways and see how many of them you would have noticed. Then you make it fast: with a cache, and with a layout of the weights that suits your processor, until it writes faster than Hugging Face's own loop.

**Needs:** attention with heads (lesson 2), rotation (lesson 3), a GPT (lesson 7, section 3). **Takes:** about 110 minutes. **Exercises:** 8.1 to 8.6; 8.7 is a stretch.
"""

# %%
import copy
import re
import time
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from utils import models, plots
from utils.checks import lesson08 as checks
from utils.progress import bar

transformers.logging.disable_progress_bar()
torch.set_num_threads(1)  # so that times can be compared
torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
r"""
## 1 Four changes

| | GPT-2 (2019) | Llama (2023) |
| --- | --- | --- |
| norm | LayerNorm: subtract the mean, divide by the standard deviation | **RMSNorm**: divide by the root of the mean square |
| feed-forward | two matrices with GELU between | **SwiGLU**: three matrices, one of them a gate |
| position | a learned vector for each place | **RoPE**: queries and keys are turned (lesson 3) |
| attention | as many heads of keys as of queries | **grouped queries**: several heads of queries share one of keys |

And all biases are gone. None of it is Llama's own invention; the paper that put them together names its sources (Touvron et al., 2023, §2.2; grouped queries came with Llama 2). No single change makes a model clever. They make it train more steadily, or run cheaper.

Part by part.

## 2 RMSNorm

LayerNorm does two things: it moves the mean of each vector to 0, and its size to 1. Zhang and Sennrich (2019, §4) asked whether the first is needed, and found that one can leave it out:

$$\operatorname{RMSNorm}(x) = \frac{x}{\sqrt{\frac{1}{d}\sum_i x_i^2 + \varepsilon}} \cdot w$$

One thing in it is easy to get wrong and hard to notice. Models are often run in half precision. **Predict** what comes out when a component is 300 and its square is taken in float16.
"""

# %%
x = torch.tensor([300.0, 3.0])
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    square = x.to(dtype) ** 2
    print(f"{dtype!s:<15} {square.tolist()}")
print("the largest number of float16:", torch.finfo(torch.float16).max)

# %% [markdown]
r"""
Infinite; a division by infinity makes the whole vector 0, and nothing complains. In bfloat16 it does not overflow, but only two or three digits are left. So Llama's norm takes the squares in float32, whatever comes in, and goes back afterwards.

### Exercise 8.1 · `RMSNorm` ★★ · 10 minutes

The constructor is given. Write `forward`.

- `x`: `(..., d_model)` in any float type; the mean of the squares is over the last axis, in **float32**
- the normalised vector goes back to `x`'s type *before* it is multiplied by `self.weight`
- `eps` stands under the root

By hand: `x = [3, 4]` with `eps = 0` has the mean square 12.5, whose root is 3.536, and becomes `[0.849, 1.131]`.
"""


# %% tags=["answer"]
class RMSNorm(nn.Module):
    """Divide each vector by the root of its mean square: (..., d_model) -> the same shape."""

    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x):
        ### BEGIN SOLUTION
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return y.to(x.dtype) * self.weight
        ### END SOLUTION


# %% tags=["check"]
RMSNorm = checks.RMSNorm(RMSNorm)

# %% [markdown]
r"""
## 3 SwiGLU

In GPT-2 a vector is widened, bent by a curve, and narrowed again. A *gated* unit widens it twice: one copy goes through the curve and then says, number by number, how much of the other is let through. Shazeer (2020, §2) tried several curves; the one that stayed is SiLU, $z \cdot \sigma(z)$. Why it works better he did not claim to know: "we attribute their success, as all else, to divine benevolence" (§4).

$$\operatorname{SwiGLU}(x) = W_{\text{down}}\bigl(\operatorname{SiLU}(W_{\text{gate}}\,x) \odot W_{\text{up}}\,x\bigr)$$

### Exercise 8.2 · `SwiGLU` ★ · 8 minutes

The constructor is given. Write `forward`: `(..., d_model)` in and out. `F.silu` is allowed.
"""


# %% tags=["answer"]
class SwiGLU(nn.Module):
    """The gated feed-forward network of Llama: (..., d_model) -> (..., d_model)."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.gate = nn.Linear(d_model, d_ff, bias=False)
        self.up = nn.Linear(d_model, d_ff, bias=False)
        self.down = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.down(F.silu(self.gate(x)) * self.up(x))
        ### END SOLUTION


# %% tags=["check"]
SwiGLU = checks.SwiGLU(SwiGLU)

# %% [markdown]
r"""
Three matrices in place of two; so that the number of weights stays about the same, `d_ff` is made smaller than the usual `4 · d_model`. In SmolLM2 it is 1,536 for a width of 576.

## 4 Heads that share

When a model writes, it keeps the keys and values of everything before (section 8), and for a long text that is what fills the memory. But need every head of queries have keys of its own? **Multi-query** attention gives all of them a single one (Shazeer, 2019, §3), **grouped-query** attention is the middle way: neighbouring heads share (Ainslie et al., 2023, §2.2). SmolLM2 has 9 heads of queries and 3 of keys and values: query heads 0, 1 and 2 use key head 0, heads 3, 4 and 5 use key head 1, and so on.
"""

# %%
fig, ax = plots.figure(height=1.9)
for i in range(9):
    group = i // 3
    ax.plot([i, 3 * group + 1], [1, 0], color=plots.PALETTE[group], zorder=0)
    ax.text(i, 1, f"q{i}", ha="center", va="center",
            bbox=dict(boxstyle="round", fc="white", ec=plots.PALETTE[group]))  # fmt: skip
for group in range(3):
    ax.text(3 * group + 1, 0, f"k{group}, v{group}", ha="center", va="center",
            bbox=dict(boxstyle="round", fc="white", ec=plots.PALETTE[group]))  # fmt: skip
ax.set(xlim=(-0.6, 8.6), ylim=(-0.5, 1.5))
ax.axis("off")
plots.show(fig, "Nine heads of queries; three neighbours each share one head of keys and values.")

# %% [markdown]
r"""
Positions come in as in lesson 3: queries and keys are turned by an angle that grows with the position. Which two components make a pair is a matter of convention, and here lurks a famous trap. The paper turns neighbours, 0 with 1, 2 with 3 (Su et al., 2021, §3.4.2). Llama's code in Hugging Face turns component `i` with `i + d_head/2`. Both are right, as long as the weights were trained, or reordered, for it. `rotate` below is Llama's.

### Exercise 8.3 · `GroupedQueryAttention` ★★★ · 20 minutes

`rotate` and the constructor are given. Write `forward(x, cos, sin, cache=None)`:

- project, and cut into heads: `(B, heads, T, d_head)`, with `n_heads` heads of queries, `n_kv_heads` of keys and of values
- turn queries and keys with `rotate`, not the values
- if there is a cache: `k, v = cache.add(k, v)` takes the new keys and values and gives back *all* so far, `(B, n_kv_heads, S, d_head)` with `S ≥ T`, the new ones last. (You write the cache in section 8; here you only call it.)
- each head of keys serves `n_heads // n_kv_heads` **neighbouring** heads of queries
- causal: the `T` queries are the *last* `T` of `S` positions, so query `i` may look at the keys `0 … S - T + i`
- join the heads, and `self.out`

`F.scaled_dot_product_attention` is welcome. In its mask True means *may look*. Its `is_causal=True` counts from the first key, which is right only if `S = T`.

By hand: 2 new words after 3 old ones, `T = 2`, `S = 5`. The mask is `[[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]`.
"""


# %% tags=["answer"]
def rotate(x, cos, sin):
    """Turn components i and i + d_head/2: x (B, heads, T, d_head), cos and sin (T, d_head/2)."""
    a, b = x.chunk(2, dim=-1)  # (B, heads, T, d_head/2) each
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)  # (B, heads, T, d_head)


class GroupedQueryAttention(nn.Module):
    """Causal attention in which heads share keys: (B, T, d_model) -> (B, T, d_model)."""

    def __init__(self, d_model, n_heads, n_kv_heads):
        super().__init__()
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        self.d_head = d_model // n_heads
        self.q = nn.Linear(d_model, d_model, bias=False)
        self.k = nn.Linear(d_model, n_kv_heads * self.d_head, bias=False)
        self.v = nn.Linear(d_model, n_kv_heads * self.d_head, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x, cos, sin, cache=None):
        ### BEGIN SOLUTION
        B, T, C = x.shape
        q = self.q(x).view(B, T, self.n_heads, self.d_head).transpose(1, 2)  # (B, n_heads, T, d_head)
        k = self.k(x).view(B, T, self.n_kv_heads, self.d_head).transpose(1, 2)
        v = self.v(x).view(B, T, self.n_kv_heads, self.d_head).transpose(1, 2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            k, v = cache.add(k, v)  # (B, n_kv_heads, S, d_head)
        S = k.shape[2]
        k = k.repeat_interleave(self.n_heads // self.n_kv_heads, dim=1)  # (B, n_heads, S, d_head)
        v = v.repeat_interleave(self.n_heads // self.n_kv_heads, dim=1)
        mask = torch.ones(T, S, dtype=torch.bool).tril(S - T)
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(found.transpose(1, 2).reshape(B, T, C))  # (B, T, C)
        ### END SOLUTION


# %% tags=["check"]
GroupedQueryAttention = checks.GroupedQueryAttention(GroupedQueryAttention)

# %% [markdown]
r"""
## 5 The whole model

A block, and the frame round it. That is all there is:
"""


# %%
class LlamaBlock(nn.Module):
    """One layer: (B, T, d_model) -> (B, T, d_model)."""

    def __init__(self, d_model, n_heads, n_kv_heads, d_ff):
        super().__init__()
        self.norm1 = RMSNorm(d_model)
        self.attention = GroupedQueryAttention(d_model, n_heads, n_kv_heads)
        self.norm2 = RMSNorm(d_model)
        self.feed_forward = SwiGLU(d_model, d_ff)

    def forward(self, x, cos, sin, cache=None):
        x = x + self.attention(self.norm1(x), cos, sin, cache)
        return x + self.feed_forward(self.norm2(x))


# %%
class Llama(nn.Module):
    """ids (B, T) -> logits (B, T, vocab_size); the head is the table of embeddings."""

    def __init__(self, vocab_size, d_model, n_heads, n_kv_heads, n_layers, d_ff, theta):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, d_model)
        self.blocks = nn.ModuleList(
            LlamaBlock(d_model, n_heads, n_kv_heads, d_ff) for _ in range(n_layers)
        )
        self.norm = RMSNorm(d_model)
        self.theta, self.d_head = theta, d_model // n_heads

    def new_caches(self):
        return [KVCache() for _ in self.blocks]  # KVCache comes in section 8

    def angles(self, start, T):
        """How far positions start, start + 1, ... turn each pair: (T, d_head/2)."""
        speed = self.theta ** (-torch.arange(0, self.d_head, 2) / self.d_head)  # (d_head/2,)
        return torch.arange(start, start + T)[:, None] * speed

    def stream(self, ids, caches):
        """What stands on the stream after the last norm: (B, T, d_model)."""
        if ids.max() >= len(self.tokens.weight):
            raise ValueError(f"ids go to {len(self.tokens.weight) - 1}: another tokenizer's?")
        angles = self.angles(caches[0].length if caches else 0, ids.shape[1])
        cos, sin = angles.cos(), angles.sin()
        x = self.tokens(ids)  # (B, T, d_model)
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x = block(x, cos, sin, cache)
        return self.norm(x)

    def forward(self, ids, caches=None):
        return F.linear(self.stream(ids, caches), self.tokens.weight)  # (B, T, vocab_size)


# %% [markdown]
r"""
Is it right? The comparison is with `LlamaForCausalLM`, and for that its weights have to get into yours. They are called by other names.

### Exercise 8.4 · `map_weights` ★★ · 12 minutes

`state` is the `state_dict()` of Hugging Face's model: a dict from name to tensor. Return a **new** dict from *our* names to the same tensors.

| theirs | ours |
| --- | --- |
| `model.embed_tokens.weight` | `tokens.weight` |
| `model.layers.7.input_layernorm.weight` | `blocks.7.norm1.weight` |
| `model.layers.7.self_attn.q_proj.weight` (and `k`, `v`) | `blocks.7.attention.q.weight` |
| `model.layers.7.self_attn.o_proj.weight` | `blocks.7.attention.out.weight` |
| `model.layers.7.post_attention_layernorm.weight` | `blocks.7.norm2.weight` |
| `model.layers.7.mlp.gate_proj.weight` (and `up`, `down`) | `blocks.7.feed_forward.gate.weight` |
| `model.norm.weight` | `norm.weight` |
| `lm_head.weight` | left out: our head *is* the table of embeddings |

Nothing is transposed or copied. A name that is none of these must not be dropped in silence: raise a `ValueError` whose sentence contains it.
"""


# %% tags=["answer"]
def map_weights(state):
    """Hugging Face's names of a Llama's weights as ours; the tensors are the same."""
    ### BEGIN SOLUTION
    outside = {"model.embed_tokens.weight": "tokens.weight", "model.norm.weight": "norm.weight"}
    inside = {f"self_attn.{x}_proj": f"attention.{x}" for x in "qkv"}
    inside |= {f"mlp.{x}_proj": f"feed_forward.{x}" for x in ("gate", "up", "down")}
    inside |= {"self_attn.o_proj": "attention.out"}
    inside |= {"input_layernorm": "norm1", "post_attention_layernorm": "norm2"}
    ours = {}
    for name, weight in state.items():
        found = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
        if name in outside:
            ours[outside[name]] = weight
        elif found and found[2] in inside:
            ours[f"blocks.{found[1]}.{inside[found[2]]}.weight"] = weight
        elif name != "lm_head.weight":
            raise ValueError(f"there is no place for {name}")
    return ours
    ### END SOLUTION


# %% tags=["check"]
map_weights = checks.map_weights(map_weights)

# %% [markdown]
r"""
First a **tiny model with random weights**. It runs in a moment, and random numbers hide nothing: there is no fluent answer to be dazzled by. Note its sizes. The number of heads, of key heads, the width, and the length of the text are all different, so that no two of them can be mixed up unnoticed. One thing a new model would hide all the same: its norms begin with weights of 1, every one of them, and two norms that are swapped would not show. So they get random numbers, too.
"""

# %%
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=97, hidden_size=40, intermediate_size=56, num_hidden_layers=3,
    num_attention_heads=10, num_key_value_heads=5, tie_word_embeddings=True, rms_norm_eps=1e-5,
    rope_parameters={"rope_type": "default", "rope_theta": 1e5},
)  # fmt: skip

# %%
theirs = LlamaForCausalLM(config).eval()
for name, weight in theirs.named_parameters():
    if "norm" in name:
        nn.init.normal_(weight, mean=1.0, std=0.3)
mine = Llama(97, 40, 10, 5, 3, 56, theta=1e5)
mine.load_state_dict(map_weights(theirs.state_dict()))

ids = torch.randint(97, (2, 13))
with torch.no_grad():
    gap = (mine(ids) - theirs(ids).logits).abs().max().item()
print("logits differ by at most 1e-5:", gap < 1e-5)
assert gap < 1e-5

# %% [markdown]
r"""
**Proved equal**, on a model that knows nothing. (`load_state_dict` is strict: a name too many or too few, and it would have said so.)

## 6 135 million real weights

Now the real one. On the device called `meta` tensors have a shape and no numbers, so no memory is spent on weights that are going to be replaced anyway; `assign=True` then takes the loaded tensors as they are in place of copying them. (They come from a file in which most of them had been squeezed to five bits each. Section 10 opens it.)
"""

# %%
folder = models.path("SmolLM2-135M-Instruct")
tokenizer = AutoTokenizer.from_pretrained(folder)
hf = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

# %%
c = hf.config
with torch.device("meta"):
    llama = Llama(
        c.vocab_size, c.hidden_size, c.num_attention_heads, c.num_key_value_heads,
        c.num_hidden_layers, c.intermediate_size, theta=c.rope_parameters["rope_theta"],
    )  # fmt: skip
llama.load_state_dict(map_weights(hf.state_dict()), assign=True)
print(f"{sum(p.numel() for p in llama.parameters()):,} weights in {len(llama.blocks)} layers")

# %%
PROMPT = "The capital of France is"
ids = tokenizer(PROMPT, return_tensors="pt").input_ids
with torch.no_grad():
    logits, their_logits = llama(ids), hf(ids).logits  # (1, T, vocab_size)
gap = (logits - their_logits).abs().max().item()
print("the next token:", repr(tokenizer.decode(logits[0, -1].argmax())))
print("logits differ by at most 1e-3:", gap < 1e-3)
assert gap < 1e-3

# %% [markdown]
r"""
That is *your* code speaking. A hundred lines, and the rest is numbers.

When such a comparison fails, a single large number at the end tells you nothing about where. So compare layer by layer: the **first** that differs is where to look. Hooks (functions that PyTorch calls when a module has finished) collect what each block puts out, in your model and in theirs.
"""


# %%
@torch.no_grad()
def block_outputs(model, blocks, ids):
    """What each block puts out, in order: a list of (B, T, d_model)."""
    seen = []

    def keep(block, given, out):
        seen.append(out[0] if isinstance(out, tuple) else out)

    hooks = [block.register_forward_hook(keep) for block in blocks]
    try:
        model(ids)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


# %%
def first_difference(model):
    """The number of the first layer that differs from Hugging Face's; None if none does."""
    pairs = zip(
        block_outputs(model, model.blocks, ids),
        block_outputs(hf, hf.model.layers, ids),
        strict=True,
    )
    for layer, (ours, right) in enumerate(pairs):
        if not torch.allclose(ours, right, atol=1e-2, rtol=1e-3):
            return layer
    return None


# %%
def broken(change):
    """A copy of the model with something changed."""
    model = copy.deepcopy(llama)
    with torch.no_grad():
        change(model)
    return model


# %%
def swap_gate_and_up(network):
    network.gate, network.up = network.up, network.gate


print("your model:", first_difference(llama))
test = broken(lambda model: swap_gate_and_up(model.blocks[17].feed_forward))
print("gate and up swapped in layer 17:", first_difference(test))
assert first_difference(llama) is None and first_difference(test) == 17
test = None  # half a gigabyte

# %% [markdown]
r"""
(What it compares is what the *blocks* put out. If it finds none and the logits differ all the same, look at what lies outside them: the last norm and the head.)

## 7 The bug zoo

You could have found out in another way, couldn't you: ask the model something, and see whether the answer makes sense. Let us see how far that would have carried. Nine changes follow, such as happen when a model is carried over from one program into another. Some are made by putting the weights into another order, which comes to the same as calculating with the wrong ones.
"""


# %%
def everywhere(change):
    """The same change in every block of a model."""

    def in_all(model):
        for block in model.blocks:
            change(block)

    return in_all


def reorder_rows(linear, order):
    linear.weight = nn.Parameter(linear.weight[order])


def pairs_of_neighbours(block):
    """Components 0 and 32 of each head put side by side, 1 and 33, ...: as if RoPE turned those."""
    pairs = torch.arange(64).view(2, 32).T.flatten()  # 0, 32, 1, 33, ...
    for linear, heads in ((block.attention.q, 9), (block.attention.k, 3)):
        reorder_rows(linear, (torch.arange(heads)[:, None] * 64 + pairs.argsort()).flatten())


def tiled_heads(block):
    """Query heads in another order, so that head i meets keys i % 3 in place of i // 3."""
    rows = torch.arange(576).view(9, 64)[[0, 3, 6, 1, 4, 7, 2, 5, 8]].flatten()
    reorder_rows(block.attention.q, rows)
    block.attention.out.weight = nn.Parameter(block.attention.out.weight[:, rows])


# %%
def layer_norms(model):
    """LayerNorm, with the same weights, in place of every RMSNorm."""
    for parent in [model, *model.blocks]:
        for name, norm in list(parent.named_children()):
            if name.startswith("norm"):
                new = nn.LayerNorm(576, eps=1e-5, bias=False)
                new.weight = norm.weight
                setattr(parent, name, new)


def moved(model):
    """All positions are seven too large."""
    model.angles = lambda start, T: Llama.angles(model, start + 7, T)


def other_eps(model):
    for module in model.modules():
        if hasattr(module, "eps"):
            module.eps = 1e-2


# %%
def set_attribute(name, value):
    return lambda model: setattr(model, name, value)


BUGS = {
    "nothing": lambda model: None,
    "all positions + 7": moved,
    "θ 10,000 for 100,000": set_attribute("theta", 1e4),
    "LayerNorm for RMSNorm": layer_norms,
    "eps 1e-2 for 1e-5": other_eps,
    "layer 15 forgotten": lambda model: model.blocks.__delitem__(15),
    "RoPE turns neighbours": everywhere(pairs_of_neighbours),
    "key heads tiled": everywhere(tiled_heads),
    "scores not scaled": everywhere(lambda block: block.attention.q.weight.mul_(8)),
    "gate and up swapped": everywhere(lambda block: swap_gate_and_up(block.feed_forward)),
}
PARAGRAPH = (
    "The old mill stood at the bend of the river, where the water was deep and slow. Every morning "
    "a boy came down the path with a basket of bread, and the miller gave him flour in return."
)

# %% [markdown]
r"""
For each we measure how far the logits are off, its loss on the paragraph, and what it answers. (θ is the base of RoPE's angles, lesson 3.) **Predict:** which of the nine leave *Paris* standing?
"""


# %%
@torch.no_grad()
def examine(model):
    """Of one model: how far the logits are off, the loss on the paragraph, and what it says."""
    off = (model(ids) - their_logits).abs().max().item()
    loss = F.cross_entropy(model(paragraph)[0, :-1], paragraph[0, 1:]).item()
    text = ids
    for _ in range(8):  # greedy, without a cache: section 8 will do better
        text = torch.cat([text, model(text)[:, -1:].argmax(-1)], dim=1)
    return off, loss, tokenizer.decode(text[0, ids.shape[1] :])


# %% tags=["nbval-ignore-output"]
paragraph = tokenizer(PARAGRAPH, return_tensors="pt").input_ids
zoo = {name: examine(broken(change)) for name, change in bar(BUGS.items(), "breaking it")}

# %% tags=["nbval-ignore-output"]
right = {name: "Paris" in said for name, (_, _, said) in zoo.items()}
print(f"{'what was changed':<23}{'logits off':>10}{'loss':>7}  noticed?   The capital of France is")
for name, (off, loss, said) in zoo.items():
    rises = loss - zoo["nothing"][1] > 0.5
    noticed = ("by loss" if rises else "no" if off > 0.1 else "") if right[name] else "at once"
    print(f"{name:<23}{off:>10.2g}{loss:>7.2f}  {noticed:<9}  {said!r}")

assert zoo["all positions + 7"][0] < 1e-2
wrong = {name: found for name, found in zoo.items() if found[0] > 0.1}
assert len(wrong) == 8 and sum(right[name] for name in wrong) >= 3
assert not any(right[name] for name in ("gate and up swapped", "key heads tiled"))

# %% [markdown]
r"""
Read it slowly. The first row is the control. The second is no mistake at all: RoPE turns queries *and* keys, so only the distance between two words counts, and seven more for everybody changes no distance (lesson 3). The last three are noticed at once.

But the five in the middle are wrong, by one to a dozen units in the logits, and the model goes on saying *Paris*. Four of them hardly raise its loss on ordinary English: you would have published them. A whole layer can be missing, and the sentence stays fluent. Even the turned neighbours, which throw all distances into disorder, know their capital: in a prompt of five words little depends on them. Give it a paragraph, and the loss tells.

Why a network bears so much, this table does not explain. That it does is enough for us: **fluency is not a test. Logits are.**

## 8 The cache

Look at how the answers above were made. For every new token the whole text went through the model again, although its beginning had not changed. In a causal model nothing that comes later can change what was computed for an earlier word. All that a new word needs of the earlier ones are their keys and values, in every layer. So keep them: the **KV cache**.

### Exercise 8.5 · `KVCache` ★★ · 10 minutes

One for each layer. `__init__` is given.

- `add(k, v)`: the new keys and values, `(B, n_kv_heads, T, d_head)`. Puts them *behind* those that it keeps, along the axis of positions, keeps the result, and returns both: all keys and all values so far
- `length`, a property: how many positions it keeps, at first 0

By hand: after `add` with `T = 5` and `add` with `T = 1` it returns tensors `(B, n_kv_heads, 6, d_head)`, and `length` is 6.
"""


# %% tags=["answer"]
class KVCache:
    """The keys and values of one layer, of all positions so far."""

    def __init__(self):
        self.k = self.v = None

    def add(self, k, v):
        ### BEGIN SOLUTION
        if self.k is not None:
            k = torch.cat([self.k, k], dim=2)  # (B, n_kv_heads, S, d_head)
            v = torch.cat([self.v, v], dim=2)
        self.k, self.v = k, v
        return k, v
        ### END SOLUTION

    @property
    def length(self):
        ### BEGIN SOLUTION
        return 0 if self.k is None else self.k.shape[2]
        ### END SOLUTION


# %% tags=["check"]
KVCache = checks.KVCache(KVCache)

# %% [markdown]
r"""
The proof, in the open: a text in one piece, without a cache; and the same text in three pieces of different lengths, with one. The logits must be the same. Look once more at how `Llama.stream` numbers the positions: they begin at what the cache holds.
"""

# %%
with torch.no_grad():
    whole = llama(paragraph)  # (1, T, vocab_size)
    caches = llama.new_caches()
    pieces = [llama(piece, caches) for piece in paragraph.split([20, 1, paragraph.shape[1] - 21], 1)]
gap = (torch.cat(pieces, dim=1) - whole).abs().max().item()
print(f"{caches[0].length} positions kept; differ by at most 1e-3: {gap < 1e-3}")
assert gap < 1e-3

# %% [markdown]
r"""
A classic mistake: the positions of every piece begin at 0 again. **Predict** how far the logits are off.
"""

# %% tags=["nbval-ignore-output"]
forgetful = copy.copy(llama)  # with the same weights
forgetful.angles = lambda start, T: Llama.angles(forgetful, 0, T)
with torch.no_grad():
    caches = forgetful.new_caches()
    pieces = [forgetful(piece, caches) for piece in paragraph.split([20, 1, paragraph.shape[1] - 21], 1)]
gap = (torch.cat(pieces, dim=1) - whole).abs().amax(-1)[0]  # (T,)
print(f"in the first piece {gap[:20].max():.0e}, afterwards {gap[20:].max():.1f}")
assert gap[:20].max() < 1e-3 and gap[20:].max() > 1

# %% [markdown]
r"""
### Exercise 8.6 · `generate` ★★★ · 12 minutes

Write `n_new` tokens greedily (the likeliest each time), with the cache.

- fresh caches for each call, from `model.new_caches()`
- the model is called as `model(ids, caches)`; it adds to the caches and numbers the positions itself
- the prompt goes in **once**; after that only the newest token of each row, `(B, 1)`
- for `n_new` tokens `n_new` calls of the model and no more: the prompt's gives the first, and nobody needs what comes after the last
- returns `(B, T + n_new)`: the prompt and the new tokens; with `n_new = 0` the prompt alone

By hand: a prompt of 5 tokens and `n_new = 3` make three calls, with 5, 1 and 1 tokens.
"""


# %% tags=["answer"]
@torch.no_grad()
def generate(model, ids, n_new):
    """Go on with a prompt, greedily: (B, T) -> (B, T + n_new)."""
    ### BEGIN SOLUTION
    caches, new = model.new_caches(), ids
    for _ in range(n_new):
        new = model(new, caches)[:, -1:].argmax(-1)  # (B, 1)
        ids = torch.cat([ids, new], dim=1)
    return ids
    ### END SOLUTION


# %% tags=["check"]
generate = checks.generate(generate)


# %%
def their_generate(ids, n_new):
    """Hugging Face's loop, told to write exactly so many tokens."""
    return hf.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=n_new, min_new_tokens=n_new,
        do_sample=False, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


# %%
ids = tokenizer("Once upon a time", return_tensors="pt").input_ids
story = generate(llama, ids, 40)
print(tokenizer.decode(story[0]))
same = torch.equal(story, their_generate(ids, 40))
print("\nthe same 40 tokens as Hugging Face's generate:", same)
assert same

# %% [markdown]
r"""
What does it save? The time for *one more token* after a text of 50 to 400 tokens, with and without the cache. **Predict** the shape of the two curves.
"""


# %%
def cpu_seconds(run):
    start = time.process_time()
    run()
    return time.process_time() - start


# %% tags=["nbval-ignore-output"]
LENGTHS = (50, 100, 200, 400)
one_more = {"without": [], "with": []}
with torch.no_grad():
    for n in LENGTHS:
        text, caches = paragraph.repeat(1, 10)[:, :n], llama.new_caches()
        one_more["without"].append(cpu_seconds(lambda text=text: llama(text, llama.new_caches())))
        llama(text, caches)
        runs = [cpu_seconds(lambda c=caches: llama(ids[:, :1], c)) for _ in range(5)]
        one_more["with"].append(sorted(runs)[2])
        ratio = one_more["without"][-1] / one_more["with"][-1]
        print(f"after {n:>3} tokens: {one_more['without'][-1]:.2f} s without a cache, "
              f"{one_more['with'][-1]:.3f} s with one, {ratio:.0f} times less")  # fmt: skip
assert one_more["without"][3] > 8 * one_more["with"][3]

# %% tags=["nbval-ignore-output"]
fig, ax = plots.figure(height=2.8)
ax.plot(LENGTHS, one_more["without"], "o-", color=plots.ORANGE, label="without a cache")
ax.plot(LENGTHS, one_more["with"], "o-", color=plots.BLUE, label="with a cache")
ax.set(xlabel="tokens so far", ylabel="CPU seconds for one more", ylim=(0, None))
ax.legend()
plots.show(
    fig, "Without a cache one more token costs more and more, in a straight line; with it nearly "
    "the same at any length.",
)

# %% [markdown]
r"""
Without a cache a token costs in proportion to all that stands before it, so a whole text costs in proportion to the *square* of its length. With a cache it costs about the same anywhere. (Not quite: the new query looks at ever more keys. At these lengths that is lost among the weights.)

It has its price in memory. Here is what a cache holds for 8,192 tokens, SmolLM2's whole window; and what it would hold if every head had keys of its own:
"""

# %%
for n_kv_heads in (3, 9):
    numbers = 2 * 30 * n_kv_heads * 64 * 8192  # k and v, layers, heads, d_head, positions
    print(f"{n_kv_heads} heads of keys and values: {numbers * 4 / 1e6:,.0f} MB in float32")

# %% [markdown]
r"""
Without sharing, the cache would be larger than the model. That is what grouped queries are for.

## 9 The speed ladder

What limits the speed now? For one token, each weight is used once: one multiplication, one addition. A processor does billions of those in a second. But to use a weight it must fetch it, and all 538 MB of them have to come from memory, for every single token. **The limit is the memory's bandwidth.** How long that takes can be measured by letting the machine copy as many bytes. A copy reads each and writes each, so reading alone takes about half of its time.
"""

# %% tags=["nbval-ignore-output"]
def seconds_to_copy(size):
    """CPU seconds to copy so many float32 numbers from one place in memory to another."""
    source, target = torch.ones(size), torch.ones(size)
    return sorted(cpu_seconds(lambda: target.copy_(source)) for _ in range(5))[2]


size = sum(p.numel() for p in llama.parameters())
copying = 4 * seconds_to_copy(size // 4)  # a quarter of them, which needs less room
limit = 2 / copying  # tokens a second, if nothing but reading took time
print(f"{size * 4 / 1e6:.0f} MB are copied in {copying * 1e3:.0f} ms: "
      f"at most about {limit:.0f} tokens a second")  # fmt: skip

# %% [markdown]
r"""
Now let us get nearer to it, without changing a single result.

- **Fused.** `q`, `k` and `v` are three products of the same vector: one product with the three matrices stacked gives the same numbers. `gate` and `up` likewise. Fewer, larger pieces of work.
- **Laid out.** `nn.Linear` keeps each output's weights in a row, and multiplies by the transpose. For a *single* vector some shapes read faster when the matrix is stored the other way round, once and for all. Which, depends on the library and the processor: measure, as here, where it pays for the stacked matrices and for the head.
- Only the last position's logits are needed, and PyTorch has RMSNorm as one operation. (In float32 it is the same but for rounding; in half precision it rounds once, at the end, and not twice as Llama's code does.)

**Predict** what helps more, stacking or layout. Here are `gate` and `up` of all thirty layers, for one vector:
"""


# %% tags=["nbval-ignore-output"]
def milliseconds(product, matrices, x):
    """CPU milliseconds for one vector and all matrices, as in one step of writing."""
    times = [cpu_seconds(lambda: [product(x, matrix) for matrix in matrices]) for _ in range(7)]
    return sorted(times)[3] * 1e3


with torch.no_grad():
    x, layers = torch.randn(1, 1, 576), [block.feed_forward for block in llama.blocks]
    apart = [weight for layer in layers for weight in (layer.gate.weight, layer.up.weight)]
    stacked = [torch.cat([layer.gate.weight, layer.up.weight]) for layer in layers]
    print(f"apart               {milliseconds(F.linear, apart, x):5.1f} ms")
    print(f"stacked             {milliseconds(F.linear, stacked, x):5.1f} ms")
    stacked = [matrix.T.contiguous() for matrix in stacked]
    print(f"and laid out anew   {milliseconds(torch.matmul, stacked, x):5.1f} ms")
    stacked = None

# %% [markdown]
r"""
On the machine that made this page it is the layout, and stacking alone brings next to nothing. (For `down`, a matrix of another shape, the new layout is no better, so it stays as it is below. `enable_gqa=True` lets PyTorch's attention share the heads of keys by itself.)
"""


# %%
class FusedAttention(nn.Module):
    """GroupedQueryAttention with one product for q, k and v, laid out for reading."""

    def __init__(self, plain):
        super().__init__()
        self.h, self.g, self.d = plain.n_heads, plain.n_kv_heads, plain.d_head
        stacked = torch.cat([plain.q.weight, plain.k.weight, plain.v.weight])
        self.qkv = nn.Parameter(stacked.T.contiguous())  # (d_model, (h + 2g) d_head)
        self.out = plain.out

    def forward(self, x, cos, sin, cache):
        B, T, C = x.shape
        qkv = (x @ self.qkv).view(B, T, -1, self.d).transpose(1, 2)  # (B, h + 2g, T, d)
        turned = rotate(qkv[:, : self.h + self.g], cos, sin)  # (B, h + g, T, d)
        q = turned[:, : self.h]
        k, v = cache.add(turned[:, self.h :], qkv[:, self.h + self.g :])
        mask = torch.ones(T, k.shape[2], dtype=torch.bool).tril(k.shape[2] - T) if T > 1 else None
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        return self.out(found.transpose(1, 2).reshape(B, T, C))  # (B, T, C)


# %%
class FusedSwiGLU(nn.Module):
    """SwiGLU with one product for gate and up."""

    def __init__(self, plain):
        super().__init__()
        both = torch.cat([plain.gate.weight, plain.up.weight])
        self.both = nn.Parameter(both.T.contiguous())  # (d_model, 2 d_ff)
        self.down = plain.down

    def forward(self, x):
        gate, up = (x @ self.both).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class FusedNorm(nn.Module):
    """RMSNorm as PyTorch's one operation."""

    def __init__(self, plain):
        super().__init__()
        self.weight, self.eps = plain.weight, plain.eps

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


# %%
class FastBlock(LlamaBlock):
    """A LlamaBlock made of the fused parts."""

    def __init__(self, plain):
        nn.Module.__init__(self)
        self.norm1, self.norm2 = FusedNorm(plain.norm1), FusedNorm(plain.norm2)
        self.attention = FusedAttention(plain.attention)
        self.feed_forward = FusedSwiGLU(plain.feed_forward)


class FastLlama(Llama):
    """The same model for writing: the logits of the last position only, (B, 1, vocab_size)."""

    def __init__(self, plain):
        nn.Module.__init__(self)
        self.theta, self.d_head = plain.theta, plain.d_head
        self.tokens, self.norm = plain.tokens, FusedNorm(plain.norm)
        self.blocks = nn.ModuleList(FastBlock(block) for block in plain.blocks)
        self.head = nn.Parameter(plain.tokens.weight.detach().T.contiguous())

    def forward(self, ids, caches):
        return self.stream(ids, caches)[:, -1:] @ self.head


# %%
quick = FastLlama(llama)
with torch.no_grad():
    gap = (quick(ids, quick.new_caches()) - llama(ids)[:, -1:]).abs().max().item()
same = torch.equal(generate(quick, ids, 20), story[:, : ids.shape[1] + 20])
print("logits differ by at most 1e-3:", gap < 1e-3, "| the same story:", same)
assert gap < 1e-3 and same

# %% [markdown]
r"""
Still the same model. Now the race: yours, Hugging Face's, and the fused one, a hundred new tokens each, in four rounds of 25 and in turns, so that a busy moment hits all three alike.
"""

# %% tags=["nbval-ignore-output"]
RACERS = {
    "yours, with cache": lambda: generate(llama, ids, 25),
    "Hugging Face's generate": lambda: their_generate(ids, 25),
    "yours, fused and laid out": lambda: generate(quick, ids, 25),
}
speeds = {name: [] for name in RACERS}
for _ in bar(range(4), "racing"):
    for name, run in RACERS.items():
        speeds[name].append(25 / cpu_seconds(run))

hugging_face = speeds["Hugging Face's generate"]
for name, found in speeds.items():
    ratios = sorted(a / b for a, b in zip(found, hugging_face, strict=True))
    print(f"{name:<27}{sum(found) / 4:>5.1f} tokens/s ({min(found):.1f} to {max(found):.1f}), "
          f"{ratios[0]:.2f} to {ratios[-1]:.2f} times Hugging Face's")  # fmt: skip
    median = (ratios[1] + ratios[2]) / 2
    assert median > {"yours, with cache": 0.8, "yours, fused and laid out": 1.1}.get(name, 0.99)

# %% tags=["nbval-ignore-output"]
uncached = 100 / sum(np.interp(range(5, 105), [0, *LENGTHS], [0, *one_more["without"]]))
ladder = {"yours, no cache": uncached} | {name: sum(s) / 4 for name, s in speeds.items()}
ladder["limit: reading the weights"] = limit

fig, ax = plots.figure(height=2.6)
colours = [plots.ORANGE, plots.BLUE, plots.GREY, plots.BLUE, plots.BLACK]
bars = ax.barh(list(ladder), ladder.values(), color=colours)
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.set(xlabel="tokens per CPU second, one thread, 100 new tokens")
ax.invert_yaxis()
plots.show(
    fig, "From a few tokens a second without a cache, to Hugging Face and yours side by side, to the "
    "fused model, to the limit that the memory sets.",
)

# %% [markdown]
r"""
The cache is the largest step by far. Written plainly, your loop is as fast as the library's, and stacked and laid out well ahead of it. From there to the limit about a factor of two is left: thirty layers with a dozen small operations each, every one of which takes its microseconds to begin, and matrices that even so are not read at full speed.

Past the limit there are two ways. Fewer bytes: half precision has half of them, and the next section about a sixth. Or more tokens for one reading: several texts at once, or several guesses of a small model that the large one checks in one go (*speculative decoding*, Leviathan et al., 2023, §2).

## 10 Where the weights came from

The file that this SmolLM2 was made from is a **GGUF**, the format of llama.cpp. Most of its matrices are **quantised**: for each weight there are only a few values to choose from, so that a few bits say which. The format `Q4_1` takes weights in blocks of 32. Each block stores a scale $d$ and a minimum $m$, and for each weight one of sixteen steps between: $w = d \cdot n + m$ with $n$ from 0 to 15. That makes 20 bytes for 32 weights, five bits each.

| bytes | what |
| --- | --- |
| 0, 1 | $d$ as float16, low byte first |
| 2, 3 | $m$ as float16 |
| 4 … 19 | 16 bytes: byte `j` holds weight `j` in its **low** four bits, weight `j + 16` in its **high** four bits |

### Exercise 8.7 · `dequantize_q4_1` ★★ · 10 minutes · stretch

- `block`: `bytes`, 20 of them; any other number is a `ValueError`
- returns an array `(32,)` of float32

By hand: with d = 0.5, m = −2 and byte 4 = `0x3A`, weight 0 has $n$ = 10 (hexadecimal A) and is 3.0; weight 16 has $n$ = 3 and is −0.5.
"""


# %% tags=["answer"]
def dequantize_q4_1(block):
    """The 32 weights of one block of Q4_1: 20 bytes -> (32,) float32."""
    ### BEGIN SOLUTION
    if len(block) != 20:
        raise ValueError(f"a block of Q4_1 has 20 bytes, and this has {len(block)}")
    d, m = np.frombuffer(block, "<f2", count=2).astype(np.float32)
    nibbles = np.frombuffer(block, np.uint8, offset=4)  # (16,)
    n = np.concatenate([nibbles & 15, nibbles >> 4])  # (32,)
    return d * n.astype(np.float32) + m
    ### END SOLUTION


# %% tags=["check"]
dequantize_q4_1 = checks.dequantize_q4_1(dequantize_q4_1)

# %% [markdown]
r"""
A real block: the course has kept the original bytes of one matrix, the gate of layer 0. (With `COURSE_MODELS=hub` there is no GGUF; then the weights are quantised again, and the numbers differ a little.)
"""

# %%
gate = llama.blocks[0].feed_forward.gate.weight.detach().numpy()  # (1536, 576)
kept = Path(folder) / "gate_proj.q4_1"
raw = (kept.read_bytes() if kept.exists()
       else gguf.quantize(gate, gguf.GGMLQuantizationType.Q4_1).tobytes())  # fmt: skip
block = raw[:20]
print(block.hex(" "))
print(dequantize_q4_1(block)[:8].round(4))
print(gate[0, :8].round(4))

# %%
blocks = [raw[i : i + 20] for i in range(0, len(raw), 20)]
matrix = np.stack([dequantize_q4_1(block) for block in blocks]).reshape(gate.shape)
theirs = gguf.dequantize(np.frombuffer(raw, np.uint8), gguf.GGMLQuantizationType.Q4_1)
assert np.array_equal(matrix.flatten(), theirs.flatten())
print(f"{len(blocks):,} blocks, equal to the gguf library's")
print("the model's weights, but for rounding to bfloat16:", np.allclose(matrix, gate, rtol=4e-3))
print("different values in the first block:", len(set(dequantize_q4_1(block).tolist())))

# %% [markdown]
r"""
At most sixteen different numbers in a block, and with them the model writes English. It is not for nothing: what this SmolLM2 gets wrong, the original may get right. But where reading is the limit, 20 bytes in place of 128 are also speed, if the unpacking is quick. That is why so many who run models at home use such files.

See how far you are:
"""

# %% tags=["nbval-ignore-output"]
checks.progress()

# %% [markdown]
r"""
## Summary

1. Llama is a GPT with RMSNorm, SwiGLU, RoPE and grouped queries, and without biases. In code it is a hundred lines.
2. Prove a port on a tiny random model first, then on the real weights, layer by layer. The first layer that differs is the one to look at.
3. Fluency is not a test. Logits are.
4. A cache makes a token cost the same anywhere in the text. Positions go on from what it holds, and the mask is no longer square.
5. Writing token by token is limited by reading the weights: lay them out well, share keys, or use fewer bits.

**Next:** [09 · Generation](09_generation.ipynb) is about choosing the next token, from probabilities that you can now compute yourself.

## Further reading

- Touvron et al., 2023, "LLaMA: open and efficient foundation language models": §2.2 lists the changes.
- Zhang and Sennrich, 2019, "Root mean square layer normalization", and Shazeer, 2020, "GLU variants improve Transformer": two short papers.
- Ainslie et al., 2023, "GQA: training generalized multi-query Transformer models from multi-head checkpoints", and Shazeer, 2019, "Fast Transformer decoding: one write-head is all you need", on what limits writing.
- Su et al., 2021, "RoFormer": §3.2 and 3.4, rotation.
- Allal et al., 2025, "SmolLM2: when Smol goes big": how the weights were made.
"""
