"""The table of accuracies: intervals by hand, rows that stay, and what the command refuses."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluating import rows, typed

from energylens import claims, cli, command, evaluations
from energylens.errors import UserError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def row(**changes) -> dict:
    made = {"model": "a", "model_sha": "1", "data": "digits", "split": "test", "attack": "pgd", "seed": 0, "n": 10}
    return made | {"key": "0" * 8, "correct": 5, "accuracy": 0.5} | changes


def test_intervals_are_wilsons():
    """5 of 10: 0.5 -+ 1.96 / 13.84 * sqrt(2.5 + 0.9604); 0 of 10: up to 3.8415 / 13.8415."""
    assert claims.wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert claims.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_a_row_is_replaced_by_the_same_measurement_alone():
    path = Path("out/evaluate.parquet")
    changes = [{}, {"model_sha": "2"}, {"seed": 1}, {"key": "1" * 8}, {"n": 20}, {"model": "b"}, {"split": "train"}]
    assert evaluations.add(path, [row(**change) for change in changes]) == 7
    assert evaluations.add(path, [row(correct=6, accuracy=0.6), row(model="c")]) == 8
    found = pd.read_parquet(path)
    assert found["accuracy"].tolist() == [0.6, *[0.5] * 7]
    assert found["model"].tolist() == ["a"] * 5 + ["b", "a", "c"]
    assert [file.name for file in path.parent.iterdir() if file.name[0] != "."] == ["evaluate.parquet"]


def test_two_commands_that_add_rows_at_once_lose_none():
    code = (
        "import sys; from pathlib import Path; from energylens import evaluations as e\n"
        "for n in range(15): e.add(Path('out/evaluate.parquet'), [{'model': sys.argv[1], 'n': n}])"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [process.wait(60) for process in both] == [0, 0]
    assert rows().groupby("model").size().to_dict() == {"a": 15, "b": 15}


def test_mean_and_standard_deviation_over_seeds_are_those_of_a_sample():
    """Of 0.4, 0.5 and 0.9: mean 0.6, deviation sqrt((0.04 + 0.01 + 0.09) / 2)."""
    blank = dict.fromkeys(evaluations.TRIAL)
    made = pd.DataFrame([blank | row(seed=seed, accuracy=value) for seed, value in enumerate((0.4, 0.5, 0.9))])
    (found,) = evaluations.over_seeds(made).to_dict("records")
    assert (found["seeds"], found["mean"], found["std"]) == (3, pytest.approx(0.6), pytest.approx(0.07**0.5))


def test_of_one_seed_the_last_row_counts():
    """After a change of the attack's code its first row stays in the file: 0.1 counts no more, and one seed is none."""
    blank = dict.fromkeys(evaluations.TRIAL)
    made = pd.DataFrame([blank | row(accuracy=0.1, key="1" * 8), blank | row(accuracy=0.4)])
    assert evaluations.over_seeds(made).empty


def test_training_seeds_enter_with_their_mean_over_the_attacks_seeds():
    """Networks of 0.4 and 0.6 (from 0.5 and 0.7): mean 0.5, deviation sqrt(0.02); one objective alone is no spread."""
    blank = dict.fromkeys([*evaluations.RECIPE, "train_seed"]) | {"objective": "sat", "arch": "r"}
    values = [(1, 0, 0.1), (1, 0, 0.4), (2, 0, 0.5), (2, 1, 0.7)]
    made = [blank | row(model_sha=str(net), train_seed=net, seed=seed, accuracy=value) for net, seed, value in values]
    other = blank | row(train_seed=1) | {"objective": "trades"}
    (found,) = evaluations.over_training_seeds(pd.DataFrame([*made, other])).to_dict("records")
    assert (found["objective"], found["seeds"]) == ("sat", 2)
    assert (found["mean"], found["std"]) == (pytest.approx(0.5), pytest.approx(0.02**0.5))


def test_more_networks_and_other_weights_leave_the_rows_that_are_there(toy_net, npz):
    given = ("--data", npz, "--attack", "fgsm:eps=0.1")
    assert typed(f"{toy_net()}:toy", *given) == 0
    first = rows()
    assert typed(f"{toy_net(name='others.py')}:other", *given) == 0
    assert typed(f"{toy_net('return -logits', 'third.py')}:toy", *given) == 0
    assert rows()["model"].tolist() == ["toy", "toy", "other", "other", "toy", "toy"]
    assert rows()["model_sha"].nunique() == 3
    pd.testing.assert_frame_equal(rows()[:2], first)


