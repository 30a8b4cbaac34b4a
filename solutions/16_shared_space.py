# %% [markdown]
r"""
# 16 · A shared space

Pictures and words have nothing in common: one is a grid of brightness, the other a row of symbols. In 2021 CLIP (Radford et al.) put both into *one* space, where a picture lies close to the words that describe it. It needs no labels, only pairs, and one loss. What comes out can search pictures by typing, and recognise things that nobody ever labelled.

You build it here on 7,418 icons and their names. You will see the most common way of fooling oneself with such data, and measure what it is worth. And at the end the same loss, without a change, learns to find *code* from a description of what it does.

**Needs:** softmax and cross-entropy; a Transformer encoder (lesson 4). **Takes:** about 90 minutes. **Exercises:** 16.1 to 16.5.
"""

# %%
import ast
import math
import re
import sysconfig
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.colors import to_rgb
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.manifold import TSNE
from sklearn.model_selection import GroupShuffleSplit
from sklearn.preprocessing import MinMaxScaler
from torch import nn

from utils import data, plots
from utils.checks import lesson16 as checks
from utils.progress import bar

torch.set_printoptions(precision=2, sci_mode=False)

# %% [markdown]
r"""
## 1 Icons and their names

Material Design Icons are 7,447 drawings whose names are put together from words: `account-arrow-down`, `home-clock`, `shield-star-outline`. We draw each at 24 × 24 pixels. A few drawings occur under two names (the letter O and the digit 0), so we keep one name for each picture.
"""

# %%
drawings = {}
for name in data.icon_names():
    drawings.setdefault(data.icon(name, 24).tobytes(), name)
names = list(drawings.values())
icons = torch.stack([torch.frombuffer(bytearray(d), dtype=torch.float32) for d in drawings])
icons = icons.view(-1, 1, 24, 24)  # (N, 1, 24, 24), 1 is ink
print(tuple(icons.shape))


