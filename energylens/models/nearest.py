"""Which of our architectures a state dict fits best, by its keys and shapes alone."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from energylens.errors import UserError
from energylens.models import architectures
from energylens.models.wrappers import COUNTER, State, modules, part_of, unwrapped

HEADS = ("linear.weight", "fc.weight", "logits.weight", "classifier.weight", "head.weight", "head.fc.weight")
FIXED = (
    *("resnet18", "resnet34", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"),
    *("small-resnet", "small-resnet:depth=10", "small-resnet:depth=14", "preact-resnet18", "preact-resnet18:bn=false"),
    *("torchvision/resnet18", "torchvision/resnet34", "torchvision/resnet50", "timm/resnet18", "timm/resnet50"),
)
ENOUGH = 0.5
"""of all keys, with their shapes, must agree before an architecture is named"""
DEEPEST = 30
"""blocks of a stage, for which a file's keys are believed: WideResNet-184"""
PLAIN = "preact-resnet18:bn=false"
PARTS = 4
"""modules of a state dict that are looked at"""


def nearest(state: Mapping[str, Tensor]) -> tuple[str, float]:
    """The architecture, with its settings, that shares most keys and shapes, and the part that it shares.

    Returns:
        Such as ("wrn-28-10:classes=100", 1.0); ("", 0.0) where nothing agrees.
    """
    best = ("", 0.0)
    for arch in _candidates(state):
        shapes = _shapes(arch)
        if shapes is None:
            continue
        found = unwrapped(dict(state), set(shapes))[0]
        keys = {key: tuple(value.shape) for key, value in found.items() if not key.endswith(COUNTER)}
        both = sum(keys.get(key) == shape for key, shape in shapes.items())
        share = both / len(shapes.keys() | keys.keys())
        if share > best[1]:
            best = (arch, share)
    return best


def hint(state: Mapping[str, Tensor]) -> str:
    """What to type, if one of our architectures is near: `; it fits @resnet18:classes=100`."""
    arch, share = nearest(state)
    if share == 1:
        return f"; it fits @{arch}{_twin(arch)}"
    if share >= ENOUGH:
        return f"; nearest: @{arch} ({100 * share:.0f} % of keys and shapes)"
    return (
        _of_parts(dict(state)) or "; none of ours is near: write FILE.py:FUNCTION that builds the network and loads it"
    )


def _twin(arch: str) -> str:
    """Of two architectures with the same keys, the other."""
    if not arch.startswith(PLAIN):
        return ""
    other = arch.replace(PLAIN, f"{PLAIN}:shortcut=input")
    return f" (shortcuts behind the activation) or @{other} (RobustBench's class): equal keys, other logits"


def _of_parts(state: State) -> str:
    """What to type for a state dict of several modules, such as a network and its teacher."""
    common, sizes = modules(state)
    fits = []
    for name, _ in sizes.most_common(PARTS if len(sizes) > 1 else 0):
        arch, share = nearest(part_of(state, f"{common}{name}"))
        if share == 1:
            fits.append(f"@{arch}:part={common}{name}")
    return f"; it fits {' or '.join(fits)}" if fits else ""


@lru_cache(maxsize=64)
def _shapes(arch: str) -> dict[str, tuple[int, ...]] | None:
    try:
        with torch.device("meta"):
            state = architectures.build(arch).state_dict()
            return {key: tuple(value.shape) for key, value in state.items() if not key.endswith(COUNTER)}
    except UserError:
        return None


def _candidates(state: Mapping[str, Tensor]) -> Iterator[str]:
    head = next((value for key, value in state.items() if key.endswith(HEADS) and value.dim() == 2), None)
    stem = next((value for key, value in state.items() if key.endswith("conv1.weight") and value.dim() == 4), None)
    classes = "" if head is None or len(head) == 10 else f"classes={len(head)}"
    for arch in FIXED:
        usual = 1 if arch.startswith("small") else 3
        channels = "" if stem is None or "/" in arch or stem.shape[1] == usual else f"channels={stem.shape[1]}"
        yield _with(arch, channels, _classes(arch, classes, head), *_width(arch, stem))
    blocks = {int(match[1]) for key in state if (match := re.search(r"block1\.layer\.([0-9]{1,3})\.", key))}
    wide = next((value for key, value in state.items() if key.endswith("block1.layer.0.conv1.weight")), None)
    if wide is not None and wide.dim() == 4 and max(blocks) + 1 == len(blocks) <= DEEPEST:
        channels = "" if stem is None or stem.shape[1] == 3 else f"channels={stem.shape[1]}"
        yield _with(f"wrn-{6 * (max(blocks) + 1) + 4}-{len(wide) // 16}", channels, classes)


def _classes(arch: str, classes: str, head: Tensor | None) -> str:
    """Other libraries' networks have 1,000 classes unless it is said."""
    if "/" in arch and head is not None:
        return "" if len(head) == 1000 else f"classes={len(head)}"
    return classes


def _width(arch: str, stem: Tensor | None) -> list[str]:
    return [f"width={len(stem)}"] if arch.startswith("small") and stem is not None and len(stem) != 16 else []


def _with(arch: str, *settings: str) -> str:
    return ":".join([arch, *(setting for setting in settings if setting)])
