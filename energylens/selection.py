"""What of a table's files is to be read: columns, rows and images, checked before any file is opened for them."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from energylens.errors import UserError, first_line, unknown
from energylens.shards import broken

FOLDERS = ("model", "attack")
"""the columns that stand in the names of folders, not in the files"""


@dataclass(frozen=True)
class Selection:
    """What to read of each file."""

    schema: pa.Schema
    """of the files, and of the names of their folders"""
    columns: list[str]
    """of the files"""
    rows: ds.Expression
    samples: int | None
    """the first this many images; None for all"""


def select(path: Path, samples: int | None, columns: Iterable[str] | None, filters: list | None) -> Selection:
    """Checked against the columns of one file.

    Raises:
        UserError: that file is broken; a column does not exist; the filters cannot be applied.
    """
    if samples is not None and samples < 1:
        raise UserError(f"samples={samples} leaves no image; take 1 or more, or None for all")
    schema = _schema(path)
    chosen = schema.names if columns is None else each_once(columns)
    for name in chosen:
        if name not in schema.names:
            raise unknown("column", name, schema.names)
    return Selection(schema, [name for name in chosen if name not in FOLDERS], _expression(filters, schema), samples)


def each_once(given: Iterable[str]) -> list[str]:
    """Names without repetitions, in their order; one alone may come without a list."""
    return list(dict.fromkeys([given] if isinstance(given, str) else given))


def _schema(path: Path) -> pa.Schema:
    try:
        found = pq.read_schema(path).remove_metadata()
    except (OSError, pa.ArrowException) as error:
        raise broken(path, error) from error
    return pa.schema([*found, *((name, pa.string()) for name in FOLDERS)])


def _expression(filters: list | None, schema: pa.Schema) -> ds.Expression:
    if not filters:
        return ds.scalar(True)
    try:
        conditions = [filters] if isinstance(filters[0][0], str) else filters
        for name, _, _ in itertools.chain.from_iterable(conditions):
            if name not in schema.names:
                raise unknown("column", name, schema.names)
        expression = pq.filters_to_expression(filters)
        schema.empty_table().filter(expression)
    except UserError:
        raise
    except (LookupError, TypeError, ValueError, pa.ArrowException) as error:
        raise UserError(
            f"filters={filters!r} cannot be applied ({first_line(error)}); write [('status', '==', 'nan')]"
        ) from error
    return expression
