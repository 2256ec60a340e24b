"""What pyautoattack's classes need around them: their images as they want them, and no trace of them.

Their results depend on the images that share a batch (one stream of random numbers for all), so `batch`
is a setting of these attacks and no matter of memory; a batch's numbers are drawn from the seed plus
its first image's place in the split.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from energylens.attacks.attack import Attack
from energylens.attacks.precision import exact
from energylens.attacks.watch import unwatched

QUIET = logging.getLogger("energylens.attacks")
"""where their remarks go; vanished gradients are told by `models check`"""
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False
NORMS = {"linf": "Linf", "l2": "L2"}  # as they write them


class _Relayout(torch.autograd.Function):
    """An image batch in the network's memory format; its gradient in the usual one, which `view` wants."""

    @staticmethod
    def forward(ctx, x: Tensor, layout: torch.memory_format) -> Tensor:
        return x.contiguous(memory_format=layout)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.contiguous(), None


class Net:
    """A model as these classes call it: contiguous images in, logits out that they may write on."""

    def __init__(self, model, like: Tensor):
        self.model = model
        fast = like.dim() == 4 and not like.is_contiguous()
        self.layout = torch.channels_last if fast else torch.contiguous_format

    def __call__(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, K]."""
        if len(x) == 0:  # what is left of a batch of which all are done
            return self.model(x.new_zeros(1, *x.shape[1:]))[:0]
        return self.model(_Relayout.apply(x, self.layout)).clone()

    @property
    def exact(self) -> "Net":
        """The same in float32."""
        twin = Net.__new__(Net)
        twin.model, twin.layout = exact(self.model), self.layout
        return twin


@contextmanager
def own_random_numbers(seed: int) -> Iterator[None]:
    """Inside, torch's global stream begins at `seed`; behind it, it is where it was before."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def classes_of(net: Net, x: Tensor, attack: Attack) -> int:
    """The number of the model's classes.

    Raises:
        UserError: the attack needs more of them.
    """
    with torch.no_grad():
        classes = unwatched(net.model)(x[:1]).shape[1]
    attack.check_classes(classes, "this one")
    return classes
