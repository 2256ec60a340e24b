"""Whatever happens while shards are joined, each row is there once, and so is each kept image."""

import errno
import os
import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joining import arm, at_work, join, kept, killed, names, no_exchange
from made_shards import EVERYTHING, KEY, images, read, write

from energylens import compact, swap, table
from energylens.errors import UserError


@pytest.fixture(params=["exchange", pytest.param("two renames", marks=pytest.mark.slow)])
def how(request, monkeypatch, tmp_path_factory) -> str:
    """Both ways in which folders change places; the second is that of systems without the first."""
    if request.param == "two renames":
        monkeypatch.setattr(swap, "exchange", no_exchange)
    elif not swap.exchange(tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")):
        pytest.skip("this file system has no RENAME_EXCHANGE")
    return request.param


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


def test_killed_at_any_moment_no_row_is_lost_or_doubled(tmp_path, how):
    before = fill(tmp_path / "0")
    *deaths, end = killed(tmp_path, how)
    seen = []
    for points in deaths:
        seen.append(check_no_row_twice(points, before))
        check_whole(shutil.copytree(points, tmp_path / f"{points.name}-opened"), before)
        join(points)
        check_joined(points, before)
    check_joined(end, before)
    assert len(deaths) > 40
    assert all(seen) == (how == "exchange")


def test_a_disk_that_fails_at_any_moment_costs_no_row(tmp_path, how, monkeypatch):
    """It stays full, or read-only, from that moment on. Some of these failures are overcome."""
    number = errno.ENOSPC if how == "exchange" else errno.EROFS
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
        assert check_no_row_twice(points, before) or how == "two renames"
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
    note(swap, "exchange")
    note(os, "unlink")
    join(tmp_path)
    where = table.folder(tmp_path, "m", "pgd")
    swapped, deleted = events.index(("exchange",)), events.index(("unlink",))
    assert {("fsync", path.stat().st_ino) for path in (where, *where.iterdir())} <= set(events[:swapped])
    assert ("fsync", where.parent.stat().st_ino) in events[swapped:deleted]


def test_what_was_measured_anew_in_the_gap_of_a_killed_join_costs_no_old_row(tmp_path, how):
    """Only where two renames are needed, and whoever measured did not put the folder in order first."""
    before = fill(tmp_path / "0")
    for points in killed(tmp_path, how):
        gaps = [attack for attack in ("natural", "pgd") if not table.folder(points, "a", attack).exists()]
        for attack in gaps:
            write(points, "a", attack, 0, 6)
            with pytest.raises(UserError, match=r"attack=.* was measured anew while its files lay in .*_compact/old"):
                join(points)
            shutil.rmtree(table.folder(points, "a", attack))
        join(points)
        pd.testing.assert_frame_equal(read(points), before)


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
