"""Networks known by name: `build("resnet18:classes=10")`. Inputs in [0, 1]; nothing is normalised unless it is said."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from energylens import spec
from energylens.errors import UserError, first_line, unknown
from energylens.models import factories
from energylens.models.normalize import normalize
from energylens.models.preact import preact_resnet18
from energylens.models.resnet import ResNet as ResNet
from energylens.models.resnet import Subsample as Subsample
from energylens.models.resnet import cifar_resnet, resnet18, resnet34, small_resnet
from energylens.models.wide_resnet import wide_resnet

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "preact-resnet18": preact_resnet18,
    "wrn": wide_resnet,
    "wrn-28-10": partial(wide_resnet, 28, 10),
    "wrn-34-10": partial(wide_resnet, 34, 10),
    "resnet20": partial(cifar_resnet, 20),
    "resnet32": partial(cifar_resnet, 32),
    "resnet44": partial(cifar_resnet, 44),
    "resnet56": partial(cifar_resnet, 56),
    "resnet110": partial(cifar_resnet, 110),
    "small-resnet": small_resnet,
}
SIZES = ("channels", "classes", "width", "stages")
DEEPEST = 999


def build(text: str) -> nn.Module:
    """The network of a name with settings, freshly initialised.

    Args:
        text: `small-resnet:depth=10`, `wrn-28-10:classes=100`, `timm/vit_tiny_patch16_224:classes=10`,
            `torchvision/resnet50`; `normalize=imagenet` on any of them puts a normalisation in front.

    Raises:
        UserError: unknown architecture or setting.
    """
    name, settings = spec.parse(text)
    _check_sizes(settings, text)
    front = settings.pop("normalize", None)
    net = _named(name, settings, text)
    return net if front is None else nn.Sequential(normalize(front), net)


def _check_sizes(settings: dict[str, Any], text: str) -> None:
    """Counts are whole and at least 1; a file's metadata may not have a network built for hours."""
    for key in SIZES:
        value = settings.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"{text}: {key} must be a whole number, at least 1")
    if isinstance(depth := settings.get("depth"), int | float) and depth > DEEPEST:
        raise UserError(f"{text}: depth must be at most {DEEPEST}")


def known_settings(text: str) -> list[str]:
    """What can be set of a named architecture, of another library's as far as data decides it.

    Raises:
        UserError: unknown architecture.
    """
    name = spec.parse(text)[0]
    library, slash, _ = name.partition("/")
    if slash:
        return [setting for setting in ("channels", "classes") if setting == "classes" or library == "timm"]
    return settings_of(_factory(name))


def _factory(name: str) -> Callable[..., nn.Module]:
    wide = re.fullmatch(r"wrn-([0-9]{1,3})-([0-9]{1,3})", name)
    factory = partial(wide_resnet, int(wide[1]), int(wide[2])) if wide else ARCHITECTURES.get(name)
    if factory is None:
        raise unknown("architecture", name, [*ARCHITECTURES, *(f"{library}/NAME" for library in factories.LIBRARIES)])
    return factory


def _named(name: str, settings: dict[str, Any], text: str) -> nn.Module:
    library, slash, theirs = name.partition("/")
    if slash:
        return factories.build(library, theirs, settings)
    factory = _factory(name)
    try:
        return factory(**spec.check(settings, settings_of(factory), name))
    except (TypeError, RuntimeError) as error:
        raise UserError(f"cannot build {text} ({first_line(error)})") from error


def settings_of(factory: Callable[..., nn.Module]) -> list[str]:
    """What a user may set of a factory: parameters that a `partial` has not fixed by their place, and `normalize`."""
    return [*inspect.signature(factory).parameters, "normalize"]
