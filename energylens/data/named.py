"""Data sets by name: the digits, which are always there, and the sets of files."""

import warnings
from pathlib import Path

import numpy as np

from energylens import downloads
from energylens.data.cache import decoded
from energylens.data.cifar import cifar
from energylens.data.files import Arrays, inside
from energylens.data.imagenet import IMAGENET
from energylens.data.sets import Layout, Set
from energylens.data.svhn import SVHN
from energylens.data.tiny_imagenet import TINY
from energylens.errors import Note, UserError, unknown

SETS: dict[str, Set] = {
    "cifar10": cifar("cifar10"),
    "cifar100": cifar("cifar100"),
    "svhn": SVHN,
    "tiny-imagenet": TINY,
    "imagenet": IMAGENET,
}
NAMES = ("digits", *SETS)
DIGITS = ("train", "test")


def load(name: str, split: str, data_dir: Path) -> Arrays:
    """Images and labels of a split, downloaded if they are not there.

    Raises:
        UserError: no such split, or it is not there and cannot be had.
    """
    check_split(name, split)
    if name == "digits":
        return digits(split)
    layout, files = _had(name, split, data_dir)
    return decoded(name, split, files, lambda: layout.read(files, split))


def sources(name: str, split: str, data_dir: Path) -> dict[str, Path]:
    """The files that a set is read from: place below the data folder -> file; none for the digits.

    Raises:
        UserError: it is not there and cannot be had.
    """
    check_split(name, split)
    if name == "digits":
        return {}
    _, files = _had(name, split, data_dir)
    return {path.relative_to(data_dir).as_posix(): path for top in files for path in inside(top)}


def check_split(name: str, split: str) -> None:
    """Whether a set has a split.

    Raises:
        UserError: it has not.
    """
    known = DIGITS if name == "digits" else SETS[name].splits
    if split not in known:
        why = "; its test images have no labels" if split == "test" else ""
        raise UserError(f"{unknown(f'split of {name}', split, known)}{why}")


def digits(split: str) -> Arrays:
    """Scikit-learn's 1,797 handwritten digits, bilinear to 1x16x16; 1,297 train and 500 test, stratified."""
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    small = torch.from_numpy(images).float().view(-1, 1, 8, 8) / 16
    large = torch.nn.functional.interpolate(small, size=16, mode="bilinear").numpy()
    rows = train_test_split(np.arange(len(labels)), test_size=500, stratify=labels, random_state=0)
    chosen = np.sort(rows[DIGITS.index(split)])
    return large[chosen], labels[chosen]


def _had(name: str, split: str, data_dir: Path) -> tuple[Layout, tuple[Path, ...]]:
    """The first layout that is whole, downloaded if none is; what is half there is named."""
    found, halves = _look(name, split, data_dir)
    if found is None:
        _download(name, split, data_dir, halves)
        found, halves = _look(name, split, data_dir)
    assert found is not None, "the archive is one of the layouts"
    for half in halves:
        warnings.warn(Note(f"{half}; {found[0].name} is read instead"), stacklevel=2)
    return found


def _look(name: str, split: str, data_dir: Path) -> tuple[tuple[Layout, tuple[Path, ...]] | None, list[str]]:
    """The first layout that is whole, and what those before it lack."""
    halves: list[str] = []
    for layout in SETS[name].layouts:
        found = layout.find(data_dir, split)
        if found.files:
            return (layout, found.files), halves
        if found.lacks:
            halves.append(f"{data_dir / layout.name} lacks {found.lacks}")
    return None, halves


def _download(name: str, split: str, data_dir: Path, halves: list[str]) -> None:
    known = SETS[name]
    half = "".join(f"{half}; " for half in halves)
    place = f"put {known.advice.replace('SPLIT', split)} in {data_dir}, or name the folder that has it with --data-dir"
    archives = known.archives(split)
    if not archives:
        raise UserError(f"{half}{name}:{split} is not there and cannot be downloaded; {place}")
    for source in archives:
        try:
            downloads.fetch(
                data_dir / source.place,
                [source.url],
                source.checksum,
                what=f"{name}:{split}",
                place=f"data/{source.place}",
            )
        except downloads.Unavailable as error:
            raise UserError(f"{half}{error}; or {place}") from error
