"""What a worker does, here or on another machine: one task after the other, each a shard or the reason why not."""

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from energylens import data, models, provenance, reach, record
from energylens.attacks import Attack, Own
from energylens.data import Data
from energylens.errors import UserError, first_line
from energylens.memory import no_memory, usual
from energylens.models import identity
from energylens.options import Keep, Place
from energylens.plan import Subject, Task
from energylens.recipe import Recipe

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Job:
    """All that a worker must know beside its tasks; it travels to other processes."""

    recipe: Recipe
    place: Place
    keep: Keep
    data_sha: str
    threads: int
    folder: Path
    """to which relative references belong"""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "images"}

    @cached_property
    def images(self) -> Data:
        """The recipe's images, read where this worker runs.

        Raises:
            UserError: they are not there, or are others.
        """
        recipe = self.recipe
        found = data.load(
            recipe.data, data_dir=self.place.data_dir, samples=recipe.samples, shuffle_seed=recipe.shuffle_seed
        )
        if found.sha != self.data_sha:
            raise UserError(f"{recipe.data} holds other images on this worker; give all machines the same files")
        return found


@dataclass(frozen=True)
class Shard:
    """What was measured of one task."""

    columns: dict[str, Any]
    images: np.ndarray | None
    """[B, C, H, W] where they are kept"""
    batch: int
    """images at once"""
    seconds: float
    software: dict[str, Any]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """Why a task gave none, in one line."""

    reason: str


class _TooMany(Exception):
    """The device's memory does not hold a batch."""


