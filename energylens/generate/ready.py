"""A recipe of generated images with everything checked: its networks, its training images, what of it is missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from energylens import data as datasets
from energylens import models, provenance, references, shards, table
from energylens.data import Data
from energylens.errors import UserError
from energylens.generate import levels
from energylens.generate.files import FOLDER
from energylens.generate.method import Method
from energylens.generate.recipe import Generation
from energylens.generate.statistics import Statistics
from energylens.models import check, identity
from energylens.options import Place
from energylens.plan import Move, usable
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
        have = [(part.start, part.stop) for part, _ in found if part.images.exists()]
        return list(gaps(have, self.recipe.images, self.place.batch or BATCH)), moves

    def there(self, task: Task) -> bool:
        """Whether another process has made it meanwhile."""
        key = provenance.key(self.facts(task.subject, task.method))
        found = [part for part in shards.parts(self.folder(task)) if part.images.exists()]
        return any((part.key, part.start, part.stop) == (key, task.start, task.stop) for part in found)


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
    for number in recipe.classes or ():
        if not 0 <= number < statistics.classes:
            last = statistics.classes - 1
            raise UserError(f"class {number}: {recipe.data} has classes 0 to {last}; take one of them")
    return Ready(recipe, place, images, statistics, subjects, place.tables / analysis / FOLDER)


def _subject(reference: str, images: Data, place: Place) -> Subject:
    name, bare = references.named(reference)
    net = models.load(bare, model_dir=place.model_dir, trust=place.trust_checkpoint)
    check.usable(net, name, images)
    check.attackable(net, name, images)
    return Subject(name, bare, identity.sha(net), net)
