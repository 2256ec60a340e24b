"""What a probe refuses, and what it leaves alone, while another one is at work in the folder; and its locks."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from folders import check_equal, hidden, points, read, stats, written
from killing import RECIPE, Child, LockElsewhere, clean
from probing import recipe

from energylens import lock
from energylens.attacks import PGD
from energylens.errors import UserError
from energylens.lock import Lock
from energylens.measure import ENERGIES_ONLY
from energylens.recipe import Recipe

LONG = replace(RECIPE, attacks=(PGD(eps=0.2, steps=100_000),))
"""whose first attack takes minutes"""
ELSEWHERE = replace(RECIPE, models=("demo:standard-10",), attacks=(), samples=25)
"""one shard"""


def at_work(tables: Path) -> Child:
    """A probe whose first natural images are there, and that is at its first attack for long."""
    child = Child(tables, LONG).go()
    child.listen("begin")
    child.listen("begin")
    return child


def refused(child: Child) -> str:
    """Why."""
    child.go().finish()
    (told,) = child.told("error")
    assert told.startswith(f"another probe is at work in {points(child.tables)}, ")
    assert told.endswith("; wait until it ends, or take another --tables")
    assert not child.begun
    return told


@pytest.mark.slow
def test_other_weights_under_a_name_are_refused_until_the_other_ends(tmp_path):
    first, changed = at_work(tmp_path), RECIPE.override(models=["sat=demo:trades", "demo:standard-6"])
    before = stats(tmp_path)
    assert "model=sat/attack=natural" in refused(Child(tmp_path, changed))
    assert first.kill()
    assert stats(tmp_path) == before
    Child(tmp_path, changed).go().end()
    assert len(read(tmp_path)) == 600
    assert read(tmp_path)["model_sha"].nunique() == 2


def gated(toy_net, tmp_path: Path, npz: Path) -> tuple[Recipe, Path]:
    """Of a network that begins its first shard only when there is a file; and that file."""
    gate = tmp_path / "go"
    wait = f"import time, os\n        while len(x) == 5 and not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    return recipe(toy_net(f"{wait}\n        return logits"), npz, attacks=(PGD(eps=0.1, steps=1),)), gate


CHANGES = {
    "weights": lambda one: one.override(models=[f"toy={one.models[0]}".replace(":toy", ":other")]),
    "weights, other attacks": lambda one: replace(CHANGES["weights"](one), attacks=(PGD(eps=0.2, steps=1),)),
    "images": lambda one: one.override(shuffle_seed=1),
    "precision": lambda one: one.override(precision="bf16"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_rows_of_two_kinds_never_stand_under_one_name(tmp_path, toy_net, npz, change):
    """The second would plan while nothing of the first is there, and begin when that one is done."""
    one, gate = gated(toy_net, tmp_path, npz)
    first, second = (Child(tmp_path, made, settings={"batch": 5}) for made in (one, CHANGES[change](one)))
    first.go()
    first.listen("begin")
    second.go().listen("plans")
    gate.touch()
    first.end()
    second.finish()
    assert not read(tmp_path).duplicated(["model", "attack", "sample"]).any()
    assert len(read(tmp_path)) == 12
    assert "another probe is at work" in second.told("error")[0]
    assert not second.begun


def test_probes_of_the_same_settings_start_at_once(tmp_path, toy_net, npz):
    one, gate = gated(toy_net, tmp_path, npz)
    two = replace(one, attacks=(PGD(eps=0.2, steps=1),))
    first, second = (Child(tmp_path, made, settings={"batch": 5}) for made in (one, two))
    first.go()
    first.listen("begin")
    assert second.go().listen("plans")
    gate.touch()
    first.end()
    second.end()
    assert len(read(tmp_path)) == 18


def test_half_written_files_are_swept_only_while_nobody_else_is_at_work(tmp_path):
    first = at_work(tmp_path)
    (natural,) = points(tmp_path).glob("model=sat/attack=natural")
    half = [natural / f".{name}.99" for name in ("_images-00000000-0-25.npz", "part-00000000-0-25.parquet")]
    for path in half:
        path.write_bytes(b"half")
    Child(tmp_path, ELSEWHERE).go().end()
    assert sorted(hidden(tmp_path)) == half
    assert first.kill()
    Child(tmp_path, ELSEWHERE).go().end()
    assert not hidden(tmp_path)


def test_damage_while_a_run_is_under_way_is_mended_by_the_next(tmp_path_factory, tmp_path):
    first = Child(tmp_path).go()
    for _ in range(5):
        first.listen("begin")
    first.stop()
    damaged = {part.path: piece for piece, part in list(written(tmp_path).items())[:3]}
    for path, share in zip(damaged, (0, 0.5, 0.99), strict=True):
        os.truncate(path, int(share * path.stat().st_size))
    assert "cannot be read" in refused(Child(tmp_path))
    first.go_on()
    first.end()
    whole = {path: stat for path, stat in stats(tmp_path).items() if path not in damaged}
    second = Child(tmp_path).go()
    second.end()
    assert sorted(second.begun) == sorted(damaged.values())
    assert sum("cannot be read" in line for line in second.told("say")) == 3
    assert whole.items() <= stats(tmp_path).items()
    assert len(list((points(tmp_path) / "_aside").rglob("_broken-*"))) == 3
    check_equal(tmp_path, clean(tmp_path_factory, RECIPE, ENERGIES_ONLY).tables)


def test_a_foreign_file_that_comes_during_a_run_is_named_by_the_next(tmp_path):
    first = at_work(tmp_path)
    foreign = next(iter(stats(tmp_path))).with_name("mine.parquet")
    pd.DataFrame({"energy": [0.0]}).to_parquet(foreign)
    second = Child(tmp_path).go()
    second.finish()
    assert str(foreign) in second.told("error")[0]
    assert not second.begun
    assert first.kill()
    assert foreign.exists()


@pytest.fixture
def other(tmp_path):
    """Another process's lock on the same folder."""
    lock = LockElsewhere(tmp_path)
    yield lock
    lock.die()


