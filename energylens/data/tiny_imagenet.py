"""Tiny-ImageNet (200 classes, 64x64): the official folder or archive, or Hugging Face parquet.

Class c is the c-th of the WordNet ids in alphabetical order, as torchvision's ImageFolder and the Hugging Face sets
count them; the order of `wnids.txt` is another one. Grey images become RGB. The official test images have no
labels: everybody reports on `val`.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from energylens.data.files import Arrays, decode, inside, parquet_files
from energylens.data.sets import Found, Layout, Set, Source, shards
from energylens.errors import UserError, first_line, some

TOP = "tiny-imagenet-200"
URL = f"http://cs231n.stanford.edu/{TOP}.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"


def _places(top: Path, name: str) -> list[Path]:
    return [path for path in (top / name, top / "tiny-imagenet" / name) if path.exists()]


def _folder(top: Path, split: str) -> Found:
    found = _places(top, TOP)
    return Found(tuple(found[:1])) if found and (found[0] / split).is_dir() else Found((), split if found else "")


def _archive(top: Path, split: str) -> Found:
    return Found(tuple([*_places(top, f"{TOP}.zip"), *_places(top, f"{TOP}.tar"), *_places(top, f"{TOP}.tar.gz")][:1]))


def _parquet(top: Path, split: str) -> Found:
    theirs = {"val": "valid"}.get(split, split)
    folders = (top / "tiny-imagenet", top / "tiny-imagenet" / "data")
    tries = (shards(folder, name) for folder in folders for name in (theirs, split))
    return next(filter(any, tries), Found(()))


def _read(files: Sequence[Path], split: str) -> Arrays:
    with _members(files[0]) as members:
        found = _validation(files[0], members) if split == "val" else _training(members)
        if not found:
            raise UserError(f"{files[0]} has no {split} images; get the whole {TOP}.zip from {URL}")
        classes = {wnid: number for number, wnid in enumerate(sorted(_ids(files[0], members)))}
        strange = some({wnid for _, wnid in found} - classes.keys())
        if strange:
            raise UserError(f"{files[0]} has images of classes that wnids.txt lacks: {strange}")
        blobs = ((f"{name} of {files[0]}", members[name]()) for name, _ in found)
        pixels = decode(blobs, len(found), files[0], rgb=True)
    return pixels, np.array([classes[wnid] for _, wnid in found])


def _ids(path: Path, members: Mapping) -> list[str]:
    if f"{TOP}/wnids.txt" not in members:
        raise UserError(f"{path} has no {TOP}/wnids.txt; get the whole {TOP}.zip from {URL}")
    return _text(path, members, f"{TOP}/wnids.txt").split()


def _text(path: Path, members: Mapping, name: str) -> str:
    try:
        return members[name]().decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{name} of {path} is no text; get the whole {TOP}.zip from {URL}") from error


def _validation(path: Path, members: Mapping) -> list[tuple[str, str]]:
    """Image and WordNet id, in the order of the numbers in their names."""
    notes = f"{TOP}/val/val_annotations.txt"
    if notes not in members:
        raise UserError(f"{path} has no {notes}; get the whole {TOP}.zip from {URL}")
    labels = dict(line.split("\t")[:2] for line in _text(path, members, notes).splitlines() if "\t" in line)
    start = f"{TOP}/val/images/"
    images = [name for name in members if name.startswith(start) and name.endswith(".JPEG")]
    unlabelled = some(name.removeprefix(start) for name in images if name.removeprefix(start) not in labels)
    if unlabelled:
        raise UserError(f"{path} has no label in val_annotations.txt for {unlabelled}; get the whole archive again")
    lost = some(labels.keys() - {name.removeprefix(start) for name in images})
    if lost:
        raise UserError(f"{path} lacks images that val_annotations.txt names: {lost}; unpack the whole {TOP}.zip again")
    images.sort(key=lambda name: (len(name), name))
    return [(name, labels[name.removeprefix(start)]) for name in images]


def _training(members: Mapping) -> list[tuple[str, str]]:
    """Image and WordNet id, class by class."""
    images = [name for name in members if name.startswith(f"{TOP}/train/") and name.endswith(".JPEG")]
    images.sort(key=lambda name: (name.split("/")[2], len(name), name))
    return [(name, name.split("/")[2]) for name in images]


@contextmanager
def _members(path: Path) -> Iterator[Mapping]:
    """Name in the official archive -> a function that reads it. Nothing is unpacked, links in it are not followed."""
    try:
        if path.is_dir():
            yield {f"{TOP}/{file.relative_to(path).as_posix()}": file.read_bytes for file in inside(path)}
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as packed:
                yield {name: _of_zip(packed, name) for name in packed.namelist()}
        else:
            _check_end(path)
            with tarfile.open(path) as tar:
                yield {info.name: _of_tar(tar, info) for info in tar if info.isfile()}
    except (zipfile.BadZipFile, zlib.error, tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}); is it whole? It comes from {URL}") from error


def _check_end(path: Path) -> None:
    """A .tar ends with a kilobyte of zeros; without it, it was cut, which Python's reader does not notice."""
    if path.suffix == ".tar":
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 1024))
            if file.read().strip(b"\0"):
                raise tarfile.ReadError("unexpected end of data")


def _of_zip(packed: zipfile.ZipFile, name: str):
    return lambda: packed.read(name)


def _of_tar(tar: tarfile.TarFile, info: tarfile.TarInfo):
    def read() -> bytes:
        file = tar.extractfile(info)
        assert file is not None  # it is a file
        return file.read()

    return read


TINY = Set(
    splits=("train", "val"),
    layouts=(
        Layout(f"{TOP}/", _folder, _read),
        Layout(f"{TOP}.zip or .tar", _archive, _read),
        Layout("tiny-imagenet/*.parquet (Hugging Face)", _parquet, partial(parquet_files, rgb=True)),
    ),
    archives=lambda split: [Source(f"{TOP}.zip", URL, f"md5:{MD5}")],
    advice=f"{TOP}/, {TOP}.zip or tiny-imagenet/SPLIT-*.parquet (Hugging Face)",
)
