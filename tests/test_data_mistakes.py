"""Images and labels that cannot be used are told in one line."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from energylens import data
from energylens.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def encoded() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    return buffer.getvalue()


def broken(tmp_path, content: bytes):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    return path


def save(tmp_path, **arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    return tmp_path / "x.npz"


FLOATS = np.zeros((2, 1, 4, 4))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda tmp: "cifar1",
            "unknown data set 'cifar1'; did you mean 'cifar10'? available: digits, cifar10, cifar100",
        ),
        (
            lambda tmp: "digits:tset",
            "unknown split of digits 'tset'; did you mean 'test'? available: train, test",
        ),
        (lambda tmp: "digits:val", "unknown split of digits 'val'"),
        (lambda tmp: f"{tmp}/no.npz", "no data at"),
        (lambda tmp: broken(tmp, b"PK\x03\x04 cut"), "cannot be read as .npz"),
        (lambda tmp: broken(tmp, b""), "cannot be read as .npz"),
        (lambda tmp: save(tmp, x=FLOATS), "has x; wanted one of images, image, img"),
        (lambda tmp: save(tmp, images=FLOATS - 0.1, labels=[0, 1]), "lie in [-0.1, -0.1], not in [0, 1]"),
        (lambda tmp: save(tmp, images=FLOATS + 1.5, labels=[0, 1]), "lie in [1.5, 1.5], not in [0, 1]"),
        (lambda tmp: save(tmp, images=FLOATS * np.nan, labels=[0, 1]), "not in [0, 1]"),
        (lambda tmp: save(tmp, images=FLOATS, labels=[0, -1]), "labels of x.npz go from -1 to 0; give class indices"),
        (lambda tmp: save(tmp, images=FLOATS, labels=[0, 0.5]), "labels of x.npz are not whole numbers"),
        (
            lambda tmp: save(tmp, images=FLOATS, labels=[0]),
            "images and labels of shape (2, 1, 4, 4) and (1,)",
        ),
        (
            lambda tmp: save(tmp, images=FLOATS, labels=np.array(["a", "b"])),
            "labels of x.npz are not whole numbers",
        ),
        (lambda tmp: save(tmp, images=FLOATS, labels=[0, np.inf]), "labels of x.npz are not whole numbers"),
        (lambda tmp: save(tmp, images=FLOATS, labels=[0, 1j]), "labels of x.npz are not whole numbers"),
        (lambda tmp: f"{save(tmp, images=FLOATS, labels=[0, 1])}:train", "has no splits; leave out ':train'"),
        (lambda tmp: str(tmp), "no image folder at"),
    ],
)
def test_mistakes_are_named(tmp_path, make, text):
    with pytest.raises(UserError) as error:
        data.load(str(make(tmp_path)), data_dir=tmp_path)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint64, np.int32, np.float32])
def test_labels_of_any_numeric_kind_are_read(tmp_path, kind):
    found = data.load(str(save(tmp_path, images=FLOATS, labels=np.array([0, 1], kind))))
    assert found.labels.tolist() == [0, 1]
    assert found.labels.dtype == torch.int64


def test_splits_are_not_taken_for_classes(tmp_path):
    for split in ("train", "val"):
        (tmp_path / split / "cat").mkdir(parents=True)
        (tmp_path / split / "cat" / "1.png").write_bytes(encoded())
    with pytest.raises(UserError, match=r"no test/ in .* it has train, val: write"):
        data.load(str(tmp_path))
    assert len(data.load(f"{tmp_path}:train")) == 1


def test_an_image_that_is_broken_inside_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    whole = encoded()
    cell = {"bytes": whole[:60] + b"xxxx" + whole[64:]}
    pd.DataFrame({"img": [cell], "label": [0]}).to_parquet(tmp_path / "a" / "test-0.parquet")
    with pytest.raises(UserError, match=r"an image in .* cannot be decoded"):
        data.load(f"{tmp_path}/a")


def test_truncated_parquet_and_undecodable_images_are_named(tmp_path):
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "test-0.parquet"
    pd.DataFrame({"img": [{"bytes": encoded()}] * 6, "label": range(6)}).to_parquet(file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"cannot be read as parquet .* is it whole\?"):
        data.load(f"{tmp_path}/a")
    (tmp_path / "b").mkdir()
    pd.DataFrame({"img": [{"bytes": b"no image"}], "label": [0]}).to_parquet(tmp_path / "b" / "test-0.parquet")
    with pytest.raises(UserError, match=r"an image in .* cannot be decoded"):
        data.load(f"{tmp_path}/b")


def test_too_many_samples_says_how_many_there_are(npz):
    with pytest.raises(UserError, match=r"--samples 13: toy\.npz:test has 12 images; ask for 1 to 12"):
        data.load(str(npz), samples=13)
    with pytest.raises(UserError, match="ask for 1 to 12"):
        data.load(str(npz), samples=0)


def test_a_set_that_cannot_be_downloaded_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")
    with pytest.raises(UserError) as error:
        data.load("cifar100:train", data_dir=tmp_path)
    for part in (
        str(tmp_path),
        "could not be downloaded",
        "cifar-100-python/",
        "cifar100/train-*.parquet",
        "--data-dir",
    ):
        assert part in str(error.value)
