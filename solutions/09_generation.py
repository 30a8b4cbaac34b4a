# %% [markdown]
r"""
# 09 · Generation with Hugging Face

A language model does one thing: given some tokens, it says how likely each possible next token is. Writing means to pick one, append it, and ask again. All the difference between a dull loop, a story and gibberish lies in *how you pick*.

In this lesson you take apart the most copied example on the web, write the ways of picking yourself, prove each equal to the library's, and put the example together again as it should be. The model is real, and runs on your machine.

**Needs:** PyTorch tensors, and what softmax does (lesson 1). **Takes:** about 105 minutes, 75 without the stretch. **Exercises:** 9.1 to 9.6 and 9.8; 9.7 is a stretch.
"""

# %%
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from utils import models, plots
from utils.checks import lesson09 as checks

transformers.logging.disable_progress_bar()

# %% [markdown]
r"""
## 1 The web's first example

Search for "how to generate text with Hugging Face" and you will find these lines, thousands of times, usually with `gpt2` for the model's name. Two things are changed here: `models.path` gives a local folder, so that no hub is needed, and the model is SmolLM2-135M-Instruct.
"""

# %%
folder = models.path("SmolLM2-135M-Instruct")
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

# %%
input_ids = tokenizer.encode("The quick brown fox jumps over the lazy dog", return_tensors="pt")
output = model.generate(input_ids, max_length=50)
print(tokenizer.decode(output[0]))

# %% [markdown]
r"""
It works, in three lines. Now line by line.

**`tokenizer.encode`** cuts the text into *tokens*, pieces of words from a fixed list of 49,152, and gives their numbers. `return_tensors="pt"` makes a PyTorch tensor with a batch axis: `(B, T)`. The sign `Ġ` stands for a space: it belongs to the word after it.
"""

# %%
print(tuple(input_ids.shape), input_ids[0].tolist())
print(tokenizer.convert_ids_to_tokens(input_ids[0].tolist()))

# %% [markdown]
r"""
**`model.generate`** does the writing. It returns *the prompt and* the new tokens, in one row. `max_length=50` is the length of both together.

**`tokenizer.decode`** turns numbers into text again, the prompt's as well.
"""

# %%
n_prompt = input_ids.shape[1]
print("all tokens:", output.shape[1], "  prompt:", n_prompt, "  new:", output.shape[1] - n_prompt)

# %% [markdown]
r"""
So far, so good. The example also does at least five things badly, and none of them shows here:

1. It passes **no attention mask**. With one prompt that is harmless; with several of different lengths it is not (section 8).
2. **`max_length`** counts the prompt. A longer prompt leaves less room for the answer, and a prompt of 50 tokens stops with an error.
3. It picks **greedily**, always the likeliest token. That often ends in a loop (section 4).
4. It **decodes the prompt** along with the answer.
5. It hands raw text to a model that was trained on **conversations**.

The last point is easily shown. **Predict:** what does the model say to the raw text "What is the capital of France?", and what if the question is wrapped as the model saw questions in its training?
"""

# %%
question = "What is the capital of France?"
raw = tokenizer(question, return_tensors="pt")
chat = tokenizer.apply_chat_template(
    [{"role": "user", "content": question}],
    add_generation_prompt=True,
    return_tensors="pt",
    return_dict=True,
)

for name, inputs in (("raw", raw), ("chat", chat)):
    output = model.generate(**inputs, max_new_tokens=20, do_sample=False)
    print(f"{name:<5}", repr(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :])))

# %% [markdown]
r"""
To the raw text it says nothing at all: its first token is already `<|im_end|>`, "my turn is over". Wrapped as a conversation, it answers. Lesson 10 is about that wrapping. In the rest of this one we mostly let the model *continue* texts, because that shows best what picking does.

## 2 What the model hands over

Forget `generate` for a while. Calling the model gives **logits**: for every position and every token of the vocabulary one number, `(B, T, vocab_size)`. Position *t* speaks about the token *after* it. For the next new token only the last position matters; its softmax is a probability for each of the 49,152 tokens.
"""


# %%
@torch.no_grad()
def next_probs(text):
    """Probabilities of the next token: (vocab_size,)."""
    logits = model(**tokenizer(text, return_tensors="pt")).logits  # (1, T, vocab_size)
    return logits[0, -1].softmax(-1)


