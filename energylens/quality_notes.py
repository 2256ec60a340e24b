"""What stands below a table of scores: which images, which are missing and why, how the rows rank. No torch."""

from collections.abc import Iterator

import pandas as pd

from energylens import scores
from energylens.quality_rows import MEASURES, UNTOUCHED, WORDS, blocks, count, of_inception, short_titles, shown

LOWER, HIGHER = ("fid", "kid", "lpips"), ("is_mean", "precision", "recall")
FEW = "it takes {} finite images at least"
REASONS = {
    "is_mean": FEW.format(10),
    "fid": FEW.format(2),
    "kid": FEW.format(2),
    "kid_paper": FEW.format(10),
    "precision": FEW.format(4),
    "recall": FEW.format(4),
    "lpips": "AlexNet cannot read such images or was not at hand, and the feature network does not do in its place",
    "nearest": FEW.format(1),
    "intended": "the feature network has other classes than the data",
    "svm": "an SVM is fitted to at most 5,000 real images of at most 1,024 values",
}
"""measure -> why it may be missing"""


def told(of_rows: pd.DataFrame, measures: tuple[str, ...]) -> list[str]:
    """The notes on the measured rows of a table.

    Args:
        of_rows: what `quality_rows.rows` gives.
        measures: those that the table shows.
    """
    if of_rows.empty:
        return []
    return [*_reading(of_rows, measures), *_missing(of_rows, measures), *_left_out(of_rows), *_rankings(of_rows)]


def _reading(of_rows: pd.DataFrame, measures: tuple[str, ...]) -> Iterator[str]:
    lower, higher = (", ".join(MEASURES[measure] for measure in of if measure in measures) for of in (LOWER, HIGHER))
    yield (
        f"Mean ± standard deviation (n - 1) over seeds; –: no score. Better when lower: {lower}; when higher: {higher}."
    )
    yield from _samplers(of_rows)
    if (of_rows["kind"] == UNTOUCHED).any():
        yield (
            "No network: starts without any step. They have an FID and an SVM's share of their own: what a network "
            "adds is the difference to them."
        )
    if "kid" in measures:
        papers = "; paper's KID (subsets of 10, logits): as the paper's code makes it"
        there = any(of_inception(block) for _, block in blocks(of_rows)) and "kid_paper" in measures
        subsets = count(of_rows["kid_subset"])
        yield f"KID: on the space's features, subsets of {subsets} images{papers if there else ''}."
    if "nearest" in measures:
        yield (
            "Nearest / real: mean L2 distance, pixels in [0, 1], to the nearest training image, and between training "
            "images; far below that, images are remembered. Intended, SVM: percent that the feature network, or an SVM "
            "fitted to real images, takes for the class wanted."
        )
    layers = of_rows["lpips_space"].dropna().unique()
    if "lpips" in measures and len(layers):
        yield f"LPIPS: in the layers of {', '.join(map(str, layers))}{', a block each' if len(layers) > 1 else ''}."
    if any(block["n"].nunique() > 1 for _, block in blocks(of_rows)):
        yield "Rows of a block differ in how many images were scored; fewer images raise FID."


def _samplers(of_rows: pd.DataFrame) -> Iterator[str]:
    """What the rows' names leave out: the settings that all rows of a sampler share."""
    one = of_rows[of_rows["preset"].isin(list(WORDS))].groupby("preset", sort=False)["sampler"]
    steps = dict(of_rows[["sampler", "steps"]].to_numpy())
    told = [
        f"{WORDS[str(preset)]} is {names.iloc[0]}"
        + (f" ({steps[names.iloc[0]]:.0f} steps)" if "-steps" not in names.iloc[0] else "")
        for preset, names in one
        if names.nunique() == 1
    ]
    if told:
        yield f"Samplers: {'; '.join(told)}."


def _missing(of_rows: pd.DataFrame, measures: tuple[str, ...]) -> Iterator[str]:
    """`No score on digits:train, features of inception: intended (...); KID of SAT, eq7-pca (...).`."""
    for title, block in blocks(of_rows):
        parts = [
            f"{MEASURES[measure].partition(' (')[0]}{whose} ({REASONS[measure]})"
            for measure in shown(measures, block)
            for whose in _whose(block, measure)
        ]
        if parts:
            yield f"No score on {title}: {'; '.join(parts)}."


def _whose(block: pd.DataFrame, measure: str) -> list[str]:
    """Nothing for a whole column; else the rows without a score, and those that lack it for some seeds."""
    there = block[measure].notna()
    if there.all():
        return []
    if not there.any():
        return [""]
    shares = there.groupby(block["short"], sort=False).agg(["sum", "size"])
    lacking = shares[shares["sum"] < shares["size"]]
    named = [
        str(label) if not one["sum"] else f"{label} for {one['size'] - one['sum']} of {one['size']} seeds"
        for label, one in lacking.iterrows()
    ]
    return [f" of {' and '.join(named)}"]


def _left_out(of_rows: pd.DataFrame) -> Iterator[str]:
    most = of_rows.groupby(["data", "short", "seed"], sort=False)["left_out"].max()
    total = most.groupby(level=["data", "short"], sort=False).sum()
    found = total[total > 0].reset_index().itertuples(index=False)
    parts = [f"{one.left_out:,.0f} of {one.short} ({one.data})" for one in found]
    if parts:
        yield f"Images left out because they are NaN: {'; '.join(parts)}."


def _rankings(of_rows: pd.DataFrame) -> list[str]:
    """The rows' order by FID in each block, as far as their seeds tell them apart."""
    found = {title: _ranking(block) for title, block in blocks(of_rows)}
    if not any(found.values()):
        return ["Order by FID: none, no two rows of a block have two seeds."]
    short = short_titles(of_rows)
    rule = (
        "Order by FID, the best first: behind < where Welch's 95 % interval over seeds tells a row from the best of "
        "the group before it, else behind =. A row that names a start alone is of eq. (7)."
    )
    return [rule, *(f"Order, {short[title]}: {order}." for title, order in found.items() if order)]


def _ranking(block: pd.DataFrame) -> str:
    """`SAT, PCA = TRADES, PCA < standard-14, PCA`, rows of one seed apart."""
    found = {str(name): -of_one["fid"].dropna().to_numpy(float) for name, of_one in block.groupby("short", sort=False)}
    single = [name for name, values in found.items() if len(values) == 1]
    if sum(len(values) > 1 for values in found.values()) < 2:
        return ""
    ranked = " < ".join(" = ".join(group) for group in scores.groups(found))
    return ranked + (f"; one seed: {'; '.join(single)}" if single else "")
