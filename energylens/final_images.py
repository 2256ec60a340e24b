"""The images at the end of chains: which they are, and simple measures of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from energylens.errors import many

CHAIN = ["model", "method", "sample"]


def ended(chains: pd.DataFrame) -> pd.DataFrame:
    """The last recorded state of each chain, in the frame's order.

    Returns:
        Its rows, with `model` and `method` as text; `image` is None where the chain became NaN, else uint8 [C, H, W].
    """
    rows = chains.reset_index(drop=True).astype({"model": str, "method": str})
    last = rows.groupby(CHAIN, sort=False)["step"].idxmax()
    rows = rows.loc[last.sort_values()].reset_index(drop=True)
    images = [None if status == "nan" else image for status, image in zip(rows["status"], rows["image"], strict=True)]
    return rows.assign(image=pd.Series(images, dtype=object))


def roughness(image: np.ndarray | None) -> float:
    """Mean absolute difference of pixels that are neighbours across or down, as a share of the range of a pixel.

    A flat image has 0, independent pixels uniform from 0 to 1 have 1/3; NaN without an image.

    Args:
        image: uint8 [C, H, W].
    """
    if image is None:
        return np.nan
    pixels = image.astype(float) / 255
    steps = [np.abs(np.diff(pixels, axis=axis)).ravel() for axis in (1, 2)]
    return float(np.concatenate(steps).mean())


def distances(images: Sequence[np.ndarray]) -> np.ndarray:
    """[N, N] L2 distances of images uint8 [C, H, W] from one another, in pixels of [0, 1]."""
    flat = np.stack([image.ravel() for image in images]).astype(float) / 255
    return np.linalg.norm(flat[:, None] - flat[None], axis=2)


def of_classes(rows: pd.DataFrame, labels: Sequence[int], columns: int) -> list[list[np.ndarray | None]]:
    """The images of the first chains of each class: for each label at most `columns`, None for one that became NaN.

    Args:
        rows: of one network and method, as `ended` gives them.
        labels: classes, in the order wanted.
        columns: images of a class.
    """
    ordered = rows.sort_values("sample", kind="stable")
    return [list(ordered.loc[ordered["label"] == label, "image"].head(columns)) for label in labels]


def tally(rows: pd.DataFrame, shown: Sequence[int], columns: int) -> str:
    """In words: which chains are shown, of how many of the network's classes, at which step, and how many became NaN.

    Args:
        rows: of all chains that the figure is about, as `ended` gives them.
        shown: classes.
        columns: images of a class.
    """
    classes, nan = _classes(rows), rows["status"] == "nan"
    columns = min(columns, int(rows[rows["label"].isin(shown)].groupby([*CHAIN[:2], "label"]).size().max()))
    ends = rows.loc[~nan, "step"] if not nan.all() else rows["step"]
    low, high = int(ends.min()), int(ends.max())
    chains = f"the first {columns} chains" if columns > 1 else "the first chain"
    steps = f"{low:,} to {many(high, 'step')}" if low < high else many(high, "step")
    words = f"{chains} of each class, none picked, after {steps}"
    if len(shown) < classes:
        words += f"; {len(shown)} of {classes} classes"
    if nan.any():
        words += f"; crosses: chains that became NaN, {nan.sum()} of {len(rows)}"
    return words


def _classes(rows: pd.DataFrame) -> int:
    """How many there are, with those that no chain is of."""
    logits = rows["logits"].dropna()
    return len(logits.iloc[0]) if len(logits) else rows["label"].nunique()
