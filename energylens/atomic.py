"""Files that are whole or absent."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from energylens.errors import UserError, first_line


def check_writable(folder: Path, option: str) -> None:
    """Whether a folder can be written, or made, before any work is done for it.

    Raises:
        UserError: it cannot; `option` chooses another one.
    """
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(f"{there} is no folder that can be written; choose another one with {option}")


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, survive a power cut."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def make(folder: Path) -> None:
    """Have a folder, whose name survives a power cut, as those of the folders above it."""
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(new):
        sync(one.parent)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written in a folder; nobody else may be writing there."""
    for path in folder.glob(".*"):
        if re.fullmatch(r"\..+\.\w+\.\d+", path.name):  # as `whole` names it
            with suppress(OSError):
                path.unlink()


@contextmanager
def whole(path: Path, option: str) -> Iterator[Path]:
    """A hidden name to write to; behind the block it is synced and renamed to `path`.

    Raises:
        UserError: the folder cannot be written, or the disk is full; `option` chooses another one.
    """
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        make(path.parent)
        yield hidden
        sync(hidden)
        os.replace(hidden, path)
        sync(path.parent)
    except OSError as error:
        remedy = (
            f"make room, or choose another folder with {option}"
            if error.errno == errno.ENOSPC
            else (f"choose another folder with {option}")
        )
        raise UserError(f"cannot write {path} ({first_line(error)}); {remedy}") from error
    finally:
        with suppress(OSError):
            hidden.unlink()
