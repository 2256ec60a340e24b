"""Figure 3 from made courses with known phases: what it draws, and its claims' verdicts."""

import numpy as np
import pandas as pd
import pytest
from made_courses import means
from matplotlib import rc_context

from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.plots import style

fig3 = paths.load("figures", "fig3")
PAPER = fig3.PAPER
EPOCHS = np.arange(101)


def read_off(what: str, objective: str, epochs=EPOCHS) -> np.ndarray:
    """The published curve, straight between the readings."""
    points = PAPER[what][objective]
    return np.interp(epochs, list(points), list(points.values()))


def run(objective: str, delta, error, epochs=EPOCHS) -> pd.DataFrame:
    """Delta E of training images under the own attack, the error of test images under PGD-20; others mislead."""
    own = means(objective, epochs, delta_energy=delta)
    common = means(objective, epochs, role="common", delta_energy=np.asarray(delta) / 2, accuracy=0.99)
    test = means(objective, epochs, role="common", split="test", delta_energy=7.0, accuracy=1 - np.asarray(error))
    return pd.concat([own, common, test], ignore_index=True)


def published(noise: float = 0, seed: int = 0, epochs=EPOCHS) -> pd.DataFrame:
    """Both runs as read off the figure, with normal noise on SAT's Delta E, and a tenth of it on the errors."""
    rng = np.random.default_rng(seed)
    frames = []
    for name in ("sat", "trades"):
        delta, error = (read_off(what, name, epochs) for what in ("delta_energy", "error"))
        delta += rng.normal(0, noise if name == "sat" else 0, len(epochs))
        frames.append(run(name, delta, error + rng.normal(0, noise / 10, len(epochs)), epochs))
    return pd.concat(frames, ignore_index=True)


def sat(delta, error=0.5, epochs=EPOCHS) -> pd.DataFrame:
    return run("sat", delta, np.broadcast_to(error, len(epochs)), epochs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0, 0.01, 0.02])
def test_the_published_curves_have_the_papers_three_phases(noise, seed):
    frame = published(noise, seed)
    found = fig3.bends(fig3.delta(frame, "sat"))
    assert found.epochs == (pytest.approx(10, abs=3), pytest.approx(78, abs=4))
    assert found.slopes == pytest.approx((-0.0145, -0.0015, -0.022), abs=0.004)
    verdict = fig3.three_phases(frame)
    assert (verdict.outcome, verdict.n) == (HOLDS, 101)
    assert verdict.number > 0


def test_known_kinks_are_found_with_fewer_epochs():
    """A fall of 0.1 an epoch to epoch 4, none to epoch 14, 0.2 an epoch to epoch 20."""
    epochs = np.arange(21)
    delta = -0.1 * np.minimum(epochs, 4) - 0.2 * np.maximum(epochs - 14, 0)
    found = fig3.bends(fig3.delta(sat(delta, epochs=epochs), "sat"))
    assert found.epochs == (4, 14)
    assert found.slopes == pytest.approx((-0.1, 0, -0.2), abs=1e-9)
    assert found.falls_from == 14


NO_PHASES = {
    "a straight fall": -0.01 * EPOCHS,
    "no first phase": -0.02 * np.maximum(EPOCHS - 78, 0),
    "no third phase": -0.02 * np.minimum(EPOCHS, 10),
    "a second phase as steep as half of the first and more": np.interp(EPOCHS, [0, 10, 78, 100], [0, -0.1, -0.6, -2]),
    "a rise at the end": np.interp(EPOCHS, [0, 10, 78, 100], [0, -0.2, -0.25, 0.5]),
    "a rise at the start": np.interp(EPOCHS, [0, 10, 78, 100], [-0.3, -0.1, -0.12, -0.9]),
    "a fall that slows down": np.interp(EPOCHS, [0, 30, 60, 100], [0, -0.1, -2, -2.4]),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NO_PHASES)
def test_other_courses_have_not(name, seed):
    delta = NO_PHASES[name] + np.random.default_rng(seed).normal(0, 0.005, 101)
    assert fig3.three_phases(sat(delta)).outcome == FAILS


