"""A small network with BatchNorm and one batch for it, in float64: what objectives are tried on."""

import torch
from torch import nn

BATCH = 12


def small_net(classes: int = 7, dtype=torch.float64) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.Softplus(), nn.Flatten(), nn.Linear(5 * 36, classes)
        )
        net[1].weight.data.uniform_(0.5, 1.5)
    return net.to(dtype).train()


def small_batch(classes: int = 7, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Natural images, images within 0.1 of them, classes."""
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(BATCH, 3, 6, 6, generator=rng, dtype=dtype)
    noise = torch.rand(x.shape, generator=rng, dtype=dtype)
    y = torch.randint(classes, (BATCH,), generator=rng)
    return x, (x + 0.2 * noise - 0.1).clamp(0, 1), y


def small_logits(classes: int = 7, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Natural and adversarial logits that take gradients, and classes."""
    rng = torch.Generator().manual_seed(2)
    clean, adv = (3 * torch.randn(BATCH, classes, generator=rng, dtype=dtype) for _ in range(2))
    return clean.requires_grad_(), adv.requires_grad_(), torch.randint(classes, (BATCH,), generator=rng)
