"""A linear network of two classes on grey images, and what a training would have measured of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from dying import Death, arm
from torch import nn

from energylens.attacks import PGD
from energylens.data import Data
from energylens.train.epochs import record

EPS = 0.1
FULL, SHORT = PGD(eps=EPS), PGD(eps=EPS, steps=2)


class Sloped(nn.Module):
    """Logits (s, -s), s = w.(x - zero): grey images of 0.5 are of class 0."""

    def __init__(self, slope: float = 1.0, zero: float = 0.4):
        super().__init__()
        self.zero = zero
        self.weight = nn.Parameter(slope * torch.tensor([1.0, -2.0, 0.5, 3.0]).repeat(4))

    def score(self, x):
        return (x - self.zero).flatten(1) @ self.weight

    def forward(self, x):
        s = self.score(x)
        return torch.stack([s, -s], 1)


def grey(count: int = 6, side: int = 4, split: str = "train") -> Data:
    """Grey images about 0.5, of class 0."""
    rng = np.random.default_rng(count)
    images = torch.from_numpy(rng.uniform(0.45, 0.55, (count, 1, side, side)).astype(np.float32))
    return Data("toy", split, images, torch.zeros(count, dtype=torch.int64), np.arange(count))


def sets() -> list:
    """As a training has them: its own attack and a common one on its images, the common one on others."""
    return [("train", grey(), (SHORT, FULL)), ("test", grey(4, split="test"), (FULL,))]


def measured(run: Path, epoch: int = 0, slope: float = 1.0, **options) -> Sloped:
    """One epoch on disk; the network of it."""
    net = Sloped(slope)
    record(net, run, options.pop("name", "r"), epoch, options.pop("sets", sets()), **options)
    return net


def selected(images: Data, *places: int) -> Data:
    """Some of the images, as held-out ones."""
    return replace(images, index=np.array(places))


def dies(run: Path, death: Death) -> None:
    """The same in a process that does not survive it."""
    arm(death)
    measured(run)
