"""Figures 1b-d from made trainings: which epoch, where each arrow runs, and claims with known answers."""

import numpy as np
import pandas as pd
import pytest
from made_courses import images
from matplotlib import rc_context
from matplotlib.quiver import Quiver
from scipy import stats

from energylens import drift as drifting
from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.errors import UserError
from energylens.plots import arrows, style

N = 40
RNG = np.random.default_rng(0)
ENERGY = np.linspace(-9, -3, N)
CE = np.linspace(0.1, 2, N)
NOISE = RNG.permutation(CE)
DRIFTS = ["fig1b", "fig1c", "fig1d"]


def course(objective="sat", epochs=(0, 1, 2, 3), energy=ENERGY, bend=CE[::-1], ce=CE, broken=(), **more):
    """A training whose images raise their energies by `bend` times the epoch."""
    more = {"joint": energy + ce, "right_adv": ~np.isin(np.arange(len(energy)), broken)} | more
    frames = [
        images(objective, epoch, energy, energy + bend * epoch, joint_adv=energy + ce + 3 * bend * epoch, **more)
        for epoch in epochs
    ]
    return pd.concat(frames, ignore_index=True)


def drawn(name, made):
    module = paths.load("figures", name)
    with rc_context(style.rc(module.WIDTH)):
        figure = module.draw(drift=made)
        figure.draw_without_rendering()
    return figure


def quiver(figure, panel=0) -> Quiver:
    return next(artist for artist in figure.axes[panel].collections if isinstance(artist, Quiver))


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [((0, 1, 2, 3, 4), (1, 2, 4)), ((0, 3, 6, 75), (3, 6, 75)), ((100,), (100, 100, 100)), ((0,), (0, 0, 0))],
)
def test_the_first_epoch_is_after_the_start_and_the_middle_is_nearest_to_half(epochs, expected):
    rows = drifting.of_run(course(epochs=epochs))
    assert tuple(drifting.epoch(rows, at) for at in ("first", "middle", "last")) == expected


