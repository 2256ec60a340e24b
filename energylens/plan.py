"""What is there, what is missing: a recipe against the shards on disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energylens import provenance, table
from energylens.attacks import Attack
from energylens.data import Data
from energylens.errors import UserError, first_line
from energylens.options import Keep
from energylens.recipe import Recipe

ASIDE = "_aside"
SHARD = 1000
"""images in one file; at most this many rows are in memory"""


@dataclass(frozen=True)
class Subject:
    """A model that passed its check."""

    name: str
    reference: str
    sha: str


@dataclass(frozen=True)
class Task:
    """The missing images START to STOP of one model under some attacks (None: natural)."""

    subject: Subject
    start: int
    stop: int
    attacks: tuple[Attack | None, ...]

    @property
    def rows(self) -> int:
        """How many rows it will give."""
        return (self.stop - self.start) * len(self.attacks)


def facts(subject: Subject, images: Data, attack: Attack | None, recipe: Recipe) -> dict[str, Any]:
    """All that decides the numbers of a model's shards under an attack."""
    return provenance.decisive(subject.sha, images.sha, images.shuffle_seed, attack, recipe.precision, recipe.record)


def attacks_of(recipe: Recipe) -> tuple[Attack | None, ...]:
    """None for the natural images, and each attack once."""
    return (None, *{attack.name: attack for attack in recipe.attacks}.values())


def folder(points: Path, subject: Subject, attack: Attack | None) -> Path:
    """Where the shards of a model and attack lie."""
    return table.folder(points, subject.name, attack.name if attack else table.NATURAL)


def missing(subject: Subject, recipe: Recipe, images: Data, points: Path, keep: Keep) -> Iterator[Task]:
    """The ranges of images that some attack lacks, attack by attack; nothing is changed on disk.

    Raises:
        UserError: a shard is broken, or lacks what is to be kept and is longer than what is asked for.
    """
    lacking: dict[tuple[int, int], list[Attack | None]] = {}
    for attack in attacks_of(recipe):
        have = []
        for part in _usable_parts(subject, images, attack, recipe, points):
            have.append((part.start, part.stop))
            if keep.names and not set(keep.names) <= set(table.provenance(part.path)["kept"]):
                if part.stop > len(images):
                    raise UserError(f"{part.path} was measured without {keep.names[0]}; ask for --samples {part.stop}")
                lacking.setdefault((part.start, part.stop), []).append(attack)  # again, in its place
        for gap in gaps(have, len(images)):
            lacking.setdefault(gap, []).append(attack)
    for (start, stop), missed in sorted(lacking.items()):
        together = 2 if missed[0] is None else 1  # the natural images come with the first attack
        yield Task(subject, start, stop, tuple(missed[:together]))
        for attack in missed[together:]:
            yield Task(subject, start, stop, (attack,))


def cuts(tasks: list[Task]) -> Iterator[tuple[str, int]]:
    """Attacks whose results depend on the batch, where a task begins within one of their batches."""
    for task in tasks:
        for attack in task.attacks:
            if attack and attack.batch and task.start % attack.batch:
                yield attack.name, task.start


def _usable_parts(
    subject: Subject, images: Data, attack: Attack | None, recipe: Recipe, points: Path
) -> list[table.Part]:
    """Whole shards with the right key, in their folder or set aside."""
    where, wanted = folder(points, subject, attack), provenance.key(facts(subject, images, attack, recipe))
    found = table.parts(where) + table.parts(points / ASIDE / where.relative_to(points))
    right = [part for part in found if part.key == wanted]
    for part in right:
        table.check_whole(part)
    return list({(part.start, part.stop): part for part in reversed(right)}.values())


def gaps(have: list[tuple[int, int]], total: int) -> Iterator[tuple[int, int]]:
    """What of 0 to `total` is not covered, cut at multiples of SHARD."""
    position = 0
    for start, stop in [*sorted(have), (total, total)]:
        while position < min(start, total):
            end = min(start, total, (position // SHARD + 1) * SHARD)
            yield position, end
            position = end
        position = max(position, stop)


def tidy(subject: Subject, recipe: Recipe, images: Data, points: Path, say: Callable[[str], None]) -> None:
    """Leave only this model's and these images' shards under its name; bring back those that were set aside.

    Raises:
        UserError: a foreign file is in the way, or the folder cannot be written.
    """
    expected = {
        folder(points, subject, attack): facts(subject, images, attack, recipe) for attack in attacks_of(recipe)
    }
    same = {name: expected[folder(points, subject, None)][name] for name in ("model_sha", "data_sha", "shuffle_seed")}
    for where in sorted(folder(points, subject, None).parent.glob("attack=*")):
        for part in table.parts(where):
            found, wanted = table.provenance(part.path)["decisive"], expected.get(where, same)
            differs = provenance.difference(found, wanted)
            if differs:
                place = part.path.relative_to(points)
                _move(part.path, points / ASIDE / place)
                say(f"moved aside: {place} differs in {', '.join(differs)}; it lies in {points / ASIDE}")
    for where, wanted in expected.items():
        for part in table.parts(points / ASIDE / where.relative_to(points)):
            if part.key == provenance.key(wanted):
                _move(part.path, where / part.path.name)
                say(f"brought back: {(where / part.path.name).relative_to(points)}")


def _move(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    except OSError as error:
        raise UserError(f"cannot move {path} to {target} ({first_line(error)})") from error
