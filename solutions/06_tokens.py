# %% [markdown]
r"""
# 06 · Tokens

A language model has never seen a letter. It reads numbers, and each number stands for a piece of text that somebody cut before the model was born: a **token**. How the cutting is done decides what a text costs, which languages are cheap, and why a model that writes a decent letter to the bank cannot spell *strawberry*.

In this lesson you write the cutter that GPT-2 brought in and most models of its kind have used since, byte-level byte-pair encoding, and prove it equal to the library that the industry uses. Then you take SmolLM2's tokenizer apart, put it together again from your own functions, and measure what its tokens do to spelling, to sums, and to a single space at the end of a prompt.

**Needs:** Python's dicts and lists; for section 2 a word about embeddings and attention (lesson 1); `generate` in section 9 (lesson 9 explains it). **Takes:** about 80 minutes. **Exercises:** 6.1 to 6.5; 6.6 is a stretch.
"""

# %%
import codecs
import contextlib
import io
import json
from collections import Counter
from pathlib import Path

import regex
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from utils import data, models, plots
from utils.checks import lesson06 as checks

transformers.logging.disable_progress_bar()
folder = Path(models.path("SmolLM2-135M-Instruct"))
smollm = AutoTokenizer.from_pretrained(folder)

# %% [markdown]
r"""
## 1 What a model reads

A tokenizer turns text into ids and ids into text. Here is SmolLM2's at work.

**Predict** how many tokens this sentence has: one for each letter, one for each word, or something else?
"""

# %%
sentence = "We sat by the river and counted seven small boats."
ids = smollm(sentence).input_ids
print(len(sentence), "characters,", len(sentence.split()), "words,", len(ids), "tokens")
print(ids)
print([smollm.decode([i]) for i in ids])

# %% [markdown]
r"""
Nearly a token a word. Note the spaces: they stand at the *beginning* of words, as a part of them, so ` river` and `river` are two different tokens with two different ids, and a text needs no marks for "a space belongs here".

That was a fine English sentence. Here are five other texts of about that length:

**Predict** which line will be the most expensive.
"""

# %%
TEXTS = {
    "English": sentence,
    "German": "Wir saßen am Fluss und zählten sieben kleine Boote.",
    "Chinese": "我们坐在河边，数了七条小船。",
    "Python": "boats = [b for b in river if b.small]\nassert len(boats) == 7",
    "digits": "2026-11-26 07:07:07 0.7071067811865476",
    "emoji": "👩‍👩‍👧 🚣🚣🚣",
}
SIGN = checks.SIGN  # the tokenizer's file writes a byte as a sign, a space as Ġ (section 7)
BYTE = {sign: byte for byte, sign in SIGN.items()}


def as_bytes(token):
    """A token of SmolLM2's file, such as "Ġriver", as the bytes that it stands for."""
    return bytes(BYTE[sign] for sign in token)


cut = {name: smollm.tokenize(text) for name, text in TEXTS.items()}

# %%
fig, ax = plots.figure(height=4.4)
plots.token_boxes(
    ax, [(f"{name}\n{len(cut[name])} tokens", map(as_bytes, cut[name])) for name in TEXTS]
)
plots.show(
    fig,
    "Six texts, a box round every token: English words are whole, German ones cut, most Chinese "
    "characters and all emoji fall into bytes, and every digit stands alone.",
)

# %% [markdown]
r"""
A dot is a space. `E6 88` are two bytes in hexadecimal, a piece of a character, which cannot be drawn; three bytes in a box, such as `E5 9C A8`, are a whole Chinese character. English costs a token a word, and German, which the tokenizer has hardly met, twice as many. Of the fourteen Chinese characters nine fall apart into pieces that are not characters at all. Every digit is a token of its own. And the little family, one picture on your screen, is thirteen tokens.

Why cut like this? To see it, start with the two obvious ways to do it, and what is wrong with each.

## 2 Characters, bytes

**One id for each character** seems natural. But Unicode has about 160,000 characters, and each would need a row in the embedding table, most of them for characters that the model meets once or never. And a text may hold one that was not in the training text at all. (Older tokenizers wrote `<unk>` for those, and the text was lost.)

**One id for each byte** solves that. On the way to a file every text becomes bytes, by the rule of UTF-8: one byte for the 128 characters of ASCII, two to four for the rest. 256 ids, and nothing is ever unknown.
"""

