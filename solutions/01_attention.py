# %% [markdown]
r"""
# 01 · Attention, by hand

A language model reads by letting words look at other words, and take from each what they need. That looking is called *attention*, and it is four lines of arithmetic:

$$\operatorname{attention}(Q, K, V) = \operatorname{softmax}\!\left(\frac{QK^\top}{\sqrt{d_k}}\right)V$$

In this lesson you write all four, in NumPy, with numbers small enough for a pencil. You will find out why each symbol stands where it stands, what goes wrong without it, and how to notice. At the end your four lines compute what each of the 270 attention heads of a real language model computes, and you compare the numbers.

**Needs:** Python, and NumPy's arrays and matrix product. **Takes:** about 75 minutes. **Exercises:** 1.1 to 1.4, and 1.5 for those who like a derivative.
"""

# %%
import numpy as np
import scipy.special
import torch
import torch.nn.functional as F

from utils import models, plots
from utils.checks import lesson01 as checks

np.set_printoptions(precision=3, suppress=True)

# %% [markdown]
r"""
## 1 A dictionary that always answers

A Python dictionary answers if your question equals one of its keys, and not otherwise. Here a café keeps the price of each drink.
"""

# %%
prices = {"water": 1.0, "tea": 2.0, "coffee": 3.0}

print(prices["tea"])
print(prices.get("strong tea", "no such key"))

# %% [markdown]
r"""
A strong tea is not on the list, yet you could guess a price: it is rather like a coffee. So let the dictionary be *soft*. Describe each drink by a number that can be compared, its caffeine in arbitrary units, and ask not whether a key fits but **how well**. Then hand over a mixture of all prices, each in proportion to its fit.

Three words for three roles, and they will stay with you to the last lesson:

- the **query** is what you ask with (the strong tea's caffeine),
- a **key** is what an entry is found by (each drink's caffeine),
- a **value** is what the entry hands over (its price).

Here fit means closeness. `np.exp` turns it into something positive, and dividing by the sum turns that into shares of 1.
"""

# %%
keys = np.array([0.0, 2.0, 4.0])  # caffeine of water, tea, coffee
values = np.array([1.0, 2.0, 3.0])  # their prices
query = 3.5  # a strong tea

fit = np.exp(-((query - keys) ** 2))
weights = fit / fit.sum()
print("weights", weights, "sum", weights.sum())
print("price  ", round(weights @ values, 2))

# %% [markdown]
r"""
Mostly coffee, a little tea, no water to speak of. Now move the query along and compare with a dictionary that picks the one nearest key.

**Predict** before you run it: what will the soft answer be for a drink with caffeine −1, below every key? And where does it change fastest?
"""

# %%
queries = np.linspace(-1, 5, 200)
fits = np.exp(-((queries[:, None] - keys) ** 2))  # (200, 3)
soft = fits / fits.sum(axis=1, keepdims=True) @ values  # (200,)
hard = values[np.abs(queries[:, None] - keys).argmin(axis=1)]  # (200,)

fig, ax = plots.figure(height=2.8)
ax.plot(queries, hard, color=plots.GREY, linestyle="--", label="hard: the nearest key")
ax.plot(queries, soft, label="soft: a mixture")
ax.plot(keys, values, "o", color=plots.RED, label="entries (key, value)")
ax.set(xlabel="query: caffeine", ylabel="answer: price", title="A soft dictionary look-up")
ax.legend()
plots.show(fig, "The hard look-up is a staircase; the soft one a smooth curve through its steps.")

# %% [markdown]
r"""
The soft answer never leaves the range of the values: it is a weighted mean of them. It changes fastest halfway between two keys, where the hard one jumps. And it is smooth, which is the point. A staircase has slope zero almost everywhere, so nothing could be learned through it; a smooth curve tells each key and each query in which direction to move. (Statisticians have known this curve since 1964 as the Nadaraya–Watson estimator.)

Attention is this dictionary with two changes. A word is described by several numbers in place of one. And fit is measured by a **dot product** in place of closeness. The two are relatives: $-(q-k)^2 = 2qk - q^2 - k^2$. The term $q^2$ is the same for all keys, so it cancels when shares are made. Leave out $k^2$ as well, and the product is what remains; the price is that a key with large numbers fits everybody a little better.
"""

