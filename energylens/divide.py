"""Take a joined file apart into the shards that it was made of, so that each can be measured again by itself.

As where files are joined, a hidden folder and the table's change places, so that no row is ever lost or there twice.
"""

import math
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from energylens.atomic import sync
from energylens.compact import OWN, replaced, rows_of
from energylens.shards import Part, broken, check_whole, described, pieces, write_images
from energylens.swap import link

Piece = tuple[Part, dict[str, Any]]
"""a shard to be, with its provenance but for the number of its rows"""


def divide(part: Part, points: Path) -> None:
    """Shards instead of a joined file; only while nobody else is at work in the table.

    Raises:
        UserError: it cannot be read, or the disk is full or read-only; then it stays.
    """
    where, about = part.path.parent, check_whole(part)
    has_images = "keep_images" in about["kept"] and part.images.exists()
    with replaced(where, points, f"divide {part.path}") as new:
        made = list(_pieces(part, new, about))
        gone = {part.path.name, *(piece.path.name for piece, _ in made)}
        if has_images:
            gone.add(part.images.name)
        shutil.copytree(where, new, symlinks=True, ignore=lambda *_: gone, copy_function=link)
        _write(part, made, _images(part, made) if has_images else None)


def _write(part: Part, made: list[Piece], images: Iterator[np.ndarray] | None) -> None:
    rows = rows_of(part)
    samples = rows["sample"].unique()
    for piece, about in made:
        place = slice(piece.start - part.start, piece.stop - part.start)
        mine = rows.filter(pc.is_in(rows["sample"], samples[place]))
        pq.write_table(described(mine, about | {"rows": len(mine)}), piece.path, write_page_checksum=True)
        check_whole(piece)
        sync(piece.path)
        if images is not None:
            write_images(next(images), piece.path.parent, piece.start, piece.stop, part.key)


def _images(part: Part, made: list[Piece]) -> Iterator[np.ndarray]:
    """The kept images of each shard, one after the other, as all may not fit into memory."""
    try:
        with zipfile.ZipFile(part.images) as archive, archive.open("images.npy") as file:
            np.lib.format.read_magic(file)
            shape, _, kind = np.lib.format.read_array_header_1_0(file)
            if shape[0] != part.stop - part.start:
                raise ValueError(f"{shape[0]} images")
            for piece, _ in made:
                mine = (piece.stop - piece.start, *shape[1:])
                yield np.frombuffer(file.read(math.prod(mine) * kind.itemsize), kind).reshape(mine)
    except (OSError, ValueError, EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise broken(part.images, error) from error


def _pieces(part: Part, new: Path, about: dict[str, Any]) -> Iterator[Piece]:
    """The shards, and the provenance of each."""
    common = {name: value for name, value in about.items() if name not in ("joined", *OWN)}
    for piece in pieces(part, about):
        start, stop = piece["start"], piece["stop"]
        path = new / f"part-{part.key}-{start}-{stop}.parquet"
        mine = {name: piece[name] for name in OWN if name in piece}
        yield Part(path, part.key, start, stop), common | mine | {"start": start}
