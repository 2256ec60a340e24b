"""Effect sizes against scipy and by hand, and the rules of the claims made of them."""

import numpy as np
import pytest
from scipy import stats

from energylens import effects
from energylens.claims import CANNOT_TELL, FAILS, HOLDS

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(50, 50), (30, 80), (1, 5)])
def test_ks_distance_is_scipys(shape):
    a, b = RNG.normal(0, 1, shape[0]).round(1), RNG.normal(0.5, 2, shape[1]).round(1)
    assert effects.ks(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_auroc_is_the_rank_statistic_with_ties_by_half():
    natural, adversarial = RNG.normal(0, 1, 60).round(1), RNG.normal(-1, 1, 40).round(1)
    u = stats.mannwhitneyu(natural, adversarial).statistic
    assert effects.auroc(natural, adversarial) == pytest.approx(u / (60 * 40))
    assert effects.auroc(np.array([0.0, 1]), np.array([-5.0, -4])) == 1
    assert effects.auroc(np.array([0.0, 1]), np.array([5.0, 4])) == 0
    assert effects.auroc(np.array([1.0, 1]), np.array([1.0])) == 0.5


@pytest.mark.parametrize(
    ("by", "up", "outcome"), [(1.0, True, HOLDS), (1.0, False, FAILS), (-1.0, False, HOLDS), (0.0, True, CANNOT_TELL)]
)
def test_a_shift_is_judged_by_its_paired_mean(by, up, outcome):
    natural = RNG.normal(0, 10, 200)  # the spread over images is no matter: values are paired
    noise = RNG.normal(0, 1, 200)
    verdict = effects.shift("c", natural, natural + by + noise - noise.mean(), up)
    assert verdict.outcome == outcome
    assert verdict.number == pytest.approx(by)
    assert verdict.n == 200


def test_a_shift_leaves_nan_out():
    natural, adversarial = np.zeros(50), np.ones(50)
    adversarial[3] = np.nan
    assert effects.shift("c", natural, adversarial, up=True).n == 49


def test_overlap_is_a_small_ks_distance():
    a = RNG.normal(0, 1, 1000)
    assert effects.overlap("c", a, a + 0.01).outcome == HOLDS
    assert effects.overlap("c", a, a + 3).outcome == FAILS
    assert "AUROC of low energy 0.0" in str(effects.overlap("c", a, a + 3))


def test_a_share_holds_inside_its_bounds_and_fails_outside():
    assert effects.share("c", 30, 100, 0.2, 0.4, "d").outcome == HOLDS
    assert effects.share("c", 3, 10, 0.2, 0.4, "d").outcome == CANNOT_TELL
    assert effects.share("c", 80, 100, 0.2, 0.4, "d").outcome == FAILS
    assert effects.share("c", 0, 0, 0.2, 0.4, "d").outcome == CANNOT_TELL


def test_two_modes_are_two_groups_apart():
    first = np.arange(200) < 80
    values = np.where(first, -20.0, 5.0) + RNG.normal(0, 1, 200)
    verdict = effects.two_modes("c", values, first, "d")
    assert verdict.outcome == HOLDS
    assert verdict.number == 0.4
    assert effects.two_modes("c", RNG.normal(0, 1, 200), first, "d").outcome == FAILS  # two groups, one place
    assert effects.two_modes("c", values, np.arange(200) < 0, "d").outcome == FAILS  # one group


@pytest.mark.parametrize("values", [RNG.normal(-14, 8, 1000), RNG.uniform(-30, 10, 1000), RNG.normal(0, 1, 200)])
def test_one_hump_cut_in_two_is_not_two_modes(values):
    assert effects.two_modes("c", values, values < np.median(values), "d").outcome == FAILS
    assert effects.valley(values, values < np.median(values)) > 0.7
