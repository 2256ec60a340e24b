"""Where an attack starts, and which class it wants: random, but keyed by the image.

An image's noise depends on (seed, restart, index) alone: neither on its batch nor on the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from energylens.attacks.geometry import Ball

if TYPE_CHECKING:
    from torch import Tensor

_TARGETS = 1 << 31  # a stream of its own, apart from every restart's


def _rng(seed: int, stream: int, index: int) -> np.random.Generator:
    key = np.array([seed, (stream << 32) + index], np.uint64)  # a plain list would pass through float64
    return np.random.Generator(np.random.Philox(key=key))


def _stack(draws: list[np.ndarray], like: Tensor) -> Tensor:
    return like.new_tensor(np.stack(draws))


def uniform(x: Tensor, eps: float, ball: Ball, seed: int, restart: int, index: list[int]) -> Tensor:
    """Uniform in the ball of radius eps."""
    draws = [ball.sample(_rng(seed, restart, i), x.shape[1:]) for i in index]
    return eps * _stack(draws, x)


def tiny(x: Tensor, eps: float, ball: Ball, seed: int, restart: int, index: list[int]) -> Tensor:
    """0.001 N(0, 1), the start of TRADES's inner attack."""
    shape = x.shape[1:]
    draws = [_rng(seed, restart, i).standard_normal(shape, dtype=np.float32) for i in index]
    return 0.001 * _stack(draws, x)


def clean(x: Tensor, eps: float, ball: Ball, seed: int, restart: int, index: list[int]) -> Tensor:
    """The natural image itself."""
    return x.new_zeros(())


STARTS = {"uniform": uniform, "tiny": tiny, "clean": clean}


def random_wrong_class(y: Tensor, classes: int, seed: int, index: list[int]) -> Tensor:
    """[B] classes drawn uniformly from the classes - 1 wrong ones."""
    shift = [1 + int(_rng(seed, _TARGETS, i).integers(classes - 1)) for i in index]
    return (y + y.new_tensor(shift)) % classes
