"""Joined shards hold the same rows and images, and say so; a probe goes on from them."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from joining import content, join, kept, names, no_exchange
from made_shards import EVERYTHING, KEY, images, read, write
from probing import files

from energylens import measure, swap, table
from energylens.options import Keep, Place


@pytest.mark.parametrize("exchange", [swap.exchange, no_exchange])
@pytest.mark.parametrize("steps", [None, 3])
def test_the_joined_file_holds_the_sorted_rows_in_every_column(tmp_path, monkeypatch, exchange, steps):
    monkeypatch.setattr(swap, "exchange", exchange)
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


def test_images_without_their_shard_are_no_part_of_a_joined_one(tmp_path):
    """Left where a shard was deleted, and measured again in smaller ones."""
    write(tmp_path, start=0, stop=6, kept=EVERYTHING).unlink()
    where = table.folder(tmp_path, "m", "pgd")
    (where / f"_images-{KEY}-0-6.npz").write_bytes(b"of old")
    for start in (0, 3):
        write(tmp_path, start=start, stop=start + 3)
    join(tmp_path)
    assert (where / f"_images-{KEY}-0-6.npz").read_bytes() == b"of old"
    shutil.rmtree(where)
    where.mkdir()
    (where / f"_images-{KEY}-0-6.npz").write_bytes(b"of old")
    for start in (0, 3):
        write(tmp_path, start=start, stop=start + 3, kept=EVERYTHING)
    join(tmp_path)
    np.testing.assert_array_equal(kept(where / f"_images-{KEY}-0-6.npz"), images(0, 6))
    assert names(where) == [f"_images-{KEY}-0-6.npz", f"part-{KEY}-0-6.parquet"]


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
