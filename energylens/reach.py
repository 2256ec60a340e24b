"""Where attacks take images: batch by batch, searched in any precision, judged in float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from energylens import record, trajectory
from energylens.attacks import Attack
from energylens.attacks.frozen import frozen
from energylens.attacks.precision import Half
from energylens.data import Data
from energylens.models import check
from energylens.record import Points
from energylens.trajectory import Trajectory


@dataclass(frozen=True)
class Batch:
    """A batch of natural images on the network's device, and how its attacks are to be run."""

    net: nn.Module
    search: nn.Module
    """what attacks look at: the network, or the same in bfloat16"""
    x: Tensor
    y: Tensor
    index: Tensor
    natural: Tensor
    """[B, K] float32 logits at x"""
    place: int
    """of its first image in the selection"""

    def start(self, attack: Attack | None) -> Points:
        """The natural images as points, with the classes that the attack wants of them."""
        target = attack.wanted(self.natural, self.y, self.index.tolist()) if attack else None
        return Points(self.natural, self.natural, self.y, self.x, torch.zeros_like(self.x), self.index, target)

    def reach(self, attack: Attack | None) -> Points:
        """The points where an attack ends, checked to be where it may end."""
        start = self.start(attack)
        if attack is None:
            return start.cpu()
        parts = _Parts(attack, self.y)
        observe = parts if attack.parts else None
        x_adv = attack(self.search, self.x, self.y, index=self.index, target=start.target, observe=observe)
        with torch.no_grad():
            logits = self.net(x_adv).float()
        delta = x_adv - self.x
        record.check_points(x_adv, delta, attack)
        return replace(start, logits=logits, x=x_adv, delta=delta, part=parts.names if attack.parts else None).cpu()

    def follow(self, attack: Attack | None, forces: bool, keep_logits: bool) -> list[dict]:
        """The columns of every step of an attack."""
        start = self.start(attack)
        if attack is None:
            return [trajectory.natural(start.cpu(), keep_logits)]
        seen = Trajectory(attack, self.net, start, forces, self.search is self.net, keep_logits)
        attack(self.search, self.x, self.y, index=self.index, target=start.target, observe=seen)
        return seen.columns


class _Parts:
    """Observes an ensemble: the name of the part after which each image was wrong."""

    def __init__(self, attack: Attack, y: Tensor):
        self.attack, self.y = attack, y
        self.names = np.full(len(y), None)
        self.wrong = np.zeros(len(y), bool)

    def __call__(self, step: int, x_adv: Tensor, logits: Tensor) -> None:
        wrong = (logits.argmax(1) != self.y).cpu().numpy()
        if step > 0:
            self.names[wrong & ~self.wrong] = self.attack.parts[step - 1]
        self.wrong = wrong


def batches(
    net: nn.Module, images: Data, start: int, stop: int, size: int = 128, precision: str = "fp32"
) -> Iterator[Batch]:
    """Images START to STOP in batches whose borders are multiples of `size`, the network frozen meanwhile."""
    device, layout = check.device_of(net), check.layout(net, images)
    search = Half(net) if precision == "bf16" else net
    with frozen(net), full_float32():
        for first in range(start - start % size, stop, size):
            x, y, index = images.batch(max(first, start), min(first + size, stop), device)
            x = x.to(memory_format=layout)
            with torch.no_grad():
                natural = net(x).float()
            yield Batch(net, search, x, y, index, natural, max(first, start))


def measure(
    net: nn.Module,
    images: Data,
    attacks: tuple[Attack | None, ...],
    start: int,
    stop: int,
    batch: int = 128,
    precision: str = "fp32",
) -> Iterator[dict[Attack | None, Points]]:
    """The points of images START to STOP under each attack; None stands for natural images.

    Args:
        net: the classifier, inputs in [0, 1].
        images: where the images come from.
        attacks: what to move them with.
        start: first image of the selection.
        stop: behind the last one.
        batch: images at once, for attacks without a batch of their own; results depend on it only by rounding.
        precision: of the search.

    Yields:
        Batch by batch: {attack: record.Points on the CPU}; `record.columns` makes a table's columns of them.
    """
    for size, together in by_batch(attacks, batch).items():
        for part in batches(net, images, start, stop, size, precision):
            yield {attack: part.reach(attack) for attack in together}


def by_batch(attacks: tuple[Attack | None, ...], batch: int) -> dict[int, list[Attack | None]]:
    """Attacks by the number of images that they take at once; natural images go with the first ones."""
    sizes: dict[int, list[Attack | None]] = {}
    usual = next((attack.batch for attack in attacks if attack and attack.batch), batch)
    for attack in attacks:
        size = (attack.batch or batch) if attack else usual
        sizes.setdefault(size, []).append(attack)
    return sizes


@contextmanager
def full_float32() -> Iterator[None]:
    """No TF32 inside: on CUDA, torch's convolutions would drop 13 of 23 bits of their inputs."""
    convolutions = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = convolutions
