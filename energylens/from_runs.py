"""Tables that are read from training runs: which are missing, and how they are had."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from energylens.errors import UserError, first_line, many
from energylens.need import Need, Where
from energylens.train.runs import ABOUT, Run
from energylens.trainings import Trainings


@dataclass(frozen=True)
class OfTrainings(Need):
    """A table that is read from training runs."""

    trainings: tuple[Trainings, ...]
    apart: bool = field(default=False, kw_only=True)
    """whether runs with a subset of their images treated apart belong to it; else they would pass for ordinary ones"""

    def chosen(self, **given: Any) -> tuple[Trainings, ...]:
        """The trainings with a user's choices, as `Trainings.override`."""
        made = tuple(one.override(**given) for one in self.trainings)
        return made[:1] if made[0].given else made

    def folders(self, where: Where) -> list[Path]:
        """Those of finished runs, in order.

        Raises:
            UserError: one is another run's, or one that is named was trained with a subset of its images apart.
        """
        found = list(dict.fromkeys(folder for one in self.trainings for folder in one.folders(where.runs)))
        for folder, about in ({} if self.apart else described(found)).items():
            if subset := about.get("subset"):
                raise UserError(
                    f"{folder} was trained with --subset {subset} and is no ordinary run; leave it out, or draw fig5a "
                    "or transfer"
                )
        return found

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
        if missing := self.missing(where):
            print(*todo(self.trainings, where), sep="\n", flush=True)
            what = "a training run that is" if len(missing) == 1 else f"{len(missing)} training runs that are"
            raise UserError(f"this needs {what} not in {where.runs}; train as said above, or name others with --models")


def trainings(needs: Iterable[Need]) -> list[Trainings]:
    """All that some tables are read from."""
    return [one for need in needs if isinstance(need, OfTrainings) for one in need.trainings]


def todo(asked: Iterable[Trainings], where: Where) -> Iterator[str]:
    """The commands that train what is missing, each once, with the time that it takes on this device."""
    missing = {run.name: (one, run) for one in asked for run in one.missing(where.runs)}
    if not missing:
        return
    from energylens.rates import spoken
    from energylens.train import timing

    clock, total = timing.clock(where.place.device), 0.0
    for one, run in missing.values():
        seconds = clock.seconds(run, one.measured_every(run), one.energies_samples)
        total += math.nan if seconds is None else seconds
        yield f"{one.command(run, where.runs)}  # {spoken(seconds)}"
    yield f"{many(len(missing), 'run')} missing, about {spoken(None if math.isnan(total) else total)} {clock.how}"


def described(folders: Iterable[Path]) -> dict[Path, dict[str, Any]]:
    """What runs say of themselves; a folder of a loop of one's own, written by energylens.watch, says nothing.

    Raises:
        UserError: a description cannot be read.
    """
    found = {}
    for folder in folders:
        file = folder / ABOUT
        try:
            found[folder] = json.loads(file.read_text()) if file.exists() else {}
        except (OSError, ValueError) as error:
            raise UserError(f"{file} cannot be read ({first_line(error)}); give another run") from error
    return found
