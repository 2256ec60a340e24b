"""Drift of a training's images under its own attack, in the plane of E(x) and E(x, y): rows, and figure 1b-d's claims.

A claim takes the table and which epoch it is about: `first`, `middle` or `last`. Its units are images of one network:
its interval says nothing about other training seeds.
"""

from collections.abc import Callable
from functools import partial, update_wrapper

import numpy as np
import pandas as pd

from energylens import roles
from energylens.claims import CANNOT_TELL, FAILS, HOLDS, Claim, Verdict, bootstrap, spearman
from energylens.correlations import beyond
from energylens.effects import FEWEST, auroc
from energylens.errors import UserError
from energylens.table import NATURAL, pairs

FIRST, MIDDLE, LAST = "first", "middle", "last"


def of_run(drift: pd.DataFrame) -> pd.DataFrame:
    """One run's images under its own attack, beside the natural ones, at all epochs: SAT's run if there is one.

    Returns:
        Rows as of `table.pairs`, with `length`: that of the arrow from (E(x), E(x, y)) to (E(x*), E(x*, y)), in nats.
        Images whose energies are not finite are left out.

    Raises:
        UserError: the table has no attacked images.
    """
    sat = drift[drift["objective"] == "sat"]
    run = sat if len(sat) else drift
    run = run[run["model"] == run["model"].iloc[0]] if len(run) else run
    own = roles.of(run, roles.OWN)
    if own.empty:
        raise UserError("the table has no attacked images of a training; train with --energies-every 1")
    both = pairs(pd.concat([run[run["attack"] == NATURAL], own]))
    both["length"] = np.hypot(both["delta_energy"], both["delta_joint_energy"])
    return both[np.isfinite(both["length"])]


def epoch(rows: pd.DataFrame, at: str) -> int:
    """Which is meant: the first after the start, that nearest to half of the last (the earlier of two), or the last."""
    there = np.unique(rows["epoch"])
    if at == FIRST:
        return int(there[there >= 1].min(initial=there[-1]))
    wanted = there[-1] / (2 if at == MIDDLE else 1)
    return int(there[abs(there - wanted).argmin()])


def snapshot(drift: pd.DataFrame, at: str) -> pd.DataFrame:
    """The rows of `of_run` at one epoch."""
    rows = of_run(drift)
    return rows[rows["epoch"] == epoch(rows, at)]


def near_zero_loss_bends_more(drift: pd.DataFrame, at: str) -> Verdict:
    """Rank correlation of an image's natural cross-entropy with its |Delta E(x)|.

    Holds (fails) when its whole 95 % bootstrap interval over images lies below (above) zero.
    """
    claim = "the smaller an image's loss, the more its energy E(x) bends"
    return _correlates(claim, drift, at, "|Delta E(x)|", lambda rows: rows["delta_energy"].abs(), sign=-1)


def low_loss_is_high_energy(drift: pd.DataFrame, at: str) -> Verdict:
    """The paper's "low loss correspond to high energy samples": rank correlation of natural cross-entropy with E(x).

    Holds (fails) when its whole 95 % bootstrap interval over images lies below (above) zero. CE = E(x, y) - E(x) holds
    -E(x) itself, which alone pulls it below zero.
    """
    return _correlates("images of low loss have high E(x)", drift, at, "E(x)", _energy, sign=-1)


def low_energy_overfits(drift: pd.DataFrame, at: str) -> Verdict:
    """The paper's "low-energy samples tend to overfit": the opposite rule for the same correlation.

    Holds (fails) when its whole 95 % bootstrap interval over images lies above (below) zero.
    """
    return _correlates("images of low E(x) have low loss, as if overfitted", drift, at, "E(x)", _energy, sign=1)


def attacks_succeed_at_high_energy(drift: pd.DataFrame, at: str) -> Verdict:
    """AUROC of high natural E(x) for "the attack succeeded", among the images that were right before it.

    Holds (fails) when its whole 95 % bootstrap interval over images lies above (below) 0.5; cannot tell with fewer
    than 20 images that it broke, or that it did not break.
    """
    claim = "attacks succeed at high E(x)"
    rows = snapshot(drift, at)
    right = rows[rows["pred_natural"] == rows["label"]]
    energy, broken = right["energy_natural"].to_numpy(float), (right["pred"] != right["label"]).to_numpy()
    where = f"epoch {epoch(rows, LAST)}: {broken.sum()} of {len(right)} images that were right were broken"
    if min(broken.sum(), (~broken).sum()) < FEWEST:
        return Verdict(claim, CANNOT_TELL, detail=f"{where}; {FEWEST} of each kind are the fewest")

    def high_finds_broken(at: np.ndarray) -> float:
        return auroc(energy[at][broken[at]], energy[at][~broken[at]])

    low, high = bootstrap(high_finds_broken, len(right))
    outcome = HOLDS if low > 0.5 else FAILS if high < 0.5 else CANNOT_TELL
    return Verdict(claim, outcome, high_finds_broken(np.arange(len(right))), (low, high), len(right), f"AUROC, {where}")


def claims(at: str) -> tuple[Claim, ...]:
    """All of them, about one epoch."""
    found = (near_zero_loss_bends_more, attacks_succeed_at_high_energy, low_loss_is_high_energy, low_energy_overfits)
    return tuple(update_wrapper(partial(claim, at=at), claim) for claim in found)


def _energy(rows: pd.DataFrame) -> pd.Series:
    return rows["energy_natural"]


def _correlates(
    claim: str, drift: pd.DataFrame, at: str, what: str, measure: Callable[[pd.DataFrame], pd.Series], sign: int
) -> Verdict:
    rows = of_run(drift)
    chosen = epoch(rows, at)
    now = rows[rows["epoch"] == chosen]
    detail = f"natural CE with {what} at epoch {chosen}"
    if at == LAST and sign < 0:  # once is enough: each list holds for all three figures, and for both of two opposites
        detail += f"; by epoch: {', '.join(_course(rows, measure))}"
    return beyond(claim, now["ce_natural"], measure(now), sign, detail)


def _course(rows: pd.DataFrame, measure: Callable[[pd.DataFrame], pd.Series]) -> list[str]:
    """The rank correlation with natural cross-entropy at every measured epoch."""
    return [
        f"{number} {spearman(now['ce_natural'].to_numpy(), measure(now).to_numpy()):+.2f}"
        for number, now in rows.groupby("epoch")
    ]
