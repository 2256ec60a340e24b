"""How intense generated images become, network by network: saturated pixels, energy and confidence, step by step.

A row a start, by the first method with momentum that the table has from it. Mean over a network's chains; bands hold
their middle half. Left the share of pixels at exactly 0 or 1, dashed that of real images; in the middle E(x, y) minus
the mean E(x, y) of the class's training images, 0 where a chain is as low as they are; right p(y|x). The legend says
after how many steps the median chain gets to 0, in each row. The paper speaks of intensity without measuring it:
measures and rules are ours.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from energylens import each_network
from energylens import intensity as measured
from energylens.claims import CANNOT_TELL, Claim, Verdict, above_zero
from energylens.effects import FEWEST
from energylens.errors import many
from energylens.plots import chains, curves
from energylens.plots.wrapping import wrapped

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


def _sat_and_trades(intensity: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The chains of both, by number, with momentum; what they were made with and how many became NaN, in words."""
    method, names = measured.driven(intensity), [measured.network(intensity, name) for name in ("sat", "trades")]
    rows = intensity[(intensity["method"] == method) & intensity["model"].isin(names)]
    each = measured.of_chains(rows).droplevel("method")
    sat, trades = (_at(each, "model", name) for name in names)
    return sat, trades, _with_lost(method, rows)


def sat_saturates_sooner(intensity: pd.DataFrame) -> Verdict:
    """Share of pairs of chains in which SAT's saturates first minus share in which TRADES's does.

    A chain saturates at the first recorded step at which its share of saturated pixels is at least half that of
    training images, or never; two at one step, or never, count as neither. With momentum, chains paired by their
    number. Holds (fails) when the whole 95 % bootstrap interval over pairs lies above (below) 0; takes 20 pairs. Cannot
    tell where no chain of either network ever saturates.
    """
    claim = "SAT saturates sooner than TRADES"
    lacking = measured.missing(intensity, "sat", "trades")
    if lacking:
        return Verdict(claim, CANNOT_TELL, detail=lacking)
    sat, trades, made_with = _sat_and_trades(intensity)
    both = pd.concat([sat["sated"], trades["sated"]], axis=1, join="inner", keys=["sat", "trades"])
    if len(both) and np.isinf(both).all(axis=None):
        detail = f"no chain of either gets to half the training images' share of saturated pixels; {made_with}"
        return Verdict(claim, CANNOT_TELL, detail=detail)
    first, second = both["sat"] < both["trades"], both["sat"] > both["trades"]
    detail = (
        f"share of pairs in which SAT gets to half the training images' share of saturated pixels first "
        f"({first.mean():.2f}) minus that in which TRADES does ({second.mean():.2f}), bootstrap over pairs; median "
        f"steps {_median(both['sat'])} and {_median(both['trades'])}; {made_with}"
    )
    return _positive(claim, first.astype(float) - second.astype(float), detail)


def sat_saturates_more(intensity: pd.DataFrame) -> Verdict:
    """Mean over the recorded steps of a chain's share of saturated pixels minus that at its start, SAT minus TRADES.

    With momentum, chains paired by their number. Holds (fails) when the whole 95 % bootstrap interval over pairs of the
    mean difference lies above (below) zero; takes 20 pairs.
    """
    claim = "SAT saturates more than TRADES"
    lacking = measured.missing(intensity, "sat", "trades")
    if lacking:
        return Verdict(claim, CANNOT_TELL, detail=lacking)
    sat, trades, made_with = _sat_and_trades(intensity)
    detail = (
        "mean share above that at the start, SAT minus TRADES, bootstrap over chains; shares of "
        f"{sat['saturated'].mean():.3f} and {trades['saturated'].mean():.3f} at the end; {made_with}"
    )
    return _positive(claim, sat["saturation"] - trades["saturation"], detail)


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
        what = "how far above its class's mean E(x, y) a chain ends, plain minus momentum, nats, bootstrap over chains"
        more = f"E(x, y) itself: {_by_network(lower)}; median steps to that mean {steps}; {rival} against {method}"
        networks = {str(name): _of_network(differences, name) for name in rows["model"].unique()}
        return each_network.above_zero(text, networks, what, _with_lost(more, rows))

    claim.__doc__ = f"""How far above its class's mean a chain's E(x, y) ends, max(0, E - mean), plain minus momentum.

    Plain SGLD with {reading}; chains paired by network and number. Nats of different networks do not compare, so each
    network decides for itself. Holds when the whole 95 % bootstrap interval over pairs of the mean difference lies
    above zero for every network; fails when it lies below for one, widened for the number of networks (Bonferroni);
    takes 20 pairs of each. Where all chains of a network get to the mean with both, it cannot tell.
    """
    return claim