# %% [markdown]
r"""
## 2 Six words

Here is our sentence. Each word is three numbers, chosen by hand so that you can check everything with a pencil: how much the word has to do with *action*, with *water*, and with *money*.
"""

# %%
words = ["we", "sat", "by", "the", "river", "bank"]
meanings = ["action", "water", "money"]
x = np.array(
    [
        [1, 0, 0],  # we
        [2, 0, 0],  # sat
        [0, 0, 0],  # by
        [0, 0, 0],  # the
        [0, 2, 0],  # river
        [0, 1, 1],  # bank: of a river, or with a vault?
    ],
    dtype=float,
)
print(x.shape, "= (T, d_model): 6 words, 3 numbers each")

# %% [markdown]
r"""
We call the number of words $T$ and the width of a word's vector `d_model`. In a real model the vectors are called *embeddings*, `d_model` is hundreds or thousands, nobody chooses the numbers, and nobody can say what most of them mean. The arithmetic is the same.

Look at *bank*: one part water, one part money. On its own it cannot be told which. You resolved it the moment you read it, by looking at the word before. **That is what attention is for: to let a word's vector take up what the other words know.**
"""

# %% [markdown]
r"""
## 3 Scores: how well does a key fit a query?

The dot product of two vectors multiplies them number by number and adds up. It is large if both are large in the same places:

bank · river = 0·0 + 1·2 + 1·0 = **2**   bank · sat = 0·2 + 1·0 + 1·0 = **0**

One pair first, then all six keys for the query *bank*, with nothing but loops.
"""

# %%
bank, river = x[5], x[4]

score = 0.0
for c in range(3):
    score += bank[c] * river[c]
print("bank · river =", score)

for word, key in zip(words, x, strict=True):
    print(f"bank · {word:<6}= {sum(bank[c] * key[c] for c in range(3))}")

# %% [markdown]
r"""
*bank* fits *river* as well as itself, and nothing else. Now for all queries at once.

### Exercise 1.1 · `scores` ★ · 5 minutes

Write the table of all dot products of queries with keys.

- `q`: `(T_q, d_k)`, one query in each row; `k`: `(T_k, d_k)`, one key in each row
- returns an array, `(T_q, T_k)`: entry `[i, j]` is query `i` · key `j`

By hand: the query `[1, 0, 2]` and the keys `[3, 1, 1]` and `[0, 5, 0]` give `[[5, 0]]`. Loops are fine; one matrix product is shorter. The number of queries need not be the number of keys.
"""


# %% tags=["answer"]
def scores(q, k):
    """Dot product of every query with every key: (T_q, d_k), (T_k, d_k) -> (T_q, T_k)."""
    ### BEGIN SOLUTION
    return q @ k.T  # (T_q, T_k)
    ### END SOLUTION


# %% tags=["check"]
scores = checks.scores(scores)

# %% [markdown]
r"""
Every word of the sentence is a query here and a key as well: `q` and `k` are both `x`. That is called **self-attention**. Look at two things in the table: is there a pattern across the diagonal, and what do the rows of *by* and *the* look like?
"""

# %%
s = scores(x, x)

fig, ax = plots.figure(height=3.2)
plots.heatmap(ax, s, words, words, "Scores: query (row) · key (column)", digits=0)
plots.show(
    fig, "A 6 by 6 table of dot products; sat with sat is largest, rows by and the are all 0."
)

# %% [markdown]
r"""
The table is symmetric, because *a · b = b · a*. Section 8 will break that symmetry on purpose. And a zero vector has a score of 0 with everybody: it has no question to ask. Keep an eye on what it gets.
"""

# %% [markdown]
r"""
## 4 Softmax: from scores to shares

A score may be any number, negative ones included. To mix values we need shares: positive, and with a sum of 1. Take the row of *bank* and do as we did in the café, `np.exp` and divide by the sum.
"""

# %%
row = s[5]
e = np.exp(row)
print("scores ", row)
print("exp    ", e)
print("shares ", e / e.sum(), "sum", (e / e.sum()).sum())

