"""Runs and their folders: what a run is called, what belongs to it, and whether a folder is its own."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from energylens import references
from energylens.atomic import whole
from energylens.errors import UserError, first_line, option
from energylens.lock import Lock
from energylens.train.settings import Settings, difference

ABOUT, STATE, METRICS, SUBSET = "run.json", "_state.pt", "metrics.parquet", "subset.parquet"
LAST, BEST = "last.safetensors", "best.safetensors"


@dataclass(frozen=True)
class Run:
    """One network to be trained: all that decides its weights, but for the pixels."""

    objective: str
    data: str
    """reference of the training images, with its split"""
    arch: str
    """with all its settings"""
    settings: Settings
    samples: int | None = None
    """the first this many images; None for all"""
    shuffle_seed: int | None = None
    """draw the images with this seed instead"""
    synthetic: str | None = None
    """reference of the images that best-synthetic looks at"""
    title: str | None = None
    """what the folder is called instead, in front of the seed"""
    subset: str | None = None
    """training images that are treated apart: misclassified, high, low, classes:0,1,2; None for an ordinary run"""
    subset_mode: str | None = None
    """unperturbed or removed"""
    subset_model: str | None = None
    """reference of the network that finds them; None for the usual one"""

    @property
    def name(self) -> str:
        """Of its folder: `weat-adv-cifar10-resnet18-1`, `sat-high-removed-cifar10-resnet18-1`."""
        data, arch = references.data_name(self.data)[0], self.arch.replace(":", "+")
        apart = [self.subset, self.subset_mode] if self.subset and self.subset_mode else []
        front = self.title or "-".join([self.objective, *apart, data, arch])
        return re.sub(r"[^\w+=.-]", "-", f"{front}-{self.settings.seed}")

    def facts(self, data_sha: str, arch: str) -> dict[str, Any]:
        """All that decides its weights, as `run.json` holds it."""
        what = {"objective": self.objective, "data": ":".join(references.data_name(self.data)), "data_sha": data_sha}
        which = {"samples": self.samples, "shuffle_seed": self.shuffle_seed, "synthetic": self.synthetic}
        which |= {"subset": self.subset, "subset_mode": self.subset_mode}
        return what | which | {"arch": arch, "settings": dataclasses.asdict(self.settings)}


def _named(fact: str) -> str:
    return fact if fact == "objective" else option(fact)


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)


def differing(about: dict[str, Any], facts: dict[str, Any], settings: Settings) -> list[str]:
    """What of a run differs from what a folder's description says, as `--samples 5 there, 6 here`.

    Args:
        about: what `run.json` says.
        facts: those of the run; those that are not among them may be anything.
        settings: the run's.
    """
    differs = [
        f"{_named(name)} {_shown(about.get(name))} there, {_shown(value)} here"
        for name, value in facts.items()
        if name not in ("settings", "data_sha") and about.get(name) != value
    ] + difference(about["settings"], settings)
    if not differs and "data_sha" in facts and about.get("data_sha") != facts["data_sha"]:
        return ["other images under the same name"]
    return differs


@dataclass(frozen=True)
class Folder:
    """Where a run lies: RUNS/NAME."""

    path: Path

    def about(self) -> dict[str, Any] | None:
        """What lies there; None where nothing does.

        Raises:
            UserError: it is no training run of ours, or its description cannot be read.
        """
        file = self.path / ABOUT
        there = [path.name for path in self.path.glob("*") if path.name[0] not in "._" and path.name != SUBSET]
        if not there:
            return None
        if not file.exists():  # asked after the listing: another process of the same run may be writing it
            raise UserError(f"{self.path} holds {there[0]} and is no training run; take another --runs, or --name")
        try:
            about = json.loads(file.read_text())
            if not isinstance(about["settings"], dict) or not isinstance(about["arch"], str):
                raise ValueError("it describes no training")
            return about
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{file} cannot be read ({first_line(error)}); delete its folder to train anew") from error

    def check(self, facts: dict[str, Any], settings: Settings) -> None:
        """Whether the folder is this run's, or free.

        Raises:
            UserError: it belongs to another run; says what differs.
        """
        about = self.about()
        if about is not None and (differs := differing(about, facts, settings)):
            remedy = "repeat its settings to go on with it, or take --name NAME, or another --runs"
            raise UserError(f"{self.path} belongs to another run ({'; '.join(differs)}); {remedy}")

    @property
    def done(self) -> bool:
        """Whether the run has come to its end."""
        return (self.path / LAST).exists()

    def write_about(self, facts: dict[str, Any]) -> None:
        """Say what lies there, before anything does."""
        with whole(self.path / ABOUT, "--runs") as hidden:
            hidden.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")

    @contextmanager
    def mine(self) -> Iterator[None]:
        """Inside, no other process trains here.

        Raises:
            UserError: one does.
        """
        lock = Lock(self.path, "--runs")
        with lock.file:
            if not lock.alone():
                raise UserError(f"another process trains in {self.path}; wait until it ends, or take another --runs")
            lock.warn(print)
            yield
