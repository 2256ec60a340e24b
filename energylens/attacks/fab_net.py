"""pyautoattack's FAB with two questions asked apart: which way (in any precision), and whether it is there."""

from pyautoattack.fab_pt import FABAttack_PT
from torch import Tensor

from energylens.attacks.library import Net


class FAB(FABAttack_PT):
    """Its gradients may come from bfloat16; a point counts as adversarial in float32 alone."""

    def __init__(self, net: Net, **settings):
        super().__init__(net, **settings)
        self._exact = net.exact

    def _predict_fn(self, x: Tensor) -> Tensor:
        return self._exact(x)
