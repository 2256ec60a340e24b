"""How long measuring takes: seconds an image by model and attack, from what was seen."""

from collections.abc import Iterable
from statistics import median

Pair = tuple[str, str]
"""model and attack"""


class Rates:
    """Seconds an image. What was not seen is told from the same attack on other models, scaled by the model's speed."""

    def __init__(self):
        self.seen: dict[Pair, tuple[int, float]] = {}

    def add(self, pair: Pair, images: int, seconds: float) -> None:
        """So many images took so long."""
        before = self.seen.get(pair, (0, 0.0))
        self.seen[pair] = before[0] + images, before[1] + seconds

    def rate(self, pair: Pair) -> float | None:
        """Seconds an image; None where nothing tells it."""
        if pair in self.seen:
            images, seconds = self.seen[pair]
            return seconds / images if images > 0 else None
        model, attack = pair
        known = {other: self.rate((other, attack)) for other, name in self.seen if name == attack}
        told = [rate * self._slower(model, other) for other, rate in known.items() if rate is not None]
        return median(told) if told else None

    def _slower(self, model: str, other: str) -> float:
        """How many times slower a model is than another, over the attacks seen on both; 1 where there are none."""
        ratios = []
        for name, attack in self.seen:
            mine, its = self.seen.get((model, attack)), self.seen.get((other, attack))
            if name == model and mine and its and min(mine[0], its[0], its[1]) > 0:
                ratios.append(mine[1] / mine[0] / (its[1] / its[0]))
        return median(ratios) if ratios else 1.0

    def left(self, missing: Iterable[tuple[Pair, int]]) -> float | None:
        """Seconds for so many images of each pair; where nothing is known, as slow as the mean of the others."""
        known, images, unknown = 0.0, 0, 0
        for pair, count in missing:
            rate = self.rate(pair)
            if rate is None:
                unknown += count
            else:
                known, images = known + rate * count, images + count
        if unknown == 0:
            return known
        mean = known / images if images else self._mean()
        return None if mean is None else known + unknown * mean

    def _mean(self) -> float | None:
        images = sum(count for count, _ in self.seen.values())
        return sum(seconds for _, seconds in self.seen.values()) / images if images > 0 else None


def spoken(seconds: float | None) -> str:
    """A time as people say it: `41 s`, `12 min`, `3.5 h`, `2.1 days`."""
    if seconds is None:
        return "unknown"
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
