"""Training runs for tests: small ones, and in processes of their own that can be killed."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from dying import Death, arm
from safetensors.torch import load_file

from energylens.train import course
from energylens.train.prepare import Energies, Place, Ready, prepared
from energylens.train.processes import Alone
from energylens.train.runs import Run
from energylens.train.settings import recipe

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["energylens.measure", "energylens.train.course", "sklearn.datasets"])
NONE = Energies(every=0)
RUN = Run(
    "trades",
    "digits:train",
    "small-resnet:width=4",
    recipe("demo", "trades", "digits", epochs=4, attack_steps=1, batch=32, select="best-val", val_images=30, ema=0.9),
    samples=80,
)
"""a run of well under a second, of all that is kept on disk"""


def changed(run: Run = RUN, **settings: Any) -> Run:
    """The run with other settings."""
    return replace(run, settings=replace(run.settings, **settings))


def ready(folder: Path, run: Run = RUN, energies: Energies = NONE) -> Ready:
    """A run checked, to be trained in this folder of runs."""
    return prepared(run, Place(folder), energies)


def train(folder: Path, run: Run = RUN, energies: Energies = NONE) -> Ready:
    """A run trained to its end in this process."""
    made = ready(folder, run, energies)
    course.train(made, Alone())
    return made


def weights(made: Ready, name: str = "last") -> dict[str, torch.Tensor]:
    """Of one of its checkpoints."""
    return load_file(made.folder.path / f"{name}.safetensors")


def child(folder: Path, run: Run, energies: Energies, death: Death | None = None):
    """The same in a process of its own, which tells of each epoch."""
    pipe, theirs = FORKS.Pipe()
    process = FORKS.Process(target=_train, args=(theirs, folder, run, energies, death), daemon=True)
    process.start()
    theirs.close()
    return process, pipe


def _train(pipe, folder: Path, run: Run, energies: Energies, death: Death | None) -> None:
    torch.set_num_threads(1)
    made = ready(folder, run, energies)
    if death:
        arm(death)
    course.train(made, Alone(), lambda row, epochs: pipe.send(row["epoch"]))
    pipe.send("end")
