"""The table of scores: rows that stay, what replaces them, and other files."""

import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from energylens.errors import UserError
from energylens.quality import board, table


def row(**changes) -> dict:
    made = {"model": "a", "model_sha": "1", "method": "eq7-pca", "seed": 0, "data": "digits", "split": "train"}
    return made | {"n": 50, "space": "demo:standard-14", "space_sha": "2", "key": "3", "fid": 1.0} | changes


def test_a_row_is_replaced_by_the_same_measurement_alone(tmp_path):
    path = tmp_path / "out" / "scores.parquet"
    others = {"model": "b", "model_sha": "9", "method": "sgld", "seed": 1, "data": "svhn", "split": "test", "n": 60,
              "space": "inception", "space_sha": "9", "key": "9"}  # fmt: skip
    assert set(others) == set(table.SAME)
    assert table.add(path, [row(), *(row(**{name: value}) for name, value in others.items())]) == 11
    assert table.add(path, [row(fid=2.0), row(model="c")]) == 12
    found = pd.read_parquet(path)
    assert found["fid"].tolist() == [2.0, *[1.0] * 11]
    assert list(found) == table.SCHEMA.names
    assert [one["model"] for one in table.read(path)] == ["a", "b", *["a"] * 9, "c"]


def test_images_from_elsewhere_have_no_network(tmp_path):
    table.add(tmp_path / "scores.parquet", [{"model": "mine", "n": 3}, {"model": "mine", "n": 3, "fid": 2.0}])
    (found,) = table.read(tmp_path / "scores.parquet")
    assert (found["fid"], found["model_sha"], found["seed"]) == (2.0, None, None)


def test_another_file_is_left_alone(tmp_path):
    path = tmp_path / "scores.parquet"
    assert table.read(path) == []
    pq.write_table(pa.table({"accuracy": [1.0]}), path)
    with pytest.raises(
        UserError, match=r"scores\.parquet has columns that are none of ours \(accuracy\); take another"
    ):
        table.add(path, [row()])
    path.write_text("no parquet")
    with pytest.raises(UserError, match=r"scores\.parquet is no table of scores \(.*\); take another --out"):
        table.read(path)


def test_text_names_images_and_space_above_the_scores():
    blank = dict.fromkeys([*table.SCORES, "kid_subset", "lpips_space"])
    one = blank | row(real=1297, fid=1.23456, lpips=0.5, lpips_space="alexnet", nearest_real=1.5, kid_subset=50)
    other = blank | row(n=1, real=1297, space="inception", method=None, seed=None, fid=None)
    assert board.lines([one, other, one | {"model": "b"}]) == [
        "50 images each, against 1,297 of digits:train, in the features of demo:standard-14",
        "images       IS    FID  KID  KID paper  precision  recall  LPIPS  nearest  intended  SVM",
        "a eq7-pca 0   -  1.235    -          -          -       -    0.5        -         -    -",
        "b eq7-pca 0   -  1.235    -          -          -       -    0.5        -         -    -",
        "KID: subsets of 50; LPIPS: layers of alexnet; nearest: 1.5 between real images",
        "",
        "1 image, against 1,297 of digits:train, in the features of inception",
        "images  IS  FID  KID  KID paper  precision  recall  LPIPS  nearest  intended  SVM",
        "a        -    -    -          -          -       -      -        -         -    -",
    ]


def test_the_table_is_read_without_torch():
    code = "import sys; from energylens.quality import board, measure, table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
