"""Figure 4: how far PGD moves the energies of robust classifiers, model by model.

Left halves show E(x) - E(x*), right halves E(x, y) - E(x*, y), natural minus adversarial: below zero the
attack raised the energy. The axis is symlog (linear between -1 and 1), and densities are those of the
axis as drawn, so equal areas are equal shares of images. Bars span the middle half, ticks mark medians.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from energylens import attacks
from energylens.claims import CANNOT_TELL, Verdict, above_zero, falls_with
from energylens.plots import style, violins
from energylens.table import pairs

NEEDS = ("delta_energy",)
WIDTH = "full"
PAPER = {  # AutoAttack accuracy in percent printed on the figure (RobustBench's), extra training data
    "robustbench:cifar10/Linf/Engstrom2019Robustness": (49.25, ""),
    "robustbench:cifar10/Linf/Zhang2020Geometry": (59.64, "real"),
    "robustbench:cifar10/Linf/Zhang2019Theoretically": (53.08, ""),
    "robustbench:cifar10/Linf/Wang2020Improving": (56.29, "real"),
    "robustbench:cifar10/Linf/Wu2020Adversarial": (56.17, ""),
    "robustbench:cifar10/Linf/Cui2023Decoupled_WRN-34-10": (57.09, ""),
    "robustbench:cifar10/Linf/Cui2023Decoupled_WRN-28-10": (67.73, "generated"),
    "robustbench:cifar10/Linf/Wang2023Better_WRN-70-16": (70.69, "generated"),
}


def robust_accuracy(delta_energy: pd.DataFrame) -> pd.Series:
    """Share of images still classified right, whatever the status, per model."""
    rows = delta_energy[delta_energy["attack"] != "natural"]
    return (rows["pred"] == rows["label"]).groupby(rows["model"], observed=True).mean()


def _against_accuracy(claim: str, delta_energy: pd.DataFrame, measure) -> Verdict:
    drift = pairs(delta_energy).groupby("model", observed=True)["delta_energy"].apply(measure)
    return falls_with(claim, robust_accuracy(delta_energy), drift)


def mean_drift_shrinks(delta_energy: pd.DataFrame) -> Verdict:
    """|mean Delta E(x)| against robust accuracy."""
    claim = "the more robust a model, the smaller its |mean Delta E(x)|"
    return _against_accuracy(claim, delta_energy, lambda delta: abs(delta.mean()))


def drift_per_image_shrinks(delta_energy: pd.DataFrame) -> Verdict:
    """Mean |Delta E(x)| against robust accuracy."""
    claim = "the more robust a model, the smaller its mean |Delta E(x)|"
    return _against_accuracy(claim, delta_energy, lambda delta: delta.abs().mean())


def spread_shrinks(delta_energy: pd.DataFrame) -> Verdict:
    """Standard deviation of Delta E(x) over images against robust accuracy."""
    claim = "the more robust a model, the smaller the spread (std) of its Delta E(x)"
    return _against_accuracy(claim, delta_energy, lambda delta: delta.std())


def trades_below_sat(delta_energy: pd.DataFrame) -> Verdict:
    """|mean Delta E(x)| of SAT minus that of TRADES, on the same images."""
    claim = "TRADES has a smaller |mean Delta E(x)| than SAT"
    both = pairs(delta_energy).pivot(index="sample", columns="model", values="delta_energy")
    named = [[name for name in both.columns if str(name).upper() == key] for key in ("SAT", "TRADES")]
    if [len(names) for names in named] != [1, 1]:
        return Verdict(claim, CANNOT_TELL, detail="the table has not one model named SAT and one named TRADES")
    sat, trades = (both[names[0]].to_numpy(float) for names in named)
    usable = np.isfinite(sat + trades)
    sat, trades = sat[usable], trades[usable]
    detail = "|mean Delta E| of SAT minus that of TRADES in nats, bootstrap over images"
    return above_zero(claim, lambda rows: abs(sat[rows].mean()) - abs(trades[rows].mean()), len(sat), detail)


CLAIMS = (mean_drift_shrinks, drift_per_image_shrinks, spread_shrinks, trades_below_sat)


def draw(delta_energy: pd.DataFrame) -> Figure:
    """Half violins per model; numbers on top are robust accuracies in percent, and say which."""
    both = pairs(delta_energy)
    groups = {
        str(model): (rows["delta_energy"], rows["delta_joint_energy"])
        for model, rows in both.groupby("model", observed=True)
    }
    figure, ax = plt.subplots()
    ax.set_yscale("symlog", linthresh=1)
    labels = r"$E_\theta(x) - E_\theta(x^*)$", r"$E_\theta(x, y) - E_\theta(x^*, y)$"
    violins.halves(ax, groups, (style.MARGINAL, style.JOINT), labels)
    for level in (-1, 0, 1):
        ax.axhline(level, color="grey", linestyle="--", linewidth=0.5, zorder=0)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:+g}".replace("-", "−") if value else "0"))
    ax.set_ylabel(r"$\Delta E_\theta$ [nats], natural $-$ adversarial")
    _numbers(ax, delta_energy, both)
    return figure


def _numbers(ax, delta_energy: pd.DataFrame, both: pd.DataFrame) -> None:
    """Robust accuracy on top: of this table, and the published one where every model has it."""
    shares = robust_accuracy(delta_energy)
    rows = {f"accuracy [%] under {_setting(both)}": [f"{100 * share:.1f}" for share in shares]}
    published = _published(both)
    if published:
        rows["accuracy [%] under AutoAttack, published; * real, + generated images added in training"] = published
    height = 1.02
    for what, numbers in rows.items():
        for place, number in enumerate(numbers):
            ax.text(place, height, number, transform=ax.get_xaxis_transform(), ha="center", fontsize=6)
        ax.text(0.5, height + 0.065, what, transform=ax.transAxes, ha="center", fontsize=5)
        height += 0.13


def _setting(both: pd.DataFrame) -> str:
    """Attack, ball, images and their number, as measured in this table."""
    first = both.iloc[0]
    eps = style.radius(first["eps"])
    images = f"{both['sample'].nunique()} images of {first['data']}:{first['split']}"
    return f"{attacks.title(str(first['attack']))} ({first['norm']}, eps {eps}), this table, {images}"


def _published(both: pd.DataFrame) -> list[str]:
    """RobustBench's AutoAttack accuracies, if all models have one and this is their setting and data."""
    references = both.groupby("model", observed=True)["model_ref"].first()
    setting = set(both[["data", "split", "norm", "eps"]].itertuples(index=False, name=None))
    if not set(references) <= PAPER.keys() or setting != {("cifar10", "test", "linf", 8 / 255)}:
        return []
    marks = {"": "", "real": "*", "generated": "+"}
    return [f"{PAPER[name][0]:.2f}{marks[PAPER[name][1]]}" for name in references]
