"""Figure 5e: the energies of all classes along the chains that generate one of them.

E(x, k) = -f(x)[k] after each step, mean over the chains of the first class y of the table; the band covers the middle
half of its chains. The dashed level is the mean E(x, y) of the training images of class y. The claims are about the
chains of all classes, of the first network and method of the table.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from energylens import class_names, intensity
from energylens.claims import CANNOT_TELL, Verdict, above_zero, bootstrap
from energylens.effects import FEWEST, decided
from energylens.plots import chains, curves

NEEDS = ("target_chains",)
WIDTH = "full"
ONE_NETWORK = True
PAPER = {}  # the paper prints no numbers for this figure
NEAR = 0.2
"""a target has come to its class's mean when it ends within this share of its distance at the start"""
TARGET, OTHERS = "#d62728", "#9a9a9a"
COLOURS = [colour for colour in map(to_hex, colormaps["tab10"].colors) if colour != TARGET]
"""of the other classes, if there are so few"""


@dataclass(frozen=True)
class Moves:
    """Energies of N chains at their first and last recorded step, [N, 2] each, nats."""

    label: np.ndarray
    """[N] place of the class among those of the table"""
    target: np.ndarray
    """E(x, y)"""
    above: np.ndarray
    """E(x, y) minus the mean of the class's training images"""
    others: np.ndarray
    """mean of E(x, k) over the classes k other than y"""


def energies(rows: pd.DataFrame) -> np.ndarray:
    """[rows, K] E(x, k) of all classes."""
    return -np.array(rows["logits"].tolist(), float)


def moves(target_chains: pd.DataFrame) -> Moves:
    """Of the finished chains of the first network and method."""
    rows = intensity.states(chains.one_setting(target_chains)).sort_values(["sample", "step"])
    groups = rows.groupby("sample")
    ends = [groups.head(1), groups.tail(1)]
    target, above = (np.column_stack([end[name] for end in ends]) for name in ("joint_energy", "above"))
    others = np.column_stack([_mean_of_others(end) for end in ends])
    return Moves(pd.factorize(ends[0]["label"])[0], target, above, others)


def _mean_of_others(rows: pd.DataFrame) -> np.ndarray:
    if rows.empty:
        return np.zeros(0)
    every = energies(rows)
    return (every.sum(1) - rows["joint_energy"].to_numpy()) / (every.shape[1] - 1)


def _short(claim: str, target_chains: pd.DataFrame, n: int) -> Verdict | None:
    if n >= FEWEST:
        return None
    parts = [f"{n} chains; {FEWEST} are the fewest", intensity.lost(chains.one_setting(target_chains))]
    return Verdict(claim, CANNOT_TELL, detail="; ".join(part for part in parts if part))


def _where(target_chains: pd.DataFrame) -> str:
    rows = chains.one_setting(target_chains)
    gone = intensity.lost(rows)
    return f"{rows['model'].iloc[0]}, {rows['method'].iloc[0]}" + (f"; {gone}" if gone else "")


def _positive(claim: str, target_chains: pd.DataFrame, label: np.ndarray, values: np.ndarray, what: str) -> Verdict:
    """Is the mean over chains above zero? Tells also in how many classes it is."""
    short = _short(claim, target_chains, len(values))
    if short:
        return short
    means = pd.Series(values).groupby(label).mean()
    detail = f"mean {what} in nats, bootstrap over chains; above 0 in {(means > 0).sum()} of {len(means)} classes; "
    detail += _where(target_chains)
    return above_zero(claim, lambda rows: float(values[rows].mean()), len(values), detail)


def target_falls(target_chains: pd.DataFrame) -> Verdict:
    """E(x, y) of the wanted class at the first step minus that at the last, mean over the chains of all classes.

    Holds (fails) when its whole 95 % bootstrap interval over chains lies above (below) zero; takes 20 chains.
    """
    found = moves(target_chains)
    fell = found.target[:, 0] - found.target[:, 1]
    what = "E(x, y) at the start minus at the end"
    return _positive("the energy of the wanted class falls", target_chains, found.label, fell, what)


