"""Shared parts of the tests: real data where it is, made tables with known answers, toy models."""

import getpass
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made_tables import rows
from matplotlib import pyplot as plt
from probing import recipe

os.environ["ENERGYLENS_HOME"] = str(Path(tempfile.gettempdir()) / f"energylens-tests-{getpass.getuser()}")
"""not the user's own cache; real data sets are decoded once for all tests"""


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def _folder(variable: str) -> Path:
    found = os.environ.get(variable)
    if not found or not Path(found).is_dir():
        pytest.skip(f"real data needed: set {variable} to its folder")
    return Path(found)


@pytest.fixture
def real_data() -> Path:
    """The folder with cifar10/ and cifar100/."""
    return _folder("ENERGYLENS_DATA")


@pytest.fixture
def real_zoo() -> Path:
    """The folder with nets.py and its weights."""
    return _folder("ENERGYLENS_ZOO")


@pytest.fixture
def npz(tmp_path) -> Path:
    """Twelve grey 4x4 images of three classes."""
    rng = np.random.default_rng(0)
    path = tmp_path / "toy.npz"
    np.savez(path, images=rng.integers(0, 256, (12, 4, 4, 1), dtype=np.uint8), labels=np.arange(12) % 3)
    return path


@pytest.fixture
def toy_net(tmp_path):
    """Writes a user's Python file with a linear classifier; `toy_net("return 2 * logits")` changes its output."""

    def write(body: str = "return logits", name: str = "nets.py") -> Path:
        path = tmp_path / name
        path.write_text(f"""
import torch
from torch import nn

class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(16, 3)

    def forward(self, x):
        logits = self.linear(x.flatten(1))
        {body}

def toy():
    return Toy()

def other():
    net = Toy()
    net.linear.bias.data += 1
    return net
""")
        return path

    return write


@pytest.fixture
def made_table():
    """`made_table({"SAT": (deltas, accuracy)})`: natural energies 0, Delta E(x) as given, that share right."""

    def make(models: dict, reference="nets.py:{}") -> pd.DataFrame:
        frames = []
        for model, (deltas, accuracy) in models.items():
            deltas = np.asarray(deltas, float)
            label = np.zeros(len(deltas), int)
            pred = (np.arange(len(deltas)) >= round(accuracy * len(deltas))).astype(int)
            name = reference.format(model)
            frames.append(rows(model, "natural", name, np.zeros(len(deltas)), label, label))
            frames.append(rows(model, "pgd", name, -deltas, label, pred, joint=-2 * deltas))
        made = pd.concat(frames, ignore_index=True)
        made["model"] = pd.Categorical(made["model"], list(models))
        return made

    return make


@pytest.fixture
def linear_two_classes():
    """logits (w.x, -w.x) on 12 pixels: the worst point of any ball is known."""
    weights = torch.tensor([1.0, -2.0, 0.5]).repeat(4)
    return weights, lambda x: torch.stack([x.flatten(1) @ weights, -x.flatten(1) @ weights], 1)


@pytest.fixture
def toy(toy_net, npz):
    """A recipe: the toy network, six toy images, three steps of PGD."""
    return recipe(toy_net(), npz)
