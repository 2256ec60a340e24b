"""Projected gradient descent, and with other losses and starts its whole family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

from energylens.attacks.geometry import BALLS
from energylens.attacks.losses import LOSSES
from energylens.attacks.starts import STARTS
from energylens.errors import UserError, unknown

if TYPE_CHECKING:
    from torch import Tensor

NAMES = {"ce": "pgd", "kl": "pgd-kl", "targeted-ce": "pgd-t"}
_NUMBERS = (
    ("eps", (int, float), 1e-12), ("step_size", (int, float), 1e-12),
    ("steps", int, 1), ("restarts", int, 1), ("seed", int, 0),
)  # fmt: skip


@dataclass(frozen=True)
class PGD:
    """Iterated steepest ascent with projection (Madry et al. 2018, arXiv:1706.06083).

    Inputs and eps are in pixel units of [0, 1]. FGSM is `PGD(steps=1, step_size=eps, start="clean")`.
    """

    version: ClassVar[int] = 1
    """Grows when the same settings give other points; part of a table's key."""

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

    def __post_init__(self):
        object.__setattr__(self, "norm", str(self.norm).lower())
        for field, table in (("norm", BALLS), ("loss", LOSSES), ("start", STARTS)):
            if getattr(self, field) not in table:
                raise unknown(f"{field} of PGD", str(getattr(self, field)), table)
        for field, kind, least in _NUMBERS:
            number = getattr(self, field)
            if field == "step_size" and number is None:
                continue
            if isinstance(number, bool) or not isinstance(number, kind) or not least <= number < 2**63:
                bound = f"at least {least}" if kind is int else "above 0"
                what = "whole number" if kind is int else "number"
                raise UserError(f"PGD({field}={number!r}): {field} must be a {what}, {bound}")
        if self.norm == "linf" and self.eps > 1:
            raise UserError(f"PGD(eps={self.eps:g}) is above 1, the whole range of a pixel; 8 of 255 is written 8/255")
        if not isinstance(self.clamp_start, bool):
            raise UserError(f"PGD(clamp_start={self.clamp_start!r}): clamp_start is true or false")
        for field in ("eps", "step_size"):  # 1 and 1.0 are one attack, and one key
            if getattr(self, field) is not None:
                object.__setattr__(self, field, float(getattr(self, field)))
        if self.loss == "kl" and self.start == "clean":
            raise UserError(
                "PGD(loss='kl', start='clean') would follow rounding noise: KL is flat at the clean input. "
                "Use start='tiny' (as TRADES does) or 'uniform'."
            )

    @property
    def step(self) -> float:
        """The size of a step, in pixel units."""
        return self.eps / 4 if self.step_size is None else self.step_size

    @property
    def targeted(self) -> bool:
        """Whether it wants a given class."""
        return self.loss == "targeted-ce"

    @property
    def name(self) -> str:
        """Short name that carries every setting that is not the default: `pgd`, `pgd-steps50`."""
        base = NAMES[self.loss]
        usual = PGD(loss=self.loss, start="tiny" if self.loss == "kl" else "uniform")
        changed = [
            f"{field.name.replace('_', '')}{_short(getattr(self, field.name))}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(usual, field.name)
        ]
        return "-".join([base, *changed])

    def __call__(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        *,
        index: Tensor | None = None,
        target: Tensor | None = None,
        observe: Callable[[int, Tensor, Tensor], None] | None = None,
    ) -> Tensor:
        """Adversarial images for a batch.

        Args:
            model: images [B, C, H, W] in [0, 1] -> logits [B, K]; attacked in eval mode, left as it was.
            x: natural images.
            y: [B] true classes, int64.
            index: [B] places in the split, which key the start noise; 0 to B-1 if None.
            target: [B] wanted classes, for loss="targeted-ce".
            observe: called with (step, x_adv, logits); step k is the state after k updates. With
                several restarts it sees one after the other, each from step 0.

        Returns:
            [B, C, H, W] points in [0, 1] within eps of x, in the memory format of x.
        """
        import torch  # here, so that a recipe can be read without it

        from energylens.attacks.frozen import frozen

        x = x.detach()
        keys = list(range(len(x))) if index is None else index.tolist()
        with frozen(model), torch.enable_grad():
            loss = LOSSES[self.loss](model, x, y, target)
            points = [self._climb(model, x, loss, keys, restart, observe) for restart in range(self.restarts)]
            if len(points) == 1:
                return points[0]
            with torch.no_grad():
                losses = torch.stack([loss(model(x_adv)) for x_adv in points])
                best = losses.nan_to_num(-torch.inf).argmax(0)
            return torch.stack(points)[best, torch.arange(len(x), device=x.device)]

    def _climb(self, model, x: Tensor, loss, keys: list[int], restart: int, observe) -> Tensor:
        import torch

        ball = BALLS[self.norm]
        x_adv = x + STARTS[self.start](x, self.eps, ball, self.seed, restart, keys)
        if self.clamp_start:
            x_adv = x_adv.clamp(0, 1)
        for step in range(self.steps):
            x_adv.requires_grad_()
            logits = model(x_adv)
            if observe:
                observe(step, x_adv.detach(), logits.detach())
            (gradient,) = torch.autograd.grad(loss(logits).sum(), x_adv)
            moved = x_adv.detach() + self.step * ball.steepest(gradient)
            x_adv = (x + ball.project(moved - x, self.eps)).clamp(0, 1)
        if observe:
            observe(self.steps, x_adv, model(x_adv).detach())
        return x_adv


def _short(setting) -> str:
    """A setting as part of a file name; pixel fractions stay readable: 4/255 is `4_255`."""
    if not isinstance(setting, float) or float(f"{setting:g}") == setting:
        return f"{setting:g}" if isinstance(setting, float) else str(setting).lower()
    in_255 = round(setting * 255)
    return f"{in_255}_255" if in_255 / 255 == setting else repr(setting)
