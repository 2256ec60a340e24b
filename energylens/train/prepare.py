"""A run with everything checked that can be before any work; writes nothing."""

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from energylens import data as datasets
from energylens import references, spec
from energylens.atomic import check_writable
from energylens.attacks import PGD, Attack
from energylens.data import Data
from energylens.errors import Note, UserError
from energylens.models import architectures, check
from energylens.table import LONGEST
from energylens.train import first, loop, own, select, subset
from energylens.train.objectives import Objective
from energylens.train.runs import Folder, Run
from energylens.train.state import steps
from energylens.train.subset import Subset


@dataclass(frozen=True)
class Place:
    """Where runs and images lie, and what to compute with; decides no number beyond rounding."""

    runs: Path = Path("runs")
    data_dir: Path | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Energies:
    """What is measured of energies while training; decides no weight."""

    every: int | None = None
    """epochs between two measurements, 0 for none; a tenth of the epochs if None"""
    samples: int | None = None
    """the first this many images of each split; all if None"""
    test: str | None = None
    """reference of the test images; the test split of the data's own set if None"""


@dataclass(frozen=True)
class Ready:
    """A run that can begin."""

    run: Run
    objective: Objective
    data: Data
    """what is trained on"""
    apart: Data | None
    """what the selection looks at"""
    sets: tuple[tuple[str, Data, tuple[Attack, ...]], ...]
    """what is measured while training: name of the split, images, attacks"""
    every: int
    """epochs between two measurements, 0 for none"""
    folder: Folder
    facts: dict[str, Any]
    subset: Subset | None = None
    """training images that are treated apart; not looked for where the run is done, or not measured"""

    @property
    def arch(self) -> str:
        """With classes and channels of the data."""
        return self.facts["arch"]


def prepared(run: Run, place: Place, energies: Energies, measure: bool = True) -> Ready:
    """Everything loaded and checked.

    Args:
        run: what is to be trained.
        place: where.
        energies: what is measured while training.
        measure: whether a first network may be measured for a subset; if not, another process will do so.

    Raises:
        UserError: an objective, setting, network or data set is not usable, or the folder belongs to another run.
    """
    settings = run.settings
    objective = loop.chosen(run.objective, settings)
    _check_options(run, objective)
    data = datasets.load(run.data, data_dir=place.data_dir, samples=run.samples, shuffle_seed=run.shuffle_seed)
    arch = complete(run.arch, data)
    folder = Folder(place.runs / run.name)
    _check_length(run.name)
    check_writable(folder.path, "--runs")
    every = max(1, settings.epochs // 10) if energies.every is None else energies.every
    facts = run.facts(data.sha, arch) | _named(run, place, energies, bool(every))
    own.check(folder, run, facts, bool(every))
    train, apart = data, datasets.load(run.synthetic, data_dir=place.data_dir) if run.synthetic else None
    if run.synthetic and apart:
        facts["synthetic_sha"] = apart.sha
    if settings.select == "best-val":
        train, apart = select.held_out(data, settings.val_images)
    sets = _sets(run, objective, train, place, energies) if every else ()
    if facts["test"]:
        facts["test_sha"] = sets[-1][1].sha
    chosen = None
    if run.subset and not folder.done:
        chosen = subset.chosen(run, train, place.runs, folder, facts, place.device if measure else None)
    trained = chosen.trained_on if chosen else train
    steps(len(trained), settings)
    _check_network(run, arch, [data, *([apart] if apart else []), *(images for _, images, _ in sets)])
    facts |= chosen.facts if chosen else {}
    own.check(folder, run, facts, bool(every))
    return Ready(run, objective, trained, apart, sets, every, folder, facts, chosen)


def _named(run: Run, place: Place, energies: Energies, measured: bool) -> dict[str, Any]:
    """References as they are stored, without folders, and how many images are measured."""
    samples, test = (energies.samples, energies.test) if measured else (None, None)
    public = {name: of and references.public(of) for name, of in (("synthetic", run.synthetic), ("test", test))}
    return public | {"energies_samples": samples, "subset_model": first.public(run, place.runs)}


def _check_length(name: str) -> None:
    if len(os.fsencode(f"model={name}")) > LONGEST:
        raise UserError(f"'{name[:40]}...' is too long for the name of a folder; give a shorter one with --name")


def _check_options(run: Run, objective: Objective) -> None:
    settings = run.settings
    for option, given in (("--normalize", settings.normalize != "none"), ("--burn-in", settings.burn_in is not None)):
        if given and not objective.weighted:
            raise UserError(f"{run.objective} has no weights, so {option} changes nothing; leave it out")
    if (settings.select == "best-synthetic") != bool(run.synthetic):
        raise UserError("--select best-synthetic and --synthetic FILE.npz go together; say both, or neither")
    if objective.inner is None and run.subset_mode == subset.UNPERTURBED:
        raise UserError(f"{run.objective} attacks no image, so none is left unperturbed; take --subset-mode removed")


def _check_network(run: Run, arch: str, sets: list[Data]) -> None:
    """Whether a network of this architecture can read all images, and has a class for each label."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", Note)  # an untrained network's logits may well lie in [0, 1]
        torch.manual_seed(run.settings.seed)
        net = architectures.build(arch).eval()
        for images in sets:
            check.usable(net, run.arch, images)
        check.attackable(net, run.arch, sets[0])


def complete(arch: str, data: Data) -> str:
    """An architecture with the channels of the images and, where they are not said, the classes of the labels.

    Raises:
        UserError: unknown architecture.
    """
    said = spec.parse(arch)[1]
    wanted = {"channels": data.images.shape[1], "classes": int(data.labels.max()) + 1}
    known = architectures.known_settings(arch)
    added = [f"{key}={value}" for key, value in wanted.items() if key in known and key not in said]
    return ":".join([arch, *added])


def trained_on(reference: str) -> str:
    """A data reference with the split that is trained on: `cifar10` is `cifar10:train`."""
    named = reference.rpartition(":")[2] in references.SPLITS
    return reference if named or reference.endswith(".npz") or ".py:" in reference else f"{reference}:train"


def _sets(
    run: Run, objective: Objective, train: Data, place: Place, energies: Energies
) -> tuple[tuple[str, Data, tuple[Attack, ...]], ...]:
    """Training images under the training attack and PGD-20, test images under PGD-20."""
    settings = run.settings
    common = PGD(eps=settings.eps)
    attacks: tuple[Attack, ...] = (common,)
    if objective.inner is not None:
        inner = objective.inner.attack(settings.eps, settings.attack_steps, settings.step_size, 0)
        attacks = tuple({attack.name: attack for attack in (inner, common)}.values())
    source, split = references.split(run.data)
    other = energies.test or (source if split == "train" and not run.data.endswith(".npz") else None)
    sets = [("train", replace(train, index=train.index[: energies.samples]), attacks)]
    if other:
        images = datasets.load(other, data_dir=place.data_dir)
        sets.append(("test", replace(images, index=images.index[: energies.samples]), (common,)))
    return tuple(sets)
