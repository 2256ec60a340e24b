"""A page of blocks of images: rows of small pictures under a title, each pixel a square of whole printer's dots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from energylens.plots import images, style
from energylens.plots.wrapping import width as inches_of
from energylens.plots.wrapping import wrapped

DOTS = int(style.rc("full")["savefig.dpi"])
"""an inch, in files of pixels; all lengths below are in such dots unless another unit is named"""
PAD = 12
BETWEEN = 16, 60
"""from block to block, at least and at most, but for narrow blocks"""
TITLE = 360
"""from the middle of a narrow block to that of the next, where there is room: a title's width"""
LEAST = 48
"""width of an image, 4 mm; fewer blocks stand side by side before images get smaller"""
LARGEST = 160
"""width of an image, where few have all the page"""
ACROSS = 4
"""blocks side by side, at most"""
HIGHEST = 6 * DOTS
"""images shrink, down to LEAST, to keep all lines of blocks within 6 inches"""
TITLE_PT, LABEL_PT, NOTE_PT = 6, 6, 5
LINE = 1.25
"""height of a line of text, in font sizes"""
FAILED = "#e6e6e6", "#b22222"
"""colours of a cell, and of its cross, whose chain became NaN"""

Row = Sequence[np.ndarray | None]
"""images uint8 [C, H, W]; None is a chain that became NaN; a row shorter than the block leaves cells empty"""


