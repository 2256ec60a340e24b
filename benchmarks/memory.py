"""Peak memory of `python -m energylens.probe` as the number of probed images grows.

One .npz of 8,000 images is made, so that the loaded data set is the same each time; then its first 500,
2,000 and 8,000 are probed under PGD of two steps, each in a process of its own, which tells its own peak
resident memory. Twice: digits' shape with `demo:sat`, and 3x64x64 with a small network, where one float
copy of every image would be 375 MiB. Takes two minutes.

    python benchmarks/memory.py
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np  # no torch here: a child's peak begins at what its parent held when it forked

TOTAL = 8000
SIZES = (500, 2000, 8000)
MIB = 2**20
UNIT = 1 if sys.platform == "darwin" else 1024
"""bytes in one `ru_maxrss`"""

# The command, then its peak. Asked before it exits: unloading torch's CUDA libraries adds 100 MiB.
CHILD = """
import resource, sys
from energylens import command, probe
code = command.run(probe.app, "python -m energylens.probe", sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(code)
"""

NET = """
import torch
from torch import nn


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
"""


def make_images(path: Path, shape: tuple[int, ...]) -> Path:
    """Noise; memory does not depend on what the images show."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (TOTAL, *shape), dtype=np.uint8)
    np.savez(path, images=images, labels=rng.integers(0, 10, TOTAL))
    return path


def probe(model: str, data: Path, samples: int, tables: Path) -> tuple[float, float]:
    """Peak MiB and seconds of one command."""
    options = {"--models": model, "--data": data, "--samples": samples, "--tables": tables}
    options["--attack"] = "pgd:steps=2"
    arguments = ["mem", *(str(part) for option in options.items() for part in option)]
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"energylens.probe {' '.join(arguments)} failed:\n{done.stderr}")
    return int(done.stdout.split()[-1]) * UNIT / MIB, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of probing, by number of images.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="default: 500 2000 8000")
    sizes = parser.parse_args().sizes
    print(f"{'one image':>10}{'images':>8}{'peak MiB':>10}{'to first':>10}{'seconds':>9}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.py").write_text(NET)
        for shape, model in {(1, 16, 16): "demo:sat", (3, 64, 64): f"{folder}/small.py:net"}.items():
            written = "x".join(map(str, shape))
            data, first = make_images(folder / "images.npz", shape), None
            for samples in sizes:
                peak, seconds = probe(model, data, samples, folder / f"{written}-{samples}")
                first = first or peak
                print(f"{written:>10}{samples:8}{peak:10.1f}{peak - first:+10.1f}{seconds:9.1f}", flush=True)


if __name__ == "__main__":
    main()
