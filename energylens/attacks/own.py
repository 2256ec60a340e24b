"""Any function `(model, x, y) -> x_adv` as an attack: `FILE.py:function`, `package.module:function`, or from Python."""

from __future__ import annotations

import functools
import inspect
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
NEEDED = inspect.Parameter.empty


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
    """Other arguments of the function, by name: numbers, words, None, or lists of them; a dict will do."""
    reference: str = field(default="", compare=False, repr=False)
    """From which other processes read the function; they import it by its module's name if empty."""

    def __post_init__(self):
        takes = self._takes()
        settings = {name: _hashable(value, self.kind) for name, value in dict(self.settings).items()}
        object.__setattr__(self, "settings", tuple(sorted(settings.items())))
        if self.eps is None and isinstance(default := takes.get("eps"), int | float):
            object.__setattr__(self, "eps", float(default))
        if self.eps is not None:
            check_ball(self, BALLS)
        check_numbers(self, batch=1, seed=0)
        _check_name(self.kind)
        if inside := next((name for name in USUAL if name in settings), None):
            raise UserError(f"{inside} of attack {self.kind} is none of its settings; write Own(..., {inside}=...)")
        if "**" not in takes:
            spec.check(settings, dict.fromkeys([*takes, *USUAL]), f"attack {self.kind}")
        self._check_complete(takes)

    def _check_complete(self, takes: Mapping[str, Any]) -> None:
        """Whether all its arguments have a value."""
        given = {name for name in GIVEN if getattr(self, name) is not None} | self._others.keys()
        lacking = [name for name, default in takes.items() if default is NEEDED and name not in given]
        if "batch" in lacking:
            raise UserError(f"attack {self.kind} has an argument batch, which is energylens's own setting; rename it")
        if lacking:
            typed = ":".join([Path(self.reference).name, *(f"{name}=..." for name in lacking)])
            inside = ", ".join(f'"{name}": ...' for name in lacking if name not in USUAL)
            made = [self.kind, *(f"{name}=..." for name in lacking if name in USUAL)]
            made += [f"settings={{{inside}}}"] if inside else []
            write = typed if self.reference else f"Own({', '.join(made)})"
            raise UserError(f"attack {self.kind} wants {', '.join(lacking)}; write {write}")

    def __reduce__(self):
        if not self.reference:
            return super().__reduce__()
        usual = {name: getattr(self, name) for name in USUAL}
        return load, (self.reference, usual | self._others)

    def _takes(self) -> dict[str, Any]:
        """Arguments of the function behind the first three, and their defaults, or NEEDED; `**` if it takes any."""
        try:
            arguments = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):  # it does not tell
            return {"**": None}
        kinds = {argument.kind for argument in arguments}
        places = [one for one in arguments if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        if len(places) < 3 and inspect.Parameter.VAR_POSITIONAL not in kinds:
            raise UserError(f"attack {self.kind} takes {len(places)} arguments; write def {self.kind}(model, x, y):")
        named = [*places[3:], *(one for one in arguments if one.kind is one.KEYWORD_ONLY)]
        others = {"**": None} if inspect.Parameter.VAR_KEYWORD in kinds else {}
        return {argument.name: argument.default for argument in named} | others

    @property
    def _others(self) -> dict[str, Any]:
        """Its settings as they are handed to the function, and written down."""
        return {name: _listed(value) for name, value in dict(self.settings).items()}

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
        words = (f"{name.replace('_', '')}{_word(value)}" for name, value in (changed | self._others).items())
        return "-".join([self.kind, *words])

    @functools.cached_property
    def code(self) -> str:
        """SHA-256 of the function's source, with what it reaches in the user's files."""
        from energylens.models import identity

        return identity.code(self.function)

    @property
    def facts(self) -> dict[str, Any]:
        """All that decides its points."""
        own = {name: getattr(self, name) for name in USUAL}
        return own | {"code": self.code, "settings": self._others}

    def _search(
        self, model, x: Tensor, y: Tensor, keys: list[int], target: Tensor | None, observe: Observe | None
    ) -> Tensor:
        import torch

        takes = self._takes()
        given = {name: getattr(self, name) for name in GIVEN if name in takes and getattr(self, name) is not None}
        with random_numbers(self.seed + (keys[0] if keys else 0)):
            found = self.function(
                model, x.clone(memory_format=torch.contiguous_format), y.clone(), **given, **self._others
            )
        if not isinstance(found, torch.Tensor) or found.shape != x.shape or not found.is_floating_point():
            got = f"{found.dtype} {list(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
            raise UserError(f"attack {self.kind} returns {got}; wanted images {list(x.shape)}, floats in [0, 1]")
        layout = torch.channels_last if not x.is_contiguous() else torch.contiguous_format
        return found.detach().to(x).contiguous(memory_format=layout)


def _hashable(value: Any, attack: str) -> Any:
    """A setting, lists as tuples."""
    if isinstance(value, list | tuple):
        return tuple(_hashable(part, attack) for part in value)
    if not isinstance(value, bool | int | float | str | None):
        raise UserError(f"settings of attack {attack} are numbers, words or lists of them, not {type(value).__name__}")
    return value


def _listed(value: Any) -> Any:
    return [_listed(part) for part in value] if isinstance(value, tuple) else value


def _word(value: Any) -> str:
    return f"[{','.join(map(_word, value))}]" if isinstance(value, list) else short(value)


@contextmanager
def random_numbers(seed: int) -> Iterator[None]:
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
