"""What is none of ours, where readers would take it for a part of a table."""

from collections.abc import Iterable
from pathlib import Path

from energylens.errors import UserError
from energylens.shards import parts


def check(points: Path) -> None:
    """Look into every folder of a table, by the names alone.

    Raises:
        UserError: there is a foreign file or folder.
    """
    homes = _folders(points.glob("model=*"))
    _only(points, homes)
    for home in homes:
        attacks = _folders(home.glob("attack=*"))
        _only(home, attacks)
        for where in attacks:
            _only(where, [part.path for part in parts(where)])


def _folders(found: Iterable[Path]) -> list[Path]:
    return [path for path in found if path.is_dir()]


def _only(where: Path, ours: list[Path]) -> None:
    for path in sorted(set(where.glob("[!._]*")) - set(ours)):
        raise UserError(f"{path} is nothing of ours, and readers take it for a shard; move it out of the folder")