probs = next_probs("The capital of France is")
top = probs.topk(5)
for p, i in zip(top.values.tolist(), top.indices.tolist(), strict=True):
    print(f"{p:.3f}  {tokenizer.decode([i])!r}")

# %% [markdown]
r"""
Some next words are nearly certain, others wide open. **Predict:** how many different tokens does it take to hold 90% of the probability after "The capital of France is", and how many after "My favourite food is"?
"""

# %%
fig, axes = plots.figure(2, height=2.8, sharex=True)
for ax, text in zip(axes, ["The capital of France is", "My favourite food is"], strict=True):
    ranked = next_probs(text).sort(descending=True)
    needed = int((ranked.values.cumsum(0) < 0.9).sum()) + 1
    print(f"{text}: {needed} tokens hold 90%")
    names = [repr(tokenizer.decode([i])) for i in ranked.indices[:8].tolist()]
    ax.barh(range(8), ranked.values[:8], color=plots.BLUE)
    ax.set(yticks=range(8), yticklabels=names, xlabel="probability", title=text)
    ax.invert_yaxis()
plots.show(
    fig, "After the capital of France, Paris towers over the rest; after food all bars are short."
)

# %% [markdown]
r"""
Ten against hundreds. Keep these two in mind: every way of picking below will be judged by what it does in both.
"""

# %% [markdown]
r"""
## 3 The loop

The simplest way to pick is the likeliest token, every time: **greedy** decoding. It is what `generate` does unless told otherwise.

### Exercise 9.1 · `generate` ★★ · 10 minutes

Write the greedy loop. In each round call the model on all tokens so far, take the likeliest next token, append it, and stop when it is the end token.

- `model`: `model(ids).logits` is `(1, T, vocab_size)`; `input_ids`: `(1, T)`
- `max_new_tokens`: how many tokens to add at most; `eos_id`: the number of the end token
- returns `(1, T + new)`: the prompt, the new tokens, and the end token if it came

By hand: prompt `[[5, 2]]`, and the model's choices are 7, then 3, then 9. With `eos_id=3` the result is `[[5, 2, 7, 3]]`; with `eos_id=0` and `max_new_tokens=3` it is `[[5, 2, 7, 3, 9]]`.
"""


# %% tags=["answer"]
@torch.no_grad()
def generate(model, input_ids, max_new_tokens, eos_id):
    """Greedy decoding: (1, T) -> (1, T + new), at most max_new_tokens new ones."""
    ### BEGIN SOLUTION
    ids = input_ids
    for _ in range(max_new_tokens):
        logits = model(ids).logits[:, -1]  # (1, vocab_size)
        token = logits.argmax(-1, keepdim=True)  # (1, 1)
        ids = torch.cat([ids, token], dim=1)  # (1, T + 1)
        if token.item() == eos_id:
            break
    return ids
    ### END SOLUTION


# %% tags=["check"]
generate = checks.generate(generate)

# %% [markdown]
r"""
The check used a tiny model with random weights. Here is your loop on the real one, against the library's, token for token.
"""

# %%
prompt = tokenizer("The quick brown fox jumps over the lazy dog", return_tensors="pt")
mine = generate(model, prompt["input_ids"], 20, tokenizer.eos_token_id)
theirs = model.generate(**prompt, max_new_tokens=20, do_sample=False)
print("the same 20 tokens:", torch.equal(mine, theirs))
print(tokenizer.decode(mine[0, prompt["input_ids"].shape[1] :]))

# %% [markdown]
r"""
**Built once, proved equal**: from here on we use the library's `generate`. It is also faster: it keeps each layer's keys and values and computes only the newest token, where your loop computes everything again for each new word. Lesson 8 builds that cache; here is what it is worth for 40 tokens.
"""

# %% tags=["nbval-ignore-output"]
import time

start = time.perf_counter()
generate(model, prompt["input_ids"], 40, eos_id=-1)
loop = time.perf_counter() - start
start = time.perf_counter()
model.generate(**prompt, max_new_tokens=40, do_sample=False)
cached = time.perf_counter() - start
print(f"your loop {40 / loop:.0f} tokens a second, with a cache {40 / cached:.0f}")

# %% [markdown]
r"""
## 4 The likeliest text is not a good text

**Predict:** the likeliest next word, forty times. What will follow on "I'm not sure what to"?
"""