@dataclass(frozen=True)
class Block:
    """Rows of images under a title."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class _Layout:
    across: int
    width: int
    height: int
    between: int


def page(
    blocks: Sequence[Block], labels: Sequence[str], note: str, columns: int = 5, across: int | None = None
) -> Figure:
    """Blocks side by side and line below line, as wide as the text.

    Args:
        blocks: all with the same number of rows.
        labels: of these rows, left of the first block of each line.
        note: small text below.
        columns: images in a row, at most; where no row has so many, blocks are narrower.
        across: blocks side by side; None for as many as fit, 4 at most, in lines of about equal length.

    Returns:
        A figure whose axes have their titles as labels, with the line breaks that are drawn.
    """
    shape = _shape(blocks)
    columns = max(1, min(columns, max(len(row) for block in blocks for row in block.rows)))
    width, height = columns * (shape[2] + 1) - 1, len(labels) * (shape[1] + 1) - 1
    left = round(DOTS * max(inches_of(label, LABEL_PT) for label in labels)) + PAD
    full = round(style.TEXT_WIDTH_IN * DOTS)
    layout = _fit(len(blocks), shape[2], (width, height), full - left, across)
    room = (layout.width + layout.between - PAD) / DOTS
    titles = [wrapped(block.title, room, TITLE_PT) for block in blocks]
    below = wrapped(note, style.TEXT_WIDTH_IN, NOTE_PT)
    head = _text_height(max(title.count("\n") + 1 for title in titles), TITLE_PT) + PAD
    lines = -(-len(blocks) // layout.across)
    high = lines * (head + layout.height + PAD) + _text_height(below.count("\n") + 1, NOTE_PT)
    figure = plt.figure(figsize=(full / DOTS, (high + 0.01) / DOTS))  # 0.01: no dot is lost by rounding
    figure.set_layout_engine("none")
    inset = left + (full - left - layout.across * layout.width - (layout.across - 1) * layout.between) // 2
    for place, (block, title) in enumerate(zip(blocks, titles, strict=True)):
        line, column = divmod(place, layout.across)
        x, y = inset + column * (layout.width + layout.between), line * (head + layout.height + PAD) + head
        bottom = high - y - layout.height
        ax = figure.add_axes((x / full, bottom / high, layout.width / full, layout.height / high))
        show(ax, block.rows, columns, shape)
        ax.set_label(title)
        _head(figure, title, (x + layout.width / 2, bottom + layout.height + PAD), (full, high))
        if column == 0:
            _name(ax, labels, shape[1])
    figure.text(0.5, 0, below, fontsize=NOTE_PT, ha="center", va="bottom", linespacing=LINE)
    return figure


def show(ax: Axes, rows: Sequence[Row], columns: int, shape: tuple[int, int, int]) -> None:
    """One block: a single array of pixels, and a cross for each chain that became NaN.

    Args:
        ax: where to draw, in the units of the images' pixels.
        rows: of images.
        columns: images in a row, further ones are left out.
        shape: [C, H, W] of all images.
    """
    cells = {(i, j): image for i, row in enumerate(rows) for j, image in enumerate(row[:columns])}
    there = {place: image for place, image in cells.items() if image is not None}
    empty = {(0, 0): np.full(shape, images.PAPER, np.uint8)}
    array = images.tile(there or empty, len(rows), columns)
    ax.imshow(np.repeat(array, 3 // array.shape[2], axis=2), interpolation="nearest", aspect="auto")
    ax.set_axis_off()
    _, height, width = shape
    for i, j in cells.keys() - there.keys():
        left, top = j * (width + 1) - 0.5, i * (height + 1) - 0.5
        right, bottom = left + width, top + height
        ax.fill([left, right, right, left], [top, top, bottom, bottom], color=FAILED[0], linewidth=0)
        ax.plot([left, right, np.nan, left, right], [top, bottom, np.nan, bottom, top], color=FAILED[1], linewidth=0.6)
    ax.set(xlim=(-0.5, array.shape[1] - 0.5), ylim=(array.shape[0] - 0.5, -0.5))


def _head(figure: Figure, title: str, foot: tuple[float, float], size: tuple[int, int]) -> None:
    """Each line at its own place, so that those of all blocks stand level whatever letters they have."""
    for place, line in enumerate(reversed(title.split("\n"))):
        y = foot[1] + place * LINE * TITLE_PT * DOTS / 72
        half = inches_of(line, TITLE_PT) * DOTS / 2 + 1
        x = max(min(foot[0], size[0] - half), half)  # a title may be wider than an outer block
        figure.text(x / size[0], y / size[1], line, fontsize=TITLE_PT, ha="center", va="baseline")


def _name(ax: Axes, labels: Sequence[str], height: int) -> None:
    for row, label in enumerate(labels):
        middle = row * (height + 1) + (height - 1) / 2
        ax.annotate(label, (0, middle), (-PAD * 72 / DOTS / 2, 0), ("axes fraction", "data"), "offset points",
                    ha="right", va="center", fontsize=LABEL_PT)  # fmt: skip


def _shape(blocks: Sequence[Block]) -> tuple[int, int, int]:
    """[C, H, W] of the first image; of a page without any, what keeps its crosses square."""
    there = (image for block in blocks for row in block.rows for image in row if image is not None)
    channels, height, width = next((image.shape for image in there), (1, 16, 16))
    return channels, height, width


def _fit(count: int, image: int, block: tuple[int, int], room: int, across: int | None) -> _Layout:
    """Blocks a line, with whole dots a pixel, unless a line is wider than the page even so."""
    (width, height), least = block, math.ceil(LEAST / image)
    for wanted in (across,) if across else range(min(ACROSS, count), 0, -1):
        lines = math.ceil(count / wanted)
        beside = across or math.ceil(count / lines)
        scale = (room - (beside - 1) * BETWEEN[0]) / (beside * width)
        scale = math.floor(scale) if scale >= 1 else scale
        if scale >= least:
            break
    largest = min(HIGHEST // (lines * height), max(1, LARGEST // image))
    scale = max(min(scale, largest), min(least, scale))
    spare = (room - round(scale * width) * beside) // max(beside - 1, 1)
    between = min(spare, max(BETWEEN[1], TITLE - round(scale * width)))
    return _Layout(beside, round(scale * width), round(scale * height), between)


def _text_height(lines: int, points: float) -> int:
    return math.ceil(lines * LINE * points * DOTS / 72)
