"""Scores over training seeds: Welch against scipy, verdicts and rankings made by hand, rows that count."""

import math

import numpy as np
import pandas as pd
import pytest
from made_accuracies import runs, table
from scipy import stats

from energylens import scores
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.errors import UserError
from energylens.score_claims import exceeds
from energylens.scores import ABOVE, BELOW, NONE, SINGLE, TIE

HIGH, LOW, SIMILAR = [50.0, 50.4, 50.8], [40.0, 40.2, 40.7, 40.1], [49.5, 50.3, 51.2]


def array(values) -> np.ndarray:
    return np.array(values, float)


@pytest.mark.parametrize("sizes", [(2, 2), (5, 5), (3, 9)])
def test_intervals_are_scipys(sizes):
    rng = np.random.default_rng(sum(sizes))
    ours, theirs = rng.normal(50, 1, sizes[0]), rng.normal(49, 3, sizes[1])
    known = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert scores.welch(ours, theirs) == pytest.approx((known.low, known.high))


def test_seeds_without_any_spread_tell_nothing_apart():
    """Two seeds of 100 of 200 images each, and two of 101: one image is no difference of methods."""
    assert np.isnan(scores.welch(array([50, 50]), array([40, 40, 40]))).all()
    for theirs in ([50, 50], [50.5, 50.5], [40, 40]):
        assert scores.compare(array([50, 50]), array(theirs)).verdict == TIE
    assert scores.compare(array([50, 50]), array([40, 40.5])).verdict != SINGLE
    assert scores.groups({"a": array([50.5, 50.5]), "b": array([50, 50])}) == [["a", "b"]]


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [(HIGH, LOW, ABOVE), (LOW, HIGH, BELOW), (HIGH, SIMILAR, TIE), (HIGH, [40], SINGLE), ([40], LOW, SINGLE),
     ([], LOW, NONE)],
)  # fmt: skip
def test_a_difference_says_whether_it_exceeds_the_spread(ours, theirs, verdict):
    found = scores.compare(array(ours), array(theirs))
    assert found.verdict == verdict
    assert math.isnan(found.low) == (verdict in (SINGLE, NONE))
    if ours:
        assert found.number == pytest.approx(np.mean(ours) - np.mean(theirs))


def test_a_table_has_mean_spread_and_difference_to_trades_of_the_same_data_and_measure():
    frame = pd.concat([
        table(trades={"clean": [80, 82], "pgd": LOW}, sat={"clean": [81], "pgd": HIGH}),
        runs("trades", "cifar10", pgd=[60, 61]),
    ])  # fmt: skip
    made = scores.table(scores.networks(frame)).set_index(["data", "measure", "objective"])
    sat = made.loc["digits", "pgd", "sat"]
    known = stats.ttest_ind(HIGH, LOW, equal_var=False).confidence_interval(0.95)
    assert [sat["mean"], sat["std"], sat["seeds"]] == pytest.approx([50.4, 0.4, 3])
    assert [sat["minus_trades"], sat["low"], sat["high"]] == pytest.approx([50.4 - 40.25, known.low, known.high])
    assert sat["verdict"] == ABOVE
    single = made.loc["digits", "clean", "sat"]
    assert (single["minus_trades"], single["verdict"]) == (pytest.approx(0), SINGLE)
    assert math.isnan(single["std"])
    trades = made.loc["digits", "pgd", "trades"]
    assert math.isnan(trades["minus_trades"])
    assert trades["verdict"] == ""
    assert made.loc["cifar10", "pgd", "trades"]["mean"] == pytest.approx(60.5)


def test_of_rows_of_one_run_and_attack_the_last_counts_and_of_attack_seeds_the_mean():
    again = runs("sat", pgd=[44])
    other = again.assign(attack="pgd-eps0.2-seed1", accuracy=0.46)
    (row,) = scores.networks(pd.concat([runs("sat", pgd=[40]), again, other])).to_dict("records")
    assert (row["accuracy"], row["network"]) == (pytest.approx(45), "sat-digits-small-resnet-1")
    with_column = pd.concat([again.assign(seed=0), again.assign(seed=1, accuracy=0.46)])
    assert scores.networks(with_column)["accuracy"].tolist() == pytest.approx([45])


def test_two_recipes_of_one_seed_are_refused_by_name():
    other = runs("sat", pgd=[44]).assign(model="sat-awp-1")
    with pytest.raises(UserError, match=r"^sat on digits has several runs of seed 1: sat-awp-1, sat-digits-small-resn"):
        scores.networks(pd.concat([runs("sat", pgd=[40, 42]), other]))
    with pytest.raises(UserError, match=r"; give one of them with --models$"):
        scores.networks(pd.concat([runs("sat", pgd=[40]), other.assign(measure="clean")]))
    assert len(scores.networks(pd.concat([runs("sat", pgd=[40]), other.assign(train_seed=2)]))) == 2
    assert len(scores.networks(pd.concat([runs("sat", pgd=[40]), other.assign(data="cifar10")]))) == 2


def test_networks_of_unknown_seed_go_by_their_names_and_those_of_unknown_recipe_are_left_out():
    frame = runs("sat", pgd=[40, 42]).assign(train_seed=None)
    foreign = runs("sat", pgd=[90]).assign(objective=None)
    assert scores.networks(pd.concat([frame, foreign]))["accuracy"].tolist() == pytest.approx([40, 42])


