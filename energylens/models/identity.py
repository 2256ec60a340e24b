"""What a network is, as one number: its weights, its settings and the code of its own classes."""

import functools
import hashlib
import inspect
import types
from collections.abc import Iterable, MutableMapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from torch import Tensor, nn
from torch.fx import GraphModule

from energylens.models import names

INTERNAL = frozenset(vars(nn.Module()))
"""what every module carries: parameters, buffers and hooks are told apart, the mode does not count"""
HOOKS = ("_forward_pre_hooks", "_forward_hooks")
LANGUAGE = frozenset(vars(type("Empty", (), {}))) | {"__annotations__", "__firstlineno__", "__static_attributes__"}
_sources: MutableMapping[types.FunctionType, str] = WeakKeyDictionary()
"""as they were when they were first asked for: a file may change under a process that goes on"""


def sha(net: nn.Module) -> str:
    """SHA-256 over weights, buffers, hooks, attributes and the code of the network's own module classes.

    Classes of torch count by name and settings. The file around a class does not count, but for the
    constants and functions that its methods name, there or in another file of the user's (`helper.step`).
    Not seen: what installed packages do.
    """
    digest = hashlib.sha256(repr(net).encode())
    for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
        digest.update(f"{name}={_text(tensor)}".encode())
    for name, module in net.named_modules():
        own = {key: value for key, value in vars(module).items() if key not in INTERNAL}
        if isinstance(module, GraphModule):  # a traced graph: its code is all that it does
            own = {"code": module.code}
        hooks = {kind: list(vars(module)[kind].values()) for kind in HOOKS}
        digest.update(f"{name}:{_text(own)}:{_text(hooks)}".encode())
    classes = {base for module in net.modules() for base in type(module).__mro__ if not _foreign(base)}
    for owner in sorted(classes, key=lambda cls: cls.__qualname__):
        digest.update(f"{owner.__qualname__}:{_text(_body(owner))}".encode())
    return digest.hexdigest()


def code(function: Any) -> str:
    """SHA-256 over the code of a function or callable object, with all that it reaches in the user's own files.

    Functions, classes and constants that it names count, and those that these name, however far, also in modules
    that they import (`helper.step`). Not seen: what installed packages do, and names that are made of strings.
    """
    reached: dict[int, Any] = {}
    _follow(function, reached, {})
    return hashlib.sha256((_text(function) + "".join(map(_alone, reached.values()))).encode()).hexdigest()


def _follow(value: Any, reached: dict[int, Any], seen: dict[int, Any]) -> None:
    """Collect the user's functions and classes that a value leads to, in an order that is always the same."""
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, types.FunctionType | type) and names.of_user(value):
        reached[id(value)] = value
    for part in _leads_to(value):
        _follow(part, reached, seen)


def _leads_to(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [value[key] for key in sorted(value, key=str)]
    if isinstance(value, tuple | list):
        return value
    if isinstance(value, types.FunctionType):
        used = names.used(value) if names.of_user(value) else {}
        return [value.__defaults__, value.__kwdefaults__, _enclosed(value), used]
    if isinstance(value, types.MethodType | staticmethod | classmethod):
        return [value.__func__, getattr(value, "__self__", None)]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, property):
        return [value.fget, value.fset]
    if isinstance(value, type):
        return [*value.__bases__, _body(value)] if names.of_user(value) else ()
    return [type(value), getattr(value, "__dict__", None)] if names.of_user(type(value)) else ()


def _alone(part: types.FunctionType | type) -> str:
    """A function or class by itself: what it leads to stands elsewhere."""
    if isinstance(part, type):
        return f"{part.__qualname__}:{_text(_body(part), 2)}"
    shared = part.__name__ == "<lambda>" or hasattr(part, "__wrapped__")  # others have its source as well
    return _source(part) + (_bytecode(part.__code__) if shared else "") + _text(_reached(part), 2)


def _body(cls: type) -> dict[str, Any]:
    return {key: value for key, value in vars(cls).items() if key not in LANGUAGE}


def _foreign(cls: type) -> bool:
    return cls.__module__.split(".")[0] in ("torch", "builtins", "typing", "abc")


def _text(value: Any, depth: int = 8) -> str:
    """A value as text without addresses: arrays by their bytes, functions by their source."""
    if isinstance(value, Tensor | np.ndarray):
        array = value.numpy(force=True) if isinstance(value, Tensor) else value
        return f"{array.dtype}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(value, dict):
        parts = sorted(value.items(), key=lambda item: str(item[0]))
        return f"{{{','.join(f'{key}:{_text(part, depth)}' for key, part in parts)}}}"
    if isinstance(value, tuple | list):
        return f"[{','.join(_text(part, depth) for part in value)}]"
    if isinstance(value, set | frozenset):
        return f"[{','.join(sorted(_text(part, depth) for part in value))}]"
    if isinstance(value, bool | int | float | complex | str | bytes | type(None)):
        return repr(value)
    return _object(value, depth - 1)


def _object(value: Any, depth: int) -> str:
    """Code by its source, a module by its own number, anything else by its class and attributes."""
    if isinstance(value, staticmethod | classmethod | types.MethodType):
        return _text(value.__func__, depth)
    if isinstance(value, property):
        return _text([value.fget, value.fset], depth)
    if isinstance(value, functools.partial):
        return _text([value.func, value.args, value.keywords], depth)
    if isinstance(value, types.FunctionType):
        return _source(value) + (_text(_reached(value), depth - 2) if depth > 2 else "")
    if isinstance(value, nn.Module):
        return sha(value) if depth > 0 else type(value).__qualname__
    if isinstance(value, types.ModuleType):
        return value.__name__
    if isinstance(value, type | types.BuiltinFunctionType):
        return value.__qualname__  # without its module, whose name is the file's
    attributes = _text(vars(value), depth) if depth > 0 and hasattr(value, "__dict__") else ""
    return f"{type(value).__qualname__}({attributes})"


def _reached(function: types.FunctionType) -> list[Any]:
    """What a function's result depends on beside its source: defaults, enclosed values, its file's globals."""
    own = {name: value for name, value in names.used(function).items() if not _library(value)}
    return [function.__defaults__, function.__kwdefaults__, _enclosed(function), own]


def _enclosed(function: types.FunctionType) -> list[Any]:
    return [cell.cell_contents for _, cell in names.cells(function)]


def _library(value: Any) -> bool:
    """Modules, classes and what installed packages define: named in the source, and not hashed."""
    if isinstance(value, types.ModuleType | type):
        return True
    file = getattr(getattr(value, "__code__", None), "co_filename", "")
    return isinstance(value, types.BuiltinFunctionType) or "site-packages" in file


def _source(function: types.FunctionType) -> str:
    if function not in _sources:
        try:
            _sources[function] = inspect.getsource(function)
        except OSError:  # typed into an interpreter
            _sources[function] = _bytecode(function.__code__)
    return _sources[function]


def _bytecode(code: types.CodeType) -> str:
    inner = "".join(_bytecode(part) for part in code.co_consts if inspect.iscode(part))
    return f"{code.co_code.hex()}{code.co_names}{[part for part in code.co_consts if not inspect.iscode(part)]}{inner}"
