"""`--dry-run` of generation: what is there, what is missing, and how long it would take. Writes no table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from energylens.errors import many
from energylens.generate.batches import make
from energylens.generate.levels import Levels
from energylens.generate.ready import BATCH, Ready, Task, prepared
from energylens.generate.recipe import Generation
from energylens.generate.starts import Random
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
    """Of a step of one chain, from a few of a batch that starts from noise; the first one wakes the network."""
    size = min(task.stop - task.start, ready.place.batch or BATCH)
    nothing = torch.zeros(ready.classes(task.subject))
    subject = replace(task.subject, levels=Levels(nothing, nothing, nothing))

    def timed(steps: int) -> float:
        method = replace(task.method, start=Random(), sampler=replace(task.method.sampler, steps=steps))
        return make(ready, Task(subject, method, task.start, task.start + size))[1]

    if not task.method.sampler.steps:
        return 0.0
    timed(1)
    return max(timed(1 + STEPS) - timed(1), 1e-9) / STEPS / size
