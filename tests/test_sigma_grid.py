"""The supplement's grid of sigma and retained variance, from made chains."""

import numpy as np
import pandas as pd
import pytest
from made_chains import chain, frame
from matplotlib import rc_context

from energylens import final_images, paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.errors import UserError
from energylens.plots import style

sigma = paths.load("figures", "sigma")
SIGMAS = {0.005: "", 0.01: "-sigma0.01", 0.02: "-sigma0.02"}
KEPT = {0.9: "-retained0.9", 0.95: "-retained0.95", 0.99: ""}


def made(method: str, sample: int, label: int, level: int, **columns) -> pd.DataFrame:
    image = np.full((1, 4, 4), level, np.uint8)
    return chain("Better DM", method, sample, label, lambda step: [0.0] * 10, steps=[0, 500],
                 image=[None, image], data="cifar10", **columns)  # fmt: skip


def grid(each=3, level=None, sigmas=SIGMAS, kept=KEPT, labels=(1, 7)) -> pd.DataFrame:
    """Chain i is of class labels[i % 2]; methods by retained variance first, as a recipe may have them.

    Args:
        each: chains of a class, for each setting.
        level: (sigma, retained, sample) -> the grey level of its image.
        sigmas: of the starts, with their part of a method's name.
        kept: of the starts, likewise.
        labels: classes.
    """
    level = level or (lambda s, r, i: round(10_000 * s) + round(10 * r) + i)
    return frame(
        *[
            made(f"eq7-pca{of_kept}{of_sigma}", i, labels[i % len(labels)], level(s, r, i))
            for r, of_kept in reversed(kept.items())
            for s, of_sigma in reversed(sigmas.items())
            for i in range(each * len(labels))
        ]
    )


def drawn(made_grid):
    with rc_context(style.rc(sigma.WIDTH)):
        shown = sigma.draw(made_grid)
        shown.draw_without_rendering()
    return shown


def titles(figure) -> list[str]:
    return [ax.get_label().replace("\N{NO-BREAK SPACE}", " ") for ax in figure.axes]


def test_sigma_grows_across_and_retained_variance_down():
    figure = drawn(grid())
    assert titles(figure) == [
        rf"{name}, $\sigma$ = {number}" for name in ("automobile", "horse") for number in (0.005, 0.01, 0.02)
    ]
    for place, ax in enumerate(figure.axes):
        first, s = place // 3, (0.005, 0.01, 0.02)[place % 3]
        array = np.asarray(ax.images[0].get_array())[:, :, 0]
        for row, r in enumerate((0.9, 0.95, 0.99)):
            for column in range(3):
                cell = array[5 * row : 5 * row + 4, 5 * column : 5 * column + 4]
                np.testing.assert_array_equal(cell, round(10_000 * s) + round(10 * r) + first + 2 * column)
            np.testing.assert_array_equal(array[5 * row : 5 * row + 4, 15:], 255)
    lines = [ax.get_position().y0 for ax in figure.axes]
    assert len(set(lines[:3])) == len(set(lines[3:])) == 1
    assert lines[0] > lines[3]
    assert [text.get_text() for text in figure.axes[0].texts] == ["90 %", "95 %", "99 %"]
    assert figure.texts[-1].get_text() == (
        "Better DM: the first 3 chains of each class, none picked, after 500 steps; 2 of 10 classes; "
        "rows: retained variance of the PCA start"
    )


def test_a_grid_with_holes_nan_and_other_starts_is_drawn():
    whole = grid()
    whole.loc[(whole["method"] == "eq7-pca") & (whole["sample"] == 0), "status"] = "nan"
    holes = whole[whole["method"] != "eq7-pca-retained0.9-sigma0.02"].astype({"method": str})
    others = [made(method, 0, 1, 200) for method in ("eq7-random", "eq7-pca-seed2", "mine")]
    figure = drawn(frame(holes, *others))
    assert len(figure.axes) == 6
    assert [len(ax.lines) for ax in figure.axes] == [1, 0, 0, 0, 0, 0]
    missing = np.asarray(figure.axes[2].images[0].get_array())[:4]
    assert (missing == 255).all()
    assert not any((np.asarray(ax.images[0].get_array()) == 200).any() for ax in figure.axes)
    assert "crosses: chains that became NaN, 1 of 48" in figure.texts[-1].get_text()


