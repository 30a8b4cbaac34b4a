# %% [markdown]
r"""
# 17 · Fusion

"What colour is the ring?" The question alone does not say. The picture alone does not say what is asked. Only together do they have an answer; so somewhere inside a model, words and pixels must meet. *Where* they meet is the question of this lesson, and there are four classic answers: at the start (**early**), at the end (**late**), in between by **cross-attention**, and in between through a **gate** that is closed at first.

You build all four, on one task that neither words nor picture can solve alone, and put them into one chart with the controls that such a chart needs: a model that sees only the question, the best guess from the picture alone, and pictures that were shuffled. At the end you will see how a careless question lets a blind model look clever.

**Needs:** attention, masks, encoder blocks (lessons 2 and 4), cross-attention (lesson 5); patches (lesson 15). **Takes:** about 90 minutes. **Exercises:** 17.1 to 17.5.
"""

# %%
import copy
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from utils import plots, scenes
from utils.checks import lesson17 as checks
from utils.progress import bar

torch.set_num_threads(1)  # for so small models one thread is as fast as two, and steadier

# %% [markdown]
r"""
## 1 A task that needs both

A scene has four cells. In each stands one of four shapes in one of four colours, or nothing. Cells are 12 × 12 pixels, and each thing is moved by a pixel or not, by lot, so that hardly ever are two pictures the same. (`utils/scenes.py` draws them and makes the questions.)

There are three kinds of question. *Is there a square?* needs one look for squares. *What colour is the ring?* and *what shape is red?* need more: the colour and the shape of the *same thing*. To know what belongs to what is called **binding**.
"""

# %%
training = scenes.make_data(12000, seed=1)
seen = {scene for scene, _, _ in training["rows"]}
test = scenes.make_data(3000, seed=6, without=seen)
KINDS, ANSWERS, VOCAB = list(scenes.KINDS), scenes.ANSWERS, scenes.VOCAB
print(len(training["rows"]), "questions for training,", len(test["rows"]), "for the test")
print("scenes of the test that are also in training:", len({s for s, _, _ in test["rows"]} & seen))
print({name: tuple(test[name].shape) for name in ("ids", "pictures", "labels")})

# %%
titles = [f"{question}?\n{answer}" for _, question, answer in test["rows"][:6]]
plots.show(
    plots.gallery(test["pictures"][:6], titles, columns=6),
    "Six small pictures of coloured shapes, each with a question and its answer above.",
)

# %% [markdown]
r"""
How a question is made matters. Here the question *and its answer* are drawn first, and then scenes are drawn until one makes the answer true. Here, whatever is asked, every answer is equally likely. Had we looked at the scene first, and asked about what is in it, some answers would be more common than others, and a model could do well without looking: section 8 shows how well.
"""

# %% [markdown]
r"""
## 2 Tokens of both kinds

One cell is one patch, so a picture is four tokens (`F.unfold` cuts it; ink is 1 for the model, paper 0). A question is six tokens, padding included. The first is `<cls>`, which means nothing; from what it has become at the end the answer will be read.
"""

# %%
D_MODEL, N_HEADS, D_FF = 64, 4, 128


class Tokens(nn.Module):
    """Questions (B, T) and pictures (B, 3, 24, 24) -> text (B, T, d_model), image (B, 4, d_model)."""

    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(len(VOCAB), D_MODEL)
        nn.init.normal_(self.word.weight, std=0.1)
        self.place = nn.Parameter(0.02 * torch.randn(scenes.T, D_MODEL))
        self.patch = nn.Linear(3 * scenes.CELL**2, D_MODEL)
        self.cell = nn.Parameter(0.02 * torch.randn(4, D_MODEL))

    def forward(self, ids, pictures):
        text = self.word(ids) + self.place  # (B, T, d_model)
        cells = F.unfold(1 - pictures, scenes.CELL, stride=scenes.CELL)  # (B, 432, 4)
        return text, self.patch(cells.transpose(1, 2)) + self.cell  # (B, 4, d_model)


