"""Every paper-scale recipe runs to its end: random weights in the networks' own classes, on 4 made images."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from energylens import command, figure, paths
from energylens.models import architectures, robustbench
from energylens.recipe import recipes

PAPER = {name.partition("=")[0]: name for name in paths.load("analyses", "delta_energy").PAPER.models}


def made_cifar(folder, column="label"):
    rng = np.random.default_rng(0)
    cells = []
    for _ in range(4):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    folder.mkdir(parents=True)
    pd.DataFrame({"img": cells, column: [3, 8, 8, 0]}).to_parquet(folder / "test-00000-of-00001.parquet")


def place(reference, model_dir):
    dataset, threat, name, entry = robustbench._entry(reference.partition("=")[2])
    torch.manual_seed(0)
    path = model_dir / dataset / threat / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": entry["model"]().state_dict()}, path)


def run(tmp_path, name, *more, scale="paper"):
    folders = {"--data-dir": "data", "--model-dir": "models", "--tables": "tables", "--out": "out"}
    places = [str(part) for option, folder in folders.items() for part in (option, tmp_path / folder)]
    return command.run(figure.app, "test", [name, "--scale", scale, *places, *more])


def draw(tmp_path, names, *more):
    return run(tmp_path, "fig4", *[part for name in names for part in ("--models", PAPER[name])], *more)


def check(tmp_path, capsys, names):
    made_cifar(tmp_path / "data" / "cifar10")
    for name in names:
        place(PAPER[name], tmp_path / "models")
    assert draw(tmp_path, names) == 0
    assert (tmp_path / "out" / "fig4.png").exists()
    assert capsys.readouterr().out.count("claim:") == 4
    found = pd.read_parquet(tmp_path / "tables" / "delta_energy" / "points")
    assert len(found) == 8 * len(names)
    assert set(found["attack"]) == {"natural", "pgd"}
    assert np.isfinite(found["energy"]).all()


@pytest.mark.slow
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
    made_cifar(tmp_path / "data" / "cifar10")
    assert draw(tmp_path, PAPER) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    first = tmp_path / "models" / "cifar10" / "Linf" / "Engstrom2019Robustness.pt"
    assert "checkpoint Engstrom2019Robustness.pt is missing" in error
    assert f"as {first}" in error
    assert "https://drive.google.com/uc?id=" in error
    assert "Zhang2020Geometry.pt (https://drive.google.com/uc?id=" in error
    assert error.count("https://drive.google.com/uc?id=") == 8
    assert not (tmp_path / "models").exists()
    assert not (tmp_path / "tables").exists()
    assert not (tmp_path / "out").exists()


def rows_of(tmp_path, analysis, folder):
    found = pd.read_parquet(tmp_path / "tables" / analysis / folder)
    assert np.isfinite(found["energy"]).all()
    return found.groupby("model", observed=True)["attack"].nunique()


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["paper", "paper-short"])
def test_figure_2_with_the_papers_own_model(tmp_path, capsys, scale):
    """WRN-28-10 under all twelve attacks."""
    (reference,) = recipes("attack_energies")[scale].models
    made_cifar(tmp_path / "data" / "cifar10")
    place(reference, tmp_path / "models")
    assert run(tmp_path, "fig2", scale=scale) == 0
    assert (tmp_path / "out" / "fig2.png").exists()
    assert capsys.readouterr().out.count("claim:") == 17
    assert rows_of(tmp_path, "attack_energies", "points").to_dict() == {"Standard": 13}


@pytest.mark.slow
def test_the_forces_in_the_papers_models(tmp_path, capsys):
    """WRN-28-10, ResNet-50, WRN-34-10."""
    made_cifar(tmp_path / "data" / "cifar10")
    for reference in recipes("pgd_forces")["paper"].models:
        place(reference, tmp_path / "models")
    assert run(tmp_path, "forces", "--samples", "4") == 0
    assert capsys.readouterr().out.count("claim:") == 2
    assert rows_of(tmp_path, "pgd_forces", "steps").to_dict() == {"Standard": 2, "SAT": 2, "TRADES": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "data", "classes"),
    [("paper", "cifar10", 10), ("paper-cifar100", "cifar100", 100)],
)
def test_figure_1a_asks_for_its_networks_and_reads_them_once_they_are_trained(
    tmp_path, capsys, monkeypatch, scale, data, classes
):
    monkeypatch.chdir(tmp_path)
    made_cifar(tmp_path / "data" / data, "label" if data == "cifar10" else "fine_label")
    assert run(tmp_path, "fig1a", scale=scale) == 2
    error = capsys.readouterr().err
    depths = (20, 32, 44, 56, 110)
    for depth in depths:
        assert f"python -m energylens.train standard --data {data} --arch resnet{depth} --seed 1" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "tables").exists()
    for depth in depths:
        torch.manual_seed(0)
        arch = f"resnet{depth}:classes={classes}"
        path = tmp_path / f"runs/standard-{data}-resnet{depth}-1/last.safetensors"
        path.parent.mkdir(parents=True)
        save_file(architectures.build(arch).state_dict(), path, {"energylens": json.dumps({"arch": arch})})
    assert run(tmp_path, "fig1a", scale=scale) == 0
    assert capsys.readouterr().out.count("claim:") == 2
    found = pd.read_parquet(tmp_path / "tables" / "pgd_path" / "steps")
    assert len(found) == 5 * (4 + 4 * 101)
    assert set(found["model_ref"]) == {f"standard-{data}-resnet{depth}-1/last.safetensors" for depth in depths}
