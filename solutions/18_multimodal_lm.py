# %% [markdown]
r"""
# 18 · A multimodal language model

A language model has read about dogs and has never seen one. In this lesson you give it an eye.

The recipe is that of LLaVA (Liu et al., 2023), in small. A **vision encoder** turns a picture into a few vectors. A **projector** moves these vectors to where the language model keeps its words. There they stand in the prompt *among the words*, and a **frozen** language model, not one of whose 134 million numbers is touched, reads on. You write the projector, the splicing, the loss and the loop that writes; you train the eye in seconds; and you prove with controls that the model looks at the picture and does not guess. At the end you talk to it about pictures that it has never seen.

**Needs:** attention and masks; what a word embedding is; `generate` (lesson 9). Lessons 15 to 17 tell where the pieces come from, and are not needed to run this one. **Takes:** about two hours. **Exercises:** 18.1 to 18.6.
"""

# %%
import time

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from utils import data, models, plots
from utils.checks import lesson18 as checks
from utils.progress import bar

torch.manual_seed(0)
transformers.logging.disable_progress_bar()
folder = models.path("SmolLM2-135M-Instruct")
tokenizer = AutoTokenizer.from_pretrained(folder)
lm = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
table = lm.get_input_embeddings().weight.detach()  # (vocab_size, d_model)
print("word embeddings", tuple(table.shape))

# %%
fig, ax = plots.figure(height=1.9)
steps = ["picture", "encoder", "projector", "put among\nthe words", "SmolLM2", "answer"]
plots.stream(ax, "what this lesson builds; only encoder and projector learn", steps)
plots.show(
    fig, "From left to right: picture, encoder, projector, put among the words, SmolLM2, answer."
)

# %% [markdown]
r"""
## 1 First the reader, then the eye

Whatever our eye will see, it can tell the language model in one way only: by vectors in the place of words. So before we build an eye, we should know what this language model can do with *real words* in those places. A picture of two black chairs will be three words, `two black chair`. We show the model two examples of what we want, and let it go on (lesson 9).
"""

# %%
EXAMPLES = [("two black chair", "two black chairs"), ("one white lamp", "one white lamp")]


def caption_prompt(picture):
    """Two examples, and a third that is left open."""
    shown = [f"Picture: {words}\nCaption: {caption}.\n\n" for words, caption in EXAMPLES]
    return "".join(shown) + f"Picture:{picture}\nCaption:"


# %%
def write(prompt, max_new_tokens=7):
    """What the language model writes after a prompt, up to the end of the line."""
    tokens = tokenizer(prompt, return_tensors="pt")
    out = lm.generate(**tokens, do_sample=False, max_new_tokens=max_new_tokens, pad_token_id=2)
    new = out[0, tokens.input_ids.shape[1] :]
    return tokenizer.decode(new, skip_special_tokens=True).strip().split("\n")[0]


# %%
print(caption_prompt(" four pink flower"), "...\n")
for words in ("four pink flower", "two orange train", "one brown carrot"):
    print(f"{words:<20}{write(caption_prompt(' ' + words))}")

# %% [markdown]
r"""
It copies the words, in order and without a slip. (Sometimes it even puts a plural where it belongs, sometimes it forgets.) Now something harder: *two* different things. The prompt below asks for the colour of one of them, after two worked examples.

**Predict:** "red bell, yellow clock": of which will the model know the colour, of the first thing, of the second, of both?
"""

# %%
TWO_THINGS = (
    "black ball, silver hat\nWhat color is the hat? silver\nWhat color is the ball? black\n\n"
    "golden chair, white cup\nWhat color is the chair? golden\nWhat color is the cup? white\n\n"
)
things = [("red", "bell"), ("yellow", "clock"), ("blue", "heart")]
right = {"first": 0, "second": 0}
for a, first in things:
    for b, second in things:
        if a != b:
            prompt = f"{TWO_THINGS}{a} {first}, {b} {second}\nWhat color is the "
            right["first"] += write(f"{prompt}{first}?", 1) == a
            right["second"] += write(f"{prompt}{second}?", 1) == b
print("right of 6:", right)
assert right["first"] >= 5 and right["second"] <= 2

# %% [markdown]
r"""
It nearly always answers with the *first* colour. That is a limit of this reader: 135 million parameters, and no eye will mend it. **What the language model cannot do with words, it cannot do with pictures.** A weak reader is also why our first plan, scenes with several things in them, was given up; so were yes-or-no questions ("Is it a dog?"), to which in our trials it said *no* nearly whatever the words were. Measuring that took ten minutes. Training an eye first would have taken the afternoon, and we would have looked for the mistake in the eye.

So: one kind of thing in a picture, in one colour, one to four times. Three words say it all.

## 2 Pictures

Twenty-four things, drawn from the outlines of Material Design Icons, eight colours, four numbers: 768 combinations. Place, size and order are drawn by lot, so hardly ever are two pictures the same. And 150 combinations are **held out**: the eye will see pink things, and snakes, and fours, but never four pink snakes, if that is one of the 150.
"""

