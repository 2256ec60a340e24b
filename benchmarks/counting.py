"""The work of a run, counted: operations, passes through a network, and what the device could do in a second."""

from collections.abc import Callable

import torch
from probing import race
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Counted(nn.Module):
    """One layer, so that a pass is a product; the factor before it wants the gradient at the layer's inputs."""

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.factor, self.linear = nn.Parameter(torch.ones(())), nn.Linear(inputs, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] -> logits [B, K]."""
        return self.linear((self.factor * x).flatten(1))


class Flops(TorchDispatchMode):
    """Counts the operations of products and convolutions; torch's own FlopCounterMode fails inside `autograd.grad`."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run it and count it."""
        out = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func._overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def flops(run: Callable[[], None]) -> int:
    """Operations of a run, a multiplication and an addition being two."""
    with Flops() as counter:
        run()
    return counter.total


def limit(device: torch.device, dtype: torch.dtype, clock: Callable[[], float]) -> float:
    """Operations a second of a large matrix product, the fastest of five runs.

    On CUDA float32 means TF32, as it does for convolutions by default.
    """
    torch.backends.cuda.matmul.allow_tf32 = True
    size, products = (8192, 10) if device.type == "cuda" else (2048, 1)
    factor = torch.randn(size, size, device=device, dtype=dtype)

    def multiply() -> None:
        for _ in range(products):
            factor @ factor
        wait(device)

    multiply()
    return products * 2 * size**3 / min(race({"product": multiply}, 5, clock)["product"])


def wait(device: torch.device) -> None:
    """Until the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
