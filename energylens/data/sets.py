"""Data sets known by name: which files they lie in, and where these come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from energylens.data.files import Arrays, lacking


@dataclass(frozen=True)
class Layout:
    """One way in which a data set lies on disk."""

    name: str
    """in words, for messages"""
    find: Callable[[Path, str], "Found"]
    """(data folder, split) -> its files"""
    read: Callable[[Sequence[Path], str], Arrays]
    """(the files that were found, split) -> images and labels"""


class Found(NamedTuple):
    """What there is of a layout."""

    files: tuple[Path, ...]
    """all of the split, if it is whole"""
    lacks: str = ""
    """what is missing, if some of it is there"""


class Source(NamedTuple):
    """A file on the network."""

    place: str
    """below the data folder"""
    url: str
    checksum: str


@dataclass(frozen=True)
class Set:
    """A named data set."""

    splits: tuple[str, ...]
    layouts: tuple[Layout, ...]
    """the first that is whole is read"""
    archives: Callable[[str], Sequence[Source]]
    """split -> what is downloaded where no layout is whole"""
    advice: str
    """what to place by hand"""


def pick(*paths: Path) -> Found:
    """Whole where all of these files are there."""
    there = [path for path in paths if path.exists()]
    if len(there) == len(paths):
        return Found(paths)
    lacking = next(path for path in paths if path not in there)
    return Found((), str(lacking.name) if there else "")


def shards(folder: Path, split: str) -> Found:
    """`SPLIT-00000-of-00002.parquet` and the rest, as on the Hugging Face hub."""
    there = tuple(sorted(folder.glob(f"{split}-*.parquet")))
    lacks = lacking(there, split)
    return Found((), lacks) if lacks else Found(there)
