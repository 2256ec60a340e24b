"""The command that makes images: files, resumed and shared work, what is told of mistakes."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from energylens import command, data, models
from energylens import need as needs
from energylens.errors import UserError
from energylens.generate import EQ7, PCA, Generation, Method, Random, files, run
from energylens.generate.command import app
from energylens.generate.ready import prepared
from energylens.options import Place
from energylens.shards import parts

SHORT = replace(EQ7, steps=6)
RECIPE = Generation(("demo:sat",), "digits:train", (Method(PCA(), SHORT),), images=25)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))


def where(tmp_path, **settings):
    return needs.Where(Place(tables=tmp_path / "tables", device="cpu", **settings), out=tmp_path / "out")


def typed(tmp_path, *more):
    places = ["--tables", str(tmp_path / "tables"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    return command.run(app, "test", [*places, "--sampler", "eq7:steps=6", *more])


def made(recipe, tmp_path, **settings):
    recipe.measure("t", where(tmp_path, **settings))
    return recipe.made("t", where(tmp_path), measured=True)


def all_images(found):
    return np.concatenate(list(found.ended()))


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


def test_more_images_make_only_what_is_new(tmp_path):
    made(RECIPE, tmp_path, batch=10)
    home = tmp_path / "tables" / "t" / "chains" / "model=sat" / "attack=eq7-steps6-pca"
    before = {part.path: part.path.stat().st_mtime_ns for part in parts(home)}
    made(replace(RECIPE, images=32), tmp_path, batch=10)
    after = {part.path: part.path.stat().st_mtime_ns for part in parts(home)}
    assert {path: after[path] for path in before} == before
    assert sorted((part.start, part.stop) for part in parts(home)) == [(0, 10), (10, 20), (20, 25), (25, 30), (30, 32)]


def test_other_settings_under_the_same_name_go_aside_and_come_back(tmp_path, capsys):
    first = all_images(made(RECIPE, tmp_path)["sat", "eq7-steps6-pca"])
    made(replace(RECIPE, every=2), tmp_path)
    assert "moved aside" in capsys.readouterr().out
    again = all_images(made(RECIPE, tmp_path)["sat", "eq7-steps6-pca"])
    assert "brought back" in capsys.readouterr().out
    assert np.array_equal(first, again)


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


def test_a_missing_image_file_is_made_again(tmp_path):
    first = all_images(made(RECIPE, tmp_path)["sat", "eq7-steps6-pca"])
    next((tmp_path / "tables").rglob("_images-*.npz")).unlink()
    assert np.array_equal(all_images(made(RECIPE, tmp_path)["sat", "eq7-steps6-pca"]), first)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--start", "pka"], "unknown start 'pka'; did you mean 'pca'?"),
        (["--class", "10"], "class 10: digits:train has classes 0 to 9; take one of them"),
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


def test_two_processes_do_not_make_the_same_file(tmp_path, monkeypatch):
    """While one has a file's range, the other makes the rest, and finds the first one's file when it is given back."""
    from energylens.lock import Lock

    ready = prepared(RECIPE, "t", where(tmp_path, batch=10).place)
    tasks, _ = ready.plan()
    begun = []
    whole = run.make
    monkeypatch.setattr(run, "make", lambda ready, task, advance: begun.append(task) or whole(ready, task, advance))
    taken, asked = Lock.take, []

    def take(lock, folder, start, stop):
        asked.append(start)
        return asked.count(10) > 2 if start == 10 else taken(lock, folder, start, stop)

    monkeypatch.setattr(Lock, "take", take)
    monkeypatch.setattr(run, "WAIT", 0.0)
    run.run(RECIPE, "t", where(tmp_path, batch=10).place, say=lambda line: None)
    assert [(task.start, task.stop) for task in begun] == [(0, 10), (20, 25), (10, 20)]
    assert len(tasks) == 3


KILLED = """
import os, signal, sys
from energylens.generate import batches, run
whole = run.make
def dying(ready, task, advance):
    if task.start == 800:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(ready, task, advance)
run.make = dying
from energylens.generate.command import app
from energylens import command
command.main(app, "test", sys.argv[1:])
"""


def test_two_thousand_images_killed_and_resumed_are_those_of_one_go(tmp_path):
    settings = ["--n", "2000", "--sampler", "eq7:steps=4", "--device", "cpu"]
    folders = [["--tables", str(tmp_path / name / "t"), "--out", str(tmp_path / name)] for name in ("one", "two")]
    environment = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": os.pathsep.join(sys.path)}
    typed = [sys.executable, "-c", KILLED, *settings, *folders[0]]
    killed = subprocess.run(typed, env=os.environ | environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    home = tmp_path / "one" / "t" / "generate" / "chains" / "model=sat" / "attack=eq7-steps4-pca"
    assert [part.start for part in parts(home)] == list(range(0, 800, 100))
    for folder in folders:
        assert command.run(app, "test", [*settings, *folder]) == 0
    one, two = (np.load(Path(tmp_path / name / "sat-eq7-steps4-pca.npz"))["images"] for name in ("one", "two"))
    assert len(one) == 2000
    assert np.array_equal(one, two)


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


def test_files_of_several_keys_are_refused(tmp_path):
    made(RECIPE, tmp_path, batch=10)
    home = tmp_path / "tables" / "t" / "chains" / "model=sat" / "attack=eq7-steps6-pca"
    last = parts(home)[-1]
    for path in (last.path, last.images):
        path.rename(path.with_name(path.name.replace(last.key, "0" * 8)))
    with pytest.raises(UserError, match="holds shards of several keys"):
        files.find(tmp_path / "tables" / "t", "sat", "eq7-steps6-pca", 25)
