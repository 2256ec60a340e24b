"""Opening and joining a table of 12 million rows: 100 models, 11 attacks and natural images, 10,000 images each.

Its numbers are noise, in 12,000 files of 1,000 images as a probe writes them. One figure's columns (label, pred,
energy, joint_energy, ce) of all models under one attack, with the natural rows, are opened by
`energylens.table.open` and by plain pandas; DuckDB takes accuracy and mean energy of every model and attack from
all rows in one query. Then `energylens.compact` joins the files, and all is read again. Each reading is a process
of its own, which tells its seconds (imports not counted) and its peak memory. Takes two minutes and 1.5 GB of disk.

    python benchmarks/tables.py
"""

import argparse
import multiprocessing
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

from rows import Table  # no pandas here: a child's peak begins at what its parent held when it started

MIB = 2**20
UNIT = 1 if sys.platform == "darwin" else 1024
"""bytes in one `ru_maxrss`"""
COLUMNS = ["label", "pred", "energy", "joint_energy", "ce"]
ATTACKS = ["natural", *(f"attack-{number:02}" for number in range(1, 12))]
ONE = ATTACKS[1]
QUERY = """
    SELECT model, attack, avg((pred = label)::INT) AS accuracy, avg(energy) AS energy
    FROM read_parquet('{}/model=*/attack=*/part-*.parquet', hive_partitioning = true)
    GROUP BY ALL
"""
FRESH = multiprocessing.get_context("spawn")


def make(points: Path, models: int, images: int, shard: int) -> int:
    """Write the table; how many rows."""
    from energylens import table

    tasks = list(product(range(models), range(len(ATTACKS)), range(0, images, shard)))

    def write(task: tuple[int, int, int]) -> int:
        model, attack, start = task
        stop = min(start + shard, images)
        about = {"key": "0123abcd", "images": images, "rows": stop - start, "decisive": {}, "kept": []}
        where = table.folder(points, f"model-{model:03}", ATTACKS[attack])
        table.write(noise(task, start, stop), where, start, stop, about)
        return stop - start

    with ThreadPoolExecutor() as pool:
        return sum(pool.map(write, tasks))


def noise(seed: tuple[int, ...], start: int, stop: int) -> dict[str, Any]:
    """All columns of images START to STOP."""
    import numpy as np
    import pyarrow as pa

    from energylens.schema import SCHEMA

    rng, count = np.random.default_rng(seed), stop - start
    text = {"model_sha": "0123456789abcdef" * 4, "data": "cifar10", "split": "test", "status": "success"}
    made: dict[str, Any] = {}
    for field in SCHEMA:
        if field.name in ("target", "part", "target_energy", "logits"):
            made[field.name] = [None] * count
        elif pa.types.is_string(field.type):
            made[field.name] = [text.get(field.name, "the same")] * count
        elif pa.types.is_floating(field.type):
            made[field.name] = rng.normal(size=count)
        else:
            made[field.name] = rng.integers(0, 2 if pa.types.is_boolean(field.type) else 10, count)
    return made | {"sample": np.arange(start, stop), "eps": [8 / 255] * count, "clean_correct": made["label"] > 0}


def join(points: Path) -> int:
    """Compact the table; how many files are left."""
    from energylens.compact import compact

    compact(points, lambda line: None)
    return len(list(points.glob("model=*/attack=*/part-*.parquet")))


def ours(points: Path) -> Callable[[], int]:
    """`table.open`."""
    from energylens import table

    return lambda: len(table.open(points, attacks=[ONE], columns=COLUMNS))


def plain(points: Path) -> Callable[[], int]:
    """What pandas does without us."""
    import pandas as pd

    chosen = [("attack", "in", ["natural", ONE])]
    return lambda: len(pd.read_parquet(points, columns=[*COLUMNS, "model", "attack"], filters=chosen))


def every(points: Path) -> Callable[[], int]:
    """The same columns of all attacks."""
    from energylens import table

    return lambda: len(table.open(points, columns=COLUMNS))


def query(points: Path) -> Callable[[], int]:
    """One query over all rows; gives one row a model and attack."""
    import duckdb

    return lambda: len(duckdb.sql(QUERY.format(points)).fetchall())


READERS = {
    "table.open, one attack": ours,
    "pandas, one attack": plain,
    "table.open, all attacks": every,
    "DuckDB, one query over all": query,
}


def fresh(work: Callable[..., Any], *given: Any) -> Any:
    """Its result, from a process of its own."""
    with FRESH.Pool(1) as pool:
        return pool.apply(work, given)


def timed(reader: str, points: Path) -> tuple[int, float, float]:
    """Rows, seconds and peak MiB."""
    read = READERS[reader](points)
    began = time.perf_counter()
    rows = read()
    seconds = time.perf_counter() - began
    return rows, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / MIB


def compare(table: Table, files: str, points: Path, rounds: int) -> None:
    """Print each reader's median over the rounds."""
    for reader in READERS:
        rows, seconds, peaks = zip(*(fresh(timed, reader, points) for _ in range(rounds)), strict=True)
        table.add(files, reader, rows[0], statistics.median(seconds), min(seconds), max(seconds), max(peaks))


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds and memory of opening and joining a large table.")
    parser.add_argument("--out", type=Path, help="folder to make the table in; a temporary one if not given")
    parser.add_argument("--models", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--images", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--shard", type=int, default=1000, help="images in one file; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--markdown", action="store_true", help="print the table once more as Markdown")
    given = parser.parse_args()
    points = Path(tempfile.mkdtemp(dir=given.out)) / "points"
    try:
        began = time.perf_counter()
        rows = fresh(make, points, given.models, given.images, given.shard)
        print(f"made {rows:,} rows in {time.perf_counter() - began:.0f} s\n", flush=True)
        widths = {"files": "<14", "reader": "<28", "rows": ">12,", "median s": ">10.2f", "min s": ">8.2f"}
        table = Table(widths | {"max s": ">8.2f", "peak MiB": ">10.0f"})
        table.header()
        compare(table, f"of {given.shard:,}", points, given.rounds)
        began = time.perf_counter()
        left = fresh(join, points)
        print(f"joined into {left:,} files in {time.perf_counter() - began:.0f} s", flush=True)
        compare(table, "joined", points, given.rounds)
    finally:
        shutil.rmtree(points.parent)
    if given.markdown:
        print("\n" + table.markdown())


if __name__ == "__main__":
    main()
