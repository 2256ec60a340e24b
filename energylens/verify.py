"""Whether an energy table is what it says: its files, keys, rows, energies and pairs.

Reads file by file; only a model's natural images are held, to compare its attacked rows with them.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from energylens import compact
from energylens.errors import many
from energylens.row_checks import Columns, Natural
from energylens.schema import NATURAL, SCHEMA, STEPS
from energylens.shard_checks import STRANGE, Said, Shard
from energylens.shards import Part, parts

SAME = ("model_sha", "data_sha", "shuffle_seed")
"""what all files of one model name share"""
Seen = Callable[[int, int], None]


@dataclass(frozen=True)
class Finding:
    """What there is to tell of a file or folder."""

    path: Path
    what: str
    damage: bool = True
    """False: worth knowing, and the table is right in spite of it"""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def problems(points: Path, seen: Seen = lambda images, rows: None) -> Iterator[Finding]:
    """What is wrong with a table, file by file; nothing if it is all right.

    What a killed `compact` left is put in order first, as all readers do.

    Args:
        points: the folder `TABLES/ANALYSIS/points`, or `steps`.
        seen: told of each file's images (by its name) and rows, once it is looked at.

    Yields:
        Findings, those of one file together; of one mistake in many rows, one.
    """
    compact.recover(points)
    if (points / compact.HIDDEN).exists():
        yield Finding(points / compact.HIDDEN, "table compact is at work, or was killed; readers skip it", damage=False)
    homes = sorted(path for path in points.glob("model=*") if path.is_dir())
    yield from strangers(points, homes)
    for home in homes:
        yield from _Model(home, STEPS if points.resolve().name == "steps" else SCHEMA, seen).problems()


def images(points: Path) -> int:
    """How many images the names of a table's files promise."""
    return sum(_promised(part) for where in points.glob("model=*/attack=*") for part in parts(where))


def _promised(part: Part) -> int:
    return max(0, part.stop - part.start)


def strangers(folder: Path, known: Iterable[Path]) -> Iterator[Finding]:
    """What is none of ours in a folder, in which readers see all but hidden names."""
    if not os.access(folder, os.R_OK | os.X_OK):
        yield Finding(folder, "may not be read; change its permissions")
    for path in sorted(set(folder.glob("[!._]*")) - set(known)):
        yield Finding(path, STRANGE)


def _leftovers(where: Path) -> Iterator[Finding]:
    for path in sorted([*where.glob(".part-*"), *where.glob("._images-*")]):
        yield Finding(path, "left by a killed probe, or just being written; readers skip it", damage=False)


def _holes(where: Path, found: list[Part], images: int) -> Iterator[Finding]:
    """Images that no file of a folder has, and that files behind them, or the natural ones, go beyond."""
    total = max([images, *(part.stop for part in found)]) if found else 0
    holes, position = [], 0
    for start, stop in [*((part.start, part.stop) for part in found), (total, total)]:
        if start > position:
            holes.append(f"{position} to {start}")
        position = max(position, stop)
    if holes:
        more = f" and {len(holes) - 3} more ranges" if len(holes) > 3 else ""
        what = f"no images {', '.join(holes[:3])}{more}, of {total:,}; a probe that asks for them measures them"
        yield Finding(where, what, damage=False)


class _Model:
    """The files of one model, natural ones first."""

    def __init__(self, home: Path, schema: pa.Schema, seen: Seen):
        self.home, self.schema, self.seen = home, schema, seen
        self.first: tuple[Path, Said] | None = None
        self.natural = Natural.of([])
        self.images = 0
        """as far as its natural files go"""

    def problems(self) -> Iterator[Finding]:
        natural = f"attack={NATURAL}"
        folders = [path for path in self.home.glob("attack=*") if path.is_dir()]
        yield from strangers(self.home, folders)
        for where in sorted(folders, key=lambda path: (path.name != natural, path.name)):
            yield from self._attack(where, where.name != natural)

    def _attack(self, where: Path, attacked: bool) -> Iterator[Finding]:
        found = parts(where)
        yield from strangers(where, (part.path for part in found))
        yield from _leftovers(where)
        self.images = self.images if attacked else max((part.stop for part in found), default=0)
        yield from _holes(where, found, self.images)
        keys = Counter(part.key for part in found)
        if len(keys) > 1:
            listed = ", ".join(f"{key} ({many(count, 'file')})" for key, count in sorted(keys.items()))
            yield Finding(where, f"files of several keys, so measured from different things: {listed}")
        before = np.array([])
        pieces: list[Columns] = []
        for part in found:
            shard = Shard(part, self.schema, self.natural if attacked else None)
            told = [*shard.problems(), *self._another(part, shard.said), *_twice(shard, before)]
            yield from (Finding(part.path, what) for what in told)
            before, pieces = np.union1d(before, shard.samples), pieces + shard.pieces
            self.seen(_promised(part), shard.rows)
        if not attacked:
            self.natural = Natural.of(pieces)

    def _another(self, part: Part, said: Said | None) -> Iterator[str]:
        """Whether a file is of other weights or images than the first one under this name."""
        if said is None:
            return
        self.first = self.first or (part.path, said)
        path, first = self.first
        differs = [name for name in SAME if said.decisive.get(name) != first.decisive.get(name)]
        if differs:
            yield f"{', '.join(differs)} not as in {path.relative_to(self.home)}: different things under one model name"


def _twice(shard: Shard, before: np.ndarray) -> Iterator[str]:
    twice = int(np.isin(shard.samples, before).sum())
    if twice:
        yield f"{many(twice, 'image')} of it are in files before it too, so readers take them twice; compact mends that"