# %%
for character in "aé日🙂":
    utf8 = character.encode("utf-8")
    print(character, "is character number", ord(character), "and the bytes", list(utf8))

# %% [markdown]
r"""
The first byte of a character says how many follow, and those all lie between 128 and 191. So one can start anywhere and find the next beginning. But not every sequence of bytes is text, and (less known) not every Python string has bytes:
"""

# %%
print(
    repr(bytes([230, 151]).decode("utf-8", errors="replace")), "two bytes of 日, the third missing"
)
try:
    "\ud800".encode("utf-8")
except UnicodeEncodeError as error:
    print("half of a pair:", error.reason)

# %% [markdown]
r"""
`\ud800` is a *lone surrogate*, half of a pair that an older encoding needed. It is no character, and Python says so. Keep the error: a tokenizer that swallows it gives back another text than it got.

So bytes can do everything. What is wrong with them is the length. A text as bytes has four or five times as many positions as the same text in words, and attention compares every position with every other: twenty times the work, and a window that holds a fifth of the text. What we want is in between: frequent words whole, rare ones in pieces, everything else in bytes. And nobody should have to draw up the list by hand.

## 3 Pairs

**Byte-pair encoding** was invented to compress files (Gage, 1994). Find the two neighbours that occur together most often, give the pair an id of its own, put that id wherever the pair stands, and do it again. Sennrich et al. (2016, §3.2) took it for cutting words, and GPT-2 (Radford et al., 2019, §2.2) for cutting bytes.

Two things are needed: counting neighbours, and joining them. The text comes as *words*, each a tuple of ids, together with how often it occurs; most words of a text occur many times, and are looked at once.

### Exercise 6.1 · `count_pairs` ★ · 5 minutes

Count how often each pair of neighbours occurs.

- `words`: a dict, from a word (a tuple of ids) to how often it occurs
- returns a dict, from a pair `(a, b)` to its count

By hand: `{(97, 98, 99): 3, (98, 99): 2}` gives `{(97, 98): 3, (98, 99): 5}`. And `{(97, 97, 97): 2}` gives `{(97, 97): 4}`: the pair stands at two places of the word.
"""


# %% tags=["answer"]
def count_pairs(words):
    """How often each pair of neighbouring ids occurs in the words."""
    ### BEGIN SOLUTION
    counts = Counter()
    for word, n in words.items():
        for pair in zip(word, word[1:], strict=False):
            counts[pair] += n
    return counts
    ### END SOLUTION


# %% tags=["check"]
count_pairs = checks.count_pairs(count_pairs)

# %% [markdown]
r"""
### Exercise 6.2 · `merge` ★★ · 8 minutes

Put a new id in the place of a pair, wherever it stands, from left to right.

- `ids`: a list or a tuple of ids (both occur below); `pair`: a tuple `(a, b)`; `new_id`: the id for the pair
- returns a new list

By hand: `[97, 98, 99, 97, 98]` with the pair `(97, 98)` and the new id 256 gives `[256, 99, 256]`. And `[97, 97, 97]` with `(97, 97)` gives `[256, 97]`: what has been merged is not used again.
"""


# %% tags=["answer"]
def merge(ids, pair, new_id):
    """The ids with every occurrence of the pair replaced, from the left."""
    ### BEGIN SOLUTION
    out, i = [], 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            out.append(new_id)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out
    ### END SOLUTION


# %% tags=["check"]
merge = checks.merge(merge)

# %% [markdown]
r"""
In the open, on one word. *banana* has six letters; three merges make two tokens of it.
"""

# %%
word = tuple(b"banana")
for new_id in (256, 257, 258):
    counts = count_pairs({word: 1})
    best = min(counts, key=lambda pair: (-counts[pair], pair))
    word = tuple(merge(word, best, new_id))
    print(f"{best} occurs {counts[best]} times and becomes {new_id}: {word}")

# %% [markdown]
r"""
97 is *a* and 110 is *n*. The first merge had a choice: `(97, 110)`, *an*, and `(110, 97)`, *na*, both occur twice. **Ties** are common, and who wins them is a matter of convention; what matters is that it is written down, or two programs trained on one text disagree. Ours is the library's: the *smaller pair* wins.

## 4 Training

Before merging, the text is cut into **pieces**, and no merge ever crosses the edge of one. Otherwise *the river* would become one token, and *dog.* and *dog!* two more. GPT-2 cuts by a regular expression: words with the space in front of them, numbers, signs, what remains of the spaces.
"""

