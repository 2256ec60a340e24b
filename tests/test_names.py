"""Names of models and attacks that a table cannot hold, told before anything is measured."""

from dataclasses import replace
from pathlib import Path

import pytest
from probing import recipe, run

from energylens import attacks
from energylens.attacks import APGD, PGD, Own
from energylens.errors import UserError

MINE = "def mine(model, x, y):\n    return {}\n"


def mine(folder: Path, body: str) -> Own:
    folder.mkdir()
    (folder / "mine.py").write_text(MINE.format(body))
    return attacks.parse(f"{folder}/mine.py:mine")


def refused(made, tmp_path: Path) -> str:
    with pytest.raises(UserError) as error:
        run(made, tmp_path)
    assert not (tmp_path / "tables").exists()
    return str(error.value)


def test_two_attacks_of_one_name(toy, tmp_path):
    both = (mine(tmp_path / "a", "x"), mine(tmp_path / "b", "1 - x"))
    told = refused(replace(toy, attacks=both), tmp_path)
    assert told == "two attacks are called 'mine', and differ; leave one out, or give its function another name"


def test_an_attack_named_twice(toy, tmp_path):
    told = refused(replace(toy, attacks=(PGD(eps=0.1), PGD(eps=0.1))), tmp_path)
    assert told == "attack pgd-eps0.1 is named twice; leave one out"


def test_a_model_whose_name_no_folder_can_have(toy, toy_net, npz, tmp_path):
    reference = toy.models[0]
    assert len(run(toy.override(models=[f"{'m' * 249}={reference}"]), tmp_path / "longest")) == 12
    told = refused(toy.override(models=[f"{'m' * 250}={reference}"]), tmp_path)
    assert told.endswith("mm' is too long for the name of a folder; give a shorter one: --models NAME=REFERENCE")
    assert "too long" in refused(toy.override(models=[f"{'ü' * 50}={reference}"]), tmp_path)
    assert "too long" in refused(toy.override(models=[f"{'m' * 300}={reference}"]), tmp_path)


def test_an_attack_whose_name_no_folder_can_have(toy_net, npz, tmp_path):
    path = tmp_path / "long.py"
    path.write_text(MINE.replace("mine", "a" * 249).format("x"))
    told = refused(recipe(toy_net(), npz, attacks=(attacks.parse(f"{path}:{'a' * 249}"),)), tmp_path)
    assert told.endswith("for the name of a folder; give a shorter one: another function name, or fewer settings")


def test_a_batch_that_does_not_divide_a_file(toy, tmp_path):
    told = refused(replace(toy, attacks=(APGD(eps=0.1, batch=300),)), tmp_path)
    assert "must divide 1000, the images of a file; take --shard 1200, or apgd-ce:batch=100" in told
