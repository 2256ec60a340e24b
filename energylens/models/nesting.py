"""Where in a checkpoint the weights are: nested, averaged, one of several sets."""

import re
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from energylens.errors import Note, UserError, some
from energylens.models.harmless import Array
from energylens.models.wrappers import COUNTER, State, part_of, unstored

AVERAGED = {"ema", "averaged", "average", "averages", "swa", "wa", "avg", "shadow", "polyak"}
"""words in a name: weights averaged over training; `unaveraged` is another word"""
OTHERS = {
    *(
        "opt",
        "optim",
        "optimizer",
        "optimizers",
        "optimiser",
        "sched",
        "scheduler",
        "schedulers",
        "scaler",
        "grad",
        "grads",
    ),
    *("discriminator", "momentum", "teacher", "loss", "criterion"),
}
"""words in a name: hardly the weights that are meant, if there are any others"""
MOMENTS = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
"""Adam's names for averages of gradients"""
RECOMPUTED = {"swa", "wa"}
"""words in a name: weights for which BatchNorm's statistics are computed anew (Izmailov et al. 2018)"""
BUFFERS = ("running_mean", "running_var", COUNTER)
"""BatchNorm's, which averages of parameters leave out"""
USUAL = ("state_dict", "model_state_dict", "model", "net")
REPEATED = 4 * 4096**2
"""numbers that a state dict may claim beyond what its file stores, such as a mean expanded to an image"""
DEPTH = 8
"""of nesting that is searched; each container is looked into once, so that a small file cannot hold many"""


def state_of(found: Any, path: Path, part: str | None = None) -> State:
    """The network's weights in what a checkpoint file holds.

    Averaged weights (EMA) are taken where a file holds both, as timm and RobustBench do; wherever one of several
    sets is taken, a note says so.

    Args:
        found: what was read.
        path: of the file, for messages.
        part: which part of the file, such as `state_dict`, or the beginning of its keys; None to look for it.

    Raises:
        UserError: no state dict inside, no such part, or several and nothing says which; tensors without numbers.
    """
    found_here = list(_parts(found))
    if not found_here:
        raise UserError(f"{path} holds {_kind(found)}, not a state dict; save model.state_dict()")
    parts = {name: state for name, state, _ in found_here}
    largest = _largest(parts, {name: around for name, _, around in found_here})
    if part is None:
        part = _chosen(largest, path)
        if not _is_averaged(part) and (lists := _lists(found)):
            what = f"{lists[0]} has averaged weights without names, which cannot be used; {_told(part)} is read"
            warnings.warn(Note(f"{path.name}: {what}"), stacklevel=2)
    if part in parts:
        return _dense(_completed(part, parts, path), path)
    inner = [(whole, state) for whole in largest.values() if (state := part_of(whole, part))]
    if len(inner) != 1:
        raise UserError(f"{path} has no part '{part}'; it holds {', '.join(map(_told, _first(parts)))}")
    whole, state = inner[0]
    begin = part[: part.rfind(".") + 1]
    left = [key for key in whole if not key.startswith(f"{part}.") and key.removeprefix(begin) not in state]
    if left:
        warnings.warn(Note(f"{path.name}: part={part} leaves out {some(left)}"), stacklevel=2)
    return _dense(state, path)


def _dense(state: State, path: Path) -> State:
    """Weights whose numbers are in the file as they are, told before any of them is copied."""
    for key, value in state.items():
        if value.is_quantized:
            raise UserError(f"{path}: {key} is quantised ({value.dtype}); save it with .dequantize()")
        if value.layout is not torch.strided:
            raise UserError(f"{path}: {key} is sparse; save it with .to_dense()")
        if value.is_meta:
            raise UserError(f"{path}: {key} is on the meta device, which holds no numbers; save the real weights")
    more = {key: unstored(value) for key, value in state.items()}
    if sum(more.values()) > REPEATED:
        largest = max(more, key=lambda key: more[key])
        shape = tuple(state[largest].shape)
        raise UserError(f"{path}: {largest} of shape {shape} repeats numbers that are stored once; save a .clone()")
    return state


def _kind(found: Any) -> str:
    keys = f" of {some(map(str, found))}" if isinstance(found, Mapping) and found else ""
    return f"{type(found).__name__}{keys}"


def _told(name: str) -> str:
    return name or "the file itself"


