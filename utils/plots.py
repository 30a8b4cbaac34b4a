"""Figures: one palette, one size, one way to show them with a sentence of alt text."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font
from matplotlib.patches import Rectangle

# Okabe and Ito's palette: told apart by colour-blind readers (Okabe & Ito 2008, "Color Universal
# Design").
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
SKY, PINK, YELLOW, BLACK, GREY = "#56b4e9", "#cc79a7", "#f0e442", "#000000", "#8a8a8a"
PALETTE = [BLUE, ORANGE, GREEN, RED, PINK, SKY, BLACK]
MONO = "DejaVu Sans Mono"  # comes with matplotlib
WIDTH = 8.0  # inches: the width of a notebook's output

SETTINGS = {
    "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "image.cmap": "Blues",
    "legend.frameon": False,
    "lines.linewidth": 2,
}
# There for a screen reader, out of sight where styles count.
HIDDEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"


def use_course_style() -> None:
    """Matplotlib's defaults, then the course's: whatever style the reader has (dark ones too)."""
    mpl.rcdefaults()
    mpl.rcParams.update(SETTINGS)


def figure(
    columns: int = 1, height: float = 3.0, rows: int = 1, **kwargs: object
) -> tuple[plt.Figure, np.ndarray | plt.Axes]:
    """A figure as wide as the notebook.

    Args:
        columns, rows: how many axes.
        height: in inches, for the whole figure.
        **kwargs: for `plt.subplots`.

    Returns:
        The figure, and its axes (one, or an array of them).
    """
    use_course_style()
    return plt.subplots(rows, columns, figsize=(WIDTH, height), **kwargs)


def show(fig: plt.Figure, alt: str) -> None:
    """Show a figure and close it.

    The picture is a plain PNG, which every viewer shows and PDF export keeps. Its sentence goes
    with it for the viewers that read it there (VS Code, web books), and follows once more as text
    that is hidden where styles count: JupyterLab gives a PNG output no alt text.

    Args:
        fig: the figure.
        alt: one sentence that says what the figure shows, for whoever cannot see it.
    """
    from IPython.display import display

    use_course_style()
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", facecolor="white", metadata={"Software": None})
    plt.close(fig)
    png = base64.b64encode(buffer.getvalue()).decode()
    display({"image/png": png, "text/plain": alt}, metadata={"image/png": {"alt": alt}}, raw=True)
    sentence = f"Figure: {alt}"
    hidden = f'<p class="figure-sentence" style="{HIDDEN}">{escape(sentence)}</p>'
    display({"text/html": hidden, "text/plain": sentence}, raw=True)


def blocks(
    ax: plt.Axes, rows: int, columns: int, width: int, title: str, apart: bool = False
) -> None:
    """Draw a table of words by components, in one colour for each head.

    Args:
        ax: where.
        rows, columns: how many words, and how many components each.
        width: components of one head.
        title: above the drawing.
        apart: with a gap between the heads, and their numbers below.
    """
    for row in range(rows):
        for column in range(columns):
            head = column // width
            place = (column + (head if apart else 0), rows - 1 - row)
            ax.add_patch(Rectangle(place, 0.9, 0.9, facecolor=PALETTE[head], edgecolor="none"))
    n_heads = columns // width
    for head in range(n_heads if apart else 0):
        middle = head * (width + 1) + width / 2
        ax.text(middle, -0.1, f"head {head}", ha="center", va="top", color=PALETTE[head])
    right = columns + (n_heads - 1 if apart else 0)
    ax.set(xlim=(-0.2, right + 0.1), ylim=(-0.2, rows + 0.1), title=title, aspect="equal")
    ax.set(xticks=[], yticks=[rows - 0.55 - row for row in range(rows)])
    ax.set_yticklabels([f"word {row}" for row in range(rows)])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def token_boxes(
    ax: plt.Axes, rows: Sequence[tuple[str, Sequence[bytes]]], columns: int = 76
) -> None:
    """Draw texts with a box round every token, one row for each text (more where it is long).

    What the font cannot draw, and pieces of a character, stand as their bytes in hexadecimal; a
    space is drawn as a dot in the middle of its line, a new line as a bent arrow.

    Args:
        ax: where.
        rows: a label and the tokens' bytes, for each text.
        columns: characters in a line.
    """
    font, y = FT2Font(findfont(MONO)), 0.0
    for number, (label, tokens) in enumerate(rows):
        ax.text(-1, y + 0.5, label, ha="right", va="center", size=9)
        x, colour = 0.0, PALETTE[number % len(PALETTE)]
        for token in tokens:
            text = _drawable(token, font)
            width = len(text) + 0.7
            if x + width > columns:
                x, y = 0.0, y - 1.3
            ax.add_patch(Rectangle((x, y), width, 1, fc="white", ec=colour, lw=1))
            ax.text(x + width / 2, y + 0.45, text, ha="center", va="center", size=7.5, family=MONO)
            x += width + 0.25
        y -= 2.0
    ax.set(xlim=(-12, columns), ylim=(y + 0.7, 1.4))
    ax.axis("off")


def _drawable(token: bytes, font: FT2Font) -> str:
    try:
        text = token.decode("utf-8").replace(" ", "·").replace("\n", "↵")
    except UnicodeDecodeError:
        return token.hex(" ").upper()
    return text if all(font.get_char_index(ord(c)) for c in text) else token.hex(" ").upper()


def stream(ax: plt.Axes, title: str, steps: Sequence[str]) -> None:
    """Draw a block as what happens to one word's vector on its way from left to right.

    Args:
        ax: where.
        title: above the drawing.
        steps: a name for what stands on the stream itself ("norm1"); with a plus in front
            ("+attention") for what is computed beside it and added.
    """
    x, norm = 0.5, dict(boxstyle="round,pad=0.3", fc=YELLOW, ec="none")
    beside = dict(boxstyle="round,pad=0.3", fc=SKY, ec="none")
    arrow = dict(arrowstyle="-|>", color=BLACK)
    for step in steps:
        if step.startswith("+"):
            ax.plot([x, x, x + 2], [0, 1, 1], color=BLACK, linewidth=1)
            ax.annotate("", (x + 2, 0.1), (x + 2, 1), arrowprops=arrow)
            ax.text(x + 1, 1, step[1:].replace(", ", "\n"), ha="center", va="center", bbox=beside)
            circle = dict(boxstyle="circle,pad=0.1", fc="white", ec=BLACK)
            ax.text(x + 2, 0, "+", ha="center", va="center", bbox=circle)
            x += 2.9
        else:
            ax.text(x, 0, step, ha="center", va="center", bbox=norm, rotation=90)
            x += 0.7
    ax.annotate("", (x + 0.2, 0), (-0.3, 0), arrowprops=arrow | {"linewidth": 2}, zorder=0)
    ax.set(xlim=(-0.4, x + 0.3), ylim=(-0.7, 1.5), title=title)
    ax.axis("off")


def heatmap(
    ax: plt.Axes,
    table: np.ndarray,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    title: str = "",
    limits: tuple[float, float] | None = None,
    digits: int | None = 2,
) -> None:
    """Draw a table of numbers as coloured cells with the numbers in them.

    Args:
        ax: where.
        table: `(R, C)` numbers.
        rows, columns: labels, as many as there are rows and columns, or none.
        title: above the table.
        limits: values of the palest and the darkest colour (default: the table's own).
        digits: after the point; None leaves the numbers out.
    """
    table = np.asarray(table)
    low, high = limits or (table.min(), table.max())
    ax.imshow(table, vmin=low, vmax=high, aspect="auto")
    ax.set_xticks(range(len(columns)), columns, rotation=45 if len(columns) > 4 else 0)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_title(title)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    if digits is None:
        return
    for (i, j), value in np.ndenumerate(table):
        dark = value > low + 0.55 * (high - low)
        text = f"{value:.{digits}f}"
        ax.text(j, i, text, ha="center", va="center", color="white" if dark else "black", size=9)


def shares(
    ax: plt.Axes,
    rows: Mapping[str, tuple[float, float, float]],
    chance: float | None = None,
    ours: str = "the picture",
) -> None:
    """Draw a bar and its interval for each of some shares, the first on top.

    Args:
        ax: where to draw.
        rows: name -> (share, low, high), from 0 to 1.
        chance: where a dotted line stands for guessing.
        ours: the name of the row that stands out in blue.
    """
    means, lows, highs = np.array(list(rows.values())).T
    colours = [BLUE if name == ours else GREY for name in rows]
    ax.barh(range(len(rows)), means, color=colours, height=0.6)
    ax.hlines(range(len(rows)), lows, highs, color=BLACK, linewidth=1.5)
    if chance is not None:
        ax.axvline(chance, color=RED, linestyle=":", linewidth=1.5)
    ax.set(yticks=range(len(rows)), yticklabels=rows, xlim=(0, 1))
    ax.invert_yaxis()


def eye_for_a_reader() -> plt.Figure:
    """Lesson 18's model in one row: picture, encoder, projector, prompt, language model, answer."""
    fig, ax = figure(height=1.9)
    parts = {"picture": "white", "encoder": SKY, "projector": SKY}
    parts |= {"Picture: ▢ ▢ ▢\nCaption:": YELLOW, "SmolLM2": "0.85", "answer": "white"}
    for place, (part, colour) in enumerate(parts.items()):
        box = dict(boxstyle="round,pad=0.5", fc=colour, ec=BLACK)
        ax.text(place, 1, part, ha="center", va="center", bbox=box)
    ax.annotate("", (4.7, 1), (0.2, 1), arrowprops=dict(arrowstyle="-|>", lw=2), zorder=0)
    ax.text(1.5, 0.4, "these two learn", ha="center", va="center", color=BLUE)
    ax.text(3, 0.4, "three vectors\namong words", ha="center", va="center")
    ax.text(4, 0.4, "frozen", ha="center", va="center", color="0.35")
    ax.set(xlim=(-0.5, 5.4), ylim=(0, 1.4))
    ax.axis("off")
    return fig


def everything_at_once() -> plt.Figure:
    """The model of the last lesson, with the exercise in which each of its parts was written."""
    fig, ax = figure(height=5.0)
    rows = {
        "a picture": ["three\nconvolutions", "queries\n17.3", "Projector\n18.1", "hear\n20.3"],
        "a sound": ["log_mel\n15.3", "EncoderBlock\n04.3", "pool_speech\n20.2", "hear\n20.3"],
        "words": ["split_pieces\n06.6", "train_bpe\n06.3", "encode\n06.4"],
    }
    for y, (name, parts) in zip((6, 5, 4), rows.items(), strict=True):
        ours = [SKY if part[-1].isdigit() else "white" for part in parts]
        _row(ax, y, [name, *parts], ["white", *ours])
        ax.plot([1.15 * len(parts), 5.75], [y, 5], color=BLACK, linewidth=1.2, zorder=0)
    _box(ax, 5.75, 5, "splice_two\n20.1", YELLOW)
    ax.plot([5.75, 5.75, 0, 0], [5, 3.1, 3.1, 2], color=BLACK, linewidth=1.2, zorder=0)
    llama = ["RMSNorm\n08.1", "Grouped\nqueries 08.3", "apply_rope\n03.3", "causal_mask\n02.1"]
    _row(ax, 2, [*llama, "attention\n01.4", "SwiGLU\n08.2"], [SKY] * 6)
    ax.add_patch(plt.Rectangle((-0.5, 1.45), 6.75, 1.1, fill=False, ec=GREY, linestyle="--"))
    ax.text(2.9, 2.7, "SmolLM2, thirty times", ha="center", color="0.35", size=9)
    ax.plot([5.75, 5.75, 0, 0], [2, 1.0, 1.0, 0], color=BLACK, linewidth=1.2, zorder=0)
    _row(ax, 0, ["KVCache\n08.5", "generate\n09.1", "an answer", "aloud"], [SKY, SKY, "w", "w"])
    ax.set(xlim=(-0.6, 6.4), ylim=(-0.5, 6.5))
    ax.axis("off")
    return fig


def _row(ax: plt.Axes, y: float, steps: Sequence[str], colours: Sequence[str]) -> None:
    """Boxes from left to right, with a line behind them."""
    ax.plot([0, 1.15 * (len(steps) - 1)], [y, y], color=BLACK, linewidth=1.2, zorder=0)
    for x, (step, colour) in enumerate(zip(steps, colours, strict=True)):
        _box(ax, 1.15 * x, y, step, colour)


def _box(ax: plt.Axes, x: float, y: float, text: str, colour: str) -> None:
    box = dict(boxstyle="round,pad=0.35", fc=colour, ec=BLACK, linewidth=0.8)
    ax.text(x, y, text, ha="center", va="center", size=8, bbox=box)


def gallery(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str] = (),
    columns: int = 5,
    labels: Sequence[str] = (),
) -> plt.Figure:
    """Draw pictures side by side, row after row.

    Args:
        pictures: arrays or tensors, each `(H, W)` ink from 0 (paper) to 1, or `(3, H, W)` colour
            from 0 to 1.
        titles: what stands above each picture; none, or as many as there are pictures.
        columns: pictures in a row; the last row may be shorter.
        labels: what stands to the left of each row; none, or as many as there are rows.

    Returns:
        The figure, for `show`.

    Raises:
        ValueError: no pictures, or another number of titles or labels.
    """
    rows = -(-len(pictures) // columns)
    if not rows or len(titles) not in (0, len(pictures)) or len(labels) not in (0, rows):
        counts = f"{len(pictures)} pictures in {rows} rows, {len(titles)} titles, {len(labels)}"
        raise ValueError(f"a gallery needs a title a picture and a label a row: {counts} labels")
    fig, axes = figure(columns, 0.3 + 1.6 * rows * min(1, 5 / columns), rows, squeeze=False)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=False, color=GREY)
    for i, (ax, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        picture = np.asarray(picture)
        colour = picture.ndim == 3
        ax.imshow(picture.transpose(1, 2, 0) if colour else picture, cmap="Greys", vmin=0, vmax=1)
        ax.spines[:].set_visible(colour)  # paper that is white needs an edge
        if len(titles):
            ax.set_title(titles[i], fontsize=7, loc="center")
    for ax, label in zip(axes[:, 0], labels, strict=False):
        ax.text(-0.1, 0.5, label, transform=ax.transAxes, ha="right", va="center", fontsize=9)
    return fig
