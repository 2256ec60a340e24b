"""What is replaced inside RobustBench while it loads a model: the reading of files, and the forgiving of keys.

RobustBench has no hooks for either. `unittest.mock.patch.object` is used because it puts back what was there however
the block ends: a user's own RobustBench in the same process stays as it is.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from energylens.errors import UserError, some
from energylens.models import pickled
from energylens.models.nesting import State, state_of

LAST = ("Kireev2021Effectiveness", "Andriushchenko2020Understanding")
"""beginnings of names whose files hold the weights under `last`"""
APART = ("Bai2023Improving",)
"""beginnings of names whose files RobustBench takes apart itself: they hold several networks"""
CONSTANTS = ("mu", "sigma", "mean", "std", "num_batches_tracked")
"""buffers that the classes set themselves and that some published files lack"""


@contextmanager
def guarded(utils: ModuleType, name: str, trust: bool) -> Iterator[None]:
    """Inside, RobustBench reads files as we do, and says what does not fit.

    Args:
        utils: `robustbench.utils`.
        name: of the model.
        trust: let its files run code while they are read.
    """
    lenient = utils._safe_load_state_dict
    latest: list[Path] = []

    def load(path: str | Path, map_location: Any) -> Any:
        latest.append(Path(path))
        return nested(pickled.read(Path(path), trust), Path(path), name)

    def strict(net: nn.Module, name: str, state: State, dataset: Any) -> nn.Module:
        wanted = net.state_dict()
        problems = _misfits(wanted, state)
        if not _lacking(wanted, state, CONSTANTS):  # RobustBench forgives more for some names
            with suppress(RuntimeError):  # torch's list of all keys; ours is shorter
                return lenient(net, name, state, dataset)
        raise UserError(f"{latest[-1]} {'; '.join(problems)}; is it the file of {name}?")

    reader = SimpleNamespace(load=load, device=torch.device)
    with mock.patch.object(utils, "torch", reader), mock.patch.object(utils, "_safe_load_state_dict", strict):
        yield


def nested(found: Any, path: Path, name: str) -> Any:
    """What a file holds, nested as RobustBench wants it: its own choice of weights, where that finds some.

    Args:
        found: what was read.
        path: of the file, for messages.
        name: of the model, on which the nesting depends.

    Raises:
        UserError: no weights in it.
    """
    if name.startswith(APART):
        return found
    inside = _at(found, "last") if name.startswith(LAST) else found
    inside = _at(inside, "state_dict")
    plain = isinstance(inside, Mapping) and inside and all(isinstance(value, Tensor) for value in inside.values())
    state = inside if plain else state_of(inside, path)
    return {"last": state} if name.startswith(LAST) else state


def _at(found: Any, key: str) -> Any:
    return found[key] if isinstance(found, Mapping) and key in found else found


def _lacking(wanted: State, state: State, spared: Collection[str] = ()) -> list[str]:
    return [key for key in wanted.keys() - state.keys() if key.rpartition(".")[2] not in spared]


def _misfits(wanted: State, state: State) -> list[str]:
    """What keeps weights from filling a network, each in a few words."""
    shapes = [
        f"{key} is {tuple(state[key].shape)} there, {tuple(wanted[key].shape)} in the network"
        for key in wanted.keys() & state.keys()
        if wanted[key].shape != state[key].shape
    ]
    told = {
        "lacks {}": _lacking(wanted, state),
        "has {}, which the network has not": state.keys() - wanted.keys(),
        "does not fit: {}": shapes,
    }
    return [words.format(some(each)) for words, each in told.items() if each]
