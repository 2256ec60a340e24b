"""Carlini and Wagner's L2 attack, done right and as the paper's software does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from energylens.attacks import targets
from energylens.attacks.attack import Attack
from energylens.attacks.settings import SEMANTICS, check_choices, check_numbers
from energylens.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CW(Attack):
    """Adam on ||x* - x||^2 + c max(margin, -kappa) over x* = (tanh w + 1) / 2; bound to no ball.

    semantics="strict": every image has its own constant, searched from `c` (times 10 while it fails,
    then halving the interval) in `searches` rounds; an image keeps its nearest adversarial point.
    semantics="paper": one constant, no search, and the quirks of torchattacks 3.5.1, which the paper
    used. Its margin takes negative logits for zero, so that a constant added to all logits changes the
    outcome; pixels at 0 and 1 never move; it stops once the batch's cost, looked at ten times, has risen.
    In both, images where it fails come back as they were.

    Source: Carlini and Wagner 2017 (arXiv:1608.04644), section VI.A.
    """

    KINDS: ClassVar[dict[str, dict[str, Any]]] = {"cw": {}, "cw-t": {"target": "random"}}

    c: float = 1.0
    kappa: float = 0.0
    """how far beyond the boundary, in logits"""
    steps: int = 50
    lr: float = 0.01
    searches: int = 6
    """strict: rounds of the search for each image's constant"""
    semantics: str = "strict"
    batch: int = 100
    """images that share a batch, on which the result depends in the paper's semantics"""
    seed: int = 0
    """of random targets, and 0 without them: the attack draws nothing else"""
    target: str | int | None = None
    """Given class: `random` (wrong, keyed by image), `least-likely`, or a class."""

    def __post_init__(self):
        if self.target != "random":  # it draws nothing
            object.__setattr__(self, "seed", 0)
        if self.semantics == "paper" and self.searches != CW.searches:
            raise UserError(f"CW(searches={self.searches}, semantics='paper') searches no constant; leave it out")
        check_choices(self, semantics=SEMANTICS)
        check_numbers(self, c=1e-12, kappa=0.0, steps=1, lr=1e-12, searches=1, batch=1, seed=0)
        targets.check(self)

    @property
    def observed(self) -> bool:
        """Not by itself; its calls of the model are watched."""
        return False

    @property
    def kind(self) -> str:
        """`cw` or `cw-t`."""
        return "cw-t" if self.targeted else "cw"

    @property
    def falls_back(self) -> bool:
        """Always."""
        return True

    def _search(self, model, x, y, keys, target, observe) -> Tensor:
        from energylens.attacks import cw_paper, cw_strict

        goal, sign = (y, 1.0) if target is None else (target, -1.0)
        module = cw_paper if self.semantics == "paper" else cw_strict
        return module.search(self, model, x, goal, sign)
