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


def encoded(pixels: np.ndarray = PIXELS) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
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
        (
            lambda tmp: save(tmp, images=np.full((2, 1, 4, 4), 255, np.uint16), labels=[0, 1]),
            "images of x.npz are uint16, 255 to 255; give uint8: images.astype('uint8')",
        ),
        (lambda tmp: save(tmp, images=np.full((2, 1, 4, 4), 256), labels=[0, 1]), "lie in [256, 256], not in [0, 1]"),
        (
            lambda tmp: save(tmp, images=np.zeros((2, 32, 24, 4), np.uint8), labels=[0, 1]),
            "have shape (2, 32, 24, 4), RGBA; drop the alpha channel: images[..., :3]",
        ),
        (lambda tmp: save(tmp, images=FLOATS * 1j, labels=[0, 1]), "images of x.npz are complex128; give uint8, or"),
        (lambda tmp: save(tmp, images=FLOATS[:, :, :0], labels=[0, 1]), "images and labels of shape (2, 1, 0, 4)"),
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
    cells = [{"bytes": whole}, {"bytes": whole[:60] + b"xxxx" + whole[64:]}]
    pd.DataFrame({"img": cells, "label": [0, 1]}).to_parquet(tmp_path / "a" / "test-0.parquet")
    with pytest.raises(UserError, match=r"image .*/a/test-0.parquet, row 1 cannot be decoded \(OSError"):
        data.load(f"{tmp_path}/a")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"no image", "/set/cat/2.png cannot be decoded: it is no image that Pillow knows"),
        (encoded(np.full((32, 32), 40000, np.uint16)), "/set/cat/2.png has more than 8 bits a channel"),
        (encoded(PIXELS[:16]), r"several sizes, such as \[\(16, 32\), \(32, 32\)\] \(.*/set/cat/2.png\)"),
    ],
)
def test_an_image_of_a_folder_that_cannot_be_read_is_named(tmp_path, content, text):
    (tmp_path / "set" / "cat").mkdir(parents=True)
    (tmp_path / "set" / "cat" / "1.png").write_bytes(encoded())
    (tmp_path / "set" / "cat" / "2.png").write_bytes(content)
    with pytest.raises(UserError, match=text):
        data.load(f"{tmp_path}/set")


def test_hidden_folders_are_no_classes(tmp_path):
    for name in (".git", "cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "1.png").write_bytes(encoded())
    assert data.load(f"{tmp_path}/set").labels.tolist() == [0, 1]


def test_a_users_tensors_may_have_gradients_be_read_only_or_run_backwards(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np, torch\n"
        "X = np.linspace(0, 1, 32, dtype=np.float32).reshape(2, 1, 4, 4)\n"
        "def gradients(): return torch.from_numpy(X.copy()).requires_grad_(), torch.tensor([0, 1])\n"
        "def frozen(): return np.broadcast_to(X[:1], (2, 1, 4, 4)), [0, 1]\n"
        "def backwards(): return X[:, :, :, ::-1], [0, 1]\n"
        "def complex(): return X * 1j, [0, 1]\n"
    )
    wanted = torch.linspace(0, 1, 32).reshape(2, 1, 4, 4)
    torch.testing.assert_close(data.load(f"{tmp_path}/mine.py:gradients").images, wanted)
    assert not data.load(f"{tmp_path}/mine.py:gradients").images.requires_grad
    torch.testing.assert_close(data.load(f"{tmp_path}/mine.py:frozen").images, wanted[:1].repeat(2, 1, 1, 1))
    torch.testing.assert_close(data.load(f"{tmp_path}/mine.py:backwards").images, wanted.flip(3))
    with pytest.raises(UserError, match=r"images of mine.py:complex are complex64; give uint8, or floats in \[0, 1\]"):
        data.load(f"{tmp_path}/mine.py:complex")


def test_truncated_parquet_and_undecodable_images_are_named(tmp_path):
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "test-0.parquet"
    pd.DataFrame({"img": [{"bytes": encoded()}] * 6, "label": range(6)}).to_parquet(file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"cannot be read as parquet .* is it whole\?"):
        data.load(f"{tmp_path}/a")
    (tmp_path / "b").mkdir()
    pd.DataFrame({"img": [{"bytes": b"no image"}], "label": [0]}).to_parquet(tmp_path / "b" / "test-0.parquet")
    with pytest.raises(UserError, match=r"image .*/b/test-0.parquet, row 0 cannot be decoded: it is no image"):
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