# %%
def show_icons(rows, alt):
    """rows: label -> numbers of icons, as many for each label; one row of pictures for each.

    A frame and a ✓ where all words of the label are in the icon's name."""
    shown = [(label, names[i]) for label, found in rows.items() for i in found]
    columns = len(shown) // len(rows)
    pictures = [data.icon(name, 72) for _, name in shown]
    fig = plots.gallery(pictures, columns=columns, labels=list(rows))
    fig.set_figheight(fig.get_figheight() + 0.4)  # long names take two lines
    for ax, (label, name) in zip(fig.axes, shown, strict=True):
        hit = label.strip() and set(label.split()) <= set(name.split("-"))
        short = textwrap.fill("✓ " * bool(hit) + name, 80 // columns)
        ax.set_title(short, fontsize=9.5, loc="center", weight="bold" if hit else "normal")
        if hit:
            ax.spines[:].set(visible=True, color=plots.GREEN, linewidth=3)
    plots.show(fig, alt)


# %%
some = ["account-arrow-down", "home-clock", "shield-star-outline", "cat", "robot-happy"]
show_icons({"": [names.index(name) for name in some]}, "Five icons with their names above them.")

# %% [markdown]
r"""
## 2 Close and far

Two **towers** will turn pictures and names into vectors of the same width. What does *close* mean there? The dot product would favour long vectors; a model could make everything close to everything by growing. So only directions count: the **cosine**.

### Exercise 16.1 · `similarity` ★ · 5 minutes

The cosine of every row of `a` with every row of `b`.

- `a`: `(N, d)`, `b`: `(M, d)`
- returns `(N, M)`; a row of zeros has the cosine 0 with everything, and no nan in its gradient either
- PyTorch operations only, nothing in place: gradients must pass, here and in the loss

By hand: `a = [[3., 4.]]`, `b = [[1., 0.], [6., 8.]]` give `[[0.6, 1.0]]`.
"""


# %% tags=["answer"]
def similarity(a, b):
    """Cosines of all pairs of rows: (N, d) and (M, d) -> (N, M)."""
    ### BEGIN SOLUTION
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T
    ### END SOLUTION


# %% tags=["check"]
similarity = checks.similarity(similarity)

# %% [markdown]
r"""
## 3 The loss

Take a batch of N pairs, compute all N × N cosines. On the diagonal stand the pairs that belong together. Now read **each row as a multiple-choice question**: this picture, which of the N names is its own? That is a classification with N classes, so the loss is cross-entropy, and the right answer of row i is i. Read **each column** the same way: this name, which of the pictures? CLIP's loss is the mean of both (Radford et al., 2021, Figure 3). It is called contrastive, or **InfoNCE** (van den Oord et al., 2018, §2.3).

One thing is missing. Cosines lie between -1 and 1. The best possible row, 1 for the right name and -1 for 255 others, gives the right one a softmax of only e¹/(e¹ + 255·e⁻¹) = 0.03. So the cosines are multiplied by a **scale** (one over the temperature) that is learned along with the rest, as its logarithm, so that it stays positive.

### Exercise 16.2 · `info_nce` ★★ · 12 minutes

- `image`, `text`: `(N, d)`, *not* normalised; row i of one belongs to row i of the other
- `log_scale`: a scalar tensor; the cosines are multiplied by `log_scale.exp()`, however large it is
- returns a scalar: the mean of the two cross-entropies, along rows and along columns (0 for a single pair)

By hand: for two pairs at right angles, cosines `[[1, 0], [0, 1]]`, and `log_scale = 0`, each question has the loss log(1 + e⁻¹) = 0.313, and so has the mean.
"""


# %% tags=["answer"]
def info_nce(image, text, log_scale):
    """CLIP's loss for N pairs: (N, d), (N, d), scalar -> scalar."""
    ### BEGIN SOLUTION
    logits = log_scale.exp() * similarity(image, text)  # (N, N)
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    ### END SOLUTION


# %% tags=["check"]
info_nce = checks.info_nce(info_nce)

# %% [markdown]
r"""
What does the loss say before anything is learned? And how low can it get? **Predict** both for a batch of 256: first for vectors drawn by lot (scale 1), then for perfect vectors (scale 100). And a third number: perfect vectors, but every caption stands in the batch *twice*, each time with its picture.
"""

# %%
torch.manual_seed(0)
lots = torch.randn(256, 128)
perfect = torch.eye(256)
twice = perfect[torch.arange(256) // 2]  # pairs 0 and 1 are the same, 2 and 3, ...
costs = {
    "drawn by lot": info_nce(lots, torch.randn(256, 128), torch.tensor(0.0)),
    "perfect": info_nce(perfect, perfect, torch.tensor(100.0).log()),
    "perfect, captions twice": info_nce(twice, twice, torch.tensor(100.0).log()),
}
for label, loss in costs.items():
    print(f"{label:<25}{loss.item():.2f}")
print(f"log 256 = {math.log(256):.2f}, log 2 = {math.log(2):.2f}")

# %% [markdown]
r"""
Guessing among 256 costs log 256. Perfect costs nothing. But where a caption repeats in the batch, the loss asks to tell apart what cannot be told apart, and calls a right answer wrong: it cannot fall below log 2 (two equal captions can get at most one half each). Nothing is wrong with the vectors then, and yet the loss looks as if there were. Names like ours are nearly all different. With captions from the web (or docstrings: section 8) look out for it.

## 4 Who may be in the test?

Before we train, we take icons out for a test. The obvious way is to draw 500 by lot. Look at what then stays in training:
"""

# %%
shields = [i for i, name in enumerate(names) if name.startswith("shield-lock")]
robots = [names.index(f"robot{end}") for end in ("", "-outline", "-off", "-off-outline")]
show_icons(
    {"": shields, " ": robots},
    "Shields with a lock, filled, open and as outlines; a robot, its outline, and both crossed out.",
)

# %% [markdown]
r"""
If `robot-outline` is in the test and `robot` in training, the model need not understand anything: it only has to find the picture that is almost the same. Icons come in **families**, and a family must stay together, all in training or all in the test. A family is what has the same name but for a *suffix*.

### Exercise 16.3 · `family` ★★ · 8 minutes

- `name`: words joined by hyphens; `suffixes`: a set of words
- returns the name without its trailing words that are suffixes, however many; its first word always stays
- a suffix word in the middle stays; only whole words count

By hand: with the suffixes `{"off", "outline"}`, `"robot-off-outline"` gives `"robot"`, `"off"` stays `"off"`, and `"power-off-button"` stays as it is.
"""


# %% tags=["answer"]
def family(name, suffixes):
    """The name without its trailing suffix words: str, set of str -> str."""
    ### BEGIN SOLUTION
    words = name.split("-")
    while len(words) > 1 and words[-1] in suffixes:
        words.pop()
    return "-".join(words)
    ### END SOLUTION


# %% tags=["check"]
family = checks.family(family)

# %%
SUFFIXES = set(
    """outline off variant plus minus check remove alert box circle multiple lock edit open
clock search settings cog marker sync star refresh account question cancel heart up down left right
top bottom vertical horizontal thick thin bold all on auto full empty low medium high one many network
wireless bluetooth square triangle close closed light dark half small large key eye wrench pause play
stop export import arrow percent ascending descending end start 1 2 3 4 5 6 7 8 9 10 20 30 40 50 60 70
80 90 100 a b c d e f g h i j k l m n o p q r s t u v w x y z""".split()
)

families = {}
for i, name in enumerate(names):
    families.setdefault(family(name, SUFFIXES), []).append(i)
print(len(names), "icons in", len(families), "families; the largest:")
for label in sorted(families, key=lambda f: -len(families[f]))[:4]:
    print(f"   {label:<10}{len(families[label])}")

# %% [markdown]
r"""
Now two tests of 500 icons each, and one training set:

- **clean**: whole families. No member of theirs is in training. (All their *words* are, in names of other families: a word that was never read cannot be understood by anyone.)
- **leaky**: drawn by lot from those of the rest that have siblings, others of their family, of which at least one stays in training.

One model will be trained, and take both tests.
"""


# %%
def take_clean(families, lots, n):
    """n icons in whole families, which are taken out of `families`; their words occur elsewhere."""
    # count[w]: in how many families that are still there the word occurs
    words = {
        f: {w for i in members for w in names[i].split("-")} for f, members in families.items()
    }
    count = Counter(w for f in words for w in words[f])
    taken = []
    for f in lots.permutation(list(families)).tolist():
        if len(taken) + len(families[f]) <= n and all(count[w] > 1 for w in words[f]):
            taken += families.pop(f)
            count.subtract(words[f])
    return taken


# %%
def take_leaky(families, lots, n):
    """n icons whose siblings stay; they too are taken out of `families`."""
    taken = []
    for i in lots.permutation([i for members in families.values() for i in members]).tolist():
        members = families[family(names[i], SUFFIXES)]
        if len(taken) < n and len(members) > 1:
            members.remove(i)
            taken.append(i)
    return taken


# %%
by_lot = np.random.default_rng(0)
kept = {f: list(members) for f, members in families.items()}  # what is taken out is gone from here
clean, leaky = take_clean(kept, by_lot, 500), take_leaky(kept, by_lot, 500)
training = sorted(i for members in kept.values() for i in members)
print(len(training), "in training,", len(clean), "clean,", len(leaky), "leaky")
assert not {family(names[i], SUFFIXES) for i in clean} & set(kept)

# %% [markdown]
r"""
## 5 Two towers

The picture's tower is a small convolutional network; the name's tower one Transformer block over its words, and then their mean. (A ViT for the pictures would be more in the spirit of this course. We tried: with 6,400 pictures and half a minute it learns far less than the convolutions, which need not be taught that a shape stays the same when it moves; Dosovitskiy et al., 2021, §4.3, found the same with far larger data.) Both end in 128 numbers.
"""


# %%
class ImageTower(nn.Module):
    """Icons (B, 1, 24, 24) -> (B, d_shared)."""

    def __init__(self, widths=(32, 64, 192), d_shared=128):
        super().__init__()
        layers = []
        for d_in, d_out in zip((1, *widths), widths, strict=False):  # 24 -> 12 -> 6 -> 3
            layers += [
                nn.Conv2d(d_in, d_out, 3, stride=2, padding=1),
                nn.BatchNorm2d(d_out),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 9, d_shared))

    def forward(self, x):
        return self.layers(x)


class TextTower(nn.Module):
    """Words as numbers (B, T), 0 is padding -> (B, d_shared)."""

    def __init__(self, vocab_size, T=6, d_model=128, d_shared=128):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, d_model, padding_idx=0)
        self.position = nn.Parameter(torch.zeros(T, d_model))
        self.block = nn.TransformerEncoderLayer(
            d_model, 4, 2 * d_model, batch_first=True, norm_first=True
        )
        self.project = nn.Linear(d_model, d_shared)

    def forward(self, ids):
        real = ids > 0  # (B, T)
        x = self.embed(ids) + self.position  # (B, T, d_model)
        x = self.block(x, src_key_padding_mask=~real)
        mean = (x * real[..., None]).sum(1) / real.sum(
            1, keepdim=True
        )  # (B, d_model), real words only
        return self.project(mean)


