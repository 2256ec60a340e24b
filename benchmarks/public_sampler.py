"""The released sampler of Mirza et al. 2024, as plainly as it is written there.

Source: OmnAI-Lab/Robust-Classifiers-under-the-lens-of-EBM, image_generation/utils.py, `sample_q_SGLD` with
loss_func="energy_xy", norm="Linf", without its adaptive options. What costs time is kept: parameters take gradients,
images are contiguous, every step's images are kept and stacked, and if energies are wanted (`compute_energy_model`)
there are passes for them alone. The released code makes ten such passes an image and step, one image at a time; here it
is one pass of the whole batch.
"""

import torch
from torch import Tensor, nn


def sgld(
    net: nn.Module, x: Tensor, y: Tensor, steps: int, eta: float, zeta: float, noise: float, energies: list | None
) -> Tensor:
    """The last images; `energies` collects [B, K] E(x, .) of every step."""
    velocity = torch.zeros_like(x)
    samples = x.clone().detach()
    drawn = torch.randn(x.shape)
    all_samples = []
    net.eval()
    for _ in range(steps):
        if energies is not None:
            energies.append(-net(samples).detach())
        samples.requires_grad = True
        logits = net(samples)
        loss = -logits[torch.arange(len(y)), y].sum()
        gradient = torch.autograd.grad(loss, samples)[0]
        velocity = zeta * velocity - eta / 2 * gradient
        added = velocity + drawn.normal_(0, noise)
        added.data.clamp_(-1, 1)
        samples = samples.detach() + added
        samples.data.clamp_(0, 1)
        all_samples.append(samples)
    return torch.stack(all_samples)[-1].detach()
