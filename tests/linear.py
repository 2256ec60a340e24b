"""A linear classifier of several classes: for every attack, what can be reached is known in closed form."""

import torch
from torch import nn

CLASSES, SHAPE = 5, (3, 6, 6)


class Linear(nn.Module):
    """logits = W x + b, with b such that images near 0.5 are told apart by small differences."""

    def __init__(self, classes: int = CLASSES):
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        size = SHAPE[0] * SHAPE[1] * SHAPE[2]
        self.weight = nn.Parameter(torch.randn(classes, size, generator=rng))
        self.bias = nn.Parameter(-self.weight.detach().sum(1) / 2)  # logits of the grey image are 0

    def forward(self, x):
        return x.flatten(1) @ self.weight.T + self.bias


def images(count: int = 12) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return 0.5 + 0.1 * (torch.rand(count, *SHAPE, generator=rng) - 0.5)


def distances(net: Linear, x: torch.Tensor, y: torch.Tensor, norm: str) -> torch.Tensor:
    """[B, K] distance of each image to each wrong class's boundary with y; inf at y.

    Linf: margin over the L1 norm of the difference of weights; L2: over its L2 norm.
    """
    logits = net(x).detach()
    margin = logits.gather(1, y[:, None]) - logits
    apart = (net.weight[y][:, None] - net.weight[None]).detach()
    sizes = apart.abs().sum(2) if norm == "linf" else apart.norm(dim=2)
    return (margin / sizes).scatter(1, y[:, None], torch.inf)
