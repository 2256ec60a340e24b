"""A disk that is full, or read-only: one line, whole shards stay, and nothing half-written."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from folders import check_equal, check_whole, hidden, points, stats
from killing import COMMAND, EVERYTHING, RECIPE, Child, clean, typed

from energylens import atomic, estimate, measure, table
from energylens.aside import Move
from energylens.errors import UserError
from energylens.options import Place
from energylens.tidy import tidy

FULL = (
    r"error: cannot write (\S+) \(OSError: .*No space left on device.*\); "
    r"make room, or choose another folder with --tables\n"
)
READ_ONLY = r"{} is no folder that can be written; choose another one with --tables"


@pytest.fixture
def disk(tmp_path):
    """A small disk of one's own; `disk("size=64k")` mounts it, or changes what it is."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        how = f"remount,{options}" if os.path.ismount(folder) else options
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a disk of one's own needs the right to mount ({done.stderr.strip()})")
        return folder

    yield mount
    if os.path.ismount(folder):
        subprocess.run(["umount", "-l", folder], check=True)


def typed_there(tables: Path, *more: str) -> tuple[int | None, str, str]:
    """Exit code, output and errors of the command that measures RECIPE."""
    out, err = tables.with_name("out"), tables.with_name("err")
    process = typed([*COMMAND, "100", "--tables", tables, *more], out, err)
    process.join(60)
    return process.exitcode, out.read_text(), err.read_text()


@pytest.mark.parametrize(
    ("sizes", "enough"),
    [
        pytest.param([f"size={size}k" for size in range(104, 136, 8)], "size=16m", marks=pytest.mark.slow),
        ([f"nr_inodes={count}" for count in (5, 7, 20)], "nr_inodes=1000"),
    ],
    ids=["room", "files"],
)
def test_a_full_disk_stops_with_one_line_and_the_same_command_goes_on(disk, tmp_path_factory, sizes, enough):
    """It grows by a page, or by a file, at a time: so it is full at the images as well as at the rows."""
    named, before = set(), {}
    for size in sizes:
        tables = disk(size)
        code, _, err = typed_there(tables)
        told = re.fullmatch(FULL, err)
        assert (code, told is not None) == (2, True), err
        named.add(Path(told[1]).name.split("-")[0])
        assert not hidden(tables)
        check_whole(tables)
        assert before.items() <= stats(tables).items()
        before = stats(tables)
    assert named == {"_images", "part"}
    assert 0 < len(before) < 24
    assert typed_there(disk(enough))[0] == 0
    assert before.items() <= stats(tables).items()
    check_equal(tables, clean(tmp_path_factory).tables)


def test_a_read_only_disk_is_refused_before_any_work_and_can_be_read(disk, capsys):
    tables = disk("size=16m")
    Child(tables, RECIPE.override(samples=50), EVERYTHING).go().end()
    before = stats(tables)
    disk("ro")
    code, _, err = typed_there(tables)
    assert (code, err) == (2, f"error: {READ_ONLY.format(points(tables))}\n")
    for place in (Place(tables=tables), Place(tables=tables / "new")):
        begun = []
        with pytest.raises(UserError, match=READ_ONLY.format(f"{tables}.*")):
            measure.run(RECIPE, "test", place, show=begun.append)
        assert not begun
    check_whole(tables)
    found = table.open(points(tables), ["sat", "standard-6"], ["pgd-eps0.2"], samples=50)
    assert len(found) == 200
    code, out, err = typed_there(tables, "--dry-run")
    assert (code, err) == (0, "")
    assert re.search(r"missing: 12 shards, 300 rows; about .*", out)
    estimate.show(RECIPE, "test", Place(tables=tables, shard=25), EVERYTHING)
    assert "missing: 12 shards, 300 rows" in capsys.readouterr().out
    assert stats(tables) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the read-only disk stands for it")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir(mode=0o555)
    with pytest.raises(UserError, match=READ_ONLY.format(tables)):
        measure.run(RECIPE, "test", Place(tables=tables))
    assert not list(tables.iterdir())


def test_a_folder_and_those_above_it_are_made_to_last(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(Path(os.readlink(f"/proc/self/fd/{opened}"))))
    atomic.make(tmp_path / "a" / "b")
    atomic.make(tmp_path / "a" / "b" / "c")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    tidy([Move(tmp_path / "a" / "b", tmp_path / "new" / "b", "moved")], tmp_path, alone=True, say=synced.append)
    assert synced[3:] == [tmp_path, tmp_path / "new", tmp_path / "a", "moved"]
