"""What a run shows of itself: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from energylens.errors import many
from energylens.rates import spoken
from energylens.train.prepare import Ready
from energylens.train.runs import STATE

EVERY = 30.0
"""seconds between two lines"""
SHOWN = {
    "loss": "loss",
    "train_robust": "robust (own attack, batches)",
    "val_robust": "PGD-20 (val)",
    "test_robust": "PGD-20 (test)",
    "train_delta_energy": "Delta E (train)",
}


def told(row: dict[str, Any]) -> str:
    """An epoch in words: `loss 1.43, robust (own attack, batches) 0.41`."""
    return ", ".join(f"{title} {row[name]:.3g}" for name, title in SHOWN.items() if name in row)


@contextmanager
def shown(ready: Ready) -> Iterator[Callable[[dict[str, Any], int], None]]:
    """Shows a run from its start to its end; gives what is told of each epoch."""
    name, folder = ready.run.name, ready.folder
    if folder.done:
        print(f"{name}: is there, in {folder.path}", flush=True)
        yield lambda row, epochs: None
        return
    settings = ready.run.settings
    images, epochs = many(len(ready.data), "image"), many(settings.epochs, "epoch")
    goes_on = "goes on, " if (folder.path / STATE).exists() else ""
    print(f"{name}: {goes_on}{images} of {ready.run.data}, {ready.arch}, {epochs}, eps {settings.eps:.4g}", flush=True)
    if ready.subset:
        print(f"{name}: subset: {ready.subset}", flush=True)
    clock = _Clock()
    with _bar(name, settings.epochs) as move:

        def advance(row: dict[str, Any], total: int) -> None:
            line = clock.line(row, total)
            move(row, line)

        yield advance
    print(f"{name}: {clock.last}, {spoken(time.monotonic() - clock.began)}; {folder.path}", flush=True)


class _Clock:
    """Tells the time left, from the epochs that it was told of."""

    def __init__(self):
        self.began, self.last = time.monotonic(), ""
        self.seconds: list[float] = []

    def line(self, row: dict[str, Any], total: int) -> str:
        """Where the run stands after an epoch."""
        self.last = told(row)
        self.seconds.append(row["seconds"])
        left = sum(self.seconds) / len(self.seconds) * (total - row["epoch"])
        return f"epoch {row['epoch']} of {total}, {self.last}, {spoken(left)} left"


@contextmanager
def _bar(name: str, total: int) -> Iterator[Callable[[dict[str, Any], str], None]]:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:  # a lean image
        yield _lines(name)
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(name)
        return
    with Progress(BarColumn(16), TextColumn("{task.description}"), console=console, transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda row, line: bar.update(task, completed=row["epoch"], description=line)


def _lines(name: str) -> Callable[[dict[str, Any], str], None]:
    last = time.monotonic()

    def move(row: dict[str, Any], line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            print(f"{name}: {line}", file=sys.stderr, flush=True)

    return move
