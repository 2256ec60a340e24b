"""Half violins: two distributions back to back, one pair a category."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cbook import violin_stats
from matplotlib.mlab import GaussianKDE
from matplotlib.patches import Patch

HALF_WIDTH = 0.42
CHARACTERS_ABREAST = 60
"""of names that fit side by side under a full-width figure"""


def halves(
    ax: Axes,
    groups: dict[str, tuple[pd.Series, pd.Series]],
    colours: tuple[str, str],
    labels: tuple[str, str],
) -> None:
    """Draw one pair of half violins per group, on the vertical axis' own scale.

    The density is estimated in the coordinates that are drawn (after a symlog axis' transform), so
    equal areas are equal shares of images. Medians are marked by a bar, the middle half by a box.

    Args:
        ax: its y scale is set already.
        groups: label of a group -> values of the left and of the right half; NaN is left out.
        colours: of the left and the right halves.
        labels: legend texts of the halves.
    """
    axis = ax.yaxis.get_transform()
    for place, pair in enumerate(groups.values()):
        for values, side, colour in zip(pair, (-1, 1), colours, strict=True):
            _half(ax, values.dropna().to_numpy(float), place, side, colour, axis)
    ax.legend(handles=[Patch(color=colour, label=label) for colour, label in zip(colours, labels, strict=True)])
    crowded = sum(map(len, groups)) > CHARACTERS_ABREAST
    slant: dict[str, Any] = {"rotation": 20, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    names = [name.replace("$", r"\$") for name in groups]  # no mathematics in a user's names
    ax.set_xticks(range(len(groups)), names, **slant)
    ax.set_xlim(-0.6, len(groups) - 0.4)


def _half(ax: Axes, values: np.ndarray, place: int, side: int, colour: str, axis) -> None:
    if len(values) == 0:
        return
    drawn = axis.transform(values)
    if np.ptp(drawn) > 0:
        stats = violin_stats(drawn, lambda data, at: GaussianKDE(data).evaluate(at), points=200)[0]
        width = HALF_WIDTH * stats["vals"] / stats["vals"].max()
        heights = axis.inverted().transform(stats["coords"])
        ax.fill_betweenx(heights, place, place + side * width, color=colour, linewidth=0)
    low, middle, high = axis.inverted().transform(np.quantile(drawn, [0.25, 0.5, 0.75]))
    bar = place + side * 0.04
    ax.plot([bar, bar], [low, high], color="black", linewidth=1.6, alpha=0.6, solid_capstyle="butt")
    ax.plot([place, place + side * 0.14], [middle, middle], color="black", linewidth=0.8)