# %% [markdown]
r"""
With a pencil: $e^0 = 1$ four times and $e^2 \approx 7.39$ twice make 18.78, so *river* and *bank* get $7.39 / 18.78 = 0.393$ each, and the other four 0.053.

This function is the **softmax**. The exponential makes everything positive and keeps the order. It also turns *differences* into *ratios*: a score that is 2 higher gets $e^2 \approx 7.4$ times the share, wherever the two scores lie.

**Predict:** the scores of a trained model can be large. What does this recipe give for the scores 1000, 1001 and 1002? The shares should be the same as for 0, 1 and 2.
"""

# %%
with np.errstate(all="ignore"):  # let NumPy be silent about what happens here
    for large in (np.array([0.0, 1.0, 2.0]), np.array([1000.0, 1001.0, 1002.0])):
        e = np.exp(large)
        print(large, "->", e / e.sum())

# %% [markdown]
r"""
`np.exp(1000)` is too large for a 64-bit number (the limit is about $e^{709}$), becomes infinite, and ∞/∞ is not a number. The cure costs one subtraction. Take any constant $m$ off all scores of a row:

$$\frac{e^{s_i - m}}{\sum_j e^{s_j - m}} = \frac{e^{-m}\,e^{s_i}}{e^{-m}\sum_j e^{s_j}} = \frac{e^{s_i}}{\sum_j e^{s_j}}$$

It cancels. So choose $m$ as the row's largest score: then the largest exponent is 0, and nothing can overflow. Every serious implementation does so.

### Exercise 1.2 · `softmax` ★★ · 10 minutes

Write the softmax over the **last** axis, safe for large scores.

- `x`: any number of axes, `(T,)`, `(T_q, T_k)`, `(B, T_q, T_k)` …
- returns an array of the same shape; along the last axis no entry is negative, and they sum to 1

By hand: `[0, 0]` gives `[0.5, 0.5]`, and so does `[1000, 1000]`. You will want `keepdims=True`, which keeps a summed axis with length 1, so that a row's sum is divided out of its own row.
"""


# %% tags=["answer"]
def softmax(x):
    """Shares along the last axis, stable for large entries: same shape as `x`."""
    ### BEGIN SOLUTION
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %% tags=["check"]
softmax = checks.softmax(softmax)

# %% [markdown]
r"""
Softmax has a hidden dial: the *size* of the scores. Multiply all of them by a constant and see how the shares of the same three scores change.
"""

# %%
sizes = np.linspace(0, 8, 100)
shares = softmax(sizes[:, None] * np.array([0.0, 0.5, 1.0]))  # (100, 3)

fig, ax = plots.figure(height=2.8)
for j, label in enumerate(["score 0", "score 0.5", "score 1"]):
    ax.plot(sizes, shares[:, j], label=label)
ax.set(xlabel="all scores multiplied by", ylabel="share", title="Large scores make softmax hard")
ax.legend()
plots.show(
    fig, "Three shares start equal at 1/3; as scores grow the largest goes to 1, others to 0."
)

# %% [markdown]
r"""
On the left everybody gets the same: a plain mean. On the right the winner takes it all, and the soft dictionary has become a hard one, staircase and all. Remember this picture: section 6 turns on it, and in lesson 9 the same dial, turned the other way, is called *temperature*.
"""

# %% [markdown]
r"""
## 5 Mixing the values

The last line is a weighted mean: each word's output is the sum of all values, each times its share. Here the values are the word vectors themselves, `v = x`.
"""

# %%
weights = softmax(scores(x, x))  # (T, T): row i says how word i divides its attention
output = np.zeros((6, 3))
for i in range(6):
    for j in range(6):
        output[i] += weights[i, j] * x[j]

print("bank before", x[5])
print("bank after ", output[5])
print("the same as one matrix product:", np.allclose(output, weights @ x))

# %%
fig, (left, middle, right) = plots.figure(3, height=3.0, width_ratios=[3, 6, 3])
plots.heatmap(left, x, words, meanings, "values", digits=0)
plots.heatmap(middle, weights, words, words, "weights (each row sums to 1)")
plots.heatmap(right, output, words, meanings, "outputs", digits=1)
plots.show(
    fig, "Three tables: word vectors, attention weights, and outputs; bank is now mostly water."
)

