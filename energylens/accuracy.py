"""Robust accuracies from energy tables."""

import pandas as pd

from energylens.attacks import AutoAttack, of_kind
from energylens.errors import UserError


def after_parts(table: pd.DataFrame) -> pd.DataFrame:
    """AutoAttack's accuracy after each of its parts.

    Args:
        table: an EnergyTable with rows of `autoattack`.

    Returns:
        One row a model and attack; columns `before`, `apgd-ce`, `apgd-t`, `fab-t`, `square`: the share of images that
        are right before, and after so many parts.

    Raises:
        UserError: the table has no such rows.
    """
    rows = table[table["attack"].isin(of_kind(table["attack"].unique(), "autoattack"))]
    if rows.empty:
        raise UserError("the table has no rows of autoattack; measure them: probe ... --attack autoattack")
    wrong = pd.DataFrame({"before": rows["clean_correct"] == 0, "model": rows["model"], "attack": rows["attack"]})
    for part in AutoAttack.parts:
        wrong[part] = rows["part"] == part
    shares = wrong.groupby(["model", "attack"], observed=True).mean()
    return 1 - shares.cumsum(axis=1)
