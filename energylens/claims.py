"""A claim of the paper as code: a function of tables that returns a Verdict.

A figure lists its claims in `CLAIMS`; each takes the figure's tables by name. What would count for
and against is written in the code before the numbers are seen.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

HOLDS, FAILS, CANNOT_TELL = "holds", "fails", "cannot tell"
LEVEL = 0.05
"""a claim is decided when the chance of the opposite is below this"""
Z95 = NormalDist().inv_cdf(0.975)
MODELS, CLASSES = ("model", "models"), ("class", "classes")


@dataclass(frozen=True)
class Verdict:
    """What a table says about a claim."""

    claim: str
    """the claim in one sentence"""
    outcome: str
    """`holds`, `fails` or `cannot tell`"""
    number: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    """95 %"""
    n: int = 0
    """how many units (models, images) the number rests on"""
    detail: str = ""

    def __str__(self) -> str:
        low, high = self.interval
        interval = "" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]"
        numbers = f"{self.number:.3f}{interval}, n = {self.n}; " if self.n else ""
        return f"{self.outcome:<11} {self.claim} ({numbers}{self.detail})"


Claim = Callable[..., Verdict]


def wilson(successes: int, n: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927)."""
    center = (successes + Z95**2 / 2) / (n + Z95**2)
    half = Z95 / (n + Z95**2) * math.sqrt(successes * (n - successes) / n + Z95**2 / 4)
    return max(0.0, center - half), min(1.0, center + half)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation, ties at their mean rank."""
    return _pearson(pd.Series(a).rank().to_numpy(), pd.Series(b).rank().to_numpy())


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt((a @ a) * (b @ b))
    return float(a @ b) / size if size > 0 else math.nan


def permutation_p(a: np.ndarray, b: np.ndarray, seed: int = 0) -> float:
    """How often chance gives a rank correlation as far from 0 as that of a and b (two-sided).

    All orders of b up to 8 values, 100,000 random ones above.
    """
    ranks_a, ranks_b = pd.Series(a).rank().to_numpy(), pd.Series(b).rank().to_numpy()
    if len(a) <= 8:
        orders = np.array(list(itertools.permutations(ranks_b)))
    else:
        rng = np.random.default_rng(seed)
        orders = np.vstack([ranks_b, rng.permuted(np.tile(ranks_b, (99_999, 1)), axis=1)])
    centred = ranks_a - ranks_a.mean()  # the correlation is proportional to these sums
    return float((abs(orders @ centred) >= abs(ranks_b @ centred) - 1e-9).mean())


def spearman_interval(rho: float, n: int) -> tuple[float, float]:
    """95 % interval of a rank correlation (Bonett and Wright 2000, eq. 3); none (NaN) for a perfect one."""
    if abs(rho) == 1:
        return (math.nan, math.nan)
    center, half = math.atanh(rho), Z95 * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return math.tanh(center - half), math.tanh(center + half)


def falls_with(claim: str, cause: pd.Series, effect: pd.Series, units: tuple[str, str] = MODELS) -> Verdict:
    """Does the effect fall as the cause grows, over models? By rank correlation and permutation.

    Holds (fails) when the correlation is negative (positive) and fewer than 5 % of all orders of the
    models give one as far from 0.

    Args:
        claim: in one sentence.
        cause: one number a unit.
        effect: one number a unit, with the same index; units that lack one of both are left out.
        units: what one of them is called, and several.
    """
    both = pd.concat([cause, effect], axis=1, keys=["cause", "effect"]).dropna()
    a, b = both["cause"].to_numpy(), both["effect"].to_numpy()
    return ranked(claim, a, b, -1, units, lambda p: f"two-sided permutation p = {p:.4f}")


def ranked(
    claim: str, a: np.ndarray, b: np.ndarray, sign: int, units: tuple[str, str], told: Callable[[float], str]
) -> Verdict:
    """Is the rank correlation of two measures of some units of this sign? By permutation.

    Holds (fails) when it is of this (the other) sign and fewer than 5 % of all orders of the units give one as far
    from 0.

    Args:
        claim: in one sentence.
        a: one number a unit, all finite.
        b: the other.
        sign: 1 or -1.
        units: what one of them is called, and several.
        told: the detail behind `Spearman over UNITS`, from p.
    """
    (one, several), n = units, len(a)
    if n < 5:  # of the 24 orders of 4 units, 2 are as far from 0 as a perfect one: p = 0.083
        few = f"{n} {one if n == 1 else several}"
        return Verdict(claim, CANNOT_TELL, detail=f"{few}; 5 are the fewest that could decide it")
    rho = spearman(a, b)
    if math.isnan(rho):
        return Verdict(claim, CANNOT_TELL, detail=f"all {n} {several} have the same value")
    p = permutation_p(a, b)
    outcome = CANNOT_TELL if p >= LEVEL else HOLDS if sign * rho > 0 else FAILS
    return Verdict(claim, outcome, rho, spearman_interval(rho, n), n, f"Spearman over {several}, {told(p)}")


def bootstrap(statistic: Callable[[np.ndarray], float], n: int, seed: int = 0) -> tuple[float, float]:
    """95 % interval of a statistic of images, which is given the rows of each of 1,000 draws."""
    rng = np.random.default_rng(seed)
    draws = [statistic(rng.integers(n, size=n)) for _ in range(1000)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def above_zero(claim: str, statistic: Callable[[np.ndarray], float], n: int, detail: str, seed: int = 0) -> Verdict:
    """Is a statistic of images above zero? By the bootstrap over images (1,000 draws).

    Holds (fails) when the whole 95 % interval lies above (below) zero.
    """
    if n < 2:
        return Verdict(claim, CANNOT_TELL, detail=f"{n} images")
    low, high = bootstrap(statistic, n, seed)
    outcome = HOLDS if low > 0 else FAILS if high < 0 else CANNOT_TELL
    return Verdict(claim, outcome, statistic(np.arange(n)), (low, high), n, detail)
