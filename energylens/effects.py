"""How far an attack moves a distribution of energies: effect sizes, and claims made of them.

Each claim's rule stands in its docstring and was written before its numbers were seen.
"""

import math
from collections.abc import Callable

import numpy as np

from energylens.claims import CANNOT_TELL, FAILS, HOLDS, Verdict, wilson

DRAWS = 1000
OVERLAP = 0.2
"""two distributions overlap when their Kolmogorov-Smirnov distance is below this"""
MODE = 0.05
"""a mode holds at least this share of the images"""
APART = 2.0
"""two modes are this far apart at least, by Ashman's D"""


def ks(a: np.ndarray, b: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance of two samples: the largest gap between their distribution functions, 0 to 1."""
    at = np.sort(np.concatenate([a, b]))
    below = [np.searchsorted(np.sort(sample), at, side="right") / len(sample) for sample in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def auroc(natural: np.ndarray, adversarial: np.ndarray) -> float:
    """Chance that an attacked image has lower energy than a natural one: the detector "low E(x) is an attack".

    1 finds every attack, 0.5 none, 0 finds them by high energy instead. Ties count half.
    """
    order = np.sort(natural)
    above = len(order) - np.searchsorted(order, adversarial, side="right")
    ties = np.searchsorted(order, adversarial, side="right") - np.searchsorted(order, adversarial, side="left")
    return float((above + ties / 2).mean() / len(order))


def ashman(a: np.ndarray, b: np.ndarray) -> float:
    """Ashman's D of two groups: sqrt(2) |mean - mean| / sqrt(var + var); above 2 they are apart (Ashman 1994)."""
    spread = math.sqrt(a.var() + b.var())
    return math.sqrt(2) * abs(a.mean() - b.mean()) / spread if spread > 0 else math.inf


def _interval(statistic: Callable[[np.ndarray], float], n: int) -> tuple[float, float]:
    """95 % bootstrap interval over images."""
    rng = np.random.default_rng(0)
    draws = [statistic(rng.integers(n, size=n)) for _ in range(DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _decided(low: float, high: float, bottom: float, top: float) -> str:
    """Holds with the whole interval between bottom and top, fails with all of it outside."""
    if bottom < low and high < top:
        return HOLDS
    return FAILS if high <= bottom or low >= top else CANNOT_TELL


def shift(claim: str, natural: np.ndarray, adversarial: np.ndarray, up: bool) -> Verdict:
    """Does an attack raise (up) or lower an energy? Paired values of the same images.

    Holds (fails) when the whole 95 % bootstrap interval of the mean difference lies on the claimed
    (other) side of zero. Beside it: Kolmogorov-Smirnov distance, and AUROC of low energy as a detector.
    """
    usable = np.isfinite(natural + adversarial)
    natural, adversarial = natural[usable], adversarial[usable]
    if len(natural) < 2:
        return Verdict(claim, CANNOT_TELL, detail=f"{len(natural)} images")
    moved = adversarial - natural
    low, high = _interval(lambda rows: moved[rows].mean(), len(moved))
    outcome = _decided(low, high, 0, math.inf) if up else _decided(low, high, -math.inf, 0)
    detail = (
        f"mean at x* minus mean at x, nats; KS distance {ks(natural, adversarial):.3f}, "
        f"AUROC of low energy {auroc(natural, adversarial):.3f}"
    )
    return Verdict(claim, outcome, float(moved.mean()), (low, high), len(moved), detail)


def overlap(claim: str, natural: np.ndarray, adversarial: np.ndarray) -> Verdict:
    """Do two samples of the same images lie on each other?

    Holds (fails) when the whole 95 % bootstrap interval of their Kolmogorov-Smirnov distance lies below
    (above) 0.2.
    """
    usable = np.isfinite(natural + adversarial)
    natural, adversarial = natural[usable], adversarial[usable]
    if len(natural) < 2:
        return Verdict(claim, CANNOT_TELL, detail=f"{len(natural)} images")
    low, high = _interval(lambda rows: ks(natural[rows], adversarial[rows]), len(natural))
    detail = (
        f"KS distance, overlap below {OVERLAP}; mean at x* minus mean at x {np.mean(adversarial - natural):+.2f} nats, "
        f"AUROC of low energy {auroc(natural, adversarial):.3f}"
    )
    return Verdict(
        claim, _decided(low, high, -math.inf, OVERLAP), ks(natural, adversarial), (low, high), len(natural), detail
    )


def share(claim: str, part: int, n: int, bottom: float, top: float, detail: str) -> Verdict:
    """Does a share of images lie between two bounds? Holds with its whole 95 % Wilson interval inside."""
    if n == 0:
        return Verdict(claim, CANNOT_TELL, detail=f"0 images; {detail}")
    low, high = wilson(part, n)
    return Verdict(claim, _decided(low, high, bottom, top), part / n, (low, high), n, detail)


def two_modes(claim: str, values: np.ndarray, first: np.ndarray, detail: str) -> Verdict:
    """Do values fall into two groups? `first` says which of them belong to the first.

    Holds when both groups hold 5 % of the images (the whole 95 % Wilson interval) and lie apart by
    Ashman's D of 2; fails when one holds less, or they do not lie apart.
    """
    usable = np.isfinite(values)
    values, first = values[usable], first[usable]
    verdict = share(claim, int(first.sum()), len(values), MODE, 1 - MODE, detail)
    if min(first.sum(), (~first).sum()) < 2:
        return verdict
    apart = ashman(values[first], values[~first])
    means = f"means {values[first].mean():.2f} and {values[~first].mean():.2f}, Ashman's D {apart:.2f}"
    outcome = FAILS if apart < APART and verdict.outcome == HOLDS else verdict.outcome
    return Verdict(claim, outcome, verdict.number, verdict.interval, verdict.n, f"{detail}; {means}")