# %%
captions = [name.split("-") for name in names]
vocab = data.vocabulary(captions[i] for i in training)
caption_ids = data.word_ids(captions, vocab, 6)  # (N, T); 0 is padding, 1 an unknown word
print(len(vocab), "words; the first caption:", captions[0], caption_ids[0].tolist())

# %% [markdown]
r"""
The learned scale starts at 1/0.07 and may not pass 100, as in CLIP (§2.5). Two tricks that are usual against learning by heart: each picture is shifted by up to two pixels, each time anew; and one word in twenty is replaced by `<unk>`, so that the model has at least met a word that it does not know. (Whether they help *here* is another question: without both, two runs of ours were no worse.)
"""


# %%
def shifted(x, most=2):
    """Every picture moved by up to `most` pixels, each its own way: (B, 1, size, size)."""
    B, size = len(x), x.shape[-1]
    padded = F.pad(x, [most] * 4)
    rows = torch.randint(2 * most + 1, (B, 1, 1)) + torch.arange(size)[:, None]  # (B, size, 1)
    columns = torch.randint(2 * most + 1, (B, 1, 1)) + torch.arange(size)  # (B, 1, size)
    return padded[torch.arange(B)[:, None, None], 0, rows, columns][:, None]


# %%
def forget(ids, share=0.05):
    """Some words become <unk>."""
    return ids.masked_fill((torch.rand(ids.shape) < share) & (ids > 0), 1)


