"""Joined files become shards again where something of them is to be measured again."""

import tracemalloc
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joining import arm, join, kept, names, no_exchange
from made_shards import EVERYTHING, KEY, images, read, write
from probing import recipe

from energylens import compact, divide, measure, swap, table
from energylens.attacks import PGD
from energylens.errors import UserError
from energylens.options import Keep, Place

RANGES = ((0, 3), (3, 8), (8, 9))


def fill(points: Path, steps: int | None = None, keep: list[str] = EVERYTHING) -> table.Part:
    """A joined file, beside one that stays alone."""
    for number, (start, stop) in enumerate(RANGES):
        write(points, start=start, stop=stop, steps=steps, kept=keep, seconds=float(number), batch=100 + number)
    join(points)
    write(points, start=20, stop=22, steps=steps, kept=keep)
    return table.parts(table.folder(points, "m", "pgd"))[0]


@pytest.mark.parametrize("steps", [None, 2])
def test_the_shards_are_those_that_were_joined(tmp_path, steps):
    joined = fill(tmp_path, steps)
    before = read(tmp_path)
    divide.divide(joined, tmp_path)
    pd.testing.assert_frame_equal(read(tmp_path), before)
    parts = table.parts(joined.path.parent)
    assert [(part.start, part.stop) for part in parts] == [*RANGES, (20, 22)]
    for number, part in enumerate(parts[:3]):
        about = table.check_whole(part)
        assert (about["seconds"], about["batch"]) == (number, 100 + number)
        assert (about["rows"], "joined" in about) == ((part.stop - part.start) * (steps or 1), False)
        np.testing.assert_array_equal(kept(part.images), images(part.start, part.stop))
    assert len(names(joined.path.parent)) == 8
    assert names(tmp_path) == ["_lock", "model=m"]


def test_what_overlaps_is_of_the_shard_that_its_rows_are_of(tmp_path):
    """A joined file of 0-3 and 3-9 is joined again with 2-5, of which it has all."""
    for number, (start, stop) in enumerate(((0, 3), (3, 9), (2, 5))):
        write(tmp_path, start=start, stop=stop, batch=100 + number)
        if number:
            join(tmp_path)
    (joined,) = table.parts(table.folder(tmp_path, "m", "pgd"))
    divide.divide(joined, tmp_path)
    found = [(part.start, part.stop, table.check_whole(part)["batch"]) for part in table.parts(joined.path.parent)]
    assert found == [(0, 3, 100), (3, 9, 101)]


def test_kept_images_are_never_all_in_memory(tmp_path):
    many, size = table.Part(tmp_path / f"part-{KEY}-0-64.parquet", KEY, 0, 64), 128 * 128 * 4
    np.savez_compressed(many.images, images=np.zeros((64, 1, 128, 128), np.float32))
    made = [(many._replace(start=start, stop=start + 8), {}) for start in range(0, 64, 8)]
    tracemalloc.start()
    assert [len(images) for images in divide._images(many, made)] == [8] * 8
    assert tracemalloc.get_traced_memory()[1] < 32 * size
    tracemalloc.stop()


@pytest.mark.parametrize("held", [8, 10])
def test_images_that_are_not_those_of_the_name_are_named_and_nothing_is_divided(tmp_path, held):
    joined = fill(tmp_path)
    np.savez_compressed(joined.images, images=images(0, held))
    before = names(joined.path.parent)
    with pytest.raises(UserError, match=r"_images-.*-0-9\.npz cannot be read \(.*\d+ images\); delete it and measure"):
        divide.divide(joined, tmp_path)
    assert names(joined.path.parent) == before


def test_images_beside_a_file_that_has_none_stay(tmp_path):
    joined = fill(tmp_path, keep=[])
    joined.images.write_bytes(b"of old")
    divide.divide(joined, tmp_path)
    assert joined.images.read_bytes() == b"of old"


class Gone(BaseException):
    """Stands for a kill: nothing is put in order."""


@pytest.mark.parametrize("exchange", [swap.exchange, no_exchange])
def test_killed_at_any_moment_no_row_is_lost_or_doubled(tmp_path, monkeypatch, exchange):
    monkeypatch.setattr(swap, "exchange", exchange)
    for last in count(1):
        points = tmp_path / str(last)
        joined = fill(points)
        write(points, attack="natural")
        before = read(points)

        def die(call: int, last: int = last) -> None:
            if call >= last:
                raise Gone

        with monkeypatch.context() as patched:
            patched.setattr(compact, "restore", lambda points: None)
            arm(die, patched.setattr)
            try:
                divide.divide(joined, points)
                break
            except Gone:
                pass
        found = read(points)
        assert not found.duplicated(["attack", "sample"]).any()
        assert exchange is no_exchange or len(found) == len(before)
        compact.recover(points)
        pd.testing.assert_frame_equal(read(points), before)
        assert not (points / compact.HIDDEN).exists()
    assert last > 20


def test_what_a_joined_file_lacks_is_measured_shard_by_shard(toy_net, npz, tmp_path):
    wanted = recipe(toy_net(), npz, attacks=(PGD(eps=0.1, steps=2),))
    place, points = Place(tables=tmp_path, shard=2), tmp_path / "test" / "points"
    measure.run(wanted, "test", place)
    join(points)
    joined = [path.name for path in points.rglob("part-*")]
    assert [name[-12:] for name in joined] == ["-0-6.parquet"] * 2
    measure.run(wanted, "test", place, Keep(keep_logits=True))
    measure.run(wanted, "fresh", place, Keep(keep_logits=True))
    fresh = tmp_path / "fresh" / "points"
    assert sorted(path.name for path in points.rglob("part-*")) == sorted(path.name for path in fresh.rglob("part-*"))
    pd.testing.assert_frame_equal(read(points), read(fresh))


def test_nothing_is_divided_beside_another_probe(tmp_path):
    joined = fill(tmp_path)
    with pytest.raises(
        UserError, match=r"another probe is at work in .*, and this one would have to divide .*-0-9.parq"
    ):
        measure._divide([joined], tmp_path, alone=False)
    assert joined.path.exists()
    assert joined.path.name == f"part-{KEY}-0-9.parquet"