class Worker:
    """Measures tasks on one device, and keeps the last network."""

    def __init__(self, job: Job, device: str):
        self.job, self.device = job, device
        self.subject: Subject | None = None
        self.net: nn.Module | None = None
        self.fits: dict[tuple[str, Attack | None], int] = {}
        """images at once that a network and attack were found to allow"""
        self.reached = 0
        """the first image of a task that is not yet measured"""

    def attempt(self, task: Task, advance: Advance) -> Shard | Failure:
        """A task's shard; `advance` is told of images as they are measured, and of those that are begun anew."""
        if task.refused:
            return Failure(task.refused)
        try:
            return self._shard(task, advance)
        except UserError as error:
            self.net = None  # an attack may have stopped halfway through a change of it
            return Failure(str(error))

    def _shard(self, task: Task, advance: Advance) -> Shard:
        net, remarks = self._network(task.subject), []
        own = isinstance(task.attack, Own)
        before, began = _trace(net) if own else None, time.monotonic()
        while True:
            size = self._size(task)
            try:
                parts = list(self._parts(net, task, size, advance))
                break
            except _TooMany:
                advance(task.start - self.reached)
            self._halve(task, size)
            remarks.append(f"{task}: {size} images at once are too many for {self.device}; taking {size // 2}")
        seconds = time.monotonic() - began
        if own and _trace(net) != before:
            raise UserError(f"attack {task.attack_name} changed the network; let it work on copy.deepcopy(model)")
        columns = record.joined([column for columns, _ in parts for column in columns])
        kept = [images for _, images in parts if images is not None]
        software = provenance.software(self.device)
        return Shard(columns, np.concatenate(kept) if kept else None, size, seconds, software, tuple(remarks))

    def _network(self, subject: Subject) -> nn.Module:
        if self.subject != subject or self.net is None:
            self.net = self.subject = None  # two networks may not fit
            try:
                self.net, self.subject = self._loaded(subject), subject
            except UserError:
                raise
            except (Exception, SystemExit) as error:  # the user's code, or the device's memory is full
                raise UserError(
                    f"model '{subject.name}' cannot be loaded on {self.device} ({first_line(error)})"
                ) from error
        return self.net

    def _loaded(self, subject: Subject) -> nn.Module:
        place = self.job.place
        net = models.load(subject.reference, model_dir=place.model_dir, trust=place.trust_checkpoint)
        if identity.sha(net) != subject.sha:
            raise UserError(f"model '{subject.name}' is another one at each load; fix its seed, or save its weights")
        return net.to(self.device)

    def _size(self, task: Task) -> int:
        if task.attack and task.attack.batch:
            return task.attack.batch
        asked = self.job.place.batch or task.batch or usual(self.device)
        return min(asked, self.fits.get((task.subject.sha, task.attack), asked))

    def _halve(self, task: Task, size: int) -> None:
        if task.attack and task.attack.batch:
            raise UserError(
                f"{task}: its batch of {size} images does not fit into the memory of {self.device}; its numbers depend "
                f"on that batch, so choose it: {task.attack.kind}:batch={max(1, size // 2)}"
            )
        if size == 1:
            raise UserError(f"{task}: not even one image fits into the memory of {self.device}")
        self.fits[task.subject.sha, task.attack] = size // 2
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _parts(
        self, net: nn.Module, task: Task, size: int, advance: Advance
    ) -> Iterator[tuple[list[dict[str, Any]], np.ndarray | None]]:
        """The columns and kept images of each batch."""
        self.reached = task.start
        images, start, stop = self.job.images, task.start, task.stop
        if task.attack and task.attack.batch:  # its rows depend on their neighbours: whole batches, as far as they go
            start, stop = start - start % size, min(math.ceil(stop / size) * size, len(images))
        try:
            for batch in reach.batches(net, images, start, stop, size, self.job.recipe.precision):
                columns, kept = self._part(batch, task)
                mine = slice(max(0, task.start - batch.place), task.stop - batch.place)
                samples = batch.index[mine].numpy()
                yield [_of(samples, each) for each in columns], None if kept is None else kept[mine]
                self.reached += len(samples)
                advance(len(samples))
        except UserError:
            raise
        except (Exception, SystemExit) as error:  # the network, and maybe the attack, are the user's code
            if no_memory(error):
                raise _TooMany from None
            where = f"images {self.reached} to {min(self.reached + size, task.stop)}"
            raise UserError(f"failed at {where} ({first_line(error)})") from error

    def _part(self, batch: reach.Batch, task: Task) -> tuple[list[dict[str, Any]], np.ndarray | None]:
        recipe, attack, logits = self.job.recipe, task.attack, "keep_logits" in task.kept
        if recipe.folder == "steps":
            steps = batch.follow(attack, recipe.record == "forces", logits)
            if not steps:
                raise UserError(
                    f"attack {task.attack_name} never called the model, so it has no steps; take --record points"
                )
            return steps, None
        points = batch.reach(attack)
        images = points.x.numpy() if "keep_images" in task.kept else None
        return [record.columns(points, attack, logits)], images


def _of(samples: np.ndarray, columns: dict[str, Any]) -> dict[str, Any]:
    """The rows of some images."""
    rows = np.isin(columns["sample"], samples)
    if rows.all():
        return columns
    return {
        name: column[rows] if isinstance(column, np.ndarray) else list(itertools.compress(column, rows))
        for name, column in columns.items()
    }


def _trace(net: nn.Module) -> tuple[str, list]:
    """What tells whether an attack has changed a network: its numbers, its code and the hooks on it."""
    kinds = ("_backward_hooks", "_backward_pre_hooks")  # those of the forward pass are in its identity
    return identity.sha(net), [list(vars(module).get(kind, ())) for module in net.modules() for kind in kinds]


def begin(job: Job, device: str) -> Worker:
    """A worker in a process of its own, that computes as the one that planned the work does.

    Raises:
        UserError: this machine lacks the folder that references are relative to.
    """
    try:
        os.chdir(job.folder)
    except OSError as error:
        raise UserError(
            f"worker cannot enter {job.folder} ({first_line(error)}); all machines must share it"
        ) from error
    torch.set_num_threads(job.threads)
    return Worker(job, device)
