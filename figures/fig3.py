"""Figure 3: the three phases of adversarial training.

Blue, left: error of test images under PGD-20. Green, right: mean Delta E(x) = E(x) - E(x*) of training images under
the training attack; robust overfitting is its steep fall. Vertical lines stand where the rule of `three_phases` finds
the phases of SAT in this table; where it finds none, there are none.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from energylens import courses, kinks, roles
from energylens.claims import CANNOT_TELL, FAILS, HOLDS, Verdict
from energylens.plots import methods

NEEDS = ("phases",)
WIDTH = "full"
PAPER = {  # read off the published figure: epoch -> value; no data set is named, the errors fit CIFAR-10
    "error": {
        "sat": {0: 0.75, 10: 0.58, 50: 0.51, 80: 0.475, 100: 0.488},
        "trades": {0: 0.75, 78: 0.485, 100: 0.44},
    },
    "delta_energy": {
        "sat": {0: -0.02, 10: -0.165, 38: -0.16, 78: -0.26, 100: -0.74},
        "trades": {0: 0.01, 10: 0, 78: -0.02, 100: -0.06},
    },
    "starts": (10, 78),
}
ERROR, DELTA = "tab:blue", "tab:green"
DASHES: dict[str, Any] = {"sat": "-", "trades": "-."}

FEWEST = 12
"""measured epochs that a claim about phases takes"""
APART = 2
"""measurements from a kink to the next one, or to an end, at least"""
FLAT, STEEP = 1 / 2, 2
"""times the slope before: of the second phase at most, of the third at least"""
FLOOR = 1e-3
"""share of the largest |Delta E| that the spread about a line is at least"""
GAIN = 10
"""BIC by which a line must beat all that have fewer kinks; "very strong" evidence (Kass and Raftery 1995)"""
FEWEST_LAST, STOPPED = 4, 0.01
"""measured epochs of the third phase that its error's claim takes; a fall of the error that is none"""
LAST = 3 / 4
"""share of the last epoch from which on TRADES is compared with SAT"""
FEWEST_COMPARED, LEAST = 5, 1 / 10
"""of these epochs; share of the larger |Delta E| that the two differ by"""


@dataclass(frozen=True)
class Course:
    """Delta E(x) over a training, as a line of one to three straight pieces."""

    epochs: tuple[int, ...]
    """that it bends at"""
    slopes: tuple[float, ...]
    """of the pieces, nats an epoch"""
    gain: float
    """BIC of the best line with fewer kinks minus that of this one; 0 for a straight line"""

    @property
    def falls_from(self) -> int | None:
        """The first epoch behind which it falls, and at least twice as steeply as before if it fell before."""
        behind = zip(self.epochs, itertools.pairwise(self.slopes), strict=True)
        return next((epoch for epoch, (before, after) in behind if after < min(0, STEEP * before)), None)

    @property
    def phased(self) -> bool:
        """A fall, a piece at most half as steep either way, and a fall at least twice as steep as that."""
        if len(self.slopes) < 3:
            return False
        first, second, third = self.slopes
        return first < 0 and abs(second) <= FLAT * abs(first) and third < 0 and abs(third) >= STEEP * abs(second)


def error(phases: pd.DataFrame, objective: str) -> pd.Series:
    """Epoch -> error of test images under PGD-20, a share."""
    return 1 - courses.of(phases, objective, "accuracy", roles.COMMON, "test")


def delta(phases: pd.DataFrame, objective: str) -> pd.Series:
    """Epoch -> mean Delta E(x) of training images under the training attack, nats."""
    return courses.of(phases, objective, "delta_energy")


def bends(course: pd.Series, gain: float = GAIN) -> Course | None:
    """The line that fits Delta E(x) best, of 0, 1 or 2 kinks, by BIC; None for too few epochs.

    A line with more kinks counts when it beats all with fewer by `gain`. Kinks stand at measured epochs, at least two
    measurements from each other and from the ends.
    """
    if len(course) < FEWEST:
        return None
    epoch, values = course.index.to_numpy(float), course.to_numpy(float)
    found = kinks.fits(epoch, values, range(3), APART)
    scores = {count: kinks.bic(fit, values, FLOOR * abs(values).max()) for count, fit in found.items()}
    over = {count: min(scores[fewer] for fewer in range(count)) - scores[count] for count in scores if count}
    best = max((count for count in over if over[count] >= gain), default=0)
    return Course(tuple(int(epoch[at]) for at in found[best].knots), found[best].slopes, over.get(best, 0.0))


