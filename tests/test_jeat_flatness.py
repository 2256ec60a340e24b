"""jeat-flatness from made tables: lines of known slope, networks of known spread."""

import numpy as np
import pandas as pd
import pytest
from made_tables import rows
from matplotlib import rc_context

from energylens import paths
from energylens.attacks import Ray
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.errors import UserError
from energylens.plots import style
from energylens.recipe import shipped

figure_of = paths.load("figures", "jeat-flatness")
N = 60
NATURAL = np.linspace(-1, 1, N) / np.linspace(-1, 1, N).std(ddof=1)  # spread 1
STEPS = np.arange(9)


def table(slopes: dict, scale: dict | None = None, noise: float = 0.0, n: int = N) -> pd.DataFrame:
    """E(x) has mean -5 and spread `scale`; E(x + r u) - E(x) = scale slope r/eps, in all directions or in each."""
    frames, right = [], np.zeros(n, int)
    for place, (model, slope) in enumerate(slopes.items()):
        size = (scale or {}).get(model, 1.0)
        natural = size * NATURAL[:n] - 5
        frames.append(rows(model, "natural", "ref", natural, right, right, step=0))
        for direction in figure_of.TITLES:
            name = Ray(0.2, direction, times=2, steps=8).name
            along = slope if isinstance(slope, int | float) else slope[direction]
            noisy = along + noise * (2 * (np.arange(n) // (place + 1) % 2) - 1)  # half of the images each
            for step in STEPS:
                energy = natural + size * noisy * step / 4
                frames.append(rows(model, name, "ref", energy, right, right, step=step, eps=0.2))
    made = pd.concat(frames, ignore_index=True)
    made["model"] = pd.Categorical(made["model"], list(slopes))
    return made


def outcomes(made: pd.DataFrame) -> list[str]:
    return [claim(flatness=made).outcome for claim in figure_of.CLAIMS]


@pytest.mark.parametrize(
    ("slopes", "standard", "jeat", "low"),
    [
        ({"SAT": 1, "JEAT": 0.5, "standard": 2}, HOLDS, HOLDS, HOLDS),
        ({"SAT": -1, "JEAT": -0.5, "standard": 2}, HOLDS, HOLDS, FAILS),
        ({"SAT": 1, "JEAT": 1.5, "standard": 1.2}, FAILS, FAILS, HOLDS),
        ({"SAT": 0.5, "TRADES": 3, "standard": 2}, FAILS, CANNOT_TELL, HOLDS),
        ({"sat": 1, "jeat": 0.5}, CANNOT_TELL, HOLDS, HOLDS),
        ({"standard": 1}, CANNOT_TELL, CANNOT_TELL, CANNOT_TELL),
    ],
)
def test_claims(slopes, standard, jeat, low):
    made = table(slopes, noise=0.05)
    assert outcomes(made) == [standard] * 3 + [jeat] * 3 + [low]


def test_claims_are_of_their_direction():
    sat, jeat = {"random": 1, "fgsm": 0.5, "pgd": 2}, {"random": 0.5, "fgsm": 1, "pgd": 1}
    made = table({"SAT": sat, "JEAT": jeat, "standard": {"random": 2, "fgsm": 0.2, "pgd": 3}}, noise=0.01)
    assert outcomes(made) == [HOLDS, FAILS, HOLDS, HOLDS, FAILS, HOLDS, HOLDS]


def test_equal_slopes_and_few_images_cannot_tell():
    assert outcomes(table({"SAT": 1, "JEAT": 1, "standard": 1}, noise=0.5))[:6] == [CANNOT_TELL] * 6
    assert figure_of.CLAIMS[6](flatness=table({"SAT": 0.0}, noise=1.0)).outcome == CANNOT_TELL
    few = table({"SAT": 1, "JEAT": 0.5, "standard": 2}, n=19)
    assert outcomes(few) == [CANNOT_TELL] * 7
    assert "19 images; 20 are the fewest" in figure_of.CLAIMS[0](flatness=few).detail


def test_networks_without_a_slope_do_not_fail_by_their_number():
    """Five networks of slope 0 and independent noise: a claim is to fail by chance in 1 of 40 tables at most."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        noise = rng.normal(size=(100, 5))
        found.append(figure_of.all_above_zero("all rise", lambda rows, of=noise: of[rows].mean(0), 100, "").outcome)
    assert found.count(FAILS) <= 3
    assert found.count(HOLDS) == 0


def test_one_network_that_sinks_fails_for_all_and_the_least_is_told():
    values = np.stack([np.linspace(0, 2, 100), np.linspace(-3, -1, 100), np.linspace(-0.9, 1, 100)], axis=1)
    verdict = figure_of.all_above_zero("all rise", lambda rows: values[rows].mean(0), 100, "")
    assert (verdict.outcome, verdict.number) == (FAILS, pytest.approx(-2))
    open_ones = figure_of.all_above_zero("all rise", lambda rows: values[rows][:, [0, 2]].mean(0), 100, "")
    assert (open_ones.outcome, open_ones.number) == (CANNOT_TELL, pytest.approx(0.05))
    half = 2.2414 * values[:, 2].std() / 10  # 97.5 % on both sides of a normal mean of 100
    assert open_ones.interval == pytest.approx((0.05 - half, 0.05 + half), abs=0.02)


def test_networks_of_which_nothing_is_known_are_named_and_left_out():
    made = table({"SAT": 1, "mine": 9, "standard": 2}, noise=0.01)
    assert outcomes(made)[:3] == [HOLDS] * 3
    assert "; left out, nothing tells how they were trained: mine" in figure_of.CLAIMS[0](flatness=made).detail
    made["model_ref"] = "robustbench:cifar10/Linf/Standard"
    assert outcomes(made) == [CANNOT_TELL] * 7


def test_numbers_are_in_spreads_whatever_the_scale_of_the_logits():
    """A standard network of a tenth of SAT's energies moves less in nats, and is still the less flat one."""
    made = table({"SAT": 1, "JEAT": 0.5, "standard": 2}, scale={"SAT": 10, "standard": 0.1})
    verdict = figure_of.CLAIMS[0](flatness=made)
    assert verdict.outcome == HOLDS
    assert verdict.number == pytest.approx(1)  # 2 - 1 spreads at r = eps
    assert verdict.n == N
    assert "SAT 1.00 (10.00 nats), JEAT 0.50 (0.50 nats), standard 2.00 (0.20 nats)" in verdict.detail
    low = figure_of.CLAIMS[6](flatness=made)
    assert low.number == pytest.approx(0.5)


def test_images_without_a_number_in_one_network_are_left_out_of_all():
    made = table({"SAT": 1, "JEAT": 0.5, "standard": 2})
    made.loc[(made["sample"] == 3) & (made["model"] == "JEAT"), "energy"] = np.nan
    assert figure_of.CLAIMS[0](flatness=made).n == N - 1


def test_panels_have_a_line_a_network_in_nats_and_in_spreads():
    made = table({"SAT": 1, "standard": -2}, scale={"standard": 3})
    with rc_context(style.rc(figure_of.WIDTH)):
        figure = figure_of.draw(made)
    axes = np.array(figure.axes).reshape(2, 3)
    assert [ax.get_title() for ax in axes[0]] == list(figure_of.TITLES.values())
    for row, slopes in zip(axes, ((1, -6), (1, -2)), strict=True):
        for ax in row:
            for line, slope in zip(ax.lines, slopes, strict=False):
                np.testing.assert_allclose(line.get_xdata(), STEPS / 4)
                np.testing.assert_allclose(line.get_ydata(), slope * STEPS / 4, atol=1e-9)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["SAT: −5.00 ± 1.00", "standard: −5.00 ± 3.00"]
    assert "60 images of cifar10:test" in legend.get_title().get_text()


def test_a_table_without_rays_is_refused(made_table):
    with pytest.raises(UserError, match="the table has no rays, step by step; measure ray:times=2:steps=8"):
        figure_of.draw(made_table({"SAT": ([1.0] * 5, 1)}))


@pytest.mark.parametrize(("scale", "eps"), [("demo", 0.2), ("paper", 8 / 255)])
def test_eps_is_the_unit_of_every_ray(scale, eps):
    recipe = shipped("flatness", scale)
    assert [attack.direction for attack in recipe.attacks] == list(figure_of.TITLES)
    assert {(attack.eps, attack.radius) for attack in recipe.attacks} == {(eps, 2 * eps)}
    other = recipe.override(data="cifar100:test", eps=4 / 255)
    assert {(attack.eps, attack.radius) for attack in other.attacks} == {(4 / 255, 8 / 255)}
