"""Perceptual distance of images to training images of their class, with the layers of a network that is named."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from energylens.downloads import Unavailable
from energylens.errors import Note, UserError
from energylens.quality import features, weights
from energylens.quality.pixels import Images
from energylens.quality.spaces import Space

SMALLEST = 32
"""pixels a side that AlexNet's layers need"""
Distance = Callable[[Tensor, Tensor], Tensor]
"""two batches [B, C, H, W] uint8 -> [B]"""


def score(
    made: Images, real: Images, space: Space, alexnet: Path | None, device: str = "cpu", batch: int = 100
) -> dict[str, Any]:
    """Mean distance between the i-th image of a class and its i-th training image, and the network's name.

    It tells how far images are from arbitrary training images of their class. Where a class has fewer training images,
    the others do not count. None where the space has no convolutions and AlexNet cannot read the images.

    Source: Mirza et al. 2024 (arXiv:2407.06315), their evaluation code: torchmetrics' LPIPS, AlexNet, images ordered
    by class.
    """
    ours, theirs = pairs(made.labels, real.labels)
    name, distance = _backbone(space, made.images, alexnet, device)
    if distance is None or not len(ours):
        return {"lpips": None, "lpips_space": None}
    parts = zip(ours.split(batch), theirs.split(batch), strict=True)
    found = [distance(made.images[mine].to(device), real.images[other].to(device)).cpu() for mine, other in parts]
    return {"lpips": float(torch.cat(found).double().mean()), "lpips_space": name}


def pairs(made: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Places of images and of training images: class by class, the i-th of each, as many as both have.

    Args:
        made: [N] classes.
        real: [M] classes.
    """
    both = []
    for label in made.unique().tolist():
        ours, theirs = (torch.nonzero(labels == label)[:, 0] for labels in (made, real))
        count = min(len(ours), len(theirs))
        both.append(torch.stack([ours[:count], theirs[:count]]))
    first, second = torch.cat(both, dim=1)
    return first, second


def _backbone(space: Space, images: Tensor, alexnet: Path | None, device: str) -> tuple[str, Distance | None]:
    if min(images.shape[2:]) >= SMALLEST and images.shape[1] in (1, 3):
        try:
            return of_alexnet(weights.ALEXNET.find(alexnet), device)
        except Unavailable as error:
            instead = f"LPIPS is taken in the layers of {space.name}" if space.net else "there is no LPIPS"
            warnings.warn(Note(f"{error}; until then {instead}"), stacklevel=4)
    net = space.net
    if net is None or not features.last_of_each_size(net.to(device), images[:1].to(device)):
        return "", None
    return f"{space.name} (unweighted)", lambda some, others: unweighted(net, some, others)


def of_alexnet(path: Path, device: str = "cpu") -> tuple[str, Distance]:
    """LPIPS of torchmetrics, which brings the linear part, with AlexNet's weights of a file; and its name.

    Raises:
        UserError: the file holds other weights.
    """
    from torchmetrics.functional.image.lpips import _NoTrainLpips  # seconds, and few sets need it

    with torch.random.fork_rng(devices=[]):  # the weights are drawn before they are loaded
        metric = _NoTrainLpips(net="alex", pnet_rand=True)
    state = weights.state(path, "AlexNet")
    layers = {f"{key.split('.')[1]}.{key.split('.')[2]}": value for key, value in state.items() if "features." in key}
    wanted = {key: key.partition(".")[2] for key in metric.net.state_dict()}  # slice3.6.weight -> 6.weight
    try:
        metric.net.load_state_dict({key: layers[layer] for key, layer in wanted.items()})
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{path} holds no weights of torchvision's AlexNet; give {weights.ALEXNET.name}") from error
    metric = metric.to(device)

    def distance(some: Tensor, others: Tensor) -> Tensor:
        with torch.no_grad():
            return metric(_colours(some), _colours(others), normalize=True).flatten()

    return weights.ALEXNET.label(weights.sha(path)), distance


def _colours(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1).float() / 255


def unweighted(net: torch.nn.Module, some: Tensor, others: Tensor) -> Tensor:
    """LPIPS without its linear part, in the layers of any convolutional network.

    Channels of the last convolution's output at each spatial resolution are scaled to unit length, their squared
    difference is averaged over positions, and summed over the layers.

    Args:
        net: images in [0, 1] -> logits.
        some: [B, C, H, W] uint8.
        others: the same.

    Returns:
        [B] distances, 0 for equal images, at most 4 for each layer.

    Source: Zhang et al. 2018 (arXiv:1801.03924), eq. 1 with weights of 1.
    """
    total = torch.zeros(len(some), device=some.device)
    for first, second in zip(*(features.last_of_each_size(net, images) for images in (some, others)), strict=True):
        total += (F.normalize(first) - F.normalize(second)).square().sum(1).mean((1, 2))
    return total
