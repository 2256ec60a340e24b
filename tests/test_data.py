"""Every way to name images gives the same kind of thing, and every mistake is told in one line."""

import hashlib
import io
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from energylens import data
from energylens.errors import UserError
from energylens.references import data_name

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
LABELS = [3, 1, 4, 1, 5, 9]


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def write_parquet(folder, split="test", image="img", label="label", files=1):
    folder.mkdir(parents=True)
    for part in range(files):
        rows = range(part * 6 // files, (part + 1) * 6 // files)
        cells = [{"bytes": encoded(PIXELS[row]), "path": None} for row in rows]
        frame = pd.DataFrame({image: cells, label: [LABELS[row] for row in rows]})
        frame.to_parquet(folder / f"{split}-{part:05d}-of-{files:05d}.parquet")


def assert_is_ours(found: data.Data):
    assert torch.equal(found.images, torch.from_numpy(PIXELS).permute(0, 3, 1, 2))
    assert found.labels.tolist() == LABELS


def test_digits_split_is_fixed_and_stratified():
    train, test = data.load("digits:train"), data.load("digits")
    assert train.images.shape == (1297, 1, 16, 16)
    assert test.images.shape == (500, 1, 16, 16)
    shares = torch.bincount(test.labels) / 500 - torch.bincount(train.labels) / 1297
    assert shares.abs().max() < 0.002
    assert test.sha == data.load("digits:test").sha
    rows = {row.numpy().tobytes() for row in train.images} & {row.numpy().tobytes() for row in test.images}
    assert not rows


def test_digits_are_scikit_learns_enlarged_bilinearly():
    """Bilinear enlargement by two keeps the mean of an image but for its border."""
    from sklearn.datasets import load_digits

    small = load_digits().images / 16
    both = torch.cat([data.load("digits:train").images, data.load("digits:test").images])
    assert both.mean().item() == pytest.approx(small.mean(), rel=0.01)
    # a corner of the enlarged image is the corner of the small one
    assert sorted(both[:, 0, 0, 0].tolist()) == pytest.approx(sorted(small[:, 0, 0].tolist()))


@pytest.mark.parametrize(("files", "image", "label"), [(1, "img", "label"), (2, "image", "fine_label")])
def test_reads_hugging_face_parquet(tmp_path, files, image, label):
    write_parquet(tmp_path / "cifar10", files=files, image=image, label=label)
    assert_is_ours(data.load("cifar10:test", data_dir=tmp_path))
    assert_is_ours(data.load(f"{tmp_path}/cifar10"))


def test_reads_torchvision_layout(tmp_path, monkeypatch):
    """A made archive in torchvision's layout, its md5 sums told to torchvision, which checks them."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    batch = {"data": PIXELS.transpose(0, 3, 1, 2).reshape(6, -1), "labels": LABELS}
    (folder / "test_batch").write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    sums = {file.name: hashlib.md5(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "train_list", [])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    assert_is_ours(data.load("cifar10:test", data_dir=tmp_path))


@pytest.mark.parametrize("names", [("images", "labels"), ("image", "label")])
@pytest.mark.parametrize("channels_first", [True, False])
def test_reads_npz(tmp_path, names, channels_first):
    images = PIXELS.transpose(0, 3, 1, 2) if channels_first else PIXELS
    np.savez(tmp_path / "x.npz", **dict(zip(names, (images, LABELS), strict=True)))
    assert_is_ours(data.load(f"{tmp_path}/x.npz"))


def test_reads_an_image_folder(tmp_path):
    for row, label in enumerate(LABELS):
        folder = tmp_path / "test" / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{row}.png").write_bytes(encoded(PIXELS[row]))
    found = data.load(str(tmp_path))
    order = [1, 3, 0, 2, 4, 5]  # by class 1, 3, 4, 5, 9, then by file
    assert torch.equal(found.images, torch.from_numpy(PIXELS[order]).permute(0, 3, 1, 2))
    assert found.labels.tolist() == [0, 0, 1, 2, 3, 4]


def test_grey_images_among_coloured_ones_become_coloured(tmp_path):
    grey = encoded(PIXELS[0, :, :, 0])
    cells = [{"bytes": grey, "path": None}, {"bytes": encoded(PIXELS[1]), "path": None}]
    folder = tmp_path / "set"
    folder.mkdir()
    pd.DataFrame({"image": cells, "label": [0, 1]}).to_parquet(folder / "test-0.parquet")
    found = data.load(str(folder))
    assert found.images.shape == (2, 3, 32, 32)
    assert torch.equal(found.images[0, 0], torch.from_numpy(PIXELS[0, :, :, 0]))


def test_reads_a_users_function(tmp_path):
    (tmp_path / "mine.py").write_text("import numpy as np\ndef test_set():\n return np.full((2,1,4,4), .5), [0, 1]\n")
    found = data.load(f"{tmp_path}/mine.py:test_set")
    assert (found.name, found.split) == ("mine.py:test_set", "test")
    assert found.images.dtype == torch.float32
    assert found.images.unique().tolist() == [0.5]


def test_a_batch_is_float_in_0_1_with_its_places(npz):
    found = data.load(str(npz))
    x, y, index = found.batch(3, 6)
    torch.testing.assert_close(x, found.images[3:6] / 255)
    assert y.tolist() == [0, 1, 2]
    assert index.tolist() == [3, 4, 5]


def test_a_subset_says_which(npz):
    assert data.load(str(npz)).selection == "all 12 of 12 test images"
    assert data.load(str(npz), samples=5).selection == "first 5 of 12 test images"
    drawn = data.load(str(npz), samples=5, shuffle_seed=3)
    assert drawn.selection == "drawn with seed 3: 5 of 12 test images"
    assert len(set(drawn.index.tolist())) == 5
    longer = data.load(str(npz), samples=9, shuffle_seed=3)
    assert longer.index[:5].tolist() == drawn.index.tolist()
    assert drawn.index.tolist() != data.load(str(npz), samples=5, shuffle_seed=4).index.tolist()


def test_sha_is_of_the_whole_split(npz):
    assert data.load(str(npz), samples=5).sha == data.load(str(npz)).sha


def test_names_lose_their_folders():
    assert data_name("../shared/cifar10:train") == ("cifar10", "train")
    assert data_name("a/b/mine.py:load") == ("mine.py:load", "test")


def test_real_cifar10(real_data):
    """Published facts: 1,000 test images a class; the first labels are cat, ship, ship, airplane."""
    found = data.load("cifar10:test", data_dir=real_data)
    assert found.images.shape == (10000, 3, 32, 32)
    assert torch.bincount(found.labels).tolist() == [1000] * 10
    assert found.labels[:4].tolist() == [3, 8, 8, 0]


def test_a_stored_npz_stays_on_disk_until_it_is_asked_for(tmp_path):
    """4,096 images of 12 KiB in EDM's format: loading them takes no memory worth mentioning, batches are right."""
    images = np.random.default_rng(0).integers(0, 256, (4096, 64, 64, 3), dtype=np.uint8)
    np.savez(tmp_path / "synthetic.npz", image=images, label=np.arange(4096) % 10)
    np.savez_compressed(tmp_path / "packed.npz", image=images[:100], label=np.arange(100))
    tracemalloc.start()
    found = data.load(f"{tmp_path}/synthetic.npz")
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < images.nbytes / 20
    x, y, _ = found.batch(4000, 4003)
    assert np.array_equal((255 * x).round().numpy(), images[4000:4003].transpose(0, 3, 1, 2))
    assert x.is_contiguous()
    assert y.tolist() == [0, 1, 2]
    assert found.sha == data.load(f"{tmp_path}/synthetic.npz").sha
    assert torch.equal(data.load(f"{tmp_path}/packed.npz").images, found.images[:100])


def test_a_set_is_held_once_as_bytes(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros((2000, 3, 32, 32), np.uint8), labels=np.zeros(2000, int))
    tracemalloc.start()
    found = data.load(f"{tmp_path}/x.npz")
    found.sha  # noqa: B018
    for start in range(0, 2000, 100):
        found.batch(start, start + 100)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.05 * 2000 * 3 * 32 * 32 + 200_000


def test_floats_are_held_once(tmp_path):
    """48 MiB of float32 stay on disk, also while their range is looked at."""
    images = np.random.default_rng(0).random((1024, 64, 64, 3), dtype=np.float32)
    np.savez(tmp_path / "x.npz", image=images, label=np.zeros(1024, int))
    tracemalloc.start()
    found = data.load(f"{tmp_path}/x.npz")
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert used < images.nbytes / 20
    assert np.array_equal(found.images[1000].numpy(), images[1000].transpose(2, 0, 1))
    images[1023, 5, 5, 0] = 1.5
    np.savez(tmp_path / "y.npz", image=images, label=np.zeros(1024, int))
    with pytest.raises(UserError, match=r"lie in \[.*, 1.5\], not in \[0, 1\]"):
        data.load(f"{tmp_path}/y.npz")
