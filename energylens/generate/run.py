"""Generate: models x methods x chains -> files of a table of chains. What is there is not made again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

from energylens import command, lock, provenance, shards, strangers
from energylens.atomic import check_writable
from energylens.errors import many
from energylens.generate import levels
from energylens.generate.batches import make, memory, write
from energylens.generate.ready import Ready, Task, prepared
from energylens.generate.recipe import Generation
from energylens.options import Place
from energylens.tidy import tidy

WAIT = 1.0
"""seconds until it is asked again whether another process is done"""


def run(recipe: Generation, analysis: str, place: Place, say: Callable[[str], None] = print) -> None:
    """Make all images of a recipe that are missing under TABLES/ANALYSIS/chains.

    Several processes share the work. A killed one loses the file that it was at.

    Args:
        recipe: what to make.
        analysis: the table's name, a folder in `place.tables`.
        place: where, and with what.
        say: told what was moved aside, and which chains became NaN or saturated.

    Raises:
        UserError: a name, file, model or data set is not usable (nothing is made then), or the tables cannot be
            written.
    """
    ready = prepared(recipe, analysis, place)
    check_writable(ready.chains, "--tables")
    strangers.check(ready.chains)
    with lock.at_work(ready.chains, say) as locked:
        _claim(ready, locked)
        alone = locked.alone()
        tasks, moves = ready.plan()
        moved: list[str] = []
        tidy(moves, ready.chains, alone, moved.append)
        for line in shortened(moved):
            say(line)
        locked.share()
        know_levels(ready, tasks, say)
        total = sum((task.stop - task.start) * task.method.sampler.steps for task in tasks)
        with command.progress(total, "generated", "chain steps") as advance:
            for task in _taken(ready, tasks, locked, say):
                write(ready, task, make(ready, task, advance), say)


def know_levels(ready: Ready, tasks: list[Task], say: Callable[[str], None]) -> None:
    """Mean energies of the training images under each network that has work to do."""
    for subject in {id(task.subject): task.subject for task in tasks}.values():
        if not levels.known(subject.sha, ready.images):
            say(f"reading {len(ready.images):,} training images with {subject.name}, once")
        batch = ready.place.batch or levels.BATCH
        with memory(ready.place.where, batch):
            subject.levels = levels.of(subject.net.to(ready.place.where), subject.sha, ready.images, batch)


def _claim(ready: Ready, locked: lock.Lock) -> None:
    """Have no other process make anything else under these names."""
    keys = {}
    for subject in ready.subjects:
        for method in ready.recipe.methods:
            where = shards.folder(ready.chains, subject.name, method.name)
            keys[where] = provenance.key(ready.facts(subject, method))
    if taken := locked.claim(keys):
        raise lock.busy(ready.chains, f"with other settings under the name {taken.relative_to(ready.chains)}")


def _taken(ready: Ready, tasks: list[Task], locked: lock.Lock, say: Callable[[str], None]) -> Iterator[Task]:
    """Each task that no other process is at; those that one was at are looked at again when it is done."""
    waiting, busy, told = deque(tasks), 0, False
    while waiting:
        task = waiting.popleft()
        where = ready.folder(task)
        if not locked.take(where, task.start, task.stop):
            waiting.append(task)
            busy += 1
            if busy >= len(waiting):
                if not told:
                    say(f"waiting for another process, which is at {task}")
                told, busy = True, 0
                time.sleep(WAIT)
            continue
        busy = 0
        yield from ready.rest(task)
        locked.give_back(where, task.start, task.stop)


def shortened(lines: list[str]) -> Iterator[str]:
    """The first of many lines of files that are moved, and how many more there are."""
    yield from lines[:3]
    if len(lines) > 3:
        yield f"... and {many(len(lines) - 3, 'file')} more"
