"""Measure: models x attacks x images -> shards of an energy table. What is there is not measured again.

An attack may look for its point as it likes; what is recorded is a float32 forward pass at that point.
"""

import dataclasses
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from energylens import compact, engines, lock, models, paths, plan, progress, provenance, references, strangers, table
from energylens import data as datasets
from energylens.atomic import check_writable
from energylens.attacks import Attack
from energylens.data import Data
from energylens.divide import divide
from energylens.errors import UserError, many
from energylens.models import check, identity
from energylens.options import Keep, Place
from energylens.plan import Plan, Planner, Subject, Task
from energylens.progress import Watch
from energylens.reach import measure as measure
from energylens.recipe import Recipe
from energylens.shards import Part
from energylens.tidy import tidy
from energylens.todo import Todo
from energylens.work import Failure, Job, Shard

ENERGIES_ONLY = Keep()


class Failed(UserError):
    """Shards failed; all others are there."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A recipe, its images and its models, all checked, and where their shards lie."""

    job: Job
    images: Data
    subjects: list[Subject]
    points: Path
    """TABLES/ANALYSIS/points, or steps"""

    def facts(self, task: Task) -> dict[str, Any]:
        """All that decides a task's numbers."""
        return plan.facts(task.subject, self.images, task.attack, self.job.recipe)

    @property
    def planner(self) -> Planner:
        """Holds it against its folder."""
        return Planner(self.job.recipe, self.images, self.points, self.job.place, self.job.keep.names)

    def plans(self) -> list[Plan]:
        """What each model needs.

        Raises:
            UserError: a foreign file is in the way, or a shard lacks what is to be kept.
        """
        strangers.check(self.points)
        return [self.planner.plan(subject) for subject in self.subjects]


def run(
    recipe: Recipe,
    analysis: str,
    place: Place,
    keep: Keep = ENERGIES_ONLY,
    show: Callable[[list[Plan]], AbstractContextManager[Watch]] = progress.hidden,
    say: Callable[[str], None] = print,
) -> None:
    """Measure all of a recipe that is missing under TABLES/ANALYSIS/points (or steps).

    Args:
        recipe: what to measure.
        analysis: the table's name, a folder in `place.tables`.
        place: where, and with what.
        keep: what to keep beside the energies.
        show: shows how far it is: `progress.shown`, or `progress.hidden`.
        say: told what was moved aside, and what failed.

    Raises:
        UserError: a name, file, model or data set is not usable (nothing is measured then), the tables cannot be
            written.
        Failed: shards failed; all others are there.
    """
    ready = prepared(recipe, analysis, place, keep)
    check_writable(ready.points, "--tables")
    say(f"images: {ready.images.name}, {ready.images.selection}")
    failures = []
    compact.recover(ready.points)
    with lock.at_work(ready.points, say) as locked:
        _claim(ready, locked)
        alone = locked.alone()
        plans = ready.plans()
        tidy([move for made in plans for move in made.moves], ready.points, alone, say)
        if divided := [part for made in plans for part in made.divided]:
            _divide(divided, ready.points, alone)
            plans = ready.plans()
        locked.share()
        tasks = [task for made in plans for task in made.tasks]
        with show(plans) as watch:
            todo = Todo(tasks, ready.planner, locked, watch)
            for task, outcome in engines.engine(place)(ready.job, todo, watch):
                if isinstance(outcome, Failure):
                    failures.append(f"{task}: {outcome.reason}")
                    say(f"failed: {failures[-1]}")
                else:
                    _write(ready, task, outcome, say)
                watch.end(task)
                todo.done(task)
    if failures:
        others = ", the others are there" if len(failures) < len(tasks) else ""
        raise Failed(f"{len(failures)} of {many(len(tasks), 'shard')} failed{others}; {failures[0]}")


def _divide(joined: list[Part], points: Path, alone: bool) -> None:
    if not alone:
        raise lock.busy(points, f"and this one would have to divide {joined[0].path}")
    for part in joined:
        divide(part, points)


def _claim(ready: Run, locked: lock.Lock) -> None:
    """Have no other probe measure anything else under the names of this one's models and attacks."""
    attacks = plan.attacks_of(ready.job.recipe)
    tasks = [Task(subject, attack, 0, 0) for subject in ready.subjects for attack in attacks]
    by_folder = {plan.folder(ready.points, task): task for task in tasks}
    where = locked.claim({where: provenance.key(ready.facts(task)) for where, task in by_folder.items()})
    if where:
        what = "other settings" if by_folder[where].attack else "another network, other images or another --record"
        raise lock.busy(ready.points, f"with {what} under the name {where.relative_to(ready.points)}")


