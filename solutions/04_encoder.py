# %% [markdown]
r"""
# 04 · The encoder

Attention lets words look at one another. An *encoder* is what you get if you let them do it again and again, and give each word time to think in between. It reads a text, all of it at once, and hands back one vector for every word: BERT is an encoder, and encoders are what search by meaning is commonly built on.

In this lesson you build the block that an encoder is stacked from, including the half that short texts about Transformers like to leave out. You prove it equal to PyTorch's. Then you pour the weights of a real model into *your* code, compare it with Hugging Face's at every layer, and let it find things in Python's standard library that you describe in your own words.

**Needs:** attention with heads and masks (lessons 1 and 2), a word about positions (lesson 3), `nn.Module`. **Takes:** about 90 minutes. **Exercises:** 4.1 to 4.4 and 4.6; 4.5 is a stretch.
"""

# %%
import torch
import torch.nn.functional as F
from torch import nn

from utils import data, models, plots
from utils.checks import lesson04 as checks

torch.set_printoptions(precision=3, sci_mode=False)

# %% [markdown]
r"""
## 1 The forgotten half

You will often find the encoder's layer written as

$$\operatorname{LayerNorm}\bigl(x + \operatorname{MultiHead}(x, x, x)\bigr)$$

That is half of it. The layer of Vaswani et al. (2017, §3.1) goes on: every word, each on its own, passes through a small network of two matrices, again with a sum and a norm around it,

$$z = \operatorname{LayerNorm}\bigl(x + \operatorname{MultiHead}(x, x, x)\bigr), \qquad \text{out} = \operatorname{LayerNorm}\bigl(z + \operatorname{FFN}(z)\bigr), \qquad \operatorname{FFN}(z) = W_2\,\operatorname{gelu}(W_1 z + b_1) + b_2$$

(with ReLU for GELU in 2017). Is the second half important? Ask what attention can do to *one* word. If there is nobody else to look at, the weight in every head is 1, and what remains is $W_O W_V x$ and a bias: a linear map. That can be tested. For a linear map plus a constant, $f(a + b) = f(a) + f(b) - f(0)$; how far the two sides are apart is how much $f$ *bends*.

**Predict** which of the three functions below bend.
"""

# %%
torch.manual_seed(0)
attention = nn.MultiheadAttention(4, 2, batch_first=True)
network = nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 4))
norm = nn.LayerNorm(4)


@torch.no_grad()
def bend(f):
    """How far f is from a straight line, for sentences of one word."""
    a, b, zero = torch.randn(1, 1, 4), torch.randn(1, 1, 4), torch.zeros(1, 1, 4)
    return (f(a + b) - f(a) - f(b) + f(zero)).abs().max().item()


print(f"x + attention(x, x, x)  bends by {bend(lambda x: x + attention(x, x, x)[0]):.3f}")
print(f"x + network(x)          bends by {bend(lambda x: x + network(x)):.3f}")
print(f"LayerNorm(x)            bends by {bend(norm):.3f}")

# %% [markdown]
r"""
Attention decides *from where* something is taken, and that it does cleverly. What it does to the thing itself is linear. The norm bends, but always in the same way: it has no weights before its bend, so nothing about it can be learned. Only the network can learn *where* to bend, for instance to answer "one of the two, but not both", which no linear map can. The halves also differ in size: with the usual `d_ff = 4 * d_model`, two thirds of a layer's weights are in the forgotten half.
"""

# %%
d_model = 384  # MiniLM's
in_attention = 4 * d_model * d_model
in_feed_forward = 2 * d_model * (4 * d_model)
print(f"weights in attention {in_attention:,}, in the feed-forward half {in_feed_forward:,}")

