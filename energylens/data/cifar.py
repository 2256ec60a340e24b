"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): torchvision's folder, Hugging Face parquet, or the official archive."""

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from energylens.data.files import Arrays, parquet_files
from energylens.data.sets import Found, Layout, Set, Source, pick, shards
from energylens.errors import UserError, first_line

OFFICIAL = {
    "cifar10": ("cifar-10-batches-py", "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
    "cifar100": ("cifar-100-python", "cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
}
"""folder, archive, md5 of the archive"""
URL = "https://www.cs.toronto.edu/~kriz/"


def _class(name: str):
    from torchvision.datasets import CIFAR10, CIFAR100

    return {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]


def _batches(name: str, folder: Path, split: str) -> Found:
    """Torchvision wants the files of both splits."""
    official = _class(name)
    own, other = official.train_list, official.test_list
    if split == "test":
        own, other = other, own
    files = [*(file for file, _ in own), official.meta["filename"], *(file for file, _ in other)]
    found = pick(*(folder / official.base_folder / file for file in files))
    if found.lacks in [file for file, _ in other]:
        return Found((), f"{found.lacks} (torchvision wants the files of both splits)")
    return found


def _read_batches(name: str, files: Sequence[Path], split: str) -> Arrays:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's own, about the old pickles
            found = _class(name)(str(files[0].parents[1]), train=split == "train", download=False)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(
            f"{files[0].parent} is not the official {name} ({first_line(error)}); delete it and download it again"
        ) from error
    return found.data.transpose(0, 3, 1, 2), np.asarray(found.targets)


def _read_archive(name: str, files: Sequence[Path], split: str) -> Arrays:
    """Unpacked beside itself by torchvision, which checks its md5 first."""
    import tarfile

    import pooch

    official, (archive,) = _class(name), files
    found = pooch.file_hash(str(archive), alg="md5")
    if found != OFFICIAL[name][2]:
        raise UserError(f"{archive} is not the official {name} (its md5 is {found}); delete it and download it again")
    with tarfile.open(archive) as opened:
        opened.extractall(archive.parent, filter="data")
    return _read_batches(name, [archive.parent / official.base_folder / "batch"], split)


def cifar(name: str) -> Set:
    """The set of one of the two names."""
    batches, archive, md5 = OFFICIAL[name]
    return Set(
        splits=("train", "test"),
        layouts=(
            Layout(f"{batches}/ (torchvision)", partial(_batches, name), partial(_read_batches, name)),
            Layout(f"{name}/*.parquet (Hugging Face)", lambda top, split: shards(top / name, split), parquet_files),
            Layout(archive, lambda top, split: pick(top / archive), partial(_read_archive, name)),
        ),
        archives=lambda split: [Source(archive, URL + archive, f"md5:{md5}")],
        advice=f"{batches}/ (torchvision), {name}/SPLIT-*.parquet (Hugging Face) or {archive}",
    )
