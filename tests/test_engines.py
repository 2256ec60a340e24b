"""Batches that do not fit, several devices, and what happens when a worker dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from probing import files, recipe, run

from energylens import engines, measure, table
from energylens.attacks import APGD, PGD
from energylens.engines import local
from energylens.errors import UserError
from energylens.options import Place
from energylens.recipe import Recipe

TOO_MANY = """if len(x) > 4 and x.requires_grad:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits"""
RECIPE = Recipe(("demo:sat", "demo:standard-6"), "digits:test", (PGD(eps=0.2, steps=5),), samples=100)


def batches(tmp_path: Path) -> dict[str, int]:
    return {path.parent.name: table.provenance(path)["batch"] for path in files(tmp_path)}


def test_a_batch_that_does_not_fit_is_halved_and_the_size_remembered(toy_net, npz, tmp_path):
    """12 images at once do not fit, 6 do not, 3 do: by halves from 12."""
    net, said = toy_net(TOO_MANY), []
    place = Place(tables=tmp_path / "tables", batch=12)
    measure.run(recipe(net, npz, samples=4), "test", place, say=said.append)
    assert batches(tmp_path) == {"attack=natural": 12, "attack=pgd-eps0.1-steps3": 12}
    measure.run(recipe(net, npz, samples=12), "test", place, say=said.append)
    remarks = [line for line in said if "too many" in line]
    assert [line.partition("; ")[2] for line in remarks] == ["taking 6", "taking 3"]
    assert remarks[0].startswith("toy under pgd-eps0.1-steps3, images 4 to 12: 12 images at once are too many for cpu")


def test_the_size_that_fitted_is_taken_from_the_shards_that_are_there(toy_net, npz, tmp_path):
    net, said = toy_net(TOO_MANY), []
    run(recipe(net, npz, samples=8), tmp_path, batch=3)
    measure.run(recipe(net, npz, samples=12), "test", Place(tables=tmp_path / "tables"), say=said.append)
    assert set(batches(tmp_path).values()) == {3}
    assert not [line for line in said if "too many" in line]


def test_halves_give_the_numbers_of_that_batch(toy_net, npz, tmp_path):
    halved = run(recipe(toy_net(TOO_MANY), npz, samples=12), tmp_path / "halved", batch=16)
    asked = run(recipe(toy_net(TOO_MANY), npz, samples=12), tmp_path / "asked", batch=4)
    attacked = halved["attack"] != "natural"  # natural images need no gradients, so their 12 fitted at once
    assert attacked.sum() == 12
    pd.testing.assert_frame_equal(halved[attacked], asked[attacked], check_exact=True)


def test_an_attack_whose_numbers_depend_on_its_batch_is_not_halved(toy_net, npz, tmp_path):
    attack = APGD(eps=0.1, steps=2, batch=8)
    with pytest.raises(UserError, match=r"its batch of 8 images does not fit .* choose it: apgd-ce:batch=4"):
        run(recipe(toy_net(TOO_MANY), npz, attacks=(attack,)), tmp_path, batch=4)


def test_an_image_that_does_not_fit_at_all(toy_net, npz, tmp_path):
    body = TOO_MANY.replace("len(x) > 4", "len(x) != 2")
    with pytest.raises(UserError, match="not even one image fits into the memory of cpu"):
        run(recipe(toy_net(body), npz, samples=5), tmp_path)


def test_all_gpus_of_a_machine_unless_one_is_named(monkeypatch):
    """As torch would tell it on a machine with three."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert Place().devices == ["cuda:0", "cuda:1", "cuda:2"]
    assert Place().where == "cuda:0"
    assert engines.engine(Place()) is local.several
    assert Place(device="cpu").devices == ["cpu"]
    assert engines.engine(Place(device="cpu")) is local.one


def on_two(tmp_path: Path, say=print) -> pd.DataFrame:
    measure.run(RECIPE, "test", Place(tables=tmp_path, shard=25), say=say)
    found = pd.read_parquet(tmp_path / "test" / "points")
    return found.sort_values(["model", "attack", "sample"], ignore_index=True)


def test_several_devices_give_the_tables_of_one(tmp_path, monkeypatch):
    one = on_two(tmp_path / "one")
    monkeypatch.setattr(Place, "devices", ["cpu", "cpu"])
    pd.testing.assert_frame_equal(on_two(tmp_path / "two"), one, check_exact=True)


def children(parent: int) -> list[int]:
    """Worker processes of a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()
            title = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(state[1]) == parent and b"spawn_main" in title:
            found.append(int(folder.name))
    return found


def test_a_killed_worker_process_is_told_and_the_same_command_goes_on(tmp_path, monkeypatch):
    def kill():
        while not (found := children(os.getpid())):
            time.sleep(0.05)
        os.kill(found[0], signal.SIGKILL)

    monkeypatch.setattr(Place, "devices", ["cpu", "cpu"])
    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(UserError, match=r"a worker process was killed \(out of memory\?\); whole shards are kept"):
        on_two(tmp_path)
    killer.join()
    assert not children(os.getpid())
    assert len(on_two(tmp_path)) == 400


@pytest.mark.slow
def test_a_worker_process_killed_while_a_shard_is_written_is_told(tmp_path, monkeypatch):
    """Seen when the next task is given away."""
    write, left = measure._write, [1]

    def slow(*written):
        write(*written)
        if left and left.pop():
            os.kill(children(os.getpid())[0], signal.SIGKILL)
            time.sleep(1)

    monkeypatch.setattr(Place, "devices", ["cpu", "cpu"])
    monkeypatch.setattr(measure, "_write", slow)
    with pytest.raises(UserError, match=r"a worker process was killed \(out of memory\?\); whole shards are kept"):
        on_two(tmp_path)
    assert not children(os.getpid())
    assert len(on_two(tmp_path)) == 400


PARENT = """
import sys
from pathlib import Path
from energylens import measure, options
from energylens.attacks import PGD
from energylens.recipe import Recipe

if __name__ == "__main__":
    options.Place.devices = ["cpu", "cpu"]
    attack = PGD(eps=0.2, steps=2000)
    measure.run(Recipe(("demo:sat",), "digits:test", (attack,)), "t", options.Place(tables=Path(sys.argv[1]), shard=25))
"""


def test_workers_end_with_the_process_that_started_them(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, "parent.py", "tables"], cwd=tmp_path, env=os.environ | here())
    while len(found := children(parent.pid)) < 2:
        assert parent.poll() is None
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    for _ in range(600):
        if not any(Path(f"/proc/{worker}").exists() for worker in found):
            return
        time.sleep(0.1)
    pytest.fail("workers outlive the run")


def here() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(measure.__file__).parents[1]), "OMP_NUM_THREADS": "1"}


def test_without_ray_the_extra_is_named(toy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--engine ray needs Ray; type: pip install 'energylens\[cluster\]'"):
        measure.run(toy, "test", Place(tables=tmp_path / "tables", engine="ray"))


def test_an_address_without_its_engine(toy, tmp_path):
    with pytest.raises(UserError, match="--address auto is of a Ray cluster; add --engine ray, or leave it out"):
        measure.run(toy, "test", Place(tables=tmp_path / "tables", address="auto"))
    assert not (tmp_path / "tables").exists()


def test_an_unknown_engine(toy, tmp_path):
    with pytest.raises(UserError, match=r"unknown engine 'slurm'.*local, ray"):
        measure.run(toy, "test", Place(tables=tmp_path / "tables", engine="slurm"))
    assert not (tmp_path / "tables").exists()
