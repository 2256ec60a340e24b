"""What cannot be joined is told in one line, and left as it is."""

from pathlib import Path

import pandas as pd
import pytest
from joining import at_work, content, join, names
from made_shards import EVERYTHING, KEY, write

from energylens.errors import UserError


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


def test_a_joined_file_takes_no_other_ones_name(tmp_path):
    """That one is a link to the table's own, until the folders change places."""
    write(tmp_path, start=0, stop=6, kept=EVERYTHING)
    for start in (0, 3):
        write(tmp_path, start=start, stop=start + 3)
    before = content(tmp_path)
    with pytest.raises(UserError, match=r"part-0123abcd-0-6.parquet holds images of other files there; move it out"):
        join(tmp_path)
    assert content(tmp_path) == before