# %%
def train(a_tower, b_tower, a, b, epochs, augment=lambda a, b: (a, b), batch=256):
    """Pull pairs together; returns the loss of every step."""
    torch.set_num_threads(1)  # for so small a model one thread is as fast as two, and steadier
    log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())
    weights = {*a_tower.parameters(), *b_tower.parameters(), log_scale}  # shared ones once
    optimizer = torch.optim.AdamW(weights, lr=4e-3, weight_decay=0.05, fused=True)
    steps = epochs * (len(a) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps, pct_start=0.1)
    losses, order = [], []
    for _ in bar(range(steps), "training"):
        order = order if len(order) >= batch else torch.randperm(len(a))  # a new epoch
        chosen, order = order[:batch], order[batch:]
        x, y = augment(a[chosen], b[chosen])
        loss = info_nce(a_tower(x), b_tower(y), log_scale.clamp(max=math.log(100)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


# %%
def pair_table(chosen):
    """Cosines of names (rows) and icons (columns) by the two towers as they are now: (N, N)."""
    with torch.no_grad():
        vectors = text_tower.eval()(caption_ids[chosen]), image_tower.eval()(icons[chosen])
    return similarity(*vectors)


torch.manual_seed(0)
image_tower, text_tower = ImageTower(), TextTower(len(vocab))
one_each = {family(names[i], SUFFIXES): i for i in clean if len(names[i]) < 16}
few = list(one_each.values())[:14]  # test pairs of 14 different families
before = pair_table(few)

# %% tags=["nbval-ignore-output"]
augment = lambda x, ids: (shifted(x), forget(ids))  # noqa: E731
losses = train(
    image_tower.train(), text_tower.train(), icons[training], caption_ids[training], 12, augment
)
print(f"loss {losses[0]:.2f} -> {np.mean(losses[-25:]):.2f}")
assert np.mean(losses[-25:]) < 2, "The loss should come below 2: has the training run to its end?"

# %%
fig, ax = plots.figure(height=2.5)
ax.plot(losses)
ax.axhline(math.log(256), color=plots.GREY, linestyle="--", linewidth=1)
ax.text(300, math.log(256) + 0.2, "drawn by lot: log 256", ha="right", color="dimgrey")
ax.set(xlabel="step", ylabel="loss", ylim=(0, 7))
plots.show(fig, "The loss starts a little above log 256, falls for two hundred steps and then flattens out.")  # fmt: skip

# %% [markdown]
r"""
The curve starts a little above log 256: the scale is 14 from the start, so the model is sure of its wrong answers. At the end it is flat; but then the learning rate has been brought down to 0, so a flat end does not say that there is nothing left to learn.

Now the picture of CLIP, the table that the loss reads: 14 test pairs, names down, icons along. **Predict** what it looks like before the training, and what after. An orange frame: the pair that belongs together. A ring: the name's own icon is the nearest of the 14. A cross: another one is.
"""


# %%
def draw_pairs(ax, table, chosen):
    """A table of cosines with the icons below, and each row's largest marked."""
    N = len(chosen)
    ax.imshow(table, vmin=0, vmax=1)
    frames = dict(marker="s", s=190, facecolors="none", edgecolors=plots.ORANGE)
    ax.scatter(range(N), range(N), **frames)  # the pairs that belong together
    for i, best in enumerate(table.argmax(dim=1).tolist()):
        colour = "white" if table[i, best] > 0.5 else "black"
        mark = dict(marker="o", mfc="none") if best == i else dict(marker="x")
        ax.plot(best, i, color=colour, **mark)
        below = (i - 0.48, i + 0.48, N + 0.56, N - 0.4)  # left, right, bottom, top
        ax.imshow(data.icon(names[chosen[i]], 48), cmap="Greys", extent=below)
    ax.set(xlim=(-0.5, N - 0.5), ylim=(N + 0.6, -0.5), xticks=[])
    ax.set_yticks(range(N), [names[i] for i in chosen])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


# %% tags=["nbval-ignore-output"]
after = pair_table(few)
fig, axes = plots.figure(2, height=4)
for ax, table, when in zip(axes, (before, after), ("before", "after"), strict=True):
    draw_pairs(ax, table, few)
    own, others = table.diagonal().mean(), table[~torch.eye(len(few), dtype=bool)].mean()
    hits = (table.argmax(dim=1) == torch.arange(len(few))).sum()
    means = f"mean of own {own:.2f}, of others {others:.2f}"
    ax.set_title(f"{when}: {hits} of {len(few)} found\n{means}")
axes[1].set_yticks([])
assert own > others + 0.2, "After training the diagonal should stand out: did the training run?"
fig.colorbar(axes[0].images[0], ax=axes, shrink=0.6, label="cosine (white: 0 or less)")
plots.show(fig, "Two tables of cosines of 14 names and 14 icons: before training all cells look alike; after it the diagonal is dark.")  # fmt: skip

# %% [markdown]
r"""
Before, the table is one colour, and the right icon is found about as often as by lot. After, the frames are the darkest of most rows. Your loss has read each row and each column of tables like this one, 256 × 256, three hundred times. Where a cross stands, another icon is nearer; and these are *test* pairs, of families that training never saw.

## 6 How good is it?

Give the model a name, and let it put all 500 test icons in order. Is the right one the first? Among the first ten? **Recall at k** is the share of questions whose right answer is among the k best.

### Exercise 16.4 · `recall_at_k` ★★ · 8 minutes

- `similarity`: `(N, N)`; row i is a question, column i its right answer
- `k`: how many are looked at (it may be larger than N)
- returns the share of rows whose right column is among the k largest, a number from 0 to 1
- a **tie is a miss**: the right column is found if fewer than `k` *others* are at least as large. Otherwise a broken model that gives every pair the same number would be the best of all. So if *all* similarities are equal, recall@k is 0 for every `k` below N, and 1 from `k` = N on, where everything is looked at

By hand: `[[0.9, 0.1], [0.8, 0.3]]` has recall@1 = 0.5 (row 1 prefers column 0) and recall@2 = 1. And `[[0.5, 0.5], [0.5, 0.5]]` has recall@1 = 0 and recall@2 = 1.
"""


# %% tags=["answer"]
def recall_at_k(similarity, k):
    """Share of rows whose own column is among the k largest, ties lost: (N, N) -> number."""
    ### BEGIN SOLUTION
    own = similarity.diagonal()[:, None]  # (N, 1)
    ahead = (similarity >= own).sum(dim=1)  # (N,), columns at least as large, its own included
    return (ahead <= k).float().mean().item()
    ### END SOLUTION


# %% tags=["check"]
recall_at_k = checks.recall_at_k(recall_at_k)

# %%
broken = torch.full((500, 500), 0.5)  # a model that gives every pair the same number
ties_won = ((broken > broken.diagonal()[:, None]).sum(1) < 10).float().mean().item()
print(f"all equal: recall@10 {recall_at_k(broken, 10):.0%}; were a tie a hit, {ties_won:.0%}")
print(f"where all 500 are looked at: {recall_at_k(broken, 500):.0%}")

# %% [markdown]
r"""
Someone who guesses has a recall@k of k/500. **Predict**: recall@10 in the clean test and in the leaky one.
"""


# %%
def is_found(table, k):
    """Which rows have their own column among the k largest, ties lost: (N, N) -> (N,) of 0, 1."""
    return ((table >= table.diagonal()[:, None]).sum(1) <= k).numpy().astype(float)


def interval(table, chosen, k):
    """95% interval of recall@k: draw the *families* anew 1,000 times (bootstrap)."""
    _, member = np.unique([family(names[i], SUFFIXES) for i in chosen], return_inverse=True)
    right, size = np.bincount(member, weights=is_found(table, k)), np.bincount(member)
    again = by_lot.integers(len(size), size=(1000, len(size)))
    return np.percentile(right[again].sum(1) / size[again].sum(1), [2.5, 97.5])


# %% [markdown]
r"""
Icons of one family are right or wrong together, so whoever draws single icons for an interval gets one that is too narrow. We draw families. (It covers the luck of the test, not that of the split or of the training: with other splits the clean number moved by ten points.)

"""

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    image_vectors = image_tower.eval()(icons)  # (N, d_shared), all icons
    text_vectors = text_tower.eval()(caption_ids)  # (N, d_shared), all names
recalls = {}
for label, chosen in (("clean", clean), ("leaky", leaky)):
    table = similarity(text_vectors[chosen], image_vectors[chosen])  # a name is the question
    for k in (1, 5, 10):
        recalls[label, k] = recall_at_k(table, k)
        low, high = interval(table, chosen, k)
        print(
            f"{label}  recall@{k:<3}{recalls[label, k]:.0%}  [{low:.0%}, {high:.0%}]   chance {k / 500:.1%}"
        )

assert recalls["clean", 10] >= 0.4, "The clean recall should be above 0.4: is the model trained?"
assert recalls["leaky", 10] - recalls["clean", 10] > 0.15, "The leaky test should look far easier."

# %% [markdown]
r"""
About half of the names find their icon among the best ten of 500, icons of whose families, by our rule, the model has seen none. That is more than twenty times chance, after half a minute of training. And the same model gets nearly 90% in the other test. **Had we split by lot, most of the test would have been of the second kind**, and its number would have flattered us.

But chance is an easy rival. Here is another one, and it learns **nothing**. For a name it takes the training icons whose names share words with it, the more and the rarer the better (TF-IDF, section 8, to the third power), lays their pictures on top of one another, less what all icons share, and looks which test icon is most like that grey pile, pixel by pixel. **Predict** how it does in both tests.
"""

# %%
spoken, inked = np.array([name.replace("-", " ") for name in names]), icons.flatten(1)  # (N, 576)


def shades(given):
    """All pictures without what the given ones share: (N, 576)."""
    return F.normalize(inked - inked[given].mean(0), dim=1)


def piled_up(asked, given):
    """The rival: similarity of the names of `asked` with their icons, by pictures of `given`."""
    rare = TfidfVectorizer(token_pattern=r"\S+").fit(spoken[given])
    alike = rare.transform(spoken[asked]) @ rare.transform(spoken[given]).T  # (A, G)
    piles = torch.tensor(alike.toarray() ** 3).float() @ shades(given)[given]  # (A, 576)
    return similarity(piles, shades(given)[asked])


# %% tags=["nbval-ignore-output"]
for label, chosen in (("leaky", leaky), ("clean", clean)):
    ours = is_found(similarity(text_vectors[chosen], image_vectors[chosen]), 10)
    rival = is_found(piled_up(chosen, training), 10)
    only, rivals = (ours * (1 - rival)).mean(), ((1 - ours) * rival).mean()
    print(
        f"{label}  towers {ours.mean():.0%}, pile {rival.mean():.0%}; only towers {only:.0%}, only pile {rivals:.0%}"
    )
copy = similarity(shades(training)[clean], shades(training)[training]).amax(dim=1).numpy()
for low, high in ((0.9, 1.01), (0.75, 0.9), (0.6, 0.75), (0, 0.6)):
    some = (low <= copy) & (copy < high)
    print(
        f"clean, most like in training {low:.2f} to {high:.2f}: {some.sum():3d} icons,"
        f"  towers {ours[some].mean():.0%}, pile {rival[some].mean():.0%}"
    )
assert rival.mean() > 0.35, "Even what learns nothing should be far above chance."
assert ours[some].mean() > rival[some].mean(), "Where nothing is alike, the towers should be ahead."

# %% [markdown]
r"""
In the clean test a pile of averaged pictures, which has learned nothing, is as good as our two towers! (We helped it: the power was chosen on this very test. With other splits the towers were ahead, by 3 to 16 points in four of them.) And mostly both find the same icons: those that have *something* much like them in training, whatever it is called. Our families are families of names, but icons are drawn by a system, a lock is the same lock everywhere, and `play-circle` is nearly `arrow-right-drop-circle`. So most of the clean number is not understanding, it is that words recur in pictures. What learning brought stands in the last line: where training has nothing alike, the towers find clearly more. **Chance is never the only control.**

### Is it the siblings?

Two tests differ in more than one thing. In the clean one whole families stand side by side, and siblings are hard to tell apart: perhaps it is only harder. Whoever says "the leak did it" must ask **the same icons** twice, once with their siblings in training and once without. And without siblings there is also *less* in training, so a third number is needed: as many *others* left out.

Three trainings of the model above would take over a minute, so this is a small world with small towers of its own: 1,200 icons that are always there, and families of two to four, of each of which *one* icon is asked. All words of the asked names occur among the 1,200. The families are split into two halves:

- one training is given the siblings of both halves;
- one is given only those of the first half, one only those of the second.

So the last two have equally much to learn from. For an icon of the first half, one of them lacks its own siblings, and the other the siblings of others.
"""

# %%
draw = np.random.default_rng(1)
small = sorted(f for f in kept if 2 <= len(kept[f]) <= 4)
rest = [i for f in sorted(kept.keys() - {*small}) for i in kept[f]]
world = draw.permutation(rest)[:1200].tolist()
known = {word for i in world for word in names[i].split("-")}
pick = {}  # family: the icon of it that is asked
for f in draw.permutation(small).tolist():
    i = draw.choice(kept[f]).item()
    if set(names[i].split("-")) <= known:
        pick[f] = i
halves = list(pick)[::2], list(pick)[1::2]
siblings = [[i for f in half for i in kept[f] if i != pick[f]] for half in halves]
questions = [pick[f] for half in halves for f in half]  # the first half, then the second
print(len(questions), "are asked; siblings of each half:", [len(half) for half in siblings])

# %% [markdown]
r"""
**Predict** the three shares of names whose icon is among the nearest five: with everything, without as many others, without their own siblings. (Guessing has 2%.) And of the pile, which learns nothing: does it profit from siblings, too?
"""

# %% tags=["nbval-ignore-output"]
hits, piles = [], []  # one row for each training
for given in (siblings[0] + siblings[1], siblings[0], siblings[1]):
    torch.manual_seed(0)
    towers = ImageTower(widths=(16, 32, 96)), TextTower(len(vocab), d_model=64)
    chosen = world + given
    train(*towers, icons[chosen], caption_ids[chosen], 14, augment, batch=128)
    with torch.no_grad():
        vectors = towers[1].eval()(caption_ids[questions]), towers[0].eval()(icons[questions])
    hits.append(is_found(similarity(*vectors), 5))
    piles.append(is_found(piled_up(questions, chosen), 5))

# %% tags=["nbval-ignore-output"]
n, (everything_given, first, second) = len(halves[0]), hits
shares = {
    "nothing left out": everything_given,
    "as many others left out": np.concatenate([first[:n], second[n:]]),
    "own siblings left out": np.concatenate([second[:n], first[n:]]),
}
again = draw.integers(len(questions), size=(1000, len(questions)))  # one icon of each family
spans = {label: np.percentile(hit[again].mean(1), [2.5, 97.5]) for label, hit in shares.items()}
for label, hit in shares.items():
    print(f"{label:<25}{hit.mean():.0%}  [{spans[label][0]:.0%}, {spans[label][1]:.0%}]")
leak = shares["as many others left out"] - shares["own siblings left out"]
low, high = np.percentile(leak[again].mean(1), [2.5, 97.5])
print(f"what the own siblings are worth: {100 * leak.mean():.0f} points [{100 * low:.0f}, {100 * high:.0f}]")  # fmt: skip
swap = lambda hit: np.concatenate([hit[1][:n] - hit[2][:n], hit[2][n:] - hit[1][n:]]).mean()
print(f"to the pile, which learns nothing: {100 * swap(piles):.0f} points")
assert leak.mean() > 0.05 and low > 0, "The siblings should help: did all three trainings run?"

# %% tags=["nbval-ignore-output"]
fig, ax = plots.figure(height=1.9)
means = [hit.mean() for hit in shares.values()]
ends = np.abs(np.array(list(spans.values())).T - means)
ax.barh(list(shares), means, color=[plots.SKY, plots.SKY, plots.ORANGE], xerr=ends, capsize=4)
ax.axvline(5 / len(questions), color=plots.GREY, linestyle="--", linewidth=1)
ax.invert_yaxis()
ax.set(xlim=(0, 1), xlabel="recall@5 of the same icons (dashed: guessing; lines: 95% intervals)")
ax.set_title(
    f"siblings are worth {100 * leak.mean():.0f} points [{100 * low:.0f}, {100 * high:.0f}]"
)
plots.show(fig, "Three bars: leaving the own siblings out costs far more than leaving as many others out.")  # fmt: skip

# %% [markdown]
r"""
Leaving out others cost something on our run (in five trainings of ours between nothing and 9 points). Leaving out the own siblings costs far more. The distance between these two is the leak, with the same icons and equally many to learn from: on our run 16 points, with an interval from 10 to 22; the other four gave 11 to 21. And the pile has the leak as well. So no learning is needed for it: it is enough that nearly the same picture is there. (Where nothing was left out there were also some more steps to learn in, 154 against 140; the leak has none of that. It is a small world, with less to learn from and more to gain from a sibling, so the size of the number is its own. That it is clearly above zero is what carries over.)

Two things remain that no split of ours removes. Words that training never saw are not asked for; take the `all(…)` out of `take_clean` and the clean number falls, but what is lost then is words that nobody taught it. And our rule is only a rule: `robot` and `robot-angry` count as two families, so do `clock-time-two` and `clock-time-three`, and one clean icon in eight has a near copy in training (the line from 0.90 above).

## 7 Type, and find

Now the nicest use. Type anything, and look at the icons nearest to it, *only among the thousand that were never in training*.
"""


# %%
@torch.no_grad()
def find(query, among, k=5):
    """The k icons nearest to the query, nearest first."""
    vector = text_tower(data.word_ids([query.split()], vocab, 6))  # (1, d_shared)
    nearest = similarity(vector, image_vectors[among])[0].topk(k).indices
    return [among[i] for i in nearest.tolist()]


# %%
never_seen = clean + leaky
queries = ["heart off", "shield sun", "briefcase clock", "home lock", "cloud heart"]
show_icons({query: find(query, never_seen) for query in queries},
        "Five typed queries, and for each the five nearest icons; the first ones often show both words, the others one of them.")  # fmt: skip

# %% [markdown]
r"""
The model has read *heart* in other names and seen what goes with *off*, a stroke across, on other things; no name in training has both words of any of these queries. (The pile can put together as well: it finds three of the five first, but among its five nearest for *heart off* there is no such icon.) It is far from perfect: on our run other things with locks come before the house with a lock, and what a tooth has to do with a shield only its outline tells.

No icon's name has both words of the last query. On our run *cloud heart* finds two clouds (one is called `image-filter-drama`), and then a bag and cameras: not one heart, though there are hearts among the thousand. The query's vector is one point, and what is nearest to it need not be near to either word.

**Predict** what these will find among *all* icons: "smoking off" and "no smoking"; "arrow left" and "left arrow"; "puppy" and "spaceship".
"""

# %%
everything = list(range(len(names)))
queries = ["smoking off", "no smoking", "arrow left", "left arrow", "puppy", "spaceship"]
show_icons({query: find(query, everything) for query in queries},
        "Six queries that show limits, each with the five nearest icons.")  # fmt: skip
print({word: word in vocab for word in ("no", "smoking", "puppy", "spaceship", "dog")})

# %% tags=["nbval-ignore-output"]
both = [name for name in names if {"cloud", "heart"} <= set(name.split("-"))]
hearts = sum("heart" in names[i].split("-") for i in never_seen)
at_hand = [names[i].split("-") for i in find("cloud heart", never_seen)]
print(f"icons with both words in their names: {len(both)}; hearts among the thousand: {hearts}")
print({word: f"in {sum(word in name for name in at_hand)} of 5" for word in ("cloud", "heart")})
common = set(find("arrow left", everything)) & set(find("left arrow", everything))
print(f"in both rows of five, arrow left and left arrow: {len(common)}")
assert not both and len(common) >= 3, "The two orders of the words should find much the same."

# %% [markdown]
r"""
The words *no*, *puppy* and *spaceship* are in no name of the training set, so all three are `<unk>`. The model knows nothing of them: any unknown word shows the same five icons (and should one of them look like an answer, that is luck). A language model's word embeddings would help here; lesson 18 goes that way. So "no smoking" is lost, and "smoking off" is found: one must speak the language of the captions. "left arrow" finds the same five icons as "arrow left" on our run, and only their order differs: now a bent arrow is the first and the plain one the second. The mean over the words does not know their order; only the positions do, and they matter little here.

### Classes by their names

To recognise things one usually trains a classifier on labelled pictures. Here one only has to *write the classes down*. Put each class into a few phrases, take the mean of their vectors, and ask which class lies nearest to the picture. CLIP called it **zero-shot** classification, and used 80 phrases for each class ("a photo of a {}", "a drawing of a {}"; §3.1.4).

### Exercise 16.5 · `zero_shot` ★★ · 10 minutes

- `images`: `(B, d)`, not normalised
- `prompts`: `(n_classes, n_prompts, d)`, vectors of several phrases for each class, not normalised
- normalise each phrase's vector, take the mean over a class's phrases, and choose for each image the class whose mean has the largest cosine
- returns `(B,)` int64, the numbers of the classes

By hand: the image `[1., 0.]`; class 0 has the phrases `[0., 9.]` and `[1., 0.]`, class 1 has `[2., 1.]` twice. The mean of class 0 points to (1, 1), at 45°; class 1 lies at 27°: the answer is 1.
"""


# %% tags=["answer"]
def zero_shot(images, prompts):
    """Nearest class for each image: (B, d) and (n_classes, n_prompts, d) -> (B,)."""
    ### BEGIN SOLUTION
    classes = F.normalize(prompts, dim=-1).mean(dim=1)  # (n_classes, d)
    return similarity(images, classes).argmax(dim=1)
    ### END SOLUTION


# %% tags=["check"]
zero_shot = checks.zero_shot(zero_shot)

# %% tags=["nbval-ignore-output"]
CLASSES = ["account", "arrow", "calendar", "car", "cloud", "home", "music", "shield"]
PHRASES = ["{}", "{} outline", "{} plus", "{} off"]
asked = [i for i in never_seen if names[i].split("-")[0] in CLASSES]
truth = torch.tensor([CLASSES.index(names[i].split("-")[0]) for i in asked])
with torch.no_grad():
    texts = [phrase.format(c).split() for c in CLASSES for phrase in PHRASES]
    prompts = text_tower(data.word_ids(texts, vocab, 6)).view(len(CLASSES), len(PHRASES), -1)
known_icons = [i for i in training if names[i].split("-")[0] in CLASSES]
copies = similarity(inked[asked], inked[known_icons]).argmax(dim=1)  # most alike in training
labels = torch.tensor([CLASSES.index(names[i].split("-")[0]) for i in known_icons])
right = (zero_shot(image_vectors[asked], prompts) == truth).float().mean().item()
alone = (zero_shot(image_vectors[asked], prompts[:, :1]) == truth).float().mean().item()
commonest = truth.bincount().max().item() / len(truth)
print(f"{len(asked)} icons, {right:.0%} right; with one phrase instead of four {alone:.0%}")
print(f"always the commonest class: {commonest:.0%}")
print(
    f"the class of the most alike of {len(labels)} training icons: {(labels[copies] == truth).float().mean():.0%}"
)
assert right > commonest + 0.2, "Words should recognise far more than the commonest class."

# %% [markdown]
r"""
No classifier was trained for these eight classes; they are only words. But be careful what you conclude. They are words that the captions know well, and most of these icons have siblings in training: whoever takes the training picture of these eight classes that is most alike, pixel by pixel, is right more often than our towers. So the captions were labels all along, and the commonest class is too easy a control. What is new is only that no list of classes had to be fixed beforehand: type another one.

### A map of the space

Both kinds of points lie in one space of 128 numbers, so they can stand on one map. We take four icons of each class that training never saw, and their names: 32 icons, 32 names. t-SNE (van der Maaten and Hinton, 2008) lays them out so that what is close in the space stays close on paper; large distances on such a map mean nothing. First the numbers, in all 128 directions, before training and after: of these 32, is an icon's nearest *name* of the same meaning? And among *all* thousand icons that were never seen and their thousand names: **predict**, is an icon's nearest an icon?
"""

# %% tags=["nbval-ignore-output"]
shown = []
for c in CLASSES:  # the four shortest names of each
    shown += sorted((i for i in asked if names[i].split("-")[0] == c), key=lambda i: len(names[i]))[:4]  # fmt: skip
n = len(shown)
meaning = torch.arange(len(CLASSES)).repeat_interleave(4)
torch.manual_seed(0)
fresh = ImageTower().eval(), TextTower(len(vocab)).eval()  # as ours were before training
with torch.no_grad():
    spaces = {"before": (fresh[0](icons), fresh[1](caption_ids))}
spaces["after"] = image_vectors, text_vectors

# %% tags=["nbval-ignore-output"]
is_icon = torch.arange(2 * len(never_seen)) < len(never_seen)
for when, (pictures, words) in spaces.items():
    nearest = similarity(pictures[shown], words[shown]).argmax(dim=1)
    met = (meaning[nearest] == meaning).float().mean().item()
    print(
        f"{when:<7}an icon's nearest name has its meaning: {met:.0%}, by lot {1 / len(CLASSES):.0%}"
    )
    every = torch.cat([pictures[never_seen], words[never_seen]])
    closest = (similarity(every, every) - 2 * torch.eye(len(every))).argmax(dim=1)  # not oneself
    same_kind = (is_icon[closest] == is_icon).float()
    print(
        f"       nearest of all is an icon to {same_kind[is_icon].mean():.0%} of the icons, a name to {same_kind[~is_icon].mean():.0%} of the names"
    )
points = F.normalize(torch.cat([pictures[shown], words[shown]]), dim=-1)  # icons first
assert met > 0.6, "After training most icons should lie nearest to a name of their meaning."


# %%
def draw_map(ax, xy, colours):
    """Icons as pictures, names as words without their first, and a line between the two of a pair."""
    xy = MinMaxScaler().fit_transform(xy) * (7, 5)  # inches
    for k, ((x, y), at) in enumerate(zip(xy[:n], xy[n:], strict=True)):
        first, _, others = names[shown[k]].partition("-")
        colour = colours[k // 4]
        picture = np.empty((48, 48, 4))
        picture[..., :3], picture[..., 3] = to_rgb(colour), data.icon(names[shown[k]], 48)
        ax.imshow(picture, extent=(x - 0.14, x + 0.14, y - 0.14, y + 0.14))
        ax.plot((x, at[0]), (y, at[1]), color="lightgrey", linewidth=1, zorder=0)
        ax.text(*at, others or first, color=colour, size=8, ha="center", va="center")
        if k % 4 == 0:
            group = np.concatenate([xy[k : k + 4], xy[n + k : n + k + 4]])
            above = group[:, 0].mean(), group[:, 1].max() + 0.25
            ax.text(*above, first.upper(), color=colour, ha="center", weight="bold")
    ax.set(xlim=(-0.5, 7.5), ylim=(-0.4, 5.6))
    ax.axis("off")


# %% tags=["nbval-ignore-output"]
tsne = TSNE(metric="cosine", perplexity=20, early_exaggeration=4, init="pca", random_state=0)
fig, ax = plots.figure(height=6)
draw_map(ax, tsne.fit_transform(points.numpy()), [*plots.PALETTE, "dimgrey"])
plots.show(fig, "A map of 32 icons and their 32 names: icons and names of one meaning lie together, with a few strays.")  # fmt: skip

# %% [markdown]
r"""
Before training an icon's nearest name was any name; now it is mostly one of its meaning. The meanings have met; the kinds have not merged. Among two thousand points an icon's nearest is still nearly always an icon, and a name's mostly a name: two clouds are more alike than a cloud and the word for it. (With only 32 of each on the map it looks otherwise, for there is not always a like one at hand: how mixed such a picture looks depends on how many points it shows.) In CLIP the two kinds lie far apart, in two narrow cones (the "modality gap", Liang et al., 2022). And there are strays on the map, the doors of cars for example; but remember that large distances on it mean nothing.

## 8 Code is a modality

Nothing in `info_nce` knows about pictures. Let one tower read the first sentence of a function's documentation and the other the function's *code*, without the documentation and with its name hidden. Some words occur on both sides, `axis` or `matrix`; others would have to be learned: that *average* goes with `mean`, say.

The data is on your disk: the standard library, NumPy, SciPy, scikit-learn and networkx. We split by *file*, for the reason of section 4, and keep only one function for each sentence, for that of section 3. (Only every second file is read, for time.)
"""


# %%
def pieces(text):
    """Words as the eye sees them in code: readCsv_file -> read csv file."""
    return [piece.lower() for piece in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)]


def functions(file):
    """(name, first sentence of its documentation, its code without that) of each function."""
    source = file.read_text(encoding="utf-8")
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        said = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
        if said and len(node.body) > 1:
            sentence = re.split(r"\.\s|\.$|\n\n", said)[0]
            doc = node.body[0]
            code = lines[node.lineno - 1 : doc.lineno - 1] + lines[doc.end_lineno : node.end_lineno]
            hidden = re.sub(rf"\b{node.name}\b", "f", "\n".join(code))
            yield node.name, " ".join(sentence.split()), pieces(hidden)[1:]


# %% tags=["nbval-ignore-output"]
standard, site = Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))
files = sorted(standard.glob("*.py"))
for package in ["numpy", "scipy", "sklearn", "networkx"]:
    files += sorted((site / package).rglob("*.py"))
