"""Figure 5e from made chains: the curves of all classes, the level, and claims with known answers."""

import numpy as np
import pytest
from made_chains import chain, frame
from matplotlib import rc_context

from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.errors import UserError
from energylens.plots import style

fig5e = paths.load("figures", "fig5e")
target_falls, ends_at_the_level, others_rise = fig5e.CLAIMS
K = 4
STEP = np.arange(11)


def one(sample, label, start=-5.0, end=-9.0, rise=1.0, classes=K, model="SAT", **columns):
    """A chain on straight lines: E(x, label) from start to end, E(x, k) from k, rising by `rise` in all."""

    def logits(step):
        energies = np.arange(classes) + rise * step / 10
        energies[label] = start + (end - start) * step / 10
        return -energies

    return chain(model, "eq7-pca", sample, label, logits, **columns)


def several(count=20, **settings):
    """Chains of all classes in turn, whose target starts up to half a nat apart."""
    start = settings.pop("start", -5.0)
    return [one(i, i % K, start=start + 0.025 * i, **settings) for i in range(count)]


def drawn(*made):
    with rc_context(style.rc(fig5e.WIDTH)):
        figure = fig5e.draw(target_chains=frame(*made))
        figure.draw_without_rendering()
    return figure


def test_all_classes_are_drawn_for_the_first_class_of_the_table():
    figure = drawn(one(3, 2, start=-5), one(4, 0, start=50), one(5, 2, start=-3), one(6, 2, model="TRADES", start=70))
    (ax,) = figure.axes
    target, level, *others = ax.lines
    assert target.get_xdata() == pytest.approx(STEP)
    assert target.get_ydata() == pytest.approx(-4 + (-9 + 4) * STEP / 10)
    assert level.get_ydata() == pytest.approx([-9, -9])
    assert level.get_linestyle() == "--"
    for k, line in zip((0, 1, 3), others, strict=True):
        assert line.get_label() == str(k)
        assert line.get_ydata() == pytest.approx(k + STEP / 10)
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    assert sorted(corners[corners[:, 0] == 0][:, 1])[0] == pytest.approx(-4.5)  # the lower quartile of -5 and -3
    assert figure.get_suptitle() == "SAT generates class 2\neq7-pca, digits: mean over 2 chains"
    assert figure.get_size_inches()[0] == style.TEXT_WIDTH_IN


def test_classes_of_cifar10_have_names_and_of_many_classes_only_the_target_has_one():
    figure = drawn(one(0, 3, data="cifar10"))
    (ax,) = figure.axes
    assert figure.get_suptitle() == "SAT generates class cat\neq7-pca, cifar10: mean over 1 chain"
    assert [line.get_label() for line in ax.lines] == [
        "cat, the target", "cat, training images", "airplane", "automobile", "bird",
    ]  # fmt: skip
    figure = drawn(one(0, 7, classes=20))
    assert len(figure.axes[0].lines) == 21
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["7, the target", "7, training images", "19 others"]


def test_classes_without_names_are_called_classes_once_and_long_names_stay_on_the_page():
    name = "a-network-with-a-name-longer-than-the-page-is-wide_" * 3
    figure = drawn(one(0, 3, model=name, data="svhn"))
    title = figure._suptitle
    assert title.get_text().replace("\n", "").endswith("generates class 3eq7-pca, svhn: mean over 1 chain")
    box = title.get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_nan_chains_are_left_out_and_counted():
    figure = drawn(one(0, 1, status="nan", start=70), one(1, 1), one(2, 0, status="nan"))
    (ax,) = figure.axes
    assert ax.lines[0].get_ydata()[0] == -5
    assert figure.get_suptitle().endswith("mean over 1 chain\n1 of 2 chains became NaN")
    with pytest.raises(UserError, match="fig5e cannot be drawn: 1 of 1 chains became NaN; a smaller step_size"):
        drawn(one(0, 1, status="nan"))


MEAN_START = -5 + 0.025 * 9.5


@pytest.mark.parametrize(("end", "classes", "outcome"), [(-9, K, HOLDS), (-3, 0, FAILS)])
def test_the_target_falls(end, classes, outcome):
    verdict = target_falls(target_chains=frame(*several(end=end)))
    assert (verdict.outcome, verdict.n) == (outcome, 20)
    assert verdict.number == pytest.approx(MEAN_START - end)
    assert f"above 0 in {classes} of {K} classes; SAT, eq7-pca" in verdict.detail


