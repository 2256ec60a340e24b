"""One measurement of a network in training: means over a fixed set of images, and no trace on the network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from energylens import energy, reach
from energylens.attacks import FGSM, Attack, Own, parse
from energylens.attacks.frozen import frozen
from energylens.attacks.own import random_numbers
from energylens.data import Data
from energylens.errors import UserError
from energylens.models import check

USUAL = 8 / 255
"""radius where none is said"""
Logits = Callable[[nn.Module, Tensor], Tensor]


class Called(nn.Module):
    """A network that is called by a user's function `(model, x) -> logits`."""

    def __init__(self, model: nn.Module, logits: Logits):
        super().__init__()
        self.model, self.logits = model, logits

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] in [0, 1] -> logits [B, K]."""
        return self.logits(self.model, x)


@contextmanager
def aside(net: nn.Module) -> Iterator[None]:
    """Inside: eval mode, random numbers of their own; behind it, modes, gradients and random state as they were.

    Attacks find gradients inside `torch.inference_mode` and `no_grad` too; a loop's autocast does not reach in.
    """
    plain = torch.autocast(check.device_of(net).type, enabled=False)
    with torch.inference_mode(False), random_numbers(0), frozen(net), plain:
        yield


def attack_of(given: Any, eps: float | None) -> Attack:
    """A name, an attack or a function as an attack of radius eps; an attack that has its own keeps it.

    Raises:
        UserError: unknown, without a radius, or with another one than is said.
    """
    if isinstance(given, Attack) and given.eps is not None:
        if eps not in (None, given.eps):
            raise UserError(f"attack {given.name} has eps {given.eps:g}, and eps={eps:g} is said; leave one out")
        return given
    eps = USUAL if eps is None else eps
    if isinstance(given, str):
        if ":eps=" in given:
            raise UserError(f"attack {given} says eps; write energylens.watch(..., eps=...), which FGSM takes too")
        return parse(f"{given}:eps={eps}")
    if not isinstance(given, Attack):
        return Own(given, eps=eps)
    if given.eps is None and not isinstance(given, Own):
        raise UserError(f"attack {given.name} has no radius eps; take pgd, apgd-ce or cw-linf")
    return replace(given, eps=eps)  # type: ignore[call-arg]  # a field of those that have one


def check_net(net: nn.Module, name: str, images: Data) -> None:
    """Whether energies of a network can be measured on these images.

    Raises:
        UserError: it gives no logits [B, K], too few classes, or no gradients.
    """
    with aside(net):
        if not isinstance(net, Called):
            _check_called(net, name, images)
        check.usable(net, name, images)
        check.attackable(net, name, images)


@torch.no_grad()
def _check_called(net: nn.Module, name: str, images: Data) -> None:
    """What is no tensor may hold one; other failures are told by `check.usable`."""
    try:
        output = net(images.batch(0, 2, check.device_of(net))[0])
    except Exception:
        return
    if not isinstance(output, Tensor):
        like = "out.logits" if hasattr(output, "logits") else "what holds them"
        raise UserError(
            f"model '{name}' returns {type(output).__name__} and no logits [B, K]; say where they are: "
            f"energylens.watch(..., logits=function), a function (model, x) that calls it and returns {like}"
        )


def means(net: nn.Module, images: Data, attack: Attack, batch: int) -> dict[str, float]:
    """The columns of a Watch's table, beside `step`.

    Args:
        net: images [B, C, H, W] in [0, 1] -> logits [B, K].
        images: which to measure, all that are selected.
        attack: for everything at x*; FGSM has its radius and norm.
        batch: images at once.

    Returns:
        Means over the images; energies in nats, natural minus adversarial.

    Source: Mirza et al. 2024 (arXiv:2407.06315), section 3.2 and eq. 5.
    """
    fast = FGSM(eps=attack.eps, norm=attack.norm)  # type: ignore[arg-type]  # has one, see attack_of
    natural, reached, fooled, y = [], [], [], []
    with aside(net):
        for found in reach.measure(net, images, (attack,), 0, len(images), batch):
            natural.append(found[attack].natural)
            reached.append(found[attack].logits)
            y.append(found[attack].y)
        for found in reach.measure(net, images, (fast,), 0, len(images), batch):
            fooled.append(found[fast].logits)
    return _row(*(torch.cat(parts).detach() for parts in (natural, reached, fooled, y)))


def _row(natural: Tensor, reached: Tensor, fooled: Tensor, y: Tensor) -> dict[str, float]:
    x, adversarial = natural.double(), reached.double()
    conditional, marginal = energy.kl_split(x, adversarial)
    values = {
        "delta_energy": energy.marginal(x) - energy.marginal(adversarial),
        "delta_joint_energy": energy.joint(x, y) - energy.joint(adversarial, y),
        "kl_conditional": conditional,
        "kl_marginal": marginal,
        "entropy": energy.entropy(x),
        "clean_accuracy": (energy.predict(x) == y).double(),
        "pgd_accuracy": (energy.predict(adversarial) == y).double(),
        "fgsm_accuracy": (energy.predict(fooled) == y).double(),
    }
    return {name: float(value.mean()) for name, value in values.items()}
