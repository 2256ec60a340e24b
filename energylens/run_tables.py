"""Energies of trainings as figures read them: rows of images, or means of epochs, of several runs in one table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from energylens import epoch_files, epochs, references
from energylens.errors import UserError, many
from energylens.from_runs import OfTrainings, described
from energylens.need import Where
from energylens.roles import role
from energylens.table import MEASURED
from energylens.train.runs import ABOUT, LAST

COLUMNS = ["model_sha", "data", "split", "eps", "epoch", "sample", "label", *MEASURED, "kl_conditional", "kl_marginal"]
ABOUT_RUNS = ("objective", "train_seed", "subset", "subset_mode", "subset_size")
"""columns that a run's description fills, None where it does not tell"""


@dataclass(frozen=True)
class Course(OfTrainings):
    """What trainings leave of energies, epoch by epoch."""

    def measure(self, analysis: str, where: Where) -> None:
        """Train what is missing, or say how."""
        self.bring(where)

    def foresee(self, analysis: str, where: Where) -> None:
        """What is there."""
        print(f"{analysis}: {many(len(self.folders(where)), 'run')} there, in {where.runs}")

    def frame(self, analysis: str, where: Where, measured: bool) -> pd.DataFrame:
        """The table, of all its runs."""
        if missing := self.missing(where):
            run, command = missing[0]
            others = f" and {many(len(missing) - 1, 'other')}" if len(missing) > 1 else ""
            raise UserError(f"no finished run {where.runs / run.name}{others}; train it: {command}")
        self._check_measured(where)
        return self._read(list({folder.resolve(): folder for folder in self.folders(where)}.values()))

    def _check_measured(self, where: Where) -> None:
        for one in self.trainings:
            for run in one.runs(where.runs) if not one.given else ():
                folder = where.runs / run.name
                if not (folder / epoch_files.FOLDER).is_dir():
                    raise UserError(
                        f"the energies of {folder} were not measured while it was trained; delete it and train it "
                        f"anew: {one.command(run, where.runs)}"
                    )

    def remarks(self, where: Where, measured: bool) -> list[str]:
        """Runs that are drawn though their training has not ended."""
        given = [folder for one in self.trainings for folder in one.given]
        return [
            f"note: the training of {folder} has not ended"
            for folder in given
            if (folder / ABOUT).exists() and not (folder / LAST).exists()
        ]

    def about(self, frame: pd.DataFrame) -> dict[str, Any]:
        """The runs' descriptions."""
        return {"keys": sorted(frame.attrs["runs"]), "recipe": frame.attrs["runs"]}

    def _read(self, folders: list[Path]) -> pd.DataFrame:
        raise NotImplementedError


@dataclass(frozen=True)
class Means(Course):
    """One row a run, split, attack and epoch: columns of `epochs.means` and ABOUT_RUNS, `data`, `eps`, `role`."""

    def override(self, samples: int | None = None, **given: Any) -> Means:
        """With other runs, data or seed."""
        if samples is not None:
            raise UserError(f"--samples {samples}: here are means over all images that were measured; leave it out")
        return replace(self, trainings=self.chosen(**given))

    def _read(self, folders: list[Path]) -> pd.DataFrame:
        found = described(folders)
        frames = []
        for folder, about in found.items():
            made = epochs.means(folder)
            told = {"eps": about.get("settings", {}).get("eps"), "data": str(about.get("data", "")).split(":")[0]}
            frames.append(_told(made.assign(**told), about))
        return _joined(frames, found)


@dataclass(frozen=True)
class Rows(Course):
    """One row a run, split, attack, epoch and image: COLUMNS, `model`, `attack`, those of ABOUT_RUNS, and `role`."""

    splits: tuple[str, ...] = ("train",)
    last: bool = False
    """the last epoch alone"""
    samples: int | None = None
    """the first this many of the images that were measured"""

    def override(self, samples: int | None = None, **given: Any) -> Rows:
        """With other runs, data or seed, or fewer images."""
        return replace(
            self, trainings=self.chosen(**given), samples=self.samples if samples is None else counted(samples)
        )

    def _read(self, folders: list[Path]) -> pd.DataFrame:
        found = described(folders)
        return _joined([_told(self._of(folder), about) for folder, about in found.items()], found)

    def _of(self, folder: Path) -> pd.DataFrame:
        last = max(file.epoch for file in epoch_files.of_run(folder)) if self.last else None
        rows = epochs.open(folder, splits=self.splits, epochs=last, columns=COLUMNS)
        if self.samples is None:
            return rows
        place = rows.groupby(["attack", "split", "epoch"], observed=True).cumcount()
        return rows[place < self.samples]


def counted(samples: int) -> int:
    """A number of images that is asked for.

    Raises:
        UserError: it is none.
    """
    if samples < 1:
        raise UserError(f"--samples {samples}: ask for at least 1")
    return samples


def _told(frame: pd.DataFrame, about: dict[str, Any]) -> pd.DataFrame:
    """A run's table with what its description tells."""
    told = {name: about.get(name) for name in ABOUT_RUNS}
    told |= {"objective": about.get("objective") or str(frame["model"].iloc[0])}
    told |= {"train_seed": about.get("settings", {}).get("seed")}
    eps = frame["eps"].dropna()
    radius = float(eps.iloc[0]) if len(eps) else None
    roles = {attack: role(attack, radius) for attack in frame["attack"].unique()}
    return frame.assign(role=frame["attack"].map(roles).astype(object), **told)


def _joined(frames: list[pd.DataFrame], found: dict[Path, dict[str, Any]]) -> pd.DataFrame:
    names = [str(name) for frame in frames for name in frame["model"].unique()]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{names.count(name)} folders hold a run called '{name}'; give one of them")
    words = {name: object for name in ("model", "attack", "split", "data", "model_sha") if name in frames[0]}
    table = pd.concat([frame.astype(words).astype({name: object for name in ABOUT_RUNS}) for frame in frames])
    table = table.reset_index(drop=True).infer_objects()
    for name in ("model", "attack", "role", "objective", "split"):
        table[name] = pd.Categorical(table[name], list(dict.fromkeys(table[name])))
    table.attrs["runs"] = {folder.name: _public(about) for folder, about in found.items()}
    return table


def _public(about: dict[str, Any]) -> dict[str, Any]:
    """A description without folders."""
    paths = {name: references.public(about[name]) for name in ("synthetic", "test") if about.get(name)}
    return about | paths
