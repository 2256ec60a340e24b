"""Everything that decides one table's numbers. Reading a recipe imports no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from energylens import paths, references
from energylens.attacks import PGD
from energylens.errors import UserError, unknown

SCALES = ("demo", "paper")


@dataclass(frozen=True)
class Recipe:
    """What an analysis measures: which models, on which images, under which attacks."""

    models: tuple[str, ...]
    """references, `NAME=REFERENCE` for a display name"""
    data: str
    attacks: tuple[PGD, ...]
    samples: int | None = None
    """the first this many images; None for all"""
    shuffle_seed: int | None = None
    """draw the images with this seed instead"""

    def override(
        self,
        models: list[str] | None = None,
        data: str | None = None,
        samples: int | None = None,
        shuffle_seed: int | None = None,
        eps: float | None = None,
        seed: int | None = None,
    ) -> Recipe:
        """The same recipe with a user's choices; None keeps what it says. `eps` and `seed` go to every attack.

        Raises:
            UserError: other models without their images, or other images without an eps that fits them.
        """
        foreign = [name for name in models or () if "demo:" not in name and "demo:" in self.models[0]]
        if foreign and data is None:
            raise UserError(f"{foreign[0]} is not of the demo zoo, so say its images: --data cifar10:test")
        if data is not None and eps is None and references.split(data)[0] != references.split(self.data)[0]:
            raise UserError(f"eps {self.attacks[0].eps:g} is for {self.data}; for {data} say --eps 8/255, or another")
        given: dict[str, Any] = {"data": data, "samples": samples, "shuffle_seed": shuffle_seed}
        given["models"] = tuple(models) if models else None
        of_attack: dict[str, Any] = {"eps": eps, "seed": seed}
        attacks = tuple(dataclasses.replace(attack, **_kept(of_attack)) for attack in self.attacks)
        return dataclasses.replace(self, attacks=attacks, **_kept(given))


def shipped(analysis: str, scale: str) -> Recipe:
    """The recipe of a shipped analysis at a scale, `demo` or `paper`.

    Raises:
        UserError: unknown analysis or scale.
    """
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    return getattr(paths.load("analyses", analysis), scale.upper())


def _kept(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