def test_a_network_that_fails_under_attack_gets_no_row_for_it(toy_net, npz, capsys):
    bad = toy_net("return logits if len(x) == 2 or not x.requires_grad else self.linear(x)", "bad.py")
    assert typed(f"bad={bad}:toy", f"{toy_net()}:toy", "--data", npz, "--attack", "fgsm:eps=0.1") == 2
    assert rows()[["model", "attack"]].values.tolist() == [
        ["bad", "natural"],
        ["toy", "natural"],
        ["toy", "fgsm-eps0.1"],
    ]
    assert "error: 1 of 4 shards failed" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(capsys):
    assert typed("demo:sat", "--samples", "10", "--attack", "fgsm", "--dry-run") == 0
    assert "missing: 2 shards, 20 rows; about" in capsys.readouterr().out
    assert not list(Path().iterdir())


def test_it_is_a_command_of_energylens(capsys):
    assert command.run(cli.app(), "energylens", ["evaluate", "demo:sat", "--attack", "fgsm", "--samples", "5"]) == 0
    assert capsys.readouterr().out.endswith("table: out/evaluate.parquet, 2 rows\n")


SAT = ("demo:sat", "--samples", "5")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((*SAT, "--attack", "pdg"), "unknown attack 'pdg'; did you mean 'pgd'?"),
        ((*SAT, "--eps", "0"), "eps must be a number, above 0"),
        ((*SAT, "--attack", "pgd:eps=0.1", "--eps", "0.2"), "leave one out"),
        ((*SAT, "--attack", "pgd", "--attack", "pgd"), "attack pgd-eps0.2 is named twice; leave one out"),
        ((*SAT, "--seed", "3", "--seed", "3"), "--seed 3 is said twice; leave one out"),
        ((*SAT, "--attack", "fgsm", "--seed", "1"), "no attack here makes random choices, so --seed 1 changes nothing"),
        ((*SAT, "--seed", "-1"), "Invalid value for '--seed'"),
        ((*SAT, "--precision", "fp8"), "unknown precision 'fp8'"),
        (("demo:sat", "demo:sat"), "2 models are called 'sat'; name them: NAME=demo:sat, or leave one out"),
        (("demo:sat", "--samples", "501"), "digits:test has 500 images; ask for 1 to 500"),
        (("linear:Linear",), "say the images of linear:Linear: --data cifar10:test"),
        (("linear:Linear", "--data", "digits"), "cannot read digits's [1, 16, 16] images"),
        (("demo:sta",), "did you mean 'sat'?"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_before_any_work(given, told, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ENERGYLENS_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")
    assert typed(*given) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not list(Path().iterdir())


def test_a_network_of_too_few_classes(npz, toy_net, tmp_path, capsys):
    wide = tmp_path / "wide.npz"
    np.savez(wide, images=np.zeros((6, 4, 4, 1), np.uint8), labels=np.arange(6))
    assert typed(f"{toy_net()}:toy", "--data", wide, "--attack", "fgsm") == 2
    assert "classes" in capsys.readouterr().err
    assert typed(f"{toy_net()}:toy", "--data", npz) == 2
    assert "autoattack needs a model of at least 4 classes, model 'toy' has 3" in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_a_place_that_cannot_be_written_is_told_before_any_work(capsys):
    Path("file").write_text("")
    assert typed(*SAT, "--attack", "fgsm", "--out", "file") == 2
    assert "file is no folder that can be written; choose another one with --out" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_a_foreign_file_in_the_tables_place_is_left_alone(capsys):
    Path("out").mkdir()
    path = Path("out/evaluate.parquet")
    path.write_bytes(b"mine")
    assert typed(*SAT, "--attack", "fgsm") == 2
    assert "out/evaluate.parquet is no table of accuracies" in capsys.readouterr().err
    pd.DataFrame({"model": ["a"], "mine": [1]}).to_parquet(path)
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"has columns that are none of ours \(mine\); take another --out"):
        evaluations.add(path, [row()])
    assert path.read_bytes() == before
