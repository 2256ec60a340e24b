"""From a figure's name to files: its recipes, its tables, its claims, its picture. Imports no torch."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from energylens import __version__, paths, references, table
from energylens.atomic import whole
from energylens.errors import UserError, unknown
from energylens.options import Choice, Place
from energylens.plots import style
from energylens.recipe import Recipe

SCALES = ("demo", "paper")
FORMATS = ("png", "pdf", "svg")


@dataclass(frozen=True)
class Job:
    """One figure to draw, with the recipes of the tables that it needs."""

    name: str
    module: ModuleType
    recipes: dict[str, Recipe]
    formats: tuple[str, ...]

    def measure(self, place: Place, progress) -> None:
        """Measure what its tables lack."""
        from energylens import measure

        for analysis, recipe in self.recipes.items():
            measure.run(recipe, analysis, place, progress=progress)

    def draw(self, tables: Path, out: Path) -> Iterator[str]:
        """Draw and save; yields lines to print: the files, then a verdict for each claim.

        Raises:
            UserError: a table is missing or of another setting, or OUT cannot be written.
        """
        frames = {analysis: _table(tables / analysis / "points", recipe) for analysis, recipe in self.recipes.items()}
        verdicts = [claim(**frames) for claim in self.module.CLAIMS]
        with mpl.rc_context(rc=style.rc(self.module.WIDTH)):
            figure = self.module.draw(**frames)
            for suffix in self.formats:
                yield f"drawn: {_save(figure, out / f'{self.name}.{suffix}', self._about(frames, suffix))}"
        figure.clear()
        yield from (f"claim: {verdict}" for verdict in verdicts)

    def _about(self, frames: dict[str, pd.DataFrame], suffix: str) -> dict[str, Any]:
        """Metadata of a picture: which table, which recipe."""
        recipes = {analysis: dataclasses.asdict(recipe) for analysis, recipe in self.recipes.items()}
        keys = {
            analysis: sorted({row["key"] for row in frame.attrs["provenance"]}) for analysis, frame in frames.items()
        }
        for recipe in recipes.values():
            recipe["models"] = [references.public(reference) for reference in recipe["models"]]
            recipe["data"] = ":".join(references.data_name(recipe["data"]))
        text = json.dumps({"tables": keys, "recipes": recipes}, sort_keys=True)
        title, creator = f"energylens {self.name}", f"energylens {__version__}"
        if suffix == "pdf":
            return {"Title": title, "Subject": text, "Creator": creator}
        return {"Title": title, "Description": text, "Creator" if suffix == "svg" else "Software": creator}


def job(name: str, scale: str, choice: Choice, formats: list[str]) -> Job:
    """What is to be drawn, with every name checked.

    Raises:
        UserError: unknown figure, scale or format, or a setting that an attack refuses.
    """
    module = paths.load("figures", name)
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    for suffix in formats:
        if suffix not in FORMATS:
            raise unknown("format", suffix, FORMATS)
    analyses = {analysis: paths.load("analyses", analysis) for analysis in module.NEEDS}
    recipes = {
        analysis: getattr(found, scale.upper()).override(**dataclasses.asdict(choice))
        for analysis, found in analyses.items()
    }
    return Job(name, module, recipes, tuple(formats))


def _table(points: Path, recipe: Recipe) -> pd.DataFrame:
    """The recipe's rows, checked to be of its data; a figure never mixes settings unawares."""
    models = [references.named(reference)[0] for reference in recipe.models]
    frame = table.open(points, models, [attack.name for attack in recipe.attacks], recipe.samples)
    wanted = ":".join(references.data_name(recipe.data))
    for record in frame.attrs["provenance"]:
        seed = record["decisive"]["shuffle_seed"]
        if (record["data"], seed) != (wanted, recipe.shuffle_seed):
            raise UserError(
                f"the table of '{record['model']}' in {points} is of {record['data']} (shuffle seed {seed}), not of "
                f"{wanted} (shuffle seed {recipe.shuffle_seed}); measure it: leave out --no-measure"
            )
    return frame


def _save(figure: Figure, path: Path, metadata: dict[str, Any]) -> Path:
    """Write a picture under a hidden name, then rename it: what exists is whole."""
    with whole(path, "--out") as hidden:
        figure.savefig(hidden, format=path.suffix[1:], metadata=metadata)
    return path
