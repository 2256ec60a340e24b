"""From logits to the columns of an EnergyTable."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from energylens import energy
from energylens.attacks import PGD
from energylens.attacks.geometry import BALLS
from energylens.errors import UserError

TOLERANCE = 1e-6
"""by which a recorded point may leave its ball: rounding in float32"""


def columns(
    logits: Tensor, natural: Tensor, y: Tensor, delta: Tensor, index: Tensor, attack: PGD | None, target: Tensor | None
) -> dict[str, np.ndarray]:
    """The measured columns of one batch.

    Args:
        logits: [B, K] float32 at the points.
        natural: [B, K] float32 at the natural images.
        y: [B] true classes.
        delta: [B, C, H, W] displacement from the natural images, pixel units.
        index: [B] places in the split.
        attack: what moved the points; None for natural images.
        target: [B] wanted classes, or None.

    Returns:
        One array per column, energies computed in float64 from the float32 logits.
    """
    exact = logits.double()
    pred = logits.argmax(1)
    return {
        "sample": index.numpy(),
        "label": y.numpy(),
        "target": np.full(len(y), None) if target is None else target.numpy(),
        "status": _status(logits, pred, y, attack, target),
        "clean_correct": (natural.argmax(1) == y).numpy(),
        "pred": pred.numpy(),
        "energy": energy.marginal(exact).numpy(),
        "joint_energy": energy.joint(exact, y).numpy(),
        "target_energy": np.full(len(y), None) if target is None else energy.joint(exact, target).numpy(),
        "ce": energy.cross_entropy(exact, y).numpy(),
        "entropy": energy.entropy(exact).numpy(),
        "prob_margin": energy.prob_margin(exact, y).numpy(),
        "logit_margin": energy.logit_margin(exact, y).numpy(),
        **{norm: BALLS[norm].norm(delta).numpy() for norm in ("linf", "l2")},
    }


def _status(logits: Tensor, pred: Tensor, y: Tensor, attack: PGD | None, target: Tensor | None) -> np.ndarray:
    if attack is None:
        status = np.full(len(y), "natural", dtype=object)
    else:
        reached = pred == target if target is not None else pred != y
        status = np.where(reached.numpy(), "success", "best_effort").astype(object)
    status[logits.isnan().any(1).numpy()] = "nan"
    return status


def check_points(x_adv: Tensor, delta: Tensor, attack: PGD) -> None:
    """Every point in its ball and in [0, 1]; NaN passes, its row says so.

    Raises:
        UserError: the attack left the ball or the range.
    """
    reach = float(BALLS[attack.norm].norm(delta).nan_to_num(0).max())
    if reach > attack.eps + TOLERANCE:
        raise UserError(f"attack {attack.name} left its ball: {attack.norm} distance {reach:.6f}, eps {attack.eps:.6f}")
    if ((x_adv < 0) | (x_adv > 1)).any():
        raise UserError(f"attack {attack.name} left [0, 1]: pixels from {x_adv.min():.4f} to {x_adv.max():.4f}")


def joined(batches: list[dict[str, np.ndarray]], constants: dict[str, Any]) -> dict[str, Any]:
    """Batches one behind the other, with the columns that are the same in every row."""
    rows = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    length = len(rows["sample"])
    return rows | {name: [value] * length for name, value in constants.items()}


def to_cpu(*tensors: Tensor) -> list[Tensor]:
    """Detached, contiguous float32 (or int64) copies on the CPU."""
    return [tensor.detach().to("cpu", memory_format=torch.contiguous_format) for tensor in tensors]
