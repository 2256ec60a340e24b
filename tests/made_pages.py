"""Chains whose last images are known, and what stands where on the pages drawn from them."""

import numpy as np
from made_chains import chain
from matplotlib import rc_context

from energylens.plots import style

SHAPE = (1, 4, 4)


def flat(level: int) -> np.ndarray:
    return np.full(SHAPE, level, np.uint8)


def board(height: int) -> np.ndarray:
    """A checkerboard of 0 and `height`: each pixel differs from its neighbours by it."""
    return (height * (np.indices(SHAPE).sum(0) % 2)).astype(np.uint8)


def made(model: str, method: str, sample: int, label: int, image, joint: float = -9.0, classes: int = 10, **columns):
    """A chain of two recorded states; E(x, y) is `joint` at the last."""
    return chain(
        model, method, sample, label, lambda step: [-joint if k == label else 0.0 for k in range(classes)],
        steps=[0, 500], image=[None, image], **columns,
    )  # fmt: skip


def drawn(module, **frames):
    with rc_context(style.rc(module.WIDTH)):
        shown = module.draw(**frames)
        shown.draw_without_rendering()
    return shown


def cell(ax, row: int, column: int, size: int = 4) -> np.ndarray:
    """The pixels of a cell, of one colour."""
    top, left = row * (size + 1), column * (size + 1)
    array = np.asarray(ax.images[0].get_array())[top : top + size, left : left + size]
    assert (array == array[:, :, :1]).all()
    return array[:, :, 0]


def labels(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def note(figure) -> str:
    return figure.texts[-1].get_text().replace("\n", " ")
