# %% [markdown]
r"""
# 17 · Fusion

"What colour is the ring?" The question alone does not say. The picture alone does not say what is asked. Only together do they have an answer; so somewhere inside a model, words and pixels must meet. *Where* they meet is the question of this lesson, and there are four classic answers: at the start (**early**), at the end (**late**), in between by **cross-attention**, and in between through a **gate** that is closed at first.

You build all four, on one task that neither words nor picture can solve alone, and put them into one chart with the controls that such a chart needs: a model that sees only the question, one that sees only the picture, and pictures that were shuffled. At the end you will see how a careless question lets a blind model look clever.

**Needs:** attention, masks, encoder blocks (lessons 2 and 4), cross-attention (lesson 5); patches (lesson 15). **Takes:** about 90 minutes. **Exercises:** 17.1 to 17.5.
"""

# %%
import copy
import random
from collections import Counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from utils import data, plots
from utils.checks import lesson17 as checks
from utils.progress import bar

# %% [markdown]
r"""
## 1 A task that needs both

A scene has four cells. In each stands a shape in some colour, or nothing. Cells are 12 × 12 pixels, and each thing stands somewhere in its cell, so that hardly ever are two pictures the same.
"""

# %%
SHAPES = {  # the ink of each, (11, 11)
    "circle": data.icon("circle", 11), "square": data.icon("square", 11),
    "triangle": data.icon("triangle", 11), "ring": data.icon("circle-outline", 11),
}  # fmt: skip
RGB = {
    "red": (0.9, 0.2, 0.2), "green": (0.2, 0.7, 0.3),
    "blue": (0.2, 0.4, 0.9), "yellow": (0.95, 0.8, 0.2),
}  # fmt: skip
COLOURS = list(RGB)
CELL = 12


# %%
def random_scene(lots):
    """Four cells, each None or (shape, colour)."""
    return tuple(
        None if lots.random() < 0.2 else (lots.choice(list(SHAPES)), lots.choice(COLOURS))
        for _ in range(4)
    )


def draw(scene, lots):
    """A picture (3, 24, 24), 1 is white."""
    things = [thing and (SHAPES[thing[0]], RGB[thing[1]]) for thing in scene]
    return data.scene(things, CELL, lots)


# %% [markdown]
r"""
Three kinds of question. *Is there a square?* needs one look for squares. *What colour is the ring?* and *what shape is red?* need more: the colour and the shape of the *same thing*. To know what belongs to what is called **binding**.
"""


# %%
def where(scene, word):
    """The cells whose thing has this shape or colour."""
    return [i for i, thing in enumerate(scene) if thing is not None and word in thing]


def exists(scene, shape):
    return "yes" if where(scene, shape) else "no"


# %%
def colour_of(scene, shape):
    found = where(scene, shape)
    return scene[found[0]][1] if len(found) == 1 else None


# %%
def shape_of(scene, colour):
    found = where(scene, colour)
    return scene[found[0]][0] if len(found) == 1 else None


# %%
KINDS = {  # kind: (question, what may be asked for, answers, who knows)
    "exists": ("is there a {}", list(SHAPES), ["yes", "no"], exists),
    "colour": ("what colour is the {}", list(SHAPES), COLOURS, colour_of),
    "shape": ("what shape is {}", COLOURS, list(SHAPES), shape_of),
}
ANSWERS = ["yes", "no", *COLOURS, *SHAPES]


# %%
def careful(lots, kind, without=()):
    """Choose question AND answer first, then look for a new scene that makes it true."""
    question, words, answers, knows = KINDS[kind]
    word, answer = lots.choice(words), lots.choice(answers)
    while True:
        scene = random_scene(lots)
        if scene not in without and knows(scene, word) == answer:
            return scene, question.format(word), answer


# %% [markdown]
r"""
Why this way round? Had we drawn the scene first and then asked about it, some answers would be more common than others, and a model could do well without looking. Section 8 shows how well. Here, whatever is asked, every answer is equally likely.
"""

# %%
QUESTIONS = [("<cls> " + q.format(word)).split() for q, words, _, _ in KINDS.values() for word in words]
VOCAB = data.vocabulary(QUESTIONS)
T = 6  # <cls> and at most five words


