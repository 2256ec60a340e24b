"""Generated images to rows of scores: what is scored again, what is refused before any work, what is only read."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from energylens import data, models, quality
from energylens import need as needs
from energylens.errors import UserError
from energylens.generate import EQ7, PCA, Generation, Method, Random, Scored
from energylens.models import identity
from energylens.options import Place
from energylens.quality import table

SHORT = Method(PCA(), replace(EQ7, steps=3))
SAT = Generation(("demo:sat",), "digits:train", (SHORT, replace(SHORT, seed=2)), images=12)
BOTH = replace(SAT, models=("demo:sat", "demo:trades"), methods=(Method(Random(), SHORT.sampler),))
MEASURE = quality.measure
NEED = Scored((SAT, BOTH), ("demo:standard-14",))


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("ENERGYLENS_OFFLINE", "1")


@pytest.fixture
def where(tmp_path):
    return needs.Where(Place(tables=tmp_path / "tables", device="cpu"), out=tmp_path / "out")


@pytest.fixture
def scored(monkeypatch):
    """The names of the feature spaces, one for each call of `quality.measure`."""
    calls = []

    def counting(images, labels, real, space, **settings):
        calls.append(space.name)
        return MEASURE(images, labels, real, space, **settings)

    monkeypatch.setattr(quality, "measure", counting)
    return calls


def measured(need, where) -> pd.DataFrame:
    need.measure("t", where)
    return need.frame("t", where, measured=True)


def judge(change: float = 0.0) -> str:
    """A network of this process that is called `given:judge`, whatever its weights."""
    net = models.load("demo:standard-10")
    next(net.parameters()).data += change
    return models.give("judge", net).partition("=")[2]


def test_every_model_method_and_seed_has_a_row(where, scored):
    """The sampler's name carries its 3 steps; a seed stands in a column of its own."""
    frame = measured(NEED, where)
    assert frame[["model", "method", "seed"]].values.tolist() == [
        ["sat", "eq7-steps3-pca", 0],
        ["sat", "eq7-steps3-pca", 2],
        ["sat", "eq7-steps3-random", 0],
        ["trades", "eq7-steps3-random", 0],
    ]
    assert set(frame["space"]) == {"demo:standard-14"}
    assert frame[["n", "left_out", "real"]].drop_duplicates().values.tolist() == [[12, 0, 1297]]
    assert len(scored) == 4
    made = SAT.made("t", where, measured=True)["sat", "eq7-steps3-pca-seed2"]
    images, labels = np.concatenate(list(made.ended())), made.ends(["label"])["label"].to_numpy()
    wanted = MEASURE(images, labels, data.load("digits:train"), "demo:standard-14")
    assert {name: frame.iloc[1][name] for name in wanted} == wanted


def test_what_has_a_row_is_not_scored_again(where, scored):
    first = measured(NEED, where)
    assert len(scored) == 4
    pd.testing.assert_frame_equal(measured(NEED, where), first)
    assert len(scored) == 4
    more = replace(NEED, spaces=("demo:standard-14", "demo:standard-10"))
    assert len(measured(more, where)) == 8
    assert scored[4:] == ["demo:standard-10"] * 4


def test_a_judge_that_changed_scores_again_and_its_old_rows_stay(where, scored):
    """Right after measuring the judge's own rows count; later, without it, the last ones of its name."""
    need = Scored((replace(SAT, methods=(SHORT,)),), (judge(),))
    before = measured(need, where)
    judge(0.1)
    changed = measured(need, where)
    assert len(scored) == 2
    assert changed["space_sha"].tolist() == [identity.sha(models.load("given:judge"))]
    assert changed["fid"].iloc[0] != before["fid"].iloc[0]
    judge()
    pd.testing.assert_frame_equal(measured(need, where), before)
    assert len(scored) == 2
    models.GIVEN.pop("judge")
    pd.testing.assert_frame_equal(need.frame("t", where, measured=False), changed)


def test_other_weights_of_inception_are_another_judge(where, monkeypatch):
    """Rows of both are held; without measuring, `inception` is whichever was last."""
    need = Scored((replace(SAT, methods=(SHORT,)),))
    need.parts[0].measure("t", where)
    row = {"model": "sat", "method": "eq7-steps3-pca", "seed": 0, "n": 12, "left_out": 0}
    row["key"] = need.parts[0].made("t", where, measured=True)["sat", "eq7-steps3-pca"].key
    path = where.out / table.FILE
    table.add(path, [row | {"space": "inception (0a1b2c3d)", "space_sha": "2", "fid": 2.0}])
    assert need.frame("t", where, measured=False)["fid"].tolist() == [2.0]
    table.add(path, [row | {"space": "inception", "space_sha": "1", "fid": 1.0}])
    assert need.frame("t", where, measured=False)["fid"].tolist() == [1.0]
    monkeypatch.setattr(Scored, "_shas", lambda need, where: {"inception": "2"})
    assert need.frame("t", where, measured=True)["fid"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        (("demo:standard-14", "demo:sat"), "'demo:sat' made these images, so its own features cannot judge them"),
        (("inception",), "Inception's file of weights is missing and could not be downloaded"),
        (("nope.py:net",), "no such file: nope.py"),
    ],
)
def test_judges_are_refused_before_anything_is_generated(where, spaces, message):
    with pytest.raises(UserError, match=message):
        replace(NEED, spaces=spaces).measure("t", where)
    assert not where.place.tables.exists()
    assert not where.out.exists()


