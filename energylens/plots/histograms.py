"""Histograms of energies before and after an attack, in the same bins."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

NATURAL, ADVERSARIAL, CLEAR = "lightblue", "red", 0.6


def edges(values: pd.Series, images: int) -> np.ndarray:
    """Common bins of all values, NaN left out: 200 edges from 2,500 images on (the paper's), fewer below."""
    finite = values[np.isfinite(values)]
    return np.linspace(finite.min(), finite.max(), int(min(200, max(12, 4 * images**0.5))))


def pair(ax: Axes, natural: pd.Series, adversarial: pd.Series, moved: pd.Series, bins: np.ndarray) -> None:
    """Natural and attacked values on each other, not stacked; a black line for `moved`, where it is a part.

    Args:
        ax: where to draw.
        natural: values of the natural images.
        adversarial: values at the attacked ones.
        moved: those of `adversarial` that the attack did not give back as they were.
        bins: edges.
    """
    shared: Any = bins
    ax.hist(natural, bins=shared, color=NATURAL)
    ax.hist(adversarial, bins=shared, color=ADVERSARIAL, alpha=CLEAR)
    if len(moved) < len(adversarial):
        ax.hist(moved, bins=shared, histtype="step", color="black", linewidth=0.6)


def legend() -> list[Artist]:
    """Handles of the three kinds."""
    return [
        Patch(color=NATURAL, label="natural"),
        Patch(color=ADVERSARIAL, alpha=CLEAR, label="attacked, all images"),
        Line2D([], [], color="black", linewidth=0.6, label="without those that the attack gave back as they were"),
    ]
