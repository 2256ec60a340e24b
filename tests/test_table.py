"""Tables are written whole, read back by plain pandas, and paired by image."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from energylens import table
from energylens.errors import UserError


def columns(start: int, stop: int) -> dict:
    count = stop - start
    made = {field.name: np.zeros(count) for field in table.SCHEMA}
    text = {field.name: [""] * count for field in table.SCHEMA if str(field.type) == "string"}
    return (
        made
        | text
        | {
            "sample": np.arange(start, stop),
            "clean_correct": np.ones(count, bool),
            "target": [None] * count,
            "logits": [None] * count,
        }
    )


def write(points, model="m", attack="pgd", start=0, stop=3, key="0123abcd", images=5):
    about = {"key": key, "images": images, "data": "x:test", "decisive": {}}
    return table.write(columns(start, stop), table.folder(points, model, attack), start, stop, about)


def test_plain_pandas_reads_a_folder_of_shards(tmp_path):
    for model in ("SAT", "Better DM", "IKL+"):
        for attack in ("natural", "pgd-eps0.2"):
            write(tmp_path, model, attack, 0, 3)
            write(tmp_path, model, attack, 3, 5)
    (tmp_path / "_aside").mkdir()
    (tmp_path / "_aside" / "part-x.parquet").write_bytes(b"not parquet")
    found = pd.read_parquet(tmp_path)
    assert len(found) == 30
    assert set(found["model"]) == {"SAT", "Better DM", "IKL+"}
    assert set(found["attack"]) == {"natural", "pgd-eps0.2"}
    assert [field.name for field in table.SCHEMA] == list(found.columns[:-2])


def test_open_keeps_the_order_asked_for_and_cuts_to_the_samples(tmp_path):
    for model in ("a", "b"):
        for attack in ("natural", "pgd"):
            write(tmp_path, model, attack, 0, 3)
            write(tmp_path, model, attack, 3, 5)
    found = table.open(tmp_path, ["b", "a"], ["pgd"], samples=4)
    assert list(found["model"].cat.categories) == ["b", "a"]
    assert found.groupby(["model", "attack"], observed=True)["sample"].apply(list).tolist() == [[0, 1, 2, 3]] * 4
    assert len(table.open(tmp_path, ["a"], ["pgd"])) == 10


def test_overlapping_shards_give_no_row_twice(tmp_path):
    for attack in ("natural", "pgd"):
        write(tmp_path, "a", attack, 0, 3)
        write(tmp_path, "a", attack, 1, 5)
    assert table.open(tmp_path, ["a"], [])["sample"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("samples", [None, 5])
def test_a_table_that_is_short_is_not_drawn(tmp_path, samples):
    write(tmp_path, "a", "natural", 0, 3)
    with pytest.raises(UserError, match="'a' under 'natural' has 3 of 5 images; measure the rest"):
        table.open(tmp_path, ["a"], [], samples)
    with pytest.raises(UserError, match="no table of 'b' under 'natural' in"):
        table.open(tmp_path, ["b"], [])


def test_provenance_travels_in_the_file(tmp_path):
    path = write(tmp_path)
    assert table.provenance(path)["key"] == "0123abcd"
    assert json.loads(pq.read_schema(path).metadata[b"energylens"])["images"] == 5


def test_foreign_and_broken_files_are_named(tmp_path):
    path = tmp_path / "part-0123abcd-0-3.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(UserError, match="is no energy table of ours; move it"):
        table.provenance(path)
    path.write_bytes(b"PAR1 cut")
    with pytest.raises(UserError, match=r"cannot be read .* delete it and measure it again"):
        table.provenance(path)


def test_nothing_half_written_is_left_when_the_folder_cannot_be_written(tmp_path):
    (tmp_path / "model=m").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot write .* --tables"):
        write(tmp_path)


def test_pairs_subtracts_adversarial_from_natural(made_table):
    both = table.pairs(made_table({"a": ([1.0, -2.0], 0.5), "b": ([3.0, 0.0], 1)}))
    assert both["delta_energy"].tolist() == [1, -2, 3, 0]
    assert both["delta_joint_energy"].tolist() == [2, -4, 6, 0]
    assert both["energy_natural"].tolist() == [0] * 4


def test_pairs_refuses_rows_without_their_natural_image(made_table):
    made = made_table({"a": ([1.0, -2.0], 0.5)})
    with pytest.raises(UserError, match="1 adversarial rows have no natural row"):
        table.pairs(made.drop(index=0))
