"""Import robustbench 1.1.1 from PyPI, which does not import as installed.

Its `__init__` needs `pkg_resources` (gone from setuptools 82) and the module `autoattack`, which its own
dependency pyautoattack does not provide. Its model zoo needs neither, so a bare parent package is enough.
Where the normal import works, it is used and this file does nothing. Remove it when upstream is repaired.
"""

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from energylens.errors import Note, UserError

_private: dict[str, ModuleType] = {}


def _ours() -> dict[str, ModuleType]:
    return {key: module for key, module in sys.modules.items() if key.split(".")[0] == "robustbench"}


def _remove() -> dict[str, ModuleType]:
    found = _ours()
    for key in found:
        del sys.modules[key]
    return found


def _works() -> bool:
    before = _ours()
    if "robustbench" in before:
        return True
    try:
        importlib.import_module("robustbench")
    except ImportError:
        _remove()
        return False
    return True


def _stub() -> ModuleType:
    spec = importlib.util.find_spec("robustbench")
    if spec is None:
        raise UserError("robustbench is not installed; type: pip install robustbench")
    stub = ModuleType("robustbench")
    stub.__path__ = list(spec.submodule_search_locations or [])
    return stub


@contextmanager
def zoo() -> Iterator[ModuleType]:
    """`robustbench.utils`, importable inside the block; `sys.modules` is as before behind it.

    Raises:
        UserError: robustbench is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's and torch.jit's deprecations, once an import
        warnings.simplefilter("always", Note)  # ours
        if _works():
            yield importlib.import_module("robustbench.utils")
            return
        sys.modules.update(_private or {"robustbench": _stub()})
        try:
            yield importlib.import_module("robustbench.utils")
        finally:
            _private.update(_remove())
