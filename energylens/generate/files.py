"""What lies on disk of generated images: `chains/model=NAME/attack=METHOD/part-KEY-START-STOP.parquet`, images beside.

`attack` stands for the method, so that tables of chains are read like all others. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from energylens import shards
from energylens.compact import images_of
from energylens.errors import UserError
from energylens.shards import Part

FOLDER = "chains"


@dataclass(frozen=True)
class Made:
    """The images that are there of a model and method: chains 0 to COUNT - 1."""

    where: Path
    count: int
    decisive: dict[str, Any]
    """all that decided them"""
    about: dict[str, Any]
    """provenance of the first file"""
    pieces: tuple[tuple[Part, int, int], ...]
    """file, and which of the chains are taken from it"""

    @property
    def key(self) -> str:
        """Of what decided them."""
        return self.about["key"]

    def ended(self) -> Iterator[np.ndarray]:
        """[N, C, H, W] uint8, the ends of the chains in order, file by file."""
        for part, start, stop in self.pieces:
            images = images_of(part)[start - part.start : stop - part.start]
            yield images[:, -1] if images.ndim == 5 else images

    def rows(self, columns: list[str] | None = None) -> pd.DataFrame:
        """All recorded states, chain numbers in `sample`."""
        return pd.concat([self._rows(*piece, columns) for piece in self.pieces], ignore_index=True)

    def ends(self, columns: list[str]) -> pd.DataFrame:
        """The last state of each chain, in order of the chains."""
        rows = self.rows(list(dict.fromkeys(["sample", "step", *columns])))
        return rows.sort_values(["sample", "step"], kind="stable").groupby("sample").tail(1).reset_index(drop=True)

    def framed(self) -> pd.DataFrame:
        """All rows with a column `image`: [C, H, W] uint8, None where it is not kept."""
        return pd.concat([_with_images(self._rows(*piece, None), piece[0]) for piece in self.pieces], ignore_index=True)

    def _rows(self, part: Part, start: int, stop: int, columns: list[str] | None) -> pd.DataFrame:
        try:
            rows = pq.read_table(part.path, columns=columns, partitioning=None).to_pandas()
        except (OSError, pa.ArrowException) as error:
            raise shards.broken(part.path, error) from error
        return rows[(rows["sample"] >= start) & (rows["sample"] < stop)]


def find(tables: Path, model: str, method: str, count: int) -> Made:
    """The first `count` images of a model and method.

    Args:
        tables: the folder `TABLES/ANALYSIS`.
        model: display name.
        method: such as `eq7-pca`.
        count: how many.

    Raises:
        UserError: fewer are there, files are broken, or of several keys.
    """
    where = shards.folder(tables / FOLDER, model, method)
    parts = [part for part in shards.parts(where) if part.images.exists()]
    pieces = tuple(_pieces(parts, count))
    have = pieces[-1][2] if pieces else 0
    if have < count:
        raise UserError(
            f"{where} holds {have} of {count} images of '{model}'; generate them (a figure: leave out --no-measure)"
        )
    shards.check_one_key(where, parts)
    about = shards.provenance(parts[0].path)
    return Made(where, count, about["decisive"], about, pieces)


def _pieces(parts: list[Part], count: int) -> Iterator[tuple[Part, int, int]]:
    position = 0
    for part in parts:
        if part.start > position or position >= count:
            return
        if part.stop > position:
            stop = min(part.stop, count)
            yield part, position, stop
            position = stop


def _with_images(rows: pd.DataFrame, part: Part) -> pd.DataFrame:
    images = images_of(part)
    framed = images.ndim == 5
    steps = sorted(rows["step"].unique())
    last = rows.groupby("sample")["step"].transform("max")
    cells = []
    for sample, step, end in zip(rows["sample"] - part.start, rows["step"], last, strict=True):
        if framed:
            cells.append(images[sample, steps.index(step)])
        else:
            cells.append(images[sample] if step == end else None)
    return rows.assign(image=pd.Series(cells, index=rows.index, dtype=object))
