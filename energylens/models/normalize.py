"""Normalisation inside a network: images stay in [0, 1] outside."""

import torch
from torch import Tensor, nn

from energylens.errors import UserError, unknown

KNOWN = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "half": ((0.5,), (0.5,)),
}
"""mean and standard deviation of each channel; `half`: images to [-1, 1]"""


class Normalize(nn.Module):
    """(x - mean) / std, channel by channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.register_buffer("mean", mean.float().reshape(-1, 1, 1).clone())
        self.register_buffer("std", std.float().reshape(-1, 1, 1).clone())

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        return (x - self.mean) / self.std


def normalize(text: str) -> Normalize:
    """From a name, or from numbers: `imagenet`, `0.49,0.48,0.45/0.25,0.24,0.26`.

    Raises:
        UserError: neither, or a standard deviation that is not above 0.
    """
    if text in KNOWN:
        return Normalize(*map(torch.tensor, KNOWN[text]))
    mean, slash, std = str(text).partition("/")
    if not slash:
        raise unknown("normalize", str(text), [*KNOWN, "MEAN,MEAN,MEAN/STD,STD,STD"])
    try:
        values = [torch.tensor([float(number) for number in part.split(",")]) for part in (mean, std)]
    except ValueError:
        raise UserError(f"normalize={text}: write numbers, MEAN,MEAN,MEAN/STD,STD,STD, or {', '.join(KNOWN)}") from None
    if len(values[0]) != len(values[1]) or not (values[1] > 0).all():
        raise UserError(f"normalize={text}: as many standard deviations, above 0, as means")
    return Normalize(*values)
