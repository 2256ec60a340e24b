"""Losses of one image, the summands of an objective.

Losses and weights share one signature, `(clean, adv, y) -> [B]`: logits [B, K] at the natural images, logits
[B, K] at the adversarial ones, classes [B]. Values are in nats; the mean over images comes last, elsewhere.
"""

from collections.abc import Callable

from torch import Tensor

from energylens import energy

PerImage = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(clean logits [B, K], adversarial logits [B, K], y [B]) -> [B]"""


def ce_clean(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """CE at the natural image."""
    return energy.cross_entropy(clean, y)


def ce_adv(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """CE at the adversarial image (Madry et al. 2018, arXiv:1706.06083)."""
    return energy.cross_entropy(adv, y)


def joint_adv(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """E(x*, y), the joint energy of the adversarial image with its class (Zhu et al. 2021, arXiv:2108.09093)."""
    return energy.joint(adv, y)


def boosted_ce(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """CE(x*) - log(1.0001 - max_{k != y} p_k(x*) + 1e-12), which pushes the best wrong class down as well.

    The constants keep what is added between -0.0001 and 9.21 nats.

    Source: Wang et al. 2020 (MART, ICLR); constants of its code.
    """
    wrong = adv.softmax(1).scatter(1, y[:, None], -1).max(1).values
    return energy.cross_entropy(adv, y) - (1.0001 - wrong + 1e-12).log()


def kl(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """KL(p(. | x) || p(. | x*)), differentiated through both sides; label-free.

    From log-softmax: finite, with its gradient, where softmax underflows to 0.

    Source: Zhang et al. 2019 (TRADES, arXiv:1901.08573).
    """
    log_p, log_q = clean.log_softmax(1), adv.log_softmax(1)
    return (log_p.exp() * (log_p - log_q)).sum(1)


def der(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """(E(x) - E(x*))^2, in squared nats, differentiated through both sides.

    Our reading of the energy regulariser DER (Mirza et al. 2025, arXiv:2505.22486): the paper's exact formula
    was not available.
    """
    return (energy.marginal(clean) - energy.marginal(adv)).square()
