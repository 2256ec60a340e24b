"""Shards of other things under a name: where they are set aside, and how they come back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energylens import provenance, table
from energylens.shards import Broken, Part, check_whole

ASIDE = "_aside"
BROKEN = "_broken-"
"""in front of the name of a shard that cannot be read, among those that were moved aside"""


@dataclass(frozen=True)
class Move:
    """A shard that is to lie elsewhere."""

    path: Path
    target: Path
    why: str
    """in a line for the user"""


def usable(points: Path, where: Path, wanted: dict[str, Any]) -> tuple[list[tuple[Part, dict]], list[Move]]:
    """The shards of these facts, in a folder or set aside from it, with their provenance; what is to be moved.

    Args:
        points: the folder of the table.
        where: the one of a model and attack in it.
        wanted: all that decides the shards' numbers.
    """
    right, away = sorted_out(points, where, wanted)
    back, moves = _set_aside(points, where, provenance.key(wanted))
    return right + back, away + moves


def sorted_out(points: Path, where: Path, wanted: dict[str, Any]) -> tuple[list[tuple[Part, dict]], list[Move]]:
    """The shards of a folder that are whole and as wanted, with their provenance; moves for the others."""
    right, moves = [], []
    aside = points / ASIDE / where.relative_to(points)
    for part in table.parts(where):
        place, about = part.path.relative_to(points), intact(part)
        if about is None:
            why = f"moved aside: {place} cannot be read; its images are measured again when they are asked for"
            moves.append(Move(part.path, aside / f"{BROKEN}{part.path.name}", why))
        elif differs := provenance.difference(about["decisive"], wanted):
            why = f"moved aside, into {points / ASIDE}: {place} differs in {', '.join(differs)}"
            moves.append(Move(part.path, aside / part.path.name, why))
        else:
            right.append((part, about))
    return right, moves


def _set_aside(points: Path, where: Path, key: str) -> tuple[list[tuple[Part, dict]], list[Move]]:
    """Whole shards with this key that were set aside; moves that bring them back."""
    found, moves = [], []
    for part in table.parts(points / ASIDE / where.relative_to(points)):
        about = intact(part) if part.key == key else None
        if about is not None:
            back = where / part.path.name
            moves.append(Move(part.path, back, f"brought back: {back.relative_to(points)}"))
            found.append((part, about))
    return found, moves


def intact(part: Part) -> dict[str, Any] | None:
    """A shard's provenance, from its footer; None where that cannot be read.

    Raises:
        UserError: it is no shard of ours, or not of the images that its name says.
    """
    try:
        return check_whole(part)
    except Broken:
        return None
