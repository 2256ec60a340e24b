"""Tables of accuracies over training seeds beside the published ones: what Tables 1a, 1b and 1c share. No torch."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from energylens import scores
from energylens.attacks.settings import short
from energylens.errors import some
from energylens.plots import methods
from energylens.scores import ABOVE, BELOW, MEASURES, TIE
from energylens.tabulated import Tabulated

Number = tuple[float | None, float | None]
"""published mean and standard deviation in percent; None where the paper prints none"""
Published = dict[str, dict[str, tuple[Number, Number, Number]]]
"""data set -> objective -> its numbers, in the order of MEASURES"""
Row = dict[Any, Any]
MARKS = {ABOVE: " +", BELOW: " -", TIE: " ="}
ABSENT = "–"
FINE = 5000
"""from this many images on, accuracies are written with two decimals"""
NUMBERS = (
    "method", "data", "measure", "mean", "std", "seeds", "published_mean", "published_std", "minus_trades", "low",
    "high", "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """What a table of accuracies shows, and in which order."""

    caption: str
    columns: tuple[str, ...]
    """headings of what tells the rows apart; under the first stand their names"""
    rows: Mapping[str, tuple[str, ...]]
    """objective -> its cells under these headings"""
    published: Published
    seeds: Mapping[str, int]
    """objective -> how many training seeds the published number has"""
    marks: Mapping[str, str]
    """objective -> what stands behind its published numbers"""
    notes: tuple[str, ...]
    reference: str = "trades"
    others: Mapping[str, str] = field(default_factory=dict)
    """objective without a row -> its name, where it is not the usual one"""

    def name(self, objective: str) -> str:
        """How a method is called in this table."""
        if objective in self.rows:
            return self.rows[objective][0]
        return self.others.get(objective, methods.label(objective))


def tabulated(frame: pd.DataFrame, layout: Layout) -> Tabulated:
    """A frame of accuracies as a table.

    Args:
        frame: accuracies, as `scores.networks` takes them; of any data sets, and of any methods. Those that the
            layout does not name come last.
        layout: of the table.

    Returns:
        All rows of the layout, also where there is no run; a block of columns for each data set that was measured,
        and then for each with published numbers.

    Raises:
        UserError: as `scores.networks`.
    """
    networks = scores.networks(frame)
    numbers = _numbers(networks, layout)
    headings = {str(data): _heading(networks, data) for data in numbers["data"].unique()}
    shown = pd.concat([_names(numbers, layout), *_blocks(numbers, networks, headings, layout)], axis=1)
    spoken = numbers.assign(method=numbers["objective"].map(layout.name))[list(NUMBERS)]
    notes = (*_marks(networks, layout), *layout.notes, *_rankings(networks, layout))
    return Tabulated(layout.caption, spoken, shown, notes)


def _numbers(networks: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Measured and published numbers, one row a data set, measure and objective, each of them for all."""
    own = networks["data"].unique()
    data = [*(name for name in own if name not in layout.published), *layout.published]
    objectives = [*layout.rows, *(name for name in networks["objective"].unique() if name not in layout.rows)]
    every = pd.MultiIndex.from_product([objectives, data, MEASURES], names=["objective", "data", "measure"])
    made = every.to_frame(index=False).merge(scores.table(networks, layout.reference), how="left", on=scores.CELL)
    made["seeds"] = made["seeds"].fillna(0).astype(int)
    made["verdict"] = made["verdict"].fillna("")
    return made.merge(_published(layout.published), how="left", on=scores.CELL)


def _published(published: Published) -> pd.DataFrame:
    rows = [
        (data, measure, objective, *number)
        for data, of_data in published.items()
        for objective, numbers in of_data.items()
        for measure, number in zip(MEASURES, numbers, strict=True)
    ]
    made = pd.DataFrame(rows, columns=[*scores.CELL, "published_mean", "published_std"])
    return made.astype({"published_mean": float, "published_std": float})


