"""Any function `(model, x, y) -> x_adv` as an attack: `FILE.py:function`, `package.module:function`, or from Python."""

from __future__ import annotations

import functools
import inspect
import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from energylens import paths, spec
from energylens.attacks.attack import Attack, Observe
from energylens.attacks.geometry import BALLS
from energylens.attacks.settings import check_ball, check_numbers, short
from energylens.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

USUAL = ("eps", "norm", "batch", "seed")
"""settings of every own attack"""
GIVEN = ("eps", "norm", "seed")
"""those that are handed to the function where it takes them"""


@dataclass(frozen=True)
class Own(Attack):
    """A function of yours. It gets the model (images [B, C, H, W] in [0, 1] -> logits [B, K]), x and y.

    The model is in eval mode, its parameters take no gradients. torch's, numpy's and Python's random numbers
    begin anew at each batch, with the seed plus the first image's place in the split.
    """

    function: Callable[..., Tensor]
    eps: float | None = None
    """Radius in which its points must lie, pixel units; if None the function's own default, else no ball."""
    norm: str = "linf"
    batch: int = 100
    """Images that it gets at once, for its result may depend on that."""
    seed: int = 0
    settings: Mapping[str, Any] | tuple[tuple[str, Any], ...] = ()
    """Other arguments of the function, by name; a dict will do."""
    reference: str = field(default="", compare=False, repr=False)
    """From which other processes read the function; they import it by its module's name if empty."""

    def __post_init__(self):
        takes = self._takes()
        object.__setattr__(self, "settings", tuple(sorted(dict(self.settings).items())))
        if self.eps is None and isinstance(default := takes.get("eps"), int | float):
            object.__setattr__(self, "eps", float(default))
        if self.eps is not None:
            check_ball(self, BALLS)
        check_numbers(self, batch=1, seed=0)
        _check_name(self.kind)
        if "**" not in takes:
            spec.check(dict(self.settings), [*takes, *GIVEN, "batch"], f"attack {self.kind}")
        try:
            json.dumps(self.settings)
        except TypeError as error:
            raise UserError(f"settings of attack {self.kind} are numbers, words or lists of them ({error})") from error

    def __reduce__(self):
        if not self.reference:
            return super().__reduce__()
        usual = {name: getattr(self, name) for name in USUAL}
        return load, (self.reference, usual | dict(self.settings))

    def _takes(self) -> dict[str, Any]:
        """Arguments of the function behind the first three, and their defaults; `**` if it takes any."""
        try:
            arguments = list(inspect.signature(self.function).parameters.values())
        except (TypeError, ValueError):  # it does not tell
            return {"**": None}
        if len(arguments) < 3 and not any(argument.kind is argument.VAR_POSITIONAL for argument in arguments):
            raise UserError(f"attack {self.kind} takes {len(arguments)} arguments; write def {self.kind}(model, x, y):")
        if any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
            return {"**": None}
        return {argument.name: argument.default for argument in arguments[3:]}

    @property
    def kind(self) -> str:
        """The function's name."""
        inner = self.function.func if isinstance(self.function, functools.partial) else self.function
        return getattr(inner, "__name__", type(inner).__name__)

    @property
    def observed(self) -> bool:
        """The calls of its model are watched."""
        return False

    @property
    def name(self) -> str:
        """The function's name and what is not as usual."""
        usual = {"eps": self._takes().get("eps"), **{one.name: one.default for one in fields(self)[2:5]}}
        changed = {name: getattr(self, name) for name in usual if getattr(self, name) != usual[name]}
        words = (f"{name.replace('_', '')}{short(value)}" for name, value in (changed | dict(self.settings)).items())
        return "-".join([self.kind, *words])

    @functools.cached_property
    def code(self) -> str:
        """SHA-256 of the function's source, with what it reaches in its own file."""
        from energylens.models import identity

        return identity.code(self.function)

    @property
    def facts(self) -> dict[str, Any]:
        """All that decides its points."""
        own = {name: getattr(self, name) for name in USUAL}
        return own | {"code": self.code, "settings": dict(self.settings)}

    def _search(
        self, model, x: Tensor, y: Tensor, keys: list[int], target: Tensor | None, observe: Observe | None
    ) -> Tensor:
        import torch

        takes = self._takes()
        given = {name: getattr(self, name) for name in GIVEN if name in takes and getattr(self, name) is not None}
        with _random_numbers(self.seed + (keys[0] if keys else 0)):
            found = self.function(
                model, x.clone(memory_format=torch.contiguous_format), y.clone(), **given, **dict(self.settings)
            )
        if not isinstance(found, torch.Tensor) or found.shape != x.shape or not found.is_floating_point():
            got = f"{found.dtype} {list(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
            raise UserError(f"attack {self.kind} returns {got}; wanted images {list(x.shape)}, floats in [0, 1]")
        layout = torch.channels_last if not x.is_contiguous() else torch.contiguous_format
        return found.detach().to(x).contiguous(memory_format=layout)


@contextmanager
def _random_numbers(seed: int) -> Iterator[None]:
    """Inside, torch's, numpy's and Python's streams begin at the seed; behind it, they are where they were."""
    from energylens.attacks.library import own_random_numbers

    python, numpy = random.getstate(), np.random.get_state()
    with own_random_numbers(seed):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _check_name(name: str) -> None:
    from energylens.attacks import ATTACKS

    if name in (*ATTACKS, "natural"):
        raise UserError(f"an own attack cannot be called '{name}', as one of energylens's is; rename the function")


def load(reference: str, settings: Mapping[str, Any]) -> Own:
    """The attack of `FILE.py:function` or `package.module:function`.

    Raises:
        UserError: no such file, module or function, it fails when it is imported, or a setting is refused.
    """
    path, is_file, name = reference.partition(".py:")
    if is_file:
        module = paths.python_file(Path(f"{path}.py"))
        reference = f"{Path(path).resolve()}.py:{name}"
    else:
        path, _, name = reference.partition(":")
        module = paths.module(path, f"attack {reference}")
    function = paths.function_of(module, name, Path(path).name)
    chosen = {key: value for key, value in settings.items() if key in USUAL}
    others = {key: value for key, value in settings.items() if key not in USUAL}
    return Own(function, **chosen, settings=others, reference=reference)
