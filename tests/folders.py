"""What must hold of a table's folder at any moment, and when two of them are the same."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from energylens import table


class Piece(NamedTuple):
    """The images START to STOP of a model under an attack."""

    model: str
    attack: str
    start: int
    stop: int


def points(tables: Path) -> Path:
    return tables / "test" / "points"


def hidden(tables: Path) -> list[Path]:
    """Half-written files."""
    return list(points(tables).glob("model=*/attack=*/.*"))


def kept(tables: Path) -> list[Path]:
    """Files of attacked images."""
    return list(points(tables).glob("model=*/attack=*/_images-*.npz"))


def stats(tables: Path) -> dict[Path, tuple[int, int, int]]:
    """Shards, and what changes when one is written again."""
    found = {}
    for path in points(tables).glob("model=*/attack=*/part-*.parquet"):
        stat = path.stat()
        found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def written(tables: Path) -> dict[Piece, table.Part]:
    """Shards that have their final names."""
    found = {}
    for where in points(tables).glob("model=*/attack=*"):
        model, attack = (name.partition("=")[2] for name in where.parts[-2:])
        found |= {Piece(model, attack, part.start, part.stop): part for part in table.parts(where)}
    return found


def read(tables: Path) -> pd.DataFrame:
    """As a user reads it, in order of its images."""
    found = pd.read_parquet(points(tables))
    return found if found.empty else found.sort_values(["model", "attack", "sample"], ignore_index=True)


def check_whole(tables: Path) -> None:
    """Every file with a final name is whole, and a plain reader sees each row once."""
    shards = written(tables)
    for part in shards.values():
        table.check_whole(part)
    for path in kept(tables):
        start, stop = map(int, path.stem.split("-")[2:])
        assert len(opened(path)) == stop - start, path
    found = read(tables)
    assert len(found) == sum(piece.stop - piece.start for piece in shards)
    assert found.empty or not found.duplicated(["model", "attack", "sample"]).any()


def check_equal(tables: Path, clean: Path) -> None:
    """The same rows and the same kept images, to the last bit."""
    found, wanted = read(tables), read(clean)
    assert len(found) == len(wanted)
    for column in wanted:
        assert bits(found[column]) == bits(wanted[column]), column
    mine, known = ({path.relative_to(folder): opened(path) for path in kept(folder)} for folder in (tables, clean))
    assert known.keys() <= mine.keys()
    for path, images in known.items():
        assert mine[path].tobytes() == images.tobytes(), path


def bits(column: pd.Series) -> Any:
    """NaN equals the same NaN."""
    if column.dtype.kind in "fiub":
        return column.dtype, column.to_numpy().tobytes()
    return [value.tobytes() if isinstance(value, np.ndarray) else value for value in column]


def opened(path: Path) -> np.ndarray:
    with np.load(path) as archive:
        return archive["images"]
