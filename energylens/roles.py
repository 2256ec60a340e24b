"""Which attack of a training's energies is meant: the one that it was trained with, or the one that all have."""

import numpy as np
import pandas as pd

from energylens.attacks import PGD
from energylens.schema import NATURAL

OWN, COMMON = "own", "common"
"""the training attack, and PGD-20 on cross-entropy, which every run is measured under"""


def role(attack: str, eps: float | None) -> str:
    """`natural`, `common` for PGD-20 at this radius, else `own`."""
    if attack == NATURAL:
        return NATURAL
    return COMMON if eps is not None and attack == PGD(eps=eps).name else OWN


def of(frame: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """The rows under the training attack (`own`) or under PGD-20 (`common`).

    A run that was trained with PGD-20 itself has one attack that is both.

    Args:
        frame: rows or means of trainings, with the columns `model`, `split` and `role`.
        wanted: `own` or `common`.

    Returns:
        Its rows, in their order; natural images are not among them.
    """
    if wanted == COMMON:
        return frame[frame["role"] == COMMON]
    having = frame.loc[frame["role"] == OWN, ["model", "split"]].drop_duplicates()
    has = pd.MultiIndex.from_frame(frame[["model", "split"]]).isin(pd.MultiIndex.from_frame(having))
    return frame[np.where(has, frame["role"] == OWN, frame["role"] == COMMON)]
