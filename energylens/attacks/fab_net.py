"""pyautoattack's FAB with two questions asked apart: which way (in any precision), and where the boundary is."""

import torch
from pyautoattack.fab_pt import FABAttack_PT
from torch import Tensor

from energylens.attacks.library import Net


class FAB(FABAttack_PT):
    """Its gradients may come from bfloat16; logits, and so boundaries and classes, are float32's.

    With boundaries from bfloat16 too, a quarter of the images had another outcome.
    """

    def __init__(self, net: Net, **settings):
        super().__init__(net, **settings)
        self._exact = net.exact
        self._quick = net.exact.model is not net.model

    def _predict_fn(self, x: Tensor) -> Tensor:
        return self._exact(x)

    def get_diff_logits_grads_batch(self, imgs: Tensor, la: Tensor) -> tuple[Tensor, Tensor]:
        """f_k - f_y [B, K] (1e10 at y) and its gradients [B, K, C, H, W]."""
        difference, gradient = super().get_diff_logits_grads_batch(imgs, la)
        if self._quick:
            difference = self._difference(imgs, la).scatter(1, la[:, None], 1e10)
        return difference, gradient

    def get_diff_logits_grads_batch_targeted(
        self, imgs: Tensor, la: Tensor, la_target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """f_t - f_y [B, 1] and its gradient [B, 1, C, H, W]."""
        difference, gradient = super().get_diff_logits_grads_batch_targeted(imgs, la, la_target)
        if self._quick:
            difference = self._difference(imgs, la).gather(1, la_target[:, None])
        return difference, gradient

    def _difference(self, imgs: Tensor, la: Tensor) -> Tensor:
        with torch.no_grad():
            logits = self._exact(imgs)
        return logits - logits.gather(1, la[:, None])
