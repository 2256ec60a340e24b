"""Data sets of the field in the layouts in which they are published, read from files that the tests make."""

import hashlib
import io
import pickle
import tarfile
import warnings

import numpy as np
import pandas as pd
import pytest
from made_sets import TINY, encoded, flat, tiny
from scipy.io import savemat

from energylens import data
from energylens.data import cifar, named
from energylens.errors import UserError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")


def test_svhns_official_files_with_the_digit_zero_as_class_zero(tmp_path):
    images = RNG.integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)
    (tmp_path / "svhn").mkdir()
    savemat(tmp_path / "svhn" / "extra_32x32.mat", {"X": images, "y": np.array([[1], [10], [9], [10], [3]], np.uint8)})
    found = data.load("svhn:extra", data_dir=tmp_path)
    assert found.labels.tolist() == [1, 0, 9, 0, 3]
    assert np.array_equal(found.images[1].numpy(), images[:, :, :, 1].transpose(2, 0, 1))


def test_svhns_labels_belong_to_its_images(tmp_path):
    images = np.zeros((32, 32, 3, 5), np.uint8)
    savemat(tmp_path / "test_32x32.mat", {"X": images, "y": np.ones((4, 1), np.uint8)})
    with pytest.raises(UserError, match=r"test_32x32.mat has 5 images and 4 labels; is it whole\?"):
        data.load("svhn", data_dir=tmp_path)
    savemat(tmp_path / "test_32x32.mat", {"X": images[0], "y": np.ones((5, 1), np.uint8)})
    with pytest.raises(UserError, match=r"test_32x32.mat cannot be read as SVHN"):
        data.load("svhn", data_dir=tmp_path)


