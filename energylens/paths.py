"""Where things are: the shipped analyses and figures, a user's Python files, the cache."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from energylens.errors import UserError, first_line, unknown

PACKAGE = Path(__file__).resolve().parent


def shipped(kind: str) -> Path:
    """The folder `analyses` or `figures`: beside the package in a checkout, inside it in a wheel."""
    checkout = PACKAGE.parent
    root = checkout if (checkout / "pyproject.toml").is_file() else PACKAGE / "_shipped"
    return root / kind


def names(kind: str) -> list[str]:
    """The names of all shipped analyses or figures."""
    return sorted(spelt(kind, path.stem) for path in shipped(kind).glob("*.py") if not path.stem.startswith("_"))


def spelt(kind: str, name: str) -> str:
    """A name as `names` has it: figures have hyphens where their files have underscores; `jeat_flatness` will do."""
    return name.replace("_", "-") if kind == "figures" else name


def load(kind: str, name: str) -> ModuleType:
    """The shipped analysis or figure of this name, imported.

    Raises:
        UserError: there is none.
    """
    if spelt(kind, name) not in names(kind):
        singular = {"analyses": "analysis", "figures": "figure"}[kind]
        raise unknown(singular, name, names(kind))
    return python_file(shipped(kind) / f"{name.replace('-', '_')}.py")


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Inside, a user's file imports its neighbours; behind it, another folder's files of the same names are free."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).resolve().is_relative_to(folder):
                del sys.modules[name]


@cache
def python_file(path: Path) -> ModuleType:
    """A Python file imported as a module; its own folder is importable for it.

    Raises:
        UserError: the file is missing or fails when it runs.
    """
    if not path.is_file():
        raise UserError(f"no such file: {path}")
    spec = importlib.util.spec_from_file_location(f"energylens_file_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _importable(path.resolve().parent):
        try:
            sys.modules[spec.name] = module  # dataclasses look their module up
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise UserError(f"{path} failed when it was imported ({first_line(error)})") from error
    return module


def call(path: Path, name: str) -> Any:
    """What the function `name` of a user's Python file returns.

    Raises:
        UserError: no such file, no such function, or it fails.
    """
    function = function_of(python_file(path), name, path.name)
    with _importable(path.resolve().parent):
        return called(f"{path}:{name}", function)


def function_of(module: ModuleType, name: str, where: str) -> Callable[[], Any]:
    """The function `name` of a module, which errors call `where`.

    Raises:
        UserError: it has none of that name.
    """
    if not callable(getattr(module, name, None)):
        known = [key for key, thing in vars(module).items() if callable(thing) and not key.startswith("_")]
        raise unknown(f"function in {where}", name, known)
    return getattr(module, name)


def module(name: str, wanted: str) -> ModuleType:
    """A module of an installed package, or of this folder.

    Raises:
        UserError: it cannot be imported; `wanted` says for what.
    """
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise UserError(f"cannot import '{name}' of {wanted} ({first_line(error)})") from error


def called(reference: str, function: Callable[[], Any]) -> Any:
    """What a user's function returns; its failure, or its wish to end the program, is told in one line."""
    try:
        return function()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{reference} failed ({first_line(error)})") from error


def _folder(variable: str) -> Path | None:
    """What an environment variable names, ~ as the home folder; None if it is unset or empty."""
    text = os.environ.get(variable)
    return Path(os.path.expanduser(text)) if text else None


def home() -> Path:
    """The cache folder: `$ENERGYLENS_HOME`, or `energylens` in the user's cache folder."""
    return _folder("ENERGYLENS_HOME") or (_folder("XDG_CACHE_HOME") or Path.home() / ".cache") / "energylens"


def data_dir() -> Path:
    """Where data sets are looked for: `$ENERGYLENS_DATA`, or `data` in the cache."""
    return _folder("ENERGYLENS_DATA") or home() / "data"


def model_dir() -> Path:
    """Where RobustBench checkpoints are looked for: `models` in the cache."""
    return home() / "models"


OFFLINE = "$ENERGYLENS_OFFLINE"


def offline() -> bool:
    """Whether nothing may be downloaded: `$ENERGYLENS_OFFLINE` is set to something other than 0."""
    return os.environ.get("ENERGYLENS_OFFLINE", "0") not in ("", "0")


def mirrors() -> list[str]:
    """Addresses of copies of a cache folder: `$ENERGYLENS_MIRROR`, separated by spaces."""
    return os.environ.get("ENERGYLENS_MIRROR", "").split()
