"""Claims about the starts and samplers that made images: one method against another, chain by chain."""

import numpy as np
import pandas as pd

from energylens.claims import CANNOT_TELL, Verdict, above_zero
from energylens.effects import FEWEST
from energylens.final_images import ended, roughness
from energylens.method_names import Parts, parts

SHOWN = {"roughness": "roughness", "off": "max(0, E(x, y) - the class's mean) in nats"}


def measured(chains: pd.DataFrame) -> pd.DataFrame:
    """`ended`, with `roughness` and `off`; NaN for chains that became NaN.

    `off` is how far E(x, y) ends above the mean of its class's training images, in nats: 0 for a chain below it, which
    is not far from real images but more likely than they are.
    """
    rows = ended(chains)
    off = (rows["joint_energy"] - rows["reference"]).clip(lower=0).where(rows["status"] != "nan")
    return rows.assign(roughness=rows["image"].map(roughness), off=off)


def named(rows: pd.DataFrame) -> dict[str, Parts]:
    """The frame's methods in their order, taken apart; those with other names are left out."""
    found = {method: parts(method) for method in dict.fromkeys(rows["method"].astype(str))}
    return {method: made for method, made in found.items() if made}


def ends(rows: pd.DataFrame) -> pd.Series:
    """The last recorded step of each method, of the chain that went on longest."""
    return rows.groupby("method")["step"].max()


def less(claim: str, rows: pd.DataFrame, better: str, worse: str, column: str) -> Verdict:
    """Has one method less of something than another, at the end of its chains? Chains of one number are paired.

    They make the same class, in equally many steps. Holds (fails) when the whole 95 % bootstrap interval over pairs of
    the mean difference, worse minus better, lies above (below) 0; it takes 20 pairs of finite numbers. Cannot tell
    where neither has any.

    Args:
        claim: in one sentence.
        rows: of one network, as `measured` gives them.
        better: the method that has less.
        worse: the other one.
        column: of what there is less, one of SHOWN.
    """
    steps = ends(rows)
    if steps[better] != steps[worse]:
        detail = f"{worse} ends after {steps[worse]} steps, {better} after {steps[better]}; equal ones are compared"
        return Verdict(claim, CANNOT_TELL, detail=detail)
    two = [rows[rows["method"] == method] for method in (better, worse)]
    pairs = two[0].merge(two[1], on=["sample", "label"], suffixes=("_better", "_worse"))
    sides = pairs[[f"{column}_worse", f"{column}_better"]].to_numpy(float)
    usable = sides[np.isfinite(sides).all(1)]
    n, (more, fewer) = len(usable), usable.T
    if n < FEWEST:
        return Verdict(claim, CANNOT_TELL, detail=f"{n} pairs of chains; {FEWEST} are the fewest")
    if not usable.any():
        return Verdict(claim, CANNOT_TELL, detail=f"{SHOWN[column]} is 0 in all {n} pairs, {worse} and {better}")
    about = f"mean {SHOWN[column]}, {worse} minus {better} ({more.mean():.3f} against {fewer.mean():.3f})"
    about += ", bootstrap over pairs of chains" + (f", {len(sides) - n} with a NaN left out" if n < len(sides) else "")
    return above_zero(claim, lambda drawn: (more - fewer)[drawn].mean(), n, about)
