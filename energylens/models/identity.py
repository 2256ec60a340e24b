"""What a network is, as one number: its weights, its settings and the code of its own classes."""

import functools
import hashlib
import inspect
import types
from typing import Any

import numpy as np
from torch import Tensor, nn

INTERNAL = frozenset(vars(nn.Module()))
"""what every module carries: parameters, buffers and hooks are told apart, the mode does not count"""
HOOKS = ("_forward_pre_hooks", "_forward_hooks")
LANGUAGE = frozenset(vars(type("Empty", (), {}))) | {"__annotations__", "__firstlineno__", "__static_attributes__"}


def sha(net: nn.Module) -> str:
    """SHA-256 over weights, buffers, hooks, attributes and the code of the network's own module classes.

    Classes of torch count by name and settings. The file around a class does not count, but for the
    constants and functions that its methods name. Not seen: what they reach through an imported module.
    """
    digest = hashlib.sha256(repr(net).encode())
    for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
        digest.update(f"{name}={_text(tensor)}".encode())
    for name, module in net.named_modules():
        own = {key: value for key, value in vars(module).items() if key not in INTERNAL}
        hooks = {kind: list(vars(module)[kind].values()) for kind in HOOKS}
        digest.update(f"{name}:{_text(own)}:{_text(hooks)}".encode())
    classes = {base for module in net.modules() for base in type(module).__mro__ if not _foreign(base)}
    for owner in sorted(classes, key=lambda cls: cls.__qualname__):
        body = {key: value for key, value in vars(owner).items() if key not in LANGUAGE}
        digest.update(f"{owner.__qualname__}:{_text(body)}".encode())
    return digest.hexdigest()


def code(function: Any) -> str:
    """SHA-256 over the code of a function or callable object, with what it reaches in its own file."""
    text = _text(function)
    if not isinstance(function, types.FunctionType | functools.partial):
        own = [base for base in type(function).__mro__ if not _foreign(base)]
        text += "".join(_text({key: value for key, value in vars(base).items() if key not in LANGUAGE}) for base in own)
    return hashlib.sha256(text.encode()).hexdigest()


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
    if isinstance(value, type | types.BuiltinFunctionType):
        return value.__qualname__  # without its module, whose name is the file's
    attributes = _text(vars(value), depth) if depth > 0 and hasattr(value, "__dict__") else ""
    return f"{type(value).__qualname__}({attributes})"


def _reached(function: types.FunctionType) -> list[Any]:
    """What a function's result depends on beside its source: defaults, enclosed values, its file's globals."""
    enclosed = [cell.cell_contents for cell in function.__closure__ or () if cell != types.CellType()]
    used = {name: function.__globals__[name] for name in _names(function.__code__) & function.__globals__.keys()}
    own = {name: value for name, value in used.items() if not _library(value)}
    return [function.__defaults__, function.__kwdefaults__, enclosed, own]


def _names(code: types.CodeType) -> set[str]:
    inner = [_names(part) for part in code.co_consts if inspect.iscode(part)]
    return set(code.co_names).union(*inner)


def _library(value: Any) -> bool:
    """Modules, classes and what installed packages define: named in the source, and not hashed."""
    if isinstance(value, types.ModuleType | type):
        return True
    file = getattr(getattr(value, "__code__", None), "co_filename", "")
    return isinstance(value, types.BuiltinFunctionType) or "site-packages" in file


def _source(function: types.FunctionType) -> str:
    try:
        return inspect.getsource(function)
    except OSError:  # typed into an interpreter
        code = function.__code__
        return f"{code.co_code.hex()}{code.co_names}{[part for part in code.co_consts if not inspect.iscode(part)]}"
