"""Courses of trainings for figures: means of epochs, as one line an objective. Imports no torch."""

import numpy as np
import pandas as pd

from energylens import roles
from energylens.attacks import title
from energylens.errors import many
from energylens.kinks import lag
from energylens.plots import style


def of(means: pd.DataFrame, objective: str, column: str, role: str = roles.OWN, split: str = "train") -> pd.Series:
    """A column epoch by epoch, averaged over the runs of an objective.

    Args:
        means: of trainings, with the columns `objective` and `role`.
        objective: such as `sat`.
        column: one of `epochs.MEANS`.
        role: `own`, the training attack, or `common`, PGD-20.
        split: `train` or `test`.

    Returns:
        Epoch -> mean, in the order of epochs; those that a run lacks, or where it has NaN, are left out. Empty for an
        objective that the table does not have.
    """
    rows = roles.of(means, role)
    rows = rows[(rows["objective"] == objective) & (rows["split"] == split)]
    runs = [run.groupby("epoch")[column].mean() for _, run in rows.groupby("model", observed=True)]
    return pd.concat(runs, axis=1).dropna().mean(axis=1).sort_index() if runs else pd.Series(dtype=float)


def change(course: pd.Series) -> tuple[float, tuple[float, float]]:
    """How far a course rises along its line of least squares, from its first epoch to its last.

    Args:
        course: epoch -> value, three at least.

    Returns:
        the rise, and its 95 % interval from the residuals (Student's t), wider by sqrt((1 + r) / (1 - r)) where
        neighbouring ones have a correlation r above 0. Of few epochs r is found too small, and so is the interval.
    """
    slope, half, away = _line(course)
    half, span = half / np.sqrt(away @ away), away[-1] - away[0]
    return float(span * slope), (float(span * (slope - half)), float(span * (slope + half)))


def level(course: pd.Series) -> tuple[float, tuple[float, float]]:
    """The mean of a course, and its 95 % interval, as of `change`: the spread is that about its line."""
    _, half, away = _line(course)
    mean, half = float(course.mean()), half / np.sqrt(len(away))
    return mean, (float(mean - half), float(mean + half))


def _line(course: pd.Series) -> tuple[float, float, np.ndarray]:
    """Slope of the line of least squares, half of a 95 % interval in units of one value, epochs about their mean."""
    from scipy.special import stdtrit

    epoch, values = course.index.to_numpy(float), course.to_numpy(float)
    away = epoch - epoch.mean()
    slope = away @ values / (away @ away)
    residuals = values - values.mean() - slope * away
    free, alike = len(values) - 2, lag(residuals)
    wider = np.sqrt((1 + alike) / (1 - alike))
    return slope, stdtrit(free, 0.975) * np.sqrt(residuals @ residuals / free) * wider, away


def shown(means: pd.DataFrame) -> str:
    """What the lines are means of: data set, images of each split, eps, runs of each objective; for a small title."""
    data = [str(name) for name in means["data"].unique()] if "data" in means else []
    images = [f"{rows['n'].max():,} images of {split}" for split, rows in means.groupby("split", observed=True)]
    runs = means.groupby("objective", observed=True)["model"].nunique()
    several = [f"mean over {runs.max()} runs" if runs.nunique() == 1 else f"mean over up to {runs.max()} runs"]
    eps = [f"eps {style.radius(value)}" for value in means["eps"].dropna().unique()[:1]]
    return ", ".join(data + [" and ".join(images[::-1])] + eps + (several if runs.max() > 1 else []))


def attack(means: pd.DataFrame, objective: str) -> str:
    """How a figure names the training attack of an objective's runs, such as `PGD-10`."""
    rows = roles.of(means[(means["split"] == "train") & (means["objective"] == objective)], roles.OWN)
    return ", ".join(title(str(name)) for name in rows["attack"].unique())


def trainings(frame: pd.DataFrame, columns: list[str]) -> str:
    """Of how many trainings each group of rows is: `one training each`, `2 trainings or 1 training each`.

    For the detail of an interval over images, which says nothing about other trainings.

    Args:
        frame: rows with the column `model`.
        columns: that tell the groups apart.
    """
    counts = frame.groupby(columns, observed=True, dropna=False, sort=False)["model"].nunique().unique().tolist()
    return "one training each" if counts == [1] else " or ".join(many(count, "training") for count in counts) + " each"


def ended(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's last measured epoch."""
    return rows[rows["epoch"] == rows.groupby("model", observed=True)["epoch"].transform("max")]


def few(epochs: int, fewest: int) -> str:
    """Why a claim about a course cannot be decided."""
    return f"{many(epochs, 'measured epoch')}; {fewest} are the fewest"
