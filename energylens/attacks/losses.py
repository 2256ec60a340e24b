"""What an attack climbs: functions of the logits at x*, one value per image.

`LOSSES[name](model, x, y, target)` prepares what does not change along the way and returns
`loss(logits) -> [B]`, to be increased.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[["Tensor"], "Tensor"]


def _ce(logits: Tensor, y: Tensor) -> Tensor:
    return -logits.log_softmax(1).gather(1, y[:, None])[:, 0]


def ce(model, x: Tensor, y: Tensor, target: Tensor | None) -> Loss:
    """Cross-entropy of the true class (Madry et al. 2018, arXiv:1706.06083)."""
    return lambda logits: _ce(logits, y)


def kl(model, x: Tensor, y: Tensor, target: Tensor | None) -> Loss:
    """KL(p(. | x) || p(. | x*)), blind to labels (Zhang et al. 2019, arXiv:1901.08573)."""
    natural = model(x).detach().log_softmax(1)
    return lambda logits: (natural.exp() * (natural - logits.log_softmax(1))).sum(1)


def targeted_ce(model, x: Tensor, y: Tensor, target: Tensor | None) -> Loss:
    """Minus the cross-entropy of the wanted class (Mirza et al. 2024, section 3.1)."""
    assert target is not None
    return lambda logits: -_ce(logits, target)


def margin(model, x: Tensor, y: Tensor, target: Tensor | None) -> Loss:
    """max_{k != y} f_k - f_y (Carlini and Wagner 2017, arXiv:1608.04644, f_6 without its bound)."""
    from energylens import energy  # here, since it imports torch

    return lambda logits: -energy.logit_margin(logits, y)


def joint(model, x: Tensor, y: Tensor, target: Tensor | None) -> Loss:
    """E(x, y) = -f_y (Zhu et al. 2021, JEAT, arXiv:2108.09093): the half of CE that E(x) has no part in."""
    from energylens import energy  # here, since it imports torch

    return lambda logits: energy.joint(logits, y)


LOSSES = {"ce": ce, "kl": kl, "targeted-ce": targeted_ce, "margin": margin, "joint": joint}
