"""All that the next epoch depends on: network, optimiser, schedule, order of the images, averages."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler, swa_utils

from energylens.data import Data
from energylens.errors import UserError
from energylens.train.negatives import Buffer
from energylens.train.objectives import Objective
from energylens.train.settings import Settings

FEWEST = 5
"""steps of a OneCycle that rises over a quarter of them; torch's divides by zero at four"""


class State:
    """A network on its way."""

    def __init__(self, net: nn.Module, objective: Objective, data: Data, settings: Settings):
        """Of a freshly made network, right after it was made: the order of the images comes from torch's random state.

        Args:
            net: on its device; put into train mode.
            objective: what is minimised.
            data: the training images.
            settings: the recipe.

        Raises:
            UserError: there are too few steps for the schedule.
        """
        self.net, self.objective, self.settings, self.epoch = net.train(), objective, settings, 0
        self.order = torch.Generator()
        self.order.set_state(torch.get_rng_state())
        self.optimizer = _optimizer(net, settings)
        self.schedule = lr_scheduler.OneCycleLR(
            self.optimizer,
            settings.lr,
            total_steps=steps(len(data), settings),
            pct_start=0.25,
            cycle_momentum=settings.cycle_momentum,
        )
        self.averaged: swa_utils.AveragedModel | None = None
        if settings.ema:
            decay = swa_utils.get_ema_multi_avg_fn(settings.ema)
            self.averaged = swa_utils.AveragedModel(net, multi_avg_fn=decay, use_buffers=True)
        self.memory: Buffer | None = None
        if objective.negatives:
            device = next(net.parameters()).device
            self.memory = Buffer(objective.negatives, tuple(data.images.shape[1:]), settings.seed, device)

    @property
    def result(self) -> nn.Module:
        """What is measured and saved: the average of the weights, where one is kept."""
        return self.net if self.averaged is None else self.averaged.module

    def update(self) -> None:
        """One step of the optimiser, its schedule and the average."""
        self.optimizer.step()
        self.schedule.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.net)

    def broken(self) -> str | None:
        """The name of a weight or statistic that is no longer a finite number, if there is one."""
        for name, value in self.result.state_dict().items():
            if value.is_floating_point() and not value.isfinite().all():
                return name
        return None

    def _parts(self) -> dict[str, Any]:
        parts = {"net": self.net, "optimizer": self.optimizer, "schedule": self.schedule}
        parts |= {"averaged": self.averaged, "memory": self.memory}
        return {name: part for name, part in parts.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Everything, to be saved."""
        made = {name: part.state_dict() for name, part in self._parts().items()}
        return made | {"epoch": self.epoch, "order": self.order.get_state()}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from there."""
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        self.epoch = saved["epoch"]
        self.order.set_state(saved["order"])

    def batches(self, data: Data) -> tuple[Tensor, ...]:
        """The rows of the selection in this epoch's order, cut into batches."""
        return torch.randperm(len(data), generator=self.order).split(self.settings.batch)


def steps(images: int, settings: Settings) -> int:
    """Of the schedule, a step more an epoch where the batch divides the images, as in the paper's code.

    Raises:
        UserError: they are too few.
    """
    total = settings.epochs * (images // settings.batch + 1)
    if total < FEWEST:
        raise UserError(f"{total} steps in all are too few for OneCycle; take more --epochs, or a smaller --batch")
    return total


def _optimizer(net: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimizer == "adam":
        return torch.optim.Adam(net.parameters(), settings.lr, weight_decay=settings.weight_decay)
    return torch.optim.SGD(
        net.parameters(), settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
