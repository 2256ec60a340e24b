"""Decoded images are kept, whole, for everybody who may read the cache, and made again when their files change."""

import os
import subprocess
import sys

import numpy as np
import pytest
from made_sets import flat, tiny

from energylens import data
from energylens.data import cache
from energylens.errors import Note


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")


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


def test_what_is_kept_can_be_read_by_whoever_may_read_the_folder(tmp_path):
    usual = os.umask(0o022)
    try:
        data.load("tiny-imagenet", data_dir=tiny(tmp_path / "data", "zip"))
    finally:
        os.umask(usual)
    (kept,) = (tmp_path / "home" / "decoded").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o755
    assert {file.stat().st_mode & 0o777 for file in kept.iterdir()} == {0o644}


def made(number: int):
    return np.full((2, 3, 4, 4), number, np.uint8), np.array([0, 1])


def test_the_quicker_of_two_processes_keeps_its_images(tmp_path):
    """Another one puts its folder in place while this one decodes: no note, nothing deleted, nothing left."""
    source = tmp_path / "source"
    source.write_bytes(b"")

    quicker = []

    def read():
        cache.decoded("set", "test", [source], lambda: made(5))
        quicker.extend((tmp_path / "home" / "decoded").iterdir())
        quicker.append(quicker[0].stat().st_ino)
        return made(5)

    cache.decoded("set", "test", [source], read)
    (kept,) = (tmp_path / "home" / "decoded").iterdir()
    assert [kept, kept.stat().st_ino] == quicker
    assert np.load(kept / "images.npy").max() == 5


def test_images_without_as_many_labels_are_not_kept(tmp_path):
    images, _ = cache.decoded("set", "test", [], lambda: (made(1)[0], np.array([0])))
    assert len(images) == 2
    assert not (tmp_path / "home").exists()


def test_a_moved_image_is_decoded_again(tmp_path):
    """Names, sizes and times are the same; its class is not."""
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
    (tmp_path / "set" / "a" / "1").write_bytes(b"")
    cache.decoded("set", "test", [tmp_path / "set"], lambda: made(1))
    (tmp_path / "set" / "a" / "1").rename(tmp_path / "set" / "b" / "1")
    assert cache.decoded("set", "test", [tmp_path / "set"], lambda: made(2))[0].max() == 2


HOMES = "from energylens import paths; print(paths.home(), paths.data_dir(), sep='\\n')"


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"ENERGYLENS_HOME": "", "ENERGYLENS_DATA": ""}, ("ME/.cache/energylens", "ME/.cache/energylens/data")),
        ({"ENERGYLENS_HOME": "~/x", "ENERGYLENS_DATA": "~/y"}, ("ME/x", "ME/y")),
        ({"ENERGYLENS_HOME": "", "XDG_CACHE_HOME": "/big"}, ("/big/energylens", "/big/energylens/data")),
    ],
)
def test_where_the_cache_is(tmp_path, settings, wanted):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", HOMES], env=environment | settings, capture_output=True, text=True)
    assert done.stdout.split() == [path.replace("ME", str(tmp_path)) for path in wanted]
