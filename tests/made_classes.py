"""Data sets whose principal components are known."""

import numpy as np
import torch
from scipy.linalg import hadamard

from energylens.data import Data

AXES = hadamard(16)[1:5] / 4
"""[4, P] orthonormal, of images 1x4x4"""
SPREADS = np.array([0.08, 0.04, 0.02, 0.01])
"""standard deviations (over n) along them; of the variance they are 64, 16, 4 and 1 of 85 parts"""


def around(n: int, mean: float = 0.5) -> np.ndarray:
    """[n, P] grey images that lie along AXES, SPREADS wide; n is a power of 2, at least 8."""
    return mean + (hadamard(n)[:, 1:5] * SPREADS) @ AXES


def made(*classes: np.ndarray, name: str = "made") -> Data:
    """A training set of these images, class by class."""
    images = torch.from_numpy(np.concatenate(classes).astype(np.float32)).view(-1, 1, 4, 4)
    labels = torch.from_numpy(np.repeat(np.arange(len(classes)), [len(one) for one in classes]))
    return Data(name, "train", images, labels, np.arange(len(labels)))


def scattered(n: int, seed: int = 0) -> np.ndarray:
    """[n, P] images without any order."""
    rng = np.random.default_rng(seed)
    return 0.5 + 0.05 * rng.standard_normal((n, 16)) @ rng.standard_normal((16, 16)) / 4
