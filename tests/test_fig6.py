"""Figure 6, top and bottom, from made chains: which image stands where, what is printed, claims with known answers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from made_chains import chain, frame
from made_tables import rows
from matplotlib import rc_context
from scipy import stats

from energylens import class_names, final_images, paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.method_names import parts
from energylens.plots import style

fig6a, fig6b = (paths.load("figures", name) for name in ("fig6a", "fig6b"))
SHAPE = (1, 4, 4)
ROBUSTBENCH = "robustbench:cifar10/Linf/"


def flat(level: int) -> np.ndarray:
    return np.full(SHAPE, level, np.uint8)


def board(height: int) -> np.ndarray:
    """A checkerboard of 0 and `height`: each pixel differs from its neighbours by it."""
    return (height * (np.indices(SHAPE).sum(0) % 2)).astype(np.uint8)


def made(model: str, method: str, sample: int, label: int, image, joint: float = -9.0, classes: int = 10, **columns):
    """A chain of two recorded states; E(x, y) is `joint` at the last."""
    return chain(
        model, method, sample, label, lambda step: [-joint if k == label else 0.0 for k in range(classes)],
        steps=[0, 500], image=[None, image], **columns,
    )  # fmt: skip


def drawn(module, **frames):
    with rc_context(style.rc(module.WIDTH)):
        shown = module.draw(**frames)
        shown.draw_without_rendering()
    return shown


def cell(ax, row: int, column: int, size: int = 4) -> np.ndarray:
    """The pixels of a cell, of one colour."""
    top, left = row * (size + 1), column * (size + 1)
    array = np.asarray(ax.images[0].get_array())[top : top + size, left : left + size]
    assert (array == array[:, :, :1]).all()
    return array[:, :, 0]


def labels(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def note(figure) -> str:
    return figure.texts[-1].get_text().replace("\n", " ")


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
    assert [ax.get_title().replace("\N{NO-BREAK SPACE}", " ") for ax in figure.axes] == [
        "SAT\nPGD-20 36 % (n = 100)",
        "TRADES\nPGD-20 39 % (n = 100)",
    ]
    assert labels(figure) == ["0", "1", "2"]
    assert note(figure) == (
        "eq7-pca: the first 5 chains of each class, none picked, after 500 steps "
        "above: robust accuracy under PGD-20 (linf, eps 8/255), n images of cifar10:test"
    )


def test_published_accuracies_stand_below_measured_ones_and_say_so():
    names = {"SAT": f"{ROBUSTBENCH}Engstrom2019Robustness", "own": "runs/own.pt"}
    points = robustness({"SAT": 0.5, "own": 0.4}, names)
    shown = generators({"SAT": [flat(1)], "own": [flat(2)], "other": [flat(3)]}, data="cifar10")
    figure = drawn(fig6a, generators=shown, generator_robustness=points)
    titles = [ax.get_title().replace("\N{NO-BREAK SPACE}", " ") for ax in figure.axes]
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
    more = claim(generators=frame(*chains, *others, *others, *broken), generator_robustness=robustness(SHARES))
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
    titles = [ax.get_title().split("\n") for ax in figure.axes]
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
        "Better DM: the first 5 chains of each class, none picked, after 500 steps; 5 of 10 classes"
    )


def test_digits_have_their_first_five_classes_and_unknown_methods_their_names():
    shown = starts("digits", ("sgld-pca", "eq7-random", "mine"), image=lambda method, i: flat(i))
    figure = drawn(fig6b, starts=shown)
    assert labels(figure) == ["0", "1", "2", "3", "4"]
    assert [ax.get_title() for ax in figure.axes] == ["PCA per class\nsgld-pca", "eq7-random", "mine"]


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
    [(0, "sgld-pca", "sgld-random"), (2, "eq7-pca", "sgld-pca"), (2, "eq7-steps200-random", "sgld-steps200-random")],
)
def test_one_method_ends_smoother_than_another(place, better, worse, gains, outcome):
    verdict = fig6b.CLAIMS[place](starts=smoother(better, worse, gains))
    assert verdict.outcome == outcome
    assert verdict.number == pytest.approx(np.mean(gains) / 255)
    assert verdict.n == 20
    assert f"mean roughness, {worse} minus {better} ({100 / 255:.3f} against" in verdict.detail


@pytest.mark.parametrize(("gains", "outcome"), CASES)
def test_pca_ends_nearer_to_the_mean_of_the_class_on_either_side_of_it(gains, outcome):
    """The class's mean is -20; noise ends 10 above it, PCA 10 minus the gain above or below it."""
    off = {"sgld-random": np.full(20, 10.0), "sgld-pca": SIGNS * (10.0 - gains)}
    made_starts = starts(methods=tuple(off), joint=lambda method, i: -20 + off[method][i], reference=-20.0)
    verdict = fig6b.CLAIMS[1](starts=made_starts)
    assert (verdict.outcome, verdict.n) == (outcome, 20)
    assert verdict.number == pytest.approx(np.mean(gains))
    assert "|E(x, y) - the class's mean| in nats, sgld-random minus sgld-pca (10.000 against" in verdict.detail


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


@pytest.mark.parametrize(
    ("name", "sampler", "start", "settings"),
    [
        ("eq7-pca", "eq7", "pca", {}),
        ("eq7-steps200-step_size0.05-pca-retained0.95-sigma0.01", "eq7-steps200-step_size0.05", "pca",
         {"retained": 0.95, "sigma": 0.01}),
        ("sgld-informative-pca-sigma1e-05-seed2", "sgld", "informative-pca", {"sigma": 1e-5, "seed": 2}),
        ("sgld-local-pca", "sgld", "local-pca", {}),
        ("eq7-pca-sigma4_255", "eq7", "pca", {"sigma": 4 / 255}),
        ("jem-losscrossentropy-random-seed3", "jem-losscrossentropy", "random", {"seed": 3}),
    ],
)  # fmt: skip
def test_a_methods_name_is_taken_apart(name, sampler, start, settings):
    made_parts = parts(name)
    assert (made_parts.sampler, made_parts.start) == (sampler, start)
    assert made_parts.settings == pytest.approx(settings)
    assert made_parts.sigma == settings.get("sigma", 0.005)
    assert made_parts.retained == settings.get("retained", 0.99)


@pytest.mark.parametrize("name", ["mine", "pca", "eq7", "eq7-pcas", "eq7-pca-sigma"])
def test_other_names_have_no_parts(name):
    assert parts(name) is None


def test_classes_have_names_where_a_set_has_some():
    assert [class_names.name("cifar10", label) for label in (0, 1, 7, 9)] == [
        "airplane",
        "automobile",
        "horse",
        "truck",
    ]
    assert class_names.name("digits", 7) == "7"
    assert class_names.name("cifar10", 10) == "class 10"
    assert class_names.name("svhn", 3) == "class 3"