found = {}  # one function for each sentence
for file in [file for file in files if not {"tests", "externals"} & {*file.parts}][::2]:
    for name, sentence, code in functions(file):
        if 3 <= len(pieces(sentence)) <= 24:
            found.setdefault(sentence.lower(), (file, name, sentence, code))
pairs = list(found.values())
file, name, sentence, code = next(p for p in pairs if p[1] == "nanmedian")
print(f"{len(pairs)} functions, such as {name}: {sentence}\n{' '.join(code[:32])}")
assert len(pairs) > 4000, "Thousands of functions were expected: are the packages installed?"

# %%
by_file = GroupShuffleSplit(n_splits=1, test_size=0.1, random_state=0)  # a tenth of the files
code_training, test = next(by_file.split(pairs, groups=[str(pair[0]) for pair in pairs]))
sentences = [pieces(pair[2])[:24] for pair in pairs]
codes = [pair[3][:96] for pair in pairs]
code_vocab = data.vocabulary([sentences[i] + codes[i] for i in code_training], least=2)
sentence_ids = data.word_ids(sentences, code_vocab, 24)
code_ids = data.word_ids(codes, code_vocab, 96)

# %% [markdown]
r"""
Two towers again, and this time the simplest that there are: the mean of the words' vectors (`nn.EmbeddingBag`), and one linear layer. They share their word vectors, so that *mean* in a sentence and *mean* in code start as the same. (No attention: it is quick so, and in lesson 15 counting words did as well as a Transformer.)

And after section 6 you will ask for controls. Two: the same towers *before* training, whose shared word vectors match equal words already; and the classic of all search, counting equal words, the rare ones more (TF-IDF). **Predict** the order of the three.
"""


