"""Alarms for a training run, from a table of measurements: one row a measurement, in the order of their steps.

Each rule stands in its function's docstring, and was written there before it was tried on any training. A rule judges
the last row from it and the rows above it, so what it says while a network trains does not change afterwards.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from energylens.errors import UserError
from energylens.kinks import bent

WINDOW = 30
"""measurements that the lines of robust overfitting are fitted to, the last ones"""
BEFORE, AFTER = 8, 4
"""the fewest of them up to a kink, itself included, and behind it"""
BEND = 5
"""standard errors by which the slope must fall at the kink"""
BELOW = 2
"""spreads by which each of the last AFTER measurements must lie below the line before the kink"""
FLOOR = 1e-3
"""share of the largest |Delta E| in the window that the spread is at least"""
LEARNT = 1 / 2
"""share of the highest PGD accuracy that a network has reached at the kink: one that begins to learn falls too"""

LOST, FEWEST_LOST = 1 / 2, 0.1
"""share of the highest PGD accuracy that is lost in catastrophic overfitting, and the least that is"""
STAYS = 3 / 4
"""share of its FGSM accuracy that a network keeps meanwhile"""
JUMP, USUAL = 2, 5
"""times by which |Delta E| grows over its median of so many measurements up to the best one"""
TWICE = 2
"""measurements in a row that show it"""


@dataclass(frozen=True)
class Alarm:
    """What a rule found."""

    step: int
    """of the measurement that raised it"""
    kind: str
    """`robust overfitting` or `catastrophic overfitting`"""
    number: float
    """robust: Delta E(x) minus where the line before the kink leads, nats; catastrophic: PGD accuracy minus its best"""
    text: str
    """in one sentence"""
    since: int
    """the step at which it began: the kink, or the best PGD accuracy"""

    def __str__(self) -> str:
        return self.text


Rule = Callable[[pd.DataFrame], Alarm | None]


def robust_overfitting(table: pd.DataFrame) -> Alarm | None:
    """Delta E(x) = E(x) - E(x*) begins to fall: a kink in its series, by a line with a bend.

    To the last 30 measurements, a line that bends once is fitted by least squares, for each place of the kink that
    leaves 8 measurements up to it and 4 behind it; the one of the least residuals counts. Their spread is the root of
    their sum of squares over n - 4 (offset, two slopes, place), and at least a thousandth of the largest abs(Delta E)
    among the 30. It is an alarm if all of these hold:

    1. Behind the kink, Delta E(x) falls, and at least twice as steeply as before if it fell before.
    2. The slope falls at the kink by at least 5 of its standard errors.
    3. Each of the last 4 measurements lies at least 2 spreads below the continuation of the line before the kink, and
       below every earlier level: the medians of 3 measurements in a row, up to the kink.
    4. Up to the kink, PGD accuracy had reached half of its highest so far.

    Rows whose Delta E is not finite are left out.

    Args:
        table: columns `step`, `delta_energy`, `pgd_accuracy`.

    Source: that Delta E falls steeply as robust overfitting begins is Mirza et al. 2024 (arXiv:2407.06315), figure 3
        and table 2a; the rule is ours.
    """
    step, delta, pgd = _series(table, "delta_energy", "pgd_accuracy")
    first = max(0, len(step) - WINDOW)
    kinks = range(first + BEFORE - 1, len(step) - AFTER)
    if not kinks:
        return None
    fit = bent(step[first:], delta[first:], np.array(kinks)[:, None] - first)
    kink, (before, after) = first + fit.knots[0], fit.slopes
    spread = max((fit.squares / (len(step) - first - 4)) ** 0.5, FLOOR * abs(delta[first:]).max())
    ahead = fit.offset + before * (step[-AFTER:] - step[kink])
    levels = np.median(sliding_window_view(delta[: kink + 1], 3), axis=1)
    falls = after < min(0, 2 * before)
    strong = before - after >= BEND * fit.errors[0] * spread
    stays = (delta[-AFTER:] < np.minimum(ahead - BELOW * spread, levels.min())).all()
    if not (falls and strong and stays and pgd[: kink + 1].max() >= LEARNT * pgd.max()):
        return None
    text = (
        f"robust overfitting since step {step[kink]:g}: Delta E(x) began to fall, to {delta[-1]:.3f} nats at step "
        f"{step[-1]:g}, where the line before leads to {ahead[-1]:.3f}; stop, or take the weights of that step"
    )
    return Alarm(int(step[-1]), "robust overfitting", float(delta[-1] - ahead[-1]), text, int(step[kink]))


def catastrophic_overfitting(table: pd.DataFrame) -> Alarm | None:
    """PGD accuracy collapses while FGSM accuracy stays, and abs(Delta E(x)) jumps.

    Compared with the measurement of the highest PGD accuracy (the first of them), it is an alarm if all of these hold
    at each of the last two measurements:

    1. PGD accuracy is at most half of what it was there, and at least 0.1 lower.
    2. FGSM accuracy is at least three quarters of what it was there.
    3. abs(Delta E(x)) is at least twice its median over the 5 measurements up to there.

    Rows whose Delta E is not finite are left out.

    Args:
        table: columns `step`, `delta_energy`, `pgd_accuracy`, `fgsm_accuracy`.

    Source: Wong et al. 2020 (arXiv:2001.03994) for the accuracies; arXiv:2505.22486 for Delta E; the
        rule is ours.
    """
    step, delta, pgd, fgsm = _series(table, "delta_energy", "pgd_accuracy", "fgsm_accuracy")
    if len(step) <= TWICE:
        return None
    best = int(pgd.argmax())
    last = slice(-TWICE, None)
    usual = float(np.median(abs(delta[max(0, best + 1 - USUAL) : best + 1])))
    lost = pgd[best] - pgd[last]
    shown = (lost >= np.maximum(LOST * pgd[best], FEWEST_LOST)) & (fgsm[last] >= STAYS * fgsm[best])
    if best >= len(step) - TWICE or not (shown & (abs(delta[last]) >= JUMP * usual)).all():
        return None
    text = (
        f"catastrophic overfitting since step {step[best]:g}: PGD accuracy fell from {pgd[best]:.1%} to {pgd[-1]:.1%} "
        f"at step {step[-1]:g} while FGSM accuracy is {fgsm[-1]:.1%}, and |Delta E(x)| grew from {usual:.3f} to "
        f"{abs(delta[-1]):.3f} nats; train with PGD, or a smaller eps"
    )
    return Alarm(int(step[-1]), "catastrophic overfitting", float(-lost[-1]), text, int(step[best]))


RULES: tuple[Rule, ...] = (robust_overfitting, catastrophic_overfitting)


def of(table: pd.DataFrame, rules: Iterable[Rule] = RULES) -> list[Alarm]:
    """The first alarm of each rule, as it would have been raised while the table grew, in the order of their steps.

    Args:
        table: columns `step` or `epoch`, `delta_energy`, `pgd_accuracy`, and `fgsm_accuracy`, which
            `rules=[robust_overfitting]` does without.
        rules: functions of a table that judge its last row.

    Raises:
        UserError: a column is missing, or the steps do not grow.
    """
    found = (_first(rule, table) for rule in rules)
    return sorted((alarm for alarm in found if alarm), key=lambda alarm: alarm.step)


def _first(rule: Rule, table: pd.DataFrame) -> Alarm | None:
    rule(table)  # a table that lacks something is told, however short
    played = (rule(table.iloc[:rows]) for rows in range(1, len(table) + 1))
    return next((alarm for alarm in played if alarm), None)


def _series(table: pd.DataFrame, *columns: str) -> tuple[np.ndarray, ...]:
    """The steps and some columns, of the rows whose Delta E is finite."""
    names = ("epoch" if "step" not in table and "epoch" in table else "step", *columns)
    if lacking := [name for name in names if name not in table]:
        raise UserError(f"the table has no column {', '.join(lacking)}; alarms want one as energylens.watch keeps it")
    step = table[names[0]].to_numpy(float)
    if (np.diff(step) <= 0).any():
        raise UserError(f"the column {names[0]} does not grow from row to row; give the rows of one run, in order")
    usable = np.isfinite(table["delta_energy"].to_numpy(float))
    return tuple(table[name].to_numpy(float)[usable] for name in names)