# %% [markdown]
r"""
*bank* went in with as much water as money, and came out with three times as much water. Nobody told it about rivers; it took up what another word of the sentence knew. (Which place that word has does not matter to the formula: shuffle the sentence, and *bank* gets the same. How words learn about order is lesson 3.) And *by* and *the*, with no question to ask, gave equal shares to all six words: their output is the plain mean of the sentence.

**Predict:** replace *river* by *city*, a word with 2 of money and nothing else. What becomes of *bank*?
"""

# %%
city = x.copy()
city[4] = [0, 0, 2]  # we sat by the city bank
after = softmax(scores(city, city)) @ city

for place, y in (("river", output[5]), ("city", after[5])):
    print(f"by the {place:<5} bank: action {y[0]:.2f}  water {y[1]:.2f}  money {y[2]:.2f}")

# %% [markdown]
r"""
The same word, the same vector going in, two meanings coming out. A word's vector after attention is a *contextual* embedding; before 2018, when models that made them became common (Peters et al., 2018, "Deep contextualized word representations"), every *bank* was the same bank.
"""

# %% [markdown]
r"""
## 6 Why the square root?

The formula divides the scores by $\sqrt{d_k}$, and we have not. With three numbers a word nobody minds. So let us see what a wider model would do. Draw queries and keys at random, each component with mean 0 and variance 1, and look at the scores.

**Predict:** from width 4 to width 1024, a factor of 256, by which factor does a typical score grow?
"""

# %%
rng = np.random.default_rng(0)

for width in (4, 64, 1024):
    q, k = rng.normal(size=(2000, width)), rng.normal(size=(2000, width))
    s = (q * k).sum(axis=1)  # (2000,): 2000 independent scores
    print(f"d_k {width:5}: mean {s.mean():5.1f}, standard deviation {s.std():5.1f}")

# %% [markdown]
r"""
Sixteen, the root of 256. The mean stays near 0, because pluses and minuses cancel; what grows is the spread. A score is a sum of $d_k$ products, and **variances of independent terms add up**. If one product has variance 1, then $d_k$ of them have variance $d_k$, and the standard deviation, the size of a typical score, is $\sqrt{d_k}$.

(You will often read that "the dot product grows with $d_k$". Its *variance* does. Its typical size grows with the root, and that is why the formula divides by the root. Vaswani et al., 2017, footnote 4, say it exactly.)

And if the components do not have mean 0 and variance 1? The variance of any number is $\operatorname{Var}(z) = \mathbb{E}[z^2] - \mathbb{E}[z]^2$. Put $z = ab$ for one product, and use that the mean of a product of *independent* things is the product of their means.

### Exercise 1.3 · `score_variance` ★★ · 10 minutes

Write the variance of $q \cdot k$ if all components of both are independent with the same mean and standard deviation. Use pencil and paper, then one line.

- `d_k`: how many components; `mean`, `std`: of each component of `q` and of `k`
- returns a number

By hand: with mean 0 and standard deviation 1 it must be $d_k$. With `d_k = 1`, `mean = 0`, `std = 2` each factor has variance 4, and the product has 16. The check tosses a coin for every component, counts out all cases, and knows the exact answer.
"""


# %% tags=["answer"]
def score_variance(d_k, mean=0.0, std=1.0):
    """Variance of a dot product of two vectors with d_k independent components each."""
    ### BEGIN SOLUTION
    second_moment = std**2 + mean**2
    return d_k * (second_moment**2 - mean**4)
    ### END SOLUTION


# %% tags=["check"]
score_variance = checks.score_variance(score_variance)

# %% [markdown]
r"""
**Predict:** if all components have mean 1 in place of 0, does the spread of the scores grow, shrink or stay?
"""

# %%
q, k = rng.normal(1, 1, size=(2, 4000, 64))
measured = (q * k).sum(axis=1).var()
for mean in (0, 1):
    print(f"mean {mean}: the formula says {score_variance(64, mean, 1)}")
print("measured with mean 1, within a tenth:", abs(measured / score_variance(64, 1, 1) - 1) < 0.1)

