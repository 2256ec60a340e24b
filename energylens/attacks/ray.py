"""Points on a straight line through the image: how the energy runs around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from energylens import keyed
from energylens.attacks.attack import Attack
from energylens.attacks.losses import ce
from energylens.attacks.pgd import PGD
from energylens.attacks.settings import check_choices, check_numbers
from energylens.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def _random(model, x: Tensor, y: Tensor, keys: list[int], ray: Ray) -> Tensor:
    """Random signs, keyed by seed and image: as long as FGSM's, in Linf and in L2."""
    draws = [keyed.rng(ray.seed, keyed.SIGNS, i).integers(2, size=x.shape[1:]) for i in keys]
    return x.new_tensor(2 * np.stack(draws) - 1)


def _fgsm(model, x: Tensor, y: Tensor, keys: list[int], ray: Ray) -> Tensor:
    """The sign of the gradient of CE at the image."""
    import torch

    at = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(ce(model, x, y, None)(model(at)).sum(), at)
    return gradient.sign()


def _pgd(model, x: Tensor, y: Tensor, keys: list[int], ray: Ray) -> Tensor:
    """Towards the point where PGD-20 of radius eps ends."""
    return (PGD(eps=ray.eps, seed=ray.seed)._search(model, x, y, keys, None, None) - x) / ray.eps


DIRECTIONS = {"random": _random, "fgsm": _fgsm, "pgd": _pgd}
"""u of Linf length 1, PGD's at most; it is found once, at the image"""


@dataclass(frozen=True)
class Ray(Attack):
    """clamp(x + r u, 0, 1) for r from 0 to `times` eps along one direction u, in `steps` equal parts.

    Step k of `--record steps` is the point at r = k/steps times eps; it ends at the last one. eps is the radius in
    which PGD finds its direction, and the unit of r; with `times` above 1 the ray leaves that ball.
    """

    KINDS: ClassVar[dict[str, dict[str, Any]]] = {"ray": {}}

    eps: float = 8 / 255
    direction: str = "random"
    """`random` signs, `fgsm` (sign of the gradient of CE at the image) or `pgd` (to the point of PGD-20)."""
    times: float = 1.0
    """Length of the ray in eps."""
    steps: int = 1
    """Equal parts in which it is recorded."""
    seed: int = 0

    def __post_init__(self):
        check_choices(self, direction=DIRECTIONS)
        check_numbers(self, eps=1e-12, times=1e-12, steps=1, seed=0)
        if self.radius > 1:
            long = f"Ray(eps={self.eps:g}, times={self.times:g})"
            raise UserError(f"{long} is longer than 1, the whole range of a pixel; 8 of 255 is written 8/255")

    @property
    def norm(self) -> str:
        """Linf."""
        return "linf"

    @property
    def radius(self) -> float:
        """`times` eps."""
        return self.times * self.eps

    def _search(self, model, x, y, keys, target, observe) -> Tensor:
        import torch

        u = DIRECTIONS[self.direction](model, x, y, keys, self)
        parts = range(self.steps + 1) if observe else (self.steps,)
        for k in parts:
            point = (x + k * self.radius / self.steps * u).clamp(0, 1)
            if observe:
                with torch.no_grad():
                    observe(k, point, model(point))
        return point


def settings(name: str) -> tuple[str, float]:
    """Direction and `times` of a ray by its name in a table: `ray-eps0.2-directionpgd-times2` is ("pgd", 2.0)."""
    direction, times = re.search(r"-direction(\w+)", name), re.search(r"-times([\d.]+)(?:_255)?", name)
    length = float(times[1]) / (255 if times[0].endswith("_255") else 1) if times else Ray.times
    return direction[1] if direction else Ray.direction, length
