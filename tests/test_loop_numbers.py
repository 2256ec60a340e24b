"""What an epoch tells of itself: rates of its own last step, robust accuracy of the images that were attacked."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from energylens import data
from energylens.data import Data
from energylens.train import loop
from energylens.train.objectives import OBJECTIVES
from energylens.train.settings import recipe
from energylens.train.state import State

SETTINGS = recipe("demo", "sat", "digits", epochs=3, attack_steps=1, batch=16)


def test_rate_and_momentum_are_those_of_the_epochs_last_step():
    """Nine steps of 0.4's cycle, three an epoch: of the third, sixth and ninth, from torch's schedule by itself."""
    optimizer = torch.optim.SGD([torch.zeros(1)], 0.4, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=9, pct_start=0.25)
    wanted = []
    for _ in range(8):
        wanted.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        optimizer.step()
        schedule.step()
    wanted.append((0.4 / 25 / 1e4, 0.95))  # where OneCycle ends
    images = data.load("digits:train", samples=40)
    state = loop.begin("small-resnet:width=4", OBJECTIVES["sat"], images, SETTINGS)
    rows = list(loop.epochs(state, images))
    assert [row["lr"] for row in rows] == pytest.approx([wanted[step][0] for step in (2, 5, 8)])
    assert [row["momentum"] for row in rows] == pytest.approx([wanted[step][1] for step in (2, 5, 8)])


def bright_is_one() -> nn.Module:
    """Sees class 0 in dark images, class 1 in bright ones."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, 4))
        net[1].bias.copy_(torch.tensor([2.0, -2.0]))
    return net


@pytest.mark.parametrize(("natural", "robust"), [(None, 10 / 40), (24, 10 / 16), (40, None)])
def test_robust_accuracy_is_that_of_the_images_that_were_attacked(monkeypatch, natural, robust):
    """Dark images, the last ten of class 1; an attack that makes them bright has these right and no others."""
    monkeypatch.setattr(loop, "attacked", lambda net, objective, settings, epoch, x, *others: torch.ones_like(x))
    images = Data("made", "train", torch.zeros(40, 1, 2, 2), (torch.arange(40) > 29).long(), np.arange(40))
    left = None if natural is None else torch.arange(40) < natural
    settings = replace(SETTINGS, lr=1e-12, weight_decay=0.0)
    for name in ("sat", "trades"):
        state = State(bright_is_one(), OBJECTIVES[name], images, settings)
        row = next(loop.epochs(state, images, natural=left))
        assert row.get("train_robust") == (None if robust is None else pytest.approx(robust))
        assert "attacked" not in row
