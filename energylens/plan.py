"""What is there, what is missing: a recipe against the shards on disk. Planning changes nothing there."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from energylens import provenance, table
from energylens.aside import Move, sorted_out, usable
from energylens.attacks import Attack
from energylens.data import Data
from energylens.errors import UserError, option
from energylens.options import Keep, Place
from energylens.ranges import cut, gaps
from energylens.recipe import Recipe
from energylens.shards import Part, check_whole, pieces


@dataclass(frozen=True)
class Subject:
    """A model that passed its check."""

    name: str
    reference: str
    sha: str


@dataclass(frozen=True)
class Task:
    """The missing images START to STOP of a model under an attack (None: natural): one shard to be measured."""

    subject: Subject
    attack: Attack | None
    start: int
    stop: int
    batch: int | None = None
    """images at once in the shards that are there; None where there are none"""
    again: bool = False
    """whether its shard is there, and lacks what is to be kept, or images of a batch"""
    kept: tuple[str, ...] = ()
    """what to keep beside the energies: what is asked for, and what the shard that is there has"""
    refused: str = ""
    """why it cannot be measured, if that is known already"""

    @property
    def images(self) -> int:
        """How many."""
        return self.stop - self.start

    @property
    def attack_name(self) -> str:
        """As in the table."""
        return self.attack.name if self.attack else table.NATURAL

    def __str__(self) -> str:
        return f"{self.subject.name} under {self.attack_name}, images {self.start} to {self.stop}"


@dataclass
class Plan:
    """What one model needs."""

    subject: Subject
    there: dict[str, int] = field(default_factory=dict)
    """attack -> images measured, but for those that are to be measured again"""
    seconds: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """attack -> images and seconds of the shards that were measured on this device"""
    tasks: list[Task] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    divided: list[Part] = field(default_factory=list)
    """joined files of which something is to be measured again: first they are to be shards again"""


def facts(subject: Subject, images: Data, attack: Attack | None, recipe: Recipe) -> dict[str, Any]:
    """All that decides the numbers of a model's shards under an attack."""
    return provenance.decisive(subject.sha, images.sha, images.shuffle_seed, attack, recipe.precision, recipe.record)


def attacks_of(recipe: Recipe) -> tuple[Attack | None, ...]:
    """None for the natural images, and each attack."""
    return (None, *recipe.attacks)


def folder(points: Path, task: Task) -> Path:
    """Where the shards of a task's model and attack lie."""
    return table.folder(points, task.subject.name, task.attack_name)


