"""Whose a folder is: checked again when it is locked, by contents too; what killed runs leave half written goes."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_runs import NONE, RUN, changed, ready, train
from toy_subsets import make, toy_run

from energylens import atomic, epochs, lock
from energylens.errors import UserError
from energylens.train import course
from energylens.train.prepare import Energies
from energylens.train.processes import Alone

PLAIN = replace(changed(RUN, epochs=2, select="last", val_images=1000, ema=0.0), title="mine")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def unfinished(path: Path) -> None:
    (path / "last.safetensors").unlink()


@pytest.mark.parametrize("killed", [False, True])
def test_a_folder_that_became_anothers_after_the_first_check_is_refused(killed):
    first = ready(Path("runs"), PLAIN)
    other = train(Path("runs"), changed(PLAIN, lr=0.1))
    if killed:
        unfinished(other.folder.path)
    with pytest.raises(UserError, match=r"^runs/mine-1 belongs to another run \(--lr 0.1 there, 0.4 here\)"):
        course.train(first, Alone())


def test_of_two_that_were_prepared_at_once_the_second_finds_the_first_ones_work():
    both = [ready(Path("runs"), PLAIN) for _ in range(2)]
    course.train(both[0], Alone())
    course.train(both[1], Alone(), lambda row, epochs: pytest.fail("trained"))


def test_other_weights_that_found_the_images_meanwhile_are_told(tmp_path, monkeypatch):
    make(tmp_path)
    first = ready(Path("runs"), toy_run("high"))
    monkeypatch.setattr("energylens.models.identity.sha", lambda net: "of another one")
    unfinished(train(Path("runs"), toy_run("high")).folder.path)
    with pytest.raises(UserError, match=r"belongs to another run \(other weights of nets.py:by_hand\); take --name"):
        course.train(first, Alone())


def test_a_killed_run_under_another_name_is_told_and_goes_on_under_its_own():
    watched = Energies(every=1, samples=4)
    path = train(Path("runs"), replace(PLAIN, title="one"), watched).folder.path
    unfinished(path)
    path.rename("runs/two-1")
    with pytest.raises(UserError) as error:
        ready(Path("runs"), replace(PLAIN, title="two"), watched)
    assert str(error.value) == (
        "runs/two-1 was called one-1 when its energies were measured; call it so again to go on with it, or take "
        "another --name"
    )
    Path("runs/two-1").rename(path)
    course.train(ready(Path("runs"), replace(PLAIN, title="one"), watched), Alone())
    assert set(epochs.means(path)["model"]) == {"one-1"}


def test_what_killed_runs_left_half_written_goes(tmp_path):
    half = ["._state.pt.17", ".run.json.4", ".last.safetensors.99999"]
    made = ready(tmp_path, PLAIN, Energies(every=2, samples=4))
    deep = made.folder.path / "epochs" / "model=mine-1" / "attack=natural"
    deep.mkdir(parents=True)
    made.folder.write_about(made.facts)
    for path in (*(made.folder.path / name for name in half), deep / ".train-0000.parquet.23"):
        path.write_text("half")
    course.train(made, Alone())
    assert not list(made.folder.path.rglob(".*"))


def test_only_half_written_files_are_swept(tmp_path):
    kept = [".hidden", ".notes.txt", "part.parquet.3", ".x.parquet.3a"]
    for name in (*kept, ".x.parquet.3"):
        (tmp_path / name).touch()
    atomic.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def digits(path: Path, seed: int) -> str:
    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    np.savez(path, image=rng.integers(0, 256, (12, 16, 16, 1), np.uint8), label=np.arange(12) % 10)
    return str(path)


def test_images_of_the_selection_are_known_by_what_they_are_and_not_by_their_folder():
    run = replace(changed(PLAIN, epochs=10, select="best-synthetic"), synthetic=digits(Path("a/edm.npz"), 0))
    made = train(Path("runs"), run)
    about = json.loads((made.folder.path / "run.json").read_text())
    assert about["synthetic"] == "edm.npz"
    assert ready(Path("runs"), replace(run, synthetic=digits(Path("b/edm.npz"), 0))).folder.done
    with pytest.raises(UserError, match=r"\(other images under the name of --synthetic edm.npz\); take --name NAME"):
        ready(Path("runs"), replace(run, synthetic=digits(Path("b/edm.npz"), 1)))
    with pytest.raises(UserError, match=r"\(--synthetic edm.npz there, other.npz here\)"):
        ready(Path("runs"), replace(run, synthetic=digits(Path("b/other.npz"), 0)))


def test_test_images_are_known_so_too_and_older_descriptions_hold():
    watched = Energies(every=2, samples=4, test=digits(Path("a/held.npz"), 0))
    made = train(Path("runs"), PLAIN, watched)
    with pytest.raises(UserError, match=r"\(other images under the name of --test held.npz\)"):
        ready(Path("runs"), PLAIN, replace(watched, test=digits(Path("b/held.npz"), 1)))
    path = made.folder.path / "run.json"
    old = json.loads(path.read_text())
    assert len(old.pop("test_sha")) == 64
    for typed in ("a/held.npz", "held.npz"):
        path.write_text(json.dumps(old | {"test": typed}))
        assert ready(Path("runs"), PLAIN, watched).folder.done
    path.write_text(json.dumps(old | {"test": "a/other.npz"}))
    with pytest.raises(UserError, match=r"\(--test a/other.npz there, held.npz here\)"):
        ready(Path("runs"), PLAIN, watched)


def test_a_run_that_is_not_measured_tells_no_images_of_it_and_goes_on_without_them():
    made = train(Path("runs"), PLAIN, Energies(every=0, samples=10, test="nothing.npz"))
    about = json.loads((made.folder.path / "run.json").read_text())
    assert (about["energies_samples"], about["test"]) == (None, None)
    unfinished(made.folder.path)
    course.train(ready(Path("runs"), PLAIN, NONE), Alone())
    (made.folder.path / "run.json").write_text(json.dumps(about | {"energies_samples": 10}))  # as once written
    assert ready(Path("runs"), PLAIN, NONE).folder.done
    assert list(pd.read_parquet(made.folder.path / "metrics.parquet")["epoch"]) == [1, 2]


def test_a_folder_without_file_locks_is_told(monkeypatch, capsys):
    def broken(*how):
        raise OSError(errno.ENOLCK, "No locks available")

    made = ready(Path("runs"), PLAIN)
    made.folder.path.mkdir(parents=True)
    monkeypatch.setattr(lock.fcntl, "lockf", broken)
    with made.folder.mine():
        assert capsys.readouterr().out.startswith("no file locks in runs/mine-1 (OSError")