# %%
NUMBERS = ["one", "two", "three", "four"]
COLOURS = {
    "red": (220, 30, 30), "orange": (250, 140, 0), "yellow": (240, 220, 30), "green": (30, 150, 50),
    "blue": (40, 80, 220), "purple": (130, 50, 170), "pink": (255, 150, 190), "brown": (130, 80, 40),
}  # fmt: skip
ANIMALS = "dog cat fish owl duck elephant rabbit turtle snake bee".split()
VEHICLES = "car bus rocket bicycle tractor helicopter".split()
OTHERS = "tree flower cactus mushroom pizza apple carrot piano".split()
THINGS = ANIMALS + VEHICLES + OTHERS
WORDS = NUMBERS + list(COLOURS) + THINGS
ICONS = {thing: [data.icon(thing, size) for size in (16, 17, 18)] for thing in THINGS}
print(len(NUMBERS), "numbers,", len(COLOURS), "colours,", len(THINGS), "things")


# %%
def draw(combination, lots):
    """One picture of a combination such as ("two", "red", "dog"): (3, 40, 40), white is 1."""
    number, colour, thing = combination
    things = [None] * 4
    for quarter in lots.permutation(4)[: NUMBERS.index(number) + 1]:
        things[quarter] = (ICONS[thing][lots.integers(3)], np.array(COLOURS[colour]) / 255)
    return data.scene(things, 20, lots)


def draw_all(combinations, lots):
    return torch.tensor(np.stack([draw(c, lots) for c in combinations]))  # (B, 3, 40, 40)


# %%
combinations = [(n, c, t) for n in NUMBERS for c in COLOURS for t in THINGS]
order = np.random.default_rng(17).permutation(len(combinations))
held_out = [combinations[i] for i in order[:150]]
training = [combinations[i] for i in order[150:]]
print(len(training), "combinations in training,", len(held_out), "held out")


# %%
some = held_out[:10]
plots.show(
    plots.gallery(draw_all(some, np.random.default_rng(1)), [" ".join(c) for c in some]),
    "Ten pictures of one to four icons in one colour, with their three words above.",
)

# %% [markdown]
r"""
## 3 The eye

The encoder is a small convolutional network whose last map is a sequence of 5 × 5 image tokens. (A vision Transformer, lesson 15, needs more data or more time than we have.) How many vectors shall the language model get? LLaVA passes all image tokens on. We need only three, since three words are to come out. So three **learned queries** look at the 25 tokens by cross-attention and take out what they need, as in Flamingo's resampler (Alayrac et al., 2022, §2.1) and BLIP-2's Q-Former (Li et al., 2023, §3.1). A picture becomes three vectors.
"""