# %%
prompt = tokenizer("I'm not sure what to", return_tensors="pt")
result = model.generate(
    **prompt, max_new_tokens=40, do_sample=False, output_logits=True, return_dict_in_generate=True
)
print(tokenizer.decode(result.sequences[0]))

# %%
confidence = [logits[0].softmax(-1).max().item() for logits in result.logits]  # 40 numbers

rounds = torch.tensor(confidence).view(5, 8)  # one round of the loop is eight tokens

fig, ax = plots.figure(height=2.8)
for place in range(8):
    label = "each of the eight tokens" if place == 0 else None
    ax.plot(range(1, 6), rounds[:, place], color=plots.GREY, linewidth=1, label=label)
ax.plot(range(1, 6), rounds.mean(1), "o-", label="mean of the round")
ax.set(xlabel="round of the loop", ylabel="probability", ylim=(0, 1.05), xticks=range(1, 6))
ax.set_title("The loop feeds itself")
ax.legend(loc="lower right")
plots.show(
    fig, "The mean probability of a token rises with each of five rounds; most words rise too."
)
assert (rounds.mean(1).diff() > 0).all()

# %% [markdown]
r"""
A loop, and one that tightens: with each round the model is, on average, *more* sure of the same eight tokens (a single word may waver). The text so far is the best evidence that this text repeats itself. Holtzman et al. (2020, Figure 4) found the same in a larger model, and §4.2 gives a reason: people do not write the likeliest word every time. Who did would say nothing new.

So we should **sample**: draw the next token at random, each with its probability. The plain draw is too wild for most models, because tens of thousands of unlikely tokens together still hold some probability, and one bad draw spoils the text after it. What follows are four ways of shaping the distribution before the draw, and the draw itself. All four change logits into logits, so that they can be combined, and each is one argument of `generate`.

## 5 Shaping the distribution

### Exercise 9.2 · `temperature` ★ · 3 minutes

Divide the logits by a temperature. Below 1 it sharpens, above 1 it flattens, at 1 it changes nothing (the dial of lesson 1).

- `logits`: `(B, vocab_size)`; `t`: a positive number
- returns logits, `(B, vocab_size)`

By hand: `[[2, 0]]` at `t = 2` gives `[[1, 0]]`: the odds fall from e² to e.
"""


# %% tags=["answer"]
def temperature(logits, t):
    """Logits at temperature t: (B, vocab_size) -> (B, vocab_size)."""
    ### BEGIN SOLUTION
    return logits / t
    ### END SOLUTION


# %% tags=["check"]
temperature = checks.temperature(temperature)

# %% [markdown]
r"""
### Exercise 9.3 · `top_k` ★★ · 7 minutes

Keep the k largest logits of each row and set all others to `-inf`, so that their probability becomes exactly 0 (Fan et al., 2018, §5).

- `logits`: `(B, vocab_size)`; `k`: a whole number
- returns logits, `(B, vocab_size)`

By hand: `[[1, 3, 2]]` with `k = 2` gives `[[-inf, 3, 2]]`. (If several are equal to the k-th, keep or drop them as you like.)
"""


# %% tags=["answer"]
def top_k(logits, k):
    """Only the k largest logits of each row, -inf elsewhere: (B, vocab_size), same shape."""
    ### BEGIN SOLUTION
    smallest_kept = logits.topk(k).values[:, -1:]  # (B, 1)
    return logits.masked_fill(logits < smallest_kept, -torch.inf)
    ### END SOLUTION


# %% tags=["check"]
top_k = checks.top_k(top_k)

# %% [markdown]
r"""
A fixed k is too many in one place and too few in another: you saw 10 and hundreds. Holtzman et al. (2020, §3.1) proposed to keep a fixed share of the *probability*. The smallest set of likeliest tokens that together reach p is called the **nucleus**. Here it is for three tokens and p = 0.6:
"""

# %%
three = torch.tensor([0.2, 0.5, 0.3])
ranked, order = three.sort(descending=True)
print("token   p    sum   ranked before   keep?")
for token, p, total in zip(order.tolist(), ranked.tolist(), ranked.cumsum(0).tolist(), strict=True):
    print(f"{token:>4} {p:>6.1f} {total:>6.1f} {total - p:>10.1f}         {total - p < 0.6}")

