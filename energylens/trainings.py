"""Networks that figures and tables are drawn from: which trainings, where they lie, what trains those that are missing.

At demo scale a figure trains them itself; at the paper's scale it names the commands, for they take days.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from energylens import references
from energylens.errors import UserError, many, option
from energylens.need import Need, Where
from energylens.train.runs import Folder, Run
from energylens.train.settings import ARCHITECTURES, difference, preset_of, recipe

Subset = tuple[str, str]
"""which images, such as `high`, and `unperturbed` or `removed`"""


@dataclass(frozen=True)
class Trainings:
    """Each objective with each seed and each subset of images treated apart."""

    objectives: tuple[str, ...]
    data: str
    seeds: tuple[int, ...] = (1,)
    subsets: tuple[Subset | None, ...] = (None,)
    """None for an ordinary run; others take the ordinary `sat` run of the same seed for their first network"""
    changes: dict[str, Any] = field(default_factory=dict)
    """settings that differ from the preset's"""
    title: str | None = None
    """folders are called TITLE-OBJECTIVE-SEED; None for the usual names"""
    every: int | None = None
    """epochs between two measurements of the first seed's energies; others are not measured while training"""
    energies_samples: int | None = None
    here: bool = False
    """whether a figure trains what is missing"""
    given: tuple[Path, ...] = ()
    """folders that a user names instead of all this"""

    def override(
        self, models: list[str] | None = None, data: str | None = None, seed: int | None = None, **unused: Any
    ) -> Trainings:
        """With a user's choices; None keeps what it says.

        Args:
            models: folders of runs to be read instead.
            data: what they are trained on.
            seed: of the trainings, instead of all seeds.
            unused: choices that trainings have no use for.

        Raises:
            UserError: no such folder, or a choice that is of no use here.
        """
        for name, value in unused.items():
            if value is not None:
                raise UserError(
                    f"{option(name)} {value} is a setting of attacks; this figure reads training runs: leave it out"
                )
        if models:
            return replace(self, given=tuple(map(_folder, models)))
        if data is not None and self.here and data != self.data:
            raise UserError(f"--data {data} wants --scale paper, or runs that are there: --models runs/NAME")
        seeds = self.seeds if seed is None else (seed,)
        return replace(self, data=data or self.data, seeds=seeds)

    def runs(self, runs: Path) -> list[Run]:
        """All of them; ordinary ones first, since others ask them which images are meant.

        Args:
            runs: the folder in which they lie.
        """
        asked = [(objective, seed) for objective in self.objectives for seed in self.seeds]
        return [self._run(*one, subset, runs) for subset in sorted(self.subsets, key=bool) for one in asked]

    def _run(self, objective: str, seed: int, subset: Subset | None, runs: Path) -> Run:
        preset = preset_of(self.data)
        settings = recipe(preset, objective, self.data, seed=seed, **self.changes)
        words = [self.title, objective, *(subset or ())] if self.title else []
        title = re.sub("[:,]", "-", "-".join(words)) or None
        made = Run(objective, f"{self.data}:train", ARCHITECTURES[preset], settings, title=title)
        if subset is None:
            return made
        first = None if subset[0].startswith("classes:") else str(runs / self._run("sat", seed, None, runs).name)
        return replace(made, subset=subset[0], subset_mode=subset[1], subset_model=first)

    def folders(self, runs: Path) -> list[Path]:
        """Those of finished runs, in order.

        Raises:
            UserError: one is another run's.
        """
        if self.given:
            return list(self.given)
        return [runs / run.name for run in self.runs(runs) if there(runs / run.name, run)]

    def missing(self, runs: Path) -> list[Run]:
        """Those that are not there, or have not come to their end.

        Raises:
            UserError: a folder is another run's.
        """
        return [] if self.given else [run for run in self.runs(runs) if not there(runs / run.name, run)]

    def train(self, run: Run, where: Where) -> None:
        """Train one of them, here or on a cluster."""
        from energylens.options import Files
        from energylens.train import engines, prepare
        from energylens.train.order import Order

        place = where.place
        engine = engines.engine(place.engine, place.address, None, place.device)
        device = "cpu" if place.engine == "ray" else Files(device=place.device).where
        energies = prepare.Energies(self.measured_every(run), self.energies_samples)
        engine(Order((run,), prepare.Place(where.runs, place.data_dir, device), energies))

    def measured_every(self, run: Run) -> int | None:
        """Epochs between two measurements of a run's energies."""
        return self.every if run.settings.seed == self.seeds[0] else 0

    def command(self, run: Run, runs: Path) -> str:
        """What trains a run."""
        words = ["python -m energylens.train", run.objective, "--data", self.data, "--arch", run.arch]
        words += ["--seed", str(run.settings.seed)]
        told: dict[str, Any] = {"name": run.title, "subset": run.subset, "subset_mode": run.subset_mode}
        told |= {"subset_model": run.subset_model if run.title else None, **self.changes}
        told |= {"energies_every": self.measured_every(run), "energies_samples": self.energies_samples}
        told |= {"runs": None if runs == Path("runs") else runs}
        if self.measured_every(run) == 0:
            del told["energies_samples"]
        words += [f"{option(name)} {shlex.quote(str(value))}" for name, value in told.items() if value is not None]
        return " ".join(words)


