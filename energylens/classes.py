"""Means over the images of each class: error rate, entropy and energy, of figure 5d."""

import numpy as np
import pandas as pd

from energylens.table import NATURAL

MEASURES = ("error", "entropy", "energy")


def means(table: pd.DataFrame, model: str, natural: bool = True) -> pd.DataFrame:
    """One row a class, in the order of their numbers.

    Args:
        table: natural and attacked rows.
        model: whose.
        natural: of its natural images, or of its attacked ones.

    Returns:
        Indexed by label: `error`, the mean probability 1 - p(y | x) of all other classes (the paper's footnote 6, for
        the 0/1 error of Losch et al. 2024), `entropy` of p(y | x) and `energy` E(x), both in nats, and `n` images.
        Images with NaN are in none of these.
    """
    rows = table[(table["model"] == model) & ((table["attack"] == NATURAL) == natural)]
    rows = rows[np.isfinite(rows["ce"] + rows["entropy"] + rows["energy"])]
    rows = rows.assign(error=-np.expm1(-rows["ce"].astype(float)), n=1)
    return rows.groupby("label").agg({**dict.fromkeys(MEASURES, "mean"), "n": "sum"})
