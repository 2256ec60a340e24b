"""Run a batch of chains and write what they leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from energylens import provenance, references, shards
from energylens.attacks.precision import Half
from energylens.errors import UserError, many
from energylens.generate.ready import Ready, Task
from energylens.generate.recorder import Recorder
from energylens.models import check
from energylens.reach import full_float32


def make(ready: Ready, task: Task, advance: Callable[[int], None] = lambda steps: None) -> tuple[Recorder, float]:
    """Run the chains of one task.

    Args:
        ready: the recipe.
        task: which chains; the levels of its subject are known.
        advance: told of each step, times chains.

    Returns:
        What was recorded, and the seconds that it took.

    Raises:
        UserError: the device has too little memory.
    """
    recipe, subject, sampler = ready.recipe, task.subject, task.method.sampler
    assert subject.levels is not None
    net, exact, size = subject.net.to(ready.place.where), recipe.precision == "fp32", task.stop - task.start
    with memory(ready.place.where, size):
        began = time.monotonic()
        x, y, index = _start(ready, task)
        recorder = Recorder(net, exact, y, index, subject.levels, sampler.loss, recipe.every, recipe.frames)

        def observe(step: int, x: torch.Tensor, logits: torch.Tensor) -> None:
            recorder(step, x, logits)
            advance(size if step else 0)

        search, reference = net if exact else Half(net), subject.levels.energy.to(x.device)
        with full_float32():
            sampler(search, x, y, index=index, seed=task.method.seed, reference=reference, observe=observe)
    return recorder, time.monotonic() - began


@contextmanager
def memory(device: str, size: int) -> Iterator[None]:
    """Inside, too little memory for so many images at once is told with what to type.

    Raises:
        UserError: there was.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        remedy = f"--batch {size // 2}" if size > 1 else "--precision bf16, or another --device"
        raise UserError(f"{device} has too little memory for {many(size, 'image')} at once; take {remedy}") from error


def _start(ready: Ready, task: Task) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Where the chains start, their classes, both on the device, and their numbers."""
    index = list(range(task.start, task.stop))
    wanted = ready.recipe.classes or range(ready.statistics.classes)
    y = torch.tensor([wanted[number % len(wanted)] for number in index])
    x = task.method.start(ready.statistics, y, index=index, seed=task.method.seed)
    layout = check.layout(task.subject.net, ready.images)
    return x.to(ready.place.where, memory_format=layout), y.to(ready.place.where), index


def write(ready: Ready, task: Task, made: tuple[Recorder, float], say: Callable[[str], None]) -> None:
    """Write the file of a task, and say which of its chains went wrong."""
    recorder, seconds = made
    columns, images = recorder.ended(task.method.sampler.steps)
    for remark in remarks(columns):
        say(f"{task}: {remark}")
    facts, subject = ready.facts(task.subject, task.method), task.subject
    rows = len(columns["sample"])
    constants = {
        "model_ref": references.public(subject.reference),
        "model_sha": subject.sha,
        "data": ready.images.name,
        "split": ready.images.split,
        "eps": None,
        "norm": None,
        "seed": task.method.seed,
        "precision": ready.recipe.precision,
        "key": provenance.key(facts),
    }
    about = {
        "key": constants["key"],
        "decisive": facts,
        "model_ref": constants["model_ref"],
        "data": f"{ready.images.name}:{ready.images.split}",
        "start": task.start,
        "rows": rows,
        "kept": ["keep_logits", "keep_images"],
        "batch": task.stop - task.start,
        "seconds": round(seconds, 3),
        "software": provenance.software(ready.place.where),
    }
    columns |= {name: [value] * rows for name, value in constants.items()}
    shards.store(columns, images, ready.folder(task), task.start, task.stop, about, again=False)


def remarks(columns: dict[str, Any]) -> Iterator[str]:
    """What a user should know of a batch of chains: how many became NaN, how many saturated.

    A chain is saturated where its end has more black and white pixels than half way from the mean of its class's real
    images to all of them.
    """
    steps, status = np.asarray(columns["step"]), np.asarray(columns["status"])
    end = steps == steps.max()
    nan = end & (status == "nan")
    if nan.any():
        first = steps[status == "nan"].min()
        yield f"{nan.sum()} of {many(int(end.sum()), 'chain')} became NaN, seen first at step {first}"
    full = saturated(columns["saturated"], columns["reference_saturated"])[end]
    if full.any():
        yield f"{full.sum()} of {many(int(end.sum()), 'chain')} saturated: most of their pixels are 0 or 1"


def saturated(share: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Which chains have more black and white pixels than half way from their class's real images to all of them."""
    return np.asarray(share) > (1 + np.asarray(real)) / 2
