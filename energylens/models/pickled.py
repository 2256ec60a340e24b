"""Torch checkpoints, read so that a file cannot run code."""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from energylens.errors import UserError, first_line
from energylens.models.first_look import check_zip, glance
from energylens.models.harmless import HARMLESS

MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
"""the number with which torch's files from before 1.6 begin; pickles without it were not written by torch"""


def read(path: Path, trust: bool = False) -> Any:
    """What `torch.load` gives, with `weights_only=True` unless the file is trusted.

    Args:
        path: a checkpoint of torch, zipped or from before 1.6.
        trust: let the file run code while it is read (`--trust-checkpoint`).

    Raises:
        UserError: missing, empty, truncated, no checkpoint, or code in it.
    """
    glance(path)
    check_zip(path)
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
    except ModuleNotFoundError as error:  # a trusted file that names a class of its author's code
        raise _elsewhere(path, str(error.name)) from error
    except AttributeError as error:
        if trust and (name := re.search(r"attribute '(.+?)' on <module '(.+?)'", str(error))):
            raise _elsewhere(path, f"{name[1]} of {name[2]}") from error
        raise UserError(_why(path, trust, error)) from error
    except Exception as error:  # torch raises RuntimeError, EOFError, KeyError, ... for broken files
        raise UserError(_why(path, trust, error)) from error


def _elsewhere(path: Path, what: str) -> UserError:
    return UserError(
        f"{path} was saved with code that is not here ({what.replace('__main__', 'the script that saved it')}); "
        "put that code where Python finds it and load it in a function (FILE.py:FUNCTION), "
        "or ask its author for model.state_dict()"
    )


def _why(path: Path, trust: bool, error: Exception) -> str:
    """What is wrong with a file that torch cannot read."""
    guarded = isinstance(error, pickle.UnpicklingError)
    if not trust and guarded and (wanted := _unsafe(path, error)):
        return (
            f"{path} wants to run code when it is read ({', '.join(wanted)}); nothing was run. "
            "If you trust its author, pass --trust-checkpoint"
        )
    protocol = _protocol(path)
    if not trust and guarded and protocol > 2:
        return (
            f"{path} was saved with pickle_protocol={protocol}, and torch reads protocol 2 alone without running code; "
            "save it again with torch.save's own protocol, or, if you trust its author, pass --trust-checkpoint"
        )
    what = "torch cannot make sense of it" if guarded else first_line(error)
    return f"{path} cannot be read as a checkpoint ({what}); is it whole?"


def _is_plain_pickle(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(32)
    return head[:1] == b"\x80" and head[:2] <= b"\x80\x05" and MAGIC not in head


def _protocol(path: Path) -> int:
    """Of the pickle in a file; 0 if it cannot be told."""
    try:
        with open(path, "rb") as file:
            head = file.read(2)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                head = archive.read(name)[:2]
    except (zipfile.BadZipFile, OSError, StopIteration):
        return 0
    return head[1] if head[:1] == b"\x80" else 0


def _unsafe(path: Path, error: Exception) -> list[str]:
    """What the file names that is neither on torch's list nor on ours."""
    told = re.findall(r"GLOBAL ([\w.]+)|<class '([\w.]+)'>|<(?:built-in )?function ([\w.]+)", str(error))
    try:
        whole = path if zipfile.is_zipfile(path) else _as_zip(path)
        with torch.serialization.safe_globals(HARMLESS):
            found = torch.serialization.get_unsafe_globals_in_checkpoint(whole)
    except Exception:  # broken further on
        found = []
    return sorted(set(found)) or sorted({name for pair in told for name in pair if name})


def _as_zip(path: Path) -> io.BytesIO:
    """The pickle of a file from before torch 1.6, zipped as torch looks through it; it is cut out, not run."""
    with open(path, "rb") as file:
        for _ in range(3):  # the number, the version, the machine
            for _ in pickletools.genops(file):
                pass
        start = file.tell()
        for _ in pickletools.genops(file):
            pass
        length = file.tell() - start
        file.seek(start)
        content = file.read(length)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("w/data.pkl", content)
        archive.writestr("w/version", "3\n")
    out.seek(0)
    return out