def _names(numbers: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """The columns that tell the rows apart."""
    blank = ("",) * (len(layout.columns) - 1)
    cells = {name: layout.rows.get(name, (layout.name(name), *blank)) for name in numbers["objective"].unique()}
    made = pd.DataFrame.from_dict(cells, orient="index", columns=list(layout.columns))
    return pd.concat({"": made}, axis=1)


def _blocks(
    numbers: pd.DataFrame, networks: pd.DataFrame, headings: dict[str, str], layout: Layout
) -> Iterator[pd.DataFrame]:
    """For each data set what was measured, then what is published, as cells."""
    for data, heading in headings.items():
        rows, own = numbers[numbers["data"] == data], networks[networks["data"] == data]
        columns = _measured(rows, own, layout) if len(own) else {}
        if data in layout.published:
            columns |= _of_measures("published ", rows, lambda row: _published_cell(row, layout.marks))
        yield pd.concat({heading: pd.DataFrame(columns)}, axis=1)


def _measured(rows: pd.DataFrame, own: pd.DataFrame, layout: Layout) -> dict[str, dict[str, str]]:
    decimals = {measure: 2 if of_one.max() >= FINE else 1 for measure, of_one in own.groupby("measure")["n"]}
    cells = _of_measures("", rows, lambda row: _cell(row, decimals.get(row["measure"], 1)))
    return cells | {"seeds": {str(name): _seeds(of_one, layout) for name, of_one in rows.groupby("objective")}}


def _of_measures(prefix: str, rows: pd.DataFrame, cell: Callable[[Row], str]) -> dict[str, dict[str, str]]:
    """Heading -> objective -> cell."""
    return {
        prefix + heading: {row["objective"]: cell(row) for row in rows[rows["measure"] == measure].to_dict("records")}
        for measure, heading in MEASURES.items()
    }


def _cell(row: Row, decimals: int) -> str:
    """`39.4±1.2 =`: mean, standard deviation over seeds, mark against TRADES."""
    if not row["seeds"]:
        return ABSENT
    return _number(row["mean"], row["std"], decimals) + MARKS.get(row["verdict"], "")


def _published_cell(row: Row, marks: Mapping[str, str]) -> str:
    if math.isnan(row["published_mean"]):
        return ABSENT
    return _number(row["published_mean"], row["published_std"], 2) + marks.get(row["objective"], "")


def _number(mean: float, std: float, decimals: int) -> str:
    return f"{mean:.{decimals}f}" + ("" if math.isnan(std) else f"±{std:.{decimals}f}")


def _seeds(rows: pd.DataFrame, layout: Layout) -> str:
    """`5`, or `3 of 5` where the published number has more; `5, 5, 3 of 5` where measures differ."""
    wanted = layout.seeds.get(rows["objective"].iloc[0], 1)
    counts = [f"{seeds} of {wanted}" if seeds < wanted else str(seeds) for seeds in rows["seeds"]]
    return ABSENT if not rows["seeds"].any() else counts[0] if len(set(counts)) == 1 else ", ".join(counts)


def _heading(networks: pd.DataFrame, data: str) -> str:
    """`digits: small-resnet, 500 images (AutoAttack 200), eps 0.2`."""
    own = networks[networks["data"] == data]
    if own.empty:
        return f"{data}: published, no runs of ours"
    images = {heading: _range(own.loc[own["measure"] == measure, "n"]) for measure, heading in MEASURES.items()}
    images = {heading: number for heading, number in images.items() if number}
    first = next(iter(images.values()))
    apart = ", ".join(f"{heading} {number}" for heading, number in images.items() if number != first)
    radius = [f"eps {short(float(eps)).replace('_', '/')}" for eps in own["eps"].dropna().unique()]
    arch = own["arch"].dropna().unique().tolist()
    return f"{data}: " + ", ".join([*arch, f"{first} images" + (f" ({apart})" if apart else ""), *radius])


def _range(n: pd.Series) -> str:
    if n.empty:
        return ""
    return f"{n.min():,}" if n.min() == n.max() else f"{n.min():,} to {n.max():,}"


def _marks(networks: pd.DataFrame, layout: Layout) -> list[str]:
    """What the cells and the marks in them mean."""
    reference = layout.name(layout.reference)
    told = [
        "Accuracy in percent: mean ± standard deviation (n - 1) over training seeds; no ± for one seed; – for no run.",
        f"Mark against {reference} on the same data: + above or - below it by more than the spread over seeds (the 95 "
        "% interval of Welch's t for the difference excludes 0); = not told apart, also where "
        f"no seed differs from another on either side; none: fewer than two seeds on a side, or {reference} itself. By "
        "chance alone about one mark in 20 would be + or -.",
    ]
    without = [data for data in networks["data"].unique() if not _has(networks, data, layout.reference)]
    if without:
        told.append(f"No runs of {reference} on {some(without)}: no marks there.")
    foreign = [data for data in networks["data"].unique() if data not in layout.published]
    if foreign:
        told.append(
            f"The published numbers are of other images and networks; they do not compare with {some(foreign)}."
        )
    return told


def _has(networks: pd.DataFrame, data: str, objective: str) -> bool:
    return bool(((networks["data"] == data) & (networks["objective"] == objective)).any())


def _rankings(networks: pd.DataFrame, layout: Layout) -> list[str]:
    """The methods' order on each data set and measure, as far as their seeds tell them apart."""
    told = []
    for data, of_data in networks.groupby("data", sort=False):
        orders = {heading: _ranking(of_data[of_data["measure"] == name], layout) for name, heading in MEASURES.items()}
        told += [f"Ranking, {data}, {heading}: {order}" for heading, order in orders.items() if order]
        if not any(orders.values()):
            told.append(f"Ranking, {data}: none, no two methods have two seeds.")
    rule = (
        "Ranking: a method stands behind > when the best mean of the group before it exceeds its own by more than the "
        "spread over seeds, else it joins that group behind =. Two of a group may still differ from each other."
    )
    return [rule, *told] if any(" > " in line or " = " in line for line in told) else told


def _ranking(networks: pd.DataFrame, layout: Layout) -> str:
    """`WEAT_ADV = TRADES > SAT`; methods of one seed are not ranked, and fewer than two methods not either."""
    accuracies = {
        layout.name(str(objective)): rows["accuracy"].to_numpy(float)
        for objective, rows in networks.groupby("objective", sort=False)
    }
    single = [name for name, seeds in accuracies.items() if len(seeds) < 2]
    if len(accuracies) - len(single) < 2:
        return ""
    ranked = " > ".join(" = ".join(group) for group in scores.groups(accuracies))
    return ranked + (f"; one seed, not ranked: {', '.join(single)}" if single else "")
