# %% [markdown]
r"""
# 20 · Everything at once

Say *Hungary*, in a voice that the model has never heard. It answers: *Budapest*. Nobody trained the ear on that question, or on any; it has only learned, from other voices, where words lie. Say *what thing is it* and show it a picture: it answers, and says the answer aloud.

This is the last lesson, and there is little in it that you have not built: the encoder of lesson 4, the spectrogram of lesson 15, the shared space of lesson 16, the eye of lesson 18. New is only an **ear**, made as the eye was, whose words a frozen language model takes for its own; and then everything stands in one prompt. We shall also ask what the ear is good for. There are rivals that need no training at all.

**Needs:** soft tokens and the eye (lesson 18); log-mel spectrograms (lesson 15). Whisper (lesson 19) appears as a rival. **Takes:** about 120 minutes. **Exercises:** 20.1 to 20.7.
"""

# %%
from difflib import get_close_matches

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from IPython.display import Audio
from scipy.signal import resample_poly
from scipy.stats import binomtest
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.audio_utils import mel_filter_bank
from transformers.modeling_outputs import BaseModelOutput

from utils import counted_things, microphone, models, plots, quizzes, speech
from utils.checks import lesson20 as checks
from utils.progress import bar

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)

# %%
folder = models.path("SmolLM2-135M-Instruct")
tokenizer = AutoTokenizer.from_pretrained(folder)
lm = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).requires_grad_(False)
lm.generation_config.pad_token_id = 2
table = lm.get_input_embeddings().weight  # (vocab_size, d_model)
IMAGE, SOUND = "<file_sep>", "<gh_stars>"  # two tokens that no text contains
IMAGE_ID, SOUND_ID = tokenizer.convert_tokens_to_ids([IMAGE, SOUND])


def embeddings(words):
    """The language model's own embeddings of words, one token each: (W, d_model)."""
    return table[[tokenizer.encode(" " + word)[0] for word in words]]


def write_after(prompt, n=3):
    """What the language model writes after words alone."""
    ids = tokenizer(prompt, return_tensors="pt")
    new = lm.generate(**ids, do_sample=False, max_new_tokens=n)[0, ids.input_ids.shape[1] :]
    return tokenizer.decode(new, skip_special_tokens=True).strip().split("\n")[0]


# %% [markdown]
r"""
## 1 What may stand in a prompt

Soft tokens from a picture stood in the place of words in lesson 18. Now there are two kinds of them. Each has a placeholder of its own, and they may come in any order: picture first, question first, a word between.

### Exercise 20.1 · `splice_two` ★★ · 8 minutes

- `ids`: `(T,)`, the ids of one prompt, with placeholders `image_id` and `sound_id` in it
- `table`: `(vocab_size, d_model)`; `image_tokens`: `(N, d_model)`; `sound_tokens`: `(M, d_model)`; N or M may be 0
- returns `(T, d_model)`: the words' embeddings; in the places of `image_id` the image tokens in their order, in those of `sound_id` the sound tokens in theirs. `table` and the tokens stay as they are
- a `ValueError` (with a sentence) if there are not exactly N and M placeholders

Below it stands the proof: with the embeddings of *real words* in both kinds of places the logits must be those of the words.

By hand: with a `table` whose row i is `[i, i]`, `image_id` 8 and `sound_id` 9, the ids `[9, 1, 8]` with image token `[5., 5.]` and sound token `[6., 6.]` become `[[6, 6], [1, 1], [5, 5]]`.
"""


# %% tags=["answer"]
def splice_two(ids, table, image_id, image_tokens, sound_id, sound_tokens):
    """Words, picture and sound in the order of the prompt: (T,) -> (T, d_model)."""
    ### BEGIN SOLUTION
    x = table[ids]  # (T, d_model), a copy
    for place, tokens in {image_id: image_tokens, sound_id: sound_tokens}.items():
        if (ids == place).sum() != len(tokens):
            raise ValueError(f"{(ids == place).sum()} places {place} for {len(tokens)} tokens")
        x[ids == place] = tokens
    return x
    ### END SOLUTION


# %% tags=["check"]
splice_two = checks.splice_two(splice_two)

# %%
prompt = f"Picture:{3 * IMAGE}\nQuestion:{4 * SOUND}\nAnswer:"
ids, words = torch.tensor(tokenizer.encode(prompt)), "two red owl what color is it".split()
x = splice_two(ids, table, IMAGE_ID, embeddings(words[:3]), SOUND_ID, embeddings(words[3:]))
written = "Picture: two red owl\nQuestion: what color is it\nAnswer:"
with torch.no_grad():
    by_ids = lm(torch.tensor([tokenizer.encode(written)])).logits
    by_embeddings = lm(inputs_embeds=x[None]).logits
assert torch.allclose(by_ids, by_embeddings, atol=1e-3), "real words should give their logits"

# %%
@torch.no_grad()
def tell(prompt, images=None, sounds=None, n=4):
    """What is written for each of B pictures (B, N, d_model) and/or sounds: a list of B texts.

    What comes before the first placeholder is read only once, as in lesson 18.
    """
    ids = torch.tensor(tokenizer.encode(prompt))
    first = min(i for i, token in enumerate(ids.tolist()) if token in (IMAGE_ID, SOUND_ID))
    B = len(images if images is not None else sounds)
    images, sounds = ([table[:0]] * B if given is None else given for given in (images, sounds))
    x = torch.stack([
        splice_two(ids, table, IMAGE_ID, image, SOUND_ID, sound)
        for image, sound in zip(images, sounds, strict=True)
    ])  # (B, T, d_model)  # fmt: skip
    cache = DynamicCache()
    lm.model(ids[None, :first], past_key_values=cache)
    cache.batch_repeat_interleave(B)
    mask = torch.ones(B, len(ids), dtype=torch.long)
    new = lm.generate(inputs_embeds=x, past_key_values=cache, attention_mask=mask,
                      do_sample=False, max_new_tokens=n)  # fmt: skip
    return [text.strip().split("\n")[0] for text in tokenizer.batch_decode(new, skip_special_tokens=True)]


# %% [markdown]
r"""
## 2 First the reader, then the ear

Lesson 18's rule: before we build an ear we ask what the language model can do with *words*. A good question for it is one whose answer stands in no sound: the capital of a country. Two examples show what is wanted; sixty-three countries are asked, each a single token.
"""

# %%
CAPITALS = quizzes.capitals()  # country -> how its capital may begin
COUNTRIES = [country for country in CAPITALS if country not in ("Austria", "Norway")]
CAPITAL_PROMPT = f"""Country: Austria
Capital: Vienna

Country: Norway
Capital: Oslo

Country:{SOUND}
Capital:"""


def is_capital(answer, country):
    return answer.startswith(tuple(CAPITALS[country]))


answered = tell(CAPITAL_PROMPT, sounds=embeddings(COUNTRIES)[:, None])
known = dict(zip(COUNTRIES, map(is_capital, answered, COUNTRIES), strict=True))
print(f"{sum(known.values())} of {len(COUNTRIES)} capitals are right")
wrong = [(c, a) for c, a in zip(COUNTRIES, answered, strict=True) if not known[c]]
print(wrong)
assert sum(known.values()) > 45, "with true words three in four should be right"

