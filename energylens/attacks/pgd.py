"""Projected gradient descent, and with other losses and starts its whole family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from energylens.attacks import targets
from energylens.attacks.attack import Attack, Observe
from energylens.attacks.geometry import BALLS, Ball
from energylens.attacks.losses import LOSSES, Loss
from energylens.attacks.settings import check_ball, check_choices, check_numbers
from energylens.attacks.starts import STARTS
from energylens.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

_KIND = {"ce": "pgd", "kl": "pgd-kl", "targeted-ce": "pgd-t", "margin": "cw-linf", "joint": "pgd-joint"}


@dataclass(frozen=True)
class PGD(Attack):
    """Iterated steepest ascent with projection (Madry et al. 2018, arXiv:1706.06083).

    Inputs and eps are in pixel units of [0, 1].
    """

    KINDS: ClassVar[dict[str, dict[str, Any]]] = {
        "pgd": {},
        "pgd-kl": {"loss": "kl", "start": "tiny"},
        "pgd-t": {"loss": "targeted-ce"},
        "cw-linf": {"loss": "margin"},
        "pgd-joint": {"loss": "joint"},
    }

    eps: float = 8 / 255
    step_size: float | None = None
    """None means eps / 4."""
    steps: int = 20
    norm: str = "linf"
    loss: str = "ce"
    start: str = "uniform"
    clamp_start: bool = True
    """Whether the first point is clamped to [0, 1]; the paper's evaluation PGD does not."""
    restarts: int = 1
    """With more than one, each image keeps its point of highest loss."""
    seed: int = 0
    target: str | int | None = None
    """With loss="targeted-ce": `random` (wrong, keyed by image; the default), `least-likely`, or a class."""

    def __post_init__(self):
        check_ball(self, BALLS)
        check_choices(self, loss=LOSSES, start=STARTS)
        check_numbers(self, steps=1, restarts=1, seed=0, step_size=1e-12)
        if not isinstance(self.clamp_start, bool):
            raise UserError(f"PGD(clamp_start={self.clamp_start!r}): clamp_start is true or false")
        if self.loss == "targeted-ce" and self.target is None:
            object.__setattr__(self, "target", "random")
        if self.loss != "targeted-ce" and self.target is not None:
            raise UserError(f"PGD(loss='{self.loss}') wants no class; take pgd-t:target={self.target}")
        targets.check(self)
        if self.loss == "kl" and self.start == "clean":
            raise UserError(
                "PGD(loss='kl', start='clean') would follow rounding noise: KL is flat at the clean input. "
                "Use start='tiny' (as TRADES does) or 'uniform'."
            )

    @property
    def kind(self) -> str:
        """`pgd`, or its name by its loss."""
        return _KIND[self.loss]

    @property
    def step(self) -> float:
        """The size of a step, in pixel units."""
        return self.eps / 4 if self.step_size is None else self.step_size

    def objective(self, model, x: Tensor, y: Tensor, target: Tensor | None) -> Loss:
        """What it climbs: logits at x* -> [B]."""
        return LOSSES[self.loss](model, x, y, target)

    def _search(self, model, x, y, keys, target, observe) -> Tensor:
        import torch

        from energylens.attacks.precision import exact

        # At its start the KL is smaller than bfloat16's rounding: so its first step is float32's.
        first = exact(model) if self.loss == "kl" else model
        loss, ball = self.objective(first, x, y, target), BALLS[self.norm]
        points = []
        for restart in range(self.restarts):
            x_adv = x + STARTS[self.start](x, self.eps, ball, self.seed, restart, keys)
            x_adv = x_adv.clamp(0, 1) if self.clamp_start else x_adv
            points.append(climb((first, model), x, x_adv, loss, ball, self.eps, self.step, self.steps, observe))
        if len(points) == 1:
            return points[0]
        with torch.no_grad():
            losses = torch.stack([loss(model(x_adv)) for x_adv in points])
            best = losses.nan_to_num(-torch.inf).argmax(0)
        return torch.stack(points)[best, torch.arange(len(x), device=x.device)]


def climb(
    models: tuple[Callable, Callable], x: Tensor, x_adv: Tensor, loss: Loss, ball: Ball, eps: float, step: float,
    steps: int, observe: Observe | None,
) -> Tensor:  # fmt: skip
    """`steps` steps of length `step` up a loss from x_adv, within eps of x and in [0, 1].

    The first of the two models gives the first step's gradient, the second all others.
    """
    import torch

    for number in range(steps):
        x_adv.requires_grad_()
        logits = models[number > 0](x_adv)
        if observe:
            observe(number, x_adv.detach(), logits.detach())
        (gradient,) = torch.autograd.grad(loss(logits).sum(), x_adv)
        moved = x_adv.detach() + step * ball.steepest(gradient)
        x_adv = (x + ball.project(moved - x, eps)).clamp(0, 1)
    if observe:
        observe(steps, x_adv, models[1](x_adv).detach())
    return x_adv
