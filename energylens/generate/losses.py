"""What a chain lowers: functions (logits [B, K], y [B], goal [B] or None) -> [B], in nats (`reference`: nats squared).

y are the classes wanted, goal the mean E(x, y) of each one's training images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[["Tensor", "Tensor", "Tensor | None"], "Tensor"]


def joint(logits: Tensor, y: Tensor, goal: Tensor | None) -> Tensor:
    """E(x, y) = -f_y, as JEAT and eq. 7 do."""
    from energylens import energy  # here, since it imports torch

    return energy.joint(logits, y)


def ce(logits: Tensor, y: Tensor, goal: Tensor | None) -> Tensor:
    """E(x, y) - E(x), as Santurkar et al. 2019 (arXiv:1906.09453) do."""
    from energylens import energy  # here, since it imports torch

    return energy.cross_entropy(logits, y)


def marginal(logits: Tensor, y: Tensor, goal: Tensor | None) -> Tensor:
    """E(x), blind to the class, as JEM does (arXiv:1912.03263)."""
    from energylens import energy  # here, since it imports torch

    return energy.marginal(logits)


def reference(logits: Tensor, y: Tensor, goal: Tensor | None) -> Tensor:
    """(E(x, y) - goal)^2: the wanted class's energy shall become that of its training images, and not lower.

    `reference_energy_xy` in the code of Mirza et al. 2024.
    """
    from energylens import energy  # here, since it imports torch

    assert goal is not None
    return (energy.joint(logits, y) - goal).square()


LOSSES: dict[str, Loss] = {"joint": joint, "ce": ce, "marginal": marginal, "reference": reference}
