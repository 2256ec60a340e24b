"""The processes that train one network together: one, or several through Lightning Fabric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from energylens.train.objectives import Objective


class Both(nn.Module):
    """An objective's forward passes as one module, which a wrapper for several processes sees as one pass."""

    def __init__(self, net: nn.Module, objective: Objective):
        super().__init__()
        self.net, self.objective = net, objective

    def forward(self, x: Tensor, x_adv: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C, H, W] natural and adversarial images -> logits [B, K] of both."""
        return self.objective.logits(self.net, x, x_adv)


class Alone:
    """One process."""

    rank, size = 0, 1

    def __init__(self, device: torch.device | str = "cpu"):
        self.device = torch.device(device)

    def wrap(self, net: nn.Module) -> nn.Module:
        """What the outer forward pass goes through."""
        return net

    def backward(self, loss: Tensor) -> None:
        """Gradients, averaged over processes."""
        loss.backward()

    def average(self, value: Tensor) -> Tensor:
        """A value's mean over processes."""
        return value

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of a batch."""
        return rows[self.rank :: self.size]

    def mean(self, images: int) -> Callable[[Tensor], Tensor]:
        """The mean over a batch of so many images, of which each process has a part.

        Its value is that of all of them; its gradient is this process's part of it, times the number of processes,
        since `backward` averages.
        """
        if self.size == 1:
            return Tensor.mean

        def mean(values: Tensor) -> Tensor:
            mine = values.sum() * (self.size / images)
            return mine + (self.average(mine.detach()) - mine.detach())

        return mean

    def settle(self, net: nn.Module) -> None:
        """After a step: BatchNorm's running statistics, averaged over processes."""

    def first(self, work: Callable[[], Any]) -> Any:
        """What the first process finds when it alone does this; the others wait for it.

        Raises:
            UserError: in all of them, where it is raised in the first.
        """
        return work()

    def together(self, work: Callable[[], Any]) -> Any:
        """What this process finds when each does this.

        Raises:
            UserError: in all of them, where it is raised in one.
        """
        return work()


def autocast(device: torch.device, precision: str):
    """Convolutions and products in bfloat16 inside, if that is the precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
