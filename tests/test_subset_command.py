"""`--subset` as a user types it: what is said, one line for every mistake, names that say their command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from small_runs import ready
from toy_subsets import make, toy_run

from energylens import command
from energylens.errors import UserError
from energylens.references import run_command
from energylens.train import command as train_command
from energylens.train.subset import checked


@pytest.fixture
def toy(tmp_path, monkeypatch) -> Path:
    """A folder of its own with the toy images and networks."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path)
    return tmp_path


QUICK = ["--arch", "small-resnet:width=4", "--epochs", "3", "--attack-steps", "1", "--batch", "20", "--samples", "120"]
QUIET = ["--energies-every", "0"]


def typed(capsys, *arguments: str) -> tuple[int, list[str], str]:
    code = command.run(train_command.app, "python -m energylens.train", list(arguments))
    told = capsys.readouterr()
    return code, told.out.splitlines(), told.err


def test_the_usual_first_network_is_the_sat_run_beside_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["trades", *QUICK, *QUIET, "--subset", "misclassified"]
    code, out, err = typed(capsys, *arguments)
    name = "sat-digits-small-resnet+width=4-1"
    assert (code, out) == (2, [])
    assert err == (
        f"error: --subset misclassified asks the network of runs/{name}, which is not there; train it: python -m "
        "energylens.train sat --data digits --arch small-resnet:width=4 --seed 1 --samples 120 --attack-steps 1 "
        "--epochs 3 --batch 20, or name another one with --subset-model\n"
    )
    assert not Path("runs").exists()
    typed(capsys, "sat", *QUICK, *QUIET)
    code, out, err = typed(capsys, *arguments, "--subset-mode", "removed")
    assert code == 0, err
    count = len(pd.read_parquet(f"runs/trades-misclassified-removed-{name[4:]}/subset.parquet"))
    assert out[1].endswith(f"-1: subset: {count} of 120 images misclassified by {name}, removed")
    assert f": {120 - count} images of digits:train" in out[0]
    about = json.loads(Path(f"runs/trades-misclassified-removed-{name[4:]}/run.json").read_text())
    assert about["subset_model"] == name
    code, out, _ = typed(capsys, *arguments, "--subset-mode", "removed", "--subset-model", f"runs/{name}")
    assert (code, "is there" in out[0]) == (0, True)


def test_a_first_network_that_has_not_ended_is_told(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    typed(capsys, "sat", *QUICK, *QUIET)
    Path("runs/sat-digits-small-resnet+width=4-1/last.safetensors").unlink()
    code, _, err = typed(capsys, "sat", *QUICK, *QUIET, "--subset", "low")
    assert (code, err.count("\n")) == (2, 1)
    assert "its training has not ended: give the command that trains it once more" in err


def test_what_is_said_of_high_and_of_classes(toy):
    assert str(ready(toy / "runs", toy_run("high")).subset) == (
        "3 of 40 images with the highest E(x) of those that nets.py:by_hand gets right, left unperturbed"
    )
    assert (
        str(ready(toy / "runs", toy_run("classes:0,1")).subset) == "40 of 40 images of classes 0, 1, left unperturbed"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--subset-mode removed", "--subset-mode removed goes with --subset; say which images, or leave it out"),
        ("--subset-model demo:sat", "--subset-model demo:sat goes with --subset; say which images, or leave it out"),
        ("--subset hihg", "unknown subset 'hihg'; did you mean 'high'? available: misclassified, high, low, classes:0"),
        ("--subset low --subset-mode remove", "unknown subset mode 'remove'; did you mean 'removed'? available: unpe"),
        ("--subset classes:", "--subset classes:: name classes by their numbers, such as classes:0,1,2"),
        ("--subset classes:1,x", "--subset classes:1,x: name classes by their numbers, such as classes:0,1,2"),
        (
            "--subset classes:1,10",
            "--subset classes:1,10: no image of class 10; the training images have classes 0 to 9",
        ),
        ("--subset classes:1 --subset-model demo:sat", "--subset classes:1 asks no network; leave --subset-model out"),
        ("--subset high --subset-model demo:sta", "unknown demo network 'sta'; did you mean 'sat'?"),
        ("--subset high --subset-model nets.pt", "no such checkpoint: nets.pt"),
        (
            "--subset classes:0,1,2,3,4,5,6,7,8,9 --subset-mode removed",
            "--subset classes:0,1,2,3,4,5,6,7,8,9 --subset-",
        ),
        ("--subset classes:" + ",".join(map(str, range(200))), "'sat-classes-0-1-2-3-4-5-6-7-8-9-10-11-12...' is too"),
    ],
)
def test_mistakes_are_one_line_before_any_work(capsys, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    code, out, err = typed(capsys, "sat", *arguments.split())
    assert (code, out, err.count("\n")) == (2, [], 1)
    assert err.startswith(f"error: {text}"), err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ("right", "nets.py:right gets all 40 images right, so there is no number of misclassified ones; name another"),
        ("left", "nets.py:left gets 40 images wrong and only 0 right; name another network with --subset-model"),
    ],
)
def test_networks_that_give_no_subset_are_told(toy, network, text):
    with pytest.raises(UserError, match=f"^--subset high: {text}"):
        ready(toy / "runs", toy_run("high", subset_model=f"nets.py:{network}"))
    assert not (toy / "runs").exists()


