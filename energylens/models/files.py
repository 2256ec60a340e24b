"""Networks from files: weights of any nesting put into a named architecture, every key in its place."""

import json
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from energylens import spec
from energylens.errors import Note, UserError, first_line
from energylens.models import architectures, pickled
from energylens.models.first_look import UNREADABLE, glance
from energylens.models.fitting import fill as fill
from energylens.models.nearest import PLAIN, hint
from energylens.models.nesting import state_of
from energylens.models.wrappers import State

MOST_LACKING = 10
"""times as many parameters as a file holds; of fewer, those that lack are named"""


def weights(path: Path, trust: bool = False, part: str | None = None) -> State:
    """The state dict in a `.safetensors` or a torch checkpoint, on the CPU.

    Args:
        path: the file.
        trust: let the file run code while it is read (`--trust-checkpoint`).
        part: which part of the file, where it holds several.

    Raises:
        UserError: missing, empty, truncated, a web page, code in it, or no state dict inside.
    """
    if path.suffix == ".safetensors" or _is_safetensors(path):
        return state_of(_safetensors(path), path, part)
    return state_of(pickled.read(path, trust), path, part)


def _is_safetensors(path: Path) -> bool:
    """Whether a file of another name holds safetensors: eight bytes of length, then JSON."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        head = file.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    glance(path)
    if zipfile.is_zipfile(path):
        raise UserError(f"{path} is torch's or another zip archive, not safetensors; name it .pt")
    try:
        with safe_open(path, "pt") as file:
            yield file
    except UNREADABLE as error:
        raise UserError(f"{path} cannot be read as safetensors ({first_line(error)}); is it whole?") from error


def _safetensors(path: Path) -> State:
    with _opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def metadata(path: Path) -> dict[str, Any]:
    """What our trainers wrote into a checkpoint beside the weights: architecture, settings, accuracies."""
    with _opened(path) as file:
        stored = file.metadata() or {}
    try:
        about = json.loads(stored.get("energylens", "{}"))
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise UserError(f"{path} has metadata that is not ours; write {path}@ARCHITECTURE, such as @resnet18")
    return about


def own(path: Path) -> nn.Module:
    """The network of one of our own checkpoints, whose metadata names its architecture.

    Raises:
        UserError: unreadable, or it names none, or one whose weights would come from elsewhere.
    """
    state, text = _safetensors(path), metadata(path).get("arch")
    if text is None:
        raise UserError(f"{path} does not say its architecture; write {path}@ARCHITECTURE{hint(state)}")
    arch, part = _parsed(str(text))
    if "pretrained" in spec.parse(arch)[1]:
        raise UserError(f"{path} names {text}, which would download other weights; write {path}@ARCHITECTURE")
    _check_size(path, arch, state)
    return _built(path, arch, state_of(state, path, part))


def says_architecture(path: Path) -> bool:
    """Whether a file is a model reference by itself: one of ours, or an ONNX graph.

    Raises:
        UserError: it looks like one and cannot be read.
    """
    return path.suffix == ".onnx" or (_is_safetensors(path) and "arch" in metadata(path))


def _check_size(path: Path, arch: str, state: State) -> None:
    """A small file may not have a huge network built."""
    with torch.device("meta"):
        net = architectures.build(arch)
    asked, held = sum(map(Tensor.numel, net.parameters())), sum(map(Tensor.numel, state.values()))
    if asked > MOST_LACKING * held:
        raise UserError(f"{path} names {arch}, a network of {asked:,} parameters, and holds {held:,}; is it whole?")


def _parsed(text: str) -> tuple[str, str | None]:
    """`resnet18:part=net:classes=10` -> ("resnet18:classes=10", "net"); a part's name is text and may hold colons."""
    pieces: list[str] = []
    part: str | None = None
    last_is_part = False
    for piece in text.split(":"):
        if last_is_part and "=" not in piece:
            part = f"{part}:{piece}"
            continue
        last_is_part = piece.startswith("part=")
        if last_is_part and part is not None:
            raise UserError(f"'{text}' says part twice; leave one out")
        if last_is_part:
            part = piece.removeprefix("part=")
        else:
            pieces.append(piece)
    return ":".join(pieces), part


def named(path: Path, text: str, trust: bool = False) -> nn.Module:
    """The network of a file with a named architecture, in eval mode, with the normalisation that the file brings.

    Args:
        path: a state dict, however nested.
        text: `resnet18:classes=10`, with `part=NAME` for files that hold several sets of weights.
        trust: let the file run code while it is read.

    Raises:
        UserError: unreadable, unknown architecture, or the two do not fit.
    """
    arch, part = _parsed(text)
    return _built(path, arch, weights(path, trust, part))


def _built(path: Path, arch: str, state: State) -> nn.Module:
    """The network of an architecture with a file's weights."""
    name, settings = spec.parse(arch)
    net = architectures.build(arch)
    problem = f"{path.name} does not fit {arch}"
    if "normalize" in settings:
        front, inner = net.children()
        if fill(inner, state, problem) is not inner:
            raise UserError(f"{path.name} brings its own normalisation; leave out normalize={settings['normalize']}")
        net = nn.Sequential(front, inner).eval()
    else:
        net = fill(net, state, problem)
    if f"{name}:bn={settings.get('bn')}".lower() == PLAIN and "shortcut" not in settings:
        note = f"{path.name}: {PLAIN} has shortcuts behind the activation, RobustBench's class with equal keys has not"
        warnings.warn(
            Note(f"{note}; write @{PLAIN}:shortcut=input for that, shortcut=activated for this"), stacklevel=2
        )
    return net


def alone(path: Path, trust: bool = False) -> nn.Module:
    """The network of a file without a named architecture: one of ours, or a whole `nn.Module` of a trusted file.

    Raises:
        UserError: it is none; says which architecture its weights fit.
    """
    if _is_safetensors(path):
        return own(path)
    found = pickled.read(path, trust)
    if isinstance(found, nn.Module):
        return found.eval()
    near = hint(state_of(found, path))
    raise UserError(f"'{path}' alone is no model reference; write {path}@ARCHITECTURE{near}")
