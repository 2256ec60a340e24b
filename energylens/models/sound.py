"""Whether a checkpoint that was downloaded came whole, told without running anything in it."""

import pickle
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors import safe_open

from energylens.models.first_look import UNREADABLE
from energylens.models.harmless import HARMLESS
from energylens.models.pickled import MAGIC


def checkpoint(path: Path) -> bool:
    """Whether a file is a zip with its directory (which comes last), safetensors of full length, or torch's old kind.

    What is inside is for the loader to judge.
    """
    with path.open("rb") as file:
        head = file.read(32)
    if head.startswith(b"PK"):
        return zipfile.is_zipfile(path)
    return _old(path) if MAGIC in head else _safetensors(path)


def _old(path: Path) -> bool:
    """Files from before torch 1.6 have no directory: they are read to their end."""
    try:
        with torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about old files
            torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # it names what may run code: the loader tells
        return True
    except Exception:  # torch raises half a dozen kinds for broken files
        return False
    return True


def _safetensors(path: Path) -> bool:
    try:
        with safe_open(path, "pt"):
            return True
    except UNREADABLE:
        return False
