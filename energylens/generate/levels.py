"""What real images of a class have: their mean joint energy under a network, and how many pixels are black or white."""

from __future__ import annotations

import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from energylens import energy, paths
from energylens.atomic import whole
from energylens.attacks.frozen import frozen
from energylens.data import Data
from energylens.errors import Note, UserError
from energylens.models import check
from energylens.reach import full_float32

BATCH = 250
"""images at once"""
VERSION = 3
"""grows when the same network and images get other levels"""


@dataclass(frozen=True)
class Levels:
    """Of each class of a network; NaN for a class without training images."""

    energy: Tensor
    """[K] mean E(x, y) over the training images of class y, nats"""
    spread: Tensor
    """[K] standard deviation of E(x, y) over them, nats"""
    saturated: Tensor
    """[K] mean share of their pixels that are 0 or 255 of 255"""


def saturated(x: Tensor) -> Tensor:
    """[B, C, H, W] in [0, 1] -> [B] share of pixels (and channels) that are black or white once they are 0 to 255."""
    stored = (x * 255).round()
    return ((stored == 0) | (stored == 255)).flatten(1).float().mean(1)


def of(net: nn.Module, sha: str, data: Data, batch: int = BATCH) -> Levels:
    """Levels of a network, where its parameters are; measured once per network and data set, and kept.

    Args:
        net: the classifier, inputs in [0, 1].
        sha: of its weights and code, as tables hold it.
        data: the training images; all that are selected count.
        batch: images at once.
    """
    path = _path(sha, data)
    if (kept := _read(path)) is None:
        kept = _measured(net, data, batch)
        _keep(path, kept)
    return kept


def known(sha: str, data: Data) -> bool:
    """Whether they are kept."""
    return _read(_path(sha, data)) is not None


def _path(sha: str, data: Data) -> Path:
    selected = f"{len(data)}-{data.shuffle_seed}"
    return paths.home() / "levels" / f"v{VERSION}-{sha[:16]}-{data.sha[:16]}-{selected}.npz"


@torch.no_grad()
def _measured(net: nn.Module, data: Data, batch: int) -> Levels:
    device, layout = check.device_of(net), check.layout(net, data)
    sums = torch.zeros(0, 4, dtype=torch.float64)
    with frozen(net), full_float32():
        for start in range(0, len(data), batch):
            x, y, _ = data.batch(start, min(start + batch, len(data)), device)
            logits = net(x.to(memory_format=layout)).double()
            joint = energy.joint(logits, y)
            values = torch.stack([torch.ones_like(joint), joint, joint.square(), saturated(x).double()], 1).cpu()
            sums = sums if len(sums) else torch.zeros(logits.shape[1], 4, dtype=torch.float64)
            sums.index_add_(0, y.cpu(), values)
    mean, square, share = (sums[:, 1:] / sums[:, :1]).unbind(1)
    return Levels(mean.float(), (square - mean.square()).clamp(min=0).sqrt().float(), share.float())


def _read(path: Path) -> Levels | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return Levels(**{name: torch.from_numpy(kept[name]) for name in ("energy", "spread", "saturated")})
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile):  # not there, or broken
        return None


def _keep(path: Path, levels: Levels) -> None:
    try:
        with whole(path, "$ENERGYLENS_HOME") as hidden, hidden.open("wb") as file:
            np.savez(file, **{name: value.numpy() for name, value in vars(levels).items()})
    except UserError as error:  # the numbers are the same without it
        warnings.warn(Note(f"energies of classes are not kept: {error}"), stacklevel=2)
