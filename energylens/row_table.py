"""A parquet file of rows to which several commands add. Rows are added and replaced, never lost."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from energylens.atomic import make, whole
from energylens.errors import UserError, first_line, some

Row = dict[str, Any]


@dataclass(frozen=True)
class RowTable:
    """What one kind of file holds: `OUT/evaluate.parquet`, `OUT/scores.parquet`."""

    noun: str
    """what it is a table of, for errors"""
    schema: pa.Schema
    same: tuple[str, ...]
    """a row replaces the one that has all of these columns in common"""

    def read(self, path: Path) -> list[Row]:
        """The rows of a file; none where there is no file.

        Raises:
            UserError: it cannot be read, or is another table.
        """
        if not path.exists():
            return []
        try:
            held = pq.read_table(path)
            if strange := set(held.column_names) - set(self.schema.names):
                raise UserError(f"{path} has columns that are none of ours ({some(strange)}); take another --out")
            rows = held.to_pylist()
            pa.Table.from_pylist(rows, schema=self.schema)
        except (OSError, pa.ArrowException, TypeError) as error:
            raise UserError(f"{path} is no table of {self.noun} ({first_line(error)}); take another --out") from error
        return rows

    def add(self, path: Path, rows: list[Row]) -> int:
        """Put rows into a file, each in the place of the one that it replaces, or at the end; its rows then.

        Raises:
            UserError: the folder cannot be written, or the file is another table.
        """
        with _alone(path):
            merged = {self._identity(one): one for one in [*self.read(path), *rows]}
            made = pa.Table.from_pylist(list(merged.values()), schema=self.schema)
            with whole(path, "--out") as hidden:
                pq.write_table(made, hidden)
        return len(merged)

    def _identity(self, row: Row) -> tuple:
        return tuple(row.get(name) for name in self.same)


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