# %% [markdown]
r"""
### Exercise 9.4 · `top_p` ★★★ · 15 minutes

Go down from the likeliest token and keep tokens until their probabilities sum to at least p. The token that carries the sum across p is kept. All others become `-inf`.

- `logits`: `(B, vocab_size)`; `p`: above 0 and below 1
- returns logits, `(B, vocab_size)`, in the vocabulary's order

By hand: probabilities `[0.2, 0.5, 0.3]` with `p = 0.6` keep 0.5 and 0.3 (0.5 is not enough, 0.8 is), so the first logit becomes `-inf`.

In other words: drop a token if those ranked *before* it already hold p. The ranking needs `sort`; getting back from ranks to tokens is the tricky part.
"""


# %% tags=["answer"]
def top_p(logits, p):
    """Only the nucleus of each row, -inf elsewhere: (B, vocab_size), same shape."""
    ### BEGIN SOLUTION
    ranked, order = logits.sort(descending=True)  # both (B, vocab_size)
    probs = ranked.softmax(-1)
    before = probs.cumsum(-1) - probs  # the mass ranked before each token
    drop = (before >= p).scatter(-1, order, before >= p)  # back to the vocabulary's order
    return logits.masked_fill(drop, -torch.inf)
    ### END SOLUTION


# %% tags=["check"]
top_p = checks.top_p(top_p)

# %% [markdown]
r"""
Now your three functions on our two texts. Look at how many tokens survive each, in the narrow place and in the open one, and how much of the probability the 50 of top-k hold.
"""


# %%
def survivors(logits):
    return int((logits > -torch.inf).sum())


for text in ("The capital of France is", "My favourite food is"):
    logits = next_probs(text).log()[None]  # (1, vocab_size)
    print(text)
    kept = logits.softmax(-1)[top_k(logits, 50) > -torch.inf].sum().item()
    print(f"   top-k 50 holds {kept:.0%} of the probability")
    for t in (0.7, 1.0, 1.5):
        print(f"   top-p 0.9 at temperature {t}:", survivors(top_p(temperature(logits, t), 0.9)))

# %% [markdown]
r"""
Top-k takes 50 in both places: after *France* 40 of them share a few hundredths of the probability, and after *food* it cuts off a third of it. Top-p adapts. And see what temperature 1.5 does: it lifts the whole tail of unlikely tokens, so that the nucleus of 0.9 swells to thousands. Heat and top-p work against each other.

The distribution has its shape. What is left is the draw.

### Exercise 9.5 · `sample` ★ · 5 minutes

Draw one token for each row, each token with the probability that the softmax of its row gives it.

- `logits`: `(B, vocab_size)`; some may be `-inf`: such a token is never drawn
- returns tokens, `(B,)`, whole numbers (int64)

By hand: `[[-inf, 0, -inf], [3, -inf, -inf]]` gives `[1, 0]`, every time. `[[0, 0, -inf]]` gives `[0]` or `[1]`, each half of the time.

Every row is a draw of its own, and so is every call. Do not set a seed inside: whoever wants to repeat a draw sets it once, outside. (The check draws thousands of times and counts.)
"""


# %% tags=["answer"]
def sample(logits):
    """One token for each row, drawn from its softmax: (B, vocab_size) -> (B,)."""
    ### BEGIN SOLUTION
    probs = logits.softmax(-1)
    return torch.multinomial(probs, num_samples=1)[:, 0]  # (B,)
    ### END SOLUTION


# %% tags=["check"]
sample = checks.sample(sample)

# %% [markdown]
r"""
Now you have all the parts. Here is your loop of section 3 once more. Where it took the likeliest token, it shapes the logits and draws.
"""


# %% tags=["nbval-ignore-output"]
@torch.no_grad()
def write_on(text, n_tokens, shape):
    """The text and n_tokens more, each drawn from the model's logits as `shape` changes them."""
    ids = tokenizer(text, return_tensors="pt")["input_ids"]  # (1, T)
    for _ in range(n_tokens):
        logits = shape(model(ids).logits[:, -1])  # (1, vocab_size)
        ids = torch.cat([ids, sample(logits)[:, None]], dim=1)  # (1, T + 1)
    return tokenizer.decode(ids[0])


def cooler_nucleus(logits):
    return top_p(temperature(logits, 0.8), 0.9)