def test_digits_are_called_classes_and_of_many_classes_four_are_shown():
    figure = drawn(grid(labels=range(5), each=1).assign(data="digits"))
    assert [title.partition(",")[0] for title in titles(figure)[::3]] == [f"class {k}" for k in range(4)]
    assert "4 of 10 classes" in figure.texts[-1].get_text()


def test_without_a_pca_start_it_says_so():
    with pytest.raises(UserError, match=r"^sigma cannot be drawn: no method of the table has a PCA start; give one"):
        sigma.draw(frame(made("sgld-random", 0, 1, 0)))


def spread(low: int, high: int):
    """Grey levels around 100: chains of a class lie `low` apart under sigma 0.005 and `high` under 0.02."""
    return lambda s, r, i: 100 + (i // 2) * {0.005: low, 0.01: 10, 0.02: high}[s]


@pytest.mark.parametrize(("low", "high", "outcome"), [(1, 3, HOLDS), (3, 1, FAILS), (2, 2, CANNOT_TELL)])
def test_wider_starts_give_more_variety(low, high, outcome):
    """Ten images of 16 pixels at levels 0, d, ... 9d: two of them are 11/3 d apart in the mean."""
    (claim,) = sigma.CLAIMS
    verdict = claim(sigma_grid=grid(each=10, level=spread(low, high)))
    assert verdict.outcome == outcome
    apart = np.sqrt(16) * 11 / 3 / 255
    assert verdict.number == pytest.approx(apart * (high - low))
    assert verdict.n == 20  # 10 chains, 2 classes, each with its 3 shares of variance
    assert f"({apart * high:.3f} against {apart * low:.3f})" in verdict.detail
    assert "sigma 0.02 minus sigma 0.005" in verdict.detail


def test_its_interval_is_that_of_the_chains_which_share_their_draws():
    """Chains differ at random, alike under both sigmas, and each has one image at all retained variances.

    The interval holds 0, and is wide enough for what new sets tell: 3.9 standard deviations would do for a normal
    distribution; of ten chains a class, the bootstrap gives about 5. Images as units would give about 3.
    """
    (claim,) = sigma.CLAIMS
    base = grid(each=10, sigmas={0.005: "", 0.02: "-sigma0.02"}, kept={0.2: "-retained0.2", 0.1: "-retained0.1"})
    last = base["image"].notna()
    wide, chain_of = base.loc[last, "method"].str.contains("sigma").to_numpy(int), base.loc[last, "sample"].to_numpy()

    def verdict(seed: int):
        levels = np.random.default_rng(seed).integers(0, 256, (2, 20))[wide, chain_of]
        base.loc[last, "image"] = pd.Series([np.full((1, 4, 4), one, np.uint8) for one in levels], base.index[last])
        return claim(sigma_grid=base)

    verdicts = [verdict(seed) for seed in range(16)]
    assert np.mean([one.outcome == CANNOT_TELL for one in verdicts]) >= 0.9
    widths = [one.interval[1] - one.interval[0] for one in verdicts]
    assert 3.9 < np.mean(widths) / np.std([one.number for one in verdicts]) < 8


def test_few_chains_or_one_sigma_cannot_tell():
    (claim,) = sigma.CLAIMS
    few = claim(sigma_grid=grid(each=9, level=spread(1, 3)))
    assert (few.outcome, few.detail) == (CANNOT_TELL, "18 chains; 20 are the fewest")
    one = claim(sigma_grid=grid(sigmas={0.005: ""}))
    assert (one.outcome, one.detail) == (CANNOT_TELL, "1 sigma with images; two are compared")
    broken = grid(each=11, level=spread(1, 3))
    broken.loc[(broken["sample"] == 0) & (broken["method"] == "eq7-pca"), "status"] = "nan"
    assert claim(sigma_grid=broken).n == 21  # without a chain that lacks one retained variance


def test_distances_of_known_images():
    black, white = np.zeros((3, 2, 2), np.uint8), np.full((3, 2, 2), 255, np.uint8)
    assert final_images.distances([black, white]) == pytest.approx(np.sqrt(12) * (1 - np.eye(2)))
