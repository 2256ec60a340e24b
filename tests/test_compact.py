"""Joined shards hold the same rows, and whatever happens while they are joined, each row is there once."""

import errno
import os
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from joining import arm, at_work, killed, no_exchange
from made_shards import KEY, images, read, write
from probing import files

from energylens import compact, measure, table
from energylens.errors import UserError
from energylens.options import Keep, Place

EVERYTHING = ["keep_logits", "keep_images"]


def join(points: Path) -> list[str]:
    """What it says."""
    said: list[str] = []
    compact.compact(points, said.append)
    return said


def names(where: Path) -> list[str]:
    return sorted(path.name for path in where.iterdir())


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "_lock"}


def kept(path: Path) -> np.ndarray:
    with np.load(path) as archive:
        assert archive.files == ["images"]
        return archive["images"]


@pytest.fixture(params=["exchange", "two renames"])
def swap(request, monkeypatch, tmp_path_factory) -> str:
    """Both ways in which folders change places; the second is that of systems without the first."""
    if request.param == "two renames":
        monkeypatch.setattr(compact, "_exchange", no_exchange)
    elif not compact._exchange(tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")):
        pytest.skip("this file system has no RENAME_EXCHANGE")
    return request.param


@pytest.mark.parametrize("steps", [None, 3])
def test_the_joined_file_holds_the_sorted_rows_in_every_column(tmp_path, swap, steps):
    ranges = [(0, 7), (7, 11), (11, 12), (12, 40)]
    settings = {"images": 40, "steps": steps, "kept": ["keep_logits"]}
    paths = [write(tmp_path, "DM (2)", "pgd", start, stop, **settings) for start, stop in reversed(ranges)]
    rows = pd.concat([pd.read_parquet(path, partitioning=None) for path in reversed(paths)], ignore_index=True)
    before = read(tmp_path)
    assert join(tmp_path) == ["DM (2): 4 files joined into 1"]
    where = table.folder(tmp_path, "DM (2)", "pgd")
    assert names(where) == [f"part-{KEY}-0-40.parquet"]
    joined = pq.read_table(where / f"part-{KEY}-0-40.parquet", partitioning=None)
    assert joined.schema.equals(table.STEPS if steps else table.SCHEMA)
    pd.testing.assert_frame_equal(joined.to_pandas(), rows)
    pd.testing.assert_frame_equal(read(tmp_path), before)
    assert names(tmp_path) == ["_lock", "model=DM (2)"]


def test_a_hole_parts_two_files_and_a_second_time_does_nothing(tmp_path):
    for attack in ("natural", "pgd"):
        for start in (0, 2, 6, 8):
            write(tmp_path, "m", attack, start, start + 2)
    write(tmp_path, "n", "natural", 0, 5)
    alone = files_of(tmp_path / "model=n")
    assert join(tmp_path) == ["m: 8 files joined into 4"]
    for attack in ("natural", "pgd"):
        where = table.folder(tmp_path, "m", attack)
        assert names(where) == [f"part-{KEY}-0-4.parquet", f"part-{KEY}-6-10.parquet"]
    assert files_of(tmp_path / "model=n") == alone
    before = files_of(tmp_path)
    assert join(tmp_path) == [f"nothing to join in {tmp_path}"]
    assert files_of(tmp_path) == before


def files_of(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*.parquet")}


def test_provenance_tells_of_all_that_were_joined(tmp_path):
    write(tmp_path, start=0, stop=3, images=3, seconds=1.5)
    write(tmp_path, start=3, stop=5, images=9, seconds=2.25, batch=64, software={"device": "cuda:1"})
    join(tmp_path)
    write(tmp_path, start=5, stop=6, images=6, software={"device": "mps"})
    join(tmp_path)
    (part,) = table.parts(table.folder(tmp_path, "m", "pgd"))
    assert table.check_whole(part) == {
        "key": KEY, "data": "x:test", "model_ref": "nets.py:m", "decisive": {}, "kept": [],
        "batch": 128, "software": {"device": "cpu"}, "images": 9, "rows": 6, "seconds": 5.75,
        "joined": [
            {"start": 0, "stop": 3, "batch": 128, "seconds": 1.5, "software": {"device": "cpu"}},
            {"start": 3, "stop": 5, "batch": 64, "seconds": 2.25, "software": {"device": "cuda:1"}},
            {"start": 5, "stop": 6, "batch": 128, "seconds": 2.0, "software": {"device": "mps"}},
        ],
    }  # fmt: skip


@pytest.mark.parametrize("steps", [None, 2])
def test_images_that_stand_in_several_shards_are_joined_once(tmp_path, steps):
    for start, stop in ((0, 4), (2, 3), (2, 7), (0, 2), (6, 9)):
        write(tmp_path, start=start, stop=stop, steps=steps, kept=EVERYTHING)
    join(tmp_path)
    where = table.folder(tmp_path, "m", "pgd")
    assert names(where) == [f"_images-{KEY}-0-9.npz", f"part-{KEY}-0-9.parquet"]
    rows = pd.read_parquet(where)
    assert rows["sample"].tolist() == [number for number in range(9) for _ in range(steps or 1)]
    np.testing.assert_array_equal(kept(where / f"_images-{KEY}-0-9.npz"), images(0, 9))


def test_kept_images_stay_where_some_are_gone(tmp_path):
    """What the joined file says of itself is what it has."""
    for start in (0, 3, 6):
        write(tmp_path, start=start, stop=start + 3, kept=EVERYTHING)
    where = table.folder(tmp_path, "m", "pgd")
    (where / f"_images-{KEY}-3-6.npz").unlink()
    join(tmp_path)
    assert names(where) == [f"_images-{KEY}-0-3.npz", f"_images-{KEY}-6-9.npz", f"part-{KEY}-0-9.parquet"]
    np.testing.assert_array_equal(kept(where / f"_images-{KEY}-6-9.npz"), images(6, 9))
    assert table.provenance(where / f"part-{KEY}-0-9.parquet")["kept"] == ["keep_logits"]


@pytest.mark.parametrize("differs", [{"kept": EVERYTHING}, {"model_ref": "other.py:m"}, {"data": "y:test"}])
def test_shards_that_do_not_say_the_same_stay_apart(tmp_path, differs):
    """Joined, their file would have rows of which its provenance is not true."""
    for start, more in enumerate(({}, {}, differs, differs, {})):
        write(tmp_path, start=start, stop=start + 1, **more)
    before = read(tmp_path)
    assert join(tmp_path) == ["m: 5 files joined into 3"]
    parts = table.parts(table.folder(tmp_path, "m", "pgd"))
    assert [(part.start, part.stop) for part in parts] == [(0, 2), (2, 4), (4, 5)]
    assert [part.images.exists() for part in parts] == [False, "kept" in differs, False]
    pd.testing.assert_frame_equal(read(tmp_path), before)


@pytest.mark.parametrize("links", [True, False])
def test_what_else_lies_in_the_folders_stays(tmp_path, monkeypatch, links):
    def refuse(*args):
        raise OSError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    for start in (0, 2, 6):
        write(tmp_path, start=start, stop=start + 2, kept=EVERYTHING)
    where = table.folder(tmp_path, "m", "pgd")
    (where / "notes").mkdir()
    for name in ("notes/why.txt", ".hidden", "_mine.npz"):
        (where / name).write_text(name)
    (where / "_link").symlink_to("nowhere")
    single = content(where)[where / f"part-{KEY}-6-8.parquet"]
    join(tmp_path)
    assert names(where) == [
        ".hidden", f"_images-{KEY}-0-4.npz", f"_images-{KEY}-6-8.npz", "_link", "_mine.npz", "notes",
        f"part-{KEY}-0-4.parquet", f"part-{KEY}-6-8.parquet",
    ]  # fmt: skip
    assert (where / "notes/why.txt").read_text() == "notes/why.txt"
    assert (where / f"part-{KEY}-6-8.parquet").read_bytes() == single
    assert os.readlink(where / "_link") == "nowhere"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def other_name(path: Path) -> None:
    path.rename(path.with_name(f"part-{KEY}-3-6.parquet"))


def other_key(path: Path) -> None:
    path.unlink()
    write(path.parent.parent.parent, "z", "pgd", 3, 5, key="ffffffff")


def not_ours(path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(path)


def spoil_rows(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(600) + content[604:])


def spoil_images(path: Path) -> None:
    path.with_name(f"_images-{KEY}-3-5.npz").write_bytes(b"PK cut")


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (cut, r"part-0123abcd-3-5.parquet cannot be read .*; delete it and measure it again"),
        (other_name, "does not hold what its name says; delete it and measure it again"),
        (other_key, "attack=pgd holds shards of several keys; probe it again"),
        (not_ours, "is no energy table of ours; move it out of the folder"),
        (spoil_rows, r"part-0123abcd-3-5.parquet cannot be read .*; delete it and measure it again"),
        (spoil_images, r"_images-0123abcd-3-5.npz cannot be read .*; delete it and measure it again"),
    ],
)
def test_what_is_broken_is_told_and_left_as_it_is(tmp_path, spoil, line):
    for start, stop in ((0, 3), (3, 5)):
        path = write(tmp_path, "z", "pgd", start, stop, kept=EVERYTHING)
    spoil(path)
    before = content(tmp_path)
    with pytest.raises(UserError, match=line) as told:
        join(tmp_path)
    assert "\n" not in str(told.value)
    assert content(tmp_path) == before
    assert names(tmp_path) == ["_lock", "model=z"]


def test_nothing_is_joined_where_one_folder_is_broken(tmp_path):
    for model in "az":
        for start in (0, 1):
            path = write(tmp_path, model, "pgd", start, start + 1)
    cut(path)
    before = content(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        join(tmp_path)
    assert content(tmp_path) == before


def test_it_waits_for_no_probe_and_makes_no_folder(tmp_path):
    for start in (0, 2):
        write(tmp_path, start=start, stop=start + 2)
    before = content(tmp_path)
    with at_work(tmp_path), pytest.raises(UserError, match="a probe is at work in"):
        join(tmp_path)
    assert content(tmp_path) == before
    with pytest.raises(UserError, match=r"there is no folder .*none; give that of a table's files"):
        join(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def fill(points: Path) -> pd.DataFrame:
    """Two folders to be joined, with images and without; what plain pandas reads."""
    for start in (0, 3):
        write(points, "a", "natural", start, start + 3, images=6, kept=EVERYTHING)
        write(points, "a", "pgd", start, start + 3, images=6)
    return read(points)


def check_joined(points: Path, before: pd.DataFrame) -> None:
    """All rows once, in two files, with all images, and nothing else."""
    assert names(points) == ["_lock", "model=a"]
    assert names(points / "model=a") == ["attack=natural", "attack=pgd"]
    natural, pgd = (table.folder(points, "a", attack) for attack in ("natural", "pgd"))
    assert names(natural) == [f"_images-{KEY}-0-6.npz", f"part-{KEY}-0-6.parquet"]
    assert names(pgd) == [f"part-{KEY}-0-6.parquet"]
    pd.testing.assert_frame_equal(read(points), before)
    np.testing.assert_array_equal(kept(natural / f"_images-{KEY}-0-6.npz"), images(0, 6))


def check_whole(points: Path, before: pd.DataFrame) -> None:
    """`table.open` sees all rows, and then plain pandas does; each shard that should has its images."""
    opened = table.open(points).astype({"model": str, "attack": str})
    pd.testing.assert_frame_equal(opened, before)
    pd.testing.assert_frame_equal(read(points), before)
    for part in table.parts(table.folder(points, "a", "natural")):
        np.testing.assert_array_equal(kept(part.images), images(part.start, part.stop))


def check_no_row_twice(points: Path, before: pd.DataFrame) -> bool:
    """For plain pandas; whether it sees all rows."""
    found = read(points)
    rows = before.merge(found[["model", "attack", "sample"]])
    pd.testing.assert_frame_equal(found, rows)
    return len(rows) == len(before)


def test_killed_at_any_moment_no_row_is_lost_or_doubled(tmp_path, swap):
    before = fill(tmp_path / "0")
    *deaths, end = killed(tmp_path, swap)
    seen = []
    for points in deaths:
        seen.append(check_no_row_twice(points, before))
        check_whole(shutil.copytree(points, tmp_path / f"{points.name}-opened"), before)
        join(points)
        check_joined(points, before)
    check_joined(end, before)
    assert len(deaths) > 40
    assert all(seen) == (swap == "exchange")


def test_a_disk_that_fails_at_any_moment_costs_no_row(tmp_path, swap, monkeypatch):
    """It stays full, or read-only, from that moment on. Some of these failures are overcome."""
    number = errno.ENOSPC if swap == "exchange" else errno.EROFS
    before, told = fill(tmp_path / "0"), []
    for first in count(1):
        points, calls = shutil.copytree(tmp_path / "0", tmp_path / str(first)), []

        def fail(call, first=first, calls=calls):
            calls.append(call)
            if call >= first:
                raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched:
            arm(fail, patched.setattr)
            try:
                join(points)
            except UserError as error:
                told.append(str(error))
        assert check_no_row_twice(points, before) or swap == "two renames"
        check_whole(points, before)
        join(points)
        check_joined(points, before)
        if len(calls) < first:
            break
    assert len(told) > 40
    assert all(os.strerror(number) in line for line in told)


def test_a_power_cut_finds_the_new_files_before_the_old_ones_go(tmp_path, monkeypatch):
    """Synced before the folders change places: files and folder; and their new names before anything is deleted."""
    for start in (0, 3):
        write(tmp_path, start=start, stop=start + 3, kept=EVERYTHING)
    events = []

    def note(owner, name, of=lambda *args: ()):
        real = getattr(owner, name)

        def noted(*args, **more):
            events.append((name, *of(*args)))
            return real(*args, **more)

        monkeypatch.setattr(owner, name, noted)

    note(os, "fsync", lambda opened: [os.fstat(opened).st_ino])
    note(compact, "_exchange")
    note(os, "unlink")
    join(tmp_path)
    where = table.folder(tmp_path, "m", "pgd")
    swapped, deleted = events.index(("_exchange",)), events.index(("unlink",))
    assert {("fsync", path.stat().st_ino) for path in (where, *where.iterdir())} <= set(events[:swapped])
    assert ("fsync", where.parent.stat().st_ino) in events[swapped:deleted]


def test_a_folder_in_order_is_not_touched_by_recovery(tmp_path):
    fill(tmp_path)
    compact.recover(tmp_path)
    assert names(tmp_path) == ["model=a"]


def test_recovery_leaves_a_folder_to_those_who_are_at_work(tmp_path):
    fill(tmp_path)
    (tmp_path / compact.HIDDEN / "new").mkdir(parents=True)
    with at_work(tmp_path):
        compact.recover(tmp_path)
        assert (tmp_path / compact.HIDDEN).exists()
        table.open(tmp_path)
    compact.recover(tmp_path)
    assert not (tmp_path / compact.HIDDEN).exists()


def test_a_probe_measures_nothing_again_and_then_only_the_rest(toy, tmp_path):
    place, keep = Place(tables=tmp_path / "tables", shard=2), Keep(keep_logits=True, keep_images=True)
    points = tmp_path / "tables" / "test" / "points"
    measure.run(toy, "test", place, keep)
    before, opened = read(points), table.open(points, samples=6)
    assert join(points) == ["toy: 6 files joined into 2"]
    joined = files(tmp_path)
    assert sorted(path.stem.split("-", 2)[2] for path in joined) == ["0-6", "0-6"]
    measure.run(toy, "test", place, keep)
    assert files(tmp_path) == joined
    pd.testing.assert_frame_equal(read(points), before)
    pd.testing.assert_frame_equal(table.open(points, samples=6), opened)
    measure.run(toy.override(samples=9), "test", place, keep)
    grown = files(tmp_path)
    assert {path: grown[path] for path in joined} == joined
    assert sorted(path.stem.split("-", 2)[2] for path in set(grown) - set(joined)) == ["6-8", "6-8", "8-9", "8-9"]
    join(points)
    measure.run(toy.override(samples=9), "fresh", place, keep)
    fresh = tmp_path / "tables" / "fresh" / "points"
    pd.testing.assert_frame_equal(read(points), read(fresh))
    (shard,) = points.glob("model=toy/attack=pgd*/_images-*-0-9.npz")
    parts = sorted(fresh.glob("model=toy/attack=pgd*/_images-*.npz"))
    np.testing.assert_array_equal(kept(shard), np.concatenate([kept(path) for path in parts]))
