"""Lines with known kinks are found again, and the criterion chooses between them as by hand."""

import math

import numpy as np
import pytest

from energylens import kinks

STEP = np.arange(0.0, 60, 3)


def line(*pieces: tuple[float, float]) -> np.ndarray:
    """Height 2 at the start, then (slope, from): each piece's slope from an epoch on."""
    heights = np.zeros_like(STEP) + 2
    before = 0.0
    for slope, start in pieces:
        heights += (slope - before) * np.maximum(STEP - start, 0)
        before = slope
    return heights


@pytest.mark.parametrize(
    ("pieces", "offset"),
    [(((-0.5, 0),), 2), (((0.1, 0), (-0.2, 15)), 3.5), (((-0.3, 0), (0.0, 9), (-1.0, 42)), -0.7)],
)
def test_a_line_without_noise_is_found_exactly(pieces, offset):
    values, count = line(*pieces), len(pieces) - 1
    found = kinks.fits(STEP, values, [count], apart=2)[count]
    assert tuple(STEP[list(found.knots)]) == tuple(start for _, start in pieces[1:])
    np.testing.assert_allclose(found.slopes, [slope for slope, _ in pieces], atol=1e-9)
    assert found.offset == pytest.approx(offset)
    assert found.squares == pytest.approx(0, abs=1e-12)


def test_a_straight_line_is_numpys():
    values = np.random.default_rng(0).normal(size=len(STEP))
    found = kinks.fits(STEP, values, [0], apart=2)[0]
    slope, height = np.polyfit(STEP, values, 1)
    assert (found.slopes[0], found.offset) == (pytest.approx(slope), pytest.approx(height))
    assert found.squares == pytest.approx(((values - slope * STEP - height) ** 2).sum())


def test_kinks_keep_their_distance():
    assert kinks.places(7, 2, 2).tolist() == [[2, 4]]
    assert kinks.places(4, 1, 2).tolist() == []
    assert kinks.places(9, 0, 2).tolist() == [[]]
    assert set(kinks.fits(STEP[:4], STEP[:4], range(3), apart=2)) == {0}


def test_many_measurements_are_fitted_some_at_a_time():
    step = np.arange(90.0)
    values = np.minimum(step, 20) + np.maximum(step - 70, 0)
    assert len(kinks.places(90, 2, 2)) > 2000
    assert kinks.fits(step, values, [2], apart=2)[2].knots == (20, 70)


def test_the_criterion_by_hand():
    values = np.zeros(10)
    fit = kinks.Bent((4,), 0, (0, 0), (1,), squares=40.0)
    assert kinks.bic(fit, values, floor=0) == pytest.approx(10 * math.log(4) + 4 * math.log(10))
    alike = kinks.Bent((4,), 0, (0, 0), (1,), squares=40.0, lag=0.5)
    assert kinks.bic(alike, values, floor=0) == pytest.approx(10 * math.log(3) + 4 * math.log(10))
    assert kinks.bic(fit, values, floor=3) == pytest.approx(10 * math.log(9) + 4 * math.log(10))


def test_the_correlation_of_neighbouring_residuals_by_hand():
    assert kinks.lag(np.array([1.0, 1, -1, -1])) == pytest.approx(1 / 4)
    assert kinks.lag(np.array([1.0, -1, 1, -1])) == 0
    assert kinks.lag(np.zeros(4)) == 0
    step = np.arange(40.0)
    values = np.sin(step)
    line = np.polynomial.Polynomial.fit(step, values, 1)
    residuals = values - line(step)
    known = (residuals[1:] * residuals[:-1]).sum() / (residuals**2).sum()
    assert kinks.fits(step, values, [0], apart=2)[0].lag == pytest.approx(known)
