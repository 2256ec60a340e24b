"""Energies of a classifier's logits, and what else one row of an energy table holds.

Sign convention: lower energy means that the model finds the input (or the pair) more likely.
All values are in nats, one per image, in the dtype of the logits.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def marginal(logits: Tensor) -> Tensor:
    """E(x) = -logsumexp_k f_k(x).

    Args:
        logits: [B, K] unnormalised class scores.

    Returns:
        [B] energies in nats.

    Raises:
        IndexError: logits have no class axis.

    Source: Grathwohl et al. 2020 (arXiv:1912.03263), eq. 4.
    """
    return -torch.logsumexp(logits, dim=1)


def joint(logits: Tensor, y: Tensor) -> Tensor:
    """E(x, y) = -f_y(x).

    Args:
        logits: [B, K] unnormalised class scores.
        y: [B] classes, int64.

    Returns:
        [B] energies in nats.

    Source: Mirza et al. 2024 (arXiv:2407.06315), eq. 2.
    """
    return -logits.gather(1, y[:, None])[:, 0]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """-log p(y | x) = E(x, y) - E(x), at least 0, computed from log-softmax.

    Args:
        logits: [B, K] unnormalised class scores.
        y: [B] classes, int64.

    Returns:
        [B] losses in nats.

    Source: Mirza et al. 2024 (arXiv:2407.06315), eq. 3.
    """
    return F.cross_entropy(logits, y, reduction="none")


def entropy(logits: Tensor) -> Tensor:
    """H(p(. | x)) = -sum_k p_k log p_k, between 0 and log K; [B, K] -> [B] in nats."""
    log_p = logits.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1)


def predict(logits: Tensor) -> Tensor:
    """[B] the class of the largest logit; -1, no class at all, where a logit is NaN."""
    return logits.argmax(1).masked_fill(logits.isnan().any(1), -1)


def _true_minus_best_other(scores: Tensor, y: Tensor) -> Tensor:
    true = scores.gather(1, y[:, None])[:, 0]
    others = scores.scatter(1, y[:, None], -torch.inf)
    return true - others.max(1).values


def prob_margin(logits: Tensor, y: Tensor) -> Tensor:
    """p_y - max_{k != y} p_k in [-1, 1]; positive means classified as y.

    The opposite sign of the quantity in the MAIL code (Liu et al. 2021, arXiv:2106.07904).
    """
    return _true_minus_best_other(logits.softmax(1), y)


def logit_margin(logits: Tensor, y: Tensor) -> Tensor:
    """f_y - max_{k != y} f_k; positive means classified as y."""
    return _true_minus_best_other(logits, y)


def kl_split(logits: Tensor, adversarial: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms whose sum is KL(p(. | x) || p(. | x*)).

    Args:
        logits: [B, K] at the natural images x.
        adversarial: [B, K] at the adversarial images x*.

    Returns:
        [B] conditional term E_{k ~ p(. | x)}[E(x*, k) - E(x, k)],
        [B] marginal term E(x) - E(x*), which is +Delta E(x). Nats.

    Source: Mirza et al. 2024 (arXiv:2407.06315), eq. 5.
    """
    drift = logits - adversarial  # E(x*, k) - E(x, k)
    # Measured from the likeliest class and normalised last: keeps rounding out of a large common drift.
    likeliest = logits.argmax(1, keepdim=True)
    base = drift.gather(1, likeliest)
    p = (logits - logits.gather(1, likeliest)).exp()
    conditional = (p * (drift - base)).sum(1) / p.sum(1) + base[:, 0]
    return conditional, marginal(logits) - marginal(adversarial)
