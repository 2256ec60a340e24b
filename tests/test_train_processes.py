"""`--processes N` as a user types it: mistakes before any work, kills, torchrun."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from plain_training import known
from safetensors.torch import load_file

from energylens import command
from energylens.train.command import app

SCRIPT = Path(__file__).with_name("plain_training.py")
PLAIN = ["sat", "--arch", "plain", "--samples", "75", "--batch", "16", "--attack-steps", "1", "--energies-every", "0"]


def fails(capsys, *arguments: str) -> str:
    """The one line of a command that trains nothing."""
    with known():
        assert command.run(app, "train", [*PLAIN, *arguments]) == 2
    out, error = capsys.readouterr()
    assert not out
    assert error.count("\n") == 1
    assert not list(Path().rglob("run.json"))
    return error


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--batch 74", "the last batch of 75 images is 1, too few for 2 processes; take --batch 75"),
        ("--batch 1", "a batch of 1 image cannot be shared by 2 processes"),
        ("--engine ray", "--engine ray trains each run in one process; leave --processes and torchrun out"),
        ("--device meta", "--processes 2 needs --device cuda or cpu, not meta"),
        ("--device cpu:0", "--device cpu:0 is one GPU; processes that train together take --device cuda"),
        ("--address auto", "--address auto is of a Ray cluster; add --engine ray, or leave it out"),
        ("--epochs 0", "--epochs 0 must be a whole number, at least 1"),
        ("--engine dask", "unknown engine 'dask'; available: local, ray"),
    ],
)
def test_mistakes_are_told_before_any_work(capsys, arguments, line):
    assert line in fails(capsys, "--processes", "2", *arguments.split())


def test_a_replay_buffer_is_one_processs(capsys):
    with known():
        assert command.run(app, "train", ["jeat", *PLAIN[1:], "--processes", "2"]) == 2
    assert "jeat has one replay buffer, in one process; leave --processes out" in capsys.readouterr().err


def test_without_lightning_one_line_says_what_to_type(capsys, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr("energylens.train.fabric.find_spec", lambda name: None if name == "lightning" else there(name))
    assert "type: pip install 'energylens[processes]'" in fails(capsys, "--processes", "2")


def test_more_processes_than_gpus(capsys, monkeypatch):
    monkeypatch.setattr("energylens.options.Files.where", "cuda:0")
    assert "this machine has 0 GPUs; take --device cpu" in fails(capsys, "--processes", "2")


def test_torchrun_that_says_half_of_it(capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    assert "WORLD_SIZE is set and RANK is not; start with torchrun, or: unset WORLD_SIZE" in fails(capsys)
    assert "--processes 3: torchrun has started 2; leave it out" in fails(capsys, "--processes", "3")
    for text in ("", "2x"):
        monkeypatch.setenv("WORLD_SIZE", text)
        assert f"WORLD_SIZE is '{text}' and no number of processes; start with torchrun, or: unset" in fails(capsys)


def started(*arguments: str, by: tuple[str, ...] = ()) -> subprocess.Popen:
    path = os.pathsep.join([str(SCRIPT.parent), str(SCRIPT.parents[1])])
    return subprocess.Popen(
        [sys.executable, *by, str(SCRIPT), *PLAIN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )


def ended(process: subprocess.Popen) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=120)
    return process.returncode, out, error


def children(process: subprocess.Popen) -> list[int]:
    """Its processes that train."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(one) for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def weights(runs: str) -> dict[str, torch.Tensor]:
    (file,) = Path(runs).glob("*/last.safetensors")
    return load_file(file)


def epochs_of(runs: str) -> int:
    files = list(Path(runs).glob("*/metrics.parquet"))
    return int(pd.read_parquet(files[0])["epoch"].max()) if files else 0


@pytest.mark.slow
@pytest.mark.parametrize("which", ["a worker", "all but the workers"])
def test_a_killed_run_ends_and_goes_on_with_the_same_bits(which):
    whole = ended(started("--runs", "whole", "--processes", "2", "--epochs", "60"))
    assert whole[0] == 0, whole
    assert whole[1].count("\n") == 2
    assert not whole[2]
    run = started("--runs", "killed", "--processes", "2", "--epochs", "60")
    while epochs_of("killed") < 3:
        time.sleep(0.01)
    workers = children(run)
    assert len(workers) == 2
    os.kill(workers[1] if which == "a worker" else run.pid, signal.SIGKILL)
    code, _, error = ended(run)
    if which == "a worker":
        assert code == 2
        assert "process 2 of 2 was killed (out of memory?); whole epochs are kept: the same command goes on" in error
        assert error.count("\n") == 1
    for _ in range(600):
        if not any(Path(f"/proc/{worker}").exists() for worker in workers):
            break
        time.sleep(0.05)
    else:
        pytest.fail("a worker is left")
    assert epochs_of("killed") < 60
    assert ended(started("--runs", "killed", "--processes", "2", "--epochs", "60"))[0] == 0
    one, other = weights("whole"), weights("killed")
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.slow
def test_torchrun_starts_processes_too():
    by = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert ended(started("--runs", "children", "--processes", "2", "--epochs", "4"))[0] == 0
    code, out, error = ended(started("--runs", "torchrun", "--epochs", "4", by=by))
    assert code == 0, error
    assert out.count("\n") == 2
    one, other = weights("children"), weights("torchrun")
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.slow
def test_a_run_that_fails_is_told_once():
    run = started("--runs", "runs", "--processes", "2", "--epochs", "4", "--lr", "1e30")
    code, out, error = ended(run)
    assert code == 2
    assert out.count("\n") == 1  # what is trained
    assert error.count("\n") == 1
    assert error.startswith("error: sat-digits-plain-1: ")
