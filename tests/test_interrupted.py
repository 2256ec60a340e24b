"""The command killed and interrupted; runs of several processes; one that goes on with another batch or threads."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from folders import check_equal, check_whole, hidden, points, read, stats
from killing import COMMAND, EVERYTHING, RECIPE, Child, clean, typed

from energylens import measure, table
from energylens.attacks import PGD
from energylens.recipe import Recipe

INTERRUPTED = "interrupted; what is whole is kept\n"
ROBUST = ("demo:sat", "demo:trades", "demo:weat-adv", "demo:weat-nat")
STANDARD = ("demo:standard-6", "demo:standard-10", "demo:standard-14")


def started(tables: Path, samples: int, **streams) -> subprocess.Popen:
    """The command, as a shell starts it."""
    here = {"PYTHONPATH": str(Path(measure.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "energylens.probe", *COMMAND, str(samples), "--tables", tables]
    return subprocess.Popen(line, env=os.environ | here, **streams)


def until_a_shard_more(process: subprocess.Popen, tables: Path) -> None:
    before = len(stats(tables))
    while len(stats(tables)) == before:
        assert process.poll() is None
        time.sleep(0.005)


def test_ctrl_c_is_one_line_and_keeps_whole_shards(tmp_path_factory, tmp_path):
    process = started(tmp_path, 100, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until_a_shard_more(process, tmp_path)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, INTERRUPTED)
    assert not hidden(tmp_path)
    check_whole(tmp_path)
    before = stats(tmp_path)
    assert 0 < len(before) < 24
    Child(tmp_path, RECIPE, EVERYTHING).go().end()
    assert before.items() <= stats(tmp_path).items()
    check_equal(tmp_path, clean(tmp_path_factory).tables)


@pytest.mark.slow
def test_sixty_times_ctrl_c_at_any_time(tmp_path_factory, tmp_path):
    times, err, hits, tables = random.Random(2), tmp_path / "err", 0, tmp_path / "first"
    while hits < 60:
        before = stats(tables)
        (points(tables) / "_lock").unlink(missing_ok=True)  # made again when the command begins its work
        process = typed([*COMMAND, "100", "--tables", tables], tmp_path / "out", err)
        while process.is_alive() and not (points(tables) / "_lock").exists():
            time.sleep(0.001)
        process.join(times.uniform(0.01, 0.5))
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)
        process.join(60)
        check_whole(tables)
        assert before.items() <= stats(tables).items()
        assert not hidden(tables)
        if len(stats(tables)) == 24:
            check_equal(tables, clean(tmp_path_factory).tables)
            tables = tmp_path / f"after {hits}"
        else:
            hits += 1
            assert (process.exitcode, err.read_text()) == (130, INTERRUPTED)


@pytest.mark.slow
def test_the_command_killed_six_times(tmp_path_factory, tmp_path):
    times, before = random.Random(3), {}
    for folder in ("one", "two"):
        tables = tmp_path / folder
        for _ in range(3):
            process = started(tables, 200, stdout=subprocess.DEVNULL)
            until_a_shard_more(process, tables)
            time.sleep(times.uniform(0, 0.3))
            assert process.poll() is None
            process.kill()
            process.wait()
            check_whole(tables)
            assert before.items() <= stats(tables).items()
            before = stats(tables)
        assert started(tables, 200, stdout=subprocess.DEVNULL).wait() == 0
        assert before.items() <= stats(tables).items()
        check_equal(tables, clean(tmp_path_factory, replace(RECIPE, samples=200)).tables)
        before = {}


@pytest.mark.slow
def test_a_run_of_two_worker_processes_killed_five_times(tmp_path_factory, tmp_path):
    times, before = random.Random(5), {}
    for _ in range(5):
        child = Child(tmp_path, RECIPE, EVERYTHING, devices=2).go()
        child.listen("begin")
        child.listen("begin")
        child.listen("begin")  # one is done, so both workers are there
        child.listen(seconds=times.uniform(0, 0.1))
        assert child.kill()
        check_whole(tmp_path)
        assert before.items() <= stats(tmp_path).items()
        before = stats(tmp_path)
    Child(tmp_path, RECIPE, EVERYTHING, devices=2).go().end()
    assert before.items() <= stats(tmp_path).items()
    check_equal(tmp_path, clean(tmp_path_factory).tables)


@pytest.mark.parametrize(
    ("models", "samples", "threads"),
    [
        (ROBUST[:2], 100, 1),
        pytest.param(ROBUST, 250, 2, marks=pytest.mark.slow),
        pytest.param(STANDARD, 250, 2, marks=pytest.mark.slow),
    ],
)
def test_another_batch_and_other_threads_change_rounding_alone(tmp_path, models, samples, threads):
    """The first quarter of the shards 128 at once on one thread, the rest seven at once."""
    recipe = Recipe(models, "digits:test", (PGD(eps=0.2),), samples=samples)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    Child(whole, recipe).go().end()
    first = Child(parts, recipe).go()
    for _ in range(len(stats(whole)) // 4):
        first.listen("begin")
    assert first.kill()
    Child(parts, recipe, threads=threads, settings={"batch": 7}).go().end()
    check_whole(parts)
    found, wanted = read(parts), read(whole)
    assert len(found) == len(wanted) == len(models) * 2 * samples
    means = [rows.groupby(["model", "attack"], observed=True)["energy"].mean() for rows in (found, wanted)]
    assert (means[0] - means[1]).abs().max() < 1e-3
    assert (found["status"] != wanted["status"]).mean() < 1e-3
    assert {table.provenance(path)["batch"] for path in stats(parts)} == {128, 7}
