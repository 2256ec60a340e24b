"""Data sets of the field in the layouts in which they are published, read from files that the tests make."""

import hashlib
import io
import pickle
import tarfile
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.io import savemat

from energylens import data
from energylens.data import cifar, named
from energylens.errors import Note, UserError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def flat(colour: int, side: int = 64) -> bytes:
    """A grey JPEG of one brightness, which JPEG keeps."""
    return encoded(np.full((side, side), colour, np.uint8), "JPEG")


def test_svhns_official_files_with_the_digit_zero_as_class_zero(tmp_path):
    images = RNG.integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)
    (tmp_path / "svhn").mkdir()
    savemat(tmp_path / "svhn" / "extra_32x32.mat", {"X": images, "y": np.array([[1], [10], [9], [10], [3]], np.uint8)})
    found = data.load("svhn:extra", data_dir=tmp_path)
    assert found.labels.tolist() == [1, 0, 9, 0, 3]
    assert np.array_equal(found.images[1].numpy(), images[:, :, :, 1].transpose(2, 0, 1))


def test_svhn_from_hugging_face(tmp_path):
    (tmp_path / "svhn" / "cropped_digits").mkdir(parents=True)
    pixels = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    table = pd.DataFrame({"image": [{"bytes": encoded(pixels), "path": None}], "label": [7]})
    table.to_parquet(tmp_path / "svhn" / "cropped_digits" / "test-00000-of-00001.parquet")
    found = data.load("svhn", data_dir=tmp_path)
    assert (found.labels.tolist(), found.split) == ([7], "test")
    assert np.array_equal(found.images[0].numpy(), pixels.transpose(2, 0, 1))


WNIDS = ("n02", "n03", "n01")
"""as wnids.txt has them; class 0 is n01"""
TINY = {
    "wnids.txt": "\n".join(WNIDS).encode(),
    "val/val_annotations.txt": b"val_0.JPEG\tn02\t0\t0\t62\t62\nval_10.JPEG\tn01\t0\t0\t9\t9\nval_9.JPEG\tn03\t0\n",
    "val/images/val_10.JPEG": flat(100),
    "val/images/val_0.JPEG": flat(0),
    "val/images/val_9.JPEG": flat(90),
    "train/n03/images/n03_1.JPEG": flat(31),
    "train/n01/images/n01_10.JPEG": flat(20),
    "train/n01/images/n01_2.JPEG": flat(12),
}


def tiny(top, kind: str, files: dict = TINY):
    """Tiny-ImageNet as a folder, .zip or .tar."""
    top.mkdir(exist_ok=True)
    files = {f"tiny-imagenet-200/{name}": content for name, content in files.items()}
    if kind == "folder":
        for name, content in files.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_bytes(content)
    elif kind == "zip":
        with zipfile.ZipFile(top / "tiny-imagenet-200.zip", "w") as packed:
            for name, content in files.items():
                packed.writestr(name, content)
    else:
        with tarfile.open(top / "tiny-imagenet-200.tar", "w") as packed:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content))
    return top


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
    assert data.load("tiny-imagenet:val", data_dir=tmp_path).labels.tolist() == [3]


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
    (tmp_path / "imagenet" / "val" / "goldfish").mkdir()
    with pytest.raises(UserError, match="has goldfish; wanted val/WORDNET_ID"):
        data.load("imagenet", data_dir=tmp_path)


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


def test_what_is_whole_is_read_and_what_is_half_there_is_named(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"")
    (tmp_path / "cifar10").mkdir()
    table = pd.DataFrame({"img": [{"bytes": encoded(np.zeros((32, 32, 3), np.uint8)), "path": None}], "label": [1]})
    table.to_parquet(tmp_path / "cifar10" / "test-00000-of-00001.parquet")
    with pytest.warns(Note, match=r"cifar-10-batches-py/ .* lacks data_batch_1; cifar10/\*.parquet .* is read instead"):
        assert data.load("cifar10", data_dir=tmp_path).labels.tolist() == [1]
    (tmp_path / "cifar10" / "test-00000-of-00001.parquet").rename(tmp_path / "cifar10" / "test-00000-of-00002.parquet")
    with pytest.raises(UserError, match="is missing and could not be downloaded"):
        data.load("cifar10", data_dir=tmp_path)


def test_decoded_images_are_mapped_the_second_time(tmp_path, monkeypatch):
    top = tiny(tmp_path / "data", "zip")
    first = data.load("tiny-imagenet", data_dir=top)
    monkeypatch.setattr("energylens.data.tiny_imagenet.decode", None)  # not called again
    second = data.load("tiny-imagenet", data_dir=top)
    assert second.sha == first.sha
    monkeypatch.undo()
    (kept,) = (tmp_path / "home" / "decoded").iterdir()
    (kept / "images.npy").write_bytes(b"broken")
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))
    assert data.load("tiny-imagenet", data_dir=top).sha == first.sha


def test_other_files_are_decoded_again(tmp_path):
    top = tiny(tmp_path / "data", "folder")
    first = data.load("tiny-imagenet", data_dir=top)
    (top / "tiny-imagenet-200" / "val" / "images" / "val_0.JPEG").write_bytes(flat(7))
    assert data.load("tiny-imagenet", data_dir=top).images[0, 0, 5, 5] == 7
    assert first.images[0, 0, 5, 5] == 0


def test_without_a_place_to_keep_them_they_are_decoded_and_a_note_says_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "file"))
    with pytest.warns(Note, match="decoded images of tiny-imagenet are not kept in"):
        assert len(data.load("tiny-imagenet", data_dir=tiny(tmp_path / "data", "zip"))) == 3


def test_the_files_behind_a_set(tmp_path):
    top = tiny(tmp_path / "data", "folder")
    places = data.sources("tiny-imagenet:val", top)
    assert places["tiny-imagenet-200/wnids.txt"] == top / "tiny-imagenet-200" / "wnids.txt"
    assert len(places) == len(TINY)
    assert data.sources("digits", top) == {}
    with pytest.raises(UserError, match="unknown data set 'tiny'"):
        data.sources("tiny", top)


@pytest.mark.parametrize(("name", "label", "each"), [("cifar10", 10, 5000), ("cifar100", 100, 500)])
def test_real_training_sets_are_whole(real_data, name, label, each):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        counts = data.load(f"{name}:train", data_dir=real_data).labels.bincount()
    assert counts.tolist() == [each] * label


def test_the_real_sample_of_tiny_imagenet(real_data):
    found = data.load("tiny-imagenet", data_dir=real_data)
    assert found.labels.bincount().tolist() == [10] * 200
    assert tuple(found.images.shape) == (2000, 3, 64, 64)
