"""Measure: models x attacks x images -> shards of an energy table. What is there is not measured again.

An attack may look for its point as it likes; what is recorded is a float32 forward pass at that point.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from energylens import data as datasets
from energylens import models, provenance, record, references, table
from energylens.attacks import PGD
from energylens.attacks.frozen import frozen
from energylens.attacks.starts import random_wrong_class
from energylens.data import Data
from energylens.errors import UserError
from energylens.models import check, identity
from energylens.options import Place
from energylens.recipe import Recipe

SHARD = 1000
"""images in one file; at most this many rows are in memory"""


@dataclass(frozen=True)
class Task:
    """The missing images of one model under some attacks (None: natural)."""

    model: str
    start: int
    stop: int
    attacks: tuple[PGD | None, ...]


@dataclass(frozen=True)
class Subject:
    """A model that passed its check."""

    name: str
    reference: str
    sha: str


def run(recipe: Recipe, analysis: str, place: Place, progress=None, say: Callable[[str], None] = print) -> None:
    """Measure all of a recipe that is missing under TABLES/ANALYSIS/points.

    Args:
        recipe: what to measure.
        analysis: the table's name, a folder in `place.tables`.
        place: where, and with what.
        progress: a context manager factory `(total) -> advance(images)`; None shows nothing.
        say: told what was moved aside.

    Raises:
        UserError: a name, file, model or data set is not usable; nothing is written then.
    """
    models.prepare(recipe.models, place.model_dir)
    images = datasets.load(
        recipe.data, data_dir=place.data_dir, samples=recipe.samples, shuffle_seed=recipe.shuffle_seed
    )
    points = place.tables / analysis / "points"
    subjects = [_subject(reference, images, place) for reference in recipe.models]
    tasks = [task for subject in subjects for task in _missing(subject, recipe, images, points, say)]
    total = sum((task.stop - task.start) * len(task.attacks) for task in tasks)
    with (progress or _silent)(total) as advance:
        for subject in subjects:
            mine = [task for task in tasks if task.model == subject.name]
            if mine:
                _measure_model(subject, mine, images, points, place, advance)


def measure(net: nn.Module, images: Data, attacks: tuple[PGD | None, ...], start: int, stop: int, batch: int = 128):
    """The measured columns of images START to STOP, one dict per attack; None stands for natural images.

    Args:
        net: the classifier, inputs in [0, 1].
        images: where the images come from.
        attacks: what to move them with.
        start: first image of the selection.
        stop: behind the last one.
        batch: images at once; results depend on it only by rounding.

    Yields:
        Batch by batch: {attack: columns}.
    """
    device = next((parameter.device for parameter in net.parameters()), torch.device("cpu"))
    layout = check.layout(net, images)
    with frozen(net):
        for first in range(start, stop, batch):
            x, y, index = images.batch(first, min(first + batch, stop))
            x, y = x.to(device, memory_format=layout), y.to(device)
            yield _batch(net, x, y, index, attacks)


def _batch(net: nn.Module, x, y, index, attacks) -> dict[PGD | None, dict[str, Any]]:
    rows = {}
    with torch.no_grad():
        natural = net(x).float()
    for attack in attacks:
        target, x_adv, logits = None, x, natural
        if attack is not None:
            if attack.loss == "targeted-ce":
                target = random_wrong_class(y, natural.shape[1], attack.seed, index.tolist())
            x_adv = attack(net, x, y, index=index, target=target)
            with torch.no_grad():
                logits = net(x_adv).float()
            record.check_points(x_adv, x_adv - x, attack)
        rows[attack] = record.columns(record.Points(logits, natural, y, x_adv - x, index, target), attack)
    return rows


def _subject(reference: str, images: Data, place: Place) -> Subject:
    name, bare = references.named(reference)
    net = models.load(bare, model_dir=place.model_dir, trust=place.trust_checkpoint)
    check.usable(net, name, images)
    return Subject(name, bare, identity.sha(net))


def _facts(subject: Subject, images: Data, attack: PGD | None) -> dict[str, Any]:
    return provenance.decisive(subject.sha, images.sha, images.shuffle_seed, attack)


def _missing(subject: Subject, recipe: Recipe, images: Data, points: Path, say) -> Iterator[Task]:
    """Ranges of images that some attack lacks; shards of another key go aside first."""
    lacking: dict[tuple[int, int], list[PGD | None]] = {}
    for attack in (None, *recipe.attacks):
        facts = _facts(subject, images, attack)
        where = table.folder(points, subject.name, attack.name if attack else table.NATURAL)
        have = []
        for part in table.parts(where):
            if part.key == provenance.key(facts):
                have.append((part.start, part.stop))
            else:
                _set_aside(part, points, facts, say)
        for gap in gaps(have, len(images)):
            lacking.setdefault(gap, []).append(attack)
    for (start, stop), attacks in sorted(lacking.items()):
        yield Task(subject.name, start, stop, tuple(attacks))


def gaps(have: list[tuple[int, int]], total: int) -> Iterator[tuple[int, int]]:
    """What of 0 to `total` is not covered, cut at multiples of SHARD."""
    position = 0
    for start, stop in [*sorted(have), (total, total)]:
        while position < min(start, total):
            end = min(start, total, (position // SHARD + 1) * SHARD)
            yield position, end
            position = end
        position = max(position, stop)


def _set_aside(part: table.Part, points: Path, facts: dict[str, Any], say) -> None:
    target = points / "_aside" / part.path.relative_to(points)
    differs = provenance.difference(table.provenance(part.path)["decisive"], facts)
    say(f"moved aside: {part.path.relative_to(points)} (it differs in {differs}); it lies in {points / '_aside'}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part.path.replace(target)


def _measure_model(subject: Subject, tasks: list[Task], images: Data, points: Path, place: Place, advance):
    net = models.load(subject.reference, model_dir=place.model_dir, trust=place.trust_checkpoint)
    if identity.sha(net) != subject.sha:
        raise UserError(f"model '{subject.name}' is another one at each load; fix its seed, or save its weights")
    net = net.to(place.where)
    for task in tasks:
        batches = []
        for rows in measure(net, images, task.attacks, task.start, task.stop, place.batch):
            batches.append(rows)
            advance(sum(len(columns["sample"]) for columns in rows.values()))
        for attack in task.attacks:
            _write([rows[attack] for rows in batches], subject, attack, task, images, points, place)


def _write(batches, subject: Subject, attack: PGD | None, task: Task, images: Data, points: Path, place: Place):
    facts = _facts(subject, images, attack)
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
        "batch": place.batch,
        "software": provenance.software(place.where),
    }
    where = table.folder(points, subject.name, attack.name if attack else table.NATURAL)
    table.write(record.joined(batches, constants), where, task.start, task.stop, about)


@contextmanager
def _silent(total: int) -> Iterator[Callable[[int], None]]:
    yield lambda images: None
