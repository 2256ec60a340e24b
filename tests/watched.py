"""Small networks and loops that tests of energylens.watch train."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from energylens import data


class Net(nn.Module):
    """A convolution with BatchNorm and Dropout, so that modes and running statistics count."""

    def __init__(self, classes: int = 10):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8)
        self.drop, self.head = nn.Dropout(0.2), nn.Linear(8 * 64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.drop(F.relu(self.norm(self.conv(x))).flatten(1)))


def net(seed: int = 0) -> Net:
    """A fresh one, in train mode."""
    torch.manual_seed(seed)
    return Net().train()


def images(samples: int = 64) -> tuple[Tensor, Tensor]:
    """Digits and their classes."""
    x, y, _ = data.load("digits:train", samples=samples).batch(0, samples)
    return x, y


def loader(samples: int = 64, **options) -> DataLoader:
    """Digits in batches of 16."""
    return DataLoader(TensorDataset(*images(samples)), batch_size=16, **options)


def epoch(model: nn.Module, x: Tensor, y: Tensor, optimizer, attack=None, schedule=None) -> None:
    """One pass, on attacked images if there is an attack, with the rates of a schedule if there is one."""
    model.train()
    for rows in torch.randperm(len(x)).split(64):
        points = attack(model, x[rows], y[rows], index=rows) if attack else x[rows]
        optimizer.zero_grad()
        F.cross_entropy(model(points), y[rows]).backward()
        optimizer.step()
        if schedule:
            schedule.step()