# %% [markdown]
r"""
Three times the variance: a common offset in queries and keys makes scores wilder. It is one reason why models *normalise* their vectors before attention (lesson 4).

Now the consequence. Give one query 16 keys to choose from, and ask how *open* its attention is. The **entropy** of the weights, $-\sum_j p_j \ln p_j$, says so in one number: $\ln 16 \approx 2.77$ if all keys share equally, 0 if one takes everything.

We also ask what could be *learned*. Training needs the slope of the weights with respect to the scores. For the softmax it is

$$\frac{\partial p_i}{\partial s_j} = p_i\,(\delta_{ij} - p_j),$$

with $\delta_{ij} = 1$ if $i = j$ and 0 otherwise. If $p$ is one 1 and the rest 0, every one of these is 0: a staircase again. (Exercise 1.5 at the end lets you derive it.)

**Predict:** how much of the slope is left at `d_k = 1024` without the root? Half? A tenth?
"""


# %%
def openness(d_k, scale, draws=400, n_keys=16):
    """Mean entropy of the weights, and mean size of the softmax's slope, over random queries."""
    q = rng.normal(size=(draws, 1, d_k))
    k = rng.normal(size=(draws, n_keys, d_k))
    p = softmax((q * k).sum(axis=-1) / scale)  # (draws, n_keys)
    entropy = scipy.special.entr(p).sum(axis=-1).mean()  # entr(p) is -p ln p, and 0 at 0
    diagonal = np.eye(n_keys) * p[:, None, :]  # (draws, n_keys, n_keys)
    slope = diagonal - p[:, :, None] * p[:, None, :]
    return entropy, np.abs(slope).sum(axis=(1, 2)).mean()


# %%
widths = [1, 4, 16, 64, 256, 1024]
unscaled = np.array([openness(d, scale=1.0) for d in widths])  # (6, 2)
scaled = np.array([openness(d, scale=np.sqrt(d)) for d in widths])

left = unscaled[-1, 1] / scaled[-1, 1]
print(f"slope left at d_k=1024 without the root: {left:.0%} of what it is with it")
assert unscaled[-1, 1] < 0.15 * scaled[-1, 1]

# %%
fig, axes = plots.figure(2, height=3.0)
titles = ["Entropy of the weights", "Slope of the softmax"]
for column, (ax, title) in enumerate(zip(axes, titles, strict=True)):
    ax.plot(widths, scaled[:, column], "o-", label="scores / √d_k")
    ax.plot(widths, unscaled[:, column], "s--", label="scores as they are")
    ax.set(xscale="log", xlabel="d_k", title=title, ylim=(0, 1.35 * scaled[0, column]))
    ax.set_xticks(widths, widths)
axes[0].axhline(np.log(16), color=plots.GREY, linewidth=1)
axes[0].text(1, np.log(16) + 0.07, "the most there can be, ln 16", color=plots.GREY)
axes[0].legend(loc="lower left")
plots.show(fig, "With the root both stay level as d_k grows; without it both fall towards zero.")

# %% [markdown]
r"""
Without the root, a wide model starts its training with its mind made up, at random, and with hardly any slope to change it. With the root, width makes no difference. Vaswani et al. (2017, §3.2.1) wrote that they *suspect* this is why unscaled attention did worse in wide models. You have measured the first half of their suspicion, the vanishing slope; that training suffers from it would be another experiment.
"""

# %% [markdown]
r"""
## 7 The whole formula

### Exercise 1.4 · `attention` ★★ · 10 minutes

Put it together: scores, divided by $\sqrt{d_k}$; softmax; mix the values. Use your `scores` and `softmax`.

- `q`: `(T_q, d_k)`, `k`: `(T_k, d_k)`, `v`: `(T_k, d_v)`
- returns `(T_q, d_v)`: one mixture of values for each query

By hand: `q = [[0, 0]]`, `k = [[1, 2], [3, 4]]`, `v = [[10], [20]]`. The query is zero, both scores are 0, the weights ½ and ½, the output `[[15]]`.
"""


