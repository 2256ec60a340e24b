"""Training images that are not attacked, or not trained on: those that a first network finds hard, or some classes.

Misclassified are all images that the first network gets wrong; of high and low energy are as many of those that it
gets right. The network sees them natural, un-augmented and in eval mode.

Source: Mirza et al. 2024 (arXiv:2407.06315), Fig. 5a, after Wang et al. 2020 (MART, ICLR); classes: Losch et al. 2024,
who attack a part of the classes alone. The size of the paper's subsets is not known: that all three are as large is
MART's way.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from energylens.atomic import whole
from energylens.data import Data
from energylens.errors import UserError, first_line, many, unknown
from energylens.models import check, identity
from energylens.train import first
from energylens.train.pick import CLASSES, HIGH, LOW, MISCLASSIFIED, classes, measured, of_classes, pick
from energylens.train.runs import SUBSET, Folder, Run

UNPERTURBED, REMOVED = "unperturbed", "removed"
MODES = (UNPERTURBED, REMOVED)
"""trained on as natural images, as the caption of Fig. 5a says; not trained on, as its text may be read"""

Apart = tuple[str | None, str | None, str | None]
"""which images, the mode and the first network, as a user names them, or a run holds them"""


@dataclass(frozen=True)
class Subset:
    """Images of a training set that are treated apart."""

    which: str
    """misclassified, high, low, or classes:0,1,2"""
    mode: str
    images: Data = field(repr=False)
    """all training images"""
    rows: pd.DataFrame = field(repr=False)
    """one an image of the subset: `sample`, `label`; of a network also `pred` and `energy`"""
    model: str | None = None
    """name of the first network; None for classes"""
    model_sha: str | None = None
    model_file: str | None = None
    """best.safetensors, where that is taken of a run's folder"""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def trained_on(self) -> Data:
        """All training images, without these where they are removed."""
        if self.mode == UNPERTURBED:
            return self.images
        return replace(self.images, index=self.images.index[~np.isin(self.images.index, self.rows["sample"])])

    @property
    def natural(self) -> Tensor | None:
        """[N] bool, N the images of the split: those that are left unperturbed; None where they are removed."""
        if self.mode == REMOVED:
            return None
        natural = torch.zeros(len(self.images.labels), dtype=torch.bool)
        natural[torch.tensor(self.rows["sample"].to_list())] = True
        return natural

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's description tells beside what was asked for."""
        return {
            "subset_model_sha": self.model_sha,
            "subset_model_file": self.model_file,
            "subset_size": len(self),
        }

    def __str__(self) -> str:
        count = f"{len(self):,} of {many(len(self.images), 'image')}"
        model = f"{self.model}/{self.model_file}" if self.model_file else self.model
        if self.which.startswith(CLASSES):
            what = f"of classes {self.which.removeprefix(CLASSES).replace(',', ', ')}"
        elif self.which == MISCLASSIFIED:
            what = f"misclassified by {model}"
        else:
            what = f"with the {self.which}est E(x) of those that {model} gets right"
        return f"{count} {what}, {'left unperturbed' if self.mode == UNPERTURBED else 'removed'}"


def checked(which: str | None, mode: str | None, model: str | None) -> Apart:
    """The three as a run holds them: unperturbed where no mode is named, classes once and in order.

    Raises:
        UserError: unknown words, or a mode or network where there is no use for it.
    """
    if which is None:
        for name, value in (("--subset-mode", mode), ("--subset-model", model)):
            if value is not None:
                raise UserError(f"{name} {value} goes with --subset; say which images, or leave it out")
        return None, None, None
    if mode not in (None, *MODES):
        raise unknown("subset mode", str(mode), MODES)
    if which.startswith(CLASSES):
        if model is not None:
            raise UserError(f"--subset {which} asks no network; leave --subset-model out")
        return CLASSES + ",".join(map(str, classes(which))), mode or UNPERTURBED, None
    if which not in (MISCLASSIFIED, HIGH, LOW):
        raise unknown("subset", which, (MISCLASSIFIED, HIGH, LOW, "classes:0,1,2"))
    return which, mode or UNPERTURBED, model


def chosen(
    run: Run, images: Data, runs: Path, folder: Folder, facts: dict[str, Any], device: torch.device | str | None = "cpu"
) -> Subset | None:
    """The subset of a run: the one that its folder holds, or else what the first network finds; writes nothing.

    Args:
        run: with a subset, `checked`.
        images: all its training images.
        runs: the folder of the runs, for the usual first network.
        folder: the run's own; has been checked to be so.
        facts: what decides the run, as its description will tell.
        device: to measure on; None where another process will measure, and all is to be there for it.

    Returns:
        The subset; None where it would have to be measured and there is no device.

    Raises:
        UserError: no such network, classes or images, or none would be left to train on.
    """
    which, mode = str(run.subset), str(run.subset_mode)
    if which.startswith(CLASSES):
        made = Subset(which, mode, images, of_classes(images, which))
    elif about := folder.about():
        sha, file = _still(run, runs, facts, about), about.get("subset_model_file")
        made = Subset(which, mode, images, read(folder.path, images), first.public(run, runs), sha, file)
    else:
        name, (net, file) = str(first.public(run, runs)), first.load(run, runs, facts)
        check.usable(net, name, images)
        if device is None:
            return None
        sha = identity.sha(net)
        made = Subset(which, mode, images, pick(which, measured(net.to(device), images), name), name, sha, file)
    if not len(made.trained_on):
        raise UserError(f"--subset {which} --subset-mode {mode} leaves no images to train on; take other images")
    return made


def _still(run: Run, runs: Path, facts: dict[str, Any], about: dict[str, Any]) -> str | None:
    """Of the first network as it is now; where it is gone, as it was when the run's images were found."""
    try:
        return identity.sha(first.load(run, runs, facts)[0])
    except UserError:
        return about.get("subset_model_sha")


def write(folder: Path, subset: Subset) -> None:
    """Keep which images they are, so that a killed run goes on with the same ones."""
    with whole(folder / SUBSET, "--runs") as hidden:
        subset.rows.to_parquet(hidden, index=False)


def read(folder: Path, images: Data) -> pd.DataFrame:
    """What `write` wrote.

    Raises:
        UserError: it cannot be read, or is of other images.
    """
    path = folder / SUBSET
    try:
        rows = pd.read_parquet(path)
        foreign = ~np.isin(rows["sample"], images.index)
    except Exception as error:  # a damaged file fails in many ways
        raise UserError(f"{path} cannot be read ({first_line(error)}); delete {folder} to train anew") from error
    if foreign.any() or rows.empty:
        raise UserError(f"{path} is not of this run's training images; delete {folder} to train anew")
    return rows
