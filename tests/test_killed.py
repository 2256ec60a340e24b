"""A run killed at any moment loses at most the shard under way; started again, it ends at the bits of a clean one."""

import itertools
import random
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from dying import Death
from folders import check_equal, check_whole, hidden, kept, points, stats, written
from killing import EVERYTHING, RECIPE, SHARD, Child, clean

from energylens import table
from energylens.measure import ENERGIES_ONLY
from energylens.options import Keep
from energylens.recipe import Recipe

LONGER = replace(RECIPE, samples=200)
"""48 shards in two seconds"""
SMALL = replace(RECIPE, models=("net=demo:sat",), attacks=RECIPE.attacks[:1], samples=SHARD)
OTHER = replace(SMALL, models=("net=demo:trades",))


@dataclass
class Tally:
    """What happened in some folders."""

    kills: int = 0
    """that hit the work phase"""
    late: int = 0
    """that did not"""
    shards: int = 0
    begun: int = 0
    """shards, each as often as it was"""
    leftovers: int = 0
    """half-written files found after a kill"""


class Folder:
    """A table's folder, and what was there when somebody last looked."""

    def __init__(self, tables: Path, tally: Tally):
        self.tables, self.tally, self.before = tables, tally, stats(tables)

    def live(self, child: Child, seconds: float | None = None) -> None:
        """Run a child to its end, or kill it after so many seconds of its work; what is there stays, and is whole."""
        there = written(self.tables)
        child.go()
        if seconds is None:
            child.finish()
        else:
            child.listen("plans")
            child.listen(seconds=seconds)
            hit = child.kill()
            self.tally.kills += hit
            self.tally.late += not hit
        check_whole(self.tables)
        assert not there.keys() & set(child.begun), "measured again"
        assert len(child.begun) - len(written(self.tables).keys() - there) in (0, 1)
        self.tally.begun += len(child.begun)
        self.tally.leftovers += len(hidden(self.tables))
        after = stats(self.tables)
        assert self.before.items() <= after.items(), "written again"
        self.before = after

    def end(self, recipe: Recipe, keep: Keep, wanted: Path) -> None:
        """Let a child make it whole."""
        child = Child(self.tables, recipe, keep)
        self.live(child)
        assert child.told("end"), child.heard[-1]
        self.tally.shards += len(self.before)
        check_equal(self.tables, wanted)
        assert not hidden(self.tables)
        assert not (points(self.tables) / "_aside").exists()
        assert len(kept(self.tables)) == len(kept(wanted))


def killed(unharmed: Child, kills: int, tmp_path: Path, seed: int) -> Tally:
    """Kill at times uniform over the work phase, five in a folder, till so many have hit it."""
    times, tally = random.Random(seed), Tally()
    while tally.kills < kills:
        folder, now = Folder(tmp_path / f"{tally.kills}-{tally.late}", tally), 0.0
        for moment in sorted(times.uniform(0, unharmed.phase) for _ in range(5)):
            folder.live(Child(folder.tables, unharmed.recipe, unharmed.keep), moment - now)
            now = moment
        folder.end(unharmed.recipe, unharmed.keep, unharmed.tables)
    assert tally.begun - tally.shards <= tally.kills
    return tally


@pytest.mark.slow
def test_five_kills_at_any_time(tmp_path_factory, tmp_path):
    killed(clean(tmp_path_factory), 5, tmp_path, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [ENERGIES_ONLY, EVERYTHING, Keep(keep_images=True)], ids=lambda keep: f"{keep.names}")
def test_fifty_kills_at_any_time(tmp_path_factory, tmp_path, keep):
    unharmed = clean(tmp_path_factory, LONGER, keep)
    print(f"work of {unharmed.phase:.1f} s, {killed(unharmed, 50, tmp_path, seed=1)}")


PLACES = (
    Death("savez_compressed", 2, "before"),
    Death("savez_compressed", 2, "within"),
    Death("savez_compressed", 2, "after"),
    Death("fsync", 5, "after"),
    Death("replace", 3, "after"),
    Death("fsync", 6, "after"),
    Death("write_table", 2, "before"),
    Death("write_table", 2, "within"),
    Death("write_table", 2, "after"),
    Death("fsync", 7, "after"),
    Death("replace", 4, "before"),
    Death("replace", 4, "after"),
    Death("fsync", 8, "after"),
)
"""in the second shard, all folders being there: four syncs (file and folder, images and rows), two renames each"""
NAMED = PLACES[-2:]
"""after these, it has its final name"""


@pytest.mark.slow
def test_deaths_between_write_sync_and_rename(tmp_path_factory, tmp_path):
    folder, names = Folder(tmp_path, Tally()), 0
    for model, attack in itertools.product(RECIPE.names[0], ["natural", *RECIPE.names[1]]):
        table.folder(points(tmp_path), model, attack).mkdir(parents=True)
    for death in PLACES:
        child = Child(tmp_path, RECIPE, EVERYTHING, death)
        folder.live(child)
        assert child.process.exitcode == -signal.SIGKILL, death
        names += 2 if death in NAMED else 1
        assert len(folder.before) == names, death
    folder.end(RECIPE, EVERYTHING, clean(tmp_path_factory).tables)


@pytest.fixture(scope="module")
def changed(tmp_path_factory) -> Path:
    """A table of OTHER, with that of SMALL set aside."""
    tables = tmp_path_factory.mktemp("changed")
    for recipe in (SMALL, OTHER):
        Child(tables, recipe, EVERYTHING).go().end()
    return tables


@pytest.mark.parametrize("call", range(1, 9))
def test_a_death_between_moves(tmp_path_factory, tmp_path, changed, call):
    """To bring two shards back, eight files move: those in their place with their images, and they with theirs."""
    shutil.copytree(changed, tmp_path, dirs_exist_ok=True)
    assert Child(tmp_path, SMALL, EVERYTHING, Death("replace", call, "after")).go().finish() == -signal.SIGKILL
    check_whole(tmp_path)
    for recipe in (SMALL, OTHER):
        child = Child(tmp_path, recipe, EVERYTHING).go()
        child.end()
        assert not child.begun, "measured again"
        check_whole(tmp_path)
        check_equal(tmp_path, clean(tmp_path_factory, recipe).tables)


def test_kept_images_that_are_gone_are_measured_again(tmp_path_factory, tmp_path):
    """Their shard still says that they were kept."""
    Child(tmp_path, SMALL, EVERYTHING).go().end()
    gone = kept(tmp_path)[0]
    gone.unlink()
    child = Child(tmp_path, SMALL, EVERYTHING).go()
    child.end()
    assert gone.exists()
    assert [piece.attack for piece in child.begun] == [gone.parent.name.partition("=")[2]]
    check_equal(tmp_path, clean(tmp_path_factory, SMALL).tables)