torch.manual_seed(0)
for _ in range(2):
    print(write_on("The old man opened the", 10, cooler_nucleus))

# %% [markdown]
r"""
Two draws, two texts. Run the cell again, and the seed brings the same two back.

That is what `generate(do_sample=True)` does, with the same options by name. From here on we use it, because it is faster. Time to listen: the same beginning, the same random seed, five temperatures.

**Predict:** at which temperature will it stop making sense, and at which will it bore you?
"""

# %% tags=["nbval-ignore-output"]
story = tokenizer("Once upon a time, there was a", return_tensors="pt")


def tell(seed=0, **options):
    torch.manual_seed(seed)
    out = model.generate(**story, max_new_tokens=25, do_sample=True, **options)
    return tokenizer.decode(out[0]).replace("\n", " ")


for t in (0.2, 0.7, 1.0, 1.5, 2.0):
    print(f"temperature {t}\n   {tell(temperature=t, top_k=0)}")
print(f"temperature 1.0, top-p 0.9\n   {tell(top_k=0, top_p=0.9)}")

# %% [markdown]
r"""
Run the cell again with other seeds, `tell(seed=1, …)`. At 0.2 a few stories come back again and again, at 2.0 there is no language left. In between lies what people use: a temperature of 0.7 or so, or 1.0 with top-p 0.9. (`top_k=0` switches the library's own top-k off: it takes the 50 best unless told otherwise, a default that surprises many.)
"""

# %% [markdown]
r"""
## 6 The penalty for repeating

Another way out of the loop: make tokens that have been seen less likely. Keskar et al. (2019, §4.1) divide the logit of each seen token by a penalty above 1. But a *negative* logit divided comes nearer to 0, and so becomes likelier; libraries multiply there.

### Exercise 9.6 · `repetition_penalty` ★★ · 10 minutes

- `logits`: `(B, vocab_size)`; `tokens`: `(B, T)`, the tokens so far; `penalty`: above 1
- returns logits, `(B, vocab_size)`: in each row, every token that occurs in that row of `tokens` has its logit divided by the penalty if positive, multiplied if negative; once, however often it occurs

By hand: `logits = [[4, -4, 1]]`, `tokens = [[0, 1, 1]]`, `penalty = 2` give `[[2, -8, 1]]`.

Do not change `logits` itself: make a copy with `.clone()` if you want to assign into it.
"""


# %% tags=["answer"]
def repetition_penalty(logits, tokens, penalty):
    """Logits with seen tokens made less likely: (B, vocab_size), (B, T) -> (B, vocab_size)."""
    ### BEGIN SOLUTION
    seen = torch.zeros_like(logits, dtype=torch.bool).scatter(1, tokens, True)
    punished = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(seen, punished, logits)
    ### END SOLUTION


# %% tags=["check"]
repetition_penalty = checks.repetition_penalty(repetition_penalty)

# %% [markdown]
r"""
It ends the loop. But a good text repeats many things: names, brackets, digits. **Predict:** what will a penalty of 1.3 do to counting, and to code?
"""

# %%
texts = [
    "I'm not sure what to",
    "A list of even numbers: 2, 4, 6, 8, 10,",
    "def add(a, b):\n    return a + b\n\ndef sub(a, b):\n    return",
]
for text in texts:
    inputs = tokenizer(text, return_tensors="pt")
    print(repr(text))
    for penalty in (1.0, 1.3):
        out = model.generate(
            **inputs, max_new_tokens=12, do_sample=False, repetition_penalty=penalty
        )
        print(
            f"   penalty {penalty}:", repr(tokenizer.decode(out[0, inputs["input_ids"].shape[1] :]))
        )

# %% [markdown]
r"""
It mends the talk and breaks the counting and the code: the next even number needs a space, a 1 and a 2, which have all been "seen". A penalty cannot know which repetitions are meant. Use it for prose, in small doses, and never for code or numbers.

It has relatives, which you will meet in other people's settings:

- a **presence penalty** subtracts a constant from the logit of every token that has been written, a **frequency penalty** subtracts it once for each time (options of many chat services; `generate` has neither);
- **no-repeat n-grams** forbid every token that would complete a run of n tokens for a second time: `no_repeat_ngram_size=n`;
- **`num_return_sequences`** punishes nothing and gives a choice: so many texts for one prompt, drawn, or the best so many beams.
"""