def test_a_later_generator_and_a_foreign_table_are_refused_before_anything_is_generated(where):
    with pytest.raises(UserError, match="unknown demo network 'sta'"):
        replace(NEED, parts=(SAT, replace(BOTH, models=("demo:sta",)))).measure("t", where)
    where.out.mkdir()
    (where.out / table.FILE).write_text("no parquet")
    with pytest.raises(UserError, match="is no table of scores"):
        NEED.measure("t", where)
    assert not where.place.tables.exists()


def test_two_judges_of_one_name_are_refused():
    with pytest.raises(UserError) as caught:
        replace(NEED, spaces=("a/nets.py:f", "demo:standard-14", "b/nets.py:f"))
    assert str(caught.value) == (
        "tables would call a/nets.py:f and b/nets.py:f both 'nets.py:f'; leave one out, or rename its file"
    )


READS = """
import sys
from pathlib import Path
from energylens import need
from energylens.generate import EQ7, PCA, Generation, Method, Scored
from energylens.options import Place
from dataclasses import replace
part = Generation(("demo:sat",), "digits:train", (Method(PCA(), replace(EQ7, steps=3)),), images=12)
where = need.Where(Place(tables=Path(sys.argv[1])), out=Path(sys.argv[2]))
print(Scored((part,), ("demo:standard-14",)).frame("t", where, measured=False)["n"].tolist())
sys.exit("torch" in sys.modules)
"""


def test_rows_are_read_without_measuring_and_without_torch(where):
    need = replace(NEED, parts=(replace(SAT, methods=(SHORT,)),))
    need.parts[0].measure("t", where)
    with pytest.raises(UserError) as caught:
        need.frame("t", where, measured=False)
    path = where.out / table.FILE
    assert str(caught.value) == (
        f"{path} has no scores of sat eq7-steps3-pca in demo:standard-14; leave out --no-measure"
    )
    need.measure("t", where)
    typed = [sys.executable, "-c", READS, str(where.place.tables), str(where.out)]
    read = subprocess.run(typed, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True)
    assert (read.returncode, read.stdout) == (0, b"[12]\n"), read.stderr


class Holed(nn.Module):
    """demo:sat, with NaN for images that are brighter than half: about half of all uniform noise, and no digit."""

    def __init__(self):
        super().__init__()
        self.net = models.load("demo:sat")

    def forward(self, x):
        bright = x.flatten(1).mean(1, keepdim=True) > 0.5
        return self.net(x).masked_fill(bright, float("nan"))


def test_chains_that_became_nan_are_left_out_and_counted(where, scored, capsys):
    part = replace(BOTH, models=(models.give("holed", Holed().eval()),))
    need = replace(NEED, parts=(part,))
    (row,) = measured(need, where).to_dict("records")
    made = part.made("t", where, measured=True)["holed", "eq7-steps3-random"]
    good = (made.ends(["status"])["status"] == "generated").to_numpy()
    assert 0 < good.sum() < 12
    assert (row["n"], row["left_out"]) == (good.sum(), 12 - good.sum())
    assert f"{row['left_out']} of 12 chains became NaN" in capsys.readouterr().out
    images, labels = np.concatenate(list(made.ended())), made.ends(["label"])["label"].to_numpy()
    wanted = MEASURE(images[good], labels[good], data.load("digits:train"), "demo:standard-14")
    assert (row["nearest"], row["fid"], row["svm"]) == (wanted["nearest"], wanted["fid"], wanted["svm"])
    scored.clear()
    measured(need, where)
    assert not scored


def test_a_users_networks(where, scored):
    """A part of one network takes the first alone."""
    need = NEED.override(models=["MINE=demo:weat-adv", "demo:trades"], samples=10)
    assert [part.models for part in need.parts] == [("MINE=demo:weat-adv",), ("MINE=demo:weat-adv", "demo:trades")]
    frame = measured(need, where)
    assert frame["model"].tolist() == ["MINE", "MINE", "MINE", "trades"]
    assert frame["model_ref"].tolist() == ["demo:weat-adv"] * 3 + ["demo:trades"]
    assert set(frame["n"]) == {10}


def test_a_dry_run_tells_how_much_would_be_scored(where, capsys):
    replace(NEED, spaces=("demo:standard-14", "demo:standard-10")).foresee("t", where)
    assert capsys.readouterr().out.splitlines()[-1] == "scores: of 48 images in 2 feature spaces"
    assert not where.place.tables.exists()


def test_a_users_judges_and_images():
    assert NEED.override(features=["nets.py:net"]).spaces == ("nets.py:net",)
    chosen = NEED.override(models=["nets.py:net"], data="cifar10", features=["inception"])
    assert {part.data for part in chosen.parts} == {"cifar10:train"}
    told = "demo:standard-14 judges digits:train; for cifar10 say --features inception, or a network"
    with pytest.raises(UserError, match=told):
        NEED.override(models=["nets.py:net"], data="cifar10")


class Broken(nn.Module):
    """Logits of NaN once an image has moved: all chains become NaN."""

    def __init__(self):
        super().__init__()
        self.net = models.load("demo:sat")

    def forward(self, x):
        return self.net(x) * (torch.nan if x.requires_grad else 1.0)


def test_a_method_whose_chains_all_became_nan_has_a_row_without_scores(where, scored):
    need = replace(NEED, parts=(replace(SAT, models=(models.give("broken", Broken()),)),))
    rows = measured(need, where)
    assert (list(rows["n"]), list(rows["left_out"]), scored) == ([0, 0], [12, 12], [])
    assert rows["fid"].isna().all()
