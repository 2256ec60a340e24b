"""Made images and networks whose scores are known, for the tests of scores."""

from pathlib import Path

import numpy as np
import torch
import torch_fidelity.feature_extractor_inceptionv3 as published
from PIL import Image
from torch import nn

from energylens.data import Data


def real(images, labels=None, name: str = "made") -> Data:
    """Training images [N, C, H, W]."""
    images = torch.as_tensor(images)
    labels = torch.zeros(len(images), dtype=torch.int64) if labels is None else torch.as_tensor(labels)
    return Data(name, "train", images, labels, np.arange(len(images)))


def noise(count: int, shape: tuple[int, int, int] = (3, 8, 8), seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8))


def points(*values: float) -> torch.Tensor:
    """[N, 1, 1, 2] uint8: a point on a line for each value."""
    images = torch.zeros(len(values), 1, 1, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor(values)
    return images


def saved(images: torch.Tensor, folder: Path) -> str:
    """A folder of PNG in the order of the images."""
    folder.mkdir()
    for number, image in enumerate(images.numpy()):
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(folder / f"{number:04d}.png")
    return str(folder)


class Body(nn.Module):
    """A small network for RGB images whose parts can be run by hand."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        return 3 * self.head(5 * self.body(x))  # what comes behind the layer changes logits alone


class Flat(nn.Module):
    """Its features are the pixels."""

    def __init__(self, values: int, classes: int = 2):
        super().__init__()
        torch.manual_seed(1)
        self.linear = nn.Linear(values, classes)

    def forward(self, x):
        return self.linear(x.flatten(1))


def inception(path: Path) -> Path:
    """Random weights in the format of torch-fidelity's file."""

    class Blank(published.FeatureExtractorInceptionV3):
        def load_state_dict(self, *_, **__):
            pass

    before, published.load_state_dict_from_url = published.load_state_dict_from_url, lambda *_, **__: None
    try:
        net = Blank("blank", ["2048"])
    finally:
        published.load_state_dict_from_url = before
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    torch.save(net.state_dict(), path)
    return path