# %%
PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)"  # it's, we'll
    r"| ?\p{L}+"  # letters, with a space in front if there is one
    r"| ?\p{N}+"  # numbers
    r"| ?[^\s\p{L}\p{N}]+"  # other signs
    r"|\s+(?!\S)|\s+"  # spaces; the last one is left for the word behind it
)
print(regex.findall(PATTERN, "It's the river's 2nd bend:  look!"))

# %% [markdown]
r"""
Nothing gets lost: laid side by side, the pieces are the text again. Our first training text is the Zen of Python, which every Python carries within itself (as a joke, in the alphabet turned by 13).
"""

# %%
with contextlib.redirect_stdout(io.StringIO()):
    import this
zen = codecs.decode(this.s, "rot13")
pieces = regex.findall(PATTERN, zen)
assert "".join(pieces) == zen
print(len(zen.encode()), "bytes in", len(pieces), "pieces,", len(set(pieces)), "of them different")
print(Counter(pieces).most_common(5))

# %% [markdown]
r"""
### Exercise 6.3 · `train_bpe` ★★★ · 15 minutes

Learn `n_merges` merges. Each round: count all pairs, take the most frequent one (of several equally frequent ones the smallest), merge it in every word. Merge number `i`, counted from 0, makes the id `256 + i`.

- `pieces`: a list of strings; every piece begins as its UTF-8 bytes
- returns the list of merged pairs in the order in which they were learned; fewer than `n_merges` if no pair is left

By hand: `["low", "low", "lower", "lowest"]` and three merges. `l o` and `o w` both occur four times; the smaller pair is `(108, 111)`, *lo*. Then `(256, 119)`, *low*, four times. Then `(257, 101)`, *lowe*, twice. With `["ab", "ab", "cd", "cd"]` the pairs tie, and `(97, 98)` comes before `(99, 100)`.
"""


# %% tags=["answer"]
def train_bpe(pieces, n_merges):
    """The merges that byte-pair encoding learns from pieces of text."""
    ### BEGIN SOLUTION
    words = Counter(tuple(piece.encode("utf-8")) for piece in pieces)
    merges = []
    while len(merges) < n_merges:
        counts = count_pairs(words)
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merged = Counter()
        for word, n in words.items():
            merged[tuple(merge(word, best, 256 + len(merges)))] += n
        words = merged
        merges.append(best)
    return merges
    ### END SOLUTION


# %% tags=["check"]
train_bpe = checks.train_bpe(train_bpe)

# %% [markdown]
r"""
A merge is a pair of ids. To read it, one needs the bytes of every id: those of the two parts, one behind the other.
"""


# %%
def vocabulary(merges):
    """The bytes of every id: first the 256 bytes, then what each merge makes."""
    vocab = [bytes([byte]) for byte in range(256)]
    for a, b in merges:
        vocab.append(vocab[a] + vocab[b])
    return vocab


merges = train_bpe(pieces, 120)
vocab = vocabulary(merges)
for first in range(0, 120, 20):
    print([token.decode() for token in vocab[256 + first : 276 + first]])
text = "".join(vocab[256 + 66].decode()), zen.count(vocab[256 + 66].decode())
print("merge 66 makes", text[0], "which occurs", text[1], "times")

# %% [markdown]
r"""
Read it line by line. It begins with the commonest pairs of letters, and within twenty merges it has whole words, *better* and *than*, for the poem says "better than" eight times. Nobody told it what a word is. From the middle on, it is scraping the barrel: the text is so short that most pairs are left with two occurrences, then with one, and ties are taken in the order of their ids.

**Built once, proved equal.** The `tokenizers` library, which Hugging Face's models use, is trained on the same pieces, and on a larger text: the documentation of Python's functions. (`checks.library` makes its trainer begin with the 256 bytes, so that its ids are ours.)
"""

# %%
documentation = "\n".join(data.standard_library().values())
corpus = regex.findall(PATTERN, documentation)[:20_000]
for text in (pieces, corpus):
    theirs = checks.merges_of(checks.library(text, 80))
    print("all 80 merges are the same:", train_bpe(text, 80) == theirs)
    assert train_bpe(text, 80) == theirs

