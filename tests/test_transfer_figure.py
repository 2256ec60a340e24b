"""The figure of class-wise transfer from made trainings: who was never attacked, and claims with known answers."""

import numpy as np
import pandas as pd
import pytest
from made_courses import images
from matplotlib import rc_context
from scipy.stats import spearmanr

from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.errors import UserError
from energylens.plots import style

figure_of = paths.load("figures", "transfer")
CLASSES, EACH = 10, 20
LABELS = np.repeat(np.arange(CLASSES), EACH)
HALVES = ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
SPARED, LOST = range(2)
"""the claims"""


def run(spared: list[int], right: np.ndarray, energy: np.ndarray, seed: int = 1, **more) -> pd.DataFrame:
    """A run: `right` of the 20 test images of each class withstand PGD-20; energies by class, in training."""
    subset = "classes:" + ",".join(map(str, spared)) if spared else None
    robust = np.arange(len(LABELS)) % EACH < np.asarray(right)[LABELS]
    about = {"labels": LABELS, "role": "common"}
    test = images("sat", 10, np.full(len(LABELS), 99.0), right_adv=robust, split="test", **about)
    train = images("sat", 10, np.asarray(energy, float)[LABELS], split="train", **about)
    made = pd.concat([test, train], ignore_index=True)
    columns = {"subset": subset, "subset_mode": "unperturbed" if spared else None, "model": f"{spared}-{seed}"} | more
    return made.assign(**columns)


ENERGY = np.array([-9.0, -3, -8, -1, -7, -5, -6, -2, -4, 0])
RANK = ENERGY.argsort().argsort()
"""0 for the class of lowest energy"""


def frame(never: np.ndarray, baseline: np.ndarray) -> pd.DataFrame:
    """Ordinary SAT, and two runs that leave one half each; energies of theirs do not count."""
    runs = [run(half, np.where(np.isin(np.arange(10), half), never, 20), ENERGY * 0) for half in HALVES]
    return pd.concat([run([], baseline, ENERGY), *runs], ignore_index=True)


def test_a_row_a_class_with_the_run_that_never_attacked_it():
    never, baseline = np.arange(10), np.full(10, 15)
    made = figure_of.classes(frame(never, baseline))
    np.testing.assert_allclose(made["never"], never / 20)
    np.testing.assert_allclose(made["baseline"], 0.75)
    np.testing.assert_allclose(made["energy"], ENERGY)


def test_runs_are_averaged_and_removed_classes_and_earlier_epochs_do_not_count():
    frames = [
        frame(np.full(10, 4), np.full(10, 15)),
        run(HALVES[0], np.full(10, 8), ENERGY, seed=2),
        run(HALVES[0], np.full(10, 20), ENERGY, seed=2, epoch=5),
        run(HALVES[0], np.zeros(10), ENERGY, seed=3, subset_mode="removed"),
        run([0], np.zeros(10), ENERGY, subset="high"),
        run([0], np.zeros(10), ENERGY, seed=4, objective="trades"),
    ]
    np.testing.assert_allclose(figure_of.classes(pd.concat(frames))["never"], [0.3] * 5 + [0.2] * 5)


@pytest.mark.parametrize(
    ("never", "baseline", "spared", "lost"),
    [
        (15 - RANK, np.full(10, 18), HOLDS, HOLDS),
        (RANK + 2, np.full(10, 18), FAILS, FAILS),
        (15 - RANK, 17 - RANK, HOLDS, CANNOT_TELL),
        (np.full(10, 8), 9 + RANK, CANNOT_TELL, HOLDS),
    ],
)
def test_claims_over_classes(never, baseline, spared, lost):
    made = frame(never, baseline)
    verdicts = [claim(transfer=made) for claim in figure_of.CLAIMS]
    assert [verdicts[SPARED].outcome, verdicts[LOST].outcome] == [spared, lost]
    for verdict, effect in ((verdicts[SPARED], never), (verdicts[LOST], never - baseline)):
        if verdict.n:
            assert verdict.n == 10
            assert verdict.number == pytest.approx(spearmanr(ENERGY, effect)[0])
            assert "Spearman over classes" in verdict.detail


def test_four_classes_are_too_few():
    made = frame(15 - RANK, np.full(10, 18))
    for claim in figure_of.CLAIMS:
        assert claim(made[made["label"] < 4]).detail == "4 classes; 5 are the fewest that could decide it"


def test_runs_are_compared_on_the_test_images_that_all_of_them_have():
    """Ordinary SAT lacks every class's last ten test images, which the others get wrong: 10 of 10 against 10 of 10."""
    made = frame(np.full(10, 10), np.full(10, 20))
    late = (made["sample"] % EACH >= 10) & (made["split"] == "test")
    classes = figure_of.classes(made[~(late & made["subset"].isna())])
    np.testing.assert_allclose(classes["never"], 1)
    np.testing.assert_allclose(classes["baseline"], 1)
    assert set(figure_of.classes(made)["never"]) == {0.5}


def test_where_nothing_is_transferred_nothing_is_said():
    """All are at 0 but for one class's one image in twenty, so what is lost is ordinary SAT's robustness."""
    made = frame(np.eye(10, dtype=int)[0], 9 + RANK)
    for claim in figure_of.CLAIMS:
        verdict = claim(transfer=made)
        assert verdict.outcome == CANNOT_TELL
        assert verdict.detail == "next to no robustness reaches classes never attacked: 0.005 in the mean"


@pytest.mark.parametrize(
    ("kept", "lacks"),
    [("baseline", "with --subset classes:0,1,2 --subset-mode unperturbed"), ("subsets", "without --subset")],
)
def test_a_missing_kind_of_run_is_told(kept, lacks):
    made = frame(np.arange(10), np.arange(10))
    made = made[made["subset"].isna() == (kept == "baseline")]
    for claim in figure_of.CLAIMS:
        verdict = claim(transfer=made)
        assert (verdict.outcome, verdict.detail) == (CANNOT_TELL, f"the table has no run {lacks}")
    with pytest.raises(UserError, match=f"^transfer cannot be drawn: the table has no run {lacks}; give one$"):
        figure_of.draw(made)


def test_a_filled_and_an_open_point_a_class_and_labels_on_them():
    with rc_context(style.rc(figure_of.WIDTH)):
        figure = figure_of.draw(frame(np.arange(10), np.full(10, 15)))
        figure.draw_without_rendering()
    (ax,) = figure.axes
    usual, never = ax.lines
    assert (usual.get_label(), never.get_label()) == ("attacked, as in SAT", "never attacked")
    np.testing.assert_allclose(never.get_xydata(), np.stack([ENERGY, 5.0 * np.arange(10)], 1))
    np.testing.assert_allclose(usual.get_ydata(), 75)
    assert [int(text.get_text()) for text in ax.texts] == list(ENERGY.argsort())
    assert [text.xy[0] for text in ax.texts] == sorted(ENERGY)
    again = figure_of.draw(pd.concat([frame(np.arange(10), np.full(10, 15)), run([1], np.arange(10), ENERGY, seed=2)]))
    assert len(again.axes[0].lines[1].get_xdata()) == 11
