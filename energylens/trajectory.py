"""Every step of an attack as rows, and the forces along the way."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from energylens import energy, record
from energylens.attacks import Attack
from energylens.record import Points

NOT_THERE = ("loss", "cos_joint", "cos_marginal", "update_norm")


def natural(points: Points, keep_logits: bool) -> dict[str, Any]:
    """The rows of natural images in a table of steps."""
    rows = len(points.y)
    empty = {name: np.full(rows, None) for name in NOT_THERE}
    return record.columns(points, None, keep_logits) | empty | {"step": np.zeros(rows, int)}


class Trajectory:
    """An observer of one attack on one batch that keeps the columns of every step.

    Steps of attacks watched from outside hold only the images whose point moved.
    """

    def __init__(self, attack: Attack, net, start: Points, forces: bool, exact: bool, keep_logits: bool):
        self.attack, self.net, self.start = attack, net, start
        self.forces, self.exact, self.keep_logits = forces, exact, keep_logits
        self.columns: list[dict[str, Any]] = []
        self.previous: Tensor | None = None
        self.gradients: tuple[Tensor, Tensor] | None = None
        self.loss = None
        if attack.has_forces:
            with torch.no_grad():
                self.loss = attack.objective(net, start.x, start.y, start.target)

    def __call__(self, step: int, x_adv: Tensor, logits: Tensor) -> None:
        """Keep one step: points [B, C, H, W], logits [B, K]."""
        x_adv = x_adv.detach()
        if step == 0:
            self.previous = self.gradients = None  # a restart
        self._update(x_adv)
        rows = self._rows(x_adv)
        if len(rows):
            self._keep(step, x_adv, logits, rows)
        self.previous = x_adv.clone()
        if self.forces:
            self.gradients = self._gradients(x_adv)

    def _rows(self, x_adv: Tensor) -> Tensor:
        if self.attack.observed or self.previous is None:
            return torch.arange(len(x_adv), device=x_adv.device)
        return (x_adv != self.previous).flatten(1).any(1).nonzero()[:, 0]

    def _keep(self, step: int, x_adv: Tensor, logits: Tensor, rows: Tensor) -> None:
        start = self.start
        if not self.exact:
            with torch.no_grad():
                logits = self.net(x_adv)
        target = None if start.target is None else start.target[rows]
        delta = x_adv[rows] - start.x[rows]
        place = start.index[rows.to(start.index.device)]
        loss = np.full(len(rows), None) if self.loss is None else self.loss(logits.float()).detach()[rows].cpu().numpy()
        points = Points(
            logits[rows].float(), start.natural[rows], start.y[rows], x_adv[rows], delta, place, target
        ).cpu()
        if step and self.attack.observed:
            record.check_points(points.x, points.delta, self.attack)
        kept = record.columns(points, self.attack, self.keep_logits)
        now = record.reached(energy.predict(points.logits), points)
        kept["status"] = np.where(kept["status"] == "nan", kept["status"], now)  # it is still under way
        empty = {name: np.full(len(rows), None) for name in NOT_THERE[1:]}
        self.columns.append(kept | empty | {"loss": loss, "step": np.full(len(rows), step)})

    def _update(self, x_adv: Tensor) -> None:
        """The forces of the step before, now that its update is known."""
        if self.previous is None or self.gradients is None:
            return
        update, last = (x_adv - self.previous).flatten(1), self.columns[-1]
        for name, gradient in zip(("cos_joint", "cos_marginal"), self.gradients, strict=True):
            last[name] = torch.cosine_similarity(update, gradient.flatten(1)).cpu().numpy()
        last["update_norm"] = update.norm(dim=1).cpu().numpy()

    def _gradients(self, x_adv: Tensor) -> tuple[Tensor, Tensor]:
        """+grad E(x, y) and -grad E(x) at the points: what raises E(x, y), and what lowers E(x)."""
        with torch.enable_grad():
            x = x_adv.clone().requires_grad_()
            logits = self.net(x)
            (joint,) = torch.autograd.grad(energy.joint(logits, self.start.y).sum(), x, retain_graph=True)
            (marginal,) = torch.autograd.grad(energy.marginal(logits).sum(), x)
        return joint, -marginal