# %% tags=["answer"]
def attention(q, k, v):
    """Scaled dot-product attention: (T_q, d_k), (T_k, d_k), (T_k, d_v) -> (T_q, d_v)."""
    ### BEGIN SOLUTION
    d_k = k.shape[-1]
    weights = softmax(scores(q, k) / np.sqrt(d_k))  # (T_q, T_k)
    return weights @ v  # (T_q, d_v)
    ### END SOLUTION


# %% tags=["check"]
attention = checks.attention(attention)

# %% [markdown]
r"""
**Built once, proved equal.** The check has compared your function with PyTorch's, on inputs of different lengths and widths and on scores that overflow. Here is the same comparison in the open, on our sentence. From lesson 2 on we use PyTorch's.
"""

# %%
mine = attention(x, x, x)
t = torch.from_numpy(x)
theirs = F.scaled_dot_product_attention(t, t, t).numpy()

print(mine)
print(f"largest difference {np.abs(mine - theirs).max():.0e}")
assert np.allclose(mine, theirs, atol=1e-6)

# %% [markdown]
r"""
Was that comparison worth the trouble? The check knows nineteen ways to get `attention` wrong, and keeps each as a working function. Let us ask a few of them about *bank*.

**Predict:** how many of these bugs would you notice by looking at the output, if you did not have the right one beside it?
"""

# %%
right = attention(x, x, x)[5]
print(f"{'the right one':<26}", right)
for mistake in checks.attention.mistakes:
    try:
        print(f"{mistake.name:<26}", mistake.mutant(x, x, x)[5])
    except ValueError:
        print(f"{mistake.name:<26} stops with an error")

# %% [markdown]
r"""
One of nineteen stops with an error. The rest hand over numbers, most of them quite reasonable ones, and five are even *right* here. On this input `q`, `k` and `v` are the same, and d_k equals d_v, and no score is large enough to overflow, so that nobody can tell these bugs from the real thing. Two pairs agree with each other, since our table of scores is symmetric and there are as many queries as keys. A model trained on top of such a bug often still learns, only worse, and nobody is told. This is why every function in this course is held against a library, on inputs that can tell.
"""

# %% [markdown]
r"""
## 8 Where queries, keys and values come from

So far a word asked with the same vector that it is found by and that it hands over: `q = k = v = x`. That is too simple. It forces the score table to be symmetric, and it makes every word fit words like itself. An adjective should look for a noun, not for adjectives.

So a Transformer first multiplies `x` by three matrices, and attends with the results:

$$Q = X W_Q, \qquad K = X W_K, \qquad V = X W_V$$

Training finds the three. Here we set $W_Q$ by hand: whoever has water or money in it shall ask for *action* ("who did something here?"). Keys and values stay as they were.

**Predict:** what will *bank* look at now, and what will it become?
"""

# %%
w_q = np.array(
    [
        [0, 0, 0],  # from action: ask for nothing
        [3, 0, 0],  # from water: ask for action
        [3, 0, 0],  # from money: ask for action
    ],
    dtype=float,
)
q, k, v = x @ w_q, x, x
print("symmetric before:", np.allclose(scores(x, x), scores(x, x).T))
print("symmetric now:   ", np.allclose(scores(q, k), scores(q, k).T))
print("bank before:", attention(x, x, v)[5], " bank now:", attention(q, k, v)[5])

# %%
fig, axes = plots.figure(2, height=3.2)
titles = ["q = x: like looks at like", "q = x @ w_q: nouns ask who acted"]
for ax, query, title in zip(axes, (x, q), titles, strict=True):
    weights = softmax(scores(query, k) / np.sqrt(3))
    plots.heatmap(ax, weights, words, words, title, limits=(0, 1))
plots.show(
    fig, "With the matrix, river and bank look almost only at sat; before, at river and bank."
)

# %% [markdown]
r"""
Now *river* and *bank* look at *sat*, and *bank* has become a word of action: it has taken up that somebody sat there. Meanwhile *sat*, with no question of its own, looks at all six alike. One small matrix has given the words a question that they did not have. A model with 30 layers of 9 heads has 270 such questions in every word, all learned.
"""

