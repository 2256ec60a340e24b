"""Runs on a real Ray of two workers: the bits of local runs, also when a worker or the command is killed."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from ray_workers import at_work
from small_runs import NONE, RUN, changed, ready, train, weights

from energylens import command
from energylens.errors import UserError
from energylens.train import cluster
from energylens.train.command import app
from energylens.train.order import Order
from energylens.train.prepare import Place

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'energylens[cluster]'")
SEEDS = (changed(RUN, seed=1), changed(RUN, seed=2))
LONG = tuple(changed(run, epochs=40) for run in SEEDS)


@pytest.fixture(scope="module", autouse=True)
def two_workers():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
    torch.set_num_threads(threads)


def same(folder: Path, other: Path, runs) -> bool:
    pairs = [(weights(ready(folder, run)), weights(ready(other, run))) for run in runs]
    return all(torch.equal(one[key], two[key]) for one, two in pairs for key in one)


@pytest.mark.slow
def test_two_seeds_have_the_bits_of_local_runs(tmp_path, capsys):
    cluster.train(Order(SEEDS, Place(tmp_path / "ray"), NONE), None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 runs on Ray, 2 at a time"
    assert sorted(line.split(":")[0] for line in lines[1:]) == [run.name for run in SEEDS]
    for run in SEEDS:
        train(tmp_path / "local", run)
    assert same(tmp_path / "ray", tmp_path / "local", SEEDS)


def test_the_others_go_on_when_one_fails(tmp_path, capsys):
    failing = changed(RUN, seed=3, lr=1e30)
    with pytest.raises(UserError, match=rf"1 of 2 runs failed; {re.escape(failing.name)}: .* became "):
        cluster.train(Order((failing, SEEDS[0]), Place(tmp_path), NONE), None)
    assert ready(tmp_path, SEEDS[0]).folder.done
    assert capsys.readouterr().out.count("failed: ") == 1


@pytest.mark.slow
def test_a_killed_workers_run_goes_on_elsewhere(tmp_path):
    killed = []

    def kill() -> None:
        folder = ready(tmp_path, LONG[0]).folder.path
        while not (folder / "metrics.parquet").exists():
            time.sleep(0.02)
        killed.extend(at_work("_task"))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    cluster.train(Order(LONG[:1], Place(tmp_path), NONE), None)
    killer.join()
    assert len(killed) == 1
    train(tmp_path / "local", LONG[0])
    assert same(tmp_path, tmp_path / "local", LONG[:1])


def test_the_command_takes_relative_folders(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = ["--samples", "80", "--epochs", "4", "--attack-steps", "1", "--energies-every", "0", "--seed", "1"]
    assert command.run(app, "train", ["sat", "--engine", "ray", "--runs", "here", *said]) == 0
    assert (tmp_path / "here" / "sat-digits-small-resnet-1" / "last.safetensors").exists()
    assert "sat-digits-small-resnet-1: loss " in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_command_goes_on(tmp_path):
    for run in LONG:
        train(tmp_path / "local", run)
    order = Order(LONG, Place(tmp_path / "ray"), NONE)
    code = (
        "import ray, torch; torch.set_num_threads(1)\n"
        "from test_train_ray import *\n"
        "if __name__ == '__main__':\n"
        "    ray.init('local', num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level='ERROR')\n"
        f"    cluster.train(Order(LONG, Place(Path({str(tmp_path / 'ray')!r})), NONE), None)\n"
    )
    (tmp_path / "driver.py").write_text(code)
    driver = subprocess.Popen(
        [sys.executable, str(tmp_path / "driver.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ["PYTHONPATH"]])},
    )
    first = ready(tmp_path / "ray", LONG[0]).folder.path / "metrics.parquet"
    while not first.exists():
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    cluster.train(order, None)
    assert same(tmp_path / "ray", tmp_path / "local", LONG)
