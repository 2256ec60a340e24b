"""Weights of one image, with the signature of losses: `(clean, adv, y) -> [B]`, at least 0.

Whether gradients pass through a weight is the weight's own affair: MART's lets them through, MAIL's and WEAT's do not.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from energylens import energy


def ones(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """Every image counts the same."""
    return torch.ones_like(y, dtype=adv.dtype)


def unsure(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """MART's 1.0000001 - p_y(x), between 0 and 1: much for natural images that the network is unsure of.

    Not detached: as in the public code, gradients pass through it, so that training also raises p_y(x) where
    the KL is large.

    Source: Wang et al. 2020 (MART, ICLR); the constant is that of its code.
    """
    return 1.0000001 - clean.softmax(1).gather(1, y[:, None])[:, 0]


def mail(clean: Tensor, adv: Tensor, y: Tensor, slope: float = 2.0, bias: float = 0.0) -> Tensor:
    """MAIL's 3 sigmoid(slope (PM + bias)), detached, with PM = max_{k != y} p_k(x*) - p_y(x*) in [-1, 1].

    This PM, that of the public code, is positive for misclassified images: minus `energy.prob_margin`.
    For any number of classes, where the public code takes ten.

    Source: Liu et al. 2021 (MAIL, arXiv:2106.07904), with adversarial probabilities.
    """
    return 3 * (slope * (bias - energy.prob_margin(adv.detach(), y))).sigmoid()


def weat(clean: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    """WEAT's 1 / log(1 + exp(|E(x)|)) of the natural image, detached; 1.4427 at E = 0, about 1 / |E| from 5 on.

    By softplus: the released code's exp overflows in float32 above |E| = 88, and its weight becomes 0.

    Source: Mirza et al. 2024 (arXiv:2407.06315), section 4; WEAT_ADV weighs by the natural image too.
    """
    return 1 / F.softplus(energy.marginal(clean.detach()).abs())
