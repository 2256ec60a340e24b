"""Data sets known by name: digits (embedded), CIFAR-10 and CIFAR-100."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from energylens.data.files import Arrays, parquet
from energylens.errors import UserError, first_line, unknown

SPLITS = ("train", "test")
BATCHES = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


def digits(split: str, data_dir: Path) -> Arrays:
    """Scikit-learn's 1,797 handwritten digits, bilinear to 1x16x16; 1,297 train and 500 test, stratified."""
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    small = torch.from_numpy(images).float().view(-1, 1, 8, 8) / 16
    large = torch.nn.functional.interpolate(small, size=16, mode="bilinear").numpy()
    rows = train_test_split(np.arange(len(labels)), test_size=500, stratify=labels, random_state=0)
    chosen = np.sort(rows[SPLITS.index(split)])
    return large[chosen], labels[chosen]


def _cifar(name: str, split: str, data_dir: Path) -> Arrays:
    """CIFAR in torchvision's layout, else as Hugging Face parquet, else downloaded by torchvision."""
    batches = BATCHES[name]
    if not (data_dir / batches).is_dir() and (data_dir / name).is_dir():
        return parquet(data_dir / name, split)
    from torchvision.datasets import CIFAR10, CIFAR100

    dataset = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    try:
        found = dataset(str(data_dir), train=split == "train", download=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError
        with suppress(OSError):
            data_dir.rmdir()  # which torchvision made, and nothing is in it
        raise UserError(
            f"{name} is not in {data_dir} and could not be downloaded ({first_line(error)}); put "
            f"{batches}/ (torchvision) or {name}/{split}-*.parquet (Hugging Face) there, "
            "or name the folder that has it with --data-dir"
        ) from error
    return found.data.transpose(0, 3, 1, 2), np.asarray(found.targets)


def _known_splits(name: str, load):
    def checked(split: str, data_dir: Path) -> Arrays:
        if split not in SPLITS:
            raise unknown(f"split of {name}", split, SPLITS)
        return load(split, data_dir)

    return checked


SETS = {
    "digits": _known_splits("digits", digits),
    "cifar10": _known_splits("cifar10", lambda split, where: _cifar("cifar10", split, where)),
    "cifar100": _known_splits("cifar100", lambda split, where: _cifar("cifar100", split, where)),
}
KNOWN = ", ".join(SETS)
