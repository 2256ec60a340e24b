"""A training run that does not exist yet is told with the command that makes it."""

import pytest

from energylens import models
from energylens.errors import UserError
from energylens.references import run_command

TRAIN = "python -m energylens.train"


@pytest.mark.parametrize(
    ("reference", "command"),
    [
        (
            "runs/standard-cifar10-resnet20-1/last.safetensors",
            f"{TRAIN} standard --data cifar10 --arch resnet20 --seed 1",
        ),
        (
            "W=./runs/weat-adv-cifar100-resnet18-12/best.safetensors",
            f"{TRAIN} weat-adv --data cifar100 --arch resnet18 --seed 12",
        ),
        (
            "/my runs/sat-tiny-imagenet-small-resnet-0/last.safetensors",
            f"{TRAIN} sat --data tiny-imagenet --arch small-resnet --seed 0 --runs '/my runs'",
        ),
        ("sat-svhn-resnet18-0/last.safetensors", f"{TRAIN} sat --data svhn --arch resnet18 --seed 0 --runs ."),
        ("runs/standard-cifar10-resnet20-1/other.safetensors", None),
        ("runs/standard-cifar10-resnet20/last.safetensors", None),
        ("runs/standard-mnist-resnet20-1/last.safetensors", None),
        ("runs/cifar10-resnet20-1/last.safetensors", None),
        ("runs/-x-cifar10-resnet20-1/last.safetensors", None),
        ("runs/a;b-cifar10-resnet20-1/last.safetensors", None),
        ("demo:sat", None),
    ],
)
def test_a_runs_name_says_how_to_train_it(reference, command):
    assert run_command(reference) == command


def test_all_missing_runs_are_told_at_once_with_commands_to_paste(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "runs" / "sat-digits-small-resnet-0" / "last.safetensors"
    there.parent.mkdir(parents=True)
    there.touch()
    models.prepare(("SAT=runs/sat-digits-small-resnet-0/last.safetensors", "demo:trades"))
    with pytest.raises(UserError) as error:
        models.prepare(
            (
                "20=runs/standard-cifar10-resnet20-1/last.safetensors",
                "SAT=runs/sat-digits-small-resnet-0/last.safetensors",
                "best=runs/weat-adv-cifar10-resnet18-0/best.safetensors",
                "last=runs/weat-adv-cifar10-resnet18-0/last.safetensors",
            )
        )
    assert str(error.value) == (
        "to be trained first: runs/standard-cifar10-resnet20-1/last.safetensors, "
        "runs/weat-adv-cifar10-resnet18-0/best.safetensors, runs/weat-adv-cifar10-resnet18-0/last.safetensors; type: "
        f"{TRAIN} standard --data cifar10 --arch resnet20 --seed 1; "
        f"{TRAIN} weat-adv --data cifar10 --arch resnet18 --seed 0"
    )
