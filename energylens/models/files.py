"""Weights from files, read so that a file cannot run code."""

import json
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from energylens.errors import UserError, first_line
from energylens.models import architectures

COUNTER = "num_batches_tracked"
"""BatchNorm's buffer that no prediction needs and that files from before torch 0.4.1 lack"""
NESTS = ("state_dict", "model_state_dict", "model", "net")


def weights(path: Path, trust: bool = False) -> dict[str, Tensor]:
    """The state dict in a `.safetensors` or a torch checkpoint, on the CPU.

    Args:
        path: the file.
        trust: let the file run code while it is read (`--trust-checkpoint`).

    Raises:
        UserError: missing, empty, truncated, a web page, code in it, or no state dict inside.
    """
    if path.suffix == ".safetensors":
        return _safetensors(path)[0]
    found = read(path, trust)
    for nest in NESTS:
        if isinstance(found, Mapping) and isinstance(found.get(nest), Mapping):
            found = found[nest]
    if not isinstance(found, Mapping) or not any(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path} holds {type(found).__name__}, not a state dict; save model.state_dict()")
    state = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
    consume_prefix_in_state_dict_if_present(state, "module.")
    return state


def read(path: Path, trust: bool = False) -> Any:
    """What `torch.load` gives, with `weights_only=True` unless the file is trusted.

    Raises:
        UserError: as `weights`, which see.
    """
    glance(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted and not trust:
            raise UserError(
                f"{path} wants to run code when it is read ({wanted.group(1)}); nothing was run. "
                "If you trust its author, pass --trust-checkpoint"
            ) from error
        raise UserError(f"{path} cannot be read as a checkpoint ({first_line(error)}); is it whole?") from error
    except Exception as error:  # torch raises RuntimeError, EOFError, KeyError, ... for broken files
        raise UserError(f"{path} cannot be read as a checkpoint ({first_line(error)}); is it whole?") from error


def glance(path: Path) -> None:
    """The quick look at a checkpoint file that its first bytes allow.

    Raises:
        UserError: missing, empty, or a web page.
    """
    if not path.is_file():
        raise UserError(f"no such checkpoint: {path}")
    with open(path, "rb") as file:
        head = file.read(64)
    if not head:
        raise UserError(f"{path} is empty; download or save it again")
    if head.lstrip()[:1] == b"<":
        raise UserError(f"{path} is a web page, not a checkpoint (a download's quota page?); download it again")


def _safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    glance(path)
    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read as safetensors ({first_line(error)}); is it whole?") from error


def metadata(path: Path) -> dict[str, Any]:
    """What our trainers wrote into a checkpoint beside the weights: architecture, settings, accuracies."""
    return _about(path, _safetensors(path)[1])


def _about(path: Path, stored: dict[str, str]) -> dict[str, Any]:
    try:
        about = json.loads(stored.get("energylens", "{}"))
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise UserError(f"{path} has metadata that is not ours; write {path}@resnet18:classes=10, say")
    return about


def own(path: Path) -> nn.Module:
    """The network of one of our own checkpoints, whose metadata names its architecture.

    Raises:
        UserError: unreadable, or it names none.
    """
    state, stored = _safetensors(path)
    arch = _about(path, stored).get("arch")
    if arch is None:
        raise UserError(f"{path} does not say its architecture; write {path}@resnet18:classes=10, say")
    return fill(architectures.build(arch), state, f"{path.name} does not fit {arch}")


def fill(net: nn.Module, state: Mapping[str, Tensor], problem: str) -> nn.Module:
    """Put weights into a network, every key in its place (BatchNorm's counters may lack); eval mode.

    Raises:
        UserError: keys are missing, unexpected or of another shape.
    """
    wanted = net.state_dict()
    missing = some(key for key in wanted.keys() - state.keys() if not key.endswith(COUNTER))
    unexpected = some(state.keys() - wanted.keys())
    if missing or unexpected:
        raise UserError(f"{problem}: missing {missing or 'nothing'}; unexpected {unexpected or 'nothing'}")
    for key, value in state.items():
        if value.shape != wanted[key].shape:
            shapes = f"{tuple(value.shape)} in the file, {tuple(wanted[key].shape)} in the network"
            raise UserError(f"{problem}: {key} is {shapes}")
    net.load_state_dict({**wanted, **state})
    return net.eval()


def some(keys: Iterable[str]) -> str:
    """The first three names, and how many more there are."""
    keys = sorted(keys)
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