# %% [markdown]
r"""
## 9 Your function inside a real model

SmolLM2 is a language model with 135 million parameters (Ben Allal et al., 2025). Its first use on your machine may take some minutes for fetching; after that it loads in seconds. We let it read our sentence and keep what goes in and out of every attention call. How the hook works is not important now; what is, is that nothing of the model is changed.
"""

# %%
import transformers
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

kept = []


def keep_and_attend(module, q, k, v, mask, **options):
    out, weights = sdpa_attention_forward(module, q, k, v, mask, **options)
    kept.append((q, k, v, out))
    return out, weights


AttentionInterface.register("keep_and_attend", keep_and_attend)

# %%
transformers.logging.disable_progress_bar()
folder = models.path("SmolLM2-135M-Instruct")
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(
    folder, dtype=torch.float32, attn_implementation="keep_and_attend"
)


def read(sentence):
    """Let the model read a sentence; returns its tokens, and leaves its attention in `kept`."""
    kept.clear()
    tokens = tokenizer(sentence, return_tensors="pt")
    with torch.no_grad():
        model(**tokens)
    return [tokenizer.decode([i]).strip() for i in tokens["input_ids"][0].tolist()]


# %%
pieces = read("We sat by the river bank")
q, k, v, out = kept[0]
print(pieces)
print(len(kept), "layers; q", tuple(q.shape), "k", tuple(k.shape), "v", tuple(v.shape))

# %% [markdown]
r"""
A *layer* of the model runs nine attentions side by side, its *heads* (lesson 2), and there are 30 layers. The shapes read (batch, heads, words, d_head): one sentence, nine query heads, six words, and 64 numbers for each. There are three heads of keys and values only, each shared by three query heads; that thrift is a subject of lesson 8.

Two things have been done to what arrives here. Queries and keys already carry their position (lesson 3). And the model reads from left to right: a word may look at earlier words and itself, but not ahead (lesson 2). The last word may look at all of them. So take the **last word's query** of every head, and compute its attention with *your* function.
"""

# %%
largest = 0.0
for q, k, v, out in kept:  # 30 layers
    q, k, v = q[0].numpy(), k[0].numpy(), v[0].numpy()  # (heads, T, 64)
    for head in range(9):
        shared = head // 3  # three query heads share one head of keys and values
        mine = attention(q[head, -1:], k[shared], v[shared])  # (1, 64)
        largest = max(largest, np.abs(mine - out[0, -1, head].numpy()).max())

print(f"270 heads compared: largest difference {largest:.0e}")
assert largest < 1e-4

# %% [markdown]
r"""
Your four lines have just computed what 270 heads of a real language model compute for this word. There is nothing else inside a head; the rest of this course is about what is put around it.

And what does *bank* look at in there? We take the weights of the last word in every head, and pick the head that gives most to *river*.
"""


