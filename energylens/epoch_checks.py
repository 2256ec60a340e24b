"""Whether the energies of a training run are what they say: as `verify`, and the terms of eq. 5.

Reads file by file; only the natural images of one split and epoch are held, to compare the attacked rows with them.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from energylens import provenance
from energylens.epoch_files import File, inside
from energylens.row_checks import NEAR, ROUNDING, Columns, Natural, Wrong
from energylens.schema import EPOCHS, NATURAL
from energylens.shard_checks import Said, Shard
from energylens.shards import Part
from energylens.verify import Finding, Seen, strangers

TERMS = ("kl_conditional", "kl_marginal")


def problems(points: Path, seen: Seen = lambda images, rows: None) -> Iterator[Finding]:
    """What is wrong with a run's energies, file by file; nothing if they are all right.

    Args:
        points: the folder `RUN/epochs`.
        seen: told of each file's rows, twice, once it is looked at.

    Yields:
        Findings, those of one file together; of one mistake in many rows, one.
    """
    homes = sorted(path for path in points.glob("model=*") if path.is_dir())
    yield from strangers(points, homes)
    for home in homes:
        folders = sorted(path for path in home.glob("attack=*") if path.is_dir())
        yield from strangers(home, folders)
        found: list[File] = []
        for where in folders:
            there = inside(where)
            yield from strangers(where, (file.path for file in there))
            for path in sorted(where.glob(".*.parquet.*")):
                yield Finding(path, "left by a killed run, or just being written; readers skip it", damage=False)
            found += there
        yield from _run(found, seen)


def images(points: Path) -> int:
    """How many rows the files promise that can be read."""
    return sum(_rows(file.path) for where in points.glob("model=*/attack=*") for file in inside(where))


def _rows(path: Path) -> int:
    try:
        return pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException):
        return 0


def _run(found: list[File], seen: Seen) -> Iterator[Finding]:
    """All files of a run, natural ones of a split and epoch before the attacked ones."""
    found = sorted(found, key=lambda file: (*file.group, file.attack != NATURAL, file.attack))
    data: dict[str, str] = {}
    for (_, split, _), group in itertools.groupby(found, lambda file: file.group):
        natural, networks = Natural.of([]), set()
        for file in group:
            checked = _File(file, natural if file.attack != NATURAL else None)
            told = checked.problems()
            if checked.said:
                decisive = checked.said.decisive
                networks.add(decisive["model_sha"])
                if len(networks) > 1:
                    told.append("model_sha not as beside it, so of another network: delete the older file")
                if data.setdefault(split, decisive["data_sha"]) != decisive["data_sha"]:
                    told.append("data_sha not as at other epochs: different images under one split")
            yield from (Finding(file.path, what) for what in told)
            if file.attack == NATURAL:
                natural = Natural.of(checked.pieces)
            seen(checked.rows, checked.rows)


class _File(Shard):
    """A file under examination; its name holds no key and no range."""

    def __init__(self, file: File, natural: Natural | None):
        super().__init__(Part(file.path, "", 0, 0), EPOCHS, natural)
        self.file = file

    def _name(self, said: Said) -> Iterator[str]:
        if said.key != provenance.key(said.decisive):
            yield f"its key is not that of what it was measured from, {provenance.key(said.decisive)}"
        if (said.settings is None) == (self.natural is not None):
            yield f"it is of {'natural' if said.settings is None else 'attacked'} images, and its folder is not"
        if said.constants["split"] != self.file.split:
            yield f"its name has another split than its provenance, {said.constants['split']}"

    def _rows(self, rows: Columns, logits: np.ndarray | None, said: Said) -> None:
        super()._rows(rows, logits, said)
        self._note("epoch is not that of its name", rows["epoch"] != self.file.epoch, rows)
        for what, wrong in _terms(rows, self.natural):
            self._note(what, wrong, rows)

    def _range(self, said: Said) -> Iterator[str]:
        if self.rows != len(self.samples):
            yield f"images stand in it twice: {self.rows:,} rows of {len(self.samples):,} images"


def _terms(rows: Columns, natural: Natural | None) -> Iterator[Wrong]:
    """The terms of eq. 5 against the energies, as far as they follow from them.

    The natural energies may be of another batch, which leaves 0.001 nats, as at the boundaries of classes.
    """
    conditional, marginal = (rows[name] for name in TERMS)
    if natural is None:
        yield f"natural images with {' or '.join(TERMS)}", ~np.isnan(conditional) | ~np.isnan(marginal)
        return
    there, place = natural.places(rows)
    before = natural.energy[place] if len(natural.energy) else np.full(len(place), np.nan)
    both = there & np.isfinite(before) & np.isfinite(rows["energy"])
    yield f"no number in one of {', '.join(TERMS)}", both & (np.isnan(conditional) | np.isnan(marginal))
    with np.errstate(invalid="ignore"):  # inf - inf
        rounding = ROUNDING * (np.abs(before) + np.abs(rows["energy"]))
        yield "kl_marginal is not E(x) - E(x*)", both & (np.abs(before - rows["energy"] - marginal) > NEAR + rounding)
        least = -ROUNDING * (np.abs(conditional) + np.abs(marginal)) - ROUNDING
        yield f"{' + '.join(TERMS)}, a divergence, is below 0", conditional + marginal < least
