"""Figure 5a from made trainings: curves, sizes in the legend, claims with known answers."""

import numpy as np
import pandas as pd
import pytest
from made_courses import images, means
from matplotlib import rc_context
from sklearn.metrics import roc_auc_score

from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.plots import style

fig5a = paths.load("figures", "fig5a")
N, EPOCHS = 200, [0, 5, 10]
MODES = ("unperturbed", "removed")
NONE = images("sat", 0, np.zeros(1))[:0]


def end(subset: str | None, mode: str | None, wrong: int, seed: int = 1, epoch: int = 10, split="test") -> pd.DataFrame:
    """A run whose first `wrong` of 200 test images are misclassified under PGD-20, and all of them natural."""
    made = images(
        "sat", epoch, np.zeros(N), right_adv=np.arange(N) >= wrong, right=np.zeros(N, bool), role="common", split=split
    )
    return made.assign(subset=subset, subset_mode=mode, model=f"{subset}-{mode}-{seed}", train_seed=seed)


def ends(baseline: int = 60, **wrong: int) -> pd.DataFrame:
    frames = [end(subset, mode, count) for subset, count in wrong.items() for mode in MODES]
    return pd.concat([end(None, None, baseline), *frames], ignore_index=True)


def verdicts(subsets_end: pd.DataFrame, subsets_start: pd.DataFrame = NONE) -> dict[str, object]:
    made = [claim(subsets=NONE, subsets_end=subsets_end, subsets_start=subsets_start) for claim in fig5a.CLAIMS]
    return {verdict.claim: verdict for verdict in made}


HARM, MISCLASSIFIED = (
    "robustness suffers from high-energy images removed",
    "robustness suffers from misclassified images removed",
)
LIKE = "high-energy images left unperturbed harm as much as misclassified ones"
MORE = "high-energy images removed harm more than low-energy ones"


@pytest.mark.parametrize(
    ("high", "misclassified", "low", "outcomes", "numbers"),
    [
        (100, 101, 62, (HOLDS, HOLDS, HOLDS, HOLDS), (0.2, 0.205, -0.005, 0.19)),
        (40, 90, 80, (FAILS, HOLDS, FAILS, FAILS), (-0.1, 0.15, -0.25, -0.2)),
        (60, 70, 60, (CANNOT_TELL, HOLDS, CANNOT_TELL, CANNOT_TELL), (0.0, 0.05, -0.05, 0.0)),
    ],
)
def test_claims_of_harm_have_the_answers_that_one_counts(high, misclassified, low, outcomes, numbers):
    """Errors are nested, so that the difference of two runs is the images between their counts."""
    made = verdicts(ends(high=high, misclassified=misclassified, low=low))
    found = [made[claim] for claim in (HARM, MISCLASSIFIED, LIKE, MORE)]
    assert tuple(verdict.outcome for verdict in found) == outcomes
    np.testing.assert_allclose([verdict.number for verdict in found], numbers, atol=1e-12)
    assert {verdict.n for verdict in found} == {N}
    assert all("bootstrap over images, one training each" in verdict.detail for verdict in found)


def test_two_that_do_no_harm_are_not_said_to_harm_alike():
    made = verdicts(ends(high=60, misclassified=60))[LIKE]
    assert made.outcome == CANNOT_TELL
    assert made.detail == (
        "the misclassified ones are not seen to harm; harms +0.000 and +0.000, bootstrap over images, one training each"
    )


def test_the_interval_of_a_harm_is_that_of_a_share():
    """40 of 200 paired differences are 1, the others 0: 0.2 +- 1.96 sqrt(0.2 * 0.8 / 200)."""
    low, high = verdicts(ends(high=100))[HARM].interval
    np.testing.assert_allclose((low, high), (0.2 - 0.0554, 0.2 + 0.0554), atol=0.01)


def test_last_epochs_and_means_over_seeds_count():
    frames = [
        end(None, None, 10),
        end("high", "removed", 200, epoch=5),
        end("high", "removed", 20),
        end("high", "removed", 40, seed=2),
        end("high", "removed", 190, split="train"),
    ]
    made = verdicts(pd.concat(frames))[HARM]
    assert made.number == pytest.approx(0.1)
    assert made.detail.endswith("bootstrap over images, 2 trainings or 1 training each")