def test_locks_are_of_ranges_of_images_of_a_folder_and_end_with_their_process(tmp_path, other):
    mine, where, beside = Lock(tmp_path), tmp_path / "model=a" / "attack=b", tmp_path / "model=a" / "attack=c"
    with mine.file:
        assert other.ask("take", where, 0, 1000)
        assert other.ask("take", where, 2000, 3000)
        for start, stop in ((0, 1000), (999, 1001), (500, 600), (1000, 2001), (0, 5000)):
            assert not mine.take(where, start, stop), (start, stop)
        assert mine.take(where, 1000, 2000)
        assert mine.take(beside, 0, 1000)
        assert not other.ask("take", where, 1500, 1501)
        mine.give_back(where, 1000, 2000)
        assert other.ask("take", where, 1500, 1501)
        other.ask("give_back", where, 0, 1000)
        assert mine.take(where, 0, 1000)
        other.die()
        assert mine.take(where, 0, 5000)


def test_keys_of_a_folder_are_claimed_by_those_who_agree(tmp_path, other):
    mine, where, beside = Lock(tmp_path), tmp_path / "model=a" / "attack=b", tmp_path / "model=a" / "attack=c"
    with mine.file:
        assert mine.claim({where: "0000000a", beside: "0000000b"}) is None
        assert other.ask("claim", {where: "0000000a"}) is None
        assert other.ask("claim", {where: "0000000a", beside: "0000000a"}) == beside
        assert other.ask("take", where, 0, 1000)
    assert other.ask("claim", {beside: "ffffffff"}) is None
    mine = Lock(tmp_path)
    with mine.file:
        assert mine.claim({beside: "fffffffe"}) == beside
        other.die()
        assert mine.claim({beside: "fffffffe"}) is None


def test_one_is_alone_only_while_nobody_shares(tmp_path, other):
    mine = Lock(tmp_path)
    with mine.file:
        other.ask("share")
        mine.share()
        assert not mine.alone()
        assert not other.ask("alone")
        other.die()
        assert mine.alone()


def test_locks_that_stop_working_in_the_middle_stop_the_run(tmp_path, monkeypatch):
    """Where there are none from the beginning, one line says so."""
    mine, none, said = Lock(tmp_path / "mine"), Lock(tmp_path / "none"), []
    with mine.file, none.file:
        mine.share()

        def broken(*how):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(lock.fcntl, "lockf", broken)
        none.share()
        assert none.take(tmp_path / "model=a" / "attack=b", 0, 10)
        none.warn(said.append)
        with pytest.raises(UserError, match=r"_lock can no longer be locked \(OSError: .*No locks available\); whole"):
            mine.take(tmp_path / "model=a" / "attack=b", 0, 10)
    assert said[0].startswith(f"no file locks in {tmp_path}/none (OSError")
