"""Measure: models x attacks x images -> shards of an energy table. What is there is not measured again.

An attack may look for its point as it likes; what is recorded is a float32 forward pass at that point.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from energylens import data as datasets
from energylens import models, plan, provenance, record, references, table
from energylens.atomic import check_writable
from energylens.attacks import PGD
from energylens.attacks.frozen import frozen
from energylens.attacks.starts import random_wrong_class
from energylens.data import Data
from energylens.errors import UserError, first_line
from energylens.models import check, identity
from energylens.options import Keep, Place
from energylens.plan import Subject, Task
from energylens.recipe import Recipe

ENERGIES_ONLY = Keep()


class Shard(NamedTuple):
    """The batches of one shard as they are measured; images only where they are kept."""

    columns: list[dict[str, Any]]
    images: list[np.ndarray]


def run(
    recipe: Recipe,
    analysis: str,
    place: Place,
    keep: Keep = ENERGIES_ONLY,
    progress=None,
    say: Callable[[str], None] = print,
) -> None:
    """Measure all of a recipe that is missing under TABLES/ANALYSIS/points.

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
    device, points = place.where, place.tables / analysis / "points"
    table.check_name(analysis)
    check_writable(points, "--tables")
    images = datasets.load(
        recipe.data, data_dir=place.data_dir, samples=recipe.samples, shuffle_seed=recipe.shuffle_seed
    )
    models.prepare(recipe.models, place.model_dir)
    attacks = tuple({attack.name: attack for attack in recipe.attacks}.values())
    subjects = [_subject(reference, images, place) for reference in recipe.models]
    tasks = {subject: list(plan.missing(subject, attacks, images, points, keep)) for subject in subjects}
    say(f"images: {images.name}, {images.selection}")
    with (progress or _silent)(sum(task.rows for mine in tasks.values() for task in mine)) as advance:
        for subject, mine in tasks.items():
            net = _load_again(subject, place).to(device) if mine else None
            plan.tidy(subject, attacks, images, points, say)
            for task in mine:
                shards = _shards(net, task, images, place.batch, keep, advance)
                _write(shards, task, images, points, place, keep)


def measure(net: nn.Module, images: Data, attacks: tuple[PGD | None, ...], start: int, stop: int, batch: int = 128):
    """The points of images START to STOP under each attack; None stands for natural images.

    Args:
        net: the classifier, inputs in [0, 1].
        images: where the images come from.
        attacks: what to move them with.
        start: first image of the selection.
        stop: behind the last one.
        batch: images at once; results depend on it only by rounding.

    Yields:
        Batch by batch: {attack: record.Points on the CPU}; `record.columns` makes a table's columns of them.
    """
    device = check.device_of(net)
    layout = check.layout(net, images)
    with frozen(net), full_float32():
        for first in range(start, stop, batch):
            x, y, index = images.batch(first, min(first + batch, stop))
            x, y = x.to(device, memory_format=layout), y.to(device)
            yield _batch(net, x, y, index, attacks)


@contextmanager
def full_float32() -> Iterator[None]:
    """No TF32 inside: on CUDA, torch's convolutions would drop 13 of 23 bits of their inputs."""
    convolutions = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = convolutions


def _batch(net: nn.Module, x, y, index, attacks) -> dict[PGD | None, record.Points]:
    found = {}
    with torch.no_grad():
        natural = net(x).float()
    for attack in attacks:
        target, x_adv, logits = None, x, natural
        if attack is not None:
            if attack.targeted:
                target = random_wrong_class(y, natural.shape[1], attack.seed, index.tolist())
            x_adv = attack(net, x, y, index=index, target=target)
            with torch.no_grad():
                logits = net(x_adv).float()
            record.check_points(x_adv, x_adv - x, attack)
        found[attack] = record.Points(logits, natural, y, x_adv, x_adv - x, index, target).cpu()
    return found


def _subject(reference: str, images: Data, place: Place) -> Subject:
    name, bare = references.named(reference)
    net = models.load(bare, model_dir=place.model_dir, trust=place.trust_checkpoint)
    check.usable(net, name, images)
    check.attackable(net, name, images)
    return Subject(name, bare, identity.sha(net))


def _load_again(subject: Subject, place: Place) -> nn.Module:
    net = models.load(subject.reference, model_dir=place.model_dir, trust=place.trust_checkpoint)
    if identity.sha(net) != subject.sha:
        raise UserError(f"model '{subject.name}' is another one at each load; fix its seed, or save its weights")
    return net


def _shards(net, task: Task, images: Data, batch: int, keep: Keep, advance) -> dict[PGD | None, Shard]:
    """A task's columns, and its images where they are to be kept, one shard per attack."""
    shards = {attack: Shard([], []) for attack in task.attacks}
    done = task.start
    try:
        for found in measure(net, images, task.attacks, task.start, task.stop, batch):
            for attack, points in found.items():
                shards[attack].columns.append(record.columns(points, attack, keep.keep_logits))
                if keep.keep_images:
                    shards[attack].images.append(points.x.numpy())
            done += len(points.y)
            advance(len(points.y) * len(found))
    except UserError:
        raise
    except Exception as error:  # the network is the user's code
        where = f"images {done} to {min(done + batch, task.stop)}"
        remedy = f"; try --batch {batch // 2}" if isinstance(error, torch.OutOfMemoryError) and batch > 1 else ""
        raise UserError(f"model '{task.subject.name}' failed at {where} ({first_line(error)}){remedy}") from error
    return shards


def _write(shards: dict[PGD | None, Shard], task: Task, images: Data, points: Path, place: Place, keep: Keep) -> None:
    subject = task.subject
    for attack, shard in shards.items():
        facts = plan.facts(subject, images, attack)
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
        about = {
            "key": constants["key"],
            "decisive": facts,
            "model_ref": constants["model_ref"],
            "data": f"{images.name}:{images.split}",
            "images": len(images.labels),
            "kept": keep.names,
            "batch": place.batch,
            "software": provenance.software(place.where),
        }
        where = plan.folder(points, subject, attack)
        if shard.images:
            table.write_images(np.concatenate(shard.images), where, task.start, task.stop, about["key"])
        columns = record.joined(shard.columns, constants)
        table.write(columns, where, task.start, task.stop, about)


@contextmanager
def _silent(total: int) -> Iterator[Callable[[int], None]]:
    yield lambda images: None
