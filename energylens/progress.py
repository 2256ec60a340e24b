"""What a run shows of itself: nested bars on a terminal, plain lines elsewhere. A `Watch` sees every task."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from energylens.errors import many
from energylens.plan import Plan, Task
from energylens.rates import Pair, Rates, spoken

EVERY = 30.0
"""seconds between two lines"""
WIDTH = 16
"""of a bar, in letters"""


class Watch:
    """Sees a run, and shows nothing."""

    workers = 1
    """how many tasks are measured at once"""

    def begin(self, task: Task) -> None:
        """A worker has it."""

    def advance(self, task: Task, images: int, seconds: float | None = None) -> None:
        """So many more of its images are measured (fewer: they are begun anew); since the last sign, if not said."""

    def end(self, task: Task) -> None:
        """Its shard is written, or it failed."""

    def elsewhere(self, task: Task, images: int) -> None:
        """Another probe has measured so many of its images."""

    def waits(self, task: Task) -> None:
        """All that is left is with other probes, as this task is."""


class Count(Watch):
    """Counts images and shards, and tells the time left."""

    def __init__(self, plans: list[Plan]):
        self.rates = Rates()
        self.left: dict[Pair, int] = {}
        for plan in plans:
            for attack, seen in plan.seconds.items():
                for images, seconds in seen:
                    self.rates.add((plan.subject.name, attack), images, seconds)
            for task in plan.tasks:
                self.left[pair(task)] = self.left.get(pair(task), 0) + task.images
        self.images = sum(self.left.values())
        self.shards = sum(len(plan.tasks) for plan in plans)
        self.done = 0
        self.began = time.monotonic()
        self.signs: dict[Task, float] = {}
        """tasks under way, and when they were last heard of"""
        self.waiting = False

    def begin(self, task: Task) -> None:
        """A worker has it."""
        self.signs[task] = time.monotonic()

    def advance(self, task: Task, images: int, seconds: float | None = None) -> None:
        """Counted, and timed."""
        now = time.monotonic()
        self.rates.add(pair(task), images, now - self.signs[task] if seconds is None else seconds)
        self.signs[task] = now
        self.left[pair(task)] -= images

    def end(self, task: Task) -> None:
        """One shard more."""
        del self.signs[task]
        self.done += 1

    def elsewhere(self, task: Task, images: int) -> None:
        """Counted, not timed."""
        self.left[pair(task)] -= images

    def stand(self) -> list[str]:
        """Shards, rows, rate and, where it is known, the time left."""
        done, spent = self.images - sum(self.left.values()), time.monotonic() - self.began
        left = self.rates.left(self.left.items())
        ahead = [] if left is None else [f"{spoken(left / self.workers)} left"]
        shards, rows = f"{self.done} of {many(self.shards, 'shard')}", f"{done:,} of {many(self.images, 'row')}"
        return [shards, rows, f"{done / spent:.1f} rows/s", *ahead]

    def line(self) -> str:
        """Where the run stands."""
        now = f"; {next(iter(self.signs))}" if self.signs else ""
        return ", ".join(self.stand()) + now


class Lines(Count):
    """A line now and then."""

    def __init__(self, plans: list[Plan], every: float = EVERY):
        super().__init__(plans)
        self.every, self.told = every, self.began

    def advance(self, task: Task, images: int, seconds: float | None = None) -> None:
        """Maybe a line."""
        super().advance(task, images, seconds)
        if time.monotonic() - self.told >= self.every:
            self.tell(self.line())

    def waits(self, task: Task) -> None:
        """One line, the first time."""
        if not self.waiting:
            self.tell(f"waiting for another probe, which is at {task}")
        self.waiting = True

    def tell(self, line: str) -> None:
        """On standard error."""
        self.told = time.monotonic()
        print(line, file=sys.stderr, flush=True)


class Bars(Count):
    """One bar for all, and one for each task under way; what matters most stands first, as terminals may be narrow."""

    def __init__(self, plans: list[Plan], console):
        from rich.progress import BarColumn, Progress, TaskID, TextColumn

        super().__init__(plans)
        columns = (BarColumn(WIDTH), TextColumn("{task.description}", markup=False))
        self.bars = Progress(*columns, console=console, transient=True)
        self.all = self.bars.add_task("", total=self.images)
        self.of: dict[Task, TaskID] = {}

    def begin(self, task: Task) -> None:
        """A bar of its own."""
        super().begin(task)
        self.of[task] = self.bars.add_task(str(task), total=task.images)

    def advance(self, task: Task, images: int, seconds: float | None = None) -> None:
        """Both bars."""
        super().advance(task, images, seconds)
        rate = self.rates.rate(pair(task))
        told = f"{1 / rate:.1f} images/s, {task}" if rate else str(task)
        self.bars.update(self.of[task], advance=images, description=told)
        self._show()

    def end(self, task: Task) -> None:
        """Its bar goes."""
        super().end(task)
        self.bars.remove_task(self.of.pop(task))
        self._show()

    def elsewhere(self, task: Task, images: int) -> None:
        """On the bar of all."""
        super().elsewhere(task, images)
        self._show()

    def waits(self, task: Task) -> None:
        """Beside the bar of all."""
        self.bars.update(self.all, description=f"waiting for another probe, which is at {task}")

    def _show(self) -> None:
        done = self.images - sum(self.left.values())
        self.bars.update(self.all, completed=done, description=", ".join(reversed(self.stand())))


def pair(task: Task) -> Pair:
    """What it counts for."""
    return task.subject.name, task.attack_name


@contextmanager
def shown(plans: list[Plan]) -> Iterator[Watch]:
    """Bars on a terminal, lines elsewhere, nothing where nothing is to be done."""
    from rich.console import Console

    console = Console(stderr=True)
    if not any(plan.tasks for plan in plans):
        yield Watch()
    elif console.is_terminal:
        bars = Bars(plans, console)
        with bars.bars:
            yield bars
    else:
        lines = Lines(plans)
        yield lines
        lines.tell(f"{many(lines.done, 'shard')} in {spoken(time.monotonic() - lines.began)}")


@contextmanager
def hidden(plans: list[Plan]) -> Iterator[Watch]:
    """Nothing."""
    yield Watch()