# %%
def make_data(n, seed, ask=careful, without=()):
    """n questions with pictures of scenes that are not in `without`; all kinds equally often."""
    lots, places, rows = random.Random(seed), np.random.default_rng(seed), []
    while len(rows) < n:
        rows.append(ask(lots, list(KINDS)[len(rows) % len(KINDS)], without))
    pictures = np.stack([draw(scene, places) for scene, _, _ in rows])
    questions = [["<cls>", *question.split()] for _, question, _ in rows]
    return {
        "rows": rows,
        "ids": data.word_ids(questions, VOCAB, T),  # (n, T)
        "pictures": torch.tensor(pictures),  # (n, 3, 24, 24)
        "labels": torch.tensor([ANSWERS.index(answer) for _, _, answer in rows]),  # (n,)
    }


# %%
training = make_data(12000, seed=1)
seen = {scene for scene, _, _ in training["rows"]}
test = make_data(1500, seed=2, without=seen)
print(
    len(training["rows"]),
    "questions for training,",
    len(test["rows"]),
    "about scenes that are in none of them",
)

# %%
titles = [f"{question}?\n{answer}" for _, question, answer in test["rows"][:6]]
plots.show(
    plots.gallery(test["pictures"][:6], titles, columns=6),
    "Six small pictures of coloured shapes, each with a question and its answer above.",
)

# %% [markdown]
r"""
## 2 Tokens of both kinds

One cell is one patch, so a picture is four tokens, and a question is six, padding included.
"""

# %%
D_MODEL, N_HEADS, D_FF = 64, 4, 128


class Tokens(nn.Module):
    """Questions (B, T) and pictures (B, 3, 24, 24) -> text (B, T, d_model), image (B, 4, d_model)."""

    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(len(VOCAB), D_MODEL)
        nn.init.normal_(self.word.weight, std=0.1)
        self.place = nn.Parameter(0.02 * torch.randn(T, D_MODEL))
        self.patch = nn.Linear(3 * CELL * CELL, D_MODEL)
        self.cell = nn.Parameter(0.02 * torch.randn(4, D_MODEL))

    def forward(self, ids, pictures):
        text = self.word(ids) + self.place  # (B, T, d_model)
        patches = F.unfold(1 - pictures, CELL, stride=CELL).transpose(1, 2)  # (B, 4, 432)
        return text, self.patch(patches) + self.cell


