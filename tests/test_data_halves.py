"""Sets of which a part is there: never read as if they were whole, and what lacks is named."""

import numpy as np
import pandas as pd
import pytest
from made_sets import encoded

from energylens import data
from energylens.errors import Note, UserError


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")


def parquet(folder, *names: str):
    """One image a file; its label is the file's place among them."""
    folder.mkdir(exist_ok=True)
    cell = {"bytes": encoded(np.zeros((32, 32, 3), np.uint8)), "path": None}
    for label, name in enumerate(names):
        pd.DataFrame({"img": [cell], "label": [label], "fine_label": [label]}).to_parquet(folder / f"{name}.parquet")


def test_what_is_whole_is_read_and_what_is_half_there_is_named(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"")
    (tmp_path / "cifar10").mkdir()
    table = pd.DataFrame({"img": [{"bytes": encoded(np.zeros((32, 32, 3), np.uint8)), "path": None}], "label": [1]})
    table.to_parquet(tmp_path / "cifar10" / "test-00000-of-00001.parquet")
    with pytest.warns(Note, match=r"cifar-10-batches-py/ .* lacks batches.meta; cifar10/\*.parquet .* is read instead"):
        assert data.load("cifar10", data_dir=tmp_path).labels.tolist() == [1]
    (tmp_path / "cifar10" / "test-00000-of-00001.parquet").rename(tmp_path / "cifar10" / "test-00000-of-00002.parquet")
    with pytest.raises(UserError, match="is missing and could not be downloaded"):
        data.load("cifar10", data_dir=tmp_path)


HASH = "-70d52db3c749a935"


@pytest.mark.parametrize("end", ["", HASH])
def test_parquet_files_are_read_when_all_of_them_are_there(tmp_path, end):
    names = [f"train-{part:05d}-of-00003{end}" for part in range(3)]
    parquet(tmp_path / "cifar100", *names)
    assert data.load("cifar100:train", data_dir=tmp_path).labels.tolist() == [0, 1, 2]
    (tmp_path / "cifar100" / f"{names[1]}.parquet").unlink()
    lacks = r"cifar100/\*.parquet \(Hugging Face\) lacks train-00001-of-00003.parquet; cifar100:train is missing"
    with pytest.raises(UserError, match=lacks):
        data.load("cifar100:train", data_dir=tmp_path)
    with pytest.raises(
        UserError, match=r"cifar100 lacks train-00001-of-00003.parquet; add it, or give the files other"
    ):
        data.load(f"{tmp_path}/cifar100:train")


@pytest.mark.parametrize(
    ("names", "lacks"),
    [
        (("train-00002-of-00004",), "train-00000-of-00004.parquet and 2 more"),
        (("train-00000-of-00001", "train-00000-of-00002"), "a single version of train-*.parquet"),
        (("train-00000-of-00002", f"train-00000-of-00002{HASH}"), "a single version of train-*.parquet"),
        (("train-00000-of-00001", "train-mine"), "a single version of train-*.parquet"),
        (("train-00000-of-00001", "train-00001-of-00001"), "a single version of train-*.parquet"),
    ],
)
def test_what_parquet_files_lack_is_named(tmp_path, names, lacks):
    parquet(tmp_path / "cifar10", *names)
    with pytest.raises(UserError) as error:
        data.load("cifar10:train", data_dir=tmp_path)
    assert f"{tmp_path}/cifar10/*.parquet (Hugging Face) lacks {lacks}" in str(error.value)
    assert "cifar10:train is missing and could not be downloaded" in str(error.value)


def test_a_torchvision_folder_without_its_test_batch_is_named(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [*(f"data_batch_{part}" for part in range(1, 6)), "batches.meta"]:
        (folder / name).write_bytes(b"")
    with pytest.raises(
        UserError,
        match=r"lacks test_batch \(torchvision wants the files of both splits\); cifar10:train is missing",
    ):
        data.load("cifar10:train", data_dir=tmp_path)
    (folder / "data_batch_2").rename(folder / "test_batch")
    with pytest.raises(UserError, match=r"lacks data_batch_2 \(torchvision wants the files of both splits\)"):
        data.load("cifar10:test", data_dir=tmp_path)
    with pytest.raises(UserError, match="lacks data_batch_2; cifar10:train is missing"):
        data.load("cifar10:train", data_dir=tmp_path)
    (tmp_path / "tiny-imagenet-200" / "train").mkdir(parents=True)
    with pytest.raises(UserError, match="tiny-imagenet-200 lacks val; tiny-imagenet:val is missing"):
        data.load("tiny-imagenet", data_dir=tmp_path)
