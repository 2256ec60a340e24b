"""Statistics of the training images of each class, from which chains start; their components are kept on disk."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from energylens import atomic, paths
from energylens.errors import Note, UserError, first_line, many

if TYPE_CHECKING:
    from energylens.data import Data

VERSION = 1
"""grows when the same images get other components"""
MOST = 0.999
"""share of a class's variance up to which components are kept"""


class Statistics:
    """Of the selected images of a data set, by class; only those of classes that are asked for are computed.

    Images are flattened to P = C * H * W pixels in [0, 1], in the order in which they lie in the split.
    """

    def __init__(self, data: Data):
        self.data = data
        channels, height, width = data.images.shape[1:]
        self.shape = channels, height, width
        self.classes = int(data.labels.max()) + 1
        self._index = np.sort(data.index)
        self._last: tuple[int, np.ndarray] | None = None  # images of one class: they need the memory
        self._means: dict[int, np.ndarray] = {}
        self._kept: dict[int, np.ndarray] = {}

    def count(self, k: int) -> int:
        """How many images of class k there are.

        Raises:
            UserError: no such class.
        """
        return len(self._places(k))

    def images(self, k: int) -> np.ndarray:
        """[n, P] float32 images of class k; not to be written to.

        Raises:
            UserError: no such class, or fewer than two images of it.
        """
        if self._last is None or self._last[0] != k:
            self._last = k, self._images(k)
        return self._last[1]

    def mean(self, k: int) -> np.ndarray:
        """[P] float32 mean image of class k.

        Raises:
            UserError: no such class, or fewer than two images of it.
        """
        if k not in self._means:
            self._means[k] = self.images(k).mean(0, dtype=np.float64).astype(np.float32)
        return self._means[k]

    def components(self, k: int, retained: float) -> tuple[np.ndarray, np.ndarray]:
        """The principal components of class k that explain a share of its variance, largest first.

        As many as explain less than `retained` together (the one that crosses it is left out), at least one.

        Args:
            k: the class.
            retained: above 0, at most 0.999.

        Returns:
            Directions [c, P] float32 of length 1, and the singular values [c] float64 of the n centred images:
            sqrt(n - 1) standard deviations along them, in pixel units.

        Raises:
            UserError: no such class, fewer than two images of it, or more variance than is kept.

        Source: the released generation code of arXiv:2407.06315 (scikit-learn's PCA of a class).
        """
        check_retained("components", retained)
        if k not in self._kept:
            self._kept[k] = self._components(k)
        kept = self._kept[k]
        first = slice(leading(kept["share"], retained))
        return kept["direction"][first], kept["singular"][first]

    def _places(self, k: int) -> np.ndarray:
        if not 0 <= k < self.classes:
            raise UserError(f"no class {k} in {self.data.name}; its classes are 0 to {self.classes - 1}")
        return self._index[self.data.labels.numpy()[self._index] == k]

    def _images(self, k: int) -> np.ndarray:
        import torch

        from energylens.data import scaled

        places = self._places(k)
        if len(places) < 2:
            had = f"class {k} of {self.data.name} has {many(len(places), 'image')} among the {self.data.selection}"
            raise UserError(f"{had}; to start from a class takes 2 or more: take more images, or leave the class out")
        return scaled(self.data.pixels(torch.from_numpy(places))).flatten(1).numpy()

    @cached_property
    def _folder(self) -> Path:
        """Of these very images."""
        facts = [VERSION, MOST, self.data.sha, hashlib.sha256(self._index.tobytes()).hexdigest()]
        fingerprint = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        name = re.sub(r"[^\w.-]", "-", self.data.name)
        return paths.home() / "statistics" / f"{name}-{self.data.split}-{fingerprint}"

    def _components(self, k: int) -> np.ndarray:
        """Mapped from their file, which is made if it is not there or broken."""
        path = self._folder / f"class-{k}.npy"
        try:
            return _load(path, _record(int(np.prod(self.shape))))
        except (OSError, ValueError, EOFError):  # not there, or broken
            made = principal(self.images(k))
        try:
            with atomic.whole(path, "$ENERGYLENS_HOME") as hidden, hidden.open("wb") as file:
                np.save(file, made)
        except UserError as error:  # read-only, full: the numbers are the same without it
            why = first_line(error.__cause__ or error)
            note = f"principal components of {self.data.name} are not kept in {self._folder} ({why})"
            warnings.warn(Note(note), stacklevel=2)
            return made
        return _load(path, made.dtype)


def principal(images: np.ndarray) -> np.ndarray:
    """The principal components of images [n, P], largest first, up to 0.999 of their variance.

    Returns:
        [c] records of `share` (of the variance), `singular` (value) and `direction` [P].
    """
    from sklearn.decomposition import PCA

    n, pixels = images.shape
    # The same components either way; for 5,000 images of 3x32x32 from their covariance in 5 s on one thread.
    solver = "covariance_eigh" if n >= pixels else "full"
    with np.errstate(invalid="ignore"):  # images that are all the same have no variance to share
        found = PCA(svd_solver=solver).fit(images.astype(np.float64))
    shares = np.nan_to_num(found.explained_variance_ratio_)
    kept = np.empty(leading(shares, MOST), _record(pixels))
    kept["share"], kept["singular"] = shares[: len(kept)], found.singular_values_[: len(kept)]
    kept["direction"] = found.components_[: len(kept)]
    return kept


def leading(shares: np.ndarray, retained: float) -> int:
    """How many components explain less than `retained` of the variance together, at least one."""
    return max(1, int((np.cumsum(shares) < retained).sum()))


def check_retained(who: str, retained: float) -> None:
    """Whether a share of the variance is one, and is kept.

    Raises:
        UserError: it is not; `who` is named.
    """
    if not 0 < retained <= MOST:
        raise UserError(
            f"{who}(retained={retained:g}): retained is a share of the variance, above 0 and at most {MOST:g}; "
            "95 % is written 0.95"
        )


def _record(pixels: int) -> np.dtype:
    return np.dtype([("share", "<f8"), ("singular", "<f8"), ("direction", "<f4", (pixels,))])


def _load(path: Path, record: np.dtype) -> np.ndarray:
    kept = np.load(path, mmap_mode="r", allow_pickle=False)
    if kept.dtype != record or not len(kept):
        raise ValueError
    return kept
