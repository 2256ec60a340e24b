"""The figure of TRADES's terms from made courses: what it draws, and its claims' verdicts."""

import math

import numpy as np
import pandas as pd
import pytest
from made_courses import means
from matplotlib import rc_context

from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.errors import UserError
from energylens.plots import style

terms = paths.load("figures", "terms")
EPOCHS = np.arange(0, 101, 10)


def course(entropy, objective: str = "trades", **columns) -> pd.DataFrame:
    """Entropies of natural training images; adversarial ones, other attacks and splits mislead."""
    entropy = np.asarray(entropy, float)
    epochs = EPOCHS[: len(entropy)]
    own = means(objective, epochs, entropy_natural=entropy, entropy=entropy + 0.3, **columns)
    others = [means(objective, epochs, "common", split, entropy_natural=1.0) for split in ("train", "test")]
    return pd.concat([own, *others], ignore_index=True)


FALLS = np.linspace(math.log(10), 0.05, len(EPOCHS))
FIRST, LAST = FALLS[1], FALLS[-1]
"""of a trained network: epoch 0 does not count"""
CASES = [
    (terms.spread_at_first, FALLS, HOLDS, FIRST),
    (terms.spread_at_first, FALLS / 4, FAILS, FIRST / 4),
    (terms.spread_at_first, np.r_[math.log(10), FALLS[1:] / 4], FAILS, FIRST / 4),
    (terms.entropy_falls, FALLS, HOLDS, FIRST - LAST),
    (terms.entropy_falls, FALLS[::-1], FAILS, FALLS[-2] - FALLS[0]),
    (terms.entropy_falls, np.r_[math.log(10), np.ones(10)], CANNOT_TELL, 0),
    (terms.entropy_falls, np.r_[0, np.linspace(1.09, 1, 10)], CANNOT_TELL, 0.09),
    (terms.entropy_falls, np.r_[0, np.linspace(1, 1.09, 10)], CANNOT_TELL, -0.09),
    (terms.one_hot_at_the_end, FALLS, HOLDS, 0.05),
    (terms.one_hot_at_the_end, FALLS + 0.1, FAILS, 0.15),
]


@pytest.mark.parametrize(("claim", "entropy", "outcome", "number"), CASES)
def test_a_claim_is_decided_by_the_first_and_the_last_epoch(claim, entropy, outcome, number):
    verdict = claim(course(entropy))
    assert (verdict.outcome, verdict.n) == (outcome, len(EPOCHS) - 1)
    assert verdict.number == pytest.approx(number)


@pytest.mark.parametrize("claim", terms.CLAIMS)
def test_a_few_epochs_nan_and_other_trainings_cannot_tell(claim):
    assert claim(course(FALLS[:5])).detail == "TRADES: 4 measured epochs; 5 are the fewest"
    for frame in (course(FALLS[:5]), course(FALLS * np.nan), course(FALLS, "sat")):
        assert claim(frame).outcome == CANNOT_TELL


def test_epochs_that_are_nan_are_left_out():
    """The network diverged at the last two."""
    entropy = FALLS.copy()
    entropy[-2:] = np.nan
    verdict = terms.entropy_falls(course(entropy))
    assert (verdict.n, verdict.number) == (8, pytest.approx(FIRST - FALLS[8]))
    assert f"mean entropy {FIRST:.3f} at epoch 10 and" in verdict.detail
    assert f"that of {math.exp(FIRST):.2f} and" in verdict.detail


def test_it_shows_both_terms_their_sum_and_both_entropies():
    conditional, marginal = EPOCHS / 100, -EPOCHS / 150
    frame = course(FALLS, kl_conditional=conditional, kl_marginal=marginal)
    frame["attack"] = frame["attack"].replace("pgd-own", "pgd-kl-steps10")
    with rc_context(style.rc(terms.WIDTH)):
        figure = terms.draw(pd.concat([frame, course(FALLS * 2, "sat")]))
    left, right = figure.axes
    *lines, zero = left.lines
    for line, values in zip(lines, (conditional, marginal, conditional + marginal), strict=True):
        np.testing.assert_allclose(line.get_ydata(), values, atol=1e-12)
    assert set(zero.get_ydata()) == {0}
    natural, adversarial, start = right.lines
    np.testing.assert_allclose(natural.get_ydata(), FALLS)
    np.testing.assert_allclose(adversarial.get_ydata(), FALLS + 0.3)
    assert start.get_ydata()[0] == pytest.approx(math.log(10))
    assert figure.get_suptitle() == "TRADES: 100 images of train, eps 0.2, PGD-KL-10"


@pytest.mark.parametrize("frame", [course(FALLS, "sat"), course(FALLS, kl_conditional=np.nan, kl_marginal=np.nan)])
def test_a_table_without_terms_of_trades_is_told(frame):
    with pytest.raises(UserError, match=r"^terms cannot be drawn: no run of TRADES .*; give one"):
        terms.draw(frame)
