"""Images whose first pixels say what the networks of NETS make of them, and runs with a subset of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from small_runs import weights

from energylens.train.prepare import Ready
from energylens.train.runs import Run
from energylens.train.settings import recipe

N, WRONG = 40, (0, 8, 17)
"""images, and those that the network of NETS gets wrong"""
HIGH, LOW = (6, 23, 29), (11, 28, 34)
"""by hand: of the right ones, those of the lowest and highest second pixel, (7 i mod 40) / 40"""
NETS = """
import torch
from torch import nn

class ByHand(nn.Module):
    '''Class 1 where the first pixel is bright; E(x) is -10 - 8 (second pixel) - log(1 + exp(-20)).'''
    def forward(self, x):
        bright, second = x[:, 0, 0, 0], x[:, 0, 0, 1]
        sign = 2 * bright - 1
        return torch.stack([8 * second - 10 * sign, 8 * second + 10 * sign], 1)

def by_hand():
    return ByHand()

class Right(ByHand):
    '''Knows the classes by heart, which stand in the third pixel.'''
    def forward(self, x):
        return 9 * torch.stack([1 - x[:, 0, 0, 2], x[:, 0, 0, 2]], 1)

def right():
    return Right()

class Left(Right):
    def forward(self, x):
        return 12 - super().forward(x)

def left():
    return Left()
"""
SETTINGS = recipe("demo", "sat", "digits", epochs=4, attack_steps=2, batch=16)


def make(folder: Path) -> None:
    """toy.npz and nets.py."""
    rng, at = np.random.default_rng(0), np.arange(N)
    images, labels = rng.random((N, 16, 16, 1)).astype(np.float32), at % 2
    images[:, 0, 0, 0] = np.where(np.isin(at, WRONG), 1 - labels, labels)
    images[:, 0, 1, 0] = (7 * at % N) / N
    images[:, 0, 2, 0] = labels
    np.savez(folder / "toy.npz", images=images, labels=labels)
    (folder / "nets.py").write_text(NETS)


def toy_run(which: str | None, mode: str | None = "unperturbed", **changes) -> Run:
    named = which and not which.startswith("classes:")
    run = Run("sat", "toy.npz", "small-resnet:width=4", SETTINGS)
    run = replace(run, subset=which, subset_mode=mode if which else None)
    return replace(run, **{"subset_model": "nets.py:by_hand" if named else None} | changes)


def same(one: Ready, other: Ready) -> bool:
    mine, theirs = weights(one), weights(other)
    return all(torch.equal(mine[key], theirs[key]) for key in theirs)
