"""CW-L2 as torchattacks 3.5.1 has it, quirks included: what the paper's Figure 2 was drawn with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from energylens.attacks.precision import confirmed

if TYPE_CHECKING:
    from energylens.attacks.cw import CW


def search(cw: CW, model, x: Tensor, goal: Tensor, sign: float) -> Tensor:
    """The nearest adversarial point met on the way; x itself where none was met.

    Args:
        cw: the settings.
        model: the classifier.
        x: [B, C, H, W] natural images.
        goal: [B] true classes (sign 1), or wanted classes (sign -1).
        sign: 1 to leave the class `goal`, -1 to reach it.
    """

    def reached(logits: Tensor, rows: Tensor) -> Tensor:
        same = logits.argmax(1) == goal[rows]
        return ~same if sign > 0 else same

    every = torch.ones_like(goal, dtype=torch.bool)
    w = (2 * x - 1).atanh().requires_grad_()  # infinite at 0 and 1: those pixels stay
    adam = torch.optim.Adam([w], lr=cw.lr)
    nearest, kept = x.new_full((len(x),), 1e10), x.clone()
    last_cost = 1e10
    for step in range(cw.steps):
        x_adv = (w.tanh() + 1) / 2
        distance = (x_adv - x).flatten(1).square().sum(1)
        logits = model(x_adv)
        cost = distance.sum() + cw.c * (sign * _margin(logits, goal)).clamp_min(-cw.kappa).sum()
        (w.grad,) = torch.autograd.grad(cost, w)
        adam.step()
        better = confirmed(model, x_adv.detach(), reached(logits, every) & (distance < nearest), reached)
        nearest[better], kept[better] = distance.detach()[better], x_adv.detach()[better]
        if step % max(cw.steps // 10, 1) == 0:
            if cost.item() > last_cost:  # of the whole batch
                break
            last_cost = cost.item()
    return kept


def _margin(logits: Tensor, goal: Tensor) -> Tensor:
    """The library's: logits below zero count as zero."""
    mask = torch.nn.functional.one_hot(goal, logits.shape[1]).to(logits.dtype)
    return (mask * logits).amax(1) - ((1 - mask) * logits).amax(1)
