"""Auto-PGD, from pyautoattack: APGD-CE, APGD-DLR, and APGD-T on the targeted DLR loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from energylens.attacks.attack import Attack
from energylens.attacks.settings import SEMANTICS, check_ball, check_choices, check_numbers
from energylens.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

_KIND = {"ce": "apgd-ce", "dlr": "apgd-dlr", "targeted-dlr": "apgd-t"}
_LEAST_CLASSES = {"ce": 2, "dlr": 3, "targeted-dlr": 4}


@dataclass(frozen=True)
class APGD(Attack):
    """PGD with momentum whose step size halves when it stalls (Croce and Hein 2020, arXiv:2003.01690).

    loss="targeted-dlr" (APGD-T) tries wrong classes one after the other, the likeliest first, and
    succeeds with any wrong class: it is no given-class attack. It never moves images that are wrong already.

    semantics="strict": every image keeps an adversarial point where one was found, else its point of
    highest loss (APGD-T: of the smallest margin); APGD-CE and -DLR attack wrong images too.
    semantics="paper": failed and already wrong images come back as they were, as AutoAttack and torchattacks do.
    """

    KINDS: ClassVar[dict[str, dict[str, Any]]] = {
        "apgd-ce": {},
        "apgd-dlr": {"loss": "dlr"},
        "apgd-t": {"loss": "targeted-dlr"},
    }

    eps: float = 8 / 255
    norm: str = "linf"
    steps: int = 100
    restarts: int = 1
    loss: str = "ce"
    classes: int = 9
    """APGD-T: how many wrong classes to try; K - 1 at most"""
    semantics: str = "strict"
    batch: int = 100
    """images that share a batch, on which the result depends"""
    seed: int = 0

    def __post_init__(self):
        check_ball(self, ("linf", "l2"))
        check_choices(self, loss=_KIND, semantics=SEMANTICS)
        if self.loss != "targeted-dlr" and self.classes != APGD.classes:
            raise UserError(f"APGD(loss='{self.loss}', classes={self.classes}): only apgd-t tries classes")
        check_numbers(self, steps=1, restarts=1, classes=1, batch=1, seed=0)

    @property
    def observed(self) -> bool:
        """Not by itself; its calls of the model are watched."""
        return False

    @property
    def kind(self) -> str:
        """Its name by its loss."""
        return _KIND[self.loss]

    @property
    def classes_needed(self) -> int:
        """DLR divides by a difference to the third largest logit, its targeted form to the fourth."""
        return _LEAST_CLASSES[self.loss]

    @property
    def falls_back(self) -> bool:
        """In the paper's semantics; APGD-T always leaves wrong images alone."""
        return self.semantics == "paper" or self.loss == "targeted-dlr"

    def _search(self, model, x, y, keys, target, observe) -> Tensor:
        from energylens.attacks.library import Net, classes_of, own_random_numbers

        net, seed = Net(model, x), self.seed + keys[0]
        count = classes_of(net, x, self)
        x = x.contiguous()
        with own_random_numbers(seed):
            if self.loss == "targeted-dlr":
                return self._any_wrong_class(net, x, y, seed, min(self.classes, count - 1))
            return self._untargeted(net, x, y, seed)

    def _settings(self, x: Tensor, seed: int) -> dict[str, Any]:
        from energylens.attacks.library import NORMS, QUIET

        return {
            "n_iter": self.steps, "norm": NORMS[self.norm], "n_restarts": self.restarts, "eps": self.eps,
            "seed": seed, "device": x.device, "logger": QUIET,
        }  # fmt: skip

    def _untargeted(self, net, x: Tensor, y: Tensor, seed: int) -> Tensor:
        import torch
        from pyautoattack.autopgd_base import APGDAttack

        attack = APGDAttack(net, loss=self.loss, **self._settings(x, seed))
        if self.semantics == "paper":
            return _only_broken(net, x, y, attack.perturb(x, y))
        attack.init_hyperparam(x)
        best, highest = x.clone(), x.new_full((len(x),), -torch.inf)
        found = torch.zeros_like(y, dtype=torch.bool)
        for _ in range(self.restarts):
            point, right, loss, adversarial = attack.attack_single_run(x, y)
            new = _broken(net, adversarial, y, ~right.bool()) & ~found
            better = ~found & ~new & (loss > highest)
            best[better], highest[better] = point[better], loss[better]
            best[new] = adversarial[new]
            found |= new
        return best

    def _any_wrong_class(self, net, x: Tensor, y: Tensor, seed: int, count: int) -> Tensor:
        import torch
        from pyautoattack.autopgd_base import APGDAttack_targeted

        from energylens import energy

        attack = APGDAttack_targeted(net, n_target_classes=count, **self._settings(x, seed))
        if self.semantics == "paper":
            return _only_broken(net, x, y, attack.perturb(x, y))
        attack.init_hyperparam(x)
        with torch.no_grad():
            order = net.exact(x).argsort(1, descending=True)
        best, smallest = x.clone(), x.new_full((len(x),), torch.inf)
        left = order[:, 0] == y
        for rank in range(1, count + 1):
            for _ in range(self.restarts):
                rows = left.nonzero()[:, 0]
                if not len(rows):
                    return best
                attack.y_target = order[rows, rank]
                point, right, _, adversarial = attack.attack_single_run(x[rows], y[rows])
                with torch.no_grad():
                    margin = energy.logit_margin(net.exact(point), y[rows])
                better = margin < smallest[rows]
                best[rows[better]], smallest[rows[better]] = point[better], margin[better]
                won = _broken(net, adversarial, y[rows], ~right.bool())
                best[rows[won]] = adversarial[won]
                left[rows[won]] = False
        return best


def _broken(net, points: Tensor, y: Tensor, claimed: Tensor) -> Tensor:
    """Which of the points that a search in any precision claims are wrong in float32."""
    from energylens.attacks.precision import confirmed

    return confirmed(net.model, points, claimed, lambda logits, rows: logits.argmax(1) != y[rows])


def _only_broken(net, x: Tensor, y: Tensor, points: Tensor) -> Tensor:
    """The points, but x itself where float32 calls them right."""
    moved = (points != x).flatten(1).any(1)
    broken = _broken(net, points, y, moved)
    kept = points.clone()
    kept[~broken] = x[~broken]
    return kept
