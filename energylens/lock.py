"""Probes on one folder share its work: none measures what another is at, none moves files under another's hands.

Bytes of one file, `_lock`, are locked (POSIX record locks), none is ever written: one for the whole folder, one for
each image of a model and attack, and one for each key that a model's and attack's files can have. A lock ends with
its process, however that ends, and holds between machines where the file system has locks (NFS has).
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from energylens.atomic import make
from energylens.errors import UserError, first_line

NAME = "_lock"
WORK = (1, 0)
"""length and place of the byte that stands for the whole folder"""
ROOM = 2**22
"""bytes for the images, or the keys, of one model and attack"""
CLAIMS = (1, 2**62 + 1)
"""length and place of the byte that is locked while keys are claimed, behind all others"""
BUSY = (errno.EACCES, errno.EAGAIN)


class Lock:
    """The lock file of one table's folder, held open: closing it would give all its locks back."""

    def __init__(self, points: Path, option: str = "--tables"):
        """Of a folder, which `option` chooses."""
        self.points = points
        self.missing = ""
        """why the file system has no locks, if it has none: then all are given"""
        self.works = False
        """whether it has given one"""
        try:
            make(points)
            self.file = (points / NAME).open("a+b")
        except OSError as error:
            raise UserError(f"cannot write {points} ({first_line(error)}); choose another one with {option}") from error

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

    def claim(self, keys: dict[Path, str]) -> Path | None:
        """Have folders hold files of these keys alone, from now on.

        Returns:
            The first folder in which somebody at work measures under another key, if there is one.
        """
        self._lock(fcntl.LOCK_EX, *CLAIMS)
        try:
            return next((where for where, key in keys.items() if not self._claim(where, key)), None)
        finally:
            self._lock(fcntl.LOCK_UN, *CLAIMS)

    def _claim(self, where: Path, key: str) -> bool:
        """Share a byte with those of the same key, if nobody has another one."""
        first, mine = _place(where, "keys of "), 1 + int(key, 16) % (ROOM - 2)
        others = ((mine, first), (ROOM - mine - 1, first + mine + 1))
        free = all(self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, *side) for side in others)
        for side in others:
            self._lock(fcntl.LOCK_UN, *side)
        return free and self._lock(fcntl.LOCK_SH | fcntl.LOCK_NB, 1, first + mine)

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
            if self.works:
                raise UserError(
                    f"{self.points / NAME} can no longer be locked ({first_line(error)}); whole shards are kept: "
                    "run it again when the file system is well"
                ) from error
            self.missing = first_line(error)
        self.works = not self.missing
        return True


def _place(where: Path, what: str = "") -> int:
    """Where the bytes of a folder begin: those of its images, or of its keys.

    Two folders in one place, one chance in 10^12, would only wait for each other, or refuse each other's keys.
    """
    name = what + "/".join(where.parts[-2:])
    return int.from_bytes(hashlib.blake2s(name.encode(), digest_size=5).digest()) * ROOM + 1


def busy(points: Path, why: str) -> UserError:
    """What a probe is told that cannot do its work beside another one."""
    return UserError(f"another probe is at work in {points}, {why}; wait until it ends, or take another --tables")


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
