"""Generation that goes on: killed, shared between processes, after other settings, after damage."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from generating import NAMES, RECIPE, all_images, home, made, where

from energylens import command, table_command
from energylens.errors import UserError
from energylens.generate import files, levels, run
from energylens.generate.command import app
from energylens.generate.ready import prepared
from energylens.lock import Lock
from energylens.shards import parts


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))


def test_more_images_make_only_what_is_new(tmp_path):
    made(RECIPE, tmp_path, batch=10)
    before = {part.path: part.path.stat().st_mtime_ns for part in parts(home(tmp_path))}
    made(replace(RECIPE, images=32), tmp_path, batch=10)
    after = {part.path: part.path.stat().st_mtime_ns for part in parts(home(tmp_path))}
    assert {path: after[path] for path in before} == before
    assert sorted((part.start, part.stop) for part in parts(home(tmp_path))) == [
        (0, 10),
        (10, 20),
        (20, 25),
        (25, 30),
        (30, 32),
    ]


def test_other_settings_under_the_same_name_go_aside_and_come_back(tmp_path, capsys):
    first = all_images(made(RECIPE, tmp_path)["sat", "eq7-steps6-pca"])
    made(replace(RECIPE, every=2), tmp_path)
    assert "moved aside" in capsys.readouterr().out
    again = all_images(made(RECIPE, tmp_path)["sat", "eq7-steps6-pca"])
    assert "brought back" in capsys.readouterr().out
    assert np.array_equal(first, again)


def test_a_missing_image_file_is_made_again(tmp_path):
    first = all_images(made(RECIPE, tmp_path)["sat", "eq7-steps6-pca"])
    next((tmp_path / "tables").rglob("_images-*.npz")).unlink()
    assert np.array_equal(all_images(made(RECIPE, tmp_path)["sat", "eq7-steps6-pca"]), first)


def test_two_processes_do_not_make_the_same_file(tmp_path, monkeypatch):
    """While one has a file's range, the other makes the rest, and finds the first one's file when it is given back."""

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
    there = tmp_path / "one" / "t" / "generate" / "chains" / "model=sat" / "attack=eq7-steps4-pca"
    assert [part.start for part in parts(there)] == list(range(0, 800, 100))
    for folder in folders:
        assert command.run(app, "test", [*settings, *folder]) == 0
    one, two = (np.load(Path(tmp_path / name / "sat-eq7-steps4-pca.npz"))["images"] for name in ("one", "two"))
    assert len(one) == 2000
    assert np.array_equal(one, two)


def test_files_of_several_keys_are_refused(tmp_path):
    made(RECIPE, tmp_path, batch=10)
    last = parts(home(tmp_path))[-1]
    for path in (last.path, last.images):
        path.rename(path.with_name(path.name.replace(last.key, "0" * 8)))
    with pytest.raises(UserError, match="holds shards of several keys"):
        files.find(tmp_path / "tables" / "t", "sat", "eq7-steps6-pca", 25)


def checked(tmp_path, capsys):
    """What `table check` says: exit code, its lines."""
    code = command.run(table_command.app, "test", ["check", str(tmp_path / "tables")])
    return code, capsys.readouterr().out


def test_a_process_of_another_batch_makes_only_what_is_left(tmp_path, monkeypatch):
    """It planned before the other one wrote 0 to 15."""
    place = where(tmp_path, batch=10).place
    ready = prepared(RECIPE, "t", place)
    tasks, _ = ready.plan()
    made(replace(RECIPE, images=15), tmp_path, batch=15)
    left = [(one.start, one.stop) for task in tasks for one in ready.rest(task)]
    assert left == [(15, 20), (20, 25)]


def test_table_check_looks_at_chains_and_their_images(tmp_path, capsys):
    made(RECIPE, tmp_path, batch=10)
    capsys.readouterr()
    assert checked(tmp_path, capsys) == (0, "3 files, 50 rows: all right\n")
    first = parts(home(tmp_path))[0]
    shutil.copy(first.path, first.path.with_name(f"part-{first.key}-5-15.parquet"))
    code, told = checked(tmp_path, capsys)
    assert code == 2
    assert "has chains of a file before it too, so readers take them twice" in told


def test_compact_leaves_chains_alone(tmp_path, capsys):
    made(RECIPE, tmp_path, batch=10)
    assert command.run(table_command.app, "test", ["compact", str(tmp_path / "tables")]) == 0
    assert "left as it is, a file for each batch of chains" in capsys.readouterr().out
    assert len(parts(home(tmp_path))) == 3


@pytest.mark.parametrize("damage", ["cut", "fewer"])
def test_damaged_images_are_told(tmp_path, capsys, damage):
    found = made(RECIPE, tmp_path)[NAMES]
    path = parts(home(tmp_path))[0].images
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:300])
    else:
        np.savez(path, images=np.zeros((3, 1, 16, 16), np.uint8))
    with pytest.raises(UserError, match=r"_images-.*; delete it and measure it again"):
        list(found.ended())
    code, told = checked(tmp_path, capsys)
    assert (code, "_images-" in told) == (2, True)


def test_images_that_are_gone_are_made_again_in_batches_of_another_size(tmp_path):
    first = all_images(made(RECIPE, tmp_path)[NAMES])
    parts(home(tmp_path))[0].images.unlink()
    again = all_images(made(RECIPE, tmp_path, batch=10)[NAMES])
    assert np.abs(first.astype(int) - again).max() <= 1
    assert len(pd.read_parquet(tmp_path / "tables" / "t" / "chains")) == 50


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut"])
def test_damaged_levels_are_measured_again(tmp_path, damage):
    first = made(RECIPE, tmp_path)[NAMES].rows(["sample", "reference"])
    (kept,) = (tmp_path / "home" / "levels").glob("*.npz")
    kept.write_bytes(damage)
    shutil.rmtree(tmp_path / "tables")
    assert made(RECIPE, tmp_path)[NAMES].rows(["sample", "reference"]).equals(first)
    assert kept.stat().st_size > len(damage)


def test_too_little_memory_says_what_to_take(tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(levels, "_measured", full)
    with pytest.raises(UserError, match=r"cpu has too little memory for 10 images at once; take --batch 5"):
        run.run(RECIPE, "t", where(tmp_path, batch=10).place)
    with pytest.raises(UserError, match=r"take --precision bf16, or another --device"):
        run.run(RECIPE, "t", where(tmp_path, batch=1).place)


def test_many_moved_files_are_told_in_few_lines():
    lines = [f"moved aside: file {number}" for number in range(500)]
    assert list(run.shortened(lines)) == [*lines[:3], "... and 497 files more"]
    assert list(run.shortened(lines[:2])) == lines[:2]


def test_a_device_that_is_not_there_is_told_before_files_are_moved(tmp_path):
    made(RECIPE, tmp_path)
    before = sorted(path.name for path in home(tmp_path).iterdir())
    nowhere = replace(where(tmp_path).place, device="nonsense")
    with pytest.raises(UserError, match="--device nonsense cannot be used here"):
        run.run(replace(RECIPE, every=2), "t", nowhere)
    assert sorted(path.name for path in home(tmp_path).iterdir()) == before


def test_with_a_stop_the_recorded_steps_do_not_depend_on_the_batch(tmp_path):
    from energylens.generate import EQ7, PCA, Method

    recipe = replace(RECIPE, methods=(Method(PCA(), replace(EQ7, steps=20, stop=0.5)),), every=5)
    found = {}
    for batch in (3, 25):
        recipe.measure("t", where(tmp_path / str(batch), batch=batch))
        (one,) = recipe.made("t", where(tmp_path / str(batch)), measured=True).values()
        found[batch] = one.rows(["sample", "step"]).sort_values(["sample", "step"]).reset_index(drop=True)
    assert found[3].equals(found[25])
    assert found[3].groupby("sample")["step"].apply(list).tolist() == [[0, 5, 10, 15, 20]] * 25