def test_a_run_that_is_missing_is_told():
    made = verdicts(ends(high=100))
    assert (made[LIKE].outcome, made[LIKE].detail) == (
        CANNOT_TELL,
        "the table has no SAT with subset misclassified, unperturbed",
    )
    assert verdicts(end("high", "removed", 3))[HARM].detail == "the table has no SAT"
    trades = ends(high=100).assign(objective="trades")
    assert {verdict.outcome for verdict in verdicts(trades).values()} == {CANNOT_TELL}


def start(energy: np.ndarray, wrong: np.ndarray, seed: int = 1) -> pd.DataFrame:
    return images("sat", 10, energy, right=~wrong).assign(model=f"sat-{seed}", train_seed=seed)


@pytest.mark.parametrize(("shift", "outcome"), [(2.0, HOLDS), (-2.0, FAILS), (0.0, CANNOT_TELL)])
def test_energies_of_misclassified_images_by_auroc_as_scikit_learn_has_it(shift, outcome):
    rng = np.random.default_rng(0)
    wrong = np.arange(N) % 5 == 0
    energy = rng.normal(-8, 1, N) + shift * wrong
    made = verdicts(ends(), start(energy, wrong))["misclassified training images have higher E(x) than the others"]
    assert made.outcome == outcome
    assert made.number == pytest.approx(roc_auc_score(wrong, energy))
    assert (made.n, made.detail) == (N, "AUROC of E(x), bootstrap over images; 40 of them misclassified, one training")


def test_aurocs_of_several_seeds_are_averaged_and_too_few_images_cannot_tell():
    wrong = np.arange(N) % 5 == 0
    claim = "misclassified training images have higher E(x) than the others"
    both = pd.concat([start(1.0 * wrong, wrong), start(-1.0 * wrong, wrong, 2)])
    made = verdicts(ends(), both)[claim]
    assert made.number == pytest.approx(0.5)
    assert made.detail.endswith("; 40 of them misclassified, means of 2 trainings")
    for energy, bad in ((np.zeros(N), np.arange(N) < 4), (np.zeros(12), np.arange(12) < 6)):
        assert verdicts(ends(), start(energy, bad))[claim].outcome == CANNOT_TELL
    assert verdicts(ends())[claim].detail == "0 images, 0 misclassified; 20 and 5 are the fewest"


def course(subset: str | None, mode: str | None, accuracy, size: int | None, seed: int = 1) -> pd.DataFrame:
    made = means("sat", EPOCHS, "common", "test", accuracy=accuracy)
    return made.assign(subset=subset, subset_mode=mode, subset_size=size, model=f"{subset}-{mode}-{seed}")


@pytest.fixture
def courses() -> pd.DataFrame:
    frames = [course(None, None, [0.1, 0.4, 0.5], None), means("sat", EPOCHS, "own", accuracy=1.0)]
    frames += [course("high", mode, [0.1, 0.3, 0.2], 1234) for mode in MODES]
    frames += [course("low", "removed", [0.1, 0.3, low], 1234, seed) for seed, low in ((1, 0.4), (2, 0.6))]
    return pd.concat(frames, ignore_index=True)


def test_a_panel_a_mode_with_the_baseline_in_both(courses):
    with rc_context(style.rc(fig5a.WIDTH)):
        figure = fig5a.draw(courses, NONE, NONE)
        figure.draw_without_rendering()
    left, right = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["subset left unperturbed", "subset removed"]
    names = ["SAT", r"highest $E_\theta(x)$ (1,234)", r"lowest $E_\theta(x)$ (1,234)"]
    assert [line.get_label() for line in right.lines] == names
    np.testing.assert_allclose(left.lines[1].get_ydata(), [90, 70, 80])
    np.testing.assert_allclose(right.lines[2].get_ydata(), [90, 70, 50])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names


def test_one_panel_where_the_table_has_one_mode_or_none(courses):
    courses = courses.drop(columns="subset_size")
    assert len(fig5a.draw(courses[courses["subset_mode"] != "unperturbed"], NONE, NONE).axes) == 1
    (ax,) = fig5a.draw(courses[courses["subset"].isna()], NONE, NONE).axes
    assert [line.get_label() for line in ax.lines] == ["SAT"]


def test_other_objectives_and_subsets_are_drawn_too(courses):
    other = courses.assign(objective="mart", subset=courses["subset"].replace("high", "classes:0,1"))
    figure = fig5a.draw(pd.concat([courses, other]), NONE, NONE)
    labels = {line.get_label() for line in figure.axes[0].lines}
    assert labels == {"SAT", "MART", r"SAT, highest $E_\theta(x)$ (1,234)", "MART, classes 0,1 (1,234)"}
