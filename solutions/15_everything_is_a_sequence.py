# %% [markdown]
r"""
# 15 · Everything is a sequence

A Transformer does not know what a word is. It takes a sequence of vectors and lets them look at one another. Whatever you can cut into a sequence of vectors, it can read. That is the whole secret of "multimodal": **somebody has to cut.**

In this lesson you cut four things: an image into patches, a sound into slices of its spectrum, a video into little boxes of space and time, and a program into tokens. Then *one* small class, the same for all four, learns to tell handwritten digits, spoken ones, directions of motion, and which library a function comes from. Each takes seconds. And each has something to say about what a cut keeps and what it destroys.

**Needs:** an encoder block (lesson 4), what positions are for (lesson 3). **Takes:** about 100 minutes. **Exercises:** 15.1 to 15.5.
"""

# %%
import ast
import io
import math
import sys
import tokenize
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import Audio
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from torch import nn
from transformers import ViTConfig, ViTModel, WhisperFeatureExtractor
from transformers.audio_utils import mel_filter_bank, spectrogram

from utils import data, plots, speech
from utils.checks import lesson15 as checks
from utils.progress import bar

torch.set_printoptions(precision=2, sci_mode=False)

# %% [markdown]
r"""
## 1 An image is a row of patches

A pixel is a poor token: there are too many, and one alone says nothing. The Vision Transformer (Dosovitskiy et al., 2021, §3.1) cuts an image into square **patches**, as one cuts a page into stamps, and reads them row by row. Each patch is flattened into one vector.

Watch what `reshape` does *not* do. It keeps the order of the numbers in memory, which is row by row through the whole image. To get squares, one has to split both sides and *then move axes*.
"""

# %%
tiny = torch.arange(16).view(1, 1, 4, 4)  # (B, C, H, W)
print(tiny[0, 0])
print("reshape alone :", tiny.reshape(1, 4, 4)[0].tolist())
print(
    "four patches  :",
    [tiny[0, 0, y : y + 2, x : x + 2].flatten().tolist() for y in (0, 2) for x in (0, 2)],
)

# %% [markdown]
r"""
### Exercise 15.1 · `patchify` ★★ · 10 minutes

- `images`: `(B, C, H, W)`; `size`: side of a patch in pixels; H and W are multiples of it, not always the same one
- returns `(B, N, C * size * size)`: patches from left to right, then down; within a patch first the channel, then rows, then columns

PyTorch operations only (here and in the other exercises), so that gradients can pass.

By hand: see the four patches of the 4 × 4 image above. Split `H` into `(H // size, size)`, the same for `W`, and `permute`.
"""


