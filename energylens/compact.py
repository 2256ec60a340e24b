"""Join the shards of each model and attack into one file, so that a large table opens in a moment.

The joined file is built in a hidden folder, beside links to all that stays as it is; then that folder and the
table's change places in one step, and the old one is deleted. So readers see the old files or the new one.
"""

import itertools
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from energylens import lock
from energylens.atomic import sync
from energylens.errors import UserError, first_line
from energylens.shards import Part, broken, check_one_key, check_whole, described, named, parts
from energylens.swap import link, swap

HIDDEN = "_compact"
"""holds `new`, folders that are being built or done with, and `old`, those whose place is free for a moment"""
SAME = ("decisive", "model_ref", "data", "kept")
"""of their provenance, what the shards of one file have in common"""
OWN = ("batch", "seconds", "software", "selected")
"""what a joined file tells of each of them"""
Run = list[tuple[Part, dict[str, Any]]]
"""shards without a hole between them, each with its provenance"""


def compact(points: Path, say: Callable[[str], None] = print) -> None:
    """Join the shards of each model and attack: one file for each run of images without a hole.

    Kept images are joined with them. Shards that keep other things than their neighbours, or name model or data
    otherwise, stay apart. Whenever it is killed, no row is lost and none is there twice.

    Args:
        points: the folder `TABLES/ANALYSIS/points`, or `steps`.
        say: told what was joined.

    Raises:
        UserError: there is no such folder; a probe is at work in it; shards are broken, or of several keys (nothing
            is touched then); the disk is full or read-only (what is not joined yet stays as it is).
    """
    points = Path(points)
    if not points.is_dir():
        raise UserError(f"there is no folder {points}; give that of a table's files, such as tables/NAME/points")
    with lock.alone(points, say):
        restore(points)
        work = {where: runs for where in sorted(points.glob("model=*/attack=*")) if (runs := _runs(where))}
        for model, folders in itertools.groupby(work, lambda where: named(where)[0]):
            counts = [_join(points, where, work[where]) for where in folders]
            before, after = map(sum, zip(*counts, strict=True))
            say(f"{model}: {before} files joined into {after}")
    if not work:
        say(f"nothing to join in {points}")


def recover(points: Path) -> None:
    """Put a folder in order where `compact` was killed; at once, if there is nothing to do.

    Where somebody is at work in it, or it cannot be written, it stays as it is. Not to be called while this
    process holds locks in the folder (`lock.at_work`): they would be given back.
    """
    if (points / HIDDEN).exists():
        with suppress(UserError), lock.alone(points, lambda line: None):
            restore(points)


def restore(points: Path) -> None:
    """Put a folder in order, by somebody who is alone at work in it.

    Raises:
        UserError: something lies in its way.
    """
    hidden = points / HIDDEN
    try:
        for old in hidden.glob("old/model=*/attack=*"):
            home = points / old.relative_to(hidden / "old")
            if not home.exists():
                os.rename(old, home)
                sync(home.parent)
            elif (hidden / "new" / old.relative_to(hidden / "old")).exists():
                raise UserError(f"{home} was measured anew while its files lay in {old}; move one of them away")
        if hidden.exists():
            shutil.rmtree(hidden)
    except OSError as error:
        raise UserError(f"cannot clear {hidden} ({first_line(error)}); all rows are there; run it again") from error


@contextmanager
def replaced(where: Path, points: Path, doing: str) -> Iterator[Path]:
    """A folder that is to be built; behind the block it takes the place of another one, which is deleted.

    Raises:
        UserError: the disk is full or read-only; then all stays.
    """
    new, old = (points / HIDDEN / side / where.relative_to(points) for side in ("new", "old"))
    try:
        yield new
        sync(new)
        swap(new, where, old)
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"cannot {doing} ({first_line(error)}); no row is lost: "
            "make room, or make the folder writable, and run it again"
        ) from error
    finally:
        restore(points)


def _runs(where: Path) -> list[Run]:
    """The shards of a folder, those together that will be one file; empty if each stays alone."""
    found = parts(where)
    if len(found) < 2:
        return []
    check_one_key(where, found)
    runs: list[Run] = []
    position = -1
    for part in found:
        about = check_whole(part)
        if part.start <= position and all(about.get(name) == runs[-1][-1][1].get(name) for name in SAME):
            runs[-1].append((part, about))
        else:
            runs.append([(part, about)])
        position = max(position, part.stop)
    return runs if len(runs) < len(found) else []