# %% [markdown]
r"""
How far should one go? Every merge makes the text shorter and the vocabulary longer. A look at the gain:
"""

# %%
lengths, words = [], Counter(tuple(piece.encode()) for piece in pieces)
for i, pair in enumerate(merges):
    lengths.append(sum(len(word) * n for word, n in words.items()))
    words = {tuple(merge(word, pair, 256 + i)): n for word, n in words.items()}
lengths.append(sum(len(word) * n for word, n in words.items()))

fig, ax = plots.figure(height=2.7)
ax.plot(lengths)
ax.plot(20, lengths[20], "o", color=plots.ORANGE)
ax.annotate("20 merges", (20, lengths[20]), (23, lengths[20] + 40))
ax.axhline(len(pieces), color=plots.GREY, linewidth=1)
ax.text(0, len(pieces) + 12, "number of pieces: it cannot get shorter", color=plots.GREY)
ax.set(xlabel="merges", ylabel="tokens", ylim=(0, None), title="The Zen of Python gets shorter")
plots.show(fig, "The first merges shorten the text fast, later ones less and less.")

# %% [markdown]
r"""
The first twenty merges of 120 do nearly half of the work. Each later one is for something rarer. Went one on to the line, the vocabulary would hold every piece of this text, and be useless for any other. Real vocabularies stop where the table of embeddings becomes too large to pay for: GPT-2 has 50,257 ids, SmolLM2 49,152, and Llama 3 has 128,256 (Grattafiori et al., 2024, §3.2).

## 5 Encoding

Training is done once. Encoding a new text *replays* it: of all the neighbours that could be merged, always take the pair that was **learned first**.

Why does the order matter? Suppose `bc` was learned first and `ab` second. In *abc* both fit, and they share the *b*. Whoever walks from the left merges `ab`, and has never seen the `bc` which all the training text was merged by: the model would read a sequence that it has not met.

### Exercise 6.4 · `encode` ★★★ · 12 minutes

- `pieces`: a list of strings; `merges`: a list of pairs, as `train_bpe` returns it
- returns one list with the ids of all pieces; no merge crosses the edge of a piece
- look only at pairs that are *there*: SmolLM2 has 48,900 merges, and going through all of them for every piece takes minutes in section 7
- half a character (`"\ud800"`) ends in Python's own `UnicodeEncodeError`

By hand, with the merges `(98, 99)`, `(97, 98)`, `(257, 99)`, `(32, 97)`, which are *bc*, *ab*, *abc* and *␣a*: the piece `"abc"` begins as 97, 98, 99; `(98, 99)` was learned first, so it becomes 97, 256, and there it ends. The pieces `"ab"`, `"c"` give 257, 99.
"""


# %% tags=["answer"]
def encode(pieces, merges):
    """Ids of the pieces, by replaying the merges in the order in which they were learned."""
    ### BEGIN SOLUTION
    rank = {pair: i for i, pair in enumerate(merges)}
    found = []
    for piece in pieces:
        ids = list(piece.encode("utf-8"))
        while len(ids) > 1:
            pairs = zip(ids, ids[1:], strict=False)
            best = min(pairs, key=lambda pair: rank.get(pair, len(rank)))
            if best not in rank:
                break
            ids = merge(ids, best, 256 + rank[best])
        found += ids
    return found
    ### END SOLUTION


# %% tags=["check"]
encode = checks.encode(encode)

# %%
for text in ("Beautiful is better than ugly.", "Beautiful boats are better than rivers."):
    ids = encode(regex.findall(PATTERN, text), merges)
    print(len(text), "bytes,", len(ids), "tokens:", [vocab[i].decode() for i in ids])

# %% [markdown]
r"""
The first line stands in the poem, and the merges know every word of it. The second is half new, and *boats* and *rivers* fall into small pieces. Nothing is unknown, only expensive. That is the whole bargain of byte-pair encoding.

## 6 Back to text

### Exercise 6.5 · `decode` ★★ · 6 minutes

- `ids`: a list of ids; `vocab`: a list of bytes, as `vocabulary` returns it
- returns the text. Where the bytes are no text, `�` stands (`errors="replace"`)
- an id that is not in the vocabulary, and that includes negative ones, raises `ValueError` with a sentence

By hand: with the 256 bytes as vocabulary `[104, 105]` is *hi*, and `[195, 169]` is *é*, one character. `[104, 256]` raises `ValueError`.
"""


