"""Claims about rank correlations: over images by the bootstrap, over classes by permutation."""

import math

import numpy as np
import pandas as pd

from energylens.claims import CANNOT_TELL, CLASSES, Verdict, above_zero, ranked, spearman
from energylens.effects import FEWEST

MOST = 5000
"""images that a bootstrap ranks anew in each draw (seconds); of more, the same random 5,000 are taken"""


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Linear correlation; NaN where one of them has a single value."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def usable(*columns: pd.Series) -> tuple[np.ndarray, ...]:
    """The columns as [N] numbers, without the rows where one of them is not finite; at most `MOST` of them."""
    values = np.column_stack([np.asarray(column, float) for column in columns])
    values = values[np.isfinite(values).all(1)]
    if len(values) > MOST:
        values = values[np.sort(np.random.default_rng(0).choice(len(values), MOST, replace=False))]
    return tuple(values.T)


def beyond(claim: str, a: pd.Series, b: pd.Series, sign: int, detail: str, size: float = 0) -> Verdict:
    """Is the rank correlation of two measures of images of this sign, and larger than a size?

    Holds (fails) when the whole 95 % bootstrap interval over images lies beyond (short of) `sign * size`.

    Args:
        claim: in one sentence.
        a: [N] one measure; rows where one of both is not finite are left out.
        b: [N] the other.
        sign: 1 or -1.
        detail: which measures, of which images.
        size: 0 for any correlation of that sign.
    """
    x, y = usable(a, b)
    short = _undecidable(claim, x, y)
    if short:
        return short
    verdict = above_zero(claim, lambda rows: sign * spearman(x[rows], y[rows]) - size, len(x), "")
    number, (first, last) = spearman(x, y), (sign * (bound + size) for bound in verdict.interval)
    detail = f"Spearman, bootstrap over images; Pearson {pearson(x, y):+.2f}; {detail}"
    return Verdict(claim, verdict.outcome, number, (min(first, last), max(first, last)), len(x), detail)


def stronger(claim: str, measure: pd.Series, first: pd.Series, second: pd.Series) -> Verdict:
    """Does a measure of images correlate more strongly with the first than with the second?

    Holds (fails) when the whole 95 % bootstrap interval over images of |Spearman| with the first minus |Spearman| with
    the second lies above (below) zero.
    """
    values, one, two = usable(measure, first, second)
    short = _undecidable(claim, values, one) or _undecidable(claim, values, two)
    if short:
        return short

    def lead(rows: np.ndarray, correlation=spearman) -> float:
        return abs(correlation(values[rows], one[rows])) - abs(correlation(values[rows], two[rows]))

    every = np.arange(len(values))
    pairs = [f"{how(values, one):+.3f} against {how(values, two):+.3f}" for how in (spearman, pearson)]
    detail = f"|Spearman| with the first minus with the second, bootstrap over images; Spearman {pairs[0]}, "
    detail += f"Pearson {pairs[1]}, their sizes' difference {lead(every, pearson):+.3f}"
    return above_zero(claim, lead, len(values), detail)


def rises_over_classes(claim: str, cause: pd.Series, effect: pd.Series, detail: str = "") -> Verdict:
    """Does a class's effect rise with its cause? Each is a number a class, in the same order.

    Holds (fails) when their rank correlation is positive (negative) and fewer than 5 % of all orders of the classes
    give one as far from 0.
    """
    a, b = usable(cause, effect)

    def told(p: float) -> str:
        return f"two-sided permutation p = {p:.2g}; Pearson {pearson(a, b):+.2f}{detail}"

    return ranked(claim, a, b, 1, CLASSES, told)


def _undecidable(claim: str, a: np.ndarray, b: np.ndarray) -> Verdict | None:
    """Why there is no correlation to speak of, if there is none."""
    if len(a) < FEWEST:
        return Verdict(claim, CANNOT_TELL, detail=f"{len(a)} images; {FEWEST} are the fewest")
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return Verdict(claim, CANNOT_TELL, detail=f"all {len(a)} images have the same value")
    return None
