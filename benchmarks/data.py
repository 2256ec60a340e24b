"""Time and memory of loading 50,000 CIFAR-10 images from parquet: decoded the first time, mapped the second.

    ENERGYLENS_DATA=FOLDER python benchmarks/data.py

Each load is a process of its own, with an empty cache folder before the first one. Memory is the peak of the
process (VmHWM) above what it was behind the imports; the second figure reads every image once, in batches.
"""

import os
import statistics
import subprocess
import sys
import tempfile

LOAD = """
import re, time
from pathlib import Path
import torch, pyarrow.parquet, PIL.Image, torchvision.datasets
from energylens import data

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

before, began = peak(), time.perf_counter()
found = data.load("cifar10:train")
loaded = time.perf_counter() - began
opened = peak() - before
for start in range(0, len(found), 500):
    found.batch(start, start + 500)
print(loaded, opened, peak() - before, found.images.dtype, len(found))
"""


def load(home: str) -> tuple[float, float, float]:
    """Seconds, MiB after loading, MiB after every image was read once."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD], env=os.environ | {"ENERGYLENS_HOME": home}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    seconds, opened, used, dtype, images = done.stdout.split()
    assert (dtype, images) == ("torch.uint8", "50000")
    return float(seconds), float(opened), float(used)


def main() -> None:
    first, second = [], []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as home:
            first.append(load(home))
            second.append(load(home))
    for name, runs in (("first time", first), ("second time", second)):
        seconds, opened, used = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"{name:12}  {seconds:6.2f} s  {opened:6.0f} MiB loaded  {used:6.0f} MiB with every image read")


if __name__ == "__main__":
    main()
