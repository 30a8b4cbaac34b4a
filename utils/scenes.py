"""Scenes of coloured shapes, questions about them, and a drawing of how words meet patches."""

import functools
import random
from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from matplotlib.pyplot import Axes, Figure

from utils import data, plots

Thing = tuple[str, str]  # (shape, colour)
Scene = tuple[Thing | None, ...]  # what stands in each of the four cells
Question = tuple[Scene, str, str]  # (scene, question, answer)

ICONS = {
    "circle": "circle",
    "square": "square",
    "triangle": "triangle",
    "ring": "circle-outline",
}
RGB = {
    "red": (0.9, 0.2, 0.2),
    "green": (0.2, 0.7, 0.3),
    "blue": (0.2, 0.4, 0.9),
    "yellow": (0.95, 0.8, 0.2),
}
SHAPES, COLOURS = list(ICONS), list(RGB)
CELL = 12  # pixels, of which a shape takes 11


@functools.cache
def _ink(shape: str) -> np.ndarray:
    return data.icon(ICONS[shape], CELL - 1)


def random_scene(lots: random.Random) -> Scene:
    """Four cells, each empty with probability 0.2, or with any shape in any colour."""
    return tuple(
        None if lots.random() < 0.2 else (lots.choice(SHAPES), lots.choice(COLOURS))
        for _ in range(4)
    )


def draw(scene: Scene, lots: np.random.Generator) -> np.ndarray:
    """A picture `(3, 24, 24)` of a scene, 1 is white; `lots` moves each thing about in its cell."""
    things = [thing and (_ink(thing[0]), RGB[thing[1]]) for thing in scene]
    return data.scene(things, CELL, lots)


def where(scene: Scene, word: str) -> list[int]:
    """The cells whose thing has this shape or this colour."""
    return [i for i, thing in enumerate(scene) if thing is not None and word in thing]


def _exists(scene: Scene, shape: str) -> str:
    return "yes" if where(scene, shape) else "no"


def _colour_of(scene: Scene, shape: str) -> str | None:
    found = where(scene, shape)
    return scene[found[0]][1] if len(found) == 1 else None


def _shape_of(scene: Scene, colour: str) -> str | None:
    found = where(scene, colour)
    return scene[found[0]][0] if len(found) == 1 else None


# kind: (question, what may be asked for, answers, who knows; None where a question makes no sense)
KINDS = {
    "exists": ("is there a {}", SHAPES, ["yes", "no"], _exists),
    "colour": ("what colour is the {}", SHAPES, COLOURS, _colour_of),
    "shape": ("what shape is {}", COLOURS, SHAPES, _shape_of),
}
ANSWERS = ["yes", "no", *COLOURS, *SHAPES]
T = 6  # tokens of a question: "<cls>" and at most five words
VOCAB = data.vocabulary(
    f"<cls> {question.format(word)}".split()
    for question, words, _, _ in KINDS.values()
    for word in words
)


def careful(lots: random.Random, kind: str, without: Collection[Scene] = ()) -> Question:
    """Choose question AND answer first, then look for a scene that makes the answer true.

    Args:
        lots: draws everything.
        kind: one of `KINDS`.
        without: scenes that may not be used.

    Returns:
        The scene, the question and its answer; each answer of the kind is equally likely.
    """
    question, words, answers, knows = KINDS[kind]
    word, answer = lots.choice(words), lots.choice(answers)
    while True:
        scene = random_scene(lots)
        if scene not in without and knows(scene, word) == answer:
            return scene, question.format(word), answer