# %% tags=["nbval-ignore-output"]
code_recalls, options = {"untrained": [], "trained": []}, dict(mode="mean", padding_idx=0)
for seed in (0, 1):
    torch.manual_seed(seed)
    words = nn.EmbeddingBag(len(code_vocab), 128, **options)  # the mean of the words' vectors
    nn.init.normal_(words.weight, std=0.1)
    sentence_tower, code_tower = (
        nn.Sequential(words, nn.Dropout(0.1), nn.Linear(128, 128)) for _ in range(2)
    )
    code_tower[2].load_state_dict(sentence_tower[2].state_dict())  # begin as the same
    for when in code_recalls:
        if when == "trained":
            both = sentence_ids[code_training], code_ids[code_training]
            train(sentence_tower.train(), code_tower.train(), *both, epochs=8)
        with torch.no_grad():
            code_vectors = code_tower.eval()(code_ids)
            table = similarity(sentence_tower.eval()(sentence_ids[test]), code_vectors[test])
        code_recalls[when].append(recall_at_k(table, 10))

# %% tags=["nbval-ignore-output"]
as_text = [" ".join(words) for words in sentences], [" ".join(words) for words in codes]
counts = {}
for rarity in (False, True):
    tfidf = TfidfVectorizer(use_idf=rarity).fit(
        [as_text[0][i] + " " + as_text[1][i] for i in code_training]
    )
    asked, offered = (tfidf.transform([texts[i] for i in test]) for texts in as_text)
    counts[rarity] = torch.tensor((asked @ offered.T).toarray())
