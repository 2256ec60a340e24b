"""What is none of ours, where readers would take it for a part of a table."""

from collections.abc import Callable
from pathlib import Path

from energylens.errors import UserError
from energylens.shards import parts


def check(points: Path) -> None:
    """Look into every folder of a table, by the names alone.

    Raises:
        UserError: there is a foreign file or folder.
    """
    for home in _only(points, _models):
        for where in _only(home, _attacks):
            _only(where, _shards)


def _models(points: Path) -> list[Path]:
    return [path for path in points.glob("model=*") if path.is_dir()]


def _attacks(home: Path) -> list[Path]:
    return [path for path in home.glob("attack=*") if path.is_dir()]


def _shards(where: Path) -> list[Path]:
    return [part.path for part in parts(where)]


def _only(where: Path, ours: Callable[[Path], list[Path]]) -> list[Path]:
    """What is ours in a folder, in which nothing else may be."""
    there = set(where.glob("[!._]*"))  # before ours: what another probe adds meanwhile is no stranger
    known = ours(where)
    for path in sorted(there - set(known)):
        raise UserError(f"{path} is nothing of ours, and readers take it for a shard; move it out of the folder")
    return known
