"""Processes that end themselves at a call of their own choice, as a power cut would."""

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq


class Death(NamedTuple):
    """What a process does not survive: the Nth call of a function, `before` it, `within` it or `after` it."""

    function: str
    call: int
    when: str

    def __str__(self) -> str:
        return f"{self.when} {self.function} {self.call}"


OWNERS: dict[str, Any] = {"savez_compressed": np, "write_table": pq, "fsync": os, "replace": os}


def arm(death: Death) -> None:
    """Let this process die of it."""
    owner, calls = OWNERS[death.function], itertools.count(1)
    real: Callable = getattr(owner, death.function)

    def deadly(*args, **kwargs):
        last = next(calls) == death.call
        if last and death.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if last and death.when == "within":
            _halve(*args)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, death.function, deadly)


def _halve(*args) -> None:
    """The file among these, open or by its name, loses its second half."""
    names = [getattr(argument, "name", argument) if hasattr(argument, "fileno") else argument for argument in args]
    (path,) = (Path(name) for name in names if isinstance(name, str | Path))
    os.truncate(path, path.stat().st_size // 2)