def block():
    return nn.TransformerEncoderLayer(
        D_MODEL, N_HEADS, D_FF, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


def encoder():
    """Two blocks and a norm, for x (B, T, d_model) with src_key_padding_mask (True is hidden)."""
    return nn.TransformerEncoder(block(), 2, norm=nn.LayerNorm(D_MODEL), enable_nested_tensor=False)


# %% [markdown]
r"""
Here are the four designs, one block of each (with the residual connections left out). Blue is the way of the words, yellow that of the picture. Follow both from left to right: where do they meet, and what has become of the picture by then?
"""

# %%
plots.show(
    scenes.four_designs(),
    "Four designs, words above and patches below. Early: both enter one sequence at once. Late: each has an encoder and a mean, then a small network joins the two vectors. Cross-attention: the patches give keys and values, and the words attend to them in the middle of their block. Gated: the same, what is added being multiplied by tanh of a gate.",
)

# %% [markdown]
r"""
## 3 Early fusion

The simplest idea of all: write the words and the patches one after the other, and let one encoder sort it out. Two things must be right. The model should be told which tokens are words and which are patches: each kind gets a learned vector added (as BERT marks its two sentences; here the places alone would tell it as well). And the mask of the padding must be built **in the same order as the tokens**. If it is not, nothing fails: the model is merely somewhat worse, because it cannot see one of the patches (and only where a question is short enough to have padding). Nobody finds such a bug by looking at the loss. (In two trainings of ours with the wrong order *colour* stayed at 100%, for its questions leave no padding, and *exists* and *shape* fell to 89 and 82%. A kind of question that does not suffer is a clue.)

### Exercise 17.1 · `early_fusion` ★★ · 8 minutes

- `text`: `(B, T, d_model)`, `image`: `(B, N, d_model)`
- `kinds`: `(2, d_model)`; `kinds[0]` is added to every word, `kinds[1]` to every patch
- `text_mask`: `(B, T)` bool, True for real words
- returns a pair: tokens `(B, T + N, d_model)`, words first; mask `(B, T + N)` bool, True wherever one may look (patches are always real)

By hand: two words of which the second is padding, and one patch: the mask is `[True, False, True]`.
"""


# %% tags=["answer"]
def early_fusion(text, image, kinds, text_mask):
    """One sequence of words and patches, and its mask: (B, T + N, d_model), (B, T + N)."""
    ### BEGIN SOLUTION
    tokens = torch.cat([text + kinds[0], image + kinds[1]], dim=1)
    real = torch.ones(image.shape[:2], dtype=torch.bool)  # (B, N)
    return tokens, torch.cat([text_mask, real], dim=1)
    ### END SOLUTION


# %% tags=["check"]
early_fusion = checks.early_fusion(early_fusion)


# %%
class Early(nn.Module):
    """Words and patches in one sequence."""

    def __init__(self):
        super().__init__()
        self.tokens, self.encoder = Tokens(), encoder()
        self.kinds = nn.Parameter(0.02 * torch.randn(2, D_MODEL))
        self.head = nn.Linear(D_MODEL, len(ANSWERS))

    def forward(self, ids, pictures):
        text, image = self.tokens(ids, pictures)
        x, mask = early_fusion(text, image, self.kinds, ids > 0)
        x = self.encoder(x, src_key_padding_mask=~mask)  # (B, T + 4, d_model)
        return self.head(x[:, 0])


# %% [markdown]
r"""
## 4 Late fusion

The opposite: each side has an encoder of its own, the results are summed up as one vector each, and only these meet, in a small network at the end. CLIP (lesson 16) is of this kind. It has one great advantage: the vectors of a million pictures can be computed beforehand, whatever will be asked.

### Exercise 17.2 · `late_fusion` ★★ · 8 minutes

- `text`, `image`, `text_mask` as before, but already encoded
- returns `(B, 2 * d_model)`: the mean over the *real* words, and beside it the mean over the patches
- a question without any real word gives zeros for its half, not NaN (nor NaN in the gradient)

By hand: words `[2.]`, `[4.]` and padding `[9.]`, patches `[1.]` and `[3.]`: the result is `[3., 2.]`.
"""


# %% tags=["answer"]
def late_fusion(text, image, text_mask):
    """Mean of the real words beside the mean of the patches: (B, 2 * d_model)."""
    ### BEGIN SOLUTION
    real = text_mask[..., None]  # (B, T, 1)
    words = (text * real).sum(1) / real.sum(1).clamp(min=1)  # (B, d_model)
    return torch.cat([words, image.mean(1)], dim=-1)
    ### END SOLUTION


# %% tags=["check"]
late_fusion = checks.late_fusion(late_fusion)


# %%
class Late(nn.Module):
    """Two towers that meet at the end."""

    def __init__(self):
        super().__init__()
        self.tokens, self.read, self.look = Tokens(), encoder(), encoder()
        self.head = nn.Sequential(
            nn.Linear(2 * D_MODEL, 2 * D_MODEL), nn.GELU(), nn.Linear(2 * D_MODEL, len(ANSWERS))
        )

    def forward(self, ids, pictures):
        text, image = self.tokens(ids, pictures)
        text = self.read(text, src_key_padding_mask=ids == 0)
        return self.head(late_fusion(text, self.look(image), ids > 0))


# %% [markdown]
r"""
## 5 Cross-attention

The third way keeps the words as the main stream. Between their own blocks they ask the patches: **queries from the words, keys and values from the picture** (lesson 5). Every word can look up what it needs. The picture does not have to be squeezed into one vector before anyone knows what will be asked.

### Exercise 17.3 · `CrossAttentionFusion` ★★ · 12 minutes

The constructor is given. Write `forward`, in the pre-norm manner:

- x = `text` + what `cross_attention` finds (it returns a pair, the result and its weights): queries `norm1(text)`, keys and values `image` (as it is)
- result = x + `feed_forward(norm2(x))`
- `image_mask`: `(B, N)` bool, True for real patches, or None. It belongs into `key_padding_mask`, which is True where something is **hidden**: turn it round with `~`. But `~None` is an error, so treat None first. (Not into `attn_mask`: that one wants a row for each word.)
- returns `(B, T, d_model)`; gradients reach `text` and `image`, and there is no dropout

By hand: three words and four patches give weights of `(B, 3, 4)`, and three words come out.
"""


# %% tags=["answer"]
class CrossAttentionFusion(nn.Module):
    """Words ask patches: (B, T, d_model) and (B, N, d_model) -> (B, T, d_model)."""

    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.cross_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, d_ff), nn.GELU(), nn.Linear(d_ff, d_model)
        )

    def forward(self, text, image, image_mask=None):
        ### BEGIN SOLUTION
        hidden = None if image_mask is None else ~image_mask
        found, _ = self.cross_attention(self.norm1(text), image, image, key_padding_mask=hidden)
        x = text + found  # (B, T, d_model)
        return x + self.feed_forward(self.norm2(x))
        ### END SOLUTION


