"""Chains of generated images in numbers: how soon pixels saturate, and E(x, y) is as low as that of real images.

The paper speaks of the intensity of generated images without measuring it; these measures are ours. A frame of chains
has one row a network, method, chain and recorded step; a pixel is saturated where it is stored as 0 or 255. No torch.
"""

import math

import numpy as np
import pandas as pd

from energylens.method_names import parts, setting
from energylens.plots import methods

CHAIN = ["model", "method", "sample"]


def finished(chains: pd.DataFrame) -> pd.DataFrame:
    """The rows of chains with finite energies at all recorded steps."""
    broken = (chains["status"] == "nan") | ~np.isfinite(chains["energy"] + chains["joint_energy"])
    return chains[~broken.groupby([chains[name] for name in CHAIN], observed=True).transform("any")]


def number(chains: pd.DataFrame) -> int:
    """How many chains a frame has."""
    return len(chains[CHAIN].drop_duplicates())


def lost(chains: pd.DataFrame) -> str:
    """`3 of 100 chains became NaN`; empty where none did."""
    there, left = number(chains), number(finished(chains))
    return f"{there - left} of {there} chains became NaN" if left < there else ""


def states(chains: pd.DataFrame) -> pd.DataFrame:
    """The rows of finished chains by step, with `above` = E(x, y) - reference in nats, and `confidence` = p(y|x)."""
    rows = finished(chains).sort_values("step", kind="stable")
    return rows.assign(above=rows["joint_energy"] - rows["reference"], confidence=np.exp(-rows["ce"]))


def of_chains(chains: pd.DataFrame) -> pd.DataFrame:
    """One row a finished chain, indexed by network, method and number.

    Columns:
        start_above, above: E(x, y) minus the mean of its class's training images at the first and last step, nats.
        reached: the first recorded step at which E(x, y) is as low as that mean; NaN where it never is.
        saturated: share of saturated pixels at the last step.
        saturation: mean over the recorded steps of that share, minus the one at the first step.
        halfway: the first recorded step at which the share has made half of its way from its lowest value, which noise
            brings soon after the start, to its last; NaN where it does not rise.
        sated: the first recorded step at which the share is at least half that of training images; inf where it never
            is.
        confidence: p(y|x) at the last step.
    """
    rows = states(chains)
    groups = rows.groupby(CHAIN, observed=True)
    first, last = groups[["above", "saturated"]].first(), groups[["above", "saturated", "confidence"]].last()
    lowest, end = groups["saturated"].transform("min"), groups["saturated"].transform("last")
    fallen = (rows["saturated"] == lowest).groupby([rows[name] for name in CHAIN], observed=True).cummax()
    half = fallen & (end > lowest) & (rows["saturated"] >= (lowest + end) / 2)

    def since(there: pd.Series) -> pd.Series:
        return rows[there].groupby(CHAIN, observed=True)["step"].min().reindex(last.index)

    return last.assign(
        start_above=first["above"],
        reached=since(rows["above"] <= 0),
        saturation=groups["saturated"].mean() - first["saturated"],
        halfway=since(half),
        sated=since(rows["saturated"] >= rows["reference_saturated"] / 2).fillna(math.inf),
    )


def summary(chains: pd.DataFrame) -> pd.DataFrame:
    """One row a network and method: `chains` that are finished, `nan`, and what `of_chains` tells of them.

    `reached` is the share of chains that get to the mean E(x, y) of their class, `steps` the median of the steps that
    it takes them (inf where fewer than half do), `halfway` likewise; the other columns are means.
    """
    each = of_chains(chains)
    groups = each.groupby(["model", "method"], observed=True)
    by_setting = chains.groupby(["model", "method"], observed=True)
    finished_chains, all_chains = groups.size(), by_setting["sample"].nunique()
    means = groups[["saturated", "saturation", "above", "confidence"]].mean()
    made = means.assign(
        reached=each["reached"].notna().groupby(["model", "method"], observed=True).mean(),
        steps=groups["reached"].agg(median_steps),
        halfway=groups["halfway"].agg(median_steps),
    ).reindex(all_chains.index)
    counts = finished_chains.reindex(all_chains.index, fill_value=0)
    return made.assign(chains=counts, nan=all_chains - counts)


def median_steps(steps: pd.Series) -> float:
    """The median over chains, where NaN is never: inf unless half of them get there."""
    return float(np.median(steps.fillna(math.inf))) if len(steps) else math.nan


def objective(model: str) -> str:
    """The trainer that a network's display name tells, as a key: `SAT`, `demo:sat` -> `sat`; `WEAT_ADV` -> `weat-adv`.

    A name that tells none comes back in this form too.
    """
    return model.rpartition(":")[2].lower().replace("_", "-")


def network(chains: pd.DataFrame, wanted: str) -> str | None:
    """The one network of a trainer, such as `sat`; None if the frame has none, or several."""
    found = [str(name) for name in chains["model"].unique() if objective(str(name)) == wanted]
    return found[0] if len(found) == 1 else None


def missing(chains: pd.DataFrame, *wanted: str) -> str:
    """Which trainers have not exactly one network in the frame, in one sentence; empty where all have."""
    lacking = [methods.label(name) for name in wanted if network(chains, name) is None]
    return f"the table has not one network named {' and one named '.join(lacking)}" if lacking else ""


def driven(chains: pd.DataFrame) -> str:
    """The first method with momentum; the first of all where none has one."""
    return driven_by_start(chains)[0]


def driven_by_start(chains: pd.DataFrame) -> list[str]:
    """The first method with momentum from each start; the first of all methods where none has one."""
    names = [str(name) for name in chains["method"].unique()]
    found: dict[str, str] = {}
    for name in names:
        if setting(name).momentum > 0:
            made = parts(name)
            found.setdefault(made.start if made else name, name)
    return list(found.values()) or names[:1]


def rivals(chains: pd.DataFrame, compensated: bool) -> tuple[str, str] | None:
    """The first method with momentum, and the same method without it; None if the frame has no such two.

    Args:
        chains: the frame.
        compensated: whether plain SGLD's step size is that of momentum divided by 1 - momentum, the step that a
            constant gradient makes with momentum in the end, or the same.
    """
    found = {str(name): setting(str(name)) for name in chains["method"].unique()}
    for name, one in found.items():
        if not 0 < one.momentum < 1:
            continue
        step = one.step_size / ((1 - one.momentum) if compensated else 1)
        for rival, other in found.items():
            if other.momentum == 0 and other.rest == one.rest and math.isclose(other.step_size, step):
                return name, rival
    return None
