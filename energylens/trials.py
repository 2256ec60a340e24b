"""What an evaluation measures, from what its user typed, and the rows that come of it."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from energylens import attacks, evaluations, references, trained
from energylens.attacks import Attack
from energylens.attacks.seeds import seeded
from energylens.attacks.settings import short
from energylens.errors import UserError
from energylens.options import Sample
from energylens.recipe import Recipe
from energylens.trained import Network

TABLE = "evaluate"
"""the energy table in which its points lie"""
USUAL = ("pgd", "cw-linf", "autoattack")


@dataclass(frozen=True)
class Wanted:
    """The attacks that were asked for."""

    texts: tuple[str, ...]
    seeds: tuple[int, ...] = ()
    eps: float | None = None
    precision: str = "fp32"

    def attacks(self, trained_with: float | None) -> tuple[Attack, ...]:
        """Each attack with each seed; where no radius is said, that of training.

        Raises:
            UserError: an attack is unknown or refuses its settings, or a seed changes nothing.
        """
        made = []
        for text in self.texts:
            attacks.check_said_once(text, eps=self.eps, seed=next(iter(self.seeds), None))
            attack = attacks.parse(text)
            if trained_with is not None and attack.eps is not None and self._open(text):
                change: dict[str, Any] = {"eps": trained_with}
                attack = replace(attack, **change)
            made.append(attack)
        if len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"--seed {Counter(self.seeds).most_common(1)[0][0]} is said twice; leave one out")
        together = [attack for one in made for attack in self._with_seeds(one)]
        if any(self.seeds) and together == made:
            raise UserError(f"no attack here makes random choices, so --seed {self.seeds[-1]} changes nothing")
        return tuple(together)

    @property
    def any_open(self) -> bool:
        """Whether a radius is left to the networks' training."""
        return any(map(self._open, self.texts))

    def _open(self, text: str) -> bool:
        return self.eps is None and ":eps=" not in text

    def _with_seeds(self, attack: Attack) -> list[Attack]:
        return list(dict.fromkeys(seeded(attack, seed) for seed in self.seeds)) or [attack]


def networks(given: list[str]) -> list[Network]:
    """The networks of the command line.

    Raises:
        UserError: two of one name, or a run's folder without weights.
    """
    found = [trained.network(reference) for reference in given]
    names = Counter(one.name for one in found)
    for one in found:
        if names[one.name] > 1:
            bare = references.named(one.reference)[1]
            raise UserError(
                f"{names[one.name]} models are called '{one.name}'; name them: NAME={bare}, or leave one out"
            )
    return found


def recipes(found: list[Network], sample: Sample, wanted: Wanted) -> list[Recipe]:
    """What to measure: networks together that share images and radius.

    Raises:
        UserError: the images of a network are not said, or an attack is not usable.
    """
    groups: dict[tuple[str, float | None], list[str]] = {}
    for one in found:
        groups.setdefault((_data(one, sample), one.eps if wanted.any_open else None), []).append(one.reference)
    made = []
    for (data, trained_with), models in groups.items():
        chosen = wanted.attacks(trained_with)
        recipe = Recipe(tuple(models), data, chosen, sample.samples, sample.shuffle_seed, wanted.precision)
        made.append(recipe.override(eps=wanted.eps))
    return made


def _data(one: Network, sample: Sample) -> str:
    if found := sample.data or one.test:
        return ":".join(references.split(found)) if found == one.test else found
    raise UserError(f"say the images of {one.reference}: --data cifar10:test")


def remarks(found: list[Network], sample: Sample, wanted: Wanted) -> list[str]:
    """What is told before any work: what was taken from a network's file, and images that it may have been shown."""
    told = []
    for one in found:
        chosen = [] if sample.data else [f"images {_data(one, sample)}"]
        if one.eps is not None and wanted.any_open:
            chosen.append(f"eps {short(one.eps).replace('_', '/')}")
        told += [f"{one.name}: {one.taken}"] if one.taken else []
        told += [f"{one.name}: {' and '.join(chosen)}, from its training"] if chosen else []
    if sample.data and references.split(sample.data)[1] == "train":
        told.append(f"note: {sample.data} are training images; networks that were trained on them know them")
    return told


def rows(recipe: Recipe, points: Path, found: list[Network], partly: bool) -> list[dict[str, Any]]:
    """Rows of the table of accuracies for what was measured.

    Args:
        recipe: what was to be measured.
        points: where it lies.
        found: the networks, which tell of their training.
        partly: whether some of it may have failed; what lacks images gets no row.

    Raises:
        UserError: something is not there, though nothing failed.
    """
    about = {one.name: one.recipe for one in found}
    made = []
    for model in recipe.names[0]:
        for attack in (None, *recipe.attacks):
            try:
                made.append(about[model] | evaluations.row(points, model, attack, recipe.samples))
            except UserError:
                if not partly:
                    raise
    return made
