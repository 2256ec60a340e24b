"""Drift as arrows in the plane of E(x) and E(x, y), from natural to adversarial images."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from energylens import attacks
from energylens.plots import methods

ARROWS = 300
"""in one panel"""
LONG = 0.98
"""drifts longer than this share of them all have the darkest colour"""
SHADES = ListedColormap(colormaps["magma_r"](np.linspace(0.2, 0.95, 256)), "drift")
"""light to dark; the palest fifth is left out, since it would be lost on white"""


def choose(rows: pd.DataFrame, most: int = ARROWS) -> pd.DataFrame:
    """The rows of at most so many images, drawn with seed 0, the same at every epoch."""
    samples = np.sort(rows["sample"].unique())
    if len(samples) > most:
        samples = np.random.default_rng(0).choice(samples, most, replace=False)
    return rows[rows["sample"].isin(samples)]


def shades(rows: pd.DataFrame) -> Normalize:
    """Colours of lengths, from 0 to that which 2 % exceed."""
    return Normalize(0, max(float(rows["length"].quantile(LONG)), 1e-6))


def draw(ax: Axes, rows: pd.DataFrame, colours: Normalize) -> Quiver:
    """One arrow an image, from (E(x), E(x, y)) to (E(x*), E(x*, y)), in the units of the axes.

    Args:
        ax: where to draw.
        rows: as `drift.of_run` gives them, of one epoch.
        colours: of their lengths.
    """
    rows = rows.sort_values("length")  # the longest, which are the darkest, on top
    return ax.quiver(
        rows["energy_natural"],
        rows["joint_energy_natural"],
        rows["energy"] - rows["energy_natural"],
        rows["joint_energy"] - rows["joint_energy_natural"],
        rows["length"],
        cmap=SHADES,
        norm=colours,
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.004,
        zorder=2,
    )


def frame(ax: Axes, rows: pd.DataFrame) -> None:
    """Axes that hold both ends of every arrow, their names, and the line E(x, y) = E(x), where the loss is zero."""
    for name, (natural, adversarial) in {
        "x": (rows["energy_natural"], rows["energy"]),
        "y": (rows["joint_energy_natural"], rows["joint_energy"]),
    }.items():
        low, high = min(natural.min(), adversarial.min()), max(natural.max(), adversarial.max())
        margin = 0.04 * max(high - low, 1e-6)
        ax.set(**{f"{name}lim": (low - margin, high + margin)})
    ax.axline((0, 0), slope=1, color="black", linestyle="--", linewidth=0.7, zorder=1)
    ax.locator_params(nbins=5)
    ax.set(xlabel=r"$E_\theta(x)$ [nats]", ylabel=r"$E_\theta(x, y)$ [nats]")


def bar(ax: Axes, colours: Normalize, where: Axes | list[Axes]) -> None:
    """The colours of lengths, from less to more."""
    mapped = ScalarMappable(colours, SHADES)
    drawn = ax.figure.colorbar(mapped, ax=where, extend="max", aspect=30, pad=0.02, fraction=0.06)
    drawn.set_label("drift [nats], less to more")
    drawn.outline.set_linewidth(0.4)


def panel(rows: pd.DataFrame) -> Figure:
    """A figure of one epoch of one run, with a title that says what was measured."""
    width, _ = plt.rcParams["figure.figsize"]
    figure, ax = plt.subplots(figsize=(width, 0.95 * width))
    shown, colours = choose(rows), shades(rows)
    frame(ax, shown)
    draw(ax, shown, colours)
    bar(ax, colours, ax)
    ax.set_title(f"{title(rows)}, epoch {rows['epoch'].iloc[0]}\n{images(rows, shown)}")
    return figure


def title(rows: pd.DataFrame) -> str:
    """The method, and the attack that it was trained with."""
    first = rows.iloc[0]
    return f"{methods.label(first['objective'])} under {attacks.title(str(first['attack']))}"


def images(rows: pd.DataFrame, shown: pd.DataFrame) -> str:
    """Which images were measured, and how many of them have an arrow."""
    first, drawn, all_of_them = rows.iloc[0], shown["sample"].nunique(), rows["sample"].nunique()
    of = f"{drawn:,} of {all_of_them:,}" if drawn < all_of_them else f"{drawn:,}"
    return f"{of} images of {first['data']}:{first['split']}".replace("$", r"\$")
