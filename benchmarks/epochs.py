"""Reading the energies of a training run at the paper's scale: 50,000 images, natural and under 3 attacks, 100 epochs.

Its numbers are noise, in 400 files as a run writes them, 20 million rows. `epochs.means` takes the means of every
epoch, `epochs.open` three epochs of one attack with all columns (an arrow plot), or a few columns of all rows; plain
pandas reads the same few columns, and takes mean energies of them. Each reading is a process of its own, which tells
its seconds (imports not counted) and its peak memory. Takes three minutes and 1.5 GB of disk.

    python benchmarks/epochs.py
"""

import argparse
import json
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
ATTACKS = ["natural", "pgd-kl-steps10", "pgd", "pgd-steps5"]
COLUMNS = ["epoch", "energy", "joint_energy"]
FRESH = multiprocessing.get_context("spawn")


def make(run: Path, images: int, epochs: int) -> int:
    """Write the run; how many rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from energylens import epoch_files
    from energylens.schema import EPOCHS

    def write(task: tuple[int, int]) -> int:
        epoch, attack = task
        path = epoch_files.path(run, "run", ATTACKS[attack], "train", epoch)
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = noise(epoch, attack, images)
        rows = pa.table([columns[field.name] for field in EPOCHS], schema=EPOCHS)
        pq.write_table(rows.replace_schema_metadata({"energylens": json.dumps({"decisive": {}})}), path)
        return images

    with ThreadPoolExecutor() as pool:
        return sum(pool.map(write, product(range(epochs), range(len(ATTACKS)))))


def noise(epoch: int, attack: int, images: int) -> dict[str, Any]:
    """All columns of a file."""
    import numpy as np
    import pyarrow as pa

    from energylens.schema import EPOCHS

    rng = np.random.default_rng((epoch, attack))
    text = {"model_sha": f"{epoch:064x}", "data": "cifar10", "split": "train", "status": "success"}
    made: dict[str, Any] = {}
    for field in EPOCHS:
        if field.name in ("target", "part", "target_energy", "logits") or (attack == 0 and field.name[:3] == "kl_"):
            made[field.name] = pa.nulls(images, field.type)
        elif pa.types.is_string(field.type):
            made[field.name] = pa.repeat(text.get(field.name, "the same"), images)
        elif pa.types.is_floating(field.type):
            made[field.name] = rng.normal(size=images).astype(np.float32)
        else:
            made[field.name] = rng.integers(0, 2 if pa.types.is_boolean(field.type) else 10, images)
    fixed = {"sample": np.arange(images), "epoch": np.full(images, epoch), "eps": np.full(images, 8 / 255)}
    return made | fixed | {"clean_correct": made["label"] > 0, "seed": np.zeros(images, int)}


def means(run: Path) -> Callable[[], int]:
    """The means of every epoch and attack."""
    from energylens import epochs

    return lambda: len(epochs.means(run))


def three(run: Path) -> Callable[[], int]:
    """All columns of the first, a middle and the last epoch under one attack, in pairs."""
    from energylens import epoch_files, epochs

    there = sorted({file.epoch for file in epoch_files.files(run)})
    chosen = [there[0], there[len(there) // 2], there[-1]]
    return lambda: len(epochs.pairs(epochs.open(run, ["pgd"], ["train"], chosen)))


def every(run: Path) -> Callable[[], int]:
    """A few columns of all rows."""
    from energylens import epochs

    return lambda: len(epochs.open(run, columns=COLUMNS))


def plain(run: Path) -> Callable[[], int]:
    """What pandas does without us: the mean energies of each epoch and attack, from all rows."""
    import pandas as pd

    def read() -> int:
        rows = pd.read_parquet(run / "epochs", columns=[*COLUMNS, "model", "attack"])
        return len(rows.groupby(["model", "attack", "epoch"], observed=True).mean())

    return read


READERS = {
    "epochs.means": means,
    "epochs.open of 3 epochs, pairs": three,
    "epochs.open of 3 columns": every,
    "pandas, means of 2 columns": plain,
}


def fresh(work: Callable[..., Any], *given: Any) -> Any:
    """Its result, from a process of its own."""
    with FRESH.Pool(1) as pool:
        return pool.apply(work, given)


def timed(reader: str, run: Path) -> tuple[int, float, float]:
    """Rows of the result, seconds and peak MiB."""
    read = READERS[reader](run)
    began = time.perf_counter()
    rows = read()
    seconds = time.perf_counter() - began
    return rows, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT / MIB


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds and memory of reading the energies of a training run.")
    parser.add_argument("--out", type=Path, help="folder to make the run in; a temporary one if not given")
    parser.add_argument("--images", type=int, default=50_000, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--markdown", action="store_true", help="print the table once more as Markdown")
    given = parser.parse_args()
    run = Path(tempfile.mkdtemp(dir=given.out))
    try:
        began = time.perf_counter()
        rows = fresh(make, run, given.images, given.epochs)
        files = [path.stat().st_size for path in run.rglob("*.parquet")]
        seconds = time.perf_counter() - began
        print(f"made {rows:,} rows, {len(files)} files, {sum(files) / MIB:,.0f} MiB, in {seconds:.0f} s\n", flush=True)
        widths = {"reader": "<34", "rows": ">12,", "median s": ">10.2f", "min s": ">8.2f", "max s": ">8.2f"}
        table = Table(widths | {"peak MiB": ">10.0f"})
        table.header()
        for reader in READERS:
            counts, seconds_of, peaks = zip(*(fresh(timed, reader, run) for _ in range(given.rounds)), strict=True)
            table.add(reader, counts[0], statistics.median(seconds_of), min(seconds_of), max(seconds_of), max(peaks))
    finally:
        shutil.rmtree(run)
    if given.markdown:
        print("\n" + table.markdown())


if __name__ == "__main__":
    main()
