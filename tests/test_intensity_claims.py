"""Claims of the figure `intensity`, on made chains with known answers."""

import numpy as np
import pytest
from made_chains import chain, frame
from made_intensity import COMPENSATED, MOMENTUM, SAME, falling, many, one

from energylens import each_network, paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS

figure_intensity = paths.load("figures", "intensity")
saturates_sooner, saturates_more, same_step, compensated = figure_intensity.CLAIMS


@pytest.mark.parametrize(
    ("rates", "outcome"), [((0.02, 0.01), HOLDS), ((0.01, 0.02), FAILS), ((0.02, 0.02), CANNOT_TELL)]
)
def test_sat_saturates_more(rates, outcome):
    sat, trades = rates
    made = frame(*many("demo:sat", rate=sat), *many("TRADES", rate=trades), *many("TRADES", method=SAME, rate=9))
    verdict = saturates_more(intensity=made)
    assert verdict.outcome == outcome
    assert (verdict.number, verdict.n) == (pytest.approx(5 * (sat - trades)), 20)
    assert f"shares of {10 * sat:.3f} and {10 * trades:.3f} at the end" in verdict.detail


def saturating(model, steps, share=0.9):
    """Chains whose share of saturated pixels jumps to `share` at their step, or never; half of real images' is 0.05."""
    return [
        chain(model, MOMENTUM, i, 0, falling(-5, 1), saturated=lambda step, at=at: share * (step >= at))
        for i, at in enumerate(steps)
    ]


NEVER = 99


@pytest.mark.parametrize(
    ("sat", "trades", "number", "outcome"),
    [
        ([2] * 20, [3] * 10 + [NEVER] * 10, 1, HOLDS),
        ([4] * 20, [3] * 20, -1, FAILS),
        ([2] * 10 + [4] * 10, [3] * 20, 0, CANNOT_TELL),
        ([0] * 20, [0] * 20, 0, CANNOT_TELL),
        ([3] * 15 + [NEVER] * 5, [3] * 10 + [4] * 10, 0, CANNOT_TELL),  # 5 and 5 of 20
    ],
)
def test_sat_saturates_sooner(sat, trades, number, outcome):
    verdict = saturates_sooner(intensity=frame(*saturating("demo:sat", sat), *saturating("TRADES", trades)))
    assert (verdict.outcome, verdict.n, verdict.number) == (outcome, 20, number)
    assert verdict.interval[0] <= number <= verdict.interval[1]


def test_more_is_not_sooner():
    """SAT ends three times as saturated; both come to half of real images' share at the same step."""
    made = frame(*saturating("SAT", [3] * 20, share=0.9), *saturating("TRADES", [3] * 20, share=0.3))
    assert saturates_more(intensity=made).outcome == HOLDS
    verdict = saturates_sooner(intensity=made)
    assert (verdict.outcome, verdict.number) == (CANNOT_TELL, 0)
    assert "first (0.00) minus that in which TRADES does (0.00)" in verdict.detail
    assert "median steps 3 and 3; eq7-pca" in verdict.detail


def test_where_neither_ever_saturates_it_cannot_tell():
    verdict = saturates_sooner(intensity=frame(*saturating("SAT", [3] * 20, 0.04), *saturating("TRADES", [NEVER] * 20)))
    assert (verdict.outcome, verdict.n) == (CANNOT_TELL, 0)
    assert verdict.detail.startswith("no chain of either gets to half")


def test_without_sat_or_with_few_chains_it_cannot_tell():
    lacking = saturates_sooner(intensity=frame(*many("MART")))
    assert (lacking.outcome, lacking.detail) == (
        CANNOT_TELL, "the table has not one network named SAT and one named TRADES",
    )  # fmt: skip
    gone = one("SAT", sample=19, status="nan")
    few = saturates_sooner(intensity=frame(*many("SAT", 19, rate=0.1), gone, *many("TRADES")))
    assert (few.outcome, few.n) == (CANNOT_TELL, 0)
    assert few.detail.startswith("19 pairs of chains; 20 are the fewest")
    assert few.detail.endswith("1 of 40 chains became NaN")
    assert saturates_more(intensity=frame(*many("SAT", 19), *many("TRADES"))).outcome == CANNOT_TELL
    none = saturates_sooner(intensity=frame(*many("SAT", status="nan"), *many("TRADES")))
    assert none.detail.startswith("0 pairs of chains")


