"""Weights put into a network, every key in its place."""

import math
from collections.abc import Mapping

from torch import Tensor, nn

from energylens.errors import UserError, some
from energylens.models.nearest import hint
from energylens.models.normalize import Normalize
from energylens.models.wrappers import COUNTER, State, fitting, unwrapped

UNUSED = ("sub_block1.",)
"""beginnings of keys that files of a public class have and that its forward pass never uses (TRADES's wide ResNet)"""
BY_HAND = "write FILE.py:FUNCTION that builds the network and loads it"


def fill(net: nn.Module, state: Mapping[str, Tensor], problem: str) -> nn.Module:
    """Put weights into a network, every key in its place (BatchNorm's counters may lack); eval mode.

    Args:
        net: of the architecture.
        state: a file's weights; wrappers' prefixes are taken off.
        problem: how an error begins.

    Returns:
        The network itself, or with the normalisation that the weights bring in front of it.

    Raises:
        UserError: keys are missing, unexpected, of another shape or not of floating point.
    """
    wanted = net.state_dict()
    found, front = unwrapped(dict(state), set(wanted))
    found = {key: value for key, value in found.items() if key in wanted or not key.startswith(UNUSED)}
    missing = some(key for key in wanted.keys() - found.keys() if not key.endswith(COUNTER))
    unexpected = some(found.keys() - wanted.keys())
    if missing or unexpected:
        lacks = f"missing {missing or 'nothing'}; unexpected {unexpected or 'nothing'}"
        parts = " or ".join(f"part={part}" for part in fitting(dict(state), wanted.keys()))
        raise UserError(f"{problem}: {lacks}; it fits with {parts}" if parts else f"{problem}: {lacks}{hint(state)}")
    found = {key: value for key, value in found.items() if not key.endswith(COUNTER) or not value.dim()}
    _check(found, wanted, state, problem)
    net.load_state_dict({**wanted, **found})
    return net.eval() if front is None else nn.Sequential(_checked(front, net, problem), net).eval()


def _check(found: State, wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], problem: str) -> None:
    """Shapes as in the network, and numbers that mean themselves."""
    for key, value in found.items():
        if value.shape != wanted[key].shape:
            shapes = f"{tuple(value.shape)} in the file, {tuple(wanted[key].shape)} in the network"
            raise UserError(f"{problem}: {key} is {shapes}{hint(state)}")
        if wanted[key].is_floating_point() and not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            remedy = "take its real part" if value.is_complex() else "dequantise it first"
            raise UserError(f"{problem}: {key} is {kind} in the file; {remedy}")


def _checked(front: Normalize, net: nn.Module, problem: str) -> Normalize:
    """A file's normalisation, if it is one for images in [0, 1]."""
    mean, std = front.mean.flatten().tolist(), front.std.flatten().tolist()
    told = f"mean {_told(mean)}, std {_told(std)}"
    if not all(0 <= value <= 1 for value in mean) or not all(0 < value <= 1 for value in std):
        raise UserError(f"{problem}: its normalisation ({told}) is not one for images in [0, 1]; {BY_HAND}")
    channels = next((layer.in_channels for layer in net.modules() if isinstance(layer, nn.Conv2d)), None)
    if channels is not None and len(mean) not in (1, channels):
        raise UserError(f"{problem}: its normalisation ({told}) is not one for {channels} channels; {BY_HAND}")
    return front


def _told(values: list[float]) -> str:
    return ", ".join("not a number" if math.isnan(value) else f"{value:.4g}" for value in values)