def test_noise_and_random_walks_have_hardly_ever_kinks_or_phases():
    noise = np.random.default_rng(0).normal(size=(60, 40))
    assert sum(len(fig3.bends(pd.Series(values)).epochs) for values in noise) <= 1
    walks = [fig3.bends(pd.Series(np.cumsum(values - 0.3))) for values in noise]
    assert sum(walk.phased for walk in walks) <= 3


def test_phases_that_noise_could_have_made_cannot_tell():
    """The best line has three phases, and beats one with one kink by less than 10."""
    epochs = np.arange(30)
    delta = np.interp(epochs, [0, 5, 22, 29], [0, -0.3, -0.35, -1]) - 0.06 * (-1.0) ** epochs
    frame = sat(delta, epochs=epochs)
    assert not fig3.bends(fig3.delta(frame, "sat")).phased
    verdict = fig3.three_phases(frame)
    assert verdict.outcome == CANNOT_TELL
    assert 0 < verdict.number < 10
    assert "kinks at epochs" in verdict.detail
    assert len(drawn(frame).axes[0].texts) == 0


@pytest.mark.parametrize("claim", fig3.CLAIMS)
def test_no_claim_is_decided_by_a_few_epochs_or_without_its_runs(claim):
    few = published(epochs=np.arange(0, 100, 10))
    assert claim(few[few["epoch"] < 20]).outcome == CANNOT_TELL
    others = few[few["objective"] == "trades"]
    assert claim(others).outcome == CANNOT_TELL
    assert claim(few.assign(delta_energy=np.nan)).outcome == CANNOT_TELL


def test_phases_take_twelve_epochs():
    many = published(epochs=np.linspace(0, 100, 12).astype(int))
    assert fig3.three_phases(many).outcome != CANNOT_TELL
    assert "11 measured epochs; 12 are the fewest" in fig3.three_phases(many[many["epoch"] < 100]).detail


THIRD = np.maximum(EPOCHS - 78, 0)
FALLING = 0.7 - 0.002 * np.minimum(EPOCHS, 78)


@pytest.mark.parametrize(
    ("slope", "outcome"),
    [(0.001, HOLDS), (0, HOLDS), (-0.002, FAILS)],
    ids=["rises", "stops falling", "falls on as before"],
)
def test_the_error_from_the_steep_fall_on(slope, outcome):
    noise = np.random.default_rng(0).normal(0, 0.001, 101)
    verdict = fig3.error_stops_falling(sat(read_off("delta_energy", "sat"), FALLING + slope * THIRD + noise))
    assert (verdict.outcome, verdict.n) == (outcome, pytest.approx(23, abs=2))
    assert verdict.number == pytest.approx(22 * slope, abs=0.006)
    assert verdict.interval[0] < verdict.number < verdict.interval[1]


def test_the_published_error_stops_falling():
    verdict = fig3.error_stops_falling(published())
    assert verdict.outcome == HOLDS
    assert "at the end 0.488, 0.013 above its lowest, at epoch 80" in verdict.detail


def test_a_noisy_error_and_a_delta_without_a_steep_fall_cannot_tell():
    noise = np.random.default_rng(1).normal(0, 0.1, 101)
    assert fig3.error_stops_falling(sat(read_off("delta_energy", "sat"), FALLING + noise)).outcome == CANNOT_TELL
    verdict = fig3.error_stops_falling(sat(-0.01 * EPOCHS))
    assert (verdict.outcome, "no steep fall of Delta E(x): no kink" in verdict.detail) == (CANNOT_TELL, True)


def test_a_steep_fall_that_levels_off_is_one_all_the_same():
    """Without the phases before it: nearly flat to epoch 30, down to epoch 60, nearly flat again."""
    frame = sat(NO_PHASES["a fall that slows down"], 0.5 + 0.001 * EPOCHS)
    verdict = fig3.error_stops_falling(frame)
    assert (verdict.outcome, verdict.n, verdict.number) == (HOLDS, 71, pytest.approx(0.07))


def test_three_epochs_behind_the_kink_are_too_few():
    epochs = np.arange(15)
    verdict = fig3.error_stops_falling(sat(-0.1 * np.maximum(epochs - 12, 0), epochs=epochs))
    assert (verdict.outcome, verdict.detail) == (CANNOT_TELL, "from epoch 12 on, 3 measured epochs; 4 are the fewest")


