"""The alarms on made series, whose kinks are known, and what they ask of a table."""

import numpy as np
import pandas as pd
import pytest

from energylens import alarms
from energylens.errors import UserError

ROBUST = [alarms.robust_overfitting]
NOISE = 0.01


def series(delta, pgd=None, fgsm=None) -> pd.DataFrame:
    """A table of measurements at steps 0, 1, ..."""
    delta = np.asarray(delta, float)
    pgd = np.full(len(delta), 0.5) if pgd is None else pgd
    fgsm = np.full(len(delta), 0.6) if fgsm is None else fgsm
    return pd.DataFrame(
        {"step": np.arange(len(delta)), "delta_energy": delta, "pgd_accuracy": pgd, "fgsm_accuracy": fgsm}
    )


def broken(steps: int, kink: int, before: float, after: float, level: float = -0.2, seed: int | None = 0) -> np.ndarray:
    """A line of slope `before` up to a kink and of slope `after` behind it, with normal noise of 0.01."""
    step = np.arange(steps)
    noise = np.zeros(steps) if seed is None else np.random.default_rng(seed).normal(0, NOISE, steps)
    return level + before * np.minimum(step - kink, 0) + after * np.maximum(step - kink, 0) + noise


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kink", [10, 40, 78])
def test_a_kink_is_found_within_a_few_measurements(kink, seed):
    """SAT's third phase in figure 3 of the paper: from a slope of -0.0025 to -0.022 an epoch."""
    (alarm,) = alarms.of(series(broken(kink + 22, kink, -0.0025, -0.022, seed=seed)))
    assert alarm.kind == "robust overfitting"
    assert abs(alarm.since - kink) <= 3
    assert alarm.since + alarms.AFTER <= alarm.step <= kink + 9
    assert alarm.number < -2 * NOISE


READ_OFF = {
    "SAT": ([0, 10, 38, 78, 100], [-0.02, -0.165, -0.16, -0.26, -0.74], 0.02),
    "TRADES": ([0, 10, 78, 100], [0.01, 0, -0.02, -0.06], 0.002),
}
"""figure 3 of the paper: epochs, Delta E(x) as read off the plot, and the noise that the test adds"""


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", READ_OFF)
def test_the_third_phase_of_the_papers_figure_3_is_found(name, seed):
    """It begins at about epoch 78; PGD error falls from 0.75 to less than 0.5 meanwhile."""
    *points, noise = READ_OFF[name]
    epoch = np.arange(101)
    delta = np.interp(epoch, *points) + np.random.default_rng(seed).normal(0, noise, 101)
    (alarm,) = alarms.of(series(delta, 1 - np.interp(epoch, [0, 10, 80], [0.75, 0.58, 0.475])))
    assert alarm.since == pytest.approx(78, abs=3)
    assert alarm.step <= 88


def test_without_noise_the_kink_is_exact_and_the_number_is_the_drop():
    (alarm,) = alarms.of(series(broken(40, 25, 0, -0.05, seed=None)))
    assert (alarm.since, alarm.step) == (25, 25 + alarms.AFTER)
    assert alarm.number == pytest.approx(-0.05 * alarms.AFTER)
    assert str(alarm).startswith(
        "robust overfitting since step 25: Delta E(x) began to fall, to -0.400 nats at step 29"
    )


@pytest.mark.parametrize("slope", [0, -0.005, 0.005])
def test_a_noisy_line_without_a_kink_gives_no_alarm(slope):
    """Flat, slowly and steadily falling, rising: an alarm in one of 20 runs of 100 measurements at most."""
    lines = (series(broken(100, 0, slope, slope, seed=seed)) for seed in range(40))
    assert sum(bool(alarms.of(line, ROBUST)) for line in lines) <= 2


@pytest.mark.parametrize("slope", [0, -0.005, 0.005])
def test_a_line_without_noise_gives_no_alarm(slope):
    assert not alarms.of(series(broken(60, 0, slope, slope, seed=None)))


def test_a_fall_that_slows_down_gives_no_alarm():
    """As Delta E does in the first phase of adversarial training, and a network that comes back from a low."""
    step = np.arange(60)
    assert not alarms.of(series(-0.3 * (1 - np.exp(-step / 8))))
    assert not alarms.of(series(np.concatenate([np.linspace(-0.5, -0.1, 30), np.linspace(-0.1, -0.3, 30)])))


