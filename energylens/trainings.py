"""Networks that figures and tables are drawn from: which trainings, where they lie, what trains those that are missing.

At demo scale a figure trains them itself; at the paper's scale it names the commands, for they take days.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from energylens import references
from energylens.errors import UserError, option
from energylens.need import Where
from energylens.train import typed
from energylens.train.runs import Folder, Run, differing
from energylens.train.settings import ARCHITECTURES, preset_of, recipe

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
    """folders are called TITLE-OBJECTIVE-SEED, at the paper's scale TITLE-OBJECTIVE-DATA-SEED; None for the usual"""
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
            for name, value in (("seed", seed), ("data", data)):
                if value is not None:
                    raise UserError(f"--{name} {value}: the runs that --models names have their own; leave it out")
            return replace(self, given=tuple(map(_folder, models)))
        data = self.data if data is None else _source(data)
        if self.here and data != self.data:
            raise UserError(f"--data {data} wants --scale paper, or runs that are there: --models runs/NAME")
        return replace(self, data=data, seeds=self.seeds if seed is None else (seed,))

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
        where = [] if self.here else [references.data_name(self.data)[0]]
        words = [self.title, objective, *(subset or ()), *where] if self.title else []
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
        every = self.measured_every(run)
        return typed.command(run, runs, every, None if every == 0 else self.energies_samples)


def there(folder: Path, run: Run) -> bool:
    """Whether a run has come to its end. What was measured of it may be other than was asked for.

    Raises:
        UserError: the folder is of other settings, images or another objective.
    """
    about = Folder(folder).about()
    if about is None:
        return False
    facts = run.facts("", _without_data(run.arch))
    facts |= {"subset_model": references.public(run.subset_model) if run.subset_model else None}
    del facts["data_sha"]
    if differs := differing(about | {"arch": _without_data(about["arch"])}, facts, run.settings):
        remedy = "take another --runs, or name it with --models"
        raise UserError(f"{folder} belongs to another run ({'; '.join(differs)}); {remedy}")
    return Folder(folder).done


def _without_data(arch: str) -> str:
    """An architecture without what a run adds to it from its images."""
    return ":".join(part for part in arch.split(":") if not part.startswith(("channels=", "classes=")))


def _folder(text: str) -> Path:
    """A run's folder, as a user names it; a checkpoint in it will do.

    Raises:
        UserError: there is none.
    """
    name, bare = references.named(text)
    if bare != text:
        raise UserError(f"--models {text}: runs go by the names of their folders; leave {name}= out")
    path = Path(text)
    folder = path.parent if path.suffix == ".safetensors" else path
    if not folder.is_dir():
        command = references.run_command(f"{folder}/last.safetensors")
        raise UserError(f"no such run: {folder}" + (f"; train it: {command}" if command else ""))
    return folder


def _source(data: str) -> str:
    """A data reference without its split, which is `train`.

    Raises:
        UserError: another split is named.
    """
    source, split = references.split(data)
    if source != data and split != "train":
        raise UserError(f"--data {data}: runs are trained on training images; say --data {source}")
    return source


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
