"""What a network is, as one number: its weights and the code of its own classes."""

import hashlib
import inspect
import types

import torch
from torch import Tensor, nn


def sha(net: nn.Module) -> str:
    """SHA-256 over weights, buffers, layer settings and the source of the network's own module classes.

    Classes of torch count by name; the file around a class does not count. Two networks with one
    number compute the same function, up to helpers outside their classes.
    """
    digest = hashlib.sha256(repr(net).encode())
    for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
        digest.update(name.encode() + _bytes(tensor))
    for name, module in net.named_modules():
        for key, setting in sorted(vars(module).items()):
            if not key.startswith("_") and key != "training" and _plain(setting):
                digest.update(f"{name}.{key}={_text(setting)}".encode())
    for owner in sorted({type(module) for module in net.modules()}, key=lambda cls: cls.__qualname__):
        digest.update(_source(owner).encode())
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> bytes:
    array = tensor.detach().cpu().contiguous()
    return f"{array.dtype}{tuple(array.shape)}".encode() + array.view(-1).view(torch.uint8).numpy().tobytes()


def _plain(setting) -> bool:
    if isinstance(setting, tuple | list):
        return all(_plain(part) for part in setting)
    return isinstance(setting, bool | int | float | str | Tensor | types.FunctionType | type(None))


def _text(setting) -> str:
    if isinstance(setting, Tensor):
        return hashlib.sha256(_bytes(setting)).hexdigest()
    if isinstance(setting, types.FunctionType):
        return setting.__qualname__
    if isinstance(setting, tuple | list):
        return f"[{','.join(map(_text, setting))}]"
    return repr(setting)


def _source(cls: type) -> str:
    """The source of a class's own methods, and of those it inherits outside torch."""
    texts = [cls.__qualname__]
    for base in cls.__mro__:
        if base.__module__.split(".")[0] in ("torch", "builtins"):
            continue
        for name, method in sorted(vars(base).items()):
            if isinstance(method, types.FunctionType):
                texts.append(f"{name}:{_function_source(method)}")
    return "\n".join(texts)


def _function_source(method: types.FunctionType) -> str:
    try:
        return inspect.getsource(method)
    except OSError:  # typed into an interpreter
        code = method.__code__
        return f"{code.co_code.hex()}{code.co_names}{code.co_consts}"
