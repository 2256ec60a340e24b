"""Which checkpoint is kept as the best: the one of the highest PGD-20 accuracy on images apart."""

from dataclasses import replace

import numpy as np
from torch import nn

from energylens import energy
from energylens.attacks import PGD
from energylens.data import Data
from energylens.errors import UserError
from energylens.reach import measure

HELD_OUT_SEED = 0
"""of the draw of held-out images, the same for all seeds of a run"""


def held_out(data: Data, images: int) -> tuple[Data, Data]:
    """Training images without, and only, those that best-val looks at.

    Raises:
        UserError: none would be left to train on.
    """
    if images >= len(data):
        raise UserError(f"--val-images {images}: there are {len(data)} training images; hold out fewer")
    drawn = np.zeros(len(data), bool)
    drawn[np.random.default_rng(HELD_OUT_SEED).permutation(len(data))[:images]] = True
    return replace(data, index=data.index[~drawn]), replace(data, index=data.index[drawn])


def accuracies(net: nn.Module, images: Data, eps: float, batch: int = 128) -> dict[str, float]:
    """Shares of the selected images that are right, natural (`clean`) and under PGD-20 (`robust`).

    Args:
        net: the classifier; measured in eval mode, left as it was.
        images: those to look at.
        eps: Linf radius; steps of eps/4, one uniform start (Mirza et al. 2024, Table 1).
        batch: images at once.
    """
    right = {"clean": 0, "robust": 0}
    pgd = PGD(eps=eps)
    for points in measure(net, images, (None, pgd), 0, len(images), batch):
        for name, attack in (("clean", None), ("robust", pgd)):
            right[name] += int((energy.predict(points[attack].logits) == points[attack].y).sum())
    return {name: count / len(images) for name, count in right.items()}
