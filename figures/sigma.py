"""The supplement's grid: images from PCA starts of growing spread sigma, across, and retained variance, down.

One line of blocks a class; in a block, rows are shares of the class's variance that the start keeps, and columns the
first five chains, none picked, at their last step. One network, one sampler.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from energylens import class_names, final_images, start_claims
from energylens.claims import CANNOT_TELL, Verdict, above_zero
from energylens.effects import FEWEST
from energylens.errors import UserError
from energylens.plots import blocks

NEEDS = ("sigma_grid",)
WIDTH = "full"
ONE_NETWORK = True
PAPER = {}  # pictures without numbers
COLUMNS = 5
MOST = 4
"""classes shown"""


def finals(sigma_grid: pd.DataFrame) -> pd.DataFrame:
    """Last states of the chains of the first network that began with PCA, with `sigma` and `retained`.

    Of several methods with the same two settings, the first.
    """
    rows = final_images.ended(sigma_grid[sigma_grid["model"] == sigma_grid["model"].iloc[0]])
    methods = {name: made for name, made in start_claims.named(rows).items() if made.start == "pca"}
    cells: dict[tuple[float, float], str] = {}
    for name, made in methods.items():
        cells.setdefault((made.sigma, made.retained), name)
    rows = rows[rows["method"].isin(cells.values())]
    settings = [(methods[name].sigma, methods[name].retained) for name in rows["method"]]
    return rows.assign(sigma=[sigma for sigma, _ in settings], retained=[kept for _, kept in settings])


def _narrow_and_wide(rows: pd.DataFrame) -> dict[float, pd.DataFrame]:
    """By retained variance: chains with `image_low` and `image_high`, under the smallest and the largest sigma.

    Each holds the same chains in the same order, those that have both images at every retained variance.
    """
    low, high = (rows[rows["sigma"] == sigma] for sigma in (rows["sigma"].min(), rows["sigma"].max()))
    both = low.merge(high, on=["label", "sample", "retained"], suffixes=("_low", "_high"))
    whole = both.groupby(["label", "sample"])["retained"].transform("size") == both["retained"].nunique()
    ordered = both[whole].sort_values(["label", "sample"], kind="stable")
    return {float(kept): of_one.reset_index(drop=True) for kept, of_one in ordered.groupby("retained")}


def wider_starts_give_more_variety(sigma_grid: pd.DataFrame) -> Verdict:
    """Mean L2 distance of two images of one class and retained variance, largest sigma minus smallest.

    Of chains that have both at every retained variance. A chain draws the same numbers whatever its start keeps, so a
    unit is a chain (class and number) with all its retained variances, not one image. Holds (fails) when the whole
    95 % interval lies above (below) 0, by a bootstrap over chains that pairs no chain with itself, whose interval is
    rather too wide than too narrow; it takes 20 chains.
    """
    claim = "the wider the start, the more its images differ"
    rows = finals(sigma_grid)
    rows = rows[rows["status"] != "nan"]
    if rows["sigma"].nunique() < 2:
        return Verdict(claim, CANNOT_TELL, detail=f"{rows['sigma'].nunique()} sigma with images; two are compared")
    both = _narrow_and_wide(rows)
    label = next(iter(both.values()))["label"].to_numpy() if both else np.zeros(0)
    if len(label) < FEWEST:
        return Verdict(claim, CANNOT_TELL, detail=f"{len(label)} chains; {FEWEST} are the fewest")
    related = (label[:, None] == label) & ~np.eye(len(label), dtype=bool)
    low, high = (
        related * np.mean([final_images.distances(list(one[f"image_{which}"])) for one in both.values()], axis=0)
        for which in ("low", "high")
    )

    def gain(drawn: np.ndarray) -> float:
        at = np.ix_(drawn, drawn)
        return float((high - low)[at].sum() / max(related[at].sum(), 1))

    means = f"{high.sum() / related.sum():.3f} against {low.sum() / related.sum():.3f}"
    sigmas = f"sigma {rows['sigma'].max():g} minus sigma {rows['sigma'].min():g}"
    shares = f"mean over {len(both)} retained variances" if len(both) > 1 else "one retained variance"
    detail = f"mean L2 distance in pixels of [0, 1], {sigmas} ({means}), {shares}, bootstrap over chains"
    return above_zero(claim, gain, len(label), detail)


CLAIMS = (wider_starts_give_more_variety,)


def draw(sigma_grid: pd.DataFrame) -> Figure:
    """A line of blocks a class, a block a sigma, a row a share of retained variance.

    Raises:
        UserError: no method of the frame begins with PCA.
    """
    rows = finals(sigma_grid)
    if rows.empty:
        raise UserError("sigma cannot be drawn: no method of the table has a PCA start; give one, such as eq7-pca")
    sigmas, kept, labels = (sorted(rows[name].unique()) for name in ("sigma", "retained", "label"))
    data, shown = str(rows["data"].iloc[0]), labels[:MOST]
    made = [
        blocks.Block(
            f"{_class(data, label)}, $\\sigma$\u00a0=\u00a0{sigma:g}",
            [_cell(rows, label, sigma, retained) for retained in kept],
        )
        for label in shown
        for sigma in sigmas
    ]
    model = str(rows["model"].iloc[0]).replace("$", r"\$")
    note = f"{model}: {final_images.tally(rows, shown, COLUMNS)}; rows: retained variance of the PCA start"
    return blocks.page(made, [f"{100 * retained:g} %" for retained in kept], note, COLUMNS, across=len(sigmas))


def _class(data: str, label: int) -> str:
    name = class_names.name(data, label)
    return f"class {name}" if name.isdigit() else name


def _cell(rows: pd.DataFrame, label: int, sigma: float, retained: float) -> list[np.ndarray | None]:
    return final_images.of_classes(rows[(rows["sigma"] == sigma) & (rows["retained"] == retained)], [label], COLUMNS)[0]