def test_trades_is_compared_with_sat_in_the_last_quarter():
    verdict = fig3.trades_stays_closer_to_zero(published())
    both = abs(read_off("delta_energy", "sat")) - abs(read_off("delta_energy", "trades"))
    assert (verdict.outcome, verdict.n) == (HOLDS, 26)
    assert verdict.number == pytest.approx(both[75:].mean())
    assert f"under PGD-20 {both[75:].mean() / 2:.3f}" in verdict.detail


def test_trades_that_drifts_further_fails_and_one_that_crosses_cannot_tell():
    swapped = published().replace({"objective": {"sat": "trades", "trades": "sat"}})
    assert fig3.trades_stays_closer_to_zero(swapped).outcome == FAILS
    crossing = [sat(np.full(101, -0.3)), run("trades", np.linspace(0, -0.35, 101), np.full(101, 0.5))]
    assert fig3.trades_stays_closer_to_zero(pd.concat(crossing)).outcome == CANNOT_TELL


def test_the_same_course_with_noise_is_decided_in_less_than_5_percent():
    """TRADES and SAT at -0.3 nats, five epochs."""
    epochs, decided = np.arange(16, 21), 0
    for seed in range(100):
        a, b = np.random.default_rng([seed, 5]).normal(-0.3, 0.1, (2, 5))
        both = pd.concat([means("sat", epochs, delta_energy=a), means("trades", epochs, delta_energy=b)])
        decided += fig3.trades_stays_closer_to_zero(both).outcome != CANNOT_TELL
    assert decided <= 5


@pytest.mark.parametrize(("trades", "outcome"), [(-0.26, HOLDS), (-0.34, FAILS), (-0.28, CANNOT_TELL)])
def test_less_than_a_tenth_apart_cannot_tell(trades, outcome):
    frames = [means("sat", EPOCHS, delta_energy=-0.3), means("trades", EPOCHS, delta_energy=trades)]
    verdict = fig3.trades_stays_closer_to_zero(pd.concat(frames))
    assert (verdict.outcome, verdict.number) == (outcome, pytest.approx(0.3 + trades))
    assert verdict.interval == pytest.approx((verdict.number,) * 2)


def drawn(frame: pd.DataFrame):
    with rc_context(style.rc(fig3.WIDTH)):
        return fig3.draw(frame)


def test_it_shows_errors_left_and_delta_right_with_the_phases_boxed():
    pieces = np.interp(EPOCHS, [0, 10, 78, 100], [0, -0.165, -0.26, -0.74])
    trades = run("trades", read_off("delta_energy", "trades"), read_off("error", "trades"))
    left, right = drawn(pd.concat([sat(pieces, read_off("error", "sat")), trades])).axes
    sat_error, trades_error, *marks = left.lines
    np.testing.assert_allclose(sat_error.get_ydata(), read_off("error", "sat"))
    np.testing.assert_allclose(right.lines[0].get_ydata(), pieces)
    np.testing.assert_allclose(right.lines[1].get_ydata(), read_off("delta_energy", "trades"))
    assert [line.get_linestyle() for line in (*left.lines[:2], *right.lines)] == ["-", "-.", "-", "-."]
    assert {line.get_color() for line in (sat_error, trades_error)} == {"tab:blue"}
    assert {line.get_color() for line in right.lines} == {"tab:green"}
    assert [(line.get_xdata()[0], line.get_linestyle()) for line in marks] == [(10, "--"), (78, "--")]
    assert [text.get_text() for text in left.texts] == ["1st Phase", "2nd Phase", "3rd Phase"]
    assert [text.get_position()[0] for text in left.texts] == [5, 44, 89]


def test_it_marks_no_phases_where_there_are_none_and_draws_any_objective():
    frame = pd.concat([sat(NO_PHASES["no first phase"]), run("mine$", EPOCHS * 0.0, EPOCHS * 0.001)])
    left, _ = drawn(frame).axes
    assert (len(left.lines), len(left.texts)) == (2, 0)
    left, _ = drawn(frame[frame["objective"] != "sat"]).axes
    assert len(left.lines) == 1
