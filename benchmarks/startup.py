"""Wall time of commands that compute nothing: a help text, and a figure from tables that are there.

Figure 4 of the demo scale is measured once into a temporary folder (within a minute; `--tables` takes
one that has it); then each command runs five times as a process of its own, in an empty working folder.

    python benchmarks/startup.py
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIGURE = (sys.executable, "-m", "energylens.figure")


def run(arguments: tuple[str, ...], folder: str) -> float:
    """Seconds of one command, run in `folder`; a failure ends the benchmark."""
    began = time.perf_counter()
    done = subprocess.run([*FIGURE, *arguments], cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"python -m energylens.figure {' '.join(arguments)} failed:\n{done.stderr}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Wall time of --help and of drawing figure 4.")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--tables", type=Path, help="folder with figure 4's demo tables")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tables = str(given.tables.resolve() if given.tables else Path(folder, "tables"))
        drawing = ("fig4", "--tables", tables)
        if not given.tables:
            print(f"measured figure 4 once in {run(drawing, folder):.0f} s\n", flush=True)
        commands = {("--help",): 1.0, (*drawing, "--no-measure"): 3.0}
        print(f"{'python -m energylens.figure':30}{'median s':>10}{'min s':>8}{'max s':>8}{'target s':>10}")
        for arguments, target in commands.items():
            times = [run(arguments, folder) for _ in range(given.rounds)]
            name = " ".join(part for part in arguments if part not in ("--tables", tables))
            numbers = f"{statistics.median(times):10.2f}{min(times):8.2f}{max(times):8.2f}{target:10.1f}"
            print(f"{name:30}{numbers}", flush=True)


if __name__ == "__main__":
    main()
