"""Rows of the table of scores as text, for the terminal. No torch."""

from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]
COLUMNS = {
    "IS": "is_mean",
    "FID": "fid",
    "KID": "kid",
    "KID paper": "kid_paper",
    "precision": "precision",
    "recall": "recall",
    "LPIPS": "lpips",
    "nearest": "nearest",
    "intended": "intended",
    "SVM": "svm",
}


def lines(rows: Iterable[Row]) -> list[str]:
    """One block for all rows of one number of images, one set of real images and one feature space."""
    blocks: dict[str, list[Row]] = {}
    for row in rows:
        blocks.setdefault(heading(row), []).append(row)
    told = [[title, *_aligned(block), *_below(block)] for title, block in blocks.items()]
    return [line for block in told for line in ["", *block]][1:]


def heading(row: Row) -> str:
    """How many images, compared with which, in whose features."""
    count, real, data = f"{row['n']:,}", f"{row['real']:,}", f"{row['data']}:{row['split']}"
    images = "image" if row["n"] == 1 else "images each"
    return f"{count} {images}, against {real} of {data}, in the features of {row['space']}"


def _aligned(rows: list[Row]) -> list[str]:
    cells = [("images", *COLUMNS), *((_name(row), *(_cell(row[key]) for key in COLUMNS.values())) for row in rows)]
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join([row[0].ljust(wide[0]), *(cell.rjust(width) for cell, width in zip(row[1:], wide[1:], strict=True))])
        for row in cells
    ]


def _name(row: Row) -> str:
    return " ".join(str(part) for part in (row["model"], row.get("method"), row.get("seed")) if part is not None)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _below(rows: list[Row]) -> list[str]:
    """What the columns were measured with."""
    first, told = rows[0], []
    if first["kid_subset"] is not None:
        told.append(f"KID: subsets of {first['kid_subset']:,}")
    if first["lpips_space"] is not None:
        told.append(f"LPIPS: layers of {first['lpips_space']}")
    if first["nearest_real"] is not None:
        told.append(f"nearest: {first['nearest_real']:.4g} between real images")
    return ["; ".join(told)] if told else []
