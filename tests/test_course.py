"""A run in its folder: what is there is whole, a run that was killed goes on with the same bits."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from dying import Death
from small_runs import NONE, RUN, changed, child, ready, train, weights

from energylens import data, models
from energylens.attacks import PGD
from energylens.errors import UserError
from energylens.models import files
from energylens.models.normalize import Normalize
from energylens.train import course, loop
from energylens.train.processes import Alone

COLOURS = """
import numpy as np
def colours():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (60, 3, 16, 16), np.uint8), np.arange(60) % 4
"""
REPLACED = 13
"""files of a run of RUN that are renamed into place, at most: its own, then up to three an epoch, and the last"""


def rows(made) -> pd.DataFrame:
    return pd.read_parquet(made.folder.path / "metrics.parquet").drop(columns="seconds")


def equal(one, other) -> bool:
    pairs = [(weights(one, name), weights(other, name)) for name in ("last", "best")]
    same = all(torch.equal(a[key], b[key]) for a, b in pairs for key in a)
    return same and rows(one).equals(rows(other))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"))


def test_a_finished_run_holds_its_weights_metrics_and_description(whole):
    names = {path.name for path in whole.folder.path.iterdir()}
    assert names == {"_lock", "run.json", "metrics.parquet", "last.safetensors", "best.safetensors"}
    assert whole.folder.path.name == "trades-digits-small-resnet+width=4-1"
    assert list(rows(whole)["epoch"]) == [1, 2, 3, 4]
    about = json.loads((whole.folder.path / "run.json").read_text())
    assert about["settings"]["ema"] == 0.9
    assert about["arch"] == "small-resnet:width=4:channels=1:classes=10"


def test_its_checkpoints_are_models(whole):
    net = models.load(str(whole.folder.path / "last.safetensors"))
    assert not net.training
    assert net(torch.zeros(2, 1, 16, 16)).shape == (2, 10)
    about = files.metadata(whole.folder.path / "last.safetensors")
    assert (about["selected"], about["epoch"], about["objective"], about["data"]) == (
        "last",
        4,
        "trades",
        "digits:train",
    )


def test_a_normalisation_in_the_architecture_comes_back(tmp_path):
    run = replace(RUN, arch="resnet20:normalize=cifar10", data=f"{tmp_path}/made.py:colours", samples=None)
    (tmp_path / "made.py").write_text(COLOURS)
    made = train(tmp_path / "runs", changed(run, select="last"))
    net = models.load(str(made.folder.path / "last.safetensors"))
    assert isinstance(net[0], Normalize)
    assert torch.equal(net[1].linear.weight, weights(made)["linear.weight"])


@pytest.mark.parametrize("call", range(1, REPLACED + 2))
def test_whatever_file_it_dies_at_it_goes_on_with_the_same_bits(call, whole, tmp_path):
    """Before one is renamed is after the one before it; the last calls are not reached."""
    process, _ = child(tmp_path, RUN, NONE, Death("replace", call, "before"))
    process.join(60)
    made = ready(tmp_path)
    if process.exitcode != -signal.SIGKILL:
        assert made.folder.done
    course.train(made, Alone())
    assert equal(made, whole)
    assert not (made.folder.path / "_state.pt").exists()


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_run_that_is_killed_goes_on_and_trains_the_rest_alone(epoch, whole, tmp_path):
    process, pipe = child(tmp_path, RUN, NONE)
    while pipe.recv() != epoch:
        pass
    process.kill()
    process.join()
    told = []
    made = ready(tmp_path)
    course.train(made, Alone(), lambda row, epochs: told.append(row["epoch"]))
    assert told[0] >= epoch  # where it goes on, then the others
    assert told == list(range(told[0], 5)) or made.folder.done
    assert equal(made, whole)


def test_a_finished_run_is_not_trained_again(whole):
    path = whole.folder.path / "last.safetensors"
    before = path.stat().st_mtime_ns
    course.train(whole, Alone(), lambda row, epochs: pytest.fail("trained"))
    assert path.stat().st_mtime_ns == before


def test_the_best_checkpoint_is_the_one_of_the_highest_accuracy_on_images_apart(whole):
    made = rows(whole)
    about = files.metadata(whole.folder.path / "best.safetensors")
    assert about["epoch"] == made["epoch"][made["val_robust"].idxmax()]
    assert (about["selected"], about["val_robust"]) == ("best-val", made["val_robust"].max())
    assert len(whole.data) == 50
    assert not set(whole.data.index) & set(whole.apart.index)
    net = models.load(str(whole.folder.path / "best.safetensors"))
    x, y, index = whole.apart.batch(0, 30)
    right = net(PGD(eps=0.2)(net, x, y, index=index)).argmax(1) == y
    assert right.float().mean().item() == pytest.approx(made["val_robust"].max(), abs=1e-6)


def test_held_out_images_are_the_same_for_every_seed(tmp_path, whole):
    other = ready(tmp_path, changed(seed=2))
    assert list(other.apart.index) == list(whole.apart.index)


def test_the_selection_begins_where_it_is_told_to(tmp_path):
    made = train(tmp_path, changed(select_after=3))
    assert files.metadata(made.folder.path / "best.safetensors")["epoch"] == 4


def test_synthetic_images_select_in_the_last_tenth_and_are_not_trained_on(tmp_path):
    digits = data.load("digits:test", samples=40)
    images = (255 * digits.images[:40]).round().to(torch.uint8).permute(0, 2, 3, 1)
    np.savez(tmp_path / "edm.npz", image=images.numpy(), label=digits.labels[:40].numpy())
    run = replace(changed(select="best-synthetic", epochs=10, ema=0.0), synthetic=str(tmp_path / "edm.npz"))
    made = train(tmp_path / "runs", run)
    assert len(made.data) == 80
    about = files.metadata(made.folder.path / "best.safetensors")
    assert (about["selected"], about["epoch"]) == ("best-synthetic", 10)


def test_nan_keeps_the_last_good_state_and_says_where_it_began(tmp_path, monkeypatch):
    real = loop.batch

    def poisoned(images, rows, settings, epoch, device):
        x, y, index = real(images, rows, settings, epoch, device)
        return (x * float("nan") if epoch == 2 else x), y, index

    monkeypatch.setattr(loop, "batch", poisoned)
    monkeypatch.setattr(loop, "attacked", lambda *given: given[4])
    made = ready(tmp_path)
    with pytest.raises(loop.NotFinite) as error:
        course.train(made, Alone())
    assert "the loss became nan in epoch 3, step 1 (ce_clean, kl)" in str(error.value)
    assert "the state after 2 of 4 epochs is kept in" in str(error.value)
    saved = torch.load(made.folder.path / "_state.pt", weights_only=True)
    assert saved["state"]["epoch"] == 2
    assert all(value.isfinite().all() for value in saved["state"]["net"].values())
    assert not made.folder.done


def test_another_process_in_the_same_folder_is_refused(tmp_path):
    process, pipe = child(tmp_path, changed(epochs=400), NONE)
    assert pipe.recv() == 1
    with pytest.raises(UserError, match=r"another process trains in .*; wait until it ends, or take another --runs"):
        course.train(ready(tmp_path, changed(epochs=400)), Alone())
    process.kill()
    process.join()


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (changed(lr=0.3), "belongs to another run (--lr 0.4 there, 0.3 here); repeat its settings to go on with it"),
        (changed(epochs=5, beta=3), "(--epochs 4 there, 5 here; --beta none there, 3 here)"),
    ],
)
def test_a_folder_of_other_settings_is_refused_before_any_work(run, text, whole):
    with pytest.raises(UserError) as error:
        ready(whole.folder.path.parent, run)
    assert text in str(error.value)


def test_a_folder_of_another_objective_or_of_other_images_is_refused(tmp_path):
    made = train(tmp_path, replace(RUN, title="mine"))
    with pytest.raises(UserError, match=r"\(objective trades there, weat-nat here\)"):
        ready(tmp_path, replace(RUN, title="mine", objective="weat-nat"))
    with pytest.raises(UserError, match=r"\(--samples 80 there, 81 here\)"):
        ready(tmp_path, replace(RUN, title="mine", samples=81))
    about = json.loads((made.folder.path / "run.json").read_text())
    (made.folder.path / "run.json").write_text(json.dumps(about | {"data_sha": "0"}))
    with pytest.raises(UserError, match="other images under the same name"):
        ready(tmp_path, replace(RUN, title="mine"))


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / RUN.name).mkdir()
    (tmp_path / RUN.name / "thesis.txt").write_text("all my work")
    with pytest.raises(UserError, match=r"holds thesis.txt and is no training run; take another --runs, or --name"):
        ready(tmp_path)


def test_a_description_that_another_process_writes_meanwhile_is_read(tmp_path, monkeypatch):
    """Two processes check the same folder; the quicker one says what it is while the other one looks."""
    made = ready(tmp_path)
    listed = Path.glob

    def late(folder: Path, pattern: str):
        made.folder.write_about(made.facts)
        return listed(folder, pattern)

    made.folder.path.mkdir()
    monkeypatch.setattr(Path, "glob", late)
    assert made.folder.about() == json.loads(json.dumps(made.facts))


def test_a_damaged_description_or_state_is_told(tmp_path):
    (tmp_path / RUN.name).mkdir()
    (tmp_path / RUN.name / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run.json cannot be read .*; delete its folder to train anew"):
        ready(tmp_path)
    (tmp_path / RUN.name / "run.json").unlink()
    made = ready(tmp_path)
    (tmp_path / RUN.name / "_state.pt").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"_state.pt cannot be read .*; delete .* to train anew"):
        course.train(made, Alone())