class Planner:
    """Holds a recipe against a folder, model by model."""

    def __init__(self, recipe: Recipe, images: Data, points: Path, place: Place, kept: list[str]):
        self.recipe, self.images, self.points, self.place, self.kept = recipe, images, points, place, kept

    def plan(self, subject: Subject) -> Plan:
        """What of a model is there, what is missing, and which shards are in the wrong place.

        Raises:
            UserError: a file is no shard of ours, or a shard lacks what is to be kept and is longer than what
                is asked for.
        """
        made = Plan(subject)
        attacks = {folder(self.points, Task(subject, attack, 0, 0)): attack for attack in attacks_of(self.recipe)}
        natural = facts(subject, self.images, None, self.recipe)
        same = {name: natural[name] for name in ("model_sha", "data_sha", "shuffle_seed")}
        home = table.folder(self.points, subject.name, table.NATURAL).parent
        for where in set(home.glob("attack=*")) - set(attacks):
            made.moves += sorted_out(self.points, where, same)[1]
        for where, attack in attacks.items():
            wanted = facts(subject, self.images, attack, self.recipe)
            found, moves = usable(self.points, where, wanted)
            made.moves += moves
            self._lacking(attack, found, made)
        order = list(attacks.values())
        made.tasks.sort(key=lambda task: (task.start, task.stop, order.index(task.attack)))
        return made

    def lacks(self, part: Part, about: dict[str, Any], attack: Attack | None) -> list[dict[str, Any]]:
        """What of a shard is to be measured again in its place, as it lacks what is to be kept, or images of a batch.

        Raises:
            UserError: it lacks what is to be kept, and is longer than what is asked for.
        """
        missing = [name for name in self.kept if name not in about["kept"]]
        if "keep_images" in self.kept and not part.images.exists():
            missing.append("keep_images")
        if missing and part.stop > len(self.images):
            raise UserError(f"{part.path} was measured without {option(missing[0])}; ask for --samples {part.stop}")
        return [piece for piece in pieces(part, about) if missing or self._cut_short(piece, attack)]

    def _cut_short(self, piece: dict[str, Any], attack: Attack | None) -> bool:
        """Whether its last batch had fewer images than it has now, in an attack whose numbers depend on it."""
        if attack is None or not attack.batch:
            return False
        stop, total = piece["stop"], len(self.images)
        if "selected" not in piece and piece["start"] % attack.batch and stop <= total:
            return True  # of older versions, which began a batch there
        return piece.get("selected", stop) < min(math.ceil(stop / attack.batch) * attack.batch, total)

    def rest(self, task: Task) -> list[Task]:
        """What of a task is missing now, after another probe may have been at it.

        Raises:
            UserError: that one's shard is broken, or lacks what is to be kept and is longer than what is asked for.
        """
        key = provenance.key(facts(task.subject, self.images, task.attack, self.recipe))
        found = [part for part in table.parts(folder(self.points, task)) if part.key == key]
        there = [part for part in found if part.start < task.stop and part.stop > task.start]
        known = [(part, check_whole(part)) for part in there]
        poor = [(part, self._keeping(about)) for part, about in known if self.lacks(part, about, task.attack)]
        again = [replace(task, start=part.start, stop=part.stop, again=True, kept=kept) for part, kept in poor]
        missing = gaps([(0, task.start), *((part.start, part.stop) for part in there)], task.stop, task.stop)
        new = replace(task, again=False, kept=tuple(self.kept))
        return again + [replace(new, start=start, stop=stop) for start, stop in missing]

    def _keeping(self, about: dict[str, Any]) -> tuple[str, ...]:
        """What a shard that is measured again keeps: nothing that was kept is lost."""
        return tuple(Keep(**dict.fromkeys({*self.kept, *about["kept"]}, True)).names)

    def _lacking(self, attack: Attack | None, found: list[tuple[Part, dict]], made: Plan) -> None:
        """Tasks for the images that no shard has, or whose shard lacks what is to be kept."""
        subject, total, name = made.subject, len(self.images), attack.name if attack else table.NATURAL
        device = self.place.where.split(":")[0]
        batch = None
        whole: list[tuple[int, int]] = []
        for part, about in found:
            if about["software"]["device"].split(":")[0] == device:
                batch = about["batch"]
                made.seconds.setdefault(name, []).append((part.stop - part.start, about.get("seconds", 0.0)))
            lacking = [(piece["start"], piece["stop"]) for piece in self.lacks(part, about, attack)]
            if lacking and len(about.get("joined", ())) > 1:
                home = folder(self.points, Task(subject, attack, 0, 0))
                made.divided.append(part._replace(path=home / part.path.name))
            kept = self._keeping(about)
            made.tasks += [Task(subject, attack, start, stop, batch, True, kept) for start, stop in lacking]
            whole += gaps([(0, part.start), *lacking], part.stop, part.stop)
        have = [(part.start, part.stop) for part, _ in found]
        missing = cut(gaps(have, total, self.place.shard), self._last_batch(attack))
        made.there[name] = total - sum(stop - start for start, stop in gaps(whole, total, total))
        made.tasks += [Task(subject, attack, start, stop, batch, kept=tuple(self.kept)) for start, stop in missing]

    def _last_batch(self, attack: Attack | None) -> int:
        """Where a batch begins that more images of the data would fill: it is a shard of its own."""
        total, size = len(self.images), attack.batch if attack else None
        return total - total % size if size and total < len(self.images.labels) else total