# %% tags=["answer"]
def decode(ids, vocab):
    """The text of the ids; pieces of characters become the sign �."""
    ### BEGIN SOLUTION
    for i in ids:
        if not 0 <= i < len(vocab):
            raise ValueError(f"there is no id {i}: the vocabulary has 0 to {len(vocab) - 1}")
    return b"".join(vocab[i] for i in ids).decode("utf-8", errors="replace")
    ### END SOLUTION


# %% tags=["check"]
decode = checks.decode(decode)

# %% [markdown]
r"""
Round trip, on the six texts of the beginning, with the merges of an English poem. Then the mistake that nearly everybody makes once, when a model's answer is to appear word by word: each token decoded *on its own*.

**Predict** what the second line shows.
"""

# %%
for text in TEXTS.values():
    assert decode(encode(regex.findall(PATTERN, text), merges), vocab) == text
ids = encode(regex.findall(PATTERN, "日本 🙂"), merges)
print("together:      ", decode(ids, vocab))
print("one at a time: ", "".join(decode([i], vocab) for i in ids))

# %% [markdown]
r"""
A token may be a third of a character. Programs that stream text therefore wait until the bytes make sense. (`TextStreamer`, in lesson 9, does.)

Does the round trip hold for *every* text? A loop over a few thousand random ones, half signs from all over Unicode and half words of the poem, is no proof, but it finds a good many mistakes.
"""

# %%
generator = torch.Generator().manual_seed(0)
planes = [(0, 0x80), (0x80, 0x800), (0x4E00, 0x9FFF), (0x1F300, 0x1F6FF), (0x200B, 0x2010)]
for _ in range(2000):
    text = ""
    for plane in torch.randint(len(planes), (8,), generator=generator).tolist():
        text += chr(torch.randint(*planes[plane], (1,), generator=generator).item())
        text += pieces[torch.randint(len(pieces), (1,), generator=generator).item()]
    assert decode(encode(regex.findall(PATTERN, text), merges), vocab) == text
print("2,000 random texts came back as they were")

# %% [markdown]
r"""
## 7 SmolLM2's tokenizer, taken apart

All that there is to a tokenizer stands in one file. Let us open SmolLM2's.
"""

# %%
file = json.loads((folder / "tokenizer.json").read_text("utf-8"))
print("cutting:", [step["type"] for step in file["pre_tokenizer"]["pretokenizers"]])
print(len(file["model"]["vocab"]), "tokens,", len(file["model"]["merges"]), "merges")
print("the first merges:", file["model"]["merges"][:8])
added = [token["content"] for token in file["added_tokens"]]
print(len(added), "added by hand:", added[:4])

# %% [markdown]
r"""
It is what you have built. `Ġ` is how the file writes a space: each of the 256 bytes has a printable sign, so that the file can be read in an editor. The first thing that it learned, from texts of the web, is a space and a *t*.

Besides the merges there are some tokens **added by hand**, such as `<|im_start|>`. No merge makes them. Whoever writes those letters in a text gets the special token, here and in most tokenizers, which is a way to play tricks on a model; lesson 10 is about what they are for. And there are two steps of cutting in place of one: first `Digits`, then GPT-2's pattern (inside `ByteLevel`).

### Exercise 6.6 · `split_pieces` ★★ · 8 minutes · stretch

Cut a text as SmolLM2 does: every digit is a piece of its own, taken out first; what lies between is cut by `PATTERN`.

- `text`: a string
- returns the list of pieces, none of them empty; joined they are the text

By hand: `"in 1984"` gives `["in", " ", "1", "9", "8", "4"]`. And `"a  17"` gives `["a", "  ", "1", "7"]`: the digits are gone by the time the spaces are looked at. A digit is whatever Unicode calls a number, `\p{N}`: `½` too.
"""


# %% tags=["answer"]
def split_pieces(text):
    """The text in pieces: digits one by one, the rest by GPT-2's pattern."""
    ### BEGIN SOLUTION
    parts = regex.split(r"(\p{N})", text)
    return [piece for part in parts for piece in regex.findall(PATTERN, part)]
    ### END SOLUTION


