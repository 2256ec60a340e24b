"""Curves over steps or epochs: the mean over images, and the band of their middle half."""

import pandas as pd
from matplotlib.axes import Axes


def mean_and_band(ax: Axes, rows: pd.DataFrame, over: str, values: str, label: str, colour: str) -> None:
    """One line and one band.

    Args:
        ax: where to draw.
        rows: one per image and step.
        over: column of the horizontal axis.
        values: column of the vertical axis; NaN is left out.
        label: legend text.
        colour: of line and band.
    """
    groups = rows.dropna(subset=[values]).groupby(over)[values]
    mean, low, high = groups.mean(), groups.quantile(0.25), groups.quantile(0.75)
    ax.fill_between(mean.index, low, high, color=colour, alpha=0.2, linewidth=0)
    ax.plot(mean.index, mean, color=colour, label=label.replace("$", r"\$"))