counted, together = recall_at_k(counts[True], 10), recall_at_k(counts[True] + table, 10)
for when, both in code_recalls.items():
    print(f"{when:<22}" + " ".join(f"{one:.0%}" for one in both))
print(
    f"equal words counted   {counted:.0%}, all alike, rare or not {recall_at_k(counts[False], 10):.0%}"
)
print(f"both scores added     {together:.0%}\nchance                {10 / len(test):.0%}")
untrained, trained = code_recalls.values()
assert min(trained) >= 10 * 10 / len(test), "Trained, the towers should reach ten times chance."
assert min(trained) > max(untrained) + 0.1, "Training should help: did it run?"
assert counted > min(trained) - 0.05, "Counting equal words should not be beaten clearly here."

# %% [markdown]
r"""
Far above chance, and training has brought a good part of it. And yet a method from 1972 (Spärck Jones), which learns nothing but how rare a word is, does as well or better! (That little is worth much: if all words count alike, the towers win.) Be fair to both. A function's author uses the same words in its documentation and in its variables, which is a gift to counting; and 5,000 pairs are few: CodeSearchNet has two million (Husain et al., 2019). But had we compared with chance only, we would have called this a success of learning. **A control that is too easy is another way of fooling oneself.** (They need not be rivals. Where sentence and code share no word, counting finds nothing and the towers something; with both scores added, as above, a little more is found.)

Describe what you need, and look for it among all these functions (those of training included: a search engine may know its own library).
"""


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def find_code(query, k=3):
    vector = sentence_tower.eval()(data.word_ids([pieces(query)], code_vocab, 24))
    found = [pairs[i] for i in similarity(vector, code_vectors)[0].topk(k).indices.tolist()]
    names = [f"{file.parent.name}/{file.name}: {name}" for file, name, *_ in found]
    print(query, *names, sep="\n   ")


