"""Probes at once on one folder share its work; together they make the table of one."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folders import Piece, check_equal, check_whole, hidden, points, read, stats, written
from killing import EVERYTHING, RECIPE, SHARD, Child, clean

from energylens import table
from energylens.measure import ENERGIES_ONLY

SHORT = replace(RECIPE, samples=2 * SHARD)


def rows(begun: list[Piece]) -> Counter:
    """How often the row of each image was begun."""
    return Counter((model, attack, image) for model, attack, start, stop in begun for image in range(start, stop))


@pytest.mark.parametrize(
    ("samples", "shards"),
    [
        ((50, 75), (25, 25)),
        ((50, 50), (50, 25)),
        pytest.param((150, 150), (25, 25), marks=pytest.mark.slow),
        pytest.param((100, 200, 200), (50, 75, 25), marks=pytest.mark.slow),
    ],
)
def test_probes_at_once_make_the_table_of_one(tmp_path_factory, tmp_path, samples, shards):
    children = [
        Child(tmp_path, replace(RECIPE, samples=count), EVERYTHING, settings={"shard": shard})
        for count, shard in zip(samples, shards, strict=True)
    ]
    for child in children:
        child.go()
    for child in children:
        child.end()
    unharmed = clean(tmp_path_factory, replace(RECIPE, samples=max(samples)))
    assert rows([piece for child in children for piece in child.begun]) == rows(unharmed.begun)
    check_whole(tmp_path)
    if set(shards) == {SHARD}:
        check_equal(tmp_path, unharmed.tables)
    else:  # other batches, so other rounding
        np.testing.assert_allclose(read(tmp_path)["energy"], read(unharmed.tables)["energy"], atol=1e-3)


def test_what_a_killed_probe_was_at_is_done_by_the_other(tmp_path_factory, tmp_path):
    first, second = Child(tmp_path, SHORT).go(), Child(tmp_path, SHORT)
    first.listen("begin")
    under_way = first.stop()
    second.go().listen("waits")
    assert second.told("waits") == [under_way]
    assert written(tmp_path).keys() == set(first.begun + second.begun) - {under_way}
    assert first.kill()
    second.end()
    assert second.begun[-1] == under_way
    assert sorted(first.begun[:-1] + second.begun) == sorted(written(tmp_path))
    check_equal(tmp_path, clean(tmp_path_factory, SHORT, ENERGIES_ONLY).tables)


@pytest.mark.slow
def test_two_probes_of_which_one_is_killed_again_and_again(tmp_path_factory, tmp_path):
    times, kills, again, folders = random.Random(4), 0, 0, 0
    while kills < 20:
        tables, lost, folders = tmp_path / str(folders), 0, folders + 1
        steady, begun = Child(tables).go(), []
        while not steady.told("end"):
            other = Child(tables).go()
            steady.listen("end", seconds=times.uniform(0, 0.4))
            steady, victim = times.sample([steady, other], 2)
            lost += victim.kill()
            begun += victim.begun
        steady.end()
        check_whole(tables)
        check_equal(tables, clean(tmp_path_factory, RECIPE, ENERGIES_ONLY).tables)
        last = Child(tables).go()  # sweeps what the last one killed was writing
        last.end()
        assert not last.begun
        assert not hidden(tables)
        begun += steady.begun
        assert len(begun) - 24 <= lost
        kills, again = kills + lost, again + len(begun) - 24
    print(f"{kills} kills in {folders} folders, {again} shards begun again")


def kept_by_all(tables: Path) -> bool:
    return all(table.provenance(path)["kept"] == EVERYTHING.names for path in stats(tables))


def test_what_is_to_be_kept_is_measured_again_once(tmp_path):
    """On a table of energies alone, by two probes that are to keep more."""
    Child(tmp_path, SHORT).go().end()
    children = [Child(tmp_path, SHORT, EVERYTHING).go() for _ in range(2)]
    for child in children:
        child.end()
    check_whole(tmp_path)
    assert kept_by_all(tmp_path)
    assert sorted(children[0].begun + children[1].begun) == sorted(written(tmp_path))


def test_what_another_probe_did_not_keep_is_not_taken_for_done(tmp_path):
    """The first keeps energies alone; the second is to keep more, and plans while the first is at one of its shards."""
    first, second = Child(tmp_path, SHORT).go(), Child(tmp_path, SHORT, EVERYTHING)
    first.stop()
    second.go().listen("begin")
    first.go_on()
    first.end()
    second.end()
    check_whole(tmp_path)
    assert kept_by_all(tmp_path)


def test_a_reader_of_a_table_that_grows_never_stumbles(tmp_path):
    children = [Child(tmp_path, keep=EVERYTHING) for _ in range(2)]
    for child in children:
        child.go()
    lengths = []
    while any(child.process.is_alive() for child in children):
        if points(tmp_path).exists():
            found = read(tmp_path)
            assert found.empty or not found.duplicated(["model", "attack", "sample"]).any()
            lengths.append(len(found))
    assert lengths == sorted(lengths)
    assert len(read(tmp_path)) == 600
    print(f"{len(lengths)} looks at a growing table")