# %% [markdown]
r"""
## 2 LayerNorm

A layer adds something to each word's vector, the next adds more, and after a few layers the numbers could be of any size. **Layer normalisation** (Ba et al., 2016, §3) brings each vector, on its own, back to mean 0 and variance 1, and then lets the model stretch and shift every component as it likes:

$$\operatorname{LayerNorm}(x) = \gamma \odot \frac{x - \operatorname{mean}(x)}{\sqrt{\operatorname{var}(x) + \epsilon}} + \beta$$

Mean and variance are taken over the `d_model` numbers of *one word*: neither over the sentence nor over the batch. So a word's result does not depend on its neighbours or on padding. By hand: $x = [1, 3]$ has mean 2 and variance $((1-2)^2 + (3-2)^2)/2 = 1$, so it becomes $[-1, 1]$.

That variance divides by $n$, not by $n - 1$. Statisticians have a reason for $n - 1$, and `torch.var` takes it by default; here nothing is being estimated, and $n$ is right.

### Exercise 4.1 · `LayerNorm` ★★ · 10 minutes

The constructor is given: γ is called `weight`, β is called `bias`. Write `forward`.

- `x`: `(..., d_model)`
- returns the same shape, every vector normalised over its last axis

By hand, with γ = 1, β = 0 and ε almost 0: `[1, 3]` becomes `[-1, 1]`, and `[5, 5]` becomes `[0, 0]` (ε keeps that from being 0/0).

Subtract the mean *before* you square: $\operatorname{mean}(x^2) - \operatorname{mean}(x)^2$ is the same on paper, but for large numbers float32 has no digits left for the difference.
"""


