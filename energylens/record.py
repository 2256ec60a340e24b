"""From logits to the columns of an EnergyTable."""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from torch import Tensor

from energylens import energy
from energylens.attacks import Attack
from energylens.attacks.geometry import BALLS
from energylens.errors import UserError

TOLERANCE = 1e-6
"""by which a recorded point may leave its ball: rounding in float32"""


@dataclass(frozen=True)
class Points:
    """A batch of points to be recorded, on any device."""

    logits: Tensor
    """[B, K] float32 at the points"""
    natural: Tensor
    """[B, K] float32 at the natural images"""
    y: Tensor
    """[B] true classes"""
    x: Tensor
    """[B, C, H, W] the points themselves"""
    delta: Tensor
    """[B, C, H, W] displacement from the natural images, pixel units"""
    index: Tensor
    """[B] places in the split"""
    target: Tensor | None = None
    """[B] wanted classes"""
    part: np.ndarray | None = None
    """[B] which part of an ensemble broke each image; None where none did"""

    def cpu(self) -> "Points":
        """The same, detached, on the CPU."""
        moved: dict[str, Any] = {}
        for name, value in vars(self).items():
            moved[name] = value.detach().cpu() if isinstance(value, Tensor) else value
        return Points(**moved)


def columns(points: Points, attack: Attack | None, keep_logits: bool = False) -> dict[str, Any]:
    """The measured columns of one batch, energies computed in float64 from the float32 logits.

    Args:
        points: what was reached.
        attack: what moved the images there; None for natural images.
        keep_logits: whether the column `logits` is filled.

    Returns:
        One array or list per column.
    """
    exact, y, target = points.logits.double(), points.y, points.target
    pred = energy.predict(points.logits)
    return {
        "sample": points.index.numpy(),
        "label": y.numpy(),
        "target": np.full(len(y), None) if target is None else target.numpy(),
        "status": _status(points, pred, attack),
        "part": np.full(len(y), None) if points.part is None else points.part,
        "clean_correct": (energy.predict(points.natural) == y).numpy(),
        "pred": pred.numpy(),
        "energy": energy.marginal(exact).numpy(),
        "joint_energy": energy.joint(exact, y).numpy(),
        "target_energy": np.full(len(y), None) if target is None else energy.joint(exact, target).numpy(),
        "ce": energy.cross_entropy(exact, y).numpy(),
        "entropy": energy.entropy(exact).numpy(),
        "prob_margin": energy.prob_margin(exact, y).numpy(),
        "logit_margin": energy.logit_margin(exact, y).numpy(),
        **{norm: BALLS[norm].norm(points.delta).numpy() for norm in ("linf", "l2")},
        "logits": list(points.logits.numpy()) if keep_logits else [None] * len(y),
    }


def _status(points: Points, pred: Tensor, attack: Attack | None) -> np.ndarray:
    if attack is None:
        status = np.full(len(pred), "natural", dtype=object)
    else:
        status = reached(pred, points)
        if attack.falls_back:
            left = (BALLS["linf"].norm(points.delta) <= TOLERANCE).numpy()
            status[left] = np.where(status[left] == "success", "not_attacked", "clean_fallback")
    status[points.logits.isnan().any(1).numpy()] = "nan"
    return status


def reached(pred: Tensor, points: Points) -> np.ndarray:
    """[B] `success` where the class is wrong (is the wanted one), `best_effort` elsewhere."""
    there = pred != points.y if points.target is None else pred == points.target
    return np.where(there.numpy(), "success", "best_effort").astype(object)


def check_points(x_adv: Tensor, delta: Tensor, attack: Attack) -> None:
    """Every point in its ball, if the attack has one, and in [0, 1]; NaN passes, its row says so.

    Raises:
        UserError: the attack left the ball or the range.
    """
    reach = float(BALLS[attack.norm].norm(delta.double()).nan_to_num(0).max())
    if attack.radius is not None and reach > attack.radius * (1 + 2e-6) + TOLERANCE:
        left = f"{attack.norm} distance {reach:.6f}, eps {attack.radius:.6f}"
        raise UserError(f"attack {attack.name} left its ball: {left}")
    if ((x_adv < 0) | (x_adv > 1)).any():
        raise UserError(f"attack {attack.name} left [0, 1]: pixels from {x_adv.min():.4f} to {x_adv.max():.4f}")


def joined(batches: list[dict[str, Any]]) -> dict[str, Any]:
    """Batches one behind the other."""
    return {name: _behind_one_another([batch[name] for batch in batches]) for name in batches[0]}


def _behind_one_another(chunks: list) -> Any:
    if isinstance(chunks[0], np.ndarray):
        return np.concatenate(chunks)
    return list(chain.from_iterable(chunks))
