"""The trainer where little is installed: torch, numpy, pandas, pyarrow, safetensors; the command takes typer too."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

LEAN = {"torch", "numpy", "pandas", "pyarrow", "safetensors"}
FOUND = {  # what these import themselves, and what typer needs
    "torch": "torchgen functorch typing_extensions sympy mpmath jinja2 markupsafe networkx fsspec filelock triton"
    " nvidia cuda setuptools",
    "pandas": "dateutil six pytz",
    "typer": "shellingham annotated_doc pydantic pydantic_core annotated_types typing_inspection",
}
REFUSE = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
class Lean:
    @staticmethod
    def find_spec(name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in allowed or top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        return PathFinder.find_spec(name, path, target) if known else None
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Lean]
"""
LOOP = """
import torch
from energylens import data, models
from energylens.train import course, loop, prepare, runs
from energylens.train.processes import Alone
from energylens.train.settings import recipe
settings = recipe("demo", "weat-adv", "mine.npz", epochs=4, attack_steps=1, batch=20)
arch = "small-resnet:width=4:channels=3:classes=2"
net = loop.train("weat-adv", arch, data.load("mine.npz"), settings)
run = runs.Run("weat-adv", "mine.npz", arch, settings)
made = prepare.prepared(run, prepare.Place(), prepare.Energies(every=2))
course.train(made, Alone())
again = models.load(str(made.folder.path / "last.safetensors"))
assert all(torch.equal(*pair) for pair in zip(net.parameters(), again.parameters(), strict=True))
"""
COMMAND = """
import runpy
sys.argv = ["train", "sat", "--data", "mine.npz", "--preset", "demo", "--epochs", "4", "--attack-steps", "1",
            "--batch", "20", "--energies-every", "2"]
runpy.run_module("energylens.train", run_name="__main__")
"""


def lean(folder: Path, code: str, also: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """Runs code that can import LEAN and nothing else but these."""
    rng = np.random.default_rng(0)
    np.savez(folder / "mine.npz", image=rng.integers(0, 256, (60, 3, 16, 16), np.uint8), label=np.arange(60) % 2)
    tops = {"energylens", *LEAN, *also} | {top for name in (*LEAN, *also) for top in FOUND.get(name, "").split()}
    code = f"allowed = {sorted(tops)}\n{REFUSE}\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
    )


def test_the_loop_trains_saves_and_loads(tmp_path):
    done = lean(tmp_path, LOOP)
    assert done.returncode == 0, done.stderr


def test_the_command_needs_typer_beside(tmp_path):
    done = lean(tmp_path, COMMAND, ("typer",))
    assert done.returncode == 0, done.stderr
    assert next(tmp_path.rglob("last.safetensors")).exists()


@pytest.mark.parametrize("code", ["import tqdm", "from PIL import Image", "import torchvision"])
def test_nothing_else_can_be_imported_there(tmp_path, code):
    assert "No module named" in lean(tmp_path, code).stderr
