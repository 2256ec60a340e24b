"""One training step of SAT, TRADES and WEAT_ADV, doing the same as the public code does, and as little to save work.

What costs time is kept: natural logits are computed anew in every attack step, with a graph; parameters take
gradients all along, and Rice's attack computes them; TRADES passes three times in train mode, WEAT and MAIL do not.
Left out: normalisation of the inputs, the loading of images, `.cuda()`.

- `sat`: Rice et al. 2020, locuslab/robust_overfitting, train_cifar.py: attack in train mode by `loss.backward()`, a
  pass at its end that chooses between restarts (there is one), a pass of the natural images for the log.
- `sat_mail`: Liu et al. 2021, QizhouWang/MAIL, at_loss.py with method="at": attack in eval mode by `autograd.grad`.
- `trades`: Zhang et al. 2019, yaodongyu/TRADES, trades.py.
- `weat_adv`: Mirza et al. 2024, OmnAI-Lab/Robust-Classifiers-under-the-lens-of-EBM, WEAT_loss.py.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPS, STEP, STEPS, BETA = 8 / 255, 2 / 255, 10, 6


def sat(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    x_adv = rice_attack(net, x, y)
    _update(net, optimizer, sat_loss, x, x_adv, y)
    _ = F.cross_entropy(net(x), y).item()  # natural loss and accuracy of its log


def sat_mail(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    x_adv = trades_attack(net, x, lambda x_adv: F.cross_entropy(net(x_adv), y))
    _update(net, optimizer, sat_loss, x, x_adv, y)


def trades(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    def divergence(x_adv: Tensor) -> Tensor:
        return F.kl_div(F.log_softmax(net(x_adv), 1), F.softmax(net(x), 1), reduction="sum")

    _update(net, optimizer, trades_loss, x, trades_attack(net, x, divergence), y)


def weat_adv(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    def divergence(x_adv: Tensor) -> Tensor:
        return F.kl_div(torch.log(F.softmax(net(x_adv), 1) + 1e-12), F.softmax(net(x), 1), reduction="sum")

    _update(net, optimizer, weat_adv_loss, x, trades_attack(net, x, divergence), y)


def _update(net: nn.Module, optimizer: torch.optim.Optimizer, loss, x: Tensor, x_adv: Tensor, y: Tensor) -> None:
    optimizer.zero_grad()
    loss(net, x, x_adv, y).backward()
    optimizer.step()


def rice_attack(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Uniform start, and gradients of all parameters in every step, which nothing reads."""
    delta = torch.empty_like(x).uniform_(-EPS, EPS)
    delta = torch.max(torch.min(delta, 1 - x), 0 - x).requires_grad_()
    for _ in range(STEPS):
        F.cross_entropy(net(x + delta), y).backward()
        gradient = delta.grad.detach()
        moved = torch.clamp(delta + STEP * torch.sign(gradient), -EPS, EPS)
        delta.data = torch.max(torch.min(moved, 1 - x), 0 - x).detach()
        delta.grad.zero_()
    F.cross_entropy(net(x + delta), y, reduction="none")
    return torch.clamp(x + delta.detach(), 0, 1)


def trades_attack(net: nn.Module, x: Tensor, loss) -> Tensor:
    """From x + 0.001 N(0, 1) up `loss(x_adv)`, in eval mode; the network is in train mode after it."""
    net.eval()
    x_adv = x.detach() + 0.001 * torch.randn_like(x)
    for _ in range(STEPS):
        x_adv.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(x_adv), [x_adv])
        x_adv = x_adv.detach() + STEP * torch.sign(gradient.detach())
        x_adv = torch.min(torch.max(x_adv, x - EPS), x + EPS)
        x_adv = torch.clamp(x_adv, 0.0, 1.0)
    net.train()
    return x_adv


def sat_loss(net: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(net(x_adv), y)


def trades_loss(net: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
    natural = F.cross_entropy(net(x), y)
    robust = F.kl_div(F.log_softmax(net(x_adv), 1), F.softmax(net(x), 1), reduction="sum") / len(x)
    return natural + BETA * robust


def weat_adv_loss(net: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
    logits, adv = net(x), net(x_adv)
    energy = -torch.logsumexp(logits, 1).detach()
    weights = 1 / torch.log(1 + torch.exp(torch.abs(energy)))
    divergence = F.kl_div(torch.log(F.softmax(adv, 1) + 1e-12), F.softmax(logits, 1), reduction="none").sum(1)
    return (weights * F.cross_entropy(adv, y, reduction="none")).mean() + BETA * (weights * divergence).mean()


STEPS_OF = {"sat": sat, "sat-mail": sat_mail, "trades": trades, "weat-adv": weat_adv}
LOSSES = {"sat": sat_loss, "sat-mail": sat_loss, "trades": trades_loss, "weat-adv": weat_adv_loss}
