"""Everything that decides one table's numbers. Reading a recipe imports no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pandas as pd

from energylens import paths, references
from energylens.attacks import Attack
from energylens.errors import UserError, unknown
from energylens.need import Need, Where

PRECISIONS = ("fp32", "bf16")
RECORDS = {"points": "points", "steps": "steps", "forces": "steps"}
"""what is recorded -> the folder of its table"""


@dataclass(frozen=True)
class Recipe(Need):
    """What an analysis measures: which models, on which images, under which attacks."""

    models: tuple[str, ...]
    """references, `NAME=REFERENCE` for a display name"""
    data: str
    attacks: tuple[Attack, ...]
    samples: int | None = None
    """the first this many images; None for all"""
    shuffle_seed: int | None = None
    """draw the images with this seed instead"""
    precision: str = "fp32"
    """of the search, fp32 or bf16; what is recorded is float32 always"""
    record: str = "points"
    """`points`: where the attacks end; `steps`: every step; `forces`: with the direction of every update"""
    logits: bool = False
    """whether the table keeps the logits of all classes"""

    def __post_init__(self):
        for field, known in (("precision", PRECISIONS), ("record", RECORDS)):
            if getattr(self, field) not in known:
                raise unknown(field, str(getattr(self, field)), known)

    @property
    def folder(self) -> str:
        """`points` or `steps`, where its shards lie."""
        return RECORDS[self.record]

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """Of its models and of its attacks, as in its table."""
        attacks = dict.fromkeys(attack.name for attack in self.attacks)
        return [references.named(reference)[0] for reference in self.models], list(attacks)

    def override(
        self,
        models: list[str] | None = None,
        data: str | None = None,
        samples: int | None = None,
        shuffle_seed: int | None = None,
        eps: float | None = None,
        seed: int | None = None,
        precision: str | None = None,
    ) -> Recipe:
        """The same recipe with a user's choices; None keeps what it says.

        `eps` and `seed` go to every attack that has one.

        Raises:
            UserError: other models without their images, or other images without an eps that fits them.
        """
        foreign = [name for name in models or () if "demo:" not in name and "demo:" in self.models[0]]
        if foreign and data is None:
            raise UserError(f"{foreign[0]} is not of the demo zoo, so say its images: --data cifar10:test")
        if data is not None and eps is None and references.split(data)[0] != references.split(self.data)[0]:
            first = next((attack.eps for attack in self.attacks if attack.eps is not None), None)
            if first is not None:
                raise UserError(f"eps {first:g} is for {self.data}; for {data} say --eps 8/255, or another")
        given: dict[str, Any] = {"data": data, "samples": samples, "shuffle_seed": shuffle_seed}
        given["precision"] = precision
        given["models"] = tuple(models) if models else None
        if eps is not None and all(attack.eps is None for attack in self.attacks):
            raise UserError(f"--eps {eps:g}: {self.attacks[0].name} has no radius; leave it out")
        of_attack = _kept({"eps": eps, "seed": seed})
        attacks = tuple(dataclasses.replace(attack, **_fitting(of_attack, attack)) for attack in self.attacks)
        return dataclasses.replace(self, attacks=attacks, **_kept(given))

    def measure(self, analysis: str, where: Where) -> None:
        """Measure what its table lacks."""
        from energylens import measure, progress

        measure.run(self.placed(where), analysis, where.place, show=progress.shown)

    def foresee(self, analysis: str, where: Where) -> None:
        """Say what that would be, and how long it would take."""
        from energylens import estimate

        estimate.show(self.placed(where), analysis, where.place)

    def frame(self, analysis: str, where: Where, measured: bool) -> pd.DataFrame:
        """Its rows; where they were not just measured, checked to be of its models, images and attacks."""
        from energylens import asked

        return asked.rows(self.placed(where), where.place.tables / analysis / self.folder, measured)

    def placed(self, where: Where) -> Recipe:
        """With the networks of `runs/`, where trainings usually lie, looked for in the folder of the runs."""
        return dataclasses.replace(self, models=references.placed(self.models, where.runs))

    def about(self, frame: pd.DataFrame) -> dict[str, Any]:
        """The recipe without folders, and the keys of its rows."""
        recipe = dataclasses.asdict(self)
        recipe["models"] = [references.public(reference) for reference in recipe["models"]]
        recipe["data"] = ":".join(references.data_name(recipe["data"]))
        return {"keys": sorted({row["key"] for row in frame.attrs["provenance"]}), "recipe": recipe}


def shipped(analysis: str, scale: str) -> Need:
    """The recipe of a shipped analysis at a scale: `demo`, `paper`, or another one of its file.

    Raises:
        UserError: unknown analysis or scale.
    """
    known = recipes(analysis)
    if scale not in known:
        raise unknown("scale", scale, known)
    return known[scale]


def recipes(analysis: str) -> dict[str, Need]:
    """The recipes of a shipped analysis by their scales: DEMO is `demo`, PAPER_CIFAR100 `paper-cifar100`.

    Raises:
        UserError: unknown analysis.
    """
    found = vars(paths.load("analyses", analysis)).items()
    return {name.lower().replace("_", "-"): recipe for name, recipe in found if isinstance(recipe, Need)}


def _fitting(settings: dict[str, Any], attack: Attack) -> dict[str, Any]:
    fields = {field.name for field in dataclasses.fields(attack)}
    return {name: value for name, value in settings.items() if name in fields}


def _kept(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
