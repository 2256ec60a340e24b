"""Starts of chains are drawn from the distributions that they name, and each chain's from its own keys alone."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_classes import AXES, SPREADS, around, made, scattered
from scipy import stats

from energylens.errors import UserError
from energylens.generate.starts import PCA, STARTS, Gaussian, InformativePCA, LocalPCA, Random, parse
from energylens.generate.statistics import Statistics

MANY = 4000
"""draws: a variance is known to 2.2 %, a share to 0.8 points"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))


def draws(start, sets, count: int = MANY, k: int = 0) -> np.ndarray:
    """[count, P] as float64."""
    y = torch.full((count,), k)
    x = start(Statistics(sets), y, index=list(range(count)), seed=0)
    assert (x.shape, x.dtype) == ((count, 1, 4, 4), torch.float32)
    assert 0 <= x.min() <= x.max() <= 1
    return x.flatten(1).double().numpy()


def assert_moments(x: np.ndarray, mean, covariance) -> None:
    """Mean and covariance of normal draws [N, D], within five standard errors."""
    variances = np.diag(covariance)
    assert (np.abs(x.mean(0) - mean) <= 5 * np.sqrt(variances / len(x)) + 1e-7).all()
    errors = np.sqrt((np.outer(variances, variances) + np.square(covariance)) / len(x))
    assert (np.abs(np.cov(x.T) - covariance) <= 5 * errors).all()


@pytest.mark.parametrize("n", [8, 64, 128])
def test_pca_spreads_along_the_axes_by_a_share_of_the_classs_own_spread(n):
    """sigma sqrt(5000 / n) s_i is sigma sqrt(5000) standard deviations, however many images there are."""
    steps = (draws(PCA(sigma=0.01), made(around(n))) - 0.5) @ AXES.T
    assert_moments(steps[:, :3], 0, np.diag((0.01**2 * 5000 * SPREADS**2)[:3]))
    assert np.abs(steps[:, 3]).max() < 1e-6  # it would cross 0.99
    assert stats.kstest(steps[:, 0] / steps[:, 0].std(), "norm").pvalue > 0.001


def test_pca_is_the_same_for_a_class_of_twice_the_images():
    once, twice = scattered(40), np.tile(scattered(40), (2, 1))
    np.testing.assert_allclose(draws(PCA(), made(once), 20), draws(PCA(), made(twice), 20), atol=1e-5)


def test_pca_without_sigma_is_the_classs_mean():
    images = scattered(40)
    np.testing.assert_allclose(draws(PCA(sigma=0), made(around(8), images), 3, k=1), [images.mean(0)] * 3, atol=1e-6)


@pytest.mark.parametrize("n", [6, 40])  # with fewer images than pixels, the ridge alone fills the rest
def test_gaussian_has_the_classs_mean_and_covariance(n):
    images = scattered(n)
    wanted = np.cov(images.T, bias=True) + 4e-4 * np.eye(16)
    assert_moments(draws(Gaussian(ridge=4e-4), made(images)), images.mean(0), wanted)


def test_random_is_uniform():
    x = draws(Random(), made(around(8)), 500)
    assert stats.kstest(x.ravel(), "uniform").pvalue > 0.001


def test_informative_pca_is_either_half_the_time():
    """Without sigma the PCA's half stands on the mean, and the Gaussian's keeps its spread."""
    x = draws(InformativePCA(sigma=0), made(around(8)))
    on_the_mean = np.abs(x - 0.5).max(1) < 1e-6
    assert abs(on_the_mean.mean() - 0.5) < 5 * 0.5 / np.sqrt(MANY)
    wanted = AXES.T @ np.diag(SPREADS**2) @ AXES + 1e-4 * np.eye(16)
    assert_moments(x[~on_the_mean], 0.5, wanted)


def test_local_pca_is_a_pca_of_the_nearest_images():
    """Two clusters in one class: each chain starts around the mean of one, as wide as that one is for its size."""
    sets = made(np.concatenate([around(16, 0.3), around(32, 0.7)]))
    x = draws(LocalPCA(sigma=0.01, neighbours=16), sets, 1500)
    low = x.mean(1) < 0.5
    assert abs(low.mean() - 1 / 3) < 5 * np.sqrt(2 / 9 / len(x))  # as many as there are images
    steps = (x[low] - 0.3) @ AXES.T
    assert_moments(steps[:, :3], 0, np.diag((0.01**2 * 5000 * SPREADS**2)[:3]))
    assert np.abs(x[low] - 0.3 - steps @ AXES).max() < 1e-6


def test_an_image_is_among_its_own_neighbours():
    """Of three images at 0.1, 0.2 and 0.5, the last one's nearest two are 0.5 and 0.2; the others' 0.1 and 0.2."""
    images = np.repeat([[0.1], [0.2], [0.5]], 16, axis=1)
    means = draws(LocalPCA(sigma=0, neighbours=2), made(images), 50)
    assert set(means.ravel().round(5)) == {0.15, 0.35}


