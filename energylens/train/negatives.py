"""JEAT's negatives: images that the network itself finds likely, drawn by Langevin steps from a replay buffer.

A training step with them:

    x_k = buffer.sample(net, len(x))
    clean, logits = objective.logits(net, x, torch.cat([x_adv, x_k]))  # one pass: see `Negatives`
    clean, adv, negative = clean[:n], logits[:n], logits[n:]
    objective.negatives.check(step, adv, negative)
    loss = objective.loss(clean, adv, y, negative=negative)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from energylens import energy
from energylens.attacks.frozen import frozen
from energylens.attacks.settings import check_numbers
from energylens.errors import UserError


class Diverged(UserError):
    """Energies left their bounds: what comes after this step is worthless, what came before it is not."""

    def __init__(self, step: int, positive: float, negative: float, limit: float):
        self.step, self.positive, self.negative, self.limit = step, positive, negative, limit
        super().__init__(
            f"the energies diverged at step {step}: mean E(x_adv) {positive:.4g}, mean E(x_K) {negative:.4g} nats,"
            f" limit {limit:g}; take a lower lr, more SGLD steps or a larger penalty"
        )


@dataclass(frozen=True)
class Negatives:
    """Settings of the sampler and of what its images add to the loss; the defaults are JEM's numbers.

    Negatives and adversarial images go through the network in one pass. In passes of their own, BatchNorm in
    train mode tells the two kinds by their batch statistics and never by their pixels (docs/jeat.md).

    Source: Grathwohl et al. 2020 (JEM, arXiv:1912.03263) and its code; penalty and limit as its users advise.
    """

    steps: int = 20
    step_size: float = 1.0
    """factor of grad E(x), alpha/2 in the usual notation. JEM's images lie in [-1, 1]: there the same step is 4 times
    as large a number, and its 1 and 0.01 are 0.25 and 0.005 here"""
    noise: float = 0.01
    """standard deviation of a step's noise, in pixel units of [0, 1]; sqrt(2 step_size) would be Langevin's"""
    buffer: int = 10_000
    """images that the replay buffer holds"""
    rho: float = 0.05
    """probability that a chain starts from uniform noise and not from the buffer"""
    penalty: float = 0.1
    """factor of mean(E(x_adv)^2 + E(x_K)^2)"""
    limit: float = 50.0
    """nats; the largest |mean E(x_adv)|, |mean E(x_K)| and distance between the two of a healthy step"""

    def __post_init__(self):
        check_numbers(self, steps=1, step_size=1e-12, noise=0.0, buffer=1, rho=0.0, penalty=0.0, limit=1e-12)
        if self.rho > 1:
            raise UserError(f"Negatives(rho={self.rho:g}): rho is a probability, from 0 to 1")

    def parts(self, adv: Tensor, negative: Tensor, mean: Callable[[Tensor], Tensor] = Tensor.mean) -> dict[str, Tensor]:
        """What negatives add to the loss.

        Args:
            adv: [B, K] logits at the adversarial images.
            negative: [N, K] logits at the negatives.
            mean: over images; another one where the batch is spread over processes.

        Returns:
            `negatives`: -mean E(x_K), whose gradient raises the energy of negatives;
            `penalty`: penalty x mean(E(x_adv)^2 + E(x_K)^2). Nats.
        """
        positives, negatives = energy.marginal(adv), energy.marginal(negative)
        size = mean(positives.square()) + mean(negatives.square())
        return {"negatives": -mean(negatives), "penalty": self.penalty * size}

    @torch.no_grad()
    def check(
        self, step: int, adv: Tensor, negative: Tensor, mean: Callable[[Tensor], Tensor] = Tensor.mean
    ) -> tuple[float, float]:
        """The divergence guard, to be asked before the optimiser's step: then the weights are still the last good ones.

        Args:
            step: number of the training step, for the message.
            adv: [B, K] logits at the adversarial images.
            negative: [N, K] logits at the negatives.
            mean: over images; of all processes, so that they stop together.

        Returns:
            mean E(x_adv) and mean E(x_K), in nats.

        Raises:
            Diverged: one of them, or their distance, is above the limit or not finite.
        """
        positive, other = (mean(energy.marginal(logits)).item() for logits in (adv, negative))
        if not max(abs(positive), abs(other), abs(positive - other)) <= self.limit:  # NaN is never below a limit
            raise Diverged(step, positive, other, self.limit)
        return positive, other


class Buffer:
    """A replay buffer: ends of earlier chains, from which later ones go on; at first uniform noise.

    Its draws come from a generator of its own, on its device; several processes give theirs different seeds.
    """

    def __init__(self, settings: Negatives, shape: tuple[int, ...], seed: int, device: torch.device | str = "cpu"):
        self.settings = settings
        self.generator = torch.Generator(device).manual_seed(seed)
        self.images = self._uniform((settings.buffer, *shape))
        """[buffer, C, H, W] float32 in [0, 1]"""

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def _starts(self, count: int) -> tuple[Tensor, Tensor]:
        """Places in the buffer, all different, so that every end is kept, and the images that chains start from."""
        device = self.generator.device
        rows = torch.randperm(len(self.images), generator=self.generator, device=device)[:count]
        fresh = self._uniform((count,)) < self.settings.rho
        stored = self.images[rows]
        return rows, torch.where(fresh[:, None, None, None], self._uniform(tuple(stored.shape)), stored)

    def sample(self, net: Callable[[Tensor], Tensor], count: int) -> Tensor:
        """The ends of chains, which replace those that they started from (also where noise was taken instead).

        A step, as in JEM's code: x <- clamp(x - step_size grad_x E(x) + noise N(0, 1), 0, 1), in eval mode. JEM itself
        does not clamp. Here networks, attacks and data know [0, 1] alone; outside of it chains would find low
        energies that no image can have.

        Args:
            net: images [B, C, H, W] -> logits [B, K]; comes back as it was, its BatchNorm statistics too.
            count: how many.

        Returns:
            [count, C, H, W] x_K in [0, 1], detached.

        Raises:
            UserError: the buffer holds fewer.
        """
        if count > len(self.images):
            raise UserError(f"a batch of {count} needs a replay buffer of {count} or more, not {len(self.images)}")
        rows, x = self._starts(count)
        with frozen(net), torch.enable_grad():
            for _ in range(self.settings.steps):
                (gradient,) = torch.autograd.grad(energy.marginal(net(x.requires_grad_())).sum(), x)
                noise = torch.empty_like(x).normal_(generator=self.generator)
                x = x.detach() - self.settings.step_size * gradient + self.settings.noise * noise
                x = x.clamp(0, 1)
        self.images[rows] = x
        return x

    def state_dict(self) -> dict[str, Any]:
        """All that the next draws depend on, copied; a buffer that loads it goes on with the same bits."""
        device = self.generator.device.type
        return {"images": self.images.clone(), "generator": self.generator.get_state(), "device": device}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where the state was taken.

        Raises:
            UserError: it is the state of another buffer, or of another kind of device, whose random numbers differ.
        """
        mine, theirs = tuple(self.images.shape), tuple(state["images"].shape)
        if mine != theirs:
            raise UserError(f"the saved replay buffer holds {theirs}, this run's {mine}; resume with the same settings")
        device = self.generator.device.type
        if state["device"] != device:
            raise UserError(f"the run drew its negatives on {state['device']}; resume it there, not on {device}")
        self.images.copy_(state["images"])
        self.generator.set_state(state["generator"].cpu())