# %% tags=["check"]
CrossAttentionFusion = checks.CrossAttentionFusion(CrossAttentionFusion)

# %% [markdown]
r"""
## 6 Through a gate

Now suppose that the words' model exists already: large, trained for months, able to talk. Put freshly drawn cross-attention layers between its blocks, and it is another model: each layer adds something that means nothing yet. Flamingo (Alayrac et al., 2022, §2.2) makes the start exact: whatever a new layer wants to add is multiplied by **tanh of a gate** that starts at 0. On the first day nothing is added, and the model *is* the old one. Training opens the gates, as far as it pays.

### Exercise 17.4 · `GatedCrossAttention` ★★ · 10 minutes

As 17.3, and `gate_attention` and `gate_feed_forward` are given:

- x = `text` + `tanh(gate_attention)` times what `cross_attention` finds
- result = x + `tanh(gate_feed_forward)` times `feed_forward(norm2(x))`

By hand: with both gates 0 the result *is* `text`, to the last bit; with gates of 20 it is that of 17.3.
"""


# %% tags=["answer"]
class GatedCrossAttention(nn.Module):
    """Cross-attention whose contribution passes two gates, closed at the start."""

    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.cross_attention = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.norm2 = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, d_ff), nn.GELU(), nn.Linear(d_ff, d_model)
        )
        self.gate_attention = nn.Parameter(torch.zeros(1))
        self.gate_feed_forward = nn.Parameter(torch.zeros(1))

    def forward(self, text, image, image_mask=None):
        ### BEGIN SOLUTION
        hidden = None if image_mask is None else ~image_mask
        found, _ = self.cross_attention(self.norm1(text), image, image, key_padding_mask=hidden)
        x = text + self.gate_attention.tanh() * found  # (B, T, d_model)
        return x + self.gate_feed_forward.tanh() * self.feed_forward(self.norm2(x))
        ### END SOLUTION


# %% tags=["check"]
GatedCrossAttention = checks.GatedCrossAttention(GatedCrossAttention)


# %% [markdown]
r"""
Both kinds of layer go into the same model of words: two blocks, and after each, if there is one, a layer that looks at the picture. The answer is read from `<cls>` alone. So what a *word* finds in the first look reaches `<cls>` in the second block.
"""


# %%
class Reader(nn.Module):
    """A model of words, with or without a layer that looks at the picture after each block."""

    def __init__(self, look=None):
        super().__init__()
        self.tokens = Tokens()
        self.blocks = nn.ModuleList([block(), block()])
        self.looks = nn.ModuleList([look(D_MODEL, N_HEADS, D_FF) for _ in range(2)] if look else [])
        self.norm, self.norm_image = nn.LayerNorm(D_MODEL), nn.LayerNorm(D_MODEL)
        self.head = nn.Linear(D_MODEL, len(ANSWERS))

    def forward(self, ids, pictures):
        x, image = self.tokens(ids, pictures)
        for i, words in enumerate(self.blocks):
            x = words(x, src_key_padding_mask=ids == 0)  # (B, T, d_model)
            if len(self.looks):
                x = self.looks[i](x, self.norm_image(image))
        return self.head(self.norm(x)[:, 0])


def Cross():
    return Reader(CrossAttentionFusion)


def Gated():
    return Reader(GatedCrossAttention)


# %% [markdown]
r"""
## 7 The chart

All designs get the same pictures, the same number of steps, and two seeds each (only the model that never looks gets fewer, for there is next to nothing to learn). "Late" here are two towers with a small network on top; what CLIP has on top is a dot product only. (Batch and learning rate were chosen on other scenes than those of the test; the number of steps is what our time allows.) There are three controls. *Question only* is a `Reader` that never looks. *Word-deaf* is `Early` on questions whose last word, the one that says what is asked for, is replaced by `<cls>`: it sees the picture, and hears only which kind of question it is. *Picture only* is what the best of the word-deaf could do, with perfect eyes and endless time, and needs no network. Whoever sees the picture and knows which *kind* of question is coming, but not which word, can answer like this:

- *exists*: "yes", if three or four shapes are there
- *colour* and *shape*: the commonest among the things that can be asked for, that is, of which there is only one

No guess from the picture alone is better on average. (So it is a hard bar for a network of 240 steps; the word-deaf network is the fairer one.)

**Predict** the order of the designs. On which kind of question will late fusion fall behind most? And will it beat the guess from the picture?
"""


# %%
def guess(scene, kind):
    """The best answer of somebody who sees the scene and knows the kind of question, no more."""
    things = [thing for thing in scene if thing is not None]
    if kind == "exists":
        return "yes" if len({shape for shape, _ in things}) >= 3 else "no"
    asked, told = (1, 0) if kind == "shape" else (0, 1)  # a thing is (shape, colour)
    counts = Counter(thing[asked] for thing in things)
    return Counter(t[told] for t in things if counts[t[asked]] == 1).most_common(1)[0][0]