# %% tags=["check"]
split_pieces = checks.split_pieces(split_pieces)

# %% [markdown]
r"""
Now the whole tokenizer, from the merges in its file and your own functions. Its ids are numbered in another order than ours (the added tokens come first), so the last step looks up the number of each token in the file's vocabulary.
"""

# %%
number = {as_bytes(t): i for t, i in file["model"]["vocab"].items() if t not in added}
ours = {bytes([byte]): byte for byte in range(256)}  # the bytes of a token -> our id
smollm_merges = []
for a, b in file["model"]["merges"]:
    smollm_merges.append((ours[as_bytes(a)], ours[as_bytes(b)]))
    ours[as_bytes(a + b)] = 255 + len(smollm_merges)
smollm_vocab = vocabulary(smollm_merges)


def my_ids(text):
    """SmolLM2's ids of a text, made by the functions of this lesson."""
    return [number[smollm_vocab[i]] for i in encode(split_pieces(text), smollm_merges)]


# %%
long_text = documentation[:20_000] + Path(data.__file__).read_text("utf-8")[:8_000]
long_text += "".join(TEXTS.values()) + " In 1984, ½ of 1,000,000 …  " + zen
for text in [*TEXTS.values(), long_text]:
    assert my_ids(text) == smollm(text).input_ids
print(f"{my_ids(sentence)}\nthe same ids on prose, code, Chinese, digits and emoji")

# %% [markdown]
r"""
**Proved equal**, on thirty thousand characters of everything. Of *everything*? The numbers do not add up: 256 bytes, 48,900 merges and 17 added tokens would be 49,173, and the file has 49,152.

**Predict** what is missing, and what becomes of a text that needs it.
"""

# %%
missing = [byte for byte in range(256) if bytes([byte]) not in number]
print(len(missing), "bytes have no token:", missing)
print("as it came back:", repr(smollm.decode(smollm("a\x04b").input_ids)))

# %% [markdown]
r"""
Thirteen of the 21 never occur in UTF-8. The other eight do, if hardly ever: six control characters, and two bytes that begin rare signs. SmolLM2 was trained without them, and its tokenizer drops such a character **in silence**; ours would have stopped with a `KeyError`. "Nothing is unknown" holds for the method, and for your tokenizer. For a given file, look. (From here on we use the library's, which is written in Rust and several times faster.)

## 8 What a token costs

A model's window is counted in tokens, and so is its time, and, where somebody else runs it, its price. So for one and the same content the cutting decides what it costs. How much text does a token carry? We count in bytes.
"""

# %%
samples = TEXTS | {
    "documentation": documentation[:20_000],
    "a Python file": Path(data.__file__).read_text("utf-8")[:8_000],
}
carried = {k: len(text.encode()) / len(smollm(text).input_ids) for k, text in samples.items()}
order = sorted(carried, key=carried.get)

fig, ax = plots.figure(height=2.8)
ax.barh(order, [carried[name] for name in order], color=plots.BLUE)
for name in order:
    ax.text(carried[name] + 0.05, name, f"{carried[name]:.1f}", va="center", size=9)
ax.set(xlabel="bytes that one token carries", title="SmolLM2's tokenizer")
plots.show(fig, "A token carries about four bytes of English and little more than one of digits.")

assert carried["English"] > 4 and carried["digits"] < 1.1
assert carried["Chinese"] < carried["a Python file"] < carried["documentation"]

# %% [markdown]
r"""
An English token carries four or five bytes, a Chinese one not even two. And one Chinese *character* is three bytes: nearly two tokens for each character that is typed. The same document in another language can cost many times as much, takes as many times longer, and fills the window so much earlier. Petrov et al. (2023, §4) measured factors of up to 15 between languages for the tokenizers of that time. It is not malice: the merges were learned from a text that was mostly English, and every merge that went to English went to nobody else.

## 9 What a model never sees

Now the other side. Whatever happens *inside* a token, the model has no eyes for: ` strawberry` is one id, like ` river`. What can it know of the letters?
"""

# %%
lm = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
smollm.padding_side = "left"


