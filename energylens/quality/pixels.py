"""Labelled images as uint8, and scores of their pixels alone."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from energylens.data import Data
from energylens.errors import UserError

SEED = 2020
"""torch-fidelity's own; decides splits, subsets, and which real images are the yardstick"""
YARDSTICK = 1000
"""real images whose distance to their nearest other one is measured"""
CLOSE = 4
"""candidates whose distance is computed without cancellation"""
AT_ONCE = 2**23
"""values of one chunk of images"""
SVM_IMAGES, SVM_VALUES = 5000, 1024
"""largest set on which an SVM is trained"""


class Images(NamedTuple):
    """A labelled set."""

    images: Tensor
    """[N, C, H, W] uint8"""
    labels: Tensor
    """[N] int64"""
    sha: str = ""
    """of a real set: which images these are"""


def of(real: Data) -> Images:
    """The selected images of a data set, floats rounded to the nearest of 256 values.

    `sha` is a number of the set and its selection.
    """
    index = torch.from_numpy(real.index)
    whole = len(index) == len(real.images) and real.shuffle_seed is None
    stored = real.images if whole else real.images[index]
    # a set of floats and its rounded copy have the same pixels, and another number
    return Images(quantised(stored), real.labels[index], f"{real.sha}:{len(index)}:{real.shuffle_seed}")


def quantised(images: Tensor) -> Tensor:
    """uint8 as they are, floats in [0, 1] as the nearest of 256 values."""
    return images if images.dtype == torch.uint8 else (255 * images).round().to(torch.uint8)


def checked(images: Any, labels: Any, real: Data) -> Images:
    """Images to be scored, as tensors.

    Raises:
        UserError: no uint8, of another shape than the real ones, or labels that are none of theirs.
    """
    images, labels = _tensor(images, "images to score"), _tensor(labels, "labels")
    name, shape, known = f"{real.name}:{real.split}", list(real.images.shape[1:]), int(real.labels.max())
    if images.dtype != torch.uint8:
        kind = str(images.dtype).removeprefix("torch.")
        raise UserError(f"images to score are {kind}; give uint8: (255 * images).round() of floats in [0, 1]")
    if images.dim() != 4 or not len(images):
        raise UserError(f"images to score have shape {list(images.shape)}; wanted [N, C, H, W], one at least")
    if list(images.shape[1:]) != shape:
        raise UserError(f"images to score are {list(images.shape[1:])}, those of {name} {shape}; take the same size")
    if labels.shape != images.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
        kind = str(labels.dtype).removeprefix("torch.")
        raise UserError(f"labels are {kind} of shape {list(labels.shape)} for {len(images)} images; give class indices")
    if labels.min() < 0 or labels.max() > known:
        wrong = int(labels.min() if labels.min() < 0 else labels.max())
        raise UserError(
            f"label {wrong} of the images is no class of {name} (0 to {known}); take the set of its classes"
        )
    return Images(images.cpu(), labels.cpu().long())


def _tensor(given: Any, what: str) -> Tensor:
    """Also of an array that is read-only, or runs backwards."""
    if isinstance(given, Tensor):
        return given
    array = np.require(given, requirements=("C", "W"))
    if array.dtype.kind not in "buif":
        raise UserError(f"{what} are an array of {array.dtype}; give numbers")
    return torch.from_numpy(array)


def nearest(made: Images, real: Images, device: str = "cpu") -> float:
    """Mean L2 distance of the images, in [0, 1], to their nearest real one: 0 if all of them are copies."""
    return _mean_distance(made.images.flatten(1), real.images.flatten(1), None, device)


def nearest_real(real: Images, device: str = "cpu") -> float | None:
    """The same of 1,000 real images, always the same ones, or of all if there are fewer, to their nearest other one."""
    if len(real.images) < 2:
        return None
    drawn = torch.from_numpy(np.random.default_rng(SEED).permutation(len(real.images))[:YARDSTICK])
    flat = real.images.flatten(1)
    return _mean_distance(flat[drawn], flat, drawn, device)


def _mean_distance(some: Tensor, real: Tensor, own: Tensor | None, device: str) -> float:
    """Over rows of `some`; row i is row own[i] of the real ones, which does not count."""
    rows = max(1, min(2000, AT_ONCE // some.shape[1]))
    own = torch.full((len(some),), -1) if own is None else own
    found = [
        _distances(part.to(device).float(), real, mine.to(device), rows)
        for part, mine in zip(some.split(rows), own.split(rows), strict=True)
    ]
    return float(torch.cat(found).double().mean()) / 255


def _distances(some: Tensor, real: Tensor, own: Tensor, rows: int) -> Tensor:
    """[B] to the nearest row of `real`, of which so many are looked at at once."""
    best = some.new_full((len(some),), math.inf)
    for start in range(0, len(real), rows):
        others = real[start : start + rows].to(some.device).float()
        places = torch.arange(start, start + len(others), device=some.device)
        squares = (others**2).sum(1) - 2 * some @ others.T
        squares = squares.masked_fill(own[:, None] == places, math.inf)
        close = squares.topk(min(CLOSE, len(others)), largest=False).indices
        exact = (others[close] - some[:, None]).norm(dim=2).masked_fill(own[:, None] == places[close], math.inf)
        best = best.minimum(exact.min(1).values)
    return best


def svm(made: Images, real: Images) -> float | None:
    """Share of the images that an SVM on the real ones' pixels takes for the class that was wanted.

    scikit-learn's SVC as it comes; None for sets of more than 5,000 images or 1,024 values, or of one class.
    """
    from sklearn.svm import SVC

    if len(real.images) > SVM_IMAGES or real.images[0].numel() > SVM_VALUES or len(real.labels.unique()) < 2:
        return None
    learned = SVC().fit(real.images.flatten(1).numpy() / 255, real.labels.numpy())
    return float((learned.predict(made.images.flatten(1).numpy() / 255) == made.labels.numpy()).mean())
