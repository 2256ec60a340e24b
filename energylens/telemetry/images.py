"""The images that a Watch keeps: a few batches of a loader, taken once."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from energylens import data
from energylens.attacks.own import random_numbers
from energylens.attacks.settings import check_batch
from energylens.data import Data
from energylens.errors import UserError

FORM = "give batches (x, y), images in [0, 1] with their classes"


def take(source: Any, samples: int, data_dir: Path | None = None) -> Data:
    """At most `samples` images: the first ones of a data reference, of a Data, or of a loader as they come.

    Random numbers are drawn from a stream of its own, so a loader that shuffles gives the same images each time, and
    the same order afterwards as if nobody had looked.

    Raises:
        UserError: no batches (x, y), or images that are not in [0, 1].
    """
    if isinstance(source, str):
        source = data.load(source, data_dir=data_dir)
    if isinstance(source, Data):
        return replace(source, index=source.index[:samples])
    if not isinstance(source, Iterable):
        raise UserError(
            f"energylens.watch: loader is {type(source).__name__}; {FORM}, or a reference such as cifar10:test"
        )
    with random_numbers(0), _generators_kept(source):
        found = list(_batches(source, samples))
    if not found:
        raise UserError(f"the loader yields no batch; {FORM}")
    x, y = (torch.cat(parts)[:samples] for parts in zip(*found, strict=True))
    return Data("the loader", "watched", x, y, np.arange(len(y)))


def _batches(loader: Iterable, samples: int) -> Iterator[tuple[Tensor, Tensor]]:
    seen = 0
    for batch in loader:
        x, y = _checked(batch)
        yield x, y
        seen += len(y)
        if seen >= samples:
            return


def _checked(batch: Any) -> tuple[Tensor, Tensor]:
    """Images float32 and classes int64, on the CPU."""
    if not isinstance(batch, list | tuple) or len(batch) < 2 or not all(isinstance(part, Tensor) for part in batch[:2]):
        kinds = ", ".join(type(part).__name__ for part in batch) if isinstance(batch, list | tuple) else ""
        raise UserError(f"the loader yields {type(batch).__name__}{f' ({kinds})' if kinds else ''}; {FORM}")
    x, y = (part.detach().cpu() for part in batch[:2])
    if not x.is_floating_point():
        raise UserError(f"the loader yields images of type {x.dtype}; give floats in [0, 1], such as x / 255")
    if y.dim() != 1:
        raise UserError(f"the loader yields labels of shape {list(y.shape)}; give one class an image, [B]")
    check_batch(x, y)
    return x.float(), y.long()


@contextmanager
def _generators_kept(loader: Any) -> Iterator[None]:
    """Behind the block, a user's generators in a loader or its samplers, and workers that it keeps, are as before."""
    samplers = [getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)]
    samplers.append(getattr(samplers[-1], "sampler", None))
    owned = [getattr(holder, "generator", None) for holder in (loader, *samplers)]
    states = [(generator, generator.get_state()) for generator in owned if isinstance(generator, torch.Generator)]
    keeps = isinstance(loader, DataLoader) and loader.persistent_workers
    workers = loader._iterator if keeps else None
    if keeps:
        loader._iterator = None
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)
        if keeps and loader._iterator is not None:
            loader._iterator._shutdown_workers()  # seeded by this look, not by the training
        if keeps:
            loader._iterator = workers
