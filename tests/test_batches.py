"""Attacks whose points depend on the batch: whatever was measured before, the numbers are those of one run."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from probing import files, recipe

from energylens import attacks, compact, estimate, measure
from energylens.attacks import APGD
from energylens.options import Keep, Place
from energylens.recipe import Recipe

MEAN = """
def mean(model, x, y):
    return (x + x.mean(0, keepdim=True)) / 2
"""


@pytest.fixture
def toy(toy_net, npz, tmp_path) -> Recipe:
    """Each image of four is moved to their mean, which the first or last of them alone cannot tell."""
    (tmp_path / "mine.py").write_text(MEAN)
    return recipe(toy_net(), npz, attacks=(attacks.parse(f"{tmp_path}/mine.py:mean:batch=4"),))


def table(made: Recipe, tmp_path: Path, *samples: int, shard: int = 8, keep: Keep = measure.ENERGIES_ONLY):
    """After runs of so many images, one after the other."""
    for count in samples:
        measure.run(replace(made, samples=count), "test", Place(tables=tmp_path / "tables", shard=shard), keep)
    found = pd.read_parquet(tmp_path / "tables" / "test" / made.folder)
    order = [name for name in ("model", "attack", "sample", "step") if name in found]
    assert not found.duplicated(order).any()
    return found.sort_values(order, ignore_index=True)


def images(tmp_path: Path) -> np.ndarray:
    found = (tmp_path / "tables").rglob("attack=mean*/_images-*.npz")
    return np.concatenate(
        [np.load(path)["images"] for path in sorted(found, key=lambda path: int(path.name[17:].split("-")[0]))]
    )


@pytest.mark.parametrize("samples", [(6, 11), (3, 6, 7, 12), (1, 9), (11, 5, 12)])
@pytest.mark.parametrize("shuffle_seed", [None, 1])
def test_more_images_give_the_numbers_of_all_at_once(toy, tmp_path, samples, shuffle_seed):
    made, keep = replace(toy, shuffle_seed=shuffle_seed), Keep(keep_logits=True, keep_images=True)
    grown = table(made, tmp_path / "grown", *samples, keep=keep)
    once = table(made, tmp_path / "once", samples[-1], keep=keep)
    pd.testing.assert_frame_equal(grown, once)
    np.testing.assert_array_equal(images(tmp_path / "grown"), images(tmp_path / "once"))


def test_steps_too(toy, tmp_path):
    made = replace(toy, record="steps", attacks=(APGD(eps=0.1, steps=4, batch=4),))
    pd.testing.assert_frame_equal(table(made, tmp_path / "grown", 6, 11), table(made, tmp_path / "once", 11))


def test_the_last_batch_alone_is_measured_again(toy, tmp_path):
    table(toy, tmp_path, 7)
    before = files(tmp_path)
    assert sorted(path.name[-12:-8] for path in before if "mean" in str(path)) == ["-0-4", "-4-7"]
    table(toy, tmp_path, 11)
    changed = {path for path, time in files(tmp_path).items() if before.get(path, time) != time}
    assert [path.name[-12:-8] for path in changed] == ["-4-7"]
    again = files(tmp_path)
    table(toy, tmp_path, 11, 5)
    assert files(tmp_path) == again


def test_joined_files_too(toy, tmp_path):
    table(toy, tmp_path / "grown", 7)
    compact.compact(tmp_path / "grown" / "tables" / "test" / "points", say=lambda line: None)
    pd.testing.assert_frame_equal(table(toy, tmp_path / "grown", 11), table(toy, tmp_path / "once", 11))
    assert {path.name[-12:-8] for path in files(tmp_path / "grown") if "mean" in str(path)} >= {"-0-4", "-4-7"}


def test_what_was_kept_is_kept_when_more_images_are_measured_without_it(toy, tmp_path):
    everything = Keep(keep_logits=True, keep_images=True)
    table(toy, tmp_path / "grown", 7, keep=everything)
    grown, once = table(toy, tmp_path / "grown", 12), table(toy, tmp_path / "once", 12, keep=everything)
    early = grown["sample"] < 7
    pd.testing.assert_frame_equal(grown[early], once[early])
    assert grown.loc[~early, "logits"].isna().all()
    np.testing.assert_array_equal(images(tmp_path / "grown"), images(tmp_path / "once")[:7])


def test_images_of_a_shorter_run_do_not_lie_beside_rows_that_keep_none(toy, tmp_path):
    table(toy, tmp_path, 7)
    rows = next((tmp_path / "tables").rglob("attack=mean*/part-*-4-7.parquet"))
    stale = rows.with_name(f"{rows.stem.replace('part', '_images')}.npz")
    np.savez(stale, images=np.zeros((3, 1)))
    table(toy, tmp_path, 12)
    assert not stale.exists()


def test_of_a_joined_file_the_last_batch_alone_is_foretold_as_missing(toy, tmp_path, capsys):
    table(toy, tmp_path, 11, shard=4)
    compact.compact(tmp_path / "tables" / "test" / "points", say=lambda line: None)
    capsys.readouterr()
    estimate.show(replace(toy, samples=12), "test", Place(tables=tmp_path / "tables", shard=4))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:3] for line in lines[1:2]] == [["would", "be", "divided:"]]
    assert re.fullmatch(r"model=toy/attack=mean.*/part-\w+-0-11\.parquet", lines[1][3])
    assert [line[2:5] for line in lines[3:5]] == [["11", "1", "1"], ["8", "4", "2"]]  # natural, and 8-11 with 11-12


def test_what_older_versions_began_within_a_batch_is_measured_again(toy, tmp_path):
    """They did not record how many images were selected, and began a batch where the shard before it ended."""
    once = table(toy, tmp_path / "once", 8)
    table(toy, tmp_path / "old", 6, 8)
    for path in files(tmp_path / "old"):
        rows = pq.ParquetFile(path).read()
        about = json.loads(rows.schema.metadata[b"energylens"])
        del about["selected"]
        energy = rows.schema.get_field_index("energy")
        if about["start"] == 6:
            rows = rows.set_column(
                energy, rows.schema.field(energy), pa.array([0.0] * len(rows), rows.schema.field(energy).type)
            )
        pq.write_table(rows.replace_schema_metadata({"energylens": json.dumps(about)}), path)
    attacked = once["attack"] != "natural"
    pd.testing.assert_frame_equal(table(toy, tmp_path / "old", 8)[attacked], once[attacked])
