"""Figure 6, bottom, from made chains: which image stands where, what is printed, claims with known answers."""

import numpy as np
import pandas as pd
import pytest
from made_chains import frame
from made_pages import board, cell, drawn, flat, labels, made, note

from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS

fig6b = paths.load("figures", "fig6b")
METHODS = ("sgld-random", "sgld-gaussian", "sgld-pca", "eq7-pca")


def starts(data="cifar10", methods=METHODS, count=20, image=None, joint=None, **columns) -> pd.DataFrame:
    """Chain i of each method is of class i % 10; `image` and `joint` of (method, i)."""
    image = image or (lambda method, i: flat(50 * METHODS.index(method) + i))
    joint = joint or (lambda method, i: -9.0)
    chains = [
        made("Better DM", method, i, i % 10, image(method, i), joint(method, i), data=data, **columns)
        for method in methods
        for i in range(count)
    ]
    return frame(*chains)


def test_a_block_a_method_with_the_papers_titles_and_classes():
    figure = drawn(fig6b, starts=starts())
    assert labels(figure) == ["airplane", "automobile", "bird", "horse", "ship"]
    titles = [ax.get_label().split("\n") for ax in figure.axes]
    assert [(" ".join(title[:-1]), title[-1]) for title in titles] == [
        ("Random noise (JEM, JEAT)", "sgld-random"),
        ("Gaussian per class", "sgld-gaussian"),
        ("PCA per class", "sgld-pca"),
        ("Eq. (7)", "eq7-pca"),
    ]
    for place, ax in enumerate(figure.axes):
        for row, label in enumerate((0, 1, 2, 7, 8)):
            for column in range(2):
                np.testing.assert_array_equal(cell(ax, row, column), 50 * place + label + 10 * column)
    assert note(figure) == (
        "Better DM: the first 2 chains of each class, none picked, after 500 steps; 5 of 10 classes"
    )


def test_digits_have_their_first_five_classes_and_unknown_methods_their_names():
    shown = starts("digits", ("sgld-pca", "eq7-random", "mine"), image=lambda method, i: flat(i))
    figure = drawn(fig6b, starts=shown)
    assert labels(figure) == ["0", "1", "2", "3", "4"]
    assert [ax.get_label() for ax in figure.axes] == ["PCA per class\nsgld-pca", "eq7-random", "mine"]


def test_settings_do_not_hide_a_method():
    assert fig6b.title("eq7-steps200-step_size0.05-pca-sigma0.01") == "Eq. (7)"
    assert fig6b.title("jem-random") == "Random noise (JEM, JEAT)"
    assert fig6b.title("sgld-local-pca") == "sgld-local-pca"


SIGNS = np.resize([1, -1], 20)
CASES = [(np.full(20, 5), HOLDS), (np.full(20, -5), FAILS), (5 * SIGNS, CANNOT_TELL)]
"""by how much the better one has less, chain by chain"""


def smoother(better: str, worse: str, gains) -> pd.DataFrame:
    heights = {better: 100 - np.asarray(gains), worse: np.full(20, 100)}
    return starts(methods=(worse, better), image=lambda method, i: board(heights[method][i]))


@pytest.mark.parametrize(("gains", "outcome"), CASES)
@pytest.mark.parametrize(
    ("place", "better", "worse"),
    [
        (0, "sgld-pca", "sgld-random"),
        (2, "eq7-pca", "sgld-pca"),
        (2, "eq7-steps200-random", "sgld-steps200-random"),
        (2, "eq7-pca", "eq7-momentum0-pca"),
    ],
)
def test_one_method_ends_smoother_than_another(place, better, worse, gains, outcome):
    verdict = fig6b.CLAIMS[place](starts=smoother(better, worse, gains))
    assert verdict.outcome == outcome
    assert verdict.number == pytest.approx(np.mean(gains) / 255)
    assert verdict.n == 20
    assert f"mean roughness, {worse} minus {better} ({100 / 255:.3f} against" in verdict.detail


