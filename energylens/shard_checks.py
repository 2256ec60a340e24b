"""One file of an energy table: whether its name, its provenance and its rows agree."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from energylens import provenance, row_checks
from energylens.errors import first_line, many
from energylens.row_checks import Columns, Natural
from energylens.schema import KINDS
from energylens.shards import Part

PIECE = 4096
"""rows at once: with the logits of 1,000 classes about 100 MB"""
CONSTANT = ("model_ref", "model_sha", "data", "split", "eps", "norm", "seed", "precision", "key")
NULLABLE = ("target", "part")
"""of the columns that are no numbers with a fraction: there, null is NaN"""
STRANGE = "is nothing of ours, and readers take it for a part of the table; move it out of the folder"
AGAIN = "delete it and measure it again"


class Unusable(Exception):
    """A file of which no more can be told."""


@dataclass(frozen=True)
class Said:
    """What a file says of itself."""

    key: str
    decisive: dict[str, Any]
    settings: dict[str, Any] | None
    """of the attack; None for natural images"""
    rows: int
    logits: bool
    images: bool
    """whether they are kept beside it"""
    constants: dict[str, Any]
    """columns with one value in all rows, and that value"""

    @classmethod
    def of(cls, metadata: dict[bytes, bytes] | None) -> "Said":
        """From a file's metadata."""
        if not metadata or b"energylens" not in metadata:
            raise Unusable(STRANGE)
        try:
            about = json.loads(metadata[b"energylens"])
            decisive, settings, kept = about["decisive"], about["decisive"]["attack"], about["kept"]
            data, _, split = about["data"].rpartition(":")
            constants = {"key": about["key"], "model_ref": about["model_ref"], "data": data, "split": split}
            constants |= {name: decisive[name] for name in ("model_sha", "precision")}
            constants |= {name: settings and settings.get(name) for name in ("eps", "seed")}
            if settings is None or "norm" in settings:
                constants["norm"] = settings and settings["norm"]
            return cls(
                about["key"], decisive, settings, about["rows"], "keep_logits" in kept, "keep_images" in kept, constants
            )
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise Unusable(f"its provenance is damaged ({first_line(error)}); {AGAIN}") from error


