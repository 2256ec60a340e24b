"""Intensity of made chains: steps and shares that are known by hand, and the panels drawn of them."""

import math

import numpy as np
import pytest
from made_chains import chain, frame
from made_intensity import COMPENSATED, MOMENTUM, SAME, falling, one
from matplotlib import rc_context

from energylens import class_names, intensity, paths
from energylens.errors import UserError
from energylens.plots import chains as shared
from energylens.plots import style

figure_intensity = paths.load("figures", "intensity")


def test_each_chain_has_its_steps_and_shares():
    made = frame(one(rate=0.02), one(sample=1, slope=0.1))
    each = intensity.of_chains(made)
    first, second = (each.loc[("SAT", MOMENTUM, sample)] for sample in (0, 1))
    assert (first["start_above"], first["above"]) == (4, -6)  # from -5 to -15, the mean is -9
    assert first["reached"] == 4
    assert math.isnan(second["reached"])
    assert first["saturated"] == pytest.approx(0.2)
    assert first["saturation"] == pytest.approx(0.1)
    assert first["halfway"] == 5
    assert math.isnan(second["halfway"])
    assert first["confidence"] == pytest.approx(1 / (1 + math.exp(-15)))


def test_half_way_counts_from_the_lowest_share():
    shares = [0.5, 0.1, 0.0, 0.0, 0.1, 0.2, 0.3, 0.3, 0.4, 0.4, 0.4]
    made = frame(chain("SAT", MOMENTUM, 0, 0, falling(-5, 1), saturated=shares.__getitem__))
    assert intensity.of_chains(made)["halfway"].tolist() == [5]


@pytest.mark.parametrize(("broken", "at"), [("status", "all"), ("logits", "late")])
def test_a_chain_that_became_nan_is_left_out_and_counted(broken, at):
    bad = one(sample=1, status="nan") if broken == "status" else one(sample=1)
    if at == "late":
        bad.loc[5:, ["energy", "joint_energy", "ce"]] = np.nan
    made = frame(one(), bad, one(sample=2))
    assert intensity.finished(made)["sample"].unique().tolist() == [0, 2]
    assert intensity.lost(made) == "1 of 3 chains became NaN"
    assert intensity.lost(frame(one())) == ""
    (row,) = intensity.summary(made).to_dict("records")
    assert (row["chains"], row["nan"]) == (2, 1)


def test_a_summary_has_a_row_a_network_and_method():
    fast, slow = one(slope=2.0), one(sample=1, slope=1.0)
    never, lost = one("TRADES", slope=0.1), one("TRADES", SAME, status="nan")
    found = intensity.summary(frame(fast, slow, never, lost))
    assert list(found.index) == [("SAT", MOMENTUM), ("TRADES", MOMENTUM), ("TRADES", SAME)]
    assert found["steps"].tolist()[:2] == [3, math.inf]  # the median of 2 and 4, and never
    assert found["reached"].tolist()[:2] == [1, 0]
    assert found["above"].tolist()[:2] == pytest.approx([-(16 + 6) / 2, 3])
    assert found[["chains", "nan"]].to_numpy().tolist() == [[2, 0], [1, 0], [0, 1]]
    assert found.loc[("TRADES", SAME), ["above", "steps"]].isna().all()


@pytest.mark.parametrize("name", ["SAT", "sat", "demo:sat"])
def test_a_trainer_is_found_by_its_name_whatever_the_case(name):
    made = frame(one(name), one("WEAT_ADV"), one("standard-10"))
    assert intensity.network(made, "sat") == name
    assert intensity.network(made, "weat-adv") == "WEAT_ADV"
    assert intensity.missing(made, "sat", "trades") == "the table has not one network named TRADES"
    assert intensity.network(frame(one("sat"), one("demo:sat")), "sat") is None


def test_plain_rivals_are_those_that_differ_in_nothing_else():
    made = frame(*(one(method=name) for name in (SAME, MOMENTUM, COMPENSATED, "eq7-momentum0-steps9-pca")))
    assert intensity.driven(made) == MOMENTUM
    assert (intensity.rivals(made, False), intensity.rivals(made, True)) == ((MOMENTUM, SAME), (MOMENTUM, COMPENSATED))
    alone = frame(one(method="sgld-random"))
    assert (intensity.driven(alone), intensity.rivals(alone, False)) == ("sgld-random", None)


