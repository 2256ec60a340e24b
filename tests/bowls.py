"""Quadratic energies, on which the path of a chain without noise is a linear recurrence."""

import numpy as np
import torch
from torch import nn

from energylens.generate.sampler import Sampler

CURVATURE = 4.0
MEANS = torch.tensor([0.5, 0.4, 0.6])


def bowls(x):
    """f_c(x) = -CURVATURE / 2 |x - m_c|^2."""
    return -CURVATURE / 2 * (x.flatten(1)[:, None] - MEANS[:, None]).square().sum(2)


def flat(x):
    """No gradient at all: chains move by their noise alone."""
    return 0 * x.flatten(1)[:, :2]


def recurrence(sampler: Sampler) -> np.ndarray:
    """(distance, velocity) -> the next two, per pixel, in the bowl."""
    pull = sampler.step_size / 2 * CURVATURE
    return np.array([[1 - pull, sampler.momentum], [-pull, sampler.momentum]])


def distances(sampler: Sampler, steps: int) -> np.ndarray:
    """Distance to the bottom after 0 to `steps` steps from distance 1, without noise."""
    return np.array([np.linalg.matrix_power(recurrence(sampler), k)[0, 0] for k in range(steps + 1)])


def states(sampler: Sampler, net, x, y, **settings) -> dict[int, tuple]:
    """step -> (x, logits), as they were observed; the last is what came back."""
    seen = {}
    end = sampler(
        net, x, y, index=list(range(len(x))), seed=0, observe=lambda k, *now: seen.update({k: now}), **settings
    )
    torch.testing.assert_close(end, seen[max(seen)][0], rtol=0, atol=0, equal_nan=True)
    return seen


class Counted(nn.Module):
    """Tells the sizes of its batches and whether it kept the memory format."""

    def __init__(self):
        super().__init__()
        self.sizes, self.formats = [], set()

    def forward(self, x):
        self.sizes.append(len(x))
        self.formats.add(x.is_contiguous(memory_format=torch.channels_last))
        return bowls(x)
