"""Figure 1b: how SAT's own attack moves training images in the plane of E(x) and E(x, y), early in training.

Each arrow runs from a natural image to its adversarial one and is the darker the longer it is. On the dashed line
E(x, y) = E(x) the cross-entropy is zero. The axes are this panel's own.
"""

import pandas as pd
from matplotlib.figure import Figure

from energylens import drift as drifting
from energylens.plots import arrows

NEEDS = ("drift",)
WIDTH = "half"
PAPER = {}  # the paper prints no numbers for this figure
CLAIMS = drifting.claims(drifting.FIRST)


def draw(drift: pd.DataFrame) -> Figure:
    """The first epoch after the start of the table."""
    return arrows.panel(drifting.snapshot(drift, drifting.FIRST))
