"""PGD that keeps its energy up: against detectors that look at E(x)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from energylens.attacks.attack import Attack
from energylens.attacks.geometry import BALLS
from energylens.attacks.losses import Loss, ce
from energylens.attacks.pgd import climb
from energylens.attacks.settings import check_ball, check_numbers
from energylens.attacks.starts import STARTS
from energylens.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

HALVINGS = 8
"""rounds of the search for gamma, each a whole attack"""
HIGHEST = 2.0
"""gamma is searched between 0, which is PGD, and this; 1 climbs E(x, y) alone"""


@dataclass(frozen=True)
class HEPGD(Attack):
    """High-energy PGD: climbs CE + gamma E(x) = E(x, y) - (1 - gamma) E(x).

    gamma 0 is PGD. With gamma="search", gamma is halved in on for every image so that E(x*) comes close
    to E(x): of all points on all paths an image keeps the misclassified one whose energy is nearest to
    its natural one (the adaptive attack on a detector), and its last one where none is misclassified.

    Source: Beadini and Masi 2023 (arXiv:2304.04033); the search is ours.
    """

    KINDS: ClassVar[dict[str, dict[str, Any]]] = {"he-pgd": {}}

    eps: float = 8 / 255
    step_size: float | None = None
    """None means eps / 8."""
    steps: int = 5
    norm: str = "linf"
    gamma: float | str = 0.5
    seed: int = 0

    def __post_init__(self):
        check_ball(self, BALLS)
        check_numbers(self, steps=1, seed=0, step_size=1e-12)
        if self.gamma != "search":
            if isinstance(self.gamma, (str, bool)) or not 0 <= self.gamma < float("inf"):
                raise UserError(f"HEPGD(gamma={self.gamma!r}): gamma is a number, at least 0, or 'search'")
            object.__setattr__(self, "gamma", float(self.gamma))

    @property
    def step(self) -> float:
        """The size of a step, in pixel units."""
        return self.eps / 8 if self.step_size is None else self.step_size

    @property
    def observed(self) -> bool:
        """Not while it searches: there are several paths then."""
        return self.gamma != "search"

    def objective(self, model, x: Tensor, y: Tensor, target: Tensor | None) -> Loss:
        """What it climbs with a gamma that is given: logits at x* -> [B]."""
        return _raised(ce(model, x, y, target), self.gamma)

    def _search(self, model, x, y, keys, target, observe) -> Tensor:
        ball = BALLS[self.norm]
        start = (x + STARTS["uniform"](x, self.eps, ball, self.seed, 0, keys)).clamp(0, 1)

        def path(loss, observe):
            return climb((model, model), x, start.clone(), loss, ball, self.eps, self.step, self.steps, observe)

        if self.gamma == "search":
            from energylens.attacks.precision import exact

            return _nearest_in_energy(model, exact(model), x, y, path)
        return path(self.objective(model, x, y, target), observe)


def _raised(loss: Loss, gamma) -> Loss:
    return lambda logits: loss(logits) - gamma * logits.logsumexp(1)


def _nearest_in_energy(search, model, x: Tensor, y: Tensor, path) -> Tensor:
    """Of all points that the paths of `search` pass, those that `model`, in float32, takes."""
    import torch

    natural = -model(x).detach().logsumexp(1)
    low, high = torch.zeros_like(natural), torch.full_like(natural, HIGHEST)
    nearest, kept = torch.full_like(natural, torch.inf), x.clone()

    def keep(step: int, x_adv: Tensor, logits: Tensor) -> None:
        if search is not model:
            with torch.no_grad():
                logits = model(x_adv)
        gap = (-logits.logsumexp(1) - natural).abs()
        better = (logits.argmax(1) != y) & (gap < nearest)
        nearest[better], kept[better] = gap[better], x_adv[better]

    for _ in range(HALVINGS):
        gamma = (low + high) / 2
        last = path(_raised(ce(model, x, y, None), gamma), keep)
        with torch.no_grad():
            rose = -model(last).logsumexp(1) > natural
        low, high = torch.where(rose, low, gamma), torch.where(rose, gamma, high)
    never = nearest.isinf()
    kept[never] = last[never]
    return kept
