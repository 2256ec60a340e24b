"""The first network of a subset: the usual one is taken where it was trained like the run, a named one as it is."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from small_runs import NONE, ready, train
from toy_subsets import make, toy_run

from energylens import command
from energylens.errors import UserError
from energylens.models import files
from energylens.train import command as train_command
from energylens.train import course, first
from energylens.train.prepare import Place, prepared
from energylens.train.processes import Alone
from energylens.train.runs import Run
from energylens.train.settings import recipe

SETTINGS = recipe("demo", "trades", "digits", epochs=2, attack_steps=1, batch=20, beta=3.0)
TRADES = Run("trades", "digits:train", "small-resnet:width=4", SETTINGS, samples=60, subset="misclassified")
TRADES = replace(TRADES, subset_mode="unperturbed")
SAT = first.usual(TRADES)


def in_runs(run: Run):
    return prepared(run, Place(Path("runs")), NONE)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_usual_one_is_sat_by_the_runs_own_settings_but_for_those_it_has_no_use_for():
    assert SAT.name == "sat-digits-small-resnet+width=4-1"
    assert (SAT.objective, SAT.samples, SAT.subset) == ("sat", 60, None)
    assert SAT.settings == recipe("demo", "sat", "digits", epochs=2, attack_steps=1, batch=20)
    jeat = replace(TRADES, objective="jeat", settings=recipe("demo", "jeat", "digits", eps=0.1, seed=3))
    assert first.usual(jeat).settings == recipe("demo", "sat", "digits", eps=0.1, seed=3)


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"samples": 50}, "--samples 50 there, 60 here"),
        ({"samples": 50, "shuffle_seed": 4}, "--samples 50 there, 60 here; --shuffle-seed 4 there, not given here"),
        ({"settings": replace(SAT.settings, eps=0.1)}, "--eps 0.1 there, 0.2 here"),
        ({"data": "digits:test"}, "--data digits:test there, digits:train here"),
    ],
)
def test_the_usual_one_that_was_trained_otherwise_is_told_and_taken_where_it_is_named(other, text):
    course.train(in_runs(replace(SAT, **other)), Alone())
    with pytest.raises(UserError) as error:
        in_runs(TRADES)
    assert str(error.value) == (
        "--subset misclassified asks the network of runs/sat-digits-small-resnet+width=4-1, which was trained "
        f"otherwise ({text}); to take it all the same, or another one, name it with --subset-model"
    )
    assert in_runs(replace(TRADES, subset_model=f"runs/{SAT.name}")).subset.model == SAT.name


def test_the_usual_one_of_other_images_under_the_same_name_is_told():
    course.train(in_runs(SAT), Alone())
    path = Path("runs", SAT.name, "run.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data_sha": "0"}))
    with pytest.raises(UserError, match=r"trained otherwise \(other images under the same name\)"):
        in_runs(TRADES)


def test_the_command_that_is_told_trains_the_network_that_is_asked(capsys):
    with pytest.raises(UserError) as error:
        in_runs(TRADES)
    told = str(error.value).partition("python -m energylens.train ")[2].partition(", or name")[0]
    assert command.run(train_command.app, "train", [*shlex.split(told), "--energies-every", "0"]) == 0
    assert in_runs(TRADES).subset.model == SAT.name
    assert len(in_runs(TRADES).data) == 60
    capsys.readouterr()


@pytest.mark.parametrize("named", ["runs/{}", "runs/{}/best.safetensors", "runs/{}/last.safetensors"])
def test_which_file_of_a_folder_is_taken_is_stored_and_shown(tmp_path, named):
    """The best one where there is one."""
    make(tmp_path)
    net = train(Path("runs"), toy_run(None))
    taken = net.folder.path / "best.safetensors"
    taken.write_bytes((net.folder.path / "last.safetensors").read_bytes())
    made = ready(Path("runs"), toy_run("high", subset_model=named.format(net.run.name)))
    file = None if "/last" in named else "best.safetensors"
    assert str(made.subset).endswith(f" that {net.run.name}{f'/{file}' if file else ''} gets right, left unperturbed")
    course.train(made, Alone())
    about = json.loads((made.folder.path / "run.json").read_text())
    metadata = files.metadata(made.folder.path / "last.safetensors")
    stored = f"{about['subset_model']}/{about['subset_model_file']}".removesuffix("/None")
    assert stored == f"{net.run.name}{f'/{file}' if file else ''}"
    assert metadata["subset_model_file"] == about["subset_model_file"]
    (made.folder.path / "last.safetensors").unlink()
    assert str(ready(Path("runs"), made.run).subset) == str(made.subset)
