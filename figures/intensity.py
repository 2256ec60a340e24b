"""How intense generated images become, network by network: saturated pixels, energy and confidence, step by step.

Mean over a network's chains with momentum (the first such method of the table); bands hold their middle half. Left the
share of pixels at exactly 0 or 1, dashed that of real images; in the middle E(x, y) minus the mean E(x, y) of the
class's training images, 0 where a chain is as low as they are; right p(y|x). The legend says after how many steps the
median chain gets to 0. The paper speaks of intensity without measuring it: measures and rules are ours.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from energylens import intensity as measured
from energylens.claims import CANNOT_TELL, Claim, Verdict, above_zero
from energylens.effects import FEWEST
from energylens.errors import many
from energylens.plots import chains, curves

NEEDS = ("intensity",)
WIDTH = "full"
PAPER = {}  # the paper prints no numbers
PANELS = {
    "saturated": "share of saturated pixels",
    "above": r"$E_\theta(x, y)\,-$ training mean [nats]",
    "confidence": "$p(y|x)$",
}
LEVEL: dict[str, Any] = {"color": "black", "linestyle": "--"}


def _positive(claim: str, differences: pd.Series, detail: str) -> Verdict:
    """Is the mean of paired differences above zero?"""
    values = differences.dropna().to_numpy(float)
    if len(values) < FEWEST:
        return Verdict(claim, CANNOT_TELL, detail=f"{len(values)} pairs of chains; {FEWEST} are the fewest; {detail}")
    return above_zero(claim, lambda rows: float(values[rows].mean()), len(values), detail)


def _median(steps: pd.Series) -> str:
    """`40`, or `never` where fewer than half of the chains get there."""
    median = measured.median_steps(steps)
    return f"{median:g}" if math.isfinite(median) else "never"


def sat_saturates_sooner(intensity: pd.DataFrame) -> Verdict:
    """Mean over the recorded steps of a chain's share of saturated pixels minus that at its start, SAT minus TRADES.

    With momentum, chains paired by their number. The sooner the pixels saturate, and the more of them, the larger the
    mean. Holds (fails) when the whole 95 % bootstrap interval over pairs of the mean difference lies above (below)
    zero; takes 20 pairs.
    """
    claim = "SAT saturates sooner than TRADES"
    lacking = measured.missing(intensity, "sat", "trades")
    if lacking:
        return Verdict(claim, CANNOT_TELL, detail=lacking)
    method, names = measured.driven(intensity), [measured.network(intensity, name) for name in ("sat", "trades")]
    rows = intensity[(intensity["method"] == method) & intensity["model"].isin(names)]
    each = measured.of_chains(rows).droplevel("method")
    sat, trades = (_at(each, "model", name) for name in names)
    detail = (
        "mean share above that at the start, SAT minus TRADES, bootstrap over chains; half of the rise after a median "
        f"of {_median(sat['halfway'])} and {_median(trades['halfway'])} steps, shares of {sat['saturated'].mean():.3f} "
        f"and {trades['saturated'].mean():.3f} at the end; {method}"
    )
    return _positive(claim, sat["saturation"] - trades["saturation"], _with_lost(detail, rows))


def _at(each: pd.DataFrame, level: str, name: str | None) -> pd.DataFrame:
    """The chains of one network or method, without that level; empty where all of them became NaN."""
    return each[each.index.get_level_values(level) == name].droplevel(level)


def _with_lost(detail: str, rows: pd.DataFrame) -> str:
    gone = measured.lost(rows)
    return f"{detail}; {gone}" if gone else detail


def _momentum_wins(compensated: bool, reading: str) -> Claim:
    def claim(intensity: pd.DataFrame) -> Verdict:
        text = f"momentum beats plain SGLD at equal steps ({reading})"
        found = measured.rivals(intensity, compensated)
        if found is None:
            lacking = f"the table has no plain method like {measured.driven(intensity)} at {reading}"
            return Verdict(text, CANNOT_TELL, detail=lacking)
        method, rival = found
        rows = intensity[intensity["method"].isin([method, rival])]
        each = measured.of_chains(rows)
        ends = each["above"].unstack("method").reindex(columns=[method, rival])
        differences, lower = (one[rival] - one[method] for one in (ends.clip(lower=0), ends))
        steps = " and ".join(_median(_at(each, "method", name)["reached"]) for name in (rival, method))
        detail = (
            "how far above its class's mean E(x, y) a chain ends, plain minus momentum, nats, bootstrap over chains: "
            f"{_by_network(differences)}; E(x, y) itself: {_by_network(lower)}; median steps to that mean {steps}; "
            f"{rival} against {method}"
        )
        return _positive(text, differences.groupby("sample").mean(), _with_lost(detail, rows))

    claim.__doc__ = f"""How far above its class's mean a chain's E(x, y) ends, max(0, E - mean), plain minus momentum.

    Plain SGLD with {reading}; chains paired by network and number, then the mean over networks of each number. Holds
    (fails) when the whole 95 % bootstrap interval over numbers of the mean difference lies above (below) zero; takes
    20 numbers. Where all chains get to the mean with both, it cannot tell.
    """
    return claim


def _by_network(differences: pd.Series) -> str:
    means = differences.groupby("model", observed=True).mean()
    return ", ".join(f"{name} {value:+.3f}" for name, value in means.items())


CLAIMS = (
    sat_saturates_sooner,
    _momentum_wins(False, "the same step_size"),
    _momentum_wins(True, "step_size / (1 - momentum)"),
)


def draw(intensity: pd.DataFrame) -> Figure:
    """Three panels, one curve a network.

    Raises:
        UserError: no chain is finished.
    """
    rows = intensity[intensity["method"] == measured.driven(intensity)]
    chains.check_any("intensity", rows)
    states = measured.states(rows)
    colours = chains.colours(str(name) for name in states["model"].unique())
    width, _ = plt.rcParams["figure.figsize"]
    figure, axes = plt.subplots(1, 3, figsize=(width, 0.5 * width))
    for ax, (column, label) in zip(axes, PANELS.items(), strict=True):
        for model, colour in colours.items():
            curves.mean_and_band(ax, states[states["model"] == model], "step", column, model, colour)
        ax.set(xlabel="step", title=label)
    _levels(axes, float(states["reference_saturated"].mean()))
    _legend(figure, rows, colours)
    figure.suptitle(f"{many(len(colours), 'network')}, {chains.about(rows)}", fontsize="medium")
    return figure


def _levels(axes: np.ndarray, saturated: float) -> None:
    """Those of training images, and axes on which all networks can be read."""
    for ax, level in zip(axes, (saturated, 0), strict=False):
        ax.axhline(level, **LEVEL)
    axes[1].set_yscale("symlog", linthresh=1)
    axes[1].yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}".replace("-", "−")))
    axes[0].set_ylim(bottom=0)
    axes[2].set_ylim(0, 1.02)


def _legend(figure: Figure, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    """The networks, and the median of the steps that their chains take to the mean E(x, y) of training images."""
    reached = measured.of_chains(rows)["reached"].groupby("model", observed=True).agg(_median)
    handles = [
        Line2D([], [], color=colour, label=f"{chains.shown(model)}: {reached[model]}")
        for model, colour in colours.items()
    ]
    handles.append(Line2D([], [], label="training images", **LEVEL))
    title = "median steps to the training mean of $E_\\theta(x, y)$"
    figure.legend(handles=handles, loc="outside lower center", ncols=3, title=title, title_fontsize=6)
