"""Decoded images on disk: the second time, a data set is mapped into memory instead of decoded."""

import errno
import hashlib
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from energylens import paths
from energylens.atomic import sync
from energylens.data.files import Arrays, inside
from energylens.errors import Note, first_line

VERSION = 2
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
    if folder.exists():
        try:
            return _load(folder)
        except (OSError, ValueError):  # broken: it is made again
            shutil.rmtree(folder, ignore_errors=True)
    images, labels = read()
    if images.dtype == np.uint8 and len(images) == len(labels):
        try:
            _save(folder, images, labels)
            return _load(folder)
        except (OSError, ValueError) as error:  # read-only, full: the numbers are the same without it
            warnings.warn(
                Note(f"decoded images of {name} are not kept in {folder.parent} ({first_line(error)})"), stacklevel=2
            )
    return images, labels


def _fingerprint(files: Sequence[Path]) -> str:
    """Names, sizes and times of the files."""
    found = [(path.relative_to(top.parent).as_posix(), path.stat()) for top in files for path in inside(top)]
    facts = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]
    return hashlib.sha256(json.dumps([VERSION, facts]).encode()).hexdigest()[:12]


def _load(folder: Path) -> Arrays:
    images = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
    labels = np.load(folder / "labels.npy", allow_pickle=False)
    if len(images) != len(labels) or images.dtype != np.uint8:
        raise ValueError
    return images, labels


def _save(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Whole or absent: written beside, synced, renamed. Whoever may read the cache folder may read it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.parent / f".decoding-{uuid.uuid4().hex}"  # mkdtemp would keep other users out
    scratch.mkdir()
    try:
        for name, array in (("images", images), ("labels", labels)):
            np.save(scratch / f"{name}.npy", np.ascontiguousarray(array))
            sync(scratch / f"{name}.npy")
        os.rename(scratch, folder)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # another process was quicker
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
