"""The Ray engine on a real instance of two workers: the local tables, also when a worker is killed."""

import os
import signal
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from ray_workers import at_work

from energylens import measure
from energylens.attacks import APGD, PGD
from energylens.engines import cluster
from energylens.errors import UserError
from energylens.options import Place
from energylens.recipe import Recipe

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'energylens[cluster]'")
NETS = ("demo:sat", "demo:standard-6")
RECIPE = Recipe(NETS, "digits:test", (PGD(eps=0.2), APGD(eps=0.2, batch=25, steps=20)), samples=100)


@pytest.fixture(scope="module", autouse=True)
def two_workers():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> pd.DataFrame:
    return table(tmp_path_factory.mktemp("local"), "local")


def table(folder: Path, engine: str, say=print) -> pd.DataFrame:
    measure.run(RECIPE, "test", Place(tables=folder, engine=engine, shard=25), say=say)
    found = pd.read_parquet(folder / "test" / "points")
    return found.sort_values(["model", "attack", "sample"], ignore_index=True)


def kill_one(killed: list[int]) -> None:
    for _ in range(600):
        if found := at_work("_attempt"):
            os.kill(found[0], signal.SIGKILL)
            killed.append(found[0])
            return
        time.sleep(0.05)


def test_ray_gives_the_local_tables_bit_for_bit(tmp_path, local):
    pd.testing.assert_frame_equal(table(tmp_path, "ray"), local, check_exact=True)


def test_a_killed_workers_shards_are_given_to_others(tmp_path, local):
    killed, said = [], []
    killer = threading.Thread(target=kill_one, args=(killed,))
    killer.start()
    found = table(tmp_path, "ray", said.append)
    killer.join()
    assert len(killed) == 1
    pd.testing.assert_frame_equal(found, local, check_exact=True)
    assert not [line for line in said if "failed" in line]


def test_a_shard_that_fails_in_the_cluster_is_named(tmp_path, toy_net, npz):
    net = toy_net("return logits if len(x) == 2 or not x.requires_grad else self.linear(x)")
    failing = Recipe((f"{net}:toy",), str(npz), (PGD(eps=0.1),), samples=6)
    with pytest.raises(
        UserError, match=r"1 of 2 shards failed, the others are there; toy under pgd-eps0.1, images 0 to 6"
    ):
        measure.run(failing, "test", Place(tables=tmp_path / "tables", engine="ray"))
    (shard,) = (tmp_path / "tables").rglob("part-*.parquet")
    assert shard.parent.name == "attack=natural"


def test_more_threads_than_a_machine_has_are_refused(tmp_path):
    torch.set_num_threads(3)
    try:
        with pytest.raises(
            UserError, match=r"takes 3 threads, .* largest machine has 2 CPUs; put OMP_NUM_THREADS=2 in"
        ):
            table(tmp_path, "ray")
    finally:
        torch.set_num_threads(1)


def test_no_cluster_at_an_address(tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UserError, match=r"no Ray cluster at nowhere:1 .* start one: ray start --head"):
        measure.run(RECIPE, "test", Place(tables=tmp_path, engine="ray", address="nowhere:1"))


def test_without_an_address_a_cluster_of_its_own_is_started(monkeypatch):
    """Ray alone would join one that runs on this machine, or that $RAY_ADDRESS names."""
    asked = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda address, **settings: asked.append(address))
    cluster.connect(None)
    cluster.connect("auto")
    assert asked == ["local", "auto"]
