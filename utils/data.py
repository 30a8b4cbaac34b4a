"""Data for the lessons: what Python's library says of itself, dates, pictures and words."""

import functools
import importlib
import inspect
import io
import pydoc_data.topics
import random
import sysconfig
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import resvg_py
import torch
from PIL import Image

from utils import models

PHOTOGRAPHS = Path(__file__).parent / "photographs"  # README.md there says whose they are

# Modules that can be imported without doing anything, and have something to find in them.
MODULES = """
argparse ast base64 bisect calendar collections contextlib copy csv datetime decimal difflib
email.utils fnmatch fractions functools getpass glob gzip hashlib heapq html inspect io ipaddress
itertools json keyword linecache locale logging math mimetypes operator os os.path pathlib pickle
platform pprint random re secrets shlex shutil signal socket sqlite3 statistics string struct
subprocess sys tempfile textwrap threading time timeit tokenize traceback types unicodedata
urllib.parse uuid warnings weakref webbrowser zipfile zlib
""".split()


def standard_library() -> dict[str, str]:
    """What functions and classes of the standard library say of themselves.

    Returns:
        name -> the first paragraph of its documentation, in one line of 200 characters at most:
        about 1,100 of them, a few more or fewer from one version of Python to another.
    """
    found = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, thing in vars(module).items():
            if name.startswith("_") or not callable(thing) or not _belongs(thing, module_name):
                continue
            paragraphs = [" ".join(p.split()) for p in (inspect.getdoc(thing) or "").split("\n\n")]
            if paragraphs[0].startswith(f"{name}("):  # its signature, repeated
                del paragraphs[0]
            if paragraphs and " " in paragraphs[0]:
                found[f"{module_name}.{name}"] = paragraphs[0][:200]
    return found


def _belongs(thing: object, module_name: str) -> bool:
    """True for what a module defines itself, or in its accelerator written in C; no exceptions."""
    if isinstance(thing, type) and issubclass(thing, BaseException):
        return False
    home = (getattr(thing, "__module__", None) or "").lstrip("_").split(".")[0]
    own = module_name.split(".")[0]
    return home == own or (own == "os" and home in {"posix", "nt", "posixpath", "ntpath"})


def python_topics() -> dict[str, str]:
    """The language reference that Python carries with it for `help("if")`.

    Returns:
        topic -> its page as plain text: about 80 of them, half a million characters.
    """
    return dict(sorted(pydoc_data.topics.topics.items()))


def python_modules(largest: int) -> dict[str, str]:
    """Modules of the standard library that are written in Python, as source.

    Args:
        largest: leave out files of more than so many bytes.

    Returns:
        module -> its source; the files that stand directly in the library's folder, in
        alphabetical order.

    Raises:
        ValueError: there is none, as in a Python that was installed without its sources.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    files = [p for p in sorted(folder.glob("*.py")) if p.stat().st_size <= largest]
    if not files:
        raise ValueError(f"no module of at most {largest} bytes in {folder}: ask for larger ones")
    return {path.stem: path.read_text("utf-8") for path in files}


_MONTHS = """january february march april may june july august september october november
december""".split()
_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen""".split()
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = """zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh
twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth
twentieth""".split()


def written_dates(n: int, seed: int) -> list[tuple[str, str]]:
    """Dates from 1950 to 2049 as people write them, and in ISO form.

    Args:
        n: how many.
        seed: the same seed gives the same dates.

    Returns:
        n pairs such as ("third of may nineteen eighty-four", "1984-05-03").
    """
    draw = random.Random(seed)
    first, last = date(1950, 1, 1).toordinal(), date(2049, 12, 31).toordinal()
    days = [date.fromordinal(draw.randint(first, last)) for _ in range(n)]
    return [(draw.choice(_forms(day)), day.isoformat()) for day in days]