def _described(found: Course) -> str:
    slopes = ", ".join(f"{slope:+.4f}" for slope in found.slopes)
    if not found.epochs:
        return f"no kink; slope {slopes} nats an epoch"
    return f"kinks at epochs {', '.join(map(str, found.epochs))}; slopes {slopes} nats an epoch"


def three_phases(phases: pd.DataFrame) -> Verdict:
    """Delta E(x) falls fast, is nearly flat, falls steeply.

    Continuous lines with no, one and two kinks are fitted by least squares, and BIC, which takes neighbouring residuals
    as correlated, chooses. It holds when the line with two kinks beats those with fewer by 10 at least, Delta E falls
    before the first, its slope between them is at most half of that (up or down), and behind the second it falls at
    least twice as steeply as between. It cannot tell where that line beats them by less than 10, and with fewer than 12
    epochs; else it fails. A smooth bend looks like kinks to it.
    """
    claim = "SAT's Delta E(x) has three phases: it falls fast, is nearly flat, falls steeply"
    course = delta(phases, "sat")
    found, likely = bends(course), bends(course, 0)
    if found is None or likely is None:
        return Verdict(claim, CANNOT_TELL, detail=f"SAT: {courses.few(len(course), FEWEST)}")
    outcome = HOLDS if found.phased else CANNOT_TELL if likely.phased else FAILS
    found = likely if outcome == CANNOT_TELL else found
    detail = f"BIC of fewer kinks minus that of these, epochs; {_described(found)}"
    at = error(phases, "sat").reindex([course.index[0], *found.epochs, course.index[-1]]).dropna()
    if len(at):
        detail += "; test error " + ", ".join(f"{value:.3f} at {epoch}" for epoch, value in at.items())
    return Verdict(claim, outcome, found.gain, n=len(course), detail=detail)


def error_stops_falling(phases: pd.DataFrame) -> Verdict:
    """From where Delta E(x) falls steeply on, the test error rises, or no longer falls.

    The steep fall begins at the first kink of `three_phases` behind which Delta E falls, and at least twice as steeply
    as before; whether the phases before it are found, or it levels off later, does not matter. Over the epochs from
    there to the last, the error changes along its line of least squares. It holds when the whole 95 % interval of that
    change lies above -0.01, fails when it lies below; with no such fall, or fewer than 4 epochs, it cannot tell.
    """
    claim = "while SAT's Delta E(x) falls steeply, its test error rises or stops falling (robust overfitting)"
    course, errors = delta(phases, "sat"), error(phases, "sat")
    found = bends(course)
    start = found.falls_from if found else None
    if start is None:
        why = _described(found) if found else f"SAT: {courses.few(len(course), FEWEST)}"
        return Verdict(claim, CANNOT_TELL, detail=f"no steep fall of Delta E(x): {why}")
    last = errors[errors.index >= start]
    if len(last) < FEWEST_LAST:
        return Verdict(claim, CANNOT_TELL, detail=f"from epoch {start} on, {courses.few(len(last), FEWEST_LAST)}")
    rise, (low, high) = courses.change(last)
    outcome = HOLDS if low > -STOPPED else FAILS if high < -STOPPED else CANNOT_TELL
    detail = (
        f"change of the error from epoch {start} on, by its line; at the end {errors.iloc[-1]:.3f}, "
        f"{errors.iloc[-1] - errors.min():.3f} above its lowest, at epoch {errors.idxmin()}"
    )
    return Verdict(claim, outcome, rise, (low, high), len(last), detail)


