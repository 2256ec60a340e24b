"""A batch that is measured again, with its images, is killed at each step: images are those of their rows."""

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from dying import Death
from folders import check_whole, kept, opened, written
from killing import EVERYTHING, RECIPE, Child

from energylens import attacks, models
from energylens.recipe import Recipe

MEAN = """
def mean(model, x, y):
    return (x + x.mean(0, keepdim=True)) / 2
"""
SHARD = {"shard": 8}
PLACES = (
    *(Death("fsync", call, "after") for call in range(1, 6)),
    Death("write_table", 1, "before"),
    Death("write_table", 1, "after"),
    Death("replace", 1, "before"),
    Death("replace", 1, "after"),
    Death("savez_compressed", 1, "before"),
    Death("savez_compressed", 1, "within"),
    Death("replace", 2, "before"),
    Death("replace", 2, "after"),
)
"""the old images go, which is synced; rows and images come, each written, synced, renamed and synced"""


def recipe(folder: Path, samples: int) -> Recipe:
    """Each image of four is moved to their mean."""
    (folder / "mine.py").write_text(MEAN)
    attack = attacks.parse(f"{folder}/mine.py:mean:batch=4")
    return replace(RECIPE, models=("demo:sat",), attacks=(attack,), samples=samples)


def check_images(tables: Path) -> None:
    """The logits of a shard's rows are those of its images."""
    net = models.load("demo:sat")
    for part in written(tables).values():
        if part.images.exists():
            logits = np.stack(pq.read_table(part.path)["logits"].to_pylist())
            with torch.no_grad():
                np.testing.assert_allclose(net(torch.from_numpy(opened(part.images))).numpy(), logits, atol=1e-3)


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    """Tables of six images, and of eight at once."""
    folder = tmp_path_factory.mktemp("before")
    for samples in (6, 8):
        Child(folder / str(samples), recipe(folder, samples), EVERYTHING, settings=SHARD).go().end()
    return folder


@pytest.mark.parametrize("death", PLACES, ids=str)
def test_images_are_those_of_their_rows_whenever_it_is_killed(tmp_path, before, death):
    shutil.copytree(before / "6", tmp_path, dirs_exist_ok=True)
    more = recipe(before, 8)
    assert Child(tmp_path, more, EVERYTHING, death, settings=SHARD).go().finish() == -signal.SIGKILL
    check_whole(tmp_path)
    check_images(tmp_path)
    for again in (recipe(before, 6), more):
        Child(tmp_path, again, EVERYTHING, settings=SHARD).go().end()
        check_images(tmp_path)
        assert len(kept(tmp_path)) == len(written(tmp_path))
    np.testing.assert_array_equal(*(np.concatenate(_images(tables)) for tables in (tmp_path, before / "8")))


def _images(tables: Path) -> list[np.ndarray]:
    """Of the attack, in order."""
    shards = sorted((piece.start, part) for piece, part in written(tables).items() if piece.attack != "natural")
    return [opened(part.images) for _, part in shards]