def _of_network(differences: pd.Series, name: str) -> np.ndarray:
    return differences[differences.index.get_level_values("model") == name].dropna().to_numpy(float)


def _by_network(differences: pd.Series) -> str:
    means = differences.groupby("model", observed=True).mean()
    return ", ".join(f"{name} {value:+.3f}" for name, value in means.items())


CLAIMS = (
    sat_saturates_sooner,
    sat_saturates_more,
    _momentum_wins(False, "the same step_size"),
    _momentum_wins(True, "step_size / (1 - momentum)"),
)


def draw(intensity: pd.DataFrame) -> Figure:
    """Three panels a start, one curve a network.

    Raises:
        UserError: no chain is finished.
    """
    methods = measured.driven_by_start(intensity)
    rows = intensity[intensity["method"].isin(methods)]
    chains.check_any("intensity", rows)
    states = measured.states(rows)
    methods = [method for method in methods if (states["method"] == method).any()]
    colours = chains.colours(str(name) for name in states["model"].unique())
    width, _ = plt.rcParams["figure.figsize"]
    size = (width, (0.24 + 0.27 * len(methods)) * width)
    figure, axes = plt.subplots(len(methods), 3, figsize=size, squeeze=False, sharex="col", sharey="col")
    for line, method in zip(axes, methods, strict=True):
        _panels(line, states[states["method"] == method], colours)
        line[0].set_ylabel(wrapped(method, 0.24 * width, 5.5).replace("$", r"\$"), fontsize=5.5)
    for ax, label in zip(axes[0], PANELS.values(), strict=True):
        ax.set_title(label)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    _legend(figure, rows, colours, methods)
    figure.suptitle(wrapped(_title(rows, len(colours)), 0.95 * width, plt.rcParams["font.size"]), fontsize="medium")
    return figure


def _title(rows: pd.DataFrame, networks: int) -> str:
    drawn = many(measured.number(measured.finished(rows)), "chain")
    said = [f"{many(networks, 'network')}, {rows['data'].iloc[0]}: {drawn}", measured.lost(rows)]
    return "\n".join(line for line in said if line).replace("$", r"\$")


def _panels(axes: np.ndarray, states: pd.DataFrame, colours: dict[str, str]) -> None:
    """One row, with the levels of training images, and axes on which all networks can be read."""
    for ax, column in zip(axes, PANELS, strict=True):
        for model, colour in colours.items():
            if (states["model"] == model).any():
                curves.mean_and_band(ax, states[states["model"] == model], "step", column, model, colour)
    for ax, level in zip(axes, (float(states["reference_saturated"].mean()), 0), strict=False):
        ax.axhline(level, **LEVEL)
    axes[1].set_yscale("symlog", linthresh=1)
    axes[1].yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}".replace("-", "−")))
    axes[0].set_ylim(bottom=0)
    axes[2].set_ylim(0, 1.02)


def _legend(figure: Figure, rows: pd.DataFrame, colours: dict[str, str], methods: list[str]) -> None:
    """The networks, and the median of the steps that their chains take to the mean E(x, y) of training images."""
    each = measured.of_chains(rows)

    def label(model: str) -> str:
        both = [_at(_at(each, "method", method), "model", model) for method in methods]
        steps = [_median(of_one["reached"]) if len(of_one) else "\N{EN DASH}" for of_one in both]
        return wrapped(f"{chains.shown(model)}: {' / '.join(steps)}", 0.22 * figure.get_figwidth(), 6)

    handles = [Line2D([], [], color=colour, label=label(model)) for model, colour in colours.items()]
    handles.append(Line2D([], [], label="training images", **LEVEL))
    title = "median steps to the training mean of $E_\\theta(x, y)$" + (" (above / below)" if len(methods) == 2 else "")
    figure.legend(handles=handles, loc="outside lower center", ncols=3, title=title, title_fontsize=6)
