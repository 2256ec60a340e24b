"""How far an attack moves a distribution of energies: effect sizes, and claims made of them.

Each claim's rule stands in its docstring and was written before its numbers were seen.
"""

import math

import numpy as np

from energylens.claims import CANNOT_TELL, FAILS, HOLDS, Verdict, bootstrap, wilson

FEWEST = 20
"""images that a claim about a distribution takes"""
OVERLAP = 0.2
"""two distributions overlap when their Kolmogorov-Smirnov distance is below this"""
MODE = 0.05
"""a mode holds at least this share of the images"""
BLIND = (0.4, 0.6)
"""AUROCs of a detector that sees next to nothing"""
DEEP = 0.5
"""between two modes the density falls below this share of the lower one"""


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


def valley(values: np.ndarray, first: np.ndarray) -> float:
    """How deep the density falls between two groups: its least value between their medians over the lower peak.

    1 or nearly so: one hump, however it was cut in two. 0: two humps with nothing between.
    """
    low, high = sorted((np.median(values[first]), np.median(values[~first])))
    spread = values[first].std() + values[~first].std()  # not of all values: two humps far apart stay sharp
    if spread == 0:
        return 0.0 if high > low else 1.0
    width = 0.45 * spread * len(values) ** -0.2  # Silverman's rule for the mean spread of the groups, halved
    at = np.linspace(values.min(), values.max(), 400)
    density = np.exp(-((at[:, None] - values) ** 2) / (2 * width**2)).mean(1)
    between = (at >= low) & (at <= high)
    if not between.any():
        return 1.0
    bottom = np.flatnonzero(between)[density[between].argmin()]
    return float(density[bottom] / min(density[: bottom + 1].max(), density[bottom:].max()))


def _finite(natural: np.ndarray, adversarial: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    usable = np.isfinite(natural + adversarial)
    return natural[usable], adversarial[usable]


def _too_few(claim: str, n: int) -> Verdict:
    return Verdict(claim, CANNOT_TELL, detail=f"{n} images; {FEWEST} are the fewest")


def decided(low: float, high: float, bottom: float, top: float) -> str:
    """Holds with the whole interval between bottom and top, fails with all of it outside."""
    if bottom < low and high < top:
        return HOLDS
    return FAILS if high <= bottom or low >= top else CANNOT_TELL


def shift(claim: str, natural: np.ndarray, adversarial: np.ndarray, up: bool) -> Verdict:
    """Does an attack raise (up) or lower an energy? Paired values of the same images.

    Holds (fails) when the whole 95 % bootstrap interval of the mean difference lies on the claimed
    (other) side of zero. Beside it: Kolmogorov-Smirnov distance, and AUROC of low energy as a detector.
    """
    natural, adversarial = _finite(natural, adversarial)
    if len(natural) < FEWEST:
        return _too_few(claim, len(natural))
    moved = adversarial - natural
    low, high = bootstrap(lambda rows: moved[rows].mean(), len(moved))
    outcome = decided(low, high, 0, math.inf) if up else decided(low, high, -math.inf, 0)
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
    natural, adversarial = _finite(natural, adversarial)
    if len(natural) < FEWEST:
        return _too_few(claim, len(natural))
    low, high = bootstrap(lambda rows: ks(natural[rows], adversarial[rows]), len(natural))
    detail = (
        f"KS distance, overlap below {OVERLAP}; mean at x* minus mean at x {np.mean(adversarial - natural):+.2f} nats, "
        f"AUROC of low energy {auroc(natural, adversarial):.3f}"
    )
    return Verdict(
        claim, decided(low, high, -math.inf, OVERLAP), ks(natural, adversarial), (low, high), len(natural), detail
    )


def share(claim: str, part: int, n: int, bottom: float, top: float, detail: str) -> Verdict:
    """Does a share of images lie between two bounds? Holds with its whole 95 % Wilson interval inside."""
    if n == 0:
        return Verdict(claim, CANNOT_TELL, detail=f"0 images; {detail}")
    low, high = wilson(part, n)
    return Verdict(claim, decided(low, high, bottom, top), part / n, (low, high), n, detail)


def blind(claim: str, natural: np.ndarray, adversarial: np.ndarray, detail: str) -> Verdict:
    """Is low energy no sign of an attack? Holds with AUROC's whole 95 % bootstrap interval in 0.4 to 0.6."""
    if len(natural) < FEWEST:
        return _too_few(claim, len(natural))
    low, high = bootstrap(lambda rows: auroc(natural[rows], adversarial[rows]), len(natural))
    return Verdict(claim, decided(low, high, *BLIND), auroc(natural, adversarial), (low, high), len(natural), detail)


def two_modes(claim: str, values: np.ndarray, first: np.ndarray, detail: str) -> Verdict:
    """Do values fall into two groups? `first` says which of them belong to the first.

    Holds when both groups hold 5 % of the images (the whole 95 % Wilson interval) and the density falls
    between them below half of the lower mode; fails when one holds less, or it does not fall so low.
    """
    usable = np.isfinite(values)
    values, first = values[usable], first[usable]
    if len(values) < FEWEST:
        return _too_few(claim, len(values))
    verdict = share(claim, int(first.sum()), len(values), MODE, 1 - MODE, detail)
    if min(first.sum(), (~first).sum()) < 2:
        return verdict
    depth = valley(values, first)
    means = f"means {values[first].mean():.2f} and {values[~first].mean():.2f}, valley at {depth:.2f} of the lower mode"
    outcome = FAILS if depth >= DEEP and verdict.outcome == HOLDS else verdict.outcome
    return Verdict(claim, outcome, verdict.number, verdict.interval, verdict.n, f"{detail}; {means}")
