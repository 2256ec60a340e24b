"""One measure of images against another, with their correlations."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from energylens import attacks
from energylens.claims import spearman
from energylens.correlations import pearson

COLOUR = "#7b4fa3"


def panel(rows: pd.DataFrame, across: str, up: str) -> Figure:
    """A point an image, one column against another; images without both are left out.

    Args:
        rows: of one network under one attack.
        across: column of the horizontal axis.
        up: column of the vertical axis.
    """
    width, _ = plt.rcParams["figure.figsize"]
    figure, ax = plt.subplots(figsize=(width, 0.95 * width))
    shown = rows.dropna(subset=[across, up])
    many = len(shown) > 1000
    ax.scatter(shown[across], shown[up], s=2 if many else 5, alpha=0.3 if many else 0.5, color=COLOUR, linewidths=0)
    a, b = shown[across].to_numpy(float), shown[up].to_numpy(float)
    first = rows.iloc[0]
    what = f"{first['model']} under {attacks.title(str(first['attack']))}".replace("$", r"\$")
    images = f"{len(shown):,} images of {first['data']}:{first['split']}".replace("$", r"\$")
    numbers = f"Pearson {pearson(a, b):.2f}, Spearman {spearman(a, b):.2f}".replace("-", "−")
    ax.set_title(f"{what}\n{images}\n{numbers}")
    return figure