# %%
class Encoder(nn.Module):
    """Pictures (B, 3, 40, 40) -> three vectors each, (B, 3, d_vision)."""

    def __init__(self, d_vision=128):
        super().__init__()
        layers, widths = [], [3, 32, 64, d_vision]
        for d_in, d_out in zip(widths, widths[1:], strict=False):  # 40 -> 20 -> 10 -> 5
            layers += [
                nn.Conv2d(d_in, d_out, 3, stride=2, padding=1),
                nn.BatchNorm2d(d_out),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.position = nn.Parameter(0.02 * torch.randn(25, d_vision))
        self.queries = nn.Parameter(0.1 * torch.randn(3, d_vision))
        self.attention = nn.MultiheadAttention(d_vision, 4, batch_first=True)
        self.norm = nn.LayerNorm(d_vision)

    def forward(self, pictures):
        x = self.convolutions(pictures)  # (B, d_vision, 5, 5)
        x = x.flatten(2).transpose(1, 2) + self.position  # (B, 25, d_vision)
        queries = self.queries.expand(len(x), -1, -1)  # (B, 3, d_vision)
        found, _ = self.attention(queries, x, x, need_weights=False)
        return self.norm(queries + found)


features = Encoder()(draw_all(some, np.random.default_rng(1)))
print("features", tuple(features.shape))

# %% [markdown]
r"""
## 4 From the eye to the words

The encoder's vectors have 128 numbers, and nothing to do with words. The **projector** takes them to the 576 numbers of a word embedding. The first LLaVA had one linear layer for that; LLaVA 1.5 (Liu et al., 2024) has two with a GELU between them, and that is what you write.

### Exercise 18.1 · `Projector` ★ · 4 minutes

The constructor is given. Write `forward`: first layer, GELU (the exact one, `F.gelu`), second layer.

- `features`: `(B, N, d_vision)`
- returns `(B, N, d_model)`: N **soft tokens** for each picture

By hand: if both layers were the identity, -1 would become gelu(-1) = -0.159, and 2 would become 1.954.
"""


# %% tags=["answer"]
class Projector(nn.Module):
    """From the encoder's vectors to soft tokens: (B, N, d_vision) -> (B, N, d_model)."""

    def __init__(self, d_vision, d_model):
        super().__init__()
        self.linear_1 = nn.Linear(d_vision, d_model)
        self.linear_2 = nn.Linear(d_model, d_model)

    def forward(self, features):
        ### BEGIN SOLUTION
        return self.linear_2(F.gelu(self.linear_1(features)))
        ### END SOLUTION


# %% tags=["check"]
Projector = checks.Projector(Projector)

# %% [markdown]
r"""
A **soft token** is a vector in the place of a word embedding that is not the embedding of any word. How does it get there? The prompt holds a placeholder for each soft token: a token that no text contains. SmolLM2 has several that were meant for source code; we take `<file_sep>`.
"""

# %%
IMAGE = "<file_sep>"
image_id = tokenizer.convert_tokens_to_ids(IMAGE)
prompt_ids = tokenizer(caption_prompt(3 * IMAGE), return_tensors="pt").input_ids  # (1, T)
print("the placeholder is token", image_id)
print(tokenizer.convert_ids_to_tokens(prompt_ids[0, -9:]))

# %% [markdown]
r"""
### Exercise 18.2 · `splice_embeddings` ★★ · 10 minutes

Look up the words, and put the soft tokens where the placeholders stand.

- `input_ids`: `(B, T)`; each row holds `image_id` in exactly N places, not the same places in every row, and not always neighbours
- `table`: `(vocab_size, d_model)`, the word embeddings; `soft_tokens`: `(B, N, d_model)`
- returns `(B, T, d_model)`: row b's placeholders, in order, hold `soft_tokens[b]`
- raises `ValueError` if a row has not exactly N placeholders; `table` stays as it is

By hand: with `image_id = 9`, one soft token `[5., 5.]` and `table` whose row i is `[i, i]`, the ids `[[1, 9, 2]]` become `[[[1, 1], [5, 5], [2, 2]]]`.
"""


# %% tags=["answer"]
def splice_embeddings(input_ids, table, soft_tokens, image_id):
    """Word embeddings with soft tokens in the placeholders: (B, T) -> (B, T, d_model).

    Raises:
        ValueError: a row has not as many placeholders as there are soft tokens for it.
    """
    ### BEGIN SOLUTION
    places = input_ids == image_id  # (B, T)
    if (places.sum(dim=1) != soft_tokens.shape[1]).any():
        raise ValueError(f"each row needs {soft_tokens.shape[1]} placeholders")
    x = table[input_ids]  # (B, T, d_model), a copy
    x[places] = soft_tokens.flatten(0, 1)  # (B * N, d_model), row by row
    return x
    ### END SOLUTION


# %% tags=["check"]
splice_embeddings = checks.splice_embeddings(splice_embeddings)

# %% [markdown]
r"""
Now the proof that nothing else is different. If the soft tokens *are* embeddings of words, the model must not notice: the logits for spliced embeddings (`inputs_embeds`) must be those for the tokens themselves (`input_ids`).
"""

# %%
words = tokenizer.encode(" four pink flower")  # three tokens
soft = table[torch.tensor([words])]  # (1, 3, d_model)
as_words = tokenizer(caption_prompt(" four pink flower"), return_tensors="pt").input_ids
spliced = splice_embeddings(prompt_ids, table, soft, image_id)
with torch.no_grad():
    by_ids = lm(as_words).logits
    by_embeddings = lm(inputs_embeds=spliced).logits
difference = (by_ids - by_embeddings).abs().max().item()
print(f"largest difference {difference:.0e}")
assert difference < 1e-3

# %% [markdown]
r"""
For the language model a picture is a place in the prompt, and nothing more.

## 5 What the eye has to learn

How do we train? The obvious way, LLaVA's, is to let the language model write the caption, measure its loss, and send the gradient back through all its 30 layers into the projector. Section 9 tries that, and shows what it costs. Here is a much shorter way. The model understands its own word embeddings already. So let each soft token **land on the embedding of the right word**: the first on that of the number, the second on the colour, the third on the thing. The language model is not needed for that, only its table.

It is lesson 16's contrastive loss with fixed texts: of all caption words, the right one shall have the largest cosine.

### Exercise 18.3 · `word_loss` ★★ · 8 minutes

- `soft_tokens`: `(B, N, d_model)`; `words`: `(V, d_model)`, the embeddings of the V caption words
- `targets`: `(B, N)`, which of the V words each soft token should be; `scale`: a number, as large as 100 perhaps
- the logits are `scale` times the cosine of soft token and word: `(B, N, V)`
- returns the mean cross-entropy over all `B * N` soft tokens; its gradient reaches both `soft_tokens` and `words`

By hand: a soft token that points exactly to its word, with a second word at right angles and `scale = 1`, has the logits 1 and 0, and the loss log(1 + e⁻¹) = 0.313.
"""


# %% tags=["answer"]
def word_loss(soft_tokens, words, targets, scale):
    """Cross-entropy of choosing the right word by cosine; a scalar."""
    ### BEGIN SOLUTION
    cosines = F.normalize(soft_tokens, dim=-1) @ F.normalize(words, dim=-1).T  # (B, N, V)
    return F.cross_entropy(scale * cosines.flatten(0, 1), targets.flatten())
    ### END SOLUTION


# %% tags=["check"]
word_loss = checks.word_loss(word_loss)

# %%
caption_ids = torch.tensor([tokenizer.encode(" " + word) for word in WORDS])  # (V, 1)
assert caption_ids.shape == (len(WORDS), 1)  # each word is one token
caption_words = table[caption_ids[:, 0]]  # (V, d_model)


def targets_of(combinations):
    return torch.tensor([[WORDS.index(word) for word in c] for c in combinations])  # (B, 3)


# %%
def train_eye(seed, steps=250, batch=64):
    """A new encoder and projector, trained on pictures that are drawn as they are needed."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # for so small a model one thread is as fast as two, and steadier
    lots = np.random.default_rng(seed)
    eye = nn.Sequential(Encoder(), Projector(128, table.shape[1]))
    optimizer = torch.optim.AdamW(eye.parameters(), lr=3e-3, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in bar(range(steps), f"seed {seed}"):
        chosen = [training[i] for i in lots.integers(len(training), size=batch)]
        soft_tokens = eye(draw_all(chosen, lots))  # (B, 3, d_model)
        loss = word_loss(soft_tokens, caption_words, targets_of(chosen), scale=20)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return eye.eval()


# %% tags=["nbval-ignore-output"]
start = time.process_time()
eye = train_eye(seed=0)
seconds = time.process_time() - start
print(f"trained in {seconds:.0f} seconds of the processor's time")

# %% [markdown]
r"""
Has it learned anything? For 30 pictures of held-out combinations, which is the word nearest to each soft token: not among our few caption words, but among *all 49,152 tokens* that the language model knows?
"""

# %% tags=["nbval-ignore-output"]
pictures = draw_all(held_out[:30], np.random.default_rng(2))  # (30, 3, 40, 40)
with torch.no_grad():
    raw = eye(pictures)  # (30, 3, d_model)
cosines = F.normalize(raw, dim=-1) @ F.normalize(table, dim=-1).T  # (30, 3, vocab_size)
nearest = cosines.argmax(-1)  # (30, 3)
for i in range(3):
    print(" ".join(held_out[i]), "->", tokenizer.convert_ids_to_tokens(nearest[i].tolist()))
true_ids = caption_ids[targets_of(held_out[:30]), 0]  # (30, 3)
share = (nearest == true_ids).float().mean().item()
print("more than 9 in 10 are the right word:", share > 0.9)
assert share > 0.9

# %% [markdown]
r"""
Out of 49,152. (The Ġ stands for a space.) The eye works.

## 6 It sees

Everything is ready but the last step. Let the language model write after spliced embeddings.

### Exercise 18.4 · `answer_ids` ★★ · 10 minutes

- `model`: a language model; `input_ids`: `(B, T)` with N placeholders a row; `soft_tokens`: `(B, N, d_model)`
- splice with `splice_embeddings` and the model's own table, `model.get_input_embeddings().weight`; then `model.generate`, greedy, with `inputs_embeds` and an attention mask of ones `(B, T)`, and `max_new_tokens`
- returns `(B, n)`: the *new* tokens only. Look at what `generate` returns: given embeddings, it has no tokens of the prompt to repeat
- the model stays as it was, its weights and its mode

If the soft tokens are embeddings of words, the answer must be the one that `generate(input_ids)` gives for these words.
"""


# %% tags=["answer"]
def answer_ids(model, input_ids, soft_tokens, image_id, max_new_tokens):
    """What the model writes after a prompt with soft tokens in it: (B, T) -> (B, n)."""
    ### BEGIN SOLUTION
    table = model.get_input_embeddings().weight
    x = splice_embeddings(input_ids, table, soft_tokens, image_id)  # (B, T, d_model)
    return model.generate(
        inputs_embeds=x,
        attention_mask=torch.ones_like(input_ids),
        do_sample=False,
        max_new_tokens=max_new_tokens,
    )
    ### END SOLUTION


# %% tags=["check"]
answer_ids = checks.answer_ids(answer_ids)

# %%
lm.generation_config.pad_token_id = 2


def first_lines(new):
    """New tokens as text, up to the end of the line: (B, n) -> a list of B texts."""
    texts = tokenizer.batch_decode(new, skip_special_tokens=True)
    return [text.strip().split("\n")[0] for text in texts]


length = caption_words.norm(dim=-1).mean()  # as long as the words are
as_long = length * F.normalize(raw[:12], dim=-1)  # (12, 3, d_model)
first_try = first_lines(answer_ids(lm, prompt_ids.expand(12, -1), as_long, image_id, 7))

# %% [markdown]
r"""
Each soft token is nearest to the right word. So the captions should be right. **Predict:** how many of 12?
"""

# %% tags=["nbval-ignore-output"]
for caption, combination in zip(first_try, held_out, strict=False):
    print(f"{' '.join(combination):<24}{caption}")

# %% [markdown]
r"""
Black and white, chairs and lamps! Now and then a number or a colour comes through, but mostly it copies the examples of its prompt and hardly sees our pictures. We were stuck here for a while. Look at *how near* the nearest word is:
"""

# %% tags=["nbval-ignore-output"]
own = cosines.gather(-1, true_ids[..., None])[..., 0]  # (30, 3)
unit = F.normalize(caption_words, dim=-1)
others = (unit @ unit.T)[~torch.eye(len(unit), dtype=torch.bool)]  # of two different words
print(f"soft token and its word: mean cosine {own.mean():.2f}")
print(f"two different caption words: mean {others.mean():.2f}, largest {others.max():.2f}")
assert 0.3 < own.mean() < 0.8

# %% [markdown]
r"""
The cross-entropy asked for the right word to be the *nearest*, and the eye did just that. It never asked for it to be *near*. A vector that is about as far from its word as *two different words* can be from one another satisfies the loss, if it is farther still from all others; but to the language model, which has only ever met the words themselves, it is a stranger.

What would bring it near? A last attention. Let each soft token be a query, let the caption words be keys *and* values: it becomes a weighted mean of real word embeddings, and where the eye is sure, that is the word itself. It is the same softmax that the loss has trained, with the same scale.
"""


# %%
@torch.no_grad()
def see(eye, pictures):
    """Soft tokens, each a weighted mean of caption words: (B, 3, 40, 40) -> (B, 3, d_model)."""
    soft_tokens = F.normalize(eye(pictures), dim=-1)
    scores = 20 * soft_tokens @ F.normalize(caption_words, dim=-1).T  # (B, 3, V)
    return scores.softmax(-1) @ caption_words


# %% [markdown]
r"""
One thing more, for speed. Every prompt begins with the same examples, and your `answer_ids` lets the model read them again for each picture. `tell` lets it read them once, keeps what attention needs of them (the keys and values, lesson 9), and goes on from there for all pictures. With real words in the places of the picture both must write the same.
"""


# %%
def tell(prompt, soft_tokens, max_new_tokens=7):
    """`answer_ids` for one prompt and B pictures, the examples read once: a list of B texts."""
    ids = tokenizer(prompt, return_tensors="pt").input_ids  # (1, T)
    shared, cache = ids[:, : ids[0].tolist().index(image_id)], DynamicCache()
    with torch.no_grad():
        lm.model(shared, past_key_values=cache)
    cache.batch_repeat_interleave(len(soft_tokens))
    ids = ids.expand(len(soft_tokens), -1)  # (B, T)
    x = splice_embeddings(ids, table, soft_tokens, image_id)  # (B, T, d_model)
    return first_lines(lm.generate(
        inputs_embeds=x, past_key_values=cache, attention_mask=torch.ones_like(ids),
        do_sample=False, max_new_tokens=max_new_tokens,
    ))  # fmt: skip


# %%
real = table[true_ids[:3]]  # (3, 3, d_model)
plain = first_lines(answer_ids(lm, prompt_ids.expand(3, -1), real, image_id, 7))
quick = tell(caption_prompt(3 * IMAGE), real)
print("the same captions:", quick == plain)
assert quick == plain

# %%
soft = see(eye, pictures)  # (30, 3, d_model)
captions = tell(caption_prompt(3 * IMAGE), soft)
plots.show(
    plots.gallery(pictures[:15], captions[:15]),
    "Fifteen pictures never seen in training, and above each the caption that SmolLM2 wrote.",
)

# %% [markdown]
r"""
Take a moment. These combinations were never shown. The language model was never trained on a picture, and it wrote these lines from three vectors that your projector made. You know every line of the way from the pixels to the words.

Be clear about what this is, and what it is not. With that last attention, every soft token is a mixture of our 36 words: the eye can *say* 36 words, and the language model reads them. LLaVA passes 576 soft tokens that need not be near to any word, and trains for hours, so that its language model may hear of things that have no name. Ours is the short way. But something is *gained* by the language model's being there, as section 8 will show.

## 7 Does it look?

A caption that is right proves little by itself. Perhaps the prompt gives the answer away; perhaps the model guesses what is common. So we ask for the same captions

- with **shuffled** pictures: each question gets the picture of another;
- with a **blank** picture, white all over;
- with **no picture**: nothing stands after `Picture:`.

Right means: number, colour and thing, all three. And one trained model is one throw of the dice: we train the eye twice, from two seeds, and ask both of them. **Predict** the three controls.
"""


# %%
def is_right(caption, combination):
    """Number, colour and thing are what they should be; the thing may stand in the plural."""
    said = caption.lower().replace(".", "").split()
    number, colour, thing = combination
    return (
        len(said) == 3
        and said[:2] == [number, colour]
        and said[2] in (thing, thing + "s", thing + "es")
    )


# %%
def word_shares(captions, combinations):
    """How often each of the three words is right by itself (a plural counts): (3,)."""
    said = [caption.lower().replace(".", "").split() + 3 * [""] for caption in captions]
    return np.mean(
        [
            [w.startswith(c) for w, c in zip(a, b, strict=False)]
            for a, b in zip(said, combinations, strict=True)
        ],
        axis=0,
    )


# %%
def score(captions, combinations):
    return np.mean([is_right(a, c) for a, c in zip(captions, combinations, strict=True)])


# %%
def controls(eye, captions, combinations):
    """Share of right captions with the pictures, and under the three controls."""
    blank = tell(caption_prompt(3 * IMAGE), see(eye, torch.ones(1, 3, 40, 40)))
    nothing = [write(caption_prompt(""))]
    return {
        "the picture": score(captions, combinations),
        "shuffled": score(captions[1:] + captions[:1], combinations),
        "blank": score(blank * len(combinations), combinations),
        "no picture": score(nothing * len(combinations), combinations),
    }


# %% [markdown]
r"""
(Shuffling costs nothing: the prompt is the same for all pictures, so the answer to picture 2, read as an answer to picture 1, is what the model says if it is shown the wrong one.)
"""

# %% tags=["nbval-ignore-output"]
asked = held_out[:30]
other = train_eye(seed=1)
said = tell(caption_prompt(3 * IMAGE), see(other, pictures))
results = [controls(eye, captions, asked), controls(other, said, asked)]
print("number, colour, thing by themselves, seed 0:", word_shares(captions, asked).round(2))
print(
    "the same with shuffled pictures:            ",
    word_shares(captions[1:] + captions[:1], asked).round(2),
)
print("wrong:", [a for a, c in zip(captions, asked, strict=True) if not is_right(a, c)])
for seed, result in enumerate(results):
    print(f"seed {seed}  " + "   ".join(f"{k} {v:.0%}" for k, v in result.items()))

# %%
assert seconds < 120
for result in results:
    assert result["the picture"] >= 0.85
    assert (
        max(result["shuffled"], result["blank"], result["no picture"])
        <= result["the picture"] - 0.4
    )
print("with the picture at least 85%, every control at least 40 points lower, for each seed")

# %%
fig, ax = plots.figure(height=2.4)
for place, name in enumerate(results[0]):
    shares = [result[name] for result in results]
    ax.barh(place, np.mean(shares), color=plots.BLUE if place == 0 else plots.GREY, height=0.6)
    ax.plot(shares, [place] * 2, "o", color=plots.BLACK, markersize=4)
ax.set(
    yticks=range(4), yticklabels=results[0], xlim=(0, 1), xlabel="captions right in all three words"
)
ax.invert_yaxis()
plots.show(fig, "With the picture nearly all captions are right; with every control none.")

# %% [markdown]
r"""
So it looks. Not one of the controls gets a single caption right. (All three words by luck would be rare anyway; look at the single words, where luck has more of a chance.) The wrong captions of the first seed, if there are any, are listed.

## 8 Ask it something

The eye was trained on captions only, three words a picture. It has never been asked a question. But the language model can answer questions about *words*, if one shows it how; and pictures now are words. For each kind of question two or three examples, always the same, and the picture last.

The last kind is special: **"Is it an animal or a machine?"** Nobody told the eye that a rabbit is an animal. If the answer is right, it comes from what the language model has *read*. For comparison, the same questions with the true words in place of the picture: what the reader can do at best.

**Predict:** for which kinds will the picture do as well as the words?
"""

# %%
SHOWN = {
    "What color is it?": [("two black chair", "black"), ("one white lamp", "white")],
    "How many are there?": [("two black chair", "two"), ("five silver lamp", "five"), ("three golden spoon", "three")],
    "What is it?": [("two black chair", "chair"), ("one white lamp", "lamp")],
    "Is it an animal or a machine?": [("two black lion", "animal"), ("one silver printer", "machine"),
                                      ("three white ship", "machine"), ("four black monkey", "animal")],
}  # fmt: skip


# %%
def question_prompt(question, picture):
    shown = [f"Picture: {words}\n{question} {answer}\n\n" for words, answer in SHOWN[question]]
    return "".join(shown) + f"Picture:{picture}\n{question}"


def truth(question, combination):
    number, colour, thing = combination
    kind = "animal" if thing in ANIMALS else "machine"
    return dict(zip(SHOWN, (colour, number, thing, kind), strict=True))[question]


# %% tags=["nbval-ignore-output"]
lively = [i for i in range(30) if held_out[i][2] in ANIMALS][:5]
lively += [i for i in range(30) if held_out[i][2] in VEHICLES][:5]
asked, true_words = [held_out[i] for i in lively], table[true_ids[lively]]  # (10, 3, d_model)
by_question = {}
for question in SHOWN:
    prompt = question_prompt(question, 3 * IMAGE)
    right = np.array([truth(question, c) for c in asked])
    given = {
        "picture": np.array(tell(prompt, soft[lively], 1)),
        "words": np.array(tell(prompt, true_words, 1)),
    }
    given["shuffled"] = np.roll(given["picture"], 1)
    by_question[question] = {k: (v == right).mean() for k, v in given.items()}
    print(f"{question:<32}" + "   ".join(f"{k} {v:.0%}" for k, v in by_question[question].items()))
assert all(v["picture"] > v["words"] - 0.25 for v in by_question.values())

# %% [markdown]
r"""
Colour, number and thing come about as well from the picture as from the words. With the last kind, the *reader* is at its limit: five of the ten are animals, so a constant answer gets 50%, and with the true words it got eight of ten. But see that the two columns agree: what it knows about a word, it knows about the picture, though no picture of ours ever came with the word *animal*. That is what a language model brings along, and a larger one would bring more. (Ten questions of each kind are few: one more or less is 10 points.)

And now a conversation. Two examples of how we talk, then the picture, then as many questions as you like; every answer becomes part of the prompt of the next question.
"""

# %%
EXAMPLE = """Picture: two black chair
What do you see? two black chairs
How many are there? two
What color are they? black
What are they? chairs

Picture: three white lamp
What do you see? three white lamps
How many are there? three
What color are they? white
What are they? lamps

"""


# %%
def talk(picture, questions):
    """A short conversation about one picture (3, 40, 40)."""
    soft_tokens, prompt = see(eye, picture[None]), EXAMPLE + f"Picture:{3 * IMAGE}"
    for question in questions:
        prompt += f"\n{question}"
        answer = tell(prompt, soft_tokens, 6)[0]
        prompt += " " + answer
        print(f"   {question:<26}{answer}")


# %% tags=["nbval-ignore-output"]
alt = f"A picture of {' '.join(held_out[0])}s, which the conversation is about."
plots.show(plots.gallery(pictures[:1]), alt)
talk(
    pictures[0],
    ["What do you see?", "How many are there?", "What color are they?", "What are they?"],
)

# %% [markdown]
r"""
Every answer is read off the picture *and* off what has been said. Ask your own; ask in another order, or about something that is not in the picture ("Is it a cat?"), and it soon stumbles. Remember section 1: what this small reader cannot do with words, it cannot do with pictures.

## 9 The long way: through the language model

Real LLaVA has no table of 36 words to land on. It lets the language model read the soft tokens and write the caption, and follows the loss of that back, through 30 frozen layers, into the projector. Two pieces are needed.

**Which tokens count?** The sequence is prompt, picture, caption, padding. Only the caption is to be learned. Everything else gets the label -100, which PyTorch's cross-entropy leaves out. Hugging Face's models shift the labels by themselves (lesson 7), so here nothing is shifted.

### Exercise 18.5 · `caption_labels` ★★ · 8 minutes

- `input_ids`: `(B, T)`; `attention_mask`: `(B, T)`, 1 for real tokens, 0 for padding, which is on the right
- `answer_starts`: `(B,)`, where the answer begins in each row
- returns labels `(B, T)`: a copy of `input_ids` with -100 before the answer and on the padding
- beware: in SmolLM2 the padding and the end of the answer are the *same* token, number 2. The end of the answer counts (it may even stand inside one), the padding does not; the mask knows

By hand: ids `[7, 8, 4, 2, 2]`, mask `[1, 1, 1, 1, 0]`, answer from 2: labels `[-100, -100, 4, 2, -100]`.
"""


# %% tags=["answer"]
def caption_labels(input_ids, attention_mask, answer_starts):
    """Labels for the answer only: (B, T), (B, T), (B,) -> (B, T)."""
    ### BEGIN SOLUTION
    places = torch.arange(input_ids.shape[1])  # (T,)
    before = places < answer_starts[:, None]  # (B, T)
    return input_ids.masked_fill(before | (attention_mask == 0), -100)
    ### END SOLUTION


# %% tags=["check"]
caption_labels = checks.caption_labels(caption_labels)

# %% [markdown]
r"""
**What must not learn?** The language model. Its parameters get no gradients, and it goes into evaluation mode. But the gradient must still flow *through* it, so `torch.no_grad()` would be wrong.

### Exercise 18.6 · `freeze` ★ · 4 minutes

- `model`: any module, with others inside
- afterwards no parameter of it, however deep, requires a gradient, and it is in evaluation mode; a part of it may be frozen already
- returns the model itself

By hand: for `nn.Sequential(nn.Linear(2, 2), nn.Dropout())`, both parameters stop learning and the dropout stops dropping.
"""


# %% tags=["answer"]
def freeze(model):
    """Stop all learning in a model, and return it."""
    ### BEGIN SOLUTION
    for parameter in model.parameters():
        parameter.requires_grad = False
    return model.eval()
    ### END SOLUTION


# %% tags=["check"]
freeze = checks.freeze(freeze)

# %%
lm = freeze(lm)


# %%
def lm_loss(soft_tokens, combinations):
    """What the language model loses on the true captions after these soft tokens: a scalar."""
    prompt = tokenizer(f"Picture:{3 * IMAGE}\nCaption:").input_ids
    texts = [prompt + tokenizer(f" {' '.join(c)}").input_ids + [2] for c in combinations]
    length = max(len(text) for text in texts)
    ids = torch.tensor([text + [2] * (length - len(text)) for text in texts])  # (B, T)
    mask = torch.tensor([[1] * len(text) + [0] * (length - len(text)) for text in texts])
    labels = caption_labels(ids, mask, torch.full((len(ids),), len(prompt)))
    x = splice_embeddings(ids, table, soft_tokens, image_id)
    return lm(inputs_embeds=x, attention_mask=mask, labels=labels).loss


# %% [markdown]
r"""
First use it to measure. How surprised is the language model by the true captions, with the right picture, a shuffled one, a blank one?
"""

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    blank = see(eye, torch.ones(1, 3, 40, 40)).expand(10, -1, -1)
    given = {"the picture": soft[:10], "shuffled": soft[:10].roll(1, 0), "blank": blank}
    cost = {name: lm_loss(vectors, held_out[:10]).item() for name, vectors in given.items()}
for name, loss in cost.items():
    print(f"{name:<14}loss {loss:.2f}")
assert cost["the picture"] < min(cost["shuffled"], cost["blank"]) - 1

# %% [markdown]
r"""
The right picture helps most. (The losses are high because this prompt has no examples: nobody has told the model what a caption should look like.) Now train that way: a *new* projector behind the eye's encoder as it is, for a few steps. **Predict:** how long does it take *for each picture*, compared with section 5?
"""

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
fresh = Projector(128, table.shape[1])
optimizer = torch.optim.AdamW(fresh.parameters(), lr=2e-3)
lots, start, long_way = np.random.default_rng(0), time.process_time(), []
for _ in bar(range(6), "training"):
    chosen = [training[i] for i in lots.integers(len(training), size=6)]
    with torch.no_grad():
        features = eye[0](draw_all(chosen, lots))  # (6, 3, 128)
    loss = lm_loss(fresh(features), chosen)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    long_way.append(loss.item())
print("loss", " ".join(f"{loss:.1f}" for loss in long_way))
each = (time.process_time() - start) / (6 * 6)
print(f"{1000 * each:.0f} ms a picture; in section 5: {1000 * seconds / (250 * 64):.1f} ms")
assert all(p.grad is None for p in lm.parameters()) and fresh.linear_1.weight.grad is not None
assert each > 20 * seconds / (250 * 64)

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    features = eye[0](draw_all(held_out[:8], lots))
    torch.manual_seed(0)
    before = lm_loss(Projector(128, table.shape[1])(features), held_out[:8]).item()
    own = lm_loss(fresh(features), held_out[:8]).item()
    others = lm_loss(fresh(features.roll(1, 0)), held_out[:8]).item()
print(f"untrained     loss {before:.2f}\nthe picture   loss {own:.2f}\nshuffled      loss {others:.2f}")
assert own < before and others - own < (cost["shuffled"] - cost["the picture"]) / 3

# %% [markdown]
r"""
The loss falls, if not at every step, and on pictures never seen it is nearly the same whether the picture is the right one or another's: what has been learned is mostly what every caption has in common. The picture itself would come later, and at this price later is far away. With a graphics card and some hundred thousand pictures, this is the way to go, since it asks for no list of words. On a laptop, landing on words is the better bargain.

## 10 What did not work

- **Several things in one picture.** The eye could have done it; the reader could not (section 1).
- **Nearest, not near.** Soft tokens whose nearest word was right in nearly all cases, and captions about black chairs (section 6).
- **Training through the language model** (section 9): many times slower for each picture, and after a hundred steps, in an early trial of ours with digits, still at chance.
- **Yes or no.** To "Is it a dog?" SmolLM2 nearly always said no, to the true words as well.
- **Another wording.** `caption_prompt` with one example in place of two brought many captions down. A prompt is a piece of the model; measure it like one.

## 11 Your turn: a capstone

Take one of these, or one of your own. A good one takes a day.

| project | start from | it is done when |
| --- | --- | --- |
| **An ear instead of an eye.** SmolLM2 describes sounds. | the sounds and `log_mel` of lesson 15; words for kind, pitch (low, high), length | captions right on sounds made with other seeds, silence and shuffled controls, three seeds |
| **An eye for code.** A function goes in, three words come out: what it reads, does, returns. | the tower and pairs of lesson 16; choose 40 verbs and nouns from docstrings | recall of the true words on files never seen, against the most common words |
| **Another fusion.** No soft tokens: gated cross-attention in two layers of SmolLM2. | lesson 17; hooks on `lm.model.layers` | with gates 0 the logits are the same to the last bit; loss below that of the blank picture |
| **More words.** A thousand icons, names of several tokens. | lesson 16's families; soft tokens per name | captions right on families held out; a list of what it confuses |
| **Handwriting.** Three digits in a row, read aloud by SmolLM2. | scikit-learn's digits, split by image | right triples, with all controls |

How would we mark it? Four questions, a point each:

1. **Does it work on what it has not seen?** The split is stated, and nothing leaks across it.
2. **Does it look?** Blank, shuffled and absent input are measured, with intervals or seeds.
3. **What is the ceiling?** The same with true words in place of the soft tokens.
4. **What failed?** At least two things that did not work, with numbers.

## Summary

1. Encoder, projector, frozen language model: a picture becomes soft tokens in the prompt, and `inputs_embeds` with real words gives what `input_ids` gives.
2. Ask first what the language model can do with words. No eye will do better.
3. Soft tokens that land on word embeddings can be trained without the language model, in seconds. They have to be near to the words, not only nearest.
4. Controls (blank, shuffled, nothing) and several seeds prove that it looks.
5. Training through the language model counts the answer only (-100 elsewhere), freezes the model, and lets the gradient through.

You began with one formula. Now a model that can read sees pictures, and you know every line between the pixels and the words. That is the end of this course, and not a bad place to start from.

## Further reading

- Liu et al., 2023, "Visual instruction tuning" (LLaVA): §4; and 2024, "Improved baselines with visual instruction tuning": the two-layer projector.
- Tsimpoukelli et al., 2021, "Multimodal few-shot learning with frozen language models": §3, pictures as prompts of a frozen model.
- Li et al., 2023, "BLIP-2": §3, learned queries between a frozen eye and a frozen reader.
- Alayrac et al., 2022, "Flamingo": §2, resampler and gates.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
