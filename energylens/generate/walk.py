"""A batch of chains, step by step; those that stand still are kept apart and cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from energylens import energy, keyed
from energylens.generate.losses import LOSSES

if TYPE_CHECKING:
    from energylens.attacks.attack import Observe
    from energylens.generate.sampler import Sampler

Net = Callable[[Tensor], Tensor]


class Noise:
    """N(0, 1) for chains, from a generator of each one's own that lives as long as the chain."""

    def __init__(self, seed: int, index: list[int], like: Tensor):
        self.chains = [keyed.rng(seed, keyed.STEP, i) for i in index]
        self.buffer = np.empty(tuple(like.shape), np.float32)
        self.device = like.device

    def __call__(self, rows: list[int]) -> Tensor:
        """[len(rows), C, H, W], the next draw of each; good until the next call."""
        drawn = self.buffer[: len(rows)]
        for row, out in zip(rows, drawn, strict=True):
            self.chains[row].standard_normal(dtype=np.float32, out=out)
        return torch.from_numpy(drawn).to(self.device)


@dataclass
class Chains:
    """Those of a batch that move."""

    rows: list[int]
    """their places in the batch"""
    x: Tensor
    v: Tensor
    y: Tensor
    goal: Tensor | None
    """[B] mean E(x, y) of their classes"""

    def pick(self, places: Tensor) -> Chains:
        """Some of them, by their places among these."""
        rows = [self.rows[place] for place in places.tolist()]
        goal = None if self.goal is None else self.goal[places]
        return Chains(rows, self.x.detach()[places], self.v[places], self.y[places], goal)

    def moved(self, noise: Noise, size: float) -> Tensor:
        """clamp(x + v + size N(0, 1), 0, 1)."""
        x = self.x.detach() + self.v
        if size:
            x.add_(noise(self.rows), alpha=size)
        return x.clamp_(0, 1)


class Batch:
    """All chains, those that stand still too, each time in new tensors: an observer may keep them."""

    def __init__(self, x: Tensor):
        self.x = x
        self.logits: Tensor | None = None

    def put(self, chains: Chains, logits: Tensor) -> tuple[Tensor, Tensor]:
        """All images and logits, those that move being where they are now."""
        x, logits = chains.x.detach(), logits.detach()
        if len(chains.rows) < len(self.x):
            assert self.logits is not None
            x, logits = replaced(self.x, chains.rows, x), replaced(self.logits, chains.rows, logits)
        self.x, self.logits = x, logits
        return x, logits


def replaced(whole: Tensor, rows: list[int], part: Tensor) -> Tensor:
    """A copy with other rows."""
    whole = whole.clone()
    whole[rows] = part
    return whole


def walk(
    sampler: Sampler, net: Net, x: Tensor, y: Tensor, goal: Tensor | None, noise: Noise, observe: Observe | None
) -> Tensor:
    """All steps of a batch; [B, C, H, W] where they end. The arguments are `Sampler.__call__`'s, goal: [B]."""
    chains, batch = Chains(list(range(len(x))), x, torch.zeros_like(x), y, goal), Batch(x)
    for step in range(sampler.steps):
        logits = net(chains.x.requires_grad_())
        seen = batch.put(chains, logits)
        if observe:
            observe(step, *seen)
        going = moving(logits.detach(), chains, sampler.stop)
        if going is not None and not len(going):
            return batch.x
        losses = LOSSES[sampler.loss](logits, chains.y, chains.goal)
        (gradient,) = torch.autograd.grad(losses.sum(), chains.x)
        broken = logits.detach().isnan().any(1)[:, None, None, None]
        chains.v.mul_(sampler.momentum).add_(gradient, alpha=-sampler.step_size / 2).masked_fill_(broken, torch.nan)
        losses = losses.detach()
        if going is not None and len(going) < len(chains.rows):
            chains, losses = chains.pick(going), losses[going]
        chains.x = lowered(sampler, net, chains, losses, noise)
    return end(sampler.steps, net, chains, batch, observe)


def moving(logits: Tensor, chains: Chains, stop: float | None) -> Tensor | None:
    """Places of the chains that have not reached their class's mean energy; None where none ever stops."""
    if stop is None:
        return None
    assert chains.goal is not None
    reached = (energy.joint(logits, chains.y) - chains.goal).square() < stop
    return (~reached).nonzero()[:, 0]


@torch.no_grad()
def lowered(sampler: Sampler, net: Net, chains: Chains, before: Tensor, noise: Noise) -> Tensor:
    """Where the chains go; noise with which a chain's loss would rise is drawn anew, `tries` draws at most."""
    x = chains.moved(noise, sampler.noise)
    trying = torch.arange(len(x), device=x.device)
    for _ in range(sampler.tries - 1):
        part = chains.pick(trying)
        after = LOSSES[sampler.loss](net(x[trying]), part.y, part.goal)
        trying = trying[after > before[trying]]
        if not len(trying):
            break
        x[trying] = chains.pick(trying).moved(noise, sampler.noise)
    return x


@torch.no_grad()
def end(steps: int, net: Net, chains: Chains, batch: Batch, observe: Observe | None) -> Tensor:
    """The whole batch; a last pass through the network only if somebody looks."""
    if observe is None:
        whole = len(chains.rows) == len(batch.x)
        return chains.x if whole else replaced(batch.x, chains.rows, chains.x)
    observe(steps, *batch.put(chains, net(chains.x)))
    return batch.x
