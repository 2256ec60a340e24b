"""Adversarial weight perturbation: the gradient is taken where the weights, too, are at their worst."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from energylens.errors import UserError

GAMMA = 0.005
"""the public code's, with TRADES"""
TINY = 1e-20
"""keeps a gradient of zero from dividing by zero"""


@contextmanager
def perturbed(
    net: nn.Module,
    loss: Callable[[], Tensor],
    gamma: float = GAMMA,
    average: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[None]:
    """Inside, the weights stand at w + gamma ||w|| g / ||g||, layer by layer; after, exactly at w again.

    g is the gradient of the loss at w. Layers are the parameters of more than one dimension that take gradients:
    no biases, nothing of BatchNorm. Buffers (BatchNorm's running statistics) come out of the pass for g as they
    went in, like those of the public code's proxy network; gradients at the parameters are not touched.

    ```
    with awp.perturbed(net, lambda: objective.loss(*objective.logits(net, x, x_adv), y)):
        objective.loss(*objective.logits(net, x, x_adv), y).backward()
    optimizer.step()  # after the block: inside, its step would be undone
    ```

    Args:
        net: in train mode, as for the step itself.
        loss: the objective at the adversarial images; called once.
        gamma: length of a layer's step, as a share of the layer's norm; 0 leaves the weights.
        average: over processes, applied to each g before its norm is taken; None for one process.

    Yields:
        Nothing.

    Raises:
        UserError: gamma is negative or not finite.

    Source: Wu et al. 2020 (arXiv:2004.05884), with one step, and the public code.
    """
    if not 0 <= gamma < math.inf:
        raise UserError(f"AWP's gamma={gamma!r} must be a finite number, at least 0; its authors take {GAMMA}")
    layers = [weight for weight in net.parameters() if weight.dim() > 1 and weight.requires_grad]
    gradients = _ascent(net, loss, layers)
    if average:
        gradients = [average(gradient) for gradient in gradients]
    start = [weight.detach().clone() for weight in layers]
    try:
        with torch.no_grad():
            for weight, gradient in zip(layers, gradients, strict=True):
                weight.add_(gamma * weight.norm() / (gradient.norm() + TINY) * gradient)
        yield
    finally:
        _put_back(layers, start)


def _ascent(net: nn.Module, loss: Callable[[], Tensor], layers: list[nn.Parameter]) -> list[Tensor]:
    """The loss's gradient at each layer; the net's buffers as they were."""
    buffers = list(net.buffers())
    kept = [buffer.clone() for buffer in buffers]
    try:
        return list(torch.autograd.grad(loss(), layers, allow_unused=True, materialize_grads=True))
    finally:
        _put_back(buffers, kept)


@torch.no_grad()
def _put_back(tensors, values: list[Tensor]) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)
