"""From a figure's name to files: its tables, its claims, its picture. Imports no torch."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.animation import Animation, PillowWriter
from matplotlib.figure import Figure

from energylens import __version__, paths, tabulated
from energylens.atomic import whole
from energylens.errors import UserError, unknown
from energylens.from_runs import todo, trainings
from energylens.need import Need, Where
from energylens.options import Choice
from energylens.plots import style
from energylens.recipe import shipped
from energylens.tabulated import Tabulated

FORMATS = ("png", "pdf", "svg")
USUAL = ("png", "pdf")
FRAMES_A_SECOND, FILM_DPI = 4, 150


@dataclass(frozen=True)
class Job:
    """One figure to draw, with the tables that it needs."""

    name: str
    module: ModuleType
    needs: dict[str, Need]
    formats: tuple[str, ...]

    def measure(self, where: Where) -> None:
        """Measure what its tables lack."""
        for analysis, need in self.needs.items():
            need.measure(analysis, where)

    def foresee(self, where: Where) -> None:
        """Say what that would be, and how long it would take."""
        for line in todo(trainings(self.needs.values()), where):
            print(line, flush=True)
        for analysis, need in self.needs.items():
            need.foresee(analysis, where)

    def draw(self, where: Where, measured: bool = False) -> Iterator[str]:
        """Draw and save; yields lines to print: the files, a verdict for each claim, what is still missing.

        Args:
            where: the folders.
            measured: whether `measure` has just run, so that the tables are those that were asked for.

        Raises:
            UserError: a table is missing or of another setting, or OUT cannot be written.
        """
        frames = {name: need.frame(name, where, measured) for name, need in self.needs.items()}
        verdicts = [claim(**frames) for claim in self.module.CLAIMS]
        about = self._about(frames)
        with mpl.rc_context(rc=style.rc(self.module.WIDTH)):
            drawn = self.module.draw(**frames)
            if isinstance(drawn, Tabulated):
                yield tabulated.text(drawn)
            for suffix in self.formats:
                path = where.out / f"{self.name}.{suffix}"
                yield f"drawn: {_save(drawn, path, self._metadata(about, suffix))}"
        if not isinstance(drawn, Figure):  # such files hold no metadata
            yield f"drawn: {_note(about, where.out / f'{self.name}.provenance.json')}"
        yield from (f"claim: {verdict}" for verdict in verdicts)
        for need in self.needs.values():
            yield from need.remarks(where, measured)

    def _about(self, frames: dict[str, pd.DataFrame]) -> dict[str, Any]:
        """Which table, which recipe."""
        about = {analysis: need.about(frames[analysis]) for analysis, need in self.needs.items()}
        parts = {"tables": "keys", "recipes": "recipe"}
        return {part: {analysis: one[key] for analysis, one in about.items()} for part, key in parts.items()}

    def _metadata(self, about: dict[str, Any], suffix: str) -> dict[str, Any]:
        """Metadata of a picture."""
        text = json.dumps(about, sort_keys=True)
        title, creator = f"energylens {self.name}", f"energylens {__version__}"
        if suffix == "pdf":
            return {"Title": title, "Subject": text, "Creator": creator}
        return {"Title": title, "Description": text, "Creator" if suffix == "svg" else "Software": creator}


def job(name: str, scale: str, choice: Choice, formats: list[str] | None) -> Job:
    """What is to be drawn, with every name checked.

    Args:
        name: of the figure or table.
        scale: of its recipes.
        choice: a user's changes.
        formats: of the files; None for all that a table or an animation has, png and pdf of a figure.

    Raises:
        UserError: unknown figure, scale or format, or a setting that an attack refuses.
    """
    module = paths.load("figures", name)
    known = getattr(module, "FORMATS", FORMATS)
    for suffix in formats or ():
        if suffix not in known:
            raise unknown(f"format of {name}", suffix, known)
    if getattr(module, "ONE_NETWORK", False) and len(choice.models or ()) > 1:
        raise UserError(f"{name} shows one network; give one --models")
    found = {need: shipped(need, scale) for need in module.NEEDS}
    needs = {need: _chosen(need, found, module, choice, name) for need in found}
    usual: tuple[str, ...] = getattr(module, "FORMATS", USUAL)
    return Job(paths.spelt("figures", name), module, needs, tuple(formats or usual))


def _chosen(name: str, found: dict[str, Need], module: ModuleType, choice: Choice, figure: str) -> Need:
    """A table of a figure with the user's choices, but for those that are for its other tables alone."""
    given = {option: value for option, value in dataclasses.asdict(choice).items() if value is not None}
    spared = getattr(module, "SPARED", {}).get(name, ())
    for option in list(given):
        if all(option in need.UNUSED for need in found.values()):
            if option == "features":
                raise UserError(f"--features is for tables of scores, and {figure} has none; leave it out")
        elif option in found[name].UNUSED:
            del given[option]
    return found[name].override(**{option: value for option, value in given.items() if option not in spared})


def _note(about: dict[str, Any], path: Path) -> Path:
    with whole(path, "--out") as hidden:
        hidden.write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
    return path


def _save(drawn: Any, path: Path, metadata: dict[str, Any]) -> Path:
    """Write a picture, an animation or a table under a hidden name, then rename it: what exists is whole."""
    if isinstance(drawn, Tabulated):
        return tabulated.save(drawn, path)
    with whole(path, "--out") as hidden:
        if isinstance(drawn, Animation):
            named = hidden.with_name(f"{hidden.name}{path.suffix}")  # Pillow tells the format by the name
            drawn.save(named, writer=PillowWriter(fps=FRAMES_A_SECOND), dpi=FILM_DPI)
            named.replace(hidden)
        else:
            drawn.savefig(hidden, format=path.suffix[1:], metadata=metadata)
    return path
