"""Chains as they generate images: one frame a recorded step, the images above, their energies below.

The first chains of the table's first network and method, one column each: the image, the class wanted and p(y|x);
below E(x, y) and E(x) so far, with the mean E(x, y) of the class's training images dashed. All axes stay as they are.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from energylens import class_names, intensity
from energylens.errors import UserError
from energylens.plots import chains, style
from energylens.plots.wrapping import wrapped

NEEDS = ("chain_film",)
WIDTH = "full"
FORMATS = ("gif",)
ONE_NETWORK = True
CLAIMS = ()  # those of Figure 5e
PAPER = {}  # not in the paper
MOST = 10
"""chains that have room beside each other"""
ENERGIES = {"energy": (r"$E_\theta(x)$", style.MARGINAL, "-"), "joint_energy": (r"$E_\theta(x, y)$", "#d62728", "--")}
"""column -> legend, colour, line"""
LEVEL = {"color": "black", "linestyle": ":", "linewidth": 0.8}


class Column:
    """One chain: its image and its curves, drawn up to any of its recorded steps."""

    def __init__(self, picture: Axes, plot: Axes, rows: pd.DataFrame):
        self.rows, self.picture = rows, picture
        self.name = class_names.name(str(rows["data"].iloc[0]), int(rows["label"].iloc[0])).removeprefix("class ")
        self.image: AxesImage = picture.imshow(pixels(rows["image"].iloc[0]), cmap="gray", vmin=0, vmax=255)
        picture.set_axis_off()
        plot.axhline(float(rows["reference"].iloc[0]), **LEVEL)
        self.lines = {
            column: plot.plot([], [], color=colour, linestyle=line)[0] for column, (_, colour, line) in ENERGIES.items()
        }

    def show(self, step: int) -> None:
        """The state at a step, and the way there."""
        past = self.rows[self.rows["step"] <= step]
        now = past.iloc[-1]
        self.image.set_data(pixels(now["image"]))
        self.picture.set_title(f"{self.name}\np {now['confidence']:.2f}".replace("$", r"\$"), fontsize=6, pad=2)
        for column, line in self.lines.items():
            line.set_data(past["step"].to_numpy(), past[column].to_numpy())


def pixels(image: np.ndarray) -> np.ndarray:
    """[C, H, W] as pictures are drawn: [H, W], or [H, W, 3]."""
    return image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)


def chosen(chain_film: pd.DataFrame) -> pd.DataFrame:
    """The first finished chains of the first network and method, by step.

    Raises:
        UserError: no chain is finished, or not every state has its image.
    """
    rows = chains.one_setting(chain_film)
    chains.check_any("chain", rows)
    rows = intensity.states(rows)
    rows = rows[rows["sample"].isin(np.sort(rows["sample"].unique())[:MOST])]
    if rows["image"].isna().any():
        raise UserError("chain cannot be drawn: only the last images were kept; record them all (frames=True)")
    return rows


def draw(chain_film: pd.DataFrame) -> FuncAnimation:
    """One frame a recorded step; to be saved before it is thrown away, or matplotlib warns."""
    rows = chosen(chain_film)
    count = rows["sample"].nunique()
    width, _ = plt.rcParams["figure.figsize"]
    grid: dict[str, Any] = {"squeeze": False, "sharey": "row", "height_ratios": (1, 2)}
    figure, axes = plt.subplots(2, count, figsize=(width, 0.55 * width), **grid)
    columns = [Column(*places, one) for places, (_, one) in zip(axes.T, rows.groupby("sample"), strict=True)]
    _frame(axes[1], rows)
    _words(figure)
    title = _title(chain_film, count)
    steps = sorted(int(step) for step in rows["step"].unique())

    def show(step: int) -> list:
        figure.suptitle(f"{title}\nstep {step} of {steps[-1]}", fontsize="medium")
        for column in columns:
            column.show(step)
        return []

    show(steps[-1])
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, so that no frame moves against another
    return FuncAnimation(figure, show, frames=steps, interval=250)


def _title(chain_film: pd.DataFrame, count: int) -> str:
    rows = chains.one_setting(chain_film)
    first = f"{count} of " if count < intensity.number(intensity.finished(rows)) else ""
    text = f"{chains.shown(str(rows['model'].iloc[0]))}, {chains.about(rows, first)}"
    return wrapped(text, 0.95 * plt.rcParams["figure.figsize"][0], plt.rcParams["font.size"])


def _frame(axes: np.ndarray, rows: pd.DataFrame) -> None:
    """Limits that hold all curves and levels; numbers at the first chain alone."""
    values = rows[[*ENERGIES, "reference"]]
    low, high = values.min().min(), values.max().max()
    margin = 0.05 * max(high - low, 1e-6)
    first, last = rows["step"].min(), max(rows["step"].max(), rows["step"].min() + 1)
    for ax in axes:
        ax.set(xlim=(first, last), ylim=(low - margin, high + margin), xticks=(first, last))
        ax.tick_params(labelbottom=ax is axes[0], labelleft=ax is axes[0], length=2)
    for label, side in zip(axes[0].get_xticklabels(), ("left", "right"), strict=True):
        label.set_horizontalalignment(side)
    axes[0].locator_params(axis="y", nbins=5)
    axes[0].set(xlabel="step", ylabel="energy [nats]")


def _words(figure: Figure) -> None:
    """The legend of all columns."""
    lines = [Line2D([], [], color=colour, linestyle=line, label=text) for text, colour, line in ENERGIES.values()]
    lines.append(Line2D([], [], label=r"mean $E_\theta(x, y)$ of the class's training images", **LEVEL))
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines))
