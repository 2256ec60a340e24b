"""What is taken from a network's own training: data, eps, and the file of a run's folder."""

import json
import shutil
from pathlib import Path

import pytest
from evaluating import rows, typed
from safetensors.torch import load_file, save_file

from energylens import models, trained
from energylens.errors import UserError

RUN = Path("runs/sat-digits-small-resnet-1")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def put(path: Path, net: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(models.demo(net), path)
    return path


def test_a_demo_network_is_measured_on_its_test_images_at_its_eps(capsys):
    given = ("--samples", "5", "--attack", "fgsm", "--attack", "pgd:steps=1:eps=0.3")
    assert typed("demo:sat", "demo:sat-half", *given) == 0
    found = rows()
    assert set(found["data"] + ":" + found["split"]) == {"digits:test"}
    assert found["eps"].fillna(0).tolist() == [0, 0.2, 0.3, 0, 0.1, 0.3]
    assert found["objective"].unique() == ["sat"]
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [
        "sat: images digits:test and eps 0.2, from its training",
        "sat-half: images digits:test and eps 0.1, from its training",
    ]


def test_what_is_said_goes_before_what_was_trained_with(capsys):
    given = ("demo:sat", "--samples", "5", "--attack", "fgsm", "--data", "digits:train", "--eps", "8/255")
    assert typed(*given) == 0
    assert rows()["eps"][1] == 8 / 255
    assert rows()["split"].tolist() == ["train", "train"]
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "note: digits:train are training images; networks that were trained on them know them"
    assert "from its training" not in "".join(told)


def test_a_runs_folder_is_its_best_checkpoint_else_its_last(capsys):
    put(RUN / "last.safetensors", "sat")
    assert trained.network(str(RUN)).reference == f"{RUN}/last.safetensors"
    put(RUN / "best.safetensors", "trades")
    assert trained.network(f"{RUN}/").reference == f"{RUN}/best.safetensors"
    assert typed(RUN, f"mine={RUN}/last.safetensors", "--samples", "5", "--attack", "fgsm") == 0
    assert rows()["objective"].tolist() == ["trades", "trades", "sat", "sat"]
    assert rows()["model"].tolist() == [RUN.name, RUN.name, "mine", "mine"]
    assert capsys.readouterr().out.startswith(f"{RUN.name}: best.safetensors of {RUN}\n")


def test_a_folder_of_another_name_gives_it_to_its_network():
    put(Path("runs/mine+depth=6-2/last.safetensors"), "sat")
    found = trained.network("runs/mine+depth=6-2")
    assert (found.name, found.about["objective"]) == ("mine+depth6-2", "sat")
    assert trained.network("A=runs/mine+depth=6-2").name == "A"


def test_the_best_of_a_run_that_has_not_ended_is_told():
    put(RUN / "best.safetensors", "sat")
    assert trained.network(str(RUN)).taken.endswith(", a run that has not come to its end")


def test_a_folder_without_weights_says_what_to_type(capsys):
    RUN.mkdir(parents=True)
    (RUN / "run.json").write_text("{}")
    command = "python -m energylens.train sat --data digits --arch small-resnet --seed 1"
    told = f"error: {RUN} holds neither best.safetensors nor last.safetensors; train it: {command}\n"
    assert typed(RUN) == 2
    assert capsys.readouterr().err.endswith("; its training has not ended: give the command that trains it once more\n")
    with pytest.raises(UserError, match=r"^no such file: .*; its training has not ended: give the command that"):
        trained.network(f"{RUN}/last.safetensors")
    shutil.rmtree(RUN)  # a run that was never begun
    assert typed(RUN) == 2
    assert capsys.readouterr().err == told
    mine = Path("runs/mine-1")
    mine.mkdir(parents=True)
    (mine / "run.json").write_text("{}")
    with pytest.raises(UserError, match=r"its training has not ended: give the command that trains it once more$"):
        trained.network(str(mine))
    with pytest.raises(UserError, match=r"^no such file or run: runs/none$"):
        trained.network("runs/none")
    with pytest.raises(UserError, match=rf"^no such file or run: .*; train it: {command}$"):
        trained.network(f"{RUN}/last.safetensors")
    with pytest.raises(UserError, match=r"give the folder of a training run, or FILE\.safetensors"):
        trained.network("runs")


def test_a_network_of_other_images_that_cannot_be_had_stops_all_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ENERGYLENS_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")
    about = {"arch": "small-resnet:depth=6", "data": "svhn:train", "eps": 8 / 255}
    save_file(load_file(models.demo("sat")), "other.safetensors", {"energylens": json.dumps(about)})
    assert typed("demo:sat", "other.safetensors", "--samples", "5", "--attack", "fgsm") == 2
    told = capsys.readouterr()
    assert "other: images svhn:test and eps 8/255, from its training" in told.out
    assert "svhn:test" in told.err
    assert [path.name for path in Path().iterdir()] == ["other.safetensors"]


def test_networks_that_tell_nothing_of_their_training_want_their_images():
    assert trained.network("nets.py:net").test is None
    assert trained.Network("a", {"data": "mine.npz"}).test is None
    assert trained.Network("a", {"data": "tiny-imagenet:train"}).test == "tiny-imagenet"
    assert trained.Network("a", {"seed": 3}).recipe == {"objective": None, "arch": None, "train_seed": 3}
