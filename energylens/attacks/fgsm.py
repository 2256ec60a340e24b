"""The fast gradient sign method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from energylens.attacks.attack import Attack
from energylens.attacks.geometry import BALLS
from energylens.attacks.losses import Loss, ce
from energylens.attacks.pgd import climb
from energylens.attacks.settings import check_ball

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FGSM(Attack):
    """One step of size eps along the gradient's sign (L2: its direction), from the clean image.

    Source: Goodfellow et al. 2015 (arXiv:1412.6572), section 4.
    """

    KINDS: ClassVar[dict[str, dict[str, Any]]] = {"fgsm": {}}

    eps: float = 8 / 255
    norm: str = "linf"

    def __post_init__(self):
        check_ball(self, BALLS)

    def objective(self, model, x: Tensor, y: Tensor, target: Tensor | None) -> Loss:
        """What it climbs: logits at x* -> [B]."""
        return ce(model, x, y, target)

    def _search(self, model, x, y, keys, target, observe) -> Tensor:
        loss = self.objective(model, x, y, target)
        return climb((model, model), x, x.clone(), loss, BALLS[self.norm], self.eps, self.eps, 1, observe)
