"""Shards: the files of a table, each of one model, one attack and one range of images."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from energylens.atomic import sync, whole
from energylens.errors import UserError, first_line
from energylens.schema import CHAINS, SCHEMA, STEPS


class Part(NamedTuple):
    """One shard on disk: images START to STOP of a selection, measured under KEY."""

    path: Path
    key: str
    start: int
    stop: int

    @property
    def images(self) -> Path:
        """Where its images lie, if they are kept."""
        return self.path.with_name(f"_images-{self.key}-{self.start}-{self.stop}.npz")


def folder(points: Path, model: str, attack: str) -> Path:
    """Where the shards of a model and attack lie."""
    return points / f"model={quote(model, safe=' ()+')}" / f"attack={quote(attack, safe=' ')}"


def named(where: Path) -> tuple[str, str]:
    """The model and attack whose shards lie in a folder."""
    return unquote(where.parent.name.removeprefix("model=")), unquote(where.name.removeprefix("attack="))


def parts(where: Path) -> list[Part]:
    """The shards in a folder, by their names, in order of their images; of those with one start the longest first."""
    found = []
    for path in where.glob("part-*.parquet"):
        match = re.fullmatch(r"part-([0-9a-f]{8})-(\d+)-(\d+)", path.stem)
        if match:
            found.append(Part(path, match[1], int(match[2]), int(match[3])))
    return sorted(found, key=lambda part: (part.start, -part.stop))


def check_one_key(where: Path, found: list[Part]) -> None:
    """Whether the shards of a folder were measured from the same things.

    Raises:
        UserError: they were not.
    """
    if len({part.key for part in found}) > 1:
        raise UserError(f"{where} holds shards of several keys; probe it again, and those of other keys are set aside")


def write(columns: dict[str, Any], where: Path, start: int, stop: int, provenance: dict[str, Any]) -> Path:
    """Write one shard: under a name that readers skip, synced, then renamed. What exists is whole.

    Raises:
        UserError: the disk is full or read-only.
    """
    schema = next((kind for kind in (CHAINS, STEPS) if set(kind.names) <= set(columns)), SCHEMA)
    table = pa.table([columns[field.name] for field in schema], schema=schema)
    path = where / f"part-{provenance['key']}-{start}-{stop}.parquet"
    with whole(path, "--tables") as hidden:
        pq.write_table(described(table, provenance), hidden, write_page_checksum=True)
    return path


def store(
    columns: dict[str, Any],
    images: np.ndarray | None,
    where: Path,
    start: int,
    stop: int,
    provenance: dict[str, Any],
    again: bool,
) -> None:
    """Write a shard and its images; whenever it is killed, no rows lie beside images that are not theirs.

    Args:
        columns: of its rows.
        images: [B, C, H, W] to be kept; None for none.
        where: the folder.
        start: the first of its images.
        stop: behind the last of them.
        provenance: what its rows were measured from.
        again: whether it is there, maybe with images: these go first, then the rows are replaced. A shard that is
            new comes after its images.

    Raises:
        UserError: the disk is full or read-only.
    """
    if again:
        _drop_images(where, start, stop, provenance["key"])
        write(columns, where, start, stop, provenance)
    if images is not None:
        write_images(images, where, start, stop, provenance["key"])
    if not again:
        write(columns, where, start, stop, provenance)


def described(table: pa.Table, provenance: dict[str, Any]) -> pa.Table:
    """A table that carries what it was measured from."""
    return table.replace_schema_metadata({"energylens": json.dumps(provenance, sort_keys=True)})


def _drop_images(where: Path, start: int, stop: int, key: str) -> None:
    path = where / f"_images-{key}-{start}-{stop}.npz"
    try:
        path.unlink(missing_ok=True)
        sync(where)
    except OSError as error:
        raise UserError(f"cannot delete {path} ({first_line(error)}); make its folder writable") from error


def write_images(images: np.ndarray, where: Path, start: int, stop: int, key: str) -> Path:
    """Keep a shard's images [B, C, H, W] beside it, under a name that readers of the table skip.

    Raises:
        UserError: the disk is full or read-only.
    """
    path = where / f"_images-{key}-{start}-{stop}.npz"
    with whole(path, "--tables") as hidden, hidden.open("wb") as file:
        np.savez_compressed(file, images=images)
    return path


class Broken(UserError):
    """A file of a table that cannot be read."""


def broken(path: Path, error: BaseException) -> UserError:
    """What to say of a file that cannot be read."""
    if isinstance(error, PermissionError):
        return UserError(f"{path} may not be read ({first_line(error)}); change its permissions")
    return Broken(f"{path} cannot be read ({first_line(error)}); delete it and measure it again")


def provenance(path: Path) -> dict[str, Any]:
    """What a shard says it was measured from.

    Raises:
        UserError: the file is broken, or no shard of ours.
    """
    return _provenance(_footer(path))


def check_whole(part: Part) -> dict[str, Any]:
    """A look at a shard's footer.

    Returns:
        Its provenance.

    Raises:
        UserError: broken, no shard of ours, or not of the images that its name says.
    """
    footer, images = _footer(part.path), part.stop - part.start
    about, rows = _provenance(footer), footer.num_rows
    of_its_name = "step" in footer.schema.names or rows == images
    of_its_name &= about.get("start", part.start) == part.start
    if (about["key"], rows) != (part.key, about.get("rows", images)) or not of_its_name:
        raise UserError(f"{part.path} does not hold what its name says; delete it and measure it again")
    return about


def pieces(part: Part, about: dict[str, Any]) -> list[dict[str, Any]]:
    """What a file was joined from, in its order: of each the images that none before it has, and what is told of it.

    Args:
        part: the file.
        about: its provenance.
    """
    made, position = [], part.start
    for own in about.get("joined", [about | {"start": part.start, "stop": part.stop}]):
        start = max(position, own["start"])
        if start < own["stop"]:
            made.append(own | {"start": start})
            position = own["stop"]
    return made


def _footer(path: Path) -> pq.FileMetaData:
    try:
        footer = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise broken(path, error) from error
    if b"energylens" not in (footer.metadata or {}):
        raise UserError(f"{path} is no energy table of ours; move it out of the folder")
    return footer


def _provenance(footer: pq.FileMetaData) -> dict[str, Any]:
    return json.loads(footer.metadata[b"energylens"])