# %% tags=["answer"]
def patchify(images, size):
    """Cut images into flat patches: (B, C, H, W) -> (B, N, C * size * size)."""
    ### BEGIN SOLUTION
    B, C, H, W = images.shape
    x = images.reshape(B, C, H // size, size, W // size, size)
    x = x.permute(0, 2, 4, 1, 3, 5)  # (B, H // size, W // size, C, size, size)
    return x.reshape(B, -1, C * size * size)
    ### END SOLUTION


# %% tags=["check"]
patchify = checks.patchify(patchify)

# %%
digits = load_digits()
images = (
    torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
)  # (B, 1, 8, 8), paper is -1
labels = torch.tensor(digits.target)
split = train_test_split(range(len(images)), test_size=450, stratify=digits.target, random_state=0)
training, test = (torch.tensor(rows) for rows in split)
print(
    "training",
    len(training),
    "test",
    len(test),
    "patches of 2 x 2:",
    tuple(patchify(images, 2).shape),
)

# %%
fig, axes = plots.figure(2, height=2.4)
axes[0].imshow(images[0, 0], cmap="Greys")
axes[0].set_title("a handwritten 0, 8 x 8")
axes[1].imshow(patchify(images[:1], 2)[0].T, cmap="Greys", aspect="auto")
axes[1].set(title="its sequence", xlabel="16 patches, from the upper left", ylabel="4 pixels each")
for ax in axes:
    ax.set(xticks=[], yticks=[])
plots.show(fig, "Left a handwritten zero; right the same as sixteen columns of four pixels.")

# %% [markdown]
r"""
On the right is what the Transformer gets. You would have trouble reading it; so does the model, until it has learned which columns are neighbours.

## 2 One class for all

The rest of a ViT is an encoder as you know it, with two additions:

- every token is brought to width `d_model` by one linear layer (for patches: the **patch embedding**);
- in front stands one more token that belongs to no patch, the **class token**. It is learned, and the same for every input. It asks all others, and what it has gathered at the end is the summary from which the class is read.

Nothing in it says "image". So we give it a plain name.

### Exercise 15.2 · `SequenceClassifier` ★★ · 12 minutes

The constructor is given. Write `forward`:

1. embed the tokens, put the class token in front (one for each row of the batch), add the positions;
2. through the encoder;
3. take the class token's result, `norm`, `head`.

- `tokens`: `(B, N, d_in)`
- returns `(B, n_classes)`: logits

By hand: 16 patches become 17 tokens, and `self.position` has 17 rows: the class token has a position too.
"""


# %% tags=["answer"]
class SequenceClassifier(nn.Module):
    """A vision Transformer after the cutting: (B, N, d_in) -> (B, n_classes)."""

    def __init__(
        self, d_in, length, n_classes, d_model=64, n_heads=4, n_layers=2, d_ff=128, dropout=0.0
    ):
        super().__init__()
        self.embed = nn.Linear(d_in, d_model)
        self.cls = nn.Parameter(0.5 * torch.randn(1, 1, d_model))
        self.position = nn.Parameter(0.5 * torch.randn(1, 1 + length, d_model))
        layer = nn.TransformerEncoderLayer(
            d_model, n_heads, d_ff, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, n_classes)

    def forward(self, tokens):
        ### BEGIN SOLUTION
        x = self.embed(tokens)  # (B, N, d_model)
        cls = self.cls.expand(len(x), -1, -1)  # (B, 1, d_model)
        x = torch.cat([cls, x], dim=1) + self.position  # (B, 1 + N, d_model)
        x = self.encoder(x)
        return self.head(self.norm(x[:, 0]))
        ### END SOLUTION


# %% tags=["check"]
SequenceClassifier = checks.SequenceClassifier(SequenceClassifier)

# %% [markdown]
r"""
The check compared with Hugging Face's ViT, with the same weights in both. Their class wants an image and cuts it by a *convolution* whose stride is its size. That is the same thing: a convolution that does not overlap is a linear layer on patches.
"""

# %%
torch.manual_seed(0)
convolution = nn.Conv2d(1, 64, kernel_size=2, stride=2)
linear = nn.Linear(4, 64)
linear.weight.data = convolution.weight.data.flatten(1)  # (64, 1, 2, 2) -> (64, 4)
linear.bias.data = convolution.bias.data
ours = linear(patchify(images[:3], 2))  # (3, 16, 64)
theirs = convolution(images[:3]).flatten(2).transpose(1, 2)  # (3, 16, 64)
difference = (ours - theirs).abs().max().item()
print(f"largest difference {difference:.0e}")
assert difference < 1e-5, "the layer of patches should be the convolution"
config = ViTConfig(image_size=8, patch_size=2, num_channels=1, hidden_size=64, num_hidden_layers=2)
print(ViTModel(config).embeddings.patch_embeddings.projection)

# %% [markdown]
r"""
One training loop will do for all four modalities.
"""


# %%
def train(model, tokens, labels, steps, batch=32, lr=2e-3):
    """Adam, warm-up over 50 steps, then down along a cosine; returns the model, ready for use."""
    torch.set_num_threads(1)  # for so small a model one thread is as fast as two, and steadier
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05, fused=True)
    factor = lambda i: min((i + 1) / 50, 0.5 + 0.5 * math.cos(math.pi * i / steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    for _ in bar(range(steps), "training"):
        rows = torch.randint(len(tokens), (batch,))
        loss = F.cross_entropy(model(tokens[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def predict(model, tokens):
    return torch.cat([model(part).argmax(-1) for part in tokens.split(500)])  # (B,)


results = {}


# %%
def report(name, right, chance):
    """Accuracy and its 95% interval (Wilson, 1927), kept for the chart at the end."""
    p, n, z = right.float().mean().item(), len(right), 1.96
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
    low, high = (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
    results[name] = p, low, high, chance
    print(f"{name:<32}{p:.1%}  [{low:.1%}, {high:.1%}]   chance {chance:.1%}")
    return p


# %% tags=["nbval-ignore-output"]
patches = patchify(images, 2)
torch.manual_seed(0)
vit = SequenceClassifier(4, 16, 10, dropout=0.1)
train(vit, patches[training], labels[training], steps=320, batch=64)
accuracy = report("digits", predict(vit, patches[test]) == labels[test], 1 / 10)
assert accuracy > 0.94, "digits should be told"

# %% [markdown]
r"""
Ten seconds, and some 97 of 100 digits are right. Is that much? Ask a rival that learns nothing: it looks for the training picture that is nearest, pixel by pixel, and says that one's digit.
"""

# %% tags=["nbval-ignore-output"]
distance = torch.cdist(images[test].flatten(1), images[training].flatten(1))  # (450, 1347)
guess = labels[training][distance.argmin(dim=1)]
rival = report("digits, nearest picture", guess == labels[test], 1 / 10)
assert rival > 0.94, "the nearest picture should tell digits, too"

# %% [markdown]
r"""
It is no worse! On 8 × 8 pixels, from 1,347 pictures, there is little for a Transformer to win. (Its authors found something like it on their scale: trained on a million pictures convolutional networks did better, on 300 million the Transformer; §4.3.) What we want of it here is something else: that one class reads four kinds of things. So keep 97 as what *this* class gets, and change one thing at a time.

Now take the positions away: they are set to zero and stay there. **Predict:** what is left? A bag of patches, without any idea where each one was.
"""

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
bag = SequenceClassifier(4, 16, 10, dropout=0.1)
bag.position.requires_grad_(False).zero_()
train(bag, patches[training], labels[training], steps=320, batch=64)
without = report("digits, no positions", predict(bag, patches[test]) == labels[test], 1 / 10)
assert without < accuracy - 0.1, "without positions it should be clearly worse"

# %% [markdown]
r"""
About seven in ten! A digit cut up and shaken in a box can often still be told. Positions are worth most of the rest (with four times the steps the bag came to 77%).

## 3 Where the class token looks

The class token is the only one from which the answer is read, so it is tempting to ask where it looks. We let it tell us: the attention of its row in the last layer, mean over the heads and over all test pictures of each digit.

**Predict:** will it look at the ink?
"""


# %%
@torch.no_grad()
def class_attention(model, tokens):
    """Last layer: how the class token shares its attention among the patches, (B, N)."""
    x = torch.cat([model.cls.expand(len(tokens), -1, -1), model.embed(tokens)], dim=1)
    x = x + model.position  # (B, 1 + N, d_model)
    for layer in model.encoder.layers:
        h = layer.norm1(x)
        weights = layer.self_attn(h, h, h)[1]  # (B, 1 + N, 1 + N), mean over the heads
        x = layer(x)
    look = weights[:, 0, 1:]
    return look / look.sum(1, keepdim=True)


look = class_attention(vit, patches[test])  # (450, 16)

# %%
fig, axes = plots.figure(10, rows=2, height=2.2)
for digit in range(10):
    its = labels[test] == digit
    picture = images[test][its].mean(0)[0]
    heat = look[its].mean(0).view(4, 4).repeat_interleave(2, 0).repeat_interleave(2, 1)
    axes[0, digit].imshow(picture, cmap="Greys")
    axes[1, digit].imshow(heat, cmap="inferno", vmin=0, vmax=3 / 16)  # 1/16 would be even
    axes[1, digit].contour(picture, levels=[0], colors="white", linewidths=1)
for ax in axes.flat:
    ax.axis("off")
plots.show(
    fig,
    "Above the mean picture of each digit; below it the attention of the class token, brighter where it looks more, with the outline of the ink.",
)

# %% [markdown]
r"""
(Black is nothing; an even share would be a dark violet, and yellow is three times that or more.) On strokes, mostly, but not only. On our run it also looked at *gaps*: at the left opening of the 3, where an 8 would be closed, and inside the 0.

A pretty story. Is it true? An attention map is no proof (lesson 14 has more on that), but here one can try. If the gap that it looks at matters, then **inking** that gap should confuse it, and more than inking some other blank patch. Choose the control with care: a patch in an empty corner would prove nothing. So we also draw among the blank patches right *beside* ink. And one more control, for place: the blank patch that the **mean map** of all test pictures likes most. All that it knows of the picture at hand is which patches are blank. And beside the model stands section 2's rival, which has no attention: does the ink confuse *it*?
"""


# %%
def inked(tokens, scores):
    """Full ink in the patch that has the highest score: (B, 16, 4)."""
    best = scores.argmax(dim=1)  # (B,)
    changed = tokens.clone()
    changed[torch.arange(len(tokens)), best] = 1.0
    return changed


ink = (patches[test] + 1).mean(-1) / 2  # (450, 16), 0 is blank, 1 black
blank = (ink < 0.05).float()
near = F.max_pool2d((ink > 0.3).float().view(-1, 1, 4, 4), 3, stride=1, padding=1).view(-1, 16)
torch.manual_seed(0)
attempts = {"most looked at": [look * blank]}
attempts["by lot, blank"] = [torch.rand(look.shape) * blank for _ in range(5)]
attempts["by lot, beside ink"] = [torch.rand(look.shape) * blank * near for _ in range(5)]
attempts["on the mean map"] = [look.mean(0) * blank]

# %% tags=["nbval-ignore-output"]
right = {}
for name, draws in attempts.items():
    changed = [inked(patches[test], scores) for scores in draws]
    guesses = torch.stack([predict(vit, tokens) for tokens in changed])
    right[name] = (guesses == labels[test]).float().mean().item()
    apart = torch.stack([torch.cdist(x.flatten(1), patches[training].flatten(1)) for x in changed])
    nearest = (labels[training][apart.argmin(-1)] == labels[test]).float().mean()
    print(
        f"one blank patch inked, {name:<20}{right[name]:.1%} right; nearest picture {nearest:.1%}"
    )
assert right["most looked at"] < right["by lot, beside ink"]

# %% [markdown]
r"""
Ink on the blank patch that it looks at most does more harm than ink beside the digit (five draws of each of these controls). So does the map tell what matters for *this* picture? The last line says: hardly. A map that is the same for every picture does as much harm; in four models that we trained, the picture's own map was ahead in two and behind in two. And the last column says more: a rival that has no attention, and never saw this map, is confused by the same ink as much. The harm is in the *pictures*: what the map likes is near the middle, and ink in the middle makes another digit. **A control for place, and a model that does not look, are what to ask for** whenever somebody shows you where a model looks.

## 4 A sound is a row of slices

A microphone gives one number some 10,000 times a second. One second is a sequence of 10,000 tokens of one number each: too long, and a single number says nothing about pitch. So one cuts the sound into short overlapping **frames** and asks of each how strong every frequency is in it (Fourier). The ear hears pitch in ratios, not in differences, and loudness likewise; so the frequencies are gathered into bands that widen towards the top (the **mel** scale; the common version used here widens above 1,000 Hz only), and the logarithm is taken. The result, a **log-mel spectrogram**, is what nearly every speech model reads, Whisper included (Radford et al., 2023, §2.2).

In five lines:

1. frames: `wave.unfold(-1, n_fft, hop)`, windows of `n_fft` samples, each `hop` after the last;
2. times a window that fades at both ends, so that the cuts make no sound of their own;
3. `torch.fft.rfft`, and the square of its absolute value: the **power** of each frequency;
4. times the matrix of mel filters: power of each band;
5. *first* no smaller than 1e-10 (silence has no logarithm; adding 1e-10 instead is as good), *then* `log10`: the other way round, silence gives nan in the gradient.

### Exercise 15.3 · `log_mel` ★★ · 12 minutes

- `wave`: `(B, S)`; `window`: `(n_fft,)`; `hop`: an int; `filters`: `(n_fft // 2 + 1, n_mels)`
- returns `(B, frames, n_mels)`; no padding at the ends

By hand: 8,000 samples in frames of 256, a new one every 128, make 1 + (8000 - 256) // 128 = 61 frames.
"""


# %% tags=["answer"]
def log_mel(wave, window, hop, filters):
    """Log-mel spectrogram: (B, S) -> (B, frames, n_mels)."""
    ### BEGIN SOLUTION
    frames = wave.unfold(-1, len(window), hop) * window  # (B, frames, n_fft)
    power = torch.fft.rfft(frames).abs() ** 2  # (B, frames, n_fft // 2 + 1)
    return (power @ filters).clamp(min=1e-10).log10()
    ### END SOLUTION


# %% tags=["check"]
log_mel = checks.log_mel(log_mel)

# %% [markdown]
r"""
`torch.stft` does the same, and so does Hugging Face's `spectrogram`, which prepares the input of their speech models.
"""

# %%
RATE, N_FFT, HOP = 11_025, 256, 110
filters = mel_filter_bank(N_FFT // 2 + 1, 40, 60.0, 5500.0, RATE, norm="slaney", mel_scale="slaney")
window = torch.hann_window(N_FFT)
noise = torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
ours = log_mel(noise, window, HOP, torch.tensor(filters, dtype=torch.float32))  # (1, 98, 40)
theirs = spectrogram(
    noise[0].numpy(), window.numpy(), N_FFT, HOP, power=2.0, center=False,
    mel_filters=filters, log_mel="log10", mel_floor=1e-10,
)  # fmt: skip
difference = np.abs(ours[0].T.numpy() - theirs).max()
print(f"largest difference {difference:.0e}")
assert difference < 1e-3, "your spectrogram should be the library's"

# %% [markdown]
r"""
And with **Whisper's** settings it is what Whisper reads (lesson 19): 16,000 samples a second, windows of 25 ms every 10 ms, 80 bands; the sound mirrored at both ends; at most eight powers of ten below the loudest; brought to about −1 … 1.
"""

# %%
extractor = WhisperFeatureExtractor()  # 30 seconds, 80 bands
second = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(1))
padded = F.pad(F.pad(second, (0, 29 * 16_000))[None], (200, 200), mode="reflect")
bands = torch.tensor(extractor.mel_filters, dtype=torch.float32)  # (201, 80)
ours = log_mel(padded, torch.hann_window(400), 160, bands)[:, :-1]  # (1, 3000, 80)
ours = (ours.maximum(ours.max() - 8) + 4) / 4
theirs = extractor(second.numpy(), sampling_rate=16_000, return_tensors="pt").input_features
print(tuple(theirs.shape), f"largest difference {(ours.mT - theirs).abs().max():.0e}")
assert (ours.mT - theirs).abs().max() < 1e-3, "your spectrogram should be Whisper's"

# %% [markdown]
r"""
Now we need words. A laptop has no library of recordings, but it can speak: `utils.speech` runs a small synthesiser, eSpeak NG, with dozens of voices. We divide the *voices*, not the clips: the model learns from 45 of them, we chose steps and learning rate by listening to 7 others (for digits, films and code no such third set was kept: their settings were seen with the test), and the test is spoken by 12 that it has never heard. Speed and pitch are drawn by lot.
"""

# %%
DIGITS = "zero one two three four five six seven eight nine".split()


def clips(n, words, group, seed, seconds):
    """Random digits, some at a time: what was said (n, words), and the waves (n, samples)."""
    lots, voices = np.random.default_rng(seed), speech.VOICES[group]
    said = lots.integers(10, size=(n, words))
    asked = [
        (" ".join(DIGITS[d] for d in row), voices[lots.integers(len(voices))],
         int(lots.integers(130, 231)), int(lots.integers(20, 81)))
        for row in said
    ]  # fmt: skip
    length = int(seconds * RATE)  # what is longer is cut, what is shorter is followed by silence
    waves = [np.pad(w[:length], (0, max(0, length - len(w)))) for w in speech.speak(asked)]
    return torch.tensor(said), torch.tensor(np.stack(waves))


# %%
said, waves = clips(1200, 1, "training", seed=1, seconds=0.75)
test_said, test_waves = clips(400, 1, "held out", seed=2, seconds=0.75)
filters = torch.as_tensor(filters, dtype=torch.float32)
fig, axes = plots.figure(5, height=2.2, rows=1, sharey=True)
for ax, i in zip(
    axes, [(test_said[:, 0] == d).nonzero()[0, 0] for d in (3, 6, 7, 8, 9)], strict=True
):
    ax.imshow(
        log_mel(test_waves[i][None], window, HOP, filters)[0].T,
        origin="lower",
        aspect="auto",
        vmin=-7,
    )
    ax.set(title=f"“{DIGITS[test_said[i, 0]]}”", xticks=[], yticks=[], xlabel="time")
axes[0].set_ylabel("pitch")
plots.show(
    fig,
    "Five spoken digits: bands of stripes for the vowels, and a dark cloud at the top for the "
    "hissing s of six and seven.",
)

# %% tags=["nbval-ignore-output"]
Audio(test_waves[:4].flatten().numpy(), rate=RATE)  # four of the test's words; press play

# %% [markdown]
r"""
Six neighbouring frames make one token, so a clip of 0.75 seconds is 12 tokens of 240 numbers.

**Predict** what the model hears, of ten digits and from voices that it has never met, with positions and without.
"""


# %%
def sound_tokens(waves, frames=6):
    """(B, S) -> (B, T, 240); the loudest is 1, and what is 60 dB below it is silence, -1."""
    x = torch.cat([log_mel(part, window, HOP, filters) for part in waves.split(500)])
    loudest = x.amax((1, 2), keepdim=True)
    x = (x.maximum(loudest - 6) - loudest) / 3 + 1  # (B, n_frames, 40)
    T = x.shape[1] // frames
    return x[:, : T * frames].reshape(len(x), T, frames * 40)


def listen(tokens, labels, steps, positions=True):
    """Train the class of section 2, unchanged, on sounds."""
    torch.manual_seed(0)
    ear = SequenceClassifier(tokens.shape[2], tokens.shape[1], 10)
    if not positions:
        ear.position.requires_grad_(False).zero_()
    return train(ear, tokens, labels, steps=steps)


# %% tags=["nbval-ignore-output"]
words, test_words = sound_tokens(waves), sound_tokens(test_waves)  # (B, 12, 240)
word, test_word = said[:, 0], test_said[:, 0]
for name, positions in (("spoken digit", True), ("spoken digit, no positions", False)):
    heard = predict(listen(words, word, 250, positions), test_words)
    accuracy = report(name, heard == test_word, 1 / 10)
    assert accuracy > 0.8, "in our runs both heard above 90%"

# %% [markdown]
r"""
Did you expect positions to matter? A word is a sequence of sounds, after all. *Six* and *seven* share a hiss, *five* and *nine* a vowel; but no two of the ten words have the same *set* of sounds, so the *bag* of a word's slices tells them apart, in whatever order they come. Positions only say how tokens stand to one another. (What stands *inside* a token keeps its order in any case; the films will show that.)

So ask a question whose answer *is* an order. Three digits are said, one after the other: which was the **first**? **Predict** again. (Who hears all three, and not their order, can pick one of them.)
"""

# %% tags=["nbval-ignore-output"]
said, waves = clips(2400, 3, "training", seed=3, seconds=1.5)
test_said, test_waves = clips(400, 3, "held out", seed=4, seconds=1.5)
tokens, test_tokens = sound_tokens(waves), sound_tokens(test_waves)  # (B, 24, 240)
picked = (test_said == test_said[:, :1]).float().mean().item()
print(f"who picks one of the three is right in {picked:.0%}")
hits = {}
for name, positions in (("first of three", True), ("first of three, no positions", False)):
    heard = predict(listen(tokens, said[:, 0], 300, positions), test_tokens)
    hits[name] = report(name, heard == test_said[:, 0], picked)
with_them, without = hits.values()
assert with_them > 0.85 and without < with_them - 0.2, "With positions it should hear far more."

# %% [markdown]
r"""
Now it matters. But why is the second number above that of who picks one of the three? Something of the order is left, and it can only stand *inside* the tokens: one that lies across a boundary holds the end of one word and the beginning of the next. To test that, put three clips of one word each side by side, as they are: no token lies across a boundary (nor is the first clip spoken as a first one). **Predict** how often a model without positions names the first, and how often *one* of the three.
"""


# %%
def side_by_side(words, digits, n):
    """Three clips of one word each, by lot: tokens (n, 36, 240) and the digits (n, 3)."""
    three = torch.randint(len(words), (n, 3), generator=torch.Generator().manual_seed(0))
    return words[three].flatten(1, 2), digits[three]


# %% tags=["nbval-ignore-output"]
apart, digits_apart = side_by_side(words, word, 2400)
test_apart, test_digits = side_by_side(test_words, test_word, 400)
picked = (test_digits == test_digits[:, :1]).float().mean().item()
heard = predict(listen(apart, digits_apart[:, 0], 300, positions=False), test_apart)
first = report("three clips, no positions", heard == test_digits[:, 0], picked)
one_of = (heard[:, None] == test_digits).any(1).float().mean()
print(f"one of the three: {one_of:.1%}")
assert first < 0.5 and one_of > 0.8, "it should know the three, and not which was the first"

# %% [markdown]
r"""
It knows the three, and not which was the first; and now no patience can help: exchange two clips, and the bag is the same. In the words that were spoken together, patience does help: without positions, three times as many steps come to about seven in ten, by what lies across the boundaries. The class is the same, the words are the same; the *question* and the *cut* decide what may be thrown away.

## 5 A video is a row of boxes

A video has one more axis. One could cut every frame into patches, but neighbouring frames are nearly the same. ViViT (Arnab et al., 2021, §3.2) cuts little boxes, `depth` frames × `size` × `size` pixels, called **tubelets**.

### Exercise 15.4 · `tubelets` ★★ · 10 minutes

- `video`: `(B, C, F, H, W)`; `depth`, `size`: frames and pixels of a tubelet; F, H and W are multiples
- returns `(B, N, C * depth * size * size)`: first all boxes of the first `depth` frames, row by row, and so on; within a box channel, frame, row, column

By hand: 8 frames of 16 × 16 with depth 2 and size 4 make 4 · 4 · 4 = 64 boxes of 32 numbers.
"""


# %% tags=["answer"]
def tubelets(video, depth, size):
    """Cut videos into boxes: (B, C, F, H, W) -> (B, N, C * depth * size * size)."""
    ### BEGIN SOLUTION
    B, C, n_frames, H, W = video.shape
    x = video.reshape(B, C, n_frames // depth, depth, H // size, size, W // size, size)
    x = x.permute(0, 2, 4, 6, 1, 3, 5, 7)  # (B, time, row, column, C, depth, size, size)
    return x.reshape(B, -1, C * depth * size * size)
    ### END SOLUTION


# %% tags=["check"]
tubelets = checks.tubelets(tubelets)

# %% [markdown]
r"""
Our films, six frames each: a digit that moves one pixel a frame, in one of eight directions, and comes back on the other side. No single frame tells the direction.
"""

# %%
STEPS = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]  # rows, columns


def make_videos(images, n, seed):
    """Films (B, 1, 6, 16, 16) and their directions (B,)."""
    lots = np.random.default_rng(seed)
    directions, films = torch.arange(n) % 8, []
    for direction in directions:
        canvas = F.pad(images[lots.integers(len(images))], (4, 4, 4, 4), value=-1)  # (1, 16, 16)
        y, x = lots.integers(16, size=2)
        dy, dx = STEPS[direction]
        films.append(
            torch.stack([canvas.roll((y + k * dy, x + k * dx), (1, 2)) for k in range(6)], 1)
        )
    return torch.stack(films), directions


films, directions = make_videos(images[training], 6000, seed=3)
test_films, test_directions = make_videos(images[test], 800, seed=4)

# %%
fig, axes = plots.figure(6, rows=2, height=2.8)
for row, film in zip(axes, test_films[[1, 4]], strict=True):
    for ax, frame in zip(row, film[0], strict=True):
        ax.imshow(frame, cmap="Greys")
        ax.set(xticks=[], yticks=[])
plots.show(fig, "Two films of six frames: one digit moves down to the right, one to the left.")

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
watcher = SequenceClassifier(32, 48, 8)
train(watcher, tubelets(films, 2, 4), directions, steps=220, lr=3e-3)
seen = predict(watcher, tubelets(test_films, 2, 4))
accuracy = report("moving digits", seen == test_directions, 1 / 8)
assert accuracy > 0.95, "directions should be told"

# %% [markdown]
r"""
Now two controls. **Without positions**, as before: will the motion be lost? And with **shuffled frames**, in training and in the test: the pictures are the same, their order is gone. **Predict** both. Remember what a token keeps.
"""


# %%
def shuffled(films):
    """The frames of each film in an order of its own."""
    order = torch.rand(films.shape[0], films.shape[2]).argsort(1)  # (B, frames)
    return films[torch.arange(len(films))[:, None], 0, order][:, None]


# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
adrift = SequenceClassifier(32, 48, 8)
adrift.position.requires_grad_(False).zero_()
train(adrift, tubelets(films, 2, 4), directions, steps=150)
seen = predict(adrift, tubelets(test_films, 2, 4))
without = report("moving digits, no positions", seen == test_directions, 1 / 8)
assert without > 0.9, "without positions directions should be told as well"

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
confused = SequenceClassifier(32, 48, 8)
train(confused, tubelets(shuffled(films), 2, 4), directions, steps=220, lr=3e-3)
seen = predict(confused, tubelets(shuffled(test_films), 2, 4))
lost = report("moving digits, frames shuffled", seen == test_directions, 1 / 8)
assert 0.125 < lost < 0.55, "shuffled frames should cost much, and leave the line"

# %% [markdown]
r"""
Without positions hardly anything is lost: a tubelet is two frames deep, and the motion is *inside* it. If that is the reason, then with a depth of *one* frame nobody could tell left from right. We need not train anything to see it. Play a film backwards: what moved to the left moves to the right.
"""

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
one_deep = SequenceClassifier(16, 96, 8)
one_deep.position.requires_grad_(False).zero_()
backwards = test_films[:50].flip(2)
with torch.no_grad():
    forth, back = (one_deep.eval()(tubelets(x, 1, 4)) for x in (test_films[:50], backwards))
print(f"depth 1: played backwards, the logits differ by at most {(forth - back).abs().max():.0e}")
turned = predict(adrift, tubelets(backwards, 2, 4)) == (test_directions[:50] + 4) % 8
print(f"depth 2: played backwards, {turned.float().mean():.0%} are told as the opposite direction")
assert (forth - back).abs().max() < 1e-4, "a bag of frames is the same bag backwards"
assert turned.float().mean() > 0.9, "with boxes of two frames a film is told from its reverse"

# %% [markdown]
r"""
Boxes of one frame are the same bag, forwards and backwards, so *any* such model gives both films the same answer, and is right in one half at best. Boxes of two frames tell the film from its reverse.

And the shuffled frames? There the *line* along which a digit moves can still be found, for it needs no order; which way it goes along that line cannot, so here, too, one half is the most that anyone could get. In this time the model comes to a third (with four times the steps it comes close to one half, and no further).

## 6 Code is a row of tokens

Text needs no cutting into patches, it needs a tokenizer (lesson 6). Code has one already: Python's own. It knows that `!=` is one sign, that a string is one thing, and where a block begins and ends.

### Exercise 15.5 · `code_tokens` ★★ · 10 minutes

Use `tokenize.generate_tokens(io.StringIO(source).readline)`. Each token has a `type` and a `string`.

- names, keywords and signs: their `string` (f-strings stay open: Python 3.12 cuts them in another way, and our data has none)
- `tokenize.NUMBER` → `"<number>"`, `STRING` → `"<string>"`, `INDENT` → `"<indent>"`, `DEDENT` → `"<dedent>"`, `NEWLINE` → `"<newline>"`
- left out: `COMMENT`, `NL` (an empty line, or one that only goes on), `ENDMARKER`
- returns a list of strings

By hand: `"if x:\n    y = 3  # three\n"` gives `["if", "x", ":", "<newline>", "<indent>", "y", "=", "<number>", "<newline>", "<dedent>"]`.
"""


# %% tags=["answer"]
def code_tokens(source):
    """Python source as a list of tokens, without comments; literals by their kind."""
    ### BEGIN SOLUTION
    kinds = {
        tokenize.NUMBER: "<number>", tokenize.STRING: "<string>", tokenize.INDENT: "<indent>",
        tokenize.DEDENT: "<dedent>", tokenize.NEWLINE: "<newline>",
    }  # fmt: skip
    left_out = {tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [kinds.get(t.type, t.string) for t in tokens if t.type not in left_out]
    ### END SOLUTION


# %% tags=["check"]
code_tokens = checks.code_tokens(code_tokens)

# %% [markdown]
r"""
The question: **which library wrote this function?** The functions are on your disk. Names of functions, decorators and documentation are taken away. And the split is by *file*: functions of one file resemble one another (lesson 16 shows what happens if one does not care).
"""

# %%
LIBRARIES = ["numpy", "scipy", "matplotlib", "sklearn", "torch", "transformers"]


def source_files(library, n=50):
    """About n files without tests, evenly spread over the sorted paths."""
    root = next(Path(p) / library for p in sys.path if (Path(p) / library / "__init__.py").exists())
    files = sorted(f for f in root.rglob("*.py") if "test" not in str(f.relative_to(root)))
    return files[:: max(1, len(files) // n)][:n]


def functions_in(path):
    """Source of each function of 5 to 40 lines, its name, decorators and documentation removed."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        if not any(isinstance(inside, ast.JoinedStr) for inside in ast.walk(node)):  # no f-string
            node.name, node.decorator_list = "f", []
            if ast.get_docstring(node):
                node.body = node.body[1:] or [ast.Pass()]
            text = ast.unparse(node)
            if 5 <= text.count("\n") + 1 <= 40:
                yield text


# %%
rows = {}  # tokens -> (library, number of its file): each function once
for label, library in enumerate(LIBRARIES):
    found = {}
    for number, path in enumerate(source_files(library)):
        for text in functions_in(path):
            found.setdefault(tuple(code_tokens(text)), (label, number))
    rows |= dict(list(found.items())[:: -(-len(found) // 250)])  # at most 250 of each
functions = list(rows)
library = torch.tensor([label for label, _ in rows.values()])
file = torch.tensor([number for _, number in rows.values()])
is_test = file % 4 == 3  # every fourth file
print(" ".join(functions[0][:40]))


# %%
read = [f for f, kept in zip(functions, is_test, strict=True) if not kept]
vocab = data.vocabulary(read, size=1500)
ids = data.word_ids(functions, vocab, 48)  # (B, 48); 0 is padding, 1 an unknown token
share = library[is_test].bincount().max().item() / is_test.sum().item()  # the commonest library

# %% [markdown]
r"""
Tokens have no numbers inside, only a row in a table. So an `nn.Embedding` stands in front; nothing else changes. Only the first 48 tokens of a function are read, and padding is a token like any other here. Guessing means: always the library that has most functions in the test. Beside it we set the oldest method there is, counting words, with a linear classifier on top. **Predict** who wins.
"""

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
reader = nn.Sequential(nn.Embedding(1500, 64), SequenceClassifier(64, 48, len(LIBRARIES)))
train(reader, ids[~is_test], library[~is_test], steps=220)
by_reader = predict(reader, ids[is_test]) == library[is_test]
accuracy = report("code", by_reader, share)
counts = F.one_hot(ids, 1500).sum(1).float().log1p()  # (B, 1500), how often each word occurs
counter = LogisticRegression(C=0.3, max_iter=500).fit(counts[~is_test], library[~is_test])
by_counter = torch.tensor(counter.predict(counts[is_test])) == library[is_test]
report("code, words counted", by_counter, share)
listed = list(vocab)
for name, row in zip(LIBRARIES, counter.coef_.argsort(axis=1)[:, :-6:-1], strict=True):
    print(f"   {name:<14}", *(listed[i] for i in row))
assert accuracy > share + 0.2, "it should be far above the commonest answer"

# %% [markdown]
r"""
Counting does at least as well. Sobering, and worth knowing: for this question the *vocabulary* is enough. Look at the words that count most (printed above), and this one more number: without positions the same Transformer got 61% in a run of ours. Order does not help here. A Transformer is not the answer to every question. Where order is the question and no single token holds it, counting falls behind, as the model did that was to hear the first of three without positions.

## 7 All in one picture
"""

# %%
fig, ax = plots.figure(height=4)
for place, (p, low, high, chance) in enumerate(results.values()):
    ax.plot([low, high], [place, place], color=plots.BLUE, linewidth=3)
    ax.plot(p, place, "o", color=plots.BLUE)
    ax.plot(chance, place, "|", color=plots.RED, markersize=12, markeredgewidth=2)
ax.set(yticks=range(len(results)), yticklabels=list(results), xlim=(0, 1.02))
ax.set(xlabel="accuracy on the test, with 95% interval; red: guessing, or picking one of three")
ax.invert_yaxis()
plots.show(
    fig,
    "Accuracies with intervals and chance: digits, spoken words and films above 90%, most of their controls lower, code between.",
)

# %% [markdown]
r"""
The intervals say how far a few hundred test questions can be trusted, *if each question is a new throw of the dice*. Functions of one file are not: they are right or wrong together. Whoever wants to know how it goes with new *files* must draw files.
"""


# %% tags=["nbval-ignore-output"]
def by_group(right, group):
    """95% interval of a mean (B,) when whole groups (B,) are drawn, with replacement."""
    right, group = right.float(), group.unique(return_inverse=True)[1]
    total, size = group.bincount(weights=right), group.bincount()
    drawn = torch.randint(len(size), (4000, len(size)), generator=torch.Generator().manual_seed(0))
    return (total[drawn].sum(1) / size[drawn].sum(1)).quantile(torch.tensor([0.025, 0.975]))


files = (100 * library + file)[is_test]
print(len(files), "functions in", len(files.unique()), "files")
for name, right in (("code", by_reader), ("code, words counted", by_counter)):
    low, high = by_group(right, files)
    alone = "[{:.0%}, {:.0%}]".format(*results[name][1:3])
    print(f"{name:<22}by function {alone}   by file [{low:.0%}, {high:.0%}]")
low, high = by_group(by_counter.float() - by_reader.float(), files)
print(f"counting less Transformer, by file: [{low:+.0%}, {high:+.0%}]")

# %% [markdown]
r"""
Twice as wide, and that counting beat this Transformer stands at the edge of luck (with other seeds it was ahead as well, mostly inside the interval). But neither kind of interval says anything of the luck of one training run, or of a test that is easier than the world: our writers of digits are in both halves, and our voices, new ones too, come from one synthesiser.

## Summary

1. A Transformer reads sequences of vectors. Cutting a thing into them is the only part that is about the thing.
2. `patchify` and `tubelets` are reshape, permute, reshape; a linear layer on patches is a convolution whose stride is its size.
3. A log-mel spectrogram is frames, window, Fourier, square, mel filters, logarithm.
4. The class token gathers the answer. Where it looks can mean something; test it before you believe it.
5. What is thrown away before the model (such as the order of frames) no model gets back; what a token keeps inside needs no positions, and whether positions matter depends on the question. Sometimes counting words does as well.

**Next:** so far each modality had a model of its own. Lesson 16 puts two of them into one space.

## Further reading

- Dosovitskiy et al., 2021, "An image is worth 16x16 words": §3.1 and Figure 1; §4.3 on how much data a ViT needs.
- Gong, Chung and Glass, 2021, "AST: Audio spectrogram transformer": §2.1, patches of a spectrogram.
- Arnab et al., 2021, "ViViT: A video vision transformer": §3.2, tubelets.
- Radford et al., 2023, "Robust speech recognition via large-scale weak supervision" (Whisper): §2.2.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