def test_svhn_from_hugging_face(tmp_path):
    (tmp_path / "svhn" / "cropped_digits").mkdir(parents=True)
    pixels = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    table = pd.DataFrame({"image": [{"bytes": encoded(pixels), "path": None}], "label": [7]})
    table.to_parquet(tmp_path / "svhn" / "cropped_digits" / "test-00000-of-00001.parquet")
    found = data.load("svhn", data_dir=tmp_path)
    assert (found.labels.tolist(), found.split) == ([7], "test")
    assert np.array_equal(found.images[0].numpy(), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("below", [".", "tiny-imagenet"])
def test_tiny_imagenets_official_layout(tmp_path, kind, below):
    (tmp_path / "data").mkdir()
    tiny(tmp_path / "data" / below, kind)
    found = data.load("tiny-imagenet", data_dir=tmp_path / "data")
    assert found.split == "val"
    assert found.labels.tolist() == [1, 2, 0]  # in the order of the images' numbers, classes in alphabetical order
    assert found.images[:, :, 5, 5].tolist() == [[0] * 3, [90] * 3, [100] * 3]
    train = data.load("tiny-imagenet:train", data_dir=tmp_path / "data")
    assert train.labels.tolist() == [0, 0, 2]
    assert train.images[:, 0, 5, 5].tolist() == [12, 20, 31]


def test_tiny_imagenet_from_hugging_face(tmp_path):
    (tmp_path / "tiny-imagenet" / "data").mkdir(parents=True)
    table = pd.DataFrame({"image": [{"bytes": flat(40), "path": None}], "label": [3]})
    table.to_parquet(tmp_path / "tiny-imagenet" / "data" / "valid-00000-of-00001-70d52db3c749a935.parquet")
    found = data.load("tiny-imagenet:val", data_dir=tmp_path)
    assert (found.labels.tolist(), tuple(found.images.shape)) == ([3], (1, 3, 64, 64))  # RGB though it is grey


def test_tiny_imagenets_splits_may_be_links(tmp_path):
    top = tiny(tmp_path / "data", "folder") / "tiny-imagenet-200"
    (top / "val").rename(tmp_path / "elsewhere")
    (top / "val").symlink_to(tmp_path / "elsewhere")
    assert data.load("tiny-imagenet", data_dir=tmp_path / "data").labels.tolist() == [1, 2, 0]
    assert "tiny-imagenet-200/val/images/val_9.JPEG" in data.sources("tiny-imagenet", tmp_path / "data")


def without(*names: str) -> dict:
    return {name: content for name, content in TINY.items() if not name.startswith(names)}


@pytest.mark.parametrize(
    ("files", "reference", "text"),
    [
        (TINY, "tiny-imagenet:test", "unknown split of tiny-imagenet 'test'.*its test images have no labels"),
        (without("train"), "tiny-imagenet:train", "has no train images; get the whole"),
        (without("wnids"), "tiny-imagenet", "has no tiny-imagenet-200/wnids.txt"),
        (without("val/val_"), "tiny-imagenet", "has no tiny-imagenet-200/val/val_annotations.txt"),
        (TINY | {"val/images/val_3.JPEG": flat(3)}, "tiny-imagenet", "no label in val_annotations.txt for val_3.JPEG"),
        (TINY | {"val/images/val_9.JPEG": b"no image"}, "tiny-imagenet", "cannot be decoded"),
        (TINY | {"val/images/val_9.JPEG": flat(9, 32)}, "tiny-imagenet", "have several sizes"),
        (without("val/images/val_9"), "tiny-imagenet", "lacks images that val_annotations.txt names: val_9.JPEG"),
        (TINY | {"wnids.txt": b"n01"}, "tiny-imagenet", "classes that wnids.txt lacks: n02, n03"),
        (TINY | {"wnids.txt": b"\xff\xfe"}, "tiny-imagenet", "tiny-imagenet-200/wnids.txt of .* is no text"),
        (TINY | {"val/val_annotations.txt": b"\xff\x00"}, "tiny-imagenet", "val_annotations.txt of .* is no text"),
        (
            TINY | {"val/images/val_9.JPEG": b"x"},
            "tiny-imagenet",
            "image tiny-imagenet-200/val/images/val_9.JPEG of .*"
            "tiny-imagenet-200.zip cannot be decoded: it is no image",
        ),
    ],
)
def test_what_tiny_imagenet_lacks_is_told(tmp_path, files, reference, text):
    with pytest.raises(UserError, match=text):
        data.load(reference, data_dir=tiny(tmp_path / "data", "zip", files))


def test_a_cut_archive_is_told(tmp_path):
    path = tiny(tmp_path / "data", "tar") / "tiny-imagenet-200.tar"
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(UserError, match=r"tiny-imagenet-200.tar cannot be read .*unexpected end"):
        data.load("tiny-imagenet", data_dir=tmp_path / "data")


def test_imagenets_classes_keep_their_numbers_where_some_are_missing(tmp_path):
    for wnid, colour in (("n01443537", 50), ("n15075141", 60)):  # goldfish is class 1, toilet tissue the last
        folder = tmp_path / "imagenet" / "val" / wnid
        folder.mkdir(parents=True)
        (folder / "ILSVRC2012_val_00000001.JPEG").write_bytes(encoded(np.full((300, 500, 3), colour, np.uint8), "JPEG"))
    found = data.load("imagenet", data_dir=tmp_path)
    assert (found.labels.tolist(), tuple(found.images.shape)) == ([1, 999], (2, 3, 224, 224))
    assert found.images[:, 0, 9, 9].tolist() == [50, 60]
    (tmp_path / "imagenet" / "val" / "n01443537").rename(tmp_path / "imagenet" / "val" / "goldfish")
    with pytest.raises(UserError, match="has goldfish; wanted val/WORDNET_ID"):
        data.load("imagenet", data_dir=tmp_path)


def test_imagenets_images_may_end_in_jpg_and_hidden_folders_are_no_classes(tmp_path):
    folder = tmp_path / "imagenet" / "val" / "n01443537"
    folder.mkdir(parents=True)
    for number, name in enumerate(["a.JPEG", "b.jpeg", "c.jpg", "d.JPG"]):
        (folder / name).write_bytes(encoded(np.full((256, 256, 3), 10 * number, np.uint8), "JPEG"))
    (tmp_path / "imagenet" / "val" / ".git").mkdir()
    assert data.load("imagenet", data_dir=tmp_path).images[:, 0, 0, 0].tolist() == [0, 10, 20, 30]


@pytest.mark.parametrize("name", ["svhn", "tiny-imagenet", "cifar10", "imagenet"])
def test_offline_a_missing_set_says_what_goes_where(tmp_path, name):
    with pytest.raises(UserError) as error:
        data.load(name, data_dir=tmp_path)
    assert named.SETS[name].advice.split("/")[0] in str(error.value)
    assert f" in {tmp_path}" in str(error.value)
    assert not list(tmp_path.glob("*"))


def cifar_archive(top, monkeypatch):
    """The official archive with six made images, its md5 told to the code that checks it."""
    pixels, batches = RNG.integers(0, 256, (6, 3072), dtype=np.uint8), cifar._class("cifar10")
    content = {"test_batch": pickle.dumps({"data": pixels, "labels": [0, 1, 2, 3, 4, 5]})}
    content["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")})
    sums = {name: hashlib.md5(text).hexdigest() for name, text in content.items()}
    monkeypatch.setattr(batches, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(batches, "train_list", [])
    monkeypatch.setattr(batches, "meta", batches.meta | {"md5": sums["batches.meta"]})
    path = top / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        for name, text in content.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(text)
            packed.addfile(info, io.BytesIO(text))
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(cifar.OFFICIAL, "cifar10", (*cifar.OFFICIAL["cifar10"][:2], md5))
    return pixels.reshape(6, 3, 32, 32)


def test_cifars_archive_placed_by_hand(tmp_path, monkeypatch):
    pixels = cifar_archive(tmp_path, monkeypatch)
    assert np.array_equal(data.load("cifar10", data_dir=tmp_path).images.numpy(), pixels)


def test_another_archive_under_its_name_is_refused(tmp_path, monkeypatch):
    cifar_archive(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"something else")
    with pytest.raises(UserError, match="is not the official cifar10"):
        data.load("cifar10", data_dir=tmp_path)
    assert not (tmp_path / "cifar-10-batches-py").exists()


def test_the_files_behind_a_set(tmp_path):
    top = tiny(tmp_path / "data", "folder")
    places = data.sources("tiny-imagenet:val", top)
    assert places["tiny-imagenet-200/wnids.txt"] == top / "tiny-imagenet-200" / "wnids.txt"
    assert len(places) == len(TINY)
    assert data.sources("digits", top) == {}
    with pytest.raises(UserError, match="unknown data set 'tiny'"):
        data.sources("tiny", top)


@pytest.mark.parametrize(
    ("name", "label", "each"), [("cifar10", 10, 5000), pytest.param("cifar100", 100, 500, marks=pytest.mark.slow)]
)
def test_real_training_sets_are_whole(real_data, name, label, each):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts = data.load(f"{name}:train", data_dir=real_data).labels.bincount()
    assert counts.tolist() == [each] * label


def test_the_real_sample_of_tiny_imagenet(real_data):
    found = data.load("tiny-imagenet", data_dir=real_data)
    assert found.labels.bincount().tolist() == [10] * 200
    assert tuple(found.images.shape) == (2000, 3, 64, 64)
