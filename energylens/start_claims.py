"""Claims about the starts and samplers that made images: one method against another, chain by chain."""

import numpy as np
import pandas as pd

from energylens.claims import CANNOT_TELL, Verdict, above_zero
from energylens.effects import FEWEST
from energylens.final_images import ended, roughness
from energylens.method_names import Parts, parts

SHOWN = {"roughness": "roughness", "off": "|E(x, y) - the class's mean| in nats"}


def measured(chains: pd.DataFrame) -> pd.DataFrame:
    """`ended`, with `roughness` and `off` = |E(x, y) - the class's mean| in nats; NaN for chains that became NaN."""
    rows = ended(chains)
    off = (rows["joint_energy"] - rows["reference"]).abs().where(rows["status"] != "nan")
    return rows.assign(roughness=rows["image"].map(roughness), off=off)


def named(rows: pd.DataFrame) -> dict[str, Parts]:
    """The frame's methods in their order, taken apart; those with other names are left out."""
    found = {method: parts(method) for method in dict.fromkeys(rows["method"].astype(str))}
    return {method: made for method, made in found.items() if made}


def less(claim: str, rows: pd.DataFrame, better: str, worse: str, column: str) -> Verdict:
    """Has one method less of something than another, at the end of its chains? Chains of one number are paired.

    They make the same class. Holds (fails) when the whole 95 % bootstrap interval over pairs of the mean difference,
    worse minus better, lies above (below) 0; it takes 20 pairs of finite numbers.

    Args:
        claim: in one sentence.
        rows: of one network, as `measured` gives them.
        better: the method that has less.
        worse: the other one.
        column: of what there is less, one of SHOWN.
    """
    two = [rows[rows["method"] == method] for method in (better, worse)]
    pairs = two[0].merge(two[1], on=["sample", "label"], suffixes=("_better", "_worse"))
    gains = (pairs[f"{column}_worse"] - pairs[f"{column}_better"]).to_numpy(float)
    finite = np.isfinite(gains)
    usable, pairs = gains[finite], pairs[finite]
    if len(usable) < FEWEST:
        return Verdict(claim, CANNOT_TELL, detail=f"{len(usable)} pairs of chains; {FEWEST} are the fewest")
    means = f"{pairs[f'{column}_worse'].mean():.3f} against {pairs[f'{column}_better'].mean():.3f}"
    about = f"mean {SHOWN[column]}, {worse} minus {better} ({means}), bootstrap over pairs of chains"
    about += f", {len(gains) - len(usable)} with a NaN left out" if len(usable) < len(gains) else ""
    return above_zero(claim, lambda drawn: usable[drawn].mean(), len(usable), about)
