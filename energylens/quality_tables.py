"""Tables of the quality of generated images beside the published numbers: what Tables 2b and 2c share. No torch.

Published numbers are of Inception features on CIFAR-10: they stand in that block alone, for scores of another feature
space or data set do not compare. Without such a block the CSV alone has them.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from energylens.accuracy_tables import ABSENT, FINE
from energylens.families import ROBUST
from energylens.quality_notes import told
from energylens.quality_rows import INCEPTION, MEASURES, PERCENT, WITHIN, blocks, count, rows
from energylens.quality_rows import shown as shown_in
from energylens.tabulated import Tabulated

PAPERS_N = PAPERS_REAL = 50_000
"""images that the paper scored, and the training images that it compared them with"""
PUBLISHED_DATA = ("cifar10:train", "cifar10")
"""what the published numbers compare with: CIFAR-10's training images"""
PUBLISHED_BLOCK = f"{PUBLISHED_DATA[0]}, features of {INCEPTION}"
NUMBERS = (
    "row", "model", "method", "data", "space", "measure", "mean", "std", "seeds", "within_std", "images_least",
    "images_most", "real", "saturated", "published", "published_n",
)  # fmt: skip
Cells = dict[str, dict[str, str]]
"""heading -> row -> cell"""


@dataclass(frozen=True)
class Published:
    """A row of the paper's table."""

    numbers: Mapping[str, str]
    """measure -> its number as it is printed"""
    reference: str = ""
    """of the network that it is of, as `references.public` writes it; none for one that has no counterpart here"""
    method: str = ""
    """that it is of, with its sampler's and start's own settings: `eq7-pca`"""
    n: int | None = PAPERS_N
    mark: str = ""
    """stands behind its numbers"""
    kind: str = ROBUST
    """what stands in the column `kind`"""

    def fits(self, row: pd.Series) -> bool:
        """Whether a row of scores is of this network and method, whatever the network is called."""
        return bool(self.reference) and (row["model_ref"], row["method"]) == (self.reference, self.method)


@dataclass(frozen=True)
class Layout:
    """What a table of scores shows."""

    caption: str
    measures: tuple[str, ...]
    """columns of ours; `nearest` shows `nearest_real` too"""
    published: Mapping[str, Published]
    """name of a row -> the row"""
    columns: Mapping[str, str]
    """measure -> heading of its published number"""
    about_published: tuple[str, ...]
    """notes where published numbers stand in the table"""
    notes: tuple[str, ...] = ()
    """notes of every table"""
    kind: Callable[[pd.Series], str] | None = None
    """a measured row -> what stands in the column `kind`"""
    kinds: tuple[str, ...] = ()
    """their order"""


def tabulated(frame: pd.DataFrame, layout: Layout) -> Tabulated:
    """A frame of scores as a table.

    Args:
        frame: scores, one row a model, method, seed and feature space, as `quality_rows.rows` takes them.
        layout: of the table.

    Returns:
        A block of columns for each data set and feature space. Rows are those of the frame, in its order; where a
        block is of Inception features on CIFAR-10, or where nothing was measured, then the published ones that no
        row of ours fits.
    """
    scored = rows(frame)
    beside = _beside(scored, layout)
    measured = dict(blocks(scored))
    shows = scored.empty or any(map(_compares, measured.values()))
    about = layout.about_published if shows else ()
    names = _order(scored, beside if shows else {}, layout)
    made = [_block(title, block, beside, layout) for title, block in measured.items()]
    if scored.empty:
        title = f"{PUBLISHED_BLOCK}: published, no scores of ours"
        made = [pd.concat({title: pd.DataFrame(_published_cells(beside, layout))}, axis=1)]
    shown = pd.concat([_names(names, layout), *(one.reindex(list(names)) for one in made)], axis=1).fillna(ABSENT)
    numbers = pd.DataFrame(_numbers(scored, beside, layout), columns=list(NUMBERS))
    notes = (*told(scored, layout.measures), *layout.notes, *about, *_aside(scored, shows))
    return Tabulated(layout.caption, numbers, shown, notes)


def _compares(block: pd.DataFrame) -> bool:
    """Whether a block is of the features, data and real images that the published numbers are of."""
    same = (block["space"] == INCEPTION) & block["data"].isin(PUBLISHED_DATA) & (block["real"] == PAPERS_REAL)
    return bool(same.all())


def _beside(scored: pd.DataFrame, layout: Layout) -> dict[str, Published]:
    """Row -> what is published of it: of ours where they fit, then of the others under the paper's names."""
    comparable = [block.drop_duplicates("label") for _, block in blocks(scored) if _compares(block)]
    fitting = {
        str(row["label"]): (name, one)
        for block in comparable
        for _, row in block.iterrows()
        for name, one in layout.published.items()
        if one.fits(row)
    }
    taken = {name for name, _ in fitting.values()}
    found = {label: one for label, (_, one) in fitting.items()}
    return found | {name: one for name, one in layout.published.items() if name not in taken}


