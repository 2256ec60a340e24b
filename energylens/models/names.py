"""What a function names, and which of it is the user's own: neither Python's, nor a package's, nor energylens's."""

import dis
import importlib.util
import inspect
import os
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from energylens import paths

INSTALLED = (
    "site-packages",
    "dist-packages",
    *(f"{part}{os.sep}" for part in (paths.PACKAGE, sysconfig.get_path("stdlib"))),
)
"""in the paths of files that are not the user's own: libraries', energylens's, Python's"""


def of_user(thing: types.FunctionType | type) -> bool:
    """Whether a function or class is neither Python's, an installed package's, nor energylens's."""
    if isinstance(thing, types.FunctionType):
        return _own_file(thing.__code__.co_filename)
    top = str(thing.__module__).split(".")[0]
    file = getattr(sys.modules.get(str(thing.__module__)), "__file__", None) or ""
    return top not in ("energylens", "builtins", *sys.stdlib_module_names) and _own_file(file)


def _own_file(path: str) -> bool:
    return not any(part in path for part in INSTALLED)


def _own_module(value: Any) -> bool:
    """Whether it is a module of the user's: a file, or a folder without `__init__.py`."""
    if not isinstance(value, types.ModuleType):
        return False
    where = [getattr(value, "__file__", None) or "", *getattr(value, "__path__", ())]
    return any(where) and all(map(_own_file, where))


def used(function: types.FunctionType) -> dict[str, Any]:
    """What it names of its file's globals, and of the user's modules: `helper.step`."""
    code = function.__code__
    enclosed = {name: cell.cell_contents for name, cell in cells(function)}
    modules = {name: value for name, value in enclosed.items() if _own_module(value)} | _imported(function)
    return _named(_names(code) | modules.keys(), function.__globals__ | modules, set())


def _named(names: set[str], space: Mapping[str, Any], seen: set[int]) -> dict[str, Any]:
    found = {name: space[name] for name in sorted(names & space.keys())}
    for name, value in list(found.items()):
        if _own_module(value) and id(value) not in seen:
            seen.add(id(value))
            found |= {f"{name}.{key}": part for key, part in _named(names, vars(value), seen).items()}
    return found


def _imported(function: types.FunctionType) -> dict[str, types.ModuleType]:
    """The user's modules that a function of the user's imports when it is called, by the names in its code."""
    found = {}
    for code in _codes(function.__code__) if of_user(function) else ():
        steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
        for level, names, step in zip(steps, steps[1:], steps[2:], strict=False):
            if step.opname == "IMPORT_NAME":
                with suppress(Exception, SystemExit):  # the call will tell
                    if level.argval or _findable(step.argval.partition(".")[0]):
                        asked = step.argval, function.__globals__, None, names.argval, level.argval
                        found[step.argval] = __import__(*asked)
    return found


def _findable(name: str) -> bool:
    """Whether a module of this name is the user's; it is not imported for that."""
    spec = importlib.util.find_spec(name)
    where = [spec.origin or "", *(spec.submodule_search_locations or ())] if spec else []
    return any(map(os.path.exists, where)) and all(map(_own_file, where))


def _names(code: types.CodeType) -> set[str]:
    return {name for part in _codes(code) for name in part.co_names}


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's, and those of the functions inside it."""
    yield code
    for part in code.co_consts:
        if inspect.iscode(part):
            yield from _codes(part)


def cells(function: types.FunctionType) -> list[tuple[str, types.CellType]]:
    """What it encloses, by name; without what is not there yet."""
    named = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return [(name, cell) for name, cell in named if cell != types.CellType()]
