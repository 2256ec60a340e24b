"""Scores of generated images, as a table that a figure is drawn from. Reading it imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from energylens import references
from energylens.errors import UserError
from energylens.generate.files import Made
from energylens.generate.recipe import Generation
from energylens.need import Need, Where
from energylens.quality import table as rows_on_disk


@dataclass(frozen=True)
class Scored(Need):
    """Images that are generated, and scored in one or more feature spaces."""

    parts: tuple[Generation, ...]
    spaces: tuple[str, ...] = ("inception",)
    """`inception`, or references of networks whose features tell images apart"""

    def override(self, models: list[str] | None = None, **given: Any) -> Scored:
        """With a user's choices; parts with one network take the first of a user's, others all."""
        chosen = []
        for part in self.parts:
            mine = models if models is None or len(part.models) > 1 else models[:1]
            chosen.append(part.override(models=mine, **given))
        return dataclasses.replace(self, parts=tuple(chosen))

    def measure(self, analysis: str, where: Where) -> None:
        """Generate what is missing, and score what has no row yet."""
        for part in self.parts:
            part.measure(analysis, where)
        lacking = [
            one
            for one in self._wanted(analysis, where, measured=True)
            if not self._rows(one[0], one[1], one[2], one[3], where.out)
        ]
        if lacking:
            from energylens.generate import scoring

            scoring.add(lacking, where)

    def foresee(self, analysis: str, where: Where) -> None:
        """What would be generated; scores take seconds."""
        for part in self.parts:
            part.foresee(analysis, where)
        print(f"scores: of all these images, in {', '.join(self.spaces)}")

    def frame(self, analysis: str, where: Where, measured: bool) -> pd.DataFrame:
        """One row a model, method, seed and feature space; `method` without its seed.

        Raises:
            UserError: images are missing or were made otherwise, or have no row yet.
        """
        rows = []
        for part, names, made, space in self._wanted(analysis, where, measured):
            found = self._rows(part, names, made, space, where.out)
            if not found:
                raise UserError(
                    f"{where.out / rows_on_disk.FILE} has no scores of {' '.join(names)} in {space}; leave out "
                    "--no-measure"
                )
            rows += found
        frame = pd.DataFrame(rows, columns=rows_on_disk.SCHEMA.names)
        return frame.drop_duplicates(["model", "method", "seed", "space"]).reset_index(drop=True)

    def about(self, frame: pd.DataFrame) -> dict[str, Any]:
        """The keys of the images, and how they were made."""
        recipes = [part.about(frame)["recipe"] for part in self.parts]
        return {"keys": sorted(set(frame["key"])), "recipe": {"parts": recipes, "spaces": list(self.spaces)}}

    def _wanted(
        self, analysis: str, where: Where, measured: bool
    ) -> Iterator[tuple[Generation, tuple[str, str], Made, str]]:
        for part in self.parts:
            for names, made in part.made(analysis, where, measured).items():
                for space in self.spaces:
                    yield part, names, made, space

    def _rows(
        self, part: Generation, names: tuple[str, str], made: Made, space: str, out: Path
    ) -> list[dict[str, Any]]:
        """The scores of these very images in a space."""
        method = next(one for one in part.methods if one.name == names[1])
        asked = {
            "model": names[0],
            "method": dataclasses.replace(method, seed=0).name,
            "seed": method.seed,
            "key": made.key,
        }
        return [
            row
            for row in rows_on_disk.read(out / rows_on_disk.FILE)
            if all(row[name] == value for name, value in asked.items())
            and row["n"] + (row["left_out"] or 0) == made.count
            and row["space"].split(" (")[0] == references.public(space)
        ]
