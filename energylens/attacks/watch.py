"""See what an attack does by the calls it makes of its model."""

from collections.abc import Callable

import torch
from torch import Tensor


class Watched:
    """A model that tells an observer of every call: (number of the call, points [B, ...], logits [B, K]).

    A call on fewer than all images updates those alone. Its rows are told by the nearest natural image,
    so two natural images closer to each other than an attack reaches would be taken for one another.
    """

    def __init__(self, model, x: Tensor, observe: Callable[[int, Tensor, Tensor], None]):
        self.model, self.natural, self.observe = model, x, observe
        self.calls, self.points = 0, x.clone()
        self.logits: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, K], and the observer is told."""
        logits = self.model(x)
        with torch.no_grad():
            if self.logits is None:
                whole = logits if len(x) == len(self.natural) else self.model(self.natural)
                self.logits = whole.detach().clone()
            rows = self._rows(x)
            self.points[rows], self.logits[rows] = x.detach(), logits.detach()
            self.observe(self.calls, self.points.clone(), self.logits.clone())
        self.calls += 1
        return logits

    def _rows(self, x: Tensor) -> Tensor:
        if len(x) == len(self.natural):
            return torch.arange(len(x), device=x.device)
        return torch.cdist(x.flatten(1).double(), self.natural.flatten(1).double()).argmin(1)


def unwatched(model):
    """The model itself, where it is watched."""
    return model.model if isinstance(model, Watched) else model
