"""Data references -> images and labels. `load("cifar10:test", samples=300)`.

Images stay uint8 (or float32 where the source is) until a batch of them is asked for.
"""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from energylens import paths, references
from energylens.data import files, named
from energylens.data.files import Arrays
from energylens.errors import UserError, first_line, unknown

AT_ONCE = 2**25
"""bytes of a digest's chunk"""


@dataclass(frozen=True)
class Data:
    """A labelled set of images, or an ordered selection of it."""

    name: str
    """the reference without its folders"""
    split: str
    images: Tensor = field(repr=False)
    """[N, C, H, W] uint8, or float32 in [0, 1]"""
    labels: Tensor = field(repr=False)
    """[N] int64"""
    index: np.ndarray = field(repr=False)
    """which of the N images are selected, in order"""
    shuffle_seed: int | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def selection(self) -> str:
        """In words: which images these are."""
        if self.shuffle_seed is None:
            how = "all" if len(self) == len(self.labels) else "first"
        else:
            how = f"drawn with seed {self.shuffle_seed}:"
        return f"{how} {len(self)} of {len(self.labels)} {self.split} images"

    @cached_property
    def sha(self) -> str:
        """SHA-256 of all images and labels of the split, whatever is selected."""
        digest = hashlib.sha256()
        for array in (self.images, self.labels):
            digest.update(f"{array.dtype}{tuple(array.shape)}".encode())
            rows = max(1, AT_ONCE // max(1, array[0].nbytes))
            for chunk in array.split(rows):  # no second copy of a set whose images lie in another order
                digest.update(chunk.contiguous().numpy().data)
        return digest.hexdigest()

    def batch(self, start: int, stop: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
        """Images [B, C, H, W] float32 in [0, 1] and labels [B] on a device, places in the split [B] on the CPU."""
        index = torch.from_numpy(self.index[start:stop])
        return scaled(self.pixels(index, device)), self.labels[index].to(device), index

    def pixels(self, index: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """[B, C, H, W] the images at some places in the split, as they are stored, on a device."""
        return self.images[index].contiguous().to(device)

    def take(self, samples: int | None, shuffle_seed: int | None = None) -> "Data":
        """The first `samples` images, or that many drawn without replacement by a seed.

        Raises:
            UserError: there are fewer.
        """
        total = len(self.labels)
        if samples is not None and not 1 <= samples <= total:
            raise UserError(f"--samples {samples}: {self.name}:{self.split} has {total} images; ask for 1 to {total}")
        order = np.arange(total)
        if shuffle_seed is not None:
            order = np.random.default_rng(shuffle_seed).permutation(total)
        return replace(self, index=order[:samples], shuffle_seed=shuffle_seed)


def scaled(pixels: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1], where they are; floats as they are."""
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels


def sources(reference: str, data_dir: Path) -> dict[str, Path]:
    """The files behind a named set: place below the data folder -> file; none for the digits.

    Raises:
        UserError: no named set, or it is not there and cannot be had.
    """
    source, split = references.split(reference)
    if source not in named.NAMES:
        raise unknown("data set", source, named.NAMES)
    return named.sources(source, split, data_dir)


def load(
    reference: str,
    *,
    data_dir: Path | None = None,
    samples: int | None = None,
    shuffle_seed: int | None = None,
) -> Data:
    """The images of a reference: `digits`, `cifar10:train`, an `.npz`, a folder, `FILE.py:function`.

    Args:
        reference: a name or path, with `:train` or `:test` behind it (default test).
        data_dir: where named sets are looked for and downloaded to.
        samples: how many images, all if None.
        shuffle_seed: draw them with this seed instead of taking the first.

    Raises:
        UserError: unknown name, nothing there, unreadable, or images that are not in [0, 1].
    """
    source, split = references.split(reference)
    data_dir = data_dir or paths.data_dir()
    name = references.data_name(reference)[0]
    if reference.endswith((":train", ":val")) and (source.endswith(".npz") or ".py:" in source):
        raise UserError(f"{source} has no splits; leave out ':{split}'")
    arrays = named.load(source, split, data_dir) if source in named.NAMES else _from_path(source, split)
    images, labels = _checked(name, arrays)
    return Data(name, split, images, labels, np.arange(len(labels))).take(samples, shuffle_seed)


def _from_path(source: str, split: str) -> Arrays:
    path, _, function = source.partition(".py:")
    if function:
        return paths.call(Path(f"{path}.py"), function)
    if not Path(source).exists():
        if "/" in source or "." in source:
            raise UserError(
                f"no data at {source}; give an .npz, a folder, FILE.py:function or one of: {', '.join(named.NAMES)}"
            )
        base, _, suffix = source.partition(":")
        if base in named.NAMES:
            named.check_split(base, suffix)
        raise unknown("data set", source, named.NAMES)
    if Path(source).is_dir():
        return files.folder(Path(source), split)
    if source.endswith(".npz"):
        return files.npz(Path(source))
    raise UserError(f"{source} is no data set; give an .npz, a folder or FILE.py:function")


def _checked(name: str, arrays: Arrays) -> tuple[Tensor, Tensor]:
    """Tensors of the right shape and range, or one line that says what is wrong."""
    try:
        images, labels = (_array(array) for array in arrays)
    except (TypeError, ValueError) as error:
        raise UserError(f"data {name} must be (images, labels) as arrays ({first_line(error)})") from error
    if images.dtype.kind not in "buif":
        raise UserError(f"images of {name} are {images.dtype}; give uint8, or floats in [0, 1]")
    pixels = torch.from_numpy(images if images.dtype == np.uint8 else images.astype(np.float32, copy=False))
    if pixels.dim() != 4 or labels.shape != images.shape[:1] or not images.size:
        shapes = f"{images.shape} and {labels.shape}"
        raise UserError(f"data {name} has images and labels of shape {shapes}; wanted [N, C, H, W] and [N]")
    if labels.dtype.kind not in "iuf" or not (labels == np.round(labels)).all() or not np.isfinite(labels).all():
        raise UserError(f"labels of {name} are not whole numbers; give class indices 0 to K-1")
    if not 0 <= labels.min() <= labels.max() < 2**31:
        raise UserError(f"labels of {name} go from {labels.min()} to {labels.max()}; give class indices 0 to K-1")
    _check_range(name, pixels, images.dtype)
    return pixels, torch.from_numpy(labels.astype(np.int64))


def _array(given: Any) -> np.ndarray:
    """As NumPy and torch can share it: a copy only where it is read-only or runs backwards."""
    array = np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given)
    return array if array.flags.writeable and min(array.strides, default=0) >= 0 else array.copy()


def _check_range(name: str, images: Tensor, dtype: np.dtype) -> None:
    if images.dtype != torch.uint8:
        values = images.numpy()  # torch would copy images whose channels lie last
        low, high = float(values.min()), float(values.max())
        if dtype.kind in "iu" and low >= 0 and 1 < high <= 255:
            raise UserError(f"images of {name} are {dtype}, {low:g} to {high:g}; give uint8: images.astype('uint8')")
        if not (low >= 0 and high <= 1):
            raise UserError(
                f"images of {name} lie in [{low:.3g}, {high:.3g}], not in [0, 1]; give uint8, or floats before any "
                "normalisation (that belongs into the model)"
            )