def test_a_method_without_a_rival_is_passed_over():
    made = frame(*(one(method=name) for name in (MOMENTUM, "eq7-random", "eq7-momentum0-random")))
    assert intensity.driven(made) == MOMENTUM
    assert intensity.rivals(made, False) == ("eq7-random", "eq7-momentum0-random")


def drawn(made):
    with rc_context(style.rc(figure_intensity.WIDTH)):
        figure = figure_intensity.draw(intensity=made)
        figure.draw_without_rendering()
    return figure


def test_three_panels_show_means_over_chains_with_momentum():
    made = frame(
        one("SAT", rate=0.02),
        one("SAT", sample=1, rate=0.04, slope=2),
        one("SAT", sample=2, status="nan", rate=1),
        one("SAT", SAME, rate=1),
        one("standard-10", slope=0.1),
    )
    figure = drawn(made)
    left, middle, right = figure.axes
    step = np.arange(11)
    assert left.lines[0].get_xdata() == pytest.approx(step)
    assert left.lines[0].get_ydata() == pytest.approx(0.03 * step)
    assert left.lines[1].get_ydata() == pytest.approx(0 * step)
    assert left.lines[2].get_ydata() == pytest.approx([0.1, 0.1])  # real images
    assert middle.lines[0].get_ydata() == pytest.approx(4 - 1.5 * step)
    assert middle.lines[1].get_ydata() == pytest.approx(4 - 0.1 * step)
    assert right.lines[1].get_ydata() == pytest.approx(1 / (1 + np.exp(-5 - 0.1 * step)))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "SAT: 3",
        "standard-10: never",
        "training images",
    ]
    assert figure.get_suptitle() == "2 networks, digits: 3 chains\n1 of 4 chains became NaN"
    assert left.get_ylabel() == "eq7-pca"
    assert figure.get_size_inches()[0] == style.TEXT_WIDTH_IN


def test_each_start_has_a_row_of_its_first_method_with_momentum():
    noise = "eq7-steps200-random"
    made = frame(
        one("SAT"), one("TRADES", slope=0.1), one("SAT", SAME), one("SAT", noise, slope=2), one("SAT", "eq7-random"),
        one("TRADES", noise, slope=0.5),
    )  # fmt: skip
    assert intensity.driven_by_start(made) == [MOMENTUM, noise]
    figure = drawn(made)
    assert len(figure.axes) == 6
    above, below = figure.axes[1], figure.axes[4]
    assert above.lines[0].get_ydata() == pytest.approx(4 - np.arange(11))
    assert below.lines[0].get_ydata() == pytest.approx(4 - 2 * np.arange(11))
    assert [ax.get_ylabel().replace("\n", "") for ax in figure.axes[::3]] == [MOMENTUM, noise]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["SAT: 4 / 2", "TRADES: never / 8", "training images"]
    assert figure.legends[0].get_title().get_text().endswith(" (above / below)")
    assert figure.get_suptitle() == "2 networks, digits: 4 chains"


def test_long_names_stay_on_the_page():
    name = "a-network-with-a-name-longer-than-the-page-is-wide_" * 3
    figure = drawn(frame(one(name), one("SAT"), one(name, "eq7-steps200-stepsize0.05-noise0.001-random")))
    for text in (figure.legends[0], figure._suptitle, *(ax.yaxis.label for ax in figure.axes)):
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1


def test_one_network_with_one_chain_is_drawn_and_none_at_all_says_why():
    assert drawn(frame(one("mine$"))).get_suptitle() == "1 network, digits: 1 chain"
    with pytest.raises(UserError, match="intensity cannot be drawn: 1 of 1 chains became NaN; a smaller step_size"):
        drawn(frame(one(status="nan")))


def test_networks_without_a_trainers_name_have_colours_of_their_own():
    found = shared.colours(["sat", "first", "second"])
    assert found["sat"] == "#7b4fa3"
    assert len(set(found.values())) == 3
    assert [shared.shown(name) for name in ("demo:weat-adv", "standard-10")] == ["WEAT_ADV", "standard-10"]
    assert (class_names.name("cifar10", 7), class_names.name("digits", 7)) == ("horse", "7")
