"""`--dry-run` of generation: what is there, what is missing, and how long it would take. Writes no table."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

from energylens.errors import many
from energylens.generate.batches import make
from energylens.generate.ready import BATCH, Ready, Task, prepared
from energylens.generate.recipe import Generation
from energylens.options import Place
from energylens.rates import spoken

STEPS = 3
"""of the chains that are timed"""


def show(recipe: Generation, analysis: str, place: Place) -> None:
    """Print what `run.run` with these arguments would do.

    Raises:
        UserError: as `run.run` does.
    """
    for line in _lines(prepared(recipe, analysis, place)):
        print(line, flush=True)


def _lines(ready: Ready) -> Iterator[str]:
    tasks, moves = ready.plan()
    yield from (f"would be {move.why}" for move in moves)
    total = 0.0
    for subject in ready.subjects:
        for method in ready.recipe.methods:
            mine = [task for task in tasks if (task.subject, task.method) == (subject, method)]
            missing = sum(task.stop - task.start for task in mine)
            seconds = _seconds(ready, mine[0]) * missing * method.sampler.steps if mine else 0.0
            total += seconds
            there = f"{ready.recipe.images - missing:,} of {many(ready.recipe.images, 'image')} there"
            yield f"{subject.name}, {method.name}: {there}" + (f", the rest in about {spoken(seconds)}" if mine else "")
    if tasks:
        yield f"missing: {many(len(tasks), 'file')}; about {spoken(total)} on {ready.place.where}"
    else:
        yield "all images are there; nothing would be generated"


def _seconds(ready: Ready, task: Task) -> float:
    """Of a step of one chain, from a few of a batch; the first one wakes the network."""
    size = min(task.stop - task.start, ready.place.batch or BATCH)
    short = dataclasses.replace(task.method, sampler=dataclasses.replace(task.method.sampler, steps=1))
    few = dataclasses.replace(task, method=short, stop=task.start + size)
    make(ready, few)
    _, one = make(ready, few)
    long = dataclasses.replace(short, sampler=dataclasses.replace(short.sampler, steps=1 + STEPS))
    began = time.monotonic()
    make(ready, dataclasses.replace(few, method=long))
    return max(time.monotonic() - began - one, 1e-9) / STEPS / size
