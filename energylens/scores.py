"""Accuracies of several training seeds: means, differences that exceed the spread, rankings with ties. No torch.

A difference of two methods exceeds the spread over seeds when the 95 % interval of Welch's t for it excludes 0. The
interval is that of one comparison: of twenty that mean nothing, one is expected to exceed it. It holds training seeds
alone, on the images that were measured, and takes the seeds of two methods as independent. A claim of many
comparisons fails by an interval that is widened for all of them at once (`score_claims`).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from energylens.claims import LEVEL
from energylens.errors import UserError, some

MEASURES = {"clean": "clean", "pgd": "PGD-20", "autoattack": "AutoAttack"}
"""measure -> its heading"""
ROBUST = ("pgd", "autoattack")
ABOVE, BELOW, TIE, SINGLE, NONE = "above", "below", "tie", "single run", ""
"""what a difference says; a single run: fewer than two seeds on either side; none: no run on either side"""
CELL = ["data", "measure", "objective"]


@dataclass(frozen=True)
class Difference:
    """Mean of one method minus that of another, in percent, and what it says."""

    number: float
    low: float
    high: float
    verdict: str
    """of ABOVE, BELOW, TIE, SINGLE, NONE"""


def networks(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a network and measure: of rows that tell of the same, the last counts; of an attack's seeds, the mean.

    A network is what its run's name says: two recipes may share a training seed.

    Args:
        frame: accuracies, one row a run and measure: `model`, `objective`, `train_seed`, `arch`, `data`, `measure`,
            `attack`, `accuracy` (share), `n`, `eps`; `seed` of the attack where its name lacks it.

    Returns:
        `data`, `measure`, `objective`, `network` (its name), `accuracy` in percent, `n` images, `eps`, `arch`. Rows
        without objective or accuracy are left out.

    Raises:
        UserError: two runs of one objective and data set have one training seed, or runs on one data set differ in
            architecture or eps, so that their accuracies do not compare.
    """
    told = frame[frame["objective"].notna() & frame["accuracy"].notna() & frame["measure"].isin(list(MEASURES))]
    told = told.assign(network=told["model"].astype(str), accuracy=100 * told["accuracy"])
    last = told.drop_duplicates([*CELL, "network", "attack", *({"seed"} & set(told))], keep="last")
    _check_compare(last)
    _check_seeds(last)
    found = last.groupby([*CELL, "network"], sort=False, dropna=False)
    return found.agg({"accuracy": "mean", "n": "last", "eps": "last", "arch": "last"}).reset_index()


def _check_compare(rows: pd.DataFrame) -> None:
    for data, of_data in rows.groupby("data", sort=False):
        for column, what in (("arch", "architecture"), ("eps", "eps")):
            values = of_data[column].dropna().unique()
            if len(values) > 1:
                problem = f"the runs on {data} differ in {what} ({some(map(str, values))}) and do not compare"
                raise UserError(f"{problem}; give those of one {what} with --models")


def _check_seeds(rows: pd.DataFrame) -> None:
    """A seed counts once: two runs of it would be two recipes, or one training told twice."""
    for (data, objective, seed), found in rows.groupby(["data", "objective", "train_seed"], sort=False, observed=True):
        if found["network"].nunique() > 1:
            problem = f"{objective} on {data} has several runs of seed {seed:g}: {some(found['network'].unique())}"
            raise UserError(f"{problem}; give one of them with --models")


def values(of_networks: pd.DataFrame, data: str, measure: str, objective: str) -> np.ndarray:
    """Accuracies of a method's networks, [seeds], in percent."""
    chosen = (of_networks[CELL] == [data, measure, objective]).all(axis=1)
    return of_networks.loc[chosen, "accuracy"].to_numpy(float)


def welch(ours: np.ndarray, theirs: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """95 % interval (1 - level) of mean(ours) - mean(theirs), of two or more values each, with unequal variances.

    NaN where no value differs from another on either side: equal shares of a few hundred images do not say that seeds
    have no spread, only that it is below an image, so there is nothing to hold the difference against.

    Source: Welch 1947; degrees of freedom after Satterthwaite 1946.
    """
    parts = [side.var(ddof=1) / len(side) for side in (ours, theirs)]
    difference, variance = float(ours.mean() - theirs.mean()), sum(parts)
    if variance < 1e-20:  # equal accuracies, up to rounding
        return math.nan, math.nan
    degrees = variance**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (ours, theirs), strict=True))
    half = float(stats.t.ppf(1 - level / 2, degrees)) * math.sqrt(variance)
    return difference - half, difference + half


def compare(ours: np.ndarray, theirs: np.ndarray, level: float = LEVEL) -> Difference:
    """What two methods' accuracies say: above or below when Welch's interval excludes 0, else a tie.

    A tie too where all seeds of both give one number each, whatever their difference.
    """
    if not len(ours) or not len(theirs):
        return Difference(math.nan, math.nan, math.nan, NONE)
    number = float(ours.mean() - theirs.mean())
    if min(len(ours), len(theirs)) < 2:
        return Difference(number, math.nan, math.nan, SINGLE)
    low, high = welch(ours, theirs, level)
    return Difference(number, low, high, ABOVE if low > 0 else BELOW if high < 0 else TIE)


def table(of_networks: pd.DataFrame, reference: str = "trades") -> pd.DataFrame:
    """Mean, spread and difference to a reference, TRADES, of each method.

    Args:
        of_networks: what `networks` gives.
        reference: the objective to compare with.

    Returns:
        One row a data set, measure and objective: `mean`, `std` (n - 1; NaN for one seed) and `seeds`; `minus_trades`
        with its 95 % interval `low` to `high` (Welch), in percent, and `verdict`, all empty for the reference itself.
    """
    rows = []
    for key, found in of_networks.groupby(CELL, sort=False):
        data, measure, objective = map(str, key)
        ours = found["accuracy"].to_numpy(float)
        theirs = values(of_networks, data, measure, reference if objective != reference else "")
        against = compare(ours, theirs)
        rows.append({
            "data": data, "measure": measure, "objective": objective, "mean": ours.mean(),
            "std": ours.std(ddof=1) if len(ours) > 1 else math.nan, "seeds": len(ours),
            "minus_trades": against.number, "low": against.low, "high": against.high, "verdict": against.verdict,
        })  # fmt: skip
    columns = [*CELL, "mean", "std", "seeds", "minus_trades", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def groups(accuracies: dict[str, np.ndarray]) -> list[list[str]]:
    """Methods in groups, the best first: a method belongs to the group above it unless its best one exceeds it.

    Methods are taken by falling mean; one opens a new group when the best mean of the present group exceeds it by more
    than the spread over seeds (Welch), else it joins. So within a group none is told from its best; the last of a
    group may still differ from another of its group, or not from the next group: "not told apart" does not carry over.

    Args:
        accuracies: method -> [seeds]; those with fewer than two are left out.
    """
    ranked = sorted(
        (name for name in accuracies if len(accuracies[name]) > 1), key=lambda name: -accuracies[name].mean()
    )
    made: list[list[str]] = []
    for name in ranked:
        if made and compare(accuracies[made[-1][0]], accuracies[name]).verdict != ABOVE:
            made[-1].append(name)
        else:
            made.append([name])
    return made
