"""A claim that some generated images score better than others, in every feature space, over seeds. No torch."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from energylens import families, scores
from energylens.claims import CANNOT_TELL, FAILS, HOLDS, LEVEL, Verdict, wilson
from energylens.families import ROBUST
from energylens.quality_rows import MEASURES, PERCENT, UNTOUCHED, blocks, count, rows, short_titles
from energylens.scores import ABOVE, BELOW, NONE, SINGLE, TIE, Difference

LOWER = ("fid", "kid")
"""measures that are better when lower; of the others, more is better"""
WORDS = {ABOVE: "better", BELOW: "worse", SINGLE: "one seed"}
MOST = 2
"""comparisons of a block that are all told; of more, the least gain, and how many are better"""


@dataclass(frozen=True)
class Pair:
    """Two methods' rows of one block; the first is to score better."""

    ours: pd.DataFrame
    theirs: pd.DataFrame
    chosen_from: int = 1
    """how many rows ours was chosen from for its mean: its interval is widened for all of them"""
    margin: float = 0.0
    """percent of theirs by which ours may be worse; gains are then in percent of theirs"""
    refused: str = ""
    """why the two do not compare"""

    def compared(self, measure: str, level: float = LEVEL) -> Difference:
        """How much better ours is, at a level; negative when it is worse."""
        ours, theirs = (side[measure].dropna().to_numpy(float) for side in (self.ours, self.theirs))
        if self.refused:
            return Difference(math.nan, math.nan, math.nan, NONE)
        better, worse = (theirs, ours) if measure in LOWER else (ours, theirs)
        if not self.margin or not len(ours) or not len(theirs):
            return scores.compare(better, worse, level)
        percent = theirs.mean() / 100
        made = scores.compare(better / percent, worse / percent, level)
        if made.verdict == SINGLE:
            return made
        verdict = ABOVE if made.low > -self.margin else BELOW if made.high < -self.margin else TIE
        return Difference(made.number, made.low, made.high, verdict)

    def told(self, measure: str) -> str:
        """`SAT, PCA 12.3 against SAT, noise 40.1, better`."""
        ours, theirs = (f"{side['short'].iloc[0]} {side[measure].mean():.4g}" for side in (self.ours, self.theirs))
        verdict = self.compared(measure, LEVEL / self.chosen_from).verdict
        chosen = f" (the best of {self.chosen_from})" if self.chosen_from > 1 else ""
        return f"{ours}{chosen} against {theirs}, {self.refused or WORDS.get(verdict, verdict or 'no score')}"


Choose = Callable[[pd.DataFrame], Iterable[Pair]]
"""rows of a block -> what is to be compared there"""


def better(claim: str, frame: pd.DataFrame, choose: Choose, measure: str = "fid") -> Verdict:
    """Does the first of each pair score better than the second, in every feature space and on every data set?

    Holds when every block has a pair, and in each of them Welch's 95 % interval of the difference over seeds lies on
    the better side of 0 (of minus the pair's margin). Fails when in one the interval that is wide enough for all of
    them at once (Bonferroni) lies on the worse side. Cannot tell otherwise: a tie, one seed on a side, no score, a
    block without such a pair, or with a pair that does not compare. The number is the smallest gain of those that
    decided, in the measure's units, negative when worse, with the interval that decided; n is how many sets of images
    (a row, method and seed in a block) all comparisons rest on. Networks of which nothing is known are named.

    Args:
        claim: in one sentence.
        frame: scores, as `quality_rows.rows` takes them.
        choose: the pairs of a block.
        measure: a column of the scores.
    """
    scored = rows(frame)
    short = short_titles(scored)
    found = {short[title]: list(choose(block)) for title, block in blocks(scored)}
    pairs = [pair for of_block in found.values() for pair in of_block]
    each = [pair.compared(measure, LEVEL / pair.chosen_from) for pair in pairs]
    detail = "; ".join(filter(None, [_details(found, measure), families.strangers(scored.query("kind != @UNTOUCHED"))]))
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
    used = pd.concat([side for pair in pairs if not pair.refused for side in (pair.ours, pair.theirs)])
    n = int(used[measure].notna().groupby(level=0).first().sum())
    return Verdict(claim, outcome, least.number, (least.low, least.high), n, detail)


