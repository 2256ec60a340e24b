"""A training run as a user types it: the command with all that differs from its preset. Imports no torch."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from energylens.errors import option
from energylens.train.runs import Run
from energylens.train.settings import PRESETS, preset_of, recipe


def command(run: Run, runs: Path = Path("runs"), every: int | None = None, energies_samples: int | None = None) -> str:
    """The line that trains a run.

    Args:
        run: the training.
        runs: the folder of the runs.
        every: epochs between two measurements of energies; None for the usual.
        energies_samples: images of each split that are measured; None for all.
    """
    data, _, split = run.data.rpartition(":")
    words = ["python -m energylens.train", run.objective, "--data", data if split == "train" else run.data]
    words += ["--arch", run.arch, "--seed", str(run.settings.seed)]
    told: dict[str, Any] = {"name": run.title, "samples": run.samples, "shuffle_seed": run.shuffle_seed}
    told |= {"synthetic": run.synthetic, "subset": run.subset, "subset_mode": run.subset_mode}
    told |= {"subset_model": run.subset_model, **_changed(run)}
    told |= {"energies_every": every, "energies_samples": energies_samples}
    told |= {"runs": None if runs == Path("runs") else runs}
    words += [_typed(name, value) for name, value in told.items() if value is not None]
    return " ".join(words)


def _changed(run: Run) -> dict[str, Any]:
    """The preset that fits best, where it is not the usual one, and the settings that differ from it."""
    usual, asked = preset_of(run.data), dataclasses.asdict(run.settings)
    differs = {}
    for preset in PRESETS:
        known = dataclasses.asdict(recipe(preset, run.objective, run.data, seed=run.settings.seed))
        differs[preset] = {name: value for name, value in asked.items() if value != known[name]}
    fitting = min(PRESETS, key=lambda preset: (len(differs[preset]), preset != usual))
    return ({} if fitting == usual else {"preset": fitting}) | differs[fitting]


def _typed(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return option(name if value else f"no_{name}")
    return f"{option(name)} {shlex.quote(str(value))}"