@pytest.mark.parametrize(("name", "epoch"), [("fig1b", 1), ("fig1c", 2), ("fig1d", 4)])
def test_arrows_run_from_natural_to_adversarial_images_of_the_figures_epoch(name, epoch):
    figure = drawn(name, course(epochs=(0, 1, 2, 3, 4)))
    ax, found = figure.axes[0], quiver(figure)
    order = np.argsort(found.X)
    bend = CE[::-1] * epoch
    assert found.X[order] == pytest.approx(ENERGY)
    assert found.Y[order] == pytest.approx(ENERGY + CE)
    assert found.U[order] == pytest.approx(bend)
    assert found.V[order] == pytest.approx(3 * bend)
    assert found.get_array().data[order] == pytest.approx(np.sqrt(10) * bend)
    assert ax.get_title() == f"SAT under PGD-20, epoch {epoch}\n40 images of digits:train"
    (line,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert line.get_slope() == 1
    assert line.get_color() == "black"
    for low, high, ends in (
        (*ax.get_xlim(), np.concatenate([found.X, found.X + found.U])),
        (*ax.get_ylim(), np.concatenate([found.Y, found.Y + found.V])),
    ):
        assert low < ends.min() < ends.max() < high
    assert ax.get_xlabel() == r"$E_\theta(x)$ [nats]"
    assert "nats" in figure.axes[1].get_ylabel()


def test_arrows_have_the_length_of_the_axes():
    """A quiver is told so by these three settings."""
    found = quiver(drawn("fig1d", course()))
    assert (found.angles, found.scale_units, found.scale) == ("xy", "xy", 1)


def test_longer_drifts_are_darker():
    shades = arrows.SHADES([0.0, 0.5, 1.0])[:, :3] @ [0.3, 0.6, 0.1]
    assert (np.diff(shades) < -0.2).all()


def test_many_images_have_a_fixed_draw_of_arrows_and_the_title_says_so():
    many = np.linspace(-9, -3, 1500)
    made = course(epochs=(1, 2), energy=many, bend=np.ones(1500), ce=np.ones(1500))
    first, last = drawn("fig1b", made), drawn("fig1d", made)
    assert "300 of 1,500 images" in first.axes[0].get_title()
    assert len(quiver(first).X) == 300
    assert sorted(quiver(first).X) == sorted(quiver(last).X)
    assert np.ptp(quiver(first).X) > 5  # not the first ones


def test_the_title_names_the_attack_as_it_was():
    made = course(objective="trades")
    made["attack"] = made["attack"].replace({"pgd-own": "pgd-kl-eps0.2-steps5"})
    assert drawn("fig1b", made).axes[0].get_title().startswith("TRADES under PGD-KL-5, epoch 1\n")


def test_of_several_runs_sats_own_attack_is_shown():
    common = course(role="common", bend=10 * CE, epochs=(1,))
    made = pd.concat([course(objective="trades", bend=-CE), course(), common[common["role"] == "common"]])
    assert drifting.snapshot(made, "first")["energy"].to_numpy() == pytest.approx(ENERGY + CE[::-1])
    others = made[made["objective"] != "sat"]
    assert drifting.snapshot(others, "first")["energy"].to_numpy() == pytest.approx(ENERGY - CE)


def test_without_attacked_images_it_says_what_to_type():
    made = course()
    with pytest.raises(UserError, match=r"no attacked images.*--energies-every 1"):
        drifting.of_run(made[made["role"] == "natural"])
    with pytest.raises(UserError, match="no attacked images"):
        drifting.of_run(made.iloc[:0])


def test_images_without_a_number_are_left_out():
    made = course()
    made.loc[(made["sample"] == 3) & (made["epoch"] == 3), "energy"] = np.nan
    assert len(quiver(drawn("fig1d", made)).X) == N - 1
    assert paths.load("figures", "fig1d").CLAIMS[0](drift=made).n == N - 1


def verdict_of(claim: int, **how):
    return paths.load("figures", "fig1d").CLAIMS[claim](drift=course(epochs=(0, 2, 3), **how))


@pytest.mark.parametrize(("bend", "outcome"), [(CE[::-1], HOLDS), (CE, FAILS), (NOISE, CANNOT_TELL)])
@pytest.mark.parametrize("sign", [1, -1])
def test_near_zero_loss_the_energy_bends_more(bend, outcome, sign):
    """By |Delta E|, whichever way the energy moves."""
    verdict = verdict_of(0, bend=sign * bend)
    assert verdict.outcome == outcome
    assert verdict.number == pytest.approx(stats.spearmanr(CE, bend).statistic)
    assert verdict.interval[0] <= verdict.number <= verdict.interval[1]
    assert verdict.n == N
    assert f"at epoch 3; by epoch: 0 +nan, 2 {verdict.number:+.2f}, 3 {verdict.number:+.2f}" in verdict.detail


@pytest.mark.parametrize(
    ("ce", "high", "low"), [(CE[::-1], HOLDS, FAILS), (CE, FAILS, HOLDS), (NOISE, CANNOT_TELL, CANNOT_TELL)]
)
def test_the_papers_two_sentences_on_loss_and_energy_have_opposite_rules(ce, high, low):
    found = [verdict_of(claim, ce=ce) for claim in (2, 3)]
    assert [verdict.outcome for verdict in found] == [high, low]
    for verdict in found:
        assert verdict.number == pytest.approx(stats.spearmanr(ce, ENERGY).statistic)
        assert f"Pearson {stats.pearsonr(ce, ENERGY).statistic:+.2f}" in verdict.detail
        assert verdict.interval[0] <= verdict.number <= verdict.interval[1]


MANY = np.linspace(-9, -3, 80)


@pytest.mark.parametrize(
    ("broken", "outcome", "auroc"),
    [(range(50, 80), HOLDS, 1), (range(30), FAILS, 0), (range(0, 80, 2), CANNOT_TELL, 0.4875)],
)
def test_attacks_succeed_at_high_energy(broken, outcome, auroc):
    """Every other image broken, the lower one of each pair: of 40 x 40 pairs 780 have the broken one higher."""
    verdict = verdict_of(1, energy=MANY, bend=MANY, ce=np.ones(80), broken=list(broken))
    assert verdict.outcome == outcome
    assert verdict.number == pytest.approx(auroc)
    assert verdict.n == 80
    assert f"epoch 3: {len(list(broken))} of 80 images that were right" in verdict.detail


def test_success_is_asked_only_of_images_that_were_right():
    """The images of high energy were wrong before the attack, so that nothing is left to tell of them."""
    right = np.arange(80) < 60
    made = course(energy=MANY, bend=MANY, ce=np.ones(80), broken=range(60, 80), right=right)
    verdict = paths.load("figures", "fig1d").CLAIMS[1](drift=made)
    assert verdict.outcome == CANNOT_TELL
    assert "0 of 60 images that were right were broken; 20 of each kind" in verdict.detail


def test_each_figure_asks_about_its_own_epoch():
    made = pd.concat([course(epochs=(1,), bend=CE), course(epochs=(2, 4))])
    outcomes = [paths.load("figures", name).CLAIMS[0](drift=made).outcome for name in DRIFTS]
    assert outcomes == [FAILS, HOLDS, HOLDS]
    assert all(claim.__doc__.startswith(("Rank", "AUROC", "The paper")) for claim in drifting.claims("last"))


def test_few_or_equal_images_cannot_tell():
    few = [verdict_of(claim, energy=ENERGY[:10], bend=CE[:10], ce=CE[:10]) for claim in range(4)]
    assert {verdict.outcome for verdict in few} == {CANNOT_TELL}
    equal = verdict_of(0, bend=np.ones(N))
    assert (equal.outcome, equal.detail) == (CANNOT_TELL, "all 40 images have the same value")
