"""A claim that methods are more accurate than others, over training seeds."""

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from energylens import scores
from energylens.claims import CANNOT_TELL, FAILS, HOLDS, LEVEL, Verdict
from energylens.plots import methods
from energylens.scores import ABOVE, BELOW, MEASURES, NONE, Difference

Place = tuple[str, str, str, str]
"""of a comparison: data set, measure, and the objectives of the two methods"""
Label = Callable[[str], str]
MOST = 4
"""comparisons that are all told; of more, those that are above 0 are counted"""


def exceeds(
    claim: str,
    of_networks: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    measures: Sequence[str],
    label: Label = methods.label,
) -> Verdict:
    """Is the first of each pair of methods more accurate than the second, on every data set and measure?

    Holds when in every comparison Welch's 95 % interval of the difference lies above 0. Fails when in one the interval
    that is wide enough for all of them at once lies below 0 (Bonferroni: of m comparisons, 95 % becomes 1 - 0.05 / m),
    for of many equal methods some pair is always apart by chance; that all are above happens by chance less often than
    in one comparison, and needs no such care. Cannot tell otherwise: a tie, a single run, or no run. The number is the
    smallest difference of those that decided, in percent, with the interval that decided; n is how many networks all
    comparisons rest on.

    Args:
        claim: in one sentence.
        of_networks: what `scores.networks` gives.
        pairs: objectives.
        measures: of MEASURES.
        label: objective -> its name in the detail.
    """
    names = {name for pair in pairs for name in pair}
    used = of_networks[of_networks["objective"].isin(names) & of_networks["measure"].isin(measures)]
    places = [
        (str(data), measure, *pair) for data in of_networks["data"].unique() for measure in measures for pair in pairs
    ]
    every = {place: _compared(used, place) for place in places}
    made = {place: one for place, one in every.items() if one.verdict != NONE}
    detail = "; ".join(["percent", *_told(made, label), *_missing(used, places, label)])
    if not made:
        return Verdict(claim, CANNOT_TELL, detail=detail.removeprefix("percent; ") if places else "no runs")
    below = [one for one in _at_once(used, made) if one.verdict == BELOW]
    outcome = FAILS if below else HOLDS if {one.verdict for one in every.values()} == {ABOVE} else CANNOT_TELL
    least = min(below, key=lambda one: one.number) if below else _least(list(made.values()), outcome)
    if len(made) > 1 and below:
        detail += f"; the interval in front is that of {len(made)} comparisons at once"
    n = len(used.drop_duplicates(["data", "objective", "network"]))
    return Verdict(claim, outcome, least.number, (least.low, least.high), n, detail)


def _compared(used: pd.DataFrame, place: Place, level: float = LEVEL) -> Difference:
    data, measure, *pair = place
    ours, theirs = (scores.values(used, data, measure, name) for name in pair)
    return scores.compare(ours, theirs, level)


def _at_once(used: pd.DataFrame, places: Iterable[Place]) -> list[Difference]:
    """The comparisons at the level that each has when all of them together are to be wrong in 5 % at most."""
    places = list(places)
    return [_compared(used, place, LEVEL / len(places)) for place in places]


def _least(made: list[Difference], outcome: str) -> Difference:
    """The smallest difference: of those not above where nothing is told."""
    if outcome == CANNOT_TELL:
        made = [one for one in made if one.verdict != ABOVE] or made
    return min(made, key=lambda one: one.number)


def _told(made: dict[Place, Difference], label: Label) -> list[str]:
    """`digits PGD-20, WEAT_ADV minus TRADES +1.20 [+0.30, +2.10] above, SAT ...`."""
    if len(made) == 1:  # its number stands in front
        return [f"{data} {MEASURES[measure]}, {one.verdict}" for (data, measure, *_), one in made.items()]
    heads: dict[str, list[str]] = {}
    for (data, measure, ours, theirs), one in made.items():
        if len(made) <= MOST or one.verdict != ABOVE:
            parts = heads.setdefault(f"{data} {MEASURES[measure]}, {label(ours)} minus ", [])
            parts.append(f"{label(theirs)} {_number(one)}{one.verdict}")
    told = [head + ", ".join(parts) for head, parts in heads.items()]
    above = [one for one in made.values() if one.verdict == ABOVE]
    return [*told, f"{len(above)} of {len(made)} above"] if len(made) > MOST else told


def _number(one: Difference) -> str:
    interval = f"[{one.low:+.2f}, {one.high:+.2f}] " if one.low == one.low else ""
    return f"{one.number:+.2f} {interval}"


def _missing(used: pd.DataFrame, places: list[Place], label: Label) -> list[str]:
    """`WEAT_ADV on svhn has no PGD-20, AutoAttack accuracy`."""
    there = set(used[scores.CELL].itertuples(index=False, name=None))
    lacking: dict[tuple[str, str], list[str]] = {}
    for data, measure, *pair in places:
        for name in pair:
            found = lacking.setdefault((data, name), [])
            if (data, measure, name) not in there and MEASURES[measure] not in found:
                found.append(MEASURES[measure])
    return [
        f"{label(name)} on {data} has no {', '.join(found)} accuracy"
        for (data, name), found in lacking.items()
        if found
    ]