@pytest.mark.parametrize(("claim", "rival"), [(same_step, SAME), (compensated, COMPENSATED)])
@pytest.mark.parametrize(
    ("plain", "momentum", "number", "outcome"),
    [
        (0.1, 0.3, 2, HOLDS),  # ends at -6 and -8, where the mean is -9
        (0.3, 0.1, -2, FAILS),
        (0.1, 9.0, 3, HOLDS),  # how far below the mean does not count
        (2.0, 1.0, 0, CANNOT_TELL),
    ],
)
def test_momentum_beats_plain_sgld(claim, rival, plain, momentum, number, outcome):
    made = [*many("SAT", slope=momentum), *many("SAT", method=rival, slope=plain)]
    verdict = claim(intensity=frame(*made))
    assert (verdict.outcome, verdict.n) == (outcome, 20)
    assert verdict.number == pytest.approx(number)
    assert f"E(x, y) itself: SAT {10 * (momentum - plain):+.3f}; " in verdict.detail
    assert verdict.detail.endswith(f"{rival} against {MOMENTUM}")


def test_momentum_is_judged_network_by_network():
    """Twenty nats nearer on one network do not make up for nothing on another, or for a little less."""
    assert of_networks(TRADES=(0.2, 0.1)).outcome == HOLDS
    even = of_networks(TRADES=(0.1, 0.1))
    assert (even.outcome, even.number) == (CANNOT_TELL, 0)
    assert "SAT +20.000 [20.000, 20.000], TRADES +0.000 [0.000, 0.000]" in even.detail
    worse = of_networks(TRADES=(0.1, 0.2))
    assert (worse.outcome, worse.number, worse.n) == (FAILS, pytest.approx(-1), 20)


def of_networks(**slopes):
    """The verdict on SAT, where momentum ends twenty nats nearer, and networks of these slopes, momentum's first."""
    made = []
    for model, (momentum, plain) in ({"SAT": (0.3, -1.7)} | slopes).items():
        made += many(model, slope=momentum) + many(model, method=SAME, slope=plain)
    return same_step(intensity=frame(*made))


def test_momentum_takes_chains_of_every_network():
    few = frame(*many("SAT", slope=0.3), *many("SAT", method=SAME, slope=0.1), *many("TRADES", 19, slope=0.3),
                *many("TRADES", 19, method=SAME, slope=0.1))  # fmt: skip
    verdict = same_step(intensity=few)
    assert (verdict.outcome, verdict.number) == (CANNOT_TELL, pytest.approx(2))
    assert "TRADES 19 pairs; 20 are the fewest" in verdict.detail


def test_by_chance_networks_seldom_decide():
    """Five networks without a difference: all five by chance never, one of five widened for five in one of 40."""
    rng = np.random.default_rng(0)
    outcomes = [
        each_network.above_zero("", {name: rng.normal(size=30) for name in "abcde"}, "").outcome for _ in range(40)
    ]
    assert outcomes.count(HOLDS) == 0
    assert outcomes.count(FAILS) <= 4


def test_without_a_plain_method_momentum_cannot_tell():
    verdict = same_step(intensity=frame(*many("SAT")))
    assert (verdict.outcome, verdict.n) == (CANNOT_TELL, 0)
    assert verdict.detail == "the table has no plain method like eq7-pca at the same step_size"
    gone = compensated(intensity=frame(*many("SAT"), *many("SAT", method=COMPENSATED, status="nan")))
    assert gone.outcome == CANNOT_TELL
    assert gone.detail.endswith("20 of 40 chains became NaN")
