"""Networks from files: weights of any nesting put into a named architecture, every key in its place."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from energylens import spec
from energylens.errors import UserError, first_line, some
from energylens.models import architectures, pickled
from energylens.models.nearest import COUNTER, hint
from energylens.models.nesting import State, state_of, unwrapped
from energylens.models.normalize import Normalize

UNUSED = ("sub_block1.",)
"""beginnings of keys that files of a public class have and that its forward pass never uses (TRADES's wide ResNet)"""


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
        state: Any = _safetensors(path)[0]
        return state_of(state, path, part)
    return state_of(pickled.read(path, trust), path, part)


def _is_safetensors(path: Path) -> bool:
    """Whether a file of another name holds safetensors: eight bytes of length, then JSON."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        head = file.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size


def _safetensors(path: Path) -> tuple[State, dict[str, str]]:
    pickled.glance(path)
    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, MemoryError) as error:
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
        raise UserError(f"{path} does not say its architecture; write {path}@resnet18:classes=10, say{hint(state)}")
    return named(path, str(arch))


def named(path: Path, text: str, trust: bool = False) -> nn.Module:
    """The network of a file with a named architecture, in eval mode, with the normalisation that the file brings.

    Args:
        path: a state dict, however nested.
        text: `resnet18:classes=10`, with `part=NAME` for files that hold several sets of weights.
        trust: let the file run code while it is read.

    Raises:
        UserError: unreadable, unknown architecture, or the two do not fit.
    """
    name, settings = spec.parse(text)
    part = settings.pop("part", None)
    arch = ":".join([name, *(each for each in text.split(":")[1:] if not each.startswith("part="))])
    state = weights(path, trust, None if part is None else str(part))
    net = architectures.build(arch)
    problem = f"{path.name} does not fit {arch}"
    if "normalize" not in settings:
        return fill(net, state, problem)
    front, inner = net.children()
    filled = fill(inner, state, problem)
    if filled is not inner:
        raise UserError(f"{path.name} brings its own normalisation; leave out normalize={settings['normalize']}")
    return nn.Sequential(front, inner).eval()


def fill(net: nn.Module, state: Mapping[str, Tensor], problem: str) -> nn.Module:
    """Put weights into a network, every key in its place (BatchNorm's counters may lack); eval mode.

    Args:
        net: of the architecture.
        state: a file's weights; wrappers' prefixes are taken off.
        problem: how an error begins.

    Returns:
        The network itself, or with the normalisation that the weights bring in front of it.

    Raises:
        UserError: keys are missing, unexpected or of another shape.
    """
    wanted = net.state_dict()
    found, front = unwrapped(dict(state), set(wanted))
    found = {key: value for key, value in found.items() if key in wanted or not key.startswith(UNUSED)}
    missing = some(key for key in wanted.keys() - found.keys() if not key.endswith(COUNTER))
    unexpected = some(found.keys() - wanted.keys())
    if missing or unexpected:
        lacks = f"missing {missing or 'nothing'}; unexpected {unexpected or 'nothing'}"
        raise UserError(f"{problem}: {lacks}{hint(state)}")
    for key, value in found.items():
        if value.shape != wanted[key].shape:
            shapes = f"{tuple(value.shape)} in the file, {tuple(wanted[key].shape)} in the network"
            raise UserError(f"{problem}: {key} is {shapes}{hint(state)}")
    net.load_state_dict({**wanted, **found})
    return net.eval() if front is None else nn.Sequential(_checked(front, net, problem), net).eval()


def _checked(front: Normalize, net: nn.Module, problem: str) -> Normalize:
    if not (front.std > 0).all():
        raise UserError(f"{problem}: its normalisation divides by {float(front.std.min()):g}")
    return front


def alone(path: Path, trust: bool = False) -> nn.Module:
    """The network of a file without a named architecture: a whole pickled `nn.Module` of a trusted file.

    Raises:
        UserError: it is none; says which architecture its weights fit.
    """
    found = pickled.read(path, trust)
    if isinstance(found, nn.Module):
        return found.eval()
    near = hint(state_of(found, path))
    raise UserError(f"'{path}' alone is no model reference; write {path}@ARCHITECTURE{near}")
