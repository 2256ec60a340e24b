"""Probes on one folder share its work: none measures what another is at, none moves files under another's hands.

Bytes of one file, `_lock`, are locked (POSIX record locks). A lock ends with its process, however that ends,
and holds between machines where the file system has locks (NFS has).
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from energylens.errors import UserError, first_line

NAME = "_lock"
WORK = (1, 0)
"""length and place of the byte that stands for the whole folder"""
BUSY = (errno.EACCES, errno.EAGAIN)


class Lock:
    """The lock file of one table's folder, held open: closing it would give all its locks back."""

    def __init__(self, points: Path):
        self.points = points
        self.missing = ""
        """why the file system has no locks, if it has none: then all are given"""
        try:
            points.mkdir(parents=True, exist_ok=True)
            self.file = (points / NAME).open("a+b")
        except OSError as error:
            raise UserError(f"cannot write {points} ({first_line(error)}); choose another one with --tables") from error

    def share(self) -> None:
        """Be one of those at work; waits while somebody is alone."""
        self._lock(fcntl.LOCK_SH, *WORK)

    def alone(self) -> bool:
        """Be the only one at work, if nobody else is; `share` ends it."""
        return self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, *WORK)

    def take(self, where: Path, start: int, stop: int) -> bool:
        """Have images START to STOP of a model's and attack's folder for oneself, if nobody else has any of them."""
        return self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, stop - start, _place(where) + start)

    def give_back(self, where: Path, start: int, stop: int) -> None:
        """Let others have them."""
        self._lock(fcntl.LOCK_UN, stop - start, _place(where) + start)

    def warn(self, say: Callable[[str], None]) -> None:
        """Tell where there are no locks."""
        if self.missing:
            say(f"no file locks in {self.points} ({self.missing}): have one command at a time write there")

    def _lock(self, how: int, length: int, place: int) -> bool:
        try:
            fcntl.lockf(self.file, how, length, place, os.SEEK_SET)
        except OSError as error:
            if error.errno in BUSY:
                return False
            self.missing = first_line(error)
        return True


def _place(where: Path) -> int:
    """Where the images of a folder begin in the file, of which no byte is ever written.

    Two folders in one place, one chance in 10^12, would only wait for each other.
    """
    name = "/".join(where.parts[-2:])
    return int.from_bytes(hashlib.blake2s(name.encode(), digest_size=5).digest()) * 2**22 + 1


@contextmanager
def at_work(points: Path, say: Callable[[str], None]) -> Iterator[Lock]:
    """Inside, this process measures into the folder, beside others.

    Raises:
        UserError: the folder cannot be written.
    """
    lock = Lock(points)
    with lock.file:
        lock.share()
        lock.warn(say)
        yield lock


@contextmanager
def alone(points: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Inside, nobody measures into the folder.

    Raises:
        UserError: a probe is at work in it, or the folder cannot be written.
    """
    lock = Lock(points)
    with lock.file:
        if not lock.alone():
            raise UserError(f"a probe is at work in {points}; wait until it ends")
        lock.warn(say)
        yield