# %%
def last_words_weights():
    """How the last word divides its attention, in every head: (30, 9, T)."""
    rows = []
    for q, k, _, _ in kept:
        q, k = q[0].numpy(), k[0].numpy()  # (heads, T, 64)
        for head in range(9):
            rows.append(softmax(scores(q[head, -1:], k[head // 3]) / np.sqrt(64))[0])
    return np.array(rows).reshape(30, 9, -1)


every = last_words_weights()
to_river = every[:, :, pieces.index("river")]  # (30, 9)
layer, head = np.unravel_index(to_river.argmax(), (30, 9))
print(f"layer {layer}, head {head} gives {to_river[layer, head]:.2f} of its attention to river")

# %%
fig, axes = plots.figure(2, height=2.8, sharey=True)
axes[0].bar(range(6), every[layer, head], color=plots.BLUE)
axes[0].set(title=f"layer {layer}, head {head}", ylabel="share of bank's attention")
axes[1].bar(range(6), every.mean(axis=(0, 1)), color=plots.ORANGE)
axes[1].set_title("mean over all 270 heads")
for ax in axes:
    ax.set_xticks(range(6), pieces)
plots.show(fig, "One head gives nearly all to river; on average half goes to the first token.")

# %% [markdown]
r"""
On the left a head that gives almost everything to *river*: have we found the head that asks "which bank?", as we built it by hand?

**Predict** before you believe it: *river* is also the word just *before* bank. Move it away, and put another word in its place: "We saw the river and sat on the grassy bank". Where will this head look now? (The cell also asks a second head, the one that looks most at *river* when it stands far away. We looked for it.)
"""

# %%
sentences = [
    "We sat by the river bank",
    "We saw the river and sat on the grassy bank",
    "By the river we sat on the bank",
]
for sentence in sentences:
    pieces = read(sentence)
    every = last_words_weights()
    print(sentence)
    for layer, head in ((16, 0), (9, 2)):
        top = every[layer, head].argmax()
        print(f"   layer {layer:2}, head {head}: {every[layer, head, top]:.2f} to {pieces[top]}")

# %% [markdown]
r"""
Head 0 of layer 16 looks, mostly, at the word before. It knows nothing of rivers, and one example could not tell. Head 2 of layer 9 finds *river* in the two sentences where it stands far off, and not in the first, where it stands next door. Perhaps it looks for an earlier noun; three sentences cannot say. **A picture of attention is a question, not an answer.** Lesson 14 asks such questions properly.

The right-hand picture is a warning as well: on average half of this word's attention goes to the first token, which is not even a relative of *bank*. A head that finds nothing to take up still has to give its shares to someone, since they sum to 1, and models learn to put them where they do no harm. That is called an *attention sink* (Xiao et al., 2024, §3.1).
"""

# %% [markdown]
r"""
## 10 One more: the derivative

### Exercise 1.5 · `softmax_jacobian` ★★★ · 15 minutes · stretch

In section 6 the slope of the softmax was given. Derive it: with $p_i = e^{s_i} / S$ and $S = \sum_j e^{s_j}$, what is $\partial p_i / \partial s_j$ if $i = j$, and what if not? Then write the table of all of them, from the weights alone.

- `p`: `(T,)`, weights as the softmax returns them
- returns `(T, T)`: entry `[i, j]` is $\partial p_i / \partial s_j$

By hand: `p = [0.25, 0.75]` gives `[[0.1875, -0.1875], [-0.1875, 0.1875]]`. Each column sums to 0: what a higher score brings one word, the others lose. Each row sums to 0 as well: raise *all* scores alike, and nothing changes.
"""


# %% tags=["answer"]
def softmax_jacobian(p):
    """Slope of every softmax weight with respect to every score: (T,) -> (T, T)."""
    ### BEGIN SOLUTION
    return np.diag(p) - np.outer(p, p)
    ### END SOLUTION


# %% tags=["check"]
softmax_jacobian = checks.softmax_jacobian(softmax_jacobian)

# %%
for p in (np.full(4, 0.25), np.array([0.97, 0.01, 0.01, 0.01]), np.array([1.0, 0, 0, 0])):
    print(p, "-> total slope", round(np.abs(softmax_jacobian(p)).sum(), 3))

# %% [markdown]
r"""
An open mind learns; a made-up one does not.

## Summary

1. Attention is a soft dictionary look-up: a **query** is compared with every **key**, and the **values** are mixed in proportion to the fit.
2. Fit is a dot product, `q @ k.T`; the **softmax** of each row makes shares of it, and needs the row's largest score subtracted so as not to overflow.
3. For independent components of mean 0 and variance 1 a score's variance is $d_k$; dividing by $\sqrt{d_k}$ keeps attention open, and its slope alive, at any width.
4. Queries, keys and values are the same words times three learned matrices; without them like looks at like.
5. Most bugs in attention give plausible numbers. Yours are equal to PyTorch's, and to those of 270 heads of a real model.

**Next:** in lesson 2 words learn not to look ahead, and to look in several ways at once. Or go straight to lesson 9 and let the model write.

## Further reading

- Vaswani et al., 2017, "Attention is all you need": §3.2.1 is this lesson, footnote 4 its section 6.
- Bahdanau, Cho and Bengio, 2015, "Neural machine translation by jointly learning to align and translate": §3.1, the soft look-up before it was called attention.
- Nadaraya, 1964, "On estimating regression", and Watson, 1964, "Smooth regression analysis": the café of section 1.
- Xiao et al., 2024, "Efficient streaming language models with attention sinks": §3.1.
"""

# %% tags=["nbval-ignore-output"]
checks.progress()
