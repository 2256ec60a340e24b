"""Courses of figures: means over runs, trends, and what a small title says."""

import numpy as np
import pandas as pd
import pytest
from made_courses import means
from scipy import stats

from energylens import courses


def test_runs_are_averaged_where_all_of_them_have_a_number():
    first = means("sat", [0, 1, 2, 3], delta_energy=[0.0, 1, np.nan, 3])
    second = means("sat", [3, 1, 0], delta_energy=[5.0, 2, 2]).assign(model="demo-sat-2")
    frame = pd.concat([first, second, means("sat", [0], role="common", delta_energy=9.0), means("trades", [0])])
    found = courses.of(frame, "sat", "delta_energy")
    assert found.to_dict() == {0: 1.0, 1: 1.5, 3: 4.0}
    assert courses.of(frame, "sat", "delta_energy", split="test").empty
    assert courses.of(frame, "mart", "delta_energy").empty


def test_a_training_with_pgd_20_has_one_attack_for_both_roles_and_no_other_stands_for_pgd_20():
    own, common = means("sat", [0], delta_energy=1.0), means("trades", [0], role="common", delta_energy=2.0)
    frame = pd.concat([own, common])
    assert courses.of(frame, "sat", "delta_energy", "common").empty
    assert courses.of(frame, "trades", "delta_energy", "own").to_dict() == {0: 2.0}


def test_a_change_is_scipys_line_with_its_interval():
    course = pd.Series([0.5, 0.4, 0.45, 0.3, 0.33], index=[10, 12, 16, 20, 30])
    rise, (low, high) = courses.change(course)
    line = stats.linregress(course.index, course)
    half = 20 * stats.t.ppf(0.975, 3) * line.stderr
    assert (rise, low, high) == pytest.approx((20 * line.slope, 20 * line.slope - half, 20 * line.slope + half))


def test_a_level_has_the_spread_about_its_line_wider_where_neighbours_are_alike():
    alternating = np.array([1.0, -2, 1, 1, -2, 1])  # no trend, neighbours unlike each other
    mean, (low, high) = courses.level(pd.Series(5 + alternating + 0.1 * np.arange(6)))
    half = stats.t.ppf(0.975, 4) * np.sqrt(12 / 4 / 6)
    assert (mean, low, high) == pytest.approx((5.25, 5.25 - half, 5.25 + half))
    alike = np.array([-1.0, -1, 2, 2, -1, -1])  # lag-1: (1 - 2 + 4 - 2 + 1) / 12
    mean, (low, high) = courses.level(pd.Series(alike))
    assert (mean, high) == pytest.approx((0, half * np.sqrt((1 + 1 / 6) / (1 - 1 / 6))))


def test_a_title_says_images_radius_and_runs():
    made = means("trades", [0, 1])
    assert courses.shown(made) == "100 images of train, eps 0.2"
    both = pd.concat([made, made.assign(split="test", n=2000), made.assign(model="b")]).assign(data="digits")
    assert courses.shown(both.assign(eps=8 / 255)) == (
        "digits, 100 images of train and 2,000 images of test, eps 8/255, mean over 2 runs"
    )
    uneven = pd.concat([both, means("sat", [0])])
    assert courses.shown(uneven).endswith("mean over up to 2 runs")


def test_of_how_many_trainings_images_are():
    made = pd.concat([means("sat", [0, 1]), means("trades", [0])])
    assert courses.trainings(made, ["objective", "subset"]) == "one training each"
    more = pd.concat([made, means("sat", [0]).assign(model="b")])
    assert courses.trainings(more, ["objective"]) == "2 trainings or 1 training each"


def test_an_attack_is_named_as_a_reader_knows_it():
    made = pd.concat([means("sat", [0, 1]).assign(attack="pgd-steps10"), means("sat", [0], "common", "test")])
    assert courses.attack(made, "sat") == "PGD-10"
