"""Decoded images on disk: the second time, a data set is mapped into memory instead of decoded."""

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from energylens import paths
from energylens.atomic import sync
from energylens.data.files import Arrays
from energylens.errors import Note, first_line

VERSION = 1
"""grows when the same files are decoded to other pixels"""


def decoded(name: str, split: str, files: Sequence[Path], read: Callable[[], Arrays]) -> Arrays:
    """Images [N, C, H, W] uint8 and labels [N], from the cache if these very files were decoded before.

    Args:
        name: of the set, for the folder's name.
        split: of the set.
        files: what is decoded; a folder stands for all that is in it.
        read: decodes them.
    """
    folder = paths.home() / "decoded" / f"{name}-{split}-{_fingerprint(files)}"
    with suppress(OSError, ValueError, KeyError):  # none there, or broken: it is made again
        return _load(folder)
    images, labels = read()
    if images.dtype == np.uint8:
        try:
            _save(folder, images, labels)
            return _load(folder)
        except OSError as error:  # read-only, full: the numbers are the same without it
            warnings.warn(
                Note(f"decoded images of {name} are not kept in {folder.parent} ({first_line(error)})"), stacklevel=2
            )
    return images, labels


def _fingerprint(files: Sequence[Path]) -> str:
    """Names, sizes and times of the files."""
    inside = [path for top in files for path in (sorted(top.rglob("*")) if top.is_dir() else [top])]
    facts = [(path.name, (stat := path.stat()).st_size, stat.st_mtime_ns) for path in inside]
    return hashlib.sha256(json.dumps([VERSION, facts]).encode()).hexdigest()[:12]


def _load(folder: Path) -> Arrays:
    images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
    labels = np.load(folder / "labels.npy", allow_pickle=False)
    if len(images) != len(labels) or images.dtype != np.uint8:
        raise ValueError
    return images, labels


def _save(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Whole or absent: written beside, synced, renamed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".decoding-"))
    try:
        for name, array in (("images", images), ("labels", labels)):
            np.save(scratch / f"{name}.npy", np.ascontiguousarray(array))
            sync(scratch / f"{name}.npy")
        shutil.rmtree(folder, ignore_errors=True)  # a broken one
        with suppress(FileExistsError):  # another process was quicker
            os.rename(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
