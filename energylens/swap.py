"""Folders that change places in one step, so that nobody ever sees half of a change."""

import ctypes
import os
import shutil
from pathlib import Path

from energylens.atomic import sync


def swap(new: Path, where: Path, old: Path) -> None:
    """Put a folder in another's place; behind it, that one lies where it was, or in `old`."""
    if not exchange(new, where):
        old.parent.mkdir(parents=True, exist_ok=True)
        os.rename(where, old)
        os.rename(new, where)
    sync(where.parent)
    sync(new.parent)


def exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; whether the system can: Linux, on most file systems."""
    here, both = -100, 2  # AT_FDCWD and RENAME_EXCHANGE
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), both) == 0


def link(source: str, target: str) -> None:
    """One file under two names; a copy, where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
        sync(Path(target))
