"""The Fast Adaptive Boundary attack, from pyautoattack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from energylens.attacks.attack import Attack
from energylens.attacks.settings import check_ball, check_numbers

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FAB(Attack):
    """The nearest point across the decision boundary (Croce and Hein 2020, arXiv:1907.02044).

    It minimises the distance; points farther than eps, and images that are wrong already, come back as
    they were. `classes=9` (FAB-T) goes to wrong classes one after the other, the likeliest first, and
    succeeds with any of them; `classes=0` looks at all boundaries at once, one backward pass a class.
    """

    KINDS: ClassVar[dict[str, dict[str, Any]]] = {"fab": {}, "fab-t": {"classes": 9}}

    eps: float = 8 / 255
    norm: str = "linf"
    steps: int = 100
    restarts: int = 1
    classes: int = 0
    """FAB-T: how many wrong classes to try, K - 1 at most; 0 for all at once"""
    batch: int = 100
    """images that share a batch"""
    seed: int = 0

    def __post_init__(self):
        check_ball(self, ("linf", "l2"))
        check_numbers(self, steps=1, restarts=1, classes=0, batch=1, seed=0)

    @property
    def observed(self) -> bool:
        """Not by itself; its calls of the model are watched."""
        return False

    @property
    def kind(self) -> str:
        """`fab` or `fab-t`."""
        return "fab-t" if self.classes else "fab"

    @property
    def falls_back(self) -> bool:
        """Always: it has no point inside the ball to offer where it fails."""
        return True

    def _search(self, model, x, y, keys, target, observe) -> Tensor:
        from energylens.attacks.fab_net import FAB as Library
        from energylens.attacks.library import NORMS, Net, classes_of, own_random_numbers

        net, seed = Net(model, x), self.seed + keys[0]
        count = classes_of(net, x, self)
        attack = Library(
            net, norm=NORMS[self.norm], n_restarts=self.restarts, n_iter=self.steps, eps=self.eps, seed=seed,
            targeted=self.classes > 0, device=x.device, n_target_classes=min(self.classes or 9, count - 1),
        )  # fmt: skip
        with own_random_numbers(seed):
            return attack.perturb(x.contiguous(), y)
