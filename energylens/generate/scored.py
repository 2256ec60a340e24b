"""Scores of generated images, as a table that a figure is drawn from. Reading it imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from energylens import references
from energylens.errors import UserError, many
from energylens.generate.files import Made
from energylens.generate.recipe import Generation
from energylens.need import Need, Where
from energylens.quality import distinct
from energylens.quality import table as rows_on_disk


@dataclass(frozen=True)
class Scored(Need):
    """Images that are generated, and scored in one or more feature spaces."""

    UNUSED: ClassVar[frozenset[str]] = Generation.UNUSED - {"features"}
    parts: tuple[Generation, ...]
    spaces: tuple[str, ...] = ("inception",)
    """`inception`, or references of networks whose features tell images apart"""

    def __post_init__(self):
        distinct(self.spaces)

    def override(
        self,
        models: list[str] | None = None,
        data: str | None = None,
        features: list[str] | None = None,
        **given: Any,
    ) -> Scored:
        """With a user's choices; parts with one network take the first of a user's, others all.

        Raises:
            UserError: other images without judges that can read them, or a choice that chains have no use for.
        """
        small = [space for space in self.spaces if space.startswith("demo:")]
        if data and small and not features and references.split(data)[0] != references.split(self.parts[0].data)[0]:
            raise UserError(
                f"{small[0]} judges {self.parts[0].data}; for {data} say --features inception, or a network"
            )
        chosen = []
        for part in self.parts:
            mine = models if models is None or len(part.models) > 1 else models[:1]
            chosen.append(part.override(models=mine, data=data, **given))
        return dataclasses.replace(self, parts=tuple(chosen), spaces=tuple(features or self.spaces))

    def measure(self, analysis: str, where: Where) -> None:
        """Generate what is missing, and score what has no row yet; judges are opened before anything is made."""
        from energylens.generate import scoring

        judges = scoring.checked(self.parts, self.spaces, analysis, where)
        for part in self.parts:
            part.measure(analysis, where)
        held = rows_on_disk.read(where.out / rows_on_disk.FILE)
        shas = {space: judge.sha for space, judge in judges.items()}
        wanted = self._wanted(analysis, where, measured=True)
        if lacking := [one for one in wanted if _row(*one, held, shas) is None]:
            scoring.add(lacking, judges, where)

    def foresee(self, analysis: str, where: Where) -> None:
        """What would be generated, and how much would be scored."""
        for part in self.parts:
            part.foresee(analysis, where)
        images = sum(part.images * len(part.models) * len(part.methods) for part in self.parts)
        print(f"scores: of {many(images, 'image')} in {many(len(self.spaces), 'feature space')}")

    def frame(self, analysis: str, where: Where, measured: bool) -> pd.DataFrame:
        """One row a model, method, seed and feature space; `method` without its seed.

        Right after measuring, rows are those of the judges as they are now. Otherwise no network is loaded, and a judge
        is known by its name alone: of several rows the last of the table counts. Whether that judge was the file of
        this name in another folder, had other weights or code, or was Inception with weights of the user's own, which
        are called `inception (0a1b2c3d)`, cannot be told then.

        Raises:
            UserError: images are missing or were made otherwise, or have no row yet.
        """
        path, rows = where.out / rows_on_disk.FILE, []
        held, shas = rows_on_disk.read(path), self._shas(where) if measured else {}
        for part, names, made, space in self._wanted(analysis, where, measured):
            row = _row(part, names, made, space, held, shas)
            if row is None:
                raise UserError(f"{path} has no scores of {' '.join(names)} in {space}; leave out --no-measure")
            rows.append(row)
        frame = pd.DataFrame(rows, columns=rows_on_disk.SCHEMA.names)
        return frame.drop_duplicates(["model", "method", "seed", "space"], keep="last").reset_index(drop=True)

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

    def _shas(self, where: Where) -> dict[str, str]:
        from energylens.generate import scoring

        return {space: judge.sha for space, judge in scoring.judges(self.parts, self.spaces, where.place).items()}


def _row(
    part: Generation,
    names: tuple[str, str],
    made: Made,
    space: str,
    held: list[dict[str, Any]],
    shas: dict[str, str],
) -> dict[str, Any] | None:
    """The scores of these very images in a space, the last that are held; of any judge of its name without its sha."""
    method = next(one for one in part.methods if one.name == names[1])
    asked = {
        "model": names[0],
        "method": dataclasses.replace(method, seed=0).name,
        "seed": method.seed,
        "key": made.key,
    }
    if space in shas:
        asked["space_sha"] = shas[space]
    found = [
        row
        for row in held
        if all(row[name] == value for name, value in asked.items())
        and row["n"] + (row["left_out"] or 0) == made.count
        and row["space"].split(" (")[0] == references.public(space)
    ]
    return found[-1] if found else None
