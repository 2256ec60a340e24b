"""The drift of training images over the epochs, SAT beside TRADES: Figures 1b-d as an animation.

Arrows as there, one panel a method, one frame an epoch; the axes and the colours are the same in all panels and
frames. A run that was not measured at an epoch shows its latest one before.
"""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation

from energylens import drift
from energylens.plots import arrows

NEEDS = ("drifts",)
WIDTH = "full"
FORMATS = ("gif",)
CLAIMS = ()  # those of Figures 1b-d
PAPER = {}  # an animation of the paper's repository, without numbers


def draw(drifts: pd.DataFrame) -> FuncAnimation:
    """One frame an epoch; to be saved before it is thrown away, or matplotlib warns."""
    runs = {str(name): drift.of_run(rows) for name, rows in drifts.groupby("objective", observed=True, sort=False)}
    rows = pd.concat(runs.values())
    shown = {name: arrows.choose(run) for name, run in runs.items()}
    colours = arrows.shades(rows)
    figure, axes = plt.subplots(1, len(runs), sharex=True, sharey=True, squeeze=False)
    for ax, (name, run) in zip(axes.flat, runs.items(), strict=True):
        arrows.frame(ax, pd.concat(shown.values()))
        ax.label_outer()
        ax.set_title(f"{arrows.title(run)}\n{arrows.images(run, shown[name])}")
    arrows.bar(axes.flat[0], colours, list(axes.flat))
    counter = figure.suptitle("epoch 0")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, so that no frame moves against another
    drawn = []

    def show(epoch: int) -> list:
        counter.set_text(f"epoch {epoch}")
        while drawn:
            drawn.pop().remove()
        for ax, run in zip(axes.flat, shown.values(), strict=True):
            latest = run.loc[run["epoch"] <= epoch, "epoch"].max()
            drawn.append(arrows.draw(ax, run[run["epoch"] == latest], colours))
        return drawn

    return FuncAnimation(figure, show, frames=sorted(int(epoch) for epoch in rows["epoch"].unique()), interval=250)
