"""RobustBench's published facts: its own names, findable, beside what is measured."""

import io
import json

import pandas as pd
import pytest

from energylens import command, models_command
from energylens.data import load
from energylens.errors import UserError
from energylens.models import listing, published
from energylens.models.robustbench_import import zoo

LEFT_OUT_BY_ROBUSTBENCH = {"cifar10/Linf": 23, "cifar10/corruptions": 6, "cifar100/corruptions": 1}
"""models with facts but without a checkpoint in robustbench 1.1.1: evaluated by their authors alone"""


def test_its_names_are_robustbenchs_own():
    with zoo() as utils:
        theirs = {
            f"robustbench:{data.value}/{threat.value}/{name}"
            for data, threats in utils.all_models.items()
            for threat, entries in threats.items()
            for name in entries
        }
    facts = published.table()
    assert set(facts[facts["weights"]]["reference"]) == theirs
    left_out = facts[~facts["weights"]].groupby(["data", "norm"]).size()
    assert {"/".join(key): count for key, count in left_out.items()} == LEFT_OUT_BY_ROBUSTBENCH


@pytest.mark.parametrize(
    ("reference", "clean", "robust", "eps", "extra"),
    [  # as the paper's figure 4 and RobustBench's leaderboard print them
        ("robustbench:cifar10/Linf/Engstrom2019Robustness", 87.03, 49.25, "8/255", False),
        ("robustbench:cifar10/Linf/Wang2023Better_WRN-70-16", 93.25, 70.69, "8/255", False),
        ("robustbench:cifar10/Linf/Wang2020Improving", 87.50, 56.29, "8/255", True),
        ("robustbench:cifar10/Linf/Zhang2019Theoretically", 84.92, 53.08, "0.031", False),
        ("robustbench:cifar10/linf/Standard", 94.78, 0.0, "8/255", False),
        ("SAT=robustbench:cifar10/L2/Engstrom2019Robustness", 90.83, 69.24, "0.5", False),
    ],
)
def test_known_models_have_their_published_accuracies(reference, clean, robust, eps, extra):
    row = published.entry(reference)
    assert (row["clean"], row["robust"], row["eps"], row["extra_data"]) == (clean, robust, eps, extra)


def test_a_model_is_found_by_what_it_is():
    found = published.select("cifar10", "LINF", arch="resnet-18", extra_data=False, at_least=50, weights=True)
    assert found["robust"].is_monotonic_decreasing
    assert found.iloc[0]["name"] == "Gowal2021Improving_R18_ddpm_100m"
    assert set(found["data"] + found["norm"]) == {"cifar10Linf"}
    assert published.select("cifar10", sort="clean")["clean"].is_monotonic_decreasing


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"data": "cifar11"}, "unknown --data 'cifar11'; did you mean 'cifar10'"),
        ({"norm": "L3"}, "unknown --norm 'L3'; did you mean 'L2'"),
        ({"sort": "size"}, "unknown --sort 'size'"),
        ({"at_least": 99.0}, "RobustBench lists no such model"),
    ],
)
def test_mistakes_are_named(chosen, message):
    with pytest.raises(UserError, match=message):
        published.select(**chosen)


def run(*arguments: str) -> int:
    return command.run(models_command.app, "models", list(arguments))


def test_the_command_lists_them_as_text_csv_and_json(capsys):
    chosen = ("list", "--data", "cifar10", "--norm", "Linf", "--sort", "robust")
    assert run(*chosen) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == ["Bartoldson2024Adversarial_WRN-94-16", "Linf", "8/255", "93.68", "73.71"]
    assert lines[-1].startswith("99 models; write a model as robustbench:cifar10/Linf/")
    assert run(*chosen, "--format", "csv") == 0
    assert len(pd.read_csv(io.StringIO(capsys.readouterr().out))) == 99
    assert run(*chosen, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)[0]["link"].startswith("https://")
    assert run("list", "--data", "digits") == 0
    assert "8 models; write a model as demo:" in capsys.readouterr().out
    assert run("list", "--data", "digits", "--norm", "Linf") == 2
    assert "leave out the other conditions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("low", "high", "says"), [(86.0, 88.0, "lies within"), (88.0, 89.0, "lies OUTSIDE the measured interval")]
)
def test_a_measured_accuracy_is_compared_by_its_interval(npz, low, high, says):
    images = load(str(npz))
    reference = "robustbench:cifar10/Linf/Engstrom2019Robustness"
    assert "other images" in listing.published_of(reference, images, low, high)[1]
    object.__setattr__(images, "name", "cifar10")
    lines = listing.published_of(reference, images, low, high)
    assert lines[0].endswith("87.03 % clean, 49.25 % robust (AutoAttack, Linf 8/255)")
    assert says in lines[1]
    assert listing.published_of("demo:sat", images, low, high) == []
