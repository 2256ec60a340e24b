"""CW-L2 with the margin as defined, a constant for each image, and nothing shared between images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from energylens import energy
from energylens.attacks.precision import confirmed

if TYPE_CHECKING:
    from energylens.attacks.cw import CW

UNBOUNDED = 1e10
INSIDE = 1 - 1e-6
"""how far towards 0 and 1 pixels are drawn, so that those at the border can move"""


def search(cw: CW, model, x: Tensor, goal: Tensor, sign: float) -> Tensor:
    """The nearest adversarial point of each image; x itself where none was found.

    Args:
        cw: the settings.
        model: the classifier.
        x: [B, C, H, W] natural images.
        goal: [B] true classes (sign 1), or wanted classes (sign -1).
        sign: 1 to leave the class `goal`, -1 to reach it.
    """
    constant = x.new_full((len(x),), cw.c)
    low, high = torch.zeros_like(constant), torch.full_like(constant, UNBOUNDED)
    best, kept = torch.full_like(constant, torch.inf), x.clone()
    for _ in range(cw.searches):
        nearest, points = _descend(cw, model, x, goal, sign, constant)
        closer = nearest < best
        best[closer], kept[closer] = nearest[closer], points[closer]
        found = nearest.isfinite()
        high = torch.where(found, torch.minimum(high, constant), high)
        low = torch.where(found, low, torch.maximum(low, constant))
        constant = torch.where(high < UNBOUNDED, (low + high) / 2, torch.where(found, constant, 10 * constant))
    return kept


def _descend(cw: CW, model, x: Tensor, goal: Tensor, sign: float, constant: Tensor) -> tuple[Tensor, Tensor]:
    """[B] squared distance of the nearest adversarial point (inf: none), and the points."""

    def beyond(logits: Tensor, rows: Tensor) -> Tensor:
        return sign * energy.logit_margin(logits, goal[rows]) < -cw.kappa

    base = ((2 * x - 1) * INSIDE).atanh()
    moved = torch.zeros_like(x).requires_grad_()
    adam = torch.optim.Adam([moved], lr=cw.lr)
    nearest, points = x.new_full((len(x),), torch.inf), x.clone()
    for _ in range(cw.steps):
        x_adv = ((base + moved).tanh() + 1) / 2
        distance = (x_adv - x).flatten(1).square().sum(1)
        excess = sign * energy.logit_margin(model(x_adv), goal)
        better = confirmed(model, x_adv, (excess < -cw.kappa) & (distance < nearest), beyond)
        nearest[better], points[better] = distance.detach()[better], x_adv.detach()[better]
        cost = distance + constant * (excess + cw.kappa).clamp_min(0)
        (moved.grad,) = torch.autograd.grad(cost.sum(), moved)
        adam.step()
    return nearest, points