def make_data(
    n: int,
    seed: int,
    ask: Callable[..., Question] = careful,
    without: Collection[Scene] = (),
) -> dict[str, list | torch.Tensor]:
    """Questions with pictures, all kinds equally often and in turn.

    Args:
        n: how many.
        seed: of all that is drawn.
        ask: makes one question, as `careful` does.
        without: scenes that may not be used.

    Returns:
        "rows": n times (scene, question, answer); "ids" `(n, T)`: the question's words, 0 is
        padding; "pictures" `(n, 3, 24, 24)`, 1 is white; "kinds" `(n,)`: which of `KINDS`;
        "labels" `(n,)`: which of `ANSWERS`.
    """
    lots, places = random.Random(seed), np.random.default_rng(seed)
    kinds = [i % len(KINDS) for i in range(n)]
    rows = [ask(lots, list(KINDS)[kind], without) for kind in kinds]
    pictures = np.stack([draw(scene, places) for scene, _, _ in rows])
    questions = [["<cls>", *question.split()] for _, question, _ in rows]
    return {
        "rows": rows,
        "ids": data.word_ids(questions, VOCAB, T),
        "pictures": torch.tensor(pictures),
        "kinds": torch.tensor(kinds),
        "labels": torch.tensor([ANSWERS.index(answer) for _, _, answer in rows]),
    }


def of_kind() -> torch.Tensor:
    """`(kinds, answers)` bool: True where an answer belongs to a kind of question."""
    return torch.tensor([[a in answers for a in ANSWERS] for _, _, answers, _ in KINDS.values()])


def four_designs() -> Figure:
    """A drawing of early, late, cross-attention and gated fusion: words above, patches below."""
    words, patches = ["words", "attention\namong words"], ["patches", "attention\namong patches"]
    looked_at = ["patches", "", "keys and\nvalues"]
    end = ["feed-forward", "mean"]
    fig, axes = plots.figure(1, rows=4, height=5.6)
    joint = ["attention\namong all", "feed-forward", "answer"]
    _lanes(axes[0], "early: at the start", words[:1], patches[:1], joint)
    joint = ["small\nnetwork", "answer"]
    _lanes(axes[1], "late: at the end, one vector for each", words + end, patches + end, joint)
    steps = [*words, "attention\nto patches", "feed-forward", "answer"]
    _lanes(axes[2], "cross-attention: in between, the words look", steps, looked_at)
    gated = ["tanh(gate) ×\nattention to patches", "tanh(gate) ×\nfeed-forward"]
    steps = [*words, *gated, "answer"]
    _lanes(axes[3], "gated: the same, through gates that are closed at first", steps, looked_at)
    return fig


def _lanes(
    ax: Axes, title: str, words: Sequence[str], patches: Sequence[str], joint: Sequence[str] = ()
) -> None:
    """Draw the steps of two lanes, and those of the one lane that they become.

    "" leaves a place free. Without a joint lane, the words look at the last step of the patches.
    """
    sky, yellow = (
        dict(boxstyle="round,pad=0.3", fc=colour, ec="none") for colour in (plots.SKY, plots.YELLOW)
    )
    line = dict(color=plots.BLACK, linewidth=1.5, zorder=0)
    arrow = dict(arrowstyle="-|>", color=plots.BLACK, shrinkA=0, shrinkB=0)
    meet = len(words)  # where a joint lane begins
    for y, steps, box in ((1, words, sky), (0, patches, yellow)):
        end = meet - 0.5 if joint else len(steps) - 1
        ax.plot([0, end], [y, y], **line)
        if joint:
            ax.plot([end, meet], [y, 0.5], **line)
        for x, step in enumerate(steps):
            if step:
                ax.text(x, y, step, ha="center", va="center", size=8.5, bbox=box)
    if joint:
        ax.plot([meet, meet + len(joint) - 1], [0.5, 0.5], **line)
    else:
        looked_at = len(patches) - 1
        ax.annotate("", (looked_at, 0.62), (looked_at, 0), arrowprops=arrow, zorder=0)
    for x, step in enumerate(joint, meet):
        ax.text(x, 0.5, step, ha="center", va="center", size=8.5, bbox=sky)
    ax.set(xlim=(-0.4, 5.4), ylim=(-0.4, 1.4))
    ax.set_title(title, fontsize=10)
    ax.axis("off")