def test_a_target_that_falls_as_often_as_it_rises_cannot_tell():
    made = [one(i, i % K, end=-5 + (-1) ** (i // K) * (i < 16)) for i in range(20)]
    verdict = target_falls(target_chains=frame(*made))
    assert (verdict.outcome, verdict.number) == (CANNOT_TELL, pytest.approx(0))


@pytest.mark.parametrize(
    ("end", "outcome"),
    [(-8.2, HOLDS), (-9.8, HOLDS), (-14, FAILS), (-6, FAILS)],  # the level is -9, the spread 1
)
def test_the_target_ends_within_the_spread_of_real_images(end, outcome):
    verdict = ends_at_the_level(target_chains=frame(*several(end=end)))
    assert (verdict.outcome, verdict.n) == (outcome, 20)
    assert verdict.number == pytest.approx(abs(end + 9))
    assert verdict.interval == pytest.approx((abs(end + 9),) * 2)
    reached = 20 if end <= -9 else 0
    told = f"starts {MEAN_START + 9:+.2f} nats from the mean, ends {end + 9:+.2f}; {reached} of 20 chains reach it"
    assert told in verdict.detail


def test_the_spread_is_the_unit():
    made = frame(*several(end=-12))
    verdicts = [ends_at_the_level(target_chains=made.assign(reference_spread=spread)) for spread in (1.0, 4.0)]
    assert [verdict.outcome for verdict in verdicts] == [FAILS, HOLDS]
    assert [verdict.number for verdict in verdicts] == pytest.approx([3, 3 / 4])


def test_a_target_that_is_near_at_the_start_cannot_tell_unless_it_leaves():
    there = ends_at_the_level(target_chains=frame(*several(start=-9, end=-9)))
    assert (there.outcome, there.number) == (CANNOT_TELL, 0)
    assert ", 0.237 at the start already; " in there.detail
    left = ends_at_the_level(target_chains=frame(*several(start=-9, end=-12)))
    assert (left.outcome, left.number) == (FAILS, pytest.approx(3))


def test_a_chain_above_the_level_does_not_make_up_for_one_below_it():
    made = [one(i, i % 2, end=-12 if i % 2 else -6) for i in range(20)]
    verdict = ends_at_the_level(target_chains=frame(*made))
    assert (verdict.outcome, verdict.number) == (FAILS, pytest.approx(3))
    assert "ends +0.00; " in verdict.detail


def test_between_near_and_far_or_without_a_spread_it_cannot_tell():
    made = [one(i, 0, end=-9 + (0 if i % 2 else 2)) for i in range(20)]
    verdict = ends_at_the_level(target_chains=frame(*made))
    assert (verdict.outcome, verdict.number) == (CANNOT_TELL, pytest.approx(1))
    flat = ends_at_the_level(target_chains=frame(*several()).assign(reference_spread=0.0))
    assert (flat.outcome, flat.n) == (CANNOT_TELL, 0)


@pytest.mark.parametrize(("rise", "count", "outcome"), [(1, 12, HOLDS), (-1, 0, FAILS)])
def test_the_others_rise(rise, count, outcome):
    verdict = others_rise(target_chains=frame(*several(rise=rise)))
    assert (verdict.outcome, verdict.n, verdict.number) == (outcome, 20, count / 12)
    assert f"{count} of 12, bootstrap over chains within classes; mean {rise:+.3f} nats; SAT" in verdict.detail


def test_a_few_others_that_rise_far_do_not_make_up_for_many_that_fall():
    """Of three others, one rises by 10 nats and two fall by 1: the mean rises, most do not."""

    def logits(step, label):
        energies = np.full(K, -0.1 * step)
        energies[(label + 1) % K] = step
        return -energies

    made = [chain("SAT", "eq7-pca", i, i % K, lambda step, k=i % K: logits(step, k)) for i in range(20)]
    verdict = others_rise(target_chains=frame(*made))
    assert (verdict.outcome, verdict.number) == (FAILS, pytest.approx(4 / 12))
    assert "4 of 12" in verdict.detail
    assert "mean +2.667 nats" in verdict.detail


def walks(seed, classes=6, each=5):
    """Chains whose energies all end a random way from where they began."""
    rng = np.random.default_rng(seed)
    ends = rng.normal(size=(classes * each, classes))
    return frame(*[chain("SAT", "eq7-pca", i, i % classes, lambda s, f=f: f * s, (0, 1)) for i, f in enumerate(ends)])


def test_by_chance_it_seldom_decides():
    """At most one of 20 by chance; of 20 draws three or more have probability 0.08."""
    outcomes = [others_rise(target_chains=walks(seed)).outcome for seed in range(20)]
    assert sum(outcome != CANNOT_TELL for outcome in outcomes) < 3


def test_a_class_of_one_chain_cannot_tell_whether_the_others_rise():
    verdict = others_rise(target_chains=frame(*(one(i, 0 if i else 1) for i in range(20))))
    assert (verdict.outcome, verdict.n) == (CANNOT_TELL, 0)
    assert verdict.detail.startswith("a class with one chain")


def test_few_chains_cannot_tell():
    gone = one(19, 0, status="nan")
    for claim in fig5e.CLAIMS:
        verdict = claim(target_chains=frame(*several(19), gone))
        assert (verdict.outcome, verdict.n) == (CANNOT_TELL, 0)
        assert verdict.detail == "19 chains; 20 are the fewest; 1 of 20 chains became NaN"
        assert claim(target_chains=frame(one(0, 0, status="nan"))).detail.startswith("0 chains")