def trades_stays_closer_to_zero(phases: pd.DataFrame) -> Verdict:
    """|mean Delta E(x)| of SAT minus that of TRADES, in the last quarter of the epochs that both have.

    Each under its own training attack. It holds (fails) when the difference is above (below) zero at every one of
    those epochs, the 95 % interval of its mean over them is so as well, and that mean is at least a tenth of the larger
    of both |Delta E|; else, and with fewer than 5 epochs, it cannot tell. The epochs are those of one training each.
    """
    claim = "late in training, TRADES's Delta E(x) is closer to zero than SAT's"
    apart, common = _apart(phases, roles.OWN), _apart(phases, roles.COMMON)
    if len(apart) < FEWEST_COMPARED:
        few = courses.few(len(apart), FEWEST_COMPARED)
        return Verdict(claim, CANNOT_TELL, detail=f"SAT and TRADES, last quarter: {few}")
    mean, (low, high) = courses.level(apart)
    small = abs(mean) < LEAST * max(_late(phases, name, apart.index) for name in ("sat", "trades"))
    outcome = HOLDS if min(apart.min(), low) > 0 else FAILS if max(apart.max(), high) < 0 else CANNOT_TELL
    outcome = CANNOT_TELL if small else outcome
    detail = f"|Delta E| of SAT minus that of TRADES, nats, mean over epochs {apart.index[0]} to {apart.index[-1]}"
    detail += f"; {apart.min():.3f} to {apart.max():.3f}; under PGD-20 {common.mean():.3f}"
    return Verdict(claim, outcome, mean, (low, high), len(apart), detail)


def _late(phases: pd.DataFrame, objective: str, epochs: pd.Index) -> float:
    return float(courses.of(phases, objective, "delta_energy").abs()[epochs].mean())


def _apart(phases: pd.DataFrame, role: str) -> pd.Series:
    sat, trades = (courses.of(phases, name, "delta_energy", role).abs() for name in ("sat", "trades"))
    both = (sat - trades).dropna()
    return both[both.index >= LAST * both.index.max()] if len(both) else both


CLAIMS = (three_phases, error_stops_falling, trades_stays_closer_to_zero)


def draw(phases: pd.DataFrame) -> Figure:
    """Error on the left axis, Delta E(x) on the right one, lines and boxes at the phases that are found."""
    figure, left = plt.subplots()
    right = left.twinx()
    names = list(phases["objective"].unique())
    for name in names:
        style = DASHES.get(name, ":")
        errors, drift = error(phases, name), delta(phases, name)
        left.plot(errors.index, errors, color=ERROR, linestyle=style)
        right.plot(drift.index, drift, color=DELTA, linestyle=style)
    left.set(xlabel="epoch")
    left.set_ylabel("error on test images, PGD-20 (share)", color=ERROR)
    right.set_ylabel(r"mean $\Delta E_\theta(x)$ of training images [nats]", color=DELTA)
    for ax, colour in ((left, ERROR), (right, DELTA)):
        ax.tick_params(axis="y", colors=colour)
    _mark(left, phases)
    handles = [Line2D([], [], color="black", linestyle=DASHES.get(name, ":")) for name in names]
    labels = [f"{methods.label(name)}, $\\Delta E$ under {courses.attack(phases, name)}" for name in names]
    title = courses.shown(phases).replace("$", r"\$")
    figure.legend(handles, labels, loc="outside upper center", ncols=2, title=title, title_fontsize=6)
    return figure


def _mark(ax: Axes, phases: pd.DataFrame) -> None:
    """Dashed lines and boxes of SAT's phases; nothing where the rule does not find them."""
    course = delta(phases, "sat")
    found = bends(course)
    if found is None or not found.phased:
        return
    for epoch in found.epochs:
        ax.axvline(epoch, color="grey", linestyle="--", linewidth=0.6)
    bounds = (course.index[0], *found.epochs, course.index[-1])
    box = {"boxstyle": "round,pad=0.2", "facecolor": "mistyrose", "edgecolor": "none"}
    for name, start, end in zip(("1st", "2nd", "3rd"), bounds[:-1], bounds[1:], strict=True):
        place = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        ax.text((start + end) / 2, 1.03, f"{name} Phase", fontsize=5, bbox=box, **place)
