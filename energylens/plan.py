"""What is there, what is missing: a recipe against the shards on disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energylens import provenance, table
from energylens.attacks import PGD
from energylens.data import Data
from energylens.options import Keep

SHARD = 1000
"""images in one file; at most this many rows are in memory"""


@dataclass(frozen=True)
class Subject:
    """A model that passed its check."""

    name: str
    reference: str
    sha: str


@dataclass(frozen=True)
class Task:
    """The missing images START to STOP of one model under some attacks (None: natural)."""

    subject: Subject
    start: int
    stop: int
    attacks: tuple[PGD | None, ...]

    @property
    def rows(self) -> int:
        """How many rows it will give."""
        return (self.stop - self.start) * len(self.attacks)


def facts(subject: Subject, images: Data, attack: PGD | None) -> dict[str, Any]:
    """All that decides the numbers of a model's shards under an attack."""
    return provenance.decisive(subject.sha, images.sha, images.shuffle_seed, attack)


def folder(points: Path, subject: Subject, attack: PGD | None) -> Path:
    """Where the shards of a model and attack lie."""
    return table.folder(points, subject.name, attack.name if attack else table.NATURAL)


def missing(
    subject: Subject, attacks: tuple[PGD, ...], images: Data, points: Path, keep: Keep, say: Callable[[str], None]
) -> Iterator[Task]:
    """The ranges of images that some attack lacks; shards of another key are moved aside first."""
    lacking: dict[tuple[int, int], list[PGD | None]] = {}
    for attack in (None, *attacks):
        wanted = facts(subject, images, attack)
        have = []
        for part in table.parts(folder(points, subject, attack)):
            if part.key != provenance.key(wanted):
                _set_aside(part, points, wanted, say)
            elif not keep.names or set(keep.names) <= set(table.provenance(part.path)["kept"]):
                have.append((part.start, part.stop))
        for gap in gaps(have, len(images)):
            lacking.setdefault(gap, []).append(attack)
    for (start, stop), missed in sorted(lacking.items()):
        yield Task(subject, start, stop, tuple(missed))


def gaps(have: list[tuple[int, int]], total: int) -> Iterator[tuple[int, int]]:
    """What of 0 to `total` is not covered, cut at multiples of SHARD."""
    position = 0
    for start, stop in [*sorted(have), (total, total)]:
        while position < min(start, total):
            end = min(start, total, (position // SHARD + 1) * SHARD)
            yield position, end
            position = end
        position = max(position, stop)


def _set_aside(part: table.Part, points: Path, wanted: dict[str, Any], say: Callable[[str], None]) -> None:
    place, aside = part.path.relative_to(points), points / "_aside"
    differs = provenance.difference(table.provenance(part.path)["decisive"], wanted)
    (aside / place).parent.mkdir(parents=True, exist_ok=True)
    part.path.replace(aside / place)
    say(f"moved aside: {place} differs in {differs}; it lies in {aside}")
