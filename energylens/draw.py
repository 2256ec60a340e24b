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

from energylens import __version__, paths, provenance, references, table
from energylens.atomic import whole
from energylens.errors import UserError, unknown
from energylens.options import Choice, Place
from energylens.plots import style
from energylens.recipe import Recipe, shipped

FORMATS = ("png", "pdf", "svg")


@dataclass(frozen=True)
class Job:
    """One figure to draw, with the recipes of the tables that it needs."""

    name: str
    module: ModuleType
    recipes: dict[str, Recipe]
    formats: tuple[str, ...]

    def measure(self, place: Place) -> None:
        """Measure what its tables lack."""
        from energylens import measure, progress

        for analysis, recipe in self.recipes.items():
            measure.run(recipe, analysis, place, show=progress.shown)

    def foresee(self, place: Place) -> None:
        """Say what that would be, and how long it would take."""
        from energylens import estimate

        for analysis, recipe in self.recipes.items():
            estimate.show(recipe, analysis, place)

    def draw(self, tables: Path, out: Path, measured: bool = False) -> Iterator[str]:
        """Draw and save; yields lines to print: the files, then a verdict for each claim.

        Args:
            tables: folder of the tables.
            out: folder of the pictures.
            measured: whether `measure` has just run, so that the tables are the recipe's.

        Raises:
            UserError: a table is missing or of another setting, or OUT cannot be written.
        """
        frames = {
            name: _table(tables / name / recipe.folder, recipe, measured) for name, recipe in self.recipes.items()
        }
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
    for suffix in formats:
        if suffix not in FORMATS:
            raise unknown("format", suffix, FORMATS)
    if getattr(module, "ONE_NETWORK", False) and len(choice.models or ()) > 1:
        raise UserError(f"{name} shows one network; give one --models")
    recipes = {need: shipped(need, scale).override(**dataclasses.asdict(choice)) for need in module.NEEDS}
    return Job(name, module, recipes, tuple(formats))


def _table(points: Path, recipe: Recipe, measured: bool) -> pd.DataFrame:
    """The recipe's rows; where they were not just measured, checked to be of its models, images and attacks."""
    bare = dict(references.named(reference) for reference in recipe.models)
    frame = table.open(points, bare, [attack.name for attack in recipe.attacks], recipe.samples)
    if measured:
        return frame
    settings = [None, *(provenance.settings(attack) for attack in recipe.attacks)]
    images = ":".join(references.data_name(recipe.data))
    for record in frame.attrs["provenance"]:
        decisive = record["decisive"]
        there: dict[str, Any] = {
            "model": record["model_ref"],
            "images": record["data"],
            "shuffle seed": decisive["shuffle_seed"],
            "record": decisive.get("record", "points"),
            "precision": decisive["precision"],
        }
        asked: dict[str, Any] = {
            "model": references.public(bare[record["model"]]),
            "images": images,
            "shuffle seed": recipe.shuffle_seed,
            "record": recipe.record,
            "precision": recipe.precision if decisive["attack"] else "fp32",
        }
        differs = [f"{what} {there[what]}, not {asked[what]}" for what in asked if there[what] != asked[what]]
        if decisive["attack"] not in settings:
            differs.append("another version of the attack")
        if differs:
            name, problem = record["model"], "; ".join(differs)
            raise UserError(f"the table of '{name}' in {points} is of {problem}; measure it: leave out --no-measure")
    return frame


def _save(figure: Figure, path: Path, metadata: dict[str, Any]) -> Path:
    """Write a picture under a hidden name, then rename it: what exists is whole."""
    with whole(path, "--out") as hidden:
        figure.savefig(hidden, format=path.suffix[1:], metadata=metadata)
    return path