def prepared(recipe: Recipe, analysis: str, place: Place, keep: Keep) -> Run:
    """A recipe with everything checked that can be before any work; writes nothing.

    Raises:
        UserError: a name, file, model or data set is not usable.
    """
    import torch

    table.check_name(analysis)
    engines.engine(place)
    _check_attacks(recipe, place)
    _check_lengths(recipe)
    if keep.keep_images and recipe.folder == "steps":
        raise UserError("--keep-images keeps where attacks end, not their steps; leave it out, or --record points")
    images = datasets.load(
        recipe.data, data_dir=place.data_dir, samples=recipe.samples, shuffle_seed=recipe.shuffle_seed
    )
    models.prepare(recipe.models, place.model_dir)
    here = dataclasses.replace(
        place, data_dir=place.data_dir or paths.data_dir(), model_dir=place.model_dir or paths.model_dir()
    )
    keep = dataclasses.replace(keep, keep_logits=keep.keep_logits or recipe.logits)
    job = Job(recipe, here, keep, images.sha, torch.get_num_threads(), Path.cwd())
    vars(job)["images"] = images  # this process has them already
    subjects = [_subject(reference, images, place, recipe) for reference in recipe.models]
    return Run(job, images, subjects, place.tables / analysis / recipe.folder)


def _check_attacks(recipe: Recipe, place: Place) -> None:
    seen: dict[str, Attack] = {}
    for attack in recipe.attacks:
        if attack.batch and place.shard % attack.batch:
            fits = math.ceil(place.shard / attack.batch) * attack.batch
            raise UserError(
                f"batch={attack.batch} of {attack.name} must divide {place.shard}, the images of a file; "
                f"take --shard {fits}, or {attack.kind}:batch={math.gcd(place.shard, attack.batch)}"
            )
        if recipe.record == "forces" and not attack.has_forces:
            raise UserError(f"attack {attack.name} takes no steps up a loss, so it has no forces; take --record steps")
        if attack.name in seen:
            if provenance.settings(attack) == provenance.settings(seen[attack.name]):
                raise UserError(f"attack {attack.name} is named twice; leave one out")
            raise UserError(
                f"two attacks are called '{attack.name}', and differ; leave one out, or give its function another name"
            )
        seen[attack.name] = attack


def _check_lengths(recipe: Recipe) -> None:
    """Names become folders, whose names file systems bound."""
    remedies = ("--models NAME=REFERENCE", "another function name, or fewer settings")
    for level, (names, remedy) in enumerate(zip(recipe.names, remedies, strict=True)):
        for name in names:
            if len(table.folder(Path(), name, name).parts[level]) > table.LONGEST:
                raise UserError(f"'{name}' is too long for the name of a folder; give a shorter one: {remedy}")


def _subject(reference: str, images: Data, place: Place, recipe: Recipe) -> Subject:
    name, bare = references.named(reference)
    net = models.load(bare, model_dir=place.model_dir, trust=place.trust_checkpoint)
    classes = check.usable(net, name, images)
    for attack in recipe.attacks:
        attack.check_classes(classes, f"model '{name}'")
    check.attackable(net, name, images)
    return Subject(name, bare, identity.sha(net))


def _write(ready: Run, task: Task, shard: Shard, say: Callable[[str], None]) -> None:
    for remark in shard.remarks:
        say(remark)
    subject, attack, images = task.subject, task.attack, ready.images
    facts = ready.facts(task)
    reference = references.public(subject.reference)
    constants = provenance.constants(facts, attack, reference, images.name, images.split)
    rows = len(shard.columns["sample"])
    about = {
        "key": constants["key"],
        "decisive": facts,
        "model_ref": constants["model_ref"],
        "data": f"{images.name}:{images.split}",
        "images": len(images.labels),
        "selected": len(images),
        "start": task.start,
        "rows": rows,
        "kept": list(task.kept),
        "batch": shard.batch,
        "seconds": round(shard.seconds, 3),
        "software": shard.software,
    }
    columns = shard.columns | {name: [value] * rows for name, value in constants.items()}
    where = plan.folder(ready.points, task)
    table.store(columns, shard.images, where, task.start, task.stop, about, again=task.again)