# %%
def train(build, data, seed, steps=240, batch=64, lr=2e-3, gate_speed=1):
    """A trained model; warm-up, flat, then down in a straight line over the last half."""
    torch.manual_seed(seed)
    model = build()
    gates = {p for name, p in model.named_parameters() if "gate" in name}  # section 6
    groups = [{"params": [p for p in model.parameters() if p not in gates]}]
    groups += [{"params": [*gates], "lr": gate_speed * lr}] if gates else []
    optimizer = torch.optim.AdamW(groups, lr=lr, weight_decay=0.01, fused=True)
    factor = lambda i: min((i + 1) / 40, 1.0, 2 * (steps - i) / steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    model.losses = []
    for _ in range(steps):
        rows = torch.randint(len(data["labels"]), (batch,))
        loss = F.cross_entropy(model(data["ids"][rows], data["pictures"][rows]), data["labels"][rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        model.losses.append(loss.item())
    return model.eval()


# %%
@torch.no_grad()
def answers(model, data):
    return model(data["ids"], data["pictures"]).argmax(-1)  # (B,)


# %%
def by_kind(right, data):
    """Share of right answers for each kind of question, and for all: a list of 4."""
    right = right.float()
    return [right[data["kinds"] == k].mean().item() for k in range(3)] + [right.mean().item()]


def accuracies(model, data):
    return by_kind(answers(model, data) == data["labels"], data)


# %%
right = [guess(scene, KINDS[i % 3]) == answer for i, (scene, _, answer) in enumerate(test["rows"])]
from_picture = by_kind(torch.tensor(right), test)
print("picture only:", ", ".join(f"{share:.0%}" for share in from_picture))


# %%
def with_last_words(data, words):
    """The same questions with other last words: words (n,) are their numbers."""
    ids = data["ids"].clone()
    ids[torch.arange(len(ids)), (ids > 0).sum(1) - 1] = words
    return data | {"ids": ids}


def deaf(data):
    return with_last_words(data, torch.full((len(data["ids"]),), VOCAB["<cls>"]))


# %% tags=["nbval-ignore-output"]
DESIGNS = {
    "question only": Reader,
    "late": Late,
    "gated": Gated,
    "cross-attention": Cross,
    "early": Early,
}
models = {}
for name in bar(DESIGNS, "training"):
    steps = 60 if name == "question only" else 240
    models[name] = [train(DESIGNS[name], training, seed, steps) for seed in range(2)]
word_deaf = [train(Early, deaf(training), seed) for seed in bar(range(2), "word-deaf")]

# %% tags=["nbval-ignore-output"]
results = {"picture only": np.array([from_picture])}
results["word-deaf"] = np.array([accuracies(model, deaf(test)) for model in word_deaf])
for name in models:
    results[name] = np.array([accuracies(model, test) for model in models[name]])  # (2, 4)
print(f"{'':<18}{'seed':>6}" + "".join(f"{kind:>9}" for kind in [*KINDS, "all"]))
ORDER = ["question only", "word-deaf", "picture only", "late", "gated", "cross-attention", "early"]
for name in ORDER:
    for seed, row in enumerate(results[name]):
        print(f"{name:<18}{seed:>6}" + "".join(f"{share:>9.0%}" for share in row))

# %%
for name in ("early", "cross-attention", "gated", "late"):
    print(f"{name:<18}{sum(p.numel() for p in models[name][0].parameters()):,} parameters")

# %% [markdown]
r"""
The dotted line is guessing within the kind. Two kinds of luck are drawn: the orange bars are 95% intervals (Wilson, 1927) for the luck of the *test* (1,000 questions of each kind), the two dots for the luck of the *training* (two throws are few). Under each design stands who builds like this.
"""


# %%
def interval(share, n):
    """What to take from and add to a share of n test questions for its 95% interval (Wilson)."""
    middle = (share + 1.92 / n) / (1 + 3.84 / n)
    half = np.sqrt(share * (1 - share) / n + 0.96 / n**2) * 1.96 / (1 + 3.84 / n)
    return np.stack([share - middle + half, middle + half - share])  # (2, ...)


BUILT = {  # who builds like this; sources below
    "late": "CLIP",
    "gated": "Flamingo, Llama 3.2",
    "cross-attention": "BLIP, LXMERT",
    "early": "LLaVA, Chameleon",
}

# %%
fig, axes = plots.figure(4, height=3.4, sharey=True)
for k, (ax, kind) in enumerate(zip(axes, [*KINDS, "all"], strict=True)):
    n = len(test["rows"]) // (1 if kind == "all" else len(KINDS))
    for y, name in enumerate(ORDER):
        shares, colour = results[name], plots.BLUE if name in BUILT else plots.GREY
        share = shares[:, k].mean()
        error = interval(share, n)[:, None]  # (2, 1)
        ax.barh(y, share, xerr=error, color=colour, ecolor=plots.ORANGE, height=0.7)
        if len(shares) == 2:
            ax.plot(shares[:, k], [y - 0.2, y - 0.2], "o", color=plots.BLACK, markersize=2.5)
    chance = [1 / len(answers) for _, _, answers, _ in scenes.KINDS.values()]
    chance = np.mean(chance) if kind == "all" else chance[k]
    ax.axvline(chance, color=plots.RED, linestyle=":", linewidth=1.5)
    ax.set(title=kind, xlim=(0, 1.02), xticks=[0, 0.5, 1], xticklabels=["0", "50%", "100%"])
labels = [f"{name}\n{BUILT[name]}" if name in BUILT else name for name in ORDER]
axes[0].set_yticks(range(len(ORDER)), labels, fontsize=8.5)
plots.show(
    fig,
    "Accuracy by kind of question, with intervals, and two dots for two seeds. The question alone is at chance everywhere. A word-deaf network and the best guess from the picture are well above chance. Late fusion is near the word-deaf network in colour and shape. Gated, cross-attention and early are near 100% in colour and shape; in exists gated is well behind the other two.",
)

# %% tags=["nbval-ignore-output"]
mean = {name: shares.mean(0) for name, shares in results.items()}
lookups = {name: row[1:3].mean() for name, row in mean.items()}  # colour and shape
best = min(mean[name][-1] for name in ("early", "cross-attention"))
print(f"best side alone {mean['picture only'][-1]:.0%}, early and cross-attention {best:.0%}")
print("lookups: " + ", ".join(f"{name} {share:.0%}" for name, share in lookups.items()))
assert best > mean["picture only"][-1] + 0.25, "fusion should beat each side alone by far"
assert lookups["late"] < lookups["picture only"] - 0.03, "late fusion should not beat the guess"
assert abs(lookups["late"] - lookups["word-deaf"]) < 0.1, "it should be near the word-deaf network"
assert lookups["gated"] > lookups["late"] + 0.25, "looking should beat late fusion in lookups"
assert mean["late"][0] > 0.6, "late fusion should be above chance in exists"
off = abs(mean["question only"][:3] - [0.5, 0.25, 0.25])
assert off.max() < 0.06, "the question alone should say nothing"

# %% [markdown]
r"""
| design | who builds like this | where it stands |
| --- | --- | --- |
| late | CLIP: two towers, and nothing but a dot product between their vectors | Radford et al., 2021, §2.3 and Figure 3 |
| cross-attention | LXMERT; BLIP: in each block of the text encoder, attention to the patches between self-attention and feed-forward | Tan and Bansal, 2019, §2.2; Li et al., 2022, §3.1 |
| gated | Flamingo; Llama 3.2 Vision, with such a layer after every fourth block of a Llama that stays as it was (the gates are in its code, against which 17.4 was checked) | Alayrac et al., 2022, §2.2; Grattafiori et al., 2024, §7.2 |
| early | LLaVA: patches from a vision encoder, projected, stand among the words; Chameleon: the picture *is* words, codes of one shared vocabulary; VisualBERT | Liu et al., 2023, §4.1; Chameleon Team, 2024, §2.1; Li et al., 2019, §3 |
| cross-attention, then early | BLIP-2: 32 learned queries ask the patches, and what they bring back stands before the words | Li et al., 2023, §3.1 and §3.3 |

Read the columns. *Question only* stands on the dotted lines; that is what our careful questions were made for. The word-deaf and *picture only* are well above them: a colour that is in the picture is a better guess than one that is not. Where words can look at patches, "What colour is the ring?" is a **lookup** (find the ring, read its colour), and that is what attention does by nature; it is learned almost perfectly. Late fusion is in *colour* and *shape* no better than the network that did not hear the word.

Why? The story that comes to mind is that it has to squeeze the picture into one vector *before anyone knows what will be asked*. It is a good story, and we tried it: with the four patches' vectors side by side in place of their mean, nothing squeezed, late fusion got the same 62%. Then perhaps two vectors and a small network cannot find out how they depend on each other? With the product of the two vectors built in it was no better; and with one attention of the question's vector to the patches at the very end, one of five trainings found the lookups and four did not. **We do not know why**, and that is a better state than a good story. Nor is it unable: in a run of some ten times the steps it learned all three kinds: `train(Late, training, 0, steps=2600)`, half a minute or a whole one, if you want to see it. It has the *most* parameters here, and early the fewest.

And in *exists*? The two late models differ by several points, and two others of ours had 78 and 58%: not even the order of late and guess is certain there. **What such comparisons measure is often how easily something trains, not what it can express.** So look at the training as well.
"""

# %%
fig, ax = plots.figure(height=2.6)
for name, colour in zip(["late", "gated", "cross-attention", "early"], plots.PALETTE, strict=False):
    for model in models[name]:
        smooth = np.convolve(model.losses, np.full(10, 0.1), "valid")
        label = name if model is models[name][0] else None
        ax.plot(range(10, len(smooth) + 10), smooth, color=colour, linewidth=1.3, label=label)
ax.axhline((np.log(2) + 2 * np.log(4)) / 3, color=plots.GREY, linestyle=":", linewidth=1.2)
ax.set(xlabel="step", ylabel="loss (mean of 10 steps)", ylim=(0, 2.4))
ax.legend(ncols=4, fontsize=9)
plots.show(
    fig,
    "Training loss over 240 steps, two lines for each design: cross-attention and early are nearly at 0 by step 180, gated is later, late fusion falls slowly all the time. A dotted line marks the loss of guessing within the kind.",
)


# %% tags=["nbval-ignore-output"]
def steps_until(model, loss=0.5):
    """The first step at which the mean loss of ten steps is below this, or None."""
    below = np.convolve(model.losses, np.full(10, 0.1), "valid") < loss
    return int(below.argmax()) + 10 if below.any() else None


needed = {name: [steps_until(model) for model in models[name]] for name in models}
print("steps until the loss is below 0.5:", needed)
assert needed["late"] == [None, None], "late fusion should not get there in this time"
assert min(needed["gated"]) > max(needed["cross-attention"]), "a gate should cost steps"

# %% [markdown]
r"""
The dotted line is the loss of somebody who guesses within the kind. All fall quickly to it (what kind is asked), and slow down. Then those that look find out how: cross-attention first, and the same layers behind a gate later. Late fusion creeps.

### Does it look?

A model that does well with both inputs should do badly when the picture is another scene's. **Predict** the result of shuffling the pictures of the test. And its twin: give each question the *last word* of another of its kind. A model that hears the word must give the answer that belongs to the *new* word (we ask only where there is one). Which one will not, and in which kinds?
"""

# %% tags=["nbval-ignore-output"]
mixed = torch.randperm(len(test["labels"]), generator=torch.Generator().manual_seed(0))
shuffled = test | {"pictures": test["pictures"][mixed]}
for name in ("late", "gated", "cross-attention", "early"):
    share = np.mean([accuracies(model, shuffled)[-1] for model in models[name]])
    print(f"{name:<17}shuffled {share:.0%}, the question alone {mean['question only'][-1]:.0%}")
    assert abs(share - mean["question only"][-1]) < 0.06, "a strange picture should not help"

# %% tags=["nbval-ignore-output"]
last = test["ids"].gather(1, (test["ids"] > 0).sum(1, keepdim=True) - 1)[:, 0]  # (n,)
strange = with_last_words(test, last.roll(3))  # the kinds stand in turn: another of the same kind
asked_for = [question.split()[-1] for _, question, _ in test["rows"]]
instead = asked_for[-3:] + asked_for[:-3]
knows = [scenes.KINDS[KINDS[i % 3]][3] for i in range(len(instead))]
truths = [f(scene, word) for f, (scene, *_), word in zip(knows, test["rows"], instead, strict=True)]
usable = [
    i for i, word in enumerate(instead) if word != asked_for[i] and truths[i] in scenes.ANSWERS
]
labels, kinds = (
    torch.tensor([scenes.ANSWERS.index(truths[i]) for i in usable]),
    test["kinds"][usable],
)
print("questions:", kinds.bincount().tolist())

# %% tags=["nbval-ignore-output"]
heard = {}
for name in ("late", "gated", "cross-attention", "early"):
    given = [answers(model, strange)[usable] for model in models[name]]
    heard[name] = np.mean([by_kind(new == labels, {"kinds": kinds}) for new in given], 0)
    before = np.mean(
        [(answers(m, test) == answers(m, strange))[usable].float().mean() for m in models[name]]
    )
    print(
        f"{name:<17}right for the new word:",
        [f"{x:.0%}" for x in heard[name][:3]],
        f"the old answer again: {before:.0%}",
    )
assert heard["late"][1:3].max() < 0.7, "late fusion should hardly hear the word in lookups"
assert heard["early"][1:3].min() > 0.9, "early fusion should hear it"

# %% [markdown]
r"""
Back to guessing, all of them, with a strange picture (an answer may still be right by luck). So what they knew, they knew from the picture. With a strange word those that look give the answer that belongs to it. Late fusion in *colour* and *shape* mostly does not: it has not learned, in this time, *which* one is asked for. And yet in *exists* it hears the word, about as well as it does anything. Being able to hear "square" is one thing, using it to find something another.

We can watch it, too. The answer is read from `<cls>`. When the first layer that looks is reached, `<cls>` has already heard the question, for the block before let it attend to all words. Which patch does it look at, if the question is "what colour is the **ring**"? We draw its weights over the picture.
"""


# %%
@torch.no_grad()
def first_look(model, ids, pictures):
    """Weights of the first cross-attention, mean over the heads: (B, T, 4)."""
    x, image = model.tokens(ids, pictures)
    x, image = model.blocks[0](x, src_key_padding_mask=ids == 0), model.norm_image(image)
    look = model.looks[0]
    return look.cross_attention(look.norm1(x), image, image)[1]


# %%
colour_questions = [i for i, (_, q, _) in enumerate(test["rows"]) if q.startswith("what colour")]
ids, pictures = test["ids"][colour_questions], test["pictures"][colour_questions]
looks = [first_look(model, ids, pictures)[:, 0] for model in models["cross-attention"]]
weights = looks[0]  # (B, 4), those of <cls> in the first model

# %%
fig, axes = plots.figure(6, rows=2, height=3.2)
for column, i in zip(axes.T, range(6), strict=True):
    spot = weights[i].view(1, 2, 2).repeat_interleave(12, 1).repeat_interleave(12, 2)  # (1, 24, 24)
    column[0].imshow(pictures[i].permute(1, 2, 0))
    column[0].set_title(test["rows"][colour_questions[i]][1].split()[-1] + "?", fontsize=9)
    column[1].imshow((pictures[i] * (0.25 + 0.75 * spot)).permute(1, 2, 0).clamp(0, 1))
for ax in axes.flat:
    ax.axis("off")
plots.show(
    fig,
    "Six pictures, and below each the same, brighter where the model looks more: on the shape that is asked for.",
)

# %% tags=["nbval-ignore-output"]
right_cell = torch.tensor(
    [scenes.where(test["rows"][i][0], test["rows"][i][1].split()[-1])[0] for i in colour_questions]
)
for seed, weights in enumerate(looks):
    hits = (weights.argmax(1) == right_cell).float().mean().item()
    on_it = weights.gather(1, right_cell[:, None]).mean().item()
    print(f"seed {seed}: most on the right thing in {hits:.0%}, with {on_it:.0%} of the weight")
    assert hits > 0.8 and on_it > 0.4, "<cls> should look at what is asked for"

# %% [markdown]
r"""
A spotlight that nobody taught: it was learned from questions and answers alone. In more than nine questions of ten it is brightest on the right thing. One of four would be blind luck; and whoever does not know the word, but takes a thing of whose shape there is only one, would be right in about half. So the next cell is the control: the same pictures, asked about *another* thing in them. The light must move there. (It is nothing special about `<cls>`: in runs of ours the other words of the question looked at the right thing as well.)
"""

# %% tags=["nbval-ignore-output"]
asked_now = [i for i in usable if KINDS[i % 3] == "colour"]  # there is one such thing
new_cell = torch.tensor([scenes.where(test["rows"][i][0], instead[i])[0] for i in asked_now])
for seed, model in enumerate(models["cross-attention"]):
    moved = first_look(model, strange["ids"][asked_now], test["pictures"][asked_now])[:, 0]
    hits = (moved.argmax(1) == new_cell).float().mean().item()
    print(
        f"seed {seed}: another word, most on the thing that *it* names in {hits:.0%} of {len(asked_now)}"
    )
    assert hits > 0.8, "with another word it should look at the other thing"

# %% [markdown]
r"""
### What the gate is for

Take the model that reads questions only, trained, and put gated layers into it. It knows one thing: which *kind* of answer a question wants (yes or no, a colour, a shape). **Predict:** with the gates at 0, how many of its answers change? And with the gates open, so that two layers of random numbers add what they like: how many answers are still of the right kind?
"""

# %% tags=["nbval-ignore-output"]
reader = copy.deepcopy(models["question only"][0])
fits = scenes.of_kind()[test["kinds"]]  # (n, answers), True where an answer is of the kind
with torch.no_grad():
    before = reader(test["ids"], test["pictures"])
torch.manual_seed(0)
reader.looks = nn.ModuleList([GatedCrossAttention(D_MODEL, N_HEADS, D_FF) for _ in range(2)])
for gate in (0.0, 0.1, 1.0, 3.0):
    with torch.no_grad():
        for look in reader.looks:
            look.gate_attention.fill_(gate)
            look.gate_feed_forward.fill_(gate)
        now = reader(test["ids"], test["pictures"])
    same, chosen = torch.equal(now, before), now.argmax(-1, keepdim=True)
    changed = (chosen[:, 0] != before.argmax(-1)).float().mean()
    kept = fits.gather(1, chosen).float().mean()
    print(f"gates {gate}: to the last bit the same: {same}, ", end="")
    print(f"{changed:.0%} other answers, {kept:.0%} of the right kind")
    assert same == (gate == 0), "only closed gates should change nothing"
    assert kept > 0.9, "the kind of answer should survive"
assert changed > 0.1, "open gates should change answers"

# %% tags=["nbval-ignore-output"]
fresh = Gated()
F.cross_entropy(fresh(test["ids"][:64], test["pictures"][:64]), test["labels"][:64]).backward()
look = fresh.looks[0]
behind = look.cross_attention.out_proj.weight.grad
print("gradient of the gate:", f"{look.gate_attention.grad.item():.0e}")
print("largest gradient behind it:", behind.abs().max().item())
assert look.gate_attention.grad.item() != 0 and not behind.any(), "only the gate should learn"

# %% [markdown]
r"""
With closed gates *nothing* has changed, to the last bit. This is what the gate promises, and all of it. Did open gates drown what the reader knew? They did not: the answers are others, but they were guesses within the kind anyway, and the kind is still right. What the words knew passes the new layers on the residual connection. (It had not much to lose, and a fresh layer adds little. When we put two ungated ones into the trained cross-attention model it kept 99 to 100% of its right answers; with weights five times as large, 82 to 88%.) So a fresh layer need not wreck an old model; how much it does, one would have to measure each time. With a closed gate there is nothing to measure.

And the price? In the first step no gradient arrives behind a closed gate, as the second cell shows: only the gate itself learns. One might think that all behind it stays slow. But AdamW divides a gradient by its size, so what lies behind moves as fast as elsewhere from the second step on. What is slow is the *gate*: one number, which with our learning rate can only go so far. **Predict:** how far have the gates of our two gated models opened? What happens if they stand ajar from the beginning, at 0.3? And if they start closed, but may move ten times as fast as the rest?
"""


# %% tags=["nbval-ignore-output"]
def Ajar():
    model = Gated()
    for look in model.looks:
        nn.init.constant_(look.gate_attention, 0.3)
        nn.init.constant_(look.gate_feed_forward, 0.3)
    return model


for seed, model in enumerate(models["gated"]):
    gates = [
        g.item() for look in model.looks for g in (look.gate_attention, look.gate_feed_forward)
    ]
    print(f"seed {seed}, after training:", [f"{gate:.2f}" for gate in gates])
others = {"ajar": train(Ajar, training, 0), "quick gates": train(Gated, training, 0, gate_speed=10)}
for name, model in others.items():
    said = [f"{share:.0%}" for share in accuracies(model, test)]
    print(
        f"{name:<12}{said}, loss below 0.5 after {steps_until(model)} steps; as above {needed['gated']}"
    )
    assert accuracies(model, test)[0] > mean["gated"][0] + 0.05, "it should learn `exists` as well"

# %% [markdown]
r"""
The gates have hardly moved, and with that little opening the model had to make do. Ajar, the same layers learn as well as without gates; and closed at first but quick, nearly so, *and* the promise of the first step is kept. So the price is not the gate, it is one learning rate for everything.

## 8 Questions that give the answer away

Here is another way to make questions, and it looks quite natural: take a scene and ask about something *that is in it*.
"""


# %%
def careless(lots, kind, without=()):
    """Take a scene, and ask about one of its things."""
    question, _, answers, knows = scenes.KINDS[kind]
    while True:
        scene = scenes.random_scene(lots)
        things = [thing for thing in scene if thing is not None]
        if not things or scene in without:
            continue
        shape, colour = lots.choice(things)
        word = colour if kind == "shape" else shape
        if knows(scene, word) in answers:
            return scene, question.format(word), knows(scene, word)


# %% [markdown]
r"""
How far does one come without the picture? No network is needed to find out. Answer each question with what was most often right for *this very question* in training.

### Exercise 17.5 · `question_only_accuracy` ★★ · 10 minutes

- four lists of strings: questions and answers of the training set, questions and answers of the test
- for each test question: the answer that was the most common for it in training (if several are: the one that occurred first among the answers to this question)
- a question that training does not have gets the most common answer of all
- returns the share of right answers in the test, a number from 0 to 1

By hand: training `["a", "a", "a", "b"]` with `["1", "2", "2", "1"]`; test `["a", "c"]` with `["2", "1"]`. To `"a"` the answer is `"2"`, right; `"c"` is new, both answers are equally common, `"1"` came first, right: 1.0.
"""


# %% tags=["answer"]
def question_only_accuracy(train_questions, train_answers, test_questions, test_answers):
    """How often the commonest answer to a question is right: a number from 0 to 1."""
    ### BEGIN SOLUTION
    counts = {}
    for question, answer in zip(train_questions, train_answers, strict=True):
        counts.setdefault(question, Counter())[answer] += 1
    commonest = {question: c.most_common(1)[0][0] for question, c in counts.items()}
    otherwise = Counter(train_answers).most_common(1)[0][0]
    guesses = [commonest.get(question, otherwise) for question in test_questions]
    right = sum(a == b for a, b in zip(guesses, test_answers, strict=True))
    return right / len(test_answers)
    ### END SOLUTION


# %% tags=["check"]
question_only_accuracy = checks.question_only_accuracy(question_only_accuracy)


# %%
def blind(data, other):
    """question_only_accuracy between two data sets."""
    (_, q, a), (_, other_q, other_a) = (
        zip(*data["rows"], strict=True),
        zip(*other["rows"], strict=True),
    )
    return question_only_accuracy(q, a, other_q, other_a)


# %%
tested = {scene for scene, _, _ in test["rows"]}
loose = scenes.make_data(12000, seed=3, ask=careless, without=tested)
known = {scene for scene, _, _ in loose["rows"]}
loose_test = scenes.make_data(1500, seed=4, ask=careless, without=known)
print(f"without the picture, careful questions : {blind(training, test):.0%}")
print(f"without the picture, careless questions: {blind(loose, loose_test):.0%}")

# %% [markdown]
r"""
A table of counts "answers visual questions" without eyes: what is asked about is always there, so *is there a …* is always answered by yes. And a real model falls into the same trap. **Predict:** early fusion, trained on careless questions, looks splendid on the careless test. What will it do on the careful one?
"""

# %% tags=["nbval-ignore-output"]
careless_model = train(Early, loose, seed=0)
on_careless, on_careful = accuracies(careless_model, loose_test), accuracies(careless_model, test)
print(f"{'':<30}" + "".join(f"{kind:>9}" for kind in [*KINDS, "all"]))
rows = {
    "careless test": on_careless,
    "careful test": on_careful,
    "the same, *trained* carefully": mean["early"],
}
for label, row in rows.items():
    print(f"{label:<30}" + "".join(f"{share:>9.0%}" for share in row))
assert on_careless[0] > 0.95 and on_careful[0] < 0.7, "it should never have learned to look"
assert mean["early"][0] > on_careful[0] + 0.2, "careful training should teach it"

# %% [markdown]
r"""
All of *exists* right in one test, half in the other, by always saying yes: for this kind it had no reason to look, so it never learned to. For *colour* and *shape*, where careless questions give nothing away, it looks. The last row is the same design, trained as long, on careful questions: it can learn to look for a square, if guessing does not pay. And mark which test **says so**: the careless one says 100%. This happened to the whole field: in the first large set of visual questions, "yes" was so common that blind models did well, and the set had to be balanced by hand (Goyal et al., 2017). Whenever you read that a model understands pictures, ask what it scores without them.

## Summary

1. Early fusion is one sequence with a vector for each kind, and a mask in the same order. Late fusion joins two finished vectors. Cross-attention lets words ask patches; a gate of tanh(0) makes a new layer do nothing at first.
2. Where something has to be looked up, late fusion did no better than a network that did not hear the word, in the time it had. Words that can look at patches learned to find and to read.
3. A comparison needs controls (each side alone, as an ideal and as a network; shuffled pictures, strange words) and several seeds; and it measures how easily a design trains, as much as what it can do.
4. Closed gates leave an old model exactly as it was. A gate of one number is slow; with a faster rate of its own it costs little.
5. Questions can give their answers away. Count before you train.

**Next:** lesson 18 does what LLaVA does. A picture becomes tokens in the prompt of a language model, which is early fusion with a model that can already talk.

## Further reading

- Alayrac et al., 2022, "Flamingo: a visual language model for few-shot learning": §2.2 and Figure 4, the gated layer.
- Goyal et al., 2017, "Making the V in VQA matter": how questions give answers away, and what balancing them changes.
- Baltrušaitis, Ahuja and Morency, 2019, "Multimodal machine learning: a survey and taxonomy": the chapter on fusion.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