@pytest.mark.parametrize(("gains", "outcome"), CASES)
def test_pca_ends_nearer_to_the_mean_of_the_class(gains, outcome):
    """The class's mean is -20; noise ends 10 above it, PCA 10 minus the gain."""
    off = {"sgld-random": np.full(20, 10.0), "sgld-pca": 10.0 - gains}
    verdict = nearer(off)
    assert (verdict.outcome, verdict.n) == (outcome, 20)
    assert verdict.number == pytest.approx(np.mean(gains))
    assert "max(0, E(x, y) - the class's mean) in nats, sgld-random minus sgld-pca (10.000 against" in verdict.detail


def nearer(off):
    return fig6b.CLAIMS[1](
        starts=starts(methods=tuple(off), joint=lambda method, i: -20 + off[method][i], reference=-20.0)
    )


def test_a_chain_below_the_mean_is_not_far_from_it():
    """Noise ends half a nat above or below the mean, PCA ten below: 0.25 against 0."""
    verdict = nearer({"sgld-random": SIGNS / 2, "sgld-pca": np.full(20, -10.0)})
    assert (verdict.outcome, verdict.number) == (HOLDS, pytest.approx(0.25))
    both = nearer({"sgld-random": np.full(20, -1.0), "sgld-pca": np.full(20, -10.0)})
    assert (both.outcome, both.n) == (CANNOT_TELL, 0)
    assert both.detail == "max(0, E(x, y) - the class's mean) in nats is 0 in all 20 pairs, sgld-random and sgld-pca"


def test_eq7_and_sgld_are_compared_after_equally_many_steps():
    shown = smoother("eq7-pca", "sgld-pca", np.full(20, 5))
    shown.loc[(shown["method"] == "sgld-pca") & (shown["step"] == 500), "step"] = 50
    verdict = fig6b.CLAIMS[2](starts=shown)
    assert (verdict.outcome, verdict.n) == (CANNOT_TELL, 0)
    assert verdict.detail == "sgld-pca ends after 50 steps, eq7-pca after 500; equal ones are compared"
    equal = smoother("eq7-pca", "sgld-steps500-pca", np.full(20, -5)).astype({"method": str})
    both = pd.concat([shown.astype({"method": str}), equal[equal["method"] != "eq7-pca"]])
    assert "sgld-steps500-pca minus eq7-pca" in fig6b.CLAIMS[2](starts=both).detail


@pytest.mark.parametrize("other", ["sgld-pca-sigma0.01", "sgld-pca-seed2", "none-pca", "jem-pca", "eq7-steps9-pca"])
def test_other_starts_and_samplers_are_no_plain_rival(other):
    verdict = fig6b.CLAIMS[2](starts=smoother("eq7-pca", other, np.full(20, 5)))
    assert (verdict.outcome, verdict.detail) == (CANNOT_TELL, "the table has not eq. (7) and plain SGLD from one start")


def test_pairs_with_a_nan_are_left_out_and_too_few_cannot_tell():
    shown = smoother("sgld-pca", "sgld-random", np.full(20, 5))
    more = starts(
        methods=("sgld-random", "sgld-pca"), count=22, image=lambda method, i: board(100 - 5 * (method == "sgld-pca"))
    )
    more.loc[(more["sample"] == 3) & (more["method"] == "sgld-pca"), "status"] = "nan"
    verdict = fig6b.CLAIMS[0](starts=more)
    assert (verdict.outcome, verdict.n, verdict.number) == (HOLDS, 21, pytest.approx(5 / 255))
    assert verdict.detail.endswith(", 1 with a NaN left out")
    few = fig6b.CLAIMS[0](starts=shown[shown["sample"] < 19])
    assert (few.outcome, few.detail) == (CANNOT_TELL, "19 pairs of chains; 20 are the fewest")


def test_methods_that_are_not_there_cannot_tell():
    details = [
        claim(starts=starts(methods=("sgld-gaussian", "mine", "eq7-pca"), image=lambda *_: flat(0))).detail
        for claim in fig6b.CLAIMS
    ]
    assert details == [
        "the table has not a PCA start and uniform noise under one sampler",
        "the table has not a PCA start and uniform noise under one sampler",
        "the table has not eq. (7) and plain SGLD from one start",
    ]