# %% tags=["answer"]
class LayerNorm(nn.Module):
    """Normalise each vector to mean 0 and variance 1, then stretch and shift it."""

    def __init__(self, d_model, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps

    def forward(self, x):
        ### BEGIN SOLUTION
        mean = x.mean(-1, keepdim=True)
        var = x.var(-1, keepdim=True, unbiased=False)
        return self.weight * (x - mean) / torch.sqrt(var + self.eps) + self.bias
        ### END SOLUTION


# %% tags=["check"]
LayerNorm = checks.LayerNorm(LayerNorm)

# %% [markdown]
r"""
## 3 The feed-forward half

Between its two matrices stands the bend. The 2017 paper used ReLU, $\max(0, x)$. BERT and GPT-2 use the **GELU** (Hendrycks and Gimpel, 2016, §2; Llama's SwiGLU comes in lesson 8): $x$ times the probability that a standard normal number is smaller than $x$,

$$\operatorname{gelu}(x) = x\,\Phi(x) = \tfrac{x}{2}\Bigl(1 + \operatorname{erf}\bigl(x/\sqrt{2}\bigr)\Bigr)$$

There is also an approximation with tanh, from days when erf was slow. They look the same.

**Predict** how far apart they are at most.
"""

# %%
x = torch.linspace(-4, 4, 400)
gap = F.gelu(x) - F.gelu(x, approximate="tanh")

fig, axes = plots.figure(2, height=2.7)
axes[0].plot(x, x.relu(), "--", color=plots.GREY, label="ReLU")
axes[0].plot(x, F.gelu(x), label="GELU")
axes[0].set(xlabel="x", title="The bend")
axes[0].legend()
axes[1].plot(x, gap, color=plots.RED)
axes[1].set(xlabel="x", title="GELU with erf, less GELU with tanh")
axes[1].ticklabel_format(axis="y", scilimits=(0, 0))
plots.show(fig, "GELU follows ReLU but for a dip below 0; erf and tanh forms differ by up to 5e-4.")
print(f"largest gap: {gap.abs().max():.4f}")

# %% [markdown]
r"""
Half a thousandth. It is a fine example of a bug that costs a day: a model that was trained with one, run with the other, gives slightly different numbers at every layer, and no test that looks at the final answer will notice. GPT-2 uses the tanh form, BERT the exact one. (`hidden_act` in a model's configuration says which.)

### Exercise 4.2 · `FeedForward` ★ · 4 minutes

- `x`: `(..., d_model)`; `linear1` makes it `d_ff` wide, `linear2` brings it back
- returns `(..., d_model)`: `linear2` of the exact GELU of `linear1`
"""


# %% tags=["answer"]
class FeedForward(nn.Module):
    """Two matrices with a GELU between: (..., d_model) -> (..., d_model)."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.linear2(F.gelu(self.linear1(x)))  # (..., d_ff) in between
        ### END SOLUTION


# %% tags=["check"]
FeedForward = checks.FeedForward(FeedForward)

# %% [markdown]
r"""
## 4 The block, in two ways

Now the order of sum and norm. There are two, and both are in wide use:

- **post-LN**, the 2017 way (BERT, MiniLM): add, then normalise the sum;
- **pre-LN** (GPT-2, Llama and nearly everything since): normalise what goes *into* attention, and leave the sum alone.
"""


# %%
fig, axes = plots.figure(1, rows=2, height=3.2)
plots.stream(axes[0], "post-LN", ["+attention", "norm1", "+feed-forward", "norm2"])
plots.stream(axes[1], "pre-LN", ["+norm1, attention", "+norm2, feed-forward"])
plots.show(
    fig,
    "Post-LN has its norms on the stream, after each sum; pre-LN has them in the side branches.",
)

# %% [markdown]
r"""
The line is one word's vector on its way from left to right, the *residual stream*; the loops are what is computed from it and added to it. In pre-LN nothing stands on it but sums: every layer writes a correction, and the way from end to end is free. (A pre-LN model needs one more norm, after its last block: the stream has grown.) In post-LN each norm changes the stream itself.

### Exercise 4.3 · `EncoderBlock` ★★★ · 15 minutes

From here on we use PyTorch's `nn.MultiheadAttention`, which you proved equal to yours in lesson 2. The constructor is given. Write `forward`, for both values of `norm_first`:

| `norm_first` | first half | second half |
| --- | --- | --- |
| False | `x = norm1(x + attention(x))` | `x = norm2(x + feed_forward(x))` |
| True | `x = x + attention(norm1(x))` | `x = x + feed_forward(norm2(x))` |

- `x`: `(B, T, d_model)`; `mask`: `(B, T)` bool, True for real tokens, or `None`
- returns `(B, T, d_model)`; what stands at padded places does not matter

`self.attention(q, k, v, key_padding_mask=…, need_weights=False)` returns a pair; take the first. Its `key_padding_mask` is True where a key is **hidden** (lesson 2, section 4).
"""


# %% tags=["answer"]
class EncoderBlock(nn.Module):
    """One layer of an encoder: (B, T, d_model) -> (B, T, d_model)."""

    def __init__(self, d_model, n_heads, d_ff, norm_first=False, eps=1e-5):
        super().__init__()
        self.attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.norm1 = LayerNorm(d_model, eps)
        self.norm2 = LayerNorm(d_model, eps)
        self.norm_first = norm_first

    def forward(self, x, mask=None):
        ### BEGIN SOLUTION
        hidden = None if mask is None else ~mask  # (B, T)

        def attend(x):
            return self.attention(x, x, x, key_padding_mask=hidden, need_weights=False)[0]

        if self.norm_first:
            x = x + attend(self.norm1(x))
            return x + self.feed_forward(self.norm2(x))
        x = self.norm1(x + attend(x))
        return self.norm2(x + self.feed_forward(x))
        ### END SOLUTION


# %% tags=["check"]
EncoderBlock = checks.EncoderBlock(EncoderBlock)

# %% [markdown]
r"""
**Built once, proved equal.** In the open: PyTorch's own layer gets your block's weights, in both modes.
"""

# %%
for norm_first in (False, True):
    torch.manual_seed(0)
    mine = EncoderBlock(48, n_heads=6, d_ff=96, norm_first=norm_first)
    theirs = nn.TransformerEncoderLayer(
        48, 6, 96, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first
    )
    weights = {
        name.replace("attention.", "self_attn.").replace("feed_forward.", ""): value
        for name, value in mine.state_dict().items()
    }
    theirs.load_state_dict(weights)
    batch = torch.randn(4, 10, 48)
    gap = (mine(batch) - theirs(batch)).abs().max().item()
    print(f"norm_first={norm_first!s:<6} largest difference {gap:.0e}")
    assert gap < 1e-5

# %% [markdown]
r"""
## 5 Which order is better?

Why did nearly everybody move the norm? Xiong et al. (2020, §3) looked at the gradients of an untrained model. Let us do so, too: stacks of 2 to 32 blocks, each as it comes out of its initialisation, a random task, and the size of the gradient in the *last* block. (For the rest of this section we take PyTorch's layer, which computes the same as yours and is quicker to train.)

**Predict:** does it grow, shrink or stay as the stack becomes deeper, in post-LN and in pre-LN?
"""


# %%
def stack(norm_first, n_layers, d_model=64):
    """An untrained stack of blocks, all matrices drawn as in Glorot and Bengio (2010)."""
    kind = dict(dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_first)
    blocks = [nn.TransformerEncoderLayer(d_model, 4, 4 * d_model, **kind) for _ in range(n_layers)]
    for parameter in nn.ModuleList(blocks).parameters():
        if parameter.ndim > 1:
            nn.init.xavier_normal_(parameter)
    last_norm = [nn.LayerNorm(d_model)] if norm_first else []  # pre-LN needs one at the top
    return nn.Sequential(*blocks, *last_norm)


# %%
def last_gradient(norm_first, n_layers):
    """Size of the gradient of the last block's second matrix, for a random task."""
    model, out = stack(norm_first, n_layers), nn.Linear(64, 10)
    logits = out(model(torch.randn(16, 10, 64)))  # (16, 10, 10)
    F.cross_entropy(logits.flatten(0, 1), torch.randint(10, (160,))).backward()
    return model[n_layers - 1].linear2.weight.grad.norm().item()


# %%
torch.set_num_threads(1)  # for such small models one thread is as fast as two, and steadier
torch.manual_seed(0)
depths = [2, 4, 8, 16, 32]
gradients = {
    name: [sum(last_gradient(norm_first, n) for _ in range(3)) / 3 for n in depths]
    for name, norm_first in (("post-LN", False), ("pre-LN", True))
}
assert gradients["pre-LN"][-1] < 0.7 * gradients["pre-LN"][0]
assert gradients["post-LN"][-1] > 2 * gradients["pre-LN"][-1]

# %%
fig, ax = plots.figure(height=2.7)
colours = {"post-LN": plots.BLUE, "pre-LN": plots.ORANGE, "post-LN, warm-up": plots.GREEN}
for (name, values), style in zip(gradients.items(), ("o-", "s--"), strict=True):
    ax.plot(depths, values, style, color=colours[name], label=name)
ax.set(xscale="log", yscale="log", xlabel="layers", title="Gradient in the last layer")
ax.set_xticks(depths, depths)
ax.set_yticks([0.1, 0.2, 0.4], ["0.1", "0.2", "0.4"])
ax.minorticks_off()
ax.legend()
plots.show(
    fig, "With depth the last layer's gradient falls in pre-LN, and grows a little in post-LN."
)

# %% [markdown]
r"""
In pre-LN the last layers of a deep stack are pulled more gently: the stream has grown with every layer, and the norm at its end divides by it. Xiong et al. derive that it goes down like one over the root of the depth. In post-LN the pull does not weaken (they derive that it stays; in our small stacks it even grows a little).

Does it matter for training? The task: read eight digits, and give them back in reverse. Twelve layers, 200 steps, a learning rate of 0.002, which is rather high. Post-LN gets a second try, with a **warm-up**: the learning rate starts near zero and climbs for 60 steps.

**Predict:** which of the three will learn it?
"""


# %%
class Reverser(nn.Module):
    """Reads 8 digits and says them backwards: (B, 8) -> logits (B, 8, 10)."""

    def __init__(self, norm_first, n_layers=12, d_model=64):
        super().__init__()
        self.digit, self.place = nn.Embedding(10, d_model), nn.Embedding(8, d_model)
        self.stack, self.out = stack(norm_first, n_layers, d_model), nn.Linear(d_model, 10)

    def forward(self, digits):
        return self.out(self.stack(self.digit(digits) + self.place.weight))


# %%
def train(norm_first, warm_up, steps=200):
    """Losses of a reverser, step by step."""
    torch.manual_seed(0)
    model, losses = Reverser(norm_first), []
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1, (i + 1) / warm_up))
    for _ in range(steps):
        digits = torch.randint(10, (32, 8))
        loss = F.cross_entropy(model(digits).flatten(0, 1), digits.flip(1).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


# %%
losses = {
    "post-LN": train(norm_first=False, warm_up=1),
    "post-LN, warm-up": train(norm_first=False, warm_up=60),
    "pre-LN": train(norm_first=True, warm_up=1),
}
assert min(losses["post-LN"][-10:]) > 1
assert max(min(losses[name][-10:]) for name in ("pre-LN", "post-LN, warm-up")) < 0.2

# %%
fig, ax = plots.figure(height=2.8)
for (name, values), style in zip(losses.items(), ("-", "-.", "--"), strict=True):
    ax.plot(values, style, color=colours[name], label=name)
ax.set(xlabel="step", ylabel="loss", title="Twelve layers, learning rate 0.002", ylim=(0, 2.8))
ax.legend(loc="center right")
plots.show(
    fig,
    "Pre-LN learns within 60 steps, post-LN with warm-up after about 120, without not at all.",
)

# %% [markdown]
r"""
Without a warm-up the first steps, large and knowing nothing yet, throw post-LN to a place from which it does not come back here. With a warm-up it learns, and so it does with a learning rate half as high, if you wait a little longer (try `lr=1e-3`). Pre-LN does not care. That is the bargain: pre-LN is the easier to train, and so the 2017 recipe contains a warm-up, and most large models today put the norm first.

(Our widths are small, and the middle layers of post-LN did not show the vanishing gradients that you may have read about; we tried, and do not claim them here.)

## 6 A whole encoder

Time for a real one. Our **MiniLM** (Wang et al., 2020, who distilled it from a larger model; trained further for sentences by the makers of Sentence-BERT) has the architecture of BERT (Devlin et al., 2019, §3): post-LN, six layers, `d_model` 384, twelve heads. Beside the blocks it has three tables: a vector for each token, one for each position (lesson 3), and one for each *segment*, that is, first text or second. We use the first segment only. Here it is, complete.
"""


# %%
class Encoder(nn.Module):
    """BERT's architecture: token numbers (B, T) -> hidden states, n_layers + 1 of (B, T, d_model)."""

    def __init__(self, vocab_size, max_T, d_model, n_heads, d_ff, n_layers):
        super().__init__()
        self.word = nn.Embedding(vocab_size, d_model)
        self.position = nn.Embedding(max_T, d_model)
        self.segment = nn.Embedding(2, d_model)
        self.norm = LayerNorm(d_model, eps=1e-12)
        self.blocks = nn.ModuleList(
            EncoderBlock(d_model, n_heads, d_ff, eps=1e-12) for _ in range(n_layers)
        )

    def forward(self, ids, mask=None):
        places = self.position.weight[: ids.shape[1]]  # (T, d_model)
        x = self.norm(self.word(ids) + places + self.segment.weight[0])
        states = [x]
        for block in self.blocks:
            x = block(x, mask)
            states.append(x)
        return states


# %% [markdown]
r"""
An encoder gives a vector for every word. For searching we want one for the whole text. This model was trained to have its *mean* used (Reimers and Gurevych, 2019, §3).

### Exercise 4.4 · `mean_pool` ★★ · 7 minutes

- `hidden`: `(B, T, d_model)`; `mask`: `(B, T)`, True (or 1) for real tokens
- returns `(B, d_model)`: for each text the mean over its real tokens (there is at least one), and no others

By hand: `hidden = [[[2], [4], [9]]]` with the mask `[[1, 1, 0]]` gives `[[3]]`.
"""


# %% tags=["answer"]
def mean_pool(hidden, mask):
    """Mean over the real tokens: (B, T, d_model), (B, T) -> (B, d_model)."""
    ### BEGIN SOLUTION
    real = mask[..., None].to(hidden.dtype)  # (B, T, 1)
    return (hidden * real).sum(1) / real.sum(1)  # (B, d_model)
    ### END SOLUTION


# %% tags=["check"]
mean_pool = checks.mean_pool(mean_pool)

# %% [markdown]
r"""
Now the weights. They come with Hugging Face's names, a dictionary from names to tensors called a *state dict*. Ours are called otherwise. PyTorch is willing to overlook that, if asked: `strict=False` loads what fits and passes over the rest.

**Predict** how many of our encoder's weights arrive that way.
"""

# %%
import transformers
from transformers import AutoModel, AutoTokenizer

transformers.logging.disable_progress_bar()
folder = models.path("all-MiniLM-L6-v2")
tokenizer = AutoTokenizer.from_pretrained(folder)
bert = AutoModel.from_pretrained(folder).eval()
state = bert.state_dict()

encoder = Encoder(30522, max_T=512, d_model=384, n_heads=12, d_ff=1536, n_layers=6)
report = encoder.load_state_dict(state, strict=False)
print(f"{len(state)} tensors offered, {len(report.missing_keys)} of ours not found among them,")
print(f"{len(encoder.state_dict()) - len(report.missing_keys)} loaded. No error.")

# %% [markdown]
r"""
None at all, and not a word, unless you look at what it returns. The model would run, and give random vectors. So: **load strictly**. The names translate like this (`i` is the number of a layer):

| Hugging Face | here |
| --- | --- |
| `embeddings.word_embeddings`, `.position_embeddings`, `.token_type_embeddings` | `word`, `position`, `segment` |
| `embeddings.LayerNorm` | `norm` |
| `encoder.layer.i.attention.self.query`, `.key`, `.value` | `blocks.i.attention.in_proj_weight`, `in_proj_bias`: all three on top of one another |
| `encoder.layer.i.attention.output.dense` | `blocks.i.attention.out_proj` |
| `encoder.layer.i.attention.output.LayerNorm` | `blocks.i.norm1` |
| `encoder.layer.i.intermediate.dense` | `blocks.i.feed_forward.linear1` |
| `encoder.layer.i.output.dense` | `blocks.i.feed_forward.linear2` |
| `encoder.layer.i.output.LayerNorm` | `blocks.i.norm2` |
"""

# %% [markdown]
r"""
The same as dictionaries, which you may use in the exercise (the embeddings' norm and the three of attention are not in them):
"""

# %%
TABLES = {
    "word": "embeddings.word_embeddings",
    "position": "embeddings.position_embeddings",
    "segment": "embeddings.token_type_embeddings",
}
PARTS = {  # inside a block: each has a weight and a bias
    "attention.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "feed_forward.linear1": "intermediate.dense",
    "feed_forward.linear2": "output.dense",
    "norm2": "output.LayerNorm",
}

# %% [markdown]
r"""
### Exercise 4.5 · `load_minilm` ★★★ · 25 minutes · stretch

Copy the weights of a BERT into an `Encoder`.

- `encoder`: an `Encoder`, of any size; `state`: the state dict of a Hugging Face `BertModel` of the same size
- puts the weights into `encoder` itself, and returns it; leaves `state` as it was
- if a weight is missing from `state`, it must stop with an error (whichever), not go on with a random one
- `state` also holds `pooler.…`, which we do not use

Build a new dictionary with our names as keys, and end with `encoder.load_state_dict(new)`, which is strict. `torch.cat([a, b, c])` lays tensors on top of one another; both `weight` and `bias` need it.
"""


# %% tags=["answer"]
def load_minilm(encoder, state):
    """Load the state dict of a Hugging Face BertModel into an Encoder, strictly."""
    ### BEGIN SOLUTION
    new = {f"{own}.weight": state[f"{theirs}.weight"] for own, theirs in TABLES.items()}
    for kind in ("weight", "bias"):
        new[f"norm.{kind}"] = state[f"embeddings.LayerNorm.{kind}"]
        for i in range(len(encoder.blocks)):
            layer = f"encoder.layer.{i}"
            three = [f"{layer}.attention.self.{n}.{kind}" for n in ("query", "key", "value")]
            new[f"blocks.{i}.attention.in_proj_{kind}"] = torch.cat([state[n] for n in three])
            for own, theirs in PARTS.items():
                new[f"blocks.{i}.{own}.{kind}"] = state[f"{layer}.{theirs}.{kind}"]
    encoder.load_state_dict(new)
    return encoder
    ### END SOLUTION


# %% tags=["check"]
load_minilm = checks.load_minilm(load_minilm)

# %% [markdown]
r"""
The check used a small random BERT. Now the real one: your encoder, with MiniLM's weights, against Hugging Face's `BertModel`, on two texts of different lengths, at every layer.
"""

# %%
encoder = load_minilm(encoder, state).eval()
texts = ["We sat by the river bank.", "Attention is a soft dictionary look-up, and nothing more."]
inputs = tokenizer(texts, return_tensors="pt", padding=True)
mask = inputs["attention_mask"].bool()  # (B, T)

with torch.no_grad():
    mine = encoder(inputs["input_ids"], mask)
    theirs = bert(**inputs, output_hidden_states=True).hidden_states
for layer, (a, b) in enumerate(zip(mine, theirs, strict=True)):
    gap = (a - b)[mask].abs().max().item()
    print(f"after layer {layer}: largest difference {gap:.0e}")
    assert gap < 1e-4

# %% [markdown]
r"""
You know every line of that encoder, its attention from lesson 2, and it *is* MiniLM: same weights, same numbers at every layer. (The tokenizer, which cuts the text into pieces, is the one part left; lesson 6.)

## 7 Searching by meaning

What is it good for? This MiniLM was trained so that texts which mean nearly the same get vectors in nearly the same direction. So: put a text and a query through it, and compare directions.

The next cell does so for batches of texts of similar length, cut off after 48 tokens, and puts the vectors back in the order of the texts.

**Predict:** of the six sentences below it, which pairs belong together for the model? Two of them share the word *bank*.
"""


# %%
@torch.no_grad()
def embed(texts, batch_size=64):
    """One vector for each text: (N, d_model). Similar lengths go together, to save padding."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = torch.empty(len(texts), encoder.word.embedding_dim)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        inputs = tokenizer(
            [texts[i] for i in chosen],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=48,
        )
        mask = inputs["attention_mask"].bool()
        vectors[chosen] = mean_pool(encoder(inputs["input_ids"], mask)[-1], mask)
    return vectors


# %%
six = [
    "A cat sleeps on the sofa.",
    "The kitten is napping on the couch.",
    "They fished from the river bank.",
    "They caught trout from the shore.",
    "They borrowed money from the bank.",
    "Shares fell sharply on Monday.",
]
vectors = F.normalize(embed(six), dim=-1)  # (6, d_model), length 1
similarity = vectors @ vectors.T  # (6, 6)

# %%
fig, ax = plots.figure(height=3.4)
plots.heatmap(ax, similarity, six, [f"{i + 1}" for i in range(6)], "Cosine similarity", (0, 1))
ax.set_xticks(range(6), [f"{i + 1}" for i in range(6)], rotation=0)
plots.show(fig, "Cat and kitten stand out, and river bank and shore; the two banks are less near.")
assert similarity[2, 3] > similarity[2, 4]  # the river bank is nearer to a shore than to a bank


# %% [markdown]
r"""
*Cat* and *kitten*, *sofa* and *couch* share no word, and yet they are nearest. And the river *bank* lies nearer to a *shore* than to the other bank, though the word still counts for something: the *bank* of lesson 1 has, on the whole, found its meaning. Now the search itself.

### Exercise 4.6 · `search` ★ · 5 minutes

- `query`: `(d,)`; `vectors`: `(N, d)`, of any lengths; `k`: how many to find
- returns a list of `k` row numbers, those with the highest cosine similarity to the query, best first

By hand: the query `[1, 0]` and the vectors `[2, 2]`, `[3, 0]`, `[-5, 0]` have the cosines 0.71, 1 and −1, so with `k = 2` the answer is `[1, 0]`.
"""


# %% tags=["answer"]
def search(query, vectors, k):
    """Rows most similar to the query by cosine, best first: (d,), (N, d) -> k row numbers."""
    ### BEGIN SOLUTION
    return F.cosine_similarity(query[None], vectors, dim=-1).topk(k).indices.tolist()
    ### END SOLUTION


# %% tags=["check"]
search = checks.search(search)

# %% [markdown]
r"""
And now something to search in that every machine has. Python's standard library documents itself: over a thousand functions and classes, each with a sentence or two. Your encoder reads all of them.
"""

# %% tags=["nbval-ignore-output"]
docs = data.standard_library()
names = list(docs)
library = embed(list(docs.values()))  # (N, d_model)
print(f"{len(names)} descriptions, each a vector of {library.shape[1]} numbers")
print(f"for example {names[100]}: {docs[names[100]]}")

# %% [markdown]
r"""
**Predict** what it will answer to "what is the middle value of my data". And try it with your own words: run the cell below again as often as you like.
"""

# %% tags=["nbval-ignore-output"]
questions = [
    "copy a whole folder",
    "what is the middle value of my data",
    "the few largest items of a list",
    "how many days has a month",
    "open a web page",
    "break a long paragraph into lines",
]
found = {}
for question, vector in zip(questions, embed(questions), strict=True):
    found[question] = [names[i] for i in search(vector, library, k=3)]
    print(f"{question:<38}{', '.join(found[question])}")

assert "shutil.copytree" in found["copy a whole folder"]
assert "statistics.median" in found["what is the middle value of my data"]
assert "heapq.nlargest" in found["the few largest items of a list"]

# %% [markdown]
r"""
How much of that could one have had by simply comparing words? **Predict**, for each of the six, whether the best hit by shared words will be a useful one. (Small words such as *the* and *of* are left out.)
"""

# %% tags=["nbval-ignore-output"]
import re


def word_set(text):
    return set(re.findall("[a-z]{3,}", text.lower())) - {"the", "and", "for", "what", "how", "into"}


for question in questions:
    asked = word_set(question)
    shared = {n: len(asked & word_set(docs[n])) / len(asked | word_set(docs[n])) for n in names}
    print(f"{question:<38}{max(shared, key=shared.get)}")

# %% [markdown]
r"""
Where question and answer use the same words, as in *days* and *month*, that is enough. Where they do not (*folder* and *directory*, *items* and *elements*, *web page* and *url*), words find something that merely looks alike; the encoder is not troubled.

It also fails, and it is worth knowing how. It has no idea what a function *does*, only what is said of it, and the nearest sentence comes back whether it is right or not. Does the similarity give a warning?
"""

# %% tags=["nbval-ignore-output"]
for question in ("copy a whole folder", "roll a dice", "water the plants", "sort a list"):
    vector = embed([question])[0]
    best = search(vector, library, k=1)[0]
    similarity = F.cosine_similarity(vector, library[best], dim=0)
    print(f"{question:<22}{similarity:.2f}  {names[best]}: {docs[names[best]][:60]}")

# %% [markdown]
r"""
Sometimes: watering plants is far from everything. But "sort a list" finds `bisect.insort`, which inserts into a list that is already sorted, with more confidence than many a right answer. What counts as near enough must be measured on questions whose answers are known (lesson 13 does such things).

## Summary

1. An encoder block has two halves: attention, which chooses from where to take, and a feed-forward network, the only part that can learn where to bend. The second holds two thirds of the weights.
2. LayerNorm works on each word's vector alone; variance over $n$, ε inside the root.
3. Post-LN normalises the stream, pre-LN the branches. Deep post-LN needs a gentler start: a warm-up, or a lower learning rate.
4. Load weights strictly, and compare at every layer. Yours equal Hugging Face's `BertModel`, so your encoder *is* MiniLM.
5. The mean over real tokens is a vector for a text, and the cosine between two such vectors a search by meaning.

**Next:** lesson 5 builds the other half of the 2017 Transformer, and translates.

## Further reading

- Vaswani et al., 2017, "Attention is all you need": §3.1, the block; §3.3, the feed-forward half.
- Ba, Kiros and Hinton, 2016, "Layer normalization": §3.
- Hendrycks and Gimpel, 2016, "Gaussian error linear units": §2.
- Xiong et al., 2020, "On layer normalization in the Transformer architecture": §3, gradients of both orders.
- Devlin et al., 2019, "BERT: Pre-training of deep bidirectional Transformers for language understanding": §3.
- Reimers and Gurevych, 2019, "Sentence-BERT": §3, pooling.
- Wang et al., 2020, "MiniLM: Deep self-attention distillation for task-agnostic compression of pre-trained Transformers": how a small encoder learns from a large one.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