def test_all_images_misclassified_leave_none_to_train_on(toy):
    with pytest.raises(UserError, match=r"^--subset misclassified --subset-mode removed leaves no images to train on"):
        ready(toy / "runs", toy_run("misclassified", "removed", subset_model="nets.py:left"))


def test_standard_training_has_no_attack_to_leave_out(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = typed(capsys, "standard", "--subset", "classes:1")
    assert (code, err) == (
        2,
        "error: standard attacks no image, so none is left unperturbed; take --subset-mode removed\n",
    )
    plain = [word for word in QUICK if word not in ("--attack-steps", "1")]
    code, _, err = typed(capsys, "standard", *plain, *QUIET, "--subset", "classes:1", "--subset-mode", "removed")
    assert code == 0, err


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        (["--subset", "misclassified"], "sat-misclassified-unperturbed-digits-small-resnet-1"),
        (["--subset", "low", "--subset-mode", "removed"], "sat-low-removed-digits-small-resnet-1"),
        (["--subset", "classes:4,2,2"], "sat-classes-2-4-unperturbed-digits-small-resnet-1"),
    ],
)
def test_a_folders_name_says_the_command_that_trains_it(options, folder):
    (run,) = train_command.runs(["sat"], what(options), {})
    assert run.name == folder
    told = run_command(f"runs/{folder}/last.safetensors").split()
    assert told[3] == "sat"
    (again,) = train_command.runs([told[3]], what(told[4:]), {})
    assert again == run


def what(options: list[str]) -> train_command.What:
    pairs = dict(zip(options[::2], options[1::2], strict=True))
    made = {name.removeprefix("--").replace("-", "_"): value for name, value in pairs.items()}
    return train_command.What(**made | {"seed": [int(made.get("seed", 1))]})


def test_classes_stand_once_and_in_order():
    assert checked("classes:2,0,2", None, None) == ("classes:0,2", "unperturbed", None)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["unperturbed", "removed"])
def test_two_processes_train_like_one(tmp_path, mode):
    """Without BatchNorm each has its part of every batch, down to rounding."""
    script = Path(__file__).with_name("plain_training.py")
    path = os.pathsep.join([str(script.parent), str(script.parents[1])])
    for size in ("1", "2"):
        arguments = [
            "sat",
            "--arch",
            "plain",
            "--samples",
            "75",
            "--batch",
            "16",
            "--attack-steps",
            "1",
            "--epochs",
            "3",
        ]
        arguments += [*QUIET, "--subset", "classes:0,3", "--subset-mode", mode, "--runs", size, "--processes", size]
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, str(script), *arguments], check=True, cwd=tmp_path, env=environment)
    one, two = (load_file(next((tmp_path / size).glob("*/last.safetensors"))) for size in ("1", "2"))
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-4)
