"""The paper's augmentation: a random crop out of the image padded by four pixels, and a flip half of the time.

What an image gets depends on (seed, epoch, its place in the split) alone: neither on its batch nor on how many
processes load images.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

PAD = 4


def augment(images: Tensor, index: Tensor, seed: int, epoch: int) -> Tensor:
    """Crop and flip a batch, where it is.

    Args:
        images: [B, C, H, W], uint8 or float.
        index: [B] places in the split.
        seed: of the run.
        epoch: from 0.

    Returns:
        [B, C, H, W] of the same type; pixels from outside are 0.

    Source: Mirza et al. 2024, their code: RandomCrop(H, padding=4) and RandomHorizontalFlip().
    """
    down, right, flip = (torch.from_numpy(draw).to(images.device) for draw in choices(index.cpu().numpy(), seed, epoch))
    height, width = images.shape[2:]
    rows = down[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(len(images), width)
    columns = right[:, None] + torch.where(flip[:, None], columns.flip(1), columns)
    padded = F.pad(images, (PAD, PAD, PAD, PAD))
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def choices(index: np.ndarray, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and columns [B] at which crops begin, from 0 to 8, and which images are flipped."""
    bits = _mixed(_mixed(_mixed(np.uint64(seed % 2**64)) + np.uint64(epoch)) + index.astype(np.uint64))
    places = np.uint64(2 * PAD + 1)
    down, right = bits % places, bits // places % places
    flip = bits >> np.uint64(63) == 1
    return down.astype(np.int64), right.astype(np.int64), flip


def _mixed(value: Any) -> Any:
    """SplitMix64's finaliser (Steele et al. 2014): neighbouring numbers become unrelated ones."""
    with np.errstate(over="ignore"):
        value = np.asarray(value) + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))
