"""Statistics of classes: right where they are known, as many components as published, kept on disk once a data set."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_classes import AXES, SPREADS, around, made, scattered

from energylens import data
from energylens.errors import Note, UserError
from energylens.generate import statistics
from energylens.generate.statistics import Statistics

SHARED = os.environ["ENERGYLENS_HOME"]
"""where real data sets are decoded once for all tests"""
PUBLISHED = {
    0.90: [73, 116, 82, 79, 98, 90, 125, 109, 74, 130],
    0.95: [163, 235, 185, 171, 215, 184, 266, 221, 164, 254],
}
"""components of CIFAR-10's classes, as printed by the notebooks of arXiv:2407.06315"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("n", [8, 64])  # fewer images than pixels, and more
def test_components_of_images_that_lie_along_known_axes(n):
    directions, singular = Statistics(made(around(n))).components(0, 0.99)
    np.testing.assert_allclose(np.abs(directions @ AXES.T), np.eye(4)[:3], atol=1e-5)
    np.testing.assert_allclose(singular, np.sqrt(n) * SPREADS[:3], rtol=1e-5)


@pytest.mark.parametrize(("retained", "count"), [(0.5, 1), (0.9, 1), (0.95, 2), (0.98, 2), (0.99, 3), (0.999, 3)])
def test_the_component_that_crosses_the_threshold_is_left_out(retained, count):
    """64, 80, 84 and 85 of 85 parts: 0.753, 0.941, 0.988 and 1."""
    assert len(Statistics(made(around(16))).components(0, retained)[1]) == count


@pytest.mark.parametrize("n", [10, 40])
def test_components_are_those_of_a_singular_value_decomposition(n):
    images = scattered(n).astype(np.float32)
    directions, singular = Statistics(made(images)).components(0, 0.9)
    _, values, rows = np.linalg.svd(images.astype(float) - images.mean(0, dtype=float))
    np.testing.assert_allclose(singular, values[: len(singular)], rtol=1e-6)
    np.testing.assert_allclose(np.abs((directions * rows[: len(singular)]).sum(1)), 1, rtol=1e-5)


def test_images_and_means_are_those_of_a_class_among_the_selected():
    images = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 1, 4, 4).contiguous()
    few = Statistics(data.Data("made", "train", images, torch.tensor([0, 1, 0, 1, 0, 2]), np.array([4, 3, 2, 1])))
    assert (few.shape, few.classes, few.count(0), few.count(2)) == ((1, 4, 4), 3, 2, 0)
    np.testing.assert_array_equal(few.images(0)[:, 0], np.float32([2, 4]) / np.float32(255))
    np.testing.assert_allclose(few.mean(1), np.full(16, 2 / 255), rtol=1e-6)


def test_images_that_are_all_the_same_have_no_spread():
    directions, singular = Statistics(made(np.full((5, 16), 0.25))).components(0, 0.9)
    assert (len(directions), singular.max()) == (len(singular), 0)


def test_only_the_asked_class_is_computed_and_the_second_time_none_is(home, monkeypatch):
    sets = made(scattered(40, 0), scattered(40, 1))
    first = Statistics(sets).components(1, 0.9)
    (kept,) = home.rglob("*.npy")
    assert kept.name == "class-1.npy"
    monkeypatch.setattr(statistics, "principal", None)  # not called again
    again = Statistics(replace(sets, index=sets.index[::-1]))  # the same images in another order
    for one, other in zip(first, again.components(1, 0.9), strict=True):
        np.testing.assert_array_equal(one, other)
    assert isinstance(again.components(1, 0.9)[0], np.memmap)


def test_what_is_kept_belongs_to_these_very_images(home):
    sets = made(scattered(40))
    for one in (sets, sets.take(30), sets.take(30, 1), made(scattered(40, 1)), replace(sets, name="a/b:c.py")):
        Statistics(one).components(0, 0.9)
    assert len(list(home.rglob("class-0.npy"))) == 5


@pytest.mark.parametrize("content", [b"", b"broken", None])
def test_a_broken_file_is_made_again(home, content):
    sets = made(scattered(40))
    first = Statistics(sets).components(0, 0.9)[0].copy()
    (kept,) = home.rglob("*.npy")
    kept.write_bytes(kept.read_bytes()[:-1] if content is None else content)
    np.testing.assert_array_equal(Statistics(sets).components(0, 0.9)[0], first)
    np.testing.assert_array_equal(np.load(kept)["direction"][: len(first)], first)


def test_without_a_place_to_keep_them_the_numbers_are_the_same_and_a_note_says_so(tmp_path, monkeypatch):
    sets = made(scattered(40))
    first = Statistics(sets).components(0, 0.9)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "file"))
    with pytest.warns(Note, match=r"principal components of made are not kept in .*made-train-\w+ \(NotADirectory"):
        again = Statistics(sets).components(0, 0.9)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda few: few.count(3), "no class 3 in made; its classes are 0 to 2"),
        (lambda few: few.components(-1, 0.9), "no class -1 in made; its classes are 0 to 2"),
        (
            lambda few: few.components(1, 0.9),
            "class 1 of made has 1 image among the first 9 of 17 train images; to start from a class takes 2 or "
            "more: take more images, or leave the class out",
        ),
        (
            lambda few: few.mean(2),
            "class 2 of made has 0 images among the first 9 of 17 train images; to start from a class takes 2 or "
            "more: take more images, or leave the class out",
        ),
        (
            lambda few: few.components(0, 0.9999),
            "components(retained=0.9999): retained is a share of the variance, above 0 and at most 0.999; "
            "95 % is written 0.95",
        ),
    ],
)
def test_mistakes_are_named(ask, text):
    with pytest.raises(UserError) as error:
        ask(Statistics(made(around(8), np.full((1, 16), 0.5), around(8)).take(9)))
    assert str(error.value) == text


@pytest.mark.parametrize("classes", [[0], pytest.param(range(1, 10), marks=pytest.mark.slow)])
def test_cifar10_has_as_many_components_as_published(real_data, home, monkeypatch, classes):
    """Within one: a few of these images are JPEG copies."""
    monkeypatch.setenv("ENERGYLENS_HOME", SHARED)
    sets = data.load("cifar10:train", data_dir=real_data)
    monkeypatch.setenv("ENERGYLENS_HOME", str(home))
    found = Statistics(sets)
    for retained, counts in PUBLISHED.items():
        for k in classes:
            assert abs(len(found.components(k, retained)[1]) - counts[k]) <= 1, f"class {k} at {retained}"
