"""The paper-scale recipe runs to its end: random weights in RobustBench's own classes, on 4 made images."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from energylens import command, figure, paths
from energylens.models import robustbench

PAPER = {name.partition("=")[0]: name for name in paths.load("analyses", "delta_energy").PAPER.models}


def made_cifar10(folder):
    rng = np.random.default_rng(0)
    cells = []
    for _ in range(4):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    folder.mkdir(parents=True)
    pd.DataFrame({"img": cells, "label": [3, 8, 8, 0]}).to_parquet(folder / "test-00000-of-00001.parquet")


def place(reference, model_dir):
    dataset, threat, name, entry = robustbench._entry(reference.partition("=")[2])
    torch.manual_seed(0)
    path = model_dir / dataset / threat / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": entry["model"]().state_dict()}, path)


def draw(tmp_path, names, *more):
    chosen = [part for name in names for part in ("--models", PAPER[name])]
    places = [
        "--data-dir",
        tmp_path / "data",
        "--model-dir",
        tmp_path / "models",
        "--tables",
        tmp_path / "tables",
        "--out",
        tmp_path / "out",
    ]
    return command.run(
        figure.app, "test", [str(part) for part in ("fig4", "--scale", "paper", *chosen, *places, *more)]
    )


def check(tmp_path, capsys, names):
    made_cifar10(tmp_path / "data" / "cifar10")
    for name in names:
        place(PAPER[name], tmp_path / "models")
    assert draw(tmp_path, names) == 0
    assert (tmp_path / "out" / "fig4.png").exists()
    assert capsys.readouterr().out.count("claim:") == 4
    found = pd.read_parquet(tmp_path / "tables" / "delta_energy" / "points")
    assert len(found) == 8 * len(names)
    assert set(found["attack"]) == {"natural", "pgd"}
    assert np.isfinite(found["energy"]).all()


def test_the_smallest_of_the_papers_models(tmp_path, capsys):
    """SAT's ResNet-50, 24 million parameters."""
    check(tmp_path, capsys, ["SAT"])


@pytest.mark.slow
def test_one_model_of_each_class(tmp_path, capsys):
    """WideResNet-28-10 and -34-10 and RobustBench's DMWideResNet; the WRN-70-16 is left out for its 1 GB."""
    check(tmp_path, capsys, ["GAIR-RST", "TRADES", "IKL+"])


def test_without_checkpoints_it_stops_before_any_work(tmp_path, capsys, monkeypatch):
    import gdown

    def offline(**_):
        raise ConnectionError

    monkeypatch.setattr(gdown, "download", offline)
    made_cifar10(tmp_path / "data" / "cifar10")
    assert draw(tmp_path, PAPER) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    first = tmp_path / "models" / "cifar10" / "Linf" / "Engstrom2019Robustness.pt"
    assert f"checkpoint {first} is missing" in error
    assert "https://drive.google.com/uc?id=" in error
    assert "Zhang2020Geometry.pt (https://drive.google.com/uc?id=" in error
    assert error.count("https://drive.google.com/uc?id=") == 8
    assert not (tmp_path / "models").exists()
    assert not (tmp_path / "tables").exists()
    assert not (tmp_path / "out").exists()
