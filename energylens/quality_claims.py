"""A claim that some generated images score better than others, in every feature space, over seeds. No torch."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pandas as pd

from energylens import scores
from energylens.claims import CANNOT_TELL, FAILS, HOLDS, LEVEL, Verdict
from energylens.quality_rows import MEASURES, blocks, count, is_standard, rows
from energylens.scores import ABOVE, BELOW, NONE, SINGLE, Difference

LOWER = ("fid",)
"""measures that are better when lower; of the others, more is better"""
WORDS = {ABOVE: "better", BELOW: "worse", SINGLE: "one seed"}
MOST = 4
"""comparisons that are all told; of more, those that are not better, and how many are"""


@dataclass(frozen=True)
class Pair:
    """Two methods' rows of one block; the first is to score better."""

    ours: pd.DataFrame
    theirs: pd.DataFrame
    chosen_from: int = 1
    """how many rows ours was chosen from for its mean: its interval is widened for all of them"""

    def compared(self, measure: str, level: float = LEVEL) -> Difference:
        """How much better ours is, at a level; negative when it is worse."""
        ours, theirs = (side[measure].dropna().to_numpy(float) for side in (self.ours, self.theirs))
        better, worse = (theirs, ours) if measure in LOWER else (ours, theirs)
        return scores.compare(better, worse, level)

    def told(self, measure: str) -> str:
        """`SAT, eq7-pca 12.3 against SAT, eq7-random 40.1, better`."""
        sides = [f"{side['label'].iloc[0]} {side[measure].mean():.4g}" for side in (self.ours, self.theirs)]
        verdict = self.compared(measure, LEVEL / self.chosen_from).verdict
        chosen = f" (the best of {self.chosen_from})" if self.chosen_from > 1 else ""
        return f"{sides[0]}{chosen} against {sides[1]}, {WORDS.get(verdict, verdict or 'no score')}"


Choose = Callable[[pd.DataFrame], Iterable[Pair]]
"""rows of a block -> what is to be compared there"""


def better(claim: str, frame: pd.DataFrame, choose: Choose, measure: str = "fid") -> Verdict:
    """Does the first of each pair score better than the second, in every feature space and on every data set?

    Holds when every block has a pair, and in each of them Welch's 95 % interval of the difference over seeds lies on
    the better side of 0. Fails when in one the interval that is wide enough for all of them at once (Bonferroni) lies
    on the worse side. Cannot tell otherwise: a tie, one seed on a side, no score, or a block without such a pair. The
    number is the smallest gain of those that decided, in the measure's units, negative when worse, with the interval
    that decided; n is how many sets of images (a row, method and seed in a block) all comparisons rest on.

    Args:
        claim: in one sentence.
        frame: scores, as `quality_rows.rows` takes them.
        choose: the pairs of a block.
        measure: `fid` or `is_mean`.
    """
    found = {title: list(choose(block)) for title, block in blocks(rows(frame))}
    pairs = [pair for of_block in found.values() for pair in of_block]
    each = [pair.compared(measure, LEVEL / pair.chosen_from) for pair in pairs]
    detail = "; ".join([f"gain in {MEASURES[measure]}", *_details(found, measure)]) if found else "no scores"
    made = sum(one.verdict != NONE for one in each)
    below = [one for pair in pairs if (one := pair.compared(measure, LEVEL / max(1, made))).verdict == BELOW]
    everywhere = bool(found) and all(found.values()) and {one.verdict for one in each} == {ABOVE}
    outcome = FAILS if below else HOLDS if everywhere else CANNOT_TELL
    told = below or [one for one in each if one.verdict not in (ABOVE, NONE)] or [one for one in each if one.verdict]
    if not told:
        return Verdict(claim, CANNOT_TELL, detail=detail)
    least = min(told, key=lambda one: one.number)
    if below and made > 1:
        detail += f"; the interval in front is that of {made} comparisons at once"
    used = pd.concat([side for pair in pairs for side in (pair.ours, pair.theirs)])
    n = int(used[measure].notna().groupby(level=0).first().sum())
    return Verdict(claim, outcome, least.number, (least.low, least.high), n, detail)


def _details(found: dict[str, list[Pair]], measure: str) -> Iterator[str]:
    """Of each block its images and what was compared there."""
    for title, pairs in found.items():
        if not pairs:
            yield f"{title}: no such pair"
            continue
        images = count(pd.concat([side["n"] for pair in pairs for side in (pair.ours, pair.theirs)]))
        yield f"{title}, {images} images: {'; '.join(_told(pairs, measure))}"


def _told(pairs: list[Pair], measure: str) -> list[str]:
    if len(pairs) <= MOST:
        return [pair.told(measure) for pair in pairs]
    gains = {place: pair.compared(measure, LEVEL / pair.chosen_from) for place, pair in enumerate(pairs)}
    above = [place for place, one in gains.items() if one.verdict == ABOVE]
    least = min(above, key=lambda place: gains[place].number) if above else None
    told = [pair.told(measure) for place, pair in enumerate(pairs) if place not in above or place == least]
    return [*told, f"{len(above)} of {len(pairs)} better"]


def ways(of_rows: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each model and method, seeds together."""
    return [found for _, found in of_rows.groupby("label", sort=False)]


def of_starts(ours: str, theirs: str) -> Choose:
    """Two starts on the same robust network.

    With the same sampler where it has both starts, else with every sampler that it has them with: then the two differ
    in the sampler too, which the detail shows.
    """

    def choose(block: pd.DataFrame) -> Iterator[Pair]:
        for _, found in block[~block["model"].map(is_standard)].groupby("network", sort=False):
            first, second = (ways(found[found["start"] == start]) for start in (ours, theirs))
            every = [Pair(a, b) for a in first for b in second]
            same = [pair for pair in every if pair.ours["sampler"].iloc[0] == pair.theirs["sampler"].iloc[0]]
            yield from same or every

    return choose
