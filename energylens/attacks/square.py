"""Square Attack, from pyautoattack: random search without gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from energylens.attacks import targets
from energylens.attacks.attack import Attack
from energylens.attacks.settings import SEMANTICS, check_ball, check_choices, check_numbers
from energylens.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Square(Attack):
    """Squares of colour at random places, kept where the loss falls (Andriushchenko et al. 2020, arXiv:1912.00049).

    semantics="strict": every image is attacked and keeps its best point. semantics="paper": failed and
    already wrong images come back as they were. Untargeted it lowers the margin; for a given class, the
    cross-entropy of that class.
    """

    KINDS: ClassVar[dict[str, dict[str, Any]]] = {"square": {}, "square-t": {"target": "random"}}

    eps: float = 8 / 255
    norm: str = "linf"
    queries: int = 5000
    restarts: int = 1
    p_init: float = 0.8
    """share of the image that the first squares cover"""
    rescale: bool = True
    """Shrink the squares by the share of queries spent; AutoAttack shrinks them as if there were 10,000."""
    semantics: str = "strict"
    batch: int = 100
    """images that share a batch, on which the result depends: all of them try the same squares"""
    seed: int = 0
    target: str | int | None = None
    """Given class: `random` (wrong, keyed by image), `least-likely`, or a class."""

    def __post_init__(self):
        check_ball(self, ("linf", "l2"))
        check_choices(self, semantics=SEMANTICS)
        check_numbers(self, queries=1, restarts=1, p_init=1e-12, batch=1, seed=0)
        if not isinstance(self.rescale, bool):
            raise UserError(f"Square(rescale={self.rescale!r}): rescale is true or false")
        if self.p_init > 1:
            raise UserError(f"Square(p_init={self.p_init:g}): p_init is a share of the image, at most 1")
        targets.check(self)

    @property
    def observed(self) -> bool:
        """Not by itself; its calls of the model are watched."""
        return False

    @property
    def kind(self) -> str:
        """`square` or `square-t`."""
        return "square-t" if self.targeted else "square"

    @property
    def falls_back(self) -> bool:
        """In the paper's semantics."""
        return self.semantics == "paper"

    def _search(self, model, x, y, keys, target, observe) -> Tensor:
        from energylens.attacks.library import NORMS, Net, own_random_numbers
        from energylens.attacks.square_net import Square as Library

        if self.norm == "l2" and min(x.shape[-2:]) < 5:
            size = "x".join(map(str, x.shape[-2:]))
            raise UserError(f"attack {self.name} needs images of 5x5 pixels or more in L2, these have {size}")
        seed, goal = self.seed + keys[0], y if target is None else target
        attack = Library(
            Net(model, x), norm=NORMS[self.norm], n_queries=self.queries, eps=self.eps, p_init=self.p_init,
            n_restarts=self.restarts, seed=seed, targeted=self.targeted, resc_schedule=self.rescale, device=x.device,
        )  # fmt: skip
        with own_random_numbers(seed):
            if self.semantics == "paper":
                return attack.perturb(x.contiguous(), goal)
            return attack.best(x.contiguous(), goal)