def test_local_pca_among_copies_of_one_image_is_that_image():
    images = np.concatenate([np.full((4, 16), 0.25), np.full((4, 16), 0.75)])
    assert set(draws(LocalPCA(neighbours=4), made(images), 30).ravel()) == {0.25, 0.75}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_chain_starts_the_same_in_any_batch(start):
    found = Statistics(made(scattered(60, 0), scattered(60, 1), scattered(60, 2)))
    y, index = torch.tensor([2, 0, 1, 0, 2, 1]), [0, 1, 2, 3, 4, 2**31 + 5]
    whole = start(found, y, index=index, seed=3)
    for rows in ([5], [4, 0], [3, 1, 2]):
        part = start(found, y[rows], index=[index[row] for row in rows], seed=3)
        torch.testing.assert_close(part, whole[rows], rtol=0, atol=0)
    assert start(found, y[:0], index=[], seed=3).shape == (0, 1, 4, 4)
    others = [start(found, y, index=index, seed=4), start(found, y, index=[i + 1 for i in index], seed=3)]
    assert all((other != whole).flatten(1).any(1).all() for other in others)


def test_chains_with_other_settings_take_the_same_random_numbers():
    """So that pictures of several sigmas show the same chains."""
    sets = made(around(16))
    narrow, wide = (draws(PCA(sigma=sigma, retained=0.9), sets, 5) - 0.5 for sigma in (0.005, 0.01))
    np.testing.assert_allclose(wide, 2 * narrow, atol=1e-6)
    both = draws(PCA(sigma=0.01, retained=0.95), sets, 5) - 0.5
    np.testing.assert_allclose(both @ AXES[0], wide @ AXES[0], atol=1e-6)


def test_starts_are_clipped_to_the_range_of_pixels():
    x = draws(PCA(sigma=10), made(around(16)), 50)
    assert (x.min(), x.max()) == (0, 1)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_class_that_is_none_is_named(start):
    with pytest.raises(UserError, match="no class 1 in made; its classes are 0 to 0"):
        draws(start, made(scattered(60)), 1, k=1)


def test_a_class_with_fewer_images_than_neighbours_is_named():
    with pytest.raises(UserError) as error:
        draws(LocalPCA(), made(around(8)), 1)
    wanted = "local-pca takes 50 neighbours, class 0 has 8 images; write local-pca:neighbours=8 or less"
    assert str(error.value) == wanted


@pytest.mark.parametrize(
    ("text", "start", "name"),
    [
        ("random", Random(), "random"),
        ("gaussian", Gaussian(), "gaussian"),
        ("gaussian:ridge=1e-2", Gaussian(ridge=0.01), "gaussian-ridge0.01"),
        ("pca", PCA(), "pca"),
        ("pca:sigma=0.01:retained=0.95", PCA(sigma=0.01, retained=0.95), "pca-retained0.95-sigma0.01"),
        ("pca:sigma=1", PCA(sigma=1.0), "pca-sigma1"),
        ("informative-pca:sigma=0.02", InformativePCA(sigma=0.02), "informative-pca-sigma0.02"),
        ("local-pca:neighbours=20", LocalPCA(neighbours=20), "local-pca-neighbours20"),
    ],
)
def test_references_and_names(text, start, name):
    assert parse(text) == start
    assert start.name == name


def test_facts_are_all_that_decides_the_images():
    assert STARTS["random"].facts == {"kind": "random", "version": 1}
    assert replace(STARTS["informative-pca"], sigma=1).facts == {
        "kind": "informative-pca",
        "version": 1,
        "sigma": 1.0,
        "retained": 0.99,
        "ridge": 1e-4,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "pac",
            "unknown start 'pac'; did you mean 'pca'? available: random, gaussian, pca, informative-pca, local-pca",
        ),
        ("pca:width=2", "unknown setting of start pca 'width'; available: sigma, retained"),
        ("random:sigma=1", "start random has no settings; leave out :sigma=1"),
        ("pca:sigma=-1", "PCA(sigma=-1): sigma must be a number, at least 0"),
        ("pca:sigma=wide", "PCA(sigma='wide'): sigma must be a number, at least 0"),
        ("pca:retained=0", "PCA(retained=0): retained must be a number, above 0"),
        (
            "local-pca:retained=95",
            "LocalPCA(retained=95): retained is a share of the variance, above 0 and at most 0.999; "
            "95 % is written 0.95",
        ),
        ("local-pca:neighbours=1", "LocalPCA(neighbours=1): neighbours must be a whole number, at least 2"),
        ("gaussian:ridge=-1", "Gaussian(ridge=-1): ridge must be a number, at least 0"),
        ("informative-pca:ridge=-1", "InformativePCA(ridge=-1): ridge must be a number, at least 0"),
    ],
)
def test_mistakes_are_told_in_one_line(text, told):
    with pytest.raises(UserError) as error:
        parse(text)
    assert str(error.value) == told


def test_a_recipe_with_starts_is_read_without_torch():
    code = "import sys, energylens.generate.starts; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
