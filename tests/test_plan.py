"""What is there is not measured again, what differs is set aside, and no row stands twice."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from probing import files, run

from energylens import data, energy, measure, models, ranges, table
from energylens.attacks import PGD
from energylens.errors import UserError
from energylens.options import Keep, Place
from energylens.progress import Watch
from energylens.todo import Todo
from energylens.work import Worker


def test_the_same_command_measures_nothing_again(toy, tmp_path):
    first = run(toy, tmp_path)
    before = files(tmp_path)
    second = run(toy, tmp_path)
    assert files(tmp_path) == before
    pd.testing.assert_frame_equal(first, second)


def test_more_images_models_and_attacks_measure_only_what_is_new(toy, toy_net, tmp_path):
    run(toy, tmp_path)
    before = files(tmp_path)
    longer = toy.override(samples=10, models=[*toy.models, f"other={toy.models[0].replace(':toy', ':other')}"])
    found = run(longer, tmp_path)
    after = files(tmp_path)
    assert before.items() <= after.items()
    assert sorted(path.name.split("-", 2)[2] for path in after) == sorted(
        ["0-6.parquet", "6-10.parquet"] * 2 + ["0-10.parquet"] * 2
    )
    assert len(found) == 40
    pd.testing.assert_frame_equal(found, run(longer, tmp_path / "at once"))


def test_other_weights_under_the_same_name_set_the_old_shards_aside(toy, toy_net, tmp_path):
    first = run(toy, tmp_path)
    said = []
    changed = toy.override(models=[f"toy={toy.models[0].replace(':toy', ':other')}"])
    found = run(changed, tmp_path, say=said.append)
    points = tmp_path / "tables" / "test" / "points"
    assert len(found) == 12
    assert len(list((points / "_aside").rglob("*.parquet"))) == 2
    assert len(said) == 3
    assert "differs in model_sha" in said[1]
    again = run(toy, tmp_path, say=said.append)
    assert "brought back" in said[-1]
    pd.testing.assert_frame_equal(again, first)
    assert len(list((points / "_aside").rglob("*.parquet"))) == 2


def test_drawn_images_are_other_data(toy, tmp_path):
    said = []
    run(toy, tmp_path)
    found = run(toy.override(shuffle_seed=1), tmp_path, say=said.append)
    assert "differs in shuffle_seed" in said[1]
    drawn = np.sort(data.load(toy.data, samples=6, shuffle_seed=1).index)
    assert found[found["attack"] == "natural"]["sample"].tolist() == drawn.tolist()


def test_shards_hold_at_most_a_thousand_images():
    assert list(ranges.gaps([], 2500, 1000)) == [(0, 1000), (1000, 2000), (2000, 2500)]
    assert list(ranges.gaps([(0, 300)], 2500, 1000)) == [(300, 1000), (1000, 2000), (2000, 2500)]
    assert list(ranges.gaps([(300, 1000), (0, 100)], 1000, 1000)) == [(100, 300)]
    assert list(ranges.gaps([(0, 1000)], 300, 1000)) == []


def test_logits_and_images_are_kept_on_request(toy, tmp_path):
    """Asked for later, the shard is measured again; the images give the logits, the logits the energies."""
    first = run(toy, tmp_path)
    assert first["logits"].isna().all()
    assert not list((tmp_path / "tables").rglob("*.npz"))
    measure.run(toy, "test", Place(tables=tmp_path / "tables"), Keep(keep_logits=True, keep_images=True))
    points = tmp_path / "tables" / "test" / "points"
    kept = pd.read_parquet(points).sort_values(["model", "attack", "sample"])
    pd.testing.assert_frame_equal(first.drop(columns="logits"), kept.drop(columns="logits"))
    logits = torch.tensor(np.stack(kept["logits"]))
    np.testing.assert_allclose(energy.marginal(logits), kept["energy"], atol=1e-6)
    rows = kept[kept["attack"] != "natural"]
    (images,) = points.glob("model=toy/attack=pgd*/_images-*-0-6.npz")
    with np.load(images) as archive:
        again = models.load(toy.models[0])(torch.from_numpy(archive["images"])).detach()
    np.testing.assert_allclose(again, np.stack(rows["logits"]), atol=1e-6)
    before = files(tmp_path)
    measure.run(toy, "test", Place(tables=tmp_path / "tables"), Keep(keep_logits=True))
    assert files(tmp_path) == before


def test_other_weights_set_aside_the_shards_of_all_attacks(toy, tmp_path):
    """Also of those that are not asked for now: a table never mixes two networks under one name."""
    both = dataclasses.replace(toy, attacks=(*toy.attacks, PGD(eps=0.1, steps=5)))
    run(both, tmp_path)
    found = run(toy.override(models=[f"toy={toy.models[0].replace(':toy', ':other')}"]), tmp_path)
    assert found["model_sha"].nunique() == 1
    assert set(found["attack"]) == {"natural", "pgd-eps0.1-steps3"}


def test_keeping_more_never_doubles_a_row(toy, tmp_path):
    run(toy, tmp_path)
    place = Place(tables=tmp_path / "tables")
    measure.run(toy.override(samples=10), "test", place, Keep(keep_logits=True))
    found = pd.read_parquet(tmp_path / "tables" / "test" / "points")
    assert len(found) == 20
    assert found["logits"].notna().all()
    assert len(table.pairs(found)) == 10
    run(toy.override(samples=12), tmp_path / "longer")
    with pytest.raises(UserError, match="was measured without --keep-logits; ask for --samples 12"):
        measure.run(toy, "test", Place(tables=tmp_path / "longer" / "tables"), Keep(keep_logits=True))


def test_a_longer_shard_of_another_probe_that_kept_less_fails_alone(toy, tmp_path):
    """It was written after this probe had planned."""
    ready = measure.prepared(toy, "test", Place(tables=tmp_path / "tables"), Keep(keep_logits=True))
    tasks = [task for made in ready.plans() for task in made.tasks]
    run(toy.override(samples=10), tmp_path)
    nobody = SimpleNamespace(take=lambda *where: True)
    todo = Todo(tasks, ready.planner, nobody, Watch())
    for _ in tasks:
        outcome = Worker(ready.job, "cpu").attempt(todo.take(), lambda images: None)
        assert outcome.reason.endswith("-0-10.parquet was measured without --keep-logits; ask for --samples 10")
    assert not todo


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_damaged_shard_is_set_aside_and_measured_again(toy, tmp_path, share):
    first, said = run(toy, tmp_path), []
    path = sorted(files(tmp_path))[1]
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    pd.testing.assert_frame_equal(run(toy, tmp_path, say=said.append), first)
    assert f"{path.name} cannot be read" in said[1]
    aside = list((tmp_path / "tables" / "test" / "points" / "_aside").rglob("*.parquet"))
    assert [file.read_bytes() for file in aside] == [content[: int(share * len(content))]]


@pytest.mark.parametrize("name", ["part-00000000-0-6.parquet", "mine.parquet", "notes.txt"])
def test_a_foreign_file_is_named_before_anything_is_measured(toy, tmp_path, name):
    run(toy, tmp_path)
    before = files(tmp_path)
    stranger = next(iter(before)).with_name(name)
    if name.endswith(".parquet"):
        pd.DataFrame({"energy": [0.0]}).to_parquet(stranger)
    else:
        stranger.write_text("to do")
    with pytest.raises(UserError, match="move it out of the folder") as error:
        run(toy.override(samples=10), tmp_path)
    assert str(stranger) in str(error.value)
    stranger.unlink()
    assert files(tmp_path) == before


FOREIGN = ("notes.txt", "model=toy/mine.parquet", "model=toy/copy/x.parquet", "copy/x.parquet", "model=x")
DEEPER = ("model=toy/attack=x", "model=other/mine.parquet", "model=other/attack=x/mine.csv")


@pytest.mark.parametrize("place", FOREIGN + DEEPER)
def test_a_foreign_file_or_folder_anywhere_in_a_table_is_named(toy, tmp_path, place):
    run(toy, tmp_path)
    points = tmp_path / "tables" / "test" / "points"
    stranger = points / place
    stranger.parent.mkdir(parents=True, exist_ok=True)
    stranger.write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"is nothing of ours, and readers take it for a shard; move it out") as error:
        run(toy.override(samples=10), tmp_path)
    named = stranger if "copy" not in place else stranger.parent
    assert str(error.value).startswith(f"{named} is")


def test_hidden_files_are_nobodys_business(toy, tmp_path):
    """Readers skip them."""
    first = run(toy, tmp_path)
    for place in (".DS_Store", "_notes", "model=toy/.DS_Store", "model=toy/_mine/x.parquet"):
        path = tmp_path / "tables" / "test" / "points" / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    pd.testing.assert_frame_equal(run(toy, tmp_path), first)


def test_a_shard_copied_under_another_range_is_named(toy, tmp_path):
    run(toy, tmp_path)
    path = next(iter(files(tmp_path)))
    copied = path.with_name(path.name.replace("-0-6", "-6-12"))
    copied.write_bytes(path.read_bytes())
    with pytest.raises(UserError, match=f"{copied.name} does not hold what its name says; delete it"):
        run(toy.override(samples=12), tmp_path)
