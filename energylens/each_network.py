"""A claim about several networks, of paired chains: it holds when it holds for each of them."""

from dataclasses import dataclass

import numpy as np

from energylens.claims import CANNOT_TELL, FAILS, HOLDS, LEVEL, Verdict
from energylens.effects import FEWEST

DRAWS = 4000
"""more than elsewhere: intervals for several networks at once reach further into the tails"""


@dataclass(frozen=True)
class Gain:
    """The mean of one network's paired differences."""

    name: str
    values: np.ndarray
    draws: np.ndarray
    """[DRAWS] means of the bootstrap over pairs"""

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """That holds the mean with probability 1 - level."""
        low, high = np.quantile(self.draws, [level / 2, 1 - level / 2])
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.name} {self.values.mean():+.3f} [{low:.3f}, {high:.3f}]"


def above_zero(claim: str, differences: dict[str, np.ndarray], what: str, more: str = "") -> Verdict:
    """Is the mean of paired differences above zero for every network?

    Holds when each network's own 95 % bootstrap interval over pairs lies above 0. Fails when one lies below 0, widened
    for the number of networks (Bonferroni). Cannot tell otherwise, or where a network has fewer than 20 pairs, none of
    the others failing. The number is that of the network with the lowest interval, with it and the number of its pairs.

    Args:
        claim: in one sentence.
        differences: finite ones of each network.
        what: they are; each network's mean and interval follow.
        more: what the detail tells behind them.
    """
    short = {name: len(values) for name, values in differences.items() if len(values) < FEWEST}
    rng = np.random.default_rng(0)
    found = [_gain(name, values, rng) for name, values in differences.items() if name not in short]
    told = [str(gain) for gain in found] + [f"{name} {n} pairs; {FEWEST} are the fewest" for name, n in short.items()]
    detail = f"{what}: {', '.join(told)}" + (f"; {more}" if more else "")
    if not found:
        return Verdict(claim, CANNOT_TELL, detail=detail)
    wide = LEVEL / len(found)
    below = [gain for gain in found if gain.interval(wide)[1] < 0]
    above = all(gain.interval()[0] > 0 for gain in found) and not short
    outcome = FAILS if below else HOLDS if above else CANNOT_TELL
    least = min(below or found, key=Gain.interval)
    interval = least.interval(wide if outcome == FAILS else LEVEL)
    return Verdict(claim, outcome, float(least.values.mean()), interval, len(least.values), detail)


def _gain(name: str, values: np.ndarray, rng: np.random.Generator) -> Gain:
    n = len(values)
    return Gain(name, values, rng.multinomial(n, np.full(n, 1 / n), size=DRAWS) @ values / n)
