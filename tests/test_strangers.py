"""What is nothing of ours in a table is told; what another probe adds at this moment is ours."""

import pytest

from energylens import strangers
from energylens.errors import UserError

SHARD = "part-0123abcd-0-25.parquet"


@pytest.fixture
def where(tmp_path):
    folder = tmp_path / "model=net" / "attack=natural"
    folder.mkdir(parents=True)
    (folder / SHARD).touch()
    return folder


def test_a_shard_that_another_probe_adds_while_we_look(where, tmp_path, monkeypatch):
    """It comes behind the one look at a folder, and before the other."""
    look = strangers.parts

    def slow(folder):
        found = look(folder)
        (folder / SHARD.replace("-0-25", "-25-50")).touch()
        return found

    monkeypatch.setattr(strangers, "parts", slow)
    strangers.check(tmp_path)
    assert len(list(where.iterdir())) == 2


def test_a_foreign_file_beside_a_shard(where, tmp_path):
    strangers.check(tmp_path)
    (where / "notes.txt").touch()
    with pytest.raises(UserError, match=r"notes.txt is nothing of ours"):
        strangers.check(tmp_path)