def _forms(day: date) -> list[str]:
    d, month, year = day.day, _MONTHS[day.month - 1], day.year
    nth = f"{d}{'th' if 10 <= d <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(d % 10, 'th')}"
    return [
        f"{d} {month} {year}",
        f"{month} {d}, {year}",
        f"{nth} of {month} {year}",
        f"{month[:3]} {nth} {year}",
        f"{d}-{month[:3]}-{year % 100:02d}",
        f"{d}.{day.month}.{year}",
        f"{_ordinal(d)} of {month} {year}",
        f"{_ordinal(d)} of {month} {_year(year)}",
        f"{month} {_ordinal(d)}, {_year(year)}",
    ]


def _number(n: int) -> str:
    return _SMALL[n] if n < 20 else _TENS[n // 10] + (f"-{_SMALL[n % 10]}" if n % 10 else "")


def _ordinal(n: int) -> str:
    if n <= 20:
        return _ORDINALS[n]
    return "thirtieth" if n == 30 else f"{_TENS[n // 10]}-{_ORDINALS[n % 10]}"


def _year(year: int) -> str:
    if 2000 <= year < 2010:
        return f"two thousand {_number(year % 10)}" if year % 10 else "two thousand"
    low = year % 100
    return f"{_number(year // 100)} {'oh ' if low < 10 else ''}{_number(low)}"


def icon_names() -> list[str]:
    """Names of all 7,447 Material Design Icons ("account-arrow-down"), in alphabetical order."""
    return sorted(path.stem for path in _icons().glob("*.svg"))


def icon(name: str, size: int) -> np.ndarray:
    """Draw one icon.

    Args:
        name: one of `icon_names()`.
        size: height and width in pixels.

    Returns:
        `(size, size)` float32: how much ink is on each pixel, from 0 (none) to 1.

    Raises:
        ValueError: there is no icon of that name.
    """
    path = _icons() / f"{name}.svg"
    if not path.is_file():
        raise ValueError(f"there is no icon called {name!r}: data.icon_names() lists them all")
    png = resvg_py.svg_to_bytes(svg_string=path.read_text(), width=size, height=size)
    pixels = np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGBA"))
    return pixels[..., 3].astype(np.float32) / 255


@functools.cache  # models.path checks the whole folder each time
def _icons() -> Path:
    return Path(models.path("material-design-icons"))


def photographs() -> dict[str, Image.Image]:
    """Six photographs in colour, by name, their shorter side 300 to 430 pixels long."""
    from sklearn.datasets import load_sample_images  # slow to import, and needed here only

    temple, flower = (Image.fromarray(image) for image in load_sample_images().images)
    ours = {name: Image.open(PHOTOGRAPHS / f"{name}.jpg") for name in ("cat", "coffee", "rocket")}
    astronaut = Image.open(PHOTOGRAPHS / "astronaut.jpg")
    return {**ours, "temple": temple, "flower": flower, "astronaut": astronaut}


def scene(
    things: Sequence[tuple[np.ndarray, Sequence[float]] | None],
    cell: int,
    lots: np.random.Generator,
) -> np.ndarray:
    """Draw things on white paper, each somewhere in a cell of its own, two cells in a row.

    Args:
        things: for each cell, from the upper left, row by row, what is drawn there, or None.
            A thing is its ink `(h, w)` from 0 to 1, such as an icon, and its colour (red, green
            and blue, each from 0 to 1).
        cell: height and width of a cell in pixels.
        lots: draws the place of each thing within its cell.

    Returns:
        `(3, H, W)` float32, H and W in pixels; 1 is white.

    Raises:
        ValueError: a thing is larger than its cell.
    """
    rows = -(-len(things) // 2)
    picture = np.ones((3, rows * cell, 2 * cell), dtype=np.float32)
    for i, thing in enumerate(things):
        if thing is None:
            continue
        ink, colour = thing
        free = cell - np.array(ink.shape)  # (2,), pixels to spare below and to the right
        if free.min() < 0:
            raise ValueError(f"ink of {ink.shape} does not fit into a cell of {cell} x {cell}")
        y, x = (i // 2 * cell, i % 2 * cell) + lots.integers(free + 1)
        paint = np.asarray(colour, dtype=np.float32)[:, None, None]  # (3, 1, 1)
        picture[:, y : y + ink.shape[0], x : x + ink.shape[1]] += ink * (paint - 1)
    return picture


def vocabulary(
    texts: Iterable[Sequence[str]], size: int | None = None, least: int = 1
) -> dict[str, int]:
    """Number the words of some texts, the commonest first.

    Args:
        texts: each a sequence of words.
        size: how many entries at most, "<pad>" and "<unk>" included (default: all).
        least: how often a word must occur.

    Returns:
        word -> number; "<pad>" is 0 and "<unk>" is 1.
    """
    counts = Counter(word for text in texts for word in text)
    words = [word for word, n in counts.most_common() if n >= least]
    return {word: i for i, word in enumerate(["<pad>", "<unk>", *words][:size])}


def word_ids(texts: Iterable[Sequence[str]], vocab: Mapping[str, int], length: int) -> torch.Tensor:
    """Texts as the numbers of their words.

    Args:
        texts: B texts, each a sequence of words; what is too long is cut off at the end.
        vocab: word -> number; 0 is padding, and 1 stands for every word that is not in it.
        length: words in a row, T.

    Returns:
        `(B, T)` int64; short texts are filled up with 0 at the end.
    """
    rows = [[vocab.get(word, 1) for word in text[:length]] for text in texts]
    filled = [row + [0] * (length - len(row)) for row in rows]
    return torch.tensor(filled, dtype=torch.int64).view(-1, length)


# What a small function should do, and how that is tested: "signature | what it does | test".
_PROGRAMS = """
add(a, b) | returns the sum of a and b | add(2, 3) == 5
double(x) | returns twice x | double(4) == 8
is_even(n) | returns True if n is even | is_even(4) and not is_even(3)
square(x) | returns x squared | square(5) == 25
largest(numbers) | returns the largest number of a list | largest([1, 9, 3]) == 9
total(numbers) | returns the sum of a list of numbers | total([1, 2, 3]) == 6
reverse(text) | returns a string reversed | reverse("abc") == "cba"
count_vowels(text) | returns how many vowels a string has | count_vowels("banana") == 3
first(items) | returns the first item of a list | first([7, 8]) == 7
last(items) | returns the last item of a list | last([7, 8]) == 8
factorial(n) | returns the factorial of n | factorial(5) == 120
is_palindrome(text) | returns True if a string reads the same backwards | is_palindrome("anna") \
and not is_palindrome("ab")
mean(numbers) | returns the mean of a list of numbers | mean([1, 2, 3]) == 2
count(items, x) | returns how often x occurs in a list | count([1, 2, 1], 1) == 2
upper(text) | returns a string in capital letters | upper("ab") == "AB"
celsius(f) | converts degrees Fahrenheit to Celsius | abs(celsius(212) - 100) < 1e-6
longest(words) | returns the longest word of a list | longest(["a", "abc", "ab"]) == "abc"
unique(items) | returns a list without duplicates, in the same order | unique([2, 1, 2]) == [2, 1]
is_prime(n) | returns True if n is a prime number | is_prime(7) and not is_prime(9)
power(a, n) | returns a to the power of n | power(2, 5) == 32
words(text) | returns how many words a string has | words("a b c") == 3
swap(pair) | returns a pair with its two values exchanged | swap((1, 2)) == (2, 1)
"""


def small_programs() -> list[tuple[str, str, str]]:
    """Functions of a few lines for a model to write.

    Returns:
        22 triples: its signature, what it does, and an expression that is true if it does.
    """
    return [tuple(line.split(" | ")) for line in _PROGRAMS.strip().splitlines()]


_EVENTS = """the old bridge|collapsed
a fire|destroyed the library
the river|flooded the market
a museum of clocks|opened
the last tram|was stopped by snow
a small bakery|won a prize"""
_PLACES = "Oslo Lima Cairo Kyoto Boston Vienna Madrid Dublin".split()
_PEOPLE = """Ada Ben Clara David Emma Felix Greta Hugo Ida Jonas Karl Lena Mara Nils Olga Paul Rosa
Sven Tina Victor Wanda Yusuf Zoe Anton""".split()


def people() -> list[str]:
    """24 first names."""
    return list(_PEOPLE)


def small_stories(n: int) -> list[tuple[str, str, str]]:
    """Short reports from a newspaper that does not exist.

    Args:
        n: how many, at most 24.

    Returns:
        n triples: the report, where it happened, and the last word of what happened ("opened").
    """
    stories = []
    for i, name in enumerate(_PEOPLE[:n]):
        place = _PLACES[i % len(_PLACES)]
        thing, did = _EVENTS.splitlines()[i % 6].split("|")
        report = (
            f"On Monday morning {thing} {did} in {place}. Nobody was hurt. {name}, who lives "
            "nearby, told reporters that the noise woke the whole street. The mayor said that work "
            "would begin next week and that it would cost about two million euros. Schools will "
            "stay open, and the buses will take another way."
        )
        stories.append((report, place, did.split()[-1]))
    return stories


# Everyday questions; behind a bar the words of which one must occur in a right answer.
_TRAINING_QUESTIONS = """
What is a volcano?
Why do we sleep?
What is a library?
How does a bicycle work?
What is salt?
Why is the sky blue?
What is a river?
What do cows eat?
What is music?
Why do people wear hats?
What is a hammer used for?
What is winter?
How do birds fly?
What is a desert?
What is a passport?
Why do dogs bark?
What is bread made of?
What is a bridge?
What is a doctor?
How does soap work?
What is an island?
Why do we laugh?
What is a calendar?
What is glass made of?
"""
_HELD_OUT_QUESTIONS = """
What is the capital of France?|Paris
What is the capital of Italy?|Rome
What is the capital of Japan?|Tokyo
What is the capital of Germany?|Berlin
What is the largest ocean?|Pacific
Which planet do we live on?|Earth
What is the largest planet?|Jupiter
Who wrote Romeo and Juliet?|Shakespeare
Which gas do we need to breathe?|oxygen
What is frozen water called?|ice
What do bees make?|honey
How many days are in a week?|seven 7
How many legs does a spider have?|eight 8
What is the opposite of hot?|cold
What is the currency of Japan?|yen
Which language is spoken in Brazil?|Portuguese
Which organ pumps blood?|heart
What is the tallest animal?|giraffe
What is the fastest land animal?|cheetah
Who painted the Mona Lisa?|Leonardo
What is a baby dog called?|puppy
What is a mirror?
What is a beach?
Why do we cry?
What is a guitar?
What is rain?
What is a farmer?
How do boats float?
What is a castle?
What is coffee?
What is a pilot?
Why do leaves fall?
What is a city?
What is a fork?
What is a dream?
What is sugar?
Why do we have bones?
What is a whale?
What is a newspaper?
What is a chair?
How does a kite fly?
What is an onion?
What is a theatre?
What is paper made of?
What is a neighbour?
Why do stars shine?
What is a valley?
What is a sweater?
What is a hospital?
Why do we brush our teeth?
What is a robot?
What is a village?
What is a lemon?
What is the moon?
"""


def everyday_questions() -> dict[str, list]:
    """Short questions such as one asks a child or an assistant.

    Returns:
        "training": 24 questions; "held out": 54 pairs of a question and a list of words. An answer
        that is right has one of these words; where the list is empty, no word can tell.
    """
    held_out = [line.partition("|")[::2] for line in _HELD_OUT_QUESTIONS.strip().splitlines()]
    return {
        "training": _TRAINING_QUESTIONS.strip().splitlines(),
        "held out": [(question, words.split()) for question, words in held_out],
    }
