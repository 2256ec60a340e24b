"""SVHN, cropped digits (Netzer et al. 2011): the official .mat files, or Hugging Face parquet."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from energylens.data.files import Arrays, parquet_files
from energylens.data.sets import Found, Layout, Set, Source, shards
from energylens.errors import UserError, first_line

URL = "http://ufldl.stanford.edu/housenumbers/"
MD5 = {
    "train": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test": "eb5a983be6a315427106f1b164d9cef3",
    "extra": "a93ce644f1a588dc4d68dda5feec44a7",
}


def _mat(top: Path, split: str) -> Found:
    places = [top / "svhn" / f"{split}_32x32.mat", top / f"{split}_32x32.mat"]
    return next((Found((path,)) for path in places if path.is_file()), Found(()))


def _read_mat(files: Sequence[Path], split: str) -> Arrays:
    """The digit 0 is class 0, as in torchvision; the files write 10."""
    from scipy.io import loadmat

    try:
        found = loadmat(files[0])
        images, labels = found["X"].transpose(3, 2, 0, 1), found["y"].astype(np.int64).ravel()
    except Exception as error:  # scipy raises half a dozen kinds
        raise UserError(f"{files[0]} cannot be read as SVHN ({first_line(error)}); is it whole?") from error
    if len(images) != len(labels):
        raise UserError(f"{files[0]} has {len(images)} images and {len(labels)} labels; is it whole?")
    return np.ascontiguousarray(images), labels % 10


def _parquet(top: Path, split: str) -> Found:
    folders = (top / "svhn", top / "svhn" / "cropped_digits")
    return next(filter(any, (shards(folder, split) for folder in folders)), Found(()))


SVHN = Set(
    splits=("train", "test", "extra"),
    layouts=(
        Layout("svhn/SPLIT_32x32.mat", _mat, _read_mat),
        Layout("svhn/*.parquet (Hugging Face)", _parquet, parquet_files),
    ),
    archives=lambda split: [Source(f"svhn/{split}_32x32.mat", f"{URL}{split}_32x32.mat", f"md5:{MD5[split]}")],
    advice="svhn/SPLIT_32x32.mat or svhn/SPLIT-*.parquet (Hugging Face)",
)
