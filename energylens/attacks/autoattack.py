"""AutoAttack's standard version: four attacks, each on the images that the ones before left right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from energylens.attacks.apgd import APGD
from energylens.attacks.attack import Attack
from energylens.attacks.fab import FAB
from energylens.attacks.settings import check_ball, check_numbers
from energylens.attacks.square import Square

if TYPE_CHECKING:
    from torch import Tensor

STANDARD: tuple[APGD | FAB | Square, ...] = (
    APGD(semantics="paper"),
    APGD(semantics="paper", loss="targeted-dlr"),
    FAB(classes=9),
    Square(semantics="paper", rescale=False),
)


@dataclass(frozen=True)
class AutoAttack(Attack):
    """APGD-CE, APGD-T, FAB-T and Square of 5,000 queries (Croce and Hein 2020, arXiv:2003.01690).

    Images that stay right, and those that were wrong before, come back as they were. `observe` sees the
    state after each part; a table's column `part` names the one that broke an image.
    """

    KINDS: ClassVar[dict[str, dict[str, Any]]] = {"autoattack": {}}
    parts: ClassVar[tuple[str, ...]] = tuple(part.kind for part in STANDARD)

    eps: float = 8 / 255
    norm: str = "linf"
    batch: int = 100
    """images that share a batch, on which the result depends"""
    seed: int = 0

    def __post_init__(self):
        check_ball(self, ("linf", "l2"))
        check_numbers(self, batch=1, seed=0)

    @property
    def classes_needed(self) -> int:
        """Of its second part, APGD-T."""
        return 4

    @property
    def falls_back(self) -> bool:
        """Always, as the software does."""
        return True

    def _search(self, model, x, y, keys, target, observe) -> Tensor:
        import torch

        from energylens.attacks.precision import exact

        decide = exact(model)

        def logits_at(points: Tensor) -> Tensor:
            with torch.no_grad():
                return decide(points)

        x_adv = x.clone()
        logits = logits_at(x)
        self.check_classes(logits.shape[1], "this one")
        if observe:
            observe(0, x_adv.clone(), logits)
        for number, part in enumerate(STANDARD, 1):
            rows = (logits.argmax(1) == y).nonzero()[:, 0]
            if len(rows):
                attack = replace(part, eps=self.eps, norm=self.norm, batch=self.batch, seed=self.seed)
                x_adv[rows] = attack._search(model, x[rows], y[rows], keys[:1], None, None)
                logits = logits_at(x_adv)
            if observe:
                observe(number, x_adv.clone(), logits)
        return x_adv
