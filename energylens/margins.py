"""The probabilistic margin of attacked images against their energies: rows and claims of figures 5b and 5c.

PM = p_y - max of the other p_j at x*, from -1 (surely wrong) to 1 (surely right). MAIL's code has the opposite sign;
the paper prints none. Source: Liu et al. 2021 (MAIL, arXiv:2106.07904); Mirza et al. 2024 (arXiv:2407.06315).
"""

import pandas as pd

from energylens.claims import Verdict
from energylens.correlations import beyond, stronger
from energylens.table import NATURAL

STRONG = 0.5
"""a rank correlation of at least this size is called strong (Cohen 1988: a large one)"""


def attacked(sat_points: pd.DataFrame) -> pd.DataFrame:
    """The attacked images of the table."""
    return sat_points[sat_points["attack"] != NATURAL]


def falls_strongly_with_joint(sat_points: pd.DataFrame) -> Verdict:
    """Rank correlation of PM with E(x*, y).

    Holds (fails) when its whole 95 % bootstrap interval over images lies below (above) -0.5.
    """
    rows, detail = attacked(sat_points), f"PM with E(x*, y), strong beyond -{STRONG}"
    claim = "the probabilistic margin falls strongly as E(x, y) rises"
    return beyond(claim, rows["prob_margin"], rows["joint_energy"], -1, detail, STRONG)


def falls_with_marginal(sat_points: pd.DataFrame) -> Verdict:
    """Rank correlation of PM with E(x*).

    Holds (fails) when its whole 95 % bootstrap interval over images lies below (above) zero.
    """
    rows, claim = attacked(sat_points), "the probabilistic margin falls as E(x) rises"
    return beyond(claim, rows["prob_margin"], rows["energy"], -1, "PM with E(x*)")


def joint_is_stronger(sat_points: pd.DataFrame) -> Verdict:
    """|Spearman| of PM with E(x*, y) minus that of PM with E(x*), on the same images.

    Holds (fails) when its whole 95 % bootstrap interval over images lies above (below) zero.
    """
    rows, claim = attacked(sat_points), "the margin correlates more strongly with E(x, y) than with E(x)"
    return stronger(claim, rows["prob_margin"], rows["joint_energy"], rows["energy"])
