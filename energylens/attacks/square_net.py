"""pyautoattack's Square: a point counts as adversarial in float32 alone, and the best one is kept."""

import torch
from pyautoattack.square import SquareAttack
from torch import Tensor

from energylens.attacks.library import Net


class Square(SquareAttack):
    """Looks with a net of any precision in the first half of its queries, decides with the same net in float32."""

    def __init__(self, net: Net, **settings):
        super().__init__(net.exact, **settings)
        self.predict: Net
        self._quick = net
        self._left = 0
        """queries that may still be quick"""

    def attack_single_run(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """One run, from its quick half on: queries spent, points."""
        self._left = self.n_queries // 2 if self._quick.model is not self.predict.model else 0
        return super().attack_single_run(x, y)

    def margin_and_loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Margins, negative once the goal is reached, and the losses that are compared."""
        if self._left <= 0:
            return super().margin_and_loss(x, y)
        self._left -= 1
        slow, self.predict = self.predict, self._quick
        margin, loss = super().margin_and_loss(x, y)
        self.predict = slow
        claimed = margin <= 0
        if claimed.any():
            margin[claimed], loss[claimed] = super().margin_and_loss(x[claimed], y[claimed])
        return margin, loss

    def best(self, x: Tensor, y: Tensor) -> Tensor:
        """The point of the lowest margin of every image, over all restarts; the goal reached or not."""
        self.init_hyperparam(x)
        kept, lowest = x.clone(), x.new_full((len(x),), torch.inf)
        for _ in range(self.n_restarts):
            rows = (lowest > 0).nonzero()[:, 0]
            if not len(rows):
                break
            _, found = self.attack_single_run(x[rows], y[rows])
            with torch.no_grad():
                margin, _ = super().margin_and_loss(found, y[rows])
            better = margin < lowest[rows]
            kept[rows[better]], lowest[rows[better]] = found[better], margin[better]
        return kept
