"""Table 2a from made courses and images: what it draws, and its claims' verdicts."""

import numpy as np
import pandas as pd
import pytest
from made_courses import images, means
from matplotlib import rc_context

from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.plots import methods, style

tab2a = paths.load("figures", "tab2a")
EPOCHS = np.array([0, 11, 75, 100])
N = 60
RNG = np.random.default_rng(0)
ENERGY = RNG.normal(-8, 1, N)
NOISE = RNG.normal(0, 0.01, N)
LAST = {name: readings[-1] for name, readings in tab2a.PAPER.items()}
CLAIMS = {claim(None, images("trades", 100, ENERGY)).claim: claim for claim in tab2a.CLAIMS}
TEXT = "{}'s |mean Delta E(x)| is under {}'s"


def run(objective: str, drift, role: str = "own", **more) -> pd.DataFrame:
    """Images at the last epoch whose Delta E(x) is `drift`."""
    return images(objective, 100, ENERGY, ENERGY - drift, role=role, **more)


def ends(drifts: dict[str, float], role: str = "own") -> pd.DataFrame:
    """Every objective's images, with its mean Delta E(x); noise that all of them share, and some of their own."""
    rng = np.random.default_rng(1)
    made = [run(name, drift + NOISE + rng.normal(0, 0.01, N), role) for name, drift in drifts.items()]
    return pd.concat(made, ignore_index=True)


def rivals() -> pd.DataFrame:
    """As read off the plot, in an order that is not the paper's, beside what it does not show."""
    frames = [
        means(name, EPOCHS, delta_energy=[start, peak, peak, end])
        for name, (start, peak, _, end) in reversed(tab2a.PAPER.items())
    ]
    others = [means("trades", EPOCHS, role="common", delta_energy=9.0), means("mart", EPOCHS, delta_energy=0.001)]
    return pd.concat([*others, *frames, means("trades", EPOCHS, "common", "test", delta_energy=9.0)])


def test_it_shows_the_rivals_in_the_papers_order_and_colours_about_zero():
    with rc_context(style.rc(tab2a.WIDTH)):
        (ax,) = tab2a.draw(rivals(), None).axes
    zero, *lines = ax.lines
    assert set(zero.get_ydata()) == {0}
    assert [line.get_label() for line in lines] == ["WEAT_NAT", "MAIL-TRADES", "TRADES", "WEAT_ADV", "MART"]
    assert [line.get_color() for line in lines[:4]] == [methods.COLOURS[name] for name in tab2a.PAPER]
    for line, (start, peak, _, end) in zip(lines, tab2a.PAPER.values(), strict=False):
        assert line.get_xdata().tolist() == EPOCHS.tolist()
        assert line.get_ydata() == pytest.approx([start, peak, peak, end])
    assert ax.get_title() == "100 images of train, eps 0.2,\neach under its training attack"


@pytest.mark.parametrize("text", CLAIMS)
def test_the_published_ends_fulfil_all(text):
    verdict = CLAIMS[text](None, ends(LAST))
    assert (verdict.outcome, verdict.n) == (HOLDS, N)
    assert "bootstrap over images, one training each; " in verdict.detail


@pytest.mark.parametrize("text", CLAIMS)
def test_it_is_the_size_that_counts_and_the_same_size_cannot_tell(text):
    near, far = (text.partition("'s |mean Delta E(x)| is under ")[place].removesuffix("'s") for place in (0, 2))
    names = {methods.label(name): name for name in tab2a.PAPER}
    for drifts, outcome in (((0.02, -0.05), HOLDS), ((-0.05, 0.02), FAILS), ((0.03, -0.03), CANNOT_TELL)):
        frame = ends(dict(zip((names[near], names[far]), drifts, strict=True)))
        verdict = CLAIMS[text](None, frame)
        assert verdict.outcome == outcome
        assert verdict.number == pytest.approx(abs(drifts[1]) - abs(drifts[0]), abs=0.01)


@pytest.mark.parametrize("text", CLAIMS)
def test_a_missing_run_is_named(text):
    near = text.partition("'s |mean")[0]
    frame = ends({name: drift for name, drift in LAST.items() if methods.label(name) != near})
    verdict = CLAIMS[text](None, frame)
    assert (verdict.outcome, verdict.detail) == (CANNOT_TELL, f"the table has no {near} on training images")


def test_a_run_of_nan_decides_nothing_and_spoils_no_other_claim():
    frame = ends(LAST)
    frame.loc[(frame["objective"] == "mail-trades") & (frame["attack"] != "natural"), "energy"] = np.nan
    for text, claim in CLAIMS.items():
        assert claim(None, frame).outcome == (CANNOT_TELL if "MAIL" in text else HOLDS)


def test_a_run_that_is_not_done_is_not_compared_with_one_that_is():
    weat = run("weat-adv", -0.01 + NOISE).assign(epoch=15)
    verdict = CLAIMS[TEXT.format("WEAT_ADV", "TRADES")](None, pd.concat([weat, run("trades", -0.3 + NOISE)]))
    assert verdict.outcome == CANNOT_TELL
    assert verdict.detail == "measured after different epochs: WEAT_ADV at 15 and TRADES at 100"


def test_the_difference_is_taken_over_the_same_training_images_and_the_mean_over_runs():
    """By hand: images 2 to N-1 of both, TRADES drifting by -0.3 and -0.1 in two runs, WEAT by -0.05."""
    trades = [run("trades", -0.3 + NOISE), run("trades", -0.1 + NOISE).assign(model="demo-trades-2")]
    weat = run("weat-adv", -0.05 + NOISE)
    weat = weat[weat["sample"] > 0]
    weat.loc[(weat["sample"] == 1) & (weat["attack"] != "natural"), "energy"] = np.nan
    common = [run(name, drift + 0 * NOISE, "common") for name, drift in (("trades", -0.7), ("weat-adv", -0.3))]
    common = [made[made["attack"] != "natural"] for made in common]
    test = [run(name, 5 + NOISE, "common", split="test") for name in ("trades", "weat-adv")]
    frame = pd.concat([*trades, weat, *common[:1], *test], ignore_index=True)
    verdict = CLAIMS[TEXT.format("WEAT_ADV", "TRADES")](None, frame)
    assert (verdict.outcome, verdict.n) == (HOLDS, N - 2)
    assert verdict.number == pytest.approx(abs(-0.2 + NOISE[2:].mean()) - abs(-0.05 + NOISE[2:].mean()))
    assert "under PGD-20" not in verdict.detail
    assert "2 trainings or 1 training each" in verdict.detail
    common[1] = common[1][common[1]["sample"] > 0]
    both = pd.concat([frame, common[1]], ignore_index=True)
    verdict = CLAIMS[TEXT.format("WEAT_ADV", "TRADES")](None, both)
    assert "; under PGD-20 the difference is +0.4000" in verdict.detail
