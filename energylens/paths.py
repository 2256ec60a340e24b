"""Where things are: the shipped analyses and figures, a user's Python files, the cache."""

import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from energylens.errors import UserError, first_line, unknown

PACKAGE = Path(__file__).resolve().parent


def shipped(kind: str) -> Path:
    """The folder `analyses` or `figures`: beside the package in a checkout, inside it in a wheel."""
    checkout = PACKAGE.parent
    root = checkout if (checkout / "pyproject.toml").is_file() else PACKAGE / "_shipped"
    return root / kind


def names(kind: str) -> list[str]:
    """The names of all shipped analyses or figures."""
    return sorted(path.stem for path in shipped(kind).glob("*.py") if not path.stem.startswith("_"))


def load(kind: str, name: str) -> ModuleType:
    """The shipped analysis or figure of this name, imported.

    Raises:
        UserError: there is none.
    """
    if name not in names(kind):
        singular = {"analyses": "analysis", "figures": "figure"}[kind]
        raise unknown(singular, name, names(kind))
    return python_file(shipped(kind) / f"{name}.py")


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
    sys.modules[spec.name] = module  # inspect.getsource and pickle look classes up here
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{path} failed when it was imported ({first_line(error)})") from error
    finally:
        sys.path.pop(0)
    return module


def function(path: Path, name: str):
    """The callable `name` of a user's Python file.

    Raises:
        UserError: no such file, or the file has no such function.
    """
    module = python_file(path)
    known = [key for key, thing in vars(module).items() if callable(thing) and not key.startswith("_")]
    if not callable(getattr(module, name, None)):
        raise unknown(f"function in {path.name}", name, known)
    return getattr(module, name)


def home() -> Path:
    """The cache folder: `$ENERGYLENS_HOME`, or `energylens` in the user's cache folder."""
    if "ENERGYLENS_HOME" in os.environ:
        return Path(os.environ["ENERGYLENS_HOME"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "energylens"


def data_dir() -> Path:
    """Where data sets are looked for: `$ENERGYLENS_DATA`, or `data` in the cache."""
    return Path(os.environ.get("ENERGYLENS_DATA", home() / "data"))


def model_dir() -> Path:
    """Where RobustBench checkpoints are looked for: `models` in the cache."""
    return home() / "models"
