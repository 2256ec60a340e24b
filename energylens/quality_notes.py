"""What stands below a table of scores: which images, which are missing and why, how the rows rank. No torch."""

from collections.abc import Iterator

import pandas as pd

from energylens import scores
from energylens.quality_rows import MEASURES, blocks, count

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
    yield (
        "Mean ± standard deviation (n - 1) over the seeds of the generation; no ± for one seed; – for no score. FID, "
        "KID and LPIPS are better when lower, IS, precision and recall when higher. Scores of different feature spaces "
        "or counts of images do not compare."
    )
    if "kid" in measures:
        subsets = count(of_rows["kid_subset"])
        yield (
            f"KID: the usual one, on the space's features, subsets of {subsets} images. Paper's KID (subsets of 10, "
            "logits): as the paper's code makes it; the two do not compare."
        )
    if "nearest" in measures:
        yield (
            "Nearest / real: mean L2 distance, pixels in [0, 1], to the nearest training image, and the same from "
            "training images to another one; images far below that are remembered. Intended, SVM: percent that the "
            "feature network, or an SVM fitted to real images, takes for the class wanted."
        )
    if "lpips" in measures:
        for title, block in blocks(of_rows[of_rows["lpips_space"].notna()]):
            yield f"LPIPS, {title}: in the layers of {', '.join(map(str, block['lpips_space'].unique()))}."
    if any(block["n"].nunique() > 1 for _, block in blocks(of_rows)):
        yield "Rows of a block differ in how many images were scored; fewer images raise FID."


def _missing(of_rows: pd.DataFrame, measures: tuple[str, ...]) -> Iterator[str]:
    """`No score on digits:train, features of inception: intended (...); KID of SAT, eq7-pca (...).`."""
    for title, block in blocks(of_rows):
        parts = [
            f"{MEASURES[measure].partition(' (')[0]}{whose} ({REASONS[measure]})"
            for measure in measures
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
    shares = there.groupby(block["label"], sort=False).agg(["sum", "size"])
    lacking = shares[shares["sum"] < shares["size"]]
    named = [
        str(label) if not one["sum"] else f"{label} for {one['size'] - one['sum']} of {one['size']} seeds"
        for label, one in lacking.iterrows()
    ]
    return [f" of {' and '.join(named)}"]


def _left_out(of_rows: pd.DataFrame) -> Iterator[str]:
    most = of_rows.groupby(["data", "label", "seed"], sort=False)["left_out"].max()
    total = most.groupby(level=["data", "label"], sort=False).sum()
    found = total[total > 0].reset_index().itertuples(index=False)
    parts = [f"{one.left_out:,.0f} of {one.label} ({one.data})" for one in found]
    if parts:
        yield f"Images left out because they are NaN: {'; '.join(parts)}."


def _rankings(of_rows: pd.DataFrame) -> list[str]:
    """The rows' order by FID in each block, as far as their seeds tell them apart."""
    found = {title: _ranking(block) for title, block in blocks(of_rows)}
    if not any(found.values()):
        return ["Ranking by FID: none, no two rows of a block have two seeds."]
    rule = (
        "Ranking by FID, the best first: a row stands behind < when its mean exceeds that of the best of the group "
        "before it by more than the spread over seeds (the 95 % interval of Welch's t excludes 0), else it joins that "
        "group behind =."
    )
    return [rule, *(f"Ranking, {title}: {order}." for title, order in found.items() if order)]


def _ranking(block: pd.DataFrame) -> str:
    """`SAT, eq7-pca = TRADES, eq7-pca < standard-14, eq7-pca`, rows of one seed apart."""
    found = {
        str(label): -of_one["fid"].dropna().to_numpy(float) for label, of_one in block.groupby("label", sort=False)
    }
    single = [label for label, values in found.items() if len(values) == 1]
    if sum(len(values) > 1 for values in found.values()) < 2:
        return ""
    ranked = " < ".join(" = ".join(group) for group in scores.groups(found))
    return ranked + (f"; one seed, not ranked: {'; '.join(single)}" if single else "")