def write(prompts, n):
    """What the model writes after each prompt, at most n tokens, up to the end of the line."""
    batch = smollm(prompts, return_tensors="pt", padding=True)
    out = lm.generate(**batch, max_new_tokens=n, do_sample=False, pad_token_id=smollm.pad_token_id)
    out = out[:, batch.input_ids.shape[1] :]  # (B, at most n)
    return [line.split("\n")[0].strip() for line in smollm.batch_decode(out)]


# %% [markdown]
r"""
Twenty-four everyday words, each of them a single token. Three questions, with three examples before each: the first letter of a word; how it is spelled; and, as a control, how it is spelled when it stands in the question letter by letter.

**Predict** which of the three it can do. (The cell takes half a minute.)
"""

# %%
WORDS = (
    "apple bread chair dance earth fruit green house light money music night ocean paper queen "
    "river smile table uncle water winter summer yellow strawberry"
).split()
assert all(len(smollm(" " + word).input_ids) == 1 for word in WORDS)
KNOWN = ("cat", "dog", "horse")
apart = "-".join  # "cat" -> "c-a-t"
QUESTIONS = {  # what is asked, how the word stands in the question, the answer, and its tokens
    "first letter": ("What is the first letter of {}?", str, lambda word: word[0], 2),
    "spelled": ("How do you spell {}?", str, apart, 24),
    "copied": ("How do you spell {}?", apart, apart, 24),
}
spelling = {}
for name, (question, form, answer, n) in QUESTIONS.items():
    ask = "Q: " + question + "\nA:"
    shots = "".join(f"{ask.format(form(word))} {answer(word)}\n" for word in KNOWN)
    said = write([shots + ask.format(form(word)) for word in WORDS], n)
    spelling[name] = sum(s == answer(word) for s, word in zip(said, WORDS, strict=True))
    print(f"{name:<13} {spelling[name]:>2} of {len(WORDS)}, for instance {said[:4]}")

# %% [markdown]
r"""
It knows how most words *begin* (most of its spellings, too, begin with the right letter). It spells not a single one. And it is not the task that is too hard: with the letters before its eyes it copies nearly all of them, up to a *p* in *apple*. It has read ` apple` thousands of times, and hardly ever its letters.

A large model has read enough spelling lists and rhymes to have learned the letters of its tokens by heart, and still stumbles when it is to count them. That is what stands behind the famous question how many *r* there are in *strawberry*. Cut differently, the letters are at least there to be seen:
"""

# %%
for text in (" strawberry", " s-t-r-a-w-b-e-r-r-y"):
    print(len(smollm(text).input_ids), "tokens:", smollm.tokenize(text))

# %% [markdown]
r"""
**A space too many.** You type a prompt, and at its end a space slips in. To you it is nothing. To the model, the words that could come next have their space *inside*: ` Paris` is a token. After a lone space token it does not fit any more.

**Predict** how many of 24 capitals the model gets right without the space, and with it.
"""

# %%
CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo", "China": "Beijing",
    "Russia": "Moscow", "Egypt": "Cairo", "Greece": "Athens", "Poland": "Warsaw",
    "Austria": "Vienna", "Ireland": "Dublin", "Portugal": "Lisbon", "Norway": "Oslo",
    "Sweden": "Stockholm", "Cuba": "Havana", "Kenya": "Nairobi", "Peru": "Lima", "Iran": "Tehran",
    "Iraq": "Baghdad", "Hungary": "Budapest", "Turkey": "Ankara", "Germany": "Berlin",
    "India": "New Delhi", "Thailand": "Bangkok",
}  # fmt: skip
right = {}  # what it writes begins with the capital
for end in ("", " "):
    said = write([f"The capital of {country} is{end}" for country in CAPITALS], 4)
    right[end] = sum(s.startswith(c) for s, c in zip(said, CAPITALS.values(), strict=True))
    print(f"ending in {'is' + end!r:<6} {right[end]:>2} of {len(CAPITALS)} right: {said[:4]}")

# %% [markdown]
r"""
From seventeen to none, by one invisible character. (Four tokens are all that we let it write, and some of the misses without the space are only roundabout, *the capital of Poland*.) The model has not forgotten its geography. It has hardly ever seen a lone space before a word, for the tokenizer never makes one there; where it did see one, a *number* followed, whose digits stand alone. And so it writes numbers. (Strip the prompt that a user has typed. Chat templates, lesson 10, have ends of their own.)

**Sums.** SmolLM2 takes numbers digit by digit, and that is meant well: older tokenizers cut 1,234 into whatever pair of digits was frequent, so that the same digit stood for tens in one number and for hundreds in the next. (Singh and Strouse, 2024, §4, found that even the *direction* in which groups of three are cut changes how well large models add.) Digit by digit the model *could* learn to add as you did in school. Has this one? (Twenty seconds.)
"""

