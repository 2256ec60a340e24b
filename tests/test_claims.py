"""Claims decide as they say: on made tables that hold, that fail, and that cannot tell."""

import math

import numpy as np
import pytest

from energylens import claims, paths

fig4 = paths.load("figures", "fig4")
RNG = np.random.default_rng(0)
NOISE = RNG.standard_normal(40)
NOISE = (NOISE - NOISE.mean()) / NOISE.std(ddof=1)


def models(drifts, spreads, accuracies):
    return {
        f"m{i}": (drift + spread * NOISE, acc)
        for i, (drift, spread, acc) in enumerate(zip(drifts, spreads, accuracies, strict=True))
    }


RISING = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
FALLING_SIZES = [-6, 5, -4, 3, -2, 1]
MIXED = [3, -1, 2, -3, 1, -2]


@pytest.mark.parametrize(
    ("drifts", "outcome"), [(FALLING_SIZES, "holds"), (FALLING_SIZES[::-1], "fails"), (MIXED, "cannot tell")]
)
def test_mean_drift_shrinks(made_table, drifts, outcome):
    verdict = fig4.mean_drift_shrinks(made_table(models(drifts, [0.1] * 6, RISING)))
    assert verdict.outcome == outcome
    assert verdict.n == 6
    if outcome != "cannot tell":
        assert verdict.number == pytest.approx(-1 if outcome == "holds" else 1)
        assert "p = 0.0028" in verdict.detail  # 2 of 720 orders


@pytest.mark.parametrize(
    ("spreads", "outcome"),
    [([6, 5, 4, 3, 2, 1], "holds"), ([1, 2, 3, 4, 5, 6], "fails"), ([3, 1, 2, 3, 1, 2], "cannot tell")],
)
@pytest.mark.parametrize("claim", [fig4.drift_per_image_shrinks, fig4.spread_shrinks])
def test_drift_per_image_and_spread_shrink(made_table, claim, spreads, outcome):
    """No mean drift at all: only the size per image and the spread differ."""
    assert claim(made_table(models([0] * 6, spreads, RISING))).outcome == outcome


@pytest.mark.parametrize(
    ("sat", "trades", "outcome"), [(-2.0, 0.5, "holds"), (0.5, -2.0, "fails"), (-1.0, 1.0, "cannot tell")]
)
def test_trades_below_sat(made_table, sat, trades, outcome):
    made = made_table({"SAT": (sat + 0.3 * NOISE, 0.5), "Trades": (trades + 0.3 * NOISE[::-1], 0.5)})
    verdict = fig4.trades_below_sat(made)
    assert verdict.outcome == outcome
    assert verdict.number == pytest.approx(abs(sat) - abs(trades), abs=1e-9)
    assert verdict.interval[0] <= verdict.number <= verdict.interval[1]
    assert verdict.n == 40


def test_claims_that_lack_models_cannot_tell(made_table):
    few = made_table(models([4, 3, 2, 1], [1] * 4, [0.1, 0.2, 0.3, 0.4]))  # a perfect order has p = 2/24
    assert fig4.mean_drift_shrinks(few).outcome == "cannot tell"
    assert "5 are the fewest" in fig4.mean_drift_shrinks(few).detail
    assert "not one model named SAT and one named TRADES" in str(fig4.trades_below_sat(few))


def test_equal_models_cannot_tell(made_table):
    assert "same value" in fig4.mean_drift_shrinks(made_table(models([0] * 5, [1] * 5, [0.5] * 5))).detail


def test_spearman_agrees_with_scipy():
    from scipy import stats

    for seed in range(20):
        rng = np.random.default_rng(seed)
        a, b = rng.integers(0, 5, 8), rng.integers(0, 5, 8)
        assert claims.spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


def test_permutation_p_agrees_with_scipy_and_by_hand():
    from scipy import stats

    rng = np.random.default_rng(1)
    for _ in range(5):
        a, b = rng.random(6), rng.random(6)
        known = stats.permutation_test(
            (a,), lambda x, b=b: stats.spearmanr(x, b).statistic, permutation_type="pairings", n_resamples=np.inf
        )
        seen = abs(stats.spearmanr(a, b).statistic)
        exact = np.mean([abs(value) >= seen - 1e-9 for value in known.null_distribution])
        assert claims.permutation_p(a, b) == pytest.approx(exact)
    assert claims.permutation_p(np.arange(4), np.arange(4)) == pytest.approx(2 / math.factorial(4))


def test_permutation_p_of_many_values_is_drawn():
    """12 values: the exact p of a rank correlation of 0.5874 is 0.049 (from t = 2.29, 10 degrees, to 0.005)."""
    a, b = np.arange(12), np.array([2, 0, 5, 1, 3, 11, 4, 9, 6, 7, 10, 8])
    from scipy import stats

    rho, p = stats.spearmanr(a, b)
    assert claims.permutation_p(a, b) == pytest.approx(p, abs=0.01)
    assert claims.spearman(a, b) == pytest.approx(rho)


def test_wilson_interval_of_known_cases():
    """Wilson's interval for 0 of 10 is [0, 0.2775]; for 5 of 10, [0.2366, 0.7634] (Brown et al. 2001)."""
    assert claims.wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert claims.wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_spearman_interval_covers():
    """Of 300 samples of 25 from a bivariate normal with rank correlation 0.5, about 95 % cover it."""
    rng = np.random.default_rng(0)
    pearson = 2 * math.sin(math.pi * 0.5 / 6)
    covered = 0
    for _ in range(300):
        a, b = rng.multivariate_normal([0, 0], [[1, pearson], [pearson, 1]], 25).T
        low, high = claims.spearman_interval(claims.spearman(a, b), 25)
        covered += low <= 0.5 <= high
    assert 0.91 < covered / 300 < 0.985


def test_a_verdict_prints_its_number_interval_and_count():
    verdict = claims.Verdict("a claim", "holds", -0.5, (-0.75, -0.25), 8, "how")
    assert str(verdict) == "holds       a claim (-0.500 [-0.750, -0.250], n = 8; how)"
    assert str(claims.Verdict("a claim", "cannot tell", detail="why")) == "cannot tell a claim (why)"


def test_images_without_a_number_are_left_out(made_table):
    made = made_table({"SAT": ([-2.0] * 10, 0.5), "TRADES": ([0.1] * 10, 0.5)})
    made.loc[made["sample"] == 3, "energy"] = np.nan
    assert fig4.trades_below_sat(made).n == 9


def test_two_models_of_one_name_in_another_case_cannot_tell(made_table):
    made = made_table({"SAT": ([-2.0] * 9, 0.5), "sat": ([0.0] * 9, 0.5), "TRADES": ([0.1] * 9, 0.5)})
    assert fig4.trades_below_sat(made).outcome == "cannot tell"