# %% [markdown]
r"""
## 7 Searching for the best sentence

Greedy takes the best *word* each time. That is not the best *sentence*. Here is a language small enough to write out: what may follow "the cat …", with probabilities.
"""

# %%
from utils.checks.lesson09.beam_search import TREE, TREE_WORDS, tree_log_probs

for beginning, branches in TREE.items():
    print(f"the {beginning:<15}", branches)


# %%
def sentences(tokens=(1,), log_prob=0.0):
    """Every whole sentence of the tree with its log-probability; 0 is the full stop."""
    if tokens[-1] == 0:
        yield tokens[1:], log_prob
        return
    for token, x in enumerate(tree_log_probs([*tokens]).tolist()):
        if x > float("-inf"):
            yield from sentences((*tokens, token), log_prob + x)


print(f"{'the cat …':<20}{'probability':>12}{'log':>8}{'log / length':>14}")
for tokens, x in sorted(sentences(), key=lambda pair: -pair[1]):
    text = " ".join(TREE_WORDS[i] for i in tokens)
    p = torch.tensor(x).exp()
    print(f"{text:<20}{p:>12.3f}{x:>8.2f}{x / len(tokens):>14.2f}")

# %% [markdown]
r"""
**Which sentence does greedy find?** Follow it through the tree with a finger before you read on.

It takes *sat* (0.5), then *down* (0.4), then the full stop: 0.12, the fourth in the table. It could not know that the road through *slept* is better further on. The best sentence, *slept .*, has twice that probability.

And is *slept .* really the best? Each further word can only make a product smaller, so the shortest sentences have an advantage that has nothing to do with quality. The last column takes the mean log-probability *per token*: there *slept all day .* wins. That is called length normalisation, and it is a choice, not a theorem. Wu et al. (2016, §7) divide by $(5 + |Y|)^\alpha / (5 + 1)^\alpha$, with $|Y|$ the length of the sentence; Hugging Face's beam search divides by $|Y|^\alpha$, and calls the exponent `length_penalty`. So do we.

**Beam search** keeps not one but the `n_beams` best beginnings, and extends all of them at each step:

1. extend every running beam by every token, and add up log-probabilities;
2. sort all these candidates, and keep the best `2 * n_beams`;
3. of the first `n_beams` of them, those that end (or stand at the last step) are *finished*: put them aside with their score, sum / length\*\*`length_penalty`;
4. the best `n_beams` that have not ended run on.

Why `2 * n_beams`? Each beam has only one continuation that ends, so of `2 * n_beams` candidates at least `n_beams` are left to run on. At the end the finished one with the best score wins; nothing stops before `max_new_tokens` steps or the last beam.

### Exercise 9.7 · `beam_search` ★★★ · 30 minutes · stretch

- `next_log_probs(tokens)`: a list of tokens -> `(vocab_size,)` log-probabilities of the next one
- `prompt`: a list of tokens; `n_beams`, `max_new_tokens`, `eos_id` as above
- `length_penalty`: the exponent of the length; the length counts the new tokens, the end token too
- returns a list: the prompt and the best continuation, with its end token if it has one

By hand: the tree above, `prompt = [1]`, two beams. Step 1 keeps *sat* (0.5) and *slept* (0.4). In step 2 the best four candidates are *slept .* (0.24), *sat down* (0.20), *slept all* (0.16) and *sat still* (0.15): the first is finished, with the score ln(0.24) / 2 = −0.71, and the next two run on. In the end *slept all day .* wins, with ln(0.16) / 4 = −0.46.
"""


# %% tags=["answer"]
def beam_search(next_log_probs, prompt, n_beams, max_new_tokens, eos_id, length_penalty=1.0):
    """Best continuation found with n_beams beams: list of tokens -> prompt + new tokens."""
    ### BEGIN SOLUTION
    running, finished = [(0.0, [])], []  # (sum of log-probabilities, new tokens)
    for length in range(1, max_new_tokens + 1):
        candidates = [
            (score + x, [*tokens, token])
            for score, tokens in running
            for token, x in enumerate(next_log_probs(prompt + tokens).tolist())
        ]
        candidates = sorted(candidates, reverse=True)[: 2 * n_beams]
        for score, tokens in candidates[:n_beams]:
            if tokens[-1] == eos_id or length == max_new_tokens:
                finished.append((score / length**length_penalty, tokens))
        running = [pair for pair in candidates if pair[1][-1] != eos_id][:n_beams]
    return prompt + max(finished)[1]
    ### END SOLUTION


