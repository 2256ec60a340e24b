"""Lines that bend: continuous, straight between knots, fitted to a series by least squares."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Bent:
    """A continuous line of straight pieces."""

    knots: tuple[int, ...]
    """places of the measurements that it bends at"""
    offset: float
    """its height at the first knot; at the first measurement if it has none"""
    slopes: tuple[float, ...]
    """of its pieces, per unit of the steps"""
    errors: tuple[float, ...]
    """standard error of each bend, the slope behind it minus the one before it, in spreads of the measurements"""
    squares: float
    """sum of the squared residuals"""
    lag: float = 0.0
    """correlation of a residual with the one before it; 0 where that is negative"""


def bent(step: np.ndarray, values: np.ndarray, knots: np.ndarray) -> Bent:
    """The line of least squares that bends at the best of some sets of knots.

    Args:
        step: [N] where the values were measured, growing.
        values: [N] finite.
        knots: [C, m] sets of m places to bend at, each set growing; m may be 0. A set that leaves too few measurements
            for its pieces gives a singular matrix.
    """
    span = step[-1] - step[0]
    starts = step[knots] if knots.shape[1] else np.full((len(knots), 1), step[0])
    away = (step - starts[:, :1]) / span
    hinges = [np.maximum((step - starts[:, [at]]) / span, 0) for at in range(knots.shape[1])]
    design = np.stack([np.ones_like(away), away, *hinges], 2)  # [C, N, 2 + m]
    inverse = np.linalg.inv(design.swapaxes(1, 2) @ design)
    lines = (inverse @ design.swapaxes(1, 2) @ values[:, None])[..., 0]
    residuals = values - (design @ lines[..., None])[..., 0]
    squares = (residuals**2).sum(1)
    best = int(squares.argmin())
    offset, *bends = lines[best]
    slopes = tuple(float(slope / span) for slope in itertools.accumulate(bends))
    errors = tuple(float(error / span) for error in np.diagonal(inverse[best])[2:] ** 0.5)
    return Bent(tuple(map(int, knots[best])), float(offset), slopes, errors, float(squares[best]), lag(residuals[best]))


def lag(residuals: np.ndarray) -> float:
    """Correlation of a residual with the one before it, 0 at least."""
    squares = float(residuals @ residuals)
    return max(0.0, float(residuals[1:] @ residuals[:-1]) / squares) if squares > 0 else 0.0


def places(n: int, knots: int, apart: int) -> np.ndarray:
    """[C, knots] all sets of places among n measurements that leave so many steps to every piece."""
    inner = itertools.combinations(range(apart, n - apart), knots)
    sets = [places for places in inner if all(b - a >= apart for a, b in itertools.pairwise(places))]
    return np.array(sets, dtype=int).reshape(len(sets), knots)


def fits(step: np.ndarray, values: np.ndarray, knots: Iterable[int], apart: int) -> dict[int, Bent]:
    """The best line with each number of knots; numbers that the measurements have no room for are left out."""
    sets = {count: places(len(step), count, apart) for count in knots}
    return {count: _best(step, values, found) for count, found in sets.items() if len(found)}


def _best(step: np.ndarray, values: np.ndarray, knots: np.ndarray) -> Bent:
    """Some sets at a time: all pairs of 200 measurements would be 100 MB of designs."""
    some = np.array_split(knots, -(-len(knots) // 2000))
    return min((bent(step, values, part) for part in some), key=lambda fit: fit.squares)


def bic(fit: Bent, values: np.ndarray, floor: float) -> float:
    """Bayesian information criterion of a line: n log(mean squared innovation) + log n for each number fitted.

    An innovation is the part of a residual that the one before it does not tell (an autoregression of first order):
    their mean square is that of the residuals times 1 - lag^2. A random walk about a line so brings next to nothing for
    a kink, though a line that bends follows it more closely. Fitted are height, slopes and places of the knots.

    Args:
        fit: to the values.
        values: [N].
        floor: spread that the innovations have at least, so that a perfect line does not count without limit.

    Source: Schwarz 1978, for normal innovations of one unknown spread.
    """
    n = len(values)
    return n * math.log(max(fit.squares / n * (1 - fit.lag**2), floor**2)) + (2 + 2 * len(fit.knots)) * math.log(n)