# %%
generator = torch.Generator().manual_seed(0)
sums = {}
for digits in (1, 2, 3):
    low, high = 10 ** (digits - 1), 10**digits
    numbers = torch.randint(low, high, (28, 2), generator=generator).tolist()
    shots = "".join(f"{a} + {b} = {a + b}\n" for a, b in numbers[:4])
    said = write([f"{shots}{a} + {b} =" for a, b in numbers[4:]], digits + 3)
    sums[digits] = sum(s == str(a + b) for s, (a, b) in zip(said, numbers[4:], strict=True))
    a, b = numbers[4]
    print(f"{digits} digits: {sums[digits]:>2} of 24 right; the first: {a} + {b} = {said[0]}")

# %%
assert spelling["first letter"] >= 12 and spelling["copied"] >= 18 and spelling["spelled"] <= 3
assert right[""] >= 14 and right[" "] <= 2
assert sums[1] > sums[2] > sums[3]

# %%
fig, axes = plots.figure(3, height=2.6, sharey=True)
for ax, (title, found) in zip(
    axes,
    {
        "Letters of a token": spelling,
        "The prompt ends in": {"is": right[""], "is and a space": right[" "]},
        "Sums of numbers with": {f"{n} digit{'s' * (n > 1)}": k for n, k in sums.items()},
    }.items(),
    strict=True,
):
    bars = ax.bar([name.replace(" ", "\n", 1) for name in found], found.values(), color=plots.BLUE)
    ax.bar_label(bars)
    ax.set(title=title, ylim=(0, 24))
axes[0].set_ylabel("right, of 24")
plots.show(
    fig,
    "First letters mostly, spelling never, copying yes; no capital after a space; sums of one "
    "digit half, of three hardly ever.",
)

# %% [markdown]
r"""
Of the sums of one digit it gets about half, as one knows some of the little table by heart. Two digits it mostly misses, three nearly always. Digits as tokens of their own make adding *possible* to learn; this model, too small, or with too few sums in its training text, or squeezed to four bits a number as ours is, has not. A tokenizer can make a task hard. It cannot make a model good at it.

Three habits are worth taking along. When a model fails at something that a child can do, look at the tokens first. Never compare two models by their loss *per token* if their tokenizers differ (lesson 7 counts per byte). And never use a model with another model's tokenizer: ids are only numbers, and nothing will complain.

See how far you are:
"""

# %% tags=["nbval-ignore-output"]
checks.progress()

# %% [markdown]
r"""
## Summary

1. A model reads ids of tokens. Byte-level byte-pair encoding begins with 256 bytes, so nothing need be unknown, and merges the most frequent neighbours.
2. Training: cut into pieces, count pairs, merge the commonest, again; write down who wins ties. Encoding replays the merges in the order in which they were learned.
3. Decode all bytes together: a token may be a part of a character.
4. SmolLM2's tokenizer is two rules for cutting, 48,900 merges and 17 tokens added by hand; your functions give the same ids, and show that it has forgotten 21 bytes.
5. What was frequent in the training text is cheap. What happens inside a token (letters, a space in the wrong place) the model cannot see.

**Next:** [07 · Train a GPT](07_gpt.ipynb), with a tokenizer of its own, and its loss counted per byte.

## Further reading

- Sennrich, Haddow and Birch, 2016, "Neural machine translation of rare words with subword units": §3.2 is byte-pair encoding for words, with a Python program of one page.
- Radford et al., 2019, "Language models are unsupervised multitask learners" (GPT-2): §2.2 on bytes, and why merges must not cross kinds of characters.
- Petrov et al., 2023, "Language model tokenizers introduce unfairness between languages": what your language costs.
- Singh and Strouse, 2024, "Tokenization counts: the impact of tokenization on arithmetic in frontier LLMs".
- Gage, 1994, "A new algorithm for data compression", *The C Users Journal*: where it began.
"""
