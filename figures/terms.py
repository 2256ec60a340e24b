"""The two terms of TRADES's KL over training, and the entropy of p(y | x).

KL(p(. | x) || p(. | x*)) = E_{k ~ p(. | x)}[E(x*, k) - E(x, k)] + E(x) - E(x*): a conditional term, which averages over
the classes while the entropy of p(y | x) is high and sees one class when it is 0, and a marginal one, which is
Delta E(x). Left: both, under the training attack. Right: the mean entropy; exp of it is a number of classes.
"""

import math
from collections.abc import Callable

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from energylens import courses
from energylens.claims import CANNOT_TELL, FAILS, HOLDS, Verdict
from energylens.errors import UserError
from energylens.plots import methods

NEEDS = ("trades_terms",)
WIDTH = "full"
PAPER = {}  # the paper says it in words, below eq. 6, and prints no numbers
TERMS = {
    "kl_conditional": ("conditional", "tab:orange"),
    "kl_marginal": (r"marginal, $\Delta E_\theta(x)$", "tab:green"),
}
ENTROPIES = {"entropy_natural": (r"natural $x$", "tab:blue"), "entropy": (r"adversarial $x^*$", "tab:red")}

FALL = 0.1
"""nats by which a mean entropy falls or rises at least; less may be the noise of two epochs"""
SPREAD = math.log(2)
"""nats; below it, p(y | x) is spread over fewer than two classes"""
ONE_HOT = 0.1
"""nats; p(y | x) with 0.98 in one class of ten has 0.14 at most and 0.10 at least"""
FEWEST = 5
"""measured epochs that a claim about a course takes"""


def course(trades_terms: pd.DataFrame, column: str) -> pd.Series:
    """Epoch -> mean over training images under the training attack, of TRADES's runs."""
    return courses.of(trades_terms, "trades", column)


def _entropy(claim: str, trades_terms: pd.DataFrame, decide: Callable[[float, float], tuple[str, float]]) -> Verdict:
    """Of natural training images; `decide` takes the first and the last mean and gives an outcome and a number.

    The first is one of a trained network: before, all classes are as likely whatever will be learnt.
    """
    entropy = course(trades_terms, "entropy_natural")
    entropy = entropy[entropy.index >= 1]
    if len(entropy) < FEWEST:
        return Verdict(claim, CANNOT_TELL, detail=f"TRADES: {courses.few(len(entropy), FEWEST)}")
    first, last = float(entropy.iloc[0]), float(entropy.iloc[-1])
    outcome, number = decide(first, last)
    detail = (
        f"nats; mean entropy {first:.3f} at epoch {entropy.index[0]} and {last:.3f} at {entropy.index[-1]}, "
        f"that of {math.exp(first):.2f} and {math.exp(last):.2f} equally likely classes"
    )
    return Verdict(claim, outcome, number, n=len(entropy), detail=detail)


def _if(holds: bool) -> str:
    return HOLDS if holds else FAILS


def _fallen(fall: float) -> str:
    return CANNOT_TELL if abs(fall) < FALL else _if(fall > 0)


def spread_at_first(trades_terms: pd.DataFrame) -> Verdict:
    """Mean entropy of natural training images at the first measured epoch that is 1 at least.

    It holds from log 2 on, two equally likely classes, and fails below. Epochs with NaN are left out; with fewer than 5
    others it cannot tell. A mean of this one training, without interval.
    """
    claim = "p(y | x) is spread over classes at first, so the conditional term averages over them"
    return _entropy(claim, trades_terms, lambda first, last: (_if(first >= SPREAD), first))


def entropy_falls(trades_terms: pd.DataFrame) -> Verdict:
    """Mean entropy of natural training images at the first measured epoch that is 1 at least, minus that at the last.

    It holds from 0.1 nats on, fails where the entropy rises by as much, and cannot tell between, for means have no
    spread over images, or with fewer than 5 epochs. Epochs with NaN are left out.
    """
    claim = "the entropy of p(y | x) falls over training"
    return _entropy(claim, trades_terms, lambda first, last: (_fallen(first - last), first - last))


def one_hot_at_the_end(trades_terms: pd.DataFrame) -> Verdict:
    """Mean entropy of natural training images at the last measured epoch.

    It holds below 0.1 nats, and fails from there on. Epochs with NaN are left out; with fewer than 5 it cannot tell.
    """
    claim = "p(y | x) is one-hot at the end, so the conditional term sees one class"
    return _entropy(claim, trades_terms, lambda first, last: (_if(last < ONE_HOT), last))


CLAIMS = (spread_at_first, entropy_falls, one_hot_at_the_end)


def draw(trades_terms: pd.DataFrame) -> Figure:
    """Left the terms and their sum, right the entropies; the dotted line is the natural one at the start.

    Raises:
        UserError: no run of TRADES, or none that measured the terms.
    """
    if course(trades_terms, "kl_conditional").empty:
        raise UserError("terms cannot be drawn: no run of TRADES with the terms of its KL is here; give one (--models)")
    figure, (left, right) = plt.subplots(1, 2)
    for column, (label, colour) in TERMS.items():
        _line(left, course(trades_terms, column), colour, label)
    _line(left, course(trades_terms, "kl_conditional") + course(trades_terms, "kl_marginal"), "black", "sum, the KL")
    left.axhline(0, color="grey", linestyle="--", linewidth=0.5)
    left.set(xlabel="epoch", ylabel="terms of eq. 5 [nats]")
    for column, (label, colour) in ENTROPIES.items():
        _line(right, course(trades_terms, column), colour, label)
    for start in course(trades_terms, "entropy_natural")[:1]:
        right.axhline(start, color="grey", linestyle=":", linewidth=0.6, label="at the start")
    right.set(xlabel="epoch", ylabel=r"mean entropy of $p(y|x)$ [nats]")
    right.set_ylim(bottom=0)
    for ax in (left, right):
        ax.legend(handlelength=1.4)
    train = trades_terms[(trades_terms["split"] == "train") & (trades_terms["objective"] == "trades")]
    title = f"{methods.label('trades')}: {courses.shown(train)}, {courses.attack(trades_terms, 'trades')}"
    figure.suptitle(title.replace("$", r"\$"), fontsize=6)
    return figure


def _line(ax: Axes, course: pd.Series, colour: str, label: str) -> None:
    ax.plot(course.index, course, color=colour, label=label)
