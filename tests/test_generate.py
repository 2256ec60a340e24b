"""The command that makes images: what it leaves, what frames hold, what is told of mistakes."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from generating import RECIPE, SHORT, all_images, made, typed, where
from PIL import Image

from energylens import data, models
from energylens.errors import UserError
from energylens.generate import PCA, Method, Random


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))


def test_grid_images_and_energies_are_left(tmp_path, capsys):
    assert typed(tmp_path, "--n", "25", "--batch", "10") == 0
    kept = np.load(tmp_path / "out" / "sat-eq7-steps6-pca.npz")
    assert kept["images"].shape == (25, 1, 16, 16)
    assert kept["labels"].tolist() == [number % 10 for number in range(25)]
    with Image.open(tmp_path / "out" / "sat-eq7-steps6-pca.png") as grid:
        assert grid.width > 10 * 16
    rows = pd.read_parquet(tmp_path / "tables" / "generate" / "chains")
    assert rows.groupby("step")["sample"].nunique().to_dict() == {0: 25, 6: 25}
    assert set(rows["status"]) == {"generated"}
    told = capsys.readouterr().out
    assert f"images: {tmp_path / 'out' / 'sat-eq7-steps6-pca.npz'}, 25 images" in told


def test_recorded_energies_are_those_of_the_images(tmp_path):
    """Up to the rounding of pixels to 1/255, which moves a logit by far less than 0.1 here."""
    found = made(RECIPE, tmp_path)["sat", "eq7-steps6-pca"]
    net = models.load("demo:sat")
    ends = found.ends(["label", "joint_energy"])
    with torch.no_grad():
        logits = net(torch.from_numpy(all_images(found)).float() / 255)
    joint = -logits[torch.arange(25), torch.tensor(ends["label"].tolist())]
    np.testing.assert_allclose(ends["joint_energy"], joint, atol=0.1)


def test_the_file_of_images_is_a_data_reference(tmp_path):
    typed(tmp_path, "--n", "12")
    images = data.load(str(tmp_path / "out" / "sat-eq7-steps6-pca.npz"))
    assert (len(images), images.labels[:3].tolist()) == (12, [0, 1, 2])


def test_chains_depend_on_their_number_alone(tmp_path):
    """Batches differ, so sums are rounded in another order: a pixel may fall on the other side of 1/255."""
    one = all_images(made(RECIPE, tmp_path / "one")["sat", "eq7-steps6-pca"])
    other = all_images(made(RECIPE, tmp_path / "other", batch=7)["sat", "eq7-steps6-pca"])
    assert np.abs(one.astype(int) - other).max() <= 1


def test_classes_are_taken_in_turn(tmp_path):
    found = made(replace(RECIPE, classes=(7, 1), images=5), tmp_path)["sat", "eq7-steps6-pca"]
    assert found.ends(["label"])["label"].tolist() == [7, 1, 7, 1, 7]


def test_a_frame_holds_the_images_beside_their_rows(tmp_path):
    recipe = replace(RECIPE, every=3, frames=True, images=4)
    recipe.measure("t", where(tmp_path))
    frame = recipe.frame("t", where(tmp_path), measured=True)
    assert frame.groupby("sample")["step"].apply(list).tolist() == [[0, 3, 6]] * 4
    last = frame[frame["step"] == 6]
    found = recipe.made("t", where(tmp_path), measured=False)["sat", "eq7-steps6-pca"]
    assert np.array_equal(np.stack(list(last["image"])), all_images(found))
    assert all(image.shape == (1, 16, 16) for image in frame["image"])
    assert (frame[frame["step"] == 0]["linf"] == 0).all()


def test_without_frames_only_the_last_row_of_a_chain_has_an_image(tmp_path):
    RECIPE.measure("t", where(tmp_path))
    frame = RECIPE.frame("t", where(tmp_path), measured=True)
    assert frame["image"].notna().tolist() == (frame["step"] == 6).tolist()


def test_drawing_without_measuring_wants_the_same_settings(tmp_path):
    made(RECIPE, tmp_path)
    with pytest.raises(UserError, match=r"were made with every 0, not 2; make them: leave out --no-measure"):
        replace(RECIPE, every=2).frame("t", where(tmp_path), measured=False)
    with pytest.raises(UserError, match=r"holds 25 of 40 images of 'sat'; generate them"):
        replace(RECIPE, images=40).frame("t", where(tmp_path), measured=False)


def test_bfloat16_records_what_the_network_says_in_float32(tmp_path):
    found = made(replace(RECIPE, precision="bf16"), tmp_path)["sat", "eq7-steps6-pca"]
    ends = found.ends(["joint_energy", "logits", "label"])
    logits = np.stack(ends["logits"].to_numpy())
    np.testing.assert_allclose(-logits[np.arange(25), ends["label"]], ends["joint_energy"], rtol=1e-6)
    exact = made(RECIPE, tmp_path / "exact")["sat", "eq7-steps6-pca"].ends(["joint_energy"])["joint_energy"]
    assert 0 < np.abs(exact - ends["joint_energy"]).max() < 0.5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--start", "pka"], "unknown start 'pka'; did you mean 'pca'?"),
        (["--class", "10"], "class 10: digits:train has classes 0 to 9; take one of them"),
        (["--class", "cat"], "unknown class of digits 'cat'"),
        (["--class", "1", "--class", "1"], "classes are named once each; leave one out"),
        (["--shard", "5"], "unknown option"),
        (["--precision", "fp16"], "unknown precision 'fp16'"),
        (["--models", "nets.py:net"], "nets.py:net is not of the demo zoo, so say its data set: --data cifar10"),
        (["--start", "pca", "--start", "pca"], "method eq7-steps6-pca is named twice; leave one out"),
        (["--models", "demo:sta"], "unknown demo network 'sta'"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, capsys, more, message):
    assert typed(tmp_path, *more) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "tables").exists()
    assert not (tmp_path / "out").exists()


def test_a_dry_run_tells_and_makes_nothing(tmp_path, capsys):
    assert typed(tmp_path, "--n", "25", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "sat, eq7-steps6-pca: 0 of 25 images there, the rest in about" in told
    assert "missing: 1 file; about" in told
    assert not (tmp_path / "tables").exists()


def test_a_recipe_is_read_without_torch():
    code = (
        "import sys; from energylens.recipe import recipes; "
        "[recipes(name) for name in ('starts', 'target_chains', 'table_2b', 'intensity', 'sigma_grid')]; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})


def test_a_users_choices():
    chosen = replace(RECIPE, methods=(Method(PCA(), SHORT), Method(Random(), SHORT, seed=3))).override(
        models=["demo:trades"], samples=7, seed=2, precision="bf16"
    )
    assert (chosen.models, chosen.images, chosen.precision) == (("demo:trades",), 7, "bf16")
    assert [method.name for method in chosen.methods] == ["eq7-steps6-pca-seed2", "eq7-steps6-random-seed2"]
    assert chosen.override(data="cifar10:test").data == chosen.override(data="cifar10").data == "cifar10:train"
    assert chosen.override(data="mine.npz").data == "mine.npz"
    with pytest.raises(UserError, match=r"--eps 0.1: chains have no such thing; leave it out"):
        RECIPE.override(eps=0.1)