@pytest.mark.parametrize(("column", "other", "what"), [("arch", "resnet18", "architecture"), ("eps", 0.1, "eps")])
def test_runs_that_do_not_compare_are_told(column, other, what):
    frame = pd.concat([runs("sat", pgd=[40]), runs("trades", pgd=[40]).assign(**{column: other})])
    with pytest.raises(UserError, match=rf"the runs on digits differ in {what} \(.*{other}.*give those of one {what}"):
        scores.networks(frame)
    scores.networks(frame.assign(data=["digits", "cifar10"]))


def test_a_ranking_groups_what_is_not_told_apart_from_the_best_of_its_group():
    accuracies = {"low": LOW, "high": HIGH, "similar": SIMILAR, "single": [60.0], "last": [30.0, 30.1]}
    groups = scores.groups({name: array(values) for name, values in accuracies.items()})
    assert groups == [["high", "similar"], ["low"], ["last"]]
    assert scores.groups({"single": array([60])}) == []


def test_a_group_ends_where_its_best_exceeds_a_method_even_if_its_last_does_not():
    """52 (+-0.1), 51 (+-2), 50 (+-0.1): the second ties with both, the third is below the first."""
    accuracies = {"a": array([51.9, 52, 52.1]), "b": array([49, 51, 53]), "c": array([49.9, 50, 50.1])}
    assert scores.compare(accuracies["b"], accuracies["c"]).verdict == TIE
    assert scores.groups(accuracies) == [["a", "b"], ["c"]]


def claimed(frame, pairs=(("sat", "trades"),), measures=("pgd",)):
    return exceeds("SAT is better", scores.networks(frame), pairs, measures)


@pytest.mark.parametrize(
    ("sat", "trades", "outcome"),
    [(HIGH, LOW, HOLDS), (LOW, HIGH, FAILS), (HIGH, SIMILAR, CANNOT_TELL), ([50], LOW, CANNOT_TELL)],
)
def test_a_claim_follows_the_interval(sat, trades, outcome):
    verdict = claimed(table(sat={"pgd": sat}, trades={"pgd": trades}))
    assert (verdict.outcome, verdict.n) == (outcome, len(sat) + len(trades))
    assert verdict.number == pytest.approx(np.mean(sat) - np.mean(trades))


def test_a_claim_over_data_sets_holds_on_all_and_fails_on_one():
    above = table(sat={"pgd": HIGH}, trades={"pgd": LOW})
    for values, outcome in ((HIGH, FAILS), (LOW, HOLDS), ([*SIMILAR, 20], CANNOT_TELL)):
        other = LOW if outcome == FAILS else HIGH
        more = table(sat={"pgd": other, "data": "cifar10"}, trades={"pgd": values, "data": "cifar10"})
        verdict = claimed(pd.concat([above, more]))
        assert verdict.outcome == outcome
        assert "digits PGD-20, SAT minus TRADES +10.15 [" in verdict.detail
        if outcome == FAILS:
            assert verdict.number == pytest.approx(40.25 - 50.4)
            assert verdict.interval[1] < 0


def test_a_claim_says_what_it_lacks():
    alone = claimed(table(sat={"pgd": HIGH, "clean": HIGH}, trades={"clean": LOW}), measures=("pgd", "autoattack"))
    assert (alone.outcome, alone.n) == (CANNOT_TELL, 0)
    assert "TRADES on digits has no PGD-20, AutoAttack accuracy" in alone.detail
    part = pd.concat([table(sat={"pgd": HIGH}, trades={"pgd": LOW}), runs("sat", "cifar10", pgd=HIGH)])
    assert claimed(part).outcome == CANNOT_TELL
    assert "TRADES on cifar10 has no PGD-20" in claimed(part).detail
    nothing = exceeds("SAT is better", scores.networks(runs("sat", pgd=[1]).iloc[:0]), [("sat", "trades")], ["pgd"])
    assert (nothing.outcome, nothing.detail) == (CANNOT_TELL, "no runs")


def test_of_many_comparisons_those_above_are_counted():
    others = {name: {"pgd": LOW} for name in ("trades", "mart", "mail_trades", "weat_nat", "jeat")}
    frame = table(sat={"pgd": HIGH}, **others)
    pairs = [("sat", name.replace("_", "-")) for name in others]
    assert claimed(frame, pairs).detail == "percent; 5 of 5 above"
    frame.loc[frame["objective"] == "mart", "accuracy"] = [0.495, 0.503, 0.512, 0.5]
    assert "digits PGD-20, SAT minus MART +0.15 [" in claimed(frame, pairs).detail
    assert claimed(frame, pairs).detail.endswith("4 of 5 above")


def test_one_comparison_of_many_that_is_below_by_chance_does_not_fail_the_claim():
    """Below at 95 % alone, but not in the interval of five at once, by scipy."""
    ours, theirs = [50.0, 50.4, 50.2], [51.0, 50.7, 50.9]
    level = stats.ttest_ind(ours, theirs, equal_var=False)
    assert 0.01 < level.pvalue < 0.05
    others = {name: {"pgd": theirs if name == "mart" else ours} for name in ("trades", "mart", "jeat", "dyart", "mail")}
    frame = table(sat={"pgd": ours}, **others)
    assert claimed(frame, [("sat", "mart")]).outcome == FAILS
    assert claimed(frame, [("sat", name) for name in others]).outcome == CANNOT_TELL
    frame.loc[frame["objective"] == "mart", "accuracy"] += 0.02
    verdict = claimed(frame, [("sat", name) for name in others])
    wide = stats.ttest_ind(ours, np.add(theirs, 2), equal_var=False).confidence_interval(0.99)
    assert (verdict.outcome, verdict.interval) == (FAILS, pytest.approx((wide.low, wide.high)))
    assert verdict.detail.endswith("; the interval in front is that of 5 comparisons at once")
