"""Forces: is PGD biased by the score? The direction of every update against two gradients.

Left, the cosine of an update with +grad E(x, y), which raises the joint energy; right, with -grad E(x) =
grad log p(x), the score. CE is the difference of both energies, so its ascent follows both at once
(Mirza et al. 2024, section 3.1). Lines are means over images, bands their middle half.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from energylens.claims import CANNOT_TELL, Verdict, above_zero
from energylens.plots import curves
from energylens.table import NATURAL

NEEDS = ("pgd_forces",)
WIDTH = "full"
PAPER = {}  # the paper says it in words
SHOWN = {"cos_joint": r"cosine with $+\nabla E_\theta(x, y)$", "cos_marginal": r"cosine with $-\nabla E_\theta(x)$"}


def _cosines(pgd_forces: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean over an image's steps; one column a model, one row an image."""
    rows = pgd_forces[pgd_forces["attack"] != NATURAL]
    return rows.pivot_table(index="sample", columns="model", values=column, observed=True)


def standard_follows_the_score(pgd_forces: pd.DataFrame) -> Verdict:
    """Mean cosine with -grad E(x), in the first network of the table, which is the non-robust one."""
    cosines = _cosines(pgd_forces, "cos_marginal")
    if cosines.empty:
        return Verdict("PGD's updates follow the score", CANNOT_TELL, detail="the table has no forces")
    values = cosines.iloc[:, 0].dropna().to_numpy()
    claim = f"PGD's updates follow the score -grad E(x) ({cosines.columns[0]})"
    detail = "mean cosine over steps and images, bootstrap over images"
    return above_zero(claim, lambda rows: float(values[rows].mean()), len(values), detail)


def robust_ones_follow_it_less(pgd_forces: pd.DataFrame) -> Verdict:
    """The first network's mean cosine minus the largest of the others', on the same images."""
    claim = "robust networks' updates follow the score less than the standard network's"
    cosines = _cosines(pgd_forces, "cos_marginal").dropna().to_numpy()
    if cosines.shape[1] < 2:
        return Verdict(claim, CANNOT_TELL, detail="the table has one network")
    detail = "mean cosine of the first network minus the largest of the others', bootstrap over images"

    def less(rows: np.ndarray) -> float:
        means = cosines[rows].mean(0)
        return float(means[0] - means[1:].max())

    return above_zero(claim, less, len(cosines), detail)


CLAIMS = (standard_follows_the_score, robust_ones_follow_it_less)


def draw(pgd_forces: pd.DataFrame) -> Figure:
    """Two panels, one line a network."""
    figure, axes = plt.subplots(1, 2, sharex=True, sharey=True)
    attacked = pgd_forces[pgd_forces["attack"] != NATURAL]
    for ax, (column, label) in zip(axes, SHOWN.items(), strict=True):
        for place, (model, rows) in enumerate(attacked.groupby("model", observed=True)):
            curves.mean_and_band(ax, rows, "step", column, str(model), f"C{place}")
        ax.axhline(0, color="grey", linestyle="--", linewidth=0.5)
        ax.set(xlabel="PGD step", title=label)
    axes[0].set_ylabel("cosine of the update")
    axes[1].legend()
    return figure