def _order(scored: pd.DataFrame, beside: Mapping[str, Published], layout: Layout) -> dict[str, str]:
    """Name of each row -> its kind, in the order in which they stand."""
    first = scored.drop_duplicates("label")
    kinds = {str(row["label"]): layout.kind(row) if layout.kind else "" for _, row in first.iterrows()}
    kinds |= {name: one.kind if layout.kind else "" for name, one in beside.items() if name not in kinds}
    return dict(sorted(kinds.items(), key=lambda item: layout.kinds.index(item[1]))) if layout.kind else kinds


def _names(names: Mapping[str, str], layout: Layout) -> pd.DataFrame:
    columns = {"model, method": list(names)} | ({"kind": list(names.values())} if layout.kind else {})
    return pd.concat({"": pd.DataFrame(columns, index=list(names), dtype=object)}, axis=1)


def _block(title: str, block: pd.DataFrame, beside: Mapping[str, Published], layout: Layout) -> pd.DataFrame:
    """What was measured, then what is published where that is of the same features and data, as cells."""
    found = {str(label): of_one for label, of_one in block.groupby("label", sort=False)}
    cells: Cells = {
        _heading(measure): {name: _cell(of_one, measure) for name, of_one in found.items()}
        for measure in shown_in(layout.measures, block)
    }
    if block["n"].nunique() > 1:
        cells["images"] = {name: count(of_one["n"]) for name, of_one in found.items()}
    cells["seeds"] = {name: str(len(of_one)) for name, of_one in found.items()}
    if _compares(block):
        cells |= _published_cells(beside, layout)
    heading = f"{title}: {count(block['n'])} images, {count(block['real'])} real ones"
    return pd.concat({heading: pd.DataFrame(cells)}, axis=1)


def _heading(measure: str) -> str:
    return "nearest / real" if measure == "nearest" else MEASURES[measure]


def _cell(of_one: pd.DataFrame, measure: str) -> str:
    """`45.19±0.31`: mean, standard deviation over seeds."""
    made = number(of_one[measure], measure, of_one["n"].max())
    if measure == "nearest" and made != ABSENT:
        return f"{made} / {number(of_one['nearest_real'].iloc[:1], measure)}"
    return made


def number(values: pd.Series, measure: str = "fid", n: float = 0) -> str:
    """Mean and standard deviation with two decimals, more where three digits would not show; percent with one."""
    there = values.dropna()
    if there.empty:
        return ABSENT
    mean = float(there.mean())
    decimals = 2 if not mean else min(6, max(2, 2 - math.floor(math.log10(abs(mean)))))
    if measure in PERCENT:
        decimals = 2 if n >= FINE else 1
    return f"{mean:.{decimals}f}" + (f"±{there.std():.{decimals}f}" if len(there) > 1 else "")


def _published_cells(beside: Mapping[str, Published], layout: Layout) -> Cells:
    cells: Cells = {
        heading: {
            name: one.numbers[measure] + one.mark if measure in one.numbers else ABSENT for name, one in beside.items()
        }
        for measure, heading in layout.columns.items()
    }
    return cells | {"published n": {name: f"{one.n:,}" if one.n else ABSENT for name, one in beside.items()}}


def _numbers(scored: pd.DataFrame, beside: Mapping[str, Published], layout: Layout) -> Iterator[dict[str, object]]:
    """One row a block, row of it and measure; then what is published of no row of ours."""
    measures = (*layout.measures, *(("nearest_real",) if "nearest" in layout.measures else ()))
    for (data, space, label), of_one in scored.groupby(["data", "space", "label"], sort=False):
        published = beside.get(str(label)) if _compares(of_one) else None
        for measure in measures:
            named = {"row": label, "data": data, "space": space, "measure": measure}
            named |= {name: of_one[name].iloc[0] for name in ("model", "method")}
            yield named | _measured(of_one, measure) | _printed(published, measure)
    for name, one in beside.items():
        for measure in one.numbers if name not in set(scored["label"]) else ():
            named = {"row": name, "data": PUBLISHED_DATA[0], "space": INCEPTION, "measure": measure}
            yield named | {"seeds": 0} | _printed(one, measure)


def _measured(of_one: pd.DataFrame, measure: str) -> dict[str, object]:
    values, within = of_one[measure].dropna(), WITHIN.get(measure)
    return {
        "mean": values.mean(), "std": values.std(), "seeds": len(values),
        "within_std": of_one[within].mean() if within else math.nan, "images_least": of_one["n"].min(),
        "images_most": of_one["n"].max(), "real": of_one["real"].max(), "saturated": of_one["saturated"].mean(),
    }  # fmt: skip


def _printed(published: Published | None, measure: str) -> dict[str, object]:
    if published is None or measure not in published.numbers:
        return {"published": math.nan, "published_n": math.nan}
    return {"published": float(published.numbers[measure]), "published_n": published.n or math.nan}


def _aside(scored: pd.DataFrame, shows: bool) -> list[str]:
    """Why published numbers do not compare, or not well."""
    if shows:
        fewer = [block for _, block in blocks(scored) if _compares(block) and block["n"].min() < PAPERS_N]
        return ["FID of fewer images than the published ones is higher for that alone."] if fewer else []
    return [
        f"The published numbers are of {INCEPTION.capitalize()} features and {PAPERS_REAL:,} images of CIFAR-10 and do "
        "not compare with this table; they stand in its CSV alone."
    ]