for query in ["shortest path between two nodes", "compute the median along an axis", "read a csv file"]:  # fmt: skip
    find_code(query)

# %% [markdown]
r"""
On our run it found paths in graphs and medians. For the csv file it finds readers of other files: it has seen *read* and *file* a hundred times, and *csv* hardly ever (Python's own `csv.py` is not among the files that were read). Large models of this kind, trained on millions of pairs, are what searches code today.

## Summary

1. Two towers map two modalities into one space, where the cosine says what belongs together.
2. InfoNCE reads every row and every column of the batch's similarities as a multiple-choice question. For vectors drawn by lot it is log N, and it needs a scale (with a scale of 14 our training began a little above log N).
3. Captions that repeat in a batch put a floor under the loss: right answers are counted as wrong.
4. Families must not be torn apart by the split. Asked the same icons, a model with their siblings in training finds clearly more of them than one with as many others.
5. Ask for the rival that learns nothing: piled-up pictures and counted words come near our towers, and show where learning is worth something.
6. The space answers typed queries and recognises classes by their names. What it has not read (*no*, *puppy*) it does not know.

**Next:** in a shared space, picture and text meet only at the end, as two vectors. A question *about* a picture needs more: lesson 17 lets them meet earlier.

## Further reading

- Radford et al., 2021, "Learning transferable visual models from natural language supervision": §2.3 and Figure 3, the loss in nine lines; §3.1.4, prompts.
- van den Oord, Li and Vinyals, 2018, "Representation learning with contrastive predictive coding": §2.3, InfoNCE.
- Liang et al., 2022, "Mind the gap": why the two kinds lie apart in CLIP.
- Husain et al., 2019, "CodeSearchNet challenge": functions and their documentation, and how hard it is to measure search.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
