"""Measure: models x attacks x images -> shards of an energy table. What is there is not measured again.

An attack may look for its point as it likes; what is recorded is a float32 forward pass at that point.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from energylens import data as datasets
from energylens import models, plan, provenance, reach, record, references, table
from energylens.atomic import check_writable
from energylens.attacks import Attack
from energylens.data import Data
from energylens.errors import UserError, first_line
from energylens.models import check, identity
from energylens.options import Keep, Place
from energylens.plan import Subject, Task
from energylens.reach import measure as measure
from energylens.recipe import Recipe

ENERGIES_ONLY = Keep()


class Shard(NamedTuple):
    """The batches of one shard as they are measured; images only where they are kept."""

    columns: list[dict[str, Any]]
    images: list[np.ndarray]


class Run(NamedTuple):
    """What all shards of one run share."""

    recipe: Recipe
    images: Data
    place: Place
    keep: Keep
    points: Path
    """folder of the shards: TABLES/ANALYSIS/points, or steps"""


def run(
    recipe: Recipe,
    analysis: str,
    place: Place,
    keep: Keep = ENERGIES_ONLY,
    progress=None,
    say: Callable[[str], None] = print,
) -> None:
    """Measure all of a recipe that is missing under TABLES/ANALYSIS/points (or steps).

    Args:
        recipe: what to measure.
        analysis: the table's name, a folder in `place.tables`.
        place: where, and with what.
        keep: what to keep beside the energies.
        progress: a context manager factory `(total) -> advance(images)`; None shows nothing.
        say: told what was moved aside.

    Raises:
        UserError: a name, file, model or data set is not usable; nothing is written then.
    """
    table.check_name(analysis)
    for attack in recipe.attacks:
        if attack.batch and plan.SHARD % attack.batch:
            raise UserError(f"batch={attack.batch} of {attack.name} must divide {plan.SHARD}, the images of a file")
        if recipe.record == "forces" and not attack.has_forces:
            raise UserError(f"attack {attack.name} takes no steps up a loss, so it has no forces; take --record steps")
    if keep.keep_images and recipe.folder == "steps":
        raise UserError("--keep-images keeps where attacks end, not their steps; leave it out, or --record points")
    device, points = place.where, place.tables / analysis / recipe.folder
    check_writable(points, "--tables")
    images = datasets.load(
        recipe.data, data_dir=place.data_dir, samples=recipe.samples, shuffle_seed=recipe.shuffle_seed
    )
    models.prepare(recipe.models, place.model_dir)
    job = Run(recipe, images, place, replace(keep, keep_logits=keep.keep_logits or recipe.logits), points)
    subjects = [_subject(reference, images, place, recipe) for reference in recipe.models]
    tasks = {subject: list(plan.missing(subject, recipe, images, points, job.keep)) for subject in subjects}
    say(f"images: {images.name}, {images.selection}")
    for name, start in sorted({cut for mine in tasks.values() for cut in plan.cuts(mine)}):
        say(f"{name}: the images from {start} on form a batch of their own, as the ones before were measured apart")
    with (progress or _silent)(sum(task.rows for mine in tasks.values() for task in mine)) as advance:
        for subject, mine in tasks.items():
            net = _load_again(subject, place).to(device) if mine else None
            plan.tidy(subject, recipe, images, points, say)
            for task in mine:
                _write(job, task, _shards(job, task, net, advance))


def _subject(reference: str, images: Data, place: Place, recipe: Recipe) -> Subject:
    name, bare = references.named(reference)
    net = models.load(bare, model_dir=place.model_dir, trust=place.trust_checkpoint)
    classes = check.usable(net, name, images)
    for attack in recipe.attacks:
        attack.check_classes(classes, f"model '{name}'")
    check.attackable(net, name, images)
    return Subject(name, bare, identity.sha(net))


def _load_again(subject: Subject, place: Place) -> nn.Module:
    net = models.load(subject.reference, model_dir=place.model_dir, trust=place.trust_checkpoint)
    if identity.sha(net) != subject.sha:
        raise UserError(f"model '{subject.name}' is another one at each load; fix its seed, or save its weights")
    return net


def _shards(job: Run, task: Task, net, advance) -> dict[Attack | None, Shard]:
    """A task's columns, and its images where they are to be kept, one shard per attack."""
    shards = {attack: Shard([], []) for attack in task.attacks}
    batch, done = job.place.batch, task.start
    try:
        for size, together in reach.by_batch(task.attacks, batch).items():
            for part in reach.batches(net, job.images, task.start, task.stop, size, job.recipe.precision):
                done = part.place
                for attack in together:
                    _measure(job, part, attack, shards[attack])
                    advance(len(part.y))
    except UserError:
        raise
    except Exception as error:  # the network is the user's code
        where = f"images {done} to {min(done + batch, task.stop)}"
        remedy = f"; try --batch {batch // 2}" if isinstance(error, torch.OutOfMemoryError) and batch > 1 else ""
        raise UserError(f"model '{task.subject.name}' failed at {where} ({first_line(error)}){remedy}") from error
    return shards


def _measure(job: Run, part: reach.Batch, attack: Attack | None, shard: Shard) -> None:
    """One batch under one attack, into its shard."""
    keep = job.keep
    if job.recipe.folder == "steps":
        shard.columns.extend(part.follow(attack, job.recipe.record == "forces", keep.keep_logits))
        return
    points = part.reach(attack)
    shard.columns.append(record.columns(points, attack, keep.keep_logits))
    if keep.keep_images:
        shard.images.append(points.x.numpy())


def _write(job: Run, task: Task, shards: dict[Attack | None, Shard]) -> None:
    subject, images = task.subject, job.images
    for attack, shard in shards.items():
        facts = plan.facts(subject, images, attack, job.recipe)
        constants = {
            "model_ref": references.public(subject.reference),
            "model_sha": subject.sha,
            "data": images.name,
            "split": images.split,
            "eps": attack.eps if attack else None,
            "norm": attack.norm if attack else None,
            "seed": attack.seed if attack else None,
            "precision": facts["precision"],
            "key": provenance.key(facts),
        }
        columns = record.joined(shard.columns, constants)
        about = {
            "key": constants["key"],
            "decisive": facts,
            "model_ref": constants["model_ref"],
            "data": f"{images.name}:{images.split}",
            "images": len(images.labels),
            "rows": len(columns["sample"]),
            "kept": job.keep.names,
            "batch": (attack.batch if attack else None) or job.place.batch,
            "software": provenance.software(job.place.where),
        }
        where = plan.folder(job.points, subject, attack)
        if shard.images:
            table.write_images(np.concatenate(shard.images), where, task.start, task.stop, about["key"])
        table.write(columns, where, task.start, task.stop, about)


@contextmanager
def _silent(total: int) -> Iterator[Callable[[int], None]]:
    yield lambda images: None
