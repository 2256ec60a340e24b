"""How long a training takes on this machine, from a timed step on made images. Needs no data set."""

import dataclasses
import statistics
import time
from functools import cache
from typing import Any

import numpy as np
import torch

from energylens import references
from energylens.data import Data
from energylens.errors import many
from energylens.options import Files
from energylens.train import loop, prepare
from energylens.train.objectives import OBJECTIVES
from energylens.train.processes import Alone
from energylens.train.runs import Run

SIZES = {
    "digits": (1, 16, 10, 1297, 500),
    "cifar10": (3, 32, 10, 50_000, 10_000),
    "cifar100": (3, 32, 100, 50_000, 10_000),
    "svhn": (3, 32, 10, 73_257, 26_032),
    "tiny-imagenet": (3, 64, 200, 100_000, 10_000),
}
"""data set -> channels, pixels of a side, classes, training images, test images"""
FEW, QUICK = 16, 0.5
"""on a CPU a step of so many images is timed, and a whole batch where that one took fewer seconds"""
TIMES = 3
COMMON_STEPS = 20
"""of the PGD that all runs are measured under"""


class Clock:
    """Times a step of each kind of training once."""

    def __init__(self, device: str | None):
        self.device = torch.device(Files(device=device).where)
        self.known: dict[Any, float] = {}

    @property
    def how(self) -> str:
        """Where, and from what, in words."""
        if self.device.type == "cuda":
            return f"on one {torch.cuda.get_device_name(self.device)}, from a timed step of each kind"
        threads = many(torch.get_num_threads(), "thread")
        return f"on this CPU with {threads}, from a timed step of each kind; --device cuda tells a GPU's"

    def seconds(self, run: Run, every: int | None, samples: int | None) -> float | None:
        """Of a whole run, its measurements of energies included; None for data whose size is not known here.

        Args:
            run: the training.
            every: epochs between two measurements; 0 for none, None for a tenth of all.
            samples: images of each split that are measured; all if None.
        """
        name = references.data_name(run.data)[0]
        if name not in SIZES:
            return None
        *_, train, test = SIZES[name]
        epochs, inner = run.settings.epochs, OBJECTIVES[run.objective].inner
        steps = 0 if inner is None else inner.steps or run.settings.attack_steps
        every = max(1, epochs // 10) if every is None else every
        times = -(-epochs // every) + 1 if every else 0
        measured = min(train, samples or train) * (steps + COMMON_STEPS)
        measured += min(test, samples or test) * COMMON_STEPS
        a_step = self._a_step(run, name)
        return a_step * train * epochs + a_step / (steps + 2) * measured * times

    def _a_step(self, run: Run, name: str) -> float:
        """An image's share of a step."""
        fixed = dataclasses.replace(run.settings, seed=1)
        kind = (run.objective, run.arch, name, tuple(dataclasses.asdict(fixed).items()))
        if kind not in self.known:
            self.known[kind] = self._timed(run, name)
        return self.known[kind]

    def _timed(self, run: Run, name: str) -> float:
        if self.device.type == "cpu":
            seconds = _step(run, name, FEW, self.device)
            if seconds > QUICK:
                return seconds / FEW
        return _step(run, name, run.settings.batch, self.device) / run.settings.batch


@cache
def clock(device: str | None) -> Clock:
    """The one of a device, so that a kind of training is timed once."""
    return Clock(device)


def _step(run: Run, name: str, images: int, device: torch.device) -> float:
    """Seconds of a step of so many images."""
    data = _made(name, images)
    changes: dict[str, Any] = {"batch": images, "epochs": 2 * TIMES, "awp_warmup": 0, "burn_in": None}
    settings = dataclasses.replace(run.settings, select="last", select_after=None, **changes)
    objective = loop.chosen(run.objective, settings)
    state = loop.begin(prepare.complete(run.arch, data), objective, data, settings, device)
    epochs = loop.epochs(state, data, Alone(device))
    next(epochs)  # wakes the device
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        next(epochs)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _made(name: str, images: int) -> Data:
    """Random images of a data set's size and classes."""
    channels, side, classes, *_ = SIZES[name]
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (images, channels, side, side), generator=generator, dtype=torch.uint8)
    labels = torch.arange(images) % classes
    labels[-1] = classes - 1
    return Data(name, "train", pixels, labels, np.arange(images))
