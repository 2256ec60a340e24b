"""Figure 5b: the probabilistic margin of attacked training images against E(x*, y).

One point an image x*. The margin is p_y minus the largest other probability: above 0 the image is right.
"""

import pandas as pd
from matplotlib.figure import Figure

from energylens import margins
from energylens.plots import scatter

NEEDS = ("sat_points",)
WIDTH = "half"
ONE_NETWORK = True
PAPER = {}  # the paper says in words that the correlation with E(x, y) is good, and with E(x) weaker
CLAIMS = (margins.falls_strongly_with_joint, margins.joint_is_stronger)


def draw(sat_points: pd.DataFrame) -> Figure:
    """One point an image."""
    figure = scatter.panel(margins.attacked(sat_points), "joint_energy", "prob_margin")
    figure.axes[0].set(xlabel=r"$E_\theta(x^*, y)$ [nats]", ylabel=r"PM $= p_y - \max_{j\neq y}\, p_j$ at $x^*$")
    return figure
