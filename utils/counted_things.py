"""Pictures that three words describe: one to four of one thing in one colour ("two red dog")."""

import functools
from collections.abc import Sequence

import numpy as np
import torch

from utils import data

NUMBERS = ["one", "two", "three", "four"]
COLOURS = {
    "red": (220, 30, 30),
    "orange": (250, 140, 0),
    "yellow": (240, 220, 30),
    "green": (30, 150, 50),
    "blue": (40, 80, 220),
    "purple": (130, 50, 170),
    "pink": (255, 150, 190),
    "brown": (130, 80, 40),
}
THINGS = (
    "dog cat fish owl duck elephant rabbit turtle snake bee car bus rocket bicycle tractor "
    "helicopter tree flower cactus mushroom pizza apple carrot piano"
).split()
Combination = tuple[str, str, str]


def split() -> tuple[list[Combination], list[Combination]]:
    """All 768 combinations of number, colour and thing: 618 for training, and 150 held out."""
    every = [(n, c, t) for n in NUMBERS for c in COLOURS for t in THINGS]
    order = np.random.default_rng(17).permutation(len(every))
    return [every[i] for i in order[150:]], [every[i] for i in order[:150]]


def outlines(thing: str) -> list[np.ndarray]:
    """A thing's icon in three sizes, 16 to 18 pixels."""
    return [_icon(thing, size) for size in (16, 17, 18)]


_icon = functools.cache(data.icon)


def draw(combination: Combination, lots: np.random.Generator) -> np.ndarray:
    """One picture `(3, 40, 40)`, 1 is white; places and sizes are drawn by lot."""
    number, colour, thing = combination
    things: list = [None] * 4
    for quarter in lots.permutation(4)[: NUMBERS.index(number) + 1]:
        things[quarter] = (outlines(thing)[lots.integers(3)], np.array(COLOURS[colour]) / 255)
    return data.scene(things, 20, lots)


def draw_all(combinations: Sequence[Combination], lots: np.random.Generator) -> torch.Tensor:
    """A picture for each combination: `(B, 3, 40, 40)`, 1 is white."""
    return torch.tensor(np.stack([draw(c, lots) for c in combinations]))
