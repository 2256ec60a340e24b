"""Torch checkpoints, read so that a file cannot run code."""

import argparse
import collections
import datetime
import pathlib
import pickle
import re
import types
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core import multiarray

from energylens.errors import UserError, first_line


def _as_dict(*factory: Any) -> collections.OrderedDict:
    """What torch's guarded reader, which fills no other kind of dictionary, makes of a defaultdict."""
    return collections.OrderedDict()


def _as_list(items: Any = (), length: Any = None) -> list:
    """What it makes of a deque."""
    return list(items)


HARMLESS: list[Any] = [
    # Namespaces and containers only store what they are given; none of them calls, imports or opens anything.
    argparse.Namespace,
    types.SimpleNamespace,
    collections.Counter,
    (_as_dict, "collections.defaultdict"),
    (_as_list, "collections.deque"),
    datetime.date,
    datetime.datetime,
    datetime.timedelta,
    pathlib.PosixPath,
    pathlib.PurePosixPath,
    *(list, dict, tuple, set, frozenset, int, float, bool, str),
    # NumPy's scalars and arrays; an object array holds what the same guarded unpickler made.
    np.ndarray,
    np.dtype,
    *{type(np.dtype(kind)) for kind in "?bhilqBHILQefdSU"},
    *((getattr(multiarray, name), f"numpy.{core}.multiarray.{name}")
      for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
]  # fmt: skip
"""what a checkpoint may name beside torch's own list; each is called with arguments that the file chooses"""
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""how torch's files from before 1.6 begin; other pickles were not written by torch"""
KINDS = {
    b"<": "a web page, not a checkpoint (a download's quota page?); download it again",
    b"\x1f\x8b": "compressed (gzip); unpack it first: gunzip",
    b"BZh": "compressed (bzip2); unpack it first: bunzip2",
    b"\xfd7zXZ": "compressed (xz); unpack it first: unxz",
    b"\x89HDF": "an HDF5 file (Keras?); save model.state_dict() with torch.save",
    b"\x93NUMPY": "a NumPy array; save model.state_dict() with torch.save",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself; type: git lfs pull",
}
"""first bytes -> what the file is and what to do"""


def glance(path: Path) -> None:
    """The quick look at a checkpoint file that its first bytes allow.

    Raises:
        UserError: missing, empty, or plainly something else.
    """
    if not path.is_file():
        raise UserError(f"no such checkpoint: {path}")
    with open(path, "rb") as file:
        head = file.read(64)
    if not head:
        raise UserError(f"{path} is empty; download or save it again")
    for start, what in KINDS.items():
        if head.lstrip().startswith(start):
            raise UserError(f"{path} is {what}")


def read(path: Path, trust: bool = False) -> Any:
    """What `torch.load` gives, with `weights_only=True` unless the file is trusted.

    Args:
        path: a checkpoint of torch, zipped or from before 1.6.
        trust: let the file run code while it is read (`--trust-checkpoint`).

    Raises:
        UserError: missing, empty, truncated, no checkpoint, or code in it.
    """
    glance(path)
    _check_zip(path)
    if _is_plain_pickle(path) and not trust:
        raise UserError(
            f"{path} is a plain pickle, not written by torch: reading it would run code, and nothing was run. "
            "If you trust its author, pass --trust-checkpoint"
        )
    try:
        with torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about old files
            if _is_plain_pickle(path):
                return pickle.loads(path.read_bytes())
            return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        wanted = [] if trust else _unsafe(path, error)
        if wanted:
            raise UserError(
                f"{path} wants to run code when it is read ({', '.join(wanted)}); nothing was run. "
                "If you trust its author, pass --trust-checkpoint"
            ) from error
        raise UserError(
            f"{path} cannot be read as a checkpoint (torch cannot make sense of it); is it whole?"
        ) from error
    except ModuleNotFoundError as error:  # a trusted file that names a class of its author's code
        raise UserError(
            f"{path} was saved with code that is not here ({error.name}); put that code where Python finds it, "
            "or ask its author for model.state_dict()"
        ) from error
    except Exception as error:  # torch raises RuntimeError, EOFError, KeyError, ... for broken files
        raise UserError(f"{path} cannot be read as a checkpoint ({first_line(error)}); is it whole?") from error


def _is_plain_pickle(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(len(LEGACY))
    return head[:1] == b"\x80" and head[:2] <= b"\x80\x05" and head != LEGACY


def _check_zip(path: Path) -> None:
    """A zip that is no checkpoint is named before torch stumbles over it."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return  # torch says what is wrong with it
    if any(name.endswith("/constants.pkl") for name in names):
        raise UserError(f"{path} is a TorchScript program; save model.state_dict() instead")
    if names and all(name.endswith(".npy") for name in names):
        raise UserError(f"{path} is a NumPy archive (.npz); save model.state_dict() with torch.save")
    if not any(name.endswith("data.pkl") for name in names):
        raise UserError(f"{path} is a zip archive without a checkpoint ({', '.join(names[:3])}); unpack it first")


def _unsafe(path: Path, error: pickle.UnpicklingError) -> list[str]:
    """What the file names that is neither on torch's list nor on ours."""
    told = re.findall(r"GLOBAL (\S+)|class (\S+)", str(error))
    try:
        with torch.serialization.safe_globals(HARMLESS):
            found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # it reads zipped files alone
        found = []
    return sorted(set(found)) or sorted({name for pair in told for name in pair if name})