# %% tags=["check"]
beam_search = checks.beam_search(beam_search)

# %%
for n_beams in (2, 3):
    for penalty in (0.0, 1.0):
        found = beam_search(tree_log_probs, [1], n_beams, 5, 0, penalty)
        text = " ".join(TREE_WORDS[i] for i in found)
        print(f"{n_beams} beams, length penalty {penalty}: the {text}")

# %% [markdown]
r"""
Two beams are enough here: they find *slept .* without normalisation and *slept all day .* with it.

On the real model beam search often finds likelier texts than greedy (not always: a beam can lose the road that greedy takes). **Predict** the more interesting thing: are they better to read?
"""


# %%
def log_prob(sequence, n_prompt):
    """Sum of the log-probabilities of a row's new tokens under the model."""
    with torch.no_grad():
        logs = model(sequence[None]).logits[0].log_softmax(-1)  # (T, vocab_size)
    return logs[n_prompt - 1 : -1].gather(1, sequence[n_prompt:, None]).sum().item()


inputs = tokenizer("In the morning, the old fisherman", return_tensors="pt")
n_prompt = inputs["input_ids"].shape[1]
for n_beams in (1, 4):
    out = model.generate(**inputs, max_new_tokens=20, do_sample=False, num_beams=n_beams)[0]
    print(f"{n_beams} beams: log-probability {log_prob(out, n_prompt):.1f}")
    print("   ", tokenizer.decode(out[n_prompt:]))

# %% [markdown]
r"""
Likelier by a factor of more than ten, and "he was gone. He was gone. He was". One example, chosen for you; other beginnings give beams that read no worse than greedy. Holtzman et al. (2020) measured it on many: likelier is not better. Beam search has its place where the text is nearly determined by the input, as in translation, and even there it mends only what a search has missed, not what the model believes wrongly: in lesson 5 that is rarely all that is wrong. For open-ended writing, sample.
"""

# %% [markdown]
r"""
## 8 Done well

Now mend the example's remaining faults. First the missing attention mask, on a batch in which one prompt is much shorter than the other. The padding has to be hidden, and without a mask it is not:
"""

# %%
pair = [
    "Paris is",
    "In the year 1889, when the great tower had just been opened, visitors came from",
]
inputs = tokenizer(pair, return_tensors="pt", padding=True, padding_side="left")
for name, mask in (
    ("mask", inputs["attention_mask"]),
    ("none", torch.ones_like(inputs["input_ids"])),
):
    out = model.generate(
        inputs["input_ids"], attention_mask=mask, max_new_tokens=10, do_sample=False
    )
    print(f"{name}: Paris is", repr(tokenizer.decode(out[0, inputs["input_ids"].shape[1] :])))

# %% [markdown]
r"""
Now the padding itself. A batch needs rows of equal length, so short prompts are filled up with *padding*. Tokenizers pad on the right unless told otherwise. **Predict** what goes wrong then; remember where the model looks for the next token.
"""

# %%
prompts = ["The capital of France is", "Water boils at a temperature of", "My name is Ada and I"]

for side in ("right", "left"):
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side=side)
    with torch.no_grad():
        logits = model(**inputs).logits[0, -1]  # next token after the first prompt, as padded
    print(
        f"{side:<6}", inputs["attention_mask"][0].tolist(), repr(tokenizer.decode(logits.argmax()))
    )

# %% [markdown]
r"""
Padded on the right, the last position of the short row is a padding token, and the model continues *that*. On the left, the prompt stands last, where the next token is read off, and the attention mask hides the padding before it. The rule for generating: **pad on the left, and pass the mask.** (Transformers prints a warning if you generate from prompts that are padded on the right.)

### Exercise 9.8 · `complete` ★★ · 10 minutes

Continue several prompts in one batch, and return only what is new. Three calls: the tokenizer, `model.generate`, and `tokenizer.batch_decode`.

- `prompts`: a list of texts of different lengths; `max_new_tokens`: how many tokens each may get
- decode greedily (`do_sample=False`)
- returns a list of texts: for each prompt the new text alone, without special tokens. Cut off *tokens*, not characters: an answer may repeat its prompt, and end early

By hand: for `["one two", "a"]` the answers might be `["three four", "b c"]`, not `["one two three four", …]`.
"""


