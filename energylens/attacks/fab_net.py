"""pyautoattack's FAB with two questions asked apart: which way (in any precision), and where the boundary is."""

import torch
from pyautoattack.fab_pt import FABAttack_PT
from torch import Tensor

from energylens.attacks.library import Net


class FAB(FABAttack_PT):
    """A search that ends in float32: its first half may take gradients, and gradients alone, from bfloat16.

    With all gradients from bfloat16 4 % of a ResNet-20's images had another outcome, with boundaries a quarter.
    """

    def __init__(self, net: Net, **settings):
        super().__init__(net, **settings)
        self._quick, self._exact = net, net.exact
        self._left = 0
        """iterations that may still be quick"""

    def _predict_fn(self, x: Tensor) -> Tensor:
        return self._exact(x)

    def attack_single_run(self, *args, **settings) -> Tensor:
        """One run, from its quick half on."""
        self._left = self.n_iter // 2 if self._exact.model is not self._quick.model else 0
        return super().attack_single_run(*args, **settings)

    def get_diff_logits_grads_batch(self, imgs: Tensor, la: Tensor) -> tuple[Tensor, Tensor]:
        """f_k - f_y [B, K] (1e10 at y) and its gradients [B, K, C, H, W]."""
        quick = self._next()
        difference, gradient = super().get_diff_logits_grads_batch(imgs, la)
        if quick:
            difference = self._difference(imgs, la).scatter(1, la[:, None], 1e10)
        return difference, gradient

    def get_diff_logits_grads_batch_targeted(
        self, imgs: Tensor, la: Tensor, la_target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """f_t - f_y [B, 1] and its gradient [B, 1, C, H, W]."""
        quick = self._next()
        difference, gradient = super().get_diff_logits_grads_batch_targeted(imgs, la, la_target)
        if quick:
            difference = self._difference(imgs, la).gather(1, la_target[:, None])
        return difference, gradient

    def _next(self) -> bool:
        """Whether this iteration is quick; its gradients' network is set."""
        quick, self._left = self._left > 0, self._left - 1
        self.predict = self._quick if quick else self._exact
        return quick

    def _difference(self, imgs: Tensor, la: Tensor) -> Tensor:
        with torch.no_grad():
            logits = self._exact(imgs)
        return logits - logits.gather(1, la[:, None])
