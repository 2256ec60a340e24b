"""The table of scores: one row a set of images and a feature space. Rows are added and replaced, never lost."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from energylens.atomic import make, whole
from energylens.errors import UserError, first_line, some

FILE = "scores.parquet"
SCORES = ("is_mean", "is_std", "fid", "kid", "kid_std", "kid_paper", "kid_paper_std", "precision", "recall", "lpips",
          "nearest", "nearest_real", "intended", "svm")  # fmt: skip
"""numbers; what they mean stands in energylens.quality"""
SCHEMA = pa.schema(
    [
        ("model", pa.string()),  # display name; of images from elsewhere, that of their file
        ("model_ref", pa.string()),  # null for images from elsewhere, as are the next three
        ("model_sha", pa.string()),
        ("method", pa.string()),  # as in the tables of chains
        ("seed", pa.int64()),
        ("data", pa.string()),  # the training images
        ("split", pa.string()),
        ("key", pa.string()),  # of the chains; of images from elsewhere, their sha256's beginning
        ("space", pa.string()),
        ("space_sha", pa.string()),
        ("n", pa.int64()),  # images scored
        ("left_out", pa.int64()),  # chains that became NaN; null for images from elsewhere, as is the next
        ("saturated", pa.float64()),  # mean share of pixels that are 0 or 1
        ("real", pa.int64()),  # training images compared with
        ("kid_subset", pa.int64()),
        ("lpips_space", pa.string()),
        *((name, pa.float64()) for name in SCORES),
    ]
)
SAME = ("model", "model_sha", "method", "seed", "data", "split", "n", "space", "space_sha", "key")
"""a row replaces the one that has all of these in common"""


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a table of scores; none where there is no file.

    Raises:
        UserError: it cannot be read, or is another table.
    """
    if not path.exists():
        return []
    try:
        held = pq.read_table(path)
        if strange := set(held.column_names) - set(SCHEMA.names):
            raise UserError(f"{path} has columns that are none of ours ({some(strange)}); take another --out")
        rows = held.to_pylist()
        pa.Table.from_pylist(rows, schema=SCHEMA)
    except (OSError, pa.ArrowException, TypeError) as error:
        raise UserError(f"{path} is no table of scores ({first_line(error)}); take another --out") from error
    return rows


def add(path: Path, rows: list[dict[str, Any]]) -> int:
    """Put rows into the file, each in the place of the one that it replaces, or at the end; its rows then.

    Raises:
        UserError: the folder cannot be written, or the file is another table.
    """
    with _alone(path):
        merged = {_identity(one): one for one in [*read(path), *rows]}
        made = pa.Table.from_pylist(list(merged.values()), schema=SCHEMA)
        with whole(path, "--out") as hidden:
            pq.write_table(made, hidden)
    return len(merged)


def _identity(row: dict[str, Any]) -> tuple:
    return tuple(row.get(name) for name in SAME)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Inside, no other process adds rows to the file; on a file system without locks, have one at a time do it."""
    try:
        make(path.parent)
        file = path.with_name(f".{path.name}.lock").open("a+b")
    except OSError as error:
        raise UserError(f"cannot write {path.parent} ({first_line(error)}); choose another one with --out") from error
    with file:
        with suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_EX)
        yield
