"""Tables are written whole, read back by plain pandas, and paired by image."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from made_shards import write

from energylens import shards, table
from energylens.errors import UserError


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


def test_a_name_that_is_given_twice_gives_no_row_twice(tmp_path):
    for attack in ("natural", "pgd"):
        write(tmp_path, "a", attack, 0, 5)
    assert len(table.open(tmp_path, ["a", "a"], ["pgd", "natural", "pgd"])) == 10
    assert len(table.open(tmp_path, "a", "pgd")) == 10


def test_without_names_all_that_are_there_come_sorted_natural_first(tmp_path):
    """Also where models were measured under different attacks."""
    for model, attack in {"Zoo (2)": "apgd", "b": "natural", "a+b": "square", "a": "pgd"}.items():
        write(tmp_path, model, attack, 0, 5)
        write(tmp_path, model, "natural", 0, 5)
    (tmp_path / "model=empty" / "attack=pgd").mkdir(parents=True)
    found = table.open(tmp_path)
    pairs = found[["model", "attack"]].drop_duplicates().astype(str)
    assert [tuple(pair) for pair in pairs.itertuples(index=False)] == [
        ("Zoo (2)", "natural"), ("Zoo (2)", "apgd"), ("a", "natural"), ("a", "pgd"),
        ("a+b", "natural"), ("a+b", "square"), ("b", "natural"),
    ]  # fmt: skip
    assert len(found) == 7 * 5
    assert len(table.open(tmp_path, attacks=[])) == 4 * 5
    assert list(table.open(tmp_path, ["b", "a"])["model"].unique()) == ["b", "a"]
    assert [record["model"] for record in found.attrs["provenance"]] == [pair[0] for pair in pairs.to_numpy()]
    with pytest.raises(UserError, match="no table of 'a' under 'apgd'"):
        table.open(tmp_path, attacks=["apgd"])


def test_only_the_columns_asked_for_are_read(tmp_path):
    write(tmp_path, stop=5)
    whole, found = table.open(tmp_path), table.open(tmp_path, columns=["ce", "attack", "label"])
    assert list(found) == ["ce", "label", "model", "attack"]
    pd.testing.assert_frame_equal(found, whole[list(found)])
    assert list(table.open(tmp_path, columns=[])) == ["model", "attack"]
    assert len(table.open(tmp_path, columns=[])) == 5


def test_filters_choose_rows_in_the_list_form_of_pandas(tmp_path):
    for attack in ("natural", "pgd"):
        for start in (0, 5):
            write(tmp_path, "m", attack, start, start + 5, images=10)

    def samples(filters, **more) -> list:
        return table.open(tmp_path, filters=filters, **more)["sample"].tolist()

    assert samples([("status", "==", "nan")]) == [6, 6]
    assert samples([("status", "==", "nan"), ("attack", "==", "pgd")]) == [6]
    assert samples([[("sample", "<", 1)], [("sample", "in", [7, 9])]], attacks=[]) == [0, 7, 9]
    assert samples([("sample", ">", 1)], samples=4, attacks=[]) == [2, 3]
    assert samples([("sample", ">", 99)]) == []
    pushed = table.open(tmp_path, columns=["label"], filters=[("sample", ">", 7)])
    assert pushed["label"].tolist() == [2, 0] * 2
    plain = pd.read_parquet(tmp_path, filters=[("energy", ">", 3.5), ("model", "==", "m")])
    assert sorted(samples([("energy", ">", 3.5), ("model", "==", "m")])) == sorted(plain["sample"])


def test_files_without_a_row_that_fits_are_not_read(tmp_path):
    """Shown with one whose rows are damaged, and its statistics are not."""
    write(tmp_path, start=0, stop=500, images=1000)
    path = write(tmp_path, start=500, stop=1000, images=1000)
    content = bytearray(path.read_bytes())
    (size,) = np.frombuffer(content[-8:-4], "<i4")
    content[4 : len(content) - size - 8] = bytes(len(content) - size - 12)
    path.write_bytes(content)
    assert len(table.open(tmp_path, filters=[("sample", "<", 20)])) == 20
    with pytest.raises(UserError, match=r"part-0123abcd-500-1000.parquet cannot be read"):
        table.open(tmp_path)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"columns": ["enery"]}, "unknown column 'enery'; did you mean 'energy'"),
        ({"columns": "enery"}, "unknown column 'enery'; did you mean 'energy'"),
        ({"columns": ["step"]}, "unknown column 'step'"),
        ({"models": ["n"]}, "unknown model 'n'; available: m"),
        ({"models": []}, r"models=\[\] asks for no model; leave it out"),
        ({"filters": [("statu", "==", "nan")]}, "unknown column 'statu'; did you mean 'status'"),
        ({"filters": [[("ce", ">", 1)], [("statu", "==", "nan")]]}, "unknown column 'statu'"),
        ({"filters": ("status", "==", "nan")}, r"cannot be applied .*; write \[\('status', '==', 'nan'\)\]"),
        ({"filters": "status == 'nan'"}, "cannot be applied .*; write"),
        ({"filters": [("status", "equals", "nan")]}, '"equals" is not a valid operator'),
        ({"filters": [("status", "==", 3)]}, r"filters=\[\('status', '==', 3\)\] cannot be applied"),
        ({"samples": 0}, "samples=0 leaves no image"),
        ({"models": "n", "attacks": []}, r"no table of 'n' .*; measure it \(a figure: leave out --no-measure\)"),
        ({"samples": 9}, r"has 5 of 9 images; measure the rest \(a figure: .*\), or open it with samples=5"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path, asked, line):
    write(tmp_path, stop=5)
    with pytest.raises(UserError, match=line) as told:
        table.open(tmp_path, **asked)
    assert "\n" not in str(told.value)


def test_a_folder_without_a_table_is_told(tmp_path):
    for points in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match=r"no energy table lies in .*; measure one: python -m energylens.probe"):
            table.open(points)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", [None, 3])
@pytest.mark.parametrize("columns", [None, ["sample"], ["energy"]])
def test_overlapping_shards_give_no_row_twice(tmp_path, columns, steps):
    for start, stop in ((0, 3), (1, 2), (0, 2), (1, 5), (4, 5)):
        write(tmp_path, "a", "natural", start, stop, steps=steps)
    write(tmp_path / "one", "a", "natural", 0, 5, steps=steps)
    found, one = (table.open(points, ["a"], [], columns=columns) for points in (tmp_path, tmp_path / "one"))
    pd.testing.assert_frame_equal(found, one)
    assert len(found) == 5 * (steps or 1)
    assert len(table.open(tmp_path, ["a"], [], 4, columns)) == 4 * (steps or 1)


def test_shards_of_several_keys_are_no_table(tmp_path):
    write(tmp_path, start=0, stop=3)
    write(tmp_path, start=3, stop=5, key="ffffffff")
    with pytest.raises(UserError, match="holds shards of several keys; probe it again"):
        table.open(tmp_path)


def test_files_that_are_joined_while_they_are_read_are_looked_for_again(tmp_path, monkeypatch):
    paths = [write(tmp_path, start=0, stop=3), write(tmp_path, start=3, stop=5)]
    real = table._read

    def late(part, *rest):
        if paths:
            write(tmp_path, start=0, stop=5)
            while paths:
                paths.pop().unlink()
        return real(part, *rest)

    monkeypatch.setattr(table, "_read", late)
    assert table.open(tmp_path)["sample"].tolist() == [0, 1, 2, 3, 4]


def test_folders_tell_their_model_and_attack(tmp_path):
    for pair in (("Better DM (2)+", "pgd-l2-eps0.5"), ("a/b=c%", "mine:x"), ("é", "natural")):
        assert shards.named(table.folder(tmp_path, *pair)) == pair


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


def test_pairs_says_which_columns_it_lacks(made_table):
    made = made_table({"a": ([1.0, -2.0], 0.5)}).drop(columns=["model_sha", "entropy"])
    with pytest.raises(UserError, match="pairs needs the columns model_sha, entropy as well"):
        table.pairs(made)
