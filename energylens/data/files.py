"""Images and labels from files: `.npz`, a folder of parquet, a folder of images."""

import io
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from energylens.errors import UserError, first_line
from energylens.references import SPLITS

Arrays = tuple[Any, Any]
"""images [N, C, H, W] (uint8, or floats in [0, 1]) and labels [N]"""

CHUNK = 1000
"""rows of parquet in memory at once"""
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

    Arrays that are stored uncompressed, as `numpy.savez` does, stay on disk until they are asked for.

    Raises:
        UserError: truncated, no archive, without these arrays, or images with an alpha channel.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            image, label = (_one_of(names, archive.files, path) for names in (IMAGES, LABELS))
            mapped = _mapped(path, f"{image}.npy")
            images, labels = archive[image] if mapped is None else mapped, archive[label]
    except UserError:
        raise
    except Exception as error:  # numpy and zipfile raise half a dozen kinds
        raise UserError(f"{path} cannot be read as .npz ({first_line(error)}); is it whole?") from error
    if images.ndim == 4 and images.shape[3] == 4 and min(images.shape[1:3]) > 4:
        raise UserError(f"images of {path} have shape {images.shape}, RGBA; drop the alpha channel: images[..., :3]")
    return _channels_first(images), labels


def _mapped(path: Path, member: str) -> np.ndarray | None:
    """An uncompressed array of an archive, where it lies on disk; None for a compressed one."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        info = archive.getinfo(member)
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        file.seek(info.header_offset)
        local = file.read(30)
        file.seek(
            info.header_offset + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        )
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = read_header[version](file)
        if fortran or dtype.hasobject:
            return None
        return np.memmap(path, dtype, "c", file.tell(), shape)


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
    found = sorted(path.glob(f"{split}-*.parquet"))
    if not found:
        raise UserError(f"no {split}-*.parquet in {path}")
    if lacks := lacking(found, split):
        raise UserError(f"{path} lacks {lacks}; add it, or give the files other names to read them as they are")
    return parquet_files(found, split)


def lacking(files: Sequence[Path], split: str) -> str:
    """What is missing beside `SPLIT-00000-of-00002.parquet`, in words; the hub's older sets add a hash to the names."""
    found = [re.match(rf"{split}-(\d+)-of-(\d+)\b", path.stem) for path in files]
    numbered = [match for match in found if match]
    if not numbered:
        return ""
    parts, total = sorted(int(match[1]) for match in numbered), int(numbered[0][2])
    missing = sorted(set(range(total)) - set(parts))
    if len({match[2] for match in numbered}) > 1 or len(found) + len(missing) != total:
        return f"a single version of {split}-*.parquet: there are files of several"
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"{split}-{missing[0]:05d}-of-{total:05d}.parquet{more}" if missing else ""


def parquet_files(files: Sequence[Path], split: str, rgb: bool = False) -> Arrays:
    """The rows of some parquet files, one behind the other.

    Args:
        files: each with an image column and a label column.
        split: of the set.
        rgb: as for `decode`.

    Raises:
        UserError: unreadable, or images of several sizes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = [pq.ParquetFile(file) for file in files]
        columns = [[_one_of(names, file.schema_arrow.names, path) for names in (IMAGES, LABELS)]
                   for file, path in zip(opened, files, strict=True)]  # fmt: skip
        labels = [file.read([label])[label].to_numpy() for file, (_, label) in zip(opened, columns, strict=True)]
        blobs = (
            (f"{path}, row {row}", cell["bytes"] if isinstance(cell, dict) else cell)
            for file, path, (image, _) in zip(opened, files, columns, strict=True)
            for row, cell in enumerate(_cells(file, image))
        )
        return decode(blobs, sum(map(len, labels)), files[0].parent, rgb), np.concatenate(labels)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{files[0]} cannot be read as parquet ({first_line(error)}); is it whole?") from error


def _cells(file: Any, column: str) -> Iterator[Any]:
    for batch in file.iter_batches(CHUNK, columns=[column]):
        yield from batch.column(0).to_pylist()


def image_folder(path: Path) -> Arrays:
    """One sub-folder a class, classes in alphabetical order, as torchvision's ImageFolder; hidden ones do not count.

    Raises:
        UserError: no images, or images of several sizes.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    try:
        classes = sorted(each.name for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
        found = make_dataset(path, {name: number for number, name in enumerate(classes)}, IMG_EXTENSIONS)
    except (OSError, ValueError) as error:
        raise UserError(f"no image folder at {path} ({first_line(error)}); wanted {path}/CLASS/*.png") from error
    blobs = ((file, Path(file).read_bytes()) for file, _ in found)
    return decode(blobs, len(found), path), np.array([label for _, label in found])


def inside(top: Path) -> list[Path]:
    """All files in a folder, linked ones too, in order; a file itself."""
    if not top.is_dir():
        return [top]
    found = (Path(folder, name) for folder, _, names in os.walk(top, followlinks=True) for name in names)
    return sorted(path for path in found if path.is_file())


def decode(
    blobs: Iterable[tuple[str, bytes]],
    count: int,
    path: Path,
    rgb: bool = False,
    change: Callable[[Any], Any] | None = None,
) -> np.ndarray:
    """Encoded images -> [N, C, H, W] uint8.

    Args:
        blobs: where each one lies, for messages; and JPEG, PNG, WebP, ...
        count: how many there are.
        path: where they come from, for messages.
        rgb: three channels even if every image is grey; otherwise one then.
        change: what is done to each Pillow image first, such as a crop.

    Raises:
        UserError: one cannot be decoded, has more than 8 bits a channel, or they have several sizes.
    """
    grey, pixels, done = True, np.empty((0, 3, 0, 0), np.uint8), 0
    # threads make small images slower: measured, 10,000 of CIFAR's in 0.83 s, with two 0.95 s
    for where, blob in blobs:
        image, is_grey = _pixels(where, blob, change)
        if not done:
            pixels = np.empty((count, *image.shape), np.uint8)
        if image.shape != pixels.shape[1:]:
            sizes = sorted({image.shape[1:], pixels.shape[2:]})
            raise UserError(f"images in {path} have several sizes, such as {sizes} ({where}); resize them first")
        pixels[done] = image
        grey, done = grey and is_grey, done + 1
    return pixels[:, :1].copy() if grey and not rgb else pixels


def _pixels(where: str, blob: bytes, change: Callable[[Any], Any] | None) -> tuple[np.ndarray, bool]:
    """[3, H, W], and whether the image is grey."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(blob))
        if image.mode[0] in "IF":  # Pillow would clip them to 0 and 255
            raise UserError(f"image {where} has more than 8 bits a channel; convert it to 8 bits first")
        colours = image.convert("RGB")
        shown = colours if change is None else change(colours)
        return np.asarray(shown).transpose(2, 0, 1), image.mode in ("L", "1")
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"image {where} cannot be decoded: it is no image that Pillow knows") from error
    except Exception as error:  # Pillow raises half a dozen kinds
        raise UserError(f"image {where} cannot be decoded ({first_line(error)})") from error