def _chosen(parts: Mapping[str, State], path: Path) -> str:
    likely = [name for name in parts if not _is_other(name)] or list(parts)
    plain = [name for name in likely if not _is_averaged(name)]
    enough = max((_size(parts[name]) for name in plain), default=0) / 2  # what has less is a metric's average
    averaged = [name for name in likely if name not in plain and _size(parts[name]) >= enough]
    likely = [name for name in likely if name in plain or name in averaged]
    usual = [name for name in likely if name.rpartition(".")[2] in USUAL]
    if len(likely) == 1:
        name = likely[0]
    elif len(averaged) == 1 and len(plain) == 1:
        name = averaged[0]
    elif len(usual) == 1 and not averaged:
        name = usual[0]
    else:
        options = " or ".join(f"part={name}" for name in _first(parts))
        raise UserError(f"{path} holds {len(parts)} sets of weights; say which behind @ARCHITECTURE: {options}")
    if others := [other for other in parts if other != name]:
        held = ", ".join(map(_told, _first(others)))
        read = f"and averaged weights, {name}, which are read" if name in averaged else f"and {name}, which is read"
        note = f"{path.name} holds {held} {read}; write @ARCHITECTURE:part={others[0]} for the others"
        warnings.warn(Note(note), stacklevel=2)
    return name


def _first(names: Iterable[str]) -> list[str]:
    """As many as a line holds."""
    return list(islice(names, 12))


def _words(name: str) -> set[str]:
    """`bestModel_EMA.net` -> best, model, ema, net."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def _is_averaged(name: str) -> bool:
    """Whether a part's name says that its weights are averaged over training."""
    return bool(_words(name) & AVERAGED) and not _is_other(name)


def _is_other(name: str) -> bool:
    return bool(_words(name) & OTHERS or set(name.split(".")) & MOMENTS)


def _size(state: State) -> int:
    """Tensors of a set; BatchNorm's buffers, which averages may lack, do not count."""
    return sum(not key.endswith(BUFFERS) for key in state)


def _completed(name: str, parts: Mapping[str, State], path: Path) -> State:
    """A set; averaged parameters with the running statistics of the network beside them, as trainers use them."""
    state = parts[name]
    if not _is_averaged(name) or _words(name) & RECOMPUTED:
        return state
    wholes = [
        other
        for other, whole in parts.items()
        if state.keys() < whole.keys() and all(key.endswith(BUFFERS) for key in whole.keys() - state.keys())
    ]
    if len(wholes) != 1:  # what lacks is told when the network is filled
        return state
    note = f"{path.name}: {name} has no statistics of BatchNorm; those of {_told(wholes[0])} are taken"
    warnings.warn(Note(note), stacklevel=2)
    return {**parts[wholes[0]], **state}


def _lists(found: Any) -> list[str]:
    """Averaged weights that are a list of tensors and so have no layers' names, as torch_ema saves them."""
    places, seen = [], set()
    queue: deque[tuple[str, Any, int]] = deque([("", found, 0)])
    while queue:
        name, here, depth = queue.popleft()
        if id(here) in seen or depth == DEPTH:
            continue
        seen.add(id(here))
        inner = [(f"{name}.{key}" if name else str(key), value) for key, value in _items(here)]
        queue.extend((*each, depth + 1) for each in inner if isinstance(each[1], Mapping))
        places += [
            place for place, value in inner
            if _is_averaged(place) and isinstance(value, list | tuple)
            and len(value) > 1 and all(isinstance(each, Tensor) for each in value)
        ]  # fmt: skip
    return places


def _parts(found: Any) -> Iterator[tuple[str, State, str | None]]:
    """Every state dict in a nest of dictionaries and lists: its name, it, and the name of the one around it."""
    states: dict[int, State] = {}
    queue: deque[tuple[str, Any, str | None, int]] = deque([("", found, None, 0)])
    while queue:
        name, here, around, depth = queue.popleft()
        new = id(here) not in states
        if new:
            states[id(here)] = _weights(here)
        if states[id(here)]:
            yield name, states[id(here)], around
            around = name
        if new and depth < DEPTH:
            inner = ((f"{name}.{key}" if name else str(key), value) for key, value in _items(here))
            queue.extend((*named, around, depth + 1) for named in inner)


def _items(found: Any) -> list[tuple[Any, Any]]:
    """The containers in a container."""
    items = enumerate(found) if isinstance(found, list | tuple) else found.items() if isinstance(found, Mapping) else ()
    return [(key, value) for key, value in items if isinstance(value, Mapping | list | tuple | nn.Module)]


def _weights(found: Any) -> State:
    """A state dict, if this is one: tensors under dotted names, as modules give them."""
    if isinstance(found, nn.Module):
        return found.state_dict()
    if not isinstance(found, Mapping):
        return {}
    state = {str(key): number for key, value in found.items() if (number := _tensor(value)) is not None}
    return state if any("." in key or key in ("weight", "bias") for key in state) else {}


def _tensor(value: Any) -> Tensor | None:
    value = value.value if isinstance(value, Array) else value
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value) if value.dtype.kind in "fiub" else None
    return value if isinstance(value, Tensor) else None


def _largest(parts: Mapping[str, State], around: Mapping[str, str | None]) -> dict[str, State]:
    """Without the few tensors around or inside a larger set, such as losses beside a state dict."""
    smaller = set()
    for name, outer in around.items():
        if outer is not None and len(parts[name]) != len(parts[outer]):
            smaller.add(min(name, outer, key=lambda place: len(parts[place])))
    return {name: state for name, state in parts.items() if name not in smaller}
