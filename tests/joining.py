"""Joins, also such as are killed, or whose disk fails, at one chosen call.

`python tests/joining.py FOLDER exchange` copies FOLDER/0 to FOLDER/1, FOLDER/2, ... and joins each of them in a
process that is killed before the first, second, ... change of the disk, until one ends.
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from energylens import compact, swap

CALLS = ("mkdir", "link", "rename", "unlink", "rmdir", "open", "fsync")
"""of `os`, through which a join changes the disk"""
WORK = """
import sys
from pathlib import Path
from energylens import lock
with lock.at_work(Path(sys.argv[1]), print):
    print("ready", flush=True)
    sys.stdin.read()
"""


def join(points: Path) -> list[str]:
    """What it says."""
    said: list[str] = []
    compact.compact(points, said.append)
    return said


def names(where: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in where.iterdir())


def content(folder: Path) -> dict[Path, bytes]:
    """Of all files in and below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "_lock"}


def kept(path: Path) -> np.ndarray:
    """The images of a file."""
    with np.load(path) as archive:
        assert archive.files == ["images"]
        return archive["images"]


def arm(act: Callable[[int], None], patch: Callable = setattr) -> None:
    """Have `act` be told of each change of the disk, before it is made: the first, the second, ..."""
    calls = itertools.count(1)

    def told(real: Callable) -> Callable:
        def call(*args, **kwargs):
            act(next(calls))
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        patch(os, name, told(getattr(os, name)))
    patch(pq, "write_table", told(pq.write_table))
    patch(swap, "exchange", told(swap.exchange))


def no_exchange(one: Path, other: Path) -> bool:
    """What `swap.exchange` does where the system cannot."""
    return False


def killed(folder: Path, how: str) -> list[Path]:
    """FOLDER/1, FOLDER/2, ...: as deaths left them; the last one was joined in peace."""
    subprocess.run([sys.executable, __file__, str(folder), how], check=True, timeout=300)
    return sorted((path for path in folder.iterdir() if path.name != "0"), key=lambda path: int(path.name))


@contextmanager
def at_work(points: Path) -> Iterator[None]:
    """Inside, a probe measures into the folder."""
    probe = [sys.executable, "-c", WORK, str(points)]
    with subprocess.Popen(probe, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.communicate("")


def _die_one_by_one(folder: Path) -> None:
    for call in itertools.count(1):
        points = shutil.copytree(folder / "0", folder / str(call))
        child = os.fork()
        if child == 0:
            arm(lambda number, last=call: os.kill(os.getpid(), signal.SIGKILL) if number == last else None)
            compact.compact(points, lambda line: None)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            return
        assert code == -signal.SIGKILL


if __name__ == "__main__":
    if sys.argv[2] != "exchange":
        swap.exchange = no_exchange
    _die_one_by_one(Path(sys.argv[1]))