def _join(points: Path, where: Path, runs: list[Run]) -> tuple[int, int]:
    """How many files a folder had, and has."""
    with replaced(where, points, f"join the files of {where}") as new:
        _build(where, new, [run for run in runs if len(run) > 1])
    return sum(map(len, runs)), len(runs)


def _build(where: Path, new: Path, runs: list[Run]) -> None:
    """A folder with joined files, and with all else that the table's has."""
    made = [_joined(run, new) for run in runs]
    gone = {part.path.name for run in runs for part, _ in run}
    for run, joined in zip(runs, made, strict=True):
        if _has_images(run):
            gone |= {part.images.name for part in (joined, *(part for part, _ in run))}
        if joined.path.name not in gone and (where / joined.path.name).exists():
            raise UserError(f"{where / joined.path.name} holds images of other files there; move it out of the folder")
    shutil.copytree(where, new, symlinks=True, ignore=lambda *_: gone, copy_function=link)
    for run, joined in zip(runs, made, strict=True):
        rows = pa.concat_tables(rows_of(part, had) for part, had in _had(run))
        pq.write_table(described(rows, _about(run, rows.num_rows)), joined.path, write_page_checksum=True)
        check_whole(joined)
        sync(joined.path)
        if _has_images(run):
            _join_images(run, joined)
            sync(joined.images)


def _joined(run: Run, new: Path) -> Part:
    """The file that a run becomes."""
    key, start, stop = run[0][0].key, run[0][0].start, max(part.stop for part, _ in run)
    return Part(new / f"part-{key}-{start}-{stop}.parquet", key, start, stop)


def _had(run: Run) -> Iterator[tuple[Part, int]]:
    """Each shard, and how many of its images those before it have."""
    position = run[0][0].start
    for part, _ in run:
        yield part, position - part.start
        position = max(position, part.stop)


def rows_of(part: Part, had: int = 0) -> pa.Table:
    """A shard's rows, without those of its first images.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with pq.ParquetFile(part.path) as file:
            rows = file.read()
    except (OSError, pa.ArrowException) as error:
        raise broken(part.path, error) from error
    if had:
        rows = rows.filter(pc.is_in(rows["sample"], rows["sample"].unique()[had:]))
    return rows


def _about(run: Run, rows: int) -> dict[str, Any]:
    """Provenance of a joined file: that of the first, and who measured which images."""
    records = [about for _, about in run]
    joined: list[dict] = []
    for part, about in run:
        alone = {"start": part.start, "stop": part.stop} | {name: about[name] for name in OWN if name in about}
        joined += about.get("joined", [alone])
    return records[0] | {
        "images": max(about["images"] for about in records),
        "rows": rows,
        "seconds": round(sum(about.get("seconds", 0.0) for about in records), 3),
        "kept": [name for name in records[0].get("kept", []) if name != "keep_images" or _has_images(run)],
        "joined": joined,
    }


def _has_images(run: Run) -> bool:
    return all("keep_images" in about.get("kept", ()) and part.images.exists() for part, about in run)


def _join_images(run: Run, joined: Part) -> None:
    """Written piece by piece, as all may not fit into memory; level 6 is five times slower and no smaller."""
    with (
        zipfile.ZipFile(joined.images, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("images.npy", "w", force_zip64=True) as file,
    ):
        for part, had in _had(run):
            images = images_of(part)
            if part is run[0][0]:
                header = np.lib.format.header_data_from_array_1_0(images)
                shape = (joined.stop - joined.start, *images.shape[1:])
                np.lib.format.write_array_header_1_0(file, header | {"shape": shape, "fortran_order": False})
            file.write(images[had:].tobytes())


def images_of(part: Part) -> np.ndarray:
    """The images kept beside a shard.

    Raises:
        UserError: they cannot be read, or are not those of its name.
    """
    try:
        with part.images.open("rb") as file, np.load(file) as archive:
            images = archive["images"]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise broken(part.images, error) from error
    if len(images) != part.stop - part.start:
        raise UserError(f"{part.images} does not hold what its name says; delete it and measure it again")
    return images
