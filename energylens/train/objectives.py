"""What a trainer minimises: mean over images of a sum of scale x weight x loss.

Losses and weights share one signature, `(clean, adv, y) -> [B]`: logits at the natural images, logits
at the adversarial ones, classes. The mean comes last, in `Objective.loss`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from energylens import energy

PerImage = Callable[[Tensor, Tensor, Tensor], Tensor]


def ce_clean(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """CE at the natural image."""
    return energy.cross_entropy(clean, y)


def ce_adv(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """CE at the adversarial image."""
    return energy.cross_entropy(adv, y)


def kl(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """KL(p(. | x) || p(. | x*)), differentiated through both sides (Zhang et al. 2019, arXiv:1901.08573)."""
    log_p, log_q = clean.log_softmax(1), adv.log_softmax(1)
    return (log_p.exp() * (log_p - log_q)).sum(1)


def ones(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """Every image counts the same."""
    return torch.ones_like(y, dtype=adv.dtype)


def weat(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """WEAT's weight 1 / log(1 + exp(|E(x)|)) of the natural image, detached (Mirza et al. 2024, section 4).

    By softplus: the released code's exp overflows to weight 0 above |E| = 88.
    """
    return 1 / F.softplus(energy.marginal(clean).abs()).detach()


@dataclass(frozen=True)
class Term:
    """One summand: scale x mean(weight x loss)."""

    loss: PerImage
    scale: float = 1
    weight: PerImage = ones


@dataclass(frozen=True)
class Objective:
    """An inner attack and the terms it feeds."""

    inner: str | None
    """loss of the inner attack: `ce`, `kl`, or None for natural images"""
    terms: tuple[Term, ...]
    clean: bool = True
    """whether natural images pass through the network too (their BatchNorm statistics count)"""

    def loss(self, clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
        """The number to minimise, from logits [B, K] at natural and adversarial images."""
        parts = [term.scale * (term.weight(clean, adv, y) * term.loss(clean, adv, y)).mean() for term in self.terms]
        return torch.stack(parts).sum()


OBJECTIVES = {
    "standard": Objective(None, (Term(ce_clean),)),
    "sat": Objective("ce", (Term(ce_adv),), clean=False),
    "trades": Objective("kl", (Term(ce_clean), Term(kl, 6))),
    "weat-nat": Objective("kl", (Term(ce_clean, 1, weat), Term(kl, 6, weat))),
    "weat-adv": Objective("kl", (Term(ce_adv, 1, weat), Term(kl, 6, weat))),
}
