"""Energies while training, read: rows, pairs, means, and what is told of what is not there."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from telemetry import FULL, SHORT, Sloped, grey, measured, selected, sets
from torch import nn

from energylens import epochs
from energylens.errors import UserError
from energylens.train.epochs import record

NAMES = ["pgd-eps0.1", "pgd-eps0.1-steps2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three epochs; in the first two all natural images are right, in the last one all are wrong."""
    made = tmp_path_factory.mktemp("runs") / "sat-toy-1"
    for epoch, slope in enumerate((0.3, 1.0, -2.0)):
        measured(made, epoch, slope)
    return made


def by_hand(run) -> pd.DataFrame:
    """Means in plain pandas: natural and attacked rows joined by image, grouped."""
    rows = pd.read_parquet(run / "epochs").astype({"attack": str, "model": str})
    key = ["model", "split", "epoch", "sample"]
    natural = rows[rows["attack"] == "natural"].set_index(key)
    attacked = rows[rows["attack"] != "natural"].join(natural, on=key, suffixes=("", "_natural"))
    exact = attacked.astype(dict.fromkeys(attacked.select_dtypes("float32"), float))
    for name in ("energy", "joint_energy"):
        exact[f"delta_{name}"] = exact[f"{name}_natural"] - exact[name]
    exact["accuracy"] = exact["pred"] == exact["label"]
    exact["accuracy_natural"] = exact["pred_natural"] == exact["label"]
    group = exact.groupby(["model", "split", "attack", "epoch"])
    means = group[[name for name in epochs.MEANS if name in exact and name not in group.keys]].mean()
    return means.assign(n=group.size(), nan=0)[epochs.MEANS[4:]].reset_index()


def test_means_are_those_of_a_groupby_by_hand(run):
    found = epochs.means(run)
    assert list(found) == epochs.MEANS
    assert len(found) == 9
    pd.testing.assert_frame_equal(found, by_hand(run), check_dtype=False, rtol=1e-12)
    pd.testing.assert_frame_equal(found, epochs.means(epochs.open(run)))


def test_delta_energies_are_negative_where_an_attack_raises_energies(tmp_path):
    """Logits (5, -5) that fall to (2.4, -2.4): all stay right, E(x, y) rises by eps |w|_1 = 2.6 and E(x) with it."""
    record(Sloped(zero=0.0), tmp_path, "r", 0, sets()[1:])
    (row,) = epochs.means(tmp_path).to_dict("records")
    assert row["accuracy"] == 1
    assert row["delta_joint_energy"] == pytest.approx(-2.6, rel=1e-4)
    assert row["delta_energy"] == pytest.approx(-2.6, abs=0.01)
    assert row["kl_marginal"] == pytest.approx(row["delta_energy"], abs=1e-6)
    assert row["kl_conditional"] > -row["kl_marginal"]
    assert row["entropy"] > row["entropy_natural"]


def test_accuracies_are_shares_of_all_images(run):
    found = epochs.means(run).set_index(["split", "attack", "epoch"])
    assert found.loc[("train", NAMES[0]), "accuracy_natural"].tolist() == [1, 1, 0]
    assert found.loc[("train", NAMES[0]), "accuracy"].tolist() == [0, 0, 0]
    assert found.loc["train", "n"].tolist() == [6] * 6
    assert found.loc["test", "n"].tolist() == [4] * 3


def test_images_that_give_nan_are_wrong_and_in_no_mean(tmp_path):
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Sloped(0.3)

        def forward(self, x):
            bright = x.flatten(1).sum(1) > 8.05
            return self.inner(x).masked_fill(bright[:, None], float("nan"))

    images = grey()
    images.images[:] = 0.45
    images.images[1] = 0.55
    record(Broken(), tmp_path, "r", 0, [("train", images, (SHORT,))])
    (row,) = epochs.means(tmp_path).to_dict("records")
    assert (row["n"], row["nan"], row["accuracy_natural"]) == (6, 1, pytest.approx(5 / 6))
    assert np.isfinite([row["delta_energy"], row["ce"], row["kl_conditional"]]).all()


def test_pairs_stand_beside_the_natural_image_of_their_own_epoch(run):
    pairs = epochs.pairs(epochs.open(run))
    assert len(pairs) == 3 * (6 + 6 + 4)
    np.testing.assert_allclose(pairs["delta_energy"], pairs["kl_marginal"], atol=1e-5)


