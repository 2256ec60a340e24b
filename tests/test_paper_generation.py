"""The paper's recipes of generated images, to their ends: random weights in the networks' own classes, two steps."""

import dataclasses
import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from made_pictures import inception
from PIL import Image
from safetensors.torch import save_file
from test_paper_scale import place

from energylens import command, draw, figure, references
from energylens.generate import Generation, Scored
from energylens.models import architectures
from energylens.recipe import recipes, shipped

FIGURES = {
    "fig5e": ["target_chains"], "chain": ["chain_film"], "intensity": ["intensity"], "fig6b": ["starts"],
    "fig6a": ["generators", "generator_robustness"], "sigma": ["sigma_grid"], "tab2b": ["table_2b"],
    "tab2c": ["table_2c"], "jeat-flatness": ["flatness"],
}  # fmt: skip


def brief(need):
    """The recipe with few images and two steps."""
    if isinstance(need, Scored):
        return dataclasses.replace(need, parts=tuple(map(brief, need.parts)))
    if isinstance(need, Generation):
        short = [
            dataclasses.replace(one, sampler=dataclasses.replace(one.sampler, steps=min(2, one.sampler.steps)))
            for one in need.methods
        ]
        return dataclasses.replace(need, methods=tuple(short), images=4, every=min(need.every, 1))
    return dataclasses.replace(need, samples=4)


def networks(analysis):
    need = recipes(analysis)["paper"]
    parts = need.parts if isinstance(need, Scored) else (need,)
    return [references.named(name)[1] for part in parts for name in part.models]


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Everything that a user would bring: checkpoints, runs, images."""
    folder = tmp_path_factory.mktemp("there")
    for split in ("train", "test"):
        made_cifar(folder / "data" / "cifar10", split)
    for name in dict.fromkeys(name for analyses in FIGURES.values() for one in analyses for name in networks(one)):
        if name.startswith("robustbench:"):
            place(f"={name}", folder / "models")
        else:
            run(folder / name)
    weights = folder / "home" / "weights"
    weights.mkdir(parents=True)
    inception(weights / "weights-inception-2015-12-05-6726825d.pth")
    return folder


def made_cifar(folder, split):
    rng = np.random.default_rng(0)
    cells = []
    for _ in range(30):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame({"img": cells, "label": [number % 10 for number in range(30)]})
    frame.to_parquet(folder / f"{split}-00000-of-00001.parquet")


def run(path):
    torch.manual_seed(0)
    path.parent.mkdir(parents=True)
    net = architectures.build("resnet18:classes=10")
    save_file(net.state_dict(), path, {"energylens": json.dumps({"arch": "resnet18:classes=10"})})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::energylens.errors.Note")  # AlexNet's weights cannot be had
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_at_paper_scale(name, there, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ENERGYLENS_HOME", str(there / "home"))
    monkeypatch.setattr(draw, "shipped", lambda analysis, scale: brief(shipped(analysis, scale)))
    folders = {"--data-dir": there / "data", "--model-dir": there / "models", "--runs": there / "runs"}
    folders |= {"--tables": tmp_path / "tables", "--out": tmp_path / "out"}
    typed = [str(part) for pair in folders.items() for part in pair]
    assert command.run(figure.app, "test", [name, "--scale", "paper", *typed]) == 0, capsys.readouterr().err
    assert list((tmp_path / "out").glob(f"{name}.*"))
    told = capsys.readouterr().out
    assert told.count("claim:") == len(draw.job(name, "paper", figure.options.Choice(), None).module.CLAIMS)
