"""The files of a training run's energies: where they lie, which are there, what is in one.

`RUN/epochs/model=NAME/attack=ATTACK/SPLIT-EPOCH.parquet`, each of one split under one attack at one epoch.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from energylens.errors import UserError, unknown
from energylens.schema import EPOCHS, NATURAL
from energylens.selection import each_once
from energylens.shards import broken, folder, named

FOLDER = "epochs"
WORDS = [field.name for field in EPOCHS if field.type == pa.string()]
Runs = str | Path | Iterable[str | Path]


class File(NamedTuple):
    """One file: the images of a split under an attack, at one epoch of a run."""

    path: Path
    model: str
    attack: str
    split: str
    epoch: int

    @property
    def group(self) -> tuple[str, str, int]:
        """What it shares with the natural images beside it: model, split, epoch."""
        return self.model, self.split, self.epoch


def path(run: Path, model: str, attack: str, split: str, epoch: int) -> Path:
    """Where a file lies."""
    return folder(run / FOLDER, model, attack) / f"{split}-{epoch:04d}.parquet"


def inside(where: Path) -> list[File]:
    """The files in a folder `attack=ATTACK`, by split and epoch."""
    found = []
    for one in where.glob("[!._]*.parquet"):
        match = re.fullmatch(r"(.+)-(\d{4,})", one.stem)
        if match:
            found.append(File(one, *named(where), match[1], int(match[2])))
    return sorted(found, key=lambda file: file.group)


def of_run(run: str | Path) -> list[File]:
    """All files of a run, by name, split and epoch, natural images first; `RUN/epochs` may be given itself.

    Raises:
        UserError: there are none.
    """
    below = Path(run) / FOLDER
    home = below if below.is_dir() else Path(run)
    found = [file for where in home.glob("model=*/attack=*") for file in inside(where)]
    if not found:
        raise UserError(f"no energies of epochs lie in {run}; give the folder of a training run, such as runs/NAME")
    return sorted(found, key=lambda file: (*file.group, file.attack != NATURAL, file.attack))


def files(
    runs: Runs,
    attacks: Iterable[str] | None = None,
    splits: Iterable[str] | None = None,
    epochs: int | Iterable[int] | None = None,
) -> list[File]:
    """What there is of runs, in their order, then as `of_run`.

    Args:
        runs: folders of runs, or one.
        attacks: those wanted, beside natural images; None for all.
        splits: those wanted; None for all.
        epochs: those wanted, or one; None for all.

    Raises:
        UserError: a run has no such files, no run has what is asked for, or two runs have one name.
    """
    found: dict[str, Path] = {}
    chosen: list[File] = []
    for run in dict.fromkeys(map(Path, [runs] if isinstance(runs, str | Path) else runs)):
        there = of_run(run)
        for model in dict.fromkeys(file.model for file in there):
            if model in found:
                raise UserError(f"{found[model]} and {run} both hold a run called '{model}'; open one at a time")
            found[model] = run
        chosen += there
    chosen = _only(chosen, "attack", None if attacks is None else [NATURAL, *each_once(attacks)])
    chosen = _only(chosen, "split", splits)
    chosen = _only(chosen, "epoch", [epochs] if isinstance(epochs, int) else epochs)
    for model in set(found) - {file.model for file in chosen}:
        raise UserError(f"run '{model}' has no energies of these attacks, splits and epochs; leave it out")
    return chosen


def _only(found: list[File], kind: str, names: Iterable[Any] | None) -> list[File]:
    """The files whose attack, split or epoch is among the names."""
    if names is None:
        return found
    chosen, known = each_once(names), sorted({getattr(file, kind) for file in found})
    for name in chosen:
        if name not in known:
            raise unknown(kind, str(name), map(str, known))
    return [file for file in found if getattr(file, kind) in chosen]


def read(where: Path, names: list[str]) -> tuple[pa.Table, dict[str, Any]]:
    """Columns of a file, words as dictionaries; what it was measured from, with its number of `rows`.

    Raises:
        UserError: it cannot be read, or is none of ours.
    """
    try:
        with pq.ParquetFile(where, read_dictionary=WORDS) as file:
            metadata = file.schema_arrow.metadata or {}
            if b"energylens" not in metadata or not set(names) <= set(file.schema_arrow.names):
                raise UserError(f"{where} holds no energies of an epoch; move it out of the folder")
            rows = file.read(names, use_threads=False).replace_schema_metadata()
            return rows, json.loads(metadata[b"energylens"]) | {"rows": file.metadata.num_rows}
    except (OSError, pa.ArrowException) as error:
        raise broken(where, error) from error
