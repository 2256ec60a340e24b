"""Accuracies of trainings as Tables 1a to 1c get them: of the present weights, on the images that are asked for."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_runs import changed, train

from energylens import accuracies, evaluations
from energylens.accuracies import Accuracies
from energylens.errors import UserError
from energylens.need import Where
from energylens.options import Place
from energylens.trainings import Trainings, demo


def evaluated(folder: Path, *rows: dict) -> Where:
    """A table of accuracies."""
    usual = {"data": "digits", "split": "test", "images": 500, "eps": 0.2, "objective": "sat", "train_seed": 1}
    evaluations.add(folder / "out" / evaluations.FILE, [usual | {"model_sha": "s", "key": "k"} | row for row in rows])
    return Where(Place(), folder / "runs", folder / "out")


def placed(tmp_path: Path, eps: float = 0.2) -> Accuracies:
    """A table of one run, PGD on all images and AutoAttack on 200."""
    folder = tmp_path / "runs" / "demo-sat-1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"objective": "sat", "settings": {"eps": eps, "seed": 1}}))
    return Accuracies((Trainings((), "digits", given=(folder,)),), (("pgd", None), ("autoattack", 200)))


ROWS = (
    {"model": "demo-sat-1", "attack": "natural", "n": 500, "accuracy": 0.9, "eps": None},
    {"model": "demo-sat-1", "attack": "pgd-eps0.2", "n": 500, "accuracy": 0.4, "seed": 0},
    {"model": "demo-sat-1", "attack": "autoattack-eps0.2", "n": 200, "accuracy": 0.2},
)


@pytest.mark.parametrize(
    "other",
    [
        {"attack": "natural", "n": 200, "eps": None},
        {"attack": "pgd-eps0.2", "n": 200},
        {"attack": "pgd-eps0.2", "n": 500, "shuffle_seed": 5, "key": "other"},
        {"attack": "pgd-eps0.1", "n": 500, "eps": 0.1},
        {"attack": "pgd-eps0.2-steps50", "n": 500},
        {"attack": "autoattack-eps0.2", "n": 500},
        {"model": "another", "attack": "natural", "n": 500, "eps": None},
    ],
    ids=str,
)
def test_the_tables_own_attacks_count_at_the_trainings_radius_on_the_images_that_are_asked_for(other, tmp_path):
    need = placed(tmp_path)
    where = evaluated(tmp_path, *ROWS, {"model": "demo-sat-1", "accuracy": 0.7, "seed": 0} | other)
    frame = need.frame("table_1a", where, False)
    assert dict(zip(frame["measure"], frame["accuracy"], strict=True)) == {"clean": 0.9, "pgd": 0.4, "autoattack": 0.2}
    assert len(frame) == 3


def test_rows_of_weights_that_are_no_longer_there_are_told(tmp_path):
    need = placed(tmp_path)
    where = evaluated(tmp_path, *ROWS, ROWS[1] | {"model_sha": "older"})
    with pytest.raises(UserError, match="rows of 2 networks called demo-sat-1; leave out --no-measure"):
        need.frame("table_1a", where, False)


def test_the_present_weights_count_where_they_are_known(tmp_path):
    folder = train(tmp_path / "runs", changed(select="last", ema=0.0, epochs=2)).folder.path
    ((name, sha),) = accuracies._weights([folder]).values()
    ours = [row | {"model": name, "model_sha": sha} for row in ROWS]
    where = evaluated(tmp_path, *(row | {"model_sha": "older", "accuracy": 0.1} for row in ours), *ours)
    frame = replace(placed(tmp_path), trainings=(Trainings((), "digits", given=(folder,)),)).frame("x", where, True)
    assert set(frame["accuracy"]) == {0.9, 0.4, 0.2}


def test_without_a_row_it_says_what_evaluates_the_runs(tmp_path):
    folder = tmp_path / "runs" / "demo-sat-1"
    folder.mkdir(parents=True)
    need = Accuracies((Trainings((), "digits", given=(folder,)),))
    with pytest.raises(UserError, match=f"has no row of these runs; say: python -m energylens.evaluate {folder}"):
        need.frame("table_1a", evaluated(tmp_path, {"model": "another", "attack": "natural", "n": 5}), False)


def test_one_data_set_of_a_table_can_be_asked_for():
    both = Accuracies((demo("sat"), replace(demo("sat"), data="svhn")))
    assert [one.data for one in both.override(data="digits").trainings] == ["digits"]
    with pytest.raises(UserError, match="--data cifar10: this table has digits, svhn"):
        both.override(data="cifar10")