def target_ends_at_the_level(target_chains: pd.DataFrame) -> Verdict:
    """How far the target's curve ends from the dashed level, as a share of its distance at the start.

    A class's distance is that of its mean E(x, y) over chains to the mean of its training images, above or below it;
    the share is that of the mean distances over classes. Holds (fails) when its whole 95 % bootstrap interval over
    chains lies below (above) 0.2; takes 20 chains.
    """
    claim = "the energy of the wanted class converges to the mean of its training images"
    found = moves(target_chains)
    short = _short(claim, target_chains, len(found.above))
    if short:
        return short
    if not found.above[:, 0].any():
        return Verdict(claim, CANNOT_TELL, detail=f"all chains start at that mean; {_where(target_chains)}")

    def share(rows: np.ndarray) -> float:
        start, end = abs(pd.DataFrame(found.above[rows]).groupby(found.label[rows]).mean()).mean()
        return float(end / start)

    every = np.arange(len(found.above))
    low, high = bootstrap(share, len(every))
    start, end = found.above.mean(0)
    first = intensity.of_chains(chains.one_setting(target_chains))["reached"]
    detail = (
        f"distance at the end as a share of that at the start, near below {NEAR}; starts {start:+.2f} nats from the "
        f"mean, ends {end:+.2f}; {first.notna().sum()} of {len(first)} chains reach it; {_where(target_chains)}"
    )
    return Verdict(claim, decided(low, high, -np.inf, NEAR), share(every), (low, high), len(every), detail)


def others_rise(target_chains: pd.DataFrame) -> Verdict:
    """Mean E(x, k) over the classes k other than y at the last step minus that at the first, mean over all chains.

    Holds (fails) when its whole 95 % bootstrap interval over chains lies above (below) zero; takes 20 chains.
    """
    found = moves(target_chains)
    rose = found.others[:, 1] - found.others[:, 0]
    what = "E(x, k) of the other classes at the end minus at the start"
    return _positive("the energies of the other classes rise", target_chains, found.label, rose, what)


CLAIMS = (target_falls, target_ends_at_the_level, others_rise)


def draw(target_chains: pd.DataFrame) -> Figure:
    """One line a class, the target's thick.

    Raises:
        UserError: no chain is finished.
    """
    rows = chains.one_setting(target_chains)
    chains.check_any("fig5e", rows)
    label = int(intensity.finished(rows)["label"].iloc[0])
    rows = rows[rows["label"] == label]
    done = intensity.finished(rows)
    figure, ax = plt.subplots()
    name = class_names.name(str(rows["data"].iloc[0]), label).removeprefix("class ")
    curves.mean_and_band(ax, done, "step", "joint_energy", f"{name}, the target", TARGET)
    ax.lines[0].set(linewidth=1.6, zorder=3)
    level = float(done["reference"].iloc[0])
    ax.axhline(level, color="black", linestyle="--", label=f"{name}, training images")
    _others(ax, done, label)
    ax.set(xlabel="step", ylabel=r"$E_\theta(x, k)$ [nats]")
    figure.suptitle(_title(rows, name), fontsize="medium")
    figure.legend(loc="outside right center", handlelength=1.4, title="class $k$", title_fontsize=6)
    return figure


def _others(ax: Axes, done: pd.DataFrame, label: int) -> None:
    """The mean E(x, k) of each other class; of many classes all in one colour."""
    found = pd.DataFrame(energies(done)).groupby(done["step"].to_numpy()).mean().drop(columns=label)
    if len(found.columns) > len(COLOURS):
        lines = ax.plot(found.index, found, color=OTHERS, linewidth=0.5)
        lines[0].set_label(f"{len(lines)} others")
        return
    data = str(done["data"].iloc[0])
    for colour, (k, course) in zip(COLOURS, found.items(), strict=False):
        ax.plot(course.index, course, color=colour, label=class_names.name(data, int(k)).removeprefix("class "))


def _title(rows: pd.DataFrame, name: str) -> str:
    model = chains.shown(str(rows["model"].iloc[0]))
    return f"{model} generates class {name}\n{chains.about(rows, 'mean over ')}"
