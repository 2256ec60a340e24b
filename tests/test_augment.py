"""Crops and flips are torchvision's, uniform, and keyed by the image alone."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torchvision.transforms import functional as F

from energylens.data.augment import augment, choices

INDEX = torch.arange(6)


@pytest.mark.parametrize("side", [32, 64])
def test_equals_torchvisions_crop_and_flip(side):
    images = torch.randint(256, (6, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = augment(images, INDEX, seed=3, epoch=7)
    for image, got, down, right, flip in zip(images, found, *choices(INDEX.numpy(), 3, 7), strict=True):
        wanted = F.crop(F.pad(image, 4), int(down), int(right), side, side)
        assert torch.equal(got, F.hflip(wanted) if flip else wanted)


def test_floats_are_cropped_alike():
    images = torch.rand(6, 1, 16, 16)
    whole = (255 * images).round()
    found = augment(whole, INDEX, 0, 0)
    assert torch.equal(found, augment(whole.to(torch.uint8), INDEX, 0, 0).float())


def test_an_image_gets_the_same_in_any_batch():
    images = torch.randint(256, (6, 3, 32, 32), dtype=torch.uint8)
    whole, order = augment(images, INDEX, 1, 2), torch.tensor([4, 0, 5])
    assert torch.equal(augment(images[order], order, 1, 2), whole[order])


def test_crops_are_uniform_and_half_are_flipped():
    down, right, flip = choices(np.arange(81_000), seed=1, epoch=0)
    assert chisquare(np.bincount(9 * down + right, minlength=81)).pvalue > 0.01
    assert abs(flip.mean() - 0.5) < 3 * 0.5 / np.sqrt(81_000)
    together = np.bincount(2 * (9 * down + right) + flip, minlength=162)
    assert chisquare(together).pvalue > 0.01


@pytest.mark.parametrize("other", [(1, 1), (2, 0)])
def test_epochs_and_seeds_are_unrelated(other):
    """Equal choices as often as by chance: once in 162."""
    one, two = (np.stack(choices(np.arange(81_000), *key)) for key in ((1, 0), other))
    assert abs((one == two).all(0).mean() - 1 / 162) < 4 * np.sqrt(1 / 162 / 81_000)


def test_a_seed_may_be_any_whole_number():
    one, two = (np.stack(choices(np.arange(100), seed, 0)) for seed in (-1, 2**70))
    assert not np.array_equal(one, two)
