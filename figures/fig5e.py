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
from energylens.claims import CANNOT_TELL, HOLDS, Verdict, above_zero, bootstrap
from energylens.effects import FEWEST, decided
from energylens.plots import chains, curves
from energylens.plots.wrapping import wrapped

NEEDS = ("target_chains",)
WIDTH = "full"
ONE_NETWORK = True
PAPER = {}  # the paper prints no numbers for this figure
NEAR = 1
"""a target has come to its class's mean when it ends within this many standard deviations of real images"""
TARGET, OTHERS = "#d62728", "#9a9a9a"
COLOURS = [colour for colour in map(to_hex, colormaps["tab10"].colors) if colour != TARGET]
"""of the other classes, if there are so few"""


@dataclass(frozen=True)
class Moves:
    """Energies of N chains of K classes at their first and last recorded step, nats."""

    label: np.ndarray
    """[N] the class wanted"""
    target: np.ndarray
    """[N, 2] E(x, y)"""
    off: np.ndarray
    """[N, 2] |E(x, y) - mean of the class's training images| / their standard deviation"""
    above: np.ndarray
    """[N, 2] E(x, y) minus that mean"""
    rise: np.ndarray
    """[N, K] E(x, k) at the end minus at the start; NaN for k = y"""


def energies(rows: pd.DataFrame) -> np.ndarray:
    """[rows, K] E(x, k) of all classes."""
    return -np.array(rows["logits"].tolist(), float)


def moves(target_chains: pd.DataFrame) -> Moves:
    """Of the finished chains of the first network and method."""
    rows = intensity.states(chains.one_setting(target_chains)).sort_values(["sample", "step"])
    groups = rows.groupby("sample")
    start, end = groups.head(1), groups.tail(1)
    target, above, spread = (
        np.column_stack([one[name] for one in (start, end)]) for name in ("joint_energy", "above", "reference_spread")
    )
    label = start["label"].to_numpy(int)
    rise = energies(end) - energies(start)
    if len(rise):
        rise[np.arange(len(label)), label] = np.nan
    off = np.divide(abs(above), spread, out=np.full(above.shape, np.nan), where=spread > 0)
    return Moves(label, target, off, above, rise)


def _short(claim: str, target_chains: pd.DataFrame, n: int) -> Verdict | None:
    if n >= FEWEST:
        return None
    parts = [f"{n} chains; {FEWEST} are the fewest", intensity.lost(chains.one_setting(target_chains))]
    return Verdict(claim, CANNOT_TELL, detail="; ".join(part for part in parts if part))


def _where(target_chains: pd.DataFrame) -> str:
    rows = chains.one_setting(target_chains)
    gone = intensity.lost(rows)
    return f"{rows['model'].iloc[0]}, {rows['method'].iloc[0]}" + (f"; {gone}" if gone else "")


def target_falls(target_chains: pd.DataFrame) -> Verdict:
    """E(x, y) of the wanted class at the first step minus that at the last, mean over the chains of all classes.

    It is what the sampler descends, so this says that the sampler works and nothing of the network. Holds (fails) when
    its whole 95 % bootstrap interval over chains lies above (below) zero; takes 20 chains.
    """
    claim = "the energy of the wanted class falls"
    found = moves(target_chains)
    short = _short(claim, target_chains, len(found.label))
    if short:
        return short
    fell = found.target[:, 0] - found.target[:, 1]
    means = pd.Series(fell).groupby(found.label).mean()
    detail = "mean E(x, y) at the start minus at the end in nats, bootstrap over chains; "
    detail += f"above 0 in {(means > 0).sum()} of {len(means)} classes; {_where(target_chains)}"
    return above_zero(claim, lambda rows: float(fell[rows].mean()), len(fell), detail)


def target_ends_at_the_level(target_chains: pd.DataFrame) -> Verdict:
    """|E(x, y) - mean of the class's training images| / their standard deviation at the last step, mean over chains.

    Near means within the spread of real images. Holds (fails) when the whole 95 % bootstrap interval over chains lies
    below (above) 1; takes 20 chains. It cannot tell where the same interval of the first step is below 1 as well:
    there a chain is near from the start, and stays; one that leaves fails.
    """
    claim = "the energy of the wanted class converges to the mean of its training images"
    found = moves(target_chains)
    short = _short(claim, target_chains, len(found.label))
    if short:
        return short
    if np.isnan(found.off).any():
        detail = f"training images of a class all have one E(x, y); {_where(target_chains)}"
        return Verdict(claim, CANNOT_TELL, detail=detail)
    n, (start, end) = len(found.off), found.off.T
    (_, high_start), (low, high) = (bootstrap(lambda rows, at=at: at[rows].mean(), n) for at in (start, end))
    outcome = decided(low, high, -np.inf, NEAR)
    near = outcome == HOLDS and high_start < NEAR
    first = intensity.of_chains(chains.one_setting(target_chains))["reached"]
    from_start, from_end = found.above.mean(0)
    detail = (
        f"distance from that mean at the end in standard deviations over training images, near below {NEAR}, "
        f"{start.mean():.3f} at the start{' already' if near else ''}; starts {from_start:+.2f} nats from the mean, "
        f"ends {from_end:+.2f}; {first.notna().sum()} of {len(first)} chains reach it; {_where(target_chains)}"
    )
    return Verdict(claim, CANNOT_TELL if near else outcome, float(end.mean()), (low, high), n, detail)


def others_rise(target_chains: pd.DataFrame) -> Verdict:
    """Share of pairs (y, k), k other than y, in which the mean E(x, k) over the chains of y rises from start to end.

    Holds (fails) when its whole 95 % bootstrap interval, over the chains within each class, lies above (below) 0.5;
    takes 20 chains, and two of each class.
    """
    claim = "the energies of the other classes rise"
    found = moves(target_chains)
    short = _short(claim, target_chains, len(found.label))
    if short:
        return short
    fewest = pd.Series(found.label).value_counts().min()
    if fewest < 2:
        detail = f"a class with one chain; two are the fewest; {_where(target_chains)}"
        return Verdict(claim, CANNOT_TELL, detail=detail)
    means = pd.DataFrame(found.rise).groupby(found.label).mean().to_numpy()
    pairs, rise = int(np.isfinite(means).sum()), int((means > 0).sum())
    low, high = np.quantile(_shares(found), [0.025, 0.975])
    detail = (
        f"share of pairs (y, k) in which E(x, k) rises, {rise} of {pairs}, bootstrap over chains within classes; mean "
        f"{np.nanmean(means):+.3f} nats; {_where(target_chains)}"
    )
    outcome = decided(low, high, 0.5, np.inf)
    return Verdict(claim, outcome, rise / pairs, (float(low), float(high)), len(found.label), detail)


def _shares(found: Moves) -> np.ndarray:
    """[1000] of draws of the chains within each class, the share of pairs (y, k) that rise."""
    rng, rising, pairs = np.random.default_rng(0), np.zeros(1000), 0
    for label in np.unique(found.label):
        rise = np.delete(found.rise[found.label == label], label, axis=1)
        counts = rng.multinomial(len(rise), np.full(len(rise), 1 / len(rise)), size=len(rising))
        rising += (counts @ rise > 0).sum(1)
        pairs += rise.shape[1]
    return rising / pairs


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
    text = f"{model} generates class {name}\n{chains.about(rows, 'mean over ')}"
    return wrapped(text, 0.95 * plt.rcParams["figure.figsize"][0], plt.rcParams["font.size"])
