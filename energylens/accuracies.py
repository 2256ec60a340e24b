"""Clean and robust accuracies of trainings, from the table that `energylens.evaluate` writes."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from energylens import evaluations, references
from energylens.errors import UserError, many, some
from energylens.from_runs import OfTrainings, described, todo
from energylens.need import Where
from energylens.options import Sample
from energylens.run_tables import counted

MEASURES = {"natural": "clean", "pgd": "pgd", "autoattack": "autoattack"}
"""an attack's kind -> what its accuracy is called"""
Known = dict[Path, tuple[str, str]]
"""folder of a run -> its network's name, and the hash of its weights"""


@dataclass(frozen=True)
class Accuracies(OfTrainings):
    """One row a run and measure: columns of `evaluations.SCHEMA`, and `measure`, one of MEASURES."""

    attacks: tuple[tuple[str, int | None], ...] = (("pgd", None), ("autoattack", None))
    """each with the number of test images, None for all"""

    def override(self, samples: int | None = None, data: str | None = None, **given: Any) -> Accuracies:
        """With other runs or one seed, one of the data sets, or fewer images."""
        chosen = tuple(one for one in self.trainings if data in (None, one.data))
        if not chosen:
            raise UserError(f"--data {data}: this table has {some({one.data for one in self.trainings})}")
        made = replace(self, trainings=chosen)
        attacks = self.attacks if samples is None else tuple((attack, counted(samples)) for attack, _ in self.attacks)
        return replace(made, trainings=made.chosen(**given), attacks=attacks)

    def measure(self, analysis: str, where: Where) -> None:
        """Train what is missing at demo scale; evaluate what is there and has no row yet."""
        if all(one.here for one in self.trainings) or not self.folders(where):
            self.bring(where)
        known = _weights(self.folders(where))
        for attack, samples in self.attacks:
            self._evaluate(self._lacking(known, attack, where), attack, samples, where)

    def foresee(self, analysis: str, where: Where) -> None:
        """What would be evaluated."""
        known = _weights(self.folders(where))
        for attack, _ in self.attacks:
            lacking = self._lacking(known, attack, where)
            print(f"{attack}: {many(len(lacking), 'run')} of {len(known)} would be evaluated")

    def frame(self, analysis: str, where: Where, measured: bool) -> pd.DataFrame:
        """The rows of the runs that are there: of their present weights, at the radius of their training.

        Raises:
            UserError: there are none, or, not measured, rows of several networks of one name.
        """
        path, folders = where.out / evaluations.FILE, self.folders(where)
        rows = self._rows(folders, where)
        if measured:
            present = set(_weights(folders).values())
            rows = [one for one in rows if (one["model"], one["model_sha"]) in present]
        if not rows:
            given = " ".join(map(str, folders)) or "runs/NAME"
            raise UserError(f"{path} has no row of these runs; say: python -m energylens.evaluate {given}")
        frame = pd.DataFrame(rows)
        networks = frame.groupby("model", sort=False)["model_sha"].nunique()
        for name in networks[networks > 1].index:
            raise UserError(f"{path} has rows of {networks[name]} networks called {name}; leave out --no-measure")
        return frame.reset_index(drop=True)

    def _rows(self, folders: list[Path], where: Where) -> list[dict[str, Any]]:
        """Those of all networks of these names, under the table's attacks on the images that it asks for."""
        radius = {
            folder.name.replace("=", ""): about.get("settings", {}).get("eps")
            for folder, about in described(folders).items()
        }
        wanted = {attack: samples or sys.maxsize for attack, samples in self.attacks}
        wanted["clean"] = max(wanted.values())
        found = []
        for one in evaluations.read(where.out / evaluations.FILE):
            measure = _measure(one["attack"])
            if measure not in wanted or one["model"] not in radius or one["shuffle_seed"] is not None:
                continue
            same = one["eps"] is None or radius[one["model"]] in (None, one["eps"])
            if same and one["n"] == min(wanted[measure], one["images"]):
                found.append(one | {"measure": measure})
        return found

    def about(self, frame: pd.DataFrame) -> dict[str, Any]:
        """The keys of the rows, and which networks they are of."""
        shas = dict(zip(frame["model"], frame["model_sha"], strict=True))
        return {"keys": sorted(set(frame["key"])), "recipe": {"models": shas, "attacks": sorted(set(frame["attack"]))}}

    def remarks(self, where: Where, measured: bool) -> list[str]:
        """The commands that train what is missing."""
        return (
            list(todo(self.trainings, where))
            if measured
            else [f"missing: {command}" for _, command in self.missing(where)]
        )

    def _lacking(self, known: Known, attack: str, where: Where) -> list[Path]:
        """The runs whose present weights have no row of this attack."""
        rows = self._rows(list(known), where)
        having = {(one["model"], one["model_sha"]) for one in rows if one["measure"] == attack}
        return [folder for folder, identity in known.items() if identity not in having]

    def _evaluate(self, lacking: list[Path], attack: str, samples: int | None, where: Where) -> None:
        from energylens import measure, progress, trials

        if not lacking:
            return
        networks = trials.networks(list(map(str, lacking)))
        for recipe in trials.recipes(networks, Sample(samples=samples), trials.Wanted((attack,))):
            measure.run(recipe, trials.TABLE, where.place, show=progress.shown)
            points = where.place.tables / trials.TABLE / recipe.folder
            evaluations.add(where.out / evaluations.FILE, trials.rows(recipe, points, networks, partly=False))


def _weights(folders: list[Path]) -> Known:
    """Name and hash of each run's network."""
    from energylens import models, trained
    from energylens.models import identity

    found = {folder: trained.network(str(folder)) for folder in folders}
    return {
        folder: (one.name, identity.sha(models.load(references.named(one.reference)[1])))
        for folder, one in found.items()
    }


def _measure(attack: str) -> str | None:
    """What an attack's accuracy is called; None for one that the tables do not show, such as PGD of 50 steps."""
    match = re.fullmatch(rf"({'|'.join(MEASURES)})(-eps[^-]+)?", attack)
    return MEASURES[match[1]] if match else None