def test_a_table_holds_what_is_asked_for_and_the_natural_images(run):
    table = epochs.open(run, NAMES[1], epochs=[0, 2], columns=["sample", "energy", "epoch"])
    assert list(table) == ["sample", "energy", "epoch", "model", "attack"]
    assert table.groupby(["attack", "epoch"], observed=True).size().to_dict() == {
        ("natural", 0): 10, ("natural", 2): 10, (NAMES[1], 0): 6, (NAMES[1], 2): 6
    }  # fmt: skip
    assert len(epochs.open(run, splits=["test"], epochs=1)) == 8
    records = table.attrs["provenance"]
    assert [about["epoch"] for about in records] == [0, 2, 0, 0, 2, 2]
    assert records[0]["rows"] == 4


def test_several_runs_are_one_table_in_their_order(run, tmp_path):
    measured(tmp_path, name="a")
    table = epochs.open([run, tmp_path], columns=["energy"])
    assert list(table["model"].cat.categories) == ["r", "a"]
    assert epochs.means([run, tmp_path])["model"].tolist() == ["r"] * 9 + ["a"] * 3
    assert len(epochs.open(tmp_path / "epochs")) == len(epochs.open(tmp_path)) == 26


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"attacks": ["pgd"]},
            "unknown attack 'pgd'; did you mean 'pgd-eps0.1'? available: natural, pgd-eps0.1",
        ),
        ({"splits": ["val"]}, "unknown split 'val'; available: test, train"),
        ({"epochs": 3}, "unknown epoch '3'; available: 0, 1, 2"),
        ({"columns": ["enrgy"]}, "unknown column 'enrgy'; did you mean 'energy'?"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(run, asked, message):
    with pytest.raises(UserError) as error:
        epochs.open(run, **asked)
    assert str(error.value).startswith(message)


def test_folders_that_do_not_fit_are_told(run, tmp_path):
    with pytest.raises(UserError, match=r"no energies of epochs lie in .*; give the folder of a training run"):
        epochs.open(tmp_path)
    measured(tmp_path)
    with pytest.raises(UserError, match=f"{run} and {tmp_path} both hold a run called 'r'; open one at a time"):
        epochs.open([run, tmp_path])
    measured(tmp_path / "one", name="one", sets=sets()[1:])
    with pytest.raises(UserError, match="run 'one' has no energies of these attacks, splits and epochs; leave it out"):
        epochs.open([run, tmp_path / "one"], splits=["train"])


def test_a_broken_file_is_one_line(tmp_path):
    measured(tmp_path)
    broken, *_ = tmp_path.rglob("train-0000.parquet")
    broken.write_bytes(broken.read_bytes()[:-9])
    for read in (epochs.open, epochs.means):
        with pytest.raises(UserError) as error:
            read(tmp_path)
        assert str(error.value).startswith(f"{broken} cannot be read (ArrowInvalid: ")
        assert "\n" not in str(error.value)


def test_attacked_images_without_their_own_natural_ones_have_no_means(tmp_path):
    measured(tmp_path)
    natural = next(tmp_path.rglob("attack=natural/train-0000.parquet"))
    kept = natural.read_bytes()
    natural.unlink()
    with pytest.raises(UserError, match=r"no natural images beside pgd-eps0.1 of r, train, epoch 0; measure them"):
        epochs.means(tmp_path)
    measured(tmp_path, sets=[("train", selected(grey(), 0, 1), (FULL,))])
    with pytest.raises(UserError, match=r"pgd-eps0.1-steps2 of r, train, epoch 0: 4 images without a natural row"):
        epochs.means(tmp_path)
    measured(tmp_path, slope=2.0)
    natural.write_bytes(kept)
    with pytest.raises(UserError, match="the natural images beside it are of another network; delete the older"):
        epochs.means(tmp_path)


def test_means_of_a_table_without_its_columns_say_which(run):
    with pytest.raises(UserError, match=r"means needs the columns split, model_sha, .* as well"):
        epochs.means(epochs.open(run, columns=["energy", "epoch"]))


def test_reading_imports_no_torch(run):
    code = (
        "import sys\nfrom energylens import epochs\n"
        f"table = epochs.open({str(run)!r})\nepochs.pairs(table)\nprint(len(table), len(epochs.means({str(run)!r})))\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "78 9\n"