# %% tags=["answer"]
def complete(model, tokenizer, prompts, max_new_tokens):
    """Greedy continuations of a batch of prompts: list of texts -> list of texts."""
    ### BEGIN SOLUTION
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
    out = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    new = out[:, inputs["input_ids"].shape[1] :]  # (B, new)
    return tokenizer.batch_decode(new, skip_special_tokens=True)
    ### END SOLUTION


# %% tags=["check"]
complete = checks.complete(complete)

# %%
for prompt, text in zip(prompts, complete(model, tokenizer, prompts, 8), strict=True):
    print(f"{prompt} →{text!r}")

# %% [markdown]
r"""
It writes well of boiling water and has the number wrong by a factor of ten: fluency is not knowledge (lesson 13).

Four more things that you will meet in real code. **Settings** that belong together go into a `GenerationConfig`, which can be saved beside a model. **Stopping**: besides the end token, `stop_strings` ends at a text of your choice.
"""

# %%
from transformers import GenerationConfig

config = GenerationConfig(
    max_new_tokens=30,
    do_sample=False,
    stop_strings=["\n"],
    eos_token_id=tokenizer.eos_token_id,
    pad_token_id=tokenizer.pad_token_id,
)
inputs = tokenizer("Q: What is the capital of Italy?\nA:", return_tensors="pt")
out = model.generate(**inputs, generation_config=config, tokenizer=tokenizer)
print(repr(tokenizer.decode(out[0])))

# %% [markdown]
r"""
It stopped at the end of the line, as asked. (That the answer is nonsense is the model's doing.)

**Streaming** shows each token as soon as it is there; a reader who waits ten seconds for a finished answer would have gone. **`pipeline`** wraps tokenizer, model and decoding into one call, and applies the chat template itself if you hand it messages. Give it `max_new_tokens` and `do_sample` explicitly: its own defaults are not those of `generate`.
"""

# %%
from transformers import TextStreamer, pipeline

streamer = TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
model.generate(**chat, max_new_tokens=20, do_sample=False, streamer=streamer)

write = pipeline("text-generation", model=model, tokenizer=tokenizer)
messages = [{"role": "user", "content": "Name three animals that live in the sea."}]
print(write(messages, max_new_tokens=30, do_sample=False)[0]["generated_text"][-1])

# %% [markdown]
r"""
## 9 The first example, mended

Here it is again. Compare it with section 1 line by line: the text as a message, in the form that this model was trained on; an attention mask (`**inputs` carries it); room for the answer whatever the prompt's length; sampling from the nucleus, a little cooler than it is, with a fixed seed; and only the new text decoded.
"""

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
request = "Continue the story: The quick brown fox jumps over the lazy dog."
inputs = tokenizer.apply_chat_template(
    [{"role": "user", "content": request}],
    add_generation_prompt=True,
    return_tensors="pt",
    return_dict=True,
)
output = model.generate(
    **inputs, max_new_tokens=40, do_sample=True, temperature=0.8, top_k=0, top_p=0.9
)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))

# %% [markdown]
r"""
## Summary

1. A language model gives a probability for every next token; writing is picking, appending, and asking again.
2. Greedy picks the likeliest token and may fall into a loop that tightens; beam search often finds likelier texts, which are not better ones.
3. Temperature sharpens or flattens; top-k keeps a number of tokens, top-p a share of the probability; then a token is drawn. A repetition penalty also punishes the repetitions that are meant.
4. Sum log-probabilities, and say how you normalise for length: without it the shortest wins.
5. In batches: pad on the left, pass the mask, `max_new_tokens`, decode only what is new; to a chat model talk through its template.

**Next:** [10 · Chat and applications](10_chat.ipynb) turns continuation into conversation.

## Further reading

- Holtzman et al., 2020, "The curious case of neural text degeneration": §3.1, nucleus sampling; §4.2, why people do not write the likeliest text.
- Fan, Lewis and Dauphin, 2018, "Hierarchical neural story generation": §5, top-k sampling.
- Keskar et al., 2019, "CTRL: a conditional transformer language model for controllable generation": §4.1, the repetition penalty.
- Wu et al., 2016, "Google's neural machine translation system": §7, beam search and length normalisation.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
