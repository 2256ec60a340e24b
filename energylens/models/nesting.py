"""Where in a checkpoint the weights are: nested, wrapped, averaged, with a normalisation in front."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from energylens.errors import Note, UserError, some
from energylens.models.normalize import Normalize

State = dict[str, Tensor]
AVERAGED = ("ema", "averaged", "swa")
"""in a name: weights averaged over training; `unaveraged` is the opposite"""
OTHERS = ("optim", "sched", "scaler", "grad", "discriminator", "momentum", "teacher", "loss", "criterion")
"""in a name: tensors that are no network's weights"""
COUNTERS = ("n_averaged", "num_updates", "decay")
"""scalars of averaging wrappers"""
DEPTH = 3


def state_of(found: Any, path: Path, part: str | None = None) -> State:
    """The network's weights in what a checkpoint file holds.

    Averaged weights (EMA) are taken where a file holds both, as timm and RobustBench do, and a note says so.

    Args:
        found: what was read.
        path: of the file, for messages.
        part: which part of the file, such as `state_dict`; None to look for it.

    Raises:
        UserError: no state dict inside, no such part, or several and nothing says which.
    """
    parts = dict(_parts(found))
    if not parts:
        raise UserError(f"{path} holds {_kind(found)}, not a state dict; save model.state_dict()")
    if part is not None:
        if part not in parts:
            raise UserError(f"{path} has no part '{part}'; it holds {', '.join(map(_told, parts))}")
        return parts[part]
    return parts[next(iter(parts)) if len(parts) == 1 else _chosen(parts, path)]


def _kind(found: Any) -> str:
    keys = f" of {some(map(str, found))}" if isinstance(found, Mapping) and found else ""
    return f"{type(found).__name__}{keys}"


def _told(name: str) -> str:
    return name or "the file itself"


def _chosen(parts: Mapping[str, State], path: Path) -> str:
    averaged = [name for name in parts if is_averaged(name)]
    plain = [name for name in parts if name not in averaged]
    if len(averaged) == 1 and len(plain) <= 1:
        rest = f"part={plain[0]}"
        note = f"{path.name} holds {_told(plain[0])} and averaged weights, {averaged[0]}, which are read"
        warnings.warn(Note(f"{note}; write @ARCHITECTURE:{rest} for the others"), stacklevel=2)
        return averaged[0]
    names = [name for name in parts if name.rpartition(".")[2] in ("state_dict", "model_state_dict", "model", "net")]
    if len(names) == 1 and not averaged:
        return names[0]
    options = ", ".join(f"part={name}" for name in parts)
    raise UserError(f"{path} holds {len(parts)} sets of weights; say which, as in @ARCHITECTURE:{options}")


def is_averaged(name: str) -> bool:
    """Whether a part's name says that its weights are averaged over training."""
    words = name.lower()
    return "unaveraged" not in words and any(word in words for word in AVERAGED)


def _parts(found: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Every state dict in a nest of dictionaries and lists, by its name."""
    if isinstance(found, nn.Module):
        yield name, found.state_dict()
        return
    if isinstance(found, list | tuple):
        found = {str(place): value for place, value in enumerate(found)}
    if not isinstance(found, Mapping):
        return
    state = _tensors(found)
    if _looks_like_weights(state):
        yield name, state
        return
    if depth < DEPTH:
        for key, value in found.items():
            if not any(word in str(key).lower() for word in OTHERS):
                yield from _parts(value, f"{name}.{key}" if name else str(key), depth + 1)


def _tensors(found: Mapping) -> State:
    arrays = {str(key): value for key, value in found.items()}
    numbers = {
        key: value for key, value in arrays.items() if isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    }
    tensors = {key: value for key, value in arrays.items() if isinstance(value, Tensor)}
    return tensors | {key: torch.from_numpy(value) for key, value in numbers.items()}


def _looks_like_weights(state: State) -> bool:
    """Tensors under dotted names, as modules give them."""
    return any("." in key or key in ("weight", "bias") for key in state)


def cleaned(state: State) -> State:
    """Without the counters of averaging wrappers."""
    return {key: value for key, value in state.items() if key not in COUNTERS}


def unwrapped(state: State, wanted: set[str]) -> tuple[State, Normalize | None]:
    """Keys as the network has them, and the normalisation that the file puts in front of it.

    Wrappers' prefixes (`module.`, `model.`, `1.`, ...) go where all keys share one and the network has none such.

    Args:
        state: a file's.
        wanted: the network's own keys.
    """
    state, front = cleaned(state), None
    whole = state
    while not wanted & state.keys():
        first = {key.partition(".")[0] for key in state}
        if len(first) == 1 and all("." in key for key in state):
            state = {key.partition(".")[2]: value for key, value in state.items()}
            continue
        if front is not None:
            break
        front, rest = _normalisation(state)
        if front is None:
            break
        state = rest
    if not wanted & state.keys():
        return whole, None  # another network's; its keys as they are in the file
    if front is None and state.keys() - wanted:
        front, rest = _normalisation({key: value for key, value in state.items() if key not in wanted})
        state = {key: value for key, value in state.items() if key in wanted} | rest
    return state, front


def _normalisation(state: State) -> tuple[Normalize | None, State]:
    """A mean and a standard deviation of the channels, and everything else."""
    for mean_key, mean in state.items():
        for mean_word, std_word in (("mean", "std"), ("mu", "sigma")):
            before, _, last = mean_key.rpartition(".")
            if last.lstrip("_") != mean_word or not 1 <= mean.numel() <= 4:
                continue
            std_key = (before + "." if before else "") + last.replace(mean_word, std_word)
            if std_key in state and state[std_key].numel() == mean.numel():
                rest = {key: value for key, value in state.items() if key not in (mean_key, std_key)}
                return Normalize(mean, state[std_key]), rest
    return None, state