@dataclass(frozen=True)
class OfTrainings(Need):
    """A table that is read from training runs."""

    trainings: tuple[Trainings, ...]

    def chosen(self, **given: Any) -> tuple[Trainings, ...]:
        """The trainings with a user's choices, as `Trainings.override`."""
        made = tuple(one.override(**given) for one in self.trainings)
        return made[:1] if made[0].given else made

    def folders(self, where: Where) -> list[Path]:
        """Those of finished runs, in order."""
        return list(dict.fromkeys(folder for one in self.trainings for folder in one.folders(where.runs)))

    def missing(self, where: Where) -> list[tuple[Run, str]]:
        """The runs that are not there, each with the command that trains it."""
        return [(run, one.command(run, where.runs)) for one in self.trainings for run in one.missing(where.runs)]

    def bring(self, where: Where) -> None:
        """Have all runs: train what is missing, or say how.

        Raises:
            UserError: they are to be trained by the user; the commands have been printed.
        """
        for one in self.trainings:
            for run in one.missing(where.runs) if one.here else ():
                one.train(run, where)
        missing = self.missing(where)
        if missing:
            print(*self.todo(where), sep="\n", flush=True)
            what = "a training run that is" if len(missing) == 1 else f"{len(missing)} training runs that are"
            raise UserError(f"this needs {what} not in {where.runs}; train as said above, or name others with --models")

    def todo(self, where: Where) -> Iterator[str]:
        """The commands that train what is missing, each with the hours that it takes on this device."""
        from energylens.train import timing

        clock, hours = timing.Clock(where.place), []
        for one in self.trainings:
            for run in one.missing(where.runs):
                hours.append(clock.hours(run, one.measured_every(run), one.energies_samples))
                yield f"{one.command(run, where.runs)}  # {hours[-1]:.1f} h"
        if hours:
            yield f"{many(len(hours), 'run')} missing, about {sum(hours):.0f} hours {clock.how}"


def there(folder: Path, run: Run) -> bool:
    """Whether a run has come to its end. What was measured of it may be other than was asked for.

    Raises:
        UserError: the folder is of other settings, images or another objective.
    """
    about = Folder(folder).about()
    if about is None:
        return False
    asked: dict[str, Any] = {"objective": run.objective, "data": ":".join(references.data_name(run.data))}
    asked |= {"samples": None, "subset": run.subset, "subset_mode": run.subset_mode}
    differs = [
        f"{name} {about.get(name)} there, {value} here" for name, value in asked.items() if about.get(name) != value
    ]
    if about["arch"].split(":")[0] != run.arch.split(":")[0]:
        differs.append(f"--arch {about['arch']} there, {run.arch} here")
    differs += difference(about["settings"], run.settings)
    if differs:
        raise UserError(
            f"{folder} belongs to another run ({'; '.join(differs)}); take another --runs, or name it with --models"
        )
    return Folder(folder).done


def _folder(text: str) -> Path:
    """A run's folder, as a user names it; a checkpoint in it will do.

    Raises:
        UserError: there is none.
    """
    path = Path(references.named(text)[1])
    folder = path.parent if path.suffix == ".safetensors" else path
    if not folder.is_dir():
        command = references.run_command(f"{folder}/last.safetensors")
        raise UserError(f"no such run: {folder}" + (f"; train it: {command}" if command else ""))
    return folder


def demo(*objectives: str, **more: Any) -> Trainings:
    """Networks of some ten seconds each, on the digits; runs are shared by all figures and tables.

    Args:
        objectives: rows of OBJECTIVES.
        more: fields of Trainings; `every` and `energies_samples` must be the same wherever a run is asked for.
    """
    watched = {"every": 1, "energies_samples": 200}
    return Trainings(objectives, "digits", changes={"epochs": 16}, title="demo", here=True, **watched | more)


def paper(*objectives: str, data: str = "cifar10", **more: Any) -> Trainings:
    """The paper's recipe: ResNet-18, 100 epochs. Energies of 10,000 images of each split, every other epoch."""
    watched = {"every": 2, "energies_samples": 10_000}
    return Trainings(objectives, data, **watched | more)
