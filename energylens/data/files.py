"""Images and labels from files: `.npz`, a folder of parquet, a folder of images."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from energylens.errors import UserError, first_line
from energylens.references import SPLITS

Arrays = tuple[Any, Any]
"""images [N, C, H, W] (uint8, or floats in [0, 1]) and labels [N]"""

IMAGES, LABELS = ("images", "image", "img"), ("labels", "label", "fine_label")


def _one_of(known: tuple[str, ...], present: list[str], path: Path) -> str:
    for name in known:
        if name in present:
            return name
    raise UserError(f"{path} has {', '.join(present) or 'nothing'}; wanted one of {', '.join(known)}")


def _channels_first(images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[3] in (1, 3) and images.shape[1] not in (1, 3):
        return images.transpose(0, 3, 1, 2)
    return images


def npz(path: Path) -> Arrays:
    """Arrays `images` and `labels` (or `image`, `label`); images [N, H, W, C] or [N, C, H, W].

    Raises:
        UserError: truncated, no archive, or without these arrays.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            images = archive[_one_of(IMAGES, archive.files, path)]
            labels = archive[_one_of(LABELS, archive.files, path)]
    except UserError:
        raise
    except Exception as error:  # numpy and zipfile raise half a dozen kinds
        raise UserError(f"{path} cannot be read as .npz ({first_line(error)}); is it whole?") from error
    return _channels_first(images), labels


def folder(path: Path, split: str) -> Arrays:
    """A folder of Hugging Face parquet, or one sub-folder of images a class (in SPLIT/ if that exists)."""
    if any(path.glob("*.parquet")):
        return parquet(path, split)
    splits = [name for name in SPLITS if (path / name).is_dir()]
    if splits and split not in splits:
        raise UserError(f"no {split}/ in {path}; it has {', '.join(splits)}: write {path}:{splits[0]}")
    return image_folder(path / split if splits else path)


def parquet(path: Path, split: str) -> Arrays:
    """`SPLIT-*.parquet` as on the Hugging Face hub: an image column of encoded bytes and a label column.

    Raises:
        UserError: no file of this split, unreadable, or images of several sizes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = sorted(path.glob(f"{split}-*.parquet"))
    if not found:
        raise UserError(f"no {split}-*.parquet in {path}")
    blobs: list[bytes] = []
    labels: list[np.ndarray] = []
    for file in found:
        try:
            names = pq.read_schema(file).names
            image, label = _one_of(IMAGES, names, file), _one_of(LABELS, names, file)
            table = pq.read_table(file, columns=[image, label])
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{file} cannot be read as parquet ({first_line(error)}); is it whole?") from error
        cells = table[image].to_pylist()
        blobs += [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
        labels.append(table[label].to_numpy())
    return _decode(blobs, path), np.concatenate(labels)


def image_folder(path: Path) -> Arrays:
    """One sub-folder a class, classes in alphabetical order, as torchvision's ImageFolder.

    Raises:
        UserError: no images, or images of several sizes.
    """
    from torchvision.datasets import ImageFolder

    try:
        found = ImageFolder(str(path)).samples
    except (FileNotFoundError, OSError) as error:
        raise UserError(f"no image folder at {path} ({first_line(error)}); wanted {path}/CLASS/*.png") from error
    return _decode([Path(file).read_bytes() for file, _ in found], path), np.array([label for _, label in found])


def _decode(blobs: list[bytes], path: Path) -> np.ndarray:
    """Encoded images -> [N, C, H, W] uint8; one channel only if every image is grey."""
    from PIL import Image

    try:
        images = [Image.open(io.BytesIO(blob)) for blob in blobs]
        mode = "L" if all(image.mode in ("L", "1") for image in images) else "RGB"
        pixels = [np.asarray(image.convert(mode)) for image in images]
    except Exception as error:  # Pillow raises half a dozen kinds
        raise UserError(f"an image in {path} cannot be decoded ({first_line(error)})") from error
    sizes = {array.shape for array in pixels}
    if len(sizes) > 1:
        raise UserError(f"images in {path} have several sizes, such as {sorted(sizes)[:2]}; resize them first")
    stacked = np.stack(pixels)
    return stacked[:, None] if stacked.ndim == 3 else stacked.transpose(0, 3, 1, 2)
