"""Where an attack starts, and which class it wants: random, but keyed by the image.

An image's noise depends on (seed, restart, index) alone: neither on its batch nor on the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from energylens import keyed
from energylens.attacks.geometry import Ball

if TYPE_CHECKING:
    from torch import Tensor


def _stack(draws: list[np.ndarray], like: Tensor) -> Tensor:
    return like.new_tensor(np.stack(draws))


def uniform(x: Tensor, eps: float, ball: Ball, seed: int, restart: int, index: list[int]) -> Tensor:
    """Uniform in the ball of radius eps."""
    draws = [ball.sample(keyed.rng(seed, restart, i), x.shape[1:]) for i in index]
    return eps * _stack(draws, x)


def tiny(x: Tensor, eps: float, ball: Ball, seed: int, restart: int, index: list[int]) -> Tensor:
    """0.001 N(0, 1), the start of TRADES's inner attack."""
    shape = x.shape[1:]
    draws = [keyed.rng(seed, restart, i).standard_normal(shape, dtype=np.float32) for i in index]
    return 0.001 * _stack(draws, x)


def clean(x: Tensor, eps: float, ball: Ball, seed: int, restart: int, index: list[int]) -> Tensor:
    """The natural image itself."""
    return x.new_zeros(())


STARTS = {"uniform": uniform, "tiny": tiny, "clean": clean}


def random_wrong_class(y: Tensor, classes: int, seed: int, index: list[int]) -> Tensor:
    """[B] classes drawn uniformly from the classes - 1 wrong ones."""
    shift = [1 + int(keyed.rng(seed, keyed.TARGETS, i).integers(classes - 1)) for i in index]
    return (y + y.new_tensor(shift)) % classes