class Shard:
    """A file under examination.

    Args:
        part: the file.
        schema: the columns that it is to have.
        natural: what its rows are held against; None where they are the natural ones.
    """

    nullable: tuple[str, ...] = NULLABLE

    def __init__(self, part: Part, schema: pa.Schema, natural: Natural | None):
        self.part, self.schema, self.natural = part, schema, natural
        self.said: Said | None = None
        self.rows = 0
        self.samples = np.array([])
        """each once"""
        self.pieces: list[Columns] = []
        """of natural rows, what attacked ones are held against"""
        self.wrong: dict[str, tuple[int, int]] = {}
        """what is wrong with rows -> how many, the first one's sample"""

    def problems(self) -> list[str]:
        """What is wrong with it; all else is known of it then."""
        lines = list(self._problems())
        rows = (f"{what} ({many(count, 'row')}, first sample {sample})" for what, (count, sample) in self.wrong.items())
        return [*lines, *rows]

    def _problems(self) -> Iterator[str]:
        try:
            with pq.ParquetFile(self.part.path, page_checksum_verification=True) as file:
                self.said = Said.of(file.schema_arrow.metadata)
                yield from self._name(self.said)
                yield from self._shape(file, self.said)
                for batch in file.iter_batches(PIECE):
                    self._piece(batch, self.said)
        except FileNotFoundError:
            yield "was moved or joined while it was to be read; check again when nobody is at work"
        except (OSError, pa.ArrowException) as error:
            yield f"cannot be read ({first_line(error)}); {AGAIN}"
        except Unusable as error:
            yield str(error)
        else:
            yield from self._range(self.said)

    def _name(self, said: Said) -> Iterator[str]:
        if said.key != self.part.key:
            yield f"its name has another key than its provenance, {said.key}"
        if said.key != provenance.key(said.decisive):
            yield f"its key is not that of what it was measured from, {provenance.key(said.decisive)}"
        if (said.settings is None) == (self.natural is not None):
            yield f"it is of {'natural' if said.settings is None else 'attacked'} images, and its folder is not"
        if said.images and not self.part.images.exists():
            yield f"its images, {self.part.images.name}, are gone"

    def _shape(self, file: pq.ParquetFile, said: Said) -> Iterator[str]:
        found = file.schema_arrow
        if not found.equals(self.schema):
            names = dict.fromkeys([*self.schema.names, *found.names])
            differ = [name for name in names if _type(found, name) != _type(self.schema, name)]
            kind = next(kind for kind, schema in KINDS.items() if schema is self.schema)
            raise Unusable(f"its columns are not those of {kind}, in {', '.join(differ) or 'their order'}; {AGAIN}")
        self.rows = file.metadata.num_rows
        if self.rows != said.rows:
            yield f"it has {many(self.rows, 'row')}, and its provenance says {said.rows}"

    def _piece(self, batch: pa.RecordBatch, said: Said) -> None:
        rows, logits = _columns(batch, self.nullable), _logits(batch)
        for name in CONSTANT:
            there = batch.column(name).unique().to_pylist()
            if len(there) > 1:
                self._note(f"several values of {name}", np.ones(len(batch), bool), rows)
            elif name in said.constants and there != [said.constants[name]]:
                what = f"{name} is {there[0]}, and its provenance says {said.constants[name]}"
                self._note(what, np.ones(len(batch), bool), rows)
        if (logits is not None) != said.logits:
            what = "logits are kept, and its provenance says not" if logits is not None else "its logits are gone"
            self._note(what, np.ones(len(batch), bool), rows)
        self._rows(rows, logits, said)
        self.samples = np.union1d(self.samples, rows["sample"])

    def _rows(self, rows: Columns, logits: np.ndarray | None, said: Said) -> None:
        kind = row_checks.NATURAL if self.natural is None else row_checks.ATTACKED
        found = [*row_checks.own(rows, kind, logits)]
        if self.natural is None:
            self.pieces.append({name: rows[name] for name in row_checks.HELD})
        else:
            settings = said.settings or {}
            radius = settings.get("radius", settings.get("eps"))
            found += row_checks.outside(rows, radius, settings.get("norm", "linf"))
            found += self.natural.differ(rows)
        for what, wrong in found:
            self._note(what, wrong, rows)

    def _note(self, what: str, wrong: np.ndarray, rows: Columns) -> None:
        if wrong.any():
            count, first = self.wrong.get(what, (0, int(rows["sample"][wrong.argmax()])))
            self.wrong[what] = count + int(wrong.sum()), first

    def _range(self, said: Said) -> Iterator[str]:
        part = self.part
        if len(self.samples) != part.stop - part.start:
            yield f"it has {many(len(self.samples), 'image')}, and its name says {part.stop - part.start}"
        elif "step" not in self.schema.names and self.rows != len(self.samples):
            yield f"images stand in it twice: {many(self.rows, 'row')} of {many(len(self.samples), 'image')}"
        if said.decisive.get("shuffle_seed") is None:
            out = (self.samples < part.start) | (self.samples >= part.stop)
            if out.any():
                first = int(self.samples[out][0])
                yield f"samples outside its name's range ({many(int(out.sum()), 'image')}, first sample {first})"


def _type(schema: pa.Schema, name: str) -> pa.DataType | None:
    return schema.field(name).type if name in schema.names else None


def _columns(batch: pa.RecordBatch, nullable: tuple[str, ...]) -> Columns:
    made = {}
    for name in batch.schema.names:
        column = batch.column(name)
        if name in CONSTANT or name == "logits":
            continue
        if column.null_count and name not in nullable and not pa.types.is_floating(column.type):
            raise Unusable(f"nulls in {name}; {AGAIN}")
        values = column.to_numpy(zero_copy_only=False)
        made[name] = values if values.dtype.kind in "bO" else values.astype(float)
    return made


def _logits(batch: pa.RecordBatch) -> np.ndarray | None:
    """[B, K] float32, or None where none are kept."""
    column = batch.column("logits")
    if column.null_count == len(column):
        return None
    classes = pc.list_value_length(column).unique().to_pylist()
    if len(classes) > 1 or not classes[0]:
        raise Unusable(f"logits of several lengths: {', '.join(map(str, classes))}; {AGAIN}")
    return np.array(column.flatten().to_numpy(zero_copy_only=False)).reshape(len(column), classes[0])
