"""The table of scores: one row a set of images and a feature space. Rows are added and replaced, never lost."""

import pyarrow as pa

from energylens.row_table import RowTable

FILE = "scores.parquet"
SCORES = ("is_mean", "is_std", "fid", "kid", "kid_std", "kid_paper", "kid_paper_std", "precision", "recall", "lpips",
          "nearest", "nearest_real", "intended", "svm")  # fmt: skip
"""numbers; what they mean stands in energylens.quality"""
SCHEMA = pa.schema(
    [
        ("model", pa.string()),  # display name; of images from elsewhere, that of their file
        ("model_ref", pa.string()),  # null for images from elsewhere, as are the next three
        ("model_sha", pa.string()),
        ("method", pa.string()),  # as in the tables of chains
        ("seed", pa.int64()),
        ("data", pa.string()),  # the training images
        ("split", pa.string()),
        ("key", pa.string()),  # of the chains; of images from elsewhere, their sha256's beginning
        ("space", pa.string()),
        ("space_sha", pa.string()),
        ("n", pa.int64()),  # images scored
        ("left_out", pa.int64()),  # chains that became NaN; null for images from elsewhere, as is the next
        ("saturated", pa.float64()),  # mean share of pixels that are 0 or 1
        ("real", pa.int64()),  # training images compared with
        ("kid_subset", pa.int64()),
        ("lpips_space", pa.string()),
        *((name, pa.float64()) for name in SCORES),
    ]
)
SAME = ("model", "model_sha", "method", "seed", "data", "split", "n", "space", "space_sha", "key")
"""a row replaces the one that has all of these in common"""
TABLE = RowTable("scores", SCHEMA, SAME)
read, add = TABLE.read, TABLE.add
