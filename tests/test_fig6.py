"""Figure 6, top, from made chains: which image stands where, what is printed, claims with known answers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from made_chains import frame
from made_pages import board, cell, drawn, flat, labels, made, note
from made_tables import rows
from scipy import stats

from energylens import final_images, paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS

fig6a = paths.load("figures", "fig6a")
ROBUSTBENCH = "robustbench:cifar10/Linf/"


def robustness(shares: dict[str, float], references: dict[str, str] | None = None, **more) -> pd.DataFrame:
    """100 test images a network, this share of them right under PGD-20, all natural ones."""
    frames, zeros = [], np.zeros(100)
    for model, share in shares.items():
        reference = (references or {}).get(model, model)
        frames.append(rows(model, "natural", reference, zeros, zeros, zeros, **more))
        frames.append(rows(model, "pgd", reference, zeros, zeros, np.arange(100) >= round(100 * share), **more))
    return pd.concat(frames, ignore_index=True)


def generators(images: dict[str, Sequence[np.ndarray]], method="eq7-pca", **columns) -> pd.DataFrame:
    """Two chains a class, interleaved as they are generated: chain i is of class i % classes."""
    chains = []
    for model, of_classes in images.items():
        for sample in range(2 * len(of_classes)):
            label = sample % len(of_classes)
            chains.append(made(model, method, sample, label, of_classes[label] + np.uint8(sample), **columns))
    return frame(*chains)


def test_a_block_a_network_and_a_row_a_class():
    shown = generators({"SAT": [flat(10), flat(20), flat(30)], "TRADES": [flat(40), flat(50), flat(60)]})
    figure = drawn(fig6a, generators=shown, generator_robustness=robustness({"TRADES": 0.386, "SAT": 0.36}))
    sat, trades = figure.axes
    for ax, first in ((sat, 10), (trades, 40)):
        for label in range(3):
            for column in range(2):  # chains `label` and `label + 3`
                np.testing.assert_array_equal(cell(ax, label, column), first + 10 * label + label + 3 * column)
            np.testing.assert_array_equal(cell(ax, label, 2), 255)  # two chains a class
        assert not ax.lines
    assert [ax.get_label().replace("\N{NO-BREAK SPACE}", " ") for ax in figure.axes] == [
        "SAT\nPGD-20 36 % (n = 100)",
        "TRADES\nPGD-20 39 % (n = 100)",
    ]
    assert labels(figure) == ["0", "1", "2"]
    assert note(figure) == (
        "eq7-pca: the first 2 chains of each class, none picked, after 500 steps; 3 of 10 classes "
        "above: robust accuracy under PGD-20 (linf, eps 8/255), n images of cifar10:test"
    )


def test_published_accuracies_stand_below_measured_ones_and_say_so():
    names = {"SAT": f"{ROBUSTBENCH}Engstrom2019Robustness", "own": "runs/own.pt"}
    points = robustness({"SAT": 0.5, "own": 0.4}, names)
    shown = generators({"SAT": [flat(1)], "own": [flat(2)], "other": [flat(3)]}, data="cifar10")
    figure = drawn(fig6a, generators=shown, generator_robustness=points)
    titles = [ax.get_label().replace("\N{NO-BREAK SPACE}", " ") for ax in figure.axes]
    assert titles == [
        "SAT\nPGD-20 50 % (n = 100)\nAutoAttack 49.25 %*",
        "own\nPGD-20 40 % (n = 100)",
        "other\nrobust accuracy not measured",
    ]
    assert "* published by RobustBench (linf, eps 8/255)" in note(figure)
    assert labels(figure) == ["airplane"]
    published = {name.removeprefix(ROBUSTBENCH): accuracy for name, accuracy in fig6a.PAPER.items()}
    assert published == {
        "Engstrom2019Robustness": 49.25,
        "Zhang2019Theoretically": 53.08,
        "Wang2020Improving": 56.29,
        "Wu2020Adversarial": 56.17,
        "Wang2023Better_WRN-28-10": 67.31,
    }


def test_a_chain_that_became_nan_is_a_cross_and_counted():
    shown = frame(
        made("SAT", "eq7-pca", 0, 0, flat(1)),
        made("SAT", "eq7-pca", 1, 0, flat(2), status="nan"),
        made("SAT", "eq7-pca", 2, 0, flat(3)),
    )
    figure = drawn(fig6a, generators=shown, generator_robustness=robustness({"SAT": 0.4}))
    (ax,) = figure.axes
    np.testing.assert_array_equal(cell(ax, 0, 0), 1)
    np.testing.assert_array_equal(cell(ax, 0, 2), 3)
    (cross,) = ax.lines
    assert np.nanmean(cross.get_xdata()) == 5 + 1.5  # the middle of the second cell
    assert "crosses: chains that became NaN, 1 of 3" in note(figure)


def test_of_many_classes_and_chains_the_first_are_shown_and_the_rest_counted():
    shown = frame(*[made("SAT", "eq7-pca", i, i % 12, flat(i), classes=12) for i in range(12 * 6)])
    figure = drawn(fig6a, generators=shown, generator_robustness=robustness({"SAT": 0.4}))
    (ax,) = figure.axes
    assert len(labels(figure)) == 10
    assert ax.images[0].get_array().shape[:2] == (10 * 5 - 1, 5 * 5 - 1)
    np.testing.assert_array_equal(cell(ax, 9, 4), 9 + 4 * 12)
    assert "; 10 of 12 classes" in note(figure)


SHARES = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5}
HEIGHTS = np.array([200, 160, 90, 50, 20])


@pytest.mark.parametrize(
    ("heights", "outcome"), [(HEIGHTS, HOLDS), (HEIGHTS[::-1], FAILS), (HEIGHTS[[2, 0, 4, 1, 3]], CANNOT_TELL)]
)
def test_robust_networks_make_smooth_images(heights, outcome):
    chains = [made(model, "eq7-pca", 0, 0, board(height)) for model, height in zip(SHARES, heights, strict=True)]
    (claim,) = fig6a.CLAIMS
    verdict = claim(generators=frame(*chains), generator_robustness=robustness(SHARES))
    assert verdict.outcome == outcome
    assert verdict.number == pytest.approx(stats.spearmanr(list(SHARES.values()), heights).statistic)
    assert verdict.n == 5
    assert verdict.detail.endswith(f"mean roughness from {20 / 255:.3f} to {200 / 255:.3f}")


def test_few_networks_cannot_tell_and_other_methods_and_nan_do_not_count():
    (claim,) = fig6a.CLAIMS
    chains = [made(model, "eq7-pca", 0, 0, board(height)) for model, height in zip(SHARES, HEIGHTS, strict=True)]
    few = claim(generators=frame(*chains[:4]), generator_robustness=robustness(SHARES))
    assert (few.outcome, few.detail) == (CANNOT_TELL, "4 models; 5 are the fewest that could decide it")
    others = [made(model, "sgld-pca", 0, 0, board(h)) for model, h in zip(SHARES, HEIGHTS[::-1], strict=True)]
    broken = [made("e", "eq7-pca", 1, 0, board(255), status="nan")]
    more = claim(generators=frame(*chains, *others, *broken), generator_robustness=robustness(SHARES))
    assert (more.outcome, more.number) == (HOLDS, pytest.approx(-1))
    none = claim(generators=frame(*chains), generator_robustness=robustness(SHARES).query("attack == 'natural'"))
    assert none.outcome == CANNOT_TELL


def test_roughness_of_known_images():
    assert final_images.roughness(flat(77)) == 0
    assert final_images.roughness(board(255)) == 1
    assert np.isnan(final_images.roughness(None))
    stripes = np.zeros((3, 2, 2), np.uint8)
    stripes[:, :, 1] = 51  # across each step is 0.2, down it is 0
    assert final_images.roughness(stripes) == pytest.approx(0.1)
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    assert final_images.roughness(noise) == pytest.approx(1 / 3, abs=0.01)