def block():
    return nn.TransformerEncoderLayer(
        D_MODEL, N_HEADS, D_FF, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


def encoder():
    """Two blocks and a norm, for x (B, T, d_model) with src_key_padding_mask (True is hidden)."""
    return nn.TransformerEncoder(block(), 2, norm=nn.LayerNorm(D_MODEL), enable_nested_tensor=False)


# %% [markdown]
r"""
Follow the *question* on its way from left to right. Where does the picture come in?
"""

# %%
early = ["words\nand patches", "+attention among all", "+feed-forward", "answer"]
late = ["words", "+attention\namong words", "+feed-forward", "patches'\nvector joins", "answer"]
cross = ["words", "+attention\namong words", "+attention\nto patches", "+feed-forward", "answer"]
fig, axes = plots.figure(1, rows=3, height=5.0)
plots.stream(axes[0], "early: at the start, one sequence", early)
plots.stream(axes[1], "late: at the end; the patches have had an encoder of their own", late)
plots.stream(
    axes[2], "cross-attention: in between (with a gate: what is added is scaled down)", cross
)
plots.show(
    fig,
    "Three streams: patches stand beside the words from the start; join at the end; or are asked in the middle.",
)

# %% [markdown]
r"""
## 3 Early fusion

The simplest idea of all: write the words and the patches one after the other, and let one encoder sort it out. Two things must be right. The model has to know which tokens are words and which are patches: each kind gets a learned vector added (as BERT marks its two sentences). And the mask of the padding must be built **in the same order as the tokens**. If it is not, nothing fails: the model is merely somewhat worse, because it cannot see one of the patches (and only where a question is short enough to have padding). Nobody finds such a bug by looking at the loss.

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

- x = `text` + what `cross_attention` finds: queries `norm1(text)`, keys and values `image` (as it is)
- result = x + `feed_forward(norm2(x))`
- `image_mask`: `(B, N)` bool, True for real patches, or None; remember that `key_padding_mask` is True where something is **hidden**
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

Now suppose that the words' model exists already: large, trained for months, able to talk. Put freshly drawn cross-attention layers between its blocks, and what it has learned is drowned in noise. Flamingo (Alayrac et al., 2022, §2.2) has a simple remedy: whatever a new layer wants to add is multiplied by **tanh of a gate** that starts at 0. On the first day nothing is added, and the model is *exactly* the old one. Training opens the gates, as far as it pays.

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

All designs get the same pictures, the same number of steps, and two seeds each. Two controls get only one side: a `Reader` that never looks, and an early fusion whose questions are empty. (They get 60 steps, the others 140. With 140 the picture alone gained four points when we tried, and nothing changed.)

**Predict** the order, and on which kind of question late fusion will fall behind most.
"""


# %%
def train(build, data, seed, steps=140, batch=128, lr=3e-3):
    """A trained model; warm-up, flat, then down in a straight line over the last half."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # for so small a model one thread is as fast as two, and steadier
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01, fused=True)
    factor = lambda i: min((i + 1) / 40, 1.0, 2 * (steps - i) / steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    for _ in range(steps):
        rows = torch.randint(len(data["labels"]), (batch,))
        loss = F.cross_entropy(
            model(data["ids"][rows], data["pictures"][rows]), data["labels"][rows]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


# %%
@torch.no_grad()
def answers(model, data):
    return model(data["ids"], data["pictures"]).argmax(-1)  # (B,)


# %%
def accuracies(model, data):
    """Share of right answers for each kind of question, and for all: a list of 4."""
    right = (answers(model, data) == data["labels"]).float()
    kinds = torch.arange(len(right)) % len(KINDS)
    return [right[kinds == k].mean().item() for k in range(len(KINDS))] + [right.mean().item()]


# %%
def without_question(data):
    ids = torch.zeros_like(data["ids"])
    ids[:, 0] = VOCAB["<cls>"]
    return data | {"ids": ids}


# %% tags=["nbval-ignore-output"]
DESIGNS = {
    "question only": Reader,
    "picture only": Early,
    "late": Late,
    "gated": Gated,
    "cross-attention": Cross,
    "early": Early,
}
results, models = {}, {}
for name in bar(DESIGNS, "training"):
    change = without_question if name == "picture only" else dict
    steps = 60 if "only" in name else 140
    models[name] = [train(DESIGNS[name], change(training), seed, steps) for seed in range(2)]
    results[name] = np.array([accuracies(model, change(test)) for model in models[name]])  # (2, 4)
print(f"{'':<18}" + "".join(f"{kind:>9}" for kind in [*KINDS, "all"]))
for name, shares in results.items():
    print(f"{name:<18}" + "".join(f"{share:>9.0%}" for share in shares.mean(0)))
for name in ("early", "cross-attention", "gated", "late"):
    print(f"{name:<18}{sum(p.numel() for p in models[name][0].parameters()):,} parameters")

# %%
def interval(share, n):
    """What to take from and add to a share of n test questions for its 95% interval (Wilson, 1927)."""
    middle = (share + 1.92 / n) / (1 + 3.84 / n)
    half = np.sqrt(share * (1 - share) / n + 0.96 / n**2) * 1.96 / (1 + 3.84 / n)
    return np.stack([share - middle + half, middle + half - share])  # (2, ...)


# %%
fig, axes = plots.figure(4, height=2.8, sharey=True)
shares = np.stack(list(results.values()))  # (6, 2, 4)
colours = [plots.GREY if "only" in name else plots.BLUE for name in results]
for k, (ax, kind) in enumerate(zip(axes, [*KINDS, "all"], strict=True)):
    means = shares[:, :, k].mean(1)  # (6,)
    half = interval(means, len(test["rows"]) // (len(KINDS) if kind in KINDS else 1))
    ax.barh(range(6), means, xerr=half, color=colours, ecolor=plots.ORANGE, height=0.7)
    ax.plot(shares[:, :, k], range(6), "o", color=plots.BLACK, markersize=2.5)
    if kind in KINDS:
        ax.axvline(1 / len(KINDS[kind][2]), color=plots.RED, linestyle=":", linewidth=1.5)
    ax.set(title=kind, xlim=(0, 1.02), xticks=[0, 1], yticks=range(6), yticklabels=list(results))
plots.show(
    fig,
    "Accuracy by kind of question and design, two dots for two seeds: in colour and shape early, cross-attention and gated are far ahead of late fusion; the question alone is at chance, and the picture alone hardly better in any kind.",
)

# %%
mean = {name: shares.mean(0) for name, shares in results.items()}
best_alone = max(mean["question only"][-1], mean["picture only"][-1])
best = max(mean[name][-1] for name in ("early", "cross-attention", "gated"))
print("the best fusion is at least 40 points above the best single side:", best - best_alone > 0.4)
lookups = {name: row[1:3].mean() for name, row in mean.items()}  # colour and shape
print(
    "late fusion is at least 25 points behind where one has to look up:",
    lookups["early"] - lookups["late"] > 0.25,
)
assert best - best_alone > 0.4 and lookups["early"] - lookups["late"] > 0.25
assert mean["late"][0] > 0.6 and mean["gated"][-1] < mean["cross-attention"][-1]

# %% [markdown]
r"""
The dotted line is guessing within the kind. Two kinds of luck are drawn: the orange bars are 95% intervals for the luck of the *test* (500 questions of each kind), the two dots for the luck of the *training* (two throws are few).

Read the columns. The question alone gets as far as guessing within the right kind of answer; that is what our careful questions were made for. The picture alone does not even know the kind: what it wins in *colour* it loses in the other two, for it can only put its bets on one kind of answer. And *colour* and *shape* say **why** the others differ. "What colour is the ring?" is a **lookup**: find the ring, read its colour. Where words can look at patches, that is what attention does by nature, and it is learned almost perfectly. **Late fusion** must squeeze the picture into one vector *before anyone knows what will be asked*: red, blue, ring and square are all in it, but which belongs to which is hard to keep. It does better than guessing (a colour that is in the picture is a better guess than one that is not), and stays far behind. In *exists*, where nothing has to be kept together, it holds its own: well above guessing, and on our run ahead of the gated model.

We first had a fourth kind, *is there a blue square?*, asked only when something is blue and something is square. At that every design was still near guessing after as many steps, and next to it *exists* too was learned more slowly. So we left it out; put it back, if you have the time, with three times the steps.

Do not read too much into a chart like this. Late fusion has the *most* parameters here and early the fewest. *Exists* was announced as the easy kind, and the two designs that look from the words are far from done with it: to find *nothing* is harder for attention than to find something, since its weights always sum to 1. In a run of 300 steps both reached 99%. In a run of ten times the steps late fusion did, so it is slow rather than incapable. And with half the batch, or a third of the learning rate, early fusion ended near 85%, in the middle of the bars above. **What such comparisons measure is often how easily something trains, not what it can express.**

### Does it look?

A model that does well with both inputs should do badly when the picture is another scene's. **Predict** the result of shuffling the pictures of the test.
"""

# %% tags=["nbval-ignore-output"]
mixed = torch.randperm(len(test["labels"]), generator=torch.Generator().manual_seed(0))
shuffled = test | {"pictures": test["pictures"][mixed]}
for name in ("late", "cross-attention", "early"):
    share = np.mean([accuracies(model, shuffled)[-1] for model in models[name]])
    print(f"{name:<17}shuffled {share:.0%}, the question alone {mean['question only'][-1]:.0%}")
    assert abs(share - mean["question only"][-1]) < 0.06

# %% [markdown]
r"""
Back to guessing, all of them (an answer may still be right by luck). So what they knew, they knew from the picture.

We can watch it, too. In cross-attention, which patch does the *last word* of the question look at, in the first layer that looks? "What colour is the **ring**": we draw its weights over the picture.
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
last = (ids > 0).sum(1) - 1  # place of the last word, (B,)
weights = first_look(models["cross-attention"][0], ids, pictures)[
    torch.arange(len(ids)), last
]  # (B, 4)

# %%
fig, axes = plots.figure(6, rows=2, height=3.2)
for column, i in zip(axes.T, range(6), strict=True):
    spot = (
        weights[i].view(1, 2, 2).repeat_interleave(CELL, 1).repeat_interleave(CELL, 2)
    )  # (1, 24, 24)
    column[0].imshow(pictures[i].permute(1, 2, 0))
    column[0].set_title(test["rows"][colour_questions[i]][1].split()[-1] + "?", fontsize=9)
    column[1].imshow((pictures[i] * (0.25 + 0.75 * spot)).permute(1, 2, 0).clamp(0, 1))
for ax in axes.flat:
    ax.axis("off")
plots.show(
    fig,
    "Six pictures, and below each the same, brighter where the asked word looks more: on the shape that is asked for.",
)

# %% tags=["nbval-ignore-output"]
right_cell = torch.tensor(
    [where(test["rows"][i][0], test["rows"][i][1].split()[-1])[0] for i in colour_questions]
)
hits = (weights.argmax(1) == right_cell).float().mean().item()
on_it = weights.gather(1, right_cell[:, None]).mean().item()
print(
    f"the word looks at its thing most in {hits:.0%} of the questions, with {on_it:.0%} of its weight"
)
assert hits > 0.6

# %% [markdown]
r"""
A spotlight that nobody taught. It is on the right thing in nearly every question, with about two thirds of its weight, where an even one would have a quarter on each. The word has learned to find its shape among four patches from questions and answers alone. (Do not look at the second look's last word: from there no way leads to `<cls>`, from which the answer is read, so its weights can be anything.)

### What the gate is for

Take the model that reads questions only, trained, and put gated layers into it.
"""

# %% tags=["nbval-ignore-output"]
reader = copy.deepcopy(models["question only"][0])
before = answers(reader, test)
with torch.no_grad():
    logits = reader(test["ids"], test["pictures"])
torch.manual_seed(0)
reader.looks = nn.ModuleList([GatedCrossAttention(D_MODEL, N_HEADS, D_FF) for _ in range(2)])
with torch.no_grad():
    print(
        "gates 0: logits the same to the last bit:",
        torch.equal(reader(test["ids"], test["pictures"]), logits),
    )
    assert torch.equal(reader(test["ids"], test["pictures"]), logits)
    for gate in (0.1, 1.0):
        for look in reader.looks:
            look.gate_attention.fill_(gate)
            look.gate_feed_forward.fill_(gate)
        changed = (answers(reader, test) != before).float().mean().item()
        print(f"gates {gate}: {changed:.0%} of the answers are others")
assert changed > 0.1

# %% [markdown]
r"""
With closed gates *nothing* has changed, to the last bit; with open ones many answers are others, for no reason at all. (Here they were guesses anyway. In a model that can talk, every word would be at stake.) That is the gate's whole service. It has a price, which you saw in the chart: while a gate is nearly closed, what lies behind it gets hardly any gradient, so the gated model learns more slowly than the one without. Whoever has no old model to protect needs no gate.

## 8 Questions that give the answer away

Here is another way to make questions, and it looks quite natural: take a scene and ask about something *that is in it*.
"""


# %%
def careless(lots, kind, without=()):
    """Take a scene, and ask about one of its things."""
    question, _, answers, knows = KINDS[kind]
    while True:
        scene = random_scene(lots)
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
loose = make_data(12000, seed=3, ask=careless, without={scene for scene, _, _ in test["rows"]})
loose_test = make_data(1500, seed=4, ask=careless, without={scene for scene, _, _ in loose["rows"]})
print(f"without the picture, careful questions : {blind(training, test):.0%}")
print(f"without the picture, careless questions: {blind(loose, loose_test):.0%}")

# %% [markdown]
r"""
A table of counts "answers visual questions" without eyes: what is asked about is always there, so *is there a …* is always answered by yes. And a real model falls into the same trap. **Predict:** early fusion, trained on careless questions, looks splendid on the careless test. What will it do on the careful one?
"""

# %% tags=["nbval-ignore-output"]
careless_model = train(Early, loose, seed=0)
on_careless, on_careful = accuracies(careless_model, loose_test), accuracies(careless_model, test)
print(f"{'':<20}" + "".join(f"{kind:>9}" for kind in [*KINDS, "all"]))
rows = {
    "careless test": on_careless,
    "careful test": on_careful,
    "(trained carefully)": mean["early"],
}
for label, row in rows.items():
    print(f"{label:<20}" + "".join(f"{share:>9.0%}" for share in row))
assert on_careless[0] > 0.95 and on_careful[0] < 0.7 and mean["early"][0] > on_careful[0] + 0.2

# %% [markdown]
r"""
All of *exists* right in one test, a coin toss in the other: for this kind it had no reason to look, so it never learned to. For *colour* and *shape*, where careless questions give nothing away, it looks. The last row is the same design, trained as long, on careful questions: it can learn to look for a square, if guessing does not pay. And mark which test **says so**: the careless one says 100%. This happened to the whole field: in the first large set of visual questions, "yes" was so common that blind models did well, and the set had to be balanced by hand (Goyal et al., 2017). Whenever you read that a model understands pictures, ask what it scores without them.

## Summary

1. Early fusion is one sequence with a vector for each kind, and a mask in the same order. Late fusion joins two finished vectors. Cross-attention lets words ask patches; a gate of tanh(0) makes a new layer do nothing at first.
2. Late fusion has to squeeze the picture before it knows the question, and falls behind where something has to be looked up.
3. A comparison needs controls (each side alone, shuffled pictures) and several seeds; and it measures how easily a design trains, as much as what it can do.
4. Zero gates keep an old model exactly as it was, and learn more slowly.
5. Questions can give their answers away. Count before you train.

**Next:** lesson 18 does what LLaVA does. A picture becomes tokens in the prompt of a language model, which is early fusion with a model that can already talk.

## Further reading

- Alayrac et al., 2022, "Flamingo: a visual language model for few-shot learning": §2.2 and Figure 4, the gated layer.
- Goyal et al., 2017, "Making the V in VQA matter": how questions give answers away, and what balancing them changes.
- Baltrušaitis, Ahuja and Morency, 2019, "Multimodal machine learning: a survey and taxonomy": the chapter on fusion.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
