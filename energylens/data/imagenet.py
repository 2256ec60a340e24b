"""ImageNet's validation images: shorter side to 256 (bilinear), centre crop of 224.

RobustBench prepares the images anew for every model. This is its `Res256Crop224`, the way of 19 of its 42 models;
17 want `BicubicRes256Crop224`, two `Res224` (no crop), one `Crop288`, three what timm does for them. Those give
other accuracies on these images than the published ones.
Class c is the c-th of the 1,000 WordNet ids in alphabetical order, also where only some class folders are there.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from energylens.data.files import Arrays, decode
from energylens.data.sets import Found, Layout, Set
from energylens.errors import UserError, some

RESIZE, CROP = 256, 224
PREPROCESSING = "Res256Crop224"
"""RobustBench's name for it"""
SUFFIXES = (".jpeg", ".jpg")


def _folder(top: Path, split: str) -> Found:
    found = [path for path in (top / "imagenet" / "val", top / "val") if path.is_dir()]
    return Found(tuple(found[:1]))


def _read(files: Sequence[Path], split: str) -> Arrays:
    from torchvision import transforms

    folder = files[0]
    numbers = {wnid: number for number, wnid in enumerate(_ids())}
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    strange = some(path.name for path in classes if path.name not in numbers)
    if strange or not classes:
        raise UserError(f"{folder} has {strange or 'no class folders'}; wanted val/WORDNET_ID/*.JPEG, n01440764 say")
    images = [path for wnid in classes for path in sorted(wnid.iterdir()) if path.suffix.lower() in SUFFIXES]
    if not images:
        raise UserError(f"no *.JPEG in the class folders of {folder}")
    crop = transforms.Compose([transforms.Resize(RESIZE), transforms.CenterCrop(CROP)])
    pixels = decode(((str(path), path.read_bytes()) for path in images), len(images), folder, rgb=True, change=crop)
    return pixels, np.array([numbers[path.parent.name] for path in images])


def _ids() -> list[str]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's own deprecations
        from timm.data import ImageNetInfo
    return ImageNetInfo().label_names()


IMAGENET = Set(
    splits=("val",),
    layouts=(Layout("imagenet/val/WORDNET_ID/*.JPEG", _folder, _read),),
    archives=lambda split: [],
    advice="imagenet/val/WORDNET_ID/*.JPEG, which image-net.org gives to those who register,",
)