# %% [markdown]
r"""
That is the ceiling, for this prompt: what the words themselves give. (Look at the wrong ones. Several are the largest city, or the most famous.)

Now the sounds. A synthesiser speaks each word in many voices, faster and slower, higher and lower, with the same split of voices as in lesson 19: for training, for choosing, and for the test. Twelve countries are **never spoken in training**; remember them. And because the ear shall be used for other things later, it also learns the 24 things of lesson 18.
"""

# %%
UNHEARD = "Iraq Argentina Italy Nigeria Ukraine Lebanon Malaysia Greece Iceland England Pakistan Belgium".split()
THINGS = counted_things.THINGS
HEARD = [country for country in COUNTRIES if country not in UNHEARD]
WORDS = HEARD + THINGS
print(len(WORDS), "words are spoken in training,", len(UNHEARD), "countries are not")


# %%
RATE, N_FFT, HOP = 11_025, 256, 110
FILTERS = mel_filter_bank(N_FFT // 2 + 1, 40, 60.0, 5500.0, RATE, norm="slaney", mel_scale="slaney")
FILTERS = torch.tensor(FILTERS, dtype=torch.float32)  # (129, 40)


def sound_tokens(waves, frames=6):
    """Slices of 60 ms of the log-mel spectrogram, from -1 to 1: (B, S) -> (B, T, 240)."""
    pieces = waves.unfold(-1, N_FFT, HOP) * torch.hann_window(N_FFT)  # (B, n_frames, 256)
    x = (torch.fft.rfft(pieces).abs() ** 2 @ FILTERS).clamp(min=1e-10).log10()
    loudest = x.amax((1, 2), keepdim=True)
    x = (x.maximum(loudest - 6) - loudest) / 3 + 1
    T = x.shape[1] // frames
    return x[:, : T * frames].reshape(len(x), T, frames * 40)


# %%
def listen(waves, seconds=0.9):
    """Tokens of waves of any length, (B, T, 240), and a mask: True where the wave goes on."""
    n = int(seconds * RATE)
    rows = [np.pad(wave[:n], (0, max(0, n - len(wave)))) for wave in waves]
    parts = [sound_tokens(torch.tensor(np.stack(rows[i : i + 500]))) for i in range(0, len(rows), 500)]
    tokens = torch.cat(parts)
    last = torch.tensor([-(-min(len(wave), n) // (6 * HOP)) for wave in waves])
    return tokens, torch.arange(tokens.shape[1]) < last[:, None]


# %% tags=["nbval-ignore-output"]
waves, which = speech.by_voices(WORDS, "training", seed=1)
which = torch.tensor(which)
tokens, mask = listen(waves)
print(len(waves), "clips,", tuple(tokens.shape))
some = speech.speak([("Hungary", voice, 160, 50) for voice in ("adam", "linda", "Storm")])
Audio(np.concatenate(some), rate=RATE)  # "Hungary" in three of the training voices

# %% [markdown]
r"""
## 3 From many slices to one word

The ear's encoder makes a state of every slice of sound. How many of them shall the language model get? One, for one word. So a **learned query** looks at all states and takes their weighted mean, as the queries of lesson 18's eye did; here you write the whole of it. It must not look at the silence behind the word, or a longer clip would weaken the mean.

### Exercise 20.2 · `pool_speech` ★★ · 10 minutes

- `states`: `(B, T, C)`; `mask`: `(B, T)` bool, True for real slices; `queries`: `(n, C)`
- the scores are query · state / √C; the softmax runs over the real slices of each clip
- returns `(B, n, C)`: for each query the weighted mean of the states. Gradients reach `states` and `queries`

By hand: one query of zeros gives equal scores, so the mean of the real states: states `[[2.], [4.], [9.]]` with the mask `[True, True, False]` give `[[3.]]`.
"""


# %% tags=["answer"]
def pool_speech(states, mask, queries):
    """Each query's weighted mean of the real states: (B, T, C) -> (B, n, C)."""
    ### BEGIN SOLUTION
    scores = queries @ states.transpose(1, 2) / states.shape[-1] ** 0.5  # (B, n, T)
    scores = scores.masked_fill(~mask[:, None], -torch.inf)
    return scores.softmax(dim=-1) @ states
    ### END SOLUTION


# %% tags=["check"]
pool_speech = checks.pool_speech(pool_speech)


# %%
class Ear(nn.Module):
    """Sound (B, T, 240) and mask (B, T) -> n vectors where the words are: (B, n, d_model)."""

    def __init__(self, n=1, width=64):
        super().__init__()
        self.slices, self.queries = nn.Linear(240, width), nn.Parameter(torch.randn(n, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, 2, nn.LayerNorm(width), enable_nested_tensor=False
        )
        angles = torch.arange(64)[:, None] * 1e4 ** (-torch.arange(0, width, 2) / width)
        self.places = torch.cat([angles.sin(), angles.cos()], dim=1)  # (64, width), lesson 3
        d_model = table.shape[1]
        self.norm, self.linear_1 = nn.LayerNorm(width), nn.Linear(width, d_model)
        self.linear_2 = nn.Linear(d_model, d_model)

    def forward(self, tokens, mask):
        x = self.slices(tokens) + self.places[: tokens.shape[1]]
        states = self.encoder(x, src_key_padding_mask=~mask)  # (B, T, width)
        found = self.norm(pool_speech(states, mask, self.queries))  # (B, n, width)
        return self.linear_2(F.gelu(self.linear_1(found)))


# %% [markdown]
r"""
What is it to learn? What the eye learned: of all the words that it may hear, the right one's embedding shall have the largest cosine. The language model is not needed for that, only its table. And because *nearest* is not *near* (lesson 18, section 6), a last attention over the words makes of the ear's vector a mean of real embeddings.

### Exercise 20.3 · `hear` ★★ · 8 minutes

- `found`: `(B, n, d_model)`, what the ear gives; `words`: `(W, d_model)`, embeddings of the words that may be heard; `scale`: a number
- the scores are `scale` times the **cosine** of each vector with each word; weights: their softmax over the words
- returns a pair: soft tokens `(B, n, d_model)`, the weighted means of `words` as they are (not normalised); weights `(B, n, W)`

By hand: with one word, whatever is found, the soft token is that word, and its weight 1.
"""


# %% tags=["answer"]
def hear(found, words, scale):
    """Soft tokens as means of real words, and the words' weights: (B, n, d_model), (B, n, W)."""
    ### BEGIN SOLUTION
    cosines = F.normalize(found, dim=-1) @ F.normalize(words, dim=-1).T  # (B, n, W)
    weights = (scale * cosines).softmax(dim=-1)
    return weights @ words, weights
    ### END SOLUTION


# %% tags=["check"]
hear = checks.hear(hear)


# %%
def train_ear(tokens, mask, targets, words, seed=0, steps=300, batch=64):
    """A new ear that finds the right words: targets (B, n) are places in `words`."""
    torch.manual_seed(seed)
    ear = Ear(targets.shape[1])
    optimizer = torch.optim.AdamW(ear.parameters(), weight_decay=0.05, fused=True)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.15)
    for _ in bar(range(steps), "learning to hear"):
        rows = torch.randint(len(targets), (batch,))
        weights = hear(ear(tokens[rows], mask[rows]), words, 20)[1]
        loss = F.nll_loss(weights.clamp(min=1e-9).log().flatten(0, 1), targets[rows].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(ear.parameters(), 1.0)
        optimizer.step()
        rates.step()
    return ear.eval()


# %% [markdown]
r"""
**Predict:** after 300 steps, of 75 words spoken by twelve voices that it has never heard, how many will be right? (Lesson 19's listener got more than nine in ten of its strings of three digits.)
"""

# %% tags=["nbval-ignore-output"]
word_table = embeddings(WORDS)  # (W, d_model)
ear = train_ear(tokens, mask, which[:, None], word_table)


@torch.no_grad()
def hear_words(waves, ear=ear, words=word_table, seconds=0.9):
    """Soft tokens and weights for waves."""
    return hear(ear(*listen(waves, seconds)), words, 20)


# %%
def share(right):
    """A share and its interval of 95% (Wilson): (share, low, high)."""
    right = np.asarray(right, dtype=bool)
    low, high = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return right.mean(), low, high


def told(name, right):
    print(f"{name:<34}" + "{:>5.0%}   between {:.0%} and {:.0%}".format(*share(right)))


# %% tags=["nbval-ignore-output"]
chosen_on = speech.by_voices(WORDS, "validation", seed=2, each=3)
new_waves, new_which = speech.by_voices(WORDS, "held out", seed=2, each=3)
sure = {}
for name, (some, truth) in {"validation voices": chosen_on, "new voices": (new_waves, new_which)}.items():
    sure[name], best = hear_words(some)[1][:, 0].max(dim=-1)
    right = best == torch.tensor(truth)
    told(name, right)
    assert right.float().mean() > 0.85, "in our runs 95% and more were right"


def eight(tokens, mask):
    """Every clip brought to eight slices: (B, 1920)."""
    return torch.stack([F.adaptive_avg_pool1d(t[m].T, 8).flatten() for t, m in zip(tokens, mask, strict=True)])


clips = eight(tokens, mask)
means = torch.stack([clips[which == word].mean(0) for word in range(len(WORDS))])
nearest = torch.cdist(eight(*listen(new_waves)), means).argmin(dim=1)
told("new voices, nearest mean clip", nearest == torch.tensor(new_which))

# %% [markdown]
r"""
(With two other seeds it was 98 and 99%.) How hard is that? The third line is a rival without any training: each clip is brought to eight slices, and the word is taken whose *mean clip* is nearest. A logistic regression on the same eight slices, which is no network at all, got 99% as our ear does. So in a closed world of single words it is not the Transformer that does it; what we want of it is that its answer is a *vector among words*.

And now the moment for which this ear was made. A country is said, once, by one of the new voices. The soft token goes where the word would stand. Nothing in the language model was trained, and the ear has never met a capital.

**Predict:** true words reached the ceiling of section 2. How far below it will spoken words be? And what, if the sounds are exchanged, so that each question gets another country's sound?
"""

# %% tags=["nbval-ignore-output"]
lots, voices = np.random.default_rng(3), speech.VOICES["held out"]
asked = [
    (country, voices[i % 12], int(lots.integers(130, 231)), int(lots.integers(20, 81)))
    for i, country in enumerate(HEARD)
]
country_waves = speech.speak(asked)
soft, weights = hear_words(country_waves)  # (51, 1, d_model)
answers = tell(CAPITAL_PROMPT, sounds=soft)
first = [HEARD.index("Hungary"), *range(5)]
for (country, voice, *_), answer in [(asked[i], answers[i]) for i in first]:
    print(f"{voice:<9}says {country:<11}and it answers {answer}")
Audio(np.concatenate([country_waves[i] for i in first]), rate=RATE)

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    raw = tell(CAPITAL_PROMPT, sounds=ear(*listen(country_waves)))  # without the last attention
right = {
    "true words": [known[country] for country in HEARD],
    "heard": list(map(is_capital, answers, HEARD)),
    "the ear's own vector": list(map(is_capital, raw, HEARD)),
    "another country's sound": list(map(is_capital, answers[1:] + answers[:1], HEARD)),
}
for name, hits in right.items():
    told(name, hits)
rates, right_by_ear = {name: np.mean(hits) for name, hits in right.items()}, right["heard"]
assert rates["heard"] > 0.7, "most capitals should be right"
assert rates["heard"] > rates["true words"] - 0.1, "nearly as many as with true words"
assert rates["another country's sound"] < 0.1, "the answer should follow the sound"

# %% [markdown]
r"""
It hears, and it *knows* what it has heard. (With two other seeds 84 and 82%. The intervals count countries; the voices are twelve, and one synthesiser's.) Vienna and Oslo stood in its prompt, all the others in its memory of texts. The sound went through your spectrogram, your encoder and your pooling; it became a vector among written words, and with the last attention a mean of them in which one word has nearly all the weight; and there it was taken for that word. (The ear's own vector is not: it is nearest to the right word and yet too far from it, as in lesson 18.)

## 4 What it cannot hear

A demonstration is the best case. Four questions show the limits; **predict** each before you run the cells below.

1. *Silence* (as a microphone gives it, a very faint hiss), bursts of noise, tones, and ordinary words that are not among the 75: what will it hear, if anything?
2. The twelve countries that were **never spoken** in training. Their embeddings are in the table as all the others are. May the ear, which landed on so many words, find these too, if we offer them as candidates?
3. White noise over the new voices' words: how loud may it be?
4. If you may refuse to answer when you are not sure, how many of these get through?
"""

# %% tags=["nbval-ignore-output"]
hiss, seconds = np.random.default_rng(5), np.arange(RATE // 2) / RATE
OTHER = "table window seven house green water letter music doctor winter paper chicken".split()
no_words = {
    "silence": [np.full(RATE // 2, 1e-4, np.float32) * hiss.standard_normal(RATE // 2).astype(np.float32)],
    "bursts of noise": [0.1 * hiss.standard_normal(n).astype(np.float32) for n in range(3000, 9000, 300)],
    "tones": [np.sin(2 * np.pi * f * seconds).astype(np.float32) for f in range(200, 2200, 100)],
    "other words": speech.by_voices(OTHER, "held out", seed=6, each=2)[0],
}
heard_in = {name: hear_words(some) for name, some in no_words.items()}
for name, (soft_token, heard) in heard_in.items():
    word, answer = WORDS[heard[0].argmax()], tell(CAPITAL_PROMPT, sounds=soft_token[:1])[0]
    print(f"{name:<16}the first is heard as {word!r} ({heard[0].max():.2f}), and the answer is {answer!r}")

# %% tags=["nbval-ignore-output"]
strange_waves, strange_which = speech.by_voices(UNHEARD, "held out", seed=4, each=6)
_, strange = hear_words(strange_waves)  # only words of the training may be chosen
best, strange_which = strange[:, 0].argmax(-1), torch.tensor(strange_which)
for i, country in enumerate(UNHEARD[:6]):
    print(f"{country:<10}", [WORDS[b] for b in best[strange_which == i]])
_, offered = hear_words(strange_waves, words=embeddings(WORDS + UNHEARD))
found = offered[:, 0].argmax(-1) == len(WORDS) + strange_which
told("right, among all 87 words", found)
_, among = hear_words(strange_waves, words=embeddings(UNHEARD))
told("right, among these twelve only", among[:, 0].argmax(-1) == strange_which)
assert found.float().mean() < 0.15, "what was never heard should not be found"

# %% [markdown]
r"""
It hears what *sounds* alike: Iraq as Iran, Italy as India. Among all the words none of the twelve is found; among the twelve alone it is right two to four times as often as by chance (in four trainings of ours 15 to 32%), but that comes from two or three countries whose sound it happens to place well, and most are never found. Little of how letters sound has been learned on the way. A model that can find words it never heard must be trained on very many (as Whisper was), or spell.

The honest thing to do with an uncertain ear is to say *pardon?*

### Exercise 20.4 · `refuse` ★ · 5 minutes

- `weights`: `(B, W)`, each row sums to 1; `threshold`: a number
- returns a list of B entries: the place of the largest weight, an `int`; or `None`, where that weight is *below* the threshold
- if several weights are the largest, the first of them

By hand: `[[0.7, 0.3], [0.5, 0.5]]` with the threshold 0.6 gives `[0, None]`; with 0.5 it gives `[0, 0]`.
"""


# %% tags=["answer"]
def refuse(weights, threshold):
    """The most likely word of each row, or None where it is not likely enough."""
    ### BEGIN SOLUTION
    rows = weights.tolist()
    return [row.index(max(row)) if max(row) >= threshold else None for row in rows]
    ### END SOLUTION


# %% tags=["check"]
refuse = checks.refuse(refuse)

# %% tags=["nbval-ignore-output"]
threshold = sure["validation voices"].quantile(0.05).item()  # one in twenty of them is refused
print(f"threshold {threshold:.2f}, chosen on the validation voices")
cases = {"words by new voices": hear_words(new_waves)[1], "countries never heard": strange}
cases |= {name: heard for name, (_, heard) in heard_in.items()}
for name, heard in cases.items():
    refused = refuse(heard[:, 0], threshold).count(None)
    print(f"{name:<24}refused {refused} of {len(heard)}")
    assert name != "words by new voices" or refused < 0.2 * len(heard), "most are words"


# %% tags=["nbval-ignore-output"]
def noisy(wave, decibels, lots):
    """With white noise, so many decibels below the wave."""
    loud = np.sqrt((wave**2).mean() / 10 ** (decibels / 10))
    return (wave + loud * lots.standard_normal(len(wave))).astype(np.float32)


levels, curves, lots = [40, 30, 20, 10, 5, 0], [], np.random.default_rng(6)
for level in levels:
    weights = hear_words([noisy(wave, level, lots) for wave in new_waves])[1][:, 0]
    right = (weights.argmax(-1) == torch.tensor(new_which)).numpy()
    accepted = np.array([answer is not None for answer in refuse(weights, threshold)])
    curves.append([right.mean(), accepted.mean(), (~right)[accepted].mean()])
fig, ax = plots.figure(height=2.6)
for curve, label, style in zip(np.transpose(curves), ("heard right", "accepted", "wrong among the accepted"), ("o-", "o--", "s:"), strict=True):
    ax.plot(levels, curve, style, label=label)
ax.set(xlabel="decibels that the word is louder than the noise", ylabel="share", ylim=(0, 1.02))
ax.invert_xaxis()
ax.legend(fontsize=9)
plots.show(fig, "With more noise fewer words are heard right and fewer accepted, but of those that are accepted more and more are wrong.")

# %% [markdown]
r"""
A threshold helps. In three runs of ours it refused silence, most bursts of noise and between one half and four fifths of the countries that were never heard. But it lets through part of the tones and of the *other words*, and those are what a user says by mistake: they are answered with confidence, and wrongly. And look at the dotted line: with loud noise the ear says *pardon* more often, and yet most of what it does accept is wrong. A threshold chosen in a quiet room knows nothing of a loud one.

## 5 The rivals

Why an ear at all? Whisper can write down what is said, and SmolLM2 can read. Such a **cascade** needs no training. Let it write the same countries, said by the same voices, and let SmolLM2 read what was written.
"""

# %%
folder = models.path("whisper-tiny.en")
whisper = transformers.WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
whisper = whisper.eval().requires_grad_(False)
whisper_tokenizer = transformers.WhisperTokenizer.from_pretrained(folder)
extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder)


# %%
@torch.no_grad()
def encode(waves, frames):
    """Whisper's states for waves at 16,000 samples a second, in a window of so many frames."""
    window = dict(max_length=160 * frames, padding="max_length", truncation=True)
    mel = extractor(waves, sampling_rate=16_000, return_tensors="pt", **window).input_features
    encoder = whisper.model.encoder
    x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel)))).mT  # (B, frames // 2, 384)
    x = x + encoder.embed_positions.weight[: frames // 2]
    for layer in encoder.layers:
        out = layer(x, None)
        x = out[0] if isinstance(out, tuple) else out
    return encoder.layer_norm(x)


# %% tags=["nbval-ignore-output"]
lone = [np.pad(wave, 4800) for wave in speech.speak(asked[:18], rate=16_000)]
states = BaseModelOutput(encode(lone, 800))
ids = whisper.generate(encoder_outputs=states, max_new_tokens=10)
transcripts = [text.strip() for text in whisper_tokenizer.batch_decode(ids, skip_special_tokens=True)]
spelled = [text.strip(".!? ").lower() for text in transcripts]
print(list(zip(HEARD, transcripts, strict=False)))
written_right = [word == country.lower() for word, country in zip(spelled, HEARD, strict=False)]
told("Whisper writes the word", written_right)
read = [write_after(CAPITAL_PROMPT.replace(SOUND, " " + text.strip(".!? "))) for text in transcripts]
told("and SmolLM2 answers its capital", list(map(is_capital, read, HEARD[:18])))
names = [country.lower() for country in COUNTRIES]
near = [get_close_matches(word, names, 1, cutoff=0)[0] for word in spelled]  # a list to choose from
told("the nearest name in a list", [a == b.lower() for a, b in zip(near, HEARD, strict=False)])
told("our ear, capitals, the same clips", right_by_ear[:18])

# %% [markdown]
r"""
*Friends* for France, *Is real* for Israel: the transcripts of somebody who expects something else. Whisper's decoder is a language model (lesson 19), and where it is unsure it writes what is usual. (Not because the word is alone: in *The country is France*, by the same voices, half of the names were wrong as well.) And the comparison is not fair: our ear was told which 75 words there are, and Whisper was not. With a list of the 63 countries beside it, and the nearest spelling taken from it, a good part of the gap is gone. Is the *sound* understood, then, and only not written? There is a way to find out, and it is one of the best tricks in this course: **do not let it write; ask it.** Give it each candidate in turn, and see how likely it finds that one.

### Exercise 20.5 · `candidate_scores` ★★★ · 15 minutes

- `decode(ids)` gives logits `(B, T, V)` for ids `(B, T)`; what stands at place t predicts the token at t + 1, and what stands later changes nothing before it
- `begin`: a list of ids, with which every row begins; `candidates`: lists of ids, not equally long
- the score of a candidate: the sum of the log-probabilities of its tokens, each given `begin` and the candidate's tokens before it
- returns the list of scores, numbers; `decode` is called **once**, with all candidates in one batch, padded on the right (with any id); the padding counts nothing
- no candidate, or an empty one, or an empty `begin` is a `ValueError` (with a sentence)

By hand: if `decode` finds all V tokens equally likely everywhere, a candidate of three tokens has the score -3 log V.
"""


# %% tags=["answer"]
def candidate_scores(decode, begin, candidates):
    """The log-probability of each candidate after `begin`, in one call of `decode`."""
    ### BEGIN SOLUTION
    if not begin or not candidates or not all(candidates):
        raise ValueError("a beginning and candidates are needed, each with one token at least")
    longest = max(map(len, candidates))
    rows = [[*begin, *one, *[0] * (longest - len(one))] for one in candidates]
    log_p = decode(torch.tensor(rows)).log_softmax(dim=-1)  # (B, T, V)
    first = len(begin) - 1
    return [
        sum(log_p[i, first + j, token].item() for j, token in enumerate(one))
        for i, one in enumerate(candidates)
    ]
    ### END SOLUTION


# %% tags=["check"]
candidate_scores = checks.candidate_scores(candidate_scores)

# %% [markdown]
r"""
Twelve clips, at the same speeds and pitches as above, in a window of three seconds (who need not write need not stop, so a short one is enough): six countries that our ear knows, and six that it has *never heard*. Candidates are all 63 countries. **Predict:** how many of the first six, how many of the last?
"""

# %% tags=["nbval-ignore-output"]
BEGIN = whisper_tokenizer.convert_tokens_to_ids(["<|startoftranscript|>", "<|notimestamps|>"])
options = [
    whisper_tokenizer(f" {country}.", add_special_tokens=False).input_ids for country in COUNTRIES
]
clip_of = [*HEARD[:6], *UNHEARD[:6]]
how = [clip[1:] for clip in asked[:6]]  # voice, speed and pitch
clips = speech.speak([(c, *h) for c, h in zip(clip_of, 2 * how, strict=True)], rate=16_000)
guessed = []
for clip in bar(clips, "asking"):
    memory = BaseModelOutput(encode([np.pad(clip, 4800)], 300).expand(len(options), -1, -1))
    decode = lambda ids, memory=memory: whisper(encoder_outputs=memory, decoder_input_ids=ids).logits
    scores = candidate_scores(decode, BEGIN, options)
    guessed.append(COUNTRIES[int(np.argmax(scores))])

print([(said, guess) for said, guess in zip(clip_of, guessed, strict=True)])
asked_right = [said == guess for said, guess in zip(clip_of, guessed, strict=True)]
told("asked, countries that the ear knows", asked_right[:6])
told("asked, countries never heard by it", asked_right[6:])
assert np.mean(asked_right) > 0.6, "asked, it should know most of them"

# %% [markdown]
r"""
The sound *was* understood, far better than it was written: it is the free writing that fails. (Lesson 13 asked a language model in the same way whether a function exists.) So here is an honest verdict, with what each costs:

| | words of its training | words never heard | needs |
| --- | --- | --- | --- |
| our ear | nearly all | next to none | 3,375 labelled clips, ten seconds of training, a list of words |
| cascade: Whisper writes, SmolLM2 reads | half of these names, seven in ten with a list | no difference to it (we got half of twelve) | nothing |
| Whisper is asked | nearly all | most | a list of words, and half a second for each clip |

Nothing here shows that *softness* gains anything. (Put the most likely word's embedding in place of the mean: we got the same share of capitals.) In a closed world a trained ear is quick and good; where anything may be said, the transcript wins. What speaks for tokens of sound in large models, which are trained with them, is what a transcript *throws away*: who speaks, how, and whether it was a question. Three sentences, once with a full stop and once with a question mark, by two voices; and three whose *words* make a question. Listen to the first pair (the difference is faint), and look how many question marks are written:
"""

# %% tags=["nbval-ignore-output"]
texts = [text + end for text in ("The train has left", "You are coming home", "The shop is open") for end in ".?"]
texts += ["Has the train left?", "Are you coming home?", "Is the shop open?"]
both = speech.speak([(text, voice, 150, 50) for voice in voices[:2] for text in texts], rate=16_000)
ids = whisper.generate(encoder_outputs=BaseModelOutput(encode([np.pad(w, 4800) for w in both], 800)), max_new_tokens=12)
written = np.array(["?" in text for text in whisper_tokenizer.batch_decode(ids, skip_special_tokens=True)]).reshape(2, 9)
for name, some in (("full stop", written[:, :6:2]), ("question mark", written[:, 1:6:2]), ("question's words", written[:, 6:])):
    print(f"said with a {name:<17}a question mark in {some.sum()} of {some.size}")
Audio(np.concatenate(both[:2]), rate=16_000)

# %% [markdown]
r"""
It writes the mark by the order of the words, and not by the tune.

## 6 Say it, find the picture

Ear and eye have never met. Each was aligned with the words of a language model, one by sounds, the other by pictures. So a sound and a picture of the same thing should lie near each other, with **the word as the bridge**, though no pair of sound and picture was ever shown to anyone.

First the eye, lesson 18's, trained as there. (It takes a quarter of a minute. If you have not met it: a small convolutional network, three queries, a projector, and the loss that you have just used for the ear.)
"""

# %%
training, held_out = counted_things.split()  # combinations such as ("two", "red", "dog")
draw_all = counted_things.draw_all
SEEN = [*counted_things.NUMBERS, *counted_things.COLOURS, *THINGS]
seen_table = embeddings(SEEN)


# %%
class Eye(nn.Module):
    """Pictures (B, 3, 40, 40) -> three vectors where the words are: (B, 3, d_model)."""

    def __init__(self, width=128):
        super().__init__()
        layers, widths = [], [3, 32, 64, width]
        for d_in, d_out in zip(widths, widths[1:], strict=False):  # 40 -> 20 -> 10 -> 5
            convolution = nn.Conv2d(d_in, d_out, 3, stride=2, padding=1)
            layers += [convolution, nn.BatchNorm2d(d_out), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.position = nn.Parameter(0.02 * torch.randn(25, width))
        self.queries = nn.Parameter(0.1 * torch.randn(3, width))
        self.attention, self.norm = nn.MultiheadAttention(width, 4, batch_first=True), nn.LayerNorm(width)
        d_model = table.shape[1]
        self.project = nn.Sequential(nn.Linear(width, d_model), nn.GELU(), nn.Linear(d_model, d_model))

    def forward(self, pictures):
        x = self.convolutions(pictures).flatten(2).transpose(1, 2) + self.position  # (B, 25, width)
        queries = self.queries.expand(len(x), -1, -1)
        found, _ = self.attention(queries, x, x, need_weights=False)
        return self.project(self.norm(queries + found))


# %%
def train_eye(seed=0, steps=250, batch=64):
    """As in lesson 18, on pictures that are drawn as they are needed."""
    torch.manual_seed(seed)
    lots, eye = np.random.default_rng(seed), Eye()
    optimizer = torch.optim.AdamW(eye.parameters(), weight_decay=0.01, fused=True)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in bar(range(steps), "learning to see"):
        chosen = [training[i] for i in lots.integers(len(training), size=batch)]
        weights = hear(eye(draw_all(chosen, lots)), seen_table, 20)[1]  # (B, 3, words)
        targets = torch.tensor([[SEEN.index(word) for word in c] for c in chosen])
        loss = F.nll_loss(weights.clamp(min=1e-9).log().flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    return eye.eval()


# %% tags=["nbval-ignore-output"]
eye = train_eye()


@torch.no_grad()
def see(pictures):
    """Soft tokens for number, colour and thing: (B, 3, d_model)."""
    return hear(eye(pictures), seen_table, 20)[0]


# %% [markdown]
r"""
Did you notice? `hear` did the seeing. It has no ears; it knows vectors and words.

### Exercise 20.6 · `find` ★ · 6 minutes

- `query`: `(C,)`; `gallery`: `(G, C)`
- returns the places of *all* G rows as a list of `int`, by falling **cosine** with the query; of equal ones the one that stands first
- a row (or query) of zeros has the cosine 0 with everything

By hand: for the query `[1., 0.]` and the gallery `[[0., 2.], [5., 5.], [3., 0.]]` the order is `[2, 1, 0]`: length does not matter.
"""


# %% tags=["answer"]
def find(query, gallery):
    """The rows of a gallery, nearest first: a list of their places."""
    ### BEGIN SOLUTION
    cosines = F.normalize(gallery, dim=-1) @ F.normalize(query, dim=-1)  # (G,)
    return cosines.argsort(descending=True, stable=True).tolist()
    ### END SOLUTION


# %% tags=["check"]
find = checks.find(find)

# %% [markdown]
r"""
(Two classifiers that know the same list of words could do that by name. So we print a harder test besides: the raw vectors of ear and eye, before any list is consulted. But do not read too much into the *word*: when we trained both on a table of random vectors in place of the words', sound and picture met as well; only with ear and eye on two different tables they did not, 15%. What binds them is a common code. That ours is made of words is good for something else: a language model reads it.) One picture of each of the 24 things hangs in a gallery, number and colour drawn by lot, all of them combinations that the eye was not trained on. Each thing is said by two new voices. **Predict:** how often is the right picture the first?
"""

# %% tags=["nbval-ignore-output"]
hung = [next(c for c in held_out if c[2] == thing) for thing in THINGS]
gallery_pictures = draw_all(hung, np.random.default_rng(8))
gallery = see(gallery_pictures)[:, 2]  # (24, d_model): what thing it is
thing_waves, thing_which = speech.by_voices(THINGS, "held out", seed=9, each=2)
queries = hear_words(thing_waves)[0][:, 0]  # (48, d_model)
ranks = [find(query, gallery) for query in queries]
hits = [order[0] == i for order, i in zip(ranks, thing_which, strict=True)]
told("the right picture comes first", hits)
with torch.no_grad():  # the same without the last attention on either side
    raw_ear, raw_eye = ear(*listen(thing_waves))[:, 0], eye(gallery_pictures)[:, 2]
told("raw ear against raw eye", [find(q, raw_eye)[0] == i for q, i in zip(raw_ear, thing_which, strict=True)])
assert np.mean(hits) > 0.8, "the word should be a bridge between sound and picture"

rows = [8, 21, 33]  # three of the spoken words
titles = [f"{rank + 1}: {' '.join(hung[i])}" for r in rows for rank, i in enumerate(ranks[r][:5])]
shown = torch.stack([gallery_pictures[i] for r in rows for i in ranks[r][:5]])
names = [f"said:\n{THINGS[thing_which[r]]}" for r in rows]
plots.show(
    plots.gallery(shown, titles, columns=5, labels=names),
    "For each of three spoken words the five nearest pictures; the first shows the thing that was said.",
)

# %% [markdown]
r"""
## 7 Everything at once

A picture *and* a spoken question about it. The question is a sentence now, of four words: *what color is it*, *how many are there*, *what thing is it*. So a second ear has **four queries**, one for each word, and its words are the nine of these sentences. Then everything goes into one prompt: written words, three vectors from a picture, four from a sound.
"""

# %% tags=["nbval-ignore-output"]
QUESTIONS = ["what color is it", "how many are there", "what thing is it"]
SPOKEN = sorted({word for question in QUESTIONS for word in question.split()})
spoken_table = embeddings(SPOKEN)
places = torch.tensor([[SPOKEN.index(word) for word in question.split()] for question in QUESTIONS])
waves, which = speech.by_voices(3 * QUESTIONS, "training", seed=11)
tokens, mask = listen(waves, 1.8)
targets = places[torch.tensor(which) % 3]  # (B, 4)
sentence_ear = train_ear(tokens, mask, targets, spoken_table, steps=120, batch=32)
waves, which = speech.by_voices(2 * QUESTIONS, "held out", seed=12)
_, weights = hear_words(waves, sentence_ear, spoken_table, 1.8)
told("all four words right", (weights.argmax(-1) == places[torch.tensor(which) % 3]).all(-1))

# %%
SHOWN = [("two black chair", "what color is it", "black"), ("one white lamp", "how many are there", "one"),
         ("three silver spoon", "what thing is it", "spoon"), ("one white lamp", "what color is it", "white"),
         ("three silver spoon", "how many are there", "three"), ("two black chair", "what thing is it", "chair")]  # fmt: skip
OMNI = "".join(f"Picture: {words}\nQuestion: {question}\nAnswer: {answer}\n\n" for words, question, answer in SHOWN)
OMNI += f"Picture:{3 * IMAGE}\nQuestion:{4 * SOUND}\nAnswer:"
WHERE = [1, 0, 2]  # which word of a combination answers which question


def is_right(answer, truth):
    """The answer's first word, which may be in the plural."""
    said = answer.lower().rstrip(".").split()
    return bool(said) and said[0] in (truth, truth + "s", truth + "es")


# %% [markdown]
r"""
What are the controls? One for each side. A model that ignores the *picture* must be caught by another picture; one that ignores the *question* by another question. And "another" must mean: one to which **another answer** belongs. If the pictures are merely shuffled, some of the new ones show as many things as the old, and a model that counts gets a point for what we call the wrong picture.

### Exercise 20.7 · `other_partners` ★★★ · 15 minutes

A stretch. Somebody's model answers *how many are there* always with *two*. Its score is not bad, and with shuffled pictures it is as good as before, which you may not notice: some of the shuffled pictures do show two. Build the control that tells: with **another** picture, one to which another answer belongs, a model that looks falls to 0, and a constant one keeps its score.

- `truths`: a list of answers, one for each item
- returns a list p of as many `int`: item i gets the input of item `p[i]`. Each item is used exactly **once**, and `truths[p[i]] != truths[i]` for every i
- if that is impossible (one answer makes up more than half of them), a `ValueError` (with a sentence)

By hand: for `["one", "two", "one", "two"]` both `[1, 0, 3, 2]` and `[1, 2, 3, 0]` will do; for `["one", "one", "two"]` nothing does; for `[]` it is `[]`.

A hint to begin with: sort the items by their answers. How far must you turn the sorted row, so that nobody meets their own?
"""


# %% tags=["answer"]
def other_partners(truths):
    """For each item another one with another answer, each used once: a list of places."""
    ### BEGIN SOLUTION
    order = sorted(range(len(truths)), key=lambda i: str(truths[i]))
    turn = max((truths.count(truth) for truth in truths), default=0)
    if 2 * turn > len(truths):
        raise ValueError(f"one answer stands {turn} times among {len(truths)}: too often")
    partners = [0] * len(truths)
    for i, place in enumerate(order):
        partners[place] = order[(i + turn) % len(order)]
    return partners
    ### END SOLUTION


# %% tags=["check"]
other_partners = checks.other_partners(other_partners)

# %% [markdown]
r"""
Thirty-six new pictures, of combinations that the eye was not trained on; to each a question in a new voice, twelve of each kind. **Predict** the rows: true words on both sides; seen and heard; the likeliest words of eye and ear put together by a rule, without any language model; another picture; another question; a blank picture; silence for a question.
"""

# %%
exam = held_out[60:96]
kinds = [i % 3 for i in range(36)]
truths = [combination[WHERE[kind]] for combination, kind in zip(exam, kinds, strict=True)]
asked_instead = [c[WHERE[kind]] for c, kind in zip(exam, kinds[1:] + kinds[:1], strict=True)]
exam_pictures = draw_all(exam, np.random.default_rng(4))
lots = np.random.default_rng(4)
question_waves = speech.speak([
    (QUESTIONS[kind], voices[i % 12], int(lots.integers(130, 231)), int(lots.integers(20, 81)))
    for i, kind in enumerate(kinds)
])  # fmt: skip

# %% tags=["nbval-ignore-output"]
seen, (heard, weights) = see(exam_pictures), hear_words(question_waves, sentence_ear, spoken_table, 1.8)
with torch.no_grad():  # a rival: the likeliest words of eye and ear, put together by a rule
    named = hear(eye(exam_pictures), seen_table, 20)[1].argmax(-1)  # (36, 3), places in SEEN
    kind = (weights.argmax(-1)[:, None] == places).sum(-1).argmax(-1)  # (36,), which question
true_seen = torch.stack([embeddings(combination) for combination in exam])
true_heard = spoken_table[places[kinds]]  # (36, 4, d_model)
by_kind = [[i for i, k in enumerate(kinds) if k == kind] for kind in range(3)]
other = list(range(36))
for rows in by_kind:  # another answer to the same kind of question
    for i, p in zip(rows, other_partners([truths[i] for i in rows]), strict=True):
        other[i] = rows[p]
blank = see(torch.ones(1, 3, 40, 40)).expand(36, -1, -1)
quiet = no_words["silence"] * 36
silence, unsure = hear_words(quiet, sentence_ear, spoken_table, 1.8)

# %% tags=["nbval-ignore-output"]
said, turned = tell(OMNI, seen, heard, 2), tell(OMNI, seen, heard.roll(-1, 0), 2)
print("silence is heard as:", " ".join(SPOKEN[i] for i in unsure[0].argmax(-1)))
answers = {
    "true words on both sides": tell(OMNI, true_seen, true_heard, 2),
    "seen and heard": said,
    "the same, no language model": [SEEN[named[i, WHERE[k]]] for i, k in enumerate(kind)],
    "another picture": [said[i] for i in other],
    "another question": turned,
    "a blank picture": tell(OMNI, blank, heard, 2),
    "silence": tell(OMNI, seen, silence, 2),
}
omni = {name: list(map(is_right, some, truths)) for name, some in answers.items()}
told("turned questions, for what they ask", list(map(is_right, turned, asked_instead)))
for name, hits in omni.items():
    told(name, hits)

# %% tags=["nbval-ignore-output"]
rows = {name: share(hits) for name, hits in omni.items()}
fig, ax = plots.figure(height=2.8)
plots.shares(ax, rows, ours="seen and heard")
ax.set(xlabel="answers right, of 36")
plots.show(fig, "Seen and heard is nearly as good as true words on both sides; every control is far below.")
for name in ("another picture", "another question", "a blank picture", "silence"):
    assert rows["seen and heard"][0] > rows[name][0] + 0.5, f"{name} should give the game away"
assert rows["seen and heard"][0] > rows["true words on both sides"][0] - 0.15, "nearly as good"

# %% [markdown]
r"""
It needs both sides. (So it was with two other ears and eyes: 89 and 92% seen and heard.) With another question *to the same picture*, the answer is wrong for the old question and right for the new one: read that line first, for it is the evidence. *Another picture* must be at 0 if the answers are as good as they are; what it rules out is a model that says the same whatever it sees. The blank picture gets what guessing would. Silence becomes one of the three sentences, the same one each time (printed above), so a third of the questions are the ones that it seems to hear.

And the rival without a language model has *everything* right! This exam asks for nothing that SmolLM2 knows and eye and ear do not. Where it errs, the words were right, and the reader took a colour for a thing. So it is no test of knowledge, as the capitals were; it shows that three kinds of tokens can stand in one prompt and be read together, and that nobody needs to write the rule.

What the second ear knows is little more than *three sentences*: say *what time is it*, and see what becomes of it below. And how sure must it be, for `converse` to answer? The rule of section 4, on the validation voices: the least sure of its four words must be surer than in all but one in twenty of their questions.

**And aloud.** Everything in one function: a picture and a sound in, a sound out. (Every part of it is one that you have built once, but for the voice and SmolLM2's 134 million numbers.)
"""


# %% tags=["nbval-ignore-output"]
waves, _ = speech.by_voices(2 * QUESTIONS, "validation", seed=13)
least = hear_words(waves, sentence_ear, spoken_table, 1.8)[1].amax(-1).amin(-1)  # (B,)
needed = least.quantile(0.05).item()
print(f"needed {needed:.3f}; in silence the least sure word has {unsure[0].amax(-1).min():.3f}")
(wave,) = speech.speak([("what time is it", voices[0], 160, 50)])
_, weights = hear_words([wave], sentence_ear, spoken_table, 1.8)
heard_as = " ".join(SPOKEN[i] for i in weights[0].argmax(-1))
print(f"'what time is it' is heard as {heard_as!r}, refused: {None in refuse(weights[0], needed)}")


def converse(picture, wave):
    """See the picture (3, 40, 40), hear the question (at 11,025 a second), answer aloud."""
    heard, weights = hear_words([wave], sentence_ear, spoken_table, 1.8)
    question = " ".join(SPOKEN[i] for i in weights[0].argmax(-1))
    if None in refuse(weights[0], needed):
        answer = "pardon"
    else:
        answer = tell(OMNI, see(picture[None]), heard)[0]
    print(f"heard: {question!r}, answered: {answer!r}")
    (spoken,) = speech.speak([(answer, "linda", 150, 50)])
    return spoken


# %% tags=["nbval-ignore-output"]
picture, spoken = exam_pictures[5], []
plots.show(plots.gallery([picture]), f"The picture that is talked about: {' '.join(exam[5])}.")
for question in QUESTIONS:
    (wave,) = speech.speak([(question, "grandma", 160, 50)])
    spoken += [wave, np.zeros(3000, np.float32), converse(picture, wave), np.zeros(6000, np.float32)]
Audio(np.concatenate(spoken), rate=RATE)  # question and answer, three times

# %% [markdown]
r"""
And you? Press the button, say one of the three questions, and run the cell below it. Expect little: your ear has met one synthesiser and no human being. If it does hear you, you have been understood by a thing that learned its English in three seconds; if not, you know why, and what it would take.
"""

# %% tags=["nbval-ignore-output"]
mine = microphone.record(seconds=3)

# %% tags=["nbval-ignore-output"]
if len(mine.wave):
    wave = resample_poly(mine.wave, 441, 640).astype(np.float32)  # 16,000 -> 11,025 a second
    loud = np.flatnonzero(np.abs(wave) > 0.1 * np.abs(wave).max())
    converse(picture, wave[loud[0] : loud[-1] + 1])
else:
    print("nobody spoke; the button above waits for you")

# %% [markdown]
r"""
## 8 What you have built

Here is the whole of it on one page. Every coloured box is something that you wrote and that was compared with what the world uses; the number says where.
"""

# %%
plots.show(
    plots.everything_at_once(),
    "The model of this lesson with the exercises in which each part was written. From a picture: convolutions, queries, projector, hear. From a sound: log-mel spectrogram, encoder, pooling, hear. From words: byte pairs. All three meet in splice_two, go through the Llama with attention, RoPE, RMSNorm and SwiGLU, and generate writes the answer, which is spoken.",
)

# %% [markdown]
r"""
| what happens to a spoken question about a picture | your line | lesson |
| --- | --- | --- |
| words become tokens | `split_pieces`, `train_bpe`, `encode` | [06](06_tokens.ipynb) |
| sound becomes a spectrogram, then tokens | `log_mel` | [15](15_everything_is_a_sequence.ipynb) |
| each slice looks at every other | `attention`, `scores`, `softmax` | [01](01_attention.ipynb) |
| not at the silence, and with several heads | `padding_mask`, `MultiHeadAttention` | [02](02_masks_and_heads.ipynb) |
| each knows its place | `sinusoidal`, `apply_rope` | [03](03_position.ipynb) |
| layer upon layer | `EncoderBlock`, `LayerNorm` | [04](04_encoder.ipynb) |
| queries ask for what they need | cross-attention | [05](05_decoder.ipynb), [17](17_fusion.ipynb) |
| the right word is the nearest | `similarity`, `word_loss` | [16](16_shared_space.ipynb), [18](18_multimodal_lm.ipynb) |
| a vector becomes a word among words | `Projector`, `splice_embeddings` | [18](18_multimodal_lm.ipynb) |
| the language model reads | `RMSNorm`, `SwiGLU`, grouped queries | [08](08_llama.ipynb) |
| it learned that by predicting the next token | a GPT of your own | [07](07_gpt.ipynb) |
| it writes, greedily or by lot | `generate` | [09](09_generation.ipynb) |
| it was taught to answer | templates, fine-tuning, preferences | [10](10_chat.ipynb), [11](11_fine_tuning.ipynb), [12](12_preferences.ipynb) |
| and you know how far to trust it | intervals, controls, a look inside | [13](13_evaluation.ipynb), [14](14_looking_inside.ipynb) |
| Whisper would have written it down | `map_weights`, `transcribe` | [19](19_it_hears.ipynb) |

## 9 Your turn: a capstone

Take one of these, or one of your own. A good one takes a day.

| project | start from | it is done when |
| --- | --- | --- |
| **An ear that spells.** Words that were never heard. | CTC (lesson 19) over letters, thousands of words | words never heard found among candidates, against chance and against Whisper asked |
| **An ear for people.** | Whisper's states in place of log-mels under your `pool_speech`; the recordings of lesson 19, your friends | right words by people never heard, silence and noise refused |
| **Was it a question?** What a transcript throws away. | Whisper's states, statements said with "." and with "?" | better than the transcript's question marks, on new voices *and* new sentences |
| **An eye for code.** A function goes in, three words come out. | the tower and pairs of lesson 16; 40 verbs and nouns from docstrings | the true words on files never seen, against the most common words |
| **Another fusion.** No soft tokens: gated cross-attention in two layers of SmolLM2. | lesson 17; hooks on `lm.model.layers` | gates 0 change nothing to the last bit; loss below that of the blank picture |
| **More words.** A thousand icons, names of several tokens. | lesson 16's families; soft tokens per name | captions right on families held out; a list of what it confuses |
| **A photograph album.** Say it, find the photo. | EfficientNet (lesson 18), your own photographs, this lesson's ear | the right photo first, against a search by file name |

How would we mark it? Four questions, a point each:

1. **Does it work on what it has not seen or heard?** The split is stated, and nothing leaks across it.
2. **Does it look and listen?** For each side a control that a model without that side cannot pass, with intervals or seeds.
3. **What is the ceiling?** The same with true words in place of the soft tokens. And who is the rival that needs no training?
4. **What failed?** At least two things that did not work, with numbers.

## Summary

1. Words, pictures and sounds can stand in one prompt: a soft token that lies near a word's embedding is read as that word.
2. An ear for 75 words takes ten seconds of training, and a frozen language model answers from what it knows of the word.
3. It hears what sounds alike where it was never trained, and something in silence. Refuse below a threshold that was chosen on other voices.
4. Ask before you train: the likelihood of candidates under Whisper finds words that no ear was taught. Each rival wins somewhere.
5. A control for each side, and "another" means another *answer*.

You began with one formula, and with six words that looked at one another. At the end of the same formula stands a thing that sees, hears and answers, on a machine without a graphics card, behind a closed door if need be. Other people trained its weights; but there is no part of how it works that you would have to take on trust. Go and build something.

## Further reading

- Liu et al., 2023, "Visual instruction tuning" (LLaVA): §4. Soft tokens from a picture in a prompt.
- Tang et al., 2024, "SALMONN": §3, Whisper's states through learned queries into a language model.
- Girdhar et al., 2023, "ImageBind": §3, several senses bound by one of them, as here by words.
- Xu et al., 2025, "Qwen2.5-Omni technical report": §2, a model that sees, hears and speaks.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
