"""The training loop, small: enough for the demo zoo on the digits."""

from dataclasses import dataclass

import torch
from torch import nn

from energylens.attacks import PGD
from energylens.data import Data
from energylens.errors import unknown
from energylens.models import architectures
from energylens.train.objectives import OBJECTIVES, Objective


@dataclass(frozen=True)
class Settings:
    """The recipe of one run; the paper's optimiser, sized for the digits."""

    eps: float = 0.2
    attack_steps: int = 5
    epochs: int = 24
    batch: int = 64
    lr: float = 0.4
    """peak of OneCycle: pct_start 0.25, momentum cycled from 0.95 to 0.85, as in the paper's code (there 0.1)"""
    weight_decay: float = 5e-4
    seed: int = 0


def train(objective: str, arch: str, data: Data, settings: Settings | None = None) -> nn.Module:
    """A network trained on the selected images.

    Args:
        objective: a row of OBJECTIVES.
        arch: an architecture with its settings, `small-resnet:depth=6`.
        data: training images.
        settings: the recipe; the defaults if None.

    Returns:
        The network after the last epoch, in eval mode.

    Raises:
        UserError: unknown objective or architecture.
    """
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES)
    settings = settings or Settings()
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        net = architectures.build(arch).to(memory_format=torch.channels_last).train()
        steps = -(-len(data) // settings.batch)
        optimizer = torch.optim.SGD(net.parameters(), settings.lr, momentum=0.9, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.lr, epochs=settings.epochs, steps_per_epoch=steps, pct_start=0.25
        )
        for epoch in range(settings.epochs):
            _epoch(net, OBJECTIVES[objective], data, settings, epoch, optimizer, schedule)
    return net.eval()


def _epoch(net: nn.Module, objective: Objective, data: Data, settings: Settings, epoch: int, optimizer, schedule):
    attack = _inner(objective, settings, epoch)
    x_all, y_all, index_all = data.batch(0, len(data))
    x_all = x_all.contiguous(memory_format=torch.channels_last)
    for rows in torch.randperm(len(data)).split(settings.batch):
        x, y = x_all[rows], y_all[rows]
        x_adv = attack(net, x, y, index=index_all[rows]) if attack else x
        clean, adv = objective.logits(net, x, x_adv)
        optimizer.zero_grad()
        objective.loss(clean, adv, y).backward()
        optimizer.step()
        schedule.step()


def _inner(objective: Objective, settings: Settings, epoch: int) -> PGD | None:
    """The inner attack of an epoch; its start noise differs from epoch to epoch."""
    if objective.inner is None:
        return None
    return objective.inner.attack(settings.eps, settings.attack_steps, None, settings.seed + 1000 * (epoch + 1))
