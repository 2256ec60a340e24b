"""Scores of pixels alone: distances worked out by hand, and an SVM on sets that can be told apart."""

import numpy as np
import pytest
import torch
from made_pictures import noise, points, real
from scipy.spatial.distance import cdist

from energylens import data
from energylens.quality import pixels
from energylens.quality.pixels import Images


def images(stored: torch.Tensor, labels=None) -> Images:
    return Images(stored, torch.zeros(len(stored), dtype=torch.int64) if labels is None else torch.tensor(labels))


def test_distance_to_the_nearest_is_that_of_points_on_a_line():
    """12 is 2 from 10, 25 is 5 from 20 (or 30): on average 3.5 of 255."""
    known = images(points(0, 10, 20, 30, 100))
    assert pixels.nearest(images(points(12, 25)), known) == pytest.approx(3.5 / 255)
    assert pixels.nearest_real(known) == pytest.approx((4 * 10 + 70) / 5 / 255)
    assert pixels.nearest_real(images(points(3))) is None


def test_a_set_of_copies_has_distance_0_and_their_yardstick_does_not():
    """Large values, for which |a|^2 + |b|^2 - 2ab cancels."""
    known = images(noise(300, (3, 32, 32)) // 4 + 190)
    assert pixels.nearest(images(known.images[50:120].clone()), known) == 0
    assert pixels.nearest_real(known) > 1


def test_in_chunks_it_is_scipys(monkeypatch):
    monkeypatch.setattr(pixels, "AT_ONCE", 7 * 192)
    made, known = noise(40), noise(61, seed=1)
    apart = cdist(made.flatten(1) / 255, known.flatten(1) / 255)
    assert pixels.nearest(images(made), images(known)) == pytest.approx(apart.min(1).mean(), rel=1e-5)
    apart = cdist(known.flatten(1) / 255, known.flatten(1) / 255) + np.diag([np.inf] * 61)
    assert pixels.nearest_real(images(known)) == pytest.approx(apart.min(1).mean(), rel=1e-5)


def test_equal_training_images_are_nearest_to_each_other():
    known = noise(50)
    known[1] = known[0]
    known[2:] = known[2:3]
    assert pixels.nearest_real(images(known)) == 0


def test_an_svm_tells_dark_from_bright():
    dark, bright = noise(30, (1, 4, 4)) // 8, noise(30, (1, 4, 4), 1) // 8 + 200
    known = Images(torch.cat([dark, bright]), torch.tensor([0] * 30 + [1] * 30))
    assert pixels.svm(images(dark[:4] + 1, [0, 0, 1, 0]), known) == 0.75
    assert pixels.svm(images(dark), images(dark)) is None  # one class


def test_large_sets_and_large_images_have_no_svm():
    many = Images(torch.zeros(5001, 1, 1, 2, dtype=torch.uint8), torch.arange(5001) % 2)
    large = Images(torch.zeros(4, 1, 25, 41, dtype=torch.uint8), torch.arange(4) % 2)
    assert pixels.svm(many, many) is None
    assert pixels.svm(large, large) is None


def test_floats_become_the_nearest_of_256_values():
    stored = torch.tensor([0.0, 0.4 / 255, 0.6 / 255, 1.0]).reshape(4, 1, 1, 1)
    assert pixels.of(real(stored)).images.flatten().tolist() == [0, 0, 1, 255]


def test_a_selection_has_a_number_of_its_own():
    digits = data.load("digits:train")
    numbers = {pixels.of(one).sha for one in (digits, digits.take(10), digits.take(11), digits.take(10, 1))}
    assert len(numbers) == 4
    assert torch.equal(pixels.of(digits.take(3, 1)).labels, digits.take(3, 1).batch(0, 3)[1])