def _details(found: dict[str, list[Pair]], measure: str) -> str:
    """What the gain is in, of how many images, and what was compared in each block."""
    percent = any(pair.margin for pairs in found.values() for pair in pairs)
    unit = f"gain in {MEASURES[measure]}" + (", percent of theirs" * percent or ", percent" * (measure in PERCENT))
    sides = [side["n"] for pairs in found.values() for pair in pairs for side in (pair.ours, pair.theirs)]
    told = [f"{title}: {_told(pairs, measure) if pairs else 'no such pair'}" for title, pairs in found.items()]
    images = [f"{count(pd.concat(sides))} images a row"] if sides else []
    return "; ".join([unit, *images, *told]) if found else "no scores"


def _told(pairs: list[Pair], measure: str) -> str:
    if len(pairs) <= MOST:
        return "; ".join(pair.told(measure) for pair in pairs)
    gains = {place: pair.compared(measure, LEVEL / pair.chosen_from) for place, pair in enumerate(pairs)}
    scored = [place for place, one in gains.items() if one.verdict != NONE]
    least = pairs[min(scored, key=lambda place: gains[place].number)] if scored else pairs[0]
    above = sum(one.verdict == ABOVE for one in gains.values())
    return f"{above} of {len(pairs)} better, the least {least.told(measure)}"


def ways(of_rows: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each model and method, seeds together."""
    return [found for _, found in of_rows.groupby("label", sort=False)]


def robust(block: pd.DataFrame) -> pd.DataFrame:
    """The rows of robust networks."""
    return block[block["kind"] == ROBUST]


def of_starts(ours: str, theirs: str) -> Choose:
    """Two starts of one robust network with one and the same sampler, its settings too."""

    def choose(block: pd.DataFrame) -> Iterator[Pair]:
        for _, found in robust(block).groupby(["network", "sampler"], sort=False):
            first, second = (ways(found[found["start"] == start]) for start in (ours, theirs))
            yield from (Pair(a, b) for a in first for b in second)

    return choose


def of_equal_steps(pairs: Iterable[Pair]) -> list[Pair]:
    """Those whose samplers take equally many steps; where none do, the first, refused for that."""
    every = list(pairs)
    steps = [(pair.ours["steps"].iloc[0], pair.theirs["steps"].iloc[0]) for pair in every]
    equal = [pair for pair, (ours, theirs) in zip(every, steps, strict=True) if ours == theirs]
    unequal = [
        replace(pair, refused=f"but {ours:.0f} and {theirs:.0f} steps do not compare")
        for pair, (ours, theirs) in zip(every, steps, strict=True)
    ]
    return equal or unequal[:1]


def most_taken(claim: str, frame: pd.DataFrame, least: float) -> Verdict:
    """Does an SVM take more than a share of robust networks' images, eq. (7) from PCA, for the class wanted?

    Per network, its images of all seeds together (an SVM sees pixels: the feature space does not matter). Holds when
    Wilson's 95 % interval lies above the share for every network, fails when it lies below for one; without an SVM it
    cannot tell. The number is the smallest share, with its interval and images; the detail has the untouched start's.

    Args:
        claim: in one sentence.
        frame: scores, as `quality_rows.rows` takes them.
        least: the share, 0 to 1.
    """
    scored = rows(frame)
    pca = scored[(scored["start"] == "pca") & scored["preset"].isin(["eq7", "none"]) & scored["svm"].notna()]
    once = pca.drop_duplicates(["data", "label", "seed"])
    shares = {}
    for (data, label, kind), found in once.groupby(["data", "short", "kind"], sort=False):
        taken = int((found["svm"] / 100 * found["n"]).round().sum())
        whose = label if once["data"].nunique() == 1 else f"{label} ({data})"
        shares[whose, kind] = (taken, int(found["n"].sum()))
    told = [f"{name} {taken / n:.1%}" for (name, kind), (taken, n) in shares.items() if kind in (ROBUST, UNTOUCHED)]
    detail = "; ".join(filter(None, [*told, families.strangers(scored.query("kind != @UNTOUCHED"))]))
    ours = [one for (_, kind), one in shares.items() if kind == ROBUST]
    if not ours:
        return Verdict(claim, CANNOT_TELL, detail="; ".join(["no SVM's share of such images", *filter(None, [detail])]))
    intervals = [wilson(*one) for one in ours]
    outcome = CANNOT_TELL
    if any(high < least for _, high in intervals):
        outcome = FAILS
    elif all(low > least for low, _ in intervals):
        outcome = HOLDS
    place = min(range(len(ours)), key=lambda place: ours[place][0] / ours[place][1])
    return Verdict(claim, outcome, ours[place][0] / ours[place][1], intervals[place], ours[place][1], detail)
