"""`--dry-run`: what is there, what is missing, and how long it will take. Writes nothing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from energylens.errors import many
from energylens.measure import ENERGIES_ONLY, Run, prepared
from energylens.memory import usual
from energylens.options import Keep, Place
from energylens.plan import Plan, Task
from energylens.progress import pair
from energylens.rates import Rates, spoken
from energylens.recipe import Recipe
from energylens.work import Failure, Worker

ON_CPU = 16
"""images of a timed batch; an accelerator needs a whole one to show its speed"""


def show(recipe: Recipe, analysis: str, place: Place, keep: Keep = ENERGIES_ONLY) -> None:
    """Print the plan of `measure.run` with these arguments.

    Raises:
        UserError: as `measure.run` does.
    """
    for line in _lines(prepared(recipe, analysis, place, keep)):
        print(line, flush=True)


def _lines(ready: Run) -> Iterator[str]:
    """The plan, a line for each model and attack, and the time that what is missing will take."""
    yield f"images: {ready.images.name}, {ready.images.selection}"
    plans = ready.plans()
    for made in plans:
        yield from (f"would be {move.why}" for move in made.moves)
        yield from (f"would be divided: {part.path.relative_to(ready.points)}" for part in made.divided)
    tasks = [task for made in plans for task in made.tasks]
    clock = _Clock(ready)
    for made in plans:
        yield from clock.time(made)
    yield from _listed(plans, clock)
    if not tasks:
        yield f"all {sum(sum(made.there.values()) for made in plans):,} rows are there; nothing would be measured"
        return
    left = clock.rates.left((pair(task), task.images) for task in tasks)
    devices = 1 if ready.job.place.engine == "ray" else len(ready.job.place.devices)
    rows, threads = many(sum(task.images for task in tasks), "row"), many(ready.job.threads, "thread")
    time = spoken(None if left is None else left / devices)
    yield f"missing: {many(len(tasks), 'shard')}, {rows}; about {time} {_where(ready.job.place)} with {threads}"


def _where(place: Place) -> str:
    if place.engine == "ray":
        return f"on one worker like {place.where} of this machine (a cluster divides it)"
    return f"on each of {len(place.devices)} devices" if len(place.devices) > 1 else f"on {place.where}"


def _listed(plans: list[Plan], clock: "_Clock") -> Iterator[str]:
    wide = max(len(made.subject.name) for made in plans)
    long = max(len(attack) for made in plans for attack in made.there)
    yield f"{'model':<{wide}}  {'attack':<{long}}  {'there':>7}  {'missing':>7}  {'shards':>6}  time"
    for made in plans:
        for attack, there in made.there.items():
            mine = [task for task in made.tasks if task.attack_name == attack]
            missing = sum(task.images for task in mine)
            left = clock.rates.left([((made.subject.name, attack), missing)]) if missing else 0
            told = f"{spoken(left)}{clock.how.get((made.subject.name, attack), '')}" if missing else ""
            name = f"{made.subject.name:<{wide}}  {attack:<{long}}"
            yield f"{name}  {there:>7,}  {missing:>7,}  {len(mine):>6}  {told}".rstrip()


class _Clock:
    """Times the first images of each attack, on the first model that lacks it; on others the quickest attack alone."""

    def __init__(self, ready: Run):
        self.ready, self.rates = ready, Rates()
        self.how: dict[tuple[str, str], str] = {}
        self.worker = Worker(ready.job, ready.job.place.where)
        self.first: dict[str, Task] = {}

    def time(self, made: Plan) -> Iterator[str]:
        """See what one model needs; yields what fails."""
        for attack, seen in made.seconds.items():
            for images, seconds in seen:
                self.rates.add((made.subject.name, attack), images, seconds)
        missing: dict[str, Task] = {}
        for task in made.tasks:
            missing.setdefault(task.attack_name, task)
        unknown = [task for name, task in missing.items() if name not in made.seconds]
        new = [task for task in unknown if task.attack_name not in self.first]
        others = [task for task in unknown if task not in new]
        for task in new or sorted(others, key=self._seconds)[:1]:
            yield from self._measured(task)
            self.first.setdefault(task.attack_name, task)
        for task in others:
            self.how.setdefault(pair(task), f", as on {self.first[task.attack_name].subject.name}")

    def _seconds(self, task: Task) -> float:
        return self.rates.rate(pair(self.first[task.attack_name])) or 0.0

    def _measured(self, task: Task) -> Iterator[str]:
        size = usual("cuda") if self.worker.device.startswith("cuda") else ON_CPU
        start, attack = task.start - task.start % size, task.attack
        if attack and attack.batch:  # a whole one of its own could take minutes
            smaller: dict[str, Any] = {"batch": min(size, attack.batch)}
            attack = replace(attack, **smaller)
        few = replace(task, attack=attack, start=start, stop=min(task.stop, start + size), batch=None)
        self.worker.attempt(replace(few, attack=None), lambda images: None)  # loads the network, and wakes it
        shard = self.worker.attempt(few, lambda images: None)
        if isinstance(shard, Failure):
            yield f"would fail: {replace(few, attack=task.attack)}: {shard.reason}"
        else:
            self.rates.add(pair(task), few.images, shard.seconds)
            self.how[pair(task)] = f", from {few.images} images"
