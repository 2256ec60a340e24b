"""The balls that attacks move in: how to step, how to come back, how to start, how to measure.

A ball is four functions of displacements delta [B, C, H, W] in pixel units; nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


class Ball(NamedTuple):
    """A norm's geometry."""

    steepest: Callable[[Tensor], Tensor]
    """gradient -> the step of norm 1 along which a linear function grows fastest"""
    project: Callable[[Tensor, float], Tensor]
    """displacement, eps -> the nearest displacement of norm at most eps"""
    sample: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
    """random numbers, shape of one image -> a displacement uniform in the unit ball"""
    norm: Callable[[Tensor], Tensor]
    """displacement -> [B] its size"""


def _lengths(delta: Tensor) -> Tensor:
    return delta.flatten(1).norm(dim=1)


def _per_image(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))


def _l2_steepest(gradient: Tensor) -> Tensor:
    return gradient / _per_image(_lengths(gradient).clamp_min(1e-12), gradient)  # a zero gradient stays zero


def _l2_project(delta: Tensor, eps: float) -> Tensor:
    return delta * _per_image((eps / _lengths(delta).clamp_min(1e-12)).clamp_max(1), delta)


def _l2_sample(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    direction = rng.standard_normal(shape, dtype=np.float32)
    radius = rng.random() ** (1 / direction.size)  # uniform by volume
    return direction * np.float32(radius / np.linalg.norm(direction))


BALLS = {
    "linf": Ball(
        steepest=lambda gradient: gradient.sign(),
        project=lambda delta, eps: delta.clamp(-eps, eps),
        sample=lambda rng, shape: 2 * rng.random(shape, dtype=np.float32) - 1,
        norm=lambda delta: delta.flatten(1).abs().amax(1),
    ),
    "l2": Ball(_l2_steepest, _l2_project, _l2_sample, _lengths),
}
