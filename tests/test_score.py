"""The command `score` as it is typed: sets of images, feature spaces, the table, and mistakes."""

import numpy as np
import pandas as pd
import pytest

from energylens import cli, command, data, quality, score
from energylens.errors import UserError
from energylens.quality import measure, pixels


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")
    noise = np.random.default_rng(0).integers(0, 256, (40, 1, 16, 16), dtype=np.uint8)
    np.savez("noise.npz", images=noise, labels=np.arange(40) % 10)


def typed(*arguments: object) -> int:
    return command.run(score.app, "python -m energylens.score", [str(argument) for argument in arguments])


def test_sets_are_scored_in_each_space_and_added_to_the_table(capsys):
    """Images of the digits are floats, and rounded as the training images are."""
    spaces = ("--features", "demo:standard-14", "--features", "demo:standard-10")
    assert typed("noise.npz", "REAL=digits:test", "--against", "digits:train", *spaces) == 0
    told = capsys.readouterr().out
    assert "40 images each, against 1,297 of digits:train, in the features of demo:standard-14" in told
    assert "500 images each, against 1,297 of digits:train, in the features of demo:standard-10" in told
    assert told.splitlines()[-1] == "table: out/scores.parquet, 4 rows"
    rows = pd.read_parquet("out/scores.parquet")
    assert rows[["model", "space", "n", "real"]].values.tolist() == [
        ["noise", "demo:standard-14", 40, 1297],
        ["REAL", "demo:standard-14", 500, 1297],
        ["noise", "demo:standard-10", 40, 1297],
        ["REAL", "demo:standard-10", 500, 1297],
    ]
    stored = pixels.of(data.load("noise.npz"))
    wanted = measure(stored.images, stored.labels, data.load("digits:train"), "demo:standard-14")
    assert {name: rows.iloc[0][name] for name in wanted} == wanted
    assert typed("noise.npz", "--against", "digits:train", "--features", "demo:standard-14", "--batch", 9) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "table: out/scores.parquet, 4 rows"


def mistake(capsys, *arguments) -> str:
    assert typed(*arguments) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told.removeprefix("error: ").rstrip()


def test_mistakes_are_told_in_one_line(capsys, tmp_path):
    np.savez("mine.npz", images=np.zeros((2, 3, 8, 8), np.uint8), labels=[0, 1])
    judge = ("--features", "demo:standard-14")
    assert mistake(capsys, "mine.npz", "--against", "digits:train", *judge) == (
        "images to score are [3, 8, 8], those of digits:train [1, 16, 16]; take the same size"
    )
    assert mistake(capsys, "noise.npz", "noise=mine.npz", "--against", "digits:train", *judge) == (
        "two sets are called 'noise': noise.npz and mine.npz; name one: OTHER=mine.npz"
    )
    assert mistake(capsys, "noise.npz", "--against", "digits:train").startswith(
        "Inception's file of weights is missing and could not be downloaded ($ENERGYLENS_OFFLINE is set); save https://"
    )
    assert "unknown demo network 'standard-15'" in mistake(
        capsys, "noise.npz", "--against", "digits:train", "--features", "demo:standard-15"
    )
    assert "against" in mistake(capsys, "noise.npz")
    assert not (tmp_path / "out").exists()


def test_all_spaces_are_opened_before_the_first_score(capsys, tmp_path):
    """Of a mistake in the second one, and of a set that does not fit, no table is left."""
    judge = ("--features", "demo:standard-14")
    assert mistake(capsys, "noise.npz", "--against", "digits:train", *judge, "--features", "nope.py:x").startswith(
        "no such file: nope.py"
    )
    np.savez("mine.npz", images=np.zeros((2, 3, 8, 8), np.uint8), labels=[0, 1])
    assert "take the same size" in mistake(capsys, "noise.npz", "mine.npz", "--against", "digits:train", *judge)
    files = ("--features", "a/nets.py:f", "--features", "b/nets.py:f")
    assert mistake(capsys, "noise.npz", "--against", "digits:train", *files) == (
        "tables would call a/nets.py:f and b/nets.py:f both 'nets.py:f'; leave one out, or rename its file"
    )
    assert not (tmp_path / "out").exists()


def test_scores_that_are_there_stay_when_a_later_one_fails(capsys, monkeypatch):
    scored = quality.measure

    def failing(images, labels, real, space, **settings):
        if space.name == "demo:standard-10":
            raise UserError("no memory")
        return scored(images, labels, real, space, **settings)

    monkeypatch.setattr(quality, "measure", failing)
    spaces = ("--features", "demo:standard-14", "--features", "demo:standard-10")
    assert typed("noise.npz", "--against", "digits:train", *spaces) == 2
    assert "no memory" in capsys.readouterr().err
    assert pd.read_parquet("out/scores.parquet")["space"].tolist() == ["demo:standard-14"]


def test_energylens_score_is_the_same_command(capsys):
    assert command.run(cli.app(), "energylens", ["score", "--help"]) == 0
    assert "--against" in capsys.readouterr().out
