"""A recipe of generated images with everything checked: its networks, its training images, what of it is missing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from energylens import data as datasets
from energylens import models, provenance, references, shards, table
from energylens.aside import ASIDE, BROKEN, Move, usable
from energylens.data import Data
from energylens.errors import UserError, many
from energylens.generate import levels
from energylens.generate.files import FOLDER
from energylens.generate.method import Method
from energylens.generate.recipe import Generation
from energylens.generate.statistics import Statistics
from energylens.models import check, identity
from energylens.options import Place
from energylens.ranges import gaps

BATCH = 100
"""chains at once, and in one file"""


@dataclass
class Subject:
    """A model that passed its check."""

    name: str
    reference: str
    sha: str
    net: nn.Module
    levels: levels.Levels | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Task:
    """Chains START to STOP of a model and method: one file."""

    subject: Subject
    method: Method
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.subject.name}, {self.method.name}, images {self.start} to {self.stop}"


@dataclass(frozen=True)
class Ready:
    """A recipe with everything checked, and where its files lie."""

    recipe: Generation
    place: Place
    images: Data
    statistics: Statistics
    subjects: list[Subject]
    chains: Path
    """TABLES/ANALYSIS/chains"""

    def facts(self, subject: Subject, method: Method) -> dict[str, Any]:
        """All that decides the images of a model and method."""
        return self.recipe.facts(subject.sha, self.images.sha, method)

    def folder(self, task: Task) -> Path:
        """Where its file goes."""
        return shards.folder(self.chains, task.subject.name, task.method.name)

    def plan(self) -> tuple[list[Task], list[Move]]:
        """The files that are missing, and those that are of something else."""
        tasks, moves = [], []
        for subject in self.subjects:
            for method in self.recipe.methods:
                missing, away = self._missing(subject, method)
                tasks += [Task(subject, method, start, stop) for start, stop in missing]
                moves += away
        return tasks, moves

    def _missing(self, subject: Subject, method: Method) -> tuple[list[tuple[int, int]], list[Move]]:
        where = shards.folder(self.chains, subject.name, method.name)
        found, moves = usable(self.chains, where, self.facts(subject, method))
        for part in (part for part, _ in found if not part.images.exists()):
            place = part.path.relative_to(self.chains)
            target = self.chains / ASIDE / place.with_name(f"{BROKEN}{part.path.name}")
            moves.append(Move(part.path, target, f"moved aside: the images of {place} are gone; they are made again"))
        have = [(part.start, part.stop) for part, _ in found if part.images.exists()]
        return list(gaps(have, self.recipe.images, self.place.batch or BATCH)), moves

    def classes(self, subject: Subject) -> int:
        """Of a network."""
        with torch.no_grad():
            return subject.net(self.images.batch(0, 1)[0].to(check.device_of(subject.net))).shape[1]

    def rest(self, task: Task) -> list[Task]:
        """What of a task is missing now, after another process may have been at it, in batches of another size too."""
        key = provenance.key(self.facts(task.subject, task.method))
        found = [part for part in shards.parts(self.folder(task)) if part.key == key and part.images.exists()]
        have = [(0, task.start), *((part.start, part.stop) for part in found)]
        return [replace(task, start=start, stop=stop) for start, stop in gaps(have, task.stop, task.stop)]


def prepared(recipe: Generation, analysis: str, place: Place) -> Ready:
    """A recipe with everything checked that can be before any work; writes nothing.

    Raises:
        UserError: a name, file, model or data set is not usable.
    """
    table.check_name(analysis)
    images = datasets.load(recipe.data, data_dir=place.data_dir)
    models.prepare(recipe.models, place.model_dir)
    statistics = Statistics(images)
    subjects = [_subject(reference, images, place) for reference in recipe.models]
    _check_classes(recipe, statistics)
    assert place.where  # a device that is not there is told before any file is moved
    return Ready(recipe, place, images, statistics, subjects, place.tables / analysis / FOLDER)


def _subject(reference: str, images: Data, place: Place) -> Subject:
    name, bare = references.named(reference)
    net = models.load(bare, model_dir=place.model_dir, trust=place.trust_checkpoint)
    check.usable(net, name, images)
    check.attackable(net, name, images)
    return Subject(name, bare, identity.sha(net), net)


def _check_classes(recipe: Generation, statistics: Statistics) -> None:
    """Whether all classes exist, and have the images that starts and samplers need.

    Raises:
        UserError: one does not, or has not.
    """
    last = statistics.classes - 1
    wanted = recipe.classes or range(statistics.classes)
    for number in wanted:
        if not 0 <= number <= last:
            raise UserError(f"class {number}: {recipe.data} has classes 0 to {last}; take one of them")
    for method in recipe.methods:
        fewest = max(method.start.fewest, int(method.sampler.needs_reference))
        good = [number for number in wanted if statistics.count(number) >= fewest]
        if len(good) < len(wanted):
            poor = next(number for number in wanted if number not in good)
            others = " ".join(f"--class {number}" for number in good[:20])
            raise UserError(
                f"method {method.name} needs {many(fewest, 'image')} of class {poor}, {recipe.data} has "
                f"{statistics.count(poor)}; " + (f"make others: {others}" if good else "take --start random")
            )
