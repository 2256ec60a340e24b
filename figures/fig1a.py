"""Figure 1a: untargeted PGD lowers E(x) of standard networks, of deeper ones less.

Each line is the mean of E(x*) over images after so many steps (step 0 is the random start); the band
covers the middle half of the images.
"""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from energylens.claims import CANNOT_TELL, FAILS, HOLDS, Verdict, above_zero
from energylens.plots import curves
from energylens.table import NATURAL, pairs

NEEDS = ("pgd_path",)
WIDTH = "half"
PAPER = {}  # the paper prints no numbers for this figure


def drops(pgd_path: pd.DataFrame) -> pd.DataFrame:
    """E(x) - E(x*) after the last step, one column a model, one row an image."""
    both = pairs(pgd_path)
    return both[both["step"] == both["step"].max()].pivot(index="sample", columns="model", values="delta_energy")


def _weakest(claim: str, differences: dict[str, np.ndarray], detail: str) -> Verdict:
    """Holds when every difference is above zero, fails when one is below; tells the smallest one."""
    verdicts = {
        name: above_zero(
            claim, lambda rows, values=values: float(values[rows].mean()), len(values), f"{detail}; {name}"
        )
        for name, values in differences.items()
    }
    smallest = min(verdicts.values(), key=lambda verdict: verdict.number)
    outcomes = {verdict.outcome for verdict in verdicts.values()}
    outcome = FAILS if FAILS in outcomes else HOLDS if outcomes == {HOLDS} else CANNOT_TELL
    return Verdict(claim, outcome, smallest.number, smallest.interval, smallest.n, smallest.detail)


def energy_falls_with_steps(pgd_path: pd.DataFrame) -> Verdict:
    """In every network the mean of E(x) - E(x*) after the last step is above zero."""
    fell = drops(pgd_path).dropna()
    detail = "mean E(x) - E(x*) in nats after the last step, bootstrap over images; the smallest"
    return _weakest("PGD lowers E(x*) of every network", {str(name): fell[name].to_numpy() for name in fell}, detail)


def deeper_networks_bend_less(pgd_path: pd.DataFrame) -> Verdict:
    """From each network to the next deeper one the drop shrinks; depth is the last number of a model's name."""
    claim = "the deeper a network, the less E(x*) falls"
    fell = drops(pgd_path).dropna()
    depth = {name: re.findall(r"\d+", str(name)) for name in fell}
    if len(depth) < 2 or not all(depth.values()):
        return Verdict(claim, CANNOT_TELL, detail="it takes two networks at least, with their depths in their names")
    order = sorted(depth, key=lambda name: int(depth[name][-1]))
    steps = {f"{shallow} to {deep}": (fell[shallow] - fell[deep]).to_numpy() for shallow, deep in pairwise(order)}
    detail = "drop of a network minus that of the next deeper one, nats, bootstrap over images; the smallest"
    return _weakest(claim, steps, detail)


CLAIMS = (energy_falls_with_steps, deeper_networks_bend_less)


def draw(pgd_path: pd.DataFrame) -> Figure:
    """One line a network."""
    width, _ = plt.rcParams["figure.figsize"]
    figure, ax = plt.subplots(figsize=(width, 0.8 * width))
    attacked = pgd_path[pgd_path["attack"] != NATURAL]
    models = attacked["model"].cat.categories
    for model, shade in zip(models, np.linspace(0.85, 0.1, len(models)), strict=True):
        rows = attacked[attacked["model"] == model]
        curves.mean_and_band(ax, rows, "step", "energy", str(model), plt.get_cmap("viridis")(shade))
    ax.set(xlabel="PGD step", ylabel=r"$E_\theta(x^*)$ [nats]")
    ax.legend()
    return figure