@pytest.mark.parametrize("place", [5, 20, 39])
@pytest.mark.parametrize("size", [-2, 2])
def test_one_outlier_gives_no_alarm(place, size):
    delta = broken(40, 0, 0, 0)
    delta[place] += size
    assert not alarms.of(series(delta))


def test_a_few_measurements_give_no_alarm_and_the_fewest_that_can_do():
    delta = broken(20, alarms.BEFORE - 1, 0, -0.1, seed=None)
    fewest = alarms.BEFORE + alarms.AFTER
    for rows in range(fewest):
        assert not alarms.of(series(delta[:rows]))
    assert alarms.of(series(delta[:fewest]))[0].step == fewest - 1


def test_a_network_that_only_begins_to_learn_gives_no_alarm():
    """Delta E is 0 while accuracy is at chance, and falls when it learns."""
    delta, pgd = broken(30, 15, 0, -0.05), np.where(np.arange(30) <= 15, 0.1, 0.4)
    assert not alarms.of(series(delta, pgd))
    assert alarms.of(series(delta, np.full(30, 0.4)))


def collapse(lost=0.02, fgsm=0.9, delta=1.5, rows=2) -> pd.DataFrame:
    """Ten measurements of PGD accuracy 0.5 and Delta E -0.3, then some of a collapse."""
    after = np.arange(12) >= 10
    made = series(np.where(after, delta, -0.3), np.where(after, lost, 0.5), np.where(after, fgsm, 0.6))
    return made.iloc[: 10 + rows]


@pytest.mark.parametrize("delta", [1.5, -1.5])
def test_a_collapse_under_pgd_alone_is_catastrophic_overfitting(delta):
    (alarm,) = alarms.of(collapse(delta=delta))
    assert (alarm.kind, alarm.step, alarm.since) == ("catastrophic overfitting", 11, 0)
    assert alarm.number == pytest.approx(0.02 - 0.5)
    assert "PGD accuracy fell from 50.0% to 2.0% at step 11 while FGSM accuracy is 90.0%" in alarm.text
    assert "grew from 0.300 to 1.500 nats" in alarm.text


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"rows": 1}, "one measurement may be noise"),
        ({"lost": 0.3}, "PGD accuracy fell by less than half"),
        ({"fgsm": 0.3}, "FGSM accuracy fell as well: the network forgot"),
        ({"delta": -0.5}, "|Delta E| did not double"),
    ],
)
def test_less_than_a_collapse_is_none(changed, why):
    assert not alarms.of(collapse(**changed)), why


def test_a_table_looked_at_afterwards_says_what_was_said_while_it_grew():
    """The first alarm of each kind, and none that later rows change; `epoch` is as good as `step`."""
    table = series(broken(60, 30, 0, -0.05))
    table.loc[50:, ["pgd_accuracy", "fgsm_accuracy", "delta_energy"]] = [0.01, 0.95, 8.0]
    found = alarms.of(table)
    assert [alarm.kind for alarm in found] == ["robust overfitting", "catastrophic overfitting"]
    assert found == [alarm for alarm in alarms.of(table.rename(columns={"step": "epoch"}))]
    for alarm in found:
        assert alarm in alarms.of(table.iloc[: alarm.step + 1])
        assert alarm not in alarms.of(table.iloc[: alarm.step])


def test_rows_that_are_no_numbers_are_left_out():
    delta = broken(60, 30, 0, -0.05, seed=None)
    whole = alarms.of(series(delta), ROBUST)
    delta[45] = np.nan
    assert alarms.of(series(delta), ROBUST) == whole


def test_mistakes_are_told_in_a_line():
    table = series(np.zeros(5))
    with pytest.raises(UserError, match="the table has no column step, pgd_accuracy; alarms want one as energylens"):
        alarms.of(table[["delta_energy"]])
    with pytest.raises(UserError, match="no column fgsm_accuracy"):
        alarms.of(table.drop(columns="fgsm_accuracy"))
    with pytest.raises(UserError, match="the column step does not grow from row to row; give the rows of one run"):
        alarms.of(table.iloc[::-1])
